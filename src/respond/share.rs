use crate::packet::AddressSpec;
use std::net::IpAddr;
use std::ops::Add;

/// How many addresses are blocked. Of IPv6 networks of 64 bits are counted, since whoever has one address there has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    v4: u64,
    v6: u64,
}

impl Share {
    /// What `addresses` come to; those that lie in one another count each for itself.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a AddressSpec>) -> Self {
        addresses.into_iter().map(one).fold(Self::default(), Add::add)
    }

    /// Words for why these are too many, where they are more than `ppm` millionths of all addresses of a family.
    pub fn exceeds(self, ppm: u32) -> Option<String> {
        let most = |all: u128| all * u128::from(ppm) / 1_000_000;
        let words = |count: u64, all: u128, what: &str| {
            (u128::from(count) > most(all))
                .then(|| format!("{count} {what} would be blocked at once, more than {ppm} millionths of all"))
        };
        words(self.v4, 1 << 32, "IPv4 addresses").or_else(|| words(self.v6, 1 << 64, "IPv6 networks"))
    }
}

impl Add for Share {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { v4: self.v4.saturating_add(other.v4), v6: self.v6.saturating_add(other.v6) }
    }
}

fn one(address: &AddressSpec) -> Share {
    match (address.first(), address.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Share { v4: u64::from(last.to_bits() - first.to_bits()) + 1, ..Share::default() }
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let count = (last.to_bits() >> 64) - (first.to_bits() >> 64) + 1;
            Share { v6: u64::try_from(count).unwrap_or(u64::MAX), ..Share::default() }
        }
        _ => Share::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(list: &[&str]) -> Share {
        let list: Vec<AddressSpec> = list.iter().map(|text| text.parse().expect(text)).collect();
        Share::of(&list)
    }

    #[test]
    fn each_family_has_its_own_count() {
        assert_eq!(
            share(&["192.0.2.7", "198.51.100.0/24", "2001:db8::7", "2001:db8::/48"]),
            Share { v4: 257, v6: 65_537 }
        );
        assert_eq!(share(&["0.0.0.0/0", "::/0"]), Share { v4: 1 << 32, v6: u64::MAX });
    }

    #[test]
    fn too_much_is_told() {
        let all = share(&["10.0.0.0/8"]);
        assert_eq!(all.exceeds(3_907), None, "a 256th is 3906.25 millionths");
        let words = "16777216 IPv4 addresses would be blocked at once, more than 3906 millionths of all";
        assert_eq!(all.exceeds(3_906).as_deref(), Some(words));
        let six = share(&["2001::/16"]).exceeds(1).expect("a 65536th");
        assert!(six.contains("IPv6 networks"), "{six}");
    }
}
