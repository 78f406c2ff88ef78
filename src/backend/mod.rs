//! Packet filters: their text or listing to a ruleset and back. No processes, no network, no files.

pub mod aws;
pub mod azure;
mod choice;
mod contract;
pub mod document;
mod documents;
pub mod external;
pub mod gcp;
pub mod iptables;
mod meaning;
pub mod nftables;
pub mod opnsense;
mod pf;
pub mod pfsense;

pub use choice::chosen;
pub use contract::{Backend, Capability, Extent, Native};
pub use document::Document;
pub use documents::DOCUMENTS;
pub use meaning::Refused;

/// The backends that AFO writes for.
pub static BACKENDS: [&dyn Backend; 8] = [
    &nftables::Nftables,
    &iptables::Iptables::V4,
    &iptables::Iptables::V6,
    &aws::AWS,
    &azure::AZURE,
    &gcp::GCP,
    &opnsense::Opnsense::UNKNOWN,
    &pfsense::PFSENSE,
];

/// The backend of a name.
pub fn named(name: &str) -> Option<&'static dyn Backend> {
    BACKENDS.into_iter().find(|backend| backend.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_once_what_it_can() {
        for backend in BACKENDS {
            assert!(backend.capabilities().is_sorted_by(|a, b| a < b), "{backend:?}");
            assert_eq!(named(backend.name()).map(Backend::name), Some(backend.name()));
        }
        assert!(named("pf").is_none());
    }
}
