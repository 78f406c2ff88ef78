//! The one line of text that stands for a packet, both ways: what is printed is read again as the same packet.
//!
//! What a packet does not usually have is written only where it has it. Nothing here decides anything about a packet.

use super::{ConnectionState, Direction, Packet, TcpFlag};
use crate::packet::{Malformed, Protocol, address_type, address_type_word};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The names of the bits of [`Narrow::ConnectionStatus`], the lowest first.
const STATUS: [&str; 7] = ["expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "dying"];

fn with_port(f: &mut fmt::Formatter<'_>, address: IpAddr, port: Option<u16>) -> fmt::Result {
    match (address, port) {
        (_, None) => write!(f, "{address}"),
        (IpAddr::V4(v4), Some(port)) => write!(f, "{v4}:{port}"),
        (IpAddr::V6(v6), Some(port)) => write!(f, "[{v6}]:{port}"),
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports =
            self.protocol.has_ports() && (!self.fragment || (self.source_port, self.destination_port) != (0, 0));
        write!(f, "{}", self.direction)?;
        for (name, there) in [
            (&self.interface_in, self.direction != Direction::Output),
            (&self.interface_out, self.direction != Direction::Input),
        ] {
            if there {
                write!(f, " {}", name.as_deref().unwrap_or("-"))?;
            }
        }
        f.write_str(" ")?;
        with_port(f, self.source, ports.then_some(self.source_port))?;
        f.write_str(" > ")?;
        with_port(f, self.destination, ports.then_some(self.destination_port))?;
        write!(f, " {}", self.protocol)?;
        if self.fragment {
            f.write_str(if self.short { " fragment short" } else { " fragment" })?;
        }
        if self.protocol == Protocol::TCP && !(self.fragment && self.tcp_flags == 0) {
            write!(f, " {}", flag_words(self.tcp_flags))?;
        } else if matches!(self.protocol, Protocol::ICMP | Protocol::ICMPV6) && !(self.fragment && self.icmp == (0, 0))
        {
            match self.icmp {
                (kind, 0) => write!(f, " {kind}")?,
                (kind, code) => write!(f, " {kind}/{code}")?,
            }
        }
        if self.state != ConnectionState::New {
            write!(f, " {}", self.state)?;
        }
        self.write_rest(f)
    }
}

impl Packet {
    /// What most packets do not have.
    fn write_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reply {
            f.write_str(" reply")?;
        }
        if self.status != 0 {
            write!(f, " status {}", status_words(self.status))?;
        }
        for (name, mark) in [("mark", self.mark), ("ctmark", self.connection_mark)] {
            if mark != 0 {
                write!(f, " {name} {mark:#x}")?;
            }
        }
        for (name, mac) in [("smac", self.source_mac), ("dmac", self.destination_mac)] {
            if let Some(mac) = mac {
                write!(f, " {name} {mac}")?;
            }
        }
        for (name, kind) in [("stype", self.source_type), ("dtype", self.destination_type)] {
            if let Some(kind) = kind {
                write!(f, " {name} {}", address_type_word(kind))?;
            }
        }
        self.vlan.map_or(Ok(()), |id| write!(f, " vlan {id}"))
    }
}

/// What the kernel notes of a connection, as words: `assured,confirmed`, or `none`.
pub fn status_words(bits: u8) -> String {
    let on: Vec<_> = (0..7).filter(|bit| bits >> bit & 1 == 1).map(|bit: usize| STATUS[bit]).collect();
    if on.is_empty() { "none".to_owned() } else { on.join(",") }
}

fn status_bits(words: &str) -> Result<u8, Malformed> {
    let unknown = |word: &str| {
        Malformed(format!(
            "`{}` is no status of a connection; one of {} is meant",
            word.escape_debug(),
            STATUS.join(", ")
        ))
    };
    words.split(',').filter(|word| *word != "none").try_fold(0, |bits, word| {
        let bit = STATUS.iter().position(|name| *name == word).ok_or_else(|| unknown(word))?;
        Ok(bits | 1 << bit)
    })
}

/// The control bits as words: `syn,ack`, or `none`.
pub fn flag_words(bits: u8) -> String {
    let on: Vec<_> =
        TcpFlag::ALL.iter().filter(|flag| bits >> (**flag as u8) & 1 == 1).map(|flag| flag.as_str()).collect();
    if on.is_empty() { "none".to_owned() } else { on.join(",") }
}

fn type_of(word: &str) -> Result<u8, Malformed> {
    let bad =
        || Malformed(format!("`{}` is no type of an address; local, unicast, broadcast, … are", word.escape_debug()));
    address_type(word).ok_or_else(bad)
}

fn flag_bits(words: &str) -> Option<u8> {
    if words == "none" {
        return Some(0);
    }
    words.split(',').try_fold(0, |bits, word| Some(bits | 1 << (word.parse::<TcpFlag>().ok()? as u8)))
}

fn endpoint(text: &str) -> Result<(IpAddr, Option<u16>), Malformed> {
    let bad = || Malformed(format!("`{}` is not an address with a port like 192.0.2.1:22", text.escape_debug()));
    if let Ok(address) = text.parse() {
        return Ok((address, None));
    }
    let (address, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    Ok((bare.parse().map_err(|_| bad())?, Some(port.parse().map_err(|_| bad())?)))
}

impl FromStr for Packet {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let short = || {
            Malformed(format!(
                "`{}` is not a packet like `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`",
                text.escape_debug()
            ))
        };
        let (before, after) = text.split_once(" > ").ok_or_else(short)?;
        let mut words = before.split_whitespace();
        let direction: Direction = words.next().ok_or_else(short)?.parse()?;
        let mut interface = |there: bool| match there {
            true => words.next().map(|n| Some(n.to_owned()).filter(|n| n != "-")).ok_or_else(short),
            false => Ok(None),
        };
        let interface_in = interface(direction != Direction::Output)?;
        let interface_out = interface(direction != Direction::Input)?;
        let (source, source_port) = endpoint(words.next().filter(|_| words.next().is_none()).ok_or_else(short)?)?;
        let mut words = after.split_whitespace();
        let (destination, destination_port) = endpoint(words.next().ok_or_else(short)?)?;
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(Malformed(format!("a packet from {source} cannot go to {destination}")));
        }
        let protocol: Protocol = words.next().ok_or_else(short)?.parse()?;
        let (source, destination) = ((source, source_port.unwrap_or(0)), (destination, destination_port.unwrap_or(0)));
        let mut packet = Self {
            interface_in,
            interface_out,
            ..Self::between(direction, source.into(), destination.into(), protocol)
        };
        while let Some(word) = words.next() {
            packet.take(word, &mut words)?;
        }
        Ok(packet)
    }
}

impl Packet {
    fn take<'a>(&mut self, word: &str, more: &mut impl Iterator<Item = &'a str>) -> Result<(), Malformed> {
        let icmp = matches!(self.protocol, Protocol::ICMP | Protocol::ICMPV6);
        if word == "fragment" {
            self.fragment = true;
        } else if word == "short" && self.fragment {
            self.short = true;
        } else if word == "reply" {
            self.reply = true;
        } else if matches!(word, "mark" | "ctmark" | "status" | "smac" | "dmac" | "stype" | "dtype" | "vlan") {
            self.take_named(word, more.next().unwrap_or_default())?;
        } else if let Ok(state) = word.parse() {
            self.state = state;
        } else if let Some(kind) = icmp.then(|| word.parse::<crate::packet::IcmpType>().ok()).flatten() {
            self.icmp = (kind.kind, kind.code.unwrap_or(0));
        } else if let Some(bits) = flag_bits(word).filter(|_| self.protocol == Protocol::TCP) {
            self.tcp_flags = bits;
        } else {
            return Err(Malformed(format!(
                "`{}` is no flag, ICMP type or connection state of a {} packet",
                word.escape_debug(),
                self.protocol
            )));
        }
        Ok(())
    }

    fn take_named(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        match name {
            "mark" => self.mark = value.parse::<super::Mark>()?.value,
            "ctmark" => self.connection_mark = value.parse::<super::Mark>()?.value,
            "status" => self.status = status_bits(value)?,
            "smac" => self.source_mac = Some(value.parse()?),
            "dmac" => self.destination_mac = Some(value.parse()?),
            "stype" => self.source_type = Some(type_of(value)?),
            "dtype" => self.destination_type = Some(type_of(value)?),
            _ => {
                let id = value.parse().ok().filter(|id| *id < 4096);
                let bad = || Malformed(format!("`{}` is not a VLAN from 0 to 4095", value.escape_debug()));
                self.vlan = Some(id.ok_or_else(bad)?);
            }
        }
        Ok(())
    }
}
