use super::*;
use crate::packet::{Bits, Narrow, Wide};
use crate::rule::ruleset::{Condition, Line, Outcome, Verdict};
use proptest::prelude::*;

const EVERY_FORM: &str = include_str!("../../../../tests/rulesets/every-form.json");

fn lines(json: &str) -> Vec<Line> {
    read(json).expect("a listing").lines().map(|(_, line)| line.clone()).collect()
}

fn rule(statements: &str) -> Line {
    let json = format!(
        r#"{{"nftables":[{{"table":{{"family":"inet","name":"t"}}}},{{"chain":{{"family":"inet","table":"t","name":"c"}}}},
            {{"set":{{"family":"inet","table":"t","name":"s","type":"ipv4_addr","elem":["192.0.2.1",{{"elem":{{"val":"192.0.2.2","timeout":9}}}}]}}}},
            {{"set":{{"family":"inet","table":"t","name":"d","type":"ipv4_addr","flags":["dynamic"]}}}},
            {{"rule":{{"family":"inet","table":"t","chain":"c","handle":7,"expr":[{statements}]}}}}]}}"#
    );
    lines(&json).remove(0)
}

fn matched(left: &str, op: &str, right: &str) -> Vec<Condition> {
    rule(&format!(r#"{{"match":{{"op":"{op}","left":{left},"right":{right}}}}}"#)).conditions
}

/// The values that a narrow field is restricted to.
fn narrow(conditions: &[Condition], field: Narrow) -> Vec<u8> {
    let of = |c: &Condition| match c {
        Condition::Narrow(f, bits) if *f == field => Some(*bits),
        _ => None,
    };
    conditions.iter().filter_map(of).next_back().expect("the field is asked for").iter().collect()
}

fn wide(conditions: &[Condition], field: Wide) -> Vec<(u128, u128)> {
    let of = |c: &Condition| match c {
        Condition::Wide(f, ranges) if *f == field => Some(ranges.as_slice().to_vec()),
        _ => None,
    };
    conditions.iter().find_map(of).expect("the field is asked for")
}

#[test]
fn a_listing_of_every_form_is_read() {
    let ruleset = read(EVERY_FORM).expect("a listing");
    assert_eq!(ruleset.unread, Vec::<String>::new());
    assert_eq!(ruleset.tables.len(), 4);
    let unread: Vec<_> = ruleset
        .lines()
        .flat_map(|(_, line)| &line.conditions)
        .filter_map(|c| if let Condition::Unread(unread) = c { Some(unread.text.as_str()) } else { None })
        .collect();
    assert_eq!(
        unread,
        [
            "the IPv6 header has no extension header",
            "meta mark & 0x1 != 0",
            "not meta mark & 0x2 != 0",
            "not meta mark & 0x4 != 0",
            "not meta mark & 0x8 != 0",
            "not meta mark & 0x10 != 0",
            "not meta mark & 0x20 != 0",
            "not meta mark & 0x40 != 0",
            "not meta mark & 0x80 != 0",
            "meta pkttype multicast",
            "meta skuid 0",
            "ip ttl 10",
            "ip dscp cs1",
            "tcp option maxseg size 500",
            "ether type arp",
            "arp operation request"
        ]
    );
}

#[test]
fn connection_states_are_tested_by_mask_or_exactly() {
    let state = r#"{"ct":{"key":"state"}}"#;
    for (op, right, states) in [
        ("in", r#"["established","related"]"#, vec![1, 2]),
        ("in", r#""new""#, vec![0]),
        ("==", r#"{"set":["established","new"]}"#, vec![0, 1]),
        ("!=", r#"{"set":["established","new"]}"#, vec![2, 3, 4]),
        // No packet has two states: this is always true (`cmp neq reg 1 0x00000006`).
        ("!=", r#"{"|":["established","related"]}"#, vec![0, 1, 2, 3, 4]),
        ("!=", r#""invalid""#, vec![0, 1, 2, 4]),
    ] {
        assert_eq!(narrow(&matched(state, op, right), Narrow::State), states, "{op} {right}");
    }
    let masked = matched(r#"{"&":[{"ct":{"key":"state"}},["established","new"]]}"#, "==", r#""new""#);
    assert_eq!(narrow(&masked, Narrow::State), [0]);
}

#[test]
fn what_the_kernel_notes_of_connections() {
    let ct = |key: &str| format!(r#"{{"ct":{{"key":"{key}"}}}}"#);
    let status = |op, right| narrow(&matched(&ct("status"), op, right), Narrow::ConnectionStatus);
    assert_eq!(status("in", r#""dnat""#).len(), 64);
    assert_eq!(status("!", r#"["snat","dnat"]"#).len(), 32);
    assert!(status("in", r#""dying""#).iter().all(|bits| bits & 64 != 0));
    let masked = |mask: &str| format!(r#"{{"&":[{{"ct":{{"key":"status"}}}},{mask}]}}"#);
    let both = matched(&masked(r#"["snat","dnat"]"#), "==", r#""dnat""#);
    assert!(narrow(&both, Narrow::ConnectionStatus).iter().all(|bits| bits & 48 == 32));
    // Of the bits that the model does not have nothing is known.
    for exact in [matched(&ct("status"), "==", r#""dnat""#), matched(&masked("64"), "==", "64")] {
        assert!(matches!(exact.last(), Some(Condition::Unread(unread)) if unread.field.is_some()), "{exact:?}");
    }
    let reply = matched(&ct("direction"), "==", r#""reply""#);
    assert_eq!(narrow(&reply, Narrow::ConnectionDirection), [1]);
    assert_eq!(narrow(&reply, Narrow::State), [0, 1, 2]);
    assert_eq!(wide(&matched(&ct("mark"), "!=", "0"), Wide::ConnectionMark), [(1, 0xffff_ffff)]);
    let of_one_side = matched(r#"{"ct":{"key":"saddr","dir":"original"}}"#, "==", r#""192.0.2.1""#);
    assert_eq!(narrow(&of_one_side, Narrow::State), [0, 1, 2]);
    assert!(matches!(of_one_side.last(), Some(Condition::Unread(_))));
}

#[test]
fn hardware_addresses_vlans_and_masked_marks() {
    let ether = |field: &str| format!(r#"{{"payload":{{"protocol":"ether","field":"{field}"}}}}"#);
    let mac = 0x5254_0012_3456;
    // What has no such header does not match, and so each is asked for twice.
    let from = [matched(&ether("saddr"), "!=", r#""52:54:00:12:34:56""#).remove(1)];
    assert_eq!(wide(&from, Wide::SourceMac), [(0, mac - 1), (mac + 1, (1 << 48) - 1)]);
    let to = [matched(&ether("daddr"), "==", r#""52:54:00:12:34:56""#).remove(1)];
    assert_eq!(wide(&to, Wide::DestinationMac), [(mac, mac)]);
    let vlan = r#"{"payload":{"protocol":"vlan","field":"id"}}"#;
    assert_eq!(wide(&[matched(vlan, "!=", "5").remove(1)], Wide::Vlan), [(0, 4), (6, 4095)]);
    let mark = |mask: u32| format!(r#"{{"&":[{{"meta":{{"key":"mark"}}}},{mask}]}}"#);
    assert_eq!(wide(&matched(&mark(0xc000_0000), "==", "1073741824"), Wide::Mark), [(1 << 30, (1 << 31) - 1)]);
    assert_eq!(wide(&matched(&mark(0x0100_0000), "!=", "0"), Wide::Mark).len(), 128);
    assert!(matches!(matched(&mark(1), "==", "1").last(), Some(Condition::Unread(_))));
}

#[test]
fn what_changes_by_itself_may_fail() {
    for (left, op, right, words) in [
        (r#"{"meta":{"key":"hour"}}"#, "==", r#"{"range":["10:00","12:00"]}"#, "meta hour 10:00-12:00"),
        (r#"{"numgen":{"mode":"inc","mod":2}}"#, "==", "0", "numgen inc mod 2 0"),
        (r#"{"ct":{"key":"bytes","dir":"reply"}}"#, ">", "9", "ct reply bytes > 9"),
        (r#"{"ct":{"key":"id"}}"#, "==", r#""@d""#, "ct id @d"),
        (r#"{"fib":{"result":"type","flags":["daddr"]}}"#, "==", r#""@d""#, "fib daddr type @d"),
    ] {
        let all = matched(left, op, right);
        assert!(matches!(all.last(), Some(Condition::Chance(text)) if text == words), "{all:?}");
    }
}

#[test]
fn tcp_flags_are_tested_by_mask_or_exactly() {
    let flags = r#"{"payload":{"protocol":"tcp","field":"flags"}}"#;
    let count = |op, right| narrow(&matched(flags, op, right), Narrow::TcpFlags).len();
    assert_eq!(count("in", r#""syn""#), 128);
    assert_eq!(count("==", r#""syn""#), 1);
    assert_eq!(count("!=", r#""syn""#), 255);
    assert_eq!(count("!", r#"["fin","syn"]"#), 64);
    assert_eq!(count("==", r#"{"set":[{"|":["syn","ack"]},"syn"]}"#), 2);
    let masked = format!(r#"{{"&":[{flags},["fin","syn","rst","ack"]]}}"#);
    assert_eq!(narrow(&matched(&masked, "==", r#""syn""#), Narrow::TcpFlags).len(), 16);
    assert_eq!(narrow(&matched(flags, "in", r#""syn""#), Narrow::Protocol), [6]);
}

#[test]
fn addresses_ports_and_names() {
    let saddr = r#"{"payload":{"protocol":"ip","field":"saddr"}}"#;
    let net = matched(saddr, "==", r#"{"prefix":{"addr":"10.0.0.0","len":8}}"#);
    assert_eq!(wide(&net, Wide::Source), [(0x0a00_0000, 0x0aff_ffff)]);
    assert_eq!(narrow(&net, Narrow::Family), [0]);
    assert_eq!(wide(&matched(saddr, "==", r#""@s""#), Wide::Source), [(0xc000_0201, 0xc000_0202)]);
    let masked = format!(r#"{{"&":[{saddr},"255.255.255.0"]}}"#);
    assert_eq!(wide(&matched(&masked, "==", r#""192.0.2.0""#), Wide::Source), [(0xc000_0200, 0xc000_02ff)]);
    assert_eq!(wide(&matched(&masked, "==", r#""192.0.2.9""#), Wide::Source), []);
    let dport = r#"{"payload":{"protocol":"tcp","field":"dport"}}"#;
    assert_eq!(wide(&matched(dport, "!=", r#"{"range":[22,25]}"#), Wide::DestinationPort), [(0, 21), (26, 65535)]);
    assert_eq!(wide(&matched(dport, ">=", "1024"), Wide::DestinationPort), [(1024, 65535)]);
    assert_eq!(wide(&matched(dport, "<", "0"), Wide::DestinationPort), []);
    let names = matched(r#"{"meta":{"key":"iifname"}}"#, "==", r#"{"set":["eth*","lo"]}"#);
    assert_eq!(wide(&names, Wide::InInterface).len(), 2);
}

#[test]
fn what_may_fail_and_what_is_not_read_is_told_apart() {
    let saddr = r#"{"payload":{"protocol":"ip","field":"saddr"}}"#;
    assert!(matches!(matched(saddr, "==", r#""@d""#).last(), Some(Condition::Chance(text)) if text == "ip saddr @d"));
    assert!(matches!(matched(saddr, "==", r#""@missing""#).last(), Some(Condition::Chance(_))));
    assert!(matches!(matched(saddr, "==", r#""example.org""#).last(), Some(Condition::Unread(u)) if u.field.is_some()));
    let chance = rule(r#"{"limit":{"rate":5,"per":"minute"}},{"accept":null}"#);
    assert_eq!(chance.conditions, [Condition::Chance("limit rate 5/minute".to_owned())]);
    let odd = rule(r#"{"newthing":{"a":1}},"text",{"drop":null}"#);
    assert_eq!(odd.outcome, Outcome::Verdict(Verdict::Drop));
    assert!(odd.conditions.iter().all(|c| matches!(c, Condition::Unread(u) if u.field.is_none())));
    assert_eq!(odd.conditions.len(), 2);
    let xt =
        rule(r#"{"xt":{"type":"match","name":"conntrack"}},{"counter":null},{"xt":{"type":"target","name":"REJECT"}}"#);
    assert_eq!(xt.outcome, Outcome::Verdict(Verdict::Reject));
    assert_eq!(xt.text, "xt match conntrack counter xt target REJECT");
}

#[test]
fn a_statement_that_nft_shows_as_text_is_one_on_a_map() {
    let text = "update @m { ip saddr : tcp dport }";
    let line = rule(&format!(r#""{text}",{{"accept":null}}"#));
    assert_eq!(line.conditions, [Condition::Chance(text.to_owned())]);
    assert_eq!(
        (line.text.as_str(), line.outcome),
        ("update @m { ip saddr : tcp dport } accept", Outcome::Verdict(Verdict::Accept))
    );
    for odd in ["jump {\\n accept\\n}", "update @m { a }; accept", "add @m { a } }", "x"] {
        let line = rule(&format!(r#""{odd}",{{"accept":null}}"#));
        assert!(matches!(&line.conditions[..], [Condition::Unread(_)]), "{odd}: {:?}", line.conditions);
    }
}

#[test]
fn text_that_is_no_listing_is_refused() {
    for (text, words) in [
        ("", "not JSON: EOF while parsing a value at line 1 column 0"),
        ("{}", "not a listing of nft: there is no array `nftables` at the top"),
        ("[1]", "not a listing of nft: there is no array `nftables` at the top"),
    ] {
        assert_eq!(read(text).expect_err(text).to_string(), words);
    }
}

#[test]
fn the_order_of_a_listing_does_not_matter() {
    let mut listing: Value = serde_json::from_str(EVERY_FORM).expect("the sample");
    let then = read_value(&listing).expect("a listing");
    // Rules first, what they name behind them.
    listing["nftables"].as_array_mut().expect("a list").sort_by_key(|object| object.get("rule").is_none());
    let now = read(&listing.to_string()).expect("a listing");
    assert_eq!(now, then);
}

#[test]
fn a_table_whose_flags_are_not_known_may_be_dormant() {
    let read = |flags: &str| {
        let json = format!(r#"{{"nftables":[{{"table":{{"family":"ip","name":"t","flags":"{flags}"}}}}]}}"#);
        let ruleset = read(&json).expect("a listing");
        (ruleset.tables[0].dormant, ruleset.unread)
    };
    assert_eq!(read("dormant"), (true, vec![]));
    assert_eq!(read("owner"), (false, vec![]));
    assert_eq!(read("k"), (false, vec![r#"table {"family":"ip","name":"t","flags":"k"}"#.to_owned()]));
}

#[test]
fn nothing_is_lost() {
    let odd = r#"{"nftables":[{"gadget":{"x":1}},{"rule":{"family":"martian"}},7,{"chain":{"family":"ip","table":"t","name":"c","hook":"new","prio":0,"type":"filter"}}]}"#;
    let ruleset = read(odd).expect("a listing");
    assert_eq!(ruleset.unread.len(), 4, "{:?}", ruleset.unread);
}

/// A statement that may end its rule is a condition of it.
#[test]
fn what_may_end_a_rule_is_asked_of_it() {
    let line = |statement: &str| {
        let rule = format!(
            r#"{{"nftables":[{{"rule":{{"family":"inet","table":"t","chain":"c","expr":[{statement},{{"accept":null}}]}}}}]}}"#
        );
        read(&rule).expect("a listing").tables[0].chains[0].lines[0].clone()
    };
    let change = line(r#"{"mangle":{"key":{"payload":{"protocol":"ip6","field":"hoplimit"}},"value":64}}"#);
    assert_eq!(change.conditions, [Condition::Narrow(Narrow::Family, Bits::single(1))]);
    for chance in [
        r#"{"tproxy":{"port":1081}}"#,
        r#"{"counter":{"map":{"key":{"payload":{"protocol":"ip","field":"saddr"}},"data":"@names"}}}"#,
    ] {
        assert!(matches!(line(chance).conditions[..], [Condition::Chance(_)]), "{chance}");
    }
    assert_eq!(line(r#"{"counter":{"packets":0,"bytes":0}}"#).conditions, []);
}

/// A change at one place of a value.
fn spoil(value: &mut Value, path: &mut impl Iterator<Item = usize>, with: &Value) {
    let Some(step) = path.next() else {
        *value = with.clone();
        return;
    };
    match value {
        Value::Array(list) if !list.is_empty() => {
            let at = step % list.len();
            spoil(&mut list[at], path, with);
        }
        Value::Object(map) if !map.is_empty() => {
            let at = step % map.len();
            let (_, inner) = map.iter_mut().nth(at).expect("in range");
            spoil(inner, path, with);
        }
        other => *other = with.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_spoiled_listing_is_read_or_refused(
        path in proptest::collection::vec(0usize..200, 2..9),
        with in prop_oneof![
            Just(Value::Null), Just(serde_json::json!([])), Just(serde_json::json!({"a":{"b":[]}})), Just(serde_json::json!("@a")),
            Just(serde_json::json!(-1)), Just(serde_json::json!(u64::MAX)), Just(serde_json::json!({"range":[9,1]})),
            Just(serde_json::json!({"prefix":{"addr":"::","len":999}})), "[ -~]{0,12}".prop_map(Value::String),
        ],
    ) {
        let mut listing: Value = serde_json::from_str(EVERY_FORM).expect("the sample");
        spoil(&mut listing, &mut path.into_iter(), &with);
        let text = listing.to_string();
        prop_assert_eq!(read(&text), read_value(&listing));
        prop_assert_eq!(read(&text).is_ok(), export(&text).is_ok());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = read(&text);
        let _ = read(&format!(r#"{{"nftables":[{text}]}}"#));
    }
}

#[test]
fn the_version_is_the_family() {
    let asked = |protocol: &str, op: &str, version: u8| {
        let left = format!(r#"{{"payload":{{"protocol":"{protocol}","field":"version"}}}}"#);
        let families = matched(&left, op, &version.to_string()).into_iter().map(|condition| match condition {
            Condition::Narrow(Narrow::Family, families) => families,
            other => panic!("{other:?}"),
        });
        families.fold(Bits::ALL, Bits::and).iter().collect::<Vec<_>>()
    };
    assert_eq!([asked("ip", "==", 4), asked("ip", "==", 6), asked("ip", "!=", 6)], [vec![0], vec![], vec![0]]);
    assert_eq!([asked("ip6", "==", 6), asked("ip6", "==", 4)], [vec![1], vec![]]);
}

#[test]
fn a_listing_that_breaks_off_is_told_from_no_json() {
    let cut = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "ip", "name": "d", "flags": "#;
    assert_eq!(
        read(cut).expect_err("half a listing").to_string(),
        "the listing of nft breaks off: EOF while parsing a value at line 1 column 99; nft 1.0.6 spoils it where a table is dormant: \
         wake that table, or list it with another version of nft"
    );
    assert!(read("{").expect_err("no listing").to_string().starts_with("not JSON: "));
}
