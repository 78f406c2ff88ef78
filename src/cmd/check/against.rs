//! What a change is checked against, and what the backend's program says of it there.

use super::super::raw::{self, line_of, shortened};
use super::super::{external, variants};
use super::plain;
use crate::backend::external::PREFIX;
use crate::backend::{Backend, Document};
use crate::cli::{Failure, for_terminal};
use crate::cmd::opnsense::Api;
use crate::record::ValidationError;
use crate::rule::Id;
use crate::sys::iptables::{self as programs, RestoreError, restorer};
use crate::sys::nft::{self, NftError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What a change is checked against.
#[derive(Debug, Clone)]
pub struct Against {
    pub backend: &'static dyn Backend,
    against: Where,
    /// The names of the host's interfaces; empty where they are not known.
    pub interfaces: Vec<String>,
    /// What could not be looked at, and what stands beside.
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone)]
enum Where {
    /// The program's own check against the kernel's rules.
    Live,
    /// The API of a firewall, or nothing but what its documents may say.
    Firewall(Option<Arc<Api>>),
    /// A namespace that is thrown away, with this text loaded first, and for iptables the sets that it needs.
    Scratch { before: String, sets: String, name: String },
}

/// Whether a backend is one of iptables', and of which family.
fn of_iptables(backend: &dyn Backend) -> Option<bool> {
    match backend.name() {
        "iptables" => Some(false),
        "ip6tables" => Some(true),
        _ => None,
    }
}

/// Whether a backend's firewall is not this host.
pub(super) fn is_remote(backend: &dyn Backend) -> bool {
    backend.name() == "opnsense"
}

impl Against {
    /// The kernel's own rules.
    pub fn live(backend: &'static dyn Backend) -> Self {
        if is_remote(backend) {
            return Self::firewall(backend, None);
        }
        let remarks = of_iptables(backend).map(variants::beside).unwrap_or_default();
        Self { backend, against: Where::Live, interfaces: Vec::new(), remarks }
    }

    /// A firewall that is asked whether it answers; none is not asked.
    pub(super) fn firewall(backend: &'static dyn Backend, api: Option<Api>) -> Self {
        let against = Where::Firewall(api.map(Arc::new));
        Self { backend, against, interfaces: Vec::new(), remarks: Vec::new() }
    }

    pub(super) fn named(backend: &'static dyn Backend, word: &str, rehearse: bool) -> Result<Self, Failure> {
        if external::opened(backend.name()).is_some() && (rehearse || word != "live") {
            let words = format!("what {} would take is asked of its program, over its live rules", backend.name());
            return Err(Failure::undecided(words).hint("leave --against and --rehearse out"));
        }
        if Document::named(backend.name()).is_some() {
            return Self::document(backend, word, rehearse);
        }
        match word {
            _ if rehearse => Self::rehearsal(backend),
            "live" => Ok(Self::live(backend)),
            "none" => Ok(Self::scratch(backend, String::new(), "an empty namespace")),
            file => Self::file(backend, Path::new(file)),
        }
    }

    /// A firewall elsewhere, of which nothing is here but the form of its documents.
    fn document(backend: &'static dyn Backend, word: &str, rehearse: bool) -> Result<Self, Failure> {
        if !rehearse && ["live", "none"].contains(&word) {
            return Ok(Self::scratch(backend, String::new(), "its own form"));
        }
        let words = format!("rules of {} are checked by their form; no program here could load them", backend.name());
        Err(Failure::undecided(words)
            .hint("leave --against and --rehearse out; afo-conflicts --ruleset FILE judges them beside others"))
    }

    pub(super) fn scratch(backend: &'static dyn Backend, before: String, name: &str) -> Self {
        let against = Where::Scratch { before, sets: String::new(), name: name.to_owned() };
        Self { backend, against, interfaces: Vec::new(), remarks: Vec::new() }
    }

    fn file(backend: &'static dyn Backend, file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let mut before = std::fs::read_to_string(file)
            .map_err(|e| Failure::undecided(format!("{shown}: the ruleset cannot be read: {e}")))?;
        before.push('\n');
        let (program, hint) = match of_iptables(backend) {
            None => ("nft".to_owned(), "it must be nft's text, as `nft list ruleset` prints it".to_owned()),
            Some(v6) => (restorer(v6).to_owned(), format!("it must be a dump, as `{}-save` prints it", backend.name())),
        };
        let world = Self::scratch(backend, before, "the file's ruleset");
        match world.words("")? {
            None => Ok(world),
            Some(words) => Err(Failure::undecided(format!("{shown}: {program} does not load it: {words}")).hint(hint)),
        }
    }

    /// The live ruleset copied into a namespace, table by table: a table that does not load there is left out and named.
    fn rehearsal(backend: &'static dyn Backend) -> Result<Self, Failure> {
        let name = "a rehearsal with the live ruleset";
        let mut world = Self::scratch(backend, String::new(), name);
        let (tables, sets) = match of_iptables(backend) {
            None => (nft_tables()?, String::new()),
            Some(v6) => dumped_tables(v6)?,
        };
        if let Where::Scratch { sets: own, .. } = &mut world.against {
            *own = sets.clone();
        }
        let mut whole = String::new();
        for (table, text) in tables {
            match world.words(&text)? {
                None => whole.push_str(&text),
                Some(words) => {
                    let why = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                    world.remarks.push(format!("table {table} was not rehearsed: {why}"));
                }
            }
        }
        world.remarks.extend(of_iptables(backend).map(variants::beside).unwrap_or_default());
        world.against = Where::Scratch { before: whole, sets, name: name.to_owned() };
        Ok(world)
    }

    /// Whether it is the kernel's own rules.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.against, Where::Live)
    }

    /// What the backend's program says against a text, lines counted from the text's first; nothing where it takes it.
    ///
    /// # Errors
    /// When the program cannot be asked.
    pub fn words(&self, text: &str) -> Result<Option<String>, Failure> {
        if let Some(external) = external::opened(self.backend.name()) {
            return external.check(text);
        }
        if let Where::Firewall(api) = &self.against {
            return api.as_ref().map_or(Ok(None), |api| api.unreadable());
        }
        if let Some(document) = Document::named(self.backend.name()) {
            return Ok(document.read(text).err().map(|e| e.to_string()));
        }
        match of_iptables(self.backend) {
            None => nft_words(match &self.against {
                Where::Live => nft::check(text),
                Where::Scratch { before, .. } => nft::list_in_scratch(&format!("{before}{text}")).map(drop),
                Where::Firewall(_) => Ok(()),
            }),
            Some(v6) => iptables_words(match &self.against {
                Where::Live => programs::test(v6, text, true),
                Where::Scratch { before, sets, .. } => {
                    programs::load_in_scratch(v6, sets, &format!("{before}{text}")).map(drop)
                }
                Where::Firewall(_) => Ok(()),
            }),
        }
    }

    /// How many lines of the program's count are not the text's.
    fn offset(&self) -> usize {
        match &self.against {
            Where::Live | Where::Firewall(_) => 0,
            Where::Scratch { before, .. } => before.lines().count(),
        }
    }

    /// What looked: the program, its version, and where.
    ///
    /// # Errors
    /// When the program cannot be asked for its version.
    pub fn name(&self) -> Result<String, Failure> {
        if let Some(external) = external::opened(self.backend.name()) {
            return Ok(format!("{PREFIX}{} {}", self.backend.name(), for_terminal(&external.told().version)));
        }
        if let Where::Firewall(api) = &self.against {
            return Ok(api
                .as_ref()
                .map_or("the fields of OPNsense's API".to_owned(), |api| format!("OPNsense at {}", api.name())));
        }
        if Document::named(self.backend.name()).is_some() {
            return Ok(format!("the form of {}'s documents", self.backend.name()));
        }
        let program = match of_iptables(self.backend) {
            None => format!("nft {}", nft::version().map_err(|e| refused(&e))?),
            Some(v6) => {
                let (version, kind) = programs::kind(v6).map_err(|e| raw::refused(&e.into()))?;
                format!("{} {version} ({})", restorer(v6), kind.as_str())
            }
        };
        Ok(match &self.against {
            Where::Live | Where::Firewall(_) => program,
            Where::Scratch { name, .. } => format!("{program} in {name}"),
        })
    }

    /// The program's words, each with its place in the text and the rule that stands there.
    pub fn located(&self, words: &str, rules: &BTreeMap<usize, Id>) -> Vec<ValidationError> {
        let name = self.backend.name();
        if external::opened(name).is_some() || Document::named(name).is_some() {
            return vec![plain(for_terminal(words).into_owned())];
        }
        let place = |line: Option<usize>| {
            let line = line.and_then(|n| n.checked_sub(self.offset())).filter(|n| *n > 0);
            (line, line.and_then(|n| rules.get(&n)).cloned())
        };
        if let Some(v6) = of_iptables(self.backend) {
            let (line, rule) = place(line_of(words));
            let message = shortened(words, restorer(v6));
            return vec![ValidationError { message, rule, line, ..ValidationError::default() }];
        }
        let mut errors: Vec<ValidationError> = words.lines().filter_map(|line| located_line(line, &place)).collect();
        if errors.is_empty() {
            errors.push(plain(words.to_owned()));
        }
        errors
    }
}

/// `/dev/stdin:7:17-20: Error: …`.
fn located_line(line: &str, place: &impl Fn(Option<usize>) -> (Option<usize>, Option<Id>)) -> Option<ValidationError> {
    let (at, message) = line.split_once(": Error: ")?;
    let mut parts = at.rsplit(':');
    let column = parts.next().and_then(|range| range.split('-').next()?.parse::<usize>().ok());
    let (line, rule) = place(parts.next().and_then(|n| n.parse::<usize>().ok()));
    Some(ValidationError {
        message: message.to_owned(),
        rule,
        field: None,
        line,
        column: column.filter(|_| line.is_some()),
    })
}

fn nft_tables() -> Result<Vec<(String, String)>, Failure> {
    let mut tables = Vec::new();
    for table in nft::list(&["list", "tables"]).map_err(|e| refused(&e))?.lines() {
        let Some((family, name)) = table.strip_prefix("table ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let text = nft::list(&["list", "table", family, name]).map_err(|e| refused(&e))?;
        tables.push((format!("{family} {name}"), text));
    }
    Ok(tables)
}

/// The tables of a dump, each with its text, and the sets that rules look into.
fn dumped_tables(v6: bool) -> Result<(Vec<(String, String)>, String), Failure> {
    let (_, kind) = programs::kind(v6).map_err(|e| raw::refused(&e.into()))?;
    let dump = programs::save(kind, v6).map_err(|e| Failure::refused(e.to_string()))?;
    let sets = if dump.contains("--match-set") { programs::sets().unwrap_or_default() } else { String::new() };
    let mut tables: Vec<(String, String)> = Vec::new();
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push((name.to_owned(), String::new()));
        }
        if let Some((_, text)) = tables.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok((tables, sets))
}

fn no_namespace(words: &str) -> Failure {
    Failure::refused(format!("no namespace to load into: {words}"))
        .hint("run afo-check as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1")
}

fn nft_words(outcome: Result<(), NftError>) -> Result<Option<String>, Failure> {
    match outcome {
        Ok(()) => Ok(None),
        Err(NftError::Said(words)) if words.contains("unshare:") => Err(no_namespace(&words)),
        Err(NftError::Said(words)) => Ok(Some(words)),
        Err(other) => Err(refused(&other)),
    }
}

fn iptables_words(outcome: Result<(), RestoreError>) -> Result<Option<String>, Failure> {
    match outcome {
        Ok(()) => Ok(None),
        Err(RestoreError::Said(words)) if words.contains("unshare:") => Err(no_namespace(&words)),
        Err(RestoreError::Said(words)) => Ok(Some(words)),
        Err(other) => Err(raw::refused(&other)),
    }
}

fn refused(error: &NftError) -> Failure {
    let failure = Failure::refused(error.to_string());
    match error {
        NftError::Permission => {
            failure.hint("run `sudo afo-check`, or leave the kernel's rules out: afo-check --against none")
        }
        other => other.hint().into_iter().fold(failure, Failure::hint),
    }
}
