//! The API of one firewall: what it holds, and steps done to it as a whole or not at all.
//!
//! There is no transaction over the API: what was begun and cannot be ended is put back to what was there, and looked at again. Where that
//! fails, it is said that nobody knows (exit 5), never that nothing was changed.

use super::credentials;
use super::reply::{accepted, all_of, members};
use crate::backend::opnsense::{
    APPLY, BLOCKED_FROM, BLOCKED_TO, Listing, NAT_READS, Own, Step, filled, reads, steps, undo,
};
use crate::cli::config::Config;
use crate::cli::{Exit, Failure, Shell};
use crate::sys::http::{HttpError, Patience, Server};
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One firewall.
#[derive(Debug)]
pub struct Api {
    server: Server,
    /// Its host as it is configured.
    name: String,
}

/// Why a request failed: whether it may have been heard.
pub(super) struct Failed {
    pub(super) failure: Failure,
    heard: bool,
}

impl Api {
    /// The firewall of the configuration.
    ///
    /// # Errors
    /// When none is configured, or its key or certificate cannot be read (exit 2).
    pub fn of(shell: &Shell, config: &Config) -> Result<Self, Failure> {
        let own = &config.opnsense;
        if own.url.is_empty() {
            let hint = "set opnsense.url and opnsense.credentials: see afo.toml(5)";
            return Err(Failure::undecided("no OPNsense firewall is configured").hint(hint));
        }
        let key = credentials::read(shell, &own.credentials)?;
        let shown = own.ca.display();
        let ca = match own.ca.as_os_str().is_empty() {
            true => None,
            false => Some(
                std::fs::read(&own.ca)
                    .map_err(|e| Failure::undecided(format!("{shown}: the certificate cannot be read: {e}")))?,
            ),
        };
        let seconds = |n: u32| Duration::from_secs(n.into());
        let patience = Patience { connect: seconds(own.connect_seconds), reply: seconds(own.reply_seconds) };
        let server = Server::new(own.url.as_str(), (&key.key, &key.secret), ca.as_deref(), patience)
            .map_err(|why| Failure::undecided(format!("{shown}: no certificate can be read: {why}")))?;
        Ok(Self { server, name: own.url.authority().to_owned() })
    }

    /// Its host as it is configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This host's address on each way to it, and its own there.
    ///
    /// # Errors
    /// When it has no address now, or there is no way to it (exit 3).
    pub fn ends(&self) -> Result<Vec<(IpAddr, SocketAddr)>, Failure> {
        let refused = |why: String| {
            let words =
                format!("OPNsense at {}: {why}; which connection no change may cut off is not known", self.name);
            Failure::refused(words).hint("look at opnsense.url, and at the resolvers and routes of this host")
        };
        self.server.ends().map_err(refused)
    }

    pub(super) fn failed(&self, path: &str, error: &HttpError) -> Failed {
        let heard = !matches!(error, HttpError::Unreachable(_) | HttpError::Untrusted(_));
        let path = path.split('?').next().unwrap_or_default();
        let failure = Failure::refused(format!("OPNsense at {}: {path}: {error}", self.name));
        let hint = match error {
            HttpError::Refused { status: 401, .. } => {
                "it does not take the key: look at opnsense.credentials, and whether the key still exists"
            }
            HttpError::Refused { status: 403, .. } => {
                "the user of the key needs the privileges `Firewall: Rules: Edit`, `Firewall: Alias: Edit` and those of `Firewall: NAT`"
            }
            HttpError::Refused { status: 404, .. } => {
                "this version of OPNsense has no such request; look at opnsense.url, or update it"
            }
            HttpError::Untrusted(_) => {
                "set opnsense.ca to the certificate of its authority, or its own (System: Trust)"
            }
            HttpError::Elsewhere { .. } | HttpError::NotJson(_) => {
                "opnsense.url is to be the address of the firewall itself, with its port"
            }
            HttpError::Unreachable(_) | HttpError::Slow(_) => {
                "look at opnsense.url, and whether this host may reach it"
            }
            _ => "try again; the firewall's own log has more (System: Log Files: Backend)",
        };
        Failed { failure: failure.hint(hint), heard }
    }

    fn get(&self, path: &str) -> Result<String, Failure> {
        self.server.get(&format!("/api/{path}")).map_err(|error| self.failed(path, &error).failure)
    }

    /// As [`get`](Self::get), where older versions take the page out of the body alone.
    fn ask(&self, path: &str) -> Result<String, Failure> {
        let pairs =
            path.split_once('?').map_or("", |(_, query)| query).split('&').filter_map(|pair| pair.split_once('='));
        let body: BTreeMap<&str, &str> = pairs.collect();
        let sent = self.server.post(&format!("/api/{path}"), &json!(body).to_string());
        sent.map_err(|error| self.failed(path, &error).failure)
    }

    /// Sends a request without a body, and looks at nothing.
    pub(super) fn sent(&self, path: &str) -> Result<String, HttpError> {
        self.server.post(&format!("/api/{path}"), "{}")
    }

    /// Sends one request, and looks whether the firewall did it.
    fn post(&self, path: &str, body: &Value) -> Result<(), Failed> {
        let reply =
            self.server.post(&format!("/api/{path}"), &body.to_string()).map_err(|error| self.failed(path, &error))?;
        accepted(path, &reply).map_err(|why| {
            let words = format!("OPNsense at {}: {path}: {}", self.name, self.server.hidden(&why));
            Failed { failure: Failure::refused(words), heard: true }
        })
    }

    /// All of a list; none where this version tells no such list.
    fn told(&self, path: &str) -> Result<Option<String>, Failure> {
        let ask = |page: &str| match self.server.get(&format!("/api/{page}")) {
            Err(HttpError::Refused { status: 404, .. }) => Err(None),
            told => told.map_err(|error| Some(self.failed(page, &error).failure)),
        };
        match all_of(path, ask) {
            Ok(reply) => Ok(Some(reply)),
            Err(None) => Ok(None),
            Err(Some(failure)) => Err(failure),
        }
    }

    /// What it holds.
    ///
    /// # Errors
    /// When it does not tell (exit 3).
    pub fn listing(&self) -> Result<Listing, Failure> {
        let [rules, aliases] = reads().map(|path| all_of(path, |page| self.get(page)));
        let nat =
            NAT_READS.into_iter().filter_map(|path| self.told(path).transpose()).collect::<Result<Vec<_>, _>>()?;
        Listing::read(&rules?, Some(&aliases?))
            .and_then(|listing| listing.with_nat(&nat))
            .map_err(|e| Failure::refused(format!("OPNsense at {}: {}", self.name, self.server.hidden(&e.to_string()))))
    }

    /// Why AFO could not work with what it holds.
    ///
    /// # Errors
    /// As [`listing`](Self::listing).
    pub fn unreadable(&self) -> Result<Option<String>, Failure> {
        let live = self.listing()?;
        Ok(Own::read(&live).err())
    }

    /// The members of an alias of AFO's that pf has now; none where there is no such alias.
    ///
    /// # Errors
    /// As [`listing`](Self::listing).
    pub fn members(&self, live: &Listing, alias: &str) -> Result<BTreeSet<IpNet>, Failure> {
        if live.aliases.get(alias).is_none() {
            return Ok(BTreeSet::new());
        }
        let path = format!("firewall/alias_util/list/{alias}?");
        let reply = all_of(&path, |page| self.ask(page))?;
        members(&reply).map_err(|why| {
            Failure::refused(format!("OPNsense at {}: the members of {alias}: {}", self.name, self.server.hidden(&why)))
        })
    }

    /// Does all steps of a text, or none: what was begun and failed is put back.
    ///
    /// # Errors
    /// With exit 3 where nothing was changed, 4 where it is put back, 5 where that is not known.
    pub fn load(&self, text: &str) -> Result<(), Failure> {
        let steps = steps(text).map_err(|line| Failure::refused(format!("line {line} is no request to OPNsense")))?;
        if steps.is_empty() {
            return Ok(());
        }
        let before = self.listing()?;
        let blocked = match steps.iter().any(adds) {
            true => [self.members(&before, BLOCKED_FROM)?, self.members(&before, BLOCKED_TO)?],
            false => Default::default(),
        };
        let mut savepoint = None;
        for (n, step) in steps.iter().enumerate() {
            if *step == Step::Savepoint {
                savepoint = self.savepoint();
            }
            if let Err(failed) = self.step(&filled(step, savepoint.as_ref())) {
                let done = &steps[..n + usize::from(failed.heard)];
                let failure = self.put_back(failed.failure, &before, &blocked, done);
                if let Some(savepoint) = savepoint.filter(|_| done.contains(&Step::plain(APPLY))) {
                    self.let_be(&savepoint.revision);
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Ends the timer of a savepoint where what it would bring back is there already; that it fails is told.
    pub fn let_be(&self, revision: &str) {
        if let Err(failure) = self.keep(revision) {
            tracing::warn!("{}; within a minute the firewall may bring back what is there already", failure.message);
        }
    }

    /// Does steps that are never put back: what fails is done again from what is found then.
    ///
    /// # Errors
    /// When one is not done (exit 5 where others were): those behind it are not done.
    pub fn go_on(&self, steps: &[Step]) -> Result<(), Failure> {
        for (n, step) in steps.iter().enumerate() {
            self.step(step).map_err(|failed| match n == 0 && !failed.heard {
                true => failed.failure,
                false => Failure { exit: Exit::Unknown, ..failed.failure }
                    .hint("afo-deploy recover, when the firewall answers"),
            })?;
        }
        Ok(())
    }

    fn step(&self, step: &Step) -> Result<(), Failed> {
        match step {
            Step::Savepoint => Ok(()),
            Step::Post { path, body } => self.post(path, body),
            Step::Try { path, body } => {
                if let Err(failed) = self.post(path, body) {
                    tracing::warn!("connections that are open may go on: {}", failed.failure.message);
                }
                Ok(())
            }
            Step::Others(hash) => {
                let now = self.listing().map_err(|failure| Failed { failure, heard: false })?;
                if now.others() == *hash {
                    return Ok(());
                }
                let words = format!(
                    "OPNsense at {}: somebody else changed its rules or aliases since they were looked at",
                    self.name
                );
                Err(Failed {
                    failure: Failure::refused(words).hint("nothing of it is overwritten; try again"),
                    heard: false,
                })
            }
        }
    }

    /// Puts back what the steps of `done` changed; the failure with how that went.
    fn put_back(&self, why: Failure, before: &Listing, blocked: &[BTreeSet<IpNet>; 2], done: &[Step]) -> Failure {
        let requests: Vec<&Step> = done.iter().filter(|step| matches!(step, Step::Post { .. })).collect();
        if requests.is_empty() {
            return why;
        }
        match self.put_back_to(before, blocked, &requests) {
            Ok(false) => why,
            Ok(true) => {
                Failure { exit: Exit::PutBack, message: format!("{}; what was begun is put back", why.message), ..why }
            }
            Err(failed) => {
                let words = format!("{}; whether the rest is as it was is not known: {}", why.message, failed.message);
                Failure { exit: Exit::Unknown, message: words, ..why }
                    .hint("afo-deploy recover, when the firewall answers")
            }
        }
    }

    /// Whether anything had to be put back.
    fn put_back_to(&self, before: &Listing, blocked: &[BTreeSet<IpNet>; 2], done: &[&Step]) -> Result<bool, Failure> {
        let now = self.listing()?;
        let mut steps = undo(before, &now);
        let applied = done
            .iter()
            .any(|step| matches!(step, Step::Post { path, .. } if path == APPLY || path.ends_with("/reconfigure")));
        if applied {
            steps.push(Step::plain(APPLY));
        }
        for (alias, before) in [BLOCKED_FROM, BLOCKED_TO].into_iter().zip(blocked) {
            let new: Vec<IpNet> = self.members(&now, alias)?.difference(before).copied().collect();
            let sent = |net: &IpNet| done.iter().any(|step| adds_to(step, alias, net));
            let path = format!("firewall/alias_util/delete/{alias}");
            steps.extend(
                new.into_iter().filter(sent).map(|net| Step::post(path.clone(), json!({ "address": spelled(net) }))),
            );
        }
        for step in &steps {
            self.step(step).map_err(|failed| failed.failure)?;
        }
        match undo(before, &self.listing()?).is_empty() {
            true => Ok(!steps.is_empty()),
            false => Err(Failure::refused("it was put back, and is not what it was")),
        }
    }
}

/// A network as a member of an alias.
pub fn spelled(net: IpNet) -> String {
    crate::packet::AddressSpec::from(net).to_string()
}

fn adds(step: &Step) -> bool {
    matches!(step, Step::Post { path, .. } if path.starts_with("firewall/alias_util/add/"))
}

fn adds_to(step: &Step, alias: &str, net: &IpNet) -> bool {
    let Step::Post { path, body } = step else { return false };
    path.strip_prefix("firewall/alias_util/add/") == Some(alias) && body["address"].as_str() == Some(&spelled(*net))
}
