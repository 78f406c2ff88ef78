//! What AFO renders for iptables and ip6tables, the kernel takes by both kinds, and it decides as the text is read.

use super::iptables_packets::{KINDS, Tables};
use super::oracle::aim::Aims;
use super::oracle::draw::Draw;
use super::rendering::{protocols, sensible};
use super::{Host, feed, in_namespace};
use crate::strategies as any;
use afo::backend::{Backend, Extent, named};
use afo::rule::Rule;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::process::Command;

const PROGRAMS: [(&str, [&str; 2]); 2] =
    [("iptables", ["iptables-nft", "iptables-legacy"]), ("ip6tables", ["ip6tables-nft", "ip6tables-legacy"])];

fn backend(name: &str) -> &'static dyn Backend {
    named(name).expect("a backend")
}

fn restore(program: &str, arguments: &[&str], text: &str) -> Result<(), String> {
    let out = feed(Command::new(format!("{program}-restore")).args(arguments), text.as_bytes());
    let words =
        || format!("{program}-restore {arguments:?} refused:\n{text}\n{}", String::from_utf8_lossy(&out.stderr));
    if out.status.success() { Ok(()) } else { Err(words()) }
}

/// What another program keeps in the same table.
const FOREIGN: &str =
    "*filter\n:INPUT DROP [0:0]\n:mine - [0:0]\n-A INPUT -p tcp -m tcp --dport 25 -j mine\n-A mine -j ACCEPT\nCOMMIT\n";

fn dump(host: &Host, program: &str) -> Vec<String> {
    let text = host.sh(&format!("{program}-save -t filter"));
    let kept = text.lines().filter(|line| !line.starts_with('#'));
    kept.map(|line| line.split(" [").next().unwrap_or(line).to_owned()).collect()
}

/// Loads the rules that are rendered beside another program's; how many these are.
fn taken(host: &Host, rules: Vec<Rule>) -> Result<usize, TestCaseError> {
    let mut loaded = 0;
    for (name, programs) in PROGRAMS {
        let alone = |rule: &Rule| backend(name).render(std::slice::from_ref(rule), Extent::Host).is_ok();
        let mut rendered: Vec<Rule> = rules.iter().filter(|rule| alone(rule)).cloned().collect();
        rendered.sort_by(|a, b| a.id.cmp(&b.id));
        rendered.dedup_by(|a, b| a.id == b.id);
        if rendered.is_empty() {
            continue;
        }
        loaded += rendered.len();
        let native = backend(name).render(&rendered, Extent::Host);
        let native = native.map_err(|why| TestCaseError::fail(format!("together refused: {why:?}")))?;
        for program in programs {
            restore(program, &[], FOREIGN).expect("another program's rules");
            let before = dump(host, program);
            restore(program, &["--test", "--noflush"], &native.text).map_err(TestCaseError::fail)?;
            prop_assert_eq!(dump(host, program), before.clone(), "a test changed something");
            restore(program, &["--noflush"], &native.text).map_err(TestCaseError::fail)?;
            let foreign: Vec<String> = dump(host, program).into_iter().filter(|line| !line.contains("AFO-")).collect();
            prop_assert_eq!(foreign, before, "more than AFO's own was touched");
            restore(program, &[], "*filter\n:INPUT ACCEPT\nCOMMIT\n").expect("an empty table");
        }
    }
    Ok(loaded)
}

#[test]
fn what_is_rendered_is_taken_by_every_kind_of_iptables() {
    in_namespace(|host| {
        let config =
            ProptestConfig { cases: 12, failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::default() };
        let loaded = std::cell::Cell::new(0);
        let keep = prop::array::uniform10(prop::bool::weighted(0.3));
        let drawn = (any::rule().boxed(), protocols(), keep);
        let rule = drawn.prop_map(|(r, p, k)| Rule { ttl_seconds: None, ..sensible(r, p, k) }).boxed();
        let outcome = TestRunner::new(config).run(&prop::collection::vec(rule, 8..24), |rules| {
            loaded.set(loaded.get() + taken(host, rules)?);
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
        assert!(loaded.get() > 60, "only {} rules were rendered at all", loaded.get());
    });
}

#[test]
fn a_rate_with_every_unit_is_taken() {
    in_namespace(|host| {
        let mut rules = Vec::new();
        for (per, count, burst) in [
            ("second", 10_000, 10_000),
            ("second", 1, 1),
            ("minute", 7, 5),
            ("hour", 1, 24),
            ("day", 1, 1),
            ("day", 600_000, 600),
        ] {
            for scope in ["total", "source"] {
                for action in ["accept", "drop"] {
                    let fields = json!({"id": format!("{per}{count}{scope}{action}"), "action": action, "direction": "input", "protocol": ["tcp"],
                        "destination_port": ["22"], "rate_limit": {"count": count, "per": per, "burst": burst, "scope": scope, "over": "reject"}});
                    rules.push(serde_json::from_value(fields).expect("a rule"));
                }
            }
        }
        assert_eq!(taken(host, rules).expect("taken"), 48);
    });
}

/// What the rules of a policy ask of the packets that come, and what becomes of them.
fn policy() -> Vec<Rule> {
    let rules = json!([
        {"id": "a", "action": "accept", "direction": "forward", "protocol": ["tcp"], "destination_port": ["22", "80-81", "443"], "source_address": ["10.0.0.1", "10.0.0.3", "2001:db8::1"]},
        {"id": "b", "action": "reject", "direction": "forward", "protocol": ["tcp"], "destination_address": ["192.0.2.0/24", "198.51.100.1-198.51.100.9"], "source_address": ["10.0.0.0/28"], "reject_with": "tcp-reset"},
        {"id": "c", "action": "drop", "direction": "forward", "protocol": ["!tcp", "sctp"], "interface_in": ["!eth0", "wan0"]},
        {"id": "d", "action": "drop", "direction": "input", "protocol": ["icmp", "icmpv6"]},
        {"id": "e", "action": "accept", "direction": "input", "interface_in": ["lo"]},
        {"id": "f", "action": "drop", "direction": "input", "destination_port": ["53", "67-68"], "source_port": ["!53"]},
        {"id": "g", "action": "drop", "direction": "output", "protocol": ["tcp"], "tcp_flags": {"mask": ["syn", "ack"], "set": ["syn"]}},
        {"id": "h", "action": "drop", "direction": "input"},
    ]);
    serde_json::from_value(rules).expect("rules")
}

#[test]
fn packets_meet_what_was_rendered() {
    in_namespace(|_| {
        let mut compared = 0;
        for programs in KINDS {
            let (mut tables, mut draw) = (Tables::open(programs), Draw::new(2026));
            for (v6, name) in [(false, "iptables"), (true, "ip6tables")] {
                let native = backend(name).render(&policy(), Extent::Host).expect("rendered");
                // The kind of iptables, which says how fragments are read, is told by the test.
                let (_, text) = native.text.split_once('\n').expect("a first line");
                let ruleset = tables.load(v6, text);
                let aims = Aims::of(&ruleset);
                let packets: Vec<_> = (0..600).map(|_| aims.packet(&mut draw)).collect();
                compared += tables.compare(&ruleset, &packets, text);
            }
        }
        assert!(compared > 1200, "too few could be sent: {compared}");
    });
}
