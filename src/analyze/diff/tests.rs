//! Comparisons case by case, and against the evaluator.

use super::*;
use crate::analyze::tests::{marked, packets, ruleset, turning};
use crate::packet::{Bits, Narrow, Ranges, Wide};
use crate::rule::Packet;
use crate::rule::evaluate::evaluate;
use crate::rule::ruleset::{Alteration, Base, ChainKind, Condition, Hook, Line, Outcome, Unread, Verdict};
use crate::rule::{ConnectionState, Landing, Translation};
use proptest::prelude::*;
use std::net::IpAddr;

fn judged(a: &Ruleset, b: &Ruleset) -> (Compared, Terms) {
    let mut terms = Terms::default();
    let compared = compare(a, b, Wanted::Classes, Budget { steps: 200_000 }, &mut terms);
    (compared, terms)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn classes_are_disjoint_and_complete(a in ruleset(), b in ruleset()) {
        let (compared, _) = judged(&a, &b);
        prop_assert_eq!(&compared.open, &Vec::<String>::new());
        for packet in packets().iter().step_by(5) {
            let fate = |ruleset| evaluate(ruleset, packet, &mut |_, _| false).expect("no circles").fate;
            let expected = change(fate(&a), fate(&b));
            let mine = compared.pieces.of(packet);
            prop_assert_eq!(mine.as_slice(), expected.as_slice(), "{}", packet);
        }
    }

    #[test]
    fn equal_says_equal_only_where_no_packet_differs(a in ruleset(), n in 0usize..40) {
        let mut b = a.clone();
        let mut lines = b.tables[0].chains.iter_mut().flat_map(|chain| chain.lines.iter_mut());
        if let Some(line) = lines.nth(n) {
            line.outcome = Outcome::Verdict(Verdict::Reject);
        }
        let answer = diff(&a, &b, Wanted::Witness, Budget { steps: 200_000 });
        let fate = |ruleset, packet| evaluate(ruleset, packet, &mut |_, _| false).expect("no circles").fate;
        let all = packets();
        let differs = all.iter().any(|packet| fate(&a, packet) != fate(&b, packet));
        match answer.verdict.as_deref() {
            Some("equal") => prop_assert!(!differs),
            Some("different") => {
                let packet = answer.packet.expect("a witness").parse().expect("a packet");
                prop_assert!(fate(&a, &packet) != fate(&b, &packet), "{}", packet);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

/// The packets of which everything is known in rulesets that translate: those of a connection that is there may be translated or not.
fn sent() -> Vec<Packet> {
    packets().into_iter().filter(|packet| packet.state != ConnectionState::Established).collect()
}

/// What becomes of a packet and where it goes to; nothing where that is left to chance: whether a nat chain without a translation sees it.
fn end(ruleset: &Ruleset, packet: &Packet) -> Option<(Fate, Option<(IpAddr, u16)>)> {
    let mut sure = true;
    let trace = evaluate(ruleset, packet, &mut |_, _| std::mem::replace(&mut sure, false)).expect("no circles");
    let to = trace.turned.packet(packet).expect("one place");
    sure.then_some((trace.fate, trace.fate.passes().then_some((to.destination, to.destination_port))))
}

/// The name of what two rulesets do differently with a packet, where that is known.
fn told(a: &Ruleset, b: &Ruleset, packet: &Packet) -> Option<Option<&'static str>> {
    let (a, b) = (end(a, packet)?, end(b, packet)?);
    Some(change(a.0, b.0).or((a.1 != b.1).then_some("translated_otherwise")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_translated_is_told_as_it_is_sent(a in turning(), other in turning(), n in 0usize..5, same in any::<bool>()) {
        // Either another ruleset, or the same with one rule that leads elsewhere.
        let mut b = if same { a.clone() } else { other };
        if let Some(line) = b.tables[0].chains[5].lines.get_mut(n).filter(|_| same) {
            let to = Translation { text: "dnat".to_owned(), address: Landing::To(n as u128), port: Landing::Kept };
            line.outcome = Outcome::Verdict(Verdict::Translate(to));
        }
        let (compared, terms) = judged(&a, &b);
        prop_assert_eq!((compared.open.len(), compared.elsewhere.len()), (0, 0));
        let packets = sent();
        for packet in packets.iter().step_by(3) {
            let (Some(expected), mine) = (told(&a, &b, packet), compared.pieces.of(packet)) else { continue };
            prop_assert_eq!(mine.as_slice(), expected.as_slice(), "{}", packet);
        }
        let possible = |_| None;
        for class in compared.pieces.classes(&terms, (Some(&a), &b), &possible).0.iter().filter(|c| c.verdict != "unknown") {
            let packet: Packet = class.example.as_ref().expect("an example").parse().expect("a packet");
            // The rules of this small world ask for ports of packets that have none; no text can say such a packet.
            if !packet.fragment && packet.protocol.has_ports() && packet.state != ConnectionState::Established {
                let expected = told(&a, &b, &packet);
                prop_assert!(expected.is_none_or(|told| told == Some(class.verdict.as_str())), "{:?}", class);
            }
        }
        let answer = diff(&a, &b, Wanted::Witness, Budget { steps: 200_000 });
        prop_assert!(answer.verdict.as_deref() != Some("equal") || packets.iter().all(|p| told(&a, &b, p).flatten().is_none()));
    }
}

#[test]
fn equal_never_overlooks_where_packets_are_sent() {
    let nat = |text: &str, address: Landing| {
        let mut ruleset = one_chain(vec![line("all", vec![], Verdict::Accept)]);
        let to = Translation { text: text.to_owned(), address, port: Landing::Kept };
        let mut chain = ruleset.tables[0].chains[0].clone();
        chain.name = "nat".to_owned();
        chain.base = chain.base.map(|base| Base {
            kind: ChainKind::Nat,
            hook: Hook::Prerouting,
            priority: -100,
            drops: false,
            ..base
        });
        chain.lines = vec![line(text, vec![], Verdict::Translate(to))];
        ruleset.tables[0].chains.push(chain);
        ruleset
    };
    let compare = |a: &Ruleset, b: &Ruleset| diff(a, b, Wanted::Witness, Budget::default());
    let (a, b) = (nat("dnat to 10.0.0.5", Landing::To(0x0a00_0005)), nat("dnat to 10.0.0.6", Landing::To(0x0a00_0006)));
    let found = compare(&a, &b);
    assert_eq!(
        (found.verdict.as_deref(), found.classes[0].verdict.as_str()),
        (Some("different"), "translated_otherwise")
    );
    let by = |place: &Option<crate::record::Place>| place.as_ref().map(|place| place.text.clone()).unwrap_or_default();
    assert_eq!(
        (by(&found.classes[0].before), by(&found.classes[0].by)),
        ("dnat to 10.0.0.5".into(), "dnat to 10.0.0.6".into())
    );
    assert_eq!(compare(&a, &a).verdict.as_deref(), Some("equal"));
    let mut other = nat("-j DNAT --to-destination 10.0.0.5", Landing::To(0x0a00_0005));
    other.backend = "iptables".to_owned();
    assert_eq!(compare(&a, &other).verdict.as_deref(), Some("equal"));
    let pool = compare(&nat("dnat to 10.0.0.5-10.0.0.9", Landing::Open), &a);
    let words = "forward packets: whether `dnat to 10.0.0.5-10.0.0.9` and `dnat to 10.0.0.5` lead to the same place is not known";
    assert_eq!((pool.verdict.as_deref(), pool.evidence.first().map(String::as_str)), (Some("unknown"), Some(words)));
}

fn differs(a: &Ruleset, b: &Ruleset) -> Option<Packet> {
    let fate =
        |ruleset: &Ruleset, packet: &Packet| evaluate(ruleset, packet, &mut |_, _| false).expect("no circles").fate;
    packets().into_iter().find(|packet| fate(a, packet) != fate(b, packet))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn marks_that_are_set_otherwise_are_no_equality(a in marked(), b in marked(), n in 0usize..20, same in any::<bool>()) {
        // Either another ruleset, or the same less one rule.
        let mut other = if same { a.clone() } else { b };
        let mut at = n;
        for chain in other.tables[0].chains.iter_mut().filter(|_| same) {
            if at < chain.lines.len() {
                chain.lines.remove(at);
                break;
            }
            at -= chain.lines.len();
        }
        let told = diff(&a, &other, Wanted::Witness, Budget { steps: 200_000 });
        let differs = differs(&a, &other);
        prop_assert!(told.verdict.as_deref() != Some("equal") || differs.is_none(), "{:?} {:?}", differs, told);
        if let Some(packet) = told.packet.filter(|_| told.verdict.as_deref() == Some("different")) {
            let packet: Packet = packet.parse().expect("a packet");
            let fate = |ruleset: &Ruleset| evaluate(ruleset, &packet, &mut |_, _| false).expect("no circles").fate;
            prop_assert!(fate(&a) != fate(&other), "{}", packet);
        }
    }
}

#[test]
fn a_mark_that_other_packets_get_is_a_difference() {
    let protocol = |number: u8| Condition::Narrow(Narrow::Protocol, Bits::single(number));
    let marks = |conditions: Vec<Condition>| {
        let mut line = line("mark", conditions, Verdict::Continue);
        (line.outcome, line.alters) = (Outcome::Next, vec![Alteration::Mark(1)]);
        line
    };
    let drops = || line("drop", vec![Condition::Wide(Wide::Mark, Ranges::single(1))], Verdict::Drop);
    let same = |a: Vec<Line>, b: Vec<Line>| verdict(a, b).verdict.unwrap_or_default();
    let accepts = || line("accept", Vec::new(), Verdict::Accept);
    let tail = |first: Vec<Line>| first.into_iter().chain([drops(), accepts()]).collect::<Vec<_>>();
    assert_eq!(same(tail(vec![marks(vec![protocol(6)])]), tail(vec![marks(vec![protocol(17)])])), "unknown");
    assert_eq!(same(tail(vec![marks(vec![protocol(6)])]), tail(vec![marks(vec![protocol(6)])])), "equal");
    // What denies leads nothing past the rule that sets the mark.
    let telnet = || line("telnet", vec![Condition::Wide(Wide::DestinationPort, Ranges::single(23))], Verdict::Drop);
    assert_eq!(same(tail(vec![marks(vec![])]), tail(vec![telnet(), marks(vec![])])), "unknown");
}

fn one_chain(lines: Vec<Line>) -> Ruleset {
    let mut ruleset = crate::analyze::trace::tests::closed(lines);
    ruleset.backend = "nftables".to_owned();
    ruleset
}

fn line(text: &str, conditions: Vec<Condition>, verdict: Verdict) -> Line {
    crate::analyze::trace::tests::line(text, conditions, verdict)
}

fn chance(text: &str) -> Condition {
    Condition::Chance(text.to_owned())
}

fn ttl() -> Condition {
    Condition::Unread(Unread { text: "ip ttl 1".to_owned(), field: Some("ip ttl".to_owned()) })
}

fn verdict(a: Vec<Line>, b: Vec<Line>) -> Answer {
    diff(&one_chain(a), &one_chain(b), Wanted::Classes, Budget::default())
}

#[test]
fn the_same_doubt_is_no_difference_and_another_is() {
    let limited = |text: &str| vec![line(text, vec![chance(text)], Verdict::Accept)];
    assert_eq!(
        verdict(limited("limit rate 5/second"), limited("limit rate 5/second")).verdict.as_deref(),
        Some("equal")
    );
    let found = verdict(limited("limit rate 5/second"), limited("limit rate 9/second"));
    assert_eq!(found.verdict.as_deref(), Some("different"));
    assert!(found.classes.iter().all(|class| class.text.contains("limit rate 5/second")), "{found:#?}");
}

#[test]
fn what_was_not_read_makes_no_sure_difference() {
    let found = verdict(vec![line("a", vec![ttl()], Verdict::Accept)], vec![]);
    assert_eq!((found.verdict.as_deref(), found.classes.len()), (Some("unknown"), 1));
    assert_eq!(found.classes[0].text, "input: everything where `ip ttl 1` holds would be newly dropped");
    let same = vec![line("a", vec![ttl()], Verdict::Accept)];
    assert_eq!(verdict(same.clone(), same).verdict.as_deref(), Some("equal"));
    let mut odd = one_chain(vec![]);
    odd.unread.push("chain {}".to_owned());
    let found = diff(&one_chain(vec![]), &odd, Wanted::Classes, Budget::default());
    assert_eq!(
        (found.verdict.as_deref(), found.evidence),
        (Some("unknown"), vec!["not understood: chain {}".to_owned()])
    );
}

#[test]
fn a_rejection_instead_of_a_drop_has_its_own_name() {
    let found = verdict(vec![line("a", vec![], Verdict::Drop)], vec![line("b", vec![], Verdict::Reject)]);
    let names: Vec<_> = found.classes.iter().map(|c| (c.verdict.as_str(), c.text.as_str())).collect();
    assert_eq!(names, [("rejected_instead_of_dropped", "input: everything")]);
    let by = |place: &Option<crate::record::Place>| place.as_ref().map(|p| p.text.clone());
    assert_eq!((by(&found.classes[0].before), by(&found.classes[0].by)), (Some("a".into()), Some("b".into())));
}

#[test]
fn what_only_moved_without_effect_is_equal() {
    let port =
        |n: u16| vec![Condition::Wide(crate::packet::Wide::DestinationPort, crate::packet::Ranges::single(n.into()))];
    let (a, b) = (line("a", port(1), Verdict::Accept), line("b", port(2), Verdict::Drop));
    assert_eq!(verdict(vec![a.clone(), b.clone()], vec![b, a]).verdict.as_deref(), Some("equal"));
}

#[test]
fn a_search_that_is_given_up_says_so() {
    let many = |step: u16| {
        (0..40u16)
            .map(|n| {
                let wide = |field, n: u16| {
                    Condition::Wide(field, crate::packet::Ranges::one(u128::from(n), u128::from(n) + 300))
                };
                let conditions = vec![
                    wide(crate::packet::Wide::DestinationPort, n * step),
                    wide(crate::packet::Wide::SourcePort, n * 13 % 40 * step),
                ];
                line("x", conditions, Verdict::Accept)
            })
            .collect()
    };
    let found = diff(&one_chain(many(97)), &one_chain(many(91)), Wanted::Classes, Budget { steps: 2 });
    assert!(
        found
            .evidence
            .iter()
            .any(|words| words == "input packets: undecided after 2 steps (--steps N allows more) what else differs"),
        "{found:#?}"
    );
    assert_ne!(found.verdict.as_deref(), Some("equal"));
}

#[test]
fn tables_without_ip_packets_are_compared_by_their_rules() {
    use crate::rule::ruleset::TableFamily;
    let with = |handle: u64, text: &str| {
        let mut ruleset = one_chain(Vec::new());
        let mut bridge = one_chain(vec![Line { handle: Some(handle), ..line(text, Vec::new(), Verdict::Drop) }]);
        bridge.tables[0].family = TableFamily::Bridge;
        ruleset.tables.extend(bridge.tables);
        ruleset
    };
    let budget = Budget { steps: 1000 };
    let same = diff(&with(1, "a"), &with(2, "a"), Wanted::Witness, budget);
    let name = &with(1, "a").tables[1].name;
    let words = format!("table bridge {name}: the same rule by rule; no packet of it was judged");
    assert_eq!((same.verdict.as_deref(), same.evidence), (Some("equal"), vec![words]));
    let other = diff(&with(1, "a"), &with(1, "b"), Wanted::Witness, budget);
    assert_eq!(other.verdict.as_deref(), Some("unknown"));
}
