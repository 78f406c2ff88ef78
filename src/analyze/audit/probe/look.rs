//! What becomes of one packet: the steps that it is in, and its fate with a rule and without.

use super::Probe;
use crate::analyze::audit::boxes::Boxes;
use crate::analyze::audit::grid::Span;
use crate::analyze::audit::plan::Acting;
use crate::analyze::program::Act;
use std::ops::ControlFlow;
use std::rc::Rc;

impl Probe<'_> {
    /// The numbers of a packet of a step.
    pub(in crate::analyze::audit) fn corner(&self, step: u32) -> Option<Vec<u32>> {
        let grid = &self.plan.grid;
        let mut parts = Vec::with_capacity(2 * grid.width());
        match grid.is_holed(step) {
            false => grid.by_family(grid.hull(step), &mut parts),
            true => {
                let mut boxes = Boxes::new(grid, &[step]);
                while let Some(space) = boxes.next().filter(|_| parts.is_empty()) {
                    grid.by_family(space, &mut parts);
                }
            }
        }
        let last = parts.len().checked_sub(grid.width())?;
        Some(parts[last..].iter().map(|span| span.lo).collect())
    }

    /// Whether some packet of a step surely comes to it, and whether without its rule that packet has another fate for sure.
    pub(in crate::analyze::audit) fn glance(&mut self, step: u32) -> Option<(Vec<u32>, bool)> {
        let point = self.corner(step)?;
        let hits = self.steps_of(&point);
        let here = &self.plan.program.steps[step as usize];
        let atoms = here.cell.atoms();
        let taken = |n: &u32| {
            let other = &self.plan.program.steps[*n as usize];
            let known = other.cell.atoms().iter().all(|atom| atoms.binary_search(atom).is_ok());
            known && other.doubt.is_none() && self.plan.marks[*n as usize].end > step
        };
        if hits.iter().take_while(|n| **n < step).any(taken) {
            return None;
        }
        let own = Some(self.plan.marks[step as usize].rule);
        let with = match here.act {
            Act::Deny => Some((false, Some(step))),
            Act::Accept(to) => self.follow(&hits, to as u32, None, atoms),
            Act::Pass | Act::Leave(_) => None,
        };
        let without = with.and_then(|_| self.follow(&hits, step + 1, own, atoms));
        let changed = matches!((with, without), (Some((a, _)), Some((b, _))) if a != b);
        Some((point, changed))
    }

    /// The first step from `from` on that surely accepts all packets of a step and goes on from `to`; the step's rule apart.
    pub(in crate::analyze::audit) fn accepts_all(&mut self, step: u32, from: u32, to: u32) -> Option<u32> {
        let point = self.corner(step)?;
        let hits = self.steps_of(&point);
        let (plan, atoms) = (self.plan, self.plan.program.steps[step as usize].cell.atoms());
        let own = plan.marks[step as usize].rule;
        let all = |n: &u32| {
            let (mark, other) = (plan.marks[*n as usize], &plan.program.steps[*n as usize]);
            let there = mark.rule != own && !self.is_removed(*n);
            let known = other.cell.atoms().iter().all(|atom| atoms.binary_search(atom).is_ok());
            there && known && other.act == Act::Accept(to as usize) && !mark.doubt && plan.grid.is_inside(step, *n)
        };
        let found = hits.iter().copied().filter(|n| *n >= from).find(all)?;
        let mut past = false;
        plan.acting(plan.grid.hull(step), from..found, Acting::Leading(to - 1), |n| {
            past |= plan.marks[n as usize].end > found;
            if past { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (!past).then_some(found)
    }

    /// The steps that a packet is in, in order.
    pub(in crate::analyze::audit) fn steps_of(&mut self, point: &[u32]) -> Rc<[u32]> {
        if self.asked.as_deref() != Some(point) {
            let mut asked = self.asked.take().unwrap_or_default();
            asked.clear();
            asked.extend_from_slice(point);
            self.asked = Some(asked);
            self.local.clear();
            self.local.extend(point.iter().map(|n| Span { lo: *n, hi: *n }));
            let mut found = std::mem::take(&mut self.found);
            found.clear();
            self.plan.acting(&self.local, 0..u32::MAX, Acting::Any, |step| {
                found.push(step);
                ControlFlow::Continue(())
            });
            found.sort_unstable();
            self.answer = Rc::from(found.as_slice());
            self.found = found;
        }
        Rc::clone(&self.answer)
    }

    /// What becomes of a packet: whether it passes, and the step that decided last. Nothing where chance or what is unread decides.
    pub(in crate::analyze::audit) fn fate(
        &mut self,
        point: &[u32],
        atoms: &[(u32, bool)],
    ) -> Option<(bool, Option<u32>)> {
        let hits = self.steps_of(point);
        self.follow(&hits, 0, None, atoms)
    }

    /// Follows a packet that is in the given steps from one of them on, as if one rule were not there.
    fn follow(
        &self,
        hits: &[u32],
        mut from: u32,
        without: Option<u32>,
        atoms: &[(u32, bool)],
    ) -> Option<(bool, Option<u32>)> {
        let mut last = None;
        for step in hits.iter().copied() {
            if step < from || without == Some(self.plan.marks[step as usize].rule) {
                continue;
            }
            let here = &self.plan.program.steps[step as usize];
            let known = here.cell.atoms().iter().all(|atom| atoms.binary_search(atom).is_ok());
            if here.doubt.is_some() || !known {
                return None;
            }
            match here.act {
                Act::Deny => return Some((false, Some(step))),
                Act::Accept(to) => (from, last) = (to as u32, Some(step)),
                Act::Leave(to) => from = to as u32,
                Act::Pass => {}
            }
        }
        Some((true, last))
    }
}
