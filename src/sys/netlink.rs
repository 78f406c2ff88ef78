//! Questions to the kernel over netlink: the framing of messages and attributes, and a dump over a socket.
//!
//! The decoding is by hand and takes what it knows: an attribute that a newer kernel adds, or that is cut short, is passed
//! over and never ends the whole answer. Needs no privilege and starts no process.

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(super) const HEADER: usize = 16;
const DONE: u16 = 3; // NLMSG_DONE, linux/netlink.h
pub(super) const ERROR: u16 = 2; // NLMSG_ERROR
pub(super) const REQUEST: u16 = 1; // NLM_F_REQUEST
const REQUEST_DUMP: u16 = 0x301; // NLM_F_REQUEST | NLM_F_DUMP
const REQUEST_ACK: u16 = 5; // NLM_F_REQUEST | NLM_F_ACK
const INTERRUPTED: u16 = 0x10; // NLM_F_DUMP_INTR: what was listed changed meanwhile
const SEQUENCE: u32 = 1;
const ATTRIBUTE_TYPE: u16 = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

/// A message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// Reads a number in the order of the machine's bytes, where enough bytes are there.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// As [`u16_at`].
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// As [`u16_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The messages of a datagram, up to the first that is cut short.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let body = datagram.get(HEADER..length)?;
        let kind = u16_at(datagram, 4)?;
        let message = Message { kind, flags: u16_at(datagram, 6)?, sequence: u32_at(datagram, 8)?, body };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes of a message or of a nested attribute, up to the first that is cut short.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & ATTRIBUTE_TYPE;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Text that ends at its first NUL, as the kernel writes it; what is no UTF-8 is replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    message(kind, flags, SEQUENCE, body)
}

/// A message as the kernel reads it.
pub(super) fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).expect("what is put into one is shorter");
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// A socket to the network namespace that the calling thread is in; `protocol` is none for NETLINK_ROUTE. It waits five seconds for
/// an answer.
///
/// # Errors
/// When there is no such socket.
pub(super) fn open(protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(5)))?;
    Ok(socket)
}

/// Has the kernel do something and waits until it is done; `flags` beside those of every request.
///
/// # Errors
/// When the kernel refuses, or does not answer for five seconds.
pub(super) fn ask(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    rustix::net::send(socket, &request(kind, REQUEST_ACK | flags, body), SendFlags::empty())?;
    let mut buffer = [0; 4096];
    let length = receive(socket, &mut buffer)?;
    match messages(&buffer[..length]).find(|m| m.kind == ERROR) {
        Some(answer) => outcome(answer.body),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Asks for one thing and gives the answer to `each`.
///
/// # Errors
/// When there is no such socket, the kernel refuses, or it does not answer for five seconds.
pub(super) fn request_one(
    protocol: Protocol,
    kind: u16,
    body: &[u8],
    mut each: impl FnMut(Message<'_>),
) -> io::Result<()> {
    let socket = open(Some(protocol))?;
    rustix::net::send(&socket, &request(kind, REQUEST, body), SendFlags::empty())?;
    let mut buffer = [0; 4096];
    let length = receive(&socket, &mut buffer)?;
    for message in messages(&buffer[..length]) {
        match message.kind {
            ERROR => outcome(message.body)?,
            _ => each(message),
        }
    }
    Ok(())
}

/// An attribute as the kernel reads it; longer ones than 65,531 bytes there are none.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Asks `kind` with `body` and gives each message of the answer to `each`, until that returns false.
///
/// `protocol` is none for NETLINK_ROUTE. Whether what was listed changed meanwhile is the answer.
///
/// # Errors
/// When there is no such socket, the kernel refuses, or it does not answer for five seconds.
pub(super) fn dump(
    protocol: Option<Protocol>,
    kind: u16,
    body: &[u8],
    mut each: impl FnMut(Message<'_>) -> bool,
) -> io::Result<bool> {
    let socket = open(protocol)?;
    rustix::net::send(&socket, &request(kind, REQUEST_DUMP, body), SendFlags::empty())?;
    let mut changed = false;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = receive(&socket, &mut buffer)?;
        for message in messages(&buffer[..length]).filter(|m| m.sequence == SEQUENCE) {
            changed |= message.flags & INTERRUPTED != 0;
            match message.kind {
                DONE | ERROR => return outcome(message.body).map(|()| changed),
                _ if !each(message) => return Ok(changed),
                _ => {}
            }
        }
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((length, _)) => return Ok(length),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// DONE and ERROR begin with a negative errno, 0 where all is well.
pub(super) fn outcome(body: &[u8]) -> io::Result<()> {
    match u32_at(body, 0).map_or(0, u32::cast_signed) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_framed_is_found() {
        let bytes = [attribute(3, b"eth0\0"), attribute(0x8000 | 18, &attribute(1, b"vlan"))].concat();
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found[0], (3, &b"eth0\0"[..]));
        assert_eq!(attributes(found[1].1).next(), Some((1, &b"vlan"[..])));
        let two = [request(16, 0, &bytes[..4]), request(18, 0, b"")].concat();
        let kinds: Vec<_> = messages(&two).map(|m| (m.kind, m.body.len())).collect();
        assert_eq!(kinds, [(16, 4), (18, 0)]);
    }

    #[test]
    fn the_kernels_refusal_is_an_error() {
        assert!(outcome(&0u32.to_ne_bytes()).is_ok() && outcome(b"").is_ok());
        let refusal = outcome(&(-1i32).to_ne_bytes()).expect_err("EPERM");
        assert_eq!(refusal.kind(), io::ErrorKind::PermissionDenied);
        assert!(outcome(&i32::MIN.to_ne_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_on(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER + 1);
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
            let inside: usize = attributes(&bytes).map(|(_, value)| value.len() + 4).sum();
            prop_assert!(inside <= bytes.len() + 3);
        }
    }
}
