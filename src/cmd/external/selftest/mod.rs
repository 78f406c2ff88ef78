//! `afo backends --selftest NAME`: each line of the contract of afo-backend(7), held against one backend.
//!
//! It changes the rules that AFO has there and puts them back; where AFO is in use there it does not begin.

mod block;
mod change;
mod look;
mod sample;

use super::{External, Listed, Session, program};
use crate::backend::external::PREFIX;
use crate::cli::{Exit, Failure, Out, Shell, for_terminal};
use crate::record::BackendCheck;

/// What a line of the contract came to: why it does not hold.
type Held = Result<(), String>;

/// A backend on trial.
struct Trial<'a> {
    name: &'a str,
    checks: Vec<BackendCheck>,
}

impl Trial<'_> {
    /// Notes whether a line of the contract holds.
    fn note(&mut self, check: &str, line: &str, held: Held) -> bool {
        let (ok, detail) = (held.is_ok(), held.err());
        let (check, line) = (check.to_owned(), line.to_owned());
        self.checks.push(BackendCheck { backend: self.name.to_owned(), check, line, ok, detail });
        ok
    }
}

/// Tests the backend of a name and reports.
///
/// # Errors
/// When there is no such program, it is not safe to run, or AFO is in use there (exit 3).
pub fn run(shell: &Shell, name: &str) -> Result<Exit, Failure> {
    let Some(program) = program(name) else {
        let failure = Failure::refused(format!("there is no program {PREFIX}{} in PATH", for_terminal(name)));
        return Err(failure.hint("what there is: afo backends"));
    };
    crate::sys::lookup::is_safe(&program)
        .map_err(|why| Failure::refused(format!("{PREFIX}{name} is not run: {why}")))?;
    let mut trial = Trial { name, checks: Vec::new() };
    let line = "to `capabilities` it says its name, its version and what it can, in known words";
    match External::ask(name, &program) {
        Ok(external) => {
            trial.note("capabilities", line, Ok(()));
            tried(&mut trial, &external)?;
        }
        Err(failure) => drop(trial.note("capabilities", line, Err(failure.message))),
    }
    let mut out = shell.out();
    report(&trial, &mut out);
    shell.close(&mut out)
}

/// Holds the rest of the contract against a backend that says what it is.
fn tried(trial: &mut Trial, external: &External) -> Result<(), Failure> {
    let line = "`list` tells native, state and revision, the same each time; a mark where AFO has something there";
    let before = match look::listed_twice(external) {
        Ok(before) => before,
        Err(why) => {
            trial.note("list", line, Err(why));
            return Ok(());
        }
    };
    trial.note("list", line, Ok(()));
    if !before.is_empty() {
        let words = format!("AFO has rules in {}: the test would take them out for its time", trial.name);
        return Err(Failure::refused(words).hint("test it where nothing depends on it"));
    }
    look::tried(trial, external, &before);
    change::tried(trial, external);
    let back = external.session().and_then(|mut session| {
        session.restore(&before.state)?;
        session.list()
    });
    let held = back.map_err(|failure| failure.message).and_then(|back| same(&before, &back, "after the test"));
    trial.note("put-back", "what was there before the test is there behind it", held);
    Ok(())
}

fn report(trial: &Trial, out: &mut Out) {
    for check in &trial.checks {
        if !out.is_text() {
            out.record(check);
            continue;
        }
        let word = if check.ok { "ok  " } else { "FAIL" };
        out.text(&format!("{word} {:<18} {}", check.check, check.line));
        check.detail.iter().for_each(|detail| out.text(&format!("     {:<18} {}", "", for_terminal(detail))));
    }
    let failed = trial.checks.iter().filter(|check| !check.ok).count();
    if out.is_text() {
        let end = if failed == 0 { "the contract holds".to_owned() } else { format!("{failed} do not hold") };
        out.text(&format!("{} of the contract's lines were looked at: {end}", trial.checks.len()));
    }
    if failed > 0 {
        out.ends(Exit::No);
    }
}

/// Whether AFO has the same there.
fn same(wanted: &Listed, found: &Listed, when: &str) -> Held {
    let fields = [
        ("native", wanted.native == found.native),
        ("mark", wanted.mark == found.mark),
        ("state", wanted.state == found.state),
    ];
    match fields.iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(format!("{when} `list` tells another {field}")),
        None => Ok(()),
    }
}

/// A talk, or why there is none, in words.
fn session(external: &External) -> Result<Session, String> {
    external.session().map_err(|failure| failure.message)
}

/// What a new process of the backend lists.
fn listed(external: &External) -> Result<Listed, String> {
    session(external)?.list().map_err(|failure| failure.message)
}
