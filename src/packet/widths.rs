use super::{AddressSpec, Family};
use std::net::IpAddr;

/// The widest networks that may be blocked without a person, as lengths of prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    pub v4: u8,
    pub v6: u8,
}

impl Default for Widths {
    /// A /24 and a /48: what one customer gets (RFC 6177 for the latter).
    fn default() -> Self {
        Self { v4: 24, v6: 48 }
    }
}

impl Widths {
    /// Why `addresses` are too many, when they are. A range counts as the smallest network that holds it.
    pub fn exceeds(&self, addresses: &AddressSpec) -> Option<String> {
        let widest = match addresses.family() {
            Family::Ipv4 => self.v4,
            Family::Ipv6 => self.v6,
        };
        let length = common_prefix(addresses);
        (length < widest).then(|| {
            let what = if matches!(addresses, AddressSpec::Net(_)) { "" } else { "spans a " };
            let verb = if what.is_empty() { format!("is a /{length}, ") } else { format!("{what}/{length}, ") };
            format!("{addresses} {verb}wider than the /{widest} that may be blocked without a person")
        })
    }
}

/// How many leading bits all the addresses have in common.
fn common_prefix(addresses: &AddressSpec) -> u8 {
    let bits = |address| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let differing = bits(addresses.first()) ^ bits(addresses.last());
    let common = u8::try_from(differing.leading_zeros()).unwrap_or(128);
    common.min(addresses.family().bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_ranges_have_a_width() {
        let widths = Widths::default();
        for fine in ["192.0.2.1", "192.0.2.0/24", "192.0.2.0-192.0.2.255", "2001:db8::/48", "2001:db8::1"] {
            assert_eq!(widths.exceeds(&fine.parse().expect(fine)), None, "{fine}");
        }
        for (wide, words) in [
            ("192.0.2.0/23", "192.0.2.0/23 is a /23, wider than the /24 that may be blocked without a person"),
            (
                "192.0.2.255-192.0.3.0",
                "192.0.2.255-192.0.3.0 spans a /23, wider than the /24 that may be blocked without a person",
            ),
            ("0.0.0.0/0", "0.0.0.0/0 is a /0, wider than the /24 that may be blocked without a person"),
            ("2001:db8::/32", "2001:db8::/32 is a /32, wider than the /48 that may be blocked without a person"),
        ] {
            assert_eq!(widths.exceeds(&wide.parse().expect(wide)).as_deref(), Some(words));
        }
    }
}
