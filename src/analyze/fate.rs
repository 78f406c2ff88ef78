//! What becomes of a set of packets: split, step by step, into parts of one fate each.

use super::cells::Doubt;
use super::program::{Act, Program, TurnedBy};
use crate::packet::Cell;
use std::ops::ControlFlow;

/// Packets that have the same way.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) cell: Cell,
    /// Whether they go through.
    pub(super) passes: bool,
    /// The step that decided last, where one did.
    pub(super) by: Option<usize>,
    /// Set where a step that may happen or not decided.
    pub(super) doubt: Option<Doubt>,
    /// What translated them on their way.
    pub(super) turned: TurnedBy,
}

struct Piece {
    cell: Cell,
    at: usize,
    by: Option<usize>,
    doubt: Option<Doubt>,
    turned: TurnedBy,
    /// Steps that may touch it, ascending.
    over: Vec<usize>,
}

/// The end of a run that went over its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// A piece that so many steps may touch counts as one more: each of them is held against what is left of it.
const HELD: usize = 2048;

/// Follows packets from step `from` to their ends. `visit` may stop it.
pub(super) fn fates(
    program: &Program,
    cells: &[Cell],
    from: usize,
    budget: usize,
    visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
) -> Result<(), Spent> {
    let steps = &program.steps;
    let mut stack: Vec<Piece> = Vec::new();
    for cell in cells.iter().flat_map(Cell::by_family) {
        let over = program.index.touching(steps, &cell, from, steps.len());
        stack.push(Piece { cell, at: from, by: None, doubt: None, turned: TurnedBy::default(), over });
    }
    let mut count = 0;
    while let Some(piece) = stack.pop() {
        count += 1 + piece.over.len() / HELD;
        if count > budget {
            return Err(Spent);
        }
        let Some(first) = piece.over.iter().copied().find(|n| *n >= piece.at) else {
            let part = Part { cell: piece.cell, passes: true, by: piece.by, doubt: piece.doubt, turned: piece.turned };
            if visit(part).is_break() {
                return Ok(());
            }
            continue;
        };
        if split(program, piece, first, &mut stack, visit).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn split(
    program: &Program,
    piece: Piece,
    first: usize,
    stack: &mut Vec<Piece>,
    visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let step = &program.steps[first];
    let go_on = |cell: Cell, at: usize, by: Option<usize>, doubt: Option<Doubt>| {
        let over = piece.over.iter().copied();
        let over = over.filter(|n| *n >= at && !program.steps[*n].cell.is_disjoint(&cell)).collect();
        Piece { cell, at, by, doubt, turned: piece.turned, over }
    };
    for cell in piece.cell.minus(&step.cell) {
        stack.push(go_on(cell, first + 1, piece.by, piece.doubt));
    }
    let Some(inside) = piece.cell.and(&step.cell) else { return ControlFlow::Continue(()) };
    let doubt = piece.doubt.max(step.doubt);
    if step.doubt.is_some() {
        stack.push(go_on(inside.clone(), first + 1, piece.by, doubt));
    }
    match step.act {
        Act::Deny => return visit(Part { cell: inside, passes: false, by: Some(first), doubt, turned: piece.turned }),
        Act::Accept(end) => {
            let turned = turned(program, piece.turned, first);
            stack.push(Piece { turned, ..go_on(inside, end, Some(first), doubt) });
        }
        Act::Leave(end) => stack.push(go_on(inside, end, piece.by, doubt)),
        Act::Pass => stack.push(go_on(inside, first + 1, piece.by, piece.doubt)),
    }
    ControlFlow::Continue(())
}

/// What translated packets that a step accepts: of several nat chains of a hook the first that translates is the last that is gone
/// through.
fn turned(program: &Program, mut turned: TurnedBy, step: usize) -> TurnedBy {
    if let Some(turn) = program.turn(step) {
        turned[turn.end as usize].get_or_insert(step);
    }
    turned
}

/// Parts of which it is sure after all: where every way that chance can take ends the same.
pub(super) fn settled(parts: Vec<Part>) -> Vec<Part> {
    let mut all = Vec::with_capacity(parts.len());
    for part in &parts {
        if part.doubt.is_none() {
            all.push(part.clone());
            continue;
        }
        let mut sure = vec![part.cell.clone()];
        for other in parts.iter().filter(|other| other.passes != part.passes) {
            all.extend(part.cell.and(&other.cell).map(|cell| Part { cell, ..part.clone() }));
            sure = sure.iter().flat_map(|cell| cell.minus(&other.cell)).collect();
        }
        all.extend(sure.into_iter().map(|cell| Part { cell, doubt: None, ..part.clone() }));
    }
    all
}
