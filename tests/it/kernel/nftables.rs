//! What AFO writes for nftables, in the kernel: windows, bans, and every field of a rule against real packets.

use super::{Host, WINDOW, eventually, in_namespace};
use afo::backend::nftables::{
    Ban, Block, Live, Policy, Script, Window, arm, armed, block, confirm, extend, install, never, revert, unblock,
    whole,
};
use afo::rule::Rule;
use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};

const OWN: [u8; 4] = [192, 0, 2, 1];
const THEIRS: [u8; 4] = [192, 0, 2, 2];

fn rules(value: serde_json::Value) -> Vec<Rule> {
    serde_json::from_value(value).expect("rules")
}

fn policy(value: serde_json::Value) -> Policy {
    Policy::of(&rules(value)).expect("a policy")
}

fn closed(port: u16) -> Policy {
    policy(
        json!([{"id": format!("close-{port}"), "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": [port.to_string()]}]),
    )
}

fn live(host: &Host) -> Live {
    Live::read(&host.sh("nft -j -t list ruleset")).expect("a listing")
}

fn load(host: &Host, script: &Script) {
    host.nft(&script.to_string());
}

fn elements(host: &Host, set: &str) -> String {
    host.sh(&format!("nft list set inet afo {set}"))
}

fn doors(host: &Host) -> (SocketAddr, SocketAddr) {
    let (a, b) = ((OWN, 22).into(), (OWN, 80).into());
    host.listen(a);
    host.listen(b);
    (a, b)
}

/// A window in which the test looks at something.
const WIDE: Window = Window { seconds: WINDOW as u64, remember: false };

fn window_open(host: &Host) -> bool {
    Live::window_open(&host.sh("nft -j list set inet afo armed"))
}

#[test]
fn a_first_window_lapses_and_a_second_policy_stays() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let (ssh, web) = doors(host);
        load(host, &arm(&closed(22), &live(host), WIDE));
        let now = live(host);
        assert_eq!((now.table, now.generation, now.pending, now.armed), (true, None, Some(1), true));
        assert!(window_open(host));
        let second = host.try_nft(&arm(&closed(80), &now, WIDE).to_string());
        assert!(String::from_utf8_lossy(&second.stderr).contains("File exists"), "one window at a time: {second:?}");
        assert!(!peer.connects(ssh) && peer.connects(web));
        eventually("the window lapses by itself", || peer.connects(ssh));
        eventually("it is seen to have lapsed", || !window_open(host));
        assert!(!host.try_nft(&confirm(&closed(22), &live(host)).to_string()).status.success(), "too late");
        load(host, &revert(&live(host), None));
        assert_eq!((live(host).generation, live(host).pending, live(host).armed), (None, None, false));
        load(host, &arm(&closed(80), &live(host), WIDE));
        load(host, &confirm(&closed(80), &live(host)));
        assert!(!peer.connects(web) && peer.connects(ssh));
        assert_eq!((live(host).generation, live(host).pending, live(host).generations.len()), (Some(1), None, 3));
    });
}

#[test]
fn a_lapsed_window_leaves_the_old_policy() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let (ssh, web) = doors(host);
        load(host, &install(&closed(80), &live(host)));
        let before = live(host);
        load(host, &arm(&closed(22), &before, WIDE));
        assert!(!peer.connects(ssh) && peer.connects(web));
        load(host, &revert(&live(host), Some(&closed(80))));
        assert!(peer.connects(ssh) && !peer.connects(web), "put back before the window was over");
        assert_eq!(live(host), before);
        load(host, &install(&closed(22), &live(host)));
        assert!(!peer.connects(ssh) && peer.connects(web));
        assert_eq!(live(host).generation, Some(2));
    });
}

#[test]
fn a_flow_that_began_in_a_lapsed_window_is_cut_for_good() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let (ssh, _) = doors(host);
        let shut = json!([{"id": "s", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"],
            "connection_state": ["new"]}]);
        load(host, &install(&policy(shut), &live(host)));
        assert!(!peer.connects(ssh));
        load(host, &arm(&Policy::default(), &live(host), Window { remember: true, ..WIDE }));
        let mut stream = peer.inside(move || TcpStream::connect(ssh).expect("open in the window"));
        eventually("the window lapses", || !window_open(host));
        stream.write_all(b"still there?").expect("into the socket's buffer");
        let cut = || host.sh("nft list chain inet afo input | grep -c 'ct id @w2.*packets [1-9]' || true");
        eventually("the flow is cut", || cut().trim() == "1");
        load(host, &revert(&live(host), None));
        assert_eq!((live(host).flows, live(host).generation), (vec![2], Some(1)));
        assert!(
            host.sh("nft list chain inet afo input").contains("ct id @w2"),
            "still cut after the window was cleared"
        );
        load(host, &install(&Policy::default(), &live(host)));
        assert!(host.sh("nft list chain inet afo input").contains("ct id @w2"), "and under the next policy");
    });
}

#[test]
fn bans_bite_end_and_are_extended() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let (ssh, web) = doors(host);
        let ban = |text: &str, seconds| Block { ban: Ban::Source(text.parse().expect("net")), seconds };
        load(host, &block(&[ban("192.0.2.2/32", Some(600)), ban("198.51.100.0/22", None)], &live(host)));
        assert!(!peer.connects(ssh));
        assert!(elements(host, "block4_22").contains("198.51.100.0"));
        load(host, &block(&[ban("198.51.100.0/22", None)], &live(host)));
        assert_eq!(host.sh("nft list chain inet afo blocks").matches("block4_22").count(), 1);
        load(host, &extend(&[ban("192.0.2.2/32", Some(7000)), ban("203.0.113.0/25", Some(60))], &live(host)));
        assert!(elements(host, "block4").contains("timeout 1h56m40s"), "{}", elements(host, "block4"));
        assert!(elements(host, "block4_25").contains("203.0.113.0"));
        let all = [ban("192.0.2.2/32", None).ban, ban("203.0.113.9/32", None).ban];
        load(host, &unblock(&all, &live(host)));
        assert!(peer.connects(ssh), "unblocked; one that was never blocked is no error");
        let port =
            Block { ban: Ban::Port(THEIRS.into(), "tcp".parse().expect("tcp"), 22), seconds: Some(WINDOW.into()) };
        load(host, &block(&[port], &live(host)));
        assert!(!peer.connects(ssh) && peer.connects(web), "one port");
        eventually("the kernel ends it", || peer.connects(ssh));
        load(host, &never(&["192.0.2.0/24".parse().expect("net"), "192.0.2.9".parse().expect("address")]));
        load(host, &block(&[ban("192.0.2.2/32", Some(600))], &live(host)));
        assert!(peer.connects(ssh), "the never-block list keeps it away");
    });
}

#[test]
fn bans_of_destinations_hook_output() {
    in_namespace(|host| {
        let _peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let send = |to: &str| UdpSocket::bind("0.0.0.0:0").expect("a socket").send_to(b"x", (to, 9)).is_ok();
        assert!(send("192.0.2.2"));
        let out = policy(
            json!([{"id": "o", "action": "drop", "direction": "output", "destination_address": ["192.0.2.0/30"], "ttl_seconds": 60}]),
        );
        assert!(out.is_bans_only());
        load(host, &block(&out.blocks(), &live(host)));
        assert!(!send("192.0.2.2") && send("192.0.2.9") && send("127.0.0.1"));
        let ban = out.blocks()[0].ban;
        load(host, &unblock(&[ban], &live(host)));
        assert!(send("192.0.2.2"));
    });
}

#[test]
fn the_whole_is_safe_to_repeat() {
    in_namespace(|host| {
        let all = policy(json!([
            {"id": "r1", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"]},
            {"id": "r2", "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["80"],
             "rate_limit": {"count": 6, "per": "minute", "scope": "source"}, "ttl_seconds": 600},
            {"id": "r3", "action": "drop", "direction": "forward", "source_address": ["203.0.113.0/26", "2001:db8::/48"], "ttl_seconds": 600},
        ]));
        let text = whole(&all, &all.blocks());
        load(host, &text);
        let strip = r#"nft -s list ruleset | sed -E 's/ expires [0-9a-z]+//g'"#;
        let first = host.sh(strip);
        load(host, &text);
        assert_eq!(host.sh(strip), first);
        assert!(first.contains("203.0.113.0 timeout 10m") && first.contains("2001:db8::"), "{first}");
        let now = live(host);
        assert_eq!((now.generation, now.next()), (Some(1), 2));
        load(host, &install(&Policy::default(), &now));
        assert_eq!((live(host).content_sets.len(), live(host).limits.len()), (0, 0), "what nothing needs is gone");
        assert!(elements(host, "block4_26").contains("203.0.113.0"), "bans stay");
    });
}

#[test]
fn a_timed_rule_ends_by_itself() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let (ssh, _) = doors(host);
        let timed = policy(json!([{"id": "t", "action": "reject", "direction": "input", "interface_in": ["veth*"],
            "protocol": ["tcp"], "destination_port": ["22"], "reject_with": "tcp-reset", "ttl_seconds": WINDOW}]));
        load(host, &install(&timed, &live(host)));
        assert!(!peer.connects(ssh));
        eventually("the kernel ends it", || peer.connects(ssh));
    });
}

#[test]
fn the_way_back_is_known_before_the_change_is_made() {
    in_namespace(|host| {
        for remember in [false, true] {
            let (before, window) = (live(host), Window { seconds: 20, remember });
            let back = revert(&armed(&closed(22), &before, window), None);
            load(host, &arm(&closed(22), &before, window));
            assert_eq!(revert(&live(host), None).to_string(), back.to_string(), "as the kernel itself says afterwards");
            load(host, &back);
            assert_eq!((live(host).generation, live(host).pending, live(host).armed), (None, None, false));
        }
    });
}

/// What the kernel made of a load, without handles and remaining times, the anonymous sets' content in order.
fn heard(host: &Host) -> String {
    host.sh("nft -j list ruleset | jq -cS '.nftables[]|del(..|.handle?)|del(..|.expires?)'")
}

/// Loads both forms of the rules, each into an empty ruleset: the kernel must hear the same.
fn same_in_both(host: &Host, rules: &[Rule]) {
    let policy = Policy::of(rules).unwrap_or_else(|e| panic!("{e:?}"));
    let script = whole(&policy, &policy.blocks());
    host.nft(&format!("flush ruleset\n{script}"));
    let text = heard(host);
    let file = std::env::temp_dir().join(format!("afo-json-{}", std::process::id()));
    std::fs::write(&file, script.json().expect("a form in JSON").to_string()).expect("a temporary file");
    host.sh(&format!("nft flush ruleset; nft -j -f {0}; rm {0}", file.display()));
    let json = heard(host);
    for (a, b) in text.lines().zip(json.lines()) {
        assert_eq!(a, b);
    }
    assert_eq!(text.lines().count(), json.lines().count());
}

fn every_field() -> Vec<Rule> {
    let many: Vec<String> = (0..70).map(|n| format!("10.{n}.0.0/17")).collect();
    let ports: Vec<String> = (0..70).map(|n| (n * 3 + 1).to_string()).collect();
    let fields = [
        json!({"source_address": ["192.0.2.0/24", "2001:db8::/48", "198.51.100.3-198.51.100.9"]}),
        json!({"source_address": ["!192.0.2.1"], "destination_address": ["10.0.0.1", "2001:db8::1"]}),
        json!({"source_address": many}),
        json!({"destination_port": ports, "protocol": ["tcp"]}),
        json!({"destination_port": ["53"]}),
        json!({"source_port": ["!1-1023"], "protocol": ["sctp", "dccp", "udplite"]}),
        json!({"protocol": ["gre"]}),
        json!({"protocol": ["!tcp", "udp"], "action": "accept"}),
        json!({"protocol": ["icmp", "icmpv6"]}),
        json!({"protocol": ["icmp"], "icmp_type": ["8", "3/4", "3/1"], "action": "accept"}),
        json!({"protocol": ["icmpv6"], "icmp_type": ["!128"], "action": "accept"}),
        json!({"interface_in": ["eth0", "wg*"]}),
        json!({"interface_in": ["!eth0"]}),
        json!({"interface_out": ["eth1"], "direction": "output"}),
        json!({"interface_in": ["a"], "interface_out": ["b*"], "direction": "forward"}),
        json!({"connection_state": ["new"]}),
        json!({"connection_state": ["established", "related"], "action": "accept"}),
        json!({"connection_state": ["!invalid"], "action": "accept"}),
        json!({"tcp_flags": {"mask": ["fin", "syn", "rst", "ack"], "set": ["syn"]}}),
        json!({"tcp_flags": {"mask": ["fin", "syn"], "set": []}}),
        json!({"tcp_flags": {"mask": ["fin", "syn"], "set": ["fin", "syn"]}}),
        json!({"source_mac": ["52:54:00:12:34:56"]}),
        json!({"source_mac": ["!52:54:00:12:34:56", "52:54:00:12:34:57"], "protocol": ["tcp"]}),
        json!({"mark": "0x10"}),
        json!({"mark": "0x1/0xff", "protocol": ["udp"]}),
        json!({"log": {"prefix": "a: ", "level": "info"}}),
        json!({"action": "log", "log": {}}),
        json!({"rate_limit": {"count": 20, "per": "second"}, "action": "accept", "destination_port": ["80"]}),
        json!({"rate_limit": {"count": 6, "per": "minute", "scope": "source", "burst": 9}, "protocol": ["tcp"]}),
        json!({"rate_limit": {"count": 6, "per": "day", "scope": "source", "over": "reject"}, "action": "accept"}),
        json!({"action": "reject"}),
        json!({"action": "reject", "protocol": ["tcp"], "reject_with": "tcp-reset"}),
        json!({"action": "reject", "reject_with": "admin-prohibited"}),
        json!({"action": "reject", "reject_with": "net-unreachable", "family": "ipv6"}),
        json!({"action": "reject", "reject_with": "host-unreachable", "family": "ipv4"}),
        json!({"ttl_seconds": 600, "action": "accept", "protocol": ["tcp"], "destination_port": ["8000"]}),
        json!({"ttl_seconds": 600, "source_address": ["192.0.2.66", "2001:db8::/56"]}),
        json!({"ttl_seconds": 600, "source_address": ["192.0.2.66"], "destination_port": ["22"]}),
        json!({"ttl_seconds": 600, "destination_address": ["192.0.2.66"], "direction": "output"}),
        json!({"interface_in": ["lo"], "protocol": ["tcp"]}),
    ];
    let made = fields.into_iter().enumerate().map(|(n, fields)| {
        let mut all = json!({"id": format!("r{n}"), "action": "drop", "direction": "input"});
        all.as_object_mut().expect("object").extend(fields.as_object().cloned().expect("object"));
        all
    });
    rules(serde_json::Value::Array(made.collect()))
}

#[test]
fn text_and_json_of_every_field_are_the_same_to_the_kernel() {
    in_namespace(|host| same_in_both(host, &every_field()));
}
