//! The packets of a rule within one family, as what lines of iptables can ask: parts that must all hold, each a list of
//! alternatives or of exceptions.

use super::ask::{Ask, End, What, mark};
use super::hook::Hook;
use crate::backend::Refused;
use crate::backend::meaning::{Part, To, icmp_of, merged, necessary, part, spares, taken};
use crate::packet::{AddressSpec, Family, IcmpType, InterfacePattern, PortRange, Protocol};
use crate::rule::{FamilyMatch, Hours, OneOf, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// Ports that one match takes; a range counts twice (XT_MULTI_PORTS, linux/netfilter/xt_multiport.h).
const MULTI: usize = 15;

/// Matches of one line, all of which must hold.
pub(super) type All = Vec<Ask>;

/// One part of what a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dim {
    /// One of these holds; no packet is in two of them.
    Any(Vec<All>),
    /// None of these holds.
    None(Vec<All>),
}

/// The parts of a rule within a family; nothing where no packet of the family can match. With `guarded` the rule leaves loopback
/// alone unless it names it.
///
/// # Errors
/// When the rule asks for ICMP that must not be taken.
pub(super) fn parts(rule: &Rule, family: Family, guarded: bool) -> Result<Option<Vec<Dim>>, Refused> {
    let other = if family == Family::Ipv4 { FamilyMatch::Ipv6 } else { FamilyMatch::Ipv4 };
    if rule.family == other || To::of(rule).family().is_some_and(|to| to != family) {
        return Ok(None);
    }
    let hook = Hook::of(rule);
    let (input, output) = (hook == Hook::Input, matches!(hook, Hook::Output | Hook::DstnatOutput | Hook::Srcnat));
    let mut parts: Vec<Dim> = Vec::new();
    parts.extend(interfaces(&rule.interface_in, guarded && input, What::In));
    parts.extend(interfaces(&rule.interface_out, guarded && output, What::Out));
    for (end, list) in [(End::Source, &rule.source_address), (End::Destination, &rule.destination_address)] {
        match addresses(end, list, family) {
            Some(part) => parts.extend(part),
            None => return Ok(None),
        }
    }
    match transports(rule, family)? {
        Some(transports) => parts.extend(transports),
        None => return Ok(None),
    }
    parts.extend(conditions(rule));
    Ok(Some(parts))
}

fn one(what: What) -> All {
    vec![Ask::that(what)]
}

/// Exceptions, each a single match; one alone is its opposite.
fn none_of(mut values: Vec<What>) -> Dim {
    match values.len() {
        1 => Dim::Any(vec![vec![Ask::not(values.remove(0))]]),
        _ => Dim::None(values.into_iter().map(one).collect()),
    }
}

fn interfaces(list: &OneOf<InterfacePattern>, guarded: bool, of: fn(InterfacePattern) -> What) -> Option<Dim> {
    let items = list.items();
    let covered = |n: &InterfacePattern| items.iter().any(|o| o != n && o.is_pattern() && o.matches(n.stem()));
    let mut kept: BTreeSet<InterfacePattern> = items.iter().filter(|n| !covered(n)).cloned().collect();
    let excluded = list.is_any() || list.is_negated();
    // Listed names that are not loopback never match it.
    if guarded && excluded && !kept.iter().any(|name| name.matches("lo")) {
        kept.extend("lo".parse::<InterfacePattern>());
    }
    let values: Vec<What> = kept.into_iter().map(of).collect();
    match (values.is_empty(), excluded) {
        (true, _) => None,
        (false, true) => Some(none_of(values)),
        (false, false) => Some(Dim::Any(values.into_iter().map(one).collect())),
    }
}

/// Nothing where no address of the family is listed; nothing inside where every one is.
fn addresses(end: End, list: &OneOf<AddressSpec>, family: Family) -> Option<Option<Dim>> {
    let what = |spans: Vec<(u128, u128)>| -> Vec<What> {
        spans.into_iter().map(|span| What::Address { end, span, family }).collect()
    };
    match part(list, family) {
        Part::Nothing => None,
        Part::Everything => Some(None),
        Part::In(spans) => Some(Some(Dim::Any(what(spans).into_iter().map(one).collect()))),
        Part::NotIn(spans) => Some(Some(none_of(what(spans)))),
    }
}

fn transports(rule: &Rule, family: Family) -> Result<Option<Vec<Dim>>, Refused> {
    if !rule.icmp_type.is_any() {
        return icmp_types(rule, family);
    }
    if !rule.source_port.is_any() || !rule.destination_port.is_any() {
        return Ok(Some(vec![Dim::Any(ports(rule, family))]));
    }
    if rule.tcp_flags.is_some() {
        let tcp = Ask::that(What::Protocol(Protocol::TCP, family));
        return Ok(Some(vec![Dim::Any(vec![[vec![tcp], flags(rule)].concat()])]));
    }
    let mut dims = match protocols(&rule.protocol, family) {
        Some(dims) => dims,
        None => return Ok(None),
    };
    if spares(rule, family) && rule.protocol.matches(|p| *p == icmp_of(family)) {
        spare(&mut dims, family);
    }
    Ok(Some(dims))
}

/// The protocols listed, without the other family's ICMP where they are listed to match; nothing where none is left.
fn protocols(list: &OneOf<Protocol>, family: Family) -> Option<Vec<Dim>> {
    let foreign = if family == Family::Ipv4 { Protocol::ICMPV6 } else { Protocol::ICMP };
    let kept: BTreeSet<Protocol> =
        list.items().iter().copied().filter(|p| list.is_negated() || *p != foreign).collect();
    let values: Vec<What> = kept.into_iter().map(|protocol| What::Protocol(protocol, family)).collect();
    match (list.is_any(), values.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, true) => None,
        (false, false) if list.is_negated() => Some(vec![none_of(values)]),
        (false, false) => Some(vec![Dim::Any(values.into_iter().map(one).collect())]),
    }
}

fn icmp(family: Family, kind: u8, code: Option<u8>) -> All {
    vec![Ask::that(What::Protocol(icmp_of(family), family)), Ask::that(What::Icmp { family, kind, code })]
}

/// Leaves the ICMP out that nobody may lose.
fn spare(dims: &mut Vec<Dim>, family: Family) {
    let kinds = necessary(family).iter().flat_map(|(first, last)| *first..=*last);
    dims.push(except(kinds.collect(), family, dims));
}

/// Types of ICMP as exceptions; a single one stands in the line where nothing but ICMP is meant.
fn except(kinds: BTreeSet<u8>, family: Family, dims: &[Dim]) -> Dim {
    let only = [Dim::Any(vec![one(What::Protocol(icmp_of(family), family))])];
    match (kinds.len(), kinds.first()) {
        (1, Some(kind)) if dims == only => {
            Dim::Any(vec![vec![Ask::not(What::Icmp { family, kind: *kind, code: None })]])
        }
        _ => Dim::None(kinds.into_iter().map(|kind| icmp(family, kind, None)).collect()),
    }
}

fn icmp_types(rule: &Rule, family: Family) -> Result<Option<Vec<Dim>>, Refused> {
    if !rule.protocol.items().contains(&icmp_of(family)) {
        return Ok(None);
    }
    let items = rule.icmp_type.items();
    let plain: BTreeSet<u8> = items.iter().filter(|t| t.code.is_none()).map(|t| t.kind).collect();
    if rule.icmp_type.is_negated() {
        let needed = necessary(family).iter().filter(|_| spares(rule, family));
        let kinds = plain.into_iter().chain(needed.flat_map(|(first, last)| *first..=*last)).collect();
        let mut dims = vec![Dim::Any(vec![one(What::Protocol(icmp_of(family), family))])];
        dims.push(except(kinds, family, &dims));
        return Ok(Some(dims));
    }
    taken(rule, family)?;
    let coded: BTreeSet<(u8, Option<u8>)> =
        items.iter().filter(|t| !plain.contains(&t.kind)).map(|IcmpType { kind, code }| (*kind, *code)).collect();
    let all = plain.into_iter().map(|kind| (kind, None)).chain(coded);
    Ok(Some(vec![Dim::Any(all.map(|(kind, code)| icmp(family, kind, code)).collect())]))
}

/// The protocols whose ports a rule means: those listed, else TCP's and UDP's.
pub(super) fn ported(rule: &Rule) -> BTreeSet<Protocol> {
    let listed: BTreeSet<Protocol> = rule.protocol.items().iter().copied().collect();
    match listed.is_empty() {
        true if rule.tcp_flags.is_some() => BTreeSet::from([Protocol::TCP]),
        true => BTreeSet::from([Protocol::TCP, Protocol::UDP]),
        false => listed,
    }
}

/// Ports by protocol. A protocol and its ports stand in one line.
fn ports(rule: &Rule, family: Family) -> Vec<All> {
    let mut out = Vec::new();
    for protocol in ported(rule) {
        for from in port_matches(protocol, End::Source, &rule.source_port) {
            for to in port_matches(protocol, End::Destination, &rule.destination_port) {
                out.push([one(What::Protocol(protocol, family)), from.clone(), to, flags(rule)].concat());
            }
        }
    }
    out
}

/// The alternatives of a list of ports; a negated one is a single alternative of several matches.
fn port_matches(protocol: Protocol, end: End, list: &OneOf<PortRange>) -> Vec<All> {
    let spans = merged(list.items().iter().map(|p| (u128::from(p.first()), u128::from(p.last()))));
    let spans: Vec<(u16, u16)> = spans.into_iter().map(|(first, last)| (first as u16, last as u16)).collect();
    let matches = slots(&spans).into_iter().map(|spans| What::Ports { protocol, end, spans });
    match (list.is_any(), list.is_negated()) {
        (true, _) => vec![Vec::new()],
        (false, true) => vec![matches.map(Ask::not).collect()],
        (false, false) => matches.map(one).collect(),
    }
}

/// Spans in groups that one match takes.
fn slots(spans: &[(u16, u16)]) -> Vec<Vec<(u16, u16)>> {
    let mut groups: Vec<Vec<(u16, u16)>> = Vec::new();
    let mut used = MULTI;
    for span in spans {
        let size = if span.0 == span.1 { 1 } else { 2 };
        match groups.last_mut().filter(|_| used + size <= MULTI) {
            Some(group) => group.push(*span),
            None => {
                groups.push(vec![*span]);
                used = 0;
            }
        }
        used += size;
    }
    groups
}

fn flags(rule: &Rule) -> All {
    let Some(flags) = &rule.tcp_flags else { return Vec::new() };
    let sorted = |flags: &[_]| flags.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    one(What::Flags { mask: sorted(&flags.mask), set: sorted(&flags.set) })
}

/// Connection state, hardware address, mark and hours.
fn conditions(rule: &Rule) -> Vec<Dim> {
    let mut dims = Vec::new();
    let states: BTreeSet<_> = rule.connection_state.items().iter().copied().collect();
    if !states.is_empty() {
        let what = What::State(states.into_iter().collect());
        dims.push(Dim::Any(vec![vec![Ask { what, negated: rule.connection_state.is_negated() }]]));
    }
    let macs: BTreeMap<_, _> = rule.source_mac.items().iter().map(|mac| (mac.0, What::Mac(*mac))).collect();
    if rule.source_mac.is_negated() {
        // A packet without a hardware address matches neither way, so each must be asked in the same line.
        dims.push(Dim::Any(vec![macs.into_values().map(Ask::not).collect()]));
    } else if !macs.is_empty() {
        dims.push(Dim::Any(macs.into_values().map(one).collect()));
    }
    dims.extend(rule.mark.map(|given| Dim::Any(vec![vec![mark(given)]])));
    dims.extend(rule.schedule.as_ref().map(|schedule| Dim::Any(schedule.hours().into_iter().map(hours).collect())));
    dims
}

fn hours(part: Hours) -> All {
    let seconds = |(first, last): (u16, u16)| (u32::from(first) * 60, u32::from(last) * 60 - 1);
    one(What::Time { days: part.days, seconds: part.minutes.map(seconds) })
}
