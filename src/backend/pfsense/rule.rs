//! One rule of pfSense as conditions: what it asks of a packet, at each place where pf asks it.

use super::address::{End, Names};
use crate::backend::document::{Node, ReadError, cells, icmp, only, ports, protocol_of, steady};
use crate::backend::pf;
use crate::packet::{Bits, Cell, Family, Narrow, Protocol, Ranges, Wide};
use crate::rule::ruleset::{Condition, Hook, Line, Outcome, Verdict, name_number};

/// A rule that may decide.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) floating: bool,
    /// Whether it is of a group of interfaces, whose rules come before those of each.
    pub(super) grouped: bool,
    /// Whether it decides at once.
    pub(super) quick: bool,
    /// Whether it is asked about packets that come in, and about those that go out.
    ways: (bool, bool),
    /// The devices; nothing for all.
    devices: Option<Result<Vec<String>, Condition>>,
    /// Which ends are the firewall itself: `source` or `destination`, and whether they are or are not.
    own: Vec<(&'static str, bool)>,
    line: Line,
}

/// Fields that decide nothing about which packets match.
const KNOWN: [&str; 31] = [
    "id",
    "tracker",
    "type",
    "interface",
    "ipprotocol",
    "protocol",
    "source",
    "destination",
    "floating",
    "quick",
    "direction",
    "disabled",
    "log",
    "descr",
    "created",
    "updated",
    "associated-rule-id",
    "statetype",
    "max",
    "tcpflags_any",
    "max-src-nodes",
    "max-src-conn",
    "max-src-states",
    "statetimeout",
    "nosync",
    "tag",
    "separator",
    "statepolicy",
    "gateway",
    "icmptype",
    "sched",
];

impl Filter {
    /// Reads the rule at a place of the list; nothing where it is disabled.
    pub(super) fn read(rule: &Node, at: usize, names: &Names) -> Result<Option<Self>, ReadError> {
        if rule.get("disabled").is_some() {
            return Ok(None);
        }
        let yes = |field: &str| Ok::<_, ReadError>(matches!(rule.text_of(field)?, Some("yes" | "on" | "1")));
        let floating = yes("floating")?;
        let ways = match rule.text_of("direction")? {
            Some("any") if floating => (true, true),
            Some("out") if floating => (false, true),
            _ => (true, false),
        };
        let descr = rule.text_of("descr")?.filter(|text| !text.is_empty());
        let mut conditions = family(rule)?;
        conditions.extend(traffic(rule, names)?);
        let mut own = Vec::new();
        for (side, field) in [("source", Wide::Source), ("destination", Wide::Destination)] {
            if let Some(end) = rule.get(side).filter(|end| end.value.is_object()) {
                match names.end(&end, side)? {
                    End::Own => own.push((side, end.get("not").is_none())),
                    found => conditions.extend(who(found, &end, side, field)),
                }
            }
        }
        conditions.extend(rule.strange(&KNOWN).map(|field| steady(&field, format!("`{field}` is not understood"))));
        conditions.extend(names.hours(rule)?);
        let word = rule.text_of("type")?.unwrap_or_default();
        // What begins no connection is passed by no rule that does not say so (pf.conf(5), flags S/SA), and of a rule for TCP alone pfSense writes
        // those flags whatever it does.
        let tcp = rule.text_of("protocol")? == Some("tcp");
        if (word == "pass" || tcp) && !(tcp && rule.get("tcpflags_any").is_some()) {
            conditions.push(Condition::AnyOf(beginnings()));
        }
        let outcome = match word {
            "pass" => Outcome::Verdict(Verdict::Accept),
            "block" => Outcome::Verdict(Verdict::Drop),
            "reject" => Outcome::Verdict(Verdict::Reject),
            "match" => Outcome::Next,
            _ => return Err(rule.error("its type is none of pass, block, reject and match")),
        };
        let text = format!("{at} {word} {}", rule.text_of("interface")?.unwrap_or("any"));
        let line =
            Line { handle: None, comment: descr.map(str::to_owned), text, conditions, alters: Vec::new(), outcome };
        let devices = devices(rule, names)?;
        let grouped = rule.text_of("interface")?.is_some_and(|name| names.groups.contains_key(name));
        Ok(Some(Self { floating, grouped, quick: !floating || yes("quick")?, ways, devices, own, line }))
    }

    /// The line that it is where packets come in, or go out; none where it is not asked.
    pub(super) fn line(&self, hook: Hook, comes_in: bool) -> Option<Line> {
        let asked = if comes_in { self.ways.0 } else { self.ways.1 };
        // A packet for the firewall itself comes to input, one of its own to output, and no other does.
        let is_own = |side: &str| match side {
            "destination" => (hook == Hook::Input, comes_in),
            _ => (hook == Hook::Output, !comes_in),
        };
        let fails = |(side, wanted): &(&str, bool)| is_own(side).1 && is_own(side).0 != *wanted;
        if !asked || self.own.iter().any(fails) {
            return None;
        }
        let field = if comes_in { Wide::InInterface } else { Wide::OutInterface };
        let mut line = self.line.clone();
        match &self.devices {
            None => {}
            Some(Ok(names)) => {
                let numbers = names.iter().map(|name| (name_number(name), name_number(name)));
                line.conditions.insert(0, Condition::Wide(field, Ranges::of(numbers)));
            }
            Some(Err(unknown)) => line.conditions.insert(0, unknown.clone()),
        }
        let open = self.own.iter().filter(|(side, _)| !is_own(side).1);
        line.conditions
            .extend(open.map(|(side, _)| steady(&format!("own {side}"), format!("the {side} is the firewall"))));
        Some(line)
    }
}

/// The devices of a rule's interfaces and groups of them; a condition where one is not in the configuration.
fn devices(rule: &Node, names: &Names) -> Result<Option<Result<Vec<String>, Condition>>, ReadError> {
    let text = rule.text_of("interface")?.unwrap_or_default();
    if text.is_empty() || text == "any" {
        return Ok(None);
    }
    // A section of rules alone says nothing of interfaces: their names stand for themselves.
    let device = |name: &str| match names.interfaces.is_empty() {
        true => Some(name.to_owned()),
        false => names.interfaces.get(name)?.device.clone(),
    };
    let members = |name: &str| match names.groups.get(name) {
        Some(members) => members.iter().map(|name| device(name)).collect::<Option<Vec<String>>>(),
        None => Some(vec![device(name)?]),
    };
    let all: Option<Vec<Vec<String>>> = text.split(',').map(|name| members(name.trim())).collect();
    let all = all.map(|devices| devices.concat());
    let unknown = || steady(&format!("interface {text}"), format!("the interface is `{text}`"));
    Ok(Some(all.ok_or_else(unknown)))
}

fn family(rule: &Node) -> Result<Vec<Condition>, ReadError> {
    let only = |family| vec![Condition::Narrow(Narrow::Family, Bits::single(family))];
    match rule.text_of("ipprotocol")? {
        None | Some("" | "inet") => Ok(only(0)),
        Some("inet6") => Ok(only(1)),
        Some("inet46") => Ok(Vec::new()),
        Some(_) => Err(rule.error("its ipprotocol is none of inet, inet6 and inet46")),
    }
}

/// The protocol, and the ports of both ends.
fn traffic(rule: &Node, names: &Names) -> Result<Vec<Condition>, ReadError> {
    let protocols = match rule.text_of("protocol")? {
        None | Some("" | "any") => return Ok(Vec::new()),
        Some("tcp/udp") => vec![Protocol::TCP, Protocol::UDP],
        // Of either family its own one.
        Some("icmp") => vec![Protocol::ICMP, Protocol::ICMPV6],
        Some(name) => protocol_of(name).map_err(|why| rule.error(why))?.into_iter().collect(),
    };
    let mut cells: Vec<Cell> = protocols.iter().map(|protocol| only(*protocol)).collect();
    let mut conditions = Vec::new();
    for (side, field) in [("source", Wide::SourcePort), ("destination", Wide::DestinationPort)] {
        let text = rule.get(side).map(|end| end.text_of("port")).transpose()?.flatten();
        let Some(text) = text.filter(|text| !text.is_empty() && *text != "any") else { continue };
        match names.ports(text) {
            Some(ranges) => cells = cells.into_iter().map(|cell| ports(cell, field, ranges.clone())).collect(),
            None => conditions.push(steady(&format!("{side} port {text}"), format!("the {side} port is in `{text}`"))),
        }
    }
    // Of another protocol pfSense asks no type.
    let kinds = rule.text_of("icmptype")?.filter(|text| !text.is_empty() && *text != "any");
    if let Some(kinds) = kinds.filter(|_| protocols == [Protocol::ICMP, Protocol::ICMPV6]) {
        match types(kinds) {
            Some(of_types) => cells = of_types,
            None => conditions.push(steady(&format!("icmp type {kinds}"), format!("the type of ICMP is {kinds}"))),
        }
    }
    conditions.push(Condition::AnyOf(cells));
    Ok(conditions)
}

/// The packets of types of ICMP, each family's by its own names; nothing where a name is known in neither.
fn types(kinds: &str) -> Option<Vec<Cell>> {
    let both = [(Protocol::ICMP, Family::Ipv4), (Protocol::ICMPV6, Family::Ipv6)];
    let mut cells = Vec::new();
    for word in kinds.split(',').map(str::trim) {
        let number = word.parse::<u8>().ok();
        let kind = |family| number.or_else(|| pf::icmp_type(word, family));
        let found = both.iter().filter_map(|(protocol, family)| Some(icmp(*protocol, Some(kind(*family)?), None)));
        let before = cells.len();
        cells.extend(found);
        if cells.len() == before {
            return None;
        }
    }
    Some(cells)
}

/// The packets that may begin a connection: of TCP those with SYN and without ACK.
fn beginnings() -> Vec<Cell> {
    let (syn, ack) = (2, 16);
    let flags: Bits = (0..=u8::MAX).filter(|flags| flags & (syn | ack) == syn).collect();
    let tcp = only(Protocol::TCP);
    let others = Cell::all().minus(&tcp);
    others.into_iter().chain([tcp.with_narrow(Narrow::TcpFlags, flags)]).collect()
}

/// Who one end is.
fn who(found: End, end: &Node, side: &str, field: Wide) -> Vec<Condition> {
    let not = end.get("not").is_some();
    match (found, not) {
        (End::Any | End::Own, false) => Vec::new(),
        (End::Any | End::Own, true) => vec![Condition::AnyOf(Vec::new())],
        (End::Nets(nets), false) => vec![Condition::AnyOf(cells(field, &nets))],
        (End::Nets(nets), true) => {
            let without = |left: Vec<Cell>, hole: &Cell| left.iter().flat_map(|cell| cell.minus(hole)).collect();
            vec![Condition::AnyOf(cells(field, &nets).iter().fold(vec![Cell::all()], without))]
        }
        (End::Unknown(condition), false) => vec![condition],
        (End::Unknown(_), true) => {
            vec![steady(&format!("not {side}"), format!("the {side} is in none of `{}`", words(end)))]
        }
    }
}

fn words(end: &Node) -> String {
    let text = |name: &str| end.text_of(name).ok().flatten();
    text("network").or(text("address")).unwrap_or_default().to_owned()
}
