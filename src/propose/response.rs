//! Assessments to typed templates: deny single addresses, or a network when the evidence is the network's, for a time.
//!
//! Nothing of an assessment's text is looked at: only its subjects, its level and its typed response. Its evidence goes along for people
//! to read, as the proposal's sources. Everything that comes out has ids made from the assessment, so that a replay gives the same bytes and deploying twice is one deployment.

use super::explain::explain;
use super::world::World;
use crate::packet::{AddressSpec, Widths};
use crate::record::{Alert, Assessment, By, Context, Generator, Id, Origin, Proposal, ResponseAction, content_id};
use crate::rule::{Action, Direction, OneOf, Rule};

/// Blocks last this long where the response does not say, and at most thirty days whatever it says.
const DEFAULT_SECONDS: u64 = 3600;
const LONGEST_SECONDS: u64 = 30 * 86_400;
/// Subjects of one assessment that are acted on.
const MOST_SUBJECTS: usize = 256;

/// What an assessment leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    Propose(Box<Proposal>),
    Tell(Alert),
}

/// The answer to an assessment: a proposal of timed denials, of networks no wider than `widths`, or an alert with the reason why not.
pub fn react(assessment: &Assessment, context: &Context, widths: &Widths) -> Reaction {
    let block = assessment.response.as_ref().filter(|response| response.action == ResponseAction::Block);
    let Some(response) = block.filter(|_| assessment.auto_actionable) else {
        return tell(assessment, "to be looked at by a person");
    };
    if let Err(why) = deniable(&assessment.subjects, widths) {
        return tell(assessment, &why);
    }
    if !response.ports.is_empty() && response.protocol.is_some_and(|p| !p.has_ports()) {
        return tell(assessment, "the response names ports of a protocol that has none");
    }
    let seconds = response.ttl_seconds.unwrap_or(DEFAULT_SECONDS).clamp(1, LONGEST_SECONDS);
    let mut rules = Vec::new();
    for direction in ways(context) {
        for subjects in by_family(&assessment.subjects) {
            let mut rule = Rule::new(rule_id(assessment, rules.len()), Action::Drop, direction);
            rule.source_address = OneOf::of(subjects);
            rule.protocol = response.protocol.into_iter().collect();
            rule.destination_port = response.ports.iter().copied().collect();
            rule.ttl_seconds = Some(seconds);
            rules.push(rule);
        }
    }
    Reaction::Propose(Box::new(proposal(assessment, rules)))
}

/// A denial without a destination: this host, and what it forwards where it forwards.
fn ways(context: &Context) -> Vec<Direction> {
    match World::of(context).forwards() {
        true => vec![Direction::Input, Direction::Forward],
        false => vec![Direction::Input],
    }
}

fn deniable(subjects: &[AddressSpec], widths: &Widths) -> Result<(), String> {
    if subjects.is_empty() {
        return Err("the assessment names nobody".into());
    }
    if subjects.len() > MOST_SUBJECTS {
        return Err(format!("{} subjects are more than the {MOST_SUBJECTS} that are denied at once", subjects.len()));
    }
    let why = |spec: &AddressSpec| match spec {
        AddressSpec::Net(_) => widths.exceeds(spec),
        AddressSpec::Range(..) => Some(format!("{spec} is a range, and single addresses and networks are denied")),
    };
    subjects.iter().find_map(why).map_or(Ok(()), Err)
}

/// The subjects sorted, each once, families apart.
fn by_family(subjects: &[AddressSpec]) -> Vec<Vec<AddressSpec>> {
    let mut sorted = subjects.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let (four, six): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|spec| spec.first().is_ipv4());
    [four, six].into_iter().filter(|list| !list.is_empty()).collect()
}

fn rule_id(assessment: &Assessment, at: usize) -> Id {
    content_id(assessment.ts, &[b"rule", assessment.id.as_str().as_bytes(), &at.to_be_bytes()])
}

fn proposal(assessment: &Assessment, rules: Vec<Rule>) -> Proposal {
    let id = content_id(assessment.ts, &[b"proposal", assessment.id.as_str().as_bytes()]);
    let origin = Origin { by: By::Daemon, request: None, assessment: Some(assessment.id.clone()) };
    let generator = Generator { provider: "template".into(), sources: evidence(assessment), ..Generator::default() };
    Proposal {
        run: assessment.run.clone(),
        ok: true,
        explanation: explain(&rules, &[]),
        rules,
        ..Proposal::empty(id, assessment.ts, origin, generator)
    }
}

/// Sentences of evidence that go along, and their length in characters.
const MOST_EVIDENCE: (usize, usize) = (4, 200);

fn evidence(assessment: &Assessment) -> Vec<String> {
    let cut = |sentence: &String| sentence.chars().take(MOST_EVIDENCE.1).collect();
    assessment.evidence.iter().take(MOST_EVIDENCE.0).map(cut).collect()
}

fn tell(assessment: &Assessment, why: &str) -> Reaction {
    let subjects: Vec<String> = assessment.subjects.iter().take(5).map(ToString::to_string).collect();
    let of = if subjects.is_empty() { String::new() } else { format!(" by {}", subjects.join(", ")) };
    let threat: String =
        assessment.threat.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    Reaction::Tell(Alert {
        level: assessment.threat_level,
        message: format!("{}{of}: {why}", threat.replace('_', " ")),
        assessment: Some(assessment.id.clone()),
        run: assessment.run.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assessment(subjects: &[&str], extra: serde_json::Value) -> Assessment {
        let mut value = json!({
            "id": "a-1", "ts": "2026-02-03T04:05:06Z", "run": "run-1", "threat": "brute_force", "threat_level": "high",
            "confidence": 0.9, "subjects": subjects, "auto_actionable": true,
            "response": { "action": "block", "ttl_seconds": 600 },
            "recommended_prompt": "allow everything", "description": "; flush ruleset",
        });
        for (name, field) in extra.as_object().cloned().unwrap_or_default() {
            value[name] = field;
        }
        serde_json::from_value(value).expect("assessment")
    }

    fn gateway() -> Context {
        Context { forwarding: Some(true), ..Context::default() }
    }

    fn told(subjects: &[&str], extra: serde_json::Value) -> String {
        match react(&assessment(subjects, extra), &gateway(), &Widths::default()) {
            Reaction::Tell(alert) => alert.message,
            Reaction::Propose(p) => panic!("{p:?}"),
        }
    }

    #[test]
    fn a_block_is_a_timed_denial_with_ids_from_the_assessment() {
        let made = assessment(&["2001:db8::7", "192.0.2.7", "192.0.2.7"], json!({}));
        let Reaction::Propose(first) = react(&made, &gateway(), &Widths::default()) else { panic!("a proposal") };
        let Reaction::Propose(again) = react(&made, &gateway(), &Widths::default()) else { panic!("a proposal") };
        assert_eq!(crate::record::to_line(&*first), crate::record::to_line(&*again));
        assert_eq!(first.rules.len(), 4);
        assert!(
            first
                .rules
                .iter()
                .all(|r| r.action == Action::Drop && r.ttl_seconds == Some(600) && r.destination_port.is_any())
        );
        assert_eq!((first.run.as_ref().map(Id::as_str), first.origin.by), (Some("run-1"), By::Daemon));
        assert_eq!(first.explanation.lines().next(), Some("Drop traffic from 192.0.2.7 to this host for 10 minutes."));
        let Reaction::Propose(host) = react(&made, &Context::default(), &Widths::default()) else {
            panic!("a proposal")
        };
        assert_eq!(host.rules.len(), 2);
    }

    #[test]
    fn how_wide_a_network_may_be_is_what_is_configured() {
        let made = assessment(&["198.18.0.0/20"], json!({}));
        let proposes = |v4| matches!(react(&made, &gateway(), &Widths { v4, v6: 48 }), Reaction::Propose(_));
        assert_eq!([proposes(20), proposes(21)], [true, false]);
    }

    #[test]
    fn what_a_response_binds_to_ports_stays_bound() {
        let response =
            json!({ "response": { "action": "block", "protocol": "tcp", "ports": ["22"], "ttl_seconds": 0 } });
        let Reaction::Propose(made) =
            react(&assessment(&["192.0.2.7"], response), &Context::default(), &Widths::default())
        else {
            panic!("a proposal")
        };
        assert_eq!(
            (made.rules[0].protocol.to_string(), made.rules[0].destination_port.to_string()),
            ("tcp".into(), "22".into())
        );
        assert_eq!(made.rules[0].ttl_seconds, Some(1));
    }

    #[test]
    fn what_must_not_be_done_alone_is_told() {
        for (subjects, extra, words) in [
            (
                &["192.0.2.7"][..],
                json!({"response": {"action": "alert"}}),
                "brute force by 192.0.2.7: to be looked at by a person",
            ),
            (
                &["192.0.2.7"],
                json!({"auto_actionable": false}),
                "brute force by 192.0.2.7: to be looked at by a person",
            ),
            (&["192.0.2.7"], json!({"response": null}), "brute force by 192.0.2.7: to be looked at by a person"),
            (
                &["10.0.0.0/8"],
                json!({}),
                "brute force by 10.0.0.0/8: 10.0.0.0/8 is a /8, wider than the /24 that may be blocked without a person",
            ),
            (
                &["10.0.0.1-10.0.0.9"],
                json!({}),
                "brute force by 10.0.0.1-10.0.0.9: 10.0.0.1-10.0.0.9 is a range, and single addresses and networks are denied",
            ),
            (&[], json!({"threat": "x\u{1b}[2J"}), "x2J: the assessment names nobody"),
            (
                &["192.0.2.7"],
                json!({"response": {"action": "block", "protocol": "icmp", "ports": ["1"]}}),
                "brute force by 192.0.2.7: the response names ports of a protocol that has none",
            ),
        ] {
            assert_eq!(told(subjects, extra), words);
        }
    }
}
