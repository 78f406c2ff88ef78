//! Addresses in nft's terms, family by family.

use super::named;
use crate::backend::meaning::{Part, address, bits, merged, net};
use crate::backend::nftables::native::{Element, Key, Right, Set, SetKind, Statement, Value};
use crate::packet::{AddressSpec, Family};
use std::sync::Arc;

/// Lists of more items become named sets: anonymous ones cost the kernel quadratic time.
pub(super) const WIDEST: usize = 64;

/// What a list of addresses holds of one family, each address once.
pub(in crate::backend::nftables) fn values(addresses: &[AddressSpec], family: Family) -> Vec<Value> {
    let own = addresses.iter().filter(|a| a.family() == family);
    let spans = merged(own.map(|a| (bits(a.first()), bits(a.last()))));
    spans.into_iter().map(|span| value(span, family)).collect()
}

/// A span as nft writes it: an address, a network where it is one, else a range.
pub(super) fn value((first, last): (u128, u128), family: Family) -> Value {
    let low = address(first, family);
    match net((first, last), family) {
        _ if first == last => Value::Address(low),
        Some(net) => Value::Net(net),
        None => Value::Range(Box::new(Value::Address(low)), Box::new(Value::Address(address(last, family)))),
    }
}

/// The header that carries the addresses of a family.
pub(in crate::backend::nftables) fn header(family: Family) -> &'static str {
    if family == Family::Ipv4 { "ip" } else { "ip6" }
}

/// The match of `field` (saddr, daddr) against a part; none where everything matches.
pub(super) fn matching(
    field: &'static str,
    part: &Part,
    family: Family,
    sets: &mut Vec<(Set, Arc<[Element]>)>,
) -> Option<Statement> {
    let (spans, negated) = match part {
        Part::Everything | Part::Nothing => return None,
        Part::In(spans) => (spans, false),
        Part::NotIn(spans) => (spans, true),
    };
    let kind = if family == Family::Ipv4 { SetKind::Ipv4 } else { SetKind::Ipv6 };
    let values: Vec<Value> = spans.iter().map(|span| value(*span, family)).collect();
    let interval = spans.iter().any(|(first, last)| first != last);
    let right = list(values, "a", kind, interval, sets);
    Some(Statement::Match { key: Key::Payload(header(family), field), negated, right })
}

/// The right side for a list: the value itself, an anonymous set, or a named set where the list is wide.
pub(super) fn list(
    mut values: Vec<Value>,
    prefix: &str,
    kind: SetKind,
    interval: bool,
    sets: &mut Vec<(Set, Arc<[Element]>)>,
) -> Right {
    match values.len() {
        1 => Right::One(values.remove(0)),
        n if n <= WIDEST => Right::Any(values),
        _ => {
            let name = named(prefix, &values);
            if !sets.iter().any(|(set, _)| set.name == name) {
                let elements: Arc<[Element]> = values.into_iter().map(Element::lasting).collect();
                sets.push((Set::fixed(name.clone(), kind, interval).holding(elements.len()), elements));
            }
            Right::Set(name)
        }
    }
}
