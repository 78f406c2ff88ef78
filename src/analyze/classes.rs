//! Packets that get the same answer, gathered into few classes that can be read, each with an example and the rules that decide.

use super::cells::Atoms;
use super::ways::Terms;
use super::words::{class, place};
use crate::packet::{Cell, Narrow, Ranges, Wide, joined};
use crate::record::{FateClass, Place};
use crate::rule::evaluate::{By, evaluate};
use crate::rule::ruleset::{At, Ruleset};
use crate::rule::{Direction, Packet};
use std::collections::BTreeSet;

/// More cells than this are not tried for joining, which takes more than the square of their number.
const JOINED: usize = 600;

/// More classes than this are counted, not told.
const TOLD: usize = 200;

/// That there are more classes than are told.
pub(super) fn more_words(more: usize) -> Option<String> {
    (more > 0).then(|| format!("{more} smaller classes are not listed"))
}

/// Packets that get one answer.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) verdict: &'static str,
    pub(super) direction: Direction,
    pub(super) cell: Cell,
    /// What decides in the first of two rulesets.
    pub(super) before: Option<By>,
    pub(super) by: By,
    /// The conditions with numbers that the answer depends on, where it is not known.
    terms: Vec<u32>,
    /// Where other rules decide about some of them: a packet that shows it, and how many rules these are at most.
    shown: Option<(Packet, usize)>,
    /// The words of what translates where they go to.
    led: Option<String>,
}

impl Piece {
    /// Whether it depends on nothing but the packet.
    fn is_plain(&self) -> bool {
        self.cell.atoms().is_empty()
    }
}

/// Sets of packets with an answer each.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    /// Adds packets that get an answer, and what decides about them, in the first of two rulesets too.
    pub(super) fn add(&mut self, verdict: &'static str, direction: Direction, cell: Cell, before: Option<By>, by: By) {
        self.0.push(Piece {
            verdict,
            direction,
            cell: whole_families(cell),
            before,
            by,
            terms: Vec::new(),
            shown: None,
            led: None,
        });
    }

    /// Adds packets of which nobody knows what becomes of them, as conditions with numbers decide; with what leads them on, if they are.
    pub(super) fn add_open(&mut self, direction: Direction, cell: Cell, by: By, terms: Vec<u32>, led: Option<String>) {
        let (verdict, cell) = ("unknown", whole_families(cell));
        self.0.push(Piece { verdict, direction, cell, before: None, by, terms, shown: None, led });
    }

    /// Adds packets that get an answer after they were led on.
    pub(super) fn add_led(
        &mut self,
        verdict: &'static str,
        direction: Direction,
        cell: Cell,
        by: By,
        led: Option<String>,
    ) {
        let cell = whole_families(cell);
        self.0.push(Piece { verdict, direction, cell, before: None, by, terms: Vec::new(), shown: None, led });
    }

    /// Adds packets that get an answer as far as no other rules decide: a packet that does, and how many rules these are at most.
    pub(super) fn add_shown(
        &mut self,
        verdict: &'static str,
        direction: Direction,
        cell: Cell,
        by: By,
        shown: (Packet, usize),
    ) {
        let cell = whole_families(cell);
        self.0.push(Piece {
            verdict,
            direction,
            cell,
            before: None,
            by,
            terms: Vec::new(),
            shown: Some(shown),
            led: None,
        });
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The answers that a packet gets.
    #[cfg(test)]
    pub(super) fn of(&self, packet: &Packet) -> Vec<&'static str> {
        let own = self.0.iter().filter(|p| p.direction == packet.direction && packet.is_in(&p.cell));
        own.map(|piece| piece.verdict).collect()
    }

    /// The pieces that no unread condition makes doubtful.
    pub(super) fn sure(&self, terms: &Terms) -> impl Iterator<Item = &Piece> {
        self.0.iter().filter(|piece| is_sure(&piece.cell, terms))
    }

    /// Whether there is a piece that no unread condition makes doubtful.
    pub(super) fn has_sure(&self, terms: &Terms) -> bool {
        self.sure(terms).next().is_some()
    }

    /// Whether there is a piece that depends on nothing but the packet.
    pub(super) fn has_plain(&self) -> bool {
        self.0.iter().any(Piece::is_plain)
    }

    /// Those alone that depend on nothing but the packet, where there are any.
    #[must_use]
    pub(super) fn plainest(mut self) -> Self {
        if self.has_plain() {
            self.0.retain(Piece::is_plain);
        }
        self
    }

    /// The classes, by answer, the largest first, and how many smaller ones are not told. `base` is what a direction was asked about: what it says is not repeated.
    pub(super) fn classes(
        &self,
        terms: &Terms,
        (before, ruleset): (Option<&Ruleset>, &Ruleset),
        base: &dyn Fn(Direction) -> Option<Cell>,
    ) -> (Vec<FateClass>, usize) {
        let groups: BTreeSet<_> = self.0.iter().map(|p| (p.verdict, p.direction, &p.terms, &p.led)).collect();
        let mut sized = Vec::new();
        for (verdict, direction, depends, led) in groups {
            let same = |p: &&Piece| (p.verdict, p.direction, &p.terms, &p.led) == (verdict, direction, depends, led);
            let own: Vec<&Piece> = self.0.iter().filter(same).collect();
            let cells = without_atoms(own.iter().map(|piece| piece.cell.clone()).collect());
            let base = base(direction);
            for cell in fewer(cells) {
                let sure = is_sure(&cell, terms);
                let told = Told {
                    direction,
                    cell: &cell,
                    own: &own,
                    depends,
                    led: led.as_deref(),
                    terms,
                    base: base.as_ref(),
                };
                sized.push((
                    std::cmp::Reverse(sure),
                    std::cmp::Reverse(cell.magnitude()),
                    told.class(verdict, sure, before, ruleset),
                ));
            }
        }
        sized.sort_by_key(|(sure, size, _)| (*sure, *size));
        let more = sized.len().saturating_sub(TOLD);
        sized.truncate(TOLD);
        sized.sort_by(|a, b| (&a.2.verdict, a.0, a.1, &a.2.text).cmp(&(&b.2.verdict, b.0, b.1, &b.2.text)));
        (sized.into_iter().map(|(_, _, class)| class).collect(), more)
    }
}

fn is_sure(cell: &Cell, terms: &Terms) -> bool {
    !cell.atoms().iter().any(|(atom, _)| terms.is_unread(*atom))
}

/// The same packets in fewer cells, both families in one where they can be.
fn fewer(cells: Vec<Cell>) -> Vec<Cell> {
    if cells.len() > JOINED {
        return cells;
    }
    joined(joined(cells).into_iter().map(whole_families).collect())
}

/// The smallest product that holds all cells: what is the same in all of them, once.
pub(super) fn hull(cells: &[Cell]) -> Option<Cell> {
    let mut all = cells.iter().cloned().map(whole_families);
    let first = all.next()?;
    Some(all.fold(first, |mut hull, cell| {
        for field in Wide::ALL {
            let both = hull.wide(field).or(cell.wide(field));
            hull = hull.with_wide(field, both);
        }
        for field in Narrow::ALL {
            let both = hull.narrow(field).or(cell.narrow(field));
            hull = hull.with_narrow(field, both);
        }
        hull
    }))
}

/// Without the bound that each IPv4 address has, so that both families can be one class.
fn whole_families(mut cell: Cell) -> Cell {
    for field in [Wide::Source, Wide::Destination] {
        if cell.wide(field).as_slice() == [(0, u128::from(u32::MAX))] {
            cell = cell.with_wide(field, field.all());
        }
    }
    cell
}

/// Cells that differ only in whether one condition holds are one without it.
fn without_atoms(mut cells: Vec<Cell>) -> Vec<Cell> {
    if cells.len() > JOINED {
        return cells;
    }
    let mut at = 0;
    while at < cells.len() {
        let partner = (at + 1..cells.len()).find_map(|other| Some((other, without_atom(&cells[at], &cells[other])?)));
        match partner {
            Some((other, one)) => {
                cells.swap_remove(other);
                cells[at] = one;
                at = 0;
            }
            None => at += 1,
        }
    }
    cells
}

fn without_atom(a: &Cell, b: &Cell) -> Option<Cell> {
    let turned: Vec<_> = a.atoms().iter().zip(b.atoms()).filter(|(x, y)| x != y).collect();
    let [((x, _), (y, _))] = turned.as_slice() else { return None };
    let (mut one, mut two) = (a.clone(), b.clone());
    if a.atoms().len() != b.atoms().len() || x != y {
        return None;
    }
    one.drop_atoms();
    two.drop_atoms();
    if one != two {
        return None;
    }
    for (atom, holds) in a.atoms().iter().filter(|(atom, _)| atom != x) {
        one.keep_atom(*atom, *holds);
    }
    Some(one)
}

/// One class, to be told.
struct Told<'a> {
    direction: Direction,
    cell: &'a Cell,
    own: &'a [&'a Piece],
    depends: &'a [u32],
    led: Option<&'a str>,
    terms: &'a Terms,
    base: Option<&'a Cell>,
}

impl Told<'_> {
    fn class(&self, verdict: &'static str, sure: bool, before: Option<&Ruleset>, ruleset: &Ruleset) -> FateClass {
        let shown = || self.own.iter().filter_map(|piece| Some((piece, piece.shown.as_ref()?)));
        let shown = || shown().filter(|(_, (packet, _))| packet.is_in(self.cell));
        let first = shown().next();
        let example = first.map(|(_, (packet, _))| packet.clone()).or_else(|| self.example());
        let piece = || example.as_ref().and_then(|packet| self.own.iter().find(|piece| packet.is_in(&piece.cell)));
        let piece = first.map(|(piece, _)| piece).or_else(piece);
        let but = match shown().map(|(_, (_, rivals))| *rivals).max() {
            None | Some(0) => String::new(),
            Some(1) => ", except what another rule decides".to_owned(),
            Some(rivals) => format!(", except what up to {rivals} other rules decide"),
        };
        let by = |ruleset: &Ruleset, by: By| decider(ruleset, by, example.as_ref());
        let text = self.text() + &but;
        FateClass {
            text: if sure { text } else { format!("{text} would be {}", verdict.replace('_', " ")) },
            verdict: if sure { verdict } else { "unknown" }.to_owned(),
            example: example.as_ref().map(ToString::to_string),
            by: piece.and_then(|piece| by(ruleset, piece.by)),
            before: piece.and_then(|piece| by(before?, piece.before?)),
        }
    }

    /// A packet of it, one of a family that people know if there is one.
    fn example(&self) -> Option<Packet> {
        let known =
            self.base.map_or_else(|| self.cell.clone(), |base| self.cell.and(base).unwrap_or(self.cell.clone()));
        known.by_family().iter().find_map(|cell| Packet::from_cell(self.direction, cell))
    }

    fn text(&self) -> String {
        let mut plain = self.cell.clone();
        plain.drop_atoms();
        for field in Wide::ALL {
            let values = self.base.map(|base| widened(plain.wide(field), base.wide(field), &field.all()));
            plain = values.map_or(plain.clone(), |values| plain.with_wide(field, values));
        }
        for field in Narrow::ALL {
            let implied = field == Narrow::Fragment && plain.narrow(field).contains(0);
            // Addresses are told in the words of their family.
            let addressed = plain.asks_wide(Wide::Source) || plain.asks_wide(Wide::Destination);
            let told = field == Narrow::Family && addressed;
            if implied || !told && self.base.is_some_and(|base| base.narrow(field) == plain.narrow(field)) {
                plain = plain.with_narrow(field, field.all());
            }
        }
        let words = class(self.direction, &plain, &Atoms::default());
        let atoms = self.cell.atoms().iter().map(|(atom, holds)| {
            format!(" where `{}` {}", self.terms.words(*atom), if *holds { "holds" } else { "does not hold" })
        });
        let depends: Vec<_> = self.depends.iter().map(|atom| format!("`{}`", self.terms.words(*atom))).collect();
        let open = (!depends.is_empty()).then(|| format!(", depending on {}", depends.join(", ")));
        let led = self.led.map(|led| format!(", translated by `{led}`"));
        std::iter::once(words).chain(led).chain(atoms).chain(open).collect()
    }
}

/// Values out of `base` with what is not in `base` anyhow, where that is said in fewer words.
fn widened(values: &Ranges, base: &Ranges, all: &Ranges) -> Ranges {
    let more = values.or(&all.minus(base));
    let words = |values: &Ranges| values.as_slice().len().min(all.minus(values).as_slice().len());
    if words(&more) < words(values) { more } else { values.clone() }
}

/// The place of what decides; where no step did, that of the policy which the example comes to.
pub(super) fn decider(ruleset: &Ruleset, by: By, example: Option<&Packet>) -> Option<Place> {
    match by {
        By::Line(at) => Some(place(ruleset, at)),
        By::Policy(table, chain) => Some(place(ruleset, At { table, chain, line: usize::MAX })),
        By::Nothing => match evaluate(ruleset, example?, &mut |_, _| false).ok()?.by {
            By::Nothing => None,
            by => decider(ruleset, by, None),
        },
    }
}
