//! Which steps can touch a set of packets: steps by the range of one field.

use super::program::{Act, Step};
use super::spans::Spans;
use crate::packet::{Cell, Wide};
use std::sync::OnceLock;

/// Steps that do something, ordered by the lowest value of the field that tells most of them apart. Made when it is first asked.
#[derive(Debug, Default)]
pub(super) struct Index(OnceLock<Ordered>);

impl Index {
    /// The steps from `from` up to but not including `to` that touch a cell, ascending.
    pub(super) fn touching(&self, steps: &[Step], cell: &Cell, from: usize, to: usize) -> Vec<usize> {
        self.0.get_or_init(|| Ordered::new(steps)).touching(steps, cell, from, to)
    }
}

#[derive(Debug)]
struct Ordered {
    field: Wide,
    /// The values of each step.
    spans: Spans,
}

impl Ordered {
    fn new(steps: &[Step]) -> Self {
        let fields = [Wide::Source, Wide::Destination, Wide::DestinationPort, Wide::SourcePort, Wide::InInterface];
        let field = fields.into_iter().min_by_key(|field| spread(steps, *field)).unwrap_or(Wide::Source);
        let ranges = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.act != Act::Pass)
            .filter_map(|(n, step)| step.cell.wide(field).hull().map(|(first, last)| (first, last, n)));
        Self { field, spans: Spans::new(ranges.collect()) }
    }

    fn touching(&self, steps: &[Step], cell: &Cell, from: usize, to: usize) -> Vec<usize> {
        let Some((first, last)) = cell.wide(self.field).hull() else { return Vec::new() };
        let mut found = Vec::new();
        self.spans.touching(first, last, &mut |step| {
            if (from..to).contains(&step) && !steps[step].cell.is_disjoint(cell) {
                found.push(step);
            }
        });
        found.sort_unstable();
        found
    }
}

/// How many pairs of a sample of the steps share a value of the field.
fn spread(steps: &[Step], field: Wide) -> usize {
    let stride = steps.len().div_ceil(64).max(1);
    let sample: Vec<_> = steps.iter().step_by(stride).map(|step| step.cell.wide(field)).collect();
    sample.iter().map(|a| sample.iter().filter(|b| !a.is_disjoint(b)).count()).sum()
}
