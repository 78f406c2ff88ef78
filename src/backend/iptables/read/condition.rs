//! What a rule asks of a packet: its own conditions, and matches of the packet's headers.
//!
//! The tests are those of the kernel (`ip_packet_match`, net/ipv4/netfilter/ip_tables.c; net/netfilter/xt_*.c), their ways with
//! fragments and with packets without a connection too. What the model has no field for is kept with its text.

use super::names::{icmp, number, port, protocol};
use super::parse::{Extension, Opt};
use super::sets::{Sets, matched};
use super::{address, connection};
use crate::packet::{Bits, Cell, MacAddress, NO_MAC, Narrow, Protocol, Ranges, Wide, address_type};
use crate::rule::mark_bits;
use crate::rule::ruleset::{Condition, TableFamily, Unread, name_number, name_range};

/// What the conditions of a rule depend on beside its text.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) family: TableFamily,
    pub(super) sets: &'a Sets<'a>,
    /// Whether its plain tests of ports and flags are nftables' own ones, which read later fragments as well.
    pub(super) native: bool,
}

impl Place<'_> {
    /// What a test of TCP or UDP asks of fragments. One of another option is not kept as an expression of nftables.
    fn header(&self, extension: &Extension) -> Condition {
        let plain = |option: &Opt| {
            ["sport", "source-port", "dport", "destination-port", "tcp-flags", "syn"].contains(&&*option.name)
        };
        match self.native && !extension.options.is_empty() && extension.options.iter().all(plain) {
            true => Condition::Narrow(Narrow::Fragment, Bits::below(2)),
            false => first_fragment(),
        }
    }
}

/// A condition of a narrow field with one value.
pub(super) fn is(field: Narrow, value: u8) -> Condition {
    Condition::Narrow(field, Bits::single(value))
}

/// The values, or all others.
pub(super) fn narrow(field: Narrow, values: Bits, inverted: bool) -> Condition {
    Condition::Narrow(field, if inverted { field.all().minus(values) } else { values })
}

/// The values, or all others of `all`.
fn wide(field: Wide, values: Ranges, inverted: bool, all: &Ranges) -> Condition {
    Condition::Wide(field, if inverted { all.minus(&values) } else { values })
}

/// What is kept with its text; `field` where it is a test of the packet alone.
pub(super) fn unread(text: String, field: Option<&str>) -> Condition {
    Condition::Unread(Unread { text, field: field.map(str::to_owned) })
}

/// What no packet is.
pub(super) fn never() -> Condition {
    Condition::AnyOf(Vec::new())
}

/// A transport header is there: every match of one passes later fragments by.
pub(super) fn first_fragment() -> Condition {
    is(Narrow::Fragment, 0)
}

/// The name that the model's other reader gives an address of a family.
fn address_field(family: TableFamily, source: bool) -> &'static str {
    match (family, source) {
        (TableFamily::Ip6, true) => "ip6 saddr",
        (TableFamily::Ip6, false) => "ip6 daddr",
        (_, true) => "ip saddr",
        (_, false) => "ip daddr",
    }
}

/// A condition of iptables itself.
///
/// # Errors
/// When iptables refuses it.
pub(super) fn own(option: &Opt, family: TableFamily, into: &mut Vec<Condition>) -> Result<(), String> {
    let value = option.value();
    into.push(match &*option.name {
        "s" | "d" if option.inverted && value.contains(',') => {
            return Err(format!("`{}`: a list of addresses cannot be turned round by `!`", option.text()));
        }
        "s" | "d" => {
            let (source, field) =
                (option.name == "s", if option.name == "s" { Wide::Source } else { Wide::Destination });
            let all = Ranges::one(0, address::last(family));
            match address::list(value, family) {
                Some(values) if values == all && !option.inverted => return Ok(()),
                Some(values) => wide(field, values, option.inverted, &all),
                None => unread(option.text(), Some(address_field(family, source))),
            }
        }
        "i" => wide(Wide::InInterface, interface(value), option.inverted, &Wide::InInterface.all()),
        "o" => wide(Wide::OutInterface, interface(value), option.inverted, &Wide::OutInterface.all()),
        "f" if family == TableFamily::Ip => is(Narrow::Fragment, u8::from(!option.inverted)),
        "p" => match protocol(value) {
            Some(0) if option.inverted => never(),
            Some(0) => return Ok(()),
            Some(number) => narrow(Narrow::Protocol, Bits::single(number), option.inverted),
            None => unread(option.text(), Some("meta l4proto")),
        },
        _ => return Err(format!("`{}` is no option of ip6tables", option.text())),
    });
    Ok(())
}

/// An interface name, or with a plus sign at its end all names that begin so; also no name at all where that is all of it.
pub(super) fn interface(name: &str) -> Ranges {
    match name.strip_suffix('+') {
        Some(stem) => name_range(stem),
        None => Ranges::single(name_number(name)),
    }
}

/// What a match asks.
pub(super) fn of_match(extension: &Extension, place: Place, into: &mut Vec<Condition>) {
    match &*extension.name {
        "comment" => {}
        "tcp" => each(extension, into, &[is(Narrow::Protocol, 6), place.header(extension)], tcp),
        "udp" => each(extension, into, &[is(Narrow::Protocol, 17), place.header(extension)], ports),
        "udplite" => each(extension, into, &[is(Narrow::Protocol, 136), first_fragment()], ports),
        "sctp" => each(extension, into, &[is(Narrow::Protocol, 132), first_fragment()], ports),
        "dccp" => each(extension, into, &[is(Narrow::Protocol, 33), first_fragment()], ports),
        "multiport" => each(extension, into, &[with_ports(), first_fragment()], multiport),
        "icmp" => each(extension, into, &[is(Narrow::Protocol, 1), first_fragment()], |o| types(o, TableFamily::Ip)),
        "icmp6" | "icmpv6" => {
            each(extension, into, &[is(Narrow::Protocol, 58), first_fragment()], |o| types(o, TableFamily::Ip6));
        }
        "iprange" => each(extension, into, &[], |o| iprange(o, place.family)),
        "mac" => each(extension, into, &[has_mac()], mac),
        "mark" => each(extension, into, &[], |o| masked(o, Wide::Mark)),
        "connmark" => each(extension, into, &[connection::tracked()], |o| masked(o, Wide::ConnectionMark)),
        "state" | "conntrack" => connection::conditions(extension, into),
        "addrtype" => addrtype(extension, place.family, into),
        "recent" => recent(extension, into),
        "set" => matched(extension, place, into),
        name if CHANCES.contains(&name) => into.push(Condition::Chance(extension.text("-m"))),
        _ => into.push(unread(extension.text("-m"), steady(extension, place.family))),
    }
}

/// Matches that the packet alone does not decide.
const CHANCES: [&str; 12] = [
    "limit",
    "hashlimit",
    "statistic",
    "connlimit",
    "connbytes",
    "quota",
    "quota2",
    "time",
    "rateest",
    "nfacct",
    "cpu",
    "osf",
];

/// The field that a match asks for which the model has none, where the same packet always gets the same answer.
fn steady(extension: &Extension, family: TableFamily) -> Option<&'static str> {
    let v6 = family == TableFamily::Ip6;
    // Before routing nobody knows where a packet leaves.
    let leaving =
        |option: &Opt| option.name.contains("out") || option.name.contains("bridged") || option.name.contains("dst");
    Some(match &*extension.name {
        "ttl" => "ip ttl",
        "hl" => "ip6 hoplimit",
        "tos" | "dscp" if v6 => "ip6 dscp",
        "tos" | "dscp" => "ip dscp",
        "ecn" => "ip ecn",
        "length" => "meta length",
        "pkttype" => "meta pkttype",
        "owner" => "meta skuid",
        "cgroup" => "meta cgroup",
        "tcpmss" => "tcp option maxseg",
        "string" | "u32" | "bpf" => PACKET_BYTES,
        "policy" => "ipsec",
        "rpfilter" => "fib saddr",
        "socket" => "socket",
        "helper" => "ct helper",
        "connlabel" => "ct label",
        "cluster" => "ct cluster",
        "physdev" | "devgroup" if !extension.options.iter().any(leaving) => "the device",
        "geoip" => "geoip",
        "ah" | "esp" | "ipcomp" | "dst" | "hbh" | "rt" | "frag" | "eui64" | "ipv6header" | "mh" | "srh"
        | "ipv4options" => "headers",
        _ => return None,
    })
}

/// What matches of any byte look at; whatever alters a header alters it.
pub(super) const PACKET_BYTES: &str = "the bytes of the packet";

/// The conditions of a match of which every option stands for itself; what is not understood of it is kept.
fn each(
    extension: &Extension,
    into: &mut Vec<Condition>,
    implied: &[Condition],
    read: impl Fn(&Opt) -> Option<Vec<Condition>>,
) {
    into.extend_from_slice(implied);
    for option in &extension.options {
        match read(option) {
            Some(conditions) => into.extend(conditions),
            None => into.push(unread(format!("-m {} {}", extension.name, option.text()), field_of(option))),
        }
    }
}

/// The field of an option that is not understood, where it is a test of the packet alone.
fn field_of(option: &Opt) -> Option<&'static str> {
    Some(match &*option.name {
        "tcp-option" => "tcp option",
        "chunk-types" => "sctp chunk",
        "dccp-types" | "dccp-option" => "dccp type",
        "sport" | "source-port" => "th sport",
        "dport" | "destination-port" => "th dport",
        "mark" => "meta mark",
        _ => return None,
    })
}

fn with_ports() -> Condition {
    Condition::Narrow(Narrow::Protocol, Bits::ALL.iter().filter(|p| Protocol(*p).has_ports()).collect())
}

fn tcp(option: &Opt) -> Option<Vec<Condition>> {
    let (mask, set) = match &*option.name {
        "tcp-flags" => (flags(option.value())?, flags(&option.values.get(1)?.text)?),
        "syn" => (0x17, 0x02),
        _ => return ports(option),
    };
    let same = Bits::ALL.iter().filter(|bits| bits & mask == set).collect();
    Some(vec![narrow(Narrow::TcpFlags, same, option.inverted)])
}

fn flags(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |bits, word| {
        let bit = match word.to_ascii_uppercase().as_str() {
            "FIN" => 0x01,
            "SYN" => 0x02,
            "RST" => 0x04,
            "PSH" => 0x08,
            "ACK" => 0x10,
            "URG" => 0x20,
            "ALL" => 0x3f,
            "NONE" => 0,
            _ => return None,
        };
        Some(bits | bit)
    })
}

/// `22`, `1024:`, `:1023`, `20:21`; with iptables a range that runs backwards is an error, here it holds nothing.
fn port_range(text: &str) -> Option<(u128, u128)> {
    let end = |text: &str, open: u16| if text.is_empty() { Some(open) } else { port(text) };
    let (first, last) = match text.split_once([':', '-']).filter(|_| port(text).is_none()) {
        Some((first, last)) => (end(first, 0)?, end(last, u16::MAX)?),
        None => (port(text)?, port(text)?),
    };
    Some((first.into(), last.into()))
}

fn ports(option: &Opt) -> Option<Vec<Condition>> {
    let field = match &*option.name {
        "sport" | "source-port" => Wide::SourcePort,
        "dport" | "destination-port" => Wide::DestinationPort,
        _ => return None,
    };
    let values = Ranges::of([port_range(option.value())?]);
    Some(vec![wide(field, values, option.inverted, &field.all())])
}

/// Of `--ports` one of the two ports is enough (`ports_match_v1`, net/netfilter/xt_multiport.c).
fn multiport(option: &Opt) -> Option<Vec<Condition>> {
    let values = Ranges::of(option.value().split(',').map(port_range).collect::<Option<Vec<_>>>()?);
    let fields: &[Wide] = match &*option.name {
        "sports" | "source-ports" => &[Wide::SourcePort],
        "dports" | "destination-ports" => &[Wide::DestinationPort],
        "ports" => &[Wide::SourcePort, Wide::DestinationPort],
        _ => return None,
    };
    if let ([_, _], false) = (fields, option.inverted) {
        let one = |field: &Wide| Cell::all().with_wide(*field, values.clone());
        return Some(vec![Condition::AnyOf(fields.iter().map(one).collect())]);
    }
    Some(fields.iter().map(|field| wide(*field, values.clone(), option.inverted, &field.all())).collect())
}

fn types(option: &Opt, family: TableFamily) -> Option<Vec<Condition>> {
    if !matches!(&*option.name, "icmp-type" | "icmpv6-type") {
        return None;
    }
    let cell = icmp(option.value(), family)?;
    let outside = if option.inverted { Cell::all().minus(&cell) } else { vec![cell] };
    Some(vec![Condition::AnyOf(outside)])
}

fn iprange(option: &Opt, family: TableFamily) -> Option<Vec<Condition>> {
    let field = match &*option.name {
        "src-range" => Wide::Source,
        "dst-range" => Wide::Destination,
        _ => return None,
    };
    let all = Ranges::one(0, address::last(family));
    Some(vec![wide(field, address::range(option.value(), family)?, option.inverted, &all)])
}

/// A packet without an Ethernet header matches neither way (`mac_mt`, net/netfilter/xt_mac.c).
fn has_mac() -> Condition {
    Condition::Wide(Wide::SourceMac, Ranges::one(0, NO_MAC - 1))
}

fn mac(option: &Opt) -> Option<Vec<Condition>> {
    let address: MacAddress = option.value().parse().ok().filter(|_| option.name == "mac-source")?;
    let all = Ranges::one(0, NO_MAC - 1);
    Some(vec![wide(Wide::SourceMac, Ranges::single(address.to_number()), option.inverted, &all)])
}

/// `0x1/0xff`: the value under the mask.
fn masked(option: &Opt, field: Wide) -> Option<Vec<Condition>> {
    if option.name != "mark" {
        return None;
    }
    let (value, mask) = value_and_mask(option.value())?;
    let Some(values) = Ranges::masked(mask.into(), value.into(), field.last()) else {
        return mark_bits(field, mask, value, !option.inverted);
    };
    Some(vec![wide(field, values, option.inverted, &field.all())])
}

/// A number with or without a mask.
pub(super) fn value_and_mask(text: &str) -> Option<(u32, u32)> {
    let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
    Some((number(value)?, mask.map_or(Some(u32::MAX), number)?))
}

/// Multicast is the same on every host (`ipv4_is_multicast`, `ipv6_addr_type`). Of IPv4 the rest is what nft asks for as well
/// (`inet_dev_addr_type`); of IPv6 each has its own way to look it up.
fn addrtype(extension: &Extension, family: TableFamily, into: &mut Vec<Condition>) {
    let multicast = match family {
        TableFamily::Ip6 => Ranges::one(0xff << 120, u128::MAX),
        _ => Ranges::one(0xe000_0000, 0xefff_ffff),
    };
    let all = Ranges::one(0, address::last(family));
    if extension.options.iter().any(|option| !matches!(&*option.name, "src-type" | "dst-type")) {
        into.push(unread(extension.text("-m"), None));
        return;
    }
    for option in &extension.options {
        let source = option.name == "src-type";
        let field = if source { Wide::Source } else { Wide::Destination };
        into.push(match option.value() {
            "MULTICAST" => wide(field, multicast.clone(), option.inverted, &all),
            list if family != TableFamily::Ip6 && list.split(',').all(|word| address_type(word).is_some()) => {
                let types = list.split(',').filter_map(address_type).collect();
                narrow(if source { Narrow::SourceType } else { Narrow::DestinationType }, types, option.inverted)
            }
            _ => unread(format!("-m addrtype {}", option.text()), Some(address_field(family, source))),
        });
    }
}

/// Only `--set` is sure: it writes the address down and holds (`recent_mt`, net/netfilter/xt_recent.c).
fn recent(extension: &Extension, into: &mut Vec<Condition>) {
    match extension.option("set") {
        Some(set) if set.inverted => into.push(never()),
        Some(_) => {}
        None => into.push(Condition::Chance(extension.text("-m"))),
    }
}
