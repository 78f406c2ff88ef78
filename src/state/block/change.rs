//! Blocks that are made, extended and ended, each with its entry in the trail.

use super::{Block, Blocked, End, Key, NewBlock, SAME, key_of, ports, read};
use crate::packet::AddressSpec;
use crate::record::{Id, Timestamp};
use crate::state::row::micros;
use crate::state::{Action, Change, Note, Result};
use rusqlite::params;

/// Blocks that one call of [`Change::expire`] ends at most, so that nobody waits long for the lock.
const BATCH: usize = 1000;

fn note(action: Action, block: &Block, reason: &str) -> Note {
    Note::new(action, format!("block:{}", block.address), reason)
        .run(block.run.as_ref())
        .with("direction", block.direction.as_str())
        .with("protocol", block.protocol.map(|p| p.to_string()))
        .with("ports", Some(ports(&block.ports)).filter(|p| !p.is_empty()))
        .with("until", block.until.map(|ts| ts.to_string()))
        .with("deployment", block.deployment.as_ref().map(Id::to_string))
        .with("assessment", block.assessment.as_ref().map(Id::to_string))
        .with("offence", block.offence)
}

impl Change<'_> {
    /// Blocks an address, or makes the block that is there last until the later of both ends.
    ///
    /// # Errors
    /// When its deployment is not in the state, or the state cannot be written.
    pub fn block(&self, new: &NewBlock) -> Result<Blocked> {
        let key = key_of(new);
        let live = self.row(SAME, [key.0, &key.1, &key.2, &key.3], read)?;
        match live {
            Some(old) if old.until.is_some_and(|until| until <= self.now()) => {
                self.finish(&old, old.until.unwrap_or(self.now()), End::Expired, "its time was over")?;
                self.add(new, &key)
            }
            Some(old) => self.extend(&old, new, &key),
            None => self.add(new, &key),
        }
    }

    /// The block that holds where `new` is to be made, if one does.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn block_like(&self, new: &NewBlock) -> Result<Option<Block>> {
        self.blocked_like(new, self.now())
    }

    /// How often this address was blocked before, as [`State::offences_by`](crate::state::State::offences_by) counts at the time of the change. A block that still holds is not before.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn offences(&self, address: &AddressSpec, since: Option<Timestamp>) -> Result<u32> {
        self.offences_by(self.now(), address, since)
    }

    /// Takes back what [`block`](Self::block) did to the same `new`, because it did not reach the kernel: a new block never was, an extended one has
    /// its earlier end again.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn unmake(&self, new: &NewBlock, done: Blocked, reason: &str) -> Result<()> {
        let key = key_of(new);
        let Some(block) = self.row(SAME, [key.0, &key.1, &key.2, &key.3], read)? else { return Ok(()) };
        match done {
            Blocked::Unchanged { .. } => Ok(()),
            Blocked::New { .. } => self.finish(&block, self.now(), End::Failed, reason),
            Blocked::Extended { from, .. } => {
                let block = Block { until: Some(from), ..block };
                self.prolong(&block, &key)?;
                self.audit(&note(Action::Block, &block, reason))
            }
        }
    }

    fn add(&self, new: &NewBlock, key: &Key) -> Result<Blocked> {
        let offence = self.offences(&new.address, None)?.saturating_add(1);
        let block = Block {
            direction: new.direction,
            address: new.address,
            protocol: new.protocol,
            ports: new.ports.clone(),
            since: self.now(),
            until: new.until,
            reason: new.reason.clone(),
            assessment: new.assessment.clone(),
            run: new.run.clone(),
            deployment: new.deployment.clone(),
            offence,
            ended: None,
        };
        let values = params![
            key.0,
            key.1,
            key.2,
            key.3,
            self.micros(),
            new.until.map(micros),
            new.reason,
            new.assessment.as_ref().map(Id::as_str),
            new.run.as_ref().map(Id::as_str),
            new.deployment.as_ref().map(Id::as_str),
            offence,
        ];
        self.run(
            "INSERT INTO blocks (direction, address, protocol, ports, since, until, reason, assessment, run, deployment, offence)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )?;
        self.audit(&note(Action::Block, &block, &new.reason))?;
        Ok(Blocked::New { offence })
    }

    fn extend(&self, old: &Block, new: &NewBlock, key: &Key) -> Result<Blocked> {
        let Some(from) = old.until.filter(|from| new.until.is_none_or(|until| until > *from)) else {
            return Ok(Blocked::Unchanged { until: old.until });
        };
        let block = Block {
            until: new.until,
            reason: new.reason.clone(),
            assessment: new.assessment.clone().or_else(|| old.assessment.clone()),
            run: new.run.clone().or_else(|| old.run.clone()),
            deployment: new.deployment.clone().or_else(|| old.deployment.clone()),
            ..old.clone()
        };
        self.prolong(&block, key)?;
        self.audit(&note(Action::Block, &block, &new.reason).with("extended_from", from.to_string()))?;
        Ok(Blocked::Extended { from, until: new.until })
    }

    /// Writes what an extension changes.
    fn prolong(&self, block: &Block, key: &Key) -> Result<()> {
        let values = params![
            key.0,
            key.1,
            key.2,
            key.3,
            block.until.map(micros),
            block.reason,
            block.assessment.as_ref().map(Id::as_str),
            block.run.as_ref().map(Id::as_str),
            block.deployment.as_ref().map(Id::as_str),
        ];
        let sql = "UPDATE blocks SET until = ?5, reason = ?6, assessment = ?7, run = ?8, deployment = ?9
            WHERE ended IS NULL AND direction = ?1 AND address = ?2 AND protocol = ?3 AND ports = ?4";
        self.run(sql, values).map(drop)
    }

    /// Ends every block of exactly this address or network, and answers them; none where there was none.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn unblock(&self, address: &AddressSpec, end: End, reason: &str) -> Result<Vec<Block>> {
        let live =
            self.rows("SELECT * FROM blocks WHERE ended IS NULL AND address = ?", [address.to_string()], read)?;
        live.iter().try_for_each(|block| self.finish(block, self.now(), end, reason))?;
        Ok(live)
    }

    /// Ends the blocks that a deployment made, and answers them.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn unblock_all_of(&self, deployment: &Id, end: End, reason: &str) -> Result<Vec<Block>> {
        let sql = "SELECT * FROM blocks WHERE ended IS NULL AND deployment = ? ORDER BY id";
        let live = self.rows(sql, [deployment.as_str()], read)?;
        live.iter().try_for_each(|block| self.finish(block, self.now(), end, reason))?;
        Ok(live)
    }

    /// Ends the blocks whose time is over, at most a thousand; call it until it answers none.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn expire(&self) -> Result<Vec<Block>> {
        let sql = format!("SELECT * FROM blocks WHERE ended IS NULL AND until <= ? ORDER BY until, id LIMIT {BATCH}");
        let due = self.rows(&sql, [self.micros()], read)?;
        for block in &due {
            self.finish(block, block.until.unwrap_or(self.now()), End::Expired, "its time was over")?;
        }
        Ok(due)
    }

    fn finish(&self, block: &Block, at: Timestamp, end: End, reason: &str) -> Result<()> {
        let protocol = block.protocol.map(|p| p.to_string()).unwrap_or_default();
        self.run(
            "UPDATE blocks SET ended = ?, end = ? WHERE ended IS NULL AND direction = ? AND address = ? AND protocol = ? AND ports = ?",
            params![
                micros(at),
                end.as_str(),
                block.direction.as_str(),
                block.address.to_string(),
                protocol,
                ports(&block.ports)
            ],
        )?;
        self.audit(&note(end.action(), block, reason).with("end", end.as_str()))
    }
}
