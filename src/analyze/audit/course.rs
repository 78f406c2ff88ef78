//! The ways of packets through a ruleset, each laid out and ready for searches.

use super::plan::Plan;
use super::probe::{Found, Journey, Probe};
use crate::analyze::cells::Atoms;
use crate::analyze::program::{Program, Unlaid, lay_out_chains};
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::words::decider;
use crate::packet::Cell;
use crate::record::Witness;
use crate::rule::ruleset::{Ruleset, TableFamily};
use crate::rule::{Direction, Packet};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A laid out way and the direction that its packets are shown in.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) direction: Direction,
    pub(super) program: Program,
}

/// The ways of a ruleset, and what could not be laid out with the reason. Directions with the same chains are one way.
pub(super) fn ways(ruleset: &Ruleset, atoms: &mut Atoms) -> (Vec<Way>, Vec<(String, Unlaid)>) {
    let mut chains: BTreeMap<Vec<(usize, usize)>, Direction> = BTreeMap::new();
    let mut wanted = Vec::new();
    for direction in Direction::ALL.iter().copied() {
        let own: Vec<_> = direction.hooks().iter().flat_map(|hook| ruleset.at_hook(*hook)).collect();
        if !own.is_empty() && chains.insert(own.clone(), direction).is_none() {
            wanted.push((direction, own, format!("the way of {direction} packets")));
        }
    }
    for (table, chain) in apart(ruleset) {
        let name = format!("chain {}", ruleset.tables[table].chains[chain].name);
        wanted.push((Direction::Forward, vec![(table, chain)], name));
    }
    let (mut ways, mut unlaid) = (Vec::new(), Vec::new());
    for (direction, own, name) in wanted {
        match lay_out_chains(ruleset, &own, atoms) {
            Ok(program) => ways.push(Way { direction, program }),
            Err(why) => unlaid.push((name, why)),
        }
    }
    (ways, unlaid)
}

/// Base chains whose packets are no IP packets on their way through this host.
fn apart(ruleset: &Ruleset) -> Vec<(usize, usize)> {
    let alone = |family| matches!(family, TableFamily::Arp | TableFamily::Bridge);
    let own = ruleset.chains().filter(|(t, _, chain)| alone(ruleset.tables[*t].family) && chain.base.is_some());
    own.map(|(t, c, _)| (t, c)).collect()
}

/// A way while questions are asked about it.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) direction: Direction,
    pub(super) program: &'a Program,
    pub(super) probe: Probe<'a>,
}

/// Whether packets come to a step.
#[derive(Debug)]
pub(super) enum Coming {
    /// Some do: the numbers of one, where it can be told.
    Some(Option<Vec<u32>>),
    /// None does: these steps take them.
    None(Vec<u32>),
    /// After so many steps.
    Undecided(usize),
}

impl<'a> Course<'a> {
    pub(super) fn new(way: &'a Way, plan: &'a Plan<'a>, budget: usize, patience: usize) -> Self {
        Self { direction: way.direction, program: &way.program, probe: Probe::new(plan, budget, patience) }
    }

    /// Whether packets of a step come to it.
    pub(super) fn comes(&mut self, step: u32) -> Coming {
        self.comes_in(step, step)
    }

    /// Whether packets that are in both of two steps come to the first of them.
    pub(super) fn comes_in(&mut self, to: u32, other: u32) -> Coming {
        let atoms = self.atoms(to, other);
        let leg = 0..to;
        let journey = Journey { legs: std::slice::from_ref(&leg), atoms: &atoms, without: None, may: false };
        match self.probe.search(&[to, other], journey) {
            Found::Witness(point) => Coming::Some(Some(point)),
            Found::Nothing(used) => Coming::None(used.into_iter().filter(|n| self.takes(*n, to)).collect()),
            Found::Undecided => Coming::Undecided(self.probe.spent - 1),
            Found::Tangled => self.comes_slowly(to, other),
        }
    }

    /// The same by splitting sets of packets with all that is known of unread conditions.
    fn comes_slowly(&self, to: u32, other: u32) -> Coming {
        let steps = &self.program.steps;
        let Some(both) = steps[to as usize].cell.and(&steps[other as usize].cell) else {
            return Coming::None(Vec::new());
        };
        let limits = Limits { budget: self.probe.limit(), pieces: 1 };
        match reach(self.program, &[both], to as usize, limits) {
            Reach::Open(_) => Coming::Some(None),
            Reach::Closed(cover) => Coming::None(cover.into_iter().map(|n| n as u32).collect()),
            Reach::Undecided(steps) => Coming::Undecided(steps),
        }
    }

    /// What unread conditions hold for packets of both steps.
    pub(super) fn atoms(&self, a: u32, b: u32) -> Vec<(u32, bool)> {
        let of = |step: u32| self.program.steps[step as usize].cell.atoms().iter().copied();
        let mut all: Vec<_> = of(a).chain(of(b)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a step keeps packets from coming to a later one, rather than lead them there.
    fn takes(&self, step: u32, to: u32) -> bool {
        self.program.steps[step as usize].act.target().is_none_or(|end| end > to as usize)
    }

    /// The packets of a step that have given numbers; of the first family that they can be of.
    pub(super) fn packets(&self, step: u32, point: &[u32]) -> Option<Cell> {
        self.probe.plan.grid.cell(&self.program.steps[step as usize].cell, point).of_first_family()
    }

    /// A packet to replay: what becomes of it by all rules, and what was meant to. Nothing where chance decides.
    pub(super) fn witness(
        &mut self,
        ruleset: &Ruleset,
        step: u32,
        point: &[u32],
        expected: Option<String>,
    ) -> Option<Witness> {
        let cell = self.packets(step, point)?;
        let (passes, by) = self.probe.fate(point, cell.atoms())?;
        let verdict = if passes { "accept" } else { "drop" };
        let by = by.map(|n| format!(" by {}", decider(ruleset, self.program.steps[n as usize].by))).unwrap_or_default();
        // What the text of a packet cannot say cannot be replayed.
        let shown = Packet::from_cell(self.direction, &cell)?.said().filter(|packet| packet.is_in(&cell))?;
        let mut packet = String::with_capacity(96);
        write!(packet, "{shown}").ok()?;
        Some(Witness { packet, verdict: format!("{verdict}{by}"), expected })
    }
}
