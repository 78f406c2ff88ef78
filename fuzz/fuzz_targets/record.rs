//! No line makes the reader of records panic, and what it reads comes back from what it writes.
#![no_main]

use afo::record::{self, Assessment, Context, Deployment, Event, Finding, Proposal, Record};
use libfuzzer_sys::fuzz_target;

fn comes_back<R: Record + PartialEq + std::fmt::Debug>(line: &str) {
    if let Ok(first) = record::parse::<R>(line) {
        let again: R = record::parse(&record::to_line(&first)).expect("what was written is read");
        assert_eq!(record::to_line(&again), record::to_line(&first));
    }
}

fuzz_target!(|line: &str| {
    let _ = record::peek(line);
    comes_back::<Assessment>(line);
    comes_back::<Context>(line);
    comes_back::<Deployment>(line);
    comes_back::<Event>(line);
    comes_back::<Finding>(line);
    comes_back::<Proposal>(line);
});
