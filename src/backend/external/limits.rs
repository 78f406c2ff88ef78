//! What a rule needs of a backend, and the order in which rules are given to one.

use crate::backend::meaning::{self, Part, contradictions, part, refuse, twice};
use crate::backend::{Capability, Refused};
use crate::packet::{Family, Protocol};
use crate::rule::{Action, Direction, Position, Rule, Scope, TcpFlag};

/// The rules in the order in which they are to stand, each by itself: enabled, and without a place.
///
/// # Errors
/// Every contradiction, and every rule that needs what is not among `capabilities`; `name` is the backend's, for the words.
pub fn ordered(rules: &[Rule], capabilities: &[Capability], name: &str) -> Result<Vec<Rule>, Vec<Refused>> {
    let mut refused = twice(rules);
    let enabled = || rules.iter().filter(|rule| rule.enabled);
    refused.extend(enabled().flat_map(contradictions));
    refused.extend(enabled().flat_map(|rule| lacking(rule, capabilities, name)));
    refused.extend(disordered(rules, capabilities, name));
    let order = meaning::ordered(rules).unwrap_or_else(|why| {
        refused.push(why);
        Vec::new()
    });
    if !refused.is_empty() {
        return Err(refused);
    }
    let plain = |rule: &Rule| Rule { position: Position::Auto, priority: None, ..rule.clone() };
    Ok(order.into_iter().filter(|rule| rule.enabled).map(plain).collect())
}

/// Where the order of rules decides nothing, no rule may stand before one of the other verdict.
fn disordered(rules: &[Rule], capabilities: &[Capability], name: &str) -> Option<Refused> {
    let accepts = rules.iter().any(|rule| rule.enabled && rule.action == Action::Accept);
    let denial = rules.iter().find(|rule| rule.enabled && rule.action.denies())?;
    let why =
        format!("{name} has not the capability order: rules that accept and rules that deny cannot stand together");
    (accepts && !capabilities.contains(&Capability::Order)).then(|| refuse(denial, "action", denial.action, why))
}

/// A rule whose end AFO itself sees to, where the backend does not.
pub fn without_end(rule: &Rule, capabilities: &[Capability]) -> Rule {
    let timed = capabilities.contains(&Capability::Timed);
    Rule { ttl_seconds: rule.ttl_seconds.filter(|_| timed), ..rule.clone() }
}

/// What a rule needs and a backend has not.
pub(in crate::backend) fn lacking(rule: &Rule, capabilities: &[Capability], name: &str) -> Vec<Refused> {
    let missing = needs(rule).into_iter().filter(|(need, _, _)| need.is_none_or(|need| !capabilities.contains(&need)));
    let words = |(need, field, value): (Option<Capability>, &'static str, String)| {
        let why = match need {
            Some(need) => format!("{name} has not the capability {}", need.as_str()),
            None => format!("rules of {name} cannot say it; leave `{field}` out"),
        };
        refuse(rule, field, value, why)
    };
    missing.map(words).collect()
}

type Need = (Option<Capability>, &'static str, String);

/// What a rule needs, with the field and value that need it; nothing in place of a capability where no backend of its own program has it.
pub fn needs(rule: &Rule) -> Vec<Need> {
    verdict(rule).into_iter().chain(families(rule)).chain(matches(rule)).chain(extras(rule)).collect()
}

fn verdict(rule: &Rule) -> Vec<Need> {
    use Capability as C;
    let action = || rule.action.to_string();
    let act = match rule.action {
        Action::Accept => Some(C::Allow),
        Action::Drop => Some(C::Filter),
        Action::Reject => Some(C::Reject),
        Action::Log => Some(C::Log),
        Action::Dnat | Action::Snat | Action::Masquerade | Action::Redirect => Some(C::Nat),
    };
    let way = match rule.direction {
        Direction::Input => C::Input,
        Direction::Output => C::Output,
        Direction::Forward => C::Forward,
    };
    vec![(act, "action", action()), (Some(way), "direction", rule.direction.to_string())]
}

/// The family that a rule is of, where it is of one. A rule of both is had by a backend that sees one: of the other it sees no packet.
fn families(rule: &Rule) -> Vec<Need> {
    use Capability as C;
    let both = [(Family::Ipv4, C::Ipv4), (Family::Ipv6, C::Ipv6)];
    let seen: Vec<_> = both.into_iter().filter(|(family, _)| sees(rule, *family)).collect();
    match seen.as_slice() {
        [(family, need)] => vec![(Some(*need), "family", family.to_string())],
        _ => Vec::new(),
    }
}

/// Whether packets of a family can match.
fn sees(rule: &Rule, family: Family) -> bool {
    let families = meaning::families(rule);
    let foreign = if family == Family::Ipv4 { Protocol::ICMPV6 } else { Protocol::ICMP };
    let protocols = &rule.protocol;
    let foreign_alone =
        !protocols.is_any() && !protocols.is_negated() && protocols.items().iter().all(|protocol| *protocol == foreign);
    let addresses = [&rule.source_address, &rule.destination_address];
    (families.contains(&None) || families.contains(&Some(family)))
        && !foreign_alone
        && addresses.into_iter().all(|list| part(list, family) != Part::Nothing)
}

fn matches(rule: &Rule) -> Vec<Need> {
    use Capability as C;
    let mut needs = Vec::new();
    let mut ask = |asked: bool, need: Option<C>, field: &'static str, value: String| {
        if asked {
            needs.push((need, field, value));
        }
    };
    ask(!rule.interface_in.is_any(), Some(C::Interface), "interface_in", rule.interface_in.to_string());
    ask(!rule.interface_out.is_any(), Some(C::Interface), "interface_out", rule.interface_out.to_string());
    ask(!rule.source_port.is_any(), Some(C::SourcePort), "source_port", rule.source_port.to_string());
    ask(!rule.icmp_type.is_any(), Some(C::IcmpType), "icmp_type", rule.icmp_type.to_string());
    ask(!rule.connection_state.is_any(), Some(C::State), "connection_state", rule.connection_state.to_string());
    ask(!rule.source_mac.is_any(), Some(C::Mac), "source_mac", rule.source_mac.to_string());
    ask(!rule.vlan.is_any(), None, "vlan", rule.vlan.to_string());
    ask(rule.strict, None, "strict", rule.strict.to_string());
    ask(rule.mark.is_some(), Some(C::Mark), "mark", rule.mark.map(|mark| mark.to_string()).unwrap_or_default());
    if let Some(flags) = &rule.tcp_flags {
        let late = flags.mask.iter().any(|flag| matches!(flag, TcpFlag::Ece | TcpFlag::Cwr));
        let mask = flags.mask.iter().map(|flag| flag.as_str()).collect::<Vec<_>>().join(",");
        ask(true, Some(if late { C::EveryTcpFlag } else { C::TcpFlag }), "tcp_flags", mask);
    }
    needs
}

fn extras(rule: &Rule) -> Vec<Need> {
    use Capability as C;
    let mut needs: Vec<Need> = Vec::new();
    if let Some(limit) = &rule.rate_limit {
        let need = if limit.scope == Scope::Source { C::RatePerSource } else { C::Rate };
        needs.push((Some(need), "rate_limit", format!("{}/{}", limit.count, limit.per)));
    }
    if rule.log.is_some() && rule.action != Action::Log {
        needs.push((Some(C::Log), "log", String::new()));
    }
    needs.extend(rule.schedule.is_some().then(|| (Some(C::Hours), "schedule", String::new())));
    needs.extend(rule.nat.is_some().then(|| (Some(C::Nat), "nat", String::new())));
    needs.extend(rule.extra.keys().next().map(|key| (None, "extra", key.clone())));
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rule(fields: Value) -> Rule {
        let mut all = json!({"id": "r1", "action": "drop", "direction": "input"});
        all.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
        serde_json::from_value(all).expect("a rule")
    }

    fn refused(fields: Value, without: Capability) -> Vec<String> {
        let all: Vec<Capability> = Capability::ALL.iter().copied().filter(|own| *own != without).collect();
        let refused = ordered(&[rule(fields)], &all, "acme").err().unwrap_or_default();
        refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_not_declared_is_refused_with_the_reason() {
        use Capability as C;
        for (fields, without, words) in [
            (json!({}), C::Filter, "rule r1: action `drop`: acme has not the capability filter"),
            (json!({"action": "accept"}), C::Allow, "rule r1: action `accept`: acme has not the capability allow"),
            (
                json!({"direction": "forward"}),
                C::Forward,
                "rule r1: direction `forward`: acme has not the capability forward",
            ),
            (
                json!({"source_address": ["2001:db8::/32"], "family": "ipv6"}),
                C::Ipv6,
                "rule r1: family `ipv6`: acme has not the capability ipv6",
            ),
            (
                json!({"interface_in": ["eth0"]}),
                C::Interface,
                "rule r1: interface_in `eth0`: acme has not the capability interface",
            ),
            (
                json!({"connection_state": ["new"]}),
                C::State,
                "rule r1: connection_state `new`: acme has not the capability state",
            ),
            (
                json!({"rate_limit": {"count": 5, "per": "minute"}}),
                C::Rate,
                "rule r1: rate_limit `5/minute`: acme has not the capability rate",
            ),
            (json!({"vlan": ["20"]}), C::Switch, "rule r1: vlan `20`: rules of acme cannot say it; leave `vlan` out"),
        ] {
            assert_eq!(refused(fields.clone(), without), [words], "{fields}");
        }
        assert!(refused(json!({}), C::Log).is_empty());
        let both = [rule(json!({"id": "a", "action": "accept"})), rule(json!({"id": "b", "protocol": ["tcp"]}))];
        let refused = ordered(&both, &[C::Ipv4, C::Filter, C::Allow, C::Input], "acme").expect_err("no order");
        assert_eq!(
            refused[0].to_string(),
            "rule b: action `drop`: acme has not the capability order: rules that accept and rules that deny cannot stand together"
        );
    }

    #[test]
    fn rules_come_in_their_order_and_without_a_place() {
        let mut off = rule(json!({"id": "off", "vlan": ["20"]}));
        off.enabled = false;
        let rules = [
            rule(json!({"id": "last", "position": "last", "protocol": ["tcp"]})),
            rule(json!({"id": "first", "position": "first", "protocol": ["udp"]})),
            off,
        ];
        let order = ordered(&rules, Capability::ALL, "acme").expect("an order");
        assert_eq!(order.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["first", "last"]);
        assert!(order.iter().all(|rule| rule.position == Position::Auto));
    }

    #[test]
    fn an_end_is_the_backends_only_where_it_says_so() {
        let timed = rule(json!({"ttl_seconds": 60}));
        assert_eq!(without_end(&timed, &[]).ttl_seconds, None);
        assert_eq!(without_end(&timed, &[Capability::Timed]).ttl_seconds, Some(60));
    }
}
