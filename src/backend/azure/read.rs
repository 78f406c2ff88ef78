//! A network security group, or a list of them, read as what they do with the packets of one machine.
//!
//! What a service tag stands for changes and is not in the document; but for the load balancer's, whose address is fixed, a tag may or may
//! not hold. So may application security groups, and of several groups whether the machine is behind each.

use super::{FIRST, LAST};
use crate::backend::document::{
    Node, ReadError, Side, cells, chain, json_of, line, only, ports, protocol_of, ruleset, steady,
};
use crate::packet::{Cell, PortRange, Wide};
use crate::rule::ruleset::{Chain, Condition, Line, Ruleset};
use ipnet::IpNet;
use serde_json::{Value, json};

/// Where the probes of the load balancer come from (virtual network service tags, AzureLoadBalancer).
const BALANCER: &str = "168.63.129.16/32";

/// The fields of a rule or a group: beside it, or under `properties` as the API has them.
fn inner<'a>(node: &Node<'a>) -> Node<'a> {
    node.get("properties").unwrap_or_else(|| node.clone())
}

fn is_group(value: &Value) -> bool {
    let of = |value: &Value| value.get("securityRules").is_some() || value.get("defaultSecurityRules").is_some();
    of(value) || value.get("properties").is_some_and(of)
}

/// The groups of a document: itself, a list, or what a reply of the API has as `value`.
fn groups<'a>(root: &Node<'a>) -> Result<Vec<Node<'a>>, ReadError> {
    match () {
        () if root.value.is_array() => root.items(),
        () if is_group(root.value) => Ok(vec![root.clone()]),
        () => root.list("value"),
    }
}

/// Whether a text is such a document.
pub(super) fn is_document(value: &Value) -> bool {
    is_group(value)
        || value
            .as_array()
            .or_else(|| value.get("value")?.as_array())
            .and_then(|list| list.first())
            .is_some_and(is_group)
}

/// Reads a document.
///
/// # Errors
/// When it is none, with the place of what is wrong.
pub(super) fn read(text: &str) -> Result<Ruleset, ReadError> {
    let value = json_of(text)?;
    let groups = groups(&Node::root(&value))?;
    if groups.is_empty() {
        return Err(Node::root(&value).error("there are no network security groups in it"));
    }
    let several = groups.len() > 1;
    let tables = groups.iter().map(|group| {
        let name = group.text_of("name")?.unwrap_or("?");
        let behind =
            several.then(|| steady(&format!("behind {name}"), format!("the machine is behind the group {name}")));
        Ok((format!("nsg {name}"), chains(group, behind.as_ref())?))
    });
    Ok(ruleset("azure", tables.collect::<Result<_, ReadError>>()?))
}

fn chains(group: &Node, behind: Option<&Condition>) -> Result<Vec<Chain>, ReadError> {
    let fields = inner(group);
    let mut rules = fields.list("securityRules")?.iter().map(Secured::read).collect::<Result<Vec<_>, _>>()?;
    let usual = usual();
    let defaults = match fields.list("defaultSecurityRules")? {
        list if list.is_empty() => Node::root(&usual).items()?,
        list => list,
    };
    rules.extend(defaults.iter().map(Secured::read).collect::<Result<Vec<_>, _>>()?);
    rules.sort_by_key(|rule| rule.priority);
    unique(&rules)?;
    let of = |side: Side, name: &str| {
        let own = rules.iter().filter(|rule| rule.side == side);
        let mut lines: Vec<Line> = own.flat_map(|rule| rule.lines.clone()).collect();
        lines.iter_mut().for_each(|line| line.conditions.extend(behind.cloned()));
        // The last of the default rules denies everything, where the machine is behind the group.
        chain(name, side, false, lines)
    };
    Ok(vec![of(Side::In, "Inbound"), of(Side::Out, "Outbound")])
}

fn unique(rules: &[Secured]) -> Result<(), ReadError> {
    let twice = rules
        .iter()
        .enumerate()
        .find(|(n, rule)| rules[..*n].iter().any(|other| other.side == rule.side && other.priority == rule.priority));
    match twice {
        Some((_, rule)) => {
            let cause = format!("two rules of one direction have the priority {}", rule.priority);
            Err(ReadError { place: rule.place.clone(), cause })
        }
        None => Ok(()),
    }
}

/// The default rules of every group (network security groups, default security rules).
fn usual() -> Value {
    let rule = |name: &str, priority: i64, direction: &str, access: &str, source: &str, destination: &str| {
        json!({
            "name": name, "priority": priority, "direction": direction, "access": access, "protocol": "*",
            "sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": destination,
            "destinationPortRange": "*",
        })
    };
    json!([
        rule("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
        rule("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
        rule("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
        rule("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
        rule("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
        rule("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
    ])
}

/// One rule of a group.
struct Secured {
    place: String,
    priority: i64,
    side: Side,
    lines: Vec<Line>,
}

const KNOWN: [&str; 26] = [
    "access",
    "description",
    "destinationAddressPrefix",
    "destinationAddressPrefixes",
    "destinationApplicationSecurityGroups",
    "destinationPortRange",
    "destinationPortRanges",
    "direction",
    "etag",
    "id",
    "name",
    "priority",
    "properties",
    "protocol",
    "provisioningState",
    "resourceGroup",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "sourceApplicationSecurityGroups",
    "sourcePortRange",
    "sourcePortRanges",
    "type",
    "kind",
    "location",
    "tags",
    "systemData",
];

impl Secured {
    fn read(rule: &Node) -> Result<Self, ReadError> {
        let fields = inner(rule);
        let name = rule.text_of("name")?.unwrap_or("?");
        let wanted = |field: &str| fields.get(field).ok_or_else(|| fields.error(format!("{field} is missing")));
        let word = |field: &str| Ok::<_, ReadError>((wanted(field)?.text()?.to_ascii_lowercase(), wanted(field)?));
        let priority = fields.number_of("priority")?.ok_or_else(|| fields.error("priority is missing"))?;
        if !(FIRST..=LAST).contains(&priority) && !(65000..=65500).contains(&priority) {
            return Err(fields.error(format!("priority {priority} is not between {FIRST} and {LAST}")));
        }
        let (direction, at) = word("direction")?;
        let side = match direction.as_str() {
            "inbound" => Side::In,
            "outbound" => Side::Out,
            _ => return Err(at.error("Inbound or Outbound is expected")),
        };
        let (access, at) = word("access")?;
        let accepts = match access.as_str() {
            "allow" => true,
            "deny" => false,
            _ => return Err(at.error("Allow or Deny is expected")),
        };
        let traffic = Condition::AnyOf(vec![traffic(&fields)?]);
        let strange = fields.strange(&KNOWN).map(|field| steady(&field, format!("`{field}` is not understood")));
        let text = format!("{priority} {name} {access}");
        let comment = fields.text_of("description")?.filter(|text| !text.is_empty());
        let mut lines = Vec::new();
        for source in ends(&fields, "source", Wide::Source)? {
            for destination in ends(&fields, "destination", Wide::Destination)? {
                let conditions =
                    source.iter().cloned().chain(destination).chain([traffic.clone()]).chain(strange.clone());
                lines.push(line(&text, comment, conditions.collect(), accepts));
            }
        }
        Ok(Self { place: rule.place.clone(), priority, side, lines })
    }
}

/// The protocol and the ports of a rule. Azure asks for ports of every protocol, and of one without ports they are not there.
fn traffic(fields: &Node) -> Result<Cell, ReadError> {
    let name = fields.get("protocol").ok_or_else(|| fields.error("protocol is missing"))?;
    let protocol = protocol_of(name.text()?).map_err(|why| name.error(why))?;
    let mut cell = protocol.map_or_else(Cell::all, only);
    for (side, field) in [("source", Wide::SourcePort), ("destination", Wide::DestinationPort)] {
        if let Some(ranges) = ranges(fields, side)? {
            if protocol.is_some_and(|protocol| !protocol.has_ports()) {
                return Err(fields.error(format!("a protocol without ports has a {side} port")));
            }
            cell = ports(cell, field, ranges);
        }
    }
    Ok(cell)
}

/// The values of a field that is one text, or a list under another name, or both.
fn values<'a>(fields: &Node<'a>, one: &str, list: &str) -> Result<Vec<Node<'a>>, ReadError> {
    let mut all: Vec<Node> = fields.get(one).into_iter().filter(|node| node.value.as_str() != Some("")).collect();
    all.extend(fields.list(list)?);
    Ok(all)
}

/// Ranges of ports; nothing for any.
fn ranges(fields: &Node, side: &str) -> Result<Option<Vec<(u16, u16)>>, ReadError> {
    let values = values(fields, &format!("{side}PortRange"), &format!("{side}PortRanges"))?;
    if values.is_empty() || values.iter().any(|value| value.value.as_str() == Some("*")) {
        return Ok(None);
    }
    let parsed = values.iter().map(|value| value.parsed::<PortRange>()).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(parsed.iter().map(|range| (range.first(), range.last())).collect()))
}

/// Who an end may be: each of these alone is enough, and each is a list of conditions.
fn ends(fields: &Node, side: &str, field: Wide) -> Result<Vec<Vec<Condition>>, ReadError> {
    let values = values(fields, &format!("{side}AddressPrefix"), &format!("{side}AddressPrefixes"))?;
    let (mut nets, mut ends) = (Vec::new(), Vec::new());
    for value in &values {
        match value.text()? {
            "*" | "Any" => return Ok(vec![Vec::new()]),
            "AzureLoadBalancer" => nets.extend(BALANCER.parse::<IpNet>().ok()),
            text if text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(':') => nets.push(value.net()?),
            tag => {
                ends.push(vec![steady(&format!("{side} tag {tag}"), format!("the {side} is of the service tag {tag}"))])
            }
        }
    }
    for group in fields.list(&format!("{side}ApplicationSecurityGroups"))? {
        let id = group.text_of("id")?.unwrap_or("?");
        let name = id.rsplit('/').next().unwrap_or(id);
        let text = format!("the {side} is in the application security group {name}");
        ends.push(vec![steady(&format!("{side} group {id}"), text)]);
    }
    if !nets.is_empty() {
        ends.push(vec![Condition::AnyOf(cells(field, &nets))]);
    }
    match ends.is_empty() {
        true => Err(fields.error(format!("{side}AddressPrefix is missing"))),
        false => Ok(ends),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fates(document: &str, packet: &str) -> (bool, bool) {
        crate::backend::document::fates(&super::super::AZURE, document, packet)
    }

    fn rule(name: &str, priority: i64, more: &str) -> String {
        format!(
            r#"{{"name":"{name}","priority":{priority},"direction":"Inbound","sourcePortRange":"*","destinationAddressPrefix":"*",{more}}}"#
        )
    }

    const ALLOW: &str =
        r#""access":"Allow","protocol":"Tcp","sourceAddressPrefix":"203.0.113.0/24","destinationPortRange":"22""#;
    const DENY: &str = r#""access":"Deny","protocol":"*","sourceAddressPrefix":"*","destinationPortRange":"*""#;
    const SSH: &str = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn";
    const WEB: &str = "input eth0 203.0.113.9:40000 > 198.51.100.10:80 tcp syn";

    fn group(rules: &str) -> String {
        format!(r#"{{"name":"nsg1","securityRules":[{rules}]}}"#)
    }

    #[test]
    fn the_lowest_number_decides_and_the_default_rules_come_last() {
        let both = |first, second| group(&format!("{},{}", rule("a", first, ALLOW), rule("d", second, DENY)));
        assert_eq!(fates(&both(100, 200), SSH), (true, true));
        assert_eq!(fates(&both(200, 100), SSH), (false, false));
        assert_eq!(fates(&both(100, 200), WEB), (false, false));
        let open = group(&rule("a", 100, ALLOW));
        assert_eq!(fates(&open, SSH), (true, true));
        // Whether it comes from the virtual network is not known.
        assert_eq!(fates(&open, WEB), (false, true));
        assert_eq!(fates(&open, "input eth0 168.63.129.16:40000 > 198.51.100.10:80 tcp syn"), (true, true));
        let arm = format!(
            r#"[{{"name":"n","properties":{{"securityRules":[{{"name":"d","properties":{}}}]}}}}]"#,
            rule("d", 100, DENY)
        );
        assert!(is_document(&serde_json::from_str(&arm).expect("JSON")));
        assert_eq!(fates(&arm, SSH), (false, false));
        let two = format!("[{},{}]", both(100, 200), both(200, 100).replace("nsg1", "nsg2"));
        assert_eq!(fates(&two, SSH), (true, false), "behind none of them it passes; behind both it does not");
    }

    #[test]
    fn tags_and_groups_are_unknown() {
        for source in [
            r#""sourceAddressPrefix":"Internet""#,
            r#""sourceApplicationSecurityGroups":[{"id":"/x/asg1"}]"#,
            r#""sourceAddressPrefix":"203.0.113.0/24","newField":1"#,
        ] {
            let all = rule("d", 4096, DENY);
            let odd =
                rule("a", 100, &format!(r#""access":"Allow","protocol":"*","destinationPortRange":"*",{source}"#));
            assert_eq!(fates(&group(&format!("{odd},{all}")), SSH), (false, true), "{source}");
        }
        let lists = rule(
            "a",
            100,
            r#""access":"Allow","protocol":"Tcp","sourceAddressPrefixes":["192.0.2.0/24","203.0.113.9"],"destinationPortRanges":["80","20-30"]"#,
        );
        assert_eq!(fates(&group(&lists), SSH), (true, true));
    }

    #[test]
    fn errors_name_the_place() {
        for (more, priority, words) in [
            (ALLOW.replace("Allow", "Maybe"), 100, "securityRules[0].access: Allow or Deny is expected"),
            (ALLOW.to_owned(), 99, "securityRules[0]: priority 99 is not between 100 and 4096"),
            (
                ALLOW.replace("\"22\"", "\"x\""),
                100,
                "securityRules[0].destinationPortRange: `x`: `x` is not a port number",
            ),
            (ALLOW.replace("Tcp", "Icmp"), 100, "securityRules[0]: a protocol without ports has a destination port"),
            (
                ALLOW.replace("203.0.113.0/24", "203.0.113.0/99"),
                100,
                "securityRules[0].sourceAddressPrefix: `203.0.113.0/99`: invalid IP address syntax",
            ),
        ] {
            assert_eq!(read(&group(&rule("a", priority, &more))).expect_err("refused").to_string(), words);
        }
        let twice = group(&format!("{},{}", rule("a", 100, ALLOW), rule("b", 100, DENY)));
        assert_eq!(
            read(&twice).expect_err("twice").to_string(),
            "securityRules[1]: two rules of one direction have the priority 100"
        );
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(text in "\\PC{0,60}", protocol in "[A-Za-z0-9*]{0,5}", port in "[0-9*-]{0,9}", net in "[0-9a-fA-Z.:/*]{0,20}", priority in 90i64..110) {
            let odd = rule("a", priority, &format!(r#""access":"Deny","protocol":"{protocol}","sourceAddressPrefix":"{net}","destinationPortRange":"{port}""#));
            let _ = (read(&text), read(&group(&text)));
            if let Ok(ruleset) = read(&group(&odd)) {
                prop_assert!(ruleset.lines().count() >= 8);
            }
        }
    }
}
