//! The state: what must survive a process, and the only truth that two processes share.
//!
//! SQLite in WAL mode. Every change is one short `BEGIN IMMEDIATE` transaction that also holds the audit entries which describe
//! it: neither is ever there without the other. It is told the time and the ids; it decides nothing about the firewall.
//!
//! `synchronous` is FULL: in WAL mode NORMAL may lose the last commits when the power fails (sqlite.org/pragma.html#pragma_synchronous),
//! and then the journal would not know of a step that was taken in the kernel or in boot.nft.

mod approval;
mod audit;
mod block;
mod canonical;
mod change;
mod deployment;
mod error;
mod event;
mod holder;
mod ledger;
mod open;
mod policy;
mod proposal;
mod row;
mod settings;
mod verify;

#[cfg(test)]
mod sample;

pub use approval::{Decided, Queued, approval_hash};
pub use audit::{Action, Actor, AuditEntry, Head, Note};
pub use block::{Block, Blocked, Direction, End, NewBlock};
pub use change::Change;
pub use deployment::{Outcome, Progress};
pub use error::StateError;
pub use event::{EventLine, Keep, Span, StoredEvent};
pub use holder::Holder;
pub use open::Access;
pub use policy::PolicyRule;
pub use proposal::StoredProposal;
pub use row::{DeploymentRow, Step};
pub use verify::{Broken, Verified};

use crate::record::Timestamp;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// What every method answers.
pub type Result<T> = std::result::Result<T, StateError>;

/// How long a writer waits for another one, in seconds, unless told otherwise. Transactions take milliseconds.
pub const PATIENCE: u64 = 5;

/// An open state. One per thread; any number of processes may have the same one open.
#[derive(Debug)]
pub struct State {
    db: Connection,
    /// `:memory:` where there is no file.
    path: PathBuf,
    /// Device and inode of the file that was opened.
    file: Option<(u64, u64)>,
    seconds: u64,
}

impl State {
    /// Opens the state in the file at `path`, made with its directory (0750, 0640) when it is not there and `access` is to write.
    ///
    /// # Errors
    /// When it cannot be opened, is no state of AFO, is damaged, or has a schema that this program does not know.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        open::file(path, access, PATIENCE)
    }

    /// As [`open`](Self::open), waiting at most `seconds` for another process that writes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_patient(path: &Path, access: Access, seconds: u64) -> Result<Self> {
        open::file(path, access, seconds)
    }

    /// A state that nothing else sees and that ends with the process.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn memory() -> Result<Self> {
        open::memory()
    }

    /// Begins a change at the time `now` on behalf of `actor`. Nothing of it is kept unless it is committed.
    ///
    /// # Errors
    /// When the state is for reading only, was deleted, or another process keeps it locked.
    pub fn begin(&mut self, now: Timestamp, actor: &Actor) -> Result<Change<'_>> {
        Change::begin(self, now, actor.clone())
    }

    /// The file, or `:memory:`.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for State {
    /// Moves what is in the log into the file, so that a copy of the file is the whole state. It waits for nobody, and a failure loses nothing: the
    /// log is there.
    fn drop(&mut self) {
        if self.db.is_readonly(rusqlite::MAIN_DB).is_ok_and(|readonly| !readonly) {
            let _ = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }
}
