//! The ways of packets through a ruleset, each laid out and ready for searches.

use super::plan::Plan;
use super::probe::{Found, Journey, Probe};
use crate::analyze::cells::Atoms;
use crate::analyze::program::{Program, Unlaid, lay_out_coming};
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::words::decider;
use crate::packet::{Cell, Ranges, Wide};
use crate::record::Witness;
use crate::rule::evaluate::evaluate;
use crate::rule::ruleset::{Ruleset, Table, TableFamily};
use crate::rule::{Direction, Packet};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A laid out way and the direction that its packets are shown in: nothing of packets that are not those of IP.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) direction: Option<Direction>,
    pub(super) program: Program,
}

/// A way that could not be laid out, with its base chains.
#[derive(Debug)]
pub(super) struct NotLaid {
    pub(super) name: String,
    pub(super) chains: Vec<(usize, usize)>,
    pub(super) why: Unlaid,
}

/// The ways of a ruleset, and what could not be laid out with the reason. Where packets for this host and those for others pass the
/// same chains (those before their ways part), both are one way.
pub(super) fn ways(ruleset: &Ruleset, atoms: &mut Atoms) -> (Vec<Way>, Vec<NotLaid>) {
    let mut chains: BTreeSet<(Vec<(usize, usize)>, bool)> = BTreeSet::new();
    let mut wanted = Vec::new();
    for direction in Direction::ALL.iter().copied() {
        let own: Vec<_> = direction.hooks().iter().flat_map(|hook| ruleset.at_hook(*hook)).collect();
        if !own.is_empty() && chains.insert((own.clone(), direction == Direction::Output)) {
            wanted.push((Some(direction), own, framed(direction), format!("the way of {direction} packets")));
        }
    }
    for (table, chain) in apart(ruleset) {
        let name = format!("chain {}", ruleset.tables[table].chains[chain].name);
        wanted.push((None, vec![(table, chain)], Cell::all(), name));
    }
    let (mut ways, mut unlaid) = (Vec::new(), Vec::new());
    for (direction, own, start, name) in wanted {
        match lay_out_coming(ruleset, &own, &start, atoms) {
            Ok(program) => ways.push(Way { direction, program }),
            Err(why) => unlaid.push(NotLaid { name, chains: own, why }),
        }
    }
    (ways, unlaid)
}

/// The packets of a direction: they came in by an interface unless this host sends them, and leave by one unless they are for it
/// (`ip_local_deliver`, `ip_forward`, `__ip_local_out`).
fn framed(direction: Direction) -> Cell {
    let (none, some) = (Ranges::single(0), Ranges::one(1, u128::MAX));
    let of = |there: bool| if there { some.clone() } else { none.clone() };
    Cell::all()
        .with_wide(Wide::InInterface, of(direction != Direction::Output))
        .with_wide(Wide::OutInterface, of(direction != Direction::Input))
}

/// Base chains whose packets are no IP packets on their way through this host.
fn apart(ruleset: &Ruleset) -> Vec<(usize, usize)> {
    let alone = |table: &Table| matches!(table.family, TableFamily::Arp | TableFamily::Bridge) && !table.dormant;
    let own = ruleset.chains().filter(|(t, _, chain)| alone(&ruleset.tables[*t]) && chain.base.is_some());
    own.map(|(t, c, _)| (t, c)).collect()
}

/// The chains that packets can come to from some.
pub(super) fn entered(ruleset: &Ruleset, from: impl Iterator<Item = (usize, usize)>) -> BTreeSet<(usize, usize)> {
    let mut open: Vec<_> = from.collect();
    let mut found = BTreeSet::new();
    while let Some((table, chain)) = open.pop() {
        if !found.insert((table, chain)) {
            continue;
        }
        let chains = &ruleset.tables[table].chains;
        let names = chains[chain].lines.iter().flat_map(|line| line.outcome.chains());
        open.extend(names.filter_map(|name| Some((table, chains.iter().position(|chain| chain.name == name)?))));
    }
    found
}

/// A way while questions are asked about it.
#[derive(Debug)]
pub(super) struct Course<'a> {
    /// The direction that its packets are shown in, where they are packets of IP.
    pub(super) direction: Option<Direction>,
    pub(super) program: &'a Program,
    pub(super) probe: Probe<'a>,
}

/// Whether packets come to a step.
#[derive(Debug)]
pub(super) enum Coming {
    /// Some do: the numbers of one, where it can be told.
    Some(Option<Vec<u32>>),
    /// None does: these steps take them, and those lead some of them there, past others.
    None(Vec<u32>, Vec<u32>),
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
            Found::Nothing(used) => {
                let (take, lead) = used.into_iter().partition(|n| self.takes(*n, to));
                Coming::None(take, lead)
            }
            Found::Undecided => Coming::Undecided(self.probe.spent - 1),
            Found::Tangled => self.comes_slowly(to, other),
        }
    }

    /// The same by splitting sets of packets with all that is known of unread conditions.
    fn comes_slowly(&self, to: u32, other: u32) -> Coming {
        let steps = &self.program.steps;
        let Some(both) = steps[to as usize].cell.and(&steps[other as usize].cell) else {
            return Coming::None(Vec::new(), Vec::new());
        };
        let limits = Limits { budget: self.probe.limit(), pieces: 1 };
        match reach(self.program, &[both], to as usize, limits) {
            Reach::Open(_) => Coming::Some(None),
            Reach::Closed(cover) => Coming::None(cover.into_iter().map(|n| n as u32).collect(), Vec::new()),
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

    /// Packets with given numbers, and one of them. What the text of a packet cannot say cannot be replayed.
    fn shown(&self, step: u32, point: &[u32]) -> Option<(Cell, Packet)> {
        let cell = self.packets(step, point)?;
        let shown = Packet::from_cell(self.direction?, &cell)?.said().filter(|packet| packet.is_in(&cell))?;
        Some((cell, shown))
    }

    /// A packet to replay: what becomes of it by all rules, and what was meant to. Nothing where chance decides.
    pub(super) fn witness(
        &mut self,
        ruleset: &Ruleset,
        step: u32,
        point: &[u32],
        expected: Option<String>,
    ) -> Option<Witness> {
        let (cell, shown) = self.shown(step, point)?;
        let (passes, by) = self.probe.fate(point, cell.atoms())?;
        let (cell, shown) = match shown.is_stray() {
            // The lowest addresses of IPv6 are none that packets come from; others of the step may have the same way.
            true => {
                let moved = self.probe.plan.grid.beyond(step, point)?;
                let (cell, shown) = self.shown(step, &moved)?;
                let alike = self.probe.fate(&moved, cell.atoms())? == (passes, by);
                Some((cell, shown)).filter(|(_, shown)| alike && !shown.is_stray())?
            }
            false => (cell, shown),
        };
        let verdict = if passes { "accept" } else { "drop" };
        let by = by.map(|n| format!(" by {}", decider(ruleset, self.program.steps[n as usize].by))).unwrap_or_default();
        if !cell.atoms().is_empty() && depends(ruleset, &shown) {
            return None;
        }
        let mut packet = String::with_capacity(96);
        write!(packet, "{shown}").ok()?;
        Some(Witness { packet, verdict: format!("{verdict}{by}"), expected })
    }
}

/// Whether what becomes of a packet depends on what it does not say.
fn depends(ruleset: &Ruleset, packet: &Packet) -> bool {
    let mut asked = false;
    let mut luck = |_, _: &str| {
        asked = true;
        false
    };
    evaluate(ruleset, packet, &mut luck).is_err() || asked
}

#[cfg(test)]
mod tests {
    use crate::analyze::{Budget, audit};
    use crate::packet::{Bits, Narrow, Ranges, Wide};
    use crate::rule::ruleset::{
        Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict, name_number,
    };

    fn line(conditions: Vec<Condition>) -> Line {
        let outcome = Outcome::Verdict(Verdict::Drop);
        Line { handle: None, comment: None, text: "drop".to_owned(), conditions, alters: Vec::new(), outcome }
    }

    fn dead(chains: &[(Hook, Line)]) -> Vec<String> {
        let base = |hook| Base { kind: ChainKind::Filter, hook, priority: 0, drops: false, devices: Vec::new() };
        let chain = |(hook, line): &(Hook, Line)| Chain {
            name: hook.as_str().to_owned(),
            handle: None,
            base: Some(base(*hook)),
            lines: vec![line.clone()],
        };
        let chains = chains.iter().map(chain).collect();
        let table = Table { family: TableFamily::Inet, name: "t".to_owned(), dormant: false, chains, sets: Vec::new() };
        let ruleset = Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() };
        let found = audit(&ruleset, Budget::default()).into_iter().filter(|found| found.dead);
        found.filter_map(|found| found.rule?.chain).collect()
    }

    #[test]
    fn what_this_host_sends_came_in_by_no_interface() {
        let named = |field, name| Condition::Wide(field, Ranges::single(name_number(name)));
        let both = || line(vec![named(Wide::InInterface, "lan0"), named(Wide::OutInterface, "wan0")]);
        assert_eq!(dead(&[(Hook::Forward, both()), (Hook::Postrouting, both())]), ["postrouting"]);
        let none = |field| line(vec![Condition::Wide(field, Ranges::single(0))]);
        assert_eq!(dead(&[(Hook::Postrouting, none(Wide::InInterface))]), Vec::<String>::new());
        assert_eq!(dead(&[(Hook::Postrouting, none(Wide::OutInterface))]), ["postrouting"]);
        assert_eq!(dead(&[(Hook::Input, none(Wide::OutInterface))]), Vec::<String>::new());
    }

    #[test]
    fn no_later_fragment_of_ipv4_comes_to_the_input_hook() {
        let later = Condition::Narrow(Narrow::Fragment, Bits::single(1).with(2));
        let of = |family| line(vec![Condition::Narrow(Narrow::Family, Bits::single(family)), later.clone()]);
        assert_eq!(dead(&[(Hook::Input, of(0)), (Hook::Forward, of(0))]), ["input"]);
        assert_eq!(dead(&[(Hook::Input, of(1))]), Vec::<String>::new());
    }
}
