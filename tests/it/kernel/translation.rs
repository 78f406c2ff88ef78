//! Translated destinations against the kernel: what the filter sees behind a nat chain, and which packets come to one.

use super::in_namespace;
use afo::analyze::{Budget, Names, Query, Wanted, audit, diff, invariants, reach, violations};
use afo::backend::nftables::read;
use afo::record::{Finding, FindingType};
use afo::rule::Packet;
use afo::rule::evaluate::evaluate;
use afo::sys::lab::Lab;

const WEB: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:80 tcp syn";
const OTHER: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:82 tcp syn";
const SIX: &str = "forward eth0 eth1 [2001:db8::9]:40000 > [2001:db8::10]:80 tcp syn";
const OWN: &str = "input eth0 203.0.113.9:40000 > 198.51.100.10:80 tcp syn";
const SENT: &str = "output eth1 198.51.100.10:40000 > 203.0.113.9:80 tcp syn";
const THERE: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:80 tcp ack established";
const FREE: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:80 tcp syn untracked";

const FORWARDED: &str = "tcp dport 80 dnat ip to 10.0.0.5:8080;";
const LOOKED_UP: &str = "dnat ip to tcp dport map { 80 : 10.0.0.5, 81 : 10.0.0.6 }; tcp dport 82 dnat ip to 10.0.0.7;";
const BOTH: &str = "dnat ip to ip daddr . tcp dport map { 198.51.100.10 . 80 : 10.0.0.5 . 8080 };";
const FAMILIES: &str = "tcp dport 80 dnat ip to 10.0.0.5:8080; tcp dport 80 dnat ip6 to [2001:db8::5]:8081;";

/// Rules of the nat chains, what the filter drops, a packet, and whether it passes.
const CASES: [(&str, &str, &str, bool); 24] = [
    (FORWARDED, "ip daddr 10.0.0.5 tcp dport 8080", WEB, false),
    (FORWARDED, "tcp dport 80", WEB, true),
    (FORWARDED, "ip daddr 198.51.100.10", WEB, true),
    (FORWARDED, "tcp dport 82", OTHER, false),
    (FORWARDED, "ip daddr 10.0.0.5", THERE, true),
    (FORWARDED, "ip daddr 198.51.100.10 tcp dport 80", FREE, false),
    (FORWARDED, "tcp dport 80", SIX, false),
    (FORWARDED, "tcp dport 8080", OWN, false),
    (FORWARDED, "ip daddr 10.0.0.5 tcp dport 8080", SENT, false),
    ("tcp dport 80 dnat ip to 10.0.0.5;", "ip daddr 10.0.0.5 tcp dport 80", WEB, false),
    ("tcp dport 80 dnat to :8080;", "ip daddr 198.51.100.10 tcp dport 8080", WEB, false),
    (FAMILIES, "tcp dport 8080", WEB, false),
    (FAMILIES, "ip6 daddr 2001:db8::5 tcp dport 8081", SIX, false),
    (LOOKED_UP, "ip daddr 10.0.0.5 tcp dport 80", WEB, false),
    (LOOKED_UP, "ip daddr 10.0.0.7", OTHER, false),
    (BOTH, "ip daddr 10.0.0.5 tcp dport 8080", WEB, false),
    (BOTH, "ip daddr 198.51.100.10", OTHER, false),
    ("tcp dport 80 redirect to :8080;", "tcp dport 8080", OWN, false),
    ("tcp dport 80 redirect to :8080;", "tcp dport 80", OWN, true),
    ("meta l4proto tcp redirect to :tcp dport map { 80 : 8080 };", "tcp dport 8080", OWN, false),
    ("tcp dport 80 accept; tcp dport 80 dnat ip to 10.0.0.5;", "ip daddr 198.51.100.10", WEB, false),
    ("tcp dport 80 return; tcp dport 80 dnat ip to 10.0.0.5;", "ip daddr 198.51.100.10", WEB, false),
    ("tcp dport 80 dnat ip to 10.0.0.5; tcp dport 80 dnat ip to 10.0.0.6;", "ip daddr 10.0.0.5", WEB, false),
    ("meta l4proto tcp dnat ip to 10.0.0.5:81; tcp dport 81 dnat ip to 10.0.0.6;", "ip daddr 10.0.0.6", WEB, true),
];

/// One ruleset, one packet: whether kernel and evaluator let it pass.
fn both(lab: &mut Lab, text: &str, packet: &str) -> [bool; 2] {
    let ruleset = read(&lab.load(text).unwrap_or_else(|e| panic!("{text}: {e}"))).expect("a listing");
    let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    let seen = lab.send(&[packet], true).expect("it is sent").pop().flatten().expect("it can be sent");
    let luck = &mut |_, words: &str| -> bool { panic!("{text}: luck: {words}") };
    let trace = evaluate(&ruleset, &seen.sent, luck).expect("no circle");
    [seen.passed, trace.fate.passes()]
}

#[test]
fn the_filter_sees_where_packets_are_led() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (nat, filter, packet, passes) in CASES {
            let text = format!(
                "table inet t {{
                   chain p {{ type nat hook prerouting priority -100; {nat} }}
                   chain o {{ type nat hook output priority -100; {nat} }}
                   chain f {{ type filter hook forward priority 0; {filter} drop; }}
                   chain i {{ type filter hook input priority 0; {filter} drop; }}
                   chain s {{ type filter hook output priority 0; {filter} drop; }}; }}"
            );
            assert_eq!(both(&mut lab, &text, packet), [passes; 2], "{nat} {filter} {packet}");
        }
    });
}

/// Nat chains come where the kernel translates, whatever their priorities say, and one of them translates.
#[test]
fn nat_chains_have_their_place() {
    let nat = |name: &str, priority: i32, to: &str| {
        format!("chain {name} {{ type nat hook prerouting priority {priority}; tcp dport 80 dnat ip to {to}; }}\n")
    };
    let sees = |priority: i32, what: &str| {
        format!("chain c {{ type filter hook prerouting priority {priority}; {what} drop; }}\n")
    };
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (chains, passes) in [
            (nat("a", -90, "10.0.0.5") + &sees(-95, "ip daddr 10.0.0.5"), false),
            (nat("a", -150, "10.0.0.5") + &sees(-120, "ip daddr 10.0.0.5"), true),
            (nat("a", -150, "10.0.0.5") + &sees(-120, "ip daddr 198.51.100.10"), false),
            (nat("a", -100, "10.0.0.5") + &sees(-300, "tcp dport 80"), false),
            (nat("a", -100, "10.0.0.5") + &nat("b", -101, "10.0.0.6") + &sees(0, "ip daddr 10.0.0.6"), false),
            (nat("a", -100, "10.0.0.5") + &nat("b", -101, "10.0.0.6") + &sees(0, "ip daddr 10.0.0.5"), true),
        ] {
            let text = format!("table inet t {{\n{chains}}}");
            assert_eq!(both(&mut lab, &text, WEB), [passes; 2], "{text}");
        }
    });
}

/// A rule of the filter for the address that packets come to is dead behind a nat chain that leads them elsewhere; the kernel agrees.
#[test]
fn an_audit_knows_where_packets_are_led() {
    let text = "table inet t {
      chain n { type nat hook prerouting priority -100; iifname \"eth0\" tcp dport 80 dnat ip to 10.0.0.5:8080; }
      chain f { type filter hook forward priority 0; policy drop; ct state established,related accept;
        iifname \"eth0\" ip daddr 198.51.100.10 tcp dport 80 ct state new accept;
        iifname \"eth0\" ip daddr 10.0.0.5 tcp dport 8080 ct state new accept;
        iifname \"eth0\" tcp dport 8080 ip daddr 10.0.0.5 drop; }; }";
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let ruleset = read(&lab.load(text).expect("it loads")).expect("a listing");
        let found = audit(&ruleset, Budget::default());
        let dead: Vec<_> = found.iter().filter(|f| f.dead).collect();
        assert_eq!(
            dead.iter().map(|f| f.rule.as_ref().and_then(|r| r.index)).collect::<Vec<_>>(),
            [Some(1)],
            "{found:?}"
        );
        assert!(dead[0].by.iter().any(|by| by.text.contains("dnat")), "{dead:?}");
        let witnesses: Vec<_> = found.iter().filter_map(|f| f.witness.as_ref()).collect();
        assert!(!witnesses.is_empty(), "{found:?}");
        for witness in witnesses {
            let packet: Packet = witness.packet.parse().expect("a packet");
            let seen = lab.send(&[packet], true).expect("it is sent").pop().flatten().expect("it can be sent");
            assert_eq!(witness.verdict.starts_with("accept"), seen.passed, "{witness:?}: {:?}", seen.events);
        }
    });
}

/// What a nat chain has translated comes to no other: its rules take nothing, and the filter's live.
#[test]
fn one_nat_chain_translates_a_packet_and_the_next_never_sees_it() {
    let nat = "table ip a { chain one { type nat hook prerouting priority -100; tcp dport 80 dnat to 10.0.0.5; }; }
        table ip b { chain two { type nat hook prerouting priority -90; tcp dport 80 drop; }; }";
    let filter = "table ip f { chain c { type filter hook forward priority 0; ip daddr 10.0.0.5 tcp dport 80 ct state new drop; }; }";
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        assert_eq!(both(&mut lab, nat, WEB), [true; 2]);
        let text = format!("{nat}\n{filter}");
        assert_eq!(both(&mut lab, &text, WEB), [false; 2]);
        let ruleset = read(&lab.load(&text).expect("it loads")).expect("a listing");
        let found = audit(&ruleset, Budget::default());
        let gone = |f: &&Finding| f.dead || f.kind == FindingType::Redundant;
        let of_filter = |f: &&Finding| f.rule.as_ref().is_some_and(|rule| rule.table.as_deref() == Some("f"));
        assert_eq!(found.iter().filter(gone).filter(of_filter).count(), 0, "{found:?}");
    });
}

/// What comes behind the filter leaves its verdicts alone.
#[test]
fn sources_are_translated_behind_the_filter() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (nat, priority, what, passes) in [
            ("masquerade", 0, "ip saddr 203.0.113.9", false),
            ("masquerade", 99, "ip saddr 203.0.113.9", false),
            ("snat ip to 192.0.2.1", 0, "ip saddr 192.0.2.1", true),
        ] {
            let text = format!(
                "table inet t {{ chain n {{ type nat hook postrouting priority 100; oifname \"eth1\" {nat}; }}
                   chain f {{ type filter hook postrouting priority {priority}; {what} drop; }}; }}"
            );
            assert_eq!(both(&mut lab, &text, WEB), [passes; 2], "{text}");
        }
    });
}

fn published(nat: &str) -> String {
    format!(
        "table inet t {{
          chain n {{ type nat hook prerouting priority -100; {nat} }}
          chain f {{ type filter hook forward priority 0; policy drop; ct state established,related accept;
            ip daddr 10.0.0.5 tcp dport 8080 accept; ip daddr 10.0.0.6 tcp dport 8080 reject with tcp reset; }}; }}"
    )
}

fn passes(lab: &mut Lab, packet: &str) -> bool {
    let parsed: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    lab.send(&[parsed], true).expect("it is sent").pop().flatten().expect("it can be sent").passed
}

/// Questions about whole sets of packets speak of packets as they are sent: each example is sent.
#[test]
fn classes_are_of_packets_as_they_are_sent() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let text = published("ip daddr 198.51.100.10 tcp dport 80 dnat ip to 10.0.0.5:8080;");
        let ruleset = read(&lab.load(&text).expect("it loads")).expect("a listing");
        for (question, open) in [
            ("forward to 10.0.0.5 proto tcp", 2),
            ("forward to 198.51.100.10 proto tcp port 80", 1),
            ("forward to 198.51.100.10 proto tcp port 8080", 0),
            ("forward proto tcp port 8080", 2),
        ] {
            let query = Query::parse(question, &Names::default()).expect(question);
            let found = reach(&ruleset, &query, Budget::default());
            let examples: Vec<_> = found.classes.iter().filter_map(|class| class.example.clone()).collect();
            assert_eq!((examples.len(), found.classes.len()), (open, open), "{question}: {found:#?}");
            for example in examples {
                assert!(passes(&mut lab, &example), "{question}: {example}");
            }
        }
        let lines = "must-be-unreachable from any to 10.0.0.5 port 8080\nmust-deny forward to 198.51.100.10 port 80";
        let demands = invariants(lines, &Names::default()).expect("two lines");
        let found = violations(&ruleset, &demands, "F", Budget::default());
        assert_eq!(found.len(), 2, "{found:?}");
        for witness in found.iter().filter_map(|finding| finding.witness.as_ref()) {
            assert!(witness.packet.starts_with("output") || passes(&mut lab, &witness.packet), "{witness:?}");
        }
    });
}

/// What a difference says of a packet as it is sent is what both rulesets do with it.
#[test]
fn differences_are_of_packets_as_they_are_sent() {
    let to = |to: &str| format!("ip daddr 198.51.100.10 tcp dport 80 dnat ip to {to};");
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (before, after, verdict) in [
            (to("10.0.0.5:8080"), to("10.0.0.6:8080"), "newly_rejected"),
            (to("10.0.0.5:8081"), to("10.0.0.5:8080"), "newly_accepted"),
            (to("10.0.0.5:8080"), String::new(), "newly_dropped"),
        ] {
            let read_as =
                |lab: &mut Lab, nat: &str| read(&lab.load(&published(nat)).expect("it loads")).expect("a listing");
            let old = read_as(&mut lab, &before);
            let new = read_as(&mut lab, &after);
            let found = diff(&old, &new, Wanted::Classes, Budget::default());
            let told = found.classes.iter().filter(|class| class.verdict == verdict);
            let forwarded = |packet: &String| packet.starts_with("forward");
            let packets: Vec<_> = told.filter_map(|class| class.example.clone()).filter(forwarded).collect();
            assert!(!packets.is_empty(), "{found:#?}");
            let is: Vec<_> = packets.iter().map(|packet| passes(&mut lab, packet)).collect();
            read_as(&mut lab, &before);
            let was: Vec<_> = packets.iter().map(|packet| passes(&mut lab, packet)).collect();
            assert!(is.iter().zip(&was).all(|(is, was)| is != was), "{found:#?}: {was:?} {is:?}");
        }
    });
}
