//! What of AFO is in the kernel, read from nft's own listing. Nothing is remembered: the kernel is asked, and this is its answer.

use super::block::BanSet;
use crate::backend::nftables::native::Hook;
use crate::backend::nftables::write::TABLE;
use crate::packet::Malformed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// AFO's table as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Whether AFO's table is there at all.
    pub table: bool,
    /// Whether nothing is missing that holds what is there together: bans are looked up after the never-block list, and every base chain of a
    /// policy chooses the same generation. A table that somebody flushed, or that came from the boot file, is there and not whole.
    pub whole: bool,
    /// The confirmed generation.
    pub generation: Option<u64>,
    /// The generation that is armed, its window open or lapsed.
    pub pending: Option<u64>,
    /// Whether the set that keeps a window open is there. Its elements say whether the window is open: [`window_open`](Self::window_open).
    pub armed: bool,
    /// Generations of which the kernel remembers flows, oldest first.
    pub flows: Vec<u64>,
    /// Every chain of a generation.
    pub generations: Vec<(u64, Hook)>,
    pub chains: BTreeSet<String>,
    /// Sets of bans that are looked up.
    pub ban_sets: BTreeSet<BanSet>,
    /// Sets whose name tells their content.
    pub content_sets: BTreeSet<String>,
    pub limits: BTreeSet<String>,
    /// Whether what is accepted carries the mark that doors of other programs' chains let through.
    pub marks: bool,
}

impl Live {
    /// Reads `nft -j list ruleset` or `nft -j list table inet afo`, terse (`-t`) or not.
    ///
    /// # Errors
    /// When the text is not nft's JSON.
    pub fn read(json: &str) -> Result<Self, Malformed> {
        let value: Value =
            serde_json::from_str(json).map_err(|e| Malformed(format!("nft's listing is not JSON: {e}")))?;
        let objects =
            value["nftables"].as_array().ok_or_else(|| Malformed::new("nft's listing has no `nftables` list"))?;
        let mut live = Self::default();
        objects.iter().for_each(|object| live.object(object));
        let mut ties = Ties::default();
        objects.iter().filter_map(|object| own(object, "rule")).for_each(|rule| ties.rule(rule));
        live.marks = objects.iter().filter_map(|object| own(object, "rule")).any(marks);
        (live.generation, live.pending) = (ties.generation(), ties.pending);
        live.whole = live.table && !live.chains.contains(super::BOOTED) && ties.hold(&live);
        live.flows.sort_unstable();
        live.generations.sort_unstable();
        Ok(live)
    }

    /// The sets of bans that are there or always should be.
    pub(super) fn all_ban_sets(&self) -> BTreeSet<BanSet> {
        BanSet::standing().into_iter().chain(self.ban_sets.iter().copied()).collect()
    }

    /// The generation that holds without a window, where it has a chain of this hook.
    pub(super) fn settled(&self, hook: Hook) -> Option<u64> {
        self.generation.filter(|number| self.generations.contains(&(*number, hook)))
    }

    /// The number of the next generation: above every one that is there.
    pub fn next(&self) -> u64 {
        let chains = self.generations.iter().map(|(number, _)| *number);
        chains.chain(self.flows.iter().copied()).max().unwrap_or(0) + 1
    }

    /// Whether the window is open, from `nft -j list set inet afo armed`: the kernel drops its elements when the time is over.
    pub fn window_open(json: &str) -> bool {
        let value: Value = serde_json::from_str(json).unwrap_or_default();
        let objects = value["nftables"].as_array().cloned().unwrap_or_default();
        let sets = objects.iter().filter_map(|object| own(object, "set"));
        sets.into_iter().any(|set| set["name"] == super::ARMED && set["elem"].as_array().is_some_and(|e| !e.is_empty()))
    }

    fn object(&mut self, object: &Value) {
        self.table |= own_name(object, "table").is_some_and(|name| name == TABLE);
        if let Some(name) = own(object, "chain").and_then(name_of) {
            self.chains.insert(name.to_owned());
            self.generations.extend(generation(name));
        }
        if let Some(name) = own(object, "set").and_then(name_of) {
            self.set(name);
        }
        if let Some(name) = own(object, "limit").and_then(name_of) {
            self.limits.insert(name.to_owned());
        }
    }

    fn set(&mut self, name: &str) {
        self.armed |= name == super::ARMED;
        self.flows.extend(name.strip_prefix('w').and_then(number));
        self.ban_sets.extend(BanSet::named(name));
        if ["a_", "p_", "ttl_", "rate4_", "rate6_"].iter().any(|prefix| name.starts_with(prefix)) {
            self.content_sets.insert(name.to_owned());
        }
    }
}

/// Whether a rule sets or clears the mark: AFO writes no other.
fn marks(rule: &Value) -> bool {
    let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().any(|step| step["mangle"]["key"]["meta"]["key"] == "mark")
}

/// What rules of AFO's base chains tie together.
#[derive(Debug, Default)]
struct Ties {
    /// The generations that hold without a window, by base chain.
    chosen: BTreeMap<Hook, u64>,
    pending: Option<u64>,
    /// The sets that the chains of bans look at.
    looked: BTreeSet<String>,
}

impl Ties {
    fn rule(&mut self, rule: &Value) {
        let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rights = steps.iter().filter_map(|step| step["match"]["right"].as_str());
        let of = |hook: &Hook| rule["chain"] == hook.name();
        if [Hook::Blocks, Hook::BlocksOutput, Hook::BlocksForward].iter().any(of) {
            self.looked.extend(rights.filter_map(|right| right.strip_prefix('@')).map(str::to_owned));
            return;
        }
        let target = steps.iter().find_map(|step| step["goto"]["target"].as_str());
        let choice = Hook::POLICY.into_iter().find(of).zip(target.and_then(generation));
        match choice {
            Some((_, (number, _))) if rights.into_iter().any(|right| right == "@armed") => self.pending = Some(number),
            Some((hook, (number, _))) => drop(self.chosen.insert(hook, number)),
            None => {}
        }
    }

    /// The generation that holds: the newest, where base chains do not agree.
    fn generation(&self) -> Option<u64> {
        self.chosen.values().copied().max()
    }

    fn hold(&self, live: &Live) -> bool {
        let bans = BanSet::standing().into_iter().chain(live.ban_sets.iter().copied());
        let looked = bans.map(BanSet::name).chain(["never4".to_owned(), "never6".to_owned()]);
        let bans = looked.into_iter().all(|set| self.looked.contains(&set));
        let Some(number) = self.generation() else { return bans };
        let own = live.generations.iter().filter(|(generation, _)| *generation == number).map(|(_, hook)| *hook);
        let filters = Hook::POLICY.into_iter().filter(|hook| !hook.is_nat());
        bans && own.chain(filters).all(|hook| self.chosen.get(&hook) == Some(&number))
    }
}

fn own<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.get(kind).filter(|body| body["family"] == "inet" && body["table"] == TABLE)
}

fn own_name<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    object.get(kind).filter(|body| body["family"] == "inet").and_then(name_of)
}

fn name_of(body: &Value) -> Option<&str> {
    body["name"].as_str()
}

fn number(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn generation(name: &str) -> Option<(u64, Hook)> {
    let (digits, hook) = name.strip_prefix('g')?.split_once('_')?;
    Some((number(digits)?, Hook::POLICY.into_iter().find(|h| h.name() == hook)?))
}
