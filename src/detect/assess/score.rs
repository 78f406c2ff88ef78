//! From marks to points to confidence. Pure arithmetic over a set of marks: their order does not matter.
//!
//! Of one connection the kind of line that tells of most attempts is taken, so `Invalid user` and `Failed password` of one
//! attempt count once; PAM's lines, which other processes may write, count only as far as they tell of more than the server's do.

use super::mark::{Class, Mark};
use crate::detect::detections::Detections;
use crate::record::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the marks of one window amount to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    pub points: f64,
    /// Attempts to log in that failed, each once.
    pub attempts: u64,
    pub connections: u64,
    pub users: u64,
    pub invalid_users: u64,
    pub disconnects: u64,
    pub protocol_errors: u64,
    pub successes: u64,
    /// Addresses that took part, for a network.
    pub addresses: u64,
}

/// What one connection amounts to.
#[derive(Debug, Clone, Copy, Default)]
struct Connection {
    failures: u64,
    invalid: bool,
    keys: u64,
    disconnects: u64,
    protocol_errors: u64,
}

impl Connection {
    fn add(&mut self, mark: &Mark) {
        self.invalid |= mark.invalid;
        match mark.class {
            Class::Failure => self.failures += mark.count,
            Class::Key => self.keys += mark.count,
            Class::Disconnect => self.disconnects = 1,
            Class::Protocol => self.protocol_errors = 1,
            _ => {}
        }
    }

    /// A login name that does not exist is an attempt also where no password is told of.
    fn attempts(&self) -> u64 {
        self.failures.max(u64::from(self.invalid))
    }

    fn points(&self, detections: &Detections) -> f64 {
        let rules = &detections.brute_force;
        let attempts = self.attempts() as f64;
        let invalid = if self.invalid { rules.points_invalid_user } else { 0.0 };
        let weak = (self.keys as f64 * rules.points_key)
            .max(self.disconnects as f64 * rules.points_disconnect)
            .max(self.protocol_errors as f64 * rules.points_protocol_error);
        if attempts > 0.0 { attempts * (rules.points_failure + invalid) } else { weak }
    }
}

/// The score of what was tried in the window that ends at `now`; `successes` are the times of successful logins, and `trust`
/// says how much of a mark counts.
pub fn score<'m>(
    marks: impl Iterator<Item = &'m Mark>,
    successes: &[Timestamp],
    now: Timestamp,
    detections: &Detections,
    trust: impl Fn(&Mark) -> f64,
) -> Score {
    let rules = &detections.brute_force;
    let mut connections: BTreeMap<(bool, u64), (Connection, f64)> = BTreeMap::new();
    let (mut users, mut invalid_users, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut pam, mut pam_points) = (0, 0.0);
    for mark in marks.filter(|mark| within(mark.ts, now, rules.window_seconds)) {
        let share = trust(mark);
        if mark.class == Class::PamFailure {
            pam += mark.count;
            pam_points += mark.count as f64 * rules.points_failure * share;
        } else {
            let entry = connections.entry((mark.forgeable, mark.connection)).or_insert((Connection::default(), share));
            entry.0.add(mark);
        }
        if share > 0.0 && mark.class <= Class::Key {
            users.extend(mark.user.filter(|_| mark.class != Class::PamFailure));
            invalid_users.extend(mark.user.filter(|_| mark.invalid));
        }
        addresses.insert(mark.host);
    }
    let of = |number: fn(&Connection) -> u64| connections.values().map(|(c, _)| number(c)).sum::<u64>();
    let told = connections.values().map(|(c, share)| c.points(detections) * share).sum::<f64>();
    let more_users = users.len().saturating_sub(1) as f64 * rules.points_another_user;
    let friendly = successes.iter().filter(|ts| within(**ts, now, rules.success_window_seconds)).count() as u64;
    let credit = friendly.min(rules.most_success) as f64 * rules.points_success;
    Score {
        points: (told.max(pam_points) + more_users + credit).max(0.0),
        attempts: of(Connection::attempts).max(pam),
        connections: connections.len() as u64,
        users: users.len() as u64,
        invalid_users: invalid_users.len() as u64,
        disconnects: of(|c| c.disconnects),
        protocol_errors: of(|c| c.protocol_errors),
        successes: friendly,
        addresses: addresses.len() as u64,
    }
}

/// Whether `ts` lies in the window of `seconds` that ends at `now`.
pub fn within(ts: Timestamp, now: Timestamp, seconds: u64) -> bool {
    let age = ts.duration_until(now).as_secs();
    age < i64::try_from(seconds).unwrap_or(i64::MAX) && age > -i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// 1 - e^(-points / scale), to three digits.
pub fn confidence(points: f64, scale: f64) -> f64 {
    rounded(1.0 - (-points.max(0.0) / scale).exp())
}

/// Confidences that do not depend on one another, put together: 1 - (1 - a)(1 - b)…, to three digits.
pub fn together(confidences: &[f64]) -> f64 {
    rounded(1.0 - confidences.iter().map(|c| 1.0 - c).product::<f64>())
}

fn rounded(confidence: f64) -> f64 {
    (confidence * 1000.0).floor() / 1000.0
}

/// Different ports on one host, and different hosts on one port, at most, in the window that ends at `now`; and how many packets.
pub fn reach<'m>(marks: impl Iterator<Item = &'m Mark>, now: Timestamp, seconds: u64) -> (u64, u64, u64) {
    let mut ports: BTreeMap<u64, BTreeSet<u16>> = BTreeMap::new();
    let mut hosts: BTreeMap<u16, BTreeSet<u64>> = BTreeMap::new();
    let mut packets = 0;
    for mark in marks.filter(|mark| within(mark.ts, now, seconds)) {
        ports.entry(mark.host).or_default().insert(mark.port);
        hosts.entry(mark.port).or_default().insert(mark.host);
        packets += mark.count;
    }
    let most = |lengths: Vec<usize>| lengths.into_iter().max().unwrap_or(0) as u64;
    (most(ports.values().map(BTreeSet::len).collect()), most(hosts.values().map(BTreeSet::len).collect()), packets)
}
