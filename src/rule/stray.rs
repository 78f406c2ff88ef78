//! Addresses that no packet comes in with: the kernel drops such packets before any filter sees them.

use super::{Direction, Packet};
use crate::packet::{Cell, Ranges, Wide};
use std::net::IpAddr;

/// Addresses of a family (0 IPv4, 1 IPv6) that are unusual at one end or the other: none, loopback, multicast, of one link, mapped.
fn unusual(family: u8) -> Ranges {
    const fn v6(high: u16, bits: u32) -> (u128, u128) {
        let first = (high as u128) << 112;
        (first, first | (u128::MAX >> bits))
    }
    match family {
        0 => Ranges::of([(0, 0x00ff_ffff), (0x7f00_0000, 0x7fff_ffff), (0xe000_0000, 0xffff_ffff)]),
        _ => Ranges::of([(0, 0xffff_ffff_ffff), v6(0xfe80, 10), v6(0xff00, 8)]),
    }
}

/// An address of a cell: the one that is liked, a usual one, or any.
pub(super) fn address(cell: &Cell, field: Wide, family: u8, liked: u128) -> Option<u128> {
    let values = cell.wide(field);
    if values.contains(liked) {
        return Some(liked);
    }
    let usual = values.minus(&unusual(family));
    let (first, last) = *usual.as_slice().first().or(values.as_slice().first())?;
    // The network's own address is no host's.
    Some(if last - first > 1 { first + 1 } else { first })
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
