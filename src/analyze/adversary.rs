//! Rulesets that make a search by boxes explode: every question ends with an answer, or says after how many steps it was given up.

use crate::packet::{Bits, Narrow, Ranges, Wide};
use crate::rule::ruleset::{
    Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict,
};

/// Numbers that are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u128) -> u128 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u128::from(self.0 >> 33) % most
    }

    fn range(&mut self, most: u128) -> Ranges {
        let (a, b) = (self.below(most), self.below(most));
        Ranges::one(a.min(b), a.max(b))
    }
}

/// The fields that boxes are drawn in, with how many values each has.
const FIELDS: [(Wide, u128); 5] = [
    (Wide::Source, 1 << 31),
    (Wide::Destination, 1 << 31),
    (Wide::SourcePort, 1 << 16),
    (Wide::DestinationPort, 1 << 16),
    (Wide::Mark, 1 << 31),
];

fn line(conditions: Vec<Condition>, verdict: Verdict) -> Line {
    let outcome = Outcome::Verdict(verdict);
    Line { handle: None, comment: None, text: String::new(), conditions, alters: Vec::new(), outcome }
}

fn v4(mut conditions: Vec<Condition>) -> Vec<Condition> {
    conditions.insert(0, Condition::Narrow(Narrow::Family, Bits::single(0)));
    conditions
}

fn ruleset(lines: Vec<Line>, mut chains: Vec<Chain>) -> Ruleset {
    let base = Base { kind: ChainKind::Filter, hook: Hook::Forward, priority: 0, drops: false, devices: Vec::new() };
    chains.insert(0, Chain { name: "forward".to_owned(), handle: None, base: Some(base), lines });
    let table = Table { family: TableFamily::Inet, name: "t".to_owned(), dormant: false, chains, sets: Vec::new() };
    Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() }
}

fn either(n: usize) -> Verdict {
    if n.is_multiple_of(2) { Verdict::Accept } else { Verdict::Drop }
}

/// Random boxes that are wide in five fields.
pub fn boxes(seed: u64, count: usize) -> Ruleset {
    let mut draw = Draw(seed);
    let lines = (0..count).map(|n| {
        let asked = FIELDS.iter().map(|(field, most)| Condition::Wide(*field, draw.range(*most))).collect();
        line(v4(asked), either(n))
    });
    ruleset(lines.collect(), Vec::new())
}

/// Slabs: each rule is narrow in one field and leaves all others open, so that those of five fields cross everywhere.
pub fn stars(seed: u64, count: usize) -> Ruleset {
    let mut draw = Draw(seed);
    let lines = (0..count).map(|n| {
        let (field, most) = FIELDS[n % FIELDS.len()];
        let first = draw.below(most);
        let values = Ranges::one(first, first + most / (4 * count as u128));
        line(v4(vec![Condition::Wide(field, values)]), either(n / FIELDS.len() + n))
    });
    ruleset(lines.collect(), Vec::new())
}

/// Stairs: what one field gains the others lose.
pub fn stairs(seed: u64, count: usize) -> Ruleset {
    let lines = (0..count).map(|n| {
        let asked = FIELDS.iter().enumerate().map(|(k, (field, most))| {
            let at = (n as u128 * (2 * k as u128 + 1) + u128::from(seed)) % count as u128 * most / count as u128;
            let values = if k % 2 == 0 { Ranges::one(0, at) } else { Ranges::one(at, most - 1) };
            Condition::Wide(*field, values)
        });
        line(v4(asked.collect()), either(n))
    });
    ruleset(lines.collect(), Vec::new())
}

/// Chains of a depth that each lead to the next by as many rules: ways multiply with every level.
pub fn tall(seed: u64, depth: usize, rules: usize, goes: bool) -> Ruleset {
    let mut draw = Draw(seed);
    let mut level = |next: usize| -> Vec<Line> {
        (0..rules)
            .map(|n| {
                let (field, most) = FIELDS[(next + n) % FIELDS.len()];
                let asked = v4(vec![Condition::Wide(field, draw.range(most))]);
                let name = format!("c{next}");
                let leads = if goes { Verdict::Goto(name) } else { Verdict::Jump(name) };
                line(asked, if next > depth { either(n) } else { leads })
            })
            .collect()
    };
    let first = level(1);
    let chains = (1..=depth).map(|n| Chain { name: format!("c{n}"), handle: None, base: None, lines: level(n + 1) });
    ruleset(first, chains.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::{
        Budget, Detail, Names, Query, Wanted, conflicts, diff, invariants, reach, trace, violations, with_rules,
    };
    use crate::packet::Cell;
    use crate::record::ConflictType;
    use crate::rule::Rule;

    fn rule(line: &str) -> Rule {
        Rule::from_line(line).expect("a rule")
    }

    fn all(seed: u64) -> Vec<Ruleset> {
        vec![
            boxes(seed, 400),
            stars(seed, 400),
            stairs(seed, 400),
            tall(seed, 14, 2, false),
            tall(seed, 14, 4, false),
            tall(seed, 14, 4, true),
        ]
    }

    #[test]
    fn two_unlike_rulesets_are_compared_as_far_as_the_steps_go() {
        for (a, b) in all(1).iter().zip(&all(2)) {
            for wanted in [Wanted::Witness, Wanted::Classes] {
                let told = diff(a, b, wanted, Budget { steps: 50 });
                let given_up = |words: &String| {
                    words.contains("undecided after 50 steps") || words.contains("multiply to more than")
                };
                let verdict = told.verdict.as_deref();
                assert!(verdict == Some("different") || told.evidence.iter().any(given_up), "{told:?}");
                assert_ne!(verdict, Some("equal"), "{told:?}");
            }
        }
    }

    #[test]
    fn more_steps_find_what_fewer_do_not() {
        let (a, b) = (boxes(1, 12), boxes(2, 12));
        let verdict = |steps: usize| diff(&a, &b, Wanted::Witness, Budget { steps }).verdict;
        assert_eq!((verdict(1).as_deref(), verdict(20_000).as_deref()), (Some("unknown"), Some("different")));
    }

    #[test]
    fn a_proposal_is_judged_or_said_to_be_undecided() {
        let lines = [
            "p accept forward protocol=tcp",
            "p drop forward protocol=tcp,udp source_address=0.0.0.0/2",
            "p accept forward protocol=tcp source_address=10.0.0.0/24 destination_port=22",
        ];
        for live in all(1) {
            for line in lines {
                let told = conflicts(&live, &[rule(line)], Budget { steps: 1 });
                // Nobody may call fine what was not followed to its end.
                let open = told.conflicts.items.iter().any(|item| item.kind == ConflictType::Unknown);
                let classes = told.effect.newly_accepted.iter().chain(&told.effect.newly_dropped);
                let said = classes.count() > 0 || !told.conflicts.items.is_empty();
                assert!(open || said, "{line}: {told:?}");
            }
        }
    }

    #[test]
    fn invariants_and_questions_end() {
        let text = "must-allow from any to 10.0.0.0/8 port 22\nmust-deny from 1.0.0.0/8 to any port 443\n";
        let demands = invariants(text, &Names::default()).expect("demands");
        let query = Query::parse("forward", &Names::default()).expect("a query");
        let packet = "forward eth0 eth1 10.0.0.1:1 > 10.0.0.2:22 tcp syn".parse().expect("a packet");
        for live in all(3) {
            for finding in violations(&live, &demands, "file", Budget { steps: 20 }) {
                let known = finding.witness.is_some();
                let why = ["undecided after 20 steps", "multiply to more than"];
                assert!(known || why.iter().any(|why| finding.explanation.contains(why)), "{finding:?}");
            }
            let told = reach(&live, &query, Budget { steps: 20 });
            assert!(!told.classes.is_empty() || !told.evidence.is_empty(), "{told:?}");
            trace(&live, &packet, Detail::Short, Budget { steps: 20 }).expect("no circles");
        }
    }

    #[test]
    fn sets_within_sets_are_not_multiplied_out() {
        // Each of 14 chains is entered for one of 40 pairs: the products of all are more than any machine holds.
        let pairs = |level: u128| {
            let pair = |n: u128| {
                let port = Ranges::one(n * 7 + level, n * 7 + level + 200);
                Cell::all().with_wide(Wide::SourcePort, port.clone()).with_wide(Wide::DestinationPort, port)
            };
            Condition::AnyOf((0..40).map(pair).collect())
        };
        let mut live = tall(1, 14, 1, false);
        for (level, chain) in (0..).zip(&mut live.tables[0].chains) {
            chain.lines[0].conditions = v4(vec![pairs(level)]);
        }
        live.tables[0].chains[14].lines[0].outcome = Outcome::Verdict(Verdict::Drop);
        let rules = [rule("p accept forward protocol=tcp")];
        let told = conflicts(&live, &rules, Budget::default());
        let open = |item: &crate::record::Conflict| item.kind == ConflictType::Unknown;
        assert!(told.conflicts.items.iter().any(open), "{told:?}");
        assert!(with_rules(&live, &rules).tables.len() > 1);
    }
}
