//! Rules in plain English. Made from the rules alone, so that what is said is what will be done.

use crate::packet::IcmpType;
use crate::record::{Change, ChangeOp};
use crate::rule::{Action, ConnectionState, Direction, FamilyMatch, OneOf, RateLimit, Rule, Scope};
use std::fmt::Display;

/// One sentence for each rule and change, a line each.
pub fn explain(rules: &[Rule], changes: &[Change]) -> String {
    let lines: Vec<String> = rules.iter().map(explain_rule).chain(changes.iter().map(explain_change)).collect();
    lines.join("\n")
}

/// One rule as a sentence.
pub fn explain_rule(rule: &Rule) -> String {
    let mut words = vec![verb(rule.action).to_owned(), what(rule)];
    words.extend(list("from", "from anywhere but", &rule.source_address));
    words.extend(list("from hardware address", "from any hardware address but", &rule.source_mac));
    words.extend(list("coming in on", "coming in on anything but", &rule.interface_in));
    words.push(way(rule.direction).to_owned());
    words.extend(list("to", "to anywhere but", &rule.destination_address));
    words.extend(list("going out on", "going out on anything but", &rule.interface_out));
    words.extend(list("on VLAN", "on any VLAN but", &rule.vlan));
    words.extend(rule.mark.map(|mark| format!("with mark {mark}")));
    words.extend(rule.rate_limit.map(|limit| rate(rule.action, &limit)));
    words.extend(nat(rule));
    words.extend(rule.ttl_seconds.map(|seconds| format!("for {}", duration(seconds))));
    words.extend(schedule(rule));
    let mut text = words.join(" ");
    for tail in tails(rule) {
        text.push_str(&tail);
    }
    text + "."
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Accept => "Allow",
        Action::Drop => "Drop",
        Action::Reject => "Reject",
        Action::Log => "Log",
        Action::Dnat | Action::Redirect => "Redirect",
        Action::Snat | Action::Masquerade => "Translate the source of",
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "to this host",
        Direction::Output => "sent by this host",
        Direction::Forward => "through this host",
    }
}

/// State, family, protocol, ports and flags.
fn what(rule: &Rule) -> String {
    let mut words = Vec::new();
    words.extend(states(&rule.connection_state));
    words.extend(match rule.family {
        FamilyMatch::Any => None,
        family => Some(if family == FamilyMatch::Ipv4 { "IPv4".to_owned() } else { "IPv6".to_owned() }),
    });
    words.push(transport(rule));
    if let Some(flags) = &rule.tcp_flags {
        let named = |list: &[crate::rule::TcpFlag]| list.iter().map(|f| f.as_str()).collect::<Vec<_>>().join("+");
        let set = if flags.set.is_empty() { "none".into() } else { named(&flags.set) };
        words.push(format!("with {set} set of the flags {}", named(&flags.mask)));
    }
    words.join(" ")
}

fn states(states: &OneOf<ConnectionState>) -> Option<String> {
    (!states.is_any())
        .then(|| format!("{}{}", if states.is_negated() { "not " } else { "" }, joined(states.items(), "and")))
}

fn transport(rule: &Rule) -> String {
    let mut words = match (rule.protocol.is_any(), rule.protocol.is_negated()) {
        (true, _) if rule.destination_port.is_any() && rule.source_port.is_any() => "traffic".to_owned(),
        (true, _) => "tcp and udp".to_owned(),
        (_, true) => format!("traffic other than {}", joined(rule.protocol.items(), "and")),
        _ => joined(rule.protocol.items(), "and"),
    };
    words.extend_from("port", &rule.destination_port);
    words.extend_from("from source port", &rule.source_port);
    if !rule.icmp_type.is_any() {
        let not = if rule.icmp_type.is_negated() { "other than type" } else { "type" };
        words.push_str(&format!(" {not} {}", rule.icmp_type.items().iter().map(icmp).collect::<Vec<_>>().join(", ")));
    }
    words
}

/// Adds a list to words, in the singular or the plural.
trait ExtendFrom {
    fn extend_from<T: Display>(&mut self, noun: &str, list: &OneOf<T>);
}

impl ExtendFrom for String {
    fn extend_from<T: Display>(&mut self, noun: &str, list: &OneOf<T>) {
        if list.is_any() {
            return;
        }
        let one = list.items().len() == 1 && !list.items()[0].to_string().contains('-');
        let except = if list.is_negated() { "other than " } else { "" };
        let plural = if one { "" } else { "s" };
        self.push_str(&format!(" {except}{noun}{plural} {}", joined(list.items(), "and")));
    }
}

fn icmp(kind: &IcmpType) -> String {
    kind.to_string()
}

fn list<T: Display>(is: &str, is_not: &str, list: &OneOf<T>) -> Option<String> {
    (!list.is_any()).then(|| {
        format!(
            "{} {}",
            if list.is_negated() { is_not } else { is },
            joined(list.items(), if list.is_negated() { "and" } else { "or" })
        )
    })
}

fn joined<T: Display>(items: &[T], last: &str) -> String {
    let all: Vec<String> = items.iter().map(ToString::to_string).collect();
    match all.split_last() {
        Some((end, head)) if !head.is_empty() => format!("{} {last} {end}", head.join(", ")),
        _ => all.concat(),
    }
}

fn rate(action: Action, limit: &RateLimit) -> String {
    let burst = limit.burst.map(|n| format!(" with {n} at once")).unwrap_or_default();
    let scope = if limit.scope == Scope::Source { " from each source" } else { " in all" };
    let amount = format!("{} per {}{burst}{scope}", limit.count, limit.per);
    match action {
        Action::Accept => format!(
            "up to {amount}, what is over it is {}",
            if limit.over == crate::rule::Over::Reject { "rejected" } else { "dropped" }
        ),
        _ => format!("beyond {amount}"),
    }
}

fn nat(rule: &Rule) -> Option<String> {
    let nat = rule.nat.as_ref()?;
    let address = nat.address.map(|a| format!(" {a}")).unwrap_or_default();
    let port = nat.port.map(|p| format!(" port {p}")).unwrap_or_default();
    Some(format!("to{address}{port}"))
}

fn schedule(rule: &Rule) -> Option<String> {
    let schedule = rule.schedule.as_ref()?;
    let days: Vec<String> = schedule.days.iter().map(|day| format!("{day:?}")).collect();
    let mut words = Vec::new();
    words.extend((!days.is_empty()).then(|| format!("on {}", days.join(", "))));
    words.extend(schedule.from.map(|time| format!("from {time}")));
    words.extend(schedule.to.map(|time| format!("until {time}")));
    words.extend(schedule.zone.as_ref().map(|zone| format!("({})", zone.escape_debug())));
    Some(words.join(" "))
}

fn tails(rule: &Rule) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(rule.log.as_ref().filter(|_| rule.action != Action::Log).map(|_| ", with a line in the log".to_owned()));
    out.extend(rule.reject_with.map(|with| format!(", answered with {with}")));
    out.extend(rule.strict.then(|| ", including the ICMP without which hosts lose each other".to_owned()));
    out.extend((!rule.extra.is_empty()).then(|| ", where a match that only one backend knows also holds".to_owned()));
    out.extend((!rule.enabled).then(|| " (switched off)".to_owned()));
    out
}

/// A duration in the largest units that are exact.
fn duration(seconds: u64) -> String {
    let units = [(604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn explain_change(change: &Change) -> String {
    let target = change.target.escape_debug();
    match (change.op, &change.rule) {
        (ChangeOp::Remove, _) => format!("End the block or remove the rule {target}."),
        (ChangeOp::Replace, Some(rule)) => format!("Replace the rule {target}: {}", explain_rule(rule)),
        (op, _) => format!("{op:?} {target}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> String {
        explain_rule(&serde_json::from_str(json).expect(json))
    }

    #[test]
    fn rules_in_words() {
        for (json, words) in [
            (
                r#"{"id":"r","action":"drop","direction":"input","source_address":["192.0.2.0/24"],"protocol":["tcp"],"destination_port":["22"]}"#,
                "Drop tcp port 22 from 192.0.2.0/24 to this host.",
            ),
            (
                r#"{"id":"r","action":"accept","direction":"forward","interface_in":["eth1"],"interface_out":["eth0"],"protocol":["tcp","udp"],"destination_port":["80","443"]}"#,
                "Allow tcp and udp ports 80 and 443 coming in on eth1 through this host going out on eth0.",
            ),
            (
                r#"{"id":"r","action":"drop","direction":"input","interface_in":["!lo"],"protocol":["!tcp"],"ttl_seconds":7200}"#,
                "Drop traffic other than tcp coming in on anything but lo to this host for 2 hours.",
            ),
            (
                r#"{"id":"r","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"],"connection_state":["new"],"rate_limit":{"count":6,"per":"minute","scope":"source"},"log":{}}"#,
                "Allow new tcp port 22 to this host up to 6 per minute from each source, what is over it is dropped, with a line in the log.",
            ),
            (
                r#"{"id":"r","action":"reject","direction":"output","protocol":["icmp"],"icmp_type":["8"],"enabled":false}"#,
                "Reject icmp type 8 sent by this host (switched off).",
            ),
            (
                r#"{"id":"r","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["!22","8000-8100"]}"#,
                "Drop tcp other than ports 22 and 8000-8100 to this host.",
            ),
        ] {
            assert_eq!(said(json), words);
        }
    }
}
