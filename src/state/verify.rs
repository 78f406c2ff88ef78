//! Checking the trail: the chain entry by entry, and what the tables hold against what the trail says that they hold.

use super::audit::START;
use super::canonical::sha256;
use super::ledger::Ledger;
use super::row::micros;
use super::{AuditEntry, Head, Result, State, StateError};
use rusqlite::{Row, Transaction, TransactionBehavior};
use std::fmt;

/// The first place where the trail is not what was written, or the tables are not what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The entry; none where a row has no entry.
    pub seq: Option<u64>,
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "entry {seq}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What checking the whole trail gave.
pub type Verified = std::result::Result<Head, Broken>;

impl State {
    /// Checks the whole trail, entry by entry, as it is at one moment, and that proposals, deployments, live blocks and policy are what it says. With `known`, a head from earlier, also that the trail still goes through it.
    ///
    /// # Errors
    /// When the state cannot be read. A broken trail is no error but an answer.
    pub fn verify(&self, known: Option<&Head>) -> Result<Verified> {
        // Entries and head are read in one transaction: a writer in between would look like a broken trail.
        let begin = || Transaction::new_unchecked(&self.db, TransactionBehavior::Deferred);
        let reading = self.db.is_autocommit().then(begin).transpose().map_err(|e| self.fault(&e))?;
        let walked = self.walk(known).map_err(|e| self.fault(&e))?;
        let verified = match walked {
            Ok(chain) => self.end(chain)?,
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

    fn end(&self, chain: Chain<'_>) -> Result<Verified> {
        let contradiction = chain.ledger.against(self)?;
        Ok(chain.end(self.head())?.and_then(|head| contradiction.map_or(Ok(head), Err)))
    }
}

/// A walk along the trail.
struct Chain<'a> {
    head: Head,
    known: Option<&'a Head>,
    ledger: Ledger,
}

impl<'a> Chain<'a> {
    fn new(known: Option<&'a Head>) -> Self {
        Self { head: Head { count: 0, hash: START.to_owned() }, known, ledger: Ledger::default() }
    }

    fn follow(&mut self, row: &Row<'_>) -> Verified {
        let seq = self.head.count + 1;
        let broken = |what: &str| Broken { seq: Some(seq), what: what.to_owned() };
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
        self.ledger.note(&entry);
        self.head = Head { count: seq, hash: entry.hash };
        Ok(self.head.clone())
    }

    fn end(self, head: Result<Head>) -> Result<Verified> {
        let next = self.head.count + 1;
        let broken = |what: String| Ok(Err(Broken { seq: Some(next), what }));
        let head = match head {
            Err(StateError::Corrupt { cause, .. }) => return broken(cause),
            other => other?,
        };
        let known = self.known.filter(|known| known.count > self.head.count);
        match () {
            () if known.is_some() => broken(format!("missing: {} entries were known", known.map_or(0, |k| k.count))),
            () if head == self.head => Ok(Ok(head)),
            () if head.count > self.head.count => broken(format!("missing: the trail had {} entries", head.count)),
            () => Ok(Err(Broken { seq: Some(self.head.count), what: "not the one that the head names".into() })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, id};
    use crate::state::{Action, Note, Span};

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
