//! afo-ctx: one record of what is known of this host.

use super::imported::{imported, tell, uncounted};
use super::ruleset::{of, ruleset_from};
use super::{config, known};
use crate::backend::nftables::{Imported, listing};
use crate::cli::{Command, Common, Exit, Failure, Shell};
use crate::propose::explain;
use crate::record::{By, Context, Generator, Id, LiveRuleset, Origin, Proposal, Rule, Timestamp, content_id};
use crate::sys::clock;
use crate::sys::context::{Depth, context};
use crate::sys::iptables;
use crate::sys::nft::{self, NftError};
use serde_json::Value;
use std::path::PathBuf;
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
/// Of the ruleset, the rules that AFO can say exactly stand in `ruleset.rules`; the rest is counted in `missing`. With
/// --rules they come out as one `proposal` instead, to be looked at and deployed on the way from another firewall to AFO:
/// a rule is taken over only where AFO's own decides the same about the same packets, and every other one is named on
/// stderr with the reason; what only counts or what no packet comes to decides nothing and is told as that. AFO's own
/// table, and its chains in a dump of iptables, are left out.
///
/// Examples:
///   $ afo-ctx                        what this host is
///   $ afo-ctx | afo-gen "block ssh from the guest vlan"
///   $ afo-ctx --ruleset rules.nft    with the rules of a file instead of the kernel's
///   $ afo-ctx --rules --ruleset rules.nft | afo-render --to rules
///   $ iptables-save > rules; afo-ctx --rules --ruleset rules      from iptables to AFO
///
/// Exit status:
///   0  the record is out, whatever it misses; with --rules every rule that decides about packets is in it
///   1  with --rules: not every rule that decides can be said as one of AFO's
///   2  the configuration or the ruleset FILE cannot be used
///   3  the ruleset FILE needs nft or a namespace, and there is none; with --rules also: the kernel's cannot be listed
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-ctx", version, verbatim_doc_comment)]
pub struct Args {
    /// Put the rules of FILE into the record instead of the kernel's: nft JSON, nft text, iptables-save, what the API of OPNsense replies, or a document or commands of AWS, Azure, GCP or pfSense
    ///
    /// Such a document is what `aws ec2 describe-security-groups`, `az network nsg show` or `list`, or `gcloud compute firewall-rules list
    /// --format=json` prints, or the config.xml of pfSense; it is told by what it holds. A script of `aws ec2 authorize-security-group-ingress`
    /// and `-egress`, `az network nsg rule create` or `gcloud compute firewall-rules create` is read as the rules that it makes, and no others.
    #[arg(long, value_name = "FILE", conflicts_with = "no_ruleset")]
    pub ruleset: Option<PathBuf>,
    /// Leave the rules out and start no process
    #[arg(long)]
    pub no_ruleset: bool,
    /// Put out the rules of the ruleset as one proposal instead
    #[arg(long, conflicts_with = "no_ruleset")]
    pub rules: bool,
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
        let given = self.ruleset.as_deref().map(ruleset_from).transpose()?;
        if self.rules {
            let source =
                self.ruleset.as_ref().map_or_else(|| "the kernel".to_owned(), |file| file.display().to_string());
            let is_live = given.is_none();
            return put_out_rules(shell, &given.map_or_else(listed, Ok)?, source, is_live);
        }
        let depth = if self.no_ruleset { Depth::Fast } else { Depth::Full };
        let mut found = context(&known(shell, &config), depth);
        match given {
            Some(ruleset) => add_ruleset(&mut found, ruleset, false),
            None if !self.no_ruleset => add_live_ruleset(&mut found),
            None => {}
        }
        let mut out = shell.out();
        out.record(&found);
        shell.close(&mut out)
    }
}

/// In how large a ruleset a context looks for rules that AFO can say: each is proven against those before it, and a context must not
/// keep people waiting.
const MOST_RULES: usize = 300;

/// The rules of a ruleset that is small enough to be looked through for a context.
fn imported_at_once(ruleset: &LiveRuleset) -> Result<Imported, String> {
    let objects = ruleset.native["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let in_listing = objects.iter().filter(|object| object.get("rule").is_some()).count();
    let in_dump = ruleset.native.as_str().unwrap_or_default().lines().filter(|line| line.contains("-A ")).count();
    match in_listing + in_dump {
        count if count > MOST_RULES => {
            Err(format!("its {count} rules are said as AFO's rules by `afo-ctx --rules` only"))
        }
        _ => imported(ruleset),
    }
}

/// Adds a ruleset and what of it AFO can say.
fn add_ruleset(context: &mut Context, mut ruleset: LiveRuleset, is_live: bool) {
    match imported_at_once(&ruleset) {
        Ok(mut imported) => {
            if is_live {
                in_utc(&mut imported.rules);
            }
            if let Some(first) = imported.not_said.first() {
                let count = uncounted(&imported);
                context.missing.push(format!("ruleset: {count}; the first: {}: {}", first.place, first.why));
            }
            ruleset.rules = imported.rules;
        }
        Err(words) => context.missing.push(format!("ruleset: {words}")),
    }
    context.ruleset = Some(ruleset);
}

/// Says of hours that nft listed here whose they are: it lists them in the zone of its own environment, and AFO runs it in UTC.
fn in_utc(rules: &mut [Rule]) {
    let hours = rules.iter_mut().filter_map(|rule| rule.schedule.as_mut());
    hours.filter(|hours| hours.zone.is_none()).for_each(|hours| hours.zone = Some("UTC".to_owned()));
}

/// Adds the kernel's rules, or why they are missing.
fn add_live_ruleset(context: &mut Context) {
    match live_ruleset() {
        Ok((native, true)) => add_ruleset(context, of("nftables", native), true),
        // Without their elements the sets say nothing of what the rules match.
        Ok((native, false)) => {
            context.ruleset = Some(of("nftables", native));
            context.missing.push(format!("ruleset: {}", too_slow()));
        }
        Err(words) => context.missing.push(format!("ruleset: {words}")),
    }
    for (program, v6) in [("iptables", false), ("ip6tables", true)] {
        let names = iptables::legacy_tables(v6).unwrap_or_default();
        if !names.is_empty() {
            let names = names.join(", ");
            context.missing.push(format!(
                "ruleset: tables of {program}-legacy are not nft's: {names}; {program}-legacy-save prints them"
            ));
        }
    }
}

fn too_slow() -> String {
    format!("elements of sets: listing them takes longer than {} s", PATIENCE.as_secs())
}

/// The kernel's ruleset, whole.
fn listed() -> Result<LiveRuleset, Failure> {
    match live_ruleset() {
        Ok((native, true)) => Ok(of("nftables", native)),
        Ok((_, false)) => Err(Failure::refused(too_slow()).hint("`nft -j list ruleset > FILE`, then --ruleset FILE")),
        Err(words) => Err(Failure::refused(words)),
    }
}

/// Puts out what can be said, and names what cannot.
fn put_out_rules(shell: &Shell, ruleset: &LiveRuleset, source: String, is_live: bool) -> Result<Exit, Failure> {
    let mut imported = imported(ruleset).map_err(|words| Failure::undecided(format!("{source}: {words}")))?;
    if is_live {
        in_utc(&mut imported.rules);
    }
    if imported.rules.iter().filter_map(|rule| rule.schedule.as_ref()).any(|hours| hours.zone.is_none()) {
        shell.note(&format!("{source}: its hours are taken as hours of this host's zone, in which nft lists them"));
    }
    tell(shell, &imported, &source);
    let mut out = shell.out();
    if !imported.not_said.is_empty() {
        out.ends(Exit::No);
    }
    match imported.rules.is_empty() {
        true => shell.note("there is no rule to be taken over"),
        false => out.record(&proposal(imported, source, clock::new_id(), clock::now())),
    }
    shell.close(&mut out)
}

/// The proposal of imported rules. Its id follows from them and from the time.
fn proposal(imported: Imported, source: String, run: Id, ts: Timestamp) -> Proposal {
    let ids: Vec<&[u8]> = imported.rules.iter().map(|rule| rule.id.as_str().as_bytes()).collect();
    let id = content_id(ts, &ids);
    let origin = Origin { by: By::User, request: None, assessment: None };
    let generator = Generator { provider: "import".into(), sources: vec![source], ..Generator::default() };
    Proposal {
        run: Some(run),
        ok: true,
        explanation: explain(&imported.rules, &[]),
        rules: imported.rules,
        ..Proposal::empty(id, ts, origin, generator)
    }
}

/// The kernel's rules as nft lists them in JSON, and whether the elements of sets are among them.
fn live_ruleset() -> Result<(Value, bool), String> {
    let terse = nft::list_ruleset_json_terse().map_err(|e| told(&e))?;
    let terse = listing(&terse).map_err(|e| e.to_string())?;
    if !has_sets(&terse) {
        return Ok((terse, true));
    }
    match nft::list_ruleset_json_within(PATIENCE) {
        Ok(text) => Ok((listing(&text).map_err(|e| e.to_string())?, true)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_sets_are_seen() {
        let ruleset = |object: &str| serde_json::from_str(&format!("{{\"nftables\":[{object}]}}")).expect("json");
        assert!(has_sets(&ruleset("{\"set\":{\"name\":\"a\"}}")) && has_sets(&ruleset("{\"map\":{}}")));
        assert!(!has_sets(&ruleset("{\"rule\":{\"expr\":[{\"match\":{\"right\":{\"set\":[22]}}}]}}")));
    }
}
