//! What the kernel's packet log says (nf_log of nftables, iptables, ufw): `PREFIX IN=eth0 OUT= MAC=… SRC=… DST=… PROTO=TCP SPT=… DPT=…`.
//!
//! The fields stand in one order that the kernel fixes; the prefix before them is the administrator's text, kept as data. In
//! brackets behind them an ICMP error quotes the packet that it answers: nothing is read from there.

use super::bytes::{address, first_word, has, number, port};
use super::sighting::{Attribute, Kind, Sighting};
use super::stamp::Clock;
use super::syslog;
use crate::packet::Protocol;
use crate::record::Timestamp;
use std::net::IpAddr;

/// Reads one firewall log.
#[derive(Debug)]
pub struct Kernel {
    clock: Clock,
}

impl Kernel {
    /// A reader of a log whose times `clock` turns into instants.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// The clock, to move its reference.
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// What one line, without its end, says. Only the kernel and ulogd are believed.
    pub fn read<'s>(&mut self, line: &'s [u8]) -> Option<Sighting<'s>> {
        let frame = syslog::frame(line, &mut self.clock)?;
        matches!(frame.program, b"kernel" | b"ulogd").then(|| packet(frame.ts, frame.message))?
    }
}

/// The part of a message that stands for the packet.
#[derive(Debug, Default, Clone, Copy)]
struct Packet<'a> {
    input: &'a [u8],
    output: &'a [u8],
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: Option<Protocol>,
    source_port: Option<u16>,
    port: Option<u16>,
    icmp_type: Option<u64>,
    flags: Flags,
}

/// The TCP flags that decide what a packet is.
#[derive(Debug, Default, Clone, Copy)]
struct Flags {
    syn: bool,
    ack: bool,
    rst: bool,
}

/// Reads a message of the kernel.
pub fn packet(ts: Timestamp, message: &[u8]) -> Option<Sighting<'_>> {
    let message = without_uptime(message);
    let at = fields_begin(message)?;
    let prefix = message[..at].trim_ascii();
    let packet = fields(&message[at..])?;
    let kind = if is_probe(&packet, prefix) { Kind::PortProbe } else { Kind::Flow };
    let mut sighting = Sighting::new(ts, kind);
    (sighting.source_ip, sighting.destination_ip) = (packet.source, packet.destination);
    (sighting.source_port, sighting.port) = (packet.source_port, packet.port);
    sighting.protocol = packet.protocol;
    for (name, text) in [("prefix", prefix), ("in", packet.input), ("out", packet.output)] {
        if !text.is_empty() {
            sighting.attributes.set(name, Attribute::Text(text));
        }
    }
    if let Some(number) = packet.icmp_type {
        sighting.attributes.set("icmp_type", Attribute::Number(number));
    }
    Some(sighting)
}

/// Without `[  970.699397] `.
fn without_uptime(message: &[u8]) -> &[u8] {
    let uptime = |inner: &[u8]| inner.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' '));
    match message.strip_prefix(b"[").and_then(|rest| Some((rest, memchr::memchr(b']', rest)?))) {
        Some((rest, end)) if uptime(&rest[..end]) => rest[end + 1..].strip_prefix(b" ").unwrap_or(&rest[end + 1..]),
        _ => message,
    }
}

/// Where `IN=… OUT=… ` begins, the last such place before ` SRC=`: what stands before is the prefix.
fn fields_begin(message: &[u8]) -> Option<usize> {
    let source = memchr::memmem::find(message, b" SRC=")?;
    memchr::memmem::find_iter(&message[..source], b"IN=").filter(|at| starts_fields(&message[*at..])).last()
}

fn starts_fields(text: &[u8]) -> bool {
    first_word(text).1.starts_with(b"OUT=")
}

fn fields(text: &[u8]) -> Option<Packet<'_>> {
    let quoted = memchr::memmem::find(text, b" [").unwrap_or(text.len());
    let mut packet = Packet::default();
    for word in text[..quoted].split(|b| *b == b' ') {
        let (name, value) = memchr::memchr(b'=', word).map_or((word, &b""[..]), |at| (&word[..at], &word[at + 1..]));
        set(&mut packet, name, value);
    }
    (packet.source.is_some() && packet.destination.is_some()).then_some(packet)
}

fn set<'a>(packet: &mut Packet<'a>, name: &[u8], value: &'a [u8]) {
    match name {
        b"IN" => packet.input = value,
        b"OUT" => packet.output = value,
        b"SRC" => packet.source = packet.source.or_else(|| address(value)),
        b"DST" => packet.destination = packet.destination.or_else(|| address(value)),
        b"PROTO" => packet.protocol = packet.protocol.or_else(|| protocol(value)),
        b"SPT" => packet.source_port = packet.source_port.or_else(|| port(value)),
        b"DPT" => packet.port = packet.port.or_else(|| port(value)),
        b"TYPE" => packet.icmp_type = packet.icmp_type.or_else(|| number(value)),
        b"SYN" => packet.flags.syn = true,
        b"ACK" if value.is_empty() => packet.flags.ack = true,
        b"RST" => packet.flags.rst = true,
        _ => {}
    }
}

/// The kernel writes names in capitals, or the number (nf_log_syslog.c).
fn protocol(value: &[u8]) -> Option<Protocol> {
    match value {
        b"TCP" => Some(Protocol::TCP),
        b"UDP" => Some(Protocol::UDP),
        b"ICMP" => Some(Protocol::ICMP),
        b"ICMPv6" => Some(Protocol::ICMPV6),
        _ => std::str::from_utf8(value).ok()?.to_ascii_lowercase().parse().ok(),
    }
}

/// Whether a packet from outside opens something. What answers something of ours (an acknowledgement, a reset, a datagram from
/// the port of a service), what goes to many, and what the prefix calls allowed does not: late answers from servers that this
/// host asked look like a scan otherwise.
fn is_probe(packet: &Packet<'_>, prefix: &[u8]) -> bool {
    let incoming = !packet.input.is_empty() && packet.input != b"lo";
    let opens = match packet.protocol {
        Some(Protocol::TCP) => !packet.flags.ack && !packet.flags.rst,
        Some(Protocol::UDP) => packet.source_port.is_some_and(|p| p >= 1024),
        _ => false,
    };
    incoming && opens && packet.destination.is_some_and(|d| !to_many(d)) && !says_allowed(prefix)
}

fn to_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || v4.octets()[3] == 255,
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

fn says_allowed(prefix: &[u8]) -> bool {
    let lower = prefix.to_ascii_lowercase();
    [&b"allow"[..], b"accept", b"audit", b"pass"].iter().any(|word| has(&lower, word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYN: &str = "IN=eth0 OUT= MAC=00:08:a2:0c:1f:12:00:c8:8b:e2:d6:87:08:00 SRC=203.0.113.7 DST=192.0.2.1 LEN=40 TOS=0x00 PREC=0x00 TTL=245 ID=37308 PROTO=TCP SPT=40000 DPT=8123 WINDOW=1024 RES=0x00 SYN URGP=0 ";

    fn seen(message: &str) -> Option<(Kind, String, Option<u16>, String)> {
        let s = packet("2026-01-02T03:04:05Z".parse().expect("time"), message.as_bytes())?;
        let prefix = s.attributes.iter().find(|a| a.0 == "prefix").map(|a| format!("{:?}", a.1)).unwrap_or_default();
        Some((s.kind, s.source_ip?.to_string(), s.port, prefix))
    }

    #[test]
    fn each_form() {
        let expected = (Kind::PortProbe, "203.0.113.7".to_owned(), Some(8123));
        for start in
            ["", "[50028442.088484] ", "[  970.699397] [UFW BLOCK] ", "iptables-DROP: ", "x IN=y SRCX ", "LOGIN="]
        {
            let (kind, ip, port, _) = seen(&format!("{start}{SYN}")).expect(start);
            assert_eq!((kind, ip, port), expected, "{start}");
        }
        let v6 = "IN=eth0 OUT= SRC=2001:0db8:0000:0000:0000:0000:0000:0007 DST=2001:0db8::1 LEN=60 PROTO=UDP SPT=40000 DPT=53 LEN=20";
        assert_eq!(seen(v6).map(|s| (s.1, s.2)), Some(("2001:db8::7".into(), Some(53))));
    }

    #[test]
    fn what_is_no_probe() {
        let flow = |text: String| assert_eq!(seen(&text).map(|s| s.0), Some(Kind::Flow), "{text}");
        flow(format!("[UFW ALLOW] {SYN}"));
        flow(SYN.replace(" SYN ", " ACK FIN "));
        flow(SYN.replace(" SYN ", " ACK RST "));
        flow(SYN.replace("IN=eth0 OUT=", "IN= OUT=eth0"));
        flow(SYN.replace("DST=192.0.2.1", "DST=192.0.2.255"));
        flow("IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 PROTO=UDP SPT=53 DPT=40000 LEN=20".into());
        flow("IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 PROTO=ICMP TYPE=3 CODE=1 [SRC=192.0.2.1 DST=198.51.100.1 PROTO=TCP SPT=1 DPT=2 SYN ]".into());
        for text in ["", "IN=eth0", "SRC=1.2.3.4", "IN=eth0 OUT= SRC=x DST=192.0.2.1", "eth0: link up"] {
            assert_eq!(seen(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_kernel_is_believed() {
        let clock = Clock::new(jiff::tz::TimeZone::UTC, "2026-06-01T00:00:00Z".parse().expect("time"));
        let mut log = Kernel::new(clock);
        assert!(log.read(format!("Nov 20 10:15:32 gw kernel: [1.2] {SYN}").as_bytes()).is_some());
        assert!(log.read(format!("Nov 20 10:15:32 gw app: {SYN}").as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn the_prefix_is_data(prefix in "[ -~]{0,40}") {
            prop_assume!(!prefix.contains(" SRC=") && !prefix.starts_with('['));
            let ip = seen(&format!("{prefix} {SYN}")).map(|s| s.1);
            prop_assert_eq!(ip.as_deref(), Some("203.0.113.7"));
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "(\\[|IN=|OUT=| SRC=| DST=|\\]|[0-9.: ]){0,20}") {
            let ts = "2026-01-02T03:04:05Z".parse().expect("time");
            let _ = packet(ts, &bytes);
            let _ = packet(ts, text.as_bytes());
        }
    }
}
