//! What every part of afo-deploy works with: the configuration, the state, who acts.

use super::backend::{self, Backend};
use super::elements::Elements;
use super::protect::flows;
use super::transaction::BACKEND;
use crate::cli::config::Config;
use crate::cli::{Exit, Failure, Shell};
use crate::cmd::sim::{Invariants, names_of};
use crate::cmd::{StatePlace, config, live_sight, state_place};
use crate::deploy::Flow;
use crate::packet::AddressSpec;
use crate::record::Context;
use crate::respond::NeverBlock;
use crate::state::{Access, Actor, Change, DeploymentRow, State, StateError};
use crate::sys::context::{Sight, Unseen};
use crate::sys::{clock, user};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// A machine that is about to be changed.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub state: State,
    /// The packet filter that the state's policy is in.
    pub backend: &'static dyn Backend,
    pub actor: Actor,
    pub context: Context,
    /// The firewall that the configuration names, where it names one.
    remote: Option<&'static dyn Backend>,
    /// What of this host could not be seen: whom a change would cut off is then not known.
    unseen: Vec<Unseen>,
    /// The short way of blocks into the kernel.
    pub elements: Elements,
    /// What no block may touch: what the context shows and what is configured.
    pub never: NeverBlock,
}

impl Site {
    /// Opens the state for writing.
    ///
    /// # Errors
    /// When the configuration or the state cannot be used; what changes a firewall needs a state that survives it.
    pub fn open(shell: &Shell) -> Result<Self, Failure> {
        let config = config(shell)?;
        let path = match state_place(shell, &config) {
            StatePlace::File(path) => path,
            StatePlace::None | StatePlace::Memory => {
                let words =
                    "a change of the firewall needs a state that survives it; `none` and `:memory:` are for --dry-run";
                return Err(Failure::undecided(words).hint("afo-deploy --state FILE, or afo-deploy -n"));
            }
        };
        let state = State::open(&path, Access::Write).map_err(failure)?;
        Self::with(shell, config, state)
    }

    /// As [`open`](Self::open), for a look or for a dry run: a state that is not kept, or not there yet, is an empty one.
    ///
    /// # Errors
    /// When the configuration or the state cannot be used.
    pub fn look(shell: &Shell) -> Result<Self, Failure> {
        let config = config(shell)?;
        let state = match state_place(shell, &config) {
            StatePlace::File(path) if path.exists() => State::open(&path, Access::Read),
            _ => State::memory(),
        };
        Self::with(shell, config, state.map_err(failure)?)
    }

    fn with(shell: &Shell, config: Config, state: State) -> Result<Self, Failure> {
        let held = state.setting(BACKEND).map_err(failure)?;
        let configured = Some(config.deploy.backend.as_str()).filter(|name| *name != "nftables");
        let remote = backend::remote(shell, &config);
        let backend = known(held.as_deref().or(configured).unwrap_or_else(|| backend::chosen()), remote)?;
        let Sight { context, unseen } = Sight::default();
        let never = NeverBlock::new();
        let mut elements = Elements::default();
        if backend.name() == "nftables" {
            elements.recall(&state)?;
        }
        let mut site = Self { config, state, backend, actor: actor(), context, remote, unseen, elements, never };
        site.look_around(shell);
        Ok(site)
    }

    /// Looks again at what this host is: an administrator may have come, an address may be another one.
    pub fn look_around(&mut self, shell: &Shell) {
        let Sight { context, unseen } = live_sight(shell, &self.config);
        (self.context, self.unseen) = (context, unseen);
        self.never = NeverBlock::of(&self.context);
        let respond = self.config.respond.never_block.iter().map(|a| (a, "configured in respond.never_block"));
        let management = self.config.management.networks.iter().map(|a| (a, "configured in management.networks"));
        respond.chain(management).for_each(|(addresses, why)| self.never.protect(*addresses, why));
    }

    /// The packet filter that a deployment was made in.
    ///
    /// # Errors
    /// When this program has no such backend.
    pub fn of(&self, row: &DeploymentRow) -> Result<&'static dyn Backend, Failure> {
        known(&row.backend, self.remote)
    }

    /// Takes the packet filter that the state's policy is in, where another process has put it into another one meanwhile.
    ///
    /// # Errors
    /// When the state cannot be read, or this program has no such backend.
    pub fn keep_up(&mut self) -> Result<(), Failure> {
        if let Some(name) = self.state.setting(BACKEND).map_err(failure)? {
            self.take(known(&name, self.remote)?);
        }
        Ok(())
    }

    /// Takes another packet filter for what is to come.
    ///
    /// # Errors
    /// When rules are confirmed in the one that is used (exit 1): they would stand in both.
    pub fn use_backend(&mut self, name: &str) -> Result<(), Failure> {
        let (wanted, own) =
            (if name == backend::AUTO { None } else { Some(known(name, self.remote)?) }, self.backend.name());
        let Some(wanted) = wanted.filter(|wanted| wanted.name() != own) else { return Ok(()) };
        let rules = self.state.policy_rules().map_err(failure)?.len();
        let blocks = self.state.live_blocks(clock::now()).map_err(failure)?.len();
        if rules + blocks > 0 {
            let words = format!("what is confirmed is in {}: {rules} rules, {blocks} blocks", self.backend.name());
            return Err(
                Failure::new(Exit::No, words).hint("take it out first: afo-deploy rollback, afo-deploy flush-afo")
            );
        }
        if let Some(open) = self.state.unfinished().map_err(failure)?.iter().find(|row| row.backend != wanted.name()) {
            let words = format!("deployment {} in {} has not ended", open.id, open.backend);
            return Err(Failure::new(Exit::No, words).hint("confirm it, or wait for its end: afo-deploy status"));
        }
        self.take(wanted);
        Ok(())
    }

    /// What was seen of one packet filter is nothing of another.
    fn take(&mut self, backend: &'static dyn Backend) {
        if self.backend.name() != backend.name() {
            self.elements.forget();
        }
        self.backend = backend;
    }

    /// What must hold after every change, where that is configured.
    ///
    /// # Errors
    /// When the file cannot be read or a line of it is not understood.
    pub fn invariants(&self) -> Result<Option<Invariants>, Failure> {
        let file = self.config.deploy.invariants();
        file.map(|file| Invariants::read(file, &names_of(&self.context))).transpose()
    }

    /// Every flow that must survive, both ways of each.
    ///
    /// # Errors
    /// When it is not known how this host comes to the firewall (exit 3).
    pub fn flows(&self) -> Result<Vec<Flow>, Failure> {
        let own = flows(&self.context, &self.config).into_iter();
        Ok(own.chain(self.backend.approach()?).collect())
    }

    /// Whether everything was seen that tells whom a change may not cut off.
    ///
    /// # Errors
    /// When a part of the host could not be listed (exit 3): a list of those to be spared that is too short is no list.
    pub fn is_seen(&self) -> Result<(), Failure> {
        whole(&self.unseen)
    }

    /// The protected addresses, for the kernel's own list.
    pub fn protected(&self) -> Vec<AddressSpec> {
        self.never.entries().into_iter().map(|(spec, _)| spec).collect()
    }

    /// Makes this process the only one that changes the firewall, until the value is dropped or the process dies. What a journal shows as
    /// begun while it is held was begun by a process that is dead.
    ///
    /// # Errors
    /// When another process is at it for too long (exit 3), or the lock's file cannot be made beside the state.
    pub fn hold(&self) -> Result<Hold, Failure> {
        let deadline = clock::since_boot() + PATIENCE;
        loop {
            match self.try_hold()? {
                Some(hold) => return Ok(hold),
                None if clock::since_boot() < deadline => std::thread::sleep(Duration::from_millis(20)),
                None => {
                    let who = std::fs::read_to_string(self.lock_path()).unwrap_or_default();
                    let who = who.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (pid {pid})"));
                    let words =
                        format!("another afo-deploy{who} has been changing the firewall for {} s", PATIENCE.as_secs());
                    let hint = "nothing was changed; look for it with: pgrep -a afo-deploy";
                    return Err(Failure::refused(words).hint(hint));
                }
            }
        }
    }

    /// As [`hold`](Self::hold), without waiting: nothing where another process has it.
    ///
    /// # Errors
    /// When the lock's file cannot be made beside the state.
    pub fn try_hold(&self) -> Result<Option<Hold>, Failure> {
        if self.state.path().as_os_str() == ":memory:" {
            return Ok(Some(Hold { file: None }));
        }
        let path = self.lock_path();
        let refused = |e: std::io::Error| Failure::refused(format!("cannot lock {}: {e}", path.display()));
        let mut file = File::options().create(true).read(true).append(true).open(&path).map_err(refused)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(refused(error.into())),
        }
        // Only for the words of who waits: a file system that is full takes no name.
        let (own, mut last) = (std::process::id().to_string(), String::new());
        if !file.read_to_string(&mut last).is_ok_and(|_| last == own) {
            let _ = file.set_len(0).and_then(|()| file.write_all(own.as_bytes()));
        }
        let hold = Hold { file: Some(file) };
        hold.inherited(true).map_err(refused)?;
        Ok(Some(hold))
    }

    fn lock_path(&self) -> PathBuf {
        // A state is one state by each of its names.
        let path = self.state.path();
        std::fs::canonicalize(path).as_deref().unwrap_or(path).with_extension("lock")
    }

    /// Begins a change of the state, now, on behalf of who runs the command.
    ///
    /// # Errors
    /// When the state is for reading only, was deleted, or another process keeps it locked.
    pub fn begin(&mut self) -> Result<Change<'_>, Failure> {
        self.state.begin(clock::now(), &self.actor).map_err(failure)
    }
}

/// The backend of a name: the firewall of the configuration, or one that needs none.
fn known(name: &str, remote: Option<&'static dyn Backend>) -> Result<&'static dyn Backend, Failure> {
    match remote.filter(|remote| remote.name() == name) {
        Some(remote) => Ok(remote),
        None if name == "opnsense" => Err(Failure::undecided("no OPNsense firewall is configured")
            .hint("set opnsense.url and opnsense.credentials: see afo.toml(5)")),
        None => backend::named(name),
    }
}

fn whole(unseen: &[Unseen]) -> Result<(), Failure> {
    if unseen.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = unseen.iter().map(ToString::to_string).collect();
    let words = format!("whom a change would cut off is not known: {}", words.join("; "));
    Err(Failure::refused(words).hint("nothing was changed; `afo-ctx` shows what is seen, try again when all of it is"))
}

/// The right to change the firewall, held by one process at a time.
///
/// The programs that this process runs hold it too: an nft that outlives its caller may still change the kernel, and whoever comes next
/// waits for its end.
#[derive(Debug)]
pub struct Hold {
    file: Option<File>,
}

impl Hold {
    fn inherited(&self, on: bool) -> std::io::Result<()> {
        let flags = if on { FdFlags::empty() } else { FdFlags::CLOEXEC };
        self.file.as_ref().map_or(Ok(()), |file| fcntl_setfd(file, flags)).map_err(Into::into)
    }

    /// Does what starts a process that is to live longer, which gets no part of it.
    ///
    /// # Errors
    /// What `start` says, and when the lock cannot be kept from it.
    pub fn kept<T>(&self, start: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let refused = |e: std::io::Error| Failure::refused(format!("cannot keep the lock: {e}"));
        self.inherited(false).map_err(refused)?;
        let started = start();
        self.inherited(true).map_err(refused)?;
        started
    }
}

/// How long a process waits for its turn. Each holds it for milliseconds, or while a failing heartbeat is asked.
const PATIENCE: Duration = Duration::from_secs(30);

fn actor() -> Actor {
    let user = user::current();
    Actor::user(user.name, user.uid)
}

/// A fault of the state, in the words of the command line: nothing was changed. The answer is no (exit 1), or the state could not be used (exit 3).
pub fn failure(error: StateError) -> Failure {
    let exit = if error.is_refusal() { Exit::No } else { Exit::Refused };
    let failure = Failure::new(exit, error.to_string());
    error.hint().into_iter().fold(failure, |failure, hint| failure.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::context::Part;

    #[test]
    fn a_host_that_is_not_seen_whole_is_not_changed() {
        assert!(whole(&[]).is_ok());
        let unseen = |part, why: &str| Unseen { part, why: why.to_owned() };
        let parts = [unseen(Part::Sockets, "operation not permitted"), unseen(Part::Routes6, "they changed")];
        let failure = whole(&parts).expect_err("refused");
        let words =
            "whom a change would cut off is not known: sockets: operation not permitted; IPv6 routes: they changed";
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Refused, words));
    }
}
