//! One product of packets as one rule, and what AFO's own lowering of that rule decides: the proof that both are the same.

use super::act::act;
use super::cell::{narrowed, without};
use crate::backend::nftables::content::Apart;
use crate::backend::nftables::lower::lower;
use crate::backend::nftables::native::{Command, Script};
use crate::backend::nftables::read::read_value;
use crate::backend::nftables::scheme::policy::Policy;
use crate::packet::{
    AddressSpec, Bits, Cell, IcmpType, InterfacePattern, MacAddress, NO_MAC, Narrow, PortRange, Protocol, Ranges, Wide,
};
use crate::rule::ruleset::{Outcome, Verdict, name_range, number_name};
use crate::rule::{
    Action, ConnectionState, Direction, FamilyMatch, Id, Mark, Nat, OneOf, RateLimit, Rule, Scope, TcpFlag, TcpFlags,
    address_of,
};
use ipnet::IpNet;
use serde_json::Value;

/// Why a rule that could be written is not the line that it was made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("its packets cannot be said exactly as one rule")]
    Inexact,
    #[error("it denies on loopback too, which AFO's rules leave alone unless they name `lo`")]
    Loopback,
    #[error("it denies ICMP without which hosts lose each other, which AFO's denials leave alone")]
    Necessary,
    #[error("{0}")]
    Other(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

const CHAIN: &str = "proof";

/// The rule that takes the packets of a cell. Whether it takes them exactly is for [`decided`] to say.
///
/// # Errors
/// The field that no rule can ask so.
pub(super) fn rule_of(cell: &Cell, action: Action, direction: Direction) -> Result<Rule, String> {
    let id: Id = "imported".parse().map_err(|e| format!("{e}"))?;
    let mut rule = Rule::new(id, action, direction);
    let family = cell.narrow(Narrow::Family);
    rule.family = match (family.contains(0), family.contains(1)) {
        (true, true) => FamilyMatch::Any,
        (true, false) => FamilyMatch::Ipv4,
        _ => FamilyMatch::Ipv6,
    };
    let forward = direction == Direction::Forward;
    if forward || direction == Direction::Input {
        rule.interface_in = interfaces(cell.wide(Wide::InInterface)).ok_or("its interfaces are no list of names")?;
    }
    if forward || direction == Direction::Output {
        rule.interface_out = interfaces(cell.wide(Wide::OutInterface)).ok_or("its interfaces are no list of names")?;
    }
    rule.source_address = addresses(cell.wide(Wide::Source), rule.family).ok_or("its sources are no addresses")?;
    rule.destination_address =
        addresses(cell.wide(Wide::Destination), rule.family).ok_or("its destinations are no addresses")?;
    rule.source_port = ports(cell.wide(Wide::SourcePort)).ok_or("its source ports are no ports")?;
    rule.destination_port = ports(cell.wide(Wide::DestinationPort)).ok_or("its destination ports are no ports")?;
    rule.protocol = shorter(cell.narrow(Narrow::Protocol), Bits::ALL, |number| Some(Protocol(number)));
    rule.icmp_type = icmp(cell).ok_or("its types and codes of ICMP are no list")?;
    let state = |number| ConnectionState::ALL.get(usize::from(number)).copied();
    rule.connection_state = shorter(cell.narrow(Narrow::State), Narrow::State.all(), state);
    rule.tcp_flags = flags(cell.narrow(Narrow::TcpFlags)).ok_or("its TCP flags are no mask and value")?;
    rule.mark = mark(cell.wide(Wide::Mark)).ok_or("it asks for more than one mark")?;
    rule.source_mac = macs(cell.wide(Wide::SourceMac)).ok_or("its hardware addresses are no list")?;
    match asks_else(cell) {
        Some(why) => Err(format!("it asks for {why}, which AFO's rules do not")),
        None => Ok(rule),
    }
}

/// What a cell restricts that no rule of AFO can.
fn asks_else(cell: &Cell) -> Option<&'static str> {
    let asked = [
        (cell.asks_wide(Wide::ConnectionMark), "the mark of the connection"),
        (cell.asks_wide(Wide::DestinationMac), "the hardware address of the destination"),
        (cell.asks_wide(Wide::Vlan), "the VLAN"),
        (cell.asks_narrow(Narrow::ConnectionDirection), "the direction of the connection"),
        (cell.asks_narrow(Narrow::ConnectionStatus), "the status of the connection"),
        (cell.asks_narrow(Narrow::SourceType), "the type of the source"),
        (cell.asks_narrow(Narrow::DestinationType), "the type of the destination"),
    ];
    asked.into_iter().find(|(asked, _)| *asked).map(|(_, why)| why)
}

/// The values of a field as a list, or as a negated one where that is shorter.
fn shorter<T>(values: Bits, all: Bits, of: impl Fn(u8) -> Option<T>) -> OneOf<T> {
    let rest = all.minus(values);
    match () {
        () if rest.is_empty() => OneOf::any(),
        () if rest.len() < values.len() => OneOf::none_of(rest.iter().filter_map(of).collect()),
        () => OneOf::of(values.iter().filter_map(of).collect()),
    }
}

/// As [`shorter`] for ranges; nothing where a range is no value of the field.
fn shorter_wide<T>(values: &Ranges, all: &Ranges, of: impl Fn(u128, u128) -> Option<T>) -> Option<OneOf<T>> {
    let rest = all.minus(values);
    let list =
        |ranges: &Ranges| ranges.as_slice().iter().map(|(first, last)| of(*first, *last)).collect::<Option<Vec<_>>>();
    let negated = || list(&rest).map(OneOf::none_of);
    match () {
        () if rest.is_empty() => Some(OneOf::any()),
        () if rest.as_slice().len() < values.as_slice().len() => negated(),
        () => list(values).map(OneOf::of).or_else(negated),
    }
}

fn interfaces(values: &Ranges) -> Option<OneOf<InterfacePattern>> {
    let all = Wide::InInterface.all();
    let name = |first: u128, last: u128| {
        let stem = number_name(first)?;
        let pattern = (first != last).then(|| name_range(&stem) == Ranges::one(first, last));
        match pattern {
            None => stem.parse().ok().filter(|name: &InterfacePattern| !name.is_pattern()),
            Some(true) => format!("{stem}*").parse().ok(),
            Some(false) => None,
        }
    };
    shorter_wide(values, &all, name)
}

fn addresses(values: &Ranges, family: FamilyMatch) -> Option<OneOf<AddressSpec>> {
    if *values == Wide::Source.all() {
        return Some(OneOf::any());
    }
    let (version, all) = match family {
        FamilyMatch::Any => return None,
        FamilyMatch::Ipv4 => (0, Ranges::one(0, u128::from(u32::MAX))),
        FamilyMatch::Ipv6 => (1, Ranges::one(0, u128::MAX)),
    };
    let bits = if version == 0 { 32 } else { 128 };
    let spec = |first: u128, last: u128| {
        let free = first ^ last;
        let aligned = free.checked_add(1).is_none_or(u128::is_power_of_two) && first & free == 0;
        let length = u8::try_from(bits - free.count_ones()).ok()?;
        match IpNet::new(address_of(version, first), length) {
            Ok(net) if aligned => Some(AddressSpec::from(net)),
            _ => AddressSpec::range(address_of(version, first), address_of(version, last)).ok(),
        }
    };
    shorter_wide(&values.and(&all), &all, spec)
}

fn ports(values: &Ranges) -> Option<OneOf<PortRange>> {
    let port = |first: u128, last: u128| PortRange::new(first.try_into().ok()?, last.try_into().ok()?).ok();
    shorter_wide(values, &Wide::SourcePort.all(), port)
}

fn mark(values: &Ranges) -> Option<Option<Mark>> {
    match values.as_slice() {
        _ if *values == Wide::Mark.all() => Some(None),
        [(first, last)] if first == last => Some(Some(Mark { value: u32::try_from(*first).ok()?, mask: u32::MAX })),
        _ => None,
    }
}

/// Hardware addresses, which a packet must have to be from any but some.
fn macs(values: &Ranges) -> Option<OneOf<MacAddress>> {
    let mac = |first: u128, last: u128| MacAddress::from_number(first).filter(|_| first == last);
    match values.contains(NO_MAC) {
        true => (*values == Wide::SourceMac.all()).then(OneOf::any),
        false => shorter_wide(values, &Ranges::one(0, NO_MAC - 1), mac).filter(|list| !list.is_any()),
    }
}

/// Types without codes, or each with the codes that are asked for.
fn icmp(cell: &Cell) -> Option<OneOf<IcmpType>> {
    let (types, codes) = (cell.narrow(Narrow::IcmpType), cell.narrow(Narrow::IcmpCode));
    if codes == Bits::ALL {
        return Some(shorter(types, Bits::ALL, |kind| Some(IcmpType { kind, code: None })));
    }
    let pairs = types.iter().flat_map(|kind| codes.iter().map(move |code| IcmpType { kind, code: Some(code) }));
    (types.len() * codes.len() <= 256).then(|| OneOf::of(pairs.collect()))
}

/// The bits that all values have alike, where these are all values that have them so.
fn flags(values: Bits) -> Option<Option<TcpFlags>> {
    if values == Bits::ALL {
        return Some(None);
    }
    let (both, either) = values.iter().fold((u8::MAX, 0), |(and, or), bits| (and & bits, or | bits));
    let mask = !(both ^ either);
    let same: Bits = (0..=u8::MAX).filter(|bits| bits & mask == both & mask).collect();
    let words = |bits: u8| TcpFlag::ALL.iter().copied().filter(|flag| bits >> (*flag as u8) & 1 == 1).collect();
    (same == values).then(|| Some(TcpFlags { mask: words(mask), set: words(both & mask) }))
}

/// The packets that the rule takes in AFO's table, as its own text is read back, without what is left to loopback.
///
/// # Errors
/// When nftables cannot have the rule, or when it does not come back as it was.
pub(super) fn decided(rule: &Rule, entering: &Cell) -> Result<Vec<Cell>, String> {
    if Rule::from_line(&rule.to_line()).as_ref() != Ok(rule) {
        return Err("a value of it cannot be written in a record".to_owned());
    }
    let cause = |refused: Vec<crate::backend::nftables::Refused>| {
        refused.first().map_or_else(String::new, |first| first.cause.clone())
    };
    if let Some(schedule) = &rule.schedule {
        lower(&Rule { schedule: Some(schedule.in_utc(0)), ..rule.clone() }).map_err(cause)?;
    }
    let hook = lower(&Rule { schedule: None, ..rule.clone() }).map_err(cause)?.hook;
    // Which packets it takes is the same at every hour, and whoever they are counted with.
    let rate_limit = rule.rate_limit.map(|limit| RateLimit { scope: Scope::Total, ..limit });
    let always = Rule { schedule: None, rate_limit, ..rule.clone() };
    let policy = Policy::of(std::slice::from_ref(&always)).map_err(cause)?;
    let mut script = Script::default();
    script.push(Command::Table);
    script.append(policy.objects(Apart::Inside));
    policy.lines(hook, CHAIN, false).into_iter().for_each(|command| script.push(command));
    read_back(&script, rule, entering).ok_or_else(|| Refusal::Inexact.to_string())
}

/// What the rules of a script translate, for a rule that does.
fn translations(script: &Value) -> impl Iterator<Item = Option<(Action, Nat)>> {
    let commands = script["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rules = commands.iter().filter_map(|command| command["add"].get("rule"));
    rules.filter(|rule| translates(rule)).map(|rule| act(rule).ok().and_then(|act| act.nat().cloned()))
}

fn translates(rule: &Value) -> bool {
    let words = ["dnat", "snat", "masquerade", "redirect"];
    let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().any(|step| words.iter().any(|word| step.get(word).is_some()))
}

fn read_back(script: &Script, rule: &Rule, entering: &Cell) -> Option<Vec<Cell>> {
    let json = script.json()?;
    if !translations(&json).all(|found| found.as_ref() == Some(&(rule.action, rule.nat.clone().unwrap_or_default()))) {
        return None;
    }
    let ruleset = read_value(&json).ok()?;
    let (_, _, chain) = ruleset.chains().find(|(_, _, chain)| chain.name == CHAIN)?;
    let all = std::slice::from_ref(entering);
    let (mut spared, mut taken) = (Vec::new(), Vec::new());
    for line in &chain.lines {
        let back = line.outcome == Outcome::Verdict(Verdict::Return);
        let rates = if back { 0 } else { usize::from(rule.rate_limit.is_some()) };
        let cells = narrowed(all, &line.conditions, rates).ok()?;
        if back { spared.extend(cells) } else { taken.extend(cells) }
    }
    without(taken, &spared)
}
