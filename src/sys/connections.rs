//! Connections that stand: what the kernel tracks (linux/netfilter/nfnetlink_conntrack.h) and this host's own TCP sockets.
//!
//! Tracking knows what is forwarded, but only where a rule asks for it; sockets know what ends at this host, always. Together they are
//! what a change of rules can cut.

use super::context::sockets;
use super::netlink::{self, Message, attribute, attributes};
use crate::packet::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const GET: u16 = 1 << 8 | 1; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
const DELETE: u16 = 1 << 8 | 2; // IPCTNL_MSG_CT_DELETE
const ORIGINAL: u16 = 1; // CTA_TUPLE_ORIG
const REPLY: u16 = 2; // CTA_TUPLE_REPLY
const STATUS: u16 = 3; // CTA_STATUS
const PROTOCOL: u16 = 4; // CTA_PROTOINFO; of it CTA_PROTOINFO_TCP 1, of that CTA_PROTOINFO_TCP_STATE 1
const ESTABLISHED: u8 = 3; // TCP_CONNTRACK_ESTABLISHED
const SEEN_REPLY: u32 = 2; // IPS_SEEN_REPLY
const ASSURED: u32 = 4; // IPS_ASSURED
const DYING: u32 = 1 << 9; // IPS_DYING

/// More connections than this are not looked at.
const MOST: usize = 65_536;

/// A connection that was answered; it may be at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    pub protocol: Protocol,
    /// Who began it; port 0 where the protocol has none.
    pub source: SocketAddr,
    /// Who answers, as the filter sees it: behind a translation of the destination.
    pub destination: SocketAddr,
    /// Who was asked: before a translation of the destination.
    pub asked: SocketAddr,
    /// Whether it ends at this host.
    pub own: bool,
    /// Whether it stands, and is not at its end.
    pub stands: bool,
}

impl Connection {
    /// Both ends, in an order that does not depend on who began: what no two connections of one moment have in common.
    pub fn ends(&self) -> (Protocol, SocketAddr, SocketAddr) {
        (self.protocol, self.source.min(self.destination), self.source.max(self.destination))
    }
}

/// The connections of a moment.
#[derive(Debug, Clone, Default)]
pub struct Open {
    pub connections: Vec<Connection>,
    /// Whether the kernel tracks any; where not, what is forwarded is not among them.
    pub tracked: bool,
    /// Whether these are all of them.
    pub whole: bool,
}

/// The connections that stand now or did so shortly before, each once.
///
/// # Errors
/// When neither can be asked; tracking needs CAP_NET_ADMIN.
pub fn open() -> io::Result<Open> {
    let (entries, whole) = tracked()?;
    let tracked = !entries.is_empty();
    let mut all: BTreeMap<_, Connection> = entries.into_iter().map(|entry| (entry.ends(), entry)).collect();
    for own in own()? {
        all.entry(own.ends()).and_modify(|known| known.own = true).or_insert(own);
    }
    Ok(Open { connections: all.into_values().collect(), tracked, whole })
}

/// Has the kernel forget a connection, so that its next packet is judged as the first of a new one; false where it knows none like it.
///
/// # Errors
/// When the kernel refuses; it needs CAP_NET_ADMIN.
pub fn forget(connection: &Connection) -> io::Result<bool> {
    let (from, to) = (connection.source, connection.asked);
    let (family, kinds) = if from.is_ipv4() { (2, [1, 2]) } else { (10, [3, 4]) };
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let nested = |kind: u16, inner: &[u8]| attribute(kind | 0x8000, inner); // NLA_F_NESTED
    let addresses = [attribute(kinds[0], &bytes(from.ip())), attribute(kinds[1], &bytes(to.ip()))].concat();
    let mut protocol = attribute(1, &[connection.protocol.0]);
    protocol.extend(attribute(2, &from.port().to_be_bytes()));
    protocol.extend(attribute(3, &to.port().to_be_bytes()));
    let tuple = nested(ORIGINAL, &[nested(1, &addresses), nested(2, &protocol)].concat());
    let socket = netlink::open(Some(rustix::net::netlink::NETFILTER))?;
    match netlink::ask(&socket, DELETE, 0, &[&[family, 0, 0, 0][..], &tuple].concat()) {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(2) => Ok(false), // ENOENT
        Err(e) => Err(e),
    }
}

/// Those that the kernel tracks, and whether that is all of them. A kernel without tracking has none.
fn tracked() -> io::Result<(Vec<Connection>, bool)> {
    let mut found = Vec::new();
    let asked = netlink::dump(Some(rustix::net::netlink::NETFILTER), GET, &[0; 4], |message| {
        found.extend(entry(message));
        found.len() < MOST
    });
    match asked {
        Ok(_) => {
            let whole = found.len() < MOST;
            Ok((found, whole))
        }
        // EINVAL, EOPNOTSUPP: nothing in this kernel answers for tracking.
        Err(e) if matches!(e.raw_os_error(), Some(22 | 95)) => Ok((Vec::new(), true)),
        Err(e) => Err(e),
    }
}

/// The TCP connections of this host's sockets, also those at their end. Who began is known by who listens.
fn own() -> io::Result<Vec<Connection>> {
    let sockets = sockets::all()?;
    let listens: BTreeSet<u16> =
        sockets.iter().filter(|s| s.listens() && s.protocol == Protocol::TCP).map(|s| s.local.port()).collect();
    let connection = |s: &sockets::Socket| {
        let (source, destination) =
            if listens.contains(&s.local.port()) { (s.remote, s.local) } else { (s.local, s.remote) };
        Connection {
            protocol: s.protocol,
            source,
            destination,
            asked: destination,
            own: true,
            stands: s.is_established(),
        }
    };
    let stand = sockets.iter().filter(|s| s.is_established());
    Ok(stand.chain(&sockets::ending()?).map(connection).collect())
}

/// Reads an entry of connection tracking; nothing of one that was not answered or is at its end.
fn entry(message: Message<'_>) -> Option<Connection> {
    let mut parts = (None, None, 0, None);
    for (kind, value) in attributes(message.body.get(4..)?) {
        match kind {
            ORIGINAL => parts.0 = tuple(value),
            REPLY => parts.1 = tuple(value),
            STATUS => parts.2 = number(value)?,
            PROTOCOL => parts.3 = tcp_state(value),
            _ => {}
        }
    }
    let (Some(original), Some(reply), status, state) = parts else { return None };
    let wanted = if original.protocol == Protocol::TCP { SEEN_REPLY | ASSURED } else { SEEN_REPLY };
    (status & wanted == wanted && status & DYING == 0).then_some(Connection {
        protocol: original.protocol,
        source: original.from,
        destination: reply.from,
        asked: original.to,
        own: false,
        stands: original.protocol != Protocol::TCP || state == Some(ESTABLISHED),
    })
}

fn tcp_state(bytes: &[u8]) -> Option<u8> {
    let first = |bytes| attributes(bytes).find(|(kind, _)| *kind == 1).map(|(_, value)| value);
    first(first(bytes)?)?.first().copied()
}

/// One direction of a connection.
struct Tuple {
    protocol: Protocol,
    from: SocketAddr,
    to: SocketAddr,
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let inner = |wanted: u16| attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let (mut from, mut to) = (None, None);
    for (kind, value) in attributes(inner(1)?) {
        match kind {
            1 | 3 => from = address(value),
            2 | 4 => to = address(value),
            _ => {}
        }
    }
    let mut protocol = (None, 0, 0);
    for (kind, value) in attributes(inner(2)?) {
        match kind {
            1 => protocol.0 = value.first().copied(),
            2 => protocol.1 = port(value)?,
            3 => protocol.2 = port(value)?,
            _ => {}
        }
    }
    Some(Tuple {
        protocol: Protocol(protocol.0?),
        from: SocketAddr::new(from?, protocol.1),
        to: SocketAddr::new(to?, protocol.2),
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn port(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?))
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream};

    fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
        attribute(kind | 0x8000, &parts.concat())
    }

    fn direction(kind: u16, from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
        let addresses = nested(1, &[attribute(1, &from.0), attribute(2, &to.0)]);
        let ports = [attribute(1, &[6]), attribute(2, &from.1.to_be_bytes()), attribute(3, &to.1.to_be_bytes())];
        nested(kind, &[addresses, nested(2, &ports)])
    }

    fn read(status: u32) -> Option<Connection> {
        let client = ([192, 0, 2, 7], 40000);
        let body = [
            vec![2, 0, 0, 0],
            direction(ORIGINAL, client, ([203, 0, 113, 1], 80)),
            direction(REPLY, ([198, 51, 100, 10], 8080), client),
            attribute(STATUS, &status.to_be_bytes()),
            nested(PROTOCOL, &[nested(1, &[attribute(1, &[ESTABLISHED])])]),
        ]
        .concat();
        entry(Message { kind: GET, flags: 0, sequence: 1, body: &body })
    }

    #[test]
    fn an_entry_is_seen_as_the_filter_sees_it() {
        let found = read(SEEN_REPLY | ASSURED).expect("established");
        assert_eq!(
            (found.source.to_string(), found.destination.to_string(), found.asked.port()),
            ("192.0.2.7:40000".into(), "198.51.100.10:8080".into(), 80)
        );
        assert!(found.stands && !found.own);
        for status in [0, SEEN_REPLY, SEEN_REPLY | ASSURED | DYING] {
            assert_eq!(read(status), None, "{status}");
        }
    }

    #[test]
    fn this_programs_own_connection_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = listener.local_addr().expect("address");
        let stream = TcpStream::connect(here).expect("connected");
        let taken = listener.accept().expect("accepted");
        let ours = |c: &&Connection| c.destination == here && c.source == stream.local_addr().expect("address");
        assert!(own().expect("sockets").iter().any(|c| ours(&c)));
        drop(taken);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = entry(Message { kind: GET, flags: 0, sequence: 1, body: &body });
        }
    }
}
