//! Allows through a door: a rule of another program's chain that accepts what AFO has marked.

use super::in_namespace;
use afo::analyze::{Budget, conflicts};
use afo::backend::nftables::{Policy, alone, read, with_policy};
use afo::record::{Conflict, ConflictType};
use afo::rule::evaluate::evaluate;
use afo::rule::ruleset::Ruleset;
use afo::rule::{Packet, Rule};
use afo::sys::lab::Lab;
use serde_json::{Value, json};

const DOOR: &str = "meta mark & 0x10000000 == 0x10000000 accept;";
const SSH: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:22 tcp syn";
const WEB: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:80 tcp syn";
const MARKED: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:80 tcp syn mark 0x10000000";

fn rules(more: Value) -> Vec<Rule> {
    let mut all = vec![
        json!({"id": "r1", "action": "accept", "direction": "forward", "protocol": ["tcp"], "destination_port": ["22"]}),
    ];
    all.extend(more.as_array().cloned().expect("a list"));
    serde_json::from_value(Value::Array(all)).expect("rules")
}

fn host(rules: &str) -> String {
    format!(
        "table inet f {{ chain early {{ }}; chain forward {{ type filter hook forward priority 0; policy drop; {rules} }}; }}\n"
    )
}

fn passes(lab: &mut Lab, packet: &str) -> bool {
    let packet: Packet = packet.parse().expect("a packet");
    lab.send(&[packet], false).expect("it is sent").pop().flatten().expect("it can be sent").passed
}

fn thinks(ruleset: &Ruleset, packet: &str) -> bool {
    let packet: Packet = packet.parse().expect("a packet");
    evaluate(ruleset, &packet, &mut |_, text| panic!("luck: {text}")).expect("no circle").fate.passes()
}

/// What kernel, evaluator on the listing, and model of the policy say of the three packets.
fn judged(lab: &mut Lab, foreign: &str, rules: &[Rule]) -> [[bool; 3]; 3] {
    let before = read(&lab.load(foreign).expect("it loads")).expect("a listing");
    let policy = Policy::of(rules).expect("a policy").for_doors(&before);
    let model = with_policy(&before, &policy).expect("a model");
    let text = format!("{foreign}{}", alone(&policy, &[]));
    let listed = read(&lab.load(&text).unwrap_or_else(|e| panic!("{text}: {e}"))).expect("a listing");
    let kernel = [SSH, WEB, MARKED].map(|packet| passes(lab, packet));
    [kernel, [SSH, WEB, MARKED].map(|packet| thinks(&listed, packet)), {
        // The mark of a packet that comes marked is cleared, which the model of a door leaves out.
        let [ssh, web, _] = [SSH, WEB, WEB].map(|packet| thinks(&model, packet));
        [ssh, web, kernel[2]]
    }]
}

#[test]
fn an_allow_is_true_through_a_door_and_nothing_else_is() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let allow = rules(json!([]));
        assert_eq!(judged(&mut lab, &host(DOOR), &allow), [[true, false, false]; 3]);
        assert_eq!(judged(&mut lab, &host(""), &allow), [[false, false, false]; 3]);
        // Where another rule looks at the bit AFO does not use it.
        let taken = host(&format!("{DOOR} meta mark 0x7 counter; "));
        assert_eq!(judged(&mut lab, &taken, &allow)[0][..2], [false, false]);
        let drops = json!([{"id": "r0", "action": "drop", "direction": "forward", "source_address": ["203.0.113.9"], "position": "first"}]);
        assert_eq!(judged(&mut lab, &host(DOOR), &rules(drops)), [[false, false, false]; 3]);
        let led = "table inet f { chain user { meta mark & 0x10000000 == 0x10000000 accept; }; chain forward { type filter hook forward priority 0; policy drop; jump user; }; }\n";
        assert_eq!(judged(&mut lab, led, &allow), [[true, false, false]; 3]);
    });
}

#[test]
fn an_allow_that_is_not_true_names_the_door_and_with_it_is_fine() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let mut judge = |foreign: &str| {
            let live = read(&lab.load(foreign).expect("it loads")).expect("a listing");
            conflicts(&live, &rules(json!([])), Budget::default())
        };
        let closed = judge(&host(""));
        assert!(closed.conflicts.items.iter().any(|item| item.dead), "{:?}", closed.conflicts);
        let words = "put once before what drops, `meta mark & 0x10000000 == 0x10000000 accept` lets through what AFO accepts, and nothing else (afo-deploy --placement foreign puts it there)";
        assert!(closed.advice.iter().any(|advice| advice == words), "{:?}", closed.advice);
        let open = judge(&host(DOOR));
        assert_eq!((open.conflicts.items, open.effect.newly_accepted.len()), (vec![], 1));
        let taken = judge(&host(&format!("{DOOR} meta mark 0x7 counter; ")));
        // That what others mark goes through the door all the same makes no allow true.
        let ineffective = |item: &Conflict| item.kind == ConflictType::Ineffective && item.dead;
        assert!(taken.conflicts.items.iter().any(ineffective), "{:?}", taken.conflicts);
        assert!(
            taken.advice.iter().any(|advice| advice.contains("cannot let through what AFO accepts")),
            "{:?}",
            taken.advice
        );
    });
}

#[test]
fn what_older_allows_let_through_once_they_are_marked_is_in_the_effect() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let foreign = host(DOOR);
        // They stand there without a mark: there was no door when they came.
        let old = alone(&Policy::of(&rules(json!([]))).expect("a policy"), &[]);
        let live = read(&lab.load(&format!("{foreign}{old}")).expect("it loads")).expect("a listing");
        assert!(!passes(&mut lab, SSH));
        let more = json!({"id": "r2", "action": "drop", "direction": "forward", "protocol": ["tcp"], "destination_port": ["9"]});
        let judged = conflicts(&live, &[serde_json::from_value(more.clone()).expect("a rule")], Budget::default());
        let opened: Vec<_> = judged.effect.newly_accepted.iter().map(|class| class.text.as_str()).collect();
        assert_eq!(opened.len(), 1, "{opened:?}");
        assert!(opened[0].contains("forward") && opened[0].contains("22"), "{opened:?}");
        let all = rules(json!([more]));
        let policy = Policy::of(&all).expect("a policy").for_doors(&live);
        assert!(
            policy.placement()[0]
                .why
                .ends_with("; its accept marks what it lets through, and `inet f forward` accepts that mark")
        );
        let text = format!("{foreign}{}", alone(&policy, &[]));
        lab.load(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(passes(&mut lab, SSH) && !passes(&mut lab, WEB));
        // What is marked already is no news.
        let marked = alone(&Policy::of(&rules(json!([]))).expect("a policy").for_doors(&live), &[]);
        let live = read(&lab.load(&format!("{foreign}{marked}")).expect("it loads")).expect("a listing");
        let judged = conflicts(&live, &all[1..], Budget::default());
        assert!(judged.effect.newly_accepted.is_empty(), "{:?}", judged.effect);
    });
}
