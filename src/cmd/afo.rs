//! afo: the front door.

use super::{COMMANDS, Role, Row, config as configuration, doctor, external, status};
use crate::cli::{Command, Common, Exit, Failure, Format, LogFormat, Shell, nearest};
use crate::record;
use crate::sys::exec::{become_program, beside};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Turn plain English and threat evidence into firewall rules that can be taken back
///
/// The commands exchange JSON lines and are run as `afo COMMAND` or as `afo-COMMAND`. A change is proven before it is applied
/// and goes away by itself unless it is confirmed.
///
/// Examples:
///   $ afo doctor
///   $ afo gen "block ssh from 203.0.113.0/24" | afo check | afo deploy --confirm
///   $ afo config set respond.autonomy auto
///   $ afo schema proposal
///
/// Exit status:
///   0  done, all is well
///   1  done, the answer is no: doctor found something missing, the configuration is wrong
///   2  nothing done: usage, an unknown command or key
///   3  the command is not installed, or the world refused
///   of `afo COMMAND`: that of the command
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "afo",
    version,
    verbatim_doc_comment,
    disable_help_subcommand = true,
    after_help = short_list(),
    after_long_help = long_list()
)]
pub struct Args {
    #[command(subcommand)]
    pub what: Option<What>,
    #[command(flatten)]
    pub common: Common,
}

/// What the front door does itself; everything else is another program.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum What {
    /// Show what AFO holds: rules, blocks, open windows, the daemon
    Status,
    /// Check what AFO needs on this host and say what to do about what is missing
    Doctor,
    /// Print the JSON Schema of a record KIND
    Schema {
        /// As `proposal`; `config` is the configuration's
        #[arg(required_unless_present = "list")]
        kind: Option<String>,
        /// Print the kinds
        #[arg(long, conflicts_with = "kind")]
        list: bool,
    },
    /// Show, check or change the configuration
    #[command(subcommand)]
    Config(configuration::What),
    /// List the packet filters of this host, what AFO can write for each, and which it chooses
    ///
    /// Beside them stand the programs afo-backend-NAME in PATH, which are run for what they say that they can (see afo-backend(7)).
    Backends {
        /// Hold the program afo-backend-NAME to each line of its contract: it gets rules and gets them taken back. Exit 1 when a line does
        /// not hold, 3 when it cannot be tested
        #[arg(long, value_name = "NAME")]
        selftest: Option<String>,
    },
    /// Show the help of COMMAND
    Help { command: Option<String> },
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl Command for Args {
    const NAME: &'static str = "afo";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        match self.what {
            None | Some(What::Help { command: None }) => print(shell, &help()),
            Some(What::Help { command: Some(name) }) => other(&[name.into(), "--help".into()], &Common::default()),
            Some(What::Status) => status::run(shell),
            Some(What::Doctor) => doctor::run(shell),
            Some(What::Schema { kind, .. }) => print(shell, &schema(kind.as_deref())?),
            Some(What::Config(what)) => configuration::run(what, shell),
            Some(What::Backends { selftest: None }) => status::backends(shell),
            Some(What::Backends { selftest: Some(name) }) => external::selftest::run(shell, &name),
            Some(What::Other(words)) => other(&words, &self.common),
        }
    }
}

fn print(shell: &Shell, text: &str) -> Result<Exit, Failure> {
    let mut out = shell.out();
    out.text(text);
    shell.close(&mut out)
}

fn help() -> String {
    <Args as clap::CommandFactory>::command().render_help().to_string()
}

/// What a command is called behind `afo`.
fn short_name(row: &Row) -> &'static str {
    row.name.strip_prefix("afo-").unwrap_or(row.name)
}

/// The programs in two groups: the pipeline's, and those beside it.
fn groups() -> [(&'static str, Vec<&'static Row>); 2] {
    let others = || COMMANDS.iter().filter(|row| row.name != "afo");
    let (pipeline, beside) = others().partition(|row| row.role != Role::Tool);
    [("Pipeline", pipeline), ("Beside it", beside)]
}

fn short_list() -> String {
    let line = |(name, rows): &(&str, Vec<&Row>)| {
        let names: Vec<_> = rows.iter().map(|row| short_name(row)).collect();
        (!names.is_empty()).then(|| format!("{name}: {}", names.join(" ")))
    };
    groups().iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn long_list() -> String {
    let row = |row: &&Row| {
        let about = (row.clap)().get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<12}{about}\n", short_name(row))
    };
    let group = |(name, rows): &(&str, Vec<&Row>)| {
        let list: String = rows.iter().map(row).collect();
        (!rows.is_empty()).then(|| format!("{name} (`afo COMMAND --help` for each):\n{list}"))
    };
    groups().iter().filter_map(group).collect::<Vec<_>>().join("\n")
}

fn schema(kind: Option<&str>) -> Result<String, Failure> {
    let Some(kind) = kind else {
        return Ok(record::KINDS.iter().map(|kind| format!("{kind}\n")).collect());
    };
    if kind == "config" {
        return Ok(configuration::schema_text());
    }
    let found = record::schema(kind).ok_or_else(|| {
        let near = nearest(kind, record::KINDS.iter().copied());
        let hint = near.map_or("`afo schema --list` prints them".into(), |near| format!("did you mean `{near}`?"));
        Failure::undecided(format!("there is no kind of record `{kind}`")).hint(hint)
    })?;
    Ok(serde_json::to_string_pretty(&found).expect("a schema is JSON") + "\n")
}

/// Becomes `afo-NAME`: the one beside this program, else the one in PATH.
fn other(words: &[OsString], common: &Common) -> Result<Exit, Failure> {
    let name = words.first().and_then(|word| word.to_str()).unwrap_or_default();
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let program = format!("afo-{name}");
    let known = COMMANDS.iter().any(|row| row.name == program);
    if !plain {
        return Err(unknown(name));
    }
    let path = beside(&program).unwrap_or_else(|| PathBuf::from(&program));
    let error = become_program(Path::new(&path), &[flags(common), words[1..].to_vec()].concat());
    Err(match error.kind() {
        ErrorKind::NotFound if !known => unknown(name),
        ErrorKind::NotFound => Failure::refused(format!("{program} is neither beside afo nor in PATH"))
            .hint("install AFO's programs into one directory"),
        _ => Failure::refused(format!("{program} cannot be run: {error}")),
    })
}

fn unknown(name: &str) -> Failure {
    const OWN: &[&str] = &["status", "doctor", "schema", "config", "backends", "help"];
    let failure = Failure::undecided(format!("there is no command `{name}`"));
    if name == "daemon" {
        let hint = "afo-daemon is a script; from AFO's source: sudo install -m 755 scripts/afo-daemon /usr/bin/";
        return failure.hint(hint);
    }
    let names = COMMANDS.iter().filter(|row| row.name != "afo").map(short_name).chain(OWN.iter().copied());
    match nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean `afo {near}`?")),
        None => failure.hint("`afo --help` lists the commands"),
    }
}

/// The flags that stood before the command, for the command.
fn flags(common: &Common) -> Vec<OsString> {
    let mut flags: Vec<OsString> = Vec::new();
    let mut with = |flag: &str, value: Option<OsString>| {
        flags.extend(value.into_iter().flat_map(|value| [OsString::from(flag), value]));
    };
    with("--config", common.config.clone().map(Into::into));
    with("--state", common.state.clone().map(Into::into));
    with("--format", common.format.map(|f| if f == Format::Json { "json" } else { "text" }.into()));
    with("--log-format", common.log_format.map(|form| if form == LogFormat::Json { "json" } else { "text" }.into()));
    flags.extend(common.json.then(|| "--json".into()));
    flags.extend(common.quiet.then(|| "--quiet".into()));
    flags.extend((0..common.verbose).map(|_| "--verbose".into()));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn every_program_is_listed_once() {
        let long = long_list();
        for row in COMMANDS.iter().filter(|row| row.name != "afo") {
            assert_eq!(long.matches(&format!("\n  {} ", short_name(row))).count(), 1, "{}:\n{long}", row.name);
        }
        assert!(short_list().lines().count() <= 2);
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_nearest() {
        let said = |name: &str| {
            let failure = unknown(name);
            (failure.message, failure.hint.unwrap_or_default())
        };
        assert_eq!(said("cxt"), ("there is no command `cxt`".into(), "did you mean `afo ctx`?".into()));
        assert_eq!(said("dcotor").1, "did you mean `afo doctor`?");
        assert!(said("daemon").1.starts_with("afo-daemon is a script; "), "{}", said("daemon").1);
        assert_ne!(said("deamon").1, "did you mean `afo daemon`?");
        assert_eq!(said("frobnicate").1, "`afo --help` lists the commands");
        let climbing = other(&["../../bin/sh".into()], &Common::default()).expect_err("no name of a command");
        assert_eq!(climbing.exit, Exit::Undecided);
    }

    #[test]
    fn flags_before_the_command_are_its_own() {
        let args = Args::parse_from(["afo", "--json", "-vv", "--state", "none", "x", "--help", "-q"]);
        assert_eq!(flags(&args.common), ["--state", "none", "--json", "--verbose", "--verbose"]);
        assert!(matches!(args.what, Some(What::Other(words)) if words == ["x", "--help", "-q"]));
    }

    #[test]
    fn schemas_are_named() {
        assert!(schema(Some("proposal")).expect("schema").contains("\"title\": \"proposal\""));
        assert!(schema(Some("config")).expect("schema").contains("\"title\": \"afo.toml\""));
        assert!(schema(None).expect("list").starts_with("alert\n"));
        let failure = schema(Some("propsal")).expect_err("unknown");
        assert_eq!(failure.message, "there is no kind of record `propsal`");
        assert_eq!(failure.hint.as_deref(), Some("did you mean `proposal`?"));
    }
}
