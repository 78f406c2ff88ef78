//! A rule as the documents that say the same together: one for each family, protocol and port range that OPNsense cannot list in one.

use super::address::{Nets, nets, spelled};
use super::check::{applies, check, protocol_word};
use super::contract::Known;
use super::document::{ANY_FLAGS, Document};
use super::icmp::word;
use crate::backend::Refused;
use crate::backend::meaning::{empty, refuse};
use crate::packet::{AddressSpec, Family, InterfacePattern, PortRange, Protocol};
use crate::rule::{Action, Direction, OneOf, Rule};

/// A rule of more documents than this would hide what it does.
const MOST: usize = 64;
/// The firewall's own addresses, in the words of the API.
pub const SELF: &str = "(self)";

/// The documents of a rule.
///
/// # Errors
/// Every reason why OPNsense cannot have the rule exactly.
pub fn documents(rule: &Rule, known: &Known) -> Result<Vec<Document>, Vec<Refused>> {
    let refused: Vec<Refused> = check(rule).into_iter().chain(destination(rule, &known.addresses)).collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let first = head(rule, known);
    let mut out = Vec::new();
    for (family, document) in of_families(rule, &first) {
        for document in of_protocols(rule, family, &document) {
            out.extend(of_ports(rule, &document));
        }
    }
    match out.len() {
        0 => Err(vec![empty(rule, "no packet of IPv4 or IPv6 is left of it")]),
        count if count > MOST => {
            let why = format!("with its ports and protocols it is {count} rules of OPNsense's; {MOST} are the most");
            Err(vec![refuse(rule, "destination_port", &rule.destination_port, why)])
        }
        _ => Ok(out),
    }
}

/// pf asks for a destination, not for a way: which of the two a destination is, the firewall's own addresses say.
fn destination(rule: &Rule, own: &[AddressSpec]) -> Option<Refused> {
    let list = &rule.destination_address;
    if list.is_any() || rule.direction == Direction::Output {
        return None;
    }
    let refused = |value: &dyn std::fmt::Display, why: &str| Some(refuse(rule, "destination_address", value, why));
    if own.is_empty() {
        let why = "which destinations are the firewall's own decides whether pf takes it for input or for forward; set opnsense.addresses";
        return refused(list, why);
    }
    let inside =
        |address: &AddressSpec| own.iter().any(|own| own.contains(address.first()) && own.contains(address.last()));
    match rule.direction {
        Direction::Input if list.is_negated() => {
            refused(list, "OPNsense cannot leave addresses out of its own; list those that are meant")
        }
        Direction::Input => {
            let foreign = list.items().iter().find(|address| !inside(address))?;
            refused(
                foreign,
                "input is for the firewall's own addresses (opnsense.addresses); use direction forward for others",
            )
        }
        _ => {
            let hit = own.iter().find(|own| match list.is_negated() {
                true => {
                    !list.items().iter().any(|address| address.contains(own.first()) && address.contains(own.last()))
                }
                false => list.items().iter().any(|address| address.overlaps(own)),
            })?;
            let why = "it is the firewall's own address (opnsense.addresses), which forward leaves out; name destinations without it";
            refused(hit, why)
        }
    }
}

/// What all documents of a rule have in common.
fn head(rule: &Rule, known: &Known) -> Document {
    let action = match rule.action {
        Action::Accept => "pass",
        Action::Reject => "reject",
        _ => "block",
    };
    let identifier =
        |name: &InterfacePattern| known.interfaces.get(name.stem()).cloned().unwrap_or(name.stem().to_owned());
    let names: Vec<String> = rule.interface_in.items().iter().map(identifier).collect();
    let flag = |on: bool| if on { "1" } else { "0" };
    Document::new(&rule.id)
        .with("action", action)
        .with("interface", names.join(","))
        .with("interfacenot", flag(rule.interface_in.is_negated()))
        .with("log", flag(rule.log.is_some()))
        .with("destination_net", SELF)
        .with("destination_not", flag(rule.direction == Direction::Forward))
}

fn of_families(rule: &Rule, document: &Document) -> Vec<(Option<Family>, Document)> {
    let families = [Family::Ipv4, Family::Ipv6].map(|family| (family, applies(rule, family)));
    let anywhere = rule.source_address.is_any() && rule.destination_address.is_any();
    if anywhere && rule.icmp_type.is_any() && families.iter().all(|(_, applies)| *applies) && !names_icmp(rule) {
        return vec![(None, document.clone())];
    }
    let own = |(family, applies): (Family, bool)| {
        let word = if family == Family::Ipv4 { "inet" } else { "inet6" };
        let document = document.clone().with("ipprotocol", word);
        let from = placed(document, ("source_net", "source_not"), &rule.source_address, family);
        let both = placed(from, ("destination_net", "destination_not"), &rule.destination_address, family);
        applies.then_some((Some(family), both))
    };
    families.into_iter().filter_map(own).collect()
}

fn names_icmp(rule: &Rule) -> bool {
    rule.protocol.items().iter().any(|protocol| [Protocol::ICMP, Protocol::ICMPV6].contains(protocol))
}

fn placed(
    document: Document,
    (net, not): (&'static str, &'static str),
    list: &OneOf<AddressSpec>,
    family: Family,
) -> Document {
    match nets(list, family) {
        Nets::Of(nets, negated) => {
            let words: Vec<String> = nets.into_iter().map(spelled).collect();
            document.with(net, words.join(",")).with(not, if negated { "1" } else { "0" })
        }
        // Without a list in this family a destination is what the direction says.
        Nets::Everything | Nets::Nothing => document,
    }
}

/// Each protocol by itself, but TCP and UDP together where nothing else is said of one of them.
fn of_protocols(rule: &Rule, family: Option<Family>, document: &Document) -> Vec<Document> {
    let ported = !rule.source_port.is_any() || !rule.destination_port.is_any();
    let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
    let mut named: Vec<Protocol> = match rule.protocol.items() {
        [] if rule.tcp_flags.is_some() => vec![tcp],
        [] if ported => vec![tcp, udp],
        items => items.to_vec(),
    };
    named.sort_unstable();
    named.dedup();
    let foreign = |protocol: &Protocol| match family {
        Some(Family::Ipv4) => *protocol == Protocol::ICMPV6,
        Some(Family::Ipv6) => *protocol == Protocol::ICMP,
        None => false,
    };
    named.retain(|protocol| !foreign(protocol));
    let mut out = Vec::new();
    if named.is_empty() {
        // Of TCP, a pass without a protocol takes only what begins a connection (pf.conf(5), flags).
        out.extend(is_open(rule).then(|| with_protocol(rule, document, "TCP")));
        out.push(document.clone());
    }
    if named.contains(&tcp) && named.contains(&udp) {
        named.retain(|protocol| ![tcp, udp].contains(protocol));
        out.push(with_protocol(rule, document, "TCP/UDP"));
    }
    out.extend(named.into_iter().filter_map(protocol_word).map(|word| with_protocol(rule, document, word)));
    out
}

/// Whether every packet is let in, in the middle of a connection or not.
fn is_open(rule: &Rule) -> bool {
    rule.action == Action::Accept && rule.connection_state.is_any() && rule.tcp_flags.is_none()
}

fn with_protocol(rule: &Rule, document: &Document, protocol: &str) -> Document {
    let mut document = document.clone().with("protocol", protocol);
    let types = |v6| rule.icmp_type.items().iter().filter_map(|kind| word(kind.kind, v6)).collect::<Vec<_>>().join(",");
    match protocol {
        "ICMP" => document = document.with("icmptype", types(false)),
        "IPV6-ICMP" => document = document.with("icmp6type", types(true)),
        "TCP" | "TCP/UDP" if is_open(rule) => document = document.with(ANY_FLAGS, "1"),
        _ => {}
    }
    if let Some(flags) = &rule.tcp_flags {
        let words =
            |flags: &[crate::rule::TcpFlag]| flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>().join(",");
        document = document.with("tcpflags1", words(&flags.set)).with("tcpflags2", words(&flags.mask));
    }
    document
}

/// A document takes one port or one range at each end.
fn of_ports(rule: &Rule, document: &Document) -> Vec<Document> {
    let spelled = |list: &OneOf<PortRange>| match list.items() {
        [] => vec![String::new()],
        items => items.iter().map(ToString::to_string).collect(),
    };
    let (sources, destinations) = (spelled(&rule.source_port), spelled(&rule.destination_port));
    let pairs = sources.iter().flat_map(|from| destinations.iter().map(move |to| (from, to)));
    pairs.map(|(from, to)| document.clone().with("source_port", from).with("destination_port", to)).collect()
}
