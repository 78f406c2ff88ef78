//! Addresses that no packet comes in with: the kernel drops such packets before any filter sees them.

use super::{Direction, Packet};
use crate::packet::{Cell, Ranges, Wide};
use std::net::IpAddr;

/// Addresses of IPv4, and of IPv6, that are unusual at one end or the other: none, loopback, multicast, of one link, mapped.
const UNUSUAL: [[(u128, u128); 3]; 2] = [
    [(0, 0x00ff_ffff), (0x7f00_0000, 0x7fff_ffff), (0xe000_0000, 0xffff_ffff)],
    [(0, 0xffff_ffff_ffff), v6(0xfe80, 10), v6(0xff00, 8)],
];

const fn v6(high: u16, bits: u32) -> (u128, u128) {
    let first = (high as u128) << 112;
    (first, first | (u128::MAX >> bits))
}

/// Networks that a reader knows for no one's in particular: of documentation (RFC 5737, RFC 3849), and private (RFC 1918, RFC 4193).
const FAMILIAR: [&[u128]; 2] = [
    &[0xc000_0200, 0xc633_6400, 0xcb00_7100, 0x0a00_0000, 0xc0a8_0000, 0xac10_0000],
    &[0x2001_0db8 << 96, 0x2001_0db8_0001 << 80, 0xfd00 << 112],
];

/// An address of a cell: the one that is liked, one like it in a familiar network, a usual one, or any.
pub(super) fn address(cell: &Cell, field: Wide, family: u8, liked: u128) -> Option<u128> {
    let (values, family) = (cell.wide(field), usize::from(family));
    if values.contains(liked) {
        return Some(liked);
    }
    let mut familiar = FAMILIAR[family].iter().map(|network| network | liked & 0xff);
    if let Some(address) = familiar.find(|address| values.contains(*address)) {
        return Some(address);
    }
    let (first, last) = usual(values, &UNUSUAL[family]).or(values.as_slice().first().copied())?;
    // The network's own address is no host's.
    Some(if last - first > 1 { first + 1 } else { first })
}

/// The lowest run of values outside of some ranges, which ascend.
fn usual(values: &Ranges, unusual: &[(u128, u128)]) -> Option<(u128, u128)> {
    values.as_slice().iter().find_map(|(first, last)| {
        let mut first = *first;
        for (from, to) in unusual {
            if first < *from {
                return Some((first, (*last).min(from - 1)));
            }
            if first <= *to {
                first = to.checked_add(1)?;
            }
            if first > *last {
                return None;
            }
        }
        Some((first, *last))
    })
}

impl Packet {
    /// Whether the kernel drops it on its way to the input or forward hook whatever the rules say (`ip_route_input_slow`,
    /// `ip6_rcv_core`, `ip6_forward`), or gives it another destination on its way out (`ip_route_output_key_hash_rcu`).
    pub fn is_stray(&self) -> bool {
        if self.direction == Direction::Output {
            return self.destination.is_unspecified();
        }
        let own = self.interface_in.as_deref() == Some("lo");
        let forwarded = self.direction == Direction::Forward;
        match (self.source, self.destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let none = |address: std::net::Ipv4Addr| address.octets()[0] == 0;
                none(to)
                    || none(from) && !(from.is_unspecified() && to.is_broadcast())
                    || from.is_multicast()
                    || from.is_broadcast()
                    || !own && (from.is_loopback() || to.is_loopback())
                    || forwarded && (to.is_multicast() || to.is_broadcast())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                to.is_unspecified()
                    || from.is_multicast()
                    || from.to_ipv4_mapped().is_some()
                    || !own && (from.is_loopback() || to.is_loopback())
                    || forwarded && (from.is_unspecified() || from.is_unicast_link_local() || to.is_multicast())
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Bits, Narrow};

    #[test]
    fn strays_are_known() {
        for (ends, expected) in [
            ("input eth0 203.0.113.9 > 198.51.100.10 udp", false),
            ("input eth0 0.0.0.0 > 255.255.255.255 udp", false),
            ("input eth0 0.0.0.1 > 198.51.100.10 udp", true),
            ("input eth0 203.0.113.9 > 0.0.0.1 udp", true),
            ("input eth0 127.0.0.1 > 198.51.100.10 udp", true),
            ("input lo 127.0.0.1 > 127.0.0.1 udp", false),
            ("input eth0 224.0.0.1 > 198.51.100.10 udp", true),
            ("input eth0 203.0.113.9 > 224.0.0.1 udp", false),
            ("forward a b 203.0.113.9 > 224.0.0.1 udp", true),
            ("input eth0 ::1 > 2001:db8::1 udp", true),
            ("input lo ::1 > ::1 udp", false),
            ("input eth0 :: > ff02::1 udp", false),
            ("forward a b fe80::1 > 2001:db8::1 udp", true),
            ("output eth0 127.0.0.1 > 0.0.0.1 udp", false),
            ("output eth0 127.0.0.1 > 0.0.0.0 udp", true),
        ] {
            assert_eq!(ends.parse::<Packet>().expect(ends).is_stray(), expected, "{ends}");
        }
    }

    #[test]
    fn a_familiar_address_is_shown_where_there_is_one() {
        let shown = |family: u8, values: Ranges| {
            let cell = Cell::all().with_narrow(Narrow::Family, Bits::single(family)).with_wide(Wide::Source, values);
            Packet::from_cell(Direction::Input, &cell).expect("a packet").source.to_string()
        };
        for (first, last, source) in [
            (0, 0x7fff_ffff, "10.0.0.9"),
            (0xc000_0000, 0xcaff_ffff, "192.0.2.9"),
            (0xc0a8_0000, 0xc0a8_ffff, "192.168.0.9"),
            (0x0a14_0000, 0x0a14_ffff, "10.20.0.1"),
            (0x0000_0000, 0x0100_ffff, "1.0.0.1"),
            (0x7f00_0005, 0x7f00_0005, "127.0.0.5"),
            (0x7f00_0000, 0x8000_0005, "128.0.0.1"),
            (0x0000_0001, 0x0000_0003, "0.0.0.2"),
        ] {
            assert_eq!(shown(0, Ranges::one(first, last)), source);
        }
        assert_eq!(shown(1, Ranges::one(0, 0x2001_0db8 << 96 | 0xffff)), "2001:db8::9");
        assert_eq!(shown(1, Ranges::one(0xfc00 << 112, u128::MAX)), "fd00::9");
        assert_eq!(shown(1, Ranges::one(0xfe80 << 112, u128::MAX)), "fec0::1");
        assert_eq!(shown(1, Ranges::one(0xff02 << 112, u128::MAX)), "ff02::1");
    }

    #[test]
    fn usual_addresses_come_first() {
        for (family, first, last) in [(0, 0, 0x0100_0000), (0, 0x7f00_0000, 0x8000_0005), (1, 0, 1 << 100)] {
            let cell = Cell::all()
                .with_narrow(Narrow::Family, Bits::single(family))
                .with_wide(Wide::Source, Ranges::one(first, last));
            let packet = Packet::from_cell(Direction::Input, &cell).expect("a packet");
            assert!(!packet.is_stray(), "{packet}");
        }
    }
}
