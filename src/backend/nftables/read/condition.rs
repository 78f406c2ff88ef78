//! Conditions: `match` statements and the keys of verdict maps.

use super::field::{Field, Kind, Subject, field, implied};
use super::node::{Items, Node};
use super::value::{self, Sets};
use super::words;
use crate::packet::{Bits, Cell, Ranges, Wide, merged, outside};
use crate::rule::mark_bits;
use crate::rule::ruleset::{Condition, TableFamily, Unread};
use std::collections::HashMap;
use std::hash::Hash;

/// A set of more elements than this is kept as unread.
const MOST: usize = 131_072;
/// More products than this are put together to fewer.
pub(super) const FEW: usize = 64;
/// What is in no element is kept as unread where it is more products than this.
const MOST_OUTSIDE: usize = 16_384;

/// What a `match` statement asks.
pub(super) fn read(body: Node<'_>, family: TableFamily, sets: &Sets<'_>) -> Vec<Condition> {
    let part = |key: &str| body.get(key).unwrap_or(Node::NULL);
    let (left, right, op) = (part("left"), part("right"), body.text("op").unwrap_or(""));
    if sets.changes(right) || passing(left) {
        let mut all = implied(left);
        all.push(Condition::Chance(words::comparison(body)));
        return all;
    }
    known(op, left, right, family, sets).unwrap_or_else(|| unread(body, left, right))
}

/// Whether an expression gives now this and now that of the same packet: the time, chance, what a connection has carried.
fn passing(left: Node<'_>) -> bool {
    let Some((kind, body)) = left.single() else { return false };
    let key = body.text("key").unwrap_or("");
    match kind {
        "&" | "|" | "^" | "<<" | ">>" => body.item(0).is_some_and(passing),
        "concat" => body.items().is_some_and(|mut parts| parts.any(passing)),
        "meta" => matches!(key, "random" | "time" | "hour" | "day" | "cpu"),
        "ct" => matches!(key, "bytes" | "packets" | "avgpkt" | "expiration" | "id"),
        "numgen" => true,
        _ => false,
    }
}

/// A condition that is kept with its text, and what it implies.
fn unread(body: Node<'_>, left: Node<'_>, right: Node<'_>) -> Vec<Condition> {
    let field = steady(left).filter(|_| !right.is_null());
    let mut all = implied(left);
    if let Some((field, there)) = field.as_deref().and_then(|field| Some((field, routed(body, left, right)?))) {
        all.push(Condition::Unread(Unread::steady(&format!("{field} exists"), field, there)));
        return all;
    }
    all.push(Condition::Unread(Unread { text: words::comparison(body), field }));
    all
}

/// Of `fib … oif exists` and `fib … oif missing`, however they are written, whether there must be a route.
fn routed(body: Node<'_>, left: Node<'_>, right: Node<'_>) -> Option<bool> {
    left.single().filter(|(kind, fib)| *kind == "fib" && fib.text("result") == Some("oif"))?;
    let there = match (right.as_bool(), right.as_u64(), right.as_str()) {
        (Some(there), _, _) => there,
        (_, Some(0), _) | (_, _, Some("0")) => false,
        _ => return None,
    };
    match body.text("op")? {
        "==" => Some(there),
        "!=" => Some(!there),
        _ => None,
    }
}

/// The text of an expression that gives the same of the same packet, without its mask.
fn steady(left: Node<'_>) -> Option<String> {
    let (kind, body) = left.single()?;
    let same = match kind {
        "&" | "|" | "^" | "<<" | ">>" => return steady(body.item(0)?),
        "concat" => body.items()?.all(|part| steady(part).is_some()),
        "payload" | "exthdr" | "tcp option" | "ip option" | "sctp chunk" | "fib" | "rt" | "socket" | "ipsec" => true,
        "meta" | "ct" | "jhash" | "symhash" => true,
        _ => false,
    };
    same.then(|| words::expression(left))
}

fn known(op: &str, left: Node<'_>, right: Node<'_>, family: TableFamily, sets: &Sets<'_>) -> Option<Vec<Condition>> {
    let (inner, mask) = match left.single() {
        Some(("concat", parts)) => return concatenation(op, parts.items()?, right, family, sets),
        Some(("&", sides)) if sides.items()?.count() == 2 => (sides.item(0)?, sides.item(1)),
        _ => (left, None),
    };
    let Field { subject, implied: mut all } = field(inner, family)?;
    if let (Subject::Wide(field, Kind::Mark), Some(mask)) = (subject, mask)
        && let Some(bits) = masked_bits(op, field, mask, right)
    {
        all.extend(bits);
        return Some(all);
    }
    if is_next_header(inner) {
        let asked = narrow(op, subject, mask, right, sets)?;
        // The first header is the transport's where none stands between, and only there.
        if !matches!(op, "==" | "in") || EXTENSIONS.iter().any(|header| asked.contains(*header)) {
            return None;
        }
    }
    all.push(match subject {
        Subject::Wide(field, kind) => Condition::Wide(field, wide(op, kind, mask, right, sets)?),
        _ => Condition::Narrow(subject.narrow(), narrow(op, subject, mask, right, sets)?),
    });
    Some(all)
}

/// Headers of IPv6 that others follow (IANA "IPv6 Extension Header Types").
const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];

fn is_next_header(left: Node<'_>) -> bool {
    left.single().is_some_and(|(_, body)| (body.text("protocol"), body.text("field")) == (Some("ip6"), Some("nexthdr")))
}

/// A mark under a mask that stands for too many ranges, bit by bit.
fn masked_bits(op: &str, field: Wide, mask: Node<'_>, right: Node<'_>) -> Option<Vec<Condition>> {
    let equal = match op {
        "==" => true,
        "!=" => false,
        _ => return None,
    };
    let number = |node: Node<'_>| node.as_u64().and_then(|n| u32::try_from(n).ok());
    let (mask, value) = (number(mask)?, number(right)?);
    Ranges::masked(mask.into(), value.into(), field.last()).is_none().then_some(())?;
    mark_bits(field, mask, value, equal)
}

fn wide(op: &str, kind: Kind, mask: Option<Node<'_>>, right: Node<'_>, sets: &Sets<'_>) -> Option<Ranges> {
    let given = value::wide(kind, right, sets)?;
    let values = match mask {
        None => given,
        Some(mask) => unmasked(kind, value::wide(kind, mask, sets)?.as_slice(), &given)?,
    };
    let (first, last) = values.hull().unwrap_or((1, 0));
    let all = kind.all();
    let end = all.hull()?.1;
    Some(match op {
        "==" => values,
        "!=" => all.minus(&values),
        _ if mask.is_some() || first != last => return None,
        "<" => first.checked_sub(1).map_or(Ranges::none(), |end| Ranges::one(0, end)),
        "<=" => Ranges::one(0, last),
        ">" => last.checked_add(1).map_or(Ranges::none(), |start| Ranges::one(start, end)),
        ">=" => Ranges::one(first, end),
        _ => return None,
    })
}

/// The values that are in `given` once all but the bits of the mask are cleared.
fn unmasked(kind: Kind, mask: &[(u128, u128)], given: &Ranges) -> Option<Ranges> {
    let [(mask, same)] = mask else { return None };
    let last = kind.all().hull()?.1;
    let free = last & !mask;
    if mask != same {
        return None;
    }
    if free & free.wrapping_add(1) != 0 {
        let single = |(first, end): &(u128, u128)| (first == end).then(|| Ranges::masked(*mask, *first, last))?;
        let each = given.as_slice().iter().map(single).collect::<Option<Vec<_>>>()?;
        return Some(Ranges::of(each.iter().flat_map(|ranges| ranges.as_slice().iter().copied())));
    }
    Some(Ranges::of(given.as_slice().iter().filter_map(|(first, end)| {
        let start = first.checked_add(free).map(|n| n & !free)?;
        (start <= *end).then_some((start, end | free))
    })))
}

fn narrow(op: &str, subject: Subject, mask: Option<Node<'_>>, right: Node<'_>, sets: &Sets<'_>) -> Option<Bits> {
    let all = subject.narrow().all();
    if subject == Subject::Fragment {
        return fragment(op, mask?.as_u64()?, right.as_u64()?);
    }
    let masked = match mask {
        Some(mask) => value::raw_scalar(subject, mask)?,
        None => u64::MAX,
    };
    let known = |bits: u64| bits & !subject.known_bits() == 0;
    let common = |subject: Subject| {
        let wanted = value::raw_scalar(subject, right).filter(|_| subject.is_flags() && mask.is_none())?;
        known(wanted).then_some(())?;
        Some(all.iter().filter(|value| subject.number(*value) & wanted != 0).collect::<Bits>())
    };
    match op {
        "in" if !value::is_set(right) => return common(subject),
        "!" => return common(subject).map(|bits| all.minus(bits)),
        _ => {}
    }
    known(masked).then_some(())?;
    let ranges = value::raw(subject, right, sets)?;
    let (first, last) = ranges.first().copied().unwrap_or((1, 0));
    let one = first == last && ranges.len() == 1;
    Some(match op {
        "==" | "in" => value::narrow(subject, masked, &ranges),
        "!=" => all.minus(value::narrow(subject, masked, &ranges)),
        "<" if one => value::narrow(subject, masked, &[(0, first.checked_sub(1)?)]),
        "<=" if one => value::narrow(subject, masked, &[(0, first)]),
        ">" if one => value::narrow(subject, masked, &[(first + 1, u64::MAX)]),
        ">=" if one => value::narrow(subject, masked, &[(first, u64::MAX)]),
        _ => return None,
    })
}

/// `ip frag-off & 0x1fff` is 0 in what has a transport header (RFC 791, 3.1).
fn fragment(op: &str, mask: u64, right: u64) -> Option<Bits> {
    match (op, mask, right) {
        ("==", 0x1fff, 0) => Some(Bits::single(0)),
        ("!=" | ">", 0x1fff, 0) => Some(Bits::below(3).minus(Bits::single(0))),
        _ => None,
    }
}

fn concatenation(
    op: &str,
    parts: Items<'_>,
    right: Node<'_>,
    family: TableFamily,
    sets: &Sets<'_>,
) -> Option<Vec<Condition>> {
    let fields = parts.map(|part| field(part, family)).collect::<Option<Vec<_>>>()?;
    let mut all: Vec<_> = fields.iter().flat_map(|f| f.implied.clone()).collect();
    let elements = value::elements(right, sets).filter(|list| list.len() <= MOST)?;
    let cells = elements.into_iter().map(|e| product(&fields, e, sets)).collect::<Option<Vec<_>>>()?;
    let cells = if cells.len() > FEW { merged(cells) } else { cells };
    match op {
        "==" | "in" => all.push(Condition::AnyOf(cells)),
        "!=" => all.push(Condition::AnyOf(outside(&cells, MOST_OUTSIDE)?)),
        _ => return None,
    }
    Some(all)
}

/// The elements of a map, `*` as the packets that no other element has: no two hold the same one.
fn with_rest<T: Copy>(cells: Vec<(Cell, T)>) -> Option<Vec<(Cell, T)>> {
    let (every, mut own): (Vec<_>, Vec<_>) = cells.into_iter().partition(|(cell, _)| *cell == Cell::all());
    let Some((_, to)) = every.first() else { return Some(own) };
    let first = own.first().map(|(cell, _)| cell.clone()).unwrap_or_else(Cell::all);
    let field = Wide::ALL.into_iter().find(|field| first.asks_wide(*field));
    let only =
        |field: Wide| own.iter().all(|(cell, _)| *cell == Cell::all().with_wide(field, cell.wide(field).clone()));
    let rest = match field.filter(|field| only(*field)) {
        // One field, as mostly: a map of many elements takes no time.
        Some(field) => {
            let named = Ranges::of(own.iter().flat_map(|(cell, _)| cell.wide(field).as_slice().iter().copied()));
            vec![Cell::all().with_wide(field, field.all().minus(&named))]
        }
        None => outside(&merged(own.iter().map(|(cell, _)| cell.clone()).collect()), MOST_OUTSIDE)?,
    };
    own.extend(rest.into_iter().filter(|cell| !cell.is_empty()).map(|cell| (cell, *to)));
    Some(own)
}

/// The product of one element of a set of concatenations.
fn product(fields: &[Field], element: Node<'_>, sets: &Sets<'_>) -> Option<Cell> {
    let element = value::bare(element);
    if element.as_str() == Some("*") {
        return Some(Cell::all());
    }
    let Some(("concat", parts)) = element.single() else { return None };
    let parts = parts.items()?;
    if parts.clone().count() != fields.len() {
        return None;
    }
    let mut cell = Cell::all();
    for (field, part) in fields.iter().zip(parts) {
        keep(&mut cell, field.subject, value::bare(part), sets)?;
    }
    Some(cell)
}

fn keep(cell: &mut Cell, subject: Subject, part: Node<'_>, sets: &Sets<'_>) -> Option<()> {
    match subject {
        Subject::Wide(field, kind) => cell.keep_wide(field, &value::wide(kind, part, sets)?),
        Subject::Fragment | Subject::Status => return None,
        _ if part.as_str() == Some("*") => {}
        _ => cell.keep_narrow(subject.narrow(), value::narrow(subject, u64::MAX, &value::raw(subject, part, sets)?)),
    }
    Some(())
}

/// The keys of a map with fewer products where many lead to one place. Keys of one map never meet.
pub(super) fn few<T: Eq + Hash + Clone>(keys: Vec<(Cell, T)>) -> Vec<(Cell, T)> {
    if keys.len() <= FEW {
        return keys;
    }
    let (mut known, mut groups) = (HashMap::new(), Vec::<Vec<Cell>>::new());
    for (cell, to) in keys {
        let number = *known.entry(to).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    let mut places: Vec<_> = known.into_iter().collect();
    places.sort_unstable_by_key(|(_, number)| *number);
    let each = places.into_iter().zip(groups);
    each.flat_map(|((to, _), group)| merged(group).into_iter().map(move |cell| (cell, to.clone()))).collect()
}

/// What looking at the key of a map implies, and each element's product with what it leads to.
type Key<'a> = (Vec<Condition>, Vec<(Cell, Node<'a>)>);

/// The key of a verdict map: what looking at it implies, and the product that each element stands for.
pub(super) fn key<'a>(key: Node<'_>, data: Node<'a>, family: TableFamily, sets: &'a Sets<'_>) -> Option<Key<'a>> {
    let fields = match key.single() {
        Some(("concat", parts)) => parts.items()?.map(|part| field(part, family)).collect::<Option<Vec<_>>>()?,
        _ => vec![field(key, family)?],
    };
    let pairs = value::elements(data, sets).filter(|list| list.len() <= MOST)?;
    let mut cells = Vec::new();
    for pair in pairs {
        let (from, to) = (pair.item(0)?, pair.item(1).filter(|_| pair.item(2).is_none())?);
        let from = value::bare(from);
        let cell = match fields.as_slice() {
            [one]
                if from.as_str() != Some("*")
                    || matches!(one.subject, Subject::Wide(Wide::InInterface | Wide::OutInterface, _)) =>
            {
                let mut cell = Cell::all();
                keep(&mut cell, one.subject, from, sets)?;
                cell
            }
            [_] => Cell::all(),
            _ => product(&fields, from, sets)?,
        };
        cells.push((cell, to));
    }
    Some((fields.into_iter().flat_map(|f| f.implied).collect(), with_rest(cells)?))
}
