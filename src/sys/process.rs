//! Running another program to its end.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Why a program did not finish.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    #[error("{0} is not installed")]
    Missing(String),
    #[error("{0} did not end within {1} s and was ended")]
    TimedOut(String, u64),
    #[error("{0} cannot be run: {1}")]
    Failed(String, io::Error),
}

/// Where programs of the administrator are, also for who has not got them in PATH.
const PLACES: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The path of a program, where it is installed.
pub fn installed(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file())
}

/// Runs `program` with fixed arguments, `input` on its standard input, in the C locale and in UTC; ends it after `limit`.
///
/// # Errors
/// When it is missing, cannot be started, or takes longer.
pub fn run(program: &str, arguments: &[&str], input: &[u8], limit: Duration) -> Result<Finished, NotRun> {
    run_on(None, program, arguments, input, limit)
}

fn run_on(
    leash: Option<&Leash>,
    program: &str,
    arguments: &[&str],
    input: &[u8],
    limit: Duration,
) -> Result<Finished, NotRun> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => NotRun::Missing(program.to_owned()),
        _ => NotRun::Failed(program.to_owned(), e),
    };
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = match leash {
        Some(leash) => leash.spawn(&mut command),
        None => command.spawn(),
    };
    let mut child = started.map_err(failed)?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let writer = feed(child.stdin.take(), input.to_vec());
    let status = wait(&mut child, limit, leash).map_err(failed)?;
    let (stdout, stderr) = (collect(&stdout), collect(&stderr));
    drop(writer);
    let status = status.ok_or_else(|| NotRun::TimedOut(program.to_owned(), limit.as_secs()))?;
    Ok(Finished { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

type Bytes = mpsc::Receiver<Vec<u8>>;

fn drain(pipe: Option<impl Read + Send + 'static>) -> Bytes {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// A grandchild may hold the pipe open for ever; what a program says is complete when it has ended.
fn collect(bytes: &Bytes) -> Vec<u8> {
    bytes.recv_timeout(Duration::from_secs(10)).unwrap_or_default()
}

fn feed(pipe: Option<impl Write + Send + 'static>, input: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        if let Some(mut pipe) = pipe {
            // A program that ends without reading its input says why by its status.
            let _ = pipe.write_all(&input);
        }
    })
}

/// The status, or nothing when the time was over and the program was killed.
fn wait(child: &mut Child, limit: Duration, leash: Option<&Leash>) -> io::Result<Option<ExitStatus>> {
    let ended = has_ended(child, limit);
    let in_time = matches!(ended, Ok(true));
    match leash {
        Some(leash) => leash.let_go(!in_time),
        None if !in_time => child.kill()?,
        None => {}
    }
    let status = child.wait()?;
    Ok(ended?.then_some(status))
}

/// Whether a child ends within `limit`; it is not reaped, so that its number stays its own.
fn has_ended(child: &Child, limit: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{PidfdFlags, pidfd_open};
    let timeout = Timespec::try_from(limit).ok();
    match pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
        Ok(fd) => Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref())? > 0),
        Err(_) => Ok(true),
    }
}

/// Programs that are run one after the other and may have to end at once: those that run then are killed with all that they started in their
/// process group, and none begins afterwards.
#[derive(Debug, Default)]
pub struct Leash(Mutex<Led>);

#[derive(Debug, Default)]
struct Led {
    ended: bool,
    /// The program that runs, which leads a process group. It is not reaped before it is let go.
    running: Option<Pid>,
}

impl Leash {
    /// As [`run`].
    ///
    /// # Errors
    /// As [`run`], and when the leash has ended.
    pub fn run(&self, program: &str, arguments: &[&str], input: &[u8], limit: Duration) -> Result<Finished, NotRun> {
        run_on(Some(self), program, arguments, input, limit)
    }

    /// Kills what runs; nothing begins any more.
    pub fn end(&self) {
        let mut led = self.led();
        led.ended = true;
        kill(led.running);
    }

    /// Whether nothing begins any more.
    pub fn has_ended(&self) -> bool {
        self.led().ended
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut led = self.led();
        if led.ended {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let child = command.process_group(0).spawn()?;
        led.running = Some(Pid::from_child(&child));
        Ok(child)
    }

    fn let_go(&self, killed: bool) {
        let running = self.led().running.take();
        if killed {
            kill(running);
        }
    }

    fn led(&self) -> MutexGuard<'_, Led> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a process group.
fn kill(leader: Option<Pid>) {
    // One that is gone needs no end.
    let _ = leader.map(|leader| kill_process_group(leader, Signal::KILL));
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn what_goes_in_comes_out() {
        let big = vec![b'x'; 1 << 20];
        let done = run("cat", &[], &big, LIMIT).expect("cat");
        assert!(done.status.success() && done.stdout == big);
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let words = |r: Result<Finished, NotRun>| r.expect_err("must not run").to_string();
        assert_eq!(words(run("afo-no-such-program", &[], b"", LIMIT)), "afo-no-such-program is not installed");
        let slow = run("sleep", &["60"], b"", Duration::from_millis(50));
        assert_eq!(words(slow), "sleep did not end within 0 s and was ended");
    }

    #[test]
    fn what_is_led_ends_at_once_with_what_it_started() {
        let leash = Leash::default();
        let slow = leash.run("sleep", &["60"], b"", Duration::from_millis(50)).expect_err("too slow").to_string();
        assert_eq!(slow, "sleep did not end within 0 s and was ended");
        let done = thread::scope(|scope| {
            let running = scope.spawn(|| leash.run("sh", &["-c", "sleep 60 & wait"], b"", LIMIT));
            while leash.led().running.is_none() {
                thread::yield_now();
            }
            leash.end();
            running.join().expect("its thread")
        });
        // Its pipes are closed: nobody of its group is left.
        assert!(!done.expect("it ran").status.success() && leash.has_ended());
        let words = leash.run("true", &[], b"", LIMIT).expect_err("too late").to_string();
        assert_eq!(words, "true cannot be run: nobody waits for it any more");
    }
}
