//! Rules that translate addresses: what they lead to, and what no packet filter can translate as they say.
//!
//! Destinations are translated where packets come in, before it is known whether they are for this host, or where this host sends them;
//! sources where packets leave, whoever sent them. So `direction` is of a dnat or redirect either `output` or what comes in, and of a
//! snat or masquerade all that leaves.

use super::{Refused, refuse};
use crate::packet::{AddressSpec, Family};
use crate::rule::{Action, ConnectionState, Direction, FamilyMatch, Rule};
use std::net::IpAddr;

/// What a translation leads to, as far as the rule says it; ranges with both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::backend) struct To {
    pub(in crate::backend) addresses: Option<(IpAddr, IpAddr)>,
    pub(in crate::backend) ports: Option<(u16, u16)>,
}

impl To {
    /// That of a rule.
    pub(in crate::backend) fn of(rule: &Rule) -> Self {
        let nat = rule.nat.clone().unwrap_or_default();
        Self {
            addresses: nat.address.map(|address| (address.first(), address.last())),
            ports: nat.port.map(|port| (port.first(), port.last())),
        }
    }

    /// The family that it is of, where it names an address.
    pub(in crate::backend) fn family(&self) -> Option<Family> {
        self.addresses.map(|(first, _)| Family::of(first))
    }
}

fn of_source(rule: &Rule) -> bool {
    rule.action.translates() && !rule.action.leads()
}

/// Every reason why a rule cannot be had that translates.
pub(in crate::backend) fn translation(rule: &Rule) -> Vec<Refused> {
    if !rule.action.translates() {
        return Vec::new();
    }
    let all = [address, network, family, port, way, interface, hardware, states, rate];
    all.iter().filter_map(|look| look(rule)).collect()
}

fn address(rule: &Rule) -> Option<Refused> {
    let To { addresses, ports } = To::of(rule);
    let (value, why) = match (rule.action, addresses) {
        (Action::Dnat, None) if ports.is_none() => {
            ("none".to_owned(), "dnat needs nat.address, nat.port or both: where the packets are led to")
        }
        (Action::Snat, None) => ("none".to_owned(), "snat needs nat.address; masquerade takes the interface's own"),
        (Action::Masquerade, Some((first, _))) => {
            (first.to_string(), "masquerade takes the address of the interface by which packets leave; snat takes one")
        }
        (Action::Redirect, Some((first, _))) => {
            (first.to_string(), "redirect leads to this host itself; dnat leads to an address")
        }
        _ => return None,
    };
    Some(refuse(rule, "nat", value, why))
}

fn network(rule: &Rule) -> Option<Refused> {
    let address = rule.nat.as_ref()?.address?;
    let why = "a network may mean any of its addresses or one for each; name one address, or a range a-b for any of it";
    (matches!(address, AddressSpec::Net(_)) && address.as_single().is_none()).then(|| refuse(rule, "nat", address, why))
}

fn family(rule: &Rule) -> Option<Refused> {
    let (address, family) = (rule.nat.as_ref()?.address?, To::of(rule).family()?);
    let wrong = match rule.family {
        FamilyMatch::Any => false,
        FamilyMatch::Ipv4 => family == Family::Ipv6,
        FamilyMatch::Ipv6 => family == Family::Ipv4,
    };
    wrong.then(|| refuse(rule, "nat", address, format!("family {} cannot be led to an {family} address", rule.family)))
}

fn port(rule: &Rule) -> Option<Refused> {
    let port = rule.nat.as_ref()?.port?;
    let by_port = !rule.source_port.is_any() || !rule.destination_port.is_any() || rule.tcp_flags.is_some();
    let listed = !rule.protocol.is_any() && !rule.protocol.is_negated();
    let ported = listed && rule.protocol.items().iter().all(|protocol| protocol.has_ports());
    let why =
        "a port is translated of protocols that have ports; list them in `protocol`: tcp, udp, sctp, dccp or udplite";
    (!by_port && !ported).then(|| refuse(rule, "nat", port, why))
}

fn way(rule: &Rule) -> Option<Refused> {
    let why = "where packets come from is translated when they leave; direction forward or output is needed";
    (of_source(rule) && rule.direction == Direction::Input).then(|| refuse(rule, "direction", rule.direction, why))
}

fn interface(rule: &Rule) -> Option<Refused> {
    let why = "packets are led elsewhere before it is known by which interface they leave; use interface_in";
    (rule.action.leads() && rule.direction == Direction::Forward && !rule.interface_out.is_any())
        .then(|| refuse(rule, "interface_out", &rule.interface_out, why))
}

fn hardware(rule: &Rule) -> Option<Refused> {
    let why =
        "where packets leave, nobody looks at the hardware address that they came from; name addresses or interfaces";
    (of_source(rule) && !rule.source_mac.is_any()).then(|| refuse(rule, "source_mac", &rule.source_mac, why))
}

fn states(rule: &Rule) -> Option<Refused> {
    let why =
        "only packets that begin a connection are translated, and the others follow; leave it out, or ask for `new`";
    (!rule.connection_state.matches(|state| *state == ConnectionState::New))
        .then(|| refuse(rule, "connection_state", &rule.connection_state, why))
}

fn rate(rule: &Rule) -> Option<Refused> {
    let limit = rule.rate_limit?;
    let why = "nothing is dropped where addresses are translated; limit the accept rule behind it";
    Some(refuse(rule, "rate_limit", format!("{}/{}", limit.count, limit.per), why))
}
