//! Which of many ranges of numbers meet another: sorted by their first, with the highest last of each part in a tree.

/// Ranges with a number each.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// First, last and number, ascending.
    ranges: Vec<(u128, u128, usize)>,
    /// The highest last of each part of `ranges`: a tree in an array, the root at 1.
    highest: Vec<u128>,
    leaves: usize,
}

impl Spans {
    pub(super) fn new(mut ranges: Vec<(u128, u128, usize)>) -> Self {
        ranges.sort_unstable();
        let leaves = ranges.len().next_power_of_two();
        let mut highest = vec![0; 2 * leaves];
        for (n, (_, last, _)) in ranges.iter().enumerate() {
            highest[leaves + n] = *last;
        }
        for n in (1..leaves).rev() {
            highest[n] = highest[2 * n].max(highest[2 * n + 1]);
        }
        Self { ranges, highest, leaves }
    }

    /// Visits the number of each range that shares a value with `first` to `last`, in no order.
    pub(super) fn touching(&self, first: u128, last: u128, visit: &mut impl FnMut(usize)) {
        let end = self.ranges.partition_point(|(start, _, _)| *start <= last);
        if !self.ranges.is_empty() {
            self.part(1, 0, self.leaves, (first, end), visit);
        }
    }

    /// Visits the ranges before `end` that reach `first`.
    fn part(&self, node: usize, start: usize, size: usize, wanted: (u128, usize), visit: &mut impl FnMut(usize)) {
        let (first, end) = wanted;
        if start >= end || self.highest[node] < first {
            return;
        }
        if size == 1 {
            visit(self.ranges[start].2);
            return;
        }
        self.part(2 * node, start, size / 2, wanted, visit);
        self.part(2 * node + 1, start + size / 2, size / 2, wanted, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_is_what_meets(
            list in proptest::collection::vec((0u128..40, 0u128..9), 0..40),
            first in 0u128..50,
            more in 0u128..9,
        ) {
            let ranges: Vec<_> = list.iter().enumerate().map(|(n, (a, b))| (*a, a + b, n)).collect();
            let wanted: Vec<_> = ranges.iter().filter(|(a, b, _)| *a <= first + more && first <= *b).map(|r| r.2).collect();
            let mut found = Vec::new();
            Spans::new(ranges).touching(first, first + more, &mut |n| found.push(n));
            found.sort_unstable();
            prop_assert_eq!(found, wanted);
        }
    }
}
