//! One rule of the firewall's as a line of a ruleset: what it asks of a packet at each place of its way.
//!
//! What is not understood stays a condition with its text. Nothing here sends or looks up anything.

use super::alias::Aliases;
use super::check::protocol_word;
use super::document::ANY_FLAGS;
use super::icmp;
use super::listing::is_on;
use super::write::SELF;
use crate::packet::{AddressSpec, Bits, Cell, Family, LOCAL, Narrow, PortRange, Protocol, Ranges, Wide};
use crate::rule::ruleset::{Condition, Line, Outcome, Unread, Verdict, name_number};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where pf asks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A packet to the firewall itself, when it comes in.
    Input,
    /// A packet that passes through, when it comes in.
    Through,
    /// The same, when it leaves: its source may be translated.
    Leaving,
    /// A packet of the firewall's own.
    Output,
}

impl Place {
    /// Whether a packet is asked about when it comes in.
    pub fn comes_in(self) -> bool {
        matches!(self, Self::Input | Self::Through)
    }
}

/// What names in rules stand for.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub aliases: Aliases,
    /// Identifiers of interfaces by what the API shows instead.
    pub interfaces: BTreeMap<String, String>,
}

type Get<'a> = &'a dyn Fn(&str) -> String;

/// The line that a rule is at a place; none where it can match nothing there. Its text and comment are for the caller.
pub fn line_of(get: Get, names: &Names, place: Place) -> Option<Line> {
    let comes_in = match get("direction").as_str() {
        "in" => Some(true),
        "out" => Some(false),
        _ => None,
    };
    if comes_in.is_some_and(|comes_in| comes_in != place.comes_in()) {
        return None;
    }
    let mut conditions = Vec::new();
    conditions.extend(family(get));
    conditions.extend(interfaces(get, names, place));
    conditions.extend(protocol(get));
    conditions.extend(ends(get, names, place)?);
    conditions.extend(types(get));
    conditions.extend(flags(get));
    conditions.extend(super::model::others(get));
    let outcome = match (get("divert-to").as_str(), get("action").as_str()) {
        ("", "pass") => Outcome::Verdict(Verdict::Accept),
        (_, "block") => Outcome::Verdict(Verdict::Drop),
        (_, "reject") => Outcome::Verdict(Verdict::Reject),
        ("", action) => Outcome::Unread(format!("action {action}")),
        (to, _) => Outcome::Unread(format!("diverted to {to}")),
    };
    Some(Line { handle: None, comment: None, text: String::new(), conditions, alters: Vec::new(), outcome })
}

/// The packets that a line may match: what is not understood takes none away.
pub fn reach(line: &Line) -> Vec<Cell> {
    let mut cells = vec![Cell::all()];
    for condition in &line.conditions {
        match condition {
            Condition::Wide(field, ranges) => cells.iter_mut().for_each(|cell| cell.keep_wide(*field, ranges)),
            Condition::Narrow(field, bits) => cells.iter_mut().for_each(|cell| cell.keep_narrow(*field, *bits)),
            Condition::AnyOf(any) => {
                cells = cells.iter().flat_map(|cell| any.iter().filter_map(|one| cell.and(one))).collect()
            }
            Condition::Chance(_) | Condition::Unread(_) => {}
        }
    }
    cells
}

/// A condition on the packet alone that is not understood.
pub fn steady(field: &str, text: String) -> Condition {
    Condition::Unread(Unread { text, field: Some(field.to_owned()) })
}

fn family(get: Get) -> Option<Condition> {
    match get("ipprotocol").as_str() {
        "inet" => Some(Condition::Narrow(Narrow::Family, Bits::single(0))),
        "inet6" => Some(Condition::Narrow(Narrow::Family, Bits::single(1))),
        _ => None,
    }
}

fn interfaces(get: Get, names: &Names, place: Place) -> Option<Condition> {
    let text = get("interface");
    let list: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if list.is_empty() {
        return None;
    }
    let not = is_on(&get("interfacenot"));
    // A group stands for interfaces that the listing does not name.
    let group =
        (300_000..400_000).contains(&get("sort_order").split('.').next().and_then(|g| g.parse().ok()).unwrap_or(0));
    if group {
        return Some(steady(
            "interface group",
            format!("interface {}in the group {text}", if not { "not " } else { "" }),
        ));
    }
    let known = |name: &&str| names.interfaces.get(*name).map_or(*name, String::as_str).to_owned();
    let numbers = list.iter().map(known).map(|name| name_number(&name)).map(|number| (number, number));
    let (field, ranges) = (if place.comes_in() { Wide::InInterface } else { Wide::OutInterface }, Ranges::of(numbers));
    Some(Condition::Wide(field, if not { field.all().minus(&ranges) } else { ranges }))
}

fn numbers(get: Get) -> Option<Option<Bits>> {
    let word = get("protocol").to_lowercase();
    let v6 = get("ipprotocol") == "inet6";
    let own = (0..=255).find(|n| protocol_word(Protocol(*n)).is_some_and(|name| name.eq_ignore_ascii_case(&word)));
    match word.as_str() {
        "" | "any" => Some(None),
        "tcp/udp" => Some(Some(Bits::single(6).with(17))),
        // An older rule says icmp for both (FilterRule.php).
        "icmp" if v6 => Some(Some(Bits::single(58))),
        "icmp6" | "icmpv6" => Some(Some(Bits::single(58))),
        _ => own.or_else(|| word.parse::<Protocol>().ok().map(|protocol| protocol.0)).map(|n| Some(Bits::single(n))),
    }
}

fn protocol(get: Get) -> Option<Condition> {
    match numbers(get) {
        Some(bits) => bits.map(|bits| Condition::Narrow(Narrow::Protocol, bits)),
        None => Some(steady("protocol", format!("protocol {}", get("protocol")))),
    }
}

/// Source and destination with their ports; none where nothing can be in them.
fn ends(get: Get, names: &Names, place: Place) -> Option<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (end, field, kind, port) in [
        ("source", Wide::Source, Narrow::SourceType, Wide::SourcePort),
        ("destination", Wide::Destination, Narrow::DestinationType, Wide::DestinationPort),
    ] {
        let list = get(&format!("{end}_net"));
        let not = is_on(&get(&format!("{end}_not")));
        let (list, not) = list.strip_prefix('!').map_or((list.as_str(), not), |rest| (rest, true));
        conditions.extend(addresses(list, not, (end, field, kind), names, place)?);
        conditions.extend(ports(&get(&format!("{end}_port")), end, port, names));
    }
    Some(conditions)
}

/// One item of a list of addresses.
enum Item {
    Cells(Vec<Cell>),
    /// What it says, and whether its members come and go.
    Unread(String, bool),
}

fn addresses(
    list: &str,
    not: bool,
    (end, field, kind): (&str, Wide, Narrow),
    names: &Names,
    place: Place,
) -> Option<Option<Condition>> {
    let mut cells = Vec::new();
    let mut unread: Option<(String, bool)> = None;
    let items: Vec<&str> = list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.is_empty() || items.contains(&"any") {
        // Nothing is not anything.
        return if not { None } else { Some(None) };
    }
    for item in items {
        match address(item, (end, field, kind), names, place) {
            Item::Cells(own) => cells.extend(own),
            Item::Unread(text, changes) => unread = Some((text, changes)),
        }
    }
    if let Some((_, changes)) = unread {
        let text = format!("{end} {}in {list}", if not { "not " } else { "" });
        return Some(Some(if changes { Condition::Chance(text) } else { steady(&format!("{end} of {list}"), text) }));
    }
    if not {
        let outside = |left: Vec<Cell>, taken: &Cell| left.iter().flat_map(|cell| cell.minus(taken)).collect();
        cells = cells.iter().fold(vec![Cell::all()], outside);
    }
    match cells.as_slice() {
        [] => None,
        [all] if *all == Cell::all() => Some(None),
        _ => Some(Some(Condition::AnyOf(cells))),
    }
}

fn address(item: &str, (end, field, kind): (&str, Wide, Narrow), names: &Names, place: Place) -> Item {
    if let Some(cell) = spec(item).map(|spec| cell_of(&spec, field)) {
        return Item::Cells(vec![cell]);
    }
    if item == SELF || item == "self" {
        let own = Cell::all().with_narrow(kind, Bits::single(LOCAL));
        return match (place, end) {
            (Place::Through, "destination") => Item::Cells(Vec::new()),
            (Place::Leaving, "source") => {
                Item::Unread("the firewall's own address after translation".to_owned(), false)
            }
            (Place::Leaving, _) => Item::Cells(Vec::new()),
            _ => Item::Cells(vec![own]),
        };
    }
    let Some(alias) = names.aliases.get(item) else { return Item::Unread(item.to_owned(), false) };
    let members: Option<Vec<Cell>> =
        alias.members.iter().map(|member| spec(member).map(|spec| cell_of(&spec, field))).collect();
    match members {
        Some(cells) if alias.enabled && matches!(alias.kind.as_str(), "host" | "network") => Item::Cells(cells),
        _ => Item::Unread(item.to_owned(), true),
    }
}

fn spec(text: &str) -> Option<AddressSpec> {
    let net = |text: &str| text.parse::<ipnet::IpNet>().ok().map(AddressSpec::from);
    text.parse().ok().or_else(|| net(text)).or_else(|| text.parse::<IpAddr>().ok().map(AddressSpec::single))
}

fn cell_of(spec: &AddressSpec, field: Wide) -> Cell {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let family = u8::from(spec.family() == Family::Ipv6);
    let ranges = Ranges::one(number(spec.first()), number(spec.last()));
    Cell::all().with_narrow(Narrow::Family, Bits::single(family)).with_wide(field, ranges)
}

fn ports(text: &str, end: &str, field: Wide, names: &Names) -> Option<Condition> {
    let one = |text: &str| text.replace(':', "-").parse::<PortRange>().ok().or_else(|| well_known(text));
    let alias = names.aliases.get(text).filter(|alias| alias.enabled && alias.kind == "port");
    let items: Vec<&str> = match alias {
        Some(alias) => alias.members.iter().map(String::as_str).collect(),
        None => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
    };
    if items.is_empty() || items == ["any"] {
        return None;
    }
    let ranges: Option<Vec<PortRange>> = items.into_iter().map(one).collect();
    Some(match ranges {
        Some(list) => Condition::Wide(field, Ranges::of(list.iter().map(|p| (p.first().into(), p.last().into())))),
        None => steady(&format!("{end} port"), format!("{end} port {text}")),
    })
}

/// Ports that the API takes by name (PortField.php), those that rules are full of.
fn well_known(name: &str) -> Option<PortRange> {
    let port = match name {
        "ftp" => 21,
        "ssh" => 22,
        "telnet" => 23,
        "smtp" => 25,
        "domain" => 53,
        "http" => 80,
        "pop3" => 110,
        "ntp" => 123,
        "imap" => 143,
        "snmp" => 161,
        "ldap" => 389,
        "https" => 443,
        _ => return None,
    };
    Some(PortRange::single(port))
}

fn types(get: Get) -> Vec<Condition> {
    let fields = ["icmptype", "icmp6type", "icmp-type", "icmp6-type"];
    let lists = fields.into_iter().map(|field| (field, get(field))).filter(|(_, list)| !list.is_empty());
    let one = |(field, list): (&str, String)| {
        let kinds: Option<Vec<u8>> = list.split(',').map(|word| icmp::kind(word.trim())).collect();
        match kinds {
            Some(kinds) => Condition::Narrow(Narrow::IcmpType, kinds.into_iter().fold(Bits::NONE, Bits::with)),
            None => steady("icmp type", format!("{field} {list}")),
        }
    };
    lists.map(one).collect()
}

/// The flags of TCP that are asked for. A pass that keeps a state takes only what begins a connection unless it says otherwise (pf.conf(5)).
fn flags(get: Get) -> Option<Condition> {
    let (set, mask) = (get("tcpflags1"), get("tcpflags2"));
    let passes = get("action") == "pass" && get("statetype") != "none";
    let wanted = match () {
        () if !mask.is_empty() => bits_of(&set).zip(bits_of(&mask)),
        () if passes && !is_on(&get(ANY_FLAGS)) && get("flags") != "any" => Some((2, 2 | 16)),
        () => return None,
    };
    let Some((set, mask)) = wanted else { return Some(steady("tcp flags", format!("tcp flags {set}/{mask}"))) };
    let allowed = (0..=255).filter(|flags: &u8| flags & mask == set).fold(Bits::NONE, Bits::with);
    match numbers(get) {
        Some(Some(bits)) if bits.is_disjoint(Bits::single(6)) => None,
        Some(Some(bits)) if bits == Bits::single(6) => Some(Condition::Narrow(Narrow::TcpFlags, allowed)),
        _ => {
            let other = Cell::all().with_narrow(Narrow::Protocol, Bits::ALL.minus(Bits::single(6)));
            let tcp = Cell::all().with_narrow(Narrow::Protocol, Bits::single(6)).with_narrow(Narrow::TcpFlags, allowed);
            Some(Condition::AnyOf(vec![other, tcp]))
        }
    }
}

fn bits_of(list: &str) -> Option<u8> {
    let one = |word: &str| {
        let at = crate::rule::TcpFlag::ALL.iter().position(|flag| flag.as_str().eq_ignore_ascii_case(word.trim()))?;
        Some(1 << at)
    };
    list.split(',').filter(|word| !word.is_empty()).try_fold(0, |bits, word| Some(bits | one(word)?))
}
