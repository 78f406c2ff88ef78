//! Rules that end by themselves: plain bans become elements of the block sets, others stand behind a switch that the kernel turns off.

use super::line::is;
use super::{Lowered, named};
use crate::backend::nftables::native::{Element, Key, Right, Set, SetKind, Statement, Value};
use crate::backend::nftables::scheme::block::{Ban, Block};
use crate::packet::{AddressSpec, Protocol};
use crate::rule::{Direction, OneOf, Rule};
use nftables::expr::MetaKey;
use std::net::IpAddr;

/// A rule of more port bans than this is a rule.
const MOST: usize = 64;

/// The bans that a rule comes to, where it drops addresses for a time and says nothing else.
pub(super) fn bans(rule: &Rule) -> Option<Vec<Block>> {
    let seconds = rule.ttl_seconds?;
    let plain = rule.is_plain_drop();
    let source = !rule.source_address.is_any() && rule.destination_address.is_any();
    let destination = !rule.destination_address.is_any() && rule.source_address.is_any();
    let ported = !rule.destination_port.is_any() || !rule.protocol.is_any();
    let bans = match rule.direction {
        _ if !plain => None,
        Direction::Input if source && ported => port_bans(rule),
        _ if ported => None,
        Direction::Input | Direction::Forward if source => nets(&rule.source_address, Ban::Source),
        Direction::Output | Direction::Forward if destination => nets(&rule.destination_address, Ban::Destination),
        _ => None,
    };
    Some(bans?.into_iter().map(|ban| Block { ban, seconds: Some(seconds) }).collect())
}

fn nets(list: &OneOf<AddressSpec>, ban: fn(ipnet::IpNet) -> Ban) -> Option<Vec<Ban>> {
    let net = |address: &AddressSpec| match address {
        AddressSpec::Net(net) if net.prefix_len() > 0 => Some(ban(*net)),
        _ => None,
    };
    if list.is_negated() { None } else { list.items().iter().map(net).collect() }
}

/// Single addresses, protocols and ports, all of them listed; only towards this host, because a forwarded packet's port may have been translated.
fn port_bans(rule: &Rule) -> Option<Vec<Ban>> {
    let lists = [rule.source_address.is_negated(), rule.protocol.is_negated(), rule.destination_port.is_negated()];
    let sources: Vec<IpAddr> =
        rule.source_address.items().iter().map(AddressSpec::as_single).collect::<Option<Vec<_>>>()?;
    let ports: Vec<u16> = rule.destination_port.items().iter().map(|p| p.as_single()).collect::<Option<Vec<_>>>()?;
    let both = [Protocol::TCP, Protocol::UDP];
    let protocols = if rule.protocol.is_any() { &both[..] } else { rule.protocol.items() };
    let count = sources.len().saturating_mul(ports.len()).saturating_mul(protocols.len());
    if lists.contains(&true) || ports.is_empty() || count > MOST {
        return None;
    }
    let mut out = Vec::with_capacity(count);
    for source in &sources {
        for protocol in protocols {
            out.extend(ports.iter().map(|port| Ban::Port(*source, *protocol, *port)));
        }
    }
    Some(out)
}

/// The match that turns a timed rule off when its time is over: the set holds both families until then. The set is the
/// rule's, whatever generation its lines stand in, so a change of policy does not wind its clock.
pub(super) fn guard(rule: &Rule, lowered: &mut Lowered) -> Vec<Statement> {
    let Some(seconds) = rule.ttl_seconds else {
        return Vec::new();
    };
    let name = named("ttl", [&rule.id]);
    let element = |word| Element { value: Value::Word(word), seconds: Some(seconds) };
    lowered.sets.push((Set::timed(name.clone(), SetKind::NfProto), [element("ipv4"), element("ipv6")].into()));
    vec![is(Key::Meta(MetaKey::Nfproto), Right::Set(name))]
}
