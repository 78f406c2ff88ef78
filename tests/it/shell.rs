//! Running the built commands: with input, on a terminal, into files that cannot be written.

use crate::kernel::feed;
use crate::tree::{bin, root};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub out: Vec<u8>,
    pub err: String,
    /// What a shell sees; nothing when a signal ended it.
    pub code: Option<i32>,
}

impl From<Output> for Ended {
    fn from(o: Output) -> Self {
        Self { out: o.stdout, err: String::from_utf8_lossy(&o.stderr).into_owned(), code: o.status.code() }
    }
}

impl Ended {
    /// The records that were put out.
    pub fn records(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("put out what is no JSON: {e}: {line}"));
        self.text().lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
    }

    /// What was put out.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The records of one kind.
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|r| r["kind"] == kind).collect()
    }
}

/// A built command with nothing of this machine's environment in it.
pub fn afo(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(bin(name));
    command.args(args);
    clean(&mut command);
    command
}

/// Takes out of a command's environment what would change its answer.
pub fn clean(command: &mut Command) {
    for name in ["NO_COLOR", "RUST_LOG", "SSH_CONNECTION", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("AFO_STATE", "none").env("HOME", "/nonexistent").env("RUST_BACKTRACE", "1").env("TZ", "UTC");
    let path = std::env::var("PATH").unwrap_or_default();
    let tools = bin("");
    command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", tools.display()));
}

/// Runs a command over `input`.
pub fn run(name: &str, args: &[&str], input: &[u8]) -> Ended {
    feed(&mut afo(name, args), input).into()
}

/// Runs a shell line with the built commands in its path.
pub fn sh(line: &str, directory: &Path, input: &[u8]) -> Ended {
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", line]).current_dir(directory);
    clean(&mut command);
    feed(&mut command, input).into()
}

/// Runs a shell line on a terminal of its own; what the terminal was sent.
pub fn on_terminal(line: &str, directory: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new("script");
    clean(&mut command);
    command
        .args(["-qec", line, "/dev/null"])
        .current_dir(directory)
        .env("TERM", "xterm")
        .envs(environment.iter().copied());
    let out = command.stdin(Stdio::null()).output().expect("script (bsdutils)");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The rows of `COMMANDS` by name.
pub fn commands() -> Vec<&'static str> {
    afo::cmd::COMMANDS.iter().map(|row| row.name).collect()
}

/// A line of the committed samples that begins so.
pub fn sample(kind: &str, line: usize) -> String {
    let text = crate::tree::read(&root().join(format!("tests/records/v1/{kind}.jsonl")));
    text.lines().nth(line).unwrap_or_else(|| panic!("line {line} of the samples of {kind}")).to_owned()
}
