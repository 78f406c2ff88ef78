//! afo-conflicts: what stands against a proposal in the whole ruleset, and what it changes; or what is wrong in a ruleset by itself.

use super::{config, ruleset, steps};
use crate::analyze::{self, Against, Budget, Judgement};
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Stage, Trouble};
use crate::record::{Conflict, FindingType, Proposal, enrich, parse};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::PathBuf;

/// Say what stands against proposed rules, and which packets change fate
///
/// Adds `conflicts`, `effect` and `advice` to proposals, computed against the whole ruleset with the rules where AFO puts them: rules that
/// never match, that earlier rules take everything from, that a later chain undoes, that change nothing; and the packets that are
/// newly dropped or accepted, each class with an example. With --audit reads no proposals and reports what is wrong in the ruleset
/// by itself as `finding` records. What was not understood makes an answer unknown, never fine.
///
/// A rule is judged for what it sees, behind what translates destinations; `effect` tells packets as they are sent. Where all that are sent
/// to where a rule asks for are led elsewhere before it sees them, it is ineffective.
///
/// An allow is ineffective too where a later chain of another program drops what it accepts. One rule, put there once by hand, makes all of
/// AFO's allows true: `meta mark & 0x10000000 == 0x10000000 accept`. It accepts nothing by itself; where it stands afo-deploy marks what it
/// accepts, and clears the mark of all else. It is not used where another rule, or a routing rule, looks at that bit.
///
/// Examples:
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-conflicts
///   $ afo-conflicts --ruleset rules.nft < proposals      against a file: nft JSON or text, iptables-save
///   $ afo-conflicts --audit                              what is wrong in the live ruleset
///   $ afo-conflicts --fail-on redundant,overlap < proposals
///
/// Exit status:
///   0  nothing that stops a deployment; with --audit: no findings but what only informs: generalization, correlation, partial
///   1  conflicts that stop it (unmatchable, contradiction, shadow, ineffective as a whole, unknown, or those of --fail-on); findings
///   2  usage, a bad record, or a ruleset FILE that cannot be read
///   3  the live ruleset cannot be read: no permission, no nft
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-conflicts", version, verbatim_doc_comment)]
pub struct Args {
    /// Look at the kernel's rules, or at those of FILE: nft JSON, nft text, or iptables-save (with ip6tables-save and ipset save, one after the other)
    #[arg(long, value_name = "live|FILE", default_value = "live")]
    pub ruleset: PathBuf,
    /// Read no proposals; report every anomaly inside the ruleset
    #[arg(long)]
    pub audit: bool,
    /// End the search for one rule after N steps: what is not found by then is undecided
    #[arg(long, visible_alias = "budget", value_name = "N", default_value_t = Budget::default().steps, value_parser = steps)]
    pub steps: usize,
    /// Exit 1 on these alone, instead of on what stops a deployment
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',', value_parser = conflict_type)]
    pub fail_on: Vec<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Every name that a conflict or finding can have.
const TYPES: [&str; 11] = [
    "unmatchable",
    "contradiction",
    "shadow",
    "redundant",
    "ineffective",
    "generalization",
    "overlap",
    "partial",
    "unknown",
    "correlation",
    "invariant",
];

fn conflict_type(text: &str) -> Result<String, String> {
    match TYPES.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("one of {} is meant", TYPES.join(", "))),
    }
}

impl Command for Args {
    const NAME: &'static str = "afo-conflicts";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        // Nothing of it is used here; that it is wrong must be told all the same.
        config(shell)?;
        if self.audit {
            return self.report(shell);
        }
        shell.filter(&mut Conflicting { args: &self, ruleset: None })
    }
}

impl Args {
    /// Puts out the findings of a ruleset.
    fn report(&self, shell: &Shell) -> Result<Exit, Failure> {
        let ruleset = ruleset(&self.ruleset)?;
        let mut out = shell.out();
        for finding in analyze::audit(&ruleset, self.budget()) {
            if self.finds(finding.kind) {
                out.ends(Exit::No);
            }
            out.record(&finding);
        }
        shell.close(&mut out)
    }

    fn budget(&self) -> Budget {
        Budget { steps: self.steps }
    }

    /// Whether a finding of this name is one that the audit fails on.
    fn finds(&self, kind: FindingType) -> bool {
        let informs = matches!(kind, FindingType::Generalization | FindingType::Correlation | FindingType::Partial);
        match self.fail_on.is_empty() {
            true => !informs,
            false => self.fail_on.iter().any(|name| *name == finding_name(kind)),
        }
    }

    fn fails(&self, conflict: &Conflict) -> bool {
        match self.fail_on.is_empty() {
            true => analyze::stops(conflict),
            false => self.fail_on.iter().any(|name| name == conflict.kind.as_str()),
        }
    }
}

fn finding_name(kind: FindingType) -> String {
    json!(kind).as_str().unwrap_or_default().to_owned()
}

/// Judges a proposal against a ruleset: the stage function, for afo-deploy too.
pub fn conflicts(proposal: &Proposal, ruleset: &Against, budget: Budget) -> Judgement {
    ruleset.judge(&proposal.rules, &proposal.changes, budget)
}

struct Conflicting<'a> {
    args: &'a Args,
    /// Read when the first proposal comes, not before.
    ruleset: Option<Against<'static>>,
}

impl Stage for Conflicting<'_> {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        if !proposal.ok {
            out.line(line);
            return Ok(());
        }
        let ruleset = match &self.ruleset {
            Some(ruleset) => ruleset,
            None => self.ruleset.insert(Against::new(Cow::Owned(ruleset(&self.args.ruleset)?))),
        };
        let Judgement { conflicts, effect, advice } = conflicts(&proposal, ruleset, self.args.budget());
        if conflicts.items.iter().any(|item| self.args.fails(item)) {
            out.ends(Exit::No);
        }
        tracing::info!(proposal = %proposal.id, conflicts = conflicts.items.len(), "judged");
        let advice = if advice.is_empty() { Value::Null } else { json!(advice) };
        out.line(&enrich(line, &[("conflicts", json!(conflicts)), ("effect", json!(effect)), ("advice", advice)])?);
        Ok(())
    }

    /// The live ruleset may be another one when the next proposal comes.
    fn idle(&mut self, _: &mut Out) -> Result<(), Failure> {
        self.ruleset = None;
        Ok(())
    }

    fn reload(&mut self) -> Result<(), Failure> {
        self.ruleset = None;
        Ok(())
    }
}
