//! Which rules of a chain can match some of a few packets, found without reading all of them.
//!
//! What is left out here surely matches none; what is found may still match none.

use super::spans::Spans;
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use crate::rule::ruleset::{Base, Condition, Line};
use crate::rule::way::{Changes, begins_with_frame, is_transport, is_transport_narrow};

/// Chains of fewer rules are read from one end to the other.
const FEW: usize = 64;
/// The fields that tell most rules apart.
const TELLING: [Wide; 4] = [Wide::Source, Wide::Destination, Wide::DestinationPort, Wide::SourcePort];

/// The rules of a list by the values of one field.
#[derive(Debug)]
pub(super) struct Near {
    field: Wide,
    spans: Spans,
}

impl Near {
    /// Nothing where the list is short.
    pub(super) fn of<'a>(lines: impl ExactSizeIterator<Item = &'a Line> + Clone) -> Option<Self> {
        if lines.len() < FEW {
            return None;
        }
        let stride = lines.len().div_ceil(FEW);
        let field = TELLING.into_iter().min_by_key(|field| {
            let sample: Vec<_> = lines.clone().step_by(stride).filter_map(|line| hull(line, *field)).collect();
            let meets = |a: &(u128, u128)| sample.iter().filter(|b| a.0 <= b.1 && b.0 <= a.1).count();
            sample.iter().map(meets).sum::<usize>()
        })?;
        let spans = lines.enumerate().filter_map(|(n, line)| hull(line, field).map(|(first, last)| (first, last, n)));
        Some(Self { field, spans: Spans::new(spans.collect()) })
    }

    /// The rules that may match, ascending; nothing where the field says nothing at this place.
    pub(super) fn find(&self, sieve: &Sieve) -> Option<Vec<usize>> {
        let (first, last) = sieve.hull(self.field)?;
        let mut found = Vec::new();
        self.spans.touching(first, last, &mut |n| found.push(n));
        found.sort_unstable();
        Some(found)
    }
}

/// The least and the greatest value of a field that a rule can match; none where it matches nothing.
fn hull(line: &Line, field: Wide) -> Option<(u128, u128)> {
    let mut hull = (0, field.last());
    for condition in &line.conditions {
        let (first, last) = match condition {
            Condition::Wide(own, values) if *own == field => values.hull()?,
            Condition::AnyOf(cells) => {
                let each = || cells.iter().filter_map(|cell| cell.wide(field).hull());
                (each().map(|h| h.0).min()?, each().map(|h| h.1).max()?)
            }
            _ => continue,
        };
        hull = (hull.0.max(first), hull.1.min(last));
    }
    (hull.0 <= hull.1).then_some(hull)
}

/// What the fields of some packets are at a base chain, as far as rules there can be held against it.
#[derive(Debug)]
pub(super) struct Sieve<'a> {
    cells: &'a [Cell],
    wide: Vec<Known>,
    narrow: Vec<bool>,
}

/// What is known of a field at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    /// It is what the packets say.
    Own,
    /// The packet has none there: it counts as 0.
    Missing,
    /// Another one than at the filter.
    Other,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(cells: &'a [Cell], base: &Base, changes: &Changes) -> Self {
        let known = |field: Wide| match field {
            _ if changes.blurs_wide(base, field) => Known::Other,
            // Of one of the packets it may be.
            _ if is_transport(field) && begins_with_frame(base) => Known::Other,
            Wide::InInterface if !base.hook.has_in() => Known::Missing,
            Wide::OutInterface if !base.hook.has_out() => Known::Missing,
            _ => Known::Own,
        };
        let other =
            |field: Narrow| changes.blurs_narrow(base, field) || is_transport_narrow(field) && begins_with_frame(base);
        Self {
            cells,
            wide: Wide::ALL.into_iter().map(known).collect(),
            narrow: Narrow::ALL.into_iter().map(|field| !other(field)).collect(),
        }
    }

    /// Whether a rule may match one of the packets.
    pub(super) fn lets(&self, line: &Line) -> bool {
        line.conditions.iter().all(|condition| match condition {
            Condition::Wide(field, values) => self.wide(*field, values),
            Condition::Narrow(field, values) => self.narrow(*field, *values),
            Condition::AnyOf(cells) => cells.iter().any(|cell| self.cell(cell)),
            Condition::Chance(_) | Condition::Unread(_) => true,
        })
    }

    /// Whether one of the packets may be in a cell of a rule.
    pub(super) fn cell(&self, cell: &Cell) -> bool {
        Narrow::ALL.into_iter().all(|field| self.narrow(field, cell.narrow(field)))
            && Wide::ALL.into_iter().all(|field| self.wide(field, cell.wide(field)))
    }

    fn wide(&self, field: Wide, values: &Ranges) -> bool {
        match self.wide[field as usize] {
            Known::Own => self.cells.iter().any(|cell| !cell.wide(field).is_disjoint(values)),
            Known::Missing => values.contains(0),
            Known::Other => true,
        }
    }

    fn narrow(&self, field: Narrow, values: Bits) -> bool {
        !self.narrow[field as usize] || self.cells.iter().any(|cell| !cell.narrow(field).is_disjoint(values))
    }

    fn hull(&self, field: Wide) -> Option<(u128, u128)> {
        let each = || self.cells.iter().filter_map(|cell| cell.wide(field).hull());
        match self.wide[field as usize] {
            Known::Own => Some((each().map(|h| h.0).min()?, each().map(|h| h.1).max()?)),
            Known::Missing | Known::Other => None,
        }
    }
}
