//! A program made ready for searches.

use super::grid::{Grid, Span};
use super::side_by_side::each;
use super::tree::Tree;
use crate::analyze::cells::Doubt;
use crate::analyze::program::{Act, Program};
use crate::rule::evaluate::By;
use std::ops::{ControlFlow, Range};

/// What is asked of each step while packets travel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Where it goes on; [`NOWHERE`] where it denies or does nothing.
    pub(super) end: u32,
    /// Which rule it is of, counted over the program; [`NO_RULE`] for policies.
    pub(super) rule: u32,
    pub(super) doubt: bool,
    pub(super) atoms: bool,
}

const NO_RULE: u32 = u32::MAX;
/// Beyond all steps.
const NOWHERE: u32 = u32::MAX;

/// The steps of a program as boxes of numbers, with what searches ask of each.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) program: &'a Program,
    pub(super) grid: Grid,
    /// The steps that deny, and those that lead on.
    denying: Tree,
    leading: Tree,
    pub(super) marks: Vec<Mark>,
    /// Whether chance decides about some steps.
    pub(super) chances: bool,
}

/// What steps are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acting {
    /// Those that deny.
    Denying,
    /// Those that lead on, to such a step at most.
    Leading(u32),
    Any,
}

impl<'a> Plan<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        let grid = Grid::new(&program.steps);
        let mut marks = Vec::with_capacity(program.steps.len());
        for step in &program.steps {
            let end = match step.act {
                Act::Deny | Act::Pass => NOWHERE,
                Act::Accept(to) | Act::Leave(to) => to as u32,
            };
            let atoms = !step.cell.atoms().is_empty();
            let rule = if let By::Line(at) = step.by { program.places.rule(at) } else { None };
            let rule = rule.map_or(NO_RULE, |rule| rule as u32);
            marks.push(Mark { end, rule, doubt: step.doubt.is_some(), atoms });
        }
        let of = |which: fn(Act) -> bool| {
            (0..).zip(&program.steps).filter(|(_, step)| which(step.act)).map(|(n, _)| n).collect()
        };
        let [denying, leading] = each(&[true, false], marks.len(), |denies| match denies {
            true => Tree::new(&grid, of(|act| act == Act::Deny), None),
            false => Tree::new(&grid, of(|act| act.target().is_some()), Some(&|n| marks[n as usize].end)),
        })
        .try_into()
        .expect("each part has an answer");
        let chances = program.steps.iter().any(|step| step.doubt == Some(Doubt::Chance));
        Self { program, grid, denying, leading, marks, chances }
    }

    /// Visits the steps out of a range that do something to packets in a box; some order, always the same.
    pub(super) fn acting(
        &self,
        space: &[Span],
        range: Range<u32>,
        acting: Acting,
        mut visit: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        let last = if let Acting::Leading(last) = acting { last } else { NOWHERE };
        let mut through = |tree: &Tree| {
            let exact = tree.is_exact();
            tree.near(space, &range, last, &mut |n| {
                let surely = exact && !self.grid.is_holed(n);
                let here = || range.contains(&n) && self.marks[n as usize].end <= last && self.grid.meets(n, space);
                if surely || here() { visit(n) } else { ControlFlow::Continue(()) }
            })
        };
        let stopped = acting != Acting::Denying && through(&self.leading).is_break();
        if !stopped && !matches!(acting, Acting::Leading(_)) {
            // Whether the last tree was left early is nobody's question.
            let _ = through(&self.denying);
        }
    }
}
