//! The time in which a change may be confirmed: who ends it, and how that is heard of.

use super::site::Site;
use crate::cli::config::{Check, Heartbeat};
use crate::cli::{Signal, Signals, Woken, for_terminal};
use crate::record::{HeartbeatCheck, Id, Status};
use crate::sys::clock;
use crate::sys::probe::{self, Arrivals};
use crate::sys::process::Leash;
use rustix::termios::{QueueSelector, tcflush};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// How often the state is asked whether another process has confirmed.
const TICK: Duration = Duration::from_millis(100);

/// How a window ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Somebody here says that it is good: the person at the terminal, or the heartbeat.
    Confirm { by: String, heartbeat: Vec<HeartbeatCheck> },
    /// It is to be taken back before its time.
    TakeBack(String),
    /// Its time is over.
    Lapsed,
    /// Another process has ended it.
    Elsewhere(Status),
}

/// The terminal at which a person can answer, where there is one: /dev/tty opens and stderr is a terminal.
pub struct Terminal {
    file: Option<File>,
}

impl Terminal {
    /// Looks for the terminal.
    pub fn find() -> Self {
        let open = || File::options().read(true).write(true).open("/dev/tty").ok();
        Self { file: if io::stderr().is_terminal() { open() } else { None } }
    }

    /// Whether a person can be asked.
    pub fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Shows words; a terminal that has gone away is none any more.
    pub fn say(&mut self, words: &str) {
        let failed = self.file.as_mut().is_some_and(|file| file.write_all(words.as_bytes()).is_err());
        if failed {
            self.file = None;
        }
    }

    /// Forgets what was typed before there was a question, which is no answer to it.
    fn begin(&self) {
        if let Some(file) = &self.file {
            let _ = tcflush(file, QueueSelector::IFlush);
        }
    }

    /// What the person typed, in lower case; nothing when the terminal has gone away.
    fn answer(&mut self) -> Option<String> {
        let mut bytes = [0; 256];
        match self.file.as_mut().map(|file| file.read(&mut bytes)) {
            Some(Ok(n)) if n > 0 => Some(String::from_utf8_lossy(&bytes[..n]).trim().to_lowercase()),
            _ => {
                self.file = None;
                None
            }
        }
    }
}

/// Waits until the window of deployment `id`, `seconds` long from now, ends.
pub fn wait(site: &Site, id: &Id, seconds: u64, terminal: &mut Terminal, signals: &Signals) -> End {
    let deadline = clock::since_boot() + Duration::from_secs(seconds);
    let checks = (!terminal.is_there()).then(|| start_heartbeat(&site.config.deploy.heartbeat, seconds)).flatten();
    let mut shown = None;
    terminal.begin();
    loop {
        let left = deadline.saturating_sub(clock::since_boot());
        if left.is_zero() {
            terminal.say("\n");
            return End::Lapsed;
        }
        ask(terminal, id, left.as_secs() + 1, &mut shown);
        let woken = signals.wait(terminal.file.as_ref().map(AsFd::as_fd), Some(TICK.min(left)));
        let end = match woken {
            Ok(Woken::Readable) => typed(site, terminal),
            Ok(Woken::Signal(Signal::Finish)) => Some(End::TakeBack("ended by a signal".to_owned())),
            // The administrator's line broke: the window lapses unless somebody confirms from another one.
            Ok(Woken::Signal(Signal::HangUp)) => {
                terminal.file = None;
                None
            }
            Ok(Woken::TimedOut | Woken::Nothing) | Err(_) => None,
        };
        let end = end.or_else(|| elsewhere(site, id)).or_else(|| heard(checks.as_ref()));
        if let Some(end) = end {
            return end;
        }
    }
}

fn ask(terminal: &mut Terminal, id: &Id, left: u64, shown: &mut Option<u64>) {
    if *shown != Some(left) {
        *shown = Some(left);
        let id = for_terminal(id.as_str());
        terminal.say(&format!("\rafo-deploy: keep deployment {id}? [y/N] taken back in {left:>3} s "));
    }
}

fn typed(site: &Site, terminal: &mut Terminal) -> Option<End> {
    match terminal.answer()?.as_str() {
        "y" | "yes" => Some(End::Confirm { by: format!("{} at the terminal", site.actor), heartbeat: vec![] }),
        "n" | "no" => Some(End::TakeBack("the answer at the terminal was no".to_owned())),
        _ => None,
    }
}

fn elsewhere(site: &Site, id: &Id) -> Option<End> {
    let status = site.state.progress(id).ok().flatten()?.status;
    matches!(status, Status::Confirmed | Status::RolledBack | Status::Failed).then_some(End::Elsewhere(status))
}

fn heard(heart: Option<&Heart>) -> Option<End> {
    let heartbeat = heart?.results.try_recv().ok()?;
    Some(End::Confirm { by: "heartbeat".to_owned(), heartbeat })
}

/// The heartbeat of a window. With it end the programs that its checks run, before anybody takes the lock that programs inherit; what asks
/// without a program ends by its own limit and holds nothing.
struct Heart {
    results: Receiver<Vec<HeartbeatCheck>>,
    leash: Arc<Leash>,
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.leash.end();
    }
}

/// Repeats the checks until all of them hold at once, in a thread of its own; nothing where none is configured.
fn start_heartbeat(checks: &[Heartbeat], seconds: u64) -> Option<Heart> {
    if checks.is_empty() {
        return None;
    }
    let (sender, results) = mpsc::channel();
    let mut pulse = Pulse::new(checks);
    let leash = Arc::clone(&pulse.leash);
    thread::spawn(move || {
        let deadline = clock::since_boot() + Duration::from_secs(seconds);
        while clock::since_boot() < deadline && !pulse.leash.has_ended() {
            let results = pulse.beat();
            if results.iter().all(|check| check.ok) {
                // Nobody listens any more when the window has ended otherwise.
                let _ = sender.send(results);
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
    });
    Some(Heart { results, leash })
}

/// The configured checks from the moment on in which a change holds.
pub struct Pulse {
    checks: Vec<Heartbeat>,
    /// Who was connected in that moment, or why nobody knows.
    arrivals: Result<Arrivals, String>,
    leash: Arc<Leash>,
}

impl Pulse {
    /// From now on.
    pub fn new(checks: &[Heartbeat]) -> Self {
        let waits = checks.iter().any(|heartbeat| matches!(heartbeat.check, Check::From { .. }));
        let arrivals = if waits { Arrivals::begin() } else { Err("nobody is waited for".to_owned()) };
        Self { checks: checks.to_vec(), arrivals, leash: Arc::default() }
    }

    /// Makes each check once, as often in a row as it is to hold.
    pub fn beat(&mut self) -> Vec<HeartbeatCheck> {
        let (arrivals, leash) = (&mut self.arrivals, &self.leash);
        let one = |heartbeat: &Heartbeat| {
            let limit = Duration::from_secs(heartbeat.timeout.into());
            let result = (0..heartbeat.count).try_for_each(|_| make(&heartbeat.check, limit, arrivals, leash));
            HeartbeatCheck { check: heartbeat.check.to_string(), ok: result.is_ok(), detail: result.err() }
        };
        self.checks.iter().map(one).collect()
    }
}

fn make(check: &Check, limit: Duration, arrivals: &mut Result<Arrivals, String>, leash: &Leash) -> Result<(), String> {
    match check {
        Check::Tcp(address) => probe::tcp(*address, limit),
        Check::Ping(address) => probe::ping(*address, limit, leash),
        Check::Http { url, status } => probe::http(url, *status, limit),
        Check::From { peer, port } => arrivals.as_mut().map_err(|why| why.clone())?.from(peer, *port, limit),
        Check::Command(words) => probe::command(words, limit, leash),
    }
}
