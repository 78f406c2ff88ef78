//! Every anomaly inside one ruleset: rules that no packet reaches, with the rules that take their packets; rules without which
//! nothing changes; what could not be judged.

mod boxes;
mod call;
mod course;
mod dead;
mod grid;
mod overlap;
mod plan;
mod probe;
mod side_by_side;
mod spare;
mod tree;
mod verdict;

use crate::analyze::cells::Atoms;
use crate::analyze::program::Unlaid;
use crate::analyze::words::place;
use crate::packet::Narrow;
use crate::record::{Finding, FindingType, Severity};
use crate::rule::ruleset::{At, Condition, Line, Outcome, Ruleset};
use course::{Coming, Course, entered, ways};
use dead::{Cover, minimal};
use overlap::{Exceptions, Overlaps};
use plan::Plan;
use side_by_side::{FEW, each};
use spare::{Kept, Spare};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How far an audit searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of the search for one rule.
    pub steps: usize,
}

impl Budget {
    /// That a search came to its end, and how it gets further.
    pub(super) fn undecided(self, what: &str) -> String {
        let what = if what.is_empty() { String::new() } else { format!(" {what}") };
        format!("undecided after {} steps (--steps N allows more){what}", self.steps)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 20_000 }
    }
}

/// A ruleset of many rules is judged in parts. Their number does not depend on the machine, so that what is said does not.
const PARTS: usize = 16;
/// When all searches of an audit together took this many budgets, each of the others ends after a few steps; so too for each of its parts.
const PATIENCE: usize = 500;
const PATIENCE_OF_PART: usize = 64;

/// What is asked when each rule was judged.
enum Last<'a> {
    /// How others take packets of some rules that packets reach.
    Overlaps(&'a [Reached]),
    /// Which rules can go all at once.
    Together,
}

/// A rule that packets reach, with a way and the step that they come to it by.
type Reached = (At, usize, u32);

/// What an audit comes to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Audited {
    /// The gravest first, those of one severity in the order of the rules.
    pub findings: Vec<Finding>,
    /// Whether every way could be laid out: of the rules on one that could not, nothing is known.
    pub whole: bool,
}

/// Every finding, the gravest first, those of one severity in the order of the rules.
pub fn audit(ruleset: &Ruleset, budget: Budget) -> Vec<Finding> {
    audited(ruleset, budget).findings
}

/// As [`audit`], with whether nothing was left out.
pub fn audited(ruleset: &Ruleset, budget: Budget) -> Audited {
    let mut atoms = Atoms::default();
    let (ways, unlaid) = ways(ruleset, &mut atoms);
    let unjudged = entered(ruleset, unlaid.iter().flat_map(|way| way.chains.iter().copied()));
    let plans: Vec<_> = ways.iter().map(|way| Plan::new(&way.program)).collect();
    let lines: Vec<_> = ruleset.lines().collect();
    let (size, patience) = match lines.len() {
        0..FEW => (FEW, PATIENCE),
        count => (count.div_ceil(PARTS), PATIENCE_OF_PART),
    };
    let open = |patience| Audit {
        ruleset,
        unjudged: &unjudged,
        courses: ways.iter().zip(&plans).map(|(way, plan)| Course::new(way, plan, budget.steps, patience)).collect(),
    };
    let parts: Vec<_> = lines.chunks(size).collect();
    let told = Told::of(each(&parts, lines.len(), |lines| open(patience).told(lines)));
    let mut last = vec![Last::Together];
    last.extend(told.kept.chunks(size).map(Last::Overlaps));
    let (mut overlaps, mut together) = (Overlaps::default(), BTreeSet::new());
    let dead: HashSet<At> = told.dead.iter().copied().collect();
    let last = each(&last, lines.len(), |last| match last {
        Last::Overlaps(kept) => (open(PATIENCE).overlaps(kept, &told.exceptions, &dead), BTreeSet::new()),
        Last::Together => (Overlaps::default(), open(PATIENCE).together(&told.dead, &told.spares)),
    });
    for (found, rules) in last {
        overlaps.join(found);
        together.extend(rules);
    }
    let mut all = open(PATIENCE);
    let mut findings: Vec<_> = unlaid.iter().map(|way| not_judged(&way.name, &way.why)).collect();
    findings.extend(all.overlapping(overlaps, &atoms));
    findings.extend(all.too_wide());
    let rules = told.found.into_iter().map(|(at, found)| Finding { together: together.contains(&at), ..found });
    Audited { findings: graded(findings.into_iter().chain(rules).chain(unread(ruleset))), whole: unlaid.is_empty() }
}

/// The gravest first, those of one severity as they come.
fn graded(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut grades: BTreeMap<Reverse<Severity>, Vec<Finding>> = BTreeMap::new();
    findings.for_each(|found| grades.entry(Reverse(found.severity)).or_default().push(found));
    grades.into_values().flatten().collect()
}

pub(super) fn finding(kind: FindingType, severity: Severity, explanation: String) -> Finding {
    Finding {
        kind,
        dead: false,
        rule: None,
        by: Vec::new(),
        witness: None,
        explanation,
        fix: None,
        severity,
        together: false,
        count: None,
        left: Vec::new(),
    }
}

fn not_judged(what: &str, why: &Unlaid) -> Finding {
    finding(FindingType::Unknown, Severity::Medium, format!("{what} was not judged: {why}"))
}

/// Why no packet can be what a rule asks for, where that is not plain to see.
fn missing(line: &Line) -> &'static str {
    let later = |c: &Condition| matches!(c, Condition::Narrow(Narrow::Fragment, kinds) if !kinds.contains(0));
    match line.conditions.iter().any(later) {
        true => "; it asks for later fragments, which are put together before most chains see them",
        false => "",
    }
}

/// One finding for each chain with rules that were not understood, and one for what stands outside of chains.
fn unread(ruleset: &Ruleset) -> Vec<Finding> {
    let is_unread = |line: &Line| {
        matches!(line.outcome, Outcome::Unread(_)) || line.conditions.iter().any(|c| matches!(c, Condition::Unread(_)))
    };
    let mut found = Vec::new();
    for (table, chain, c) in ruleset.chains() {
        let lines: Vec<_> = c.lines.iter().enumerate().filter(|(_, line)| is_unread(line)).map(|(n, _)| n).collect();
        let Some(first) = lines.first() else { continue };
        let words = match lines.len() {
            1 => "this rule asks or does what is not understood; where it decides, the answer is not known".to_owned(),
            count => format!(
                "{count} rules of this chain, this one first, ask or do what is not understood; where they decide, the answer is not known"
            ),
        };
        let rule = Some(place(ruleset, At { table, chain, line: *first }));
        found.push(Finding { rule, ..finding(FindingType::Unknown, Severity::Low, words) });
    }
    for text in &ruleset.unread {
        let words = format!("this object was not understood: {text}");
        found.push(finding(FindingType::Unknown, Severity::Medium, words));
    }
    found
}

/// A ruleset while it is audited.
struct Audit<'a> {
    ruleset: &'a Ruleset,
    /// Chains on ways that could not be laid out: of their rules nothing is known.
    unjudged: &'a BTreeSet<(usize, usize)>,
    courses: Vec<Course<'a>>,
}

/// What is known of some rules.
#[derive(Default)]
struct Told {
    found: Vec<(At, Finding)>,
    /// Rules that no packet reaches, and those that others do without.
    dead: Vec<At>,
    spares: Vec<Spare>,
    /// The others.
    kept: Vec<Reached>,
    exceptions: Exceptions,
}

impl Told {
    /// What is known of all rules, by what is of each part.
    fn of(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.found.extend(part.found);
            all.dead.extend(part.dead);
            all.spares.extend(part.spares);
            all.kept.extend(part.kept);
            all.exceptions.join(part.exceptions);
        }
        all
    }
}

/// What is known of a rule over all ways.
#[derive(Default)]
struct Life {
    /// Packets come to it.
    open: bool,
    /// One that does: the number of the way, the step, and the packet's numbers.
    seen: Option<(usize, u32, Vec<u32>)>,
    /// Without it that one has another fate.
    needed: bool,
    /// After so many steps it was not known.
    undecided: Option<usize>,
    /// Some way comes past it at all.
    passed: bool,
    /// What takes the packets of its steps.
    covers: Vec<Cover>,
}

impl Audit<'_> {
    /// Judges some rules.
    fn told(mut self, lines: &[(At, &Line)]) -> Told {
        let mut told = Told { exceptions: Exceptions::new(&self.courses), ..Told::default() };
        told.found.reserve(lines.len());
        for (at, line) in lines.iter().filter(|(at, _)| !self.unjudged.contains(&(at.table, at.chain))) {
            if let Some(found) = self.line(*at, line, &mut told) {
                told.found.push((*at, Finding { rule: Some(place(self.ruleset, *at)), ..found }));
            }
        }
        told
    }

    fn line(&mut self, at: At, line: &Line, told: &mut Told) -> Option<Finding> {
        let life = self.life(at);
        if life.open {
            told.exceptions.note(&mut self.courses, at);
            let spare = if life.needed { Err(Kept::Needed) } else { self.spare(at, line) };
            let spare = match spare {
                Ok(spare) => spare,
                Err(kept) => {
                    told.kept.extend(life.seen.map(|(course, step, _)| (at, course, step)));
                    let Kept::Undecided(steps) = kept else { return None };
                    let words = Budget { steps }.undecided("whether any packet needs this rule");
                    return Some(finding(FindingType::Unknown, Severity::Low, words));
                }
            };
            let found = self.needless(&spare, line, life.seen);
            // With a jump all that its chain does on this way would go.
            if !line.outcome.leads() {
                told.spares.push(spare);
            }
            return Some(found);
        }
        if !life.passed {
            return None;
        }
        if let Some(steps) = life.undecided {
            let words = Budget { steps }.undecided("whether a packet can reach this rule");
            return Some(finding(FindingType::Unknown, Severity::Low, words));
        }
        told.dead.push(at);
        if life.covers.is_empty() {
            let fix = Some("remove it, or correct what it asks for".to_owned());
            let words = format!("no packet can be what this rule asks for here{}", missing(line));
            return Some(Finding { dead: true, fix, ..finding(FindingType::Unmatchable, Severity::Medium, words) });
        }
        Some(self.dead(line, &life.covers))
    }

    fn life(&mut self, at: At) -> Life {
        let mut life = Life::default();
        for (n, course) in self.courses.iter_mut().enumerate() {
            let Some(steps) = course.program.places.get(&at) else { continue };
            life.passed = true;
            for step in steps.iter().map(|step| *step as u32) {
                if let Some((point, needed)) = course.probe.glance(step) {
                    return Life { open: true, seen: Some((n, step, point)), needed, ..life };
                }
                match course.comes(step) {
                    Coming::Some(point) => {
                        let seen = point.map(|point| (n, step, point));
                        return Life { open: true, seen, ..life };
                    }
                    Coming::Undecided(steps) => life.undecided = life.undecided.max(Some(steps)),
                    Coming::None(cover, leads) => {
                        let by = minimal(course, step, cover);
                        life.covers.push(Cover { course: n, step, by, leads });
                    }
                }
            }
        }
        life
    }

    /// Rules whose conditions were too many products to be told exactly.
    fn too_wide(&self) -> Vec<Finding> {
        let mut places: Vec<At> = self.courses.iter().flat_map(|course| course.program.too_wide.clone()).collect();
        places.sort_unstable();
        places.dedup();
        let words = "this rule stands for too many combinations of values; where it decides, the answer is not known";
        let each = places.into_iter().map(|at| Finding {
            rule: Some(place(self.ruleset, at)),
            ..finding(FindingType::Unknown, Severity::Medium, words.to_owned())
        });
        each.collect()
    }
}
