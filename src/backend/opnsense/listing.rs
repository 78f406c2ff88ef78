//! What the API says of a firewall: the reply of `search_rule`, read without loss.
//!
//! A reply is text from outside: whatever it holds, it is read as values or refused, and nothing of it is followed.

use super::alias::Aliases;
use super::document::{ANY_FLAGS, Document, Tag};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Why a reply says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the reply is not JSON: {0}")]
    NotJson(String),
    #[error("the reply is no list of {0}: there is no array `rows`")]
    NoRows(&'static str),
    #[error("the reply has {0} of {1} {2}: the rest is missing")]
    Short(usize, u64, &'static str),
    #[error("row {0} of the {1} is no object")]
    NoRow(usize, &'static str),
    #[error("two rules have the id `{0}`")]
    Twice(String),
}

/// One rule of the firewall's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its fields, each as text. Lists and objects that the API adds for its own pages are left out.
    pub fields: BTreeMap<String, String>,
    /// Where it stands: the group, and the number within it.
    pub order: (u64, u64),
}

impl Entry {
    /// The value of a field; empty where there is none.
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// Whether a field is on.
    pub fn is_on(&self, field: &str) -> bool {
        is_on(self.get(field))
    }

    /// The id by which the API changes it; none of a rule that it cannot change. Rules of the firewall itself have another one in each
    /// reply.
    pub fn uuid(&self) -> Option<&str> {
        Some(self.get("uuid")).filter(|uuid| !uuid.is_empty() && !self.is_legacy())
    }

    /// Whether it is none of those that the API changes.
    pub fn is_legacy(&self) -> bool {
        self.is_on("legacy")
    }

    /// AFO's mark on it.
    pub fn tag(&self) -> Option<Tag> {
        self.uuid().and_then(|_| Tag::read(self.get("description")))
    }

    /// Whether AFO made it.
    pub fn is_own(&self) -> bool {
        self.uuid().is_some() && self.get("description").starts_with("afo ")
    }

    fn read(row: &Map<String, Value>) -> Self {
        let plain = row.iter().filter_map(|(name, value)| Some((name.clone(), words(value)?)));
        let mut entry = Self { fields: plain.collect(), order: (0, 0) };
        SHOWN.iter().for_each(|(field, shown, value)| entry.respell(field, shown, value));
        entry.order = entry.place();
        entry
    }

    fn respell(&mut self, field: &str, shown: &str, value: &str) {
        if let Some(told) = self.fields.get_mut(field).filter(|told| told.eq_ignore_ascii_case(shown)) {
            value.clone_into(told);
        }
    }

    /// `sort_order` is the group, a dot, and seven digits; where a version has none, what it would be (FilterRuleField.php).
    fn place(&self) -> (u64, u64) {
        let told = self.get("sort_order").split_once('.');
        if let Some(order) = told.and_then(|(group, rest)| Some((group.parse().ok()?, rest.parse().ok()?))) {
            return order;
        }
        let count = self.get("interface").split(',').filter(|name| !name.is_empty()).count();
        let group = if count == 1 { 400_000 } else { 200_000 };
        (group, self.get("sequence").parse().unwrap_or(0))
    }

    /// What others than AFO would have to change so that it decides otherwise.
    fn digest(&self, hash: &mut Sha256) {
        let kept = self.fields.iter().filter(|(name, value)| decides(name) && !is_off(value));
        for (name, value) in kept.filter(|(name, _)| name.as_str() != "uuid" || !self.is_legacy()) {
            hash.update(format!("{name}\t{}\n", value.replace('\n', "\\n")));
        }
        hash.update("\n");
    }

    /// Whether it says what a document says, on or off.
    pub fn says(&self, document: &Document) -> bool {
        let equal = |name: &str, value: &str| {
            // What a version does not know it does not tell.
            let told = self.fields.get(name).map(String::as_str);
            told.is_none_or(|told| sorted(told) == sorted(value) || is_off(told) && is_off(value))
        };
        let mut known = document.fields.iter().filter(|(name, _)| **name != "enabled");
        let any = document.get(ANY_FLAGS).is_empty() && self.is_on(ANY_FLAGS);
        known.all(|(name, value)| equal(name, value)) && !any
    }
}

/// What versions show in place of values: field, what is shown, the value (Filter.xml).
const SHOWN: [(&str, &str, &str); 10] = [
    ("action", "Pass", "pass"),
    ("action", "Block", "block"),
    ("action", "Reject", "reject"),
    ("direction", "In", "in"),
    ("direction", "Out", "out"),
    ("direction", "Both", "any"),
    ("ipprotocol", "IPv4", "inet"),
    ("ipprotocol", "IPv6", "inet6"),
    ("ipprotocol", "IPv4+IPv6", "inet46"),
    ("statetype", "keep state", "keep"),
];

/// Whether a value says yes.
pub fn is_on(value: &str) -> bool {
    !is_off(value)
}

fn is_off(value: &str) -> bool {
    matches!(value, "" | "0" | "false")
}

fn sorted(list: &str) -> Vec<&str> {
    let mut items: Vec<&str> = list.split(',').collect();
    items.sort_unstable();
    items
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(on) => Some(if *on { "1" } else { "0" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a field of a row is of the rule, not a count or a word for the API's own pages.
fn decides(name: &str) -> bool {
    const TOLD: [&str; 8] = ["evaluations", "packets", "bytes", "states", "pf_rules", "label", "ref", "category"];
    !name.starts_with('%') && !name.starts_with("alias_meta_") && !TOLD.contains(&name)
}

/// The rows of a reply that lists `what`.
///
/// # Errors
/// When it is no such reply, or not the whole of it.
pub fn rows(reply: &str, what: &'static str) -> Result<Vec<Map<String, Value>>, ReplyError> {
    let value: Value = serde_json::from_str(reply).map_err(|e| ReplyError::NotJson(e.to_string()))?;
    let rows = value.get("rows").and_then(Value::as_array).ok_or(ReplyError::NoRows(what))?;
    let total = value.get("total").and_then(Value::as_u64);
    if let Some(total) = total.filter(|total| *total > rows.len() as u64) {
        return Err(ReplyError::Short(rows.len(), total, what));
    }
    let row = |(n, row): (usize, &Value)| row.as_object().cloned().ok_or(ReplyError::NoRow(n + 1, what));
    rows.iter().enumerate().map(row).collect()
}

/// Whether a text is a reply of `search_rule`.
pub fn is_listing(text: &str) -> bool {
    let begins = text.trim_start().starts_with('{') && text.contains("\"rows\"");
    begins && serde_json::from_str::<Value>(text).is_ok_and(|value| value.get("rows").is_some_and(Value::is_array))
}

/// The rules and aliases of a firewall.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// In the order in which pf has them.
    pub entries: Vec<Entry>,
    pub aliases: Aliases,
    /// Translations, where they are told.
    pub nat: Vec<Entry>,
}

impl Listing {
    /// Reads the reply of `search_rule`, and where it is known that of `search_item` of the aliases.
    ///
    /// # Errors
    /// When a reply is none.
    pub fn read(rules: &str, aliases: Option<&str>) -> Result<Self, ReplyError> {
        let mut entries: Vec<Entry> = rows(rules, "rules")?.iter().map(Entry::read).collect();
        entries.sort_by_key(|entry| entry.order);
        let mut seen = BTreeSet::new();
        if let Some(twice) = entries.iter().filter_map(Entry::uuid).find(|uuid| !seen.insert(*uuid)) {
            return Err(ReplyError::Twice(twice.to_owned()));
        }
        let aliases = aliases.map(Aliases::read).transpose()?.unwrap_or_default();
        Ok(Self { entries, aliases, nat: Vec::new() })
    }

    /// The same with translations, as the replies of their `search_rule` tell them.
    ///
    /// # Errors
    /// When a reply is none.
    pub fn with_nat(mut self, replies: &[String]) -> Result<Self, ReplyError> {
        for reply in replies {
            self.nat.extend(rows(reply, "translations")?.iter().map(Entry::read));
        }
        Ok(self)
    }

    /// The rules of others alone.
    pub fn without_own(mut self) -> Self {
        self.entries.retain(|entry| !entry.is_own());
        self
    }

    /// The rules that AFO made.
    pub fn own(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_own())
    }

    /// The rules and aliases of others, as a hash.
    pub fn others(&self) -> String {
        let mut hash = Sha256::new();
        self.entries.iter().filter(|entry| !entry.is_own()).for_each(|entry| entry.digest(&mut hash));
        self.nat.iter().for_each(|entry| entry.digest(&mut hash));
        self.aliases.digest(&mut hash);
        hex(&hash.finalize())
    }

    /// All of it, as a hash.
    pub fn whole(&self) -> String {
        let mut hash = Sha256::new();
        self.entries.iter().for_each(|entry| entry.digest(&mut hash));
        self.nat.iter().for_each(|entry| entry.digest(&mut hash));
        self.aliases.digest(&mut hash);
        hex(&hash.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
