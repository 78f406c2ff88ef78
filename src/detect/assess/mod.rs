//! Events become assessments: windows of event time per address (and per IPv6 /64), in bounded memory.
//!
//! Events are put in order of their time within the lateness bound before they are looked at, so their order of arrival does
//! not matter; when nothing more is there at the moment, all of them are looked at. An attack is told when it crosses its
//! threshold, and again when it becomes actionable, when its level rises, when it has grown fourfold, and when the response
//! to it has ended; `run` is the same each time. No clock: time is that of the events.

mod listing;
mod mark;
mod score;
mod sentences;
mod subject;
mod verdict;

use super::detections::Detections;
use crate::packet::AddressSpec;
use crate::record::{Assessment, Event, Id, Timestamp};
use ipnet::{IpNet, Ipv6Net};
use listing::Listing;
use mark::{Class, Mark};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use subject::Subject;

/// Events that wait for their turn, at most.
const MOST_WAITING: usize = 65_536;

/// Processes whose peer is remembered, at most, and for how many seconds.
const MOST_PROCESSES: usize = 16_384;
const PROCESS_SECONDS: u64 = 120;

/// Sources that are told apart, at most.
const MOST_SOURCES: usize = 1024;

/// The order in which events are looked at: by time, and where that is the same by what is the same in every order of arrival.
type Turn = (Timestamp, Arc<str>, u64, Id);

/// What became of the events, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub events: u64,
    pub repeated: u64,
    /// Subjects that were forgotten because there were too many.
    pub forgotten: u64,
}

/// Keeps subjects in mind and tells what is worth telling.
#[derive(Debug)]
pub struct Assessor {
    detections: Detections,
    subjects: HashMap<IpNet, Subject>,
    listing: Listing,
    waiting: BTreeMap<Turn, (IpAddr, Mark)>,
    newest: Option<Timestamp>,
    known: HashSet<u64>,
    known_order: VecDeque<u64>,
    sources: HashMap<String, Arc<str>>,
    /// Which address a process spoke with, and when.
    processes: HashMap<u64, (IpAddr, Timestamp)>,
    figures: Figures,
}

impl Assessor {
    /// An assessor that has seen nothing.
    pub fn new(detections: Detections) -> Self {
        let listing = Listing::new(detections.known_bad.max_listed);
        Self {
            detections,
            subjects: HashMap::new(),
            listing,
            waiting: BTreeMap::new(),
            newest: None,
            known: HashSet::new(),
            known_order: VecDeque::new(),
            sources: HashMap::new(),
            processes: HashMap::new(),
            figures: Figures::default(),
        }
    }

    /// What became of the events so far.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Takes an event, and tells what follows from those whose turn has come.
    pub fn observe(&mut self, event: &Event) -> Vec<Assessment> {
        self.figures.events += 1;
        if self.is_known(&event.id) {
            self.figures.repeated += 1;
            return Vec::new();
        }
        let source = self.source(&event.source);
        if event.event_type == "known_bad_ip" {
            return self.listed(event, source);
        }
        let Some((ip, mark)) = Mark::of(event, source) else {
            return Vec::new();
        };
        if !is_subject(ip) {
            return Vec::new();
        }
        let offset = event.attributes.get("offset").and_then(serde_json::Value::as_u64).unwrap_or(0);
        self.newest = self.newest.max(Some(mark.ts));
        self.waiting.insert((mark.ts, mark.source.clone(), offset, mark.id.clone()), (ip, mark));
        self.due()
    }

    /// Tells what follows from everything that waits: nothing more is there at the moment.
    pub fn idle(&mut self) -> Vec<Assessment> {
        let mut told = Vec::new();
        while let Some((_, (ip, mark))) = self.waiting.pop_first() {
            self.look(ip, mark, &mut told);
        }
        told
    }

    /// Those whose turn has come: nothing older is to be expected any more.
    fn due(&mut self) -> Vec<Assessment> {
        let late = i64::try_from(self.detections.stream.lateness_seconds).unwrap_or(i64::MAX);
        let mut told = Vec::new();
        while let Some((turn, _)) = self.waiting.first_key_value() {
            let waited = self.newest.is_some_and(|newest| turn.0.duration_until(newest).as_secs() > late);
            if !waited && self.waiting.len() <= MOST_WAITING {
                break;
            }
            if let Some((_, (ip, mark))) = self.waiting.pop_first() {
                self.look(ip, mark, &mut told);
            }
        }
        told
    }

    fn is_known(&mut self, id: &Id) -> bool {
        let digest = mark::digest(id);
        if !self.known.insert(digest) {
            return true;
        }
        self.known_order.push_back(digest);
        let full = self.known_order.len() as u64 > self.detections.stream.duplicate_memory.max(1);
        if full && let Some(oldest) = self.known_order.pop_front() {
            self.known.remove(&oldest);
        }
        false
    }

    fn source(&mut self, label: &str) -> Arc<str> {
        if let Some(source) = self.sources.get(label) {
            return source.clone();
        }
        let source: Arc<str> = if self.sources.len() < MOST_SOURCES { label.into() } else { "others".into() };
        if self.sources.len() < MOST_SOURCES {
            self.sources.insert(label.to_owned(), source.clone());
        }
        source
    }

    /// Looks at one mark: as its address's, and as its IPv6 network's.
    fn look(&mut self, ip: IpAddr, mut mark: Mark, told: &mut Vec<Assessment>) {
        self.contest(ip, &mut mark);
        if let IpAddr::V6(v6) = ip
            && mark.class != Class::Probe
            && let Ok(net) = Ipv6Net::new(v6, 64)
        {
            let of_net = Mark { host: mark::digest(&v6), ..mark.clone() };
            self.weigh(IpNet::V6(net.trunc()), of_net, told);
        }
        self.weigh(IpNet::from(ip), mark, told);
    }

    fn weigh(&mut self, key: IpNet, mark: Mark, told: &mut Vec<Assessment>) {
        self.make_room();
        let most = usize::try_from(self.detections.stream.max_events_per_subject).unwrap_or(usize::MAX);
        let (class, ts, count) = (mark.class, mark.ts, mark.count);
        let subject = self.subjects.entry(key).or_default();
        let packets = match class {
            Class::Probe => subject.count(ts, count, self.detections.flood.window_seconds),
            _ => 0,
        };
        // what a success says depends on what was before it
        let case = verdict::Case { key, detections: &self.detections, lists: self.listing.naming(key) };
        if class == Class::Success {
            told.extend(case.success(subject, &mark));
        }
        subject.add(mark, most);
        match class {
            Class::Success | Class::Listed => {}
            Class::Probe => told.extend(case.packets(subject, ts, packets)),
            _ => told.extend(case.guessing(subject, ts)),
        }
        if key.prefix_len() == key.max_prefix_len() {
            told.extend(case.several(subject, ts));
        }
    }

    /// One process of a server speaks with one peer. Where it is said to speak with two, the login name of one forged the other's
    /// line, and both count as forgeable.
    fn contest(&mut self, ip: IpAddr, mark: &mut Mark) {
        if !mark.by_process {
            return;
        }
        if self.processes.len() >= MOST_PROCESSES {
            let now = mark.ts;
            self.processes.retain(|_, (_, ts)| score::within(*ts, now, PROCESS_SECONDS));
            if self.processes.len() >= MOST_PROCESSES {
                self.processes.clear();
            }
        }
        let (other, ts) = *self.processes.entry(mark.connection).or_insert((ip, mark.ts));
        if other != ip && score::within(ts, mark.ts, PROCESS_SECONDS) {
            mark.forgeable = true;
            let nets = [Some(IpNet::from(other)), network(other)];
            for subject in nets.into_iter().flatten() {
                let marks = self.subjects.get_mut(&subject).into_iter().flat_map(|s| s.marks.iter_mut());
                marks.filter(|old| old.connection == mark.connection).for_each(|old| old.forgeable = true);
            }
        } else {
            self.processes.insert(mark.connection, (ip, mark.ts));
        }
    }

    /// Forgets the least suspicious tenth when there are too many.
    fn make_room(&mut self) {
        let most = usize::try_from(self.detections.stream.max_subjects).unwrap_or(usize::MAX);
        if self.subjects.len() < most {
            return;
        }
        let mut order: Vec<(u64, Option<Timestamp>, IpNet)> =
            self.subjects.iter().map(|(key, s)| ((s.points * 1000.0) as u64, s.last, *key)).collect();
        order.sort_unstable();
        for (_, _, key) in &order[..(most / 10).max(1)] {
            self.subjects.remove(key);
            self.figures.forgotten += 1;
        }
        self.subjects.shrink_to(most);
    }

    /// A row of a list: kept in mind, and told once.
    fn listed(&mut self, event: &Event, source: Arc<str>) -> Vec<Assessment> {
        let network = event.attributes.get("network").and_then(serde_json::Value::as_str);
        let named = match (event.source_ip, network) {
            (Some(ip), _) => Some(AddressSpec::single(ip)),
            (None, Some(text)) => text.parse().ok(),
            (None, None) => None,
        };
        match named {
            Some(named) if self.listing.add(named, source.clone()) => {
                vec![verdict::listed(&self.detections, named, &source, event.ts, &event.id)]
            }
            _ => Vec::new(),
        }
    }
}

fn network(ip: IpAddr) -> Option<IpNet> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Ipv6Net::new(v6, 64).ok().map(|net| IpNet::V6(net.trunc())),
    }
}

/// Whether an address can be somebody: not this host, nobody, everybody.
fn is_subject(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests;
