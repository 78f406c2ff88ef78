//! `afo-sim diff` and `afo-sim equal`: two rulesets, packet by packet.

use super::Args;
use crate::analyze::{Wanted, diff};
use crate::cli::{Exit, Failure, Shell};
use crate::cmd::ruleset;
use std::path::Path;

/// Compares the rulesets that `before` and `after` name.
pub(super) fn run(args: &Args, before: &Path, after: &Path, wanted: Wanted, shell: &Shell) -> Result<Exit, Failure> {
    let (before, after) = (ruleset(before)?, ruleset(after)?);
    let answer = diff(&before, &after, wanted, args.budget());
    let mut out = shell.out();
    if answer.verdict.as_deref() != Some("equal") {
        out.ends(Exit::No);
    }
    out.record(&answer);
    shell.close(&mut out)
}
