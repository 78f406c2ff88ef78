//! What an address is to the host that looks at it: its own, a broadcast, another's. The host's routes say which (rtnetlink(7)), so
//! it is a field beside the address; for some addresses it is the same on every host.

use super::{Bits, Ranges};

/// The types as nft and iptables name them, each at its number (enum rtn_type, linux/rtnetlink.h).
const WORDS: [&str; 11] = [
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
];

/// The type of other hosts' addresses.
pub const UNICAST: u8 = 1;
/// The type of the host's own addresses.
pub const LOCAL: u8 = 2;
const BROADCAST: u8 = 3;
const MULTICAST: u8 = 5;

/// Every type.
pub const ADDRESS_TYPES: Bits = Bits::below(WORDS.len() as u16);

/// The type of a name, in small or in capital letters.
pub fn address_type(word: &str) -> Option<u8> {
    let at = WORDS.iter().position(|name| name.eq_ignore_ascii_case(word))?;
    u8::try_from(at).ok()
}

/// The name of a type.
pub fn address_type_word(kind: u8) -> &'static str {
    WORDS.get(usize::from(kind)).copied().unwrap_or("unspec")
}

/// The addresses of a family (0 IPv4, 1 IPv6) that have one type on every host, with this type (`inet_dev_addr_type`,
/// net/ipv4/fib_frontend.c).
pub(super) fn fixed(family: u8) -> Vec<(Ranges, u8)> {
    match family {
        0 => vec![
            (Ranges::of([(0, 0x00ff_ffff), (0xffff_ffff, 0xffff_ffff)]), BROADCAST),
            (Ranges::one(0xe000_0000, 0xefff_ffff), MULTICAST),
        ],
        _ => Vec::new(),
    }
}

/// The type that an address has on every host, or mostly has, or else `ordinary`.
pub fn usual_type(family: u8, address: u128, ordinary: u8) -> u8 {
    let own = fixed(family).into_iter().find(|(addresses, _)| addresses.contains(address));
    match own {
        Some((_, kind)) => kind,
        // Of IPv6 a route says so that every host has (ff00::/8) until somebody takes it away.
        None if family == 1 && address >> 120 == 0xff => MULTICAST,
        None => ordinary,
    }
}

/// The types of addresses that have not one on every host.
pub(super) fn open(family: u8) -> Bits {
    // Of IPv4 the table of routes never says multicast.
    if family == 0 { ADDRESS_TYPES.minus(Bits::single(MULTICAST)) } else { ADDRESS_TYPES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for kind in ADDRESS_TYPES.iter() {
            assert_eq!(address_type(address_type_word(kind)), Some(kind));
        }
        assert_eq!((address_type("LOCAL"), address_type("xresolve")), (Some(LOCAL), None));
        assert_eq!(
            [0, 0xe000_0001, 0x0a00_0001].map(|address| usual_type(0, address, LOCAL)),
            [BROADCAST, MULTICAST, LOCAL]
        );
    }
}
