use super::row::micros;
use super::{Actor, Result, State};
use crate::record::Timestamp;
use std::ops::Deref;

/// A change in the making: one transaction. Reads through it see what it has done so far. Dropped without [`commit`](Self::commit), nothing of it
/// was done.
///
/// It holds the only write lock: begin late, commit soon, and run no process in between.
#[derive(Debug)]
pub struct Change<'a> {
    state: &'a State,
    now: Timestamp,
    actor: Actor,
    open: bool,
}

impl<'a> Change<'a> {
    pub(super) fn begin(state: &'a State, now: Timestamp, actor: Actor) -> Result<Self> {
        state.still_there()?;
        // Immediate: a transaction that reads first and asks for the lock later fails when another one wrote in between.
        state.db.execute_batch("BEGIN IMMEDIATE").map_err(|e| state.fault(&e))?;
        Ok(Self { state, now, actor, open: true })
    }

    /// The time of the change.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who makes it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Keeps the change: it is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is kept.
    pub fn commit(mut self) -> Result<()> {
        self.state.db.execute_batch("COMMIT").map_err(|e| self.state.fault(&e))?;
        self.open = false;
        Ok(())
    }

    pub(super) fn micros(&self) -> i64 {
        micros(self.now)
    }
}

impl Deref for Change<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        // SQLite may have rolled back by itself (full disk); otherwise there is nothing better to do with a failure here: the
        // transaction ends with the connection.
        if self.open && !self.state.db.is_autocommit() {
            let _ = self.state.db.execute_batch("ROLLBACK");
        }
    }
}
