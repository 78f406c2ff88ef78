//! What a random rule asks for.

use super::draw::Draw;
use super::values::{INTERFACES, Kind, comparison, elements, equality};
use super::write::{Offer, Place};

/// The transport protocol that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Any,
    Tcp,
    Udp,
    Either,
    Icmp,
    Icmp6,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// 4, 6, or 0 for either.
    pub version: u8,
    pub transport: Transport,
}

impl About {
    pub fn draw(draw: &mut Draw, family: &str) -> Self {
        let version = match family {
            "ip" => 4,
            "ip6" => 6,
            _ => draw.one(&[4, 4, 6, 0]),
        };
        let transport = draw.one(&[
            Transport::Any,
            Transport::Any,
            Transport::Tcp,
            Transport::Tcp,
            Transport::Udp,
            Transport::Either,
            Transport::Icmp,
            Transport::Icmp6,
        ]);
        let transport = match (transport, version) {
            (Transport::Icmp, 6) => Transport::Icmp6,
            (Transport::Icmp6, 4) => Transport::Icmp,
            (other, _) => other,
        };
        Self { version, transport }
    }

    /// A port by its words.
    pub fn port(self, side: &str) -> Option<&'static str> {
        Some(match (self.transport, side) {
            (Transport::Tcp, "dport") => "tcp dport",
            (Transport::Tcp, _) => "tcp sport",
            (Transport::Udp, "dport") => "udp dport",
            (Transport::Udp, _) => "udp sport",
            (Transport::Either, "dport") => "th dport",
            (Transport::Either, _) => "th sport",
            _ => return None,
        })
    }
}

pub fn words(draw: &mut Draw, place: &Place, offer: &Offer, about: About, strange: bool) -> Vec<String> {
    let mut words = Vec::new();
    network(draw, &mut words, place.family, about, offer);
    transport_words(draw, &mut words, about.transport, offer);
    around(draw, &mut words, place, offer);
    if draw.chance(8) {
        words.extend(concatenation(draw, about, offer));
    }
    if strange && draw.chance(15) {
        words.push(odd(draw, place, about).to_owned());
    }
    words.truncate(4);
    words
}

/// What the packet alone does not decide, or what is not read.
fn odd(draw: &mut Draw, place: &Place, about: About) -> &'static str {
    let any = [
        "limit rate 1000000/second",
        "limit rate over 1000000/second",
        "quota over 100 mbytes",
        "numgen random mod 2 0",
        "meta length > 60",
        "meta pkttype host",
        "meta cpu 0",
        "meta day 1-5",
        "meta hour \"08:00\"-\"16:00\"",
        "@th,16,8 0",
    ];
    let own: &[&'static str] = match about {
        About { transport: Transport::Tcp, .. } => &["tcp sequence 1", "tcp window 1024"],
        About { transport: Transport::Udp, .. } => &["udp length 16"],
        About { version: 4, .. } => {
            &["ip dscp 0", "ip ttl 64", "ip length > 60", "ip protocol { tcp, udp }", "ip version 4"]
        }
        About { version: 6, .. } => &["ip6 hoplimit 64", "ip6 dscp 0", "ip6 nexthdr udp", "exthdr frag exists"],
        _ if place.early => &any,
        _ => &["fib saddr type local", "ct id 7", "ct count over 5", "meta iiftype ether"],
    };
    if draw.chance(50) { draw.one(own) } else { draw.one(&any) }
}

fn network(draw: &mut Draw, words: &mut Vec<String>, family: &str, about: About, offer: &Offer) {
    let About { version, transport } = about;
    let (name, kind) = match version {
        4 => ("ip", Kind::V4),
        6 => ("ip6", Kind::V6),
        _ => {
            if family == "inet" && transport != Transport::Icmp && transport != Transport::Icmp6 && draw.chance(15) {
                words.push(
                    draw.pick(&[
                        "meta nfproto ipv4",
                        "meta nfproto ipv6",
                        "meta protocol ip",
                        "meta protocol ip6",
                        "meta protocol { ip, ip6 }",
                    ])
                    .to_owned(),
                );
            }
            return;
        }
    };
    for (side, percent) in [("saddr", 55), ("daddr", 35)] {
        if draw.chance(percent) {
            let other = if side == "saddr" { comparison } else { equality };
            words.push(format!("{name} {side} {}", other(draw, kind, &offer.sets)));
        }
    }
    if version == 4 && draw.chance(4) {
        words.push(draw.pick(&["ip frag-off & 0x1fff != 0", "ip frag-off & 0x1fff == 0"]).to_owned());
    }
}

const FLAGS: [&str; 14] = [
    "tcp flags syn",
    "tcp flags & (fin|syn|rst|ack) == syn",
    "tcp flags & (fin | syn) != 0",
    "tcp flags { syn, ack, syn | ack }",
    "tcp flags != syn",
    "tcp flags == syn",
    "tcp flags syn / syn,ack",
    "tcp flags != syn / syn,ack",
    "tcp flags syn,ack",
    "tcp flags ! syn,rst",
    "tcp flags != { syn, ack }",
    "tcp flags & (syn | ack) != syn",
    "tcp flags & ack == 0",
    "tcp flags fin,psh,urg / fin,syn,rst,psh,ack,urg",
];
const ICMP: [&str; 7] = [
    "icmp type echo-request",
    "icmp type { echo-request, destination-unreachable }",
    "icmp type != 8",
    "icmp type 3 icmp code 1-4",
    "icmp code != 0",
    "icmp type destination-unreachable icmp code { 1, 3 }",
    "icmp type . icmp code { 3 . 1, 8 . 0 }",
];
const ICMP6: [&str; 6] = [
    "icmpv6 type echo-request",
    "icmpv6 type { echo-request, nd-neighbor-solicit, destination-unreachable }",
    "icmpv6 type != 128",
    "icmpv6 type 1 icmpv6 code 1-4",
    "icmpv6 code != 0",
    "icmpv6 type != { 1, 3-4, 128 }",
];

fn transport_words(draw: &mut Draw, words: &mut Vec<String>, transport: Transport, offer: &Offer) {
    let name = match transport {
        Transport::Any => {
            if draw.chance(20) {
                words.push(format!("meta l4proto {}", comparison(draw, Kind::Protocol, &offer.sets)));
            }
            return;
        }
        Transport::Icmp => return words.push(draw.pick(&ICMP).to_owned()),
        Transport::Icmp6 => return words.push(draw.pick(&ICMP6).to_owned()),
        Transport::Either => {
            words.push("meta l4proto { tcp, udp }".to_owned());
            "th"
        }
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    if draw.chance(65) {
        words.push(format!("{name} dport {}", comparison(draw, Kind::Port, &offer.sets)));
    }
    if draw.chance(25) {
        words.push(format!("{name} sport {}", equality(draw, Kind::Port, &offer.sets)));
    }
    if transport == Transport::Tcp && draw.chance(25) {
        words.push(draw.pick(&FLAGS).to_owned());
    }
}

const STATES: [&str; 10] = [
    "ct state new",
    "ct state established,related",
    "ct state { new, established }",
    "ct state != new",
    "ct state invalid",
    "ct state untracked",
    "ct state related",
    "ct state != { established, related }",
    "ct state != established,related",
    "ct state ! invalid,new",
];
const CONNECTIONS: [&str; 15] = [
    "ct direction original",
    "ct direction reply",
    "ct status assured",
    "ct status seen-reply",
    "ct status != assured",
    "ct mark 0",
    "ct mark != 0",
    "ct status confirmed",
    "ct status & (assured | seen-reply) == assured",
    "ct status ! assured",
    "ct status expected",
    "ct mark 7",
    "ct mark { 1, 7-8 }",
    "ct mark and 0xf == 1",
    "ct mark > 7",
];

/// Interfaces, marks, connections.
fn around(draw: &mut Draw, words: &mut Vec<String>, place: &Place, offer: &Offer) {
    if draw.chance(18) {
        words.push(format!("iifname {}", comparison(draw, Kind::Name, &offer.sets)));
    }
    if draw.chance(4) {
        words.push(format!("iif {}", draw.pick(&INTERFACES)));
    }
    if !place.early && draw.chance(12) {
        words.push(format!("oifname {}", comparison(draw, Kind::Name, &offer.sets)));
    }
    if draw.chance(6) {
        let side = draw.pick(&["saddr", "saddr", "daddr"]);
        words.push(format!("ether {side} {}", comparison(draw, Kind::Mac, &offer.sets)));
    }
    if place.family == "netdev" && draw.chance(4) {
        words.push(draw.pick(&["vlan id 5", "vlan id != 5", "vlan id { 1, 5-9 }", "ether type ip"]).to_owned());
    }
    if draw.chance(12) {
        words.push(format!("meta mark {}", comparison(draw, Kind::Mark, &offer.sets)));
    }
    if !place.early && draw.chance(20) {
        words.push(draw.pick(&STATES).to_owned());
    }
    if !place.early && draw.chance(5) {
        words.push(draw.pick(&CONNECTIONS).to_owned());
    }
}

/// Several fields as one, and keys that do not overlap.
pub fn several(draw: &mut Draw, about: About) -> Option<(String, Vec<String>)> {
    let mut fields = vec![("iifname", Kind::Name), ("meta mark", Kind::Mark), ("ether saddr", Kind::Mac)];
    match about.version {
        4 => fields.extend([("ip saddr", Kind::V4), ("ip daddr", Kind::V4)]),
        6 => fields.extend([("ip6 saddr", Kind::V6), ("ip6 daddr", Kind::V6)]),
        _ => {}
    }
    fields.extend(["dport", "sport"].into_iter().filter_map(|side| Some((about.port(side)?, Kind::Port))));
    let chosen: Vec<_> = (0..2 + draw.below(2)).map(|_| fields.remove(draw.below(fields.len()))).collect();
    let ranges = draw.chance(50);
    let keys = elements(draw, chosen[0].1, ranges).into_iter().map(|first| {
        let rest = chosen[1..].iter().map(|(_, kind)| elements(draw, *kind, ranges).swap_remove(0));
        [first].into_iter().chain(rest).collect::<Vec<_>>().join(" . ")
    });
    let keys = keys.collect();
    let names: Vec<_> = chosen.into_iter().map(|(name, _)| name).collect();
    Some((names.join(" . "), keys))
}

fn concatenation(draw: &mut Draw, about: About, offer: &Offer) -> Option<String> {
    let not = if draw.chance(25) { "!= " } else { "" };
    let plain = about.version == 4 && matches!(about.transport, Transport::Tcp | Transport::Udp);
    match offer.pairs.first().filter(|_| plain && draw.chance(50)) {
        Some(set) => Some(format!("ip {} . {} {not}@{set}", draw.pick(&["saddr", "daddr"]), about.port("dport")?)),
        None => several(draw, about).map(|(names, keys)| format!("{names} {not}{{ {} }}", keys.join(", "))),
    }
}
