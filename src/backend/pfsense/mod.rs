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

pub(in crate::backend) use read::is_document;

use super::document::{Document, Limits};
use crate::backend::Capability;

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
        C::IcmpType,
        C::Reject,
    ]
};

const LIMITS: Limits = Limits { name: "pfsense", capabilities: CAPABILITIES, near: true, denies: &[] };

/// A pfSense.
pub static PFSENSE: Document = Document {
    limits: LIMITS,
    is: |value| value.as_str().is_some_and(is_document),
    read: read::read,
    write: write::written,
    commands: None,
};
