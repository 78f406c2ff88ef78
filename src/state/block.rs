//! Blocks: what is kept out, until when and why; what was kept out before.

use super::row::{instant, maybe_instant, maybe_parsed, micros, parsed, unreadable};
use super::{Action, Change, Note, Result, Span, State};
use crate::packet::{AddressSpec, PortRange, Protocol};
use crate::record::{Id, Timestamp};
use rusqlite::{Row, params};

/// Blocks that one call of [`Change::expire`] ends at most, so that nobody waits long for the lock.
const BATCH: usize = 1000;

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

const SAME: &str =
    "SELECT * FROM blocks WHERE ended IS NULL AND direction = ? AND address = ? AND protocol = ? AND ports = ?";

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

    /// How often this address was blocked before, as [`State::offences_by`] counts at the time of the change. A block that still holds is not before.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, id, with_deployment};

    fn spec(text: &str) -> AddressSpec {
        text.parse().expect("an address")
    }

    fn block(state: &mut State, now: i64, address: &str, until: Option<i64>) -> Blocked {
        let change = state.begin(at(now), &anna()).expect("begin");
        let done = change.block(&NewBlock::new(spec(address), until.map(at), "brute force")).expect("block");
        change.commit().expect("commit");
        done
    }

    #[test]
    fn a_block_is_extended_and_never_doubled_or_shortened() {
        let mut state = State::memory().expect("memory");
        assert_eq!(block(&mut state, 0, "203.0.113.9", Some(60)), Blocked::New { offence: 1 });
        let longer = Blocked::Extended { from: at(60), until: Some(at(90)) };
        assert_eq!(block(&mut state, 1, "203.0.113.9", Some(90)), longer);
        assert_eq!(block(&mut state, 2, "203.0.113.9", Some(10)), Blocked::Unchanged { until: Some(at(90)) });
        assert_eq!(block(&mut state, 3, "203.0.113.9", None), Blocked::Extended { from: at(90), until: None });
        assert_eq!(block(&mut state, 4, "203.0.113.9", Some(999)), Blocked::Unchanged { until: None });
        let live = state.live_blocks(at(4)).expect("live");
        assert_eq!((live.len(), live[0].since, live[0].remaining(at(4))), (1, at(0), None));
    }

    #[test]
    fn ports_in_any_order_are_the_same_block() {
        let mut state = State::memory().expect("memory");
        let change = state.begin(at(0), &anna()).expect("begin");
        let ports = |list: &[u16]| list.iter().copied().map(PortRange::single).collect::<Vec<_>>();
        let tcp = |list: &[u16]| NewBlock {
            protocol: Some(Protocol::TCP),
            ports: ports(list),
            ..NewBlock::new(spec("203.0.113.9"), Some(at(60)), "scan")
        };
        assert_eq!(change.block(&tcp(&[22, 80, 22])), Ok(Blocked::New { offence: 1 }));
        assert_eq!(change.block(&tcp(&[80, 22])), Ok(Blocked::Unchanged { until: Some(at(60)) }));
        assert_eq!(change.block(&tcp(&[443])), Ok(Blocked::New { offence: 1 }), "the other one still holds");
        let live = change.live_blocks(at(1)).expect("live");
        assert_eq!((live[0].ports.clone(), live[0].protocol), (ports(&[22, 80]), Some(Protocol::TCP)));
    }

    #[test]
    fn what_is_over_expires_once_and_counts_as_an_offence() {
        let mut state = State::memory().expect("memory");
        block(&mut state, 0, "203.0.113.9", Some(60));
        block(&mut state, 0, "2001:db8::/64", None);
        assert_eq!(state.live_blocks(at(60)).expect("live").len(), 1, "over, though not swept yet");
        let change = state.begin(at(100), &anna()).expect("begin");
        assert_eq!(change.expire().expect("due").len(), 1);
        assert_eq!(change.expire(), Ok(vec![]));
        change.commit().expect("commit");
        assert_eq!(state.history(&spec("203.0.113.9")).expect("history")[0].ended, Some((at(60), End::Expired)));
        assert_eq!(block(&mut state, 200, "203.0.113.9", Some(260)), Blocked::New { offence: 2 });
        assert_eq!(block(&mut state, 300, "203.0.113.9", Some(360)), Blocked::New { offence: 3 }, "unswept");
        assert_eq!(state.offences_by(at(300), &spec("203.0.113.9"), Some(at(150))), Ok(1));
        assert_eq!(state.offences_by(at(360), &spec("203.0.113.9"), Some(at(150))), Ok(2));
        assert!(state.verify(None).expect("readable").is_ok());
    }

    #[test]
    fn caps_count_what_was_blocked_on_evidence_alone() {
        let mut state = State::memory().expect("memory");
        block(&mut state, 0, "198.51.100.0/24", None);
        let change = state.begin(at(10), &anna()).expect("begin");
        for (address, until) in [("203.0.113.9", Some(at(20))), ("2001:db8::/64", None)] {
            let new = NewBlock::new(spec(address), until, "brute force");
            change.block(&NewBlock { assessment: Some(id("a1")), ..new }).expect("block");
        }
        change.commit().expect("commit");
        assert_eq!(state.block_times(at(0)).expect("times"), [at(10), at(10)]);
        assert_eq!(state.blocked_on_evidence(at(15)).expect("blocks").len(), 2);
        assert_eq!(state.blocked_on_evidence(at(20)), Ok(vec![spec("2001:db8::/64")]));
        let like = NewBlock::new(spec("203.0.113.9"), None, "");
        assert!(state.blocked_like(&like, at(19)).expect("readable").is_some());
        assert_eq!(state.blocked_like(&like, at(20)), Ok(None));
    }

    #[test]
    fn mistakes_and_failures_are_no_offences() {
        let mut state = State::memory().expect("memory");
        for (now, end) in [(0, End::Mistake), (10, End::Failed), (20, End::Unblocked)] {
            assert_eq!(block(&mut state, now, "203.0.113.9", None), Blocked::New { offence: 1 });
            let change = state.begin(at(now + 1), &anna()).expect("begin");
            assert_eq!(change.unblock(&spec("203.0.113.9"), end, "asked").expect("unblock").len(), 1);
            assert_eq!(change.unblock(&spec("203.0.113.9"), end, "asked"), Ok(vec![]));
            change.commit().expect("commit");
        }
        assert_eq!(state.offences_by(at(99), &spec("203.0.113.9"), None), Ok(1));
        let last = state.audit_entries(&Span::default()).expect("trail").pop().expect("an entry");
        assert_eq!((last.action.as_str(), last.reason.as_str()), ("unblock", "asked"));
    }

    #[test]
    fn what_the_kernel_refused_is_unmade() {
        let mut state = State::memory().expect("memory");
        let change = state.begin(at(0), &anna()).expect("begin");
        let until = |second| NewBlock::new(spec("203.0.113.9"), Some(at(second)), "scan");
        let first = change.block(&until(60)).expect("block");
        let longer = change.block(&until(90)).expect("extend");
        change.unmake(&until(90), longer, "the kernel refused it").expect("unmade");
        assert_eq!(change.live_blocks(at(1)).expect("live")[0].until, Some(at(60)));
        change.unmake(&until(60), Blocked::Unchanged { until: None }, "nothing was done").expect("unmade");
        change.unmake(&until(60), first, "the kernel refused it").expect("unmade");
        assert_eq!(change.live_blocks(at(1)), Ok(vec![]));
        assert_eq!(change.offences(&spec("203.0.113.9"), None), Ok(0));
        assert!(change.verify(None).expect("readable").is_ok());
    }

    #[test]
    fn blocks_go_with_their_deployment() {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        let new = NewBlock {
            deployment: Some(id("d1")),
            run: Some(id("run-1")),
            ..NewBlock::new(spec("203.0.113.9"), None, "x")
        };
        change.block(&new).expect("block");
        assert_eq!(change.blocks_of(&id("d1")).expect("blocks").len(), 1);
        assert_eq!(change.blocks(&Span { since: Some(at(1)), run: Some(id("run-1")) }).expect("blocks").len(), 1);
        assert_eq!(change.unblock_all_of(&id("d1"), End::Failed, "nft refused").expect("ended").len(), 1);
        assert_eq!(change.live_blocks(at(2)), Ok(vec![]));
        let stray = NewBlock { deployment: Some(id("d9")), ..new };
        assert!(change.block(&stray).is_err(), "its deployment must be journalled first");
    }

    #[test]
    fn a_direction_that_is_none_is_not_read_as_one() {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        change.block(&NewBlock::new(spec("203.0.113.9"), None, "x")).expect("block");
        change.commit().expect("commit");
        let sql = "PRAGMA ignore_check_constraints = ON; UPDATE blocks SET direction = 'by'";
        state.db.execute_batch(sql).expect(sql);
        let error = state.live_blocks(at(2)).expect_err("no direction").to_string();
        assert!(error.contains("is damaged: ") && error.contains("direction"), "{error}");
    }
}
