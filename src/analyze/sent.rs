//! Where packets go that a question is about: they are described as they were sent, and rules may lead them elsewhere.
//!
//! A question about a destination is about what was sent there and about what rules lead there: what is led on may not be lost sight of
//! either way.

use super::cells::Atoms;
use super::program::{End, Unlaid, lay_out_coming};
use super::ways::Laid;
use crate::packet::{Cell, Narrow, Ranges, Wide};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Landing, Turned};

/// More parts than this of what no rule leads elsewhere are not told from the rest.
const PARTS: usize = 32;

/// What the nat chains of a direction lead elsewhere, or some more of it.
#[derive(Debug, Default)]
pub(super) struct Leads(Vec<(Cell, Turned)>);

/// Whether packets are led to where a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lands {
    Surely,
    Never,
    /// Where they are led to is not one place, or only some of them are.
    Perhaps,
}

impl Leads {
    /// Those of a direction.
    pub(super) fn of(ruleset: &Ruleset, direction: Direction) -> Result<Self, Unlaid> {
        let all = direction.hooks().iter().flat_map(|hook| ruleset.at_hook(*hook));
        let turns = |(table, chain): &(usize, usize)| {
            ruleset.tables[*table].chains[*chain].base.as_ref().is_some_and(|base| base.turns())
        };
        let chains: Vec<_> = all.filter(turns).collect();
        if chains.is_empty() {
            return Ok(Self::default());
        }
        let program = lay_out_coming(ruleset, &chains, &Cell::all(), &mut Atoms::default())?;
        let turns = program.turns(End::Destination).filter(|turn| turn.to.turns());
        let cells = turns.flat_map(|turn| {
            program.steps[turn.steps.clone()].iter().map(|step| {
                let mut cell = step.cell.clone();
                cell.drop_atoms();
                (cell, turn.to.landing())
            })
        });
        Ok(Self(cells.collect()))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of some packets that may be led elsewhere, and the others; where that would be many parts all of them.
    pub(super) fn apart(&self, cells: &[Cell]) -> (Vec<Cell>, Vec<Cell>) {
        let (mut led, mut rest) = (Vec::new(), cells.to_vec());
        for (lead, _) in &self.0 {
            led.extend(rest.iter().filter_map(|cell| cell.and(lead)));
            rest = rest.iter().flat_map(|cell| cell.minus(lead)).collect();
            if rest.len() > PARTS {
                return (cells.to_vec(), Vec::new());
            }
        }
        (led, rest)
    }

    /// Packets that are sent elsewhere and may be led to where some are asked for; no packet is in two.
    pub(super) fn arriving(&self, asked: &[Cell]) -> Vec<Cell> {
        let mut found: Vec<Cell> = Vec::new();
        for (wanted, (lead, to)) in asked.iter().flat_map(|wanted| self.0.iter().map(move |lead| (wanted, lead))) {
            let Some(open) = opened(wanted, *to).and_then(|open| open.and(lead)) else { continue };
            let others = asked.iter().chain(&found);
            let new = others.fold(vec![open], |left, other| left.iter().flat_map(|cell| cell.minus(other)).collect());
            found.extend(new);
        }
        found
    }
}

/// The packets that would be among some behind a translation, if they are led there.
fn opened(wanted: &Cell, to: Turned) -> Option<Cell> {
    let mut open = wanted.clone();
    for field in [Wide::Destination, Wide::DestinationPort] {
        match to.of(field) {
            Landing::Kept => continue,
            Landing::To(number) if !wanted.wide(field).contains(number) => return None,
            Landing::To(_) | Landing::Open => open = open.with_wide(field, field.all()),
        }
    }
    // Another destination may be of another type.
    Some(if to.address == Landing::Kept { open } else { open.with_narrow(TYPES, TYPES.all()) })
}

const TYPES: Narrow = Narrow::DestinationType;

/// Whether packets that steps translate, or one of these steps each, are led to where some are asked for.
pub(super) fn lands<'s>(
    laid: &Laid,
    cell: &Cell,
    turned: impl IntoIterator<Item = &'s Option<usize>>,
    asked: &[Cell],
) -> Lands {
    let each = turned.into_iter().map(|step| match laid.translation(*step) {
        Some(to) => landing(cell, to.landing(), asked),
        None => Lands::Never,
    });
    let first = |a: Lands, b: Lands| if a == b { a } else { Lands::Perhaps };
    each.reduce(first).unwrap_or(Lands::Never)
}

fn landing(cell: &Cell, to: Turned, asked: &[Cell]) -> Lands {
    let mut there = cell.clone();
    there.drop_atoms();
    for field in [Wide::Destination, Wide::DestinationPort] {
        there = match to.of(field) {
            Landing::Kept => there,
            Landing::To(number) => there.with_wide(field, Ranges::single(number)),
            Landing::Open => there.with_wide(field, field.all()),
        };
    }
    if asked.iter().all(|wanted| wanted.is_disjoint(&there)) {
        return Lands::Never;
    }
    let outside = |left: Vec<Cell>, wanted: &Cell| left.iter().flat_map(|cell| cell.minus(wanted)).collect();
    let left =
        there.by_family().into_iter().map(|there| asked.iter().fold(vec![there], outside)).any(|l| !l.is_empty());
    if left { Lands::Perhaps } else { Lands::Surely }
}
