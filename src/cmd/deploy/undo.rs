//! Ending a deployment from another shell: confirm, take back, forget.

use super::backend::{self, Backend};
use super::protect::{endangered, uncovered};
use super::recover::{Done, recover};
use super::site::{Site, failure};
use super::transaction::{self, reread};
use super::{blocks, boot, doors};
use crate::cli::{Exit, Failure, Shell};
use crate::record::{Id, Rule, Status};
use crate::state::{Action, DeploymentRow, End, Note, Outcome, PolicyRule, Span, Step};

/// The deployment that is meant: `id`, else the one that waits for its confirmation.
fn meant(site: &Site, id: Option<&Id>) -> Result<Option<DeploymentRow>, Failure> {
    match id {
        Some(id) => reread(site, id).map(Some),
        None => {
            Ok(site.state.unfinished().map_err(failure)?.into_iter().rev().find(|row| row.generation_new.is_some()))
        }
    }
}

/// The newest deployment where its window is over and it was taken back: who confirms means that one, and comes too late.
fn lost(site: &Site) -> Result<Option<DeploymentRow>, Failure> {
    let newest = site.state.deployments(&Span::default()).map_err(failure)?.pop();
    Ok(newest.filter(|row| row.status == Status::RolledBack && row.generation_new.is_some()))
}

/// `afo-deploy confirm [ID]`.
pub fn confirm(shell: &Shell, id: Option<&Id>) -> Result<Exit, Failure> {
    let mut site = Site::open(shell)?;
    let _hold = site.hold()?;
    let waiting = meant(&site, id)?.map_or_else(|| lost(&site), |row| Ok(Some(row)))?;
    let Some(row) = waiting else {
        return Err(Failure::new(Exit::No, "no deployment waits for its confirmation").hint("afo-log deployments"));
    };
    let by = site.actor.to_string();
    let row = transaction::confirm(&mut site, &row.id, &by, vec![])?;
    let mut out = shell.out();
    out.record(&row.record());
    shell.close(&mut out)
}

/// `afo-deploy rollback [ID]`: inside its window a deployment is taken out; later its own rules and blocks are taken back, other
/// changes stay.
pub fn rollback(shell: &Shell, id: Option<&Id>) -> Result<Exit, Failure> {
    let mut site = Site::open(shell)?;
    let _hold = site.hold()?;
    let waiting = meant(&site, id)?;
    let row = match waiting {
        Some(row) => row,
        None => newest(&site)?.ok_or_else(|| Failure::new(Exit::No, "there is no deployment to take back"))?,
    };
    let mut done = Done::default();
    let row = match row.status {
        Status::Applied => transaction::take_back(&mut site, &row, "taken back by hand")?,
        Status::Confirmed if row.generation_new.is_some() => undo_policy(&mut site, &row, &mut done)?,
        Status::Confirmed => undo_blocks(&mut site, &row)?,
        status => {
            let words = format!("deployment {} is {status}: there is nothing to take back", row.id);
            return Err(Failure::new(Exit::No, words).hint("afo-log deployments"));
        }
    };
    let mut out = shell.out();
    done.tell(shell, &mut out);
    out.record(&row.record());
    shell.close(&mut out)
}

fn newest(site: &Site) -> Result<Option<DeploymentRow>, Failure> {
    let rows = site.state.deployments(&Span::default()).map_err(failure)?;
    Ok(rows.into_iter().rev().find(|row| row.status == Status::Confirmed))
}

fn undo_policy(site: &mut Site, row: &DeploymentRow, told: &mut Done) -> Result<DeploymentRow, Failure> {
    site.is_seen()?;
    *told = recover(site)?;
    let policy = site.state.policy_rules().map_err(failure)?;
    let rest = transaction::without(&policy, row);
    let rules = |policy: &[PolicyRule]| policy.iter().map(|p| p.rule.clone()).collect::<Vec<Rule>>();
    let (before, after, flows) = (rules(&policy), rules(&rest), site.flows()?);
    let why = match endangered(site.backend, &before, &after, &flows, &[]) {
        None => uncovered(site.backend, &before, &after, &flows, &[])?,
        why => why,
    };
    if let Some(why) = why {
        let hint = "nothing was changed; a proposal that removes the rule has a window, and --allow-lockout for it";
        return Err(Failure::new(Exit::No, format!("refused: {why}")).hint(hint));
    }
    let change = site.begin()?;
    change.attempt(&row.id, Status::Confirmed, Step::Reverting, "taken back by hand").map_err(failure)?;
    change.commit().map_err(failure)?;
    if let Err(failed) = transaction::switch(site, &rest, &format!("deployment {} taken back by hand", row.id), told) {
        let change = site.begin()?;
        change.abandon(&row.id, "it was refused").map_err(failure)?;
        change.commit().map_err(failure)?;
        return Err(failed);
    }
    let done = rolled_back(site, row).and_then(|row| doors::settle(site, told).map(|()| row));
    done.map_err(Failure::after_change)
}

fn undo_blocks(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let change = site.begin()?;
    change.attempt(&row.id, Status::Confirmed, Step::Reverting, "taken back by hand").map_err(failure)?;
    let ended = change.unblock_all_of(&row.id, End::Unblocked, "taken back by hand").map_err(failure)?;
    blocks::unsettled(&change, &row.id)?;
    change.commit().map_err(failure)?;
    blocks::free(site.backend, &ended)?;
    rolled_back(site, row).map_err(Failure::after_change)
}

fn rolled_back(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let change = site.begin()?;
    let words = "taken back by hand";
    blocks::settled(&change, &row.id)?;
    change.transition(&row.id, row.status, Status::RolledBack, &Outcome::default(), words).map_err(failure)?;
    change.commit().map_err(failure)?;
    reread(site, &row.id)
}

/// Every packet filter in which something of AFO may be: this host's, the configured one, that of the policy, and those of windows that are
/// open.
pub fn everywhere(site: Option<&Site>, configured: Option<&'static dyn Backend>) -> Vec<&'static dyn Backend> {
    let open = site.map_or_else(Vec::new, |site| site.state.unfinished().unwrap_or_default());
    let open = open.iter().filter_map(|row| site?.of(row).ok());
    let mut found: Vec<&'static dyn Backend> = Vec::new();
    for backend in backend::ALL.into_iter().chain(configured).chain(site.map(|site| site.backend)).chain(open) {
        if found.iter().all(|known| known.name() != backend.name()) {
            found.push(backend);
        }
    }
    found
}

/// Tells the state that nothing of AFO is in the kernel any more, so that nothing is put back either.
pub fn forget(site: &mut Site) -> Result<(), Failure> {
    let change = site.begin()?;
    change.audit(&Note::new(Action::Flush, "kernel", "AFO's table was removed")).map_err(failure)?;
    for row in site_unfinished(&change)? {
        if row.step.is_some() {
            change.abandon(&row.id, "flushed").map_err(failure)?;
        }
        let to = if row.status == Status::Pending { Status::Failed } else { Status::RolledBack };
        if row.status != Status::Confirmed {
            change.transition(&row.id, row.status, to, &Outcome::default(), "flushed").map_err(failure)?;
        }
    }
    for block in change.live_blocks(change.now()).map_err(failure)? {
        change.unblock(&block.address, End::Flushed, "flushed").map_err(failure)?;
    }
    change.policy(&[], "flushed").map_err(failure)?;
    doors::forget(&change)?;
    change.set(transaction::GENERATION, "").map_err(failure)?;
    change.commit().map_err(failure)?;
    boot::remove(site)
}

fn site_unfinished(state: &crate::state::State) -> Result<Vec<DeploymentRow>, Failure> {
    state.unfinished().map_err(failure)
}
