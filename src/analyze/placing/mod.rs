//! Where proposed rules would stand: in AFO's own table, as its scheme in the kernel has it.
//!
//! Bans for a time stand in the block chains before addresses are translated; all else in the generation of its hook, after the rules
//! that are there and before a default denial, unless it says otherwise.

mod older;

pub(super) use self::older::Older;
use super::ban::is_ban;
use super::lower::{ENDS, lines};
use super::view::{Known, OWN, View};
use crate::packet::{AddressSpec, Bits, Cell, Narrow, Ranges, Wide};
use crate::record::{Change, ChangeOp};
use crate::rule::door::{is_through, through};
use crate::rule::ruleset::{
    At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, TableFamily, Verdict, name_number,
};
use crate::rule::{Action, Direction, Position, Rule};

/// A line of AFO's in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stood {
    pub(super) at: At,
    /// The base chain that leads to it.
    pub(super) base: usize,
}

/// What a change of what is there came to.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Lines that are gone; where an address is freed, gone for that address.
    pub(super) gone: Vec<Stood>,
    /// Lines that took their place, or came back.
    pub(super) new: Vec<Stood>,
    /// Set where it is an address that is blocked no more.
    pub(super) freed: Option<AddressSpec>,
    /// Why nobody can say what it does.
    pub(super) trouble: Option<String>,
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
    let known = Known::of(live);
    let mut placing = Placing::new(View::of(live, &known));
    for rule in rules {
        placing.put(rule);
    }
    placing.view().ruleset()
}

/// A ruleset after changes and with rules in their places, and why it is not known what some of the changes make of it. An address that
/// is freed changes nothing here: what a set of blocks holds is not in a ruleset.
pub fn with_changes(live: &Ruleset, changes: &[Change], rules: &[Rule]) -> (Ruleset, Vec<String>) {
    let known = Known::of(live);
    let mut placing = Placing::new(View::of(live, &known));
    let troubles = changes.iter().filter_map(|change| placing.change(change).trouble).collect();
    for rule in rules {
        placing.put(rule);
    }
    (placing.view().ruleset(), troubles)
}

fn trouble(words: impl Into<String>) -> Made {
    Made { trouble: Some(words.into()), ..Made::default() }
}

/// A ruleset in which changes are made one after the other, where AFO would make them.
#[derive(Debug)]
pub(super) struct Placing<'a> {
    view: View<'a>,
    table: usize,
    /// Through which AFO's accepts go in other programs' chains.
    doors: Vec<(At, Hook)>,
}

impl<'a> Placing<'a> {
    /// Begins with a ruleset.
    pub(super) fn new(view: View<'a>) -> Self {
        Self { table: view.own_table(), doors: view.doors(), view }
    }

    /// The ruleset with all changes.
    pub(super) fn view(self) -> View<'a> {
        self.view
    }

    /// Puts a rule into its places; none where it is disabled.
    pub(super) fn put(&mut self, rule: &Rule) -> Vec<Stood> {
        if !rule.enabled {
            return Vec::new();
        }
        self.put_through(rule);
        stands(rule).iter().flat_map(|stand| put(&mut self.view, self.table, rule, stand)).collect()
    }

    /// Puts what a rule accepts before the doors of its hook: there its mark lets it through.
    fn put_through(&mut self, rule: &Rule) {
        for stand in stands(rule).iter().filter(|_| rule.enabled && rule.action == Action::Accept) {
            let guard = loopback(stand, true).filter(|_| !names_loopback(rule));
            let accepts = |line: &Line| line.outcome == Outcome::Verdict(Verdict::Accept);
            for (door, _) in self.doors.iter().filter(|(_, hook)| *hook == stand.hook) {
                for line in lines(rule).iter().filter(|line| accepts(line)) {
                    let rank = self.view.rank(*door).unwrap_or(0);
                    self.view.put(door.table, door.chain, rank, through(line, guard.clone()));
                }
            }
        }
    }

    /// Takes out what a rule that goes let through doors.
    fn take_through(&mut self, id: &str) {
        for (table, chain) in self.doors.iter().map(|(door, _)| (door.table, door.chain)) {
            for line in self.view.order(table, chain) {
                let at = At { table, chain, line };
                let own = |line: &Line| is_through(line) && line.comment.as_deref() == Some(id);
                if self.view.line(at).is_some_and(own) {
                    self.view.take(at);
                }
            }
        }
    }

    /// Makes a change to what is there.
    pub(super) fn change(&mut self, change: &Change) -> Made {
        let own = self.own(&change.target);
        match (change.op, &change.rule) {
            (ChangeOp::Policy, _) => {
                trouble("a default policy cannot be changed by this version; add a last rule that drops instead")
            }
            (ChangeOp::Enable, None) => {
                trouble(format!("a rule that is disabled is not in the ruleset; bring rule `{}` along", change.target))
            }
            (ChangeOp::Enable, Some(rule)) => Made { new: self.put(rule), ..Made::default() },
            (ChangeOp::Replace, None) => trouble(format!("no rule comes in the place of `{}`", change.target)),
            (ChangeOp::Remove, _) if own.is_empty() => match change.target.parse() {
                Ok(address) => self.free(address),
                Err(_) => self.missing(&change.target),
            },
            _ if own.is_empty() => self.missing(&change.target),
            (ChangeOp::Replace, Some(rule)) => {
                self.take_through(&change.target);
                self.replace(own, rule)
            }
            (ChangeOp::Remove | ChangeOp::Disable, _) => {
                for stood in &own {
                    self.view.take(stood.at);
                }
                self.take_through(&change.target);
                Made { gone: own, ..Made::default() }
            }
        }
    }

    fn missing(&self, target: &str) -> Made {
        trouble(format!("no rule `{}` of AFO's is in this ruleset", target.escape_debug()))
    }

    /// The lines of a rule that stands in the generation in force.
    fn own(&self, id: &str) -> Vec<Stood> {
        let mut found = Vec::new();
        for base in POLICY.iter().filter_map(|name| self.view.named(self.table, name)) {
            let Some(chain) = chosen(&self.view, self.table, base) else { continue };
            let places =
                self.view.order(self.table, chain).into_iter().map(|line| At { table: self.table, chain, line });
            let is_it = |at: &At| self.view.line(*at).is_some_and(|line| line.comment.as_deref() == Some(id));
            found.extend(places.filter(is_it).map(|at| Stood { at, base }));
        }
        found
    }

    fn replace(&mut self, gone: Vec<Stood>, rule: &Rule) -> Made {
        let ranks: Vec<_> = gone.iter().filter_map(|stood| Some((stood, self.view.take(stood.at)?))).collect();
        let same = stands(rule)
            .first()
            .is_some_and(|stand| gone.iter().all(|stood| self.view.named(self.table, stand.name) == Some(stood.base)));
        let new = match ranks.first() {
            Some((first, rank)) if same && rule.enabled && rule.position == Position::Auto => {
                self.put_through(rule);
                let (base, at) = (first.base, first.at);
                let lines = lines(rule).into_iter().enumerate();
                lines.map(|(n, line)| Stood { at: self.view.put(at.table, at.chain, rank + n, line), base }).collect()
            }
            _ => self.put(rule),
        };
        Made { gone, new, ..Made::default() }
    }

    /// The lines that look up blocks, for an address that is blocked no more.
    fn free(&self, address: AddressSpec) -> Made {
        let looks = |condition: &Condition| matches!(condition, Condition::Chance(text) if text.contains('@'));
        let mut gone = Vec::new();
        for base in BLOCKS.iter().filter_map(|name| self.view.named(self.table, name)) {
            let places = self.view.order(self.table, base).into_iter();
            let places = places.map(|line| Stood { at: At { table: self.table, chain: base, line }, base });
            let is_look =
                |stood: &Stood| self.view.line(stood.at).is_some_and(|line| line.conditions.iter().any(looks));
            gone.extend(places.filter(is_look));
        }
        match gone.is_empty() {
            true => trouble(format!("no block of {address} is in this ruleset")),
            false => Made { gone, freed: Some(address), ..Made::default() },
        }
    }
}

/// The base chains of AFO's policy, and those of its blocks.
pub(super) const POLICY: [&str; 6] = ["input", "forward", "output", "dstnat", "dstnat_output", "srcnat"];
pub(super) const BLOCKS: [&str; 3] = ["blocks", "blocks_output", "blocks_forward"];

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
        (Action::Dnat | Action::Redirect, Direction::Output) => {
            stand("dstnat_output", ChainKind::Nat, Hook::Output, -105)
        }
        (Action::Dnat | Action::Redirect, _) => stand("dstnat", ChainKind::Nat, Hook::Prerouting, -105),
        (Action::Snat | Action::Masquerade, _) => stand("srcnat", ChainKind::Nat, Hook::Postrouting, 95),
        (_, Direction::Input) => stand("input", ChainKind::Filter, Hook::Input, -5),
        (_, Direction::Forward) => stand("forward", ChainKind::Filter, Hook::Forward, -5),
        (_, Direction::Output) => stand("output", ChainKind::Filter, Hook::Output, -5),
    }]
}

fn put(view: &mut View, table: usize, rule: &Rule, stand: &Stand) -> Vec<Stood> {
    let base = base_chain(view, table, stand);
    let chain = if stand.name.starts_with("blocks") { base } else { generation(view, table, base, stand) };
    let (names, lo) = (names_loopback(rule), loopback(stand, false));
    let spared = view.order(table, chain).iter().position(|line| spares(view, At { table, chain, line: *line }));
    let mut stood = Vec::new();
    if let (true, Some(at), Some(lo)) = (names, spared, lo) {
        // The rules that name loopback come before the line that leaves it alone, for loopback.
        let rank = position(view, table, chain, at, rule);
        stood.extend(put_lines(view, (table, chain), rank, rule, Some(&lo)));
    }
    let guard = loopback(stand, true).filter(|_| !names && spared.is_none());
    let rank = position(view, table, chain, usize::MAX, rule);
    stood.extend(put_lines(view, (table, chain), rank, rule, guard.as_ref()));
    stood.into_iter().map(|at| Stood { at, base }).collect()
}

/// Puts the lines of a rule into a chain from a rank on, with one more condition.
fn put_lines(view: &mut View, place: (usize, usize), rank: usize, rule: &Rule, more: Option<&Condition>) -> Vec<At> {
    let own = lines(rule).into_iter().enumerate();
    own.map(|(n, line)| {
        let conditions = more.into_iter().cloned().chain(line.conditions).collect();
        view.put(place.0, place.1, rank + n, Line { conditions, ..line })
    })
    .collect()
}

/// Whether a line is AFO's own that leaves loopback alone.
fn spares(view: &View, at: At) -> bool {
    let lo = Ranges::single(name_number("lo"));
    view.is_frame(at)
        && view.line(at).is_some_and(|line| {
            line.outcome == Outcome::Verdict(Verdict::Return)
                && matches!(line.conditions.as_slice(), [Condition::Wide(Wide::InInterface | Wide::OutInterface, values)] if *values == lo)
        })
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
fn generation(view: &mut View, table: usize, base: usize, stand: &Stand) -> usize {
    if let Some(chain) = chosen(view, table, base) {
        return chain;
    }
    let name = format!("g1_{}", stand.name);
    let choose = plain_line(format!("goto {name}"), Vec::new(), Verdict::Goto(name.clone()));
    view.put(table, base, usize::MAX, choose);
    let chain = add_chain(view, table, &name, None);
    spare_loopback(view, table, chain, stand);
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
        Hook::Forward if stand.name.starts_with("blocks") => Wide::OutInterface,
        _ => return None,
    };
    let lo = Ranges::single(name_number("lo"));
    Some(Condition::Wide(field, if negated { field.all().minus(&lo) } else { lo }))
}

fn names_loopback(rule: &Rule) -> bool {
    let lists = [&rule.interface_in, &rule.interface_out];
    lists.iter().any(|list| !list.is_negated() && list.items().iter().any(|name| name.matches("lo")))
}

/// The rank of a new line among the first `most` of those that are there.
fn position(view: &View, table: usize, chain: usize, most: usize, rule: &Rule) -> usize {
    let mut order = view.order(table, chain);
    order.truncate(most);
    let line = |number: &usize| view.line(At { table, chain, line: *number });
    let is = |id: &str, number: &usize| line(number).is_some_and(|line| line.comment.as_deref() == Some(id));
    let frame = |number: &&usize| view.is_frame(At { table, chain, line: **number });
    let end = || before_default(&order.iter().filter_map(line).collect::<Vec<_>>());
    match &rule.position {
        Position::First if most < usize::MAX => 0,
        Position::First => order.iter().take_while(frame).count(),
        Position::Before(id) => order.iter().position(|n| is(id.as_str(), n)).unwrap_or_else(end),
        Position::After(id) => order.iter().rposition(|n| is(id.as_str(), n)).map_or_else(end, |at| at + 1),
        Position::Auto if is_default(&lines(rule).iter().collect::<Vec<_>>()) => order.len(),
        Position::Auto | Position::Last => end(),
    }
}

/// How many lines stand before a default denial at the end, which is one rule or several.
fn before_default(lines: &[&Line]) -> usize {
    let mut end = lines.len();
    while let Some(last) = lines[..end].last() {
        let group = lines[..end].iter().rev().take_while(|line| line.comment == last.comment).count();
        if last.comment.is_none() || !is_default(&lines[end - group..end]) {
            break;
        }
        end -= group;
    }
    end
}

/// Whether the lines of one rule deny everybody everything, but for ICMP that is spared.
fn is_default(lines: &[&Line]) -> bool {
    let mut taken: [Bits; 2] = Default::default();
    for line in lines {
        let denies = matches!(&line.outcome, Outcome::Verdict(verdict) if verdict.denies());
        let Some(cells) = all_of(line).filter(|_| denies) else { return false };
        for cell in cells.iter().filter(|cell| everybodys(cell)) {
            for family in cell.narrow(Narrow::Family).iter().filter(|family| *family < 2) {
                let own = &mut taken[usize::from(family)];
                *own = own.or(cell.narrow(Narrow::Protocol));
            }
        }
    }
    taken.contains(&Bits::ALL) && taken.iter().all(|own| own.is_empty() || *own == Bits::ALL)
}

/// The packets that a line asks for, where all of its conditions are understood.
pub(super) fn all_of(line: &Line) -> Option<Vec<Cell>> {
    let mut found = vec![Cell::all()];
    for condition in &line.conditions {
        let cells = match condition {
            Condition::Wide(field, values) => vec![Cell::all().with_wide(*field, values.clone())],
            Condition::Narrow(field, values) => vec![Cell::all().with_narrow(*field, *values)],
            Condition::AnyOf(cells) => cells.clone(),
            Condition::Chance(text) if text == ENDS || text.contains("@ttl_") => continue,
            Condition::Chance(_) | Condition::Unread(_) => return None,
        };
        found = found.iter().flat_map(|own| cells.iter().filter_map(|cell| own.and(cell))).collect();
    }
    Some(found)
}

/// Whether a cell asks for nothing but family and protocol, and of ICMP for most types.
fn everybodys(cell: &Cell) -> bool {
    let icmp = cell.narrow(Narrow::Protocol).is_subset(Bits::single(1).with(58));
    let free = |field: Narrow| match field {
        Narrow::Family | Narrow::Protocol => true,
        Narrow::IcmpType => cell.narrow(field) == field.all() || icmp && cell.narrow(field).len() > 200,
        Narrow::Fragment => cell.narrow(field) == field.all() || icmp,
        _ => cell.narrow(field) == field.all(),
    };
    let v4 = Ranges::one(0, u32::MAX.into());
    let only_v4 = cell.narrow(Narrow::Family) == Bits::single(0);
    let whole = |field: Wide| match field {
        Wide::Source | Wide::Destination if only_v4 => v4.is_subset(cell.wide(field)),
        _ => *cell.wide(field) == field.all(),
    };
    Wide::ALL.into_iter().all(whole) && Narrow::ALL.into_iter().all(free)
}
