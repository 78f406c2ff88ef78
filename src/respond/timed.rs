//! What a timed block is: the only thing that is ever done without a person.

use crate::packet::{AddressSpec, PortRange, Protocol, Widths};
use crate::record::{Id, Proposal};
use crate::rule::{Action, Direction, Rule};

/// A denial of all or some traffic from some addresses for a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimedBlock {
    pub address: AddressSpec,
    /// Any where it is `None`.
    pub protocol: Option<Protocol>,
    /// Destination ports; all where it is empty.
    pub ports: Vec<PortRange>,
    pub seconds: u64,
}

/// Why a proposal is no timed block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTimed {
    #[error("it holds no rules")]
    Empty,
    #[error("it changes what exists, and does not only add")]
    Changes,
    #[error("rule {rule}: {why}")]
    Rule { rule: Id, why: String },
}

/// The timed blocks that a proposal consists of, sorted and each once, or why it is something else. The same address to this host and through it is one
/// block: it holds before either.
///
/// # Errors
/// When any part of it is no timed block, or blocks more than `widths` allow.
pub fn timed_blocks(proposal: &Proposal, widths: &Widths) -> Result<Vec<TimedBlock>, NotTimed> {
    if !proposal.changes.is_empty() {
        return Err(NotTimed::Changes);
    }
    if proposal.rules.is_empty() {
        return Err(NotTimed::Empty);
    }
    let mut all = Vec::new();
    for rule in &proposal.rules {
        all.extend(of_rule(rule, widths).map_err(|why| NotTimed::Rule { rule: rule.id.clone(), why })?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn of_rule(rule: &Rule, widths: &Widths) -> Result<Vec<TimedBlock>, String> {
    let seconds = rule.ttl_seconds.filter(|seconds| *seconds > 0).ok_or("it has no end")?;
    if rule.action != Action::Drop {
        return Err(format!("it does not drop but {}", rule.action));
    }
    if rule.direction == Direction::Output {
        return Err("it is about what this host sends".into());
    }
    plain(rule)?;
    if rule.source_address.is_any() || rule.source_address.is_negated() {
        return Err("it does not name whom it blocks".into());
    }
    let protocols = protocols(rule)?;
    let mut found = Vec::new();
    for address in rule.source_address.items() {
        if let Some(words) = widths.exceeds(address) {
            return Err(words);
        }
        found.extend(protocols.iter().map(|protocol| TimedBlock {
            address: *address,
            protocol: *protocol,
            ports: sorted(rule.destination_port.items()),
            seconds,
        }));
    }
    Ok(found)
}

fn sorted(ports: &[PortRange]) -> Vec<PortRange> {
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Nothing but addresses, protocol and ports: every other condition is not what a block can say.
fn plain(rule: &Rule) -> Result<(), String> {
    let others = [
        (!rule.enabled, "enabled"),
        (!rule.family.is_any() && rule.source_address.items().iter().any(|a| family_differs(rule, a)), "family"),
        (!rule.interface_in.is_any(), "interface_in"),
        (!rule.interface_out.is_any(), "interface_out"),
        (!rule.destination_address.is_any(), "destination_address"),
        (!rule.source_port.is_any(), "source_port"),
        (!rule.icmp_type.is_any(), "icmp_type"),
        (!rule.connection_state.is_any(), "connection_state"),
        (rule.tcp_flags.is_some(), "tcp_flags"),
        (!rule.source_mac.is_any(), "source_mac"),
        (!rule.vlan.is_any(), "vlan"),
        (rule.mark.is_some(), "mark"),
        (rule.rate_limit.is_some(), "rate_limit"),
        (rule.nat.is_some(), "nat"),
        (rule.strict, "strict"),
        (rule.schedule.is_some(), "schedule"),
        (!rule.extra.is_empty(), "extra"),
    ];
    match others.iter().find(|(set, _)| *set) {
        Some((_, field)) => Err(format!("a timed block cannot say `{field}`")),
        None => Ok(()),
    }
}

fn family_differs(rule: &Rule, address: &AddressSpec) -> bool {
    rule.family.as_str() != address.family().to_string()
}

/// Each protocol for itself; `None` for any. Ports without a protocol mean tcp and udp.
fn protocols(rule: &Rule) -> Result<Vec<Option<Protocol>>, String> {
    if rule.protocol.is_negated() || rule.destination_port.is_negated() {
        return Err("it blocks all but something".into());
    }
    let ports = !rule.destination_port.is_any();
    let mut list: Vec<_> = rule.protocol.items().iter().copied().map(Some).collect();
    if list.is_empty() {
        list = if ports { vec![Some(Protocol::TCP), Some(Protocol::UDP)] } else { vec![None] };
    }
    match list.iter().flatten().find(|p| ports && !p.has_ports()) {
        Some(protocol) => Err(format!("{protocol} has no ports")),
        None => Ok(list),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub fn block(rules: &[Value]) -> Proposal {
        let rules: Vec<Value> = rules
            .iter()
            .map(|extra| {
                let mut rule = json!({
                    "id": "r1", "action": "drop", "direction": "input", "source_address": ["203.0.113.9"], "ttl_seconds": 600
                });
                rule.as_object_mut().expect("object").extend(extra.as_object().expect("object").clone());
                rule.as_object_mut().expect("object").retain(|_, value| !value.is_null());
                rule
            })
            .collect();
        serde_json::from_value(json!({ "id": "p1", "ts": "2026-01-02T03:04:05Z", "ok": true, "rules": rules }))
            .expect("a proposal")
    }

    #[test]
    fn one_address_to_and_through_the_host_is_one_block() {
        let both = block(&[json!({}), json!({ "direction": "forward" })]);
        let one =
            TimedBlock { address: "203.0.113.9".parse().expect("a"), protocol: None, ports: vec![], seconds: 600 };
        assert_eq!(timed_blocks(&both, &Widths::default()), Ok(vec![one]));
    }

    #[test]
    fn ports_without_a_protocol_are_tcp_and_udp() {
        let found =
            timed_blocks(&block(&[json!({ "destination_port": ["80", "22"] })]), &Widths::default()).expect("timed");
        let shown: Vec<_> = found.iter().map(|b| (b.protocol.map(|p| p.to_string()), b.ports.len())).collect();
        assert_eq!(shown, [(Some("tcp".to_owned()), 2), (Some("udp".to_owned()), 2)]);
        assert_eq!(found[0].ports[0], PortRange::single(22));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (extra, why) in [
            (json!({ "ttl_seconds": null }), "it has no end"),
            (json!({ "ttl_seconds": 0 }), "it has no end"),
            (json!({ "action": "accept" }), "it does not drop but accept"),
            (json!({ "direction": "output" }), "it is about what this host sends"),
            (json!({ "source_address": null }), "it does not name whom it blocks"),
            (json!({ "source_address": ["!203.0.113.9"] }), "it does not name whom it blocks"),
            (
                json!({ "source_address": ["203.0.0.0/16"] }),
                "203.0.0.0/16 is a /16, wider than the /24 that may be blocked without a person",
            ),
            (json!({ "protocol": ["!tcp"] }), "it blocks all but something"),
            (json!({ "protocol": ["icmp"], "destination_port": ["22"] }), "icmp has no ports"),
            (json!({ "interface_in": ["eth0"] }), "a timed block cannot say `interface_in`"),
            (json!({ "destination_address": ["198.51.100.1"] }), "a timed block cannot say `destination_address`"),
            (json!({ "family": "ipv6" }), "a timed block cannot say `family`"),
            (json!({ "enabled": false }), "a timed block cannot say `enabled`"),
            (json!({ "extra": { "x": 1 } }), "a timed block cannot say `extra`"),
            (json!({ "connection_state": ["new"] }), "a timed block cannot say `connection_state`"),
        ] {
            let error = timed_blocks(&block(&[json!({}), extra.clone()]), &Widths::default()).expect_err(why);
            assert_eq!(error.to_string(), format!("rule r1: {why}"), "{extra}");
        }
        assert_eq!(timed_blocks(&block(&[]), &Widths::default()), Err(NotTimed::Empty));
        let mut changing = block(&[json!({})]);
        changing.changes = serde_json::from_value(json!([{ "op": "remove", "target": "r9" }])).expect("changes");
        assert_eq!(timed_blocks(&changing, &Widths::default()), Err(NotTimed::Changes));
    }

    #[test]
    fn a_family_that_says_the_same_as_the_address_is_fine() {
        assert!(timed_blocks(&block(&[json!({ "family": "ipv4" })]), &Widths::default()).is_ok());
    }
}
