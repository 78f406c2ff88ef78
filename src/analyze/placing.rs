//! Where proposed rules would stand: in AFO's own table, as its scheme in the kernel has it.
//!
//! Bans for a time stand in the block chains before addresses are translated; all else in the generation of its hook, after the rules
//! that are there and before a default denial, unless it says otherwise.

use super::lower::{lines, text};
use crate::packet::{Cell, Narrow, Ranges, Wide};
use crate::rule::ruleset::{
    At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Verdict, name_number,
};
use crate::rule::{Action, Direction, Position, Rule};

const TABLE: &str = "afo";

/// A ruleset with the proposed rules in their places.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) ruleset: Ruleset,
    /// For each rule that was given, the places of its lines; none where it is disabled.
    pub(super) places: Vec<Vec<At>>,
}

/// Puts rules into their places.
pub(super) fn placed(live: &Ruleset, rules: &[Rule]) -> Placed {
    let mut ruleset = live.clone();
    let table = own_table(&mut ruleset);
    for rule in rules.iter().filter(|rule| rule.enabled) {
        for stand in stands(rule) {
            put(&mut ruleset.tables[table], rule, rules, &stand);
        }
    }
    let places = rules.iter().map(|rule| found(&ruleset, table, rule)).collect();
    Placed { ruleset, places }
}

/// The lines that a rule was put in as.
fn found(ruleset: &Ruleset, table: usize, rule: &Rule) -> Vec<At> {
    let (id, words) = (rule.id.as_str(), text(rule));
    let own = ruleset
        .lines()
        .filter(|(at, line)| at.table == table && line.comment.as_deref() == Some(id) && line.text == words);
    own.map(|(at, _)| at).collect()
}

fn own_table(ruleset: &mut Ruleset) -> usize {
    let is_own = |table: &Table| table.family == TableFamily::Inet && table.name == TABLE;
    ruleset.tables.iter().position(is_own).unwrap_or_else(|| {
        ruleset.tables.push(Table {
            family: TableFamily::Inet,
            name: TABLE.to_owned(),
            dormant: false,
            chains: Vec::new(),
            sets: Vec::new(),
        });
        ruleset.tables.len() - 1
    })
}

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
fn is_ban(rule: &Rule) -> bool {
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

fn put(table: &mut Table, rule: &Rule, rules: &[Rule], stand: &Stand) {
    let chain = match stand.name.starts_with("blocks") {
        true => base_chain(table, stand),
        false => generation(table, rule, rules, stand),
    };
    let own = &mut table.chains[chain].lines;
    let at = position(own, rule);
    let guard = loopback(stand, true).filter(|_| names_loopback_any(rules, rule.direction) && !names_loopback(rule));
    for line in lines(rule).into_iter().rev() {
        let conditions = guard.iter().cloned().chain(line.conditions).collect();
        own.insert(at, Line { conditions, ..line });
    }
}

fn base_chain(table: &mut Table, stand: &Stand) -> usize {
    table.chains.iter().position(|chain| chain.name == stand.name).unwrap_or_else(|| {
        let base =
            Base { kind: stand.kind, hook: stand.hook, priority: stand.priority, drops: false, devices: Vec::new() };
        let spared = loopback(stand, false).filter(|_| stand.name.starts_with("blocks"));
        let lines = spared.map(|lo| plain_line("loopback return".to_owned(), vec![lo], Verdict::Return));
        let lines = lines.into_iter().collect();
        table.chains.push(Chain { name: stand.name.to_owned(), handle: None, base: Some(base), lines });
        table.chains.len() - 1
    })
}

/// The chain of the generation in force; on an empty host a new one.
fn generation(table: &mut Table, rule: &Rule, rules: &[Rule], stand: &Stand) -> usize {
    let base = base_chain(table, stand);
    let named = table.chains[base].lines.iter().rev().find_map(|line| match &line.outcome {
        Outcome::Verdict(Verdict::Goto(name)) if line.conditions.is_empty() => Some(name.clone()),
        _ => None,
    });
    if let Some(at) = named.as_ref().and_then(|name| table.chains.iter().position(|chain| chain.name == *name)) {
        return at;
    }
    let name = format!("g1_{}", stand.name);
    let choose = plain_line(format!("goto {name}"), Vec::new(), Verdict::Goto(name.clone()));
    table.chains[base].lines.push(choose);
    let first = loopback(stand, false).filter(|_| !names_loopback_any(rules, rule.direction));
    let lines =
        first.map(|lo| plain_line("loopback return".to_owned(), vec![lo], Verdict::Return)).into_iter().collect();
    table.chains.push(Chain { name, handle: None, base: None, lines });
    table.chains.len() - 1
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

fn names_loopback_any(rules: &[Rule], direction: Direction) -> bool {
    rules.iter().any(|rule| rule.enabled && rule.direction == direction && names_loopback(rule))
}

/// The index of a new line among those that are there.
fn position(lines: &[Line], rule: &Rule) -> usize {
    let is_default = |line: &Line| {
        let denies = matches!(&line.outcome, Outcome::Verdict(verdict) if verdict.denies());
        denies && line.conditions.iter().all(is_everyone)
    };
    let named = |id: &str| lines.iter().position(|line| line.comment.as_deref() == Some(id));
    let last = |id: &str| lines.iter().rposition(|line| line.comment.as_deref() == Some(id));
    let end = lines.len() - lines.iter().rev().take_while(|line| is_default(line)).count();
    match &rule.position {
        Position::First => lines.iter().take_while(|line| line.comment.is_none()).count().min(end),
        Position::Before(id) => named(id.as_str()).unwrap_or(end),
        Position::After(id) => last(id.as_str()).map_or(end, |at| at + 1),
        Position::Auto | Position::Last => end,
    }
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
