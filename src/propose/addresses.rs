//! Arithmetic on lists of addresses: what is left of some without others, exactly.

use crate::packet::{AddressSpec, Family};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of `from` that are in none of `without`, as networks and ranges in the order of `from`.
pub(super) fn minus(from: &[AddressSpec], without: &[AddressSpec]) -> Vec<AddressSpec> {
    let mut left: Vec<AddressSpec> = from.to_vec();
    for hole in without {
        left = left.iter().flat_map(|spec| cut(spec, hole)).collect();
    }
    left
}

/// The parts of `spec` outside `hole`.
fn cut(spec: &AddressSpec, hole: &AddressSpec) -> Vec<AddressSpec> {
    if !spec.overlaps(hole) {
        return vec![*spec];
    }
    let family = spec.family();
    let (first, last, low, high) =
        (number(spec.first()), number(spec.last()), number(hole.first()), number(hole.last()));
    let before = low.checked_sub(1).filter(|end| *end >= first && low > first).map(|end| span(family, first, end));
    let after = high.checked_add(1).filter(|start| *start <= last).map(|start| span(family, start, last));
    before.into_iter().chain(after).collect()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// The addresses from `first` to `last`: a network where they are one.
fn span(family: Family, first: u128, last: u128) -> AddressSpec {
    let size = last.wrapping_sub(first).wrapping_add(1);
    let whole = size.is_power_of_two() && first & (size - 1) == 0;
    let host_bits = u8::try_from(size.trailing_zeros()).unwrap_or(u8::MAX);
    let at = |n: u128| match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(n).unwrap_or(u32::MAX))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(n)),
    };
    let net = match at(first) {
        IpAddr::V4(a) => family.bits().checked_sub(host_bits).and_then(|n| Ipv4Net::new(a, n).ok()).map(IpNet::V4),
        IpAddr::V6(a) => family.bits().checked_sub(host_bits).and_then(|n| Ipv6Net::new(a, n).ok()).map(IpNet::V6),
    };
    match net.filter(|_| whole) {
        Some(net) => AddressSpec::from(net),
        None => AddressSpec::Range(at(first), at(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> Vec<AddressSpec> {
        text.split(' ').filter(|t| !t.is_empty()).map(|t| t.parse().expect(t)).collect()
    }

    #[test]
    fn holes_are_cut_out() {
        for (from, without, left) in [
            ("10.0.0.0/24", "10.0.0.7", "10.0.0.0-10.0.0.6 10.0.0.8-10.0.0.255"),
            ("10.0.0.0/24", "10.0.0.0/25", "10.0.0.128/25"),
            ("10.0.0.1", "10.0.0.0/8", ""),
            ("10.0.0.1 10.0.0.2", "10.0.0.1", "10.0.0.2"),
            ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"),
            ("2001:db8::/126", "2001:db8::3", "2001:db8::-2001:db8::2"),
            ("::/0", "::/1", "8000::/1"),
            ("10.0.0.0/24", "2001:db8::1", "10.0.0.0/24"),
        ] {
            assert_eq!(minus(&list(from), &list(without)), list(left), "{from} without {without}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_left_exactly_when_it_was_there_and_not_excepted(
            a in any::<u8>(), b in any::<u8>(), c in any::<u8>(), d in any::<u8>(), probe in any::<u8>(),
        ) {
            let at = |n: u8| IpAddr::from([10, 0, 0, n]);
            let range = |x: u8, y: u8| AddressSpec::range(at(x.min(y)), at(x.max(y))).expect("in order");
            let (from, without) = (range(a, b), range(c, d));
            let left = minus(&[from], &[without]);
            let is = left.iter().any(|spec| spec.contains(at(probe)));
            prop_assert_eq!(is, from.contains(at(probe)) && !without.contains(at(probe)));
        }
    }
}
