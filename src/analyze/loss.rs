//! Packets that got through and would no more: what a change takes from ways that must survive it.
//!
//! It errs on the side of telling: where chance or what is not understood may deny a packet that surely went through, that packet is lost.

use super::Budget;
use super::cells::Atoms;
use super::fate::{Part, fates, settled};
use super::program::{Program, lay_out};
use super::words::{decider, example};
use crate::packet::Cell;
use crate::rule::Direction;
use crate::rule::evaluate::By;
use crate::rule::ruleset::Ruleset;
use std::ops::ControlFlow;

/// More parts of one way than this are not followed.
const PARTS: usize = 4096;

/// Packets of a way that a change would deny.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The number of the way, from 0.
    pub way: usize,
    /// One of the packets.
    pub packet: Option<String>,
    /// The comment of the rule that would deny them, where it is a rule and has one.
    pub rule: Option<String>,
    /// What would deny them, as it stands in the ruleset.
    pub by: String,
}

/// What of `ways` goes through `before` and may not go through `after`, each with the first that denies it.
///
/// # Errors
/// Words that say why it was not found out: a ruleset that cannot be laid out, a search that came to its end.
pub fn losses(
    before: &Ruleset,
    after: &Ruleset,
    ways: &[(Direction, Cell)],
    budget: Budget,
) -> Result<Vec<Loss>, String> {
    let mut atoms = Atoms::default();
    let mut found = Vec::new();
    for direction in Direction::ALL.iter().copied() {
        let own: Vec<_> = ways.iter().enumerate().filter(|(_, (d, _))| *d == direction).collect();
        if own.is_empty() {
            continue;
        }
        let old = lay_out(before, direction, &mut atoms).map_err(|e| e.to_string())?;
        let new = lay_out(after, direction, &mut atoms).map_err(|e| e.to_string())?;
        for (way, (_, cell)) in own {
            let (old, parts) = (parts(&old, cell, budget)?, parts(&new, cell, budget)?);
            for part in parts.iter().filter(|part| !part.passes) {
                let Some(cell) = taken(part, &old) else { continue };
                let by = part.by.map_or(By::Nothing, |step| new.steps[step].by);
                let rule =
                    if let By::Line(at) = by { after.line(at).and_then(|line| line.comment.clone()) } else { None };
                found.push(Loss { way, packet: example(direction, &cell), rule, by: decider(after, by) });
            }
        }
    }
    Ok(found)
}

fn parts(program: &Program, cell: &Cell, budget: Budget) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let done = fates(program, std::slice::from_ref(cell), 0, budget.steps, &mut |part| {
        parts.push(part);
        if parts.len() < PARTS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if done.is_err() || parts.len() >= PARTS {
        return Err(budget.undecided(""));
    }
    Ok(settled(parts))
}

/// Some packets of a denied part that were not denied before. What may be denied now takes nothing from those that might have been
/// before; what surely is takes them too.
fn taken(part: &Part, before: &[Part]) -> Option<Cell> {
    let denied = |old: &&Part| !old.passes && (part.doubt.is_some() || old.doubt.is_none());
    let rest = before
        .iter()
        .filter(denied)
        .fold(vec![part.cell.clone()], |rest, old| rest.iter().flat_map(|cell| cell.minus(&old.cell)).collect());
    rest.into_iter().next()
}
