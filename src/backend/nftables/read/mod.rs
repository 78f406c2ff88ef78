//! Reads the JSON of `nft -j list ruleset` (libnftables-json(5)) into a [`Ruleset`].
//!
//! Lossless in this sense: an object, a statement or a condition that is not known becomes something unread with its text, at
//! its place; it is never left out and never an error. Only text that is no listing at all is refused.
//!
//! What nft itself leaves out of a listing cannot be read of it: nft 1.0.6 shows `meta nfproto ipv6` neither before `reject with tcp reset`
//! nor before `meta l4proto icmp`, and such a rule is read as one of both families.

mod condition;
mod export;
mod extension;
mod field;
mod heads;
mod line;
mod listing;
mod node;
#[cfg(test)]
mod tests;
mod translation;
mod value;
mod words;

use super::content::Content;
use crate::rule::ruleset::{Base, Chain, ChainKind, Hook, NamedSet, Ruleset, Table, TableFamily};
pub use export::{Exported, export, export_with};
pub use extension::extensions;
use field::Kind;
pub use heads::Heads;
pub use listing::{ReadError, listing};
use listing::{Source, object};
use node::{Node, Tape};
use serde_json::Value;
use std::collections::HashMap;
use value::Sets;
use words::clip;

/// Reads a listing.
///
/// # Errors
/// When the text is no JSON, or JSON of another kind; what is inside a listing is never an error.
pub fn read(json: &str) -> Result<Ruleset, ReadError> {
    from(Source::Text(json))
}

/// Reads a listing that is parsed already.
///
/// # Errors
/// When it is no listing.
pub fn read_value(whole: &Value) -> Result<Ruleset, ReadError> {
    from(Source::Parsed(whole))
}

/// As [`read_value`] of commands that only declare some of their sets: `contents` holds the elements.
///
/// # Errors
/// As [`read_value`].
pub fn read_beside(whole: &Value, contents: &[Content]) -> Result<Ruleset, ReadError> {
    read_with(Source::Parsed(whole), contents)
}

fn from(source: Source<'_>) -> Result<Ruleset, ReadError> {
    read_with(source, &[])
}

fn read_with(source: Source<'_>, contents: &[Content]) -> Result<Ruleset, ReadError> {
    let mut reading = Reading::new(&[Part::Rules, Part::Others], contents);
    source.each(&mut |tape| reading.element(tape))?;
    if reading.unordered {
        // Rules name sets that a listing may show later: all else first.
        reading = Reading::new(&[Part::Others], contents);
        source.each(&mut |tape| reading.element(tape))?;
        reading.parts = &[Part::Rules];
        source.each(&mut |tape| reading.element(tape))?;
    }
    Ok(reading.ruleset)
}

/// The rules of a listing with family, table and chain, in order: what a [`Line`](crate::rule::ruleset::Line) leaves out of a
/// rule's statements is there.
pub(super) fn rule_objects(whole: &Value) -> Vec<(TableFamily, &str, &str, &Value)> {
    fn of(value: &Value) -> Option<(&str, &Value)> {
        let (key, body) = value.as_object().filter(|o| o.len() == 1)?.iter().next()?;
        if matches!(key.as_str(), "add" | "create" | "insert") { of(body) } else { Some((key, body)) }
    }
    let objects = whole.get("nftables").and_then(Value::as_array).into_iter().flatten();
    objects
        .filter_map(of)
        .filter(|(kind, _)| *kind == "rule")
        .filter_map(|(_, body)| {
            let text = |key: &str| body.get(key).and_then(Value::as_str);
            Some((family_of(text("family")?)?, text("table")?, text("chain")?, body))
        })
        .collect()
}

/// Which objects a pass over a listing takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Rules,
    Others,
}

/// A listing that is being read.
struct Reading<'a> {
    ruleset: Ruleset,
    /// What sets of AFO's hold that are only declared.
    contents: &'a [Content],
    parts: &'static [Part],
    tables: HashMap<(TableFamily, String), usize>,
    chains: HashMap<(usize, String), usize>,
    /// The sets of each table.
    sets: Vec<Sets<'a>>,
    /// Where the last rule stands: most rules stand in the same chain.
    last: Option<(usize, usize)>,
    /// Something that rules of its table may name came behind one of them.
    unordered: bool,
}

fn family_of(word: &str) -> Option<TableFamily> {
    TableFamily::ALL.into_iter().find(|family| family.as_str() == word)
}

fn family(body: Node<'_>) -> Option<TableFamily> {
    family_of(body.text("family")?)
}

fn handle(body: Node<'_>) -> Option<u64> {
    body.get("handle").and_then(Node::as_u64)
}

/// A string, or a list of strings.
fn strings(value: Option<Node<'_>>) -> Vec<String> {
    words::strings(value).map(str::to_owned).collect()
}

impl<'a> Reading<'a> {
    fn new(parts: &'static [Part], contents: &'a [Content]) -> Self {
        Self {
            contents,
            ruleset: Ruleset { backend: "nftables".to_owned(), ..Ruleset::default() },
            parts,
            tables: HashMap::new(),
            chains: HashMap::new(),
            sets: Vec::new(),
            last: None,
            unordered: false,
        }
    }

    /// One element of a listing.
    fn element(&mut self, tape: &mut Tape<'a>) {
        let part = match object(tape.root()) {
            Some(("rule", _)) => Part::Rules,
            _ => Part::Others,
        };
        if !self.parts.contains(&part) {
            return;
        }
        let known = match object(tape.root()) {
            Some(("rule", body)) => self.rule(body),
            Some(("set" | "map" | "meter" | "element", _)) => self.elements(tape),
            Some((kind, body)) => self.object(kind, body),
            None => None,
        };
        if known.is_none() {
            let text = match object(tape.root()) {
                Some((kind, body)) => format!("{kind} {}", clip(body)),
                None => clip(tape.root()),
            };
            self.ruleset.unread.push(text);
        }
    }

    fn object(&mut self, kind: &str, body: Node<'_>) -> Option<()> {
        match kind {
            "table" => self.table(body),
            "chain" => self.chain(body),
            // Rules name these in their own text; by themselves they decide nothing.
            "metainfo" | "counter" | "quota" | "limit" | "flowtable" | "ct helper" | "ct timeout"
            | "ct expectation" | "secmark" | "synproxy" => Some(()),
            _ => None,
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

    fn table(&mut self, body: Node<'_>) -> Option<()> {
        let at = self.table_of(family(body)?, body.text("name")?);
        self.ruleset.tables[at].dormant = words::strings(body.get("flags")).any(|flag| flag == "dormant");
        // nft 1.0.6 shows other words for the flags: the table may be dormant, or may not be.
        words::strings(body.get("flags")).all(|flag| matches!(flag, "dormant" | "owner" | "persist")).then_some(())
    }

    fn chain_of(&mut self, table: usize, name: &str) -> usize {
        let chains = &mut self.ruleset.tables[table].chains;
        *self.chains.entry((table, name.to_owned())).or_insert_with(|| {
            chains.push(Chain { name: name.to_owned(), handle: None, base: None, lines: Vec::new() });
            chains.len() - 1
        })
    }

    fn chain(&mut self, body: Node<'_>) -> Option<()> {
        let (family, name) = (family(body)?, body.text("name")?);
        let table = self.table_of(family, body.text("table")?);
        self.unordered |= self.has_rules(table);
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

    fn has_rules(&self, table: usize) -> bool {
        self.parts.contains(&Part::Rules)
            && self.ruleset.tables[table].chains.iter().any(|chain| !chain.lines.is_empty())
    }

    /// A set, or more elements of one: kept for the rules that look into it.
    fn elements(&mut self, tape: &mut Tape<'a>) -> Option<()> {
        let (kind, body) = object(tape.root())?;
        let (family, name) = (family(body)?, body.text("name")?.to_owned());
        let more = body.get("elem").and_then(Node::items);
        let named = match kind {
            "element" => {
                more?;
                None
            }
            _ => Some(named_set(kind, body, more.map_or(0, Iterator::count))),
        };
        let table = self.table_of(family, body.text("table")?);
        self.unordered |= self.has_rules(table);
        let body = std::mem::take(tape);
        match named {
            Some(mut set) => {
                self.sets[table].add(&name, body, set.changing);
                if let Some(content) = self.contents.iter().find(|content| content.name() == name) {
                    let kind = if content.is_ipv6() { Kind::V6 } else { Kind::V4 };
                    self.sets[table].give(&name, kind, content.ranges());
                    set.elements = content.count();
                }
                self.ruleset.tables[table].sets.push(set);
                Some(())
            }
            None => match self.sets[table].extend(&name, body) {
                None => Some(()),
                Some(body) => {
                    *tape = body;
                    None
                }
            },
        }
    }

    fn rule(&mut self, body: Node<'_>) -> Option<()> {
        let (family, table, chain) = (family(body)?, body.text("table")?, body.text("chain")?);
        let (table, chain) = match self.last.filter(|last| self.is_at(*last, family, table, chain)) {
            Some(last) => last,
            None => {
                let table = self.table_of(family, table);
                (table, self.chain_of(table, chain))
            }
        };
        self.last = Some((table, chain));
        let line = line::read(body, family, &self.sets[table]);
        self.ruleset.tables[table].chains[chain].lines.push(line);
        Some(())
    }

    fn is_at(&self, (at, chain_at): (usize, usize), family: TableFamily, table: &str, chain: &str) -> bool {
        let here = &self.ruleset.tables[at];
        here.family == family && here.name == table && here.chains[chain_at].name == chain
    }
}

fn named_set(kind: &str, body: Node<'_>, elements: usize) -> NamedSet {
    let changing = kind == "meter"
        || body.get("timeout").is_some()
        || words::strings(body.get("flags")).any(|flag| flag == "timeout" || flag == "dynamic");
    NamedSet {
        name: body.text("name").unwrap_or_default().to_owned(),
        handle: handle(body),
        key: strings(body.get("type")).join(" . "),
        is_map: body.get("map").is_some(),
        changing,
        elements,
    }
}

/// A base chain's binding; nothing where a part of it is not known: then the whole chain is.
fn base(body: Node<'_>) -> Option<Base> {
    let word = body.text("hook")?;
    let kind = match body.text("type") {
        Some("filter") => ChainKind::Filter,
        Some("nat") => ChainKind::Nat,
        Some("route") => ChainKind::Route,
        _ => return None,
    };
    let hook = Hook::ALL.into_iter().find(|hook| hook.as_str() == word)?;
    let priority = body.get("prio").and_then(Node::as_i64)?;
    let drops = match body.text("policy") {
        Some("accept") | None => false,
        Some("drop") => true,
        Some(_) => return None,
    };
    Some(Base { kind, hook, priority, drops, devices: strings(body.get("dev")) })
}
