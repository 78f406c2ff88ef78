//! Bringing journal and kernel together: after a crash, a reboot, a flush by another program; and ending what has had its time.
//! Every command that touches the firewall begins with this.

use super::site::{Site, failure};
use super::transaction::{self, Story, settle, story, switch};
use super::{blocks, kernel};
use crate::backend::nftables::{Live, revert};
use crate::cli::Failure;
use crate::record::Status;
use crate::state::{Action, DeploymentRow, End, Note, Outcome, PolicyRule};
use crate::sys::{clock, nft};

/// What recovery did, in words; empty where nothing was to be done.
pub type Done = Vec<String>;

/// Settles what was cut short and puts back what is missing in the kernel.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn recover(site: &mut Site) -> Result<Done, Failure> {
    let mut done = Vec::new();
    for row in site.state.unfinished().map_err(failure)? {
        let settled = match row.generation_new {
            Some(_) => settle(site, &row)?,
            None => finish_blocks(site, &row)?,
        };
        if settled.status != row.status {
            done.push(format!("deployment {} is {}", row.id, settled.status));
        }
    }
    expire_journal(site)?;
    let live = without_stray(site, &mut done)?;
    if live.pending.is_some() {
        return Ok(done);
    }
    if story(site, &live)? == Story::Behind {
        done.extend(put_back_policy(site)?);
    }
    if !live.table {
        let count = blocks::restore(site, &kernel::look()?)?;
        if count > 0 {
            note(site, &format!("put {count} blocks back into the kernel"))?;
            done.push(format!("{count} blocks are back in the kernel"));
        }
    }
    Ok(done)
}

/// What is in the kernel, once a lapsed window that no deployment of this state knows is taken out: it holds nothing and would stand in
/// the way of every change.
fn without_stray(site: &Site, done: &mut Done) -> Result<Live, Failure> {
    let live = kernel::look()?;
    let known = site.state.unfinished().map_err(failure)?.iter().any(|row| row.generation_new == live.pending);
    if live.pending.is_none() || known || kernel::observe(&live)?.armed {
        return Ok(live);
    }
    nft::load(&revert(&live, None).to_string()).map_err(|e| kernel::failure(&e))?;
    done.push("a lapsed window that this state does not know was taken out".to_owned());
    kernel::look()
}

fn put_back_policy(site: &mut Site) -> Result<Option<String>, Failure> {
    let policy = site.state.policy_rules().map_err(failure)?;
    let words = format!("put {} rules back into the kernel", policy.len());
    switch(site, &policy, &words)?;
    Ok((!policy.is_empty()).then_some(words))
}

fn note(site: &mut Site, words: &str) -> Result<(), Failure> {
    let change = site.begin()?;
    change.audit(&Note::new(Action::Recover, "kernel", words)).map_err(failure)?;
    change.commit().map_err(failure)
}

/// Blocks whose deployment was cut short: those that were meant for good are in the journal, so they are put into the kernel; those on
/// trial go, because nobody has seen the heartbeat hold.
fn finish_blocks(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let (to, words) = match row.status {
        Status::Applied => (Status::RolledBack, "recovered: nobody saw the heartbeat hold"),
        _ => (Status::Confirmed, "recovered: the blocks are in the kernel"),
    };
    let change = site.begin()?;
    if row.step.is_some() {
        change.abandon(&row.id, "its process has not ended it").map_err(failure)?;
    }
    let ended = match row.status {
        Status::Applied => change.unblock_all_of(&row.id, End::Failed, words).map_err(failure)?,
        _ => vec![],
    };
    change.commit().map_err(failure)?;
    blocks::free(&ended)?;
    blocks::restore(site, &kernel::look()?)?;
    let change = site.begin()?;
    if matches!(row.status, Status::Pending | Status::Applied) {
        let outcome = Outcome { applied_at: Some(clock::now()), ..Outcome::default() };
        change.transition(&row.id, row.status, to, &outcome, words).map_err(failure)?;
    }
    change.commit().map_err(failure)?;
    transaction::reread(site, &row.id)
}

fn expire_journal(site: &mut Site) -> Result<usize, Failure> {
    let mut count = 0;
    loop {
        let change = site.begin()?;
        let ended = change.expire().map_err(failure)?.len();
        if ended == 0 {
            return Ok(count);
        }
        change.commit().map_err(failure)?;
        count += ended;
    }
}

/// Ends blocks and rules that have had their time. The kernel ended them by itself; what is left of them goes.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn expire(site: &mut Site) -> Result<Done, Failure> {
    let mut done = Vec::new();
    let blocks = expire_journal(site)?;
    if blocks > 0 {
        done.push(format!("{blocks} blocks have ended"));
    }
    done.extend(recover(site)?);
    let now = clock::now();
    let policy = site.state.policy_rules().map_err(failure)?;
    let (standing, over): (Vec<PolicyRule>, Vec<PolicyRule>) =
        policy.into_iter().partition(|p| p.expires.is_none_or(|end| end > now));
    if !over.is_empty() && kernel::look()?.pending.is_none() {
        let words = format!("{} rules have had their time", over.len());
        switch(site, &standing, &words)?;
        done.push(words);
    }
    Ok(done)
}
