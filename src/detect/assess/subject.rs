//! What is kept in mind of one address or network: its newest marks, its successes, what was said of it.

use super::mark::{Class, Mark};
use super::score::within;
use crate::record::{Id, Severity, Timestamp};
use std::collections::VecDeque;

/// The most successful logins that are remembered.
const MOST_SUCCESSES: usize = 16;

/// What is said of a subject, each escalating by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    Guessing,
    Success,
    Scan,
    Flood,
    Listed,
    Several,
}

/// What was said last on a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    pub ts: Timestamp,
    pub level: Severity,
    pub auto: bool,
    pub amount: f64,
    pub ttl: u64,
}

/// One address or network.
#[derive(Debug, Default)]
pub struct Subject {
    pub marks: VecDeque<Mark>,
    pub probes: VecDeque<Mark>,
    pub successes: Vec<Timestamp>,
    /// Packets in each of the last seconds.
    pub seconds: VecDeque<(i64, u64)>,
    said: Vec<(Track, Said)>,
    /// Marks since the last look at an attack that is answered already.
    unseen: u32,
    run: Option<(Id, Timestamp)>,
    /// The points of the last look: who has least is forgotten first.
    pub points: f64,
    pub last: Option<Timestamp>,
}

impl Subject {
    /// Adds a mark in its place by time; the oldest beyond `most` is forgotten.
    pub fn add(&mut self, mark: Mark, most: usize) {
        self.last = self.last.max(Some(mark.ts));
        if mark.class == Class::Success {
            // Credit in a log that anybody can write to is credit that an attacker gives himself.
            if mark.forgeable {
                return;
            }
            self.successes.push(mark.ts);
            self.successes.sort_unstable();
            self.successes.drain(..self.successes.len().saturating_sub(MOST_SUCCESSES));
            return;
        }
        let list = if mark.class == Class::Probe { &mut self.probes } else { &mut self.marks };
        if let Some(same) = list.iter_mut().find(|old| is_same_door(old, &mark)) {
            same.count += mark.count;
            same.ts = same.ts.max(mark.ts);
            return;
        }
        let at = list.partition_point(|old| old.ts <= mark.ts);
        list.insert(at, mark);
        if list.len() > most {
            list.pop_front();
        }
    }

    /// Counts packets in their second.
    pub fn count(&mut self, ts: Timestamp, packets: u64, window: u64) -> u64 {
        let second = ts.as_second();
        let at = self.seconds.partition_point(|(s, _)| *s < second);
        match self.seconds.get_mut(at).filter(|(s, _)| *s == second) {
            Some((_, n)) => *n += packets,
            None => self.seconds.insert(at, (second, packets)),
        }
        let oldest = self.seconds.back().map_or(second, |(s, _)| *s) - i64::try_from(window).unwrap_or(i64::MAX);
        while self.seconds.front().is_some_and(|(s, _)| *s <= oldest) {
            self.seconds.pop_front();
        }
        self.seconds.iter().map(|(_, n)| n).sum()
    }

    /// Whether this is news: the first time, a higher level, now actionable, four times as much, or after the response ended.
    pub fn is_news(&mut self, track: Track, now: Said) -> bool {
        let Some((_, last)) = self.said.iter_mut().find(|(t, _)| *t == track) else {
            self.said.push((track, now));
            return true;
        };
        let news = now.level > last.level
            || (now.auto && !last.auto)
            || now.amount >= last.amount * 4.0
            || !within(last.ts, now.ts, last.ttl);
        if news {
            *last = now;
        }
        news
    }

    /// Whether it was said on `track` that a response may be made, and that response still stands.
    pub fn is_answered(&self, track: Track, now: Timestamp) -> bool {
        self.said.iter().any(|(t, said)| *t == track && said.auto && within(said.ts, now, said.ttl))
    }

    /// Whether an attack that is answered already need not be looked at for this mark: each 32nd is enough to see it grow fourfold.
    pub fn may_wait(&mut self) -> bool {
        self.unseen = (self.unseen + 1) % 32;
        self.unseen != 0
    }

    /// What an attack's assessments have in common; a new one after a rest of `seconds`.
    pub fn run(&mut self, now: Timestamp, seconds: u64, make: impl FnOnce() -> Id) -> Id {
        let id = match &self.run {
            Some((id, last)) if within(*last, now, seconds) => id.clone(),
            _ => make(),
        };
        self.run = Some((id.clone(), now));
        id
    }
}

/// Whether two packets came to the same port of the same host.
fn is_same_door(old: &Mark, new: &Mark) -> bool {
    new.class == Class::Probe && (old.host, old.port) == (new.host, new.port)
}
