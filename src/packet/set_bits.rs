/// A set of numbers from 0 to 255: protocols, combinations of TCP flags, ICMP types, connection states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bits([u64; 4]);

impl Bits {
    /// No number.
    pub const NONE: Self = Self([0; 4]);
    /// Every number.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The single number `value`.
    pub fn single(value: u8) -> Self {
        Self::NONE.with(value)
    }

    /// The numbers below `count`.
    pub const fn below(count: u16) -> Self {
        let (mut words, mut n) = ([0; 4], 0);
        while n < count && n < 256 {
            words[(n / 64) as usize] |= 1 << (n % 64);
            n += 1;
        }
        Self(words)
    }

    /// This and `value`.
    #[must_use]
    pub fn with(mut self, value: u8) -> Self {
        self.0[usize::from(value / 64)] |= 1 << (value % 64);
        self
    }

    /// Whether `value` is in it.
    pub fn contains(self, value: u8) -> bool {
        self.0[usize::from(value / 64)] >> (value % 64) & 1 == 1
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        self.each(other, |a, b| a & b)
    }

    /// What is in this and not in the other.
    pub fn minus(self, other: Self) -> Self {
        self.each(other, |a, b| a & !b)
    }

    /// What is in one of the two.
    pub fn or(self, other: Self) -> Self {
        self.each(other, |a, b| a | b)
    }

    fn each(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|n| join(self.0[n], other.0[n])))
    }

    /// Whether there is no number in it.
    pub fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    /// Whether nothing is in both.
    pub fn is_disjoint(self, other: Self) -> bool {
        self.and(other).is_empty()
    }

    /// Whether everything in this is in the other.
    pub fn is_subset(self, other: Self) -> bool {
        self.minus(other).is_empty()
    }

    /// How many numbers are in it.
    pub fn len(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=255).filter(move |value| self.contains(*value))
    }
}

impl FromIterator<u8> for Bits {
    fn from_iter<I: IntoIterator<Item = u8>>(values: I) -> Self {
        values.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn algebra_is_that_of_membership(a: Vec<u8>, b: Vec<u8>, value: u8) {
            let (x, y): (Bits, Bits) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(x.contains(value), a.contains(&value));
            prop_assert_eq!(x.and(y).contains(value), a.contains(&value) && b.contains(&value));
            prop_assert_eq!(x.minus(y).contains(value), a.contains(&value) && !b.contains(&value));
            prop_assert_eq!(x.or(y).contains(value), a.contains(&value) || b.contains(&value));
            prop_assert_eq!(x.iter().count(), x.len() as usize);
            prop_assert_eq!(x.is_subset(y), x.minus(y).is_empty());
        }
    }

    #[test]
    fn the_first_few() {
        assert_eq!(Bits::below(256), Bits::ALL);
        assert_eq!(Bits::below(3).iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
