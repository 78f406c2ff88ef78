//! The language of questions about whole sets of packets: `from guest to 10.10.0.0/24 proto tcp port 22`.
//!
//! Few words, in any order, each at most once; names are those of the context. A word that is not understood is refused by name.

#[cfg(test)]
mod tests;
mod value;

use crate::packet::{AddressSpec, Bits, Cell, Malformed, Narrow, PortRange, Protocol, Ranges, Wide};
use crate::record::Context;
use crate::rule::Direction;
use crate::rule::ruleset::{Condition, Ruleset, name_number, number_name};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use value::{destination, each, end, face, flags, passes, ports, protocols, service, source, states};

/// A set of packets that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The question as it was asked.
    pub text: String,
    /// Packets by direction; no packet is in two.
    pub cells: Vec<(Direction, Cell)>,
    /// What goes without saying and was taken so.
    pub assumed: Vec<String>,
    /// Whether it names the addresses that packets come from.
    pub names_source: bool,
}

/// Names that a question may use.
#[derive(Debug, Clone, Default)]
pub struct Names {
    faces: BTreeMap<String, Ranges>,
    hosts: BTreeMap<String, Vec<AddressSpec>>,
    services: BTreeMap<String, Vec<(Protocol, PortRange)>>,
    /// The names of the zones, and of the context's own services.
    zones: Vec<String>,
    named: Vec<String>,
    /// The addresses of this host; empty where they are not known.
    own: Vec<IpAddr>,
}

impl Names {
    /// Those of a context: zones, interfaces, hosts, services; and the host's own addresses.
    pub fn of(context: &Context) -> Self {
        let single = |name: &str| Ranges::single(name_number(name));
        let mut faces: BTreeMap<_, _> =
            context.interfaces.iter().map(|face| (face.name.clone(), single(&face.name))).collect();
        for (zone, names) in &context.zones {
            let all = names.iter().fold(Ranges::none(), |all, name| all.or(&value::pattern(name)));
            faces.insert(zone.clone(), all);
        }
        let service = |text: &String| {
            let (protocol, port) = text.split_once('/')?;
            Some((protocol.parse().ok()?, port.parse().ok()?))
        };
        Self {
            faces,
            hosts: context.hosts.clone(),
            services: context
                .services
                .iter()
                .map(|(name, ports)| (name.clone(), ports.iter().filter_map(service).collect()))
                .collect(),
            zones: context.zones.keys().cloned().collect(),
            named: context.services.keys().cloned().collect(),
            own: context.interfaces.iter().flat_map(|face| face.addresses.iter().map(|net| net.addr())).collect(),
        }
    }

    /// Adds services under names that the context does not have.
    #[must_use]
    pub fn with_services(mut self, more: impl IntoIterator<Item = (String, Vec<(Protocol, PortRange)>)>) -> Self {
        for (name, ports) in more {
            self.services.entry(name).or_insert(ports);
        }
        self
    }

    /// Adds the interfaces that rules name, under names that the context does not have.
    #[must_use]
    pub fn with_interfaces_of(mut self, ruleset: &Ruleset) -> Self {
        let fields = [Wide::InInterface, Wide::OutInterface];
        for (_, line) in ruleset.lines() {
            for condition in &line.conditions {
                let all: Vec<&Ranges> = match condition {
                    Condition::Wide(field, values) if fields.contains(field) => vec![values],
                    Condition::AnyOf(cells) => {
                        cells.iter().flat_map(|cell| fields.map(|field| cell.wide(field))).collect()
                    }
                    _ => continue,
                };
                let singles = all.into_iter().flat_map(Ranges::as_slice).filter(|(first, last)| first == last);
                for (number, _) in singles {
                    let Some(name) = number_name(*number).filter(|name| !self.hosts.contains_key(name)) else {
                        continue;
                    };
                    self.faces.entry(name).or_insert_with(|| Ranges::single(*number));
                }
            }
        }
        self
    }

    /// The names of the zones.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(String::as_str)
    }

    /// The names of the services that the context itself knows.
    pub fn own_services(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(String::as_str)
    }

    fn known(&self) -> String {
        let all: BTreeSet<_> = self.faces.keys().chain(self.hosts.keys()).map(String::as_str).collect();
        match all.is_empty() {
            true => "no names are known here".to_owned(),
            false => format!("known are {}", all.into_iter().take(20).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// One end of the way: by interface, by address, or this host.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Any,
    Own,
    Faces(Ranges),
    Addresses(Vec<AddressSpec>),
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    direction: Option<Direction>,
    from: Option<Vec<End>>,
    to: Option<Vec<End>>,
    on: Option<Ranges>,
    protocols: Option<Bits>,
    ports: Option<Ranges>,
    source_ports: Option<Ranges>,
    services: Option<Vec<(Protocol, PortRange)>>,
    states: Option<Bits>,
    flags: Option<Bits>,
    icmp: Option<(u8, Option<u8>)>,
}

impl Query {
    /// Reads a question. `what … may … reach` and a question mark may surround it.
    ///
    /// # Errors
    /// When a word is not understood, stands twice, or lacks what follows it; the word is named.
    pub fn parse(text: &str, names: &Names) -> Result<Self, Malformed> {
        let mut reading = Reading::default();
        let bare = text.trim().trim_end_matches('?');
        let mut words = bare.split_whitespace();
        while let Some(word) = words.next() {
            let mut value = || {
                words.next().ok_or_else(|| Malformed::new(format!("`{}` lacks what it is about", word.escape_debug())))
            };
            reading.word(word, &mut value, names)?;
        }
        reading.query(text.trim().to_owned(), names)
    }
}

/// Sets what may be said once.
fn once<T>(slot: &mut Option<T>, word: &str, value: T) -> Result<(), Malformed> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::new(format!("`{}` stands twice", word.escape_debug()))),
    }
}

impl Reading {
    fn word<'a>(
        &mut self,
        word: &str,
        value: &mut dyn FnMut() -> Result<&'a str, Malformed>,
        names: &Names,
    ) -> Result<(), Malformed> {
        if let Ok(direction) = word.parse::<Direction>() {
            return once(&mut self.direction, word, direction);
        }
        match word {
            "what" | "who" | "may" | "can" => Ok(()),
            "from" => once(&mut self.from, word, each(value()?, |name| end(name, names))?),
            "to" | "reach" => once(&mut self.to, word, each(value()?, |name| end(name, names))?),
            "on" => {
                let faces = each(value()?, |name| face(name, names))?;
                once(&mut self.on, word, faces.iter().fold(Ranges::none(), |all, one| all.or(one)))
            }
            "proto" => once(&mut self.protocols, word, protocols(value()?)?),
            "port" => once(&mut self.ports, word, ports(value()?)?),
            "sport" => once(&mut self.source_ports, word, ports(value()?)?),
            "service" => {
                let found = each(value()?, |name| service(name, names))?;
                once(&mut self.services, word, found.into_iter().flatten().collect())
            }
            "state" => once(&mut self.states, word, states(value()?)?),
            "flags" => once(&mut self.flags, word, flags(value()?)?),
            "icmp" => {
                let kind: crate::packet::IcmpType = value()?.parse()?;
                once(&mut self.icmp, word, (kind.kind, kind.code))
            }
            _ => Err(Malformed::new(format!(
                "`{}` is not understood; from, to, on, proto, port, sport, service, state, flags, icmp, input, forward and output are",
                word.escape_debug()
            ))),
        }
    }

    fn query(self, text: String, names: &Names) -> Result<Query, Malformed> {
        let mut assumed = Vec::new();
        if self.states.is_none() {
            assumed.push("asked of packets that begin a connection (state new, tcp flags syn); `state any flags any` asks of all".to_owned());
        }
        if self.leaves_loopback() {
            assumed.push("loopback is left out, as its interface is not named".to_owned());
        }
        let named = |end: &End| matches!(end, End::Addresses(_));
        let names_source = self.from.as_ref().is_some_and(|ends| ends.iter().all(named));
        let any = || vec![End::Any];
        let (from, to) = (self.from.clone().unwrap_or_else(any), self.to.clone().unwrap_or_else(any));
        let mut cells: Vec<(Direction, Cell)> = Vec::new();
        for direction in Direction::ALL.iter().copied().filter(|d| self.direction.is_none_or(|own| own == *d)) {
            for (source, destination) in from.iter().flat_map(|f| to.iter().map(move |t| (f, t))) {
                for cell in self.product(direction, source, destination, names) {
                    let new = cells.iter().filter(|(d, _)| *d == direction).fold(vec![cell], |left, (_, other)| {
                        left.iter().flat_map(|cell: &Cell| cell.minus(other)).collect()
                    });
                    cells.extend(new.into_iter().map(|cell| (direction, cell)));
                }
            }
        }
        match cells.is_empty() {
            true => Err(Malformed::new(format!("`{}`: no packet can be so", text.escape_debug()))),
            false => Ok(Query { text, cells, assumed, names_source }),
        }
    }

    /// Whether an end of the way is not said by its interface.
    fn leaves_loopback(&self) -> bool {
        let named = |ends: &Option<Vec<End>>| {
            ends.as_ref().is_some_and(|ends| ends.iter().all(|end| matches!(end, End::Faces(_))))
        };
        self.on.is_none() && !named(&self.from)
    }

    /// The packets of one pair of ends in a direction.
    fn product(&self, direction: Direction, from: &End, to: &End, names: &Names) -> Vec<Cell> {
        if !passes(direction, from, to, self.from.is_none()) {
            return Vec::new();
        }
        let mut base = Cell::all();
        for (field, end) in [(Wide::InInterface, from), (Wide::OutInterface, to)] {
            match end {
                End::Faces(faces) => base.keep_wide(field, faces),
                _ if self.on.is_none() && has(direction, field) => base.keep_wide(field, &but_loopback()),
                _ => {}
            }
        }
        if let Some(faces) = &self.on {
            let field = if direction == Direction::Output { Wide::OutInterface } else { Wide::InInterface };
            base.keep_wide(field, faces);
        }
        let families = (0..2).filter_map(|family| {
            let mut cell = base.clone().with_narrow(Narrow::Family, Bits::single(family));
            cell.keep_wide(Wide::Source, &source(direction, from, family, names));
            cell.keep_wide(Wide::Destination, &destination(direction, to, family, names));
            (!cell.is_empty()).then_some(cell)
        });
        families.flat_map(|cell| self.transport(cell)).filter(|cell| !cell.is_empty()).collect()
    }

    fn transport(&self, mut cell: Cell) -> Vec<Cell> {
        let new = self.states.is_none();
        cell.keep_narrow(Narrow::State, self.states.unwrap_or(Bits::single(0)));
        let flags = self.flags.unwrap_or(if new { Bits::single(SYN) } else { Bits::ALL });
        cell.keep_narrow(Narrow::TcpFlags, flags);
        if let Some(protocols) = self.protocols {
            cell.keep_narrow(Narrow::Protocol, protocols);
        }
        if new || self.ports.is_some() || self.source_ports.is_some() || self.services.is_some() || self.icmp.is_some()
        {
            cell.keep_narrow(Narrow::Fragment, Bits::single(0));
        }
        let ported: Bits = Bits::ALL.iter().filter(|p| Protocol(*p).has_ports()).collect();
        let either = if self.protocols.is_some() { ported } else { Bits::single(6).with(17) };
        for (field, ports) in [(Wide::DestinationPort, &self.ports), (Wide::SourcePort, &self.source_ports)] {
            if let Some(ports) = ports {
                cell.keep_narrow(Narrow::Protocol, either);
                cell.keep_wide(field, ports);
            }
        }
        if let Some((kind, code)) = self.icmp {
            cell.keep_narrow(Narrow::Protocol, Bits::single(1).with(58));
            cell.keep_narrow(Narrow::IcmpType, Bits::single(kind));
            cell.keep_narrow(Narrow::IcmpCode, code.map_or(Bits::ALL, Bits::single));
        }
        match &self.services {
            None => vec![cell],
            Some(services) => services.iter().map(|(protocol, port)| of_service(&cell, *protocol, *port)).collect(),
        }
    }
}

/// Whether packets of a direction have this interface.
fn has(direction: Direction, field: Wide) -> bool {
    match field {
        Wide::InInterface => direction != Direction::Output,
        _ => direction != Direction::Input,
    }
}

fn but_loopback() -> Ranges {
    Wide::InInterface.all().minus(&Ranges::single(name_number("lo")))
}

const SYN: u8 = 2;

fn of_service(cell: &Cell, protocol: Protocol, port: PortRange) -> Cell {
    let mut own = cell.clone();
    own.keep_narrow(Narrow::Protocol, Bits::single(protocol.0));
    own.keep_wide(Wide::DestinationPort, &Ranges::one(port.first().into(), port.last().into()));
    own
}
