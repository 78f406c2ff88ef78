//! Values on the right of a condition: addresses, ports, names, flags; in sets, with a name or without.

use super::field::{Kind, Subject};
use super::single;
use crate::packet::{Bits, MacAddress, Ranges};
use crate::rule::ruleset::{name_number, name_range};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The named sets of one table.
#[derive(Default)]
pub(super) struct Sets {
    known: HashMap<String, (Vec<Value>, bool)>,
    /// A set of a million elements is read once, however many rules look into it.
    wide: RefCell<HashMap<(String, Kind), Option<Ranges>>>,
}

impl Sets {
    pub(super) fn add(&mut self, name: &str, elements: Vec<Value>, changing: bool) {
        self.known.insert(name.to_owned(), (elements, changing));
    }

    pub(super) fn extend(&mut self, name: &str, more: &[Value]) -> Option<()> {
        self.known.get_mut(name)?.0.extend_from_slice(more);
        Some(())
    }

    pub(super) fn elements(&self, name: &str) -> Option<&[Value]> {
        self.known.get(name).map(|(elements, _)| elements.as_slice())
    }

    /// Whether what a right-hand side holds can change by itself; a set that is not known can.
    pub(super) fn changes(&self, right: &Value) -> bool {
        reference(right).is_some_and(|name| self.known.get(name).is_none_or(|(_, changing)| *changing))
    }
}

/// The name of the set that a value refers to.
pub(super) fn reference(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix('@')
}

/// The elements of an anonymous or named set; a single value is its own element.
pub(super) fn elements<'a>(value: &'a Value, sets: &'a Sets) -> Option<Vec<&'a Value>> {
    if let Some(name) = reference(value) {
        return sets.elements(name).map(|list| list.iter().collect());
    }
    match single(value) {
        Some(("set", Value::Array(list))) => Some(list.iter().collect()),
        Some(("set", one)) => Some(vec![one]),
        _ => Some(vec![value]),
    }
}

/// An element without its timeout, counter and comment.
pub(super) fn bare(value: &Value) -> &Value {
    match single(value) {
        Some(("elem", body)) => body.get("val").map_or(value, bare),
        _ => value,
    }
}

/// Whether a value is one out of a set rather than compared by itself.
pub(super) fn is_set(value: &Value) -> bool {
    reference(value).is_some() || matches!(single(value), Some(("set", _)))
}

/// The numbers that a right-hand side means for a wide field; nothing where a part of it is not known.
pub(super) fn wide(kind: Kind, value: &Value, sets: &Sets) -> Option<Ranges> {
    if let Some(name) = reference(value) {
        let key = (name.to_owned(), kind);
        if let Some(read) = sets.wide.borrow().get(&key) {
            return read.clone();
        }
        let read = union(kind, elements(value, sets)?);
        sets.wide.borrow_mut().insert(key, read.clone());
        return read;
    }
    union(kind, elements(value, sets)?)
}

fn union(kind: Kind, elements: Vec<&Value>) -> Option<Ranges> {
    let all = elements.into_iter().map(|element| range(kind, bare(element))).collect::<Option<Vec<_>>>()?;
    match all.as_slice() {
        [one] => Some(one.clone()),
        _ => Some(Ranges::of(all.iter().flat_map(|ranges| ranges.as_slice().iter().copied()))),
    }
}

/// One value, prefix or range.
fn range(kind: Kind, value: &Value) -> Option<Ranges> {
    match (single(value), value.as_str()) {
        (Some(("range", Value::Array(ends))), _) => match ends.as_slice() {
            [first, last] => Some(Ranges::one(scalar(kind, first)?, scalar(kind, last)?)),
            _ => None,
        },
        (Some(("prefix", body)), _) => {
            let length = u32::try_from(body.get("len")?.as_u64()?).ok().filter(|n| *n <= kind.bits())?;
            let first = scalar(kind, body.get("addr")?)?;
            let tail = 1u128.checked_shl(kind.bits() - length).map_or(u128::MAX, |end| end - 1);
            // `ip saddr & 255.255.255.0 == 10.0.0.8` is listed as `10.0.0.8/24`: bits that the mask clears are never set.
            Some(if first & tail == 0 { Ranges::one(first, first | tail) } else { Ranges::none() })
        }
        (None, Some("*")) if kind != Kind::Name => Some(kind.all()),
        (None, Some(name)) if kind == Kind::Name => Some(interface(name)),
        (None, _) => scalar(kind, value).map(Ranges::single),
        _ => None,
    }
}

/// An interface name, or with a star at its end all names that begin so; `\*` is a star.
fn interface(name: &str) -> Ranges {
    match name.strip_suffix('*') {
        Some(stem) if !stem.ends_with('\\') => name_range(stem),
        Some(stem) => Ranges::single(name_number(&format!("{}*", &stem[..stem.len() - 1]))),
        None => Ranges::single(name_number(name)),
    }
}

fn scalar(kind: Kind, value: &Value) -> Option<u128> {
    let number = || value.as_u64().map(u128::from).filter(|n| kind.all().contains(*n));
    match kind {
        Kind::V4 => value.as_str()?.parse::<Ipv4Addr>().ok().map(|a| a.to_bits().into()),
        Kind::V6 => value.as_str()?.parse::<Ipv6Addr>().ok().map(|a| a.to_bits()),
        Kind::Port | Kind::Mark | Kind::Vlan => number(),
        Kind::Mac => value.as_str()?.parse::<MacAddress>().ok().map(MacAddress::to_number),
        Kind::Name => value.as_str().map(name_number),
    }
}

/// The numbers that a right-hand side means for a narrow field, as the kernel sees them before any mask.
pub(super) fn raw(subject: Subject, value: &Value, sets: &Sets) -> Option<Vec<(u64, u64)>> {
    elements(value, sets)?.into_iter().map(|element| raw_range(subject, bare(element))).collect()
}

fn raw_range(subject: Subject, value: &Value) -> Option<(u64, u64)> {
    match single(value) {
        Some(("range", Value::Array(ends))) => match ends.as_slice() {
            [first, last] => Some((raw_scalar(subject, first)?, raw_scalar(subject, last)?)),
            _ => None,
        },
        _ => raw_scalar(subject, value).map(|n| (n, n)),
    }
}

/// A number, a word for one, or several of them with their bits put together.
pub(super) fn raw_scalar(subject: Subject, value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(word) => subject.word(word),
        Value::Array(list) => list.iter().try_fold(0, |bits, part| Some(bits | raw_scalar(subject, part)?)),
        _ => match single(value)? {
            ("|", Value::Array(list)) => list.iter().try_fold(0, |bits, part| Some(bits | raw_scalar(subject, part)?)),
            _ => None,
        },
    }
}

/// The values of a narrow field whose number, masked, is in one of the ranges.
pub(super) fn narrow(subject: Subject, mask: u64, ranges: &[(u64, u64)]) -> Bits {
    let holds = |n: u64| ranges.iter().any(|(first, last)| (*first..=*last).contains(&n));
    subject.narrow().all().iter().filter(|value| holds(subject.number(*value) & mask)).collect()
}
