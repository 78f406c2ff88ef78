//! Whether rules of AFO's do what they say where they stand, in chains that others have rules in too.
//!
//! The whole ruleset is audited as it would be, and what is found of AFO's own lines is looked at; nothing here decides anything else.

use crate::analyze::{Budget, audit};
use crate::record::{Finding, FindingType, Rule};
use crate::rule::ruleset::{Chain, Line, Ruleset};

/// The first of `added` that decides about no packet, or about which nobody knows, with the reason; `decides` tells AFO's own lines.
pub(super) fn judged(model: &Ruleset, added: &[Rule], decides: fn(&Chain, &Line) -> bool) -> Option<String> {
    let findings = audit(model, Budget::default());
    let of = |table: &str, family: &str, chain: &str, index: usize| -> Option<&Finding> {
        findings.iter().filter(|finding| stops(finding)).find(|finding| {
            finding.rule.as_ref().is_some_and(|rule| {
                let place = (rule.table.as_deref(), rule.family.as_deref(), rule.chain.as_deref());
                let from = rule.index.unwrap_or(usize::MAX);
                let lines = from..from.saturating_add(finding.count.unwrap_or(1));
                place == (Some(table), Some(family), Some(chain)) && lines.contains(&index)
            })
        })
    };
    added.iter().filter(|rule| rule.enabled).find_map(|rule| {
        let own = |line: &Line| line.comment.as_deref() == Some(rule.id.as_str());
        let mut found = Vec::new();
        for (table, _, chain) in model.chains() {
            let table = &model.tables[table];
            let lines = chain.lines.iter().enumerate().filter(|(_, line)| own(line) && decides(chain, line));
            found.extend(lines.map(|(n, _)| of(&table.name, table.family.as_str(), &chain.name, n)));
        }
        let unknown = found.iter().flatten().find(|finding| finding.kind == FindingType::Unknown);
        let first = found.first().copied().flatten().filter(|_| found.iter().all(Option::is_some));
        let stop = unknown.copied().or(first)?;
        Some(format!("rule {}: {}: {}", rule.id, word(stop.kind), stop.explanation))
    })
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
        T::Unmatchable | T::Contradiction | T::Shadow | T::Ineffective => finding.dead,
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
            judged(&with_policy(&closed, &all, false).expect("a policy"), &added, decides)
        };
        assert_eq!(judge(accept, "a"), None, "an accept of AFO's is before what the host drops");
        assert_eq!(judge(&format!("{drop},{accept}"), "a"), None);
        let said = judge(&format!("{accept},{drop}"), "b").expect("nothing reaches it");
        assert!(said.starts_with("rule b: shadow: "), "{said}");
        let mangled = live("*mangle\n:INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n");
        let said = judged(&with_policy(&mangled, &rules(accept), false).expect("a policy"), &rules(accept), decides);
        assert!(said.is_none() || said.as_ref().is_some_and(|words| words.starts_with("rule a: ")), "{said:?}");
    }
}
