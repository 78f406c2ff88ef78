//! What a proposal's rules come to: bans for a time, which are elements of live sets, and policy, which is switched as a whole.

use super::backend::Backend;
use super::site::Site;
use crate::backend::nftables::{Ban, Block};
use crate::packet::{AddressSpec, PortRange, Protocol, Widths};
use crate::record::{Change, ChangeOp, Proposal, Rule};
use crate::respond::{NotTimed, TimedBlock, timed_blocks};
use crate::rule::{Id, Position};
use crate::state::{Direction, PolicyRule};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// The rules of a batch, by how they are put into the kernel.
#[derive(Debug, Clone, Default)]
pub struct Split {
    pub policy: Vec<Rule>,
    pub changes: Vec<Change>,
    /// Addresses whose blocks are to end.
    pub lifted: Vec<AddressSpec>,
    pub bans: Vec<Block>,
    /// The rules that the bans come from.
    pub ban_rules: Vec<Rule>,
}

/// Sorts the rules of `proposals`.
///
/// # Errors
/// Every reason why a rule cannot be had in the backend.
pub fn split(backend: &dyn Backend, proposals: &[Proposal]) -> Result<Split, Vec<String>> {
    let mut split = Split::default();
    let mut refused = Vec::new();
    for proposal in proposals {
        for change in &proposal.changes {
            match change.target.parse() {
                Ok(address) if change.op == ChangeOp::Remove => split.lifted.push(address),
                _ => split.changes.push(change.clone()),
            }
        }
        for rule in &proposal.rules {
            match backend.bans(rule) {
                Ok(bans) if !bans.is_empty() => {
                    split.bans.extend(bans);
                    split.ban_rules.push(rule.clone());
                }
                Ok(_) => split.policy.push(rule.clone()),
                Err(why) => refused.extend(why),
            }
        }
    }
    split.bans.sort_unstable();
    split.bans.dedup();
    if refused.is_empty() { Ok(split) } else { Err(refused) }
}

impl Split {
    /// Whether the policy changes.
    pub fn changes_policy(&self) -> bool {
        !self.policy.is_empty() || !self.changes.is_empty()
    }
}

/// The blocks for a time that a proposal consists of: all of its rules are elements of the kernel's block sets. A rule that is not, is policy
/// however short its time is, and policy is a person's.
///
/// # Errors
/// Which rule is none, and why.
pub fn timed(site: &Site, proposal: &Proposal) -> Result<Vec<TimedBlock>, NotTimed> {
    let respond = &site.config.respond;
    let widths = Widths { v4: respond.max_prefix_v4, v6: respond.max_prefix_v6 };
    let timed = timed_blocks(proposal, &widths)?;
    let Ok(split) = split(site.backend, std::slice::from_ref(proposal)) else {
        return Ok(timed); // it is refused with its reasons when it is to be done
    };
    let why = format!("{} keeps it as a rule of its own, not as an element of a block set", site.backend.name());
    split.policy.first().map_or(Ok(timed), |rule| Err(NotTimed::Rule { rule: rule.id.clone(), why }))
}

/// What is banned: packets from or to which addresses, and where the ban is of one port, protocol and port.
pub fn target(ban: &Ban) -> (Direction, AddressSpec, Option<Protocol>, Vec<PortRange>) {
    match ban {
        Ban::Source(net) => (Direction::From, AddressSpec::from(*net), None, vec![]),
        Ban::Destination(net) => (Direction::To, AddressSpec::from(*net), None, vec![]),
        Ban::Port(address, protocol, port) => {
            (Direction::From, AddressSpec::single(*address), Some(*protocol), vec![PortRange::single(*port)])
        }
    }
}

/// The confirmed rules that still hold at `now`, each with the time that it has left.
pub fn standing(policy: &[PolicyRule], now: Timestamp) -> Vec<PolicyRule> {
    holding(policy, now).into_iter().map(|p| with_rest(p, now)).collect()
}

/// The confirmed rules that still hold at `now`. What stands beside a rule whose time is over takes the place of that one.
pub fn holding(policy: &[PolicyRule], now: Timestamp) -> Vec<PolicyRule> {
    let (over, holding): (Vec<&PolicyRule>, Vec<&PolicyRule>) =
        policy.iter().partition(|p| p.expires.is_some_and(|end| end <= now));
    let places: HashMap<&Id, &Rule> = over.into_iter().map(|p| (&p.rule.id, &p.rule)).collect();
    let beside = |rule: &Rule| match &rule.position {
        Position::Before(id) | Position::After(id) => places.get(id).copied(),
        _ => None,
    };
    let placed = |p: &PolicyRule| {
        let mut held = p.clone();
        // Each takes one place of those that are over, and of a circle of them none.
        for _ in 0..places.len() {
            let Some(place) = beside(&held.rule) else { break };
            (held.rule.position, held.rule.priority) = (place.position.clone(), place.priority);
        }
        held
    };
    holding.into_iter().map(placed).collect()
}

fn with_rest(mut policy: PolicyRule, now: Timestamp) -> PolicyRule {
    if let Some(end) = policy.expires {
        let left = end.duration_since(now).as_secs().max(1);
        policy.rule.ttl_seconds = u64::try_from(left).ok();
    }
    policy
}

/// When a rule with a time to live ends, if it begins at `now`; a time beyond the calendar is no end.
pub fn end(ttl_seconds: Option<u64>, now: Timestamp) -> Option<Timestamp> {
    let seconds = i64::try_from(ttl_seconds?).ok()?;
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::deploy::backend::named;
    use crate::record::parse;

    fn nftables() -> &'static dyn Backend {
        named("nftables").expect("there is one")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("time")
    }

    fn proposal(rules: &str) -> Proposal {
        let line = format!(r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}]}}"#);
        parse(&line).expect("proposal")
    }

    #[test]
    fn a_ban_for_a_time_is_no_policy() {
        let ban = r#"{"id":"a","action":"drop","direction":"input","source_address":["192.0.2.7"],"ttl_seconds":60}"#;
        let rule = r#"{"id":"b","action":"drop","direction":"input","source_address":["192.0.2.7"]}"#;
        let split = split(nftables(), &[proposal(&format!("{ban},{rule}"))]).expect("both can be had");
        assert_eq!(split.bans, [Block { ban: Ban::Source("192.0.2.7/32".parse().expect("net")), seconds: Some(60) }]);
        assert_eq!(split.policy.len(), 1);
        assert!(split.changes_policy());
    }

    #[test]
    fn an_address_to_be_removed_is_a_block_to_be_lifted() {
        let line = r#"{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"changes":[{"op":"remove","target":"192.0.2.7"},{"op":"remove","target":"r1"}]}"#;
        let split = split(nftables(), &[parse(line).expect("proposal")]).expect("split");
        assert_eq!(split.lifted, ["192.0.2.7".parse().expect("address")]);
        assert_eq!(split.changes.len(), 1);
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let odd = r#"{"id":"a","action":"drop","direction":"input","family":"ipv4","source_address":["2001:db8::1"]}"#;
        let refused = split(nftables(), &[proposal(odd)]).expect_err("a family that the address is not of");
        assert!(refused[0].contains("rule a"), "{refused:?}");
    }

    #[test]
    fn a_rule_keeps_the_time_it_has_left() {
        let rule = proposal(r#"{"id":"a","action":"accept","direction":"input","protocol":["tcp"],"ttl_seconds":600}"#);
        let rule = rule.rules[0].clone();
        let expires = end(rule.ttl_seconds, at(1000));
        let policy = [PolicyRule { rule, deployment: "d".parse().expect("id"), expires }];
        assert_eq!(standing(&policy, at(1400))[0].rule.ttl_seconds, Some(200));
        assert!(standing(&policy, at(1600)).is_empty());
        assert_eq!(end(Some(u64::MAX), at(0)), None);
    }

    #[test]
    fn what_stands_beside_a_rule_whose_time_is_over_takes_its_place() {
        let rule = |id: &str, place: &str, ttl| {
            let line = format!(
                r#"{{"id":"{id}","action":"accept","direction":"input","protocol":["tcp"],{place}"enabled":true}}"#
            );
            let rule = proposal(&line).rules[0].clone();
            PolicyRule { rule, deployment: "d".parse().expect("id"), expires: end(ttl, at(1000)) }
        };
        let policy = [
            rule("a", r#""priority":7,"#, Some(10)),
            rule("b", r#""position":"after:a","#, Some(20)),
            rule("c", r#""position":"after:b","#, None),
            rule("d", r#""position":"before:c","#, None),
        ];
        let places = |second| -> Vec<String> {
            let place = |p: PolicyRule| format!("{} {} {:?}", p.rule.id, p.rule.position, p.rule.priority);
            holding(&policy, at(second)).into_iter().map(place).collect()
        };
        assert_eq!(places(1015), ["b auto Some(7)", "c after:b None", "d before:c None"]);
        assert_eq!(places(1025), ["c auto Some(7)", "d before:c None"]);
        assert_eq!(places(1000).len(), 4);
    }
}
