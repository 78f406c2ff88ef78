//! Whether an accept of AFO's is the last word. A look at every rule, not a search: where it says no, each accept is judged by itself.

use super::placing::{BLOCKS, POLICY};
use super::view::OWN;
use crate::rule::door::{doors, is_through, taken};
use crate::rule::ruleset::{Chain, Line, Outcome, Ruleset, Table, TableFamily, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Whether nothing beside AFO's own table may deny a packet that AFO has accepted, translate it or change what rules ask of it, and nothing
/// in AFO's changes or translates one: what a rule of AFO's accepts then goes through. Behind the door of a chain comes nothing that AFO
/// has accepted.
pub fn accepts_are_final(ruleset: &Ruleset) -> bool {
    let doors = first_doors(ruleset);
    ruleset.unread.is_empty()
        && ruleset.tables.iter().enumerate().all(|(n, table)| match is_own(table) {
            true => table.chains.iter().all(spares_own),
            false => spares(table, |chain| doors.get(&(n, chain)).copied()),
        })
}

fn is_own(table: &Table) -> bool {
    table.family == TableFamily::Inet && table.name == OWN
}

/// The base chains that begin with a door, and how many lines stand before it in which AFO's accepts are copied.
fn first_doors(ruleset: &Ruleset) -> BTreeMap<(usize, usize), usize> {
    if taken(ruleset).is_some() {
        return BTreeMap::new();
    }
    let places = doors(ruleset).into_iter().map(|(at, _)| at);
    let first = places.filter(|at| {
        let chain = &ruleset.tables[at.table].chains[at.chain];
        chain.base.is_some() && chain.lines[..at.line].iter().all(is_through)
    });
    first.map(|at| ((at.table, at.chain), at.line)).collect()
}

/// Whether a chain of AFO's own table lets through what it accepts. Somebody else's base chain there may stand behind AFO's.
fn spares_own(chain: &Chain) -> bool {
    let placed = POLICY.iter().chain(&BLOCKS).any(|name| chain.name == *name);
    let passes = chain.base.as_ref().is_none_or(|base| !base.drops && placed);
    passes && chain.lines.iter().all(|line| line.alters.is_empty() && leads(line, true))
}

/// Whether nothing that another program's table does to packets of its base chains denies or changes one, up to their doors.
fn spares(table: &Table, door: impl Fn(usize) -> Option<usize>) -> bool {
    let (mut open, mut seen) = (Vec::new(), BTreeSet::new());
    for (n, chain) in table.chains.iter().enumerate() {
        let Some(base) = &chain.base else { continue };
        let door = door(n);
        if base.drops && door.is_none() {
            return false;
        }
        open.push(&chain.lines[..door.unwrap_or(chain.lines.len())]);
    }
    while let Some(lines) = open.pop() {
        if !lines.iter().all(|line| line.alters.is_empty() && leads(line, false)) {
            return false;
        }
        let names = lines.iter().flat_map(|line| line.outcome.chains()).filter(|name| seen.insert(*name));
        let led = names.filter_map(|name| table.chains.iter().find(|chain| chain.name == name));
        open.extend(led.map(|chain| chain.lines.as_slice()));
    }
    true
}

/// Whether all that a line does is to lead packets on; in AFO's own table, `own`, it may deny them too.
fn leads(line: &Line, own: bool) -> bool {
    let fine = |verdict: &Verdict| match verdict {
        Verdict::Accept | Verdict::Return | Verdict::Continue | Verdict::Jump(_) | Verdict::Goto(_) => true,
        Verdict::Drop | Verdict::Reject => own,
        _ => false,
    };
    match &line.outcome {
        Outcome::Next => true,
        Outcome::Verdict(verdict) => fine(verdict),
        Outcome::ByKey(keys) => keys.iter().all(|(_, verdict)| fine(verdict)),
        Outcome::Unread(_) => false,
    }
}
