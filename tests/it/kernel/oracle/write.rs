//! Random rulesets over the whole model, as text that nft loads.

use super::conditions::{self, About, Transport};
use super::draw::Draw;
use super::text::{Chain, Rule, Table, Text};
use super::values::{INTERFACES, Kind, elements, value};

/// What a table offers to its rules.
#[derive(Debug, Default)]
pub struct Offer {
    pub sets: Vec<(String, Kind)>,
    /// Names of sets and maps whose keys are IPv4 address and port.
    pub pairs: Vec<String>,
    verdict_maps: Vec<(String, Kind)>,
    pair_maps: Vec<String>,
}

/// Where a rule stands.
#[derive(Debug, Clone)]
pub struct Place {
    pub family: &'static str,
    /// Whether it is before routing and connection tracking.
    pub early: bool,
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
        let place = Place {
            family,
            targets: regular[n + 1..].to_vec(),
            rejects: false,
            maps: n + 1 < regular.len(),
            early: family == "netdev",
        };
        chains.push(Chain {
            name: name.clone(),
            base: String::new(),
            rules: rules(draw, size.rules / 2, &place, &offer, odd),
        });
    }
    for n in 0..1 + draw.below(3) {
        let hook = match family {
            "netdev" => draw.pick(&["ingress", "ingress", "egress"]),
            "inet" if draw.chance(5) => "ingress",
            _ => draw.pick(&["prerouting", "input", "input", "forward", "forward", "output", "postrouting"]),
        };
        let place = Place {
            family,
            early: hook == "ingress" || hook == "egress",
            targets: regular.clone(),
            rejects: matches!(hook, "input" | "forward" | "output"),
            maps: true,
        };
        let base = base(draw, hook, family == "netdev");
        chains.push(Chain { name: format!("b{n}_{hook}"), base, rules: rules(draw, size.rules, &place, &offer, odd) });
    }
    Table { family, name: format!("t{number}"), sets, chains }
}

fn base(draw: &mut Draw, hook: &str, several: bool) -> String {
    let kind = if hook == "output" && draw.chance(20) { "route" } else { "filter" };
    let device = match hook {
        "ingress" | "egress" if several && draw.chance(25) => "devices = { eth0, wan0 } ".to_owned(),
        "ingress" | "egress" => format!("device \"{}\" ", draw.pick(&INTERFACES)),
        _ => String::new(),
    };
    let priority = draw.pick(&["-150", "-10", "0", "0", "1", "50", "200"]);
    let policy = if draw.chance(25) { "drop" } else { "accept" };
    format!("type {kind} hook {hook} {device}priority {priority}; policy {policy};")
}

const KINDS: [(&str, Kind); 7] = [
    ("ipv4_addr", Kind::V4),
    ("ipv6_addr", Kind::V6),
    ("inet_service", Kind::Port),
    ("mark", Kind::Mark),
    ("ifname", Kind::Name),
    ("inet_proto", Kind::Protocol),
    ("ether_addr", Kind::Mac),
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

fn rule(draw: &mut Draw, place: &Place, offer: &Offer, odd: bool) -> Rule {
    let about = About::draw(draw, place.family);
    let mut words = conditions::words(draw, place, offer, about, odd);
    statements(draw, &mut words, place, about);
    words.extend(verdict(draw, place, offer, about));
    // nft 1.0.6 lists `meta nfproto ipv6 reject with tcp reset` without the family.
    let of_family = words.iter().any(|word| word.starts_with("meta nfproto") || word.starts_with("meta protocol"));
    if let Some(last) = words.last_mut().filter(|last| of_family && *last == "reject with tcp reset") {
        *last = "reject".to_owned();
    }
    words
}

fn statements(draw: &mut Draw, words: &mut Vec<String>, place: &Place, about: About) {
    let tcp = about.transport == Transport::Tcp;
    for (percent, text) in [
        (15, "counter".to_owned()),
        (5, "log group 5".to_owned()),
        (10, format!("meta mark set {}", value(draw, Kind::Mark))),
        (1, "meta mark set meta mark or 0x10".to_owned()),
        (if tcp { 2 } else { 0 }, "meta mark set tcp dport map { 22 : 1, 80-443 : 7 }".to_owned()),
        (if place.early { 0 } else { 1 }, format!("ct mark set {}", value(draw, Kind::Mark))),
        (if about.version == 4 { 1 } else { 0 }, "ip dscp set 8".to_owned()),
    ] {
        if draw.chance(percent) {
            // What stands before a condition happens whether that holds or not.
            let at = if draw.chance(10) { draw.below(words.len() + 1) } else { words.len() };
            words.insert(at, text);
        }
    }
}

fn verdict(draw: &mut Draw, place: &Place, offer: &Offer, about: About) -> Option<String> {
    if draw.chance(12) {
        return map(draw, place, offer, about);
    }
    Some(match draw.below(20) {
        0..=5 => "accept".to_owned(),
        6..=10 => "drop".to_owned(),
        11 => "return".to_owned(),
        12..=14 if !place.targets.is_empty() => format!("jump {}", draw.one(&place.targets)),
        15 if !place.targets.is_empty() => format!("goto {}", draw.one(&place.targets)),
        16 if place.rejects => rejection(draw, place, about).to_owned(),
        17 => "continue".to_owned(),
        _ => return None,
    })
}

fn rejection(draw: &mut Draw, place: &Place, about: About) -> &'static str {
    match (draw.below(4), about) {
        (0, About { transport: Transport::Tcp, .. }) => "reject with tcp reset",
        (1, _) if place.family == "inet" => "reject with icmpx admin-prohibited",
        (2, About { version: 4, .. }) => "reject with icmp host-prohibited",
        (2, About { version: 6, .. }) => "reject with icmpv6 no-route",
        _ => "reject",
    }
}

/// A verdict by a map.
fn map(draw: &mut Draw, place: &Place, offer: &Offer, about: About) -> Option<String> {
    let port = about.port("dport");
    let key = |kind: Kind| match kind {
        Kind::V4 if about.version == 4 => Some("ip saddr"),
        Kind::V6 if about.version == 6 => Some("ip6 daddr"),
        Kind::Port => port,
        Kind::Mark => Some("meta mark"),
        Kind::Name => Some("iifname"),
        Kind::Mac => Some("ether saddr"),
        _ => None,
    };
    let pair = port.filter(|port| about.version == 4 && *port != "th dport");
    if let (Some(port), Some(name), true) = (pair, offer.pair_maps.first(), place.maps && draw.chance(60)) {
        return Some(format!("ip saddr . {port} vmap @{name}"));
    }
    if let Some((name, kind)) = offer.verdict_maps.first().filter(|_| place.maps && draw.chance(50)) {
        return key(*kind).map(|key| format!("{key} vmap @{name}"));
    }
    if draw.chance(30) {
        return named_values(draw, place, about);
    }
    let (key, keys) = match draw.chance(25) {
        true => conditions::several(draw, about)?,
        false => {
            let kind = draw.one(&[Kind::V4, Kind::V6, Kind::Port, Kind::Mark, Kind::Name, Kind::Mac]);
            (key(kind)?.to_owned(), elements(draw, kind, true))
        }
    };
    let body: Vec<_> = keys.into_iter().map(|e| format!("{e} : {}", target(draw, &place.targets))).collect();
    Some(format!("{key} vmap {{ {} }}", body.join(", ")))
}

/// A map whose keys are words.
fn named_values(draw: &mut Draw, place: &Place, about: About) -> Option<String> {
    let (a, b) = (target(draw, &place.targets), target(draw, &place.targets));
    Some(match draw.below(4) {
        0 if about.transport == Transport::Tcp => {
            format!("tcp flags vmap {{ syn : {a}, syn | ack : {b}, ack : drop }}")
        }
        1 => format!("meta l4proto vmap {{ tcp : {a}, udp : {b} }}"),
        2 if !place.early => format!("ct direction vmap {{ original : {a}, reply : {b} }}"),
        _ if !place.early => format!("ct state vmap {{ established : {a}, invalid : drop, new : {b} }}"),
        _ => return None,
    })
}
