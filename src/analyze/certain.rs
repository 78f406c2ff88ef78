//! What surely becomes of packets, whatever the conditions with numbers say; and where they decide, what may.

use super::program::End;
use super::ways::{Exhausted, Fated, Laid, Meter};
use crate::packet::Cell;
use crate::rule::evaluate::Fate;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Packets of which the same is known.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Without conditions with numbers; no packet is in two.
    pub(super) cell: Cell,
    /// What may become of them: one fate where it is sure.
    pub(super) fates: BTreeSet<Fate>,
    /// The step that decided last, on the first way to the best of the fates.
    pub(super) by: Option<usize>,
    /// The conditions that decide where it is not sure.
    pub(super) terms: BTreeSet<u32>,
    /// The steps that translate their destination, each on one of the ways that they may go; nothing on a way without.
    pub(super) turned: BTreeSet<Option<usize>>,
}

impl Known {
    /// The fate, where it is sure.
    pub(super) fn sure(&self) -> Option<Fate> {
        let mut fates = self.fates.iter();
        fates.next().copied().filter(|_| fates.next().is_none())
    }
}

/// What is known of packets, as disjoint sets.
pub(super) fn known(laid: &Laid, cells: &[Cell], meter: &mut Meter) -> Result<Vec<Known>, Exhausted> {
    let mut sure = Vec::new();
    known_into(laid, cells, meter, &mut sure)?;
    Ok(sure)
}

/// As [`known`]; what was found out before the budget ended is kept.
pub(super) fn known_into(
    laid: &Laid,
    cells: &[Cell],
    meter: &mut Meter,
    sure: &mut Vec<Known>,
) -> Result<(), Exhausted> {
    let mut open = Vec::new();
    laid.follow(cells, meter, &mut |part, _| {
        match part.cell.atoms().is_empty() {
            true => sure.push(one(part)),
            false => open.push(part),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    sure.extend(overlaid(open, meter)?);
    Ok(())
}

fn one(part: Fated) -> Known {
    let terms = part.cell.atoms().iter().map(|(atom, _)| *atom).collect();
    let turned = BTreeSet::from([part.turned[End::Destination as usize]]);
    let mut cell = part.cell;
    cell.drop_atoms();
    Known { cell, fates: BTreeSet::from([part.fate]), by: part.by, terms, turned }
}

/// Lays the ways of the same packets over one another.
fn overlaid(parts: Vec<Fated>, meter: &mut Meter) -> Result<Vec<Known>, Exhausted> {
    let mut laid: Vec<Known> = Vec::new();
    for part in parts {
        let new = one(part);
        let mut rest = vec![new.cell.clone()];
        let mut next = Vec::with_capacity(laid.len() + 1);
        for old in laid {
            meter.spend()?;
            if rest.iter().all(|cell| cell.is_disjoint(&old.cell)) {
                next.push(old);
                continue;
            }
            next.extend(rest.iter().filter_map(|cell| Some(both(&old, &new, cell.and(&old.cell)?))));
            let outside = rest.iter().fold(vec![old.cell.clone()], without);
            next.extend(outside.into_iter().map(|cell| Known { cell, ..old.clone() }));
            rest = without(rest, &old.cell);
        }
        next.extend(rest.into_iter().map(|cell| Known { cell, ..new.clone() }));
        laid = next;
    }
    Ok(laid)
}

fn without(cells: Vec<Cell>, other: &Cell) -> Vec<Cell> {
    cells.iter().flat_map(|cell| cell.minus(other)).collect()
}

fn both(old: &Known, new: &Known, cell: Cell) -> Known {
    let by = if new.fates.first() < old.fates.first() { new.by } else { old.by };
    let fates = old.fates.union(&new.fates).copied().collect();
    Known {
        cell,
        fates,
        by,
        terms: old.terms.union(&new.terms).copied().collect(),
        turned: old.turned.union(&new.turned).copied().collect(),
    }
}
