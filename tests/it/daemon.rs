//! scripts/afo-daemon: what it runs, that it runs once, that nothing is lost when it ends. The stages here are small scripts that say
//! what was asked of them; the real ones are tried in kernel tests.

use crate::shell::clean;
use crate::tree::root;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Puts a line out, and one more when it is told to end, as afo-watch does with what it has in hand.
const WATCH: &str = "echo \"watch $*\" >> \"$NOTES\"; : > \"${@: -1}\"; trap 'echo last; exit 0' TERM; echo first; while :; do sleep 0.02; done";

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(configuration: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().expect("scratch") };
        place.stage("afo-watch", WATCH);
        for name in ["assess", "gen"] {
            place.stage(&format!("afo-{name}"), &format!("echo \"{name} $*\" >> \"$NOTES\"; exec cat"));
        }
        place.stage("afo-deploy", "echo \"deploy $*\" >> \"$NOTES\"; exec cat >> \"$NOTES\"");
        fs::copy(root().join("scripts/afo-daemon"), place.path("bin/afo-daemon")).expect("copied");
        fs::write(place.path("afo.toml"), configuration).expect("written");
        fs::create_dir(place.path("run")).expect("made");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn stage(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        fs::create_dir_all(self.path("bin")).expect("made");
        fs::write(&file, format!("#!/bin/bash\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("mode");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/afo-daemon"));
        clean(&mut command);
        let config = self.path("afo.toml");
        command.arg("--config").arg(config).args(words).stdin(Stdio::null());
        command.env("RUNTIME_DIRECTORY", self.path("run")).env("NOTES", self.path("notes"));
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("afo-daemon")
    }

    /// The daemon in the background. The system's log directory is not this test's: a private one lies over it.
    fn in_own_log(&self, words: &[&str], patience: u32) -> Output {
        let mut inner = self.command(words);
        inner.env("AFO_DAEMON_READY", patience.to_string());
        if !rustix::process::geteuid().is_root() {
            inner.env("HOME", self.path("")).env("XDG_STATE_HOME", self.path("s"));
            return inner.output().expect("afo-daemon");
        }
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs tmpfs /var/log && exec \"$0\" \"$@\"";
        command.args(["-m", "sh", "-c", script]).arg(inner.get_program());
        command.args(inner.get_args()).stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.output().expect("unshare")
    }

    fn start(&self) -> Child {
        let child = self.command(&["run"]).stderr(Stdio::piped()).spawn().expect("afo-daemon");
        wait_for(|| self.notes().contains("first"), || self.notes());
        child
    }

    fn notes(&self) -> String {
        fs::read_to_string(self.path("notes")).unwrap_or_default()
    }
}

fn wait_for(done: impl Fn() -> bool, shown: impl Fn() -> String) {
    crate::kernel::eventually_or(shown, done);
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told to end");
}

const CONFIGURED: &str = "[watch]\nsources = [\"auth:/var/log/my auth.log\", \"fw:/var/log/kern.log\"]\n[respond]\nautonomy = \"auto\"\n[deploy]\nconfirm_seconds = 45\n[log]\nformat = \"json\"\nlevel = \"info\"\n[assess]\ndetections = \"/etc/afo/d.toml\"\n";

#[test]
fn the_line_is_what_the_configuration_says() {
    let place = Place::new(CONFIGURED);
    let out = place.run(&["--dry-run", "start"]);
    let line = words(&out.stdout).replace(&place.path("bin/").display().to_string(), "");
    let common = format!("--config {} -v --log-format json", place.path("afo.toml").display());
    let expected = format!(
        "afo-watch --follow --from cursor --source 'auth:/var/log/my auth.log' --source fw:/var/log/kern.log {common} | \
         afo-assess --detections /etc/afo/d.toml {common} | afo-gen {common} | afo-deploy --confirm=45 --autonomy auto {common}\n"
    );
    assert_eq!((line, words(&out.stderr), out.status.code()), (expected, String::new(), Some(0)));
    assert!(!place.path("notes").exists(), "nothing was run");
}

#[test]
fn it_runs_once_and_loses_nothing_when_it_ends() {
    let place = Place::new("[watch]\nsources = [\"auth:/a\"]\n");
    assert_eq!(place.run(&["status"]).status.code(), Some(1));
    let child = place.start();
    let status = place.run(&["status"]);
    assert_eq!((words(&status.stdout), status.status.code()), (format!("runs as process {}\n", child.id()), Some(0)));
    let second = place.run(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(words(&second.stderr).contains("afo-daemon: error: another afo-daemon runs"), "{}", words(&second.stderr));
    terminate(&child);
    let out = child.wait_with_output().expect("ended");
    assert_eq!(words(&out.stderr), "afo-daemon: watches auth:/a\n");
    assert_eq!(out.status.code(), Some(0));
    assert!(place.notes().ends_with("first\nlast\n"), "{}", place.notes());
    assert!(place.notes().contains("deploy --confirm=30 --autonomy propose "), "{}", place.notes());
    let left: Vec<_> = fs::read_dir(place.path("run")).expect("list").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(left, ["daemon.lock"]);
}

#[test]
fn start_and_stop_in_the_background() {
    let place = Place::new("[watch]\nsources = [\"auth:/a\"]\n");
    let out = place.in_own_log(&["start"], 60);
    assert_eq!((words(&out.stderr), out.status.code()), (String::new(), Some(0)));
    wait_for(|| place.notes().contains("first"), || place.notes());
    let again = place.in_own_log(&["start"], 60);
    assert_eq!(again.status.code(), Some(1), "{}", words(&again.stderr));
    let stopped = place.run(&["stop"]);
    assert_eq!((words(&stopped.stderr), stopped.status.code()), (String::new(), Some(0)));
    assert!(place.notes().ends_with("first\nlast\n"), "{}", place.notes());
    assert_eq!(place.run(&["status"]).status.code(), Some(1));
    assert_eq!(place.run(&["stop"]).status.code(), Some(0), "what does not run is stopped");
}

#[test]
fn start_is_done_when_every_source_is_watched() {
    let place = Place::new("[watch]\nsources = [\"auth:/a\"]\n");
    place.stage("afo-watch", &format!("sleep 1; echo watched >> \"$NOTES\"; {WATCH}"));
    let out = place.in_own_log(&["start"], 60);
    assert_eq!((words(&out.stderr), out.status.code()), (String::new(), Some(0)));
    assert!(place.notes().contains("watched\n"), "{}", place.notes());
    assert_eq!(place.run(&["stop"]).status.code(), Some(0));
    let left: Vec<_> = fs::read_dir(place.path("run")).expect("list").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(left, ["daemon.lock"]);

    place.stage("afo-watch", &WATCH.replace(": > \"${@: -1}\"; ", ""));
    let out = place.in_own_log(&["start"], 3);
    let said = words(&out.stderr);
    assert!(said.contains("afo-daemon: error: it runs as process ") && out.status.code() == Some(1), "{said}");
    assert!(said.contains(", but after 3 s it does not watch every source yet\n"), "{said}");
    assert_eq!(place.run(&["stop"]).status.code(), Some(0));

    place.stage("afo-watch", "exit 3");
    let out = place.in_own_log(&["start"], 60);
    let said = words(&out.stderr);
    assert!(said.contains("afo-daemon: error: it did not start: ") && out.status.code() == Some(1), "{said}");
}

#[test]
fn the_end_of_one_stage_ends_all_and_is_told() {
    let place = Place::new("[watch]\nsources = [\"auth:/a\"]\n");
    place.stage("afo-gen", "read -r line; exit 3");
    let out = place.command(&["run"]).output().expect("afo-daemon");
    let said = words(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("afo-daemon: error: afo-gen ended with status 3\n"), "{said}");
    place.stage("afo-gen", "read -r line");
    let out = place.command(&["run"]).output().expect("afo-daemon");
    assert_eq!(out.status.code(), Some(1), "a stage has no reason to end: {}", words(&out.stderr));
    assert!(words(&out.stderr).contains(" ended by itself\n"), "{}", words(&out.stderr));
    assert_eq!(place.run(&["status"]).status.code(), Some(1));
}

#[test]
fn what_cannot_be_is_refused_with_the_next_step() {
    let place = Place::new("[respond]\nautonomy = \"autos\"\n");
    let said = |args: &[&str]| {
        let out = place.run(args);
        (words(&out.stderr), out.status.code())
    };
    let (wrong, code) = said(&["run"]);
    assert!(code == Some(2) && wrong.contains("respond.autonomy: `autos` is not allowed"), "{wrong}");
    assert_eq!(said(&["restart", "assess"]).1, Some(2));
    assert!(said(&["frobnicate"]).0.contains("`frobnicate` is not understood"));
    assert_eq!(said(&[]).1, Some(2));
    fs::remove_file(place.path("bin/afo-gen")).expect("removed");
    fs::write(place.path("afo.toml"), "[watch]\nsources = [\"auth:/a\"]\n").expect("written");
    let bare = place.command(&["run"]).env("PATH", format!("{}:/usr/bin:/bin", only_afo(&place).display())).output();
    let out = bare.expect("afo-daemon");
    assert_eq!(out.status.code(), Some(3), "{}", words(&out.stderr));
    assert!(words(&out.stderr).contains("afo-gen is neither beside afo-daemon nor in PATH"), "{}", words(&out.stderr));
}

/// A directory with nothing but the front door in it.
fn only_afo(place: &Place) -> PathBuf {
    let dir = place.path("only");
    fs::create_dir(&dir).expect("made");
    std::os::unix::fs::symlink(crate::tree::bin("afo"), dir.join("afo")).expect("linked");
    dir
}

#[test]
fn every_shell_script_is_clean() {
    let listed = |dir: &Path| fs::read_dir(dir).expect("scripts").map(|e| e.expect("entry").path()).collect::<Vec<_>>();
    let out = Command::new("shellcheck").args(listed(&root().join("scripts"))).output().expect("shellcheck");
    assert!(out.status.success(), "{}", words(&out.stdout));
}
