//! A listing of nftables put together with what iptables says of the same kernel.
//!
//! iptables-nft keeps its rules in tables of nftables, whose listing shows the names of its matches and no more; the dump of
//! iptables-save has them whole. A rule without such matches is taken from the listing: of a rule that nft itself put into such a table
//! iptables-save shows only a part. Legacy tables are not in nftables at all and stand beside.

use crate::rule::ruleset::{Alteration, Base, Chain, Line, Outcome, Ruleset, Table, TableFamily, Verdict};
use std::collections::BTreeSet;

/// What the names of legacy tables end in: nftables can have tables of the same names.
pub(super) const LEGACY: &str = " (legacy)";

/// Gives the rules of a listing that hold extensions (family, table, handle) their meaning out of a dump. A chain that has not as many
/// rules in both, because it was changed between the two, keeps its unread rules.
pub fn explain(listing: &mut Ruleset, extended: &BTreeSet<(TableFamily, String, u64)>, dump: &Ruleset) {
    for table in &mut listing.tables {
        let Some(told) = dump.table(table.family, &table.name) else { continue };
        let mut any = false;
        for chain in &mut table.chains {
            let lines = told.chains.iter().find(|c| c.name == chain.name).map_or(&[][..], |c| &c.lines);
            if lines.len() != chain.lines.len() {
                continue;
            }
            for (own, other) in chain.lines.iter_mut().zip(lines) {
                let key = own.handle.map(|handle| (table.family, table.name.clone(), handle));
                if key.is_some_and(|key| extended.contains(&key)) && !calls_unknown(other, told) {
                    *own = Line { handle: own.handle, ..other.clone() };
                    any = true;
                }
            }
        }
        if any {
            table.sets.extend(told.sets.iter().cloned());
        }
    }
}

/// Whether a line jumps to what its dump does not announce.
fn calls_unknown(line: &Line, table: &Table) -> bool {
    let Outcome::Verdict(Verdict::Jump(name) | Verdict::Goto(name)) = &line.outcome else { return false };
    !table.chains.iter().any(|chain| chain.name == *name)
}

/// Adds the tables of a dump of iptables-legacy.
pub fn add_legacy(listing: &mut Ruleset, dump: Ruleset) {
    let renamed = |table: Table| Table { name: format!("{}{LEGACY}", table.name), ..table };
    listing.tables.extend(dump.tables.into_iter().map(renamed));
    listing.unread.extend(dump.unread);
}

/// Adds a legacy table of which only the name is known: what its chains do is not known. `why` says why.
pub fn add_unknown(listing: &mut Ruleset, family: TableFamily, name: &str, why: &str) {
    let chains = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
    let unknown = |chain: &str| {
        let base: Base = super::read::hooks(name, chain, false)?;
        let text = format!("rules of iptables-legacy: {why}");
        let line = Line {
            handle: None,
            comment: None,
            text: text.clone(),
            conditions: Vec::new(),
            // It may also change what later rules look at.
            alters: vec![Alteration::Field("meta mark".to_owned())],
            outcome: Outcome::Unread(text),
        };
        Some(Chain { name: chain.to_owned(), handle: None, base: Some(base), lines: vec![line] })
    };
    let chains: Vec<_> = chains.into_iter().filter_map(unknown).collect();
    let name = format!("{name}{LEGACY}");
    listing.unread.push(format!("{} {name}: {why}", family.as_str()));
    listing.tables.push(Table { family, name, dormant: false, chains, sets: Vec::new() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::iptables::read;
    use crate::rule::ruleset::Condition;

    const DUMP: &str = "*filter\n:INPUT ACCEPT\n:sub -\n-A INPUT -p tcp -m multiport --dports 22,80 -j sub\n-A INPUT -p tcp -j DROP\nCOMMIT\n";

    /// A listing with the chains of the dump and rules that are unread.
    fn listing(rules: u64) -> Ruleset {
        let mut ruleset = read(DUMP).expect("the sample");
        ruleset.backend = "nftables".to_owned();
        let lines = &mut ruleset.tables[0].chains[0].lines;
        let unread = |handle| Line {
            handle: Some(handle),
            comment: None,
            text: "xt match multiport".to_owned(),
            conditions: Vec::new(),
            alters: Vec::new(),
            outcome: Outcome::Unread("xt".to_owned()),
        };
        *lines = (1..=rules).map(unread).collect();
        ruleset
    }

    #[test]
    fn only_rules_with_extensions_are_explained() {
        let dump = read(DUMP).expect("the sample");
        let extended = BTreeSet::from([(TableFamily::Ip, "filter".to_owned(), 1)]);
        let mut ruleset = listing(2);
        explain(&mut ruleset, &extended, &dump);
        let lines = &ruleset.tables[0].chains[0].lines;
        assert_eq!(lines[0].outcome, Outcome::Verdict(Verdict::Jump("sub".to_owned())));
        assert!(lines[0].handle == Some(1) && matches!(lines[0].conditions[0], Condition::Narrow(..)));
        assert_eq!(lines[1].outcome, Outcome::Unread("xt".to_owned()), "its meaning is in the listing");
        let mut changed = listing(3);
        explain(&mut changed, &extended, &dump);
        assert_eq!(changed, listing(3));
    }

    #[test]
    fn legacy_tables_stand_beside() {
        let mut ruleset = listing(1);
        add_legacy(&mut ruleset, read(DUMP).expect("the sample"));
        add_unknown(&mut ruleset, TableFamily::Ip6, "nat", "iptables-legacy-save is not installed");
        let names: Vec<_> =
            ruleset.tables.iter().map(|t| (t.family.as_str(), t.name.as_str(), t.chains.len())).collect();
        assert_eq!(names, [("ip", "filter", 2), ("ip", "filter (legacy)", 2), ("ip6", "nat (legacy)", 4)]);
        assert_eq!(ruleset.unread, ["ip6 nat (legacy): iptables-legacy-save is not installed"]);
        assert!(matches!(ruleset.tables[2].chains[0].lines[0].outcome, Outcome::Unread(_)));
    }
}
