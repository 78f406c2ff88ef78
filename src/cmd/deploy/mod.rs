//! afo-deploy: proposals into the kernel, in one transaction, taken back unless somebody confirms.
//!
//! It trusts no enrichment of a record: what is applied is computed here from the rules. Every step is in the state and the
//! audit trail before it is done, and the rollback is the kernel's own, so that it survives the death of every process.

pub(super) mod approval;
mod backend;
mod blocks;
mod boot;
mod caps;
mod desk;
mod doors;
mod elements;
mod ending;
mod foreign;
mod plan;
mod protect;
mod recover;
mod show;
pub(super) mod site;
mod split;
mod stage;
mod transaction;
mod undo;
mod watchdog;
mod window;

use crate::cli::config::Placement;
use crate::cli::{Command, Common, Exit, Failure, Shell};
use crate::cmd::config;
use crate::packet::AddressSpec;
use crate::record::Id;
use crate::respond::Autonomy;
use site::Site;
use std::collections::BTreeSet;

/// Apply proposals in one transaction and take them back unless they are confirmed
///
/// Reads proposals, proves each from its rules alone, and loads them into AFO's own table. A change of policy holds
/// for a window; unless `afo-deploy confirm` comes before its end, the kernel itself goes back to what was there,
/// whichever process has died meanwhile. Blocks for a time are applied at once and end by themselves.
/// What would cut off the administrator's own connection is refused.
///
/// Examples:
///   echo "block ssh from 203.0.113.0/24" | afo-gen | afo-deploy --confirm=60
///   afo-deploy confirm
///   afo-watch | afo-assess | afo-gen | afo-deploy --autonomy auto
///   afo-deploy unblock 203.0.113.9
///
/// Exit status:
///   0  done
///   1  refused, or a person must decide; nothing was changed
///   2  a bad record or wrong usage; nothing was changed
///   3  no permission, no nft, or the kernel or the state refused; nothing was changed
///   4  it was changed and is put back
///   5  it was changed and is not put back, or that is not known
#[derive(Debug, clap::Parser)]
#[command(name = "afo-deploy", version, verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Take the change back unless confirmed in time [default: 30]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, value_parser = seconds)]
    confirm: Option<Option<u32>>,
    /// What is done without a person: alert, propose or auto
    ///
    /// Of what answers a threat, `alert` only tells, `propose` also records, `auto` applies blocks for a time. Default: respond.autonomy of
    /// the configuration; auto with --confirm, which a person types.
    #[arg(long, value_name = "LEVEL", value_parser = autonomy)]
    autonomy: Option<Autonomy>,
    /// Print the text to be loaded and to be put back, change nothing
    ///
    /// A set of 4096 addresses or more is told by their number: they go in before the text.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// The packet filter to write for [default: where the rules are, else deploy.backend]
    ///
    /// `iptables` and `ip6tables` are the same: AFO's chains stand first in the filter tables of both, and a rule of both families goes into both.
    /// There a window ends by the kernel's clock (the `time` match, xt_time), blocks for a time are elements of ipsets, and connections that
    /// begin inside a window which is taken back go on where older rules let them. `opnsense` is the firewall of the configuration (`opnsense.url`),
    /// over its API: the watchdog takes a window back (a savepoint of the firewall too, where it has any and the
    /// window is of 50 seconds at most), blocks are members of aliases that `afo-deploy expire` and `recover` take out, and
    /// connections that it knows pass before any rule. `auto` takes nftables where nft is installed. Any other NAME is
    /// a program `afo-backend-NAME` in PATH (see afo-backend(7)): there the window is kept by the watchdog alone, and blocks for a time are
    /// elements that the program ends, or rules that `afo-deploy expire` takes out.
    #[arg(long, value_name = "BACKEND", value_parser = backend::Names, hide_short_help = true)]
    backend: Option<String>,
    /// Where allows are made true: own, or foreign chains too [default: deploy.placement]
    ///
    /// An accept of AFO's ends AFO's own chain, and a later chain of another program may drop the packet: such a change is refused with `own`.
    /// With `foreign` AFO puts one rule first into each chain that drops, together with the change and for as long as it: it accepts what carries
    /// the mark that AFO's accepts set (`meta mark & 0x10000000 == 0x10000000 accept`), and nothing by itself. It goes when the change is taken
    /// back, and is put back where that program loads its rules anew; from a reboot on the chain is closed until `afo-deploy recover` has run
    /// (afo-recover.service). Chains of iptables, firewalld and Docker are left to those: the refusal
    /// names the command that does it there. For nftables only.
    #[arg(long, value_name = "CHAINS", value_parser = placement, hide_short_help = true)]
    placement: Option<Placement>,
    /// Allow the rule ID to cut off an administrator's connection
    #[arg(long, value_name = "ID", hide_short_help = true)]
    allow_lockout: Vec<Id>,
    #[command(subcommand)]
    task: Option<Task>,
}

/// What else can be done with deployments.
#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Keep a change for good
    Confirm { id: Option<Id> },
    /// Take a change back
    Rollback { id: Option<Id> },
    /// Show what waits for confirmation and what is in the kernel
    Status,
    /// List rules and blocks with counters, time left and reason
    List,
    /// Bring kernel and state together after a crash, a reboot or a flush
    ///
    /// What the boot file leaves out comes back with it: blocks, allows for a time, and what lets allows through other programs' chains.
    Recover,
    /// End blocks and rules that have had their time
    Expire,
    /// End the block of an address or network
    Unblock {
        address: AddressSpec,
        /// It was blocked wrongly: do not count it as an offence
        #[arg(long)]
        mistake: bool,
    },
    /// Remove all of AFO from the kernel, the panic button
    FlushAfo,
    /// Watch the kernel and put back what another program removes
    ///
    /// With the id of a deployment: see its window to its end, which afo-deploy starts by itself.
    Guard { id: Option<Id> },
}

fn seconds(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|seconds| (1..=31_536_000).contains(seconds));
    number.ok_or_else(|| "a number of seconds from 1 to 31536000 (a year) is allowed".to_owned())
}

fn autonomy(text: &str) -> Result<Autonomy, String> {
    let level = [Autonomy::Alert, Autonomy::Propose, Autonomy::Auto].into_iter().find(|level| level.as_str() == text);
    level.ok_or_else(|| "alert, propose and auto are allowed".to_owned())
}

fn placement(text: &str) -> Result<Placement, String> {
    let found = [Placement::Own, Placement::Foreign].into_iter().find(|placement| placement.as_str() == text);
    found.ok_or_else(|| "own and foreign are allowed".to_owned())
}

impl Command for Args {
    const NAME: &'static str = "afo-deploy";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        if let Some(task) = &self.task {
            return self.of_deployment().map_or_else(|| task.run(shell), |flag| Err(beside_a_task(flag)));
        }
        // A mistake in the configuration is told before anything is read.
        config(shell)?;
        let mut deployer = stage::Deployer::new(shell, &self);
        let mut out = shell.out();
        let exit = shell.filter_into(&mut deployer, &mut out);
        // What was deployed stands, whether or not somebody still reads of it.
        exit.map(|exit| if exit == Exit::ClosedPipe { out.exit() } else { exit })
    }
}

impl Args {
    /// The first flag that is about what is read, where there is one.
    fn of_deployment(&self) -> Option<&'static str> {
        let given = [
            (self.confirm.is_some(), "--confirm"),
            (self.autonomy.is_some(), "--autonomy"),
            (self.dry_run, "--dry-run"),
            (self.backend.is_some(), "--backend"),
            (self.placement.is_some(), "--placement"),
            (!self.allow_lockout.is_empty(), "--allow-lockout"),
        ];
        given.into_iter().find_map(|(given, flag)| given.then_some(flag))
    }
}

fn beside_a_task(flag: &str) -> Failure {
    Failure::undecided(format!("{flag} is for proposals that are read, and stands beside no other task"))
        .hint("leave it out; see --help")
}

impl Task {
    fn run(&self, shell: &Shell) -> Result<Exit, Failure> {
        match self {
            Self::FlushAfo => flush(shell),
            Self::Guard { id } => watchdog::guard(shell, id.as_ref()),
            Self::Status => show::status(shell),
            Self::List => show::list(shell),
            Self::Confirm { id } => undo::confirm(shell, id.as_ref()),
            Self::Rollback { id } => undo::rollback(shell, id.as_ref()),
            Self::Recover => told(shell, recover::recover),
            Self::Expire => told(shell, recover::expire),
            Self::Unblock { address, mistake } => {
                let mut site = Site::open(shell)?;
                let _hold = site.hold()?;
                recover::recover(&mut site)?.tell(shell, &mut shell.out());
                let count = blocks::lift(&mut site, address, *mistake)?;
                tracing::info!(%address, count, "unblocked");
                Ok(Exit::Clean)
            }
        }
    }
}

/// Runs a task over the state and says on stderr what it did, where it did something.
fn told(shell: &Shell, task: fn(&mut Site) -> Result<recover::Done, Failure>) -> Result<Exit, Failure> {
    let mut site = Site::open(shell)?;
    let _hold = site.hold()?;
    let mut out = shell.out();
    task(&mut site)?.tell(shell, &mut out);
    shell.close(&mut out)
}

/// Lets others go on for a moment.
fn pause<T>() -> Option<T> {
    std::thread::sleep(std::time::Duration::from_millis(100));
    None
}

/// The panic button: AFO's table goes as a whole. The state learns of it where it can be opened, and names another backend where there is one.
fn flush(shell: &Shell) -> Result<Exit, Failure> {
    // Of this host AFO goes without a configuration; what is elsewhere only the configuration knows. What one of them refuses stops no other.
    let remote = config(shell).ok().and_then(|config| backend::remote(shell, &config));
    let site = Site::open(shell);
    // Who is at work meanwhile would put it back; a panic does not wait for who stays.
    let turn = |site: &Site| (0..20).find_map(|_| site.try_hold().ok().flatten().or_else(pause));
    let _hold = site.as_ref().ok().and_then(turn);
    let all = undo::everywhere(site.as_ref().ok(), remote);
    let mut kept = Vec::new();
    for backend in &all {
        kept.extend(backend.flush().err().map(|failed| (backend.name(), failed)));
    }
    let places: BTreeSet<String> = all.iter().map(|backend| backend.place()).collect();
    let free = format!("nothing of AFO is left in {}", places.into_iter().collect::<Vec<_>>().join(" and "));
    let journalled = site.map(|mut site| {
        // What is still there is still in the journal.
        if kept.iter().any(|(name, _)| *name == site.backend.name()) { Ok(()) } else { undo::forget(&mut site) }
    });
    let whole = kept.len() == all.len();
    if let Some((_, failed)) = kept.into_iter().next() {
        let exit = if whole { failed.exit } else { Exit::Unknown };
        return Err(Failure { exit, ..failed });
    }
    match journalled {
        Ok(Ok(())) => Ok(Exit::Clean),
        Ok(Err(failure)) => {
            let words = format!("{free}; the state could not be told, and would put it back: {failure}");
            Err(Failure::new(Exit::Unknown, words)
                .hint("afo-deploy flush-afo once more, when the state can be written"))
        }
        Err(failure) => {
            shell.note(&format!("{free}; the state could not be told: {failure}"));
            Ok(Exit::Clean)
        }
    }
}
