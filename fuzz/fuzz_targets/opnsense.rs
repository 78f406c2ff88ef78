//! No reply of an OPNsense firewall makes a reader panic, and what is its own AFO can always take back.
#![no_main]

use afo::backend::opnsense::{Listing, Own, is_listing, read, remove, steps, text, undo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|reply: &str| {
    if let Ok(read) = steps(reply) {
        assert_eq!(steps(&text(&read)).as_ref(), Ok(&read));
    }
    let Ok(live) = Listing::read(reply, Some(reply)) else { return };
    assert!(is_listing(reply));
    assert_eq!(read(&live).tables.len(), 1);
    assert!(undo(&live, &live).is_empty());
    if let Ok(own) = Own::read(&live) {
        let _ = (own.take_back(None), own.confirm(), remove(&live));
    }
});
