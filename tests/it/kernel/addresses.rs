//! What an address is to this host, marks under masks and the headers of IPv6, against the kernel.

use super::{Host, in_namespace};
use afo::backend::nftables::read;
use afo::packet::Protocol;
use afo::rule::evaluate::evaluate;
use afo::rule::{Direction, Packet};
use afo::sys::lab::Lab;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The rules that a packet matches, as the kernel counts and as the evaluator says: each rule is one of a base chain that lets all pass.
fn compare(host: &Host, hook: &str, rules: &[&str], packets: &[(Packet, &dyn Fn())], luck: bool) {
    let lines: String = rules.iter().map(|rule| format!("{rule} counter\n")).collect();
    for (packet, send) in packets {
        host.nft(&format!(
            "flush ruleset\ntable inet t {{ chain c {{ type filter hook {hook} priority 0;\n{lines}\n}}; }}"
        ));
        send();
        std::thread::sleep(Duration::from_millis(100));
        let json = host.sh("nft -j list ruleset");
        let ruleset = read(&json).expect("a listing");
        let all: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let counted = |o: &serde_json::Value| {
            let statements = o["rule"]["expr"].as_array()?;
            statements.iter().find_map(|s| s["counter"]["packets"].as_u64()).map(|packets| packets > 0)
        };
        let kernel: Vec<bool> = all["nftables"].as_array().expect("a list").iter().filter_map(counted).collect();
        let mut chance = |_, text: &str| if luck { true } else { panic!("`{text}` is left to luck") };
        let trace = evaluate(&ruleset, packet, &mut chance).expect("no circle");
        let said: Vec<bool> = (0..rules.len()).map(|n| trace.passed.iter().any(|at| at.line == n)).collect();
        for (n, rule) in rules.iter().enumerate() {
            assert_eq!(said[n], kernel[n], "{rule}: {packet}");
        }
    }
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn addresses_are_of_the_types_that_routes_say() {
    let rules = [
        "fib daddr type local udp dport 9",
        "fib daddr type broadcast udp dport 9",
        "fib daddr type multicast udp dport 9",
        "fib daddr type unicast udp dport 9",
        "fib daddr type != local udp dport 9",
        "fib daddr type { local, broadcast, multicast } udp dport 9",
        "fib saddr type local udp dport 9",
        "fib saddr type unicast udp dport 9",
    ];
    in_namespace(|host| {
        let us = host.peer("veth0", end("10.9.0.1:0").ip(), end("10.9.0.2:0").ip(), 24);
        host.sh("ip addr add fd09::1/64 dev veth0 nodad; ip route add fd08::/64 via fd09::2; sysctl -qw net.ipv4.ip_forward=1 2>/dev/null || echo 1 > /proc/sys/net/ipv4/ip_forward");
        us.sh("ip addr add fd09::2/64 dev eth0 nodad; ip route add default via fd09::1; ip route add 224.0.0.0/4 dev eth0");
        for (to, packet) in [
            ("10.9.0.1:9", "input veth0 10.9.0.2:5 > 10.9.0.1:9 udp"),
            ("10.9.0.255:9", "input veth0 10.9.0.2:5 > 10.9.0.255:9 udp dtype broadcast"),
            ("224.0.0.251:9", "input veth0 10.9.0.2:5 > 224.0.0.251:9 udp"),
            ("255.255.255.255:9", "input veth0 10.9.0.2:5 > 255.255.255.255:9 udp"),
            ("10.8.0.1:9", "forward veth0 veth0 10.9.0.2:5 > 10.8.0.1:9 udp"),
            ("[fd09::1]:9", "input veth0 [fd09::2]:5 > [fd09::1]:9 udp"),
            ("[fd07::1]:9", "forward veth0 veth0 [fd09::2]:5 > [fd07::1]:9 udp dtype unreachable"),
            ("[ff0e::fb]:9", "input veth0 [fd09::2]:5 > [ff0e::fb]:9 udp"),
            ("[fd08::1]:9", "forward veth0 veth0 [fd09::2]:5 > [fd08::1]:9 udp"),
        ] {
            let to = end(to);
            let send = move || {
                let socket =
                    UdpSocket::bind(if to.is_ipv4() { "10.9.0.2:0" } else { "[fd09::2]:0" }).expect("a socket");
                socket.set_broadcast(true).expect("broadcast");
                socket.send_to(b"x", to).expect("sent");
            };
            let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
            let sending = || us.inside(send);
            compare(host, "prerouting", &rules, &[(packet, &sending)], false);
        }
    });
}

/// In a lab the types are those of its routes.
#[test]
fn a_lab_tells_the_types_of_its_addresses() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for rule in [
            "fib saddr type local",
            "fib daddr type local",
            "fib saddr type unicast",
            "fib daddr type != { unicast, local }",
        ] {
            let chain = |hook: &str| format!("chain {hook} {{ type filter hook {hook} priority 0; {rule} drop; }}\n");
            let chains: String = ["input", "forward", "output"].map(chain).concat();
            let ruleset =
                read(&lab.load(&format!("table inet t {{\n{chains}}}")).expect("it loads")).expect("a listing");
            for packet in [
                "input eth0 10.0.0.1:5 > 192.0.2.2:9 udp",
                "forward eth0 eth1 10.0.0.1:5 > 192.0.2.2:9 udp",
                "output eth0 10.0.0.1:5 > 192.0.2.2:9 udp",
                "input eth0 [2001:db8::1]:5 > [2001:db8::2]:9 udp",
                "forward eth0 eth1 [2001:db8::1]:5 > [2001:db8::2]:9 udp",
                "output eth0 [2001:db8::1]:5 > [2001:db8::2]:9 udp",
            ] {
                let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
                let seen = lab.send(&[packet], false).expect("it is sent").pop().flatten().expect("it can be sent");
                let luck = &mut |_, text: &str| -> bool { panic!("luck: {text}") };
                let fate = evaluate(&ruleset, &seen.sent, luck).expect("no circle").fate;
                assert_eq!(fate.passes(), seen.passed, "{rule}: {}", seen.sent);
            }
        }
    });
}

#[test]
fn marks_are_tested_bit_by_bit() {
    let rules = [
        "udp dport 9 meta mark set 0x4005",
        "udp dport 9 meta mark & 0x4000 == 0x4000",
        "udp dport 9 meta mark & 0x4000 != 0x4000",
        "udp dport 9 meta mark & 0x2 != 0",
        "udp dport 9 meta mark & 0x2 == 0",
        "udp dport 9 meta mark & 0xff == 0x5",
        "udp dport 9 meta mark & 0xff == 0x4",
        "udp dport 9 meta mark & 0xff000000 == 0",
        "udp dport 9 ct mark & 0x1 == 0",
        "udp dport 9 ct mark & 0x1 != 0",
    ];
    in_namespace(|host| {
        let packet = |direction| Packet {
            interface_out: Some("lo".to_owned()),
            ..Packet::between(direction, end("127.0.0.1:5"), end("127.0.0.1:9"), Protocol::UDP)
        };
        let send = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.send_to(b"x", "127.0.0.1:9").expect("sent");
        };
        compare(host, "output", &rules, &[(packet(Direction::Output), &send)], false);
    });
}

#[test]
fn the_next_header_is_the_transports_where_no_other_stands_between() {
    let rules = [
        "ip6 nexthdr udp",
        "ip6 nexthdr != udp ip6 daddr ::1",
        "ip6 nexthdr { tcp, udp }",
        "ip6 nexthdr 44",
        "meta l4proto udp ip6 daddr ::1",
    ];
    in_namespace(|host| {
        let packet = Packet {
            interface_out: Some("lo".to_owned()),
            ..Packet::between(Direction::Output, end("[::1]:5"), end("[::1]:9"), Protocol::UDP)
        };
        let send = || {
            let socket = UdpSocket::bind("[::1]:0").expect("a socket");
            socket.send_to(b"x", "[::1]:9").expect("sent");
        };
        let known: Vec<&str> =
            rules.iter().copied().filter(|rule| !rule.contains("!=") && !rule.contains("44")).collect();
        compare(host, "output", &known, &[(packet, &send)], false);
        // What is not the transport's or is turned round is left open.
        host.nft(&format!("flush ruleset\ntable inet t {{ chain c {{ {}; {}; }}; }}", rules[1], rules[3]));
        let ruleset = read(&host.sh("nft -j list ruleset")).expect("a listing");
        for (_, line) in ruleset.lines() {
            assert!(
                line.conditions.iter().any(|c| matches!(c, afo::rule::ruleset::Condition::Unread(_))),
                "{}",
                line.text
            );
        }
    });
}
