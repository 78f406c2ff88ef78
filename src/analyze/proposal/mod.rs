//! What stands against a proposed change, and what it changes.
//!
//! Each rule is judged where it would stand in the whole ruleset: what still reaches it, what later base chains do to what it accepts,
//! and which packets had another fate before. Only what its packets can meet is laid out; the ruleset is neither copied nor searched
//! as a whole for one rule.

mod advice;
mod change;
mod difference;
mod judge;
mod newly;
pub(super) mod post;
mod sent;
#[cfg(test)]
mod tests;
mod translating;
mod trial;
mod wide;

use self::judge::Judge;
use self::sent::Put;
use super::Budget;
use super::cells::Atoms;
use super::effect::Changed;
use super::placing::Placing;
use super::view::{Known, View};
use crate::record::{Change, Conflict, ConflictType, Conflicts, Effect};
use crate::rule::Rule;
use crate::rule::door::{doors, opened};
use crate::rule::ruleset::Ruleset;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How far a rule is judged part by part; beyond it as a whole.
#[derive(Debug, Clone, Copy)]
struct Fine {
    /// Rules on its way and products of their sets.
    weight: usize,
    /// Parts of its packets.
    parts: usize,
}

const FINE: Fine = Fine { weight: 64, parts: 64 };

/// What is to be said of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    pub conflicts: Conflicts,
    pub effect: Effect,
    pub advice: Vec<String>,
}

/// Whether deployment stops because of a conflict: the rule never does what it says, or nobody knows.
pub fn stops(conflict: &Conflict) -> bool {
    match conflict.kind {
        ConflictType::Unmatchable | ConflictType::Contradiction | ConflictType::Shadow | ConflictType::Unknown => true,
        ConflictType::Ineffective => conflict.dead,
        _ => false,
    }
}

/// A ruleset that proposals are judged against, one or many: what is found out about it serves all.
#[derive(Debug)]
pub struct Against<'a> {
    live: Cow<'a, Ruleset>,
    known: Known,
}

impl<'a> Against<'a> {
    /// A ruleset, lent or given.
    pub fn new(live: Cow<'a, Ruleset>) -> Self {
        let live = if doors(&live).is_empty() { live } else { Cow::Owned(opened(live.into_owned())) };
        let known = Known::of(&live);
        Self { live, known }
    }

    /// Judges changes to what is there and rules that are to be added.
    pub fn judge(&self, rules: &[Rule], changes: &[Change], budget: Budget) -> Judgement {
        let Found { items, advice, changed, atoms } = self.find(rules, changes, budget);
        Judgement {
            conflicts: Conflicts { has_conflicts: !items.is_empty(), items },
            effect: changed.effect(&atoms),
            advice: advice.into_iter().collect(),
        }
    }

    fn find(&self, rules: &[Rule], changes: &[Change], budget: Budget) -> Found {
        self.find_as(rules, changes, budget, FINE)
    }

    fn find_as(&self, rules: &[Rule], changes: &[Change], budget: Budget, fine: Fine) -> Found {
        let before = View::of(&self.live, &self.known);
        let mut placing = Placing::new(before.clone());
        let older = if rules.is_empty() && changes.is_empty() { Vec::new() } else { placing.mark_older() };
        let made: Vec<_> = changes.iter().map(|change| placing.change(change)).collect();
        let places: Vec<_> = rules.iter().map(|rule| placing.put(rule)).collect();
        let after = placing.view();
        let mut judge = Judge::new(&before, &after, budget, fine);
        for (change, made) in changes.iter().zip(&made) {
            judge.change(change, made);
        }
        for (rule, places) in rules.iter().zip(&places).filter(|(rule, _)| rule.enabled) {
            judge.placed(rule, places);
        }
        judge.widened(&older);
        let rules = rules.iter().zip(places.iter().map(Vec::as_slice)).filter(|(rule, _)| rule.enabled).collect();
        judge.sent(&self.live, &Put { rules, changes, made: &made });
        judge.found
    }
}

/// What was found so far.
#[derive(Debug, Default, Clone)]
struct Found {
    items: Vec<Conflict>,
    advice: BTreeSet<String>,
    changed: Changed,
    atoms: Atoms,
}

/// Judges rules that are to be added to a ruleset.
pub fn conflicts(live: &Ruleset, rules: &[Rule], budget: Budget) -> Judgement {
    Against::new(Cow::Borrowed(live)).judge(rules, &[], budget)
}
