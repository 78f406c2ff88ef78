//! afo-ctx against hosts that the kernel really has: a router, a crowd of interfaces, a bare machine, a user without rights.

use super::{Host, feed, in_namespace};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

fn ctx(host: &Host, args: &[&str]) -> Value {
    let out = feed(host.afo("afo-ctx").args(args).env("HOME", "/nonexistent"), b"");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("one record")
}

fn face<'a>(context: &'a Value, name: &str) -> &'a Value {
    let faces = context["interfaces"].as_array().expect("interfaces");
    faces.iter().find(|face| face["name"] == name).unwrap_or_else(|| panic!("{name} in {context:#}"))
}

fn missing(context: &Value) -> String {
    context["missing"].to_string()
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

#[test]
fn a_router_is_seen_whole() {
    in_namespace(|host| {
        let _wan = host.peer("wan0", address("198.51.100.10"), address("198.51.100.1"), 24);
        let _lan = host.peer("eth1", address("192.168.1.1"), address("192.168.1.2"), 24);
        host.sh("ip link set eth1 mtu 1400 address 02:00:00:00:00:01
             ip link add br0 type bridge; ip addr add 2001:db8:5::1/64 dev br0 nodad
             ip addr add 10.0.0.1 peer 10.0.0.2/32 dev eth1
             ip route add default via 198.51.100.1 dev wan0
             ip route add 10.20.0.0/16 nexthop via 198.51.100.1 dev wan0 nexthop via 192.168.1.2 dev eth1
             ip route add 10.30.0.0/16 via 192.168.1.2 table 100
             sysctl -qw net.ipv4.ip_forward=1");
        let seen = ctx(host, &["--no-ruleset"]);
        let eth1 = face(&seen, "eth1");
        assert_eq!((&eth1["kind"], &eth1["mtu"], &eth1["state"]), (&json!("veth"), &json!(1400), &json!("up")));
        assert_eq!(eth1["mac"], "02:00:00:00:00:01");
        assert_eq!(eth1["parent"], Value::Null, "the other end is in another namespace");
        assert!(
            eth1["addresses"]
                .as_array()
                .is_some_and(|a| a.contains(&json!("10.0.0.1/32")) && a.contains(&json!("192.168.1.1/24")))
        );
        assert!(eth1["tx_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
        assert_eq!(face(&seen, "br0")["kind"], "bridge");
        assert!(face(&seen, "br0")["addresses"].as_array().is_some_and(|a| a.contains(&json!("2001:db8:5::1/64"))));
        assert_eq!(seen["zones"], json!({"wan": ["wan0"]}));
        let routes = seen["routes"].as_array().expect("routes");
        assert!(routes.contains(&json!({"destination": "default", "gateway": "198.51.100.1", "interface": "wan0"})));
        assert_eq!(routes.iter().filter(|route| route["destination"] == "10.20.0.0/16").count(), 2);
        assert!(!seen.to_string().contains("10.30.0.0"), "another table");
        assert!(missing(&seen).contains("those of other tables than main"));
        assert_eq!(seen["forwarding"], true);
    });
}

#[test]
fn vlans_are_zones_by_number_name_and_alias() {
    in_namespace(|host| {
        let _lan = host.peer("eth1", address("192.168.1.1"), address("192.168.1.2"), 24);
        let made =
            Command::new("ip").args("link add link eth1 name eth1.20 type vlan id 20".split(' ')).output().expect("ip");
        let words = String::from_utf8_lossy(&made.stderr);
        if !made.status.success() {
            assert!(
                words.contains("Unknown device type"),
                "no VLAN for another cause than that the kernel has none: {words}"
            );
            return eprintln!("LEFT OUT: this kernel has no VLANs; unit tests read their links");
        }
        host.sh("ip link set eth1.20 alias printers up; ip link add link eth1 name guest type vlan id 30");
        let seen = ctx(host, &["--no-ruleset"]);
        let vlan = face(&seen, "eth1.20");
        assert_eq!((&vlan["vlan_id"], &vlan["parent"]), (&json!(20), &json!("eth1")));
        let zones = json!({"guest": ["guest"], "printers": ["eth1.20"], "vlan20": ["eth1.20"], "vlan30": ["guest"]});
        assert_eq!(seen["zones"], zones);
    });
}

#[test]
fn sockets_and_sessions_are_seen() {
    in_namespace(|host| {
        let peer = host.peer("eth0", address("192.0.2.1"), address("192.0.2.7"), 24);
        let bound = |text: &str| TcpListener::bind(text.parse::<SocketAddr>().expect("address")).expect("listen");
        let (_db, server) = (bound("192.0.2.1:5432"), bound("[::]:2222"));
        let to: SocketAddr = "192.0.2.1:2222".parse().expect("address");
        let _client = peer.inside(move || TcpStream::connect(to).expect("connected"));
        let _session = server.accept().expect("accepted");
        let mut config = tempfile::NamedTempFile::new().expect("file");
        config
            .write_all(b"[management]\nports = [2222]\n[names.services]\nledger = [\"tcp/5432\"]\n")
            .expect("written");
        let seen = ctx(host, &["--config", config.path().to_str().expect("UTF-8")]);
        let session = json!({"source": "192.0.2.7", "destination": "192.0.2.1", "protocol": "tcp", "port": 2222});
        assert_eq!(seen["management"], json!([session]));
        let listening = seen["listening"].as_array().expect("listening");
        let db = listening.iter().find(|l| l["port"] == 5432).expect("the database");
        assert_eq!((&db["address"], &db["protocol"]), (&json!("192.0.2.1"), &json!("tcp")));
        assert!(db["process"].is_string(), "{db}");
        assert_eq!(seen["services"], json!({"ledger": ["tcp/5432"]}));
        let other = ctx(host, &["--no-ruleset"]);
        assert_eq!(other["management"], json!([]), "port 2222 is not configured there");
    });
}

#[test]
fn a_crowd_of_interfaces_without_a_default_route() {
    in_namespace(|host| {
        host.sh("for n in $(seq 64); do echo link add br$n type bridge; done | ip -batch -");
        let seen = ctx(host, &["--no-ruleset"]);
        assert_eq!(seen["interfaces"].as_array().map(|faces| faces.len() > 64), Some(true));
        assert_eq!(seen["zones"], json!({}));
    });
}

#[test]
fn the_live_ruleset_is_in_it_with_the_elements_of_its_sets() {
    in_namespace(|host| {
        host.nft("table inet t { set s { type ipv4_addr; elements = { 192.0.2.9 } }; chain c { type filter hook input priority 0; ip saddr @s drop; }; }\n");
        let seen = ctx(host, &[]);
        let native = seen["ruleset"]["native"].to_string();
        assert!(native.contains("192.0.2.9") && native.contains("\"hook\":\"input\""), "{native}");
        let nft =
            seen["backends"].as_array().and_then(|b| b.iter().find(|b| b["name"] == "nftables")).expect("nftables");
        assert_eq!(nft["active"], true);
        assert!(nft["version"].as_str().is_some_and(|v| v.contains('.')));
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(b"table ip other { chain x { tcp dport 99 accept; }; }\n").expect("written");
        let path = file.path().to_str().expect("UTF-8").to_owned();
        let of_file = ctx(host, &["--ruleset", &path])["ruleset"]["native"].to_string();
        assert!(of_file.contains("\"other\"") && !of_file.contains("192.0.2.9"), "{of_file}");
        assert!(!host.ruleset().contains("other"), "the file's rules stayed out of this kernel");
        file.write_all(b"nonsense").expect("written");
        let refused = feed(host.afo("afo-ctx").args(["--ruleset", &path]), b"");
        assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
        assert!(refused.stdout.is_empty() && String::from_utf8_lossy(&refused.stderr).contains("syntax error"));
    });
}

#[test]
fn a_machine_with_nothing_on_it_is_still_told_of() {
    in_namespace(|host| {
        host.sh("for f in nft iptables ip6tables; do mount --bind /dev/null /usr/sbin/$f; done
                 mount -t tmpfs tmpfs /sys; mount -t tmpfs tmpfs /etc; mkdir /etc/resolv.conf");
        let seen = ctx(host, &[]);
        assert_eq!((&seen["backends"], &seen["ruleset"]), (&json!([]), &Value::Null));
        for words in ["nft is not installed", "ruleset: ", "resolvers: /etc/resolv.conf: "] {
            assert!(missing(&seen).contains(words), "{words}: {}", missing(&seen));
        }
        assert_eq!(face(&seen, "lo")["state"], "up");
    });
}

#[test]
fn a_user_without_rights_sees_what_is_public() {
    in_namespace(|host| {
        let _peer = host.peer("eth0", address("192.0.2.1"), address("192.0.2.7"), 24);
        let dir = tempfile::tempdir_in("/run").expect("directory");
        let program = dir.path().join("afo-ctx");
        std::fs::copy(crate::tree::bin("afo-ctx"), &program).expect("copied");
        host.sh(&format!("chmod 755 {}", dir.path().display()));
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).env("HOME", "/nonexistent");
        let out = feed(&mut command, b"");
        let words = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && words.is_empty(), "{words}");
        let seen: Value = serde_json::from_slice(&out.stdout).expect("one record");
        assert_eq!(face(&seen, "eth0")["addresses"][0], "192.0.2.1/24");
        assert!(missing(&seen).contains("ruleset: no permission"), "{}", missing(&seen));
        assert!(missing(&seen).contains("whether nftables holds rules"), "{}", missing(&seen));
    });
}

#[test]
fn hours_of_the_kernel_are_imported_in_utc_whatever_the_zone_of_the_host() {
    in_namespace(|host| {
        // One hour ahead of UTC, all year (tzset(3)).
        host.sh(r#"TZ=EAST-1 nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }
               add rule inet t i iif lo accept
               add rule inet t i meta hour "08:00"-"16:59:59" tcp dport 8080 drop'"#);
        let out = feed(host.afo("afo-ctx").arg("--rules").env("TZ", "EAST-1").env("HOME", "/nonexistent"), b"");
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.contains(r#""schedule":{"from":"07:00","to":"16:00","zone":"UTC"}"#), "{said}{out:?}");
        let path = std::env::temp_dir().join(format!("afo-hours-{}.json", std::process::id()));
        std::fs::write(&path, host.sh("TZ=EAST-1 nft -j list ruleset")).expect("written");
        let out = feed(host.afo("afo-ctx").args(["--rules", "--ruleset"]).arg(&path).env("HOME", "/nonexistent"), b"");
        std::fs::remove_file(&path).expect("removed");
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(said.contains(r#""schedule":{"from":"08:00","to":"17:00"}"#), "{said}");
        assert!(said.contains("its hours are taken as hours of this host's zone"), "{said}");
    });
}
