//! Imported rules, loaded by AFO's own text, against the rulesets that they come from, both as the kernel lists them.

use super::{Host, in_namespace};
use crate::import::{judged_alike, others};
use afo::backend::nftables::{Policy, import, read, whole};
use afo::rule::Rule;

/// Each for a way in which an import could say too much; whether all of it can be said.
const RULESETS: [(&str, bool, &str); 11] = [
    ("lists", true, "table inet f { chain i { type filter hook input priority 0; iif lo accept
       ip saddr { 10.0.0.1, 192.0.2.0/24 } tcp dport { 22, 80-443 } drop
       ip6 saddr != 2001:db8::/32 udp dport 53 drop; iifname { \"eth0\", \"guest*\" } tcp dport 23 reject
       ip saddr . tcp dport { 198.51.100.7 . 80, 203.0.113.9 . 1024-8080 } drop; iifname != { \"eth0\", \"lan0\" } tcp dport 81 drop; }; }"),
    ("loopback", true, "table inet f { chain i { type filter hook input priority 0; tcp dport 80 accept; tcp dport 23 drop; iif lo tcp dport 80 drop; }; }"),
    ("necessary", true, "table inet f { chain i { type filter hook input priority 0; policy drop; iif lo accept; tcp dport 22 accept; }; }"),
    ("icmp", true, "table inet f { chain i { type filter hook input priority 0; policy drop; iif lo accept
       icmp type { echo-request, destination-unreachable } accept; icmp type destination-unreachable icmp code 1 accept
       icmpv6 type != { echo-request } accept; tcp flags & (fin|syn|rst|ack) == syn accept; meta l4proto icmp icmp type 0-5 accept; }; }"),
    ("two chains", false, "table inet a { chain i { type filter hook input priority 0; iif lo accept; udp dport 53 accept; tcp dport 80 drop; }; }
       table ip b { chain i { type filter hook input priority 10; policy drop; iif lo accept; icmp type != 3 accept; tcp dport { 22, 80 } accept; }; }
       table ip6 c { chain i { type filter hook input priority 10; tcp dport 22 drop; }; }"),
    ("unknown before", false, "table inet f { chain o { type filter hook output priority 0; oif lo accept
       meta skuid 0 accept; tcp dport 22 drop; udp dport 53 accept; ct state invalid drop; limit rate 5/second udp dport 80 accept; udp dport { 80, 81 } drop; }; }"),
    ("return and goto", true, "table inet f { chain s { ip saddr 10.0.0.1 return; tcp dport 22 drop; udp dport 53 drop; }
       chain g { tcp dport 443 drop; }
       chain i { type filter hook forward priority 0; jump s; tcp dport 80 goto g; tcp dport { 22, 80 } accept; udp dport 53 log prefix \"dns \" drop; }; }"),
    ("marks", false, "table inet f { chain i { type filter hook forward priority 0; meta mark 7 tcp dport 22 drop; udp dport 53 meta mark set 7; meta mark 7 drop; meta mark 1 accept; }; }"),
    ("default in the middle", true, "table ip f { chain i { type filter hook forward priority 0; icmp type 3 accept; tcp dport 22 accept; drop; tcp dport 80 accept; }; }
       table ip6 f { chain i { type filter hook forward priority 0; tcp dport 22 limit rate over 5/minute burst 3 packets drop; tcp dport 22 accept; }; }"),
    ("translations", true, "table ip n { chain d { udp dport 53 dnat to 10.0.0.5:5353; }
       chain p { type nat hook prerouting priority dstnat; iifname \"eth0\" tcp dport { 80, 443 } dnat to 10.0.0.5; jump d; tcp dport 8080 redirect to :80; }
       chain o { type nat hook output priority -100; ip daddr 203.0.113.9 tcp dport 22 dnat to 10.0.0.1; }
       chain s { type nat hook postrouting priority srcnat; ip saddr 10.0.0.0/8 oifname \"eth0\" masquerade; ip saddr 192.0.2.0/24 oifname \"eth0\" snat to 198.51.100.7; }; }
       table inet f { chain i { type filter hook input priority 0; iif lo accept; tcp dport 443 drop; udp dport 53 reject; }; }"),
    ("hours", true, "table inet f { chain i { type filter hook input priority 0; iif lo accept; meta hour \"08:00\"-\"16:59:59\" tcp dport 22 drop
       meta day Monday udp dport 53 drop; tcp dport { 22, 80 } drop; }; }"),
];

fn compare(host: &Host, name: &str, complete: bool, text: &str) -> usize {
    host.nft(&format!("flush ruleset\n{text}"));
    let listing = host.sh("nft -j list ruleset");
    let imported = import(&serde_json::from_str(&listing).expect("JSON")).expect("a listing");
    let words: Vec<_> = imported.not_said.iter().map(|n| format!("{}: {}: {}", n.place, n.text, n.why)).collect();
    assert_eq!(words.is_empty(), complete, "{name}: {words:#?}");
    let in_utc = |rule: &Rule| Rule { schedule: rule.schedule.as_ref().map(|hours| hours.in_utc(0)), ..rule.clone() };
    let rules: Vec<Rule> = imported.rules.iter().map(in_utc).collect();
    let policy = Policy::of(&rules).expect("each was lowered before");
    host.nft(&whole(&policy, &policy.blocks()).to_string());
    let both = read(&host.sh("nft -j list ruleset")).expect("a listing");
    let mut own = both.clone();
    own.tables.retain(|table| table.name == "afo");
    judged_alike(&others(both), &own, complete, name)
}

#[test]
fn what_is_imported_and_loaded_judges_as_before() {
    in_namespace(|host| {
        for (name, complete, text) in RULESETS {
            let decided = compare(host, name, complete, text);
            assert!(decided > 10, "{name}: {decided} packets were decided");
        }
    });
}
