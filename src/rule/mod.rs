//! The vendor-neutral rule: what a person means by one line of a firewall.
//!
//! Every field is typed, so that a rule that was read holds no value that a packet cannot have and no text that could
//! leave its place in a backend's language. Nothing here knows a backend.

pub mod door;
pub mod doorway;
pub mod evaluate;
mod fields;
mod id;
mod limit;
mod list;
mod packet;
mod packet_text;
mod position;
pub mod ruleset;
mod schedule;
mod spelling;
mod stray;
mod tracking;
mod translation;
mod unread;
pub mod way;
pub mod wire;

pub use fields::{
    Action, ConnectionState, Direction, FamilyMatch, Log, LogLevel, LogPrefix, Mark, Nat, RejectWith, TcpFlag, TcpFlags,
};
pub use id::Id;
pub use limit::{Over, Per, RateLimit, Scope};
pub use list::OneOf;
pub use packet::{Packet, address_of};
pub use packet_text::{flag_words, status_words};
pub use position::Position;
pub use schedule::{ClockTime, Hours, Schedule, Weekday};
pub use translation::{DNAT_STATUS, Landing, Translation, Turned};
pub use unread::mark_bits;

use crate::packet::{AddressSpec, IcmpType, InterfacePattern, MacAddress, PortRange, Protocol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One rule. A packet matches when every list that is not empty holds the packet's value.
///
/// Unset fields are left out when written. `ttl_seconds`: seconds from the moment of deployment after which the rule ends by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Names the rule for ever; the kernel's comment carries it.
    pub id: Id,
    pub action: Action,
    /// Of a dnat or redirect `output` is what this host sends, the others what comes in; of a snat or masquerade it is what leaves.
    pub direction: Direction,
    #[serde(default, skip_serializing_if = "FamilyMatch::is_any")]
    pub family: FamilyMatch,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub interface_in: OneOf<InterfacePattern>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub interface_out: OneOf<InterfacePattern>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub source_address: OneOf<AddressSpec>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub destination_address: OneOf<AddressSpec>,
    /// Empty means any protocol; ports then mean tcp and udp.
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub protocol: OneOf<Protocol>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub source_port: OneOf<PortRange>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub destination_port: OneOf<PortRange>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub icmp_type: OneOf<IcmpType>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub connection_state: OneOf<ConnectionState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<TcpFlags>,
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub source_mac: OneOf<MacAddress>,
    /// VLAN ids, 0 to 4095.
    #[serde(default, skip_serializing_if = "OneOf::is_any")]
    pub vlan: OneOf<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Packets that match are also logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_with: Option<RejectWith>,
    /// Where dnat and redirect lead packets, and what snat and masquerade let them come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<Nat>,
    /// It takes every packet that matches, also of the ICMP without which hosts lose each other: a denial and a rate leave that alone
    /// otherwise.
    #[serde(default, skip_serializing_if = "is_no")]
    pub strict: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Position::is_auto")]
    pub position: Position,
    /// For people. No backend's text carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Matches that one backend alone knows; any other refuses the rule.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn is_no(value: &bool) -> bool {
    !*value
}

impl Rule {
    /// Whether it is a drop that says nothing of interfaces, source ports, types, states, hardware addresses, marks, rates, hours, log or place:
    /// what a block for a time can be.
    pub fn is_plain_drop(&self) -> bool {
        let matches = self.interface_in.is_any()
            && self.interface_out.is_any()
            && self.source_port.is_any()
            && self.icmp_type.is_any()
            && self.connection_state.is_any()
            && self.source_mac.is_any()
            && self.vlan.is_any()
            && self.tcp_flags.is_none()
            && self.mark.is_none()
            && self.extra.is_empty();
        let acts = self.action == Action::Drop
            && !self.strict
            && self.log.is_none()
            && self.rate_limit.is_none()
            && self.schedule.is_none();
        matches && acts && self.position == Position::Auto && self.priority.is_none()
    }

    /// A rule of `action` and `direction` that matches every packet.
    pub fn new(id: Id, action: Action, direction: Direction) -> Self {
        Self {
            id,
            action,
            direction,
            family: FamilyMatch::Any,
            interface_in: OneOf::any(),
            interface_out: OneOf::any(),
            source_address: OneOf::any(),
            destination_address: OneOf::any(),
            protocol: OneOf::any(),
            source_port: OneOf::any(),
            destination_port: OneOf::any(),
            icmp_type: OneOf::any(),
            connection_state: OneOf::any(),
            tcp_flags: None,
            source_mac: OneOf::any(),
            vlan: OneOf::any(),
            mark: None,
            rate_limit: None,
            log: None,
            reject_with: None,
            nat: None,
            strict: false,
            ttl_seconds: None,
            schedule: None,
            position: Position::Auto,
            comment: None,
            priority: None,
            enabled: true,
            extra: Map::new(),
        }
    }
}
