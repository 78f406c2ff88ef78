//! From a batch of proposals to a change that was proven: nothing that a record says about itself is trusted, all of it is
//! computed again from its rules.

use super::blocks::forbidden;
use super::kernel;
use super::protect::{flows, lockout};
use super::site::{Site, failure};
use super::split::{Split, split};
use super::transaction::{owned, widens};
use crate::analyze::{self, Budget};
use crate::cli::Failure;
use crate::cmd::live_ruleset;
use crate::deploy::changed;
use crate::record::{Id, Proposal, Rule};
use crate::rule::ruleset::Ruleset;
use crate::state::{DeploymentRow, PolicyRule};
use crate::sys::clock;

/// Why a batch is refused, in words; nothing was changed (exit 1).
pub type Refused = String;

/// What a batch comes to.
#[derive(Debug)]
pub struct Plan {
    pub split: Split,
    pub before: Vec<PolicyRule>,
    pub after: Vec<PolicyRule>,
    /// Whether something that was kept out may get through.
    pub widens: bool,
    /// The hash of the ruleset that it was proven against.
    pub base: String,
}

/// Computes what `proposals` come to, for deployment `id`.
///
/// # Errors
/// The outer error when the state cannot be read; the inner one when the batch is refused.
pub fn plan(site: &Site, proposals: &[Proposal], id: &Id, allowed: &[Id]) -> Result<Result<Plan, Refused>, Failure> {
    let split = match split(proposals) {
        Ok(split) => split,
        Err(refused) => return Ok(Err(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    };
    if let Some(why) = forbidden(&split.bans, &site.never) {
        return Ok(Err(why));
    }
    let now = clock::now();
    let confirmed = site.state.policy_rules().map_err(failure)?;
    let confirmed: Vec<PolicyRule> = confirmed.into_iter().filter(|p| p.expires.is_none_or(|end| end > now)).collect();
    let rules: Vec<Rule> = confirmed.iter().map(|p| p.rule.clone()).collect();
    let after = match changed(&rules, &split.policy, &split.changes) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    let added: Vec<Rule> = after.iter().filter(|rule| !rules.contains(rule)).cloned().collect();
    if let Some(why) = lockout(&added, &flows(&site.context, &site.config), allowed) {
        return Ok(Err(why));
    }
    let base = kernel::base()?;
    if !added.is_empty() {
        kernel::no_window()?;
        if let Some(why) = stopped(&live_ruleset()?, &added) {
            return Ok(Err(why));
        }
    }
    let widens = widens(&added, split.changes.len());
    let after = owned(after, &confirmed, id, now);
    Ok(Ok(Plan { split, before: confirmed, after, widens, base }))
}

/// Why one of the rules would not do what it says beside what the kernel holds, or why nobody knows.
fn stopped(live: &Ruleset, added: &[Rule]) -> Option<Refused> {
    let judged = analyze::conflicts(live, added, Budget::default());
    let stop = judged.conflicts.items.iter().find(|item| analyze::stops(item))?;
    let rule = stop.rule.as_ref().map(|id| format!("rule {id}: ")).unwrap_or_default();
    let advice: String = judged.advice.iter().map(|words| format!("; {words}")).collect();
    Some(format!("{rule}{}: {}{advice}", stop.kind.as_str(), stop.explanation))
}

impl Plan {
    /// Whether the policy would be another one.
    pub fn changes_policy(&self) -> bool {
        self.before != self.after
    }

    /// The deployment that the change of policy is, before it is done.
    pub fn row(&self, site: &Site, id: &Id, proposals: &[Proposal], seconds: u64) -> DeploymentRow {
        let now = clock::now();
        let mut row = DeploymentRow::new(id.clone(), "nftables", now, &site.actor);
        row.run = proposals.iter().find_map(|p| p.run.clone());
        row.proposals = proposals.iter().map(|p| p.id.clone()).collect();
        row.window_seconds = Some(seconds);
        row.base_hash = Some(self.base.clone());
        row.rules = self.split.policy.iter().map(|rule| rule.id.clone()).collect();
        row.policy_before = self.before.clone();
        row.policy_after = self.after.clone();
        row
    }
}
