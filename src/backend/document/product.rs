//! AFO's rules as products that such documents can say: a family, networks, one protocol, its ports or its type.

use crate::backend::external::lacking;
use crate::backend::meaning::{Part, contradictions, families, is_default, part, refuse, twice};
use crate::backend::{Capability, Refused, meaning};
use crate::packet::{AddressSpec, Family, IcmpType, PortRange, Protocol};
use crate::rule::{ConnectionState, Direction, OneOf, Position, Rule};
use ipnet::IpNet;

/// What a kind of document can say.
#[derive(Debug, Clone, Copy)]
pub(in crate::backend) struct Limits {
    /// The name of the backend.
    pub(in crate::backend) name: &'static str,
    pub(in crate::backend) capabilities: &'static [Capability],
    /// Whether a rule can ask for the address of the machine itself.
    pub(in crate::backend) near: bool,
    /// Which directions it denies what nothing decides in: a rule that denies everything there says nothing new.
    pub(in crate::backend) denies: &'static [Direction],
}

/// One product of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend) struct Product {
    pub(in crate::backend) family: Family,
    /// Networks; empty for any address of the family.
    pub(in crate::backend) sources: Vec<IpNet>,
    pub(in crate::backend) destinations: Vec<IpNet>,
    /// Nothing for all protocols.
    pub(in crate::backend) protocol: Option<Protocol>,
    /// Source ports; empty for any.
    pub(in crate::backend) from: Vec<(u16, u16)>,
    /// Destination ports; empty for any.
    pub(in crate::backend) to: Vec<(u16, u16)>,
    pub(in crate::backend) icmp: Option<IcmpType>,
}

/// Ranges of ports as such documents write them: `22`, `80-90`.
pub(in crate::backend) fn port_words(ranges: &[(u16, u16)]) -> Vec<String> {
    let word = |(first, last): &(u16, u16)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(word).collect()
}

/// The rules that are to be written, in their order, each with its products; one without any is there already.
///
/// # Errors
/// Every rule that cannot be had, with the reason.
pub(in crate::backend) fn products(rules: &[Rule], limits: &Limits) -> Result<Vec<(Rule, Vec<Product>)>, Vec<Refused>> {
    let mut refused = twice(rules);
    let order = meaning::ordered(rules).unwrap_or_else(|why| {
        refused.push(why);
        Vec::new()
    });
    let mut written = Vec::new();
    for rule in order.into_iter().filter(|rule| rule.enabled) {
        match of(rule, limits) {
            Ok(products) => written.push((rule.clone(), products)),
            Err(why) => refused.extend(why),
        }
    }
    if refused.is_empty() { Ok(written) } else { Err(refused) }
}

fn of(rule: &Rule, limits: &Limits) -> Result<Vec<Product>, Vec<Refused>> {
    // Hours are refused as such, whatever they are.
    let mut refused = contradictions(&Rule { schedule: None, ..rule.clone() });
    if is_default(rule) && limits.denies.contains(&rule.direction) && refused.is_empty() {
        return Ok(Vec::new());
    }
    let stateless = Rule { connection_state: OneOf::any(), position: Position::Auto, ..rule.clone() };
    refused.extend(lacking(&stateless, limits.capabilities, limits.name));
    refused.extend(near(rule, limits));
    refused.extend(lifetime(rule, limits));
    match state(rule, limits) {
        Err(why) => refused.push(why),
        Ok(false) if refused.is_empty() => return Ok(Vec::new()),
        Ok(_) => {}
    }
    if rule.protocol.is_negated() {
        let why = format!("{} names one protocol or all; list them", limits.name);
        refused.push(refuse(rule, "protocol", &rule.protocol, why));
    }
    refused.extend(other_ports(rule, limits));
    if !refused.is_empty() {
        return Err(refused);
    }
    let products: Vec<Product> = families_of(rule).into_iter().flat_map(|family| of_family(rule, family)).collect();
    match products.is_empty() {
        true => Err(vec![meaning::empty(
            rule,
            "no packet can match; its families, addresses and protocols exclude one another",
        )]),
        false => Ok(products),
    }
}

fn families_of(rule: &Rule) -> Vec<Family> {
    let all = families(rule).into_iter();
    all.flat_map(|family| family.map_or(vec![Family::Ipv4, Family::Ipv6], |family| vec![family])).collect()
}

/// Whether there is something to write; answers pass by themselves, so a rule that accepts only those is there already.
fn state(rule: &Rule, limits: &Limits) -> Result<bool, Refused> {
    use ConnectionState as S;
    let holds = |state: S| rule.connection_state.matches(|own| *own == state);
    if rule.connection_state.is_any() {
        return Ok(true);
    }
    let odd = holds(S::Invalid) || holds(S::Untracked);
    let answers = holds(S::Established) || holds(S::Related);
    match rule.action.denies() {
        // Of a connection that is let through nothing is denied any more, and every packet of another one is a new one.
        false if !odd && holds(S::New) => Ok(true),
        false if !odd && answers => Ok(false),
        true if !odd && !answers => Ok(true),
        _ => {
            let why =
                format!("{} keeps states by itself: answers pass, and a rule is asked of new connections", limits.name);
            Err(refuse(rule, "connection_state", &rule.connection_state, why))
        }
    }
}

fn near(rule: &Rule, limits: &Limits) -> Option<Refused> {
    let (field, list) = match rule.direction {
        Direction::Output => ("source_address", &rule.source_address),
        _ => ("destination_address", &rule.destination_address),
    };
    let why = format!("a rule of {} names the other end alone; leave `{field}` out", limits.name);
    (!limits.near && !list.is_any()).then(|| refuse(rule, field, list, why))
}

/// Ports of protocols of which such documents know none.
fn other_ports(rule: &Rule, limits: &Limits) -> Option<Refused> {
    let asks = !rule.source_port.is_any() || !rule.destination_port.is_any();
    let odd = rule.protocol.items().iter().find(|own| ![Protocol::TCP, Protocol::UDP].contains(own))?;
    let why = format!("{} asks for ports of tcp and udp alone", limits.name);
    asks.then(|| refuse(rule, "protocol", odd, why))
}

fn lifetime(rule: &Rule, limits: &Limits) -> Option<Refused> {
    let why = format!("{} has no rules that end by themselves; leave `ttl_seconds` out", limits.name);
    rule.ttl_seconds.map(|seconds| refuse(rule, "ttl_seconds", seconds, why))
}

fn of_family(rule: &Rule, family: Family) -> Vec<Product> {
    let (Some(sources), Some(destinations)) =
        (nets(&rule.source_address, family), nets(&rule.destination_address, family))
    else {
        return Vec::new();
    };
    let (from, to) = (spans(&rule.source_port), spans(&rule.destination_port));
    let asks_ports = !from.is_empty() || !to.is_empty();
    let other = if family == Family::Ipv4 { Protocol::ICMPV6 } else { Protocol::ICMP };
    let protocols: Vec<Option<Protocol>> = match rule.protocol.items() {
        [] if asks_ports => vec![Some(Protocol::TCP), Some(Protocol::UDP)],
        [] => vec![None],
        list => list.iter().filter(|protocol| **protocol != other).map(|protocol| Some(*protocol)).collect(),
    };
    let types: Vec<Option<IcmpType>> = match rule.icmp_type.items() {
        [] => vec![None],
        list => list.iter().map(|icmp| Some(*icmp)).collect(),
    };
    let product = |protocol, icmp| Product {
        family,
        sources: sources.clone(),
        destinations: destinations.clone(),
        protocol,
        from: from.clone(),
        to: to.clone(),
        icmp,
    };
    protocols.iter().flat_map(|protocol| types.iter().map(move |icmp| product(*protocol, *icmp))).collect()
}

/// The networks of a list within a family: empty for all; nothing where no address of it is meant.
fn nets(list: &OneOf<AddressSpec>, family: Family) -> Option<Vec<IpNet>> {
    let spans = match part(list, family) {
        Part::Everything => return Some(Vec::new()),
        Part::Nothing => return None,
        Part::In(spans) => spans,
        Part::NotIn(spans) => outside(&spans, family),
    };
    Some(spans.into_iter().flat_map(|span| cidrs(span, family)).collect())
}

fn outside(spans: &[(u128, u128)], family: Family) -> Vec<(u128, u128)> {
    let top = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
    let mut left = Vec::new();
    let mut next = Some(0);
    for (first, last) in spans {
        if let Some(start) = next.filter(|start| start < first) {
            left.push((start, first - 1));
        }
        next = last.checked_add(1).filter(|start| *start <= top);
    }
    left.extend(next.map(|start| (start, top)));
    left
}

/// The fewest networks that are a span together.
fn cidrs((first, last): (u128, u128), family: Family) -> Vec<IpNet> {
    let width = u32::from(family.bits());
    let (mut nets, mut at) = (Vec::new(), first);
    loop {
        // The largest network that begins here and does not end behind the span.
        let aligned = if at == 0 { width } else { at.trailing_zeros().min(width) };
        let left = (last - at).checked_add(1).map_or(128, u128::ilog2);
        let free = aligned.min(left);
        let length = u8::try_from(width - free).unwrap_or(u8::MAX);
        nets.extend(IpNet::new(meaning::address(at, family), length));
        let size = 1u128.checked_shl(free);
        match size.and_then(|size| at.checked_add(size)).filter(|next| *next <= last) {
            Some(next) => at = next,
            None => return nets,
        }
    }
}

/// The ports of a list as ranges that neither overlap nor touch; empty for any.
fn spans(list: &OneOf<PortRange>) -> Vec<(u16, u16)> {
    let spans = meaning::merged(list.items().iter().map(|range| (range.first().into(), range.last().into())));
    let narrow = |(first, last): (u128, u128)| (first as u16, last as u16);
    if !list.is_negated() {
        return spans.into_iter().map(narrow).collect();
    }
    let top = u128::from(u16::MAX);
    let mut left = Vec::new();
    let mut next = 0;
    for (first, last) in spans {
        if next < first {
            left.push((next, first - 1));
        }
        next = last + 1;
    }
    left.extend((next <= top).then_some((next, top)));
    left.into_iter().map(narrow).collect()
}

/// The number of an address, for tests of the arithmetic.
#[cfg(test)]
fn number(text: &str) -> u128 {
    meaning::bits(text.parse().expect(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_span_is_the_fewest_networks() {
        let said = |first: &str, last: &str, family| {
            let nets = cidrs((number(first), number(last)), family);
            nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(said("192.0.2.1", "192.0.2.6", Family::Ipv4), "192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32");
        assert_eq!(said("0.0.0.0", "255.255.255.255", Family::Ipv4), "0.0.0.0/0");
        assert_eq!(said("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Family::Ipv6), "::/0");
        assert_eq!(said("2001:db8::", "2001:db8::ff", Family::Ipv6), "2001:db8::/120");
    }

    proptest! {
        #[test]
        fn networks_of_a_span_hold_it_and_nothing_else(a in any::<u32>(), b in any::<u32>(), probe in any::<u32>()) {
            let (first, last) = (u128::from(a.min(b)), u128::from(a.max(b)));
            let nets = cidrs((first, last), Family::Ipv4);
            for number in [first, last, u128::from(probe), first.saturating_sub(1), (last + 1).min(u128::from(u32::MAX))] {
                let address = meaning::address(number, Family::Ipv4);
                prop_assert_eq!(nets.iter().any(|net| net.contains(&address)), (first..=last).contains(&number));
            }
        }
    }
}
