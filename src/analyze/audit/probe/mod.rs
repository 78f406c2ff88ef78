//! The search for a packet that makes a journey: that comes from one place of a program to another past all that takes it away.
//!
//! One packet of the set is tried. What takes it away takes a whole box; the rest of the set is what lies around that box, and
//! the largest part of it is tried next. A packet that gets through is a witness. When nothing is left, the steps that took
//! packets away are a cover, which is the proof that no packet makes the journey.

mod look;

use super::boxes::Boxes;
use super::grid::Span;
use super::plan::{Acting, Plan};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

/// So many steps are left to each search when all together took too many.
const SHORT: usize = 100;

/// What packets must do: come through each stretch of steps, and where it ends be at its end.
#[derive(Debug, Clone, Copy)]
pub(in crate::analyze::audit) struct Journey<'a> {
    /// Ascending, not overlapping.
    pub(in crate::analyze::audit) legs: &'a [Range<u32>],
    /// Unread conditions that hold for the packets: numbers, sorted.
    pub(in crate::analyze::audit) atoms: &'a [(u32, bool)],
    /// A rule that is not there after the first leg, by its number.
    pub(in crate::analyze::audit) without: Option<u32>,
    /// Whether a way that depends on other unread conditions counts as one.
    pub(in crate::analyze::audit) may: bool,
}

/// What became of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::analyze::audit) enum Found {
    /// A packet makes the journey: its numbers.
    Witness(Vec<u32>),
    /// None does: these steps take them or lead them.
    Nothing(Vec<u32>),
    /// The budget ended first.
    Undecided,
    /// It depends on unread conditions that several steps share.
    Tangled,
}

/// What a step is to a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Packets end here, or are led past the end of the stretch.
    Take,
    /// Packets are led on within the stretch; some only may be.
    Jump { to: u32, may: bool },
    /// That it leads on depends on an unread condition.
    Tangle { to: u32 },
}

/// Steps that mean nothing to a part of the packets, because a step leads over them.
#[derive(Debug, Clone, Copy)]
struct Lead {
    /// The step that leads, itself included.
    from: u32,
    to: u32,
    /// What was known before; 0 is nothing.
    before: u32,
}

/// A workspace for searches in one program.
#[derive(Debug)]
pub(in crate::analyze::audit) struct Probe<'a> {
    pub(in crate::analyze::audit) plan: &'a Plan<'a>,
    /// Searches end after this many pieces.
    pub(in crate::analyze::audit) budget: usize,
    /// After so many pieces in all, each search is a short one.
    most: usize,
    /// Rules that are taken as not there, by their numbers.
    pub(in crate::analyze::audit) removed: Vec<bool>,
    /// When given, only these steps take packets away: sorted.
    pub(in crate::analyze::audit) only: Option<Vec<u32>>,
    /// Steps of the present search, and of all searches.
    pub(in crate::analyze::audit) spent: usize,
    total: usize,
    /// What is not decided: for each piece the last of its leads, and its box, one after the other.
    pieces: Vec<u32>,
    spans: Vec<Span>,
    leads: Vec<Lead>,
    here: Vec<Span>,
    point: Vec<u32>,
    hits: Vec<(u32, Role)>,
    through: Vec<bool>,
    local: Vec<Span>,
    best: Vec<Span>,
    rest: Vec<Span>,
    order: Vec<(f32, u32)>,
    /// The packet that was asked for last, and the steps that it is in.
    asked: Option<Vec<u32>>,
    answer: Rc<[u32]>,
    found: Vec<u32>,
}

impl<'a> Probe<'a> {
    pub(in crate::analyze::audit) fn new(plan: &'a Plan<'a>, budget: usize, patience: usize) -> Self {
        Self {
            plan,
            budget,
            most: budget.saturating_mul(patience),
            removed: Vec::new(),
            only: None,
            spent: 0,
            total: 0,
            pieces: Vec::new(),
            spans: Vec::new(),
            leads: Vec::new(),
            here: Vec::new(),
            point: Vec::new(),
            hits: Vec::new(),
            through: Vec::new(),
            local: Vec::new(),
            best: Vec::new(),
            rest: Vec::new(),
            order: Vec::new(),
            asked: None,
            answer: Rc::new([]),
            found: Vec::new(),
        }
    }

    /// Whether a packet that is in all the given steps makes the journey.
    pub(in crate::analyze::audit) fn search(&mut self, within: &[u32], journey: Journey) -> Found {
        self.pieces.clear();
        self.spans.clear();
        self.leads.clear();
        self.leads.push(Lead { from: 0, to: 0, before: 0 });
        self.spent = 0;
        let mut used = Vec::new();
        let grid = &self.plan.grid;
        if !within.iter().any(|step| grid.is_holed(*step)) {
            self.local.clear();
            self.local.extend_from_slice(grid.hull(within[0]));
            for step in &within[1..] {
                self.local.iter_mut().zip(grid.hull(*step)).for_each(|(own, other)| *own = own.and(*other));
            }
            if !self.local.iter().any(|span| span.is_empty()) {
                let space = std::mem::take(&mut self.local);
                let found = self.search_box(&space, journey, &mut used);
                self.local = space;
                if let Some(found) = found {
                    return found;
                }
            }
        } else {
            let mut boxes = Boxes::new(grid, within);
            while let Some(space) = boxes.next() {
                if let Some(found) = self.search_box(space, journey, &mut used) {
                    return found;
                }
            }
        }
        used.sort_unstable();
        used.dedup();
        Found::Nothing(used)
    }

    fn search_box(&mut self, space: &[Span], journey: Journey, used: &mut Vec<u32>) -> Option<Found> {
        self.plan.grid.by_family(space, &mut self.spans);
        match self.plan.grid.width() {
            0 => self.pieces.push(0),
            width => self.pieces.resize(self.spans.len() / width, 0),
        }
        self.exhaust(journey, used)
    }

    /// Whether a step takes every packet that is in all the given steps, so that none makes the journey.
    pub(in crate::analyze::audit) fn takes_all(&mut self, taker: u32, within: &[u32], journey: Journey) -> bool {
        if self.role(taker, &journey) != Some(Role::Take) || self.plan.grid.is_holed(taker) {
            return false;
        }
        let grid = &self.plan.grid;
        self.best.clear();
        self.best.extend_from_slice(grid.hull(taker));
        for (axis, own) in self.best.iter_mut().enumerate() {
            let all = within.iter().map(|step| grid.hull(*step)[axis]).fold(*own, Span::and);
            let inside = within.iter().map(|step| grid.hull(*step)[axis]).reduce(Span::and);
            if inside.is_some_and(|inside| inside != all) {
                return false;
            }
            *own = all;
        }
        self.here.clone_from(&self.best);
        self.leads_past(&journey, 0, taker).is_none()
    }

    /// Whether the rule of a step is taken as not there.
    pub(in crate::analyze::audit) fn is_removed(&self, step: u32) -> bool {
        let rule = self.plan.marks[step as usize].rule;
        self.removed.get(rule as usize).is_some_and(|removed| *removed)
    }

    /// How far the next search goes: after very many steps in all, each goes only a little way.
    pub(in crate::analyze::audit) fn limit(&self) -> usize {
        match self.total > self.most {
            true => self.budget.min(SHORT),
            false => self.budget,
        }
    }

    /// Works until no piece is left, or an answer is found.
    fn exhaust(&mut self, journey: Journey, used: &mut Vec<u32>) -> Option<Found> {
        let (width, limit) = (self.plan.grid.width(), self.limit());
        while let Some(led) = self.pieces.pop() {
            self.spent += 1;
            self.total += 1;
            if self.spent > limit {
                return Some(Found::Undecided);
            }
            let start = self.spans.len() - width;
            self.here.clear();
            self.here.extend_from_slice(&self.spans[start..]);
            self.spans.truncate(start);
            self.aim();
            self.hit(&journey);
            match self.gets_through(&journey) {
                Some(true) => return Some(Found::Witness(self.point.clone())),
                Some(false) => {}
                None => return Some(Found::Tangled),
            }
            let Some(taker) = self.taker(led) else { return Some(Found::Undecided) };
            match self.leads_past(&journey, led, taker) {
                None => {
                    used.push(taker);
                    self.around(led);
                }
                Some((_, Role::Tangle { .. })) if !journey.may => return Some(Found::Tangled),
                Some((step, role)) => {
                    used.push(step);
                    self.lead(led, step, role);
                }
            }
        }
        None
    }

    /// Chooses a packet of the piece: the lowest number on each axis, every other time the highest.
    fn aim(&mut self) {
        let low = self.spent % 2 == 1;
        self.point.clear();
        self.point.extend(self.here.iter().map(|span| if low { span.lo } else { span.hi }));
    }

    fn role(&self, step: u32, journey: &Journey) -> Option<Role> {
        let (leg, range) = journey.legs.iter().enumerate().find(|(_, leg)| leg.contains(&step))?;
        let mark = self.plan.marks[step as usize];
        let gone = leg > 0 && journey.without == Some(mark.rule);
        if gone || self.is_removed(step) {
            return None;
        }
        let own = |(atom, holds): &(u32, bool)| journey.atoms.binary_search(&(*atom, *holds)).is_ok();
        let foreign = mark.atoms && !self.plan.program.steps[step as usize].cell.atoms().iter().all(own);
        if mark.end > range.end {
            let takes =
                !mark.doubt && !foreign && self.only.as_ref().is_none_or(|only| only.binary_search(&step).is_ok());
            return takes.then_some(Role::Take);
        }
        Some(match foreign {
            true => Role::Tangle { to: mark.end },
            false => Role::Jump { to: mark.end, may: mark.doubt },
        })
    }

    /// Finds the steps that the packet is in, in order.
    fn hit(&mut self, journey: &Journey) {
        let goal = journey.legs.last().map_or(0, |leg| leg.end);
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        if self.asked.as_ref() == Some(&self.point) {
            let before = self.answer.iter().take_while(|step| **step < goal);
            hits.extend(before.filter_map(|step| Some((*step, self.role(*step, journey)?))));
            self.hits = hits;
            return;
        }
        self.local.clear();
        self.local.extend(self.point.iter().map(|n| Span { lo: *n, hi: *n }));
        self.plan.acting(&self.local, 0..goal, Acting::Any, |step| {
            hits.extend(self.role(step, journey).map(|role| (step, role)));
            ControlFlow::Continue(())
        });
        if hits.iter().any(|(_, role)| *role != Role::Take) {
            hits.sort_unstable_by_key(|(step, _)| *step);
        }
        self.hits = hits;
    }

    /// Whether the packet makes the journey; nothing where that depends on unread conditions.
    fn gets_through(&mut self, journey: &Journey) -> Option<bool> {
        let hits = &self.hits;
        if hits.iter().all(|(_, role)| *role == Role::Take) {
            return Some(hits.is_empty());
        }
        if !journey.may && hits.iter().any(|(_, role)| matches!(role, Role::Tangle { .. })) {
            return None;
        }
        let through = &mut self.through;
        through.clear();
        through.resize(hits.len() + 1, true);
        let after = |to: u32| hits.partition_point(|(step, _)| *step < to);
        for (n, (_, role)) in hits.iter().enumerate().rev() {
            through[n] = match *role {
                Role::Take => false,
                Role::Jump { to, may: false } => through[after(to)],
                Role::Jump { to, may: true } | Role::Tangle { to } => through[n + 1] || through[after(to)],
            };
        }
        Some(through[0])
    }

    /// The step that takes the packet and most of the piece with it. What it takes is put into `best`.
    fn taker(&mut self, led: u32) -> Option<u32> {
        let (mut found, mut most) = (None, -1.0f32);
        for n in 0..self.hits.len() {
            let (step, role) = self.hits[n];
            if role != Role::Take || self.is_led_over(led, step) {
                continue;
            }
            self.local.clear();
            self.local.extend(self.point.iter().map(|n| Span { lo: *n, hi: *n }));
            let at = std::mem::take(&mut self.local);
            let mut taken = std::mem::take(&mut self.rest);
            self.plan.grid.local(step, &at, &mut taken);
            self.local = at;
            let share: f32 = taken.iter().zip(&self.here).map(|(own, all)| part(own.and(*all), *all)).product();
            // Of two that take as much, the earlier: less leads past it.
            if share > most || share == most && found.is_some_and(|before| step < before) {
                most = share;
                found = Some(step);
                std::mem::swap(&mut self.best, &mut taken);
            }
            self.rest = taken;
        }
        found
    }

    fn is_led_over(&self, mut led: u32, step: u32) -> bool {
        while led != 0 {
            let lead = self.leads[led as usize];
            if lead.from <= step && step < lead.to {
                return true;
            }
            led = lead.before;
        }
        false
    }

    /// The first step that may lead packets of the piece past the one that takes them, and past which none leads. Leaves what is
    /// taken in `best`.
    fn leads_past(&mut self, journey: &Journey, led: u32, taker: u32) -> Option<(u32, Role)> {
        for (own, all) in self.best.iter_mut().zip(&self.here) {
            *own = own.and(*all);
        }
        let (mut found, mut target) = (None, taker);
        loop {
            // What goes on behind the end of the stretch takes packets, rather than lead them.
            let (start, end) =
                journey.legs.iter().find(|leg| leg.contains(&target)).map_or((0, 0), |l| (l.start, l.end));
            let mut lowest: Option<(u32, Role)> = None;
            self.plan.acting(&self.best, start..target, Acting::Leading(end), |step| {
                let past = self.plan.marks[step as usize].end > target;
                let lower = past && lowest.is_none_or(|(n, _)| step < n) && !self.is_led_over(led, step);
                if lower {
                    let role = self.role(step, journey).filter(|role| *role != Role::Take);
                    lowest = role.map(|role| (step, role)).or(lowest);
                }
                ControlFlow::Continue(())
            });
            match lowest {
                Some((step, _)) => (found, target) = (lowest, step),
                None => return found,
            }
        }
    }

    /// Leaves of the piece what is around what was taken.
    fn around(&mut self, led: u32) {
        self.rest.clear();
        self.order.clear();
        let width = self.here.len();
        for axis in 0..width {
            let (own, all) = (self.best[axis], self.here[axis]);
            for side in [
                (all.lo < own.lo).then(|| Span { lo: all.lo, hi: own.lo - 1 }),
                (own.hi < all.hi).then(|| Span { lo: own.hi + 1, hi: all.hi }),
            ]
            .into_iter()
            .flatten()
            {
                let start = self.rest.len();
                self.rest.extend_from_slice(&self.here);
                self.rest[start + axis] = side;
                let size: f32 = self.rest[start..].iter().map(|span| (span.extent() as f32 + 1.0).log2()).sum();
                self.order.push((size, start as u32));
            }
            self.here[axis] = own.and(all);
        }
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        for (_, start) in &self.order {
            self.spans.extend_from_slice(&self.rest[*start as usize..][..width]);
            self.pieces.push(led);
        }
    }

    /// Parts the piece into what a step leads on and what it does not.
    fn lead(&mut self, led: u32, step: u32, role: Role) {
        let (to, may) = match role {
            Role::Jump { to, may } => (to, may),
            Role::Tangle { to } => (to, true),
            Role::Take => return,
        };
        let mut local = std::mem::take(&mut self.local);
        self.plan.grid.local(step, &self.best, &mut local);
        for (own, led) in self.best.iter_mut().zip(&local) {
            *own = own.and(*led);
        }
        self.local = local;
        // Leaves in `here` what the step leads on.
        self.around(led);
        let ends: &[u32] = if may { &[step + 1, to] } else { &[to] };
        for to in ends {
            self.spans.extend_from_slice(&self.here);
            self.pieces.push(self.leads.len() as u32);
            self.leads.push(Lead { from: step, to: *to, before: led });
        }
    }
}

fn part(own: Span, all: Span) -> f32 {
    (own.extent() as f32 + 1.0) / (all.extent() as f32 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::cells::Atoms;
    use crate::analyze::program::lay_out;
    use crate::analyze::search::{Limits, Reach, reach, reach_past};
    use crate::analyze::tests::ruleset;
    use crate::rule::Direction;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn probes_find_what_splitting_finds(ruleset in ruleset()) {
            let program = lay_out(&ruleset, Direction::Input, &mut Atoms::default()).expect("no circles");
            let plan = Plan::new(&program);
            let mut probe = Probe::new(&plan, 100_000, 500);
            let limits = Limits { budget: 100_000, pieces: usize::MAX };
            for (n, step) in program.steps.iter().enumerate() {
                let to = n as u32;
                let leg = 0..to;
                let journey = Journey { legs: std::slice::from_ref(&leg), atoms: step.cell.atoms(), without: None, may: false };
                let slow = reach(&program, std::slice::from_ref(&step.cell), n, limits);
                match (probe.search(&[to], journey), slow) {
                    (Found::Witness(point), Reach::Open(cells)) => {
                        let witness = plan.grid.cell(&step.cell, &point).by_family();
                        prop_assert!(!witness.is_empty());
                        // All packets that a point stands for are alike.
                        for part in witness {
                            prop_assert!(cells.iter().any(|cell| part.is_subset(cell)), "step {}: {:?}", n, part);
                        }
                    }
                    (Found::Nothing(cover), Reach::Closed(_)) => {
                        let only: BTreeSet<usize> = cover.iter().map(|n| *n as usize).collect();
                        let past = reach_past(&program, std::slice::from_ref(&step.cell), n, &only, limits);
                        prop_assert!(matches!(past, Reach::Closed(_)));
                    }
                    (fast, slow) => prop_assert!(false, "step {}: {:?} and {:?}", n, fast, slow),
                }
            }
        }
    }
}
