//! What no change may cut off: the administrator's sessions, the management networks, the resolvers, loopback.

use super::backend::{Backend, OTHERS};
use crate::analyze::{Budget, Loss, losses};
use crate::cli::Failure;
use crate::cli::config::Config;
use crate::deploy::{Flow, added, first_hit};
use crate::packet::{AddressSpec, InterfacePattern, PortRange, Protocol};
use crate::record::{Context, Id, Rule, Session};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Action, Direction, OneOf};
use ipnet::IpNet;
use std::net::IpAddr;

/// Every flow that must survive, both ways of each.
pub fn flows(context: &Context, config: &Config) -> Vec<Flow> {
    let sessions = context.management.iter().flat_map(session);
    let networks = config.management.networks.iter().flat_map(|network| management(*network, &config.management.ports));
    let resolvers = context.resolvers.iter().filter(|address| !address.is_loopback()).flat_map(|a| resolver(*a));
    let gateways = context.routes.iter().filter_map(|route| route.gateway).filter(IpAddr::is_ipv4).flat_map(renewal);
    sessions.chain(networks).chain(resolvers).chain(gateways).chain(discovery(context)).collect()
}

/// What IPv6 cannot do without (RFC 4890, 4.3.1 and 4.4.1): neighbours and routers are found, and packets that are too big are told.
/// Nothing where this host has no address of IPv6 beyond its own link.
fn discovery(context: &Context) -> Vec<Flow> {
    let mut addresses = context.interfaces.iter().flat_map(|interface| &interface.addresses).map(IpNet::addr);
    let beyond = |address| matches!(address, IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local());
    let flow = |direction, icmp, what: &str| Flow {
        what: what.to_owned(),
        direction,
        source: None,
        destination: None,
        protocol: Protocol::ICMPV6,
        source_port: None,
        destination_port: None,
        icmp,
    };
    match addresses.any(beyond) {
        true => vec![
            flow(Direction::Input, &[2, 134, 135, 136], "the neighbour discovery of IPv6, without which it ends"),
            flow(Direction::Output, &[133, 135, 136], "the neighbour discovery of IPv6, without which it ends"),
        ],
        false => Vec::new(),
    }
}

/// Ports that a client takes for itself (Linux 32768 to 60999, RFC 6335 49152 to 65535).
fn ephemeral() -> Option<PortRange> {
    PortRange::new(32768, 65535).ok()
}

/// A flow towards this host and its answers.
fn both_ways(inbound: Flow) -> [Flow; 2] {
    let answers = Flow {
        what: format!("the answers to {}", inbound.what),
        direction: Direction::Output,
        source: inbound.destination,
        destination: inbound.source,
        protocol: inbound.protocol,
        source_port: inbound.destination_port,
        destination_port: inbound.source_port,
        icmp: &[],
    };
    [inbound, answers]
}

fn session(session: &Session) -> [Flow; 2] {
    both_ways(Flow {
        what: format!("the session from {} to port {}", session.source, session.port),
        direction: Direction::Input,
        source: Some(AddressSpec::single(session.source)),
        destination: session.destination.map(AddressSpec::single),
        protocol: session.protocol,
        source_port: ephemeral(),
        destination_port: Some(PortRange::single(session.port)),
        icmp: &[],
    })
}

fn management(network: AddressSpec, ports: &[u16]) -> Vec<Flow> {
    let flow = |port: &u16| {
        both_ways(Flow {
            what: format!("management from {network} on port {port}"),
            direction: Direction::Input,
            source: Some(network),
            destination: None,
            protocol: Protocol::TCP,
            source_port: ephemeral(),
            destination_port: Some(PortRange::single(*port)),
            icmp: &[],
        })
    };
    ports.iter().flat_map(flow).collect()
}

fn resolver(address: IpAddr) -> [Flow; 2] {
    let asked = Flow {
        what: format!("name resolution by {address}"),
        direction: Direction::Output,
        source: None,
        destination: Some(AddressSpec::single(address)),
        protocol: Protocol::UDP,
        source_port: ephemeral(),
        destination_port: Some(PortRange::single(53)),
        icmp: &[],
    };
    let answers = Flow {
        what: format!("the answers of the resolver {address}"),
        direction: Direction::Input,
        source: asked.destination,
        destination: None,
        source_port: asked.destination_port,
        destination_port: ephemeral(),
        ..asked.clone()
    };
    [asked, answers]
}

/// The renewal of this host's address, which its gateway usually gives (RFC 2131, 4.1: ports 67 and 68).
fn renewal(gateway: IpAddr) -> [Flow; 2] {
    both_ways(Flow {
        what: format!("the renewal of this host's address (DHCP) by the gateway {gateway}"),
        direction: Direction::Input,
        source: Some(AddressSpec::single(gateway)),
        destination: None,
        protocol: Protocol::UDP,
        source_port: Some(PortRange::single(67)),
        destination_port: Some(PortRange::single(68)),
        icmp: &[],
    })
}

/// Why one of `rules` would cut off what must survive: the rule, the flow, the way around.
pub fn lockout(rules: &[Rule], flows: &[Flow], allowed: &[Id]) -> Option<String> {
    let judged: Vec<Rule> = rules.iter().filter(|rule| !allowed.contains(&rule.id)).cloned().collect();
    let loopback = judged.iter().find(|rule| rule.enabled && rule.action.denies() && names_loopback(rule));
    if let Some(rule) = loopback {
        return Some(format!("rule {} would cut off loopback, which programs of this host talk over", rule.id));
    }
    let hit = first_hit(&judged, flows)?;
    let (id, what) = (&hit.rule.id, &hit.flow.what);
    Some(match hit.rule.action {
        action if action.leads() => format!("rule {id} would lead {what} elsewhere"),
        Action::Snat => format!("rule {id} would give {what} another source"),
        _ if hit.rule.rate_limit.is_some() => format!("rule {id} would limit {what}"),
        action => format!("rule {id} would {action} {what}"),
    })
}

/// Why a policy in place of another would cut off what must survive: a rule that is new in it, or what is left when others are gone.
pub fn endangered(
    backend: &dyn Backend,
    before: &[Rule],
    after: &[Rule],
    flows: &[Flow],
    allowed: &[Id],
) -> Option<String> {
    let alone = |rules: &[Rule]| backend.model(&Ruleset::default(), rules);
    lockout(&added(before, after), flows, allowed).or_else(|| cut_off(backend, alone, (before, after), flows, allowed))
}

/// Why the accepts that go would take away what must survive: one of them may be all that lets it through what others filter by, and where
/// nobody but the filter knows that, it is.
///
/// # Errors
/// When the live rules cannot be read.
pub fn uncovered(
    backend: &dyn Backend,
    before: &[Rule],
    after: &[Rule],
    flows: &[Flow],
    allowed: &[Id],
) -> Result<Option<String>, Failure> {
    let gone = added(after, before);
    let mut accepts = gone.iter().filter(|rule| rule.enabled && rule.action == Action::Accept);
    if accepts.all(|rule| allowed.contains(&rule.id)) {
        return Ok(None);
    }
    if let Some(why) = backend.contested(before)? {
        return Ok(Some(format!("whether the administrator stays connected is not known: {why}")));
    }
    let live = backend.live()?;
    let beside = |rules: &[Rule]| backend.closed(rules).unwrap_or_else(|| backend.model(&live, rules));
    Ok(cut_off(backend, beside, (before, after), flows, allowed))
}

/// The first flow that goes through a `model` of the policy before and not after, order, gaps and all.
fn cut_off(
    backend: &dyn Backend,
    model: impl Fn(&[Rule]) -> Result<Ruleset, String>,
    (before, after): (&[Rule], &[Rule]),
    flows: &[Flow],
    allowed: &[Id],
) -> Option<String> {
    if before == after {
        return None;
    }
    let ways: Vec<_> = flows.iter().map(|flow| (flow.direction, flow.packets())).collect();
    let found = model(before)
        .and_then(|before| Ok((before, model(after)?)))
        .and_then(|(before, after)| losses(&before, &after, &ways, Budget::default()));
    let found = match found {
        Ok(found) => found,
        Err(why) => return Some(format!("whether the administrator stays connected is not known: {why}")),
    };
    let may = |loss: &&Loss| !loss.rule.as_ref().is_some_and(|rule| allowed.iter().any(|id| id.as_str() == *rule));
    let loss = found.iter().find(may)?;
    let what = flows.get(loss.way).map_or("what must survive", |flow| flow.what.as_str());
    if loss.rule.as_deref().is_some_and(|rule| rule.starts_with(OTHERS)) {
        let words = "would be cut off: only a rule that goes is known to let it through";
        return Some(format!("{what} {words} {}", backend.place()));
    }
    let by = loss.rule.as_ref().map_or_else(|| format!("`{}`", loss.by), |rule| format!("rule {rule}"));
    let packet = loss.packet.as_ref().map(|packet| format!(", as {packet}")).unwrap_or_default();
    Some(format!("{what} would be cut off: {by} would then decide about it{packet}"))
}

fn names_loopback(rule: &Rule) -> bool {
    let names = |list: &OneOf<InterfacePattern>| !list.is_any() && list.matches(|pattern| pattern.matches("lo"));
    names(&rule.interface_in) || names(&rule.interface_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::deploy::backend::named;
    use crate::record::{Proposal, parse};

    fn rule(fields: &str) -> Vec<Rule> {
        let line = format!(
            r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{{"id":"r1",{fields}}}]}}"#
        );
        parse::<Proposal>(&line).expect(fields).rules
    }

    fn surroundings() -> Vec<Flow> {
        let context = parse::<Context>(
            r#"{"kind":"context","management":[{"source":"203.0.113.70","destination":"198.51.100.10","protocol":"tcp","port":22}],"resolvers":["192.0.2.53"],"routes":[{"destination":"default","gateway":"198.51.100.1"}]}"#,
        );
        let mut config = Config::default();
        config.management.networks = vec!["198.18.0.0/24".parse().expect("network")];
        flows(&context.expect("context"), &config)
    }

    #[test]
    fn each_refusal_names_rule_and_flow() {
        for (fields, words) in [
            (
                r#""action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]"#,
                "rule r1 would drop the session from 203.0.113.70 to port 22",
            ),
            (
                r#""action":"drop","direction":"output","destination_address":["203.0.113.0/24"]"#,
                "rule r1 would drop the answers to the session from 203.0.113.70 to port 22",
            ),
            (
                r#""action":"reject","direction":"input","source_address":["198.18.0.9"]"#,
                "rule r1 would reject management from 198.18.0.0/24 on port 22",
            ),
            (
                r#""action":"drop","direction":"output","destination_port":["53"]"#,
                "rule r1 would drop name resolution by 192.0.2.53",
            ),
            (
                r#""action":"drop","direction":"input","source_address":["198.51.100.1"]"#,
                "rule r1 would drop the renewal of this host's address (DHCP) by the gateway 198.51.100.1",
            ),
            (
                r#""action":"dnat","direction":"forward","protocol":["tcp"],"destination_port":["1-1023"],"nat":{"address":"10.0.0.5"}"#,
                "rule r1 would lead the session from 203.0.113.70 to port 22 elsewhere",
            ),
            (
                r#""action":"redirect","direction":"output","protocol":["udp"],"destination_port":["53"],"nat":{"port":"5353"}"#,
                "rule r1 would lead name resolution by 192.0.2.53 elsewhere",
            ),
            (
                r#""action":"snat","direction":"output","destination_port":["53"],"nat":{"address":"198.51.100.99"}"#,
                "rule r1 would give name resolution by 192.0.2.53 another source",
            ),
            (
                r#""action":"drop","direction":"input","interface_in":["lo"]"#,
                "rule r1 would cut off loopback, which programs of this host talk over",
            ),
        ] {
            assert_eq!(lockout(&rule(fields), &surroundings(), &[]).as_deref(), Some(words), "{fields}");
        }
    }

    fn policy(rules: &str) -> Vec<Rule> {
        let line = format!(r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}]}}"#);
        parse::<Proposal>(&line).expect(rules).rules
    }

    const SAVES: &str = r#"{"id":"r1","action":"accept","direction":"input","source_address":["198.18.0.0/24"],"protocol":["tcp"],"destination_port":["22"]}"#;
    const CLOSES: &str =
        r#"{"id":"r2","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#;

    #[test]
    fn what_saved_the_administrator_is_not_taken_away() {
        let before = policy(&format!("{SAVES},{CLOSES}"));
        let backend = named("nftables").expect("there is one");
        let words =
            |after: &str, allowed: &[Id]| endangered(backend, &before, &policy(after), &surroundings(), allowed);
        let cut =
            "management from 198.18.0.0/24 on port 22 would be cut off: rule r2 would then decide about it, as input";
        let narrower = SAVES.replace("198.18.0.0/24", "198.18.0.0/25");
        let last = SAVES.replace("\"id\"", "\"position\":\"last\",\"id\"");
        let off = SAVES.replace("\"id\"", "\"enabled\":false,\"id\"");
        let timed = SAVES.replace("\"id\"", "\"ttl_seconds\":600,\"id\"");
        for after in [
            CLOSES,
            &format!("{timed},{CLOSES}"),
            &format!("{narrower},{CLOSES}"),
            &format!("{CLOSES},{last}"),
            &format!("{off},{CLOSES}"),
        ] {
            let said = words(after, &[]).expect(after);
            assert!(said.starts_with(cut), "{after}: {said}");
            assert_eq!(words(after, &["r2".parse().expect("id")]), None, "{after}");
        }
        let wider = SAVES.replace("198.18.0.0/24", "198.18.0.0/16");
        for after in [SAVES, "", &format!("{wider},{CLOSES}"), &format!("{SAVES},{CLOSES}")] {
            assert_eq!(words(after, &[]), None, "{after}");
        }
    }

    #[test]
    fn ipv6_keeps_its_neighbours_where_it_is_there() {
        let context = |address: &str| {
            let line = format!(r#"{{"kind":"context","interfaces":[{{"name":"eth0","addresses":["{address}"]}}]}}"#);
            flows(&parse::<Context>(&line).expect("context"), &Config::default())
        };
        let block = rule(r#""action":"drop","direction":"input","protocol":["icmpv6"]"#);
        let said = lockout(&block, &context("2001:db8::10/64"), &[]);
        assert_eq!(said.as_deref(), Some("rule r1 would drop the neighbour discovery of IPv6, without which it ends"));
        for address in ["fe80::1/64", "192.0.2.1/24"] {
            assert_eq!(lockout(&block, &context(address), &[]), None, "{address}");
        }
    }

    #[test]
    fn what_was_allowed_by_name_passes() {
        let rules = rule(r#""action":"drop","direction":"input""#);
        assert_eq!(lockout(&rules, &surroundings(), &["r1".parse().expect("id")]), None);
    }
}
