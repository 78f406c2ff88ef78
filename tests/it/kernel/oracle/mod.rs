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
use afo::backend::nftables::{Heads, read};
use afo::rule::ruleset::{Condition, Line, Ruleset, Unread};
use afo::rule::{Direction, Packet};
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
/// Disagreements of one part that are made small and told.
const TOLD: usize = 3;
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

/// As what packets are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Whole,
    /// With a whole transport header, and more to come.
    FirstFragment,
}

impl As {
    fn send(self, lab: &mut Lab, packets: &[Packet], tracks: bool) -> Result<Vec<Option<Seen>>, LabError> {
        match self {
            Self::Whole => lab.send(packets, tracks),
            Self::FirstFragment => lab.send_first_fragments(packets),
        }
    }
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
    /// Those that were sent as later fragments, and as first ones.
    fragments: [usize; 2],
    /// Packets out of portions of the algebra.
    probes: usize,
    /// Rules that are held to be dead, and to make no difference.
    found: [usize; 2],
}

impl Count {
    fn packets(&self) -> usize {
        self.exact + self.chance
    }

    fn add(&mut self, seen: &Seen, form: As, how: Compared, sure: bool) {
        self.fragments[0] += usize::from(seen.sent.fragment);
        self.fragments[1] += usize::from(form == As::FirstFragment);
        match how {
            Compared::Exactly => self.exact += 1,
            Compared::ByChance => self.chance += 1,
        }
        self.open += usize::from(!sure);
    }
}

/// Loads a text into a lab; the ruleset with what nft's JSON leaves out, such as the devices of chains.
///
/// # Errors
/// When nft refuses it.
pub fn loaded(lab: &mut Lab, text: &str) -> Result<Ruleset, LabError> {
    let listing = lab.load(text)?;
    let mut ruleset = read(&listing).unwrap_or_else(|e| panic!("{e}: {listing:?} of\n{text}"));
    if Heads::are_missing(&ruleset) {
        let heads = lab.run("nft", &["-s", "-t", "list", "ruleset"], b"")?;
        let heads = String::from_utf8_lossy(&heads.stdout);
        Heads::of(&heads).amend(&mut ruleset);
        assert!(!Heads::are_missing(&ruleset), "{heads} says too little of\n{text}");
    }
    Ok(ruleset)
}

/// Loads a random ruleset; nothing where nft refuses it.
fn load(lab: &mut Lab, text: &Text) -> Option<Ruleset> {
    match loaded(lab, &text.to_string()) {
        Ok(ruleset) => Some(ruleset),
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
    count.found = [0, 1].map(|n| count.found[n] + algebra.found()[n]);
    let probes = algebra.probes(&aims, draw).into_iter().map(|(packet, portion)| (packet, Some(portion)));
    let mut all: Vec<_> = probes.chain((0..each).map(|_| (aims.packet(draw), None))).collect();
    let form = if !ruleset.tracks() && draw.chance(30) { As::FirstFragment } else { As::Whole };
    if form == As::FirstFragment {
        all.retain(|(packet, _)| may_be_first(&ruleset, packet));
    }
    let packets: Vec<_> = all.iter().map(|(packet, _)| packet.clone()).collect();
    let seen = form.send(lab, &packets, ruleset.tracks()).expect("packets are sent");
    for (seen, (_, portion)) in seen.into_iter().zip(&all) {
        let Some(seen) = seen else {
            count.unsent += 1;
            continue;
        };
        count.probes += usize::from(portion.is_some());
        match compare(&ruleset, &algebra, portion.as_ref(), &seen) {
            Ok((how, sure)) => count.add(&seen, form, how, sure),
            Err(words) => return Some(shrink::told(lab, form, text, &seen, &words)),
        }
    }
    None
}

/// Whether a packet can be sent as the first fragment of a larger one and is described by what it is as a whole: one of IPv6 has a
/// header more than that.
fn may_be_first(ruleset: &Ruleset, packet: &Packet) -> bool {
    let asks = |line: &Line| line.conditions.contains(&Condition::Unread(Unread::no_extension()));
    match packet.source.is_ipv4() {
        _ if packet.fragment => false,
        true => packet.direction != Direction::Input,
        false => !ruleset.lines().any(|(_, line)| asks(line)),
    }
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
    portion.map_or(Ok(()), |portion| is_of(ruleset, portion, seen))?;
    Ok((how, sure))
}

fn run(packets: usize, each: usize, size: Size, seed: u64) -> (Count, Vec<String>) {
    // Once one ruleset of a namespace tracks connections, the kernel puts fragments together there.
    let [mut tracking, mut plain] = [(); 2].map(|()| Lab::open(&INTERFACES).expect("a lab"));
    let (mut draw, mut count, mut wrong) = (Draw::new(seed), Count::default(), Vec::new());
    while count.packets() < packets && wrong.len() < TOLD {
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
        assert!(3 * count.chance.max(count.open) < count.exact, "too much is left open: {count:?}");
        assert!(count.unsent < count.exact, "too little could be sent: {count:?}");
        let empty = count.fragments.contains(&0) || count.found.contains(&0) || count.probes == 0;
        assert!(count.rulesets < 110 || !empty, "fragments, probes or findings are missing: {count:?}");
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
