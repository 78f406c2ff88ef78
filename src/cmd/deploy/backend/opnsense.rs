//! An OPNsense firewall over its API: generations of rules in its configuration, which pf takes with one `apply`.
//!
//! Nothing on the firewall is relied on to close a window. The watchdog of the journal takes a change back; where the firewall still has
//! savepoints (before 26.7), a short window has one of them as a second guard, which is ended when the first has done its part. A savepoint
//! that cannot be had, whatever the answer, is told and missed by nobody; a timer that may run and cannot be ended forbids confirming. And
//! what held before is still there, switched off; where somebody took it away, the journal has it. What AFO cannot reach it cannot take back,
//! so a change that would cut this host off from the API is refused like any other lockout.

use super::judge::judged;
use super::{Arming, Backend, Install, Wanted, occupied};
use crate::backend::Refused;
use crate::backend::nftables::{Ban, Block};
use crate::backend::opnsense::{
    self as documents, BLOCKED_FROM, BLOCKED_TO, Known, LONGEST, Listing, Own, Policy, Step, block_steps, decides,
    looked_up, text, unblock_steps, with_policy,
};
use crate::cli::config::Config;
use crate::cli::{Exit, Failure, Shell};
use crate::cmd::opnsense::{Api, known};
use crate::deploy::{Flow, Kernel};
use crate::packet::{AddressSpec, PortRange, Protocol};
use crate::record::Rule;
use crate::rule::Direction;
use crate::rule::ruleset::Ruleset;
use crate::sys::clock;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The firewall of the configuration.
#[derive(Debug)]
pub struct Opnsense {
    api: Result<Api, Failure>,
    known: Known,
}

fn joined(refused: &[Refused]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// AFO's part of a listing, of which no window may be open.
fn no_window(live: &Listing) -> Result<Own<'_>, Failure> {
    let own = own(live)?;
    if own.window().is_some() { Err(occupied()) } else { Ok(own) }
}

fn own(live: &Listing) -> Result<Own<'_>, Failure> {
    Own::read(live).map_err(|why| Failure::refused(why).hint("take AFO out and begin anew: afo-deploy flush-afo"))
}

/// The connections of this program to the API.
fn way(here: IpAddr, there: SocketAddr) -> Flow {
    Flow {
        what: format!("the way of afo-deploy to the API of OPNsense at {there}"),
        direction: Direction::Input,
        source: Some(AddressSpec::single(here)),
        destination: Some(AddressSpec::single(there.ip())),
        protocol: Protocol::TCP,
        source_port: PortRange::new(32768, 65535).ok(),
        destination_port: Some(PortRange::single(there.port())),
        icmp: &[],
    }
}

impl Opnsense {
    /// The firewall that is configured; what is wrong with its configuration is said when it is used.
    pub fn of(shell: &Shell, config: &Config) -> Self {
        Self { api: Api::of(shell, config), known: known(config) }
    }

    fn api(&self) -> Result<&Api, Failure> {
        self.api.as_ref().map_err(Clone::clone)
    }

    fn listing(&self) -> Result<Listing, Failure> {
        self.api()?.listing()
    }

    fn policy(&self, rules: &[Rule]) -> Result<Policy, String> {
        Policy::of(rules, &self.known).map_err(|refused| joined(&refused))
    }

    /// A policy that the state holds, which could be had when it was deployed.
    fn held(&self, rules: &[Rule]) -> Result<Policy, Failure> {
        self.policy(rules).map_err(|words| Failure::new(Exit::No, words))
    }
}

impl Backend for Opnsense {
    fn name(&self) -> &'static str {
        "opnsense"
    }

    fn place(&self) -> String {
        self.api.as_ref().map_or_else(|_| "OPNsense".to_owned(), |api| format!("OPNsense at {}", api.name()))
    }

    fn is_of_this_kernel(&self) -> bool {
        false
    }

    fn closes_windows(&self) -> bool {
        false
    }

    fn observe(&self) -> Result<Kernel, Failure> {
        let live = self.listing()?;
        let own = own(&live)?;
        let window = own.window();
        let whole = match looked_up(&live) {
            Some(false) => false,
            _ if own.is_there() => own.is_whole(),
            blocks => blocks.is_some(),
        };
        let armed = window.as_ref().is_some_and(|window| clock::now() < window.until);
        Ok(Kernel { whole, settled: own.settled(), window: window.map(|window| window.generation), armed })
    }

    fn base(&self) -> Result<String, Failure> {
        Ok(self.listing()?.whole())
    }

    fn changes(&self) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    fn backup(&self) -> Result<String, Failure> {
        let live = self.listing()?;
        Ok(own(&live)?.backup())
    }

    fn live(&self) -> Result<Ruleset, Failure> {
        Ok(documents::read(&self.listing()?))
    }

    fn approach(&self) -> Result<Vec<Flow>, Failure> {
        let ends = self.api()?.ends()?.into_iter();
        // Through loopback another program leads there, and what it is seen as is not known.
        Ok(ends.filter(|(_, there)| !there.ip().is_loopback()).map(|(here, there)| way(here, there)).collect())
    }

    fn bans(&self, rule: &Rule) -> Result<Vec<Block>, Vec<String>> {
        let words = |refused: Vec<Refused>| refused.iter().map(ToString::to_string).collect::<Vec<_>>();
        let backend = documents::Opnsense { known: self.known.clone() };
        let blocks = backend.bans(rule).map_err(words)?;
        if blocks.is_empty() {
            let alone = Rule { position: crate::rule::Position::Auto, ..rule.clone() };
            Policy::of(std::slice::from_ref(&alone), &self.known).map_err(words)?;
        }
        Ok(blocks)
    }

    fn banned(&self) -> Result<Option<Vec<Ban>>, Failure> {
        let (api, live) = (self.api()?, self.listing()?);
        let from = api.members(&live, BLOCKED_FROM)?.into_iter().map(Ban::Source);
        let to = api.members(&live, BLOCKED_TO)?.into_iter().map(Ban::Destination);
        Ok(Some(from.chain(to).collect()))
    }

    fn order<'a>(&self, policy: &'a [Rule]) -> Result<Vec<&'a Rule>, String> {
        Policy::order(policy).map_err(|refused| refused.to_string())
    }

    fn model(&self, live: &Ruleset, policy: &[Rule]) -> Result<Ruleset, String> {
        let listing = match live.tables.is_empty() {
            true => Listing::default(),
            false => self.listing().map_err(|failure| failure.message)?,
        };
        with_policy(&listing, policy, &self.known).map_err(|refused| joined(&refused))
    }

    fn judged(&self, live: &Ruleset, after: &[Rule], added: &[Rule]) -> Option<Option<String>> {
        Some(match self.model(live, after) {
            Ok(model) => judged(&model, added, |_, chain, line| decides(chain, line)),
            Err(why) => Some(why),
        })
    }

    fn arm(&self, wanted: &Wanted) -> Result<Arming, Failure> {
        let live = self.listing()?;
        let own = no_window(&live)?;
        let (old, new) = (own.settled(), own.next());
        let seconds = i64::try_from(wanted.window).unwrap_or(i64::MAX);
        let until = clock::now().checked_add(SignedDuration::from_secs(seconds));
        let until = until.map_err(|_| Failure::undecided("the window ends beyond the calendar"))?;
        let documents = self.held(wanted.policy)?.numbered(new, &live);
        let apply = text(&own.arm(&documents, new, until, wanted.window <= LONGEST));
        let revert = format!(
            "# by the watchdog, unless it is confirmed: the rules of generation {new} go, those before it are switched on\n{}",
            text(&[Step::plain(documents::APPLY)])
        );
        Ok(Arming { old, new, contents: Vec::new(), apply, revert })
    }

    fn install(&self, policy: &[Rule], _: &[AddressSpec]) -> Result<Install, Failure> {
        let live = self.listing()?;
        let own = no_window(&live)?;
        let generation = own.next();
        let documents = self.held(policy)?.numbered(generation, &live);
        Ok(Install { generation, contents: Vec::new(), apply: text(&own.install(&documents, generation)) })
    }

    fn load(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() { Ok(()) } else { self.api()?.load(text) }
    }

    fn confirm(&self, _: &[Rule]) -> Result<(), Failure> {
        let live = self.listing()?;
        if let Some(revision) = own(&live)?.window().and_then(|window| window.savepoint) {
            self.api()?.keep(&revision)?;
        }
        // Looked at again: its timer may have been faster.
        let live = self.listing()?;
        let own = own(&live)?;
        if own.window().is_none_or(|window| window.until <= clock::now()) {
            return Err(Failure::new(Exit::PutBack, "the window is over"));
        }
        self.api()?.go_on(&own.confirm())
    }

    fn take_back(&self, before: Option<&[Rule]>) -> Result<(), Failure> {
        let live = self.listing()?;
        let own = own(&live)?;
        let before = before.map(|rules| self.held(rules)).transpose()?;
        let documents = before.zip(own.settled()).map(|(policy, generation)| policy.numbered(generation, &live));
        self.api()?.go_on(&own.take_back(documents.as_deref()))?;
        if let Some(revision) = own.window().and_then(|window| window.savepoint) {
            self.api()?.let_be(&revision);
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), Failure> {
        let live = self.listing()?;
        let own = own(&live)?;
        if own.settled().is_some() || own.window().is_some() { Ok(()) } else { self.flush() }
    }

    fn boot(&self, _: &[Rule], _: u64) -> Result<Vec<(&'static str, String)>, Failure> {
        Ok(Vec::new())
    }

    fn block(&self, blocks: &[Block], _: &[AddressSpec]) -> Result<String, Failure> {
        if blocks.is_empty() { Ok(String::new()) } else { Ok(text(&block_steps(blocks, &self.listing()?))) }
    }

    fn unblock(&self, bans: &[Ban]) -> Result<String, Failure> {
        let live = if bans.is_empty() { return Ok(String::new()) } else { self.listing()? };
        let there = |ban: &&Ban| documents::member(ban).is_some_and(|(alias, _)| live.aliases.get(alias).is_some());
        let there: Vec<Ban> = bans.iter().filter(there).copied().collect();
        Ok(text(&unblock_steps(&there)))
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let mut counters = BTreeMap::new();
        for entry in self.listing()?.own().filter(|entry| entry.is_on("enabled")) {
            if let (Some(tag), Ok(packets)) = (entry.tag(), entry.get("packets").parse::<u64>()) {
                *counters.entry(tag.rule.to_string()).or_insert(0) += packets;
            }
        }
        Ok(counters)
    }

    fn flush(&self) -> Result<(), Failure> {
        let live = self.listing()?;
        let window = Own::read(&live).ok().and_then(|own| own.window());
        if let Some(revision) = window.and_then(|window| window.savepoint) {
            self.api()?.let_be(&revision);
        }
        self.api()?.go_on(&documents::remove(&live))
    }
}
