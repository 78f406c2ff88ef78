//! A proposed rule as a line of a ruleset: the same packets, the same verdict.

use super::ban::is_ban;
use crate::packet::{AddressSpec, Bits, Cell, InterfacePattern, NO_MAC, NO_VLAN, Narrow, Protocol, Ranges, Wide};
use crate::rule::ruleset::{Condition, Line, Outcome, Unread, Verdict, name_number, name_range};
use crate::rule::{
    Action, ConnectionState, Direction, FamilyMatch, Landing, OneOf, Over, Rule, Translation, mark_bits,
};
use std::net::IpAddr;

/// The condition of a rule that holds for a time.
pub(super) const ENDS: &str = "it ends by itself";

/// What has bytes where a transport header would be: those of later fragments are read as well.
const BYTES: Bits = Bits::below(2);

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The lines that a rule stands for: one, or two where what is over a rate has a verdict of its own.
pub(super) fn lines(rule: &Rule) -> Vec<Line> {
    let conditions = conditions(rule);
    let line = |extra: Option<Condition>, outcome: Outcome| Line {
        handle: None,
        comment: Some(rule.id.to_string()),
        text: text(rule),
        conditions: conditions.iter().cloned().chain(extra).collect(),
        alters: Vec::new(),
        outcome,
    };
    let chance = || Condition::Chance("a rate".to_owned());
    let verdict = verdict(rule);
    match rule.rate_limit {
        None => vec![line(None, verdict)],
        // On a denial only what is over the rate is denied.
        Some(_) if rule.action.denies() || rule.action == Action::Log => vec![line(Some(chance()), verdict)],
        Some(limit) => {
            let over = if limit.over == Over::Reject { Verdict::Reject } else { Verdict::Drop };
            vec![line(Some(chance()), Outcome::Verdict(over)), line(None, verdict)]
        }
    }
}

fn verdict(rule: &Rule) -> Outcome {
    Outcome::Verdict(match rule.action {
        Action::Accept => Verdict::Accept,
        Action::Drop => Verdict::Drop,
        Action::Reject => Verdict::Reject,
        Action::Log => return Outcome::Next,
        Action::Dnat | Action::Snat | Action::Masquerade | Action::Redirect => Verdict::Translate(translation(rule)),
    })
}

/// What a rule makes of its packets, in nft's words.
fn translation(rule: &Rule) -> Translation {
    let nat = rule.nat.clone().unwrap_or_default();
    let family = match nat.address.map(|address| address.first()) {
        Some(IpAddr::V4(_)) => " ip",
        Some(IpAddr::V6(_)) => " ip6",
        None => "",
    };
    let address = nat.address.map(|address| address.to_string()).unwrap_or_default();
    let port = nat.port.map(|port| format!(":{port}")).unwrap_or_default();
    let to = if rule.nat.is_some() { " to " } else { "" };
    let text = format!("{}{family}{to}{address}{port}", rule.action);
    if !rule.action.leads() {
        return Translation::of_source(text);
    }
    let lands = |one: Option<u128>| one.map_or(Landing::Open, Landing::To);
    let address = match nat.address {
        // An interface's own address, of which nobody knows here.
        _ if rule.action == Action::Redirect => Landing::Open,
        None => Landing::Kept,
        Some(address) => lands(address.as_single().map(number)),
    };
    let port = nat.port.map_or(Landing::Kept, |port| lands(port.as_single().map(u128::from)));
    Translation { text, address, port }
}

/// What a line of a proposed rule is called.
pub(super) fn text(rule: &Rule) -> String {
    format!("{} (proposed rule {})", rule.action, rule.id)
}

fn conditions(rule: &Rule) -> Vec<Condition> {
    let mut all = vec![Condition::AnyOf(addresses(rule))];
    all.extend(spared(rule));
    all.extend(interfaces(Wide::InInterface, &rule.interface_in));
    all.extend(interfaces(Wide::OutInterface, &rule.interface_out));
    all.extend(transport(rule));
    if !rule.connection_state.is_any() {
        let states = rule.connection_state.items().iter().map(|s| *s as u8).collect();
        all.push(Condition::Narrow(Narrow::State, chosen(&rule.connection_state, states, Narrow::State.all())));
    }
    all.extend(others(rule));
    if rule.schedule.is_some() {
        all.push(Condition::Chance("a schedule".to_owned()));
    }
    if rule.ttl_seconds.is_some() {
        all.push(Condition::Chance(ENDS.to_owned()));
    }
    all
}

fn chosen<T>(list: &OneOf<T>, values: Bits, all: Bits) -> Bits {
    if list.is_negated() { all.minus(values) } else { values }
}

fn chosen_wide<T>(list: &OneOf<T>, values: Ranges, all: &Ranges) -> Ranges {
    if list.is_negated() { all.minus(&values) } else { values }
}

/// One product per address family, as far as the lists leave packets of it.
fn addresses(rule: &Rule) -> Vec<Cell> {
    let to = rule.nat.as_ref().and_then(|nat| nat.address);
    (0..2)
        .filter(|family| to.is_none_or(|address| u8::from(address.first().is_ipv6()) == *family))
        .filter(|family| match rule.family {
            FamilyMatch::Any => true,
            FamilyMatch::Ipv4 => *family == 0,
            FamilyMatch::Ipv6 => *family == 1,
        })
        .map(|family| {
            Cell::all()
                .with_narrow(Narrow::Family, Bits::single(family))
                .with_narrow(Narrow::Protocol, without_foreign(rule, family))
                .with_wide(Wide::Source, of_family(&rule.source_address, family))
                .with_wide(Wide::Destination, of_family(&rule.destination_address, family))
        })
        .filter(|cell| !cell.is_empty())
        .collect()
}

/// A protocol list means each family's own ICMP.
fn without_foreign(rule: &Rule, family: u8) -> Bits {
    match rule.protocol.is_any() || rule.protocol.is_negated() {
        true => Bits::ALL,
        false => Bits::ALL.minus(Bits::single(ICMP[usize::from(1 - family)].0)),
    }
}

/// ICMP that a host needs to stay reachable: AFO's denials leave it alone unless they name who is meant (RFC 4890, RFC 1191).
const NECESSARY: [&[(u8, u8)]; 2] = [&[(3, 3)], &[(1, 4), (130, 137), (143, 143)]];
const ICMP: [Protocol; 2] = [Protocol::ICMP, Protocol::ICMPV6];

/// What a denial leaves alone, as all the rest.
fn spared(rule: &Rule) -> Option<Condition> {
    let takes = rule.action.denies() || rule.rate_limit.is_some();
    let transport = !rule.source_port.is_any() || !rule.destination_port.is_any() || rule.tcp_flags.is_some();
    let icmp = ICMP.iter().any(|own| rule.protocol.matches(|p| p == own));
    let harmless = |state: &ConnectionState| matches!(state, ConnectionState::New | ConnectionState::Invalid);
    let states = &rule.connection_state;
    let tracked = !states.is_any() && !states.is_negated() && states.items().iter().all(harmless);
    if is_ban(rule)
        || !takes
        || !icmp
        || transport
        || tracked
        || !rule.icmp_type.is_any() && !rule.icmp_type.is_negated()
    {
        return None;
    }
    Some(Condition::AnyOf((0..2).flat_map(|family| rest_of_family(rule, family)).collect()))
}

fn rest_of_family(rule: &Rule, family: u8) -> Vec<Cell> {
    let all = Cell::all().with_narrow(Narrow::Family, Bits::single(family));
    let who = match rule.direction {
        Direction::Input => names(&rule.source_address, family),
        Direction::Output => names(&rule.destination_address, family),
        Direction::Forward => names(&rule.source_address, family) || names(&rule.destination_address, family),
    };
    if who {
        return vec![all];
    }
    let own = Bits::single(ICMP[usize::from(family)].0);
    let needed = |kind: u8| NECESSARY[usize::from(family)].iter().any(|(first, last)| (*first..=*last).contains(&kind));
    let others = all.clone().with_narrow(Narrow::Protocol, Bits::ALL.minus(own));
    let rest = Bits::ALL.iter().filter(|kind| !needed(*kind)).collect();
    let icmp = all.with_narrow(Narrow::Protocol, own).with_narrow(Narrow::Fragment, BYTES);
    vec![others, icmp.with_narrow(Narrow::IcmpType, rest)]
}

/// Whether a list names who is meant: networks of IPv4, single addresses of IPv6 (a network of IPv6 may hold the neighbours).
fn names(list: &OneOf<AddressSpec>, family: u8) -> bool {
    let own = || list.items().iter().filter(|a| u8::from(a.first().is_ipv6()) == family);
    let narrow = |a: &AddressSpec| if family == 0 { !a.is_everything() } else { a.as_single().is_some() };
    !list.is_negated() && own().next().is_some() && own().all(narrow)
}

fn of_family(list: &OneOf<AddressSpec>, family: u8) -> Ranges {
    let all = Ranges::one(0, if family == 0 { u128::from(u32::MAX) } else { u128::MAX });
    if list.is_any() {
        return Wide::Source.all();
    }
    let own = list.items().iter().filter(|a| u8::from(a.first().is_ipv6()) == family);
    chosen_wide(list, Ranges::of(own.map(|a| (number(a.first()), number(a.last())))), &all)
}

fn interfaces(field: Wide, list: &OneOf<InterfacePattern>) -> Option<Condition> {
    let range = |name: &InterfacePattern| match name.is_pattern() {
        true => name_range(name.stem()),
        false => Ranges::single(name_number(name.stem())),
    };
    let named = list.items().iter().fold(Ranges::none(), |all, name| all.or(&range(name)));
    (!list.is_any()).then(|| Condition::Wide(field, chosen_wide(list, named, &field.all())))
}

/// Protocol, ports, ICMP types and TCP flags, with what they imply.
fn transport(rule: &Rule) -> Vec<Condition> {
    let ports = !rule.source_port.is_any() || !rule.destination_port.is_any();
    let (icmp, flags) = (!rule.icmp_type.is_any(), rule.tcp_flags.is_some());
    let mut protocols = match rule.protocol.is_any() {
        true => Bits::ALL,
        false => chosen(&rule.protocol, rule.protocol.items().iter().map(|p| p.0).collect(), Bits::ALL),
    };
    let only = |values: &[Protocol]| values.iter().map(|p| p.0).collect::<Bits>();
    if ports {
        let named = if rule.protocol.is_any() { only(&[Protocol::TCP, Protocol::UDP]) } else { with_ports() };
        protocols = protocols.and(named);
    }
    if icmp {
        protocols = protocols.and(only(&[Protocol::ICMP, Protocol::ICMPV6]));
    }
    if flags {
        protocols = protocols.and(only(&[Protocol::TCP]));
    }
    let mut all = Vec::new();
    if protocols != Bits::ALL {
        all.push(Condition::Narrow(Narrow::Protocol, protocols));
    }
    if ports || icmp || flags {
        all.push(Condition::Narrow(Narrow::Fragment, BYTES));
    }
    for (field, list) in [(Wide::SourcePort, &rule.source_port), (Wide::DestinationPort, &rule.destination_port)] {
        let named = Ranges::of(list.items().iter().map(|p| (p.first().into(), p.last().into())));
        if !list.is_any() {
            all.push(Condition::Wide(field, chosen_wide(list, named, &field.all())));
        }
    }
    if icmp {
        all.push(icmp_types(rule));
    }
    if let Some(flags) = &rule.tcp_flags {
        let bits = |list: &[crate::rule::TcpFlag]| list.iter().fold(0u8, |bits, flag| bits | 1 << (*flag as u8));
        let (mask, set) = (bits(&flags.mask), bits(&flags.set));
        all.push(Condition::Narrow(Narrow::TcpFlags, Bits::ALL.iter().filter(|b| b & mask == set).collect()));
    }
    all
}

fn with_ports() -> Bits {
    Bits::ALL.iter().filter(|p| Protocol(*p).has_ports()).collect()
}

fn icmp_types(rule: &Rule) -> Condition {
    let of = |kind: u8, code: Option<u8>| {
        let codes = code.map_or(Bits::ALL, Bits::single);
        Cell::all().with_narrow(Narrow::IcmpType, Bits::single(kind)).with_narrow(Narrow::IcmpCode, codes)
    };
    let named: Vec<_> = rule.icmp_type.items().iter().map(|i| of(i.kind, i.code)).collect();
    if !rule.icmp_type.is_negated() {
        return Condition::AnyOf(named);
    }
    let outside = |left: Vec<Cell>, cell: &Cell| left.iter().flat_map(|part| part.minus(cell)).collect();
    Condition::AnyOf(named.iter().fold(vec![Cell::all()], outside))
}

/// Hardware addresses, VLANs and the mark; what only a backend knows is not understood.
fn others(rule: &Rule) -> Vec<Condition> {
    let mut all = Vec::new();
    if !rule.source_mac.is_any() {
        let named = Ranges::of(rule.source_mac.items().iter().map(|mac| (mac.to_number(), mac.to_number())));
        // A packet without hardware addresses is not from any but one.
        let there = Ranges::one(0, NO_MAC - 1);
        all.push(Condition::Wide(Wide::SourceMac, chosen_wide(&rule.source_mac, named, &there)));
    }
    if !rule.vlan.is_any() {
        let named = Ranges::of(rule.vlan.items().iter().map(|id| ((*id).into(), (*id).into())));
        let there = Ranges::one(0, NO_VLAN - 1);
        all.push(Condition::Wide(Wide::Vlan, chosen_wide(&rule.vlan, named, &there)));
    }
    if let Some(mark) = rule.mark {
        let values = Ranges::masked(mark.mask.into(), mark.value.into(), Wide::Mark.last());
        let bits = || mark_bits(Wide::Mark, mark.mask, mark.value, true);
        // No packet has a value that its mask leaves out.
        let none = || vec![Condition::Wide(Wide::Mark, Ranges::none())];
        all.extend(values.map(|values| vec![Condition::Wide(Wide::Mark, values)]).or_else(bits).unwrap_or_else(none));
    }
    for (name, value) in &rule.extra {
        all.push(Condition::Unread(Unread { text: format!("{name} {value}"), field: None }));
    }
    all
}
