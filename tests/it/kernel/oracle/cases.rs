//! What kernel and evaluator were once not agreed about, one ruleset and packet each.

use super::super::in_namespace;
use super::algebra::judge_all;
use super::judge::{Compared, judge};
use super::loaded;
use super::values::INTERFACES;
use afo::sys::lab::Lab;

/// What it is about, a base chain's rules at the hook forward with what they need, and a packet.
const CASES: [(&str, &str, &str, &str); 10] = [
    (
        "a map's element for all others is not for those that have one of their own",
        "map m { type inet_service : verdict; elements = { 22 : jump s, * : drop }; }\nchain s { }",
        "tcp dport vmap @m",
        "forward eth0 eth1 10.0.0.8:1 > 192.0.2.1:22 tcp syn",
    ),
    (
        "bits that a mask clears are never set",
        "",
        "ip saddr & 255.255.255.0 == 10.0.0.8 drop",
        "forward eth0 eth1 10.0.0.8:1 > 192.0.2.1:2 udp",
    ),
    (
        "nor those of a mark",
        "",
        "meta mark and 0xfffffff0 == 1 drop",
        "forward eth0 eth1 10.0.0.8:1 > 192.0.2.1:2 udp mark 0x1",
    ),
    (
        "a map without the key does not match",
        "",
        "meta mark vmap { 7 : accept, 8-16 : drop }",
        "forward eth0 eth1 10.0.0.8:1 > 192.0.2.1:2 udp",
    ),
    (
        "a rejection by ICMP is for its own family, which the listing leaves out",
        "",
        "meta nfproto ipv6 reject",
        "forward eth0 eth1 10.0.0.8:1 > 192.0.2.1:2 udp",
    ),
    (
        "and the other way round",
        "",
        "reject with icmp port-unreachable",
        "forward eth0 eth1 [2001:db8::1]:1 > [2001:db8::2]:2 udp",
    ),
    (
        "what is rejected by a reset",
        "chain c { }",
        "jump c; tcp dport 2 reject with tcp reset",
        "forward eth0 eth1 [2001:db8::1]:1 > [2001:db8::2]:2 tcp syn",
    ),
    (
        "a rejection by a reset is for TCP, which the listing leaves out",
        "",
        "reject with tcp reset",
        "forward eth0 eth1 10.0.0.8:1 > 192.0.2.1:2 udp",
    ),
    (
        "a connection's answer from the side that was asked",
        "",
        "ct state ! invalid,new accept; drop",
        "forward eth0 eth1 [2001:db8::1]:1 > [2001:db8::2]:2 tcp syn,ack established",
    ),
    (
        "ICMP of the other family is tracked by nobody",
        "",
        "ct state invalid drop",
        "forward eth0 eth1 2001:db8::1 > 2001:db8::2 icmp 8 invalid",
    ),
];

fn compared(lab: &mut Lab, text: &str, packet: &str) -> Result<Compared, String> {
    let ruleset = loaded(lab, text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    let seen = lab.send(&[packet], ruleset.tracks()).expect("it is sent").pop().flatten();
    judge(&ruleset, &seen.ok_or("it could not be sent")?)
}

#[test]
fn what_was_once_not_agreed_about() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        for (what, besides, rules, packet) in CASES {
            let rules = rules.replace(';', "\n");
            let text = format!(
                "table inet t {{ {besides}\nchain f {{ type filter hook forward priority 0; policy accept\n{rules}\n}}\n}}"
            );
            assert_eq!(compared(&mut lab, &text, packet), Ok(Compared::Exactly), "{what}");
        }
    });
}

/// What a rule does before one of its conditions happens whether that holds or not.
#[test]
fn a_mark_that_is_set_too_early_is_left_to_chance() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        for (set, then) in [("7", 7), ("meta mark or 0x10", 16)] {
            let rules = format!("meta mark set {set} udp dport 53\nmeta mark {then} drop");
            let text = format!("table inet t {{ chain f {{ type filter hook forward priority 0\n{rules}\n}}\n}}");
            let packet = "forward eth0 eth1 10.0.0.8:21173 > 192.0.2.1:8080 udp";
            assert_eq!(compared(&mut lab, &text, packet), Ok(Compared::ByChance), "{set}");
        }
    });
}

/// A packet of this host has no hardware address before it leaves, so that it is outside of no set of them.
#[test]
fn what_has_no_hardware_address_is_not_another_one() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        let rule = "meta mark . ether saddr != { 0 . 02:00:00:00:00:01 } drop";
        let text = format!("table inet t {{ chain o {{ type filter hook output priority 0; {rule}; }}; }}");
        let packet = "output eth0 198.51.100.10:1 > 203.0.113.9:2 udp";
        assert_eq!(compared(&mut lab, &text, packet), Ok(Compared::Exactly));
    });
}

/// On its way out a packet has the header of the frame that it leaves in.
#[test]
fn hardware_addresses_at_egress_are_left_to_chance() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        let text = "table netdev t { chain e { type filter hook egress device eth1 priority 0; ether daddr 02:00:00:00:00:01 drop; }; }";
        for packet in ["forward eth0 eth1 10.0.0.8 > 192.0.2.1 icmp 8", "output eth1 10.0.0.8:1 > 192.0.2.1:2 udp"] {
            assert_eq!(compared(&mut lab, text, packet), Ok(Compared::ByChance), "{packet}");
        }
    });
}

/// nft 1.0.6 loads it as one comparison, which holds where either port differs; later ones as two. The listing is the same.
#[test]
fn two_ports_that_are_not_are_left_to_chance() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        let text = "table inet t { chain f { type filter hook forward priority 0; tcp dport != 8080 tcp sport != 21172 drop; }; }";
        let packet = "forward eth0 eth1 10.0.0.8:21173 > 192.0.2.1:8080 tcp syn";
        assert_eq!(compared(&mut lab, text, packet), Ok(Compared::ByChance));
    });
}

/// Without it the mark would be set, and the packet rejected.
#[test]
fn an_accept_that_leads_past_a_mark_makes_a_difference() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        let text = "table inet t { chain p { type filter hook prerouting priority 0\naccept\nmeta mark set 17\n}
            chain i { type filter hook input priority 0; meta mark > 16 reject; }; }";
        let ruleset = loaded(&mut lab, text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let packet = "input eth1 203.0.113.9:1 > 10.0.1.26:2 udp".parse().expect("a packet");
        let seen = lab.send(&[packet], false).expect("it is sent").pop().flatten().expect("it can be sent");
        assert_eq!((seen.passed, judge_all(&ruleset, &seen)), (true, Ok(())));
    });
}
