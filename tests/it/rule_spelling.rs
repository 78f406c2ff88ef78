//! A rule as a line: whatever rule there is comes back from its line, and no line makes the reader panic.

use crate::strategies as any;
use afo::rule::Rule;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_comes_back_from_its_line(rule in any::rule()) {
        let line = rule.to_line();
        prop_assert!(line.is_ascii() && !line.contains(|c: char| c.is_ascii_control()), "{line:?}");
        prop_assert_eq!(Rule::from_line(&line), Ok(rule));
    }

    #[test]
    fn no_line_makes_the_reader_panic(line in prop_oneof![any::text(), "r1 drop input( [a-z_.]{1,12}=[^ ]{0,9}){0,3}"]) {
        if let Ok(rule) = Rule::from_line(&line) {
            prop_assert_eq!(Rule::from_line(&rule.to_line()), Ok(rule));
        }
    }
}
