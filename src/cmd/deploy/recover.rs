//! Bringing journal and kernel together: after a crash, a reboot, a flush by another program; and ending what has had its time.
//! Every command that touches the firewall begins with this.

use super::site::{Site, failure};
use super::split::holding;
use super::transaction::{self, FLUSHED, HOURS, Story, settle, story, switch};
use super::{blocks, boot, doors};
use crate::backend::nftables::{Ban, Block};
use crate::cli::{Failure, Out, Shell};
use crate::cmd::hours::ahead;
use crate::cmd::status::counted;
use crate::deploy::Kernel;
use crate::record::{Alert, Severity, Status};
use crate::state::{Action, DeploymentRow, End, Note, Outcome, Step};
use crate::sys::clock;

/// What recovery did; empty where nothing was to be done.
#[derive(Debug, Default)]
pub struct Done {
    pub words: Vec<String>,
    /// What another program did to AFO's rules: people are to hear of it.
    pub alerts: Vec<String>,
}

impl Done {
    fn push(&mut self, words: String) {
        self.words.push(words);
    }

    /// Says what was done on stderr, and puts out what people are to hear of.
    pub fn tell(self, shell: &Shell, out: &mut Out) {
        self.words.iter().for_each(|words| shell.note(words));
        for message in self.alerts {
            shell.complain(&message, None);
            out.record(&Alert { level: Severity::Critical, message, assessment: None, run: None });
        }
    }
}

/// Settles what was cut short and puts back what is missing in the kernel.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn recover(site: &mut Site) -> Result<Done, Failure> {
    let mut done = Done::default();
    site.keep_up()?;
    let unfinished = site.state.unfinished().map_err(failure)?;
    let whole = unfinished.is_empty();
    for row in unfinished {
        let settled = match row.generation_new {
            Some(_) => settle(site, &row)?,
            None => finish_blocks(site, &row)?,
        };
        if settled.status != row.status {
            done.push(format!("deployment {} is {}", row.id, settled.status));
        }
        if settled.status != row.status && settled.error.as_deref() == Some(FLUSHED) {
            done.alerts.push(format!("{FLUSHED} of deployment {}: it is not confirmed", row.id));
        }
    }
    expire_journal(site)?;
    if whole && blocks::is_settled(&site.state)? && site.elements.is_settled() {
        if site.state.setting(HOURS).map_err(failure)?.is_some_and(|hours| !hours.is_empty()) {
            follow_clocks(site, &mut done)?;
        }
        boot::renew(site)?;
        return Ok(done);
    }
    let before = site.backend.changes()?.and(site.elements.generation().ok());
    // A policy that is put back marks what it accepts where there are doors.
    doors::settle(site, &mut done)?;
    let kernel = without_stray(site, &mut done)?;
    let kernel = with_blocks(site, kernel)?;
    notice(site, &kernel, &mut done)?;
    if !kernel.whole {
        blocks_are_missing(site)?;
    }
    if let Some(count) = blocks::settle(site)?.filter(|count| *count > 0) {
        done.push(format!("{} put back into {}", counted(count, "block"), site.backend.place()));
    }
    done.words.extend(fill(site)?);
    if kernel.window.is_some() {
        return Ok(done);
    }
    if story(site, &kernel)? == Story::Behind {
        put_back_policy(site, &mut done)?;
    }
    follow_clocks(site, &mut done)?;
    site.elements.settle(before);
    boot::renew(site)?;
    Ok(done)
}

/// What is in the kernel, not whole where blocks stand that nothing there looks up: sets that are gone together with their lookups leave
/// nothing that could be seen to be missing.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn with_blocks(site: &Site, kernel: Kernel) -> Result<Kernel, Failure> {
    let standing = !site.state.live_blocks(clock::now()).map_err(failure)?.is_empty();
    let whole = kernel.whole && (!standing || site.backend.looks_up_blocks()?);
    Ok(Kernel { whole, ..kernel })
}

/// The boot of the machine in which this state was used last.
const BOOT: &str = "boot";

/// Whether the journal says that anything is to be in the kernel.
fn wants(site: &Site) -> Result<bool, Failure> {
    let rules = site.state.policy_rules().map_err(failure)?;
    Ok(!rules.is_empty() || !site.state.live_blocks(clock::now()).map_err(failure)?.is_empty())
}

/// Tells a flush by another program from a reboot: after one of those the kernel is empty with nobody's doing.
fn notice(site: &mut Site, kernel: &Kernel, done: &mut Done) -> Result<(), Failure> {
    let boot = clock::boot_id();
    let same = site.state.setting(BOOT).map_err(failure)?.as_deref() == Some(&boot);
    let missing = kernel.window.is_none() && (!kernel.whole || story(site, kernel)? == Story::Behind) && wants(site)?;
    if same && !missing {
        return Ok(());
    }
    let words = format!("another program removed AFO's rules from {}; they are put back", site.backend.place());
    let change = site.begin()?;
    change.set(BOOT, &boot).map_err(failure)?;
    if same {
        change.audit(&Note::new(Action::Recover, "kernel", &words)).map_err(failure)?;
        done.alerts.push(words);
    }
    change.commit().map_err(failure)
}

/// What is in the kernel, once a lapsed window that no deployment of this state knows is taken out: it holds nothing and would stand in
/// the way of every change.
fn without_stray(site: &Site, done: &mut Done) -> Result<Kernel, Failure> {
    let kernel = site.backend.observe()?;
    let known = site.state.unfinished().map_err(failure)?.iter().any(|row| row.generation_new == kernel.window);
    if kernel.window.is_none() || known || kernel.armed {
        return Ok(kernel);
    }
    site.backend.take_back(None)?;
    done.push("a lapsed window that this state does not know was taken out".to_owned());
    site.backend.observe()
}

/// Journals that blocks have to be put back: a recovery that dies halfway leaves a table without them.
fn blocks_are_missing(site: &mut Site) -> Result<(), Failure> {
    if site.state.live_blocks(clock::now()).map_err(failure)?.is_empty() {
        return Ok(());
    }
    let change = site.begin()?;
    blocks::unsettled(&change, &clock::new_id())?;
    change.commit().map_err(failure)
}

/// Where the filter ends no block by itself: takes out those that have had their time, and puts back those that are missing.
fn fill(site: &mut Site) -> Result<Option<String>, Failure> {
    let Some(held) = site.backend.banned()? else { return Ok(None) };
    let standing = blocks::standing(&site.state, clock::now())?;
    let over: Vec<Ban> = held.iter().filter(|ban| !standing.iter().any(|block| block.ban == **ban)).copied().collect();
    let missing: Vec<Block> = standing.into_iter().filter(|block| !held.contains(&block.ban)).collect();
    if over.is_empty() && missing.is_empty() {
        return Ok(None);
    }
    site.backend.load(&site.backend.unblock(&over)?)?;
    site.backend.load(&site.backend.block(&missing, &site.protected())?)?;
    let words = format!(
        "{} put into {}, {} taken out",
        counted(missing.len(), "block"),
        site.backend.place(),
        counted(over.len(), "block")
    );
    let change = site.begin()?;
    change.audit(&Note::new(Action::Recover, "kernel", &words)).map_err(failure)?;
    change.commit().map_err(failure)?;
    Ok(Some(words))
}

fn put_back_policy(site: &mut Site, done: &mut Done) -> Result<(), Failure> {
    let policy = site.state.policy_rules().map_err(failure)?;
    let words = format!("put {} back into {}", counted(policy.len(), "rule"), site.backend.place());
    switch(site, &policy, &words, done)?;
    done.words.extend((!policy.is_empty()).then_some(words));
    Ok(())
}

/// Writes the policy again where the clocks of a zone have changed that rules have their hours in.
fn follow_clocks(site: &mut Site, done: &mut Done) -> Result<(), Failure> {
    let policy = site.state.policy_rules().map_err(failure)?;
    let known = site.state.setting(HOURS).map_err(failure)?.unwrap_or_default();
    let now = ahead(policy.iter().map(|p| &p.rule));
    if now != known {
        let words = format!("the clocks of rules with hours have changed (minutes ahead of UTC: {now})");
        switch(site, &policy, &words, done)?;
        done.push(words);
    }
    Ok(())
}

/// Blocks whose deployment was cut short: what the journal says of them is put into the kernel. Those on trial go, because nobody has
/// seen the heartbeat hold; those that were being taken back were ended in the change that wrote down the step.
fn finish_blocks(site: &mut Site, row: &DeploymentRow) -> Result<DeploymentRow, Failure> {
    let reverting = row.step.as_ref().is_some_and(|step| step.0 == Step::Reverting);
    // Blocks are given a window only where they stand on trial; a process that died before it said so never saw the heartbeat either.
    let trial = row.status == Status::Applied || (row.status == Status::Pending && row.window_seconds.is_some());
    let (to, words) = match row.status {
        _ if trial => (Status::RolledBack, "recovered: nobody saw the heartbeat hold"),
        Status::Confirmed => (Status::RolledBack, "recovered: the blocks are out of the firewall"),
        _ => (Status::Confirmed, "recovered: the blocks are in the firewall"),
    };
    let change = site.begin()?;
    if trial {
        change.unblock_all_of(&row.id, End::Failed, words).map_err(failure)?;
    }
    blocks::unsettled(&change, &row.id)?;
    change.commit().map_err(failure)?;
    blocks::settle(site)?;
    let change = site.begin()?;
    if row.step.is_some() && !(row.status == Status::Confirmed && reverting) {
        change.abandon(&row.id, "its process has not ended it").map_err(failure)?;
    }
    if row.status != Status::Confirmed || reverting {
        let outcome = Outcome { applied_at: row.applied_at.or(Some(clock::now())), ..Outcome::default() };
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
    let mut done = Done::default();
    let blocks = expire_journal(site)?;
    if blocks > 0 {
        done.push(format!("{} {} ended", counted(blocks, "block"), if blocks == 1 { "has" } else { "have" }));
    }
    let Done { words, alerts } = recover(site)?;
    done.words.extend(words);
    done.alerts.extend(alerts);
    let policy = site.state.policy_rules().map_err(failure)?;
    let holding = holding(&policy, clock::now());
    let over = policy.len() - holding.len();
    if over > 0 && site.backend.observe()?.window.is_none() {
        let words = format!("the time of {} is over", counted(over, "rule"));
        switch(site, &holding, &words, &mut done)?;
        done.push(words);
    }
    Ok(done)
}
