//! The commands: one file each. Here, and only here, the modules below meet; here alone the environment is read.

pub mod afo;
pub mod assess;
pub mod check;
pub mod config;
pub mod conflicts;
pub mod ctx;
pub mod deploy;
mod doctor;
mod external;
pub mod r#gen;
mod held;
mod host;
pub(crate) mod hours;
mod imported;
pub mod log;
mod opnsense;
mod places;
pub mod queue;
mod raw;
pub mod render;
mod ruleset;
pub mod sim;
mod status;
mod variants;
pub mod watch;
mod xtables;

pub use host::{context_from, context_of, known, live_context, live_sight};
pub use places::{SYSTEM_STATE, StatePlace, config, loaded, state_place};
pub use ruleset::{live_ruleset, ruleset};

use crate::cli::{self, Command, Environment};
use std::path::PathBuf;
use std::process::ExitCode;

/// One of the programs, for documents, completions and the front door.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub role: Role,
    /// Its arguments with their help.
    pub clap: fn() -> clap::Command,
}

/// Where a program stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// At the head of the pipeline: puts records out.
    Source,
    /// In the pipeline: records in, records out.
    Filter,
    /// Beside it.
    Tool,
}

impl Row {
    /// The source whose arguments are `C`.
    pub const fn source<C: Command>() -> Self {
        Self { name: C::NAME, role: Role::Source, clap: arguments::<C> }
    }

    /// The filter whose arguments are `C`.
    pub const fn filter<C: Command>() -> Self {
        Self { name: C::NAME, role: Role::Filter, clap: arguments::<C> }
    }

    /// The program beside the pipeline whose arguments are `C`.
    pub const fn tool<C: Command>() -> Self {
        Self { name: C::NAME, role: Role::Tool, clap: arguments::<C> }
    }
}

fn arguments<C: Command>() -> clap::Command {
    cli::flowing(C::command())
}

/// Every program, in the order of the pipeline, then those beside it.
#[rustfmt::skip] // a row a line, so that two new commands do not meet
pub const COMMANDS: &[Row] = &[
    Row::source::<ctx::Args>(),
    Row::filter::<r#gen::Args>(),
    Row::filter::<render::Args>(),
    Row::filter::<check::Args>(),
    Row::filter::<conflicts::Args>(),
    Row::source::<watch::Args>(),
    Row::filter::<assess::Args>(),
    Row::filter::<deploy::Args>(),
    Row::tool::<afo::Args>(),
    Row::tool::<log::Args>(),
    Row::tool::<queue::Args>(),
    Row::tool::<sim::Args>(),
];

/// The value of `--steps`, wherever a search may come to its end.
fn steps(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a search takes at least 1 step".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("a number of steps is meant".to_owned()),
    }
}

/// The main of a program. A mistake in the configuration is told by the command that needs it, not here.
pub fn main<C: Command>() -> ExitCode {
    let configured = |shell: &cli::Shell| config(shell).map(|config| config.log).unwrap_or_default();
    cli::main::<C>(std::env::args_os(), environment(), configured)
}

#[allow(clippy::disallowed_methods)] // the one place where it is read
fn environment() -> Environment {
    let path = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    Environment {
        state: path("AFO_STATE"),
        no_color: path("NO_COLOR").is_some(),
        ssh_connection: std::env::var("SSH_CONNECTION").ok(),
        notify_socket: std::env::var("NOTIFY_SOCKET").ok(),
        credentials: path("CREDENTIALS_DIRECTORY"),
        home: path("HOME"),
        config_home: path("XDG_CONFIG_HOME"),
        state_home: path("XDG_STATE_HOME"),
    }
}
