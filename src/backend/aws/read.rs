//! `describe-security-groups`, read as what the groups do with the packets of one interface that has them.
//!
//! Of a document with several groups it is not known which of them an interface has: what only some accept is unknown.

use crate::backend::document::{
    Node, ReadError, Side, cells, chain, icmp, json_of, line, only, ports, protocol_of, ruleset, steady, unread_line,
};
use crate::packet::{Protocol, Wide};
use crate::rule::ruleset::{Chain, Condition, Line, Ruleset};
use serde_json::Value;

/// Whether a text is such a document.
pub(super) fn is_document(value: &Value) -> bool {
    value.get("SecurityGroups").is_some()
}

/// Reads a document.
///
/// # Errors
/// When it is none, with the place of what is wrong.
pub(super) fn read(text: &str) -> Result<Ruleset, ReadError> {
    let value = json_of(text)?;
    let groups = Node::root(&value).list("SecurityGroups")?;
    if groups.is_empty() {
        return Err(Node::root(&value).error("there are no security groups in it"));
    }
    let sides = [("ingress", "IpPermissions", Side::In), ("egress", "IpPermissionsEgress", Side::Out)];
    let chains = sides.into_iter().map(|(name, field, side)| group_chain(&groups, name, field, side));
    Ok(ruleset("aws", vec![("security-groups".to_owned(), chains.collect::<Result<_, _>>()?)]))
}

fn group_chain(groups: &[Node], name: &str, field: &str, side: Side) -> Result<Chain, ReadError> {
    let mut lines = Vec::new();
    for group in groups {
        let id = group.text_of("GroupId")?.or(group.text_of("GroupName")?).unwrap_or("afo");
        // Which groups an interface has, is not in the document.
        let member =
            (groups.len() > 1).then(|| steady(&format!("member of {id}"), format!("the interface has the group {id}")));
        if group.get(field).is_none() {
            let unknown = unread_line(&format!("{id}: {field} is not in the document"));
            lines.push(Line { conditions: member.into_iter().collect(), ..unknown });
            continue;
        }
        for permission in group.list(field)? {
            let more = permission_lines(&permission, id, side)?;
            lines.extend(more.into_iter().map(|mut line| {
                line.conditions.extend(member.clone());
                line
            }));
        }
    }
    Ok(chain(name, side, true, lines))
}

/// The other end of a rule, with what is written for it.
type Other = (Condition, String, Option<String>);

fn permission_lines(permission: &Node, group: &str, side: Side) -> Result<Vec<Line>, ReadError> {
    const KNOWN: [&str; 7] =
        ["IpProtocol", "FromPort", "ToPort", "IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"];
    let (traffic, words) = traffic(permission)?;
    let strange = permission.strange(&KNOWN).map(|field| steady(&field, format!("`{field}` is not understood")));
    let others = others(permission, side)?;
    let one = |(other, whom, description): Other| {
        let conditions = traffic.iter().cloned().chain([other]).chain(strange.clone()).collect();
        line(&format!("{group} allow {words} {whom}"), description.as_deref(), conditions, true)
    };
    Ok(others.into_iter().map(one).collect())
}

/// The protocol with its ports or types.
fn traffic(permission: &Node) -> Result<(Option<Condition>, String), ReadError> {
    let name = permission.get("IpProtocol").ok_or_else(|| permission.error("IpProtocol is missing"))?;
    let text = name.text()?;
    let Some(protocol) = protocol_of(text).map_err(|why| name.error(why))? else { return Ok((None, "all".to_owned())) };
    let (from, to) = (permission.number_of("FromPort")?, permission.number_of("ToPort")?);
    let field = |name: &str, cause: String| permission.get(name).unwrap_or_else(|| permission.clone()).error(cause);
    let (cell, words) = match protocol {
        Protocol::TCP | Protocol::UDP => {
            let port = |value: Option<i64>, name: &str| {
                let value = value.ok_or_else(|| permission.error(format!("{name} is missing")))?;
                u16::try_from(value).map_err(|_| field(name, format!("{value} is no port")))
            };
            // -1 stands for all ports, as nothing does for rules that were made so long ago.
            if from == Some(-1) && to == Some(-1) {
                return Ok((Some(Condition::AnyOf(vec![only(protocol)])), protocol.to_string()));
            }
            let (first, last) = (port(from, "FromPort")?, port(to, "ToPort")?);
            if first > last {
                return Err(field("ToPort", format!("ports {first} to {last} run backwards")));
            }
            (ports(only(protocol), Wide::DestinationPort, [(first, last)]), format!("{protocol} {first}-{last}"))
        }
        Protocol::ICMP | Protocol::ICMPV6 => {
            let byte = |value: Option<i64>, name: &str| match value {
                None | Some(-1) => Ok(None),
                Some(value) => {
                    u8::try_from(value).map(Some).map_err(|_| field(name, format!("{value} is no type or code")))
                }
            };
            let (kind, code) = (byte(from, "FromPort")?, byte(to, "ToPort")?);
            let words = kind.map_or(String::new(), |kind| format!(" type {kind}"));
            (icmp(protocol, kind, code), format!("{protocol}{words}"))
        }
        other => (only(other), other.to_string()),
    };
    Ok((Some(Condition::AnyOf(vec![cell])), words))
}

fn others(permission: &Node, side: Side) -> Result<Vec<Other>, ReadError> {
    let word = if side == Side::In { "from" } else { "to" };
    let described = |node: &Node| node.text_of("Description").map(|text| text.map(str::to_owned));
    let mut others = Vec::new();
    for (list, field) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
        for range in permission.list(list)? {
            let net = range.get(field).ok_or_else(|| range.error(format!("{field} is missing")))?;
            let net = net.net()?;
            let far = Condition::AnyOf(cells(side.far(), &[net]));
            others.push((far, format!("{word} {net}"), described(&range)?));
        }
    }
    for (list, field, what) in
        [("PrefixListIds", "PrefixListId", "prefix list"), ("UserIdGroupPairs", "GroupId", "group")]
    {
        for reference in permission.list(list)? {
            let id = reference.text_of(field)?.or(reference.text_of("GroupName")?).unwrap_or("?");
            // Who is a member is not in the document.
            let condition = steady(&format!("{word} {what} {id}"), format!("the other end is in the {what} {id}"));
            others.push((condition, format!("{word} {what} {id}"), described(&reference)?));
        }
    }
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn group(permissions: &str) -> String {
        format!(
            r#"{{"SecurityGroups":[{{"GroupId":"sg-1","IpPermissions":[{permissions}],"IpPermissionsEgress":[{{"IpProtocol":"-1","IpRanges":[{{"CidrIp":"0.0.0.0/0"}}]}}]}}]}}"#
        )
    }

    fn fates(document: &str, packet: &str) -> (bool, bool) {
        crate::backend::document::fates(&super::super::AWS, document, packet)
    }

    #[test]
    fn what_a_group_accepts_passes_and_nothing_else() {
        let ssh = group(
            r#"{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"203.0.113.0/24","Description":"office"}],"Ipv6Ranges":[{"CidrIpv6":"2001:db8::/32"}]},{"IpProtocol":"icmp","FromPort":8,"ToPort":-1,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}"#,
        );
        for (packet, passes) in [
            ("input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn", true),
            ("input eth0 [2001:db8::9]:40000 > [2001:db8:1::1]:22 tcp syn", true),
            ("input eth0 192.0.2.9:40000 > 198.51.100.10:22 tcp syn", false),
            ("input eth0 203.0.113.9:40000 > 198.51.100.10:23 tcp syn", false),
            ("input eth0 203.0.113.9:40000 > 198.51.100.10:22 udp", false),
            ("input eth0 192.0.2.9 > 198.51.100.10 icmp 8/0", true),
            ("input eth0 192.0.2.9 > 198.51.100.10 icmp 13/0", false),
            ("output eth0 198.51.100.10:40000 > 192.0.2.9:443 tcp syn", true),
            ("output eth0 [2001:db8::1]:40000 > [2001:db8::9]:443 tcp syn", false),
        ] {
            assert_eq!(fates(&ssh, packet), (passes, passes), "{packet}");
        }
    }

    #[test]
    fn what_is_not_in_the_document_is_unknown() {
        let packet = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn";
        for permission in [
            r#"{"IpProtocol":"-1","UserIdGroupPairs":[{"GroupId":"sg-2","UserId":"1"}]}"#,
            r#"{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"PrefixListIds":[{"PrefixListId":"pl-1"}]}"#,
            r#"{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}],"NewField":"x"}"#,
        ] {
            assert_eq!(fates(&group(permission), packet), (false, true), "{permission}");
        }
        let two = r#"{"SecurityGroups":[{"GroupId":"sg-1","IpPermissions":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}],"IpPermissionsEgress":[]},{"GroupId":"sg-2","IpPermissions":[],"IpPermissionsEgress":[]}]}"#;
        assert_eq!(fates(two, packet), (false, true));
        assert_eq!(fates(two, "output eth0 198.51.100.10:40000 > 192.0.2.9:443 tcp syn"), (false, false));
    }

    #[test]
    fn errors_name_the_place() {
        for (document, words) in [
            ("{", "the document: not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"SecurityGroups":[]}"#, "the document: there are no security groups in it"),
            (r#"{"SecurityGroups":7}"#, "SecurityGroups: a list is expected"),
        ] {
            assert_eq!(read(document).expect_err(document).to_string(), words);
        }
        for (permission, words) in [
            (
                r#"{"IpProtocol":"tpc"}"#,
                "SecurityGroups[0].IpPermissions[0].IpProtocol: `tpc` is not a protocol; a name such as tcp or a number up to 255 is",
            ),
            (r#"{"IpProtocol":"tcp","FromPort":22}"#, "SecurityGroups[0].IpPermissions[0]: ToPort is missing"),
            (
                r#"{"IpProtocol":"tcp","FromPort":90,"ToPort":80}"#,
                "SecurityGroups[0].IpPermissions[0].ToPort: ports 90 to 80 run backwards",
            ),
            (
                r#"{"IpProtocol":"tcp","FromPort":70000,"ToPort":80}"#,
                "SecurityGroups[0].IpPermissions[0].FromPort: 70000 is no port",
            ),
            (
                r#"{"IpProtocol":"-1","IpRanges":[{"CidrIp":"300.0.0.0/8"}]}"#,
                "SecurityGroups[0].IpPermissions[0].IpRanges[0].CidrIp: `300.0.0.0/8`: invalid IP address syntax",
            ),
        ] {
            assert_eq!(read(&group(permission)).expect_err(permission).to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(text in "\\PC{0,60}", protocol in "[a-z0-9-]{0,5}", from in any::<i64>(), net in "[0-9a-f.:/]{0,20}") {
            let odd = format!(r#"{{"IpProtocol":"{protocol}","FromPort":{from},"ToPort":{from},"IpRanges":[{{"CidrIp":"{net}"}}],"Ipv6Ranges":[{{"CidrIpv6":"{net}"}}]}}"#);
            let _ = (read(&text), read(&format!("{{\"SecurityGroups\":[{text}]}}")));
            if let Ok(ruleset) = read(&group(&odd)) {
                prop_assert!(ruleset.lines().count() >= 3);
            }
        }
    }
}
