//! What a rule means, whatever backend writes it: which families and addresses, which ICMP no denial takes, in which order rules
//! stand, and what contradicts itself.
//!
//! Two backends that ask here cannot understand a rule differently. Nothing here knows a backend's language.

mod address;
mod check;
mod icmp;
mod nat;
mod order;

pub(in crate::backend) use address::{Part, address, bits, families, merged, net, part};
pub(in crate::backend) use check::contradictions;
pub(in crate::backend) use icmp::{icmp_of, may_spare, necessary, spares, taken};
pub(in crate::backend) use nat::To;
pub(in crate::backend) use order::{is_default, names_loopback, ordered, twice, why_there};

use crate::rule::{Id, Rule};
use std::fmt::Display;

/// Why a rule cannot be had in a backend: which field of which rule, its value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {field} `{value}`: {cause}")]
pub struct Refused {
    pub rule: Id,
    pub field: &'static str,
    /// The value, made harmless for a terminal and cut at 80 characters.
    pub value: String,
    pub cause: String,
}

impl Refused {
    /// That of `rule` for what `field` holds.
    pub fn new(rule: &Rule, field: &'static str, value: impl Display, cause: impl Into<String>) -> Self {
        let value = value.to_string().chars().take(80).flat_map(char::escape_debug).collect();
        Self { rule: rule.id.clone(), field, value, cause: cause.into() }
    }
}

/// A refusal of `rule` for what `field` holds.
pub(in crate::backend) fn refuse(
    rule: &Rule,
    field: &'static str,
    value: impl Display,
    cause: impl Into<String>,
) -> Refused {
    Refused::new(rule, field, value, cause)
}

/// The refusal of a rule of which no packet is left: the field that most likely emptied it.
pub(in crate::backend) fn empty(rule: &Rule, cause: &str) -> Refused {
    let led_to = rule.nat.as_ref().and_then(|nat| nat.address);
    let (field, value) = match () {
        () if led_to.is_some() => ("nat", led_to.map(|address| address.to_string()).unwrap_or_default()),
        () if !rule.source_address.is_any() => ("source_address", rule.source_address.to_string()),
        () if !rule.destination_address.is_any() => ("destination_address", rule.destination_address.to_string()),
        () => ("protocol", rule.protocol.to_string()),
    };
    refuse(rule, field, value, cause)
}
