//! `scripts/quickstart` with the commands as the tests built them: it ends well only if everything that it tells has happened.

use crate::shell::clean;
use crate::tree::{bin, root};
use std::process::{Command, Stdio};

fn script(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(root().join("scripts").join(name)).args(args).stdin(Stdio::null());
    clean(&mut command);
    command
}

#[test]
fn the_main_job_is_done_on_a_live_kernel() {
    if std::env::var("AFO_KERNEL").is_ok_and(|v| v == "0") {
        return eprintln!("LEFT OUT: scripts/quickstart, because AFO_KERNEL=0");
    }
    let out = script("quickstart", &[]).env("AFO_BIN_DIR", bin("")).output().expect("bash");
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}\n{}", String::from_utf8_lossy(&out.stderr));
    for part in [
        "connected       (after the window)",
        "NO CONNECTION   (after the window: it stays)",
        "all of them and nobody else",
    ] {
        assert!(told.contains(part), "`{part}` is not told:\n{told}");
    }
}

#[test]
fn quickstart_fails_when_the_blocks_are_not_those_of_the_attackers() {
    let scratch = tempfile::tempdir().expect("scratch");
    for entry in std::fs::read_dir(bin("")).expect("built commands").map(|e| e.expect("entry")) {
        if entry.file_name().to_string_lossy().starts_with("afo") && entry.path().extension().is_none() {
            std::os::unix::fs::symlink(entry.path(), scratch.path().join(entry.file_name())).expect("link");
        }
    }
    let lame = scratch.path().join("afo-assess");
    std::fs::remove_file(&lame).expect("removed");
    std::fs::write(&lame, "#!/bin/sh\ncat >/dev/null\n").expect("written");
    std::fs::set_permissions(&lame, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("runnable");
    if std::env::var("AFO_KERNEL").is_ok_and(|v| v == "0") {
        return eprintln!("LEFT OUT: scripts/quickstart, because AFO_KERNEL=0");
    }
    let out = script("quickstart", &[]).env("AFO_BIN_DIR", scratch.path()).output().expect("bash");
    let words = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && words.contains("does not hold exactly the attackers"), "{words}");
}

#[test]
fn a_toolchain_that_is_absent_or_too_old_is_told_with_the_way_to_one() {
    let scratch = tempfile::tempdir().expect("scratch");
    for tool in ["bash", "sed", "sort", "head", "cut", "dirname", "id", "cat"] {
        let found =
            std::env::split_paths(&std::env::var("PATH").expect("PATH")).map(|d| d.join(tool)).find(|p| p.exists());
        std::os::unix::fs::symlink(found.expect(tool), scratch.path().join(tool)).expect("link");
    }
    let run = || {
        let mut command = script("quickstart", &[]);
        command
            .env("PATH", scratch.path())
            .env("HOME", scratch.path())
            .env_remove("AFO_BIN_DIR")
            .env_remove("CARGO_HOME");
        let out = command.output().expect("bash");
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let absent = run();
    assert!(absent.contains("no Rust toolchain was found") && absent.contains("https://sh.rustup.rs"), "{absent}");
    let old = scratch.path().join("cargo");
    std::fs::write(&old, "#!/bin/sh\necho 'cargo 1.63.0 (fd9c4297c 2022-07-01)'\n").expect("written");
    std::fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("runnable");
    let words = run();
    assert!(words.contains("Rust 1.63.0 is too old: 1.88 or newer is needed"), "{words}");
}

#[test]
fn the_sample_log_is_the_same_each_time_and_names_its_attackers() {
    let print = |args: &[&str]| {
        let out = Command::new(root().join("scripts/sample-auth-log")).args(args).output().expect("the script");
        assert!(out.status.success());
        String::from_utf8(out.stdout).expect("UTF-8")
    };
    let (log, attackers) = (print(&[]), print(&["--attackers"]));
    assert_eq!(log, print(&[]));
    assert!(log.lines().count() > 5000 && attackers.lines().count() >= 4);
    for attacker in attackers.lines() {
        assert!(log.lines().filter(|l| l.contains(attacker)).count() > 5, "{attacker}");
    }
}
