//! A rule that is rendered stays in its line: whatever its texts, the text for nft has no quote, brace or newline of theirs.
#![no_main]

use afo::backend::nftables::{Policy, alone};
use afo::rule::Rule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let Ok(rule) = serde_json::from_str::<Rule>(json) else { return };
    let Ok(policy) = Policy::of(std::slice::from_ref(&rule)) else { return };
    let text = alone(&policy, &policy.blocks()).to_string();
    for line in text.lines() {
        let command = ["add ", "create ", "flush ", "delete "].iter().any(|word| line.starts_with(word));
        assert!(command && line.contains(" inet afo"), "no command of AFO's: {line}");
        assert!(!line.chars().any(char::is_control), "a control character: {line:?}");
        let outside: String = line.split('"').step_by(2).collect();
        assert!(line.matches('"').count() % 2 == 0, "an open quote: {line}");
        assert_eq!(outside.matches('{').count(), outside.matches('}').count(), "an open brace: {line}");
    }
});
