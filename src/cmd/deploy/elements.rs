//! The short way of blocks: a channel to the kernel's live sets that stays open, and what was seen of them when the ruleset was last looked at.
//!
//! What was seen holds as long as the kernel's own count of changes says that nobody changed anything since. Nothing here lists a set, and
//! nothing is loaded on a ruleset that was not seen.

use crate::backend::nftables::{BanSet, Block, by_set, longer};
use crate::cli::Failure;
use crate::packet::AddressSpec;
use crate::state::State;
use crate::sys::clock;
use crate::sys::elements::{Batch, BatchError, Channel, network};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

/// AFO's table, of the family inet.
pub const TABLE: &str = "afo";

/// Where the state keeps what was seen last ([`Elements::note`]).
pub const SEEN: &str = "kernel_seen";

/// The channel, once it is needed, and what is known of the sets behind it.
#[derive(Debug, Default)]
pub struct Elements {
    channel: Option<Channel>,
    /// The generation at which the kernel was seen to hold what the journal says.
    settled: Option<u32>,
    seen: Option<Seen>,
}

/// AFO's sets of bans at a generation of the ruleset: all of AFO's table was whole then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    generation: u32,
    sets: BTreeSet<BanSet>,
    /// A hash of the never-block list that the kernel was given.
    never: String,
}

fn hash(protected: &[AddressSpec]) -> String {
    let mut hash = Sha256::new();
    protected.iter().for_each(|address| hash.update(format!("{address}\n").as_bytes()));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Elements {
    /// The number of the ruleset's generation. A channel that is lost is opened again, once.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn generation(&mut self) -> io::Result<u32> {
        if let Some(channel) = &mut self.channel {
            match channel.generation() {
                Ok(number) => return Ok(number),
                Err(error) => self.lost(&error),
            }
        }
        self.open()?.generation()
    }

    fn open(&mut self) -> io::Result<&mut Channel> {
        match &mut self.channel {
            Some(channel) => Ok(channel),
            closed => Ok(closed.insert(Channel::open()?)),
        }
    }

    /// Closes a channel that is of no use any more, and says so: the next question opens another.
    pub fn lost(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the channel to the kernel's sets is lost and is opened again");
        self.channel = None;
    }

    /// Forgets what was seen: the ruleset is another one.
    pub fn forget(&mut self) {
        (self.settled, self.seen) = (None, None);
    }

    /// Whether nobody changed any rule since the kernel was seen to hold what the journal says.
    pub fn is_settled(&mut self) -> bool {
        let known = [self.settled, self.seen.as_ref().map(|seen| seen.generation)];
        known.iter().any(Option::is_some) && self.generation().is_ok_and(|now| known.contains(&Some(now)))
    }

    /// Remembers that the kernel held what the journal says at `before`, if that is the generation still.
    pub fn settle(&mut self, before: Option<u32>) {
        self.settled = before.filter(|before| self.generation().is_ok_and(|now| now == *before));
    }

    /// Whether blocks can go in without a look: the ruleset is the one that was seen, with their sets and this never-block list.
    pub fn takes(&mut self, blocks: &[Block], protected: &[AddressSpec]) -> bool {
        let there = |seen: &Seen| blocks.iter().all(|block| seen.sets.contains(&block.ban.set()));
        let known = self.seen.as_ref().is_some_and(|seen| there(seen) && seen.never == hash(protected));
        known && self.generation().is_ok_and(|now| self.seen.as_ref().is_some_and(|seen| seen.generation == now))
    }

    /// Remembers what a transaction of bans left, where it was the only one since `before`, when the kernel held what the journal says.
    pub fn learn(&mut self, before: Option<u32>, sets: BTreeSet<BanSet>, protected: &[AddressSpec]) {
        let known = [self.settled, self.seen.as_ref().map(|seen| seen.generation)];
        let next = before.filter(|before| known.contains(&Some(*before))).and_then(|before| before.checked_add(1));
        let only = next.filter(|next| self.generation().is_ok_and(|now| now == *next));
        (self.settled, self.seen) = (only, only.map(|generation| Seen { generation, sets, never: hash(protected) }));
    }

    /// Gives bans their time, in one batch; those that have more in the kernel keep it. [`takes`](Self::takes) was asked before.
    ///
    /// # Errors
    /// As [`Channel::load`]: none of them holds, or nobody knows.
    pub fn put(&mut self, blocks: &[Block]) -> Result<(), BatchError> {
        let Some(generation) = self.seen.as_ref().map(|seen| seen.generation) else {
            return Err(BatchError::Overtaken);
        };
        let channel = self.open().map_err(BatchError::Lost)?;
        let mut batch = Batch::new(TABLE);
        for (set, times) in by_set(blocks) {
            let name = set.name();
            let mut elements = Vec::with_capacity(times.len());
            for (ban, seconds) in times {
                let key = ban.key();
                let held = channel.element(TABLE, &name, &key).map_err(BatchError::Lost)?;
                let wanted = seconds.map(|seconds| seconds.saturating_mul(1000));
                let time = held.map_or(wanted, |held| longer(wanted, held.left));
                elements.push((key, time.map(Duration::from_millis)));
            }
            // Adding alone leaves the time of what is there, and deleting alone fails where it is not: no packet sees the gap.
            batch.add(&name, elements.iter().map(|(key, _)| (key.as_slice(), None)));
            batch.delete(&name, elements.iter().map(|(key, _)| key.as_slice()));
            batch.add(&name, elements.iter().map(|(key, time)| (key.as_slice(), *time)));
        }
        channel.load(batch, Some(generation))?;
        self.settled = generation.checked_add(1);
        self.seen = self.settled.zip(self.seen.take()).map(|(generation, seen)| Seen { generation, ..seen });
        Ok(())
    }

    /// What was seen, for the next process: it holds on the same boot of the machine and in the same network, at the same generation.
    pub fn note(&self) -> String {
        self.seen.as_ref().map(words).unwrap_or_default()
    }

    /// Takes up what another process has seen.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn recall(&mut self, state: &State) -> Result<(), Failure> {
        let noted = state.setting(SEEN).map_err(super::site::failure)?;
        self.seen = noted.and_then(|words| read(&words));
        Ok(())
    }
}

fn words(seen: &Seen) -> String {
    let sets: Vec<String> = seen.sets.iter().map(|set| set.name()).collect();
    let here = [clock::boot_id(), network()].join(" ");
    format!("{here} {} {} {}", seen.generation, seen.never, sets.join(","))
}

fn read(noted: &str) -> Option<Seen> {
    let mut words = noted.split(' ');
    let here = words.next() == Some(&clock::boot_id()) && words.next() == Some(&network());
    let generation = words.next()?.parse().ok().filter(|_| here)?;
    let never = words.next()?.to_owned();
    let sets = words.next()?.split(',').map(BanSet::named).collect::<Option<_>>()?;
    Some(Seen { generation, sets, never })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_seen_is_taken_up_again_here_and_only_here() {
        let seen = Seen { generation: 7, sets: BanSet::standing(), never: hash(&[]) };
        assert_eq!(read(&words(&seen)), Some(seen.clone()));
        assert_eq!(read(&words(&seen).replace(&network(), "net:[1]")), None);
        assert_eq!(read(&words(&seen).replace(&clock::boot_id(), "another")), None);
        let more = ["192.0.2.7".parse().expect("address")];
        assert_ne!(hash(&more), seen.never);
        assert!(!Elements::default().takes(&[], &[]), "nothing was seen");
    }

    #[test]
    fn a_channel_that_is_lost_is_opened_again() {
        let deaf = || Channel::deaf().expect("a socket");
        assert!(deaf().generation().is_err());
        let mut elements = Elements { channel: Some(deaf()), ..Elements::default() };
        let now = Channel::open().and_then(|mut channel| channel.generation()).ok();
        assert_eq!(elements.generation().ok(), now);
        let ban = crate::backend::nftables::Ban::Source("192.0.2.7/32".parse().expect("net"));
        let seen = Seen { generation: 1, sets: BanSet::standing(), never: hash(&[]) };
        let mut elements = Elements { channel: Some(deaf()), seen: Some(seen), ..Elements::default() };
        let lost = elements.put(&[Block { ban, seconds: Some(60) }]);
        assert!(matches!(lost, Err(BatchError::Lost(_))), "{lost:?}");
    }

    proptest! {
        #[test]
        fn no_note_makes_it_panic(tail in "[ a-z0-9_,]{0,60}") {
            let here = format!("{} {} {tail}", clock::boot_id(), network());
            prop_assert!(read(&here).is_none_or(|seen| seen.sets.iter().all(|set| tail.contains(&set.name()))));
            prop_assert!(read(&tail).is_none());
        }
    }
}
