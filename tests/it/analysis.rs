//! Proposals and audits against rulesets of tests/rulesets, each read from what nft lists: the names of conflicts, case by case.

use crate::tree::root;
use afo::analyze::{Against, Budget, Judgement, audit, conflicts, stops};
use afo::backend::nftables::read;
use afo::record::{Change, ChangeOp, ConflictType, FindingType, PacketClass};
use afo::rule::ruleset::Ruleset;
use afo::rule::{Packet, Rule};
use serde_json::{Value, json};
use std::borrow::Cow;

fn ruleset(name: &str) -> Ruleset {
    let text = std::fs::read_to_string(root().join(format!("tests/rulesets/{name}.json"))).expect("a sample");
    read(&text).expect("a listing")
}

/// A rule in short: `ID ACTION DIRECTION field=value,value …`.
fn rule(short: &str) -> Rule {
    let mut words = short.split_whitespace();
    let mut next = || words.next().expect("id, action, direction");
    let mut fields = json!({ "id": next(), "action": next(), "direction": next() });
    for word in words {
        let (name, value) = word.split_once('=').expect("field=value");
        fields[name] = match (name, value.parse::<u64>()) {
            ("ttl_seconds", Ok(number)) => json!(number),
            ("position" | "family", _) => json!(value),
            ("rate_limit" | "extra", _) => serde_json::from_str(value).expect("JSON"),
            _ => Value::Array(value.split(',').map(|v| json!(v)).collect()),
        };
    }
    serde_json::from_value(fields).unwrap_or_else(|e| panic!("{short}: {e}"))
}

fn judged(ruleset_name: &str, rules: &[&str]) -> Judgement {
    let rules: Vec<_> = rules.iter().map(|short| rule(short)).collect();
    conflicts(&ruleset(ruleset_name), &rules, Budget::default())
}

/// `type[!] rule`, with a mark on what stops a deployment.
fn names(found: &Judgement) -> Vec<String> {
    let name = |item: &afo::record::Conflict| {
        let mark = if stops(item) { "!" } else { "" };
        format!("{}{mark} {}", item.kind.as_str(), item.rule.as_ref().expect("a rule"))
    };
    found.conflicts.items.iter().map(name).collect()
}

#[test]
fn each_conflict_has_its_name() {
    for (sample, rules, expected) in [
        // What never matches.
        ("closed", vec!["r drop input family=ipv6 source_address=192.0.2.1"], vec!["unmatchable! r"]),
        // Order among the proposal's own rules.
        (
            "closed",
            vec!["a drop input protocol=tcp destination_port=80", "b accept input protocol=tcp destination_port=80"],
            vec!["contradiction! b"],
        ),
        (
            "closed",
            vec!["a drop input protocol=tcp destination_port=70-90", "b accept input protocol=tcp destination_port=80"],
            vec!["shadow! b"],
        ),
        (
            "closed",
            vec![
                "a drop input protocol=tcp destination_port=1-79",
                "b drop input protocol=tcp destination_port=80-90",
                "c accept input protocol=tcp destination_port=70-85",
            ],
            vec!["shadow! c"],
        ),
        (
            "closed",
            vec!["a drop input protocol=tcp destination_port=70-90", "b drop input protocol=tcp destination_port=80"],
            vec!["redundant b"],
        ),
        (
            "closed",
            vec![
                "a accept input source_address=192.0.2.7 protocol=tcp destination_port=80",
                "b drop input protocol=tcp destination_port=80",
            ],
            vec!["generalization b"],
        ),
        (
            "closed",
            vec![
                "a accept input source_address=192.0.2.0/24 protocol=tcp destination_port=443",
                "b drop input source_address=192.0.2.0/28 protocol=tcp",
            ],
            vec!["overlap b"],
        ),
        (
            "closed",
            vec![
                "a drop input protocol=tcp destination_port=80-81",
                "b drop input protocol=tcp destination_port=81-443",
            ],
            vec!["partial b"],
        ),
        (
            "closed",
            vec![
                "a drop input protocol=tcp destination_port=80 position=last",
                "b accept input protocol=tcp destination_port=80 position=first",
            ],
            vec!["contradiction! a"],
        ),
        // An accept and what later base chains do to it, through jumps, goto and sets.
        ("closed", vec!["r accept input protocol=tcp destination_port=8080"], vec!["ineffective! r"]),
        ("closed", vec!["r accept input protocol=tcp destination_port=80,8080"], vec!["ineffective r"]),
        (
            "closed",
            vec!["r accept input source_address=192.0.2.9 protocol=tcp destination_port=22"],
            vec!["redundant r"],
        ),
        (
            "closed",
            vec!["r accept input source_address=192.0.2.9 protocol=tcp destination_port=22 connection_state=new"],
            vec!["redundant r"],
        ),
        (
            "closed",
            vec!["r accept input source_address=192.0.2.53 protocol=udp destination_port=53 connection_state=new"],
            vec!["ineffective! r"],
        ),
        (
            "closed",
            vec!["r accept input protocol=tcp destination_port=25 connection_state=new"],
            vec!["ineffective! r"],
        ),
        ("closed", vec!["r accept forward interface_in=guest1 interface_out=lan0"], vec!["ineffective! r"]),
        ("closed", vec!["r accept forward interface_in=guest1"], vec!["ineffective r"]),
        ("closed", vec!["r accept forward interface_in=wan"], vec!["redundant r"]),
        // What decides is not read.
        (
            "closed",
            vec!["r accept input family=ipv4 protocol=tcp destination_port=9000 connection_state=new"],
            vec!["unknown! r"],
        ),
        ("closed", vec![r#"r drop input extra={"osf":"linux"}"#], vec!["unknown! r"]),
        // Denials.
        ("closed", vec!["r drop input protocol=tcp destination_port=80"], vec![]),
        ("closed", vec!["r drop input protocol=udp destination_port=99 connection_state=new"], vec!["redundant r"]),
        ("closed", vec!["r drop input source_address=203.0.113.9 ttl_seconds=600"], vec![]),
        // AFO's own generation, behind its switch.
        ("generation", vec!["r drop input protocol=tcp destination_port=22"], vec!["redundant r"]),
        ("generation", vec!["r accept input protocol=tcp destination_port=22"], vec!["shadow! r"]),
    ] {
        let found = judged(sample, &rules);
        assert_eq!(names(&found), expected, "{sample} {rules:?}: {:#?}", found.conflicts.items);
    }
}

#[test]
fn an_effect_is_few_classes_with_the_rules_that_decide() {
    let found = judged(
        "closed",
        &["r drop input source_address=203.0.113.0/24 protocol=tcp destination_port=22,80 connection_state=new"],
    );
    let classes: Vec<_> = found.effect.newly_dropped.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(classes, ["input: tcp from 203.0.113.0/24 to port 80 in by any but lo of state new"]);
    let class = &found.effect.newly_dropped[0];
    assert_eq!(class.example.as_deref(), Some("input eth0 203.0.113.9:40000 > 198.51.100.10:80 tcp syn"));
    assert!(class.before.as_deref().is_some_and(|b| b.ends_with("tcp dport { 80, 443 } accept")), "{class:?}");
    assert!(found.effect.newly_accepted.is_empty());
    let opened = judged("generation", &["r accept input protocol=tcp destination_port=22 position=first"]);
    let classes: Vec<_> = opened.effect.newly_accepted.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(classes.len(), 2, "{classes:?}");
    assert!(opened.effect.newly_dropped.is_empty());
}

fn change(op: ChangeOp, target: &str, rule: Option<Rule>) -> Change {
    Change { op, target: target.to_owned(), rule }
}

/// What changes of a ruleset come to: conflicts, what is dropped newly and what is accepted newly.
fn changed(changes: &[Change]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let ruleset = ruleset("generation");
    let found = Against::new(Cow::Borrowed(&ruleset)).judge(&[], changes, Budget::default());
    let named = |item: &afo::record::Conflict| format!("{} {}", item.kind.as_str(), item.explanation);
    let texts = |classes: &[PacketClass]| classes.iter().map(|class| class.text.clone()).collect();
    let items = found.conflicts.items.iter().map(named).collect();
    (items, texts(&found.effect.newly_dropped), texts(&found.effect.newly_accepted))
}

#[test]
fn a_change_of_what_is_there_has_its_effect() {
    let (items, dropped, accepted) = changed(&[change(ChangeOp::Remove, "old2", None)]);
    assert_eq!((items.len(), dropped.len(), accepted.len()), (0, 0, 2), "{items:?} {dropped:?} {accepted:?}");
    assert!(accepted.iter().all(|text| text.contains("tcp") && text.contains("to port 22")), "{accepted:?}");
    let (items, dropped, accepted) = changed(&[change(ChangeOp::Disable, "old1", None)]);
    assert_eq!((items.len(), accepted.len()), (0, 0), "{items:?}");
    assert_eq!(dropped, ["input: tcp from 192.0.2.9 to port 22 in by any but lo"]);
    let wider = rule("old1 accept input source_address=192.0.2.0/24 protocol=tcp destination_port=22");
    let (items, dropped, accepted) = changed(&[change(ChangeOp::Replace, "old1", Some(wider))]);
    assert!(items.iter().all(|words| words.starts_with("overlap")), "{items:?}");
    assert_eq!((dropped.len(), accepted.len()), (0, 1), "{dropped:?} {accepted:?}");
    let (items, dropped, accepted) = changed(&[change(ChangeOp::Remove, "203.0.113.66", None)]);
    assert_eq!((items.len(), dropped.len()), (0, 0), "{items:?}");
    assert!(accepted.iter().all(|text| text.contains("from 203.0.113.66")), "{accepted:?}");
    assert!(accepted.iter().any(|text| text.starts_with("forward:")), "{accepted:?}");
}

#[test]
fn a_change_that_does_nothing_or_that_nobody_can_judge_is_named() {
    for (one, words) in [
        (
            change(ChangeOp::Remove, "gone", None),
            "unknown what this change does is not known: no rule `gone` of AFO's is in this ruleset",
        ),
        (change(ChangeOp::Remove, "192.0.2.0/24", None), ""),
        (
            change(ChangeOp::Policy, "input", None),
            "unknown what this change does is not known: a default policy cannot be changed by this version; add a last rule that drops instead",
        ),
        (
            change(ChangeOp::Enable, "off1", None),
            "unknown what this change does is not known: a rule that is disabled is not in the ruleset; bring rule `off1` along",
        ),
        (
            change(ChangeOp::Replace, "old1", None),
            "unknown what this change does is not known: no rule comes in the place of `old1`",
        ),
    ] {
        let (items, ..) = changed(&[one]);
        assert_eq!(items.first().map_or("", String::as_str), words);
    }
    let same = rule("old2 drop input protocol=tcp destination_port=22");
    let (items, dropped, accepted) = changed(&[change(ChangeOp::Replace, "old2", Some(same))]);
    assert!(items.iter().all(|words| words.starts_with("generalization")), "{items:?}");
    assert_eq!((dropped.len(), accepted.len()), (0, 0));
}

#[test]
fn a_placement_that_works_is_tried_and_named() {
    let found = judged("closed", &["r accept input protocol=tcp destination_port=8080"]);
    assert_eq!(
        found.advice,
        [
            "put once before what drops, `meta mark & 0x10000000 == 0x10000000 accept` lets through what AFO accepts, and nothing else (afo-deploy --placement foreign puts it there)",
            "rule r opens nothing by itself; tried: with the same accept before `inet filter input: policy drop` everything that reaches it goes through"
        ]
    );
    let found = judged(
        "closed",
        &["a drop input protocol=tcp destination_port=70-90", "b accept input protocol=tcp destination_port=80"],
    );
    assert_eq!(
        found.advice,
        ["rule b is never reached where it stands; tried: with `position` before:a packets reach it"]
    );
}

#[test]
fn every_example_is_a_packet_that_can_be_read() {
    let found =
        judged("closed", &["a accept input protocol=tcp destination_port=1-9000", "b drop input", "c drop forward"]);
    let items = found.conflicts.items.iter().filter_map(|i| i.example.as_ref());
    let classes =
        found.effect.newly_dropped.iter().chain(&found.effect.newly_accepted).filter_map(|c| c.example.as_ref());
    let all: Vec<_> = items.chain(classes).collect();
    assert!(all.len() > 3);
    for text in all {
        assert_eq!(text.parse::<Packet>().unwrap_or_else(|e| panic!("{text}: {e}")).to_string(), *text);
    }
}

#[test]
fn an_audit_names_dead_rules_with_their_cover() {
    let findings = audit(&ruleset("closed"), Budget::default());
    let dead: Vec<_> = findings.iter().filter(|f| f.dead).collect();
    assert_eq!(dead.len(), 1, "{findings:#?}");
    assert_eq!(dead[0].kind, FindingType::Redundant);
    let rule = dead[0].rule.as_ref().expect("a rule");
    assert_eq!(
        (rule.chain.as_deref(), rule.index, rule.text.as_str()),
        (Some("services"), Some(4), "tcp dport 25 drop")
    );
    assert_eq!(dead[0].by.iter().map(|by| by.text.as_str()).collect::<Vec<_>>(), ["tcp dport 25 return"]);
    let unknown: Vec<_> = findings.iter().filter(|f| f.kind == FindingType::Unknown).collect();
    assert_eq!(unknown.len(), 1, "{unknown:#?}");
}

#[test]
fn circles_and_missing_chains_are_unknown_and_end() {
    let listing = |verdict: &str| {
        format!(
            r#"{{"nftables":[{{"chain":{{"family":"inet","table":"t","name":"c","type":"filter","hook":"input","prio":0,"policy":"drop"}}}},
                {{"rule":{{"family":"inet","table":"t","chain":"c","expr":[{verdict}]}}}},{{"rule":{{"family":"inet","table":"t","chain":"c","expr":[{verdict}]}}}}]}}"#
        )
    };
    for (verdict, words) in [
        (r#"{"jump":{"target":"c"}}"#, "chain `c` is entered over more than 15 jumps"),
        (r#"{"goto":{"target":"x"}}"#, "there is no chain `x` to jump to"),
    ] {
        let ruleset = read(&listing(verdict)).expect("a listing");
        let found = conflicts(&ruleset, &[rule("r drop input")], Budget::default());
        assert_eq!(names(&found), ["unknown! r"]);
        assert!(found.conflicts.items[0].explanation.ends_with(words), "{}", found.conflicts.items[0].explanation);
        assert!(audit(&ruleset, Budget::default()).iter().any(|f| f.explanation.ends_with(words)));
    }
}

/// Of a rule on a way that could not be laid out nothing is said, whatever another way that was laid out says of it.
#[test]
fn rules_on_a_way_that_was_not_laid_out_are_not_judged() {
    let base = |hook: &str| json!({ "chain": { "family": "inet", "table": "t", "name": hook, "type": "filter", "hook": hook, "prio": 0, "policy": "accept" } });
    let chain = |name: &str| json!({ "chain": { "family": "inet", "table": "t", "name": name } });
    let rule = |chain: &str, expr: Vec<Value>| json!({ "rule": { "family": "inet", "table": "t", "chain": chain, "expr": expr } });
    let jump = |to: &str| vec![json!({ "jump": { "target": to } })];
    let from = json!({ "match": { "op": "==", "left": { "meta": { "key": "iifname" } }, "right": "eth0" } });
    let shared = rule("shared", vec![from, json!({ "drop": null })]);
    let mut objects = vec![base("input"), base("output"), chain("shared"), chain("circle")];
    objects.extend([
        rule("output", jump("shared")),
        rule("input", jump("shared")),
        rule("circle", jump("circle")),
        shared,
    ]);
    let about = |objects: &[Value]| {
        let findings = audit(&read(&json!({ "nftables": objects }).to_string()).expect("a listing"), Budget::default());
        let of = |f: &&afo::record::Finding| f.rule.as_ref().and_then(|rule| rule.chain.as_deref()) == Some("shared");
        (
            findings.iter().filter(of).count(),
            findings.iter().any(|f| f.explanation.contains("input packets was not judged")),
        )
    };
    assert_eq!(about(&objects), (0, false));
    // What it says of packets of this host alone, which have no interface to come in by, is not all of it.
    objects.push(rule("input", jump("circle")));
    assert_eq!(about(&objects), (0, true));
    objects.retain(|object| object != &rule("input", jump("shared")) && object != &rule("input", jump("circle")));
    assert_eq!(about(&objects), (1, false));
}

/// Rules that split every piece of each other: the search ends by its budget and says so.
#[test]
fn an_adversarial_ruleset_ends_undecided() {
    let mut lines = Vec::new();
    for n in 0..60u32 {
        let (a, b, c) = (n * 7 % 61 * 1000, n * 13 % 61 * 1000, n * 29 % 61 * 4_000_000);
        lines.push(format!(
            r#"{{"rule":{{"family":"inet","table":"t","chain":"c","expr":[
                {{"match":{{"op":"!=","left":{{"payload":{{"protocol":"tcp","field":"sport"}}}},"right":{{"range":[{a},{}]}}}}}},
                {{"match":{{"op":"!=","left":{{"payload":{{"protocol":"tcp","field":"dport"}}}},"right":{{"range":[{b},{}]}}}}}},
                {{"match":{{"op":"!=","left":{{"meta":{{"key":"mark"}}}},"right":{{"range":[{c},{}]}}}}}},{{"accept":null}}]}}}}"#,
            a + 900, b + 900, c + 3_900_000
        ));
    }
    let chain =
        r#"{"chain":{"family":"inet","table":"t","name":"c","type":"filter","hook":"input","prio":0,"policy":"drop"}}"#;
    let ruleset = read(&format!(r#"{{"nftables":[{chain},{}]}}"#, lines.join(","))).expect("a listing");
    let findings = audit(&ruleset, Budget { steps: 3 });
    assert!(
        findings.iter().any(|f| f.kind == FindingType::Unknown && f.explanation.starts_with("undecided after 3 steps"))
    );
}

/// One rule of an input chain: `SOURCE PORTS VERDICT`, `-` for what is not asked.
fn filter_line(short: &str) -> Value {
    let words: Vec<_> = short.split_whitespace().collect();
    let [source, ports, verdict] = words.as_slice() else { panic!("{short}: source, ports and verdict") };
    let mut expr = Vec::new();
    let ask = |protocol: &str, field: &str, right: Value| json!({ "match": { "op": "==", "left": { "payload": { "protocol": protocol, "field": field } }, "right": right } });
    if let Some((addr, len)) = source.split_once('/') {
        let length: u8 = len.parse().expect("a length");
        expr.push(ask("ip", "saddr", json!({ "prefix": { "addr": addr, "len": length } })));
    }
    if let Some((first, last)) = ports.split_once('-').filter(|(first, _)| !first.is_empty()) {
        let port = |text: &str| text.parse::<u16>().expect("a port");
        expr.push(ask("tcp", "dport", json!({ "range": [port(first), port(last)] })));
    }
    expr.push(json!({ *verdict: null }));
    json!({ "rule": { "family": "inet", "table": "t", "chain": "c", "expr": expr } })
}

fn filter(lines: &[&str]) -> Ruleset {
    let mut objects = vec![
        json!({ "table": { "family": "inet", "name": "t" } }),
        json!({ "chain": { "family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "input", "prio": 0, "policy": "accept" } }),
    ];
    objects.extend(lines.iter().map(|short| filter_line(short)));
    read(&json!({ "nftables": objects }).to_string()).expect("a listing")
}

/// Which lines of a filter no packet reaches, which lines block them, and whether these do otherwise: the cases that tools for
/// routers show (one line blocks with the other verdict, one with the same, several only together, a part of it, none).
#[test]
fn unreachable_lines_of_a_filter_have_their_blocking_lines() {
    for (lines, dead) in [
        (vec!["10.64.0.0/12 - drop", "192.0.2.0/24 - drop", "10.70.58.184/32 - accept"], vec![(2, "shadow", vec![0])]),
        (vec!["10.0.0.0/8 - drop", "192.0.2.0/24 - accept", "10.203.159.1/32 - drop"], vec![(2, "redundant", vec![0])]),
        (
            vec!["10.0.0.0/25 - drop", "10.0.0.128/25 - drop", "10.0.1.0/24 - drop", "10.0.0.0/24 1-9 accept"],
            vec![(3, "shadow", vec![0, 1])],
        ),
        (vec!["10.0.0.0/25 - drop", "10.0.0.0/24 - accept"], vec![]),
        (vec!["10.0.0.0/24 1-9 drop", "10.0.0.0/24 1-9 accept"], vec![(1, "contradiction", vec![0])]),
        // An exception inside what covers it is one of the cover's, too.
        (
            vec!["10.0.0.1/32 - drop", "10.0.0.0/8 - accept", "10.0.0.0/24 - accept", "- - drop"],
            vec![(2, "redundant", vec![1])],
        ),
        (vec!["- 1-100 accept", "- 101-200 accept", "- 50-150 accept", "- - drop"], vec![(2, "redundant", vec![0, 1])]),
    ] {
        let findings = audit(&filter(&lines), Budget::default());
        let told = findings.iter().filter(|f| f.dead).map(|f| {
            let blocking = f.by.iter().filter_map(|by| by.index).collect::<Vec<_>>();
            (
                f.rule.as_ref().and_then(|r| r.index).expect("a rule"),
                json!(f.kind).as_str().unwrap_or("").to_owned(),
                blocking,
            )
        });
        let dead: Vec<_> = dead.into_iter().map(|(n, kind, by)| (n, kind.to_owned(), by)).collect();
        assert_eq!(told.collect::<Vec<_>>(), dead, "{lines:?}");
    }
}

#[test]
fn what_can_go_and_what_can_go_together() {
    let findings = audit(
        &filter(&["10.0.0.0/24 - accept", "10.0.0.0/24 - accept", "10.0.0.0/25 - drop", "- - drop"]),
        Budget::default(),
    );
    let can_go = |f: &&afo::record::Finding| f.kind == FindingType::Redundant || f.dead;
    let told: Vec<_> =
        findings.iter().filter(can_go).map(|f| (f.rule.as_ref().expect("a rule").index, f.together)).collect();
    // The first of two equal rules can go, and so can the second, but not both.
    assert_eq!(told, [(Some(2), true), (Some(0), false), (Some(1), true)]);
}

#[test]
fn rules_that_others_take_packets_from_are_counted_for_each_chain() {
    let ruleset = filter(&[
        "10.0.0.0/25 - accept",
        "10.0.0.0/24 - drop",
        "10.0.1.0/24 1-9 accept",
        "10.0.1.0/24 - drop",
        "10.0.0.0/16 5-20 accept",
        "- - drop",
    ]);
    let findings = audit(&ruleset, Budget::default());
    let told: Vec<_> = findings
        .iter()
        .filter_map(|f| Some((json!(f.kind), f.count?, f.rule.as_ref()?.index?, f.by.first()?.index?)))
        .collect();
    assert_eq!(told, [(json!("generalization"), 3, 1, 0), (json!("correlation"), 1, 4, 1)]);
    let first = findings.iter().find(|f| f.count == Some(3)).expect("a finding");
    assert_eq!(first.left, ["input: everything from 10.0.0.128/25"]);
    let witness = first.witness.as_ref().expect("a packet");
    assert!(witness.verdict.starts_with("accept by ") && witness.expected.as_deref() == Some("drop"), "{witness:?}");
}

/// Base chains of the input hook, one behind the other, each with its rules; and other chains.
fn chains(all: &[(&str, bool, &[&str])]) -> afo::rule::ruleset::Ruleset {
    let mut items = vec![json!({"table": {"family": "inet", "name": "t"}})];
    for (n, (name, base, rules)) in all.iter().enumerate() {
        let mut chain = json!({"family": "inet", "table": "t", "name": name});
        if *base {
            chain["type"] = json!("filter");
            chain["hook"] = json!("input");
            chain["prio"] = json!(n);
            chain["policy"] = json!("accept");
        }
        items.push(json!({"chain": chain}));
        for rule in *rules {
            let (port, verdict) = rule.split_once(' ').expect("a port and a verdict");
            let target = |word: &str, name: &str| json!({word: {"target": name}});
            let verdict = match verdict.split_once(' ') {
                Some((word, name)) => target(word, name),
                None => json!({verdict: null}),
            };
            let asks = json!({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                "right": port.parse::<u16>().expect("a port")}});
            items.push(json!({"rule": {"family": "inet", "table": "t", "chain": name, "expr": [asks, verdict]}}));
        }
    }
    read(&json!({"nftables": items}).to_string()).expect("a listing")
}

fn told(ruleset: &afo::rule::ruleset::Ruleset) -> Vec<(serde_json::Value, bool, String, usize)> {
    let findings = audit(ruleset, Budget::default());
    let rule =
        |f: &afo::record::Finding| f.rule.as_ref().map(|r| (r.chain.clone().unwrap_or_default(), r.index.unwrap_or(0)));
    findings.iter().filter_map(|f| rule(f).map(|(chain, n)| (json!(f.kind), f.dead, chain, n))).collect()
}

#[test]
fn what_a_goto_takes_away_is_judged_by_where_it_ends() {
    let ruleset =
        chains(&[("in", true, &["25 goto none", "25 drop", "26 goto none", "26 accept"]), ("none", false, &[])]);
    let expected = [(json!("shadow"), true, "in".to_owned(), 1), (json!("redundant"), true, "in".to_owned(), 3)];
    let told = told(&ruleset);
    assert!(expected.iter().all(|one| told.contains(one)), "{told:?}");
}

#[test]
fn a_return_before_nothing_can_go() {
    let ruleset = chains(&[
        ("in", true, &["25 jump other", "25 drop"]),
        ("other", false, &["25 return"]),
        ("late", true, &["80 return", "81 return", "81 drop"]),
    ]);
    let told: Vec<_> = told(&ruleset).into_iter().filter(|(_, dead, ..)| !dead).collect();
    assert!(told.contains(&(json!("redundant"), false, "other".to_owned(), 0)), "{told:?}");
    assert!(told.contains(&(json!("redundant"), false, "late".to_owned(), 0)), "{told:?}");
    assert!(!told.contains(&(json!("redundant"), false, "late".to_owned(), 1)), "{told:?}");
}

#[test]
fn what_a_later_base_chain_drops_was_accepted_in_vain() {
    let ruleset = chains(&[("first", true, &["25 accept", "26 accept"]), ("second", true, &["25 drop"])]);
    let findings = audit(&ruleset, Budget::default());
    let vain = findings.iter().find(|f| f.kind == FindingType::Ineffective).expect("a finding");
    assert_eq!(vain.rule.as_ref().map(|r| (r.chain.as_deref(), r.index)), Some((Some("first"), Some(0))));
    assert_eq!(vain.by.first().and_then(|by| by.chain.as_deref()), Some("second"));
    assert_eq!(vain.explanation, "later base chains drop all that this rule accepts, and only a drop is final");
    let witness = vain.witness.as_ref().expect("a packet");
    assert!(witness.verdict.starts_with("drop by ") && witness.expected.as_deref() == Some("accept"), "{witness:?}");
}

/// What a sender is told is part of what a rule decides: a refusal that never happens where all is dropped in silence later on is no
/// repetition.
#[test]
fn a_dead_refusal_is_not_the_same_as_a_later_drop() {
    let named = |first: &str, dead: &str, later: &str| {
        let dump = format!(
            "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp --dport 80 -j {first}\n-A INPUT -p tcp --dport 80 -j {dead}\nCOMMIT\n\
             *security\n:INPUT ACCEPT\n-A INPUT -p tcp --dport 1:99 -j {later}\nCOMMIT\n"
        );
        let ruleset = afo::backend::iptables::read(&dump).expect("a dump");
        let found = audit(&ruleset, Budget::default()).into_iter().find(|found| found.dead).expect("a dead rule");
        (
            found.kind,
            found.witness.map(|witness| (witness.verdict.starts_with("drop"), witness.expected.unwrap_or_default())),
        )
    };
    let (denied, refused) = (Some((true, "drop".to_owned())), Some((true, "reject".to_owned())));
    assert_eq!(named("ACCEPT", "REJECT", "DROP"), (FindingType::Contradiction, refused));
    assert_eq!(named("ACCEPT", "DROP", "DROP"), (FindingType::Redundant, denied.clone()));
    assert_eq!(named("DROP", "DROP", "DROP"), (FindingType::Redundant, denied));
    assert_eq!(named("ACCEPT", "REJECT", "ACCEPT").0, FindingType::Contradiction);
    // Where a return leads to the drop it is the same.
    assert_eq!(named("RETURN", "REJECT", "DROP").0, FindingType::Shadow);
    assert_eq!(named("RETURN", "DROP", "DROP").0, FindingType::Redundant);
}

/// Jumps and gotos without which nothing changes are named; those that decide, change a mark or are entered twice are not.
#[test]
fn a_jump_that_changes_nothing_is_redundant() {
    let named = |own: &str, rules: &str| {
        let dump = format!("*filter\n:INPUT DROP\n:own -\n:inner -\n{own}\n{rules}\nCOMMIT\n").replace("\n\n", "\n");
        let ruleset = afo::backend::iptables::read(&dump).expect("a dump");
        let found = audit(&ruleset, Budget::default());
        let idle = found.into_iter().filter(|found| found.kind == FindingType::Redundant && !found.dead);
        let shown =
            |found: afo::record::Finding| format!("{}: {}", found.rule.expect("a rule").text, found.explanation);
        idle.map(shown).filter(|text| text.contains("-j own") || text.contains("-g own")).collect::<Vec<_>>()
    };
    let ssh = "-A INPUT -p tcp --dport 22 -j ACCEPT";
    let jump = format!("-A INPUT -p tcp -j own\n{ssh}");
    for own in [
        "",
        "-A own -j RETURN",
        "-A own -s 192.0.2.1 -j LOG",
        "-A own -p udp -j ACCEPT",
        // What comes behind decides the same.
        "-A own -p tcp --dport 22 -j ACCEPT",
        "-A own -p tcp --dport 23 -j DROP",
        "-A own -p tcp --dport 23 -j inner\n-A inner -s 192.0.2.1 -j DROP",
    ] {
        let words =
            "every packet has the same fate without chain `own` in this place: removing this rule changes nothing";
        assert_eq!(named(own, &jump), [format!("-p tcp -j own: {words}")], "{own}");
    }
    for own in [
        "-A own -p tcp --dport 22 -j DROP",
        "-A own -p tcp --dport 23 -j ACCEPT",
        "-A own -p tcp --dport 23 -j REJECT",
        "-A own -j MARK --set-mark 1",
        "-A own -j NFQUEUE --queue-num 0",
        "-A own -p tcp --dport 22 -j inner\n-A inner -s 192.0.2.1 -j DROP",
    ] {
        assert_eq!(named(own, &jump), Vec::<String>::new(), "{own}");
    }
    let goto = |rest: &str| named("", &format!("-A INPUT -p tcp -g own\n{rest}"));
    assert_eq!(goto(ssh), Vec::<String>::new());
    assert_eq!(goto("-A INPUT -p udp -j ACCEPT").len(), 1);
    let many: String = (0..300).map(|n| format!("-A own -s 192.0.2.{} -j DROP\n", n % 250)).collect();
    assert_eq!(named(&many, "-A INPUT -p tcp -j own"), Vec::<String>::new());
}

#[test]
fn a_rule_for_what_is_led_elsewhere_does_nothing() {
    let dump = "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -i eth0 -d 198.51.100.10 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:8080\nCOMMIT\n\
                *filter\n:FORWARD ACCEPT\nCOMMIT\n";
    let live = afo::backend::iptables::read(dump).expect("a dump");
    let judge = |line: &str| {
        let rule = Rule::from_line(line).expect("a rule");
        Against::new(Cow::Borrowed(&live)).judge(&[rule], &[], Budget::default())
    };
    let asked = "a drop forward interface_in=eth0 destination_address=198.51.100.10 protocol=tcp destination_port=80";
    let found = judge(asked);
    let [item] = found.conflicts.items.as_slice() else { panic!("{found:#?}") };
    assert!(item.kind == ConflictType::Ineffective && item.dead && stops(item), "{found:#?}");
    assert!(
        item.with[0].contains("-j DNAT") && item.explanation.contains("ask for where they are led to"),
        "{item:#?}"
    );
    // What belongs to a connection, or to none, is not led elsewhere by a rule.
    let [class] = found.effect.newly_dropped.as_slice() else { panic!("{found:#?}") };
    assert!(class.text.ends_with("of any state but new"), "{found:#?}");
    let found =
        judge("a drop forward destination_address=10.0.0.5 protocol=tcp destination_port=8080 connection_state=new");
    assert_eq!(found.conflicts.items, []);
    let examples: Vec<_> = found.effect.newly_dropped.iter().filter_map(|class| class.example.clone()).collect();
    assert!(examples.iter().any(|example| example.contains("> 198.51.100.10:80 tcp")), "{examples:?}");
    assert!(examples.iter().any(|example| example.contains("> 10.0.0.5:8080 tcp")), "{examples:?}");
    let words = "rule a sees packets behind what translates their destination: `effect` tells them as they are sent";
    assert_eq!(found.advice, [words]);
}
