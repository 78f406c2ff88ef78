use super::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// A transport protocol by its number in the IP header (IANA "Assigned Internet Protocol Numbers").
///
/// Prints its name where it has one here, else its number; both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

const NAMES: &[(u8, &str)] = &[
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (88, "eigrp"),
    (89, "ospf"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
];

impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const GRE: Self = Self(47);
    pub const DCCP: Self = Self(33);
    pub const ICMPV6: Self = Self(58);
    pub const SCTP: Self = Self(132);
    pub const UDPLITE: Self = Self(136);

    /// The name, where the protocol has one here.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }

    /// Whether its header begins with a source and a destination port.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::DCCP | Self::SCTP | Self::UDPLITE)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Protocol {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some((number, _)) = NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(Self(*number));
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self).ok_or_else(|| {
            Malformed(format!("`{text}` is not a protocol; a name such as tcp or a number up to 255 is"))
        })
    }
}

as_text!(Protocol, "a protocol by name (tcp, udp, icmp, icmpv6, sctp, …) or number, 0 to 255");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for number in 0..=255 {
            let protocol = Protocol(number);
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        let words = "`tpc` is not a protocol; a name such as tcp or a number up to 255 is";
        assert_eq!("tpc".parse::<Protocol>().expect_err("unknown").to_string(), words);
        assert!("256".parse::<Protocol>().is_err() && "+6".parse::<Protocol>().is_err());
    }
}
