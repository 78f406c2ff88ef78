//! Firewall rules of Google Cloud: what `gcloud compute firewall-rules list --format=json` prints, as a ruleset, and AFO's rules as such a list.
//!
//! The lowest priority number decides; of one number a denial does. What nothing decides is denied on its way in and let through on its way
//! out. Text in, text out; nothing here talks to Google.

mod read;
mod write;

pub use read::{is_document, read};

use crate::backend::document::Limits;
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Rule};

/// The firewall rules of a network.
#[derive(Debug, Clone, Copy)]
pub struct Gcp;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[C::Ipv4, C::Ipv6, C::Filter, C::Allow, C::Order, C::Input, C::Output]
};

const LIMITS: Limits = Limits { name: "gcp", capabilities: CAPABILITIES, near: true, denies: &[Direction::Input] };

impl Backend for Gcp {
    fn name(&self) -> &'static str {
        LIMITS.name
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }

    fn render(&self, rules: &[Rule], _: Extent) -> Result<Native, Vec<Refused>> {
        write::written(rules)
    }

    fn model(&self, native: &Native) -> Result<Ruleset, String> {
        read(&native.text).map_err(|e| e.to_string())
    }
}
