//! The kernel's own news of changed rules: a netlink socket that becomes readable when any program changes nftables.
//!
//! It says that something changed, never what: who wants to know looks.

use super::netlink;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// NFNLGRP_NFTABLES, linux/netfilter/nfnetlink.h, as a bit.
const NFTABLES: u32 = 1 << 6;

/// NFT_MSG_GETGEN and its answer NFT_MSG_NEWGEN, linux/netfilter/nf_tables.h, of the subsystem nftables.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const GENERATION_ID: u16 = 1; // NFTA_GEN_ID

/// How often the rules were changed in this network namespace: each transaction adds one, whoever makes it, and an element that ends by itself
/// adds none.
///
/// # Errors
/// When the kernel does not say.
pub fn count() -> io::Result<u32> {
    let mut found = None;
    netlink::request_one(NETFILTER, GET_GENERATION, &[0; 4], |message| {
        let attributes = message.body.get(4..).unwrap_or_default();
        if message.kind == NEW_GENERATION {
            found = netlink::attributes(attributes)
                .find(|(kind, _)| *kind == GENERATION_ID)
                .and_then(|(_, value)| Some(u32::from_be_bytes(value.get(..4)?.try_into().ok()?)));
        }
    })?;
    found.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// News of changed rules in the network namespace that it was made in.
#[derive(Debug)]
pub struct Changes {
    socket: OwnedFd,
}

impl Changes {
    /// Hears of every change from now on.
    ///
    /// # Errors
    /// When there is no such socket, or the permission (CAP_NET_ADMIN) is missing.
    pub fn watch() -> io::Result<Self> {
        let socket = netlink::open(Some(NETFILTER))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, NFTABLES))?;
        Ok(Self { socket })
    }

    /// What can be waited for.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether something changed since the last call. News that were lost because there were too many are news too.
    pub fn any(&self) -> bool {
        let (mut any, mut buffer) = (false, vec![0; 1 << 16]);
        loop {
            match rustix::net::recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) if length > 0 => any = true,
                Err(Errno::NOBUFS) => any = true,
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return any,
            }
        }
    }
}
