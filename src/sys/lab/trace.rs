//! What the kernel says of the rules that a packet meets (`meta nftrace`), over netlink.

use super::LabError;
use crate::rule::ConnectionState;
use crate::sys::netlink::{attributes, messages, text};
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};
use std::os::fd::OwnedFd;

const TRACE: u16 = 10 << 8 | 17; // NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE
const GROUP: u32 = 1 << 8; // NFNLGRP_NFTRACE
/// Some hundred bytes for each rule of each packet of a volley.
const ROOM: usize = 64 << 20;

/// What an event says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Accept,
    Drop,
    /// To the next rule.
    Continue,
    Jump,
    Goto,
    Return,
    /// A verdict that is none of these: queued, stolen.
    Other(i32),
}

/// One event: a rule that matched, or the policy of a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub table: String,
    pub chain: String,
    /// None: the policy.
    pub handle: Option<u64>,
    pub step: Step,
}

/// An event as it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub event: Event,
    /// The first 40 bytes from the IP header on, in the first event of each base chain; 20 of a later fragment of IPv6.
    pub header: Option<Vec<u8>>,
    pub state: Option<ConnectionState>,
    /// The same for all events of one packet, and seldom for those of another.
    pub id: u32,
}

/// Listens to the traces of the namespace that the calling thread is in.
pub(super) fn listen() -> Result<OwnedFd, LabError> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(NETFILTER),
    )?;
    sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUP))?;
    Ok(socket)
}

/// Everything that has come in.
///
/// # Errors
/// When the kernel had to leave something out.
pub(super) fn drain(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Vec<Raw>, LabError> {
    let mut all = Vec::new();
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _)) => {
                all.extend(messages(&buffer[..length]).filter(|m| m.kind == TRACE).filter_map(|m| raw(m.body)));
            }
            Err(Errno::AGAIN) => return Ok(all),
            Err(Errno::INTR) => {}
            Err(Errno::NOBUFS) => return Err(LabError::Lost),
            Err(e) => return Err(e.into()),
        }
    }
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// The body of a trace message behind its `nfgenmsg` (linux/netfilter/nf_tables.h, `nft_trace_attributes`).
fn raw(body: &[u8]) -> Option<Raw> {
    let mut event = Event { table: String::new(), chain: String::new(), handle: None, step: Step::Continue };
    let mut found = (None, None, 0);
    for (kind, value) in attributes(body.get(4..)?) {
        match kind {
            1 => event.table = text(value),
            2 => event.chain = text(value),
            3 => event.handle = value.try_into().ok().map(u64::from_be_bytes),
            5 => event.step = attributes(value).find(|(kind, _)| *kind == 1).and_then(|(_, code)| step(code))?,
            6 => found.2 = be32(value)?,
            8 if !value.is_empty() => found.0 = Some(value.to_vec()),
            // Of a later fragment of IPv6 the kernel takes the beginning of the packet for a transport header.
            9 if found.0.is_none() && value.first().is_some_and(|byte| byte >> 4 == 6) => {
                found.0 = Some(value.to_vec())
            }
            16 => event.step = step(value)?,
            21 => found.1 = be32(value).and_then(state),
            _ => {}
        }
    }
    Some(Raw { event, header: found.0, state: found.1, id: found.2 })
}

/// `NF_ACCEPT` and the like (linux/netfilter.h), `NFT_JUMP` and the like (linux/netfilter/nf_tables.h).
fn step(code: &[u8]) -> Option<Step> {
    let code = be32(code)?.cast_signed();
    Some(match code {
        0 => Step::Drop,
        1 => Step::Accept,
        -1 => Step::Continue,
        -3 => Step::Jump,
        -4 => Step::Goto,
        -5 => Step::Return,
        other if other & 0xff == 0 => Step::Drop,
        other => Step::Other(other),
    })
}

/// The bit of a connection's state (linux/netfilter/nf_conntrack_common.h).
fn state(bits: u32) -> Option<ConnectionState> {
    Some(match bits {
        1 => ConnectionState::Invalid,
        2 => ConnectionState::Established,
        4 => ConnectionState::Related,
        8 => ConnectionState::New,
        64 => ConnectionState::Untracked,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::attribute;
    use proptest::prelude::*;

    #[test]
    fn an_event_is_read() {
        let verdict = attribute(1, &(-3i32).to_be_bytes());
        let body = [
            vec![1, 0, 0, 0],
            attribute(1, b"filter\0"),
            attribute(2, b"input\0"),
            attribute(3, &7u64.to_be_bytes()),
            attribute(0x8005, &verdict),
            attribute(6, &9u32.to_be_bytes()),
            attribute(8, &[0x45]),
            attribute(21, &8u32.to_be_bytes()),
        ]
        .concat();
        let event = Event { table: "filter".to_owned(), chain: "input".to_owned(), handle: Some(7), step: Step::Jump };
        let expected = Raw { event, header: Some(vec![0x45]), state: Some(ConnectionState::New), id: 9 };
        assert_eq!(raw(&body), Some(expected));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = raw(&bytes);
        }
    }
}
