//! The words of the API for ICMP types: of IPv4 names, of IPv6 numbers, and only those that it lists (Filter.xml).

use crate::backend::pf;
use crate::packet::Family;

/// The types of ICMP that a rule can name.
const API_V4: [u8; 25] = [0, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 30, 31, 32, 33, 34, 35, 36, 39, 40];

/// The types of ICMPv6 that a rule can name, by their numbers.
const V6: [u8; 19] = [1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 200, 201];

/// The word for a type, where there is one.
pub fn word(kind: u8, v6: bool) -> Option<String> {
    match v6 {
        true => V6.contains(&kind).then(|| kind.to_string()),
        false => API_V4.contains(&kind).then(|| pf::icmp_word(kind, Family::Ipv4)).flatten().map(str::to_owned),
    }
}

/// The type of a word, or of a number, which the firewall's own rules have.
pub fn kind(word: &str) -> Option<u8> {
    word.parse().ok().or_else(|| pf::icmp_type(word, Family::Ipv4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for number in 0..=255 {
            for v6 in [false, true] {
                assert!(word(number, v6).is_none_or(|word| kind(&word) == Some(number)), "{number}");
            }
        }
        assert_eq!((word(8, false).as_deref(), word(128, true).as_deref()), (Some("echoreq"), Some("128")));
        assert_eq!((word(1, false), word(8, true), kind("echo")), (None, None, None));
    }
}
