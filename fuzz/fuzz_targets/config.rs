//! No text makes the reader of the configuration panic, and what it reads comes back from what it writes.
#![no_main]

use afo::cli::config::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = parse("afo.toml", text) {
        assert_eq!(parse("afo.toml", &config.to_toml()).expect("what was written is read"), config);
    }
});
