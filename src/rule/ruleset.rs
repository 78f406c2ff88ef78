//! A whole ruleset as a kernel runs it: tables, base chains at hooks, rules with conditions and verdicts.
//!
//! What a reader understood is a set of packets; what it did not is kept with its text and may or may not hold. Nothing that was
//! read is left out: an object that nobody knows is in [`Ruleset::unread`]. Nothing here knows a backend's language.

use super::Translation;
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Everything that decides about packets on one host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ruleset {
    /// The language that it was read from: `nftables`.
    pub backend: String,
    pub tables: Vec<Table>,
    /// Objects that were not understood, each with its place and text.
    pub unread: Vec<String>,
}

/// Chains and sets of one family and name.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub family: TableFamily,
    pub name: String,
    /// A dormant table is there and does nothing.
    pub dormant: bool,
    pub chains: Vec<Chain>,
    pub sets: Vec<NamedSet>,
}

/// Which packets a table sees (nft(8), ADDRESS FAMILIES).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableFamily {
    Ip,
    Ip6,
    Inet,
    Arp,
    Bridge,
    Netdev,
}

impl TableFamily {
    /// Every family.
    pub const ALL: [Self; 6] = [Self::Ip, Self::Ip6, Self::Inet, Self::Arp, Self::Bridge, Self::Netdev];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }

    /// The packets that it sees, as values of [`Narrow::Family`].
    pub fn packets(self) -> Bits {
        match self {
            Self::Ip => Bits::single(0),
            Self::Ip6 => Bits::single(1),
            Self::Inet => Bits::below(2),
            Self::Arp => Bits::single(2),
            Self::Bridge | Self::Netdev => Bits::below(3),
        }
    }
}

impl fmt::Display for TableFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set or map with a name. What it holds is in the conditions of the rules that look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSet {
    pub name: String,
    pub handle: Option<u64>,
    /// What its elements are: `ipv4_addr . inet_service`.
    pub key: String,
    pub is_map: bool,
    /// Its elements come and go by themselves or from packets: timeouts, dynamic updates.
    pub changing: bool,
    pub elements: usize,
}

/// An ordered list of rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    pub name: String,
    pub handle: Option<u64>,
    /// Where packets enter it by themselves; a regular chain is only entered by jump or goto.
    pub base: Option<Base>,
    pub lines: Vec<Line>,
}

/// How a base chain is bound to the way of packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub kind: ChainKind,
    pub hook: Hook,
    /// Lower comes first.
    pub priority: i64,
    /// Whether what reaches its end is dropped; otherwise it goes on.
    pub drops: bool,
    /// For ingress and egress: whose packets; empty where the listing does not say.
    pub devices: Vec<String>,
}

/// Where the kernel translates destinations and sources (linux/netfilter_ipv4.h).
pub(super) const DNAT: i64 = -100;
pub(super) const SNAT: i64 = 100;

impl Base {
    /// Its place among the base chains of its hook. All nat chains come where the kernel translates, in the order of their priorities
    /// (`nf_nat_register_fn`).
    pub fn rank(&self) -> (i64, i64) {
        let place = match (self.kind, self.hook) {
            (ChainKind::Nat, Hook::Prerouting | Hook::Output) => DNAT,
            (ChainKind::Nat, Hook::Input | Hook::Postrouting) => SNAT,
            _ => self.priority,
        };
        (place, self.priority)
    }

    /// Whether destinations are translated here.
    pub fn turns(&self) -> bool {
        self.kind == ChainKind::Nat && matches!(self.hook, Hook::Prerouting | Hook::Output)
    }

    /// Whether it translates only what comes from elsewhere: what this host says to itself was translated when it was sent, so that its
    /// connection is no new one where it comes in (`nf_conntrack_in` leaves alone what it has seen).
    pub fn spares_loopback(&self) -> bool {
        self.kind == ChainKind::Nat && matches!(self.hook, Hook::Prerouting | Hook::Input)
    }

    /// Whether it comes before destinations are translated, or beside it.
    pub fn is_before_turning(&self) -> bool {
        match self.hook {
            Hook::Ingress => true,
            Hook::Prerouting | Hook::Output => !self.turns() && self.priority <= DNAT,
            _ => false,
        }
    }
}

/// What a base chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    Filter,
    /// Sees only the first packet of a connection.
    Nat,
    Route,
}

/// A point on the way of a packet (nft(8), ADDRESS FAMILIES).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Egress,
}

impl Hook {
    /// Every hook, in the order of a packet's way.
    pub const ALL: [Self; 7] =
        [Self::Ingress, Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting, Self::Egress];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        }
    }

    /// Whether a packet here has an interface that it came in by.
    pub fn has_in(self) -> bool {
        !matches!(self, Self::Output | Self::Egress)
    }

    /// Whether a packet here has an interface that it leaves by.
    pub fn has_out(self) -> bool {
        matches!(self, Self::Forward | Self::Output | Self::Postrouting | Self::Egress)
    }
}

/// One rule of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub handle: Option<u64>,
    pub comment: Option<String>,
    /// The rule as its language writes it.
    pub text: String,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What it does to the packet without deciding.
    pub alters: Vec<Alteration>,
    pub outcome: Outcome,
}

/// One thing that a rule asks of a packet.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Wide(Wide, Ranges),
    Narrow(Narrow, Bits),
    /// In one of these products; none of them has atoms.
    AnyOf(Vec<Cell>),
    /// Understood, and not decided by the packet alone: a limit, a quota, a set that changes, a time.
    Chance(String),
    /// Not understood.
    Unread(Unread),
}

/// A condition that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    pub text: String,
    /// The left-hand side, where the condition is a test of the packet alone: the same packet always gives the same answer
    /// unless a rule alters that field.
    pub field: Option<String>,
}

/// A change that does not decide about the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Alteration {
    /// `meta mark set` to a number.
    Mark(u32),
    /// `meta mark set` before a condition of the same rule: it may be set by a rule that does not match.
    EarlyMark,
    /// `meta mark set` to itself with some bits kept and others set.
    MarkBits { kept: u32, set: u32 },
    /// Any other field, by the text of the left-hand side.
    Field(String),
    /// The connection is not tracked.
    Untracked,
    /// Nothing of the packet: an element of a set that later packets are asked about, a copy, a helper, a shortcut for its connection.
    /// With its text.
    Effect(String),
}

impl Alteration {
    /// The text of the field that it changes.
    pub fn field(&self) -> String {
        match self {
            Self::Mark(_) | Self::EarlyMark | Self::MarkBits { .. } => "meta mark".to_owned(),
            Self::Field(name) | Self::Effect(name) => name.clone(),
            Self::Untracked => "ct state".to_owned(),
        }
    }
}

/// What becomes of a packet that a line matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on to the next rule: log, counter, a mark.
    Next,
    Verdict(Verdict),
    /// A verdict map: the first product that holds the packet gives the verdict; none: it goes on.
    ByKey(Vec<(Cell, Verdict)>),
    /// Nobody knows: a queue to a program, an extension. Kept with its text.
    Unread(String),
}

impl Outcome {
    /// Whether it translates addresses or ports of packets.
    pub fn translates(&self) -> bool {
        let translates = |verdict: &Verdict| matches!(verdict, Verdict::Translate(_));
        match self {
            Self::Verdict(verdict) => translates(verdict),
            Self::ByKey(keys) => keys.iter().any(|(_, verdict)| translates(verdict)),
            Self::Next | Self::Unread(_) => false,
        }
    }

    /// Whether it may deny packets, as far as it is understood.
    pub fn denies(&self) -> bool {
        match self {
            Self::Verdict(verdict) => verdict.denies(),
            Self::ByKey(keys) => keys.iter().any(|(_, verdict)| verdict.denies()),
            Self::Next | Self::Unread(_) => false,
        }
    }

    /// The names of the chains of its table that it leads to.
    pub fn chains(&self) -> impl Iterator<Item = &str> {
        let (one, keys) = match self {
            Self::Verdict(verdict) => (Some(verdict), &[][..]),
            Self::ByKey(keys) => (None, keys.as_slice()),
            Self::Next | Self::Unread(_) => (None, &[][..]),
        };
        one.into_iter().chain(keys.iter().map(|(_, verdict)| verdict)).filter_map(|verdict| match verdict {
            Verdict::Jump(name) | Verdict::Goto(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it leads to another chain.
    pub fn leads(&self) -> bool {
        self.chains().next().is_some()
    }
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Ends this base chain, not the way: a later base chain can still drop.
    Accept,
    Drop,
    Reject,
    /// Back to the chain that jumped here; in a base chain its policy.
    Return,
    Jump(String),
    /// Like a jump that comes back to where the present chain would have come back to.
    Goto(String),
    /// Ends the nat chains of its hook.
    Translate(Translation),
    /// To the next rule.
    Continue,
}

impl Verdict {
    /// Whether it ends the way of the packet: a drop in any base chain is final.
    pub fn denies(&self) -> bool {
        matches!(self, Self::Drop | Self::Reject)
    }
}

/// Where a rule stands, by numbers: table, chain and line of a [`Ruleset`], each from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    pub table: usize,
    pub chain: usize,
    pub line: usize,
}

impl Ruleset {
    /// Every chain with the numbers of its table and of itself.
    pub fn chains(&self) -> impl Iterator<Item = (usize, usize, &Chain)> {
        self.tables
            .iter()
            .enumerate()
            .flat_map(|(t, table)| table.chains.iter().enumerate().map(move |(c, chain)| (t, c, chain)))
    }

    /// Every rule with its place.
    pub fn lines(&self) -> impl Iterator<Item = (At, &Line)> {
        self.chains().flat_map(|(table, chain, c)| {
            c.lines.iter().enumerate().map(move |(line, l)| (At { table, chain, line }, l))
        })
    }

    /// The rule at a place.
    pub fn line(&self, at: At) -> Option<&Line> {
        self.tables.get(at.table)?.chains.get(at.chain)?.lines.get(at.line)
    }

    /// The table of a family and name.
    pub fn table(&self, family: TableFamily, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.family == family && table.name == name)
    }

    /// The base chains at a hook that IP packets pass, in the order in which they pass them.
    ///
    /// Of equal priorities the one registered last comes first (`nf_hook_entries_grow`, net/netfilter/core.c); only drop is
    /// final across base chains, so this order never changes a verdict.
    pub fn at_hook(&self, hook: Hook) -> Vec<(usize, usize)> {
        let ip = |family| !matches!(family, TableFamily::Arp | TableFamily::Bridge);
        let mut found: Vec<_> = self
            .chains()
            .filter(|(t, _, _)| ip(self.tables[*t].family) && !self.tables[*t].dormant)
            .filter_map(|(t, c, chain)| Some((chain.base.as_ref().filter(|b| b.hook == hook)?.rank(), t, c)))
            .collect();
        found.sort_by_key(|(rank, t, c)| (*rank, std::cmp::Reverse((*t, *c))));
        found.into_iter().map(|(_, t, c)| (t, c)).collect()
    }

    /// What rules alter, by the text of the field: a condition on it does not always give the same answer.
    pub fn altered(&self) -> BTreeMap<String, At> {
        let mut fields = BTreeMap::new();
        for (at, line) in self.lines() {
            for change in &line.alters {
                fields.entry(change.field()).or_insert(at);
            }
        }
        fields
    }
}

/// The number that stands for an interface name in [`Wide::InInterface`] and [`Wide::OutInterface`]; longer names are cut.
pub fn name_number(name: &str) -> u128 {
    let mut bytes = [0; 16];
    let length = name.len().min(16);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    u128::from_be_bytes(bytes)
}

/// The numbers of the names that begin with `stem`.
pub fn name_range(stem: &str) -> Ranges {
    let first = name_number(stem);
    let free = 128 - 8 * u32::try_from(stem.len().min(16)).unwrap_or(16);
    let tail = 1u128.checked_shl(free).map_or(u128::MAX, |end| end - 1);
    Ranges::one(first, first | tail)
}

/// The name that a number stands for, if every byte of it is printable.
pub fn number_name(number: u128) -> Option<String> {
    let bytes = number.to_be_bytes();
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(16);
    let plain = bytes[..end].iter().all(u8::is_ascii_graphic) && bytes[end..].iter().all(|b| *b == 0);
    (plain && end > 0).then(|| bytes[..end].iter().map(|b| char::from(*b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbers_in_order() {
        let eth = name_range("eth");
        assert!(eth.contains(name_number("eth0")) && eth.contains(name_number("eth")));
        assert!(!eth.contains(name_number("eti")) && !eth.contains(name_number("et")));
        assert_eq!(number_name(name_number("wlan0")).as_deref(), Some("wlan0"));
        assert_eq!([number_name(0), number_name(u128::MAX)], [None, None]);
        assert_eq!(name_range("abcdefghijklmnop"), Ranges::single(name_number("abcdefghijklmnop")));
        assert_eq!(name_range(""), Ranges::one(0, u128::MAX));
    }
}
