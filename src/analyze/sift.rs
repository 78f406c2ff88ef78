//! The way of some packets before a change and after, in one list: of the rules only those that can touch the packets, of their
//! conditions only those that tell the packets apart.
//!
//! Nothing is multiplied out: a jump is a hop that packets enter or pass by, a set stays the list of its products. So a way past ten
//! thousand rules costs one look at each.

use super::cells::{Atoms, Doubt, Seen, Sight, entering, sights, spared};
use super::classes::hull;
use super::coarse::Coarse;
use super::near::Sieve;
use super::program::{DEPTH, MOST, Unlaid};
use super::view::{Side, View};
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use crate::rule::Direction;
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Base, Condition, Line, Outcome, Verdict};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

/// Of more cells than this one that holds them all is looked at.
const CELLS: usize = 32;

/// What is asked of a packet.
#[derive(Debug)]
pub(super) enum Test<'v> {
    Wide(Wide, &'v Ranges),
    Narrow(Narrow, &'v Bits),
    AnyOf(Vec<Cow<'v, Cell>>),
    /// A condition that was not understood, by its number, and whether it must hold.
    Atom(u32, bool),
}

impl Test<'_> {
    /// Whether some packet of a cell passes.
    pub(super) fn touches(&self, cell: &Cell) -> bool {
        match self {
            Self::Wide(field, values) => !cell.wide(*field).is_disjoint(values),
            Self::Narrow(field, values) => !cell.narrow(*field).is_disjoint(**values),
            Self::AnyOf(cells) => cells.iter().any(|own| !own.is_disjoint(cell)),
            Self::Atom(atom, holds) => cell.atoms().binary_search(&(*atom, !holds)).is_err(),
        }
    }

    /// Whether every packet of a cell passes, as far as one product of the test tells.
    pub(super) fn holds(&self, cell: &Cell) -> bool {
        match self {
            Self::Wide(field, values) => cell.wide(*field).is_subset(values),
            Self::Narrow(field, values) => cell.narrow(*field).is_subset(**values),
            Self::AnyOf(cells) => cells.iter().any(|own| cell.is_subset(own)),
            Self::Atom(atom, holds) => cell.atoms().binary_search(&(*atom, *holds)).is_ok(),
        }
    }
}

/// What a hop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Nothing.
    Stay,
    Deny,
    /// To the end of the base chain.
    Accept(usize),
    /// To the end of a chain.
    Leave(usize),
    /// What does not pass the tests goes on at the end of the chain that is jumped to.
    Enter(usize),
}

impl Move {
    /// Where packets go on that it leads.
    pub(super) fn target(self) -> Option<usize> {
        match self {
            Self::Accept(end) | Self::Leave(end) => Some(end),
            Self::Stay | Self::Deny | Self::Enter(_) => None,
        }
    }
}

/// One step of the way.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) by: By,
    pub(super) act: Move,
    pub(super) side: Side,
    /// Its tests in the list of all.
    tests: Range<u32>,
    /// The hop by which packets came into its chain.
    inside: Option<u32>,
    /// The condition with a number that stands for whatever else decides whether it happens.
    pub(super) luck: Option<(u32, Doubt)>,
}

/// The way of packets in a direction.
#[derive(Debug)]
pub(super) struct Route<'v> {
    pub(super) direction: Direction,
    /// The packets that it is laid out for.
    pub(super) packets: Vec<Cell>,
    pub(super) hops: Vec<Hop>,
    tests: Vec<Test<'v>>,
    coarse: OnceCell<Coarse>,
}

impl<'v> Route<'v> {
    /// Lays out the way of packets, before a change and after.
    pub(super) fn new(
        before: &'v View,
        after: &'v View,
        direction: Direction,
        packets: &[Cell],
        atoms: &mut Atoms,
    ) -> Result<Self, Unlaid> {
        let route =
            Self { direction, packets: packets.to_vec(), hops: Vec::new(), tests: Vec::new(), coarse: OnceCell::new() };
        let mut sifting = Sifting { before, after, atoms, route, accepts: Vec::new(), inside: None };
        let cells = match packets.len() {
            0..=CELLS => packets.to_vec(),
            _ => hull(packets).into_iter().collect(),
        };
        for (table, chain) in direction.hooks().iter().flat_map(|hook| after.at_hook(*hook)) {
            sifting.base(table, chain, &cells)?;
        }
        Ok(sifting.route)
    }

    /// The tests of a hop.
    pub(super) fn tests(&self, hop: usize) -> &[Test<'v>] {
        let range = &self.hops[hop].tests;
        &self.tests[range.start as usize..range.end as usize]
    }

    /// Which hops touch what, roughly.
    pub(super) fn coarse(&self) -> &Coarse {
        self.coarse.get_or_init(|| Coarse::of(self))
    }

    /// The hops of a stretch that may touch packets of these bits and stand in chains that they may enter, ascending.
    pub(super) fn near(&self, bits: u64, (from, to): (usize, usize)) -> impl Iterator<Item = usize> {
        let (coarse, mut at) = (self.coarse(), from);
        std::iter::from_fn(move || {
            while at < to.min(self.hops.len()) {
                let hop = at;
                at += 1;
                if coarse.may(hop, bits) {
                    return Some(hop);
                }
                if let Move::Enter(end) = self.hops[hop].act {
                    at = end;
                }
            }
            None
        })
    }

    /// Whether conditions decide about hops that the packet does not.
    pub(super) fn is_doubtful(&self) -> bool {
        self.hops.iter().any(|hop| hop.luck.is_some()) || self.tests.iter().any(|test| matches!(test, Test::Atom(..)))
    }

    /// The hop by which packets came into the chain of another.
    pub(super) fn inside(&self, hop: usize) -> Option<usize> {
        self.hops[hop].inside.map(|outer| outer as usize)
    }

    /// How much there is to look at: hops, and the products of sets.
    pub(super) fn weight(&self) -> usize {
        let products = |test: &Test| if let Test::AnyOf(cells) = test { cells.len() } else { 0 };
        self.hops.len() + self.tests.iter().map(products).sum::<usize>()
    }

    /// What its hops are of.
    pub(super) fn rules(&self) -> impl Iterator<Item = By> {
        self.hops.iter().map(|hop| hop.by)
    }

    /// The base chain that a hop is in: its number, and the hop where packets come into it.
    pub(super) fn base(&self, hop: usize) -> Option<(At, usize)> {
        let outer = std::iter::successors(Some(hop), |hop| self.inside(*hop)).last()?;
        match self.hops[outer].by {
            By::Policy(table, chain) => Some((At { table, chain, line: usize::MAX }, outer)),
            _ => None,
        }
    }

    /// Where the base chain of a hop ends.
    pub(super) fn end(&self, hop: usize) -> usize {
        match self.base(hop).map(|(_, outer)| self.hops[outer].act) {
            Some(Move::Enter(end)) => end,
            _ => hop + 1,
        }
    }

    /// The hops of a rule.
    pub(super) fn of(&self, at: At) -> impl Iterator<Item = usize> {
        let own = move |hop: &Hop| hop.by == By::Line(at) && !matches!(hop.act, Move::Enter(_));
        self.hops.iter().enumerate().filter(move |(_, hop)| own(hop)).map(|(n, _)| n)
    }
}

/// A place where rules stand while they are sifted.
struct Here<'a> {
    base: &'a Base,
    sight: &'a Sight,
    side: Side,
}

/// Tests of a rule, and the packets that may pass them.
struct Sifted {
    tests: Range<u32>,
    cells: Vec<Cell>,
    doubt: Option<Doubt>,
}

struct Sifting<'v, 'a> {
    before: &'v View<'v>,
    after: &'v View<'v>,
    atoms: &'a mut Atoms,
    route: Route<'v>,
    /// Hops of the present base chain that skip to its end.
    accepts: Vec<usize>,
    inside: Option<u32>,
}

/// So many cells are told apart by one bit each.
const BITS: usize = u64::BITS as usize;

impl<'v> Sifting<'v, '_> {
    fn base(&mut self, table: usize, chain: usize, cells: &[Cell]) -> Result<(), Unlaid> {
        let view = self.after;
        let Some(base) = view.base(table, chain) else { return Ok(()) };
        let side = if self.before.base(table, chain).is_none() { Side::After } else { Side::Both };
        let (cell, unsure) = entering(view.family(table), base, view.changes());
        let by = By::Policy(table, chain);
        let spared = spared(view.family(table), base, view.changes());
        if let Some(sifted) = spared.and_then(|cell| self.test(vec![cell], cells)) {
            self.accept(by, side, sifted)?;
        }
        if let Some((sifted, doubt)) = unsure.and_then(|(cell, doubt)| Some((self.test(vec![cell], cells)?, doubt))) {
            self.accept(by, side, Sifted { doubt: Some(doubt), ..sifted })?;
        }
        for (parts, sight) in sights(&cell, base, view.changes()) {
            let here = Here { base, sight: &sight, side };
            let Some(entering) = self.test(parts, cells) else { continue };
            self.entered(by, side, entering, |sifting, inner| {
                sifting.chain((table, chain), &here, inner, 0)?;
                match base.drops {
                    true => sifting.push(by, Move::Deny, side, sifting.no_test()).map(|_| ()),
                    false => Ok(()),
                }
            })?;
        }
        let end = self.route.hops.len();
        for hop in self.accepts.drain(..) {
            self.route.hops[hop].act = Move::Accept(end);
        }
        Ok(())
    }

    /// A stretch that only packets of some tests come into.
    fn entered(
        &mut self,
        by: By,
        side: Side,
        sifted: Sifted,
        stretch: impl FnOnce(&mut Self, &[Cell]) -> Result<(), Unlaid>,
    ) -> Result<(), Unlaid> {
        let inner = sifted.cells.clone();
        let enter = self.push(by, Move::Enter(usize::MAX), side, sifted)?;
        let outer = self.inside.replace(enter as u32);
        stretch(self, &inner)?;
        self.inside = outer;
        self.route.hops[enter].act = Move::Enter(self.route.hops.len());
        Ok(())
    }

    fn no_test(&self) -> Sifted {
        let at = self.route.tests.len() as u32;
        Sifted { tests: at..at, cells: Vec::new(), doubt: None }
    }

    /// That a packet is in one of some parts, as a test; nothing where no packet is in them.
    fn test(&mut self, parts: Vec<Cell>, cells: &[Cell]) -> Option<Sifted> {
        let inner: Vec<_> = cells.iter().flat_map(|own| parts.iter().filter_map(|part| own.and(part))).collect();
        let start = self.route.tests.len() as u32;
        if !cells.iter().all(|own| parts.iter().any(|part| own.is_subset(part))) {
            self.route.tests.push(Test::AnyOf(parts.into_iter().map(Cow::Owned).collect()));
        }
        (!inner.is_empty()).then_some(Sifted { tests: start..self.route.tests.len() as u32, cells: inner, doubt: None })
    }

    fn chain(
        &mut self,
        (table, chain): (usize, usize),
        here: &Here,
        cells: &[Cell],
        depth: usize,
    ) -> Result<(), Unlaid> {
        let view = self.after;
        if depth > DEPTH {
            let name = view.head(table, chain).map(|chain| chain.name.clone()).unwrap_or_default();
            return Err(Unlaid::TooDeep(name));
        }
        let mut leaving = Vec::new();
        let sieve = Sieve::new(cells, here.base, view.changes());
        for (number, own) in view.order_of_both(table, chain, &sieve) {
            let at = At { table, chain, line: number };
            let there = if own == Side::After { view.line(at) } else { self.before.line(at) };
            let Some(line) = there else { continue };
            let side = if own == Side::Both { here.side } else { own };
            if side == Side::Both && matches!(line.outcome, Outcome::Next | Outcome::Verdict(Verdict::Continue)) {
                continue;
            }
            if let Some(sifted) = self.line(line, here.sight, cells) {
                self.outcome(at, line, sifted, &Here { side, ..*here }, depth, &mut leaving)?;
            }
        }
        let end = self.route.hops.len();
        for hop in leaving {
            self.route.hops[hop].act = Move::Leave(end);
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        at: At,
        line: &'v Line,
        sifted: Sifted,
        here: &Here,
        depth: usize,
        leaving: &mut Vec<usize>,
    ) -> Result<(), Unlaid> {
        let (by, side) = (By::Line(at), here.side);
        match &line.outcome {
            Outcome::Next => self.push(by, Move::Stay, side, sifted).map(|_| ()),
            Outcome::Unread(_) => {
                let again = Sifted { tests: sifted.tests.clone(), cells: Vec::new(), doubt: Some(Doubt::Unread) };
                self.accept(by, side, Sifted { doubt: Some(Doubt::Unread), ..sifted })?;
                self.push(by, Move::Deny, side, again).map(|_| ())
            }
            Outcome::Verdict(verdict) => self.verdict(at, verdict, sifted, here, depth, leaving),
            Outcome::ByKey(keys) => self.entered(by, side, sifted, |sifting, inner| {
                for (cell, verdict) in keys {
                    let Some(cell) = here.sight.seen(cell) else { continue };
                    if let Some(one) = sifting.test(vec![cell.into_owned()], inner) {
                        sifting.verdict(at, verdict, one, here, depth, leaving)?;
                    }
                }
                Ok(())
            }),
        }
    }

    fn verdict(
        &mut self,
        at: At,
        verdict: &'v Verdict,
        sifted: Sifted,
        here: &Here,
        depth: usize,
        leaving: &mut Vec<usize>,
    ) -> Result<(), Unlaid> {
        let (by, side) = (By::Line(at), here.side);
        match verdict {
            Verdict::Continue => self.push(by, Move::Stay, side, sifted).map(|_| ()),
            Verdict::Accept | Verdict::Translate(_) => self.accept(by, side, sifted),
            Verdict::Drop | Verdict::Reject => self.push(by, Move::Deny, side, sifted).map(|_| ()),
            Verdict::Return => {
                leaving.push(self.push(by, Move::Leave(usize::MAX), side, sifted)?);
                Ok(())
            }
            Verdict::Jump(name) | Verdict::Goto(name) => {
                let target = self.after.named(at.table, name).ok_or_else(|| Unlaid::NoChain(name.clone()))?;
                self.entered(by, side, sifted, |sifting, inner| {
                    sifting.chain((at.table, target), here, inner, depth + 1)?;
                    if matches!(verdict, Verdict::Goto(_)) {
                        leaving.push(sifting.push(by, Move::Leave(usize::MAX), side, sifting.no_test())?);
                    }
                    Ok(())
                })
            }
        }
    }

    fn accept(&mut self, by: By, side: Side, sifted: Sifted) -> Result<(), Unlaid> {
        let hop = self.push(by, Move::Accept(usize::MAX), side, sifted)?;
        self.accepts.push(hop);
        Ok(())
    }

    fn push(&mut self, by: By, act: Move, side: Side, sifted: Sifted) -> Result<usize, Unlaid> {
        if self.route.hops.len() >= MOST {
            return Err(Unlaid::TooMany);
        }
        let luck = sifted.doubt.map(|doubt| (self.atoms.luck(by, act == Move::Deny), doubt));
        self.route.hops.push(Hop { by, act, side, tests: sifted.tests, inside: self.inside, luck });
        Ok(self.route.hops.len() - 1)
    }

    /// The tests of a rule that tell the packets apart; nothing where it matches none.
    fn line(&mut self, line: &'v Line, sight: &Sight, cells: &[Cell]) -> Option<Sifted> {
        let start = self.route.tests.len();
        let (mut alive, mut doubt) = (u64::MAX >> (BITS - cells.len().clamp(1, BITS)), None);
        for condition in &line.conditions {
            let (test, own) = self.condition(condition, sight, cells);
            doubt = doubt.max(own);
            if !test.is_none_or(|test| self.keep(test, cells, &mut alive)) {
                self.route.tests.truncate(start);
                return None;
            }
        }
        let tests = start as u32..self.route.tests.len() as u32;
        let leads = matches!(line.outcome, Outcome::Verdict(Verdict::Jump(_) | Verdict::Goto(_)) | Outcome::ByKey(_));
        let cells = if leads { self.inner(&tests, cells, alive) } else { Vec::new() };
        if leads && cells.is_empty() {
            self.route.tests.truncate(start);
            return None;
        }
        Some(Sifted { tests, cells, doubt })
    }

    /// Keeps a test where it tells the packets apart; whether some packet passes it and the tests before. Of more cells than `alive` has
    /// bits the others always may.
    fn keep(&mut self, test: Test<'v>, cells: &[Cell], alive: &mut u64) -> bool {
        let mut whole = true;
        for (n, cell) in cells.iter().enumerate() {
            let bit = 1u64.checked_shl(n as u32).unwrap_or(0);
            match (bit == 0 || *alive & bit != 0) && test.touches(cell) {
                true => whole = whole && test.holds(cell),
                false if bit == 0 => whole = false,
                false => *alive &= !bit,
            }
        }
        // A cell that passes no more must be kept out.
        if !whole || (alive.count_ones() as usize) < cells.len().min(BITS) {
            self.route.tests.push(test);
        }
        *alive != 0 || cells.len() > BITS
    }

    /// The packets that pass tests, or some more.
    fn inner(&self, tests: &Range<u32>, cells: &[Cell], alive: u64) -> Vec<Cell> {
        let alive = cells.iter().enumerate().filter(|(n, _)| *n >= BITS || alive >> n & 1 == 1);
        let mut inner: Vec<_> = alive.map(|(_, cell)| cell.clone()).collect();
        for test in &self.route.tests[tests.start as usize..tests.end as usize] {
            match test {
                Test::Wide(field, values) => inner.iter_mut().for_each(|cell| cell.keep_wide(*field, values)),
                Test::Narrow(field, values) => inner.iter_mut().for_each(|cell| cell.keep_narrow(*field, **values)),
                Test::AnyOf(all) if all.len() == 1 => {
                    inner = inner.iter().filter_map(|cell| cell.and(&all[0])).collect();
                }
                Test::AnyOf(_) | Test::Atom(..) => {}
            }
        }
        inner.retain(|cell| !cell.is_empty());
        inner
    }

    /// What a condition asks of the packets; and the doubt, where something else than the packet decides.
    fn condition(
        &mut self,
        condition: &'v Condition,
        sight: &Sight,
        cells: &[Cell],
    ) -> (Option<Test<'v>>, Option<Doubt>) {
        match condition {
            Condition::Wide(field, values) => match sight.wide(*field) {
                Seen::Own => (Some(Test::Wide(*field, values)), None),
                _ if *values == field.all() => (None, None),
                Seen::Other => (None, Some(Doubt::Chance)),
                Seen::Absent(none) if values.contains(none) => (None, None),
                Seen::Absent(_) => (Some(Test::AnyOf(Vec::new())), None),
            },
            Condition::Narrow(field, values) => match sight.narrow(*field) {
                Seen::Own => (Some(Test::Narrow(*field, values)), None),
                _ if *values == field.all() => (None, None),
                _ => (None, Some(Doubt::Chance)),
            },
            Condition::AnyOf(products) => {
                let here = products.iter().filter_map(|cell| sight.seen(cell));
                let touching = here.filter(|cell| cells.iter().any(|own| !own.is_disjoint(cell))).collect();
                let doubt = products.iter().any(|cell| sight.is_blurred(cell)).then_some(Doubt::Chance);
                (Some(Test::AnyOf(touching)), doubt)
            }
            Condition::Chance(_) => (None, Some(Doubt::Chance)),
            Condition::Unread(unread) => match sight.is_steady(unread, self.after.changes()) {
                true => {
                    let (text, holds) = sight.asked(unread);
                    (Some(Test::Atom(self.atoms.number(&text), holds)), None)
                }
                false => (None, Some(Doubt::Unread)),
            },
        }
    }
}
