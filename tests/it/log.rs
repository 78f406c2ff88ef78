//! afo-log over a state that the test has made.

use crate::kernel::feed;
use crate::shell::{Ended, afo};
use crate::tree::bin;
use afo::record::{Id, Proposal, Status, Timestamp};
use afo::state::{Access, Actor, DeploymentRow, EventLine, NewBlock, Outcome, State};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn id(text: &str) -> Id {
    text.parse().expect("an id")
}

/// A state in which the daemon has blocked an address whose user name was hostile.
fn state() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut state = State::open(&path, Access::Write).expect("state");
    let now: Timestamp = "2026-03-01T08:00:00Z".parse().expect("time");
    let proposal = serde_json::json!({
        "id": "p1", "ts": now, "run": "run-1", "ok": true, "explanation": "Drops everything from 203.0.113.9 for 10 minutes.",
        "origin": { "by": "daemon", "assessment": "a1" }
    });
    let proposal: Proposal = serde_json::from_value(proposal).expect("a proposal");
    let change = state.begin(now, &Actor::program("daemon")).expect("begin");
    change.proposal(&proposal).expect("proposal");
    let mut row = DeploymentRow::new(id("d1"), "nftables", now, &Actor::program("daemon"));
    (row.run, row.proposals, row.blocks) = (Some(id("run-1")), vec![id("p1")], vec!["203.0.113.9".into()]);
    change.deployment(&row).expect("deployment");
    let reason = "12 failures for \u{1b}[2Jroot";
    let block = NewBlock::new(
        "203.0.113.9".parse().expect("address"),
        Some("2099-01-01T00:00:00Z".parse().expect("time")),
        reason,
    );
    change.block(&NewBlock { run: Some(id("run-1")), deployment: Some(id("d1")), ..block }).expect("block");
    change
        .transition(&id("d1"), Status::Pending, Status::Confirmed, &Outcome::default(), "a timed block")
        .expect("confirmed");
    let line = serde_json::json!({
        "kind": "event", "v": 1, "id": "e1", "ts": now, "source": "auth:x", "event_type": "auth_failure", "severity": "low", "source_ip": "203.0.113.9"
    })
    .to_string();
    change.events([EventLine { id: "e1", ts: now, run: None, line: &line }]).expect("event");
    change.commit().expect("commit");
    (dir, path)
}

fn log(path: &Path, args: &[&str]) -> Ended {
    feed(afo("afo-log", args).arg("--state").arg(path), b"").into()
}

#[test]
fn the_trail_is_one_line_for_each_step() {
    let (_dir, path) = state();
    let shown = log(&path, &["audit", "--format", "text"]);
    let words = [
        "2026-03-01T08:00:00Z daemon propose proposal:p1: assessment a1 run run-1",
        "2026-03-01T08:00:00Z daemon deploy.pending deployment:d1: without a window run run-1",
        r"2026-03-01T08:00:00Z daemon block block:203.0.113.9: 12 failures for \u{1b}[2Jroot run run-1",
        "2026-03-01T08:00:00Z daemon deploy.confirmed deployment:d1: a timed block run run-1",
    ];
    assert_eq!((shown.text().trim_end(), shown.code), (words.join("\n").as_str(), Some(0)), "{}", shown.err);
    let records = log(&path, &["audit", "--run", "run-1"]).of_kind("audit");
    assert_eq!(
        (records.len(), &records[3]["action"], &records[3]["prev"]),
        (4, &"deploy.confirmed".into(), &records[2]["hash"])
    );
    assert_eq!(log(&path, &["audit", "--run", "run-2"]).text(), "");
    assert_eq!(log(&path, &["audit", "--since", "2026-03-02"]).text(), "");
    assert_eq!(log(&path, &["audit", "--since", "2026-03-01"]).records().len(), 4);
}

#[test]
fn deployments_say_why_and_what_is_blocked() {
    let (_dir, path) = state();
    let shown = log(&path, &["deployments", "--format", "text"]).text();
    assert!(
        shown.starts_with(
            "2026-03-01T08:00:00Z deployment d1 confirmed by daemon\n  assessment: a1\n  does: Drops everything"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("\n  blocks 203.0.113.9 (") && shown.contains(" left): 12 failures for \\u{1b}[2Jroot"),
        "{shown}"
    );
    let records = log(&path, &["deployments"]).of_kind("deployment");
    assert_eq!(records[0]["why"][0]["assessment"], "a1");
    assert!(records[0]["blocked"][0]["remaining_seconds"].as_u64().is_some_and(|n| n > 1_000_000));
    let whole: afo::record::Deployment = afo::record::parse(&records[0].to_string()).expect("it is the record");
    assert_eq!((whole.id, whole.status), (id("d1"), Status::Confirmed));
    assert_eq!(log(&path, &["events"]).of_kind("event").len(), 1);
}

#[test]
fn verify_says_whole_or_names_the_first_broken_entry() {
    let (dir, path) = state();
    let whole = log(&path, &["verify", "--format", "text"]);
    let text = whole.text();
    assert!(
        text.starts_with("the audit trail is whole: 4 entries\n  head 4:") && whole.code == Some(0),
        "{text}{}",
        whole.err
    );
    let head = text.trim_end().rsplit(' ').next().expect("the head").to_owned();
    assert_eq!(log(&path, &["verify", "--head", &head]).code, Some(0));
    let other = log(&path, &["verify", "--head", &format!("9:{}", "a".repeat(64))]);
    assert_eq!((other.code, other.of_kind("answer").len()), (Some(1), 1));
    let wrong = log(&path, &["verify", "--head", "4:abc"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("is not a head like 7:9f86d0…"), "{}", wrong.err);

    let edited = dir.path().join("edited.db");
    std::fs::copy(&path, &edited).expect("copied");
    rusqlite::Connection::open(&edited)
        .and_then(|db| db.execute("UPDATE audit SET body = replace(body, 'daemon', 'nobody') WHERE seq = 3", []))
        .expect("edited");
    let broken = log(&edited, &["verify", "--format", "text"]);
    let words = "the audit trail is broken at entry 3: edited: its hash is not that of its text\n";
    assert_eq!((broken.text().as_str(), broken.code), (words, Some(1)), "{}", broken.err);
}

#[test]
fn a_state_that_is_not_there_or_not_named_is_told() {
    let absent = log(Path::new("/nonexistent/state.db"), &["audit"]);
    assert_eq!(
        absent.err,
        "afo-log: error: cannot open the state /nonexistent/state.db: no such file\n\
         afo-log: hint: nothing was recorded there yet: the first afo-watch or afo-deploy makes it; or name another file with --state FILE\n"
    );
    assert_eq!(absent.code, Some(3));
    let none = log(Path::new("none"), &["audit"]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.starts_with("afo-log: error: there is no state to read: "), "{}", none.err);
    let when = log(Path::new("none"), &["audit", "--since", "yesterday"]);
    assert!(
        when.code == Some(2) && when.err.contains("`yesterday` is neither like 30m, 2h, 7d nor a date nor a time"),
        "{}",
        when.err
    );
}

/// A reader who is neither root nor the owner: `nobody` where the test is root, otherwise this user, whose permissions the test takes away.
fn as_stranger(dir: &Path, path: &Path) -> Command {
    let program = dir.join("afo-log");
    std::fs::copy(bin("afo-log"), &program).expect("copied");
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("open to all");
    let mut command = Command::new(program);
    crate::shell::clean(&mut command);
    command.args(["audit", "--state"]).arg(path);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

fn set_mode(path: &Path, mode: u32) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::set_permissions(&name, std::fs::Permissions::from_mode(mode)).expect("its owner");
    }
}

#[test]
fn who_may_not_read_the_state_is_told_so() {
    let (dir, path) = state();
    set_mode(&path, 0);
    let refused = Ended::from(feed(&mut as_stranger(dir.path(), &path), b""));
    assert_eq!(
        refused.err,
        format!(
            "afo-log: error: cannot read the state {}: permission denied\n\
             afo-log: hint: see `ls -l {}`; the system's state belongs to root and the group afo: use sudo or become a member of that group\n",
            path.display(),
            path.display()
        )
    );
    assert_eq!(refused.code, Some(3));
}

#[test]
fn who_may_only_read_can_while_others_write_and_after_them() {
    let (dir, path) = state();
    set_mode(&path, 0o644);
    let entries = || Ended::from(feed(&mut as_stranger(dir.path(), &path), b""));
    let alone = entries();
    assert_eq!((alone.records().len(), alone.err.as_str()), (4, ""), "nobody has it open");
    let mut writer = State::open(&path, Access::Write).expect("state");
    let change = writer.begin("2026-03-01T09:00:00Z".parse().expect("time"), &Actor::program("daemon")).expect("begin");
    change
        .proposal(&serde_json::from_str(r#"{"id":"p2","ts":"2026-03-01T09:00:00Z","ok":true}"#).expect("p2"))
        .expect("proposal");
    assert_eq!(entries().records().len(), 4, "inside a change of another process");
    change.commit().expect("commit");
    assert_eq!(entries().records().len(), 5);
    drop(writer);
    for log in ["state.db-wal", "state.db-shm"] {
        std::fs::remove_file(path.with_file_name(log)).expect("removed");
    }
    let copied = entries();
    assert_eq!((copied.records().len(), copied.err.as_str()), (5, ""), "a copy without its log");
}
