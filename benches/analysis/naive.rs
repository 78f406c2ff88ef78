//! A peer: the plain search for a packet of each rule that no earlier rule takes, box by box, with nothing to make it fast.
//!
//! Of a piece of a rule the overlap with the earlier rule that takes most of it is cut out; a piece that no earlier rule meets has a
//! witness. What the audit finds dead must be dead here too.
//!
//! It knows of whole packets of IPv4 alone, as a search over five numbers does, and so finds rules dead that are not: `tcp dport 80` is a
//! rule for IPv6 as well, which no earlier rule with an address takes; a later fragment that ends before its ports would come is one of
//! `meta l4proto tcp`, and no earlier rule for ports takes it. [`survivor`] finds such a packet of each rule that the audit leaves alive,
//! and the evaluator says that it reaches the rule.

use super::classbench::{ANY, Five};
use afo::packet::Protocol;
use afo::rule::{Direction, Packet};
use std::net::IpAddr;

/// First and last value of source, destination, source port, destination port and protocol.
type Product = [(u64, u64); 5];
/// Cuts for one rule, at most.
const MOST: usize = 200_000;

fn product(rule: &Five) -> Product {
    let network = |(address, length): (std::net::Ipv4Addr, u8)| {
        let free = u64::from(u32::MAX).checked_shr(u32::from(length)).unwrap_or(0);
        let first = u64::from(address.to_bits()) & !free;
        (first, first | free)
    };
    let ported = matches!(rule.protocol, Some(6 | 17));
    let ports = |ports: (u16, u16)| if ported { ports } else { ANY };
    let span = |(first, last): (u16, u16)| (u64::from(first), u64::from(last));
    [
        network(rule.source),
        network(rule.destination),
        span(ports(rule.source_port)),
        span(ports(rule.destination_port)),
        rule.protocol.map_or((0, 255), |number| (number.into(), number.into())),
    ]
}

fn both(a: &Product, b: &Product) -> Option<Product> {
    let mut both = *a;
    for (own, other) in both.iter_mut().zip(b) {
        *own = (own.0.max(other.0), own.1.min(other.1));
        if own.0 > own.1 {
            return None;
        }
    }
    Some(both)
}

fn size(product: &Product) -> f64 {
    product.iter().map(|(first, last)| (last - first + 1) as f64).product()
}

/// What of a rule no earlier one takes: a piece of it, or none. Nothing where that was not found out.
fn left<'p>(own: Product, earlier: impl Iterator<Item = &'p Product>) -> Option<Option<Product>> {
    let met: Vec<_> = earlier.filter(|other| both(&own, other).is_some()).collect();
    let (mut pieces, mut cuts) = (vec![own], 0);
    while let Some(mut piece) = pieces.pop() {
        let overlaps = met.iter().filter_map(|other| both(&piece, other));
        let Some(taken) = overlaps.max_by(|a, b| size(a).total_cmp(&size(b))) else { return Some(Some(piece)) };
        for field in 0..5 {
            let ((first, last), (from, to)) = (piece[field], taken[field]);
            for rest in [(first < from).then(|| (first, from - 1)), (to < last).then(|| (to + 1, last))] {
                pieces.extend(rest.map(|rest| {
                    let mut left = piece;
                    left[field] = rest;
                    left
                }));
            }
            piece[field] = taken[field];
        }
        cuts += 1;
        if cuts > MOST {
            return None;
        }
    }
    Some(None)
}

/// The rules that are dead, and of how many that was not found out.
pub fn dead(rules: &[Five]) -> (Vec<usize>, usize) {
    let products: Vec<_> = rules.iter().map(product).collect();
    let (mut dead, mut open) = (Vec::new(), 0);
    for n in 0..products.len() {
        match left(products[n], products[..n].iter()) {
            Some(None) => dead.push(n),
            Some(Some(_)) => {}
            None => open += 1,
        }
    }
    (dead, open)
}

/// A packet that comes to a rule and is none of the search's: of IPv6, or a later fragment of IPv4 without bytes where ports would be.
/// Of both kinds only some rules are rules.
pub fn survivor(rules: &[Five], rule: usize) -> Option<Packet> {
    let is_v6 = |rule: &Five| {
        let asks = rule.protocol.is_some() || rule.source_port != ANY || rule.destination_port != ANY;
        rule.source.1 == 0 && rule.destination.1 == 0 && asks
    };
    let is_short = |rule: &Five| rule.source_port == ANY && rule.destination_port == ANY;
    let found = |of: &dyn Fn(&Five) -> bool| {
        let earlier: Vec<_> = rules[..rule].iter().filter(|rule| of(rule)).map(product).collect();
        of(&rules[rule]).then(|| left(product(&rules[rule]), earlier.iter())).flatten().flatten()
    };
    let number = |(first, _): (u64, u64)| first as u16;
    let packet = |piece: Product, ends: [IpAddr; 2]| Packet {
        interface_in: Some("eth0".to_owned()),
        interface_out: Some("eth1".to_owned()),
        ..Packet::between(
            Direction::Forward,
            (ends[0], number(piece[2])).into(),
            (ends[1], number(piece[3])).into(),
            Protocol(piece[4].0 as u8),
        )
    };
    let v6 = || {
        let ends = ["2001:db8::1", "2001:db8::2"].map(|end| end.parse().expect("an address"));
        found(&is_v6).map(|piece| packet(piece, ends))
    };
    let v4 = |n: u64| IpAddr::from(std::net::Ipv4Addr::from_bits(n as u32));
    let short = || {
        found(&is_short).map(|piece| Packet {
            fragment: true,
            short: true,
            ..packet(piece, [v4(piece[0].0), v4(piece[1].0)])
        })
    };
    v6().or_else(short)
}
