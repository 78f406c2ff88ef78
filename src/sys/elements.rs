//! Elements of nftables' sets by raw netlink: one socket that stays open, one batch at a time, each acknowledged.
//!
//! A batch holds as a whole or not at all, and only on the ruleset of the generation that it was made for. Nothing here lists a set, and
//! nothing here decides what is in one. The numbers are those of linux/netfilter/nfnetlink.h and nf_tables.h.

mod answer;
mod batch;

pub use answer::{Answer, Held, answers, held};
pub use batch::Batch;

use super::netlink;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, sockopt};
use std::io;
use std::time::Duration;

/// How long the kernel may take for an answer. A batch of a million elements takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer is an error's number, a header and a sentence; the one element that is asked for is hardly more.
const ANSWER: usize = 1 << 16;

/// NFT_MSG_GETGEN and its answer, NFT_MSG_GETSETELEM and its answer, of the subsystem nftables.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const GET_ELEMENT: u16 = 10 << 8 | 13;
const NEW_ELEMENT: u16 = 10 << 8 | 12;

/// Why a batch did not go in.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The ruleset is not the one any more that the batch was made for; nothing was changed.
    #[error("the ruleset was changed by another program")]
    Overtaken,
    /// The kernel's words; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// No answer: what became of it is not known.
    #[error("the channel to the kernel is lost: {0}")]
    Lost(io::Error),
}

/// The network namespace of this process, as the kernel names it.
pub fn network() -> String {
    std::fs::read_link("/proc/self/ns/net").map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A way to the kernel's sets in the network namespace that it was opened in.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    sequence: u32,
    room: usize,
    buffer: Vec<u8>,
}

impl Channel {
    /// Opens it.
    ///
    /// # Errors
    /// When there is no such socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_cap_ack(true)?;
        // Kernels before 4.12 have no words, only numbers.
        let _ = socket.set_ext_ack(true);
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0, room: 0, buffer: vec![0; ANSWER] })
    }

    /// One that nobody answers.
    #[cfg(test)]
    pub fn deaf() -> io::Result<Self> {
        let socket = Socket::new(netlink_sys::protocols::NETLINK_USERSOCK)?;
        Ok(Self { socket, sequence: 0, room: 0, buffer: vec![0; ANSWER] })
    }

    /// The number of the ruleset's generation: each transaction of whatever program adds one, the end of an element's time none.
    ///
    /// # Errors
    /// When the kernel does not say; the channel is of no use then.
    pub fn generation(&mut self) -> io::Result<u32> {
        let body = self.ask(GET_GENERATION, &[0; 4], NEW_GENERATION)?;
        let found = body.as_deref().and_then(answer::generation);
        found.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// What a hash set of AFO's table holds of a key.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn element(&mut self, table: &str, set: &str, key: &[u8]) -> io::Result<Option<Held>> {
        match self.ask(GET_ELEMENT, &batch::question(table, set, key), NEW_ELEMENT) {
            Ok(body) => Ok(body.as_deref().and_then(held)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ask(&mut self, kind: u16, body: &[u8], wanted: u16) -> io::Result<Option<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let request = netlink::message(kind, netlink::REQUEST, sequence, body);
        rustix::net::send(&self.socket, &request, SendFlags::empty())?;
        loop {
            let length = self.receive()?;
            for message in netlink::messages(&self.buffer[..length]).filter(|m| m.sequence == sequence) {
                match message.kind {
                    netlink::ERROR => return netlink::outcome(message.body).map(|()| None),
                    kind if kind == wanted => return Ok(Some(message.body.to_vec())),
                    _ => {}
                }
            }
        }
    }

    /// Loads a batch where the ruleset is still that of `generation`, if one is given, and waits until the kernel has said that it holds.
    ///
    /// # Errors
    /// When it does not hold, or nobody knows.
    pub fn load(&mut self, batch: Batch, generation: Option<u32>) -> Result<(), BatchError> {
        let first = self.sequence.wrapping_add(1);
        let Some(sent) = batch.seal(first, generation) else { return Ok(()) };
        self.sequence = sent.last;
        self.make_room(sent.bytes.len()).map_err(BatchError::Lost)?;
        rustix::net::send(&self.socket, &sent.bytes, SendFlags::empty()).map_err(|e| BatchError::Lost(e.into()))?;
        let mut refused = None;
        loop {
            let length = self.receive().map_err(BatchError::Lost)?;
            for answer in answers(&self.buffer[..length]).filter(|a| (first..=sent.last).contains(&a.sequence)) {
                match answer.code {
                    // The batch as a whole: nothing else is said of it but that its parts were understood.
                    code if answer.sequence == first && code == Errno::RESTART.raw_os_error() => {
                        return Err(BatchError::Overtaken);
                    }
                    0 => {}
                    _ => drop(refused.get_or_insert_with(|| sent.words(&answer))),
                }
                let ends = answer.sequence == sent.last_step || answer.sequence == first;
                if ends && (answer.sequence == sent.last_step || answer.code != 0) {
                    return refused.map_or(Ok(()), |words| Err(BatchError::Refused(words)));
                }
            }
        }
    }

    /// A batch is one datagram, whatever its size.
    fn make_room(&mut self, length: usize) -> io::Result<()> {
        // The kernel counts its own overhead too.
        let wanted = length.saturating_add(length / 2).max(1 << 18);
        if wanted > self.room {
            sockopt::set_socket_send_buffer_size_force(&self.socket, wanted)?;
            self.room = wanted;
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<usize> {
        loop {
            match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((length, _)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
