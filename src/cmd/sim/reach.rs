//! `afo-sim reach`: which packets of a question get through.

use super::Args;
use crate::analyze::{Query, reach};
use crate::cli::{Exit, Failure, Shell};

/// Answers the question of the arguments.
pub(super) fn run(args: &Args, words: &[String], shell: &Shell) -> Result<Exit, Failure> {
    let query = Query::parse(&words.join(" "), &args.names(shell)?).map_err(|e| {
        Failure::undecided(e.to_string()).hint("a question is like: from guest to 10.10.0.0/24 proto tcp port 22")
    })?;
    let answer = reach(&args.ruleset()?, &query, args.budget());
    let mut out = shell.out();
    if answer.verdict.as_deref() != Some("accept") {
        out.ends(Exit::No);
    }
    out.record(&answer);
    shell.close(&mut out)
}
