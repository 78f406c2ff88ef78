//! `afo status` and `afo backends`: what AFO holds, and which packet filters there are.

use super::external::{self, External};
use super::opnsense::Api;
use super::{StatePlace, config, known, state_place, variants};
use crate::backend::{self, Document};
use crate::cli::config::Config;
use crate::cli::{Exit, Failure, Shell};
use crate::record::{Answer, Backend, Context, Status, Timestamp};
use crate::state::{Access, Block, DeploymentRow, Span, State, StateError};
use crate::sys::clock;
use crate::sys::context::{Depth, context};
use std::fs;
use std::path::Path;

/// Where afo-daemon writes its process id when it runs as root.
pub const DAEMON_PID: &str = "/run/afo/daemon.pid";

/// `afo status`: an `answer` made from the state; 0 also when nothing was ever deployed.
///
/// # Errors
/// When the configuration is wrong or the state cannot be read.
pub fn run(shell: &Shell) -> Result<Exit, Failure> {
    let config = config(shell)?;
    let answer = match held(&state_place(shell, &config))? {
        Some(held) => held.answer(clock::now(), &config),
        None => Held::default().answer(clock::now(), &config),
    };
    let mut out = shell.out();
    out.record(&answer);
    shell.close(&mut out)
}

/// What the state says of the firewall.
#[derive(Debug, Default)]
struct Held {
    rules: usize,
    blocks: Vec<Block>,
    unfinished: Vec<DeploymentRow>,
    last: Option<DeploymentRow>,
}

fn held(place: &StatePlace) -> Result<Option<Held>, Failure> {
    let StatePlace::File(path) = place else { return Ok(None) };
    match State::open(path, Access::Read).and_then(|state| read(&state)) {
        Ok(held) => Ok(Some(held)),
        Err(StateError::Missing { .. }) => Ok(None),
        Err(e) => {
            let failure = Failure::refused(e.to_string());
            Err(e.hint().into_iter().fold(failure, Failure::hint))
        }
    }
}

fn read(state: &State) -> Result<Held, StateError> {
    let now = clock::now();
    let rules = state.policy_rules()?;
    Ok(Held {
        rules: rules.iter().filter(|rule| rule.expires.is_none_or(|end| end > now)).count(),
        blocks: state.live_blocks(now)?,
        unfinished: state.unfinished()?,
        last: state.deployments(&Span::default())?.pop(),
    })
}

impl Held {
    fn answer(&self, now: Timestamp, config: &Config) -> Answer {
        let open: Vec<_> = self.unfinished.iter().filter(|row| row.status == Status::Applied).collect();
        let window = match open.len() {
            0 => "no change waits for its confirmation".to_owned(),
            1 => "a change waits for its confirmation".to_owned(),
            n => format!("{n} changes wait for their confirmation"),
        };
        let text = format!("{}, {}; {window}", counted(self.rules, "rule"), counted(self.blocks.len(), "block"));
        let mut evidence: Vec<String> = open.iter().map(|row| window_words(row)).collect();
        evidence.extend(self.blocks.iter().take(10).map(|block| block_words(block, now)));
        evidence.extend((self.blocks.len() > 10).then(|| "the others: `afo deploy list`".to_owned()));
        evidence
            .extend(self.last.as_ref().map(|row| format!("last change {} {} {}", row.id, row.status.as_str(), row.ts)));
        evidence.push(format!("autonomy {}", config.respond.autonomy.as_str()));
        evidence.push(daemon(Path::new(DAEMON_PID)));
        Answer { text, evidence, ..Answer::default() }
    }
}

/// `1 block`, `2 blocks`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn window_words(row: &DeploymentRow) -> String {
    let end = row.confirm_by.map(|end| format!(" before {end}")).unwrap_or_default();
    format!("change {}: `afo deploy confirm {}`{end}, or it goes away", row.id, row.id)
}

fn block_words(block: &Block, now: Timestamp) -> String {
    let left = block.remaining(now).map_or("without end".to_owned(), |seconds| format!("for {seconds} s more"));
    format!("{} is blocked {left}: {}", block.address, block.reason)
}

/// Whether the process that the file names is alive and is afo-daemon.
fn daemon(file: &Path) -> String {
    let pid = fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let line = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    match pid.filter(|pid| String::from_utf8_lossy(&line(*pid)).contains("afo-daemon")) {
        Some(pid) => format!("afo-daemon runs as process {pid}"),
        None => "afo-daemon does not run".to_owned(),
    }
}

/// `afo backends`: for people a line each, else a `context` record with nothing but the backends. What a filter can comes behind its kind;
/// `missing` has what stands beside and changes what rules do.
///
/// # Errors
/// When the configuration is wrong or the output cannot be written.
pub fn backends(shell: &Shell) -> Result<Exit, Failure> {
    let config = config(shell)?;
    let mut found = context(&known(shell, &config), Depth::Full);
    found.missing.extend(firewall(shell, &config, &mut found.backends));
    let mut backends = found.backends;
    if let Some((at, why)) = backend::chosen(&backends) {
        backends[at].chosen = Some(why);
    }
    backends.extend(elsewhere(&backends));
    for found in &mut backends {
        let own = backend::named(&found.name).map(|own| own.capabilities()).unwrap_or_default();
        found.capabilities.extend(own.iter().map(|capability| capability.as_str().to_owned()));
    }
    let (externals, silent) = externals();
    backends.extend(externals);
    let of_backends = |missing: &String| missing.starts_with("backends: ");
    let mut missing: Vec<String> = found.missing.into_iter().filter(of_backends).collect();
    missing.extend(silent);
    missing.extend(beside(&backends).into_iter().map(|words| format!("backends: {words}")));
    let mut out = shell.out();
    if out.is_text() {
        let style = out.style();
        let text: String = lines(&backends, &missing).iter().map(|line| style.plain(line) + "\n").collect();
        out.text(&text);
    } else {
        out.record(&Context { backends, missing, ts: found.ts, ..Context::default() });
    }
    shell.close(&mut out)
}

/// The firewalls elsewhere that AFO writes for, beside the one that the configuration names.
fn elsewhere(found: &[Backend]) -> Vec<Backend> {
    let one = |name: &str| Backend {
        name: name.to_owned(),
        version: None,
        active: false,
        capabilities: Vec::new(),
        program: None,
        chosen: None,
    };
    let documents = backend::DOCUMENTS.into_iter().map(backend::Backend::name);
    let names = std::iter::once("opnsense").chain(documents);
    names.filter(|name| found.iter().all(|own| own.name != *name)).map(one).collect()
}

/// The backends that are programs of their own, as each says what it can; and what those say that do not.
fn externals() -> (Vec<Backend>, Vec<String>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (name, program) in external::programs() {
        match External::ask(&name, &program) {
            Ok(external) => found.push(Backend {
                name,
                version: Some(external.told().version.clone()),
                active: false,
                capabilities: external.told().capabilities.iter().map(|can| can.as_str().to_owned()).collect(),
                program: Some(external.program().display().to_string()),
                chosen: None,
            }),
            Err(failure) => missing.push(format!("backends: {}", failure.message)),
        }
    }
    (found, missing)
}

/// Adds the firewall that the configuration names; what could not be asked of it.
fn firewall(shell: &Shell, config: &Config, backends: &mut Vec<Backend>) -> Option<String> {
    if config.opnsense.url.is_empty() {
        return None;
    }
    let listing = Api::of(shell, config).and_then(|api| api.listing());
    let active = listing.as_ref().is_ok_and(|live| live.entries.iter().any(|entry| entry.is_on("enabled")));
    backends.push(Backend {
        name: "opnsense".to_owned(),
        version: None,
        active,
        capabilities: Vec::new(),
        program: None,
        chosen: None,
    });
    listing.err().map(|failure| format!("backends: {failure}"))
}

/// What is live beside the programs of iptables, where their own rules are.
fn beside(backends: &[Backend]) -> Vec<String> {
    let programs = [("iptables", false), ("ip6tables", true)];
    let there =
        programs.into_iter().filter(|(name, _)| backends.iter().any(|found| found.name == *name && found.active));
    there.flat_map(|(_, v6)| variants::beside(v6)).collect()
}

fn lines(backends: &[Backend], missing: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = backends.iter().map(backend_words).collect();
    if lines.is_empty() {
        lines.push("no packet filter is installed".to_owned());
    }
    let chosen = backends.iter().find_map(|found| Some((&found.name, found.chosen.as_ref()?)));
    lines.extend(chosen.map(|(name, why)| format!("chosen: {name}: {why}")));
    lines.extend(missing.iter().map(|words| words.trim_start_matches("backends: ").to_owned()));
    lines
}

fn backend_words(found: &Backend) -> String {
    let version = found.version.as_deref().unwrap_or("?");
    if let Some(program) = &found.program {
        let can = found.capabilities.join(", ");
        return format!("{:<11}{version:<9}{:<16}{program} says that it can: {can}", found.name, "not looked at");
    }
    if found.name == "opnsense" && !found.active {
        let can = found.capabilities.join(", ");
        return format!(
            "{:<11}{:<9}{:<16}AFO writes for it over its API (opnsense.url): {can}",
            found.name, "-", "elsewhere"
        );
    }
    if Document::named(&found.name).is_some() {
        let can = found.capabilities.join(", ");
        return format!("{:<11}{:<9}{:<16}AFO writes and reads its documents: {can}", found.name, "-", "elsewhere");
    }
    let active = if found.active { "holds rules" } else { "holds no rules" };
    let written = match backend::named(&found.name) {
        Some(_) => format!("AFO writes for it: {}", found.capabilities.join(", ")),
        None => "AFO only sees it".to_owned(),
    };
    format!("{:<11}{version:<9}{active:<16}{written}", found.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_deployed_is_an_answer() {
        let now = Timestamp::UNIX_EPOCH;
        let answer = Held::default().answer(now, &Config::default());
        assert_eq!(answer.text, "0 rules, 0 blocks; no change waits for its confirmation");
        assert_eq!(answer.evidence[0], "autonomy propose");
        let absent = StatePlace::File("/nowhere/afo/state.db".into());
        assert!(held(&absent).expect("no state is no failure").is_none());
    }

    #[test]
    fn a_process_of_another_name_is_no_daemon() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        std::io::Write::write_all(&mut file, std::process::id().to_string().as_bytes()).expect("written");
        assert_eq!(daemon(file.path()), "afo-daemon does not run");
        assert_eq!(daemon(Path::new("/nowhere/pid")), "afo-daemon does not run");
    }

    #[test]
    fn what_afo_writes_for_is_told() {
        let backend = |name: &str, capabilities: &[&str]| Backend {
            name: name.into(),
            version: None,
            active: true,
            capabilities: capabilities.iter().map(|word| (*word).to_owned()).collect(),
            program: None,
            chosen: (name == "nftables").then(|| "why".to_owned()),
        };
        let found = [backend("nftables", &["ipv4"]), backend("iptables", &["legacy", "ipv4"]), backend("ufw", &[])];
        assert_eq!(
            lines(&found, &["backends: something".to_owned()]),
            [
                "nftables   ?        holds rules     AFO writes for it: ipv4",
                "iptables   ?        holds rules     AFO writes for it: legacy, ipv4",
                "ufw        ?        holds rules     AFO only sees it",
                "chosen: nftables: why",
                "something"
            ]
        );
        assert_eq!(lines(&[], &[]), ["no packet filter is installed"]);
    }
}
