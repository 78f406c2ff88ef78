//! No listing makes the reader of `nft -j`, or the writer of its text, panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let read = afo::backend::nftables::read(json);
    let heads = afo::backend::nftables::Heads::of(json);
    let written = afo::backend::nftables::export_with(json, &heads);
    assert_eq!(read.is_ok(), written.is_ok());
});
