//! A rule in nft's terms: the lines that match its packets and act on them, and the sets and limits that these need.
//!
//! What cannot be said exactly is refused with the field, its value and what is allowed; nothing is left out in silence.

pub(super) mod address;
mod block;
mod check;
#[cfg(test)]
mod golden;
mod line;
mod verdict;

use self::address::families;
use self::block::{bans, guard};
use self::check::check;
use self::line::matches;
use self::verdict::finish;
use crate::backend::nftables::native::{Element, Hook, Rate, Set, Statement};
use crate::backend::nftables::scheme::block::Block;
use crate::packet::InterfacePattern;
use crate::rule::{Action, Direction, Id, OneOf, Rule};
use sha2::{Digest, Sha256};
use std::fmt::Display;

/// Why a rule cannot be had in nftables: which field of which rule, its value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {field} `{value}`: {cause}")]
pub struct Refused {
    pub rule: Id,
    pub field: &'static str,
    /// The value, made harmless for a terminal and cut at 80 characters.
    pub value: String,
    pub cause: String,
}

/// A refusal of `rule` for what `field` holds.
pub(super) fn refuse(rule: &Rule, field: &'static str, value: impl Display, cause: impl Into<String>) -> Refused {
    let value = value.to_string().chars().take(80).flat_map(char::escape_debug).collect();
    Refused { rule: rule.id.clone(), field, value, cause: cause.into() }
}

/// One rule, lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    pub rule: Id,
    /// The chain of its lines.
    pub hook: Hook,
    /// Each is a rule of nft's without its comment.
    pub lines: Vec<Vec<Statement>>,
    /// Sets whose content is the rule's, named by it.
    pub sets: Vec<(Set, Vec<Element>)>,
    pub limits: Vec<(String, Rate)>,
    /// Where the rule is a plain ban for a time: elements of the block sets, and no line.
    pub blocks: Vec<Block>,
    /// Whether loopback is named, which AFO's chains leave alone otherwise.
    pub names_loopback: bool,
}

/// Lowers one rule. A disabled rule gives nothing.
///
/// # Errors
/// Every reason why nftables, or AFO in it, cannot do what the rule says.
pub fn lower(rule: &Rule) -> Result<Lowered, Vec<Refused>> {
    let refused = check(rule);
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut lowered = empty(rule);
    match bans(rule) {
        _ if !rule.enabled => {}
        Some(blocks) => lowered.blocks = blocks,
        None => fill(rule, &mut lowered).map_err(|refused| vec![refused])?,
    }
    Ok(lowered)
}

fn empty(rule: &Rule) -> Lowered {
    Lowered {
        rule: rule.id.clone(),
        hook: hook(rule),
        lines: Vec::new(),
        sets: Vec::new(),
        limits: Vec::new(),
        blocks: Vec::new(),
        names_loopback: names_loopback(rule),
    }
}

fn fill(rule: &Rule, lowered: &mut Lowered) -> Result<(), Refused> {
    let switch = guard(rule, lowered);
    for family in families(rule) {
        for mut line in matches(rule, family, &mut lowered.sets)? {
            line.splice(0..0, switch.clone());
            finish(rule, family, line, lowered);
        }
    }
    if lowered.lines.is_empty() {
        let (field, value) = narrowest(rule);
        return Err(refuse(rule, field, value, "no packet can match: nothing is left of it in either address family"));
    }
    Ok(())
}

/// The field that most likely emptied the rule.
fn narrowest(rule: &Rule) -> (&'static str, String) {
    match () {
        () if !rule.source_address.is_any() => ("source_address", rule.source_address.to_string()),
        () if !rule.destination_address.is_any() => ("destination_address", rule.destination_address.to_string()),
        () => ("protocol", rule.protocol.to_string()),
    }
}

fn hook(rule: &Rule) -> Hook {
    match (rule.action, rule.direction) {
        (Action::Dnat | Action::Redirect, _) => Hook::Dstnat,
        (Action::Snat | Action::Masquerade, _) => Hook::Srcnat,
        (_, Direction::Input) => Hook::Input,
        (_, Direction::Output) => Hook::Output,
        (_, Direction::Forward) => Hook::Forward,
    }
}

fn names_loopback(rule: &Rule) -> bool {
    let names = |list: &OneOf<InterfacePattern>| !list.is_negated() && list.items().iter().any(|i| i.matches("lo"));
    names(&rule.interface_in) || names(&rule.interface_out)
}

/// A name made from content: the same content has the same name, another content another.
pub(super) fn named(prefix: &str, parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}_{hex}")
}
