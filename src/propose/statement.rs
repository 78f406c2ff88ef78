//! What a sentence says, before it is known which rules that takes on this host.

use crate::packet::{AddressSpec, IcmpType, InterfacePattern, MacAddress, PortRange, Protocol};
use crate::rule::{ConnectionState, FamilyMatch, Per, Scope};
use std::num::NonZeroU32;
use std::ops::Range;

/// What shall become of the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Allow,
    Drop,
    Reject,
    /// What is over the rate is dropped.
    Limit,
    /// Logged, and otherwise left alone.
    Log,
}

/// Some kind of packets, by what is in their transport header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Traffic {
    /// No protocol with ports means tcp and udp; no ports means all of the protocol.
    Flow { protocols: Vec<Protocol>, ports: Vec<PortRange>, source_ports: Vec<PortRange> },
    /// Types of ICMP and of ICMPv6 that mean the same.
    Icmp { v4: Vec<IcmpType>, v6: Vec<IcmpType> },
}

impl Traffic {
    /// All of one protocol.
    pub fn protocol(protocol: Protocol) -> Self {
        Self::Flow { protocols: vec![protocol], ports: Vec::new(), source_ports: Vec::new() }
    }
}

/// A source or a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Address(AddressSpec),
    /// A named host: its name and addresses.
    Host(String, Vec<AddressSpec>),
    /// A zone, VLAN or interface: its name and interfaces.
    Zone(String, Vec<InterfacePattern>),
    Mac(MacAddress),
    /// This host itself.
    Here,
    Anywhere,
    /// A name that the context does not have, where it stands in the sentence.
    Unknown(String, Range<usize>),
}

/// The sources, or the destinations, of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ends {
    /// Empty: not said.
    pub of: Vec<End>,
    /// What is excepted.
    pub but: Vec<End>,
}

impl Ends {
    /// Whether nothing was said of it.
    pub fn is_unsaid(&self) -> bool {
        self.of.is_empty() && self.but.is_empty()
    }

    /// Whether it was said, and as anywhere.
    pub fn is_anywhere(&self) -> bool {
        self.of.contains(&End::Anywhere)
    }

    /// Whether neither a source nor an exception narrows it.
    pub fn is_open(&self) -> bool {
        self.but.is_empty() && (self.of.is_empty() || self.is_anywhere())
    }
}

/// Incoming or outgoing, where it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub count: NonZeroU32,
    pub per: Per,
    pub scope: Scope,
    pub burst: Option<u32>,
    /// Packets were said, not connections.
    pub packets: bool,
}

/// What "only" narrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    /// No other source.
    Source,
    /// Nothing else from these sources.
    Rest,
}

/// One wish. Fields that were not said are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub act: Act,
    pub log: bool,
    pub traffic: Vec<Traffic>,
    pub not_traffic: Vec<Traffic>,
    /// "all traffic", "access", "connections": a noun that says no service.
    pub all: bool,
    pub from: Ends,
    pub to: Ends,
    pub way: Option<Way>,
    /// "on eth0": the side depends on the way.
    pub on: Vec<InterfacePattern>,
    pub entering: Vec<InterfacePattern>,
    pub leaving: Vec<InterfacePattern>,
    pub states: Vec<ConnectionState>,
    pub rate: Option<Rate>,
    pub seconds: Option<u64>,
    /// "temporarily": a duration must follow.
    pub temporary: bool,
    pub only: Option<Only>,
    pub family: FamilyMatch,
    /// "between A and B".
    pub both_ways: bool,
    /// An address whose denial ends: "unblock 192.0.2.1".
    pub unblock: bool,
    /// The object was a source because a verb such as "block" took it.
    pub object_as_source: bool,
}

impl Statement {
    /// A wish of which only the verb is known.
    pub fn new(act: Act) -> Self {
        Self {
            act,
            log: false,
            traffic: Vec::new(),
            not_traffic: Vec::new(),
            all: false,
            from: Ends::default(),
            to: Ends::default(),
            way: None,
            on: Vec::new(),
            entering: Vec::new(),
            leaving: Vec::new(),
            states: Vec::new(),
            rate: None,
            seconds: None,
            temporary: false,
            only: None,
            family: FamilyMatch::Any,
            both_ways: false,
            unblock: false,
            object_as_source: false,
        }
    }
}
