//! What a command knows of the host: a context from a file, or the live one with the configuration's names.

use crate::cli::config::Config;
use crate::cli::{Failure, Shell};
use crate::record::{self, Context};
use crate::sys::context::{Depth, Known, Sight, look};
use std::fs;
use std::path::Path;

/// What the configuration and the environment know of the host.
pub fn known(shell: &Shell, config: &Config) -> Known {
    let names = &config.names;
    let ports = |list: &Vec<_>| list.iter().map(ToString::to_string).collect();
    Known {
        zones: names.zones.iter().map(|(name, faces)| (name.to_string(), faces.clone())).collect(),
        hosts: names.hosts.iter().map(|(name, list)| (name.to_string(), list.clone())).collect(),
        services: names.services.iter().map(|(name, list)| (name.to_string(), ports(list))).collect(),
        management_ports: config.management.ports.clone(),
        ssh_connection: shell.environment.ssh_connection.clone(),
    }
}

/// The context of this host as the kernel tells it now, without rules: a few milliseconds, no privilege, no process.
pub fn live_context(shell: &Shell, config: &Config) -> Context {
    live_sight(shell, config).context
}

/// As [`live_context`], with what of the host could not be seen.
pub fn live_sight(shell: &Shell, config: &Config) -> Sight {
    look(&known(shell, config), Depth::Fast)
}

/// The context for a command: that of `file` where one was given (`--context FILE`), else the live one.
///
/// # Errors
/// When the file cannot be read or holds no context (exit 2).
pub fn context_of(shell: &Shell, config: &Config, file: Option<&Path>) -> Result<Context, Failure> {
    file.map_or_else(|| Ok(live_context(shell, config)), context_from)
}

/// Reads a context from a file: one record over any number of lines, or the newest `context` among JSON lines.
///
/// # Errors
/// When the file cannot be read or holds no context (exit 2).
pub fn context_from(file: &Path) -> Result<Context, Failure> {
    let refused = |words: String| {
        let hint = "`afo-ctx > FILE` writes one";
        Failure::undecided(format!("{}: {words}", file.display())).hint(hint)
    };
    let text = fs::read_to_string(file).map_err(|e| refused(format!("the context cannot be read: {e}")))?;
    read_context(&text).map_err(refused)
}

fn read_context(text: &str) -> Result<Context, String> {
    let is_context = |line: &str| record::peek(line).is_ok_and(|head| head.kind == "context");
    if is_context(text) {
        return record::parse(text).map_err(|e| e.to_string());
    }
    let newest = text.lines().enumerate().filter(|(_, line)| is_context(line)).last();
    match newest {
        Some((at, line)) => record::parse(line).map_err(|e| format!("{}: {e}", at + 1)),
        None => Err("there is no context record in it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_one_record_or_the_newest_of_several() {
        let one = "{\"kind\":\"context\",\"v\":1,\n \"resolvers\":[\"192.0.2.53\"]}\n";
        assert_eq!(read_context(one).expect("pretty").resolvers.len(), 1);
        let lines =
            "{\"kind\":\"context\"}\n{\"kind\":\"event\"}\n{\"kind\":\"context\",\"resolvers\":[\"192.0.2.53\"]}\nx\n";
        assert_eq!(read_context(lines).expect("lines").resolvers.len(), 1);
    }

    #[test]
    fn what_is_no_context_is_refused_with_the_field() {
        let said = |text: &str| read_context(text).expect_err(text);
        assert_eq!(said("{\"kind\":\"event\"}"), "there is no context record in it");
        assert_eq!(said(""), "there is no context record in it");
        let wrong = said("{\"kind\":\"event\"}\n{\"kind\":\"context\",\"resolvers\":[7]}");
        assert!(wrong.starts_with("2: resolvers[0]: "), "{wrong}");
        let absent = context_from(Path::new("/nowhere/context.json")).expect_err("absent");
        assert!(absent.message.starts_with("/nowhere/context.json: the context cannot be read: "), "{absent}");
        assert_eq!(absent.hint.as_deref(), Some("`afo-ctx > FILE` writes one"));
    }
}
