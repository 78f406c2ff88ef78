//! What of AFO is in the kernel, read from nft's own listing. Nothing is remembered: the kernel is asked, and this is its answer.

use super::block::BanSet;
use crate::backend::nftables::native::Hook;
use crate::backend::nftables::write::TABLE;
use crate::packet::Malformed;
use serde_json::Value;
use std::collections::BTreeSet;

/// AFO's table as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Whether AFO's table is there at all.
    pub table: bool,
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
}

impl Live {
    /// Reads `nft -j list ruleset` or `nft -j list table inet afo`, terse (`-t`) or not.
    ///
    /// # Errors
    /// When the text is not nft's JSON, or base chains of AFO's disagree about the generation.
    pub fn read(json: &str) -> Result<Self, Malformed> {
        let value: Value =
            serde_json::from_str(json).map_err(|e| Malformed(format!("nft's listing is not JSON: {e}")))?;
        let objects =
            value["nftables"].as_array().ok_or_else(|| Malformed::new("nft's listing has no `nftables` list"))?;
        let mut live = Self::default();
        objects.iter().for_each(|object| live.object(object));
        for rule in objects.iter().filter_map(|object| own(object, "rule")) {
            live.choice(rule)?;
        }
        live.flows.sort_unstable();
        live.generations.sort_unstable();
        Ok(live)
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

    /// A base chain's rule that chooses a generation.
    fn choice(&mut self, rule: &Value) -> Result<(), Malformed> {
        let base = |hook: &Hook| rule["chain"] == hook.name();
        let Some(hook) = Hook::POLICY.into_iter().find(base) else {
            return Ok(());
        };
        let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
        let target = steps.iter().find_map(|step| step["goto"]["target"].as_str());
        let Some((number, _)) = target.and_then(generation) else {
            return Ok(());
        };
        let armed = steps.iter().any(|step| step["match"]["right"] == "@armed");
        let slot = if armed { &mut self.pending } else { &mut self.generation };
        match slot.replace(number) {
            Some(other) if other != number => Err(Malformed(format!(
                "chain {} of AFO's table chooses generation {number} and another chain {other}; `afo-deploy recover` puts this right",
                hook.name()
            ))),
            _ => Ok(()),
        }
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
