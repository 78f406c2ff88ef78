//! What must hold of a ruleset, line by line: `must-allow`, `must-deny`, `must-be-unreachable`; each failure with a packet.
//!
//! A line that is not understood is refused by its number. What cannot be decided is no pass: it is told as unknown.

mod court;
#[cfg(test)]
mod tests;

pub use court::violations;

use super::query::{Names, Query};
use crate::packet::Malformed;
use crate::rule::Packet;

/// What is demanded of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// All of them are accepted.
    Allow,
    /// None of them is accepted.
    Deny,
}

/// The packets that something is demanded of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    One(Box<Packet>),
    All(Query),
}

/// One line of a file of invariants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    /// From 1.
    pub line: usize,
    /// As it was written, without its comment.
    pub text: String,
    pub demand: Demand,
    subject: Subject,
}

impl Invariant {
    /// Whether it demands that named senders get through: then no ban may take their packets.
    pub fn spares_senders(&self) -> bool {
        self.demand == Demand::Allow
            && match &self.subject {
                Subject::One(_) => true,
                Subject::All(query) => query.names_source,
            }
    }
}

/// Reads a file of invariants: one a line, `#` begins a comment.
///
/// # Errors
/// Every line that is not understood, by its number.
pub fn invariants(text: &str, names: &Names) -> Result<Vec<Invariant>, Vec<(usize, Malformed)>> {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        match invariant(n + 1, line, names) {
            Ok(one) => found.push(one),
            Err(words) => bad.push((n + 1, words)),
        }
    }
    if bad.is_empty() { Ok(found) } else { Err(bad) }
}

fn without_comment(line: &str) -> &str {
    let starts = |(at, _): &(usize, &str)| *at == 0 || line[..*at].ends_with([' ', '\t']);
    line.match_indices('#').find(starts).map_or(line, |(at, _)| &line[..at])
}

fn invariant(line: usize, text: &str, names: &Names) -> Result<Invariant, Malformed> {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let rest = rest.trim();
    let (demand, subject) = match word {
        "must-allow" => (Demand::Allow, subject(rest, names)?),
        "must-deny" => (Demand::Deny, subject(rest, names)?),
        "must-be-unreachable" => (Demand::Deny, unreachable(rest, names)?),
        _ => {
            let known = "must-allow, must-deny and must-be-unreachable are";
            return Err(Malformed::new(format!("`{}` is no demand; {known}", word.escape_debug())));
        }
    };
    Ok(Invariant { line, text: text.split_whitespace().collect::<Vec<_>>().join(" "), demand, subject })
}

fn subject(text: &str, names: &Names) -> Result<Subject, Malformed> {
    if text.is_empty() {
        return Err(Malformed::new("it does not say which packets: a packet, or `from … to …`"));
    }
    match text.contains(" > ") {
        true => Ok(Subject::One(Box::new(text.parse()?))),
        false => Query::parse(text, names).map(Subject::All),
    }
}

/// From anywhere, this host too unless a source is named.
fn unreachable(text: &str, names: &Names) -> Result<Subject, Malformed> {
    let mut words = text.split_whitespace();
    let first = words.next().ok_or_else(|| Malformed::new("it does not say what must be unreachable"))?;
    let whole = if matches!(first, "to" | "from") { text.to_owned() } else { format!("to {text}") };
    let mut query = Query::parse(&whole, names)?;
    if !whole.split_whitespace().any(|word| matches!(word, "from" | "input" | "forward")) {
        // That this host has no way there is no mistake.
        if let Ok(own) = Query::parse(&format!("output from this-host {whole}"), names) {
            query.cells.extend(own.cells);
        }
    }
    Ok(Subject::All(query))
}
