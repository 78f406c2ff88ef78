//! Logs to assessments through the built commands: who is named, what a restart loses or repeats, how it ends.

use crate::shell::{afo, run, sh};
use crate::tree::root;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a line may take before the test fails; nothing sleeps for it.
const PATIENCE: Duration = Duration::from_secs(30);

fn lines_of(script: &str) -> BTreeSet<String> {
    let ended = sh(&format!("{} {script}", root().join("scripts/sample-auth-log").display()), root(), b"");
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    ended.text().lines().map(str::to_owned).collect()
}

#[test]
fn the_sample_log_names_exactly_its_attackers() {
    let dir = tempfile::tempdir().expect("directory");
    let log = sh(&root().join("scripts/sample-auth-log").display().to_string(), dir.path(), b"");
    fs::write(dir.path().join("auth.log"), &log.out).expect("written");
    let line = "afo-watch --once --from start --state none --source auth:auth.log | afo-assess";
    let ended = sh(line, dir.path(), b"");
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    let auto = ended.of_kind("assessment").into_iter().filter(|a| a["auto_actionable"] == true);
    let named: BTreeSet<String> = auto.map(|a| a["subjects"][0].as_str().expect("subject").to_owned()).collect();
    assert_eq!(named, lines_of("--attackers"));
    assert!(log.text().lines().count() > 3000);
    assert_eq!(ended.text(), sh(line, dir.path(), b"").text(), "the same log gives the same bytes");
}

/// A running afo-watch and what it puts out.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

fn line(n: usize) -> String {
    format!("2026-01-02T03:04:05Z gate sshd[{n}]: Invalid user u{n} from 203.0.113.7 port 9\n")
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("open");
    file.write_all(text.as_bytes()).expect("written");
}

impl Watch {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut command: Command = afo("afo-watch", args);
        command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("started");
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    fn next(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("an event in time");
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        event["user"].as_str().expect("user").to_owned()
    }

    fn end(mut self, signal: rustix::process::Signal) -> (Option<i32>, Vec<String>) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("signalled");
        let code = self.child.wait().expect("ended").code();
        (code, self.lines.iter().collect())
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("directory");
    let log = dir.path().join("auth.log");
    (dir, log)
}

#[test]
fn a_log_is_followed_from_before_it_is_there_through_rotation() {
    let (dir, log) = place();
    let watch = Watch::start(dir.path(), &["--state", "none", "--from", "start", "--source", "auth:auth.log"]);
    append(&log, &line(1));
    assert_eq!(watch.next(), "u1");
    fs::rename(&log, dir.path().join("auth.log.1")).expect("renamed");
    append(&dir.path().join("auth.log.1"), &line(2));
    assert_eq!(watch.next(), "u2");
    append(&log, &line(3));
    assert_eq!(watch.next(), "u3");
    append(&dir.path().join("auth.log.1"), &line(4));
    assert_eq!(watch.next(), "u4");
    File::create(&log).expect("truncated");
    append(&log, &line(5));
    assert_eq!(watch.next(), "u5");
    assert_eq!(watch.end(rustix::process::Signal::TERM), (Some(0), vec![]));
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let (dir, log) = place();
    let args = ["--state", "state.db", "--source", "auth:auth.log"];
    append(&log, &line(0));
    let first = Watch::start(dir.path(), &["--state", "state.db", "--from", "start", "--source", "auth:auth.log"]);
    assert_eq!(first.next(), "u0");
    assert_eq!(first.end(rustix::process::Signal::TERM).0, Some(0));
    append(&log, &line(900));
    fs::rename(&log, dir.path().join("auth.log.1")).expect("renamed");
    append(&log, &line(901));
    let third = Watch::start(dir.path(), &args);
    let (a, b) = (third.next(), third.next());
    assert_eq!((a.as_str(), b.as_str()), ("u900", "u901"));
    assert_eq!(third.end(rustix::process::Signal::TERM), (Some(0), vec![]));
}

#[test]
fn killed_at_any_point_nothing_is_lost_and_what_comes_again_is_the_same() {
    let (dir, log) = place();
    append(&log, &line(0));
    let args = ["--state", "state.db", "--from", "cursor", "--source", "auth:auth.log"];
    let first = Watch::start(dir.path(), &["--state", "state.db", "--from", "start", "--source", "auth:auth.log"]);
    assert_eq!(first.next(), "u0");
    assert_eq!(first.end(rustix::process::Signal::TERM).0, Some(0));
    let (mut out, mut n) = (Vec::new(), 0);
    for round in 1..=6 {
        let watch = Watch::start(dir.path(), &args);
        for _ in 0..round * 37 {
            n += 1;
            append(&log, &line(n));
            if n % 50 == 0 {
                fs::rename(&log, dir.path().join(format!("auth.log.{n}"))).expect("renamed");
            }
        }
        // killed after so many lines as the round says, wherever it is then
        out.extend((0..round * 5).filter_map(|_| watch.lines.recv_timeout(PATIENCE).ok()));
        out.extend(watch.end(rustix::process::Signal::KILL).1);
    }
    append(&log, &line(9999));
    let last = Watch::start(dir.path(), &args);
    while !out.last().is_some_and(|line: &String| line.contains("\"u9999\"")) {
        out.push(last.lines.recv_timeout(PATIENCE).expect("the last line in time"));
    }
    assert_eq!(last.end(rustix::process::Signal::TERM), (Some(0), vec![]));
    let events: Vec<serde_json::Value> = out.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let text = |event: &serde_json::Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let users: BTreeSet<String> = events.iter().map(|event| text(event, "user")).collect();
    let lost: Vec<usize> = (1..=n).filter(|n| !users.contains(&format!("u{n}"))).collect();
    assert_eq!(lost, [0; 0], "lost");
    let ids: BTreeSet<(String, String)> = events.iter().map(|e| (text(e, "user"), text(e, "id"))).collect();
    assert_eq!(ids.len(), users.len(), "one line, one id");
}

#[test]
fn a_closed_pipe_ends_it_like_grep() {
    let (dir, log) = place();
    append(&log, &(0..20_000).map(line).collect::<String>());
    let ended = sh(
        "afo-watch --once --state none --source auth:auth.log | head -1 >/dev/null; echo ${PIPESTATUS[0]}",
        dir.path(),
        b"",
    );
    assert_eq!(ended.text().trim(), "141");
    let full = sh("afo-watch --once --state none --source auth:auth.log > /dev/full", dir.path(), b"");
    assert_eq!(full.code, Some(2), "{}", full.err);
}

#[test]
fn bytes_of_any_kind_are_escaped_or_replaced() {
    let input = b"2026-01-02T03:04:05Z g sshd[1]: Invalid user \x00\xff\x1b[31m\r\t\" from 203.0.113.7 port 9\r\n";
    let ended = run("afo-watch", &["--source", "-", "--as", "auth"], input);
    let events = ended.of_kind("event");
    assert_eq!(events.len(), 1, "{}", ended.err);
    assert_eq!(events[0]["source_ip"], "203.0.113.7");
    assert!(ended.out.iter().all(|b| *b >= 0x20 || *b == b'\n'), "{}", ended.text());
}

#[test]
fn several_sources_are_put_out_in_the_order_of_time() {
    let (dir, log) = place();
    let at = |second: u32, n| line(n).replace("03:04:05", &format!("03:04:{second:02}"));
    append(&log, &(at(1, 1) + &at(4, 4) + &at(6, 6)));
    append(&dir.path().join("b.log"), &(at(2, 2) + &at(3, 3) + &at(7, 7)));
    append(&dir.path().join("bad.txt"), "203.0.113.99\n");
    let args =
        "--once --state none --source auth:auth.log --source auth:b.log --source - --as auth --source feed:bad.txt";
    let ended = sh(&format!("afo-watch {args}"), dir.path(), (at(5, 5) + &at(8, 8)).as_bytes());
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    let said = |event: &serde_json::Value| event["user"].as_str().unwrap_or("the list").to_owned();
    let order: Vec<_> = ended.records().iter().map(said).collect();
    assert_eq!(
        order,
        ["the list", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"],
        "a list is worth something as a whole"
    );
}

#[test]
fn told_to_end_it_finishes_what_is_in_hand_and_not_the_file() {
    const LINES: usize = 20_000;
    let (dir, log) = place();
    append(&log, &line(0));
    let args = ["--once", "--from", "cursor", "--state", "state.db", "--source", "auth:auth.log"];
    let read = || {
        let mut child = afo("afo-watch", &args)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        (child, out.lines().map(|line| line.expect("a line")))
    };
    let users = |lines: &mut dyn Iterator<Item = String>| {
        let user = |line: String| serde_json::from_str::<serde_json::Value>(&line).expect(&line)["user"].to_string();
        lines.map(user).collect::<Vec<_>>()
    };
    let (mut child, mut lines) = read();
    assert_eq!(users(&mut lines), [""; 0], "the place in the log is kept");
    assert!(child.wait().expect("ended").success());
    append(&log, &(1..=LINES).map(line).collect::<String>());
    let (mut child, mut lines) = read();
    // nobody reads on until it is told, and a pipe holds only so much
    let first = lines.next().expect("an event");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let mut seen = users(&mut std::iter::once(first).chain(lines));
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert!(seen.len() < LINES / 2, "{} of {LINES}", seen.len());
    let (mut child, mut lines) = read();
    seen.extend(users(&mut lines));
    assert!(child.wait().expect("ended").success());
    assert_eq!(seen, (1..=LINES).map(|n| format!("\"u{n}\"")).collect::<Vec<_>>(), "the rest, once");
}
