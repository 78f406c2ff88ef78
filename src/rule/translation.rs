//! What a translation makes of where a packet goes.

use super::Packet;
use super::packet::address_of;
use crate::packet::{Cell, Wide};

/// The status of a connection with a translated destination, as [`Narrow::ConnectionStatus`](crate::packet::Narrow) has it.
pub const DNAT_STATUS: u8 = 32;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Landing {
    /// It stays.
    #[default]
    Kept,
    /// This one value, as a number of the field.
    To(u128),
    /// One of several values, or one that is not known.
    Open,
}

/// A translation: its words, and what it makes of the destination where it stands before the filter. What it makes of the source
/// comes after the filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Translation {
    pub text: String,
    pub address: Landing,
    pub port: Landing,
}

impl Translation {
    /// One that leaves the destination.
    pub fn of_source(text: String) -> Self {
        Self { text, address: Landing::Kept, port: Landing::Kept }
    }

    /// One of whose destination nothing is known.
    pub fn open(text: String) -> Self {
        Self { text, address: Landing::Open, port: Landing::Open }
    }

    /// Whether the destination may be another one behind it.
    pub fn turns(&self) -> bool {
        self.landing() != Turned::default()
    }

    /// Where packets go behind it.
    pub fn landing(&self) -> Turned {
        Turned { address: self.address, port: self.port }
    }
}

/// What has become of the destination of a packet on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Turned {
    pub address: Landing,
    pub port: Landing,
}

impl Turned {
    /// What has become of a field.
    pub fn of(&self, field: Wide) -> Landing {
        match field {
            Wide::Destination => self.address,
            Wide::DestinationPort => self.port,
            _ => Landing::Kept,
        }
    }

    /// Whether some of it is not known.
    pub fn is_open(&self) -> bool {
        self.address == Landing::Open || self.port == Landing::Open
    }

    /// Whether a packet goes elsewhere than it came for; only then its connection is noted as one with a translated destination
    /// (nf_nat_setup_info).
    pub fn moves(&self, packet: &Packet) -> bool {
        let moved = |field| matches!(self.of(field), Landing::To(number) if number != packet.wide(field));
        moved(Wide::Destination) || moved(Wide::DestinationPort)
    }

    /// As [`Turned::moves`] for every packet of a cell.
    pub fn moves_all(&self, cell: &Cell) -> bool {
        let moved = |field| matches!(self.of(field), Landing::To(number) if !cell.wide(field).contains(number));
        moved(Wide::Destination) || moved(Wide::DestinationPort)
    }

    /// A packet as it is behind the translation, its address of the same type; nothing where that is not known.
    pub fn packet(&self, packet: &Packet) -> Option<Packet> {
        let mut seen = packet.clone();
        match self.address {
            Landing::Kept => {}
            Landing::To(number) => seen.destination = address_of(u8::from(packet.source.is_ipv6()), number),
            Landing::Open => return None,
        }
        match self.port {
            Landing::Kept => {}
            Landing::To(port) => seen.destination_port = u16::try_from(port).ok()?,
            Landing::Open => return None,
        }
        seen.status |= if self.moves(packet) { DNAT_STATUS } else { 0 };
        Some(seen)
    }
}
