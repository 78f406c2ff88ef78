//! The file that brings the confirmed policy back at boot, before the network is there and the state is mounted.
//!
//! It is written when a policy is confirmed, after the kernel holds it and before the journal says so, whole or not at all; recovery writes
//! it again where it is not what was confirmed. Blocks are not in it: they come back with the state, each for the rest of its time.

use super::site::{Site, failure};
use super::transaction::{GENERATION, rules};
use crate::cli::Failure;
use crate::cli::config::replace;
use crate::cmd::SYSTEM_STATE;
use crate::state::PolicyRule;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The system's file.
const SYSTEM_FILE: &str = "/etc/afo/boot.nft";

/// The generation that the file brings back, and the hash of what it held when it was written. Each change of policy is a new generation.
const WRITTEN: &str = "boot_file";

const HEAD: &str = "# What afo-deploy confirmed, for afo-boot.service. It is written anew with every change of the rules: do not edit.\n";

fn place(site: &Site) -> PathBuf {
    let configured = site.config.deploy.boot_file.as_path();
    match site.state.path() {
        _ if !configured.as_os_str().is_empty() => configured.to_owned(),
        state if state == Path::new(SYSTEM_STATE) => PathBuf::from(SYSTEM_FILE),
        state => state.with_extension("boot.nft"),
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the file for a policy that the kernel has just confirmed. What goes wrong is told and does not undo the confirmation: recovery tries
/// again, and brings the policy back by itself once the state is there.
pub fn keep(site: &mut Site, policy: &[PolicyRule], generation: u64) {
    if let Err(failed) = write(site, policy, generation) {
        tracing::warn!("{failed}: until `afo-deploy recover` has written it, the rules come back late after a reboot");
    }
}

fn write(site: &mut Site, policy: &[PolicyRule], generation: u64) -> Result<(), Failure> {
    let path = place(site);
    let Some(text) = site.backend.boot(&rules(policy), generation)? else { return Ok(()) };
    let text = format!("{HEAD}{text}");
    replace(&path, &text).map_err(|e| Failure::refused(format!("cannot write {}: {e}", path.display())))?;
    let change = site.begin()?;
    change.set(WRITTEN, &format!("{generation} {}", hash(text.as_bytes()))).map_err(failure)?;
    change.commit().map_err(failure)
}

/// Writes the file again where it is not what was confirmed.
///
/// # Errors
/// When the state cannot be read. A file that cannot be written is told.
pub fn renew(site: &mut Site) -> Result<(), Failure> {
    let generation = site.state.setting(GENERATION).map_err(failure)?.and_then(|text| text.parse::<u64>().ok());
    let Some(generation) = generation else { return Ok(()) };
    let written = site.state.setting(WRITTEN).map_err(failure)?.unwrap_or_default();
    let there = std::fs::read(place(site)).map(|bytes| hash(&bytes)).unwrap_or_default();
    if written != format!("{generation} {there}") {
        let policy = site.state.policy_rules().map_err(failure)?;
        keep(site, &policy, generation);
    }
    Ok(())
}

/// Takes the file away: nothing of AFO is to come back.
///
/// # Errors
/// When it is there and cannot be taken away.
pub fn remove(site: &Site) -> Result<(), Failure> {
    let path = place(site);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::refused(format!("cannot take {} away: {e}", path.display()))
                .hint("it would bring the rules back at boot"))
        }
        _ => Ok(()),
    }
}
