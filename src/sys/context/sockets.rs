//! Sockets of this host: by sock_diag (linux/inet_diag.h), where that is missing by /proc/net/{tcp,udp}{,6}.

use crate::packet::Protocol;
use crate::sys::netlink::{self, u32_at};
use std::io;
use std::net::{IpAddr, SocketAddr};

const ESTABLISHED: u8 = 1; // TCP_ESTABLISHED, net/tcp_states.h
const CLOSED: u8 = 7; // TCP_CLOSE: of UDP, a socket without a peer
const LISTEN: u8 = 10; // TCP_LISTEN
/// TCP_FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING.
const ENDING: [u8; 6] = [4, 5, 6, 8, 9, 11];
const BY_FAMILY: u16 = 20; // SOCK_DIAG_BY_FAMILY

/// A socket that is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sys) struct Socket {
    pub protocol: Protocol,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    state: u8,
    pub inode: u64,
}

impl Socket {
    /// One of TCP that stands, or listens where nobody is at its other end.
    #[cfg(test)]
    pub fn of(local: &str, remote: &str, inode: u64) -> Self {
        let [local, remote] = [local, remote].map(|text| text.parse::<SocketAddr>().expect("an address with a port"));
        let state = if remote.port() == 0 { LISTEN } else { ESTABLISHED };
        Self { protocol: Protocol::TCP, local, remote, state, inode }
    }

    /// Whether it waits for connections or datagrams of anybody.
    pub fn listens(&self) -> bool {
        let waits = if self.protocol == Protocol::TCP { self.state == LISTEN } else { self.state == CLOSED };
        waits && self.local.port() != 0
    }

    /// Whether it is a connection that stood and is at its end.
    pub fn is_ending(&self) -> bool {
        self.protocol == Protocol::TCP && ENDING.contains(&self.state)
    }

    /// Whether it is a connection that stands.
    pub fn is_established(&self) -> bool {
        self.protocol == Protocol::TCP && self.state == ESTABLISHED
    }
}

/// TCP sockets that listen or are connected, and UDP sockets that wait.
///
/// # Errors
/// When neither the kernel's question nor the files are there.
pub(in crate::sys) fn all() -> io::Result<Vec<Socket>> {
    let mut found = Vec::new();
    for (protocol, states) in [(Protocol::TCP, 1 << LISTEN | 1 << ESTABLISHED), (Protocol::UDP, 1 << CLOSED)] {
        for family in [2, 10] {
            found.extend(asked(family, protocol, states).or_else(|_| listed(family, protocol))?);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// TCP connections that are at their end.
///
/// # Errors
/// As [`all`].
pub(in crate::sys) fn ending() -> io::Result<Vec<Socket>> {
    let states = ENDING.iter().fold(0, |states, state| states | 1 << state);
    let mut found = Vec::new();
    for family in [2, 10] {
        found.extend(asked(family, Protocol::TCP, states).or_else(|_| listed(family, Protocol::TCP))?);
    }
    found.retain(Socket::is_ending);
    Ok(found)
}

fn asked(family: u8, protocol: Protocol, states: u32) -> io::Result<Vec<Socket>> {
    let mut body = vec![family, protocol.0, 0, 0];
    body.extend(states.to_ne_bytes());
    body.resize(56, 0); // struct inet_diag_req_v2: no address, no port, any interface
    let mut found = Vec::new();
    netlink::dump(Some(rustix::net::netlink::SOCK_DIAG), BY_FAMILY, &body, |message| {
        found.extend(diag(protocol, message.body));
        true
    })?;
    Ok(found)
}

/// Reads a struct inet_diag_msg; ports and addresses are in network order.
fn diag(protocol: Protocol, body: &[u8]) -> Option<Socket> {
    let family = *body.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let length = if family == 2 { 4 } else { 16 };
    let address = |at: usize| super::links::address(family, body.get(at..at + length)?);
    let (local, remote) = (ends(address(8)?, port(4)?), ends(address(24)?, port(6)?));
    Some(Socket { protocol, local, remote, state: *body.get(1)?, inode: u64::from(u32_at(body, 68)?) })
}

/// An IPv4 peer of an IPv6 socket is an IPv4 address in every packet.
fn ends(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

fn listed(family: u8, protocol: Protocol) -> io::Result<Vec<Socket>> {
    let six = if family == 10 { "6" } else { "" };
    match std::fs::read_to_string(format!("/proc/net/{protocol}{six}")) {
        Ok(text) => Ok(text.lines().filter_map(|line| listed_line(protocol, line)).collect()),
        // Without IPv6 in the kernel there is no such file, and no such socket.
        Err(e) if e.kind() == io::ErrorKind::NotFound && family == 10 => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// Reads a line of /proc/net/tcp: number, local, remote, state, …, inode tenth.
fn listed_line(protocol: Protocol, line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (listed_end(words.next()?)?, listed_end(words.next()?)?);
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let inode = words.nth(5)?.parse().ok()?;
    Some(Socket { protocol, local, remote, state, inode })
}

/// `0100007F:0016`: words of 32 bits in the machine's order, in hexadecimal.
fn listed_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let plain = address.bytes().all(|b| b.is_ascii_hexdigit()) && matches!(address.len(), 8 | 32);
    let words: Vec<u8> = (0..if plain { address.len() / 8 } else { 0 })
        .filter_map(|n| u32::from_str_radix(&address[n * 8..n * 8 + 8], 16).ok())
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address = super::links::address(if words.len() == 4 { 2 } else { 10 }, &words)?;
    Some(ends(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_proc() {
        let line =
            "   0: 0100007F:0016 070200C0:C5DE 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0";
        let found = listed_line(Protocol::TCP, line).expect("line");
        assert_eq!(
            (found.local.to_string(), found.remote.to_string()),
            ("127.0.0.1:22".into(), "192.0.2.7:50654".into())
        );
        assert!(found.is_established() && !found.listens() && found.inode == 4242);
        let mapped = listed_end("0000000000000000FFFF0000070200C0:0001").expect("mapped");
        assert_eq!(mapped.to_string(), "192.0.2.7:1");
        assert_eq!(
            listed_end("00000000000000000000000000000000:0050").map(|e| e.to_string()).as_deref(),
            Some("[::]:80")
        );
    }

    #[test]
    fn both_ways_find_a_socket_of_this_program() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = socket.local_addr().expect("address");
        let there = |found: &[Socket]| found.iter().any(|s| s.listens() && s.local == here && s.inode != 0);
        assert!(there(&all().expect("sockets")));
        assert!(there(&listed(2, Protocol::TCP).expect("/proc/net/tcp")));
    }

    proptest! {
        #[test]
        fn no_text_and_no_bytes_make_it_panic(line in "\\PC{0,80}", end in "[0-9A-Fx]{0,40}:[0-9A-F]{0,6}", bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            let _ = (listed_line(Protocol::TCP, &line), diag(Protocol::TCP, &bytes));
            if let Some(found) = listed_end(&end) {
                prop_assert!(!matches!(found.ip(), IpAddr::V6(a) if a.to_ipv4_mapped().is_some()));
            }
        }
    }
}
