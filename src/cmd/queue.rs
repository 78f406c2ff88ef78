//! afo-queue: what waits for a person, and the person's decision.

use super::deploy::approval::{self, Card, title};
use super::deploy::site::{Site, failure};
use super::status::counted;
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Style};
use crate::record::{ApprovalStatus, Id, Proposal, Timestamp, to_line};
use crate::state::Queued;
use crate::sys::{clock, user};

/// Show what waits for a person, approve or reject it
///
/// What a daemon, a model or another program proposed and afo-deploy may not do without a person waits here. `show` computes anew what it
/// would do, against the rules as they are now: the packets that change fate with an example of each, what stands against it, the
/// established connections that would end, and what takes it back. `approve` binds a person's yes to exactly these rules and to the ruleset of this moment, for a time
/// (respond.approval_seconds) and for one deployment, and puts the proposal out for afo-deploy. Approving and rejecting need a terminal.
/// The ruleset is every program's rules and the elements of their sets and maps; counters, blocks and elements that come and go by
/// themselves (sets with a timeout, or filled by rules) may change meanwhile.
///
/// Examples:
///   $ afo-queue                            what waits (list)
///   $ afo-queue show                       the only one that waits; or name it: show ID
///   $ afo-queue approve ID --reason "seen in the logs" | afo-deploy --confirm
///   $ afo-queue reject ID --reason "a scanner of our own"
///
/// Exit status:
///   0  shown or decided
///   1  it does not wait, nobody sits at a terminal, or afo-deploy would refuse it; nothing was decided
///   2  usage, or the output could not be written
///   3  the state or the kernel cannot be used
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "afo-queue", version, verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    pub what: Option<What>,
    #[command(flatten)]
    pub common: Common,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum What {
    /// List what waits (the default)
    List {
        /// Also what was decided or has expired
        #[arg(long)]
        all: bool,
    },
    /// Show one with everything that can be computed of it
    Show { id: Option<Id> },
    /// Approve of one, for the rules as they are now
    Approve {
        id: Option<Id>,
        /// Why, for the trail
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Reject one for good
    Reject {
        id: Option<Id>,
        /// Why, for the trail
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
}

impl Command for Args {
    const NAME: &'static str = "afo-queue";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let mut out = shell.out();
        match self.what.unwrap_or(What::List { all: false }) {
            What::List { all } => list(&Site::look(shell)?, all, &mut out)?,
            What::Show { id } => {
                let site = Site::look(shell)?;
                let queued = approval::meant(&site, id.as_ref())?;
                put(&approval::card(&site, queued)?, &mut out);
            }
            What::Approve { id, reason } => {
                let mut site = Site::open(shell)?;
                let card = approval::approve(&mut site, id.as_ref(), &reason, user::terminal().as_deref())?;
                tracing::info!(proposal = %card.proposal.id, "approved");
                let until = card.queued.until;
                put(&card, &mut out);
                if out.is_text() {
                    let id = &card.proposal.id;
                    out.text(&format!(
                        "approved until {until}; to do it: afo-queue approve {id} | afo-deploy --confirm"
                    ));
                }
            }
            What::Reject { id, reason } => {
                let mut site = Site::open(shell)?;
                let proposal = approval::reject(&mut site, id.as_ref(), &reason, user::terminal().as_deref())?;
                tracing::info!(proposal = %proposal.id, "rejected");
                out.record(&proposal);
            }
        }
        shell.close(&mut out)
    }
}

fn list(site: &Site, all: bool, out: &mut Out) -> Result<(), Failure> {
    let now = clock::now();
    let queue = if all { site.state.whole_queue() } else { site.state.queue(now) }.map_err(failure)?;
    if queue.is_empty() && out.is_text() {
        out.text("nothing waits for a person");
    }
    for queued in &queue {
        let proposal = approval::stored(site, queued)?;
        match out.is_text() {
            true => {
                let text = line(queued, &proposal, now, out.style());
                out.text(&text);
            }
            false => out.record(&proposal),
        }
    }
    Ok(())
}

/// An entry of the queue in two lines: what it is and where it stands, and why it waits.
fn line(queued: &Queued, proposal: &Proposal, now: Timestamp, style: Style) -> String {
    let left = |end: Timestamp| {
        let minutes = usize::try_from(end.duration_since(now).as_secs() / 60).unwrap_or(0);
        if minutes < 120 { counted(minutes, "minute") } else { counted(minutes / 60, "hour") }
    };
    let by = queued.decided_by.as_deref().unwrap_or_default();
    let stands = match queued.status_at(now) {
        ApprovalStatus::Pending => format!("waits, {} left", left(queued.until)),
        ApprovalStatus::Approved => match &queued.deployment {
            Some(deployment) => format!("approved by {by}, used for deployment {deployment}"),
            None => format!("approved by {by}, holds for {}", left(queued.until)),
        },
        ApprovalStatus::Rejected => format!("rejected by {by}"),
        ApprovalStatus::Expired => "expired".to_owned(),
    };
    let first = format!("{}  {} ({stands})", queued.proposal, title(proposal));
    format!("{}\n    {}", style.plain(&first), style.plain(&format!("brought by {}: {}", queued.proposer, queued.why)))
}

/// Puts out what was computed; for people also what is not in the record.
fn put(card: &Card, out: &mut Out) {
    out.line(&to_line(&card.proposal));
    if !out.is_text() {
        return;
    }
    let mut lines = vec![format!("brought by {}: {}", card.queued.proposer, card.queued.why)];
    if !card.rollback.is_empty() {
        lines.push(format!("to take it back: {}", card.rollback));
    }
    lines.extend(card.refused.iter().map(|why| format!("as things are it would be refused: {why}")));
    let style = out.style();
    lines.iter().for_each(|line| out.text(&style.plain(line)));
}
