//! What must hold after a proposal: the invariants of a file, on the ruleset as it would be with its rules in their places.

use super::sim::{Invariants, names};
use super::{live_ruleset, ruleset};
use crate::analyze::{Budget, with_changes};
use crate::cli::{Failure, Shell};
use crate::record::{Finding, FindingType, Proposal, Severity};
use crate::rule::ruleset::Ruleset;
use std::path::{Path, PathBuf};

/// The ruleset that proposals are put into.
#[derive(Debug, Clone)]
enum Base {
    Live,
    Empty,
    File(PathBuf),
}

/// Invariants, and the ruleset that they are about.
#[derive(Debug)]
pub struct Held {
    invariants: Invariants,
    base: Base,
    budget: Budget,
    /// Read when the first proposal comes, not before.
    ruleset: Option<Ruleset>,
}

impl Held {
    /// The invariants of `file` for what `against` names: `live`, `none` or a file; each is searched for so far.
    ///
    /// # Errors
    /// When the file cannot be read or a line of it is not understood (exit 2).
    pub fn read(file: &Path, against: &str, budget: Budget, shell: &Shell) -> Result<Self, Failure> {
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
        Ok(Self { invariants: Invariants::read(file, &names)?, base, budget, ruleset: found })
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
                Base::Empty => Ruleset { backend: "nftables".to_owned(), ..Ruleset::default() },
                Base::File(path) => ruleset(path)?,
            }),
        };
        let (after, troubles) = with_changes(live, &proposal.changes, &proposal.rules);
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
