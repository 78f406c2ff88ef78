//! Whatever rule AFO renders, the kernel takes, and nothing but AFO's table comes of it.

use super::{Host, in_namespace};
use crate::strategies as any;
use afo::backend::nftables::{Policy, lower, whole};
use afo::packet::Protocol;
use afo::rule::{Action, Direction, FamilyMatch, OneOf, Position, RateLimit, Rule};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A rule brought nearer to sense, so that most are rendered: what AFO refuses as contradicting itself is taken out, and some matches at random.
pub fn sensible(mut rule: Rule, protocol: Protocol, keep: [bool; 10]) -> Rule {
    rule.extra.clear();
    (rule.vlan, rule.nat, rule.schedule, rule.position) = (OneOf::any(), None, None, Position::Auto);
    (rule.enabled, rule.family) = (true, FamilyMatch::Any);
    rule.protocol = OneOf::of(vec![protocol]);
    rule.action = if rule.action.denies() { rule.action } else { Action::Accept };
    let [face, source, destination, from, to, types, flags, mac, rate, rest] = keep;
    rule.interface_in = kept(rule.interface_in, face && rule.direction != Direction::Output);
    rule.interface_out = kept(rule.interface_out, face && rule.direction != Direction::Input);
    rule.source_mac = kept(rule.source_mac, mac && rule.direction != Direction::Output);
    rule.source_address = kept(rule.source_address, source);
    rule.destination_address = kept(rule.destination_address, destination);
    rule.source_port = kept(rule.source_port, from && protocol.has_ports());
    rule.destination_port = kept(rule.destination_port, to && protocol.has_ports());
    rule.icmp_type = kept(rule.icmp_type, types && [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol));
    rule.tcp_flags = rule.tcp_flags.filter(|_| flags && protocol == Protocol::TCP);
    rule.reject_with = rule.reject_with.filter(|_| rule.action == Action::Reject && protocol == Protocol::TCP);
    rule.rate_limit =
        rule.rate_limit.filter(|_| rate).map(|limit| RateLimit { burst: limit.burst.map(|b| b % 9 + 1), ..limit });
    rule.ttl_seconds = rule.ttl_seconds.map(|seconds| seconds % 100_000 + 1);
    if !rest {
        (rule.mark, rule.log, rule.ttl_seconds) = (None, None, None);
    }
    rule
}

/// The list, or, where it is not kept, anything.
fn kept<T>(list: OneOf<T>, keep: bool) -> OneOf<T> {
    if keep { list } else { OneOf::any() }
}

/// Protocols, those with fields of their own more often.
pub fn protocols() -> impl Strategy<Value = Protocol> {
    use Protocol as P;
    prop_oneof![
        3 => prop::sample::select(vec![P::TCP, P::UDP, P::ICMP, P::ICMPV6, P::SCTP]),
        1 => any::protocol(),
    ]
}

/// Loads the rules that are rendered; how many these are.
fn taken(host: &Host, rules: Vec<Rule>) -> Result<usize, TestCaseError> {
    let mut rendered: Vec<Rule> = rules.into_iter().filter(|rule| lower(rule).is_ok()).collect();
    rendered.sort_by(|a, b| a.id.cmp(&b.id));
    rendered.dedup_by(|a, b| a.id == b.id);
    let policy = Policy::of(&rendered).map_err(|why| TestCaseError::fail(format!("together refused: {why:?}")))?;
    let script = whole(&policy, &policy.blocks()).to_string();
    let out = host.try_nft(&script);
    prop_assert!(out.status.success(), "the kernel refused:\n{script}\n{}", String::from_utf8_lossy(&out.stderr));
    let tables = host.sh("nft list tables; nft flush ruleset");
    prop_assert_eq!(tables.trim(), "table inet afo");
    Ok(rendered.len())
}

#[test]
fn what_is_rendered_is_taken_by_the_kernel() {
    in_namespace(|host| {
        let config =
            ProptestConfig { cases: 40, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
        let loaded = std::cell::Cell::new(0);
        let keep = prop::array::uniform10(prop::bool::weighted(0.3));
        let rule = (any::rule().boxed(), protocols(), keep).prop_map(|(r, p, k)| sensible(r, p, k)).boxed();
        let outcome = TestRunner::new(config).run(&prop::collection::vec(rule, 1..24), |rules| {
            loaded.set(loaded.get() + taken(host, rules)?);
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
        assert!(loaded.get() > 100, "only {} rules were rendered at all", loaded.get());
    });
}
