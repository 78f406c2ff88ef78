//! What a condition looks at: fields of the packet that the model has, and what looking at them implies.
//!
//! nft leaves implied conditions out of its listing (`tcp dport 22` is also a test for tcp); here they are put back.

use super::node::Node;
use super::words::strings;
use crate::packet::{Bits, Narrow, Protocol, Ranges, Wide, address_type};
use crate::rule::ruleset::{Condition, TableFamily, Unread};

/// How the values of a wide field are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    V4,
    V6,
    Port,
    Name,
    Mark,
    Mac,
    Vlan,
}

impl Kind {
    /// The length of a value.
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::V4 | Self::Mark => 32,
            Self::Port => 16,
            Self::Mac => 48,
            Self::Vlan => 12,
            Self::V6 | Self::Name => 128,
        }
    }

    /// Every value.
    pub(super) fn all(self) -> Ranges {
        Ranges::one(0, 1u128.checked_shl(self.bits()).map_or(u128::MAX, |end| end - 1))
    }
}

/// A field of the model under one of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Wide(Wide, Kind),
    /// `meta nfproto`.
    Family,
    /// `meta protocol`, an ether type.
    EtherType,
    /// The first four bits of an IP header, which say the family once more (`ip_rcv_core`).
    Version,
    Protocol,
    State,
    Status,
    ConnectionDirection,
    TcpFlags,
    IcmpType,
    IcmpCode,
    Icmp6Type,
    Icmp6Code,
    /// `fib saddr type`, `fib daddr type`.
    SourceType,
    DestinationType,
    /// `ip frag-off`, for the one mask that tells later fragments apart.
    Fragment,
}

/// A field and what is implied by looking at it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) subject: Subject,
    pub(super) implied: Vec<Condition>,
}

const STATE_NUMBERS: [u64; 5] = [8, 2, 4, 1, 64];
/// The bits of the kernel's status of a connection that the model has, each as the bit of the model (enum ip_conntrack_status,
/// linux/netfilter/nf_conntrack_common.h).
const STATUS_NUMBERS: [u64; 7] = [1, 2, 4, 8, 16, 32, 512];

impl Subject {
    /// The narrow field; a wide one has none and is never asked.
    pub(super) fn narrow(self) -> Narrow {
        match self {
            Self::Family | Self::EtherType | Self::Version | Self::Wide(..) => Narrow::Family,
            Self::Protocol => Narrow::Protocol,
            Self::State => Narrow::State,
            Self::Status => Narrow::ConnectionStatus,
            Self::ConnectionDirection => Narrow::ConnectionDirection,
            Self::TcpFlags => Narrow::TcpFlags,
            Self::IcmpType | Self::Icmp6Type => Narrow::IcmpType,
            Self::IcmpCode | Self::Icmp6Code => Narrow::IcmpCode,
            Self::Fragment => Narrow::Fragment,
            Self::SourceType => Narrow::SourceType,
            Self::DestinationType => Narrow::DestinationType,
        }
    }

    /// The number that the kernel has for a value of the narrow field (linux/netfilter.h, nf_conntrack_common.h, if_ether.h).
    pub(super) fn number(self, value: u8) -> u64 {
        match self {
            Self::Family => [2, 10, 0][usize::from(value.min(2))],
            Self::EtherType => [0x0800, 0x86dd, 0][usize::from(value.min(2))],
            Self::Version => [4, 6, 0][usize::from(value.min(2))],
            Self::State => STATE_NUMBERS[usize::from(value.min(4))],
            Self::Status => (0..7).filter(|bit| value >> bit & 1 == 1).map(|bit| STATUS_NUMBERS[bit]).sum(),
            _ => value.into(),
        }
    }

    /// The number that a word stands for.
    pub(super) fn word(self, word: &str) -> Option<u64> {
        match self {
            Self::Wide(..) | Self::Fragment | Self::Version => None,
            Self::Family => find(&[("ipv4", 2), ("ipv6", 10)], word),
            Self::EtherType => find(&[("ip", 0x0800), ("ip6", 0x86dd)], word),
            Self::Protocol => protocol(word),
            Self::State => {
                find(&[("invalid", 1), ("established", 2), ("related", 4), ("new", 8), ("untracked", 64)], word)
            }
            Self::Status => {
                let words = ["expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "dying"];
                words.iter().position(|name| *name == word).map(|bit| STATUS_NUMBERS[bit])
            }
            Self::ConnectionDirection => find(&[("original", 0), ("reply", 1)], word),
            Self::TcpFlags => ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"]
                .iter()
                .position(|flag| *flag == word || (*flag == "ecn" && word == "ece"))
                .map(|bit| 1 << bit),
            Self::IcmpType => find(ICMP_TYPES, word),
            Self::Icmp6Type => find(ICMP6_TYPES, word),
            Self::IcmpCode => find(ICMP_CODES, word),
            Self::Icmp6Code => find(ICMP6_CODES, word),
            Self::SourceType | Self::DestinationType => address_type(word).map(u64::from),
        }
    }

    /// Whether a comparison without an operator asks for a common bit.
    pub(super) fn is_flags(self) -> bool {
        matches!(self, Self::State | Self::Status | Self::TcpFlags)
    }

    /// The bits of its number that the model has; of a status the kernel knows more.
    pub(super) fn known_bits(self) -> u64 {
        if self == Self::Status { STATUS_NUMBERS.iter().sum() } else { u64::MAX }
    }
}

fn find(words: &[(&str, u64)], word: &str) -> Option<u64> {
    words.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

/// Names of /etc/protocols that nft prints and [`Protocol`] spells otherwise.
fn protocol(word: &str) -> Option<u64> {
    let other = [
        ("ipv6-icmp", 58),
        ("ipencap", 4),
        ("ospf", 89),
        ("ospfigp", 89),
        ("comp", 108),
        ("encap", 98),
        ("ip", 0),
        ("hopopt", 0),
        ("ggp", 3),
        ("st", 5),
        ("egp", 8),
        ("igp", 9),
        ("ipv6-route", 43),
        ("ipv6-frag", 44),
        ("ipv6-nonxt", 59),
        ("ipv6-opts", 60),
        ("mobility-header", 135),
        ("udplite", 136),
        ("mpls-in-ip", 137),
    ];
    find(&other, word).or_else(|| word.parse::<Protocol>().ok().map(|p| p.0.into()))
}

const ICMP_TYPES: &[(&str, u64)] = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

const ICMP6_TYPES: &[(&str, u64)] = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("mld-listener-reduction", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];

const ICMP_CODES: &[(&str, u64)] = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("frag-needed", 4),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
];

const ICMP6_CODES: &[(&str, u64)] = &[
    ("no-route", 0),
    ("admin-prohibited", 1),
    ("addr-unreachable", 3),
    ("port-unreachable", 4),
    ("policy-fail", 5),
    ("reject-route", 6),
];

pub(super) fn is(field: Narrow, value: u8) -> Condition {
    Condition::Narrow(field, Bits::single(value))
}

/// The field that an expression looks at; nothing where the model has none.
pub(super) fn field(left: Node<'_>, family: TableFamily) -> Option<Field> {
    let (kind, body) = left.single()?;
    let word = |key: &str| body.text(key);
    match kind {
        "payload" => payload(word("protocol")?, word("field")?),
        "meta" => meta(word("key")?, family),
        "fib" => address_type_of(body),
        "ct" if body.get("dir").is_none() => connection(word("key")?),
        _ => None,
    }
}

/// `fib daddr type`, without an interface or mark that it depends on as well.
fn address_type_of(body: Node<'_>) -> Option<Field> {
    let mut flags = strings(body.get("flags"));
    let (flag, more) = (flags.next()?, flags.next());
    let subject = match flag {
        "saddr" => Subject::SourceType,
        "daddr" => Subject::DestinationType,
        _ => return None,
    };
    let ip = Condition::Narrow(Narrow::Family, Bits::below(2));
    (body.text("result") == Some("type") && more.is_none()).then(|| Field { subject, implied: vec![ip] })
}

fn connection(key: &str) -> Option<Field> {
    let subject = match key {
        "state" => return Some(plain(Subject::State)),
        "mark" => Subject::Wide(Wide::ConnectionMark, Kind::Mark),
        "status" => Subject::Status,
        "direction" => Subject::ConnectionDirection,
        _ => return None,
    };
    Some(Field { subject, implied: vec![tracked()] })
}

/// All but the state is asked in vain of a packet without a connection (nft_ct_get_eval).
fn tracked() -> Condition {
    Condition::Narrow(Narrow::State, Bits::below(3))
}

fn plain(subject: Subject) -> Field {
    Field { subject, implied: Vec::new() }
}

fn meta(key: &str, family: TableFamily) -> Option<Field> {
    let ip = || Condition::Narrow(Narrow::Family, Bits::below(2));
    Some(match key {
        "iifname" | "iif" => plain(Subject::Wide(Wide::InInterface, Kind::Name)),
        "oifname" | "oif" => plain(Subject::Wide(Wide::OutInterface, Kind::Name)),
        "mark" => plain(Subject::Wide(Wide::Mark, Kind::Mark)),
        "l4proto" => Field { subject: Subject::Protocol, implied: vec![ip()] },
        "nfproto" if !matches!(family, TableFamily::Bridge | TableFamily::Netdev) => plain(Subject::Family),
        "protocol" => plain(Subject::EtherType),
        _ => return None,
    })
}

/// There are bytes where a transport header would be: nft reads those of later fragments as well (nft_payload_fast_eval).
fn bytes() -> Condition {
    Condition::Narrow(Narrow::Fragment, Bits::below(2))
}

/// There is a transport header (nft_exthdr_tcp_eval, nft_payload_set_eval).
pub(super) fn header() -> Condition {
    is(Narrow::Fragment, 0)
}

fn payload(protocol: &str, field: &str) -> Option<Field> {
    let port = match field {
        "sport" => Some(Subject::Wide(Wide::SourcePort, Kind::Port)),
        "dport" => Some(Subject::Wide(Wide::DestinationPort, Kind::Port)),
        _ => None,
    };
    let (subject, implied) = match (protocol, field) {
        // What has no such header does not match, whatever is asked of it.
        ("ether", "saddr") => (Subject::Wide(Wide::SourceMac, Kind::Mac), vec![any(Wide::SourceMac, Kind::Mac)]),
        ("ether", "daddr") => {
            (Subject::Wide(Wide::DestinationMac, Kind::Mac), vec![any(Wide::DestinationMac, Kind::Mac)])
        }
        ("vlan", "id") => (Subject::Wide(Wide::Vlan, Kind::Vlan), vec![any(Wide::Vlan, Kind::Vlan)]),
        ("ip", "saddr") => (Subject::Wide(Wide::Source, Kind::V4), vec![is(Narrow::Family, 0)]),
        ("ip", "daddr") => (Subject::Wide(Wide::Destination, Kind::V4), vec![is(Narrow::Family, 0)]),
        ("ip6", "saddr") => (Subject::Wide(Wide::Source, Kind::V6), vec![is(Narrow::Family, 1)]),
        ("ip6", "daddr") => (Subject::Wide(Wide::Destination, Kind::V6), vec![is(Narrow::Family, 1)]),
        ("ip", "version") => (Subject::Version, vec![is(Narrow::Family, 0)]),
        ("ip6", "version") => (Subject::Version, vec![is(Narrow::Family, 1)]),
        ("ip", "protocol") => (Subject::Protocol, vec![is(Narrow::Family, 0)]),
        // True of what has no extension header, which the model does not know of.
        ("ip6", "nexthdr") => (Subject::Protocol, vec![is(Narrow::Family, 1), no_extension()]),
        ("ip", "frag-off") => (Subject::Fragment, vec![is(Narrow::Family, 0)]),
        ("tcp", "flags") => (Subject::TcpFlags, vec![is(Narrow::Protocol, 6), bytes()]),
        ("th", _) => (port?, vec![bytes()]),
        ("icmp", "type") => (Subject::IcmpType, vec![is(Narrow::Family, 0), is(Narrow::Protocol, 1), bytes()]),
        ("icmp", "code") => (Subject::IcmpCode, vec![is(Narrow::Family, 0), is(Narrow::Protocol, 1), bytes()]),
        ("icmpv6", "type") => (Subject::Icmp6Type, vec![is(Narrow::Family, 1), is(Narrow::Protocol, 58), bytes()]),
        ("icmpv6", "code") => (Subject::Icmp6Code, vec![is(Narrow::Family, 1), is(Narrow::Protocol, 58), bytes()]),
        ("tcp" | "udp" | "sctp" | "dccp" | "udplite", _) => {
            (port?, vec![is(Narrow::Protocol, protocol.parse::<Protocol>().ok()?.0), bytes()])
        }
        _ => return None,
    };
    Some(Field { subject, implied })
}

/// Any value that is one.
fn any(field: Wide, kind: Kind) -> Condition {
    Condition::Wide(field, kind.all())
}

/// What is implied by looking at a field that the model does not have.
pub(super) fn implied(left: Node<'_>) -> Vec<Condition> {
    let Some((kind, body)) = left.single() else { return Vec::new() };
    match (kind, body.text("protocol")) {
        ("&" | "|" | "^" | "<<" | ">>", _) => body.item(0).map(implied).unwrap_or_default(),
        ("concat", _) => body.items().into_iter().flatten().flat_map(implied).collect(),
        ("ct", _) if body.text("key") != Some("state") => vec![tracked()],
        ("tcp option", _) => vec![is(Narrow::Protocol, 6), header()],
        ("ip option", _) | ("payload", Some("ip")) => vec![is(Narrow::Family, 0)],
        ("exthdr", _) | ("payload", Some("ip6")) => vec![is(Narrow::Family, 1)],
        ("payload", Some("th")) => vec![bytes()],
        ("payload", Some(name @ ("tcp" | "udp" | "sctp" | "dccp" | "udplite"))) => {
            let number = protocol(name).and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
            vec![is(Narrow::Protocol, number), bytes()]
        }
        _ => field(left, TableFamily::Inet).map(|f| f.implied).unwrap_or_default(),
    }
}

fn no_extension() -> Condition {
    Condition::Unread(Unread::no_extension())
}
