/// How the time of a block grows with each time that its address comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// 1 is no growth.
    pub factor: u32,
    /// Seconds.
    pub longest: u64,
}

impl Growth {
    /// The seconds of a block: `base`, times the factor for each earlier offence, never more than the longest, never less than one.
    pub fn seconds(&self, base: u64, earlier: u32) -> u64 {
        let factor = u64::from(self.factor.max(1)).saturating_pow(earlier);
        base.saturating_mul(factor).min(self.longest).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_grows_to_its_limit() {
        let growth = Growth { factor: 2, longest: 3600 };
        assert_eq!([0, 1, 2, 3].map(|n| growth.seconds(600, n)), [600, 1200, 2400, 3600]);
        assert_eq!(Growth { factor: 0, longest: 3600 }.seconds(600, 9), 600);
        assert_eq!(growth.seconds(0, 0), 1);
    }

    proptest! {
        #[test]
        fn time_never_leaves_its_limits_and_never_shrinks(base: u64, factor: u32, longest in 1u64.., earlier in 0u32..u32::MAX) {
            let growth = Growth { factor, longest };
            let now = growth.seconds(base, earlier);
            prop_assert!((1..=longest).contains(&now) && growth.seconds(base, earlier + 1) >= now);
        }
    }
}
