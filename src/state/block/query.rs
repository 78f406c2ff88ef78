//! What is blocked, and what was.

use super::{Block, NewBlock, SAME, key_of, read};
use crate::packet::AddressSpec;
use crate::record::{Id, Timestamp};
use crate::state::row::{instant, micros, parsed};
use crate::state::{Result, Span, State};
use rusqlite::params;

impl State {
    /// What is blocked at `now`, in the order in which it was blocked.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn live_blocks(&self, now: Timestamp) -> Result<Vec<Block>> {
        let sql = "SELECT * FROM blocks WHERE ended IS NULL AND (until IS NULL OR until > ?) ORDER BY id";
        self.rows(sql, [micros(now)], read)
    }

    /// The blocks that were ended before their time, and whose time is not over: the kernel may hold them where their end was cut short.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn blocks_cut_short(&self, now: Timestamp) -> Result<Vec<Block>> {
        let sql = "SELECT * FROM blocks WHERE ended IS NOT NULL AND (until IS NULL OR until > ?) ORDER BY id";
        self.rows(sql, [micros(now)], read)
    }

    /// The blocks that a deployment made or extended, ended or not.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn blocks_of(&self, deployment: &Id) -> Result<Vec<Block>> {
        self.rows("SELECT * FROM blocks WHERE deployment = ? ORDER BY id", [deployment.as_str()], read)
    }

    /// Every block of exactly this address or network that there ever was, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn history(&self, address: &AddressSpec) -> Result<Vec<Block>> {
        self.rows("SELECT * FROM blocks WHERE address = ? ORDER BY id", [address.to_string()], read)
    }

    /// How often this address was blocked and came to the end of it by `now`, not counting mistakes and blocks that never held; those begun since a time
    /// where one is given.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn offences_by(&self, now: Timestamp, address: &AddressSpec, since: Option<Timestamp>) -> Result<u32> {
        let sql = "SELECT count(*) FROM blocks WHERE address = ?1 AND since >= ?2
            AND (end NOT IN ('mistake', 'failed') OR (end IS NULL AND until <= ?3))";
        let from = since.map_or(i64::MIN, micros);
        Ok(self.row(sql, params![address.to_string(), from, micros(now)], |row| row.get(0))?.unwrap_or(0))
    }

    /// The block that holds at `now` where `new` is to be made, if one does.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn blocked_like(&self, new: &NewBlock, now: Timestamp) -> Result<Option<Block>> {
        let key = key_of(new);
        let live = self.row(SAME, [key.0, &key.1, &key.2, &key.3], read)?;
        Ok(live.filter(|block| block.until.is_none_or(|until| until > now)))
    }

    /// When blocks on evidence were begun since a time, oldest first: what a rate cap counts.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn block_times(&self, since: Timestamp) -> Result<Vec<Timestamp>> {
        let sql = "SELECT since FROM blocks WHERE since >= ? AND assessment IS NOT NULL
            AND (end IS NULL OR end <> 'failed') ORDER BY since";
        self.rows(sql, [micros(since)], |row| instant(row, "since"))
    }

    /// The addresses whose blocks on evidence hold at `now`: what a cap on the share of all addresses counts.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn blocked_on_evidence(&self, now: Timestamp) -> Result<Vec<AddressSpec>> {
        let sql = "SELECT address FROM blocks WHERE ended IS NULL AND assessment IS NOT NULL AND (until IS NULL OR until > ?)";
        self.rows(sql, [micros(now)], |row| parsed(row, "address"))
    }

    /// The blocks of one run or one span of time, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn blocks(&self, span: &Span) -> Result<Vec<Block>> {
        let sql = span.sql("blocks", "id").replace("ts >= ?", "since >= ?");
        self.rows(&sql, span.params(), read)
    }
}
