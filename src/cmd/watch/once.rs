//! Reading what is there and ending: all sources side by side, their events in the order of time, in bounded memory.
//!
//! Of each source a block is read ahead at most. A signal ends the reading; what was read is put out.

use super::source::Found;
use super::{Open, Run, changed, lose, too_long, unreadable};
use crate::cli::{Chunk, Failure, Input, Out, Shell, Signal, Signals};
use crate::record::Timestamp;
use crate::sys::follow::{LONGEST, Piece};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsFd;

/// Events of one source that were read and not put out, each with its turn.
#[derive(Debug, Default)]
struct Ahead {
    events: Events,
    ended: bool,
}

type Events = VecDeque<Event>;

/// An event that waits for its turn.
#[derive(Debug)]
struct Event {
    turn: Timestamp,
    ts: Timestamp,
    line: Vec<u8>,
}

impl From<Found<'_>> for Event {
    fn from(found: Found<'_>) -> Self {
        Self { turn: found.turn, ts: found.ts, line: found.line.to_vec() }
    }
}

/// What came of reading a little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// There may be more.
    More,
    /// Nothing more is there at the moment.
    Idle,
    End,
}

impl Ahead {
    /// The turn of the next event; where two are at the same time, that of the source given first.
    fn turn(&self, at: usize) -> Option<(Timestamp, usize)> {
        Some((self.events.front()?.turn, at))
    }
}

/// Standard input and how many bytes of it were read.
struct Stdin {
    input: Input<File>,
    offset: u64,
}

/// All sources of a run, read side by side.
pub(super) struct Once<'r, 's> {
    run: &'r mut Run<'s>,
    ahead: Vec<Ahead>,
    stdin: Option<Stdin>,
    /// A signal came: nothing more is read.
    told: bool,
}

impl<'r, 's> Once<'r, 's> {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// When standard input is asked for and is not open.
    pub(super) fn new(run: &'r mut Run<'s>) -> Result<Self, Failure> {
        let ahead = run.sources.iter().map(|_| Ahead::default()).collect();
        let asked = run.sources.iter().any(|open| open.log.is_none());
        let stdin = asked.then(Stdin::open).transpose()?;
        Ok(Self { run, ahead, stdin, told: false })
    }

    /// Reads every source to its end, or until a signal comes, and puts out the events of all in the order of time.
    ///
    /// # Errors
    /// When a source or the state cannot be read.
    pub(super) fn read(mut self, out: &mut Out) -> Result<(), Failure> {
        loop {
            for at in 0..self.ahead.len() {
                self.fill(at, out)?;
            }
            let first = self.ahead.iter().enumerate().filter_map(|(at, ahead)| ahead.turn(at)).min();
            let Some((_, at)) = first.filter(|_| out.trouble().is_none()) else { break };
            self.put_out(at, out);
            if self.run.place.is_full() {
                self.keep(out);
            }
        }
        self.keep(out);
        Ok(())
    }

    /// Stores what was put out. Where that cannot be done it is told, and the reading goes on.
    fn keep(&mut self, out: &mut Out) {
        let ahead = &self.ahead;
        if let Err(failure) = self.run.keep(out, |at| ahead[at].events.is_empty()) {
            self.run.place = lose(&failure, out, self.run.shell);
        }
    }

    /// Puts out the events of one source as long as none of another is before them.
    fn put_out(&mut self, at: usize, out: &mut Out) {
        let others = self.ahead.iter().enumerate().filter(|(other, _)| *other != at);
        let next = others.filter_map(|(other, ahead)| ahead.turn(other)).min();
        let ahead = &mut self.ahead[at];
        while ahead.turn(at).is_some_and(|turn| next.is_none_or(|next| turn < next)) {
            if let Some(event) = ahead.events.pop_front() {
                out.pass(&event.line);
                self.run.place.add(event.ts, &event.line);
            }
        }
    }

    /// Reads a source until there is an event of it, it ends, or a signal comes.
    fn fill(&mut self, at: usize, out: &mut Out) -> Result<(), Failure> {
        while self.ahead[at].events.is_empty() && !self.ahead[at].ended {
            self.told |= self.run.signals.pending().is_some_and(|signal| ends(signal, self.run.shell));
            if self.told || out.trouble().is_some() {
                return Ok(());
            }
            match self.more(at, out)? {
                Read::More => {}
                Read::Idle => self.keep(out),
                Read::End => {
                    self.ahead[at].ended = true;
                    self.run.say(at);
                }
            }
        }
        Ok(())
    }

    /// Reads a block or a line.
    fn more(&mut self, at: usize, out: &mut Out) -> Result<Read, Failure> {
        let shell = self.run.shell;
        let (open, events) = (&mut self.run.sources[at], &mut self.ahead[at].events);
        match &mut self.stdin {
            Some(stdin) if open.log.is_none() => stdin.next(open, events, &mut self.told, out, shell),
            _ => block(open, events, out, shell),
        }
    }
}

fn ends(signal: Signal, shell: &Shell) -> bool {
    signal == Signal::Finish || shell.has_controlling_terminal()
}

/// Reads a block of a file.
fn block(open: &mut Open, events: &mut Events, out: &mut Out, shell: &Shell) -> Result<Read, Failure> {
    let Open { spec, source, log: Some(log), .. } = open else { return Ok(Read::End) };
    let read = log.step(&mut |piece| match piece {
        Piece::Opened { modified } => source.set_reference(changed(modified)),
        Piece::Line { offset, bytes } => {
            events.extend(source.line(offset, bytes, None).map(Event::from));
        }
        Piece::TooLong { offset, length, head } => too_long(&spec.label, offset, length, head, out, shell),
    });
    match read {
        Ok(true) if log.waits() => Ok(Read::Idle),
        Ok(true) => Ok(Read::More),
        Ok(false) => Ok(Read::End),
        Err(e) => Err(unreadable(log, &e)),
    }
}

impl Stdin {
    fn open() -> Result<Self, Failure> {
        let file = File::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| failed(&e))?);
        let taken = Signals::take().map_err(|e| Failure::refused(format!("cannot take signals: {e}")))?;
        Ok(Self { input: Input::new(file, Some(taken)), offset: 0 })
    }

    /// Takes a line; puts out what there is whenever nothing more is there at the moment.
    fn next(
        &mut self,
        open: &mut Open,
        events: &mut Events,
        told: &mut bool,
        out: &mut Out,
        shell: &Shell,
    ) -> Result<Read, Failure> {
        let (at, label) = (self.offset, &open.spec.label);
        match self.input.next_chunk().map_err(|e| failed(&e))? {
            Chunk::Line(line) => {
                self.offset += line.len() as u64;
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                if text.len() > LONGEST {
                    too_long(label, at, text.len() as u64, text, out, shell);
                } else {
                    events.extend(open.source.line(at, text, None).map(Event::from));
                }
            }
            Chunk::TooLong(length, head) => {
                self.offset += length;
                too_long(label, at, length, head, out, shell);
            }
            // a writer that is faster than this is one whose events are stored many at a time
            Chunk::Idle if has_more() => out.flush(),
            Chunk::Idle => return Ok(Read::Idle),
            Chunk::Signal(signal) => *told |= ends(signal, shell),
            Chunk::End => return Ok(Read::End),
        }
        Ok(Read::More)
    }
}

/// Whether something can be read from standard input at once.
fn has_more() -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::undecided(format!("cannot read standard input: {error}"))
}
