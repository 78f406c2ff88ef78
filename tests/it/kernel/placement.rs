//! Allows that another program's chain would drop, on a live kernel: refused in AFO's own chains alone, true through a door in that chain,
//! which comes and goes with the change that brought it.

use super::deploy::{Site, proposal, words};
use super::watchdog::{kill, watchdogs};
use super::{Host, eventually, in_namespace};

const STRICT: &str = "table inet strict { chain input { type filter hook input priority 0; policy drop; iif lo accept
    ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; tcp dport 9999 counter accept; }; }";
const ALLOW: &str =
    r#"{"id":"r1","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["7777"]}"#;
const DOOR: &str = "meta mark & 0x10000000 == 0x10000000 accept comment \"afo: lets through what AFO accepts, g";
const FOREIGN: [&str; 3] = ["--placement", "foreign", "--confirm=10"];

/// A host whose own chain drops what comes to the server.
fn strict(host: &Host) -> Site<'_> {
    let site = Site::new(host);
    host.nft(STRICT);
    assert!(!site.reached(), "the host drops it");
    site
}

/// The rules of the strict chain, without counters.
fn theirs(host: &Host) -> String {
    host.sh("nft -s list table inet strict")
}

fn confirmed(site: &Site, id: &str, rules: &str) {
    let running = site.start(&["--placement", "foreign", "--confirm=60"], &proposal(id, rules));
    let done = site.deploy(&["confirm"], "");
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(running.exit(), Some(0));
}

#[test]
fn an_allow_goes_through_a_foreign_chain_for_as_long_as_its_window() {
    in_namespace(|host| {
        let site = strict(host);
        let before = theirs(host);
        let own = site.deploy(&["--confirm=10"], &proposal("p1", ALLOW));
        assert_eq!(own.status.code(), Some(1), "{}", words(&own));
        assert!(words(&own).contains("rule r1: ineffective") && !site.reached(), "{}", words(&own));
        let shown = site.deploy(&["--placement", "foreign", "--confirm=10", "-n"], &proposal("p1", ALLOW));
        assert!(words(&shown).contains(&format!("insert rule inet strict input {DOOR}1\"")), "{}", words(&shown));
        assert_eq!(theirs(host), before);
        let running = site.start(&FOREIGN, &proposal("p1", ALLOW));
        assert!(site.reached(), "it goes through inside the window");
        let inside = theirs(host);
        assert!(inside.lines().nth(3).is_some_and(|line| line.trim().starts_with(DOOR)), "{inside}");
        // What others change meanwhile stays.
        host.nft("add rule inet strict input tcp dport 9000 accept");
        assert_eq!(running.exit(), Some(4));
        assert!(!site.reached(), "closed after the window");
        assert_eq!(theirs(host), before.replace("\t}\n}", "\t\ttcp dport 9000 accept\n\t}\n}"));
        assert_eq!(site.statuses(), ["refused", "rolled_back"]);
        let running = site.start(&FOREIGN, &proposal("p2", ALLOW));
        assert!(site.reached());
        let back = site.deploy(&["rollback"], "");
        assert!(back.status.success() && !site.reached() && !theirs(host).contains("afo"), "{}", words(&back));
        assert_eq!(running.exit(), Some(4));
        site.is_settled();
    });
}

#[test]
fn a_door_whose_processes_were_killed_is_closed_and_taken_out_by_recovery() {
    in_namespace(|host| {
        let site = strict(host);
        let before = theirs(host);
        let mut running = site.start(&FOREIGN, &proposal("p1", ALLOW));
        assert!(site.reached());
        watchdogs(&site).into_iter().for_each(kill);
        running.signal("KILL");
        eventually("the kernel's own end of the window", || !site.reached());
        assert!(theirs(host).contains(DOOR), "nobody is there to take it out");
        let recovered = site.deploy(&["recover"], "");
        assert!(recovered.status.success(), "{}", words(&recovered));
        assert_eq!(theirs(host), before);
        // A table that somebody flushes in the window leaves a door that belongs to nothing.
        let mut running = site.start(&["--placement", "foreign", "--confirm=60"], &proposal("p2", ALLOW));
        watchdogs(&site).into_iter().for_each(kill);
        running.signal("KILL");
        host.nft("delete table inet afo");
        assert!(!site.reached() && theirs(host).contains(DOOR));
        let recovered = site.deploy(&["recover"], "");
        assert!(recovered.status.success(), "{}", words(&recovered));
        assert_eq!(theirs(host), before);
        assert_eq!(site.statuses(), ["rolled_back", "rolled_back"]);
        site.is_settled();
    });
}

#[test]
fn a_window_whose_door_is_removed_ends_at_once() {
    in_namespace(|host| {
        let site = strict(host);
        let mut running = site.start(&["--placement", "foreign", "--confirm=600"], &proposal("p1", ALLOW));
        assert!(site.reached());
        host.nft(&format!("flush chain inet strict input; {STRICT}"));
        let rest = running.rest();
        let said = "another program removed what lets its allows through `inet strict input` inside the window";
        assert!(rest.contains(said) && rest.contains("rolled_back"), "{rest}");
        assert_eq!(running.exit(), Some(4));
        assert!(!host.sh("nft list ruleset").contains("dport 7777"));
        site.is_settled();
    });
}

#[test]
fn a_confirmed_door_stays_comes_back_after_a_reload_and_goes_with_its_deployment() {
    in_namespace(|host| {
        let site = strict(host);
        let before = theirs(host);
        confirmed(&site, "p1", ALLOW);
        assert!(site.reached() && theirs(host).contains(DOOR));
        host.nft(&format!("delete table inet strict; {STRICT}"));
        assert!(!site.reached(), "what is loaded anew is closed");
        let recovered = site.deploy(&["recover"], "");
        let said = "another program removed what lets AFO's allows through `inet strict input`; it is put back";
        assert!(recovered.status.success() && words(&recovered).contains(said), "{}", words(&recovered));
        assert!(site.reached());
        host.nft("flush ruleset");
        host.nft(STRICT);
        assert!(site.deploy(&["recover"], "").status.success() && site.reached(), "{}", host.ruleset());
        host.nft("delete table inet strict");
        let gone = words(&site.deploy(&["recover"], ""));
        assert!(gone.contains("chain `inet strict input` is gone, through which AFO's allows went"), "{gone}");
        assert!(!words(&site.deploy(&["recover"], "")).contains("is gone"), "told once");
        host.nft(STRICT);
        assert!(site.deploy(&["recover"], "").status.success() && site.reached());
        // What came later relies on it.
        confirmed(&site, "p2", &ALLOW.replace("7777", "7778").replace("r1", "r2"));
        let first = site.deploy(&["rollback"], "");
        assert!(first.status.success() && theirs(host).contains(DOOR) && site.reached(), "{}", words(&first));
        let second = site.deploy(&["rollback"], "");
        assert!(second.status.success() && !site.reached(), "{}", words(&second));
        assert_eq!(theirs(host), before);
        confirmed(&site, "p3", &ALLOW.replace("r1", "r3"));
        assert!(site.reached());
        assert!(site.deploy(&["flush-afo"], "").status.success());
        assert_eq!(theirs(host), before);
        site.is_settled();
    });
}

#[test]
fn chains_that_their_program_keeps_and_marks_that_are_taken_are_refused_with_what_to_do() {
    in_namespace(|host| {
        let site = Site::new(host);
        let refused = |foreign: &str, said: &str| {
            host.sh(foreign);
            let before = host.ruleset();
            let out = site.deploy(&FOREIGN, &proposal("p1", ALLOW));
            assert_eq!(out.status.code(), Some(1), "{foreign}: {}", words(&out));
            assert!(words(&out).contains(said), "{foreign}: {}", words(&out));
            assert_eq!(host.ruleset(), before);
        };
        refused(
            "iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT",
            "once: sudo iptables -I INPUT -m mark --mark 0x10000000/0x10000000 -j ACCEPT",
        );
        host.sh("iptables -I INPUT -m mark --mark 0x10000000/0x10000000 -j ACCEPT");
        confirmed(&site, "p2", &ALLOW.replace("\"protocol\"", "\"family\":\"ipv4\",\"protocol\""));
        assert!(site.reached(), "the command that was named does it");
        assert!(site.deploy(&["flush-afo"], "").status.success());
        refused(
            "iptables -P INPUT ACCEPT; iptables -F; nft 'table inet firewalld { chain filter_INPUT { type filter hook input priority 10; policy drop; }; }'",
            "sudo firewall-cmd --permanent --add-rich-rule='rule port port=\"7777\" protocol=\"tcp\" accept'; sudo firewall-cmd --reload",
        );
        refused(
            "nft 'delete table inet firewalld; table inet strict { chain input { type filter hook input priority 0; policy drop; meta mark 0x7 counter; }; }'",
            "the mark 0x10000000 cannot let through what AFO accepts: `inet strict input: meta mark 7 counter` uses it",
        );
        refused(
            "nft flush table inet strict; ip rule add fwmark 0x10000000/0x10000000 lookup main",
            "what AFO accepts cannot be marked with 0x10000000: the routing rule `32765: from all fwmark 0x10000000/0x10000000 lookup main` looks at it",
        );
    });
}

/// Somebody else's use of the mark that AFO's accepts carry, and its end.
const TAKERS: [[&str; 2]; 2] = [
    [
        "nft 'table inet other { chain c { type filter hook input priority 5; meta mark 0x7 counter; }; }'",
        "nft delete table inet other",
    ],
    ["ip rule add fwmark 0x10000000/0x10000000 lookup main", "ip rule del fwmark 0x10000000/0x10000000 lookup main"],
];

#[test]
fn what_stands_marked_stays_open_and_people_are_told_who_else_uses_its_mark() {
    in_namespace(|host| {
        let site = strict(host);
        let drops = |id: &str, port: &str, more: &str| {
            format!(
                r#"{{"id":"{id}","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["{port}"]{more}}}"#
            )
        };
        confirmed(&site, "p1", ALLOW);
        for (n, [take, leave]) in TAKERS.into_iter().enumerate() {
            let told = |task: &[&str]| {
                let done = site.deploy(task, "");
                assert!(done.status.success() && site.reached(), "{take}: {task:?}: {}", words(&done));
                let said = "another program uses the mark 0x10000000 of what AFO accepts: ";
                assert!(words(&done).contains(said), "{take}: {task:?}: {}", words(&done));
            };
            confirmed(&site, &format!("a{n}"), &drops(&format!("a{n}"), "24", r#","ttl_seconds":3"#));
            confirmed(&site, &format!("b{n}"), &drops(&format!("b{n}"), "25", ""));
            host.sh(take);
            told(&["rollback"]);
            host.nft("delete table inet afo");
            told(&["recover"]);
            host.sh("sleep 3.5");
            told(&["expire"]);
            let file = std::fs::read_to_string(site.dir.path().join("state.boot.nft")).expect("written");
            assert!(file.contains("meta mark set meta mark | 0x10000000"), "{file}");
            host.sh(leave);
        }
        // Whose mark is taken inside its window is not what was judged.
        let running = site.start(&["--confirm=60"], &proposal("p2", &drops("r9", "26", "")));
        host.sh(TAKERS[0][0]);
        let late = site.deploy(&["confirm"], "");
        assert_eq!(late.status.code(), Some(4), "{}", words(&late));
        assert_eq!(running.exit(), Some(4));
        assert!(site.reached() && !host.sh("nft list table inet afo").contains("dport 26"));
        // Whether the administrator would be cut off is not known.
        let removes = r#"{"kind":"proposal","v":1,"id":"p3","ts":"2026-01-02T03:04:05Z","ok":true,"changes":[{"op":"remove","target":"r1"}],"explanation":"a test"}"#;
        let back = site.deploy(&["--confirm=10"], &format!("{removes}\n"));
        let said = "whether the administrator stays connected is not known: another program uses the mark 0x10000000";
        assert_eq!(back.status.code(), Some(1), "{}", words(&back));
        assert!(words(&back).contains(said) && site.reached(), "{}", words(&back));
        site.is_settled();
    });
}
