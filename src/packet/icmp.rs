use super::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// An ICMP or ICMPv6 type with or without a code: `8`, `3/4`. The rule's protocol says which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IcmpType {
    pub kind: u8,
    pub code: Option<u8>,
}

impl fmt::Display for IcmpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{}/{code}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl FromStr for IcmpType {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u8>()
                .ok()
                .filter(|_| digits)
                .ok_or_else(|| Malformed(format!("`{text}` is not an ICMP type; a number up to 255, or type/code, is")))
        };
        let (kind, code) = match text.split_once('/') {
            Some((kind, code)) => (number(kind)?, Some(number(code)?)),
            None => (number(text)?, None),
        };
        Ok(Self { kind, code })
    }
}

as_text!(IcmpType, "an ICMP type, `8`, or type and code, `3/4`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_refusals() {
        for text in ["8", "3/4", "255/255"] {
            assert_eq!(text.parse::<IcmpType>().expect(text).to_string(), text);
        }
        for text in ["", "256", "8/", "8/300", "echo"] {
            let words = format!("`{text}` is not an ICMP type; a number up to 255, or type/code, is");
            assert_eq!(text.parse::<IcmpType>().expect_err(text).to_string(), words);
        }
    }
}
