//! What a parser found in a line, borrowed from it: an event before it is written.
//!
//! A parser allocates nothing; text that stays text (a user name, a prefix) is bytes until the writer escapes it.

use super::json::lossy;
use crate::packet::Protocol;
use crate::record::{Event, Id, Severity, Timestamp};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What kind of thing was seen: the `event_type` of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Somebody could not show who he is.
    AuthFailure,
    AuthSuccess,
    /// A login name that does not exist or may not log in.
    InvalidUser,
    /// A connection ended before anybody was authenticated.
    PreauthDisconnect,
    /// What came in was not the protocol.
    ProtocolError,
    /// A privilege was asked for and not given.
    SudoAbuse,
    /// A packet from outside that opens something, logged by the firewall.
    PortProbe,
    /// Any other packet that the firewall logged.
    Flow,
    /// A list says that an address is bad.
    KnownBadIp,
}

impl Kind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthFailure => "auth_failure",
            Self::AuthSuccess => "auth_success",
            Self::InvalidUser => "invalid_user",
            Self::PreauthDisconnect => "preauth_disconnect",
            Self::ProtocolError => "protocol_error",
            Self::SudoAbuse => "sudo_abuse",
            Self::PortProbe => "port_probe",
            Self::Flow => "flow",
            Self::KnownBadIp => "known_bad_ip",
        }
    }

    /// How bad one such thing is by itself.
    pub const fn severity(self) -> Severity {
        match self {
            Self::AuthFailure | Self::InvalidUser | Self::SudoAbuse | Self::KnownBadIp => Severity::Medium,
            _ => Severity::Low,
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attribute<'a> {
    /// A word of ours.
    Word(&'static str),
    /// Text from outside.
    Text(&'a [u8]),
    Number(u64),
    Flag(bool),
}

impl Attribute<'_> {
    fn to_value(self) -> Value {
        match self {
            Self::Word(word) => word.into(),
            Self::Text(text) => lossy(text).into(),
            Self::Number(number) => number.into(),
            Self::Flag(flag) => flag.into(),
        }
    }
}

/// The most attributes that one sighting carries.
const ROOM: usize = 8;

/// Named values in the order in which they were set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attributes<'a> {
    items: [(&'static str, Attribute<'a>); ROOM],
    len: usize,
}

impl<'a> Attributes<'a> {
    const EMPTY: Self = Self { items: [("", Attribute::Flag(false)); ROOM], len: 0 };

    /// Sets an attribute that was not set before. Beyond the room for them all it is left out; no parser sets so many.
    pub fn set(&mut self, name: &'static str, value: Attribute<'a>) {
        debug_assert!(self.len < ROOM, "no room for the attribute {name}");
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = (name, value);
            self.len += 1;
        }
    }

    /// The attributes that are set.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Attribute<'a>)> + '_ {
        self.items[..self.len].iter().copied()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What a line says, before it has an id and a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting<'a> {
    pub ts: Timestamp,
    pub kind: Kind,
    pub source_ip: Option<IpAddr>,
    pub destination_ip: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub port: Option<u16>,
    pub protocol: Option<Protocol>,
    pub user: Option<&'a [u8]>,
    /// How many occurrences it stands for, from 1.
    pub count: u64,
    pub attributes: Attributes<'a>,
}

impl<'a> Sighting<'a> {
    /// A sighting of `kind` at `ts` that says nothing else yet.
    pub fn new(ts: Timestamp, kind: Kind) -> Self {
        Self {
            ts,
            kind,
            source_ip: None,
            destination_ip: None,
            source_port: None,
            port: None,
            protocol: None,
            user: None,
            count: 1,
            attributes: Attributes::EMPTY,
        }
    }

    /// The same as a record. The hot path writes it without this (`json::Writer`); a test holds the two equal.
    pub fn to_event(&self, id: Id, seen: Option<Timestamp>, source: &str, raw: &[u8]) -> Event {
        let attributes: Map<String, Value> =
            self.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect();
        Event {
            id,
            ts: self.ts,
            seen,
            source: source.to_owned(),
            event_type: self.kind.as_str().to_owned(),
            severity: self.kind.severity(),
            source_ip: self.source_ip,
            destination_ip: self.destination_ip,
            source_port: self.source_port,
            port: self.port,
            protocol: self.protocol,
            user: self.user.map(lossy),
            count: (self.count > 1).then_some(self.count),
            attributes,
            raw: Some(lossy(super::json::cut(raw))),
            run: None,
        }
    }
}
