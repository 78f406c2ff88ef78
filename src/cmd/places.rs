//! Where the configuration and the state are, by flag, environment, configuration and default, in this order.

use crate::cli::config::{Config, ConfigError, Loaded, Places};
use crate::cli::{Failure, Shell};
use std::path::{Path, PathBuf};

/// The system's state: it belongs to root.
pub const SYSTEM_STATE: &str = "/var/lib/afo/state.db";

/// The system's configuration.
pub const SYSTEM_CONFIG: &str = "/etc/afo/afo.toml";

/// The user's own configuration file (XDG Base Directory), whether it is there or not; nothing without a home.
pub fn user_config(shell: &Shell) -> Option<PathBuf> {
    let env = &shell.environment;
    let home = || env.home.as_deref().map(|home| home.join(".config"));
    env.config_home.clone().or_else(home).map(|dir| dir.join("afo/afo.toml"))
}

/// The configuration and the files that it is made of: `--config FILE` alone, else /etc/afo/afo.toml and over it the user's.
///
/// # Errors
/// When a file cannot be read or holds what a configuration cannot hold (exit 2).
pub fn loaded(shell: &Shell) -> Result<Loaded, Failure> {
    let usual = std::iter::once(PathBuf::from(SYSTEM_CONFIG)).chain(user_config(shell)).collect();
    Places { explicit: shell.common.config.clone(), usual }.load().map_err(|e| mistake(&e))
}

/// A mistake in the configuration as what ends a command.
pub fn mistake(error: &ConfigError) -> Failure {
    let failure = Failure::undecided(error.to_string());
    error.hint().into_iter().fold(failure, Failure::hint)
}

/// The configuration, as [`loaded`].
///
/// # Errors
/// As [`loaded`].
pub fn config(shell: &Shell) -> Result<Config, Failure> {
    loaded(shell).map(|loaded| loaded.config)
}

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePlace {
    /// `--state none`: nothing is remembered.
    None,
    /// `--state :memory:`: until the end of the command.
    Memory,
    File(PathBuf),
}

/// `--state`, AFO_STATE, the configuration's, else /var/lib/afo/state.db for root and the user's state directory for others.
pub fn state_place(shell: &Shell, config: &Config) -> StatePlace {
    let env = &shell.environment;
    let given = shell.common.state.clone().or_else(|| env.state.clone());
    let path = given.or_else(|| config.state.path().map(Path::to_path_buf)).unwrap_or_else(|| {
        let home = || env.home.clone().unwrap_or_else(|| PathBuf::from("/")).join(".local/state");
        match rustix::process::geteuid().is_root() {
            true => PathBuf::from(SYSTEM_STATE),
            false => env.state_home.clone().unwrap_or_else(home).join("afo/state.db"),
        }
    });
    match path.to_str() {
        Some("none") => StatePlace::None,
        Some(":memory:") => StatePlace::Memory,
        _ => StatePlace::File(path),
    }
}
