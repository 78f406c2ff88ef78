//! No line that a backend of its own program answers makes the reader panic, and what is an answer is the one that was asked for.
#![no_main]

use afo::backend::external::{Mark, capabilities, reply};
use afo::record::Verb;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    for verb in [Verb::Capabilities, Verb::Render, Verb::Check, Verb::Apply, Verb::List, Verb::Restore] {
        let Ok(reply) = reply(line, verb, 1) else { continue };
        assert_eq!(reply.id, 1);
        if let Ok(told) = capabilities(&reply, "acme") {
            assert!((1..=600).contains(&told.seconds));
        }
        if let Some(mark) = reply.mark.as_deref().and_then(Mark::read) {
            assert_eq!(Mark::read(&mark.text()), Some(mark));
        }
    }
});
