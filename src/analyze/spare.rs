//! Rules that packets reach and without which none has another fate.

use super::audit::{Audit, finding};
use super::course::Course;
use super::dead::expected;
use super::probe::{Found, Journey};
use super::program::Act;
use super::words::place;
use crate::record::{Finding, FindingType, Severity};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Line, Outcome, Ruleset, Verdict};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

/// More rules than this are not named as those that decide instead.
const NAMED: usize = 8;

/// A rule that can go: the steps that show it, by the number of the way.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) at: At,
    pub(super) shown_by: Vec<(usize, u32)>,
}

impl Audit<'_> {
    /// The steps that show that no packet has another fate without a rule; nothing where one has, or where it is not decided.
    pub(super) fn spare(&mut self, at: At, line: &Line) -> Option<Spare> {
        let plain = matches!(line.outcome, Outcome::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Reject));
        if !plain || !line.alters.is_empty() {
            return None;
        }
        let mut shown_by = Vec::new();
        for (n, course) in self.courses.iter_mut().enumerate() {
            for step in course.program.places.get(&at).unwrap_or_default() {
                let used = unchanged(self.ruleset, course, at, *step as u32)?;
                shown_by.extend(used.into_iter().map(|step| (n, step)));
            }
        }
        Some(Spare { at, shown_by })
    }

    /// The finding on a rule that can go.
    pub(super) fn needless(&mut self, spare: &Spare, line: &Line, seen: Option<(usize, u32, Vec<u32>)>) -> Finding {
        let behind: BTreeSet<By> = spare
            .shown_by
            .iter()
            .map(|(course, step)| self.courses[*course].program.steps[*step as usize].by)
            .filter(|by| *by > By::Line(spare.at))
            .collect();
        let by =
            behind.iter().filter_map(|by| if let By::Line(at) = by { Some(place(self.ruleset, *at)) } else { None });
        let by = by.take(NAMED).collect();
        let what = expected(line).map_or("decided", |word| if word == "accept" { "accepted" } else { "dropped" });
        let words = format!("without this rule its packets are {what} all the same: removing it changes nothing");
        let fix = Some("remove it, or keep it for its counter and for the reader".to_owned());
        let witness = seen
            .and_then(|(course, step, point)| self.courses[course].witness(self.ruleset, step, &point, expected(line)));
        Finding { by, fix, witness, ..finding(FindingType::Redundant, Severity::Low, words) }
    }
}

/// The steps that show that no packet of a step has another fate without its rule.
fn unchanged(ruleset: &Ruleset, course: &mut Course, at: At, step: u32) -> Option<Vec<u32>> {
    let end = course.program.steps.len() as u32;
    match course.program.steps[step as usize].act {
        Act::Deny => {
            let atoms = course.atoms(step, step);
            let mut used = never(course, at, &[step], &[0..step, step + 1..end], &atoms)?;
            let rejects = course.program.rejects(ruleset, step as usize);
            used.extend(never_taken(course, at, step, step + 1..end, end, &|course, n| {
                course.program.rejects(ruleset, n as usize) != rejects
            })?);
            Some(used)
        }
        Act::Accept(to) => never_taken(course, at, step, step + 1..to as u32, to as u32, &|_, _| true),
        Act::Pass | Act::Leave(_) => None,
    }
}

/// Shows that without its rule no packet of a step is denied by any of some steps and would otherwise have gone on from `to`
/// to the end.
fn never_taken(
    course: &mut Course,
    at: At,
    step: u32,
    range: Range<u32>,
    to: u32,
    which: &dyn Fn(&Course, u32) -> bool,
) -> Option<Vec<u32>> {
    let end = course.program.steps.len() as u32;
    let own = course.program.places.get(&at)?;
    let mut used = Vec::new();
    let mut changed = false;
    let plan = course.probe.plan;
    plan.acting(plan.grid.hull(step), range, |n| {
        let denies = plan.program.steps[n as usize].act == Act::Deny;
        if !denies || own.contains(&(n as usize)) || !which(course, n) {
            return ControlFlow::Continue(());
        }
        let atoms = course.atoms(step, n);
        match never(course, at, &[step, n], &[0..step, step + 1..n, to..end], &atoms) {
            Some(more) => used.extend(more),
            None => changed = true,
        }
        if changed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (!changed).then_some(used)
}

fn never(course: &mut Course, at: At, within: &[u32], legs: &[Range<u32>], atoms: &[(u32, bool)]) -> Option<Vec<u32>> {
    let without = course.program.places.rule(at).map(|rule| rule as u32);
    match course.probe.search(within, Journey { legs, atoms, without, may: true }) {
        Found::Nothing(used) => Some(used),
        Found::Witness(_) | Found::Undecided | Found::Tangled => None,
    }
}
