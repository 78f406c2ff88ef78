//! Chains of a stateful firewall before one machine.

use crate::packet::{Bits, Cell, Narrow, Protocol, Ranges, Wide};
use crate::rule::ConnectionState;
use crate::rule::ruleset::{
    Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Unread, Verdict, name_number,
};
use ipnet::IpNet;

/// Whose packets a chain sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Side {
    /// Those that come to the machine.
    In,
    /// Those that it sends.
    Out,
}

impl Side {
    /// The field of the address of the other end.
    pub(in crate::backend) fn far(self) -> Wide {
        if self == Self::In { Wide::Source } else { Wide::Destination }
    }
}

/// A ruleset of one table for each firewall.
pub(in crate::backend) fn ruleset(backend: &str, tables: Vec<(String, Vec<Chain>)>) -> Ruleset {
    let table = |(name, chains)| Table { family: TableFamily::Inet, name, dormant: false, chains, sets: Vec::new() };
    Ruleset { backend: backend.to_owned(), tables: tables.into_iter().map(table).collect(), unread: Vec::new() }
}

/// A chain that packets enter by themselves. What no line decides is dropped or goes on. Where something is denied, the machine's own loopback
/// and the answers to what was let through are not.
pub(in crate::backend) fn chain(name: &str, side: Side, drops: bool, lines: Vec<Line>) -> Chain {
    let hook = if side == Side::In { Hook::Input } else { Hook::Output };
    let base = Base { kind: ChainKind::Filter, hook, priority: 0, drops, devices: Vec::new() };
    let denies = |line: &Line| line.outcome != Outcome::Verdict(Verdict::Accept);
    let spared = if drops || lines.iter().any(denies) { vec![loopback(side), answers()] } else { Vec::new() };
    let lines = spared.into_iter().chain(lines).collect();
    Chain { name: name.to_owned(), handle: None, base: Some(base), lines }
}

/// No packet of the machine to itself comes to a firewall elsewhere.
fn loopback(side: Side) -> Line {
    let field = if side == Side::In { Wide::InInterface } else { Wide::OutInterface };
    let condition = Condition::Wide(field, Ranges::single(name_number("lo")));
    line("loopback, which it never sees", None, vec![condition], true)
}

fn answers() -> Line {
    let states = [ConnectionState::Established, ConnectionState::Related];
    let states = states.iter().map(|state| *state as u8).collect();
    line("answers to what was let through", None, vec![Condition::Narrow(Narrow::State, states)], true)
}

/// A line that accepts or drops.
pub(in crate::backend) fn line(text: &str, comment: Option<&str>, conditions: Vec<Condition>, accepts: bool) -> Line {
    Line {
        handle: None,
        comment: comment.map(str::to_owned),
        text: text.to_owned(),
        conditions,
        alters: Vec::new(),
        outcome: Outcome::Verdict(if accepts { Verdict::Accept } else { Verdict::Drop }),
    }
}

/// A line of which nobody knows what it does.
pub(in crate::backend) fn unread_line(text: &str) -> Line {
    Line { outcome: Outcome::Unread(text.to_owned()), ..line(text, None, Vec::new(), true) }
}

/// A condition that is not understood: of the same packet it always gives the same answer.
pub(in crate::backend) fn steady(field: &str, text: impl Into<String>) -> Condition {
    Condition::Unread(Unread { text: text.into(), field: Some(field.to_owned()) })
}

/// The packets of which an address is in one of the networks, a cell for each family that has one.
pub(in crate::backend) fn cells(field: Wide, nets: &[IpNet]) -> Vec<Cell> {
    let number = |address| match address {
        std::net::IpAddr::V4(v4) => u128::from(u32::from(v4)),
        std::net::IpAddr::V6(v6) => u128::from(v6),
    };
    let of = |v6: bool| {
        let own = nets.iter().filter(|net| matches!(net, IpNet::V6(_)) == v6);
        let ranges = Ranges::of(own.map(|net| (number(net.network()), number(net.broadcast()))));
        let family = Cell::all().with_narrow(Narrow::Family, Bits::single(u8::from(v6)));
        let all = Ranges::one(0, if v6 { u128::MAX } else { u128::from(u32::MAX) });
        match () {
            () if ranges.is_empty() => None,
            () if ranges == all => Some(family),
            () => Some(family.with_wide(field, ranges)),
        }
    };
    [of(false), of(true)].into_iter().flatten().collect()
}

/// The packets of a protocol; of ICMP those of the family that has it.
pub(in crate::backend) fn only(protocol: Protocol) -> Cell {
    let cell = Cell::all().with_narrow(Narrow::Protocol, Bits::single(protocol.0));
    match protocol {
        Protocol::ICMP => cell.with_narrow(Narrow::Family, Bits::single(0)),
        Protocol::ICMPV6 => cell.with_narrow(Narrow::Family, Bits::single(1)),
        _ => cell,
    }
}

/// Those of a cell that go from or to a port of these ranges; none of them is a later fragment.
pub(in crate::backend) fn ports(cell: Cell, field: Wide, ranges: impl IntoIterator<Item = (u16, u16)>) -> Cell {
    let ranges = ranges.into_iter().map(|(first, last)| (u128::from(first), u128::from(last)));
    cell.with_wide(field, Ranges::of(ranges)).with_narrow(Narrow::Fragment, Bits::single(0))
}

/// The packets of a type and code of ICMP.
pub(in crate::backend) fn icmp(protocol: Protocol, kind: Option<u8>, code: Option<u8>) -> Cell {
    let mut cell = only(protocol);
    for (field, value) in [(Narrow::IcmpType, kind), (Narrow::IcmpCode, code)] {
        if let Some(value) = value {
            cell = cell.with_narrow(field, Bits::single(value)).with_narrow(Narrow::Fragment, Bits::single(0));
        }
    }
    cell
}

/// The protocol of a name that clouds use, or of a number; nothing for all of them.
///
/// # Errors
/// The words for what it is not.
pub(in crate::backend) fn protocol_of(text: &str) -> Result<Option<Protocol>, String> {
    match text.to_ascii_lowercase().as_str() {
        "all" | "*" | "-1" => Ok(None),
        "ipip" => Ok(Some(Protocol(4))),
        name => name.parse().map(Some).map_err(|e: crate::packet::Malformed| e.to_string()),
    }
}
