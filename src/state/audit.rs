//! The audit trail: who did what, when and why, as a chain of hashes.
//!
//! An entry's hash is the SHA-256 of its body (canonical JSON, which holds the number and the hash of the entry before it), so
//! `sqlite3 state.db "select body from audit where seq=7" | tr -d '\n' | sha256sum` is the hash of entry 7. The number and the hash of the
//! last entry are kept a second time in the settings, so that entries cut off at the end are missed.
//!
//! What this sees ([`State::verify`]): any entry that was edited, taken out, put in, moved, or cut off, and rows of the other tables that are not what
//! the trail says. What it cannot see: a writer of the file who makes the
//! whole chain anew from some entry on, head included, or puts back an older copy of the whole file. Against that, keep the head that
//! `verify` prints somewhere else (a log host, paper) and compare: the entry of that number must still have that hash.

use super::canonical::{canonical, sha256};
use super::change::Change;
use super::row::{micros, parsed, unreadable};
use super::{Result, Span, State, StateError};
use crate::record::{Id, Timestamp};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

pub(super) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who does a thing: a person by user name and uid, or a program that acts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

impl Actor {
    /// A person, or a program under a person's uid.
    pub fn user(name: impl Into<String>, uid: u32) -> Self {
        Self { name: name.into(), uid: Some(uid) }
    }

    /// AFO acting by itself: `daemon`, `recover`, …
    pub fn program(name: impl Into<String>) -> Self {
        Self { name: name.into(), uid: None }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uid {
            Some(uid) => write!(f, "{}({uid})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

macro_rules! actions {
    ($($variant:ident = $word:literal),+ $(,)?) => {
        /// What was done, or is about to be.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Action { $(#[serde(rename = $word)] $variant),+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the trail.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

actions! {
    Propose = "propose",
    Queue = "queue",
    Approve = "approve",
    Reject = "reject",
    DeployPending = "deploy.pending",
    DeployApplying = "deploy.applying",
    DeployApplied = "deploy.applied",
    DeployConfirming = "deploy.confirming",
    DeployConfirmed = "deploy.confirmed",
    DeployReverting = "deploy.reverting",
    DeployRolledBack = "deploy.rolled_back",
    DeployFailed = "deploy.failed",
    DeployRefused = "deploy.refused",
    Policy = "policy",
    Block = "block",
    Unblock = "unblock",
    Expire = "expire",
    Recover = "recover",
    Flush = "flush",
    Config = "config",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be put into the trail; time and actor are the change's.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub action: Action,
    /// What it was done to: `deployment:ID`, `block:ADDRESS`, `proposal:ID`, a key.
    pub object: String,
    pub run: Option<Id>,
    /// Why, in words.
    pub reason: String,
    pub detail: Map<String, Value>,
}

impl Note {
    /// A note without run and detail.
    pub fn new(action: Action, object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action, object: object.into(), run: None, reason: reason.into(), detail: Map::new() }
    }

    /// The same with the run that it belongs to.
    #[must_use]
    pub fn run(self, run: Option<&Id>) -> Self {
        Self { run: run.cloned(), ..self }
    }

    /// The same with one more fact; `null` is left out.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.detail.insert(key.to_owned(), value);
        }
        self
    }
}

/// One entry of the trail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub seq: u64,
    pub ts: Timestamp,
    pub actor: Actor,
    /// A word of [`Action`]; a later program may know more of them.
    pub action: String,
    pub object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
    pub reason: String,
    pub detail: Map<String, Value>,
    pub prev: String,
    pub hash: String,
}

#[derive(Deserialize)]
struct Body {
    seq: u64,
    ts: Timestamp,
    actor: Actor,
    action: String,
    object: String,
    run: Option<Id>,
    reason: String,
    detail: Map<String, Value>,
    prev: String,
}

impl AuditEntry {
    pub(super) fn read(body: &str, hash: String) -> serde_json::Result<Self> {
        let Body { seq, ts, actor, action, object, run, reason, detail, prev } = serde_json::from_str(body)?;
        Ok(Self { seq, ts, actor, action, object, run, reason, detail, prev, hash })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let (body, hash): (String, String) = (row.get("body")?, row.get("hash")?);
    AuditEntry::read(&body, hash).map_err(|e| unreadable("audit", e))
}

/// How many entries there are and the hash of the last one: `7:9f86d0…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub count: u64,
    pub hash: String,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.count, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || format!("`{}` is not a head like 7:9f86d0…, a count and 64 hexadecimal digits", text.escape_debug());
        let (count, hash) = text.split_once(':').ok_or_else(wrong)?;
        let hex = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        let count = count.parse().ok().filter(|_| hex).ok_or_else(wrong)?;
        Ok(Self { count, hash: hash.to_owned() })
    }
}

impl Change<'_> {
    /// Appends an entry; it is kept together with the rest of the change, or not at all.
    ///
    /// # Errors
    /// When the state cannot be written, or the head of the trail is missing.
    pub fn audit(&self, note: &Note) -> Result<()> {
        let head = self.head()?;
        let seq = head.count + 1;
        let mut body = json!({
            "seq": seq, "ts": self.now(), "actor": self.actor(), "action": note.action, "object": note.object,
            "reason": note.reason, "detail": note.detail, "prev": head.hash,
        });
        if let Some(run) = &note.run {
            body["run"] = json!(run);
        }
        let body = canonical(&body);
        let hash = sha256(&body);
        let number = i64::try_from(seq).expect("2^63 entries do not fit on a disk");
        let entry = params![number, micros(self.now()), hash, body];
        self.run("INSERT INTO audit (seq, ts, hash, body) VALUES (?, ?, ?, ?)", entry)?;
        let head = Head { count: seq, hash }.to_string();
        self.run("UPDATE settings SET value = ? WHERE key = 'audit_head'", [head]).map(drop)
    }
}

impl State {
    /// How far the trail goes, as the settings say.
    ///
    /// # Errors
    /// When the state cannot be read, or it is not said there.
    pub fn head(&self) -> Result<Head> {
        let sql = "SELECT value FROM settings WHERE key = 'audit_head'";
        let head = self.row(sql, [], |row| parsed::<Head>(row, "value"))?;
        head.ok_or_else(|| StateError::Corrupt {
            path: self.path.clone(),
            cause: "the head of the audit trail is missing".into(),
        })
    }

    /// The entries inside `span`, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read or an entry is no entry ([`verify`](Self::verify) says more).
    pub fn audit_entries(&self, span: &Span) -> Result<Vec<AuditEntry>> {
        self.rows(&span.sql("audit", "seq"), span.params(), entry)
    }

    /// At most a thousand entries inside `span` after the entry `seq`, oldest first: to read a long trail without holding all of it, nor a snapshot.
    ///
    /// # Errors
    /// As [`audit_entries`](Self::audit_entries).
    pub fn audit_page(&self, span: &Span, seq: u64) -> Result<Vec<AuditEntry>> {
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let sql = span.page("audit", "seq > ?", "seq");
        self.rows(&sql, span.page_params([after.into()]), entry)
    }
}
