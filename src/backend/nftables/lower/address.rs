//! Addresses, family by family: what a list means for IPv4 and what for IPv6.

use super::named;
use crate::backend::nftables::native::{Element, Key, Right, Set, SetKind, Statement, Value};
use crate::packet::{AddressSpec, Family, Protocol};
use crate::rule::{FamilyMatch, OneOf, Rule, Scope};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lists of more items become named sets: anonymous ones cost the kernel quadratic time.
pub(super) const WIDEST: usize = 64;

/// The families that a rule needs lines of its own for; `None` stands for one line that is for both.
pub(super) fn families(rule: &Rule) -> Vec<Option<Family>> {
    match rule.family {
        FamilyMatch::Ipv4 => vec![Some(Family::Ipv4)],
        FamilyMatch::Ipv6 => vec![Some(Family::Ipv6)],
        FamilyMatch::Any if splits(rule) => vec![Some(Family::Ipv4), Some(Family::Ipv6)],
        FamilyMatch::Any => vec![None],
    }
}

fn splits(rule: &Rule) -> bool {
    let addresses = !rule.source_address.is_any() || !rule.destination_address.is_any();
    let icmp = rule.protocol.items().iter().any(|p| [Protocol::ICMP, Protocol::ICMPV6].contains(p));
    let per_source = rule.rate_limit.is_some_and(|limit| limit.scope == Scope::Source);
    addresses || icmp || per_source || super::line::may_spare(rule)
}

/// What a list of addresses means within one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Everything,
    Nothing,
    In(Vec<(u128, u128)>),
    NotIn(Vec<(u128, u128)>),
}

pub(super) fn part(list: &OneOf<AddressSpec>, family: Family) -> Part {
    let spans = merged(list.items().iter().filter(|a| a.family() == family).map(|a| (bits(a.first()), bits(a.last()))));
    let top = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
    let all = spans == [(0, top)];
    match (list.is_any(), list.is_negated(), spans.is_empty()) {
        (true, ..) | (_, true, true) => Part::Everything,
        (_, true, _) if all => Part::Nothing,
        (_, true, _) => Part::NotIn(spans),
        (_, false, true) => Part::Nothing,
        _ if all => Part::Everything,
        _ => Part::In(spans),
    }
}

/// Sorted spans that neither overlap nor touch: what is listed twice would be refused by nft as a conflict.
pub(super) fn merged(spans: impl Iterator<Item = (u128, u128)>) -> Vec<(u128, u128)> {
    let mut sorted: Vec<_> = spans.collect();
    sorted.sort_unstable();
    let mut out: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
    for (first, last) in sorted {
        match out.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}

/// What a list of addresses holds of one family, each address once.
pub(in crate::backend::nftables) fn values(addresses: &[AddressSpec], family: Family) -> Vec<Value> {
    let own = addresses.iter().filter(|a| a.family() == family);
    let spans = merged(own.map(|a| (bits(a.first()), bits(a.last()))));
    spans.into_iter().map(|span| value(span, family)).collect()
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address(bits: u128, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(bits as u32)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

/// A span as nft writes it: an address, a network where it is one, else a range.
pub(super) fn value((first, last): (u128, u128), family: Family) -> Value {
    let (low, high) = (address(first, family), address(last, family));
    let spare = (first ^ last).count_ones() as u8;
    let aligned = (first ^ last).checked_add(1).is_none_or(u128::is_power_of_two) && first & (first ^ last) == 0;
    match IpNet::new(low, family.bits() - spare) {
        _ if first == last => Value::Address(low),
        Ok(net) if aligned => Value::Net(net),
        _ => Value::Range(Box::new(Value::Address(low)), Box::new(Value::Address(high))),
    }
}

/// The header that carries the addresses of a family.
pub(in crate::backend::nftables) fn header(family: Family) -> &'static str {
    if family == Family::Ipv4 { "ip" } else { "ip6" }
}

/// The match of `field` (saddr, daddr) against a part; none where everything matches.
pub(super) fn matching(
    field: &'static str,
    part: &Part,
    family: Family,
    sets: &mut Vec<(Set, Vec<Element>)>,
) -> Option<Statement> {
    let (spans, negated) = match part {
        Part::Everything | Part::Nothing => return None,
        Part::In(spans) => (spans, false),
        Part::NotIn(spans) => (spans, true),
    };
    let kind = if family == Family::Ipv4 { SetKind::Ipv4 } else { SetKind::Ipv6 };
    let values: Vec<Value> = spans.iter().map(|span| value(*span, family)).collect();
    let interval = spans.iter().any(|(first, last)| first != last);
    let right = list(values, "a", kind, interval, sets);
    Some(Statement::Match { key: Key::Payload(header(family), field), negated, right })
}

/// The right side for a list: the value itself, an anonymous set, or a named set where the list is wide.
pub(super) fn list(
    mut values: Vec<Value>,
    prefix: &str,
    kind: SetKind,
    interval: bool,
    sets: &mut Vec<(Set, Vec<Element>)>,
) -> Right {
    match values.len() {
        1 => Right::One(values.remove(0)),
        n if n <= WIDEST => Right::Any(values),
        _ => {
            let parts: Vec<String> = values.iter().map(Value::to_string).collect();
            let name = named(prefix, &parts);
            if !sets.iter().any(|(set, _)| set.name == name) {
                let elements = values.into_iter().map(Element::lasting).collect();
                sets.push((Set::fixed(name.clone(), kind, interval), elements));
            }
            Right::Set(name)
        }
    }
}
