//! A second engine, for tests alone: every packet of a small header space by itself, sets of them as truth tables.
//!
//! It knows nothing of ranges, cells or searches, and nothing of the evaluator; what it says of dead rules, of rules that make no
//! difference and of equal rulesets must be what [`afo::analyze`] says.

use afo::analyze::{Budget, Wanted, audit, diff};
use afo::packet::{Bits, Narrow, Ranges, Wide};
use afo::record::FindingType;
use afo::rule::ruleset::{
    At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict, name_number,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Classes of values of each dimension; the last class is "any other".
const SIZES: [usize; 5] = [4, 4, 3, 3, 2];
const POINTS: usize = 4 * 4 * 3 * 3 * 2;
const BUDGET: Budget = Budget { steps: 200_000 };

/// Which packets of the space.
#[derive(Clone, PartialEq, Eq)]
struct Truth([bool; POINTS]);

impl Truth {
    const ALL: Self = Self([true; POINTS]);
    const NONE: Self = Self([false; POINTS]);

    fn with(&self, other: &Self, join: fn(bool, bool) -> bool) -> Self {
        Self(std::array::from_fn(|n| join(self.0[n], other.0[n])))
    }

    fn and(&self, other: &Self) -> Self {
        self.with(other, |a, b| a && b)
    }

    fn or(&self, other: &Self) -> Self {
        self.with(other, |a, b| a || b)
    }

    fn minus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a && !b)
    }

    fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// A rule of the space: for each dimension the classes that it asks for, as bits, and what it does.
#[derive(Debug, Clone)]
struct Small {
    asks: Vec<(usize, u8)>,
    verdict: Verdict,
}

impl Small {
    fn matches(&self) -> Truth {
        Truth(std::array::from_fn(|point| {
            let mut rest = point;
            let place: [usize; 5] = std::array::from_fn(|dimension| {
                let class = rest % SIZES[dimension];
                rest /= SIZES[dimension];
                class
            });
            self.asks.iter().all(|(dimension, classes)| classes >> place[*dimension] & 1 == 1)
        }))
    }

    /// The same rule in the terms of the model.
    fn line(&self) -> Line {
        let conditions = self.asks.iter().map(|(dimension, classes)| condition(*dimension, *classes)).collect();
        let outcome = Outcome::Verdict(self.verdict.clone());
        Line { handle: None, comment: None, text: format!("{self:?}"), conditions, alters: Vec::new(), outcome }
    }
}

fn condition(dimension: usize, classes: u8) -> Condition {
    let last = SIZES[dimension] - 1;
    let named = |value: &dyn Fn(usize) -> u128, all: Ranges| {
        let chosen = Ranges::of((0..last).filter(|n| classes >> n & 1 == 1).map(|n| (value(n), value(n))));
        let others = Ranges::of((0..last).map(|n| (value(n), value(n))));
        if classes >> last & 1 == 1 { chosen.or(&all.minus(&others)) } else { chosen }
    };
    let bits = |values: [u8; 2], all: Bits| {
        let others = all.minus(values.into_iter().collect());
        let chosen: Bits = (0..2).filter(|n| classes >> n & 1 == 1).map(|n| values[n]).collect();
        if classes >> 2 & 1 == 1 { chosen.or(others) } else { chosen }
    };
    match dimension {
        0 => Condition::Wide(Wide::Source, named(&|n| 0x0a00_0001 + n as u128, Ranges::one(0, u128::from(u32::MAX)))),
        1 => Condition::Wide(Wide::DestinationPort, named(&|n| 20 + n as u128, Wide::DestinationPort.all())),
        2 => Condition::Narrow(Narrow::Protocol, bits([6, 17], Bits::ALL)),
        3 => Condition::Narrow(Narrow::State, bits([0, 1], Narrow::State.all())),
        _ => Condition::Wide(Wide::InInterface, named(&|_| name_number("eth0"), Wide::InInterface.all())),
    }
}

/// Chains: base at prerouting, base at input early, base at input late, regular s1, regular s2.
#[derive(Debug, Clone)]
struct World {
    chains: [Vec<Small>; 5],
    drops: [bool; 3],
}

const NAMES: [&str; 5] = ["pre", "early", "late", "s1", "s2"];

impl World {
    fn ruleset(&self) -> Ruleset {
        let base = |n: usize| {
            let (hook, priority) = [(Hook::Prerouting, -150), (Hook::Input, -10), (Hook::Input, 0)][n];
            Base { kind: ChainKind::Filter, hook, priority, drops: self.drops[n], devices: Vec::new() }
        };
        let chain = |n: usize| Chain {
            name: NAMES[n].to_owned(),
            handle: None,
            base: (n < 3).then(|| base(n)),
            lines: self.chains[n].iter().map(Small::line).collect(),
        };
        let table = Table {
            family: TableFamily::Ip,
            name: "t".to_owned(),
            dormant: false,
            chains: (0..5).map(chain).collect(),
            sets: Vec::new(),
        };
        Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() }
    }

    /// What gets through for this host, and what through it: forwarded packets meet only the first chain.
    fn through(&self, seen: &mut Seen) -> [Truth; 2] {
        let mut passing = Truth::ALL;
        let mut forwarded = Truth::ALL;
        for chain in 0..3 {
            let mut run = Run { world: self, accepted: Truth::NONE, seen };
            let back = run.chain(chain, passing.clone(), Truth::ALL);
            let by_policy = if self.drops[chain] { Truth::NONE } else { back };
            passing = run.accepted.or(&by_policy);
            if chain == 0 {
                forwarded = passing.clone();
            }
        }
        [passing, forwarded]
    }

    fn without(&self, chain: usize, line: usize) -> Self {
        let mut less = self.clone();
        less.chains[chain].remove(line);
        less
    }
}

/// What was found out of the rules, by chain and line.
#[derive(Debug, Default)]
struct Seen {
    /// Some packet reaches it.
    reached: BTreeSet<(usize, usize)>,
    /// Some way leads past it at all.
    passed: BTreeSet<(usize, usize)>,
}

struct Run<'a> {
    world: &'a World,
    accepted: Truth,
    seen: &'a mut Seen,
}

impl Run<'_> {
    /// What comes back out of a chain of the packets that come in; `path` is what the jumps that lead here ask for.
    fn chain(&mut self, chain: usize, coming: Truth, path: Truth) -> Truth {
        let (mut here, mut back) = (coming, Truth::NONE);
        for (number, rule) in self.world.chains[chain].iter().enumerate() {
            self.seen.passed.insert((chain, number));
            let own = rule.matches();
            let taken = here.and(&own);
            if !taken.is_empty() {
                self.seen.reached.insert((chain, number));
            }
            let inner = path.and(&own);
            let rest = here.minus(&own);
            here = match &rule.verdict {
                Verdict::Accept => {
                    self.accepted = self.accepted.or(&taken);
                    rest
                }
                Verdict::Drop => rest,
                Verdict::Return => {
                    back = back.or(&taken);
                    rest
                }
                Verdict::Jump(name) => rest.or(&self.called(name, taken, inner)),
                Verdict::Goto(name) => {
                    back = back.or(&self.called(name, taken, inner));
                    rest
                }
                _ => here,
            };
        }
        back.or(&here)
    }

    fn called(&mut self, name: &str, coming: Truth, path: Truth) -> Truth {
        if path.is_empty() {
            return coming;
        }
        let chain = NAMES.iter().position(|n| *n == name).expect("a chain of the world");
        self.chain(chain, coming, path)
    }
}

fn verdict(level: usize) -> impl Strategy<Value = Verdict> {
    let calls = match level {
        0 => vec!["s1", "s2"],
        1 => vec!["s2"],
        _ => vec![],
    };
    let plain = prop_oneof![
        4 => Just(Verdict::Accept),
        4 => Just(Verdict::Drop),
        1 => Just(Verdict::Return),
        1 => Just(Verdict::Continue),
    ];
    if calls.is_empty() {
        return plain.boxed();
    }
    let call = (proptest::sample::select(calls), any::<bool>()).prop_map(|(name, back)| match back {
        true => Verdict::Jump(name.to_owned()),
        false => Verdict::Goto(name.to_owned()),
    });
    prop_oneof![4 => plain, 1 => call].boxed()
}

fn small(level: usize) -> impl Strategy<Value = Small> {
    let ask = (0usize..5).prop_flat_map(|dimension| (Just(dimension), 1u8..(1 << SIZES[dimension])));
    (prop::collection::vec(ask, 0..4), verdict(level)).prop_map(|(asks, verdict)| Small { asks, verdict })
}

fn world() -> impl Strategy<Value = World> {
    let rules = |level, most| prop::collection::vec(small(level), 0..most);
    let chains = (rules(0, 4), rules(0, 7), rules(0, 7), rules(1, 5), rules(2, 4));
    (chains, any::<[bool; 3]>())
        .prop_map(|((pre, early, late, s1, s2), drops)| World { chains: [pre, early, late, s1, s2], drops })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn dead_and_redundant_rules_are_those_of_the_truth_tables(world in world()) {
        let mut seen = Seen::default();
        let through = world.through(&mut seen);
        let findings = audit(&world.ruleset(), BUDGET);
        let named = |kind: &dyn Fn(&FindingType, bool) -> bool| -> BTreeSet<(usize, usize)> {
            findings.iter().filter(|f| kind(&f.kind, f.dead)).filter_map(|f| {
                let rule = f.rule.as_ref()?;
                Some((NAMES.iter().position(|n| Some(*n) == rule.chain.as_deref())?, rule.index?))
            }).collect()
        };
        let dead: BTreeSet<_> = seen.passed.difference(&seen.reached).copied().collect();
        prop_assert_eq!(named(&|_, dead| dead), dead);
        let idle = |(chain, line): &(usize, usize)| {
            matches!(world.chains[*chain][*line].verdict, Verdict::Accept | Verdict::Drop)
                && world.without(*chain, *line).through(&mut Seen::default()) == through
        };
        let redundant: BTreeSet<_> = seen.reached.iter().copied().filter(idle).collect();
        prop_assert_eq!(named(&|kind, dead| *kind == FindingType::Redundant && !dead), redundant);
        prop_assert!(findings.iter().all(|f| f.kind != FindingType::Unknown));
    }

    #[test]
    fn rulesets_are_equal_where_their_truth_tables_are(world in world(), chain in 0usize..5, line in 0usize..7, other in small(2)) {
        let mut changed = world.clone();
        let rules = &mut changed.chains[chain];
        match line < rules.len() {
            true => rules[line] = other,
            false => rules.push(other),
        }
        let same = world.through(&mut Seen::default()) == changed.through(&mut Seen::default());
        let answer = diff(&world.ruleset(), &changed.ruleset(), Wanted::Witness, BUDGET);
        prop_assert_eq!(answer.verdict.as_deref(), Some(if same { "equal" } else { "different" }), "{:?}", answer);
    }
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
    let at = At { table: 0, chain: 1, line: 2 };
    assert!(world.ruleset().line(at).is_some_and(|line| line.text.contains("(0, 1)")));
}
