//! What one match of a rule asks, as iptables-restore takes it.
//!
//! There is no variant that takes free text: every value prints from its type, so that nothing of a record leaves its place.

use crate::backend::meaning::{address, net};
use crate::packet::{Family, InterfacePattern, MacAddress, Protocol};
use crate::rule::{ConnectionState, Mark, Per, TcpFlag, Weekday};
use std::fmt::{self, Display, Formatter};

/// Names of interfaces are at most this long (IFNAMSIZ), a plus sign included.
const NAME: usize = 15;

/// One match, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask {
    pub(super) what: What,
    pub(super) negated: bool,
}

impl Ask {
    pub(super) fn that(what: What) -> Self {
        Self { what, negated: false }
    }

    pub(super) fn not(what: What) -> Self {
        Self { what, negated: true }
    }
}

/// What is looked at, in the order in which it stands in a line: a protocol comes before what its headers have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    In(InterfacePattern),
    Out(InterfacePattern),
    Address {
        end: End,
        span: (u128, u128),
        family: Family,
    },
    Protocol(Protocol, Family),
    /// A protocol stands in the same line.
    Ports {
        protocol: Protocol,
        end: End,
        spans: Vec<(u16, u16)>,
    },
    Flags {
        mask: Vec<TcpFlag>,
        set: Vec<TcpFlag>,
    },
    Icmp {
        family: Family,
        kind: u8,
        code: Option<u8>,
    },
    State(Vec<ConnectionState>),
    Mac(MacAddress),
    Mark {
        value: u32,
        mask: u32,
    },
    /// Days, all where none is named, and seconds of the day, both in UTC.
    Time {
        days: Vec<Weekday>,
        seconds: Option<(u32, u32)>,
    },
    Rate(Bucket),
}

/// Which end of the way a packet has come or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Source,
    Destination,
}

/// A rate: `count` a unit after `burst` at once, for all together or for each source; what is over it matches, or what is within.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) count: u32,
    pub(super) per: &'static str,
    pub(super) burst: u32,
    pub(super) over: bool,
    /// The bits of the source that are counted together.
    pub(super) source: Option<u8>,
    /// Seconds until an untouched bucket is full again.
    pub(super) refill: u64,
}

/// The mark of a rule.
pub(super) fn mark(mark: Mark) -> Ask {
    Ask::that(What::Mark { value: mark.value, mask: mark.mask })
}

/// hashlimit's word for a unit.
pub(super) fn unit(per: Per) -> &'static str {
    match per {
        Per::Second => "second",
        Per::Minute => "minute",
        Per::Hour => "hour",
        Per::Day => "day",
    }
}

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "! " } else { "" };
        match &self.what {
            What::In(name) => write!(f, "{not}-i {}", interface(name)),
            What::Out(name) => write!(f, "{not}-o {}", interface(name)),
            What::Address { end, span, family } => addresses(f, not, *end, *span, *family),
            What::Protocol(protocol, family) => write!(f, "{not}-p {}", protocol_word(*protocol, *family)),
            What::Ports { protocol, end, spans } => ports(f, not, *protocol, *end, spans),
            What::Flags { mask, set } => {
                write!(f, "-m tcp {not}--tcp-flags {} {}", flags(mask), flags(set))
            }
            What::Icmp { family, kind, code } => {
                let (module, option) =
                    if *family == Family::Ipv4 { ("icmp", "icmp-type") } else { ("icmp6", "icmpv6-type") };
                let code = code.map(|code| format!("/{code}")).unwrap_or_default();
                write!(f, "-m {module} {not}--{option} {kind}{code}")
            }
            What::State(states) => {
                let words: Vec<_> = states.iter().map(|state| state.as_str().to_ascii_uppercase()).collect();
                write!(f, "-m conntrack {not}--ctstate {}", words.join(","))
            }
            What::Mac(mac) => write!(f, "-m mac {not}--mac-source {mac}"),
            What::Mark { value, mask: u32::MAX } => write!(f, "-m mark {not}--mark {value:#x}"),
            What::Mark { value, mask } => write!(f, "-m mark {not}--mark {value:#x}/{mask:#x}"),
            What::Time { days, seconds } => time(f, days, *seconds),
            What::Rate(bucket) => write!(f, "{bucket}"),
        }
    }
}

impl Display for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.over { "above" } else { "upto" };
        let Self { name, count, per, burst, refill, .. } = self;
        write!(f, "-m hashlimit --hashlimit-{word} {count}/{per} --hashlimit-burst {burst}")?;
        if let Some(bits) = self.source {
            write!(f, " --hashlimit-mode srcip --hashlimit-srcmask {bits}")?;
        }
        write!(f, " --hashlimit-name {name}")?;
        if self.source.is_some() {
            write!(f, " --hashlimit-htable-size 16384 --hashlimit-htable-max {}", super::act::SOURCES)?;
        }
        // In milliseconds; what is forgotten earlier would be allowed its burst again.
        write!(f, " --hashlimit-htable-expire {}", refill * 1000)
    }
}

/// A name, or with a plus sign at its end all that begin so. A stem of 15 bytes leaves no room for one and names one interface.
fn interface(name: &InterfacePattern) -> String {
    let plus = if name.is_pattern() && name.stem().len() < NAME { "+" } else { "" };
    format!("{}{plus}", name.stem())
}

/// A word that every host knows, else the number: /etc/protocols differs between hosts. The word for ICMP says whose rule it is.
fn protocol_word(protocol: Protocol, family: Family) -> String {
    match (protocol, family) {
        (Protocol::ICMP, Family::Ipv4) => "icmp".to_owned(),
        (Protocol::ICMPV6, Family::Ipv6) => "ipv6-icmp".to_owned(),
        (Protocol::TCP, _) => "tcp".to_owned(),
        (Protocol::UDP, _) => "udp".to_owned(),
        (other, _) => other.0.to_string(),
    }
}

/// Both ends are in it (xt_time.h). No part is across midnight, where the kernel would ask for the day on both sides.
fn time(f: &mut Formatter<'_>, days: &[Weekday], seconds: Option<(u32, u32)>) -> fmt::Result {
    let clock = |second: u32| format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    f.write_str("-m time")?;
    if let Some((first, last)) = seconds {
        write!(f, " --timestart {} --timestop {}", clock(first), clock(last))?;
    }
    let days: Vec<&str> = days.iter().map(|day| &day.name()[..3]).collect();
    if days.is_empty() { Ok(()) } else { write!(f, " --weekdays {}", days.join(",")) }
}

fn addresses(f: &mut Formatter<'_>, not: &str, end: End, span: (u128, u128), family: Family) -> fmt::Result {
    let (short, long) = if end == End::Source { ("-s", "src") } else { ("-d", "dst") };
    let low = address(span.0, family);
    match net(span, family) {
        Some(net) => write!(f, "{not}{short} {net}"),
        None => write!(f, "-m iprange {not}--{long}-range {low}-{}", address(span.1, family)),
    }
}

fn ports(f: &mut Formatter<'_>, not: &str, protocol: Protocol, end: End, spans: &[(u16, u16)]) -> fmt::Result {
    let side = if end == End::Source { "sport" } else { "dport" };
    let words: Vec<String> = spans
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}:{last}") })
        .collect();
    let own = [(Protocol::TCP, "tcp"), (Protocol::UDP, "udp")];
    match (words.as_slice(), own.into_iter().find(|(known, _)| *known == protocol)) {
        ([one], Some((_, module))) => write!(f, "-m {module} {not}--{side} {one}"),
        _ => write!(f, "-m multiport {not}--{side}s {}", words.join(",")),
    }
}

fn flags(flags: &[TcpFlag]) -> String {
    let words: Vec<_> = flags.iter().map(|flag| flag.as_str().to_ascii_uppercase()).collect();
    if words.is_empty() { "NONE".to_owned() } else { words.join(",") }
}
