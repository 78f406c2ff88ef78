use super::import;
use proptest::prelude::*;
use serde_json::{Value, json};

const OFFICE: &str = include_str!("../../../../tests/rulesets/office.json");

fn chain(name: &str, hook: Option<(&str, i32, &str)>) -> Value {
    let mut body = json!({ "family": "inet", "table": "t", "name": name });
    if let Some((hook, priority, policy)) = hook {
        body["type"] = json!("filter");
        (body["hook"], body["prio"], body["policy"]) = (json!(hook), json!(priority), json!(policy));
    }
    json!({ "chain": body })
}

fn rule(chain: &str, statements: Value) -> Value {
    json!({ "rule": { "family": "inet", "table": "t", "chain": chain, "expr": statements } })
}

fn port(number: u16) -> Value {
    json!({ "match": { "op": "==", "left": { "payload": { "protocol": "tcp", "field": "dport" } }, "right": number } })
}

/// What is said of each object, as lines, and why of each that is not.
fn imported(objects: Vec<Value>) -> (Vec<String>, Vec<String>) {
    let all = import(&json!({ "nftables": objects })).expect("a listing");
    let line = |rule: &crate::rule::Rule| rule.to_line().split_once(' ').expect("an id").1.to_owned();
    let told = all.not_said.iter().chain(&all.idle);
    let why = told.map(|n| format!("{}: {}: {}", n.place, n.text, n.why)).collect();
    (all.rules.iter().map(line).collect(), why)
}

/// Why one rule at forward is not said.
fn refusal(statements: Value) -> String {
    let (said, not) = imported(vec![chain("c", Some(("forward", 0, "accept"))), rule("c", statements)]);
    assert_eq!((said.len(), not.len()), (0, 1), "{said:?} {not:?}");
    not[0].rsplit(": ").next().expect("words").to_owned()
}

#[test]
fn each_refusal_says_why() {
    for (statements, why) in [
        (
            json!([port(22), { "limit": { "rate": 5, "per": "second" } }, { "accept": null }]),
            "what is over its rate goes on to later rules; AFO's would end there",
        ),
        (
            json!([{ "limit": { "rate": 5, "per": "second", "inv": true } }, port(22), { "drop": null }]),
            "`match` stands where AFO's rules cannot have it",
        ),
        (
            json!([port(22), { "limit": { "rate": 5, "per": "week", "inv": true } }, { "drop": null }]),
            "its limit is none that AFO's rules have",
        ),
        (
            json!([port(22), { "limit": { "rate": 5, "per": "second" } }, { "drop": null }]),
            "its rate counts the other way round than AFO's",
        ),
        (
            json!([{ "log": { "group": 3 } }, { "accept": null }]),
            "the `group` of its log is nothing that AFO's rules say",
        ),
        (
            json!([{ "mangle": { "key": { "meta": { "key": "mark" } }, "value": 1 } }]),
            "`mangle` is nothing that AFO's rules do",
        ),
        (
            json!([port(22), { "reject": { "type": "icmp", "expr": "net-unknown" } }]),
            "its answer is none that AFO's rules give",
        ),
        (json!([{ "counter": null }]), "it only counts"),
        (
            json!([port(22), { "limit": { "rate": 5, "per": "second" } }, { "return": null }]),
            "`return` is no verdict of AFO's rules",
        ),
        (json!([port(22), { "jump": { "target": "nowhere" } }]), "the way into chain `nowhere` cannot be followed"),
        (json!([port(22), port(23), { "drop": null }]), "no packet that comes to it matches"),
        (
            json!([{ "match": { "op": "==", "left": { "meta": { "key": "skuid" } }, "right": 0 } }, { "accept": null }]),
            "`meta skuid 0` is nothing that AFO's rules ask",
        ),
    ] {
        assert_eq!(refusal(statements.clone()), why, "{statements}");
    }
}

/// What returns meets the line behind the jump, and in a base chain its policy; what goes to another chain never comes back.
#[test]
fn packets_leave_a_chain_where_it_says_so() {
    let rules = |policy: &str, second: Value| {
        imported(vec![
            chain("c", Some(("forward", 0, policy))),
            chain("sub", None),
            rule("c", second),
            rule("c", json!([port(23), { "reject": null }])),
            rule("sub", json!([port(22), { "return": null }])),
            rule(
                "sub",
                json!([{ "match": { "op": "==", "left": { "meta": { "key": "l4proto" } }, "right": "tcp" } }, { "drop": null }]),
            ),
        ])
    };
    let (said, not) = rules("accept", json!([{ "jump": { "target": "sub" } }]));
    assert_eq!(said[0], "drop forward protocol=tcp destination_port=!22", "{said:?} {not:?}");
    assert_eq!((said.len(), not.len()), (1, 1), "{not:?}");
    assert!(not[0].ends_with("earlier rules decide all its packets"), "{not:?}");
    let tcp = |target: &str| json!([port(22), { "goto": { "target": target } }]);
    let (said, not) = rules("accept", tcp("sub"));
    assert_eq!(
        said,
        ["accept forward protocol=tcp destination_port=22", "reject forward protocol=tcp destination_port=23"],
        "{not:?}"
    );
    let (said, _) = rules("drop", json!([port(23), { "return": null }]));
    assert_eq!(said[0], "drop forward protocol=tcp destination_port=23");
}

/// nft leaves the test for the family out of its listing.
#[test]
fn a_rejection_by_icmp_is_for_its_family() {
    let reject = json!([port(22), { "reject": { "type": "icmp", "expr": "port-unreachable" } }]);
    let (said, not) = imported(vec![chain("c", Some(("forward", 0, "accept"))), rule("c", reject)]);
    assert_eq!((said.len(), not.len()), (1, 0), "{not:?}");
    assert!(said[0].starts_with("reject forward family=ipv4 protocol=tcp destination_port=22"), "{said:?}");
}

#[test]
fn what_comes_before_decides_what_can_be_said() {
    let forward = |priority, policy| chain("c", Some(("forward", priority, policy)));
    let accept = || rule("c", json!([port(22), { "accept": null }]));
    let later = chain("d", Some(("forward", 10, "drop")));
    let (said, not) = imported(vec![forward(0, "accept"), accept(), later]);
    assert_eq!(said, ["drop forward strict=true comment=\"policy of inet t d\""]);
    assert_eq!(
        not[0],
        "inet t c, rule 1: tcp dport 22 accept: its accept is not final: a later base chain can still drop"
    );
    let drop = || rule("c", json!([port(22), { "drop": null }]));
    let (_, not) = imported(vec![forward(-150, "accept"), drop()]);
    assert!(not[0].ends_with("its chain stands at priority -150; AFO's rules stand where filters do, from -99 to 99"));
    let (_, not) = imported(vec![chain("c", None), accept()]);
    assert!(not[0].ends_with("no packet comes to its chain: nothing leads there"));
    let (_, not) = imported(vec![chain("c", Some(("prerouting", 0, "accept"))), drop()]);
    assert!(not[0].ends_with("no chain at input, forward or output leads to it, where AFO's rules stand"), "{not:?}");
    let (said, not) = imported(vec![forward(0, "accept"), accept(), accept()]);
    assert_eq!(said, ["accept forward protocol=tcp destination_port=22"]);
    assert!(not[0].ends_with("rule 2: tcp dport 22 accept: earlier rules decide all its packets"), "{not:?}");
}

#[test]
fn jumps_are_followed_with_what_they_take_along() {
    let jump = rule("c", json!([port(22), { "jump": { "target": "s" } }]));
    let inner = rule(
        "s",
        json!([{ "match": { "op": "==", "left": { "meta": { "key": "iifname" } }, "right": "eth0" } }, { "drop": null }]),
    );
    let circle = rule("s", json!([{ "jump": { "target": "s" } }]));
    let base = || chain("c", Some(("forward", 0, "accept")));
    let (said, not) = imported(vec![base(), chain("s", None), jump.clone(), inner.clone()]);
    assert_eq!(
        (said, not),
        (vec!["drop forward interface_in=eth0 protocol=tcp destination_port=22".to_owned()], vec![])
    );
    let (_, not) = imported(vec![base(), chain("s", None), jump, circle, inner]);
    assert!(not[0].ends_with("the way into chain `s` cannot be followed"), "{not:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_listing_with_a_word_changed_is_imported_or_refused(at in 0usize..4000, with in "[\\[\\]{}\":,a-z0-9@]{0,6}") {
        let mut text: Vec<char> = OFFICE.chars().collect();
        let at = at % text.len();
        text.splice(at..(at + 3).min(text.len()), with.chars());
        let value: Value = serde_json::from_str(&text.into_iter().collect::<String>()).unwrap_or_default();
        if let Ok(imported) = import(&value) {
            prop_assert!(imported.not_said.len() <= imported.of);
            prop_assert_eq!(crate::backend::nftables::Policy::of(&imported.rules).err(), None);
        }
    }
}

/// What is said of one rule of a chain that translates, and why it is not.
fn translated(hook: &str, statements: Value) -> Result<String, String> {
    let mut head = chain("c", Some((hook, -100, "accept")));
    head["chain"]["type"] = json!("nat");
    let (mut said, not) = imported(vec![head, rule("c", statements)]);
    match not.first() {
        Some(why) => Err(why.rsplit(": ").next().expect("words").to_owned()),
        // The rest of the same rule is what it does on loopback.
        None if said[1..].iter().all(|rule| rule.contains("lo")) => Ok(said.remove(0)),
        None => panic!("{said:?}"),
    }
}

#[test]
fn translations_are_said_where_they_lead_to_one_place() {
    let to = |body: Value| json!([port(80), { "counter": null }, { "dnat": body }]);
    let said = |hook: &str, statements: Value| translated(hook, statements).expect(hook);
    let one = said("prerouting", to(json!({ "family": "ip", "addr": "10.0.0.5", "port": 8080 })));
    assert!(one.starts_with("dnat forward ") && one.contains("10.0.0.5") && one.contains("8080"), "{one}");
    let range = json!({ "family": "ip", "addr": { "range": ["10.0.0.5", "10.0.0.9"] } });
    assert!(said("prerouting", to(range)).contains("10.0.0.5-10.0.0.9"));
    assert!(said("output", to(json!({ "family": "ip", "addr": "10.0.0.5" }))).starts_with("dnat output "));
    assert!(said("prerouting", json!([port(80), { "redirect": { "port": 3128 } }])).starts_with("redirect input "));
    let out = json!({ "match": { "op": "==", "left": { "meta": { "key": "oifname" } }, "right": "wan0" } });
    assert!(said("postrouting", json!([out, { "masquerade": null }])).starts_with("masquerade forward "));
    let from = json!({ "match": { "op": "==", "left": { "payload": { "protocol": "ip", "field": "saddr" } },
        "right": { "prefix": { "addr": "10.0.0.0", "len": 8 } } } });
    let snat = said("postrouting", json!([from, out, { "snat": { "family": "ip", "addr": "192.0.2.1" } }]));
    assert!(snat.starts_with("snat forward ") && snat.contains("192.0.2.1"), "{snat}");
    for (hook, statements, why) in [
        (
            "postrouting",
            json!([{ "masquerade": { "flags": "random" } }]),
            "the `flags` of its translation is nothing that AFO's rules say",
        ),
        (
            "input",
            json!([{ "snat": { "family": "ip", "addr": "192.0.2.1" } }]),
            "its chain translates the sources of what is for this host, which AFO's rules do not",
        ),
        (
            "prerouting",
            to(
                json!({ "family": "ip", "addr": { "map": { "key": { "payload": { "protocol": "tcp", "field": "dport" } }, "data": "@m" } } }),
            ),
            "`dnat to tcp dport map @m` changes by itself or from packets",
        ),
    ] {
        assert_eq!(translated(hook, statements).expect_err(why), why);
    }
}

/// A denial takes on loopback too what AFO's leave alone there; what is decided before is no part of it.
#[test]
fn what_a_denial_takes_is_all_said() {
    let input = |policy| chain("c", Some(("input", 0, policy)));
    let accept = || rule("c", json!([port(22), { "accept": null }]));
    let (said, not) = imported(vec![input("drop"), accept()]);
    let from = |line: &str| line.split(" comment").next().expect("words").to_owned();
    let said: Vec<String> = said.iter().map(|line| from(line)).collect();
    assert_eq!(not, Vec::<String>::new());
    assert_eq!(
        said,
        [
            "accept input protocol=tcp destination_port=22",
            "accept input family=ipv6 interface_in=lo protocol=tcp destination_port=22",
            "accept input family=ipv4 interface_in=lo protocol=tcp destination_port=22",
            "drop input interface_in=lo strict=true",
            "drop input strict=true",
        ]
    );
}

/// What accepts within a rate is one rule where all the rest is dropped behind it.
#[test]
fn a_rate_is_said_where_the_rest_is_dropped() {
    let limited = |end: &str| json!([port(22), { "limit": { "rate": 5, "per": "second" } }, { end: null }]);
    let forward = |policy| chain("c", Some(("forward", 0, policy)));
    let (said, not) = imported(vec![forward("drop"), rule("c", limited("accept"))]);
    assert!(said[0].starts_with("accept forward protocol=tcp destination_port=22 rate_limit.count=5"), "{not:?}");
    let reject = || rule("c", json!([{ "reject": null }]));
    let (said, not) = imported(vec![forward("accept"), rule("c", limited("accept")), reject()]);
    assert!(said[0].ends_with("rate_limit.over=reject"), "{said:?} {not:?}");
    for between in [json!([port(22), { "accept": null }]), json!([port(22), { "log": null }])] {
        let (said, _) = imported(vec![forward("drop"), rule("c", limited("accept")), rule("c", between.clone())]);
        assert!(!said.iter().any(|line| line.contains("rate_limit")), "{between}: {said:?}");
    }
    let jump = rule("c", json!([{ "jump": { "target": "s" } }]));
    let sub = [rule("s", limited("return")), rule("s", json!([port(22), { "drop": null }]))];
    let (said, not) = imported([vec![forward("accept"), chain("s", None), jump], sub.to_vec()].concat());
    assert!(said.len() == 1 && said[0].starts_with("drop forward") && said[0].contains("count=5"), "{said:?} {not:?}");
}

#[test]
fn a_map_of_translations_is_a_rule_for_each_key() {
    let map = |data: Value| {
        let key = json!({ "payload": { "protocol": "tcp", "field": "dport" } });
        json!({ "map": { "key": key, "data": { "set": data } } })
    };
    let said = |statement: Value| {
        let mut head = chain("c", Some(("prerouting", -100, "accept")));
        head["chain"]["type"] = json!("nat");
        imported(vec![head, rule("c", json!([statement]))])
    };
    let to = json!([[80, "10.0.0.5"], [81, { "concat": ["10.0.0.6", 8080] }]]);
    let (rules, not) = said(json!({ "dnat": { "family": "ip", "addr": map(to) } }));
    assert_eq!(not, Vec::<String>::new());
    let tails = [("=80 ", "10.0.0.5", ""), ("=81 ", "10.0.0.6", "8080")];
    assert_eq!(rules.len(), tails.len(), "{rules:?}");
    for (rule, (asked, address, port)) in rules.iter().zip(tails) {
        let is_said = rule.starts_with("dnat forward ") && rule.contains(&format!("destination_port{asked}"));
        assert!(is_said && rule.contains(address) && rule.contains(port), "{rule}");
    }
    let (rules, not) = said(json!({ "redirect": { "port": map(json!([[80, 8080]])) } }));
    assert!(not.is_empty() && rules.len() == 1 && rules[0].starts_with("redirect input "), "{rules:?} {not:?}");
    let ranged = json!([[80, "10.0.0.5"], [81, { "range": ["10.0.0.6", "10.0.0.9"] }]]);
    let (rules, not) = said(json!({ "dnat": { "family": "ip", "addr": map(ranged) } }));
    assert!(rules.is_empty() && not[0].ends_with(": a key of its map leads to no single place"), "{rules:?} {not:?}");
    let flagged = json!({ "dnat": { "family": "ip", "addr": map(json!([[80, "10.0.0.5"]])), "flags": "random" } });
    let (rules, not) = said(flagged);
    let why = ": the `flags` of its translation is nothing that AFO's rules say";
    assert!(rules.is_empty() && not[0].ends_with(why), "{rules:?} {not:?}");
    // Where there is one place to go to there is nothing to be chosen.
    let flags = |port: Value| json!({ "dnat": { "family": "ip", "addr": "10.0.0.5", "port": port, "flags": ["random", "persistent"] } });
    let tcp = || json!({ "match": { "op": "==", "left": { "meta": { "key": "l4proto" } }, "right": "tcp" } });
    let one = translated("prerouting", json!([tcp(), flags(json!(8080))])).expect("said");
    assert!(one.contains("10.0.0.5") && one.contains("8080"), "{one}");
    let several = translated("prerouting", json!([tcp(), flags(json!({ "range": [8080, 8090] }))]));
    assert_eq!(several.expect_err("a choice"), why.trim_start_matches(": "));
}

#[test]
fn what_is_spared_before_a_translation_is_left_out_of_it() {
    let mut head = chain("c", Some(("prerouting", -100, "accept")));
    head["chain"]["type"] = json!("nat");
    let to = || json!({ "dnat": { "family": "ip", "addr": "10.0.0.5" } });
    let rules = |first: Value| imported(vec![head.clone(), rule("c", first), rule("c", json!([port(80), to()]))]);
    let (said, not) = rules(json!([port(80), { "accept": null }]));
    assert!(said.is_empty() && not[0].ends_with("no packet that comes to it matches"), "{said:?} {not:?}");
    let limited = json!([port(80), { "limit": { "rate": 5, "per": "second" } }, { "accept": null }]);
    let (said, not) = rules(limited);
    assert!(
        said.is_empty() && not[1].ends_with("a rule before it that cannot be said may decide its packets first"),
        "{not:?}"
    );
}

#[test]
fn a_rule_with_hours_is_said_and_decides_for_no_other() {
    let hours = json!({ "match": { "op": "==", "left": { "meta": { "key": "hour" } }, "right": { "range": ["08:00", "16:59:59"] } } });
    let head = || chain("c", Some(("forward", 0, "accept")));
    let (said, not) = imported(vec![
        head(),
        rule("c", json!([hours, port(80), { "drop": null }])),
        rule("c", json!([port(80), { "accept": null }])),
    ]);
    assert_eq!(not, Vec::<String>::new());
    assert!(said.len() == 2 && said[0].contains("08:00") && said[0].contains("17:00"), "{said:?}");
}
