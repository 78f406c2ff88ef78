//! A packet as the bytes that go over the wire, from its IP header on, with valid checksums.
//!
//! What rules ask of a packet and what its bytes are is kept the same: [`as_sent`] gives the description of what [`bytes`] makes.
//! Nothing here sends anything.

use super::Packet;
use crate::packet::Protocol;
use std::net::IpAddr;

/// Where a later fragment begins, in units of eight bytes.
const OFFSET: u16 = 100;
/// The flag of IPv4 that more is to come.
const MORE: u16 = 0x2000;
const FRAGMENT_HEADER: u8 = 44; // RFC 8200, 4.5
const HOPS: u8 = 64;

/// What makes no difference to the description of a packet and yet to its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Tells one packet from another while it is on its way: the identification of IPv4, the flow label of IPv6. Not 0.
    pub label: u16,
    /// The checksum of the transport header is wrong: connection tracking then calls the packet invalid.
    pub spoiled: bool,
    /// The packet that an ICMP error is about.
    pub about: Option<Box<Packet>>,
    /// It is the first fragment of a larger packet: its transport header is all there, and more is to come.
    pub first: bool,
}

/// The bytes of a packet. The two addresses are of one family; its interfaces, its mark and the state of its connection are not in them.
pub fn bytes(packet: &Packet, form: &Form) -> Vec<u8> {
    let body = if packet.fragment { remainder(packet) } else { transport(packet, form) };
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let fragment = place(packet, form);
            let mut header = vec![0x45, 0];
            header.extend(length(20 + body.len()));
            header.extend(form.label.to_be_bytes());
            header.extend(fragment.to_be_bytes());
            header.extend([HOPS, packet.protocol.0, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let sum = checksum(&header, 0);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            [header, body].concat()
        }
        _ => version6(packet, form, body),
    }
}

/// Where in a larger packet it stands, as IPv4 has it: three bits of flags, then units of eight bytes.
fn place(packet: &Packet, form: &Form) -> u16 {
    match (packet.fragment, form.first) {
        (true, _) => OFFSET,
        (false, true) => MORE,
        (false, false) => 0,
    }
}

fn version6(packet: &Packet, form: &Form, body: Vec<u8>) -> Vec<u8> {
    let place = place(packet, form);
    let extension = match place {
        0 => Vec::new(),
        _ => {
            let [high, low] = (place << 3 | u16::from(place == MORE)).to_be_bytes();
            let [a, b] = form.label.to_be_bytes();
            vec![packet.protocol.0, 0, high, low, 0, 0, a, b]
        }
    };
    let next = if extension.is_empty() { packet.protocol.0 } else { FRAGMENT_HEADER };
    // What is read as the source port of a later fragment.
    let [high, low] = if packet.fragment { (0x6000 | packet.source_port & 0xfff).to_be_bytes() } else { [0x60, 0] };
    let mut all = vec![high, low];
    all.extend(form.label.to_be_bytes());
    all.extend(length(extension.len() + body.len()));
    all.extend([next, HOPS]);
    all.extend(octets(packet.source));
    all.extend(octets(packet.destination));
    all.extend(extension);
    all.extend(body);
    all
}

/// The same packet with the fields that its bytes decide: where nothing is like a port, what stands in its place.
pub fn as_sent(packet: &Packet, form: &Form) -> Packet {
    let mut sent = packet.clone();
    let body = match (packet.fragment, packet.source) {
        (false, _) => transport(packet, form),
        // There a transport header is looked for at the beginning of the packet.
        (true, IpAddr::V6(_)) => version6(packet, form, Vec::new()),
        (true, IpAddr::V4(_)) => remainder(packet),
    };
    let byte = |at: usize| body.get(at).copied().unwrap_or(0);
    let pair = |at: usize| u16::from_be_bytes([byte(at), byte(at + 1)]);
    sent.source_port = pair(0);
    sent.destination_port = pair(2);
    if packet.fragment {
        sent.short &= packet.source.is_ipv4();
        sent.tcp_flags = byte(13);
        sent.icmp = (byte(0), byte(1));
    }
    sent
}

/// What a later fragment has where a transport header would be.
fn remainder(packet: &Packet) -> Vec<u8> {
    if packet.short {
        return Vec::new();
    }
    let mut bytes = match packet.protocol {
        Protocol::ICMP | Protocol::ICMPV6 => vec![packet.icmp.0, packet.icmp.1, 0, 0],
        _ => [packet.source_port.to_be_bytes(), packet.destination_port.to_be_bytes()].concat(),
    };
    bytes.resize(32, 0);
    bytes[13] = packet.tcp_flags;
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// The transport header with a few bytes behind it.
fn transport(packet: &Packet, form: &Form) -> Vec<u8> {
    let mut ports = packet.source_port.to_be_bytes().to_vec();
    ports.extend(packet.destination_port.to_be_bytes());
    let (mut bytes, place) = match packet.protocol {
        Protocol::TCP => {
            ports.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, packet.tcp_flags, 4, 0, 0, 0, 0, 0]);
            (ports, Some(16))
        }
        Protocol::UDP | Protocol::UDPLITE => {
            ports.extend([0, 16, 0, 0]);
            ports.extend(*b"question");
            (ports, Some(6))
        }
        Protocol::ICMP | Protocol::ICMPV6 => {
            let mut bytes = vec![packet.icmp.0, packet.icmp.1, 0, 0, 0, 7, 0, 1];
            bytes.extend(form.about.as_ref().map_or_else(|| vec![0; 48], |about| self::bytes(about, &Form::default())));
            (bytes, Some(2))
        }
        Protocol::SCTP => (association(ports), None),
        _ => {
            ports.extend([0; 28]);
            (ports, None)
        }
    };
    if let Some(place) = place {
        // ICMP of IPv4 alone has no pseudo-header (RFC 792).
        let seed = if packet.protocol == Protocol::ICMP { 0 } else { pseudo(packet, bytes.len()) };
        let right = checksum(&bytes, seed);
        // UDP has no checksum 0 (RFC 768).
        let right = if right == 0 && place == 6 { u16::MAX } else { right };
        let sum = if form.spoiled { spoil(right) } else { right };
        bytes[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// Another sum than the right one, and neither of the two spellings of 0.
fn spoil(right: u16) -> u16 {
    if right == 0x1234 { 0x4321 } else { 0x1234 }
}

/// The first packet of an SCTP association (RFC 9260, 3.3.2).
fn association(mut ports: Vec<u8>) -> Vec<u8> {
    ports.extend([0; 8]);
    ports.extend([1, 0, 0, 20, 0, 0, 0, 9, 0, 0, 16, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let sum = crc32c(&ports);
    ports[8..12].copy_from_slice(&sum.to_le_bytes());
    ports
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

/// The sum of the header that transport checksums take in besides (RFC 9293, 3.1; RFC 8200, 8.1).
fn pseudo(packet: &Packet, length: usize) -> u32 {
    let addresses = [octets(packet.source), octets(packet.destination)].concat();
    sum(&addresses) + u32::from(packet.protocol.0) + u32::try_from(length).unwrap_or(0)
}

fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    bytes.chunks(2).map(word).sum()
}

/// The checksum of the internet (RFC 1071).
fn checksum(bytes: &[u8], seed: u32) -> u16 {
    let mut total = seed + sum(bytes);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &str) -> Packet {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn sums_are_those_of_known_packets() {
        // RFC 1071, 3: the sum of this example is ddf2 before it is complemented.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7], 0), !0xddf2);
        // RFC 3720, B.4: thirty-two zeros.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn what_is_summed_with_its_sum_is_nothing() {
        for text in [
            "input eth0 192.0.2.1:1 > 192.0.2.2:2 tcp syn",
            "input eth0 [2001:db8::1]:1 > [2001:db8::2]:2 udp",
            "input eth0 2001:db8::1 > 2001:db8::2 icmpv6 128",
        ] {
            let packet = packet(text);
            let form = Form { label: 5, ..Form::default() };
            let body = transport(&packet, &form);
            assert_eq!(checksum(&body, pseudo(&packet, body.len())), 0, "{text}");
            let spoiled = transport(&packet, &Form { spoiled: true, ..form });
            assert_ne!(checksum(&spoiled, pseudo(&packet, spoiled.len())), 0, "{text}");
        }
        let whole = bytes(&packet("forward a b 192.0.2.1 > 192.0.2.2 icmp 8"), &Form { label: 5, ..Form::default() });
        assert_eq!((checksum(&whole[..20], 0), checksum(&whole[20..], 0)), (0, 0));
        assert_eq!((whole.len(), &whole[4..6]), (76, &[0, 5][..]));
    }

    #[test]
    fn fragments_have_no_transport_header() {
        let form = Form { label: 7, ..Form::default() };
        let v4 = bytes(&packet("input eth0 192.0.2.1 > 192.0.2.2 tcp fragment"), &form);
        assert_eq!((u16::from_be_bytes([v4[6], v4[7]]), v4[9]), (OFFSET, 6));
        let v6 = bytes(&packet("input eth0 2001:db8::1 > 2001:db8::2 udp fragment"), &form);
        assert_eq!((v6[6], v6[40], u16::from_be_bytes([v6[42], v6[43]])), (FRAGMENT_HEADER, 17, OFFSET << 3));
        assert_eq!(&v6[..4], &[0x60, 0, 0, 7]);
        let first = Form { first: true, ..form };
        let v4 = bytes(&packet("forward a b 192.0.2.1:1 > 192.0.2.2:2 udp"), &first);
        assert_eq!((&v4[6..8], &v4[20..24]), (&[0x20, 0][..], &[0, 1, 0, 2][..]));
        let v6 = bytes(&packet("forward a b [2001:db8::1]:1 > [2001:db8::2]:2 udp"), &first);
        assert_eq!((v6[6], &v6[40..52]), (FRAGMENT_HEADER, &[17, 0, 0, 1, 0, 0, 0, 7, 0, 1, 0, 2][..]));
    }

    #[test]
    fn what_stands_where_ports_would_is_told() {
        let ping = packet("input eth0 192.0.2.1 > 192.0.2.2 icmp 3/4");
        let sent = as_sent(&ping, &Form::default());
        assert_eq!((sent.source_port, sent.icmp), (0x0304, (3, 4)));
        assert_ne!(sent.destination_port, 0);
        let udp = packet("input eth0 192.0.2.1:53 > 192.0.2.2:54 udp");
        assert_eq!(as_sent(&udp, &Form::default()), udp);
    }
}
