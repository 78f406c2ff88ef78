use super::canonical::{canonical, sha256};
use super::row::{instant, json, maybe_parsed, parsed};
use super::{Action, Change, Note, Result, State, StateError};
use crate::record::{Id, Proposal, Timestamp};
use rusqlite::{Row, params};

/// A proposal as it was when it came.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProposal {
    pub id: Id,
    pub run: Option<Id>,
    pub ts: Timestamp,
    /// SHA-256 of the canonical JSON of the whole proposal.
    pub hash: String,
    pub proposal: Proposal,
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredProposal> {
    Ok(StoredProposal {
        id: parsed(row, "id")?,
        run: maybe_parsed(row, "run")?,
        ts: instant(row, "ts")?,
        hash: row.get("hash")?,
        proposal: json(row, "json")?,
    })
}

impl Change<'_> {
    /// Stores a proposal and says so in the audit trail; the same one again is nothing new. Answers its hash.
    ///
    /// # Errors
    /// When another proposal has its id, or the state cannot be written.
    pub fn proposal(&self, proposal: &Proposal) -> Result<String> {
        let value = serde_json::to_value(proposal).expect("a record has string keys and no non-finite number");
        let body = canonical(&value);
        let hash = sha256(&body);
        let id = &proposal.id;
        if let Some(stored) =
            self.row("SELECT hash FROM proposals WHERE id = ?", [id.as_str()], |row| row.get::<_, String>(0))?
        {
            let differs = || StateError::Differs { what: "proposal", id: id.to_string() };
            return if stored == hash { Ok(hash) } else { Err(differs()) };
        }
        let run = proposal.run.as_ref();
        self.run(
            "INSERT INTO proposals (id, run, ts, hash, json) VALUES (?, ?, ?, ?, ?)",
            params![id.as_str(), run.map(Id::as_str), super::row::micros(proposal.ts), hash, body],
        )?;
        self.audit(&propose(proposal, &hash))?;
        Ok(hash)
    }
}

/// What the trail says of a proposal: what was asked for, and what it comes to.
fn propose(proposal: &Proposal, hash: &str) -> Note {
    let origin = &proposal.origin;
    let asked = origin.request.clone().or_else(|| origin.assessment.as_ref().map(|id| format!("assessment {id}")));
    Note::new(
        Action::Propose,
        format!("proposal:{}", proposal.id),
        asked.unwrap_or_else(|| proposal.explanation.clone()),
    )
    .run(proposal.run.as_ref())
    .with("explanation", proposal.explanation.clone())
    .with("rules", proposal.rules.len())
    .with("hash", hash)
}

impl State {
    /// The proposal of this id.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn stored_proposal(&self, id: &Id) -> Result<Option<StoredProposal>> {
        self.row("SELECT * FROM proposals WHERE id = ?", [id.as_str()], read)
    }
}
