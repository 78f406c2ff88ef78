//! Invariants case by case, and against the evaluator.

use super::*;
use crate::analyze::Budget;
use crate::analyze::tests::{packets, ruleset, turning};
use crate::analyze::trace::tests::{closed, line};
use crate::packet::{Bits, Narrow, Ranges, Wide};
use crate::record::FindingType;
use crate::rule::evaluate::evaluate;
use crate::rule::ruleset::Ruleset;
use crate::rule::ruleset::{Condition, Unread, Verdict};
use proptest::prelude::*;

fn port(port: u16) -> Condition {
    Condition::Wide(Wide::DestinationPort, Ranges::single(port.into()))
}

fn ttl() -> Condition {
    Condition::Unread(Unread { text: "ip ttl 1".to_owned(), field: Some("ip ttl".to_owned()) })
}

fn sample() -> Ruleset {
    closed(vec![
        line("ssh", vec![port(22)], Verdict::Accept),
        line("limited", vec![port(80), Condition::Chance("limit rate 5/second".to_owned())], Verdict::Accept),
        line("odd", vec![port(25), ttl()], Verdict::Accept),
        line("no", vec![port(9)], Verdict::Reject),
    ])
}

fn said(text: &str) -> Vec<String> {
    let read = invariants(text, &Names::default()).expect(text);
    let found = violations(&sample(), &read, "F", Budget::default());
    found.into_iter().map(|finding| finding.explanation).collect()
}

#[test]
fn what_does_not_hold_is_told_with_a_packet() {
    for (text, words) in [
        ("must-allow input proto tcp port 22", ""),
        ("must-deny input proto tcp port 26-79 # nothing between", ""),
        ("must-deny input eth0 203.0.113.9:1 > 198.51.100.10:9 tcp syn", ""),
        (
            "must-deny  input port 20-30",
            "F:1: `must-deny input port 20-30`: does not hold: the verdict is accept: input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn",
        ),
        (
            "must-allow input proto udp port 9",
            "F:1: `must-allow input proto udp port 9`: does not hold: the verdict is reject: input eth0 203.0.113.9:40000 > 198.51.100.10:9 udp",
        ),
        (
            "must-allow input proto tcp port 80",
            "F:1: `must-allow input proto tcp port 80`: whether it holds is not known: it depends on `limit rate 5/second`",
        ),
        (
            "must-deny input proto tcp port 25",
            "F:1: `must-deny input proto tcp port 25`: whether it holds is not known: it depends on `ip ttl 1`",
        ),
        (
            "must-be-unreachable 192.0.2.1 port 443",
            "F:1: `must-be-unreachable 192.0.2.1 port 443`: does not hold: the verdict is accept: output eth0 198.51.100.10:40000 > 192.0.2.1:443 tcp syn",
        ),
    ] {
        assert_eq!(said(text), if words.is_empty() { vec![] } else { vec![words.to_owned()] }, "{text}");
    }
    let read = invariants("must-deny input port 22", &Names::default()).expect("one");
    let found = violations(&sample(), &read, "F", Budget::default());
    assert_eq!(found[0].rule.as_ref().map(|place| place.text.as_str()), Some("ssh"));
    assert_eq!(found[0].witness.as_ref().and_then(|w| w.expected.as_deref()), Some("drop"));
}

#[test]
fn an_object_that_was_not_understood_makes_every_pass_unknown() {
    let read = invariants("must-allow input proto tcp port 22", &Names::default()).expect("one");
    let odd = Ruleset { unread: vec!["chain {}".to_owned()], ..sample() };
    let found = violations(&odd, &read, "F", Budget::default());
    assert_eq!((found.len(), found[0].kind), (1, FindingType::Unknown));
    assert!(found[0].explanation.ends_with("may decide: chain {}"), "{found:?}");
}

#[test]
fn lines_that_are_not_understood_are_named_by_number() {
    let bad =
        invariants("# fine\nmust-allow\nmust-permit x\n\nmust-deny from x\nmust-be-unreachable", &Names::default());
    let words: Vec<_> = bad.expect_err("bad").into_iter().map(|(line, words)| format!("{line}: {words}")).collect();
    assert_eq!(
        words,
        [
            "2: it does not say which packets: a packet, or `from … to …`",
            "3: `must-permit` is no demand; must-allow, must-deny and must-be-unreachable are",
            "5: `x` is no address and no name of a zone, an interface or a host; no names are known here",
            "6: it does not say what must be unreachable",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_invariant_holds_only_where_no_packet_breaks_it(ruleset in ruleset(), last in 0u16..4, allow in any::<bool>()) {
        let word = if allow { "must-allow" } else { "must-deny" };
        let text = format!("{word} input port 0-{last} state any flags any");
        let read = invariants(&text, &Names::default()).expect("a line");
        let found = violations(&ruleset, &read, "F", Budget { steps: 100_000 });
        let fate = |packet: &Packet| evaluate(&ruleset, packet, &mut |_, _| false).expect("no circles").fate;
        match found.first() {
            None => {
                for packet in packets().iter().filter(|packet| packet.destination_port <= last) {
                    prop_assert_eq!(fate(packet).passes(), allow, "{}", packet);
                }
            }
            Some(finding) => {
                prop_assert_eq!(finding.kind, FindingType::Invariant);
                let packet = finding.witness.as_ref().expect("a witness").packet.parse().expect("a packet");
                prop_assert!(fate(&packet).passes() != allow, "{}", packet);
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC{0,20}\n|must-(deny|allow|be-unreachable) [a-z0-9 >:./#]{0,24}\n){0,4}") {
        let _ = invariants(&text, &Names::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What rules lead to where packets must not come is found, whatever it was sent for; and what is called broken is.
    #[test]
    fn what_is_led_on_breaks_what_must_not_be(ruleset in turning(), allow in any::<bool>(), port in 0u16..4) {
        let word = if allow { "must-allow" } else { "must-deny" };
        let read = invariants(&format!("{word} input to 0.0.0.1,::1 port {port} proto tcp,udp state new flags any"), &Names::default()).expect("one");
        let found = violations(&ruleset, &read, "F", Budget { steps: 200_000 });
        let number = |packet: &Packet| packet.wide(Wide::Destination);
        let is_meant = |packet: &Packet| packet.destination_port == port && number(packet) == 1;
        let judge = |packet: &Packet| {
            let mut sure = true;
            let trace = evaluate(&ruleset, packet, &mut |_, _| std::mem::replace(&mut sure, false)).expect("no circles");
            let there = trace.turned.packet(packet).expect("one place");
            sure.then_some((is_meant(packet) || is_meant(&there)) && trace.fate.passes() != allow)
        };
        let new = |packet: &&Packet| packet.state == crate::rule::ConnectionState::New;
        let broken = packets().iter().filter(new).any(|packet| judge(packet) == Some(true));
        prop_assert!(!broken || !found.is_empty());
        if let Some(witness) = found.first().filter(|f| f.kind == FindingType::Invariant).and_then(|f| f.witness.as_ref()) {
            let packet: Packet = witness.packet.parse().expect("a packet");
            prop_assert!(judge(&packet) != Some(false), "{}", packet);
        }
    }
}

#[test]
fn what_may_be_led_there_is_no_pass() {
    use crate::rule::ruleset::{Base, ChainKind, Hook};
    use crate::rule::{Landing, Translation};
    let guest = || {
        let of_v4 = Condition::Narrow(Narrow::Family, Bits::single(0));
        vec![of_v4, Condition::Wide(Wide::Destination, Ranges::single(0x0a00_0005))]
    };
    // What is sent there itself is dropped before it is known where anything is led.
    let with = |text: &str, address: Landing, to: Landing| {
        let mut ruleset = closed(vec![line("ssh", vec![port(22)], Verdict::Accept)]);
        let to = Verdict::Translate(Translation { text: text.to_owned(), address, port: to });
        let chains = [
            (ChainKind::Filter, -300, line("raw", guest(), Verdict::Drop)),
            (ChainKind::Nat, -100, line(text, vec![port(2222)], to)),
        ];
        for (kind, priority, line) in chains {
            let mut chain = ruleset.tables[0].chains[0].clone();
            let hook = Hook::Prerouting;
            chain.base = chain.base.map(|base| Base { kind, hook, priority, drops: false, ..base });
            chain.lines = vec![line];
            ruleset.tables[0].chains.push(chain);
        }
        ruleset
    };
    let read = invariants("must-be-unreachable from any to 10.0.0.5 port 22", &Names::default()).expect("one");
    let said =
        |ruleset: &Ruleset| violations(ruleset, &read, "F", Budget::default()).pop().map(|found| found.explanation);
    let led = said(&with("dnat to 10.0.0.5:22", Landing::To(0x0a00_0005), Landing::To(22))).expect("it is led there");
    assert!(
        led.contains("does not hold: the verdict is accept: input eth0 203.0.113.9:40000 > 198.51.100.10:2222 tcp syn"),
        "{led}"
    );
    let pool = said(&with("dnat to 10.0.0.1-10.0.0.9:22", Landing::Open, Landing::To(22))).expect("it may be");
    assert!(
        pool.contains("whether it holds is not known") && pool.contains("where `dnat to 10.0.0.1-10.0.0.9:22` leads"),
        "{pool}"
    );
    assert_eq!(said(&with("dnat to 10.0.0.6:22", Landing::To(0x0a00_0006), Landing::To(22))), None);
}
