//! Ways to cut the administrator off, each tried on a live kernel: refused, and the administrator still comes in.

use super::{Host, Peer, in_namespace};
use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const OWN: [u8; 4] = [203, 0, 113, 1];
const THEIRS: [u8; 4] = [203, 0, 113, 2];

/// A host that is managed from its neighbour, over IPv4 and IPv6.
struct Site<'a> {
    host: &'a Host,
    peer: Peer,
    dir: TempDir,
}

impl<'a> Site<'a> {
    fn new(host: &'a Host) -> Self {
        let peer = host.peer("veth0", IpAddr::from(OWN), IpAddr::from(THEIRS), 24);
        host.sh("ip link set lo up; ip address add 2001:db8::1/64 dev veth0 nodad");
        host.listen(SocketAddr::from((OWN, 22)));
        let site = Self { host, peer, dir: TempDir::new().expect("directory") };
        let managed = "[management]\nnetworks = [\"203.0.113.2\", \"2001:db8::2\"]\n";
        std::fs::write(site.dir.path().join("afo.toml"), managed).expect("written");
        assert!(site.reached(), "the administrator comes in before anything is done");
        site
    }

    fn reached(&self) -> bool {
        self.peer.connects(SocketAddr::from((OWN, 22)))
    }

    fn deploy(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.host.afo("afo-deploy");
        command.env("AFO_STATE", self.dir.path().join("state.db")).args(arguments);
        super::feed(command.arg("--config").arg(self.dir.path().join("afo.toml")), input.as_bytes())
    }

    /// What afo-deploy says of a change that nobody confirms; the administrator still comes in, and nothing is left of it.
    fn refused(&self, way: &str, proposal: &str) -> String {
        let out = self.deploy(&["--confirm=1"], proposal);
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(1), "{way}: {said}");
        assert!(self.reached(), "{way}: {said}");
        said
    }

    fn is_untouched(&self) {
        assert_eq!(self.host.sh("nft list ruleset"), "");
    }
}

fn rule(fields: &str) -> String {
    format!(r#"{{"id":"r1",{fields}}}"#)
}

fn proposal(rules: &str, changes: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        r#"{{"kind":"proposal","v":1,"id":"p{number}","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}],"changes":[{changes}]}}"#
    ) + "\n"
}

/// Fields of one rule each.
#[rustfmt::skip]
const WAYS: [(&str, &str); 43] = [
    ("its port", r#""action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]"#),
    ("its port, with an answer", r#""action":"reject","direction":"input","protocol":["tcp"],"destination_port":["22"]"#),
    ("its port, with a reset", r#""action":"reject","reject_with":"tcp-reset","direction":"input","protocol":["tcp"],"destination_port":["22"]"#),
    ("everything", r#""action":"drop","direction":"input""#),
    ("everything, last of all", r#""action":"drop","direction":"input","position":"last""#),
    ("the address", r#""action":"drop","direction":"input","source_address":["203.0.113.2"]"#),
    ("the network", r#""action":"drop","direction":"input","source_address":["203.0.113.0/24"]"#),
    ("all of IPv4", r#""action":"drop","direction":"input","source_address":["0.0.0.0/0"]"#),
    ("two halves of IPv4", r#""action":"drop","direction":"input","source_address":["0.0.0.0/1","128.0.0.0/1"]"#),
    ("a range of addresses", r#""action":"drop","direction":"input","source_address":["203.0.113.1-203.0.113.9"]"#),
    ("all but another network", r#""action":"drop","direction":"input","source_address":["!198.51.100.0/24"]"#),
    ("what is for this host", r#""action":"drop","direction":"input","destination_address":["203.0.113.1"]"#),
    ("low ports", r#""action":"drop","direction":"input","protocol":["tcp"],"destination_port":["1-1024"]"#),
    ("all but another port", r#""action":"drop","direction":"input","protocol":["tcp"],"destination_port":["!80","443"]"#),
    ("what clients send from", r#""action":"drop","direction":"input","protocol":["tcp"],"source_port":["1024-65535"]"#),
    ("tcp", r#""action":"drop","direction":"input","protocol":["tcp"]"#),
    ("all but udp", r#""action":"drop","direction":"input","protocol":["!udp"]"#),
    ("a family", r#""action":"drop","direction":"input","family":"ipv4""#),
    ("an interface", r#""action":"drop","direction":"input","interface_in":["veth0"]"#),
    ("interfaces of a name", r#""action":"drop","direction":"input","interface_in":["v*"]"#),
    ("all but loopback", r#""action":"drop","direction":"input","interface_in":["!lo"]"#),
    ("loopback", r#""action":"drop","direction":"input","interface_in":["lo"]"#),
    ("the way out", r#""action":"drop","direction":"output""#),
    ("the way out by an interface", r#""action":"drop","direction":"output","interface_out":["veth0"]"#),
    ("the way out to the address", r#""action":"drop","direction":"output","destination_address":["203.0.113.2"]"#),
    ("answers of its port", r#""action":"drop","direction":"output","protocol":["tcp"],"source_port":["22"]"#),
    ("what is established", r#""action":"drop","direction":"input","connection_state":["established"]"#),
    ("what is new", r#""action":"drop","direction":"input","connection_state":["new"]"#),
    ("all states but one", r#""action":"drop","direction":"input","connection_state":["!invalid"]"#),
    ("what begins a connection", r#""action":"drop","direction":"input","protocol":["tcp"],"tcp_flags":{"mask":["syn","ack"],"set":["syn"]}"#),
    ("a rate", r#""action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"],"rate_limit":{"count":1,"per":"day","scope":"total","over":"drop"}"#),
    ("a rate of each source", r#""action":"accept","direction":"input","rate_limit":{"count":1,"per":"day","scope":"source","over":"drop"}"#),
    ("a block", r#""action":"drop","direction":"input","source_address":["203.0.113.2"],"ttl_seconds":600"#),
    ("a block of its network", r#""action":"drop","direction":"input","source_address":["203.0.113.0/24"],"ttl_seconds":600"#),
    ("a block of its port", r#""action":"drop","direction":"input","source_address":["203.0.113.2"],"protocol":["tcp"],"destination_port":["22"],"ttl_seconds":600"#),
    ("a block of the way out", r#""action":"drop","direction":"output","destination_address":["203.0.113.2"],"ttl_seconds":600"#),
    ("a block of all", r#""action":"drop","direction":"input","source_address":["0.0.0.0/0"],"ttl_seconds":600"#),
    ("the address of IPv6", r#""action":"drop","direction":"input","source_address":["2001:db8::/32"]"#),
    ("what IPv6 finds its neighbours by", r#""action":"drop","direction":"input","protocol":["icmpv6"]"#),
    ("solicitations of neighbours", r#""action":"drop","direction":"output","protocol":["icmpv6"],"icmp_type":["135"]"#),
    ("hardware addresses", r#""action":"drop","direction":"input","source_mac":["!02:00:00:00:00:77"]"#),
    ("another destination", r#""action":"dnat","direction":"input","protocol":["tcp"],"destination_port":["22"],"nat":{"address":"192.0.2.9"}"#),
    ("another port", r#""action":"redirect","direction":"input","protocol":["tcp"],"destination_port":["22"],"nat":{"port":"2222"}"#),
];

#[test]
fn no_rule_cuts_the_administrator_off() {
    in_namespace(|host| {
        let site = Site::new(host);
        for (way, fields) in WAYS {
            let said = site.refused(way, &proposal(&rule(fields), ""));
            assert!(said.contains("\"status\":\"refused\"") && said.contains("nothing was changed"), "{way}: {said}");
        }
        site.is_untouched();
    });
}

#[test]
fn no_batch_and_no_change_of_a_policy_cuts_the_administrator_off() {
    in_namespace(|host| {
        let site = Site::new(host);
        let fine = r#"{"id":"r9","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["9999"]}"#;
        let bad = rule(WAYS[0].1);
        site.refused("a rule among others", &proposal(&format!("{fine},{bad}"), ""));
        site.refused("a proposal among others", &(proposal(fine, "") + &proposal(&bad, "")));
        site.refused("a default policy", &proposal("", r#"{"op":"policy","target":"input"}"#));
        site.is_untouched();
        let saves = r#"{"id":"r1","action":"accept","direction":"input","source_address":["203.0.113.0/24"],"protocol":["tcp"],"destination_port":["22"]}"#;
        let closes = r#"{"id":"r2","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#;
        let out = site.deploy(&["--confirm=30", "--allow-lockout", "r2"], "");
        assert!(out.status.success());
        let both = proposal(&format!("{saves},{closes}"), "");
        std::thread::scope(|scope| {
            let deploying = scope.spawn(|| site.deploy(&["--confirm=30", "--allow-lockout", "r2"], &both));
            let waits =
                || String::from_utf8_lossy(&site.deploy(&["status", "--json"], "").stdout).contains("\"applied\"");
            super::eventually("it was not armed", waits);
            assert!(site.deploy(&["confirm"], "").status.success());
            assert!(deploying.join().expect("ended").status.success());
        });
        assert!(site.reached());
        let narrow = saves.replace("203.0.113.0/24", "203.0.113.128/25");
        let timed = saves.replace("\"id\"", "\"ttl_seconds\":60,\"id\"");
        let other = saves.replace("\"22\"", "\"2222\"");
        for (way, change) in [
            ("what saves is removed", r#"{"op":"remove","target":"r1"}"#.to_owned()),
            ("what saves is disabled", r#"{"op":"disable","target":"r1"}"#.to_owned()),
            ("what saves is made narrower", format!(r#"{{"op":"replace","target":"r1","rule":{narrow}}}"#)),
            ("what saves ends by itself", format!(r#"{{"op":"replace","target":"r1","rule":{timed}}}"#)),
            ("what saves is about another port", format!(r#"{{"op":"replace","target":"r1","rule":{other}}}"#)),
        ] {
            let said = site.refused(way, &proposal("", &change));
            assert!(said.contains("would be cut off: rule r2 would then decide about it"), "{way}: {said}");
        }
    });
}
