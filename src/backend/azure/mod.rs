//! Network security groups of Azure: what `az network nsg show` and `list` print, as a ruleset, and AFO's rules as such a group.
//!
//! The lowest priority number decides, in each direction for itself; behind a group's own rules stand the default ones. A packet must pass
//! every group on its way. Text in, text out; nothing here talks to Azure.

mod commands;
mod read;
mod write;

use super::document::{Commands, Document, Limits};
use crate::backend::Capability;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[C::Ipv4, C::Ipv6, C::Filter, C::Allow, C::Order, C::Input, C::Output, C::SourcePort]
};

// Before the default denial the default rules let the virtual network pass, so a denial of everything is one of its own.
const LIMITS: Limits = Limits { name: "azure", capabilities: CAPABILITIES, near: true, denies: &[] };

/// The numbers that rules of one's own have.
const FIRST: i64 = 100;
const LAST: i64 = 4096;

/// A network security group.
pub static AZURE: Document = Document {
    limits: LIMITS,
    is: read::is_document,
    read: read::read,
    write: write::written,
    commands: Some(Commands { program: "az", write: commands::written, read: commands::read }),
};
