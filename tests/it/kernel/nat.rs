//! Rules that translate, as AFO writes them: what the kernel does with packets, and what AFO's own reader makes of its listing.

use super::{Host, in_namespace};
use afo::backend::nftables::{Live, Policy, Window, alone, arm, install, read, read_value, revert};
use afo::rule::evaluate::evaluate;
use afo::rule::ruleset::{Outcome, Ruleset, Verdict};
use afo::rule::{Packet, Rule, Turned};
use afo::sys::lab::Lab;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

fn policy(rules: &Value) -> Policy {
    let rules: Vec<Rule> = serde_json::from_value(rules.clone()).unwrap_or_else(|e| panic!("{rules}: {e}"));
    Policy::of(&rules).unwrap_or_else(|why| panic!("{rules:?}: {why:?}"))
}

/// What translates in a ruleset: conditions and landing of each rule.
pub(super) fn translating(ruleset: &Ruleset) -> Vec<(String, String)> {
    let lines = ruleset.lines().filter_map(|(_, line)| match &line.outcome {
        Outcome::Verdict(Verdict::Translate(to)) => {
            Some((format!("{:?}", line.conditions), format!("{:?}", to.landing())))
        }
        _ => None,
    });
    lines.collect()
}

/// Every form of a translation.
pub(super) fn forms() -> Vec<Value> {
    let rule = |action: &str, direction: &str, more: Value| {
        let mut all = json!({ "id": "r1", "action": action, "direction": direction });
        all.as_object_mut().expect("fields").extend(more.as_object().cloned().expect("fields"));
        all
    };
    let mut forms = Vec::new();
    for direction in ["input", "forward", "output"] {
        for nat in [
            json!({"address": "10.0.0.5"}),
            json!({"address": "10.0.0.5", "port": "8080"}),
            json!({"address": "10.0.0.5-10.0.0.9", "port": "8080-8089"}),
            json!({"address": "2001:db8::5"}),
            json!({"address": "2001:db8::5", "port": "8080-8089"}),
            json!({"address": "2001:db8::5-2001:db8::9", "port": "8080"}),
            json!({"port": "8080"}),
        ] {
            forms.push(rule("dnat", direction, json!({"protocol": ["tcp"], "destination_port": ["80"], "nat": nat})));
            forms.push(rule(
                "dnat",
                direction,
                json!({"protocol": ["udp", "sctp"], "nat": nat, "connection_state": ["new"]}),
            ));
        }
        forms.push(rule(
            "redirect",
            direction,
            json!({"protocol": ["tcp"], "nat": {"port": "1000-1009"}, "ttl_seconds": 600}),
        ));
        forms.push(rule(
            "redirect",
            direction,
            json!({"source_address": ["192.0.2.0/24"], "log": {"prefix": "x", "level": "info"}}),
        ));
    }
    for direction in ["forward", "output"] {
        forms.push(rule("snat", direction, json!({"nat": {"address": "192.0.2.1"}, "source_address": ["10.0.0.0/8"]})));
        forms.push(rule(
            "snat",
            direction,
            json!({"nat": {"address": "192.0.2.1-192.0.2.3", "port": "1000-2000"}, "protocol": ["tcp", "udp"]}),
        ));
        forms.push(rule("snat", direction, json!({"nat": {"address": "2001:db8::1"}, "interface_out": ["eth1"]})));
        forms.push(rule(
            "masquerade",
            direction,
            json!({"interface_out": ["eth1"], "schedule": {"from": "09:00", "zone": "UTC"}}),
        ));
        forms.push(rule(
            "masquerade",
            direction,
            json!({"protocol": ["tcp"], "nat": {"port": "1024-65535"}, "mark": "0x1/0xff"}),
        ));
    }
    forms
}

#[test]
fn every_form_is_taken_and_read_back_as_it_was_meant() {
    in_namespace(|host| {
        for form in forms() {
            let script = alone(&policy(&json!([form])), &[]);
            host.nft(&script.to_string());
            let listed = read(&host.sh("nft -j list ruleset")).expect("a listing");
            let mut meant = script.json().expect("JSON");
            meant["nftables"].as_array_mut().expect("a list").retain(|command| command.get("flush").is_none());
            let meant = read_value(&meant).expect("what was meant");
            assert_eq!(translating(&listed), translating(&meant), "{script}");
            assert_eq!(translating(&listed).len(), 1, "{script}");
            assert_eq!(listed.unread, Vec::<String>::new(), "{script}");
            host.nft("flush ruleset");
        }
    });
}

const WEB: &str = "forward eth0 eth1 203.0.113.9:40000 > 198.51.100.10:80 tcp syn";
const SIX: &str = "forward eth0 eth1 [2001:db8::9]:40000 > [2001:db8::10]:80 tcp syn";
const OWN: &str = "input eth0 203.0.113.9:40000 > 198.51.100.10:80 tcp syn";
const SENT: &str = "output eth1 198.51.100.10:40000 > 203.0.113.9:80 tcp syn";

/// The fields of a rule for port 80, what the filter drops, a packet, and whether it passes.
fn cases() -> Vec<(Value, &'static str, &'static str, bool)> {
    let to = |address: &str, port: &str| json!({"nat": {"address": address, "port": port}});
    let (four, six) = (to("10.0.0.5", "8080"), to("2001:db8::5", "8081"));
    let own = json!({"action": "redirect", "nat": {"port": "8080"}});
    let here = json!({"action": "redirect", "nat": {"port": "8080"}, "direction": "output"});
    vec![
        (four.clone(), "ip daddr 10.0.0.5 tcp dport 8080", WEB, false),
        (four.clone(), "tcp dport 80", WEB, true),
        (four.clone(), "tcp dport 80", SIX, false),
        (four.clone(), "tcp dport 80", SENT, false),
        (six.clone(), "ip6 daddr 2001:db8::5 tcp dport 8081", SIX, false),
        (six, "tcp dport 80", WEB, false),
        (json!({"nat": {"port": "8080"}}), "ip daddr 198.51.100.10 tcp dport 8080", WEB, false),
        (own.clone(), "tcp dport 8080", OWN, false),
        (own.clone(), "tcp dport 80", OWN, true),
        (own, "tcp dport 80", SENT, false),
        (here.clone(), "tcp dport 80", WEB, false),
        (here, "tcp dport 80", SENT, true),
        (json!({"nat": {"address": "10.0.0.5"}, "interface_in": ["eth1"]}), "ip daddr 10.0.0.5", WEB, true),
        (json!({"nat": {"address": "10.0.0.5"}, "enabled": false}), "ip daddr 10.0.0.5", WEB, true),
    ]
}

#[test]
fn packets_are_led_where_the_rule_says() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (fields, filter, packet, passes) in cases() {
            let mut rule = json!({"id": "r1", "action": "dnat", "direction": "forward", "protocol": ["tcp"], "destination_port": ["80"]});
            rule.as_object_mut().expect("fields").extend(fields.as_object().cloned().expect("fields"));
            let chains = ["forward", "input", "output"].map(|hook| {
                format!("chain {hook} {{ type filter hook {hook} priority 0; ct state new {filter} drop; }}\n")
            });
            // The lab has no loopback.
            let own = alone(&policy(&json!([rule])), &[]).to_string().replace("if lo ", "ifname \"lo\" ");
            let text = format!("{own}table inet t {{ {} }}", chains.concat());
            let ruleset = read(&lab.load(&text).unwrap_or_else(|e| panic!("{text}: {e}"))).expect("a listing");
            let packet: Packet = packet.parse().expect("a packet");
            let seen = lab.send(&[packet], true).expect("it is sent").pop().flatten().expect("it can be sent");
            let trace = evaluate(&ruleset, &seen.sent, &mut |_, _| true).expect("no circle");
            assert_eq!([seen.passed, trace.fate.passes()], [passes; 2], "{rule} {filter} {}", seen.sent);
        }
    });
}

/// The address that a listener sees a connection come from, and one byte that went through.
pub(super) fn seen_from(listener: &TcpListener) -> Option<SocketAddr> {
    let (mut stream, from) = listener.accept().ok()?;
    stream.write_all(b"x").ok()?;
    Some(from)
}

/// Whether a connection is made and answered within a second.
pub(super) fn answered(to: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_secs(1)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    stream.read_exact(&mut [0]).is_ok()
}

fn live(host: &Host) -> Live {
    Live::read(&host.sh("nft -j -t list ruleset")).expect("a listing")
}

/// Two neighbours and this host between them: a port forward with a masquerade, inside a window and after it.
#[test]
fn a_forwarded_port_reaches_the_other_side_inside_the_window_alone() {
    in_namespace(|host| {
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let outside = host.peer("wan0", address("198.51.100.1"), address("198.51.100.9"), 24);
        let inside = host.peer("lan0", address("10.0.0.1"), address("10.0.0.5"), 24);
        host.sh("sysctl -qw net.ipv4.ip_forward=1");
        let listener = inside.inside(|| TcpListener::bind("10.0.0.5:8080").expect("a listener"));
        let (sender, sources) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            while let Some(from) = seen_from(&listener) {
                sender.send(from).expect("somebody waits")
            }
        });
        let rules = json!([
            {"id": "r1", "action": "dnat", "direction": "forward", "interface_in": ["wan0"], "protocol": ["tcp"],
             "destination_port": ["80"], "nat": {"address": "10.0.0.5", "port": "8080"}},
            {"id": "r2", "action": "masquerade", "direction": "forward", "interface_out": ["lan0"], "nat": {"port": "2000-2999"}, "protocol": ["tcp"]},
        ]);
        let to = SocketAddr::new(address("198.51.100.1"), 80);
        let reaches = || outside.inside(move || answered(to));
        host.nft(&install(&policy(&json!([])), &live(host)).to_string());
        assert!(!reaches(), "nothing is led there yet");
        host.nft(&arm(&policy(&rules), &live(host), Window { seconds: 600, remember: true }).to_string());
        assert!(reaches(), "{}", host.ruleset());
        let from: SocketAddr = sources.recv_timeout(Duration::from_secs(5)).expect("it was seen");
        assert_eq!(from.ip(), address("10.0.0.1"));
        assert!((2000..3000).contains(&from.port()), "{from}");
        host.nft(&revert(&live(host), Some(&policy(&json!([])))).to_string());
        assert!(!reaches(), "{}", host.ruleset());
        assert!(!host.ruleset().contains("dnat"), "{}", host.ruleset());
    });
}

/// What this host says to itself was translated when it was sent: where it comes in no nat chain sees it.
#[test]
fn loopback_is_translated_only_where_it_is_sent() {
    in_namespace(|host| {
        [7777, 7778].into_iter().for_each(|port| host.listen(SocketAddr::from(([127, 0, 0, 1], port))));
        let connects =
            |port: u16| TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(1)).is_ok();
        let chain = |hook: &str, rules: &str| {
            format!("table ip t {{ chain {hook} {{ type nat hook {hook} priority 0; {rules}; }}; }}")
        };
        let there = || read(&host.sh("nft -j list ruleset")).expect("a listing");
        let fate = |packet: &str| {
            let packet: Packet = packet.parse().expect("a packet");
            let trace = evaluate(&there(), &packet, &mut |_, text| panic!("luck: {text}")).expect("no circle");
            (trace.fate.passes(), trace.turned == Turned::default())
        };
        host.nft(&chain("prerouting", "tcp dport 7777 redirect to :7779; tcp dport 7778 drop"));
        host.nft(&chain("input", "tcp dport 7778 drop"));
        assert!(connects(7777) && connects(7778), "{}", host.ruleset());
        for port in [7777, 7778] {
            assert_eq!(fate(&format!("input lo 127.0.0.1:40000 > 127.0.0.1:{port} tcp syn")), (true, true));
        }
        assert_eq!(fate("input eth0 203.0.113.9:40000 > 198.51.100.10:7777 tcp syn"), (true, false));
        assert!(!fate("input eth0 203.0.113.9:40000 > 198.51.100.10:7778 tcp syn").0);
        host.nft(&chain("output", "tcp dport 7777 redirect to :7779"));
        assert!(!connects(7777) && connects(7778), "nobody listens where it is led to");
        assert_eq!(fate("output lo 127.0.0.1:40000 > 127.0.0.1:7777 tcp syn"), (true, false));
    });
}
