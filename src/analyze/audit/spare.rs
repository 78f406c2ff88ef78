//! Rules that packets reach and without which none has another fate.

use super::call::idle_call;
use super::course::Course;
use super::dead::{expected, taken_by};
use super::plan::Acting;
use super::probe::{Found, Journey};
use super::verdict::told;
use super::{Audit, finding};
use crate::analyze::cells::Doubt;
use crate::analyze::program::Act;
use crate::analyze::words::place;
use crate::record::{Finding, FindingType, Severity, Witness};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Line, Outcome, Ruleset, Verdict};
use std::collections::{BTreeSet, VecDeque};
use std::ops::{ControlFlow, Range};

/// More rules than this are not named as those that decide instead.
const NAMED: usize = 8;
/// So many steps that took much are kept in mind.
const TAKERS: usize = 4;

/// A rule that can go: the steps that show it, by the number of the way.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) at: At,
    pub(super) shown_by: Vec<(usize, u32)>,
}

/// Why a rule stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Some packet may have another fate without it.
    Needed,
    /// After so many steps that was not known.
    Undecided(usize),
}

impl Audit<'_> {
    /// The steps that show that no packet has another fate without a rule.
    pub(super) fn spare(&mut self, at: At, line: &Line) -> Result<Spare, Kept> {
        if line.outcome.leads() {
            return self.spare_call(at, line);
        }
        let plain = match &line.outcome {
            Outcome::Verdict(verdict) => is_plain(verdict) && *verdict != Verdict::Continue,
            Outcome::ByKey(keys) => keys.iter().all(|(_, verdict)| is_plain(verdict)),
            Outcome::Next | Outcome::Unread(_) => false,
        };
        if !plain || !line.alters.is_empty() {
            return Err(Kept::Needed);
        }
        let mut shown_by = Vec::new();
        for (n, course) in self.courses.iter_mut().enumerate() {
            for step in course.program.places.get(&at).unwrap_or_default() {
                let used = unchanged(self.ruleset, course, at, *step as u32, *step as u32 + 1)?;
                shown_by.extend(used.into_iter().map(|step| (n, step)));
            }
        }
        Ok(Spare { at, shown_by })
    }

    /// Which of some rules that can go, and that no packet reaches, can go all at once: those without which nothing changes though
    /// the ones chosen before are gone already.
    pub(super) fn together(&mut self, dead: &[At], spares: &[Spare]) -> BTreeSet<At> {
        // The rules of a chain that a dead jump leads to would have to be taken out of this way with it.
        let leads = |at: &&At| self.ruleset.line(**at).is_some_and(|line| line.outcome.leads());
        let mut gone: BTreeSet<At> = dead.iter().filter(|at| !leads(at)).copied().collect();
        gone.iter().for_each(|at| remove(&mut self.courses, *at));
        for spare in spares.iter().rev() {
            let still = spare.shown_by.iter().all(|(course, step)| {
                let by = self.courses[*course].program.steps[*step as usize].by;
                !matches!(by, By::Line(at) if gone.contains(&at))
            });
            let line = self.ruleset.line(spare.at);
            if still || line.is_some_and(|line| self.spare(spare.at, line).is_ok()) {
                gone.insert(spare.at);
                remove(&mut self.courses, spare.at);
            }
        }
        gone
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
        if line.outcome.leads() {
            return idle_call(line, by);
        }
        if let Some(found) = self.ineffective(spare.at, line) {
            let witness = self.seen(line, seen);
            return Finding { witness, ..found };
        }
        let what = expected(line).map_or("decided", |word| if word == "accept" { "accepted" } else { "dropped" });
        let words = format!("without this rule its packets are {what} all the same: removing it changes nothing");
        let fix = Some("remove it, or keep it for its counter and for the reader".to_owned());
        let witness = self.seen(line, seen);
        Finding { by, fix, witness, ..finding(FindingType::Redundant, Severity::Low, words) }
    }

    fn seen(&mut self, line: &Line, seen: Option<(usize, u32, Vec<u32>)>) -> Option<Witness> {
        seen.and_then(|(course, step, point)| self.courses[course].witness(self.ruleset, step, &point, expected(line)))
    }

    /// The finding on a rule that accepts what later base chains drop: all of it.
    fn ineffective(&mut self, at: At, line: &Line) -> Option<Finding> {
        if !matches!(line.outcome, Outcome::Verdict(Verdict::Accept)) {
            return None;
        }
        let mut later: BTreeSet<By> = BTreeSet::new();
        for course in &mut self.courses {
            let end = course.program.steps.len() as u32;
            for step in course.program.places.get(&at).unwrap_or_default().iter().map(|step| *step as u32) {
                let Act::Accept(to) = course.program.steps[step as usize].act else { return None };
                let (atoms, legs) = (course.atoms(step, step), [0..step, to as u32..end]);
                let journey = Journey { legs: &legs, atoms: &atoms, without: None, may: true };
                let Found::Nothing(used) = course.probe.search(&[step], journey) else { return None };
                let takers = used.into_iter().filter(|n| *n >= to as u32);
                later.extend(takers.map(|n| course.program.steps[n as usize].by));
            }
        }
        if later.is_empty() {
            return None;
        }
        let by = later.into_iter().take(NAMED).map(|by| taken_by(self.ruleset, by)).collect();
        let words = "later base chains drop all that this rule accepts, and only a drop is final".to_owned();
        let fix = Some("accept it in the later chains too, or remove this rule".to_owned());
        Some(Finding { by, fix, ..finding(FindingType::Ineffective, Severity::Medium, words) })
    }
}

/// Takes a rule as not there in all that is asked from now on.
fn remove(courses: &mut [Course], at: At) {
    for course in courses {
        if let Some(rule) = course.program.places.rule(at) {
            let removed = &mut course.probe.removed;
            removed.resize(removed.len().max(rule + 1), false);
            removed[rule] = true;
        }
    }
}

/// The steps that show that no packet which comes to a step has another fate if it goes on from another instead and a rule is not there.
pub(super) fn unchanged(
    ruleset: &Ruleset,
    course: &mut Course,
    at: At,
    step: u32,
    from: u32,
) -> Result<Vec<u32>, Kept> {
    let end = course.program.steps.len() as u32;
    match course.program.steps[step as usize].act {
        Act::Deny => {
            let atoms = course.atoms(step, step);
            let without = course.program.places.rule(at).map(|rule| rule as u32);
            let legs = [0..step, from..end];
            let mut used = never(course, &[step], Journey { legs: &legs, atoms: &atoms, without, may: true })?;
            let own = told(ruleset, &course.program.steps[step as usize]);
            let otherwise = |course: &Course, n: u32| told(ruleset, &course.program.steps[n as usize]) != own;
            used.extend(never_met(ruleset, course, at, step, (from..end, Acting::Denying), end, &otherwise)?);
            // On the way to what denies them instead they may change what other packets meet.
            let last = used.iter().copied().filter(|n| *n >= from).max().unwrap_or(from);
            if alters(course, step, from..last) { Err(Kept::Needed) } else { Ok(used) }
        }
        // What it leads past may change what later rules ask for, and so what becomes of a packet.
        Act::Accept(to) | Act::Leave(to) if alters(course, step, from..to as u32) => Err(Kept::Needed),
        Act::Accept(to) => {
            let to = to as u32;
            // What comes behind a step that accepts the same changes nothing.
            let all = course.probe.accepts_all(step, from, to);
            let between = (from..all.unwrap_or(to), Acting::Denying);
            let mut used = never_met(ruleset, course, at, step, between, to, &|_, _| true)?;
            used.extend(all);
            Ok(used)
        }
        Act::Leave(to) => never_met(ruleset, course, at, step, (from..to as u32, Acting::Any), end, &|_, _| true),
        Act::Pass => Ok(Vec::new()),
    }
}

/// Whether packets of a step may meet a rule in a range that changes what others ask for, or them; or that
/// leaves less luck for others, as a limit does.
fn alters(course: &Course, step: u32, range: Range<u32>) -> bool {
    let plan = course.probe.plan;
    let meets = |n: u32| plan.grid.meets(n, plan.grid.hull(step)) && plan.grid.meets_step(n, step);
    let mut found = course.program.altering(range.start as usize, range.end as usize).iter().any(|n| meets(*n as u32));
    if !found && plan.chances {
        plan.acting(plan.grid.hull(step), range, Acting::Any, |n| {
            found = course.program.steps[n as usize].doubt == Some(Doubt::Chance) && plan.grid.meets_step(n, step);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    found
}

/// Whether a verdict ends the way through a chain, or does nothing.
fn is_plain(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accept | Verdict::Drop | Verdict::Reject | Verdict::Return | Verdict::Continue)
}

/// Shows that without a rule no packet of a step, going on from the beginning of a range, comes to any of some steps out of those that do
/// something in it, and would otherwise have gone on from `to` to the end; and that what would otherwise deny it there tells the sender the same.
fn never_met(
    ruleset: &Ruleset,
    course: &mut Course,
    at: At,
    step: u32,
    (range, acting): (Range<u32>, Acting),
    to: u32,
    which: &dyn Fn(&Course, u32) -> bool,
) -> Result<Vec<u32>, Kept> {
    let end = course.program.steps.len() as u32;
    let own = course.program.places.get(&at).unwrap_or_default();
    let without = course.program.places.rule(at).map(|rule| rule as u32);
    let (mut used, mut spent, from) = (Vec::new(), 0, range.start);
    // What took all packets of some steps often takes those of the next.
    let mut takers: VecDeque<u32> = VecDeque::with_capacity(TAKERS);
    let mut shown = Ok(());
    let plan = course.probe.plan;
    plan.acting(plan.grid.hull(step), range, acting, |n| {
        if own.contains(&(n as usize)) || course.probe.is_removed(n) || !which(course, n) {
            return ControlFlow::Continue(());
        }
        let atoms = course.atoms(step, n);
        let (within, legs) = ([step, n], [0..step, from..n, to..end]);
        let journey = Journey { legs: &legs, atoms: &atoms, without, may: true };
        let program = course.program;
        let words = |n: u32| told(ruleset, &program.steps[n as usize]);
        let alike = |taker: u32| taker < to || words(taker) == words(n);
        let mut known = takers.iter().copied().filter(|taker| alike(*taker));
        if let Some(taker) = known.find(|taker| course.probe.takes_all(*taker, &within, journey)) {
            used.push(taker);
            return ControlFlow::Continue(());
        }
        match never(course, &within, journey) {
            Ok(more) if !more.iter().all(|taker| alike(*taker)) => shown = Err(Kept::Needed),
            Ok(more) => {
                if let [taker] = more.as_slice() {
                    takers.truncate(TAKERS - 1);
                    takers.push_front(*taker);
                }
                used.extend(more);
            }
            Err(kept) => shown = Err(kept),
        }
        spent += course.probe.spent;
        if spent > course.probe.limit() && shown.is_ok() {
            shown = Err(Kept::Undecided(spent));
        }
        if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    shown.map(|()| used)
}

fn never(course: &mut Course, within: &[u32], journey: Journey) -> Result<Vec<u32>, Kept> {
    match course.probe.search(within, journey) {
        Found::Nothing(used) => Ok(used),
        Found::Witness(_) | Found::Tangled => Err(Kept::Needed),
        Found::Undecided => Err(Kept::Undecided(course.probe.spent - 1)),
    }
}
