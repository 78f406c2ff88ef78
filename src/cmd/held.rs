//! What must hold after a proposal: the invariants of a file, on the ruleset as it would be with its rules in their places.

use super::hours::in_utc;
use super::sim::{Invariants, names};
use super::{live_ruleset, ruleset};
use crate::analyze::{Budget, with_changes};
use crate::backend::iptables::{decides, with_policy};
use crate::cli::{Failure, Shell};
use crate::record::{Finding, FindingType, Proposal, Severity};
use crate::rule::ruleset::Ruleset;
use crate::sys::iptables::{Variant, kind};
use std::path::{Path, PathBuf};

/// The ruleset that proposals are put into.
#[derive(Debug, Clone)]
enum Base {
    Live,
    Empty,
    File(PathBuf),
}

/// Where the rules of a proposal are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Into AFO's table.
    Nftables,
    /// Into AFO's chains in the tables of one kind of iptables.
    Iptables { legacy: bool },
}

impl Place {
    fn of(backend: &str, is_live: bool) -> Result<Self, Failure> {
        match backend {
            "nftables" => Ok(Self::Nftables),
            "iptables" | "ip6tables" => {
                let legacy = is_live && kind(backend == "ip6tables").is_ok_and(|(_, kind)| kind == Variant::Legacy);
                Ok(Self::Iptables { legacy })
            }
            other => {
                let words = format!("invariants are proven of rules in nftables and iptables, not of rules in {other}");
                Err(Failure::undecided(words).hint("leave --invariants out, or --backend"))
            }
        }
    }

    /// The ruleset with a proposal, and what of it could not be put there.
    fn with(self, live: &Ruleset, proposal: &Proposal) -> (Ruleset, Vec<String>) {
        let Self::Iptables { legacy } = self else { return with_changes(live, &proposal.changes, &proposal.rules) };
        let own = live.chains().any(|(_, _, chain)| chain.lines.iter().any(|line| decides(chain, line)));
        if own || !proposal.changes.is_empty() {
            let why = "the order among rules that AFO has in iptables is known to afo-deploy, which holds deploy.invariants of the \
                       configuration to all of them";
            return (live.clone(), vec![why.to_owned()]);
        }
        match in_utc(&proposal.rules).and_then(|rules| with_policy(live, &rules, legacy)) {
            Ok(after) => (after, Vec::new()),
            Err(refused) => (live.clone(), refused.iter().map(ToString::to_string).collect()),
        }
    }
}

/// Invariants, and the ruleset that they are about.
#[derive(Debug)]
pub struct Held {
    invariants: Invariants,
    base: Base,
    place: Place,
    budget: Budget,
    /// Read when the first proposal comes, not before.
    ruleset: Option<Ruleset>,
}

impl Held {
    /// The invariants of `file` for what `against` names: `live`, `none` or a file; each is searched for so far. The rules of proposals are
    /// put where `backend` has them.
    ///
    /// # Errors
    /// When the file cannot be read, a line of it is not understood, or the backend is none whose rules are judged (exit 2).
    pub fn read(file: &Path, against: &str, backend: &str, budget: Budget, shell: &Shell) -> Result<Self, Failure> {
        let base = match against {
            "live" => Base::Live,
            "none" => Base::Empty,
            path => Base::File(PathBuf::from(path)),
        };
        let mut names = names(shell, matches!(base, Base::Live), None)?;
        let mut found = None;
        if let Base::File(path) = &base {
            names = names.with_interfaces_of(found.insert(ruleset(path)?));
        }
        let place = Place::of(backend, matches!(base, Base::Live))?;
        Ok(Self { invariants: Invariants::read(file, &names)?, base, place, budget, ruleset: found })
    }

    /// How the proof is called in `checked_by`.
    pub fn name(&self) -> String {
        format!("{} invariants", self.invariants.len())
    }

    /// What would not hold with the rules of a proposal, or nobody knows whether it would.
    ///
    /// # Errors
    /// When the ruleset cannot be read.
    pub fn violations(&mut self, proposal: &Proposal) -> Result<Vec<Finding>, Failure> {
        let live = match &self.ruleset {
            Some(ruleset) => ruleset,
            None => self.ruleset.insert(match &self.base {
                Base::Live => live_ruleset()?,
                Base::Empty if self.place == Place::Nftables => {
                    Ruleset { backend: "nftables".to_owned(), ..Ruleset::default() }
                }
                Base::Empty => Ruleset { backend: "iptables".to_owned(), ..Ruleset::default() },
                Base::File(path) => ruleset(path)?,
            }),
        };
        let (after, troubles) = self.place.with(live, proposal);
        let mut found = self.invariants.violations(&after, self.budget);
        found.extend(self.invariants.banned(&proposal.rules));
        let brought: Vec<_> = proposal.changes.iter().filter_map(|change| change.rule.clone()).collect();
        found.extend(self.invariants.banned(&brought));
        let words = |why: &String| not_judged(&format!("whether the invariants hold is not known: {why}"));
        found.extend(troubles.iter().map(words));
        Ok(found)
    }

    /// The live ruleset may be another one when the next proposal comes.
    pub fn forget(&mut self) {
        self.ruleset = None;
    }
}

fn not_judged(words: &str) -> Finding {
    Finding {
        kind: FindingType::Unknown,
        dead: false,
        rule: None,
        by: Vec::new(),
        witness: None,
        explanation: words.to_owned(),
        fix: None,
        severity: Severity::High,
        together: false,
        count: None,
        left: Vec::new(),
    }
}
