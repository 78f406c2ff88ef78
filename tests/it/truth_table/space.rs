//! The space: a few classes of values of five fields, rules over them, and what becomes of each point, by truth tables alone.

use afo::packet::{Bits, Cell, Narrow, Ranges, Wide};
use afo::rule::Packet;
use afo::rule::ruleset::{
    Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict, name_number,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Classes of values of each dimension; the last class is "any other".
pub const SIZES: [usize; 5] = [4, 4, 3, 3, 2];
pub const POINTS: usize = 4 * 4 * 3 * 3 * 2;

/// Which packets of the space.
#[derive(Clone, PartialEq, Eq)]
pub struct Truth(pub [bool; POINTS]);

impl Truth {
    pub const ALL: Self = Self([true; POINTS]);
    pub const NONE: Self = Self([false; POINTS]);

    fn with(&self, other: &Self, join: fn(bool, bool) -> bool) -> Self {
        Self(std::array::from_fn(|n| join(self.0[n], other.0[n])))
    }

    pub fn and(&self, other: &Self) -> Self {
        self.with(other, |a, b| a && b)
    }

    pub fn or(&self, other: &Self) -> Self {
        self.with(other, |a, b| a || b)
    }

    pub fn minus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a && !b)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// A rule of the space: for each dimension the classes that it asks for, as bits, and what it does.
#[derive(Debug, Clone)]
pub struct Small {
    pub asks: Vec<(usize, u8)>,
    pub verdict: Verdict,
}

impl Small {
    pub fn matches(&self) -> Truth {
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

    /// Its packets in the terms of the model.
    pub fn cell(&self) -> Cell {
        let mut cell = Cell::all().with_narrow(Narrow::Family, Bits::single(0));
        for (dimension, classes) in &self.asks {
            match condition(*dimension, *classes) {
                Condition::Wide(field, values) => cell.keep_wide(field, &values),
                Condition::Narrow(field, values) => cell.keep_narrow(field, values),
                _ => unreachable!("a condition is one field's"),
            }
        }
        cell
    }

    /// The same rule in the terms of the model.
    pub fn line(&self) -> Line {
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
pub struct World {
    pub chains: [Vec<Small>; 5],
    pub drops: [bool; 3],
}

pub const NAMES: [&str; 5] = ["pre", "early", "late", "s1", "s2"];

impl World {
    pub fn ruleset(&self) -> Ruleset {
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
    pub fn through(&self, seen: &mut Seen) -> [Truth; 2] {
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

    /// The same with only some of the rules that decide; the others do nothing.
    pub fn with_only(&self, kept: &BTreeSet<(usize, usize)>) -> Self {
        let mut less = self.clone();
        for (chain, rules) in less.chains.iter_mut().enumerate() {
            for (line, rule) in rules.iter_mut().enumerate() {
                let leads = matches!(rule.verdict, Verdict::Jump(_) | Verdict::Goto(_));
                if !leads && !kept.contains(&(chain, line)) {
                    rule.verdict = Verdict::Continue;
                }
            }
        }
        less
    }

    pub fn without(&self, chain: usize, line: usize) -> Self {
        let mut less = self.clone();
        less.chains[chain].remove(line);
        less
    }
}

/// What was found out of the rules, by chain and line.
#[derive(Debug, Default)]
pub struct Seen {
    /// Some packet reaches it.
    pub reached: BTreeSet<(usize, usize)>,
    /// Some way leads past it at all.
    pub passed: BTreeSet<(usize, usize)>,
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

pub fn small(level: usize) -> impl Strategy<Value = Small> {
    let ask = (0usize..5).prop_flat_map(|dimension| (Just(dimension), 1u8..(1 << SIZES[dimension])));
    (prop::collection::vec(ask, 0..4), verdict(level)).prop_map(|(asks, verdict)| Small { asks, verdict })
}

pub fn world() -> impl Strategy<Value = World> {
    let rules = |level, most| prop::collection::vec(small(level), 0..most);
    let chains = (rules(0, 4), rules(0, 7), rules(0, 7), rules(1, 5), rules(2, 4));
    (chains, any::<[bool; 3]>())
        .prop_map(|((pre, early, late, s1, s2), drops)| World { chains: [pre, early, late, s1, s2], drops })
}

/// The points that a packet may be: where its text says no ports, any of these.
pub fn points(packet: &Packet) -> Vec<usize> {
    let among = |value: u128, known: &[u128]| known.iter().position(|k| *k == value).unwrap_or(known.len());
    let number = |field| packet.wide(field);
    let port = among(number(Wide::DestinationPort), &[20, 21, 22]);
    let ports = if packet.protocol.has_ports() && !packet.fragment { port..port + 1 } else { 0..SIZES[1] };
    let point = |port: usize| {
        let classes = [
            among(number(Wide::Source), &[0x0a00_0001, 0x0a00_0002, 0x0a00_0003]),
            port,
            among(packet.narrow(Narrow::Protocol).into(), &[6, 17]),
            among(packet.narrow(Narrow::State).into(), &[0, 1]),
            among(number(Wide::InInterface), &[name_number("eth0")]),
        ];
        classes.iter().zip(SIZES).rev().fold(0, |point, (class, size)| point * size + class)
    };
    ports.map(point).collect()
}
