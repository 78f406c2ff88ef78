//! Whether rules of AFO's do what they say where they stand, all of them at once.
//!
//! The whole ruleset is audited as it would be, and what is found of AFO's own lines is looked at; nothing here decides anything else.

use crate::analyze::{Budget, audited};
use crate::record::{Finding, FindingType, Rule};
use crate::rule::ruleset::{Chain, Line, Ruleset, Table};
use std::collections::BTreeMap;

/// The chain that a finding is about, by table, family and name.
type Chained<'a> = (&'a str, &'a str, &'a str);

/// Whether a line decides for a rule of AFO's, whose id is its comment.
type Decides = fn(&Table, &Chain, &Line) -> bool;

/// The first of `added` that decides about no packet, or about which nobody knows, with the reason.
pub fn judged<'r>(model: &Ruleset, added: impl IntoIterator<Item = &'r Rule>, decides: Decides) -> Option<String> {
    let audited = audited(model, Budget::default());
    if !audited.whole {
        let unlaid = audited.findings.iter().find(|finding| finding.rule.is_none());
        let why = unlaid.map_or("a way of packets was not judged", |finding| finding.explanation.as_str());
        return Some(format!("whether the rules do what they say is not known: {why}"));
    }
    let stops = stops_by_chain(&audited.findings);
    let mut lines: BTreeMap<&str, Vec<Option<&Finding>>> = BTreeMap::new();
    for (table, _, chain) in model.chains() {
        let table = &model.tables[table];
        let of_chain = stops.get(&(table.name.as_str(), table.family.as_str(), chain.name.as_str()));
        for (n, line) in chain.lines.iter().enumerate().filter(|(_, line)| decides(table, chain, line)) {
            let Some(id) = line.comment.as_deref() else { continue };
            lines.entry(id).or_default().push(of_chain.and_then(|stops| at(stops, n)));
        }
    }
    added.into_iter().filter(|rule| rule.enabled).find_map(|rule| {
        let found = lines.get(rule.id.as_str())?;
        let unknown = found.iter().flatten().find(|finding| finding.kind == FindingType::Unknown);
        let first = found.first().copied().flatten().filter(|_| found.iter().all(Option::is_some));
        let stop = unknown.copied().or(first)?;
        Some(format!("rule {}: {}: {}", rule.id, word(stop.kind), stop.explanation))
    })
}

/// The findings that stop, by chain, each with the number of its first line.
fn stops_by_chain(findings: &[Finding]) -> BTreeMap<Chained<'_>, BTreeMap<usize, &Finding>> {
    let mut found: BTreeMap<Chained, BTreeMap<usize, &Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| stops(finding)) {
        let Some(rule) = &finding.rule else { continue };
        let (Some(table), Some(family), Some(chain)) = (&rule.table, &rule.family, &rule.chain) else { continue };
        let of_chain = found.entry((table, family, chain)).or_default();
        of_chain.entry(rule.index.unwrap_or(usize::MAX)).or_insert(finding);
    }
    found
}

/// The finding about a line: its own, or one about several lines from an earlier one on.
fn at<'a>(stops: &BTreeMap<usize, &'a Finding>, line: usize) -> Option<&'a Finding> {
    let reaches = |(from, finding): &(&usize, &&Finding)| line - **from < finding.count.unwrap_or(1);
    stops.range(..=line).rev().find(reaches).map(|(_, finding)| *finding)
}

/// The word for a kind of finding, as records have it.
fn word(kind: FindingType) -> String {
    serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Whether a finding says that a line never does what it says, or that nobody knows.
fn stops(finding: &Finding) -> bool {
    use FindingType as T;
    match finding.kind {
        T::Unknown => true,
        T::Unmatchable | T::Contradiction | T::Shadow => finding.dead,
        // Of an accept it is said where all that it accepts is dropped.
        T::Ineffective => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::iptables::{decides, with_policy};
    use crate::record::{Proposal, parse};

    fn rules(rules: &str) -> Vec<Rule> {
        let line = format!(r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}]}}"#);
        parse::<Proposal>(&line).expect(rules).rules
    }

    fn live(dump: &str) -> Ruleset {
        crate::backend::iptables::read(dump).expect(dump)
    }

    #[test]
    fn a_rule_is_judged_where_it_stands() {
        let accept = r#"{"id":"a","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#;
        let drop = r#"{"id":"b","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"],"source_address":["192.0.2.0/24"]}"#;
        let closed = live("*filter\n:INPUT DROP\n-A INPUT -p tcp -j DROP\nCOMMIT\n");
        let judge = |text: &str, id: &str| {
            let all = rules(text);
            let added: Vec<Rule> = all.iter().filter(|rule| rule.id.as_str() == id).cloned().collect();
            judged(&with_policy(&closed, &all, false).expect("a policy"), &added, |_, chain, line| decides(chain, line))
        };
        assert_eq!(judge(accept, "a"), None, "an accept of AFO's is before what the host drops");
        assert_eq!(judge(&format!("{drop},{accept}"), "a"), None);
        let said = judge(&format!("{accept},{drop}"), "b").expect("nothing reaches it");
        assert!(said.starts_with("rule b: shadow: "), "{said}");
        let mangled = live("*mangle\n:INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n");
        let of_v4 = rules(&accept.replace("\"protocol\"", "\"family\":\"ipv4\",\"protocol\""));
        let model = with_policy(&mangled, &of_v4, false).expect("a policy");
        let said = judged(&model, &of_v4, |_, chain, line| decides(chain, line)).expect("it is dropped before");
        assert!(said.starts_with("rule a: contradiction: "), "{said}");
    }
}
