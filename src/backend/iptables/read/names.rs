//! Names of protocols, ICMP types and services that stand in dumps for numbers.

use crate::packet::{Bits, Cell, Narrow};
use crate::rule::ruleset::TableFamily;

/// Names of /etc/protocols and of iptables itself (`xtables_chain_protos`). 0 is any protocol.
#[rustfmt::skip]
const PROTOCOLS: &[(&str, u8)] = &[
    ("tcp", 6), ("udp", 17), ("icmp", 1), ("ipv6-icmp", 58), ("icmpv6", 58), ("all", 0), ("ip", 0), ("hopopt", 0), ("igmp", 2),
    ("ggp", 3), ("ipencap", 4), ("st", 5), ("egp", 8), ("igp", 9), ("pup", 12), ("hmp", 20), ("xns-idp", 22), ("rdp", 27),
    ("iso-tp4", 29), ("dccp", 33), ("xtp", 36), ("ddp", 37), ("idpr-cmtp", 38), ("ipv6", 41), ("ipv6-route", 43),
    ("ipv6-frag", 44), ("idrp", 45), ("rsvp", 46), ("gre", 47), ("esp", 50), ("ipv6-crypt", 50), ("ah", 51), ("ipv6-auth", 51),
    ("skip", 57), ("ipv6-nonxt", 59), ("ipv6-opts", 60), ("rspf", 73), ("vmtp", 81), ("eigrp", 88), ("ospf", 89), ("ospfigp", 89),
    ("ax.25", 93), ("ipip", 94), ("etherip", 97), ("encap", 98), ("pim", 103), ("ipcomp", 108), ("vrrp", 112), ("l2tp", 115),
    ("isis", 124), ("sctp", 132), ("fc", 133), ("mobility-header", 135), ("ipv6-mh", 135), ("mh", 135), ("udplite", 136),
    ("mpls-in-ip", 137), ("manet", 138), ("hip", 139), ("shim6", 140), ("wesp", 141), ("rohc", 142), ("ethernet", 143),
];

/// The number of a protocol; 0 is any.
pub(super) fn protocol(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    let known = PROTOCOLS.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number);
    known.or_else(|| u8::try_from(number(text)?).ok())
}

/// A number as iptables takes it: decimal, or hexadecimal after `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    let (digits, radix) =
        text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).map_or((text, 10), |hex| (hex, 16));
    u32::from_str_radix(digits, radix).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Services whose names are written by hand; iptables-save writes numbers.
#[rustfmt::skip]
const SERVICES: &[(&str, u16)] = &[
    ("ftp-data", 20), ("ftp", 21), ("ssh", 22), ("telnet", 23), ("smtp", 25), ("domain", 53), ("bootps", 67), ("bootpc", 68),
    ("tftp", 69), ("http", 80), ("www", 80), ("kerberos", 88), ("pop3", 110), ("sunrpc", 111), ("auth", 113), ("ntp", 123),
    ("netbios-ns", 137), ("netbios-dgm", 138), ("netbios-ssn", 139), ("imap2", 143), ("imap", 143), ("snmp", 161),
    ("snmp-trap", 162), ("bgp", 179), ("ldap", 389), ("https", 443), ("microsoft-ds", 445), ("submissions", 465),
    ("isakmp", 500), ("syslog", 514), ("submission", 587), ("ldaps", 636), ("imaps", 993), ("pop3s", 995), ("openvpn", 1194),
    ("mysql", 3306), ("rdp", 3389), ("ipsec-nat-t", 4500), ("sip", 5060), ("mdns", 5353), ("postgresql", 5432), ("x11", 6000),
];

/// The number of a port.
pub(super) fn port(text: &str) -> Option<u16> {
    let known = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    known.or_else(|| u16::try_from(number(text)?).ok())
}

/// A type with all its codes, or with one.
type Icmp = (&'static str, u8, Option<u8>);

/// Names of `iptables -p icmp -h` (extensions/libxt_icmp.h).
#[rustfmt::skip]
const ICMP: &[Icmp] = &[
    ("echo-reply", 0, None), ("pong", 0, None), ("destination-unreachable", 3, None), ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)), ("protocol-unreachable", 3, Some(2)), ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)), ("source-route-failed", 3, Some(5)), ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)), ("network-prohibited", 3, Some(9)), ("host-prohibited", 3, Some(10)),
    ("tos-network-unreachable", 3, Some(11)), ("tos-host-unreachable", 3, Some(12)), ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)), ("precedence-cutoff", 3, Some(15)), ("source-quench", 4, None),
    ("redirect", 5, None), ("network-redirect", 5, Some(0)), ("host-redirect", 5, Some(1)), ("tos-network-redirect", 5, Some(2)),
    ("tos-host-redirect", 5, Some(3)), ("echo-request", 8, None), ("ping", 8, None), ("router-advertisement", 9, None),
    ("router-solicitation", 10, None), ("time-exceeded", 11, None), ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)), ("ttl-zero-during-reassembly", 11, Some(1)), ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)), ("required-option-missing", 12, Some(1)), ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None), ("address-mask-request", 17, None), ("address-mask-reply", 18, None),
];

/// Names of `ip6tables -p icmpv6 -h`.
#[rustfmt::skip]
const ICMP6: &[Icmp] = &[
    ("destination-unreachable", 1, None), ("no-route", 1, Some(0)), ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)), ("address-unreachable", 1, Some(3)), ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)), ("reject-route", 1, Some(6)), ("packet-too-big", 2, None), ("time-exceeded", 3, None),
    ("ttl-exceeded", 3, None), ("ttl-zero-during-transit", 3, Some(0)), ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None), ("bad-header", 4, Some(0)), ("unknown-header-type", 4, Some(1)),
    ("unknown-option", 4, Some(2)), ("echo-request", 128, None), ("ping", 128, None), ("echo-reply", 129, None),
    ("pong", 129, None), ("mld-listener-query", 130, None), ("mld-listener-report", 131, None),
    ("mld-listener-done", 132, None), ("mld-listener-reduction", 132, None), ("router-solicitation", 133, None),
    ("router-advertisement", 134, None), ("neighbour-solicitation", 135, None), ("neighbor-solicitation", 135, None),
    ("neighbour-advertisement", 136, None), ("neighbor-advertisement", 136, None), ("redirect", 137, None),
];

/// The types and codes that a word means: `any`, a name, `8`, `3/4`. Of IPv4 the type 255 is any (`icmp_type_code_match`,
/// net/ipv4/netfilter/ip_tables.c).
pub(super) fn icmp(text: &str, family: TableFamily) -> Option<Cell> {
    let (names, any) = if family == TableFamily::Ip6 { (ICMP6, None) } else { (ICMP, Some(255)) };
    let lower = text.to_ascii_lowercase();
    let byte = |text: &str| u8::try_from(number(text)?).ok();
    let (kind, code) = match names.iter().find(|(name, _, _)| *name == lower) {
        Some((_, kind, code)) => (*kind, *code),
        None if lower == "any" && any.is_some() => (255, None),
        None => match text.split_once('/') {
            Some((kind, code)) => (byte(kind)?, Some(byte(code)?)),
            None => (byte(text)?, None),
        },
    };
    if Some(kind) == any {
        return Some(Cell::all());
    }
    let codes = code.map_or(Bits::ALL, Bits::single);
    Some(Cell::all().with_narrow(Narrow::IcmpType, Bits::single(kind)).with_narrow(Narrow::IcmpCode, codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbers() {
        for (text, number) in
            [("tcp", Some(6)), ("TCP", Some(6)), ("all", Some(0)), ("47", Some(47)), ("martian", None)]
        {
            assert_eq!(protocol(text), number, "{text}");
        }
        for (text, number) in [("22", Some(22)), ("https", Some(443)), ("65536", None), ("-1", None), ("+1", None)] {
            assert_eq!(port(text), number, "{text}");
        }
        assert_eq!((number("0x1f"), number("0x"), number("1f")), (Some(31), None, None));
    }

    #[test]
    fn types_of_icmp() {
        let of = |text, family| {
            icmp(text, family).map(|cell| {
                let first = |field| cell.narrow(field).iter().next().filter(|_| cell.narrow(field) != Bits::ALL);
                (first(Narrow::IcmpType), first(Narrow::IcmpCode))
            })
        };
        for (text, family, meant) in [
            ("any", TableFamily::Ip, Some((None, None))),
            ("255", TableFamily::Ip, Some((None, None))),
            ("255/3", TableFamily::Ip, Some((None, None))),
            ("255", TableFamily::Ip6, Some((Some(255), None))),
            ("any", TableFamily::Ip6, None),
            ("8", TableFamily::Ip, Some((Some(8), None))),
            ("3/4", TableFamily::Ip, Some((Some(3), Some(4)))),
            ("Echo-Request", TableFamily::Ip, Some((Some(8), None))),
            ("echo-request", TableFamily::Ip6, Some((Some(128), None))),
            ("port-unreachable", TableFamily::Ip6, Some((Some(1), Some(4)))),
            ("256", TableFamily::Ip, None),
            ("8/x", TableFamily::Ip, None),
        ] {
            assert_eq!(of(text, family), meant, "{text}");
        }
    }
}
