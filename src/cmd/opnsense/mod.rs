//! The OPNsense firewall of the configuration: what is known of it, and its API.

mod api;
mod credentials;
mod reply;
mod savepoint;

pub use api::Api;

use crate::backend::Backend;
use crate::backend::opnsense::{Known, Opnsense};
use crate::cli::config::Config;

/// What the configuration says of the firewall.
pub fn known(config: &Config) -> Known {
    let interfaces = config.opnsense.interfaces.iter();
    Known {
        addresses: config.opnsense.addresses.clone(),
        interfaces: interfaces.map(|(name, identifier)| (name.to_string(), identifier.to_string())).collect(),
    }
}

/// The backend that writes for it. A command makes it once and keeps it to its end.
pub fn backend(config: &Config) -> &'static dyn Backend {
    Box::leak(Box::new(Opnsense { known: known(config) }))
}
