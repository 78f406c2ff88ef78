//! The watchdog: a process of its own that sees a window to its end, whichever process, terminal or session has died, and the service that
//! puts back what another program flushed.
//!
//! The kernel's own switch counts no time that the machine sleeps, and not every backend has one. The watchdog counts CLOCK_BOOTTIME, which
//! goes on; it never confirms anything.

use super::doors::missing;
use super::ending::Known;
use super::recover::{Done, recover};
use super::site::Site;
use super::transaction::{is_over, reread, settle, take_back};
use crate::cli::{Exit, Failure, Shell, Signal, Signals, Woken};
use crate::record::{Id, Status};
use crate::state::{DeploymentRow, StateError};
use crate::sys::changes::Changes;
use crate::sys::{clock, detach};
use std::ffi::OsString;
use std::time::Duration;

/// How often the journal is read, and the kernel's count of changes.
const TICK: Duration = Duration::from_millis(200);

/// How often the kernel is looked at where nothing was heard of it.
const LOOK: Duration = Duration::from_secs(60);

/// How long a change may settle down before it is looked at: a reload is a flush and a load.
const PAUSE: Duration = Duration::from_millis(300);

/// When a firewall is asked again that did not answer, or that tells nobody of changes.
const LATER: Duration = Duration::from_secs(2);

/// For how long the journal is tried before a window that is over, or that nobody goes on with, is ended without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the watchdog of deployment `id` and waits until it watches.
///
/// # Errors
/// When it cannot be started; nothing is armed without it.
pub fn start(shell: &Shell, site: &Site, id: &Id) -> Result<(), Failure> {
    let refused = |e: std::io::Error| {
        Failure::refused(format!("the watchdog of the change cannot be started: {e}")).hint("nothing was changed")
    };
    let program = std::env::current_exe().map_err(refused)?;
    let state = std::path::absolute(site.state.path()).map_err(refused)?;
    let mut arguments: Vec<OsString> = vec!["guard".into(), id.as_str().into(), "--state".into(), state.into()];
    if let Some(config) = &shell.common.config {
        arguments.extend(["--config".into(), std::path::absolute(config).map_err(refused)?.into()]);
    }
    detach::start(&program, &arguments, &format!("afo-guard-{id}")).map_err(refused)
}

/// `afo-deploy guard [ID]`: watches one window to its end, or without an id the kernel for good.
///
/// # Errors
/// When the state or the kernel cannot be used.
pub fn guard(shell: &Shell, id: Option<&Id>) -> Result<Exit, Failure> {
    detach::leave_session();
    let signals = Signals::take().map_err(|e| Failure::refused(format!("cannot take signals: {e}")))?;
    let mut site = Site::open(shell)?;
    let watch = Watch { signals, changes: Changes::default() };
    let ready = || detach::ready(shell.environment.notify_socket.as_deref());
    match id {
        Some(id) => {
            let row = reread(&site, id)?;
            // Where nobody else takes a change back, who cannot reach the firewall is no watchdog: its key may be another process's alone.
            if !closes_windows(&site, &row) {
                site.of(&row)?.observe()?;
            }
            let known = if begins_flows(&site, &row) { Known::now() } else { None };
            ready().map_err(|e| Failure::refused(format!("cannot say that the watchdog is ready: {e}")))?;
            let exit = window(&mut site, row, &watch)?;
            known.map_or(Ok(()), |known| cut(&site, id, &known))?;
            Ok(exit)
        }
        None => {
            // Started by hand there is nobody to be told.
            let _ = ready();
            service(shell, &mut site, &watch)
        }
    }
}

/// Whether connections may begin in a window that its backend does not end with it.
fn begins_flows(site: &Site, row: &DeploymentRow) -> bool {
    site.of(row).is_ok_and(|backend| backend.is_of_this_kernel() && !backend.cuts_flows())
}

/// Ends the connections that began in a window that was taken back and that nothing lets begin any more.
fn cut(site: &Site, id: &Id, known: &Known) -> Result<(), Failure> {
    let row = reread(site, id)?;
    if row.status == Status::RolledBack {
        let count = known.end_others(site, site.of(&row)?)?;
        tracing::info!(deployment = %id, count, "ended the connections that only its window let in");
    }
    Ok(())
}

struct Watch {
    signals: Signals,
    changes: Changes,
}

impl Watch {
    /// Waits for a signal or the end of `limit`.
    fn wait(&self, limit: Duration) -> Option<Signal> {
        match self.signals.wait(None, Some(limit)) {
            Ok(Woken::Signal(signal)) => Some(signal),
            Ok(_) => None,
            Err(_) => {
                std::thread::sleep(limit);
                None
            }
        }
    }
}

fn is_open(row: &DeploymentRow) -> bool {
    matches!(row.status, Status::Pending | Status::Applied) || (row.step.is_some() && row.status != Status::Confirmed)
}

/// Watches a window until the journal says that it is over, and sees to it that it is.
fn window(site: &mut Site, mut row: DeploymentRow, watch: &Watch) -> Result<Exit, Failure> {
    let (mut news, mut failing) = (true, None);
    let (untold, mut looked) = (is_untold(site, &row), clock::since_boot());
    loop {
        let told = watch.wait(TICK) == Some(Signal::Finish);
        let late = untold && clock::since_boot().saturating_sub(looked) >= LATER;
        news |= watch.changes.any() || late;
        row = newest(site, row);
        if !is_open(&row) {
            return Ok(Exit::Clean);
        }
        let applied = row.status == Status::Applied;
        let over = applied && (told || is_over(site, &row).unwrap_or(false));
        let gone = applied && std::mem::take(&mut news) && has_gone(site, &row);
        if late {
            looked = clock::since_boot();
        }
        let orphan = is_orphan(site, &row);
        if !over && !gone && !orphan {
            failing = None;
            continue;
        }
        if let Err(failed) = end(site, &row.id, told) {
            let since = *failing.get_or_insert_with(clock::since_boot);
            if (over || orphan) && clock::since_boot().saturating_sub(since) > PATIENCE {
                match without_journal(site, &row) {
                    Ok(Some(exit)) => return Ok(exit),
                    Ok(None) => {}
                    Err(_) if closes_windows(site, &row) => return Err(failed),
                    Err(_) => {}
                }
            }
            if !closes_windows(site, &row) {
                // Nobody else takes it back: it is tried until the firewall answers.
                watch.wait(LATER);
            }
        }
    }
}

/// The row as the journal has it now. One that cannot be read now says what it said last, and one that went no further is not read again:
/// what is long is its policy.
fn newest(site: &Site, row: DeploymentRow) -> DeploymentRow {
    match site.state.progress(&row.id) {
        Ok(Some(now)) if (now.status, &now.step) != (row.status, &row.step) => reread(site, &row.id).unwrap_or(row),
        _ => row,
    }
}

/// Whether the filter takes a change back that no watchdog takes back.
fn closes_windows(site: &Site, row: &DeploymentRow) -> bool {
    site.of(row).map_or(true, |backend| backend.closes_windows())
}

/// Whether nobody tells of every change of the filter in this kernel, so that it is looked at from time to time.
fn is_untold(site: &Site, row: &DeploymentRow) -> bool {
    site.of(row).is_ok_and(|backend| backend.is_of_this_kernel() && matches!(backend.changes(), Ok(None)))
}

/// Whether what was armed is not in the kernel any more although nobody has ended it: somebody flushed it, or a door that it needs.
fn has_gone(site: &Site, row: &DeploymentRow) -> bool {
    let gone = |kernel: &crate::deploy::Kernel| kernel.window != row.generation_new || !kernel.whole;
    let flushed = site.of(row).and_then(|backend| backend.observe()).is_ok_and(|kernel| gone(&kernel));
    flushed || missing(site, row).is_ok_and(|missing| missing.is_some())
}

/// Whether the process that was arming it died before it could say so: what is begun while nobody holds the lock, nobody goes on with, nor
/// where there is no lock any more.
fn is_orphan(site: &Site, row: &DeploymentRow) -> bool {
    row.status == Status::Pending && site.try_hold().map_or(true, |hold| hold.is_some())
}

fn end(site: &mut Site, id: &Id, told: bool) -> Result<(), Failure> {
    let _hold = site.hold()?;
    let row = reread(site, id)?;
    if told && row.status == Status::Applied {
        take_back(site, &row, "its watchdog was ended by a signal")?;
    } else if is_open(&row) {
        let settled = settle(site, &row)?;
        if let Some(why) = missing(site, &settled)?.filter(|_| settled.status == Status::Applied) {
            take_back(site, &settled, &why)?;
        }
    } else {
        return Ok(());
    }
    recover(site).map(drop)
}

/// The window is over, or nobody goes on with it, and the journal cannot be written: the kernel goes back all the same, and recovery tells
/// the journal. Where the journal is gone or another one meanwhile, an open window may be of another deployment: nothing is done until the
/// kernel has ended it.
fn without_journal(site: &mut Site, row: &DeploymentRow) -> Result<Option<Exit>, Failure> {
    let (backend, kernel) = (site.of(row)?, site.of(row)?.observe()?);
    let foreign = matches!(site.state.begin(clock::now(), &site.actor), Err(StateError::Gone { .. }));
    if kernel.window == row.generation_new {
        if foreign && kernel.armed {
            return Ok(None);
        }
        backend.take_back(None)?;
    }
    Ok(Some(Exit::PutBack))
}

/// Puts back what another program flushed, as soon as the kernel counts a change, until a signal comes.
fn service(shell: &Shell, site: &mut Site, watch: &Watch) -> Result<Exit, Failure> {
    let mut out = shell.out();
    loop {
        let done = restored(site);
        match done {
            Ok(done) => done.tell(shell, &mut out),
            Err(failed) => shell.complain(&failed.message, failed.hint.as_deref()),
        }
        out.flush();
        let deadline = clock::since_boot() + LOOK;
        while clock::since_boot() < deadline {
            if watch.wait(TICK) == Some(Signal::Finish) {
                return shell.close(&mut out);
            }
            if watch.changes.any() {
                std::thread::sleep(PAUSE);
                // What came meanwhile is seen by the same look.
                watch.changes.any();
                break;
            }
        }
    }
}

/// Recovery where the kernel is not as the journal says; nothing where a command is at work.
fn restored(site: &mut Site) -> Result<Done, Failure> {
    let Some(_hold) = site.try_hold()? else { return Ok(Done::default()) };
    recover(site)
}
