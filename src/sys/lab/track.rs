//! Entries of connection tracking, made and unmade over netlink (linux/netfilter/nfnetlink_conntrack.h).

use super::LabError;
use crate::packet::Protocol;
use crate::rule::Packet;
use crate::sys::netlink::{self, attribute};
use rustix::net::netlink::NETFILTER;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

const NEW: u16 = 1 << 8; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
const DELETE: u16 = NEW | 2;
const CREATE: u16 = 0x400; // NLM_F_CREATE
const NESTED: u16 = 0x8000;
/// Seen in both directions, assured, confirmed.
pub(super) const STATUS: u8 = 2 | 4 | 8;
const TCP_ESTABLISHED: u8 = 3;
const SECONDS: u32 = 600;
/// The number of an echo, as the bytes of a packet have it.
const ECHO: u16 = 7;

/// A connection as an entry stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection {
    /// A packet of the side that began it.
    pub first: Packet,
    pub mark: u32,
}

/// A socket to the connection tracking of the namespace that the calling thread is in.
pub(super) fn open() -> Result<OwnedFd, LabError> {
    Ok(netlink::open(Some(NETFILTER))?)
}

/// Forgets every connection.
pub(super) fn forget(socket: &OwnedFd) -> Result<(), LabError> {
    Ok(netlink::ask(socket, DELETE, 0, &[0, 0, 0, 0])?)
}

/// Makes a connection that has been answered; false where the kernel takes none like it.
pub(super) fn establish(socket: &OwnedFd, connection: &Connection) -> Result<bool, LabError> {
    let first = &connection.first;
    let family = if first.source.is_ipv4() { 2 } else { 10 };
    let mut body = vec![family, 0, 0, 0];
    body.extend(nested(1, &tuple(first, false)));
    body.extend(nested(2, &tuple(first, true)));
    body.extend(attribute(3, &u32::from(STATUS).to_be_bytes()));
    if first.protocol == Protocol::TCP {
        // Whatever the sequence numbers are (IP_CT_TCP_FLAG_BE_LIBERAL).
        let inner = [attribute(1, &[TCP_ESTABLISHED]), attribute(4, &[8, 8]), attribute(5, &[8, 8])].concat();
        body.extend(nested(4, &nested(1, &inner)));
    }
    body.extend(attribute(7, &SECONDS.to_be_bytes()));
    body.extend(attribute(8, &connection.mark.to_be_bytes()));
    match netlink::ask(socket, NEW, CREATE, &body) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(17 | 22)) => Ok(false), // EEXIST, EINVAL
        Err(e) => Err(e.into()),
    }
}

fn tuple(packet: &Packet, reply: bool) -> Vec<u8> {
    let (from, to) = if reply { (packet.destination, packet.source) } else { (packet.source, packet.destination) };
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [attribute(1, &from.octets()), attribute(2, &to.octets())].concat(),
        (from, to) => [attribute(3, &sixteen(from)), attribute(4, &sixteen(to))].concat(),
    };
    let mut protocol = attribute(1, &[packet.protocol.0]);
    let echo = |answer: u8| if reply { answer } else { packet.icmp.0 };
    match packet.protocol {
        Protocol::ICMP => {
            protocol.extend(attribute(4, &ECHO.to_be_bytes()));
            protocol.extend(attribute(5, &[echo(0)]));
            protocol.extend(attribute(6, &[0]));
        }
        Protocol::ICMPV6 => {
            protocol.extend(attribute(7, &ECHO.to_be_bytes()));
            protocol.extend(attribute(8, &[echo(129)]));
            protocol.extend(attribute(9, &[0]));
        }
        p if p.has_ports() => {
            let (near, far) = (packet.source_port, packet.destination_port);
            let (from, to) = if reply { (far, near) } else { (near, far) };
            protocol.extend(attribute(2, &from.to_be_bytes()));
            protocol.extend(attribute(3, &to.to_be_bytes()));
        }
        _ => {}
    }
    [nested(1, &addresses), nested(2, &protocol)].concat()
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn nested(kind: u16, inner: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, inner)
}
