//! Where the last run stopped: kept in the state, written after the events are out.

use crate::cli::Failure;
use crate::cmd::StatePlace;
use crate::record::Timestamp;
use crate::state::{Access, State, StateError};
use crate::sys::follow::{Position, Start};

/// Keeps positions, or forgets them where there is no state.
#[derive(Debug)]
pub struct Place {
    state: Option<State>,
    kept: Vec<(String, Vec<Position>)>,
}

impl Place {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self { state: None, kept: Vec::new() }
    }

    /// Keeps positions in the state; `asked` says that the user insists on it.
    ///
    /// # Errors
    /// When the state cannot be opened (exit 3), or there is none and the user insists (exit 2).
    pub fn open(place: &StatePlace, asked: bool) -> Result<Self, Failure> {
        let state = match place {
            StatePlace::None if asked => {
                let failure = Failure::undecided("--from cursor needs a state, and --state none keeps none");
                return Err(failure.hint("use --from start or --from end"));
            }
            StatePlace::None => return Ok(Self::nowhere()),
            StatePlace::Memory => State::memory(),
            StatePlace::File(path) => State::open(path, Access::Write),
        };
        Ok(Self { state: Some(state.map_err(failed)?), kept: Vec::new() })
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

    /// Keeps `positions` where they changed.
    ///
    /// # Errors
    /// When the state cannot be written (exit 3).
    pub fn keep(&mut self, now: Timestamp, positions: Vec<(String, Vec<Position>)>) -> Result<(), Failure> {
        let Some(state) = self.state.as_mut().filter(|_| positions != self.kept) else {
            return Ok(());
        };
        state.set_cursors(now, &positions).map_err(failed)?;
        self.kept = positions;
        Ok(())
    }
}

fn failed(error: StateError) -> Failure {
    let failure = Failure::refused(error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure.hint("--state none forgets where reading stopped"),
    }
}
