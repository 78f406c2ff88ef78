//! afo-check: whether a proposal would be taken, before anything is loaded.

mod against;

pub use self::against::Against;
use self::against::is_remote;
use super::held::Held;
use super::opnsense::Api;
use super::raw::iptables_errors;
use super::render::{known_backend, native};
use super::{config, live_context, steps};
use crate::analyze::Budget;
use crate::backend::{Backend, Refused};
use crate::cli::config::Config;
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Stage, Trouble};
use crate::record::{ErrorRecord, Proposal, Validation, ValidationError, enrich, parse};
use crate::rule::Rule;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Native text that is read whole is at most this long.
const LONGEST_TEXT: u64 = 64 << 20;

/// Check proposals: fields, the backend's limits, and the packet filter itself
///
/// Renders the rules of each proposal again, whatever it says of itself, and adds `validation`: what contradicts itself or
/// cannot be had, with rule, field, value and what is allowed; what nft says of the text, with line, column and rule; as
/// warnings, interfaces that are not there. nft's own check passes much that fails when it is loaded; `--rehearse` loads
/// the live ruleset and the change into a network namespace that is thrown away, and says what it could not load there.
/// With `--backend opnsense` the firewall of the configuration is asked whether it answers and what it holds can be read.
/// With `--backend iptables` it is iptables-restore that is asked, and whether rules of the other kind of iptables or of
/// nftables are live beside. `--invariants` proves, for nftables and iptables, that what must hold does after the change; what does not is an error, and a `finding` with a packet.
///
/// Examples:
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-check
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-check --against none
///   $ echo "block ssh from 203.0.113.0/24" | afo-gen | afo-check --backend iptables
///   $ afo-check --raw nftables < /etc/nftables.conf
///
/// Exit status:
///   0  everything is valid
///   1  something is not
///   2  a bad record, an unknown backend, a FILE that the packet filter does not load
///   3  no nft or iptables, no permission, no namespace
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "afo-check", version, verbatim_doc_comment)]
pub struct Args {
    /// The firewall that is to take the rules: nftables, iptables, ip6tables, opnsense, or the NAME of a program afo-backend-NAME
    #[arg(long, value_name = "BACKEND", default_value = "nftables")]
    pub backend: String,
    /// Check against the live ruleset, one of the firewall's own text in a file, or an empty host: live, FILE or none
    #[arg(long, value_name = "live|FILE|none", default_value = "live")]
    pub against: String,
    /// Load the live ruleset and the change into a network namespace that is thrown away
    #[arg(long, conflicts_with = "against")]
    pub rehearse: bool,
    /// Hold the ruleset, as it will be after each proposal, to the invariants of FILE (see afo-sim invariants)
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub invariants: Option<PathBuf>,
    /// End the search for one invariant after N steps: what is not found by then is undecided, and an error
    #[arg(long, visible_alias = "budget", value_name = "N", default_value_t = Budget::default().steps, value_parser = steps)]
    pub steps: usize,
    /// Read a backend's own text instead of records
    #[arg(long, value_name = "LANGUAGE")]
    pub raw: Option<Raw>,
    #[command(flatten)]
    pub common: Common,
}

/// A language that can be read raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Raw {
    /// nft's text, as for `nft -f`
    Nftables,
    /// iptables-save's and ip6tables-save's text; always against the live ruleset
    Iptables,
}

impl Command for Args {
    const NAME: &'static str = "afo-check";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let config = config(shell)?;
        let backend = known_backend(&self.backend, &config)?;
        if self.raw == Some(Raw::Iptables) {
            return raw(shell, iptables_errors(&whole_input()?)?);
        }
        let mut world = match is_remote(backend) {
            true => self.firewall(shell, &config, backend)?,
            false => Against::named(backend, &self.against, self.rehearse)?,
        };
        if self.raw.is_some() {
            let words = world.words(&whole_input()?)?;
            return raw(shell, words.iter().flat_map(|words| world.located(words, &BTreeMap::new())).collect());
        }
        if world.is_live() || self.rehearse {
            world.interfaces = live_context(shell, &config).interfaces.into_iter().map(|face| face.name).collect();
        }
        let budget = Budget { steps: self.steps };
        let read = |file| Held::read(file, &self.against, backend.name(), budget, shell);
        let held = self.invariants.as_deref().map(read).transpose()?;
        shell.filter(&mut Checked { world, held })
    }
}

impl Args {
    /// What a firewall over an API is checked against: itself, or nothing.
    fn firewall(&self, shell: &Shell, config: &Config, backend: &'static dyn Backend) -> Result<Against, Failure> {
        match self.against.as_str() {
            _ if self.rehearse || self.raw.is_some() => {
                let words = format!("{} has no program here that could try its rules", backend.name());
                Err(Failure::undecided(words).hint("leave --rehearse and --raw out"))
            }
            "live" => Ok(Against::firewall(backend, Some(Api::of(shell, config)?))),
            "none" => Ok(Against::firewall(backend, None)),
            other => Err(Failure::undecided(format!(
                "{} is checked against live or none, not `{}`",
                backend.name(),
                other.escape_debug()
            ))),
        }
    }
}

/// Checks a proposal: the structure of its rules, then the backend's own program on their text.
///
/// # Errors
/// When the program cannot be asked.
pub fn check(proposal: &Proposal, world: &Against) -> Result<Validation, Failure> {
    let mut done = Validation { valid: true, checked_by: vec!["structure".to_owned()], ..Validation::default() };
    done.warnings.extend(world.remarks.iter().map(|words| plain(words.clone())));
    done.warnings.extend(proposal.rules.iter().flat_map(|rule| absent(rule, &world.interfaces)));
    let native = match native(proposal, world.backend) {
        Ok(native) => native,
        Err(refused) => {
            done.errors = refused.iter().map(structural).collect();
            done.valid = false;
            return Ok(done);
        }
    };
    if let Some(words) = world.words(&native.text)? {
        done.errors = world.located(&words, &native.lines);
        done.valid = false;
    }
    done.checked_by.push(world.name()?);
    Ok(done)
}

fn plain(message: String) -> ValidationError {
    ValidationError { message, ..ValidationError::default() }
}

/// A refusal of the backend as an error that names rule and field.
pub fn structural(refused: &Refused) -> ValidationError {
    ValidationError {
        message: refused.to_string(),
        rule: Some(refused.rule.clone()),
        field: Some(refused.field.to_owned()),
        ..ValidationError::default()
    }
}

/// Interfaces that a rule names and the host does not have: the rule loads, and matches once they are there.
fn absent(rule: &Rule, interfaces: &[String]) -> Vec<ValidationError> {
    let lists = [("interface_in", &rule.interface_in), ("interface_out", &rule.interface_out)];
    let names = lists.iter().flat_map(|(field, list)| list.items().iter().map(move |name| (*field, name)));
    let absent = names.filter(|(_, name)| !interfaces.is_empty() && !interfaces.iter().any(|i| name.matches(i)));
    let warn = |(field, name): (&str, &_)| ValidationError {
        message: format!(
            "rule {}: {field} `{name}`: no such interface is here; the host's are {}",
            rule.id,
            interfaces.join(", ")
        ),
        rule: Some(rule.id.clone()),
        field: Some(field.to_owned()),
        ..ValidationError::default()
    };
    absent.map(warn).collect()
}

/// Records in, records out.
struct Checked {
    world: Against,
    held: Option<Held>,
}

impl Stage for Checked {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        if !proposal.ok {
            out.line(line);
            return Ok(());
        }
        let mut validation = check(&proposal, &self.world)?;
        let mut findings = Vec::new();
        if let Some(held) = &mut self.held {
            findings = held.violations(&proposal)?;
            validation.errors.extend(findings.iter().map(|finding| plain(finding.explanation.clone())));
            validation.valid &= findings.is_empty();
            validation.checked_by.push(held.name());
        }
        if !validation.valid {
            out.ends(Exit::No);
        }
        tracing::info!(proposal = %proposal.id, valid = validation.valid, "checked");
        out.line(&enrich(line, &[("validation", json!(validation))])?);
        findings.iter().for_each(|finding| out.record(finding));
        Ok(())
    }

    fn idle(&mut self, _: &mut Out) -> Result<(), Failure> {
        self.held.iter_mut().for_each(Held::forget);
        Ok(())
    }
}

fn whole_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST_TEXT + 1).read_to_string(&mut text);
    let length = read.map_err(|e| Failure::undecided(format!("cannot read standard input as text: {e}")))?;
    match length as u64 > LONGEST_TEXT {
        true => Err(Failure::undecided(format!("standard input is longer than {LONGEST_TEXT} bytes"))),
        false => Ok(text),
    }
}

/// Says what is wrong with native text, line by line.
fn raw(shell: &Shell, errors: Vec<ValidationError>) -> Result<Exit, Failure> {
    let mut out = shell.out();
    for error in errors {
        let place = match (error.line, error.column) {
            (Some(line), Some(column)) => format!("-:{line}:{column}: "),
            (Some(line), None) => format!("-:{line}: "),
            _ => String::new(),
        };
        shell.complain(&format!("{place}{}", error.message), None);
        out.error(&ErrorRecord {
            stage: Args::NAME.to_owned(),
            line: error.line.map(|n| n as u64),
            message: error.message,
            hint: None,
            input: None,
            run: None,
        });
        out.ends(Exit::No);
    }
    shell.close(&mut out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nfts_words_find_their_rule() {
        let nftables = crate::backend::named("nftables").expect("a backend");
        let proposal: Proposal =
            serde_json::from_value(json!({"id": "p", "ts": "2026-01-02T03:04:05Z", "ok": true, "rules": [
            {"id": "r1", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"]}]}))
            .expect("a proposal");
        let native = native(&proposal, nftables).expect("rendered");
        let at = native.text.lines().position(|line| line.contains("\"r1\"")).expect("the rule's line") + 1;
        let words =
            format!("/dev/stdin:{}:17-20: Error: Could not process rule: Out of memory\nadd rule\n   ^^^", at + 40);
        let world = Against::scratch(nftables, "\n".repeat(40), "a test");
        let found = world.located(&words, &native.lines);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].column), (Some(at), Some(17)));
        assert_eq!(found[0].rule.as_ref().map(ToString::to_string).as_deref(), Some("r1"));
        assert_eq!(found[0].message, "Could not process rule: Out of memory");
        assert_eq!(world.located("internal:0:0-0: Error: x", &native.lines)[0].line, None);
        assert_eq!(world.located("odd words", &native.lines)[0].message, "odd words");
    }

    #[test]
    fn the_words_of_iptables_find_their_rule() {
        let iptables = crate::backend::named("iptables").expect("a backend");
        let lines = BTreeMap::from([(7, "r1".parse().expect("an id"))]);
        let world = Against::scratch(iptables, "*filter\nCOMMIT\n".to_owned(), "a test");
        let found = world.located("iptables-restore: line 9 failed", &lines);
        assert_eq!((found.len(), found[0].line), (1, Some(7)));
        assert_eq!(found[0].rule.as_ref().map(ToString::to_string).as_deref(), Some("r1"));
        assert_eq!(world.located("iptables-restore: line 1 failed", &lines)[0].line, None);
    }

    #[test]
    fn an_interface_that_is_not_there_is_a_warning() {
        let rule: Rule = serde_json::from_value(
            json!({"id": "r1", "action": "drop", "direction": "input", "interface_in": ["eth7", "eth0", "wg*"]}),
        )
        .expect("a rule");
        let found = absent(&rule, &["eth0".to_owned(), "wg0".to_owned()]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].message,
            "rule r1: interface_in `eth7`: no such interface is here; the host's are eth0, wg0"
        );
        assert!(absent(&rule, &[]).is_empty());
    }
}
