//! Kernel, evaluator and algebra against each other: random rulesets, loaded, and packets sent through them.
//!
//! `AFO_ORACLE_PACKETS` and `AFO_ORACLE_SEED` say how many packets and from which seed (`scripts/oracle`). A disagreement is made
//! small before it is told: the fewest rules, the plainest packet.

pub mod aim;
mod algebra;
mod cases;
pub mod draw;
mod judge;
mod shrink;
mod text;
pub mod values;
mod write;

use super::in_namespace;
use afo::backend::nftables::read;
use afo::rule::ruleset::Ruleset;
use afo::sys::lab::{Lab, LabError};
use aim::Aims;
use algebra::{Algebra, is_of};
use draw::Draw;
use judge::{Compared, judge};
use text::Text;
use values::INTERFACES;
use write::Size;

const SIZE: Size = Size { tables: 3, rules: 9, odd: 12 };
/// Packets for each ruleset.
const PACKETS: usize = 400;

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
    unsent: usize,
}

impl Count {
    fn packets(&self) -> usize {
        self.exact + self.chance
    }
}

/// Loads a text; nothing where nft refuses it.
fn load(lab: &mut Lab, text: &Text) -> Option<Ruleset> {
    match lab.load(&text.to_string()) {
        Ok(listing) => Some(read(&listing).expect("a listing")),
        Err(LabError::Nft(words)) => {
            // Only a ruleset that nft takes as a whole can be compared; how many it refuses is counted.
            drop(words);
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// One random ruleset; what it was not agreed about, made small.
fn round(lab: &mut Lab, text: &Text, draw: &mut Draw, count: &mut Count) -> Option<String> {
    count.rulesets += 1;
    let Some(ruleset) = load(lab, text) else {
        count.refused += 1;
        return None;
    };
    let (aims, algebra) = (Aims::of(&ruleset), Algebra::of(&ruleset));
    let probes = algebra.probes(draw);
    let aimed = (0..PACKETS).map(|_| aims.packet(draw));
    let packets: Vec<_> = probes.iter().map(|(packet, _)| packet.clone()).chain(aimed).collect();
    for (n, seen) in lab.send(&packets, ruleset.tracks()).expect("packets are sent").into_iter().enumerate() {
        let Some(seen) = seen else {
            count.unsent += 1;
            continue;
        };
        let of_portion = probes.get(n).map_or(Ok(()), |(_, portion)| is_of(portion, &seen));
        match judge(&ruleset, &seen).and_then(|how| algebra.judge(&ruleset, &seen).and(of_portion).map(|()| how)) {
            Ok(Compared::Exactly) => count.exact += 1,
            Ok(Compared::ByChance) => count.chance += 1,
            Err(words) => return Some(shrink::told(lab, text, &seen, &words)),
        }
    }
    None
}

fn run(packets: usize, seed: u64) -> (Count, Vec<String>) {
    // Once one ruleset of a namespace tracks connections, the kernel puts fragments together there.
    let [mut tracking, mut plain] = [(); 2].map(|()| Lab::open(&INTERFACES).expect("a lab"));
    let (mut draw, mut count, mut wrong) = (Draw::new(seed), Count::default(), Vec::new());
    while count.packets() < packets && wrong.len() < 10 {
        let text = write::ruleset(&mut draw, SIZE);
        let lab = if text.to_string().contains("ct ") { &mut tracking } else { &mut plain };
        wrong.extend(round(lab, &text, &mut draw, &mut count));
    }
    (count, wrong)
}

#[test]
fn kernel_evaluator_and_algebra_agree_on_every_packet() {
    in_namespace(|_| {
        let packets = usize::try_from(number("AFO_ORACLE_PACKETS", 60_000)).expect("a count");
        let seed = number("AFO_ORACLE_SEED", 2026);
        let (count, wrong) = run(packets, seed);
        println!("seed {seed}: {count:?}");
        assert!(wrong.is_empty(), "seed {seed}, {count:?}, not agreed:\n{}", wrong.join("\n"));
        assert!(count.refused * 4 < count.rulesets, "nft refuses too many: {count:?}");
        assert!(count.chance < count.exact && count.unsent < count.exact, "too little was compared: {count:?}");
    });
}
