//! Rules that do not get all packets that they ask for: counted for each chain, with one of them as an example.
//!
//! Pairs of rules that overlap run to millions; nobody reads a list of them.

use super::course::{Coming, Course};
use super::dead::{expected, taken_by};
use super::plan::Acting;
use super::{Audit, Reached, finding};
use crate::analyze::cells::Atoms;
use crate::analyze::program::Act;
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::words::{class, place};
use crate::packet::joined;
use crate::record::{Finding, FindingType, Severity};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Outcome, Verdict};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

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

/// The rules of each chain that others take packets of, by how they do.
#[derive(Debug, Default)]
pub(super) struct Overlaps(BTreeMap<(usize, usize, FindingType), Alike>);

impl Overlaps {
    fn add(&mut self, key: (usize, usize, FindingType), alike: Alike) {
        let count = alike.count;
        self.0.entry(key).and_modify(|own| own.count += count).or_insert(alike);
    }

    /// Takes what was found of later rules.
    pub(super) fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(key, alike)| self.add(key, alike));
    }
}

/// For each step of each way the first earlier one with the opposite verdict, all of whose packets are in it too: the exception that
/// it generalizes.
#[derive(Debug, Default)]
pub(super) struct Exceptions(Vec<Vec<u32>>);

/// No step.
const NONE: u32 = u32::MAX;

impl Exceptions {
    pub(super) fn new(courses: &[Course]) -> Self {
        Self(courses.iter().map(|course| vec![NONE; course.program.steps.len()]).collect())
    }

    /// Notes what later steps the steps of a rule are exceptions of. A step that all its packets are in has each of them.
    pub(super) fn note(&mut self, courses: &mut [Course], at: At) {
        for (course, found) in courses.iter_mut().zip(&mut self.0) {
            for step in course.program.places.get(&at).unwrap_or_default().iter().map(|step| *step as u32) {
                let own = &course.program.steps[step as usize];
                if own.doubt.is_some() || own.act == Act::Pass {
                    continue;
                }
                let Some(packet) = course.probe.corner(step) else { continue };
                let steps = course.probe.steps_of(&packet);
                for n in steps.iter().copied().skip_while(|n| *n <= step) {
                    let other = course.program.steps[n as usize].act;
                    let opposite = (other == Act::Deny) != (own.act == Act::Deny);
                    if opposite && takes(course, step, n) && course.probe.plan.grid.is_inside(step, n) {
                        found[n as usize] = found[n as usize].min(step);
                    }
                }
            }
        }
    }

    /// Takes what was noted elsewhere of the same ways.
    pub(super) fn join(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (own, other) in self.0.iter_mut().zip(other.0) {
            own.iter_mut().zip(other).for_each(|(own, other)| *own = (*own).min(other));
        }
    }

    fn of(&self, course: usize, step: u32) -> Option<u32> {
        self.0.get(course).and_then(|all| all.get(step as usize)).copied().filter(|n| *n != NONE)
    }
}

impl Audit<'_> {
    /// How earlier steps take packets of some rules that packets reach.
    pub(super) fn overlaps(&self, kept: &[Reached], exceptions: &Exceptions, dead: &HashSet<At>) -> Overlaps {
        let mut all = Overlaps::default();
        for (at, course, step) in kept.iter().copied() {
            let line = self.ruleset.line(at).map(|line| &line.outcome);
            if !matches!(line, Some(Outcome::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Reject))) {
                continue;
            }
            let exception = exceptions.of(course, step);
            let Some((kind, taker)) = taken(&self.courses[course], step, exception, dead) else { continue };
            all.add((at.table, at.chain, kind), Alike { count: 1, at, course, step, taker });
        }
        all
    }

    /// One finding for each chain and kind.
    pub(super) fn overlapping(&mut self, overlaps: Overlaps, atoms: &Atoms) -> Vec<Finding> {
        overlaps.0.into_iter().map(|((_, _, kind), alike)| self.overlap(kind, &alike, atoms)).collect()
    }

    fn overlap(&mut self, kind: FindingType, alike: &Alike, atoms: &Atoms) -> Finding {
        let course = &mut self.courses[alike.course];
        let said = self.ruleset.line(alike.at).and_then(expected);
        let witness = match course.comes_in(alike.taker, alike.step) {
            Coming::Some(Some(point)) => course.witness(self.ruleset, alike.taker, &point, said),
            _ => None,
        };
        let left = left(course, alike.step, atoms);
        let by = vec![taken_by(self.ruleset, course.program.steps[alike.taker as usize].by)];
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

/// Whether a step surely keeps packets from a later one. Steps that lead on and are no rule's only say how packets come.
fn takes(course: &Course, step: u32, later: u32) -> bool {
    let step = &course.program.steps[step as usize];
    let is_way = step.act != Act::Deny && !matches!(step.by, By::Line(_));
    !is_way && step.doubt.is_none() && step.act.target().is_none_or(|end| end > later as usize)
}

/// How earlier steps take packets of a step, and one that does.
fn taken(course: &Course, step: u32, exception: Option<u32>, dead: &HashSet<At>) -> Option<(FindingType, u32)> {
    if let Some(inside) = exception {
        return Some((FindingType::Generalization, inside));
    }
    let plan = course.probe.plan;
    let one = |acting| {
        let mut found = None;
        plan.acting(plan.grid.hull(step), 0..step, acting, |n| {
            let lives = !matches!(course.program.steps[n as usize].by, By::Line(at) if dead.contains(&at));
            found = (lives && takes(course, n, step) && plan.grid.meets_step(n, step)).then_some(n);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found
    };
    let leading = Acting::Leading(u32::MAX);
    let [against, same] = match course.program.steps[step as usize].act {
        Act::Deny => [leading, Acting::Denying],
        _ => [Acting::Denying, leading],
    };
    let across = one(against).map(|taker| (FindingType::Correlation, taker));
    across.or_else(|| one(same).map(|taker| (FindingType::Partial, taker)))
}

/// The packets that still reach a step, where they are few classes.
fn left(course: &Course, step: u32, atoms: &Atoms) -> Vec<String> {
    let Some(direction) = course.direction else { return Vec::new() };
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
                0..=CLASSES => classes.iter().map(|cell| class(direction, cell, atoms)).collect(),
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
