//! Addresses, family by family: what a list means for IPv4 and what for IPv6.

use super::may_spare;
use super::nat::To;
use crate::packet::{AddressSpec, Family, Protocol};
use crate::rule::{FamilyMatch, OneOf, Rule, Scope};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The families that a rule needs lines of its own for; `None` stands for one line that is for both.
pub(in crate::backend) fn families(rule: &Rule) -> Vec<Option<Family>> {
    match rule.family {
        FamilyMatch::Any if To::of(rule).addresses.is_some() => vec![To::of(rule).family()],
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
    addresses || icmp || per_source || may_spare(rule)
}

/// What a list of addresses means within one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend) enum Part {
    Everything,
    Nothing,
    In(Vec<(u128, u128)>),
    NotIn(Vec<(u128, u128)>),
}

pub(in crate::backend) fn part(list: &OneOf<AddressSpec>, family: Family) -> Part {
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

/// Sorted spans that neither overlap nor touch.
pub(in crate::backend) fn merged(spans: impl Iterator<Item = (u128, u128)>) -> Vec<(u128, u128)> {
    let mut sorted: Vec<_> = spans.collect();
    sorted.sort();
    let mut out: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
    for (first, last) in sorted {
        match out.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}

/// An address as the number that spans are of.
pub(in crate::backend) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address that a number of a span is.
pub(in crate::backend) fn address(bits: u128, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(bits as u32)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

/// The network that a span is, where it is one.
pub(in crate::backend) fn net((first, last): (u128, u128), family: Family) -> Option<IpNet> {
    let spare = (first ^ last).count_ones() as u8;
    let aligned = (first ^ last).checked_add(1).is_none_or(u128::is_power_of_two) && first & (first ^ last) == 0;
    IpNet::new(address(first, family), family.bits() - spare).ok().filter(|_| aligned)
}
