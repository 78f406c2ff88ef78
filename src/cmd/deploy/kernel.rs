//! AFO's table in the kernel: looked at afresh each time, changed only by whole transactions.

use crate::backend::nftables::Live;
use crate::cli::{Exit, Failure};
use crate::deploy::Kernel;
use crate::sys::nft::{self, NftError};
use sha2::{Digest, Sha256};

/// Why the kernel did not do it: nothing was changed (exit 3).
pub fn failure(error: &NftError) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string());
    error.hint().into_iter().fold(failure, Failure::hint)
}

/// What of AFO is in the kernel now.
///
/// # Errors
/// When nft cannot be asked, or what it says of AFO's table makes no sense.
pub fn look() -> Result<Live, Failure> {
    match nft::list(&["-j", "-t", "list", "table", "inet", "afo"]) {
        Ok(json) => Live::read(&json).map_err(|e| Failure::refused(e.to_string())),
        Err(NftError::Said(words)) if words.contains("No such file or directory") => Ok(Live::default()),
        Err(error) => Err(failure(&error)),
    }
}

/// Whether the window of an armed change is still open.
fn window_open(live: &Live) -> Result<bool, Failure> {
    if !live.armed {
        return Ok(false);
    }
    match nft::list(&["-j", "list", "set", "inet", "afo", "armed"]) {
        Ok(json) => Ok(Live::window_open(&json)),
        Err(NftError::Said(words)) if words.contains("No such file or directory") => Ok(false),
        Err(error) => Err(failure(&error)),
    }
}

/// What of AFO is in the kernel, where no window is open: one change waits at a time.
///
/// # Errors
/// When a change waits for its confirmation, or as [`look`].
pub fn no_window() -> Result<Live, Failure> {
    let live = look()?;
    match live.pending {
        Some(_) => Err(Failure::refused("another change is waiting for its confirmation").hint("afo-deploy status")),
        None => Ok(live),
    }
}

/// What recovery needs to know of the kernel.
///
/// # Errors
/// As [`look`].
pub fn observe(live: &Live) -> Result<Kernel, Failure> {
    let armed = window_open(live)?;
    Ok(Kernel { table: live.table, settled: live.generation, window: live.pending, armed })
}

/// AFO's table as nft's own text, without the elements of live sets, which are never put back from a backup; empty where there is none.
///
/// # Errors
/// When nft cannot be asked.
pub fn backup() -> Result<String, Failure> {
    match nft::list(&["-t", "list", "table", "inet", "afo"]) {
        Ok(text) => Ok(text),
        Err(NftError::Said(words)) if words.contains("No such file or directory") => Ok(String::new()),
        Err(error) => Err(failure(&error)),
    }
}

/// What tells two rulesets apart: a hash of the kernel's own listing, without counters and without the elements of sets.
///
/// # Errors
/// When nft cannot be asked.
pub fn base() -> Result<String, Failure> {
    let listing = nft::list(&["-s", "-t", "-j", "list", "ruleset"]).map_err(|e| failure(&e))?;
    Ok(Sha256::digest(listing.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
}
