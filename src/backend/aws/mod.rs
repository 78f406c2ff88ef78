//! AWS security groups: what `aws ec2 describe-security-groups` prints, as a ruleset, and AFO's rules as such a document.
//!
//! A group accepts and never denies: what none of its rules accepts is denied, and their order says nothing. An interface has the rules of
//! all its groups together. Text in, text out; nothing here talks to AWS.

mod commands;
mod read;
mod shorthand;
mod write;

use super::document::{Commands, Document, Limits};
use crate::backend::Capability;
use crate::rule::Direction;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[C::Ipv4, C::Ipv6, C::Allow, C::Input, C::Output, C::IcmpType]
};

const LIMITS: Limits =
    Limits { name: "aws", capabilities: CAPABILITIES, near: false, denies: &[Direction::Input, Direction::Output] };

/// A security group.
pub static AWS: Document = Document {
    limits: LIMITS,
    is: read::is_document,
    read: read::read,
    write: write::written,
    commands: Some(Commands { program: "aws", write: commands::written, read: commands::read }),
};
