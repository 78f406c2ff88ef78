//! What the kernel answers over netlink is read without a panic, and nothing in it is longer than it was.
#![no_main]

use afo::sys::elements::{answers, held};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = held(bytes);
    for answer in answers(bytes) {
        // A byte that is no UTF-8 is replaced by three.
        assert!(answer.words.as_ref().is_none_or(|words| words.len() <= 3 * bytes.len()));
        assert!(!answer.why().is_empty());
    }
});
