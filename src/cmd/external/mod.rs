//! Backends that are programs of their own, `afo-backend-NAME`: found in PATH, run without arguments, asked by lines (afo-backend(7)).
//!
//! Nothing that one says is trusted: an answer that the contract does not have ends the talk, and a change is looked at afterwards.

pub mod selftest;
mod session;

pub use session::{Listed, Session, refusal};

use crate::backend::external::{self as contract, PREFIX, Told, is_name};
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::cli::Failure;
use crate::record::{BackendRequest, Placement, Verb};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Id, Rule};
use crate::sys::lookup;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// How long a backend may take to say what it is.
const SOON: Duration = Duration::from_secs(10);

/// A backend that is a program of its own, and what it says of itself.
#[derive(Debug)]
pub struct External {
    /// It is asked for by places that keep names for ever; there are as many as programs.
    name: &'static str,
    program: PathBuf,
    told: Told,
    capabilities: &'static [Capability],
}

/// Those that were asked, each once for this process.
static OPENED: Mutex<BTreeMap<String, &'static External>> = Mutex::new(BTreeMap::new());

#[allow(clippy::disallowed_methods)] // where programs are looked for is read here and nowhere else
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// The program of a name, where there is one.
pub fn program(name: &str) -> Option<PathBuf> {
    is_name(name).then(|| lookup::find(&format!("{PREFIX}{name}"), &search_path())).flatten()
}

/// Every program that is one by its name, with that.
pub fn programs() -> Vec<(String, PathBuf)> {
    let found = lookup::all(PREFIX, &search_path());
    found.into_iter().filter(|(name, _)| is_name(name)).collect()
}

/// The backend of a name that was opened before.
pub fn opened(name: &str) -> Option<&'static External> {
    OPENED.lock().ok()?.get(name).copied()
}

/// The backend of a name, asked what it is; nothing where there is no such program.
///
/// # Errors
/// When its program is not safe to run, or does not say what it is (exit 3).
pub fn open(name: &str) -> Result<Option<&'static External>, Failure> {
    if let Some(known) = opened(name) {
        return Ok(Some(known));
    }
    let Some(program) = program(name) else { return Ok(None) };
    let external: &'static External = Box::leak(Box::new(External::ask(name, &program)?));
    if let Ok(mut opened) = OPENED.lock() {
        opened.insert(name.to_owned(), external);
    }
    Ok(Some(external))
}

impl External {
    /// Runs a program for what it is and can.
    ///
    /// # Errors
    /// As [`open`].
    pub fn ask(name: &str, program: &Path) -> Result<Self, Failure> {
        lookup::is_safe(program).map_err(|why| {
            Failure::refused(format!("{PREFIX}{name} is not run: {why}"))
                .hint(format!("sudo chown root {0}; sudo chmod go-w {0}", program.display()))
        })?;
        let mut session = Session::start(name, program, SOON)?;
        let reply = session.done(BackendRequest::of(Verb::Capabilities))?;
        let told = contract::capabilities(&reply, name).map_err(|fault| session.failed(&fault.to_string()))?;
        let capabilities = Vec::leak(told.capabilities.clone());
        Ok(Self { name: String::leak(name.to_owned()), program: program.to_owned(), told, capabilities })
    }

    /// Where its program is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What it says of itself.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Begins to talk with it.
    ///
    /// # Errors
    /// When it cannot be started (exit 3).
    pub fn session(&self) -> Result<Session, Failure> {
        Session::start(self.name, &self.program, Duration::from_secs(self.told.seconds.into()))
    }

    /// The rules in the order in which it is given them.
    ///
    /// # Errors
    /// Every rule that it cannot have.
    pub fn ordered(&self, rules: &[Rule]) -> Result<Vec<Rule>, Vec<Refused>> {
        contract::ordered(rules, self.capabilities, self.name)
    }

    /// Whether it keeps blocks as elements that it ends by itself.
    pub fn ends_blocks(&self) -> bool {
        self.capabilities.contains(&Capability::Timeout)
    }

    /// The rules in its own language, in the order of [`ordered`](Self::ordered).
    ///
    /// # Errors
    /// What it refuses; or that it cannot be asked (the outer error, exit 3).
    pub fn written(&self, session: &mut Session, rules: &[Rule]) -> Result<Result<String, Vec<Refused>>, Failure> {
        let order = match self.ordered(rules) {
            Ok(order) => order,
            Err(refused) => return Ok(Err(refused)),
        };
        let rules: Vec<Rule> = order.iter().map(|rule| contract::without_end(rule, self.capabilities)).collect();
        session.render(rules)
    }

    /// What it says against a text; nothing where it would take it.
    ///
    /// # Errors
    /// When it cannot be asked (exit 3).
    pub fn check(&self, native: &str) -> Result<Option<String>, Failure> {
        let errors = self.session()?.check(native)?;
        Ok(errors.map(|errors| errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ")))
    }
}

/// A fault of the program, told of the first rule that it was asked to write.
fn faulty(rules: &[Rule], failure: &Failure) -> Vec<Refused> {
    let nobody: Id = "afo".parse().expect("three letters are an id");
    let rule = rules.first().map_or(nobody, |rule| rule.id.clone());
    vec![Refused { rule, field: "backend", value: String::new(), cause: failure.message.clone() }]
}

impl Backend for External {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> &'static [Capability] {
        self.capabilities
    }

    fn render(&self, rules: &[Rule], _: Extent) -> Result<Native, Vec<Refused>> {
        let written = self.session().and_then(|mut session| self.written(&mut session, rules));
        let text = written.map_err(|failure| faulty(rules, &failure))??;
        let place = |rule: &Rule| Placement {
            rule: rule.id.clone(),
            place: self.name.to_owned(),
            why: format!("{PREFIX}{} puts it there", self.name),
        };
        let placement = self.ordered(rules)?.iter().map(place).collect();
        Ok(Native { text, json: None, placement, lines: BTreeMap::new(), elsewhere: Vec::new() })
    }

    fn model(&self, _: &Native) -> Result<Ruleset, String> {
        Err(format!("only {PREFIX}{} reads its own text", self.name))
    }
}
