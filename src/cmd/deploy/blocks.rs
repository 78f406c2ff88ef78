//! Blocks for a time: into the journal, then into the kernel's live sets. The kernel ends them by itself.

use super::backend::{Backend, chosen};
use super::elements::SEEN;
use super::site::{Site, failure};
use super::split::{end, target};
use super::transaction::{BACKEND, reread};
use crate::backend::nftables::{Ban, Block};
use crate::cli::{Exit, Failure, Out};
use crate::cmd::status::counted;
use crate::packet::AddressSpec;
use crate::record::{HeartbeatCheck, Id, Proposal, Rule, Status, Timestamp};
use crate::respond::{Growth, NeverBlock};
use crate::state::{Action, Blocked, Change, DeploymentRow, Direction, End, NewBlock, Note, Outcome, State, Step};
use crate::sys::clock;
use std::collections::BTreeMap;

/// Changes of blocks that the journal holds and the kernel may not: their ids. Written with the change, taken away when the kernel has it.
const UNSETTLED: &str = "blocks_unsettled";

/// Blocks to be made, and on whose behalf.
#[derive(Debug)]
pub struct Order<'a> {
    pub proposals: &'a [Proposal],
    /// The rules that the bans come from.
    pub rules: Vec<Rule>,
    pub bans: Vec<Block>,
    pub reason: String,
    /// How the time grows for those who come back; none for what a person asked for.
    pub growth: Option<Growth>,
    /// Seconds for which they stand until the heartbeat has held; none: their full time at once.
    pub trial: Option<u64>,
}

/// Blocks that stand in the kernel.
pub struct Standing {
    pub row: DeploymentRow,
    made: Vec<Made>,
    /// What says in the journal that the kernel may not hold them.
    batch: Id,
}

/// Why one of the bans may not be: the last word on it, whatever was decided before.
pub fn forbidden(bans: &[Block], never: &NeverBlock) -> Option<String> {
    bans.iter().find_map(|block| never.forbids(&target(&block.ban).1)).map(|why| why.to_string())
}

/// Journals blocks, puts them into the kernel in one batch and journals that: for good, or for the time of a trial. What became of each order,
/// in their order: one that cannot be does not take the others along, and none of its blocks holds.
pub fn apply(site: &mut Site, orders: &[Order]) -> Vec<Result<Standing, Failure>> {
    match together(site, orders) {
        Ok(done) => done,
        Err(failed) if orders.len() < 2 => vec![Err(failed)],
        Err(_) => {
            let alone = |order| together(site, std::slice::from_ref(order)).unwrap_or_else(|failed| vec![Err(failed)]);
            orders.iter().flat_map(alone).collect()
        }
    }
}

/// As [`apply`].
///
/// # Errors
/// When the journal does not take one of the orders, or the kernel cannot be asked; then nothing of any is done.
fn together(site: &mut Site, orders: &[Order]) -> Result<Vec<Result<Standing, Failure>>, Failure> {
    if !site.elements.is_settled() {
        site.backend.observe()?;
    }
    let Some(batch) = journal(site, orders)? else { return Ok(Vec::new()) };
    let times: Vec<Vec<Block>> = batch.parts.iter().map(|part| times(&part.made, part.trial)).collect();
    let loaded = match load(site, &times.concat()) {
        Err(failed) if times.len() > 1 => {
            tracing::warn!("{failed}: each order is tried by itself");
            times.iter().map(|blocks| load(site, blocks)).collect()
        }
        one => vec![one; times.len()],
    };
    let holds = loaded.iter().any(Result::is_ok);
    let noted = noted(site, &batch, &loaded);
    noted.map_err(|failure| if holds { failure.after_change() } else { failure })?;
    let mut done = Vec::with_capacity(loaded.len());
    for (part, loaded) in batch.parts.into_iter().zip(loaded) {
        let row = loaded.and_then(|()| reread(site, &part.id).map_err(Failure::after_change));
        done.push(row.map(|row| Standing { row, made: part.made, batch: batch.id.clone() }));
    }
    Ok(done)
}

/// Journals what became of a batch in the kernel.
fn noted(site: &mut Site, batch: &Batch, loaded: &[Result<(), Failure>]) -> Result<(), Failure> {
    for (part, loaded) in batch.parts.iter().zip(loaded) {
        if let Err(failed) = loaded {
            undo(site, &part.id, &part.made, &failed.message)?;
        }
    }
    stand(site, batch, loaded)
}

/// Journals what the kernel holds.
fn stand(site: &mut Site, batch: &Batch, loaded: &[Result<(), Failure>]) -> Result<(), Failure> {
    let (now, seen) = (clock::now(), site.elements.note());
    let change = site.begin()?;
    for (part, _) in batch.parts.iter().zip(loaded).filter(|(_, loaded)| loaded.is_ok()) {
        let outcome = Outcome { applied_at: Some(now), confirm_by: end(part.trial, now), ..Outcome::default() };
        let (status, words) = match part.trial {
            None => (Status::Confirmed, "each ends by itself"),
            Some(_) => (Status::Applied, "each stands for a trial until the heartbeat has held"),
        };
        change.transition(&part.id, Status::Pending, status, &outcome, words).map_err(failure)?;
    }
    if batch.parts.iter().all(|part| part.trial.is_none()) {
        settled(&change, &batch.id)?;
    }
    change.set(SEEN, &seen).map_err(failure)?;
    change.commit().map_err(failure)
}

/// What the kernel is to hold: each ban for the rest of its time, on `trial` for so many seconds at most, but what held before it for no
/// less than it had.
fn times(made: &[Made], trial: Option<u64>) -> Vec<Block> {
    let now = clock::now();
    let seconds = |m: &Made| match (rest(m.until, now), trial) {
        (rest, None) => rest,
        (full, Some(trial)) => {
            let tried = full.map_or(trial, |full| full.min(trial));
            let Blocked::Unchanged { until } = m.done else { return Some(tried) };
            rest(until, now).map(|held| held.max(tried))
        }
    };
    made.iter().map(|m| Block { ban: m.ban, seconds: seconds(m) }).collect()
}

/// The heartbeat has held: the blocks of a batch on trial get their full time.
///
/// # Errors
/// When the kernel or the state refuses; then they end with their trial.
pub fn keep(site: &mut Site, batch: &[Standing], heartbeat: &[HeartbeatCheck]) -> Result<Vec<DeploymentRow>, Failure> {
    let blocks: Vec<Block> = batch.iter().flat_map(|standing| times(&standing.made, None)).collect();
    load(site, &blocks)?;
    let heartbeat = heartbeat.to_vec();
    let outcome = Outcome { confirmed_by: Some("heartbeat".to_owned()), heartbeat, ..Outcome::default() };
    let change = site.begin()?;
    for standing in batch {
        for m in standing.made.iter().filter(|m| matches!(m.done, Blocked::Unchanged { .. })) {
            change.block(&m.new).map_err(failure)?;
        }
        let words = "the heartbeat has held; each ends by itself";
        change.transition(&standing.row.id, Status::Applied, Status::Confirmed, &outcome, words).map_err(failure)?;
        settled(&change, &standing.batch)?;
    }
    change.commit().map_err(failure)?;
    batch.iter().map(|standing| reread(site, &standing.row.id)).collect()
}

/// The heartbeat has failed: the new blocks of a batch go, those that were there before have their earlier time again.
///
/// # Errors
/// When the kernel or the state refuses; then they end with their trial.
pub fn withdraw(
    site: &mut Site,
    batch: &[Standing],
    heartbeat: &[HeartbeatCheck],
) -> Result<Vec<DeploymentRow>, Failure> {
    let words = "the heartbeat failed after these blocks";
    let heartbeat = heartbeat.to_vec();
    let outcome = Outcome { error: Some(words.to_owned()), heartbeat, ..Outcome::default() };
    let change = site.begin()?;
    // The last is taken back first: what it found is what an earlier one made.
    for standing in batch.iter().rev() {
        for Made { new, done, .. } in &standing.made {
            change.unmake(new, *done, words).map_err(failure)?;
        }
        change.transition(&standing.row.id, Status::Applied, Status::RolledBack, &outcome, words).map_err(failure)?;
    }
    change.commit().map_err(failure)?;
    let text = earlier(site, batch)?;
    site.backend.load(&text)?;
    let change = site.begin()?;
    batch.iter().try_for_each(|standing| settled(&change, &standing.batch))?;
    change.commit().map_err(failure)?;
    batch.iter().map(|standing| reread(site, &standing.row.id)).collect()
}

/// The text that takes new blocks out and gives the others the time that they had. Where several of a batch are of one address, the
/// first of them knows what was there before.
fn earlier(site: &Site, batch: &[Standing]) -> Result<String, Failure> {
    let mut first: BTreeMap<Ban, &Made> = BTreeMap::new();
    for made in batch.iter().flat_map(|standing| &standing.made) {
        first.entry(made.ban).or_insert(made);
    }
    let now = clock::now();
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    for (ban, made) in first {
        match made.done {
            Blocked::New { .. } => gone.push(ban),
            Blocked::Extended { from, .. } => back.push(Block { ban, seconds: rest(Some(from), now) }),
            Blocked::Unchanged { until } => back.push(Block { ban, seconds: rest(until, now) }),
        }
    }
    Ok(format!("{}{}", site.backend.unblock(&gone)?, site.backend.block(&back, &site.protected())?))
}

fn load(site: &mut Site, blocks: &[Block]) -> Result<(), Failure> {
    let protected = site.protected();
    site.backend.ban(&mut site.elements, blocks, &protected)
}

/// Prints the exact text to be loaded; what it adds ends by itself.
///
/// # Errors
/// When the kernel cannot be looked at.
pub fn show(order: &Order, site: &Site, out: &mut Out) -> Result<(), Failure> {
    let text = site.backend.block(&order.bans, &site.protected())?;
    out.text(&format!("# to be loaded; each block ends by itself\n{text}"));
    Ok(())
}

fn new_row(site: &Site, order: &Order) -> DeploymentRow {
    let mut row = DeploymentRow::new(clock::new_id(), site.backend.name(), clock::now(), &site.actor);
    row.run = order.proposals.iter().find_map(|p| p.run.clone());
    row.proposals = order.proposals.iter().map(|p| p.id.clone()).collect();
    row.rules = order.rules.iter().map(|rule| rule.id.clone()).collect();
    row.blocks = order.bans.iter().map(describe).collect();
    row.window_seconds = order.trial;
    row
}

/// A ban in words: `192.0.2.7 for 600 s`, `192.0.2.7 tcp/22 for 600 s`, `to 192.0.2.7 for 600 s`.
fn describe(block: &Block) -> String {
    let (direction, address, protocol, ports) = target(&block.ban);
    let towards = if direction == Direction::To { "to " } else { "" };
    let port = protocol.zip(ports.first()).map(|(protocol, port)| format!(" {protocol}/{port}")).unwrap_or_default();
    let time = block.seconds.map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
    format!("{towards}{address}{port}{time}")
}

/// A block as it was journalled.
struct Made {
    ban: Ban,
    new: NewBlock,
    done: Blocked,
    until: Option<Timestamp>,
}

/// Orders as they were journalled, together.
struct Batch {
    /// What says in the journal that the kernel may not hold them yet.
    id: Id,
    parts: Vec<Part>,
}

/// An order as it was journalled.
struct Part {
    /// Of its deployment.
    id: Id,
    made: Vec<Made>,
    trial: Option<u64>,
}

/// Writes the blocks of all orders into the state in one transaction, before the kernel hears of them; nothing where there are none.
fn journal(site: &mut Site, orders: &[Order]) -> Result<Option<Batch>, Failure> {
    let rows: Vec<DeploymentRow> = orders.iter().map(|order| new_row(site, order)).collect();
    let Some(id) = rows.first().map(|row| row.id.clone()) else { return Ok(None) };
    let name = site.backend.name();
    let change = site.begin()?;
    // Blocks alone say too where what is confirmed stands.
    if change.setting(BACKEND).map_err(failure)?.as_deref().unwrap_or_else(|| chosen()) != name {
        change.set(BACKEND, name).map_err(failure)?;
    }
    let mut parts = Vec::with_capacity(rows.len());
    for (order, row) in orders.iter().zip(rows) {
        for proposal in order.proposals {
            change.proposal(proposal).map_err(failure)?;
        }
        change.deployment(&row).map_err(failure)?;
        change.attempt(&row.id, Status::Pending, Step::Applying, &order.reason).map_err(failure)?;
        let made = order.bans.iter().map(|block| journal_one(&change, order, &row, block));
        let made = made.collect::<Result<_, _>>()?;
        parts.push(Part { id: row.id, made, trial: order.trial });
    }
    unsettled(&change, &id)?;
    change.commit().map_err(failure)?;
    Ok(Some(Batch { id, parts }))
}

fn journal_one(change: &Change, order: &Order, row: &DeploymentRow, block: &Block) -> Result<Made, Failure> {
    let (direction, address, protocol, ports) = target(&block.ban);
    let earlier = change.offences(&address, None).map_err(failure)?;
    let grown = |seconds| order.growth.as_ref().map_or(seconds, |growth| growth.seconds(seconds, earlier));
    let mut new = NewBlock::new(address, end(block.seconds.map(grown), change.now()), &order.reason);
    (new.direction, new.protocol, new.ports) = (direction, protocol, ports);
    (new.run, new.deployment) = (row.run.clone(), Some(row.id.clone()));
    new.assessment = order.proposals.iter().find_map(|p| p.origin.assessment.clone());
    let held = change.block_like(&new).map_err(failure)?.filter(|_| order.trial.is_some());
    if let Some(held) = held {
        // What holds already keeps its end until the trial is over: whoever recovers from a death in it has nothing to put back.
        let until = held.until.and_then(|until| new.until.map(|new| new.max(until)));
        return Ok(Made { ban: block.ban, new, done: Blocked::Unchanged { until: held.until }, until });
    }
    let done = change.block(&new).map_err(failure)?;
    let until = match done {
        Blocked::New { .. } => new.until,
        Blocked::Extended { until, .. } | Blocked::Unchanged { until } => until,
    };
    Ok(Made { ban: block.ban, new, done, until })
}

fn undo(site: &mut Site, id: &Id, made: &[Made], words: &str) -> Result<(), Failure> {
    let outcome = Outcome { error: Some(words.to_owned()), ..Outcome::default() };
    let change = site.begin()?;
    change.transition(id, Status::Pending, Status::Failed, &outcome, "it was refused").map_err(failure)?;
    for Made { new, done, .. } in made {
        change.unmake(new, *done, "it was refused").map_err(failure)?;
    }
    change.commit().map_err(failure)?;
    // Who got no answer from the kernel does not know what became of it: what can be ended is ended now, the rest by the next recovery.
    if let Err(failed) = settle(site) {
        tracing::debug!("{failed}");
    }
    Ok(())
}

/// Seconds until `until`, at least one; none where there is no end.
fn rest(until: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    until.map(|until| u64::try_from(until.duration_since(now).as_secs()).unwrap_or(0).max(1))
}

/// The bans that the state's live blocks come to, each with what is left of its time.
///
/// # Errors
/// When the state cannot be read.
pub fn standing(state: &State, now: Timestamp) -> Result<Vec<Block>, Failure> {
    let blocks = state.live_blocks(now).map_err(failure)?;
    Ok(blocks
        .iter()
        .flat_map(|block| bans(block).into_iter().map(|ban| Block { ban, seconds: rest(block.until, now) }))
        .collect())
}

fn bans(block: &crate::state::Block) -> Vec<Ban> {
    match (block.address, block.protocol, block.address.as_single()) {
        (_, Some(protocol), Some(address)) => {
            block.ports.iter().filter_map(|p| p.as_single()).map(|port| Ban::Port(address, protocol, port)).collect()
        }
        (AddressSpec::Net(net), None, _) if block.direction == Direction::To => vec![Ban::Destination(net)],
        (AddressSpec::Net(net), None, _) => vec![Ban::Source(net)],
        _ => vec![],
    }
}

/// Journals that the kernel may not hold what the journal says of blocks, until [`settled`] is told the same id or [`settle`] has run.
///
/// # Errors
/// When the state cannot be written.
pub fn unsettled(change: &Change, id: &Id) -> Result<(), Failure> {
    let known = change.setting(UNSETTLED).map_err(failure)?.unwrap_or_default();
    change.set(UNSETTLED, format!("{known} {id}").trim()).map_err(failure)
}

/// Journals that the kernel holds the change `id` of blocks.
///
/// # Errors
/// When the state cannot be written.
pub fn settled(change: &Change, id: &Id) -> Result<(), Failure> {
    let known = change.setting(UNSETTLED).map_err(failure)?.unwrap_or_default();
    let rest: Vec<&str> = known.split(' ').filter(|token| *token != id.as_str()).collect();
    change.set(UNSETTLED, &rest.join(" ")).map_err(failure)
}

/// Whether the kernel holds what the journal says of blocks, as far as the journal knows.
///
/// # Errors
/// When the state cannot be read.
pub fn is_settled(state: &State) -> Result<bool, Failure> {
    Ok(state.setting(UNSETTLED).map_err(failure)?.is_none_or(|ids| ids.is_empty()))
}

/// Where a change of blocks was cut short: puts the state's blocks into the kernel, each for the rest of its time, and takes out those that
/// were ended; how many stand. The state stays locked meanwhile, so that no other change comes between its words and the kernel.
///
/// # Errors
/// When the kernel refuses, or the state cannot be written.
pub fn settle(site: &mut Site) -> Result<Option<usize>, Failure> {
    if is_settled(&site.state)? {
        return Ok(None);
    }
    let (backend, protected) = (site.backend, site.protected());
    let change = site.begin()?;
    let blocks = standing(&change, change.now())?;
    let ended = change.blocks_cut_short(change.now()).map_err(failure)?;
    let held = |ban: &Ban| blocks.iter().any(|block| block.ban == *ban);
    let ended: Vec<Ban> = ended.iter().flat_map(bans).filter(|ban| !held(ban)).collect();
    backend.load(&backend.unblock(&ended)?)?;
    if !blocks.is_empty() {
        backend.load(&backend.block(&blocks, &protected)?)?;
    }
    change.set(UNSETTLED, "").map_err(failure)?;
    let words = format!("put {} back into {}", counted(blocks.len(), "block"), backend.place());
    change.audit(&Note::new(Action::Recover, "kernel", words)).map_err(failure)?;
    change.commit().map_err(failure)?;
    Ok(Some(blocks.len()))
}

/// Ends the blocks of an address, in the journal and in the kernel.
///
/// # Errors
/// When there is none (exit 1), or the kernel or the state refuses.
pub fn lift(site: &mut Site, address: &AddressSpec, mistake: bool) -> Result<usize, Failure> {
    let (end, reason) =
        if mistake { (End::Mistake, "it was a mistake") } else { (End::Unblocked, "unblocked by hand") };
    settle(site)?;
    let id = clock::new_id();
    let change = site.begin()?;
    let ended = change.unblock(address, end, reason).map_err(failure)?;
    if ended.is_empty() {
        return Err(Failure::new(Exit::No, format!("{address} is not blocked")).hint("afo-deploy list"));
    }
    unsettled(&change, &id)?;
    change.commit().map_err(failure)?;
    free(site.backend, &ended)?;
    let noted = site.begin().and_then(|change| {
        settled(&change, &id)?;
        change.commit().map_err(failure)
    });
    noted.map_err(Failure::after_change)?;
    Ok(ended.len())
}

/// Takes blocks that have ended in the journal out of the kernel.
///
/// # Errors
/// When the kernel refuses.
pub fn free(backend: &dyn Backend, ended: &[crate::state::Block]) -> Result<(), Failure> {
    let bans: Vec<Ban> = ended.iter().flat_map(bans).collect();
    backend.load(&backend.unblock(&bans)?)
}
