//! The way of packets in one direction as one list of steps: jumps laid out in place, an accept as a skip to the end of its base chain.
//!
//! Skips only go forward and are nested like the chains that they leave, so every question about the way is a question about
//! this list.

mod layout;
mod places;
mod turning;

use self::layout::{Of, lay_out_view};
use self::turning::Turning;
use crate::analyze::cells::{Atoms, Doubt};
use crate::analyze::index::Index;
use crate::analyze::view::{Known, View};
use crate::packet::Cell;
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Ruleset, TableFamily};
use crate::rule::{Direction, Translation};
pub(super) use places::Places;
use std::collections::BTreeMap;
use std::ops::Range;

/// A ruleset whose jumps multiply to more steps than this is not laid out: some 300 MB.
pub(super) const MOST: usize = 400_000;
pub(super) const DEPTH: usize = 15;

/// One step: the packets of its cell, and what becomes of them.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) by: By,
    pub(super) cell: Cell,
    pub(super) act: Act,
    /// Whether it may not happen to a packet of the cell.
    pub(super) doubt: Option<Doubt>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing: a rule that logs, counts or marks, or the place of a jump.
    Pass,
    /// Drop or reject: the end of the way.
    Deny,
    /// Accept: to the end of the base chain.
    Accept(usize),
    /// Return, or back from a goto: to the end of a chain.
    Leave(usize),
}

impl Act {
    /// Where it goes on, if it skips.
    pub(super) fn target(self) -> Option<usize> {
        match self {
            Self::Accept(to) | Self::Leave(to) => Some(to),
            Self::Pass | Self::Deny => None,
        }
    }
}

/// The steps of one direction.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// For each rule that packets can come to, its steps.
    pub(super) places: Places,
    pub(super) index: Index,
    /// Rules that stand for too many combinations of values: their steps are more than what they match, with a doubt.
    pub(super) too_wide: Vec<At>,
    /// The steps of rules that change what others ask for, or the packet.
    altering: Vec<usize>,
    /// Steps that translate packets, ascending.
    turns: Vec<Turn>,
    /// The chains that are laid out in the place of a jump or goto.
    calls: BTreeMap<At, Vec<Call>>,
}

/// A chain in the place of a jump or goto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// The first of its steps, and the first behind it.
    pub(super) first: usize,
    pub(super) end: usize,
    /// Where its own steps end; behind are those of a goto that leave.
    pub(super) inner: usize,
}

/// Steps of one rule that translate packets.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) steps: Range<usize>,
    pub(super) to: Translation,
    pub(super) end: End,
}

/// Which end of a connection is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Destination,
    Source,
}

/// The steps that translated a packet: its destination, and its source.
pub(super) type TurnedBy = [Option<usize>; 2];

impl Program {
    /// The places where a jump or goto leads to its chain.
    pub(super) fn calls(&self, at: At) -> &[Call] {
        self.calls.get(&at).map_or(&[], Vec::as_slice)
    }

    /// What a step translates.
    pub(super) fn turn(&self, step: usize) -> Option<&Turn> {
        let after = self.turns.partition_point(|turn| turn.steps.start <= step);
        self.turns.get(after.checked_sub(1)?).filter(|turn| turn.steps.contains(&step))
    }

    /// Everything that translates an end of connections.
    pub(super) fn turns(&self, end: End) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(move |turn| turn.end == end)
    }

    /// The steps from one to before another that may change what others ask for, or the packet.
    pub(super) fn altering(&self, from: usize, to: usize) -> &[usize] {
        let place = |end| self.altering.partition_point(|step| *step < end);
        &self.altering[place(from)..place(to.max(from))]
    }
}

/// Why a ruleset cannot be laid out: words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unlaid {
    #[error("the jumps of the ruleset multiply to more than {MOST} steps")]
    TooMany,
    #[error("chain `{0}` is entered over more than {DEPTH} jumps")]
    TooDeep(String),
    #[error("there is no chain `{0}` to jump to")]
    NoChain(String),
    #[error("rule `{0}` stands for too many combinations of values")]
    TooWide(String),
}

/// Lays out the way of IP packets of a direction.
pub(super) fn lay_out(ruleset: &Ruleset, direction: Direction, atoms: &mut Atoms) -> Result<Program, Unlaid> {
    let chains: Vec<_> = direction.hooks().iter().flat_map(|hook| ruleset.at_hook(*hook)).collect();
    let known = Known::of(ruleset);
    lay_out_view(&View::of(ruleset, &known), &chains, &Cell::all(), Of::All, None, atoms)
}

/// Lays out the way of IP packets of a direction. Those that begin a connection, or belong to none, are described as they come, before
/// their destination is translated; those of a connection that is there as the filter sees them.
pub(super) fn lay_out_sent(ruleset: &Ruleset, direction: Direction, atoms: &mut Atoms) -> Result<Program, Unlaid> {
    let chains: Vec<_> = direction.hooks().iter().flat_map(|hook| ruleset.at_hook(*hook)).collect();
    lay_out_coming(ruleset, &chains, &Cell::all(), atoms)
}

/// Lays out base chains, one after the other, for packets of a cell, described as they come: before their destination is translated.
pub(super) fn lay_out_coming(
    ruleset: &Ruleset,
    chains: &[(usize, usize)],
    start: &Cell,
    atoms: &mut Atoms,
) -> Result<Program, Unlaid> {
    let is_of_frames = |family| matches!(family, TableFamily::Arp | TableFamily::Bridge);
    let known = match chains.iter().all(|(table, _)| is_of_frames(ruleset.tables[*table].family)) {
        true => Known::of_frames(ruleset),
        false => Known::of(ruleset),
    };
    let view = View::of(ruleset, &known);
    let turning = Turning::of(ruleset, chains, view.changes());
    lay_out_view(&view, chains, start, Of::All, turning, atoms)
}

/// Lays out the way of a direction as far as some packets go it: what surely matches none of them is left out.
pub(super) fn lay_out_near(
    view: &View,
    direction: Direction,
    packets: &[Cell],
    atoms: &mut Atoms,
) -> Result<Program, Unlaid> {
    lay_out_view(view, &way_of(view, direction), &Cell::all(), Of::Near(packets), None, atoms)
}

/// The same with all that is left to chance decided by atoms, one for each rule: what is laid out twice, before a change and after,
/// has the same luck in both.
pub(super) fn lay_out_lucky(
    view: &View,
    direction: Direction,
    packets: &[Cell],
    atoms: &mut Atoms,
) -> Result<Program, Unlaid> {
    lay_out_view(view, &way_of(view, direction), &Cell::all(), Of::Lucky(packets), None, atoms)
}

/// The base chains that a direction passes, in order.
fn way_of(view: &View, direction: Direction) -> Vec<(usize, usize)> {
    direction.hooks().iter().flat_map(|hook| view.at_hook(*hook)).collect()
}
