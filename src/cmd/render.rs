//! afo-render: the rules of a proposal in a firewall's own language.

use super::hours::in_utc;
use super::{config, external, opnsense};
use crate::backend::external::is_name;
use crate::backend::{self, Backend, Document, Extent, Native, Refused};
use crate::cli::config::Config;
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Stage, Trouble, for_terminal};
use crate::record::{Proposal, Refusal, Rendered, enrich, parse};
use crate::rule::{Position, Rule};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Add a firewall's own text to proposals
///
/// Reads proposals and adds `rendered`: the rules in the backend's language, the same as the backend's JSON, and where each
/// rule goes and why. For nftables that is one transaction for AFO's own table: bans for a time become elements that the
/// kernel ends by itself, every rule carries its id and a counter. For iptables and ip6tables it is a text of chains of AFO's
/// own, to be loaded with `--noflush`: they stand first in the built-in chains, and nothing else of the table is touched. Each
/// of the two has the part of the rules that is of its address family; a rule of both goes into both. A rate per source keeps
/// 65,535 sources; packets of more than these nftables lets share one rate, and iptables drops. Hours are written in UTC, as the kernel
/// compares them, by what the clocks of their zone show now; afo-deploy writes them again when those change. For opnsense it is the
/// requests to its API, a line each. What the backend cannot do exactly is refused: the proposal then has `ok: false` and an
/// error that names rule, field, value and what is allowed. afo-deploy trusts none of it and renders again, together with the
/// rules that are confirmed.
///
/// Examples:
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render --native
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render --backend iptables --native
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-render --to rules
///   $ echo "allow ssh from 203.0.113.0/24" | afo-gen | afo-render --backend aws --to commands --target sg-0a1b2c3d
///
/// Exit status:
///   0  all rendered
///   1  a rule was refused, or a proposal has none
///   2  a bad record, or an unknown backend
///   3  the program of a backend is not safe to run, or does not say what it is
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-render", version, verbatim_doc_comment)]
pub struct Args {
    /// The firewall whose language is written: nftables, iptables, ip6tables, opnsense, aws, azure, gcp, pfsense, or the NAME of a program
    /// afo-backend-NAME
    #[arg(long, value_name = "BACKEND", default_value = "nftables")]
    pub backend: String,
    /// Print the backend's text instead of records, for an empty host: all proposals in one, for `nft -f -` or
    /// `iptables-restore --noflush`
    #[arg(long)]
    pub native: bool,
    /// Print the rules in another form instead of records: `rules`, one line for each; or for AWS, Azure and GCP `commands`, a script
    /// for `sh` that makes them with aws, az or gcloud
    #[arg(long, value_name = "FORM", conflicts_with = "native")]
    pub to: Option<Form>,
    /// Where the commands make the rules: for AWS the id or the name of a security group (default afo), for Azure RESOURCES/GROUP
    /// (afo/afo), for GCP NETWORK or PROJECT/NETWORK (default)
    #[arg(long, value_name = "NAME", requires = "to")]
    pub target: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// A form of rules that is no backend's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// One canonical line for each rule, which parses back
    Rules,
    /// The commands of a cloud's program, all proposals in one
    Commands,
}

impl Command for Args {
    const NAME: &'static str = "afo-render";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let backend = known_backend(&self.backend, &config(shell)?)?;
        match (self.native, self.to) {
            (true, _) => shell.filter_into(&mut Text::native(shell, backend), &mut text_out(shell)),
            (_, Some(Form::Commands)) => {
                let document = commanded(backend)?;
                let text = &mut Text { commands: Some((document, self.target)), ..Text::native(shell, backend) };
                shell.filter_into(text, &mut text_out(shell))
            }
            (_, Some(Form::Rules)) if self.target.is_some() => {
                Err(Failure::undecided("--target is of commands; with `--to rules` there are none"))
            }
            (_, Some(Form::Rules)) => shell.filter_into(&mut Lines, &mut text_out(shell)),
            _ => shell.filter(&mut Enriched { shell, backend }),
        }
    }
}

/// The kind of document of a backend whose rules commands can make.
fn commanded(backend: &dyn Backend) -> Result<&'static Document, Failure> {
    let document = Document::named(backend.name()).filter(|document| document.has_commands());
    document.ok_or_else(|| {
        let names = backend::DOCUMENTS.into_iter().filter(|document| document.has_commands()).map(Backend::name);
        let names = names.collect::<Vec<_>>().join(", ");
        Failure::undecided(format!("rules of {} are not made by commands; those of {names} are", backend.name()))
            .hint("its own text is what --native prints")
    })
}

/// An output that carries no records, whatever it is.
fn text_out(shell: &Shell) -> Out {
    let mut out = shell.out();
    out.only_text();
    out
}

/// The backend of a name: one of AFO's own, which knows what the configuration says of its firewall, else the program `afo-backend-NAME`.
///
/// # Errors
/// When there is none, and for which AFO can write; or when the program is not safe to run or does not say what it is (exit 3).
pub fn known_backend(name: &str, config: &Config) -> Result<&'static dyn Backend, Failure> {
    if name == "opnsense" {
        return Ok(opnsense::backend(config));
    }
    if let Some(own) = backend::named(name) {
        return Ok(own);
    }
    if let Some(external) = external::open(name)? {
        return Ok(external);
    }
    let names = backend::BACKENDS.map(Backend::name).join(", ");
    let words = format!("backend `{}` cannot be written; {names} can", name.escape_debug());
    let failure = Failure::undecided(words);
    Err(match is_name(name) {
        true => failure.hint(format!("a program afo-backend-{name} in PATH could; there is none: man 7 afo-backend")),
        false => failure,
    })
}

/// The rules of a proposal in a backend's language: text that stands for itself, the same as JSON, and where each rule goes.
///
/// # Errors
/// Every refusal, each with rule, field, value and what is allowed.
pub fn native(proposal: &Proposal, backend: &dyn Backend) -> Result<Native, Vec<Refused>> {
    let (rules, elsewhere) = standing_alone(proposal);
    let mut native = backend.render(&in_utc(&rules)?, Extent::Rules)?;
    native.placement.iter_mut().for_each(|placed| {
        if let Some((_, position)) = elsewhere.iter().find(|(id, _)| *id == placed.rule) {
            placed.why = format!("{position} is not in this proposal; afo-deploy puts the rule there");
        }
    });
    Ok(native)
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
    backend: &'static dyn Backend,
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
        let fields: Vec<(&str, Value)> = match native(&proposal, self.backend) {
            Ok(native) => {
                native.elsewhere.iter().for_each(|words| self.shell.note(words));
                let Native { text, json, placement, .. } = native;
                let backend = self.backend.name().to_owned();
                vec![("rendered", json!(Rendered { backend, native: text, json, placement }))]
            }
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
struct Text<'a> {
    shell: &'a Shell,
    backend: &'static dyn Backend,
    rules: Vec<Rule>,
    /// The kind of document whose commands are printed instead, and where they make the rules.
    commands: Option<(&'static Document, Option<String>)>,
}

impl<'a> Text<'a> {
    fn native(shell: &'a Shell, backend: &'static dyn Backend) -> Self {
        Self { shell, backend, rules: Vec::new(), commands: None }
    }

    /// What is printed of a text.
    fn form(&self, native: &Native) -> Result<String, Failure> {
        let Some((document, target)) = &self.commands else { return Ok(native.text.clone()) };
        let text = document
            .commands(native, target.as_deref())
            .map_err(|words| Failure::undecided(format!("--target: {words}")))?;
        self.shell.note("the commands add these rules to what is there, and take nothing away");
        Ok(text)
    }
}

impl Stage for Text<'_> {
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
        match in_utc(&self.rules).and_then(|rules| self.backend.render(&rules, Extent::Host)) {
            Ok(native) => {
                native.elsewhere.iter().for_each(|words| self.shell.note(words));
                out.text(&self.form(&native)?);
            }
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
