//! Rules that no packet reaches: what takes their packets, and what is wrong about it.

use super::course::{Coming, Course};
use super::plan::Acting;
use super::probe::{Found, Journey};
use super::verdict::{told, translates};
use super::{Audit, finding};
use crate::analyze::program::Act;
use crate::analyze::words::place;
use crate::record::{Finding, FindingType, Place, Severity, Witness};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Line, Outcome, Ruleset, Verdict};
use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

/// Larger covers are left as they were found.
const MINIMISED: usize = 200;

/// What takes the packets of one step of a dead rule.
#[derive(Debug)]
pub(super) struct Cover {
    pub(super) course: usize,
    pub(super) step: u32,
    pub(super) by: Vec<u32>,
    /// What leads some of its packets to these, past others.
    pub(super) leads: Vec<u32>,
}

impl Audit<'_> {
    /// The finding on a rule that no packet reaches.
    pub(super) fn dead(&mut self, line: &Line, covers: &[Cover]) -> Finding {
        let mut by: Vec<Place> = Vec::new();
        let mut same = true;
        let mut against = None;
        for cover in covers {
            let course = &mut self.courses[cover.course];
            let steps = &course.program.steps;
            for rule in cover.by.iter().map(|n| taken_by(self.ruleset, steps[*n as usize].by)) {
                if !by.contains(&rule) {
                    by.push(rule);
                }
            }
            let own = &steps[cover.step as usize];
            let is_same = |n: &u32| steps[*n as usize].cell == own.cell && is_opposite(own.act, steps[*n as usize].act);
            same &= cover.by.iter().any(is_same);
            if against.is_none() {
                against = opposite(self.ruleset, course, cover, expected(line))
                    .or_else(|| elsewhere(self.ruleset, course, cover, expected(line).as_deref()));
            }
        }
        let named: HashSet<By> = covers.iter().flat_map(|cover| cover.by.iter().map(|n| self.by(cover, *n))).collect();
        for (cover, lead) in covers.iter().flat_map(|cover| cover.leads.iter().map(move |lead| (cover, *lead))) {
            if self.leads_past(cover, lead, &named) {
                let rule = taken_by(self.ruleset, self.by(cover, lead));
                if !by.contains(&rule) {
                    by.push(rule);
                }
            }
        }
        let does_nothing =
            covers.iter().all(|c| self.courses[c.course].program.steps[c.step as usize].act == Act::Pass);
        let kind = match &against {
            None if does_nothing => FindingType::Shadow,
            None => FindingType::Redundant,
            Some(_) if same && by.len() == 1 => FindingType::Contradiction,
            Some(_) => FindingType::Shadow,
        };
        let severity = severity(kind, line);
        let witness = against.flatten().or_else(|| self.any_witness(line, covers.first()?));
        Finding {
            dead: true,
            witness,
            fix: Some(fix(kind)),
            explanation: words(kind, &by),
            by,
            ..finding(kind, severity, String::new())
        }
    }

    fn by(&self, cover: &Cover, step: u32) -> By {
        self.courses[cover.course].program.steps[step as usize].by
    }

    /// Whether a step leads packets past one of some rules, which takes other packets of a dead rule and would lead these to it.
    fn leads_past(&self, cover: &Cover, lead: u32, rules: &HashSet<By>) -> bool {
        let steps = &self.courses[cover.course].program.steps;
        let end = steps[lead as usize].act.target().unwrap_or(0);
        let leads = |n: usize| steps[n].act.target().is_some_and(|end| end <= cover.step as usize);
        (lead as usize + 1..end).any(|n| rules.contains(&steps[n].by) && leads(n))
    }

    /// Some packet of a dead rule.
    fn any_witness(&mut self, line: &Line, cover: &Cover) -> Option<Witness> {
        let course = &mut self.courses[cover.course];
        let point = course.probe.corner(cover.step)?;
        course.witness(self.ruleset, cover.step, &point, expected(line))
    }
}

pub(super) fn taken_by(ruleset: &Ruleset, by: By) -> Place {
    match by {
        By::Line(at) => place(ruleset, at),
        By::Policy(table, chain) => place(ruleset, At { table, chain, line: usize::MAX }),
        By::Nothing => Place::default(),
    }
}

/// Whether a step of the cover gives some packet of a dead rule another fate than the rule would, with such a packet where one can be
/// shown.
fn opposite(
    ruleset: &Ruleset,
    course: &mut Course,
    cover: &Cover,
    expected: Option<String>,
) -> Option<Option<Witness>> {
    let (step, end) = (cover.step, course.program.steps.len() as u32);
    let own = &course.program.steps[step as usize];
    for n in cover.by.iter().copied() {
        let other = &course.program.steps[n as usize];
        let found = match (own.act, other.act) {
            // Accepted now, it must get through to be denied by this rule alone; denied now, it would have had to.
            (Act::Deny, Act::Accept(to)) | (Act::Accept(to), Act::Deny) => {
                led(course, &[step, n], &[0..n, to as u32..end])
            }
            (Act::Deny, Act::Deny) if told(ruleset, own) == told(ruleset, other) => continue,
            (Act::Accept(_), Act::Accept(_)) if translates(ruleset, own) == translates(ruleset, other) => continue,
            (Act::Deny | Act::Accept(_) | Act::Leave(_), Act::Leave(_)) | (_, Act::Pass) => continue,
            _ => match course.comes_in(n, step) {
                Coming::Some(point) => {
                    return Some(point.and_then(|point| course.witness(ruleset, n, &point, expected)));
                }
                Coming::None(..) => continue,
                Coming::Undecided(_) => return Some(None),
            },
        };
        match (found, own.act, other.act) {
            (Found::Witness(point), _, _) => return Some(course.witness(ruleset, n, &point, expected)),
            (Found::Nothing(_), Act::Deny, Act::Accept(to)) => {
                let found = told_otherwise(ruleset, course, (step, n, to as u32), expected.as_deref());
                if found.is_some() {
                    return found;
                }
            }
            (Found::Nothing(_), _, _) => {}
            (Found::Undecided | Found::Tangled, _, _) => return Some(None),
        }
    }
    None
}

/// Whether packets of a dead step that denies are denied all the same, though the sender is told something else: they are led to a step
/// and go on from another.
fn told_otherwise(
    ruleset: &Ruleset,
    course: &mut Course,
    (step, lead, to): (u32, u32, u32),
    expected: Option<&str>,
) -> Option<Option<Witness>> {
    let steps = &course.program.steps;
    let own = told(ruleset, &steps[step as usize]);
    for n in denying(course, step, to..steps.len() as u32) {
        if told(ruleset, &steps[n as usize]) == own {
            continue;
        }
        match led(course, &[step, lead, n], &[0..lead, to..n]) {
            Found::Witness(point) => {
                return Some(course.witness(ruleset, step, &point, expected.map(str::to_owned)));
            }
            Found::Nothing(_) => {}
            Found::Undecided | Found::Tangled => return Some(None),
        }
    }
    None
}

/// The same where a step of the cover leads packets away, by a goto or a return, and they get their verdict elsewhere.
fn elsewhere(ruleset: &Ruleset, course: &mut Course, cover: &Cover, expected: Option<&str>) -> Option<Option<Witness>> {
    let steps = &course.program.steps;
    let leads = cover.by.iter().filter_map(|n| match steps[*n as usize].act {
        Act::Leave(to) => Some((*n, to as u32)),
        _ => None,
    });
    let (step, end) = (cover.step, steps.len() as u32);
    match steps[step as usize].act {
        Act::Deny => {
            for (lead, to) in leads {
                match led(course, &[step, lead], &[0..lead, to..end]) {
                    Found::Witness(point) => {
                        return Some(course.witness(ruleset, step, &point, expected.map(str::to_owned)));
                    }
                    Found::Nothing(_) => {
                        let found = told_otherwise(ruleset, course, (step, lead, to), expected);
                        if found.is_some() {
                            return found;
                        }
                    }
                    Found::Undecided | Found::Tangled => return Some(None),
                }
            }
        }
        Act::Accept(last) => {
            for (lead, to) in leads {
                for n in denying(course, step, to..last as u32) {
                    match led(course, &[step, lead, n], &[0..lead, to..n]) {
                        Found::Witness(point) => {
                            return Some(course.witness(ruleset, step, &point, expected.map(str::to_owned)));
                        }
                        Found::Nothing(_) => {}
                        Found::Undecided | Found::Tangled => return Some(None),
                    }
                }
            }
        }
        Act::Pass | Act::Leave(_) => {}
    }
    None
}

fn led(course: &mut Course, within: &[u32], legs: &[Range<u32>]) -> Found {
    let atoms = course.atoms(within[0], within[1]);
    course.probe.search(within, Journey { legs, atoms: &atoms, without: None, may: false })
}

/// The steps out of a range that deny packets of a step.
fn denying(course: &Course, step: u32, range: Range<u32>) -> Vec<u32> {
    let (plan, mut found) = (course.probe.plan, Vec::new());
    plan.acting(plan.grid.hull(step), range, Acting::Denying, |n| {
        found.push(n);
        ControlFlow::Continue(())
    });
    found.sort_unstable();
    found
}

fn is_opposite(own: Act, other: Act) -> bool {
    matches!(
        (own, other),
        (Act::Deny, Act::Accept(_)) | (Act::Accept(_), Act::Deny) | (Act::Leave(_), Act::Deny | Act::Accept(_))
    ) || own == Act::Pass && other != Act::Pass
}

/// The steps of a cover without those that the others make up for.
pub(super) fn minimal(course: &mut Course, step: u32, cover: Vec<u32>) -> Vec<u32> {
    if cover.len() < 2 || cover.len() > MINIMISED {
        return cover;
    }
    let atoms = course.atoms(step, step);
    let leg = 0..step;
    let journey = Journey { legs: std::slice::from_ref(&leg), atoms: &atoms, without: None, may: false };
    let mut kept = cover;
    for n in (0..kept.len()).rev() {
        let one = kept.remove(n);
        course.probe.only = Some(kept.clone());
        if !matches!(course.probe.search(&[step], journey), Found::Nothing(_)) {
            kept.insert(n, one);
        }
    }
    course.probe.only = None;
    kept
}

/// What a rule says becomes of its packets.
pub(super) fn expected(line: &Line) -> Option<String> {
    match &line.outcome {
        Outcome::Verdict(Verdict::Accept | Verdict::Translate(_)) => Some("accept".to_owned()),
        Outcome::Verdict(Verdict::Drop) => Some("drop".to_owned()),
        Outcome::Verdict(Verdict::Reject) => Some("reject".to_owned()),
        _ => None,
    }
}

/// A denial that never happens leaves open what its writer thinks is closed.
fn severity(kind: FindingType, line: &Line) -> Severity {
    let denies = matches!(&line.outcome, Outcome::Verdict(verdict) if verdict.denies());
    match kind {
        FindingType::Redundant => Severity::Low,
        _ if denies => Severity::High,
        _ => Severity::Medium,
    }
}

fn words(kind: FindingType, by: &[Place]) -> String {
    let (them, s) = match by.len() {
        0 => ("the way that leads here".to_owned(), "s"),
        1 => ("an earlier rule".to_owned(), "s"),
        count => (format!("{count} earlier rules together"), ""),
    };
    let takes = match kind {
        FindingType::Contradiction => "matches the same packets and decides otherwise".to_owned(),
        FindingType::Redundant => format!("decide{s} the same for all its packets"),
        _ => format!("take{s} all its packets, and not all get what it says"),
    };
    format!("no packet reaches this rule: {them} {takes}")
}

fn fix(kind: FindingType) -> String {
    match kind {
        FindingType::Redundant => "remove it: nothing changes".to_owned(),
        FindingType::Contradiction => "decide which of the two is meant and remove the other".to_owned(),
        _ => "move it before the rules that take its packets, or remove it".to_owned(),
    }
}
