//! Someone who can forge log lines can have addresses blocked. The cap bounds how many; the breaker stops all of it for a while once
//! the cap is exceeded, because a flood of blocks is either an attack on the defence or more than addresses can solve.

use super::Share;
use crate::record::Timestamp;
use jiff::SignedDuration;
use std::collections::VecDeque;

/// How many additions are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub per_minute: u32,
    pub per_hour: u32,
    /// Of all addresses of a family at the same time, in millionths.
    pub share_ppm: u32,
}

/// Addresses that are to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Additions {
    /// Blocks.
    pub count: u32,
    pub share: Share,
}

/// Whether additions may be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// They may, and are counted.
    Admitted,
    /// They may not, and from now on nothing is until the pause is over: this is said once, aloud.
    Tripped { until: Timestamp, reason: String },
    /// They may not: the pause is not over.
    Paused { until: Timestamp, reason: String },
}

/// Counts additions over sliding windows of time, and stops them.
#[derive(Debug, Clone)]
pub struct Breaker {
    cap: Cap,
    pause: SignedDuration,
    /// When additions were made within an hour before the last one, ascending; at most as many as an hour may have.
    times: VecDeque<Timestamp>,
    paused: Option<(Timestamp, String)>,
    /// What is blocked, at most.
    held: Share,
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl Breaker {
    /// A breaker that pauses for `pause_seconds`, and knows of the additions that were made before this process began.
    pub fn new(cap: Cap, pause_seconds: u32, earlier: impl IntoIterator<Item = Timestamp>) -> Self {
        let mut times: Vec<_> = earlier.into_iter().collect();
        times.sort_unstable();
        let times = times.split_off(times.len().saturating_sub(cap.per_hour as usize));
        Self {
            cap,
            pause: SignedDuration::from_secs(pause_seconds.into()),
            times: times.into(),
            paused: None,
            held: Share::default(),
        }
    }

    /// The same, still paused until a time that an earlier process remembered.
    #[must_use]
    pub fn paused_until(mut self, until: Timestamp, reason: &str) -> Self {
        self.paused = Some((until, reason.to_owned()));
        self
    }

    /// The same, where so much is blocked already.
    #[must_use]
    pub fn holding(self, held: Share) -> Self {
        Self { held, ..self }
    }

    /// Whether `additions` would be too much of all addresses, with all that was ever held: what is held now may be less.
    pub fn overfull(&self, additions: Additions) -> bool {
        (self.held + additions.share).exceeds(self.cap.share_ppm).is_some()
    }

    /// Takes note of how much is blocked now.
    pub fn hold(&mut self, held: Share) {
        self.held = held;
    }

    /// Asks to add `additions` at `now`: all of them or none. A clock that goes back does not free anything.
    pub fn ask(&mut self, now: Timestamp, additions: Additions) -> Admission {
        let now = self.times.back().map_or(now, |last| now.max(*last));
        match &self.paused {
            Some((until, reason)) if now < *until => {
                return Admission::Paused { until: *until, reason: reason.clone() };
            }
            // What tripped it is no longer counted: with the old times it would trip again at once.
            Some(_) => (self.paused, self.times) = (None, VecDeque::new()),
            None => {}
        }
        match self.excess(now, additions) {
            Some(reason) => self.trip(now, reason),
            None => {
                self.times.extend(std::iter::repeat_n(now, additions.count as usize));
                self.held = self.held + additions.share;
                self.forget();
                Admission::Admitted
            }
        }
    }

    /// Drops what is an hour older than the last addition. That one always stays: it is what a clock that goes back is held against.
    fn forget(&mut self) {
        let Some(last) = self.times.back().copied() else { return };
        while self.times.front().is_some_and(|first| last.duration_since(*first) >= HOUR) {
            self.times.pop_front();
        }
    }

    fn excess(&self, now: Timestamp, additions: Additions) -> Option<String> {
        let within = |span| self.times.iter().rev().take_while(|t| now.duration_since(**t) < span).count();
        let (minute, hour) = (within(MINUTE), within(HOUR));
        let over = |count: usize, most: u32, word: &str| {
            (count as u64 + u64::from(additions.count) > u64::from(most)).then(|| {
                format!("{} more than the {count} of the last {word} would exceed {most} blocks", additions.count)
            })
        };
        over(minute, self.cap.per_minute, "minute")
            .or_else(|| over(hour, self.cap.per_hour, "hour"))
            .or_else(|| (self.held + additions.share).exceeds(self.cap.share_ppm))
    }

    fn trip(&mut self, now: Timestamp, cause: String) -> Admission {
        let until = now.checked_add(self.pause).unwrap_or(Timestamp::MAX);
        let reason = format!("{cause}; nothing is blocked without a person until {until}");
        self.paused = Some((until, reason.clone()));
        Admission::Tripped { until, reason }
    }

    /// Until when it is paused, and why: to be remembered by whoever outlives this process.
    pub fn pause(&self) -> Option<(Timestamp, &str)> {
        self.paused.as_ref().map(|(until, reason)| (*until, reason.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("time")
    }

    fn many(count: u32) -> Additions {
        Additions { count, share: Share::default() }
    }

    fn breaker() -> Breaker {
        Breaker::new(Cap { per_minute: 2, per_hour: 3, share_ppm: 1_000 }, 300, [])
    }

    #[test]
    fn the_minute_slides() {
        let mut breaker = breaker();
        assert_eq!(breaker.ask(at(0), many(1)), Admission::Admitted);
        assert_eq!(breaker.ask(at(30), many(1)), Admission::Admitted);
        assert_eq!(breaker.ask(at(60), many(1)), Admission::Admitted, "the first is a minute old");
        let Admission::Tripped { until, reason } = breaker.ask(at(125), many(1)) else { panic!("the hour is full") };
        assert_eq!(until, at(425));
        assert_eq!(
            reason,
            "1 more than the 3 of the last hour would exceed 3 blocks; nothing is blocked without a person until 2027-01-15T08:07:05Z"
        );
    }

    #[test]
    fn it_trips_once_stays_open_and_rearms() {
        let mut breaker = breaker();
        assert!(matches!(breaker.ask(at(0), many(3)), Admission::Tripped { .. }), "all or none");
        assert!(matches!(breaker.ask(at(1), many(1)), Admission::Paused { .. }), "said once");
        assert!(matches!(breaker.ask(at(299), many(1)), Admission::Paused { .. }));
        assert_eq!(breaker.ask(at(300), many(1)), Admission::Admitted);
        assert_eq!(breaker.pause(), None);
    }

    #[test]
    fn too_much_of_all_addresses_trips_it_until_less_is_held() {
        let share = |text: &str| Share::of([&text.parse().expect(text)]);
        let mut breaker = self::breaker().holding(share("10.0.0.0/10"));
        let one = Additions { count: 1, share: share("192.0.2.0/24") };
        assert!(!breaker.overfull(one));
        breaker.hold(share("10.0.0.0/9"));
        assert!(breaker.overfull(one));
        let Admission::Tripped { reason, .. } = breaker.clone().ask(at(0), one) else { panic!("too much") };
        let words = "8388864 IPv4 addresses would be blocked at once, more than 1000 millionths of all; nothing is";
        assert!(reason.starts_with(words), "{reason}");
        breaker.hold(Share::default());
        assert_eq!(breaker.ask(at(0), one), Admission::Admitted);
    }

    #[test]
    fn a_restart_forgets_nothing() {
        let cap = Cap { per_minute: 2, per_hour: 3, share_ppm: 1_000 };
        let mut restarted = Breaker::new(cap, 300, [at(30), at(20)]);
        assert!(matches!(restarted.ask(at(40), many(1)), Admission::Tripped { .. }));
        let (until, why) = restarted.pause().expect("paused");
        let mut again = Breaker::new(cap, 300, []).paused_until(until, why);
        assert!(matches!(again.ask(at(41), many(1)), Admission::Paused { .. }));
    }

    /// Everything before is more than an hour old, nothing is asked for, and then the clock goes back.
    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let mut breaker = breaker();
        assert_eq!(breaker.ask(at(313), many(2)), Admission::Admitted);
        assert_eq!(breaker.ask(at(313 + 3600), many(0)), Admission::Admitted);
        assert!(matches!(breaker.ask(at(373 - 60), many(1)), Admission::Tripped { .. }), "the minute is full");
        let mut breaker = self::breaker();
        assert_eq!(breaker.ask(at(0), many(2)), Admission::Admitted);
        assert_eq!(breaker.ask(at(3600), many(1)), Admission::Admitted, "the clock may be wrong");
        assert_eq!(breaker.ask(at(0), many(1)), Admission::Admitted);
        assert!(matches!(breaker.ask(at(0), many(1)), Admission::Tripped { .. }));
    }

    proptest! {
        /// Whatever is asked and when, no window of time ever holds more than the cap between two pauses.
        #[test]
        fn the_cap_holds(asks in prop::collection::vec((0i64..4000, 0u32..4), 1..60)) {
            let cap = Cap { per_minute: 5, per_hour: 20, share_ppm: 1_000 };
            let mut breaker = Breaker::new(cap, 100_000, []);
            let mut admitted: Vec<i64> = vec![];
            for (second, count) in asks {
                let latest = admitted.last().map_or(second, |last| second.max(*last));
                if breaker.ask(at(second), many(count)) == Admission::Admitted {
                    admitted.extend(std::iter::repeat_n(latest, count as usize));
                }
                let within = |span| admitted.iter().filter(|t| latest - **t < span).count();
                prop_assert!(within(60) <= 5 && within(3600) <= 20);
            }
        }
    }
}
