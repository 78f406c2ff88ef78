//! `afo-sim invariants`: what must hold of a ruleset, from a file of lines; for afo-check and afo-deploy too.

use super::Args;
use crate::analyze::{self, Budget, Invariant, Names, is_ban, violations, with_rules, without_bans};
use crate::cli::{Exit, Failure, Shell};
use crate::record::{Finding, FindingType, Rule, Witness};
use crate::rule::ruleset::Ruleset;
use std::fs;
use std::path::{Path, PathBuf};

/// The invariants of a file.
#[derive(Debug, Clone)]
pub struct Invariants {
    file: PathBuf,
    all: Vec<Invariant>,
}

impl Invariants {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or holds a line that is not understood: all of them are named (exit 2).
    pub fn read(file: &Path, names: &Names) -> Result<Self, Failure> {
        let shown = file.display();
        let text = fs::read_to_string(file)
            .map_err(|e| Failure::undecided(format!("{shown}: the invariants cannot be read: {e}")))?;
        let all = analyze::invariants(&text, names).map_err(|bad| {
            let lines: Vec<_> = bad.iter().map(|(line, words)| format!("{shown}:{line}: {words}")).collect();
            Failure::undecided(lines.join("\n"))
                .hint("a line is like: must-deny from guest to 10.0.0.0/8 proto tcp port 22")
        })?;
        Ok(Self { file: file.to_owned(), all })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What does not hold of a ruleset, or nobody knows whether it does. AFO's own bans for a time are left out: what they may not
    /// touch is asked when they are made ([`banned`](Self::banned)).
    pub fn violations(&self, ruleset: &Ruleset, budget: Budget) -> Vec<Finding> {
        violations(&without_bans(ruleset), &self.all, &self.name(), budget)
    }

    /// What bans would take from senders that must get through, as they are named in the file.
    pub fn banned(&self, rules: &[Rule]) -> Vec<Finding> {
        let bans: Vec<Rule> = rules.iter().filter(|rule| is_ban(rule)).cloned().collect();
        let alone = with_rules(&Ruleset::default(), &bans);
        let spared = self.all.iter().filter(|one| one.spares_senders());
        let found = spared.filter_map(|one| {
            let found = violations(&alone, std::slice::from_ref(one), &self.name(), Budget::default()).pop()?;
            let witness = found.witness.map(|witness| Witness { verdict: "drop".to_owned(), ..witness });
            let packet = witness.as_ref().map(|witness| witness.packet.clone()).unwrap_or_default();
            let explanation = format!("{}:{}: `{}`: a ban would drop {packet}", self.name(), one.line, one.text);
            Some(Finding { kind: FindingType::Invariant, explanation, rule: None, witness, ..found })
        });
        found.collect()
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }
}

/// Holds a ruleset to the invariants of a file.
pub(super) fn run(args: &Args, file: &Path, shell: &Shell) -> Result<Exit, Failure> {
    let ruleset = args.ruleset()?;
    let invariants = Invariants::read(file, &args.names(shell, &ruleset)?)?;
    let mut out = shell.out();
    for finding in invariants.violations(&ruleset, args.budget()) {
        out.ends(Exit::No);
        out.record(&finding);
    }
    if out.exit() == Exit::Clean {
        shell.note(&format!("all {} invariants hold", invariants.len()));
    }
    shell.close(&mut out)
}
