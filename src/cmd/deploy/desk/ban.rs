//! Blocks for a time: they go into the kernel at once, those of a machine on trial until the heartbeat has held.

use super::{Desk, work};
use crate::cli::{Exit, Failure, Out, run_in_hand};
use crate::cmd::deploy::blocks;
use crate::cmd::deploy::plan::Refused;
use crate::cmd::deploy::recover::recover;
use crate::cmd::deploy::site::Hold;
use crate::cmd::deploy::split::split;
use crate::cmd::deploy::window::Pulse;
use crate::record::{Alert, Proposal, Severity};
use crate::respond::Growth;
use crate::state::DeploymentRow;

/// How often a failing heartbeat is asked before blocks are taken back.
const BEATS: usize = 3;

impl Desk<'_> {
    /// Applies the timed blocks of proposals, each group a deployment. Those of a `machine`, which holds the firewall, grow and stand on trial.
    pub(super) fn block(
        &mut self,
        groups: &[&[Proposal]],
        machine: Option<Option<&Hold>>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let mut orders = Vec::with_capacity(groups.len());
        for group in groups {
            let _work = work(group, out);
            match self.order(group, machine.is_some())? {
                Ok(order) => orders.push(order),
                Err(why) => self.refuse(group, &why, out)?,
            }
        }
        if self.args.dry_run {
            return orders.iter().try_for_each(|order| blocks::show(order, &self.site, out));
        }
        if orders.is_empty() {
            return Ok(());
        }
        self.keep_order(out)?;
        let on_trial = orders.iter().any(|order| order.trial.is_some());
        let (mut standing, mut failed) = (Vec::new(), None);
        for (order, done) in orders.iter().zip(blocks::apply(&mut self.site, &orders)) {
            let _work = work(order.proposals, out);
            match done {
                Ok(done) => {
                    tracing::info!(deployment = %done.row.id, blocks = done.row.blocks.len(), on_trial, "blocked");
                    out.record(&done.row.record());
                    standing.push(done);
                }
                Err(why) => {
                    let why = why.of_run(run_in_hand());
                    // The first ends the run, which says so; the others are told.
                    if let Some(later) = failed.replace(why) {
                        self.shell.complain(&later.message, later.hint.as_deref());
                    }
                }
            }
        }
        if on_trial && !standing.is_empty() {
            self.trial(&standing, machine.flatten(), out)?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// The blocks that a group of proposals comes to; the inner error is why they are refused.
    fn order<'p>(&self, proposals: &'p [Proposal], grow: bool) -> Result<Result<blocks::Order<'p>, Refused>, Failure> {
        let split = match split(self.site.backend, proposals) {
            Ok(split) => split,
            Err(mut refused) => return Ok(Err(refused.swap_remove(0))),
        };
        if let Some(why) = blocks::forbidden(&split.bans, &self.site.never) {
            return Ok(Err(why));
        }
        if let Some(finding) = self.site.invariants()?.and_then(|all| all.banned(&split.ban_rules).into_iter().next()) {
            return Ok(Err(finding.explanation));
        }
        let respond = &self.site.config.respond;
        let growth = Growth { factor: respond.ttl_growth, longest: respond.ttl_max_seconds.into() };
        let reason = proposals.iter().map(why).collect::<Vec<_>>().join(" ");
        let on_trial = grow && !self.site.config.deploy.heartbeat.is_empty();
        let (growth, trial) = (grow.then_some(growth), on_trial.then(|| self.seconds()));
        Ok(Ok(blocks::Order { proposals, rules: split.ban_rules, bans: split.bans, reason, growth, trial }))
    }

    /// Brings kernel and journal together again where another program changed rules since they were seen to agree.
    fn keep_order(&mut self, out: &mut Out) -> Result<(), Failure> {
        // Where nobody counts changes, each step looks for itself.
        if !self.site.elements.is_settled() && self.site.backend.changes()?.is_some() {
            recover(&mut self.site)?.tell(self.shell, out);
        }
        Ok(())
    }

    /// Asks the heartbeat whether blocks may stand. One that fails takes them back and stops all blocking for a while.
    fn trial(&mut self, batch: &[blocks::Standing], hold: Option<&Hold>, out: &mut Out) -> Result<(), Failure> {
        // A check may leave a process behind, which is not to hold the firewall.
        let mut pulse = Pulse::new(&self.site.config.deploy.heartbeat);
        let mut beat = || match hold {
            Some(hold) => hold.kept(|| Ok(pulse.beat())),
            None => Ok(pulse.beat()),
        };
        let mut results = beat()?;
        for _ in 1..BEATS {
            if results.iter().all(|check| check.ok) {
                break;
            }
            results = beat()?;
        }
        if results.iter().all(|check| check.ok) {
            let kept = blocks::keep(&mut self.site, batch, &results)?;
            kept.iter().for_each(|row| out.record(&row.record()));
            return Ok(());
        }
        let withdrawn = blocks::withdraw(&mut self.site, batch, &results);
        let named =
            |rows: &Vec<DeploymentRow>| rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>().join(", ");
        let cause = match &withdrawn {
            Ok(rows) => format!("the heartbeat failed after deployment {}", named(rows)),
            Err(_) => "the heartbeat failed after blocks that could not be taken back".to_owned(),
        };
        // Whatever became of them: nothing is blocked any more for a while.
        let why = self.caps.trip(&mut self.site, &cause)?;
        let rows = withdrawn.map_err(Failure::after_change)?;
        tracing::info!(deployments = %named(&rows), "taken back");
        rows.iter().for_each(|row| out.record(&row.record()));
        let run = rows.into_iter().find_map(|row| row.run);
        out.record(&Alert { level: Severity::Critical, message: why, assessment: None, run });
        out.ends(Exit::PutBack);
        Ok(())
    }
}

/// Why a proposal wants its blocks: the first of the evidence that it answers, else what was asked for.
fn why(proposal: &Proposal) -> String {
    let evidence = proposal.generator.as_ref().and_then(|generator| generator.sources.first());
    match (evidence, &proposal.origin.request) {
        (Some(evidence), _) => evidence.clone(),
        (None, Some(request)) => format!("asked for: {request}"),
        (None, None) => proposal.explanation.clone(),
    }
}
