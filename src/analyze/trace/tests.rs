//! Ways with their reasons, case by case, and against the evaluator.

use super::*;
use crate::analyze::tests::{packets, ruleset};
use crate::packet::{Ranges, Wide};
use crate::rule::evaluate::evaluate;
use crate::rule::ruleset::{Base, Chain, ChainKind, Hook, Line, Table, TableFamily, Unread};
use crate::rule::{Landing, Translation};
use proptest::prelude::*;

pub(in crate::analyze) fn line(text: &str, conditions: Vec<Condition>, verdict: Verdict) -> Line {
    let outcome = Does::Verdict(verdict);
    Line { handle: None, comment: None, text: text.to_owned(), conditions, alters: Vec::new(), outcome }
}

fn port(port: u16) -> Condition {
    Condition::Wide(Wide::DestinationPort, Ranges::single(port.into()))
}

fn chance(text: &str) -> Condition {
    Condition::Chance(text.to_owned())
}

fn unread(text: &str) -> Condition {
    Condition::Unread(Unread { text: text.to_owned(), field: Some(text.to_owned()) })
}

/// One chain at the input hook that drops what its rules leave over.
pub(in crate::analyze) fn closed(lines: Vec<Line>) -> Ruleset {
    let base = Base { kind: ChainKind::Filter, hook: Hook::Input, priority: 0, drops: true, devices: Vec::new() };
    let chain = Chain { name: "c".to_owned(), handle: None, base: Some(base), lines };
    let (name, chains) = ("t".to_owned(), vec![chain]);
    let table = Table { family: TableFamily::Inet, name, dormant: false, chains, sets: Vec::new() };
    Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() }
}

fn answer(lines: Vec<Line>) -> Answer {
    let packet = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn".parse().expect("a packet");
    trace(&closed(lines), &packet, Detail::Short, Budget::default()).expect("no circles")
}

fn ends(answer: &Answer) -> Vec<(&str, usize)> {
    answer.outcomes.iter().map(|o| (o.verdict.as_str(), o.when.len())).collect()
}

#[test]
fn what_decides_and_what_nearly_did_is_told() {
    let found = answer(vec![
        line("a", vec![port(80)], Verdict::Drop),
        line("b", vec![port(80), Condition::Wide(Wide::Source, Ranges::one(0, u128::MAX))], Verdict::Drop),
        line("c", vec![port(22)], Verdict::Accept),
    ]);
    assert_eq!((found.text.as_str(), found.verdict.as_deref()), ("accepted by inet t c rule 3: c", Some("accept")));
    let why: Vec<_> = found.path.iter().map(|s| (s.place.text.as_str(), s.matched, s.why.as_str())).collect();
    assert_eq!(
        why,
        [
            ("", true, "filter hook input priority 0 policy drop"),
            ("b", false, "destination port 22 is not 80"),
            ("", false, "1 other rule does not match"),
            ("c", true, "matches destination port 22"),
        ]
    );
}

#[test]
fn a_limit_makes_the_answer_unknown_and_names_both_ends() {
    let limited = vec![port(22), chance("limit rate 5/second")];
    let found = answer(vec![line("a", limited, Verdict::Accept)]);
    let words = "accepted by inet t c rule 1: a, unless `limit rate 5/second` (inet t c rule 1) does not hold";
    assert_eq!((found.text.as_str(), found.verdict.as_deref()), (words, Some("unknown")));
    assert_eq!(ends(&found), [("accept", 1), ("drop", 1)]);
    // Ordinarily nothing is over a limit.
    let over = vec![chance("limit rate over 5/second")];
    let found = answer(vec![line("a", over, Verdict::Drop), line("b", vec![], Verdict::Accept)]);
    assert!(found.text.starts_with("accepted by inet t c rule 2: b, unless `limit rate over 5/second`"), "{found:?}");
}

#[test]
fn what_does_not_matter_is_not_asked_about() {
    // Both ends are the same, the limit only logs, the other conditions fail anyhow.
    let log = Line { outcome: Does::Next, ..line("log", vec![chance("limit rate 5/second")], Verdict::Accept) };
    let elsewhere = line("x", vec![chance("limit rate 5/second"), port(80)], Verdict::Drop);
    let found = answer(vec![log, elsewhere, line("a", vec![port(22)], Verdict::Accept)]);
    assert_eq!((found.verdict.as_deref(), found.outcomes.len()), (Some("accept"), 0));
    let both = answer(vec![line("a", vec![chance("y")], Verdict::Drop), line("b", vec![], Verdict::Drop)]);
    assert_eq!(both.verdict.as_deref(), Some("drop"));
    assert_eq!(both.text, "dropped by inet t c rule 2: b, by another rule where `y` (inet t c rule 1) holds");
}

#[test]
fn the_same_unread_test_has_the_same_answer() {
    let found = answer(vec![
        line("a", vec![unread("ip ttl 1")], Verdict::Return),
        line("b", vec![unread("ip ttl 1")], Verdict::Accept),
    ]);
    assert_eq!(found.verdict.as_deref(), Some("drop"), "{found:?}");
    let other = answer(vec![
        line("a", vec![unread("ip ttl 1")], Verdict::Return),
        line("b", vec![unread("ip ttl 2")], Verdict::Accept),
    ]);
    assert_eq!(other.verdict.as_deref(), Some("unknown"));
}

#[test]
fn many_doubts_end_by_the_budget() {
    let lines: Vec<_> = (0..30).map(|n| line("j", vec![chance(&n.to_string())], Verdict::Jump("c".into()))).collect();
    let base = Base { kind: ChainKind::Filter, hook: Hook::Input, priority: 0, drops: true, devices: Vec::new() };
    let main = Chain { name: "m".to_owned(), handle: None, base: Some(base), lines };
    let leaf = Chain { name: "c".to_owned(), handle: None, base: None, lines: Vec::new() };
    let (name, chains) = ("t".to_owned(), vec![main, leaf]);
    let table = Table { family: TableFamily::Inet, name, dormant: false, chains, sets: Vec::new() };
    let ruleset = Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() };
    let packet = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn".parse().expect("a packet");
    let found = trace(&ruleset, &packet, Detail::Short, Budget { steps: 50 }).expect("no circles");
    assert_eq!(found.verdict.as_deref(), Some("unknown"));
    assert_eq!(found.evidence, ["undecided after 50 ways that what is not known may take (--steps N allows more)"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_trace_ends_like_the_evaluator(ruleset in ruleset()) {
        for packet in packets().iter().step_by(7) {
            let told = trace(&ruleset, packet, Detail::Short, Budget::default()).expect("no circles");
            let plain = evaluate(&ruleset, packet, &mut |_, _| false).expect("no circles");
            prop_assert_eq!(told.verdict.as_deref(), Some(plain.fate.as_str()));
            prop_assert_eq!(told.by, by(&ruleset, plain.by));
            let matched = told.path.iter().filter(|s| s.matched && s.place.index.is_some()).count();
            prop_assert_eq!(matched, plain.passed.len());
        }
    }
}

#[test]
fn a_translated_packet_goes_on_with_its_new_destination() {
    let to = Translation {
        text: "dnat to 10.0.0.5:2222".to_owned(),
        address: Landing::To(0x0a00_0005),
        port: Landing::To(2222),
    };
    let mut ruleset = closed(vec![line("new", vec![port(2222)], Verdict::Accept)]);
    let base = Base { kind: ChainKind::Nat, hook: Hook::Prerouting, priority: -100, drops: false, devices: Vec::new() };
    let lines = vec![line("to", vec![port(22)], Verdict::Translate(to))];
    ruleset.tables[0].chains.push(Chain { name: "n".to_owned(), handle: None, base: Some(base), lines });
    let packet = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn".parse().expect("a packet");
    let found = trace(&ruleset, &packet, Detail::Short, Budget::default()).expect("no circles");
    assert_eq!(found.verdict.as_deref(), Some("accept"));
    let why = |text: &str| found.path.iter().find(|s| s.place.text == text).map(|s| s.why.as_str());
    assert_eq!(why("to"), Some("matches destination port 22; it goes on to 10.0.0.5:2222"));
    assert_eq!(why("new"), Some("matches destination port 2222"));
}
