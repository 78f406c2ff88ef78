//! Which steps of a program are of which rule.

use super::Step;
use crate::rule::evaluate::By;
use crate::rule::ruleset::At;

/// The steps of each rule.
#[derive(Debug, Default)]
pub(in crate::analyze) struct Places {
    /// The rules that packets can come to, sorted.
    rules: Vec<At>,
    /// For each of them where its steps begin in `steps`, and one more.
    firsts: Vec<usize>,
    steps: Vec<usize>,
}

impl Places {
    pub(super) fn new(mut rules: Vec<At>, steps: &[Step]) -> Self {
        rules.sort_unstable();
        rules.dedup();
        let mut places = Self { firsts: vec![0; rules.len() + 1], rules, steps: Vec::new() };
        let mut last = None;
        // Steps of one rule come together, and rules mostly in their order.
        let of: Vec<Option<usize>> = steps
            .iter()
            .map(|step| {
                let By::Line(at) = step.by else { return None };
                let near = last.and_then(|n| (n..n + 2).find(|n| places.rules.get(*n) == Some(&at)));
                last = near.or_else(|| places.rule(at));
                last
            })
            .collect();
        of.iter().flatten().for_each(|rule| places.firsts[rule + 1] += 1);
        for rule in 0..places.rules.len() {
            places.firsts[rule + 1] += places.firsts[rule];
        }
        let mut next = places.firsts.clone();
        places.steps = vec![0; places.firsts.last().copied().unwrap_or(0)];
        for (n, rule) in of.iter().enumerate().filter_map(|(n, rule)| Some((n, (*rule)?))) {
            places.steps[next[rule]] = n;
            next[rule] += 1;
        }
        places
    }

    /// The number of a rule among those that packets can come to.
    pub(in crate::analyze) fn rule(&self, at: At) -> Option<usize> {
        self.rules.binary_search(&at).ok()
    }

    /// The steps of a rule, ascending; nothing where no way comes past it.
    pub(in crate::analyze) fn get(&self, at: &At) -> Option<&[usize]> {
        let rule = self.rule(*at)?;
        self.steps.get(*self.firsts.get(rule)?..*self.firsts.get(rule + 1)?)
    }
}
