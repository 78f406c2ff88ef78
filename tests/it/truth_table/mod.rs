//! A second engine, for tests alone: every packet of a small header space by itself, sets of them as truth tables.
//!
//! It decides without ranges, cells or searches, and without the evaluator ([`space`] only translates into them what is asked); what it says of dead rules and what covers them, of rules
//! that make no difference, of equal rulesets, of what a change does and of what gets through must be what [`afo::analyze`] says.

mod space;

use afo::analyze::{Budget, Query, Wanted, audit, diff, reach};
use afo::record::{Finding, FindingType};
use afo::rule::ruleset::{At, Verdict};
use afo::rule::{Direction, Packet};
use proptest::prelude::*;
use space::{NAMES, Seen, Small, Truth, World, points, small, world};
use std::collections::BTreeSet;

const BUDGET: Budget = Budget { steps: 200_000 };
/// Random rulesets for each question.
const CASES: u32 = 2000;

/// A rule by chain and line.
type Numbered = (usize, usize);

fn numbered(chain: Option<&str>, index: Option<usize>) -> Option<Numbered> {
    Some((NAMES.iter().position(|n| Some(*n) == chain)?, index?))
}

/// The rule that a finding is about.
fn about(finding: &Finding) -> Option<Numbered> {
    let rule = finding.rule.as_ref()?;
    numbered(rule.chain.as_deref(), rule.index)
}

/// Replaces a rule, or adds it at the end of a chain.
fn changed(world: &World, chain: usize, line: usize, other: Small) -> World {
    let mut changed = world.clone();
    let rules = &mut changed.chains[chain];
    match line < rules.len() {
        true => rules[line] = other,
        false => rules.push(other),
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn dead_and_redundant_rules_are_those_of_the_truth_tables(world in world()) {
        let mut seen = Seen::default();
        let through = world.through(&mut seen);
        let findings = audit(&world.ruleset(), BUDGET);
        let named = |kind: &dyn Fn(&FindingType, bool) -> bool| -> BTreeSet<Numbered> {
            findings.iter().filter(|f| kind(&f.kind, f.dead)).filter_map(about).collect()
        };
        let dead: BTreeSet<_> = seen.passed.difference(&seen.reached).copied().collect();
        prop_assert_eq!(named(&|_, dead| dead), dead);
        let verdict = |(chain, line): &Numbered| &world.chains[*chain][*line].verdict;
        let idle = |(chain, line): &Numbered| world.without(*chain, *line).through(&mut Seen::default()) == through;
        let told = named(&|kind, dead| matches!(kind, FindingType::Redundant | FindingType::Ineffective) && !dead);
        for rule in &told {
            prop_assert!(idle(rule), "{:?} can go", rule);
        }
        // A return or goto that leads past what changes nothing is not told, nor a jump of a chain that packets come through twice.
        let judged = |rule: &Numbered| match verdict(rule) {
            Verdict::Accept | Verdict::Drop => true,
            Verdict::Jump(_) => rule.0 < 3,
            _ => false,
        };
        let redundant: BTreeSet<_> = seen.reached.iter().copied().filter(|rule| judged(rule) && idle(rule)).collect();
        prop_assert_eq!(told.into_iter().filter(judged).collect::<BTreeSet<_>>(), redundant);
        prop_assert!(findings.iter().all(|f| f.kind != FindingType::Unknown));
    }

    /// What is said to cover a dead rule keeps every packet from it though no other rule decides anything.
    #[test]
    fn covers_of_dead_rules_cover_them(world in world()) {
        for finding in audit(&world.ruleset(), BUDGET).iter().filter(|finding| finding.dead) {
            let rule = about(finding).expect("a rule");
            let kept = finding.by.iter().filter_map(|place| numbered(place.chain.as_deref(), place.index)).collect();
            let mut seen = Seen::default();
            world.with_only(&kept).through(&mut seen);
            prop_assert!(!seen.reached.contains(&rule), "{:?} is reached past {:?}", rule, finding.by);
        }
    }

    #[test]
    fn rulesets_are_equal_where_their_truth_tables_are(world in world(), chain in 0usize..5, line in 0usize..7, other in small(2)) {
        let changed = changed(&world, chain, line, other);
        let same = world.through(&mut Seen::default()) == changed.through(&mut Seen::default());
        let answer = diff(&world.ruleset(), &changed.ruleset(), Wanted::Witness, BUDGET);
        prop_assert_eq!(answer.verdict.as_deref(), Some(if same { "equal" } else { "different" }), "{:?}", answer);
    }

    /// The classes of a change are of the kinds that there are, and each example is one.
    #[test]
    fn changes_are_those_of_the_truth_tables(world in world(), chain in 0usize..5, line in 0usize..7, other in small(2)) {
        let changed = changed(&world, chain, line, other);
        let (before, after) = (world.through(&mut Seen::default()), changed.through(&mut Seen::default()));
        let answer = diff(&world.ruleset(), &changed.ruleset(), Wanted::Classes, BUDGET);
        let way = |direction: Direction| usize::from(direction == Direction::Forward);
        let mut told = BTreeSet::new();
        for class in &answer.classes {
            let packet: Packet = class.example.as_deref().expect("an example").parse().expect("a packet");
            let (way, accepted) = (way(packet.direction), class.verdict == "newly_accepted");
            let so = |point: &usize| before[way].0[*point] != accepted && after[way].0[*point] == accepted;
            prop_assert!(points(&packet).iter().any(so), "{:?}", class);
            let kind = if accepted { "newly_accepted" } else { "newly_dropped" };
            prop_assert_eq!(class.verdict.as_str(), kind);
            told.insert((way, kind));
        }
        let more = |way: usize, a: &Truth, b: &Truth, kind| (!b.minus(a).is_empty()).then_some((way, kind));
        let there = (0..2).flat_map(|n| {
            let (then, now) = (&before[n], &after[n]);
            [more(n, then, now, "newly_accepted"), more(n, now, then, "newly_dropped")]
        });
        prop_assert_eq!(told, there.flatten().collect());
    }

    /// What gets through of the packets of a question.
    #[test]
    fn what_gets_through_is_what_the_truth_tables_let_through(world in world(), asked in small(2), forward in any::<bool>()) {
        let direction = if forward { Direction::Forward } else { Direction::Input };
        let cells = vec![(direction, asked.cell())];
        let query = Query { text: String::new(), cells, assumed: Vec::new(), names_source: false };
        let answer = reach(&world.ruleset(), &query, BUDGET);
        let through = world.through(&mut Seen::default())[usize::from(forward)].and(&asked.matches());
        let expected = if through.is_empty() { "drop" } else { "accept" };
        prop_assert_eq!(answer.verdict.as_deref(), Some(expected), "{:?}", answer);
        for class in &answer.classes {
            let packet: Packet = class.example.as_deref().expect("an example").parse().expect("a packet");
            prop_assert!(points(&packet).iter().any(|point| through.0[*point]), "{:?}", class);
        }
    }
}

/// What takes packets on one way to a rule leads others to it on another, but for a return before it: that is of the cover.
#[test]
fn a_return_past_what_covers_is_of_the_cover() {
    let rule = |asks: Vec<(usize, u8)>, verdict| Small { asks, verdict };
    let goto = || rule(vec![], Verdict::Goto("s1".to_owned()));
    let early = vec![rule(vec![(1, 0b1101)], Verdict::Return), rule(vec![], Verdict::Accept), goto()];
    let s1 = vec![rule(vec![(1, 0b0010)], Verdict::Accept), rule(vec![], Verdict::Accept)];
    let world = World { chains: [vec![], early, vec![goto()], s1, vec![]], drops: [false, true, false] };
    let findings = audit(&world.ruleset(), BUDGET);
    let dead = findings.iter().find(|found| found.dead && about(found) == Some((3, 1))).expect("it is dead");
    let by: Vec<_> = dead.by.iter().map(|place| (place.chain.as_deref(), place.index)).collect();
    assert!(by.contains(&(Some("early"), Some(0))), "{by:?}");
}

/// The place of a rule is what the audit names.
#[test]
fn a_rule_that_two_others_cover_is_dead() {
    let rule = |asks: Vec<(usize, u8)>, verdict| Small { asks, verdict };
    let early = vec![
        rule(vec![(1, 0b0001)], Verdict::Accept),
        rule(vec![(1, 0b1110), (0, 0b0011)], Verdict::Drop),
        rule(vec![(0, 0b0001)], Verdict::Drop),
    ];
    let world = World { chains: [vec![], early, vec![], vec![], vec![]], drops: [false; 3] };
    let mut seen = Seen::default();
    world.through(&mut seen);
    assert_eq!(seen.passed.difference(&seen.reached).collect::<Vec<_>>(), [&(1, 2)]);
    let ruleset = world.ruleset();
    let at = At { table: 0, chain: 1, line: 2 };
    assert!(ruleset.line(at).is_some_and(|line| line.text.contains("(0, 1)")));
    let dead: Vec<_> = audit(&ruleset, BUDGET).iter().filter(|found| found.dead).map(about).collect();
    assert_eq!(dead, [Some((1, 2))]);
}
