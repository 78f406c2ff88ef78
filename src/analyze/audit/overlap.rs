//! Rules that do not get all packets that they ask for: counted for each chain, with one of them as an example.
//!
//! Pairs of rules that overlap run to millions; nobody reads a list of them.

use super::course::{Coming, Course};
use super::dead::expected;
use super::tree::Acting;
use super::{Audit, finding};
use crate::analyze::cells::Atoms;
use crate::analyze::program::Act;
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::words::{class, place};
use crate::packet::joined;
use crate::record::{Finding, FindingType, Severity};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Outcome, Verdict};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// As many earlier steps as this are looked at for an exception inside a rule.
const SEEN: usize = 32;
/// What is left of a rule is told where at most this many earlier steps meet it, and in at most this many classes.
const MET: usize = 64;
const CLASSES: usize = 6;

/// The rules of a chain with the same to be said of them.
#[derive(Debug)]
struct Alike {
    count: usize,
    /// The first of them, with the way and the step that it stands on, and the step that takes packets of it.
    at: At,
    course: usize,
    step: u32,
    taker: u32,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Overlaps(BTreeMap<(usize, usize, FindingType), Alike>);

impl Audit<'_> {
    /// Notes what takes packets of a rule that others reach.
    pub(super) fn note(&mut self, at: At, course: usize, step: u32) {
        let decides = matches!(
            self.ruleset.line(at).map(|line| &line.outcome),
            Some(Outcome::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Reject))
        );
        let Some((kind, taker)) = decides.then(|| taken(&self.courses[course], step)).flatten() else { return };
        let alike = self.overlaps.0.entry((at.table, at.chain, kind));
        alike.or_insert(Alike { count: 0, at, course, step, taker }).count += 1;
    }

    /// One finding for each chain and kind.
    pub(super) fn overlaps(&mut self, atoms: &Atoms) -> Vec<Finding> {
        let all = std::mem::take(&mut self.overlaps);
        all.0.into_iter().map(|((_, _, kind), alike)| self.overlap(kind, &alike, atoms)).collect()
    }

    fn overlap(&mut self, kind: FindingType, alike: &Alike, atoms: &Atoms) -> Finding {
        let course = &mut self.courses[alike.course];
        let said = self.ruleset.line(alike.at).and_then(expected);
        let witness = match course.comes_in(alike.taker, alike.step) {
            Coming::Some(Some(point)) => course.witness(self.ruleset, alike.taker, &point, said),
            _ => None,
        };
        let left = left(course, alike.step, atoms);
        let by = match course.program.steps[alike.taker as usize].by {
            By::Line(at) => vec![place(self.ruleset, at)],
            By::Policy(..) | By::Nothing => Vec::new(),
        };
        Finding {
            rule: Some(place(self.ruleset, alike.at)),
            by,
            witness,
            left,
            count: Some(alike.count),
            ..finding(kind, Severity::Low, words(kind, alike.count))
        }
    }
}

/// How earlier steps take packets of a step, and one that does.
fn taken(course: &Course, step: u32) -> Option<(FindingType, u32)> {
    let plan = course.probe.plan;
    let (steps, hull) = (&course.program.steps, plan.grid.hull(step));
    let takes = |n: u32| {
        let other = &steps[n as usize];
        other.doubt.is_none()
            && other.act.target().is_none_or(|end| end > step as usize)
            && plan.grid.meets_step(n, step)
    };
    let denies = steps[step as usize].act == Act::Deny;
    let (mut across, mut inside, mut same, mut seen) = (None, None, None, 0);
    let against = |n: u32| {
        seen += 1;
        if takes(n) {
            match plan.grid.is_inside(n, step) {
                true => inside = Some(n),
                false => across = across.min(Some(n)).or(Some(n)),
            }
        }
        if inside.is_some() || seen >= SEEN { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let alike = |n: u32| {
        same = takes(n).then_some(n);
        if same.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match denies {
        true => plan.acting(hull, 0..step, Acting::Leading(u32::MAX), against),
        false => plan.acting(hull, 0..step, Acting::Denying, against),
    }
    if inside.or(across).is_none() {
        match denies {
            true => plan.acting(hull, 0..step, Acting::Denying, alike),
            false => plan.acting(hull, 0..step, Acting::Leading(u32::MAX), alike),
        }
    }
    let kinds = [FindingType::Generalization, FindingType::Correlation, FindingType::Partial];
    kinds.into_iter().zip([inside, across, same]).find_map(|(kind, taker)| Some((kind, taker?)))
}

/// The packets that still reach a step, where they are few classes.
fn left(course: &Course, step: u32, atoms: &Atoms) -> Vec<String> {
    let plan = course.probe.plan;
    let mut met = 0;
    plan.acting(plan.grid.hull(step), 0..step, Acting::Any, |_| {
        met += 1;
        if met <= MET { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let cells = std::slice::from_ref(&course.program.steps[step as usize].cell);
    let limits = Limits { budget: course.probe.budget.min(400), pieces: MET };
    match (met <= MET).then(|| reach(course.program, cells, step as usize, limits)) {
        Some(Reach::Open(open)) if open.len() < MET => {
            let mut classes = joined(open);
            classes.sort_by_key(|cell| std::cmp::Reverse(cell.magnitude()));
            match classes.len() {
                0..=CLASSES => classes.iter().map(|cell| class(course.direction, cell, atoms)).collect(),
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn words(kind: FindingType, count: usize) -> String {
    let what = match kind {
        FindingType::Generalization => "comes after an exception inside it, an earlier rule with the opposite verdict",
        FindingType::Correlation => "shares some packets with an earlier rule with the opposite verdict",
        _ => "asks for packets of which earlier rules already decide some",
    };
    match count {
        1 => format!("this rule {what}"),
        _ => format!("this rule {what}; {count} rules of the chain are like it"),
    }
}
