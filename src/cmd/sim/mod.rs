//! afo-sim: questions about a ruleset, answered without sending a packet.

mod compare;
mod invariants;
mod reach;
mod replay;
mod trace;

pub use invariants::Invariants;

use super::{config, context_from, known, live_context, ruleset, steps};
use crate::analyze::{Budget, Names, Wanted};
use crate::cli::{Command, Common, Exit, Failure, Shell};
use crate::packet::InterfacePattern;
use crate::propose::service_ports;
use crate::record::Context;
use crate::rule::ruleset::Ruleset;
use std::path::{Path, PathBuf};

/// Ask what a ruleset does with packets, and how it differs from another
///
/// `trace` follows one packet through hooks, chains and rules and says why each rule matches or not. The packet is written
/// `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`: the way, the interface (two for a forwarded packet, `-` for
/// none), from, to, protocol, then flags, an ICMP type, the connection's state, `mark 0x1`, `fragment` (what it carries stands where ports would). Without a
/// sub-command packets are read from standard input, one a line; of `finding` records the witness is traced.
/// `reach` says what gets through: `from guest to 10.10.0.0/24`. `diff` and `equal` compare two rulesets for every packet there can be. `invariants` holds a ruleset to a file of lines such
/// as `must-deny from guest to 10.0.0.0/8 proto tcp port 22`; each failure comes with a packet that shows it.
/// `replay` asks the kernel itself: the ruleset is loaded into a network namespace that is gone afterwards, the packets of findings are
/// sent through it, and what became of each is compared with what the finding says. It needs root.
///
/// A packet that begins a connection is described as it is sent, in every answer: what nat chains make of its destination is computed
/// where that is one address and port, and unknown otherwise. A packet of a connection that is there is described as the filter sees it,
/// behind such a translation. What `reach` and `invariants` ask of a destination they ask of what is sent there and of what is led there.
/// To `diff` and `equal` packets that are let through to another place are treated differently.
///
/// Nothing leaves this host and nothing of it is changed. What the packet does not decide alone (limits, sets that change) and what was not
/// understood is never passed as decided: the answer is then unknown, and says on what it depends.
///
/// Examples:
///   $ afo-sim trace "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn"
///   $ afo-sim trace --ruleset rules.nft -v < packets      every rule that is asked
///   $ afo-conflicts --audit | afo-sim                     what becomes of each finding's witness
///   $ afo-sim reach what from guest may reach 10.10.0.0/24
///   $ afo-sim diff live new.nft                           what the new rules would change
///   $ afo-sim invariants must-hold.txt && echo fine
///   $ afo-conflicts --audit | sudo afo-sim replay -       whether the kernel agrees
///
/// Exit status:
///   0  answered
///   1  the answer is no (nothing gets through, different, an invariant that does not hold, the kernel disagrees), or unknown
///   2  usage, a packet or a ruleset FILE that cannot be read
///   3  the live ruleset cannot be read, or no namespace be had: no permission, no nft
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "afo-sim", version, verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    pub what: Option<What>,
    /// Look at the kernel's rules, or at those of FILE
    #[arg(long, value_name = "live|FILE", default_value = "live", global = true)]
    pub ruleset: PathBuf,
    /// End a search after N steps: what is not found by then is undecided
    #[arg(long, visible_alias = "budget", value_name = "N", default_value_t = Budget::default().steps, value_parser = steps, global = true, hide_short_help = true)]
    pub steps: usize,
    /// Take zones, hosts and interfaces from a context record in FILE
    ///
    /// Otherwise the names are those of the configuration and, beside the kernel's rules, of this host.
    #[arg(long, value_name = "FILE", global = true)]
    pub context: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// The questions.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum What {
    /// Follow packets through the chains, with the reason at each step (the default)
    Trace {
        /// A packet, as one argument or in words; without one they are read from standard input, one a line
        #[arg(value_name = "PACKET")]
        packet: Vec<String>,
    },
    /// Say which packets get through, as classes: `from guest to 10.10.0.0/24 proto tcp port 22`
    ///
    /// Words: `from` and `to` (or `reach`) a zone, an interface, a host, an address, `any` or `this-host`; `on` an interface; `proto`,
    /// `port`, `sport`, `service`, `icmp`, `state`, `flags`; `input`, `forward` or `output`. Lists have commas. Without `state`
    /// it is about packets that begin a connection.
    Reach {
        /// The question, as one argument or in words
        #[arg(value_name = "QUERY", required_unless_present = "matrix")]
        query: Vec<String>,
        /// Ask of every zone to every zone and to this host instead: which services are open
        #[arg(long, conflicts_with = "query")]
        matrix: bool,
        /// The services of the matrix [default: the configured ones, ssh, dns, http, https, smtp]
        #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "matrix")]
        services: Vec<String>,
    },
    /// Say which packets two rulesets treat differently, as classes
    Diff {
        /// The kernel's rules, or those of FILE
        #[arg(value_name = "live|FILE")]
        before: PathBuf,
        /// What they are compared with
        #[arg(value_name = "live|FILE")]
        after: PathBuf,
    },
    /// Say whether two rulesets treat every packet alike, or show one that they do not
    Equal {
        /// The kernel's rules, or those of FILE
        #[arg(value_name = "live|FILE")]
        before: PathBuf,
        /// What they are compared with
        #[arg(value_name = "live|FILE")]
        after: PathBuf,
    },
    /// Hold the ruleset to a file of lines: must-allow, must-deny, must-be-unreachable
    ///
    /// A line is a demand and the packets that it is about: `must-allow from admin to this-host proto tcp port 22`,
    /// `must-deny input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`, `must-be-unreachable db port 5432`. `#` begins a comment.
    ///
    /// AFO's own bans for a time are no part of it, but none is made of a sender that a must-allow names by address.
    Invariants {
        /// The file
        file: PathBuf,
    },
    /// Send the packets of findings through the kernel, in a namespace of their own, and compare
    Replay {
        /// Findings, or packets, one a line; `-` is standard input
        #[arg(value_name = "FILE|-")]
        findings: PathBuf,
    },
}

impl Command for Args {
    const NAME: &'static str = "afo-sim";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        // Nothing of it is used by every question; that it is wrong must be told all the same.
        config(shell)?;
        match &self.what {
            None => trace::run(&self, &[], shell),
            Some(What::Trace { packet }) => trace::run(&self, packet, shell),
            Some(What::Reach { matrix: true, services, .. }) => reach::matrix(&self, services, shell),
            Some(What::Reach { query, .. }) => reach::run(&self, query, shell),
            Some(What::Diff { before, after }) => compare::run(&self, before, after, Wanted::Classes, shell),
            Some(What::Equal { before, after }) => compare::run(&self, before, after, Wanted::Witness, shell),
            Some(What::Invariants { file }) => invariants::run(&self, file, shell),
            Some(What::Replay { findings }) => replay::run(&self, findings, shell),
        }
    }
}

/// The names of a context, and the services that are known by name.
pub fn names_of(context: &Context) -> Names {
    let known = service_ports().map(|(name, ports)| (name.to_owned(), ports));
    Names::of(context).with_services(known)
}

/// What is known of the host that a ruleset is of, by name: of the kernel's this one.
///
/// # Errors
/// When FILE cannot be read or holds no context (exit 2).
pub fn names(shell: &Shell, live: bool, context: Option<&Path>) -> Result<Names, Failure> {
    let config = config(shell)?;
    let context = match context {
        Some(file) => context_from(file)?,
        None if live => live_context(shell, &config),
        // The rules of a file may be those of another host: only what is configured is known of it.
        None => {
            let known = known(shell, &config);
            let names = |list: Vec<InterfacePattern>| list.iter().map(ToString::to_string).collect();
            let zones = known.zones.into_iter().map(|(zone, list)| (zone, names(list))).collect();
            Context { zones, hosts: known.hosts, services: known.services, ..Context::default() }
        }
    };
    Ok(names_of(&context))
}

impl Args {
    fn ruleset(&self) -> Result<Ruleset, Failure> {
        ruleset(&self.ruleset)
    }

    /// The names that questions may use about a ruleset: those of the context, and the interfaces that its rules name.
    fn names(&self, shell: &Shell, of: &Ruleset) -> Result<Names, Failure> {
        Ok(names(shell, self.ruleset == Path::new("live"), self.context.as_deref())?.with_interfaces_of(of))
    }

    fn budget(&self) -> Budget {
        Budget { steps: self.steps }
    }
}
