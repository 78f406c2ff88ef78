//! afo-deploy on a live kernel: what holds inside a window, what is left after it, whoever dies meanwhile.

use super::{Host, Peer, eventually, in_namespace};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub(super) const OWN: [u8; 4] = [203, 0, 113, 1];
const THEIRS: [u8; 4] = [203, 0, 113, 2];
pub(super) const DROP_7777: &str =
    r#"{"id":"r1","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["7777"]}"#;
pub(super) const BAN_PEER: &str =
    r#"{"id":"b1","action":"drop","direction":"input","source_address":["203.0.113.2"],"ttl_seconds":600}"#;

/// [`super::WINDOW`]
pub const WIDE: &str = "--confirm=10";

/// A host with a neighbour, a server on port 7777, somebody else's rules, and a state.
pub(super) struct Site<'a> {
    pub(super) host: &'a Host,
    pub(super) peer: Peer,
    pub(super) dir: TempDir,
}

impl<'a> Site<'a> {
    pub(super) fn new(host: &'a Host) -> Self {
        let peer = host.peer("veth0", IpAddr::from(OWN), IpAddr::from(THEIRS), 24);
        host.listen(server());
        host.nft("table inet host { chain input { type filter hook input priority 0; policy accept; tcp dport 9999 counter accept; }; }");
        let site = Self { host, peer, dir: TempDir::new().expect("directory") };
        assert!(site.reached(), "the server is reached before anything is done");
        site
    }

    pub(super) fn reached(&self) -> bool {
        self.peer.connects(server())
    }

    pub(super) fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state.db")
    }

    pub(super) fn afo(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.host.afo(name);
        command.env("AFO_STATE", self.state()).args(arguments);
        command
    }

    /// afo-deploy with `input`, to its end.
    pub(super) fn deploy(&self, arguments: &[&str], input: &str) -> Output {
        feed(&mut self.afo("afo-deploy", arguments), input)
    }

    /// afo-deploy with `input`, left running until its first record is there.
    pub(super) fn start(&self, arguments: &[&str], input: &str) -> Running {
        let mut command = self.afo("afo-deploy", arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("afo-deploy");
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("written");
        drop(stdin);
        let mut lines = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        std::io::BufRead::read_line(&mut lines, &mut first).expect("a record");
        let applied: Value = serde_json::from_str(&first).expect(&first);
        assert_eq!(applied["status"], "applied", "{first}");
        Running { child, lines: Some(lines) }
    }

    /// The rules of everybody but AFO.
    pub(super) fn others(&self) -> String {
        self.host.sh("nft -s list table inet host")
    }

    pub(super) fn statuses(&self) -> Vec<String> {
        let out = feed(&mut self.afo("afo-log", &["deployments", "--json"]), "");
        let text = String::from_utf8(out.stdout).expect("UTF-8");
        let status =
            |line: &str| serde_json::from_str::<Value>(line).expect(line)["status"].as_str().map(str::to_owned);
        text.lines().filter_map(status).collect()
    }

    /// The state's audit chain is whole, and nothing of a change is left in the kernel.
    pub(super) fn is_settled(&self) {
        let verified = feed(&mut self.afo("afo-log", &["verify"]), "");
        assert!(verified.status.success(), "{}", words(&verified));
        let table = self.host.sh("nft list table inet afo 2>/dev/null || true");
        assert!(!table.contains("@armed"), "{table}");
    }
}

pub(super) struct Running {
    pub(super) child: Child,
    lines: Option<std::io::BufReader<std::process::ChildStdout>>,
}

impl Running {
    pub(super) fn signal(&mut self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// A process that nobody reads.
    pub(super) fn of(child: Child) -> Self {
        Self { child, lines: None }
    }

    /// All that it still puts out, up to its end.
    pub(super) fn rest(&mut self) -> String {
        let mut text = String::new();
        let lines = self.lines.as_mut().expect("read once");
        std::io::Read::read_to_string(lines, &mut text).expect("UTF-8");
        text
    }

    pub(super) fn exit(mut self) -> Option<i32> {
        self.child.wait().expect("ended").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test came to its end.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

pub(super) fn feed(command: &mut Command, input: &str) -> Output {
    super::feed(command, input.as_bytes())
}

pub(super) fn server() -> SocketAddr {
    SocketAddr::from((OWN, 7777))
}

pub(super) fn proposal(id: &str, rules: &str) -> String {
    format!(
        r#"{{"kind":"proposal","v":1,"id":"{id}","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}],"explanation":"a test"}}"#
    ) + "\n"
}

pub(super) fn words(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn an_unconfirmed_change_is_gone_after_its_window() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = site.others();
        let running = site.start(&[WIDE], &proposal("p1", DROP_7777));
        assert!(!site.reached(), "blocked inside the window");
        assert_eq!(running.exit(), Some(4));
        assert!(site.reached(), "open after the window");
        assert_eq!(site.others(), before);
        assert_eq!(site.statuses(), ["rolled_back"]);
        site.is_settled();
    });
}

#[test]
fn a_confirmed_change_stays_and_a_late_confirmation_changes_nothing() {
    in_namespace(|host| {
        let site = Site::new(host);
        let running = site.start(&["--confirm=60"], &proposal("p1", DROP_7777));
        let confirmed = site.deploy(&["confirm"], "");
        assert!(confirmed.status.success(), "{}", words(&confirmed));
        assert_eq!(running.exit(), Some(0));
        assert!(!site.reached());
        let twice = site.deploy(&["--confirm=60"], &proposal("p1", DROP_7777));
        assert!(twice.status.success(), "the same again is one deployment: {}", words(&twice));
        assert_eq!(site.statuses(), ["confirmed"]);
        let back = site.deploy(&["rollback"], "");
        assert!(back.status.success(), "{}", words(&back));
        assert!(site.reached());
        let late = site.deploy(&["--confirm=1"], &proposal("p2", &DROP_7777.replace("r1", "r2")));
        assert_eq!(late.status.code(), Some(4));
        let record: Value =
            serde_json::from_slice(late.stdout.split(|b| *b == b'\n').next().expect("a line")).expect("record");
        let confirm = site.deploy(&["confirm", record["id"].as_str().expect("id")], "");
        assert_eq!(confirm.status.code(), Some(4), "{}", words(&confirm));
        assert!(site.reached());
        site.is_settled();
    });
}

#[test]
fn whoever_dies_inside_the_window_the_kernel_goes_back() {
    in_namespace(|host| {
        let site = Site::new(host);
        for (number, signal) in ["KILL", "TERM", "HUP", "INT"].into_iter().enumerate() {
            let rule = DROP_7777.replace("r1", &format!("r{number}"));
            let mut running = site.start(&[WIDE], &proposal(&format!("p{number}"), &rule));
            assert!(!site.reached(), "{signal}: blocked inside the window");
            running.signal(signal);
            eventually(signal, || site.reached());
            let exit = running.exit();
            assert_eq!(exit, if signal == "KILL" { None } else { Some(4) }, "{signal}");
            let recovered = site.deploy(&["recover"], "");
            assert!(recovered.status.success(), "{signal}: {}", words(&recovered));
            assert_eq!(site.statuses().last().map(String::as_str), Some("rolled_back"), "{signal}");
            site.is_settled();
        }
    });
}

#[test]
fn a_crash_between_kernel_and_journal_is_settled_by_recover() {
    in_namespace(|host| {
        let site = Site::new(host);
        // An nft that does what it is told and then kills its caller: the journal never hears of it.
        let real = host.sh("command -v nft").trim().to_owned();
        let killer = format!("#!/bin/bash\n{real} \"$@\"; code=$?\n[ \"$1\" = -f ] && kill -KILL $PPID\nexit $code\n");
        let bin = program(site.dir.path(), "nft", &killer);
        let path = format!("{bin}:{}", std::env::var("PATH").expect("PATH"));
        let out = feed(site.afo("afo-deploy", &[WIDE]).env("PATH", path), &proposal("p1", DROP_7777));
        assert_eq!(out.status.code(), None, "it was killed: {}", words(&out));
        assert_eq!(site.statuses(), ["pending"]);
        let recovered = site.deploy(&["recover"], "");
        assert!(recovered.status.success(), "{}", words(&recovered));
        assert!(site.reached());
        assert_eq!(site.statuses(), ["rolled_back"]);
        site.is_settled();
    });
}

#[test]
fn an_nft_that_fails_changes_nothing_and_is_told() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = host.ruleset();
        let real = host.sh("command -v nft").trim().to_owned();
        let broken = format!(
            "#!/bin/bash\n[ \"$1\" = -f ] && {{ echo 'Error: Could not process rule: No buffer space available' >&2; exit 1; }}\nexec {real} \"$@\"\n"
        );
        let bin = program(site.dir.path(), "nft", &broken);
        let path = format!("{bin}:{}", std::env::var("PATH").expect("PATH"));
        for input in [proposal("p1", DROP_7777), proposal("p2", BAN_PEER)] {
            let out = feed(site.afo("afo-deploy", &[WIDE]).env("PATH", &path), &input);
            assert_eq!(out.status.code(), Some(3), "{}", words(&out));
            assert!(words(&out).contains("No buffer space available"));
        }
        assert_eq!(host.ruleset(), before);
        assert_eq!(site.statuses(), ["failed", "failed"]);
        site.is_settled();
        let missing = feed(site.afo("afo-deploy", &[WIDE]).env("PATH", "/nowhere"), &proposal("p3", DROP_7777));
        assert_eq!(missing.status.code(), Some(3));
        assert!(words(&missing).contains(
            "afo-deploy: error: nft is not installed\nafo-deploy: hint: install it: sudo apt-get install nftables"
        ));
    });
}

pub(super) fn program(dir: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).expect("directory");
    let file = bin.join(name);
    std::fs::write(&file, text).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode");
    bin.display().to_string()
}

#[test]
fn a_ban_holds_at_once_and_ends_by_hand_or_by_itself() {
    in_namespace(|host| {
        let site = Site::new(host);
        let banned = site.deploy(&[], &proposal("p1", BAN_PEER));
        assert!(banned.status.success(), "a block for a time needs no window: {}", words(&banned));
        assert!(!site.reached());
        let lifted = site.deploy(&["unblock", "203.0.113.2", "--mistake"], "");
        assert!(lifted.status.success(), "{}", words(&lifted));
        assert!(site.reached());
        let again = site.deploy(&["unblock", "203.0.113.2"], "");
        assert_eq!(again.status.code(), Some(1));
        assert!(words(&again).contains("afo-deploy: error: 203.0.113.2 is not blocked"));
        let short = BAN_PEER.replace("600", "1").replace("b1", "b2");
        assert!(site.deploy(&[], &proposal("p2", &short)).status.success());
        eventually("the kernel ends it by itself", || site.reached());
        assert!(site.deploy(&["expire"], "").status.success());
        site.is_settled();
    });
}

#[test]
fn a_ban_of_a_destination_is_one_of_its_own() {
    in_namespace(|host| {
        let site = Site::new(host);
        let out = r#"{"id":"b1","action":"drop","direction":"output","destination_address":["198.51.100.9"],"ttl_seconds":600}"#;
        assert!(site.deploy(&[], &proposal("p1", out)).status.success());
        assert!(host.sh("nft list set inet afo out4").contains("198.51.100.9"));
        let back = BAN_PEER.replace("203.0.113.2", "198.51.100.9").replace("b1", "b2");
        assert!(site.deploy(&[], &proposal("p2", &back)).status.success());
        host.nft("flush ruleset");
        assert!(site.deploy(&["recover"], "").status.success());
        for set in ["out4", "block4"] {
            assert!(host.sh(&format!("nft list set inet afo {set}")).contains("198.51.100.9"), "{set}");
        }
        assert!(site.deploy(&["unblock", "198.51.100.9"], "").status.success());
        for set in ["out4", "block4"] {
            assert!(!host.sh(&format!("nft list set inet afo {set}")).contains("198.51.100.9"), "{set}");
        }
        site.is_settled();
    });
}

#[test]
fn an_allowance_that_a_later_chain_drops_is_refused() {
    in_namespace(|host| {
        let site = Site::new(host);
        host.nft("table inet strict { chain input { type filter hook input priority 0; policy accept; tcp dport 8000 drop; }; }");
        let before = host.ruleset();
        let allow =
            r#"{"id":"r1","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["8000"]}"#;
        let out = site.deploy(&[WIDE], &proposal("p1", allow));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        assert!(words(&out).contains("ineffective") && words(&out).contains("inet strict input"), "{}", words(&out));
        assert_eq!(host.ruleset(), before);
    });
}

#[test]
fn a_sentence_lifts_a_block() {
    in_namespace(|host| {
        let site = Site::new(host);
        assert!(site.deploy(&[], &proposal("p1", BAN_PEER)).status.success());
        assert!(!site.reached());
        let unblock = feed(&mut site.afo("afo-gen", &["--json", "unblock 203.0.113.2"]), "");
        let lifted = site.deploy(&[], &String::from_utf8(unblock.stdout).expect("UTF-8"));
        assert!(lifted.status.success(), "{}", words(&lifted));
        assert!(site.reached());
        site.is_settled();
    });
}

#[test]
fn a_block_of_a_machine_stands_for_good_only_when_the_heartbeat_has_held() {
    in_namespace(|host| {
        let site = Site::new(host);
        let config = site.dir.path().join("afo.toml");
        let ban = BAN_PEER.replace("203.0.113.2", "198.51.100.9");
        let machine = |id: &str| {
            let origin = r#""origin":{"by":"daemon","assessment":"a1"},"ok":true"#;
            proposal(id, &ban.replace("b1", id)).replace(r#""ok":true"#, origin)
        };
        let with = |heartbeat: &str, input: &str| {
            let text = format!("[deploy]\nheartbeat = [{{ tcp = \"{heartbeat}\" }}]\n");
            std::fs::write(&config, text).expect("written");
            site.deploy(&["--autonomy", "auto", "--config", config.to_str().expect("UTF-8")], input)
        };
        let held = with("203.0.113.1:7777", &machine("p1"));
        assert_eq!(held.status.code(), Some(0), "{}", words(&held));
        assert!(host.sh("nft list set inet afo block4").contains("198.51.100.9 timeout 9m"), "its full time");
        assert!(site.deploy(&["unblock", "198.51.100.9"], "").status.success());
        let failed = with("203.0.113.1:1", &machine("p2"));
        assert_eq!(failed.status.code(), Some(4), "{}", words(&failed));
        assert!(!host.sh("nft list set inet afo block4").contains("198.51.100.9"));
        assert!(words(&failed).contains("the heartbeat failed after deployment"), "{}", words(&failed));
        let paused = with("203.0.113.1:7777", &machine("p3"));
        assert_eq!(paused.status.code(), Some(1), "{}", words(&paused));
        assert_eq!(site.statuses(), ["confirmed", "rolled_back"]);
        site.is_settled();
    });
}

#[test]
fn a_lapsed_window_of_a_lost_state_stands_in_nobodys_way() {
    in_namespace(|host| {
        let site = Site::new(host);
        let mut running = site.start(&["--confirm=1"], &proposal("p1", DROP_7777));
        running.signal("KILL");
        running.exit();
        for file in ["state.db", "state.db-wal", "state.db-shm"] {
            let gone = std::fs::remove_file(site.dir.path().join(file));
            assert!(gone.is_ok() || file != "state.db");
        }
        eventually("the kernel goes back", || site.reached());
        let next = site.start(&["--confirm=30"], &proposal("p2", &DROP_7777.replace("r1", "r2")));
        assert!(!site.reached());
        assert!(site.deploy(&["confirm"], "").status.success());
        assert_eq!(next.exit(), Some(0));
        site.is_settled();
    });
}

#[test]
fn a_full_or_read_only_state_leaves_the_firewall_as_it_was() {
    in_namespace(|host| {
        let site = Site::new(host);
        let place = site.dir.path().join("small");
        std::fs::create_dir(&place).expect("directory");
        let shown = place.display();
        host.sh(&format!("mount -t tmpfs -o size=2m tmpfs {shown}"));
        let state = place.join("state.db");
        let run =
            |arguments: &[&str], input: &str| feed(site.afo("afo-deploy", arguments).env("AFO_STATE", &state), input);
        assert!(run(&[], &proposal("p0", &BAN_PEER.replace("203.0.113.2", "198.51.100.9"))).status.success());
        let before = host.ruleset();
        host.sh(&format!("dd if=/dev/zero of={shown}/fill bs=4k 2>/dev/null || true"));
        for (id, rule) in [("p1", DROP_7777), ("p2", BAN_PEER)] {
            let out = run(&["--confirm=2"], &proposal(id, rule));
            assert_eq!(out.status.code(), Some(3), "{}", words(&out));
            assert!(words(&out).contains("no space is left on its file system"), "{}", words(&out));
        }
        host.sh(&format!("rm {shown}/fill; mount -o remount,ro {shown}"));
        let out = run(&["--confirm=2"], &proposal("p3", DROP_7777));
        assert_eq!(out.status.code(), Some(3), "{}", words(&out));
        assert_eq!(host.ruleset(), before);
        host.sh(&format!("umount {shown}"));
    });
}

#[test]
fn bans_go_on_while_a_window_is_open_and_a_second_window_waits() {
    in_namespace(|host| {
        let site = Site::new(host);
        let running = site.start(&[WIDE], &proposal("p1", &DROP_7777.replace("7777", "7000")));
        let second = site.deploy(&[WIDE], &proposal("p2", &DROP_7777.replace("r1", "r2")));
        assert_eq!(second.status.code(), Some(3), "{}", words(&second));
        assert!(words(&second).contains("another change is waiting for its confirmation"));
        assert!(site.deploy(&[], &proposal("p3", BAN_PEER)).status.success());
        assert!(!site.reached());
        assert_eq!(running.exit(), Some(4));
        assert!(!site.reached(), "the ban is no part of the window");
        site.is_settled();
    });
}

#[test]
fn a_bad_record_changes_nothing_of_its_batch() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = host.ruleset();
        for (second, exit) in [
            ("{\"kind\":\"proposal\",\"id\":7}\n", 2),
            ("half a li", 2),
            ("{\"kind\":\"proposal\",\"v\":9,\"id\":\"p2\"}\n", 2),
            (
                "{\"kind\":\"proposal\",\"id\":\"p2\",\"ts\":\"2026-01-02T03:04:05Z\",\"ok\":false,\"error\":{\"code\":\"c\",\"message\":\"no such host\"}}\n",
                1,
            ),
        ] {
            let out = site.deploy(&[WIDE], &(proposal("p1", DROP_7777) + second));
            assert_eq!(out.status.code(), Some(exit), "{second}: {}", words(&out));
            assert!(words(&out).contains("afo-deploy: hint: nothing was changed"), "{}", words(&out));
            assert_eq!(host.ruleset(), before, "{second}");
        }
        let upstream = "{\"kind\":\"error\",\"v\":1,\"stage\":\"afo-gen\",\"message\":\"m\"}\n";
        let out = site.deploy(&[], &(upstream.to_owned() + &proposal("p3", BAN_PEER)));
        assert!(out.status.success(), "an upstream error is no bad record: {}", words(&out));
        assert!(words(&out).starts_with(upstream));
    });
}

#[test]
fn what_would_cut_off_the_administrator_is_refused() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = host.ruleset();
        let session = "203.0.113.2 50000 203.0.113.1 22";
        let attempts: [String; 8] = [
            DROP_7777.replace("7777", "22"),
            r#"{"id":"r1","action":"drop","direction":"input","source_address":["203.0.113.0/24"]}"#.into(),
            r#"{"id":"r1","action":"reject","direction":"output","destination_address":["203.0.113.2"]}"#.into(),
            r#"{"id":"r1","action":"drop","direction":"input","interface_in":["lo"]}"#.into(),
            BAN_PEER.to_owned(),
            BAN_PEER.replace("203.0.113.2", "203.0.113.1"),
            BAN_PEER.replace("203.0.113.2", "127.0.0.1"),
            BAN_PEER.replace("203.0.113.2", "0.0.0.0/0"),
        ];
        for (number, rules) in attempts.iter().enumerate() {
            let mut command = site.afo("afo-deploy", &[WIDE]);
            let out = feed(command.env("SSH_CONNECTION", session), &proposal(&format!("p{number}"), rules));
            assert_eq!(out.status.code(), Some(1), "{rules}: {}", words(&out));
            assert!(words(&out).contains("afo-deploy: error: refused: "), "{}", words(&out));
            assert_eq!(host.ruleset(), before, "{rules}");
        }
    });
}

#[test]
fn what_somebody_flushed_is_put_back_and_a_flushed_window_is_never_confirmed() {
    in_namespace(|host| {
        let site = Site::new(host);
        let running = site.start(&["--confirm=60"], &proposal("p1", DROP_7777));
        assert!(site.deploy(&["confirm"], "").status.success());
        assert_eq!(running.exit(), Some(0));
        assert!(site.deploy(&[], &proposal("p2", &BAN_PEER.replace("203.0.113.2", "198.51.100.9"))).status.success());
        let open =
            site.start(&["--confirm=60"], &proposal("p3", &DROP_7777.replace("r1", "r3").replace("7777", "7000")));
        host.nft("flush ruleset");
        assert!(site.reached());
        let late = site.deploy(&["confirm"], "");
        assert_eq!(late.status.code(), Some(4), "{}", words(&late));
        assert_eq!(open.exit(), Some(4));
        let recovered = site.deploy(&["recover"], "");
        assert!(recovered.status.success(), "{}", words(&recovered));
        assert!(!site.reached(), "what was confirmed holds again");
        assert!(host.sh("nft list set inet afo block4").contains("198.51.100.9"));
        assert!(!host.sh("nft list table inet afo").contains("7000"));
        site.is_settled();
    });
}

#[test]
fn the_panic_button_says_when_the_state_would_put_everything_back() {
    in_namespace(|host| {
        let site = Site::new(host);
        let running = site.start(&[WIDE], &proposal("p1", DROP_7777));
        assert!(site.deploy(&["confirm"], "").status.success());
        assert_eq!(running.exit(), Some(0));
        let held = rusqlite::Connection::open(site.state()).expect("the state");
        held.execute_batch("BEGIN IMMEDIATE").expect("held");
        let out = site.deploy(&["flush-afo"], "");
        assert_eq!(out.status.code(), Some(5), "{}", words(&out));
        assert!(
            words(&out).contains("nothing of AFO is left in the kernel; the state could not be told"),
            "{}",
            words(&out)
        );
        assert!(site.reached());
        held.execute_batch("ROLLBACK").expect("let go");
        let out = site.deploy(&["flush-afo"], "");
        assert!(out.status.success(), "{}", words(&out));
        assert!(site.deploy(&["recover"], "").status.success());
        assert!(site.reached());
    });
}

#[test]
fn an_accept_that_is_true_of_one_address_family_alone_is_refused() {
    in_namespace(|host| {
        let site = Site::new(host);
        host.nft(
            "table ip strict { chain input { type filter hook input priority 10; policy drop; iif lo accept; tcp dport { 7777, 9999 } accept; }; }",
        );
        let accept = |fields: &str| {
            proposal(
                "p1",
                &format!(
                    r#"{{"id":"r1","action":"accept","direction":"input",{fields}"protocol":["tcp"],"destination_port":["8000"]}}"#
                ),
            )
        };
        let out = site.deploy(&["-n", "--confirm=30"], &accept(""));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        let said = "ineffective: `ip strict input` drops what it accepts of one address family; give the rule the family that is meant, or let AFO open that chain with --placement foreign";
        assert!(words(&out).contains(said), "{}", words(&out));
        let out = site.deploy(&["-n", "--confirm=30"], &accept(r#""family":"ipv6","#));
        assert!(out.status.success(), "{}", words(&out));
        let out = site.deploy(&["-n", "--confirm=30", "--placement", "foreign"], &accept(""));
        assert!(out.status.success(), "{}", words(&out));
    });
}

#[test]
fn common_flags_stand_before_a_task_and_those_of_proposals_do_not() {
    in_namespace(|host| {
        let site = Site::new(host);
        let config = site.dir.path().join("afo.toml");
        std::fs::write(&config, "").expect("written");
        let out = site.deploy(&["--config", config.to_str().expect("UTF-8"), "status"], "");
        assert!(out.status.success(), "{}", words(&out));
        let out = site.deploy(&["--confirm=30", "status"], "");
        assert_eq!(out.status.code(), Some(2));
        let said = "afo-deploy: error: --confirm is for proposals that are read, and stands beside no other task\nafo-deploy: hint: leave it out; see --help";
        assert!(words(&out).contains(said), "{}", words(&out));
    });
}

#[test]
fn without_permission_or_a_state_nothing_is_changed() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = host.ruleset();
        let none = feed(
            site.afo("afo-deploy", &["--state", "none", WIDE]).env_remove("AFO_STATE"),
            &proposal("p1", DROP_7777),
        );
        assert_eq!(none.status.code(), Some(2));
        assert!(words(&none).contains("a change of the firewall needs a state that survives it"));
        let dry = site.deploy(&["-n", "--state", "none", WIDE], &proposal("p1", DROP_7777));
        assert!(dry.status.success() && words(&dry).contains("tcp dport 7777"), "{}", words(&dry));
        std::fs::write(site.dir.path().join("file"), "").expect("written");
        let nowhere = site.deploy(
            &["--state", site.dir.path().join("file/state.db").to_str().expect("UTF-8"), WIDE],
            &proposal("p1", DROP_7777),
        );
        assert_eq!(nowhere.status.code(), Some(3), "{}", words(&nowhere));
        assert_eq!(host.ruleset(), before);
    });
}

#[test]
fn what_is_often_mistyped_is_told_with_the_next_step() {
    in_namespace(|host| {
        let site = Site::new(host);
        for (arguments, input, said) in [
            (&["--confirm", "5"][..], "", "afo-deploy: hint: a value stands right behind its option: --option=5"),
            (&["--confirm=soon"], "", "a number of seconds from 1 to 31536000 (a year) is allowed"),
            (&["--confirm=0"], "", "a number of seconds from 1 to 31536000 (a year) is allowed"),
            (&["--confirm=5"], "block ssh\n", "a sentence goes through afo-gen first: … | afo-gen | afo-deploy"),
        ] {
            let out = site.deploy(arguments, input);
            assert_eq!(out.status.code(), Some(2), "{}", words(&out));
            assert!(words(&out).contains(said), "{}", words(&out));
        }
    });
}
