//! Network security groups of Azure: what `az network nsg show` and `list` print, as a ruleset, and AFO's rules as such a group.
//!
//! The lowest priority number decides, in each direction for itself; behind a group's own rules stand the default ones. A packet must pass
//! every group on its way. Text in, text out; nothing here talks to Azure.

mod read;
mod write;

pub use read::{is_document, read};

use crate::backend::document::Limits;
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::rule::Rule;
use crate::rule::ruleset::Ruleset;

/// A network security group.
#[derive(Debug, Clone, Copy)]
pub struct Azure;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[C::Ipv4, C::Ipv6, C::Filter, C::Allow, C::Order, C::Input, C::Output, C::SourcePort]
};

// Before the default denial the default rules let the virtual network pass, so a denial of everything is one of its own.
const LIMITS: Limits = Limits { name: "azure", capabilities: CAPABILITIES, near: true, denies: &[] };

/// The numbers that rules of one's own have.
const FIRST: i64 = 100;
const LAST: i64 = 4096;

impl Backend for Azure {
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
