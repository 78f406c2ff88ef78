//! Native text of iptables, judged: by its own reader first, then by iptables-restore and ip6tables-restore for the tables of
//! each, against the live ruleset.

use crate::backend::iptables;
use crate::cli::Failure;
use crate::record::ValidationError;
use crate::rule::ruleset::TableFamily;
use crate::sys::iptables::{self as programs, RestoreError, restorer};

/// What is wrong with a text of iptables-save and ip6tables-save, each with its line where it has one.
///
/// # Errors
/// When iptables cannot be asked: it is missing, or not permitted.
pub(super) fn iptables_errors(text: &str) -> Result<Vec<ValidationError>, Failure> {
    let at = |line: Option<usize>, message: String| ValidationError { message, line, ..ValidationError::default() };
    // What lines_of refuses, reading refuses too.
    let parts = iptables::read(text).and_then(|_| {
        let of = |family| iptables::lines_of(text, family);
        Ok([(false, of(TableFamily::Ip)?), (true, of(TableFamily::Ip6)?)])
    });
    let parts = match parts {
        Ok(parts) => parts,
        Err(refused) => return Ok(vec![at(Some(refused.line), refused.cause)]),
    };
    let mut errors = Vec::new();
    for (v6, part) in parts {
        let Some(part) = part else { continue };
        match programs::test(v6, &part, false) {
            Err(RestoreError::Said(words)) => errors.push(at(line_of(&words), shortened(&words, restorer(v6)))),
            other => other.map_err(|e| refused(&e))?,
        }
    }
    Ok(errors)
}

/// That iptables could not be asked.
pub(super) fn refused(error: &RestoreError) -> Failure {
    let failure = Failure::refused(error.to_string());
    error.hint().into_iter().fold(failure, Failure::hint)
}

/// `Error occurred at line: 7`, `iptables-restore: line 7 failed`; of what the kernel refuses `line 7: RULE_APPEND failed`.
pub(super) fn line_of(words: &str) -> Option<usize> {
    let before = ["Error occurred at line: ", "iptables-restore: line ", "ip6tables-restore: line ", "\nline "];
    let after = before.iter().find_map(|before| words.split_once(before))?.1;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The cause, without the program's version and its advice.
pub(super) fn shortened(words: &str, program: &str) -> String {
    let told = |line: &&str| {
        let empty = line.trim().is_empty();
        !empty && !line.starts_with("Error occurred at line") && !line.starts_with("Try `")
    };
    let lines: Vec<_> = words.lines().filter(told).collect();
    let first = lines.first().copied().unwrap_or(words);
    let cause = match first.strip_prefix(program).and_then(|rest| rest.strip_prefix(" v")) {
        Some(rest) => match rest.split_once(':').map_or(rest, |(_, cause)| cause).trim() {
            // The kernel's words stand in lines of their own.
            "" => lines.get(1).copied().unwrap_or(first),
            cause => cause,
        },
        None => first.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(first),
    };
    format!("{program}: {}", cause.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_programs_find_their_line() {
        for (words, line, shown) in [
            (
                "iptables-restore v1.8.9 (nf_tables): host/network `x' not found\nError occurred at line: 7\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.",
                Some(7),
                "iptables-restore: host/network `x' not found",
            ),
            ("iptables-restore: line 12 failed", Some(12), "iptables-restore: line 12 failed"),
            ("Bad argument `y'\nError occurred at line: 3", Some(3), "iptables-restore: Bad argument `y'"),
            (
                "iptables-restore v1.8.9 (nf_tables): \nline 9: RULE_APPEND failed (Invalid argument): rule in chain AFO-g1-INPUT",
                Some(9),
                "iptables-restore: line 9: RULE_APPEND failed (Invalid argument): rule in chain AFO-g1-INPUT",
            ),
            ("odd", None, "iptables-restore: odd"),
        ] {
            assert_eq!((line_of(words), shortened(words, "iptables-restore").as_str()), (line, shown), "{words}");
        }
    }

    #[test]
    fn a_line_without_a_place_needs_no_program() {
        let errors = iptables_errors("*filter\n:INPUT DROP\nhello\n").expect("read");
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].line, errors[0].message.as_str()), (Some(3), "`hello` is no line of iptables-save"));
    }
}
