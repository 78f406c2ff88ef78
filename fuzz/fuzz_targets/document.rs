//! No document of a firewall elsewhere makes a reader panic, and what is read has a place for each of its rules.
#![no_main]

use afo::backend::Document;
use afo::backend::document::statements;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for name in ["aws", "azure", "gcp", "pfsense"] {
        let document = Document::named(name).expect("a kind of document");
        let Ok(ruleset) = document.read(text) else { continue };
        assert_eq!(statements(&ruleset).len(), ruleset.lines().count());
    }
    let _ = Document::of(text);
});
