//! What kernel and evaluator were once not agreed about, one ruleset and packet each.

use super::super::in_namespace;
use super::judge::{Compared, judge};
use super::values::INTERFACES;
use afo::backend::nftables::read;
use afo::sys::lab::Lab;

/// What it is about, a base chain's rules at the hook forward with what they need, and a packet.
const CASES: [(&str, &str, &str, &str); 8] = [
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
    let ruleset = read(&lab.load(text).unwrap_or_else(|e| panic!("{text}: {e}"))).expect("a listing");
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
        let rules = "meta mark set 7 udp dport 53\nmeta mark 7 drop";
        let text = format!("table inet t {{ chain f {{ type filter hook forward priority 0\n{rules}\n}}\n}}");
        let packet = "forward eth0 eth1 10.0.0.8:21173 > 192.0.2.1:8080 udp";
        assert_eq!(compared(&mut lab, &text, packet), Ok(Compared::ByChance));
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
