//! What bounds a machine: how many addresses in a minute, in an hour and of all there are, the pause that follows, and the time in which it
//! only learns. All of it outlives the process.

use super::site::{Site, failure};
use super::split::{split, target};
use crate::cli::Failure;
use crate::record::{Proposal, Timestamp};
use crate::respond::{Additions, Admission, Breaker, Cap, Share, TimedBlock};
use crate::state::NewBlock;
use crate::sys::clock;
use jiff::SignedDuration;

/// Where the state keeps the end and the cause of the breaker's pause.
const PAUSED_UNTIL: &str = "breaker_until";
const PAUSED_WHY: &str = "breaker_why";

/// Where the state keeps when a machine first asked.
const LEARNS_SINCE: &str = "learns_since";

/// The bounds of what is done without a person.
#[derive(Debug)]
pub struct Caps {
    breaker: Breaker,
}

impl Caps {
    /// As the state remembers them: a new process does not begin with an empty count.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn open(site: &Site) -> Result<Self, Failure> {
        let respond = &site.config.respond;
        let cap = Cap {
            per_minute: respond.cap_per_minute,
            per_hour: respond.cap_per_hour,
            share_ppm: respond.cap_share_ppm,
        };
        let hour_ago = clock::now().checked_sub(SignedDuration::from_hours(1)).unwrap_or(clock::now());
        let earlier = site.state.block_times(hour_ago).map_err(failure)?;
        let breaker = Breaker::new(cap, respond.pause_seconds, earlier).holding(held(site)?);
        let until = site.state.setting(PAUSED_UNTIL).map_err(failure)?.and_then(|text| text.parse::<Timestamp>().ok());
        let why = site.state.setting(PAUSED_WHY).map_err(failure)?.unwrap_or_default();
        Ok(match until.filter(|until| *until > clock::now()) {
            Some(until) => Self { breaker: breaker.paused_until(until, &why) },
            None => Self { breaker },
        })
    }

    /// Whether `timed`, which `proposal` comes to, may be blocked now. What trips the breaker is kept for the next process, but not by a
    /// `rehearsal`.
    ///
    /// # Errors
    /// When the state cannot be used.
    pub fn ask(
        &mut self,
        site: &mut Site,
        proposal: &Proposal,
        timed: &[TimedBlock],
        rehearsal: bool,
    ) -> Result<Admission, Failure> {
        let additions = additions(site, proposal, timed)?;
        if self.breaker.overfull(additions) {
            self.breaker.hold(held(site)?);
        }
        let admission = self.breaker.ask(clock::now(), additions);
        if let (Admission::Tripped { until, reason }, false) = (&admission, rehearsal) {
            remember(site, *until, reason)?;
        }
        Ok(admission)
    }

    /// Stops all of it for the configured time because of what `cause` says; why, in words.
    ///
    /// # Errors
    /// When the state cannot be used.
    pub fn trip(&mut self, site: &mut Site, cause: &str) -> Result<String, Failure> {
        let pause = SignedDuration::from_secs(site.config.respond.pause_seconds.into());
        let until = clock::now().checked_add(pause).unwrap_or(Timestamp::MAX);
        let why = format!("{cause}; nothing is blocked until {until}");
        remember(site, until, &why)?;
        *self = Self::open(site)?;
        Ok(why)
    }
}

/// Keeps the breaker's pause for the next process.
fn remember(site: &mut Site, until: Timestamp, reason: &str) -> Result<(), Failure> {
    let change = site.begin()?;
    change.set(PAUSED_UNTIL, &until.to_string()).map_err(failure)?;
    change.set(PAUSED_WHY, reason).map_err(failure)?;
    change.commit().map_err(failure)
}

/// What is blocked now on evidence.
fn held(site: &Site) -> Result<Share, Failure> {
    Ok(Share::of(&site.state.blocked_on_evidence(clock::now()).map_err(failure)?))
}

/// What is new in `timed`. An address that is blocked already is no addition: what is still seen of it is the echo of its block.
fn additions(site: &Site, proposal: &Proposal, timed: &[TimedBlock]) -> Result<Additions, Failure> {
    let Ok(split) = split(site.backend, std::slice::from_ref(proposal)) else {
        let share = Share::of(timed.iter().map(|block| &block.address));
        return Ok(Additions { count: u32::try_from(timed.len()).unwrap_or(u32::MAX), share });
    };
    let mut new = Vec::new();
    for block in &split.bans {
        let (direction, address, protocol, ports) = target(&block.ban);
        let wanted = NewBlock { direction, protocol, ports, ..NewBlock::new(address, None, "") };
        if site.state.blocked_like(&wanted, clock::now()).map_err(failure)?.is_none() {
            new.push(address);
        }
    }
    let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
    new.dedup();
    Ok(Additions { count, share: Share::of(&new) })
}

/// Until when a machine only learns: what it would do is told and not done. Its time begins when it first asks, unless that is a `rehearsal`.
///
/// # Errors
/// When the state cannot be used.
pub fn learns_until(site: &mut Site, rehearsal: bool) -> Result<Option<Timestamp>, Failure> {
    let hours = site.config.respond.learn_hours;
    if hours == 0 {
        return Ok(None);
    }
    let now = clock::now();
    let known = site.state.setting(LEARNS_SINCE).map_err(failure)?.and_then(|text| text.parse::<Timestamp>().ok());
    if known.is_none() && !rehearsal {
        let change = site.begin()?;
        change.set(LEARNS_SINCE, &now.to_string()).map_err(failure)?;
        change.commit().map_err(failure)?;
    }
    let end = known.unwrap_or(now).checked_add(SignedDuration::from_hours(hours.into())).unwrap_or(Timestamp::MAX);
    Ok((now < end).then_some(end))
}
