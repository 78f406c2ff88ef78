//! One log by its path: the file that the path leads to now, and those that it led to before and that may still grow.

use super::file::{Opened, Piece, Position, Take};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Rotated files that are still read at most.
const OLD: usize = 16;

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// Behind what is there now.
    End,
    /// Where reading stopped, as [`Log::positions`] said; newest last.
    At(Vec<Position>),
}

/// A log that is followed.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    start: Option<Start>,
    current: Option<Opened>,
    old: Vec<Opened>,
    lost: bool,
}

impl Log {
    /// The log at `path`; nothing is opened yet.
    pub fn new(path: PathBuf, start: Start) -> Self {
        Self { path, start: Some(start), current: None, old: Vec::new(), lost: false }
    }

    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file in which reading stopped was not found again: lines may be lost.
    pub fn is_gap(&self) -> bool {
        self.lost
    }

    /// As [`is_gap`](Self::is_gap), told once.
    pub fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// Whether a file is open.
    pub fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// How far each file was read, newest last.
    pub fn positions(&self) -> Vec<Position> {
        match &self.start {
            Some(Start::At(positions)) => positions.clone(),
            _ => self.old.iter().chain(&self.current).map(Opened::position).collect(),
        }
    }

    /// Reads what is new everywhere; a path that leads nowhere is waited for. Gives whether anything new was there.
    ///
    /// # Errors
    /// When a file cannot be opened, other than because it is not there, or cannot be read.
    pub fn pump(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        let mut any = self.begin(take)?;
        for old in &mut self.old {
            any |= old.read(take)?;
        }
        if let Some(current) = &mut self.current {
            any |= current.read(take)?;
        }
        any |= self.turn(take)?;
        self.drop_old(take);
        Ok(any)
    }

    /// Reads a block of what there is, oldest file first, and hands on the last line of each though it has no end. Gives whether
    /// there may be more; nothing is waited for.
    ///
    /// # Errors
    /// When a file cannot be opened or read.
    pub fn step(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        self.begin(take)?;
        if let Some(old) = self.old.iter_mut().find(|old| !old.is_finished()) {
            return old.step(take).map(|_| true);
        }
        if self.current.is_none() {
            let opened = Opened::open(&self.path)?;
            take(Piece::Opened { modified: opened.modified() });
            self.current = Some(opened);
        }
        self.current.as_mut().map_or(Ok(false), |current| current.step(take))
    }

    /// Whether the last [`step`](Self::step) found nothing because it is a pipe whose writer has nothing to say at the moment.
    pub fn waits(&self) -> bool {
        self.current.as_ref().is_some_and(Opened::waits)
    }

    /// Opens what is to be read first.
    fn begin(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        match self.start.take() {
            None => Ok(false),
            Some(Start::Beginning) => Ok(false),
            Some(Start::End) => {
                if let Some(mut opened) = absent_is_none(Opened::open(&self.path))? {
                    opened.skip_to_end()?;
                    take(Piece::Opened { modified: opened.modified() });
                    self.current = Some(opened);
                }
                Ok(false)
            }
            Some(Start::At(positions)) => self.resume(&positions, take).map(|()| true),
        }
    }

    /// Finds the files again in which reading stopped, by number or, where they were copied, by content.
    fn resume(&mut self, positions: &[Position], take: &mut Take<'_>) -> io::Result<()> {
        let mut found = Vec::new();
        for position in positions {
            match self.find(position)? {
                Some((path, opened)) => found.push((path, opened)),
                None => self.lost = true,
            }
        }
        let newest = found.iter().map(|(_, opened)| opened.written()).max();
        for (path, opened) in found {
            take(Piece::Opened { modified: opened.modified() });
            if path == self.path {
                self.current = Some(opened);
            } else {
                self.old.push(opened);
            }
        }
        if self.current.is_none()
            && let Some(since) = newest
        {
            self.between(since, take)?;
        }
        Ok(())
    }

    /// Opens what was rotated away while nobody looked, oldest first.
    fn between(&mut self, since: (i64, i64), take: &mut Take<'_>) -> io::Result<()> {
        let mut more = Vec::new();
        for path in self.siblings() {
            let Some(opened) = absent_is_none(Opened::open(&path))? else { continue };
            let known = self.old.iter().any(|old| old.position().inode == opened.position().inode);
            let compressed = [".gz", ".xz", ".zst", ".bz2"].iter().any(|end| path.to_string_lossy().ends_with(end));
            if !known && !compressed && opened.written() >= since {
                more.push((opened.written(), path, opened));
            }
        }
        more.sort_by(|a, b| (a.0, &b.1).cmp(&(b.0, &a.1)));
        for (_, _, opened) in more {
            take(Piece::Opened { modified: opened.modified() });
            self.old.push(opened);
        }
        Ok(())
    }

    fn find(&self, position: &Position) -> io::Result<Option<(PathBuf, Opened)>> {
        let mut others = Vec::new();
        for path in std::iter::once(self.path.clone()).chain(self.siblings()) {
            let Some(mut opened) = absent_is_none(Opened::open(&path))? else { continue };
            if opened.has_number_of(position) && opened.resume(position)? {
                return Ok(Some((path, opened)));
            }
            others.push((path, opened));
        }
        if position.offset == 0 {
            return Ok(None);
        }
        for (path, mut opened) in others {
            if opened.resume(position)? {
                return Ok(Some((path, opened)));
            }
        }
        Ok(None)
    }

    /// Files beside the log whose names begin with its name: `auth.log.1`, `auth.log-20260102`.
    fn siblings(&self) -> Vec<PathBuf> {
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
            return Vec::new();
        };
        let name = name.to_string_lossy().into_owned();
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let beside = |entry: &fs::DirEntry| {
            let other = entry.file_name().to_string_lossy().into_owned();
            other.len() > name.len() && other.starts_with(&name) && entry.metadata().is_ok_and(|meta| meta.is_file())
        };
        let mut paths: Vec<PathBuf> = entries.filter(beside).map(|entry| entry.path()).collect();
        paths.sort();
        paths
    }

    /// Opens the file that the path leads to now where it is another one than before.
    fn turn(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        let meta = match fs::metadata(&self.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        if self.current.as_ref().is_some_and(|current| current.is(&meta)) {
            return Ok(false);
        }
        if let Some(mut gone) = self.current.take() {
            // what was written between the last look and the rename
            gone.read(take)?;
            self.old.push(gone);
        }
        match absent_is_none(Opened::open(&self.path))? {
            None => Ok(false),
            Some(mut opened) => {
                take(Piece::Opened { modified: opened.modified() });
                let any = opened.read(take);
                self.current = Some(opened);
                any
            }
        }
    }

    /// Lets go of files that are gone or too many; what they still hold is taken first.
    fn drop_old(&mut self, take: &mut Take<'_>) {
        let surplus = self.old.len().saturating_sub(OLD);
        for (at, mut old) in std::mem::take(&mut self.old).into_iter().enumerate() {
            if at < surplus || (old.is_deleted() && self.current.is_some()) {
                old.finish(take);
            } else {
                self.old.push(old);
            }
        }
    }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
