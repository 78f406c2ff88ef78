//! AFO's rules as text for iptables-restore and ip6tables-restore, to be loaded with `--noflush`.
//!
//! A chain of AFO's stands first in each built-in chain that rules are for and leads to the chain of a generation, which holds the
//! rules. Nothing else of the tables is named: their policies, their other chains and rules stay what they are. What iptables cannot do
//! exactly is refused; nothing is left out in silence.

mod act;
mod ask;
pub mod block;
mod check;
mod held;
mod hook;
mod lay;
mod restore;
mod scheme;
mod split;
#[cfg(test)]
mod tests;

use self::hook::{Hook, Table};
use self::lay::{MINE, Sheet};
use self::restore::Restore;
use super::read;
use crate::backend::meaning::{empty, names_loopback, ordered, twice, why_there};
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::packet::Family;
use crate::record::Placement;
use crate::rule::ruleset::{Ruleset, TableFamily};
use crate::rule::{Id, Rule};
pub use scheme::{Live, Policy, Window};
use std::collections::BTreeMap;

/// The two programs, each of one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iptables {
    V4,
    V6,
}

const V4: [Capability; 21] = capabilities(Capability::Ipv4);
const V6: [Capability; 21] = capabilities(Capability::Ipv6);

/// What the program of a family can.
const fn capabilities(family: Capability) -> [Capability; 21] {
    use Capability as C;
    [
        family,
        C::Filter,
        C::Allow,
        C::Order,
        C::Input,
        C::Output,
        C::Forward,
        C::Interface,
        C::SourcePort,
        C::IcmpType,
        C::TcpFlag,
        C::Mac,
        C::Mark,
        C::Reject,
        C::State,
        C::Log,
        C::Rate,
        C::RatePerSource,
        C::Hours,
        C::Nat,
        C::Switch,
    ]
}

impl Iptables {
    fn family(self) -> Family {
        if self == Self::V4 { Family::Ipv4 } else { Family::Ipv6 }
    }

    fn other(self) -> Self {
        if self == Self::V4 { Self::V6 } else { Self::V4 }
    }

    /// The family of the tables that it keeps its rules in.
    pub fn tables(self) -> TableFamily {
        if self == Self::V4 { TableFamily::Ip } else { TableFamily::Ip6 }
    }

    fn version(self) -> &'static str {
        if self == Self::V4 { "IPv4" } else { "IPv6" }
    }
}

impl Backend for Iptables {
    fn name(&self) -> &'static str {
        if *self == Self::V4 { "iptables" } else { "ip6tables" }
    }

    fn capabilities(&self) -> &'static [Capability] {
        if *self == Self::V4 { &V4 } else { &V6 }
    }

    fn render(&self, rules: &[Rule], _: Extent) -> Result<Native, Vec<Refused>> {
        let mut refused = twice(rules);
        refused.extend(rules.iter().flat_map(|rule| check::check(rule, self.family())));
        let order = ordered(rules).unwrap_or_else(|why| {
            refused.push(why);
            Vec::new()
        });
        if !refused.is_empty() {
            return Err(refused);
        }
        written(*self, &order)
    }

    fn model(&self, native: &Native) -> Result<Ruleset, String> {
        read(&native.text).map_err(|e| format!("line {e}"))
    }
}

/// The generation that a text for an empty host is.
const FIRST: u64 = 1;

/// The tables that hold policy.
pub const POLICY: [&str; 2] = ["filter", "nat"];

/// Rules laid out for one program.
#[derive(Debug)]
pub(super) struct Laid {
    sheet: Sheet,
    /// Where a rule names loopback.
    named: Vec<Hook>,
    placement: Vec<Placement>,
    /// Those that have nothing of the program's family.
    unseen: Vec<Refused>,
}

/// Lays out the rules that stand in this order.
fn laid(program: Iptables, order: &[&Rule], generation: u64) -> Result<Laid, Vec<Refused>> {
    let mut sheet = Sheet::new(generation);
    let (mut placement, mut nothing) = (Vec::new(), Vec::new());
    let hooks = Table::ALL.iter().flat_map(|table| table.hooks()).copied();
    let named: Vec<Hook> = hooks.filter(|hook| order.iter().any(|rule| names_it(rule, *hook))).collect();
    for rule in order {
        let laid = match rule.enabled {
            true => sheet.rule(rule, program.family(), named.contains(&Hook::of(rule)))?,
            false => false,
        };
        let (place, why) = match () {
            () if !rule.enabled => ("nowhere".to_owned(), "it is disabled".to_owned()),
            () if !laid => ("nowhere".to_owned(), unseen(program)),
            () => (place(Hook::of(rule)), why_there(rule)),
        };
        if rule.enabled && !laid {
            nothing.push(empty(rule, &unseen(program)));
        }
        placement.push(Placement { rule: rule.id.clone(), place, why });
    }
    Ok(Laid { sheet, named, placement, unseen: nothing })
}

fn written(program: Iptables, order: &[&Rule]) -> Result<Native, Vec<Refused>> {
    let laid = laid(program, order, FIRST)?;
    // Rules of the other family beside rules of this one are that program's; alone they are a mistake.
    if laid.sheet.is_empty() && !laid.unseen.is_empty() {
        return Err(laid.unseen);
    }
    let (mut restore, mut lines) = (Restore::new(program), BTreeMap::new());
    for table in Table::ALL.into_iter().filter(|table| !laid.sheet.used(*table).is_empty()) {
        write(&laid, table, &mut restore, &mut lines);
    }
    let elsewhere = elsewhere(program, order);
    Ok(Native { text: restore.text(), json: None, placement: laid.placement, lines, elsewhere })
}

/// The chain of AFO's that a rule stands behind, with its table where that is not the filter table.
fn place(hook: Hook) -> String {
    let head = hook.chain().0;
    if hook.table() == Table::Filter { head.to_owned() } else { format!("{} {head}", hook.table().name()) }
}

/// One table of a text for an empty host; the numbers of the lines that are of rules go `into`.
fn write(laid: &Laid, table: Table, restore: &mut Restore, into: &mut BTreeMap<usize, Id>) {
    let hooks = laid.sheet.used(table);
    restore.table(table.name());
    hooks.iter().for_each(|hook| restore.declare(hook.chain().0));
    laid.sheet.declared(table, &hooks).iter().for_each(|name| restore.declare(name));
    for hook in &hooks {
        restore.line(format!("-A {} {MINE} -j {}", hook.chain().0, hook.generation(FIRST)));
    }
    for (rule, line) in laid.sheet.lines(table, &hooks, &laid.named) {
        let at = restore.line(line);
        into.extend(rule.map(|id| (at, id)));
    }
    for hook in &hooks {
        let (head, built_in) = hook.chain();
        restore.line(format!("-I {built_in} {MINE} -j {head}"));
    }
}

/// What the other program has of the rules.
fn elsewhere(program: Iptables, order: &[&Rule]) -> Vec<String> {
    let other = program.other();
    let seen = |rule: &&&Rule| rule.enabled && matches!(split::parts(rule, other.family(), false), Ok(Some(_)));
    let words = || format!("what the rules say of {} is for --backend {}", other.version(), other.name());
    order.iter().any(|rule| seen(&rule)).then(words).into_iter().collect()
}

/// Whether a rule makes AFO's chain of a hook see loopback, which it leaves alone otherwise.
fn names_it(rule: &Rule, hook: Hook) -> bool {
    rule.enabled && Hook::of(rule) == hook && hook.loopback().is_some() && names_loopback(rule)
}

fn unseen(program: Iptables) -> String {
    let (own, other) = (program.version(), program.other());
    format!("no packet of {own} can match; what is of {} is for --backend {}", other.version(), other.name())
}
