//! The audit trail: who did what, when and why, as a chain of hashes.
//!
//! An entry's hash is the SHA-256 of its body (canonical JSON, which holds the number and the hash of the entry before it), so
//! `sqlite3 state.db "select body from audit where seq=7" | tr -d '\n' | sha256sum` is the hash of entry 7. The number and the hash of the
//! last entry are kept a second time in the settings, so that entries cut off at the end are missed.
//!
//! What this sees: any entry that was edited, taken out, put in, moved, or cut off. What it cannot see: a writer of the file who makes the
//! whole chain anew from some entry on, head included, or puts back an older copy of the whole file. Against that, keep the head that
//! `verify` prints somewhere else (a log host, paper) and compare: the entry of that number must still have that hash.

use super::canonical::{canonical, sha256};
use super::change::Change;
use super::row::{micros, parsed};
use super::{Result, Span, State, StateError};
use crate::record::{Id, Timestamp};
use rusqlite::{Row, Transaction, TransactionBehavior, params};
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
    fn read(body: &str, hash: String) -> serde_json::Result<Self> {
        let Body { seq, ts, actor, action, object, run, reason, detail, prev } = serde_json::from_str(body)?;
        Ok(Self { seq, ts, actor, action, object, run, reason, detail, prev, hash })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let (body, hash): (String, String) = (row.get("body")?, row.get("hash")?);
    AuditEntry::read(&body, hash).map_err(|e| super::row::unreadable("audit", e))
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

/// The first place where the trail is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {what}")]
pub struct Broken {
    pub seq: u64,
    pub what: String,
}

/// What checking the whole trail gave.
pub type Verified = std::result::Result<Head, Broken>;

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

    /// Checks the whole trail, entry by entry, as it is at one moment. With `known`, a head from earlier, also that the trail still goes through it.
    ///
    /// # Errors
    /// When the state cannot be read. A broken trail is no error but an answer.
    pub fn verify(&self, known: Option<&Head>) -> Result<Verified> {
        // Entries and head are read in one transaction: a writer in between would look like a broken trail.
        let begin = || Transaction::new_unchecked(&self.db, TransactionBehavior::Deferred);
        let reading = self.db.is_autocommit().then(begin).transpose().map_err(|e| self.fault(&e))?;
        let walked = self.walk(known).map_err(|e| self.fault(&e))?;
        let verified = match walked {
            Ok(chain) => chain.end(self.head())?,
            Err(broken) => Err(broken),
        };
        drop(reading);
        Ok(verified)
    }

    fn walk<'k>(&self, known: Option<&'k Head>) -> rusqlite::Result<std::result::Result<Chain<'k>, Broken>> {
        let mut question = self.db.prepare("SELECT seq, ts, hash, body FROM audit ORDER BY seq")?;
        let mut rows = question.query([])?;
        let mut chain = Chain::new(known);
        while let Some(row) = rows.next()? {
            if let Err(broken) = chain.follow(row) {
                return Ok(Err(broken));
            }
        }
        Ok(Ok(chain))
    }
}

/// A walk along the trail.
struct Chain<'a> {
    head: Head,
    known: Option<&'a Head>,
}

impl<'a> Chain<'a> {
    fn new(known: Option<&'a Head>) -> Self {
        Self { head: Head { count: 0, hash: START.to_owned() }, known }
    }

    fn follow(&mut self, row: &Row<'_>) -> Verified {
        let seq = self.head.count + 1;
        let broken = |what: &str| Broken { seq, what: what.to_owned() };
        let columns = || Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?));
        let (number, ts, hash, body): (i64, i64, String, String) =
            columns().map_err(|e: rusqlite::Error| broken(&format!("cannot be read: {e}")))?;
        if u64::try_from(number) != Ok(seq) {
            return Err(broken("missing"));
        }
        if sha256(&body) != hash {
            return Err(broken("edited: its hash is not that of its text"));
        }
        let entry = AuditEntry::read(&body, hash).map_err(|e| broken(&format!("cannot be read: {e}")))?;
        if entry.seq != seq {
            return Err(broken(&format!("moved: its text is that of entry {}", entry.seq)));
        }
        if entry.prev != self.head.hash {
            return Err(broken("does not follow from the entry before it: one of the two was replaced"));
        }
        if micros(entry.ts) != ts {
            return Err(broken("edited: its time is not that of its text"));
        }
        if self.known.is_some_and(|known| known.count == seq && known.hash != entry.hash) {
            return Err(broken("is not the one that was known: the trail was made anew"));
        }
        self.head = Head { count: seq, hash: entry.hash };
        Ok(self.head.clone())
    }

    fn end(self, head: Result<Head>) -> Result<Verified> {
        let next = self.head.count + 1;
        let broken = |what: String| Ok(Err(Broken { seq: next, what }));
        let head = match head {
            Err(StateError::Corrupt { cause, .. }) => return broken(cause),
            other => other?,
        };
        let known = self.known.filter(|known| known.count > self.head.count);
        match () {
            () if known.is_some() => broken(format!("missing: {} entries were known", known.map_or(0, |k| k.count))),
            () if head == self.head => Ok(Ok(head)),
            () if head.count > self.head.count => broken(format!("missing: the trail had {} entries", head.count)),
            () => Ok(Err(Broken { seq: self.head.count, what: "not the one that the head names".into() })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, id};

    /// A trail of five entries.
    fn five() -> State {
        let mut state = State::memory().expect("memory");
        let change = state.begin(at(0), &anna()).expect("begin");
        for n in 1..=5 {
            let note = Note::new(Action::Config, format!("key{n}"), "said so")
                .run(Some(&id("run-1")))
                .with("z", n)
                .with("a", "é");
            change.audit(&note).expect("append");
        }
        change.commit().expect("commit");
        state
    }

    fn broken(sql: &str) -> String {
        let state = five();
        state.db.execute_batch(sql).expect(sql);
        state.verify(None).expect("readable").expect_err(sql).to_string()
    }

    #[test]
    fn a_trail_that_nobody_touched_holds() {
        let state = five();
        let head = state.head().expect("head");
        assert_eq!(state.verify(None), Ok(Ok(head.clone())));
        assert_eq!(state.verify(Some(&head)), Ok(Ok(head)));
        assert!(State::memory().expect("memory").verify(None).expect("readable").is_ok());
        let page = state.audit_page(&Span { since: None, run: Some(id("run-1")) }, 3).expect("entries");
        assert_eq!(page.iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5]);
        let entry = &state.audit_entries(&Span::default()).expect("entries")[4];
        assert_eq!((entry.seq, entry.object.as_str(), entry.action.as_str()), (5, "key5", "config"));
    }

    #[test]
    fn every_change_of_the_trail_is_found_and_its_place_named() {
        for (sql, words) in [
            (
                "UPDATE audit SET body = replace(body, 'key3', 'key9') WHERE seq = 3",
                "entry 3: edited: its hash is not that of its text",
            ),
            ("UPDATE audit SET ts = ts + 1 WHERE seq = 2", "entry 2: edited: its time is not that of its text"),
            ("DELETE FROM audit WHERE seq = 2", "entry 2: missing"),
            ("DELETE FROM audit WHERE seq = 1", "entry 1: missing"),
            ("DELETE FROM audit WHERE seq > 3", "entry 4: missing: the trail had 5 entries"),
            ("DELETE FROM audit", "entry 1: missing: the trail had 5 entries"),
            (
                "UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 9",
                "entry 2: moved: its text is that of entry 3",
            ),
            ("DELETE FROM settings WHERE key = 'audit_head'", "entry 6: the head of the audit trail is missing"),
            (
                "UPDATE settings SET value = replace(value, '5:', '4:') WHERE key = 'audit_head'",
                "entry 5: not the one that the head names",
            ),
        ] {
            assert_eq!(broken(sql), words, "{sql}");
        }
    }

    #[test]
    fn a_replaced_entry_breaks_the_next_link() {
        let state = five();
        let body: String = state.db.query_row("SELECT body FROM audit WHERE seq = 3", [], |r| r.get(0)).expect("body");
        let forged = body.replace("key3", "key9");
        state
            .db
            .execute("UPDATE audit SET body = ?, hash = ? WHERE seq = 3", [&forged, &sha256(&forged)])
            .expect("update");
        let words = "entry 4: does not follow from the entry before it: one of the two was replaced";
        assert_eq!(state.verify(None).expect("readable").expect_err("forged").to_string(), words);
    }

    #[test]
    fn a_head_kept_elsewhere_shows_a_trail_made_anew() {
        let known = Head { count: 3, hash: START.replace('0', "a") };
        let words = "entry 3: is not the one that was known: the trail was made anew";
        assert_eq!(five().verify(Some(&known)).expect("readable").expect_err("anew").to_string(), words);
        let longer = Head { count: 9, ..known };
        let words = "entry 6: missing: 9 entries were known";
        assert_eq!(five().verify(Some(&longer)).expect("readable").expect_err("shorter").to_string(), words);
        assert!("7:xyz".parse::<Head>().is_err() && longer.to_string().parse() == Ok(longer));
    }

    #[test]
    fn the_hash_can_be_made_with_other_tools() {
        let state = five();
        let (hash, body): (String, String) = state
            .db
            .query_row("SELECT hash, body FROM audit WHERE seq = 1", [], |r| Ok((r.get(0)?, r.get(1)?)))
            .expect("row");
        assert_eq!(hash, sha256(&body));
        assert!(body.starts_with(r#"{"action":"config","actor":{"name":"anna","uid":1000},"detail":{"a":"é","z":1},"object":"key1","prev":"000"#));
    }

    #[test]
    fn an_unreadable_entry_is_broken_and_no_panic() {
        let state = five();
        let set = |body: &str| {
            let sql = "UPDATE audit SET body = ?1, hash = ?2 WHERE seq = 2";
            state.db.execute(sql, [body, &sha256(body)]).expect("update");
            state.verify(None).expect("readable").expect_err(body).to_string()
        };
        assert!(set(r#"{"seq":"two"}"#).starts_with("entry 2: cannot be read: "));
        assert!(set("[]").starts_with("entry 2: cannot be read: "));
    }
}
