//! The way of one packet with the reason at each step, as the plain evaluator goes it.
//!
//! What the packet alone does not decide (a limit, a set that changes, a condition that was not read) is tried both ways, as often as
//! it matters: the answer is sure where every way ends the same, and otherwise names what it depends on. It never guesses.

mod path;
#[cfg(test)]
pub(super) mod tests;

use super::Budget;
use super::words::{decider, place};
use crate::record::{Answer, Outcome};
use crate::rule::Packet;
use crate::rule::evaluate::{By, Fate, Lost, Seen, watch};
use crate::rule::ruleset::{At, Condition, Outcome as Does, Ruleset, Verdict};
use crate::rule::way::Changes;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// How many rules are looked at for one step of the budget: so many are cheaper than one split of a set of packets.
const RULES_PER_STEP: usize = 1000;

/// How much of a way is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The rules that match, and those that nearly do.
    Short,
    /// Every rule that is asked.
    All,
}

/// What a question of the evaluator is about: the same key has the same answer on one way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// A test of the packet that was not read: the same text is the same test.
    Text(String),
    /// Whether the doubtful conditions of a rule hold; whether a chain is entered at all.
    Line(At),
    /// What a rule does, by the number of the question.
    Verdict(At, usize),
}

#[derive(Debug, Clone)]
struct Question {
    key: Key,
    at: At,
    texts: Vec<String>,
    answer: bool,
    /// Whether another answer could end otherwise.
    matters: bool,
}

#[derive(Debug, Clone)]
enum Item {
    Spared(usize, usize, &'static str),
    Enters(usize, usize),
    Misses(At, Vec<usize>),
    Does(At, Verdict),
    Leaves(usize, usize),
}

/// One way, with the answers that it took.
struct Run<'a> {
    ruleset: &'a Ruleset,
    changes: &'a Changes,
    script: &'a [bool],
    questions: Vec<Question>,
    items: Vec<Item>,
    /// Questions of the rule in hand, and the rule whose verdict is asked for.
    used: Vec<usize>,
    held: Option<At>,
    /// Whether a test that was not read may see another packet here than at the filter.
    blurred: bool,
}

impl Run<'_> {
    fn ask(&mut self, at: At, text: &str) -> bool {
        let key = self.key(at, text);
        let known = self.questions.iter().position(|q| q.key == key);
        let number = known.unwrap_or_else(|| {
            let answer = self.script.get(self.questions.len()).copied().unwrap_or(true);
            // What the script answers with no was found to matter when it was yes.
            let matters = !answer || matches!(key, Key::Verdict(..));
            self.questions.push(Question { key, at, texts: Vec::new(), answer, matters });
            self.questions.len() - 1
        });
        let question = &mut self.questions[number];
        if !question.texts.iter().any(|known| known == text) {
            question.texts.push(text.to_owned());
        }
        self.used.push(number);
        question.answer
    }

    fn key(&self, at: At, text: &str) -> Key {
        if self.held == Some(at) {
            let asked = self.questions.iter().filter(|q| matches!(q.key, Key::Verdict(place, _) if place == at));
            return Key::Verdict(at, asked.count());
        }
        let steady = |condition: &Condition| match condition {
            Condition::Unread(unread) => {
                unread.asked().0 == text && unread.field.as_ref().is_some_and(|field| !self.changes.alters(field))
            }
            _ => false,
        };
        match !self.blurred && self.ruleset.line(at).is_some_and(|line| line.conditions.iter().any(steady)) {
            true => Key::Text(text.to_owned()),
            false => Key::Line(at),
        }
    }

    fn see(&mut self, seen: Seen) {
        let used = std::mem::take(&mut self.used);
        let decides = match seen {
            Seen::Holds(at) => self.ruleset.line(at).is_some_and(|l| l.outcome != Does::Next || !l.alters.is_empty()),
            Seen::Enters(..) => true,
            _ => false,
        };
        if decides {
            used.iter().for_each(|n| self.questions[*n].matters = true);
        }
        self.held = if let Seen::Holds(at) = seen { Some(at) } else { None };
        if let Seen::Enters(table, chain) = seen {
            let base = self.ruleset.tables[table].chains[chain].base.as_ref();
            self.blurred = base.map_or(self.blurred, |base| self.changes.blurs_unread(base));
        }
        self.items.extend(match seen {
            Seen::Spared(table, chain, why) => Some(Item::Spared(table, chain, why)),
            Seen::Enters(table, chain) => Some(Item::Enters(table, chain)),
            Seen::Misses(at, failed) => Some(Item::Misses(at, failed.to_vec())),
            Seen::Holds(_) => None,
            Seen::Does(at, verdict) => Some(Item::Does(at, verdict.clone())),
            Seen::Leaves(table, chain) => Some(Item::Leaves(table, chain)),
        });
    }
}

/// One way to its end.
struct Way {
    fate: Fate,
    by: By,
    questions: Vec<Question>,
    items: Vec<Item>,
}

impl Way {
    /// How many of its answers are out of the ordinary.
    fn oddity(&self) -> usize {
        self.questions.iter().filter(|q| q.matters && q.answer != ordinary(q)).count()
    }

    /// The answers that another way might give otherwise.
    fn suppositions(&self, ruleset: &Ruleset) -> Vec<String> {
        self.questions.iter().filter(|q| q.matters).map(|q| supposition(ruleset, q)).collect()
    }
}

/// A packet is ordinarily within a limit, over no limit, in no set that changes.
fn ordinary(question: &Question) -> bool {
    question.texts.iter().all(|text| {
        let within = text.contains("limit") && !text.contains(" over ") || text == "a rate";
        within || matches!(question.key, Key::Line(at) if at.line == usize::MAX)
    })
}

fn supposition(ruleset: &Ruleset, question: &Question) -> String {
    let holds = match (&question.key, question.answer) {
        (Key::Verdict(..), true) => "accepts",
        (Key::Verdict(..), false) => "does not accept",
        (_, true) => "holds",
        (_, false) => "does not hold",
    };
    let texts = question.texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(" and ");
    format!("{texts} ({}) {holds}", spot(ruleset, question.at))
}

/// Where a rule or a chain stands, without its text.
fn spot(ruleset: &Ruleset, at: At) -> String {
    let by = if at.line == usize::MAX { By::Policy(at.table, at.chain) } else { By::Line(at) };
    let words = decider(ruleset, by);
    words.split_once(": ").map_or(words.clone(), |(place, _)| place.to_owned())
}

/// What becomes of a packet, by the rule that decides, with the way to there.
///
/// # Errors
/// When chains jump in a circle or to a chain that is not there.
pub fn trace(ruleset: &Ruleset, packet: &Packet, detail: Detail, budget: Budget) -> Result<Answer, Lost> {
    let (ways, whole) = ways(ruleset, packet, budget)?;
    let shown = ways.iter().min_by_key(|way| way.oddity()).expect("the first way always ends");
    let ends: BTreeSet<(Fate, By)> = ways.iter().map(|way| (way.fate, way.by)).collect();
    let fates: BTreeSet<Fate> = ways.iter().map(|way| way.fate).collect();
    let known = fates.len() == 1 && whole && ruleset.unread.is_empty();
    let mut evidence = Vec::new();
    if !whole {
        evidence.push(format!(
            "undecided after {} ways that what is not known may take (--steps N allows more)",
            ways.len()
        ));
    }
    evidence.extend(ruleset.unread.iter().map(|text| format!("not understood, and may decide: {text}")));
    let outcomes = if ends.len() > 1 { outcomes(ruleset, &ways, &ends) } else { Vec::new() };
    Ok(Answer {
        text: sentence(ruleset, shown, known, &outcomes),
        evidence,
        packet: Some(packet.to_string()),
        verdict: Some(if known { shown.fate.as_str() } else { "unknown" }.to_owned()),
        by: by(ruleset, shown.by),
        path: path::path(ruleset, packet, shown, detail),
        outcomes,
        ..Answer::default()
    })
}

/// Every way that doubtful conditions can lead, the first answer of each being yes; and whether those are all.
fn ways(ruleset: &Ruleset, packet: &Packet, budget: Budget) -> Result<(Vec<Way>, bool), Lost> {
    let changes = Changes::of(ruleset);
    let (mut ways, mut script, mut looked) = (Vec::new(), Vec::new(), 0);
    loop {
        let way = follow(ruleset, &changes, packet, &script)?;
        looked += way.items.len() + 1;
        let next = way.questions.iter().rposition(|q| q.matters && q.answer);
        script = way.questions.iter().map(|q| q.answer).collect();
        ways.push(way);
        let Some(next) = next else { return Ok((ways, true)) };
        script.truncate(next);
        script.push(false);
        if looked > budget.steps.saturating_mul(RULES_PER_STEP) || ways.len() >= budget.steps {
            return Ok((ways, false));
        }
    }
}

fn follow(ruleset: &Ruleset, changes: &Changes, packet: &Packet, script: &[bool]) -> Result<Way, Lost> {
    let run = RefCell::new(Run {
        ruleset,
        changes,
        script,
        questions: Vec::new(),
        items: Vec::new(),
        used: Vec::new(),
        held: None,
        blurred: false,
    });
    let mut luck = |at: At, text: &str| run.borrow_mut().ask(at, text);
    let trace = watch(ruleset, packet, &mut luck, &mut |seen| run.borrow_mut().see(seen))?;
    let Run { questions, items, .. } = run.into_inner();
    Ok(Way { fate: trace.fate, by: trace.by, questions, items })
}

fn by(ruleset: &Ruleset, by: By) -> Option<crate::record::Place> {
    match by {
        By::Line(at) => Some(place(ruleset, at)),
        By::Policy(table, chain) => Some(place(ruleset, At { table, chain, line: usize::MAX })),
        By::Nothing => None,
    }
}

fn outcomes(ruleset: &Ruleset, ways: &[Way], ends: &BTreeSet<(Fate, By)>) -> Vec<Outcome> {
    let simplest = |end: &(Fate, By)| {
        let same = ways.iter().filter(|way| (way.fate, way.by) == *end);
        same.min_by_key(|way| (way.oddity(), way.questions.len()))
    };
    let outcome = |way: &Way| Outcome {
        verdict: way.fate.as_str().to_owned(),
        by: by(ruleset, way.by),
        when: way.suppositions(ruleset),
    };
    ends.iter().filter_map(simplest).map(outcome).collect()
}

fn end(ruleset: &Ruleset, fate: Fate, by: By) -> String {
    let did = match fate {
        Fate::Accepted => "accepted",
        Fate::Dropped => "dropped",
        Fate::Rejected => "rejected",
    };
    match by {
        By::Nothing => format!("{did}: no chain is on its way"),
        by => format!("{did} by {}", decider(ruleset, by)),
    }
}

fn sentence(ruleset: &Ruleset, shown: &Way, known: bool, outcomes: &[Outcome]) -> String {
    let mut words = end(ruleset, shown.fate, shown.by);
    let own = by(ruleset, shown.by);
    let others: Vec<_> = outcomes.iter().filter(|o| o.verdict != shown.fate.as_str() || o.by != own).collect();
    if !others.is_empty() {
        words.push_str(if known { ", by another rule where " } else { ", unless " });
        let causes: Vec<_> = shown.questions.iter().filter(|q| q.matters).map(|q| contrary(ruleset, q)).collect();
        words.push_str(&causes.join(" or "));
    } else if !known {
        words.push_str(", unless what was not understood decides");
    }
    words
}

fn contrary(ruleset: &Ruleset, question: &Question) -> String {
    supposition(ruleset, &Question { answer: !question.answer, ..question.clone() })
}
