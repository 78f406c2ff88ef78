//! In which order rules stand, and why each there.
//!
//! The order is: `first`, then by priority (lower before higher, none is 0) in the order given, then `last`, then rules that deny
//! everything, which are a default policy and would hide what follows; `before:` and `after:` stand beside the rule that they name.

use super::{Refused, refuse};
use crate::packet::{AddressSpec, InterfacePattern};
use crate::rule::{Id, OneOf, Position, Rule};
use std::collections::BTreeSet;

/// A refusal of each rule whose id another one has.
pub(in crate::backend) fn twice(rules: &[Rule]) -> Vec<Refused> {
    let mut seen = BTreeSet::new();
    let again = rules.iter().filter(|rule| !seen.insert(&rule.id));
    again.map(|rule| refuse(rule, "id", &rule.id, "two rules have this id; each needs its own")).collect()
}

/// Whether a rule denies everything of its direction.
pub(in crate::backend) fn is_default(rule: &Rule) -> bool {
    let everywhere = rule.interface_in.is_any() && rule.interface_out.is_any();
    let whole = |list: &OneOf<AddressSpec>| !list.is_negated() && list.items().iter().all(AddressSpec::is_everything);
    let anyone = whole(&rule.source_address) && whole(&rule.destination_address);
    let anything = rule.protocol.is_any()
        && rule.source_port.is_any()
        && rule.destination_port.is_any()
        && rule.icmp_type.is_any()
        && rule.connection_state.is_any()
        && rule.source_mac.is_any()
        && rule.vlan.is_any();
    let unconditional = rule.mark.is_none() && rule.tcp_flags.is_none();
    let always = unconditional && rule.rate_limit.is_none() && rule.schedule.is_none();
    rule.action.denies() && everywhere && anyone && anything && always && rule.position == Position::Auto
}

fn rank(rule: &Rule) -> (u8, i32) {
    match rule.position {
        Position::First => (0, 0),
        Position::Last => (2, 0),
        _ if is_default(rule) => (3, 0),
        _ => (1, rule.priority.unwrap_or(0)),
    }
}

/// The rules in the order in which they stand.
///
/// # Errors
/// When one stands beside a rule that is not there.
pub(in crate::backend) fn ordered(rules: &[Rule]) -> Result<Vec<&Rule>, Refused> {
    let beside = |rule: &&Rule| matches!(rule.position, Position::Before(_) | Position::After(_));
    let (mut waiting, mut order): (Vec<&Rule>, Vec<&Rule>) = rules.iter().partition(beside);
    order.sort_by_key(|rule| rank(rule));
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|rule| !put_beside(rule, &mut order));
        if let Some(stuck) = waiting.first().filter(|_| waiting.len() == before) {
            let why = "no rule of that id and direction is there; name one of the same direction, or use first or last";
            return Err(refuse(stuck, "position", &stuck.position, why));
        }
    }
    Ok(order)
}

/// Puts a rule beside the one that it names, if that one has its place; rules after the same one keep their order.
/// Whether two rules stand in one chain, or may.
fn are_together(a: &Rule, b: &Rule) -> bool {
    a.direction == b.direction && a.action.translates() == b.action.translates() && a.action.leads() == b.action.leads()
}

fn put_beside<'a>(rule: &'a Rule, order: &mut Vec<&'a Rule>) -> bool {
    let find = |id: &Id, order: &[&Rule]| order.iter().position(|r| r.id == *id && are_together(r, rule));
    let place = match &rule.position {
        Position::Before(id) => find(id, order),
        Position::After(id) => find(id, order).map(|at| {
            let follows = |r: &&&Rule| r.position == Position::After(id.clone());
            at + 1 + order[at + 1..].iter().take_while(follows).count()
        }),
        _ => None,
    };
    place.map(|at| order.insert(at, rule)).is_some()
}

/// Whether a rule names loopback, which AFO's chains leave alone otherwise.
pub(in crate::backend) fn names_loopback(rule: &Rule) -> bool {
    let names = |list: &OneOf<InterfacePattern>| !list.is_negated() && list.items().iter().any(|i| i.matches("lo"));
    names(&rule.interface_in) || names(&rule.interface_out)
}

/// Why a rule stands where it does.
pub(in crate::backend) fn why_there(rule: &Rule) -> String {
    match &rule.position {
        Position::Auto if is_default(rule) => {
            "it denies everything, so it stands last: what stood after it would never be reached".to_owned()
        }
        Position::Auto => "after the rules that were there".to_owned(),
        position => format!("as asked: {position}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        serde_json::from_str(text).expect("a rule")
    }

    #[test]
    fn what_denies_everything_at_all_times_is_last_and_what_does_so_for_hours_is_not() {
        let all = rule(r#"{"id":"all","action":"drop","direction":"input"}"#);
        let night = rule(
            r#"{"id":"night","action":"drop","direction":"input","schedule":{"hours":{"from":"22:00","to":"06:00"},"zone":"UTC"}}"#,
        );
        let ssh =
            rule(r#"{"id":"ssh","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#);
        assert!(is_default(&all) && !is_default(&night) && !is_default(&ssh));
        let rules = [all, night, ssh];
        let order: Vec<&str> = ordered(&rules).expect("an order").into_iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(order, ["night", "ssh", "all"]);
    }
}
