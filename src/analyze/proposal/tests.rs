//! What is said of a change against the plain evaluator: exactly the packets whose fate differs are named.

use super::{Against, Fine};
use crate::analyze::tests::{marked, packets, ruleset, turning};
use crate::analyze::{Budget, with_rules};
use crate::packet::Cell;
use crate::packet::{Narrow, Ranges, Wide};
use crate::record::{Change, ChangeOp, Conflict, ConflictType, PacketClass};
use crate::rule::evaluate::evaluate;
use crate::rule::ruleset::{
    Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict, name_number,
};
use crate::rule::{ConnectionState, Packet, Rule};
use proptest::prelude::*;
use std::borrow::Cow;

/// Everything part by part, and everything as a whole.
const FULL: Fine = Fine { weight: usize::MAX, parts: 4096 };
const WHOLE: Fine = Fine { weight: 0, parts: 0 };

/// A rule over the small world of [`packets`].
fn rule(id: &'static str) -> impl Strategy<Value = Rule> {
    let action = prop_oneof![Just("accept"), Just("drop")];
    let source = prop_oneof![Just(""), Just("0.0.0.1-0.0.0.2"), Just("::1,0.0.0.3"), Just("!0.0.0.1,::2")];
    let port = prop_oneof![Just(""), Just("1-2"), Just("!0"), Just("3")];
    let state = prop_oneof![Just(""), Just("new"), Just("!invalid")];
    let position = prop_oneof![Just("auto"), Just("first")];
    (action, source, port, state, position).prop_map(move |(action, source, port, state, position)| {
        let mut line = format!("{id} {action} input");
        for (name, value) in [("source_address", source), ("destination_port", port), ("connection_state", state)] {
            if !value.is_empty() {
                line.push_str(&format!(" {name}={value}"));
            }
        }
        Rule::from_line(&format!("{line} protocol=tcp,udp position={position}")).expect("a rule")
    })
}

fn passes(ruleset: &Ruleset, packet: &Packet) -> bool {
    evaluate(ruleset, packet, &mut |_, _| false).expect("no circle").fate.passes()
}

/// Holds what is said of a change against both rulesets, packet by packet.
fn holds(live: &Ruleset, after: &Ruleset, rules: &[Rule], changes: &[Change]) -> Result<(), TestCaseError> {
    let found = Against::new(Cow::Borrowed(live)).find_as(rules, changes, Budget { steps: 1_000_000 }, FULL);
    let (dropped, accepted) = found.changed.cells();
    for packet in packets() {
        let is_in = |cells: &[Cell]| cells.iter().any(|cell| packet.is_in(cell));
        let (was, is) = (passes(live, &packet), passes(after, &packet));
        prop_assert_eq!((is_in(&dropped), is_in(&accepted)), (was && !is, !was && is), "{}", packet);
    }
    holds_wide(live, after, rules, changes)
}

/// Holds what is said of whole sets, as where very many rules are on the way, against both rulesets: something is said of every packet
/// whose fate differs, each example is such a packet, and nothing is said where there is none.
fn holds_wide(live: &Ruleset, after: &Ruleset, rules: &[Rule], changes: &[Change]) -> Result<(), TestCaseError> {
    let found = Against::new(Cow::Borrowed(live)).find_as(rules, changes, Budget { steps: 1_000_000 }, WHOLE);
    let (dropped, accepted) = found.changed.cells();
    let effect = found.changed.effect(&found.atoms);
    let rest = |classes: &[PacketClass]| classes.iter().any(|class| class.example.is_none());
    let (more_dropped, more_accepted) = (rest(&effect.newly_dropped), rest(&effect.newly_accepted));
    for packet in packets() {
        let is_in = |cells: &[Cell]| cells.iter().any(|cell| packet.is_in(cell));
        let (was, is) = (passes(live, &packet), passes(after, &packet));
        prop_assert!(was <= is || is_in(&dropped) || more_dropped, "{} is dropped: {:?}", packet, effect.newly_dropped);
        prop_assert!(
            is <= was || is_in(&accepted) || more_accepted,
            "{} is accepted: {:?}",
            packet,
            effect.newly_accepted
        );
    }
    prop_assert!(!more_dropped || !dropped.is_empty());
    prop_assert!(!more_accepted || !accepted.is_empty());
    let dropped = effect.newly_dropped.iter().map(|class| (class, false));
    for (class, accepts) in dropped.chain(effect.newly_accepted.iter().map(|class| (class, true))) {
        // The rules of this small world ask for ports of packets that have none; no text can say such a packet.
        let packet = class.example.as_ref().map(|example| example.parse::<Packet>().expect("a packet"));
        if let Some(packet) = packet.filter(|packet| !packet.fragment) {
            prop_assert_eq!((passes(live, &packet), passes(after, &packet)), (!accepts, accepts), "{:?}", class);
        }
    }
    Ok(())
}

/// Rules enough that they are found by an index, beside those that are there.
fn with_many(mut live: Ruleset) -> Ruleset {
    for n in 0..150u16 {
        let ports = Ranges::single(u128::from(n % 5) * u128::from(n % 2) + u128::from(n / 10) * 40);
        let source = Ranges::one(u128::from(n % 7), u128::from(n % 7 + n % 3));
        let verdict = if n % 3 == 0 { Verdict::Drop } else { Verdict::Accept };
        live.tables[0].chains[2].lines.push(Line {
            handle: None,
            comment: None,
            text: String::new(),
            conditions: vec![Condition::Wide(Wide::DestinationPort, ports), Condition::Wide(Wide::Source, source)],
            alters: Vec::new(),
            outcome: Outcome::Verdict(verdict),
        });
    }
    live
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn added_rules_change_what_is_said(live in ruleset(), a in rule("a"), b in rule("b")) {
        let rules = [a, b];
        holds(&live, &with_rules(&live, &rules), &rules, &[])?;
    }

    #[test]
    fn a_rule_among_many_changes_what_is_said(live in ruleset(), a in rule("a")) {
        let (live, rules) = (with_many(live), [a]);
        holds(&live, &with_rules(&live, &rules), &rules, &[])?;
    }

    #[test]
    fn rules_that_are_gone_or_replaced_change_what_is_said(live in ruleset(), a in rule("a"), b in rule("b"), c in rule("c")) {
        let there = with_rules(&live, &[a.clone(), b.clone()]);
        let removed = Change { op: ChangeOp::Remove, target: "a".to_owned(), rule: None };
        holds(&there, &without(&there, "a"), &[], std::slice::from_ref(&removed))?;
        holds(&there, &with_rules(&without(&there, "a"), std::slice::from_ref(&c)), std::slice::from_ref(&c), &[removed])?;
        let mut other = c;
        other.position = crate::rule::Position::Auto;
        let replaced = Change { op: ChangeOp::Replace, target: "b".to_owned(), rule: Some(other.clone()) };
        holds(&there, &instead(&there, "b", &other), &[], &[replaced])?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rule_is_judged_alike_in_parts_and_as_a_whole(live in ruleset(), a in rule("a"), b in rule("b"), many in any::<bool>()) {
        let live = if many { with_many(live) } else { live };
        let against = Against::new(Cow::Borrowed(&live));
        let kinds = |rules: &[Rule], fine: Fine| -> Vec<_> {
            let found = against.find_as(rules, &[], Budget { steps: 1_000_000 }, fine);
            let advised = found.advice.iter().filter(|words| words.contains("never reached")).count();
            // Of several covers of a dead rule each may be named.
            let kind = |item: &Conflict| (!item.dead).then_some(item.kind);
            // A part of a rule that is dead counts for one and not for the other among the earlier rules.
            let lesser = [ConflictType::Partial, ConflictType::Overlap, ConflictType::Generalization];
            let grave = found.items.into_iter().filter(|item| !lesser.contains(&item.kind));
            let kinds = grave.map(|item| (kind(&item), item.rule, item.dead));
            kinds.map(|kind| (kind, advised)).collect()
        };
        prop_assert_eq!(kinds(std::slice::from_ref(&a), FULL), kinds(std::slice::from_ref(&a), WHOLE));
        prop_assert_eq!(kinds(&[a.clone(), b.clone()], FULL), kinds(&[a, b], WHOLE));
    }
}

/// Whether something is said of every packet whose fate differs, or that it is not known.
fn covers(
    live: &Ruleset,
    after: &Ruleset,
    rules: &[Rule],
    changes: &[Change],
    fine: Fine,
) -> Result<(), TestCaseError> {
    let found = Against::new(Cow::Borrowed(live)).find_as(rules, changes, Budget { steps: 1_000_000 }, fine);
    let open = found.items.iter().any(|item| item.kind == ConflictType::Unknown);
    let (dropped, accepted) = found.changed.cells();
    let effect = found.changed.effect(&found.atoms);
    let rest = |classes: &[PacketClass]| classes.iter().any(|class| class.example.is_none());
    let more = open || rest(&effect.newly_dropped) || rest(&effect.newly_accepted);
    for packet in packets() {
        let is_in = |cells: &[Cell]| cells.iter().any(|cell| packet.is_in(cell));
        let (was, is) = (passes(live, &packet), passes(after, &packet));
        prop_assert!(was <= is || is_in(&dropped) || more, "{} is dropped: {:?}", packet, effect.newly_dropped);
        prop_assert!(is <= was || is_in(&accepted) || more, "{} is accepted: {:?}", packet, effect.newly_accepted);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn where_rules_set_marks_no_change_goes_untold(live in marked(), a in rule("a"), b in rule("b"), sets in 0usize..6) {
        // Marks are set in AFO's own table too, where somebody put such a rule there.
        let mut live = with_rules(&live, &[b]);
        let own = live.tables.iter().position(|table| table.name == "afo").expect("AFO's table");
        let mark = crate::rule::ruleset::Alteration::Mark(1);
        let line = Line {
            handle: None,
            comment: Some("m".to_owned()),
            text: "mark".to_owned(),
            conditions: Vec::new(),
            alters: vec![mark],
            outcome: Outcome::Next,
        };
        if let Some(chain) = live.tables[own].chains.get_mut(sets) {
            chain.lines.push(line);
        }
        let removed = Change { op: ChangeOp::Remove, target: "b".to_owned(), rule: None };
        for fine in [FULL, WHOLE] {
            covers(&live, &with_rules(&live, std::slice::from_ref(&a)), std::slice::from_ref(&a), &[], fine)?;
            covers(&live, &without(&live, "b"), &[], std::slice::from_ref(&removed), fine)?;
        }
    }
}

/// Holds what is said of packets as they are sent against both rulesets; of a connection that is there nobody knows where it is led.
fn holds_sent(
    live: &Ruleset,
    after: &Ruleset,
    rules: &[Rule],
    changes: &[Change],
    fine: Fine,
) -> Result<(), TestCaseError> {
    let found = Against::new(Cow::Borrowed(live)).find_as(rules, changes, Budget { steps: 1_000_000 }, fine);
    let (dropped, accepted) = found.changed.cells();
    let effect = found.changed.effect(&found.atoms);
    let judged = |packet: &Packet| {
        let mut sure = true;
        let mut passes = |ruleset| {
            let luck = &mut |_, _: &str| std::mem::replace(&mut sure, false);
            evaluate(ruleset, packet, luck).expect("no circle").fate.passes()
        };
        let both = (passes(live), passes(after));
        (sure && packet.state != ConnectionState::Established).then_some(both)
    };
    for packet in packets() {
        let is_in = |cells: &[Cell]| cells.iter().any(|cell| packet.is_in(cell));
        let Some((was, is)) = judged(&packet) else { continue };
        match fine.parts {
            0 => prop_assert!(was == is || is_in(if is { &accepted } else { &dropped }), "{}", packet),
            _ => prop_assert_eq!((is_in(&dropped), is_in(&accepted)), (was && !is, !was && is), "{}", packet),
        }
    }
    let dropped = effect.newly_dropped.iter().map(|class| (class, false));
    for (class, accepts) in dropped.chain(effect.newly_accepted.iter().map(|class| (class, true))) {
        let packet = class.example.as_ref().map(|example| example.parse::<Packet>().expect("a packet"));
        if let Some(both) = packet.filter(|packet| !packet.fragment).and_then(|packet| judged(&packet)) {
            prop_assert_eq!(both, (!accepts, accepts), "{:?}", class);
        }
    }
    let begins = |packet: &Packet| packet.state == ConnectionState::New;
    for item in found.items.iter().filter(|item| item.kind == ConflictType::Ineffective && item.dead) {
        let id = item.rule.as_ref().expect("of a rule").to_string();
        let of = |at| after.line(at).and_then(|line| line.comment.clone()) == Some(id.clone());
        let dropped = |packet: &Packet| {
            let trace = evaluate(after, packet, &mut |_, _| false).expect("no circle");
            !trace.fate.passes() || !trace.passed.iter().any(|at| of(*at))
        };
        prop_assert!(packets().iter().filter(|packet| begins(packet)).all(dropped), "{:?}", item);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn where_rules_lead_packets_what_is_said_is_of_packets_as_they_are_sent(live in turning(), a in rule("a"), b in rule("b")) {
        let there = with_rules(&live, &[b]);
        let removed = Change { op: ChangeOp::Remove, target: "b".to_owned(), rule: None };
        for fine in [FULL, WHOLE] {
            holds_sent(&live, &with_rules(&live, std::slice::from_ref(&a)), std::slice::from_ref(&a), &[], fine)?;
            holds_sent(&there, &without(&there, "b"), &[], std::slice::from_ref(&removed), fine)?;
        }
    }
}

#[test]
fn what_this_host_sends_came_in_by_no_interface() {
    let base =
        Base { kind: ChainKind::Filter, hook: Hook::Postrouting, priority: 0, drops: false, devices: Vec::new() };
    let line = Line {
        handle: None,
        comment: None,
        text: String::new(),
        conditions: vec![Condition::Wide(Wide::InInterface, Ranges::single(name_number("va")))],
        alters: Vec::new(),
        outcome: Outcome::Verdict(Verdict::Drop),
    };
    let chain = Chain { name: "post".to_owned(), handle: None, base: Some(base), lines: vec![line] };
    let (family, name) = (TableFamily::Inet, "t".to_owned());
    let table = Table { family, name, dormant: false, chains: vec![chain], sets: Vec::new() };
    let live = Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() };
    let against = Against::new(Cow::Borrowed(&live));
    let kinds = |line: &str, fine: Fine| -> Vec<_> {
        let rule = Rule::from_line(line).expect("a rule");
        against.find_as(&[rule], &[], Budget::default(), fine).items.into_iter().map(|item| item.kind).collect()
    };
    for fine in [FULL, WHOLE] {
        assert_eq!(kinds("a accept output protocol=tcp", fine), [ConflictType::Redundant]);
        assert_eq!(kinds("a accept forward protocol=tcp", fine), [ConflictType::Ineffective]);
    }
}

fn without(there: &Ruleset, id: &str) -> Ruleset {
    let mut left = there.clone();
    let chains = left.tables.iter_mut().flat_map(|table| &mut table.chains);
    chains.for_each(|chain| chain.lines.retain(|line| line.comment.as_deref() != Some(id)));
    left
}

fn instead(there: &Ruleset, id: &str, rule: &Rule) -> Ruleset {
    let mut changed = there.clone();
    let new = crate::analyze::lower::lines(rule);
    for chain in changed.tables.iter_mut().flat_map(|table| &mut table.chains) {
        if let Some(at) = chain.lines.iter().position(|line| line.comment.as_deref() == Some(id)) {
            chain.lines.splice(at..=at, new.clone());
        }
    }
    changed
}

/// A host that forwards what was begun, and to one port of one host; the rest it drops.
fn router() -> Ruleset {
    let v4 = Cell::all().with_narrow(Narrow::Family, crate::packet::Bits::single(0));
    let host = v4.with_wide(Wide::Destination, Ranges::single(0x0a00_0005));
    let web = host.with_narrow(Narrow::Protocol, crate::packet::Bits::single(6));
    let allowed = Line {
        handle: None,
        comment: None,
        text: "accept 8080".to_owned(),
        conditions: vec![Condition::AnyOf(vec![web.with_wide(Wide::DestinationPort, Ranges::single(8080))])],
        alters: Vec::new(),
        outcome: Outcome::Verdict(Verdict::Accept),
    };
    let base = Base { kind: ChainKind::Filter, hook: Hook::Forward, priority: 0, drops: true, devices: Vec::new() };
    let chain = Chain { name: "forward".to_owned(), handle: None, base: Some(base), lines: vec![allowed] };
    let table = Table {
        family: TableFamily::Inet,
        name: "f".to_owned(),
        dormant: false,
        chains: vec![chain],
        sets: Vec::new(),
    };
    Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() }
}

fn judged(live: &Ruleset, rules: &[&str]) -> super::Judgement {
    let rules: Vec<Rule> =
        rules.iter().map(|line| Rule::from_line(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect();
    super::conflicts(live, &rules, Budget::default())
}

fn texts(classes: &[PacketClass]) -> Vec<&str> {
    classes.iter().map(|class| class.text.as_str()).collect()
}

const FORWARD: &str =
    "r1 dnat forward interface_in=wan0 protocol=tcp destination_port=80 nat.address=10.0.0.5 nat.port=8080";

#[test]
fn a_port_forward_is_told_with_what_goes_through() {
    let found = judged(&router(), &[FORWARD]);
    assert_eq!(found.conflicts.items, []);
    let translated = &found.effect.translated;
    assert!(
        !translated.is_empty() && translated[1..].iter().all(|class| class.text.contains("related")),
        "{translated:?}"
    );
    assert!(translated[0].text.contains("80") && translated[0].text.contains("wan0"), "{translated:?}");
    assert_eq!(translated[0].after.as_deref(), Some("inet afo g1_dstnat rule 2: dnat (proposed rule r1)"));
    let accepted = texts(&found.effect.newly_accepted);
    assert!(accepted.iter().any(|text| text.contains("wan0")), "{accepted:?}");
    let packet: Packet = translated[0].example.as_deref().expect("an example").parse().expect("a packet");
    let rules = [Rule::from_line(FORWARD).expect("a rule")];
    let after = evaluate(&with_rules(&router(), &rules), &packet, &mut |_, _| false).expect("no circle");
    assert!(after.fate.passes() && after.turned.moves(&packet), "{packet}");
    let asked = "rule r1: do hosts of the network of 10.0.0.5 come by this way too (hairpin)? only what comes in by wan0 is led there";
    assert!(found.advice.iter().any(|words| words.starts_with(asked)), "{:?}", found.advice);
}

#[test]
fn a_port_forward_that_is_dropped_behind_it_is_ineffective_and_says_what_lets_it_through() {
    let closed = FORWARD.replace("8080", "8081");
    let found = judged(&router(), &[&closed]);
    let item = found.conflicts.items.first().expect("a conflict");
    assert_eq!((item.kind, item.dead), (ConflictType::Ineffective, true), "{item:?}");
    assert!(item.explanation.starts_with("everything this rule leads elsewhere is dropped behind it"), "{item:?}");
    let fix = "an accept of AFO's own ends only AFO's chain: direction forward, destination_address 10.0.0.5, protocol tcp, destination_port 8081";
    assert!(found.advice.iter().any(|words| words.contains(fix)), "{:?}", found.advice);
    let opened = "r2 accept forward destination_address=10.0.0.5 protocol=tcp destination_port=8081";
    // An accept of AFO's own does not open what the other chain drops.
    assert!(judged(&router(), &[&closed, opened]).conflicts.items.iter().any(|item| item.dead));
    assert_eq!(judged(&Ruleset::default(), &[&closed]).conflicts.items, []);
}

#[test]
fn translations_that_others_take_are_named() {
    let kinds = |rules: &[&str]| -> Vec<(ConflictType, bool)> {
        let items = judged(&Ruleset::default(), rules).conflicts.items;
        items
            .iter()
            .filter(|item| item.rule.as_ref().is_some_and(|id| id.as_str() == "r2"))
            .map(|item| (item.kind, item.dead))
            .collect()
    };
    let first = "r1 dnat forward protocol=tcp destination_port=80-89 nat.address=10.0.0.5";
    assert_eq!(
        kinds(&[first, "r2 dnat forward protocol=tcp destination_port=80 nat.address=10.0.0.6"]),
        [(ConflictType::Shadow, true)]
    );
    assert_eq!(
        kinds(&[first, "r2 dnat forward protocol=tcp destination_port=80 nat.address=10.0.0.5"]),
        [(ConflictType::Redundant, true)]
    );
    assert_eq!(
        kinds(&[first, "r2 dnat forward protocol=tcp destination_port=85-99 nat.address=10.0.0.6"]),
        [(ConflictType::Overlap, false)]
    );
    assert_eq!(kinds(&[first, "r2 dnat forward protocol=udp destination_port=85 nat.address=10.0.0.6"]), []);
    let out = "r1 masquerade forward interface_out=wan0";
    assert_eq!(
        kinds(&[out, "r2 snat forward interface_out=wan0 source_address=10.0.0.0/8 nat.address=192.0.2.1"]),
        [(ConflictType::Shadow, true)]
    );
    assert_eq!(kinds(&[out, "r2 redirect input protocol=tcp destination_port=80 nat.port=8080"]), []);
}
