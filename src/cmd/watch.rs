//! afo-watch: lines of logs and lists become events.

mod once;
mod place;
mod source;

pub use source::Type;

use super::{StatePlace, config, state_place};
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Signal, Signals, Woken};
use crate::record::{ErrorRecord, Timestamp};
use crate::sys::clock;
use crate::sys::follow::{Alarm, Log, Piece, Start};
use jiff::tz::TimeZone;
use once::Once;
use place::Place;
use rustix::event::{PollFd, PollFlags, poll};
use source::{Source, Spec};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long it waits for the kernel to ring before it looks by itself: for file systems that ring for nobody.
const LOOK: Duration = Duration::from_secs(2);

/// Turn log lines and lists of bad addresses into events
///
/// Follows each source and puts out one `event` per line that says something: who failed to log in from where, which packet
/// the firewall logged, which address a list names. An address is blamed only where the right program wrote it; text that others
/// chose (login names, prefixes) is data. A source is `auth:PATH` (sshd, sudo, su, PAM), `fw:PATH` (the kernel's packet log), `feed:FILE`
/// (a list), or `-` for standard input with `--as`. Files are followed through rotation, truncation and deletion;
/// where reading stopped is kept in the state, so a restart neither loses nor repeats. The events are stored there too, after they were put
/// out, for afo-log events; `--state none` stores nothing.
///
/// Examples:
///   $ afo-watch --source auth:/var/log/auth.log | afo-assess | afo-gen | afo-deploy --confirm
///   $ afo-watch --once --source auth:/var/log/auth.log        what is there now, then end
///   $ journalctl -f | afo-watch --source - --as auth
///
/// Exit status:
///   0  the end of the input, or told to stop
///   2  a source that cannot be one, a line that is too long, or output that cannot be written
///   3  a file cannot be read, or the state not be read or written; with --once and on standard input all events come out nevertheless
///   141  the reader of the output went away
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-watch", version, verbatim_doc_comment)]
pub struct Args {
    /// Read SPEC: auth:PATH, fw:PATH, feed:FILE or -; repeatable [default: those of the configuration]
    #[arg(long, value_name = "SPEC")]
    pub source: Vec<String>,
    /// What standard input is
    #[arg(long = "as", value_name = "TYPE")]
    pub stdin_as: Option<Type>,
    /// Wait for more at the end (the default)
    #[arg(long, conflicts_with = "once")]
    pub follow: bool,
    /// Stop at the end of what is there
    #[arg(long)]
    pub once: bool,
    /// Where to begin [default: cursor; with --once start]
    #[arg(long, value_name = "PLACE")]
    pub from: Option<From>,
    /// The time zone of logs that name none [default: the system's]
    #[arg(long, value_name = "ZONE", hide_short_help = true)]
    pub time_zone: Option<String>,
    /// Make FILE when every source is watched: no line that is written from then on is missed
    #[arg(long, value_name = "FILE", hide_short_help = true, conflicts_with = "once")]
    pub ready: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum From {
    /// At the beginning of the file
    Start,
    /// Behind what is there
    End,
    /// Where the last run stopped, else behind what is there
    Cursor,
}

impl Command for Args {
    const NAME: &'static str = "afo-watch";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let config = config(shell)?;
        let configured = || config.watch.sources.iter().map(ToString::to_string).collect();
        let asked: Vec<String> = if self.source.is_empty() { configured() } else { self.source.clone() };
        if asked.is_empty() {
            let failure = Failure::undecided("no source is given and the configuration names none");
            return Err(failure.hint("afo-watch --source auth:/var/log/auth.log"));
        }
        let specs = asked.iter().map(|text| Spec::new(text, self.stdin_as)).collect::<Result<Vec<_>, _>>()?;
        let from = self.from.unwrap_or(if self.once { From::Start } else { From::Cursor });
        // A run that only looks into files moves no place at which another one goes on.
        let cursors = (!self.once || from == From::Cursor) && specs.iter().any(|spec| spec.path.is_some());
        let state = state_place(shell, &config);
        if state == StatePlace::None && cursors && self.from == Some(From::Cursor) {
            let failure = Failure::undecided("--from cursor needs a state, and --state none keeps none");
            return Err(failure.hint("use --from start or --from end"));
        }
        let zone = zone(self.time_zone.as_deref())?;
        let mut out = shell.out();
        let place = match Place::open(&state, &config.state) {
            Err(failure) if !cursors => lose(&failure, &mut out, shell),
            place => place?,
        };
        let mut run = Run::new(&specs, from, place, cursors, zone, shell)?;
        if self.once || specs.iter().all(|spec| spec.path.is_none()) {
            Once::new(&mut run)?.read(&mut out)?;
        } else {
            run.begin_at_end(&mut out)?;
            self.ready.as_deref().map_or(Ok(()), tell)?;
            run.follow(&mut out)?;
        }
        shell.close(&mut out)
    }
}

fn zone(name: Option<&str>) -> Result<TimeZone, Failure> {
    match name {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|_| {
            Failure::undecided(format!("`{name}` is not a time zone that this system knows"))
                .hint("--time-zone Europe/Berlin")
        }),
    }
}

/// Makes the file that somebody waits for.
fn tell(ready: &Path) -> Result<(), Failure> {
    std::fs::write(ready, "").map_err(|e| Failure::refused(format!("cannot write {}: {e}", ready.display())))
}

/// Says that nothing is stored from here on: what is read is put out all the same.
fn lose(failure: &Failure, out: &mut Out, shell: &Shell) -> Place {
    shell.complain(&failure.message, failure.hint.as_deref());
    out.ends(failure.exit);
    Place::nowhere()
}

/// A source and the file that it is read from.
struct Open {
    spec: Spec,
    source: Source,
    /// Nothing: standard input.
    log: Option<Log>,
    /// Whether what is there now is passed over.
    at_end: bool,
}

/// The loop over all sources.
struct Run<'s> {
    shell: &'s Shell,
    sources: Vec<Open>,
    place: Place,
    /// Whether it is kept where reading stopped.
    cursors: bool,
    signals: Signals,
}

impl<'s> Run<'s> {
    fn new(
        specs: &[Spec],
        from: From,
        place: Place,
        cursors: bool,
        zone: TimeZone,
        shell: &'s Shell,
    ) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for spec in specs {
            let start = match from {
                From::Start => Start::Beginning,
                From::End => Start::End,
                From::Cursor => place.start(&spec.label, spec.of == Type::Feed)?,
            };
            let at_end = start == Start::End;
            let log = spec.path.clone().map(|path| Log::new(path, start));
            let source = Source::new(spec, zone.clone(), clock::now());
            sources.push(Open { spec: spec.clone(), source, log, at_end });
        }
        let signals = Signals::take().map_err(|e| Failure::refused(format!("cannot take signals: {e}")))?;
        Ok(Self { shell, sources, place, cursors, signals })
    }

    /// Finds the end of every source that begins there. Where the others begin stands already in the state or is their beginning.
    fn begin_at_end(&mut self, out: &mut Out) -> Result<(), Failure> {
        for at in 0..self.sources.len() {
            if self.sources[at].at_end {
                self.look_at(at, out)?;
            }
        }
        Ok(())
    }

    /// Reads every source and waits for more, until a signal comes or nobody reads the output any more.
    fn follow(&mut self, out: &mut Out) -> Result<(), Failure> {
        if let Some(open) = self.sources.iter().find(|open| open.log.is_none()) {
            let words = format!("`{}` cannot be read beside files that are followed", open.spec.label);
            return Err(Failure::undecided(words).hint("read it by its own afo-watch, or with --once"));
        }
        let mut alarm = Alarm::new().map_err(|e| Failure::refused(format!("cannot watch directories: {e}")))?;
        loop {
            alarm.clear();
            for open in &self.sources {
                let _ = open.log.as_ref().is_some_and(|log| alarm.watch(log.path()));
            }
            while self.look(out)? {}
            self.keep(out, |_| true)?;
            if out.trouble().is_some() || is_closed(out) {
                return Ok(());
            }
            match self.signals.wait(Some(alarm.as_fd()), Some(LOOK)) {
                Ok(Woken::Signal(Signal::HangUp)) if !self.shell.has_controlling_terminal() => {}
                Ok(Woken::Signal(_)) => return self.last_look(out),
                Ok(_) => {}
                Err(e) => return Err(Failure::refused(format!("cannot wait for changes: {e}"))),
            }
        }
    }

    /// Takes what was written until now, and ends.
    fn last_look(&mut self, out: &mut Out) -> Result<(), Failure> {
        self.look(out)?;
        self.keep(out, |_| true)
    }

    /// Reads what is new in every source; whether anything was.
    fn look(&mut self, out: &mut Out) -> Result<bool, Failure> {
        let mut any = false;
        for at in 0..self.sources.len() {
            any |= self.look_at(at, out)?;
        }
        Ok(any && out.trouble().is_none())
    }

    fn look_at(&mut self, at: usize, out: &mut Out) -> Result<bool, Failure> {
        let Open { spec, source, log: Some(log), .. } = &mut self.sources[at] else { return Ok(false) };
        let (shell, place, failed) = (self.shell, &mut self.place, None);
        let mut sink = Sink { source, shell, out, label: &spec.label, place, failed };
        let any = log.pump(&mut |piece| sink.take(piece)).map_err(|e| unreadable(log, &e))?;
        sink.failed.map_or(Ok(()), Err)?;
        self.say(at);
        Ok(any)
    }

    /// Stores what was put out, after it is out, and how far each source was read that is `settled`: of which nothing waits.
    fn keep(&mut self, out: &mut Out, settled: impl Fn(usize) -> bool) -> Result<(), Failure> {
        out.flush();
        if out.trouble().is_some() {
            return Ok(());
        }
        let settled = |at: &usize| self.cursors && settled(*at);
        let sources = self.sources.iter().enumerate().filter(|(at, _)| settled(at));
        let positions = sources.filter_map(|(_, open)| {
            let log = open.log.as_ref()?;
            Some((open.spec.label.clone(), log.positions()))
        });
        self.place.keep(clock::now(), positions.collect())
    }

    fn say(&mut self, at: usize) {
        let Open { spec, source, log, .. } = &mut self.sources[at];
        if let Some(warning) = source.warning() {
            self.shell.note(&format!("warning: {}: {warning}", spec.label));
        }
        if let Some(words) = source.refused() {
            self.shell.note(&format!("warning: {}: {words}", spec.label));
        }
        if log.as_mut().is_some_and(Log::take_gap) {
            let words = "the file in which the last run stopped is gone; lines may be missing";
            self.shell.note(&format!("warning: {}: {words}", spec.label));
        }
    }
}

/// Whether nobody reads standard output any more: a pipe says so without being written to.
fn is_closed(_out: &Out) -> bool {
    let stdout = std::io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0) && fds[0].revents().contains(PollFlags::ERR)
}

/// Where the lines of one source go while it is followed.
struct Sink<'r> {
    source: &'r mut Source,
    shell: &'r Shell,
    out: &'r mut Out,
    label: &'r str,
    place: &'r mut Place,
    /// Why nothing is stored any more.
    failed: Option<Failure>,
}

impl Sink<'_> {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            // while it is followed a log is written now; what lies there was written until it was last changed
            Piece::Opened { .. } if self.source.is_log() => self.source.set_reference(clock::now()),
            Piece::Opened { modified } => self.source.set_reference(changed(modified)),
            Piece::Line { .. } if self.out.trouble().is_some() => {}
            Piece::Line { offset, bytes } => {
                if let Some(found) = self.source.line(offset, bytes, Some(clock::now())) {
                    self.out.pass(found.line);
                    self.place.add(found.ts, found.line);
                }
                self.store();
            }
            Piece::TooLong { offset, length, head } => too_long(self.label, offset, length, head, self.out, self.shell),
        }
    }

    /// Stores what was put out where that is much. How far was read is kept when all that is there was read: until then a crash
    /// means that lines are read again, and that nothing is stored twice.
    fn store(&mut self) {
        if self.place.is_full() && self.failed.is_none() {
            self.out.flush();
            if self.out.trouble().is_none() {
                self.failed = self.place.keep(clock::now(), Vec::new()).err();
            }
        }
    }
}

/// When a file was last changed; now, where that is beyond the calendar.
fn changed(modified: i64) -> Timestamp {
    Timestamp::from_second(modified).unwrap_or_else(|_| clock::now())
}

fn too_long(label: &str, offset: u64, length: u64, head: &[u8], out: &mut Out, shell: &Shell) {
    let message = format!("{label}: the line at byte {offset} is {length} bytes long and was passed over");
    shell.complain(&message, None);
    let input = Some(String::from_utf8_lossy(&head[..head.len().min(2048)]).into_owned());
    out.error(&ErrorRecord { stage: out.stage().to_owned(), line: None, message, hint: None, input, run: None });
    out.ends(Exit::Undecided);
}

fn unreadable(log: &Log, error: &std::io::Error) -> Failure {
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or(&words);
    let failure = Failure::refused(format!("cannot read {}: {words}", log.path().display()));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            failure.hint("read it as root or as a member of its group (adm on Debian)")
        }
        std::io::ErrorKind::NotFound => failure.hint("without --once it is waited for"),
        _ => failure,
    }
}
