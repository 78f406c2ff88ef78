//! Starting a process that outlives the one that starts it, its terminal and its login session.
//!
//! Where systemd is the host's first process the new one is a unit of its own: the end of a login session kills what is left of the session
//! (logind.conf(5), KillUserProcesses). Elsewhere it leads a session of its own. Either way it says itself when it is ready.

use super::process::run;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a process says when it is ready.
const READY: &str = "ready";

/// Until when it must be: it opens a state and looks at the host, which takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);

/// Starts `program` so that it outlives this process, and waits until it is [`ready`]. `unit` names it where systemd keeps it.
///
/// # Errors
/// When it cannot be started, or ends or stays silent before it is ready.
pub fn start(program: &Path, arguments: &[OsString], unit: &str) -> io::Result<()> {
    if systemd_is_near() && by_systemd(program, arguments, unit) {
        return Ok(());
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let (sender, receiver) = mpsc::channel();
    let said = child.stdout.take().map(BufReader::new);
    thread::spawn(move || {
        let mut line = String::new();
        // What is not read, is not ready.
        let _ = said.map(|mut pipe| pipe.read_line(&mut line));
        let _ = sender.send(line);
    });
    let line = receiver.recv_timeout(LIMIT).unwrap_or_default();
    if line.trim() == READY {
        return Ok(());
    }
    child.kill()?;
    let status = child.wait()?;
    Err(io::Error::other(format!("it was not ready: {status}")))
}

/// Whether the first process is systemd and this one lives in its namespaces: a unit of it would live in others.
fn systemd_is_near() -> bool {
    let same = |name: &str| {
        let place = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/{name}")).ok();
        place("self").is_some() && place("self") == place("1")
    };
    // sd_booted(3)
    Path::new("/run/systemd/system").is_dir() && ["net", "mnt", "pid"].into_iter().all(same)
}

fn by_systemd(program: &Path, arguments: &[OsString], unit: &str) -> bool {
    let words = unit_words(program, arguments, unit);
    let Some(words) = words.iter().map(|word| word.to_str()).collect::<Option<Vec<&str>>>() else { return false };
    run("systemd-run", &words, b"", LIMIT).is_ok_and(|done| done.status.success())
}

/// The arguments of systemd-run(1): it returns once the unit has said that it is ready.
fn unit_words(program: &Path, arguments: &[OsString], unit: &str) -> Vec<OsString> {
    let fixed = ["--quiet", "--collect", "--service-type=notify", "--property=OOMScoreAdjust=-900"];
    // The user's own configuration, and the programs of backends, are found by these.
    let kept = ["--setenv=HOME", "--setenv=PATH", "--setenv=XDG_CONFIG_HOME"].map(str::to_owned);
    let named = kept.into_iter().chain([format!("--unit={unit}"), "--".to_owned()]);
    let fixed = fixed.into_iter().map(OsString::from).chain(named.map(OsString::from));
    fixed.chain([program.as_os_str().to_owned()]).chain(arguments.iter().cloned()).collect()
}

/// Leaves the session and the terminal of whoever started this process. Where it leads one already there is nothing to leave.
pub fn leave_session() {
    let _ = rustix::process::setsid();
}

/// Says that this process is ready: to systemd at `socket` (sd_notify(3)) where it is given, else on standard output.
///
/// # Errors
/// When nobody can be told.
pub fn ready(socket: Option<&str>) -> io::Result<()> {
    let Some(place) = socket else {
        let mut out = io::stdout().lock();
        writeln!(out, "{READY}")?;
        return out.flush();
    };
    let message = b"READY=1";
    let sender = UnixDatagram::unbound()?;
    match place.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            sender.send_to_addr(message, &std::os::unix::net::SocketAddr::from_abstract_name(name)?)?
        }
        None => sender.send_to(message, place)?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> io::Result<()> {
        start(Path::new("/bin/sh"), &["-c".into(), script.into()], "afo-test")
    }

    #[test]
    fn only_what_says_that_it_is_ready_is_started() {
        assert!(sh("echo ready; exec sleep 0").is_ok());
        let words = sh("exit 3").expect_err("it ended").to_string();
        assert_eq!(words, "it was not ready: exit status: 3");
        assert!(start(Path::new("/nowhere/afo"), &[], "afo-test").is_err());
    }

    #[test]
    fn a_unit_says_itself_when_it_is_ready() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("notify");
        let listener = UnixDatagram::bind(&place).expect("bound");
        ready(place.to_str()).expect("told");
        let mut bytes = [0; 16];
        let length = listener.recv(&mut bytes).expect("heard");
        assert_eq!(&bytes[..length], b"READY=1");
        let words = unit_words(Path::new("/usr/bin/afo-deploy"), &["guard".into()], "afo-guard-x");
        let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(words[words.len() - 4..], ["--unit=afo-guard-x", "--", "/usr/bin/afo-deploy", "guard"]);
    }
}
