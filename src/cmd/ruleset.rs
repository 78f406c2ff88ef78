//! The rulesets that flags name, for every command alike: the kernel's, or those of a file in any language that is read.

use super::xtables;
use crate::backend::nftables::Heads;
use crate::backend::{Backend as _, Document, iptables, nftables, opnsense};
use crate::cli::Failure;
use crate::record::LiveRuleset;
use crate::rule::ruleset::Ruleset;
use crate::sys::nft::{self, NftError};
use crate::sys::process::{self, NotRun};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The ruleset that a flag names: the kernel's (`live`), or that of a file.
///
/// # Errors
/// When the kernel's cannot be listed (exit 3) or the file cannot be read (exit 2).
pub fn ruleset(place: &Path) -> Result<Ruleset, Failure> {
    if place == Path::new("live") {
        return live_ruleset();
    }
    let name = place.display();
    match written(place)? {
        Written::Listing(json) => nftables::read(&json).map_err(|e| Failure::undecided(format!("{name}: {e}"))),
        Written::Text(json, heads) => {
            let mut ruleset = nftables::read(&json).map_err(|e| Failure::undecided(format!("{name}: {e}")))?;
            Heads::of(&heads).amend(&mut ruleset);
            Ok(ruleset)
        }
        Written::Dump(text) => iptables::read(&text).map_err(|e| Failure::undecided(format!("{name}:{e}"))),
        Written::Reply(text) => {
            let listing =
                opnsense::Listing::read(&text, None).map_err(|e| Failure::undecided(format!("{name}: {e}")))?;
            Ok(opnsense::read(&listing))
        }
        Written::Document(document, text, _) => {
            document.read(&text).map_err(|e| Failure::undecided(format!("{name}: {e}")))
        }
    }
}

/// The kernel's ruleset: nftables' own, and what iptables keeps there or beside it.
///
/// # Errors
/// When the permission is missing, or nft where there is anything that only nft lists (exit 3).
pub fn live_ruleset() -> Result<Ruleset, Failure> {
    let listing = match nft::list_ruleset_json() {
        Ok(listing) => listing,
        Err(error @ NftError::NotRun(NotRun::Missing(_))) if iptables_is_there() => {
            return xtables::without_nft().map_err(|why| not_listed(&format!("{error}, and {why}"), error.hint()));
        }
        Err(error) => return Err(not_listed(&error.to_string(), error.hint())),
    };
    let mut ruleset =
        nftables::read(&listing).map_err(|e| Failure::refused(format!("cannot read the live ruleset: {e}")))?;
    if Heads::are_missing(&ruleset)
        && let Ok(text) = nft::list(&["-s", "-t", "list", "ruleset"])
    {
        Heads::of(&text).amend(&mut ruleset);
    }
    Ok(xtables::joined(ruleset, &listing))
}

fn iptables_is_there() -> bool {
    process::installed("iptables").is_some()
}

fn not_listed(why: &str, hint: Option<&'static str>) -> Failure {
    let failure = Failure::refused(format!("cannot list the live ruleset: {why}"));
    hint.into_iter().fold(failure, Failure::hint)
}

/// A ruleset as a backend lists it.
pub fn of(backend: &str, native: Value) -> LiveRuleset {
    LiveRuleset { backend: backend.into(), native, rules: Vec::new() }
}

/// Rules as a program of their backend writes them.
enum Written {
    /// `nft -j list ruleset`.
    Listing(String),
    /// nft's text, as the kernel lists what it made of it: JSON, and the heads in text.
    Text(String, String),
    /// `iptables-save`.
    Dump(String),
    /// What `firewall/filter/search_rule` of OPNsense replies.
    Reply(String),
    /// The document of a firewall elsewhere, and its JSON.
    Document(&'static Document, String, Value),
}

/// What a file holds: the document of a firewall elsewhere, nft's JSON, iptables-save with or without `ipset save`, or nft's text, listed in an empty network namespace.
fn written(file: &Path) -> Result<Written, Failure> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|e| Failure::undecided(format!("{name}: cannot be read: {e}")))?;
    if let Some((document, value)) = Document::of(&text) {
        return Ok(Written::Document(document, text, value));
    }
    Ok(match () {
        () if opnsense::is_listing(&text) => Written::Reply(text),
        () if text.trim_start().starts_with('{') => Written::Listing(text),
        () if iptables::is_dump(&text) => Written::Dump(text),
        () => {
            let (json, heads) = nft::list_both_in_scratch(&text).map_err(|e| not_loaded(&name.to_string(), &e))?;
            Written::Text(json, heads)
        }
    })
}

/// Reads the rules of a file as their backend lists them: nft's JSON, iptables-save with or without `ipset save`, or nft's text
/// through an empty network namespace.
///
/// # Errors
/// When the file cannot be read or is none of these (exit 2), or nft or a namespace is needed and missing (exit 3).
pub fn ruleset_from(file: &Path) -> Result<LiveRuleset, Failure> {
    match written(file)? {
        Written::Listing(json) | Written::Text(json, _) => nftables::listing(&json)
            .map(|native| of("nftables", native))
            .map_err(|words| Failure::undecided(format!("{}: {words}", file.display()))),
        Written::Dump(text) => Ok(of("iptables", Value::String(text))),
        Written::Reply(text) => serde_json::from_str(&text)
            .map(|native| of("opnsense", native))
            .map_err(|e| Failure::undecided(format!("{}: {e}", file.display()))),
        Written::Document(document, _, value) => Ok(of(document.name(), value)),
    }
}

fn not_loaded(name: &str, error: &NftError) -> Failure {
    let message = format!("{name}: {error}");
    let failure = match error {
        NftError::Said(words) if !words.starts_with("unshare") => Failure::undecided(message),
        _ => Failure::refused(message),
    };
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn the_language_of_a_ruleset_is_recognised() {
        let json = file("{\"nftables\":[{\"metainfo\":{}}]}");
        let found = ruleset_from(json.path()).expect("json");
        assert_eq!((found.backend.as_str(), found.native["nftables"].is_array()), ("nftables", true));
        let save = file("# Generated\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1 -j DROP\nCOMMIT\n");
        let found = ruleset_from(save.path()).expect("save");
        assert!(found.backend == "iptables" && found.native.as_str().is_some_and(|text| text.contains("-j DROP")));
    }

    #[test]
    fn a_dump_of_iptables_is_a_ruleset() {
        let save = file(
            "create s hash:ip\nadd s 192.0.2.1\n*filter\n:INPUT DROP\n-A INPUT -m set --match-set s src -j ACCEPT\n",
        );
        let found = ruleset(save.path()).expect("a ruleset");
        assert_eq!((found.backend.as_str(), found.lines().count()), ("iptables", 1));
        let broken = file("*filter\n:INPUT DROP\nhello\n");
        let words = ruleset(broken.path()).expect_err("no ruleset");
        let shown = words.message.replace(&broken.path().display().to_string(), "F");
        assert_eq!((words.exit, shown.as_str()), (Exit::Undecided, "F:3: `hello` is no line of iptables-save"));
    }

    #[test]
    fn what_is_no_ruleset_is_refused() {
        let said = |text: &str| {
            let file = file(text);
            let words = ruleset_from(file.path()).expect_err(text);
            (words.exit, words.message.replace(&file.path().display().to_string(), "F"))
        };
        assert_eq!(
            said("{\"a\":1}"),
            (Exit::Undecided, "F: not a listing of nft: there is no array `nftables` at the top".into())
        );
        assert!(said("{").1.starts_with("F: not JSON: "));
        for text in ["{", "{\"a\":1}", "{\"nftables\": [{\"metainfo\": {}}, "] {
            let file = file(text);
            let words = [ruleset(file.path()).expect_err(text), ruleset_from(file.path()).expect_err(text)];
            assert_eq!(words[0].message, words[1].message);
        }
        let absent = ruleset_from(Path::new("/nowhere/rules")).expect_err("absent");
        assert!(absent.message.starts_with("/nowhere/rules: cannot be read: "));
    }
}
