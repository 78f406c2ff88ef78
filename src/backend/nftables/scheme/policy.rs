//! A policy: rules in their order, lowered, chain by chain.

use super::block::{Block, adding};
use crate::backend::meaning::{ordered, twice, why_there};
use crate::backend::nftables::content::{Apart, Content, is_apart};
use crate::backend::nftables::lower::{Lowered, Refused, lower};
use crate::backend::nftables::native::{Command, Element, Hook, Key, Rate, Right, Script, Set, Statement, Value};
use crate::packet::InterfacePattern;
use crate::record::Placement;
use crate::rule::door::{DOOR, doors, taken, text};
use crate::rule::ruleset::{At as Spot, Hook as At, Ruleset};
use crate::rule::{Action, Id, RejectWith, Rule};
use nftables::expr::MetaKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rules that stand together in the kernel, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Lowered>,
    /// Where each stands and why there, and the hook where others may drop what it accepts.
    placed: Vec<(Placement, Option<Hook>)>,
    /// The doors of other programs' chains that let through what is accepted, by its mark.
    doors: Vec<(Hook, String)>,
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
        let rules = order.into_iter().filter_map(|rule| lowered.remove(&rule.id)).collect();
        Ok(Self { rules, placed, doors: Vec::new() })
    }

    /// The same policy with a mark on what it accepts, for a ruleset that has a door; as it is where there is none or its bit is taken.
    #[must_use]
    pub fn for_doors(self, ruleset: &Ruleset) -> Self {
        if taken(ruleset).is_some() { self.unmarked() } else { self.marking(ruleset) }
    }

    /// The same policy with a mark on what it accepts, for a ruleset that has a door, whoever else uses the bit.
    #[must_use]
    pub fn marking(mut self, ruleset: &Ruleset) -> Self {
        let name = |at: Spot| {
            let table = &ruleset.tables[at.table];
            format!("{} {} {}", table.family, table.name, table.chains[at.chain].name)
        };
        self.doors = doors(ruleset).into_iter().filter_map(|(at, hook)| Some((of_hook(hook)?, name(at)))).collect();
        self
    }

    /// The same policy with no mark on anything.
    #[must_use]
    pub fn unmarked(mut self) -> Self {
        self.doors.clear();
        self
    }

    /// Whether something is accepted where a chain of another program may drop it afterwards.
    pub fn accepts(&self) -> bool {
        self.placed.iter().any(|(_, accepts)| accepts.is_some())
    }

    /// Whether what is accepted carries a mark.
    pub fn marks(&self) -> bool {
        !self.doors.is_empty()
    }

    /// Where each rule stands, why there, and where else what it accepts is decided.
    pub fn placement(&self) -> Vec<Placement> {
        let told = |(placed, accepts): &(Placement, Option<Hook>)| {
            let more = accepts.map_or_else(String::new, |hook| self.final_where(hook));
            Placement { why: format!("{}{more}", placed.why), ..placed.clone() }
        };
        self.placed.iter().map(told).collect()
    }

    /// The rules that are not disabled in the order in which they stand, without lowering them.
    ///
    /// # Errors
    /// When two have one id, or one stands beside a rule that is not there.
    pub fn order(rules: &[Rule]) -> Result<Vec<&Rule>, Vec<Refused>> {
        let twice = twice(rules);
        if !twice.is_empty() {
            return Err(twice);
        }
        let order = ordered(rules).map_err(|refused| vec![refused])?;
        Ok(order.into_iter().filter(|rule| rule.enabled).collect())
    }

    /// Where an accept of a hook becomes the last word, in words.
    fn final_where(&self, hook: Hook) -> String {
        let of_hook = self.doors.iter().filter(|(own, _)| *own == hook).map(|(_, name)| format!("`{name}`"));
        let names: Vec<String> = of_hook.collect();
        match names.is_empty() {
            true => format!(
                "; its accept ends this chain alone: a later chain that drops needs `{}` first, once (afo-deploy --placement foreign)",
                text()
            ),
            false => format!("; its accept marks what it lets through, and {} accepts that mark", names.join(", ")),
        }
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
    pub(in crate::backend::nftables) fn objects(&self, apart: Apart) -> Script {
        let mut script = Script::default();
        for (name, (set, elements)) in self.sets() {
            let apart = if is_apart(set, elements) { apart } else { Apart::Inside };
            if apart == Apart::Gone {
                continue;
            }
            script.push(Command::Set(set.clone()));
            if apart == Apart::Inside {
                adding(name, elements).for_each(|command| script.push(command));
            }
        }
        let limits: BTreeMap<&str, Rate> =
            self.rules.iter().flat_map(|rule| &rule.limits).map(|(name, rate)| (name.as_str(), *rate)).collect();
        limits.into_iter().for_each(|(name, rate)| script.push(Command::Limit(name.to_owned(), rate)));
        script
    }

    /// What goes into the kernel before the rules that look it up.
    pub fn contents(&self) -> Vec<Content> {
        self.sets().into_values().filter_map(|(set, elements)| Content::of(set, elements)).collect()
    }

    fn sets(&self) -> BTreeMap<&str, &(Set, Arc<[Element]>)> {
        self.rules.iter().flat_map(|rule| &rule.sets).map(|set| (set.0.name.as_str(), set)).collect()
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
        let marks = self.marks() && matches!(hook, Hook::Input | Hook::Forward | Hook::Output);
        if marks {
            out.push(super::mine(chain, vec![Statement::MarkBit { bit: DOOR, set: false }]));
        }
        if let (false, Some(lo)) = (named, loopback(hook, false)) {
            out.push(super::mine(chain, vec![lo, Statement::Return]));
        }
        for rule in of_hook {
            let guard = loopback(hook, true).filter(|_| named && !rule.names_loopback);
            for line in &rule.lines {
                let tail = line.iter().map(|statement| held_back(statement, armed));
                let tail = tail.flat_map(|statement| marked(statement, marks));
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

fn marked(statement: Statement, marks: bool) -> impl Iterator<Item = Statement> {
    let mark = (marks && statement == Statement::Accept).then_some(Statement::MarkBit { bit: DOOR, set: true });
    mark.into_iter().chain([statement])
}

/// The match of loopback where a hook can see it: by index where it ends the chain, by name where it guards a rule.
fn loopback(hook: Hook, negated: bool) -> Option<Statement> {
    let (index, name) = match hook {
        Hook::Input | Hook::Dstnat => (MetaKey::Iif, MetaKey::Iifname),
        Hook::Output | Hook::DstnatOutput | Hook::Srcnat => (MetaKey::Oif, MetaKey::Oifname),
        _ => return None,
    };
    let value = match "lo".parse::<InterfacePattern>() {
        Ok(lo) if negated => Value::Interface(lo),
        _ => Value::Word("lo"),
    };
    let key = Key::Meta(if negated { name } else { index });
    Some(Statement::Match { key, negated, right: Right::One(value) })
}

fn placement(rule: &Rule, lowered: &Lowered) -> (Placement, Option<Hook>) {
    let sets: BTreeSet<String> = lowered.blocks.iter().map(|block| block.ban.set().name()).collect();
    let (place, why) = match () {
        _ if !rule.enabled => ("nowhere".to_owned(), "it is disabled".to_owned()),
        _ if !sets.is_empty() => (
            sets.into_iter().collect::<Vec<_>>().join(", "),
            "a ban for a time is an element that the kernel ends by itself, checked before addresses are translated"
                .to_owned(),
        ),
        _ => (lowered.hook.name().to_owned(), why_there(rule)),
    };
    let accepts = rule.enabled && rule.action == Action::Accept && !lowered.hook.is_nat();
    (Placement { rule: rule.id.clone(), place, why }, accepts.then_some(lowered.hook))
}

/// The hook of AFO's policy at a hook of the kernel.
fn of_hook(hook: At) -> Option<Hook> {
    match hook {
        At::Input => Some(Hook::Input),
        At::Forward => Some(Hook::Forward),
        At::Output => Some(Hook::Output),
        _ => None,
    }
}
