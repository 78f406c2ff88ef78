//! Which steps two rulesets have in common, in the same order: they make no difference by themselves.

use crate::analyze::program::{Act, End, Step, Turn};
use crate::analyze::ways::{Altered, Laid};
use crate::packet::Cell;
use crate::rule::Turned;
use crate::rule::evaluate::Fate;
use std::collections::HashMap;

/// The steps of each that the other does not have at its place.
pub(super) fn unlike(a: &Laid, b: &Laid) -> (Vec<usize>, Vec<usize>) {
    let (left, right) = (acting(a), acting(b));
    let mut pairs = aligned(&keys(a, &left), &keys(b, &right));
    // A skip is the same only where it ends at the same of the steps that both have.
    loop {
        let ends = |laid: &Laid, own: &[usize], n: usize, mine: &[usize]| {
            let to = laid.program.steps[own[n]].act.target()?;
            Some(mine.partition_point(|m| own[*m] < to))
        };
        let firsts: Vec<usize> = pairs.iter().map(|(n, _)| *n).collect();
        let seconds: Vec<usize> = pairs.iter().map(|(_, n)| *n).collect();
        let before = pairs.len();
        pairs.retain(|(n, m)| ends(a, &left, *n, &firsts) == ends(b, &right, *m, &seconds));
        if pairs.len() == before {
            break;
        }
    }
    let (mut only_a, mut only_b) = (left.clone(), right.clone());
    for (n, m) in pairs.iter().rev() {
        only_a.remove(*n);
        only_b.remove(*m);
    }
    (only_a, only_b)
}

/// Whether the same chance has the same outcome in both: what they change about packets is the same, for the same packets.
pub(super) fn share_luck(a: &Laid, b: &Laid, (only_a, only_b): (&[usize], &[usize])) -> bool {
    let turns = |laid: &Laid, step: usize| laid.turn(step).is_some();
    let apart = |laid: &Laid, step: usize| laid.alters(step).is_some() || laid.leads_past(step) || turns(laid, step);
    !only_a.iter().any(|step| apart(a, *step)) && !only_b.iter().any(|step| apart(b, *step))
}

/// The steps that do something, if only to the packet.
fn acting(laid: &Laid) -> Vec<usize> {
    let steps = &laid.program.steps;
    (0..steps.len()).filter(|n| steps[*n].act != Act::Pass || laid.alters(*n).is_some()).collect()
}

/// Where a translation leads: what leads to one place does so whatever its words are.
fn led(turn: &Turn) -> (Turned, &str) {
    let to = turn.to.landing();
    (to, if turn.end == End::Source || to.is_open() { &turn.to.text } else { "" })
}

type Key<'a> = (&'a Cell, u8, Option<&'a Altered>, Option<(Turned, &'a str)>);

fn keys<'a>(laid: &'a Laid, steps: &[usize]) -> Vec<Key<'a>> {
    let kind = |n: usize, step: &Step| match step.act {
        Act::Deny if laid.fate(n) == Fate::Rejected => 0,
        Act::Deny => 1,
        Act::Accept(_) => 2,
        Act::Leave(_) => 3,
        Act::Pass => 4,
    };
    let steps = steps.iter().map(|n| (*n, &laid.program.steps[*n]));
    steps.map(|(n, step)| (&step.cell, kind(n, step), laid.alters(n), laid.turn(n).map(led))).collect()
}

/// Pairs of equal keys in the same order: common ends, then what is there once in both, then the same between those.
fn aligned(a: &[Key], b: &[Key]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut open = vec![(0, a.len(), 0, b.len())];
    while let Some((mut from_a, mut to_a, mut from_b, mut to_b)) = open.pop() {
        while from_a < to_a && from_b < to_b && a[from_a] == b[from_b] {
            pairs.push((from_a, from_b));
            (from_a, from_b) = (from_a + 1, from_b + 1);
        }
        while from_a < to_a && from_b < to_b && a[to_a - 1] == b[to_b - 1] {
            (to_a, to_b) = (to_a - 1, to_b - 1);
            pairs.push((to_a, to_b));
        }
        let anchors = anchors(&a[from_a..to_a], &b[from_b..to_b]);
        let (mut last_a, mut last_b) = (from_a, from_b);
        for (n, m) in &anchors {
            open.push((last_a, from_a + n, last_b, from_b + m));
            pairs.push((from_a + n, from_b + m));
            (last_a, last_b) = (from_a + n + 1, from_b + m + 1);
        }
        if !anchors.is_empty() {
            open.push((last_a, to_a, last_b, to_b));
        }
    }
    pairs.sort_unstable();
    pairs
}

/// The longest ascending list of pairs of keys that are there once in both.
fn anchors(a: &[Key], b: &[Key]) -> Vec<(usize, usize)> {
    let mut places: HashMap<&Key, (usize, usize, usize)> = HashMap::new();
    for key in a {
        places.entry(key).or_default().0 += 1;
    }
    for (m, key) in b.iter().enumerate() {
        let place = places.entry(key).or_default();
        (place.1, place.2) = (place.1 + 1, m);
    }
    let once = a.iter().enumerate().filter_map(|(n, key)| match places.get(key) {
        Some((1, 1, m)) => Some((n, *m)),
        _ => None,
    });
    ascending(&once.collect::<Vec<_>>())
}

/// The longest part of a list whose second numbers ascend (patience sorting).
fn ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut piles: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (n, (_, m)) in pairs.iter().enumerate() {
        let at = piles.partition_point(|top| pairs[*top].1 < *m);
        before.push(at.checked_sub(1).map(|under| piles[under]));
        match piles.get_mut(at) {
            Some(top) => *top = n,
            None => piles.push(n),
        }
    }
    let mut chosen = Vec::new();
    let mut next = piles.last().copied();
    while let Some(n) = next {
        chosen.push(pairs[n]);
        next = before[n];
    }
    chosen.reverse();
    chosen
}
