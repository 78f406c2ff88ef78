//! nft's text: one command per line, so that a line of nft's complaint is a command of AFO's.
//!
//! Every name is AFO's own and every value prints from its type; nothing is quoted but names that their types keep free of quotes.

use crate::backend::nftables::native::{
    Command, Element, Hook, Key, Rate, Right, Script, Set, SetKind, Statement, Target, Value,
};
use crate::backend::nftables::scheme::comment;
use crate::packet::{InterfacePattern, Protocol};
use crate::rule::door;
use crate::rule::{LogLevel, RejectWith};
use nftables::expr::MetaKey;
use std::fmt::{self, Display, Formatter};

/// The table that is AFO's.
pub(in crate::backend::nftables) const TABLE: &str = "afo";

/// Items with a separator between them.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (n, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if n == 0 { "" } else { self.1 })?;
        }
        Ok(())
    }
}

/// The word for a meta key, and whether `meta` stands before it.
pub(super) fn meta_word(key: MetaKey) -> &'static str {
    match key {
        MetaKey::Nfproto => "meta nfproto",
        MetaKey::L4proto => "meta l4proto",
        MetaKey::Mark => "meta mark",
        MetaKey::Iif => "iif",
        MetaKey::Oif => "oif",
        MetaKey::Iifname => "iifname",
        MetaKey::Oifname => "oifname",
        _ => "meta unknown",
    }
}

/// A name with its star: a stem of 15 bytes leaves no room for one and names one interface.
pub(in crate::backend::nftables) fn interface_text(name: &InterfacePattern) -> String {
    let star = if name.is_pattern() && name.stem().len() < 15 { "*" } else { "" };
    format!("{}{star}", name.stem())
}

/// nft's word for a protocol: its own for a few, else the number, because /etc/protocols differs between hosts.
pub(super) fn protocol_word(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::ICMP => Some("icmp"),
        Protocol::TCP => Some("tcp"),
        Protocol::UDP => Some("udp"),
        _ => None,
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta(key) => f.write_str(meta_word(*key)),
            Self::Ct(key) => write!(f, "ct {key}"),
            Self::Payload(header, field) => write!(f, "{header} {field}"),
            Self::Masked(key, mask @ Value::Flags(_)) => write!(f, "{key} & ({mask})"),
            Self::Masked(key, mask) => write!(f, "{key} & {mask}"),
            Self::Concat(keys) => write!(f, "{}", Joined(keys, " . ")),
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Bits(bits) => write!(f, "{bits:#x}"),
            Self::Word(word) => f.write_str(word),
            Self::Protocol(protocol) => match protocol_word(*protocol) {
                Some(word) => f.write_str(word),
                None => write!(f, "{}", protocol.0),
            },
            Self::Interface(name) => write!(f, "\"{}\"", interface_text(name)),
            Self::Address(address) => write!(f, "{address}"),
            Self::Net(net) => write!(f, "{net}"),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::Tuple(parts) => write!(f, "{}", Joined(parts, " . ")),
            Self::Flags(flags) => write!(f, "{}", Joined(flags, " | ")),
        }
    }
}

impl Display for Right {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value @ Value::Flags(flags)) if flags.len() > 1 => write!(f, "({value})"),
            Self::One(value) => write!(f, "{value}"),
            Self::Any(values) => write!(f, "{{ {} }}", Joined(values, ", ")),
            Self::Set(name) => write!(f, "@{name}"),
        }
    }
}

impl Display for Rate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let over = if self.over { "over " } else { "" };
        write!(f, "rate {over}{}/{} burst {} packets", self.count, self.per, self.burst)
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.address, &self.port) {
            (Some(Value::Range(first, last)), Some(port)) if self.ipv6 => {
                write!(f, " ip6 to [{first}]-[{last}]:{port}")
            }
            (Some(address), Some(port)) if self.ipv6 => write!(f, " ip6 to [{address}]:{port}"),
            (Some(address), Some(port)) => write!(f, " ip to {address}:{port}"),
            (Some(address), None) => write!(f, " {} to {address}", if self.ipv6 { "ip6" } else { "ip" }),
            (None, Some(port)) => write!(f, " to :{port}"),
            (None, None) => Ok(()),
        }
    }
}

fn reject_word(with: RejectWith) -> &'static str {
    match with {
        RejectWith::TcpReset => "tcp reset",
        RejectWith::PortUnreachable => "icmpx port-unreachable",
        RejectWith::HostUnreachable => "icmpx host-unreachable",
        RejectWith::NetUnreachable => "icmpx no-route",
        RejectWith::AdminProhibited => "icmpx admin-prohibited",
        RejectWith::HostProhibited => "icmp host-prohibited",
        RejectWith::NetProhibited => "icmp net-prohibited",
        RejectWith::ProtoUnreachable => "icmp prot-unreachable",
    }
}

fn write_match(f: &mut Formatter<'_>, key: &Key, negated: bool, right: &Right) -> fmt::Result {
    let operator = match (key, right) {
        _ if negated => " != ",
        (Key::Masked(..), Right::One(_)) => " == ",
        _ => " ",
    };
    write!(f, "{key}{operator}{right}")
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match { key, negated, right } => write_match(f, key, *negated, right),
            Self::When(clock, right) => write!(f, "meta {} {right}", clock.word()),
            Self::Limit(name) => write!(f, "limit name \"{name}\""),
            Self::Update { set, key, rate: Some(rate) } => write!(f, "update @{set} {{ {key} limit {rate} }}"),
            Self::Update { set, key, rate: None } => write!(f, "update @{set} {{ {key} }}"),
            Self::Record { set, key } => write!(f, "add @{set} {{ {key} }}"),
            Self::MarkBit { bit, set: true } => write!(f, "meta mark set meta mark | {bit:#x}"),
            Self::MarkBit { bit, set: false } => write!(f, "meta mark set meta mark & {:#x}", !bit),
            Self::Counter => f.write_str("counter"),
            Self::Log { prefix, level } => {
                f.write_str("log")?;
                prefix.iter().try_for_each(|p| write!(f, " prefix \"{p}\""))?;
                level.iter().try_for_each(|l: &LogLevel| write!(f, " level {l}"))
            }
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Reject(with) => write!(f, "reject with {}", reject_word(*with)),
            Self::Dnat(target) => write!(f, "dnat{target}"),
            Self::Snat(target) => write!(f, "snat{target}"),
            Self::Masquerade(target) => write!(f, "masquerade{target}"),
            Self::Redirect(target) => write!(f, "redirect{target}"),
        }
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        self.seconds.iter().try_for_each(|s| write!(f, " timeout {s}s"))
    }
}

fn set_type(kind: SetKind) -> &'static str {
    match kind {
        SetKind::Ipv4 => "type ipv4_addr",
        SetKind::Ipv6 => "type ipv6_addr",
        SetKind::Service => "type inet_service",
        SetKind::Ipv4Port => "type ipv4_addr . inet_proto . inet_service",
        SetKind::Ipv6Port => "type ipv6_addr . inet_proto . inet_service",
        SetKind::NfProto => "typeof meta nfproto",
        SetKind::CtId => "typeof ct id",
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "set inet {TABLE} {} {{ {};", self.name, set_type(self.kind))?;
        let flags = [(self.dynamic.is_some(), "dynamic"), (self.interval, "interval"), (self.timeout, "timeout")];
        let flags: Vec<&str> = flags.into_iter().filter_map(|(on, word)| on.then_some(word)).collect();
        if !flags.is_empty() {
            write!(f, " flags {};", Joined(&flags, ","))?;
        }
        self.dynamic.iter().try_for_each(|seconds| write!(f, " timeout {seconds}s;"))?;
        self.size.iter().try_for_each(|size| write!(f, " size {size};"))?;
        f.write_str(" }")
    }
}

fn write_base(f: &mut Formatter<'_>, hook: Hook) -> fmt::Result {
    let (kind, at, priority) = hook.place();
    let name = hook.name();
    write!(f, "add chain inet {TABLE} {name} {{ type {kind} hook {at} priority {priority}; policy accept; }}")
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => write!(f, "add table inet {TABLE}"),
            Self::Base(hook) => write_base(f, *hook),
            Self::Chain(name) => write!(f, "add chain inet {TABLE} {name}"),
            Self::CreateChain(name) => write!(f, "create chain inet {TABLE} {name}"),
            Self::FlushChain(name) => write!(f, "flush chain inet {TABLE} {name}"),
            Self::DeleteTable => write!(f, "delete table inet {TABLE}"),
            Self::DeleteChain(name) => write!(f, "delete chain inet {TABLE} {name}"),
            Self::Set(set) => write!(f, "add {set}"),
            Self::CreateSet(set) => write!(f, "create {set}"),
            Self::FlushSet(name) => write!(f, "flush set inet {TABLE} {name}"),
            Self::DeleteSet(name) => write!(f, "delete set inet {TABLE} {name}"),
            Self::Limit(name, rate) => write!(f, "add limit inet {TABLE} {name} {{ {rate}; }}"),
            Self::DeleteLimit(name) => write!(f, "delete limit inet {TABLE} {name}"),
            Self::Rule { chain, statements, comment } => {
                write!(f, "add rule inet {TABLE} {chain} {} comment \"{comment}\"", Joined(statements, " "))
            }
            Self::Door { way, generation } => {
                write!(f, "insert rule {way} {} comment \"{}\"", door::text(), comment(*generation))
            }
            Self::DeleteDoor { way, handle } => write!(f, "delete rule {way} handle {handle}"),
            Self::Add { set, elements } => {
                write!(f, "add element inet {TABLE} {set} {{ {} }}", Joined(elements, ", "))
            }
            Self::Delete { set, values } => {
                write!(f, "delete element inet {TABLE} {set} {{ {} }}", Joined(values, ", "))
            }
        }
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.commands.iter().try_for_each(|command| writeln!(f, "{command}"))
    }
}
