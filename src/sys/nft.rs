//! The nft program: always a process of its own (libnftables takes its caller down with it), its words kept.

use super::process::{NotRun, run};
use std::time::Duration;

/// Loading 100,000 rules takes 2.4 s; a minute is for machines much slower than that.
const LIMIT: Duration = Duration::from_secs(60);

/// Why nft did not do it.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// The kernel's permission is missing (CAP_NET_ADMIN).
    #[error("no permission to use nftables")]
    Permission,
    #[error(transparent)]
    NotRun(#[from] NotRun),
    /// nft's own words.
    #[error("nft: {0}")]
    Said(String),
}

impl NftError {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Permission => Some("run this command as root, with sudo before its name"),
            Self::NotRun(NotRun::Missing(_)) => Some("install it: sudo apt-get install nftables"),
            _ => None,
        }
    }
}

fn nft(arguments: &[&str], input: &str) -> Result<String, NftError> {
    nft_within(arguments, input, LIMIT)
}

fn nft_within(arguments: &[&str], input: &str, limit: Duration) -> Result<String, NftError> {
    let done = run("nft", arguments, input.as_bytes(), limit)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(match done.stderr.contains("Operation not permitted") && !has_net_admin() {
        true => NftError::Permission,
        false => NftError::Said(done.stderr.trim_end().to_owned()),
    })
}

/// EPERM has more causes than a missing permission; with CAP_NET_ADMIN it is one of the others.
fn has_net_admin() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN))
}

/// Loads `text` in one transaction: all of it or nothing.
///
/// # Errors
/// When nft is missing, the permission is missing, or nft refuses, with its words.
pub fn load(text: &str) -> Result<(), NftError> {
    nft(&["-f", "-"], text).map(drop)
}

/// As [`load`], of nft's JSON.
///
/// # Errors
/// As [`load`].
pub fn load_json(json: &str) -> Result<(), NftError> {
    nft(&["-j", "-f", "-"], json).map(drop)
}

/// Asks nft whether it would load `text` now; changes nothing.
///
/// # Errors
/// As [`load`].
pub fn check(text: &str) -> Result<(), NftError> {
    nft(&["-c", "-f", "-"], text).map(drop)
}

/// The whole ruleset as nft's JSON, elements of sets included.
///
/// # Errors
/// As [`load`].
pub fn list_ruleset_json() -> Result<String, NftError> {
    nft(&["-j", "list", "ruleset"], "")
}

/// As [`list_ruleset_json`], given up after `limit`: an interval set of a million elements takes more than a minute.
///
/// # Errors
/// As [`load`]; also when it takes longer.
pub fn list_ruleset_json_within(limit: Duration) -> Result<String, NftError> {
    nft_within(&["-j", "list", "ruleset"], "", limit)
}

/// The whole ruleset as nft's JSON without the elements of sets: milliseconds however large they are.
///
/// # Errors
/// As [`load`].
pub fn list_ruleset_json_terse() -> Result<String, NftError> {
    nft(&["-j", "-t", "list", "ruleset"], "")
}

/// The output of `nft` with `arguments` (listing commands).
///
/// # Errors
/// As [`load`].
pub fn list(arguments: &[&str]) -> Result<String, NftError> {
    nft(arguments, "")
}

/// The version of nft, as `1.0.6`.
///
/// # Errors
/// As [`load`].
pub fn version() -> Result<String, NftError> {
    let words = nft(&["--version"], "")?;
    let version = words.split_whitespace().find_map(|w| w.strip_prefix('v')).unwrap_or("unknown");
    Ok(version.to_owned())
}

/// Loads `text` into an empty network namespace that is gone afterwards, and lists what the kernel made of it as JSON.
///
/// # Errors
/// As [`load`]; also when no namespace can be made.
pub fn list_in_scratch(text: &str) -> Result<String, NftError> {
    in_scratch("nft -f - && nft -j list ruleset", text)
}

/// As [`list_in_scratch`], and in nft's text without the elements of sets.
///
/// # Errors
/// As [`list_in_scratch`].
pub fn list_both_in_scratch(text: &str) -> Result<(String, String), NftError> {
    let both = in_scratch("nft -f - && nft -j list ruleset && nft -s -t list ruleset", text)?;
    // nft's JSON is one line.
    let (json, heads) = both.split_once('\n').unwrap_or((&both, ""));
    Ok((json.to_owned(), heads.to_owned()))
}

fn in_scratch(script: &str, text: &str) -> Result<String, NftError> {
    let user = if rustix::process::geteuid().is_root() { "-n" } else { "-rn" };
    let done = run("unshare", &[user, "sh", "-c", script], text.as_bytes(), LIMIT)?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(NftError::Said(done.stderr.trim_end().to_owned())),
    }
}
