//! Reads the JSON of `nft -j list ruleset` (libnftables-json(5)) into a [`Ruleset`].
//!
//! Lossless in this sense: an object, a statement or a condition that is not known becomes something unread with its text, at
//! its place; it is never left out and never an error. Only text that is no listing at all is refused.

mod condition;
mod extension;
mod field;
mod line;
#[cfg(test)]
mod tests;
mod value;
mod words;

use crate::rule::ruleset::{Base, Chain, ChainKind, Hook, NamedSet, Ruleset, Table, TableFamily};
pub use extension::extensions;
use serde_json::{Map, Value};
use std::collections::HashMap;
use value::Sets;
use words::clip;

/// Why a text is no listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("not JSON: {0}")]
    Broken(String),
    #[error("not a listing of nft: there is no array `nftables` at the top")]
    NoListing,
}

/// Reads a listing.
///
/// # Errors
/// When the text is no JSON, or JSON of another kind; what is inside a listing is never an error.
pub fn read(json: &str) -> Result<Ruleset, ReadError> {
    let whole: Value = serde_json::from_str(json).map_err(|e| ReadError::Broken(e.to_string()))?;
    read_value(&whole)
}

/// Reads a listing that is parsed already.
///
/// # Errors
/// When it is no listing.
pub fn read_value(whole: &Value) -> Result<Ruleset, ReadError> {
    let objects = whole.get("nftables").and_then(Value::as_array).ok_or(ReadError::NoListing)?;
    let mut reading =
        Reading { ruleset: Ruleset { backend: "nftables".to_owned(), ..Ruleset::default() }, ..Reading::default() };
    // Rules name sets that a listing may show later: all else first.
    for (kind, body) in objects.iter().filter_map(object).filter(|(kind, _)| *kind != "rule") {
        reading.object(kind, body);
    }
    for (kind, body) in objects.iter().filter_map(object).filter(|(kind, _)| *kind == "rule") {
        reading.rule(kind, body);
    }
    reading.ruleset.unread.extend(objects.iter().filter(|o| object(o).is_none()).map(clip));
    Ok(reading.ruleset)
}

/// The rules of a listing with family, table and chain, in order: what a [`Line`](crate::rule::ruleset::Line) leaves out of a
/// rule's statements is there.
pub(super) fn rule_objects(whole: &Value) -> Vec<(TableFamily, &str, &str, &Value)> {
    let objects = whole.get("nftables").and_then(Value::as_array).into_iter().flatten();
    objects
        .filter_map(object)
        .filter(|(kind, _)| *kind == "rule")
        .filter_map(|(_, body)| Some((family(body)?, text(body, "table")?, text(body, "chain")?, body)))
        .collect()
}

/// The one key of an object and its value; a command such as `{"add": {…}}` is what it adds.
fn object(value: &Value) -> Option<(&str, &Value)> {
    let (key, body) = value.as_object().filter(|o| o.len() == 1)?.iter().next()?;
    match key.as_str() {
        "add" | "create" | "insert" => object(body),
        _ => Some((key, body)),
    }
}

#[derive(Default)]
struct Reading {
    ruleset: Ruleset,
    tables: HashMap<(TableFamily, String), usize>,
    chains: HashMap<(usize, String), usize>,
    sets: Vec<Sets>,
}

fn text<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    body.get(key).and_then(Value::as_str)
}

fn family(body: &Value) -> Option<TableFamily> {
    let word = text(body, "family")?;
    TableFamily::ALL.into_iter().find(|family| family.as_str() == word)
}

fn handle(body: &Value) -> Option<u64> {
    body.get("handle").and_then(Value::as_u64)
}

/// A string, or a list of strings.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

impl Reading {
    fn object(&mut self, kind: &str, body: &Value) {
        let known = match kind {
            "metainfo" => Some(()),
            "table" => self.table(body),
            "chain" => self.chain(body),
            "set" | "map" | "meter" => self.set(kind, body),
            // Rules name these in their own text; by themselves they decide nothing.
            "counter" | "quota" | "limit" | "flowtable" | "ct helper" | "ct timeout" | "ct expectation" | "secmark"
            | "synproxy" => Some(()),
            "element" => self.elements(body),
            _ => None,
        };
        if known.is_none() {
            self.ruleset.unread.push(format!("{kind} {}", clip(body)));
        }
    }

    /// The number of a table; one that was not announced is made.
    fn table_of(&mut self, family: TableFamily, name: &str) -> usize {
        let next = self.ruleset.tables.len();
        let at = *self.tables.entry((family, name.to_owned())).or_insert(next);
        if at == next {
            let name = name.to_owned();
            self.ruleset.tables.push(Table { family, name, dormant: false, chains: Vec::new(), sets: Vec::new() });
            self.sets.push(Sets::default());
        }
        at
    }

    fn table(&mut self, body: &Value) -> Option<()> {
        let at = self.table_of(family(body)?, text(body, "name")?);
        self.ruleset.tables[at].dormant = strings(body.get("flags")).iter().any(|flag| flag == "dormant");
        Some(())
    }

    fn chain_of(&mut self, table: usize, name: &str) -> usize {
        let chains = &mut self.ruleset.tables[table].chains;
        *self.chains.entry((table, name.to_owned())).or_insert_with(|| {
            chains.push(Chain { name: name.to_owned(), handle: None, base: None, lines: Vec::new() });
            chains.len() - 1
        })
    }

    fn chain(&mut self, body: &Value) -> Option<()> {
        let (family, name) = (family(body)?, text(body, "name")?);
        let table = self.table_of(family, text(body, "table")?);
        let base = match body.get("hook") {
            Some(_) => Some(base(body)?),
            None => None,
        };
        let at = self.chain_of(table, name);
        let chain = &mut self.ruleset.tables[table].chains[at];
        chain.handle = handle(body);
        chain.base = base;
        Some(())
    }

    fn set(&mut self, kind: &str, body: &Value) -> Option<()> {
        let (family, name) = (family(body)?, text(body, "name")?);
        let table = self.table_of(family, text(body, "table")?);
        let changes = |flag: &String| flag == "timeout" || flag == "dynamic";
        let changing = kind == "meter"
            || body.get("timeout").is_some()
            || body.get("size").is_some() && strings(body.get("flags")).iter().any(|f| f == "timeout")
            || strings(body.get("flags")).iter().any(changes);
        let none = Vec::new();
        let elements = body.get("elem").and_then(Value::as_array).unwrap_or(&none);
        self.ruleset.tables[table].sets.push(NamedSet {
            name: name.to_owned(),
            handle: handle(body),
            key: strings(body.get("type")).join(" . "),
            is_map: body.get("map").is_some(),
            changing,
            elements: elements.len(),
        });
        self.sets[table].add(name, elements.clone(), changing);
        Some(())
    }

    fn elements(&mut self, body: &Value) -> Option<()> {
        let table = self.table_of(family(body)?, text(body, "table")?);
        self.sets[table].extend(text(body, "name")?, body.get("elem")?.as_array()?)
    }

    fn rule(&mut self, kind: &str, body: &Value) {
        let place = || Some((family(body)?, text(body, "table")?, text(body, "chain")?));
        let Some((family, table, chain)) = place() else {
            self.ruleset.unread.push(format!("{kind} {}", clip(body)));
            return;
        };
        let table = self.table_of(family, table);
        let chain = self.chain_of(table, chain);
        let line = line::read(body, family, &self.sets[table]);
        self.ruleset.tables[table].chains[chain].lines.push(line);
    }
}

/// A base chain's binding; nothing where a part of it is not known: then the whole chain is.
fn base(body: &Value) -> Option<Base> {
    let word = text(body, "hook")?;
    let kind = match text(body, "type") {
        Some("filter") => ChainKind::Filter,
        Some("nat") => ChainKind::Nat,
        Some("route") => ChainKind::Route,
        _ => return None,
    };
    let hook = Hook::ALL.into_iter().find(|hook| hook.as_str() == word)?;
    let priority = body.get("prio").and_then(Value::as_i64)?;
    let drops = match text(body, "policy") {
        Some("accept") | None => false,
        Some("drop") => true,
        Some(_) => return None,
    };
    Some(Base { kind, hook, priority, drops, devices: strings(body.get("dev")) })
}

/// The one key of a statement or expression, with what stands under it.
pub(super) fn single(value: &Value) -> Option<(&str, &Value)> {
    let map: &Map<String, Value> = value.as_object()?;
    map.iter().next().filter(|_| map.len() == 1).map(|(key, body)| (key.as_str(), body))
}
