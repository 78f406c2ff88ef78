//! Running another program to its end.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
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
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => NotRun::Missing(program.to_owned()),
        _ => NotRun::Failed(program.to_owned(), e),
    };
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let writer = feed(child.stdin.take(), input.to_vec());
    let status = wait(&mut child, limit).map_err(failed)?;
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
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = Pid::from_child(child);
    let timeout = Timespec::try_from(limit).ok();
    let ended = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref())? > 0,
        Err(_) => true,
    };
    if !ended {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    }
    child.wait().map(Some)
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
}
