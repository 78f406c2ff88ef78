//! The text of each construct, and the words of each refusal.

use crate::backend::nftables::{Policy, lower, whole};
use crate::rule::Rule;
use serde_json::{Value, json};

fn rule(fields: Value) -> Rule {
    let mut all = json!({"id": "r", "action": "drop", "direction": "input"});
    let object = all.as_object_mut().expect("object");
    object.extend(fields.as_object().cloned().expect("object"));
    serde_json::from_value(all).unwrap_or_else(|e| panic!("{fields}: {e}"))
}

fn lines(fields: Value) -> Vec<String> {
    let lowered = lower(&rule(fields.clone())).unwrap_or_else(|e| panic!("{fields}: {e:?}"));
    let text = |line: &Vec<_>| line.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    lowered.lines.iter().map(text).collect()
}

fn refusal(fields: Value) -> String {
    lower(&rule(fields.clone())).err().unwrap_or_else(|| panic!("{fields} is taken"))[0].to_string()
}

#[test]
fn addresses() {
    for (fields, want) in [
        (
            json!({"source_address": ["192.0.2.0/24"], "protocol": ["tcp"], "destination_port": ["22"]}),
            vec!["ip saddr 192.0.2.0/24 tcp dport 22 counter drop"],
        ),
        (json!({"source_address": ["192.0.2.1"]}), vec!["ip saddr 192.0.2.1 counter drop"]),
        (
            json!({"source_address": ["192.0.2.1", "2001:db8::1"], "protocol": ["tcp"]}),
            vec![
                "ip saddr 192.0.2.1 meta l4proto tcp counter drop",
                "ip6 saddr 2001:db8::1 meta l4proto tcp counter drop",
            ],
        ),
        (
            json!({"source_address": ["!10.0.0.0/8"], "protocol": ["tcp"], "destination_port": ["9200"]}),
            vec!["ip saddr != 10.0.0.0/8 tcp dport 9200 counter drop", "meta nfproto ipv6 tcp dport 9200 counter drop"],
        ),
        (
            json!({"source_address": ["10.0.0.3-10.0.0.9", "10.0.0.0/30", "10.1.0.0/16", "10.1.2.3"]}),
            vec!["ip saddr { 10.0.0.0-10.0.0.9, 10.1.0.0/16 } counter drop"],
        ),
        (
            json!({"source_address": ["0.0.0.0/0"], "protocol": ["udp"]}),
            vec!["meta nfproto ipv4 meta l4proto udp counter drop"],
        ),
        (
            json!({"source_address": ["10.0.0.0/8", "2001:db8::/32"], "destination_address": ["192.0.2.1"], "protocol": ["tcp"]}),
            vec!["ip saddr 10.0.0.0/8 ip daddr 192.0.2.1 meta l4proto tcp counter drop"],
        ),
        (json!({"family": "ipv6", "protocol": ["tcp"]}), vec!["meta nfproto ipv6 meta l4proto tcp counter drop"]),
    ] {
        assert_eq!(lines(fields.clone()), want, "{fields}");
    }
}

#[test]
fn transports_and_interfaces() {
    for (fields, want) in [
        (json!({"destination_port": ["53"]}), "meta l4proto { tcp, udp } th dport 53 counter drop"),
        (
            json!({"protocol": ["tcp", "sctp"], "source_port": ["!1024-65535", "80"]}),
            "meta l4proto { tcp, 132 } th sport != { 80, 1024-65535 } counter drop",
        ),
        (
            json!({"protocol": ["!tcp", "icmp"], "action": "accept", "family": "ipv4"}),
            "meta nfproto ipv4 meta l4proto != { icmp, tcp } counter accept",
        ),
        (json!({"protocol": ["gre"]}), "meta l4proto 47 counter drop"),
        (json!({"protocol": ["icmp"], "icmp_type": ["8", "0"]}), "meta nfproto ipv4 icmp type { 0, 8 } counter drop"),
        (
            json!({"protocol": ["icmpv6"], "icmp_type": ["128"], "action": "accept"}),
            "meta nfproto ipv6 icmpv6 type 128 counter accept",
        ),
        (json!({"interface_in": ["eth0"], "protocol": ["tcp"]}), "iifname \"eth0\" meta l4proto tcp counter drop"),
        (
            json!({"interface_in": ["eth*", "eth0", "wg0"], "protocol": ["tcp"]}),
            "iifname { \"eth*\", \"wg0\" } meta l4proto tcp counter drop",
        ),
        (
            json!({"interface_in": ["!averylongname12*"], "protocol": ["tcp"]}),
            "iifname != \"averylongname12\" meta l4proto tcp counter drop",
        ),
        (
            json!({"direction": "forward", "interface_in": ["a"], "interface_out": ["b"], "protocol": ["tcp"]}),
            "iifname \"a\" oifname \"b\" meta l4proto tcp counter drop",
        ),
    ] {
        assert_eq!(lines(fields.clone()), [want], "{fields}");
    }
}

#[test]
fn conditions_and_verdicts() {
    for (fields, want) in [
        (json!({"connection_state": ["new"]}), "ct state new counter drop"),
        (
            json!({"connection_state": ["!established", "related"], "protocol": ["tcp"]}),
            "meta l4proto tcp ct state != { established, related } counter drop",
        ),
        (json!({"tcp_flags": {"mask": ["syn", "fin"], "set": ["syn"]}}), "tcp flags & (fin | syn) == syn counter drop"),
        (
            json!({"tcp_flags": {"mask": ["syn", "fin"]}, "destination_port": ["22"], "protocol": ["tcp"]}),
            "tcp dport 22 tcp flags & (fin | syn) == 0x0 counter drop",
        ),
        (
            json!({"source_mac": ["52:54:00:12:34:56"], "protocol": ["tcp"]}),
            "meta l4proto tcp ether saddr 52:54:00:12:34:56 counter drop",
        ),
        (json!({"mark": "0x1/0xff", "protocol": ["udp"]}), "meta l4proto udp meta mark & 0xff == 0x1 counter drop"),
        (
            json!({"log": {"prefix": "ssh: ", "level": "info"}, "protocol": ["tcp"]}),
            "meta l4proto tcp log prefix \"ssh: \" level info counter drop",
        ),
        (json!({"action": "log", "protocol": ["tcp"]}), "meta l4proto tcp log counter"),
        (
            json!({"action": "reject", "protocol": ["tcp"]}),
            "meta l4proto tcp counter reject with icmpx port-unreachable",
        ),
        (
            json!({"action": "reject", "protocol": ["tcp"], "reject_with": "tcp-reset"}),
            "meta l4proto tcp counter reject with tcp reset",
        ),
        (
            json!({"action": "reject", "protocol": ["udp"], "reject_with": "net-unreachable"}),
            "meta l4proto udp counter reject with icmpx no-route",
        ),
    ] {
        assert_eq!(lines(fields.clone()), [want], "{fields}");
    }
}

#[test]
fn hours() {
    let hours = |days: &[&str], from: &str, to: &str| {
        let mut schedule = json!({"days": days, "zone": "UTC"});
        for (name, time) in [("from", from), ("to", to)].into_iter().filter(|(_, time)| !time.is_empty()) {
            schedule[name] = json!(time);
        }
        lines(json!({"protocol": ["tcp"], "schedule": schedule}))
    };
    let line = |asked: &str| format!("meta l4proto tcp {asked} counter drop");
    assert_eq!(hours(&[], "09:00", "17:30"), [line("meta hour 32400-62999")]);
    assert_eq!(hours(&["tuesday", "monday"], "", ""), [line("meta day { Monday, Tuesday }")]);
    assert_eq!(hours(&[], "22:00", "06:00"), [line("meta hour { 79200-86399, 0-21599 }")]);
    assert_eq!(
        hours(&["sunday"], "22:00", "06:00"),
        [line("meta day Sunday meta hour 79200-86399"), line("meta day Monday meta hour 0-21599")]
    );
}

#[test]
fn translations() {
    for (fields, want) in [
        (
            json!({"action": "dnat", "interface_in": ["wan0"], "protocol": ["tcp"], "destination_port": ["80"],
                   "nat": {"address": "10.0.0.5", "port": "8080"}}),
            "iifname \"wan0\" meta nfproto ipv4 tcp dport 80 counter dnat ip to 10.0.0.5:8080",
        ),
        (
            json!({"action": "dnat", "destination_port": ["53"], "nat": {"address": "2001:db8::5-2001:db8::9", "port": "1000-1009"}}),
            "meta nfproto ipv6 meta l4proto { tcp, udp } th dport 53 counter dnat ip6 to [2001:db8::5]-[2001:db8::9]:1000-1009",
        ),
        (
            json!({"action": "dnat", "protocol": ["udp"], "nat": {"port": "5353"}, "direction": "output"}),
            "meta l4proto udp counter dnat to :5353",
        ),
        (
            json!({"action": "redirect", "protocol": ["tcp"], "destination_port": ["80"], "nat": {"port": "3128"}, "log": {"prefix": "x"}}),
            "tcp dport 80 log prefix \"x\" counter redirect to :3128",
        ),
        (
            json!({"action": "snat", "direction": "forward", "source_address": ["10.0.0.0/8"], "interface_out": ["wan0"],
                   "nat": {"address": "192.0.2.1-192.0.2.3"}}),
            "oifname \"wan0\" ip saddr 10.0.0.0/8 counter snat ip to 192.0.2.1-192.0.2.3",
        ),
        (
            json!({"action": "masquerade", "direction": "output", "interface_out": ["wan0"]}),
            "oifname \"wan0\" counter masquerade",
        ),
        (
            json!({"action": "masquerade", "direction": "forward", "protocol": ["tcp", "udp"], "nat": {"port": "1024-65535"}}),
            "meta l4proto { tcp, udp } counter masquerade to :1024-65535",
        ),
    ] {
        assert_eq!(lines(fields.clone()), [want], "{fields}");
    }
}

#[test]
fn refusals_of_translations() {
    let to = json!({"address": "10.0.0.5"});
    for (fields, words) in [
        (
            json!({"action": "dnat"}),
            "rule r: nat `none`: dnat needs nat.address, nat.port or both: where the packets are led to",
        ),
        (
            json!({"action": "snat", "direction": "forward"}),
            "rule r: nat `none`: snat needs nat.address; masquerade takes the interface's own",
        ),
        (
            json!({"action": "masquerade", "direction": "forward", "nat": to}),
            "rule r: nat `10.0.0.5`: masquerade takes the address of the interface by which packets leave; snat takes one",
        ),
        (
            json!({"action": "redirect", "nat": to}),
            "rule r: nat `10.0.0.5`: redirect leads to this host itself; dnat leads to an address",
        ),
        (
            json!({"action": "dnat", "nat": {"address": "10.0.0.0/24"}}),
            "rule r: nat `10.0.0.0/24`: a network may mean any of its addresses or one for each; name one address, or a range a-b for any of it",
        ),
        (
            json!({"action": "dnat", "family": "ipv6", "nat": to}),
            "rule r: nat `10.0.0.5`: family ipv6 cannot be led to an ipv4 address",
        ),
        (
            json!({"action": "redirect", "nat": {"port": "80"}}),
            "rule r: nat `80`: a port is translated of protocols that have ports; list them in `protocol`: tcp, udp, sctp, dccp or udplite",
        ),
        (
            json!({"action": "masquerade"}),
            "rule r: direction `input`: where packets come from is translated when they leave; direction forward or output is needed",
        ),
    ] {
        assert_eq!(refusal(fields.clone()), words, "{fields}");
    }
}

#[test]
fn refusals_of_what_translations_cannot_see() {
    let to = json!({"address": "10.0.0.5"});
    for (fields, words) in [
        (
            json!({"action": "dnat", "direction": "forward", "interface_out": ["b"], "nat": to}),
            "rule r: interface_out `b`: packets are led elsewhere before it is known by which interface they leave; use interface_in",
        ),
        (
            json!({"action": "masquerade", "direction": "forward", "source_mac": ["52:54:00:12:34:56"]}),
            "rule r: source_mac `52:54:00:12:34:56`: where packets leave, nobody looks at the hardware address that they came from; name addresses or interfaces",
        ),
        (
            json!({"action": "dnat", "connection_state": ["established"], "nat": to}),
            "rule r: connection_state `established`: only packets that begin a connection are translated, and the others follow; leave it out, or ask for `new`",
        ),
        (
            json!({"action": "dnat", "rate_limit": {"count": 3, "per": "minute"}, "nat": to}),
            "rule r: rate_limit `3/minute`: nothing is dropped where addresses are translated; limit the accept rule behind it",
        ),
        (
            json!({"action": "drop", "nat": to}),
            "rule r: nat `10.0.0.5`: drop translates no address; dnat, snat and redirect do",
        ),
        (
            json!({"action": "dnat", "source_address": ["2001:db8::1"], "nat": to}),
            "rule r: nat `10.0.0.5`: no packet can match: nothing is left of it in either address family",
        ),
    ] {
        assert_eq!(refusal(fields.clone()), words, "{fields}");
    }
}

#[test]
fn necessary_icmp_is_left_alone() {
    for (fields, want) in [
        (json!({"protocol": ["icmp"]}), vec!["meta nfproto ipv4 icmp type != 3 counter drop"]),
        (
            json!({"protocol": ["icmp", "icmpv6"]}),
            vec![
                "meta nfproto ipv4 icmp type != 3 counter drop",
                "meta nfproto ipv6 icmpv6 type != { 1-4, 130-137, 143 } counter drop",
            ],
        ),
        (
            json!({}),
            vec![
                "meta nfproto ipv4 meta l4proto != icmp counter drop",
                "meta nfproto ipv4 icmp type != 3 counter drop",
                "meta nfproto ipv6 meta l4proto != 58 counter drop",
                "meta nfproto ipv6 icmpv6 type != { 1-4, 130-137, 143 } counter drop",
            ],
        ),
        (
            json!({"source_address": ["2001:db8::/32"]}),
            vec![
                "ip6 saddr 2001:db8::/32 meta l4proto != 58 counter drop",
                "ip6 saddr 2001:db8::/32 icmpv6 type != { 1-4, 130-137, 143 } counter drop",
            ],
        ),
        (json!({"source_address": ["2001:db8::7"]}), vec!["ip6 saddr 2001:db8::7 counter drop"]),
        (
            json!({"protocol": ["icmp"], "icmp_type": ["!8"]}),
            vec!["meta nfproto ipv4 icmp type != { 3, 8 } counter drop"],
        ),
        (
            json!({"protocol": ["icmp"], "icmp_type": ["3/4", "3/1", "8"], "action": "accept"}),
            vec![
                "meta nfproto ipv4 icmp type 8 counter accept",
                "meta nfproto ipv4 icmp type 3 icmp code { 1, 4 } counter accept",
            ],
        ),
    ] {
        assert_eq!(lines(fields.clone()), want, "{fields}");
    }
}

#[test]
fn rates() {
    let total = lines(
        json!({"action": "accept", "protocol": ["tcp"], "destination_port": ["80"], "rate_limit": {"count": 20, "per": "second"}}),
    );
    assert_eq!(
        total,
        ["tcp dport 80 limit name \"limit_NAME\" counter accept", "tcp dport 80 counter drop"]
            .map(|l| l.replace("NAME", name(&total[0])))
    );
    let over = lines(json!({"protocol": ["tcp"], "log": {}, "rate_limit": {"count": 20, "per": "second"}}));
    assert_eq!(over, [format!("meta l4proto tcp limit name \"limit_{}\" log counter drop", name(&over[0]))]);
    let each = lines(json!({"action": "accept", "family": "ipv6", "protocol": ["tcp"], "destination_port": ["22"],
        "rate_limit": {"count": 6, "per": "minute", "burst": 9, "scope": "source", "over": "reject"}}));
    assert!(
        each[0].contains("update @rate6_")
            && each[0]
                .ends_with("{ ip6 saddr & ffff:ffff:ffff:ffff:: limit rate 6/minute burst 9 packets } counter accept"),
        "{each:?}"
    );
    assert!(
        each[1].contains("ip6 saddr & ffff:ffff:ffff:ffff:: != @rate6_") && each[1].contains("limit name"),
        "{each:?}"
    );
    assert_eq!(each[2], "meta nfproto ipv6 tcp dport 22 counter reject with icmpx port-unreachable");
}

fn name(line: &str) -> &str {
    line.split_once("limit_").and_then(|(_, rest)| rest.split_once('"')).expect("a limit").0
}

#[test]
fn wide_lists_are_named_sets_and_rules_that_end_stand_behind_a_switch() {
    let many: Vec<String> = (0..65).map(|n| format!("192.0.2.{}", n * 2)).collect();
    let wide = lower(&rule(json!({"source_address": many, "protocol": ["tcp"]}))).expect("wide");
    let name = &wide.sets[0].0.name;
    assert!(name.starts_with("a_") && !wide.sets[0].0.interval && wide.sets[0].1.len() == 65);
    assert_eq!(wide.sets[0].0.to_string(), format!("set inet afo {name} {{ type ipv4_addr; size 65; }}"));
    assert_eq!(wide.lines[0][0].to_string(), format!("ip saddr @{name}"));
    let timed =
        lines(json!({"action": "accept", "protocol": ["tcp"], "destination_port": ["8000"], "ttl_seconds": 600}));
    assert!(
        timed[0].starts_with("meta nfproto @ttl_") && timed[0].ends_with(" tcp dport 8000 counter accept"),
        "{timed:?}"
    );
}

#[test]
fn bans_are_elements() {
    let sets = |fields: Value| -> Vec<String> {
        let lowered = lower(&rule(fields)).expect("a ban");
        let mut out: Vec<String> = lowered.blocks.iter().map(|b| b.ban.set().name()).collect();
        out.extend(lowered.lines.iter().map(|_| "line".to_owned()));
        out
    };
    assert_eq!(
        sets(json!({"source_address": ["192.0.2.66", "2001:db8::/56"], "ttl_seconds": 60})),
        ["block4", "block6_56"]
    );
    assert_eq!(
        sets(json!({"destination_address": ["192.0.2.0/29"], "direction": "output", "ttl_seconds": 60})),
        ["out4_29"]
    );
    let port =
        json!({"source_address": ["192.0.2.66"], "destination_port": ["22"], "protocol": ["tcp"], "ttl_seconds": 60});
    assert_eq!(sets(port), ["block4_port"]);
    let translated = json!({"source_address": ["192.0.2.66"], "destination_port": ["22"], "protocol": ["tcp"], "ttl_seconds": 60, "direction": "forward"});
    assert_eq!(sets(translated), ["line"]);
    for extra in [
        json!({"log": {}}),
        json!({"action": "reject"}),
        json!({"interface_in": ["eth0"]}),
        json!({"source_address": ["!192.0.2.1"]}),
    ] {
        let mut fields = json!({"source_address": ["192.0.2.66"], "ttl_seconds": 60});
        fields.as_object_mut().expect("object").extend(extra.as_object().cloned().expect("object"));
        assert!(sets(fields).contains(&"line".to_owned()), "{extra}");
    }
    assert!(sets(json!({"source_address": ["192.0.2.66"], "ttl_seconds": 60, "enabled": false})).is_empty());
}

#[test]
fn each_refusal_names_rule_field_value_and_what_is_allowed() {
    for (fields, words) in [
        (
            json!({"tcp_flags": {"mask": ["syn"]}, "protocol": ["udp"]}),
            "rule r: tcp_flags `/syn`: protocol udp has no TCP flags; set it to tcp",
        ),
        (
            json!({"tcp_flags": {"mask": ["syn"], "set": ["ack"]}}),
            "rule r: tcp_flags `ack/syn`: ack is set but not in the mask, so no packet can match; add it to the mask",
        ),
        (
            json!({"icmp_type": ["8"], "protocol": ["icmp"], "destination_port": ["22"]}),
            "rule r: destination_port `22`: ICMP has types and no ports; leave icmp_type or the ports out",
        ),
        (
            json!({"destination_port": ["22"], "protocol": ["icmp"]}),
            "rule r: destination_port `22`: protocol icmp has no ports; tcp, udp, sctp, dccp and udplite do",
        ),
        (
            json!({"icmp_type": ["8"]}),
            "rule r: icmp_type `8`: with protocol any it does not say whose type; set protocol to icmp or icmpv6",
        ),
        (
            json!({"icmp_type": ["135"], "protocol": ["icmpv6"]}),
            "rule r: icmp_type `135`: ipv6 does not work without it; types that may be denied to everybody are all but 1-4, 130-137 and 143",
        ),
    ] {
        assert_eq!(refusal(fields.clone()), words, "{fields}");
    }
}

#[test]
fn refusals_of_families_and_interfaces() {
    for (fields, words) in [
        (
            json!({"family": "ipv4", "source_address": ["2001:db8::1"]}),
            "rule r: source_address `2001:db8::1`: family ipv4 holds no ipv6 address",
        ),
        (json!({"family": "ipv6", "protocol": ["icmp"]}), "rule r: protocol `icmp`: family ipv6 has icmpv6 instead"),
        (
            json!({"direction": "output", "interface_in": ["eth0"]}),
            "rule r: interface_in `eth0`: an outgoing packet came in by no interface; use interface_out, or direction forward",
        ),
        (
            json!({"interface_out": ["eth0"]}),
            "rule r: interface_out `eth0`: a packet to this host leaves by no interface; use interface_in, or direction forward",
        ),
        (
            json!({"direction": "output", "source_mac": ["52:54:00:12:34:56"]}),
            "rule r: source_mac `52:54:00:12:34:56`: an outgoing packet has no hardware source address yet; direction input or forward is needed",
        ),
        (
            json!({"source_address": ["192.0.2.1"], "destination_address": ["2001:db8::1"]}),
            "rule r: source_address `192.0.2.1`: no packet can match: nothing is left of it in either address family",
        ),
        (
            json!({"source_address": ["!0.0.0.0/0", "::/0"]}),
            "rule r: source_address `!0.0.0.0/0,::/0`: no packet can match: nothing is left of it in either address family",
        ),
        (
            json!({"protocol": ["icmpv6"], "source_address": ["192.0.2.1"]}),
            "rule r: source_address `192.0.2.1`: no packet can match: nothing is left of it in either address family",
        ),
    ] {
        assert_eq!(refusal(fields.clone()), words, "{fields}");
    }
}

#[test]
fn refusals_of_answers_times_and_rates() {
    for (fields, words) in [
        (
            json!({"action": "reject", "reject_with": "tcp-reset"}),
            "rule r: reject_with `tcp-reset`: a reset is for TCP alone; set protocol to tcp, or use port-unreachable",
        ),
        (
            json!({"reject_with": "port-unreachable"}),
            "rule r: reject_with `port-unreachable`: drop sends no answer; only reject does",
        ),
        (
            json!({"ttl_seconds": 0}),
            "rule r: ttl_seconds `0`: a rule may last 1 to 315360000 seconds (ten years); leave it out for a rule that stays",
        ),
        (
            json!({"rate_limit": {"count": 4000000000u32, "per": "second"}}),
            "rule r: rate_limit `4000000000`: a rate of at most 1000000 per second, minute, hour or day can be kept",
        ),
        (
            json!({"rate_limit": {"count": 1, "per": "second", "burst": 0}}),
            "rule r: rate_limit `burst 0`: a burst is 1 to 65535 packets",
        ),
        (
            json!({"id": "192.0.2.7"}),
            "rule 192.0.2.7: id `192.0.2.7`: an address cannot be a rule's id: whoever removes it would mean the block of that address",
        ),
        (
            json!({"extra": {"a\"; flush\n": 1}}),
            "rule r: extra `a\\\"; flush\\n`: nftables has no such match here; `extra` must be empty",
        ),
        (
            json!({"protocol": ["!tcp"], "destination_port": ["22"]}),
            "rule r: destination_port `22`: protocol !tcp does not say which protocols' ports; list them",
        ),
    ] {
        assert_eq!(refusal(fields.clone()), words, "{fields}");
    }
    assert!(refusal(json!({"vlan": ["1"]})).starts_with("rule r: vlan `"));
    let hours = |fields: Value| refusal(json!({ "schedule": fields }));
    let words = "rule r: schedule `UTC`: it leaves out no hour of the week; name days, `from` or `to`, or leave it out";
    assert_eq!(hours(json!({"zone": "UTC"})), words);
    let words = "rule r: schedule `local time`: the kernel compares hours in UTC, and they were not brought there";
    assert_eq!(hours(json!({"days": ["monday"]})), words);
}

fn order(rules: Value) -> String {
    let mut rules: Vec<Value> = rules.as_array().cloned().expect("a list");
    for rule in &mut rules {
        let object = rule.as_object_mut().expect("object");
        for (field, value) in [("action", "drop"), ("direction", "input")] {
            object.entry(field).or_insert(json!(value));
        }
        if object.get("all").is_none() {
            object.insert("protocol".into(), json!(["tcp"]));
        }
        object.remove("all");
    }
    let rules: Vec<Rule> = serde_json::from_value(Value::Array(rules)).expect("rules");
    let text = match Policy::of(&rules) {
        Ok(policy) => whole(&policy, &[]).to_string(),
        Err(refused) => return refused[0].to_string(),
    };
    let mut ids: Vec<&str> =
        text.lines().filter(|l| l.contains("g1_input")).filter_map(|l| l.rsplit('"').nth(1)).collect();
    ids.retain(|id| *id != "afo");
    ids.dedup();
    ids.join(" ")
}

#[test]
fn positions_are_honoured() {
    let all = json!([{"id": "d", "all": 1}, {"id": "a"}, {"id": "l", "position": "last"}, {"id": "b", "position": "before:a"},
        {"id": "f", "position": "first"}, {"id": "p", "priority": -5}, {"id": "x", "position": "after:a"}, {"id": "y", "position": "after:a"}]);
    assert_eq!(order(all), "f p b a x y l d");
    let words = "rule b: position `before:z`: no rule of that id and direction is there; name one of the same direction, or use first or last";
    assert_eq!(order(json!([{"id": "b", "position": "before:z"}])), words);
    assert_eq!(order(json!([{"id": "b"}, {"id": "b"}])), "rule b: id `b`: two rules have this id; each needs its own");
}

#[test]
fn loopback_is_left_alone_unless_it_is_named() {
    let text = |rules: Value| {
        let rules: Vec<Rule> = serde_json::from_value(rules).expect("rules");
        whole(&Policy::of(&rules).expect("policy"), &[]).to_string()
    };
    let plain = json!({"id": "a", "action": "drop", "direction": "input", "protocol": ["tcp"]});
    let named = json!({"id": "b", "action": "drop", "direction": "input", "protocol": ["tcp"], "interface_in": ["lo"]});
    let one = text(json!([plain]));
    assert!(
        one.contains("g1_input iif lo return comment \"afo\"\nadd rule inet afo g1_input meta l4proto tcp"),
        "{one}"
    );
    let both = text(json!([plain, named]));
    assert!(!both.contains("g1_input iif lo"), "{both}");
    assert!(
        both.contains("g1_input iifname != \"lo\" meta l4proto tcp") && both.contains("g1_input iifname \"lo\" meta"),
        "{both}"
    );
}
