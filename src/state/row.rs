//! From columns to types and back, and from SQLite's errors to words.

use super::{Actor, PolicyRule, Result, State, StateError};
use crate::record::{Deployment, HeartbeatCheck, Id, Status, Timestamp};
use rusqlite::types::Type;
use rusqlite::{ErrorCode, Row};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

/// What is about to be done to the kernel for a deployment: written before it is done, so that whoever finds a dead process's work
/// knows what may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Applying,
    Confirming,
    Reverting,
}

impl Step {
    /// The word in the state and in the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Confirming => "confirming",
            Self::Reverting => "reverting",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that is known of a deployment, enough for another process to finish it or to put it back.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentRow {
    pub id: Id,
    pub run: Option<Id>,
    /// When it was begun.
    pub ts: Timestamp,
    pub actor: Actor,
    /// Must be in the state already.
    pub proposals: Vec<Id>,
    pub backend: String,
    /// A new one is pending or refused.
    pub status: Status,
    /// What is being done now, by whom and since when.
    pub step: Option<(Step, Actor, Timestamp)>,
    /// Of the ruleset that it was checked against.
    pub base_hash: Option<String>,
    /// None on the first load.
    pub generation_old: Option<u64>,
    /// None where the policy does not change (blocks).
    pub generation_new: Option<u64>,
    /// How long it waits for its confirmation.
    pub window_seconds: Option<u64>,
    pub applied_at: Option<Timestamp>,
    pub confirm_by: Option<Timestamp>,
    pub confirmed_by: Option<String>,
    pub ended_at: Option<Timestamp>,
    /// The backend's own text of what was there before.
    pub backup: Option<String>,
    pub apply_text: Option<String>,
    pub confirm_text: Option<String>,
    pub revert_text: Option<String>,
    /// AFO's confirmed rules before, and what they are once this is confirmed.
    pub policy_before: Vec<PolicyRule>,
    pub policy_after: Vec<PolicyRule>,
    pub error: Option<String>,
    pub heartbeat: Vec<HeartbeatCheck>,
    pub rules: Vec<Id>,
    pub blocks: Vec<String>,
}

impl DeploymentRow {
    /// A pending deployment of nothing yet.
    pub fn new(id: Id, backend: &str, ts: Timestamp, actor: &Actor) -> Self {
        Self {
            id,
            run: None,
            ts,
            actor: actor.clone(),
            proposals: vec![],
            backend: backend.to_owned(),
            status: Status::Pending,
            step: None,
            base_hash: None,
            generation_old: None,
            generation_new: None,
            window_seconds: None,
            applied_at: None,
            confirm_by: None,
            confirmed_by: None,
            ended_at: None,
            backup: None,
            apply_text: None,
            confirm_text: None,
            revert_text: None,
            policy_before: vec![],
            policy_after: vec![],
            error: None,
            heartbeat: vec![],
            rules: vec![],
            blocks: vec![],
        }
    }

    /// The record that afo-deploy puts out.
    pub fn record(&self) -> Deployment {
        Deployment {
            id: self.id.clone(),
            ts: Some(self.ts),
            run: self.run.clone(),
            proposals: self.proposals.clone(),
            backend: self.backend.clone(),
            status: self.status,
            applied_at: self.applied_at,
            confirm_by: self.confirm_by,
            confirmed_by: self.confirmed_by.clone(),
            backup: self.backup.as_ref().map(|_| format!("state:{}", self.id)),
            error: self.error.clone(),
            heartbeat: self.heartbeat.clone(),
            rules: self.rules.clone(),
            blocks: self.blocks.clone(),
        }
    }
}

/// Microseconds since 1970.
pub(super) fn micros(ts: Timestamp) -> i64 {
    ts.as_microsecond()
}

/// A number that came from [`micros`].
pub(super) fn instant(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let number: i64 = row.get(column)?;
    Timestamp::from_microsecond(number).map_err(|e| unreadable(column, e))
}

/// A number that came from [`micros`], or nothing.
pub(super) fn maybe_instant(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => instant(row, column).map(Some),
        None => Ok(None),
    }
}

/// A value that was written as its text.
pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    row.get::<_, String>(column)?.parse().map_err(|e| unreadable(column, e))
}

/// A value that was written as its text, or nothing.
pub(super) fn maybe_parsed<T: FromStr<Err: fmt::Display>>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        Some(text) => text.parse().map(Some).map_err(|e| unreadable(column, e)),
        None => Ok(None),
    }
}

/// A value that was written as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

pub(super) fn unreadable(column: &str, cause: impl fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, format!("{column}: {cause}").into())
}

/// The words for an error of SQLite.
pub(super) fn fault(path: &Path, seconds: u64, error: &rusqlite::Error) -> StateError {
    let at = path.to_owned();
    let cause = error.to_string();
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::ReadOnly) => StateError::ReadOnly { path: at },
        Some(ErrorCode::DiskFull) => StateError::Full { path: at },
        Some(ErrorCode::SystemIoFailure) if full(path) => StateError::Full { path: at },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StateError::Locked { path: at, seconds, holder: super::holder::of(path) }
        }
        Some(ErrorCode::NotADatabase) => StateError::Foreign { path: at, what: "not an SQLite database" },
        Some(ErrorCode::DatabaseCorrupt) => StateError::Corrupt { path: at, cause },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StateError::Open { path: at, cause },
        Some(_) => StateError::Failed { path: at, cause },
        None => StateError::Corrupt { path: at, cause },
    }
}

/// SQLite cannot say of all its files that the disk is full: it knows the shared index only as an input/output error.
fn full(path: &Path) -> bool {
    let place = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::statvfs(place).is_ok_and(|disk| disk.f_bavail == 0)
}

impl State {
    pub(super) fn fault(&self, error: &rusqlite::Error) -> StateError {
        fault(&self.path, self.seconds, error)
    }

    /// Whether the file that was opened is still the one that has its name. SQLite goes on writing into a deleted file.
    pub(super) fn still_there(&self) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        match std::fs::metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == file => Ok(()),
            _ => Err(StateError::Gone { path: self.path.clone() }),
        }
    }

    /// All rows of a question.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let all = || self.db.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<_>>();
        all().map_err(|e| self.fault(&e))
    }

    /// The first row of a question, where there is one.
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.rows(sql, params, read)?.into_iter().next())
    }

    /// Runs a statement and says how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        let done = || self.db.prepare_cached(sql)?.execute(params);
        done().map_err(|e| self.fault(&e))
    }
}
