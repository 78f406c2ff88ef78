//! The lockout guard: which flow of the administrator's a rule would cut. It errs on the side of refusing: what it does not
//! know of a packet counts as matching.

use crate::packet::{AddressSpec, Bits, Cell, Family, IcmpType, Narrow, PortRange, Protocol, Ranges, Wide};
use crate::rule::{Action, ConnectionState, Direction, FamilyMatch, OneOf, Rule};
use std::net::IpAddr;

/// Packets that must get through. What is not known matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// What it is, in words: "the ssh session from 192.0.2.7".
    pub what: String,
    pub direction: Direction,
    pub source: Option<AddressSpec>,
    pub destination: Option<AddressSpec>,
    pub protocol: Protocol,
    pub source_port: Option<PortRange>,
    pub destination_port: Option<PortRange>,
    /// The types of its packets, where they are of ICMP.
    pub icmp: &'static [u8],
}

impl Flow {
    /// Its packets: those that begin it and those that follow, whole and not fragments.
    pub fn packets(&self) -> Cell {
        let states = self.states();
        let types = if self.icmp.is_empty() { Bits::ALL } else { self.icmp.iter().copied().collect() };
        let mut cell = Cell::all()
            .with_narrow(Narrow::IcmpType, types)
            .with_narrow(Narrow::Family, self.families())
            .with_narrow(Narrow::Protocol, Bits::single(self.protocol.0))
            .with_narrow(Narrow::State, states.iter().map(|state| *state as u8).collect())
            .with_narrow(Narrow::Fragment, Bits::single(0));
        for (field, address) in [(Wide::Source, self.source), (Wide::Destination, self.destination)] {
            if let Some(address) = address {
                cell.keep_wide(field, &Ranges::one(number(address.first()), number(address.last())));
            }
        }
        for (field, port) in [(Wide::SourcePort, self.source_port), (Wide::DestinationPort, self.destination_port)] {
            if let Some(port) = port {
                cell.keep_wide(field, &Ranges::one(port.first().into(), port.last().into()));
            }
        }
        cell
    }

    /// Neighbour discovery belongs to no connection (nf_conntrack_proto_icmpv6.c).
    fn states(&self) -> [ConnectionState; 2] {
        match self.icmp.is_empty() {
            true => [ConnectionState::New, ConnectionState::Established],
            false => [ConnectionState::New, ConnectionState::Untracked],
        }
    }

    fn families(&self) -> Bits {
        if self.protocol == Protocol::ICMPV6 {
            return Bits::single(1);
        }
        match self.source.or(self.destination).map(|address| address.family()) {
            Some(Family::Ipv4) => Bits::single(0),
            Some(Family::Ipv6) => Bits::single(1),
            None => Bits::below(2),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A rule that would cut a flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    pub rule: &'a Rule,
    pub flow: &'a Flow,
}

/// The first of `rules` that may deny packets of one of `flows`, or make a new connection of it another one.
pub fn first_hit<'a>(rules: &'a [Rule], flows: &'a [Flow]) -> Option<Hit<'a>> {
    let harmful = rules.iter().filter(|rule| rule.enabled && (may_deny(rule) || may_divert(rule)));
    harmful.flat_map(|rule| flows.iter().map(move |flow| Hit { rule, flow })).find(|hit| may_match(hit.rule, hit.flow))
}

/// Whether a rule keeps packets from their way; one with a limit does so beyond its rate, whatever its action.
fn may_deny(rule: &Rule) -> bool {
    rule.action.denies() || rule.rate_limit.is_some()
}

/// Whether a rule leads packets elsewhere, or gives what this host sends another address. A masquerade gives it one of this host's, and
/// what only passes through is no flow of the administrator's.
fn may_divert(rule: &Rule) -> bool {
    rule.action.leads() || rule.action == Action::Snat && rule.direction == Direction::Output
}

/// Whether the packets of a flow come to a rule at all. What comes in is led elsewhere before it is known whether it is for this host.
fn comes_to(rule: &Rule, flow: &Flow) -> bool {
    rule.direction == flow.direction
        || rule.action.leads() && rule.direction == Direction::Forward && flow.direction == Direction::Input
}

fn may_match(rule: &Rule, flow: &Flow) -> bool {
    comes_to(rule, flow)
        && family_matches(rule.family, flow)
        && addresses_match(&rule.source_address, flow.source)
        && addresses_match(&rule.destination_address, flow.destination)
        && rule.protocol.matches(|p| *p == flow.protocol)
        && ports_match(&rule.source_port, flow.source_port)
        && ports_match(&rule.destination_port, flow.destination_port)
        && types_match(rule, flow)
        && states_match(rule, flow)
}

fn family_matches(family: FamilyMatch, flow: &Flow) -> bool {
    let of_icmp = (flow.protocol == Protocol::ICMPV6).then_some(Family::Ipv6);
    let of_flow = of_icmp.or_else(|| flow.source.or(flow.destination).map(|a| a.family()));
    match family {
        FamilyMatch::Any => true,
        FamilyMatch::Ipv4 => of_flow != Some(Family::Ipv6),
        FamilyMatch::Ipv6 => of_flow != Some(Family::Ipv4),
    }
}

fn addresses_match(list: &OneOf<AddressSpec>, flow: Option<AddressSpec>) -> bool {
    let Some(flow) = flow else { return true };
    let inside = |item: &AddressSpec| item.contains(flow.first()) && item.contains(flow.last());
    match list.is_negated() {
        true => !list.items().iter().any(inside),
        false => list.matches(|item| item.overlaps(&flow)),
    }
}

fn ports_match(list: &OneOf<PortRange>, flow: Option<PortRange>) -> bool {
    let Some(flow) = flow else { return true };
    let inside = |item: &PortRange| item.contains(flow.first()) && item.contains(flow.last());
    match list.is_negated() {
        true => !list.items().iter().any(inside),
        false => list.matches(|item| item.first() <= flow.last() && flow.first() <= item.last()),
    }
}

fn types_match(rule: &Rule, flow: &Flow) -> bool {
    let of = |kind: u8| {
        let is = |item: &IcmpType| item.kind == kind;
        match rule.icmp_type.is_negated() {
            true => !rule.icmp_type.items().iter().any(|item| is(item) && item.code.is_none()),
            false => rule.icmp_type.is_any() || rule.icmp_type.items().iter().any(is),
        }
    };
    if flow.icmp.is_empty() { rule.icmp_type.is_any() } else { flow.icmp.iter().copied().any(of) }
}

/// A session has new and established packets. A limit on new ones alone leaves those that are there alone.
fn states_match(rule: &Rule, flow: &Flow) -> bool {
    let [first, other] = flow.states().map(|state| rule.connection_state.matches(|s| *s == state));
    other || (first && rule.rate_limit.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse;

    fn rule(fields: &str) -> Rule {
        let line = format!(
            r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{{"id":"r","direction":"input",{fields}}}]}}"#
        );
        let proposal: crate::record::Proposal = parse(&line).expect(fields);
        proposal.rules[0].clone()
    }

    fn ssh() -> Flow {
        Flow {
            what: "the ssh session from 192.0.2.7".into(),
            direction: Direction::Input,
            source: "192.0.2.7".parse().ok(),
            destination: "198.51.100.10".parse().ok(),
            protocol: Protocol::TCP,
            source_port: None,
            destination_port: "22".parse().ok(),
            icmp: &[],
        }
    }

    #[test]
    fn every_way_to_cut_the_session_is_seen() {
        for fields in [
            r#""action":"drop""#,
            r#""action":"reject","source_address":["192.0.2.0/24"]"#,
            r#""action":"drop","source_address":["!198.51.100.0/24"]"#,
            r#""action":"drop","protocol":["tcp"],"destination_port":["1-1024"]"#,
            r#""action":"drop","destination_port":["!80"]"#,
            r#""action":"drop","connection_state":["established"]"#,
            r#""action":"drop","interface_in":["eth0"]"#,
            r#""action":"drop","connection_state":["new"]"#,
            r#""action":"accept","destination_port":["22"],"rate_limit":{"count":6,"per":"minute"}"#,
            r#""action":"drop","family":"ipv4""#,
        ] {
            assert!(first_hit(&[rule(fields)], &[ssh()]).is_some(), "{fields}");
        }
    }

    #[test]
    fn the_packets_of_a_flow_are_of_both_states_and_of_its_family() {
        let cell = ssh().packets();
        assert_eq!((cell.narrow(Narrow::Family), cell.narrow(Narrow::State).len()), (Bits::single(0), 2));
        assert_eq!(*cell.wide(Wide::Source), Ranges::single(u32::from_be_bytes([192, 0, 2, 7]).into()));
        assert_eq!(
            (cell.wide(Wide::DestinationPort), cell.wide(Wide::SourcePort).contains(1)),
            (&Ranges::single(22), true)
        );
        let any = Flow { source: None, destination: None, ..ssh() };
        assert_eq!(any.packets().narrow(Narrow::Family), Bits::below(2));
    }

    #[test]
    fn neighbour_discovery_is_its_types_and_belongs_to_no_connection() {
        let discovery = Flow {
            what: "neighbour discovery".into(),
            source: None,
            destination: None,
            destination_port: None,
            protocol: Protocol::ICMPV6,
            icmp: &[135, 136],
            ..ssh()
        };
        for (fields, hits) in [
            (r#""action":"drop","protocol":["icmpv6"]"#, true),
            (r#""action":"drop","protocol":["icmpv6"],"icmp_type":["136"]"#, true),
            (r#""action":"drop","protocol":["icmpv6"],"icmp_type":["!135","128"]"#, true),
            (r#""action":"drop","connection_state":["untracked"]"#, true),
            (r#""action":"drop","family":"ipv6""#, true),
            (r#""action":"drop","family":"ipv4""#, false),
            (r#""action":"drop","protocol":["icmpv6"],"icmp_type":["128"]"#, false),
            (r#""action":"drop","protocol":["icmpv6"],"icmp_type":["!135","136"]"#, false),
            (r#""action":"drop","connection_state":["established"]"#, false),
        ] {
            assert_eq!(first_hit(&[rule(fields)], std::slice::from_ref(&discovery)).is_some(), hits, "{fields}");
        }
        let cell = discovery.packets();
        assert_eq!((cell.narrow(Narrow::Family), cell.narrow(Narrow::IcmpType).len()), (Bits::single(1), 2));
        assert!(cell.narrow(Narrow::State).contains(ConnectionState::Untracked as u8));
    }

    #[test]
    fn what_leaves_the_session_alone_passes() {
        for fields in [
            r#""action":"accept""#,
            r#""action":"drop","enabled":false"#,
            r#""action":"drop","source_address":["203.0.113.0/24"]"#,
            r#""action":"drop","source_address":["!192.0.2.0/24"]"#,
            r#""action":"drop","protocol":["udp"]"#,
            r#""action":"drop","destination_port":["80","443"]"#,
            r#""action":"drop","destination_port":["!22"]"#,
            r#""action":"drop","family":"ipv6""#,
            r#""action":"drop","connection_state":["invalid"]"#,
            r#""action":"accept","destination_port":["22"],"connection_state":["new"],"rate_limit":{"count":6,"per":"minute"}"#,
        ] {
            assert!(first_hit(&[rule(fields)], &[ssh()]).is_none(), "{fields}");
        }
    }
}
