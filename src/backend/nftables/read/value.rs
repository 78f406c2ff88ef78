//! Values on the right of a condition: addresses, ports, names, flags; in sets, with a name or without.

use super::field::{Kind, Subject};
use super::node::{Items, Node, Tape};
use crate::packet::{Bits, MacAddress, Ranges};
use crate::rule::ruleset::{name_number, name_range};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The named sets of one table.
#[derive(Default)]
pub(super) struct Sets<'a> {
    known: HashMap<String, Known<'a>>,
    /// A set of a million elements is read once, however many rules look into it.
    wide: RefCell<HashMap<(String, Kind), Option<Ranges>>>,
}

struct Known<'a> {
    /// What a listing says of it, elements included, and more elements that it gives apart.
    bodies: Vec<Tape<'a>>,
    changing: bool,
}

impl<'a> Sets<'a> {
    pub(super) fn add(&mut self, name: &str, body: Tape<'a>, changing: bool) {
        self.known.insert(name.to_owned(), Known { bodies: vec![body], changing });
    }

    /// Adds elements to a set; gives them back where there is no set of that name.
    pub(super) fn extend(&mut self, name: &str, body: Tape<'a>) -> Option<Tape<'a>> {
        match self.known.get_mut(name) {
            Some(set) => {
                set.bodies.push(body);
                None
            }
            None => Some(body),
        }
    }

    /// What a set holds whose elements no listing gives.
    pub(super) fn give(&self, name: &str, kind: Kind, ranges: Ranges) {
        self.wide.borrow_mut().insert((name.to_owned(), kind), Some(ranges));
    }

    fn elements(&self, name: &str) -> Option<Vec<Node<'_>>> {
        let bodies = self.known.get(name)?.bodies.iter();
        Some(bodies.filter_map(|body| super::listing::object(body.root())?.1.get("elem")?.items()).flatten().collect())
    }

    /// Whether what a right-hand side holds can change by itself; a set that is not known can.
    pub(super) fn changes(&self, right: Node<'_>) -> bool {
        reference(right).is_some_and(|name| self.known.get(name).is_none_or(|set| set.changing))
    }
}

/// The name of the set that a value refers to.
pub(super) fn reference(value: Node<'_>) -> Option<&str> {
    value.as_str()?.strip_prefix('@')
}

/// The elements of an anonymous or named set; a single value is its own element.
pub(super) fn elements<'t>(value: Node<'t>, sets: &'t Sets<'_>) -> Option<Vec<Node<'t>>> {
    if let Some(name) = reference(value) {
        return sets.elements(name);
    }
    match value.single() {
        Some(("set", list)) => Some(list.items().map_or_else(|| vec![list], Iterator::collect)),
        _ => Some(vec![value]),
    }
}

/// An element without its timeout, counter and comment.
pub(super) fn bare(value: Node<'_>) -> Node<'_> {
    match value.single() {
        Some(("elem", body)) => body.get("val").map_or(value, bare),
        _ => value,
    }
}

/// Whether a value is one out of a set rather than compared by itself.
pub(super) fn is_set(value: Node<'_>) -> bool {
    reference(value).is_some() || value.single().is_some_and(|(kind, _)| kind == "set")
}

/// The numbers that a right-hand side means for a wide field; nothing where a part of it is not known.
pub(super) fn wide(kind: Kind, value: Node<'_>, sets: &Sets<'_>) -> Option<Ranges> {
    if let Some(name) = reference(value) {
        let key = (name.to_owned(), kind);
        if let Some(read) = sets.wide.borrow().get(&key) {
            return read.clone();
        }
        let read = union(kind, elements(value, sets)?);
        sets.wide.borrow_mut().insert(key, read.clone());
        return read;
    }
    match value.single() {
        Some(("set", _)) => union(kind, elements(value, sets)?),
        _ => range(kind, bare(value)),
    }
}

fn union(kind: Kind, elements: Vec<Node<'_>>) -> Option<Ranges> {
    let all = elements.into_iter().map(|element| range(kind, bare(element))).collect::<Option<Vec<_>>>()?;
    match all.as_slice() {
        [one] => Some(one.clone()),
        _ => Some(Ranges::of(all.iter().flat_map(|ranges| ranges.as_slice().iter().copied()))),
    }
}

/// One value, prefix or range.
fn range(kind: Kind, value: Node<'_>) -> Option<Ranges> {
    match (value.single(), value.as_str()) {
        (Some(("range", ends)), _) => {
            let (first, last) = pair(ends)?;
            Some(Ranges::one(scalar(kind, first)?, scalar(kind, last)?))
        }
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

/// The values of a list of two.
fn pair(list: Node<'_>) -> Option<(Node<'_>, Node<'_>)> {
    let mut items = list.items()?;
    Some((items.next()?, items.next()?)).filter(|_| items.next().is_none())
}

/// An interface name, or with a star at its end all names that begin so; `\*` is a star.
fn interface(name: &str) -> Ranges {
    match name.strip_suffix('*') {
        Some(stem) if !stem.ends_with('\\') => name_range(stem),
        Some(stem) => Ranges::single(name_number(&format!("{}*", &stem[..stem.len() - 1]))),
        None => Ranges::single(name_number(name)),
    }
}

fn scalar(kind: Kind, value: Node<'_>) -> Option<u128> {
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
pub(super) fn raw(subject: Subject, value: Node<'_>, sets: &Sets<'_>) -> Option<Vec<(u64, u64)>> {
    elements(value, sets)?.into_iter().map(|element| raw_range(subject, bare(element))).collect()
}

fn raw_range(subject: Subject, value: Node<'_>) -> Option<(u64, u64)> {
    match value.single() {
        Some(("range", ends)) => {
            let (first, last) = pair(ends)?;
            Some((raw_scalar(subject, first)?, raw_scalar(subject, last)?))
        }
        _ => raw_scalar(subject, value).map(|n| (n, n)),
    }
}

/// A number, a word for one, or several of them with their bits put together.
pub(super) fn raw_scalar(subject: Subject, value: Node<'_>) -> Option<u64> {
    if let Some(word) = value.as_str() {
        return subject.word(word);
    }
    let together = |mut list: Items<'_>| list.try_fold(0, |bits, part| Some(bits | raw_scalar(subject, part)?));
    match (value.items(), value.single()) {
        (Some(list), _) => together(list),
        (None, Some(("|", list))) => together(list.items()?),
        _ => value.as_u64(),
    }
}

/// The values of a narrow field whose number, masked, is in one of the ranges.
pub(super) fn narrow(subject: Subject, mask: u64, ranges: &[(u64, u64)]) -> Bits {
    let holds = |n: u64| ranges.iter().any(|(first, last)| (*first..=*last).contains(&n));
    subject.narrow().all().iter().filter(|value| holds(subject.number(*value) & mask)).collect()
}
