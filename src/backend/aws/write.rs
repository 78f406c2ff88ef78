//! AFO's rules as a security group in the form of `describe-security-groups`; its permissions are what `authorize-security-group-ingress` and
//! `-egress` take as `--ip-permissions`.

use super::LIMITS;
use crate::backend::document::{Product, products};
use crate::backend::{Native, Refused};
use crate::packet::{Family, Protocol};
use crate::record::Placement;
use crate::rule::{Direction, Rule};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A rule of a group may be described by so many characters.
const LONGEST: usize = 255;

/// The group of rules.
///
/// # Errors
/// Every rule that a group cannot have.
pub(super) fn written(rules: &[Rule]) -> Result<Native, Vec<Refused>> {
    let written = products(rules, &LIMITS)?;
    let of = |direction: Direction| {
        let own = written.iter().filter(|(rule, _)| rule.direction == direction);
        own.flat_map(|(rule, products)| products.iter().flat_map(|product| permissions(rule, product)))
            .collect::<Vec<_>>()
    };
    let mut group =
        json!({ "GroupName": "afo", "Description": "written by AFO", "IpPermissions": of(Direction::Input) });
    // Without a rule of its own a direction is left as it is.
    let named = |direction| written.iter().any(|(rule, _)| rule.direction == direction);
    if named(Direction::Output) {
        group["IpPermissionsEgress"] = json!(of(Direction::Output));
    }
    if !named(Direction::Input) {
        group.as_object_mut().into_iter().for_each(|group| drop(group.shift_remove("IpPermissions")));
    }
    let document = json!({ "SecurityGroups": [group] });
    let text = serde_json::to_string_pretty(&document).expect("a document has string keys") + "\n";
    let placement = written.iter().map(|(rule, products)| place(rule, products)).collect();
    let elsewhere = vec!["a security group denies what none of its rules accepts".to_owned()];
    Ok(Native { text, json: Some(document), placement, lines: BTreeMap::new(), elsewhere })
}

fn place(rule: &Rule, products: &[Product]) -> Placement {
    let place = if rule.direction == Direction::Input { "IpPermissions" } else { "IpPermissionsEgress" };
    let why = match products.is_empty() {
        true => "a security group does it by itself",
        false => "the order of its rules says nothing",
    };
    Placement { rule: rule.id.clone(), place: place.to_owned(), why: why.to_owned() }
}

/// A permission for each range of ports.
fn permissions(rule: &Rule, product: &Product) -> Vec<Value> {
    let (list, field, all) = match product.family {
        Family::Ipv4 => ("IpRanges", "CidrIp", "0.0.0.0/0"),
        Family::Ipv6 => ("Ipv6Ranges", "CidrIpv6", "::/0"),
    };
    let far = if rule.direction == Direction::Input { &product.sources } else { &product.destinations };
    let description: String = format!("afo:{}", rule.id).chars().take(LONGEST).collect();
    let range = |net: String| json!({ field: net, "Description": description });
    let ranges: Vec<Value> = match far.as_slice() {
        [] => vec![range(all.to_owned())],
        nets => nets.iter().map(|net| range(net.to_string())).collect(),
    };
    let permission = |protocol: &str, from: Option<i64>, to: Option<i64>| {
        let mut fields = Map::new();
        fields.insert("IpProtocol".to_owned(), protocol.into());
        fields.extend(from.map(|from| ("FromPort".to_owned(), from.into())));
        fields.extend(to.map(|to| ("ToPort".to_owned(), to.into())));
        fields.insert(list.to_owned(), json!(ranges));
        Value::Object(fields)
    };
    match product.protocol {
        None => vec![permission("-1", None, None)],
        Some(protocol @ (Protocol::ICMP | Protocol::ICMPV6)) => {
            let kind = product.icmp.map_or(-1, |icmp| i64::from(icmp.kind));
            let code = product.icmp.and_then(|icmp| icmp.code).map_or(-1, i64::from);
            vec![permission(if protocol == Protocol::ICMP { "icmp" } else { "icmpv6" }, Some(kind), Some(code))]
        }
        Some(protocol @ (Protocol::TCP | Protocol::UDP)) => {
            let ranges = if product.to.is_empty() { &[(0, u16::MAX)][..] } else { &product.to };
            let port = |(first, last): &(u16, u16)| {
                permission(&protocol.to_string(), Some(i64::from(*first)), Some(i64::from(*last)))
            };
            ranges.iter().map(port).collect()
        }
        Some(other) => vec![permission(&other.0.to_string(), None, None)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Extent};

    fn rules(rules: Value) -> Vec<Rule> {
        serde_json::from_value(rules).expect("rules")
    }

    fn refused(fields: Value) -> String {
        let mut rule = json!({"id": "r1", "action": "accept", "direction": "input"});
        rule.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
        let refused = written(&rules(json!([rule]))).expect_err("refused");
        refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let native = written(&rules(json!([
            {"id": "a", "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["22", "80-90"], "source_address": ["203.0.113.4-203.0.113.7"]},
            {"id": "b", "action": "accept", "direction": "input", "connection_state": ["established", "related"]},
            {"id": "c", "action": "drop", "direction": "input"},
        ])))
        .expect("written");
        assert_eq!(native.placement[1].why, "a security group does it by itself");
        let permissions = &native.json.as_ref().expect("JSON")["SecurityGroups"][0]["IpPermissions"];
        let range = json!([{"CidrIp": "203.0.113.4/30", "Description": "afo:a"}]);
        assert_eq!(
            permissions,
            &json!([
                {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": range},
                {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 90, "IpRanges": range},
            ])
        );
        let model = super::super::AWS.model(&native).expect("a ruleset");
        let texts: Vec<&str> = model.lines().map(|(_, line)| line.text.as_str()).collect();
        assert!(texts.contains(&"afo allow tcp 22-22 from 203.0.113.4/30"), "{texts:?}");
        assert!(super::super::AWS.render(&[], Extent::Rules).is_ok());
    }

    #[test]
    fn what_a_group_cannot_say_is_refused() {
        for (fields, words) in [
            (
                json!({"action": "drop", "source_address": ["203.0.113.0/24"]}),
                "rule r1: action `drop`: aws has not the capability filter",
            ),
            (json!({"direction": "forward"}), "rule r1: direction `forward`: aws has not the capability forward"),
            (
                json!({"destination_address": ["10.0.0.1"]}),
                "rule r1: destination_address `10.0.0.1`: a rule of aws names the other end alone; leave `destination_address` out",
            ),
            (
                json!({"connection_state": ["invalid"]}),
                "rule r1: connection_state `invalid`: aws keeps states by itself: answers pass, and a rule is asked of new connections",
            ),
            (
                json!({"protocol": ["tcp"], "source_port": ["53"]}),
                "rule r1: source_port `53`: aws has not the capability source-port",
            ),
            (
                json!({"ttl_seconds": 60}),
                "rule r1: ttl_seconds `60`: aws has no rules that end by themselves; leave `ttl_seconds` out",
            ),
        ] {
            assert_eq!(refused(fields), words);
        }
    }
}
