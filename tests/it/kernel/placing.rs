//! Where the analysis thinks that proposed rules would stand, against the listing of a kernel in which AFO has put them there.

use super::oracle::aim::Aims;
use super::oracle::draw::Draw as Aim;
use super::oracle::values::INTERFACES;
use super::{Host, in_namespace};
use crate::import::Draw;
use crate::placing::{merged, rules, same_fates};
use afo::analyze::with_rules;
use afo::backend::nftables::{Live, Policy, alone, install, read};
use afo::rule::evaluate::evaluate;
use afo::rule::ruleset::Ruleset;
use afo::rule::{Direction, Rule};
use afo::sys::lab::{Lab, Seen};

fn installed(host: &Host, rules: &[Rule]) -> Ruleset {
    let live = Live::read(&host.sh("nft -j -t list ruleset")).expect("a listing");
    let policy = Policy::of(rules).expect("each can be had");
    host.nft(&install(&policy, &live).to_string());
    if !policy.blocks().is_empty() {
        let live = Live::read(&host.sh("nft -j -t list ruleset")).expect("a listing");
        host.nft(&afo::backend::nftables::block(&policy.blocks(), &live).to_string());
    }
    read(&host.sh("nft -j list ruleset")).expect("a listing")
}

#[test]
fn proposed_rules_stand_in_the_kernel_where_they_are_thought_to() {
    in_namespace(|host| {
        let (mut draw, mut denied) = (Draw(2027), 0);
        for _ in 0..25 {
            host.nft("flush ruleset");
            host.nft(
                "table inet f { chain i { type filter hook input priority 0; policy drop; iif lo accept
                   ct state established,related accept; tcp dport { 22, 80-443 } accept; udp dport 53 accept; }; }",
            );
            let (before, more) = (rules(&mut draw, "a", 3), rules(&mut draw, "b", 2));
            let thought = with_rules(&installed(host, &before), &more);
            let all = merged(&before, &more);
            denied += same_fates(&mut draw, &thought, &installed(host, &all), &all);
        }
        assert!(denied > 1_000, "{denied} packets were denied");
    });
}

/// How many packets were dropped that the kernel and what is thought of the rules agree about; the rest passed.
fn agreed(seen: &[Option<Seen>], thought: &Ruleset, rules: &[Rule]) -> usize {
    let words = || rules.iter().map(Rule::to_line).collect::<Vec<_>>().join("\n");
    let mut denied = 0;
    for seen in seen.iter().flatten() {
        let mut luck = |_, text: &str| -> bool { panic!("{text} is left to luck:\n{}", words()) };
        let trace = evaluate(thought, &seen.sent, &mut luck).expect("no circle");
        assert_eq!(trace.fate.passes(), seen.passed, "{}: {:?}\n{}", seen.sent, seen.events, words());
        denied += usize::from(!seen.passed);
    }
    denied
}

/// Of a later fragment nft reads what stands where ports, flags and types would be, and of a first one these: what AFO writes reads them
/// as its analysis says.
#[test]
fn fragments_meet_the_rules_that_they_are_thought_to_meet() {
    in_namespace(|_| {
        let mut lab = Lab::open(&INTERFACES).expect("a lab");
        let (mut draw, mut aim, mut denied, mut tried) = (Draw(31), Aim::new(31), [0; 2], 0);
        while tried < 40 {
            let mut rules = rules(&mut draw, "a", 3);
            // What changes by itself is no matter of fragments, and of tracked connections none are left.
            rules.retain(|r| r.rate_limit.is_none() && r.ttl_seconds.is_none() && r.connection_state.is_any());
            let thought = with_rules(&Ruleset::default(), &rules);
            if rules.is_empty() || thought.tracks() {
                continue;
            }
            tried += 1;
            let policy = Policy::of(&rules).expect("each can be had");
            lab.load(&alone(&policy, &policy.blocks()).to_string()).expect("it loads");
            let aims = Aims::of(&thought);
            let packets = (0..1_000).map(|_| aims.packet(&mut aim));
            let (later, whole): (Vec<_>, Vec<_>) = packets.partition(|packet| packet.fragment);
            let first: Vec<_> =
                whole.into_iter().filter(|packet| packet.direction != Direction::Input).take(80).collect();
            let later = lab.send(&later, false).expect("they are sent");
            let first = lab.send_first_fragments(&first).expect("they are sent");
            denied = [denied[0] + agreed(&later, &thought, &rules), denied[1] + agreed(&first, &thought, &rules)];
        }
        assert!(denied.iter().all(|denied| *denied > 100), "{denied:?} later and first fragments were denied");
    });
}
