//! Lists of addresses as the networks that the API takes.

use crate::backend::meaning::{Part, address, part};
use crate::packet::{AddressSpec, Family};
use crate::rule::OneOf;
use ipnet::IpNet;

/// A list longer than this belongs into an alias, which AFO makes for blocks alone.
pub const MOST: usize = 200;

/// What a list of addresses is in one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nets {
    Everything,
    Nothing,
    /// These networks, or what is in none of it where it is negated. A negated one is single.
    Of(Vec<IpNet>, bool),
}

/// What a list means within one family. Of several networks only one can be negated: more are said by what is left.
pub fn nets(list: &OneOf<AddressSpec>, family: Family) -> Nets {
    let split = |spans: &[(u128, u128)]| spans.iter().flat_map(|span| split(*span, family)).collect::<Vec<_>>();
    match part(list, family) {
        Part::Everything => Nets::Everything,
        Part::Nothing => Nets::Nothing,
        Part::In(spans) => Nets::Of(split(&spans), false),
        Part::NotIn(spans) => match split(&spans) {
            single if single.len() == 1 => Nets::Of(single, true),
            _ => Nets::Of(split(&rest(&spans, family)), false),
        },
    }
}

/// The highest address of a family.
fn top(family: Family) -> u128 {
    if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX }
}

/// What is in none of sorted spans that do not touch.
fn rest(spans: &[(u128, u128)], family: Family) -> Vec<(u128, u128)> {
    let (mut next, mut left) = (Some(0), Vec::new());
    for (first, last) in spans {
        if let Some(from) = next.filter(|from| from < first) {
            left.push((from, first - 1));
        }
        next = last.checked_add(1).filter(|next| *next <= top(family));
    }
    left.extend(next.map(|from| (from, top(family))));
    left
}

/// The fewest networks that are a span together.
fn split((first, last): (u128, u128), family: Family) -> Vec<IpNet> {
    let (mut next, mut out) = (first, Vec::new());
    loop {
        let aligned = next.trailing_zeros().min(family.bits().into());
        let left = (last - next).checked_add(1).map_or(u32::from(family.bits()), |count| count.ilog2());
        let spare = aligned.min(left);
        let length = family.bits() - u8::try_from(spare).unwrap_or(family.bits());
        out.extend(IpNet::new(address(next, family), length));
        let size = 1u128.checked_shl(spare);
        match size.and_then(|size| next.checked_add(size)) {
            Some(begin) if begin <= last => next = begin,
            _ => return out,
        }
    }
}

/// A network as the API stores it: an address alone without its length.
pub fn spelled(net: IpNet) -> String {
    AddressSpec::from(net).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(list: &str, family: Family) -> (Vec<String>, bool) {
        match nets(&list.parse().expect(list), family) {
            Nets::Of(nets, not) => (nets.into_iter().map(spelled).collect(), not),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ranges_and_negations_are_networks() {
        let v4 = Family::Ipv4;
        assert_eq!(said("192.0.2.1", v4), (vec!["192.0.2.1".to_owned()], false));
        assert_eq!(said("!192.0.2.0/24", v4), (vec!["192.0.2.0/24".to_owned()], true));
        assert_eq!(said("192.0.2.1-192.0.2.4", v4).0, ["192.0.2.1", "192.0.2.2/31", "192.0.2.4"]);
        let (left, not) = said("!0.0.0.0/1,192.0.0.0/2", v4);
        assert_eq!((left, not), (vec!["128.0.0.0/2".to_owned()], false));
        assert_eq!(nets(&"2001:db8::1".parse().expect("list"), v4), Nets::Nothing);
        assert_eq!(nets(&"!2001:db8::1".parse().expect("list"), v4), Nets::Everything);
    }

    proptest! {
        #[test]
        fn a_span_is_its_networks(a: u32, b: u32) {
            let (first, last) = (u128::from(a.min(b)), u128::from(a.max(b)));
            let nets = split((first, last), Family::Ipv4);
            let mut next = first;
            for net in nets {
                let spec = AddressSpec::from(net);
                let (IpNet::V4(v4), AddressSpec::Net(_)) = (net, spec) else { panic!("family") };
                prop_assert_eq!(u128::from(u32::from(v4.network())), next);
                next = u128::from(u32::from(v4.broadcast())) + 1;
            }
            prop_assert_eq!(next, last + 1);
        }

        #[test]
        fn nothing_of_ipv6_panics(a: u128, b: u128) {
            prop_assert!(split((a.min(b), a.max(b)), Family::Ipv6).len() <= 254);
        }
    }

    #[test]
    fn everything_is_one_network() {
        assert_eq!(split((0, u128::MAX), Family::Ipv6).len(), 1);
        assert_eq!(split((0, u128::from(u32::MAX)), Family::Ipv4).len(), 1);
    }
}
