//! The matches of a rule: for one address family, the alternatives that together are the rule's packets.

use super::Refused;
use super::address::{list, matching};
use crate::backend::meaning::{Part, icmp_of, merged, necessary, part, spares, taken};
use crate::backend::nftables::native::{Element, Key, Right, Set, SetKind, Statement, Value};
use crate::packet::{Family, IcmpType, InterfacePattern, PortRange, Protocol};
use crate::rule::{ConnectionState, OneOf, Rule, TcpFlag};
use nftables::expr::MetaKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Sets = Vec<(Set, Arc<[Element]>)>;

/// The alternatives of the rule within a family (`None`: in both at once); none where nothing of it is left there.
///
/// # Errors
/// When the rule asks for ICMP that must not be taken.
pub(super) fn matches(rule: &Rule, family: Option<Family>, sets: &mut Sets) -> Result<Vec<Vec<Statement>>, Refused> {
    let Some(network) = network(rule, family, sets) else {
        return Ok(Vec::new());
    };
    let mut first = interfaces(rule);
    first.extend(network);
    let last = conditions(rule);
    let transports = transports(rule, family, sets)?;
    Ok(transports.into_iter().map(|middle| [first.clone(), middle, last.clone()].concat()).collect())
}

/// A match that must hold.
pub(super) fn is(key: Key, right: Right) -> Statement {
    Statement::Match { key, negated: false, right }
}

fn interfaces(rule: &Rule) -> Vec<Statement> {
    let one = |key: MetaKey, names: &OneOf<InterfacePattern>| {
        let mut kept: Vec<&InterfacePattern> = names.items().iter().collect();
        kept.retain(|n| !names.items().iter().any(|o| o != *n && o.is_pattern() && o.matches(n.stem())));
        let texts: BTreeMap<String, Value> = kept
            .into_iter()
            .map(|n| (crate::backend::nftables::write::interface_text(n), Value::Interface(n.clone())))
            .collect();
        let mut values: Vec<Value> = texts.into_values().collect();
        let right = if values.len() == 1 { Right::One(values.remove(0)) } else { Right::Any(values) };
        (!names.is_any()).then_some(Statement::Match { key: Key::Meta(key), negated: names.is_negated(), right })
    };
    let both = [one(MetaKey::Iifname, &rule.interface_in), one(MetaKey::Oifname, &rule.interface_out)];
    both.into_iter().flatten().collect()
}

/// Family and addresses; nothing where the family holds no packet of the rule.
fn network(rule: &Rule, family: Option<Family>, sets: &mut Sets) -> Option<Vec<Statement>> {
    let Some(family) = family else {
        return Some(Vec::new());
    };
    let parts = [("saddr", part(&rule.source_address, family)), ("daddr", part(&rule.destination_address, family))];
    if parts.iter().any(|(_, part)| *part == Part::Nothing) {
        return None;
    }
    let mut out: Vec<Statement> =
        parts.iter().filter_map(|(field, part)| matching(field, part, family, sets)).collect();
    if out.is_empty() {
        let word = if family == Family::Ipv4 { "ipv4" } else { "ipv6" };
        out.push(is(Key::Meta(MetaKey::Nfproto), Right::One(Value::Word(word))));
    }
    Some(out)
}

fn transports(rule: &Rule, family: Option<Family>, sets: &mut Sets) -> Result<Vec<Vec<Statement>>, Refused> {
    if !rule.icmp_type.is_any() {
        return family.map_or(Ok(Vec::new()), |family| icmp_types(rule, family));
    }
    if !rule.source_port.is_any() || !rule.destination_port.is_any() {
        return Ok(vec![ports(rule, sets)]);
    }
    if rule.tcp_flags.is_some() {
        return Ok(vec![flags(rule)]);
    }
    Ok(match family {
        Some(family) if spares(rule, family) => spared(rule, family),
        _ => protocols(&rule.protocol, family).into_iter().collect(),
    })
}

pub(super) fn any_of(mut values: Vec<Value>) -> Right {
    if values.len() == 1 { Right::One(values.remove(0)) } else { Right::Any(values) }
}

fn l4proto(numbers: &BTreeSet<Protocol>, negated: bool) -> Statement {
    let values = numbers.iter().map(|p| Value::Protocol(*p)).collect();
    Statement::Match { key: Key::Meta(MetaKey::L4proto), negated, right: any_of(values) }
}

/// The match of the protocol list; nothing where only the other family's ICMP is in it.
fn protocols(list: &OneOf<Protocol>, family: Option<Family>) -> Option<Vec<Statement>> {
    let numbers = within(list, family);
    match (list.is_any(), numbers.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, true) => None,
        (false, false) => Some(vec![l4proto(&numbers, list.is_negated())]),
    }
}

/// The protocols listed, without the other family's ICMP where they are listed to match.
fn within(list: &OneOf<Protocol>, family: Option<Family>) -> BTreeSet<Protocol> {
    let foreign = match family {
        Some(Family::Ipv4) => Some(Protocol::ICMPV6),
        Some(Family::Ipv6) => Some(Protocol::ICMP),
        None => None,
    };
    list.items().iter().copied().filter(|p| list.is_negated() || Some(*p) != foreign).collect()
}

/// The protocols of a rule, but of ICMP only what nobody needs to stay reachable.
fn spared(rule: &Rule, family: Family) -> Vec<Vec<Statement>> {
    let icmp = icmp_of(family);
    let mut numbers = within(&rule.protocol, Some(family));
    let negated = rule.protocol.is_any() || rule.protocol.is_negated();
    let covered = rule.protocol.matches(|p| *p == icmp);
    if negated {
        numbers.insert(icmp);
    } else {
        numbers.remove(&icmp);
    }
    let others = (!numbers.is_empty()).then(|| vec![l4proto(&numbers, negated)]);
    let types = covered.then(|| vec![icmp_match(family, "type", necessary(family).to_vec(), true)]);
    others.into_iter().chain(types).collect()
}

fn number_values(spans: Vec<(u8, u8)>) -> Vec<Value> {
    let wide = spans.into_iter().map(|(first, last)| (u128::from(first), u128::from(last)));
    merged(wide).into_iter().map(|span| number_value(span.0 as u32, span.1 as u32)).collect()
}

fn number_value(first: u32, last: u32) -> Value {
    match first == last {
        true => Value::Number(first),
        false => Value::Range(Box::new(Value::Number(first)), Box::new(Value::Number(last))),
    }
}

fn icmp_match(family: Family, field: &'static str, spans: Vec<(u8, u8)>, negated: bool) -> Statement {
    let header = if family == Family::Ipv4 { "icmp" } else { "icmpv6" };
    Statement::Match { key: Key::Payload(header, field), negated, right: any_of(number_values(spans)) }
}

/// ICMP types of one family, each type that is given with codes in an alternative of its own.
fn icmp_types(rule: &Rule, family: Family) -> Result<Vec<Vec<Statement>>, Refused> {
    if !rule.protocol.items().contains(&icmp_of(family)) {
        return Ok(Vec::new());
    }
    let plain: BTreeSet<u8> = rule.icmp_type.items().iter().filter(|t| t.code.is_none()).map(|t| t.kind).collect();
    let mut spans: Vec<(u8, u8)> = plain.iter().map(|kind| (*kind, *kind)).collect();
    if rule.icmp_type.is_negated() {
        spans.extend(if spares(rule, family) { necessary(family) } else { &[] });
        return Ok(vec![vec![icmp_match(family, "type", spans, true)]]);
    }
    taken(rule, family)?;
    let mut coded: BTreeMap<u8, Vec<(u8, u8)>> = BTreeMap::new();
    for IcmpType { kind, code } in rule.icmp_type.items().iter().filter(|t| !plain.contains(&t.kind)) {
        coded.entry(*kind).or_default().extend(code.map(|code| (code, code)));
    }
    let lists = (!spans.is_empty()).then(|| vec![icmp_match(family, "type", spans, false)]);
    let pairs = coded.into_iter().map(|(kind, codes)| {
        vec![icmp_match(family, "type", vec![(kind, kind)], false), icmp_match(family, "code", codes, false)]
    });
    Ok(lists.into_iter().chain(pairs).collect())
}

/// Ports. Without a protocol they are TCP's and UDP's.
fn ports(rule: &Rule, sets: &mut Sets) -> Vec<Statement> {
    let listed: BTreeSet<Protocol> = rule.protocol.items().iter().copied().collect();
    let numbers = match listed.is_empty() {
        true if rule.tcp_flags.is_some() => BTreeSet::from([Protocol::TCP]),
        true => BTreeSet::from([Protocol::TCP, Protocol::UDP]),
        false => listed,
    };
    let single = numbers.first().copied().filter(|_| numbers.len() == 1);
    let header = single.map_or("th", port_header);
    let mut out = Vec::new();
    if single.is_none() {
        out.push(l4proto(&numbers, false));
    }
    for (field, list) in [("sport", &rule.source_port), ("dport", &rule.destination_port)] {
        out.extend(port_match(header, field, list, sets));
    }
    if rule.tcp_flags.is_some() {
        out.extend(flags(rule));
    }
    out
}

fn port_header(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::DCCP => "dccp",
        Protocol::SCTP => "sctp",
        Protocol::UDPLITE => "udplite",
        _ => "th",
    }
}

fn port_match(
    header: &'static str,
    field: &'static str,
    ports: &OneOf<PortRange>,
    sets: &mut Sets,
) -> Option<Statement> {
    let spans = merged(ports.items().iter().map(|p| (u128::from(p.first()), u128::from(p.last()))));
    let interval = spans.iter().any(|(first, last)| first != last);
    let values: Vec<Value> = spans.iter().map(|(first, last)| number_value(*first as u32, *last as u32)).collect();
    let matched = |right| Statement::Match { key: Key::Payload(header, field), negated: ports.is_negated(), right };
    (!values.is_empty()).then(|| matched(list(values, "p", SetKind::Service, interval, sets)))
}

/// The flags of TCP, which say that the packet is TCP's.
fn flags(rule: &Rule) -> Vec<Statement> {
    let words = |flags: &[TcpFlag]| -> Vec<&'static str> {
        let set: BTreeSet<&TcpFlag> = flags.iter().collect();
        set.into_iter().map(|flag| flag_word(*flag)).collect()
    };
    rule.tcp_flags
        .iter()
        .map(|flags| {
            let mask = Value::Flags(words(&flags.mask));
            let set = words(&flags.set);
            let right = if set.is_empty() { Value::Bits(0) } else { Value::Flags(set) };
            is(Key::Masked(Box::new(Key::Payload("tcp", "flags")), mask), Right::One(right))
        })
        .collect()
}

/// nft calls ECE by the name of what it signals (nft(8), TCP HEADER EXPRESSION).
fn flag_word(flag: TcpFlag) -> &'static str {
    if flag == TcpFlag::Ece { "ecn" } else { flag.as_str() }
}

/// Connection state, hardware address and mark.
fn conditions(rule: &Rule) -> Vec<Statement> {
    let states: BTreeSet<&ConnectionState> = rule.connection_state.items().iter().collect();
    let states: Vec<Value> = states.into_iter().map(|s| Value::Word(s.as_str())).collect();
    let macs = rule.source_mac.items().iter().map(|m| (m.0, Value::Mac(*m))).collect::<BTreeMap<_, _>>();
    let macs: Vec<Value> = macs.into_values().collect();
    let some = |key: Key, negated: bool, values: Vec<Value>| {
        (!values.is_empty()).then(|| Statement::Match { key, negated, right: any_of(values) })
    };
    let mark = rule.mark.map(|mark| {
        let key = Key::Meta(MetaKey::Mark);
        let masked = if mark.mask == u32::MAX { key } else { Key::Masked(Box::new(key), Value::Bits(mark.mask)) };
        is(masked, Right::One(Value::Bits(mark.value)))
    });
    [
        some(Key::Ct("state"), rule.connection_state.is_negated(), states),
        some(Key::Payload("ether", "saddr"), rule.source_mac.is_negated(), macs),
        mark,
    ]
    .into_iter()
    .flatten()
    .collect()
}
