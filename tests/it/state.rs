//! The state between processes and on disks that fail.

use crate::kernel::{eventually, in_namespace};
use crate::shell::{Ended, afo, run, sh};
use afo::record::{Id, Status, Timestamp};
use afo::state::{Access, Action, Actor, DeploymentRow, Head, NewBlock, Note, Outcome, State, StateError};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROLE: &str = "AFO_TEST_STATE_ROLE";
const FILE: &str = "AFO_TEST_STATE_FILE";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("time")
}

/// Waits long for the lock: SQLite gives it to anyone who waits, in no order.
fn open(path: &Path) -> State {
    State::open_patient(path, Access::Write, 60).unwrap_or_else(|e| panic!("{e}"))
}

/// This program again, as another process that works on the state: see [`other_process`].
fn start(role: &str, path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(["--exact", "state::other_process", "--nocapture", "--include-ignored"]);
    command.env(ROLE, role).env(FILE, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("this program")
}

/// Waits for a word of the other process.
fn hear(child: &mut Child, word: &str) {
    let out = child.stdout.as_mut().expect("piped");
    let found = BufReader::new(out).lines().any(|line| line.is_ok_and(|line| line.contains(word)));
    assert!(found, "the other process never said {word}");
}

fn append(state: &mut State, name: &str, n: i64) {
    let change = state.begin(at(n), &Actor::program(name)).unwrap_or_else(|e| panic!("{name} {n}: {e}"));
    let note = Note::new(Action::Config, format!("key{n}"), "said so").with("n", n);
    change.audit(&note).unwrap_or_else(|e| panic!("{name} {n}: {e}"));
    change.commit().unwrap_or_else(|e| panic!("{name} {n}: {e}"));
}

/// No test by itself: what [`start`] runs.
#[test]
fn other_process() {
    let Some(role) = std::env::var(ROLE).ok() else { return };
    let path = std::env::var_os(FILE).expect("the file");
    let mut state = open(Path::new(&path));
    match role.as_str() {
        "write" => (0..500).for_each(|n| append(&mut state, &role, n)),
        "write until killed" => {
            println!("begun");
            (0..i64::MAX).for_each(|n| append(&mut state, &role, n));
        }
        "hold" => {
            let change = state.begin(at(0), &Actor::program("hold")).expect("the lock");
            println!("held");
            let _ = std::io::stdin().read(&mut [0]);
            drop(change);
        }
        other => panic!("no such role: {other}"),
    }
}

#[test]
fn four_processes_append_and_no_entry_is_lost_or_torn() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let writers: Vec<Child> = (0..4).map(|_| start("write", &path)).collect();
    for writer in writers {
        let out = writer.wait_with_output().expect("ended");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    }
    let head = open(&path).verify(None).expect("readable").expect("whole");
    assert_eq!(head.count, 2000);
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_whole_trail() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut known = Head { count: 0, hash: "0".repeat(64) };
    for _ in 0..5 {
        let mut writer = start("write until killed", &path);
        hear(&mut writer, "begun");
        let mut state = open(&path);
        while state.head().expect("head").count < known.count + 20 {
            std::thread::yield_now();
        }
        writer.kill().and_then(|()| writer.wait()).expect("killed");
        append(&mut state, "after", 1);
        let earlier = (known.count > 0).then_some(&known);
        known = state.verify(earlier).expect("readable").expect("whole");
    }
}

#[test]
fn who_holds_the_lock_is_named_and_readers_do_not_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    drop(open(&path));
    let mut other = start("hold", &path);
    hear(&mut other, "held");
    let mut state = State::open_patient(&path, Access::Write, 1).expect("opened while another one writes");
    assert!(state.verify(None).expect("readable").is_ok());
    let error = state.begin(at(0), &Actor::program("second")).expect_err("locked");
    let holder = format!(" (pid {}) for more than 1 s", other.id());
    assert!(error.to_string().ends_with(&holder), "{error} does not name pid {}", other.id());
    drop(other.stdin.take());
    assert!(other.wait().expect("ended").success());
    append(&mut state, "second", 1);
}

#[test]
fn of_many_that_confirm_at_once_one_succeeds() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let id: Id = "d1".parse().expect("an id");
    let mut state = open(&path);
    let anna = Actor::user("anna", 1000);
    let change = state.begin(at(0), &anna).expect("begin");
    change.deployment(&DeploymentRow::new(id.clone(), "nftables", at(0), &anna)).expect("pending");
    change.transition(&id, Status::Pending, Status::Applied, &Outcome::default(), "armed").expect("applied");
    change.commit().expect("commit");
    let confirm = |n: i64| {
        let (path, id) = (path.clone(), id.clone());
        std::thread::spawn(move || {
            let mut state = open(&path);
            let change = state.begin(at(n), &Actor::user(format!("user {n}"), 1000))?;
            change.transition(&id, Status::Applied, Status::Confirmed, &Outcome::default(), "asked")?;
            change.commit()
        })
    };
    let all: Vec<_> = (1..=8).map(confirm).collect();
    let ended: Vec<_> = all.into_iter().map(|one| one.join().expect("no panic")).collect();
    assert_eq!(ended.iter().filter(|end| end.is_ok()).count(), 1, "{ended:?}");
    let late = StateError::Changed { id, expected: Status::Applied, found: Status::Confirmed };
    assert!(ended.iter().filter_map(|end| end.as_ref().err()).all(|error| *error == late), "{ended:?}");
    assert_eq!(state.verify(None).expect("readable").expect("whole").count, 3);
}

/// A state on a file system of its own of `size`.
fn on_small_disk(host: &crate::kernel::Host, size: &str) -> State {
    host.sh(&format!("mkdir -p /run/state && mount -t tmpfs -o size={size} tmpfs /run/state"));
    open(Path::new("/run/state/state.db"))
}

#[test]
fn a_full_disk_is_told_and_nothing_of_the_change_is_kept() {
    in_namespace(|host| {
        let mut state = on_small_disk(host, "2m");
        append(&mut state, "before", 1);
        let before = state.verify(None).expect("readable").expect("whole");
        host.sh("head -c 4m /dev/zero > /run/state/filler || true");
        let mut fill = |n: i64| {
            let change = state.begin(at(n), &Actor::program("fill"))?;
            let address = "203.0.113.9".parse().expect("address");
            change.block(&NewBlock::new(address, Some(at(n + 1)), "x".repeat(4000)))?;
            change.commit()
        };
        let error = (2..2000).find_map(|n| fill(n).err()).expect("the disk is full");
        assert_eq!(
            error.to_string(),
            "cannot write the state /run/state/state.db: no space is left on its file system"
        );
        assert_eq!(error.hint().expect("a hint"), "nothing was changed; free some space (df /run/state) and try again");
        let after = state.verify(Some(&before)).expect("still readable").expect("still whole");
        host.sh("rm /run/state/filler");
        append(&mut state, "after", 3);
        let end = state.verify(Some(&after)).expect("readable").expect("whole");
        assert_eq!(end.count, after.count + 1);
    });
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_told() {
    in_namespace(|host| {
        host.sh("mkdir -p /run/state && mount -t tmpfs -o size=64k tmpfs /run/state && head -c 1m /dev/zero > /run/state/filler || true");
        let error = State::open(Path::new("/run/state/state.db"), Access::Write).expect_err("full");
        assert_eq!(error, StateError::Full { path: "/run/state/state.db".into() });
    });
}

#[test]
fn a_file_system_that_is_read_only_is_told() {
    in_namespace(|host| {
        let mut state = on_small_disk(host, "4m");
        append(&mut state, "before", 1);
        drop(state);
        host.sh("mount -o remount,ro /run/state");
        let path = Path::new("/run/state/state.db");
        let error = State::open(path, Access::Write).expect_err("read-only");
        assert_eq!(
            error.to_string(),
            "cannot write the state /run/state/state.db: it was opened for reading, or its file system is read-only"
        );
        let state = State::open(path, Access::Read).unwrap_or_else(|e| panic!("it can be read: {e}"));
        assert_eq!(state.verify(None).expect("readable").expect("whole").count, 1);
    });
}

/// Lines of sshd, each of another connection.
fn guesses(first: u32, count: u32) -> String {
    let line = |n| format!("2026-03-01T08:00:00Z gate sshd[7]: Invalid user a from 203.0.113.9 port {n}\n");
    (first..first + count).map(line).collect()
}

/// afo-watch over auth.log, with the state at `state`.
fn watch(dir: &Path, state: &Path, arguments: &str) -> Ended {
    sh(&format!("afo-watch --state {} --source auth:auth.log {arguments}", state.display()), dir, b"")
}

fn stored(state: &Path) -> String {
    run("afo-log", &["events", "--state", &state.display().to_string()], b"").text()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_is_watched_is_stored_once_and_comes_back_byte_for_byte() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state.db");
    // More than one transaction holds.
    std::fs::write(dir.path().join("auth.log"), guesses(1, 20_000)).expect("written");
    let first = watch(dir.path(), &state, "--once");
    assert_eq!((first.code, first.text().lines().count()), (Some(0), 20_000), "{}", first.err);
    assert_eq!(sorted(&stored(&state)), sorted(&first.text()));
    let second = watch(dir.path(), &state, "--once");
    assert!(second.text() == first.text() && sorted(&stored(&state)).len() == 20_000);
    let piped = sh(&format!("afo-watch --state {} --source - --as auth < auth.log", state.display()), dir.path(), b"");
    assert_eq!((piped.code, sorted(&stored(&state)).len()), (Some(0), 40_000), "another source: {}", piped.err);
    let none = watch(dir.path(), Path::new("none"), "--once");
    assert_eq!((none.text(), none.code), (first.text(), Some(0)));
    assert!(!dir.path().join("none").exists());
}

/// Reading a log once does not move the place at which the daemon goes on.
#[test]
fn who_only_looks_moves_no_cursor() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state.db");
    std::fs::write(dir.path().join("auth.log"), guesses(1, 3)).expect("written");
    let asked = "--once --from cursor";
    assert_eq!(watch(dir.path(), &state, asked).text(), "", "it begins at the end");
    std::fs::write(dir.path().join("auth.log"), guesses(1, 5)).expect("written");
    assert_eq!(watch(dir.path(), &state, "--once").text().lines().count(), 5);
    assert_eq!(watch(dir.path(), &state, asked).text().lines().count(), 2, "the first of them begins here");
    assert_eq!(watch(dir.path(), &state, asked).text(), "");
    assert_eq!(stored(&state).lines().count(), 5);
}

/// A watch that follows, until what it put out holds `count` lines.
fn followed(dir: &Path, state: &Path, count: usize, name: &str) -> Child {
    let file = std::fs::File::create(dir.join(name)).expect("made");
    let mut command = afo("afo-watch", &["--from", "cursor", "--source", "auth:auth.log", "--state"]);
    let child = command.arg(state).current_dir(dir).stdin(Stdio::null()).stdout(file).spawn().expect("afo-watch");
    let there = || std::fs::read_to_string(dir.join(name)).expect("read").lines().count() >= count;
    eventually(&format!("{count} events"), there);
    child
}

#[test]
fn a_watch_that_is_killed_stores_nothing_twice_and_misses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state.db");
    std::fs::write(dir.path().join("auth.log"), "").expect("written");
    assert_eq!(watch(dir.path(), &state, "--once --from cursor").code, Some(0));
    let mut seen = BTreeSet::new();
    for round in 1..=3 {
        std::fs::write(dir.path().join("auth.log"), guesses(1, round * 10_000)).expect("written");
        let mut child = followed(dir.path(), &state, 1, "out");
        child.kill().and_then(|()| child.wait()).expect("killed");
        let out = std::fs::read_to_string(dir.path().join("out")).expect("read");
        seen.extend(out.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(port));
        let stored: Vec<String> = stored(&state).lines().map(port).collect();
        let once: BTreeSet<String> = stored.iter().cloned().collect();
        assert_eq!(once.len(), stored.len(), "round {round}: nothing twice");
        assert!(once.is_subset(&seen), "round {round}: what is stored was put out");
    }
    let rest = watch(dir.path(), &state, "--once --from cursor");
    seen.extend(rest.text().lines().map(port));
    assert_eq!((rest.code, seen.len(), stored(&state).lines().count()), (Some(0), 30_000, 30_000), "{}", rest.err);
}

/// What tells an event of [`guesses`] from another one: the time at which it was read differs.
fn port(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).expect(line);
    event["source_port"].to_string()
}

#[test]
fn events_come_out_where_they_cannot_be_stored() {
    in_namespace(|host| {
        drop(on_small_disk(host, "2m"));
        let dir = tempfile::tempdir().expect("a directory");
        let state = Path::new("/run/state/state.db");
        std::fs::write(dir.path().join("auth.log"), guesses(1, 20_000)).expect("written");
        let full = "afo-watch: error: cannot write the state /run/state/state.db: no space is left on its file system\n\
                    afo-watch: hint: nothing was changed; free some space (df /run/state) and try again\n";
        let ended = watch(dir.path(), state, "--once");
        assert_eq!((ended.err.as_str(), ended.code, ended.text().lines().count()), (full, Some(3), 20_000));
        let before = stored(state).lines().count();
        // who follows ends, and begins again where it was
        host.sh("head -c 4m /dev/zero > /run/state/filler || true");
        let ended = watch(dir.path(), state, "--from start");
        assert_eq!((ended.err.as_str(), ended.code, ended.text().lines().count()), (full, Some(3), 20_000));
        assert_eq!(stored(state).lines().count(), before);
        host.sh("rm /run/state/filler && mount -o remount,ro /run/state");
        let ended = watch(dir.path(), state, "--once");
        assert_eq!((ended.code, ended.text().lines().count()), (Some(3), 20_000));
        assert!(
            ended.err.contains("cannot write the state /run/state/state.db: it was opened for reading, or"),
            "{}",
            ended.err
        );
    });
}

#[test]
fn old_events_and_those_above_the_limit_are_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state.db");
    std::fs::write(dir.path().join("afo.toml"), "[state]\nmax_events = 100\n").expect("written");
    std::fs::write(dir.path().join("auth.log"), guesses(1, 130)).expect("written");
    assert_eq!(watch(dir.path(), &state, "--once --config afo.toml").text().lines().count(), 130);
    let kept: Vec<String> = stored(&state).lines().map(port).collect();
    assert_eq!((kept.len(), kept.iter().any(|port| port == "30")), (100, false), "the last ones");
    let db = rusqlite::Connection::open(&state).expect("opened");
    db.execute("UPDATE events SET stored = stored - 91 * 86400000000", []).expect("aged");
    std::fs::write(dir.path().join("auth.log"), guesses(500, 2)).expect("written");
    watch(dir.path(), &state, "--once");
    assert_eq!(stored(&state).lines().count(), 2);
}
