//! Who holds the write lock: SQLite locks byte 120 of the `-shm` file (sqlite.org/walformat.html, 2.3.1), and the kernel lists
//! all POSIX locks in /proc/locks (proc_locks(5)). Never needed for correctness, only for the words of an error.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const WRITE_LOCK: u64 = 120;
/// The list is read in pieces, and a line can be passed over while other processes take and leave locks: it is looked at again.
const LOOKS: usize = 5;

/// A process that holds the write lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// The program's name, cut at 15 characters by the kernel.
    pub program: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "{program} (pid {})", self.pid),
            None => write!(f, "pid {}", self.pid),
        }
    }
}

/// The process that holds the write lock of the database at `path`, where the kernel shows it.
pub(super) fn of(path: &Path) -> Option<Holder> {
    let mut shm = path.as_os_str().to_owned();
    shm.push("-shm");
    let inode = std::fs::metadata(Path::new(&shm)).ok()?.ino();
    let pid = (0..LOOKS).find_map(|_| {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| writer(line, inode))
    })?;
    let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    Some(Holder { pid, program: program.map(|name| plain(name.trim_end())) })
}

/// The pid of one line of /proc/locks when it is a write lock on `inode` that covers the lock byte:
/// `1: POSIX  ADVISORY  WRITE 708 08:01:13548 120 120`. A line with `->` is a process that waits.
fn writer(line: &str, inode: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[_, "POSIX", _, "WRITE", pid, file, first, last] = words.as_slice() else { return None };
    let same = file.rsplit(':').next()?.parse() == Ok(inode);
    let end = if last == "EOF" { u64::MAX } else { last.parse().ok()? };
    let covers = first.parse::<u64>().ok()? <= WRITE_LOCK && WRITE_LOCK <= end;
    pid.parse().ok().filter(|pid| same && covers && *pid > 0)
}

/// A process names itself: only what cannot disturb a terminal is shown.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_of_the_write_lock_is_named() {
        let line = "1: POSIX  ADVISORY  WRITE 708 08:01:13548 120 120";
        assert_eq!(writer(line, 13548), Some(708));
        assert_eq!(writer(line, 13549), None);
        for other in [
            "1: POSIX  ADVISORY  READ  708 08:01:13548 120 120",
            "1: POSIX  ADVISORY  WRITE 708 08:01:13548 123 123",
            "1: -> POSIX  ADVISORY  WRITE 709 08:01:13548 120 120",
            "1: FLOCK  ADVISORY  WRITE 708 08:01:13548 0 EOF",
            "1: POSIX  ADVISORY  WRITE 0 08:01:13548 120 120",
            "",
        ] {
            assert_eq!(writer(other, 13548), None, "{other}");
        }
        assert_eq!(plain("a\u{1b}[2Jb"), "a?[2Jb");
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_survived(line in "\\PC{0,80}", inode: u64) {
            let _ = writer(&line, inode);
        }
    }
}
