use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// What the outside asked of a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: finish what is in hand.
    Finish,
    /// SIGHUP: the terminal went away, or, where there is none, reload.
    HangUp,
}

/// SIGTERM, SIGINT and SIGHUP as something that can be waited for beside a file.
#[derive(Debug)]
pub struct Signals {
    finish: UnixStream,
    hang_up: UnixStream,
}

impl Signals {
    /// Takes the signals over: from now on they end nothing by themselves.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn take() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let (finish, on_finish) = UnixStream::pair()?;
        let (hang_up, on_hang_up) = UnixStream::pair()?;
        finish.set_nonblocking(true)?;
        hang_up.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGTERM, on_finish.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGINT, on_finish)?;
        signal_hook::low_level::pipe::register(SIGHUP, on_hang_up)?;
        Ok(Self { finish, hang_up })
    }

    /// A signal that has come, if one has.
    pub fn pending(&self) -> Option<Signal> {
        let arrived = |mut stream: &UnixStream| matches!(stream.read(&mut [0; 64]), Ok(n) if n > 0);
        match () {
            () if arrived(&self.finish) => Some(Signal::Finish),
            () if arrived(&self.hang_up) => Some(Signal::HangUp),
            () => None,
        }
    }

    /// Waits until `file` can be read, a signal comes or the time is over (nothing: no limit).
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn wait(&self, file: Option<BorrowedFd<'_>>, limit: Option<std::time::Duration>) -> io::Result<Woken> {
        if let Some(signal) = self.pending() {
            return Ok(Woken::Signal(signal));
        }
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.finish.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.hang_up.as_fd(), PollFlags::IN),
        ];
        fds.extend(file.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let limit = limit.and_then(|d| Timespec::try_from(d).ok());
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => return Ok(Woken::TimedOut),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let readable = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
        Ok(match self.pending() {
            Some(signal) => Woken::Signal(signal),
            None if readable => Woken::Readable,
            None => Woken::Nothing,
        })
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    Readable,
    Signal(Signal),
    TimedOut,
    /// Nothing of the above; wait again.
    Nothing,
}
