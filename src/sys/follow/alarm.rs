//! Waking up when a directory changes: inotify through `notify`, as a file that can be waited for beside signals.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Becomes readable when something changed in a watched directory.
#[derive(Debug)]
pub struct Alarm {
    watcher: RecommendedWatcher,
    bell: UnixStream,
    /// The directories, each with the number that it had.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Alarm {
    /// An alarm that watches nothing yet.
    ///
    /// # Errors
    /// When inotify has no instance left (fs.inotify.max_user_instances) or file descriptors are out.
    pub fn new() -> io::Result<Self> {
        let (bell, mut rope) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rope.set_nonblocking(true)?;
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // opening and reading are our own doing; a full pipe rings already
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = rope.write(&[1]);
            }
        });
        Ok(Self { watcher: watcher.map_err(io_error)?, bell, watched: BTreeMap::new() })
    }

    /// Watches the directory of `path`, and of what it leads to where it is a link; whether both could be watched.
    pub fn watch(&mut self, path: &Path) -> bool {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        self.watch_parent(path) & self.watch_parent(&target)
    }

    fn watch_parent(&mut self, path: &Path) -> bool {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        let Some(number) = fs::metadata(&parent).ok().filter(|m| m.is_dir()).map(|m| (m.dev(), m.ino())) else {
            self.watched.remove(&parent);
            return false;
        };
        if self.watched.get(&parent) != Some(&number) {
            let _ = self.watcher.unwatch(&parent);
            match self.watcher.watch(&parent, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(parent, number)),
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes notice: what rang before this does not ring any more.
    pub fn clear(&self) {
        while matches!((&self.bell).read(&mut [0; 256]), Ok(n) if n > 0) {}
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

fn io_error(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}
