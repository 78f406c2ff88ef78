//! Which steps can touch a set of packets: steps by the range of one field, in a tree of ranges.

use super::program::{Act, Step};
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
    /// Lowest and highest value, and the step.
    ranges: Vec<(u128, u128, usize)>,
    /// The highest value in each span of `ranges`: a tree in an array, the root at 1.
    highest: Vec<u128>,
    leaves: usize,
}

impl Ordered {
    fn new(steps: &[Step]) -> Self {
        let fields = [Wide::Source, Wide::Destination, Wide::DestinationPort, Wide::SourcePort, Wide::InInterface];
        let field = fields.into_iter().min_by_key(|field| spread(steps, *field)).unwrap_or(Wide::Source);
        let mut ranges: Vec<_> = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.act != Act::Pass)
            .filter_map(|(n, step)| step.cell.wide(field).hull().map(|(first, last)| (first, last, n)))
            .collect();
        ranges.sort_unstable();
        let leaves = ranges.len().next_power_of_two();
        let mut highest = vec![0; 2 * leaves];
        for (n, (_, last, _)) in ranges.iter().enumerate() {
            highest[leaves + n] = *last;
        }
        for n in (1..leaves).rev() {
            highest[n] = highest[2 * n].max(highest[2 * n + 1]);
        }
        Self { field, ranges, highest, leaves }
    }

    fn touching(&self, steps: &[Step], cell: &Cell, from: usize, to: usize) -> Vec<usize> {
        let Some((first, last)) = cell.wide(self.field).hull() else { return Vec::new() };
        let end = self.ranges.partition_point(|(start, _, _)| *start <= last);
        let mut found = Vec::new();
        self.collect(1, 0, self.leaves, (first, end), &mut |step| {
            if (from..to).contains(&step) && !steps[step].cell.is_disjoint(cell) {
                found.push(step);
            }
        });
        found.sort_unstable();
        found
    }

    /// Visits the ranges before `end` that reach `first`.
    fn collect(&self, node: usize, start: usize, size: usize, wanted: (u128, usize), visit: &mut impl FnMut(usize)) {
        let (first, end) = wanted;
        if start >= end || self.highest[node] < first {
            return;
        }
        if size == 1 {
            visit(self.ranges[start].2);
            return;
        }
        self.collect(2 * node, start, size / 2, wanted, visit);
        self.collect(2 * node + 1, start + size / 2, size / 2, wanted, visit);
    }
}

/// How many pairs of a sample of the steps share a value of the field.
fn spread(steps: &[Step], field: Wide) -> usize {
    let stride = steps.len().div_ceil(64).max(1);
    let sample: Vec<_> = steps.iter().step_by(stride).map(|step| step.cell.wide(field)).collect();
    sample.iter().map(|a| sample.iter().filter(|b| !a.is_disjoint(b)).count()).sum()
}
