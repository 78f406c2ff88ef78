//! Proposals that wait for a person, and what one decided: bound to what is to be done and to the ruleset that it was decided for,
//! for a time, and for one deployment. Who may decide is not decided here.

use super::canonical::{canonical, sha256};
use super::row::{instant, maybe_instant, maybe_parsed, micros, parsed, unreadable};
use super::{Action, Change, Note, Result, State, StateError};
use crate::record::{Approval, ApprovalStatus, Id, Proposal, Timestamp};
use rusqlite::{Row, params};
use serde_json::json;

/// A proposal in the queue, or one that left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub proposal: Id,
    pub run: Option<Id>,
    /// Of what is to be done ([`approval_hash`]).
    pub hash: String,
    pub backend: String,
    /// Who brought it.
    pub proposer: String,
    /// Why it was not done without a person.
    pub why: String,
    pub since: Timestamp,
    /// How long it waits; of what is approved, how long that holds.
    pub until: Timestamp,
    pub status: ApprovalStatus,
    /// The hash of the ruleset that it was approved for.
    pub base: Option<String>,
    pub decided_by: Option<String>,
    pub decided_at: Option<Timestamp>,
    pub reason: Option<String>,
    /// What an approval was used for.
    pub deployment: Option<Id>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided<'a> {
    /// Yes, for the ruleset of this hash, until then.
    Approved {
        base: &'a str,
        until: Timestamp,
    },
    Rejected,
}

/// SHA-256 of what a proposal does: its rules, its changes and the packet filter that they are for. Everything else that a proposal
/// says may be another without its being another change.
pub fn approval_hash(proposal: &Proposal, backend: &str) -> String {
    sha256(&canonical(&json!({ "rules": proposal.rules, "changes": proposal.changes, "backend": backend })))
}

/// The word in the state and in the trail.
fn word(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Pending => "pending",
        ApprovalStatus::Approved => "approved",
        ApprovalStatus::Rejected => "rejected",
        ApprovalStatus::Expired => "expired",
    }
}

const STATUSES: [ApprovalStatus; 4] =
    [ApprovalStatus::Pending, ApprovalStatus::Approved, ApprovalStatus::Rejected, ApprovalStatus::Expired];

impl Queued {
    /// One that waits from now on.
    pub fn new(
        proposal: &Proposal,
        backend: &str,
        proposer: &str,
        why: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Self {
        Self {
            proposal: proposal.id.clone(),
            run: proposal.run.clone(),
            hash: approval_hash(proposal, backend),
            backend: backend.to_owned(),
            proposer: proposer.to_owned(),
            why: why.to_owned(),
            since,
            until,
            status: ApprovalStatus::Pending,
            base: None,
            decided_by: None,
            decided_at: None,
            reason: None,
            deployment: None,
        }
    }

    /// Where it stands at a time: what waits too long has expired, whether that was written or not.
    pub fn status_at(&self, now: Timestamp) -> ApprovalStatus {
        match self.status {
            ApprovalStatus::Pending | ApprovalStatus::Approved if self.until <= now && self.deployment.is_none() => {
                ApprovalStatus::Expired
            }
            status => status,
        }
    }

    /// The same for a record.
    pub fn approval(&self, now: Timestamp) -> Approval {
        Approval {
            status: self.status_at(now),
            by: self.decided_by.clone(),
            at: self.decided_at,
            reason: self.reason.clone(),
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let status: String = row.get("status")?;
    let found = STATUSES.into_iter().find(|known| word(*known) == status);
    Ok(Queued {
        proposal: parsed(row, "proposal")?,
        run: maybe_parsed(row, "run")?,
        hash: row.get("hash")?,
        backend: row.get("backend")?,
        proposer: row.get("proposer")?,
        why: row.get("why")?,
        since: instant(row, "since")?,
        until: instant(row, "until")?,
        status: found.ok_or_else(|| unreadable("status", std::io::Error::other(status)))?,
        base: row.get("base")?,
        decided_by: row.get("decided_by")?,
        decided_at: maybe_instant(row, "decided_at")?,
        reason: row.get("reason")?,
        deployment: maybe_parsed(row, "deployment")?,
    })
}

impl Change<'_> {
    /// Puts a proposal, which is in the state, into the queue. One that is there already stays as it is.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn enqueue(&self, queued: &Queued) -> Result<()> {
        let sql = "INSERT INTO approvals (proposal, run, hash, backend, proposer, why, since, until, status)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending') ON CONFLICT (proposal) DO NOTHING";
        let values = params![
            queued.proposal.as_str(),
            queued.run.as_ref().map(Id::as_str),
            queued.hash,
            queued.backend,
            queued.proposer,
            queued.why,
            micros(queued.since),
            micros(queued.until)
        ];
        if self.run(sql, values)? == 0 {
            return Ok(());
        }
        self.note(queued, Action::Queue, &queued.why)
    }

    /// Writes down what a person decided about what waits, or about what was approved and not yet used.
    ///
    /// # Errors
    /// When it does not wait any more, or the state cannot be written.
    pub fn decide(&self, proposal: &Id, decided: Decided<'_>, by: &str, reason: &str) -> Result<Queued> {
        let queued = self.waiting(proposal)?;
        let (status, action, base, until) = match decided {
            Decided::Approved { base, until } => (ApprovalStatus::Approved, Action::Approve, Some(base), until),
            Decided::Rejected => (ApprovalStatus::Rejected, Action::Reject, None, queued.until),
        };
        let sql = "UPDATE approvals SET status = ?, base = ?, until = ?, decided_by = ?, decided_at = ?, reason = ?
            WHERE proposal = ?";
        let values = params![word(status), base, micros(until), by, self.micros(), reason, proposal.as_str()];
        self.run(sql, values)?;
        self.note(&queued, action, reason)?;
        Ok(self.queued(proposal)?.unwrap_or(queued))
    }

    /// Takes the approval of a proposal, where there is one, for a deployment: for this one and no other.
    pub(super) fn use_approval(&self, proposal: &Id, deployment: &Id) -> Result<()> {
        let sql =
            "UPDATE approvals SET deployment = ? WHERE proposal = ? AND status = 'approved' AND deployment IS NULL";
        if self.run(sql, [deployment.as_str(), proposal.as_str()])? == 0 {
            return Ok(());
        }
        let Some(queued) = self.queued(proposal)? else { return Ok(()) };
        self.note(&queued, Action::Approve, &format!("used for deployment {deployment}"))
    }

    /// Ends what waited too long, and approvals that nobody used in time. Answers how many.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn expire_approvals(&self) -> Result<usize> {
        let sql =
            "SELECT * FROM approvals WHERE status IN ('pending', 'approved') AND deployment IS NULL AND until <= ?";
        let over = self.rows(sql, [self.micros()], read)?;
        for queued in &over {
            let sql = "UPDATE approvals SET status = 'expired' WHERE proposal = ?";
            self.run(sql, [queued.proposal.as_str()])?;
            self.note(queued, Action::Expire, "nobody decided or used it in time")?;
        }
        Ok(over.len())
    }

    fn waiting(&self, proposal: &Id) -> Result<Queued> {
        let none = || StateError::NotWaiting { id: proposal.to_string(), what: "is not in the queue".into() };
        let queued = self.queued(proposal)?.ok_or_else(none)?;
        let what = match (queued.status_at(self.now()), &queued.deployment) {
            (_, Some(deployment)) => format!("was deployed already: {deployment}"),
            (ApprovalStatus::Pending | ApprovalStatus::Approved, None) => return Ok(queued),
            (status, None) => format!("is {} already", word(status)),
        };
        Err(StateError::NotWaiting { id: proposal.to_string(), what })
    }

    /// Writes into the trail where an approval stands now.
    fn note(&self, queued: &Queued, action: Action, reason: &str) -> Result<()> {
        let sql = "SELECT * FROM approvals WHERE proposal = ?";
        let stands = self.row(sql, [queued.proposal.as_str()], |row| standing(row).map(|(_, stands)| stands))?;
        let (status, content) = stands.unwrap_or_default();
        let note = Note::new(action, format!("approval:{}", queued.proposal), reason).run(queued.run.as_ref());
        self.audit(&note.with("status", status).with("content", content))
    }
}

/// A row as the trail knows it: the proposal, its status, and the hash of all that an approval is bound to.
pub(super) fn standing(row: &Row<'_>) -> rusqlite::Result<(String, (String, String))> {
    let columns = ["hash", "backend", "proposer", "status", "base", "decided_by", "deployment"];
    let texts: Vec<Option<String>> = columns.iter().map(|column| row.get(*column)).collect::<rusqlite::Result<_>>()?;
    let content = sha256(&canonical(&json!([texts, row.get::<_, i64>("until")?])));
    Ok((row.get("proposal")?, (row.get("status")?, content)))
}

impl State {
    /// What waits, or was decided, about a proposal.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn queued(&self, proposal: &Id) -> Result<Option<Queued>> {
        self.row("SELECT * FROM approvals WHERE proposal = ?", [proposal.as_str()], read)
    }

    /// What waits at a time or is approved and was not used, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn queue(&self, now: Timestamp) -> Result<Vec<Queued>> {
        let sql = "SELECT * FROM approvals WHERE status IN ('pending', 'approved') AND deployment IS NULL AND until > ?
            ORDER BY since, proposal";
        self.rows(sql, [micros(now)], read)
    }

    /// Everything that ever waited, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn whole_queue(&self) -> Result<Vec<Queued>> {
        self.rows("SELECT * FROM approvals ORDER BY since, proposal", [], read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::DeploymentRow;
    use crate::state::sample::{anna, at, id, proposal, with_deployment};

    fn waiting() -> State {
        let mut state = with_deployment();
        let change = state.begin(at(10), &anna()).expect("begin");
        let queued = Queued::new(&proposal("p1"), "nftables", "root(0) by daemon", "risk red: why", at(10), at(100));
        change.enqueue(&queued).expect("queued");
        change.enqueue(&queued).expect("the same again");
        change.commit().expect("commit");
        state
    }

    fn approved(state: &mut State, now: i64, until: i64) -> Result<Queued> {
        let change = state.begin(at(now), &anna()).expect("begin");
        let decided = Decided::Approved { base: "base", until: at(until) };
        let queued = change.decide(&id("p1"), decided, "anna(1000) at /dev/pts/1", "looked at it")?;
        change.commit().expect("commit");
        Ok(queued)
    }

    #[test]
    fn what_waits_is_approved_used_once_and_all_of_it_is_in_the_trail() {
        let mut state = waiting();
        assert_eq!(state.queue(at(99)).expect("queue").len(), 1);
        let queued = approved(&mut state, 50, 80).expect("approved");
        assert_eq!(
            (queued.status, queued.base.as_deref(), queued.until),
            (ApprovalStatus::Approved, Some("base"), at(80))
        );
        let change = state.begin(at(60), &anna()).expect("begin");
        let mut row = DeploymentRow::new(id("d2"), "nftables", at(60), &anna());
        (row.proposals, row.window_seconds) = (vec![id("p1")], Some(30));
        change.deployment(&row).expect("deployment");
        let again = change.decide(&id("p1"), Decided::Rejected, "anna(1000)", "").expect_err("used");
        assert_eq!(again.to_string(), "proposal p1 was deployed already: d2");
        change.commit().expect("commit");
        assert!(state.queue(at(60)).expect("queue").is_empty());
        assert_eq!(state.queued(&id("p1")).expect("row").expect("there").status_at(at(999)), ApprovalStatus::Approved);
        let trail = state.audit_entries(&crate::state::Span::default()).expect("trail");
        let said: Vec<_> =
            trail.iter().filter(|e| e.object == "approval:p1").map(|e| e.action.as_str().to_owned()).collect();
        assert_eq!(said, ["queue", "approve", "approve"]);
        assert!(state.verify(None).expect("readable").is_ok());
    }

    #[test]
    fn nothing_waits_for_ever_and_no_approval_holds_for_ever() {
        let mut state = waiting();
        approved(&mut state, 50, 80).expect("approved");
        approved(&mut state, 60, 90).expect("again, for another ruleset");
        assert_eq!(state.queued(&id("p1")).expect("row").expect("there").status_at(at(90)), ApprovalStatus::Expired);
        let late = approved(&mut state, 95, 200).expect_err("over");
        assert_eq!(late.to_string(), "proposal p1 is expired already");
        let change = state.begin(at(95), &anna()).expect("begin");
        assert_eq!((change.expire_approvals(), change.expire_approvals()), (Ok(1), Ok(0)));
        change.commit().expect("commit");
        assert!(state.verify(None).expect("readable").is_ok());
        assert_eq!(state.whole_queue().expect("all")[0].status, ApprovalStatus::Expired);
    }

    #[test]
    fn a_rejected_proposal_is_never_approved() {
        let mut state = waiting();
        let change = state.begin(at(20), &anna()).expect("begin");
        change.decide(&id("p1"), Decided::Rejected, "anna(1000)", "no").expect("rejected");
        change.commit().expect("commit");
        assert_eq!(approved(&mut state, 30, 80).expect_err("no").to_string(), "proposal p1 is rejected already");
        let forged = state.db.execute_batch("UPDATE approvals SET status = 'approved'").expect_err("trigger");
        assert!(forged.to_string().contains("illegal change of an approval's status"), "{forged}");
        let none = state
            .begin(at(20), &anna())
            .expect("begin")
            .decide(&id("p9"), Decided::Rejected, "x", "")
            .expect_err("none");
        assert_eq!(none.to_string(), "proposal p9 is not in the queue");
    }

    #[test]
    fn the_hash_is_of_what_is_done_and_of_nothing_else() {
        let one = proposal("p1");
        let other = Proposal { explanation: "other words".into(), ..proposal("p2") };
        assert_eq!(approval_hash(&one, "nftables"), approval_hash(&other, "nftables"));
        assert_ne!(approval_hash(&one, "nftables"), approval_hash(&one, "iptables"));
    }

    #[test]
    fn an_approval_that_the_trail_does_not_know_is_found() {
        for (sql, words) in [
            (
                "UPDATE approvals SET status = 'approved'",
                "approval p1 is approved in the state and pending in the trail",
            ),
            ("UPDATE approvals SET hash = 'x'", "approval p1 is another one in the state than in the trail"),
            ("UPDATE approvals SET base = 'x'", "approval p1 is another one in the state than in the trail"),
            ("UPDATE approvals SET until = until + 1", "approval p1 is another one in the state than in the trail"),
            ("DELETE FROM approvals", "approval p1 is not in the state any more"),
        ] {
            let state = waiting();
            state.db.execute_batch(sql).expect(sql);
            let broken = state.verify(None).expect("readable").expect_err(sql).to_string();
            assert!(broken.ends_with(words), "{broken}");
        }
    }
}
