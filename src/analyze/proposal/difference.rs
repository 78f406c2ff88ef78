//! Which packets have another fate after a change than before, and by which rules.

use super::judge::{Judge, Way, follow};
use crate::analyze::fate::Part;
use crate::analyze::program::{Program, lay_out_lucky};
use crate::analyze::view::View;
use crate::packet::Cell;
use crate::rule::Direction;
use crate::rule::evaluate::By;

/// How a difference is told: where a change is that of one rule, it is named as what decides, whatever else let the packet by.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl Judge<'_> {
    /// Notes which of some packets have another fate in `view`, a ruleset after the change; nothing where that was too much to
    /// follow.
    pub(super) fn difference(&mut self, view: &View, way: &Way, packets: &[Cell], told: &Told) -> Option<bool> {
        let packets = self.unseen(way.direction, packets);
        let chance = |program: &Program| program.steps.iter().any(|step| step.doubt.is_some());
        let found = match chance(&way.before) || chance(&way.after) {
            true => self.lucky(view, way, &packets).and_then(|lucky| self.compared(&lucky, &packets)),
            false => self.compared(way, &packets),
        };
        for pair in found.iter().flatten() {
            self.note(way.direction, pair, told);
        }
        found.map(|pairs| !pairs.is_empty())
    }

    /// The way with all that is left to chance decided alike before and after.
    fn lucky(&mut self, view: &View, way: &Way, packets: &[Cell]) -> Option<Way> {
        let before = lay_out_lucky(self.before, way.direction, packets, &mut self.found.atoms).ok()?;
        let after = lay_out_lucky(view, way.direction, packets, &mut self.found.atoms).ok()?;
        Some(Way { direction: way.direction, packets: packets.to_vec(), before, after })
    }

    /// The packets that were not compared before, for another part of the same change.
    pub(super) fn unseen(&self, direction: Direction, packets: &[Cell]) -> Vec<Cell> {
        let mut left = packets.to_vec();
        for (_, seen) in self.seen.iter().filter(|(own, _)| *own == direction) {
            left = left.iter().flat_map(|cell| cell.minus(seen)).collect();
        }
        left
    }

    /// The packets whose fates differ, and what decides about them.
    fn compared(&self, way: &Way, packets: &[Cell]) -> Option<Vec<Pair>> {
        let by = |program: &Program, part: &Part| part.by.map_or(By::Nothing, |n| program.steps[n].by);
        let mut pairs = Vec::new();
        for was in follow(&way.before, packets, 0, self.most())? {
            let after = follow(&way.after, std::slice::from_ref(&was.cell), 0, self.most())?;
            for is in after.iter().filter(|is| is.passes != was.passes) {
                let (before, after) = (by(&way.before, &was), by(&way.after, is));
                pairs.push(Pair { cell: is.cell.clone(), accepted: is.passes, before, after });
            }
        }
        Some(pairs)
    }

    fn note(&mut self, direction: Direction, pair: &Pair, told: &Told) {
        let mut cell = pair.cell.clone();
        cell.drop_atoms_of(|atom| self.found.atoms.is_luck(atom));
        let was = told.before.clone().unwrap_or_else(|| self.before.decider(pair.before));
        let is = told.after.clone().unwrap_or_else(|| self.after.decider(pair.after));
        self.found.changed.add(pair.accepted, direction, cell, was, is);
    }
}

/// Packets of another fate than before.
struct Pair {
    cell: Cell,
    accepted: bool,
    before: By,
    after: By,
}
