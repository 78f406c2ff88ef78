//! AFO's rules as a network security group in the form of `az network nsg show`; `az network nsg rule create` takes each field of a rule by
//! its name.

use super::{FIRST, LAST, LIMITS};
use crate::backend::document::{Product, port_words, products};
use crate::backend::meaning::refuse;
use crate::backend::{Native, Refused};
use crate::packet::{Family, Protocol};
use crate::record::Placement;
use crate::rule::{Direction, Rule};
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The group of rules.
///
/// # Errors
/// Every rule that a group cannot have.
pub(super) fn written(rules: &[Rule]) -> Result<Native, Vec<Refused>> {
    let written = products(rules, &LIMITS)?;
    let (mut list, mut placement) = (Vec::new(), Vec::new());
    let mut next = BTreeMap::from([("Inbound", FIRST), ("Outbound", FIRST)]);
    for (rule, products) in &written {
        let direction = if rule.direction == Direction::Input { "Inbound" } else { "Outbound" };
        let mut first = None;
        for product in products {
            if let Some(odd) = product.protocol.filter(|own| name(Some(*own)).is_none()) {
                let why = "a network security group names tcp, udp, icmp, esp and ah alone";
                return Err(vec![refuse(rule, "protocol", odd, why)]);
            }
            let number = next.get_mut(direction).map(|next| std::mem::replace(next, *next + 1)).unwrap_or(FIRST);
            if number > LAST {
                let why = format!("the numbers of a direction end at {LAST}; write fewer rules");
                return Err(vec![refuse(rule, "id", &rule.id, why)]);
            }
            first.get_or_insert(number);
            list.push(object(rule, product, direction, number));
        }
        let why = first.map(|number| format!("its number is {number}")).unwrap_or_default();
        placement.push(Placement { rule: rule.id.clone(), place: direction.to_owned(), why });
    }
    let document = json!({ "name": "afo", "securityRules": list });
    let text = serde_json::to_string_pretty(&document).expect("a document has string keys") + "\n";
    let words = "behind these rules stand Azure's default ones: the virtual network passes, everything else from outside is denied";
    Ok(Native { text, json: Some(document), placement, lines: BTreeMap::new(), elsewhere: vec![words.to_owned()] })
}

fn name(protocol: Option<Protocol>) -> Option<&'static str> {
    match protocol {
        None => Some("*"),
        Some(Protocol::TCP) => Some("Tcp"),
        Some(Protocol::UDP) => Some("Udp"),
        Some(Protocol::ICMP) => Some("Icmp"),
        Some(Protocol(50)) => Some("Esp"),
        Some(Protocol(51)) => Some("Ah"),
        Some(_) => None,
    }
}

fn object(rule: &Rule, product: &Product, direction: &str, number: i64) -> Value {
    let mut object = json!({
        // A group has each name once, and each number once for a direction.
        "name": format!("afo-{}-{number}", if rule.direction == Direction::Input { "in" } else { "out" }),
        "description": format!("afo:{}", rule.id),
        "priority": number,
        "direction": direction,
        "access": if rule.action.denies() { "Deny" } else { "Allow" },
        "protocol": name(product.protocol),
    });
    let all = if product.family == Family::Ipv4 { "0.0.0.0/0" } else { "::/0" };
    let nets = |nets: &[IpNet]| match nets {
        [] => vec![all.to_owned()],
        nets => nets.iter().map(ToString::to_string).collect(),
    };
    let spans = |spans: &[(u16, u16)]| match spans {
        [] => vec!["*".to_owned()],
        spans => port_words(spans),
    };
    for (one, list, values) in [
        ("sourceAddressPrefix", "sourceAddressPrefixes", nets(&product.sources)),
        ("sourcePortRange", "sourcePortRanges", spans(&product.from)),
        ("destinationAddressPrefix", "destinationAddressPrefixes", nets(&product.destinations)),
        ("destinationPortRange", "destinationPortRanges", spans(&product.to)),
    ] {
        match values.as_slice() {
            [value] => object[one] = json!(value),
            values => object[list] = json!(values),
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;

    fn rules(rules: Value) -> Vec<Rule> {
        serde_json::from_value(rules).expect("rules")
    }

    #[test]
    fn numbers_are_unique_in_each_direction() {
        let native = written(&rules(json!([
            {"id": "a", "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["22", "80-90"], "source_address": ["203.0.113.0/24"]},
            {"id": "b", "action": "drop", "direction": "input"},
            {"id": "c", "action": "drop", "direction": "output", "protocol": ["udp"], "destination_port": ["53"]},
        ])))
        .expect("written");
        let list = native.json.clone().expect("JSON")["securityRules"].as_array().expect("a list").clone();
        let seen: Vec<(i64, &str)> = list
            .iter()
            .map(|rule| (rule["priority"].as_i64().expect("a number"), rule["direction"].as_str().expect("a word")))
            .collect();
        assert_eq!(seen, [(100, "Inbound"), (100, "Outbound"), (101, "Outbound"), (101, "Inbound"), (102, "Inbound")]);
        assert_eq!(
            (&list[0]["destinationPortRanges"], &list[0]["sourcePortRange"]),
            (&json!(["22", "80-90"]), &json!("*"))
        );
        let model = super::super::AZURE.model(&native).expect("a ruleset");
        assert_eq!(model.lines().count(), 5 + 2 + 6 + 2, "written, loopback, by default, answers");
    }

    #[test]
    fn what_a_group_cannot_say_is_refused() {
        let refused = |fields: Value| {
            let mut rule = json!({"id": "r1", "action": "drop", "direction": "input"});
            rule.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
            written(&rules(json!([rule]))).expect_err("refused")[0].to_string()
        };
        assert_eq!(
            refused(json!({"protocol": ["gre"]})),
            "rule r1: protocol `gre`: a network security group names tcp, udp, icmp, esp and ah alone"
        );
        assert_eq!(
            refused(json!({"action": "reject"})),
            "rule r1: action `reject`: azure has not the capability reject"
        );
        let many: Vec<Value> = (0..2000).map(|n| json!({"id": format!("r{n}"), "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": [n.to_string()]})).collect();
        let words = written(&rules(json!(many))).expect_err("too many")[0].to_string();
        assert!(words.ends_with("the numbers of a direction end at 4096; write fewer rules"), "{words}");
    }
}
