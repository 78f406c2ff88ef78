//! What a listing of nft says that can be said as AFO's rules: the way from another firewall to AFO.
//!
//! A rule is taken over only where it is proven that AFO's own lowering of it takes the same packets, and that every packet that
//! it decides has the same verdict in the chain that it came from; what cannot be said so is named with its reason, never guessed.
//! One thing is out of account: packets of one address family that carry the other's ICMP, which no host sends or takes.

mod act;
mod back;
mod cell;
mod clock;
mod left;
mod quiet;
mod rest;
mod rule;
mod saying;
#[cfg(test)]
mod tests;

use self::act::{Act, act, action, landed};
use self::back::is_idle;
use self::cell::{NONE_COMES, entering, narrowed, without};
use self::left::Doubt;
use self::quiet::{NOWHERE, Quiet};
use self::saying::Part;
use crate::backend::nftables::read::{ReadError, read_value, rule_objects};
use crate::backend::nftables::write::TABLE;
use crate::packet::Cell;
use crate::rule::ruleset::{At, Base, Chain, ChainKind, Hook, Line, Outcome, Ruleset, TableFamily, Verdict};
use crate::rule::{Action, Direction, Rule};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rules that were taken over and those that were not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// In the order in which packets meet them, direction by direction.
    pub rules: Vec<Rule>,
    /// What decides about packets or changes them and cannot be said as a rule, in the order of the listing.
    pub not_said: Vec<NotSaid>,
    /// What is not taken over and changes the fate of no packet: what only counts, what no packet comes to.
    pub idle: Vec<NotSaid>,
    /// How many rules the listing has outside AFO's own table, a policy of drop counted as one.
    pub of: usize,
}

/// A rule that cannot be said as one of AFO's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSaid {
    /// `inet filter input, rule 3`, counted from 1.
    pub place: String,
    /// As nft writes it.
    pub text: String,
    pub why: String,
}

/// Reads the rules of a listing (`nft -j list ruleset`) as AFO's rules. The same listing gives the same bytes.
///
/// # Errors
/// When it is no listing.
pub fn import(listing: &Value) -> Result<Imported, ReadError> {
    let ruleset = read_value(listing)?;
    Ok(walked(&ruleset, rule_objects(listing)))
}

/// As [`import`] for a ruleset of another reader. `rules` has of each rule family, table, chain and its statements as nft lists them, the
/// rules of a chain in their order.
pub fn import_ruleset(ruleset: &Ruleset, rules: &[(TableFamily, String, String, Value)]) -> Imported {
    walked(ruleset, rules.iter().map(|(family, table, chain, body)| (*family, &**table, &**chain, body)).collect())
}

fn walked(ruleset: &Ruleset, rules: Vec<(TableFamily, &str, &str, &Value)>) -> Imported {
    let mut walk = Walk::new(ruleset, rules);
    for direction in [Direction::Input, Direction::Forward, Direction::Output] {
        walk.direction(direction);
    }
    for hook in [Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting] {
        walk.translations(hook);
    }
    walk.ended()
}

/// Deeper no kernel follows jumps (NFT_JUMP_STACK_SIZE).
const DEEPEST: usize = 16;
/// More lines than this, each counted as often as jumps lead to it, are not followed.
const MOST: usize = 100_000;

const DECIDED: &str = "earlier rules decide all its packets";

/// Why a line without a verdict is no rule.
const COUNTS: &str = "it only counts";

const ELSEWHERE: &str = "no chain at input, forward or output leads to it, where AFO's rules stand";

struct Walk<'a> {
    ruleset: &'a Ruleset,
    statements: BTreeMap<(TableFamily, String, String), Vec<&'a Value>>,
    rules: Vec<Rule>,
    quiet: Quiet<'a>,
    not_said: BTreeMap<Spot, NotSaid>,
    idle: BTreeMap<Spot, NotSaid>,
    seen: BTreeSet<Spot>,
    /// Taken over on one way at least.
    said: BTreeSet<Spot>,
    followed: usize,
    /// The line in hand, behind the jumps that led to it.
    stack: Vec<At>,
    here: Here,
}

/// Table, chain, line; the policy of a chain stands behind its lines.
type Spot = (usize, usize, usize);

/// What is known on the way through one direction.
#[derive(Default)]
struct Here {
    /// Decided by rules that were taken over.
    certain: Vec<Cell>,
    /// Accepted on loopback, which AFO's chains leave alone.
    skipped: Vec<Cell>,
    /// Taken by rules that AFO puts behind all others.
    defaults: Vec<Cell>,
    doubts: Vec<Doubt>,
    /// Taken out of translation by the base chain that is being read.
    spared: Vec<Cell>,
    /// A rule sets the mark.
    marked: bool,
    /// An accept was taken over from a base chain before this.
    accepted_before: bool,
}

/// The base chain that is being read.
#[derive(Clone, Copy)]
struct Stand<'a> {
    direction: Direction,
    base: &'a Base,
    /// No later base chain can drop what this one accepts.
    last: bool,
}

/// Whether AFO's rules stand where a base chain does.
fn stands(base: &Base) -> Result<(), String> {
    match base.kind {
        ChainKind::Nat if base.hook == Hook::Input => {
            Err("its chain translates the sources of what is for this host, which AFO's rules do not".to_owned())
        }
        ChainKind::Nat => Ok(()),
        ChainKind::Route => Err("its chain is not of type filter".to_owned()),
        ChainKind::Filter if (-99..=99).contains(&base.priority) => Ok(()),
        ChainKind::Filter => Err(format!(
            "its chain stands at priority {}; AFO's rules stand where filters do, from -99 to 99",
            base.priority
        )),
    }
}

/// Whether a verdict of a chain that translates ends it for packets, and leaves them as they are.
fn leaves_alone(verdict: &Verdict, stand: Stand, depth: usize) -> bool {
    let ends = match verdict {
        Verdict::Accept => true,
        Verdict::Return => depth == 0,
        _ => false,
    };
    ends && stand.base.kind == ChainKind::Nat && !stand.base.drops
}

/// The packets of each key of a map, in their order, with its verdict.
fn by_key<'k>(keys: &'k [(Cell, Verdict)], cells: &[Cell]) -> Result<Vec<(Vec<Cell>, &'k Verdict)>, String> {
    let (mut parts, mut left) = (Vec::new(), cells.to_vec());
    for (key, verdict) in keys {
        let taken: Vec<Cell> = left.iter().filter_map(|cell| cell.and(key)).collect();
        left = without(left, std::slice::from_ref(key)).ok_or("its map has too many keys")?;
        parts.push((taken, verdict));
    }
    Ok(parts)
}

/// A map of translations: the packets of each key with where it leads them.
fn led(keys: &[(Cell, Verdict)], cells: &[Cell], action: Action) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for (taken, verdict) in by_key(keys, cells)? {
        for cell in taken {
            let nat = landed(verdict, action, &cell).ok_or("a key of its map leads to no single place")?;
            parts.push(Part { cell, action, nat: Some(nat) });
        }
    }
    Ok(parts)
}

impl<'a> Walk<'a> {
    fn new(ruleset: &'a Ruleset, objects: Vec<(TableFamily, &str, &str, &'a Value)>) -> Self {
        let mut statements: BTreeMap<_, Vec<&'a Value>> = BTreeMap::new();
        for (family, table, chain, body) in objects {
            statements.entry((family, table.to_owned(), chain.to_owned())).or_default().push(body);
        }
        Self {
            ruleset,
            statements,
            rules: Vec::new(),
            quiet: Quiet::of(ruleset),
            not_said: BTreeMap::new(),
            idle: BTreeMap::new(),
            seen: BTreeSet::new(),
            said: BTreeSet::new(),
            followed: 0,
            stack: Vec::new(),
            here: Here::default(),
        }
    }

    fn is_own(&self, table: usize) -> bool {
        let table = &self.ruleset.tables[table];
        table.family == TableFamily::Inet && table.name == TABLE
    }

    fn chain(&self, table: usize, chain: usize) -> &'a Chain {
        &self.ruleset.tables[table].chains[chain]
    }

    /// Whether a base chain is gone through: not where AFO's rules do not stand and it does nothing either.
    fn is_read(&self, table: usize, chain: usize, base: &Base) -> bool {
        stands(base).is_ok() || !self.quiet.is_idle((table, chain))
    }

    fn direction(&mut self, direction: Direction) {
        self.here = Here::default();
        let hook = match direction {
            Direction::Input => Hook::Input,
            Direction::Forward => Hook::Forward,
            Direction::Output => Hook::Output,
        };
        let mut chains = self.ruleset.at_hook(hook);
        chains.retain(|(table, _)| !self.is_own(*table));
        let filters = |t: usize, c: usize| self.chain(t, c).base.as_ref().is_some_and(|b| b.kind != ChainKind::Nat);
        let all: Vec<_> = chains.iter().copied().enumerate().filter(|(_, (t, c))| filters(*t, *c)).collect();
        for (n, (table, chain)) in all {
            let family = self.ruleset.tables[table].family.packets();
            let sees = |t: usize| !self.ruleset.tables[t].family.packets().is_disjoint(family);
            let last = !chains[n + 1..].iter().any(|(t, c)| sees(*t) && self.quiet.may_deny((*t, *c)));
            if let Some(base) = self.chain(table, chain).base.as_ref().filter(|base| self.is_read(table, chain, base)) {
                self.base(table, chain, Stand { direction, base, last });
            }
        }
    }

    /// Reads the chains of a hook that translate. The first rule that translates a connection is the last word about it, also behind other
    /// chains.
    fn translations(&mut self, hook: Hook) {
        self.here = Here::default();
        let direction = match hook {
            Hook::Output => Direction::Output,
            Hook::Postrouting => Direction::Forward,
            _ => Direction::Input,
        };
        for (table, chain) in self.ruleset.at_hook(hook) {
            let base = self.chain(table, chain).base.as_ref().filter(|base| base.kind == ChainKind::Nat);
            if let Some(base) = base.filter(|base| !self.is_own(table) && self.is_read(table, chain, base)) {
                self.base(table, chain, Stand { direction, base, last: true });
            }
        }
    }

    fn base(&mut self, table: usize, chain: usize, stand: Stand<'a>) {
        self.here.spared.clear();
        let all = entering(stand.direction, self.ruleset.tables[table].family);
        let said = self.rules.len();
        self.lines(table, chain, std::slice::from_ref(&all), stand, 0);
        if stand.base.drops {
            self.policy(table, chain, all, stand);
        }
        // An accept ends this base chain, not the way.
        self.here.doubts.retain(|doubt| doubt.ends != Some(Action::Accept));
        self.here.accepted_before |= self.rules[said..].iter().any(|rule| rule.action == Action::Accept);
    }

    fn lines(&mut self, table: usize, chain: usize, entering: &[Cell], stand: Stand<'a>, depth: usize) {
        let lines = &self.chain(table, chain).lines;
        let before = self.here.doubts.len();
        let mut staying = entering.to_vec();
        for (n, line) in lines.iter().enumerate() {
            self.followed += 1;
            let at = At { table, chain, line: n };
            self.stack.push(at);
            let said = self.line(at, line, &staying, stand, depth);
            self.stack.pop();
            match said {
                Ok(rest) => {
                    staying = rest.unwrap_or(staying);
                    self.said.insert((table, chain, n));
                }
                Err(why) if is_idle(&why) => self.pass(at, line, &why),
                Err(_) if line.outcome.leads() && self.quiet.passes(at, line) => self.pass(at, line, NOWHERE),
                Err(why) if self.quiet.passes(at, line) => self.pass(at, line, &why),
                Err(why) => self.leave(at, line, &staying, &why),
            }
            self.seen.insert((table, chain, n));
        }
        if depth > 0 {
            let own = self.here.doubts.split_off(before);
            self.here.doubts.extend(own.into_iter().filter(|doubt| !doubt.returns));
        }
    }

    /// Takes a line over; what stays in the chain behind it, where some of what came does not.
    fn line(
        &mut self,
        at: At,
        line: &Line,
        entering: &[Cell],
        stand: Stand<'a>,
        depth: usize,
    ) -> Result<Option<Vec<Cell>>, String> {
        let act = act(self.statements(at)?)?;
        if matches!(line.outcome, Outcome::Next | Outcome::Verdict(Verdict::Continue)) && act.is_plain() {
            return Err(COUNTS.to_owned());
        }
        stands(stand.base)?;
        if self.followed > MOST {
            return Err(format!("jumps lead to more than {MOST} rules"));
        }
        let cells = self.unspared(narrowed(entering, &line.conditions, act.chances())?)?;
        let jumps = |to: &str| (to.to_owned(), cells.clone());
        if let (Outcome::Verdict(Verdict::Translate(_)), Some((action, _))) = (&line.outcome, act.nat()) {
            let parts = cells.into_iter().map(|cell| Part::of(cell, *action)).collect();
            return self.say(parts, line, &act, stand).map(|()| None);
        }
        if let Some(staying) = self.within(line, (entering, &cells), &act, stand, depth)? {
            return Ok(staying);
        }
        if let (Outcome::ByKey(keys), Some(action)) = (&line.outcome, act.map()) {
            return self.say(led(keys, &cells, action)?, line, &act, stand).map(|()| None);
        }
        match &line.outcome {
            Outcome::Verdict(verdict) if act.is_plain() && leaves_alone(verdict, stand, depth) => {
                self.here.spared.extend(cells);
                Ok(())
            }
            Outcome::Verdict(Verdict::Return | Verdict::Goto(_)) if act.is_plain() => {
                return self.back(at, line, (entering, cells), stand, depth).map(Some);
            }
            Outcome::Verdict(Verdict::Jump(to)) if act.is_plain() => self.follow(at.table, jumps(to), stand, depth),
            Outcome::ByKey(keys) if act.is_plain() => self.keys(at, line, (keys, &cells), stand, depth),
            _ => {
                let action = action(&line.outcome)?;
                self.say(cells.into_iter().map(|cell| Part::of(cell, action)).collect(), line, &act, stand)
            }
        }?;
        Ok(None)
    }

    /// Packets without those that a rule before has taken out of translation.
    fn unspared(&self, cells: Vec<Cell>) -> Result<Vec<Cell>, String> {
        let left = without(cells, &self.here.spared).ok_or("its packets are too many pieces to be compared")?;
        if left.is_empty() { Err(NONE_COMES.to_owned()) } else { Ok(left) }
    }

    fn statements(&self, at: At) -> Result<&'a Value, String> {
        let table = &self.ruleset.tables[at.table];
        let key = (table.family, table.name.clone(), table.chains[at.chain].name.clone());
        self.statements
            .get(&key)
            .and_then(|rules| rules.get(at.line).copied())
            .ok_or_else(|| "its statements are not in the listing".to_owned())
    }

    /// Reads the chain that a jump leads to, with the packets that the jump takes there.
    fn follow(
        &mut self,
        table: usize,
        jump: (String, Vec<Cell>),
        stand: Stand<'a>,
        depth: usize,
    ) -> Result<(), String> {
        let (to, cells) = jump;
        let found = self.ruleset.tables[table].chains.iter().position(|chain| chain.name == to);
        match found {
            Some(chain) if depth < DEEPEST => {
                self.lines(table, chain, &cells, stand, depth + 1);
                Ok(())
            }
            _ => Err(format!("the way into chain `{to}` cannot be followed")),
        }
    }

    /// A verdict map: each key with its verdict, in their order.
    fn keys(
        &mut self,
        at: At,
        line: &Line,
        (keys, cells): (&[(Cell, Verdict)], &[Cell]),
        stand: Stand<'a>,
        depth: usize,
    ) -> Result<(), String> {
        let parts = by_key(keys, cells)?;
        let jump = |verdict: &Verdict| matches!(verdict, Verdict::Jump(_));
        if parts.iter().any(|(_, verdict)| jump(verdict)) {
            for (taken, verdict) in parts {
                match verdict {
                    Verdict::Jump(to) => self.follow(at.table, (to.clone(), taken), stand, depth)?,
                    other => {
                        let action = action(&Outcome::Verdict(other.clone()))?;
                        let parts = taken.into_iter().map(|cell| Part::of(cell, action)).collect();
                        self.say(parts, line, &Act::default(), stand)?;
                    }
                }
            }
            return Ok(());
        }
        let mut all = Vec::new();
        for (taken, verdict) in parts {
            let action = action(&Outcome::Verdict(verdict.clone()))?;
            all.extend(taken.into_iter().map(|cell| Part::of(cell, action)));
        }
        self.say(all, line, &Act::default(), stand)
    }
}
