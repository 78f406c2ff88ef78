//! Rules for the test: one for each capability, about addresses for documentation (RFC 5737, RFC 3849).

use crate::backend::Capability;
use crate::rule::{Action, Rule};
use serde_json::{Value, json};

/// A rule that the backend must be able to have, by what it says that it can.
pub(super) fn base(capabilities: &[Capability], id: &str) -> Rule {
    use Capability as C;
    let can = |capability| capabilities.contains(&capability);
    let direction = match () {
        () if can(C::Input) => "input",
        () if can(C::Output) => "output",
        () => "forward",
    };
    let mut fields = json!({
        "id": id, "direction": direction, "protocol": ["tcp"], "destination_port": ["8443"],
        "action": if can(C::Filter) { "drop" } else { "accept" },
    });
    let far = if direction == "output" { "destination_address" } else { "source_address" };
    fields[far] = json!([if can(C::Ipv4) { "203.0.113.7" } else { "2001:db8::7" }]);
    rule(fields)
}

/// The rule with other fields.
fn with(rule: &Rule, fields: Value) -> Rule {
    let mut all = serde_json::to_value(rule).expect("a rule is JSON");
    if let (Some(all), Value::Object(fields)) = (all.as_object_mut(), fields) {
        all.extend(fields);
    }
    self::rule(all)
}

fn rule(fields: Value) -> Rule {
    serde_json::from_value(fields).expect("a rule of the test is a rule")
}

/// A rule that needs a capability beside those of the base; nothing for those that no single rule shows.
pub(super) fn of(capability: Capability, base: &Rule) -> Option<Rule> {
    use Capability as C;
    let id = capability.as_str();
    let tcp = json!(["tcp"]);
    let fields = match capability {
        C::Ipv4 => json!({"source_address": ["203.0.113.0/24"], "destination_address": []}),
        C::Ipv6 => json!({"source_address": ["2001:db8::/32"], "destination_address": []}),
        C::Filter => json!({"action": "drop"}),
        C::Allow => json!({"action": "accept"}),
        C::Reject => json!({"action": "reject"}),
        C::Input => json!({"direction": "input"}),
        C::Output => json!({"direction": "output"}),
        C::Forward => json!({"direction": "forward"}),
        C::Interface if base.direction == crate::rule::Direction::Output => json!({"interface_out": ["eth0"]}),
        C::Interface => json!({"interface_in": ["eth0"]}),
        C::SourcePort => json!({"source_port": ["1024-65535"]}),
        C::IcmpType => {
            json!({"protocol": ["icmp"], "destination_port": [], "icmp_type": ["8"], "source_address": ["203.0.113.7"], "destination_address": []})
        }
        C::TcpFlag => json!({"protocol": tcp, "tcp_flags": {"mask": ["syn", "ack"], "set": ["syn"]}}),
        C::EveryTcpFlag => json!({"protocol": tcp, "tcp_flags": {"mask": ["ece"], "set": ["ece"]}}),
        C::Mac if base.direction == crate::rule::Direction::Output => return None,
        C::Mac => json!({"source_mac": ["52:54:00:00:00:01"]}),
        C::Mark => json!({"mark": "0x1"}),
        C::State => json!({"connection_state": ["new"]}),
        C::Log => json!({"log": {"prefix": "afo "}}),
        C::Rate => json!({"rate_limit": {"count": 5, "per": "minute"}}),
        C::RatePerSource => json!({"rate_limit": {"count": 5, "per": "minute", "scope": "source"}}),
        C::Order | C::Sets | C::Timed | C::Timeout | C::Switch => return None,
        #[allow(unreachable_patterns)] // capabilities that rules of such a backend cannot need
        _ => return None,
    };
    Some(with(&with(base, json!({"id": id})), fields))
}

/// Two rules of which the order tells.
pub(super) fn pair(base: &Rule) -> [Rule; 2] {
    let other = if base.action == Action::Accept { "drop" } else { "accept" };
    [
        with(base, json!({"id": "one"})),
        with(base, json!({"id": "two", "action": other, "destination_port": ["8000-9000"]})),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::external::needs;

    #[test]
    fn each_sample_needs_its_capability() {
        let base = base(&[Capability::Ipv4, Capability::Filter, Capability::Input], "base");
        for capability in Capability::ALL.iter().copied() {
            let Some(rule) = of(capability, &base) else { continue };
            let found = needs(&rule).into_iter().any(|(need, _, _)| need == Some(capability));
            assert!(found, "{capability:?}: {:?}", needs(&rule));
        }
        let [one, two] = pair(&base);
        assert!(one.action != two.action && one.id != two.id);
    }
}
