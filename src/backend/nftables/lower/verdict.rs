//! What happens to the packets of a rule: log, rate, verdict.
//!
//! A rate per source lives in a set of at most [`SIZE`] sources, IPv6 counted by /64. When it is full, sources that found no
//! place share one bucket of the same rate: neither does a flood of sources switch the rate off, nor does it lock everybody out.

use super::address::header;
use super::{Lowered, named};
use crate::backend::meaning::To;
use crate::backend::nftables::native::{Key, Rate, Right, Set, SetKind, Statement, Target, Value};
use crate::packet::Family;
use crate::rule::{Action, Log, Over, Per, RateLimit, RejectWith, Rule, Scope};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Sources that a rate per source keeps at once.
pub(super) const SIZE: u32 = 65535;
/// nftables' own burst where a rule gives none (nft(8), LIMIT STATEMENT).
const BURST: u32 = 5;

/// Appends the lines that act on the packets of `matched`.
pub(super) fn finish(rule: &Rule, family: Option<Family>, matched: Vec<Statement>, lowered: &mut Lowered) {
    let act = action(rule);
    let Some(limit) = rule.rate_limit else {
        return lowered.lines.push([matched, act].concat());
    };
    let rate = rate(rule, &limit);
    let bucket = limit_name(rule, rate, lowered);
    match (limit.scope, family) {
        (Scope::Source, Some(family)) => {
            let (counted, unlisted) = sources(rule, family, rate, lowered);
            lowered.lines.push([matched.clone(), vec![counted], act.clone()].concat());
            lowered.lines.push([matched.clone(), vec![unlisted, bucket], act].concat());
        }
        _ => lowered.lines.push([matched.clone(), vec![bucket], act].concat()),
    }
    if rule.action == Action::Accept {
        lowered.lines.push([matched, vec![Statement::Counter, over(rule, &limit)]].concat());
    }
}

fn action(rule: &Rule) -> Vec<Statement> {
    let default = (rule.action == Action::Log).then(Log::default);
    let log = rule.log.clone().or(default).map(|Log { prefix, level }| Statement::Log { prefix, level });
    let verdict = match rule.action {
        Action::Accept => Some(Statement::Accept),
        Action::Drop => Some(Statement::Drop),
        Action::Reject => Some(reject(rule)),
        Action::Log => None,
        Action::Dnat => Some(Statement::Dnat(target(rule))),
        Action::Snat => Some(Statement::Snat(target(rule))),
        Action::Masquerade => Some(Statement::Masquerade(target(rule))),
        Action::Redirect => Some(Statement::Redirect(target(rule))),
    };
    log.into_iter().chain([Statement::Counter]).chain(verdict).collect()
}

fn target(rule: &Rule) -> Target {
    let to = To::of(rule);
    let address = |(first, last): (IpAddr, IpAddr)| range(Value::Address(first), Value::Address(last));
    let port = |(first, last): (u16, u16)| range(Value::Number(first.into()), Value::Number(last.into()));
    Target { address: to.addresses.map(address), ipv6: to.family() == Some(Family::Ipv6), port: to.ports.map(port) }
}

fn range(first: Value, last: Value) -> Value {
    if first == last { first } else { Value::Range(Box::new(first), Box::new(last)) }
}

fn reject(rule: &Rule) -> Statement {
    Statement::Reject(rule.reject_with.unwrap_or(RejectWith::PortUnreachable))
}

fn over(rule: &Rule, limit: &RateLimit) -> Statement {
    match limit.over {
        Over::Drop => Statement::Drop,
        Over::Reject => reject(rule),
    }
}

fn rate(rule: &Rule, limit: &RateLimit) -> Rate {
    let burst = limit.burst.unwrap_or(BURST);
    Rate { count: limit.count.get(), per: limit.per, burst, over: rule.action.denies() }
}

/// The bucket that all lines of the rule share, whatever family they are for.
fn limit_name(rule: &Rule, rate: Rate, lowered: &mut Lowered) -> Statement {
    let name = named("limit", [rule.id.to_string(), rate.to_string()]);
    if !lowered.limits.iter().any(|(known, _)| *known == name) {
        lowered.limits.push((name.clone(), rate));
    }
    Statement::Limit(name)
}

/// Counts each source for itself; and the match of sources that found no place in the set.
fn sources(rule: &Rule, family: Family, rate: Rate, lowered: &mut Lowered) -> (Statement, Statement) {
    let (prefix, kind) = match family {
        Family::Ipv4 => ("rate4", SetKind::Ipv4),
        Family::Ipv6 => ("rate6", SetKind::Ipv6),
    };
    let name = named(prefix, [rule.id.to_string(), rate.to_string(), SIZE.to_string()]);
    let set = Set::filled(name.clone(), kind, SIZE, refill(rate));
    if !lowered.sets.iter().any(|(known, _)| known.name == name) {
        lowered.sets.push((set, Arc::new([])));
    }
    let address = Key::Payload(header(family), "saddr");
    let key = match family {
        Family::Ipv4 => address,
        Family::Ipv6 => Key::Masked(Box::new(address), Value::Address(IpAddr::V6(Ipv6Addr::from(!0 << 64)))),
    };
    let counted = Statement::Update { set: name.clone(), key: key.clone(), rate: Some(rate) };
    (counted, Statement::Match { key, negated: true, right: Right::Set(name) })
}

/// Seconds after which an untouched bucket is full again, so that forgetting it changes nothing; at least a minute.
fn refill(rate: Rate) -> u32 {
    let unit: u64 = match rate.per {
        Per::Second => 1,
        Per::Minute => 60,
        Per::Hour => 3600,
        Per::Day => 86400,
    };
    let seconds = (unit * u64::from(rate.burst.max(1))).div_ceil(u64::from(rate.count)).max(unit).max(60);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
