//! Which steps have packets in a box of numbers: a tree of boxes, each around those below it.
//!
//! Steps that are broad on an axis are kept apart from those that are narrow there, so that a few broad rules never make
//! the boxes of thousands of narrow ones broad.

use super::grid::{Grid, Span};
use std::ops::ControlFlow;

/// As many steps as this are looked at one by one.
const LEAF: usize = 6;

/// A box around steps, or around the boxes that follow it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// The lowest and the highest step in it.
    pub(super) least: u32,
    pub(super) most: u32,
    /// Where the step in it that skips least goes on.
    pub(super) end: u32,
    /// Its first item and how many it has; none when boxes follow.
    first: u32,
    count: u32,
    /// The node that comes next when this one is left out.
    skip: u32,
}

/// A tree over steps.
#[derive(Debug)]
pub(super) struct Tree {
    width: usize,
    nodes: Vec<Node>,
    bounds: Vec<Span>,
    items: Vec<u32>,
    /// The hulls of the items, in their order.
    spans: Vec<Span>,
}

impl Tree {
    /// A tree over some steps. `end` says where each goes on.
    pub(super) fn new(grid: &Grid, mut steps: Vec<u32>, end: &dyn Fn(u32) -> u32) -> Self {
        let mut tree = Self {
            width: grid.width(),
            nodes: Vec::with_capacity(steps.len()),
            bounds: Vec::new(),
            items: Vec::with_capacity(steps.len()),
            spans: Vec::with_capacity(steps.len() * grid.width()),
        };
        let mut hull = Vec::with_capacity(grid.width());
        if !steps.is_empty() {
            tree.node(grid, &mut steps, end, &mut hull);
        }
        tree
    }

    fn node(&mut self, grid: &Grid, steps: &mut [u32], end: &dyn Fn(u32) -> u32, hull: &mut Vec<Span>) {
        let at = self.nodes.len();
        let widths = bound(grid, steps, hull);
        self.bounds.extend_from_slice(hull);
        let least = steps.iter().copied().min().unwrap_or(0);
        let most = steps.iter().copied().max().unwrap_or(0);
        let nearest = steps.iter().map(|step| end(*step)).min().unwrap_or(0);
        let mut node = Node { least, most, end: nearest, first: 0, count: 0, skip: 0 };
        let cut = if steps.len() <= LEAF { None } else { cut(grid, steps, hull, &widths) };
        self.nodes.push(node);
        match cut {
            Some(cut) => {
                let (one, other) = steps.split_at_mut(cut);
                self.node(grid, one, end, hull);
                self.node(grid, other, end, hull);
            }
            None => {
                node.first = self.items.len() as u32;
                node.count = steps.len() as u32;
                steps.sort_unstable();
                for step in steps.iter() {
                    self.items.push(*step);
                    self.spans.extend_from_slice(grid.hull(*step));
                }
            }
        }
        node.skip = self.nodes.len() as u32;
        self.nodes[at] = node;
    }

    /// Visits the steps whose hull meets a box, out of the nodes for which `open` holds; some order, always the same.
    pub(super) fn meeting(
        &self,
        space: &[Span],
        open: impl Fn(&Node) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            let bound = &self.bounds[at * self.width..][..self.width];
            if !open(node) || !meets(bound, space) {
                at = node.skip as usize;
                continue;
            }
            let (first, count) = (node.first as usize, node.count as usize);
            for item in first..first + count {
                let hull = &self.spans[item * self.width..][..self.width];
                if meets(hull, space) && visit(self.items[item]).is_break() {
                    return;
                }
            }
            at += 1;
        }
    }
}

fn meets(a: &[Span], b: &[Span]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.meets(*b))
}

/// Puts the box around steps into `hull`; answers how wide they are together on each axis.
fn bound(grid: &Grid, steps: &[u32], hull: &mut Vec<Span>) -> Vec<u64> {
    hull.clear();
    hull.resize(grid.width(), Span { lo: u32::MAX, hi: 0 });
    let mut widths = vec![0u64; grid.width()];
    for step in steps {
        for (axis, span) in grid.hull(*step).iter().enumerate() {
            let all = &mut hull[axis];
            *all = Span { lo: all.lo.min(span.lo), hi: all.hi.max(span.hi) };
            widths[axis] += u64::from(span.extent());
        }
    }
    widths
}

/// Puts steps into two groups and says where the second begins; nothing where they are all alike.
fn cut(grid: &Grid, steps: &mut [u32], hull: &[Span], widths: &[u64]) -> Option<usize> {
    if let Some(axis) = mixed(grid, steps, hull) {
        let half = hull[axis].extent() / 2;
        steps.sort_unstable_by_key(|step| (grid.hull(*step)[axis].extent() > half, *step));
        return Some(steps.partition_point(|step| grid.hull(*step)[axis].extent() <= half));
    }
    let count = steps.len() as f64;
    let apart = |axis: &usize| f64::from(hull[*axis].extent()) * count / (widths[*axis] as f64 + count);
    let axis = (0..grid.width()).max_by(|a, b| apart(a).total_cmp(&apart(b)))?;
    if hull[axis].extent() == 0 {
        return None;
    }
    let middle = |step: u32| {
        let span = grid.hull(step)[axis];
        (u64::from(span.lo) + u64::from(span.hi), step)
    };
    let half = steps.len() / 2;
    steps.select_nth_unstable_by_key(half, |step| middle(*step));
    Some(half)
}

/// The axis on which broad and narrow steps stand together in the most even numbers.
fn mixed(grid: &Grid, steps: &[u32], hull: &[Span]) -> Option<usize> {
    let few = |axis: usize| {
        let half = hull[axis].extent() / 2;
        let broad = steps.iter().filter(|step| grid.hull(**step)[axis].extent() > half).count();
        broad.min(steps.len() - broad)
    };
    let axes = (0..hull.len()).filter(|axis| hull[*axis].extent() > 0);
    axes.map(|axis| (few(axis), axis))
        .filter(|(few, _)| *few > 0)
        .max_by_key(|(few, axis)| (*few, std::cmp::Reverse(*axis)))
        .map(|(_, axis)| axis)
}
