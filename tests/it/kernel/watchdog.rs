//! What sees a window to its end when its command cannot, and what puts AFO's rules back when another program removes them.

use super::deploy::{BAN_PEER, DROP_7777, OWN, Running, Site, WIDE, feed, proposal, server, words};
use super::{Host, eventually, in_namespace};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the kernel holds, without what changes by itself: handles, counters, what is left of a time.
pub(super) fn canonical(host: &Host) -> Vec<String> {
    fn bare(value: &mut Value) {
        match value {
            Value::Object(map) => {
                ["handle", "metainfo", "index", "expires", "counter"].iter().for_each(|key| drop(map.remove(*key)));
                map.values_mut().for_each(bare);
            }
            Value::Array(list) => list.iter_mut().for_each(bare),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(&host.sh("nft -j list ruleset")).expect("JSON");
    bare(&mut value);
    value["nftables"].as_array().expect("a list").iter().map(Value::to_string).collect()
}

/// The watchdogs of a state.
pub(super) fn watchdogs(site: &Site) -> Vec<u32> {
    let state = site.state().display().to_string();
    let of = |pid: &u32| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("\0guard\0") && words.contains(&state)
    };
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of).collect()
}

pub(super) fn kill(pid: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A row of the state's settings, changed as no command would.
fn set(site: &Site, key: &str, value: &str) {
    let db = rusqlite::Connection::open(site.state()).expect("the state");
    let changed = db.execute("UPDATE settings SET value = ? WHERE key = ?", [value, key]).expect("changed");
    assert_eq!(changed, 1, "{key}");
}

fn setting(site: &Site, key: &str) -> String {
    let db = rusqlite::Connection::open(site.state()).expect("the state");
    db.query_row("SELECT value FROM settings WHERE key = ?", [key], |row| row.get(0)).expect(key)
}

fn rolled_back(site: &Site) -> bool {
    site.statuses().last().map(String::as_str) == Some("rolled_back")
}

fn confirmed(site: &Site, id: &str, rules: &str) {
    let running = site.start(&["--confirm=60"], &proposal(id, rules));
    let done = site.deploy(&["confirm"], "");
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(running.exit(), Some(0));
}

#[test]
fn a_killed_command_is_taken_back_and_journalled_by_its_watchdog() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = canonical(host);
        let mut running = site.start(&[WIDE], &proposal("p1", DROP_7777));
        assert_eq!(watchdogs(&site).len(), 1);
        running.signal("KILL");
        running.exit();
        eventually("the watchdog journals it", || rolled_back(&site));
        assert_eq!(canonical(host), before, "exactly what was there");
        eventually("the watchdog ends", || watchdogs(&site).is_empty());
        site.is_settled();
    });
}

#[test]
fn a_watchdog_has_a_session_of_its_own_and_no_signal_of_the_terminal_reaches_it() {
    in_namespace(|host| {
        let site = Site::new(host);
        let input = site.dir.path().join("input");
        std::fs::write(&input, proposal("p1", DROP_7777)).expect("written");
        let program = site.afo("afo-deploy", &[]).get_program().to_str().expect("UTF-8").to_owned();
        let line = format!("{program} {WIDE} --state {} <{}", site.state().display(), input.display());
        let mut terminal = Command::new("script")
            .args(["-qfec", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("script (bsdutils)");
        eventually("it holds", || !site.reached());
        terminal.kill().expect("the terminal is gone");
        terminal.wait().expect("ended");
        eventually("taken back", || rolled_back(&site));
        assert!(site.reached());
        eventually("nothing is left", || watchdogs(&site).is_empty());
        site.is_settled();
    });
}

#[test]
fn an_answer_at_the_terminal_counts_from_its_question_on() {
    in_namespace(|host| {
        let site = Site::new(host);
        let input = site.dir.path().join("input");
        std::fs::write(&input, proposal("p1", DROP_7777)).expect("written");
        let program = site.afo("afo-deploy", &[]).get_program().to_str().expect("UTF-8").to_owned();
        let at_terminal = |seconds: u32| {
            let state = site.state().display().to_string();
            // What is typed first stands in the queue of the terminal before the command begins.
            let line = format!("sleep 1; {program} --confirm={seconds} --state {state} <{}", input.display());
            let mut terminal = Command::new("script");
            let terminal = terminal.args(["-qfec", &line, "/dev/null"]).stdin(Stdio::piped()).stderr(Stdio::null());
            let mut terminal = terminal.stdout(Stdio::piped()).spawn().expect("script (bsdutils)");
            terminal.stdin.as_ref().expect("piped").write_all(b"y\n").expect("typed");
            let (mut shown, mut next) = (String::new(), [0]);
            while !shown.contains("keep deployment") {
                terminal.stdout.as_mut().expect("piped").read_exact(&mut next).expect("a question");
                shown.push(char::from(next[0]));
            }
            assert!(!site.reached());
            terminal
        };
        let mut ahead = at_terminal(super::WINDOW);
        assert_eq!(ahead.wait().expect("ended").code(), Some(4));
        assert_eq!(site.statuses(), ["rolled_back"]);
        assert!(site.reached());
        let mut asked = at_terminal(60);
        asked.stdin.as_ref().expect("piped").write_all(b"y\n").expect("typed");
        assert_eq!(asked.wait().expect("ended").code(), Some(0));
        assert_eq!(site.statuses(), ["rolled_back", "confirmed"]);
    });
}

#[test]
fn a_window_ends_in_time_when_the_machine_slept() {
    in_namespace(|host| {
        let site = Site::new(host);
        let mut running = site.start(&["--confirm=600"], &proposal("p1", DROP_7777));
        running.signal("KILL");
        running.exit();
        assert!(!site.reached());
        // The kernel's switch has ten minutes left, as after a sleep; the clock that goes on while the machine sleeps says that they are over.
        let window = setting(&site, "window");
        let words: Vec<&str> = window.split(' ').collect();
        set(&site, "window", &format!("{} {} 1", words[0], words[1]));
        eventually("taken back", || rolled_back(&site));
        assert!(site.reached());
        site.is_settled();
    });
}

#[test]
fn a_clock_that_jumps_ends_no_window() {
    in_namespace(|host| {
        let site = Site::new(host);
        let running = site.start(&["--confirm=60"], &proposal("p1", DROP_7777));
        let day = 86_400_000_000_i64;
        for jump in [-2 * day, 2 * day] {
            let db = rusqlite::Connection::open(site.state()).expect("the state");
            db.execute("UPDATE deployments SET confirm_by = confirm_by + ?", [jump]).expect("changed");
            let recovered = site.deploy(&["recover"], "");
            assert!(recovered.status.success(), "{}", words(&recovered));
            assert_eq!(site.statuses(), ["applied"]);
        }
        assert!(site.deploy(&["confirm"], "").status.success());
        assert_eq!(running.exit(), Some(0));
    });
}

#[test]
fn what_is_flushed_inside_a_window_is_put_back_at_once_and_told() {
    in_namespace(|host| {
        let site = Site::new(host);
        confirmed(&site, "p1", DROP_7777);
        let mut open =
            site.start(&["--confirm=60"], &proposal("p2", &DROP_7777.replace("r1", "r2").replace("7777", "7000")));
        host.nft("flush ruleset");
        let told = open.rest();
        assert_eq!(open.exit(), Some(4));
        assert!(told.contains(r#""kind":"alert""#) && told.contains("another program removed AFO's rules"), "{told}");
        eventually("what was confirmed holds again", || !site.reached());
        let table = host.sh("nft list table inet afo");
        assert!(!table.contains("7000") && table.contains("7777"), "{table}");
        site.is_settled();
    });
}

/// The service that watches for good, and what it says.
fn service(site: &Site) -> (Running, std::sync::mpsc::Receiver<String>) {
    let mut child =
        site.afo("afo-deploy", &["guard"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("guard");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut ready = String::new();
    lines.read_line(&mut ready).expect("a line");
    assert_eq!(ready, "ready\n");
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (Running::of(child), receiver)
}

#[test]
fn the_service_puts_back_what_another_program_removes() {
    in_namespace(|host| {
        let site = Site::new(host);
        confirmed(&site, "p1", DROP_7777);
        assert!(site.deploy(&[], &proposal("p2", &BAN_PEER.replace("203.0.113.2", "198.51.100.9"))).status.success());
        let (mut running, told) = service(&site);
        // The other program's table, chain and rule: nobody puts those back.
        let (whole, others) = (canonical(host).len(), 3);
        for removal in ["flush ruleset", "delete table inet afo", "flush table inet afo", "flush chain inet afo blocks"]
        {
            host.nft(removal);
            let alert = told.recv_timeout(super::PATIENCE).expect(removal);
            assert!(
                alert.contains("another program removed AFO's rules from the kernel; they are put back"),
                "{alert}"
            );
            eventually(removal, || !site.reached());
            eventually("all of it", || canonical(host).len() >= whole - others);
            assert!(host.sh("nft list set inet afo block4").contains("198.51.100.9"), "{removal}");
            let blocks = host.sh("nft list chain inet afo blocks");
            assert!(blocks.contains("@never4") && blocks.contains("@block4 "), "{removal}: {blocks}");
        }
        running.signal("TERM");
        assert_eq!(running.exit(), Some(0));
        site.is_settled();
    });
}

#[test]
fn what_is_confirmed_comes_back_at_boot_before_the_state_is_there() {
    in_namespace(|host| {
        let site = Site::new(host);
        let file = site.dir.path().join("state.boot.nft");
        let lapsed = site.deploy(&["--confirm=1"], &proposal("p0", DROP_7777));
        assert_eq!(lapsed.status.code(), Some(4));
        assert!(!file.exists(), "nothing is confirmed");
        confirmed(&site, "p1", DROP_7777);
        assert!(site.deploy(&[], &proposal("p2", &BAN_PEER.replace("203.0.113.2", "198.51.100.9"))).status.success());
        let text = std::fs::read_to_string(&file).expect("written at confirmation");
        assert!(text.contains("dport 7777") && !text.contains("198.51.100.9"), "{text}");
        host.nft("flush ruleset");
        host.sh(&format!("nft -f {0}; nft -f {0}", file.display()));
        assert!(!site.reached(), "it holds without the state, loaded twice or once");
        assert!(site.deploy(&["recover"], "").status.success());
        assert!(host.sh("nft list set inet afo block4").contains("198.51.100.9"));
        let text = std::fs::read_to_string(&file).expect("as recovery wrote it");
        std::fs::write(&file, "").expect("spoilt");
        assert!(site.deploy(&["recover"], "").status.success());
        assert_eq!(std::fs::read_to_string(&file).expect("written again"), text);
        assert!(site.deploy(&["flush-afo"], "").status.success());
        assert!(!file.exists(), "nothing is to come back");
    });
}

/// What is over by the time at which the machine is up again is not open until recovery; and what stands beside it loses nothing by it.
#[test]
fn an_allow_for_a_time_is_closed_at_boot_until_what_is_left_of_its_time_is_known() {
    in_namespace(|host| {
        let site = Site::new(host);
        let allow = DROP_7777.replace("drop", "accept").replace("\"id\"", "\"ttl_seconds\":600,\"id\"");
        let beside = DROP_7777.replace("r1", "r2").replace("\"id\"", "\"position\":\"after:r1\",\"id\"");
        confirmed(&site, "p1", &format!("{allow},{beside}"));
        assert!(site.reached());
        let boots = || {
            host.nft("flush ruleset");
            host.sh(&format!("nft -f {}", site.dir.path().join("state.boot.nft").display()));
        };
        boots();
        assert!(!site.reached(), "nobody knows what is left of its time");
        assert!(words(&site.deploy(&["status"], "")).contains("\"table\":false"));
        assert!(site.deploy(&["recover"], "").status.success() && site.reached(), "{}", host.ruleset());
        boots();
        let over = afo::record::Timestamp::UNIX_EPOCH.as_microsecond();
        let db = rusqlite::Connection::open(site.state()).expect("the state");
        let changed = db.execute("UPDATE policy SET expires = ? WHERE expires IS NOT NULL", [over]).expect("a policy");
        drop(db);
        assert_eq!(changed, 1);
        for task in ["recover", "expire", "recover"] {
            let done = site.deploy(&[task], "");
            assert!(done.status.success() && !site.reached(), "{task}: {}", words(&done));
        }
        assert!(!words(&site.deploy(&["list"], "")).contains("\"r1\""), "its time is over");
    });
}

/// A server that says back what it hears.
pub(super) fn echo(port: u16) {
    let listener = TcpListener::bind(SocketAddr::from((OWN, port))).expect("bound");
    let serve = |mut stream: TcpStream| {
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
    };
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| drop(std::thread::spawn(move || serve(stream))));
    });
}

pub(super) fn answers(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_connection_that_only_the_window_let_in_does_not_outlive_it() {
    in_namespace(|host| {
        let site = Site::new(host);
        echo(7000);
        host.nft("add rule inet host input ct state established accept");
        let closed = r#"{"id":"r1","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["7000"],"connection_state":["new"]}"#;
        let address = SocketAddr::from((OWN, 7000));
        let connect = move || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
        let mut old = site.peer.inside(connect).expect("open before");
        assert!(answers(&mut old));
        confirmed(&site, "p1", closed);
        assert!(answers(&mut old), "what was there is left alone");
        let open = r#"{"kind":"proposal","v":1,"id":"p2","ts":"2026-01-02T03:04:05Z","ok":true,"changes":[{"op":"remove","target":"r1"}],"explanation":"a test"}"#;
        let running = site.start(&[WIDE], &format!("{open}\n"));
        let mut inside = site.peer.inside(connect).expect("open inside the window");
        assert!(answers(&mut inside));
        assert_eq!(running.exit(), Some(4));
        assert!(!answers(&mut inside), "it ended with the window");
        assert!(answers(&mut old), "what was there before is left alone");
        assert!(site.peer.inside(connect).is_none());
    });
}

#[test]
fn a_reset_is_held_back_until_the_change_is_confirmed() {
    in_namespace(|host| {
        let site = Site::new(host);
        let reset = r#"{"id":"r1","action":"reject","reject_with":"tcp-reset","direction":"input","protocol":["tcp"],"destination_port":["7777"]}"#;
        let running = site.start(&["--confirm=60"], &proposal("p1", reset));
        let inside = host.sh("nft list chain inet afo g1_input");
        assert!(!inside.contains("reset") && inside.contains("drop"), "{inside}");
        assert!(site.deploy(&["confirm"], "").status.success());
        assert_eq!(running.exit(), Some(0));
        assert!(host.sh("nft list chain inet afo g1_input").contains("reject with tcp reset"));
    });
}

#[test]
fn a_change_without_a_watchdog_is_not_made() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = canonical(host);
        let mut alone = site.afo("afo-deploy", &["--confirm=2"]);
        let copy = site.dir.path().join("afo-deploy");
        // The program is taken away while it runs: it cannot start itself again.
        std::fs::copy(alone.get_program(), &copy).expect("copied");
        let mut command = Command::new(&copy);
        command
            .args(["--confirm=2", "--state"])
            .arg(site.state())
            .env("PATH", format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", slow(&site, &copy)));
        let out = feed(&mut command, &proposal("p1", DROP_7777));
        assert_eq!(out.status.code(), Some(3), "{}", words(&out));
        assert!(words(&out).contains("the watchdog of the change cannot be started"), "{}", words(&out));
        assert_eq!(canonical(host), before);
        assert_eq!(site.statuses(), ["failed"]);
        assert!(feed(&mut alone, "").status.success());
        assert_eq!(server().port(), 7777);
    });
}

/// An nft that takes the program away that calls it.
fn slow(site: &Site, program: &std::path::Path) -> String {
    let real = site.host.sh("command -v nft").trim().to_owned();
    let text = format!("#!/bin/bash\nrm -f {}\nexec {real} \"$@\"\n", program.display());
    super::deploy::program(site.dir.path(), "nft", &text)
}

#[test]
fn what_another_program_does_between_proof_and_kernel_is_seen() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = canonical(host);
        let real = host.sh("command -v nft").trim().to_owned();
        let strict = "table inet strict { chain input { type filter hook input priority 0; policy accept; tcp dport 8000 drop; }; }";
        let text = format!(
            "#!/bin/bash\n[ \"$1\" = -f ] && ! {real} list table inet strict >/dev/null 2>&1 && echo '{strict}' | {real} -f -\nexec {real} \"$@\"\n"
        );
        let bin = super::deploy::program(site.dir.path(), "nft", &text);
        let path = format!("{bin}:{}", std::env::var("PATH").expect("PATH"));
        let allow =
            r#"{"id":"r1","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["8000"]}"#;
        let mut command = site.afo("afo-deploy", &["--confirm=60"]);
        let out = feed(command.env("PATH", path), &proposal("p1", allow));
        assert_eq!(out.status.code(), Some(4), "{}", words(&out));
        assert!(words(&out).contains("ineffective") && words(&out).contains("inet strict input"), "{}", words(&out));
        host.nft("delete table inet strict");
        assert_eq!(canonical(host), before);
        site.is_settled();
    });
}

#[test]
fn an_nft_that_hangs_keeps_others_away_until_it_has_ended() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = canonical(host);
        let real = host.sh("command -v nft").trim().to_owned();
        let place = site.dir.path().join("hanging");
        let text = format!(
            "#!/bin/bash\n[ \"$1\" = -f ] && {{ echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600; }}\nexec {real} \"$@\"\n",
            place.display()
        );
        let bin = super::deploy::program(site.dir.path(), "nft", &text);
        let path = format!("{bin}:{}", std::env::var("PATH").expect("PATH"));
        let mut command = site.afo("afo-deploy", &["--confirm=60"]);
        let mut child = command
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("afo-deploy");
        child.stdin.take().expect("piped").write_all(proposal("p1", DROP_7777).as_bytes()).expect("written");
        eventually("nft hangs", || place.exists());
        child.kill().and_then(|()| child.wait()).expect("killed");
        // What it was told may still come true: nobody judges before it has ended.
        let lock = site.dir.path().join("state.lock").display().to_string();
        let free = || Command::new("flock").args(["-n", &lock, "true"]).status().expect("flock").success();
        assert!(!free());
        assert_eq!(site.statuses(), ["pending"]);
        kill(std::fs::read_to_string(&place).expect("its pid").trim().parse().expect("a pid"));
        eventually("the watchdog settles it", || site.statuses() == ["failed"]);
        assert_eq!(canonical(host), before);
        site.is_settled();
    });
}

#[test]
fn a_window_whose_journal_and_process_are_gone_is_taken_back() {
    in_namespace(|host| {
        let site = Site::new(host);
        let real = host.sh("command -v nft").trim().to_owned();
        let place = site.state().parent().expect("a folder").to_owned();
        let text = format!(
            "#!/bin/bash\n{real} \"$@\"; code=$?\n[ \"$1\" = -f ] && rm -rf {} && kill -KILL $PPID\nexit $code\n",
            place.display()
        );
        let bin = super::deploy::program(site.dir.path(), "nft", &text);
        let path = format!("{bin}:{}", std::env::var("PATH").expect("PATH"));
        let out = feed(site.afo("afo-deploy", &[WIDE]).env("PATH", path), &proposal("p1", DROP_7777));
        assert_eq!(out.status.code(), None, "it was killed: {}", words(&out));
        eventually("its watchdog ends", || watchdogs(&site).is_empty());
        let left = host.sh("nft list ruleset");
        assert!(!left.contains("7777") && !left.contains("armed"), "{left}");
    });
}
