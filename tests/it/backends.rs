//! The same rules mean the same packets in every backend: what is rendered is read back by the backend's own reader, and the two are
//! compared for every packet there can be.

use crate::kernel::rendering::{protocols, sensible};
use crate::strategies as any;
use afo::analyze::{Budget, Wanted, diff};
use afo::backend::{Backend, Extent, Native, iptables, named};
use afo::rule::Rule;
use afo::rule::ruleset::Ruleset;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Connections are tracked, so that fragments are put together before the filter: of those that come to it, nftables reads ports out
/// of what they carry and iptables does not.
const TRACKS: &str = "# iptables-save\n*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -m conntrack --ctstate NEW\nCOMMIT\n# ip6tables-save\n*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -m conntrack --ctstate NEW\nCOMMIT\n";

fn backend(name: &str) -> &'static dyn Backend {
    named(name).expect("a backend")
}

fn tracking(mut ruleset: Ruleset) -> Ruleset {
    ruleset.tables.extend(iptables::read(TRACKS).expect("a dump").tables);
    ruleset
}

fn model(backend: &dyn Backend, native: &Native) -> Ruleset {
    backend.model(native).unwrap_or_else(|e| panic!("{e}\n{}", native.text))
}

/// What the rules are in nftables, and in both programs of iptables together, with their texts; nothing where one refuses them.
fn both(rules: &[Rule]) -> Option<(Ruleset, Ruleset, String)> {
    let nft = backend("nftables").render(rules, Extent::Rules).ok()?;
    // nft's JSON takes an interface whose name begins with @ for a set, so there is none to read.
    nft.json.as_ref()?;
    let (mut tables, mut text) = (Ruleset::default(), nft.text.clone());
    for name in ["iptables", "ip6tables"] {
        match backend(name).render(rules, Extent::Rules) {
            Ok(native) => {
                let own = model(backend(name), &native);
                tables.backend = own.backend;
                tables.tables.extend(own.tables);
                text.push_str(&native.text);
            }
            // Nothing of the rules is of this family.
            Err(refused) if refused.iter().all(|why| why.cause.starts_with("no packet of IPv")) => {}
            Err(_) => return None,
        }
    }
    Some((tracking(model(backend("nftables"), &nft)), tracking(tables), text))
}

fn compared(rules: &[Rule]) -> Option<Result<(), String>> {
    let (nft, tables, text) = both(rules)?;
    let answer = diff(&nft, &tables, Wanted::Witness, Budget::default());
    let equal = answer.verdict.as_deref() == Some("equal");
    Some(if equal { Ok(()) } else { Err(format!("{}\n{:#?}\n{text}", answer.text, answer.evidence)) })
}

fn rule(n: usize, fields: &Value) -> Rule {
    let mut all = json!({"id": format!("r{n}"), "action": "drop", "direction": "input"});
    all.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
    serde_json::from_value(all).unwrap_or_else(|e| panic!("{fields}: {e}"))
}

/// Each for a way in which a backend could say it otherwise.
fn cases() -> Vec<Value> {
    vec![
        json!({}),
        json!({"action": "accept"}),
        json!({"direction": "output", "action": "reject"}),
        json!({"direction": "forward", "interface_in": ["eth*", "eth0", "wan0"], "interface_out": ["!lan0", "wg*"]}),
        json!({"interface_in": ["lo"], "protocol": ["tcp"]}),
        json!({"interface_in": ["!lo"], "protocol": ["udp"]}),
        json!({"interface_in": ["!eth0"], "action": "accept"}),
        json!({"source_address": ["192.0.2.0/24", "198.51.100.7-198.51.100.19", "2001:db8::/32"]}),
        json!({"source_address": ["!192.0.2.0/24", "198.51.100.7-198.51.100.19"], "protocol": ["tcp"]}),
        json!({"source_address": ["192.0.2.1", "203.0.113.0/25"], "destination_address": ["10.0.0.0/8", "172.16.0.0/12"], "destination_port": ["22", "80-90"]}),
        json!({"source_address": ["0.0.0.0/0"], "protocol": ["tcp"]}),
        json!({"source_address": ["!::/0"], "protocol": ["tcp"]}),
        json!({"protocol": ["!tcp", "udp"]}),
        json!({"protocol": ["!icmp"]}),
        json!({"protocol": ["!icmp"], "action": "accept"}),
        json!({"protocol": ["tcp", "icmp", "icmpv6"]}),
        json!({"protocol": ["icmp"]}),
        json!({"protocol": ["icmpv6"], "action": "reject"}),
        json!({"protocol": ["icmp", "icmpv6"], "icmp_type": ["8", "128", "3/4", "8/1"], "action": "accept"}),
        json!({"protocol": ["icmp", "icmpv6"], "icmp_type": ["!8", "128"]}),
        json!({"protocol": ["icmp"], "icmp_type": ["!8"], "action": "accept"}),
        json!({"destination_port": ["53"], "source_port": ["!1024-65535"]}),
        json!({"protocol": ["tcp", "sctp"], "destination_port": ["!22", "23", "25", "80", "81", "82", "100-110", "443", "1000", "1001-1002", "1003-1005", "3000", "3001", "5000", "6000", "7000-7100"]}),
        json!({"protocol": ["udp"], "destination_port": ["1", "3", "5", "7", "9", "11", "13", "15", "17", "19", "21", "23", "25", "27", "29", "31", "33-40"]}),
        json!({"protocol": ["tcp"], "tcp_flags": {"mask": ["syn", "ack", "fin"], "set": ["syn"]}}),
        json!({"protocol": ["tcp"], "tcp_flags": {"mask": ["syn", "fin"], "set": []}, "destination_port": ["22"]}),
        json!({"connection_state": ["invalid"]}),
        json!({"connection_state": ["!new", "untracked"], "protocol": ["tcp"]}),
        json!({"connection_state": ["established", "related"], "action": "accept"}),
        json!({"source_mac": ["52:54:00:12:34:56", "52:54:00:12:34:57"], "protocol": ["tcp"]}),
        json!({"source_mac": ["!52:54:00:12:34:56", "52:54:00:12:34:57"], "protocol": ["tcp"]}),
        json!({"mark": "0x1", "protocol": ["tcp"]}),
        json!({"mark": "0x10/0xf0", "protocol": ["udp"]}),
        json!({"action": "log", "protocol": ["tcp"], "log": {"prefix": "x "}}),
        json!({"action": "reject", "protocol": ["tcp"], "source_address": ["192.0.2.1", "192.0.2.3"], "destination_address": ["10.0.0.1", "10.0.0.3"], "reject_with": "tcp-reset", "log": {}}),
    ]
}

#[test]
fn each_rule_means_the_same_in_nftables_and_iptables() {
    for fields in cases() {
        let rules = [rule(1, &fields)];
        let same = compared(&rules).unwrap_or_else(|| panic!("{fields}: refused"));
        same.unwrap_or_else(|words| panic!("{fields}: {words}"));
    }
}

/// Rules together: their order, defaults at the end, loopback named by one of them.
#[test]
fn policies_mean_the_same_in_nftables_and_iptables() {
    for take in [1, 2, 5] {
        for (n, start) in cases().chunks(7).enumerate() {
            let mut rules: Vec<Rule> =
                start.iter().step_by(take).enumerate().map(|(n, fields)| rule(n, fields)).collect();
            rules.push(rule(
                90,
                &json!({"action": "accept", "protocol": ["tcp"], "destination_port": ["22"], "position": "first"}),
            ));
            rules.push(rule(91, &json!({"action": "accept", "interface_in": ["lo"]})));
            rules.push(rule(
                92,
                &json!({"protocol": ["tcp"], "source_address": ["10.0.0.0/8"], "position": "before:r90"}),
            ));
            let same = compared(&rules).unwrap_or_else(|| panic!("chunk {n}: refused"));
            same.unwrap_or_else(|words| panic!("chunk {n} by {take}: {words}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_rules_mean_the_same_in_nftables_and_iptables(
        drawn in prop::collection::vec((any::rule(), protocols(), prop::array::uniform10(prop::bool::weighted(0.3))), 1..5)
    ) {
        let plain = |(n, (r, p, keep)): (usize, (Rule, _, _))| {
            let id = format!("r{n}").parse().expect("an id");
            // Luck is named otherwise in each language.
            Rule { id, rate_limit: None, ttl_seconds: None, log: None, ..sensible(r, p, keep) }
        };
        let rules: Vec<Rule> = drawn.into_iter().enumerate().map(plain).collect();
        // What one of them refuses is not compared, rule by rule.
        let rules: Vec<Rule> = rules.into_iter().filter(|rule| both(std::slice::from_ref(rule)).is_some()).collect();
        prop_assume!(!rules.is_empty());
        if let Some(same) = compared(&rules) {
            prop_assert!(same.is_ok(), "{}", same.err().unwrap_or_default());
        }
    }
}
