//! The packets of a program in few numbers.
//!
//! Of a field only the values matter that some step tells apart. A [`Grid`] keeps one number for each class of values that every
//! step treats alike, so that the packets of a step become short ranges of small numbers, and a set of ten thousand addresses that
//! always stand together becomes one number. Nothing is lost: a packet with some answer exists exactly when one with these numbers does.

use super::side_by_side::each;
use crate::analyze::program::Step;
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Numbers from `lo` to `hi` on one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) lo: u32,
    pub(super) hi: u32,
}

impl Span {
    /// What is in both; backwards where nothing is.
    pub(super) fn and(self, other: Self) -> Self {
        Self { lo: self.lo.max(other.lo), hi: self.hi.min(other.hi) }
    }

    pub(super) fn is_empty(self) -> bool {
        self.lo > self.hi
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    /// How many numbers are in it, less one.
    pub(super) fn extent(self) -> u32 {
        self.hi.saturating_sub(self.lo)
    }
}

/// The field of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Wide(Wide),
    Narrow(Narrow),
}

/// One field that steps tell packets apart by.
#[derive(Debug)]
struct Axis {
    field: Field,
    /// For each number the lowest and highest value of the range that it stands for.
    points: Vec<(u128, u128)>,
    sets: Sets,
}

/// Sets of values that steps ask for, each as its numbers.
#[derive(Debug)]
struct Sets {
    /// Those of one set after another: ascending, not adjacent.
    runs: Vec<Span>,
    /// For each set where its own begin, and one more.
    firsts: Vec<u32>,
}

impl Sets {
    /// The first `count` sets out of runs that are told with the set that they are of.
    fn of(found: &[(u32, Span)], count: usize) -> Self {
        let mut firsts = vec![0; count + 1];
        let own = || found.iter().filter(|(set, _)| (*set as usize) < count);
        own().for_each(|(set, _)| firsts[*set as usize + 1] += 1);
        for set in 0..count {
            firsts[set + 1] += firsts[set];
        }
        let mut next = firsts.clone();
        let mut runs = vec![Span { lo: 1, hi: 0 }; firsts[count] as usize];
        for (set, run) in own() {
            let at = &mut next[*set as usize];
            runs[*at as usize] = *run;
            *at += 1;
        }
        Self { runs, firsts }
    }

    fn count(&self) -> usize {
        self.firsts.len() - 1
    }

    fn get(&self, set: u32) -> &[Span] {
        &self.runs[self.firsts[set as usize] as usize..self.firsts[set as usize + 1] as usize]
    }
}

/// The packets of every step of a program as spans of numbers.
#[derive(Debug)]
pub(super) struct Grid {
    axes: Vec<Axis>,
    /// For each step one span per axis, from its lowest to its highest number.
    hulls: Vec<Span>,
    /// For each step and axis, which of the axis's sets.
    sets: Vec<u32>,
    /// For each step whether some set of it has holes.
    holed: Vec<bool>,
    /// The axis of the family and those of addresses with their first number beyond IPv4.
    family: Option<usize>,
    addresses: Vec<(usize, u32)>,
}

impl Grid {
    pub(super) fn new(steps: &[Step]) -> Self {
        let mut found: Vec<(Axis, Vec<u32>)> = axes(steps);
        // What tells most steps apart is asked first.
        found.sort_by_key(|(axis, _)| std::cmp::Reverse(axis.sets.count()));
        let width = found.len();
        let mut grid = Self {
            axes: Vec::with_capacity(width),
            hulls: vec![Span { lo: 0, hi: 0 }; width * steps.len()],
            sets: vec![0; width * steps.len()],
            holed: vec![false; steps.len()],
            family: None,
            addresses: Vec::new(),
        };
        for (at, (axis, numbers)) in found.into_iter().enumerate() {
            for (step, set) in numbers.into_iter().enumerate() {
                let runs = axis.sets.get(set);
                grid.hulls[step * width + at] = hull(runs);
                grid.sets[step * width + at] = set;
                grid.holed[step] |= runs.len() > 1;
            }
            match axis.field {
                Field::Narrow(Narrow::Family) => grid.family = Some(at),
                Field::Wide(Wide::Source | Wide::Destination) => grid.addresses.push((at, beyond_v4(&axis))),
                _ => {}
            }
            grid.axes.push(axis);
        }
        grid
    }

    /// The number of axes.
    pub(super) fn width(&self) -> usize {
        self.axes.len()
    }

    /// How many numbers an axis has.
    pub(super) fn count(&self, axis: usize) -> u32 {
        self.axes[axis].points.len() as u32
    }

    /// One span per axis that holds all packets of a step.
    pub(super) fn hull(&self, step: u32) -> &[Span] {
        let start = step as usize * self.width();
        &self.hulls[start..start + self.width()]
    }

    /// The numbers of a step on an axis.
    pub(super) fn runs(&self, step: u32, axis: usize) -> &[Span] {
        self.axes[axis].sets.get(self.sets[step as usize * self.width() + axis])
    }

    /// Whether a step has packets in a box.
    pub(super) fn meets(&self, step: u32, space: &[Span]) -> bool {
        let near = self.hull(step).iter().zip(space).all(|(own, other)| !own.and(*other).is_empty());
        near && (!self.holed[step as usize]
            || space.iter().enumerate().all(|(axis, span)| !first(self.runs(step, axis), *span).is_empty()))
    }

    /// Whether two steps, whose hulls meet, share packets.
    pub(super) fn meets_step(&self, a: u32, b: u32) -> bool {
        let apart = |axis: usize| self.runs(a, axis).iter().all(|run| first(self.runs(b, axis), *run).is_empty());
        !self.holed[a as usize] && !self.holed[b as usize] || !(0..self.width()).any(apart)
    }

    /// Whether all packets of a step are in another.
    pub(super) fn is_inside(&self, step: u32, other: u32) -> bool {
        if !self.holed[other as usize] {
            return self.hull(step).iter().zip(self.hull(other)).all(|(a, b)| b.contains(*a));
        }
        (0..self.width()).all(|axis| {
            let outer = self.runs(other, axis);
            self.runs(step, axis).iter().all(|run| first(outer, *run).contains(*run))
        })
    }

    /// The box of a step that lies first in a box that it meets: its first run on each axis. Put into `local`.
    pub(super) fn local(&self, step: u32, space: &[Span], local: &mut Vec<Span>) {
        local.clear();
        match self.holed[step as usize] {
            false => local.extend_from_slice(self.hull(step)),
            true => local.extend(space.iter().enumerate().map(|(axis, span)| first(self.runs(step, axis), *span))),
        }
    }

    /// Puts behind `parts` the parts of a box whose addresses can be: those of IPv4 end where IPv4 does. IPv4 comes last.
    pub(super) fn by_family(&self, space: &[Span], parts: &mut Vec<Span>) {
        let Some(family) = self.family.filter(|_| !self.addresses.is_empty()) else {
            return parts.extend_from_slice(space);
        };
        if space[family].hi > 0 {
            let start = parts.len();
            parts.extend_from_slice(space);
            parts[start + family].lo = space[family].lo.max(1);
        }
        if space[family].lo == 0 {
            let start = parts.len();
            parts.extend_from_slice(space);
            parts[start + family].hi = 0;
            for (axis, beyond) in &self.addresses {
                let span = &mut parts[start + axis];
                span.hi = span.hi.min(beyond.saturating_sub(1));
            }
            if parts[start..].iter().any(|span| span.is_empty()) {
                parts.truncate(start);
            }
        }
    }

    /// Numbers of the same step whose addresses are none of those that IPv4 has, where those given are.
    pub(super) fn beyond(&self, step: u32, point: &[u32]) -> Option<Vec<u32>> {
        let mut moved = point.to_vec();
        for (axis, beyond) in self.addresses.iter().filter(|(axis, beyond)| point[*axis] < *beyond) {
            let run = self.runs(step, *axis).iter().find(|run| run.hi >= *beyond);
            moved[*axis] = run.map_or(point[*axis], |run| run.lo.max(*beyond));
        }
        (moved != point).then_some(moved)
    }

    /// Whether some set of a step has holes.
    pub(super) fn is_holed(&self, step: u32) -> bool {
        self.holed[step as usize]
    }

    /// The packets of a cell that have given numbers.
    pub(super) fn cell(&self, cell: &Cell, point: &[u32]) -> Cell {
        let mut all = cell.clone();
        for (axis, number) in self.axes.iter().zip(point) {
            let (first, last) = axis.points[*number as usize];
            match axis.field {
                Field::Wide(field) => all.keep_wide(field, &Ranges::one(first, last)),
                Field::Narrow(field) => all.keep_narrow(field, bits(first, last)),
            }
        }
        all
    }
}

fn bits(first: u128, last: u128) -> Bits {
    let value = |n: u128| u8::try_from(n).unwrap_or(u8::MAX);
    (value(first)..=value(last)).collect()
}

fn hull(runs: &[Span]) -> Span {
    match (runs.first(), runs.last()) {
        (Some(first), Some(last)) => Span { lo: first.lo, hi: last.hi },
        _ => Span { lo: 1, hi: 0 },
    }
}

/// The first of the runs that meets a span; backwards where none does.
fn first(runs: &[Span], span: Span) -> Span {
    let at = runs.partition_point(|run| run.hi < span.lo);
    runs.get(at).copied().filter(|run| run.lo <= span.hi).unwrap_or(Span { lo: 1, hi: 0 })
}

fn beyond_v4(axis: &Axis) -> u32 {
    let count = axis.points.partition_point(|(first, _)| *first <= u128::from(u32::MAX));
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The axes of a program, each with the number of its set for every step.
fn axes(steps: &[Step]) -> Vec<(Axis, Vec<u32>)> {
    let fields: Vec<Field> = Wide::ALL.map(Field::Wide).into_iter().chain(Narrow::ALL.map(Field::Narrow)).collect();
    let mut found: Vec<_> =
        each(&fields, steps.len(), |field| told_apart(steps, *field)).into_iter().flatten().collect();
    // What addresses can be depends on the family.
    let is_family = |field| field == Field::Narrow(Narrow::Family);
    if !found.iter().any(|(axis, _)| matches!(axis.field, Field::Wide(Wide::Source | Wide::Destination))) {
        found.retain(|(axis, _)| !is_family(axis.field) || axis.sets.count() > 1);
    }
    found
}

/// The axis of a field that packets are told apart by, and of the family.
fn told_apart(steps: &[Step], field: Field) -> Option<(Axis, Vec<u32>)> {
    match field {
        Field::Wide(wide) if steps.iter().any(|step| step.cell.asks_wide(wide)) => {
            let values = Values::of(steps.iter().map(|step| step.cell.wide(wide)));
            let limit = matches!(wide, Wide::Source | Wide::Destination).then_some((0, u128::from(u32::MAX)));
            values.tell_apart().then(|| {
                let lists: Vec<_> = values.distinct.iter().map(|ranges| ranges.as_slice()).collect();
                (axis(field, &lists, limit, wide.last()), values.numbers)
            })
        }
        Field::Narrow(narrow) if narrow == Narrow::Family || steps.iter().any(|step| step.cell.asks_narrow(narrow)) => {
            let values = Values::of(steps.iter().map(|step| step.cell.narrow(narrow)));
            let last = narrow.all().iter().last().map_or(0, u128::from);
            let limit = (narrow == Narrow::Family).then_some((0, 0));
            (values.tell_apart() || narrow == Narrow::Family).then(|| {
                let lists: Vec<_> = values.distinct.iter().map(|bits| runs_of(*bits)).collect();
                (axis(field, &lists, limit, last), values.numbers)
            })
        }
        // All steps ask for all values of it.
        Field::Wide(_) | Field::Narrow(_) => None,
    }
}

fn runs_of(bits: Bits) -> Vec<(u128, u128)> {
    let values = bits.iter().map(|n| (u128::from(n), u128::from(n)));
    Ranges::of(values).as_slice().to_vec()
}

/// Values with a number for each different one.
struct Values<T> {
    known: HashMap<T, u32, BuildHasherDefault<Mix>>,
    distinct: Vec<T>,
    numbers: Vec<u32>,
}

impl<T: Eq + std::hash::Hash + Copy> Values<T> {
    fn of(all: impl ExactSizeIterator<Item = T>) -> Self {
        let numbers = Vec::with_capacity(all.len());
        let mut values = Self { known: HashMap::default(), distinct: Vec::new(), numbers };
        all.for_each(|value| values.push(value));
        values
    }

    fn push(&mut self, value: T) {
        // Most steps ask nothing of most fields, as the one before.
        if let Some(last) = self.numbers.last().filter(|last| self.distinct[**last as usize] == value) {
            self.numbers.push(*last);
            return;
        }
        let next = self.distinct.len() as u32;
        let number = *self.known.entry(value).or_insert(next);
        if number == next {
            self.distinct.push(value);
        }
        self.numbers.push(number);
    }

    /// Whether packets are told apart by this field at all. Where all steps ask the same, nothing else comes this way.
    fn tell_apart(&self) -> bool {
        self.distinct.len() > 1
    }
}

/// Where a set of values begins or ends.
struct Edge {
    value: u128,
    set: u32,
    begins: bool,
}

/// The axis of a field whose steps ask for the given sets of values. `limit` is a range that must be told apart besides.
fn axis(field: Field, lists: &[impl AsRef<[(u128, u128)]>], limit: Option<(u128, u128)>, last: u128) -> Axis {
    let mut edges = Vec::with_capacity(lists.len() * 2 + 2);
    let all = lists.iter().map(AsRef::as_ref).chain([limit.as_slice()]);
    for (set, runs) in (0..).zip(all) {
        for (first, end) in runs {
            edges.push(Edge { value: *first, set, begins: true });
            if *end < last {
                edges.push(Edge { value: end + 1, set, begins: false });
            }
        }
    }
    edges.sort_unstable_by_key(|edge| edge.value);
    let mut open =
        Open { from: vec![u32::MAX; lists.len() + 1], last: vec![usize::MAX; lists.len() + 1], runs: Vec::new() };
    let points = sweep(&edges, last, &mut |edge, at| match edge.begins {
        true => open.from[edge.set as usize] = at,
        false => open.close(edge.set, at),
    });
    (0..=lists.len() as u32).for_each(|set| open.close(set, points.len() as u32));
    Axis { field, sets: Sets::of(&open.runs, lists.len()), points }
}

/// The runs of sets while an axis is gone along.
struct Open {
    /// Where the open run of each set began, and the place of its last one; beyond all where there is none.
    from: Vec<u32>,
    last: Vec<usize>,
    runs: Vec<(u32, Span)>,
}

impl Open {
    /// Ends the open run of a set, which may have come out empty or join the one before.
    fn close(&mut self, set: u32, at: u32) {
        let start = std::mem::replace(&mut self.from[set as usize], u32::MAX);
        if start >= at {
            return;
        }
        let last = &mut self.last[set as usize];
        match self.runs.get_mut(*last).filter(|(_, run)| run.hi + 1 == start) {
            Some((_, run)) => run.hi = at - 1,
            None => {
                *last = self.runs.len();
                self.runs.push((set, Span { lo: start, hi: at - 1 }));
            }
        }
    }
}

/// Gives a number to every range between edges that is in other sets than all before it. `visit` is told each edge with the
/// number that comes next; the ends of sets before their beginnings.
fn sweep(edges: &[Edge], last: u128, visit: &mut dyn FnMut(&Edge, u32)) -> Vec<(u128, u128)> {
    let mut points: Vec<(u128, u128)> = Vec::new();
    let mut known: HashSet<u128, _> =
        HashSet::with_capacity_and_hasher(edges.len() + 1, BuildHasherDefault::<Mix>::default());
    let (mut inside, mut at, mut from) = (0u128, 0, 0u128);
    loop {
        let group = edges[at..].iter().take_while(|edge| edge.value == from).count();
        let here = &edges[at..at + group];
        for edge in here.iter().filter(|e| !e.begins).chain(here.iter().filter(|e| e.begins)) {
            visit(edge, points.len() as u32);
            let mark = mark(edge.set);
            inside = if edge.begins { inside.wrapping_add(mark) } else { inside.wrapping_sub(mark) };
        }
        at += group;
        let next = edges.get(at).map(|edge| edge.value);
        if known.insert(inside) {
            points.push((from, next.map_or(last, |value| value - 1)));
        }
        match next {
            Some(value) => from = value,
            None => return points,
        }
    }
}

/// A number for a set, so that different groups of sets have different sums: 128 bits that look like chance (SplitMix64).
fn mark(set: u32) -> u128 {
    let half = |n: u64| {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let n = u64::from(set) * 2 + 1;
    u128::from(half(n)) << 64 | u128::from(half(n + 1))
}

/// A fast hash for keys of some words.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product =
            u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xd6e8_feb8_6659_fd93_a076_1d64_78bd_642f);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }
}
