//! The steps of a change of policy, each journalled before it is done: arm, confirm, take back, and what recovery makes of a
//! step that was cut short.

use super::backend::{Arming, Wanted, no_window};
use super::boot;
use super::doors::{self, Kept};
use super::recover::Done;
use super::site::{Site, failure};
use super::split::standing;
use crate::backend::nftables::Content;
use crate::cli::{Exit, Failure};
use crate::cmd::hours::ahead;
use crate::deploy::{Kernel, Recovery, recovery};
use crate::record::{HeartbeatCheck, Id, Proposal, Rule, Status, Timestamp};
use crate::state::{DeploymentRow, Outcome, PolicyRule, Step};
use crate::sys::clock;
use jiff::SignedDuration;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The generation that the state's policy is in the kernel, as the journal knows it.
pub const GENERATION: &str = "generation";

/// Until when the newest window is open: its deployment, the boot of the machine, milliseconds since then.
const WINDOW: &str = "window";

/// How far the zones of the policy's hours were ahead of UTC when it came into the kernel, which knows no change of clocks.
pub const HOURS: &str = "hours";

/// The backend that the state's policy is in.
pub const BACKEND: &str = "backend";

/// The rules of a policy that still hold, each with the time that it has left.
pub fn rules(policy: &[PolicyRule]) -> Vec<Rule> {
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
        (_, Some(_)) if !live.whole => Ok(Story::Behind),
        (Some(generation), known) if known.is_none_or(|known| generation > known) => {
            let words = format!(
                "{} holds rules of AFO (generation {generation}) that this state does not know",
                site.backend.place()
            );
            let hint = "name the state that they came from with --state FILE, or begin anew: afo-deploy flush-afo";
            Err(Failure::refused(words).hint(hint))
        }
        (generation, known) if generation == known => Ok(Story::Same),
        _ => Ok(Story::Behind),
    }
}

/// How `row`'s policy is armed and taken back, with the doors that it brings.
///
/// # Errors
/// When a window is open, or a rule cannot be had in the backend.
pub fn arming(site: &Site, row: &DeploymentRow, remember: bool, doors: &[Kept]) -> Result<Arming, Failure> {
    let (policy, protected) = (rules(&row.policy_after), site.protected());
    let window = row.window_seconds.unwrap_or(1);
    let doors = doors::ways(doors);
    site.backend.arm(&Wanted { policy: &policy, window, protected: &protected, remember, doors: &doors })
}

/// Journals `row`, before anything is done.
///
/// # Errors
/// When the state cannot be written.
pub fn journal(site: &mut Site, proposals: &[Proposal], row: &DeploymentRow, doors: &[Kept]) -> Result<(), Failure> {
    let all = doors::with_new(site, doors)?;
    let change = site.begin()?;
    doors::journal(&change, &all, doors)?;
    for proposal in proposals {
        change.proposal(proposal).map_err(failure)?;
    }
    change.deployment(row).map_err(failure)?;
    change.commit().map_err(failure)
}

/// The end of a window that begins now.
fn window_until(row: &DeploymentRow) -> String {
    let until = clock::since_boot() + Duration::from_secs(row.window_seconds.unwrap_or(0));
    format!("{} {} {}", row.id, clock::boot_id(), until.as_millis())
}

/// Whether the time is over in which a deployment may be confirmed, by a clock that never jumps and goes on while the machine sleeps.
///
/// # Errors
/// When the state cannot be read.
pub fn is_over(site: &Site, row: &DeploymentRow) -> Result<bool, Failure> {
    let until = site.state.setting(WINDOW).map_err(failure)?.unwrap_or_default();
    let mut words = until.split(' ');
    let (id, boot, millis) = (words.next(), words.next(), words.next().and_then(|word| word.parse().ok()));
    match millis {
        Some(millis) if id == Some(row.id.as_str()) => {
            Ok(boot != Some(&clock::boot_id()) || clock::since_boot() >= Duration::from_millis(millis))
        }
        _ => Ok(row.confirm_by.is_none_or(|by| clock::now() >= by)),
    }
}

/// Arms a journalled deployment in the kernel and journals that; the row as it is then.
///
/// # Errors
/// When the state cannot be written, or the kernel refuses: nothing is different then. Exit 5 where it may be: the row stays begun, and the
/// watchdog takes back what holds.
pub fn open_window(site: &mut Site, row: &DeploymentRow, contents: &[Content]) -> Result<DeploymentRow, Failure> {
    step(site, &row.id, Status::Pending, Step::Applying, "arms the new policy behind a switch")?;
    let backend = site.of(row)?;
    let text = row.apply_text.as_deref().unwrap_or_default();
    if let Err(failed) = backend.fill(contents).and_then(|()| backend.load(text)) {
        if failed.exit == Exit::Unknown {
            // It stays begun: the watchdog finds out what holds, and takes it back.
            return Err(failed);
        }
        // Who was killed after the kernel had answered, or got no answer in time, does not know what became of it.
        let kernel = backend.observe().map_err(|error| unseen(&failed, &error))?;
        if kernel.window == row.generation_new {
            backend.take_back(Some(&rules(&row.policy_before))).map_err(|error| stays(&failed, &error))?;
        }
        if !contents.is_empty() {
            tidy(site, row);
        }
        return Err(fail(site, &row.id, failed));
    }
    journal_window(site, row).map_err(Failure::after_change)
}

fn journal_window(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let now = clock::now();
    let seconds = i64::try_from(row.window_seconds.unwrap_or(0)).unwrap_or(i64::MAX);
    let confirm_by = now.checked_add(SignedDuration::from_secs(seconds)).ok();
    let outcome = Outcome { applied_at: Some(now), confirm_by, ..Outcome::default() };
    let (until, words) = (window_until(row), format!("{} holds it until its window ends", site.of(row)?.place()));
    let change = site.begin()?;
    change.set(WINDOW, &until).map_err(failure)?;
    change.transition(&row.id, Status::Pending, Status::Applied, &outcome, &words).map_err(failure)?;
    change.commit().map_err(failure)?;
    // What is long of it is its policy, and that is known.
    Ok(DeploymentRow { status: Status::Applied, step: None, applied_at: Some(now), confirm_by, ..row.clone() })
}

/// Takes out what a deployment left that never came to be. It decides nothing: what cannot be taken out now goes with the next change.
fn tidy(site: &Site, row: &DeploymentRow) {
    let tidied = site.of(row).and_then(|backend| backend.tidy(&rules(&row.policy_before)));
    if let Err(error) = tidied.and_then(|()| leave_nothing(site, row)) {
        tracing::warn!(deployment = %row.id, %error, "sets that no rule uses are left");
    }
}

/// What was refused holds all the same, and cannot be taken back: the journal is left to recovery.
fn stays(failed: &Failure, error: &Failure) -> Failure {
    Failure::new(Exit::Unknown, format!("{failed}; it holds all the same, and cannot be taken back: {error}"))
        .hint("afo-deploy recover")
}

/// What was refused may hold all the same: the journal is left to recovery.
fn unseen(failed: &Failure, error: &Failure) -> Failure {
    Failure::new(Exit::Unknown, format!("{failed}; whether it holds all the same is not known: {error}"))
        .hint("its watchdog takes it back; by hand: afo-deploy recover")
}

/// Journals that a deployment did not reach the kernel; the failure to be told.
pub fn fail(site: &mut Site, id: &Id, failed: Failure) -> Failure {
    let outcome = Outcome { error: Some(failed.message.clone()), ..Outcome::default() };
    let journalled = site.begin().and_then(|change| {
        change.transition(id, Status::Pending, Status::Failed, &outcome, "it was refused").map_err(failure)?;
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
    if observed.window != row.generation_new || !observed.armed || !observed.whole || is_over(site, &row)? {
        return Err(too_late(&settle(site, &row)?));
    }
    if let Some(why) = doors::missing(site, &row)? {
        return Err(too_late(&take_back(site, &row, &why)?));
    }
    if let Some(why) = backend.contested(&rules(&row.policy_after))? {
        return Err(too_late(&take_back(site, &row, &format!("inside its window {why}"))?));
    }
    step(site, id, Status::Applied, Step::Confirming, &format!("confirmed by {by}"))?;
    if let Err(failed) = backend.confirm(&rules(&row.policy_after)) {
        // The kernel's time was over first, or nobody knows what became of it: what it holds now tells.
        abandon(site, id, "the confirmation was refused")?;
        let row = settle(site, &reread(site, id)?)?;
        let late = too_late(&row);
        let message = format!("{}: {}", late.message, failed.message);
        return if row.status == Status::Confirmed { Ok(row) } else { Err(Failure { message, ..late }) };
    }
    site.backend = backend;
    boot::keep(site, &row.policy_after, row.generation_new.unwrap_or_default());
    complete(site, &row, by, heartbeat).map_err(|failed| {
        let words = format!("it is confirmed and holds, and the journal does not say so: {}", failed.message);
        Failure::new(Exit::Unknown, words).hint("afo-deploy recover completes the journal")
    })
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
    change.set(HOURS, &ahead(row.policy_after.iter().map(|p| &p.rule))).map_err(failure)?;
    change.set(BACKEND, &row.backend).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Takes an armed deployment out of the kernel, its window open or over.
///
/// # Errors
/// When the kernel refuses while the change still holds (exit 5), or the state cannot be written.
pub fn take_back(site: &mut Site, row: &DeploymentRow, reason: &str) -> Result<DeploymentRow, Failure> {
    if !matches!(row.status, Status::Pending | Status::Applied) {
        return reread(site, &row.id);
    }
    step(site, &row.id, row.status, Step::Reverting, reason)?;
    let backend = site.of(row)?;
    let mut taken = Ok(());
    if backend.observe()?.window == row.generation_new {
        taken = backend.take_back(Some(&rules(&row.policy_before)));
        // Without an answer from the kernel, what it holds tells.
        taken = taken.or_else(|failed| match backend.observe() {
            Ok(kernel) if kernel.window != row.generation_new => Ok(()),
            _ => Err(failed),
        });
    }
    if let Err(error) = taken {
        abandon(site, &row.id, "taking it back was refused")?;
        let holds = backend.observe().map_or(true, |kernel| kernel.armed);
        let exit = if holds { Exit::Unknown } else { Exit::Refused };
        let words = format!("deployment {} could not be taken back: {error}", row.id);
        let hint = match backend.closes_windows() {
            true => "the kernel ends it by itself when its window is over; then: afo-deploy recover".to_owned(),
            false => format!("its watchdog goes on asking {}; by hand: afo-deploy recover", backend.place()),
        };
        return Err(Failure::new(exit, words).hint(hint));
    }
    taken_back(site, row, reason).map_err(Failure::after_change)
}

fn taken_back(site: &mut Site, row: &DeploymentRow, reason: &str) -> Result<DeploymentRow, Failure> {
    leave_nothing(site, row)?;
    let outcome = Outcome { error: Some(reason.to_owned()), ..Outcome::default() };
    let change = site.begin()?;
    change.transition(&row.id, row.status, Status::RolledBack, &outcome, reason).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Where nothing of AFO was in the kernel before a deployment and nothing is wanted there now, nothing stays.
fn leave_nothing(site: &Site, row: &DeploymentRow) -> Result<(), Failure> {
    let first = row.backup.as_deref().is_some_and(|text| text.trim().is_empty());
    if first && row.generation_old.is_none() && site.state.live_blocks(clock::now()).map_err(failure)?.is_empty() {
        site.of(row)?.remove()?;
    }
    Ok(())
}

/// Ends a window whose time is over.
///
/// # Errors
/// As [`take_back`]; also when it was ended elsewhere meanwhile.
pub fn lapse(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    take_back(site, &reread(site, &row.id)?, LAPSED)
}

/// Why a window was taken back that nobody ended.
const LAPSED: &str = "it was not confirmed inside its window";

/// Brings the journal and the kernel together for a deployment that is not at its end.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn settle(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let Some(new) = row.generation_new else { return Ok(row.clone()) };
    match row.status {
        Status::Pending | Status::Applied => {}
        Status::Confirmed => return settle_undo(site, row),
        Status::RolledBack | Status::Failed | Status::Refused => {
            abandon(site, &row.id, "it has come to its end")?;
            return reread(site, &row.id);
        }
    }
    let observed = site.of(row)?.observe()?;
    let what = recovery(row.status, new, is_over(site, row)?, &observed);
    if what != Recovery::Wait && row.step.is_some() {
        abandon(site, &row.id, "its process has not ended it")?;
    }
    let reverting = row.step.as_ref().is_some_and(|step| step.0 == Step::Reverting);
    match what {
        // Who took it back did not live to say so: nobody else removed it.
        Recovery::Fail | Recovery::Wiped if reverting => {
            take_back(site, &reread(site, &row.id)?, "taken back, before its process ended")
        }
        Recovery::Wait => Ok(row.clone()),
        Recovery::Fail => never_came(site, row),
        Recovery::Complete => {
            applied_first(site, row)?;
            site.backend = site.of(row)?;
            let place = site.backend.place();
            boot::keep(site, &row.policy_after, new);
            complete(site, &reread(site, &row.id)?, &format!("{place}, before its process ended"), vec![])
        }
        Recovery::TakeBack => take_back(site, &reread(site, &row.id)?, LAPSED),
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
    let mut rest: Vec<PolicyRule> = policy.iter().filter(|p| p.deployment != row.id).cloned().collect();
    let after: HashMap<&Id, bool> = row.policy_after.iter().map(|p| (&p.rule.id, p.deployment == row.id)).collect();
    let mut there: HashSet<Id> = rest.iter().map(|p| p.rule.id.clone()).collect();
    for (at, old) in row.policy_before.iter().enumerate() {
        // It stays away where the deployment neither replaced it nor took it out.
        if after.get(&old.rule.id).is_none_or(|replaced| *replaced) && there.insert(old.rule.id.clone()) {
            rest.insert(at.min(rest.len()), old.clone());
        }
    }
    rest
}

fn never_came(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let words = format!("it never reached {}", site.of(row)?.place());
    let outcome = Outcome { error: Some(words.clone()), ..Outcome::default() };
    let change = site.begin()?;
    change.transition(&row.id, row.status, Status::Failed, &outcome, &words).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// A change that the kernel confirmed was applied, even if its process did not live to say so.
fn applied_first(site: &mut Site, row: &DeploymentRow) -> Result<(), Failure> {
    if row.status != Status::Pending {
        return Ok(());
    }
    let words = format!("{} holds it", site.of(row)?.place());
    let change = site.begin()?;
    change.transition(&row.id, Status::Pending, Status::Applied, &Outcome::default(), &words).map_err(failure)?;
    change.commit().map_err(failure)
}

/// Why a window ended that another program took out of the kernel.
pub const FLUSHED: &str = "another program removed AFO's rules inside the window";

/// Somebody removed AFO's rules inside the window: what was armed is gone, and is never confirmed.
fn wiped(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let words = FLUSHED;
    let outcome = Outcome { error: Some(words.to_owned()), ..Outcome::default() };
    site.of(row)?.take_back(Some(&rules(&row.policy_before)))?;
    let change = site.begin()?;
    change.transition(&row.id, row.status, Status::RolledBack, &outcome, words).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Puts `policy` into the kernel at once, without a window, and makes it the state's. The state is first: what was cut short in between is
/// done again by recovery. What people are to hear of goes to `done`.
///
/// # Errors
/// When a window is open, or the kernel or the state refuses.
pub fn switch(site: &mut Site, policy: &[PolicyRule], reason: &str, done: &mut Done) -> Result<(), Failure> {
    let settled = no_window(site.backend)?.settled;
    let install = site.backend.install(&rules(policy), &site.protected())?;
    let old = site.state.policy_rules().map_err(failure)?;
    write_policy(site, policy, install.generation, reason)?;
    let came = |kernel: Kernel| kernel.settled == Some(install.generation);
    if let Err(failed) = site.backend.fill(&install.contents).and_then(|()| site.backend.load(&install.apply))
        && !site.backend.observe().is_ok_and(came)
    {
        write_policy(site, &old, settled.unwrap_or(0), "the new policy was refused")?;
        return Err(failed);
    }
    boot::keep(site, policy, install.generation);
    // What holds already is not undone because nobody knows who else uses its mark.
    if let Some(why) = site.backend.contested(&rules(policy)).unwrap_or_else(|failed| Some(failed.message)) {
        done.alerts.push(format!("{why}; its mark was kept: see whether it still goes where it should"));
    }
    Ok(())
}

fn write_policy(site: &mut Site, policy: &[PolicyRule], generation: u64, reason: &str) -> Result<(), Failure> {
    let site_backend = site.backend.name();
    let change = site.begin()?;
    change.policy(policy, reason).map_err(failure)?;
    change.set(GENERATION, &generation.to_string()).map_err(failure)?;
    change.set(HOURS, &ahead(policy.iter().map(|p| &p.rule))).map_err(failure)?;
    change.set(BACKEND, site_backend).map_err(failure)?;
    change.commit().map_err(failure)
}

/// Whether rules added or changed can let something through that was kept out.
pub fn widens(added: &[Rule], changes: usize) -> bool {
    changes > 0 || added.iter().any(|rule| rule.enabled && !rule.action.denies())
}

/// The rules as the state will hold them: what is there keeps its deployment and its end, what is new gets this one's.
pub fn owned(rules: Vec<Rule>, before: &[PolicyRule], deployment: &Id, now: Timestamp) -> Vec<PolicyRule> {
    let known: HashMap<&Id, &PolicyRule> = before.iter().map(|p| (&p.rule.id, p)).collect();
    let own = |rule: Rule| match known.get(&rule.id).filter(|p| p.rule == rule) {
        Some(there) => (*there).clone(),
        None => PolicyRule { expires: super::split::end(rule.ttl_seconds, now), deployment: deployment.clone(), rule },
    };
    rules.into_iter().map(own).collect()
}
