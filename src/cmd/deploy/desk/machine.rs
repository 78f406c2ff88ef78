//! What no person brought: each proposal is decided on by the configured autonomy, and done, queued or told.

use super::{Desk, work};
use crate::cli::{Failure, Out, config};
use crate::cmd::deploy::approval::{self, Approved};
use crate::cmd::deploy::caps::learns_until;
use crate::cmd::deploy::site::failure;
use crate::cmd::deploy::split::timed;
use crate::packet::AddressSpec;
use crate::record::{Proposal, Timestamp};
use crate::respond::{Admission, Autonomy, Decision, Facts, TimedBlock, decide, judge};
use crate::state::Queued;
use crate::sys::clock;
use jiff::SignedDuration;
use std::collections::BTreeSet;

impl Desk<'_> {
    /// Proposals that no person brought, in their order. Blocks among them go into the kernel together. What a person approved of is done where
    /// a person `asked` for it: a stream waits for no window.
    pub fn machines(&mut self, proposals: &[Proposal], asked: bool, out: &mut Out) -> Result<(), Failure> {
        let mut from = 0;
        for (at, proposal) in proposals.iter().enumerate() {
            let Some(Approved { proposal, base }) = approval::approved(&self.site, proposal)? else { continue };
            self.batch(&proposals[from..at], out)?;
            from = at + 1;
            let _work = work(std::slice::from_ref(&proposal), out);
            match base {
                _ if !asked => {
                    let step = format!("afo-queue approve {} | afo-deploy --confirm", proposal.id);
                    let words = format!("not done here (it was approved; a person does it: {step})");
                    self.tell(&proposal, &words, out)?;
                }
                Ok(base) => self.deploy(&[proposal], Some(&base), out)?,
                Err(why) => self.refuse(&[proposal], &why, out)?,
            }
        }
        self.batch(&proposals[from..], out)
    }

    /// Decides on proposals that nobody approved of, and makes the blocks that may be made.
    fn batch(&mut self, proposals: &[Proposal], out: &mut Out) -> Result<(), Failure> {
        if proposals.is_empty() {
            return Ok(());
        }
        let hold = self.hold()?;
        self.site.look_around(self.shell);
        self.site.is_seen()?;
        let (mut acting, mut named) = (Vec::new(), BTreeSet::<&AddressSpec>::new());
        for proposal in proposals {
            let _work = work(std::slice::from_ref(proposal), out);
            // Whether an address is blocked already is decided on: what is about to be blocked is, first.
            if addresses(proposal).any(|address| named.contains(address)) {
                self.block(&std::mem::take(&mut acting), Some(hold.as_ref()), out)?;
                named.clear();
            }
            if self.decided(proposal, out)? {
                acting.push(std::slice::from_ref(proposal));
                named.extend(addresses(proposal));
            }
        }
        self.block(&acting, Some(hold.as_ref()), out)
    }

    /// Whether a proposal is to be done now; one that is not is queued or told.
    fn decided(&mut self, proposal: &Proposal, out: &mut Out) -> Result<bool, Failure> {
        let timed = timed(&self.site, proposal);
        let level = self.autonomy();
        let admission = match (level, &timed) {
            (Autonomy::Auto, Ok(timed)) => self.caps.ask(&mut self.site, proposal, timed, self.args.dry_run)?,
            _ => Admission::Admitted,
        };
        // Of blocks for a time it is known what they do, and nothing waits for its computing.
        let looked = timed.is_err() && level != Autonomy::Alert;
        let effect = if looked { approval::effect(&self.site, proposal)? } else { None };
        let cut = effect.as_ref().map(approval::cut);
        let facts = Facts {
            effect: effect.as_ref(),
            cut: cut.as_deref(),
            timed: timed.as_deref(),
            evidence: proposal.origin.assessment.is_some(),
            never: &self.site.never,
            admission: &admission,
        };
        let verdict = decide(level, &judge(&facts), timed.as_ref().map(drop), &admission);
        match verdict.decision {
            Decision::Act => match learns_until(&mut self.site, self.args.dry_run)? {
                Some(end) => {
                    self.tell(proposal, &format!("not done (it only learns until {end}; then it would be)"), out)?;
                }
                None => return Ok(true),
            },
            Decision::Queue => {
                let never = |block: &TimedBlock| self.site.never.forbids(&block.address).is_some();
                match &timed {
                    // Nobody may.
                    Ok(timed) if timed.iter().any(never) => {
                        self.tell(proposal, &format!("not done ({})", verdict.reason), out)?;
                    }
                    _ => self.queue(proposal, &verdict.reason, out)?,
                }
            }
            Decision::Alert => self.tell(proposal, &format!("not done ({})", verdict.reason), out)?,
        }
        Ok(false)
    }

    /// Puts a proposal into the queue and tells people.
    fn queue(&mut self, proposal: &Proposal, why: &str, out: &mut Out) -> Result<(), Failure> {
        if !self.args.dry_run {
            let now = clock::now();
            let seconds = SignedDuration::from_secs(self.site.config.respond.queue_seconds.into());
            let until = now.checked_add(seconds).unwrap_or(Timestamp::MAX);
            let proposer = format!("{} ({})", self.site.actor, proposal.origin.by.as_str());
            let queued = Queued::new(proposal, self.site.backend.name(), &proposer, why, now, until);
            let change = self.site.begin()?;
            change.proposal(proposal).map_err(failure)?;
            change.expire_approvals().map_err(failure)?;
            change.enqueue(&queued).map_err(failure)?;
            let stands = change.queued(&proposal.id).map_err(failure)?;
            change.commit().map_err(failure)?;
            if let Some(ended) = stands.and_then(|queued| approval::ended(&queued, now)) {
                return self.tell(proposal, &format!("not done ({ended})"), out);
            }
        }
        let step = format!("look: afo-queue show {0}; then: afo-queue approve {0} | afo-deploy --confirm", proposal.id);
        self.tell(proposal, &format!("waits for a person ({why}); {step}"), out)
    }

    fn autonomy(&self) -> Autonomy {
        match (self.args.autonomy, self.args.confirm) {
            (Some(level), _) => level,
            (None, Some(_)) => Autonomy::Auto,
            (None, None) => configured(self.site.config.respond.autonomy),
        }
    }
}

/// The addresses that the rules of a proposal name.
fn addresses(proposal: &Proposal) -> impl Iterator<Item = &AddressSpec> {
    proposal.rules.iter().flat_map(|rule| rule.source_address.items().iter().chain(rule.destination_address.items()))
}

fn configured(level: config::Autonomy) -> Autonomy {
    match level {
        config::Autonomy::Alert => Autonomy::Alert,
        config::Autonomy::Propose => Autonomy::Propose,
        config::Autonomy::Auto => Autonomy::Auto,
    }
}
