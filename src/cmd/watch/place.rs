//! What the state keeps of a run: its events, and where reading stopped. Both are written after the events are out, in one
//! transaction: what a reader of the pipe has and what is stored agree after each. Ids come from content, so lines that are read
//! again after a crash are stored once.

use crate::cli::Failure;
use crate::cmd::StatePlace;
use crate::detect::json;
use crate::record::Timestamp;
use crate::state::{Access, Actor, EventLine, Keep, State, StateError};
use crate::sys::follow::{Position, Start};
use jiff::SignedDuration;

/// Events and bytes that wait for their transaction at most.
const MOST: usize = 8192;
const LARGEST: usize = 8 << 20;

/// Keeps events and positions, or forgets them where there is no state.
#[derive(Debug)]
pub struct Place {
    state: Option<State>,
    kept: Vec<(String, Vec<Position>)>,
    /// Lines that are to be stored, one after the other, and the time and the end of each.
    lines: Vec<u8>,
    events: Vec<(Timestamp, usize)>,
    days: i64,
    most: u32,
}

impl Place {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self { state: None, kept: Vec::new(), lines: Vec::new(), events: Vec::new(), days: 0, most: 0 }
    }

    /// Keeps what `configured` says in the state.
    ///
    /// # Errors
    /// When the state cannot be opened (exit 3).
    pub fn open(place: &StatePlace, configured: &crate::cli::config::State) -> Result<Self, Failure> {
        let state = match place {
            StatePlace::None => return Ok(Self::nowhere()),
            StatePlace::Memory => State::memory(),
            StatePlace::File(path) => State::open(path, Access::Write),
        };
        let (days, most) = (configured.keep_events_days.into(), configured.max_events);
        Ok(Self { state: Some(state.map_err(failed)?), days, most, ..Self::nowhere() })
    }

    /// Where `source` is to begin: where it stopped, else at the end; a list, which is worth something as a whole, at its beginning.
    ///
    /// # Errors
    /// When the state cannot be read (exit 3).
    pub fn start(&self, source: &str, whole: bool) -> Result<Start, Failure> {
        let kept = self.state.as_ref().map(|state| state.cursor_of(source)).transpose().map_err(failed)?.flatten();
        let fresh = if whole { Start::Beginning } else { Start::End };
        Ok(kept.map_or(fresh, Start::At))
    }

    /// Remembers an event that was put out, until the next [`keep`](Self::keep).
    pub fn add(&mut self, ts: Timestamp, line: &[u8]) {
        if self.state.is_some() {
            self.lines.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            self.events.push((ts, self.lines.len()));
        }
    }

    /// Whether it is time to keep what is remembered.
    pub fn is_full(&self) -> bool {
        self.events.len() >= MOST || self.lines.len() >= LARGEST
    }

    /// Stores the events that wait, and `positions` where they changed, in one transaction.
    ///
    /// # Errors
    /// When the state cannot be written (exit 3). Then nothing of it was kept, and nothing is stored any more.
    pub fn keep(&mut self, now: Timestamp, positions: Vec<(String, Vec<Position>)>) -> Result<(), Failure> {
        let changed = positions.iter().any(|position| !self.kept.contains(position));
        let Some(mut state) = self.state.take_if(|_| changed || !self.events.is_empty()) else { return Ok(()) };
        self.write(&mut state, now, &positions).map_err(failed)?;
        self.state = Some(state);
        self.lines.clear();
        self.events.clear();
        self.kept.retain(|(source, _)| positions.iter().all(|(other, _)| other != source));
        self.kept.extend(positions);
        Ok(())
    }

    fn write(
        &self,
        state: &mut State,
        now: Timestamp,
        positions: &[(String, Vec<Position>)],
    ) -> Result<(), StateError> {
        let change = state.begin(now, &Actor::program("afo-watch"))?;
        let starts = std::iter::once(0).chain(self.events.iter().map(|(_, end)| *end));
        let lines = self.events.iter().zip(starts).filter_map(|((ts, end), start)| {
            let line = std::str::from_utf8(&self.lines[start..*end]).ok()?;
            Some(EventLine { id: line.get(json::ID)?, ts: *ts, run: None, line })
        });
        change.events(lines)?;
        for (source, position) in positions.iter().filter(|position| !self.kept.contains(position)) {
            change.cursor(source, position)?;
        }
        let since = now.checked_sub(SignedDuration::from_hours(24 * self.days)).unwrap_or(Timestamp::MIN);
        change.forget_events(Keep { since, most: self.most })?;
        change.commit()
    }
}

fn failed(error: StateError) -> Failure {
    let failure = Failure::refused(error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure.hint("--state none stores nothing and forgets where reading stopped"),
    }
}
