//! The list of a project's firewall rules, read as what they do with the packets of one machine.
//!
//! Which network the machine is in, and which tags and accounts it and others have, is not in the list: rules that ask for it may or may not
//! hold.

use crate::backend::document::{
    Node, ReadError, Side, cells, chain, json_of, line, only, ports, protocol_of, ruleset, steady,
};
use crate::packet::{Cell, Wide};
use crate::rule::ruleset::{Condition, Line, Ruleset};
use ipnet::IpNet;
use serde_json::Value;
use std::collections::BTreeSet;

/// The number of a rule that gives none.
const USUAL: i64 = 1000;
const LAST: i64 = 65535;

/// The rules of a list: itself, or what a reply of the API has as `items`.
fn items(value: &Value) -> Option<&Vec<Value>> {
    value.as_array().or_else(|| value.get("items")?.as_array())
}

/// Whether a text is such a list.
pub(super) fn is_document(value: &Value) -> bool {
    let of_compute = |kind: &Value| kind.as_str().is_some_and(|kind| kind.starts_with("compute#firewall"));
    let is_rule = |rule: &Value| {
        rule.get("kind").is_some_and(of_compute)
            || rule.get("direction").is_some() && (rule.get("allowed").is_some() || rule.get("denied").is_some())
    };
    value.get("kind").is_some_and(of_compute) || items(value).and_then(|list| list.first()).is_some_and(is_rule)
}

/// Reads a list.
///
/// # Errors
/// When it is none, with the place of what is wrong.
pub(super) fn read(text: &str) -> Result<Ruleset, ReadError> {
    let value = json_of(text)?;
    let root = Node::root(&value);
    let list = if value.is_array() { root.items()? } else { root.list("items")? };
    let mut rules = list.iter().map(Firewall::read).collect::<Result<Vec<_>, _>>()?;
    // Of one number a denial comes first (VPC firewall rules, priority).
    rules.sort_by_key(|rule| (rule.priority, rule.accepts));
    let networks: BTreeSet<&str> = rules.iter().map(|rule| rule.network).collect();
    let of = |side: Side, drops: bool, name: &str| {
        let own = rules.iter().filter(|rule| rule.side == side && !rule.disabled);
        let lines = own.flat_map(|rule| rule.lines(networks.len() > 1));
        chain(name, side, drops, lines.collect())
    };
    let chains = vec![of(Side::In, true, "INGRESS"), of(Side::Out, false, "EGRESS")];
    Ok(ruleset("gcp", vec![("firewall-rules".to_owned(), chains)]))
}

/// One rule of the list.
struct Firewall<'a> {
    name: &'a str,
    network: &'a str,
    description: Option<&'a str>,
    priority: i64,
    side: Side,
    accepts: bool,
    disabled: bool,
    traffic: Vec<Cell>,
    /// The ways to be the other end: any of them holds.
    others: Vec<Vec<Condition>>,
    /// What more is asked, all of it.
    more: Vec<Condition>,
}

const KNOWN: [&str; 20] = [
    "allowed",
    "creationTimestamp",
    "denied",
    "description",
    "destinationRanges",
    "direction",
    "disabled",
    "enableLogging",
    "id",
    "kind",
    "logConfig",
    "name",
    "network",
    "priority",
    "selfLink",
    "sourceRanges",
    "sourceServiceAccounts",
    "sourceTags",
    "targetServiceAccounts",
    "targetTags",
];

impl<'a> Firewall<'a> {
    fn read(rule: &Node<'a>) -> Result<Self, ReadError> {
        let name = rule.text_of("name")?.unwrap_or("?");
        let side = match rule.text_of("direction")? {
            None | Some("INGRESS") => Side::In,
            Some("EGRESS") => Side::Out,
            Some(_) => {
                return Err(rule
                    .get("direction")
                    .unwrap_or_else(|| rule.clone())
                    .error("INGRESS or EGRESS is expected"));
            }
        };
        let priority = rule.number_of("priority")?.unwrap_or(USUAL);
        if !(0..=LAST).contains(&priority) {
            return Err(rule.error(format!("priority {priority} is not between 0 and {LAST}")));
        }
        let (accepts, entries) = match (rule.list("allowed")?, rule.list("denied")?) {
            (allowed, denied) if !allowed.is_empty() && denied.is_empty() => (true, allowed),
            (allowed, denied) if allowed.is_empty() && !denied.is_empty() => (false, denied),
            _ => return Err(rule.error("either `allowed` or `denied` is expected")),
        };
        Ok(Self {
            name,
            network: rule.text_of("network")?.unwrap_or("default"),
            description: rule.text_of("description")?.filter(|text| !text.is_empty()),
            priority,
            side,
            accepts,
            disabled: rule.flag_of("disabled")?,
            traffic: entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?.concat(),
            others: others(rule, side)?,
            more: more(rule, side)?,
        })
    }

    fn lines(&self, networks: bool) -> Vec<Line> {
        let word = if self.accepts { "allow" } else { "deny" };
        let text = format!("{} {} {word}", self.priority, self.name);
        let short = self.network.rsplit('/').next().unwrap_or(self.network);
        let network =
            networks.then(|| steady(&format!("network {short}"), format!("the machine is in the network {short}")));
        let of = |other: &Vec<Condition>| {
            let traffic = Condition::AnyOf(self.traffic.clone());
            let conditions = other.iter().cloned().chain([traffic]).chain(self.more.clone()).chain(network.clone());
            line(&text, self.description, conditions.collect(), self.accepts)
        };
        self.others.iter().map(of).collect()
    }
}

/// A protocol with its ports.
fn entry(entry: &Node) -> Result<Vec<Cell>, ReadError> {
    let name = entry.any(&["IPProtocol", "ipProtocol"]).ok_or_else(|| entry.error("IPProtocol is missing"))?;
    let protocol = protocol_of(name.text()?).map_err(|why| name.error(why))?;
    let Some(protocol) = protocol else { return Ok(vec![Cell::all()]) };
    let asked = entry.list("ports")?;
    if asked.is_empty() {
        return Ok(vec![only(protocol)]);
    }
    if !protocol.has_ports() {
        return Err(entry.error(format!("protocol {protocol} has no ports")));
    }
    let ranges = asked.iter().map(|port| port.parsed::<crate::packet::PortRange>()).collect::<Result<Vec<_>, _>>()?;
    let ranges = ranges.iter().map(|range| (range.first(), range.last()));
    Ok(vec![ports(only(protocol), Wide::DestinationPort, ranges)])
}

fn nets(rule: &Node, field: &str) -> Result<Vec<IpNet>, ReadError> {
    rule.list(field)?.iter().map(Node::net).collect()
}

/// Who the other end may be: ranges, or who has a tag or an account. Any address of IPv4 where nothing is said.
fn others(rule: &Node, side: Side) -> Result<Vec<Vec<Condition>>, ReadError> {
    let field = if side == Side::In { "sourceRanges" } else { "destinationRanges" };
    let ranges: Vec<IpNet> = nets(rule, field)?;
    let mut others = Vec::new();
    if !ranges.is_empty() {
        others.push(vec![Condition::AnyOf(cells(side.far(), &ranges))]);
    }
    for (field, what) in [("sourceTags", "tag"), ("sourceServiceAccounts", "service account")] {
        for member in rule.list(field)?.iter().filter(|_| side == Side::In) {
            let name = member.text()?;
            others.push(vec![steady(&format!("source {what} {name}"), format!("the source has the {what} {name}"))]);
        }
    }
    if others.is_empty() {
        let all = IpNet::from(ipnet::Ipv4Net::default());
        others.push(vec![Condition::AnyOf(cells(side.far(), &[all]))]);
    }
    Ok(others)
}

/// What is asked of the machine itself, and what is not understood.
fn more(rule: &Node, side: Side) -> Result<Vec<Condition>, ReadError> {
    let (field, near) = match side {
        Side::In => ("destinationRanges", Wide::Destination),
        Side::Out => ("sourceRanges", Wide::Source),
    };
    let own: Vec<IpNet> = nets(rule, field)?;
    let mut more: Vec<Condition> = Vec::new();
    more.extend((!own.is_empty()).then(|| Condition::AnyOf(cells(near, &own))));
    for (field, what) in [("targetTags", "tag"), ("targetServiceAccounts", "service account")] {
        let names = rule.list(field)?.iter().map(|name| name.text()).collect::<Result<Vec<_>, _>>()?;
        if !names.is_empty() {
            let names = names.join(" or ");
            more.push(steady(&format!("target {what} {names}"), format!("the machine has the {what} {names}")));
        }
    }
    more.extend(rule.strange(&KNOWN).map(|field| steady(&field, format!("`{field}` is not understood"))));
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fates(document: &str, packet: &str) -> (bool, bool) {
        crate::backend::document::fates(&super::super::GCP, document, packet)
    }

    const SSH: &str = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn";

    #[test]
    fn the_lowest_number_decides_and_of_one_a_denial() {
        let rule = |name: &str, priority: i64, fields: &str| {
            format!(r#"{{"name":"{name}","network":"default","direction":"INGRESS","priority":{priority},{fields}}}"#)
        };
        let allow = r#""allowed":[{"IPProtocol":"tcp","ports":["22","80-90"]}],"sourceRanges":["203.0.113.0/24"]"#;
        let deny = r#""denied":[{"IPProtocol":"all"}],"sourceRanges":["0.0.0.0/0"]"#;
        for (first, second, passes) in [(1000, 1000, false), (999, 1000, true), (1000, 999, false)] {
            let list = format!("[{},{}]", rule("a", first, allow), rule("d", second, deny));
            assert!(is_document(&serde_json::from_str(&list).expect("JSON")));
            assert_eq!(fates(&list, SSH), (passes, passes), "{first} {second}");
        }
        let alone = format!("[{}]", rule("a", 1000, allow));
        assert_eq!(fates(&alone, "input eth0 203.0.113.9:40000 > 198.51.100.10:23 tcp syn"), (false, false));
        assert_eq!(fates(&alone, "output eth0 198.51.100.10:40000 > 192.0.2.9:443 tcp syn"), (true, true));
        let off = alone.replace("\"priority\"", "\"disabled\":true,\"priority\"");
        assert_eq!(fates(&off, SSH), (false, false));
        let wrapped = format!("{{\"kind\":\"compute#firewallList\",\"items\":{alone}}}");
        assert_eq!(fates(&wrapped, SSH), (true, true));
    }

    #[test]
    fn tags_and_networks_are_unknown() {
        for fields in [
            r#""targetTags":["web"]"#,
            r#""sourceTags":["bastion"]"#,
            r#""targetServiceAccounts":["a@b"],"sourceRanges":["203.0.113.0/24"]"#,
            r#""newField":"x""#,
        ] {
            let list = format!(r#"[{{"name":"a","direction":"INGRESS","allowed":[{{"IPProtocol":"tcp"}}],{fields}}}]"#);
            assert_eq!(fates(&list, SSH), (false, true), "{fields}");
        }
        let one = r#"{"name":"a","network":"n/one","direction":"INGRESS","allowed":[{"IPProtocol":"tcp"}]}"#;
        let two = one.replace("one", "two").replace("allowed", "denied");
        assert_eq!(fates(&format!("[{one},{two}]"), SSH), (false, false));
        assert_eq!(fates(&format!("[{one},{}]", one.replace("one", "two")), SSH), (false, true));
    }

    #[test]
    fn errors_name_the_place() {
        for (rule, words) in [
            (r#"{"direction":"UP","allowed":[{"IPProtocol":"tcp"}]}"#, "[0].direction: INGRESS or EGRESS is expected"),
            (r#"{"direction":"INGRESS"}"#, "[0]: either `allowed` or `denied` is expected"),
            (
                r#"{"priority":70000,"allowed":[{"IPProtocol":"tcp"}]}"#,
                "[0]: priority 70000 is not between 0 and 65535",
            ),
            (r#"{"allowed":[{"IPProtocol":"icmp","ports":["8"]}]}"#, "[0].allowed[0]: protocol icmp has no ports"),
            (
                r#"{"allowed":[{"IPProtocol":"tcp","ports":["x"]}]}"#,
                "[0].allowed[0].ports[0]: `x`: `x` is not a port number",
            ),
            (
                r#"{"allowed":[{"IPProtocol":"tcp"}],"sourceRanges":["x"]}"#,
                "[0].sourceRanges[0]: `x`: invalid IP address syntax",
            ),
        ] {
            assert_eq!(read(&format!("[{rule}]")).expect_err(rule).to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(text in "\\PC{0,60}", protocol in "[a-z0-9]{0,5}", port in "[0-9-]{0,9}", net in "[0-9a-f.:/]{0,20}", priority in any::<i64>()) {
            let list = format!(r#"[{{"name":"a","priority":{priority},"direction":"EGRESS","denied":[{{"IPProtocol":"{protocol}","ports":["{port}"]}}],"destinationRanges":["{net}"]}}]"#);
            let _ = (read(&text), read(&format!("[{text}]")));
            if let Ok(ruleset) = read(&list) {
                prop_assert!(ruleset.lines().count() >= 2);
            }
        }
    }
}
