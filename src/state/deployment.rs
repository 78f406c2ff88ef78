//! Deployments: what was done, what is being done, and from where to where it may go.

use super::canonical::sha256;
use super::row::{DeploymentRow, Step, instant, json, maybe_instant, maybe_parsed, micros, parsed, unreadable};
use super::{Action, Actor, Change, Note, Result, Span, State, StateError};
use crate::record::{HeartbeatCheck, Id, Status, Timestamp};
use rusqlite::{Row, params};
use serde::Serialize;

/// What becomes known with a change of status. What is `None` or empty stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    pub applied_at: Option<Timestamp>,
    pub confirm_by: Option<Timestamp>,
    pub confirmed_by: Option<String>,
    pub error: Option<String>,
    pub heartbeat: Vec<HeartbeatCheck>,
}

/// How far a deployment has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub status: Status,
    /// The step that is under way: whose, and since when.
    pub step: Option<(Step, Actor, Timestamp)>,
    pub run: Option<Id>,
}

fn action(status: Status) -> Action {
    match status {
        Status::Pending => Action::DeployPending,
        Status::Applied => Action::DeployApplied,
        Status::Confirmed => Action::DeployConfirmed,
        Status::RolledBack => Action::DeployRolledBack,
        Status::Failed => Action::DeployFailed,
        Status::Refused => Action::DeployRefused,
    }
}

fn status(text: &str) -> Option<Status> {
    use Status::{Applied, Confirmed, Failed, Pending, Refused, RolledBack};
    [Pending, Applied, Confirmed, RolledBack, Failed, Refused].into_iter().find(|s| s.as_str() == text)
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("records have string keys and no non-finite number")
}

fn signed(number: Option<u64>) -> Option<i64> {
    number.map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(column)?.map(|n| u64::try_from(n).map_err(|e| unreadable(column, e))).transpose()
}

const INSERT: &str =
    "INSERT INTO deployments (id, run, ts, actor, backend, status, base_hash, generation_old, generation_new,
    window_seconds, applied_at, confirm_by, confirmed_by, ended_at, backup, apply_text, confirm_text, revert_text,
    policy_before, policy_after, error, heartbeat, rules, blocks)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const UPDATE: &str = "UPDATE deployments SET status = ?3, step = NULL, step_actor = NULL, step_ts = NULL,
    applied_at = coalesce(?4, applied_at), confirm_by = coalesce(?5, confirm_by), confirmed_by = coalesce(?6, confirmed_by),
    error = coalesce(?7, error), heartbeat = coalesce(?8, heartbeat), ended_at = coalesce(?9, ended_at)
    WHERE id = ?1 AND status = ?2";

impl Change<'_> {
    /// Journals a new deployment, before anything is done: pending, or refused with the error that says why.
    ///
    /// # Errors
    /// When its id is taken, a proposal of it is not in the state, its status is another, or the state cannot be written.
    pub fn deployment(&self, row: &DeploymentRow) -> Result<()> {
        if !matches!(row.status, Status::Pending | Status::Refused) {
            return Err(StateError::Illegal { id: row.id.clone(), from: Status::Pending, to: row.status });
        }
        if self.progress(&row.id)?.is_some() {
            return Err(StateError::Differs { what: "deployment", id: row.id.to_string() });
        }
        self.insert(row)?;
        for (position, proposal) in row.proposals.iter().enumerate() {
            self.link(&row.id, position, proposal)?;
            if row.status == Status::Pending {
                self.use_approval(proposal, &row.id)?;
            }
        }
        self.audit(&begun(row))
    }

    fn insert(&self, row: &DeploymentRow) -> Result<()> {
        let values = params![
            row.id.as_str(),
            row.run.as_ref().map(Id::as_str),
            micros(row.ts),
            text(&row.actor),
            row.backend,
            row.status.as_str(),
            row.base_hash,
            signed(row.generation_old),
            signed(row.generation_new),
            signed(row.window_seconds),
            row.applied_at.map(micros),
            row.confirm_by.map(micros),
            row.confirmed_by,
            row.ended_at.map(micros),
            row.backup,
            row.apply_text,
            row.confirm_text,
            row.revert_text,
            text(&row.policy_before),
            text(&row.policy_after),
            row.error,
            text(&row.heartbeat),
            text(&row.rules),
            text(&row.blocks),
        ];
        self.run(INSERT, values).map(drop)
    }

    fn link(&self, deployment: &Id, position: usize, proposal: &Id) -> Result<()> {
        if self.row("SELECT 1 FROM proposals WHERE id = ?", [proposal.as_str()], |_| Ok(()))?.is_none() {
            return Err(StateError::Unknown { what: "proposal", id: proposal.to_string() });
        }
        let values = params![deployment.as_str(), i64::try_from(position).unwrap_or(i64::MAX), proposal.as_str()];
        self.run("INSERT INTO deployment_proposals (deployment, position, proposal) VALUES (?, ?, ?)", values).map(drop)
    }

    /// Says what is about to be done for a deployment, before it is done. Only one process does something at a time.
    ///
    /// # Errors
    /// When the deployment is not (or no longer) `from`, is at its end, or another step of it is under way.
    pub fn attempt(&self, id: &Id, from: Status, step: Step, reason: &str) -> Result<()> {
        let now = self.expect_progress(id)?;
        if now.status != from {
            return Err(StateError::Changed { id: id.clone(), expected: from, found: now.status });
        }
        if matches!(from, Status::RolledBack | Status::Refused) {
            return Err(StateError::Illegal { id: id.clone(), from, to: from });
        }
        if let Some((step, actor, since)) = now.step {
            let (actor, since) = (actor.to_string(), since.to_string());
            return Err(StateError::UnderWay { id: id.clone(), step, actor, since });
        }
        self.run(
            "UPDATE deployments SET step = ?, step_actor = ?, step_ts = ? WHERE id = ?",
            params![step.as_str(), text(self.actor()), self.micros(), id.as_str()],
        )?;
        let action = match step {
            Step::Applying => Action::DeployApplying,
            Step::Confirming => Action::DeployConfirming,
            Step::Reverting => Action::DeployReverting,
        };
        self.audit(&Note::new(action, format!("deployment:{id}"), reason).run(now.run.as_ref()))
    }

    /// Gives up a step that a dead process left, after a look at the kernel has told what came of it.
    ///
    /// # Errors
    /// When there is no such deployment, or the state cannot be written.
    pub fn abandon(&self, id: &Id, reason: &str) -> Result<()> {
        let now = self.expect_progress(id)?;
        let sql = "UPDATE deployments SET step = NULL, step_actor = NULL, step_ts = NULL WHERE id = ?";
        self.run(sql, [id.as_str()])?;
        let step = now.step.map(|(step, ..)| step.as_str());
        self.audit(
            &Note::new(Action::Recover, format!("deployment:{id}"), reason).run(now.run.as_ref()).with("step", step),
        )
    }

    /// Moves a deployment from one status to another and ends its step. Of two processes that try, one succeeds.
    ///
    /// # Errors
    /// When that move is not legal, the deployment is not `from`, or the state cannot be written.
    pub fn transition(&self, id: &Id, from: Status, to: Status, outcome: &Outcome, reason: &str) -> Result<()> {
        if !from.may_become(to) {
            return Err(StateError::Illegal { id: id.clone(), from, to });
        }
        let now = self.expect_progress(id)?;
        let heartbeat = (!outcome.heartbeat.is_empty()).then(|| text(&outcome.heartbeat));
        let ended = (to != Status::Applied).then_some(self.micros());
        let values = params![
            id.as_str(),
            from.as_str(),
            to.as_str(),
            outcome.applied_at.map(micros),
            outcome.confirm_by.map(micros),
            outcome.confirmed_by,
            outcome.error,
            heartbeat,
            ended,
        ];
        if self.run(UPDATE, values)? == 0 {
            return Err(StateError::Changed { id: id.clone(), expected: from, found: now.status });
        }
        let note = Note::new(action(to), format!("deployment:{id}"), reason).run(now.run.as_ref());
        let until = outcome.confirm_by.map(|ts| ts.to_string());
        self.audit(&note.with("from", from.as_str()).with("confirm_by", until).with("error", outcome.error.clone()))
    }

    /// Keeps the text of what was there before and the texts that confirm and put back, once they are known. What is `None` stays.
    ///
    /// # Errors
    /// When there is no such deployment, or the state cannot be written.
    pub fn texts(&self, id: &Id, backup: Option<&str>, confirm: Option<&str>, revert: Option<&str>) -> Result<()> {
        self.expect_progress(id)?;
        let sql = "UPDATE deployments SET backup = coalesce(?2, backup), confirm_text = coalesce(?3, confirm_text),
            revert_text = coalesce(?4, revert_text) WHERE id = ?1";
        self.run(sql, params![id.as_str(), backup, confirm, revert]).map(drop)
    }
}

fn begun(row: &DeploymentRow) -> Note {
    let ids = |list: &[Id]| list.iter().map(Id::to_string).collect::<Vec<_>>();
    let words = match (&row.error, row.window_seconds) {
        (Some(error), _) => error.clone(),
        (None, Some(seconds)) => format!("to be confirmed within {seconds} s"),
        (None, None) => "without a window".to_owned(),
    };
    Note::new(action(row.status), format!("deployment:{}", row.id), words)
        .run(row.run.as_ref())
        .with("proposals", ids(&row.proposals))
        .with("rules", ids(&row.rules))
        .with("blocks", row.blocks.clone())
        .with("backend", row.backend.clone())
        .with("base_hash", row.base_hash.clone())
        .with("policy_before", sha256(&text(&row.policy_before)))
        .with("policy_after", sha256(&text(&row.policy_after)))
}

fn read(row: &Row<'_>) -> rusqlite::Result<DeploymentRow> {
    let word: String = row.get("status")?;
    Ok(DeploymentRow {
        id: parsed(row, "id")?,
        run: maybe_parsed(row, "run")?,
        ts: instant(row, "ts")?,
        actor: json(row, "actor")?,
        proposals: vec![],
        backend: row.get("backend")?,
        status: status(&word).ok_or_else(|| unreadable("status", &word))?,
        step: step(row)?,
        base_hash: row.get("base_hash")?,
        generation_old: unsigned(row, "generation_old")?,
        generation_new: unsigned(row, "generation_new")?,
        window_seconds: unsigned(row, "window_seconds")?,
        applied_at: maybe_instant(row, "applied_at")?,
        confirm_by: maybe_instant(row, "confirm_by")?,
        confirmed_by: row.get("confirmed_by")?,
        ended_at: maybe_instant(row, "ended_at")?,
        backup: row.get("backup")?,
        apply_text: row.get("apply_text")?,
        confirm_text: row.get("confirm_text")?,
        revert_text: row.get("revert_text")?,
        policy_before: json(row, "policy_before")?,
        policy_after: json(row, "policy_after")?,
        error: row.get("error")?,
        heartbeat: json(row, "heartbeat")?,
        rules: json(row, "rules")?,
        blocks: json(row, "blocks")?,
    })
}

fn step(row: &Row<'_>) -> rusqlite::Result<Option<(Step, Actor, Timestamp)>> {
    let Some(word) = row.get::<_, Option<String>>("step")? else { return Ok(None) };
    let step = [Step::Applying, Step::Confirming, Step::Reverting].into_iter().find(|s| s.as_str() == word);
    let step = step.ok_or_else(|| unreadable("step", &word))?;
    Ok(Some((step, json(row, "step_actor")?, instant(row, "step_ts")?)))
}

impl State {
    fn expect_progress(&self, id: &Id) -> Result<Progress> {
        self.progress(id)?.ok_or_else(|| StateError::Unknown { what: "deployment", id: id.to_string() })
    }

    /// How far the deployment of this id has come.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn progress(&self, id: &Id) -> Result<Option<Progress>> {
        let read = |row: &Row<'_>| {
            let word: String = row.get("status")?;
            let status = status(&word).ok_or_else(|| unreadable("status", &word))?;
            Ok(Progress { status, step: step(row)?, run: maybe_parsed(row, "run")? })
        };
        let sql = "SELECT status, step, step_actor, step_ts, run FROM deployments WHERE id = ?";
        self.row(sql, [id.as_str()], read)
    }

    fn with_proposals(&self, rows: Vec<DeploymentRow>) -> Result<Vec<DeploymentRow>> {
        let sql = "SELECT proposal FROM deployment_proposals WHERE deployment = ? ORDER BY position";
        rows.into_iter()
            .map(|row| {
                let proposals = self.rows(sql, [row.id.as_str()], |r| parsed(r, "proposal"))?;
                Ok(DeploymentRow { proposals, ..row })
            })
            .collect()
    }

    /// The deployment of this id.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn deployment_row(&self, id: &Id) -> Result<Option<DeploymentRow>> {
        let rows = self.rows("SELECT * FROM deployments WHERE id = ?", [id.as_str()], read)?;
        Ok(self.with_proposals(rows)?.into_iter().next())
    }

    /// The deployments of one run or one span of time, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn deployments(&self, span: &Span) -> Result<Vec<DeploymentRow>> {
        let rows = self.rows(&span.sql("deployments", "ts, id"), span.params(), read)?;
        self.with_proposals(rows)
    }

    /// What is pending or waits for its confirmation, oldest first: what `recover` has to look at.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn unfinished(&self) -> Result<Vec<DeploymentRow>> {
        let sql =
            "SELECT * FROM deployments WHERE status IN ('pending', 'applied') OR step IS NOT NULL ORDER BY ts, id";
        let rows = self.rows(sql, [], read)?;
        self.with_proposals(rows)
    }

    /// The newest confirmed deployment that changed the policy.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn last_policy_change(&self) -> Result<Option<DeploymentRow>> {
        let sql = "SELECT * FROM deployments WHERE status = 'confirmed' AND generation_new IS NOT NULL
            ORDER BY generation_new DESC, ended_at DESC LIMIT 1";
        let rows = self.rows(sql, [], read)?;
        Ok(self.with_proposals(rows)?.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, id, proposal, with_deployment};

    const ALL: [Status; 6] =
        [Status::Pending, Status::Applied, Status::Confirmed, Status::RolledBack, Status::Failed, Status::Refused];

    fn go(state: &mut State, from: Status, to: Status) -> Result<()> {
        let change = state.begin(at(1), &anna())?;
        change.transition(&id("d1"), from, to, &Outcome::default(), "because")?;
        change.commit()
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        let row = DeploymentRow {
            run: Some(id("run-1")),
            proposals: vec![id("p1")],
            base_hash: Some("abc".into()),
            generation_old: Some(1),
            generation_new: Some(2),
            window_seconds: Some(30),
            backup: Some("table inet afo {}".into()),
            apply_text: Some("add".into()),
            confirm_text: Some("swap".into()),
            revert_text: Some("delete".into()),
            heartbeat: vec![HeartbeatCheck { check: "gateway".into(), ok: true, detail: None }],
            rules: vec![id("r1"), id("r2")],
            blocks: vec!["203.0.113.9".into()],
            ..DeploymentRow::new(id("d2"), "nftables", at(1), &anna())
        };
        change.deployment(&row).expect("deployment");
        assert_eq!(change.deployment_row(&id("d2")), Ok(Some(row)));
    }

    #[test]
    fn confirmed_cannot_become_applied_and_every_other_illegal_move_is_refused() {
        for (from, to) in ALL.into_iter().flat_map(|from| ALL.map(|to| (from, to))).filter(|(f, t)| !f.may_become(*t)) {
            let mut state = with_deployment();
            let error = go(&mut state, from, to).expect_err("illegal");
            assert_eq!(error.to_string(), format!("deployment d1 cannot go from {from} to {to}"));
        }
        let mut state = with_deployment();
        go(&mut state, Status::Pending, Status::Confirmed).expect("legal");
        let by_hand = state.db.execute("UPDATE deployments SET status = 'applied'", []).expect_err("the trigger");
        assert_eq!(by_hand.to_string(), "illegal change of a deployment's status");
    }

    #[test]
    fn the_second_of_two_confirmations_is_told_who_was_faster() {
        let mut state = with_deployment();
        go(&mut state, Status::Pending, Status::Applied).expect("applied");
        go(&mut state, Status::Applied, Status::Confirmed).expect("confirmed");
        let error = go(&mut state, Status::Applied, Status::Confirmed).expect_err("too late");
        assert_eq!(error.to_string(), "deployment d1 is confirmed, not applied: another process was faster");
        assert!(error.is_refusal());
    }

    #[test]
    fn a_step_is_journalled_before_it_is_done_and_taken_by_one_only() {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        change.attempt(&id("d1"), Status::Pending, Step::Applying, "nft -f").expect("the first");
        let error = change.attempt(&id("d1"), Status::Pending, Step::Applying, "nft -f").expect_err("the second");
        assert_eq!(error.to_string(), "deployment d1 is already applying by anna(1000) since 2027-01-15T08:00:01Z");
        change.abandon(&id("d1"), "its process is dead and nothing is in the kernel").expect("abandon");
        change.attempt(&id("d1"), Status::Pending, Step::Applying, "again").expect("free again");
        change.transition(&id("d1"), Status::Pending, Status::Applied, &Outcome::default(), "done").expect("applied");
        let (mut other, d1) = (with_deployment(), id("d1"));
        go(&mut other, Status::Pending, Status::RolledBack).expect("at its end");
        let late = other.begin(at(2), &anna()).expect("begin");
        let error = late.attempt(&d1, Status::RolledBack, Step::Reverting, "again").expect_err("it has ended");
        assert_eq!(error.to_string(), "deployment d1 cannot go from rolled_back to rolled_back");
        let row = change.deployment_row(&id("d1")).expect("row").expect("d1");
        let progress = Progress { status: row.status, step: row.step, run: row.run };
        assert_eq!((&progress.step, change.progress(&id("d1"))), (&None, Ok(Some(progress.clone()))));
        assert_eq!(change.progress(&id("d9")), Ok(None));
        change.commit().expect("commit");
        let actions: Vec<_> =
            state.audit_entries(&Span::default()).expect("trail").into_iter().map(|e| e.action).collect();
        assert_eq!(
            actions,
            ["propose", "deploy.pending", "deploy.applying", "recover", "deploy.applying", "deploy.applied"]
        );
    }

    #[test]
    fn what_is_not_committed_was_not_done() {
        let mut state = with_deployment();
        let head = state.head().expect("head");
        let change = state.begin(at(1), &anna()).expect("begin");
        change.transition(&id("d1"), Status::Pending, Status::Failed, &Outcome::default(), "x").expect("failed");
        assert_ne!(change.head().expect("head"), head);
        drop(change);
        assert_eq!(state.head().expect("head"), head);
        assert_eq!(state.unfinished().expect("rows")[0].status, Status::Pending);
    }

    #[test]
    fn an_outcome_keeps_what_it_does_not_say() {
        let mut state = with_deployment();
        let change = state.begin(at(5), &anna()).expect("begin");
        let applied = Outcome { applied_at: Some(at(5)), confirm_by: Some(at(35)), ..Outcome::default() };
        change.transition(&id("d1"), Status::Pending, Status::Applied, &applied, "armed").expect("applied");
        let confirmed = Outcome { confirmed_by: Some("anna(1000)".into()), ..Outcome::default() };
        change.transition(&id("d1"), Status::Applied, Status::Confirmed, &confirmed, "asked").expect("confirmed");
        change.commit().expect("commit");
        let row = state.last_policy_change().expect("row").expect("d1");
        assert_eq!((row.applied_at, row.confirm_by, row.ended_at), (Some(at(5)), Some(at(35)), Some(at(5))));
        assert_eq!(row.record().confirmed_by.as_deref(), Some("anna(1000)"));
        assert_eq!(state.unfinished(), Ok(vec![]));
    }

    #[test]
    fn unknown_and_taken_ids_are_named() {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        let words = |result: Result<()>| result.expect_err("refused").to_string();
        let row = DeploymentRow::new(id("d1"), "nftables", at(1), &anna());
        assert_eq!(words(change.deployment(&row)), "deployment d1 is already recorded with other content");
        let row = DeploymentRow { id: id("d2"), proposals: vec![id("p9")], ..row };
        assert_eq!(words(change.deployment(&row)), "no proposal p9 in the state");
        assert_eq!(words(change.abandon(&id("d9"), "x")), "no deployment d9 in the state");
        let other = crate::record::Proposal { explanation: "other".into(), ..proposal("p1") };
        let error = change.proposal(&other).expect_err("other content");
        assert_eq!(error.to_string(), "proposal p1 is already recorded with other content");
        assert_eq!(
            change.proposal(&proposal("p1")),
            Ok(change.stored_proposal(&id("p1")).expect("p1").expect("p1").hash)
        );
    }
}
