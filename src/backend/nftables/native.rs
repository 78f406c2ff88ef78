//! The part of nft's language that AFO writes, as types.
//!
//! Text and JSON are both written from these, so they cannot say two things. What is not here AFO never writes: there is no
//! variant that takes free text, and every string inside is a name of AFO's own or a typed value that was parsed.

use crate::packet::{InterfacePattern, MacAddress, Protocol};
use crate::rule::door::PRIORITY;
use crate::rule::doorway::Doorway;
use crate::rule::{Id, LogLevel, LogPrefix, Per, RejectWith};
use ipnet::IpNet;
use nftables::expr::MetaKey;
use std::net::IpAddr;

/// What a match looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Meta(MetaKey),
    Ct(&'static str),
    /// Header and field.
    Payload(&'static str, &'static str),
    /// The bits of a key that a mask leaves.
    Masked(Box<Key>, Value),
    Concat(Vec<Key>),
}

/// A value of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(u32),
    /// A number that people read in hexadecimal: a mark, an empty set of flags.
    Bits(u32),
    /// A word of nft's language.
    Word(&'static str),
    Protocol(Protocol),
    Interface(InterfacePattern),
    Address(IpAddr),
    Net(IpNet),
    Mac(MacAddress),
    Range(Box<Value>, Box<Value>),
    Tuple(Vec<Value>),
    /// Bits that are on together.
    Flags(Vec<&'static str>),
}

/// What a key is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    One(Value),
    /// An anonymous set.
    Any(Vec<Value>),
    /// A named set.
    Set(String),
}

/// A reading of the kernel's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Hour,
    Day,
}

impl Clock {
    /// nft's word for it, behind `meta`.
    pub fn word(self) -> &'static str {
        if self == Self::Hour { "hour" } else { "day" }
    }
}

/// How often: `count` per `per`, after `burst` at once; `over` matches what is above instead of what is within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Per,
    pub burst: u32,
    pub over: bool,
}

/// Where network address translation leads: an address of one family, a port or range of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub address: Option<Value>,
    pub ipv6: bool,
    pub port: Option<Value>,
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    Match {
        key: Key,
        negated: bool,
        right: Right,
    },
    /// What the kernel's clock says in UTC: seconds of the day, or its day.
    When(Clock, Right),
    /// A named limit.
    Limit(String),
    /// Adds the key to a dynamic set, or refreshes it; with a rate, matches only what the rate lets match.
    Update {
        set: String,
        key: Key,
        rate: Option<Rate>,
    },
    /// Adds the key to a dynamic set and leaves what is there.
    Record {
        set: String,
        key: Key,
    },
    /// Sets a bit of the packet mark, or clears it, and leaves the others.
    MarkBit {
        bit: u32,
        set: bool,
    },
    Counter,
    Log {
        prefix: Option<LogPrefix>,
        level: Option<LogLevel>,
    },
    Accept,
    Drop,
    Return,
    Goto(String),
    /// The code, and the ICMP that carries it where it is not both families'.
    Reject(RejectWith),
    Dnat(Target),
    Snat(Target),
    Masquerade(Target),
    Redirect(Target),
}

/// A hook of AFO's, with its base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    Blocks,
    BlocksOutput,
    BlocksForward,
    Dstnat,
    DstnatOutput,
    Input,
    Forward,
    Output,
    Srcnat,
}

impl Hook {
    /// The base chains whose rules are policy, in the order in which AFO lists them.
    pub const POLICY: [Self; 6] =
        [Self::Dstnat, Self::DstnatOutput, Self::Input, Self::Forward, Self::Output, Self::Srcnat];

    /// The name of the base chain.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::BlocksOutput => "blocks_output",
            Self::BlocksForward => "blocks_forward",
            Self::Dstnat => "dstnat",
            Self::DstnatOutput => "dstnat_output",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Srcnat => "srcnat",
        }
    }

    /// Type, hook and priority. Policy stands five before the host's own chains of the same hook: an accept of AFO's is not
    /// final there, a drop is, and what the host drops first AFO would neither count nor limit nor answer. Blocks stand one before
    /// mangle in prerouting, before addresses are translated (dstnat, -100) and after connection tracking (-200).
    pub fn place(self) -> (&'static str, &'static str, i32) {
        match self {
            Self::Blocks => ("filter", "prerouting", -151),
            Self::BlocksOutput => ("filter", "output", -151),
            Self::BlocksForward => ("filter", "forward", -151),
            Self::Dstnat => ("nat", "prerouting", -105),
            Self::DstnatOutput => ("nat", "output", -105),
            Self::Input => ("filter", "input", PRIORITY),
            Self::Forward => ("filter", "forward", PRIORITY),
            Self::Output => ("filter", "output", PRIORITY),
            Self::Srcnat => ("nat", "postrouting", 95),
        }
    }

    /// The chain of a generation of policy.
    pub fn generation(self, number: u64) -> String {
        format!("g{number}_{}", self.name())
    }

    /// Whether it translates addresses.
    pub fn is_nat(self) -> bool {
        matches!(self, Self::Dstnat | Self::DstnatOutput | Self::Srcnat)
    }
}

/// What a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    Ipv4,
    Ipv6,
    Service,
    /// Address, protocol and destination port.
    Ipv4Port,
    Ipv6Port,
    /// `ipv4`, `ipv6`: an element with a timeout is a switch that the kernel turns off.
    NfProto,
    /// The id of a connection.
    CtId,
}

/// A set. Its name is AFO's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub name: String,
    pub kind: SetKind,
    pub interval: bool,
    pub timeout: bool,
    /// Filled by rules; elements end after so many seconds without a packet.
    pub dynamic: Option<u32>,
    /// How many elements it holds at most.
    pub size: Option<u32>,
}

impl Set {
    /// A hash set of AFO's with timeouts.
    pub fn timed(name: impl Into<String>, kind: SetKind) -> Self {
        Self { name: name.into(), kind, interval: false, timeout: true, dynamic: None, size: None }
    }

    /// A set that rules fill.
    pub fn filled(name: impl Into<String>, kind: SetKind, size: u32, seconds: u32) -> Self {
        Self { name: name.into(), kind, interval: false, timeout: true, dynamic: Some(seconds), size: Some(size) }
    }

    /// A set without timeouts.
    pub fn fixed(name: impl Into<String>, kind: SetKind, interval: bool) -> Self {
        Self { name: name.into(), kind, interval, timeout: false, dynamic: None, size: None }
    }

    /// With the number of elements that it will ever hold: the kernel makes a hash set of that size at once, and need not let it grow. An
    /// interval set counts the ends of its intervals, and is left to grow.
    #[must_use]
    pub fn holding(self, elements: usize) -> Self {
        let size = u32::try_from(elements).ok().filter(|_| !self.interval);
        Self { size, ..self }
    }
}

/// An element, for so many seconds or for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub value: Value,
    pub seconds: Option<u64>,
}

impl Element {
    /// An element that stays.
    pub fn lasting(value: Value) -> Self {
        Self { value, seconds: None }
    }
}

/// One command of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Table,
    Base(Hook),
    Chain(String),
    CreateChain(String),
    FlushChain(String),
    DeleteChain(String),
    /// AFO's table with all that is in it.
    DeleteTable,
    Set(Set),
    CreateSet(Set),
    FlushSet(String),
    DeleteSet(String),
    Limit(String, Rate),
    DeleteLimit(String),
    Rule {
        chain: String,
        statements: Vec<Statement>,
        comment: Id,
    },
    /// First in a chain of another program; its comment names AFO and the generation that it came with.
    Door {
        way: Doorway,
        generation: u64,
    },
    /// Takes a rule of AFO's out of a chain of another program.
    DeleteDoor {
        way: Doorway,
        handle: u64,
    },
    Add {
        set: String,
        elements: Vec<Element>,
    },
    Delete {
        set: String,
        values: Vec<Value>,
    },
}

/// A transaction: what `nft -f` takes as one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    pub commands: Vec<Command>,
}

impl Script {
    /// Appends a command.
    pub fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Appends all of another transaction, so that both hold or neither.
    pub fn append(&mut self, other: Script) {
        self.commands.extend(other.commands);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The id of the rule that a line of the text is for, lines counted from 1.
    pub fn rule_at(&self, line: usize) -> Option<&Id> {
        match self.commands.get(line.checked_sub(1)?)? {
            Command::Rule { comment, .. } => Some(comment),
            _ => None,
        }
    }
}
