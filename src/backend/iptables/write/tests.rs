use super::Iptables;
use crate::backend::{Backend, Extent};
use crate::rule::Rule;
use serde_json::{Value, json};

fn rule(fields: Value) -> Rule {
    let mut all = json!({"id": "r", "action": "drop", "direction": "input"});
    let object = all.as_object_mut().expect("object");
    object.extend(fields.as_object().cloned().expect("object"));
    serde_json::from_value(all).unwrap_or_else(|e| panic!("{fields}: {e}"))
}

/// The lines of the rule itself, without the chain's generation and the comment.
fn lines(program: Iptables, fields: Value) -> Vec<String> {
    let native = program.render(&[rule(fields.clone())], Extent::Rules).unwrap_or_else(|e| panic!("{fields}: {e:?}"));
    let of_rule = native.text.lines().enumerate().filter(|(n, _)| native.lines.contains_key(&(n + 1)));
    let short = |line: &str| line.replace("AFO-g1-", "").replace(" -m comment --comment r", "");
    of_rule.map(|(_, line)| short(line)).collect()
}

fn refusal(program: Iptables, fields: Value) -> String {
    let refused = program.render(&[rule(fields.clone())], Extent::Rules);
    refused.err().unwrap_or_else(|| panic!("{fields} is taken"))[0].to_string()
}

#[test]
fn a_text_touches_its_own_chains_and_one_jump() {
    let native = Iptables::V4.render(&[rule(json!({"protocol": ["tcp"], "destination_port": ["22"]}))], Extent::Host);
    let native = native.expect("rendered");
    let want = "# for iptables-restore --noflush
*filter
:AFO-INPUT - [0:0]
:AFO-g1-INPUT - [0:0]
-A AFO-INPUT -m comment --comment afo -j AFO-g1-INPUT
-A AFO-g1-INPUT -i lo -m comment --comment afo -j RETURN
-A AFO-g1-INPUT -p tcp -m tcp --dport 22 -m comment --comment r -j DROP
-I INPUT -m comment --comment afo -j AFO-INPUT
COMMIT
";
    assert_eq!(native.text, want);
    assert_eq!(native.lines.iter().map(|(n, id)| (*n, id.as_str())).collect::<Vec<_>>(), [(7, "r")]);
    assert_eq!(native.elsewhere, ["what the rules say of IPv6 is for --backend ip6tables"]);
    assert_eq!(
        (native.placement[0].place.as_str(), native.placement[0].why.as_str()),
        ("AFO-INPUT", "after the rules that were there")
    );
}

#[test]
fn what_one_line_can_ask_stands_in_one_line() {
    for (fields, want) in [
        (json!({"source_address": ["192.0.2.0/24"], "protocol": ["udp"]}), "-A INPUT -s 192.0.2.0/24 -p udp -j DROP"),
        (
            json!({"source_address": ["!192.0.2.3-192.0.2.9"], "protocol": ["sctp"], "destination_port": ["5060"]}),
            "-A INPUT -m iprange ! --src-range 192.0.2.3-192.0.2.9 -p 132 -m multiport --dports 5060 -j DROP",
        ),
        (
            json!({"protocol": ["tcp"], "destination_port": ["!22", "80-90"], "tcp_flags": {"mask": ["syn", "fin"], "set": []}}),
            "-A INPUT -p tcp -m multiport ! --dports 22,80:90 -m tcp --tcp-flags FIN,SYN NONE -j DROP",
        ),
        (
            json!({"direction": "forward", "interface_in": ["eth*"], "interface_out": ["!wan0"], "protocol": ["tcp"],
                "connection_state": ["!established", "related"], "mark": "0x1/0xff", "source_mac": ["52:54:00:12:34:56"]}),
            "-A FORWARD -i eth+ ! -o wan0 -p tcp -m conntrack ! --ctstate ESTABLISHED,RELATED -m mac --mac-source 52:54:00:12:34:56 -m mark --mark 0x1/0xff -j DROP",
        ),
        (
            json!({"action": "reject", "protocol": ["tcp"], "destination_port": ["25"], "reject_with": "tcp-reset"}),
            "-A INPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset",
        ),
        (json!({"protocol": ["icmp"], "icmp_type": ["8"]}), "-A INPUT -p icmp -m icmp --icmp-type 8 -j DROP"),
        (json!({"protocol": ["icmp"]}), "-A INPUT -p icmp -m icmp ! --icmp-type 3 -j DROP"),
        (
            json!({"action": "log", "protocol": ["icmp"], "log": {"prefix": "ping: ", "level": "info"}}),
            "-A INPUT -p icmp -j LOG --log-prefix \"ping: \" --log-level 6",
        ),
    ] {
        assert_eq!(lines(Iptables::V4, fields.clone()), [want], "{fields}");
    }
}

#[test]
fn what_it_cannot_gets_chains() {
    for (fields, want) in [
        (
            json!({"source_address": ["192.0.2.1", "192.0.2.3"], "protocol": ["tcp"], "destination_port": ["22"]}),
            vec![
                "-A INPUT -s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j DROP",
                "-A INPUT -s 192.0.2.3/32 -p tcp -m tcp --dport 22 -j DROP",
            ],
        ),
        (
            json!({"source_address": ["192.0.2.1", "192.0.2.3"], "destination_port": ["53"]}),
            vec![
                "-A INPUT -s 192.0.2.1/32 -j r1-1",
                "-A INPUT -s 192.0.2.3/32 -j r1-1",
                "-A r1-1 -p tcp -m tcp --dport 53 -j DROP",
                "-A r1-1 -p udp -m udp --dport 53 -j DROP",
            ],
        ),
        (
            json!({"interface_in": ["!eth0", "wg*"], "protocol": ["tcp"]}),
            vec!["-A INPUT -p tcp -j r1-1", "-A r1-1 -i eth0 -j RETURN", "-A r1-1 -i wg+ -j RETURN", "-A r1-1 -j DROP"],
        ),
        (json!({}), vec!["-A INPUT -j r1-1", "-A r1-1 -p icmp -m icmp --icmp-type 3 -j RETURN", "-A r1-1 -j DROP"]),
        (
            json!({"destination_port": ["53"], "log": {}}),
            vec![
                "-A INPUT -p tcp -m tcp --dport 53 -j r1-1",
                "-A INPUT -p udp -m udp --dport 53 -j r1-1",
                "-A r1-1 -j LOG",
                "-A r1-1 -j DROP",
            ],
        ),
    ] {
        assert_eq!(lines(Iptables::V4, fields.clone()), want, "{fields}");
    }
    let necessary = lines(Iptables::V6, json!({}));
    assert_eq!(necessary.len(), 15, "{necessary:#?}");
    assert_eq!(necessary[1], "-A r1-1 -p ipv6-icmp -m icmp6 --icmpv6-type 1 -j RETURN");
}

#[test]
fn a_rate_is_asked_once_for_each_packet() {
    let limited = |action: &str, scope: &str, log: bool| {
        let mut fields = json!({"action": action, "protocol": ["tcp"], "destination_port": ["22"], "rate_limit": {"count": 3, "per": "minute", "scope": scope}});
        if log {
            fields["log"] = json!({"prefix": "ssh "});
        }
        fields
    };
    let bucket =
        |line: &str| line.split("--hashlimit-name ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let found = lines(Iptables::V4, limited("accept", "total", true));
    let name = bucket(&found[0]).expect("a bucket");
    assert!(name.len() == 15 && name.starts_with("afo"), "{name}");
    let want = [
        format!(
            "-A INPUT -p tcp -m tcp --dport 22 -m hashlimit --hashlimit-upto 3/minute --hashlimit-burst 5 --hashlimit-name {name} --hashlimit-htable-expire 100000 -j r1-1"
        ),
        "-A r1-1 -j LOG --log-prefix \"ssh \"".to_owned(),
        "-A r1-1 -j ACCEPT".to_owned(),
        "-A INPUT -p tcp -m tcp --dport 22 -j DROP".to_owned(),
    ];
    assert_eq!(found, want);
    let found = lines(Iptables::V6, limited("drop", "source", false));
    let name = bucket(&found[0]).expect("a bucket");
    let want = format!(
        "-A INPUT -p tcp -m tcp --dport 22 -m hashlimit --hashlimit-above 3/minute --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-srcmask 64 --hashlimit-name {name} --hashlimit-htable-size 16384 --hashlimit-htable-max 65535 --hashlimit-htable-expire 100000 -j DROP"
    );
    assert_eq!(found, [want]);
}

#[test]
fn translations_stand_in_the_nat_table() {
    let web = json!({"action": "dnat", "direction": "forward", "protocol": ["tcp"], "destination_port": ["80"], "nat": {"address": "10.0.0.5", "port": "8080"}});
    let native = Iptables::V4.render(&[rule(web.clone())], Extent::Host).expect("rendered");
    let want = "# for iptables-restore --noflush
*nat
:AFO-PREROUTING - [0:0]
:AFO-g1-PREROUTING - [0:0]
-A AFO-PREROUTING -m comment --comment afo -j AFO-g1-PREROUTING
-A AFO-g1-PREROUTING -p tcp -m tcp --dport 80 -m comment --comment r -j DNAT --to-destination 10.0.0.5:8080
-I PREROUTING -m comment --comment afo -j AFO-PREROUTING
COMMIT
";
    assert_eq!(native.text, want);
    assert_eq!((native.placement[0].place.as_str(), native.elsewhere.len()), ("nat AFO-PREROUTING", 0));
    let allow = rule(json!({"id": "a", "action": "accept", "direction": "forward", "protocol": ["tcp"]}));
    let both = Iptables::V4.render(&[allow, rule(web)], Extent::Host).expect("rendered");
    let lines: Vec<&str> = both.lines.keys().map(|at| both.text.lines().nth(at - 1).expect("a line")).collect();
    assert_eq!(
        lines,
        [
            "-A AFO-g1-FORWARD -p tcp -m comment --comment a -j ACCEPT",
            "-A AFO-g1-PREROUTING -p tcp -m tcp --dport 80 -m comment --comment r -j DNAT --to-destination 10.0.0.5:8080"
        ]
    );
}

#[test]
fn a_translated_port_is_of_a_protocol() {
    let (v4, v6) = (Iptables::V4, Iptables::V6);
    for (program, fields, want) in [
        (
            v4,
            json!({"action": "redirect", "direction": "output", "protocol": ["tcp", "udp"], "source_address": ["192.0.2.1", "192.0.2.3"], "nat": {"port": "53"}}),
            vec![
                "-A OUTPUT -s 192.0.2.1/32 -j r1-1",
                "-A OUTPUT -s 192.0.2.3/32 -j r1-1",
                "-A r1-1 -p tcp -j REDIRECT --to-ports 53",
                "-A r1-1 -p udp -j REDIRECT --to-ports 53",
            ],
        ),
        (
            v4,
            json!({"action": "dnat", "protocol": ["udp", "tcp"], "source_mac": ["52:54:00:12:34:56", "52:54:00:12:34:57"], "nat": {"port": "8080-8089"}}),
            vec![
                "-A PREROUTING -p tcp -j r1-1",
                "-A PREROUTING -p udp -j r1-1",
                "-A r1-1 -p tcp -m mac --mac-source 52:54:00:12:34:56 -j DNAT --to-destination :8080-8089",
                "-A r1-1 -p udp -m mac --mac-source 52:54:00:12:34:56 -j DNAT --to-destination :8080-8089",
                "-A r1-1 -p tcp -m mac --mac-source 52:54:00:12:34:57 -j DNAT --to-destination :8080-8089",
                "-A r1-1 -p udp -m mac --mac-source 52:54:00:12:34:57 -j DNAT --to-destination :8080-8089",
            ],
        ),
        (
            v6,
            json!({"action": "snat", "direction": "forward", "interface_out": ["wan0"], "protocol": ["sctp"], "nat": {"address": "2001:db8::1-2001:db8::3", "port": "1000-2000"}}),
            vec!["-A POSTROUTING -o wan0 -p 132 -j SNAT --to-source [2001:db8::1-2001:db8::3]:1000-2000"],
        ),
        (
            v6,
            json!({"action": "dnat", "log": {}, "nat": {"address": "2001:db8::1"}}),
            vec!["-A PREROUTING -j LOG", "-A PREROUTING -j DNAT --to-destination 2001:db8::1"],
        ),
        (
            v4,
            json!({"action": "masquerade", "direction": "forward", "interface_out": ["lo", "wan0"]}),
            vec!["-A POSTROUTING -o lo -j MASQUERADE", "-A POSTROUTING -o wan0 -j MASQUERADE"],
        ),
    ] {
        assert_eq!(lines(program, fields.clone()), want, "{fields}");
    }
}

#[test]
fn what_iptables_cannot_is_refused_with_the_reason() {
    for (fields, words) in [
        (
            json!({"ttl_seconds": 60}),
            "rule r: ttl_seconds `60`: iptables has no rules that end by themselves; leave `ttl_seconds` out, or use --backend nftables, whose sets have timeouts",
        ),
        (
            json!({"protocol": ["tcp"], "tcp_flags": {"mask": ["syn", "ece"], "set": ["syn"]}}),
            "rule r: tcp_flags `ece`: iptables looks at fin, syn, rst, psh, ack and urg alone; leave it out of the mask, or use --backend nftables",
        ),
        (
            json!({"log": {"prefix": "a prefix of thirty characters:"}}),
            "rule r: log `a prefix of thirty characters:`: iptables' LOG takes a prefix of at most 29 characters",
        ),
        (
            json!({"interface_in": ["eth+"]}),
            "rule r: interface_in `eth+`: iptables cannot name an interface that ends in a plus sign or begins with a hyphen",
        ),
        (json!({"id": "-t"}), "rule r: id"),
        (json!({"protocol": ["0"]}), "rule r: protocol `0`: iptables takes protocol 0 for any protocol"),
        (
            json!({"protocol": ["icmp"], "icmp_type": ["255"]}),
            "rule r: icmp_type `255`: iptables takes type 255 for any type",
        ),
        (json!({"vlan": ["20"]}), "rule r: vlan"),
        (
            json!({"action": "dnat", "protocol": ["tcp", "udplite"], "nat": {"port": "80"}}),
            "rule r: nat `80`: iptables translates ports of tcp, udp, sctp and dccp; leave udplite out, or use --backend nftables",
        ),
        (
            json!({"action": "snat", "direction": "output", "nat": {"address": "2001:db8::1"}}),
            "rule r: nat `2001:db8::1`: no packet of IPv4 can match; what is of IPv6 is for --backend ip6tables",
        ),
        (
            json!({"rate_limit": {"count": 1, "per": "day"}}),
            "rule r: rate_limit `1/day burst 5`: iptables keeps a burst that is there again within a day; give a smaller `burst`",
        ),
        (
            json!({"rate_limit": {"count": 20000, "per": "second"}}),
            "rule r: rate_limit `20000`: iptables keeps a rate of at most 10000 a second within a hundredth",
        ),
        (
            json!({"family": "ipv6", "protocol": ["tcp"]}),
            "rule r: protocol `tcp`: no packet of IPv4 can match; what is of IPv6 is for --backend ip6tables",
        ),
        (
            json!({"protocol": ["icmp"], "icmp_type": ["3"]}),
            "rule r: icmp_type `3`: ipv4 does not work without it; types that may be denied to everybody are all but 3",
        ),
        (
            json!({"extra": {"geoip": "x"}}),
            "rule r: extra `geoip`: iptables has no such match here; `extra` must be empty",
        ),
        (json!({"schedule": {"days": []}}), "rule r: schedule `local time`: it leaves out no hour of the week"),
    ] {
        let said = refusal(Iptables::V4, fields.clone()).replace("rule -t:", "rule r:");
        assert!(said.starts_with(words), "{fields}: {said}");
    }
}
