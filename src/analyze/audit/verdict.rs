//! What a step does to packets beyond letting them pass or not.

use crate::analyze::program::Step;
use crate::rule::evaluate::By;
use crate::rule::ruleset::{Line, Outcome, Ruleset, Verdict};

/// What the sender of a packet that a step denies is told, as the rule writes it; nothing where it drops.
pub(super) fn told<'r>(ruleset: &'r Ruleset, step: &Step) -> &'r str {
    let rejects = |verdict: &Verdict| *verdict == Verdict::Reject;
    match line(ruleset, step) {
        Some(line) if is(line, step, rejects) => {
            let words = line.text.find("REJECT").or_else(|| line.text.rfind("reject"));
            &line.text[words.unwrap_or(0)..]
        }
        _ => "",
    }
}

/// Whether a step that accepts translates addresses or ports.
pub(super) fn translates(ruleset: &Ruleset, step: &Step) -> bool {
    line(ruleset, step).is_some_and(|line| is(line, step, |verdict| matches!(verdict, Verdict::Translate(_))))
}

fn line<'r>(ruleset: &'r Ruleset, step: &Step) -> Option<&'r Line> {
    if let By::Line(at) = step.by { ruleset.line(at) } else { None }
}

/// Whether a rule may give some packets of its step such a verdict.
fn is(line: &Line, step: &Step, verdict: impl Fn(&Verdict) -> bool) -> bool {
    match &line.outcome {
        Outcome::Verdict(own) => verdict(own),
        Outcome::ByKey(keys) => keys.iter().any(|(cell, own)| verdict(own) && !cell.is_disjoint(&step.cell)),
        Outcome::Next | Outcome::Unread(_) => false,
    }
}
