//! `afo config`: the configuration shown, checked and changed.

use super::loaded;
use super::places::{SYSTEM_CONFIG, mistake, user_config};
use crate::cli::config::{Config, Loaded, Places, edit};
use crate::cli::{Exit, Failure, Format, Shell, for_terminal, nearest};
use crate::sys::logs;
use std::path::PathBuf;

/// What to do with the configuration.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum What {
    /// Print the configuration that is in force, or the value of one KEY
    Show {
        /// A key or a section, as `respond.autonomy` or `respond`; a list is printed one value a line
        key: Option<String>,
    },
    /// Check the configuration, or FILE alone, and say nothing when it is right
    Check {
        /// The file to check
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration
    Schema,
    /// Set KEY to VALUE, keeping comments and everything else
    Set {
        /// As `respond.autonomy` or `names.hosts.printer`
        key: String,
        /// A word, a number or a TOML value: auto, 60, '["192.0.2.0/24"]'
        value: String,
        /// Change FILE [default: --config, else /etc/afo/afo.toml for root, else the user's]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print what afo-daemon watches: the configured sources, else those that this host has
    Sources,
}

/// Does it.
///
/// # Errors
/// When the configuration cannot be read, is wrong or cannot be written.
pub fn run(what: What, shell: &Shell) -> Result<Exit, Failure> {
    match what {
        What::Show { key } => print(shell, &shown(&loaded(shell)?, key.as_deref(), wants_json(shell))?),
        What::Check { file } => check(file, shell),
        What::Schema => print(shell, &schema_text()),
        What::Set { key, value, file } => set(shell, file, &key, &value),
        What::Sources => print(shell, &lines(sources(&loaded(shell)?.config))),
    }
}

/// The schema as it is committed.
pub fn schema_text() -> String {
    serde_json::to_string_pretty(&Config::schema()).expect("a schema is JSON") + "\n"
}

fn print(shell: &Shell, text: &str) -> Result<Exit, Failure> {
    let mut out = shell.out();
    out.text(text);
    shell.close(&mut out)
}

fn wants_json(shell: &Shell) -> bool {
    shell.common.json || shell.common.format == Some(Format::Json)
}

/// The sources that are watched: those of the configuration, else those that this host has.
pub fn sources(config: &Config) -> Vec<String> {
    match config.watch.sources.as_slice() {
        [] => logs::found(),
        configured => configured.iter().map(ToString::to_string).collect(),
    }
}

fn lines(list: Vec<String>) -> String {
    list.iter().map(|line| format!("{}\n", for_terminal(line))).collect()
}

/// The text of the whole configuration or of one key.
fn shown(loaded: &Loaded, key: Option<&str>, json: bool) -> Result<String, Failure> {
    let config = &loaded.config;
    let Some(key) = key else {
        return Ok(match json {
            true => json_line(config),
            false => format!("{}\n{}", origin(loaded), config.to_toml()),
        });
    };
    let value = config.value(key).ok_or_else(|| no_such_key(key))?;
    Ok(if json { json_line(&value) } else { plain(&value) })
}

fn json_line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a configuration is JSON") + "\n"
}

fn origin(loaded: &Loaded) -> String {
    let files: Vec<_> =
        loaded.files.iter().map(|file| for_terminal(&file.display().to_string()).into_owned()).collect();
    match files.as_slice() {
        [] => "# no file was read: every value is the default".to_owned(),
        files => format!("# read from {}", files.join(" and then ")),
    }
}

fn no_such_key(key: &str) -> Failure {
    let keys = Config::keys();
    let failure = Failure::undecided(format!("there is no key `{key}` in the configuration"));
    match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`afo config show` prints them all"),
    }
}

/// A value for a script: words without quotes, a list one value a line, a table as TOML.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("{}\n", for_terminal(text)),
        toml::Value::Array(list) => list.iter().map(plain).collect(),
        toml::Value::Table(table) => table.to_string(),
        other => format!("{other}\n"),
    }
}

fn check(file: Option<PathBuf>, shell: &Shell) -> Result<Exit, Failure> {
    let checked = match file {
        Some(file) => Places { explicit: Some(file), usual: Vec::new() }.load().map_err(|e| mistake(&e)),
        None => loaded(shell),
    };
    match checked {
        Ok(_) => Ok(Exit::Clean),
        Err(failure) => Err(Failure { exit: Exit::No, ..failure }),
    }
}

fn set(shell: &Shell, file: Option<PathBuf>, key: &str, value: &str) -> Result<Exit, Failure> {
    let usual = || match rustix::process::geteuid().is_root() {
        true => Some(PathBuf::from(SYSTEM_CONFIG)),
        false => user_config(shell),
    };
    let file = file.or_else(|| shell.common.config.clone()).or_else(usual);
    let file =
        file.ok_or_else(|| Failure::undecided("no home directory is known").hint("name the file with --file FILE"))?;
    edit(&file, key, value).map_err(|e| mistake(&e))?;
    tracing::info!(file = %file.display(), key, "configuration changed");
    Ok(Exit::Clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::parse;

    fn with(text: &str) -> Loaded {
        Loaded { config: parse("x", text).expect(text), files: vec!["/etc/afo/afo.toml".into()] }
    }

    #[test]
    fn values_are_printed_for_scripts() {
        let loaded = with("[watch]\nsources = [\"auth:/a\", \"fw:/b\"]\n[names.zones]\nlan = [\"eth1\"]");
        let said = |key| shown(&loaded, Some(key), false).expect(key);
        assert_eq!(said("respond.autonomy"), "propose\n");
        assert_eq!(said("watch.sources"), "auth:/a\nfw:/b\n");
        assert_eq!(said("deploy.confirm_seconds"), "30\n");
        assert_eq!(said("names.zones"), "lan = [\"eth1\"]\n");
        assert_eq!(shown(&loaded, Some("watch.sources"), true).expect("json"), "[\"auth:/a\",\"fw:/b\"]\n");
        assert_eq!(sources(&loaded.config), ["auth:/a", "fw:/b"]);
    }

    #[test]
    fn the_whole_says_where_it_is_from_and_is_a_configuration() {
        let loaded = with("[respond]\nautonomy = \"auto\"");
        let text = shown(&loaded, None, false).expect("text");
        assert!(text.starts_with("# read from /etc/afo/afo.toml\n"), "{text}");
        assert_eq!(parse("x", &text).expect("again"), loaded.config);
        let none = shown(&Loaded::default(), None, false).expect("text");
        assert!(none.starts_with("# no file was read: every value is the default\n"), "{none}");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let failure = shown(&Loaded::default(), Some("respond.autonomi"), false).expect_err("unknown");
        assert_eq!(failure.message, "there is no key `respond.autonomi` in the configuration");
        assert_eq!(failure.hint.as_deref(), Some("did you mean `respond.autonomy`?"));
    }
}
