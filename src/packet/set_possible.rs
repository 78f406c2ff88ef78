//! Which packets can be at all: what some fields say of others.

use super::address_type::{fixed, open};
use super::set::{BOTH, FIVE, HALF};
use super::{Bits, Cell, Narrow, Ranges, Wide};

impl Cell {
    /// The same packets without those that cannot be: IPv4 addresses end at 2³², a connection that is established was answered, a
    /// packet that begins one comes from its first side. Each cell holds one family.
    pub fn by_family(&self) -> Vec<Self> {
        let parts = if self.asks_connection() { self.by_state() } else { vec![self.clone()] };
        parts.iter().flat_map(Self::of_families).collect()
    }

    /// The first part of [`Cell::by_family`].
    pub fn of_first_family(self) -> Option<Self> {
        let family = self.narrow(Narrow::Family);
        if self.asks_connection() || self.asks_types() || family.len() != 1 {
            return self.by_family().into_iter().next();
        }
        self.of_family(family.iter().next()?)
    }

    fn asks_connection(&self) -> bool {
        self.asks_narrow(Narrow::ConnectionDirection) || self.asks_narrow(Narrow::ConnectionStatus)
    }

    /// Split by what the state of the connection says of its direction and status (nf_conntrack_in, resolve_normal_ct).
    fn by_state(&self) -> Vec<Self> {
        // A packet of which no status is said stands for those of any.
        let answered: Bits = HALF.iter().filter(|status| status & 2 != 0 || *status == 0).collect();
        let unanswered: Bits = HALF.iter().filter(|status| status & 6 == 0).collect();
        let (new, established) = (Bits::single(0), Bits::single(1));
        [
            (new, Bits::single(0), unanswered),
            (established, BOTH, answered),
            (FIVE.minus(new).minus(established), BOTH, HALF),
        ]
        .into_iter()
        .map(|(state, direction, status)| {
            let mut part = self.clone();
            part.keep_narrow(Narrow::State, state);
            part.keep_narrow(Narrow::ConnectionDirection, direction);
            part.keep_narrow(Narrow::ConnectionStatus, status);
            part
        })
        .filter(|part| !part.is_empty())
        .collect()
    }

    fn of_families(&self) -> Vec<Self> {
        let families = (0..3).filter(|family| self.narrow(Narrow::Family).contains(*family));
        let parts = families.filter_map(|family| self.clone().of_family(family));
        match self.asks_types() {
            true => parts.flat_map(Self::by_types).collect(),
            false => parts.collect(),
        }
    }

    fn asks_types(&self) -> bool {
        self.asks_narrow(Narrow::SourceType) || self.asks_narrow(Narrow::DestinationType)
    }

    fn by_types(self) -> Vec<Self> {
        let parts = self.of_types(Narrow::SourceType, Wide::Source).into_iter();
        parts.flat_map(|part| part.of_types(Narrow::DestinationType, Wide::Destination)).collect()
    }

    fn of_family(mut self, family: u8) -> Option<Self> {
        self.keep_narrow(Narrow::Family, Bits::single(family));
        if family == 0 {
            let v4 = Ranges::one(0, u128::from(u32::MAX));
            self.keep_wide(Wide::Source, &v4);
            self.keep_wide(Wide::Destination, &v4);
        }
        let part = if family == 1 { self.of_fragments() } else { self };
        (!part.is_empty()).then_some(part)
    }

    /// Split by the addresses that have one type on every host.
    fn of_types(self, types: Narrow, addresses: Wide) -> Vec<Self> {
        let Some(family) = self.narrow(Narrow::Family).iter().next().filter(|_| self.asks_narrow(types)) else {
            return vec![self];
        };
        let mut rest = addresses.all();
        let mut parts = Vec::new();
        for (own, kind) in fixed(family) {
            rest = rest.minus(&own);
            let mut part = self.clone();
            part.keep_wide(addresses, &own);
            part.keep_narrow(types, Bits::single(kind));
            parts.push(part);
        }
        let mut others = self;
        others.keep_wide(addresses, &rest);
        others.keep_narrow(types, open(family));
        parts.insert(0, others);
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// In a later fragment of IPv6 the kernel looks for a transport header at the beginning of the packet (`ipv6_find_hdr` leaves the
    /// offset at 0), where the version, 6, comes first. It is always at hand. Of cells with other packets these are not taken out.
    fn of_fragments(mut self) -> Self {
        if !self.narrow(Narrow::Fragment).contains(0) {
            self.keep_narrow(Narrow::Fragment, Bits::single(1));
            if self.asks_wide(Wide::SourcePort) {
                self.keep_wide(Wide::SourcePort, &Ranges::one(0x6000, 0x6fff));
            }
            if self.asks_narrow(Narrow::IcmpType) {
                self.keep_narrow(Narrow::IcmpType, (0x60..=0x6f).collect());
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_addresses() {
        let parts = Cell::all().by_family();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].wide(Wide::Source), &Ranges::one(0, u128::from(u32::MAX)));
        assert_eq!(parts[1].wide(Wide::Source), &Wide::Source.all());
    }

    #[test]
    fn a_connection_is_answered_before_it_is_established() {
        let parts = Cell::all().with_narrow(Narrow::ConnectionDirection, Bits::single(1)).by_family();
        assert!(parts.iter().all(|part| !part.narrow(Narrow::State).contains(0)), "{parts:?}");
        let unanswered = Cell::all().with_narrow(Narrow::ConnectionStatus, Bits::single(8)).by_family();
        assert!(unanswered.iter().all(|part| !part.narrow(Narrow::State).contains(1)), "{unanswered:?}");
        assert_eq!((parts.len(), unanswered.len(), Cell::all().by_family().len()), (6, 6, 3));
    }

    #[test]
    fn multicast_is_the_same_on_every_host() {
        let of = |kind: u8, source: u128| {
            let cell = Cell::all()
                .with_narrow(Narrow::Family, Bits::single(0))
                .with_wide(Wide::Source, Ranges::single(source));
            cell.with_narrow(Narrow::SourceType, Bits::single(kind)).by_family().len()
        };
        assert_eq!([of(5, 0xe000_0001), of(2, 0xe000_0001), of(5, 0x0a00_0001), of(2, 0x0a00_0001)], [1, 0, 0, 1]);
        assert_eq!([of(3, 0xffff_ffff), of(3, 0x0a00_00ff), of(2, 0)], [1, 1, 0]);
    }

    #[test]
    fn a_later_fragment_of_version_6_begins_with_its_version() {
        let port = |n: u128| {
            Cell::all().with_narrow(Narrow::Family, Bits::single(1)).with_wide(Wide::SourcePort, Ranges::single(n))
        };
        let later = |cell: Cell| cell.with_narrow(Narrow::Fragment, Bits::single(1)).by_family();
        assert_eq!((later(port(22)), later(port(0x6001)).len()), (Vec::new(), 1));
        assert!(port(22).with_narrow(Narrow::Fragment, Bits::single(2)).by_family().is_empty());
        assert_eq!(port(22).by_family().len(), 1);
    }
}
