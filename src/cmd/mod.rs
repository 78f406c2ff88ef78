//! The commands: one file each. Here, and only here, the modules below meet; here alone the environment is read.

pub mod afo;
pub mod assess;
pub mod check;
pub mod config;
pub mod conflicts;
pub mod ctx;
pub mod deploy;
mod doctor;
pub mod r#gen;
mod host;
pub mod log;
mod places;
pub mod render;
mod ruleset;
pub mod sim;
mod status;
pub mod watch;

pub use host::{context_from, context_of, known, live_context};
pub use places::{StatePlace, config, loaded, state_place};
pub use ruleset::{live_ruleset, ruleset};

use crate::cli::{self, Command, Environment};
use std::path::PathBuf;
use std::process::ExitCode;

/// One of the programs, for documents, completions and the front door.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// Its arguments with their help.
    pub clap: fn() -> clap::Command,
}

impl Row {
    /// The program whose arguments are `C`.
    pub const fn of<C: Command>() -> Self {
        Self { name: C::NAME, clap: C::command }
    }
}

/// Every program, in the order of the pipeline, then those beside it.
#[rustfmt::skip] // a row a line, so that two new commands do not meet
pub const COMMANDS: &[Row] = &[
    Row::of::<ctx::Args>(),
    Row::of::<r#gen::Args>(),
    Row::of::<render::Args>(),
    Row::of::<check::Args>(),
    Row::of::<conflicts::Args>(),
    Row::of::<watch::Args>(),
    Row::of::<assess::Args>(),
    Row::of::<deploy::Args>(),
    Row::of::<afo::Args>(),
    Row::of::<log::Args>(),
    Row::of::<sim::Args>(),
];

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
        home: path("HOME"),
        config_home: path("XDG_CONFIG_HOME"),
        state_home: path("XDG_STATE_HOME"),
    }
}
