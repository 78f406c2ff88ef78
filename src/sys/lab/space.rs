//! A network namespace of its own, held by a process that ends with the value.

use super::LabError;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

/// The namespace.
#[derive(Debug)]
pub(super) struct Space {
    holder: Child,
    file: File,
}

impl Space {
    /// An empty one; not even its loopback is up.
    pub(super) fn open() -> Result<Self, LabError> {
        let no_space = |e: std::io::Error| LabError::NoSpace(e.to_string());
        let mut holder = Command::new("unshare")
            .args(["-n", "--", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(no_space)?;
        let mut ready = [0];
        let began = holder.stdout.as_mut().map_or(Ok(()), |out| out.read_exact(&mut ready));
        let file = began.and_then(|()| File::open(format!("/proc/{}/ns/net", holder.id())));
        match file {
            Ok(file) => Ok(Self { holder, file }),
            Err(_) => {
                // Its input ends with this value, and it with its input.
                holder.stdin.take();
                holder.wait().map_err(no_space)?;
                Err(LabError::NoSpace("unshare -n was refused".to_owned()))
            }
        }
    }

    /// The process that holds it, as `ip link … netns` wants it.
    pub(super) fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Runs `body` in a thread whose sockets, programs and settings are those of the namespace.
    pub(super) fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).map(|()| body())
            });
            match work.join() {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(e)) => Err(LabError::NoSpace(e.to_string())),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // One that has ended already needs no more.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
