//! A program made ready for searches.

use super::grid::{Grid, Span};
use super::tree::{Acting, Tree};
use crate::analyze::program::{Act, Program};
use crate::rule::evaluate::By;
use std::ops::{ControlFlow, Range};

/// What is asked of each step while packets travel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Where it goes on; beyond everything where it denies; nowhere where it does nothing.
    pub(super) end: u32,
    /// Which rule it is of, counted over the program; [`NO_RULE`] for policies.
    pub(super) rule: u32,
    pub(super) doubt: bool,
    pub(super) atoms: bool,
}

const NO_RULE: u32 = u32::MAX;
/// A program made ready for searches.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) program: &'a Program,
    pub(super) grid: Grid,
    /// The steps that do something.
    tree: Tree,
    pub(super) marks: Vec<Mark>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        let grid = Grid::new(&program.steps);
        let mut marks = Vec::with_capacity(program.steps.len());
        for step in &program.steps {
            let end = match step.act {
                Act::Deny | Act::Pass => u32::MAX,
                Act::Accept(to) | Act::Leave(to) => to as u32,
            };
            let atoms = !step.cell.atoms().is_empty();
            let rule = if let By::Line(at) = step.by { program.places.rule(at) } else { None };
            let rule = rule.map_or(NO_RULE, |rule| rule as u32);
            marks.push(Mark { end, rule, doubt: step.doubt.is_some(), atoms });
        }
        let acting = (0..marks.len() as u32).filter(|n| program.steps[*n as usize].act != Act::Pass).collect();
        let tree = Tree::new(&grid, acting, &|n| program.steps[n as usize].act.target().map(|end| end as u32));
        Self { program, grid, tree, marks }
    }

    /// Visits the steps out of a range that do something to packets in a box; some order, always the same.
    pub(super) fn acting(
        &self,
        space: &[Span],
        range: Range<u32>,
        acting: Acting,
        mut visit: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        self.tree.near(space, &range, acting, |n| {
            let end = self.program.steps[n as usize].act.target().map(|end| end as u32);
            let here = range.contains(&n) && acting.is(end) && self.grid.meets(n, space);
            if here { visit(n) } else { ControlFlow::Continue(()) }
        });
    }
}
