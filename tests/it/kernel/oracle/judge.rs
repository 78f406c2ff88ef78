//! What evaluator and kernel say of one packet, side by side.

use afo::rule::evaluate::{By, Trace, evaluate};
use afo::rule::ruleset::{At, Condition, Line, Outcome, Ruleset, Table, TableFamily, Verdict};
use afo::sys::lab::{Event, Seen, Step};
use std::collections::HashSet;

/// At most so many ways that chance can take are looked at.
const WAYS: usize = 256;

/// How a packet was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// It has one way.
    Exactly,
    /// The kernel's way is one of several that are left to chance.
    ByChance,
}

/// A way that a packet can take, chance answering as `script` says and `false` behind its end; how often it was asked.
fn way(ruleset: &Ruleset, seen: &Seen, script: &mut Vec<bool>) -> Trace {
    let mut asked = 0;
    let mut luck = |_: At, _: &str| {
        asked += 1;
        if asked > script.len() {
            script.push(false);
        }
        script[asked - 1]
    };
    let trace = evaluate(ruleset, &seen.sent, &mut luck).expect("the kernel took the ruleset");
    script.truncate(asked);
    trace
}

/// Every way that a packet can take, one after the other.
fn ways(ruleset: &Ruleset, seen: &Seen) -> impl Iterator<Item = Trace> {
    let mut script = Some(Vec::new());
    std::iter::from_fn(move || {
        let answers = script.as_mut()?;
        let trace = way(ruleset, seen, answers);
        while answers.last() == Some(&true) {
            answers.pop();
        }
        match answers.last_mut() {
            Some(last) => *last = true,
            None => script = None,
        }
        Some(trace)
    })
    .take(WAYS)
}

/// The way on which chance is what the kernel says it was, and whether it was asked at all.
fn guided(ruleset: &Ruleset, seen: &Seen) -> (Trace, bool) {
    // Of where a chain begins, that any rule or the policy of it was met.
    let mut there: HashSet<_> = matched(seen).into_iter().collect();
    there.extend(seen.events.iter().map(|e| (e.table.as_str(), e.chain.as_str(), None)));
    let mut asked = false;
    let mut luck = |at: At, text: &str| {
        asked = true;
        there.contains(&named(ruleset, at)) != is_opposite(ruleset, at, text)
    };
    let trace = evaluate(ruleset, &seen.sent, &mut luck).expect("the kernel took the ruleset");
    (trace, asked)
}

/// Whether a rule holds where what is asked does not: `fib … missing`.
fn is_opposite(ruleset: &Ruleset, at: At, text: &str) -> bool {
    let opposite = |condition: &Condition| matches!(condition, Condition::Unread(u) if u.asked() == (text, false));
    ruleset.line(at).is_some_and(|line| line.conditions.iter().any(opposite))
}

/// A place in the words of both sides: table, chain, handle.
pub type Named<'a> = (&'a str, &'a str, Option<u64>);

pub fn named(ruleset: &Ruleset, at: At) -> Named<'_> {
    let table = &ruleset.tables[at.table];
    let chain = &table.chains[at.chain];
    (&table.name, &chain.name, chain.lines.get(at.line).and_then(|line| line.handle))
}

/// The rules that the kernel says matched.
pub fn matched(seen: &Seen) -> Vec<Named<'_>> {
    let rules = seen.events.iter().filter(|e| e.handle.is_some());
    rules.map(|e| (e.table.as_str(), e.chain.as_str(), e.handle)).collect()
}

fn agrees(ruleset: &Ruleset, trace: &Trace, seen: &Seen) -> bool {
    let passed: Vec<_> = trace.passed.iter().map(|at| named(ruleset, *at)).collect();
    // A packet that is handed on to a program that is not there is gone too.
    let denied = seen
        .events
        .last()
        .filter(|e| matches!(e.step, Step::Drop | Step::Other(_)))
        .map(|e| (e.table.as_str(), e.chain.as_str(), e.handle));
    let by = match trace.by {
        By::Line(at) => Some(named(ruleset, at)),
        By::Policy(table, chain) => Some(named(ruleset, At { table, chain, line: usize::MAX })),
        By::Nothing => None,
    };
    let took_part = seen.events.iter().filter(|event| event.handle.is_some() && !hands_on(ruleset, event));
    let matched: Vec<_> = took_part.map(|e| (e.table.as_str(), e.chain.as_str(), e.handle)).collect();
    trace.fate.passes() == seen.passed && passed == matched && (trace.fate.passes() || by == denied)
}

/// Whether a rule is one that translates and did not: a packet of another family comes to the end of it (nft_nat_inet_eval), which the
/// kernel tells and the evaluator does not.
fn hands_on(ruleset: &Ruleset, event: &Event) -> bool {
    let own = |table: &&Table| table.name == event.table && table.family == TableFamily::Inet;
    let chains = ruleset.tables.iter().filter(own).flat_map(|table| &table.chains);
    let mut lines = chains.filter(|chain| chain.name == event.chain).flat_map(|chain| &chain.lines);
    let translates = |line: &Line| matches!(line.outcome, Outcome::Verdict(Verdict::Translate(_)));
    event.step == Step::Continue && lines.any(|line| line.handle == event.handle && translates(line))
}

/// As [`judge`], of what became of the packet alone: not every program's rules are traced by what they were read from.
pub fn judge_fate(ruleset: &Ruleset, seen: &Seen) -> Result<Compared, String> {
    let found: Vec<_> = ways(ruleset, seen).collect();
    if !found.iter().any(|trace| trace.fate.passes() == seen.passed) {
        let by: Vec<_> = found.iter().take(3).map(|trace| (trace.fate, &trace.by)).collect();
        return Err(format!(
            "evaluator ({} ways): {by:?}, kernel: passed {}: {:?}",
            found.len(),
            seen.passed,
            seen.events
        ));
    }
    Ok(if found.len() == 1 { Compared::Exactly } else { Compared::ByChance })
}

/// How the two were compared, or what each of them says.
pub fn judge(ruleset: &Ruleset, seen: &Seen) -> Result<Compared, String> {
    if ruleset.tracks() && seen.state.is_some_and(|state| state != seen.sent.state) {
        return Err(format!("it is to be {}, and the kernel finds it {:?}", seen.sent.state, seen.state));
    }
    let (trace, by_chance) = guided(ruleset, seen);
    if agrees(ruleset, &trace, seen) || by_chance && ways(ruleset, seen).any(|trace| agrees(ruleset, &trace, seen)) {
        return Ok(if by_chance { Compared::ByChance } else { Compared::Exactly });
    }
    let ways: Vec<_> = ways(ruleset, seen).collect();
    let told: Vec<_> = ways
        .iter()
        .take(3)
        .map(|trace| {
            let passed: Vec<_> = trace.passed.iter().map(|at| named(ruleset, *at)).collect();
            format!("{} by {:?} over {passed:?}", trace.fate.as_str(), trace.by)
        })
        .collect();
    let led: Vec<_> = trace.passed.iter().map(|at| named(ruleset, *at)).collect();
    Err(format!(
        "evaluator, led by what the kernel did: {} by {:?} over {led:?}\nevaluator ({} ways): {}\nkernel: {} over {:?}",
        trace.fate.as_str(),
        trace.by,
        ways.len(),
        told.join("\n  or "),
        if seen.passed { "accept" } else { "drop" },
        seen.events
    ))
}
