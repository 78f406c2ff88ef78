//! The door: one rule of another program's chain that accepts what AFO has accepted before, known by a bit of the packet's mark.
//!
//! An accept ends one base chain and not the way, so an allow of AFO's is only true where no later chain drops the packet. A person puts
//! the door there once; it accepts nothing by itself, because AFO's chains clear the bit before any of their rules sets it.

use super::ruleset::{
    Alteration, At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, TableFamily, Verdict,
};
use super::unread::bit_of;
use crate::packet::{Cell, Ranges, Wide};

/// The bit of the packet mark that AFO's accepts set.
pub const DOOR: u32 = 0x1000_0000;
/// Where AFO's policy stands among the base chains of a filter hook: what comes later meets what it has marked.
pub const PRIORITY: i32 = -5;
/// AFO's own table.
const OWN: &str = "afo";
/// What the text of a line begins with that stands for what a door lets through.
const THROUGH: &str = "through AFO's door: ";

/// What an accept of AFO's does to the mark, and what each of its chains does first.
pub const MARKS: Alteration = Alteration::MarkBits { kept: u32::MAX, set: DOOR };
const CLEARS: Alteration = Alteration::MarkBits { kept: !DOOR, set: 0 };

/// A door as nft writes it.
pub fn text() -> String {
    format!("meta mark & {DOOR:#x} == {DOOR:#x} accept")
}

/// Whether a chain stands where packets come that AFO's policy has marked.
pub(super) fn is_behind(base: &Base) -> bool {
    base.kind == ChainKind::Filter && base.priority > PRIORITY.into()
}

pub(super) fn is_own(table: &super::ruleset::Table) -> bool {
    table.family == TableFamily::Inet && table.name == OWN
}

/// Whether a line accepts what carries the bit, and nothing else.
pub fn is_door(line: &Line) -> bool {
    let bit = Ranges::masked(DOOR.into(), DOOR.into(), Wide::Mark.last());
    let asks = match line.conditions.as_slice() {
        [Condition::Wide(Wide::Mark, values)] => bit.as_ref() == Some(values),
        _ => false,
    };
    asks && line.alters.is_empty() && line.outcome == Outcome::Verdict(Verdict::Accept)
}

/// The doors of a ruleset, each with the hook that leads to it; none where it is led to from several.
pub fn doors(ruleset: &Ruleset) -> Vec<(At, Hook)> {
    let foreign = |at: &At| !is_own(&ruleset.tables[at.table]);
    let found = ruleset.lines().filter(|(at, line)| foreign(at) && is_door(line)).map(|(at, _)| at);
    found.filter_map(|at| Some((at, hook(ruleset, at)?))).collect()
}

/// The one filter hook from which packets come to a line behind AFO's policy: its own base chain's, or that of the base chains which lead to its
/// chain.
fn hook(ruleset: &Ruleset, at: At) -> Option<Hook> {
    let table = &ruleset.tables[at.table];
    let own = &table.chains[at.chain];
    let leads = |chain: &&Chain| chain.lines.iter().any(|line| line.outcome.chains().any(|name| name == own.name));
    let from: Vec<&Chain> = if own.base.is_some() { vec![own] } else { table.chains.iter().filter(leads).collect() };
    let mut hooks = from.iter().map(|chain| chain.base.as_ref().filter(|base| is_behind(base)).map(|base| base.hook));
    let first = hooks.next()??;
    (hooks.all(|hook| hook == Some(first)) && !table.dormant).then_some(first)
}

/// A rule of another program's that looks at the bit or may change it, in words: then AFO does not use it.
pub fn taken(ruleset: &Ruleset) -> Option<String> {
    let (at, line) = ruleset.lines().find(|(at, line)| {
        let other = !is_own(&ruleset.tables[at.table]) && !is_door(line) && !is_through(line);
        other && (changes(line) || line.conditions.iter().any(asks))
    })?;
    let table = &ruleset.tables[at.table];
    Some(format!("{} {} {}: {}", table.family, table.name, table.chains[at.chain].name, line.text))
}

fn changes(line: &Line) -> bool {
    line.alters.iter().any(|change| match change {
        Alteration::MarkBits { kept, set } => kept & DOOR == 0 || set & DOOR != 0,
        other => other.field() == "meta mark",
    })
}

fn asks(condition: &Condition) -> bool {
    match condition {
        Condition::Wide(Wide::Mark, values) => !is_indifferent(values),
        Condition::Unread(unread) => match bit_of(unread) {
            Some(bit) => bit & DOOR != 0,
            None => unread.text.contains("mark") && !unread.text.contains("ct mark"),
        },
        Condition::AnyOf(cells) => cells.iter().any(|cell| !is_indifferent(cell.wide(Wide::Mark))),
        _ => false,
    }
}

/// Whether marks are among some values with the bit and without it alike.
fn is_indifferent(values: &Ranges) -> bool {
    let half = |value: u32| Ranges::masked(DOOR.into(), value.into(), Wide::Mark.last()).map(|half| half.and(values));
    let (Some(with), Some(without)) = (half(DOOR), half(0)) else { return false };
    let cleared = with.as_slice().iter().map(|(first, last)| (first - u128::from(DOOR), last - u128::from(DOOR)));
    Ranges::of(cleared) == without
}

/// Whether an accept of AFO's goes through doors.
fn is_marked(line: &Line) -> bool {
    line.alters.contains(&MARKS) && line.outcome == Outcome::Verdict(Verdict::Accept)
}

/// A ruleset in which each door is what it lets through: the accepts of AFO's that mark, in their order. What carries the mark when it comes
/// to a door was accepted by one of them at the same hook, and what was is accepted by its copy.
pub fn opened(ruleset: Ruleset) -> Ruleset {
    let doors = doors(&ruleset);
    if doors.is_empty() {
        return ruleset;
    }
    let mut opened = ruleset;
    // From the last on, so that the places of the others stay.
    for (at, hook) in doors.into_iter().rev() {
        let copies = accepted(&opened, hook);
        let chain = &mut opened.tables[at.table].chains[at.chain];
        chain.lines.retain(|line| !is_through(line));
        let place = chain.lines.iter().position(is_door).unwrap_or(0);
        chain.lines.splice(place..place, copies);
    }
    for table in opened.tables.iter_mut().filter(|table| is_own(table)) {
        for chain in &mut table.chains {
            chain.lines.retain(|line| line.alters != [CLEARS]);
            chain.lines.iter_mut().for_each(|line| line.alters.retain(|change| *change != MARKS));
        }
    }
    opened
}

/// What AFO's generation in force accepts at a hook, as lines for another chain.
fn accepted(ruleset: &Ruleset, hook: Hook) -> Vec<Line> {
    let own = ruleset.tables.iter().filter(|table| is_own(table)).flat_map(|table| {
        let bases = table.chains.iter().filter(|chain| {
            chain.base.as_ref().is_some_and(|base| base.hook == hook && base.kind == ChainKind::Filter)
        });
        let lines = bases.flat_map(|chain| &chain.lines).filter(|line| line.conditions.is_empty());
        let led = lines.flat_map(|line| line.outcome.chains());
        led.filter_map(|name| table.chains.iter().find(|chain| chain.name == name)).flat_map(|chain| &chain.lines)
    });
    let own: Vec<&Line> = own.collect();
    let spared = own.iter().find_map(|line| spares(line));
    own.into_iter().filter(|line| is_marked(line)).map(|line| through(line, spared.clone())).collect()
}

/// What a generation leaves alone from its beginning, loopback, as the condition of what it does not.
fn spares(line: &Line) -> Option<Condition> {
    match (line.conditions.as_slice(), &line.outcome) {
        ([Condition::Wide(field, values)], Outcome::Verdict(Verdict::Return)) => {
            Some(Condition::Wide(*field, field.all().minus(values)))
        }
        _ => None,
    }
}

/// A line of AFO's as what a door lets through of it.
pub fn through(line: &Line, more: Option<Condition>) -> Line {
    let conditions = more.into_iter().chain(line.conditions.iter().cloned()).collect();
    Line { handle: None, text: format!("{THROUGH}{}", line.text), alters: Vec::new(), conditions, ..line.clone() }
}

/// Packets without those that a door lets through because somebody else has marked them, where there are others.
pub fn unmarked(cells: &[Cell]) -> Vec<Cell> {
    let Some(bit) = Ranges::masked(DOOR.into(), DOOR.into(), Wide::Mark.last()) else { return cells.to_vec() };
    let kept = cells.iter().map(|cell| {
        let mut own = cell.clone();
        own.keep_wide(Wide::Mark, &Wide::Mark.all().minus(&bit));
        own
    });
    let kept: Vec<Cell> = kept.filter(|cell| !cell.is_empty()).collect();
    if kept.is_empty() { cells.to_vec() } else { kept }
}

/// Whether a line stands for what a door lets through.
pub fn is_through(line: &Line) -> bool {
    line.text.starts_with(THROUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(conditions: Vec<Condition>, alters: Vec<Alteration>) -> Line {
        let outcome = Outcome::Verdict(Verdict::Accept);
        Line { handle: None, comment: None, text: "x".to_owned(), conditions, alters, outcome }
    }

    fn mark(mask: u32, value: u32) -> Condition {
        Condition::Wide(Wide::Mark, Ranges::masked(mask.into(), value.into(), Wide::Mark.last()).expect("ranges"))
    }

    #[test]
    fn the_bit_is_taken_where_a_rule_looks_at_it_or_may_change_it() {
        assert!(is_door(&line(vec![mark(DOOR, DOOR)], vec![])));
        assert!(!is_door(&line(vec![mark(DOOR, 0)], vec![])) && !is_door(&line(vec![], vec![])));
        assert!(asks(&mark(DOOR, 0)) && asks(&mark(u32::MAX, 1)) && asks(&mark(0xf000_0000, 0x1000_0000)));
        assert!(!asks(&mark(0xe000_0000, 0x2000_0000)) && !asks(&Condition::Wide(Wide::Mark, Wide::Mark.all())));
        let set = |change| changes(&line(vec![], vec![change]));
        assert!(
            set(Alteration::Mark(1)) && set(MARKS) && set(CLEARS) && set(Alteration::Field("meta mark".to_owned()))
        );
        assert!(!set(Alteration::MarkBits { kept: u32::MAX, set: 0x4000 }) && !set(Alteration::Untracked));
    }
}
