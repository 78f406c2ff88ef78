//! Firewall rules of Google Cloud: what `gcloud compute firewall-rules list --format=json` prints, as a ruleset, and AFO's rules as such a list.
//!
//! The lowest priority number decides; of one number a denial does. What nothing decides is denied on its way in and let through on its way
//! out. Text in, text out; nothing here talks to Google.

mod commands;
mod read;
mod write;

use super::document::{Commands, Document, Limits};
use crate::backend::Capability;
use crate::rule::Direction;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[C::Ipv4, C::Ipv6, C::Filter, C::Allow, C::Order, C::Input, C::Output]
};

const LIMITS: Limits = Limits { name: "gcp", capabilities: CAPABILITIES, near: true, denies: &[Direction::Input] };

/// The firewall rules of a network.
pub static GCP: Document = Document {
    limits: LIMITS,
    is: read::is_document,
    read: read::read,
    write: write::written,
    commands: Some(Commands { program: "gcloud", write: commands::written, read: commands::read }),
};
