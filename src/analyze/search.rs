//! The search for a packet that comes to a step: what no earlier step surely takes.
//!
//! A piece of the packets is split around the earlier step that takes most of it, the largest rest first. A piece with nothing
//! left over it is a witness; when no piece is left, the steps that were split around are a cover, which is the proof that
//! nothing comes through.

use super::program::{Act, Program, Step};
use crate::packet::Cell;
use std::collections::BTreeSet;

/// What became of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// These packets come to the step; not all of them when the search was told to stop early.
    Open(Vec<Cell>),
    /// None does; these steps take them.
    Closed(BTreeSet<usize>),
    /// The budget ended first, with this many steps of search.
    Undecided(usize),
}

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Splits of a piece.
    pub(super) budget: usize,
    /// Pieces that come through before the search stops.
    pub(super) pieces: usize,
}

struct Piece {
    cell: Cell,
    /// All steps before are done with.
    at: usize,
    /// Steps that may touch it, ascending.
    over: Vec<usize>,
}

/// Which packets of `cells` come to step `to`.
pub(super) fn reach(program: &Program, cells: &[Cell], to: usize, limits: Limits) -> Reach {
    let over = |cell: &Cell| -> Vec<usize> {
        let touching = program.index.touching(&program.steps, cell, 0, to);
        touching.into_iter().filter(|n| counts(&program.steps[*n], to)).collect()
    };
    reach_over(&program.steps, cells, to, limits, &over)
}

/// The same with the given steps as the only ones on the way.
#[cfg(test)]
pub(super) fn reach_past(
    program: &Program,
    cells: &[Cell],
    to: usize,
    only: &BTreeSet<usize>,
    limits: Limits,
) -> Reach {
    let steps = &program.steps;
    let over = |cell: &Cell| -> Vec<usize> {
        only.iter()
            .copied()
            .filter(|n| *n < to && counts(&steps[*n], to) && !steps[*n].cell.is_disjoint(cell))
            .collect()
    };
    reach_over(steps, cells, to, limits, &over)
}

/// Whether a step can change what comes to `to`: it surely takes packets, or it may lead them past what would.
fn counts(step: &Step, to: usize) -> bool {
    match step.act {
        Act::Pass => false,
        Act::Deny => step.doubt.is_none(),
        Act::Accept(end) | Act::Leave(end) => step.doubt.is_none() || end <= to,
    }
}

/// Whether packets of a step never come to `to`, as long as they come to the step itself.
fn takes(step: &Step, to: usize) -> bool {
    step.doubt.is_none() && step.act.target().is_none_or(|end| end > to)
}

fn reach_over(steps: &[Step], cells: &[Cell], to: usize, limits: Limits, over: &dyn Fn(&Cell) -> Vec<usize>) -> Reach {
    let mut stack: Vec<Piece> =
        cells.iter().flat_map(Cell::by_family).map(|cell| Piece { over: over(&cell), cell, at: 0 }).collect();
    let (mut open, mut used, mut count) = (Vec::new(), BTreeSet::new(), 0);
    while let Some(piece) = stack.pop() {
        count += 1;
        if count > limits.budget {
            return Reach::Undecided(limits.budget);
        }
        if piece.over.is_empty() {
            open.push(piece.cell);
            if open.len() >= limits.pieces {
                break;
            }
            continue;
        }
        match best(steps, &piece, to) {
            Some(cover) => {
                used.insert(cover);
                let mut rest = rest(steps, &piece, cover, piece.at);
                rest.sort_by_key(|p| p.cell.magnitude());
                stack.extend(rest);
            }
            None => detour(steps, &piece, &mut stack),
        }
    }
    if open.is_empty() { Reach::Closed(used) } else { Reach::Open(open) }
}

/// The step that takes most of a piece, out of those that nothing leads past.
fn best(steps: &[Step], piece: &Piece, to: usize) -> Option<usize> {
    let detours: Vec<_> = piece
        .over
        .iter()
        .filter_map(|n| steps[*n].act.target().filter(|end| *end <= to).map(|end| (*n, end)))
        .collect();
    let passed = |n: usize| detours.iter().any(|(from, end)| *from < n && n < *end);
    let sure = piece.over.iter().copied().filter(|n| takes(&steps[*n], to) && !passed(*n));
    sure.max_by_key(|n| (piece.cell.share(&steps[*n].cell), std::cmp::Reverse(*n)))
}

/// What is left of a piece besides a step.
fn rest(steps: &[Step], piece: &Piece, around: usize, at: usize) -> Vec<Piece> {
    let outside = piece.cell.minus(&steps[around].cell);
    outside.into_iter().map(|cell| Piece { over: still(steps, piece, &cell, at), cell, at }).collect()
}

fn still(steps: &[Step], piece: &Piece, cell: &Cell, at: usize) -> Vec<usize> {
    piece.over.iter().copied().filter(|n| *n >= at && !steps[*n].cell.is_disjoint(cell)).collect()
}

/// Follows the first step of a piece, which skips.
fn detour(steps: &[Step], piece: &Piece, stack: &mut Vec<Piece>) {
    let Some(first) = piece.over.first().copied() else { return };
    let step = &steps[first];
    let go_on = |cell: Cell, at: usize| Piece { over: still(steps, piece, &cell, at), cell, at };
    stack.extend(rest(steps, piece, first, first + 1));
    if let (Some(inside), Some(end)) = (piece.cell.and(&step.cell), step.act.target()) {
        if step.doubt.is_some() {
            stack.push(go_on(inside.clone(), first + 1));
        }
        stack.push(go_on(inside, end));
    }
}
