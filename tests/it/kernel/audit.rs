//! What an audit must not say of rulesets as the kernel lists them: cases in which a rule does more than its verdict.

use super::in_namespace;
use super::oracle::loaded;
use afo::analyze::{Budget, audit};
use afo::record::{Finding, FindingType};
use afo::sys::lab::Lab;

/// What is said of a rule: the kind of finding, and whether it is dead; nothing where it is needed.
type Said = Option<(FindingType, bool)>;

/// A ruleset, a rule of it by its text, and what is said of it.
const CASES: [(&str, &str, Said); 14] = [
    // What it writes into a set opens a port later.
    (
        "table inet t { set cand { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
         chain c { type filter hook input priority 0; policy drop; tcp dport 1234 add @cand { ip saddr } drop; ip saddr @cand tcp dport 22 accept; }; }",
        "tcp dport 1234",
        None,
    ),
    // It keeps its packets from being written into a set.
    (
        "table inet t { set s { type ipv4_addr; flags dynamic; size 100; }
         chain c { type filter hook input priority 0; ip saddr 10.0.0.0/8 accept; tcp dport 23 add @s { ip saddr }; }; }",
        "ip saddr 10.0.0.0/8 accept",
        None,
    ),
    // Without it, its packets take the luck of others.
    (
        "table inet t { chain c { type filter hook input priority 0; ip saddr 10.0.0.1 drop; limit rate over 10/second drop; ip saddr 10.0.0.0/30 drop; }; }",
        "ip saddr 10.0.0.1 drop",
        None,
    ),
    // It keeps its packets from being translated.
    (
        "table ip t { chain c { type nat hook postrouting priority 100; ip daddr 10.0.0.0/8 accept; oifname \"eth0\" masquerade; }; }",
        "ip daddr 10.0.0.0/8 accept",
        None,
    ),
    // What no packet of it can reach is of those that translate.
    (
        "table ip t { chain c { type nat hook postrouting priority 100; ip daddr 10.0.0.0/8 accept; ip daddr 10.0.0.1 masquerade; }; }",
        "ip daddr 10.0.0.1 masquerade",
        Some((FindingType::Shadow, true)),
    ),
    // A missing key ends the rule.
    (
        "table ip t { chain c { type nat hook prerouting priority -100; dnat to tcp dport map { 80 : 10.0.0.1, 81 : 10.0.0.2 }; tcp dport 82 redirect to :8082; }; }",
        "tcp dport 82 redirect",
        None,
    ),
    // Without it the sender is told.
    (
        "table inet t { chain a { type filter hook input priority 0; tcp dport 22 accept; tcp dport 20-30 reject with tcp reset; }
         chain b { type filter hook input priority 10; tcp dport 22 drop; }; }",
        "tcp dport 22 accept",
        None,
    ),
    // And told otherwise.
    (
        "table inet t { chain c { type filter hook input priority 0; tcp dport 1000-2000 reject with tcp reset; meta l4proto { tcp, udp } reject with icmpx admin-prohibited; }; }",
        "tcp dport 1000-2000",
        None,
    ),
    // What another chain drops is dropped, whichever rule of this one lets it pass.
    (
        "table ip t { chain a { type filter hook input priority 0; ip saddr 10.0.0.0/8 accept; ip saddr 10.0.0.1 tcp dport 22 drop; }
         chain b { type filter hook input priority 1; tcp dport 22 drop; }; }",
        "ip saddr 10.0.0.1 tcp dport 22 drop",
        Some((FindingType::Redundant, true)),
    ),
    // What no packet reaches is no exception.
    (
        "table ip t { chain c { type filter hook input priority 0; ip saddr 10.0.0.0/8 drop; ip saddr 10.0.0.1 tcp dport 22 accept; ip saddr 0.0.0.0/1 tcp dport 20-30 drop; }; }",
        "ip saddr 0.0.0.0/1",
        Some((FindingType::Partial, false)),
    ),
    // What is not tracked is not put together.
    (
        "table ip t { chain a { type filter hook prerouting priority -450; meta l4proto udp notrack; }; chain c { type filter hook prerouting priority 0; ip frag-off & 0x1fff != 0 drop; ct state invalid drop; }; }",
        "ip frag-off",
        None,
    ),
    // On its way a packet loses one of its hops.
    (
        "table ip t { chain a { type filter hook prerouting priority 0; ip ttl 63 drop; }; chain c { type filter hook forward priority 0; ip ttl 63 tcp dport 80 reject; }; }",
        "ip ttl 63 tcp dport 80",
        Some((FindingType::Partial, false)),
    ),
    // Nobody puts together what passes a bridge.
    (
        "table bridge b { chain c { type filter hook forward priority 0; ip frag-off & 0x1fff != 0 drop; }; }
         table ip t { chain i { type filter hook input priority 0; ct state new accept; }; }",
        "ip frag-off",
        None,
    ),
    // A frame of a bridge has no packet to be shown with.
    (
        "table bridge t { chain c { type filter hook forward priority 0; ether type ip accept; ether type ip drop; }; }",
        "ether type ip drop",
        Some((FindingType::Contradiction, true)),
    ),
];

#[test]
fn what_a_rule_does_beside_its_verdict_counts() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (text, rule, expected) in CASES {
            let ruleset = loaded(&mut lab, text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let findings = audit(&ruleset, Budget::default());
            let about = |found: &&Finding| found.rule.as_ref().is_some_and(|place| place.text.starts_with(rule));
            let told: Vec<_> =
                findings.iter().filter(about).filter(|found| found.kind != FindingType::Unknown).collect();
            let kinds: Vec<_> = told.iter().map(|found| (found.kind, found.dead)).collect();
            assert_eq!(kinds, expected.into_iter().collect::<Vec<_>>(), "{text}\n{findings:#?}");
            if text.contains("ether type") {
                assert!(told[0].witness.is_none(), "{:?}", told[0]);
            }
        }
    });
}
