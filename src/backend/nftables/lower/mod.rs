//! A rule in nft's terms: the lines that match its packets and act on them, and the sets and limits that these need.
//!
//! What cannot be said exactly is refused with the field, its value and what is allowed; nothing is left out in silence.

pub(super) mod address;
mod block;
mod check;
#[cfg(test)]
mod golden;
mod hours;
mod line;
mod verdict;

use self::block::{bans, guard};
use self::check::check;
use self::hours::hours;
use self::line::matches;
use self::verdict::finish;
use crate::backend::meaning::{empty, families, names_loopback};
use crate::backend::nftables::native::{Element, Hook, Rate, Set, Statement};
use crate::backend::nftables::scheme::block::Block;
use crate::rule::{Action, Direction, Id, Rule};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{Display, Write};
use std::sync::Arc;

pub use crate::backend::meaning::Refused;
pub(super) use crate::backend::meaning::refuse;

/// One rule, lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    pub rule: Id,
    /// The chain of its lines.
    pub hook: Hook,
    /// Each is a rule of nft's without its comment.
    pub lines: Vec<Vec<Statement>>,
    /// Sets whose content is the rule's, named by it.
    pub sets: Vec<(Set, Arc<[Element]>)>,
    pub limits: Vec<(String, Rate)>,
    /// Where the rule is a plain ban for a time: elements of the block sets, and no line.
    pub blocks: Vec<Block>,
    /// Whether loopback is named, which AFO's chains leave alone otherwise.
    pub names_loopback: bool,
}

/// Rules of more addresses than this are lowered once for all the steps of a deployment.
const WIDE: usize = 4096;

/// So many of them.
const KEPT: usize = 16;

thread_local! {
    /// The wide rules that were lowered last. A copy of a rule shares its lists: it is found without a look into them.
    static KNOWN: RefCell<VecDeque<(Rule, Lowered)>> = const { RefCell::new(VecDeque::new()) };
}

/// Lowers one rule. A disabled rule gives nothing.
///
/// # Errors
/// Every reason why nftables, or AFO in it, cannot do what the rule says.
pub fn lower(rule: &Rule) -> Result<Lowered, Vec<Refused>> {
    if rule.source_address.items().len().max(rule.destination_address.items().len()) < WIDE {
        return lower_anew(rule);
    }
    let find = |known: &VecDeque<(Rule, Lowered)>| Some(known.iter().find(|(there, _)| there == rule)?.1.clone());
    if let Some(lowered) = KNOWN.with_borrow(find) {
        return Ok(lowered);
    }
    let lowered = lower_anew(rule)?;
    KNOWN.with_borrow_mut(|known| {
        known.truncate(KEPT - 1);
        known.push_front((rule.clone(), lowered.clone()));
    });
    Ok(lowered)
}

fn lower_anew(rule: &Rule) -> Result<Lowered, Vec<Refused>> {
    let refused = check(rule);
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut lowered = bare(rule);
    match bans(rule) {
        _ if !rule.enabled => {}
        Some(blocks) => lowered.blocks = blocks,
        None => fill(rule, &mut lowered).map_err(|refused| vec![refused])?,
    }
    Ok(lowered)
}

fn bare(rule: &Rule) -> Lowered {
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
        for line in matches(rule, family, &mut lowered.sets)? {
            for hours in hours(rule) {
                finish(rule, family, [switch.clone(), line.clone(), hours].concat(), lowered);
            }
        }
    }
    if lowered.lines.is_empty() {
        return Err(empty(rule, "no packet can match: nothing is left of it in either address family"));
    }
    Ok(())
}

fn hook(rule: &Rule) -> Hook {
    match (rule.action, rule.direction) {
        (Action::Dnat | Action::Redirect, Direction::Output) => Hook::DstnatOutput,
        (Action::Dnat | Action::Redirect, _) => Hook::Dstnat,
        (Action::Snat | Action::Masquerade, _) => Hook::Srcnat,
        (_, Direction::Input) => Hook::Input,
        (_, Direction::Output) => Hook::Output,
        (_, Direction::Forward) => Hook::Forward,
    }
}

/// A name made from content: the same content has the same name, another content another.
pub(super) fn named<T: Display>(prefix: &str, parts: impl IntoIterator<Item = T>) -> String {
    let (mut hash, mut word) = (Sha256::new(), String::new());
    for part in parts {
        word.clear();
        write!(word, "{part}").expect("a string takes all that is written");
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word.as_bytes());
    }
    let digest = hash.finalize();
    let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}_{hex}")
}
