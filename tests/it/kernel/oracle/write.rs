//! Random rulesets over the whole model, as text that nft loads.

use super::draw::Draw;
use super::text::{Chain, Rule, Table, Text};
use super::values::{INTERFACES, Kind, comparison, elements, equality, value};

/// What a table offers to its rules.
#[derive(Debug, Default)]
struct Offer {
    sets: Vec<(String, Kind)>,
    /// Names of sets and maps whose keys are IPv4 address and port.
    pairs: Vec<String>,
    verdict_maps: Vec<(String, Kind)>,
    pair_maps: Vec<String>,
}

/// Where a rule stands.
#[derive(Debug, Clone)]
struct Place {
    family: &'static str,
    /// Chains that it may jump to.
    targets: Vec<String>,
    /// Whether a rejection may stand there.
    rejects: bool,
    /// Whether maps with a name may be asked: they lead to the last regular chain, which must not lead to itself.
    maps: bool,
}

/// How many rules and tables there are, and how odd they are.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub tables: usize,
    pub rules: usize,
    /// Out of a hundred rulesets, those with what is not decided by the packet alone.
    pub odd: usize,
}

pub fn ruleset(draw: &mut Draw, size: Size) -> Text {
    let count = 1 + draw.below(size.tables);
    let odd = draw.chance(size.odd);
    Text { tables: (0..count).map(|n| table(draw, n, size, odd)).collect() }
}

fn table(draw: &mut Draw, number: usize, size: Size, odd: bool) -> Table {
    let family = draw.pick(&["inet", "inet", "inet", "ip", "ip6", "netdev"]);
    let family: &'static str = ["inet", "ip", "ip6", "netdev"].into_iter().find(|f| *f == family).expect("one of them");
    let regular: Vec<_> = (0..draw.below(4)).map(|n| format!("c{n}")).collect();
    let (sets, offer) = sets(draw, family, &regular[regular.len().saturating_sub(1)..]);
    let mut chains = Vec::new();
    for (n, name) in regular.iter().enumerate() {
        let place = Place { family, targets: regular[n + 1..].to_vec(), rejects: false, maps: n + 1 < regular.len() };
        chains.push(Chain {
            name: name.clone(),
            base: String::new(),
            rules: rules(draw, size.rules / 2, &place, &offer, odd),
        });
    }
    for n in 0..1 + draw.below(3) {
        let hook = if family == "netdev" {
            "ingress"
        } else {
            draw.pick(&["prerouting", "input", "input", "forward", "forward", "output", "postrouting"])
        };
        let place = Place {
            family,
            targets: regular.clone(),
            rejects: matches!(hook, "input" | "forward" | "output"),
            maps: true,
        };
        let base = base(draw, hook);
        chains.push(Chain { name: format!("b{n}_{hook}"), base, rules: rules(draw, size.rules, &place, &offer, odd) });
    }
    Table { family, name: format!("t{number}"), sets, chains }
}

fn base(draw: &mut Draw, hook: &str) -> String {
    let kind = if hook == "output" && draw.chance(20) { "route" } else { "filter" };
    let device = if hook == "ingress" { format!("device \"{}\" ", draw.pick(&INTERFACES)) } else { String::new() };
    let priority = draw.pick(&["-150", "-10", "0", "0", "1", "50", "200"]);
    let policy = if draw.chance(25) { "drop" } else { "accept" };
    format!("type {kind} hook {hook} {device}priority {priority}; policy {policy};")
}

const KINDS: [(&str, Kind); 6] = [
    ("ipv4_addr", Kind::V4),
    ("ipv6_addr", Kind::V6),
    ("inet_service", Kind::Port),
    ("mark", Kind::Mark),
    ("ifname", Kind::Name),
    ("inet_proto", Kind::Protocol),
];

fn sets(draw: &mut Draw, family: &str, targets: &[String]) -> (Vec<String>, Offer) {
    let (mut text, mut offer) = (Vec::new(), Offer::default());
    for n in 0..draw.below(4) {
        let (word, kind) = draw.one(&KINDS);
        let intervals = draw.chance(60) && !matches!(kind, Kind::Name | Kind::Protocol);
        let flags = if intervals { " flags interval;" } else { "" };
        let body = elements(draw, kind, intervals).join(", ");
        text.push(format!("set s{n} {{ type {word};{flags} elements = {{ {body} }}; }}"));
        offer.sets.push((format!("s{n}"), kind));
    }
    if draw.chance(25) {
        let (word, kind) = draw.one(&KINDS[..5]);
        let intervals = draw.chance(50) && kind != Kind::Name;
        let flags = if intervals { " flags interval;" } else { "" };
        let body: Vec<_> =
            elements(draw, kind, intervals).into_iter().map(|e| format!("{e} : {}", target(draw, targets))).collect();
        text.push(format!("map vm {{ type {word} : verdict;{flags} elements = {{ {} }}; }}", body.join(", ")));
        offer.verdict_maps.push(("vm".to_owned(), kind));
    }
    if family != "ip6" && draw.chance(25) {
        let (flags, pairs) = pairs(draw, true);
        text.push(format!(
            "set pair {{ type ipv4_addr . inet_service;{flags} elements = {{ {} }}; }}",
            pairs.join(", ")
        ));
        offer.pairs.push("pair".to_owned());
    }
    if family != "ip6" && draw.chance(15) {
        let (flags, pairs) = pairs(draw, true);
        let body: Vec<_> = pairs.into_iter().map(|e| format!("{e} : {}", target(draw, targets))).collect();
        text.push(format!(
            "map pm {{ type ipv4_addr . inet_service : verdict;{flags} elements = {{ {} }}; }}",
            body.join(", ")
        ));
        offer.pair_maps.push("pm".to_owned());
    }
    (text, offer)
}

/// Elements of addresses and ports; their addresses do not overlap.
fn pairs(draw: &mut Draw, may_have_ranges: bool) -> (&'static str, Vec<String>) {
    let intervals = may_have_ranges && draw.chance(50);
    let mut all = Vec::new();
    for address in elements(draw, Kind::V4, intervals) {
        let ports = elements(draw, Kind::Port, intervals);
        all.push(format!("{address} . {}", ports[draw.below(ports.len())]));
    }
    (if intervals { " flags interval;" } else { "" }, all)
}

fn target(draw: &mut Draw, targets: &[String]) -> String {
    match draw.below(10) {
        0..=3 => "accept".to_owned(),
        4..=6 => "drop".to_owned(),
        7 if !targets.is_empty() => format!("jump {}", targets[draw.below(targets.len())]),
        8 if !targets.is_empty() => format!("goto {}", targets[draw.below(targets.len())]),
        9 => "continue".to_owned(),
        _ => "return".to_owned(),
    }
}

fn rules(draw: &mut Draw, most: usize, place: &Place, offer: &Offer, odd: bool) -> Vec<Rule> {
    (0..1 + draw.below(most.max(1))).map(|_| rule(draw, place, offer, odd)).collect()
}

/// The transport protocol that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Any,
    Tcp,
    Udp,
    Either,
    Icmp,
    Icmp6,
}

fn rule(draw: &mut Draw, place: &Place, offer: &Offer, odd: bool) -> Rule {
    let version = match place.family {
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
    let mut words = Vec::new();
    network(draw, &mut words, place.family, version, transport, offer);
    transport_words(draw, &mut words, transport, offer);
    around(draw, &mut words, place, offer);
    if version == 4 && matches!(transport, Transport::Tcp | Transport::Udp) && draw.chance(20) {
        words.push(concatenation(draw, transport, offer));
    }
    if odd && draw.chance(15) {
        let any = ["limit rate 1000000/second", "meta length > 60", "fib saddr type local"];
        let own: &[&str] = if version == 4 { &["ip dscp 0", "ip ttl 64"] } else { &any };
        let from = if draw.chance(50) { own } else { &any };
        words.push(draw.pick(from).to_owned());
    }
    words.truncate(4);
    statements(draw, &mut words);
    words.extend(verdict(draw, place, offer, version, transport));
    words
}

fn network(draw: &mut Draw, words: &mut Vec<String>, family: &str, version: u8, transport: Transport, offer: &Offer) {
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

const FLAGS: [&str; 10] = [
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
];
const ICMP: [&str; 6] = [
    "icmp type echo-request",
    "icmp type { echo-request, destination-unreachable }",
    "icmp type != 8",
    "icmp type 3 icmp code 1-4",
    "icmp code != 0",
    "icmp type destination-unreachable icmp code { 1, 3 }",
];
const ICMP6: [&str; 5] = [
    "icmpv6 type echo-request",
    "icmpv6 type { echo-request, nd-neighbor-solicit, destination-unreachable }",
    "icmpv6 type != 128",
    "icmpv6 type 1 icmpv6 code 1-4",
    "icmpv6 code != 0",
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
const CONNECTIONS: [&str; 8] = [
    "ct direction original",
    "ct direction reply",
    "ct status assured",
    "ct status seen-reply",
    "ct status != assured",
    "ct mark 0",
    "ct mark != 0",
    "ct status confirmed",
];

/// Interfaces, marks, connections.
fn around(draw: &mut Draw, words: &mut Vec<String>, place: &Place, offer: &Offer) {
    if draw.chance(18) {
        words.push(format!("iifname {}", comparison(draw, Kind::Name, &offer.sets)));
    }
    if draw.chance(4) {
        words.push(format!("iif {}", draw.pick(&INTERFACES)));
    }
    if place.family != "netdev" && draw.chance(12) {
        words.push(format!("oifname {}", comparison(draw, Kind::Name, &offer.sets)));
    }
    if draw.chance(12) {
        words.push(format!("meta mark {}", comparison(draw, Kind::Mark, &offer.sets)));
    }
    if place.family != "netdev" && draw.chance(20) {
        words.push(draw.pick(&STATES).to_owned());
    }
    if place.family != "netdev" && draw.chance(5) {
        words.push(draw.pick(&CONNECTIONS).to_owned());
    }
}

fn concatenation(draw: &mut Draw, transport: Transport, offer: &Offer) -> String {
    let name = if transport == Transport::Tcp { "tcp" } else { "udp" };
    let not = if draw.chance(25) { "!= " } else { "" };
    let right = match offer.pairs.first().filter(|_| draw.chance(60)) {
        Some(set) => format!("@{set}"),
        None => format!("{{ {} }}", pairs(draw, true).1.join(", ")),
    };
    format!("ip {} . {name} dport {not}{right}", draw.pick(&["saddr", "daddr"]))
}

fn statements(draw: &mut Draw, words: &mut Vec<String>) {
    for (percent, text) in [
        (15, "counter".to_owned()),
        (5, "log group 5".to_owned()),
        (10, format!("meta mark set {}", value(draw, Kind::Mark))),
    ] {
        if draw.chance(percent) {
            // What stands before a condition happens whether that holds or not.
            let at = if draw.chance(10) { draw.below(words.len() + 1) } else { words.len() };
            words.insert(at, text);
        }
    }
}

fn verdict(draw: &mut Draw, place: &Place, offer: &Offer, version: u8, transport: Transport) -> Option<String> {
    if draw.chance(10) {
        return map(draw, place, offer, version, transport);
    }
    Some(match draw.below(20) {
        0..=5 => "accept".to_owned(),
        6..=10 => "drop".to_owned(),
        11 => "return".to_owned(),
        12..=14 if !place.targets.is_empty() => format!("jump {}", place.targets[draw.below(place.targets.len())]),
        15 if !place.targets.is_empty() => format!("goto {}", place.targets[draw.below(place.targets.len())]),
        16 if place.rejects => "reject".to_owned(),
        17 => "continue".to_owned(),
        _ => return None,
    })
}

/// A verdict by a map.
fn map(draw: &mut Draw, place: &Place, offer: &Offer, version: u8, transport: Transport) -> Option<String> {
    let port = match transport {
        Transport::Tcp => Some("tcp dport"),
        Transport::Udp => Some("udp dport"),
        Transport::Either => Some("th dport"),
        _ => None,
    };
    let key = |kind: Kind| match kind {
        Kind::V4 if version == 4 => Some("ip saddr"),
        Kind::V6 if version == 6 => Some("ip6 daddr"),
        Kind::Port => port,
        Kind::Mark => Some("meta mark"),
        Kind::Name => Some("iifname"),
        _ => None,
    };
    let pair = port.filter(|port| version == 4 && *port != "th dport");
    if let (Some(port), Some(name), true) = (pair, offer.pair_maps.first(), place.maps && draw.chance(60)) {
        return Some(format!("ip saddr . {port} vmap @{name}"));
    }
    if let Some((name, kind)) = offer.verdict_maps.first().filter(|_| place.maps && draw.chance(50)) {
        return key(*kind).map(|key| format!("{key} vmap @{name}"));
    }
    if place.family != "netdev" && draw.chance(25) {
        let (a, b) = (target(draw, &place.targets), target(draw, &place.targets));
        return Some(format!("ct state vmap {{ established : {a}, invalid : drop, new : {b} }}"));
    }
    let kind = draw.one(&[Kind::V4, Kind::V6, Kind::Port, Kind::Mark, Kind::Name]);
    let key = key(kind)?;
    let body: Vec<_> =
        elements(draw, kind, true).into_iter().map(|e| format!("{e} : {}", target(draw, &place.targets))).collect();
    Some(format!("{key} vmap {{ {} }}", body.join(", ")))
}
