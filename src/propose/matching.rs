//! Traffic as the fields of a rule: protocols, ports, ICMP types, and what is left of all traffic without some of it.

use super::statement::Traffic;
use crate::packet::{IcmpType, PortRange, Protocol};
use crate::rule::{OneOf, Rule};

/// What a rule says of the transport header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Match {
    pub protocol: OneOf<Protocol>,
    pub source_port: OneOf<PortRange>,
    pub destination_port: OneOf<PortRange>,
    pub icmp_type: OneOf<IcmpType>,
}

impl Match {
    /// Writes itself into a rule.
    pub fn apply(&self, rule: &mut Rule) {
        rule.protocol = self.protocol.clone();
        rule.source_port = self.source_port.clone();
        rule.destination_port = self.destination_port.clone();
        rule.icmp_type = self.icmp_type.clone();
    }
}

/// ICMP that a host cannot do without (RFC 4890, 4.3 and 4.4; RFC 1191): "block icmp" does not mean it.
const NEEDED_V4: &[u8] = &[3];
const NEEDED_V6: &[u8] = &[1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 137, 143];

/// The rules' matches for `traffic`; one that matches everything when there is none. `denied`: what the host needs is left alone.
pub(super) fn matches(traffic: &[Traffic], denied: bool) -> Vec<Match> {
    if traffic.is_empty() {
        return vec![Match::default()];
    }
    let mut out: Vec<Match> = Vec::new();
    for part in traffic {
        for one in of(part, denied) {
            merge(&mut out, one);
        }
    }
    out
}

fn of(traffic: &Traffic, denied: bool) -> Vec<Match> {
    match traffic {
        Traffic::Icmp { v4, v6 } => {
            let both = [(Protocol::ICMP, v4), (Protocol::ICMPV6, v6)];
            both.into_iter()
                .filter(|(_, types)| !types.is_empty())
                .map(|(p, types)| icmp(p, OneOf::of(types.clone())))
                .collect()
        }
        Traffic::Flow { protocols, .. } if *protocols == [Protocol::ICMP] => {
            vec![all_icmp(Protocol::ICMP, denied), all_icmp(Protocol::ICMPV6, denied)]
        }
        Traffic::Flow { protocols, .. } if *protocols == [Protocol::ICMPV6] => vec![all_icmp(Protocol::ICMPV6, denied)],
        Traffic::Flow { protocols, ports, source_ports } => {
            let bare = protocols.is_empty();
            let protocols = if bare { vec![Protocol::TCP, Protocol::UDP] } else { protocols.clone() };
            vec![Match {
                protocol: OneOf::of(protocols),
                source_port: OneOf::of(source_ports.clone()),
                destination_port: OneOf::of(ports.clone()),
                icmp_type: OneOf::any(),
            }]
        }
    }
}

fn icmp(protocol: Protocol, icmp_type: OneOf<IcmpType>) -> Match {
    Match { protocol: OneOf::of(vec![protocol]), icmp_type, ..Match::default() }
}

fn all_icmp(protocol: Protocol, denied: bool) -> Match {
    let needed = if protocol == Protocol::ICMP { NEEDED_V4 } else { NEEDED_V6 };
    let types = needed.iter().map(|kind| IcmpType { kind: *kind, code: None }).collect();
    icmp(protocol, if denied { OneOf::none_of(types) } else { OneOf::any() })
}

/// Adds a match; ports of the same protocols become one list.
fn merge(out: &mut Vec<Match>, one: Match) {
    let same = |m: &Match| {
        let lists = !m.destination_port.is_any() && !one.destination_port.is_any();
        lists && m.protocol == one.protocol && m.source_port == one.source_port && m.icmp_type == one.icmp_type
    };
    match out.iter().position(same) {
        Some(at) => {
            let known = &mut out[at];
            let mut ports = known.destination_port.items().to_vec();
            ports.extend(one.destination_port.items().iter().filter(|p| !known.destination_port.items().contains(p)));
            known.destination_port = OneOf::of(ports);
        }
        None if !out.contains(&one) => out.push(one),
        None => {}
    }
}

/// All traffic of `base` (all there is when empty) without `except`; nothing where that cannot be said.
pub(super) fn without(base: &[Traffic], except: &[Traffic]) -> Option<Vec<Match>> {
    let holes = matches(except, false);
    if holes.iter().any(|hole| !hole.source_port.is_any()) {
        return None;
    }
    if base.is_empty() {
        return Some(complement(&holes));
    }
    let mut out = Vec::new();
    for one in matches(base, false) {
        let plain = !one.protocol.is_negated() && one.icmp_type.is_any();
        for protocol in one.protocol.items().iter().filter(|_| plain) {
            let hole = ports_of(&holes, *protocol);
            match hole {
                None => out.push(single(&one, *protocol, one.destination_port.clone())),
                Some(ports) if ports.is_empty() => {}
                Some(ports) if one.destination_port.is_any() => {
                    out.push(single(&one, *protocol, OneOf::none_of(ports)))
                }
                Some(ports) => {
                    let left = ports_minus(one.destination_port.items(), &ports);
                    if !left.is_empty() {
                        out.push(single(&one, *protocol, OneOf::of(left)));
                    }
                }
            }
        }
        if !plain {
            return None;
        }
    }
    Some(out).filter(|out| !out.is_empty() && *out != singles(&matches(base, false)))
}

/// Each match once for each of its protocols.
fn singles(list: &[Match]) -> Vec<Match> {
    let each = |one: &Match| -> Vec<Match> {
        one.protocol.items().iter().map(|p| single(one, *p, one.destination_port.clone())).collect()
    };
    list.iter().flat_map(each).collect()
}

fn single(one: &Match, protocol: Protocol, ports: OneOf<PortRange>) -> Match {
    Match { protocol: OneOf::of(vec![protocol]), destination_port: ports, ..one.clone() }
}

/// The ports that are excepted of a protocol: nothing where none is, empty where all are.
fn ports_of(holes: &[Match], protocol: Protocol) -> Option<Vec<PortRange>> {
    let mine: Vec<&Match> = holes.iter().filter(|h| h.protocol.items().contains(&protocol)).collect();
    match mine.iter().any(|h| h.destination_port.is_any()) {
        _ if mine.is_empty() => None,
        true => Some(Vec::new()),
        false => Some(mine.iter().flat_map(|h| h.destination_port.items().iter().copied()).collect()),
    }
}

/// Every packet that matches none of `holes`: other protocols, other ports, other ICMP types.
fn complement(holes: &[Match]) -> Vec<Match> {
    let mut named: Vec<Protocol> = holes.iter().flat_map(|h| h.protocol.items().iter().copied()).collect();
    named.sort_unstable();
    named.dedup();
    let mut out = vec![Match { protocol: OneOf::none_of(named.clone()), ..Match::default() }];
    for protocol in named {
        let mine: Vec<&Match> = holes.iter().filter(|h| h.protocol.items().contains(&protocol)).collect();
        if mine.iter().any(|h| h.destination_port.is_any() && h.icmp_type.is_any()) {
            continue;
        }
        let ports: Vec<PortRange> = mine.iter().flat_map(|h| h.destination_port.items().iter().copied()).collect();
        let types: Vec<IcmpType> = mine.iter().flat_map(|h| h.icmp_type.items().iter().copied()).collect();
        out.push(Match {
            protocol: OneOf::of(vec![protocol]),
            destination_port: OneOf::none_of(ports),
            icmp_type: OneOf::none_of(types),
            source_port: OneOf::any(),
        });
    }
    out
}

/// Ports of `from` in none of `holes`.
fn ports_minus(from: &[PortRange], holes: &[PortRange]) -> Vec<PortRange> {
    let mut left = from.to_vec();
    for hole in holes {
        left = left.iter().flat_map(|range| cut(*range, *hole)).collect();
    }
    left
}

fn cut(range: PortRange, hole: PortRange) -> Vec<PortRange> {
    if hole.last() < range.first() || range.last() < hole.first() {
        return vec![range];
    }
    let before = hole.first().checked_sub(1).and_then(|end| PortRange::new(range.first(), end).ok());
    let after = hole.last().checked_add(1).and_then(|start| PortRange::new(start, range.last()).ok());
    before.into_iter().chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::super::services::service;
    use super::*;

    fn shown(list: &[Match]) -> Vec<String> {
        list.iter().map(|m| format!("{} {} {}", m.protocol, m.destination_port, m.icmp_type)).collect()
    }

    fn all(names: &[&str]) -> Vec<Traffic> {
        names.iter().flat_map(|name| service(name).expect(name)).collect()
    }

    #[test]
    fn ports_of_one_protocol_are_one_match() {
        assert_eq!(
            shown(&matches(&all(&["http", "ssh", "https", "dns"]), false)),
            ["tcp 80,22,443 any", "tcp,udp 53 any"]
        );
        assert_eq!(shown(&matches(&[], true)), ["any any any"]);
    }

    #[test]
    fn blocked_icmp_leaves_what_is_needed() {
        let icmp = [Traffic::protocol(Protocol::ICMP)];
        assert_eq!(
            shown(&matches(&icmp, true)),
            ["icmp any !3", "icmpv6 any !1,2,3,4,130,131,132,133,134,135,136,137,143"]
        );
        assert_eq!(shown(&matches(&icmp, false)), ["icmp any any", "icmpv6 any any"]);
    }

    #[test]
    fn everything_but() {
        let but = |base: &[Traffic], except: &[&str]| shown(&without(base, &all(except)).expect("sayable"));
        assert_eq!(but(&[], &["ssh"]), ["!tcp any any", "tcp !22 any"]);
        assert_eq!(but(&[], &["dns", "https"]), ["!tcp,udp any any", "tcp !53,443 any", "udp !53 any"]);
        let ports = |text: &str| {
            vec![Traffic::Flow {
                protocols: vec![Protocol::TCP],
                ports: vec![text.parse().expect(text)],
                source_ports: vec![],
            }]
        };
        assert_eq!(but(&ports("20-25"), &["ssh"]), ["tcp 20-21,23-25 any"]);
        assert_eq!(but(&[Traffic::protocol(Protocol::TCP)], &["ssh"]), ["tcp !22 any"]);
        assert_eq!(without(&ports("22"), &all(&["ssh"])), None);
    }
}
