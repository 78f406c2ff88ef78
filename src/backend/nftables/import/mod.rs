//! What a listing of nft says that can be said as AFO's rules: the way from another firewall to AFO.
//!
//! A rule is taken over only where it is proven that AFO's own lowering of it takes the same packets, and that every packet that
//! it decides has the same verdict in the chain that it came from; what cannot be said so is named with its reason, never guessed.
//! One thing is out of account: packets of one address family that carry the other's ICMP, which no host sends or takes.

mod act;
mod back;
mod cell;
mod clock;
mod quiet;
mod rule;
#[cfg(test)]
mod tests;

use self::act::{Act, act, action};
use self::back::is_idle;
use self::cell::{NONE_COMES, cut, entering, is_loopback, names_loopback, narrowed, nobody, widest, without};
use self::quiet::{NOWHERE, Quiet};
use self::rule::{Refusal, decided, rule_of};
use crate::backend::meaning::is_default;
use crate::backend::nftables::read::{ReadError, read_value, rule_objects};
use crate::backend::nftables::write::TABLE;
use crate::packet::{Cell, Ranges, Wide};
use crate::record::{Timestamp, content_id};
use crate::rule::ruleset::{
    Alteration, At, Base, Chain, ChainKind, Hook, Line, Outcome, Ruleset, TableFamily, Verdict, name_number,
};
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

/// A rule that was not taken over and may decide about packets before others do.
struct Doubt {
    cells: Vec<Cell>,
    /// What it does, where that is all that it can do: a rejection may answer in several ways.
    ends: Option<Action>,
    /// It only leads back to the rule behind the jump to its chain.
    returns: bool,
}

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

impl Stand<'_> {
    /// The direction in which a packet of loopback is known by its interface: behind routing by the one by which it leaves.
    fn side(&self) -> Direction {
        if self.base.hook == Hook::Postrouting { Direction::Output } else { self.direction }
    }
}

/// A part of a line that translates, and by itself what it translates on loopback: AFO's chains leave that alone unless a rule names it.
fn with_loopback(part: Part, stand: Stand) -> Vec<Part> {
    let lo = Ranges::single(name_number("lo"));
    let field = if stand.side() == Direction::Output { Wide::OutInterface } else { Wide::InInterface };
    let mut local = part.cell.clone();
    local.keep_wide(field, &lo);
    let both = part.action.translates() && !local.is_empty() && local != part.cell;
    let more = both.then_some(Part { cell: local, action: part.action });
    std::iter::once(part).chain(more).collect()
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

/// What a line comes to, packets by packets.
struct Part {
    cell: Cell,
    action: Action,
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
            match self.line(at, line, &staying, stand, depth) {
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
            let parts = cells.into_iter().map(|cell| Part { cell, action: *action }).collect();
            return self.say(parts, line, &act, stand).map(|()| None);
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
                self.say(cells.into_iter().map(|cell| Part { cell, action }).collect(), line, &act, stand)
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
        let mut parts = Vec::new();
        let mut left = cells.to_vec();
        for (key, verdict) in keys {
            let taken: Vec<Cell> = left.iter().filter_map(|cell| cell.and(key)).collect();
            left = without(left, std::slice::from_ref(key)).ok_or("its map has too many keys")?;
            parts.push((taken, verdict));
        }
        let jump = |verdict: &Verdict| matches!(verdict, Verdict::Jump(_));
        if parts.iter().any(|(_, verdict)| jump(verdict)) {
            for (taken, verdict) in parts {
                match verdict {
                    Verdict::Jump(to) => self.follow(at.table, (to.clone(), taken), stand, depth)?,
                    other => {
                        let action = action(&Outcome::Verdict(other.clone()))?;
                        let parts = taken.into_iter().map(|cell| Part { cell, action }).collect();
                        self.say(parts, line, &Act::default(), stand)?;
                    }
                }
            }
            return Ok(());
        }
        let mut all = Vec::new();
        for (taken, verdict) in parts {
            let action = action(&Outcome::Verdict(verdict.clone()))?;
            all.extend(taken.into_iter().map(|cell| Part { cell, action }));
        }
        self.say(all, line, &Act::default(), stand)
    }

    /// Takes a line over as rules, all or none of it.
    fn say(&mut self, parts: Vec<Part>, line: &Line, act: &Act, stand: Stand<'a>) -> Result<(), String> {
        if parts.is_empty() {
            return Err("it matches no packet".to_owned());
        }
        if stand.base.kind == ChainKind::Nat && act.nat().is_none() {
            return Err("it stands in a chain that translates, where AFO's rules only translate".to_owned());
        }
        if parts.len() > 1 && (act.rate.is_some() || act.log.is_some()) {
            return Err("its packets need several rules, which would log or count them each for itself".to_owned());
        }
        let parts: Vec<Part> = parts.into_iter().flat_map(|part| with_loopback(part, stand)).collect();
        let mut rules = Vec::new();
        for part in &parts {
            let mut rule = rule_of(&part.cell, part.action, stand.direction)?;
            if part.action == Action::Dnat && stand.base.hook == Hook::Prerouting {
                rule.direction = Direction::Forward;
            }
            act.put_into(&mut rule)?;
            rule.comment.clone_from(&line.comment);
            rules.push(self.named(rule, rules.len()));
        }
        let proven = parts
            .iter()
            .zip(&rules)
            .map(|(part, rule)| self.proven(part, rule, stand))
            .collect::<Result<Vec<_>, _>>()?;
        for (rule, (taken, skipped)) in rules.into_iter().zip(proven) {
            self.keep(rule, taken, skipped);
        }
        Ok(())
    }

    fn named(&self, mut rule: Rule, more: usize) -> Rule {
        let place = (self.rules.len() + more).to_be_bytes();
        let line = rule.to_line();
        let content = line.split_once(' ').map_or("", |(_, content)| content);
        rule.id = content_id(Timestamp::UNIX_EPOCH, &[b"import", content.as_bytes(), &place]);
        rule
    }

    fn keep(&mut self, rule: Rule, taken: Vec<Cell>, skipped: Vec<Cell>) {
        if rule.schedule.is_none() {
            self.here.skipped.extend(skipped);
        }
        if rule.action != Action::Log && rule.rate_limit.is_none() {
            if is_default(&rule) {
                self.here.defaults.extend(taken.iter().cloned());
            }
            // What decides at some times leaves its packets to others at the rest.
            if rule.schedule.is_none() {
                self.here.certain.extend(taken);
            }
        }
        self.rules.push(rule);
    }

    /// What the rule decides in AFO, and what it leaves to loopback's own way; or why that is not what the line does.
    fn proven(&self, part: &Part, rule: &Rule, stand: Stand<'a>) -> Result<(Vec<Cell>, Vec<Cell>), String> {
        self.in_order(part, rule, stand)?;
        let many = || "its packets are too many pieces to be compared".to_owned();
        let all = entering(stand.direction, TableFamily::Inet);
        let taken: Vec<Cell> = decided(rule, &all)?.iter().flat_map(cut).collect();
        if !without(taken.clone(), std::slice::from_ref(&part.cell)).ok_or_else(many)?.is_empty() {
            return Err(Refusal::Inexact.to_string());
        }
        let missed = without(cut(&part.cell), &taken).ok_or_else(many)?;
        let missed = without(missed, &nobody()).ok_or_else(many)?;
        let missed = without(missed, &self.here.certain).ok_or_else(many)?;
        let missed = without(missed, &self.here.skipped).ok_or_else(many)?;
        let local = |cell: &Cell| is_loopback(cell, stand.side());
        match missed.iter().all(local) {
            true if missed.is_empty() || rule.action == Action::Accept || rule.action.translates() => {
                Ok((taken, missed))
            }
            true => Err(Refusal::Loopback.to_string()),
            false if rule.action.denies() => Err(Refusal::Necessary.to_string()),
            false => Err(Refusal::Inexact.to_string()),
        }
    }

    /// Whether what stands before leaves the rule the packets that it decides.
    fn in_order(&self, part: &Part, rule: &Rule, stand: Stand<'a>) -> Result<(), String> {
        let here = &self.here;
        let meets = |cells: &[Cell]| cells.iter().any(|cell| !cell.is_disjoint(&part.cell));
        let ends = Some(part.action).filter(|action| matches!(action, Action::Accept | Action::Drop));
        let decides = |doubt: &&Doubt| {
            let both: Vec<Cell> = doubt.cells.iter().filter_map(|cell| cell.and(&part.cell)).collect();
            without(both, &here.certain).is_none_or(|left| !left.is_empty())
        };
        let doubted = here.doubts.iter().filter(|d| d.ends.is_none() || d.ends != ends).any(|d| decides(&d));
        match () {
            () if without(cut(&part.cell), &here.certain).is_some_and(|left| left.is_empty()) => {
                Err(DECIDED.to_owned())
            }
            () if part.action == Action::Accept && !stand.last => {
                Err("its accept is not final: a later base chain can still drop".to_owned())
            }
            () if rule.log.is_some() && here.accepted_before => {
                Err("its log comes behind the accepts of an earlier base chain".to_owned())
            }
            () if here.marked && *part.cell.wide(Wide::Mark) != Wide::Mark.all() => {
                Err("it asks for a mark that a rule before it sets".to_owned())
            }
            () if !part.action.denies() && meets(&here.defaults) => {
                Err("it comes behind a rule that denies everything, which AFO puts last".to_owned())
            }
            () if part.action.denies() && names_loopback(rule) && meets(&here.skipped) => {
                Err("it denies on loopback what a rule before it accepts everywhere".to_owned())
            }
            () if doubted => Err("a rule before it that cannot be said may decide its packets first".to_owned()),
            () => Ok(()),
        }
    }

    /// A policy of drop as the rule that comes last.
    fn policy(&mut self, table: usize, chain: usize, all: Cell, stand: Stand<'a>) {
        let spot = (table, chain, usize::MAX);
        self.seen.insert(spot);
        let text = "policy drop".to_owned();
        let line = Line {
            handle: None,
            comment: Some(format!("policy of {}", self.place(table, chain))),
            text: text.clone(),
            conditions: Vec::new(),
            alters: Vec::new(),
            outcome: Outcome::Verdict(Verdict::Drop),
        };
        let said = match stand.last {
            true => stands(stand.base).and_then(|()| {
                let part = Part { cell: all.clone(), action: Action::Drop };
                self.say(vec![part], &line, &Act::default(), stand)
            }),
            false => Err("a later base chain comes behind it, and AFO puts it last".to_owned()),
        };
        if let Err(why) = said {
            let place = self.place(table, chain);
            let decided = is_idle(&why);
            let kept = if decided { &mut self.idle } else { &mut self.not_said };
            kept.insert(spot, NotSaid { place, text, why });
            if !decided {
                self.doubt(vec![all], Some(Action::Drop), false);
            }
        }
    }

    /// Keeps a line as not said, and what it may do to packets on their way to later ones.
    fn leave(&mut self, at: At, line: &Line, entering: &[Cell], why: &str) {
        self.refuse(at, line, why);
        for change in &line.alters {
            match change {
                Alteration::Mark(_) | Alteration::EarlyMark | Alteration::MarkBits { .. } => self.here.marked = true,
                Alteration::Field(name) if name == "meta mark" => self.here.marked = true,
                Alteration::Field(name) if name.starts_with("meta ") || name.starts_with("ct ") => {}
                Alteration::Effect(_) => {}
                Alteration::Field(_) | Alteration::Untracked => self.doubt(entering.to_vec(), None, false),
            }
        }
        let ends = match &line.outcome {
            Outcome::Next | Outcome::Verdict(Verdict::Continue) => return,
            Outcome::Verdict(Verdict::Accept) => Some(Action::Accept),
            Outcome::Verdict(Verdict::Drop) => Some(Action::Drop),
            _ => None,
        };
        // What is not understood of it may hold: the widest set of its packets counts.
        let cells = widest(entering, &line.conditions);
        self.doubt(cells, ends, line.outcome == Outcome::Verdict(Verdict::Return));
    }

    fn doubt(&mut self, cells: Vec<Cell>, ends: Option<Action>, returns: bool) {
        self.here.doubts.push(Doubt { cells, ends, returns });
    }

    fn refuse(&mut self, at: At, line: &Line, why: &str) {
        let told = self.told(at, line, why);
        self.not_said.entry((at.table, at.chain, at.line)).or_insert(told);
    }

    /// Keeps a line as one that decides nothing.
    fn pass(&mut self, at: At, line: &Line, why: &str) {
        let told = self.told(at, line, why);
        self.idle.entry((at.table, at.chain, at.line)).or_insert(told);
    }

    fn told(&self, at: At, line: &Line, why: &str) -> NotSaid {
        let place = format!("{}, rule {}", self.place(at.table, at.chain), at.line + 1);
        NotSaid { place, text: line.text.clone(), why: why.to_owned() }
    }

    fn place(&self, table: usize, chain: usize) -> String {
        let (table, chain) = (&self.ruleset.tables[table], self.chain(table, chain));
        format!("{} {} {}", table.family, table.name, chain.name)
    }

    /// Counts what no way led to, and ends.
    fn ended(mut self) -> Imported {
        let ruleset = self.ruleset;
        let mut of = ruleset.unread.len();
        for (table, chain, found) in ruleset.chains() {
            if self.is_own(table) {
                continue;
            }
            of += found.lines.len();
            for (n, line) in found.lines.iter().enumerate() {
                let at = At { table, chain, line: n };
                match self.quiet.why(at, line) {
                    _ if self.seen.contains(&(table, chain, n)) => {}
                    Some(why) => self.pass(at, line, why),
                    None => self.refuse(at, line, ELSEWHERE),
                }
            }
            if found.base.as_ref().is_some_and(|base| base.drops) {
                of += 1;
                self.unseen_policy(table, chain);
            }
        }
        let unread = ruleset.unread.iter().map(|text| NotSaid {
            place: "ruleset".to_owned(),
            text: text.clone(),
            why: "it is not understood".to_owned(),
        });
        let missed = |spot: &Spot| !self.said.contains(spot) && !self.not_said.contains_key(spot);
        let idle = self.idle.into_iter().filter(|(spot, _)| missed(spot)).map(|(_, told)| told).collect();
        let not_said = self.not_said.into_values().chain(unread).collect();
        Imported { rules: self.rules, not_said, idle, of }
    }

    fn unseen_policy(&mut self, table: usize, chain: usize) {
        let spot = (table, chain, usize::MAX);
        if !self.seen.contains(&spot) {
            let place = self.place(table, chain);
            self.not_said.insert(spot, NotSaid { place, text: "policy drop".to_owned(), why: ELSEWHERE.to_owned() });
        }
    }
}
