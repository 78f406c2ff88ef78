//! Jumps and gotos without which no packet has another fate.
//!
//! Without it packets go on behind the chain that it leads to. So each step of that chain that decides is asked whether its packets end
//! the same if they go on there. A jump that packets come past more than once on one way, one to a long chain and one to a chain that
//! changes packets are not judged: of those nothing is said.

use super::spare::{Kept, Spare, unchanged};
use super::{Audit, finding};
use crate::analyze::program::{Act, Call, Program};
use crate::record::{Finding, FindingType, Place, Severity};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Line, Outcome, Ruleset, Verdict};

/// Chains of more steps than this are not judged, nor those of more that decide.
const STEPS: usize = 256;
const DECIDING: usize = 32;

impl Audit<'_> {
    /// The steps that show that no packet has another fate without a jump or goto.
    pub(super) fn spare_call(&mut self, at: At, line: &Line) -> Result<Spare, Kept> {
        if !matches!(line.outcome, Outcome::Verdict(_)) || !line.alters.is_empty() {
            return Err(Kept::Needed);
        }
        let mut shown_by = Vec::new();
        for (n, course) in self.courses.iter_mut().enumerate() {
            let call = match course.program.calls(at) {
                [] => continue,
                [call] => *call,
                _ => return Err(Kept::Needed),
            };
            for step in deciding(self.ruleset, course.program, call).ok_or(Kept::Needed)? {
                let used = unchanged(self.ruleset, course, at, step, call.end as u32)?;
                shown_by.extend(used.into_iter().map(|step| (n, step)));
            }
        }
        Ok(Spare { at, shown_by })
    }
}

/// The steps of a chain by which packets do not come out behind it; nothing where these are too many to ask of each, or a rule of it does
/// more than decide.
fn deciding(ruleset: &Ruleset, program: &Program, call: Call) -> Option<Vec<u32>> {
    if call.end - call.first > STEPS {
        return None;
    }
    let mut found = Vec::new();
    for n in call.first..call.end {
        let step = &program.steps[n];
        let line = if let By::Line(at) = step.by { ruleset.line(at) } else { None };
        if n < call.inner && line.is_none_or(|line| !only_decides(line)) {
            return None;
        }
        match step.act {
            Act::Pass => {}
            Act::Leave(to) if to <= call.end => {}
            Act::Leave(_) | Act::Deny | Act::Accept(_) => found.push(n as u32),
        }
    }
    (found.len() <= DECIDING).then_some(found)
}

fn only_decides(line: &Line) -> bool {
    let plain = |verdict: &Verdict| !matches!(verdict, Verdict::Translate(_));
    line.alters.is_empty()
        && match &line.outcome {
            Outcome::Next => true,
            Outcome::Verdict(verdict) => plain(verdict),
            Outcome::ByKey(keys) => keys.iter().all(|(_, verdict)| plain(verdict)),
            Outcome::Unread(_) => false,
        }
}

/// The finding on a jump or goto that can go; `by` decides instead.
pub(super) fn idle_call(line: &Line, by: Vec<Place>) -> Finding {
    let chain = line.outcome.chains().next().unwrap_or_default();
    let words = format!(
        "every packet has the same fate without chain `{chain}` in this place: removing this rule changes nothing"
    );
    let fix = Some("remove it, or keep it for its counters and for the reader".to_owned());
    Finding { by, fix, ..finding(FindingType::Redundant, Severity::Low, words) }
}
