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

/// As many axes as are compared at once.
const LANES: usize = 8;

/// A box, or the part of it that these axes tell: in numbers that processors compare several at a time.
#[derive(Debug, Clone, Copy)]
struct Lanes {
    lo: [i32; LANES],
    hi: [i32; LANES],
}

impl Lanes {
    /// Puts a box behind others. What is beyond its axes is the same for all.
    fn push(space: &[Span], all: &mut Vec<Self>) {
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        for chunk in space.chunks(LANES) {
            let mut lanes = Self { lo: [0; LANES], hi: [0; LANES] };
            for (at, span) in chunk.iter().enumerate() {
                (lanes.lo[at], lanes.hi[at]) = (number(span.lo), number(span.hi));
            }
            all.push(lanes);
        }
    }

    fn meet(&self, other: &Self) -> bool {
        let mut apart = false;
        for at in 0..LANES {
            apart |= (self.lo[at] > other.hi[at]) | (other.lo[at] > self.hi[at]);
        }
        !apart
    }
}

/// A tree over steps.
#[derive(Debug)]
pub(super) struct Tree {
    /// How many [`Lanes`] a box takes.
    width: usize,
    nodes: Vec<Node>,
    bounds: Vec<Lanes>,
    items: Vec<u32>,
    /// The hulls of the items, in their order.
    spans: Vec<Lanes>,
}

impl Tree {
    /// A tree over some steps. `end` says where each goes on.
    pub(super) fn new(grid: &Grid, mut steps: Vec<u32>, end: &dyn Fn(u32) -> u32) -> Self {
        let tree = Self {
            width: grid.width().div_ceil(LANES),
            nodes: Vec::with_capacity(steps.len()),
            bounds: Vec::with_capacity(steps.len()),
            items: Vec::with_capacity(steps.len()),
            spans: Vec::with_capacity(steps.len()),
        };
        let mut growing = Growing { grid, end, tree, hull: Vec::new(), widths: Vec::new() };
        if !steps.is_empty() {
            growing.node(&mut steps);
        }
        growing.tree
    }

    /// Visits the steps whose hull meets a box, out of the nodes for which `open` holds; some order, always the same.
    pub(super) fn meeting(
        &self,
        space: &[Span],
        open: impl Fn(&Node) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        let mut wanted = Vec::with_capacity(self.width);
        Lanes::push(space, &mut wanted);
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            let bound = &self.bounds[at * self.width..][..self.width];
            if !open(node) || !meet(bound, &wanted) {
                at = node.skip as usize;
                continue;
            }
            let (first, count) = (node.first as usize, node.count as usize);
            for item in first..first + count {
                let hull = &self.spans[item * self.width..][..self.width];
                if meet(hull, &wanted) && visit(self.items[item]).is_break() {
                    return;
                }
            }
            at += 1;
        }
    }
}

fn meet(a: &[Lanes], b: &[Lanes]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.meet(b))
}

/// A tree while it is made.
struct Growing<'a> {
    grid: &'a Grid,
    end: &'a dyn Fn(u32) -> u32,
    tree: Tree,
    /// The box around the steps at hand, and how wide they are together on each axis.
    hull: Vec<Span>,
    widths: Vec<u64>,
}

impl Growing<'_> {
    fn node(&mut self, steps: &mut [u32]) {
        let at = self.tree.nodes.len();
        let mut node = self.bound(steps);
        Lanes::push(&self.hull, &mut self.tree.bounds);
        self.tree.nodes.push(node);
        match if steps.len() <= LEAF { None } else { self.cut(steps) } {
            Some(cut) => {
                let (one, other) = steps.split_at_mut(cut);
                self.node(one);
                self.node(other);
            }
            None => {
                node.first = self.tree.items.len() as u32;
                node.count = steps.len() as u32;
                steps.sort_unstable();
                for step in steps.iter() {
                    self.tree.items.push(*step);
                    Lanes::push(self.grid.hull(*step), &mut self.tree.spans);
                }
            }
        }
        node.skip = self.tree.nodes.len() as u32;
        self.tree.nodes[at] = node;
    }

    /// Looks at the steps at hand.
    fn bound(&mut self, steps: &[u32]) -> Node {
        self.hull.clear();
        self.hull.resize(self.grid.width(), Span { lo: u32::MAX, hi: 0 });
        self.widths.clear();
        self.widths.resize(self.grid.width(), 0);
        let mut node = Node { least: u32::MAX, most: 0, end: u32::MAX, first: 0, count: 0, skip: 0 };
        for step in steps {
            node.least = node.least.min(*step);
            node.most = node.most.max(*step);
            node.end = node.end.min((self.end)(*step));
            for ((span, all), width) in self.grid.hull(*step).iter().zip(&mut self.hull).zip(&mut self.widths) {
                *all = Span { lo: all.lo.min(span.lo), hi: all.hi.max(span.hi) };
                *width += u64::from(span.extent());
            }
        }
        node
    }

    /// Puts steps into two groups and says where the second begins; nothing where they are all alike.
    fn cut(&self, steps: &mut [u32]) -> Option<usize> {
        let (grid, hull) = (self.grid, &self.hull);
        if let Some(axis) = mixed(grid, steps, hull) {
            let half = hull[axis].extent() / 2;
            steps.sort_unstable_by_key(|step| (grid.hull(*step)[axis].extent() > half, *step));
            return Some(steps.partition_point(|step| grid.hull(*step)[axis].extent() <= half));
        }
        let count = steps.len() as f64;
        let apart = |axis: &usize| f64::from(hull[*axis].extent()) * count / (self.widths[*axis] as f64 + count);
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
