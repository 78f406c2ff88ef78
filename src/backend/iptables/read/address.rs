//! Addresses, ranges and lists of them as iptables and ipset write them.

use crate::packet::Ranges;
use crate::rule::ruleset::TableFamily;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The length of an address of a family in bits.
fn bits(family: TableFamily) -> u32 {
    if family == TableFamily::Ip6 { 128 } else { 32 }
}

/// The highest address of a family, as a number.
pub(super) fn last(family: TableFamily) -> u128 {
    u128::MAX >> (128 - bits(family))
}

/// An address of the family as a number.
pub(super) fn number(text: &str, family: TableFamily) -> Option<u128> {
    match family {
        TableFamily::Ip6 => text.parse::<Ipv6Addr>().ok().map(Ipv6Addr::to_bits),
        _ => text.parse::<Ipv4Addr>().ok().map(|address| address.to_bits().into()),
    }
}

/// The family of the first address of a value, where one stands there.
pub(super) fn family_of(text: &str) -> Option<TableFamily> {
    let end = text.find(['/', ',', '-']).unwrap_or(text.len());
    let family = |address: IpAddr| if address.is_ipv4() { TableFamily::Ip } else { TableFamily::Ip6 };
    text[..end].parse().ok().map(family)
}

/// An address with or without a mask: `10.0.0.0/8`, `10.0.0.1/255.0.255.255`, `fe80::/ffff::ff`.
pub(super) fn masked(text: &str, family: TableFamily) -> Option<Ranges> {
    let Some((address, mask)) = text.split_once('/') else { return number(text, family).map(Ranges::single) };
    let address = number(address, family)?;
    let last = last(family);
    let mask = match mask.parse::<u32>() {
        Ok(length) if length <= bits(family) => !last.checked_shr(length).unwrap_or(0) & last,
        Ok(_) => return None,
        Err(_) => number(mask, family)?,
    };
    Ranges::masked(mask, address & mask, last)
}

/// A list of addresses with or without masks.
pub(super) fn list(text: &str, family: TableFamily) -> Option<Ranges> {
    let all = text.split(',').map(|one| masked(one.trim(), family)).collect::<Option<Vec<_>>>()?;
    match all.as_slice() {
        [one] => Some(one.clone()),
        _ => Some(Ranges::of(all.iter().flat_map(|ranges| ranges.as_slice().iter().copied()))),
    }
}

/// A range: `10.0.0.1-10.0.0.9`; one address is a range of one.
pub(super) fn range(text: &str, family: TableFamily) -> Option<Ranges> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(Ranges::one(number(first, family)?, number(last, family)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ranges() {
        let v4 = |text| list(text, TableFamily::Ip).map(|ranges| ranges.as_slice().to_vec());
        assert_eq!(v4("10.0.0.7/8"), Some(vec![(10 << 24, (11 << 24) - 1)]));
        assert_eq!(v4("0.0.0.0/0"), Some(vec![(0, u128::from(u32::MAX))]));
        assert_eq!(v4("10.0.0.1/255.255.255.255"), v4("10.0.0.1"));
        assert_eq!(v4("10.0.0.1,10.0.0.2"), Some(vec![((10 << 24) + 1, (10 << 24) + 2)]));
        let odd = masked("10.0.0.1/255.0.255.255", TableFamily::Ip).expect("256 ranges");
        assert_eq!(odd.as_slice().len(), 256);
        assert!(odd.contains((10 << 24) + (7 << 16) + 1) && !odd.contains((10 << 24) + (7 << 16) + 2));
        let v6 = masked("fe80::1234/ffff::ff", TableFamily::Ip6);
        assert_eq!(v6, None, "more ranges than are worked with");
        assert_eq!(
            masked("fe80::/64", TableFamily::Ip6).and_then(|r| r.hull()).map(|(a, b)| b - a),
            Some((1 << 64) - 1)
        );
        assert_eq!(masked("::/0", TableFamily::Ip6), Some(Ranges::one(0, u128::MAX)));
        for text in ["10.0.0.1/33", "host.example", "", "10.0.0.1/", "fe80::1", "10.0.0.1/x", "10.0.0"] {
            assert_eq!(v4(text), None, "{text}");
        }
        assert_eq!(range("10.0.0.9-10.0.0.1", TableFamily::Ip), Some(Ranges::none()));
        assert_eq!((family_of("::1/128"), family_of("x")), (Some(TableFamily::Ip6), None));
    }
}
