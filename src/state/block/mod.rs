//! Blocks: what is kept out, until when and why; what was kept out before.

mod change;
mod query;
#[cfg(test)]
mod tests;

use super::Action;
use super::row::{instant, maybe_instant, maybe_parsed, parsed, unreadable};
use crate::packet::{AddressSpec, PortRange, Protocol};
use crate::record::{Id, Timestamp};
use rusqlite::Row;

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its time was over.
    Expired,
    /// A person ended it.
    Unblocked,
    /// It should never have been: it counts as no offence.
    Mistake,
    /// It did not reach the kernel, or was put back with its deployment: it counts as no offence.
    Failed,
    /// Everything of AFO was taken out.
    Flushed,
}

impl End {
    const ALL: [Self; 5] = [Self::Expired, Self::Unblocked, Self::Mistake, Self::Failed, Self::Flushed];

    /// The word in the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unblocked => "unblocked",
            Self::Mistake => "mistake",
            Self::Failed => "failed",
            Self::Flushed => "flushed",
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Expired => Action::Expire,
            Self::Flushed => Action::Flush,
            Self::Unblocked | Self::Mistake | Self::Failed => Action::Unblock,
        }
    }
}

/// Which packets are blocked: those that come from the address, or those that go to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    From,
    To,
}

impl Direction {
    const ALL: [Self; 2] = [Self::From, Self::To];

    /// The word in the state and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
        }
    }
}

/// A block to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlock {
    pub direction: Direction,
    pub address: AddressSpec,
    /// Any where it is `None`.
    pub protocol: Option<Protocol>,
    /// All where it is empty.
    pub ports: Vec<PortRange>,
    /// Without end where it is `None`.
    pub until: Option<Timestamp>,
    pub reason: String,
    pub assessment: Option<Id>,
    pub run: Option<Id>,
    pub deployment: Option<Id>,
}

impl NewBlock {
    /// A block of all traffic from `address`.
    pub fn new(address: AddressSpec, until: Option<Timestamp>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            direction: Direction::From,
            address,
            protocol: None,
            ports: vec![],
            until,
            reason,
            assessment: None,
            run: None,
            deployment: None,
        }
    }
}

/// A block that is or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub direction: Direction,
    pub address: AddressSpec,
    pub protocol: Option<Protocol>,
    pub ports: Vec<PortRange>,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
    pub reason: String,
    pub assessment: Option<Id>,
    pub run: Option<Id>,
    pub deployment: Option<Id>,
    /// 1 for the first block of this address, 2 for the second, …
    pub offence: u32,
    pub ended: Option<(Timestamp, End)>,
}

impl Block {
    /// How many whole seconds it still has at `now`; `None` where it has no end.
    pub fn remaining(&self, now: Timestamp) -> Option<u64> {
        let until = self.ended.map(|(ts, _)| ts).or(self.until)?;
        Some(u64::try_from(until.as_second() - now.as_second()).unwrap_or(0))
    }
}

/// What makes two blocks the same one: direction, address, protocol and ports, as in the table.
type Key = (&'static str, String, String, String);

fn key_of(new: &NewBlock) -> Key {
    let protocol = new.protocol.map(|p| p.to_string()).unwrap_or_default();
    (new.direction.as_str(), new.address.to_string(), protocol, ports(&new.ports))
}

/// What came of a block that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// It is new, and this is the address's n-th.
    New { offence: u32 },
    /// It was there and now lasts longer.
    Extended { from: Timestamp, until: Option<Timestamp> },
    /// It was there and lasts at least as long.
    Unchanged { until: Option<Timestamp> },
}

fn ports(list: &[PortRange]) -> String {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.iter().map(PortRange::to_string).collect::<Vec<_>>().join(",")
}

fn read(row: &Row<'_>) -> rusqlite::Result<Block> {
    let text: String = row.get("ports")?;
    let list = text.split(',').filter(|part| !part.is_empty()).map(str::parse);
    let ended = maybe_instant(row, "ended")?;
    let end: Option<String> = row.get("end")?;
    let end = end.map(|word| End::ALL.into_iter().find(|e| e.as_str() == word).ok_or_else(|| unreadable("end", &word)));
    let protocol: String = row.get("protocol")?;
    let protocol = Some(protocol).filter(|word| !word.is_empty());
    let word: String = row.get("direction")?;
    let direction = Direction::ALL.into_iter().find(|d| d.as_str() == word);
    Ok(Block {
        direction: direction.ok_or_else(|| unreadable("direction", &word))?,
        address: parsed(row, "address")?,
        protocol: protocol.map(|p| p.parse().map_err(|e| unreadable("protocol", e))).transpose()?,
        ports: list.collect::<std::result::Result<_, _>>().map_err(|e| unreadable("ports", e))?,
        since: instant(row, "since")?,
        until: maybe_instant(row, "until")?,
        reason: row.get("reason")?,
        assessment: maybe_parsed(row, "assessment")?,
        run: maybe_parsed(row, "run")?,
        deployment: maybe_parsed(row, "deployment")?,
        offence: row.get("offence")?,
        ended: ended.zip(end.transpose()?),
    })
}

const SAME: &str =
    "SELECT * FROM blocks WHERE ended IS NULL AND direction = ? AND address = ? AND protocol = ? AND ports = ?";
