//! Sets of very many elements, which go into the kernel before the transaction that looks them up: nft takes seconds for a million of
//! them, the kernel less than one.
//!
//! Such a set is named by what it holds, so one that is there already holds nothing else; until a rule looks it up it decides nothing.

use crate::backend::meaning::bits;
use crate::backend::nftables::native::{Command, Element, Script, Set, SetKind, Value};
use crate::packet::Ranges;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::sync::Arc;

/// A set of so many elements is filled apart; below, one transaction is as fast.
const MANY: usize = 4096;

/// Where the elements of such a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// In the same text: it is whole by itself.
    Inside,
    /// Not in the text, which only declares the set.
    Declared,
    /// There before, with the set: where somebody removed it, nothing is loaded without it.
    Gone,
}

/// What a set of addresses is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    set: Set,
    /// Sorted intervals that do not touch, or single addresses.
    elements: Arc<[Element]>,
    /// Bytes of an address.
    width: usize,
}

/// Whether a set is filled apart. One whose last interval ends with the last address is left to nft, which marks that end for itself.
pub(in crate::backend::nftables) fn is_apart(set: &Set, elements: &[Element]) -> bool {
    let Some(width) = width(set.kind) else { return false };
    let end = elements.last().and_then(|element| span(&element.value)).map(|(_, last)| last);
    let open = set.interval && end == Some(u128::MAX >> (128 - 8 * width));
    elements.len() >= MANY && !set.timeout && set.dynamic.is_none() && end.is_some() && !open
}

/// Bytes of an address.
fn width(kind: SetKind) -> Option<usize> {
    match kind {
        SetKind::Ipv4 => Some(4),
        SetKind::Ipv6 => Some(16),
        _ => None,
    }
}

/// The first and last address of an element.
fn span(value: &Value) -> Option<(u128, u128)> {
    let one = |address: &IpAddr| bits(*address);
    match value {
        Value::Address(address) => Some((one(address), one(address))),
        Value::Net(net) => Some((one(&net.network()), one(&net.broadcast()))),
        Value::Range(first, last) => span(first).zip(span(last)).map(|((first, _), (_, last))| (first, last)),
        _ => None,
    }
}

impl Content {
    /// What `set` is to hold, where it [is filled apart](is_apart).
    pub(in crate::backend::nftables) fn of(set: &Set, elements: &Arc<[Element]>) -> Option<Self> {
        let width = width(set.kind).filter(|_| is_apart(set, elements))?;
        Some(Self { set: set.clone(), elements: Arc::clone(elements), width })
    }

    /// The name of the set.
    pub fn name(&self) -> &str {
        &self.set.name
    }

    /// Whether its addresses are of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.width > 4
    }

    /// How many elements nft would list.
    pub fn count(&self) -> usize {
        self.elements.len()
    }

    /// The addresses that are in the set, as numbers.
    pub fn ranges(&self) -> Ranges {
        Ranges::of(self.spans())
    }

    fn spans(&self) -> impl Iterator<Item = (u128, u128)> {
        self.elements.iter().filter_map(|element| span(&element.value))
    }

    /// The keys in their order, each as the kernel compares it, and whether an interval ends before it (NFT_SET_ELEM_INTERVAL_END of
    /// linux/netfilter/nf_tables.h).
    pub fn keys(&self) -> impl Iterator<Item = (Key, bool)> {
        let key = |bits: u128| Key { bytes: bits.to_be_bytes(), width: self.width };
        let interval = self.set.interval;
        // Before the first interval there is the end of none.
        let before = self.spans().next().filter(|(first, _)| interval && *first > 0).map(|_| (key(0), true));
        let both = move |(first, last): (u128, u128)| {
            let end = last.checked_add(1).filter(|_| interval).map(|end| (key(end), true));
            [Some((key(first), false)), end].into_iter().flatten()
        };
        before.into_iter().chain(self.spans().flat_map(both))
    }
}

/// An address in the order of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; 16],
    width: usize,
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[16 - self.width..]
    }
}

impl Display for Content {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "# first, by netlink: {} elements into set {}", self.count(), self.set.name)
    }
}

/// The sets, empty, where they are not there yet.
pub fn declare(contents: &[Content]) -> Script {
    let sets = contents.iter().map(|content| Command::Set(content.set.clone()));
    Script { commands: [Command::Table].into_iter().chain(sets).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(interval: bool) -> Set {
        Set::fixed("a_1", SetKind::Ipv4, interval)
    }

    fn single(n: u32) -> Element {
        Element::lasting(Value::Address(IpAddr::V4(n.into())))
    }

    fn pair(first: u32) -> Element {
        let net = format!("{}/31", IpAddr::V4(first.into())).parse().expect("a network");
        Element::lasting(Value::Net(net))
    }

    #[test]
    fn few_elements_timed_ones_and_the_end_of_all_addresses_are_left_to_nft() {
        let many: Arc<[Element]> = (0..MANY as u32).map(single).collect();
        assert!(is_apart(&set(false), &many) && !is_apart(&set(false), &many[1..]));
        assert!(!is_apart(&Set::timed("block4", SetKind::Ipv4), &many));
        assert!(!is_apart(&Set::fixed("p_1", SetKind::Service, false), &many));
        let mut pairs: Vec<Element> = (0..MANY as u32).map(|n| pair(4 * n)).collect();
        assert!(is_apart(&set(true), &pairs));
        pairs.push(pair(u32::MAX - 1));
        assert!(!is_apart(&set(true), &pairs) && Content::of(&set(true), &pairs.into()).is_none());
    }

    #[test]
    fn what_is_told_of_it_is_a_comment() {
        let content = Content::of(&set(false), &(0..5000).map(single).collect()).expect("many");
        assert_eq!(content.to_string(), "# first, by netlink: 5000 elements into set a_1");
        assert!(declare(&[content]).to_string().contains("add set inet afo a_1 { type ipv4_addr; }"));
    }

    #[test]
    fn keys_are_the_addresses_and_the_ends_of_intervals() {
        for start in [0u32, 1, 7] {
            let singles: Arc<[Element]> = (start..start + 5000).map(single).collect();
            let content = Content::of(&set(false), &singles).expect("many");
            let keys: Vec<u32> =
                content.keys().map(|(key, _)| u32::from_be_bytes(key.as_ref().try_into().expect("four"))).collect();
            assert_eq!(keys, (start..start + 5000).collect::<Vec<_>>());
            assert!(content.keys().all(|(_, ends)| !ends));
            assert_eq!(content.ranges(), Ranges::one(start.into(), (start + 4999).into()));

            let pairs: Arc<[Element]> = (0..5000).map(|n| pair(start * 8 + n * 4)).collect();
            let content = Content::of(&set(true), &pairs).expect("many");
            let keys: Vec<(Key, bool)> = content.keys().collect();
            let all: Vec<(&[u8], bool)> = keys.iter().map(|(key, ends)| (key.as_ref(), *ends)).collect();
            let rest = if start > 0 {
                assert_eq!(all[0], (&[0u8; 4][..], true));
                &all[1..]
            } else {
                &all[..]
            };
            for (n, both) in rest.chunks(2).enumerate() {
                let first = start * 8 + u32::try_from(n).expect("small") * 4;
                assert_eq!(both[0], (&first.to_be_bytes()[..], false));
                assert_eq!(both[1], (&(first + 2).to_be_bytes()[..], true));
            }
            assert_eq!(rest.len(), 10_000);
            let spans = (0..5000).map(|n| u128::from(start * 8 + n * 4)).map(|first| (first, first + 1));
            assert_eq!(content.ranges(), Ranges::of(spans));
        }
    }
}
