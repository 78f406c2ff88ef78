//! A proposal's way into the kernel: what may be done, by whom, and the doing of it.

mod ban;
mod machine;
mod person;

use super::Args;
use super::approval::title;
use super::caps::Caps;
use super::recover::recover;
use super::site::{Hold, Site, failure};
use crate::cli::{Exit, Failure, Out, Shell, Work};
use crate::record::{Alert, Id, Proposal, Severity, Status};
use crate::state::DeploymentRow;
use crate::sys::clock;

/// Where proposals for this host are decided and done.
pub struct Desk<'a> {
    shell: &'a Shell,
    args: &'a Args,
    site: Site,
    caps: Caps,
}

impl<'a> Desk<'a> {
    /// A desk for this host, which is first brought in order.
    ///
    /// # Errors
    /// When the state or the kernel cannot be used.
    pub fn open(shell: &'a Shell, args: &'a Args) -> Result<Self, Failure> {
        let mut site = if args.dry_run { Site::look(shell)? } else { Site::open(shell)? };
        if !args.dry_run {
            let _hold = site.hold()?;
            recover(&mut site)?.tell(shell, &mut shell.out());
        }
        args.backend.as_deref().map_or(Ok(()), |name| site.use_backend(name))?;
        site.config.deploy.placement = args.placement.unwrap_or(site.config.deploy.placement);
        let caps = Caps::open(&site)?;
        Ok(Self { shell, args, site, caps })
    }

    /// The right to change the firewall, where it is to be changed.
    fn hold(&self) -> Result<Option<Hold>, Failure> {
        if self.args.dry_run { Ok(None) } else { self.site.hold().map(Some) }
    }

    /// Records what is not done and tells people.
    pub fn tell(&mut self, proposal: &Proposal, words: &str, out: &mut Out) -> Result<(), Failure> {
        if !self.args.dry_run {
            let change = self.site.begin()?;
            change.proposal(proposal).map_err(failure)?;
            change.commit().map_err(failure)?;
        }
        let message = format!("{}: {words}", title(proposal));
        let assessment = proposal.origin.assessment.clone();
        tracing::info!(proposal = %proposal.id, "told, not done");
        out.record(&Alert { level: Severity::High, message, assessment, run: proposal.run.clone() });
        out.ends(Exit::No);
        Ok(())
    }

    /// Journals a refusal and puts it out.
    pub fn refuse(&mut self, proposals: &[Proposal], why: &str, out: &mut Out) -> Result<(), Failure> {
        self.refuse_as(proposals, why, ("nothing was changed", Exit::No), out)
    }

    fn refuse_as(
        &mut self,
        proposals: &[Proposal],
        why: &str,
        (hint, exit): (&str, Exit),
        out: &mut Out,
    ) -> Result<(), Failure> {
        let mut row = DeploymentRow::new(clock::new_id(), self.site.backend.name(), clock::now(), &self.site.actor);
        row.run = proposals.iter().find_map(|p| p.run.clone());
        row.proposals = proposals.iter().map(|p| p.id.clone()).collect();
        (row.status, row.error) = (Status::Refused, Some(why.to_owned()));
        if !self.args.dry_run {
            let change = self.site.begin()?;
            for proposal in proposals {
                change.proposal(proposal).map_err(failure)?;
            }
            change.deployment(&row).map_err(failure)?;
            change.commit().map_err(failure)?;
        }
        self.shell.complain(&format!("refused: {why}"), Some(hint));
        out.record(&row.record());
        out.ends(exit);
        Ok(())
    }

    fn seconds(&self) -> u64 {
        let given = self.args.confirm.flatten();
        u64::from(given.unwrap_or(self.site.config.deploy.confirm_seconds))
    }
}

/// Says in the log of which run what follows is.
fn work(proposals: &[Proposal], out: &Out) -> Work {
    let run = proposals.iter().find_map(|p| p.run.as_ref());
    Work::on(out.stage(), "proposal", run.map(Id::as_str))
}
