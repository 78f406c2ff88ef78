//! Someone who can forge log lines can have addresses blocked. The cap bounds how many; the breaker stops all of it for a while once
//! the cap is exceeded, because a flood of blocks is either an attack on the defence or more than addresses can solve.

use crate::record::Timestamp;
use jiff::SignedDuration;
use std::collections::VecDeque;

/// How many additions are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub per_minute: u32,
    pub per_hour: u32,
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
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl Breaker {
    /// A breaker that pauses for `pause_seconds`, and knows of the additions that were made before this process began.
    pub fn new(cap: Cap, pause_seconds: u32, earlier: impl IntoIterator<Item = Timestamp>) -> Self {
        let mut times: Vec<_> = earlier.into_iter().collect();
        times.sort_unstable();
        let times = times.split_off(times.len().saturating_sub(cap.per_hour as usize));
        Self { cap, pause: SignedDuration::from_secs(pause_seconds.into()), times: times.into(), paused: None }
    }

    /// The same, still paused until a time that an earlier process remembered.
    #[must_use]
    pub fn paused_until(mut self, until: Timestamp, reason: &str) -> Self {
        self.paused = Some((until, reason.to_owned()));
        self
    }

    /// Asks to add `additions` addresses at `now`: all of them or none. A clock that goes back does not free anything.
    pub fn ask(&mut self, now: Timestamp, additions: u32) -> Admission {
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
                self.times.extend(std::iter::repeat_n(now, additions as usize));
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

    fn excess(&self, now: Timestamp, additions: u32) -> Option<String> {
        let within = |span| self.times.iter().rev().take_while(|t| now.duration_since(**t) < span).count();
        let (minute, hour) = (within(MINUTE), within(HOUR));
        let over = |count: usize, most: u32, word: &str| {
            (count as u64 + u64::from(additions) > u64::from(most))
                .then(|| format!("{additions} more than the {count} of the last {word} would exceed {most} blocks"))
        };
        over(minute, self.cap.per_minute, "minute").or_else(|| over(hour, self.cap.per_hour, "hour"))
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

    fn breaker() -> Breaker {
        Breaker::new(Cap { per_minute: 2, per_hour: 3 }, 300, [])
    }

    #[test]
    fn the_minute_slides() {
        let mut breaker = breaker();
        assert_eq!(breaker.ask(at(0), 1), Admission::Admitted);
        assert_eq!(breaker.ask(at(30), 1), Admission::Admitted);
        assert_eq!(breaker.ask(at(60), 1), Admission::Admitted, "the first is a minute old");
        let Admission::Tripped { until, reason } = breaker.ask(at(125), 1) else { panic!("the hour is full") };
        assert_eq!(until, at(425));
        assert_eq!(
            reason,
            "1 more than the 3 of the last hour would exceed 3 blocks; nothing is blocked without a person until 2027-01-15T08:07:05Z"
        );
    }

    #[test]
    fn it_trips_once_stays_open_and_rearms() {
        let mut breaker = breaker();
        assert!(matches!(breaker.ask(at(0), 3), Admission::Tripped { .. }), "all or none");
        assert!(matches!(breaker.ask(at(1), 1), Admission::Paused { .. }), "said once");
        assert!(matches!(breaker.ask(at(299), 1), Admission::Paused { .. }));
        assert_eq!(breaker.ask(at(300), 1), Admission::Admitted);
        assert_eq!(breaker.pause(), None);
    }

    #[test]
    fn a_restart_forgets_nothing() {
        let cap = Cap { per_minute: 2, per_hour: 3 };
        let mut restarted = Breaker::new(cap, 300, [at(30), at(20)]);
        assert!(matches!(restarted.ask(at(40), 1), Admission::Tripped { .. }));
        let (until, why) = restarted.pause().expect("paused");
        let mut again = Breaker::new(cap, 300, []).paused_until(until, why);
        assert!(matches!(again.ask(at(41), 1), Admission::Paused { .. }));
    }

    /// Everything before is more than an hour old, nothing is asked for, and then the clock goes back.
    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let mut breaker = breaker();
        assert_eq!(breaker.ask(at(313), 2), Admission::Admitted);
        assert_eq!(breaker.ask(at(313 + 3600), 0), Admission::Admitted);
        assert!(matches!(breaker.ask(at(373 - 60), 1), Admission::Tripped { .. }), "the minute is full");
        let mut breaker = self::breaker();
        assert_eq!(breaker.ask(at(0), 2), Admission::Admitted);
        assert_eq!(breaker.ask(at(3600), 1), Admission::Admitted, "the clock may be wrong");
        assert_eq!(breaker.ask(at(0), 1), Admission::Admitted);
        assert!(matches!(breaker.ask(at(0), 1), Admission::Tripped { .. }));
    }

    proptest! {
        /// Whatever is asked and when, no window of time ever holds more than the cap between two pauses.
        #[test]
        fn the_cap_holds(asks in prop::collection::vec((0i64..4000, 0u32..4), 1..60)) {
            let cap = Cap { per_minute: 5, per_hour: 20 };
            let mut breaker = Breaker::new(cap, 100_000, []);
            let mut admitted: Vec<i64> = vec![];
            for (second, count) in asks {
                let latest = admitted.last().map_or(second, |last| second.max(*last));
                if breaker.ask(at(second), count) == Admission::Admitted {
                    admitted.extend(std::iter::repeat_n(latest, count as usize));
                }
                let within = |span| admitted.iter().filter(|t| latest - **t < span).count();
                prop_assert!(within(60) <= 5 && within(3600) <= 20);
            }
        }
    }
}
