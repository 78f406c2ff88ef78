//! Which packet filters are on the host: by looking, and only where asked by running them for their version.

use crate::record::Backend;
use crate::sys::process;
use crate::sys::tables::{self, Table};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The filters in which the host's rules can be, with the program that speaks to each.
const FILTERS: &[(&str, &str)] = &[
    ("nftables", "nft"),
    ("iptables", "iptables"),
    ("ip6tables", "ip6tables"),
    ("firewalld", "firewall-cmd"),
    ("ufw", "ufw"),
];

/// The filters that are there; with `run`, each with its version. What is not there is said in `missing`.
pub(super) fn backends(run: bool, missing: &mut Vec<String>) -> Vec<Backend> {
    let tables = tables::all();
    if let Err(e) = &tables {
        missing.push(format!("backends: whether nftables holds rules: {}", words(e)));
    }
    let tables = tables.unwrap_or_default();
    let installed = FILTERS.iter().filter_map(|(name, program_name)| Some((*name, process::installed(program_name)?)));
    let found: Vec<_> = installed.map(|(name, path)| backend(name, &path, &tables, run)).collect();
    if !found.iter().any(|b| b.name == "nftables") {
        let alone = found.iter().any(|b| b.name == "iptables");
        let then = if alone {
            ": rules are listed and applied by the programs of iptables alone"
        } else {
            ", so no rule can be checked or applied"
        };
        missing.push(format!("backends: nft is not installed{then}"));
    }
    found
}

/// The words of an I/O error without its number.
pub(super) fn words(error: &io::Error) -> String {
    let words = error.to_string().to_lowercase();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

fn backend(name: &str, path: &Path, tables: &[Table], run: bool) -> Backend {
    let variant = variant(path);
    let active = match name {
        "nftables" => !tables.is_empty(),
        "iptables" | "ip6tables" => iptables_active(name, variant, tables),
        "firewalld" => tables.iter().any(|table| table.name == "firewalld") || Path::new("/run/firewalld").exists(),
        _ => fs::read_to_string("/etc/ufw/ufw.conf").is_ok_and(|conf| conf.lines().any(|l| l.trim() == "ENABLED=yes")),
    };
    let version = if run { version(path) } else { None };
    let capabilities = variant.map(str::to_owned).into_iter().collect();
    Backend { name: name.to_owned(), version, active, capabilities, program: None, chosen: None }
}

/// Which of the two kinds of iptables a path leads to.
fn variant(path: &Path) -> Option<&'static str> {
    let target = fs::canonicalize(path).ok()?;
    match target.file_name()?.to_str()? {
        name if name.contains("nft-multi") => Some("nf_tables"),
        name if name.contains("legacy") => Some("legacy"),
        _ => None,
    }
}

/// iptables-nft keeps its rules in nftables' tables of its own names; the legacy kind lists its tables in /proc.
fn iptables_active(name: &str, variant: Option<&str>, tables: &[Table]) -> bool {
    let (family, list) = if name == "iptables" { ("ip", "ip_tables_names") } else { ("ip6", "ip6_tables_names") };
    let own = |table: &Table| table.family == family && table.is_of_iptables();
    match variant {
        Some("legacy") => {
            fs::read_to_string(Path::new("/proc/net").join(list)).is_ok_and(|text| !text.trim().is_empty())
        }
        _ => tables.iter().any(own),
    }
}

fn version(path: &Path) -> Option<String> {
    let done = process::run(path.to_str()?, &["--version"], b"", Duration::from_secs(5)).ok()?;
    first_version(&String::from_utf8_lossy(&done.stdout))
}

/// The first word that is a version: `nftables v1.0.6 (Lester Gooch #5)`, `iptables v1.8.9 (nf_tables)`, `1.3.0`.
fn first_version(text: &str) -> Option<String> {
    let plain = |word: &&str| word.contains('.') && word.len() < 20 && word.starts_with(|c: char| c.is_ascii_digit());
    text.split_whitespace().map(|word| word.trim_start_matches('v')).find(plain).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_of_real_programs() {
        for (text, version) in [
            ("nftables v1.0.6 (Lester Gooch #5)\n", Some("1.0.6")),
            ("iptables v1.8.9 (nf_tables)", Some("1.8.9")),
            ("ufw 0.36.2\nCopyright", Some("0.36.2")),
            ("2.1.1", Some("2.1.1")),
            ("sorry", None),
        ] {
            assert_eq!(first_version(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn tables_tell_what_is_active() {
        let tables = vec![Table { family: "ip", name: "filter".into() }];
        assert!(iptables_active("iptables", Some("nf_tables"), &tables));
        assert!(!iptables_active("ip6tables", Some("nf_tables"), &tables));
        assert!(backend("nftables", Path::new("/nowhere/nft"), &tables, false).active);
        assert!(!backend("nftables", Path::new("/nowhere/nft"), &[], true).active);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            prop_assert!(first_version(&text).is_none_or(|v| v.len() < 20));
        }
    }
}
