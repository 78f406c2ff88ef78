//! A proposal's way into the kernel: what may be done, by whom, and the doing of it.

use super::approval::{self, Approved, title};
use super::backend::{Arming, no_window};
use super::caps::{Caps, learns_until};
use super::plan::{Plan, Refused, judged, plan};
use super::recover::recover;
use super::site::{Hold, Site, failure};
use super::split::{split, timed};
use super::window::{End, Pulse, Terminal, wait};
use super::{Args, blocks, transaction, watchdog};
use crate::cli::{Exit, Failure, Out, Shell, Signals, Work, run_in_hand};
use crate::packet::AddressSpec;
use crate::record::{Alert, Id, Proposal, Severity, Status, Timestamp};
use crate::respond::{Admission, Autonomy, Decision, Facts, Growth, TimedBlock, decide, judge};
use crate::state::{DeploymentRow, Queued};
use crate::sys::clock;
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// How often a change is proven anew because somebody else changed the rules meanwhile.
const PROOFS: usize = 3;

/// How often a failing heartbeat is asked before blocks are taken back.
const BEATS: usize = 3;

/// What is said of a refusal behind blocks that were made or ended.
const BLOCKS_STAY: &str = "the blocks of this batch are done and stay; nothing else was changed";

/// What becomes of a window that could not be ended.
const BY_THE_KERNEL: &str =
    "the kernel takes the change back by itself when its window is over; then: afo-deploy recover";
const BY_THE_WATCHDOG: &str = "its watchdog takes the change back when its window is over; then: afo-deploy recover";

/// Why what was approved is not done any more.
const CHANGED: &str = "the rules of this host have changed since it was approved";

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

    fn autonomy(&self) -> Autonomy {
        match (self.args.autonomy, self.args.confirm) {
            (Some(level), _) => level,
            (None, Some(_)) => Autonomy::Auto,
            (None, None) => configured(self.site.config.respond.autonomy),
        }
    }

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

    /// Applies the timed blocks of proposals, each group a deployment. Those of a `machine`, which holds the firewall, grow and stand on trial.
    fn block(&mut self, groups: &[&[Proposal]], machine: Option<Option<&Hold>>, out: &mut Out) -> Result<(), Failure> {
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

    /// A person's whole input.
    pub fn person(&mut self, proposals: &[Proposal], out: &mut Out) -> Result<(), Failure> {
        self.deploy(proposals, None, out)
    }

    /// Deploys what a person wants, or approved of for the ruleset of a hash.
    fn deploy(&mut self, proposals: &[Proposal], base: Option<&str>, out: &mut Out) -> Result<(), Failure> {
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
        if before.zip(now).is_none_or(|(before, now)| now == before + 1) {
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

    fn seconds(&self) -> u64 {
        let given = self.args.confirm.flatten();
        u64::from(given.unwrap_or(self.site.config.deploy.confirm_seconds))
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
        let Arming { old, new, apply, revert } = transaction::arming(&self.site, &row, plan.widens, &plan.doors)?;
        (row.generation_old, row.generation_new) = (old, Some(new));
        row.backup = Some(self.site.backend.backup()?);
        (row.apply_text, row.revert_text) = (Some(apply), Some(revert));
        transaction::journal(&mut self.site, proposals, &row, &plan.doors)?;
        if let Err(failed) =
            hold.map_or_else(|| Ok(()), |hold| hold.kept(|| watchdog::start(self.shell, &self.site, id)))
        {
            return Err(transaction::fail(&mut self.site, id, failed));
        }
        let row = transaction::open_window(&mut self.site, &row)?;
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

/// The addresses that the rules of a proposal name.
fn addresses(proposal: &Proposal) -> impl Iterator<Item = &AddressSpec> {
    proposal.rules.iter().flat_map(|rule| rule.source_address.items().iter().chain(rule.destination_address.items()))
}

/// Says in the log of which run what follows is.
fn work(proposals: &[Proposal], out: &Out) -> Work {
    let run = proposals.iter().find_map(|p| p.run.as_ref());
    Work::on(out.stage(), "proposal", run.map(Id::as_str))
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

fn configured(level: crate::cli::config::Autonomy) -> Autonomy {
    match level {
        crate::cli::config::Autonomy::Alert => Autonomy::Alert,
        crate::cli::config::Autonomy::Propose => Autonomy::Propose,
        crate::cli::config::Autonomy::Auto => Autonomy::Auto,
    }
}
