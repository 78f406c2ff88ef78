//! What AFO writes for nftables, in the kernel: windows, bans, and every field of a rule against real packets.

use super::{Host, in_namespace};
use afo::backend::nftables::{
    Ban, Block, Live, Policy, Script, Window, arm, armed, block, confirm, extend, install, never, revert, unblock,
    whole,
};
use afo::rule::Rule;
use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

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

const SECONDS: fn(u64) -> Window = |seconds| Window { seconds, remember: false };

#[test]
fn a_first_window_lapses_and_a_second_policy_stays() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let (ssh, web) = doors(host);
        load(host, &arm(&closed(22), &live(host), SECONDS(2)));
        let now = live(host);
        assert_eq!((now.table, now.generation, now.pending, now.armed), (true, None, Some(1), true));
        assert!(Live::window_open(&host.sh("nft -j list set inet afo armed")));
        let second = host.try_nft(&arm(&closed(80), &now, SECONDS(2)).to_string());
        assert!(String::from_utf8_lossy(&second.stderr).contains("File exists"), "one window at a time: {second:?}");
        assert!(!peer.connects(ssh) && peer.connects(web));
        std::thread::sleep(Duration::from_millis(2200));
        assert!(peer.connects(ssh), "lapsed by itself");
        assert!(!Live::window_open(&host.sh("nft -j list set inet afo armed")));
        assert!(!host.try_nft(&confirm(&closed(22), &live(host)).to_string()).status.success(), "too late");
        load(host, &revert(&live(host), None));
        assert_eq!((live(host).generation, live(host).pending, live(host).armed), (None, None, false));
        load(host, &arm(&closed(80), &live(host), SECONDS(20)));
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
        load(host, &arm(&closed(22), &before, SECONDS(20)));
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
        load(host, &arm(&Policy::default(), &live(host), Window { seconds: 1, remember: true }));
        peer.inside(move || {
            let mut stream = TcpStream::connect(ssh).expect("open in the window");
            std::thread::sleep(Duration::from_millis(1300));
            stream.write_all(b"still there?").expect("into the socket's buffer");
            std::thread::sleep(Duration::from_millis(100));
        });
        let cut = |host: &Host| host.sh("nft list chain inet afo input | grep -c 'ct id @w2.*packets [1-9]' || true");
        assert_eq!(cut(host).trim(), "1", "{}", host.sh("nft list table inet afo"));
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
        let port = Block { ban: Ban::Port(THEIRS.into(), "tcp".parse().expect("tcp"), 22), seconds: Some(1) };
        load(host, &block(&[port], &live(host)));
        assert!(!peer.connects(ssh) && peer.connects(web), "one port (the attempt outlasts the ban)");
        std::thread::sleep(Duration::from_millis(500));
        assert!(peer.connects(ssh), "the kernel ended it");
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
            "protocol": ["tcp"], "destination_port": ["22"], "reject_with": "tcp-reset", "ttl_seconds": 2}]));
        load(host, &install(&timed, &live(host)));
        assert!(!peer.connects(ssh));
        std::thread::sleep(Duration::from_millis(2100));
        assert!(peer.connects(ssh));
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
