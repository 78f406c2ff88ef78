//! What a person wants, or approved of: it is proven, armed behind a window, and confirmed or taken back.

use super::Desk;
use crate::cli::{Exit, Failure, Out, Signals};
use crate::cmd::deploy::backend::{Arming, no_window};
use crate::cmd::deploy::plan::{Plan, Refused, judged, plan};
use crate::cmd::deploy::site::Hold;
use crate::cmd::deploy::window::{End, Terminal, wait};
use crate::cmd::deploy::{blocks, transaction, watchdog};
use crate::packet::AddressSpec;
use crate::record::{Alert, Id, Proposal, Severity, Status};
use crate::state::DeploymentRow;
use crate::sys::clock;

/// How often a change is proven anew because somebody else changed the rules meanwhile.
const PROOFS: usize = 3;

/// What is said of a refusal behind blocks that were made or ended.
const BLOCKS_STAY: &str = "the blocks of this batch are done and stay; nothing else was changed";

/// What becomes of a window that could not be ended.
const BY_THE_KERNEL: &str =
    "the kernel takes the change back by itself when its window is over; then: afo-deploy recover";
const BY_THE_WATCHDOG: &str = "its watchdog takes the change back when its window is over; then: afo-deploy recover";

/// Why what was approved is not done any more.
const CHANGED: &str = "the rules of this host have changed since it was approved";

impl Desk<'_> {
    /// A person's whole input.
    pub fn person(&mut self, proposals: &[Proposal], out: &mut Out) -> Result<(), Failure> {
        self.deploy(proposals, None, out)
    }

    /// Deploys what a person wants, or approved of for the ruleset of a hash.
    pub(super) fn deploy(&mut self, proposals: &[Proposal], base: Option<&str>, out: &mut Out) -> Result<(), Failure> {
        let hold = self.hold()?;
        self.site.is_seen()?;
        let id = clock::new_id();
        let plan = match self.proven(proposals, &id)? {
            Ok(plan) => plan,
            Err(why) => return self.refuse(proposals, &why, out),
        };
        if base.zip(plan.base.as_deref()).is_some_and(|(approved, now)| approved != now) {
            return self.refuse(proposals, CHANGED, out);
        }
        let mut terminal = Terminal::find();
        if plan.split.changes_policy() && self.args.confirm.is_none() && !terminal.is_there() && !self.args.dry_run {
            let why = "this is no block for a time, and there is neither a terminal to ask at nor --confirm";
            return self.refuse(proposals, why, out);
        }
        let blocks = self.blocks(&plan, proposals, out)?;
        let done = match () {
            () if !plan.split.changes_policy() => Ok(None),
            () if self.args.dry_run => self.show(&plan, &id, proposals, out).map(|()| None),
            () if !plan.changes_policy() => self.again(&plan, out).map(|()| None),
            () => self.window(&plan, &id, proposals, (&mut terminal, hold, base.is_some() && !blocks), out),
        };
        // Blocks that were changed stay so.
        match done.map_err(|failure| if blocks { failure.after_change() } else { failure })? {
            Some(why) if blocks => self.refuse_as(proposals, &why, (BLOCKS_STAY, Exit::Unknown), out),
            Some(why) => self.refuse(proposals, &why, out),
            None => Ok(()),
        }
    }

    /// Arms the change, waits for its window to end, and does what ended it; or why it is refused now. Others may change the firewall while it
    /// waits. What is `bound` to the rules that it was approved for is not proven anew for others.
    fn window(
        &mut self,
        plan: &Plan,
        id: &Id,
        proposals: &[Proposal],
        (terminal, hold, bound): (&mut Terminal, Option<Hold>, bool),
        out: &mut Out,
    ) -> Result<Option<Refused>, Failure> {
        let before = self.site.backend.changes()?;
        let proven = match Some(self.site.backend.base()?) == plan.base {
            true => None,
            false if bound => return Ok(Some(CHANGED.to_owned())),
            false => Some(self.proven(proposals, id)?),
        };
        let plan = match &proven {
            Some(Err(why)) => return Ok(Some(why.clone())),
            Some(Ok(proven)) => proven,
            None => plan,
        };
        let (row, signals) = self.arm(plan, id, (proposals, hold.as_ref()), out)?;
        let overtaken = self.overtaken(plan, before);
        drop(hold);
        let end = match overtaken {
            Ok(Some(why)) => End::TakeBack(why),
            // What was armed and cannot be judged is not what was proven.
            Err(failed) => End::TakeBack(failed.message),
            Ok(None) => wait(&self.site, id, self.seconds(), terminal, &signals),
        };
        let left = if self.site.backend.closes_windows() { BY_THE_KERNEL } else { BY_THE_WATCHDOG };
        let ended = self.end(&row, end, out).map_err(|failure| match failure.exit {
            Exit::Refused | Exit::Undecided => failure.after_change().hint(left),
            _ => failure,
        });
        ended.map(|()| None)
    }

    /// Why a change that was just armed would not have been: another program changed the rules between the proof and the kernel.
    fn overtaken(&self, plan: &Plan, before: Option<u64>) -> Result<Option<Refused>, Failure> {
        let now = self.site.backend.changes()?;
        let alone = match before.zip(now) {
            Some((before, now)) => now == before + 1,
            // Where nobody counts, nobody knows; a firewall that is not this host's has looked for itself when it armed.
            None => !self.site.backend.is_of_this_kernel(),
        };
        if alone {
            return Ok(None);
        }
        judged(&self.site, plan)
    }

    /// Makes and ends the blocks of a batch, whether there are any. What would refuse the batch's policy refuses it before.
    fn blocks(&mut self, plan: &Plan, proposals: &[Proposal], out: &mut Out) -> Result<bool, Failure> {
        if plan.split.bans.is_empty() && plan.split.lifted.is_empty() {
            return Ok(false);
        }
        if plan.split.changes_policy() && plan.changes_policy() && !self.args.dry_run {
            no_window(self.site.backend)?;
        }
        if !plan.split.bans.is_empty() {
            self.block(&[proposals], None, out)?;
        }
        if !plan.split.lifted.is_empty() {
            let lifted = self.lift(&plan.split.lifted, out);
            lifted.map_err(|failure| if plan.split.bans.is_empty() { failure } else { failure.after_change() })?;
        }
        Ok(!self.args.dry_run)
    }

    /// A plan that was proven against the rules that the kernel holds now: when they change while it is made, it is made again.
    fn proven(&self, proposals: &[Proposal], id: &Id) -> Result<Result<Plan, Refused>, Failure> {
        for _ in 0..PROOFS {
            let plan = plan(&self.site, proposals, id, &self.args.allow_lockout)?;
            match plan {
                Ok(plan) if plan.base.is_some() && Some(self.site.backend.base()?) != plan.base => {}
                decided => return Ok(decided),
            }
        }
        Err(Failure::refused("another program keeps changing the rules")
            .hint("stop it, or try again when it has ended"))
    }

    /// Ends the blocks of addresses, as a person asked for.
    fn lift(&mut self, addresses: &[AddressSpec], out: &mut Out) -> Result<(), Failure> {
        for address in addresses {
            if self.args.dry_run {
                out.text(&format!("# the block of {address} ends"));
                continue;
            }
            match blocks::lift(&mut self.site, address, false) {
                Ok(_) => self.shell.note(&format!("{address} is no longer blocked")),
                Err(failure) if failure.exit == Exit::No => {
                    self.shell.complain(&failure.message, failure.hint.as_deref());
                    out.ends(Exit::No);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Everything that was asked for holds already: it is one deployment, that one.
    fn again(&mut self, plan: &Plan, out: &mut Out) -> Result<(), Failure> {
        let holder = plan.after.iter().find(|p| plan.split.policy.contains(&p.rule)).map(|p| p.deployment.clone());
        if let Some(id) = holder {
            out.record(&transaction::reread(&self.site, &id)?.record());
        }
        Ok(())
    }

    /// Prints the exact text to be loaded and to be put back.
    fn show(&mut self, plan: &Plan, id: &Id, proposals: &[Proposal], out: &mut Out) -> Result<(), Failure> {
        let row = plan.row(&self.site, id, proposals, self.seconds());
        let Arming { apply, revert, .. } = transaction::arming(&self.site, &row, plan.widens, &plan.doors)?;
        out.text(&format!("# to be loaded\n{apply}\n# to be put back when it is not confirmed\n{revert}"));
        Ok(())
    }

    /// Arms the change; the signals of the time in which it may be confirmed are taken before it holds.
    fn arm(
        &mut self,
        plan: &Plan,
        id: &Id,
        (proposals, hold): (&[Proposal], Option<&Hold>),
        out: &mut Out,
    ) -> Result<(DeploymentRow, Signals), Failure> {
        let signals = Signals::take().map_err(|e| Failure::refused(format!("cannot take signals: {e}")))?;
        let mut row = plan.row(&self.site, id, proposals, self.seconds());
        let Arming { old, new, contents, apply, revert } =
            transaction::arming(&self.site, &row, plan.widens, &plan.doors)?;
        (row.generation_old, row.generation_new) = (old, Some(new));
        row.backup = Some(self.site.backend.backup()?);
        (row.apply_text, row.revert_text) = (Some(apply), Some(revert));
        transaction::journal(&mut self.site, proposals, &row, &plan.doors)?;
        if let Err(failed) =
            hold.map_or_else(|| Ok(()), |hold| hold.kept(|| watchdog::start(self.shell, &self.site, id)))
        {
            return Err(transaction::fail(&mut self.site, id, failed));
        }
        let row = transaction::open_window(&mut self.site, &row, &contents)?;
        tracing::info!(deployment = %row.id, "applied, waits for its confirmation");
        out.record(&row.record());
        out.flush();
        Ok((row, signals))
    }

    /// Does what the end of a window asks for.
    fn end(&mut self, row: &DeploymentRow, end: End, out: &mut Out) -> Result<(), Failure> {
        let _hold = self.hold()?;
        let ended = match end {
            End::Confirm { by, heartbeat } => transaction::confirm(&mut self.site, &row.id, &by, heartbeat),
            End::TakeBack(why) => transaction::take_back(&mut self.site, row, &why),
            End::Lapsed => transaction::lapse(&mut self.site, row),
            End::Elsewhere(_) => transaction::reread(&self.site, &row.id),
        };
        let row = match ended {
            Ok(row) => row,
            // Another process may have ended it at the same moment: the journal tells.
            Err(failure) => match transaction::reread(&self.site, &row.id)? {
                row if matches!(row.status, Status::Confirmed | Status::RolledBack) => row,
                _ => return Err(failure),
            },
        };
        tracing::info!(deployment = %row.id, status = ?row.status, "ended");
        out.record(&row.record());
        if row.error.as_deref() == Some(transaction::FLUSHED) {
            let message = format!("deployment {}: {}", row.id, transaction::FLUSHED);
            out.record(&Alert { level: Severity::Critical, message, assessment: None, run: row.run.clone() });
        }
        if row.status != Status::Confirmed {
            let why = row.error.as_deref().unwrap_or("it was not confirmed");
            self.shell.complain(&format!("deployment {} was taken back: {why}", row.id), None);
            out.ends(Exit::PutBack);
        }
        Ok(())
    }
}
