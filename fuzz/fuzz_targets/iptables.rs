//! No dump makes the reader of iptables-save panic, and every rule that it read is in what is written of it.
#![no_main]

use afo::backend::iptables::{export, read};
use afo::rule::ruleset::{Ruleset, TableFamily};
use libfuzzer_sys::fuzz_target;

/// The rules of one family as text, chain by chain.
fn rules(ruleset: &Ruleset, family: TableFamily) -> Vec<&str> {
    let tables = ruleset.tables.iter().filter(|table| table.family == family);
    tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.lines).map(|line| line.text.as_str()).collect()
}

fuzz_target!(|text: &str| {
    let Ok(ruleset) = read(text) else { return };
    for family in [TableFamily::Ip, TableFamily::Ip6] {
        let Some(written) = export(&ruleset, family) else { continue };
        let again = read(&written).expect("what was written is read");
        assert_eq!(rules(&again, family), rules(&ruleset, family));
    }
});
