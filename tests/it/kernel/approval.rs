//! afo-queue on a live kernel: what waits for a person is done when one approves of it at a terminal, for those rules, once.

use super::{Host, in_namespace};
use crate::tree::bin;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// [`super::WINDOW`]
const WIDE: &str = "--confirm=10";

/// A host with somebody else's rules, and a state.
struct Site<'a> {
    host: &'a Host,
    dir: TempDir,
}

impl<'a> Site<'a> {
    fn new(host: &'a Host) -> Self {
        host.sh("ip link set lo up");
        host.nft(
            "table inet host { map ports { type inet_service : verdict; }
               map ways { type ipv4_addr . inet_service : verdict; flags interval; }
               set users { type ipv4_addr; flags timeout; }; set seen { type ipv4_addr; size 9; flags dynamic; }
               chain input { type filter hook input priority 0; policy accept; }; }",
        );
        Self { host, dir: TempDir::new().expect("directory") }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    fn afo(&self, name: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = self.host.afo(name);
        super::feed(command.env("AFO_STATE", self.state()).args(arguments), input.as_bytes())
    }

    /// afo-queue with these words, typed at a terminal: what it put out, its words on the terminal, and its status.
    fn typed(&self, words: &str) -> (String, String, Option<i32>) {
        let file = self.dir.path().join("out");
        let line = format!("{} {words} > {}", bin("afo-queue").display(), file.display());
        let mut command = Command::new("script");
        crate::shell::clean(&mut command);
        let out = command.env("AFO_STATE", self.state()).args(["-qec", &line, "/dev/null"]).output().expect("script");
        (std::fs::read_to_string(file).expect("text"), text(&out), out.status.code())
    }

    fn approved(&self) -> String {
        let (record, words, status) = self.typed("approve p1 --reason 'looked at it'");
        assert_eq!(status, Some(0), "{words}");
        let proposal: Value = serde_json::from_str(&record).expect(&record);
        assert_eq!(proposal["approval"]["status"], "approved", "{record}");
        assert!(proposal["approval"]["by"].as_str().is_some_and(|by| by.contains("at /dev/pts/")), "{record}");
        record
    }

    /// Gives the daemon's proposal to afo-deploy, which may only propose.
    fn queued(&self) {
        let out = self.afo("afo-deploy", &["--autonomy", "propose"], &proposal("7777"));
        assert_eq!(out.status.code(), Some(1), "{}", text(&out));
        assert!(
            text(&out).contains("look: afo-queue show p1; then: afo-queue approve p1 | afo-deploy --confirm"),
            "{}",
            text(&out)
        );
    }

    fn has_rule(&self) -> bool {
        self.host.sh("nft list table inet afo 2>/dev/null || true").contains("dport 7777")
    }

    fn is_whole(&self) {
        let verified = self.afo("afo-log", &["verify"], "");
        assert!(verified.status.success(), "{}", text(&verified));
    }
}

fn proposal(port: &str) -> String {
    format!(
        r#"{{"kind":"proposal","v":1,"id":"p1","ts":"2026-01-02T03:04:05Z","ok":true,"origin":{{"by":"mcp"}},"explanation":"Drops a port.","rules":[{{"id":"r1","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["{port}"]}}]}}"#
    ) + "\n"
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn what_a_person_approves_of_is_done_once() {
    in_namespace(|host| {
        let site = Site::new(host);
        site.queued();
        site.queued();
        let listed = text(&site.afo("afo-queue", &["--json"], ""));
        assert_eq!(listed.lines().count(), 1, "the same twice waits once: {listed}");
        assert!(listed.contains(r#""approval":{"status":"pending"}"#), "{listed}");
        let shown = text(&site.afo("afo-queue", &["show", "--format", "text"], ""));
        for words in [
            "newly dropped: input: tcp",
            "no open connection ends",
            "(mcp): the autonomy level is propose",
            "to take it back: the rules go back",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        let record = site.approved();
        let running = std::thread::scope(|scope| {
            let deploying = scope.spawn(|| site.afo("afo-deploy", &[WIDE], &record));
            super::eventually("it was not armed", || site.has_rule());
            assert!(site.afo("afo-deploy", &["confirm"], "").status.success());
            deploying.join().expect("ended")
        });
        assert!(running.status.success(), "{}", text(&running));
        let again = site.afo("afo-deploy", &[WIDE], &record);
        assert_eq!(again.status.code(), Some(1));
        assert!(text(&again).contains("refused: its approval was used already"), "{}", text(&again));
        let all = text(&site.afo("afo-queue", &["list", "--all", "--format", "text"], ""));
        assert!(all.contains("used for deployment "), "{all}");
        assert!(text(&site.afo("afo-queue", &["--format", "text"], "")).contains("nothing waits for a person"));
        site.is_whole();
    });
}

#[test]
fn only_a_person_at_a_terminal_decides() {
    in_namespace(|host| {
        let site = Site::new(host);
        site.queued();
        for verb in ["approve", "reject"] {
            let out = site.afo("afo-queue", &[verb, "p1"], "");
            assert_eq!(out.status.code(), Some(1), "{}", text(&out));
            let words = "a person decides, at a terminal, and there is none\nafo-queue: hint: nothing was decided; run it in a login shell";
            assert!(text(&out).contains(words), "{}", text(&out));
        }
        let (_, words, status) = site.typed("reject p1 --reason 'no'");
        assert_eq!(status, Some(0), "{words}");
        let (_, words, status) = site.typed("approve p1");
        assert_eq!(status, Some(1), "{words}");
        assert!(words.contains("proposal p1 is rejected already"), "{words}");
        let out = site.afo("afo-deploy", &["--autonomy", "propose"], &proposal("7777"));
        assert_eq!(out.status.code(), Some(1), "{}", text(&out));
        assert!(text(&out).contains("not done (it was rejected by "), "{}", text(&out));
        assert!(!site.has_rule());
        site.is_whole();
    });
}

#[test]
fn an_approval_is_for_these_rules_on_this_ruleset() {
    in_namespace(|host| {
        let site = Site::new(host);
        site.queued();
        let record = site.approved();
        let streamed = site.afo("afo-deploy", &["--autonomy", "propose", WIDE], &record);
        assert_eq!(streamed.status.code(), Some(1), "{}", text(&streamed));
        let words = "not done here (it was approved; a person does it: afo-queue approve p1 | afo-deploy --confirm)";
        assert!(text(&streamed).contains(words) && !site.has_rule(), "{}", text(&streamed));
        let other = site.afo("afo-deploy", &[WIDE], &proposal("22"));
        assert!(text(&other).contains("refused: what was approved is another change"), "{}", text(&other));
        site.host.nft("add rule inet host input tcp dport 9999 accept");
        let stale = site.afo("afo-deploy", &[WIDE], &record);
        assert_eq!(stale.status.code(), Some(1));
        let words = "refused: the rules of this host have changed since it was approved; look at it and approve it again: afo-queue approve p1";
        assert!(text(&stale).contains(words), "{}", text(&stale));
        assert!(!site.has_rule());
        let again = site.approved();
        // What others decide by the elements of a set is part of what was looked at; what comes and goes by itself is not.
        for (change, counts) in [
            ("add element inet host ports { 23 : drop }", true),
            ("add element inet host ways { 10.0.0.0/8 . 23 : accept }", true),
            ("add element inet host users { 192.0.2.9 timeout 10s }; add element inet host seen { 192.0.2.9 }", false),
        ] {
            let record = site.approved();
            site.host.nft(change);
            let out = site.afo("afo-deploy", &["-n", WIDE], &record);
            assert_eq!(text(&out).contains("have changed since it was approved"), counts, "{change}: {}", text(&out));
        }
        let out = site.afo("afo-deploy", &["--confirm=1"], &again);
        assert_eq!(out.status.code(), Some(4), "nobody confirmed: {}", text(&out));
        assert!(!site.has_rule());
        site.is_whole();
    });
}

#[test]
fn the_open_connections_that_would_end_are_named() {
    in_namespace(|host| {
        let site = Site::new(host);
        let peer = host.peer("veth0", [203, 0, 113, 1].into(), [203, 0, 113, 2].into(), 24);
        let server = std::net::SocketAddr::from(([203, 0, 113, 1], 7777));
        let listener = std::net::TcpListener::bind(server).expect("a port");
        let client = peer.inside(move || std::net::TcpStream::connect(server).expect("connected"));
        let taken = listener.accept().expect("a client");
        site.queued();
        let shown = site.afo("afo-queue", &["show", "--json"], "");
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("a proposal");
        let named = format!("tcp {} > {server}", taken.1);
        assert_eq!(shown["effect"]["ending"], serde_json::json!({ "count": 1, "examples": [named] }));
        assert_eq!(shown["risk"], "red");
        let card = site.afo("afo-queue", &["show", "--format", "text"], "");
        assert!(text(&card).contains(&format!("an open connection ends:\n    {named}")), "{}", text(&card));
        drop((client, taken));
    });
}

/// Nothing is open, nothing is opened: there is no risk in it, and a person is asked all the same.
#[test]
fn what_ends_nothing_is_green() {
    in_namespace(|host| {
        let site = Site::new(host);
        site.queued();
        let shown = site.afo("afo-queue", &["show", "--json"], "");
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("a proposal");
        assert_eq!(shown["effect"]["ending"]["count"], 0, "{shown}");
        assert_eq!(shown["risk"], "green", "{shown}");
    });
}
