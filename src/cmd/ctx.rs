//! afo-ctx: one record of what is known of this host.

use super::{config, known};
use crate::cli::{Command, Common, Exit, Failure, Shell};
use crate::record::{Context, LiveRuleset};
use crate::sys::context::{Depth, context};
use crate::sys::nft::{self, NftError};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Listing a large interval set takes minutes; after this the sets are left out.
const PATIENCE: Duration = Duration::from_secs(5);

/// Put out what is known of this host
///
/// One `context` record: interfaces with addresses, VLANs, MTU, counters and state; routes and resolvers; listening
/// sockets; the administrators' sessions, which no change may cut off; zones, hosts and services by the names of the
/// configuration and by what follows from the interfaces; the packet filters that are installed; the live ruleset.
/// What could not be found out is said in `missing`; no privilege is needed for the rest.
///
/// Examples:
///   $ afo-ctx                        what this host is
///   $ afo-ctx | afo-gen "block ssh from the guest vlan"
///   $ afo-ctx --ruleset rules.nft    with the rules of a file instead of the kernel's
///
/// Exit status:
///   0  the record is out, whatever it misses
///   2  the configuration or the ruleset FILE cannot be used
///   3  the ruleset FILE needs nft or a namespace, and there is none
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-ctx", version, verbatim_doc_comment)]
pub struct Args {
    /// Put the rules of FILE into the record instead of the kernel's: nft JSON, nft text or iptables-save
    #[arg(long, value_name = "FILE", conflicts_with = "no_ruleset")]
    pub ruleset: Option<PathBuf>,
    /// Leave the rules out and start no process
    #[arg(long)]
    pub no_ruleset: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Command for Args {
    const NAME: &'static str = "afo-ctx";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let config = config(shell)?;
        let rules = self.ruleset.as_deref().map(ruleset_from).transpose()?;
        let depth = if self.no_ruleset { Depth::Fast } else { Depth::Full };
        let mut found = context(&known(shell, &config), depth);
        found.ruleset = rules;
        if self.ruleset.is_none() && !self.no_ruleset {
            add_live_ruleset(&mut found);
        }
        let mut out = shell.out();
        out.record(&found);
        shell.close(&mut out)
    }
}

/// Adds the kernel's rules, or why they are missing.
fn add_live_ruleset(context: &mut Context) {
    match live_ruleset() {
        Ok((native, whole)) => {
            context.ruleset = Some(LiveRuleset { backend: "nftables".into(), native, rules: Vec::new() });
            if !whole {
                let seconds = PATIENCE.as_secs();
                context.missing.push(format!("ruleset: elements of sets: listing them takes longer than {seconds} s"));
            }
        }
        Err(words) => context.missing.push(format!("ruleset: {words}")),
    }
}

/// The kernel's rules as nft lists them in JSON, and whether the elements of sets are among them.
fn live_ruleset() -> Result<(Value, bool), String> {
    let terse = nft::list_ruleset_json_terse().map_err(|e| told(&e))?;
    let terse = nft_json(&terse)?;
    if !has_sets(&terse) {
        return Ok((terse, true));
    }
    match nft::list_ruleset_json_within(PATIENCE) {
        Ok(text) => Ok((nft_json(&text)?, true)),
        Err(NftError::NotRun(_)) => Ok((terse, false)),
        Err(e) => Err(told(&e)),
    }
}

fn told(error: &NftError) -> String {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{error}{hint}")
}

/// Whether there is a set or a map with a name: what a terse listing shows without its elements.
fn has_sets(ruleset: &Value) -> bool {
    let objects = ruleset.get("nftables").and_then(Value::as_array);
    objects.into_iter().flatten().any(|object| object.get("set").is_some() || object.get("map").is_some())
}

fn nft_json(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("nft's listing is no JSON: {e}"))?;
    match value.get("nftables").is_some_and(Value::is_array) {
        true => Ok(value),
        false => Err("the JSON holds no list `nftables`".to_owned()),
    }
}

/// Reads the rules of a file: nft's JSON, iptables-save, or nft's text through an empty network namespace.
///
/// # Errors
/// When the file cannot be read or is none of these (exit 2), or nft or a namespace is needed and missing (exit 3).
pub fn ruleset_from(file: &Path) -> Result<LiveRuleset, Failure> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|e| Failure::undecided(format!("{name}: cannot be read: {e}")))?;
    let of = |backend: &str, native| LiveRuleset { backend: backend.into(), native, rules: Vec::new() };
    if text.trim_start().starts_with('{') {
        let native = nft_json(&text).map_err(|words| Failure::undecided(format!("{name}: {words}")))?;
        return Ok(of("nftables", native));
    }
    if is_iptables_save(&text) {
        return Ok(of("iptables", Value::String(text)));
    }
    let listed = nft::list_in_scratch(&text).map_err(|e| not_loaded(&name.to_string(), &e))?;
    nft_json(&listed)
        .map(|native| of("nftables", native))
        .map_err(|words| Failure::undecided(format!("{name}: {words}")))
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

/// Whether every line is one that iptables-save writes (comment, `*table`, `:CHAIN`, a rule, COMMIT), and a table is there.
fn is_iptables_save(text: &str) -> bool {
    let fits = |line: &str| line.is_empty() || line == "COMMIT" || line.starts_with(['#', '*', ':', '-', '[']);
    let mut lines = text.lines().map(str::trim);
    lines.clone().any(|line| line.starts_with('*')) && lines.all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert!(!is_iptables_save("table inet t {\n}\n") && !is_iptables_save("# nothing\n"));
    }

    #[test]
    fn what_is_no_ruleset_is_refused() {
        let said = |text: &str| {
            let file = file(text);
            let words = ruleset_from(file.path()).expect_err(text);
            (words.exit, words.message.replace(&file.path().display().to_string(), "F"))
        };
        assert_eq!(said("{\"a\":1}"), (Exit::Undecided, "F: the JSON holds no list `nftables`".into()));
        assert!(said("{").1.starts_with("F: nft's listing is no JSON: "));
        let absent = ruleset_from(Path::new("/nowhere/rules")).expect_err("absent");
        assert!(absent.message.starts_with("/nowhere/rules: cannot be read: "));
    }

    #[test]
    fn named_sets_are_seen() {
        let ruleset = |object: &str| serde_json::from_str(&format!("{{\"nftables\":[{object}]}}")).expect("json");
        assert!(has_sets(&ruleset("{\"set\":{\"name\":\"a\"}}")) && has_sets(&ruleset("{\"map\":{}}")));
        assert!(!has_sets(&ruleset("{\"rule\":{\"expr\":[{\"match\":{\"right\":{\"set\":[22]}}}]}}")));
    }
}
