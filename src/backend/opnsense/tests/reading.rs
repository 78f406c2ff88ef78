//! Replies as rulesets.

use super::super::*;
use super::own::policy;
use super::{known, rule, rules};
use crate::backend::{Backend, Extent};
use crate::rule::evaluate::{Fate, evaluate};
use crate::rule::{Direction, Packet};
use proptest::prelude::*;
use serde_json::{Value, json};

fn listing(rows: &Value) -> Listing {
    let aliases = json!({"rows": [
        {"uuid": "a1", "name": "Servers", "type": "host", "enabled": "1", "content": "198.51.100.10\n198.51.100.11"},
        {"uuid": "a2", "name": "Bad", "type": "urltable", "enabled": "1", "content": "https://example.net/list"},
        {"uuid": "a3", "name": "Web", "type": "port", "enabled": "1", "content": "80\n443"},
    ]});
    Listing::read(
        &json!({"rows": rows, "total": rows.as_array().map_or(0, Vec::len)}).to_string(),
        Some(&aliases.to_string()),
    )
    .expect("a listing")
}

/// A firewall as it comes: the lockout rule, what leaves passes, everything else is denied; and a rule for the lan.
fn usual() -> Value {
    json!([
        {"uuid": "x1", "legacy": true, "is_automatic": true, "enabled": "1", "action": "block", "quick": false, "direction": "in", "ipprotocol": "inet46",
         "interface": "", "protocol": "", "source_net": "any", "destination_net": "any", "description": "Default deny / state violation rule", "sort_order": "000001.1000001"},
        {"uuid": "x2", "legacy": true, "is_automatic": true, "enabled": "1", "action": "pass", "direction": "in", "ipprotocol": "inet", "quick": true,
         "interface": "LAN", "protocol": "tcp", "source_net": "any", "destination_net": "(self)", "destination_port": "443", "description": "anti-lockout rule", "sort_order": "000001.1000002"},
        {"uuid": "x3", "legacy": true, "is_automatic": true, "enabled": "1", "action": "pass", "quick": false, "direction": "out", "ipprotocol": "inet46",
         "interface": "", "protocol": "", "source_net": "any", "destination_net": "any", "description": "let out anything from firewall host itself", "sort_order": "100000.1000003"},
        {"uuid": "u1", "enabled": "1", "action": "pass", "quick": "1", "direction": "in", "ipprotocol": "inet", "interface": "lan", "%interface": "LAN",
         "protocol": "TCP", "source_net": "any", "destination_net": "Servers", "destination_port": "Web", "sequence": "100", "description": "web",
         "sort_order": "400000.0000100", "prio_group": "400000", "evaluations": 7},
    ])
}

fn fate(listing: &Listing, direction: Direction, packet: &str) -> Fate {
    let packet: Packet = packet.parse().expect(packet);
    assert_eq!(packet.direction, direction, "{packet:?}");
    evaluate(&read(listing), &packet, &mut |_, _| false).expect("a way").fate
}

#[test]
fn a_listing_decides_as_pf_does() {
    let live = listing(&usual());
    let cases = [
        ("input lan 10.0.0.9:40000 > 10.0.0.1:443 tcp syn", Direction::Input, Fate::Accepted),
        ("input lan 10.0.0.9:40000 > 10.0.0.1:22 tcp syn", Direction::Input, Fate::Dropped),
        ("input wan 203.0.113.9:40000 > 192.0.2.1:443 tcp syn", Direction::Input, Fate::Dropped),
        ("forward lan wan 10.0.0.9:40000 > 198.51.100.11:80 tcp syn", Direction::Forward, Fate::Accepted),
        ("forward lan wan 10.0.0.9:40000 > 198.51.100.11:80 tcp ack", Direction::Forward, Fate::Dropped),
        ("forward lan wan 10.0.0.9:40000 > 198.51.100.12:80 tcp syn", Direction::Forward, Fate::Dropped),
        ("output wan 192.0.2.1:40000 > 198.51.100.1:53 udp", Direction::Output, Fate::Accepted),
    ];
    for (packet, direction, want) in cases {
        assert_eq!(fate(&live, direction, packet), want, "{packet}");
    }
}

#[test]
fn what_is_not_understood_stays_with_its_text() {
    let mut rows = usual();
    let add = |row: Value| rows.as_array_mut().expect("rows").push(row);
    [
        json!({"uuid": "u2", "enabled": "1", "action": "pass", "quick": "1", "direction": "in", "interface": "opt3", "source_net": "Bad", "sort_order": "400000.0000200"}),
        json!({"uuid": "u3", "enabled": "1", "action": "pass", "quick": "1", "direction": "in", "source_net": "lan", "sort_order": "200000.0000200", "newfield": "x"}),
    ]
    .into_iter()
    .for_each(add);
    let ruleset = read(&listing(&rows));
    let input = &ruleset.tables[0].chains[0];
    let texts: Vec<String> = input.lines.iter().map(|line| format!("{:?}", line.conditions)).collect();
    assert!(texts.iter().any(|text| text.contains("Chance(\"source in Bad\")")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("newfield x") && text.contains("source in lan")), "{texts:?}");
}

#[test]
fn a_policy_stands_where_its_numbers_put_it() {
    let live = listing(&usual());
    let ssh = rules(
        r#"{"id":"r1","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"],"source_address":["10.0.0.0/8"]}"#,
    );
    let with = with_policy(&live, &ssh, &known()).expect("a policy");
    let input = &with.tables[0].chains[0];
    let mine: Vec<usize> =
        input.lines.iter().enumerate().filter(|(_, line)| decides(input, line)).map(|(n, _)| n).collect();
    assert_eq!(mine, [2], "behind what is known and the lockout rule, before the rules of people");
    assert_eq!(input.lines[2].comment.as_deref(), Some("r1"));
    let packet: Packet = "input lan 10.0.0.9:40000 > 10.0.0.1:22 tcp ack".parse().expect("packet");
    assert!(
        evaluate(&with, &packet, &mut |_, _| false).expect("a way").fate.passes(),
        "every packet, as the rule says"
    );
}

#[test]
fn a_rendered_policy_is_read_as_it_was_meant() {
    let all = rules(
        r#"{"id":"a","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"],"source_address":["203.0.113.0/24"]},
           {"id":"b","action":"accept","direction":"input","protocol":["udp"],"destination_port":["53"]}"#,
    );
    let native = Opnsense::UNKNOWN.render(&all, Extent::Rules).expect("a text");
    let model = Opnsense::UNKNOWN.model(&native).expect("a model");
    let fate = |packet: &str| evaluate(&model, &packet.parse().expect(packet), &mut |_, _| false).expect("a way").fate;
    assert_eq!(fate("input wan 203.0.113.9:40000 > 192.0.2.1:22 tcp syn"), Fate::Dropped);
    assert_eq!(fate("input wan 198.51.100.9:40000 > 192.0.2.1:22 tcp syn"), Fate::Accepted, "nothing denies it there");
    assert_eq!(native.lines.values().map(|id| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(native.text.lines().last(), Some(r#"{"post":"firewall/filter/apply","body":{}}"#));
    assert!(native.json.is_some_and(|json| json.as_array().is_some_and(|list| list.len() == 3)));
}

#[test]
fn bans_become_members_of_an_alias() {
    let ban =
        rules(r#"{"id":"a","action":"drop","direction":"input","source_address":["203.0.113.9"],"ttl_seconds":60}"#);
    let native = Opnsense::UNKNOWN.render(&ban, Extent::Rules).expect("a text");
    assert_eq!(
        native.text.lines().rev().nth(1),
        Some(r#"{"post":"firewall/alias_util/add/afo_from","body":{"address":"203.0.113.9"}}"#)
    );
    let port = rule(
        r#""action":"drop","direction":"input","source_address":["203.0.113.9"],"protocol":["tcp"],"destination_port":["22"],"ttl_seconds":60"#,
    );
    let said = Opnsense::UNKNOWN.bans(&port).expect_err("ports")[0].to_string();
    assert!(
        said.starts_with("rule r1: destination_port `22`: blocks of OPNsense are of addresses, not of ports"),
        "{said}"
    );
}

#[test]
fn numbers_of_others_are_left_out() {
    let rows = json!([
        {"uuid": "u1", "enabled": "1", "sequence": "1", "sort_order": "200000.0000001"},
        {"uuid": "u2", "enabled": "0", "sequence": "4", "sort_order": "400000.0000004"},
    ]);
    let numbers: Vec<String> =
        policy(22).numbered(1, &listing(&rows)).into_iter().map(|d| d.get("sequence").to_owned()).collect();
    assert_eq!(numbers, ["5"], "1 and 4 are taken, 2 and 3 are for the blocks");
}

#[test]
fn replies_that_are_none_are_refused() {
    let read = |text: &str| Listing::read(text, None).expect_err(text).to_string();
    assert!(read("<html>").starts_with("the reply is not JSON: "));
    assert_eq!(read("[]"), "the reply is no list of rules: there is no array `rows`");
    assert_eq!(read(r#"{"rows":[],"total":3}"#), "the reply has 0 of 3 rules: the rest is missing");
    assert_eq!(read(r#"{"rows":[7]}"#), "row 1 of the rules is no object");
    assert_eq!(read(r#"{"rows":[{"uuid":"u"},{"uuid":"u"}]}"#), "two rules have the id `u`");
    let shown = r#"{"rows":[{"uuid":"u","action":"Block","direction":"Both","ipprotocol":"IPv4+IPv6"}]}"#;
    let entry = Listing::read(shown, None).expect("one").entries.remove(0);
    assert_eq!([entry.get("action"), entry.get("direction"), entry.get("ipprotocol")], ["block", "any", "inet46"]);
}

#[test]
fn others_are_known_again_whatever_is_counted() {
    let base = listing(&usual());
    let mut counted = usual();
    counted[3]["evaluations"] = json!(9);
    counted[0]["uuid"] = json!("another");
    assert_eq!(listing(&counted).others(), base.others());
    let mut changed = usual();
    changed[3]["destination_port"] = json!("8080");
    assert_ne!(listing(&changed).others(), base.others());
    let own = json!({"uuid": "u9", "enabled": "1", "description": "afo 1 r1", "sort_order": "200000.0000003"});
    let mut with = usual();
    with.as_array_mut().expect("rows").push(own);
    assert_eq!(listing(&with).others(), base.others(), "AFO's own are not others'");
    assert_ne!(listing(&with).whole(), base.whole());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_reply_makes_it_panic(
        rows in prop::collection::vec(prop::collection::btree_map(
            "(action|direction|interface|interfacenot|source_net|destination_port|protocol|ipprotocol|description|sort_order|uuid|enabled|tcpflags2|icmptype|quick|legacy|x)",
            "(in|out|pass|block|afo (state|1 r1|x)|any|\\(self\\)|10\\.0\\.0\\.0/8|!?[a-z0-9.:,/ =]{0,12}|TCP|inet6?|[01]|200000\\.0[0-9]{1,6})", 0..9), 0..4)
    ) {
        let text = json!({ "rows": rows }).to_string();
        let Ok(live) = Listing::read(&text, Some(&text)) else { return Ok(()) };
        let ruleset = read(&live);
        prop_assert_eq!(ruleset.tables[0].chains.len(), 4);
        remove(&live);
        if let Ok(own) = Own::read(&live) {
            own.take_back(None);
            own.confirm();
        }
        prop_assert_eq!(undo(&live, &live), vec![]);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,60}") {
        let _ = Listing::read(&text, Some(&text));
        is_listing(&text);
    }
}
