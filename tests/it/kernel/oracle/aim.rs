//! Packets aimed at a ruleset: at the corners of what its rules ask for and right beside them, and some at nothing.

use super::draw::Draw;
use super::values::INTERFACES;
use afo::packet::{Bits, Cell, Narrow, Protocol, Ranges, Wide};
use afo::rule::ruleset::{Condition, Line, Outcome, Ruleset, name_number};
use afo::rule::{ConnectionState, Direction, Packet};
use afo::sys::lab::natural;
use std::net::IpAddr;

/// What the rules of a ruleset ask for.
#[derive(Debug)]
pub struct Aims {
    boxes: Vec<Cell>,
    tracks: bool,
    /// The interfaces that are there.
    names: Vec<String>,
}

impl Aims {
    pub fn of(ruleset: &Ruleset) -> Self {
        Self::through(ruleset, &INTERFACES)
    }

    /// The same for packets through other interfaces.
    pub fn through(ruleset: &Ruleset, names: &[&str]) -> Self {
        let boxes = ruleset.lines().flat_map(|(_, line)| boxes(line)).collect();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { boxes, tracks: ruleset.tracks(), names }
    }

    /// A packet that can be sent.
    pub fn packet(&self, draw: &mut Draw) -> Packet {
        loop {
            let mut cell = self.target(draw);
            let direction = draw.one(&[Direction::Input, Direction::Forward, Direction::Forward, Direction::Output]);
            interfaces(draw, &mut cell, direction, &self.names);
            if let Some(packet) = Packet::from_cell(direction, &cell) {
                let packet = self.in_a_state(draw, packet, &cell);
                if self.can_be_sent(&packet) {
                    return packet;
                }
            }
        }
    }

    /// A cell whose fields have one value each, or are left open.
    fn target(&self, draw: &mut Draw) -> Cell {
        let aimed = if self.boxes.is_empty() || draw.chance(20) { None } else { Some(draw.one(&self.boxes)) };
        let mut cell = aimed.clone().unwrap_or_else(Cell::all);
        settle_family(draw, &mut cell);
        for field in Wide::ALL {
            let own = aimed.as_ref().filter(|cell| cell.asks_wide(field)).map(|cell| cell.wide(field));
            let value = match own {
                Some(own) => near(draw, field, own),
                None if draw.chance(60) => self.other(draw, field),
                None if draw.chance(15) && field != Wide::Mark => Some(anywhere(draw, field)),
                None => None,
            };
            let value = value.filter(|v| fits(&cell, field, *v)).map_or(field.all(), Ranges::single);
            cell = cell.with_wide(field, value);
        }
        for field in [Narrow::Protocol, Narrow::TcpFlags, Narrow::IcmpType, Narrow::IcmpCode, Narrow::Fragment] {
            if !cell.asks_narrow(field) {
                if field == Narrow::TcpFlags && draw.chance(30) {
                    cell = cell.with_narrow(field, Bits::single(u8::try_from(draw.below(256)).expect("a byte")));
                }
                continue;
            }
            let own = cell.narrow(field);
            let own = if draw.chance(15) { field.all().minus(own) } else { own };
            let values: Vec<_> = own.iter().collect();
            if !values.is_empty() {
                cell = cell.with_narrow(field, Bits::single(draw.one(&values)));
            }
        }
        // What is put together before a rule sees it is no fragment; of others some are, whether a rule asks for that or not.
        let whole = self.tracks || !cell.asks_narrow(Narrow::Fragment) && !draw.chance(6);
        if whole {
            cell = cell.with_narrow(Narrow::Fragment, Bits::single(0));
        } else if !cell.asks_narrow(Narrow::Fragment) {
            cell = cell.with_narrow(Narrow::Fragment, Bits::single(draw.one(&[1, 1, 2])));
        }
        cell
    }

    /// A corner of what some other rule asks of a field.
    fn other(&self, draw: &mut Draw, field: Wide) -> Option<u128> {
        let own = self.boxes.get(draw.below(self.boxes.len().max(1)))?;
        if own.asks_wide(field) { near(draw, field, own.wide(field)) } else { None }
    }

    fn in_a_state(&self, draw: &mut Draw, mut packet: Packet, cell: &Cell) -> Packet {
        if !self.tracks {
            packet.state = ConnectionState::New;
            return packet;
        }
        let asked = cell.narrow(Narrow::State);
        let values: Vec<_> =
            if asked == Narrow::State.all() || draw.chance(20) { Vec::new() } else { asked.iter().collect() };
        packet.state = match values.is_empty() {
            false => ConnectionState::ALL[usize::from(draw.one(&values))],
            true if draw.chance(75) => natural(&packet),
            true => draw.one(ConnectionState::ALL),
        };
        if packet.state == ConnectionState::New {
            packet.state = natural(&packet);
        }
        if packet.state == ConnectionState::Related && packet.source.is_ipv4() {
            (packet.protocol, packet.icmp) = (Protocol::ICMP, (3, draw.one(&[0, 1, 3])));
        } else if packet.state == ConnectionState::Related {
            (packet.protocol, packet.icmp) = (Protocol::ICMPV6, (1, draw.one(&[0, 1, 3])));
        }
        packet
    }

    /// Whether it can be sent, and the model says what is read of it.
    pub fn can_be_sent(&self, packet: &Packet) -> bool {
        let unicast = |address: IpAddr| match address {
            IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..),
            IpAddr::V6(v6) => matches!(v6.segments()[0], 0x2000..=0x3fff | 0xfc00..=0xfdff),
        };
        // What of IPv4 is for this host is put together before the input hook.
        let delivered = packet.direction == Direction::Input && packet.source.is_ipv4();
        // Of which side a packet is that has the same address on both is not said.
        let turned = self.tracks && packet.source == packet.destination;
        // nft 1.0.6 lists `meta nfproto ipv4 meta l4proto icmp` as `meta l4proto icmp`: what is asked of ICMP of the other family, which
        // nobody sends, cannot be read of it.
        let foreign = if packet.source.is_ipv4() { Protocol::ICMPV6 } else { Protocol::ICMP };
        !(turned || packet.fragment && delivered || packet.protocol == foreign)
            && unicast(packet.source)
            && unicast(packet.destination)
            && !ODD.contains(&packet.protocol.0)
    }
}

/// Some of the products that a rule asks for.
fn boxes(line: &Line) -> Vec<Cell> {
    let mut cells = vec![Cell::all()];
    for condition in &line.conditions {
        match condition {
            Condition::Wide(field, values) => cells.iter_mut().for_each(|cell| cell.keep_wide(*field, values)),
            Condition::Narrow(field, values) => cells.iter_mut().for_each(|cell| cell.keep_narrow(*field, *values)),
            Condition::AnyOf(any) => {
                cells = cells.iter().flat_map(|cell| any.iter().take(8).filter_map(|other| cell.and(other))).collect();
            }
            Condition::Chance(_) | Condition::Unread(_) => {}
        }
    }
    if let Outcome::ByKey(keys) = &line.outcome {
        cells = cells.iter().flat_map(|cell| keys.iter().take(8).filter_map(|(key, _)| cell.and(key))).collect();
    }
    cells
}

/// A corner of some values, what lies beside it, or something between.
fn near(draw: &mut Draw, field: Wide, values: &Ranges) -> Option<u128> {
    let (first, last) = draw.one(Some(values.as_slice()).filter(|all| !all.is_empty())?);
    let value = match draw.below(8) {
        0 | 1 => first,
        2 | 3 => last,
        4 => first.checked_sub(1)?,
        5 => last.checked_add(1)?,
        _ => first.checked_add(u128::from(draw.number()) % (last - first).saturating_add(1).max(1))?,
    };
    Some(value).filter(|value| *value <= field.last())
}

fn anywhere(draw: &mut Draw, field: Wide) -> u128 {
    u128::from(draw.number()) % (field.last().min(u128::from(u32::MAX)) + 1)
}

/// Gives a cell one family, by its addresses where it leaves it open.
fn settle_family(draw: &mut Draw, cell: &mut Cell) {
    let v4 = Ranges::one(0, u128::from(u32::MAX));
    let is_v6 = [Wide::Source, Wide::Destination].into_iter().any(|f| cell.wide(f).is_disjoint(&v4));
    let open: Vec<_> = cell.narrow(Narrow::Family).iter().filter(|family| *family < 2).collect();
    let family = if is_v6 {
        1
    } else if open.is_empty() {
        0
    } else {
        draw.one(&open)
    };
    *cell = cell.clone().with_narrow(Narrow::Family, Bits::single(family));
}

/// IPv4 addresses end at 2³².
fn fits(cell: &Cell, field: Wide, value: u128) -> bool {
    let v4 = cell.narrow(Narrow::Family) == Bits::single(0);
    match field {
        Wide::Source | Wide::Destination => v4 == (value <= u128::from(u32::MAX)),
        _ => true,
    }
}

/// Interfaces that are there, mostly of those that are asked for.
fn interfaces(draw: &mut Draw, cell: &mut Cell, direction: Direction, names: &[String]) {
    for (field, there) in
        [(Wide::InInterface, direction != Direction::Output), (Wide::OutInterface, direction != Direction::Input)]
    {
        let asked = cell.wide(field).clone();
        let known: Vec<_> = names.iter().map(|n| name_number(n)).filter(|n| asked.contains(*n)).collect();
        let value = if known.is_empty() || draw.chance(20) { name_number(&draw.one(names)) } else { draw.one(&known) };
        *cell = cell.clone().with_wide(field, if there { Ranges::single(value) } else { Ranges::single(0) });
    }
}

/// Headers of IPv6 that are no transport, and protocols that not every kernel tracks in the same way.
const ODD: [u8; 12] = [0, 33, 43, 44, 50, 51, 59, 60, 135, 136, 139, 140];
