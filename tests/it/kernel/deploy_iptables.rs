//! afo-deploy through iptables and ip6tables, both kinds: the window ends by the kernel's clock, and what is taken back is exactly what was
//! there.

use super::{Host, Peer, eventually, feed, in_namespace};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const OWN: [u8; 4] = [203, 0, 113, 1];
const THEIRS: [u8; 4] = [203, 0, 113, 2];

/// Another program's rules, in both families.
const FOREIGN: &str = "*filter\n:INPUT DROP\n:mine -\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p icmp -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 7777 -j mine\n-A mine -j ACCEPT\nCOMMIT\n";
const FOREIGN6: &str = "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 25 -j DROP\nCOMMIT\n";

const DROP: &str = r#"{"id":"r1","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["7777"]}"#;
const ALLOW: &str =
    r#"{"id":"r2","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["7778"]}"#;

pub(super) struct Site<'a> {
    pub(super) host: &'a Host,
    peer: Peer,
    dir: TempDir,
}

impl<'a> Site<'a> {
    /// A host whose `iptables` is of a kind, with another program's rules and a neighbour that reaches a server on port 7777 through them.
    pub(super) fn new(host: &'a Host, kind: &str) -> Self {
        host.sh(&format!(
            "cp -a /etc/alternatives /run/alternatives
             for p in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
               ln -sf /usr/sbin/${{p/tables/tables-{kind}}} /run/alternatives/$p; done
             mount --bind /run/alternatives /etc/alternatives; iptables --version"
        ));
        let peer = host.peer("veth0", IpAddr::from(OWN), IpAddr::from(THEIRS), 24);
        [7777, 7778].into_iter().for_each(|port| host.listen(at(port)));
        for (program, text) in [("iptables-restore", FOREIGN), ("ip6tables-restore", FOREIGN6)] {
            let out = feed(&mut Command::new(program), text.as_bytes());
            assert!(out.status.success(), "{}", words(&out));
        }
        let site = Self { host, peer, dir: TempDir::new().expect("directory") };
        assert_eq!([site.reached(7777), site.reached(7778)], [true, false], "before anything is done");
        site
    }

    fn reached(&self, port: u16) -> bool {
        self.peer.connects(at(port))
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.host.afo(name);
        command.env("AFO_STATE", self.dir.path().join("state.db")).args(arguments);
        command
    }

    pub(super) fn deploy(&self, arguments: &[&str], input: &str) -> Output {
        feed(&mut self.command("afo-deploy", arguments), input.as_bytes())
    }

    /// afo-deploy, left running inside its window.
    pub(super) fn start(&self, seconds: u32, rules: &str) -> Child {
        self.begin(seconds, &proposal(rules))
    }

    pub(super) fn begin(&self, seconds: u32, proposal: &str) -> Child {
        let mut command = self.command("afo-deploy", &["--backend", "iptables", &format!("--confirm={seconds}")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("afo-deploy");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(proposal.as_bytes()).expect("written");
        drop(stdin);
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("a record");
        let applied: Value = serde_json::from_str(&first).unwrap_or_else(|e| panic!("{e}: {first}"));
        assert_eq!(applied["status"], "applied", "{first}");
        child
    }

    pub(super) fn confirm(&self, mut waiting: Child) {
        let out = self.deploy(&["confirm"], "");
        assert!(out.status.success(), "{}", words(&out));
        assert!(waiting.wait().expect("ended").success());
    }

    /// The rules of both families as the programs save them, without counters and the time.
    pub(super) fn saved(&self) -> String {
        let text = self.host.sh("iptables-save; ip6tables-save");
        let kept = text.lines().filter(|line| !line.starts_with('#'));
        kept.map(|line| line.split(" [").next().unwrap_or(line).to_owned() + "\n").collect()
    }

    pub(super) fn recovers(&self) {
        let out = self.deploy(&["recover"], "");
        assert!(out.status.success(), "{}", words(&out));
        let verified = feed(&mut self.command("afo-log", &["verify"]), b"");
        assert!(verified.status.success(), "{}", words(&verified));
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((OWN, port))
}

/// A proposal that is none of those before.
fn proposal(rules: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        r#"{{"kind":"proposal","v":1,"id":"p{n}","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}],"explanation":"a test"}}"#
    )
}

pub(super) fn words(out: &Output) -> String {
    format!("{:?}\n{}{}", out.status, String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn the_whole_way(site: &Site) {
    let host = site.host;
    let before = site.saved();
    // The process dies inside the window: the kernel alone goes back, and recovery leaves nothing behind.
    let mut killed = site.start(super::WINDOW, DROP);
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    assert!(!site.reached(7777), "inside the window");
    let second = site.deploy(&["--backend", "iptables", "--confirm=4"], &proposal(ALLOW));
    assert_eq!(second.status.code(), Some(3), "one window at a time: {}", words(&second));
    eventually("the kernel's own way back", || site.reached(7777));
    site.recovers();
    assert_eq!(site.saved(), before, "exactly what was there");

    // Confirmed, it stays, and another program's change of that time too.
    let waiting = site.start(300, DROP);
    host.sh("iptables -A mine -p udp -j DROP");
    site.confirm(waiting);
    assert!(!site.reached(7777));
    let confirmed = site.saved();
    assert!(confirmed.contains("-A mine -p udp -j DROP") && !confirmed.contains("datestart"), "{confirmed}");
    assert!(confirmed.lines().any(|line| line.starts_with("-A AFO-g") && line.contains("--comment r1")), "{confirmed}");
    let list = site.deploy(&["list", "--json"], "");
    assert!(words(&list).contains(r#""packets":"#), "{}", words(&list));

    // An accept of AFO's opens what the host's policy drops; taken back, the older generation stands word by word.
    let mut lapsing = site.start(4, ALLOW);
    assert!(site.reached(7778) && !site.reached(7777));
    assert_eq!(lapsing.wait().expect("ended").code(), Some(4));
    assert_eq!((site.saved(), site.reached(7778)), (confirmed, false));

    let out = site.deploy(&["rollback"], "");
    assert!(out.status.success(), "{}", words(&out));
    assert!(site.reached(7777));
    let out = site.deploy(&["flush-afo"], "");
    assert!(out.status.success(), "{}", words(&out));
    assert_eq!(site.saved(), before.replace("-A mine -j ACCEPT\n", "-A mine -j ACCEPT\n-A mine -p udp -j DROP\n"));
}

#[test]
fn a_change_through_iptables_nft_comes_and_goes() {
    in_namespace(|host| the_whole_way(&Site::new(host, "nft")));
}

#[test]
fn a_change_through_iptables_legacy_comes_and_goes() {
    in_namespace(|host| the_whole_way(&Site::new(host, "legacy")));
}

/// Programs of iptables alone list and change all there is, until nftables holds a table that only nft lists.
#[test]
fn a_host_without_nft_is_a_host_of_iptables() {
    in_namespace(|host| {
        let directory = TempDir::new().expect("directory");
        let shown = directory.path().display();
        host.sh(&format!(
            "cp -a /usr/sbin/. {shown}/sbin; mv {shown}/sbin/nft {shown}/nft; mount --bind {shown}/sbin /usr/sbin; ! type nft"
        ));
        let site = Site::new(host, "nft");
        the_whole_way(&site);
        let named = feed(&mut site.command("afo", &["backends", "--format", "text"]), b"");
        let told = "nft is not installed: rules are listed and applied by the programs of iptables alone";
        assert!(words(&named).contains(told) && !words(&named).contains("\nnftables "), "{}", words(&named));
        host.sh(&format!("{shown}/nft add table inet fw"));
        let refused = site.deploy(&["--backend", "auto", "--confirm=2"], &proposal(DROP));
        assert_eq!(refused.status.code(), Some(3));
        let told = "cannot list the live ruleset: nft is not installed, and nftables holds rules (table inet fw) that only nft lists";
        assert!(words(&refused).contains(told), "{}", words(&refused));
    });
}

/// The window has no set of its own here: who watched it knows which connections there were before.
#[test]
fn a_connection_that_only_the_window_let_in_does_not_outlive_it() {
    in_namespace(|host| {
        let site = Site::new(host, "nft");
        host.sh("iptables -I INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT");
        super::watchdog::echo(7779);
        let address = at(7779);
        let connect = move || std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(1)).ok();
        assert!(site.peer.inside(connect).is_none());
        let mut lapsing = site.start(4, &ALLOW.replace("7778", "7779"));
        let mut inside = site.peer.inside(connect).expect("open inside the window");
        assert!(super::watchdog::answers(&mut inside));
        assert_eq!(lapsing.wait().expect("ended").code(), Some(4));
        eventually("it ends with the window", || !super::watchdog::answers(&mut inside));
        assert!(site.peer.inside(connect).is_none());
        site.recovers();
    });
}

/// What afo-boot.service runs, with the files of a state's directory.
fn boots(site: &Site) {
    let unit = std::fs::read_to_string(crate::tree::root().join("contrib/afo-boot.service")).expect("the unit");
    let files = format!("{}/state.boot.", site.dir.path().display());
    for line in unit.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
        site.host.sh(&line.replace("/etc/afo/boot.", &files));
    }
}

fn a_boot(host: &Host, kind: &str) {
    let site = Site::new(host, kind);
    let before = site.saved();
    let file = site.dir.path().join("state.boot.iptables");
    let mut lapsing = site.start(1, DROP);
    assert_eq!((lapsing.wait().expect("ended").code(), file.exists()), (Some(4), false), "nothing is confirmed");
    let nat = r#"{"id":"n1","action":"redirect","direction":"input","protocol":["tcp"],"destination_port":["7780"],"nat":{"port":"7778"}}"#;
    site.confirm(site.start(300, &format!("{DROP},{ALLOW},{nat}")));
    let ban = r#"{"id":"b","action":"drop","direction":"input","source_address":["198.51.100.9"],"ttl_seconds":600}"#;
    assert!(site.deploy(&["--backend", "iptables"], &proposal(ban)).status.success());
    let confirmed = super::nat_iptables::numbered(&site.saved());
    let wipe = "for p in iptables ip6tables; do for t in filter nat mangle; do $p -t $t -F; $p -t $t -X; done; done; ipset destroy";
    host.sh(wipe);
    for (program, text) in [("iptables-restore", FOREIGN), ("ip6tables-restore", FOREIGN6)] {
        assert!(feed(&mut Command::new(program), text.as_bytes()).status.success());
    }
    assert_eq!([site.reached(7777), site.reached(7778)], [true, false], "all of it is gone");
    boots(&site);
    assert_eq!([site.reached(7777), site.reached(7778), site.reached(7780)], [false, true, true], "{}", site.saved());
    boots(&site);
    assert_eq!(host.sh("iptables -S INPUT | grep -c AFO-INPUT").trim(), "1", "loaded twice or once");
    site.recovers();
    assert!(host.sh("ipset list afo-block4").contains("198.51.100.9 timeout "), "blocks come with the state");
    assert_eq!(super::nat_iptables::numbered(&site.saved()), confirmed);
    std::fs::write(&file, "").expect("spoilt");
    site.recovers();
    assert!(std::fs::read_to_string(&file).expect("written again").contains("--noflush"));
    assert!(site.deploy(&["flush-afo"], "").status.success());
    assert!(!file.exists(), "nothing is to come back");
    assert!(
        before.lines().all(|line| site.saved().contains(line)) && !site.saved().contains("AFO"),
        "{}",
        site.saved()
    );
}

#[test]
fn what_is_confirmed_comes_back_at_boot_through_iptables_nft() {
    in_namespace(|host| a_boot(host, "nft"));
}

#[test]
fn what_is_confirmed_comes_back_at_boot_through_iptables_legacy() {
    in_namespace(|host| a_boot(host, "legacy"));
}

#[test]
fn an_allow_that_the_administrator_comes_through_is_not_taken_away() {
    in_namespace(|host| {
        let site = Site::new(host, "nft");
        let waiting = site.start(300, ALLOW);
        site.confirm(waiting);
        let (own, theirs) = (OWN.map(|byte| byte.to_string()).join("."), THEIRS.map(|byte| byte.to_string()).join("."));
        let session = format!("{theirs} 50000 {own} 7778");
        let as_administrator = |arguments: &[&str], input: &str| {
            let mut command = site.command("afo-deploy", arguments);
            feed(command.env("SSH_CONNECTION", &session), input.as_bytes())
        };
        let remove = r#"{"kind":"proposal","v":1,"id":"gone","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[],"changes":[{"op":"remove","target":"r2"}],"explanation":"a test"}"#;
        for (arguments, input) in [(&["rollback"][..], ""), (&["--backend", "iptables", "--confirm=2"], remove)] {
            let out = as_administrator(arguments, input);
            assert_eq!(out.status.code(), Some(1), "{}", words(&out));
            assert!(words(&out).contains("would be cut off"), "{}", words(&out));
            assert!(site.reached(7778));
        }
        let out = as_administrator(&["--backend", "iptables", "--confirm=2", "--allow-lockout", "r2"], remove);
        assert_eq!(out.status.code(), Some(4), "{}", words(&out));
        eventually("it is taken back", || site.reached(7778));
    });
}

/// Another program empties the tables inside a window: what was confirmed before comes back while the window would still be open.
fn a_wipe(host: &Host, kind: &str) {
    let site = Site::new(host, kind);
    let waiting = site.start(300, DROP);
    site.confirm(waiting);
    let other = DROP.replace("7777", "7000").replace("\"r1\"", "\"r2\"");
    let mut open = site.start(600, &other);
    assert!(!site.reached(7777));
    host.sh("iptables -F; ip6tables -F");
    eventually("the confirmed rules hold again", || !site.reached(7777));
    assert_eq!(open.wait().expect("ended").code(), Some(4));
    assert!(!site.saved().contains("7000"), "{}", site.saved());
    site.recovers();
}

#[test]
fn what_is_emptied_inside_a_window_is_put_right_with_iptables_nft() {
    in_namespace(|host| a_wipe(host, "nft"));
}

#[test]
fn what_is_emptied_inside_a_window_is_put_right_with_iptables_legacy() {
    in_namespace(|host| a_wipe(host, "legacy"));
}

#[test]
fn half_a_change_is_put_back() {
    in_namespace(|host| {
        let site = Site::new(host, "nft");
        let before = site.saved();
        // The second program refuses; what the first one did is put back.
        host.sh("printf '#!/bin/sh\\nexit 4\\n' > /run/refuses; chmod +x /run/refuses; ln -sf /run/refuses /run/alternatives/ip6tables-restore");
        let out = site.deploy(&["--backend", "auto", "--confirm=4", "-n"], &proposal(DROP));
        assert!(words(&out).contains("add table inet afo"), "auto is nftables here: {}", words(&out));
        let out = site.deploy(&["--backend", "iptables", "--confirm=4"], &proposal(DROP));
        assert_eq!(out.status.code(), Some(3), "{}", words(&out));
        assert_eq!(site.saved(), before);
        assert!(site.reached(7777));
    });
}

fn a_block(host: &Host, kind: &str) {
    let site = Site::new(host, kind);
    host.sh("for p in iptables ip6tables; do $p -t mangle -A FORWARD -j ACCEPT; done");
    let before = site.saved();
    let ban = |seconds: u32| {
        format!(
            r#"{{"id":"b{seconds}","action":"drop","direction":"input","source_address":["203.0.113.2"],"ttl_seconds":{seconds}}}"#
        )
    };
    let out = site.deploy(&["--backend", "iptables"], &proposal(&ban(600)));
    assert!(out.status.success(), "{}", words(&out));
    assert!(!site.reached(7777), "{}", site.saved());
    assert!(host.sh("ipset list afo-block4").contains("203.0.113.2 timeout "));
    // Another program takes the lookup away: recovery brings it back, with the time that is left.
    host.sh("iptables -t mangle -F");
    assert!(site.reached(7777));
    site.recovers();
    assert!(!site.reached(7777));
    // So do the sets and all that looks them up, gone together.
    host.sh("for p in iptables ip6tables; do $p -t mangle -F; $p -t mangle -X; done; ipset destroy");
    assert!(site.reached(7777));
    let out = site.deploy(&["status", "--json"], "");
    assert!(words(&out).contains(r#""table":false"#), "{}", words(&out));
    let out = site.deploy(&["recover"], "");
    assert!(words(&out).contains("another program removed AFO's rules"), "{}", words(&out));
    assert!(!site.reached(7777) && host.sh("ipset list afo-block4").contains("203.0.113.2 timeout "));
    let out = site.deploy(&["unblock", "203.0.113.2"], "");
    assert!(out.status.success(), "{}", words(&out));
    assert!(site.reached(7777));
    let out = site.deploy(&["--backend", "ip6tables"], &proposal(&ban(3)));
    assert!(out.status.success() && !site.reached(7777), "{}", words(&out));
    eventually("the kernel ends the block by itself", || site.reached(7777));
    let out = site.deploy(&["flush-afo"], "");
    assert!(out.status.success(), "{}", words(&out));
    assert_eq!(host.sh("ipset list -name"), "");
    assert_eq!(site.saved(), before.replace("-A FORWARD -j ACCEPT\n", ""), "the rules that were flushed are not AFO's");
}

#[test]
fn blocks_end_by_themselves_with_iptables_nft() {
    in_namespace(|host| a_block(host, "nft"));
}

#[test]
fn blocks_end_by_themselves_with_iptables_legacy() {
    in_namespace(|host| a_block(host, "legacy"));
}

#[test]
fn what_iptables_has_no_means_for_is_refused() {
    in_namespace(|host| {
        let site = Site::new(host, "nft");
        let before = site.saved();
        let timed = r#"{"id":"b1","action":"drop","direction":"input","interface_in":["veth7"],"protocol":["udp"],"ttl_seconds":600}"#;
        let out = site.deploy(&["--backend", "ip6tables"], &proposal(timed));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        assert!(words(&out).contains("iptables has no rules that end by themselves"), "{}", words(&out));
        let shadowed = format!("{DROP},{}", DROP.replace("\"r1\"", "\"r9\"").replace("drop", "accept"));
        let out = site.deploy(&["--backend", "iptables"], &proposal(&shadowed));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        assert!(words(&out).contains("rule r9: "), "{}", words(&out));
        assert_eq!(site.saved(), before);
    });
}
