//! Packets, questions and invariants: no text makes a reader panic, and what was read holds only what there can be.
#![no_main]

use afo::analyze::{Names, Query, invariants};
use afo::rule::Packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(packet) = text.parse::<Packet>() {
        let _ = packet.to_string().parse::<Packet>();
    }
    if let Ok(query) = Query::parse(text, &Names::default()) {
        assert!(query.cells.iter().all(|(_, cell)| !cell.is_empty()));
    }
    let _ = invariants(text, &Names::default());
});
