//! What the algebra says of a ruleset, held against what became of packets.

use super::aim::Aims;
use super::draw::Draw;
use super::judge::{Named, judge, matched, named};
use afo::analyze::{Budget, Portion, Portions, audit};
use afo::record::{Finding, FindingType};
use afo::rule::evaluate::evaluate;
use afo::rule::ruleset::{At, Ruleset};
use afo::rule::{Direction, Packet};
use afo::sys::lab::Seen;
use std::collections::BTreeSet;

const BUDGET: Budget = Budget { steps: 20_000 };
/// Portions of one direction of which a packet is sent, at most.
const PROBES: usize = 20;

/// A ruleset as the algebra sees it.
pub struct Algebra {
    portions: Vec<(Direction, Portions)>,
    /// Rules that no packet reaches: table, chain, handle.
    dead: BTreeSet<(String, String, Option<u64>)>,
    /// The ruleset without each of the rules that are said to make no difference.
    spared: Vec<(At, Ruleset)>,
}

impl Algebra {
    pub fn of(ruleset: &Ruleset) -> Self {
        let portions = Direction::ALL.iter().map(|direction| {
            (*direction, Portions::of(ruleset, *direction, BUDGET).expect("the kernel took the ruleset"))
        });
        let findings = audit(ruleset, BUDGET);
        let places = |wanted: &dyn Fn(&Finding) -> bool| -> BTreeSet<At> {
            findings.iter().filter(|f| wanted(f)).filter_map(|f| place(ruleset, f)).collect()
        };
        let redundant = places(&|f| f.kind == FindingType::Redundant && !f.dead);
        Self {
            portions: portions.collect(),
            dead: unreached(ruleset, &places(&|f| f.dead)),
            spared: redundant.into_iter().map(|at| (at, without(ruleset, at))).collect(),
        }
    }

    /// How many rules it says are dead, and make no difference.
    pub fn found(&self) -> [usize; 2] {
        [self.dead.len(), self.spared.len()]
    }

    /// Packets out of some of the portions, each with what the algebra says of it.
    pub fn probes(&self, aims: &Aims, draw: &mut Draw) -> Vec<(Packet, Portion)> {
        let mut found = Vec::new();
        for (direction, portions) in &self.portions {
            let Some(all) = portions.all().filter(|all| !all.is_empty()) else { continue };
            for _ in 0..PROBES.min(all.len()) {
                let portion = draw.one(&all);
                let packet = Packet::from_cell(*direction, &portion.cell);
                found.extend(packet.filter(|packet| aims.can_be_sent(packet)).map(|packet| (packet, portion)));
            }
        }
        found
    }

    /// Whether the fate of a packet is known for sure, or what is not agreed about it.
    pub fn judge(&self, ruleset: &Ruleset, seen: &Seen) -> Result<bool, String> {
        let (_, portions) = self.portions.iter().find(|(d, _)| *d == seen.sent.direction).expect("every direction");
        let mut fates = BTreeSet::new();
        // Packets of portions are described as the filter hooks see them.
        if let Some(packet) = at_the_filter(ruleset, &seen.sent) {
            fates = portions.fates(&packet).ok_or("algebra: the budget ended before one packet was judged")?;
            if fates.iter().all(|fate| fate.passes() != seen.passed) {
                return Err(format!("algebra: {fates:?}"));
            }
        }
        let is_dead = |(table, chain, handle): &Named<'_>| {
            !self.dead.is_empty() && self.dead.contains(&((*table).to_owned(), (*chain).to_owned(), *handle))
        };
        if let Some(rule) = matched(seen).into_iter().find(is_dead) {
            return Err(format!("algebra: no packet reaches {rule:?}"));
        }
        for (at, without) in &self.spared {
            let mut chance = false;
            let mut luck = |_: At, _: &str| {
                chance = true;
                false
            };
            let trace = evaluate(without, &seen.sent, &mut luck).expect("the kernel took the ruleset");
            if !chance && trace.fate.passes() != seen.passed {
                return Err(format!("algebra: {:?} makes no difference", named(ruleset, *at)));
            }
        }
        Ok(fates.len() == 1)
    }
}

/// A packet behind the translation of its destination; nothing where it is not known what that is.
fn at_the_filter(ruleset: &Ruleset, packet: &Packet) -> Option<Packet> {
    let turned = [false, true].map(|chance| evaluate(ruleset, packet, &mut |_, _| chance).map(|trace| trace.turned));
    turned[0].as_ref().ok().filter(|first| turned[1].as_ref() == Ok(first))?.packet(packet)
}

/// Whether a packet of a portion had a fate that the portion has.
pub fn is_of(ruleset: &Ruleset, portion: &Portion, seen: &Seen) -> Result<(), String> {
    let told = at_the_filter(ruleset, &seen.sent).as_ref() != Some(&seen.sent)
        || !seen.sent.is_in(&portion.cell)
        || portion.fates.iter().any(|fate| fate.passes() == seen.passed);
    if told { Ok(()) } else { Err(format!("algebra: {:?} in {:?}", portion.fates, portion.cell)) }
}

/// Kernel, evaluator and algebra of one packet, the algebra made anew.
pub fn judge_all(ruleset: &Ruleset, seen: &Seen) -> Result<(), String> {
    judge(ruleset, seen)?;
    Algebra::of(ruleset).judge(ruleset, seen).map(drop)
}

/// The names of dead rules. Tables of two families may have one name, and their rules one handle: such a name says nothing of a rule.
fn unreached(ruleset: &Ruleset, dead: &BTreeSet<At>) -> BTreeSet<(String, String, Option<u64>)> {
    let own = |at: At| {
        let (table, chain, handle) = named(ruleset, at);
        (table.to_owned(), chain.to_owned(), handle)
    };
    let alive: BTreeSet<_> = ruleset.lines().map(|(at, _)| at).filter(|at| !dead.contains(at)).map(own).collect();
    dead.iter().map(|at| own(*at)).filter(|name| !alive.contains(name)).collect()
}

fn place(ruleset: &Ruleset, finding: &Finding) -> Option<At> {
    let rule = finding.rule.as_ref()?;
    let is = |at: &At| {
        let table = &ruleset.tables[at.table];
        rule.table.as_deref() == Some(&table.name)
            && rule.family.as_deref() == Some(table.family.as_str())
            && rule.chain.as_deref() == Some(&table.chains[at.chain].name)
            && rule.index == Some(at.line)
    };
    ruleset.lines().map(|(at, _)| at).find(is)
}

fn without(ruleset: &Ruleset, at: At) -> Ruleset {
    let mut less = ruleset.clone();
    less.tables[at.table].chains[at.chain].lines.remove(at.line);
    less
}
