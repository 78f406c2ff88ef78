//! One open file: what was read of it, what was handed on, and how to recognise it again.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The longest line that is handed on, in bytes.
pub const LONGEST: usize = 64 << 10;

/// Bytes read at once.
const BLOCK: usize = 256 << 10;

/// How long a pipe is waited for at once, and for how many such moments without anybody who writes into it.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
const PATIENCE: u32 = 50;

/// Bytes before a place by which it is recognised.
const KNOWN: usize = 128;

/// How far a file was read and handed on: which file, how far, and a hash of what stands before that place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub device: u64,
    pub inode: u64,
    /// Bytes from the beginning.
    pub offset: u64,
    pub hash: String,
}

/// What comes out of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A file begins to be read, last written at so many seconds since 1970.
    Opened { modified: i64 },
    /// A line without its end, and where it begins.
    Line { offset: u64, bytes: &'a [u8] },
    /// A line of so many bytes is too long; its beginning.
    TooLong { offset: u64, length: u64, head: &'a [u8] },
}

/// Takes what comes.
pub type Take<'t> = dyn FnMut(Piece<'_>) + 't;

/// An open file and what was read of it.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    device: u64,
    inode: u64,
    regular: bool,
    /// When it had been written at the last look.
    looked: (i64, i64),
    /// Where `buffer` begins in the file: everything before was handed on.
    offset: u64,
    /// What was read and not handed on: a line without its end.
    buffer: Vec<u8>,
    /// The last bytes before `offset`.
    before: Vec<u8>,
    /// Bytes of a line that is too long and were thrown away.
    skipped: u64,
    /// How far [`step`](Self::step) has come.
    pace: Pace,
    /// Whether a pipe that is read once had nothing in it, and for how many moments it had no writer either.
    waits: bool,
    moments: u32,
}

/// How far a file that is read once was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Untouched,
    Begun,
    Finished,
}

impl Opened {
    /// Opens the file at `path`, to be read from its beginning.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // A pipe that nobody writes into would hold whoever opens it.
        let file =
            OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
        }
        let (device, inode, regular) = (meta.dev(), meta.ino(), meta.is_file());
        Ok(Self {
            file,
            device,
            inode,
            regular,
            looked: (0, 0),
            offset: 0,
            buffer: Vec::new(),
            before: Vec::new(),
            skipped: 0,
            pace: Pace::Untouched,
            waits: false,
            moments: 0,
        })
    }

    /// Goes on behind everything that is there now. A line that is being written is taken when it is complete.
    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        if !self.regular {
            return Ok(());
        }
        let length = self.file.metadata()?.len();
        let mut tail = vec![0; usize::try_from(length).unwrap_or(LONGEST).min(LONGEST)];
        let from = length - tail.len() as u64;
        self.file.read_exact_at(&mut tail, from)?;
        let unfinished = memchr::memrchr(b'\n', &tail).map_or(tail.len(), |at| tail.len() - at - 1);
        self.seek(length - unfinished as u64)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.before = self.known_before(offset)?;
        self.file.seek(SeekFrom::Start(offset))?;
        self.offset = offset;
        self.buffer.clear();
        self.skipped = 0;
        Ok(())
    }

    fn known_before(&self, offset: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(offset).unwrap_or(KNOWN).min(KNOWN);
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, offset - length as u64) {
            Ok(()) => Ok(bytes),
            // cut since its length was asked for
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Whether what was read last still stands where it stood.
    fn is_as_it_was(&self) -> io::Result<bool> {
        let begun = &self.buffer[..self.buffer.len().min(KNOWN)];
        let there = self.known_before(self.offset + begun.len() as u64)?;
        let known = [&self.before, begun].concat();
        Ok(there == known[known.len().saturating_sub(KNOWN)..])
    }

    /// How far the file was read, handed on or not.
    fn reached(&self) -> u64 {
        self.offset + self.buffer.len() as u64 + self.skipped
    }

    /// Goes on at `position` if this is the file that it was taken of, by what stands before it.
    pub(super) fn resume(&mut self, position: &Position) -> io::Result<bool> {
        if self.file.metadata()?.len() < position.offset || hash(&self.known_before(position.offset)?) != position.hash
        {
            return Ok(false);
        }
        self.seek(position.offset)?;
        Ok(true)
    }

    /// Whether `meta` is of this very file.
    pub(super) fn is(&self, meta: &Metadata) -> bool {
        (self.device, self.inode) == (meta.dev(), meta.ino())
    }

    /// Whether `position` was taken of a file with this number.
    pub(super) fn has_number_of(&self, position: &Position) -> bool {
        (self.device, self.inode) == (position.device, position.inode)
    }

    /// Whether no name leads to the file any more.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// How far lines were handed on.
    pub(super) fn position(&self) -> Position {
        Position { device: self.device, inode: self.inode, offset: self.offset, hash: hash(&self.before) }
    }

    /// When it was last written, in seconds since 1970.
    pub(super) fn modified(&self) -> i64 {
        self.written().0
    }

    /// When it was last written, in seconds and nanoseconds since 1970.
    pub(super) fn written(&self) -> (i64, i64) {
        self.file.metadata().map_or((0, 0), |meta| (meta.mtime(), meta.mtime_nsec()))
    }

    /// Hands on every complete line that is there. Begins again where the file was cut, also where it has grown beyond the old
    /// place since: what stands before that place is not what was read then. Gives whether anything new was there.
    pub(super) fn read(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        let meta = self.file.metadata()?;
        let written = (meta.mtime(), meta.mtime_nsec());
        if self.regular && meta.len() == self.reached() && written == self.looked {
            return Ok(false);
        }
        self.looked = written;
        self.begin_again_where_cut(&meta, take)?;
        let mut any = false;
        while self.block(take)? {
            any = true;
        }
        self.buffer.shrink_to(LONGEST);
        Ok(any)
    }

    fn begin_again_where_cut(&mut self, meta: &Metadata, take: &mut Take<'_>) -> io::Result<()> {
        if self.regular && (meta.len() < self.reached() || !self.is_as_it_was()?) {
            self.seek(0)?;
            take(Piece::Opened { modified: self.modified() });
        }
        Ok(())
    }

    /// Reads one block of a file that is read once, at its end also the line without an end. Gives whether there may be more.
    pub(super) fn step(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        match self.pace {
            Pace::Finished => return Ok(false),
            Pace::Begun => {}
            Pace::Untouched => self.begin_again_where_cut(&self.file.metadata()?, take)?,
        }
        self.pace = Pace::Begun;
        if !self.regular && !self.has_come(take)? {
            return Ok(true);
        }
        if !self.block(take)? {
            self.finish(take);
            self.pace = Pace::Finished;
        }
        Ok(self.pace != Pace::Finished)
    }

    /// Whether a pipe has something to be read, be it its end: it ends when its last writer has gone. Waits a moment at most.
    fn has_come(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
        let come = match poll(&mut fds, Some(&MOMENT)) {
            Err(rustix::io::Errno::INTR) => return Ok(false),
            come => come?,
        };
        if come > 0 {
            (self.waits, self.moments) = (false, 0);
            return Ok(true);
        }
        self.waits = true;
        let mut byte = [0];
        match self.file.read(&mut byte) {
            // it has no writer
            Ok(0) if self.moments >= PATIENCE => {
                return Err(io::Error::other("it is a pipe, and nobody writes into it"));
            }
            Ok(0) => self.moments += 1,
            Ok(_) => {
                self.buffer.push(byte[0]);
                if byte[0] == b'\n' {
                    self.hand_on(self.buffer.len(), take)?;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.moments = 0,
            Err(e) => return Err(e),
        }
        Ok(false)
    }

    /// Whether the last [`step`](Self::step) found a pipe without anything in it.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Whether [`step`](Self::step) came to the end.
    pub(super) fn is_finished(&self) -> bool {
        self.pace == Pace::Finished
    }

    fn block(&mut self, take: &mut Take<'_>) -> io::Result<bool> {
        let old = self.buffer.len();
        self.buffer.resize(old + BLOCK, 0);
        let read = match self.file.read(&mut self.buffer[old..]) {
            // a pipe that has a writer and nothing in it
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read,
        };
        self.buffer.truncate(old + read.as_ref().ok().copied().unwrap_or(0));
        if read? == 0 {
            return Ok(false);
        }
        if let Some(at) = memchr::memrchr(b'\n', &self.buffer[old..]) {
            self.hand_on(old + at + 1, take)?;
        }
        self.shorten();
        Ok(true)
    }

    /// Hands on the lines in the first `end` bytes.
    fn hand_on(&mut self, end: usize, take: &mut Take<'_>) -> io::Result<()> {
        let gap = self.skipped > 0;
        let mut start = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.buffer[start..end]) {
            self.line(start, start + length, take);
            start += length + 1;
        }
        self.forget(start);
        if gap && self.regular {
            self.before = self.known_before(self.offset)?;
        }
        Ok(())
    }

    /// Takes the first `end` bytes for handed on.
    fn forget(&mut self, end: usize) {
        let known = &self.buffer[end.saturating_sub(KNOWN)..end];
        self.before.extend_from_slice(known);
        self.before.drain(..self.before.len().saturating_sub(KNOWN));
        self.offset += end as u64;
        self.buffer.drain(..end);
    }

    fn line(&mut self, start: usize, end: usize, take: &mut Take<'_>) {
        let bytes = &self.buffer[start..end];
        let offset = self.offset + start as u64;
        let skipped = std::mem::take(&mut self.skipped);
        self.offset += skipped;
        match skipped {
            0 if bytes.len() <= LONGEST => take(Piece::Line { offset, bytes }),
            _ => {
                let head = &bytes[..bytes.len().min(LONGEST)];
                take(Piece::TooLong { offset, length: skipped + bytes.len() as u64, head });
            }
        }
    }

    /// Keeps the beginning of an unfinished line that is too long already.
    fn shorten(&mut self) {
        if self.buffer.len() > 2 * LONGEST {
            self.skipped += (self.buffer.len() - LONGEST) as u64;
            self.buffer.truncate(LONGEST);
        }
    }

    /// Hands on the last line though it has no end: nothing more will come.
    pub(super) fn finish(&mut self, take: &mut Take<'_>) {
        let end = self.buffer.len();
        if end > 0 {
            self.line(0, end, take);
            self.forget(end);
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
