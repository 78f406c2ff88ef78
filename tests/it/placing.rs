//! Where the analysis thinks that proposed rules would stand, against what AFO really writes: the fates of packets are the same.

use crate::import::Draw;
use afo::analyze::with_rules;
use afo::backend::nftables::{Ban, Policy, read_value, whole};
use afo::rule::evaluate::{Fate, evaluate};
use afo::rule::ruleset::Ruleset;
use afo::rule::{Direction, Packet, Rule, Turned};
use serde_json::{Value, json};

/// A list of a field, as often empty as not.
fn list(draw: &mut Draw, rule: &mut Value, field: &str, choices: &[&[&str]]) {
    if draw.of(&[true, false]) {
        rule[field] = json!(draw.of(choices));
    }
}

const ADDRESSES: [&[&str]; 10] = [
    &["10.0.0.1"],
    &["192.0.2.0/24", "2001:db8::/32"],
    &["203.0.113.9", "198.51.100.0-198.51.100.200"],
    &["!", "10.0.0.0/8"],
    &["2001:db8::1"],
    &["2001:db8:bad::/64"],
    &["!", "2001:db8::1", "192.168.1.3"],
    &["0.0.0.0/0"],
    &["fe80::/10", "::1"],
    &["10.0.0.1", "192.0.2.9", "192.168.1.3"],
];
const FACES: [&[&str]; 6] = [&["eth0"], &["lan0", "guest*"], &["!", "eth0"], &["lo"], &["!", "lo"], &["br*"]];
const PROTOCOLS: [&[&str]; 8] = [
    &["tcp"],
    &["udp"],
    &["tcp", "udp"],
    &["icmp"],
    &["icmpv6", "icmp"],
    &["!", "tcp"],
    &["gre"],
    &["!", "icmp", "udp"],
];
const PORTS: [&[&str]; 6] = [&["22"], &["80-443"], &["53", "8080"], &["!", "22-23"], &["1024-65535"], &["0"]];
const STATES: [&[&str]; 5] =
    [&["new"], &["established", "related"], &["!", "invalid"], &["new", "invalid"], &["untracked"]];
const TYPES: [&[&str]; 5] = [&["8"], &["3/4", "8"], &["!", "8", "128"], &["0", "128"], &["4/1"]];

/// A negated list carries its mark on the first element.
fn marked(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return };
    for list in fields.values_mut().filter_map(Value::as_array_mut) {
        if list.first() == Some(&json!("!")) {
            list.remove(0);
            list[0] = json!(format!("!{}", list[0].as_str().expect("words")));
        }
    }
}

/// A rule that can be had in nftables.
fn rule(draw: &mut Draw, id: &str) -> Rule {
    loop {
        let mut fields = json!({
            "id": id,
            "action": draw.of(&["accept", "accept", "drop", "drop", "reject", "log"]),
            "direction": draw.of(&["input", "input", "forward", "output"]),
        });
        if draw.of(&[true, false, false]) {
            fields["family"] = json!(draw.of(&["ipv4", "ipv6"]));
        }
        list(draw, &mut fields, "source_address", &ADDRESSES);
        list(draw, &mut fields, "destination_address", &ADDRESSES);
        list(draw, &mut fields, "protocol", &PROTOCOLS);
        if draw.of(&[true, false]) {
            list(draw, &mut fields, "destination_port", &PORTS);
            list(draw, &mut fields, "connection_state", &STATES);
        }
        if draw.of(&[true, false, false]) {
            list(draw, &mut fields, "source_port", &PORTS);
            list(draw, &mut fields, "interface_in", &FACES);
            list(draw, &mut fields, "interface_out", &FACES);
        }
        if draw.of(&[true, false, false, false]) {
            list(draw, &mut fields, "icmp_type", &TYPES);
        }
        special(draw, &mut fields);
        marked(&mut fields);
        let Ok(rule) = serde_json::from_value::<Rule>(fields) else { continue };
        if Policy::of(std::slice::from_ref(&rule)).is_ok() {
            return rule;
        }
    }
}

/// What few rules have.
fn special(draw: &mut Draw, fields: &mut Value) {
    match draw.of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
        0 => fields["tcp_flags"] = json!({ "mask": ["syn", "ack"], "set": ["syn"] }),
        1 => fields["mark"] = json!(draw.of(&["0x1", "0x7", "0x1/0x1"])),
        2 | 3 => fields["ttl_seconds"] = json!(600),
        // Of these the kernel alone decides between accept and drop.
        6 if fields["nat"].is_null() => translate(draw, fields),
        4 if fields["action"] != "accept" => fields["rate_limit"] = json!({ "count": 5, "per": "minute" }),
        // Of a denial of everything nobody can tell in the kernel that it was meant to stand first.
        5 if fields["action"] == "accept" => fields["position"] = json!("first"),
        _ => {}
    }
}

/// Makes a rule one that translates.
fn translate(draw: &mut Draw, fields: &mut Value) {
    let address = draw.of(&["10.0.0.5", "192.0.2.1-192.0.2.9", "2001:db8::5"]);
    fields["action"] = json!(draw.of(&["dnat", "dnat", "redirect", "snat", "masquerade"]));
    match fields["action"].as_str() {
        Some("dnat" | "snat") => fields["nat"] = json!({ "address": address }),
        _ => fields["protocol"] = json!(["tcp", "udp"]),
    }
    if fields["action"] == "redirect" {
        fields["nat"] = json!({ "port": draw.of(&["8080", "1000-1009"]) });
    }
    if let Some(all) = fields.as_object_mut() {
        all.remove("source_mac");
    }
}

pub fn rules(draw: &mut Draw, prefix: &str, count: usize) -> Vec<Rule> {
    (0..count).map(|n| rule(draw, &format!("{prefix}{n}"))).collect()
}

/// What becomes of a packet where all that is left to chance holds, and sets of bans hold what the rules ban; nothing where what a set is asked
/// for is not known of it.
fn fate(ruleset: &Ruleset, packet: &Packet, bans: &[Ban]) -> Option<(Fate, Turned)> {
    let mut blurred = false;
    let trace = evaluate(ruleset, packet, &mut |_, text| match text.split_once('@') {
        Some((_, set)) if set.starts_with("block") || set.starts_with("out") => {
            bans.iter().any(|ban| ban.set().name() == set && is_banned(ban, packet))
        }
        _ => {
            blurred |= text == "a field that a rule alters";
            true
        }
    })
    .expect("no circle");
    (!blurred).then_some((trace.fate, trace.turned))
}

fn is_banned(ban: &Ban, packet: &Packet) -> bool {
    match ban {
        Ban::Source(net) => net.contains(&packet.source),
        Ban::Destination(net) => net.contains(&packet.destination),
        Ban::Port(address, protocol, port) => {
            let ported = packet.protocol == *protocol && !packet.fragment;
            *address == packet.source && ported && packet.destination_port == *port
        }
    }
}

/// Holds two rulesets against one another on packets of every direction; how many were not accepted.
pub fn same_fates(draw: &mut Draw, thought: &Ruleset, real: &Ruleset, rules: &[Rule]) -> usize {
    let bans: Vec<_> = Policy::of(rules).expect("each can be had").blocks().iter().map(|block| block.ban).collect();
    let mut denied = 0;
    for _ in 0..400 {
        let packet = draw.packet();
        let fates = fate(thought, &packet, &bans).zip(fate(real, &packet, &bans));
        let Some((thought, real)) = fates else { continue };
        denied += usize::from(!real.0.passes());
        let words: Vec<_> = rules.iter().map(Rule::to_line).collect();
        assert_eq!(thought, real, "{packet} through\n{}", words.join("\n"));
    }
    denied
}

fn written(rules: &[Rule]) -> Ruleset {
    let policy = Policy::of(rules).expect("each can be had");
    read_value(&whole(&policy, &policy.blocks()).json().expect("no window")).expect("a listing")
}

#[test]
fn on_an_empty_host_rules_stand_where_they_are_thought_to() {
    let (mut draw, mut denied) = (Draw(11), 0);
    for _ in 0..150 {
        let count = draw.of(&[1, 2, 3, 5]);
        let rules = rules(&mut draw, "a", count);
        let thought = with_rules(&Ruleset::default(), &rules);
        denied += same_fates(&mut draw, &thought, &written(&rules), &rules);
    }
    assert!(denied > 1_500, "{denied} packets were denied");
}

#[test]
fn beside_rules_that_are_there_they_stand_where_they_are_thought_to() {
    let (mut draw, mut denied) = (Draw(12), 0);
    for _ in 0..100 {
        let (before, more) = (rules(&mut draw, "a", 3), rules(&mut draw, "b", 2));
        let thought = with_rules(&written(&before), &more);
        let all = merged(&before, &more);
        denied += same_fates(&mut draw, &thought, &written(&all), &all);
    }
    assert!(denied > 1_500, "{denied} packets were denied");
}

/// The policy that afo-deploy makes of what is there and what comes.
pub fn merged(before: &[Rule], more: &[Rule]) -> Vec<Rule> {
    afo::deploy::changed(before, more, &[]).expect("ids of their own")
}

#[test]
fn a_default_denial_stays_last() {
    let deny = |direction: Direction| Rule::new("deny".parse().expect("an id"), afo::rule::Action::Drop, direction);
    let mut draw = Draw(13);
    for direction in Direction::ALL.iter().copied() {
        for _ in 0..25 {
            let more = rules(&mut draw, "b", 2);
            let all = merged(&[deny(direction)], &more);
            let thought = with_rules(&written(&[deny(direction)]), &more);
            same_fates(&mut draw, &thought, &written(&all), &all);
        }
    }
}
