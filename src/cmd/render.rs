//! afo-render: the rules of a proposal in a firewall's own language.

use super::config;
use crate::backend::nftables::{Policy, Refused, Script, alone, whole};
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Stage, Trouble, for_terminal};
use crate::record::{Placement, Proposal, Refusal, Rendered, enrich, parse};
use crate::rule::{Position, Rule};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The backends that can be written.
pub const BACKENDS: &[&str] = &["nftables"];

/// Add a firewall's own text to proposals
///
/// Reads proposals and adds `rendered`: the rules in the backend's language, the same as the backend's JSON, and where each
/// rule goes and why. For nftables that is one transaction for AFO's own table: bans for a time become elements that the
/// kernel ends by itself, every rule carries its id and a counter. What the backend cannot do exactly is refused: the
/// proposal then has `ok: false` and an error that names rule, field, value and what is allowed. afo-deploy trusts none of
/// it and renders again, together with the rules that are confirmed.
///
/// Examples:
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render --native
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render --to rules
///
/// Exit status:
///   0  all rendered
///   1  a rule was refused, or a proposal has none
///   2  a bad record, or an unknown backend
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-render", version, verbatim_doc_comment)]
pub struct Args {
    /// The firewall whose language is written
    #[arg(long, value_name = "BACKEND", default_value = "nftables")]
    pub backend: String,
    /// Print the backend's text instead of records: one table for all proposals, for `nft -f -` on an empty host
    #[arg(long)]
    pub native: bool,
    /// Print the rules in another form instead of records: `rules`, one line for each
    #[arg(long, value_name = "FORM", conflicts_with = "native")]
    pub to: Option<Form>,
    #[command(flatten)]
    pub common: Common,
}

/// A form of rules that is no backend's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// One canonical line for each rule, which parses back
    Rules,
}

impl Command for Args {
    const NAME: &'static str = "afo-render";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        known_backend(&self.backend)?;
        config(shell)?;
        match (self.native, self.to) {
            (true, _) => shell.filter_into(&mut Native { shell, rules: Vec::new() }, &mut text_out(shell)),
            (_, Some(Form::Rules)) => shell.filter_into(&mut Lines, &mut text_out(shell)),
            _ => shell.filter(&mut Enriched { shell }),
        }
    }
}

/// An output that carries no records, whatever it is.
fn text_out(shell: &Shell) -> Out {
    let mut out = shell.out();
    out.only_text();
    out
}

/// Whether a backend can be written.
///
/// # Errors
/// When it cannot; the words say which can.
pub fn known_backend(name: &str) -> Result<(), Failure> {
    let known = BACKENDS.contains(&name);
    let words = format!("backend `{}` cannot be written; {} can", name.escape_debug(), BACKENDS.join(", "));
    if known { Ok(()) } else { Err(Failure::undecided(words)) }
}

/// The rules of a proposal in nftables: text that stands for itself, the same as JSON, and where each rule goes.
///
/// # Errors
/// Every refusal, each with rule, field, value and what is allowed.
pub fn render(proposal: &Proposal) -> Result<Rendered, Vec<Refused>> {
    let (script, placement) = script(proposal)?;
    Ok(Rendered { backend: BACKENDS[0].to_owned(), native: script.to_string(), json: script.json(), placement })
}

/// As [`render`], before it is written.
///
/// # Errors
/// As [`render`].
pub fn script(proposal: &Proposal) -> Result<(Script, Vec<Placement>), Vec<Refused>> {
    let (rules, elsewhere) = standing_alone(proposal);
    let policy = Policy::of(&rules)?;
    let mut placement = policy.placement().to_vec();
    placement.iter_mut().for_each(|placed| {
        if let Some((_, position)) = elsewhere.iter().find(|(id, _)| *id == placed.rule) {
            placed.why = format!("{position} is not in this proposal; afo-deploy puts the rule there");
        }
    });
    Ok((alone(&policy, &policy.blocks()), placement))
}

/// The rules that a proposal brings, with those that stand beside a rule of another proposal put where they can stand alone.
fn standing_alone(proposal: &Proposal) -> (Vec<Rule>, Vec<(crate::rule::Id, Position)>) {
    let replacing = proposal.changes.iter().filter_map(|change| change.rule.as_ref());
    let mut rules: Vec<Rule> = proposal.rules.iter().chain(replacing).cloned().collect();
    let known: BTreeSet<_> = rules.iter().map(|rule| rule.id.clone()).collect();
    let mut moved = Vec::new();
    for rule in &mut rules {
        if let Position::Before(id) | Position::After(id) = &rule.position
            && !known.contains(id)
        {
            moved.push((rule.id.clone(), std::mem::take(&mut rule.position)));
        }
    }
    (rules, moved)
}

/// The refusals as a proposal's error.
fn refusal(refused: &[Refused]) -> Refusal {
    let message = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Refusal { code: "not_renderable".to_owned(), message, hint: None }
}

/// Records in, records out.
struct Enriched<'a> {
    shell: &'a Shell,
}

impl Stage for Enriched<'_> {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        if !proposal.ok {
            out.line(line);
            return Ok(());
        }
        let fields: Vec<(&str, Value)> = match render(&proposal) {
            Ok(rendered) => vec![("rendered", json!(rendered))],
            Err(refused) => {
                refused.iter().for_each(|why| self.shell.complain(&why.to_string(), None));
                out.ends(Exit::No);
                vec![("ok", json!(false)), ("error", json!(refusal(&refused))), ("rendered", Value::Null)]
            }
        };
        tracing::info!(proposal = %proposal.id, ok = fields[0].0 == "rendered", "rendered");
        out.line(&enrich(line, &fields)?);
        Ok(())
    }
}

/// Proposals in, one text out at the end; nothing at all where a record is bad or a rule refused, because half a policy is another policy.
struct Native<'a> {
    shell: &'a Shell,
    rules: Vec<Rule>,
}

impl Stage for Native<'_> {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        if !proposal.ok {
            self.shell.note(&format!("proposal {} was refused before and has no rules", proposal.id));
            out.ends(Exit::No);
            return Ok(());
        }
        if !proposal.changes.is_empty() {
            let words = format!(
                "proposal {} changes rules that exist, which a text for an empty host cannot show",
                proposal.id
            );
            return Err(Trouble::bad_with_hint(words, "see what would be loaded: afo-deploy -n"));
        }
        self.rules.extend(proposal.rules);
        Ok(())
    }

    fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        if out.exit() >= Exit::Undecided {
            return Err(Failure::undecided("nothing is printed: half a policy is another policy"));
        }
        if self.rules.is_empty() {
            self.shell.note("no rules in the input");
            return Ok(());
        }
        match Policy::of(&self.rules) {
            Ok(policy) => out.text(&whole(&policy, &policy.blocks()).to_string()),
            Err(refused) => {
                refused.iter().for_each(|why| self.shell.complain(&why.to_string(), None));
                out.ends(Exit::No);
            }
        }
        Ok(())
    }
}

/// Proposals in, a line for each rule out.
struct Lines;

impl Stage for Lines {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        for rule in &proposal.rules {
            out.text(&for_terminal(&rule.to_line()));
        }
        if !proposal.ok {
            out.ends(Exit::No);
        }
        Ok(())
    }
}
