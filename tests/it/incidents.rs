//! What once went wrong, each by its name: it stays mended.

use crate::kernel::{Host, eventually, feed, in_namespace};
use crate::shell::{on_terminal, sh};
use crate::tree::root;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

const PORT: &str = r#"{"id":"r1","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["7777"]}"#;
const BAN: &str =
    r#"{"id":"b1","action":"drop","direction":"input","source_address":["203.0.113.9"],"ttl_seconds":600}"#;
/// What an attacker writes into every field: quotes, nft, shell, terminal escapes, bidirectional and invisible letters, lines of their own.
const HOSTILE: &str = "x\"'; } flush ruleset $(id) `id` \u{1b}[2J\u{1b}]0;t\u{7}\u{202e}\u{200b}\u{2028}\u{9b}31m\u{7f}\0\r\nafo-deploy: error: forged {\"kind\":\"proposal\"}";

/// A host with a state in a directory of its own, and an nft that can be made to kill its caller.
struct Site<'a> {
    host: &'a Host,
    dir: TempDir,
}

impl<'a> Site<'a> {
    fn new(host: &'a Host) -> Self {
        Self { host, dir: TempDir::new().expect("directory") }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.host.afo(name);
        command.env("AFO_STATE", self.state()).args(arguments);
        command
    }

    fn deploy(&self, arguments: &[&str], input: &str) -> Output {
        feed(&mut self.command("afo-deploy", arguments), input.as_bytes())
    }

    /// afo-deploy, killed with SIGKILL when it loads text for the first time: before the kernel has it, or just after.
    fn killed(&self, after: bool, arguments: &[&str], input: &str) {
        self.killed_at(1, after, arguments, input);
    }

    /// As [`killed`](Self::killed), when it loads text for the `n`-th time.
    fn killed_at(&self, n: u32, after: bool, arguments: &[&str], input: &str) {
        let load = if after { "$real \"$@\"; kill -KILL $PPID" } else { "kill -KILL $PPID" };
        let out = self.with_nft(n, load, arguments, input);
        assert_eq!(out.status.code(), None, "it was killed: {}", words(&out));
    }

    /// afo-deploy with an nft that does something else when it loads text for the `n`-th time.
    fn with_nft(&self, n: u32, instead: &str, arguments: &[&str], input: &str) -> Output {
        let real = self.host.sh("command -v nft").trim().to_owned();
        let bin = self.dir.path().join("bin");
        std::fs::create_dir_all(&bin).expect("directory");
        let text = format!(
            "#!/bin/bash\nreal={real}\nif [ \"$1\" = -f ]; then echo >> {0}/loads; if [ $(wc -l < {0}/loads) = {n} ]; then {instead}; exit 1; fi; fi\nexec $real \"$@\"\n",
            bin.display()
        );
        std::fs::write(bin.join("nft"), text).expect("written");
        std::fs::write(bin.join("loads"), "").expect("written");
        self.host.sh(&format!("chmod 755 {}/nft", bin.display()));
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH"));
        feed(self.command("afo-deploy", arguments).env("PATH", path), input.as_bytes())
    }

    /// A configuration whose heartbeat is `program`.
    fn heartbeat(&self, program: &str) -> String {
        let file = self.dir.path().join("afo.toml");
        std::fs::write(&file, format!("[deploy]\nheartbeat = [{{ command = [\"{program}\"] }}]\n")).expect("written");
        file.display().to_string()
    }

    fn recovers(&self) {
        let out = self.deploy(&["recover"], "");
        assert!(out.status.success(), "{}", words(&out));
        let out = feed(&mut self.command("afo-log", &["verify"]), b"");
        assert!(out.status.success(), "{}", words(&out));
    }

    /// A change of policy, confirmed.
    fn confirmed(&self, input: &str) {
        let mut command = self.command("afo-deploy", &["--confirm=600"]);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| feed(&mut command, input.as_bytes()));
            eventually("confirmed", || self.deploy(&["confirm"], "").status.success());
            assert!(waiting.join().expect("afo-deploy").status.success());
        });
    }

    fn statuses(&self) -> Vec<String> {
        let out = feed(&mut self.command("afo-log", &["deployments", "--json"]), b"");
        let status = |line: &str| serde_json::from_str::<Value>(line).expect(line)["status"].to_string();
        String::from_utf8_lossy(&out.stdout).lines().map(status).collect()
    }

    fn table(&self) -> String {
        self.host.sh("nft list table inet afo 2>/dev/null || true")
    }
}

fn words(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn proposal(id: &str, origin: &str, rules: &str) -> String {
    format!(
        r#"{{"kind":"proposal","v":1,"id":"{id}","ts":"2026-01-02T03:04:05Z","ok":true,"origin":{origin},"rules":[{rules}],"explanation":"a test"}}"#
    ) + "\n"
}

fn asked(id: &str, rules: &str) -> String {
    proposal(id, r#"{"by":"user"}"#, rules)
}

/// Rules that end by themselves but are no element of a block set were journalled as confirmed, and the kernel held nothing.
#[test]
fn a_timed_rule_that_no_set_can_hold_is_not_called_done() {
    in_namespace(|host| {
        let site = Site::new(host);
        for (number, (old, new)) in [
            (r#"["203.0.113.9"]"#, r#"["203.0.113.9-203.0.113.19"]"#),
            (r#""ttl_seconds""#, r#""protocol":["tcp"],"destination_port":["20-25"],"ttl_seconds""#),
            (r#""ttl_seconds""#, r#""protocol":["icmp"],"ttl_seconds""#),
            (r#""ttl_seconds""#, r#""log":{"prefix":"x"},"ttl_seconds""#),
            (r#""ttl_seconds""#, r#""position":"first","ttl_seconds""#),
        ]
        .into_iter()
        .enumerate()
        {
            let line = proposal(&format!("p{number}"), r#"{"by":"daemon","assessment":"a1"}"#, &BAN.replace(old, new));
            let out = site.deploy(&["--autonomy", "auto"], &line);
            assert_eq!(out.status.code(), Some(1), "{new}: {}", words(&out));
            assert!(
                words(&out).contains("waits for a person") && words(&out).contains("not as an element of a block set")
            );
            assert_eq!(site.statuses(), Vec::<String>::new(), "{new}");
        }
    });
}

/// A ban of the gateway was refused, and the rest of its batch went on.
#[test]
fn a_batch_with_a_forbidden_ban_is_refused_as_a_whole() {
    in_namespace(|host| {
        let site = Site::new(host);
        let out =
            site.deploy(&["--confirm=1"], &asked("p1", &format!("{},{PORT}", BAN.replace("203.0.113.9", "127.0.0.9"))));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        assert_eq!(site.statuses(), ["\"refused\""]);
        assert!(!site.table().contains("7777"));
    });
}

/// A batch's bans were made although another change kept its policy waiting, and the exit said that nothing was changed.
#[test]
fn a_batch_whose_policy_must_wait_makes_no_ban() {
    in_namespace(|host| {
        let site = Site::new(host);
        site.killed(true, &["--confirm=30"], &asked("p1", PORT));
        site.deploy(&["recover"], "");
        let open = site.command("afo-deploy", &["--confirm=600"]);
        let (open, input) = (&mut { open }, asked("p2", &PORT.replace("r1", "r2")));
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| feed(open, input.as_bytes()));
            eventually("a window is open", || site.table().contains("\"r2\""));
            let out = site.deploy(&["--confirm=1"], &asked("p3", &format!("{BAN},{}", PORT.replace("r1", "r3"))));
            assert_eq!(out.status.code(), Some(3), "{}", words(&out));
            assert!(!site.table().contains("203.0.113.9"));
            assert!(site.deploy(&["rollback"], "").status.success());
            waiting.join().expect("afo-deploy")
        });
        assert_eq!(waiting.status.code(), Some(4), "{}", words(&waiting));
    });
}

/// The journal said unblocked, the kernel still dropped, and a second `unblock` said that the address is not blocked.
#[test]
fn an_unblock_that_was_killed_is_finished() {
    in_namespace(|host| {
        let site = Site::new(host);
        assert!(site.deploy(&[], &asked("p1", BAN)).status.success());
        site.killed(false, &["unblock", "203.0.113.9"], "");
        assert!(site.table().contains("203.0.113.9"), "the kernel was not told");
        site.recovers();
        assert!(!site.table().contains("203.0.113.9"));
        assert!(site.deploy(&[], &asked("p2", &BAN.replace("b1", "b2"))).status.success());
        site.killed(false, &["rollback"], "");
        site.recovers();
        assert!(!site.table().contains("203.0.113.9"));
        assert_eq!(site.statuses(), ["\"confirmed\"", "\"rolled_back\""]);
    });
}

/// Every command began with a recovery that failed: "cannot go from confirmed to confirmed".
#[test]
fn a_rollback_that_was_killed_is_finished() {
    in_namespace(|host| {
        let site = Site::new(host);
        for (number, after) in [(1, true), (2, false)] {
            site.confirmed(&asked(&format!("p{number}"), &PORT.replace("r1", &format!("r{number}"))));
            site.killed(after, &["rollback"], "");
            site.recovers();
            assert!(!site.table().contains("7777"), "{}", site.table());
        }
        assert_eq!(site.statuses(), ["\"rolled_back\"", "\"rolled_back\""]);
    });
}

/// After a flush by somebody else, a recovery that died between policy and blocks left the blocks out for ever.
#[test]
fn a_recovery_that_was_killed_is_finished() {
    in_namespace(|host| {
        for after in [true, false] {
            let site = Site::new(host);
            site.confirmed(&asked("p1", PORT));
            assert!(site.deploy(&[], &asked("p2", BAN)).status.success());
            host.nft("flush ruleset");
            site.killed(after, &["recover"], "");
            site.recovers();
            assert!(site.table().contains("203.0.113.9") && site.table().contains("7777"), "{}", site.table());
            host.nft("flush ruleset");
        }
    });
}

/// The state was lost inside a window: the kernel went back, and every later change was told to wait for that window.
#[test]
fn a_window_of_a_lost_state_ends() {
    in_namespace(|host| {
        let site = Site::new(host);
        site.killed(true, &["--confirm=1"], &asked("p1", PORT));
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", site.state().display()));
        }
        std::thread::sleep(std::time::Duration::from_millis(1200));
        site.recovers();
        assert!(!site.table().contains("7777"), "{}", site.table());
        site.confirmed(&asked("p1", PORT));
    });
}

/// Two that began at once finished each other's blocks, and each then failed because the other had.
#[test]
fn bans_that_begin_at_once_all_hold() {
    in_namespace(|host| {
        let site = Site::new(host);
        assert!(site.deploy(&["recover"], "").status.success());
        std::thread::scope(|scope| {
            for n in 1..=8 {
                let site = &site;
                scope.spawn(move || {
                    let rule = BAN.replace("203.0.113.9", &format!("203.0.113.{n}")).replace("b1", &format!("b{n}"));
                    let out = site.deploy(&[], &asked(&format!("p{n}"), &rule));
                    assert!(out.status.success(), "{n}: {}", words(&out));
                });
            }
        });
        (1..=8).for_each(|n| assert!(site.table().contains(&format!("203.0.113.{n} ")), "{n}: {}", site.table()));
        site.recovers();
    });
}

fn answers(id: &str, rules: &str) -> String {
    proposal(id, r#"{"by":"daemon","assessment":"a1"}"#, rules)
}

/// A block on trial whose afo-deploy was killed before the trial was journalled was called confirmed, for its full time.
#[test]
fn what_was_on_trial_when_its_process_died_goes() {
    in_namespace(|host| {
        for (n, after, heartbeat) in [(1, false, "/bin/true"), (1, true, "/bin/true"), (1, true, "/bin/false")] {
            let site = Site::new(host);
            let config = site.heartbeat(heartbeat);
            site.killed_at(n, after, &["--autonomy", "auto", "--config", &config], &answers("p1", BAN));
            site.recovers();
            assert!(!site.table().contains("203.0.113.9"), "{n} {after} {heartbeat}: {}", site.table());
            assert_eq!(site.statuses(), ["\"rolled_back\""], "{n} {after} {heartbeat}");
            assert!(site.deploy(&["flush-afo"], "").status.success());
        }
    });
}

/// The death of afo-deploy in a trial that made an earlier block longer ended that block too.
#[test]
fn a_trial_that_ends_in_death_leaves_what_held_before() {
    in_namespace(|host| {
        let site = Site::new(host);
        assert!(site.deploy(&[], &asked("p1", BAN)).status.success());
        let killer = site.dir.path().join("killer");
        std::fs::write(&killer, "#!/bin/sh\nkill -KILL $PPID\n").expect("written");
        host.sh(&format!("chmod 755 {}", killer.display()));
        let config = site.heartbeat(&killer.display().to_string());
        let longer = BAN.replace("600", "6000").replace("b1", "b2");
        let new = longer.replace("203.0.113.9", "203.0.113.10").replace("b2", "b3");
        let input = answers("p2", &format!("{longer},{new}"));
        let out = site.deploy(&["--autonomy", "auto", "--confirm=2", "--config", &config], &input);
        assert_eq!(out.status.code(), None, "killed by its heartbeat: {}", words(&out));
        assert!(site.table().contains("203.0.113.10 timeout 2s"), "{}", site.table());
        let left = |table: &str| table.contains("203.0.113.9 timeout 9m") || table.contains("203.0.113.9 timeout 10m");
        assert!(left(&site.table()), "never less than it had: {}", site.table());
        site.recovers();
        assert!(left(&site.table()) && !site.table().contains("203.0.113.10"), "{}", site.table());
        assert_eq!(site.statuses(), ["\"confirmed\"", "\"rolled_back\""]);
        let held =
            site.deploy(&["--autonomy", "auto", "--config", &site.heartbeat("/bin/true")], &answers("p3", &longer));
        assert!(held.status.success(), "{}", words(&held));
        assert!(site.table().contains("203.0.113.9 timeout 1h"), "its longer time now: {}", site.table());
    });
}

/// Blocks were made, the policy of the same batch was refused by the kernel, and the exit said that nothing was changed.
#[test]
fn a_batch_that_fails_behind_its_bans_does_not_say_that_nothing_was_changed() {
    in_namespace(|host| {
        let site = Site::new(host);
        assert!(site.deploy(&["recover"], "").status.success());
        let refuse = "echo 'Error: No buffer space available' >&2";
        let out = site.with_nft(2, refuse, &["--confirm=1"], &asked("p1", &format!("{BAN},{PORT}")));
        assert_eq!(out.status.code(), Some(5), "{}", words(&out));
        assert!(site.table().contains("203.0.113.9") && !site.table().contains("7777"), "{}", site.table());
        site.recovers();
        assert!(site.table().contains("203.0.113.9") && !site.table().contains("7777"), "{}", site.table());
    });
}

/// The state was deleted or replaced by something else while a change waited for its confirmation.
#[test]
fn a_state_that_is_lost_inside_a_window_is_told_and_the_kernel_goes_back() {
    in_namespace(|host| {
        for lose in ["rm -f $STATE*", "mv $STATE $STATE.old; echo garbage > $STATE"] {
            let site = Site::new(host);
            let (mut deploy, input) = (site.command("afo-deploy", &["--confirm=10"]), asked("p1", PORT));
            let out = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| feed(&mut deploy, input.as_bytes()));
                eventually("the window is open", || site.table().contains("7777"));
                host.sh(&format!("STATE={}; {lose}", site.state().display()));
                waiting.join().expect("afo-deploy")
            });
            let said = words(&out);
            assert_eq!(out.status.code(), Some(5), "{lose}: {said}");
            assert!(
                said.contains("the kernel takes the change back by itself when its window is over"),
                "{lose}: {said}"
            );
            host.sh(&format!("rm -f {}*", site.state().display()));
            site.recovers();
            assert!(!site.table().contains("7777"), "{lose}: {}", site.table());
            assert!(site.deploy(&["flush-afo"], "").status.success());
        }
    });
}

/// A named pipe as a source held afo-watch for ever: it could not even be told to end.
#[test]
fn a_pipe_is_read_until_its_writer_goes() {
    let dir = TempDir::new().expect("directory");
    let line = "2026-03-01T08:00:00Z gate sshd[7]: Invalid user a from 203.0.113.9 port 1";
    let watch = "afo-watch --once --state none --source auth:pipe";
    let script = format!("mkfifo pipe; (sleep 0.5; echo '{line}'; sleep 0.5; echo '{line}2') > pipe & {watch}");
    let ended = sh(&script, dir.path(), b"");
    assert_eq!((ended.text().lines().count(), ended.err.as_str(), ended.code), (2, "", Some(0)));
    let ended = sh(watch, dir.path(), b"");
    let words = "afo-watch: error: cannot read pipe: it is a pipe, and nobody writes into it\n";
    assert_eq!((ended.text().as_str(), ended.err.as_str(), ended.code), ("", words, Some(3)));
    let ended = sh(&format!("{watch} & sleep 0.3; kill -TERM $!; wait $!"), dir.path(), b"");
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    let follow = "afo-watch --state none --from end --source auth:pipe";
    let script = format!("{follow} & sleep 0.3; echo '{line}' > pipe; sleep 3; kill -TERM $!; wait $!");
    let ended = sh(&script, dir.path(), b"");
    assert_eq!((ended.text().lines().count(), ended.err.as_str(), ended.code), (1, "", Some(0)));
}

/// What of the host could not be read was left out of the list of those to be spared, and the change was made.
#[test]
fn a_host_that_cannot_be_seen_whole_is_not_changed() {
    in_namespace(|host| {
        let site = Site::new(host);
        host.sh("mount -t tmpfs none /etc");
        let _unreadable = std::os::unix::net::UnixListener::bind("/etc/resolv.conf").expect("a socket");
        for rules in [BAN, PORT] {
            let out = site.deploy(&["--confirm=1"], &asked("p1", rules));
            assert_eq!(out.status.code(), Some(3), "{}", words(&out));
            let cause = "whom a change would cut off is not known: resolvers: /etc/resolv.conf: ";
            assert!(words(&out).contains(cause), "{}", words(&out));
        }
        assert_eq!((site.table(), site.statuses()), (String::new(), vec![]));
        std::fs::remove_file("/etc/resolv.conf").expect("removed");
        let out = site.deploy(&[], &asked("p1", BAN));
        assert!(out.status.success(), "a host without the file has no resolvers: {}", words(&out));
    });
}

/// The rule that saved the management network was removed, confirmed, and the administrator was locked out.
#[test]
fn a_rule_that_saves_the_administrator_is_not_removed() {
    in_namespace(|host| {
        let site = Site::new(host);
        let config = site.dir.path().join("afo.toml");
        std::fs::write(&config, "[management]\nnetworks = [\"198.51.100.0/24\"]\n").expect("written");
        let config = config.display().to_string();
        let saves = r#"{"id":"r1","action":"accept","direction":"input","source_address":["198.51.100.0/24"],"protocol":["tcp"],"destination_port":["22"]}"#;
        let closes = r#"{"id":"r2","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#;
        site.confirmed(&asked("p1", &format!("{saves},{closes}")));
        let remove = |proposal: &str, id: &str| {
            asked(proposal, "")
                .replace(r#""rules":[]"#, &format!(r#""rules":[],"changes":[{{"op":"remove","target":"{id}"}}]"#))
        };
        let out = site.deploy(&["--confirm=1", "--config", &config], &remove("p2", "r1"));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        let why = "management from 198.51.100.0/24 on port 22 would be cut off: rule r2 would then decide about it";
        assert!(words(&out).contains(why), "{}", words(&out));
        let out = site.deploy(&["--confirm=1", "--config", &config], &remove("p3", "r2"));
        assert_eq!(out.status.code(), Some(4), "it goes its way, and lapses: {}", words(&out));
        let narrower = closes.replace(r#""protocol""#, r#""source_address":["203.0.113.0/24"],"protocol""#);
        let replace = asked("p4", "").replace(
            r#""rules":[]"#,
            &format!(r#""rules":[],"changes":[{{"op":"replace","target":"r2","rule":{narrower}}}]"#),
        );
        let out = site.deploy(&["--confirm=1", "--config", &config], &replace);
        assert_eq!(out.status.code(), Some(4), "its old self is no rule in its way: {}", words(&out));
    });
}

/// `afo-ctx --rules | afo-deploy --confirm`, as the help says, ended in "waits for a person".
#[test]
fn imported_rules_are_deployed_by_who_imports_them() {
    in_namespace(|host| {
        let site = Site::new(host);
        host.nft(
            "table inet host { chain input { type filter hook input priority 0; iifname eth0 tcp dport 7777 drop; }; }",
        );
        let imported = feed(&mut site.command("afo-ctx", &["--rules"]), b"");
        host.nft("flush ruleset");
        let text = String::from_utf8(imported.stdout).expect("UTF-8");
        assert!(text.contains("\"import\""), "{text}");
        site.confirmed(&text);
        assert!(site.table().contains("7777"), "{}", site.table());
    });
}

/// A network that the configuration allows to be blocked was refused by afo-gen all the same.
#[test]
fn how_wide_a_block_may_be_is_configured_once() {
    let dir = TempDir::new().expect("directory");
    let config = dir.path().join("afo.toml");
    let assessment = r#"{"kind":"assessment","v":1,"id":"a1","ts":"2026-01-02T03:04:05Z","threat":"flood","threat_level":"high","confidence":0.9,"subjects":["198.18.0.0/20"],"auto_actionable":true,"response":{"action":"block","ttl_seconds":600}}"#;
    for (width, kind) in [(20, "\"kind\":\"proposal\""), (24, "\"kind\":\"alert\"")] {
        std::fs::write(&config, format!("[respond]\nmax_prefix_v4 = {width}\n")).expect("written");
        let mut command = Host.afo("afo-gen");
        let out = feed(
            command.args(["--json", "--config", &config.display().to_string()]),
            format!("{assessment}\n").as_bytes(),
        );
        assert!(words(&out).contains(kind), "{width}: {}", words(&out));
    }
}

/// The places of all texts in a record but its kind.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::String(_) if at != "/kind" => out.push(at.to_owned()),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{at}/{n}"), out)),
        Value::Object(map) => {
            out.push(at.to_owned());
            map.iter().for_each(|(key, item)| places(item, &format!("{at}/{key}"), out));
        }
        _ => {}
    }
}

/// The record with the hostile text at one place: as the value of a text, as one more field of an object.
fn poisoned(record: &Value, place: &str) -> Value {
    let mut record = record.clone();
    let at = record.pointer_mut(place).expect("a place of this record");
    match at {
        Value::Object(map) => {
            let _: &mut Map<String, Value> = map;
            map.insert(HOSTILE.to_owned(), HOSTILE.into());
        }
        text => *text = HOSTILE.into(),
    }
    record
}

/// Every sample record, with the hostile text at every place in turn.
fn hostile_records() -> String {
    let mut lines = format!("block {}\n", HOSTILE.replace(['\r', '\n'], " "));
    for entry in std::fs::read_dir(root().join("tests/records/v1")).expect("samples") {
        let text = std::fs::read_to_string(entry.expect("sample").path()).expect("sample");
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect(line);
            let mut all = Vec::new();
            places(&record, "", &mut all);
            all.iter().for_each(|place| lines.push_str(&format!("{}\n", poisoned(&record, place))));
        }
    }
    lines
}

fn shows_only_letters(said: &str, whose: &str) {
    let moves = |c: char| {
        (c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let raw = said
        .char_indices()
        .find(|(_, c)| moves(*c))
        .map(|(at, _)| said[..at].chars().rev().take(60).collect::<String>());
    let before = raw.map(|reversed| reversed.chars().rev().collect::<String>());
    assert_eq!(before, None, "{whose} sent a terminal what moves or hides, after this");
    assert!(!said.replace("\r\n", "\n").contains('\r'), "{whose} sent a carriage return of somebody else's");
    assert!(!said.lines().any(|line| line.starts_with("afo-deploy: error: forged")), "{whose} let a line be forged");
}

/// With `--log-format json` the words of an error reached the terminal with bidirectional and control characters in them.
#[test]
fn what_records_say_moves_no_terminal_and_no_rule() {
    in_namespace(|host| {
        let dir = TempDir::new().expect("directory");
        let input = hostile_records();
        assert!(input.lines().count() > 300, "every place of every kind");
        std::fs::write(dir.path().join("hostile"), &input).expect("written");
        let commands = [
            "afo-gen",
            "afo-gen --explain",
            "afo-render",
            "afo-render --native",
            "afo-check --against none",
            "afo-conflicts",
            "afo-assess",
            "afo-watch --source - --as auth",
            "afo-deploy -n",
            "afo-deploy --confirm=1 --state state.db",
            "afo-log audit --state state.db",
            "afo-log deployments --state state.db",
            "afo-deploy list --state state.db",
        ];
        for format in ["--json", "--format text", "--format text --log-format json -vvv"] {
            for command in commands {
                let line = format!("{command} {format} < hostile");
                let said = on_terminal(&line, dir.path(), &[("NO_COLOR", "1")]);
                shows_only_letters(&said, &line);
            }
        }
        assert_eq!(host.ruleset(), "", "nothing of it came into the kernel");
        let native = "afo-render --native < hostile > native.nft 2>/dev/null; nft -c -f native.nft";
        let said = on_terminal(native, dir.path(), &[("NO_COLOR", "1")]);
        assert_eq!(said, "", "the nft text loads");
    });
}
