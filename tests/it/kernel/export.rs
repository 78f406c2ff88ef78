//! What is read of a listing and written as text loads into an empty host, and the kernel lists it as before.

use super::{Host, in_namespace};
use crate::tree::root;
use afo::backend::nftables::export;
use serde_json::Value;

/// Without what the kernel counts or numbers: handles, counters, what is left of a time; sets in one order.
fn settled(mut value: Value) -> Value {
    match &mut value {
        Value::Array(list) => list.iter_mut().for_each(|inner| *inner = settled(inner.take())),
        Value::Object(map) => {
            for name in ["handle", "packets", "bytes", "used", "expires"] {
                map.remove(name);
            }
            map.values_mut().for_each(|inner| *inner = settled(inner.take()));
            for name in ["set", "elem"] {
                if let Some(Value::Array(elements)) = map.get_mut(name) {
                    elements.sort_by_key(Value::to_string);
                }
            }
        }
        _ => {}
    }
    value
}

fn listing(host: &Host) -> (String, Value) {
    let json = host.sh("nft -j list ruleset");
    let value = serde_json::from_str(&json).expect("JSON");
    (json, settled(value))
}

fn goes_round(host: &Host, name: &str, text: &str) {
    host.nft(&format!("flush ruleset\n{text}"));
    let (json, before) = listing(host);
    let made = export(&json).expect("a listing");
    assert_eq!(made.lost, Vec::<String>::new(), "{name}");
    host.nft(&format!("flush ruleset\n{}", made.text));
    let (_, after) = listing(host);
    for (then, now) in
        before["nftables"].as_array().expect("a list").iter().zip(after["nftables"].as_array().expect("a list"))
    {
        assert_eq!(now, then, "{name}, from:\n{}", made.text);
    }
    assert_eq!(after, before, "{name}");
}

#[test]
fn a_listing_goes_round() {
    in_namespace(|host| {
        let samples = root().join("tests/rulesets");
        for name in ["constructs", "office", "closed", "generation"] {
            let text = std::fs::read_to_string(samples.join(format!("{name}.nft"))).expect("a sample");
            goes_round(host, name, &text);
        }
    });
}
