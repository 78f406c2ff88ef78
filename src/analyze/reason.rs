//! Why a rule matches a packet or does not, in words: the field, the packet's value, what is asked for.

use super::words::{address_words, described, names, span};
use crate::packet::{Bits, Cell, Narrow, Protocol, Ranges, Wide, address_type_word};
use crate::rule::ruleset::{Alteration, Base, ChainKind, Condition, Line, Verdict, number_name};
use crate::rule::{ConnectionState, Packet, address_of, flag_words};

/// More values of a small field than this are counted, not listed.
const SHOWN: u32 = 6;

/// Where a packet is, and what rules have made of it so far.
#[derive(Debug, Clone)]
pub(super) struct Here {
    /// The base chain that it came into the present chain from.
    pub(super) base: Option<Base>,
    mark: u32,
}

impl Here {
    /// Before the first chain.
    pub(super) fn at_the_start(packet: &Packet) -> Self {
        Self { base: None, mark: packet.mark }
    }

    /// Takes over what a rule changes.
    pub(super) fn alter(&mut self, changes: &[Alteration]) {
        for change in changes {
            if let Alteration::Mark(mark) = change {
                self.mark = *mark;
            }
        }
    }

    fn wide(&self, packet: &Packet, field: Wide) -> u128 {
        let hook = self.base.as_ref().map(|base| base.hook);
        match field {
            Wide::InInterface if hook.is_some_and(|hook| !hook.has_in()) => 0,
            Wide::OutInterface if hook.is_some_and(|hook| !hook.has_out()) => 0,
            Wide::Mark => self.mark.into(),
            _ => packet.wide(field),
        }
    }

    /// Why a rule does not match: the conditions of these numbers.
    pub(super) fn misses(&self, packet: &Packet, line: &Line, failed: &[usize]) -> String {
        let each = failed.iter().filter_map(|n| line.conditions.get(*n)).map(|c| self.miss(packet, c));
        each.collect::<Vec<_>>().join("; ")
    }

    fn miss(&self, packet: &Packet, condition: &Condition) -> String {
        match condition {
            Condition::Wide(field, values) => self.miss_wide(packet, *field, values),
            Condition::Narrow(field, values) => miss_narrow(packet, *field, *values),
            Condition::AnyOf(cells) => self.miss_any(packet, cells),
            Condition::Chance(text) => format!("supposed that `{text}` does not hold"),
            Condition::Unread(unread) => {
                let (text, holds) = unread.asked();
                let not = if holds { "does not hold" } else { "holds" };
                format!("supposed that `{text}`, which is not understood, {not}")
            }
        }
    }

    fn miss_wide(&self, packet: &Packet, field: Wide, values: &Ranges) -> String {
        let value = wide_value(packet, field, self.wide(packet, field));
        let asked = wide_words(packet, field, values).unwrap_or_else(|| "any".to_owned());
        match asked.strip_prefix("any but ") {
            Some(excluded) => format!("{} {value} is excluded: {excluded}", wide_name(field)),
            None => format!("{} {value} is not {asked}", wide_name(field)),
        }
    }

    /// Why none of the keys of a verdict map is the packet's.
    pub(super) fn misses_keys(&self, packet: &Packet, keys: &[(Cell, Verdict)]) -> String {
        let cells: Vec<_> = keys.iter().map(|(cell, _)| cell.clone()).collect();
        self.miss_any(packet, &cells)
    }

    /// A product fails by a field that no cell of it has, or only as a combination.
    fn miss_any(&self, packet: &Packet, cells: &[Cell]) -> String {
        for field in Narrow::ALL {
            let all = cells.iter().fold(Bits::NONE, |all, cell| all.or(cell.narrow(field)));
            if !all.contains(packet.narrow(field)) {
                return miss_narrow(packet, field, all);
            }
        }
        for field in Wide::ALL {
            let all = Ranges::of(cells.iter().flat_map(|cell| cell.wide(field).as_slice().iter().copied()));
            if !all.contains(self.wide(packet, field)) {
                return self.miss_wide(packet, field, &all);
            }
        }
        let fields = self.asked(packet, &Condition::AnyOf(cells.to_vec())).join(", ");
        format!("{fields} together are none of {} combinations", cells.len())
    }

    /// The fields that a condition asks for, with the packet's values.
    fn asked(&self, packet: &Packet, condition: &Condition) -> Vec<String> {
        let wide =
            |field: Wide| format!("{} {}", wide_name(field), wide_value(packet, field, self.wide(packet, field)));
        let narrow = |field: Narrow| format!("{} {}", narrow_name(field), narrow_value(field, packet.narrow(field)));
        match condition {
            Condition::Wide(field, _) => vec![wide(*field)],
            Condition::Narrow(field, _) => vec![narrow(*field)],
            Condition::AnyOf(cells) => {
                let asked = |f: &Narrow| cells.iter().any(|c| c.narrow(*f) != f.all());
                let small = Narrow::ALL.into_iter().filter(asked).map(narrow);
                let large = Wide::ALL.into_iter().filter(|f| cells.iter().any(|c| *c.wide(*f) != f.all())).map(wide);
                small.chain(large).collect()
            }
            Condition::Chance(_) | Condition::Unread(_) => Vec::new(),
        }
    }
}

/// Why a rule matches: what it asks for and the packet has, and what was supposed.
pub(super) fn fits(here: &Here, packet: &Packet, line: &Line, supposed: &[String]) -> String {
    let mut words: Vec<String> = Vec::new();
    // That a packet has its transport header goes without saying.
    let plain = format!("{} {}", narrow_name(Narrow::Fragment), narrow_value(Narrow::Fragment, 0));
    for asked in line.conditions.iter().flat_map(|c| here.asked(packet, c)) {
        if !words.contains(&asked) && asked != plain {
            words.push(asked);
        }
    }
    words.extend(supposed.iter().map(|text| format!("supposed that `{text}` holds")));
    if words.is_empty() { "asks for nothing".to_owned() } else { format!("matches {}", words.join(", ")) }
}

/// How a base chain is bound.
pub(super) fn chain_words(base: &Base) -> String {
    let kind = match base.kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
        ChainKind::Route => "route",
    };
    let policy = if base.drops { "drop" } else { "accept" };
    format!("{kind} hook {} priority {} policy {policy}", base.hook.as_str(), base.priority)
}

/// What a verdict does.
pub(super) fn verdict_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Reject => "reject".to_owned(),
        Verdict::Return => "return".to_owned(),
        Verdict::Jump(name) => format!("jump {name}"),
        Verdict::Goto(name) => format!("goto {name}"),
        Verdict::Translate(translation) => translation.text.clone(),
        Verdict::Continue => "continue".to_owned(),
    }
}

/// A variant's name in lower case words: `DestinationPort` is `destination port`.
fn words_of(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn wide_name(field: Wide) -> String {
    words_of(&format!("{field:?}"))
}

fn narrow_name(field: Narrow) -> String {
    words_of(&format!("{field:?}"))
}

fn family(packet: &Packet) -> u8 {
    packet.narrow(Narrow::Family)
}

fn wide_value(packet: &Packet, field: Wide, value: u128) -> String {
    match field {
        Wide::Source | Wide::Destination => address_of(family(packet), value).to_string(),
        Wide::InInterface | Wide::OutInterface => number_name(value).unwrap_or_else(|| "none".to_owned()),
        Wide::Mark => format!("{value:#x}"),
        _ => value.to_string(),
    }
}

fn wide_words(packet: &Packet, field: Wide, values: &Ranges) -> Option<String> {
    match field {
        Wide::Source | Wide::Destination => address_words(Some(family(packet)), values).filter(|w| !w.is_empty()),
        Wide::InInterface | Wide::OutInterface => described(values, &field.all(), &names),
        _ => described(values, &field.all(), &span),
    }
}

fn miss_narrow(packet: &Packet, field: Narrow, values: Bits) -> String {
    let value = narrow_value(field, packet.narrow(field));
    let list = |bits: Bits| bits.iter().map(|n| narrow_value(field, n)).collect::<Vec<_>>().join(", ");
    let without = field.all().minus(values);
    match (values.len(), without.len()) {
        (0..=SHOWN, _) => format!("{} {value} is not {}", narrow_name(field), list(values)),
        (_, 1..=SHOWN) => format!("{} {value} is excluded: {}", narrow_name(field), list(without)),
        (count, _) => format!("{} {value} is none of {count} values", narrow_name(field)),
    }
}

fn narrow_value(field: Narrow, value: u8) -> String {
    match field {
        Narrow::Family => ["IPv4", "IPv6"].get(usize::from(value)).copied().unwrap_or("not IP").to_owned(),
        Narrow::Protocol => Protocol(value).to_string(),
        Narrow::State => ConnectionState::ALL.get(usize::from(value)).map_or(value.to_string(), |s| s.to_string()),
        Narrow::Fragment => {
            ["no", "yes"].get(usize::from(value)).copied().unwrap_or("without bytes at hand").to_owned()
        }
        Narrow::SourceType | Narrow::DestinationType => address_type_word(value).to_owned(),
        Narrow::TcpFlags => flag_words(value),
        _ => value.to_string(),
    }
}
