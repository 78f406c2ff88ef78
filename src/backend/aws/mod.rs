//! AWS security groups: what `aws ec2 describe-security-groups` prints, as a ruleset, and AFO's rules as such a document.
//!
//! A group accepts and never denies: what none of its rules accepts is denied, and their order says nothing. An interface has the rules of
//! all its groups together. Text in, text out; nothing here talks to AWS.

mod read;
mod write;

pub use read::{is_document, read};

use crate::backend::document::Limits;
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Rule};

/// A security group.
#[derive(Debug, Clone, Copy)]
pub struct Aws;

const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[C::Ipv4, C::Ipv6, C::Allow, C::Input, C::Output, C::IcmpType]
};

const LIMITS: Limits =
    Limits { name: "aws", capabilities: CAPABILITIES, near: false, denies: &[Direction::Input, Direction::Output] };

impl Backend for Aws {
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
