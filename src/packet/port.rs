use super::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// One port or a range of ports, both ends included: `22`, `8000-8100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The ports from `first` to `last`.
    ///
    /// # Errors
    /// When they run backwards.
    pub fn new(first: u16, last: u16) -> Result<Self, Malformed> {
        if first > last {
            return Err(Malformed(format!("port range {first}-{last} runs backwards")));
        }
        Ok(Self { first, last })
    }

    /// The single port `port`.
    pub const fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The lowest port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// The port, where there is only one.
    pub fn as_single(&self) -> Option<u16> {
        (self.first == self.last).then_some(self.first)
    }

    /// Whether `port` is one of these.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_single() {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

fn port(text: &str) -> Result<u16, Malformed> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed(format!("`{text}` is not a port number")));
    }
    text.parse().map_err(|_| Malformed(format!("port {text} is above 65535")))
}

impl FromStr for PortRange {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => port(text).map(Self::single),
        }
    }
}

as_text!(PortRange, "a port, 0 to 65535, or a range `first-last`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_refusals() {
        for text in ["22", "0", "65535", "8000-8100"] {
            assert_eq!(text.parse::<PortRange>().expect(text).to_string(), text);
        }
        for (text, words) in [
            ("70000", "port 70000 is above 65535"),
            ("8100-8000", "port range 8100-8000 runs backwards"),
            ("ssh", "`ssh` is not a port number"),
            ("-1", "`` is not a port number"),
            ("", "`` is not a port number"),
        ] {
            assert_eq!(text.parse::<PortRange>().expect_err(text).to_string(), words);
        }
    }
}
