//! Which proposed rules become elements of AFO's block sets: drops of addresses for a time that say nothing else.
//!
//! The same decision as that of the backend which writes them; a test holds the two together.

use crate::packet::{AddressSpec, PortRange};
use crate::rule::{Direction, OneOf, Rule};

/// A rule of more port bans than this is a rule.
const MOST: usize = 64;

/// Whether a rule drops addresses for a time and says nothing else: an element of the block sets.
pub fn is_ban(rule: &Rule) -> bool {
    let source = !rule.source_address.is_any() && rule.destination_address.is_any();
    let destination = !rule.destination_address.is_any() && rule.source_address.is_any();
    let ported = !rule.destination_port.is_any() || !rule.protocol.is_any();
    rule.ttl_seconds.is_some()
        && rule.is_plain_drop()
        && match rule.direction {
            Direction::Input if source && ported => is_port_ban(rule),
            _ if ported => false,
            Direction::Input | Direction::Forward if source => are_networks(&rule.source_address),
            Direction::Output | Direction::Forward if destination => are_networks(&rule.destination_address),
            _ => false,
        }
}

fn are_networks(list: &OneOf<AddressSpec>) -> bool {
    let is_network = |address: &AddressSpec| matches!(address, AddressSpec::Net(net) if net.prefix_len() > 0);
    !list.is_negated() && list.items().iter().all(is_network)
}

/// Single addresses and ports, all of them listed.
fn is_port_ban(rule: &Rule) -> bool {
    let lists = [rule.source_address.is_negated(), rule.protocol.is_negated(), rule.destination_port.is_negated()];
    let (sources, ports) = (rule.source_address.items(), rule.destination_port.items());
    let single = |port: &PortRange| port.as_single().is_some();
    let protocols = if rule.protocol.is_any() { 2 } else { rule.protocol.items().len() };
    let count = sources.len().saturating_mul(ports.len()).saturating_mul(protocols);
    !lists.contains(&true)
        && !ports.is_empty()
        && count <= MOST
        && sources.iter().all(|address| address.as_single().is_some())
        && ports.iter().all(single)
}
