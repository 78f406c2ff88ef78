//! A ruleset as it would be with a policy that is not there yet: the very text that would be loaded, read by the reader of dumps. For
//! judging a policy before it is in the kernel; nothing here is loaded.

use super::merge::LEGACY;
use super::write::{Iptables, Live, POLICY, Policy};
use crate::backend::Refused;
use crate::rule::Rule;
use crate::rule::ruleset::{Chain, Line, Outcome, Ruleset, Table, TableFamily, Verdict};

/// `live` with a policy in place of what AFO has of policy in the tables of one kind of iptables. Everybody else's stays.
///
/// # Errors
/// Every reason why the policy cannot be had.
pub fn with_policy(live: &Ruleset, rules: &[Rule], legacy: bool) -> Result<Ruleset, Vec<Refused>> {
    let policy = Policy::of(rules, 1)?;
    let mut ruleset = live.clone();
    for program in [Iptables::V4, Iptables::V6] {
        let text = policy.install(program, &Live::default());
        match super::read(&text) {
            Ok(own) => put_all(&mut ruleset, own.tables, program.tables(), legacy),
            Err(why) => ruleset.unread.push(format!("AFO's own text, line {why}")),
        }
    }
    Ok(ruleset)
}

/// Puts a family's tables of a policy in place of those that hold one.
fn put_all(ruleset: &mut Ruleset, own: Vec<Table>, family: TableFamily, legacy: bool) {
    let suffix = if legacy { LEGACY } else { "" };
    let named = |table: Table| Table { name: format!("{}{suffix}", table.name), ..table };
    let own: Vec<Table> = own.into_iter().map(named).collect();
    for name in POLICY.map(|name| format!("{name}{suffix}")) {
        let there = ruleset.tables.iter_mut().find(|there| there.family == family && there.name == name);
        let unused = own.iter().all(|table| table.name != name);
        there.into_iter().filter(|_| unused).for_each(take_out);
    }
    own.into_iter().for_each(|table| put(ruleset, table));
}

fn put(ruleset: &mut Ruleset, own: Table) {
    let Some(there) = ruleset.tables.iter_mut().find(|table| table.family == own.family && table.name == own.name)
    else {
        ruleset.tables.push(own);
        return;
    };
    // The jump that is there stays where it is; a new one comes first.
    let place = |chain: &Chain| chain.lines.iter().position(leads_to_own).unwrap_or(0);
    let places: Vec<(String, usize)> = there.chains.iter().map(|chain| (chain.name.clone(), place(chain))).collect();
    take_out(there);
    for chain in own.chains {
        let at = places.iter().find(|(name, _)| *name == chain.name).map_or(0, |(_, at)| *at);
        match there.chains.iter_mut().find(|found| found.name == chain.name) {
            Some(found) => drop(found.lines.splice(at..at, chain.lines)),
            None => there.chains.push(chain),
        }
    }
}

fn take_out(table: &mut Table) {
    table.chains.retain(|chain| !is_own(&chain.name));
    table.chains.iter_mut().for_each(|chain| chain.lines.retain(|line| !leads_to_own(line)));
}

/// A ruleset that was read from dumps without what is AFO's own in it.
pub fn without_own(mut ruleset: Ruleset) -> Ruleset {
    ruleset.tables.iter_mut().for_each(take_out);
    ruleset
}

fn is_own(name: &str) -> bool {
    name.starts_with("AFO-")
}

fn leads_to_own(line: &Line) -> bool {
    matches!(&line.outcome, Outcome::Verdict(Verdict::Jump(to) | Verdict::Goto(to)) if is_own(to))
}

/// Whether a chain and line of a ruleset are AFO's and decide about packets, rather than lead on or back.
pub fn decides(chain: &Chain, line: &Line) -> bool {
    is_own(&chain.name) && !leads_to_own(line) && line.outcome != Outcome::Verdict(Verdict::Return)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(id: &str) -> Vec<Rule> {
        let rules = json!([{"id": id, "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"]}]);
        serde_json::from_value(rules).expect("rules")
    }

    fn input(ruleset: &Ruleset, table: &str) -> Vec<String> {
        let table = ruleset.table(TableFamily::Ip, table).expect("a table");
        let chain = table.chains.iter().find(|chain| chain.name == "INPUT").expect("a chain");
        chain.lines.iter().map(|line| line.text.clone()).collect()
    }

    #[test]
    fn a_policy_stands_first_and_only_once() {
        let dump = "*filter\n:INPUT DROP\n-A INPUT -p udp -j ACCEPT\nCOMMIT\n";
        let live = super::super::read(dump).expect("a dump");
        let with = with_policy(&live, &rules("a"), false).expect("a policy");
        let jump = "-m comment --comment afo -j AFO-INPUT".to_owned();
        assert_eq!(input(&with, "filter"), [jump.clone(), "-p udp -j ACCEPT".to_owned()]);
        assert!(
            with.table(TableFamily::Ip, "filter")
                .expect("it")
                .chains
                .iter()
                .any(|c| c.base.as_ref().is_some_and(|b| b.drops))
        );
        let again = with_policy(&with, &rules("b"), false).expect("a policy");
        assert_eq!(input(&again, "filter"), input(&with, "filter"));
        let deciding = |ruleset: &Ruleset| -> Vec<String> {
            let lines =
                ruleset.chains().flat_map(|(_, _, chain)| chain.lines.iter().filter(|line| decides(chain, line)));
            lines.filter_map(|line| line.comment.clone()).collect()
        };
        assert_eq!(
            (deciding(&with), deciding(&again)),
            (vec!["a".to_owned(); 2], vec!["b".to_owned(); 2]),
            "one in each family"
        );
        let mut behind = with.clone();
        let ip = behind.tables.iter_mut().find(|table| table.family == TableFamily::Ip).expect("it");
        ip.chains.iter_mut().filter(|chain| chain.name == "INPUT").for_each(|chain| chain.lines.reverse());
        let moved = with_policy(&behind, &rules("b"), false).expect("a policy");
        assert_eq!(input(&moved, "filter"), ["-p udp -j ACCEPT".to_owned(), jump.clone()], "it stays where it is");
        let plain = without_own(with.clone());
        assert_eq!(input(&plain, "filter"), ["-p udp -j ACCEPT"]);
        assert!(plain.chains().all(|(_, _, chain)| !chain.name.starts_with("AFO-")));
        let legacy = with_policy(&live, &rules("a"), true).expect("a policy");
        assert_eq!(input(&legacy, "filter (legacy)"), [jump]);
    }
}
