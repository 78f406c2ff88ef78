//! What two rulesets do differently, as sets of packets; or the proof that there is no such packet.
//!
//! Steps that both have, in the same order, cannot make a difference by themselves: only the packets of the other steps are
//! followed through both.

mod align;
mod moved;
#[cfg(test)]
mod tests;

use super::Budget;
use super::classes::{Pieces, more_words};
use super::program::{End, Unlaid};
use super::ways::{Exhausted, Fated, Flow, Laid, Luck, Meter, Terms, coming, left_out, possible};
use crate::packet::Cell;
use crate::record::Answer;
use crate::rule::Direction;
use crate::rule::evaluate::{By, Fate};
use crate::rule::ruleset::{Ruleset, Table};
use moved::{Moved, Pair, moved};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How much is wanted of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One packet that is treated otherwise, if there is one.
    Witness,
    /// All of them, as classes.
    Classes,
}

/// Pieces of packets that differ, at most: beyond, the answer is not whole.
const MOST: usize = 20_000;

/// Compares what becomes of IP packets in two rulesets.
///
/// `verdict` is `equal`, `different`, or `unknown` where what was not read makes the only difference or the search was given up.
pub fn diff(before: &Ruleset, after: &Ruleset, wanted: Wanted, budget: Budget) -> Answer {
    let mut terms = Terms::default();
    let compared = compare(before, after, wanted, budget, &mut terms);
    answer(compared, &terms, (before, after), wanted)
}

/// What a comparison found.
pub(super) struct Compared {
    pub(super) pieces: Pieces,
    /// What was not compared, and why.
    pub(super) open: Vec<String>,
    /// Translations of which nobody knows whether they lead to the same place.
    pub(super) elsewhere: BTreeSet<String>,
    /// The packets that there can be.
    possible: Vec<(Direction, Cell)>,
}

/// Compares two rulesets; what conditions stand for is noted in `terms`.
pub(super) fn compare(
    before: &Ruleset,
    after: &Ruleset,
    wanted: Wanted,
    budget: Budget,
    terms: &mut Terms,
) -> Compared {
    let one_language = before.backend == after.backend;
    let mut comparing = Comparing {
        meter: Meter::new(budget.steps),
        wanted,
        pieces: Pieces::default(),
        one_language,
        open: BTreeSet::new(),
    };
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for direction in Direction::ALL.iter().copied() {
        let possible = possible(direction, &[before, after]);
        let laid = Laid::new(before, direction, terms).and_then(|a| Ok((a, Laid::new(after, direction, terms)?)));
        match laid {
            Err(why) => open.push(not_laid(direction, &why)),
            Ok(_) if comparing.is_done() => {}
            Ok((a, b)) => {
                // What one of the two puts together and the other does not is no packet of both.
                let there = coming(before, direction, &possible);
                let there: Vec<_> = there.iter().flat_map(|cell| coming(after, direction, cell)).collect();
                // A way that takes too long leaves the others their steps.
                comparing.meter = Meter::new(budget.steps);
                let (only_a, only_b) = align::unlike(&a, &b);
                let regions = regions(&there, (&a, &only_a), (&b, &only_b));
                let shared = align::share_luck(&a, &b, (&only_a, &only_b));
                // Laid out before, it is laid out again.
                let own = (!shared).then(|| Laid::with_luck(after, direction, terms, Luck::Own).ok()).flatten();
                if comparing.way(regions, &a, own.as_ref().unwrap_or(&b)).is_err() {
                    open.push(format!("{direction} packets: {}", budget.undecided("what else differs")));
                }
            }
        }
        all.push((direction, possible));
    }
    open.extend(unread(before, after));
    Compared { pieces: comparing.pieces, open, elsewhere: comparing.open, possible: all }
}

fn not_laid(direction: Direction, why: &Unlaid) -> String {
    format!("{direction} packets: not compared: {why}")
}

/// Objects that were not understood and are not the same in both.
fn unread(before: &Ruleset, after: &Ruleset) -> Vec<String> {
    let of = |ruleset: &Ruleset| {
        let mut all: Vec<String> = ruleset.unread.iter().map(|text| format!("not understood: {text}")).collect();
        all.extend(left_out(ruleset));
        all
    };
    let (a, b) = (of(before), of(after));
    let same = a == b && others(before) == others(after);
    if same { Vec::new() } else { a.into_iter().chain(b).collect() }
}

/// The tables that packets other than those of IP pass, without the numbers that the kernel gives.
fn others(ruleset: &Ruleset) -> Vec<Table> {
    let mut tables: Vec<_> =
        ruleset.tables.iter().filter(|table| table.family.packets().contains(2)).cloned().collect();
    for table in &mut tables {
        table.sets.iter_mut().for_each(|set| set.handle = None);
        for chain in &mut table.chains {
            chain.handle = None;
            chain.lines.iter_mut().for_each(|line| line.handle = None);
        }
    }
    tables
}

/// What an answer that two rulesets are equal rests on beside packets.
fn word_by_word(ruleset: &Ruleset) -> Vec<String> {
    let tables = left_out(ruleset).into_iter().filter_map(|text| Some(text.split_once(':')?.0.to_owned()));
    tables.map(|table| format!("{table}: the same rule by rule; no packet of it was judged")).collect()
}

struct Comparing {
    meter: Meter,
    wanted: Wanted,
    pieces: Pieces,
    /// Whether both rulesets were read from the same language.
    one_language: bool,
    /// Translations of which nobody knows whether they are the same.
    open: BTreeSet<String>,
}

impl Comparing {
    /// Whether one packet is wanted and was found. What depends on nothing else is the better one to try.
    fn is_done(&self) -> bool {
        self.wanted == Wanted::Witness && self.pieces.has_plain()
    }

    fn way(&mut self, regions: Vec<Cell>, a: &Laid, b: &Laid) -> Result<(), Exhausted> {
        for region in apart(regions, &mut self.meter)? {
            self.region(&region, a, b)?;
            if self.is_done() {
                break;
            }
        }
        Ok(())
    }

    fn region(&mut self, region: &Cell, a: &Laid, b: &Laid) -> Result<(), Exhausted> {
        let mut meter = self.meter;
        a.follow(std::slice::from_ref(region), &mut meter, &mut |one, meter| {
            b.follow(std::slice::from_ref(&one.cell), meter, &mut |two, _| self.part(&one, two, a, b))?;
            Ok(if self.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        self.meter = meter;
        Ok(())
    }

    fn part(&mut self, one: &Fated, two: Fated, a: &Laid, b: &Laid) -> Flow {
        if let Some(change) = change(one.fate, two.fate) {
            self.add(change, a.direction, two.cell, (a.by(one.by), b.by(two.by)))?;
        } else if two.fate.passes() {
            self.translated(one, &two, a, b)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn add(&mut self, change: &'static str, direction: Direction, cell: Cell, by: (By, By)) -> Result<(), Exhausted> {
        if self.pieces.len() >= MOST {
            return Err(Exhausted);
        }
        self.pieces.add(change, direction, cell, Some(by.0), by.1);
        Ok(())
    }

    /// Notes packets that both let through, to other places.
    fn translated(&mut self, one: &Fated, two: &Fated, a: &Laid, b: &Laid) -> Result<(), Exhausted> {
        let mut rest = vec![two.cell.clone()];
        for end in [End::Destination, End::Source] {
            let steps = [one.turned[end as usize], two.turned[end as usize]];
            let pair = [a.translation(steps[0]), b.translation(steps[1])];
            for cell in std::mem::take(&mut rest) {
                let Moved { apart, open } = moved(&cell, pair, end, self.one_language);
                rest.extend(
                    apart.iter().fold(vec![cell], |left, gone| left.iter().flat_map(|c| c.minus(gone)).collect()),
                );
                for cell in apart {
                    self.add("translated_otherwise", a.direction, cell, (a.by(steps[0]), b.by(steps[1])))?;
                }
                if open {
                    self.open.insert(not_compared(a.direction, pair));
                }
            }
        }
        Ok(())
    }
}

/// That two translations have other words, and nobody knows whether they mean the same.
fn not_compared(direction: Direction, pair: Pair) -> String {
    let [a, b] = pair.map(|one| one.map_or("no translation".to_owned(), |to| format!("`{}`", to.text)));
    format!("{direction} packets: whether {a} and {b} lead to the same place is not known")
}

/// The name of a change of fate.
fn change(before: Fate, after: Fate) -> Option<&'static str> {
    match (before, after) {
        (Fate::Accepted, Fate::Accepted) | (Fate::Dropped, Fate::Dropped) | (Fate::Rejected, Fate::Rejected) => None,
        (Fate::Dropped | Fate::Rejected, Fate::Accepted) => Some("newly_accepted"),
        (Fate::Accepted, Fate::Dropped) => Some("newly_dropped"),
        (Fate::Accepted, Fate::Rejected) => Some("newly_rejected"),
        (Fate::Dropped, Fate::Rejected) => Some("rejected_instead_of_dropped"),
        (Fate::Rejected, Fate::Dropped) => Some("dropped_instead_of_rejected"),
    }
}

/// The packets of the steps that only one of the two has.
fn regions(there: &[Cell], (a, only_a): (&Laid, &[usize]), (b, only_b): (&Laid, &[usize])) -> Vec<Cell> {
    let packets = |laid: &Laid, step: usize| match laid.alters(step) {
        // What is changed before all was asked for is changed of packets that do not match, too.
        Some(altered) if altered.early.is_some() => Cell::all(),
        _ => stripped(&laid.program.steps[step].cell),
    };
    let cells = only_a.iter().map(|n| packets(a, *n)).chain(only_b.iter().map(|n| packets(b, *n)));
    cells.flat_map(|cell| there.iter().filter_map(|own| cell.and(own)).collect::<Vec<_>>()).collect()
}

/// A cell without its conditions with numbers.
fn stripped(cell: &Cell) -> Cell {
    let mut plain = cell.clone();
    plain.drop_atoms();
    plain
}

/// Pieces that are cut in one step.
const PIECES: usize = 16;

/// The same packets as cells that share none.
fn apart(mut cells: Vec<Cell>, meter: &mut Meter) -> Result<Vec<Cell>, Exhausted> {
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.magnitude()));
    let mut found: Vec<Cell> = Vec::new();
    for cell in cells {
        let mut rest = vec![cell];
        for other in &found {
            if rest.iter().any(|cell| !cell.is_disjoint(other)) {
                // What is in many pieces takes as much longer.
                for _ in rest.chunks(PIECES) {
                    meter.spend()?;
                }
                rest = rest.iter().flat_map(|cell| cell.minus(other)).collect();
            }
        }
        found.extend(rest);
    }
    Ok(found)
}

fn answer(compared: Compared, terms: &Terms, (before, after): (&Ruleset, &Ruleset), wanted: Wanted) -> Answer {
    let Compared { pieces, mut open, elsewhere, possible } = compared;
    open.extend(elsewhere);
    let sure = pieces.has_sure(terms);
    let pieces = if wanted == Wanted::Witness { pieces.plainest() } else { pieces };
    let possible = |direction| possible.iter().find(|(d, _)| *d == direction).map(|(_, cell)| cell.clone());
    let (mut classes, more) = pieces.classes(terms, (Some(before), after), &possible);
    let (verdict, text) = match (sure, classes.is_empty() && open.is_empty()) {
        (true, _) if wanted == Wanted::Witness => ("different", "they treat a packet differently".to_owned()),
        (true, _) if classes.len() == 1 => ("different", "1 class of packets is treated differently".to_owned()),
        (true, _) => ("different", format!("{} classes of packets are treated differently", classes.len() + more)),
        (false, true) => ("equal", "no packet is treated differently".to_owned()),
        (false, false) => ("unknown", "whether they differ is not known".to_owned()),
    };
    let mut packet = None;
    if wanted == Wanted::Witness {
        classes.sort_by_key(|class| class.verdict == "unknown");
        classes.truncate(1);
        packet = classes.first().filter(|_| sure).and_then(|class| class.example.clone());
    }
    let words = if verdict == "equal" { word_by_word(after) } else { Vec::new() };
    let evidence = more_words(more).into_iter().chain(open).chain(words).collect();
    Answer { text, evidence, packet, verdict: Some(verdict.to_owned()), classes, ..Answer::default() }
}
