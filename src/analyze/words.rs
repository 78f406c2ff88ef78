//! Answers as words: places of rules, sets of packets, example packets.

use super::cells::Atoms;
use crate::packet::{
    ADDRESS_TYPES, Bits, Cell, MacAddress, NO_VLAN, Narrow, Protocol, Ranges, Wide, address_type_word,
};
use crate::record::Place;
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Ruleset, number_name};
use crate::rule::{ConnectionState, Direction, Packet, address_of, flag_words, status_words};
use std::fmt::Write as _;

/// More values of one field than this are counted, not listed.
const SHOWN: usize = 6;

/// Where a rule stands.
pub(super) fn place(ruleset: &Ruleset, at: At) -> Place {
    let table = ruleset.tables.get(at.table);
    let chain = table.and_then(|t| t.chains.get(at.chain));
    let line = ruleset.line(at);
    Place {
        backend: ruleset.backend.clone(),
        family: table.map(|t| t.family.to_string()),
        table: table.map(|t| t.name.clone()),
        chain: chain.map(|c| c.name.clone()),
        index: line.map(|_| at.line),
        handle: line.and_then(|l| l.handle),
        text: line.map_or_else(|| policy(ruleset, at.table, at.chain).to_owned(), |l| l.text.clone()),
    }
}

fn policy(ruleset: &Ruleset, table: usize, chain: usize) -> &'static str {
    let base = ruleset.tables.get(table).and_then(|t| t.chains.get(chain)).and_then(|c| c.base.as_ref());
    match base.is_some_and(|b| b.drops) {
        true => "policy drop",
        false => "policy accept",
    }
}

/// What decided, in one line: `inet filter input handle 7: tcp dport 22 drop`.
pub(super) fn decider(ruleset: &Ruleset, by: By) -> String {
    match by {
        By::Line(at) => standing(ruleset, at),
        By::Policy(table, chain) => standing(ruleset, At { table, chain, line: usize::MAX }),
        By::Nothing => "no rule".to_owned(),
    }
}

fn standing(ruleset: &Ruleset, at: At) -> String {
    let mut words = String::with_capacity(128);
    if let Some(table) = ruleset.tables.get(at.table) {
        let chain = table.chains.get(at.chain).map_or("", |chain| chain.name.as_str());
        let _ = write!(words, "{} {} {chain}", table.family, table.name);
    }
    let line = ruleset.line(at);
    let _ = match line.map(|line| line.handle) {
        Some(Some(handle)) => write!(words, " handle {handle}"),
        Some(None) => write!(words, " rule {}", at.line + 1),
        None => Ok(()),
    };
    words.push_str(": ");
    match line {
        Some(line) => words.push_str(&line.text),
        None => words.push_str(policy(ruleset, at.table, at.chain)),
    }
    words
}

/// A place in one line.
pub(super) fn line(place: &Place) -> String {
    let word = |part: &Option<String>| part.clone().unwrap_or_default();
    let number = match (place.handle, place.index) {
        (Some(handle), _) => format!(" handle {handle}"),
        (None, Some(index)) => format!(" rule {}", index + 1),
        (None, None) => String::new(),
    };
    format!("{} {} {}{number}: {}", word(&place.family), word(&place.table), word(&place.chain), place.text)
}

/// A packet of a cell as text, and what must hold besides where conditions were not read.
pub(super) fn example(direction: Direction, cell: &Cell) -> Option<String> {
    Packet::from_cell(direction, cell).map(|packet| packet.to_string())
}

/// A set of packets in words: `input: tcp from 203.0.113.0/24 to port 22`.
pub(super) fn class(direction: Direction, cell: &Cell, atoms: &Atoms) -> String {
    let mut words: Vec<String> = Vec::new();
    let family = cell.narrow(Narrow::Family);
    let single = if family.len() == 1 { family.iter().next() } else { None };
    let far = |field| match single {
        None if cell.asks_wide(field) => both_words(cell.wide(field)),
        _ => address_words(single, cell.wide(field)),
    };
    let (from, to) = (far(Wide::Source), far(Wide::Destination));
    if from.is_none() && to.is_none() {
        words.extend(match single {
            Some(0) => Some("IPv4".to_owned()),
            Some(1) => Some("IPv6".to_owned()),
            _ => None,
        });
    }
    words.push(protocol_words(cell.narrow(Narrow::Protocol)).unwrap_or_else(|| "everything".to_owned()));
    words.extend(icmp_words(cell));
    words.extend(from.map(|w| format!("from {w}")));
    words.extend(list(cell, Wide::SourcePort, "from port", &|a, b| span(a, b)));
    words.extend(to.map(|w| format!("to {w}")));
    words.extend(list(cell, Wide::DestinationPort, "to port", &|a, b| span(a, b)));
    words.extend(list(&by_any(cell, Wide::InInterface), Wide::InInterface, "in by", &names));
    words.extend(list(&by_any(cell, Wide::OutInterface), Wide::OutInterface, "out by", &names));
    words.extend(state_words(cell.narrow(Narrow::State)));
    words.extend(flags(cell.narrow(Narrow::TcpFlags)));
    words.extend(connection_words(cell));
    words.extend(type_words("from", cell.narrow(Narrow::SourceType)));
    words.extend(type_words("to", cell.narrow(Narrow::DestinationType)));
    words.extend(list(cell, Wide::Mark, "with mark", &|a, b| span(a, b)));
    words.extend(list(cell, Wide::ConnectionMark, "with connection mark", &|a, b| span(a, b)));
    words.extend(list(cell, Wide::SourceMac, "from hardware address", &macs));
    words.extend(list(cell, Wide::DestinationMac, "to hardware address", &macs));
    words.extend(list(cell, Wide::Vlan, "on VLAN", &vlans));
    words.extend(fragments(cell.narrow(Narrow::Fragment)));
    for (atom, holds) in cell.atoms() {
        words.push(format!("where `{}` {}", atoms.text(*atom), if *holds { "holds" } else { "does not hold" }));
    }
    format!("{direction}: {}", words.join(" "))
}

/// Without what goes without saying: that a packet came in or leaves by an interface that has a name, or by none.
fn by_any(cell: &Cell, field: Wide) -> Cell {
    let (values, none) = (cell.wide(field), Ranges::single(0));
    match *values == none {
        true => cell.clone().with_wide(field, field.all()),
        false if values.contains(1) => cell.clone().with_wide(field, values.or(&none)),
        false => cell.clone(),
    }
}

fn fragments(kinds: Bits) -> Option<String> {
    let words = match [0, 1, 2].map(|kind| kinds.contains(kind)) {
        [false, true, true] => "in later fragments",
        [false, true, false] => "in later fragments with bytes at hand",
        [false, false, true] => "in later fragments without bytes at hand",
        _ => return None,
    };
    Some(words.to_owned())
}

pub(super) fn span(first: u128, last: u128) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn macs(first: u128, last: u128) -> String {
    let one = |number| MacAddress::from_number(number).map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    if first == last { one(first) } else { format!("{}-{}", one(first), one(last)) }
}

fn vlans(first: u128, last: u128) -> String {
    match (first, last) {
        (NO_VLAN, _) => "none".to_owned(),
        (_, NO_VLAN) => format!("{} or none", span(first, last - 1)),
        _ => span(first, last),
    }
}

fn type_words(end: &str, types: Bits) -> Option<String> {
    let rest = ADDRESS_TYPES.minus(types);
    let list = |types: Bits| types.iter().map(address_type_word).collect::<Vec<_>>().join(" or ");
    match (rest.len(), types.len()) {
        (0, _) => None,
        (without, with) if without < with => Some(format!("{end} any type of address but {}", list(rest))),
        _ => Some(format!("{end} {} addresses", list(types))),
    }
}

fn connection_words(cell: &Cell) -> Vec<String> {
    let mut words = Vec::new();
    let way = cell.narrow(Narrow::ConnectionDirection);
    if way.len() == 1 {
        words.push(if way.contains(0) { "in the first direction" } else { "in the reply direction" }.to_owned());
    }
    let status = cell.narrow(Narrow::ConnectionStatus);
    if cell.asks_narrow(Narrow::ConnectionStatus) {
        words.push(match status.len() {
            1..=2 => {
                let each: Vec<_> = status.iter().map(status_words).collect();
                format!("with connection status {}", each.join(" or "))
            }
            count => format!("with {count} of 128 connection statuses"),
        });
    }
    words
}

pub(super) fn names(first: u128, last: u128) -> String {
    match (first == last, number_name(first)) {
        (true, None) => "no interface".to_owned(),
        (true, Some(name)) => name,
        (false, Some(stem)) if crate::rule::ruleset::name_range(&stem) == Ranges::one(first, last) => {
            format!("{stem}*")
        }
        _ => "others".to_owned(),
    }
}

/// The ranges of a field, or those that it leaves out where they are fewer.
fn list(cell: &Cell, field: Wide, head: &str, show: &dyn Fn(u128, u128) -> String) -> Option<String> {
    described(cell.wide(field), &field.all(), show).map(|words| format!("{head} {words}"))
}

pub(super) fn described(values: &Ranges, all: &Ranges, show: &dyn Fn(u128, u128) -> String) -> Option<String> {
    if all.is_subset(values) {
        return None;
    }
    let without = all.minus(values);
    let (chosen, head) = match without.as_slice().len() < values.as_slice().len() {
        true => (&without, "any but "),
        false => (values, ""),
    };
    let ranges = chosen.as_slice();
    let shown: Vec<_> = ranges.iter().take(SHOWN).map(|(a, b)| show(*a, *b)).collect();
    let more = if ranges.len() > SHOWN { format!(" and {} more", ranges.len() - SHOWN) } else { String::new() };
    Some(format!("{head}{}{more}", shown.join(", ")))
}

pub(super) fn address_words(family: Option<u8>, values: &Ranges) -> Option<String> {
    let family = family?;
    let bits = if family == 0 { 32 } else { 128 };
    let all = Ranges::one(0, if family == 0 { u128::from(u32::MAX) } else { u128::MAX });
    described(&values.and(&all), &all, &|first, last| {
        let size = last - first;
        let length = bits - (128 - size.leading_zeros());
        match size & size.wrapping_add(1) == 0 && first & size == 0 {
            true if size == 0 => address_of(family, first).to_string(),
            true => format!("{}/{length}", address_of(family, first)),
            false => format!("{}-{}", address_of(family, first), address_of(family, last)),
        }
    })
}

/// Addresses of both families, where not all are meant.
fn both_words(values: &Ranges) -> Option<String> {
    let v4 = Ranges::one(0, u32::MAX.into());
    let low = if v4.is_disjoint(values) { None } else { Some(address_words(Some(0), values)) };
    let words =
        [low.map(|words| words.unwrap_or_else(|| "any IPv4 address".to_owned())), address_words(Some(1), values)];
    let words: Vec<_> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" or "))
}

fn protocol_words(values: Bits) -> Option<String> {
    match values.len() {
        256 => None,
        0..=6 => Some(values.iter().map(|p| Protocol(p).to_string()).collect::<Vec<_>>().join(", ")),
        250..=255 => {
            let without: Vec<_> = Bits::ALL.minus(values).iter().map(|p| Protocol(p).to_string()).collect();
            Some(format!("any protocol but {}", without.join(", ")))
        }
        count => Some(format!("{count} protocols")),
    }
}

fn icmp_words(cell: &Cell) -> Option<String> {
    let (kinds, codes) = (cell.narrow(Narrow::IcmpType), cell.narrow(Narrow::IcmpCode));
    let several = |bits: Bits| bits.iter().take(SHOWN).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    match (kinds == Bits::ALL, codes == Bits::ALL) {
        (true, true) => None,
        (false, true) if kinds.len() > 128 => Some(format!("any type but {}", several(Bits::ALL.minus(kinds)))),
        (false, true) => Some(format!("type {}", several(kinds))),
        (_, false) => Some(format!("type {} code {}", several(kinds), several(codes))),
    }
}

fn state_words(values: Bits) -> Option<String> {
    let all = Narrow::State.all();
    let words = |bits: Bits| -> String {
        let each = bits.iter().filter_map(|n| ConnectionState::ALL.get(usize::from(n))).map(|s| s.as_str());
        each.collect::<Vec<_>>().join(", ")
    };
    match values.len() {
        5 => None,
        4 => Some(format!("of any state but {}", words(all.minus(values)))),
        _ => Some(format!("of state {}", words(values))),
    }
}

fn flags(values: Bits) -> Option<String> {
    match values.len() {
        256 => None,
        1 => values.iter().next().map(|bits| format!("with flags {}", flag_words(bits))),
        count => Some(format!("with {count} of 256 combinations of flags")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_told() {
        let cell = |values: Ranges| Cell::all().with_wide(Wide::Source, values);
        let words = |values: Ranges| class(Direction::Input, &cell(values), &Atoms::default());
        assert_eq!(words(Ranges::single(2)), "input: everything from 0.0.0.2 or ::2");
        assert_eq!(words(Ranges::single(1 << 64)), "input: everything from 0:0:0:1::");
        assert_eq!(words(Wide::Source.all()), "input: everything");
    }
}
