//! What a rule may not say in nftables: values that the kernel does not take, what AFO cannot do right there.

use super::{Refused, refuse};
use crate::backend::meaning::contradictions;
use crate::rule::Rule;

/// The kernel divides a second by the rate; above this the quotient says nothing any more.
const FASTEST: u32 = 1_000_000;
/// A day times this still fits the 64 bits in which the kernel keeps a bucket.
const DEEPEST: u32 = 65535;

/// Every refusal that shows in the rule itself.
pub(super) fn check(rule: &Rule) -> Vec<Refused> {
    let own = [unknown, vlan, rate, burst];
    own.iter().filter_map(|look| look(rule)).chain(contradictions(rule)).collect()
}

fn unknown(rule: &Rule) -> Option<Refused> {
    let (name, _) = rule.extra.iter().next()?;
    Some(refuse(rule, "extra", name, "nftables has no such match here; `extra` must be empty"))
}

fn vlan(rule: &Rule) -> Option<Refused> {
    let why = "nftables' inet hooks see packets after the tag was taken off, so this never matches; name the VLAN's interface (eth1.20) in interface_in or interface_out";
    (!rule.vlan.is_any()).then(|| refuse(rule, "vlan", &rule.vlan, why))
}

fn rate(rule: &Rule) -> Option<Refused> {
    let limit = rule.rate_limit?;
    let why = format!("a rate of at most {FASTEST} per second, minute, hour or day can be kept");
    (limit.count.get() > FASTEST).then(|| refuse(rule, "rate_limit", limit.count, why))
}

fn burst(rule: &Rule) -> Option<Refused> {
    let burst = rule.rate_limit?.burst?;
    let why = format!("a burst is 1 to {DEEPEST} packets");
    (burst == 0 || burst > DEEPEST).then(|| refuse(rule, "rate_limit", format!("burst {burst}"), why))
}
