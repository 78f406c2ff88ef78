use super::ruleset::{name_number, number_name};
use super::stray::address;
use super::{ConnectionState, Direction};
use crate::packet::{Cell, LOCAL, MacAddress, NO_MAC, NO_VLAN, Narrow, Protocol, UNICAST, Wide, usual_type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One packet on its way, with all that a rule can ask of it: one that begins a connection as it comes, before rules translate it; one of
/// a connection that is there as the filter hooks see it.
///
/// Written `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`: direction, interface (two for a forwarded packet), source,
/// destination, protocol, then flags, ICMP type (`8` or `3/4`), `fragment` for one without a transport header (ports, flags and type are
/// then what stands in its place, 0 where not said; `short` where nothing stands there), the state of its connection unless it is new,
/// `reply` for one from the side that did not begin it, `status assured,confirmed`, `mark 0x1`,
/// `ctmark 0x1` (the connection's), `smac 52:54:00:12:34:56`, `dmac …`, `stype local`, `dtype broadcast` (what an address is to this
/// host, where that is unusual), `vlan 5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub direction: Direction,
    pub interface_in: Option<String>,
    pub interface_out: Option<String>,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: Protocol,
    pub source_port: u16,
    pub destination_port: u16,
    pub icmp: (u8, u8),
    /// The byte of control bits: fin is 1, cwr 128.
    pub tcp_flags: u8,
    pub state: ConnectionState,
    pub mark: u32,
    pub fragment: bool,
    /// Of a later fragment: nothing of it is at hand where a transport header would be.
    pub short: bool,
    /// From the side that did not begin the connection.
    pub reply: bool,
    /// What the kernel notes of the connection, as [`Narrow::ConnectionStatus`] has it.
    pub status: u8,
    /// The mark of the connection.
    pub connection_mark: u32,
    pub source_mac: Option<MacAddress>,
    pub destination_mac: Option<MacAddress>,
    pub vlan: Option<u16>,
    /// What the addresses are to this host, where that is not what they usually are: a destination its own where the packet comes in to
    /// it, a source its own where it goes out, all others another host's.
    pub source_type: Option<u8>,
    pub destination_type: Option<u8>,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address that a number stands for in one family: 0 is IPv4.
pub fn address_of(family: u8, number: u128) -> IpAddr {
    match (family, u32::try_from(number)) {
        (0, Ok(bits)) => Ipv4Addr::from_bits(bits).into(),
        _ => Ipv6Addr::from_bits(number).into(),
    }
}

fn state_at(value: u8) -> ConnectionState {
    ConnectionState::ALL.get(usize::from(value)).copied().unwrap_or(ConnectionState::New)
}

fn name(value: u128) -> Option<String> {
    number_name(value)
}

impl Packet {
    /// A packet that begins a connection, with no interfaces, flags or marks.
    pub fn between(direction: Direction, source: SocketAddr, destination: SocketAddr, protocol: Protocol) -> Self {
        Self {
            direction,
            interface_in: None,
            interface_out: None,
            source: source.ip(),
            destination: destination.ip(),
            protocol,
            source_port: source.port(),
            destination_port: destination.port(),
            icmp: (0, 0),
            tcp_flags: 0,
            state: ConnectionState::New,
            mark: 0,
            fragment: false,
            short: false,
            reply: false,
            status: 0,
            connection_mark: 0,
            source_mac: None,
            destination_mac: None,
            vlan: None,
            source_type: None,
            destination_type: None,
        }
    }

    /// The type that an address of it usually has.
    fn usual(&self, field: Narrow) -> u8 {
        let (address, own) = match field {
            Narrow::SourceType => (self.source, self.direction == Direction::Output),
            _ => (self.destination, self.direction == Direction::Input),
        };
        usual_type(u8::from(self.source.is_ipv6()), number(address), if own { LOCAL } else { UNICAST })
    }

    /// The value of a wide field.
    pub fn wide(&self, field: Wide) -> u128 {
        let name = |name: &Option<String>| name.as_deref().map_or(0, name_number);
        match field {
            Wide::InInterface => name(&self.interface_in),
            Wide::OutInterface => name(&self.interface_out),
            Wide::Source => number(self.source),
            Wide::Destination => number(self.destination),
            Wide::SourcePort if self.reads_version() => u128::from(0x6000 | self.source_port & 0xfff),
            Wide::SourcePort => self.source_port.into(),
            Wide::DestinationPort => self.destination_port.into(),
            Wide::Mark => self.mark.into(),
            Wide::ConnectionMark => self.connection_mark.into(),
            Wide::SourceMac => self.source_mac.map_or(NO_MAC, MacAddress::to_number),
            Wide::DestinationMac => self.destination_mac.map_or(NO_MAC, MacAddress::to_number),
            Wide::Vlan => self.vlan.map_or(NO_VLAN, u128::from),
        }
    }

    /// The value of a narrow field.
    pub fn narrow(&self, field: Narrow) -> u8 {
        match field {
            Narrow::Family => u8::from(self.source.is_ipv6()),
            Narrow::Protocol => self.protocol.0,
            Narrow::State => self.state as u8,
            Narrow::Fragment if self.reads_version() => 1,
            Narrow::Fragment => u8::from(self.fragment) + u8::from(self.fragment && self.short),
            Narrow::TcpFlags if self.reads_version() => flags_of(number(self.source)),
            Narrow::TcpFlags => self.tcp_flags,
            Narrow::IcmpType if self.reads_version() => 0x60 | self.icmp.0 & 0xf,
            Narrow::IcmpType => self.icmp.0,
            Narrow::IcmpCode => self.icmp.1,
            Narrow::ConnectionDirection => u8::from(self.reply),
            Narrow::ConnectionStatus => self.status,
            Narrow::SourceType => self.source_type.unwrap_or_else(|| self.usual(field)),
            Narrow::DestinationType => self.destination_type.unwrap_or_else(|| self.usual(field)),
        }
    }

    /// Whether what reads a transport header reads the header of IPv6: of its later fragments ([`Cell::by_family`]).
    fn reads_version(&self) -> bool {
        self.fragment && self.source.is_ipv6()
    }

    /// Whether it is in a cell, unread conditions apart.
    pub fn is_in(&self, cell: &Cell) -> bool {
        Narrow::ALL.iter().all(|f| !cell.asks_narrow(*f) || cell.narrow(*f).contains(self.narrow(*f)))
            && Wide::ALL.iter().all(|f| !cell.asks_wide(*f) || cell.wide(*f).contains(self.wide(*f)))
    }

    /// The packet that its text stands for: what a text cannot say, such as the ports of a protocol that has none, is 0 in it. Nothing
    /// where the text stands for none.
    pub fn said(&self) -> Option<Self> {
        let mut said = self.clone();
        match self.direction {
            Direction::Input => said.interface_out = None,
            Direction::Output => said.interface_in = None,
            _ => {}
        }
        let names = [&said.interface_in, &said.interface_out].into_iter().flatten();
        let are_words =
            names.into_iter().all(|name| name != "-" && !name.is_empty() && !name.contains(char::is_whitespace));
        if !are_words || self.source.is_ipv4() != self.destination.is_ipv4() {
            return None;
        }
        if !self.protocol.has_ports() {
            (said.source_port, said.destination_port) = (0, 0);
        }
        if !matches!(self.protocol, Protocol::ICMP | Protocol::ICMPV6) {
            said.icmp = (0, 0);
        }
        if self.protocol != Protocol::TCP {
            said.tcp_flags = 0;
        }
        said.short &= self.fragment;
        Some(said)
    }

    /// A packet of a cell, the most ordinary one that is in it.
    pub fn from_cell(direction: Direction, cell: &Cell) -> Option<Self> {
        let family = cell.narrow(Narrow::Family).iter().next().filter(|family| *family < 2)?;
        let protocol = ordinary_narrow(cell, Narrow::Protocol, &[6, 17, if family == 0 { 1 } else { 58 }])?;
        let state = state_at(ordinary_narrow(cell, Narrow::State, &[0, 1])?);
        let flags: &[u8] = match (protocol, state) {
            (6, ConnectionState::Established) => &[16, 24, 18, 2],
            (6, _) => &[2, 16, 18, 24],
            _ => &[0],
        };
        let echo = if protocol == 58 { 128 } else { 8 };
        let (near, far) = addresses(family, direction);
        let fragment = ordinary_narrow(cell, Narrow::Fragment, &[0])?;
        let packet = Self {
            direction,
            interface_in: interface(cell, Wide::InInterface, direction != Direction::Output),
            interface_out: interface(cell, Wide::OutInterface, direction != Direction::Input),
            source: address_of(family, address(cell, Wide::Source, family, far)?),
            destination: address_of(family, address(cell, Wide::Destination, family, near)?),
            protocol: Protocol(protocol),
            source_port: ordinary(cell, Wide::SourcePort, 40000)?.try_into().ok()?,
            destination_port: ordinary(cell, Wide::DestinationPort, 22)?.try_into().ok()?,
            icmp: (ordinary_narrow(cell, Narrow::IcmpType, &[echo])?, ordinary_narrow(cell, Narrow::IcmpCode, &[0])?),
            tcp_flags: ordinary_narrow(cell, Narrow::TcpFlags, flags)?,
            state,
            mark: ordinary(cell, Wide::Mark, 0)?.try_into().ok()?,
            fragment: fragment > 0,
            short: fragment > 1,
            reply: ordinary_narrow(cell, Narrow::ConnectionDirection, &[0])? == 1,
            status: ordinary_narrow(cell, Narrow::ConnectionStatus, &[0, 14, 10])?,
            connection_mark: ordinary(cell, Wide::ConnectionMark, 0)?.try_into().ok()?,
            source_mac: MacAddress::from_number(ordinary(cell, Wide::SourceMac, NO_MAC)?),
            destination_mac: MacAddress::from_number(ordinary(cell, Wide::DestinationMac, NO_MAC)?),
            vlan: u16::try_from(ordinary(cell, Wide::Vlan, NO_VLAN)?).ok().filter(|id| u128::from(*id) < NO_VLAN),
            source_type: None,
            destination_type: None,
        };
        packet.with_flags_in(cell).with_types_in(cell)
    }

    fn with_types_in(mut self, cell: &Cell) -> Option<Self> {
        let other = |packet: &Self, field: Narrow| {
            if !cell.asks_narrow(field) {
                return Some(None);
            }
            let usual = packet.usual(field);
            Some(ordinary_narrow(cell, field, &[usual, UNICAST, LOCAL])?)
                .map(|kind| Some(kind).filter(|kind| *kind != usual))
        };
        (self.source_type, self.destination_type) =
            (other(&self, Narrow::SourceType)?, other(&self, Narrow::DestinationType)?);
        Some(self)
    }

    /// Of a later fragment of IPv6 the flags are a byte of its source: another source of the cell, where it has one with flags of it.
    fn with_flags_in(mut self, cell: &Cell) -> Self {
        if self.reads_version() && !cell.narrow(Narrow::TcpFlags).contains(self.narrow(Narrow::TcpFlags)) {
            let (own, mask) = (number(self.source), 0xff << FLAGS_SHIFT);
            let with = |flags: u8| own & !mask | u128::from(flags) << FLAGS_SHIFT;
            let found = cell.narrow(Narrow::TcpFlags).iter().map(with).find(|n| cell.wide(Wide::Source).contains(*n));
            self.source = found.map_or(self.source, |number| address_of(1, number));
        }
        self
    }
}

/// Where the sixth byte of a source is, which is the fourteenth of an IPv6 header, as the flags are of a TCP header.
const FLAGS_SHIFT: u32 = 128 - 6 * 8;

fn flags_of(source: u128) -> u8 {
    (source >> FLAGS_SHIFT & 0xff) as u8
}

/// Documentation addresses (RFC 5737, RFC 3849): of this host, and of the other side.
fn addresses(family: u8, direction: Direction) -> (u128, u128) {
    let (own, other) = match family {
        0 => (number(Ipv4Addr::new(198, 51, 100, 10).into()), number(Ipv4Addr::new(203, 0, 113, 9).into())),
        _ => (
            number(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10).into()),
            number(Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 9).into()),
        ),
    };
    if direction == Direction::Output { (other, own) } else { (own, other) }
}

fn ordinary(cell: &Cell, field: Wide, liked: u128) -> Option<u128> {
    let values = cell.wide(field);
    if values.contains(liked) {
        return Some(liked);
    }
    values.as_slice().first().map(|(first, _)| *first)
}

fn ordinary_narrow(cell: &Cell, field: Narrow, liked: &[u8]) -> Option<u8> {
    let values = cell.narrow(field);
    liked.iter().copied().find(|value| values.contains(*value)).or_else(|| values.iter().next())
}

/// The name of the interface, or nothing where the packet has none at all.
fn interface(cell: &Cell, field: Wide, there: bool) -> Option<String> {
    if !there {
        return None;
    }
    let values = cell.wide(field);
    let liked = ["eth0", "eth1", "eth2", "lo"].into_iter().find(|n| values.contains(name_number(n)));
    let first = || values.as_slice().iter().find_map(|(first, last)| name(*first).or_else(|| between(*first, *last)));
    liked.map(str::to_owned).or_else(first)
}

/// A printable name from a range that begins with an unprintable one.
fn between(first: u128, last: u128) -> Option<String> {
    (0..16).rev().map(|n| 8 * n).find_map(|shift| {
        let stem = (first >> shift).checked_add(1)?.checked_shl(shift).filter(|n| (*n >> shift) > (first >> shift))?;
        name(stem).filter(|_| stem > first && stem <= last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Bits, Ranges};
    use proptest::prelude::*;

    #[test]
    fn spellings_come_back() {
        for text in [
            "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn",
            "forward eth0 wan 10.0.0.1 > 198.51.100.10 icmp 3/4 related",
            "output eth0 [2001:db8::1]:5353 > [2001:db8::2]:53 udp established mark 0x1",
            "input - 10.0.0.1 > 10.0.0.2 tcp fragment",
            "forward a b 10.0.0.1:5 > 10.0.0.2:22 tcp fragment syn",
            "forward a b 10.0.0.1 > 10.0.0.2 icmp fragment short 3/4",
            "input lo 10.0.0.1:1 > 10.0.0.2:2 tcp none untracked",
            "input eth0 10.0.0.1:1 > 10.0.0.2:2 udp established reply status seen-reply,assured,confirmed mark 0x1 ctmark 0x2",
            "forward a b 10.0.0.1:1 > 10.0.0.2:2 udp smac 52:54:00:12:34:56 dmac 52:54:00:12:34:57 vlan 4095",
            "input eth0 10.0.0.1:1 > 10.0.0.255:2 udp stype local dtype broadcast",
        ] {
            assert_eq!(text.parse::<Packet>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn refusals_say_what_is_meant() {
        for (text, words) in [
            ("hello", "`hello` is not a packet like `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`"),
            ("input eth0 10.0.0.1 > ::1 tcp", "a packet from 10.0.0.1 cannot go to ::1"),
            ("input eth0 10.0.0.1:x > 10.0.0.2 tcp", "`10.0.0.1:x` is not an address with a port like 192.0.2.1:22"),
            (
                "input eth0 10.0.0.1 > 10.0.0.2 udp syn",
                "`syn` is no flag, ICMP type or connection state of a udp packet",
            ),
            (
                "input - ::1 > ::2 udp status new",
                "`new` is no status of a connection; one of expected, seen-reply, assured, confirmed, snat, dnat, dying is meant",
            ),
            ("input - ::1 > ::2 udp vlan 4096", "`4096` is not a VLAN from 0 to 4095"),
            ("input - ::1 > ::2 udp smac", "`` is not a hardware address like 52:54:00:12:34:56"),
            ("input - ::1 > ::2 udp dtype x", "`x` is no type of an address; local, unicast, broadcast, … are"),
            ("input - ::1 > ::2 udp ctmark x", "`x` is not a mark like 0x1 or 0x1/0xff"),
        ] {
            assert_eq!(text.parse::<Packet>().expect_err(text).to_string(), words);
        }
    }

    fn packets() -> impl Strategy<Value = Packet> {
        let name = || proptest::option::of(proptest::sample::select(vec!["eth0", "lo", "a b"]));
        let what = (0usize..3, proptest::sample::select(vec![1u8, 6, 17, 47, 58, 132]), any::<bool>(), any::<bool>());
        let numbers = (any::<u16>(), any::<u16>(), any::<(u8, u8)>(), any::<u8>(), 0u8..5, 0u8..128);
        (what, numbers, (name(), name()), (any::<u32>(), any::<u32>()), proptest::option::of(0u16..4096)).prop_map(
            |((direction, protocol, fragment, reply), numbers, (interface_in, interface_out), marks, vlan)| {
                let (source_port, destination_port, icmp, tcp_flags, state, status) = numbers;
                let mac = vlan.map(|_| "52:54:00:12:34:56".parse().expect("an address"));
                let end = |address: &str, port| std::net::SocketAddr::new(address.parse().expect("an address"), port);
                let to = if reply { "198.51.100.10" } else { "2001:db8::2" };
                let from = if protocol == 132 || reply { "203.0.113.9" } else { "2001:db8::1" };
                Packet {
                    interface_in: interface_in.map(str::to_owned),
                    interface_out: interface_out.map(str::to_owned),
                    icmp,
                    tcp_flags,
                    state: state_at(state),
                    mark: marks.0,
                    fragment,
                    reply,
                    status,
                    connection_mark: marks.1,
                    source_mac: mac,
                    destination_mac: mac,
                    vlan,
                    ..Packet::between(
                        Direction::ALL[direction],
                        end(from, source_port),
                        end(to, destination_port),
                        Protocol(protocol),
                    )
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_said_is_what_is_read_again(packet in packets()) {
            prop_assert_eq!(packet.to_string().parse().ok(), packet.said());
        }
    }

    #[test]
    fn an_example_is_ordinary_and_in_its_cell() {
        let any = Packet::from_cell(Direction::Input, &Cell::all()).expect("some packet");
        assert_eq!(any.to_string(), "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn");
        let of_state = |state: u8| Cell::all().with_narrow(Narrow::State, Bits::single(state));
        let there = Packet::from_cell(Direction::Input, &of_state(1)).expect("some packet");
        assert_eq!(there.to_string(), "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp ack established");
        let syn = of_state(1).with_narrow(Narrow::TcpFlags, Bits::single(2));
        assert_eq!(Packet::from_cell(Direction::Input, &syn).expect("some packet").tcp_flags, 2);
        let odd = Cell::all()
            .with_narrow(Narrow::Family, Bits::single(1))
            .with_wide(Wide::InInterface, Ranges::one(name_number("eth0") + 1, name_number("eth9")))
            .with_wide(Wide::DestinationPort, Ranges::one(8000, 8100));
        let packet = Packet::from_cell(Direction::Input, &odd).expect("some packet");
        assert!(packet.is_in(&odd), "{packet}");
        assert!(packet.to_string().contains("[2001:db8::10]:8000"), "{packet}");
    }
}
