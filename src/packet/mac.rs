use super::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// An Ethernet hardware address: `52:54:00:12:34:56`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bad = || Malformed(format!("`{text}` is not a hardware address like 52:54:00:12:34:56"));
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = u8::from_str_radix(part.ok_or_else(bad)?, 16).map_err(|_| bad())?;
        }
        parts.next().map_or(Ok(Self(bytes)), |_| Err(bad()))
    }
}

as_text!(MacAddress, "a hardware address, six bytes in hexadecimal with colons");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_refusals() {
        assert_eq!("52-54-00-AB-cd-01".parse::<MacAddress>().expect("dashes").to_string(), "52:54:00:ab:cd:01");
        for text in ["", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:5", "zz:54:00:12:34:56"] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
