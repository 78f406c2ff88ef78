//! The kernel's own count of changes of nftables, whichever program makes them.
//!
//! It says that something changed, never what: who wants to know looks.

use super::netlink;
use rustix::net::netlink::NETFILTER;
use std::cell::Cell;
use std::io;

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

/// What is known of changes in the network namespace that it is asked in. The kernel is asked for its count, never for its news: where
/// somebody hears of those it writes one for each element of a set, and a feed takes ten times as long.
#[derive(Debug, Default)]
pub struct Changes {
    seen: Cell<Option<u32>>,
}

impl Changes {
    /// Whether something changed since the last call; the first tells yes. A kernel that does not say tells no.
    pub fn any(&self) -> bool {
        count().is_ok_and(|now| self.seen.replace(Some(now)) != Some(now))
    }
}
