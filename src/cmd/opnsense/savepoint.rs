//! The firewall's own guard over the API, where its version has one: it is asked for, never relied on.

use super::api::Api;
use super::reply::accepted;
use crate::backend::opnsense::{Savepoint, cancels, savepoints};
use crate::cli::Failure;
use crate::sys::http::HttpError;

impl Api {
    /// A savepoint of what the firewall holds now; none where its version has no such request, and none where the answer is odd: AFO's own
    /// guard takes the change back all the same, and a savepoint that was made and is not used does nothing.
    pub(super) fn savepoint(&self) -> Option<Savepoint> {
        for (controller, path) in savepoints() {
            let told = match self.sent(&path) {
                Err(HttpError::Refused { status: 404, .. }) => continue,
                Err(error) => Err(error.to_string()),
                Ok(reply) => Savepoint::read(controller, &reply),
            };
            return told
                .inspect_err(|why| {
                    let name = self.name();
                    tracing::warn!("OPNsense at {name}: {path}: {why}; the watchdog alone takes the change back");
                })
                .ok();
        }
        tracing::info!("OPNsense at {}: it has no savepoints; the watchdog alone takes the change back", self.name());
        None
    }

    /// Ends the timer of a savepoint. One that does not run, or not any more, is no error: what the firewall holds tells which.
    ///
    /// # Errors
    /// When it is not known whether the timer runs (exit 3).
    pub fn keep(&self, revision: &str) -> Result<(), Failure> {
        for path in cancels(revision) {
            match self.sent(&path) {
                Err(HttpError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(self.failed(&path, &error).failure),
                Ok(reply) => {
                    if let Err(why) = accepted(&path, &reply) {
                        tracing::warn!("OPNsense at {}: no timer of the firewall runs: {why}", self.name());
                    }
                    return Ok(());
                }
            }
        }
        let words = format!("OPNsense at {}: the request that ends its timer is gone", self.name());
        Err(Failure::refused(words).hint("the change goes back by itself; try again"))
    }
}
