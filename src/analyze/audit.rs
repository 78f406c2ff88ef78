//! Every anomaly inside one ruleset: rules that no packet reaches, with the rules that take their packets; rules without which
//! nothing changes; what could not be judged.

use super::cells::Atoms;
use super::fate::fates;
use super::program::{Act, Program, Unlaid, lay_out, lay_out_chains};
use super::search::{Limits, Reach, reach, reach_past};
use super::words::{decider, example, place};
use crate::packet::{Bits, Cell, Narrow};
use crate::record::{Finding, FindingType, Severity, Witness};
use crate::rule::Direction;
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Condition, Line, Outcome, Ruleset, TableFamily, Verdict};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How far an audit searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of the search for one rule.
    pub steps: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 20_000 }
    }
}

/// A laid out way and the direction that its packets are shown in.
struct Way {
    direction: Direction,
    program: Program,
}

/// Every finding, in the order of the rules.
pub fn audit(ruleset: &Ruleset, budget: Budget) -> Vec<Finding> {
    let mut atoms = Atoms::default();
    let mut findings = Vec::new();
    let mut ways = Vec::new();
    let mut unlaid = Vec::new();
    for direction in Direction::ALL.iter().copied() {
        match lay_out(ruleset, direction, &mut atoms) {
            Ok(program) => ways.push(Way { direction, program }),
            Err(why) => unlaid.push((format!("the way of {direction} packets"), why)),
        }
    }
    for (table, chain) in apart(ruleset) {
        match lay_out_chains(ruleset, &[(table, chain)], &mut atoms) {
            Ok(program) => ways.push(Way { direction: Direction::Forward, program }),
            Err(why) => unlaid.push((format!("chain {}", ruleset.tables[table].chains[chain].name), why)),
        }
    }
    findings.extend(unlaid.iter().map(|(what, why)| not_judged(what, why)));
    let view = View { ruleset, ways: &ways, budget };
    for (at, line) in ruleset.lines() {
        findings.extend(view.line(at, line));
    }
    findings.extend(unread(ruleset));
    findings
}

/// Base chains whose packets are no IP packets on their way through this host.
fn apart(ruleset: &Ruleset) -> Vec<(usize, usize)> {
    let alone = |family| matches!(family, TableFamily::Arp | TableFamily::Bridge);
    ruleset
        .chains()
        .filter(|(t, _, chain)| alone(ruleset.tables[*t].family) && chain.base.is_some())
        .map(|(t, c, _)| (t, c))
        .collect()
}

fn finding(kind: FindingType, severity: Severity, explanation: String) -> Finding {
    Finding { kind, dead: false, rule: None, by: Vec::new(), witness: None, explanation, fix: None, severity }
}

fn not_judged(what: &str, why: &Unlaid) -> Finding {
    finding(FindingType::Unknown, Severity::Medium, format!("{what} was not judged: {why}"))
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

struct View<'a> {
    ruleset: &'a Ruleset,
    ways: &'a [Way],
    budget: Budget,
}

/// What is known of a rule over all ways.
#[derive(Default)]
struct Life {
    /// Packets come to it.
    open: bool,
    undecided: bool,
    /// Some way comes past it at all.
    passed: bool,
    /// Its packets on the first way that has any, with the number of the way and of the step.
    seen: Option<(usize, usize)>,
    /// What takes them: ways and steps.
    cover: BTreeSet<(usize, usize)>,
}

impl View<'_> {
    fn line(&self, at: At, line: &Line) -> Option<Finding> {
        let life = self.life(at);
        let rule = Some(place(self.ruleset, at));
        if life.open || !life.passed {
            return self.redundant(at, line).filter(|_| life.open).map(|f| Finding { rule, ..f });
        }
        let Some((way, step)) = life.seen else {
            let fix = Some("remove it, or correct what it asks for".to_owned());
            let words = "no packet can be what this rule asks for here".to_owned();
            return Some(Finding {
                rule,
                dead: true,
                fix,
                ..finding(FindingType::Unmatchable, Severity::Medium, words)
            });
        };
        if life.undecided {
            let words = format!("undecided after {} steps whether a packet can reach this rule", self.budget.steps);
            return Some(Finding { rule, ..finding(FindingType::Unknown, Severity::Low, words) });
        }
        Some(Finding { rule, ..self.dead(line, way, step, &life.cover) })
    }

    fn life(&self, at: At) -> Life {
        let mut life = Life::default();
        let limits = Limits { budget: self.budget.steps, pieces: 1 };
        for (n, way) in self.ways.iter().enumerate() {
            let Some(steps) = way.program.places.get(&at) else { continue };
            life.passed = true;
            for step in steps {
                life.seen.get_or_insert((n, *step));
                match reach(&way.program, std::slice::from_ref(&way.program.steps[*step].cell), *step, limits) {
                    Reach::Open(_) => {
                        life.open = true;
                        return life;
                    }
                    Reach::Undecided(_) => life.undecided = true,
                    Reach::Closed(cover) => {
                        let cover = minimal(&way.program, *step, cover, limits);
                        life.cover.extend(cover.into_iter().map(|c| (n, c)));
                    }
                }
            }
        }
        life
    }

    /// The finding on a rule that no packet reaches.
    fn dead(&self, line: &Line, way: usize, step: usize, cover: &BTreeSet<(usize, usize)>) -> Finding {
        let own = self.ways[way].program.steps[step].act;
        let acts: Vec<_> = cover.iter().map(|(w, s)| &self.ways[*w].program.steps[*s]).collect();
        let mut by = Vec::new();
        for step in &acts {
            let place = match step.by {
                By::Line(at) => place(self.ruleset, at),
                By::Policy(table, chain) => place(self.ruleset, At { table, chain, line: usize::MAX }),
                By::Nothing => continue,
            };
            if !by.contains(&place) {
                by.push(place);
            }
        }
        let opposite = acts.iter().filter(|s| is_opposite(own, s.act)).count();
        let same = by.len() == 1 && acts.iter().any(|s| s.cell == self.ways[way].program.steps[step].cell);
        let kind = match opposite {
            0 if own == Act::Pass => FindingType::Shadow,
            0 => FindingType::Redundant,
            _ if same => FindingType::Contradiction,
            _ => FindingType::Shadow,
        };
        let witness = self.witness(line, way, step);
        let severity = if kind == FindingType::Redundant { Severity::Low } else { Severity::Medium };
        Finding {
            dead: true,
            by: by.clone(),
            witness,
            fix: Some(fix(kind)),
            ..finding(kind, severity, dead_words(kind, &by))
        }
    }

    /// A packet of a dead rule: what becomes of it, and what the rule says.
    fn witness(&self, line: &Line, way: usize, step: usize) -> Option<Witness> {
        let Way { direction, program } = &self.ways[way];
        let cell = program.steps[step].cell.by_family().into_iter().next()?;
        let first = cell.clone().with_narrow(Narrow::State, cell.narrow(Narrow::State).and(Bits::single(0)));
        let cell = if first.is_empty() { cell } else { first };
        let expected = expected(line);
        let wanted = expected.as_deref() == Some("accept");
        let (mut end, mut count) = (None, 0);
        fates(program, std::slice::from_ref(&cell), 0, self.budget.steps, &mut |part| {
            // One that gets another verdict shows more than one that does not.
            let telling = part.passes != wanted;
            if telling || end.is_none() {
                end = Some(part);
            }
            count += 1;
            if telling || count > 64 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .ok()?;
        let part = end?;
        let verdict = if part.passes { "accept" } else { "drop" };
        let by = part.by.map(|n| format!(" by {}", decider(self.ruleset, program.steps[n].by))).unwrap_or_default();
        Some(Witness { packet: example(*direction, &part.cell)?, verdict: format!("{verdict}{by}"), expected })
    }

    /// A rule that packets reach and without which none has another fate.
    fn redundant(&self, at: At, line: &Line) -> Option<Finding> {
        let Outcome::Verdict(verdict @ (Verdict::Accept | Verdict::Drop)) = &line.outcome else { return None };
        let passes = *verdict == Verdict::Accept;
        let mut instead = BTreeSet::new();
        for way in self.ways {
            for step in way.program.places.get(&at)? {
                self.without(way, *step, passes, &mut instead)?;
            }
        }
        let by = instead
            .iter()
            .take(8)
            .filter_map(|by| if let By::Line(at) = by { Some(place(self.ruleset, *at)) } else { None });
        let what = if passes { "accepted" } else { "dropped" };
        let words = format!("without this rule its packets are {what} all the same: removing it changes nothing");
        let fix = Some("remove it, or keep it for its counter and for the reader".to_owned());
        Some(Finding { by: by.collect(), fix, ..finding(FindingType::Redundant, Severity::Low, words) })
    }

    /// Nothing when some packet of a step has another fate without it, or when that could not be decided cheaply.
    fn without(&self, way: &Way, step: usize, passes: bool, instead: &mut BTreeSet<By>) -> Option<()> {
        let Way { program, .. } = way;
        let limits = Limits { budget: self.budget.steps / 20, pieces: 64 };
        let cells = match reach(program, std::slice::from_ref(&program.steps[step].cell), step, limits) {
            Reach::Open(cells) if cells.len() < limits.pieces => cells,
            Reach::Closed(_) => Vec::new(),
            Reach::Open(_) | Reach::Undecided(_) => return None,
        };
        let mut same = true;
        let mut follow = |from: usize, cells: &[Cell]| {
            fates(program, cells, from, limits.budget, &mut |part| {
                same &= part.passes == passes && part.doubt.is_none() && part.cell.atoms().is_empty();
                instead.extend(part.by.map(|n| program.steps[n].by));
                if same { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .ok()
        };
        follow(step + 1, &cells)?;
        if let Act::Accept(end) = program.steps[step].act {
            follow(end, &cells)?;
        }
        same.then_some(())
    }
}

fn expected(line: &Line) -> Option<String> {
    match &line.outcome {
        Outcome::Verdict(Verdict::Accept | Verdict::Translate(_)) => Some("accept".to_owned()),
        Outcome::Verdict(Verdict::Drop) => Some("drop".to_owned()),
        Outcome::Verdict(Verdict::Reject) => Some("reject".to_owned()),
        _ => None,
    }
}

fn is_opposite(own: Act, other: Act) -> bool {
    matches!(
        (own, other),
        (Act::Deny, Act::Accept(_)) | (Act::Accept(_), Act::Deny) | (Act::Leave(_), Act::Deny | Act::Accept(_))
    ) || own == Act::Pass
}

/// The steps of a cover without those that the others make up for.
fn minimal(program: &Program, step: usize, cover: BTreeSet<usize>, limits: Limits) -> BTreeSet<usize> {
    if cover.len() < 2 || cover.len() > 200 {
        return cover;
    }
    let cells = std::slice::from_ref(&program.steps[step].cell);
    let mut kept = cover.clone();
    for one in cover.iter().rev() {
        kept.remove(one);
        if !matches!(reach_past(program, cells, step, &kept, limits), Reach::Closed(_)) {
            kept.insert(*one);
        }
    }
    kept
}

fn dead_words(kind: FindingType, by: &[crate::record::Place]) -> String {
    let (them, s) = match by.len() {
        0 => ("the way that leads here".to_owned(), "s"),
        1 => ("an earlier rule".to_owned(), "s"),
        count => (format!("{count} earlier rules together"), ""),
    };
    let takes = match kind {
        FindingType::Contradiction if s == "s" => "matches the same packets and decides otherwise".to_owned(),
        FindingType::Contradiction => "match the same packets and decide otherwise".to_owned(),
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
