//! Accepts of AFO's that do not mark yet, from before there was a door: the next change of policy marks them, and they go through.

use super::{Placing, Stood, chosen, loopback, stand};
use crate::analyze::view::View;
use crate::rule::door::{is_through, through};
use crate::rule::ruleset::{At, ChainKind, Condition, Hook, Line, Outcome, Verdict};

/// An accept that is marked by a change of something else.
#[derive(Debug, Clone, Copy)]
pub(in crate::analyze) struct Older {
    /// Where it stands in AFO's generation.
    pub(in crate::analyze) own: At,
    /// Where a door lets it through after the change.
    pub(in crate::analyze) copy: Stood,
}

impl Placing<'_> {
    /// Puts before each door what AFO's generation in force accepts there without a mark.
    pub(in crate::analyze) fn mark_older(&mut self) -> Vec<Older> {
        let mut found = Vec::new();
        for (door, hook) in self.doors.clone() {
            let Some(name) = policy(hook) else { continue };
            let generation = self.view.named(self.table, name).and_then(|base| chosen(&self.view, self.table, base));
            let Some(chain) = generation.filter(|_| self.view.base(door.table, door.chain).is_some()) else { continue };
            let there = copied(&self.view, door);
            let guard = loopback(&stand(name, ChainKind::Filter, hook, 0), true).filter(|_| self.spares(chain));
            for line in self.view.order(self.table, chain) {
                let own = At { table: self.table, chain, line };
                let Some(accepts) = self.view.line(own).filter(|line| accepts(line)).cloned() else { continue };
                let copy = through(&accepts, guard.clone());
                if there.contains(&copy.text) {
                    continue;
                }
                let rank = self.view.rank(door).unwrap_or(0);
                let at = self.view.put(door.table, door.chain, rank, copy);
                found.push(Older { own, copy: Stood { at, base: door.chain } });
            }
        }
        found
    }

    /// Whether a generation leaves loopback alone from its beginning.
    fn spares(&self, chain: usize) -> bool {
        let order = self.view.order(self.table, chain);
        order.into_iter().any(|line| super::spares(&self.view, At { table: self.table, chain, line }))
    }
}

fn policy(hook: Hook) -> Option<&'static str> {
    match hook {
        Hook::Input => Some("input"),
        Hook::Forward => Some("forward"),
        Hook::Output => Some("output"),
        _ => None,
    }
}

fn accepts(line: &Line) -> bool {
    let for_good = |condition: &Condition| !matches!(condition, Condition::Unread(_));
    line.outcome == Outcome::Verdict(Verdict::Accept) && line.comment.is_some() && line.conditions.iter().all(for_good)
}

/// The texts of what a door lets through already.
fn copied(view: &View, door: At) -> Vec<String> {
    let order = view.order(door.table, door.chain).into_iter();
    let lines = order.filter_map(|line| view.line(At { table: door.table, chain: door.chain, line }));
    lines.filter(|line| is_through(line)).map(|line| line.text.clone()).collect()
}
