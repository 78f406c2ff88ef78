//! AFO's rules as a configuration that holds a `<filter>` section alone, as Diagnostics > Backup & Restore takes it for the area of firewall
//! rules: floating rules that decide at once, because these have a direction.

use super::LIMITS;
use crate::backend::document::{Product, products};
use crate::backend::meaning::refuse;
use crate::backend::pf;
use crate::backend::{Native, Refused};
use crate::packet::{Family, IcmpType, InterfacePattern, Protocol};
use crate::record::Placement;
use crate::rule::{Action, Direction, OneOf, Rule};
use std::collections::BTreeMap;

/// The section of rules.
///
/// # Errors
/// Every rule that pfSense cannot have.
pub(super) fn written(rules: &[Rule]) -> Result<Native, Vec<Refused>> {
    let written = products(rules, &LIMITS)?;
    let refused: Vec<Refused> = written.iter().filter_map(|(rule, _)| odd(rule)).collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut text = "<?xml version=\"1.0\"?>\n<pfsense>\n\t<filter>\n".to_owned();
    let (mut placement, mut at) = (Vec::new(), 0);
    for (rule, products) in &written {
        let why = format!("its place is {at}, which shifts when rules before it come or go");
        placement.push(Placement { rule: rule.id.clone(), place: "floating".to_owned(), why });
        for product in products {
            let ranges = |ranges: &[(u16, u16)]| {
                if ranges.is_empty() { vec![None] } else { ranges.iter().copied().map(Some).collect() }
            };
            for from in ranges(&product.from) {
                for to in ranges(&product.to) {
                    for (source, destination) in ends(product) {
                        for product in &said(rule, product) {
                            text.push_str(&element(rule, product, (&source, from), (&destination, to)));
                            at += 1;
                        }
                    }
                }
            }
        }
    }
    text.push_str("\t</filter>\n</pfsense>\n");
    let words = "what no rule decides pfSense denies where it comes in";
    Ok(Native { text, json: None, placement, lines: BTreeMap::new(), elsewhere: vec![words.to_owned()] })
}

/// What such a rule cannot ask. A packet that passes through and one for the firewall itself come in by the same rules.
fn odd(rule: &Rule) -> Option<Refused> {
    let (field, list) = match rule.direction {
        Direction::Output => ("interface_in", &rule.interface_in),
        _ => ("interface_out", &rule.interface_out),
    };
    if !list.is_any() {
        let why = "a rule of pfSense is asked where a packet comes in, or where it leaves";
        return Some(refuse(rule, field, list, why));
    }
    let interfaces = interfaces(rule);
    if interfaces.is_negated() || interfaces.items().iter().any(InterfacePattern::is_pattern) {
        let why = "pfSense names interfaces one by one";
        return Some(refuse(rule, "interface_in", interfaces, why));
    }
    let named = |icmp: &&IcmpType| icmp.code.is_some() || pf::icmp_word(icmp.kind, family(rule)).is_none();
    let kind = rule.icmp_type.items().iter().find(named)?;
    let why = match kind.code {
        Some(_) => "pfSense asks for the type of ICMP, not for its code",
        None => "pfSense has no name for that type",
    };
    Some(refuse(rule, "icmp_type", kind, why))
}

/// Of a rule that asks for types of ICMP.
fn family(rule: &Rule) -> Family {
    if rule.protocol.items().contains(&Protocol::ICMPV6) { Family::Ipv6 } else { Family::Ipv4 }
}

fn interfaces(rule: &Rule) -> &OneOf<InterfacePattern> {
    if rule.direction == Direction::Output { &rule.interface_out } else { &rule.interface_in }
}

/// The products that say it: of all protocols a rule that passes lets TCP through only where a connection begins, and one for TCP says the rest.
fn said(rule: &Rule, product: &Product) -> Vec<Product> {
    let tcp = Product { protocol: Some(Protocol::TCP), ..product.clone() };
    let both = product.protocol.is_none() && rule.action == Action::Accept;
    both.then_some(tcp).into_iter().chain([product.clone()]).collect()
}

/// Every pair of a source and a destination, `any` for all.
fn ends(product: &Product) -> Vec<(String, String)> {
    let words = |nets: &[ipnet::IpNet]| match nets {
        [] => vec!["any".to_owned()],
        nets => nets.iter().map(ToString::to_string).collect(),
    };
    let destinations = words(&product.destinations);
    let sources = words(&product.sources).into_iter();
    sources.flat_map(|source| destinations.iter().map(move |to| (source.clone(), to.clone()))).collect()
}

type Port = Option<(u16, u16)>;

fn element(rule: &Rule, product: &Product, from: (&str, Port), to: (&str, Port)) -> String {
    let word = match rule.action {
        Action::Accept => "pass",
        Action::Reject => "reject",
        _ => "block",
    };
    let names: Vec<String> = interfaces(rule).items().iter().map(ToString::to_string).collect();
    let interface = if names.is_empty() { "any".to_owned() } else { names.join(",") };
    let mut fields = vec![
        ("type", word.to_owned()),
        ("interface", interface),
        ("ipprotocol", if product.family == Family::Ipv4 { "inet" } else { "inet6" }.to_owned()),
        ("floating", "yes".to_owned()),
        ("quick", "yes".to_owned()),
        ("direction", if rule.direction == Direction::Output { "out" } else { "in" }.to_owned()),
        ("descr", format!("afo:{}", rule.id)),
    ];
    let name = |protocol: Protocol| if protocol == Protocol::ICMPV6 { "icmp".to_owned() } else { protocol.to_string() };
    fields.extend(product.protocol.map(|protocol| ("protocol", name(protocol))));
    let kind = product.icmp.and_then(|icmp| pf::icmp_word(icmp.kind, product.family));
    fields.extend(kind.map(|word| ("icmptype", word.to_owned())));
    let mut text = "\t\t<rule>\n".to_owned();
    fields.iter().for_each(|(name, value)| text.push_str(&format!("\t\t\t<{name}>{value}</{name}>\n")));
    // Without it pfSense asks of TCP for the beginning of a connection, of a denial too.
    if product.protocol == Some(Protocol::TCP) {
        text.push_str("\t\t\t<tcpflags_any></tcpflags_any>\n");
    }
    // Which packets are the firewall's own, no other field says.
    let (source, destination) = match rule.direction {
        Direction::Input => ("<any></any>", "<network>(self)</network>"),
        Direction::Forward => ("<any></any>", "<network>(self)</network><not></not>"),
        Direction::Output => ("<network>(self)</network>", "<any></any>"),
    };
    text.push_str(&end("source", from, source));
    text.push_str(&end("destination", to, destination));
    text + "\t\t</rule>\n"
}

/// One end; `open` stands for any address.
fn end(side: &str, (net, port): (&str, Port), open: &str) -> String {
    let who = if net == "any" { open.to_owned() } else { format!("<address>{net}</address>") };
    let port = match port {
        None => String::new(),
        Some((first, last)) if first == last => format!("<port>{first}</port>"),
        Some((first, last)) => format!("<port>{first}-{last}</port>"),
    };
    format!("\t\t\t<{side}>{who}{port}</{side}>\n")
}

#[cfg(test)]
mod tests {
    use super::super::PFSENSE;
    use super::*;
    use crate::backend::Backend;
    use crate::rule::Packet;
    use crate::rule::evaluate::evaluate;
    use serde_json::{Value, json};

    fn rules(rules: Value) -> Vec<Rule> {
        serde_json::from_value(rules).expect("rules")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let native = written(&rules(json!([
            {"id": "a", "action": "drop", "direction": "input", "interface_in": ["wan"], "source_address": ["203.0.113.0/25"]},
            {"id": "b", "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["22", "8000-8100"]},
            {"id": "c", "action": "accept", "direction": "forward", "protocol": ["udp"], "destination_address": ["198.51.100.53"], "destination_port": ["53"]},
            {"id": "p", "action": "accept", "direction": "input", "protocol": ["icmp"], "icmp_type": ["8"], "source_address": ["192.0.2.0/24"]},
            {"id": "q", "action": "accept", "direction": "input", "protocol": ["icmpv6"], "icmp_type": ["128", "1"]},
            {"id": "e", "action": "accept", "direction": "input", "source_address": ["192.0.2.7"]},
            {"id": "d", "action": "reject", "direction": "output", "protocol": ["tcp"], "destination_port": ["25"]},
        ])))
        .expect("written");
        let model = PFSENSE.model(&native).expect("a ruleset");
        for (packet, passes) in [
            ("input wan 203.0.113.9:40000 > 198.51.100.1:22 tcp syn", false),
            ("input lan 203.0.113.9:40000 > 198.51.100.1:22 tcp syn", true),
            ("input wan 203.0.113.200:40000 > 198.51.100.1:8050 tcp ack", true),
            ("input wan [2001:db8::9]:40000 > [2001:db8::1]:22 tcp syn", true),
            ("input wan 203.0.113.200:40000 > 198.51.100.1:23 tcp syn", false),
            ("forward wan lan 203.0.113.200:40000 > 198.51.100.53:53 udp", true),
            ("forward wan lan 203.0.113.200:40000 > 198.51.100.54:22 tcp syn", false),
            ("output wan 198.51.100.1:40000 > 203.0.113.9:25 tcp syn", false),
            ("output wan 198.51.100.1:40000 > 203.0.113.9:25 tcp ack", false),
            ("input wan 192.0.2.9 > 198.51.100.1 icmp 8", true),
            ("input wan 192.0.2.9 > 198.51.100.1 icmp 13", false),
            ("input lan 2001:db8::9 > 2001:db8::1 icmpv6 128", true),
            ("input lan 2001:db8::9 > 2001:db8::1 icmpv6 144", false),
            ("input lan 192.0.2.7:9 > 198.51.100.1:9 tcp ack", true),
            ("input lan 192.0.2.7:9 > 198.51.100.1:9 udp", true),
            ("output wan 198.51.100.1:40000 > 203.0.113.9:443 tcp syn", true),
        ] {
            let known: Packet = packet.parse().expect(packet);
            for luck in [false, true] {
                // Whether a port is one that the firewall is administered by, is not in a section of rules.
                let fate = evaluate(&model, &known, &mut |_, _| luck).expect("a way").fate;
                assert_eq!(fate.passes(), passes, "{packet}\n{}", native.text);
            }
        }
    }

    #[test]
    fn what_pfsense_cannot_say_is_refused() {
        for (fields, words) in [
            (
                json!({"direction": "forward", "interface_out": ["lan"]}),
                "rule r1: interface_out `lan`: a rule of pfSense is asked where a packet comes in, or where it leaves",
            ),
            (json!({"interface_in": ["!wan"]}), "rule r1: interface_in `!wan`: pfSense names interfaces one by one"),
            (
                json!({"protocol": ["icmp"], "icmp_type": ["3/4"]}),
                "rule r1: icmp_type `3/4`: pfSense asks for the type of ICMP, not for its code",
            ),
            (
                json!({"protocol": ["icmp"], "icmp_type": ["8", "77"]}),
                "rule r1: icmp_type `77`: pfSense has no name for that type",
            ),
            (json!({"schedule": {"days": ["monday"]}}), "rule r1: schedule ``: pfsense has not the capability hours"),
        ] {
            let mut rule = json!({"id": "r1", "action": "drop", "direction": "input"});
            rule.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
            assert_eq!(written(&rules(json!([rule]))).expect_err("refused")[0].to_string(), words);
        }
    }
}
