//! No sentence makes the grammar panic, and no text of it reaches a rule but as a value of a type.
#![no_main]

use afo::propose::{Answers, Outcome, Reader};
use afo::record::Context;
use afo::rule::Rule;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static CONTEXT: LazyLock<Context> = LazyLock::new(|| {
    let names = r#"{"interfaces":[{"name":"eth0","addresses":["198.51.100.10/24"]}],"zones":{"guest":["eth1"]},"hosts":{"printer":["192.0.2.40"]},"forwarding":true}"#;
    serde_json::from_str(names).expect("a context")
});

fuzz_target!(|sentence: &str| {
    let Outcome::Understood(understood) = Reader::new(&CONTEXT).read(sentence, &Answers::default()) else { return };
    for rule in &understood.rules {
        assert!(rule.comment.is_none() && rule.extra.is_empty(), "text of the sentence in {rule:?}");
        let json = serde_json::to_string(rule).expect("a rule is JSON");
        let again: Rule = serde_json::from_str(&json).expect("each value is one of its type");
        assert_eq!(again, *rule);
    }
});
