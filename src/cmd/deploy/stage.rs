//! The stage: a person's input as one batch, each answer to an assessment as one of its own.

use super::Args;
use super::desk::Desk;
use super::window::Terminal;
use crate::cli::{Exit, Failure, Out, Shell, Stage, Trouble, Work, run_in_hand};
use crate::deploy::{Batch, Principal, principal};
use crate::record::{Id, Proposal, Unreadable, parse};
use crate::sys::clock;
use std::time::Duration;

/// The deploying stage.
pub struct Deployer<'a> {
    shell: &'a Shell,
    args: &'a Args,
    /// Opened for the first proposal: what only passes through needs neither state nor kernel.
    desk: Option<Desk<'a>>,
    batch: Batch,
    /// Machines' proposals that wait for more of them, and since when.
    waiting: Vec<Proposal>,
    since: Duration,
    /// Whether a person asks: at the terminal, or by a script that leaves the level of autonomy to it. The daemon always says one.
    asked: bool,
}

impl<'a> Deployer<'a> {
    /// A stage that has seen nothing yet.
    pub fn new(shell: &'a Shell, args: &'a Args) -> Self {
        let asked = args.autonomy.is_none() || Terminal::find().is_there();
        Self { shell, args, desk: None, batch: Batch::default(), waiting: Vec::new(), since: Duration::ZERO, asked }
    }

    fn desk(&mut self) -> Result<&mut Desk<'a>, Failure> {
        match &mut self.desk {
            Some(desk) => Ok(desk),
            closed => Ok(closed.insert(Desk::open(self.shell, self.args)?)),
        }
    }
}

/// So many rules of machines go into the kernel at once.
const MOST: usize = 1000;

/// So long the first of them waits for others, and only while others are there to be read.
const PATIENCE: Duration = Duration::from_millis(5);

impl Deployer<'_> {
    /// Puts a machine's proposal to those that wait.
    fn gather(&mut self, proposal: Proposal, out: &mut Out) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            self.since = clock::since_boot();
        }
        self.waiting.push(proposal);
        let rules: usize = self.waiting.iter().map(|proposal| proposal.rules.len()).sum();
        let full = rules >= MOST || clock::since_boot().saturating_sub(self.since) >= PATIENCE;
        if full { self.release(out) } else { Ok(()) }
    }

    /// Does what waits.
    fn release(&mut self, out: &mut Out) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        let asked = self.asked;
        if waiting.is_empty() { Ok(()) } else { self.desk()?.machines(&waiting, asked, out) }
    }
}

impl Stage for Deployer<'_> {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _kind: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        match principal(&proposal, self.asked) {
            Principal::Person => {
                tracing::info!(proposal = %proposal.id, "taken into the batch");
                self.batch.add(proposal);
            }
            Principal::Machine if !proposal.ok => {
                let words = proposal.error.as_ref().map_or("it holds no rules", |e| e.message.as_str());
                self.desk()?.tell(&proposal, &format!("refused: {words}"), out)?;
            }
            Principal::Machine => self.gather(proposal, out)?,
        }
        Ok(())
    }

    fn spoilt(&mut self, cause: &str) {
        let text = cause.ends_with(&Unreadable::NotAnObject.to_string());
        let next = if text { "; a sentence goes through afo-gen first: … | afo-gen | afo-deploy" } else { "" };
        self.batch.spoil(format!("the input holds a bad record: {cause}{next}"));
    }

    fn interrupted(&mut self) {
        if !self.batch.is_empty() {
            self.batch.spoil("a signal came before the end of the input".to_owned());
        }
    }

    fn needs_reader(&self) -> bool {
        false
    }

    fn idle(&mut self, out: &mut Out) -> Result<(), Failure> {
        self.release(out)
    }

    fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        self.release(out)?;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        match batch.close() {
            Ok(proposals) => {
                let run = proposals.iter().find_map(|p| p.run.as_ref());
                let _work = Work::on(out.stage(), "proposal", run.map(Id::as_str));
                let done = self.desk().and_then(|desk| desk.person(&proposals, out));
                done.map_err(|failure| failure.of_run(run_in_hand()))
            }
            Err(why) => {
                self.shell.complain(&format!("refused: {why}"), Some("nothing was changed"));
                out.ends(Exit::No);
                Ok(())
            }
        }
    }
}
