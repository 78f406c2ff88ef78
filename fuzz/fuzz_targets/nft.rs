//! No listing makes the reader of `nft -j`, or the writer of its text, panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let read = afo::backend::nftables::read(json);
    let written = afo::backend::nftables::export(json);
    assert_eq!(read.is_ok(), written.is_ok());
});
