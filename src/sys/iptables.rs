//! The programs of iptables and ipset: what they say of the kernel's rules and of a text, and the loading of one.

use super::process::installed;
use super::process::{NotRun, run};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Listing 100,000 rules takes seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Which of the two kinds of iptables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// It keeps its rules in tables of nftables.
    Nft,
    /// It keeps them in tables of its own.
    Legacy,
}

impl Variant {
    /// As the programs call themselves.
    pub fn as_str(self) -> &'static str {
        if self == Self::Nft { "nf_tables" } else { "legacy" }
    }
}

/// Why a program did not say.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error(transparent)]
    NotRun(#[from] NotRun),
    /// The program's own words.
    #[error("{0}: {1}")]
    Said(String, String),
    /// Only the other kind is installed.
    #[error("{0} is of the other kind of iptables; install {1}")]
    OtherKind(String, String),
}

/// What `ipset save` prints.
///
/// # Errors
/// When it is missing or fails.
pub fn sets() -> Result<String, SaveError> {
    said("ipset", &["save"])
}

/// What `iptables-save` (`ip6tables-save` for `v6`) of a kind prints.
///
/// # Errors
/// When it is missing or fails.
pub fn save(variant: Variant, v6: bool) -> Result<String, SaveError> {
    let family = if v6 { "ip6tables" } else { "iptables" };
    let kind = if variant == Variant::Nft { "nft" } else { "legacy" };
    let (exact, plain) = (format!("{family}-{kind}-save"), format!("{family}-save"));
    if installed(&exact).is_some() || installed(&plain).is_none() {
        return said(&exact, &[]);
    }
    let text = said(&plain, &[])?;
    // Before 1.8 there was one kind, and it did not say so.
    let is_nft = text.lines().any(|line| line.starts_with('#') && line.contains("(nf_tables)"));
    match is_nft == (variant == Variant::Nft) {
        true => Ok(text),
        false if !text.lines().any(|line| line.starts_with('*')) => Ok(text),
        false => Err(SaveError::OtherKind(plain, exact)),
    }
}

/// Why a text was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("no permission to use iptables")]
    Permission,
    #[error(transparent)]
    NotRun(#[from] NotRun),
    /// The program's own words.
    #[error("{0}")]
    Said(String),
}

impl RestoreError {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Permission => Some("run this command as root, with sudo before its name"),
            Self::NotRun(NotRun::Missing(_)) => Some("install it: sudo apt-get install iptables"),
            _ => None,
        }
    }
}

/// The name of the program that loads a family's text.
pub fn restorer(v6: bool) -> &'static str {
    if v6 { "ip6tables-restore" } else { "iptables-restore" }
}

/// Whether the programs of a family are installed.
pub fn is_there(v6: bool) -> bool {
    installed(restorer(v6)).is_some()
}

/// Whether the kernel has packets of a family at all: IPv6 can be left out of it.
pub fn has_family(v6: bool) -> bool {
    !v6 || Path::new("/proc/sys/net/ipv6").exists()
}

/// What the program of a family prints of some of its tables, with the counters of each rule where they are asked for. Only tables that the
/// kernel has are asked for: to ask the legacy kind for one makes it.
///
/// # Errors
/// When it is missing or fails.
pub fn tables(names: &[&str], v6: bool, counters: bool) -> Result<String, SaveError> {
    let arguments: &[&str] = if counters { &["-c"] } else { &[] };
    let whole = said(if v6 { "ip6tables-save" } else { "iptables-save" }, arguments)?;
    let mut wanted = true;
    let kept = whole.lines().filter(|line| {
        wanted = line.strip_prefix('*').map_or(wanted, |table| names.contains(&table));
        wanted || line.starts_with('#')
    });
    Ok(kept.flat_map(|line| [line, "\n"]).collect())
}

/// Whether ipset is installed.
pub fn ipset_is_there() -> bool {
    installed("ipset").is_some()
}

/// The names of the sets that the kernel has; none where ipset is not installed.
///
/// # Errors
/// When it fails.
pub fn set_names() -> Result<Vec<String>, SaveError> {
    match installed("ipset") {
        None => Ok(Vec::new()),
        Some(_) => Ok(said("ipset", &["list", "-name"])?.lines().map(str::to_owned).collect()),
    }
}

/// Gives a text to `ipset restore`, line by line; what is there already is no error, nor is what is to go and is not there.
///
/// # Errors
/// When it is missing, not permitted, or refuses a line; those before it hold.
pub fn load_sets(text: &str) -> Result<(), RestoreError> {
    loaded(run("ipset", &["-exist", "restore"], text.as_bytes(), LIMIT)?)
}

/// Loads a text beside what is there, all of it or nothing.
///
/// # Errors
/// As [`test()`].
pub fn load(v6: bool, text: &str) -> Result<(), RestoreError> {
    loaded(run(restorer(v6), &["--wait", "--noflush"], text.as_bytes(), LIMIT)?)
}

/// Asks whether a text would be loaded over the live rules, or with `beside` into them; changes nothing.
///
/// # Errors
/// When the program is missing or not permitted, or refuses the text.
pub fn test(v6: bool, text: &str, beside: bool) -> Result<(), RestoreError> {
    let arguments: &[&str] = if beside { &["--wait", "--test", "--noflush"] } else { &["--wait", "--test"] };
    loaded(run(restorer(v6), arguments, text.as_bytes(), LIMIT)?)
}

/// Loads a text into an empty network namespace that is gone afterwards; what the kernel then holds, as the program saves it. Sets
/// that its rules look into come first, as `ipset save` prints them.
///
/// # Errors
/// As [`test()`]; also when no namespace can be made.
pub fn load_in_scratch(v6: bool, sets: &str, text: &str) -> Result<String, RestoreError> {
    let user = if rustix::process::geteuid().is_root() { "-n" } else { "-rn" };
    let (restore, save) = (restorer(v6), if v6 { "ip6tables-save" } else { "iptables-save" });
    let script = format!(
        "if [ -n \"$1\" ]; then printf %s \"$1\" | ipset restore || exit; fi; {restore} --wait --noflush && {save}"
    );
    let done = run("unshare", &[user, "sh", "-c", &script, "sh", sets], text.as_bytes(), LIMIT)?;
    let saved = String::from_utf8_lossy(&done.stdout).into_owned();
    loaded(done).map(|()| saved)
}

fn loaded(done: super::process::Finished) -> Result<(), RestoreError> {
    let denied =
        ["ermission denied", "must be root", "Operation not permitted"].iter().any(|words| done.stderr.contains(words));
    match (done.status.success(), denied) {
        (true, _) => Ok(()),
        (false, true) => Err(RestoreError::Permission),
        (false, false) => Err(RestoreError::Said(done.stderr.trim_end().to_owned())),
    }
}

/// Version and kind of the program that is used where no kind is named: `1.8.9`, nf_tables. Before 1.8 there was the legacy kind alone.
///
/// # Errors
/// When it is missing.
pub fn kind(v6: bool) -> Result<(String, Variant), NotRun> {
    let name = if v6 { "ip6tables" } else { "iptables" };
    let path = installed(name).ok_or_else(|| NotRun::Missing(name.to_owned()))?;
    let done = run(&path.to_string_lossy(), &["--version"], b"", LIMIT)?;
    let words = String::from_utf8_lossy(&done.stdout).into_owned();
    let version = words.split_whitespace().find_map(|word| word.strip_prefix('v')).unwrap_or("unknown").to_owned();
    Ok((version, if words.contains("(nf_tables)") { Variant::Nft } else { Variant::Legacy }))
}

fn said(name: &str, arguments: &[&str]) -> Result<String, SaveError> {
    let path = installed(name).ok_or_else(|| NotRun::Missing(name.to_owned()))?;
    let done = run(&path.to_string_lossy(), arguments, b"", LIMIT)?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(SaveError::Said(name.to_owned(), done.stderr.trim_end().to_owned())),
    }
}

/// The names of the legacy tables that the kernel has; none where it has no legacy iptables at all.
///
/// # Errors
/// When they cannot be read: without a permission.
pub fn legacy_tables(v6: bool) -> io::Result<Vec<String>> {
    let list = if v6 { "ip6_tables_names" } else { "ip_tables_names" };
    match fs::read_to_string(Path::new("/proc/net").join(list)) {
        Ok(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}
