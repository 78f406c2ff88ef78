use std::sync::Arc;

/// A set of numbers as sorted, disjoint, not adjacent closed ranges: addresses, ports, marks, interface names.
///
/// One range, by far the most common case, takes no allocation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Kept);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kept {
    One((u128, u128)),
    /// None or at least two.
    Many(Arc<[(u128, u128)]>),
}

/// A mask with more free bits than this above its lowest one is 1024 ranges or more.
const MOST_FREE: u32 = 10;

impl Ranges {
    /// The numbers from `first` to `last`; none where they run backwards.
    pub fn one(first: u128, last: u128) -> Self {
        if first > last { Self::none() } else { Self(Kept::One((first, last))) }
    }

    /// The single number `value`.
    pub fn single(value: u128) -> Self {
        Self(Kept::One((value, value)))
    }

    /// No number.
    pub fn none() -> Self {
        Self(Kept::Many(Arc::new([])))
    }

    /// The union of the given ranges, in any order; those that run backwards count for nothing.
    pub fn of(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut all: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        // Mostly sorted runs one after the other, which a stable sort merges.
        all.sort();
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match joined.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self::kept(joined)
    }

    /// The numbers up to `last` (all ones in binary) that are `value` under `mask`; nothing where these are too many ranges to be
    /// worked with.
    pub fn masked(mask: u128, value: u128, last: u128) -> Option<Self> {
        if value & !mask != 0 || value > last {
            return Some(Self::none());
        }
        let tail = match mask & last {
            0 => last,
            some => (1 << some.trailing_zeros()) - 1,
        };
        let free = last & !mask & !tail;
        if free.count_ones() > MOST_FREE {
            return None;
        }
        // The subsets of the free bits, ascending.
        let next = |bits: &u128| (*bits != free).then(|| (*bits | !free).wrapping_add(1) & free);
        let each = std::iter::successors(Some(0), next);
        Some(Self::of(each.map(|bits| (value | bits, value | bits | tail))))
    }

    fn kept(ranges: Vec<(u128, u128)>) -> Self {
        match ranges.as_slice() {
            [one] => Self(Kept::One(*one)),
            _ => Self(Kept::Many(ranges.into())),
        }
    }

    /// The ranges, ascending.
    pub fn as_slice(&self) -> &[(u128, u128)] {
        match &self.0 {
            Kept::One(range) => std::slice::from_ref(range),
            Kept::Many(ranges) => ranges,
        }
    }

    /// Whether there is no number in it.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The lowest and the highest number, where there is one.
    pub fn hull(&self) -> Option<(u128, u128)> {
        let ranges = self.as_slice();
        Some((ranges.first()?.0, ranges.last()?.1))
    }

    /// Whether `value` is in it.
    pub fn contains(&self, value: u128) -> bool {
        last_begun(self.as_slice(), value).is_some_and(|range| value <= range.1)
    }

    /// What is in both.
    pub fn and(&self, other: &Self) -> Self {
        if let (Kept::One(a), Kept::One(b)) = (&self.0, &other.0) {
            return Self::one(a.0.max(b.0), a.1.min(b.1));
        }
        match () {
            () if self.is_apart(other) => return Self::none(),
            () if other.covers(self) => return self.clone(),
            () if self.covers(other) => return other.clone(),
            () => {}
        }
        let (mut a, mut b, mut both) = (self.as_slice(), other.as_slice(), Vec::new());
        while let (Some(x), Some(y)) = (a.first(), b.first()) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                both.push((first, last));
            }
            if x.1 < y.1 { a = &a[1..] } else { b = &b[1..] }
        }
        Self::kept(both)
    }

    /// Whether one is empty, or all of it comes before all of the other: what tells most sets apart without a look at what is in them.
    fn is_apart(&self, other: &Self) -> bool {
        self.hull().zip(other.hull()).is_none_or(|(a, b)| a.1 < b.0 || b.1 < a.0)
    }

    /// Whether this is one range around the other, or the very same ranges; where neither, nothing is said.
    fn covers(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kept::One(whole), _) => other.hull().is_none_or(|hull| whole.0 <= hull.0 && hull.1 <= whole.1),
            (Kept::Many(a), Kept::Many(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// What is in this and not in the other.
    pub fn minus(&self, other: &Self) -> Self {
        match () {
            () if self.is_apart(other) => return self.clone(),
            () if other.covers(self) => return Self::none(),
            () => {}
        }
        let mut left = Vec::new();
        let mut holes = other.as_slice();
        for &(mut first, last) in self.as_slice() {
            let mut open = true;
            while let Some(hole) = holes.first().filter(|hole| open && hole.0 <= last) {
                if hole.0 > first {
                    left.push((first, hole.0 - 1));
                }
                first = first.max(hole.1.saturating_add(1));
                // A hole that ends at the very last number leaves nothing to go on with.
                open = hole.1 < last;
                if open {
                    holes = &holes[1..];
                }
            }
            if open && first <= last {
                left.push((first, last));
            }
        }
        Self::kept(left)
    }

    /// What is in one of the two.
    pub fn or(&self, other: &Self) -> Self {
        Self::of(self.as_slice().iter().chain(other.as_slice()).copied())
    }

    /// Whether nothing is in both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kept::One(a), Kept::One(b)) => a.1 < b.0 || b.1 < a.0,
            _ if self.is_apart(other) => true,
            _ => {
                let (a, b) = (self.as_slice(), other.as_slice());
                let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
                !few.iter().any(|(first, last)| last_begun(many, *last).is_some_and(|range| range.1 >= *first))
            }
        }
    }

    /// Whether everything in this is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kept::One(a), Kept::One(b)) => b.0 <= a.0 && a.1 <= b.1,
            _ if other.covers(self) => true,
            _ => {
                let held = |(first, last): &(u128, u128)| {
                    last_begun(other.as_slice(), *first).is_some_and(|range| range.1 >= *last)
                };
                self.as_slice().iter().all(held)
            }
        }
    }

    /// How large it is, for putting sets in order: about the number of bits that a count of its members takes; 0 for none, 1 for one,
    /// 129 for all of 128 bits.
    pub fn magnitude(&self) -> u32 {
        let size = self.as_slice().iter().fold(0u128, |sum, (first, last)| sum.saturating_add(last - first));
        if self.is_empty() { 0 } else { 129 - size.leading_zeros().min(128) }
    }
}

/// The last of some ranges that begins at a value or before.
fn last_begun(ranges: &[(u128, u128)], value: u128) -> Option<(u128, u128)> {
    let after = ranges.partition_point(|(first, _)| *first <= value);
    after.checked_sub(1).map(|n| ranges[n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small() -> impl Strategy<Value = Ranges> {
        proptest::collection::vec((0u128..24, 0u128..6), 0..5)
            .prop_map(|list| Ranges::of(list.into_iter().map(|(first, more)| (first, first + more))))
    }

    proptest! {
        #[test]
        fn algebra_is_that_of_membership(a in small(), b in small()) {
            for value in 0..32 {
                let (x, y) = (a.contains(value), b.contains(value));
                prop_assert_eq!(a.and(&b).contains(value), x && y);
                prop_assert_eq!(a.minus(&b).contains(value), x && !y);
                prop_assert_eq!(a.or(&b).contains(value), x || y);
            }
            prop_assert_eq!(a.is_disjoint(&b), a.and(&b).is_empty());
            prop_assert_eq!(a.is_subset(&b), a.minus(&b).is_empty());
            prop_assert_eq!(a.minus(&b).or(&a.and(&b)), a);
        }
    }

    #[test]
    fn numbers_under_a_mask() {
        for (mask, value) in [(0, 0), (0xff, 1), (0xf0, 0x30), (0x81, 0x80), (0x0c, 4), (0x0c, 5), (0xff, 0x1ff)] {
            let values = Ranges::masked(mask, value, 0xff).expect("few ranges");
            for number in 0..=0xff {
                assert_eq!(values.contains(number), number & mask == value, "{number} & {mask} == {value}");
            }
        }
        assert_eq!(Ranges::masked(1, 1, u128::from(u32::MAX)), None);
        assert_eq!(Ranges::masked(0, 0, u128::MAX), Some(Ranges::one(0, u128::MAX)));
    }

    #[test]
    fn the_ends_of_the_number_line() {
        let all = Ranges::one(0, u128::MAX);
        assert!(all.minus(&all).is_empty());
        assert_eq!(all.minus(&Ranges::single(u128::MAX)), Ranges::one(0, u128::MAX - 1));
        assert_eq!(all.minus(&Ranges::single(0)), Ranges::one(1, u128::MAX));
        assert_eq!([Ranges::none().magnitude(), Ranges::single(7).magnitude(), all.magnitude()], [0, 1, 129]);
        assert_eq!(Ranges::of([(1, 5), (0, u128::MAX)]), all);
    }
}
