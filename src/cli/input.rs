use super::{Signal, Signals, Woken};
use std::io::{self, Read};
use std::os::fd::AsFd;

/// The longest line that is read, in bytes. A longer one is reported and passed over, so that memory stays bounded.
pub const LONGEST_LINE: usize = 8 << 20;

/// What came out of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// A line with its end, as it was; the last one may have none.
    Line(&'a [u8]),
    /// A line of so many bytes was too long; its beginning.
    TooLong(u64, &'a [u8]),
    /// Nothing more is there at the moment: what was made so far must go out now.
    Idle,
    Signal(Signal),
    End,
}

/// Lines of a file descriptor, in bounded memory, interrupted by signals.
#[derive(Debug)]
pub struct Input<R> {
    file: R,
    signals: Option<Signals>,
    buffer: Vec<u8>,
    /// Where the next line begins, and how far it was searched for its end.
    start: usize,
    searched: usize,
    said_idle: bool,
    ended: bool,
    /// Bytes of the too long line that were thrown away.
    skipped: u64,
    longest: usize,
}

impl<R: Read + AsFd> Input<R> {
    /// Lines of `file`; with `signals` a wait ends when one comes.
    pub fn new(file: R, signals: Option<Signals>) -> Self {
        Self {
            file,
            signals,
            buffer: Vec::with_capacity(1 << 16),
            start: 0,
            searched: 0,
            said_idle: false,
            ended: false,
            skipped: 0,
            longest: LONGEST_LINE,
        }
    }

    /// The next line, or what there is instead.
    ///
    /// # Errors
    /// What read(2) and poll(2) say.
    pub fn next_chunk(&mut self) -> io::Result<Chunk<'_>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                return Ok(self.line(self.searched + end + 1));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() - self.start > self.longest {
                self.shorten();
            }
            if self.ended {
                let rest = self.buffer.len();
                return Ok(if rest == self.start { Chunk::End } else { self.line(rest) });
            }
            if !self.said_idle {
                self.said_idle = true;
                return Ok(Chunk::Idle);
            }
            if let Some(signal) = self.refill()? {
                return Ok(Chunk::Signal(signal));
            }
        }
    }

    fn line(&mut self, end: usize) -> Chunk<'_> {
        let (start, skipped) = (self.start, std::mem::take(&mut self.skipped));
        self.start = end;
        self.searched = end;
        let bytes = &self.buffer[start..end];
        match skipped {
            0 if bytes.len() <= self.longest => Chunk::Line(bytes),
            _ => Chunk::TooLong(skipped + bytes.len() as u64, &bytes[..bytes.len().min(1 << 16)]),
        }
    }

    /// Keeps the beginning of a line that is too long and forgets the rest of what was read.
    fn shorten(&mut self) {
        let keep = self.start + (1 << 16);
        self.skipped += (self.buffer.len() - keep) as u64;
        self.buffer.truncate(keep);
        self.searched = keep;
    }

    fn refill(&mut self) -> io::Result<Option<Signal>> {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if let Some(signals) = &self.signals {
            match signals.wait(Some(self.file.as_fd()), None)? {
                Woken::Readable => {}
                Woken::Signal(signal) => return Ok(Some(signal)),
                Woken::TimedOut | Woken::Nothing => return Ok(None),
            }
        }
        let old = self.buffer.len();
        self.buffer.resize(old + (1 << 16), 0);
        let read = loop {
            match self.file.read(&mut self.buffer[old..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        self.said_idle = false;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn chunks(bytes: &[u8], longest: usize) -> Vec<String> {
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(bytes).expect("written");
        std::io::Seek::rewind(&mut file).expect("rewound");
        let mut input = Input::new(file, None);
        input.longest = longest;
        let mut seen = Vec::new();
        loop {
            match input.next_chunk().expect("read") {
                Chunk::Line(line) => seen.push(String::from_utf8_lossy(line).into_owned()),
                Chunk::TooLong(n, head) => seen.push(format!("{n} bytes from {}", String::from_utf8_lossy(&head[..3]))),
                Chunk::Idle => {}
                Chunk::Signal(_) => unreachable!("no signals were taken"),
                Chunk::End => return seen,
            }
        }
    }

    #[test]
    fn lines_come_as_they_are() {
        assert_eq!(chunks(b"", 99), Vec::<String>::new());
        assert_eq!(chunks(b"a\r\n\nb", 99), ["a\r\n", "\n", "b"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        let mut bytes = b"one\n".to_vec();
        bytes.extend(vec![b'x'; 300_000]);
        bytes.extend(b"\ntwo\n");
        assert_eq!(chunks(&bytes, 100_000), ["one\n", "300001 bytes from xxx", "two\n"]);
        assert_eq!(chunks(&vec![b'y'; 300_000], 100_000), ["300000 bytes from yyy"]);
    }
}
