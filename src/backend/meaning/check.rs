//! What a rule may not say in any backend: fields that contradict one another, values that no packet has.

use super::nat::translation;
use super::{Refused, refuse};
use crate::packet::{AddressSpec, Family, Protocol};
use crate::rule::{Action, Direction, FamilyMatch, OneOf, RejectWith, Rule, TcpFlag};

/// Ten years: the kernel counts timeouts in milliseconds, and nobody means more.
const LONGEST: u64 = 315_360_000;

/// Every contradiction that shows in the rule itself.
pub(in crate::backend) fn contradictions(rule: &Rule) -> Vec<Refused> {
    let one = [name, nat, reject_with, interfaces, hardware, lifetime, schedule];
    let two = [families, ports, icmp, flags_protocol, flags_mask, icmp_family];
    one.iter().chain(&two).filter_map(|look| look(rule)).chain(translation(rule)).collect()
}

/// A change names what it is made to by one word, a rule or a blocked address: no word may be both.
fn name(rule: &Rule) -> Option<Refused> {
    let why = "an address cannot be a rule's id: whoever removes it would mean the block of that address";
    rule.id.as_str().parse::<AddressSpec>().is_ok().then(|| refuse(rule, "id", &rule.id, why))
}

fn nat(rule: &Rule) -> Option<Refused> {
    let nat = rule.nat.as_ref().filter(|_| !rule.action.translates())?;
    let value = nat.address.map(|a| a.to_string()).or(nat.port.map(|p| p.to_string())).unwrap_or_default();
    Some(refuse(rule, "nat", value, format!("{} translates no address; dnat, snat and redirect do", rule.action)))
}

fn only(list: &OneOf<Protocol>, protocol: Protocol) -> bool {
    !list.is_any() && !list.is_negated() && list.items().iter().all(|p| *p == protocol)
}

fn reject_with(rule: &Rule) -> Option<Refused> {
    let with = rule.reject_with?;
    let over = rule.rate_limit.is_some_and(|l| l.over == crate::rule::Over::Reject) && rule.action == Action::Accept;
    if rule.action != Action::Reject && !over {
        let why = format!("{} sends no answer; only reject does", rule.action);
        return Some(refuse(rule, "reject_with", with, why));
    }
    if with.is_of_ipv4() && rule.family != FamilyMatch::Ipv4 {
        let why = "only IPv4 has this answer; set family to ipv4, or use admin-prohibited";
        return Some(refuse(rule, "reject_with", with, why));
    }
    let tcp = only(&rule.protocol, Protocol::TCP);
    (with == RejectWith::TcpReset && !tcp).then(|| {
        refuse(rule, "reject_with", with, "a reset is for TCP alone; set protocol to tcp, or use port-unreachable")
    })
}

fn interfaces(rule: &Rule) -> Option<Refused> {
    match rule.direction {
        Direction::Output if !rule.interface_in.is_any() => Some(refuse(
            rule,
            "interface_in",
            &rule.interface_in,
            "an outgoing packet came in by no interface; use interface_out, or direction forward",
        )),
        Direction::Input if !rule.interface_out.is_any() => Some(refuse(
            rule,
            "interface_out",
            &rule.interface_out,
            "a packet to this host leaves by no interface; use interface_in, or direction forward",
        )),
        _ => None,
    }
}

fn hardware(rule: &Rule) -> Option<Refused> {
    let why = "an outgoing packet has no hardware source address yet; direction input or forward is needed";
    (rule.direction == Direction::Output && !rule.source_mac.is_any())
        .then(|| refuse(rule, "source_mac", &rule.source_mac, why))
}

fn lifetime(rule: &Rule) -> Option<Refused> {
    let seconds = rule.ttl_seconds?;
    let why = format!("a rule may last 1 to {LONGEST} seconds (ten years); leave it out for a rule that stays");
    (seconds == 0 || seconds > LONGEST).then(|| refuse(rule, "ttl_seconds", seconds, why))
}

fn schedule(rule: &Rule) -> Option<Refused> {
    let hours = rule.schedule.as_ref()?;
    let zone = hours.zone.as_deref().unwrap_or("local time");
    let why = match () {
        () if hours.is_always() => "it leaves out no hour of the week; name days, `from` or `to`, or leave it out",
        () if !hours.is_in_utc() => "the kernel compares hours in UTC, and they were not brought there",
        () => return None,
    };
    Some(refuse(rule, "schedule", zone, why))
}

fn families(rule: &Rule) -> Option<Refused> {
    let wrong = match rule.family {
        FamilyMatch::Any => return None,
        FamilyMatch::Ipv4 => Family::Ipv6,
        FamilyMatch::Ipv6 => Family::Ipv4,
    };
    let lists = [("source_address", &rule.source_address), ("destination_address", &rule.destination_address)];
    lists.into_iter().find_map(|(field, list)| {
        let address = list.items().iter().find(|a| a.family() == wrong)?;
        Some(refuse(rule, field, address, format!("family {} holds no {wrong} address", rule.family)))
    })
}

fn ports(rule: &Rule) -> Option<Refused> {
    let field = [("destination_port", &rule.destination_port), ("source_port", &rule.source_port)];
    let (field, ports) = field.into_iter().find(|(_, ports)| !ports.is_any())?;
    if !rule.icmp_type.is_any() {
        return Some(refuse(rule, field, ports, "ICMP has types and no ports; leave icmp_type or the ports out"));
    }
    if rule.protocol.is_negated() {
        let why = format!("protocol {} does not say which protocols' ports; list them", rule.protocol);
        return Some(refuse(rule, field, ports, why));
    }
    let without = rule.protocol.items().iter().find(|p| !p.has_ports())?;
    let why = format!("protocol {without} has no ports; tcp, udp, sctp, dccp and udplite do");
    Some(refuse(rule, field, ports, why))
}

fn icmp(rule: &Rule) -> Option<Refused> {
    if rule.icmp_type.is_any() {
        return None;
    }
    let list = &rule.protocol;
    let icmp = [Protocol::ICMP, Protocol::ICMPV6];
    if list.is_any() || list.is_negated() || list.items().iter().any(|p| !icmp.contains(p)) {
        let why = format!("with protocol {list} it does not say whose type; set protocol to icmp or icmpv6");
        return Some(refuse(rule, "icmp_type", &rule.icmp_type, why));
    }
    let coded = rule.icmp_type.items().iter().find(|t| t.code.is_some() && rule.icmp_type.is_negated())?;
    Some(refuse(rule, "icmp_type", coded, "a negated list takes types without codes"))
}

fn icmp_family(rule: &Rule) -> Option<Refused> {
    let (wrong, right) = match rule.family {
        FamilyMatch::Any => return None,
        FamilyMatch::Ipv4 => (Protocol::ICMPV6, Protocol::ICMP),
        FamilyMatch::Ipv6 => (Protocol::ICMP, Protocol::ICMPV6),
    };
    let lists = !rule.protocol.is_negated() && rule.protocol.items().contains(&wrong);
    lists.then(|| refuse(rule, "protocol", wrong, format!("family {} has {right} instead", rule.family)))
}

fn flags_protocol(rule: &Rule) -> Option<Refused> {
    rule.tcp_flags.as_ref()?;
    let why = format!("protocol {} has no TCP flags; set it to tcp", rule.protocol);
    (!rule.protocol.is_any() && !only(&rule.protocol, Protocol::TCP))
        .then(|| refuse(rule, "tcp_flags", flag_words(rule), why))
}

fn flag_words(rule: &Rule) -> String {
    let words = |flags: &[TcpFlag]| flags.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(",");
    rule.tcp_flags.as_ref().map(|f| format!("{}/{}", words(&f.set), words(&f.mask))).unwrap_or_default()
}

fn flags_mask(rule: &Rule) -> Option<Refused> {
    let flags = rule.tcp_flags.as_ref()?;
    if flags.mask.is_empty() {
        return Some(refuse(
            rule,
            "tcp_flags",
            flag_words(rule),
            "the mask is empty; list the flags that are looked at",
        ));
    }
    let outside = flags.set.iter().find(|flag| !flags.mask.contains(flag))?;
    let why = format!("{outside} is set but not in the mask, so no packet can match; add it to the mask");
    Some(refuse(rule, "tcp_flags", flag_words(rule), why))
}
