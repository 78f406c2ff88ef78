//! How a packet comes to the state that it is described with: what must be there before it, and in what form it is sent.

use super::street::CABLE;
use super::track::{Connection, STATUS};
use crate::packet::{LOCAL, MacAddress, Narrow, Protocol, UNICAST, usual_type};
use crate::rule::wire::{Form, as_sent};
use crate::rule::{ConnectionState, Direction, Packet};
use std::net::IpAddr;

/// The preparation of one packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stage {
    /// A connection that must be there.
    pub connection: Option<Connection>,
    pub form: Form,
    /// A rule takes it out of connection tracking.
    pub untracked: bool,
}

/// The state that connection tracking finds in a packet by itself, when it knows of no connection.
pub fn natural(packet: &Packet) -> ConnectionState {
    use ConnectionState::{Invalid, New, Untracked};
    match (packet.protocol, packet.icmp.0) {
        (Protocol::TCP, _) if begins(packet.tcp_flags) => New,
        (Protocol::TCP, _) => Invalid,
        // nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c
        (Protocol::ICMP, 8 | 13 | 15 | 17) if packet.source.is_ipv4() => New,
        (Protocol::ICMPV6, 128 | 139) if packet.source.is_ipv6() => New,
        (Protocol::ICMPV6, 130..=136 | 143 | 151 | 152) if packet.source.is_ipv6() => Untracked,
        (Protocol::ICMP | Protocol::ICMPV6, _) => Invalid,
        // nf_conntrack_proto_gre.c: of version 1 only what carries PPP
        (Protocol::GRE, _) if is_enhanced_gre(packet) && packet.destination_port != 0x880b => Invalid,
        _ => New,
    }
}

/// GRE of version 1 (RFC 2637, 4.1); its flags and version are bytes 0 and 1, where others have their source port.
fn is_enhanced_gre(packet: &Packet) -> bool {
    packet.source_port & 7 == 1
}

/// Flags without those that connection tracking does not look at: psh, ece, cwr.
fn told(flags: u8) -> u8 {
    flags & !0b1100_1000
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const URG: u8 = 32;

/// Whether a TCP packet with these flags may be the first of a connection (tcp_conntracks, nf_conntrack_proto_tcp.c).
fn begins(flags: u8) -> bool {
    matches!(told(flags) & !URG, SYN | ACK) && told(flags) != SYN | ACK | URG
}

/// Whether these flags may be together at all (tcp_valid_flags).
fn is_sound(flags: u8) -> bool {
    let flags = told(flags);
    matches!(flags, RST)
        || matches!(flags & !URG, SYN | ACK)
        || flags == SYN | ACK
        || flags == RST | ACK
        || flags & !URG == FIN | ACK
}

/// What has to be done for a packet to be in its state; nothing where it cannot be brought about here.
pub(super) fn stage(packet: &Packet, tracks: bool) -> Option<Stage> {
    let plain = Stage::default();
    if !tracks {
        return Some(plain);
    }
    if packet.fragment {
        return None;
    }
    match packet.state {
        state if state == natural(packet) => Some(plain),
        ConnectionState::Untracked => Some(Stage { untracked: true, ..plain }),
        ConnectionState::Established => {
            let mark = packet.connection_mark;
            established(packet).map(|first| Stage { connection: Some(Connection { first, mark }), ..plain })
        }
        ConnectionState::Related => related(packet),
        ConnectionState::Invalid => {
            let summed = matches!(packet.protocol, Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6);
            let form = Form { spoiled: true, ..Form::default() };
            (summed && packet.direction != Direction::Output).then_some(Stage { form, ..plain })
        }
        ConnectionState::New => None,
    }
}

/// The packet that began the connection of an established one.
fn established(packet: &Packet) -> Option<Packet> {
    let mut first = if packet.reply { turned(packet) } else { packet.clone() };
    let foreign = if packet.source.is_ipv4() { Protocol::ICMPV6 } else { Protocol::ICMP };
    match (packet.protocol, packet.icmp.0) {
        (protocol, _) if protocol == foreign => return None,
        (Protocol::TCP, _) if !is_sound(packet.tcp_flags) => return None,
        // Only who began asks so, and only who was asked answers so.
        (Protocol::TCP, _) if packet.reply && told(packet.tcp_flags) & !URG == SYN => return None,
        (Protocol::TCP, _) if told(packet.tcp_flags) == SYN | ACK => first = turned(packet),
        (Protocol::ICMP, 8) | (Protocol::ICMPV6, 128) if packet.icmp.1 == 0 && !packet.reply => {}
        (Protocol::ICMP, 0) | (Protocol::ICMPV6, 129) if packet.icmp.1 == 0 => {
            first = turned(packet);
            first.icmp.0 = if packet.source.is_ipv4() { 8 } else { 128 };
        }
        (Protocol::ICMP | Protocol::ICMPV6, _) => return None,
        (Protocol::GRE, _) if is_enhanced_gre(packet) => return None,
        // What is sent asks for an association, which who was asked does not (sctp_conntracks).
        (Protocol::SCTP, _) if packet.reply => return None,
        _ => {}
    }
    Some(first)
}

/// The packet as it is once it has been brought about: what the kernel notes of its connection, the hardware addresses of a cable.
pub(super) fn settled(packet: &Packet, stage: &Stage) -> Packet {
    let mut sent = as_sent(packet, &stage.form);
    let (reply, status, mark) = match &stage.connection {
        Some(connection) => (connection.first.source != packet.source, STATUS, connection.mark),
        None => (false, 0, 0),
    };
    (sent.reply, sent.status, sent.connection_mark) = (reply, status, mark);
    let cable = (packet.direction != Direction::Output).then_some(MacAddress(CABLE));
    (sent.source_mac, sent.destination_mac, sent.vlan) = (cable, cable, None);
    // Where packets are led to the lab itself every address of IPv6 is its own; those of IPv4 are looked up in the table of local routes
    // alone, which has none of them.
    let kind = |address: IpAddr| match address {
        IpAddr::V4(v4) => usual_type(0, v4.to_bits().into(), UNICAST),
        IpAddr::V6(v6) => {
            usual_type(1, v6.to_bits(), if packet.direction == Direction::Input { LOCAL } else { UNICAST })
        }
    };
    (sent.source_type, sent.destination_type) = (None, None);
    let unusual = |field: Narrow, kind: u8| Some(kind).filter(|kind| *kind != sent.narrow(field));
    let (source, destination) = (kind(packet.source), kind(packet.destination));
    let types = (unusual(Narrow::SourceType, source), unusual(Narrow::DestinationType, destination));
    (sent.source_type, sent.destination_type) = types;
    sent
}

/// A packet of the other side.
fn turned(packet: &Packet) -> Packet {
    Packet {
        source: packet.destination,
        destination: packet.source,
        source_port: packet.destination_port,
        destination_port: packet.source_port,
        ..packet.clone()
    }
}

/// An ICMP error is related to the connection of the packet that it is about.
fn related(packet: &Packet) -> Option<Stage> {
    let error = match packet.source {
        IpAddr::V4(_) => packet.protocol == Protocol::ICMP && matches!(packet.icmp.0, 3 | 4 | 5 | 11 | 12),
        IpAddr::V6(_) => packet.protocol == Protocol::ICMPV6 && matches!(packet.icmp.0, 1..=4),
    };
    if !error {
        return None;
    }
    // It goes back to who sent what it is about.
    let about =
        Packet { protocol: Protocol::UDP, source_port: 40000, destination_port: 40001, icmp: (0, 0), ..turned(packet) };
    Some(Stage {
        connection: Some(Connection { first: about.clone(), mark: packet.connection_mark }),
        form: Form { about: Some(Box::new(about)), ..Form::default() },
        untracked: false,
    })
}
