//! Talking with another program line by line: one line in, one line back, each within its time.
//!
//! The program gets no arguments and next to nothing of the environment. What it writes is bytes from outside; nothing here reads
//! meaning into them.

use super::clock::since_boot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Where the program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As much of what it writes to standard error is kept.
const WORDS: u64 = 4096;

/// Why there is no answer. Whoever hears of one has no program to talk with any more.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    #[error("it cannot be started: {0}")]
    NotStarted(io::Error),
    #[error("it gave no answer within {0} s and was ended")]
    Silent(u64),
    #[error("it ended without an answer: {0}")]
    Ended(ExitStatus),
    #[error("its answer is longer than {0} bytes; it was ended")]
    TooLong(usize),
    /// The first of its bytes.
    #[error("it said something that it was not asked for: `{0}`")]
    Unasked(String),
    #[error("it cannot be talked with: {0}")]
    Failed(io::Error),
}

/// A program that is talked with.
#[derive(Debug)]
pub struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// What it wrote and nobody has read.
    read: Vec<u8>,
    words: Arc<Mutex<Vec<u8>>>,
    longest: usize,
}

impl Talk {
    /// Starts a program; no answer of it may be longer than `longest` bytes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, longest: usize) -> Result<Self, TalkError> {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir("/").process_group(0);
        // Where a program keeps what it signs in with.
        if let Some(home) = std::env::home_dir() {
            command.env("HOME", home);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(TalkError::NotStarted)?;
        let no_pipe = || TalkError::Failed(io::Error::other("no pipe"));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().ok_or_else(no_pipe)?);
        let words = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            keep(stderr, Arc::clone(&words));
        }
        stdin.iter().try_for_each(|pipe| ioctl_fionbio(pipe, true)).map_err(|e| TalkError::Failed(e.into()))?;
        ioctl_fionbio(&stdout, true).map_err(|e| TalkError::Failed(e.into()))?;
        Ok(Self { child, stdin, stdout, read: Vec::new(), words, longest })
    }

    /// Sends a line and waits for the one that comes back, without its newline.
    ///
    /// # Errors
    /// When none comes in time, or more than one.
    pub fn ask(&mut self, line: &[u8], limit: Duration) -> Result<Vec<u8>, TalkError> {
        self.is_quiet()?;
        let deadline = since_boot() + limit;
        let mut left = [line, b"\n"].concat();
        let mut seen = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.read[seen..]).map(|end| seen + end) {
                let rest = self.read.split_off(end + 1);
                self.read.truncate(end);
                let answer = std::mem::replace(&mut self.read, rest);
                return self.is_quiet().map(|()| answer);
            }
            seen = self.read.len();
            if seen > self.longest {
                self.end_now();
                return Err(TalkError::TooLong(self.longest));
            }
            let wait = deadline.saturating_sub(since_boot());
            if wait.is_zero() {
                self.end_now();
                return Err(TalkError::Silent(limit.as_secs()));
            }
            self.wait(!left.is_empty(), wait)?;
            self.send(&mut left)?;
            if self.take()? == Some(0) {
                return Err(self.ended());
            }
        }
    }

    /// What it wrote to standard error, as far as it is kept.
    pub fn words(&self) -> String {
        let words = self.words.lock().map(|words| String::from_utf8_lossy(&words).into_owned());
        words.unwrap_or_default().trim().to_owned()
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line and ends the program after `pause`, whatever it has made of it.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn ask_and_kill(mut self, line: &[u8], pause: Duration) -> Result<(), TalkError> {
        let mut left = [line, b"\n"].concat();
        self.send(&mut left)?;
        thread::sleep(pause);
        self.end_now();
        Ok(())
    }

    /// Closes its input and waits for its end.
    ///
    /// # Errors
    /// When it stays, or says something more.
    pub fn end(mut self, limit: Duration) -> Result<ExitStatus, TalkError> {
        drop(self.stdin.take());
        let failed = |e: Errno| TalkError::Failed(e.into());
        let pid = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).map_err(failed)?;
        if poll(&mut [PollFd::new(&pid, PollFlags::IN)], Timespec::try_from(limit).ok().as_ref()).map_err(failed)? == 0
        {
            self.end_now();
            return Err(TalkError::Silent(limit.as_secs()));
        }
        let status = self.child.wait().map_err(TalkError::Failed)?;
        self.is_quiet().map(|()| status)
    }

    fn is_quiet(&mut self) -> Result<(), TalkError> {
        self.take()?;
        if self.read.is_empty() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&self.read).chars().take(60).collect();
        self.end_now();
        Err(TalkError::Unasked(words))
    }

    /// Waits until it says something, or takes something where there is something to `send`.
    fn wait(&self, send: bool, limit: Duration) -> Result<(), TalkError> {
        let mut fds = vec![PollFd::new(&self.stdout, PollFlags::IN)];
        fds.extend(self.stdin.iter().filter(|_| send).map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        match poll(&mut fds, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(TalkError::Failed(e.into())),
        }
    }

    fn send(&mut self, left: &mut Vec<u8>) -> Result<(), TalkError> {
        let Some(pipe) = self.stdin.as_mut().filter(|_| !left.is_empty()) else { return Ok(()) };
        match pipe.write(left) {
            Ok(sent) => drop(left.drain(..sent)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // It may have answered before it ended; what it said tells.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => left.clear(),
            Err(e) => return Err(TalkError::Failed(e)),
        }
        Ok(())
    }

    /// Takes what is there to be read; 0 where nothing more will ever come, nothing where there is nothing now.
    fn take(&mut self) -> Result<Option<usize>, TalkError> {
        let mut bytes = vec![0; 1 << 16];
        match self.stdout.read(&mut bytes) {
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                Ok(Some(count))
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(TalkError::Failed(e)),
        }
    }

    /// It has closed its output: what it ended with, which it is given no time for.
    fn ended(&mut self) -> TalkError {
        // One that goes on without an output is of no use either.
        thread::sleep(Duration::from_millis(20));
        if let Ok(Some(status)) = self.child.try_wait() {
            return TalkError::Ended(status);
        }
        self.end_now();
        self.child.wait().map_or_else(TalkError::Failed, TalkError::Ended)
    }

    /// Ends it and what it has started.
    fn end_now(&mut self) {
        // What has ended already needs no end.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
        self.end_now();
    }
}

fn keep(pipe: impl Read + Send + 'static, words: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut pipe = pipe;
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            if let Ok(mut words) = words.lock() {
                let room = usize::try_from(WORDS).unwrap_or(usize::MAX).saturating_sub(words.len());
                words.extend_from_slice(&bytes[..count.min(room)]);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Longer than any machine is busy.
    const LIMIT: Duration = Duration::from_secs(300);

    /// A program of these lines of sh, in a directory that lives as long.
    fn program(lines: &str) -> (tempfile::TempDir, Talk) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let talk = Talk::start(&path, 1000).expect("started");
        (directory, talk)
    }

    #[test]
    fn a_line_brings_a_line_and_the_environment_is_small() {
        let (_kept, mut talk) =
            program("while read -r line; do echo \"$line $(env | grep -c .) $#\"; done; echo bye >&2");
        let answer = String::from_utf8(talk.ask(b"hello", LIMIT).expect("an answer")).expect("text");
        let (word, rest) = answer.split_once(' ').expect("two words");
        // PATH, LC_ALL, HOME, PWD and what the shell itself adds.
        let count: usize = rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        assert!(word == "hello" && count <= 8 && rest.ends_with(" 0"), "{answer}");
        assert!(talk.ask(b"again", LIMIT).is_ok());
        assert!(talk.end(LIMIT).expect("ended").success());
    }

    #[test]
    fn each_way_to_give_no_answer_is_told() {
        let said = |lines: &str, limit| {
            let (_kept, mut talk) = program(lines);
            talk.ask(b"x", limit).expect_err(lines).to_string()
        };
        assert_eq!(said("sleep 60", Duration::from_millis(200)), "it gave no answer within 0 s and was ended");
        assert_eq!(said("read -r x; exit 3", LIMIT), "it ended without an answer: exit status: 3");
        assert_eq!(
            said("head -c 5000 /dev/zero; sleep 60", LIMIT),
            "its answer is longer than 1000 bytes; it was ended"
        );
        assert_eq!(
            said("read -r x; printf 'a\\nb\\n'; sleep 60", LIMIT),
            "it said something that it was not asked for: `b\n`"
        );
        assert!(matches!(Talk::start(Path::new("/no/such"), 1), Err(TalkError::NotStarted(_))));
    }

    #[test]
    fn a_long_line_and_long_words_do_not_stop_it() {
        let lines = "head -c 200000 /dev/zero | tr '\\0' e >&2; while read -r line; do echo ${#line}; done";
        let (_kept, mut talk) = program(lines);
        assert_eq!(talk.ask(&vec![b'x'; 300_000], LIMIT).expect("an answer"), b"300000");
        assert_eq!(talk.words().len(), 4096);
    }
}
