//! AFO's rules as a list of firewall rules; each object is what the API's `firewalls.insert` takes.

use super::LIMITS;
use crate::backend::document::{Product, port_words, products};
use crate::backend::{Native, Refused};
use crate::packet::{Family, Protocol};
use crate::record::Placement;
use crate::rule::{Direction, Rule};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The number of the first rule, and how far the next one is from it.
const FIRST: usize = 1000;
const STEP: usize = 10;
const LAST: usize = 65535;

/// The list of rules.
///
/// # Errors
/// Every rule that such a list cannot have.
pub(super) fn written(rules: &[Rule]) -> Result<Native, Vec<Refused>> {
    let written = products(rules, &LIMITS)?;
    let (mut list, mut placement) = (Vec::new(), Vec::new());
    for (at, (rule, products)) in written.iter().enumerate() {
        let priority = FIRST + STEP * at;
        if priority > LAST {
            let why = format!("numbers up to {LAST} are for {} rules; write fewer", (LAST - FIRST) / STEP + 1);
            return Err(vec![crate::backend::meaning::refuse(rule, "id", &rule.id, why)]);
        }
        let place = if rule.direction == Direction::Input { "INGRESS" } else { "EGRESS" };
        let why = match products.is_empty() {
            true => "Google Cloud does it by itself".to_owned(),
            false => format!("its number is {priority}"),
        };
        placement.push(Placement { rule: rule.id.clone(), place: place.to_owned(), why });
        list.extend(joined(products).iter().map(|group| object(rule, group, priority)));
    }
    let document = Value::Array(list);
    let text = serde_json::to_string_pretty(&document).expect("a list has string keys") + "\n";
    let inbound = written.iter().any(|(rule, _)| rule.direction == Direction::Input);
    let words = "Google Cloud denies what no rule accepts on its way in, and lets the rest out";
    let elsewhere = inbound.then(|| words.to_owned()).into_iter().collect();
    Ok(Native { text, json: Some(document), placement, lines: BTreeMap::new(), elsewhere })
}

/// The products that make one object: those of one family.
fn joined(products: &[Product]) -> Vec<Vec<&Product>> {
    let of = |family| products.iter().filter(|product| product.family == family).collect::<Vec<_>>();
    [of(Family::Ipv4), of(Family::Ipv6)].into_iter().filter(|group| !group.is_empty()).collect()
}

fn object(rule: &Rule, products: &[&Product], priority: usize) -> Value {
    let direction = if rule.direction == Direction::Input { "INGRESS" } else { "EGRESS" };
    let mut object = json!({
        "name": format!("afo-{priority}-{}", if products[0].family == Family::Ipv4 { 4 } else { 6 }),
        "description": format!("afo:{}", rule.id),
        "network": "global/networks/default",
        "direction": direction,
        "priority": priority,
    });
    let all = if products[0].family == Family::Ipv4 { "0.0.0.0/0" } else { "::/0" };
    let nets = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (field, list, far) in [
        ("sourceRanges", &products[0].sources, rule.direction == Direction::Input),
        ("destinationRanges", &products[0].destinations, rule.direction == Direction::Output),
    ] {
        if !list.is_empty() {
            object[field] = json!(nets(list));
        } else if far {
            object[field] = json!([all]);
        }
    }
    let verdict = if rule.action.denies() { "denied" } else { "allowed" };
    object[verdict] = products.iter().map(|product| entry(product)).collect();
    object
}

/// A protocol with its ports.
fn entry(product: &Product) -> Value {
    let name = match product.protocol {
        None => "all".to_owned(),
        Some(protocol @ (Protocol::TCP | Protocol::UDP | Protocol::ICMP)) => protocol.to_string(),
        Some(other) => other.0.to_string(),
    };
    match product.to.as_slice() {
        [] => json!({ "IPProtocol": name }),
        ranges => json!({ "IPProtocol": name, "ports": port_words(ranges) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;

    fn rules(rules: Value) -> Vec<Rule> {
        serde_json::from_value(rules).expect("rules")
    }

    #[test]
    fn numbers_are_the_order() {
        let native = written(&rules(json!([
            {"id": "a", "action": "drop", "direction": "input", "source_address": ["203.0.113.0/24"]},
            {"id": "b", "action": "accept", "direction": "input", "protocol": ["tcp", "udp"], "destination_port": ["53", "80-90"]},
            {"id": "c", "action": "drop", "direction": "input"},
        ])))
        .expect("written");
        let list = native.json.clone().expect("JSON");
        let seen: Vec<(u64, &str)> = list
            .as_array()
            .expect("a list")
            .iter()
            .map(|rule| (rule["priority"].as_u64().expect("a number"), rule["name"].as_str().expect("a name")))
            .collect();
        assert_eq!(seen, [(1000, "afo-1000-4"), (1010, "afo-1010-4"), (1010, "afo-1010-6")]);
        assert_eq!(list[0]["denied"], json!([{"IPProtocol": "all"}]));
        assert_eq!(
            list[1]["allowed"],
            json!([{"IPProtocol": "tcp", "ports": ["53", "80-90"]}, {"IPProtocol": "udp", "ports": ["53", "80-90"]}])
        );
        assert_eq!(list[2]["sourceRanges"], json!(["::/0"]));
        assert_eq!(native.placement[2].why, "Google Cloud does it by itself");
        let model = super::super::GCP.model(&native).expect("a ruleset");
        assert_eq!(model.lines().count(), 5);
        let refused = written(&rules(
            json!([{"id": "r1", "action": "drop", "direction": "input", "protocol": ["icmp"], "icmp_type": ["8"]}]),
        ));
        assert_eq!(
            refused.expect_err("types")[0].to_string(),
            "rule r1: icmp_type `8`: gcp has not the capability icmp-type"
        );
    }
}
