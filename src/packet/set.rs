//! Sets of packets as products: for each field of the packet the set of its values.
//!
//! Almost every rule of a firewall is one such [`Cell`]. Taking one cell from another leaves at most one cell per field, so a
//! search for a packet that no earlier rule takes stays small. Conditions that cannot be read are kept as *atoms*: each true or
//! false of a packet, nobody knows of which, the same wherever the same condition stands.

use super::address_type::ADDRESS_TYPES;
use super::set_bits::Bits;
use super::set_range::Ranges;

/// A field whose values have an order and are many.
///
/// Interface names are numbers too: their bytes, big end first, filled with zeros to 16 (IFNAMSIZ), so that the names that
/// begin with `eth` are one range. No interface is 0. IPv4 addresses are numbers below 2³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wide {
    InInterface,
    OutInterface,
    Source,
    Destination,
    /// Bytes 0 and 1 of the transport header.
    SourcePort,
    /// Bytes 2 and 3 of the transport header.
    DestinationPort,
    Mark,
    /// The mark of the connection; 0 where there is none.
    ConnectionMark,
    /// Hardware addresses as numbers, big end first; [`NO_MAC`] where the packet has no Ethernet header that is looked at: on
    /// loopback, on tunnels, and on its way out of this host.
    SourceMac,
    DestinationMac,
    /// The tag of IEEE 802.1Q that is still on the packet; [`NO_VLAN`] where there is none, as on every packet that came in by an
    /// interface made for one VLAN.
    Vlan,
}

/// The value of [`Wide::SourceMac`] and [`Wide::DestinationMac`] of a packet without hardware addresses.
pub const NO_MAC: u128 = 1 << 48;
/// The value of [`Wide::Vlan`] of a packet without a tag.
pub const NO_VLAN: u128 = 1 << 12;

impl Wide {
    /// Every wide field.
    pub const ALL: [Self; WIDE] = [
        Self::InInterface,
        Self::OutInterface,
        Self::Source,
        Self::Destination,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Mark,
        Self::ConnectionMark,
        Self::SourceMac,
        Self::DestinationMac,
        Self::Vlan,
    ];

    /// The highest value that it can have.
    pub fn last(self) -> u128 {
        match self {
            Self::SourcePort | Self::DestinationPort => u128::from(u16::MAX),
            Self::Mark | Self::ConnectionMark => u128::from(u32::MAX),
            Self::SourceMac | Self::DestinationMac => NO_MAC,
            Self::Vlan => NO_VLAN,
            Self::InInterface | Self::OutInterface | Self::Source | Self::Destination => u128::MAX,
        }
    }

    /// Every value.
    pub fn all(self) -> Ranges {
        Ranges::one(0, self.last())
    }
}

/// A field of at most 256 values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Narrow {
    /// 0 IPv4, 1 IPv6, 2 anything else (on bridges).
    Family,
    Protocol,
    /// In the order of [`ConnectionState`](crate::rule::ConnectionState): new, established, related, invalid, untracked.
    State,
    /// 0 the transport header is there. 1 it is not: a fragment other than the first, which carries other bytes in its place; what
    /// reads ports, flags or types without asking for fragments reads those. 2 such a fragment of which no byte is at hand,
    /// because it ends before or lies in another page: there is nothing to read. Offsets of 8 bytes are left out.
    Fragment,
    /// The byte of control bits: fin is 1, syn 2, …, cwr 128.
    TcpFlags,
    IcmpType,
    IcmpCode,
    /// 0 from the side that began the connection, 1 from the other.
    ConnectionDirection,
    /// What the kernel notes of the connection: expected is 1, seen-reply 2, assured 4, confirmed 8, snat 16, dnat 32, dying 64.
    ConnectionStatus,
    /// What the source and the destination are to this host, by its routes: numbers of [`address_type`](super::address_type).
    SourceType,
    DestinationType,
}

const WIDE: usize = 11;
const NARROW: usize = 11;

impl Narrow {
    /// Every narrow field.
    pub const ALL: [Self; NARROW] = [
        Self::Family,
        Self::Protocol,
        Self::State,
        Self::Fragment,
        Self::TcpFlags,
        Self::IcmpType,
        Self::IcmpCode,
        Self::ConnectionDirection,
        Self::ConnectionStatus,
        Self::SourceType,
        Self::DestinationType,
    ];

    /// Every value.
    pub fn all(self) -> Bits {
        match self {
            Self::Family | Self::Fragment => THREE,
            Self::State => FIVE,
            Self::ConnectionDirection => BOTH,
            Self::ConnectionStatus => HALF,
            Self::SourceType | Self::DestinationType => ADDRESS_TYPES,
            Self::Protocol | Self::TcpFlags | Self::IcmpType | Self::IcmpCode => Bits::ALL,
        }
    }
}

/// A set of packets: those whose every field has one of the values given for it and for which every atom is as said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    wide: [Ranges; WIDE],
    narrow: [Bits; NARROW],
    /// A bit for each field that has not all its values: narrow ones first. Most rules ask for few of them.
    asked: u32,
    /// Sorted; no atom twice.
    atoms: Vec<(u32, bool)>,
}

impl Cell {
    /// Every packet.
    pub fn all() -> Self {
        Self { wide: Wide::ALL.map(Wide::all), narrow: Narrow::ALL.map(Narrow::all), asked: 0, atoms: Vec::new() }
    }

    /// The values of a wide field.
    pub fn wide(&self, field: Wide) -> &Ranges {
        &self.wide[field as usize]
    }

    /// The values of a narrow field.
    pub fn narrow(&self, field: Narrow) -> Bits {
        self.narrow[field as usize]
    }

    /// What is known of unread conditions.
    pub fn atoms(&self) -> &[(u32, bool)] {
        &self.atoms
    }

    /// Keeps of a wide field only `values`.
    pub fn keep_wide(&mut self, field: Wide, values: &Ranges) {
        let own = &mut self.wide[field as usize];
        *own = own.and(values);
        self.note(NARROW + field as usize, self.wide(field) != &field.all());
    }

    /// Keeps of a narrow field only `values`.
    pub fn keep_narrow(&mut self, field: Narrow, values: Bits) {
        let own = &mut self.narrow[field as usize];
        *own = own.and(values);
        self.note(field as usize, self.narrow(field) != field.all());
    }

    fn note(&mut self, bit: usize, asked: bool) {
        self.asked = self.asked & !(1 << bit) | u32::from(asked) << bit;
    }

    /// The narrow fields that this or the other does not leave open.
    fn narrow_asked(asked: u32) -> impl Iterator<Item = usize> {
        set_bits(asked & ((1 << NARROW) - 1))
    }

    fn wide_asked(asked: u32) -> impl Iterator<Item = usize> {
        set_bits(asked >> NARROW)
    }

    /// Whether it has not all values of a wide field.
    pub fn asks_wide(&self, field: Wide) -> bool {
        self.asked >> (NARROW + field as usize) & 1 == 1
    }

    /// Whether it has not all values of a narrow field.
    pub fn asks_narrow(&self, field: Narrow) -> bool {
        self.asked >> field as usize & 1 == 1
    }

    /// Gives a wide field exactly `values`.
    #[must_use]
    pub fn with_wide(mut self, field: Wide, values: Ranges) -> Self {
        self.note(NARROW + field as usize, values != field.all());
        self.wide[field as usize] = values;
        self
    }

    /// Gives a narrow field exactly `values`.
    #[must_use]
    pub fn with_narrow(mut self, field: Narrow, values: Bits) -> Self {
        self.note(field as usize, values != field.all());
        self.narrow[field as usize] = values;
        self
    }

    /// Keeps only the packets for which `atom` is `holds`. False when none can be left.
    pub fn keep_atom(&mut self, atom: u32, holds: bool) -> bool {
        match self.atoms.binary_search_by_key(&atom, |(a, _)| *a) {
            Ok(at) => self.atoms[at].1 == holds,
            Err(at) => {
                self.atoms.insert(at, (atom, holds));
                true
            }
        }
    }

    /// Forgets what is known of unread conditions.
    pub fn drop_atoms(&mut self) {
        self.atoms.clear();
    }

    /// Forgets what is known of some unread conditions.
    pub fn drop_atoms_of(&mut self, mut which: impl FnMut(u32) -> bool) {
        self.atoms.retain(|(atom, _)| !which(*atom));
    }

    /// Whether no packet is in it.
    pub fn is_empty(&self) -> bool {
        self.narrow.iter().any(|b| b.is_empty()) || self.wide.iter().any(Ranges::is_empty)
    }

    /// Whether no packet is in both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        // A field that both leave open has a value in both.
        let asked = self.asked | other.asked;
        Self::narrow_asked(asked).any(|n| self.narrow[n].is_disjoint(other.narrow[n]))
            || Self::wide_asked(asked).any(|n| self.wide[n].is_disjoint(&other.wide[n]))
            || self.contradicts(other)
    }

    fn contradicts(&self, other: &Self) -> bool {
        !self.atoms.is_empty() && other.atoms.iter().any(|(atom, holds)| self.atom(*atom) == Some(!holds))
    }

    fn atom(&self, atom: u32) -> Option<bool> {
        self.atoms.binary_search_by_key(&atom, |(a, _)| *a).ok().map(|at| self.atoms[at].1)
    }

    /// Whether every packet of this is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        Self::narrow_asked(other.asked).all(|n| self.narrow[n].is_subset(other.narrow[n]))
            && Self::wide_asked(other.asked).all(|n| self.wide[n].is_subset(&other.wide[n]))
            && other.atoms.iter().all(|(atom, holds)| self.atom(*atom) == Some(*holds))
    }

    /// The packets in both, where there are any.
    pub fn and(&self, other: &Self) -> Option<Self> {
        if self.is_disjoint(other) {
            return None;
        }
        let mut both = self.clone();
        Self::narrow_asked(other.asked).for_each(|n| both.keep_narrow(Narrow::ALL[n], other.narrow[n]));
        Self::wide_asked(other.asked).for_each(|n| both.keep_wide(Wide::ALL[n], &other.wide[n]));
        for (atom, holds) in &other.atoms {
            both.keep_atom(*atom, *holds);
        }
        Some(both)
    }

    /// The packets of this that are not in the other, as disjoint cells.
    pub fn minus(&self, other: &Self) -> Vec<Self> {
        if self.is_disjoint(other) {
            return vec![self.clone()];
        }
        let (mut rest, mut left) = (self.clone(), Vec::new());
        for field in Self::narrow_asked(other.asked).map(|n| Narrow::ALL[n]) {
            let outside = rest.narrow(field).minus(other.narrow(field));
            if !outside.is_empty() {
                left.push(rest.clone().with_narrow(field, outside));
                rest.keep_narrow(field, other.narrow(field));
            }
        }
        for field in Self::wide_asked(other.asked).map(|n| Wide::ALL[n]) {
            if !rest.wide(field).is_subset(other.wide(field)) {
                left.push(rest.clone().with_wide(field, rest.wide(field).minus(other.wide(field))));
                rest.keep_wide(field, other.wide(field));
            }
        }
        for (atom, holds) in other.atoms.iter().filter(|(atom, _)| self.atom(*atom).is_none()) {
            let mut outside = rest.clone();
            outside.keep_atom(*atom, !holds);
            left.push(outside);
            rest.keep_atom(*atom, *holds);
        }
        left
    }

    /// How much of this the other takes, as a logarithm that is never above 0; lower is less.
    pub fn share(&self, other: &Self) -> i64 {
        let narrow = Self::narrow_asked(other.asked).map(|n| {
            let (all, both) = (self.narrow[n].len(), self.narrow[n].and(other.narrow[n]).len());
            i64::from(both.max(1).ilog2()) - i64::from(all.max(1).ilog2())
        });
        let wide = Self::wide_asked(other.asked).map(|n| match self.wide[n].is_subset(&other.wide[n]) {
            true => 0,
            false => i64::from(self.wide[n].and(&other.wide[n]).magnitude()) - i64::from(self.wide[n].magnitude()),
        });
        narrow.chain(wide).sum::<i64>() - other.atoms.len() as i64
    }

    /// How many packets are in it, as a logarithm.
    pub fn magnitude(&self) -> u32 {
        self.narrow.iter().map(|b| b.len().max(1).ilog2()).sum::<u32>()
            + self.wide.iter().map(Ranges::magnitude).sum::<u32>()
    }

    /// One cell for the two, where they differ in one field only.
    pub fn join(&self, other: &Self) -> Option<Self> {
        if self.atoms != other.atoms {
            return None;
        }
        // Many cells are held against one another: two fields that differ are the end of it.
        let mut narrow = Narrow::ALL.into_iter().filter(|f| self.narrow(*f) != other.narrow(*f));
        let mut wide = Wide::ALL.into_iter().filter(|f| self.wide(*f) != other.wide(*f));
        match (narrow.next(), narrow.next(), wide.next()) {
            (None, _, None) => Some(self.clone()),
            (Some(field), None, None) => {
                Some(self.clone().with_narrow(field, self.narrow(field).or(other.narrow(field))))
            }
            (None, _, Some(field)) if wide.next().is_none() => {
                Some(self.clone().with_wide(field, self.wide(field).or(other.wide(field))))
            }
            _ => None,
        }
    }
}

pub(super) const BOTH: Bits = Bits::below(2);
const THREE: Bits = Bits::below(3);
pub(super) const FIVE: Bits = Bits::below(5);
pub(super) const HALF: Bits = Bits::below(128);

/// The numbers of the bits that are set, ascending.
fn set_bits(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (bit < 32).then_some(bit as usize)
    })
}

/// Joins cells while any two can be: fewer cells, the same packets.
pub fn joined(mut cells: Vec<Cell>) -> Vec<Cell> {
    let mut at = 0;
    while at < cells.len() {
        let partner = (at + 1..cells.len()).find_map(|other| Some((other, cells[at].join(&cells[other])?)));
        match partner {
            Some((other, one)) => {
                cells.swap_remove(other);
                cells[at] = one;
                at = 0;
            }
            None => at += 1,
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet of the small world in which the algebra is checked against membership.
    type Point = (u8, u8, u128, u128, bool);

    fn points() -> Vec<Point> {
        let mut all = Vec::new();
        for family in 0..3 {
            for protocol in [1, 6, 17] {
                for source in 0..5 {
                    for port in 0..4 {
                        all.extend([true, false].map(|atom| (family, protocol, source, port, atom)));
                    }
                }
            }
        }
        all
    }

    fn holds(cell: &Cell, (family, protocol, source, port, atom): Point) -> bool {
        cell.narrow(Narrow::Family).contains(family)
            && cell.narrow(Narrow::Protocol).contains(protocol)
            && cell.wide(Wide::Source).contains(source)
            && cell.wide(Wide::DestinationPort).contains(port)
            && cell.atoms().iter().all(|(_, value)| *value == atom)
    }

    fn cell() -> impl Strategy<Value = Cell> {
        let narrow = (1u8..8, 1u8..8);
        let wide = ((0u128..5, 0u128..5), (0u128..4, 0u128..4));
        (narrow, wide, proptest::option::of(any::<bool>())).prop_map(|((family, protocol), (source, port), atom)| {
            let pick = |mask: u8, values: [u8; 3]| -> Bits {
                (0..3).filter(|n| mask >> n & 1 == 1).map(|n: usize| values[n]).collect()
            };
            let range = |(a, b): (u128, u128)| Ranges::one(a.min(b), a.max(b));
            let mut cell = Cell::all()
                .with_narrow(Narrow::Family, pick(family, [0, 1, 2]))
                .with_narrow(Narrow::Protocol, pick(protocol, [1, 6, 17]))
                .with_wide(Wide::Source, range(source))
                .with_wide(Wide::DestinationPort, range(port));
            if let Some(holds) = atom {
                cell.keep_atom(3, holds);
            }
            cell
        })
    }

    proptest! {
        #[test]
        fn algebra_is_that_of_membership(a in cell(), b in cell()) {
            let (both, left) = (a.and(&b), a.minus(&b));
            for point in points() {
                let (x, y) = (holds(&a, point), holds(&b, point));
                prop_assert_eq!(both.as_ref().is_some_and(|c| holds(c, point)), x && y);
                prop_assert_eq!(left.iter().filter(|c| holds(c, point)).count(), usize::from(x && !y));
            }
            for made in both.iter().chain(&left) {
                let asked = Wide::ALL.iter().all(|f| made.asks_wide(*f) == (*made.wide(*f) != f.all()))
                    && Narrow::ALL.iter().all(|f| made.asks_narrow(*f) == (made.narrow(*f) != f.all()));
                prop_assert!(asked, "{:?}", made);
            }
            prop_assert_eq!(both.is_none(), a.is_disjoint(&b));
            prop_assert_eq!(a.is_subset(&b), left.is_empty());
            prop_assert!(a.share(&b) <= 0);
        }

        #[test]
        fn joining_keeps_the_packets(cells in proptest::collection::vec(cell(), 0..6)) {
            let fewer = joined(cells.clone());
            prop_assert!(fewer.len() <= cells.len());
            for point in points() {
                prop_assert_eq!(cells.iter().any(|c| holds(c, point)), fewer.iter().any(|c| holds(c, point)));
            }
        }
    }
}
