//! The search for one packet that makes a journey along a route, over whole sets of packets.
//!
//! The most ordinary packet of a set is tried. Where a hop takes it off its way, that hop takes a whole box with it, unless others lead
//! past; the rest of the set lies around that box and is tried next. When nothing is left, no packet makes the journey, and the hops
//! that took packets are the proof.

use super::cells::Doubt;
use super::sift::{Move, Route, Test};
use super::view::Side;
use crate::packet::{Cell, Narrow, Wide};
use crate::rule::Packet;
use std::borrow::Cow;
use std::cell::Cell as Flag;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A stretch that packets come through: from one hop to before another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    pub(super) side: Side,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// How conditions count that the packet does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// They hold or not, whichever brings packets through.
    All,
    /// Those that were not understood bring no packet through and may stop any.
    Understood,
    /// The same for all of them.
    Nothing,
}

/// A packet, and what is taken to hold of conditions with numbers; of all others that they do not.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) packet: Packet,
    wide: [u128; Wide::ALL.len()],
    narrow: [u8; Narrow::ALL.len()],
    pub(super) atoms: Vec<(u32, bool)>,
}

impl Point {
    fn of(route: &Route, cell: &Cell) -> Option<Self> {
        let packet = Packet::from_cell(route.direction, cell)?;
        let (wide, narrow) = (Wide::ALL.map(|f| packet.wide(f)), Narrow::ALL.map(|f| packet.narrow(f)));
        Some(Self { packet, wide, narrow, atoms: cell.atoms().to_vec() })
    }

    fn holds(&self, atom: u32) -> bool {
        self.atoms.binary_search(&(atom, true)).is_ok()
    }

    fn is_in(&self, cell: &Cell) -> bool {
        Narrow::ALL.iter().all(|f| !cell.asks_narrow(*f) || cell.narrow(*f).contains(self.narrow[*f as usize]))
            && Wide::ALL.iter().all(|f| !cell.asks_wide(*f) || cell.wide(*f).contains(self.wide[*f as usize]))
    }

    fn passes(&self, test: &Test) -> bool {
        match test {
            Test::Wide(field, values) => values.contains(self.wide[*field as usize]),
            Test::Narrow(field, values) => values.contains(self.narrow[*field as usize]),
            Test::AnyOf(cells) => cells.iter().any(|cell| self.is_in(cell)),
            Test::Atom(atom, holds) => self.holds(*atom) == *holds,
        }
    }
}

/// What became of a search.
#[derive(Debug)]
pub(super) enum Sought {
    /// This packet makes the journey.
    Found(Box<Point>),
    /// None does; these hops take them.
    Nothing(BTreeSet<usize>),
    /// The work that was allowed was done first.
    Spent,
}

/// What a hop is to packets on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Nothing,
    /// They end there, or are led past the end.
    Take,
    Lead(usize),
    Enter(usize),
}

/// A set of packets, and the hops that may touch them.
struct Piece {
    cell: Cell,
    over: Rc<[u32]>,
    over_is: Over,
}

/// How far the hops of a piece are sifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// All there are.
    All,
    /// For the piece roughly, or for a larger one.
    Roughly,
    /// For the piece.
    Exactly,
}

/// Fewer hops than this are not told apart roughly first.
const MANY: usize = 128;
/// More products of the sets that a hop and those around it ask for are not told.
const PRODUCTS: usize = 4096;
/// So many products are tried for one that leaves any packets.
const TRIES: usize = 4096;

/// Searches along a route.
#[derive(Debug)]
pub(super) struct Travel<'r, 'v> {
    pub(super) route: &'r Route<'v>,
    /// Looks at hops that may still be taken.
    pub(super) left: usize,
    /// Whether some packets of the present search were lost sight of, so that nothing is proved.
    lost: bool,
    /// Set where products were too many to find one that leaves packets.
    blind: Flag<bool>,
    /// Hops that accept whatever comes to them, with where it goes on: rules that are put there on trial.
    pub(super) opened: Vec<(usize, usize)>,
    all: Rc<[u32]>,
}

impl<'r, 'v> Travel<'r, 'v> {
    pub(super) fn new(route: &'r Route<'v>, left: usize) -> Self {
        Self {
            route,
            left,
            lost: false,
            blind: Flag::new(false),
            opened: Vec::new(),
            all: (0..route.hops.len() as u32).collect(),
        }
    }

    /// Whether a packet of the cells makes all legs.
    pub(super) fn search(&mut self, cells: &[Cell], legs: &[Leg], trust: Trust) -> Sought {
        let mut used = BTreeSet::new();
        self.lost = false;
        self.blind.set(false);
        if self.left == 0 {
            return Sought::Spent;
        }
        let parts = cells.iter().flat_map(Cell::by_family);
        let whole = |cell| Piece { cell, over: Rc::clone(&self.all), over_is: Over::All };
        let mut stack: Vec<_> = parts.map(whole).collect();
        stack.sort_by_key(|piece| (piece.cell.narrow(Narrow::Family).contains(0), piece.cell.magnitude()));
        while let Some(piece) = stack.pop() {
            // No packet is in a set that asks for an interface which it has not in this direction.
            let point = Point::of(self.route, &piece.cell).filter(|point| point.is_in(&piece.cell));
            let Some(point) = point else { continue };
            let Some(piece) = self.roughly(piece, legs) else { return Sought::Spent };
            let taken = legs.iter().find_map(|leg| Some((leg, self.taker(&piece, &point, leg, trust)?)));
            let Some((leg, taker)) = taken else { return Sought::Found(Box::new(point)) };
            used.insert(taker);
            let over = self.sifted(&piece);
            // What is looked at for one piece: its list for the packet and to sift it, and for what leads past.
            if !self.spend(2 * over.len()) {
                return Sought::Spent;
            }
            let piece = Piece { over, over_is: Over::Exactly, ..piece };
            self.carve(&piece, &point, (leg, taker), trust, &mut stack);
        }
        if self.lost || self.blind.get() { Sought::Spent } else { Sought::Nothing(used) }
    }

    fn spend(&mut self, looks: usize) -> bool {
        let left = self.left.checked_sub(looks);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// A piece with few hops more than touch it on its legs; nothing where the work that was allowed is done.
    fn roughly(&mut self, piece: Piece, legs: &[Leg]) -> Option<Piece> {
        if piece.over_is != Over::All || piece.over.len() < MANY {
            return self.spend(piece.over.len() + 8).then_some(piece);
        }
        let end = legs.iter().map(|leg| leg.to).max().unwrap_or(0);
        let bits = self.route.coarse().cell(&piece.cell);
        let mut near: Vec<_> = self.route.near(bits, (0, end)).map(|hop| hop as u32).collect();
        if !self.opened.is_empty() {
            near.extend(self.opened.iter().map(|(hop, _)| *hop as u32));
            near.sort_unstable();
            near.dedup();
        }
        // A rough look is a small part of a close one.
        self.spend(end / 16 + near.len() + 8).then(|| Piece { over: near.into(), over_is: Over::Roughly, ..piece })
    }

    /// What becomes of a packet: whether it passes, and the hop that decided last.
    pub(super) fn fate(&self, side: Side, point: &Point) -> (bool, Option<usize>) {
        let (mut at, mut last) = (0, None);
        let coarse = self.route.coarse();
        let bits = coarse.point(&point.wide, point.narrow[Narrow::Protocol as usize]);
        while let Some(hop) = self.route.hops.get(at) {
            let may = coarse.may(at, bits) || self.opened(at).is_some();
            let hits = may && hop.side.is_on(side) && self.hits(at, point, Trust::All);
            at = match hop.act {
                Move::Deny if hits => return (false, Some(at)),
                Move::Accept(end) if hits => {
                    last = Some(at);
                    end
                }
                Move::Leave(end) if hits => end,
                Move::Enter(end) if !hits => end,
                _ => at + 1,
            };
        }
        (true, last)
    }

    /// Whether a packet is one that a hop acts on; where a condition counts for nothing it does not keep the hop from it.
    pub(super) fn hits(&self, hop: usize, point: &Point, trust: Trust) -> bool {
        if self.opened(hop).is_some() {
            return true;
        }
        let luck = self.route.hops[hop].luck;
        luck.is_none_or(|(atom, doubt)| is_blind(doubt, trust) || point.holds(atom))
            && self.route.tests(hop).iter().all(|test| match test {
                Test::Atom(atom, holds) if is_blind(Doubt::Unread, trust) => !point.atoms.contains(&(*atom, !holds)),
                test => point.passes(test),
            })
    }

    fn role(&self, hop: usize, leg: &Leg, trust: Trust, atoms: &[(u32, bool)]) -> Role {
        let act = self.opened(hop).map_or(self.route.hops[hop].act, Move::Accept);
        match act {
            Move::Deny => Role::Take,
            Move::Accept(end) | Move::Leave(end) if end > leg.to || self.is_open(hop, trust, atoms) => Role::Take,
            Move::Accept(end) | Move::Leave(end) => Role::Lead(end),
            Move::Enter(end) => Role::Enter(end),
            Move::Stay => Role::Nothing,
        }
    }

    fn opened(&self, hop: usize) -> Option<usize> {
        self.opened.iter().find(|(own, _)| *own == hop).map(|(_, end)| *end)
    }

    /// Whether a condition that counts for nothing decides about a hop.
    pub(super) fn is_open(&self, hop: usize, trust: Trust, atoms: &[(u32, bool)]) -> bool {
        let open = |atom: u32, holds: bool| atoms.binary_search(&(atom, holds)).is_err();
        let luck = self.route.hops[hop].luck.is_some_and(|(atom, doubt)| is_blind(doubt, trust) && open(atom, true));
        luck || is_blind(Doubt::Unread, trust)
            && self.route.tests(hop).iter().any(|test| matches!(test, Test::Atom(atom, holds) if open(*atom, *holds)))
    }

    /// The hop that takes a packet off a leg.
    fn taker(&self, piece: &Piece, point: &Point, leg: &Leg, trust: Trust) -> Option<usize> {
        let (mut at, mut n) = (leg.from, position(&piece.over, leg.from));
        while let Some(hop) = piece.over.get(n).map(|hop| *hop as usize).filter(|hop| *hop < leg.to) {
            n += 1;
            if hop < at {
                continue;
            }
            let hits = self.route.hops[hop].side.is_on(leg.side) && self.hits(hop, point, trust);
            match self.role(hop, leg, trust, &point.atoms) {
                Role::Take if hits => return Some(hop),
                Role::Lead(end) if hits => at = end,
                Role::Enter(end) if !hits => at = end,
                _ => continue,
            }
            n = position(&piece.over, at);
        }
        None
    }

    /// The hops of a piece that touch it.
    fn sifted(&self, piece: &Piece) -> Rc<[u32]> {
        if piece.over_is == Over::Exactly {
            return Rc::clone(&piece.over);
        }
        let mut past = 0;
        let rough =
            (piece.over.len() >= MANY).then(|| self.route.coarse()).map(|coarse| (coarse, coarse.cell(&piece.cell)));
        let touching = piece.over.iter().copied().filter(|hop| {
            let may = rough
                .is_none_or(|(coarse, bits)| coarse.may(*hop as usize, bits) || self.opened(*hop as usize).is_some());
            let hop = *hop as usize;
            let touches = may && hop >= past && self.touches(hop, &piece.cell);
            if let (false, Move::Enter(end)) = (touches, self.route.hops[hop].act) {
                past = past.max(end);
            }
            touches
        });
        touching.collect()
    }

    pub(super) fn touches(&self, hop: usize, cell: &Cell) -> bool {
        let luck = self.route.hops[hop].luck;
        self.opened(hop).is_some()
            || luck.is_none_or(|(atom, _)| cell.atoms().binary_search(&(atom, false)).is_err())
                && self.route.tests(hop).iter().all(|test| test.touches(cell))
    }

    /// All packets of some cells that a hop acts on when they come to it.
    /// Where these would be too many sets no work is left, so that no search after it proves anything.
    pub(super) fn all_within(&mut self, hop: usize, cells: &[Cell]) -> Vec<Cell> {
        let mut own = cells.to_vec();
        let mut at = Some(hop);
        while let Some(hop) = at {
            let luck = self.route.hops[hop].luck.map(|(atom, _)| atom);
            for test in self.route.tests(hop) {
                match test {
                    Test::Wide(field, values) => own.iter_mut().for_each(|cell| cell.keep_wide(*field, values)),
                    Test::Narrow(field, values) => own.iter_mut().for_each(|cell| cell.keep_narrow(*field, **values)),
                    Test::Atom(atom, holds) => own.retain_mut(|cell| cell.keep_atom(*atom, *holds)),
                    Test::AnyOf(all) => {
                        let both = own.iter().flat_map(|cell| all.iter().filter_map(|one| cell.and(one)));
                        own = both.take(PRODUCTS + 1).collect();
                    }
                }
            }
            own.retain_mut(|cell| luck.is_none_or(|atom| cell.keep_atom(atom, true)) && !cell.is_empty());
            if own.len() > PRODUCTS {
                self.left = 0;
                return Vec::new();
            }
            at = self.route.inside(hop);
        }
        own
    }

    /// Whether a hop acts on every packet of a cell.
    pub(super) fn holds(&self, hop: usize, cell: &Cell, trust: Trust) -> bool {
        if self.opened(hop).is_some() {
            return true;
        }
        let known = |atom: u32, holds: bool, doubt| {
            is_blind(doubt, trust) || cell.atoms().binary_search(&(atom, holds)).is_ok()
        };
        self.route.hops[hop].luck.is_none_or(|(atom, doubt)| known(atom, true, doubt))
            && self.route.tests(hop).iter().all(|test| match test {
                Test::Atom(atom, holds) => known(*atom, *holds, Doubt::Unread),
                test => test.holds(cell),
            })
    }

    /// The packets of a cell that a hop acts on when they come to it; of several products of a set those of the one with a packet,
    /// or of the first that leaves any.
    pub(super) fn within(&self, hop: usize, cell: &Cell, point: Option<&Point>, trust: Trust) -> Option<Cell> {
        let (mut own, mut sets) = (cell.clone(), Vec::new());
        let way = std::iter::successors(Some(hop), |hop| self.route.inside(*hop));
        for hop in way.filter(|hop| self.opened(*hop).is_none()) {
            for test in self.route.tests(hop) {
                match test {
                    Test::Wide(field, values) => own.keep_wide(*field, values),
                    Test::Narrow(field, values) => own.keep_narrow(*field, **values),
                    Test::Atom(..) if is_blind(Doubt::Unread, trust) => {}
                    Test::Atom(atom, holds) => own.keep_atom(*atom, *holds).then_some(())?,
                    Test::AnyOf(cells) => sets.push(cells.as_slice()),
                }
            }
            if let Some((atom, _)) = self.route.hops[hop].luck.filter(|(_, doubt)| !is_blind(*doubt, trust)) {
                own.keep_atom(atom, true).then_some(())?;
            }
        }
        if own.is_empty() {
            return None;
        }
        let mut tries = TRIES;
        let found = product(own, &sets, point, &mut tries);
        if found.is_none() && tries == 0 {
            self.blind.set(true);
        }
        found
    }

    /// Leaves of a piece what a hop does not take.
    fn carve(
        &mut self,
        piece: &Piece,
        point: &Point,
        (leg, taker): (&Leg, usize),
        trust: Trust,
        stack: &mut Vec<Piece>,
    ) {
        let Some(taken) = self.within(taker, &piece.cell, Some(point), trust) else {
            self.lost = true;
            return;
        };
        let mut rest = piece.cell.minus(&taken);
        let leads = self.is_led(piece, &taken, leg, taker, trust);
        let past = if leads { self.obstacle(piece, &taken, leg, taker, trust) } else { None };
        if let Some(inside) = &past {
            self.lost |= *inside == taken;
            rest.extend(taken.minus(inside));
        }
        rest.sort_by_key(Cell::magnitude);
        // What some hop leads past is most likely to get through, and comes next.
        rest.extend(past.filter(|inside| *inside != taken));
        let sub = rest.into_iter().flat_map(possible);
        stack.extend(sub.map(|cell| Piece { cell, over: Rc::clone(&piece.over), over_is: Over::Roughly }));
    }

    /// Whether some hop before the one that takes a packet of a box may lead others of the box elsewhere.
    fn is_led(&self, piece: &Piece, cell: &Cell, leg: &Leg, taker: usize, trust: Trust) -> bool {
        let over = &piece.over[position(&piece.over, leg.from)..position(&piece.over, taker)];
        over.iter().map(|hop| *hop as usize).any(|hop| match self.role(hop, leg, trust, cell.atoms()) {
            Role::Lead(_) => self.touches(hop, cell),
            Role::Enter(_) => !self.holds(hop, cell, trust),
            Role::Take | Role::Nothing => false,
        })
    }

    /// Packets of a box that some hop leads past the one that takes one of them; nothing where that takes them all.
    fn obstacle(&self, piece: &Piece, cell: &Cell, leg: &Leg, taker: usize, trust: Trust) -> Option<Cell> {
        let (mut at, mut n) = (leg.from, position(&piece.over, leg.from));
        // Where packets go on that some hop leads; and they, where they are not all that are left.
        let mut led: Vec<(usize, Option<Cell>)> = Vec::new();
        // Up to here not all packets of the box are where the hops are.
        let mut parted = 0;
        while let Some(hop) = piece.over.get(n).map(|hop| *hop as usize).filter(|hop| *hop < taker) {
            n += 1;
            let there = hop >= at && self.route.hops[hop].side.is_on(leg.side);
            let enters = matches!(self.route.hops[hop].act, Move::Enter(_));
            let touches = there && self.touches(hop, cell);
            let touches = touches && (!enters || self.within(hop, cell, None, trust).is_some());
            let whole = touches && hop >= parted && self.holds(hop, cell, trust);
            let next = match self.role(hop, leg, trust, cell.atoms()) {
                _ if hop < at => continue,
                Role::Enter(end) if !touches => Some(end),
                _ if !touches => continue,
                Role::Lead(_) | Role::Enter(_) if !whole => {
                    match (self.role(hop, leg, trust, cell.atoms()), self.within(hop, cell, None, trust)) {
                        (Role::Lead(end), Some(inside)) if end > taker => return Some(inside),
                        (Role::Lead(end), inside @ Some(_)) => led.push((end, inside)),
                        (Role::Enter(end), inside @ Some(_)) => {
                            parted = parted.max(end);
                            led.push((end, inside));
                        }
                        _ => {}
                    }
                    None
                }
                // What comes past a hop that leads all was led apart before.
                Role::Lead(end) if end > taker => {
                    let apart = led.into_iter().find_map(|(_, cell)| cell);
                    return Some(apart.unwrap_or_else(|| cell.clone()));
                }
                Role::Lead(end) => {
                    led.push((end, None));
                    Some(end)
                }
                Role::Take if whole => Some(taker),
                _ => None,
            };
            if let Some(next) = next {
                // What was led past here comes back where it was led to.
                at = led.iter().map(|(end, _)| *end).filter(|end| *end > hop).fold(next, usize::min);
                n = position(&piece.over, at);
            }
        }
        None
    }
}

/// What of a cell is in one product of each set: that which holds a packet, or the first that leaves any.
fn product(cell: Cell, sets: &[&[Cow<Cell>]], point: Option<&Point>, tries: &mut usize) -> Option<Cell> {
    let Some((first, others)) = sets.split_first() else { return Some(cell) };
    for own in first.iter().filter(|own| point.is_none_or(|point| point.is_in(own))) {
        *tries = tries.checked_sub(1)?;
        if let Some(found) = cell.and(own).and_then(|both| product(both, others, point, tries)) {
            return Some(found);
        }
    }
    None
}

/// What can be of a part of a set that can be.
fn possible(cell: Cell) -> Vec<Cell> {
    let connection = [Narrow::ConnectionDirection, Narrow::ConnectionStatus];
    match cell.narrow(Narrow::Family).len() == 1 && !connection.iter().any(|field| cell.asks_narrow(*field)) {
        true => vec![cell],
        false => cell.by_family(),
    }
}

fn is_blind(doubt: Doubt, trust: Trust) -> bool {
    match trust {
        Trust::All => false,
        Trust::Understood => doubt == Doubt::Unread,
        Trust::Nothing => true,
    }
}

/// Where hops from a number on begin in a list.
fn position(over: &[u32], from: usize) -> usize {
    over.partition_point(|hop| (*hop as usize) < from)
}
