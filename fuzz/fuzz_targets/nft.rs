//! No listing makes the reader of `nft -j` panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let _ = afo::backend::nftables::read(json);
});
