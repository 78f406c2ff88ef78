//! The algebra against the plain evaluator: random small rulesets, packets aimed at the corners of what rules name.

use super::audit::{Budget, audit};
use super::cells::Atoms;
use super::fate::{Part, fates};
use super::program::{Act, lay_out, lay_out_coming};
use super::search::{Limits, Reach, reach};
use crate::packet::{Bits, Cell, Narrow, Protocol, Ranges, Wide};
use crate::record::FindingType;
use crate::rule::evaluate::{By, evaluate};
use crate::rule::ruleset::{
    Alteration, At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict,
    name_number,
};
use crate::rule::way::Changes;
use crate::rule::{ConnectionState, Direction, Landing, Packet, Translation};
use proptest::prelude::*;
use std::ops::ControlFlow;

fn condition() -> impl Strategy<Value = Condition> {
    let port = (0u128..4, 0u128..4).prop_map(|(a, b)| Ranges::one(a.min(b), a.max(b)));
    let address = (0u128..4, 0u128..4).prop_map(|(a, b)| Ranges::one(a.min(b), a.max(b)));
    prop_oneof![
        port.clone().prop_map(|r| Condition::Wide(Wide::DestinationPort, r)),
        port.prop_map(|r| Condition::Wide(Wide::DestinationPort, Wide::DestinationPort.all().minus(&r))),
        address.clone().prop_map(|r| Condition::Wide(Wide::Source, r)),
        address.prop_map(|r| Condition::Wide(Wide::Destination, r)),
        Just(Condition::Wide(Wide::InInterface, Ranges::single(name_number("a")))),
        Just(Condition::Wide(Wide::OutInterface, Ranges::single(0))),
        (0u8..5, 0u8..5).prop_map(|(a, b)| Condition::Narrow(Narrow::State, Bits::single(a).with(b))),
        prop_oneof![Just(6u8), Just(17)].prop_map(|p| Condition::Narrow(Narrow::Protocol, Bits::single(p))),
        (0u8..2).prop_map(|f| Condition::Narrow(Narrow::Family, Bits::single(f))),
        (0u128..3, 0u128..3).prop_map(|(a, b)| Condition::AnyOf(vec![
            Cell::all().with_wide(Wide::Source, Ranges::single(a)).with_wide(Wide::DestinationPort, Ranges::single(b)),
            Cell::all().with_wide(Wide::Source, Ranges::single(b)),
        ])),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Accept),
        3 => Just(Verdict::Drop),
        1 => Just(Verdict::Return),
        1 => Just(Verdict::Jump("s1".to_owned())),
        1 => Just(Verdict::Goto("s1".to_owned())),
        1 => Just(Verdict::Jump("s2".to_owned())),
        1 => Just(Verdict::Continue),
    ]
}

/// `level` keeps jumps from going in circles: s1 may use s2, s2 nothing.
fn lines(level: u8) -> impl Strategy<Value = Vec<Line>> {
    let line = (proptest::collection::vec(condition(), 0..3), verdict()).prop_map(move |(conditions, verdict)| {
        let verdict = match verdict {
            Verdict::Jump(name) | Verdict::Goto(name) if level == 2 || level == 1 && name == "s1" => Verdict::Accept,
            verdict => verdict,
        };
        let outcome = Outcome::Verdict(verdict);
        Line { handle: None, comment: None, text: String::new(), conditions, alters: Vec::new(), outcome }
    });
    proptest::collection::vec(line, 0..5)
}

fn chain(name: &str, base: Option<(Hook, i64, bool)>, lines: Vec<Line>) -> Chain {
    let base = base.map(|(hook, priority, drops)| Base {
        kind: ChainKind::Filter,
        hook,
        priority,
        drops,
        devices: Vec::new(),
    });
    Chain { name: name.to_owned(), handle: None, base, lines }
}

pub(super) fn ruleset() -> impl Strategy<Value = Ruleset> {
    (lines(0), lines(0), lines(0), lines(1), lines(2), any::<[bool; 3]>()).prop_map(
        |(pre, early, late, s1, s2, drops)| {
            let chains = vec![
                chain("pre", Some((Hook::Prerouting, -150, drops[0])), pre),
                chain("early", Some((Hook::Input, -10, drops[1])), early),
                chain("late", Some((Hook::Input, 0, drops[2])), late),
                chain("s1", None, s1),
                chain("s2", None, s2),
            ];
            let table =
                Table { family: TableFamily::Inet, name: "t".to_owned(), dormant: false, chains, sets: Vec::new() };
            Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() }
        },
    )
}

/// With rules that translate where packets go, to one place each or to several.
fn translating() -> impl Strategy<Value = Ruleset> {
    let known = (0u128..4).prop_map(Landing::To);
    translating_to(prop_oneof![Just(Landing::Kept), known, Just(Landing::Open)])
}

/// With rules that translate where packets go, to one place each.
pub(super) fn turning() -> impl Strategy<Value = Ruleset> {
    translating_to(prop_oneof![Just(Landing::Kept), (0u128..4).prop_map(Landing::To)])
}

fn translating_to(landing: impl Strategy<Value = Landing> + Clone) -> impl Strategy<Value = Ruleset> {
    let landing = || landing.clone();
    let to = (landing(), landing()).prop_map(|(address, port)| Translation { text: "dnat".to_owned(), address, port });
    let verdict = prop_oneof![
        4 => to.prop_map(Verdict::Translate),
        1 => Just(Verdict::Accept),
        1 => Just(Verdict::Return),
        1 => Just(Verdict::Jump("s1".to_owned())),
    ];
    let line = (proptest::collection::vec(condition(), 0..3), verdict).prop_map(|(conditions, verdict)| Line {
        handle: None,
        comment: None,
        text: String::new(),
        conditions,
        alters: Vec::new(),
        outcome: Outcome::Verdict(verdict),
    });
    (ruleset(), proptest::collection::vec(line, 1..5), -110i64..-90).prop_map(|(mut ruleset, lines, priority)| {
        let mut nat = chain("nat", Some((Hook::Prerouting, priority, false)), lines);
        nat.base.iter_mut().for_each(|base| base.kind = ChainKind::Nat);
        ruleset.tables[0].chains.push(nat);
        ruleset
    })
}

/// Rules that set marks and rules that ask for them, put into a ruleset.
pub(super) fn marked() -> impl Strategy<Value = Ruleset> {
    let put = (0usize..5, 0usize..4, any::<bool>(), 0u32..2, any::<bool>(), 0u128..3);
    (ruleset(), proptest::collection::vec(put, 0..5)).prop_map(|(mut ruleset, puts)| {
        for (chain, at, sets, mark, drops, port) in puts {
            let lines = &mut ruleset.tables[0].chains[chain].lines;
            let some = Condition::Wide(Wide::DestinationPort, Ranges::one(port, port + 1));
            let asked = Condition::Wide(Wide::Mark, Ranges::single(mark.into()));
            let (conditions, outcome) = match (sets, drops) {
                (true, _) => (vec![some], Outcome::Next),
                (_, true) => (vec![asked], Outcome::Verdict(Verdict::Drop)),
                (_, false) => (vec![some, asked], Outcome::Verdict(Verdict::Accept)),
            };
            let alters = sets.then_some(Alteration::Mark(mark)).into_iter().collect();
            let new = Line { handle: None, comment: None, text: String::new(), conditions, alters, outcome };
            lines.insert(at.min(lines.len()), new);
        }
        ruleset
    })
}

pub(super) fn packets() -> Vec<Packet> {
    let mut all = Vec::new();
    for (name, state) in [
        ("a", ConnectionState::New),
        ("b", ConnectionState::Established),
        ("a", ConnectionState::Invalid),
        ("lo", ConnectionState::New),
    ] {
        for protocol in [6, 17] {
            for (source, destination, port) in (0..36).map(|n| (n % 4, n / 4 % 3, n % 5)) {
                for family in 0..2 {
                    all.push(Packet {
                        interface_in: Some(name.to_owned()),
                        tcp_flags: 2,
                        state,
                        ..Packet::between(
                            Direction::Input,
                            (crate::rule::address_of(family, source), 1).into(),
                            (crate::rule::address_of(family, destination), u16::try_from(port).expect("small")).into(),
                            Protocol(protocol),
                        )
                    });
                }
            }
        }
    }
    all
}

/// A ruleset with some rules that do nothing.
fn without(ruleset: &Ruleset, rules: &[At]) -> Ruleset {
    let mut less = ruleset.clone();
    for at in rules {
        less.tables[at.table].chains[at.chain].lines[at.line].outcome = Outcome::Next;
    }
    less
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fates_are_those_of_the_evaluator(ruleset in ruleset()) {
        let program = lay_out(&ruleset, Direction::Input, &mut Atoms::default()).expect("no circles");
        let mut parts = Vec::new();
        fates(&program, &[Cell::all()], 0, 100_000, &mut |part| {
            parts.push(part);
            ControlFlow::Continue(())
        }).expect("small");
        for packet in packets() {
            let trace = evaluate(&ruleset, &packet, &mut |_, _| false).expect("no circles");
            let mine: Vec<_> = parts.iter().filter(|part| packet.is_in(&part.cell)).collect();
            prop_assert_eq!(mine.len(), 1, "{} is in one part", packet);
            prop_assert_eq!(mine[0].passes, trace.fate.passes(), "{}", packet);
            if !trace.fate.passes() {
                prop_assert_eq!(mine[0].by.map(|n| program.steps[n].by), Some(trace.by), "{}", packet);
            }
        }
    }

    /// Of packets that begin a connection or belong to none, which are described as they come.
    #[test]
    fn translated_packets_have_the_fates_of_the_evaluator(ruleset in translating()) {
        let chains: Vec<_> = [Hook::Prerouting, Hook::Input].iter().flat_map(|hook| ruleset.at_hook(*hook)).collect();
        let states = Bits::single(ConnectionState::New as u8).with(ConnectionState::Invalid as u8);
        let start = Cell::all().with_narrow(Narrow::State, states);
        let program = lay_out_coming(&ruleset, &chains, &start, &mut Atoms::default()).expect("no circles");
        let open = ruleset.lines().any(|(_, line)| match &line.outcome {
            Outcome::Verdict(Verdict::Translate(to)) => to.landing().is_open(),
            _ => false,
        });
        let mut parts = Vec::new();
        fates(&program, &[start], 0, 400_000, &mut |part| {
            parts.push(part);
            ControlFlow::Continue(())
        }).expect("small");
        for packet in packets().into_iter().filter(|packet| packet.state != ConnectionState::Established) {
            let mut asked = false;
            let ends: Vec<_> = [false, true].iter().map(|luck| {
                let mut answer = |_, _: &str| { asked = true; *luck };
                evaluate(&ruleset, &packet, &mut answer).expect("no circles")
            }).collect();
            let mine: Vec<_> = parts.iter().filter(|part| packet.is_in(&part.cell)).collect();
            for trace in &ends {
                let is = |part: &&&Part| part.passes == trace.fate.passes();
                prop_assert!(mine.iter().any(|part| is(&part)), "{}: {:?}", packet, trace);
            }
            if !asked && mine.len() == 1 {
                let by = (!mine[0].passes).then(|| mine[0].by.map(|n| program.steps[n].by));
                prop_assert!(by.is_none_or(|by| by == Some(ends[0].by)), "{}", packet);
            }
            prop_assert!(open || asked || mine.len() == 1, "{} is in {} parts", packet, mine.len());
        }
        prop_assert!(program.steps.iter().all(|s| s.act.target() != Some(usize::MAX)));
    }

    #[test]
    fn what_an_audit_says_holds(ruleset in prop_oneof![ruleset(), translating()]) {
        let findings = audit(&ruleset, Budget { steps: 100_000 });
        // Of a connection that is there nobody knows whether it is one that is translated.
        let known = |packet: &Packet| packet.state != ConnectionState::Established || !Changes::of(&ruleset).translates();
        let packets: Vec<_> = packets().into_iter().step_by(3).filter(known).collect();
        let fates = |ruleset: &Ruleset| -> Vec<_> {
            packets.iter().map(|p| evaluate(ruleset, p, &mut |_, _| false).expect("no circles").fate).collect()
        };
        let traces: Vec<_> = packets.iter().map(|p| evaluate(&ruleset, p, &mut |_, _| false).expect("no circles")).collect();
        let before = fates(&ruleset);
        let mut together = Vec::new();
        for finding in &findings {
            let rule = finding.rule.as_ref().expect("each is of a rule");
            let chain = ruleset.tables[0].chains.iter().position(|c| Some(&c.name) == rule.chain.as_ref()).expect("a chain");
            let at = At { table: 0, chain, line: rule.index.expect("a rule") };
            if finding.dead {
                prop_assert!(traces.iter().all(|trace| !trace.passed.contains(&at)), "{:?} is dead", at);
            }
            if finding.kind == FindingType::Redundant {
                prop_assert_eq!(&fates(&without(&ruleset, &[at])), &before, "without {:?}", at);
            }
            if finding.together {
                together.push(at);
            }
            if let Some(witness) = &finding.witness {
                let packet: Packet = witness.packet.parse().expect("a packet");
                let fate = evaluate(&ruleset, &packet, &mut |_, _| false).expect("no circles").fate;
                prop_assert!(witness.verdict.starts_with(fate.as_str()), "{:?}", finding);
            }
        }
        prop_assert_eq!(&fates(&without(&ruleset, &together)), &before, "without {:?}", together);
    }

    #[test]
    fn reach_is_that_of_the_evaluator(ruleset in ruleset()) {
        let program = lay_out(&ruleset, Direction::Input, &mut Atoms::default()).expect("no circles");
        let limits = Limits { budget: 100_000, pieces: usize::MAX };
        let mut open: std::collections::HashMap<At, Vec<Cell>> = std::collections::HashMap::new();
        for (n, step) in program.steps.iter().enumerate() {
            if let (By::Line(at), Reach::Open(cells)) = (step.by, reach(&program, std::slice::from_ref(&step.cell), n, limits)) {
                open.entry(at).or_default().extend(cells);
            }
        }
        for packet in packets() {
            let trace = evaluate(&ruleset, &packet, &mut |_, _| false).expect("no circles");
            for (at, _) in ruleset.lines() {
                let comes = open.get(&at).is_some_and(|cells| cells.iter().any(|cell| packet.is_in(cell)));
                prop_assert_eq!(comes, trace.passed.contains(&at), "{} at {:?}", packet, at);
            }
        }
        prop_assert!(program.steps.iter().all(|s| s.act != Act::Accept(usize::MAX)));
    }
}
