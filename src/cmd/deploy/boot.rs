//! The files that bring the confirmed policy back at boot, before the network is there and the state is mounted: one for nft, or one for each
//! program of iptables.
//!
//! They are written when a policy is confirmed, after the kernel holds it and before the journal says so, each whole or not at all; recovery
//! writes them again where they are not what was confirmed. Blocks are not in them, nor is what lets something through for a time, which may be
//! over by then: they come back with the state, each for the rest of its time.

use super::site::{Site, failure};
use super::transaction::{GENERATION, rules};
use crate::cli::Failure;
use crate::cli::config::replace;
use crate::cmd::SYSTEM_STATE;
use crate::record::Rule;
use crate::state::PolicyRule;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The system's file for nft. The others have their own endings.
const SYSTEM_FILE: &str = "/etc/afo/boot.nft";

/// The endings of the files, by the program that loads each.
const KINDS: [&str; 3] = ["nft", "iptables", "ip6tables"];

/// The generation that the files bring back, and the hash of what they held when they were written. Each change of policy is a new generation.
const WRITTEN: &str = "boot_file";

const HEAD: &str = "# What afo-deploy confirmed, for afo-boot.service. It is written anew with every change of the rules: do not edit.\n";

fn place(site: &Site, kind: &str) -> PathBuf {
    let configured = site.config.deploy.boot_file.as_path();
    let first = match site.state.path() {
        _ if !configured.as_os_str().is_empty() => configured.to_owned(),
        state if state == Path::new(SYSTEM_STATE) => PathBuf::from(SYSTEM_FILE),
        state => state.with_extension("boot.nft"),
    };
    if kind == KINDS[0] { first } else { first.with_extension(kind) }
}

/// The hash of the files that are there.
fn hash(site: &Site) -> String {
    let mut hash = Sha256::new();
    for bytes in KINDS.iter().filter_map(|kind| std::fs::read(place(site, kind)).ok()) {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the files for a policy that the kernel has just confirmed. What goes wrong is told and does not undo the confirmation: recovery tries
/// again, and brings the policy back by itself once the state is there.
pub fn keep(site: &mut Site, policy: &[PolicyRule], generation: u64) {
    if let Err(failed) = write(site, policy, generation) {
        tracing::warn!("{failed}: until `afo-deploy recover` has written it, the rules come back late after a reboot");
    }
}

fn write(site: &mut Site, policy: &[PolicyRule], generation: u64) -> Result<(), Failure> {
    let texts = site.backend.boot(&at_boot(rules(policy)), generation)?;
    for kind in KINDS {
        let path = place(site, kind);
        match texts.iter().find(|(own, _)| *own == kind) {
            Some((_, text)) => replace(&path, &format!("{HEAD}{text}"))
                .map_err(|e| Failure::refused(format!("cannot write {}: {e}", path.display())))?,
            // Another backend's: its rules are not to come back beside these.
            None => take_away(&path)?,
        }
    }
    let written = format!("{generation} {}", hash(site));
    let change = site.begin()?;
    change.set(WRITTEN, &written).map_err(failure)?;
    change.commit().map_err(failure)
}

/// A policy as it comes back at boot: what lets something through for a time stays out until recovery knows what is left of it, and keeps its
/// place, which others may stand beside. A table from a boot file is never whole, so that recovery writes it anew.
fn at_boot(policy: Vec<Rule>) -> Vec<Rule> {
    let stays = |rule: &Rule| rule.enabled && (rule.ttl_seconds.is_none() || rule.action.denies());
    policy.into_iter().map(|rule| Rule { enabled: stays(&rule), ..rule }).collect()
}

/// Writes the files again where they are not what was confirmed.
///
/// # Errors
/// When the state cannot be read. A file that cannot be written is told.
pub fn renew(site: &mut Site) -> Result<(), Failure> {
    let generation = site.state.setting(GENERATION).map_err(failure)?.and_then(|text| text.parse::<u64>().ok());
    let Some(generation) = generation else { return Ok(()) };
    let written = site.state.setting(WRITTEN).map_err(failure)?.unwrap_or_default();
    if written != format!("{generation} {}", hash(site)) {
        let policy = site.state.policy_rules().map_err(failure)?;
        keep(site, &policy, generation);
    }
    Ok(())
}

/// Takes the files away: nothing of AFO is to come back.
///
/// # Errors
/// When one is there and cannot be taken away.
pub fn remove(site: &Site) -> Result<(), Failure> {
    KINDS.iter().try_for_each(|kind| take_away(&place(site, kind)))
}

fn take_away(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::refused(format!("cannot take {} away: {e}", path.display()))
                .hint("it would bring the rules back at boot"))
        }
        _ => Ok(()),
    }
}
