//! A rule where it stands on the way of its packets, and what is asked of that way.

use crate::analyze::Budget;
use crate::analyze::cells::Doubt;
use crate::analyze::sift::{Move, Route, Test};
use crate::analyze::travel::{Leg, Point, Sought, Travel, Trust};
use crate::analyze::view::Side;
use crate::packet::Cell;
use crate::rule::Direction;
use crate::rule::evaluate::By;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// More rules than this are counted, not named.
pub(in crate::analyze) const NAMED: usize = 8;
/// So many rules are tried one by one where some were found that do what is asked.
pub(in crate::analyze) const TRIED: usize = 24;
/// Looks at rules for each step of the budget.
const LOOKS: usize = 100;

/// A rule where it stands on a way.
#[derive(Debug)]
pub(in crate::analyze) struct Post<'r, 'v> {
    pub(in crate::analyze) travel: Travel<'r, 'v>,
    pub(in crate::analyze) hop: usize,
    /// Its packets.
    pub(in crate::analyze) cells: Vec<Cell>,
    /// What takes all of them before, where nothing comes to it.
    pub(in crate::analyze) cover: Option<BTreeSet<usize>>,
    /// What it is called, where that is not the rule.
    pub(in crate::analyze) name: Option<String>,
    /// Hops of which it was found out whether they surely deny some of what it accepts.
    pub(in crate::analyze) denies: BTreeMap<usize, bool>,
    /// Whether packets of another fate were told.
    pub(in crate::analyze) told: bool,
    /// Other hops that are only before the change, or only after: the first and where the base chain of the last ends.
    others: Option<(usize, usize)>,
}

/// Rules that take packets of a set off their way.
#[derive(Debug)]
pub(in crate::analyze) struct Rivals {
    /// The one that asks least.
    pub(in crate::analyze) first: Option<By>,
    pub(in crate::analyze) count: usize,
}

impl<'r, 'v> Post<'r, 'v> {
    pub(in crate::analyze) fn new(route: &'r Route<'v>, hop: usize, budget: Budget) -> Self {
        let mut travel = Travel::new(route, budget.steps.saturating_mul(LOOKS));
        let cells = travel.all_within(hop, &route.packets);
        let other = |n: &usize| *n != hop && route.hops[*n].side != Side::Both && route.hops[*n].act != Move::Stay;
        let mut changed = (0..route.hops.len()).filter(other);
        let first = changed.next();
        let others = first.map(|first| (first, route.end(changed.next_back().unwrap_or(first))));
        Self { travel, hop, cells, cover: None, name: None, denies: BTreeMap::new(), told: false, others }
    }

    /// All packets of a route, of no rule.
    pub(in crate::analyze) fn of_all(route: &'r Route<'v>, looks: usize) -> Self {
        let travel = Travel::new(route, looks);
        let cells = route.packets.clone();
        Self {
            travel,
            hop: usize::MAX,
            cells,
            cover: None,
            name: None,
            denies: BTreeMap::new(),
            told: false,
            others: None,
        }
    }

    pub(in crate::analyze) fn direction(&self) -> Direction {
        self.travel.route.direction
    }

    pub(in crate::analyze) fn by(&self, hop: usize) -> By {
        self.travel.route.hops[hop].by
    }

    /// Where packets go on that it accepts.
    pub(in crate::analyze) fn end(&self) -> Option<usize> {
        match self.travel.route.hops[self.hop].act {
            Move::Accept(end) => Some(end),
            _ => None,
        }
    }

    /// Which side the rule is on: gone, or new.
    pub(in crate::analyze) fn side(&self) -> Side {
        self.travel.route.hops[self.hop].side
    }

    /// The way to the rule.
    pub(in crate::analyze) fn coming(&self) -> Leg {
        Leg { side: self.side(), from: 0, to: self.hop }
    }

    /// Whether some packets of a set come to the rule.
    pub(in crate::analyze) fn is_reached_by(&mut self, cells: &[Cell]) -> bool {
        let coming = self.coming();
        matches!(self.travel.search(cells, &[coming], Trust::All), Sought::Found(_))
    }

    /// The way from a hop to the end.
    pub(in crate::analyze) fn leg(&self, side: Side, from: usize) -> Leg {
        Leg { side, from, to: self.travel.route.hops.len() }
    }

    /// Where the way of the rule's packets without it parts from that with it, and where both surely are one again.
    pub(in crate::analyze) fn apart(&self) -> (usize, usize) {
        let own = (self.hop + 1, self.travel.route.end(self.hop));
        self.others.map_or(own, |(_, last)| (0, own.1.max(last)))
    }

    /// Whether nothing else changes on the way.
    pub(in crate::analyze) fn is_alone(&self) -> bool {
        self.others.is_none()
    }

    /// What denies, of some hops.
    pub(in crate::analyze) fn denying(&self, hops: impl IntoIterator<Item = usize>) -> Vec<By> {
        let denies = |hop: &usize| self.travel.route.hops[*hop].act == Move::Deny && *hop != self.hop;
        hops.into_iter().filter(denies).map(|hop| self.by(hop)).collect()
    }

    /// What of the way there comes before anything that changed: what denies here does so on both sides.
    pub(in crate::analyze) fn first_change(&self) -> usize {
        self.others.map_or(self.hop, |(first, _)| first.min(self.hop))
    }

    /// The rules that take packets of a set off its legs.
    pub(in crate::analyze) fn rivals(&self, cell: &Cell, legs: &[Leg]) -> Rivals {
        let route = self.travel.route;
        let bits = route.coarse().cell(cell);
        let (mut first, mut all) = (None, Vec::new());
        for leg in legs {
            for hop in route.near(bits, (leg.from, leg.to)) {
                let own = &route.hops[hop];
                let takes = match own.act {
                    Move::Deny => true,
                    Move::Accept(end) | Move::Leave(end) => end > leg.to,
                    Move::Enter(_) | Move::Stay => false,
                };
                if takes && own.side.is_on(leg.side) && self.touches(hop, cell) {
                    let this = (route.tests(hop).len(), own.by);
                    first = first.filter(|first| *first < this).or(Some(this));
                    all.push(own.by);
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        Rivals { first: first.map(|(_, by)| by), count: all.len() }
    }

    /// The hops that take its packets before.
    pub(in crate::analyze) fn covered(&self) -> impl Iterator<Item = usize> {
        self.cover.iter().flatten().copied()
    }

    /// Whether a hop acts on all of its packets.
    pub(in crate::analyze) fn takes_all(&self, hop: usize) -> bool {
        self.cells.iter().all(|cell| self.acts_on(hop, cell))
    }

    /// Whether a hop acts on all of some packets that come to its base chain.
    pub(in crate::analyze) fn acts_on(&self, hop: usize, cell: &Cell) -> bool {
        let mut way = std::iter::successors(Some(hop), |hop| self.travel.route.inside(*hop));
        way.all(|hop| self.travel.holds(hop, cell, Trust::All))
    }

    /// Whether a hop acts on some of them.
    pub(in crate::analyze) fn touches(&self, hop: usize, cell: &Cell) -> bool {
        let mut way = std::iter::successors(Some(hop), |hop| self.travel.route.inside(*hop));
        way.all(|hop| self.travel.touches(hop, cell))
    }

    /// Whether a hop acts on some of its packets; looked at closely, or as far as each test tells.
    pub(in crate::analyze) fn meets(&self, hop: usize, closely: bool) -> bool {
        let inside = |cell: &Cell| !closely || self.travel.within(hop, cell, None, Trust::All).is_some();
        self.cells.iter().any(|cell| self.touches(hop, cell) && inside(cell))
    }

    /// Whether conditions decide about a hop that the packet does not, beyond those of some packets.
    pub(in crate::analyze) fn depends(&self, hop: usize, cells: &[Cell]) -> bool {
        let mut way = std::iter::successors(Some(hop), |hop| self.travel.route.inside(*hop));
        way.any(|hop| cells.iter().any(|cell| self.travel.is_open(hop, Trust::Nothing, cell.atoms())))
    }

    /// Whether something that was not understood may decide about a packet from a hop on.
    pub(in crate::analyze) fn meets_unread(&self, point: &Point, from: usize) -> bool {
        let route = self.travel.route;
        let unread = |hop: &usize| {
            let luck = route.hops[*hop].luck.is_some_and(|(_, doubt)| doubt == Doubt::Unread);
            luck || route.tests(*hop).iter().any(|test| matches!(test, Test::Atom(..)))
        };
        (from..route.hops.len()).filter(unread).any(|hop| self.travel.hits(hop, point, Trust::Nothing))
    }

    /// Whether a hop surely denies or accepts all of its packets that come to it.
    fn closes(&self, hop: usize, side: Side) -> bool {
        let own = &self.travel.route.hops[hop];
        matches!(own.act, Move::Deny | Move::Accept(_))
            && hop != self.hop
            && own.side.is_on(side)
            && own.luck.is_none()
            && self.cells.iter().all(|cell| self.travel.holds(hop, cell, Trust::All))
    }

    /// Whether all packets that come to a hop come to another before.
    pub(in crate::analyze) fn is_behind(&self, first: usize, hop: usize) -> bool {
        let route = self.travel.route;
        let mut outer = std::iter::successors(route.inside(hop), |outer| route.inside(*outer));
        let same = first < hop && route.inside(first).is_some_and(|inside| outer.any(|outer| outer == inside));
        // What returns out of a base chain comes to its policy.
        let returns = |n: usize| matches!(route.hops[n].act, Move::Leave(end) if end > first && end <= hop);
        same && (!matches!(route.hops[hop].by, By::Policy(..)) || !(0..first).any(returns))
    }

    /// The hops of a stretch that deny some of its packets, those that are likely to take most first.
    pub(in crate::analyze) fn deniers(&self, side: Side, from: usize, to: usize) -> Vec<usize> {
        self.broad(side, from, to, |act| act == Move::Deny)
    }

    /// The hops of a stretch that do something to its packets, those that are likely to take most first.
    pub(in crate::analyze) fn broad(
        &self,
        side: Side,
        from: usize,
        to: usize,
        does: impl Fn(Move) -> bool,
    ) -> Vec<usize> {
        let route = self.travel.route;
        let is_it = |hop: &usize| does(route.hops[*hop].act) && route.hops[*hop].side.is_on(side);
        let to = to.min(route.hops.len());
        let mut all: Vec<_> = (from..to).filter(is_it).collect();
        let closing = (from..to).find(|hop| self.closes(*hop, side));
        all.retain(|hop| {
            let over = |closing: usize| route.hops[closing].act.target().is_none_or(|end| *hop < end);
            closing.is_none_or(|closing| *hop <= closing || !over(closing) || !self.is_behind(closing, *hop))
        });
        if self.cells.len() < route.packets.len() {
            all.retain(|hop| self.cells.iter().any(|cell| self.touches(*hop, cell)));
        }
        all.sort_by_key(|hop| (route.tests(*hop).len(), *hop));
        let first = all.len().min(2 * TRIED);
        let share = |hop: &usize| {
            let each = self.cells.iter().filter_map(|cell| self.travel.within(*hop, cell, None, Trust::All));
            each.map(|cell| cell.magnitude()).max().unwrap_or(0)
        };
        all[..first].sort_by_cached_key(|hop| (Reverse(share(hop)), *hop));
        all
    }
}
