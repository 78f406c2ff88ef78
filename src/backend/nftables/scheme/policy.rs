//! A policy: rules in their order, lowered, chain by chain.
//!
//! The order is: `first`, then by priority (lower before higher, none is 0) in the order given, then `last`, then rules that deny
//! everything, which are a default policy and would hide what follows; `before:` and `after:` stand beside the rule that they name.

use super::block::{Block, adding};
use crate::backend::nftables::lower::{Lowered, Refused, lower, refuse};
use crate::backend::nftables::native::{Command, Element, Hook, Key, Rate, Right, Script, Set, Statement, Value};
use crate::packet::{AddressSpec, InterfacePattern};
use crate::record::Placement;
use crate::rule::{Id, OneOf, Position, RejectWith, Rule};
use nftables::expr::MetaKey;
use std::collections::{BTreeMap, BTreeSet};

/// Rules that stand together in the kernel, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Lowered>,
    placed: Vec<Placement>,
}

impl Policy {
    /// Lowers rules and puts them in order. Disabled rules stay out.
    ///
    /// # Errors
    /// Every refusal of every rule.
    pub fn of(rules: &[Rule]) -> Result<Self, Vec<Refused>> {
        let mut refused = twice(rules);
        let mut lowered: BTreeMap<&Id, Lowered> = BTreeMap::new();
        for rule in rules {
            match lower(rule) {
                Ok(lines) => drop(lowered.insert(&rule.id, lines)),
                Err(why) => refused.extend(why),
            }
        }
        let order = ordered(rules).unwrap_or_else(|why| {
            refused.push(why);
            Vec::new()
        });
        if !refused.is_empty() {
            return Err(refused);
        }
        let placed = order.iter().filter_map(|rule| Some(placement(rule, lowered.get(&rule.id)?))).collect();
        Ok(Self { rules: order.into_iter().filter_map(|rule| lowered.remove(&rule.id)).collect(), placed })
    }

    /// Where each rule stands, and why there.
    pub fn placement(&self) -> &[Placement] {
        &self.placed
    }

    /// The bans among the rules: elements of the block sets.
    pub fn blocks(&self) -> Vec<Block> {
        self.rules.iter().flat_map(|rule| rule.blocks.iter().copied()).collect()
    }

    /// Whether there is no rule but bans.
    pub fn is_bans_only(&self) -> bool {
        self.rules.iter().all(|rule| rule.lines.is_empty())
    }

    /// Whether a hook needs its base chain for these rules.
    pub(super) fn uses(&self, hook: Hook) -> bool {
        self.rules.iter().any(|rule| rule.hook == hook && !rule.lines.is_empty())
    }

    /// Whether some rule answers with a TCP reset, which is held back until a change is confirmed: it ends sessions for good.
    pub(super) fn resets(&self, hook: Hook) -> bool {
        let reset = Statement::Reject(RejectWith::TcpReset);
        self.rules.iter().any(|rule| rule.hook == hook && rule.lines.iter().any(|line| line.contains(&reset)))
    }

    /// The sets that hold what the rules list, and their limits; safe to repeat.
    pub(in crate::backend::nftables) fn objects(&self) -> Script {
        let mut script = Script::default();
        let sets: BTreeMap<&str, &(Set, Vec<Element>)> =
            self.rules.iter().flat_map(|rule| &rule.sets).map(|set| (set.0.name.as_str(), set)).collect();
        for (name, (set, elements)) in sets {
            script.push(Command::Set(set.clone()));
            adding(name, elements.clone()).for_each(|command| script.push(command));
        }
        let limits: BTreeMap<&str, Rate> =
            self.rules.iter().flat_map(|rule| &rule.limits).map(|(name, rate)| (name.as_str(), *rate)).collect();
        limits.into_iter().for_each(|(name, rate)| script.push(Command::Limit(name.to_owned(), rate)));
        script
    }

    /// The names of [`objects`](Self::objects).
    pub(super) fn object_names(&self) -> BTreeSet<&str> {
        let sets = self.rules.iter().flat_map(|rule| rule.sets.iter().map(|(set, _)| set.name.as_str()));
        let limits = self.rules.iter().flat_map(|rule| rule.limits.iter().map(|(name, _)| name.as_str()));
        sets.chain(limits).collect()
    }

    /// The rules of a hook as commands for `chain`. While `armed`, resets are drops.
    pub(in crate::backend::nftables) fn lines(&self, hook: Hook, chain: &str, armed: bool) -> Vec<Command> {
        let of_hook: Vec<&Lowered> = self.rules.iter().filter(|rule| rule.hook == hook).collect();
        let named = of_hook.iter().any(|rule| rule.names_loopback);
        let mut out = Vec::new();
        if let (false, Some(lo)) = (named, loopback(hook, false)) {
            out.push(super::mine(chain, vec![lo, Statement::Return]));
        }
        for rule in of_hook {
            let guard = loopback(hook, true).filter(|_| named && !rule.names_loopback);
            for line in &rule.lines {
                let tail = line.iter().map(|statement| held_back(statement, armed));
                let statements = guard.iter().cloned().chain(tail).collect();
                out.push(Command::Rule { chain: chain.to_owned(), statements, comment: rule.rule.clone() });
            }
        }
        out
    }
}

fn held_back(statement: &Statement, armed: bool) -> Statement {
    match statement {
        Statement::Reject(RejectWith::TcpReset) if armed => Statement::Drop,
        other => other.clone(),
    }
}

/// The match of loopback where a hook can see it: by index where it ends the chain, by name where it guards a rule.
fn loopback(hook: Hook, negated: bool) -> Option<Statement> {
    let (index, name) = match hook {
        Hook::Input | Hook::Dstnat => (MetaKey::Iif, MetaKey::Iifname),
        Hook::Output | Hook::Srcnat => (MetaKey::Oif, MetaKey::Oifname),
        _ => return None,
    };
    let value = match "lo".parse::<InterfacePattern>() {
        Ok(lo) if negated => Value::Interface(lo),
        _ => Value::Word("lo"),
    };
    let key = Key::Meta(if negated { name } else { index });
    Some(Statement::Match { key, negated, right: Right::One(value) })
}

fn twice(rules: &[Rule]) -> Vec<Refused> {
    let mut seen = BTreeSet::new();
    let again = rules.iter().filter(|rule| !seen.insert(&rule.id));
    again.map(|rule| refuse(rule, "id", &rule.id, "two rules have this id; each needs its own")).collect()
}

/// Whether a rule denies everything of its direction.
pub(in crate::backend::nftables) fn is_default(rule: &Rule) -> bool {
    let everywhere = rule.interface_in.is_any() && rule.interface_out.is_any();
    let whole = |list: &OneOf<AddressSpec>| !list.is_negated() && list.items().iter().all(AddressSpec::is_everything);
    let anyone = whole(&rule.source_address) && whole(&rule.destination_address);
    let anything = rule.protocol.is_any()
        && rule.source_port.is_any()
        && rule.destination_port.is_any()
        && rule.connection_state.is_any()
        && rule.source_mac.is_any();
    let always = rule.mark.is_none() && rule.tcp_flags.is_none() && rule.rate_limit.is_none();
    rule.action.denies() && everywhere && anyone && anything && always && rule.position == Position::Auto
}

fn rank(rule: &Rule) -> (u8, i32) {
    match rule.position {
        Position::First => (0, 0),
        Position::Last => (2, 0),
        _ if is_default(rule) => (3, 0),
        _ => (1, rule.priority.unwrap_or(0)),
    }
}

fn ordered(rules: &[Rule]) -> Result<Vec<&Rule>, Refused> {
    let beside = |rule: &&Rule| matches!(rule.position, Position::Before(_) | Position::After(_));
    let (mut waiting, mut order): (Vec<&Rule>, Vec<&Rule>) = rules.iter().partition(beside);
    order.sort_by_key(|rule| rank(rule));
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|rule| !put_beside(rule, &mut order));
        if let Some(stuck) = waiting.first().filter(|_| waiting.len() == before) {
            let why = "no rule of that id and direction is there; name one of the same direction, or use first or last";
            return Err(refuse(stuck, "position", &stuck.position, why));
        }
    }
    Ok(order)
}

/// Puts a rule beside the one that it names, if that one has its place; rules after the same one keep their order.
fn put_beside<'a>(rule: &'a Rule, order: &mut Vec<&'a Rule>) -> bool {
    let find = |id: &Id, order: &[&Rule]| order.iter().position(|r| r.id == *id && r.direction == rule.direction);
    let place = match &rule.position {
        Position::Before(id) => find(id, order),
        Position::After(id) => find(id, order).map(|at| {
            let follows = |r: &&&Rule| r.position == Position::After(id.clone());
            at + 1 + order[at + 1..].iter().take_while(follows).count()
        }),
        _ => None,
    };
    place.map(|at| order.insert(at, rule)).is_some()
}

fn placement(rule: &Rule, lowered: &Lowered) -> Placement {
    let sets: BTreeSet<String> = lowered.blocks.iter().map(|block| block.ban.set().name()).collect();
    let (place, why) = match &rule.position {
        _ if !rule.enabled => ("nowhere".to_owned(), "it is disabled".to_owned()),
        _ if !sets.is_empty() => (
            sets.into_iter().collect::<Vec<_>>().join(", "),
            "a ban for a time is an element that the kernel ends by itself, checked before addresses are translated"
                .to_owned(),
        ),
        Position::Auto if is_default(rule) => (
            lowered.hook.name().to_owned(),
            "it denies everything, so it stands last: what stood after it would never be reached".to_owned(),
        ),
        Position::Auto => (lowered.hook.name().to_owned(), "after the rules that were there".to_owned()),
        position => (lowered.hook.name().to_owned(), format!("as asked: {position}")),
    };
    Placement { rule: rule.id.clone(), place, why }
}
