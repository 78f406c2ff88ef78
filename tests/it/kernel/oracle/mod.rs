//! Kernel, evaluator and algebra against each other: random rulesets, loaded, and packets sent through them.
//!
//! Each part is a test of its own, so that they run side by side. `AFO_ORACLE_PACKETS` says how many packets they compare together,
//! `AFO_ORACLE_EACH` how many are aimed at each ruleset, `AFO_ORACLE_SEED` from which seed (`scripts/oracle`). A disagreement is made small
//! before it is told: the fewest rules, the plainest packet.

pub mod aim;
pub mod algebra;
mod cases;
mod collection;
mod conditions;
pub mod draw;
mod judge;
mod shrink;
mod text;
pub mod values;
mod write;

use super::in_namespace;
use afo::analyze::Portion;
use afo::backend::nftables::read;
use afo::rule::ruleset::Ruleset;
use afo::sys::lab::{Lab, LabError, Seen};
use aim::Aims;
use algebra::{Algebra, is_of};
use draw::Draw;
use judge::{Compared, judge};
use text::Text;
use values::INTERFACES;
use write::Size;

/// Packets that the parts compare together, and those that are aimed at one ruleset.
const PACKETS: u64 = 200_000;
const EACH: u64 = 400;
/// What the rulesets of a part are like: of few rules; of many tables; of long chains; with much that is odd.
const PARTS: [Size; 4] = [
    Size { tables: 2, rules: 4, odd: 0 },
    Size { tables: 5, rules: 5, odd: 5 },
    Size { tables: 2, rules: 16, odd: 5 },
    Size { tables: 3, rules: 9, odd: 40 },
];

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What was compared.
#[derive(Debug, Default)]
struct Count {
    rulesets: usize,
    refused: usize,
    exact: usize,
    chance: usize,
    /// Those of which the algebra says only that one of several fates is theirs.
    open: usize,
    unsent: usize,
}

impl Count {
    fn packets(&self) -> usize {
        self.exact + self.chance
    }

    fn add(&mut self, how: Compared, sure: bool) {
        match how {
            Compared::Exactly => self.exact += 1,
            Compared::ByChance => self.chance += 1,
        }
        self.open += usize::from(!sure);
    }
}

/// Loads a text; nothing where nft refuses it.
fn load(lab: &mut Lab, text: &Text) -> Option<Ruleset> {
    match lab.load(&text.to_string()) {
        Ok(listing) => Some(read(&listing).unwrap_or_else(|e| panic!("{e}: {listing:?} of\n{text}"))),
        Err(LabError::Nft(words)) => {
            // Only a ruleset that nft takes as a whole can be compared; how many it refuses is counted.
            drop(words);
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// One random ruleset; what it was not agreed about, made small.
fn round(lab: &mut Lab, text: &Text, draw: &mut Draw, each: usize, count: &mut Count) -> Option<String> {
    count.rulesets += 1;
    let Some(ruleset) = load(lab, text) else {
        count.refused += 1;
        return None;
    };
    let (aims, algebra) = (Aims::of(&ruleset), Algebra::of(&ruleset));
    let probes = algebra.probes(&aims, draw);
    let aimed = (0..each).map(|_| aims.packet(draw));
    let packets: Vec<_> = probes.iter().map(|(packet, _)| packet.clone()).chain(aimed).collect();
    for (n, seen) in lab.send(&packets, ruleset.tracks()).expect("packets are sent").into_iter().enumerate() {
        let Some(seen) = seen else {
            count.unsent += 1;
            continue;
        };
        let portion = probes.get(n).map(|(_, portion)| portion);
        match compare(&ruleset, &algebra, portion, &seen) {
            Ok((how, sure)) => count.add(how, sure),
            Err(words) => return Some(shrink::told(lab, text, &seen, &words)),
        }
    }
    None
}

/// How a packet was compared, and whether the algebra knows its fate.
fn compare(
    ruleset: &Ruleset,
    algebra: &Algebra,
    portion: Option<&Portion>,
    seen: &Seen,
) -> Result<(Compared, bool), String> {
    let how = judge(ruleset, seen)?;
    let sure = algebra.judge(ruleset, seen)?;
    portion.map_or(Ok(()), |portion| is_of(portion, seen))?;
    Ok((how, sure))
}

fn run(packets: usize, each: usize, size: Size, seed: u64) -> (Count, Vec<String>) {
    // Once one ruleset of a namespace tracks connections, the kernel puts fragments together there.
    let [mut tracking, mut plain] = [(); 2].map(|()| Lab::open(&INTERFACES).expect("a lab"));
    let (mut draw, mut count, mut wrong) = (Draw::new(seed), Count::default(), Vec::new());
    while count.packets() < packets && wrong.len() < 10 {
        let text = write::ruleset(&mut draw, size);
        let lab = if text.to_string().contains("ct ") { &mut tracking } else { &mut plain };
        wrong.extend(round(lab, &text, &mut draw, each, &mut count));
    }
    (count, wrong)
}

/// Compares its share of all packets; at the end so many were compared, or it has failed.
fn part(number: usize) {
    in_namespace(|_| {
        let [all, each] = [("AFO_ORACLE_PACKETS", PACKETS), ("AFO_ORACLE_EACH", EACH)]
            .map(|(name, or)| usize::try_from(self::number(name, or)).expect("a count"));
        let share = all.div_ceil(PARTS.len());
        let seed = self::number("AFO_ORACLE_SEED", 2026) + ((number as u64) << 32);
        let (count, wrong) = run(share, each, PARTS[number], seed);
        println!("part {number}, seed {seed}: {} packets compared: {count:?}", count.packets());
        assert!(wrong.is_empty(), "seed {seed}, {count:?}, not agreed:\n{}", wrong.join("\n"));
        assert!(count.packets() >= share, "too little was compared: {count:?}");
        assert!(count.refused * 4 < count.rulesets, "nft refuses too many: {count:?}");
        assert!(count.chance < count.exact && count.open < count.exact, "too much is left open: {count:?}");
        assert!(count.unsent < count.exact, "too little could be sent: {count:?}");
    });
}

#[test]
fn agreed_about_every_packet_of_small_rulesets() {
    part(0);
}

#[test]
fn agreed_about_every_packet_of_many_tables() {
    part(1);
}

#[test]
fn agreed_about_every_packet_of_long_chains() {
    part(2);
}

#[test]
fn agreed_about_every_packet_of_odd_rulesets() {
    part(3);
}
