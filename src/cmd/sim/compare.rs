//! `afo-sim diff` and `afo-sim equal`: two rulesets, packet by packet.

use super::Args;
use crate::analyze::{Wanted, diff, without_bans};
use crate::cli::{Exit, Failure, Shell};
use crate::cmd::ruleset;
use crate::rule::ruleset::Ruleset;
use std::path::Path;

/// Compares the rulesets that `before` and `after` name.
pub(super) fn run(args: &Args, before: &Path, after: &Path, wanted: Wanted, shell: &Shell) -> Result<Exit, Failure> {
    let (before, after) = (ruleset(before)?, ruleset(after)?);
    let (before, after, left_out) = alike(before, after);
    let mut answer = diff(&before, &after, wanted, args.budget());
    answer.evidence.extend(left_out.map(str::to_owned));
    let mut out = shell.out();
    if answer.verdict.as_deref() != Some("equal") {
        out.ends(Exit::No);
    }
    out.record(&answer);
    shell.close(&mut out)
}

/// Where one of the two alone can hold AFO's bans for a time, they are left out: they come and go and are no rules of either.
fn alike(before: Ruleset, after: Ruleset) -> (Ruleset, Ruleset, Option<&'static str>) {
    let (plain_before, plain_after) = (without_bans(&before), without_bans(&after));
    match (plain_before != before, plain_after != after) {
        (true, false) | (false, true) => {
            (plain_before, plain_after, Some("AFO's bans for a time are left out: only one of the two can hold them"))
        }
        _ => (before, after, None),
    }
}
