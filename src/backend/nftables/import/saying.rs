//! A line as rules of AFO's, each proven to take the packets that the line does: all of it or nothing.

use super::act::Act;
use super::back::is_idle;
use super::cell::{cut, entering, is_loopback, names_loopback, nobody, without};
use super::left::Doubt;
use super::rule::{Refusal, decided, rule_of};
use super::{DECIDED, NotSaid, Stand, Walk, stands};
use crate::backend::meaning::is_default;
use crate::packet::{Cell, Ranges, Wide};
use crate::record::{Timestamp, content_id};
use crate::rule::ruleset::{ChainKind, Hook, Line, Outcome, TableFamily, Verdict, name_number};
use crate::rule::{Action, Direction, Nat, Rule};

/// What a line comes to, packets by packets.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) cell: Cell,
    pub(super) action: Action,
    /// Where it leads, where each part leads elsewhere.
    pub(super) nat: Option<Nat>,
}

impl Part {
    /// Packets to which one thing is done.
    pub(super) fn of(cell: Cell, action: Action) -> Self {
        Self { cell, action, nat: None }
    }
}

impl Stand<'_> {
    /// The direction in which a packet of loopback is known by its interface: behind routing by the one by which it leaves.
    fn side(&self) -> Direction {
        if self.base.hook == Hook::Postrouting { Direction::Output } else { self.direction }
    }
}

/// More rules than this for what is accepted on loopback before are none that a person reads.
const PIECES: usize = 32;

/// A rule, what it decides in AFO, and what it leaves to loopback's own way.
struct Proven {
    rule: Rule,
    taken: Vec<Cell>,
    skipped: Vec<Cell>,
}

/// A line and what it does.
type Done<'b> = (&'b Line, &'b Act);

/// The packets of loopback in a part; none where a packet of the chain is not known to be of it.
fn of_loopback(part: &Part, stand: Stand) -> Option<Cell> {
    let field = match stand.side() {
        Direction::Input => Wide::InInterface,
        Direction::Output => Wide::OutInterface,
        Direction::Forward => return None,
    };
    let mut local = part.cell.clone();
    local.keep_wide(field, &Ranges::single(name_number("lo")));
    (!local.is_empty() && local != part.cell).then_some(local)
}

/// A part of a line that translates, and by itself what it translates on loopback: AFO's chains leave that alone unless a rule names it.
/// What comes in there is translated by nobody.
fn with_loopback(part: Part, stand: Stand) -> Vec<Part> {
    let local = of_loopback(&part, stand).filter(|_| part.action.translates() && !stand.base.spares_loopback());
    let more = local.map(|cell| Part { cell, ..part.clone() });
    std::iter::once(part).chain(more).collect()
}

impl<'a> Walk<'a> {
    /// Takes a line over as rules, all or none of it.
    pub(super) fn say(&mut self, parts: Vec<Part>, line: &Line, act: &Act, stand: Stand<'a>) -> Result<(), String> {
        if parts.is_empty() {
            return Err("it matches no packet".to_owned());
        }
        let translates = act.nat().is_some() || parts.iter().all(|part| part.nat.is_some());
        if stand.base.kind == ChainKind::Nat && !translates {
            return Err("it stands in a chain that translates, where AFO's rules only translate".to_owned());
        }
        let mut all = Vec::new();
        for part in parts.into_iter().flat_map(|part| with_loopback(part, stand)) {
            if self.is_decided(&part) || self.is_accepted(&part) {
                continue;
            }
            let more = self.rules_of(&part, (line, act), stand, all.len()).map_err(|why| why.to_string())?;
            all.extend(more);
        }
        if all.is_empty() {
            return Err(DECIDED.to_owned());
        }
        if all.len() > 1 && (act.rate.is_some() || act.log.is_some()) {
            return Err("its packets need several rules, which would log or count them each for itself".to_owned());
        }
        all.into_iter().for_each(|proven| self.keep(proven));
        Ok(())
    }

    /// The rules that are a part of a line: one, or where it denies on loopback too another for that before it, behind others for what is
    /// accepted there by then.
    fn rules_of(&self, part: &Part, done: Done, stand: Stand<'a>, more: usize) -> Result<Vec<Proven>, Refusal> {
        let why = match self.rule_for(part, done, stand, (more, &[])) {
            Err(Refusal::Loopback) if done.1.rate.is_none() => Refusal::Loopback,
            found => return found.map(|proven| vec![proven]),
        };
        let Some(local) = of_loopback(part, stand) else { return Err(why) };
        let accepted: Vec<Cell> = self.here.skipped.iter().filter_map(|cell| cell.and(&local)).collect();
        if accepted.len() > PIECES {
            return Err(why);
        }
        let accepts = accepted.into_iter().map(|cell| Part::of(cell, Action::Accept));
        let plain = Act::default();
        let (mut all, mut taken) = (Vec::new(), Vec::new());
        for (piece, act) in accepts.map(|piece| (piece, &plain)).chain([(Part { cell: local, ..part.clone() }, done.1)])
        {
            if self.is_decided(&piece) {
                continue;
            }
            let proven: Proven = self.rule_for(&piece, (done.0, act), stand, (more + all.len(), &taken))?;
            taken.extend(proven.taken.iter().cloned());
            all.push(proven);
        }
        all.push(self.rule_for(part, done, stand, (more + all.len(), &taken))?);
        Ok(all)
    }

    /// Whether rules that were taken over decide about all its packets before it.
    fn is_decided(&self, part: &Part) -> bool {
        without(cut(&part.cell), &self.here.certain).is_some_and(|left| left.is_empty())
    }

    /// Whether all its packets are accepted before it, where some are on loopback, which AFO's chains leave alone.
    fn is_accepted(&self, part: &Part) -> bool {
        let known = [&nobody()[..], &self.here.certain, &self.here.skipped];
        let left = known.into_iter().try_fold(cut(&part.cell), without);
        !part.action.translates() && left.is_some_and(|left| left.is_empty())
    }

    /// The rule that is a part of a line beside others that have `taken` of it: a strict one where it means also what AFO's leave alone.
    fn rule_for(&self, part: &Part, done: Done, stand: Stand<'a>, beside: (usize, &[Cell])) -> Result<Proven, Refusal> {
        match self.proof(part, done, stand, beside, false) {
            Err(why) if matches!(why, Refusal::Necessary | Refusal::Inexact | Refusal::Loopback) => {
                self.proof(part, done, stand, beside, true).map_err(|strict| match strict {
                    Refusal::Loopback => strict,
                    _ => why,
                })
            }
            found => found,
        }
    }

    fn proof(
        &self,
        part: &Part,
        (line, act): Done,
        stand: Stand<'a>,
        (more, taken): (usize, &[Cell]),
        strict: bool,
    ) -> Result<Proven, Refusal> {
        let mut rule = rule_of(&part.cell, part.action, stand.direction)?;
        if part.action == Action::Dnat && stand.base.hook == Hook::Prerouting {
            rule.direction = Direction::Forward;
        }
        act.put_into(&mut rule)?;
        if let Some(nat) = &part.nat {
            rule.nat = Some(nat.clone()).filter(|nat| *nat != Nat::default());
        }
        rule.strict = strict;
        rule.comment.clone_from(&line.comment);
        let rule = self.named(rule, more);
        let (taken, skipped) = self.proven(part, &rule, stand, taken)?;
        Ok(Proven { rule, taken, skipped })
    }

    fn named(&self, mut rule: Rule, more: usize) -> Rule {
        let place = (self.rules.len() + more).to_be_bytes();
        let line = rule.to_line();
        let content = line.split_once(' ').map_or("", |(_, content)| content);
        rule.id = content_id(Timestamp::UNIX_EPOCH, &[b"import", content.as_bytes(), &place]);
        rule
    }

    fn keep(&mut self, proven: Proven) {
        let Proven { rule, taken, skipped } = proven;
        if rule.schedule.is_none() {
            self.here.skipped.extend(skipped);
        }
        // What accepts within a rate drops the rest.
        let decides = rule.rate_limit.is_none() || rule.action == Action::Accept;
        if rule.action != Action::Log && decides {
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
    fn proven(
        &self,
        part: &Part,
        rule: &Rule,
        stand: Stand<'a>,
        beside: &[Cell],
    ) -> Result<(Vec<Cell>, Vec<Cell>), Refusal> {
        self.in_order(part, rule, stand, beside)?;
        let many = || Refusal::Other("its packets are too many pieces to be compared".to_owned());
        let all = entering(stand.direction, TableFamily::Inet);
        let taken: Vec<Cell> = decided(rule, &all)?.iter().flat_map(cut).collect();
        let beyond = without(taken.clone(), std::slice::from_ref(&part.cell)).and_then(|more| without(more, &nobody()));
        if !beyond.ok_or_else(many)?.is_empty() {
            return Err(Refusal::Inexact);
        }
        let known = [&taken, &nobody()[..], &self.here.certain, &self.here.skipped, beside];
        let left = |all: Vec<Cell>| known.into_iter().try_fold(all, without).ok_or_else(many);
        let missed = left(cut(&part.cell))?;
        let local = |cell: &Cell| is_loopback(cell, stand.side());
        let alone = rule.action == Action::Accept && rule.rate_limit.is_none() || rule.action.translates();
        match missed.iter().all(local) {
            true if missed.is_empty() => Ok((taken, missed)),
            true if alone => left(vec![part.cell.clone()]).map(|skipped| (taken.clone(), skipped)),
            true => Err(Refusal::Loopback),
            false if rule.action.denies() => Err(Refusal::Necessary),
            false => Err(Refusal::Inexact),
        }
    }

    /// Whether what stands before leaves the rule the packets that it decides.
    fn in_order(&self, part: &Part, rule: &Rule, stand: Stand<'a>, beside: &[Cell]) -> Result<(), String> {
        let here = &self.here;
        let meets = |cells: &[Cell]| cells.iter().any(|cell| !cell.is_disjoint(&part.cell));
        let ends = Some(part.action).filter(|action| matches!(action, Action::Accept | Action::Drop));
        let decides = |doubt: &&Doubt| {
            let both: Vec<Cell> = doubt.cells.iter().filter_map(|cell| cell.and(&part.cell)).collect();
            without(both, &here.certain).is_none_or(|left| !left.is_empty())
        };
        let open_skip = || {
            let both: Vec<Cell> = here.skipped.iter().filter_map(|cell| cell.and(&part.cell)).collect();
            without(both, beside).is_none_or(|left| !left.is_empty())
        };
        let doubted = here.doubts.iter().filter(|d| d.ends.is_none() || d.ends != ends).any(|d| decides(&d));
        match () {
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
            () if part.action.denies() && names_loopback(rule) && open_skip() => {
                Err("it denies on loopback what a rule before it accepts everywhere".to_owned())
            }
            () if doubted => Err("a rule before it that cannot be said may decide its packets first".to_owned()),
            () => Ok(()),
        }
    }

    /// A policy of drop as the rule that comes last.
    pub(super) fn policy(&mut self, table: usize, chain: usize, all: Cell, stand: Stand<'a>) {
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
                let part = Part::of(all.clone(), Action::Drop);
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
}
