//! Golden runs: tests/cases/COMMAND/CASE/ holds `cmd` (a shell line), perhaps `stdin`, and what came of it: `stdout`, `stderr`, `exit`.
//!
//! A `cmd` that begins with `# kernel` runs in an empty network namespace. `$CASE` is the case's directory. Ids, today's times and nft's version
//! are replaced by marks, so that a run equals the next one.

use crate::kernel::in_namespace;
use crate::shell::{Ended, sh};
use crate::tree::{must_equal, name, read, root};
use afo::cmd::{COMMANDS, Role, Row};
use std::fs;
use std::path::{Path, PathBuf};

/// The cases that every filter has.
const NEEDED: &[&str] = &["plain", "empty", "bad-line", "refused"];

fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut found: Vec<_> = entries.map(|e| e.expect("entry").path()).filter(|p| p.is_dir()).collect();
    found.sort();
    found
}

/// Every case: its directory and its shell line.
fn cases() -> Vec<(PathBuf, String)> {
    let of_commands = directories(&root().join("tests/cases"));
    let all = of_commands.iter().flat_map(|command| directories(command));
    all.map(|case| (case.clone(), read(&case.join("cmd")))).collect()
}

fn needs_kernel(line: &str) -> bool {
    line.starts_with("# kernel")
}

/// Text with what differs from run to run replaced: ids by `[id-N]` in the order of their appearance, times of today, nft's version.
pub fn marked(text: &str) -> String {
    let mut ids: Vec<String> = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (mark, length) = if let Some(id) = rest.get(..36).filter(|id| is_uuid(id)) {
            let n = ids.iter().position(|known| known == id).unwrap_or_else(|| {
                ids.push(id.to_owned());
                ids.len() - 1
            });
            (format!("[id-{}]", n + 1), 36)
        } else if let Some(length) = time_of_today(rest) {
            ("[time]".to_owned(), length)
        } else if let Some(version) = rest.strip_prefix("nft ").map(version_length).filter(|n| *n > 2) {
            ("nft [version]".to_owned(), 4 + version)
        } else {
            (c.to_string(), c.len_utf8())
        };
        out.push_str(&mark);
        rest = &rest[length..];
    }
    out
}

fn is_uuid(text: &str) -> bool {
    text.parse::<uuid::Uuid>().is_ok()
}

fn version_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len())
}

/// The length of an RFC 3339 time within a day of now that `text` begins with.
fn time_of_today(text: &str) -> Option<usize> {
    text.get(..20).filter(|t| t.as_bytes()[4] == b'-' && t.as_bytes()[10] == b'T')?;
    let end = text.find('Z')? + 1;
    let time: jiff::Timestamp = text[..end].parse().ok()?;
    let now = jiff::Timestamp::now();
    (now.duration_since(time).unsigned_abs().as_secs() < 86_400).then_some(end)
}

fn judge(case: &Path, line: &str) {
    let scratch = tempfile::tempdir().expect("scratch");
    let input = fs::read(case.join("stdin")).unwrap_or_default();
    let shell = match needs_kernel(line) {
        true => "unshare -n bash -o pipefail -c 'ip link set lo up; . $CASE/cmd'",
        false => ". $CASE/cmd",
    };
    let Ended { out, err, code } = sh(&format!("export CASE={}; {shell}", case.display()), scratch.path(), &input);
    let (here, there) = (case.display().to_string(), scratch.path().display().to_string());
    let hide = |text: &str| marked(&text.replace(&here, "[case]").replace(&there, "[scratch]"));
    must_equal(&case.join("stdout"), &hide(&String::from_utf8_lossy(&out)));
    must_equal(&case.join("stderr"), &hide(&err));
    must_equal(&case.join("exit"), &format!("{}\n", code.expect("ended by itself")));
}

#[test]
fn golden_runs() {
    for (case, line) in cases().iter().filter(|(_, line)| !needs_kernel(line)) {
        judge(case, line);
    }
}

#[test]
fn golden_runs_in_the_kernel() {
    in_namespace(|_| {
        for (case, line) in cases().iter().filter(|(_, line)| needs_kernel(line)) {
            judge(case, line);
        }
    });
}

#[test]
fn every_filter_has_its_cases() {
    for Row { name: command, role, .. } in COMMANDS {
        let directory = root().join("tests/cases").join(command);
        let there: Vec<_> = directories(&directory).iter().map(|p| name(p)).collect();
        assert!(!there.is_empty(), "tests/cases/{command} holds no case");
        for needed in NEEDED.iter().filter(|_| *role == Role::Filter) {
            assert!(there.iter().any(|case| case == needed), "tests/cases/{command} has no case `{needed}`");
        }
    }
}

#[test]
fn marks_replace_what_differs_and_nothing_else() {
    let now = jiff::Timestamp::now();
    let (a, b) = ("01934e70-0000-7000-8000-000000000001", "01934e70-0000-7000-8000-000000000002");
    let text = format!("{a} {b} {a} at {now} since 2024-03-01T08:00:00Z by nft 1.0.6, ünï");
    assert_eq!(marked(&text), "[id-1] [id-2] [id-1] at [time] since 2024-03-01T08:00:00Z by nft [version], ünï");
}
