//! The steps of a change of policy, each journalled before it is done: arm, confirm, take back, and what recovery makes of a
//! step that was cut short.

use super::backend::{Arming, Wanted, no_window};
use super::site::{Site, failure};
use super::split::standing;
use crate::cli::{Exit, Failure};
use crate::deploy::{Kernel, Recovery, recovery};
use crate::record::{HeartbeatCheck, Id, Rule, Status, Timestamp};
use crate::state::{DeploymentRow, Outcome, PolicyRule, Step};
use crate::sys::clock;
use jiff::SignedDuration;

/// The generation that the state's policy is in the kernel, as the journal knows it.
pub const GENERATION: &str = "generation";

/// The backend that the state's policy is in.
pub const BACKEND: &str = "backend";

/// The rules of a policy that still hold, each with the time that it has left.
fn rules(policy: &[PolicyRule]) -> Vec<Rule> {
    standing(policy, clock::now()).into_iter().map(|p| p.rule).collect()
}

/// How the journal and the kernel stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// The kernel holds what the journal says.
    Same,
    /// The kernel holds less or older rules: a reboot, a flush by another program, a switch that was cut short.
    Behind,
}

/// Compares the kernel's generation with the journal's.
///
/// # Errors
/// When the kernel holds rules that this state does not know: they would be lost.
pub fn story(site: &Site, live: &Kernel) -> Result<Story, Failure> {
    let known = site.state.setting(GENERATION).map_err(failure)?.and_then(|text| text.parse::<u64>().ok());
    match (live.settled, known) {
        (Some(generation), known) if known.is_none_or(|known| generation > known) => {
            let words =
                format!("the kernel holds rules of AFO (generation {generation}) that this state does not know");
            let hint = "name the state that they came from with --state FILE, or begin anew: afo-deploy flush-afo";
            Err(Failure::refused(words).hint(hint))
        }
        (generation, known) if generation == known => Ok(Story::Same),
        _ => Ok(Story::Behind),
    }
}

/// How `row`'s policy is armed and taken back.
///
/// # Errors
/// When a window is open, or a rule cannot be had in the backend.
pub fn arming(site: &Site, row: &DeploymentRow, remember: bool) -> Result<Arming, Failure> {
    let (policy, protected) = (rules(&row.policy_after), site.protected());
    let window = row.window_seconds.unwrap_or(1);
    site.backend.arm(&Wanted { policy: &policy, window, protected: &protected, remember })
}

/// Journals `row`, arms it in the kernel and journals that; the row as it is then.
///
/// # Errors
/// When the state cannot be written, or the kernel refuses; nothing is different then.
pub fn open_window(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let change = site.begin()?;
    change.deployment(row).map_err(failure)?;
    change.attempt(&row.id, Status::Pending, Step::Applying, "arms the new policy behind a switch").map_err(failure)?;
    change.commit().map_err(failure)?;
    let text = row.apply_text.as_deref().unwrap_or_default();
    if let Err(failed) = site.of(row)?.load(text) {
        return Err(not_applied(site, &row.id, failed));
    }
    let now = clock::now();
    let seconds = i64::try_from(row.window_seconds.unwrap_or(0)).unwrap_or(i64::MAX);
    let confirm_by = now.checked_add(SignedDuration::from_secs(seconds)).ok();
    let outcome = Outcome { applied_at: Some(now), confirm_by, ..Outcome::default() };
    let change = site.begin()?;
    change
        .transition(&row.id, Status::Pending, Status::Applied, &outcome, "the kernel holds it until its window ends")
        .map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

fn not_applied(site: &mut Site, id: &Id, failed: Failure) -> Failure {
    let outcome = Outcome { error: Some(failed.message.clone()), ..Outcome::default() };
    let journalled = site.begin().and_then(|change| {
        change.transition(id, Status::Pending, Status::Failed, &outcome, "the kernel refused it").map_err(failure)?;
        change.commit().map_err(failure)
    });
    journalled.err().unwrap_or(failed)
}

/// The row of a deployment as the state has it.
///
/// # Errors
/// When there is none, or the state cannot be read.
pub fn reread(site: &Site, id: &Id) -> Result<DeploymentRow, Failure> {
    let row = site.state.deployment_row(id).map_err(failure)?;
    row.ok_or_else(|| Failure::new(Exit::No, format!("there is no deployment {id}")).hint("afo-log deployments"))
}

/// Makes an armed deployment the policy for good.
///
/// # Errors
/// When its window is over (exit 4: it was taken back), or the kernel or the state refuses.
pub fn confirm(site: &mut Site, id: &Id, by: &str, heartbeat: Vec<HeartbeatCheck>) -> Result<DeploymentRow, Failure> {
    let row = reread(site, id)?;
    if row.status == Status::Confirmed {
        return Ok(row);
    }
    if row.status != Status::Applied {
        return Err(too_late(&row));
    }
    let backend = site.of(&row)?;
    let observed = backend.observe()?;
    if observed.window != row.generation_new || !observed.armed {
        return Err(too_late(&settle(site, &row)?));
    }
    step(site, id, Status::Applied, Step::Confirming, &format!("confirmed by {by}"))?;
    if backend.confirm(&rules(&row.policy_after)).is_err() {
        // The kernel's time was over first, or somebody else was faster: what it holds now tells which.
        abandon(site, id, "the kernel refused the confirmation")?;
        return Err(too_late(&settle(site, &reread(site, id)?)?));
    }
    complete(site, &row, by, heartbeat)
}

fn too_late(row: &DeploymentRow) -> Failure {
    let words = format!("deployment {} is {} and cannot be confirmed any more", row.id, row.status);
    let exit = if row.status == Status::RolledBack { Exit::PutBack } else { Exit::No };
    Failure::new(exit, words).hint("propose it again, and confirm inside the window")
}

fn step(site: &mut Site, id: &Id, from: Status, step: Step, reason: &str) -> Result<(), Failure> {
    let change = site.begin()?;
    change.attempt(id, from, step, reason).map_err(failure)?;
    change.commit().map_err(failure)
}

fn abandon(site: &mut Site, id: &Id, reason: &str) -> Result<(), Failure> {
    let change = site.begin()?;
    change.abandon(id, reason).map_err(failure)?;
    change.commit().map_err(failure)
}

/// Journals what the kernel has confirmed.
fn complete(
    site: &mut Site,
    row: &DeploymentRow,
    by: &str,
    heartbeat: Vec<HeartbeatCheck>,
) -> Result<DeploymentRow, Failure> {
    let outcome = Outcome { confirmed_by: Some(by.to_owned()), heartbeat, ..Outcome::default() };
    let generation = row.generation_new.unwrap_or_default().to_string();
    let change = site.begin()?;
    change
        .transition(&row.id, row.status, Status::Confirmed, &outcome, &format!("confirmed by {by}"))
        .map_err(failure)?;
    change.policy(&row.policy_after, &format!("deployment {}", row.id)).map_err(failure)?;
    change.set(GENERATION, &generation).map_err(failure)?;
    change.set(BACKEND, &row.backend).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Takes an armed deployment out of the kernel, its window open or over.
///
/// # Errors
/// When the kernel refuses while the change still holds (exit 5), or the state cannot be written.
pub fn take_back(site: &mut Site, row: &DeploymentRow, reason: &str) -> Result<DeploymentRow, Failure> {
    step(site, &row.id, row.status, Step::Reverting, reason)?;
    let backend = site.of(row)?;
    if backend.observe()?.window == row.generation_new
        && let Err(error) = backend.take_back(Some(&rules(&row.policy_before)))
    {
        abandon(site, &row.id, "the kernel refused to take it back")?;
        let holds = backend.observe().map_or(true, |kernel| kernel.armed);
        let exit = if holds { Exit::Unknown } else { Exit::Refused };
        let words = format!("deployment {} could not be taken back: {error}", row.id);
        return Err(Failure::new(exit, words)
            .hint("the kernel ends it by itself when its window is over; then: afo-deploy recover"));
    }
    let outcome = Outcome { error: Some(reason.to_owned()), ..Outcome::default() };
    let change = site.begin()?;
    change.transition(&row.id, row.status, Status::RolledBack, &outcome, reason).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Ends a window whose time is over.
///
/// # Errors
/// As [`take_back`]; also when it was ended elsewhere meanwhile.
pub fn lapse(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    take_back(site, &reread(site, &row.id)?, "it was not confirmed inside its window")
}

/// Brings the journal and the kernel together for a deployment that is not at its end.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn settle(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let Some(new) = row.generation_new else { return Ok(row.clone()) };
    if row.status == Status::Confirmed {
        return settle_undo(site, row);
    }
    let observed = site.of(row)?.observe()?;
    let what = recovery(row.status, new, row.confirm_by, &observed, clock::now());
    if what != Recovery::Wait && row.step.is_some() {
        abandon(site, &row.id, "its process has not ended it")?;
    }
    match what {
        Recovery::Wait => Ok(row.clone()),
        Recovery::Fail => fail(site, row),
        Recovery::Complete => {
            applied_first(site, row)?;
            complete(site, &reread(site, &row.id)?, "the kernel, before its process ended", vec![])
        }
        Recovery::TakeBack => take_back(site, &reread(site, &row.id)?, "its window ended without a confirmation"),
        Recovery::Wiped => wiped(site, row),
    }
}

/// A confirmed deployment that was being taken back: where the state's policy has nothing of it any more it is taken back, and the
/// comparison of generations brings the kernel there; else it stands.
fn settle_undo(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let policy = site.state.policy_rules().map_err(failure)?;
    if without(&policy, row) != policy {
        abandon(site, &row.id, "its process has not ended it")?;
        return reread(site, &row.id);
    }
    let change = site.begin()?;
    let words = "taken back by hand, before its process ended";
    change.transition(&row.id, row.status, Status::RolledBack, &Outcome::default(), words).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// The policy without what `row` brought, and with what it took away.
pub fn without(policy: &[PolicyRule], row: &DeploymentRow) -> Vec<PolicyRule> {
    let after: Vec<&Id> = row.policy_after.iter().map(|p| &p.rule.id).collect();
    let mut rest: Vec<PolicyRule> = policy.iter().filter(|p| p.deployment != row.id).cloned().collect();
    for (at, old) in row.policy_before.iter().enumerate() {
        let there = rest.iter().any(|p| p.rule.id == old.rule.id);
        let replaced = row.policy_after.iter().any(|p| p.rule.id == old.rule.id && p.deployment == row.id);
        if !there && (replaced || !after.contains(&&old.rule.id)) {
            rest.insert(at.min(rest.len()), old.clone());
        }
    }
    rest
}

fn fail(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let outcome = Outcome { error: Some("it never reached the kernel".to_owned()), ..Outcome::default() };
    let change = site.begin()?;
    change.transition(&row.id, row.status, Status::Failed, &outcome, "it never reached the kernel").map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// A change that the kernel confirmed was applied, even if its process did not live to say so.
fn applied_first(site: &mut Site, row: &DeploymentRow) -> Result<(), Failure> {
    if row.status != Status::Pending {
        return Ok(());
    }
    let change = site.begin()?;
    change
        .transition(&row.id, Status::Pending, Status::Applied, &Outcome::default(), "the kernel holds it")
        .map_err(failure)?;
    change.commit().map_err(failure)
}

/// Somebody removed AFO's table inside the window: what was armed is gone, and is never confirmed.
fn wiped(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let words = "another program removed AFO's table inside the window";
    let outcome = Outcome { error: Some(words.to_owned()), ..Outcome::default() };
    let change = site.begin()?;
    change.transition(&row.id, row.status, Status::RolledBack, &outcome, words).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Puts `policy` into the kernel at once, without a window, and makes it the state's. The state is first: what was cut short in between is
/// done again by recovery.
///
/// # Errors
/// When a window is open, or the kernel or the state refuses.
pub fn switch(site: &mut Site, policy: &[PolicyRule], reason: &str) -> Result<(), Failure> {
    let settled = no_window(site.backend)?.settled;
    let install = site.backend.install(&rules(policy), &site.protected())?;
    let old = site.state.policy_rules().map_err(failure)?;
    write_policy(site, policy, install.generation, reason)?;
    if let Err(failed) = site.backend.load(&install.apply) {
        write_policy(site, &old, settled.unwrap_or(0), "the kernel refused the new policy")?;
        return Err(failed);
    }
    Ok(())
}

fn write_policy(site: &mut Site, policy: &[PolicyRule], generation: u64, reason: &str) -> Result<(), Failure> {
    let site_backend = site.backend.name();
    let change = site.begin()?;
    change.policy(policy, reason).map_err(failure)?;
    change.set(GENERATION, &generation.to_string()).map_err(failure)?;
    change.set(BACKEND, site_backend).map_err(failure)?;
    change.commit().map_err(failure)
}

/// Whether rules added or changed can let something through that was kept out.
pub fn widens(added: &[Rule], changes: usize) -> bool {
    changes > 0 || added.iter().any(|rule| rule.enabled && !rule.action.denies())
}

/// The rules as the state will hold them: what is there keeps its deployment and its end, what is new gets this one's.
pub fn owned(rules: Vec<Rule>, before: &[PolicyRule], deployment: &Id, now: Timestamp) -> Vec<PolicyRule> {
    let own = |rule: Rule| match before.iter().find(|p| p.rule == rule) {
        Some(there) => there.clone(),
        None => PolicyRule { expires: super::split::end(rule.ttl_seconds, now), deployment: deployment.clone(), rule },
    };
    rules.into_iter().map(own).collect()
}
