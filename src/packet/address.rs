use super::{Malformed, as_text};
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The address family of a packet.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// The family that `address` belongs to.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    /// The length of an address in bits: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// One address, one network or one range of addresses: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1-2001:db8::9`.
///
/// A network has no host bits set and a range has two ends of one family, the first not above the last; a network
/// that holds one address and a range of one address are that address, so equal sets written so are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressSpec {
    Net(IpNet),
    Range(IpAddr, IpAddr),
}

impl AddressSpec {
    /// The single address `address`.
    pub fn single(address: IpAddr) -> Self {
        Self::Net(IpNet::from(address))
    }

    /// The addresses from `first` to `last`, both included.
    ///
    /// # Errors
    /// When the ends are of two families or run backwards.
    pub fn range(first: IpAddr, last: IpAddr) -> Result<Self, Malformed> {
        match () {
            () if first.is_ipv4() != last.is_ipv4() => {
                Err(Malformed(format!("range {first}-{last} mixes IPv4 and IPv6")))
            }
            () if first > last => Err(Malformed(format!("range {first}-{last} runs backwards"))),
            () if first == last => Ok(Self::single(first)),
            () => Ok(Self::Range(first, last)),
        }
    }

    /// The family of the addresses.
    pub fn family(&self) -> Family {
        Family::of(self.first())
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        match self {
            Self::Net(net) => net.network(),
            Self::Range(first, _) => *first,
        }
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        match self {
            Self::Net(IpNet::V4(net)) => IpAddr::V4(net.broadcast()),
            Self::Net(IpNet::V6(net)) => IpAddr::V6(net.broadcast()),
            Self::Range(_, last) => *last,
        }
    }

    /// The address, where there is only one.
    pub fn as_single(&self) -> Option<IpAddr> {
        match self {
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => Some(net.addr()),
            _ => None,
        }
    }

    /// Whether `address` is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.family() == Family::of(address) && self.first() <= address && address <= self.last()
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first() <= other.last() && other.first() <= self.last()
    }

    /// Whether every address of the family is one of these (`0.0.0.0/0`, `::/0`).
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Net(net) if net.prefix_len() == 0)
    }
}

impl From<IpNet> for AddressSpec {
    /// The network that `net` lies in: host bits are cleared.
    fn from(net: IpNet) -> Self {
        Self::Net(net.trunc())
    }
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.as_single()) {
            (_, Some(address)) => write!(f, "{address}"),
            (Self::Net(net), None) => write!(f, "{net}"),
            (Self::Range(first, last), None) => write!(f, "{first}-{last}"),
        }
    }
}

fn address(text: &str) -> Result<IpAddr, Malformed> {
    let parsed: IpAddr = text.parse().map_err(|_| Malformed(format!("`{text}` is not an address")))?;
    match parsed {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => Err(Malformed(format!(
                "{v6} is an IPv4 address in IPv6 clothes and never seen in a packet; write {v4}"
            ))),
            None => Ok(parsed),
        },
        IpAddr::V4(_) => Ok(parsed),
    }
}

impl FromStr for AddressSpec {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some((first, last)) = text.split_once('-') {
            return Self::range(address(first)?, address(last)?);
        }
        let Some((base, length)) = text.split_once('/') else {
            return Ok(Self::single(address(text)?));
        };
        let base = address(base)?;
        let bits = Family::of(base).bits();
        let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length = length
            .parse::<u8>()
            .ok()
            .filter(|n| plain && *n <= bits)
            .ok_or_else(|| Malformed(format!("prefix length `/{length}` of {base} is not between 0 and {bits}")))?;
        let net = IpNet::new(base, length).map_err(|e| Malformed(e.to_string()))?;
        if net.trunc() != net {
            return Err(Malformed(format!("{net} has host bits set; write {} or {base}", net.trunc())));
        }
        Ok(Self::Net(net))
    }
}

as_text!(AddressSpec, "an address, a network in CIDR form without host bits, or a range `first-last`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_back() {
        for text in ["192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", "::/0", "2001:db8::/48", "10.0.0.1-10.0.0.9", "::1-::9"]
        {
            assert_eq!(text.parse::<AddressSpec>().expect(text).to_string(), text);
        }
        assert_eq!("192.0.2.1/32".parse::<AddressSpec>().expect("host").to_string(), "192.0.2.1");
        assert_eq!("192.0.2.1-192.0.2.1".parse(), Ok(AddressSpec::single([192, 0, 2, 1].into())));
    }

    #[test]
    fn each_refusal_names_its_cause() {
        for (text, words) in [
            ("300.1.2.3", "`300.1.2.3` is not an address"),
            ("192.0.2.0/33", "prefix length `/33` of 192.0.2.0 is not between 0 and 32"),
            ("192.0.2.0/+8", "prefix length `/+8` of 192.0.2.0 is not between 0 and 32"),
            ("192.0.2.9/24", "192.0.2.9/24 has host bits set; write 192.0.2.0/24 or 192.0.2.9"),
            ("10.0.0.9-10.0.0.1", "range 10.0.0.9-10.0.0.1 runs backwards"),
            ("10.0.0.9-::1", "range 10.0.0.9-::1 mixes IPv4 and IPv6"),
            ("fe80::1%eth0", "`fe80::1%eth0` is not an address"),
            (
                "::ffff:192.0.2.1",
                "::ffff:192.0.2.1 is an IPv4 address in IPv6 clothes and never seen in a packet; write 192.0.2.1",
            ),
            ("", "`` is not an address"),
        ] {
            assert_eq!(text.parse::<AddressSpec>().expect_err(text).to_string(), words);
        }
    }

    #[test]
    fn ends_and_members() {
        let net: AddressSpec = "10.0.0.0/30".parse().expect("net");
        assert_eq!(net.last(), IpAddr::from([10, 0, 0, 3]));
        assert!(net.contains([10, 0, 0, 3].into()) && !net.contains([10, 0, 0, 4].into()));
        assert!(net.overlaps(&"10.0.0.3-10.0.0.9".parse().expect("range")));
        assert!(!net.overlaps(&"::/0".parse().expect("all of IPv6")));
    }
}
