//! The programs of iptables and ipset: what they say of the kernel's rules. Nothing here changes a rule.

use super::context::program;
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
    if program(&exact).is_some() || program(&plain).is_none() {
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

fn said(name: &str, arguments: &[&str]) -> Result<String, SaveError> {
    let path = program(name).ok_or_else(|| NotRun::Missing(name.to_owned()))?;
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
