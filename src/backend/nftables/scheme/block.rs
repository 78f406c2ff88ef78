//! Blocks: bans as elements of hash sets, one set per kind and prefix length, looked up with a mask.
//!
//! Block sets are live: elements come and go, the sets are never flushed and never deleted.

use super::live::Live;
use super::mine;
use crate::backend::nftables::lower::address::header;
use crate::backend::nftables::native::{Command, Element, Hook, Key, Right, Script, Set, SetKind, Statement, Value};
use crate::packet::{AddressSpec, Family, Protocol};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nftables::expr::MetaKey;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is banned, and from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ban {
    /// What comes from a network or address: to this host and through it, before addresses are translated.
    Source(IpNet),
    /// What comes from an address to a port, as the sender sees the port.
    Port(IpAddr, Protocol, u16),
    /// What goes to a network or address: from this host and through it.
    Destination(IpNet),
}

/// A ban for so many seconds, or for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    pub ban: Ban,
    pub seconds: Option<u64>,
}

/// One of the sets of bans: what it looks at, and the length of the prefix that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanSet {
    Source(Family, u8),
    Port(Family),
    Destination(Family, u8),
}

fn digit(family: Family) -> char {
    if family == Family::Ipv4 { '4' } else { '6' }
}

impl BanSet {
    /// The sets that are always there: addresses of both families, and the networks that bans are usually widened to.
    pub fn standing() -> BTreeSet<Self> {
        let source = |family, length| Self::Source(family, length);
        [source(Family::Ipv4, 32), source(Family::Ipv4, 24), source(Family::Ipv6, 128), source(Family::Ipv6, 64)].into()
    }

    /// The set's name: `block4`, `block4_24`, `block6_port`, `out4`.
    pub fn name(self) -> String {
        let (word, family, length) = match self {
            Self::Port(family) => return format!("block{}_port", digit(family)),
            Self::Source(family, length) => ("block", family, length),
            Self::Destination(family, length) => ("out", family, length),
        };
        let suffix = if length == family.bits() { String::new() } else { format!("_{length}") };
        format!("{word}{}{suffix}", digit(family))
    }

    /// The set of that name, where there is one.
    pub fn named(name: &str) -> Option<Self> {
        let (word, rest) = name
            .strip_prefix("block")
            .map(|rest| ("block", rest))
            .or(name.strip_prefix("out").map(|rest| ("out", rest)))?;
        let (family, rest) = match rest.split_at_checked(1)? {
            ("4", rest) => (Family::Ipv4, rest),
            ("6", rest) => (Family::Ipv6, rest),
            _ => return None,
        };
        let set = match (word, rest) {
            ("block", "_port") => Self::Port(family),
            ("block", rest) => Self::Source(family, length(rest, family)?),
            (_, rest) => Self::Destination(family, length(rest, family)?),
        };
        (set.name() == name).then_some(set)
    }

    /// The base chains in which the set is looked up.
    pub fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Source(..) | Self::Port(_) => &[Hook::Blocks],
            Self::Destination(..) => &[Hook::BlocksOutput, Hook::BlocksForward],
        }
    }

    fn set(self) -> Set {
        let kind = match self {
            Self::Port(Family::Ipv4) => SetKind::Ipv4Port,
            Self::Port(Family::Ipv6) => SetKind::Ipv6Port,
            Self::Source(Family::Ipv4, _) | Self::Destination(Family::Ipv4, _) => SetKind::Ipv4,
            Self::Source(Family::Ipv6, _) | Self::Destination(Family::Ipv6, _) => SetKind::Ipv6,
        };
        Set::timed(self.name(), kind)
    }

    fn key(self) -> Key {
        match self {
            Self::Source(family, length) => masked(Key::Payload(header(family), "saddr"), family, length),
            Self::Destination(family, length) => masked(Key::Payload(header(family), "daddr"), family, length),
            Self::Port(family) => {
                let source = Key::Payload(header(family), "saddr");
                Key::Concat(vec![source, Key::Meta(MetaKey::L4proto), Key::Payload("th", "dport")])
            }
        }
    }

    /// The rule that looks the set up, for one of its chains.
    fn rule(self, hook: Hook) -> Command {
        let look = Statement::Match { key: self.key(), negated: false, right: Right::Set(self.name()) };
        mine(hook.name(), vec![look, Statement::Counter, Statement::Drop])
    }
}

fn length(suffix: &str, family: Family) -> Option<u8> {
    match suffix.strip_prefix('_') {
        Some(digits) => digits.parse().ok().filter(|n| (1..family.bits()).contains(n)),
        None if suffix.is_empty() => Some(family.bits()),
        None => None,
    }
}

fn masked(key: Key, family: Family, length: u8) -> Key {
    let mask = match family {
        _ if length >= family.bits() => return key,
        Family::Ipv4 => {
            IpAddr::V4(Ipv4Net::new(Ipv4Addr::UNSPECIFIED, length).map_or(Ipv4Addr::BROADCAST, |n| n.netmask()))
        }
        Family::Ipv6 => {
            IpAddr::V6(Ipv6Net::new(Ipv6Addr::UNSPECIFIED, length).map_or(Ipv6Addr::UNSPECIFIED, |n| n.netmask()))
        }
    };
    Key::Masked(Box::new(key), Value::Address(mask))
}

impl Ban {
    /// The set that holds the ban.
    pub fn set(&self) -> BanSet {
        match self {
            Self::Source(net) => BanSet::Source(Family::of(net.addr()), net.prefix_len()),
            Self::Destination(net) => BanSet::Destination(Family::of(net.addr()), net.prefix_len()),
            Self::Port(address, ..) => BanSet::Port(Family::of(*address)),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Source(net) | Self::Destination(net) => Value::Address(net.network()),
            Self::Port(address, protocol, port) => Value::Tuple(vec![
                Value::Address(*address),
                Value::Protocol(*protocol),
                Value::Number(u32::from(*port)),
            ]),
        }
    }
}

impl Ban {
    /// Its element as the kernel compares it: in the order of the network, each part of a concatenation filled up to four bytes.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Source(net) | Self::Destination(net) => octets(net.network()),
            Self::Port(address, protocol, port) => {
                let [high, low] = port.to_be_bytes();
                [octets(*address), vec![protocol.0, 0, 0, 0, high, low, 0, 0]].concat()
            }
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The longer of two times; `None` is for ever.
pub fn longer(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// Each ban once, for the longest time that is given for it, by set.
pub fn by_set(blocks: &[Block]) -> BTreeMap<BanSet, BTreeMap<Ban, Option<u64>>> {
    let mut out: BTreeMap<BanSet, BTreeMap<Ban, Option<u64>>> = BTreeMap::new();
    for Block { ban, seconds } in blocks {
        let times = out.entry(ban.set()).or_default();
        let time = times.get(ban).map_or(*seconds, |known| longer(*known, *seconds));
        times.insert(*ban, time);
    }
    out
}

/// Elements go into the text in lines of this many, so that no line is endless.
const PORTION: usize = 500;

/// Commands that add elements to a set.
pub(super) fn adding(set: &str, elements: &[Element]) -> impl Iterator<Item = Command> {
    elements.chunks(PORTION).map(move |portion| Command::Add { set: set.to_owned(), elements: portion.to_vec() })
}

/// Declares sets that are not there yet, with their chains and the rules that look them up. Rules are only appended: two
/// writers that add the same set leave two equal rules, and neither loses the other's.
fn declare(wanted: impl Iterator<Item = BanSet>, live: &Live) -> Script {
    let mut script = Script::default();
    script.push(Command::Table);
    for set in wanted {
        script.push(Command::Set(set.set()));
        for hook in set.hooks() {
            if !live.ban_sets.contains(&set) {
                script.append(chain(*hook, live));
                script.push(set.rule(*hook));
            }
        }
    }
    script
}

/// A chain of bans that is not there yet begins with what it leaves alone.
fn chain(hook: Hook, live: &Live) -> Script {
    let mut script = Script::default();
    if !live.chains.contains(hook.name()) {
        script.push(Command::Base(hook));
        script.append(spared(hook));
    }
    script
}

/// Loopback and the never-block list, in the kernel too: it grants nothing, it only keeps bans away.
fn spared(hook: Hook) -> Script {
    let (interface, field) = if hook == Hook::Blocks { (MetaKey::Iif, "saddr") } else { (MetaKey::Oif, "daddr") };
    let never = |family: Family| {
        let right = Right::Set(format!("never{}", digit(family)));
        let key = Key::Payload(header(family), field);
        mine(hook.name(), vec![Statement::Match { key, negated: false, right }, Statement::Return])
    };
    let lo = Statement::Match { key: Key::Meta(interface), negated: false, right: Right::One(Value::Word("lo")) };
    Script { commands: vec![mine(hook.name(), vec![lo, Statement::Return]), never(Family::Ipv4), never(Family::Ipv6)] }
}

/// The chains and sets of bans: idempotent, and complete for `sets`.
pub(super) fn chains(sets: &BTreeSet<BanSet>) -> Script {
    let mut script = Script::default();
    for name in ["never4", "never6"] {
        let kind = if name == "never4" { SetKind::Ipv4 } else { SetKind::Ipv6 };
        script.push(Command::Set(Set::fixed(name, kind, true)));
    }
    sets.iter().for_each(|set| script.push(Command::Set(set.set())));
    for hook in [Hook::Blocks, Hook::BlocksOutput, Hook::BlocksForward] {
        let of_hook: Vec<&BanSet> = sets.iter().filter(|set| set.hooks().contains(&hook)).collect();
        if hook != Hook::Blocks && of_hook.is_empty() {
            continue;
        }
        script.push(Command::Base(hook));
        script.push(Command::FlushChain(hook.name().to_owned()));
        script.append(spared(hook));
        of_hook.into_iter().for_each(|set| script.push(set.rule(hook)));
    }
    script
}

/// Bans what is not banned yet. A ban that is there already gets the new time, shorter or not: [`extend`] those.
pub fn block(blocks: &[Block], live: &Live) -> Script {
    let sorted = by_set(blocks);
    let mut script = if live.whole { Script::default() } else { super::base(&live.all_ban_sets()) };
    let known = Live { ban_sets: standing_or(live), chains: standing_chains(live), ..live.clone() };
    script.append(declare(sorted.keys().copied(), &known));
    script.append(elements(blocks));
    script
}

/// The elements of bans, whose sets are there.
pub(super) fn elements(blocks: &[Block]) -> Script {
    let mut script = Script::default();
    for (set, times) in by_set(blocks) {
        let element = |(ban, seconds): (Ban, Option<u64>)| Element { value: ban.value(), seconds };
        let elements: Vec<Element> = times.into_iter().map(element).collect();
        adding(&set.name(), &elements).for_each(|command| script.push(command));
    }
    script
}

fn standing_or(live: &Live) -> BTreeSet<BanSet> {
    if live.whole { live.ban_sets.clone() } else { live.all_ban_sets() }
}

fn standing_chains(live: &Live) -> BTreeSet<String> {
    if live.whole {
        return live.chains.clone();
    }
    live.all_ban_sets().iter().flat_map(|set| set.hooks()).map(|hook| hook.name().to_owned()).collect()
}

/// Gives bans a new time, there already or not. Adding alone would not do on every kernel, and deleting alone fails where the
/// ban has just ended; in one transaction no packet sees the gap.
pub fn extend(blocks: &[Block], live: &Live) -> Script {
    let bans: Vec<Ban> = blocks.iter().map(|block| block.ban).collect();
    let mut script = unblock(&bans, live);
    script.append(block(
        blocks,
        &Live { table: true, whole: true, ban_sets: after(&bans, live), chains: all_chains(live), ..live.clone() },
    ));
    script
}

fn after(bans: &[Ban], live: &Live) -> BTreeSet<BanSet> {
    standing_or(live).into_iter().chain(bans.iter().map(Ban::set)).collect()
}

fn all_chains(live: &Live) -> BTreeSet<String> {
    let hooks = [Hook::Blocks, Hook::BlocksOutput, Hook::BlocksForward];
    live.chains.iter().cloned().chain(hooks.map(|hook| hook.name().to_owned())).collect()
}

/// Ends bans, there or not.
pub fn unblock(bans: &[Ban], live: &Live) -> Script {
    let lasting: Vec<Block> = bans.iter().map(|ban| Block { ban: *ban, seconds: None }).collect();
    let mut script = block(&lasting, live);
    for (set, times) in by_set(&lasting) {
        let values: Vec<Value> = times.keys().map(Ban::value).collect();
        let portions = values.chunks(PORTION);
        portions.for_each(|p| script.push(Command::Delete { set: set.name(), values: p.to_vec() }));
    }
    script
}

/// Replaces the never-block list as a whole.
pub fn never(addresses: &[AddressSpec]) -> Script {
    let mut script = Script::default();
    script.push(Command::Table);
    for (family, kind) in [(Family::Ipv4, SetKind::Ipv4), (Family::Ipv6, SetKind::Ipv6)] {
        let name = format!("never{}", digit(family));
        script.push(Command::Set(Set::fixed(name.clone(), kind, true)));
        script.push(Command::FlushSet(name.clone()));
        let values = crate::backend::nftables::lower::address::values(addresses, family);
        let elements: Vec<Element> = values.into_iter().map(Element::lasting).collect();
        adding(&name, &elements).for_each(|command| script.push(command));
    }
    script
}
