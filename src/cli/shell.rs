//! What surrounds every command: arguments, environment, streams, the way it ends.

use super::common::LogFormat;
use super::config::{self, Level, Log};
use super::{
    Common, Exit, Failure, Format, Input, Out, Signals, Stage, Style, filter, flowing, for_json, for_terminal,
    run_in_hand,
};
use clap::error::{ContextKind, ContextValue};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the environment says; read once, in `cmd`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// AFO_STATE
    pub state: Option<PathBuf>,
    /// NO_COLOR is set and not empty (no-color.org).
    pub no_color: bool,
    /// SSH_CONNECTION: the administrator's connection, as sshd tells it.
    pub ssh_connection: Option<String>,
    /// NOTIFY_SOCKET: where systemd hears that a service is ready (sd_notify(3)).
    pub notify_socket: Option<String>,
    /// CREDENTIALS_DIRECTORY: where systemd puts a service's credentials (systemd.exec(5)).
    pub credentials: Option<PathBuf>,
    /// HOME
    pub home: Option<PathBuf>,
    /// XDG_CONFIG_HOME
    pub config_home: Option<PathBuf>,
    /// XDG_STATE_HOME
    pub state_home: Option<PathBuf>,
}

/// One of AFO's programs: its arguments are the type, its work is [`run`](Self::run).
pub trait Command: clap::Parser {
    /// The program's name.
    const NAME: &'static str;

    /// The flags that every command has.
    fn common(&self) -> &Common;

    /// Does the work.
    ///
    /// # Errors
    /// What ends the command; it is printed with the command's name.
    fn run(self, shell: &Shell) -> Result<Exit, Failure>;
}

/// The surroundings of a running command.
#[derive(Debug)]
pub struct Shell {
    name: &'static str,
    /// What the environment says.
    pub environment: Environment,
    /// The flags that every command has.
    pub common: Common,
    /// The form of what stderr carries: the flag's, else the configuration's.
    log_format: LogFormat,
}

impl Shell {
    /// The program's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a controlling terminal is there, which is what decides the meaning of SIGHUP.
    pub fn has_controlling_terminal(&self) -> bool {
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok()
    }

    fn format(&self) -> Format {
        match self.common.format {
            Some(format) => format,
            None if self.common.json || !io::stdout().is_terminal() => Format::Json,
            None => Format::Text,
        }
    }

    /// The command's output.
    pub fn out(&self) -> Out {
        let terminal = io::stdout().is_terminal();
        let style = Style::new(terminal && !self.environment.no_color);
        Out::new(Box::new(RawStdout), self.name, self.format(), terminal, style)
    }

    /// Runs a stage over standard input.
    ///
    /// # Errors
    /// As [`filter`].
    pub fn filter(&self, stage: &mut impl Stage) -> Result<Exit, Failure> {
        let mut out = self.out();
        self.filter_into(stage, &mut out)
    }

    /// As [`filter`](Self::filter), into an output that holds something already.
    ///
    /// # Errors
    /// As [`filter`].
    pub fn filter_into(&self, stage: &mut impl Stage, out: &mut Out) -> Result<Exit, Failure> {
        if io::stdin().is_terminal() && !self.common.quiet {
            self.note("reads from the terminal; end with Ctrl-D, or see --help");
        }
        let signals = Signals::take().map_err(|e| Failure::refused(format!("cannot take signals: {e}")))?;
        filter(stage, Input::new(RawStdin, Some(signals)), out, self)
    }

    /// Writes out what is held back and says how the command ends.
    ///
    /// # Errors
    /// When the output could not be written, other than because its reader went away.
    pub fn close(&self, out: &mut Out) -> Result<Exit, Failure> {
        out.flush();
        match out.trouble() {
            None => Ok(out.exit()),
            Some(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::ClosedPipe),
            Some(e) => Err(Failure::undecided(format!("cannot write standard output: {}", os_words(e)))),
        }
    }

    /// Says on stderr what is wrong, and the next step.
    pub fn complain(&self, message: &str, hint: Option<&str>) {
        self.complain_of(message, hint, run_in_hand().as_deref());
    }

    fn complain_of(&self, message: &str, hint: Option<&str>, run: Option<&str>) {
        match self.log_format {
            LogFormat::Json => to_stderr(&for_json(&self.log_line("ERROR", message, hint, run))),
            LogFormat::Text => {
                to_stderr(&lines(&format!("{}: error: ", self.name), message));
                if let Some(hint) = hint {
                    to_stderr(&lines(&format!("{}: hint: ", self.name), hint));
                }
            }
        }
    }

    /// Says on stderr what a person may want to know.
    pub fn note(&self, message: &str) {
        match self.log_format {
            _ if self.common.quiet => {}
            LogFormat::Json => to_stderr(&for_json(&self.log_line("INFO", message, None, run_in_hand().as_deref()))),
            LogFormat::Text => to_stderr(&lines(&format!("{}: ", self.name), message)),
        }
    }

    fn log_line(&self, level: &str, message: &str, hint: Option<&str>, run: Option<&str>) -> String {
        let words = [("level", Some(level)), ("stage", Some(self.name)), ("message", Some(message))];
        let all = words.into_iter().chain([("hint", hint), ("run", run)]);
        let said = all.filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        serde_json::Value::Object(said.collect()).to_string()
    }
}

/// The words of an operating system's error without its number.
fn os_words(error: &io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or(&words).to_owned()
}

/// Lines of words, sanitised one by one, the first behind `head`, the others under it.
fn lines(head: &str, words: &str) -> String {
    let pad = " ".repeat(head.len());
    let show = |(n, line)| format!("{}{}", if n == 0 { head } else { &pad }, for_terminal(line));
    words.lines().enumerate().map(show).collect::<Vec<_>>().join("\n")
}

fn to_stderr(line: &str) {
    // Nobody can be told when stderr is gone.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Standard input without the standard library's buffer, so that what is there and what is not can be told.
#[derive(Debug)]
struct RawStdin;

impl io::Read for RawStdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)
    }
}

impl std::os::fd::AsFd for RawStdin {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

/// Standard output without the standard library's line buffer.
#[derive(Debug)]
struct RawStdout;

impl Write for RawStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The whole of a program: parses `arguments`, runs the command, prints what went wrong, says how it ended. `configured` tells
/// what the configuration says of stderr, as far as no flag does.
pub fn main<C: Command>(
    arguments: impl Iterator<Item = OsString>,
    environment: Environment,
    configured: impl FnOnce(&Shell) -> Log,
) -> ExitCode {
    let parsed = flowing(C::command()).try_get_matches_from(arguments).and_then(|found| C::from_arg_matches(&found));
    let command = match parsed {
        Ok(command) => command,
        Err(error) => return usage(C::NAME, &error).into(),
    };
    let common = command.common().clone();
    let log_format = common.log_format.unwrap_or_default();
    let mut shell = Shell { name: C::NAME, environment, common, log_format };
    let log = configured(&shell);
    shell.log_format = shell.common.log_format.unwrap_or(match log.format {
        config::LogFormat::Json => LogFormat::Json,
        config::LogFormat::Text => LogFormat::Text,
    });
    start_log(&shell, log.level);
    let exit = command.run(&shell).unwrap_or_else(|failure| {
        shell.complain_of(&failure.message, failure.hint.as_deref(), failure.run.as_deref());
        failure.exit
    });
    exit.into()
}

/// Help and version go to stdout and are no mistake; a mistake is told in the same form as every other.
fn usage(name: &str, error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        let text = error.render().to_string();
        return match RawStdout.write_all(text.as_bytes()) {
            Ok(()) => Exit::Clean,
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::ClosedPipe,
            Err(_) => Exit::Undecided,
        };
    }
    let words = error.render().to_string();
    let safe: Vec<_> = words.trim_end().lines().map(for_terminal).collect();
    to_stderr(&format!("{name}: {}", safe.join("\n")));
    if let Some(value) = loose(error) {
        to_stderr(&format!("{name}: hint: a value stands right behind its option: --option={value}"));
    }
    Exit::Undecided
}

/// A number that stands where a subcommand was expected: `--confirm 5`.
fn loose(error: &clap::Error) -> Option<u64> {
    match error.get(ContextKind::InvalidSubcommand)? {
        ContextValue::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn start_log(shell: &Shell, configured: Level) {
    use tracing::level_filters::LevelFilter;
    let level = match (shell.common.quiet, shell.common.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => match configured {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        },
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log =
        tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false).with_ansi(false);
    // A second start in one process (tests) keeps the first.
    let _ = match shell.log_format {
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => log.try_init(),
    };
}
