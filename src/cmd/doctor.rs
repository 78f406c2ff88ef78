//! `afo doctor`: what AFO needs on this host, whether it is there, and what to do where it is not. It changes nothing.

use super::places::loaded;
use super::{StatePlace, config::sources, state_place};
use crate::backend::nftables::{Ban, Block, Live, Policy, Window, arm, armed, extend};
use crate::cli::config::{Config, Loaded};
use crate::cli::{Exit, Failure, Shell};
use crate::record::Answer;
use crate::rule::Rule;
use crate::state::{Access, State, StateError};
use crate::sys::process::installed;
use crate::sys::{logs, nft};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The oldest nft that the scheme in the kernel is tested with.
const OLDEST: (u32, u32, u32) = (1, 0, 6);

/// Rules that between them take every construct of the scheme: sets, intervals, rates for each source, a log, answers.
const SAMPLE: &str = r#"[
    {"id":"a","action":"drop","direction":"input","source_address":["192.0.2.0/24","198.51.100.1-198.51.100.9"],"log":{"prefix":"afo"}},
    {"id":"b","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22","8000-8100"],"connection_state":["new"],
     "rate_limit":{"count":5,"per":"minute","burst":5,"scope":"source"}},
    {"id":"c","action":"reject","direction":"forward","family":"ipv6","destination_address":["2001:db8::/32"]},
    {"id":"d","action":"drop","direction":"output","protocol":["udp"],"rate_limit":{"count":9,"per":"second"}}]"#;

/// What AFO would load on an empty host, bans and an open window with it, in a table that is checked and never made.
fn scheme() -> String {
    let rules: Vec<Rule> = serde_json::from_str(SAMPLE).expect("the sample is written here");
    let policy = Policy::of(&rules).expect("the sample is made of what nftables has");
    let ban = |text: &str| text.parse().map(Ban::Source).expect("the networks are written here");
    let bans =
        ["192.0.2.7/32", "203.0.113.0/24", "2001:db8::/64"].map(|net| Block { ban: ban(net), seconds: Some(60) });
    let live = Live::default();
    let window = Window { seconds: 30, remember: true };
    format!("{}{}", arm(&policy, &live, window), extend(&bans, &armed(&policy, &live, window)))
        .replace(" inet afo", " inet afo_doctor")
}

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Good(String),
    /// AFO works, but not with all.
    Worth(String, String),
    /// Something does not work: what, and what to do.
    Wrong(String, String),
}

impl Finding {
    fn words(&self) -> String {
        match self {
            Self::Good(what) => format!("ok: {what}"),
            Self::Worth(what, step) => format!("note: {what}; {step}"),
            Self::Wrong(what, step) => format!("missing: {what}; {step}"),
        }
    }
}

/// Looks at everything and says it in one `answer`; 1 when something is missing.
///
/// # Errors
/// When the output cannot be written.
pub fn run(shell: &Shell) -> Result<Exit, Failure> {
    let loaded = loaded(shell);
    let config = loaded.as_ref().map(|loaded| loaded.config.clone()).unwrap_or_default();
    let mut found = filter();
    found.extend(others());
    found.push(configuration(loaded));
    found.push(state(&state_place(shell, &config)));
    found.extend(logs_of(&config));
    found.push(rehearsal());
    let wrong = found.iter().filter(|f| matches!(f, Finding::Wrong(..))).count();
    let text = match wrong {
        0 => "everything that AFO needs is here".to_owned(),
        1 => "one thing is missing".to_owned(),
        n => format!("{n} things are missing"),
    };
    let mut out = shell.out();
    out.record(&Answer { text, evidence: found.iter().map(Finding::words).collect(), ..Answer::default() });
    out.ends(if wrong == 0 { Exit::Clean } else { Exit::No });
    shell.close(&mut out)
}

/// nft, its version, the permission, and whether the kernel knows every construct of the scheme.
fn filter() -> Vec<Finding> {
    let version = match nft::version() {
        Ok(version) => version,
        Err(e) => return vec![Finding::Wrong(e.to_string(), e.hint().unwrap_or("install nftables").to_owned())],
    };
    let age = match numbers(&version) {
        Some(found) if found < OLDEST => {
            let (a, b, c) = OLDEST;
            Finding::Worth(format!("nft {version} is older than {a}.{b}.{c}"), "install a newer nftables".to_owned())
        }
        _ => Finding::Good(format!("nft {version}")),
    };
    let kernel = match nft::check(&scheme()) {
        Ok(()) => Finding::Good("the kernel knows every construct that AFO writes, and you may change it".to_owned()),
        Err(nft::NftError::Permission) => Finding::Wrong(
            "no permission to look at or change the firewall (CAP_NET_ADMIN)".to_owned(),
            "run `sudo afo doctor`; afo-gen, afo-render and afo-assess need no permission".to_owned(),
        ),
        Err(e) => Finding::Wrong(
            format!("the kernel or nft refuses a construct that AFO writes: {}", first_line(&e.to_string())),
            "load the modules nf_tables and nft_ct, or use a newer kernel".to_owned(),
        ),
    };
    vec![age, kernel]
}

fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Others that write firewall rules on this host.
fn others() -> Vec<Finding> {
    let names = [("ufw", "ufw"), ("firewalld", "firewall-cmd"), ("Docker", "dockerd"), ("fail2ban", "fail2ban-server")];
    let there = names.iter().filter(|(_, name)| installed(name).is_some());
    let note = |(name, _): &(&str, &str)| {
        let step = "AFO leaves its rules alone; an allow is proven against them before it is applied";
        Finding::Worth(format!("{name} is installed and may write rules too"), step.to_owned())
    };
    there.map(note).collect()
}

fn configuration(loaded: Result<Loaded, Failure>) -> Finding {
    match loaded {
        Err(failure) => {
            let step = failure.hint.unwrap_or_else(|| "correct it, then `afo config check`".to_owned());
            Finding::Wrong(format!("the configuration is wrong: {}", failure.message), step)
        }
        Ok(loaded) if loaded.files.is_empty() => {
            Finding::Good("no configuration file: every value is the default".to_owned())
        }
        Ok(loaded) => match loaded.files.iter().find(|file| is_open(file)) {
            Some(file) => Finding::Wrong(
                format!("everybody may write {}", file.display()),
                format!("sudo chmod o-w {}", file.display()),
            ),
            None => Finding::Good(format!("the configuration is right ({} read)", loaded.files.len())),
        },
    }
}

/// Whether users besides owner and group may write a file.
fn is_open(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0)
}

fn state(place: &StatePlace) -> Finding {
    let StatePlace::File(path) = place else {
        return Finding::Worth("nothing is remembered (--state)".to_owned(), "afo-deploy needs a file".to_owned());
    };
    match State::open(path, Access::Read) {
        Ok(_) => Finding::Good(format!("the state {} can be read", path.display())),
        Err(StateError::Missing { .. }) => new_state(path),
        Err(e) => {
            Finding::Wrong(e.to_string(), e.hint().unwrap_or_else(|| "name another file with --state FILE".to_owned()))
        }
    }
}

/// Whether the state could be made: the nearest place on its path that is there must be a directory and writable.
fn new_state(path: &Path) -> Finding {
    let place = path.ancestors().skip(1).find(|place| place.exists()).unwrap_or(Path::new("/"));
    if place.is_dir() && rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok() {
        return Finding::Good(format!("the state {} will be made by the first deployment", path.display()));
    }
    let what = if place.is_dir() { "writable" } else { "a directory" };
    Finding::Wrong(
        format!("the state {} cannot be made: {} is not {what}", path.display(), place.display()),
        "use sudo, or name another file with --state FILE".to_owned(),
    )
}

/// Whether what the daemon would watch can be read.
fn logs_of(config: &Config) -> Vec<Finding> {
    let watched = sources(config);
    if watched.is_empty() && logs::has_journal() {
        return vec![Finding::Good("no log file is there: afo-daemon watches the journal".to_owned())];
    }
    if watched.is_empty() {
        let step = "install rsyslog, or set one: afo config set watch.sources '[\"auth:/var/log/auth.log\"]'";
        return vec![Finding::Worth("no log is there that afo-daemon could watch".to_owned(), step.to_owned())];
    }
    let one = |source: &String| match logs::file_of(source) {
        None => Finding::Good(format!("{source} is no file and is tried by afo-watch")),
        Some(file) => match fs::File::open(file) {
            Ok(_) => Finding::Good(format!("{source} can be read")),
            Err(e) => Finding::Wrong(format!("{source} cannot be read: {}", words(&e)), readable(file)),
        },
    };
    watched.iter().map(one).collect()
}

fn words(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn readable(file: &Path) -> String {
    match fs::metadata(file) {
        Ok(meta) => format!("use sudo, or become a member of the group {} that owns it", meta.gid()),
        Err(_) => "correct watch.sources, or wait until the log is written".to_owned(),
    }
}

/// A namespace in which a change can be rehearsed.
fn rehearsal() -> Finding {
    match nft::list_in_scratch("") {
        Ok(_) => Finding::Good("a change can be rehearsed in a network namespace of its own".to_owned()),
        Err(e) => Finding::Worth(
            format!("no network namespace can be had for rehearsals: {}", first_line(&e.to_string())),
            "run as root, or allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_is_what_would_be_loaded() {
        let text = scheme();
        for part in ["priority", "@armed", "ct id", "update @", "flags interval", "reject", "log prefix", "limit rate"]
        {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("inet afo "), "the real table is left alone:\n{text}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("0.9.8") < Some(OLDEST) && numbers("1.0.10") > Some(OLDEST) && numbers("1.1") > Some(OLDEST));
        assert_eq!(numbers("unknown"), None);
    }

    #[test]
    fn a_state_that_cannot_be_made_is_missing() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("a/b/state.db");
        assert!(
            matches!(state(&StatePlace::File(path.clone())), Finding::Good(words) if words.contains("will be made"))
        );
        fs::create_dir_all(path.parent().expect("parent")).expect("made");
        fs::write(&path, "no database at all, only words").expect("written");
        assert!(matches!(state(&StatePlace::File(path)), Finding::Wrong(..)));
        assert_eq!(
            new_state(Path::new("/dev/null/afo/state.db")).words(),
            "missing: the state /dev/null/afo/state.db cannot be made: /dev/null is not a directory; use sudo, or name another file with --state FILE"
        );
    }

    #[test]
    fn a_log_that_cannot_be_read_is_missing() {
        let sources = |text: &str| crate::cli::config::parse("x", text).expect(text);
        let found = logs_of(&sources("[watch]\nsources = [\"auth:/nowhere/auth.log\", \"journal:\"]"));
        assert_eq!(
            found[0].words(),
            "missing: auth:/nowhere/auth.log cannot be read: no such file or directory; correct watch.sources, or wait until the log is written"
        );
        assert!(found[1].words().starts_with("ok: "));
    }

    #[test]
    fn a_configuration_that_everybody_may_write_is_missing_something() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let loaded = || Ok(Loaded { config: Config::default(), files: vec![file.path().to_path_buf()] });
        assert_eq!(configuration(loaded()), Finding::Good("the configuration is right (1 read)".into()));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).expect("mode");
        assert!(configuration(loaded()).words().starts_with("missing: everybody may write "));
    }
}
