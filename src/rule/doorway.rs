//! Where doors are to stand: base chains of other programs that deny what AFO accepts, and a ruleset as it would be with doors in them.
//!
//! Nothing here knows whose a chain is and whether it may be written to.

use super::Direction;
use super::door::{DOOR, is_behind, is_door, is_own, text};
use super::ruleset::{Chain, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict};
use crate::packet::{Ranges, Wide};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A chain of another program, for a door.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Doorway {
    pub family: TableFamily,
    pub table: String,
    pub chain: String,
}

impl fmt::Display for Doorway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.chain)
    }
}

impl Doorway {
    /// Its table and chain in a ruleset, and the direction whose packets pass it behind AFO's policy; nothing where there is no such base chain.
    pub fn find(&self, ruleset: &Ruleset) -> Option<(usize, usize, Direction)> {
        let is_it = |table: &Table, chain: &Chain| {
            (table.family, &table.name, &chain.name) == (self.family, &self.table, &self.chain)
        };
        ruleset.chains().find_map(|(t, c, chain)| {
            let table = &ruleset.tables[t];
            Some((t, c, direction(table, chain).filter(|_| is_it(table, chain))?))
        })
    }

    /// Whether nft reads its names back as they are: letters, digits, `_`, `.`, `-` and `/`, a letter or `_` first (nft(8), LEXICAL CONVENTIONS).
    pub fn is_plain(&self) -> bool {
        let inside = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        [&self.table, &self.chain].iter().all(|name| name.starts_with(first) && name.chars().all(inside))
    }
}

/// The direction whose packets pass a foreign base chain behind AFO's policy.
fn direction(table: &Table, chain: &Chain) -> Option<Direction> {
    let base = chain.base.as_ref().filter(|base| is_behind(base) && !table.dormant && !is_own(table))?;
    match base.hook {
        Hook::Input => Some(Direction::Input),
        Hook::Forward => Some(Direction::Forward),
        Hook::Output => Some(Direction::Output),
        _ => None,
    }
}

/// The base chains of other programs behind AFO's policy of some directions that have no door before the first rule that may deny; in the
/// order of the listing.
pub fn closed(ruleset: &Ruleset, directions: &BTreeSet<Direction>) -> Vec<Doorway> {
    let mut found = Vec::new();
    for (t, _, chain) in ruleset.chains() {
        let table = &ruleset.tables[t];
        if direction(table, chain).is_some_and(|own| directions.contains(&own)) && denies(table, chain) {
            let (family, table, chain) = (table.family, table.name.clone(), chain.name.clone());
            found.push(Doorway { family, table, chain });
        }
    }
    found
}

/// Whether a base chain may deny something that comes to it, before a door or without one.
fn denies(table: &Table, base: &Chain) -> bool {
    let door = base.lines.iter().position(is_door);
    let mut open = vec![&base.lines[..door.unwrap_or(base.lines.len())]];
    let mut seen = BTreeSet::new();
    while let Some(lines) = open.pop() {
        if lines.iter().any(|line| may_deny(&line.outcome)) {
            return true;
        }
        let names = lines.iter().flat_map(|line| line.outcome.chains()).filter(|name| seen.insert(*name));
        let led = names.filter_map(|name| table.chains.iter().find(|chain| chain.name == name));
        open.extend(led.map(|chain| chain.lines.as_slice()));
    }
    door.is_none() && base.base.as_ref().is_some_and(|base| base.drops)
}

fn may_deny(outcome: &Outcome) -> bool {
    let denies = |verdict: &Verdict| {
        !matches!(verdict, Verdict::Accept | Verdict::Return | Verdict::Continue | Verdict::Jump(_) | Verdict::Goto(_))
    };
    match outcome {
        Outcome::Next => false,
        Outcome::Verdict(verdict) => denies(verdict),
        Outcome::ByKey(keys) => keys.iter().any(|(_, verdict)| denies(verdict)),
        Outcome::Unread(_) => true,
    }
}

/// A door that nobody has put anywhere yet.
pub fn door() -> Option<Line> {
    let bit = Ranges::masked(DOOR.into(), DOOR.into(), Wide::Mark.last())?;
    let outcome = Outcome::Verdict(Verdict::Accept);
    let conditions = vec![Condition::Wide(Wide::Mark, bit)];
    Some(Line { handle: None, comment: None, text: text(), conditions, alters: Vec::new(), outcome })
}

/// A ruleset with doors first in some chains; as it is where such a chain is not there.
pub fn with_doors(ruleset: &Ruleset, ways: &[Doorway]) -> Ruleset {
    let mut opened = ruleset.clone();
    for way in ways {
        if let (Some((table, chain, _)), Some(door)) = (way.find(&opened), door()) {
            opened.tables[table].chains[chain].lines.insert(0, door);
        }
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::ruleset::{Base, ChainKind};

    fn table(name: &str, priority: i64, drops: bool, lines: Vec<Line>) -> Table {
        let base = Base { kind: ChainKind::Filter, hook: Hook::Input, priority, drops, devices: Vec::new() };
        let chain = |name: &str, base, lines| Chain { name: name.to_owned(), handle: None, base, lines };
        let chains = vec![
            chain("in", Some(base), lines),
            chain("sub", None, vec![line(Verdict::Jump("sub".to_owned())), line(Verdict::Drop)]),
        ];
        Table { family: TableFamily::Inet, name: name.to_owned(), dormant: false, chains, sets: Vec::new() }
    }

    fn line(verdict: Verdict) -> Line {
        Line {
            conditions: Vec::new(),
            text: String::new(),
            outcome: Outcome::Verdict(verdict),
            ..door().expect("a door")
        }
    }

    fn found(tables: Vec<Table>) -> Vec<String> {
        let ruleset = Ruleset { tables, ..Ruleset::default() };
        let found = closed(&ruleset, &BTreeSet::from([Direction::Input]));
        assert!(closed(&with_doors(&ruleset, &found), &BTreeSet::from([Direction::Input])).is_empty());
        assert!(closed(&ruleset, &BTreeSet::from([Direction::Output])).is_empty());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn chains_that_may_deny_behind_the_policy_are_closed() {
        let jump = || line(Verdict::Jump("sub".to_owned()));
        let none: Vec<String> = Vec::new();
        assert_eq!(found(vec![table("a", 0, true, vec![]), table("b", 0, false, vec![])]), ["inet a in"]);
        assert_eq!(found(vec![table("a", 0, false, vec![jump()])]), ["inet a in"]);
        assert_eq!(found(vec![table("a", 0, true, vec![door().expect("a door"), jump()])]), none);
        assert_eq!(found(vec![table("a", 0, false, vec![jump(), door().expect("a door")])]), ["inet a in"]);
        assert_eq!(found(vec![table("a", -5, true, vec![]), table("afo", 0, true, vec![])]), none);
        assert_eq!(found(vec![Table { dormant: true, ..table("a", 0, true, vec![]) }]), none);
    }

    #[test]
    fn names_that_nft_would_read_otherwise_are_not_plain() {
        let way = |table: &str, chain: &str| Doorway {
            family: TableFamily::Inet,
            table: table.to_owned(),
            chain: chain.to_owned(),
        };
        assert!(way("filter", "ufw-in/x.1_").is_plain());
        for chain in ["", "1a", "a b", "a;drop", "a\"b", "-a"] {
            assert!(!way("filter", chain).is_plain(), "{chain}");
        }
    }
}
