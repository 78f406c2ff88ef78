//! The seam between a deployment and the packet filter that it changes: how a backend is looked at, armed, confirmed, put back.
//!
//! A deployment knows no command of any packet filter; a backend knows nothing of journals, windows and people. Each change that a
//! backend makes holds as a whole or not at all. A backend that cannot say what is in the kernel says so with an error, never with a guess.

mod external;
mod iptables;
pub mod judge;
mod nftables;
mod opnsense;

use super::elements::Elements;
use crate::backend::external::is_name;
use crate::backend::nftables::{Ban, Block, Content, Door};
use crate::cli::config::Config;
use crate::cli::{Failure, Shell};
use crate::cmd::live_ruleset;
use crate::deploy::{Flow, Kernel};
use crate::packet::AddressSpec;
use crate::record::Rule;
use crate::rule::doorway::Doorway;
use crate::rule::ruleset::Ruleset;
use crate::sys::changes::count;
use crate::sys::elements::network;
use crate::sys::nft::{self, NftError};
use crate::sys::process::installed;
use crate::sys::{contents, iptables as programs};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::io;
use std::sync::{Mutex, PoisonError};

/// How the ids begin of rules that stand for what others filter by: see [`Backend::closed`].
pub const OTHERS: &str = "afo-others-";

/// A policy that is to hold for a window.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The whole policy, in its order.
    pub policy: &'a [Rule],
    /// Seconds.
    pub window: u64,
    /// Addresses that no block may touch, for the filter's own list.
    pub protected: &'a [AddressSpec],
    /// Whether flows that begin inside the window are cut when it lapses: something that was kept out may get in.
    pub remember: bool,
    /// Chains of other programs that are to let through what the policy accepts, for as long as it holds.
    pub doors: &'a [Doorway],
}

/// How a policy is armed and taken back: the backend's own text.
#[derive(Debug, Clone)]
pub struct Arming {
    /// The generation that holds without a window.
    pub old: Option<u64>,
    /// The one that holds inside it.
    pub new: u64,
    /// What [`Backend::fill`] is to be given before.
    pub contents: Vec<Content>,
    /// What [`Backend::load`] is to be given.
    pub apply: String,
    /// What takes it back, for people to read: [`Backend::take_back`] makes its own from what it finds.
    pub revert: String,
}

/// A policy that is to hold at once.
#[derive(Debug, Clone)]
pub struct Install {
    pub generation: u64,
    /// As of an [`Arming`].
    pub contents: Vec<Content>,
    pub apply: String,
}

/// A packet filter that deployments change.
///
/// Every method that changes something fails without having changed anything. [`Failure`] carries words, next step and exit status.
pub trait Backend: Debug + Sync {
    /// The name in `--backend` and in the journal.
    fn name(&self) -> &'static str;

    /// Where its rules are, in the words of messages.
    fn place(&self) -> String {
        "the kernel".to_owned()
    }

    /// Whether its rules are this kernel's: the connections of this host then go through them.
    fn is_of_this_kernel(&self) -> bool {
        true
    }

    /// Whether the filter itself ends a window that nobody confirms, whichever process has died.
    fn closes_windows(&self) -> bool {
        true
    }

    /// Whether what it takes back takes with it the connections that began in the window.
    fn cuts_flows(&self) -> bool {
        false
    }

    /// What recovery needs to know of the kernel, asked afresh each time.
    ///
    /// # Errors
    /// When the kernel cannot be asked, or its answer makes no sense.
    fn observe(&self) -> Result<Kernel, Failure>;

    /// Whether blocks for a time are kept and asked about, where [`Backend::observe`] alone cannot tell that there should be some.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    fn looks_up_blocks(&self) -> Result<bool, Failure> {
        Ok(true)
    }

    /// What tells two rulesets apart, other programs' rules included: a hash of the rules without their counters, and of the elements that
    /// other programs' sets, maps and verdict maps hold for good. AFO's blocks do not count, nor what comes and goes by itself: the elements
    /// of sets with a timeout and of those that rules fill.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn base(&self) -> Result<String, Failure>;

    /// A number that each change of rules raises by one, whoever makes it; none where there is no such number.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn changes(&self) -> Result<Option<u64>, Failure>;

    /// How this program comes to a filter that is not on this host, by each of its addresses: no change may cut that off.
    ///
    /// # Errors
    /// When it has no address now: nobody knows then what is to be spared.
    fn approach(&self) -> Result<Vec<Flow>, Failure> {
        Ok(Vec::new())
    }

    /// What AFO has in the kernel as the filter's own text, without the elements of live sets; empty where there is nothing.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn backup(&self) -> Result<String, Failure>;

    /// The bans that a rule comes to, each an element that ends by itself; none where it is policy.
    ///
    /// # Errors
    /// Every reason why the rule cannot be had here.
    fn bans(&self, rule: &Rule) -> Result<Vec<Block>, Vec<String>>;

    /// The bans that the filter holds, where it does not end them by itself; nothing where it does.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn banned(&self) -> Result<Option<Vec<Ban>>, Failure> {
        Ok(None)
    }

    /// The rules in the order in which they will stand. Disabled ones stay out.
    ///
    /// # Errors
    /// Why the policy cannot be had here.
    fn order<'a>(&self, policy: &'a [Rule]) -> Result<Vec<&'a Rule>, String>;

    /// The rules of everybody that packets pass, which a policy is judged beside.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn live(&self) -> Result<Ruleset, Failure> {
        live_ruleset()
    }

    /// `live` with `policy` in place of what AFO has there of policy, for judging it before it is loaded.
    ///
    /// # Errors
    /// Why the policy cannot be had here, or cannot be judged.
    fn model(&self, live: &Ruleset, policy: &[Rule]) -> Result<Ruleset, String>;

    /// The model of `policy` where everything else is denied; nothing where [`live`](Self::live) shows what is. Whoever cannot read the rules
    /// of others judges with both: they may let through all that AFO does not decide about, or nothing of it.
    fn closed(&self, _policy: &[Rule]) -> Option<Result<Ruleset, String>> {
        None
    }

    /// Why one of `added` would not do what it says where `after` is the policy; nothing where the backend leaves that to be judged as rules
    /// of AFO's own table.
    fn judged(&self, _live: &Ruleset, _after: &[Rule], _added: &[Rule]) -> Option<Option<String>> {
        None
    }

    /// Why this backend puts no door into a chain of another program, and what a person can do there for `rules`; nothing where it does.
    fn bars(&self, _live: &Ruleset, way: &Doorway, _rules: &[Rule]) -> Option<String> {
        Some(format!("{} puts nothing into chain `{way}` of another program", self.name()))
    }

    /// The doors of AFO's in chains of other programs.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn doors(&self) -> Result<Vec<Door>, Failure> {
        Ok(Vec::new())
    }

    /// Puts doors into chains where they were, and takes out others.
    ///
    /// # Errors
    /// When the filter refuses.
    fn move_doors(&self, _back: &[Doorway], _gone: &[Door]) -> Result<(), Failure> {
        Ok(())
    }

    /// Why what `policy` accepts may not go through other programs' chains as it did when it was armed: somebody else uses what AFO knows it
    /// by there. Nothing where it goes through none.
    ///
    /// # Errors
    /// When a rule cannot be had here, or as [`observe`](Self::observe).
    fn contested(&self, _policy: &[Rule]) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    /// The text that arms a policy: it holds until it is confirmed or its window ends.
    ///
    /// # Errors
    /// When a window is open, a rule cannot be had here, or as [`observe`](Self::observe).
    fn arm(&self, wanted: &Wanted) -> Result<Arming, Failure>;

    /// The text that puts a policy in place of the one that holds, at once.
    ///
    /// # Errors
    /// As [`arm`](Self::arm).
    fn install(&self, policy: &[Rule], protected: &[AddressSpec]) -> Result<Install, Failure>;

    /// Fills sets that decide nothing until a rule looks them up.
    ///
    /// # Errors
    /// When the filter refuses; sets may be left, which [`tidy`](Self::tidy) takes away.
    fn fill(&self, _contents: &[Content]) -> Result<(), Failure> {
        Ok(())
    }

    /// Takes out what a change left that never came to be, where no window is open; `policy` is the one that stands.
    ///
    /// # Errors
    /// When the filter refuses.
    fn tidy(&self, _policy: &[Rule]) -> Result<(), Failure> {
        Ok(())
    }

    /// Loads a text of this backend.
    ///
    /// # Errors
    /// When the filter refuses.
    fn load(&self, text: &str) -> Result<(), Failure>;

    /// Makes the armed policy, which is `after`, the one that holds. Fails where the window is over.
    ///
    /// # Errors
    /// When the filter refuses.
    fn confirm(&self, after: &[Rule]) -> Result<(), Failure>;

    /// Takes the armed policy out, its window open or over; what is not there is no error. `before` is the policy that stays, where it is known.
    ///
    /// # Errors
    /// When the filter refuses.
    fn take_back(&self, before: Option<&[Rule]>) -> Result<(), Failure>;

    /// Takes away what is left of AFO where it has no policy there: what stands is as if it had never been. Bans go with it.
    ///
    /// # Errors
    /// When the filter refuses.
    fn remove(&self) -> Result<(), Failure>;

    /// Texts that bring a policy back at boot before the network is there, without the journal, each with the name of the program that loads
    /// it; none where a backend has another way.
    ///
    /// # Errors
    /// When a rule cannot be had here.
    fn boot(&self, policy: &[Rule], generation: u64) -> Result<Vec<(&'static str, String)>, Failure>;

    /// The text that gives bans their time, there already or not.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn block(&self, blocks: &[Block], protected: &[AddressSpec]) -> Result<String, Failure>;

    /// Gives bans their time, as the text of [`block`](Self::block) does, by the shortest way that the backend has.
    ///
    /// # Errors
    /// When the filter refuses: none of them has a new time then.
    fn ban(&self, _: &mut Elements, blocks: &[Block], protected: &[AddressSpec]) -> Result<(), Failure> {
        self.load(&self.block(blocks, protected)?)
    }

    /// The text that ends bans, there or not; empty where there is nothing to be done.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn unblock(&self, bans: &[Ban]) -> Result<String, Failure>;

    /// Packets by rule id.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    fn counters(&self) -> Result<BTreeMap<String, u64>, Failure>;

    /// Removes all of AFO from the kernel.
    ///
    /// # Errors
    /// When the filter refuses.
    fn flush(&self) -> Result<(), Failure>;
}

/// Every backend of this host that can be deployed to.
pub static ALL: [&dyn Backend; 2] = [&nftables::Nftables, &iptables::Iptables];

/// The backend of this name, where it can be deployed to. Both programs of iptables are one: a rule of both families goes into both.
/// What AFO itself cannot deploy to, a program `afo-backend-NAME` may.
///
/// # Errors
/// When there is such a program and it is not safe to run, or does not say what it is; or when nothing deploys there (exit 3).
pub fn named(name: &str) -> Result<&'static dyn Backend, Failure> {
    let own = if name == "ip6tables" { "iptables" } else { name };
    match ALL.into_iter().find(|backend| backend.name() == own) {
        Some(backend) => Ok(backend),
        None => external::named(name),
    }
}

/// The firewall that the configuration names, which this host reaches over its API; kept to the end of the process. Nothing where there is none.
pub fn remote(shell: &Shell, config: &Config) -> Option<&'static dyn Backend> {
    if config.opnsense.url.is_empty() {
        return None;
    }
    let firewall: &'static opnsense::Opnsense = Box::leak(Box::new(opnsense::Opnsense::of(shell, config)));
    Some(firewall)
}

/// What may stand behind `--backend`, beside the NAME of a program `afo-backend-NAME`.
pub const NAMES: [&str; 5] = ["nftables", "iptables", "ip6tables", "opnsense", AUTO];

/// The names that may stand behind `--backend`: of [`NAMES`] help and completions tell.
#[derive(Debug, Clone)]
pub struct Names;

impl TypedValueParser for Names {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        match value.to_str().filter(|name| is_name(name)) {
            Some(name) => Ok(name.to_owned()),
            None => PossibleValuesParser::new(NAMES).parse_ref(command, argument, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(NAMES.into_iter().map(PossibleValue::new)))
    }
}

/// The name that leaves the choice to this program.
pub const AUTO: &str = "auto";

/// The name of the backend that is chosen where nothing is deployed yet: nftables, or iptables where nft is not installed and it is.
pub fn chosen() -> &'static str {
    let nft = installed("nft").is_some() || !programs::is_there(false);
    if nft { "nftables" } else { "iptables" }
}

/// Puts the rules and the lasting elements of nftables into the hash of a base; nothing where nft does not list them.
///
/// # Errors
/// The outer one when the elements cannot be listed, the inner one when the rules cannot.
fn nft_base(hash: &mut Sha256) -> Result<Result<(), NftError>, Failure> {
    let listing = match nft::list(&["-s", "-t", "-j", "list", "ruleset"]) {
        Ok(listing) => listing,
        Err(error) => return Ok(Err(error)),
    };
    hash.update(listing.as_bytes());
    let unlisted = |e| Failure::refused(format!("cannot list what other programs' sets hold: {e}"));
    hash.update(lasting_elements().map_err(unlisted)?);
    Ok(Ok(()))
}

/// The hash of what other programs' sets and maps hold for good. A change asks for it several times, and a million elements take the kernel
/// ten seconds: what was listed holds as long as the kernel counts no change.
fn lasting_elements() -> io::Result<[u8; 32]> {
    static LISTED: Mutex<Option<(String, u32, [u8; 32])>> = Mutex::new(None);
    let mut listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    let (network, before) = (network(), count()?);
    if let Some((_, _, hash)) = listed.as_ref().filter(|(of, at, _)| *of == network && *at == before) {
        return Ok(*hash);
    }
    let hash = contents::hash("afo")?;
    *listed = (count()? == before).then_some((network, before, hash));
    Ok(hash)
}

/// What the kernel shows where no window is open: one change waits at a time.
///
/// # Errors
/// When a change waits for its confirmation, or the kernel cannot be asked.
pub fn no_window(backend: &dyn Backend) -> Result<Kernel, Failure> {
    let kernel = backend.observe()?;
    if kernel.window.is_some() { Err(occupied()) } else { Ok(kernel) }
}

/// The refusal of a second window.
pub fn occupied() -> Failure {
    Failure::refused("another change is waiting for its confirmation").hint("afo-deploy status")
}
