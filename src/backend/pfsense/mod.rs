//! pfSense: its configuration (config.xml), as a ruleset, and AFO's rules as the `<filter>` section of one.
//!
//! Rules of an interface are asked about packets that come in by it, and the first that matches decides; before them stand the floating ones,
//! of which one without `quick` decides only where no later one matches. A rule has no name that stays: it is found by its place. Text in,
//! text out; nothing here talks to a firewall.

mod address;
mod read;
mod rule;
mod write;
mod xml;

pub use read::{is_document, read};

use crate::backend::document::Limits;
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::rule::Rule;
use crate::rule::ruleset::Ruleset;

/// A pfSense.
#[derive(Debug, Clone, Copy)]
pub struct Pfsense;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[
        C::Ipv4,
        C::Ipv6,
        C::Filter,
        C::Allow,
        C::Order,
        C::Input,
        C::Output,
        C::Forward,
        C::Interface,
        C::SourcePort,
        C::Reject,
    ]
};

const LIMITS: Limits = Limits { name: "pfsense", capabilities: CAPABILITIES, near: true, denies: &[] };

impl Backend for Pfsense {
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
