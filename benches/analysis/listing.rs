//! Five-tuple rules as nft lists them in JSON, and as proposed rules.

use super::classbench::{ANY, Five};
use afo::rule::Rule;
use serde_json::{Value, json};

/// The text of `nft -j list ruleset` for one chain of these rules.
pub fn listing(rules: &[Five]) -> String {
    let heads = [
        json!({ "metainfo": { "version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1 } }),
        json!({ "table": { "family": "inet", "name": "t", "handle": 1 } }),
        json!({ "chain": { "family": "inet", "table": "t", "name": "forward", "handle": 1, "type": "filter",
                           "hook": "forward", "prio": 0, "policy": "accept" } }),
    ];
    let rule = |(n, rule): (usize, &Five)| json!({ "rule": { "family": "inet", "table": "t", "chain": "forward", "handle": n + 2, "expr": expressions(rule) } });
    let mut text = String::from("{\"nftables\":[");
    // One object at a time: all of them would take more memory than what is measured.
    for (n, object) in heads.into_iter().chain(rules.iter().enumerate().map(rule)).enumerate() {
        text.push_str(if n == 0 { "" } else { "," });
        text.push_str(&object.to_string());
    }
    text + "]}"
}

fn expressions(rule: &Five) -> Vec<Value> {
    let is = |left: Value, right: Value| json!({ "match": { "op": "==", "left": left, "right": right } });
    let payload = |header: &str, field: &str| json!({ "payload": { "protocol": header, "field": field } });
    let mut all = Vec::new();
    for (field, (address, length)) in [("saddr", rule.source), ("daddr", rule.destination)] {
        match length {
            0 => {}
            32 => all.push(is(payload("ip", field), json!(address))),
            _ => all.push(is(payload("ip", field), json!({ "prefix": { "addr": address, "len": length } }))),
        }
    }
    let header = protocol(rule);
    let mut ported = false;
    for (field, ports) in [("sport", rule.source_port), ("dport", rule.destination_port)] {
        if ports == ANY {
            continue;
        }
        ported = true;
        let right = if ports.0 == ports.1 { json!(ports.0) } else { json!({ "range": [ports.0, ports.1] }) };
        all.extend(header.map(|header| is(payload(header, field), right)));
    }
    if let (Some(number), false) = (rule.protocol, ported) {
        let word = header.map_or(json!(number), |word| json!(word));
        all.push(is(json!({ "meta": { "key": "l4proto" } }), word));
    }
    if all.is_empty() {
        all.push(is(json!({ "meta": { "key": "nfproto" } }), json!("ipv4")));
    }
    all.push(if rule.accepts { json!({ "accept": null }) } else { json!({ "drop": null }) });
    all
}

fn protocol(rule: &Five) -> Option<&'static str> {
    match rule.protocol {
        Some(6) => Some("tcp"),
        Some(17) => Some("udp"),
        Some(1) => Some("icmp"),
        Some(47) => Some("gre"),
        _ => None,
    }
}

/// A proposed rule that says the same.
pub fn proposed(rule: &Five, number: usize) -> Rule {
    let mut record = json!({
        "id": format!("p{number}"),
        "action": if rule.accepts { "accept" } else { "drop" },
        "direction": "forward",
        "family": "ipv4",
    });
    for (field, (address, length)) in [("source_address", rule.source), ("destination_address", rule.destination)] {
        if length > 0 {
            record[field] = json!([format!("{address}/{length}")]);
        }
    }
    if let Some(number) = rule.protocol {
        record["protocol"] = json!([protocol(rule).map_or(number.to_string(), str::to_owned)]);
    }
    for (field, ports) in [("source_port", rule.source_port), ("destination_port", rule.destination_port)] {
        if ports != ANY {
            record[field] = json!([format!("{}-{}", ports.0, ports.1)]);
        }
    }
    serde_json::from_value(record).expect("a rule by its construction")
}
