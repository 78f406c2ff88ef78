//! What OPNsense cannot do exactly, by rule, field and value.

use super::address::{MOST, Nets, nets};
use super::icmp::word;
use crate::backend::Refused;
use crate::backend::meaning::{contradictions, may_spare, refuse, spares};
use crate::packet::{Family, IcmpType, InterfacePattern, Protocol};
use crate::rule::{Action, ConnectionState, Direction, FamilyMatch, OneOf, RejectWith, Rule};

/// Whether any packet of a family is meant.
pub fn applies(rule: &Rule, family: Family) -> bool {
    let (other, foreign) = match family {
        Family::Ipv4 => (FamilyMatch::Ipv6, Protocol::ICMPV6),
        Family::Ipv6 => (FamilyMatch::Ipv4, Protocol::ICMP),
    };
    let lists = [&rule.source_address, &rule.destination_address];
    let named = rule.protocol.is_any() || rule.protocol.items().iter().any(|protocol| *protocol != foreign);
    rule.family != other && named && lists.into_iter().all(|list| nets(list, family) != Nets::Nothing)
}

/// Every refusal that shows in the rule itself.
pub fn check(rule: &Rule) -> Vec<Refused> {
    let one = [unknown, schedule, vlan, translation, lifetime, direction, way_out, names, hardware, mark, rate];
    let two = [states, prefix, told, protocols, ports, types, spared, strict, lists, broadcast, flags];
    let own = one.iter().chain(&two).filter_map(|look| look(rule));
    own.chain(contradictions(rule)).collect()
}

fn unknown(rule: &Rule) -> Option<Refused> {
    let (name, _) = rule.extra.iter().next()?;
    Some(refuse(rule, "extra", name, "OPNsense has no such match here; `extra` must be empty"))
}

fn schedule(rule: &Rule) -> Option<Refused> {
    let schedule = rule.schedule.as_ref()?;
    let value = schedule.zone.as_deref().unwrap_or("local time");
    Some(refuse(rule, "schedule", value, "schedules of OPNsense cannot be made over its API; leave `schedule` out"))
}

fn vlan(rule: &Rule) -> Option<Refused> {
    let why = "OPNsense filters on the interface of a VLAN; name it in interface_in (opt1)";
    (!rule.vlan.is_any()).then(|| refuse(rule, "vlan", &rule.vlan, why))
}

fn translation(rule: &Rule) -> Option<Refused> {
    let why = match rule.action {
        Action::Accept | Action::Drop | Action::Reject => return None,
        Action::Log => "OPNsense logs only with a decision; set log on a rule that accepts, drops or rejects",
        _ => "address translation is not written for OPNsense; accept, drop and reject are",
    };
    Some(refuse(rule, "action", rule.action, why))
}

fn lifetime(rule: &Rule) -> Option<Refused> {
    let why = "OPNsense has no rules that end by themselves; leave `ttl_seconds` out, or drop addresses and nothing else: blocks end";
    rule.ttl_seconds.map(|seconds| refuse(rule, "ttl_seconds", seconds, why))
}

fn direction(rule: &Rule) -> Option<Refused> {
    let why = "pf sees what leaves the firewall with its source translated already, so what it sends itself and what passes through cannot be \
               told apart; input and forward can be had";
    (rule.direction == Direction::Output).then(|| refuse(rule, "direction", rule.direction, why))
}

fn way_out(rule: &Rule) -> Option<Refused> {
    let why =
        "AFO's rules are asked when a packet comes in, and pf does not know then where it leaves; name destinations";
    (!rule.interface_out.is_any()).then(|| refuse(rule, "interface_out", &rule.interface_out, why))
}

fn names(rule: &Rule) -> Option<Refused> {
    let list = &rule.interface_in;
    let plain = |name: &InterfacePattern| name.stem().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if let Some(name) = list.items().iter().find(|name| name.is_pattern() || !plain(name)) {
        let why = "OPNsense knows interfaces by the identifiers of its assignments: wan, lan, opt1";
        return Some(refuse(rule, "interface_in", name, why));
    }
    let why = "OPNsense can leave out one interface, not several; list those that are meant";
    (list.is_negated() && list.items().len() > 1).then(|| refuse(rule, "interface_in", list, why))
}

fn hardware(rule: &Rule) -> Option<Refused> {
    let why = "pf looks at no hardware addresses; leave source_mac out, or match source_address";
    (!rule.source_mac.is_any()).then(|| refuse(rule, "source_mac", &rule.source_mac, why))
}

fn mark(rule: &Rule) -> Option<Refused> {
    let why = "pf has no packet marks; leave `mark` out";
    rule.mark.map(|mark| refuse(rule, "mark", mark, why))
}

fn rate(rule: &Rule) -> Option<Refused> {
    let limit = rule.rate_limit?;
    let why = "pf counts connections, not packets, and bars who has too many for good; leave rate_limit out";
    Some(refuse(rule, "rate_limit", format!("{}/{}", limit.count, limit.per), why))
}

/// pf asks its rules about packets of no known connection alone.
fn states(rule: &Rule) -> Option<Refused> {
    let list = &rule.connection_state;
    let new = list.is_any() || (!list.is_negated() && list.items() == [ConnectionState::New]);
    let why = "pf asks its rules about the first packet of a connection alone, the rest passes by its state; `new` or nothing can be had";
    (!new).then(|| refuse(rule, "connection_state", list, why))
}

fn prefix(rule: &Rule) -> Option<Refused> {
    let log = rule.log.as_ref()?;
    let why = "OPNsense logs under the rule's own name; leave prefix and level out of `log`";
    let prefix = log.prefix.as_ref().map(ToString::to_string).or(log.level.map(|level| level.to_string()))?;
    Some(refuse(rule, "log", prefix, why))
}

/// `block return` answers TCP with a reset and UDP with an unreachable port (pf.conf(5)).
fn told(rule: &Rule) -> Option<Refused> {
    let with = rule.reject_with?;
    let only = |protocol| !rule.protocol.is_negated() && rule.protocol.items() == [protocol];
    let had = match with {
        RejectWith::TcpReset => only(Protocol::TCP),
        RejectWith::PortUnreachable => only(Protocol::UDP),
        _ => false,
    };
    let why = "OPNsense answers TCP with tcp-reset and UDP with port-unreachable; leave reject_with out";
    (!had).then(|| refuse(rule, "reject_with", with, why))
}

/// The protocol's name in the API.
pub fn protocol_word(protocol: Protocol) -> Option<&'static str> {
    Some(match protocol.0 {
        1 => "ICMP",
        2 => "IGMP",
        6 => "TCP",
        17 => "UDP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "IPV6-ICMP",
        89 => "OSPF",
        103 => "PIM",
        112 => "CARP",
        132 => "SCTP",
        _ => return None,
    })
}

fn protocols(rule: &Rule) -> Option<Refused> {
    let list = &rule.protocol;
    if list.is_negated() {
        return Some(refuse(rule, "protocol", list, "OPNsense cannot leave protocols out; list those that are meant"));
    }
    let strange = list.items().iter().find(|protocol| protocol_word(**protocol).is_none())?;
    let why =
        "OPNsense has no name for it; tcp, udp, icmp, icmpv6, igmp, gre, esp, ah, ospf, pim, vrrp and sctp have one";
    Some(refuse(rule, "protocol", strange, why))
}

fn ports(rule: &Rule) -> Option<Refused> {
    let lists = [("source_port", &rule.source_port), ("destination_port", &rule.destination_port)];
    let (field, list) = lists.into_iter().find(|(_, list)| !list.is_any())?;
    if let Some(protocol) = rule.protocol.items().iter().find(|p| ![Protocol::TCP, Protocol::UDP].contains(p)) {
        let why = format!("OPNsense looks at ports of tcp and udp alone, not of {protocol}");
        return Some(refuse(rule, field, list, why));
    }
    let (field, list) =
        lists.into_iter().find(|(_, list)| list.is_negated() || list.items().iter().any(|p| p.first() == 0))?;
    let why = "OPNsense takes ports from 1 on and cannot leave any out; list those that are meant";
    Some(refuse(rule, field, list, why))
}

fn types(rule: &Rule) -> Option<Refused> {
    let list = &rule.icmp_type;
    let v6 = rule.protocol.items().contains(&Protocol::ICMPV6);
    let strange = |kind: &&IcmpType| kind.code.is_some() || word(kind.kind, v6).is_none();
    let why = "OPNsense takes types that it has a name for, without codes, and cannot leave any out";
    match list.items().iter().find(strange) {
        Some(kind) => Some(refuse(rule, "icmp_type", kind, why)),
        None => list.is_negated().then(|| refuse(rule, "icmp_type", list, why)),
    }
}

/// A denial leaves ICMP alone that hosts lose each other without. What belongs to a connection passes by its state, which is all of it in
/// IPv4; in IPv6 there is more, and a rule of pf's cannot leave it out.
fn spared(rule: &Rule) -> Option<Refused> {
    let v6 = applies(rule, Family::Ipv6) && may_spare(rule) && spares(rule, Family::Ipv6);
    let why = "a denial of everything would take the ICMPv6 that IPv6 cannot do without, and pf cannot leave it out; name tcp or udp, or \
               family ipv4";
    v6.then(|| refuse(rule, "protocol", &rule.protocol, why))
}

fn strict(rule: &Rule) -> Option<Refused> {
    let why =
        "OPNsense passes the ICMP without which hosts lose each other before any rule of its own; leave `strict` out";
    rule.strict.then(|| refuse(rule, "strict", rule.strict, why))
}

fn lists(rule: &Rule) -> Option<Refused> {
    let count = |list: &OneOf<_>| {
        [Family::Ipv4, Family::Ipv6].map(|family| match nets(list, family) {
            Nets::Of(nets, _) => nets.len(),
            _ => 0,
        })
    };
    let lists = [("source_address", &rule.source_address), ("destination_address", &rule.destination_address)];
    lists.into_iter().find_map(|(field, list)| {
        let most = count(list).into_iter().max().filter(|count| *count > MOST)?;
        let why = format!("as networks it is {most}, and a rule of OPNsense's takes {MOST} here");
        Some(refuse(rule, field, list, why))
    })
}

/// The firewall's own addresses are those that it has; broadcasts and multicasts are none, and pf has no word for them together.
fn broadcast(rule: &Rule) -> Option<Refused> {
    let tcp = !rule.protocol.is_any() && rule.protocol.items() == [Protocol::TCP];
    let open =
        rule.direction == Direction::Forward && rule.action.denies() && rule.destination_address.is_any() && !tcp;
    let why = "what passes through has for pf every destination but the firewall's own addresses, broadcasts and multicasts to it among them, \
               which would be denied too; name destination_address, or protocol tcp";
    open.then(|| refuse(rule, "destination_address", &rule.destination_address, why))
}

fn flags(rule: &Rule) -> Option<Refused> {
    let flags = rule.tcp_flags.as_ref()?;
    let tcp = rule.protocol.items() == [Protocol::TCP];
    let mask = flags.mask.iter().map(|flag| flag.as_str()).collect::<Vec<_>>().join(",");
    (!tcp).then(|| refuse(rule, "tcp_flags", mask, "OPNsense looks at flags where the protocol is tcp; set it"))
}
