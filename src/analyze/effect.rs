//! Packets whose fate changes, gathered into few classes that can be read.

use super::cells::Atoms;
use super::words::{class, example};
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide, joined};
use crate::record::{Effect, PacketClass};
use crate::rule::Direction;

/// More classes than this of one kind are counted, not listed.
const CLASSES: usize = 12;
/// More cells than this are not tried for joining, which takes the square of their number.
const JOINED: usize = 600;

#[derive(Debug, Clone)]
struct Piece {
    direction: Direction,
    cell: Cell,
    before: String,
    after: String,
}

impl Piece {
    /// Its packets of connections that are established.
    fn established(&self) -> Option<Self> {
        let mut own = self.clone();
        own.cell.keep_narrow(Narrow::State, Bits::single(1));
        (!own.cell.is_empty()).then_some(own)
    }
}

/// What was found so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Changed {
    dropped: Vec<Piece>,
    accepted: Vec<Piece>,
    undecided: Vec<(bool, String)>,
    /// Sets that are told as they are, and what is left out.
    told: Vec<(bool, Cell, PacketClass)>,
    rest: Vec<(bool, PacketClass)>,
    cut: Vec<PacketClass>,
    translated: Vec<Piece>,
    /// What may be translated, in words.
    perhaps: Vec<String>,
}

impl Changed {
    /// Notes packets that were dropped and are accepted, or the other way round, and the rules that decide.
    pub(super) fn add(&mut self, accepts: bool, direction: Direction, cell: Cell, before: String, after: String) {
        let list = if accepts { &mut self.accepted } else { &mut self.dropped };
        list.push(Piece { direction, cell: whole_families(cell), before, after });
    }

    /// Notes packets that go elsewhere or come from elsewhere than before, and by which rule.
    pub(super) fn translated(&mut self, direction: Direction, cell: Cell, after: String) {
        self.translated.push(Piece { direction, cell: whole_families(cell), before: String::new(), after });
    }

    /// Notes packets of which nobody knows whether they are translated.
    pub(super) fn perhaps_translated(&mut self, words: String) {
        self.perhaps.push(words);
    }

    /// Notes packets of which some change their fate, nobody computed which.
    pub(super) fn undecided(&mut self, accepts: bool, words: String) {
        self.undecided.push((accepts, words));
    }

    /// Notes a set of packets, less what its text leaves out, with an example and the rules that decide.
    pub(super) fn tell(&mut self, accepts: bool, cell: Cell, class: PacketClass) {
        // A rule in the place of another may be told of twice.
        if !self.told.iter().any(|(a, own, told)| *a == accepts && *own == cell && told.text == class.text) {
            self.told.push((accepts, cell, class));
        }
    }

    /// Notes what was not looked at.
    pub(super) fn tell_rest(&mut self, accepts: bool, class: PacketClass) {
        self.rest.push((accepts, class));
    }

    /// Notes packets of connections that are there, which end.
    pub(super) fn cut(&mut self, class: PacketClass) {
        self.cut.push(class);
    }

    /// The cells of packets that are dropped newly, and of those that are accepted newly.
    #[cfg(test)]
    pub(super) fn cells(&self) -> (Vec<Cell>, Vec<Cell>) {
        let of = |list: &[Piece], accepts: bool| {
            let told = self.told.iter().filter(|(a, _, _)| *a == accepts).map(|(_, cell, _)| cell.clone());
            list.iter().map(|piece| piece.cell.clone()).chain(told).collect()
        };
        (of(&self.dropped, false), of(&self.accepted, true))
    }

    /// The classes, the largest first.
    pub(super) fn effect(self, atoms: &Atoms) -> Effect {
        let open = |accepts: bool| {
            let words = self.undecided.iter().filter(move |(a, _)| *a == accepts).map(|(_, words)| words.clone());
            words.map(in_words)
        };
        let told = |accepts: bool| {
            let sets = self.told.iter().filter(move |(a, _, _)| *a == accepts).map(|(_, _, class)| class.clone());
            sets.chain(self.rest.iter().filter(move |(a, _)| *a == accepts).map(|(_, class)| class.clone()))
        };
        let all = |accepts: bool, pieces: &[Piece]| {
            classes(pieces, atoms).into_iter().chain(told(accepts)).chain(open(accepts)).collect()
        };
        let established: Vec<_> = self.dropped.iter().filter_map(Piece::established).collect();
        let mut cut = classes(&established, atoms);
        cut.extend(self.cut.iter().cloned());
        Effect {
            newly_dropped: all(false, &self.dropped),
            newly_accepted: all(true, &self.accepted),
            cut,
            translated: classes(&self.translated, atoms)
                .into_iter()
                .chain(self.perhaps.into_iter().map(in_words))
                .collect(),
            ending: None,
        }
    }
}

/// Without the bound that each IPv4 address has, so that both families can be one class, and without what goes without saying of
/// packets that came in by no interface.
pub(super) fn whole_families(mut cell: Cell) -> Cell {
    if *cell.wide(Wide::InInterface) == Ranges::single(0) {
        cell = cell.with_wide(Wide::InInterface, Wide::InInterface.all());
    }
    for field in [Wide::Source, Wide::Destination] {
        if cell.wide(field).hull() == Some((0, u128::from(u32::MAX))) && cell.wide(field).as_slice().len() == 1 {
            cell = cell.with_wide(field, field.all());
        }
    }
    cell
}

fn in_words(text: String) -> PacketClass {
    PacketClass { text, example: None, before: None, after: None }
}

fn classes(pieces: &[Piece], atoms: &Atoms) -> Vec<PacketClass> {
    let mut found = Vec::new();
    for direction in Direction::ALL.iter().copied() {
        let cells: Vec<_> = pieces.iter().filter(|p| p.direction == direction).map(|p| p.cell.clone()).collect();
        let mut cells = if cells.len() > JOINED { cells } else { joined(cells) };
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.magnitude()));
        found.extend(cells.into_iter().map(|cell| (direction, cell)));
    }
    let more = found.len().saturating_sub(CLASSES);
    let mut all: Vec<_> = found.iter().take(CLASSES).map(|(d, cell)| packet_class(*d, cell, pieces, atoms)).collect();
    if let Some((direction, cell)) = found.get(CLASSES) {
        let text = format!("and {more} smaller classes, one of them as the example");
        all.push(PacketClass { text, ..packet_class(*direction, cell, pieces, atoms) });
    }
    all
}

fn packet_class(direction: Direction, cell: &Cell, pieces: &[Piece], atoms: &Atoms) -> PacketClass {
    let shown = cell.clone().by_family().into_iter().next();
    let example = shown.as_ref().and_then(|cell| example(direction, cell));
    let packet = example.as_ref().and_then(|text| text.parse::<crate::rule::Packet>().ok());
    let of = |piece: &&Piece| piece.direction == direction && packet.as_ref().is_some_and(|p| p.is_in(&piece.cell));
    let piece = pieces.iter().find(of);
    PacketClass {
        text: class(direction, &whole(cell), atoms),
        example,
        before: piece.map(|p| p.before.clone()).filter(|words| !words.is_empty()),
        after: piece.map(|p| p.after.clone()),
    }
}

/// A fragment bit that follows from the ports is not worth a word.
fn whole(cell: &Cell) -> Cell {
    match cell.narrow(Narrow::Fragment).contains(0) {
        true => cell.clone().with_narrow(Narrow::Fragment, Narrow::Fragment.all()),
        false => cell.clone(),
    }
}
