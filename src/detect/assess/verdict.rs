//! What is told of a subject, and whether a response may follow without a person.

use super::mark::Mark;
use super::score::{Score, confidence, reach, score, together, within};
use super::sentences;
use super::subject::{Said, Subject, Track};
use crate::detect::detections::Detections;
use crate::packet::AddressSpec;
use crate::record::{Assessment, Id, Response, ResponseAction, Severity, Timestamp, Window, content_id};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most ids of events that an assessment names.
const MOST_EVENTS: usize = 100;

/// One subject and what is known of it from outside its own events.
#[derive(Debug)]
pub struct Case<'c> {
    pub key: IpNet,
    pub detections: &'c Detections,
    /// The lists that name it.
    pub lists: Vec<Arc<str>>,
}

/// What is to be told, before it is known whether it is news.
struct Finding {
    track: Track,
    threat: &'static str,
    level: Severity,
    confidence: f64,
    auto: bool,
    amount: f64,
    /// Seconds that a block lasts; nothing: people are told, nothing is changed.
    ttl: Option<u64>,
    counts: Vec<(&'static str, u64)>,
    evidence: Vec<String>,
    description: String,
}

impl Case<'_> {
    fn is_network(&self) -> bool {
        self.key.prefix_len() < self.key.max_prefix_len()
    }

    fn named(&self) -> String {
        AddressSpec::from(self.key).to_string()
    }

    fn score(&self, subject: &Subject, now: Timestamp) -> Score {
        let factor = self.detections.confidence.forgeable_factor;
        let trust = |mark: &Mark| if mark.forgeable { factor } else { 1.0 };
        let mut score = score(subject.marks.iter(), &subject.successes, now, self.detections, trust);
        if score.points > 0.0 && !self.lists.is_empty() {
            score.points += self.detections.known_bad.points_contact;
        }
        score
    }

    /// Whether what nobody can have forged suffices by itself.
    fn is_proven(&self, subject: &Subject, now: Timestamp) -> bool {
        let rules = &self.detections.confidence;
        let trust = |mark: &Mark| if mark.forgeable { 0.0 } else { 1.0 };
        let score =
            score(subject.marks.iter().filter(|m| !m.forgeable), &subject.successes, now, self.detections, trust);
        let contact = if self.lists.is_empty() { 0.0 } else { self.detections.known_bad.points_contact };
        score.points > 0.0 && confidence(score.points + contact, rules.scale) >= rules.auto
    }

    /// Guessing passwords: by one address, or by the many of one network.
    pub fn guessing(&self, subject: &mut Subject, now: Timestamp) -> Option<Assessment> {
        if subject.is_answered(Track::Guessing, now) && subject.may_wait() {
            return None;
        }
        let score = self.score(subject, now);
        subject.points = score.points;
        let rules = &self.detections.brute_force;
        let few = self.is_network() && score.addresses < self.detections.ipv6_network.threshold;
        if few || score.points < rules.threshold {
            return None;
        }
        let confidence = confidence(score.points, self.detections.confidence.scale);
        let auto = confidence >= self.detections.confidence.auto && self.is_proven(subject, now);
        let sweep = score.invalid_users >= self.detections.invalid_user_sweep.threshold;
        let (from, to) = self.span(subject, now);
        let named = self.named();
        let mut evidence = sentences::guessing(&named, &score, from, to);
        if self.is_network() {
            evidence.push(format!("{} of the network took part", sentences::number(score.addresses, "address")));
        }
        if subject.marks.iter().any(|mark| mark.forgeable) {
            evidence
                .push("some of the lines could have been written by anybody and do not count towards a block".into());
        }
        evidence.extend(self.listed_by());
        let what = match score.attempts {
            0 => "gives connections up before it is authenticated".to_owned(),
            n => {
                let what = if sweep { "tries login names that do not exist" } else { "guesses passwords" };
                format!("{what}: {}", sentences::number(n, "failed login"))
            }
        };
        let finding = Finding {
            track: Track::Guessing,
            threat: if sweep { "invalid_user_sweep" } else { "brute_force" },
            level: self.level(confidence),
            confidence,
            auto,
            amount: score.points,
            ttl: Some(rules.ttl_seconds),
            counts: counts(&score),
            evidence,
            description: format!("{named} {what} {}", sentences::within(from, to)),
        };
        self.tell(subject, now, finding)
    }

    /// Somebody was let in: by itself a sign of good will, after a guessing run an alarm.
    pub fn success(&self, subject: &mut Subject, mark: &Mark) -> Option<Assessment> {
        let score = self.score(subject, mark.ts);
        if self.is_network() || score.points < self.detections.success_after_failures.threshold {
            return None;
        }
        let (from, to) = self.span(subject, mark.ts);
        let named = self.named();
        let mut evidence = sentences::guessing(&named, &score, from, to);
        evidence.push(format!("then a login from {named} succeeded"));
        let finding = Finding {
            track: Track::Success,
            threat: "success_after_failures",
            level: Severity::Critical,
            confidence: confidence(score.points, self.detections.confidence.scale),
            auto: false,
            amount: score.points,
            ttl: None,
            counts: counts(&score),
            evidence,
            description: format!(
                "a login from {named} succeeded after {}: the account may be taken over",
                sentences::number(score.attempts, "failed login")
            ),
        };
        self.tell(subject, mark.ts, finding)
    }

    /// Packets to many ports or hosts, or many packets.
    pub fn packets(&self, subject: &mut Subject, now: Timestamp, packets: u64) -> Vec<Assessment> {
        let findings = [self.scan(subject, now), self.flood(packets)];
        findings.into_iter().flatten().filter_map(|finding| self.tell(subject, now, finding)).collect()
    }

    fn scan(&self, subject: &Subject, now: Timestamp) -> Option<Finding> {
        let rules = &self.detections.port_scan;
        let (ports, hosts, packets) = reach(subject.probes.iter(), now, rules.window_seconds);
        if ports < rules.threshold_ports && hosts < rules.threshold_hosts {
            return None;
        }
        let confidence = confidence(ports.max(hosts) as f64, rules.scale);
        let (named, window) = (self.named(), sentences::span(rules.window_seconds));
        let doors = format!(
            "{} of a host and {} on a port",
            sentences::number(ports, "port"),
            sentences::number(hosts, "host")
        );
        let mut evidence =
            vec![format!("{} from {named} within {window}, to at most {doors}", sentences::number(packets, "packet"))];
        evidence.push("the source address of a packet can be forged".into());
        evidence.extend(self.listed_by());
        Some(Finding {
            track: Track::Scan,
            threat: "port_scan",
            level: self.level(confidence),
            confidence,
            auto: rules.auto && confidence >= self.detections.confidence.auto,
            amount: ports.max(hosts) as f64,
            ttl: Some(rules.ttl_seconds),
            counts: vec![("hosts", hosts), ("packets", packets), ("ports", ports)],
            evidence,
            description: format!("{named} scans: {doors} within {window}"),
        })
    }

    fn flood(&self, packets: u64) -> Option<Finding> {
        let rules = &self.detections.flood;
        if packets < rules.threshold {
            return None;
        }
        let confidence = confidence(packets as f64 / rules.threshold as f64, 1.0);
        let (named, window) = (self.named(), sentences::span(rules.window_seconds));
        Some(Finding {
            track: Track::Flood,
            threat: "flood",
            level: Severity::High,
            confidence,
            auto: rules.auto && confidence >= self.detections.confidence.auto,
            amount: packets as f64,
            ttl: Some(rules.ttl_seconds),
            counts: vec![("packets", packets)],
            evidence: vec![
                format!(
                    "{} from {named} within {window}; {} are told",
                    sentences::number(packets, "packet"),
                    rules.threshold
                ),
                "the source address of a packet can be forged".into(),
            ],
            description: format!("{named} floods: {} within {window}", sentences::number(packets, "packet")),
        })
    }

    /// Sources of several types that agree, where none of them suffices by itself.
    pub fn several(&self, subject: &mut Subject, now: Timestamp) -> Option<Assessment> {
        let kinds = [!subject.marks.is_empty(), !subject.probes.is_empty(), !self.lists.is_empty()];
        if kinds.iter().filter(|there| **there).count() < 2 {
            return None;
        }
        let guessing = self.score(subject, now);
        let (ports, hosts, _) = reach(subject.probes.iter(), now, self.detections.port_scan.window_seconds);
        let listed = if self.lists.is_empty() { 0.0 } else { self.detections.known_bad.confidence };
        // a listing has raised the points of guessing already: here it would count twice
        let own = if self.lists.is_empty() {
            guessing.points
        } else {
            guessing.points - self.detections.known_bad.points_contact
        };
        let parts = [
            ("logs of logins", confidence(own, self.detections.confidence.scale)),
            ("the firewall's log", confidence(ports.max(hosts) as f64, self.detections.port_scan.scale)),
            ("a list of bad addresses", listed),
        ];
        let agreeing: Vec<(&str, f64)> = parts.into_iter().filter(|(_, c)| *c >= 0.2).collect();
        let confidence = together(&agreeing.iter().map(|(_, c)| *c).collect::<Vec<_>>());
        let auto = self.detections.confidence.auto;
        let said = subject.is_answered(Track::Guessing, now);
        if agreeing.len() < 2 || confidence < auto || said || subject.marks.iter().any(|m| m.forgeable) {
            return None;
        }
        let named = self.named();
        let mut evidence: Vec<String> =
            agreeing.iter().map(|(what, c)| format!("{what}: confidence {c} by itself")).collect();
        evidence.extend(self.listed_by());
        let finding = Finding {
            track: Track::Several,
            threat: "multi_source",
            level: self.level(confidence),
            confidence,
            auto: true,
            amount: 1.0,
            ttl: Some(self.detections.brute_force.ttl_seconds),
            counts: vec![("attempts", guessing.attempts), ("hosts", hosts), ("ports", ports)],
            evidence,
            description: format!("{} sources agree on {named}", agreeing.len()),
        };
        self.tell(subject, now, finding)
    }

    fn listed_by(&self) -> Option<String> {
        (!self.lists.is_empty())
            .then(|| format!("{} of bad addresses name it", sentences::number(self.lists.len() as u64, "list")))
    }

    fn level(&self, confidence: f64) -> Severity {
        if confidence >= self.detections.confidence.high { Severity::High } else { Severity::Medium }
    }

    /// When the first and the last mark in the window that ends at `now` were made.
    fn span(&self, subject: &Subject, now: Timestamp) -> (Timestamp, Timestamp) {
        let window = self.detections.brute_force.window_seconds;
        let mut times = subject.marks.iter().map(|mark| mark.ts).filter(|ts| within(*ts, now, window));
        let first = times.next().unwrap_or(now);
        (first, times.next_back().unwrap_or(first).max(first))
    }

    /// The assessment, where it is news.
    fn tell(&self, subject: &mut Subject, now: Timestamp, finding: Finding) -> Option<Assessment> {
        let rest = self.detections.brute_force.window_seconds.max(self.detections.brute_force.ttl_seconds);
        let said = Said {
            ts: now,
            level: finding.level,
            auto: finding.auto,
            amount: finding.amount,
            ttl: finding.ttl.unwrap_or(rest),
        };
        if !subject.is_news(finding.track, said) {
            return None;
        }
        let named = self.named();
        let packets = matches!(finding.track, Track::Scan | Track::Flood);
        let several = finding.track == Track::Several;
        let guessed = subject.marks.iter().filter(|_| !packets || several);
        let probed = subject.probes.iter().filter(|_| packets || several);
        let mut marks: Vec<&Mark> = guessed.chain(probed).filter(|m| within(m.ts, now, rest)).collect();
        marks.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
        let first = marks.first().map_or(now, |mark| mark.ts);
        let sources: BTreeSet<String> =
            marks.iter().map(|m| &m.source).chain(&self.lists).map(|s| s.to_string()).collect();
        let events: Vec<Id> = marks.iter().rev().take(MOST_EVENTS).map(|mark| mark.id.clone()).collect();
        let window = Window { from: first, to: marks.last().map_or(now, |mark| mark.ts.max(now)) };
        let run = subject.run(now, rest, || content_id(first, &[b"run", named.as_bytes()]));
        Some(assessment(AddressSpec::from(self.key), now, run, finding, Some(window), sources, events))
    }
}

fn counts(score: &Score) -> Vec<(&'static str, u64)> {
    let all = [
        ("addresses", if score.addresses > 1 { score.addresses } else { 0 }),
        ("attempts", score.attempts),
        ("connections", score.connections),
        ("disconnects", score.disconnects),
        ("invalid_users", score.invalid_users),
        ("protocol_errors", score.protocol_errors),
        ("successes", score.successes),
        ("users", score.users),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn assessment(
    subject: AddressSpec,
    ts: Timestamp,
    run: Id,
    finding: Finding,
    window: Option<Window>,
    sources: BTreeSet<String>,
    events: Vec<Id>,
) -> Assessment {
    let named = subject.to_string();
    let content = format!("{}/{}/{}/{}", finding.threat, finding.level, finding.auto, finding.amount);
    let action = if finding.ttl.is_some() { ResponseAction::Block } else { ResponseAction::Alert };
    Assessment {
        id: content_id(ts, &[b"assessment", named.as_bytes(), run.as_str().as_bytes(), content.as_bytes()]),
        ts,
        run: Some(run),
        threat: finding.threat.to_owned(),
        threat_level: finding.level,
        confidence: finding.confidence,
        subjects: vec![subject],
        window,
        counts: finding.counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect::<BTreeMap<_, _>>(),
        sources: sources.into_iter().collect(),
        events,
        evidence: finding.evidence,
        description: finding.description,
        response: Some(Response { action, ttl_seconds: finding.ttl, protocol: None, ports: Vec::new() }),
        recommended_prompt: finding
            .ttl
            .map(|ttl| format!("block all traffic from {named} for {}", sentences::span(ttl))),
        auto_actionable: finding.auto,
    }
}

/// What is told of a row of a list by itself.
pub fn listed(detections: &Detections, named: AddressSpec, source: &str, ts: Timestamp, event: &Id) -> Assessment {
    let rules = &detections.known_bad;
    let run = content_id(ts, &[b"run", named.to_string().as_bytes()]);
    let finding = Finding {
        track: Track::Listed,
        threat: "known_bad",
        level: Severity::Medium,
        confidence: rules.confidence,
        auto: rules.auto && rules.confidence >= detections.confidence.auto,
        amount: 1.0,
        ttl: Some(rules.ttl_seconds),
        counts: vec![("lists", 1)],
        evidence: vec!["a list of bad addresses names it; by itself that is no attack".into()],
        description: format!("{named} is on a list of bad addresses"),
    };
    assessment(named, ts, run, finding, None, BTreeSet::from([source.to_owned()]), vec![event.clone()])
}
