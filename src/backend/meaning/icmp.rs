//! ICMP that no denial takes from everybody: without it hosts lose each other.

use super::{Part, Refused, part, refuse};
use crate::packet::{Family, IcmpType, Protocol};
use crate::rule::{ConnectionState, Direction, OneOf, Rule};

/// ICMP that a host needs to stay reachable: IPv4 destination unreachable (it carries path MTU discovery, RFC 1191); ICMPv6
/// errors, multicast listeners and neighbour discovery (RFC 4890, 4.3 and 4.4).
pub(in crate::backend) fn necessary(family: Family) -> &'static [(u8, u8)] {
    match family {
        Family::Ipv4 => &[(3, 3)],
        Family::Ipv6 => &[(1, 4), (130, 137), (143, 143)],
    }
}

/// The ICMP of a family.
pub(in crate::backend) fn icmp_of(family: Family) -> Protocol {
    if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 }
}

/// Whether the rule could take necessary ICMP from somebody. It cannot where it lets pass, where it is about ports or another
/// protocol, and where only connections that are new or invalid are meant (neighbour discovery is untracked, errors are related). It may
/// where it says so.
pub(in crate::backend) fn may_spare(rule: &Rule) -> bool {
    if rule.strict {
        return false;
    }
    let takes = rule.action.denies() || rule.rate_limit.is_some();
    let transport = !rule.source_port.is_any() || !rule.destination_port.is_any() || rule.tcp_flags.is_some();
    let icmp = rule.protocol.matches(|p| *p == Protocol::ICMP) || rule.protocol.matches(|p| *p == Protocol::ICMPV6);
    let harmless = [ConnectionState::New, ConnectionState::Invalid];
    let states = &rule.connection_state;
    let tracked = !states.is_any() && !states.is_negated() && states.items().iter().all(|s| harmless.contains(s));
    takes && icmp && !transport && !tracked
}

/// Whether the lines for `family` leave the necessary ICMP alone. They do unless the rule names who is meant: networks or
/// addresses of IPv4, single addresses of IPv6 (a network of IPv6 may hold the neighbours).
pub(in crate::backend) fn spares(rule: &Rule, family: Family) -> bool {
    let named = |list: &OneOf<_>| match part(list, family) {
        Part::In(_) if family == Family::Ipv4 => true,
        Part::In(spans) => spans.iter().all(|(first, last)| first == last),
        _ => false,
    };
    let far = match rule.direction {
        Direction::Input => named(&rule.source_address),
        Direction::Output => named(&rule.destination_address),
        Direction::Forward => named(&rule.source_address) || named(&rule.destination_address),
    };
    may_spare(rule) && !far
}

/// Refuses a denial of ICMP without which the host or its neighbours lose each other.
pub(in crate::backend) fn taken(rule: &Rule, family: Family) -> Result<(), Refused> {
    let needed = |t: &&IcmpType| necessary(family).iter().any(|(first, last)| (*first..=*last).contains(&t.kind));
    match rule.icmp_type.items().iter().find(needed) {
        Some(kind) if spares(rule, family) => Err(refuse(
            rule,
            "icmp_type",
            kind,
            format!(
                "{family} does not work without it; types that may be denied to everybody are all but {}",
                if family == Family::Ipv4 { "3" } else { "1-4, 130-137 and 143" }
            ),
        )),
        _ => Ok(()),
    }
}
