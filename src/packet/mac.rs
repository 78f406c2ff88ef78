use super::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// An Ethernet hardware address: `52:54:00:12:34:56`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// As a number, big end first: below 2⁴⁸.
    pub fn to_number(self) -> u128 {
        self.0.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    /// The address that a number below 2⁴⁸ stands for.
    pub fn from_number(number: u128) -> Option<Self> {
        let bytes = number.to_be_bytes();
        (number < super::NO_MAC).then(|| Self(std::array::from_fn(|n| bytes[10 + n])))
    }
}

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
        let mac = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!((mac.to_number(), MacAddress::from_number(mac.to_number())), (0x5254_0012_3456, Some(mac)));
        assert_eq!(MacAddress::from_number(1 << 48), None);
        for text in ["", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:5", "zz:54:00:12:34:56"] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
