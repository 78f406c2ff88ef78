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

/// A part of a line that translates, and by itself what it translates on loopback: AFO's chains leave that alone unless a rule names it.
/// What comes in there is translated by nobody.
fn with_loopback(part: Part, stand: Stand) -> Vec<Part> {
    let lo = Ranges::single(name_number("lo"));
    let field = if stand.side() == Direction::Output { Wide::OutInterface } else { Wide::InInterface };
    let mut local = part.cell.clone();
    local.keep_wide(field, &lo);
    let both = part.action.translates() && !stand.base.spares_loopback() && !local.is_empty() && local != part.cell;
    let more = both.then(|| Part { cell: local, ..part.clone() });
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
            if let Some(nat) = &part.nat {
                rule.nat = Some(nat.clone()).filter(|nat| *nat != Nat::default());
            }
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
