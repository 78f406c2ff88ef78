//! Reads what iptables-save, ip6tables-save and `ipset save` print, alone or one after the other in one text, into a [`Ruleset`].
//!
//! Lossless in this sense: a match, a value or a target that is not known becomes something unread with its text, at its place. A
//! line that has no place at all is an error that names it; none is passed over.

mod action;
mod address;
mod condition;
mod connection;
mod element;
mod grammar;
mod names;
mod parse;
mod section;
mod sets;
mod target;
#[cfg(test)]
mod tests;
mod words;

use self::condition::Place;
use self::parse::Rule;
use self::section::{Entry, Parts, Section};
use self::sets::Sets;
use crate::rule::ruleset::{Alteration, Chain, Line, Outcome, Ruleset, Table, TableFamily};
use std::collections::{HashMap, HashSet};

pub(super) use self::action::{Action, actions};
pub(super) use self::section::hooks;
pub use self::section::lines_of;

/// Why a text is no dump.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {cause}")]
pub struct ReadError {
    /// Counted from 1.
    pub line: usize,
    pub cause: String,
}

impl ReadError {
    fn at(line: usize, cause: impl Into<String>) -> Self {
        Self { line, cause: cause.into() }
    }
}

/// Whether a text is meant as a dump: a line of it begins a table, `*filter`.
pub fn is_dump(text: &str) -> bool {
    let begins = |line: &str| {
        line.strip_prefix('*').is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()))
    };
    text.lines().any(|line| begins(line.trim()))
}

/// Reads dumps.
///
/// # Errors
/// The first line that has no place, a table that is there twice, a rule that iptables refuses.
pub fn read(text: &str) -> Result<Ruleset, ReadError> {
    let Parts { sections, sets, unread } = section::taken_apart(text)?;
    let mut ruleset = Ruleset { backend: "iptables".to_owned(), unread, ..Ruleset::default() };
    let families = sections.iter().map(|section| section::family(section, &sections)).collect::<Result<Vec<_>, _>>()?;
    for (section, family) in sections.into_iter().zip(families) {
        if ruleset.table(family, section.table).is_some() {
            let words = format!("the table `{}` of {} is there twice", section.table, family.as_str());
            return Err(ReadError::at(section.line, words));
        }
        ruleset.tables.push(table(section, family, &sets)?);
    }
    Ok(ruleset)
}

fn table(section: Section, family: TableFamily, sets: &Sets) -> Result<Table, ReadError> {
    let mut table =
        Table { family, name: section.table.to_owned(), dormant: false, chains: Vec::new(), sets: Vec::new() };
    for chain in &section.chains {
        let base = hooks(section.table, chain.name, chain.drops);
        table.chains.push(Chain { name: chain.name.to_owned(), handle: None, base, lines: Vec::new() });
    }
    let places: HashMap<&str, usize> = section.chains.iter().enumerate().map(|(at, c)| (c.name, at)).collect();
    let targets = section.chains.iter().map(|c| c.name).filter(|name| hooks(section.table, name, false).is_none());
    let place = Place { family, sets, native: section.native };
    let targets = targets.collect();
    // Each rule is given up as soon as it is understood: a hundred thousand of them take much room.
    for entry in section.entries {
        let (number, name, place_of) = (entry.line, entry.chain, entry.at);
        let line = line(entry, place, &targets).map_err(|cause| ReadError::at(number, cause))?;
        let chain = places.get(name).and_then(|at| table.chains.get_mut(*at));
        let no_chain = || ReadError::at(number, format!("the table `{}` has no chain `{name}`", section.table));
        let lines = &mut chain.ok_or_else(no_chain)?.lines;
        match place_of {
            None => lines.push(line),
            Some(at) if at <= lines.len() => lines.insert(at, line),
            Some(at) => {
                return Err(ReadError::at(number, format!("there is no place {} in chain `{name}`", at + 1)));
            }
        }
    }
    table.sets = sets.take_named();
    Ok(table)
}

/// One rule as a line of its chain.
fn line(entry: Entry, place: Place, chains: &HashSet<&str>) -> Result<Line, String> {
    let rule: &Rule = &entry.rule;
    let comment = rule.matches.iter().filter(|m| m.name == "comment").find_map(|m| m.option("comment"));
    let mut line = Line {
        handle: None,
        comment: comment.map(|option| option.value().to_owned()),
        text: entry.text,
        conditions: Vec::new(),
        alters: Vec::new(),
        outcome: Outcome::Next,
    };
    for option in &rule.own {
        condition::own(option, place.family, &mut line.conditions)?;
    }
    for extension in &rule.matches {
        condition::of_match(extension, place, &mut line.conditions);
        // What it writes down is what others ask about.
        if extension.name == "recent" && extension.option("rcheck").is_none() {
            line.alters.push(Alteration::Effect(extension.text("-m")));
        }
    }
    if let Some(target) = &rule.target {
        target::take(target, chains, place.family, &mut line);
    }
    Ok(line)
}
