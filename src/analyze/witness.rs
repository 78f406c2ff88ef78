//! Which of AFO's accepts surely let something through where they stand: one packet each, followed by the plain evaluator.
//!
//! That no packet is found says nothing: what is not named here is to be judged by itself.

use super::lower::lines;
use super::placing::all_of;
use super::view::OWN;
use crate::packet::{Bits, Cell, Narrow};
use crate::rule::door::unmarked;
use crate::rule::evaluate::{Trace, evaluate};
use crate::rule::ruleset::{Condition, Line, Outcome, Ruleset, TableFamily, Verdict};
use crate::rule::{Action, Id, Packet, Rule};
use std::collections::BTreeSet;

/// The accepts out of `rules`, which are in `ruleset`, of which a packet that begins a connection passes by their own word; none where something
/// is not understood or changes packets, so that others of their packets may have a fate that nobody knows.
pub fn let_through<'r>(ruleset: &Ruleset, rules: impl IntoIterator<Item = &'r Rule>) -> BTreeSet<&'r Id> {
    if !is_plain(ruleset) {
        return BTreeSet::new();
    }
    let accepts = rules.into_iter().filter(|rule| rule.action == Action::Accept && rule.enabled);
    accepts.filter(|rule| passes(ruleset, rule)).map(|rule| &rule.id).collect()
}

/// Whether every rule is understood, and none changes what others ask for.
fn is_plain(ruleset: &Ruleset) -> bool {
    let asks = |condition: &Condition| matches!(condition, Condition::Unread(_));
    let fine = |verdict: &Verdict| {
        matches!(
            verdict,
            Verdict::Accept
                | Verdict::Drop
                | Verdict::Reject
                | Verdict::Return
                | Verdict::Continue
                | Verdict::Jump(_)
                | Verdict::Goto(_)
        )
    };
    let plain = |line: &Line| {
        let does = match &line.outcome {
            Outcome::Next => true,
            Outcome::Verdict(verdict) => fine(verdict),
            Outcome::ByKey(keys) => keys.iter().all(|(_, verdict)| fine(verdict)),
            Outcome::Unread(_) => false,
        };
        does && line.alters.is_empty() && !line.conditions.iter().any(asks)
    };
    ruleset.unread.is_empty() && ruleset.lines().all(|(_, line)| plain(line))
}

fn passes(ruleset: &Ruleset, rule: &Rule) -> bool {
    let cells = lines(rule).last().and_then(all_of).unwrap_or_default();
    let mut begin: Vec<Cell> = unmarked(&cells);
    for cell in &mut begin {
        cell.keep_narrow(Narrow::State, Bits::single(0));
        cell.keep_narrow(Narrow::Fragment, Bits::single(0));
    }
    let begin = begin.iter().filter(|cell| !cell.is_empty()).flat_map(Cell::by_family);
    begin
        .into_iter()
        .any(|cell| Packet::from_cell(rule.direction, &cell).is_some_and(|packet| goes(ruleset, rule, &packet)))
}

/// Whether a packet comes to a rule and passes, whatever is left to luck.
fn goes(ruleset: &Ruleset, rule: &Rule, packet: &Packet) -> bool {
    let mut asked = false;
    let mut luck = |_, _: &str| {
        asked = true;
        false
    };
    let Ok(trace) = evaluate(ruleset, packet, &mut luck) else { return false };
    !asked && trace.fate.passes() && is_by(ruleset, rule, &trace)
}

fn is_by(ruleset: &Ruleset, rule: &Rule, trace: &Trace) -> bool {
    trace.passed.iter().any(|at| {
        let table = &ruleset.tables[at.table];
        let own = table.family == TableFamily::Inet && table.name == OWN;
        own && ruleset.line(*at).is_some_and(|line| line.comment.as_deref() == Some(rule.id.as_str()))
    })
}
