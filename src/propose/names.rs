//! The names that a person uses, resolved through the context and through nothing else.
//!
//! A name is its words: `db-server`, `DB server` and `db_server` are one. Singular and plural are one unless both are names.
//! There is no nearest match: what is not a name here is asked about.

use super::services;
use super::statement::{End, Traffic};
use crate::packet::InterfacePattern;
use crate::record::Context;
use std::collections::BTreeMap;

/// What one name can stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    End(End),
    Service(Vec<Traffic>),
}

/// Every name of a context by its words.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    by_words: BTreeMap<Vec<String>, Vec<Named>>,
    /// Names as they are written, sorted: for questions and hints.
    shown: Vec<(String, End)>,
    interfaces: Vec<String>,
    longest: usize,
}

/// Words that may follow the name of a zone.
const ZONE_NOUNS: &[&str] = &[
    "vlan",
    "network",
    "net",
    "zone",
    "subnet",
    "segment",
    "lan",
    "wlan",
    "wifi",
    "interface",
    "side",
    "client",
    "user",
    "host",
    "machine",
    "device",
    "people",
    "computer",
];
/// Words that may follow the name of a host.
const HOST_NOUNS: &[&str] = &["host", "machine", "server", "box", "computer", "address", "ip", "network"];

impl Names {
    /// The names of `context`.
    pub fn of(context: &Context) -> Self {
        let mut names = Self::default();
        for (name, interfaces) in &context.zones {
            let patterns: Option<Vec<InterfacePattern>> = interfaces.iter().map(|i| i.parse().ok()).collect();
            if let Some(patterns) = patterns.filter(|p| !p.is_empty()) {
                names.add_end(name, End::Zone(name.clone(), patterns));
            }
        }
        for (name, addresses) in context.hosts.iter().filter(|(_, a)| !a.is_empty()) {
            names.add_end(name, End::Host(name.clone(), addresses.clone()));
        }
        for (name, specs) in &context.services {
            if let Some(traffic) = services::of_context(specs) {
                names.add(name, Named::Service(traffic));
            }
        }
        names.add_interfaces(context);
        names
    }

    fn add_interfaces(&mut self, context: &Context) {
        for interface in &context.interfaces {
            let Ok(pattern) = interface.name.parse::<InterfacePattern>() else { continue };
            self.interfaces.push(interface.name.to_lowercase());
            let zone = |name: String| End::Zone(name, vec![pattern.clone()]);
            if interface.name.bytes().any(|b| b.is_ascii_digit()) || interface.name == "lo" {
                self.insert(vec![interface.name.to_lowercase()], Named::End(zone(interface.name.clone())));
            } else {
                self.add(&interface.name, Named::End(zone(interface.name.clone())));
            }
            if let Some(id) = interface.vlan_id {
                self.insert(vec!["vlan".into(), id.to_string()], Named::End(zone(format!("vlan {id}"))));
                self.insert(vec![format!("vlan{id}")], Named::End(zone(format!("vlan {id}"))));
            }
        }
    }

    fn add_end(&mut self, name: &str, end: End) {
        self.shown.push((name.to_owned(), end.clone()));
        self.add(name, Named::End(end));
    }

    fn add(&mut self, name: &str, named: Named) {
        let words = words_of(name);
        if !words.is_empty() {
            self.insert(words, named);
        }
    }

    fn insert(&mut self, words: Vec<String>, named: Named) {
        self.longest = self.longest.max(words.len());
        let known = self.by_words.entry(words).or_default();
        if !known.contains(&named) {
            known.push(named);
        }
    }

    /// What the words stand for: exactly, else with the last of them in the other number.
    fn lookup(&self, words: &[String]) -> &[Named] {
        if let Some(found) = self.by_words.get(words) {
            return found;
        }
        let Some((last, head)) = words.split_last() else { return &[] };
        let other = |w: &String| stem(w) == stem(last) && w.len().abs_diff(last.len()) <= 2;
        let mut near = self
            .by_words
            .iter()
            .filter(|(known, _)| known.split_last().is_some_and(|(w, rest)| rest == head && other(w)));
        match (near.next(), near.next()) {
            (Some((_, found)), None) => found,
            _ => &[],
        }
    }

    /// What the name at the start of `tokens` can stand for, with the number of tokens that each reading takes.
    pub fn at(&self, tokens: &[&str]) -> Vec<(Named, usize)> {
        let mut out: Vec<(Named, usize)> = Vec::new();
        let mut words = Vec::new();
        for (n, token) in tokens.iter().enumerate().take(self.longest) {
            words.extend(words_or_whole(token));
            let after = tokens.get(n + 1).copied().map(stem);
            let whole: &[Named] = match tokens.get(n + 1) {
                Some(next) => self.lookup(&[words.clone(), words_or_whole(next)].concat()),
                None => &[],
            };
            for named in self.lookup(&words).iter().chain(self.whole(token).filter(|_| n == 0)) {
                out.push((named.clone(), n + 1));
                if whole.is_empty() && after.is_some_and(|noun| takes(named, noun)) {
                    out.push((named.clone(), n + 2));
                }
            }
        }
        out.dedup();
        out
    }

    /// A token that is one name though it holds a dash or a dot: an interface.
    fn whole(&self, token: &str) -> impl Iterator<Item = &Named> {
        let split = words_or_whole(token).len() > 1;
        let found = if split { self.by_words.get(&vec![token.to_owned()]) } else { None };
        found.into_iter().flatten()
    }

    /// Zones and hosts, for a question.
    pub fn places(&self) -> &[(String, End)] {
        &self.shown
    }

    /// Every word of every name, for a hint.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.by_words.keys().flatten().map(String::as_str)
    }

    /// Whether the context says which interfaces there are.
    pub fn knows_interfaces(&self) -> bool {
        !self.interfaces.is_empty()
    }
}

/// Whether a noun may follow what was named: "guest network", "mail host".
fn takes(named: &Named, noun: &str) -> bool {
    let nouns = match named {
        Named::End(End::Zone(..)) => ZONE_NOUNS,
        Named::End(_) => HOST_NOUNS,
        Named::Service(_) => return false,
    };
    nouns.iter().any(|known| stem(known) == noun)
}

/// A word without the ending of its plural.
pub(super) fn stem(word: &str) -> &str {
    let cut = word.strip_suffix('s').filter(|rest| rest.len() > 2 && !rest.ends_with('s'));
    cut.map_or(word, |rest| rest.strip_suffix("'").unwrap_or(rest))
}

fn words_of(name: &str) -> Vec<String> {
    name.to_lowercase().split([' ', '-', '_']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn words_or_whole(token: &str) -> Vec<String> {
    let words = words_of(token);
    if words.is_empty() { vec![token.to_owned()] } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let context: Context = serde_json::from_str(
            r#"{"interfaces":[{"name":"eth0"},{"name":"eth1.20","vlan_id":20}],
                "zones":{"guest":["eth1.20"],"lan":["eth1"]},
                "hosts":{"db server":["10.0.0.5"],"db":["10.0.0.9"],"printer":["10.0.0.7"]},
                "services":{"billing api":["tcp/7000"]}}"#,
        )
        .expect("context");
        Names::of(&context)
    }

    fn found(text: &str) -> Vec<(String, usize)> {
        let tokens: Vec<&str> = text.split(' ').collect();
        let shown = |named| match named {
            Named::End(End::Zone(name, _) | End::Host(name, _)) => name,
            other => format!("{other:?}"),
        };
        names().at(&tokens).into_iter().map(|(named, n)| (shown(named), n)).collect()
    }

    #[test]
    fn names_by_their_words() {
        assert_eq!(found("guests"), [("guest".into(), 1)]);
        assert_eq!(found("guest networks"), [("guest".into(), 1), ("guest".into(), 2)]);
        assert_eq!(found("db-server"), [("db server".into(), 1)]);
        assert_eq!(found("eth1.20"), [("eth1.20".into(), 1)]);
        assert_eq!(found("vlan 20"), [("vlan 20".into(), 2)]);
        assert_eq!(found("billing api").len(), 1);
    }

    #[test]
    fn the_longer_name_is_not_the_shorter_with_a_noun() {
        assert_eq!(found("db server"), [("db".into(), 1), ("db server".into(), 2)]);
    }

    #[test]
    fn nothing_is_matched_by_nearness() {
        for text in ["gest", "guestt", "prnter", "lam", "eth7", "dbs-server"] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
