//! Which steps have packets in a box of numbers: a tree of boxes, eight side by side, each around those below it.
//!
//! Steps that are broad on an axis are kept apart from those that are narrow there, so that a few broad rules never make
//! the boxes of thousands of narrow ones broad.

use super::grid::{Grid, Span};
use crate::packet::{Narrow, Wide};
use std::array::from_fn;
use std::ops::{ControlFlow, Range};

/// As many boxes are compared at once.
const BESIDE: usize = 8;
/// An entry that is a node, and no step.
const NODE: u32 = 1 << 31;
/// One row for each axis, one for the numbers of the steps and, of those that go on, one for where.
const ROWS: usize = Wide::ALL.len() + Narrow::ALL.len() + 2;
/// The ends of eight boxes on one axis: the lower ones negated, then the upper ones. Small numbers, so that processors compare all
/// eight at a time.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Row([[i16; BESIDE]; 2]);

/// Nothing meets it.
const NOWHERE: Row = Row([[i16::MIN; BESIDE], [0; BESIDE]]);

/// A tree over steps.
#[derive(Debug)]
pub(super) struct Tree {
    /// For each row how many bits of its numbers are left out.
    coarse: Vec<u32>,
    nodes: Vec<[u32; BESIDE]>,
    rows: Vec<Row>,
}

impl Tree {
    /// A tree over some steps. `ends` says where each goes on, of steps that do.
    pub(super) fn new(grid: &Grid, mut steps: Vec<u32>, ends: Option<&dyn Fn(u32) -> u32>) -> Self {
        let most = |number: &dyn Fn(u32) -> u32| steps.iter().map(|step| number(*step)).max().unwrap_or(0);
        let numbers = (0..grid.width()).map(|axis| grid.count(axis)).chain([most(&|step| step)]).chain(ends.map(most));
        let coarse = numbers.map(|most| (u32::BITS - most.leading_zeros()).saturating_sub(15)).collect();
        let tree = Self { coarse, nodes: Vec::new(), rows: Vec::new() };
        let mut growing = Growing { grid, ends, tree, parts: [const { Vec::new() }; 3] };
        if !steps.is_empty() {
            growing.node(&mut steps);
        }
        growing.tree
    }

    /// Whether boxes are compared by all bits of their numbers.
    pub(super) fn is_exact(&self) -> bool {
        self.coarse.iter().all(|bits| *bits == 0)
    }

    /// Visits the steps that are in a range, go on at `last` at most and whose hulls meet a box, in some order that is always the same.
    /// A tree that is not [exact](Self::is_exact) may visit others too.
    pub(super) fn near(
        &self,
        space: &[Span],
        steps: &Range<u32>,
        last: u32,
        visit: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.nodes.is_empty() || steps.is_empty() {
            return ControlFlow::Continue(());
        }
        let more = [Span { lo: steps.start, hi: steps.end - 1 }, Span { lo: 0, hi: last }];
        let mut wanted = [NOWHERE; ROWS];
        for ((row, span), coarse) in wanted.iter_mut().zip(space.iter().chain(&more)).zip(&self.coarse) {
            *row = Row([[small(span.hi, *coarse); BESIDE], [-small(span.lo, *coarse); BESIDE]]);
        }
        self.below(0, &wanted[..self.coarse.len()], visit)
    }

    fn below(&self, node: usize, wanted: &[Row], visit: &mut impl FnMut(u32) -> ControlFlow<()>) -> ControlFlow<()> {
        let start = node * wanted.len();
        let mut met = met(&self.rows[start..start + wanted.len()], wanted);
        let entries = &self.nodes[node];
        while met != 0 {
            let entry = entries[met.trailing_zeros() as usize % BESIDE];
            met &= met - 1;
            match entry & NODE {
                0 => visit(entry)?,
                _ => self.below((entry & !NODE) as usize, wanted, visit)?,
            }
        }
        ControlFlow::Continue(())
    }
}

fn small(n: u32, coarse: u32) -> i16 {
    i16::try_from(n >> coarse).unwrap_or(i16::MAX)
}

/// Which of eight boxes meet another: a bit for each that does.
fn met(rows: &[Row], wanted: &[Row]) -> u32 {
    let mut apart = [0; BESIDE];
    compare(rows, wanted, &mut apart);
    // The signs of four numbers, moved together by one multiplication.
    let signs = |at: usize| {
        let four = (0..4).fold(0, |all, n| all | u64::from(apart[at + n] as u16) << (16 * n));
        ((!four >> 15 & 0x0001_0001_0001_0001).wrapping_mul(0x0001_0002_0004_0008) >> 48) as u32
    };
    signs(0) & 0xf | (signs(4) & 0xf) << 4
}

/// Leaves a number below zero for each of eight boxes that ends before another begins, or the other way.
// Apart from what reads the numbers, so that the compiler keeps them together in one register.
#[inline(never)]
fn compare(rows: &[Row], wanted: &[Row], apart: &mut [i16; BESIDE]) {
    let mut all = [0i16; BESIDE];
    for (row, wanted) in rows.iter().zip(wanted) {
        let ([lower, upper], [above, below]) = (&row.0, &wanted.0);
        all = from_fn(|n| all[n] | lower[n].wrapping_add(above[n]) | upper[n].wrapping_add(below[n]));
    }
    *apart = all;
}

/// A tree while it is made.
struct Growing<'a> {
    grid: &'a Grid,
    ends: Option<&'a dyn Fn(u32) -> u32>,
    tree: Tree,
    parts: [Vec<u32>; 3],
}

/// How many steps of a group are looked at to choose a cut.
const SAMPLE: usize = 16;

impl Growing<'_> {
    fn node(&mut self, steps: &mut [u32]) -> u32 {
        let at = self.tree.nodes.len();
        self.tree.nodes.push([0; BESIDE]);
        self.tree.rows.resize((at + 1) * self.tree.coarse.len(), NOWHERE);
        for (n, group) in self.groups(steps).into_iter().enumerate() {
            let own = &mut steps[group];
            self.bound(own, at, n);
            self.tree.nodes[at][n] = match own {
                [step] => *step,
                _ => self.node(own) | NODE,
            };
        }
        at as u32
    }

    /// Puts steps into at most eight groups: the largest is cut as long as there is room for what comes of it.
    fn groups(&mut self, steps: &mut [u32]) -> Vec<Range<usize>> {
        let mut groups = Vec::with_capacity(BESIDE);
        groups.push(0..steps.len());
        while let Some(largest) = (0..groups.len()).max_by_key(|n| groups[*n].len()) {
            let (group, room) = (groups[largest].clone(), BESIDE - groups.len());
            if group.len() == 1 || group.len() > room + 1 && room < 2 {
                break;
            }
            groups.swap_remove(largest);
            if group.len() <= room + 1 {
                groups.extend(group.map(|n| n..n + 1));
                continue;
            }
            let [second, third] = self.cut(&mut steps[group.clone()]).map(|n| group.start + n);
            let parts = [group.start..second, second..third, third..group.end];
            groups.extend(parts.into_iter().filter(|part| !part.is_empty()));
        }
        groups
    }

    /// Writes the box around some steps into a node.
    fn bound(&mut self, steps: &[u32], node: usize, at: usize) {
        let height = self.tree.coarse.len();
        let rows = &mut self.tree.rows[node * height..][..height];
        let of = |number: &dyn Fn(u32) -> u32| {
            let both = steps.iter().map(|step| number(*step));
            Span { lo: both.clone().min().unwrap_or(0), hi: both.max().unwrap_or(0) }
        };
        let spans = around(self.grid, steps).into_iter().chain([of(&|step| step)]).chain(self.ends.map(of));
        for ((row, span), coarse) in rows.iter_mut().zip(spans).zip(&self.tree.coarse) {
            (row.0[0][at], row.0[1][at]) = (-small(span.lo, *coarse), small(span.hi, *coarse));
        }
    }

    /// Puts steps into three groups, of which one at most is empty, and says where the second and the third begin.
    fn cut(&mut self, steps: &mut [u32]) -> [usize; 2] {
        let some: Vec<u32> = steps.iter().copied().step_by(steps.len().div_ceil(SAMPLE)).collect();
        let hull = around(self.grid, &some);
        let axes = (0..self.grid.width()).filter(|axis| hull[*axis].extent() > 0);
        let cuts = axes.map(|axis| (axis, middle(self.grid, axis, &some)));
        let best = cuts.map(|cut| (cost(self.grid, cut, &some, &hull), cut)).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, (axis, at))) = best {
            self.parts.iter_mut().for_each(Vec::clear);
            steps.iter().for_each(|step| self.parts[side(self.grid.hull(*step)[axis], at)].push(*step));
            // A cut that hardly cuts would make the tree deep.
            if self.parts.iter().all(|part| part.len() <= steps.len() - (steps.len() / 8).max(1)) {
                let mut start = 0;
                for part in &self.parts {
                    steps[start..start + part.len()].copy_from_slice(part);
                    start += part.len();
                }
                return [self.parts[0].len(), self.parts[0].len() + self.parts[1].len()];
            }
        }
        let half = (steps.len() / 2).next_multiple_of(BESIDE).min(steps.len() - 1);
        [half, half]
    }
}

/// Where an axis is cut: between the steps' middles.
fn middle(grid: &Grid, axis: usize, some: &[u32]) -> u32 {
    let middle = |step: &u32| {
        let span = grid.hull(*step)[axis];
        span.lo + span.extent() / 2 + 1
    };
    let mut all: Vec<_> = some.iter().map(middle).collect();
    let half = all.len() / 2;
    *all.select_nth_unstable(half).1
}

/// How many steps a packet is compared with after a cut.
fn cost(grid: &Grid, cut: (usize, u32), some: &[u32], hull: &[Span]) -> f32 {
    let (mut counts, mut hulls) = ([0u32; 3], [[NONE; ROWS]; 3]);
    for own in some.iter().map(|step| grid.hull(*step)) {
        let group = side(own[cut.0], cut.1);
        counts[group] += 1;
        widen(&mut hulls[group], own);
    }
    let part = |(own, all): (&Span, &Span)| (own.extent() + 1) as f32 / (all.extent() + 1) as f32;
    let cost = |(count, own): (u32, &[Span; ROWS])| own.iter().zip(hull).map(part).product::<f32>() * count as f32;
    counts.into_iter().zip(&hulls).filter(|(count, _)| *count > 0).map(cost).sum()
}

/// Before a cut, behind it, or across.
fn side(span: Span, cut: u32) -> usize {
    match span {
        _ if span.hi < cut => 0,
        _ if span.lo >= cut => 1,
        _ => 2,
    }
}

/// A span without numbers.
const NONE: Span = Span { lo: u32::MAX, hi: 0 };

/// The box around some steps.
fn around(grid: &Grid, steps: &[u32]) -> Vec<Span> {
    let mut hull = vec![NONE; grid.width()];
    steps.iter().for_each(|step| widen(&mut hull, grid.hull(*step)));
    hull
}

fn widen(hull: &mut [Span], more: &[Span]) {
    for (all, own) in hull.iter_mut().zip(more) {
        *all = Span { lo: all.lo.min(own.lo), hi: all.hi.max(own.hi) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::program::{Act, Step};
    use crate::packet::{Cell, Ranges};
    use crate::rule::evaluate::By;

    /// Numbers that are the same in each run.
    fn draw(n: u64) -> u128 {
        let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40).into()
    }

    fn step(cell: Cell) -> Step {
        Step { by: By::Nothing, cell, act: Act::Deny, doubt: None }
    }

    fn check(steps: &[Step], asked: impl Iterator<Item = u32>) {
        let grid = Grid::new(steps);
        let count = steps.len() as u32;
        let end = |n: u32| n + 1 + draw(n.into()) as u32 % 50;
        let trees = [None, Some(&end as &dyn Fn(u32) -> u32)].map(|ends| Tree::new(&grid, (0..count).collect(), ends));
        for n in asked {
            let space = grid.hull(n);
            for (tree, range, last) in
                [(0, 0..count, u32::MAX), (0, n / 2..n, u32::MAX), (1, n..count, u32::MAX), (1, 0..n, n)]
            {
                let is = |n: u32| range.contains(&n) && (tree == 0 || end(n) <= last) && grid.meets(n, space);
                let mut found = Vec::new();
                let all = trees[tree].near(space, &range, last, &mut |n| {
                    found.push(n);
                    ControlFlow::Continue(())
                });
                assert!(all.is_continue());
                let more = found.len();
                found.retain(|n| is(*n));
                found.sort_unstable();
                assert_eq!(found, (0..count).filter(|n| is(*n)).collect::<Vec<_>>(), "{n} {range:?} {last:?}");
                assert!(found.len() == more || !trees[tree].is_exact());
            }
        }
    }

    #[test]
    fn what_is_near_is_what_meets() {
        let port = |n: u64, size: u128| Ranges::one(draw(n) % 200, (draw(n) % 200) + draw(n + 7) % size);
        let cell = |n: u64| match n % 7 {
            0 => Cell::all(),
            1 | 2 => Cell::all().with_wide(Wide::SourcePort, port(n, 9)),
            3 => Cell::all().with_wide(Wide::DestinationPort, port(n, 150)),
            _ => Cell::all().with_wide(Wide::SourcePort, port(n, 3)).with_wide(Wide::DestinationPort, port(n + 1, 20)),
        };
        for count in [1, 2, 8, 9, 70, 600] {
            let steps: Vec<_> = (0..count).map(|n| step(cell(n))).collect();
            check(&steps, 0..count as u32);
        }
    }

    #[test]
    fn alike_and_nested_steps_are_found_too() {
        let alike: Vec<_> = (0..300).map(|_| step(Cell::all())).collect();
        check(&alike, [0, 150, 299].into_iter());
        let nested = |n: u64| Cell::all().with_wide(Wide::SourcePort, Ranges::one(n.into(), u128::from(2000 - n)));
        let nested: Vec<_> = (0..900).map(|n| step(nested(n))).collect();
        check(&nested, [0, 450, 899].into_iter());
    }

    #[test]
    fn more_numbers_than_a_box_tells_apart_are_told_apart() {
        let cell = |n: u64| Cell::all().with_wide(Wide::Source, Ranges::single(u128::from(n) * 2));
        let steps: Vec<_> = (0..40_000).map(|n| step(cell(n))).collect();
        check(&steps, [0, 1, 20_001, 39_999].into_iter());
    }
}
