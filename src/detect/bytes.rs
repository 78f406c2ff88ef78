//! Reading numbers, words and addresses out of the bytes of a line, from either end, without copying.
//!
//! Nothing here knows a log format. Whatever is not exactly the thing asked for gives nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The decimal number that `text` is as a whole; at most 18 digits.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// The port number that `text` is as a whole.
pub(super) fn port(text: &[u8]) -> Option<u16> {
    number(text).and_then(|n| u16::try_from(n).ok())
}

/// The address that `text` is as a whole. A zone (`%eth0`) is left out and an IPv4 address in IPv6 clothes is undressed; a
/// part with a leading zero is refused, since some readers take it for octal.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if text.len() < 2 || text.len() > 64 {
        return None;
    }
    if !text.contains(&b':') {
        return dotted(text).map(IpAddr::V4);
    }
    let text = memchr::memchr(b'%', text).map_or(text, |at| &text[..at]);
    let v6: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0u8; 4];
    let (mut part, mut value, mut digits) = (0, 0u16, 0);
    for &byte in text {
        if byte == b'.' && digits > 0 && part < 3 {
            parts[part] = u8::try_from(value).ok()?;
            (part, value, digits) = (part + 1, 0, 0);
        } else if byte.is_ascii_digit() && digits < 3 && !(digits == 1 && value == 0) {
            (value, digits) = (value * 10 + u16::from(byte - b'0'), digits + 1);
        } else {
            return None;
        }
    }
    parts[3] = u8::try_from(value).ok()?;
    (part == 3 && digits > 0).then(|| Ipv4Addr::from(parts))
}

/// Splits off the last word: what stands before the last space, and what stands after it.
pub(super) fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memrchr(b' ', text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Splits off the first word: what stands before the first space, and what stands after it.
pub(super) fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    memchr::memchr(b' ', text).map_or((text, b""), |at| (&text[..at], &text[at + 1..]))
}

/// What stands before and after the only place where `mark` stands; nothing where it stands nowhere or twice.
pub(super) fn split_only<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, mark)?;
    let rest = &text[at + mark.len()..];
    // overlapping places count as two: the search for a second begins one byte on
    memchr::memmem::find(&text[at + 1..], mark).is_none().then_some((&text[..at], rest))
}

/// Whether `mark` stands somewhere in `text`.
pub(super) fn has(text: &[u8], mark: &[u8]) -> bool {
    memchr::memmem::find(text, mark).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        assert_eq!(address(b"192.0.2.1"), Some([192, 0, 2, 1].into()));
        assert_eq!(address(b"::ffff:192.0.2.1"), Some([192, 0, 2, 1].into()));
        assert_eq!(address(b"fe80::1%eth0").map(|a| a.to_string()), Some("fe80::1".into()));
        for text in
            ["", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.02.3.4", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", ":"]
        {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_only_place() {
        assert_eq!(split_only(b"a--b", b"--"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(split_only(b"a--b--", b"--"), None);
        assert_eq!(split_only(b"a---b", b"--"), None);
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_read_as_the_standard_library_reads_it(text in "[0-9.]{0,17}") {
            prop_assert_eq!(address(text.as_bytes()), text.parse::<Ipv4Addr>().ok().map(IpAddr::V4));
        }
    }
}
