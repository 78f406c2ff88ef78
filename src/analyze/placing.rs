//! Where proposed rules would stand: in AFO's own table, as its scheme in the kernel has it.
//!
//! Bans for a time stand in the block chains before addresses are translated; all else in the generation of its hook, after the rules
//! that are there and before a default denial, unless it says otherwise.

use super::lower::lines;
use super::view::{Known, OWN, View};
use crate::packet::{Cell, Narrow, Ranges, Wide};
use crate::rule::ruleset::{
    At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, TableFamily, Verdict, name_number,
};
use crate::rule::{Action, Direction, Position, Rule};

/// A ruleset with the proposed rules in their places.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) view: View<'a>,
    /// For each rule that was given, the places of its lines; none where it is disabled.
    pub(super) places: Vec<Vec<Stood>>,
}

/// A line of a proposed rule in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stood {
    pub(super) at: At,
    /// The base chain that leads to it.
    pub(super) base: usize,
}

/// Puts rules into their places.
pub(super) fn placed<'a>(live: &'a Ruleset, known: &'a Known, rules: &[Rule]) -> Placed<'a> {
    let mut view = View::of(live, known);
    let table = view.own_table();
    let named = named_loopback(rules);
    let places = rules.iter().map(|rule| put_all(&mut view, table, rule, &named)).collect();
    Placed { view, places }
}

/// A ruleset without AFO's bans for a time.
pub fn without_bans(ruleset: &Ruleset) -> Ruleset {
    let mut rest = ruleset.clone();
    let own = rest.tables.iter_mut().filter(|table| table.family == TableFamily::Inet && table.name == OWN);
    for chain in own.flat_map(|table| &mut table.chains).filter(|chain| BLOCKS.contains(&chain.name.as_str())) {
        chain.lines.clear();
    }
    rest
}

/// A ruleset with rules in the places where AFO puts them.
pub fn with_rules(live: &Ruleset, rules: &[Rule]) -> Ruleset {
    placed(live, &Known::of(live), rules).view.ruleset()
}

fn put_all(view: &mut View, table: usize, rule: &Rule, named: &[Direction]) -> Vec<Stood> {
    if !rule.enabled {
        return Vec::new();
    }
    stands(rule).iter().flat_map(|stand| put(view, table, rule, named, stand)).collect()
}

/// The chains of the bans.
const BLOCKS: [&str; 3] = ["blocks", "blocks_output", "blocks_forward"];

/// A base chain of AFO's.
struct Stand {
    name: &'static str,
    kind: ChainKind,
    hook: Hook,
    priority: i64,
}

const fn stand(name: &'static str, kind: ChainKind, hook: Hook, priority: i64) -> Stand {
    Stand { name, kind, hook, priority }
}

/// The chains that a rule stands in.
fn stands(rule: &Rule) -> Vec<Stand> {
    if is_ban(rule) {
        return match rule.source_address.is_any() {
            false => vec![stand("blocks", ChainKind::Filter, Hook::Prerouting, -151)],
            true => vec![
                stand("blocks_output", ChainKind::Filter, Hook::Output, -151),
                stand("blocks_forward", ChainKind::Filter, Hook::Forward, -151),
            ],
        };
    }
    vec![match (rule.action, rule.direction) {
        (Action::Dnat | Action::Redirect, _) => stand("dstnat", ChainKind::Nat, Hook::Prerouting, -105),
        (Action::Snat | Action::Masquerade, _) => stand("srcnat", ChainKind::Nat, Hook::Postrouting, 95),
        (_, Direction::Input) => stand("input", ChainKind::Filter, Hook::Input, -5),
        (_, Direction::Forward) => stand("forward", ChainKind::Filter, Hook::Forward, -5),
        (_, Direction::Output) => stand("output", ChainKind::Filter, Hook::Output, -5),
    }]
}

/// Whether a rule drops addresses for a time and says nothing else: an element of the block sets.
pub fn is_ban(rule: &Rule) -> bool {
    let bare = rule.interface_in.is_any()
        && rule.interface_out.is_any()
        && rule.source_port.is_any()
        && rule.icmp_type.is_any()
        && rule.connection_state.is_any()
        && rule.source_mac.is_any()
        && rule.vlan.is_any()
        && rule.tcp_flags.is_none()
        && rule.mark.is_none()
        && rule.extra.is_empty();
    let acts =
        rule.action == Action::Drop && rule.log.is_none() && rule.rate_limit.is_none() && rule.schedule.is_none();
    let free = rule.position == Position::Auto && rule.priority.is_none() && rule.ttl_seconds.is_some();
    let ported = !rule.destination_port.is_any() || !rule.protocol.is_any();
    let (source, destination) = (!rule.source_address.is_any(), !rule.destination_address.is_any());
    let plain = !rule.source_address.is_negated() && !rule.destination_address.is_negated();
    let way = match rule.direction {
        Direction::Input => source && !destination,
        Direction::Forward => (source != destination) && !ported,
        Direction::Output => destination && !source && !ported,
    };
    let each = |port: &crate::packet::PortRange| port.as_single().is_some();
    let listed = !ported
        || !rule.destination_port.is_any()
            && rule.destination_port.items().iter().all(each)
            && !rule.destination_port.is_negated()
            && !rule.protocol.is_negated();
    bare && acts && free && plain && way && listed
}

fn put(view: &mut View, table: usize, rule: &Rule, named: &[Direction], stand: &Stand) -> Vec<Stood> {
    let base = base_chain(view, table, stand);
    let guarded = named.contains(&rule.direction);
    let chain = if stand.name.starts_with("blocks") { base } else { generation(view, table, base, guarded, stand) };
    let rank = position(view, table, chain, rule);
    let guard = loopback(stand, true).filter(|_| guarded && !names_loopback(rule));
    let own = lines(rule).into_iter().enumerate();
    own.map(|(n, line)| {
        let conditions = guard.iter().cloned().chain(line.conditions).collect();
        Stood { at: view.put(table, chain, rank + n, Line { conditions, ..line }), base }
    })
    .collect()
}

fn base_chain(view: &mut View, table: usize, stand: &Stand) -> usize {
    view.named(table, stand.name).unwrap_or_else(|| {
        let base =
            Base { kind: stand.kind, hook: stand.hook, priority: stand.priority, drops: false, devices: Vec::new() };
        let chain = add_chain(view, table, stand.name, Some(base));
        if stand.name.starts_with("blocks") {
            spare_loopback(view, table, chain, stand);
        }
        chain
    })
}

fn add_chain(view: &mut View, table: usize, name: &str, base: Option<Base>) -> usize {
    view.add_chain(table, Chain { name: name.to_owned(), handle: None, base, lines: Vec::new() })
}

fn spare_loopback(view: &mut View, table: usize, chain: usize, stand: &Stand) {
    if let Some(lo) = loopback(stand, false) {
        view.put(table, chain, 0, plain_line("loopback return".to_owned(), vec![lo], Verdict::Return));
    }
}

/// The chain of the generation in force; on an empty host a new one.
fn generation(view: &mut View, table: usize, base: usize, guarded: bool, stand: &Stand) -> usize {
    if let Some(chain) = chosen(view, table, base) {
        return chain;
    }
    let name = format!("g1_{}", stand.name);
    let choose = plain_line(format!("goto {name}"), Vec::new(), Verdict::Goto(name.clone()));
    view.put(table, base, usize::MAX, choose);
    let chain = add_chain(view, table, &name, None);
    if !guarded {
        spare_loopback(view, table, chain, stand);
    }
    chain
}

/// The chain that a base chain of AFO's leads to when no window is open.
pub(super) fn chosen(view: &View, table: usize, base: usize) -> Option<usize> {
    let order = view.order(table, base);
    let lines = order.into_iter().rev().filter_map(|line| view.line(At { table, chain: base, line }));
    let name = lines.filter(|line| line.conditions.is_empty()).find_map(|line| match &line.outcome {
        Outcome::Verdict(Verdict::Goto(name)) => Some(name.clone()),
        _ => None,
    })?;
    view.named(table, &name)
}

fn plain_line(text: String, conditions: Vec<Condition>, verdict: Verdict) -> Line {
    let outcome = Outcome::Verdict(verdict);
    Line { handle: None, comment: None, text, conditions, alters: Vec::new(), outcome }
}

/// Loopback, or all but loopback: AFO's chains leave it alone unless a rule names it.
fn loopback(stand: &Stand, negated: bool) -> Option<Condition> {
    let field = match stand.hook {
        Hook::Input | Hook::Prerouting => Wide::InInterface,
        Hook::Output | Hook::Postrouting => Wide::OutInterface,
        _ => return None,
    };
    let lo = Ranges::single(name_number("lo"));
    Some(Condition::Wide(field, if negated { field.all().minus(&lo) } else { lo }))
}

fn names_loopback(rule: &Rule) -> bool {
    let lists = [&rule.interface_in, &rule.interface_out];
    lists.iter().any(|list| !list.is_negated() && list.items().iter().any(|name| name.matches("lo")))
}

/// The directions in which some rule names loopback.
fn named_loopback(rules: &[Rule]) -> Vec<Direction> {
    let naming = |direction: &Direction| {
        rules.iter().any(|rule| rule.enabled && rule.direction == *direction && names_loopback(rule))
    };
    Direction::ALL.iter().copied().filter(naming).collect()
}

/// The rank of a new line among those that are there.
fn position(view: &View, table: usize, chain: usize, rule: &Rule) -> usize {
    let order = view.order(table, chain);
    let line = |number: &usize| view.line(At { table, chain, line: *number });
    let is_default = |number: &&usize| line(number).is_some_and(is_default);
    let is = |id: &str, number: &usize| line(number).is_some_and(|line| line.comment.as_deref() == Some(id));
    let end = order.len() - order.iter().rev().take_while(is_default).count();
    match &rule.position {
        Position::First => order.iter().take_while(|n| line(n).is_some_and(|l| l.comment.is_none())).count().min(end),
        Position::Before(id) => order.iter().position(|n| is(id.as_str(), n)).unwrap_or(end),
        Position::After(id) => order.iter().rposition(|n| is(id.as_str(), n)).map_or(end, |at| at + 1),
        Position::Auto | Position::Last => end,
    }
}

/// Whether a line denies everybody.
fn is_default(line: &Line) -> bool {
    let denies = matches!(&line.outcome, Outcome::Verdict(verdict) if verdict.denies());
    denies && line.conditions.iter().all(is_everyone)
}

/// Whether a condition keeps nobody out: every address of a family, and no ICMP but what is spared.
fn is_everyone(condition: &Condition) -> bool {
    let open = |cell: &Cell| {
        Wide::ALL.iter().all(|f| *cell.wide(*f) == f.all()) && cell.narrow(Narrow::State) == Narrow::State.all()
    };
    match condition {
        Condition::AnyOf(cells) => cells.iter().all(open),
        Condition::Narrow(Narrow::Protocol | Narrow::IcmpType | Narrow::Family | Narrow::Fragment, bits) => {
            bits.len() > 2
        }
        _ => false,
    }
}
