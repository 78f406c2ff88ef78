//! The way of a packet through the hooks, and where a field is not what it is at the filter.
//!
//! A packet is described as the filter hooks (input, forward, output) see it. Before a destination is translated, and after a source
//! is, the same packet has other addresses: what rules ask there of these fields may or may not hold. Of a packet that begins a
//! connection, and of one that belongs to none, it is also known what it is before: [`Changes::blurs_for`].

use super::ruleset::{Alteration, Base, ChainKind, DNAT, Hook, Line, Outcome, Ruleset, SNAT, Verdict};
use super::tracking::asks;
use super::{ConnectionState, Direction};
use crate::packet::{Narrow, Wide};
use std::collections::BTreeSet;

impl Direction {
    /// The hooks that an IP packet passes, in order.
    pub fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Input => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
            Self::Forward => &[Hook::Ingress, Hook::Prerouting, Hook::Forward, Hook::Postrouting, Hook::Egress],
            Self::Output => &[Hook::Output, Hook::Postrouting, Hook::Egress],
        }
    }
}

/// Priorities of the kernel's own hooks (linux/netfilter_ipv4.h).
const DEFRAG: i64 = -400;
const CONNTRACK: i64 = -200;

/// What rules of a ruleset change about packets.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    translates: bool,
    /// Whether connections of IPv4, and of IPv6, are tracked.
    tracked: [bool; 2],
    /// Whether rules take packets out of tracking before it would put fragments together.
    untracks_early: bool,
    altered: BTreeSet<String>,
}

impl Changes {
    /// Those of a ruleset.
    pub fn of(ruleset: &Ruleset) -> Self {
        let translates = ruleset.lines().any(|(_, line)| translates(line));
        let altered = ruleset.altered().into_keys().collect();
        Self { translates, tracked: ruleset.tracked(), untracks_early: untracks_early(ruleset), altered }
    }

    /// The same for frames that pass a bridge: nobody puts fragments in them together.
    #[must_use]
    pub fn of_frames(self) -> Self {
        Self { tracked: [false; 2], ..self }
    }

    /// Adds what a rule does that is put in.
    pub fn note(&mut self, line: &Line) {
        self.translates |= translates(line);
        let asks = asks(line);
        self.tracked.iter_mut().for_each(|tracked| *tracked |= asks);
        self.altered.extend(line.alters.iter().map(Alteration::field));
    }

    /// Whether a rule translates addresses or ports.
    pub fn translates(&self) -> bool {
        self.translates
    }

    /// Whether a rule alters the field of this text, so that a condition on it does not always give the same answer.
    pub fn alters(&self, field: &str) -> bool {
        self.altered.contains(field)
    }

    /// Whether a wide field may be another one in a base chain than at the filter.
    pub fn blurs_wide(&self, base: &Base, field: Wide) -> bool {
        self.hides(base, field) || self.translates && translated(base, field)
    }

    /// As [`Changes::blurs_wide`] for a packet in a state that is described as it comes, until it is translated.
    pub fn blurs_for(&self, base: &Base, field: Wide, state: ConnectionState) -> bool {
        let moved = match state {
            // What belongs to no connection is never translated (nf_nat_inet_fn).
            ConnectionState::Invalid | ConnectionState::Untracked => false,
            ConnectionState::New => translated_behind(base, field) || is_beside(base) && translated(base, field),
            ConnectionState::Established | ConnectionState::Related => translated(base, field),
        };
        self.hides(base, field) || self.translates && moved
    }

    /// Whether a field may be another one for other causes than a translation.
    fn hides(&self, base: &Base, field: Wide) -> bool {
        let names: &[&str] = match field {
            Wide::Source => &["ip saddr", "ip6 saddr"],
            Wide::Destination => &["ip daddr", "ip6 daddr"],
            Wide::SourcePort => &["tcp sport", "udp sport", "th sport", "sctp sport", "dccp sport"],
            Wide::DestinationPort => &["tcp dport", "udp dport", "th dport", "sctp dport", "dccp dport"],
            Wide::Mark => &["meta mark"],
            Wide::ConnectionMark => &["ct mark"],
            Wide::SourceMac => &["ether saddr"],
            Wide::DestinationMac => &["ether daddr"],
            Wide::Vlan => &["vlan id"],
            Wide::InInterface | Wide::OutInterface => &[],
        };
        let elsewhere = match field {
            Wide::ConnectionMark => self.is_untracked(base),
            // The tag is taken off before a packet comes to the interface of its VLAN, and put on behind it.
            Wide::Vlan => matches!(base.hook, Hook::Ingress | Hook::Egress),
            // There a packet has the header that it leaves with.
            Wide::SourceMac | Wide::DestinationMac => base.hook == Hook::Egress,
            _ => false,
        };
        elsewhere || names.iter().any(|name| self.alters(name))
    }

    /// Whether later fragments of a family (0 IPv4, 1 IPv6) never come to a base chain: [`Changes::gathers`], and what delivers IPv4 to
    /// this host puts them together too (`ip_local_deliver`).
    pub fn comes_whole(&self, base: &Base, family: u8) -> bool {
        base.hook == Hook::Input && family == 0 || self.gathers(base, family)
    }

    /// Whether connection tracking puts later fragments of a family together before a base chain.
    pub fn gathers(&self, base: &Base, family: u8) -> bool {
        let early = match base.hook {
            Hook::Ingress | Hook::Egress => true,
            Hook::Prerouting | Hook::Output => base.priority <= DEFRAG,
            _ => false,
        };
        !early && self.tracks(family) && !self.untracks_early
    }

    /// Whether connections of a family (0 IPv4, 1 IPv6) are known to be tracked. Where they are not, nat chains see no packet.
    pub fn tracks(&self, family: u8) -> bool {
        self.tracked.get(usize::from(family)).is_some_and(|tracked| *tracked)
    }

    /// Whether the connection of a packet is not known there, or not to all.
    fn is_untracked(&self, base: &Base) -> bool {
        base.priority < CONNTRACK || matches!(base.hook, Hook::Ingress | Hook::Egress) || self.alters("ct state")
    }

    /// Whether a narrow field may be another one in a base chain than at the filter.
    pub fn blurs_narrow(&self, base: &Base, field: Narrow) -> bool {
        match field {
            Narrow::State | Narrow::ConnectionDirection => self.is_untracked(base),
            Narrow::ConnectionStatus => {
                let nat = || translated(base, Wide::Destination) || translated(base, Wide::Source);
                self.is_untracked(base) || self.translates && nat()
            }
            // The types are those of the addresses.
            Narrow::SourceType => self.blurs_wide(base, Wide::Source),
            Narrow::DestinationType => self.blurs_wide(base, Wide::Destination),
            Narrow::TcpFlags => self.alters("tcp flags"),
            Narrow::Protocol => self.alters("ip protocol") || self.alters("ip6 nexthdr"),
            Narrow::Fragment => self.alters("ip frag-off"),
            Narrow::IcmpType => self.alters("icmp type") || self.alters("icmpv6 type"),
            Narrow::IcmpCode => self.alters("icmp code") || self.alters("icmpv6 code"),
            Narrow::Family => false,
        }
    }

    /// Whether unread conditions on addresses may see others than at the filter.
    pub fn blurs_unread(&self, base: &Base) -> bool {
        self.blurs_wide(base, Wide::Source) || self.blurs_wide(base, Wide::Destination)
    }
}

/// Whether the beginning of a packet is the header of its frame in a base chain. Of a later fragment of IPv6 the kernel takes what is
/// there for a transport header (`ipv6_find_hdr` leaves the offset at 0): at other hooks the header of IPv6.
pub fn begins_with_frame(base: &Base) -> bool {
    base.hook == Hook::Egress
}

/// Whether a wide field is one of a transport header.
pub fn is_transport(field: Wide) -> bool {
    matches!(field, Wide::SourcePort | Wide::DestinationPort)
}

/// Whether a narrow field is one of a transport header.
pub fn is_transport_narrow(field: Narrow) -> bool {
    matches!(field, Narrow::TcpFlags | Narrow::IcmpType | Narrow::IcmpCode)
}

/// Whether a table with a base chain before fragments are put together takes packets out of tracking (`ipv4_conntrack_defrag` leaves
/// what is untracked as it is).
fn untracks_early(ruleset: &Ruleset) -> bool {
    let is_early = |base: &Base| matches!(base.hook, Hook::Prerouting | Hook::Output) && base.priority <= DEFRAG;
    ruleset.tables.iter().any(|table| {
        let untracks = |line: &Line| line.alters.contains(&Alteration::Untracked);
        table.chains.iter().any(|chain| chain.base.as_ref().is_some_and(is_early))
            && table.chains.iter().any(|chain| chain.lines.iter().any(untracks))
    })
}

fn translates(line: &Line) -> bool {
    match &line.outcome {
        Outcome::Verdict(Verdict::Translate(_)) => true,
        Outcome::ByKey(keys) => keys.iter().any(|(_, verdict)| matches!(verdict, Verdict::Translate(_))),
        _ => false,
    }
}

fn translated(base: &Base, field: Wide) -> bool {
    let before = match base.hook {
        Hook::Ingress => true,
        Hook::Prerouting | Hook::Output => base.rank().0 <= DNAT,
        _ => false,
    };
    // Replies of a connection with a translated source come in to the translated one.
    before
        && matches!(field, Wide::Destination | Wide::DestinationPort | Wide::Source | Wide::SourcePort)
        && (field != Wide::Source && field != Wide::SourcePort || base.hook == Hook::Output)
        || translated_behind(base, field)
}

/// Whether a base chain stands where destinations are translated, and nobody knows which comes first.
fn is_beside(base: &Base) -> bool {
    base.kind != ChainKind::Nat && base.priority == DNAT
}

/// Whether the source may be translated where a base chain stands.
fn translated_behind(base: &Base, field: Wide) -> bool {
    let behind = match base.hook {
        Hook::Egress => true,
        Hook::Postrouting => base.priority >= SNAT && base.kind != ChainKind::Nat,
        _ => false,
    };
    behind && matches!(field, Wide::Source | Wide::SourcePort)
}
