//! What stands against proposed rules, and what they change.
//!
//! Each rule is judged where it would stand in the whole ruleset: what still reaches it, what later base chains do to what it accepts,
//! and which packets had another fate before.

use super::Budget;
use super::cells::{Atoms, Doubt, Match, Reader, Sight, entering};
use super::effect::Changed;
use super::fate::{Part, fates, settled};
use super::placing::{Placed, Stood, placed};
use super::program::{Act, Program, Unlaid, lay_out_near};
use super::search::{Limits, Reach, reach};
use super::view::{Known, View};
use super::words::{class, example};
use crate::packet::{Bits, Cell, Narrow};
use crate::record::{Conflict, ConflictType, Conflicts, Effect};
use crate::rule::evaluate::By;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Action, Direction, Rule};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// More pieces of a rule's packets than this are not followed one by one.
const PIECES: usize = 512;
/// More rules than this are counted, not named.
const NAMED: usize = 8;

/// What is to be said of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    pub conflicts: Conflicts,
    pub effect: Effect,
    pub advice: Vec<String>,
}

/// Whether deployment stops because of a conflict: the rule never does what it says, or nobody knows.
pub fn stops(conflict: &Conflict) -> bool {
    match conflict.kind {
        ConflictType::Unmatchable | ConflictType::Contradiction | ConflictType::Shadow | ConflictType::Unknown => true,
        ConflictType::Ineffective => conflict.dead,
        _ => false,
    }
}

/// A ruleset that proposals are judged against, one or many: what is found out about it serves all.
#[derive(Debug)]
pub struct Against<'a> {
    live: Cow<'a, Ruleset>,
    known: Known,
}

impl<'a> Against<'a> {
    /// A ruleset, lent or given.
    pub fn new(live: Cow<'a, Ruleset>) -> Self {
        let known = Known::of(&live);
        Self { live, known }
    }

    /// Judges rules that are to be added to the ruleset.
    pub fn judge(&self, rules: &[Rule], budget: Budget) -> Judgement {
        let before = View::of(&self.live, &self.known);
        let Placed { view: after, places } = placed(&self.live, &self.known, rules);
        let mut judge = Judge {
            before: &before,
            after: &after,
            atoms: Atoms::default(),
            budget,
            items: Vec::new(),
            advice: BTreeSet::new(),
            changed: Changed::default(),
        };
        for (rule, places) in rules.iter().zip(&places).filter(|(rule, _)| rule.enabled) {
            match judge.ways(places) {
                Ok(ways) => judge.rule(rule, &ways, places),
                Err(why) => judge.items.push(not_laid(rule, &why)),
            }
        }
        let Judge { items, advice, changed, atoms, .. } = judge;
        Judgement {
            conflicts: Conflicts { has_conflicts: !items.is_empty(), items },
            effect: changed.effect(&atoms),
            advice: advice.into_iter().collect(),
        }
    }
}

/// Judges rules that are to be added to a ruleset.
pub fn conflicts(live: &Ruleset, rules: &[Rule], budget: Budget) -> Judgement {
    Against::new(Cow::Borrowed(live)).judge(rules, budget)
}

fn not_laid(rule: &Rule, why: &Unlaid) -> Conflict {
    item(rule, ConflictType::Unknown, format!("the way of its packets was not judged: {why}"))
}

fn item(rule: &Rule, kind: ConflictType, explanation: String) -> Conflict {
    Conflict { kind, rule: Some(rule.id.clone()), with: Vec::new(), explanation, example: None, dead: false }
}

/// The way of a rule's packets in one direction, without it and with it.
struct Way {
    direction: Direction,
    before: Program,
    after: Program,
}

struct Judge<'a> {
    before: &'a View<'a>,
    after: &'a View<'a>,
    atoms: Atoms,
    budget: Budget,
    items: Vec<Conflict>,
    advice: BTreeSet<String>,
    changed: Changed,
}

/// One step of a rule, and what is known of it.
struct Stand<'w> {
    way: &'w Way,
    step: usize,
    /// What still reaches it; empty when nothing does.
    open: Vec<Cell>,
    cover: BTreeSet<usize>,
}

impl Judge<'_> {
    /// The ways that a rule stands on, as far as its packets go them.
    fn ways(&mut self, places: &[Stood]) -> Result<Vec<Way>, Unlaid> {
        let mut ways = Vec::new();
        for direction in Direction::ALL.iter().copied() {
            let on_way = |stood: &&Stood| {
                let base = self.after.base(stood.at.table, stood.base);
                base.is_some_and(|base| direction.hooks().contains(&base.hook))
            };
            let stood: Vec<_> = places.iter().filter(on_way).collect();
            if stood.is_empty() {
                continue;
            }
            let mut packets = Vec::new();
            for one in stood {
                packets.extend(self.packets(one)?);
            }
            let before = lay_out_near(self.before, direction, &packets, &mut self.atoms)?;
            let after = lay_out_near(self.after, direction, &packets, &mut self.atoms)?;
            ways.push(Way { direction, before, after });
        }
        Ok(ways)
    }

    /// The packets that a line asks for where it stands.
    fn packets(&mut self, stood: &Stood) -> Result<Vec<Cell>, Unlaid> {
        let (view, table) = (self.after, stood.at.table);
        let (Some(base), Some(line)) = (view.base(table, stood.base), view.line(stood.at)) else {
            return Ok(Vec::new());
        };
        let path = Match { cells: vec![entering(view.family(table), base).0], doubt: None, too_wide: false };
        let sight = Sight::of(base, view.changes());
        let mut reader = Reader { sight: &sight, changes: view.changes(), atoms: &mut self.atoms };
        let matched = reader.matched(&path, line);
        if matched.too_wide {
            return Err(Unlaid::TooWide(line.text.clone()));
        }
        Ok(matched.cells)
    }

    fn rule(&mut self, rule: &Rule, ways: &[Way], places: &[Stood]) {
        let unread: Vec<_> = rule.extra.keys().cloned().collect();
        if !unread.is_empty() {
            let words = format!("what the rule asks by `{}` is not understood", unread.join("`, `"));
            self.items.push(item(rule, ConflictType::Unknown, words));
        }
        let Some(stands) = self.stands(rule, ways, places) else { return };
        if stands.is_empty() {
            let words = "no packet can match this rule".to_owned();
            self.items.push(Conflict { dead: true, ..item(rule, ConflictType::Unmatchable, words) });
            return;
        }
        if stands.iter().all(|stand| stand.open.is_empty()) {
            self.closed(rule, &stands);
            return;
        }
        let stands: Vec<_> = stands.into_iter().filter(|stand| !stand.open.is_empty()).collect();
        let named = match rule.action {
            Action::Accept => self.accept(rule, &stands),
            Action::Drop | Action::Reject => self.deny(rule, &stands),
            Action::Log => None,
            _ => Some(item(
                rule,
                ConflictType::Unknown,
                format!("what becomes of packets that `{}` translates is not judged", rule.action),
            )),
        };
        let kept = named.or_else(|| self.earlier(rule, &stands));
        self.items.extend(kept);
    }

    /// The steps of a rule; nothing where a search came to its end, which is then said.
    fn stands<'w>(&mut self, rule: &Rule, ways: &'w [Way], places: &[Stood]) -> Option<Vec<Stand<'w>>> {
        let limits = Limits { budget: self.budget.steps, pieces: PIECES };
        let mut all = Vec::new();
        for way in ways {
            for step in places.iter().filter_map(|stood| way.after.places.get(&stood.at)).flatten().copied() {
                let cells = std::slice::from_ref(&way.after.steps[step].cell);
                let (open, cover) = match reach(&way.after, cells, step, limits) {
                    Reach::Open(open) if open.len() < PIECES => (open, BTreeSet::new()),
                    Reach::Closed(cover) => (Vec::new(), cover),
                    Reach::Open(_) | Reach::Undecided(_) => {
                        self.undecided(rule);
                        return None;
                    }
                };
                all.push(Stand { way, step, open, cover });
            }
        }
        Some(all)
    }

    fn undecided(&mut self, rule: &Rule) {
        let words = format!("undecided after {} steps which of its packets reach this rule", self.budget.steps);
        self.items.push(item(rule, ConflictType::Unknown, words));
    }

    /// Steps as text, the first few of them.
    fn named(&self, program: &Program, steps: impl IntoIterator<Item = usize>) -> Vec<String> {
        let by: BTreeSet<By> = steps.into_iter().map(|n| program.steps[n].by).collect();
        let mut with: Vec<_> = by.iter().take(NAMED).map(|by| self.after.decider(*by)).collect();
        if by.len() > NAMED {
            with.push(format!("and {} more", by.len() - NAMED));
        }
        with
    }

    /// A rule that nothing reaches.
    fn closed(&mut self, rule: &Rule, stands: &[Stand]) {
        let opposite = |stand: &Stand, n: &usize| is_opposite(rule.action, stand.way.after.steps[*n].act);
        let against = stands.iter().any(|stand| stand.cover.iter().any(|n| opposite(stand, n)));
        let same = stands.iter().all(|stand| {
            let own = &stand.way.after.steps[stand.step].cell;
            stand.cover.iter().any(|n| stand.way.after.steps[*n].cell == *own && opposite(stand, n))
        });
        let (kind, words) = match (against, same) {
            (true, true) => (
                ConflictType::Contradiction,
                "an earlier rule matches the same packets and decides otherwise, so this rule never does anything",
            ),
            (true, false) => {
                (ConflictType::Shadow, "earlier rules take all its packets, and not all get what this rule says")
            }
            (false, _) => (ConflictType::Redundant, "earlier rules already decide the same for all its packets"),
        };
        let mut found = item(rule, kind, words.to_owned());
        for stand in stands {
            found.with.extend(self.named(&stand.way.after, stand.cover.iter().copied()));
        }
        found.with.dedup();
        found.example = stands
            .first()
            .and_then(|stand| first_example(stand.way, &[stand.way.after.steps[stand.step].cell.clone()]));
        found.dead = true;
        self.items.push(found);
    }

    /// Follows what reaches a stand through the rest of the way; nothing when that was too much.
    fn follow(&self, stand: &Stand, from: usize) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        let done = fates(&stand.way.after, &stand.open, from, self.budget.steps, &mut |part| {
            parts.push(part);
            if parts.len() < 8 * PIECES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        done.ok().filter(|()| parts.len() < 8 * PIECES)?;
        Some(settled(parts))
    }

    fn accept(&mut self, rule: &Rule, stands: &[Stand]) -> Option<Conflict> {
        let (mut through, mut stopped, mut maybe, mut same) = (false, Vec::new(), Vec::new(), true);
        for stand in stands {
            let Act::Accept(end) = stand.way.after.steps[stand.step].act else { continue };
            let Some(parts) = self.follow(stand, end) else {
                self.undecided(rule);
                return None;
            };
            for part in parts {
                let unread = part.doubt == Some(Doubt::Unread) || !known(stand, &part.cell);
                match part.passes {
                    true if !unread => through |= opens(stand, &part.cell),
                    true => {}
                    false if unread => maybe.push((stand.way, part)),
                    // Nobody means packets that belong to no connection when accepting some.
                    false if only_invalid(&part.cell) && stand.open.iter().any(|cell| !only_invalid(cell)) => {}
                    false if part.doubt.is_none() => stopped.push((stand.way, part)),
                    // A limit of the host's drops what is over it, with the rule or without.
                    false => {}
                }
            }
            let without = self.follow(stand, stand.step + 1);
            same &= without.as_ref().is_some_and(|parts| {
                parts.iter().all(|p| only_invalid(&p.cell) || p.passes && p.doubt.is_none() && known(stand, &p.cell))
            });
            self.newly(rule, stand, end);
        }
        if let Some((way, part)) = maybe.first() {
            let found = self.unknown(rule, way, part);
            self.items.push(found);
        }
        if !stopped.is_empty() {
            return Some(self.ineffective(rule, stopped, !through && maybe.is_empty()));
        }
        let words = "nothing drops these packets: they are accepted without this rule too".to_owned();
        (same && through).then(|| item(rule, ConflictType::Redundant, words))
    }

    fn unknown(&self, rule: &Rule, way: &Way, part: &Part) -> Conflict {
        let by = part.by.map(|n| self.after.decider(way.after.steps[n].by)).unwrap_or_default();
        let words = format!(
            "whether what this rule accepts goes through is not known: `{by}` may drop it, depending on what is not understood"
        );
        let found = item(rule, ConflictType::Unknown, words);
        Conflict { with: vec![by], example: example(way.direction, &part.cell), ..found }
    }

    fn ineffective(&mut self, rule: &Rule, mut stopped: Vec<(&Way, Part)>, whole: bool) -> Conflict {
        // What drops most is named first.
        stopped.sort_by_key(|(_, part)| std::cmp::Reverse(part.cell.magnitude()));
        let mut with: Vec<String> = Vec::new();
        for by in stopped.iter().filter_map(|(way, p)| p.by.map(|n| way.after.steps[n].by)) {
            let words = self.after.decider(by);
            if with.len() < NAMED && !with.contains(&words) {
                with.push(words);
            }
        }
        let first = with.first().cloned().unwrap_or_default();
        let part = if whole { "everything" } else { "a part of what" };
        let words =
            format!("a later base chain drops {part} this rule accepts: an accept ends only its own chain (`{first}`)");
        self.advice.insert(format!(
            "rule {} opens nothing by itself: the packets must also be accepted before `{first}`, in that chain",
            rule.id
        ));
        let familiar = stopped.iter().find(|(_, p)| p.cell.narrow(Narrow::Family).contains(0)).or(stopped.first());
        let example = familiar.and_then(|(way, p)| example(way.direction, &p.cell));
        Conflict { with, example, dead: whole, ..item(rule, ConflictType::Ineffective, words) }
    }

    fn deny(&mut self, rule: &Rule, stands: &[Stand]) -> Option<Conflict> {
        let mut same = true;
        let mut instead = BTreeSet::new();
        for stand in stands {
            self.newly(rule, stand, usize::MAX);
            let Some(parts) = self.follow(stand, stand.step + 1) else {
                same = false;
                continue;
            };
            same &= parts.iter().all(|p| !p.passes && p.doubt.is_none() && known(stand, &p.cell));
            instead.extend(parts.iter().filter_map(|p| p.by).map(|n| stand.way.after.steps[n].by));
        }
        let words = "these packets are dropped without this rule too".to_owned();
        let with = instead.iter().take(NAMED).map(|by| self.after.decider(*by)).collect();
        same.then(|| Conflict { with, ..item(rule, ConflictType::Redundant, words) })
    }

    /// Earlier rules inside or across the packets of a rule that is otherwise fine.
    fn earlier(&self, rule: &Rule, stands: &[Stand]) -> Option<Conflict> {
        let (mut inside, mut across, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for stand in stands {
            let program = &stand.way.after;
            let own = &program.steps[stand.step].cell;
            for n in program.index.touching(&program.steps, own, 0, stand.step) {
                let step = &program.steps[n];
                if self.is_own_frame(step.by) {
                    continue;
                }
                let past = step.act.target().is_some_and(|end| end <= stand.step);
                let both = own.and(&step.cell).and_then(|cell| example(stand.way.direction, &cell));
                match is_opposite(rule.action, step.act) && !past {
                    true if step.cell.is_subset(own) => inside.push((stand.way, n, both)),
                    true => across.push((stand.way, n, both)),
                    false if !past && step.doubt.is_none() => taken.push((stand.way, n, both)),
                    false => {}
                }
            }
        }
        let (kind, found, words) = match (inside.is_empty(), across.is_empty(), taken.is_empty()) {
            (false, _, _) => (
                ConflictType::Generalization,
                inside,
                "earlier rules with the opposite verdict are exceptions inside this rule",
            ),
            (true, false, _) => {
                (ConflictType::Overlap, across, "earlier rules with the opposite verdict share some of its packets")
            }
            (true, true, false) => (ConflictType::Partial, taken, "earlier rules already decide some of its packets"),
            _ => return None,
        };
        let (way, _, example) = found.first()?;
        let here = found.iter().filter(|(w, _, _)| w.direction == way.direction).map(|(_, n, _)| *n);
        let with = self.named(&way.after, here);
        Some(Conflict { with, example: example.clone(), ..item(rule, kind, words.to_owned()) })
    }

    /// Whether a rule of AFO's table is no rule of a person's but of the scheme: loopback, the choice of a generation.
    fn is_own_frame(&self, by: By) -> bool {
        let By::Line(at) = by else { return false };
        at.table == self.after.own_table() && self.after.line(at).is_some_and(|line| line.comment.is_none())
    }

    /// Notes the packets whose fate a stand changes.
    fn newly(&mut self, rule: &Rule, stand: &Stand, end: usize) {
        let accepts = rule.action == Action::Accept;
        let mut old = Vec::new();
        let done = fates(&stand.way.before, &stand.open, 0, self.budget.steps, &mut |part| {
            old.push(part);
            if old.len() < 8 * PIECES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if done.is_err() || old.len() >= 8 * PIECES {
            let whole = class(stand.way.direction, &stand.way.after.steps[stand.step].cell, &self.atoms);
            let words = format!("a part of {whole} (undecided after {} steps which)", self.budget.steps);
            self.changed.undecided(accepts, words);
            return;
        }
        // What was dropped only by chance was let through at other times.
        let sure = |part: &Part| !accepts || part.doubt.is_none();
        let old = settled(old).into_iter().filter(|part| part.passes != accepts && sure(part));
        let own = self.after.decider(stand.way.after.steps[stand.step].by);
        for part in old {
            let before =
                part.by.map_or_else(|| "no rule".to_owned(), |n| self.before.decider(stand.way.before.steps[n].by));
            let cells = match accepts {
                true => through(stand.way, &part.cell, end, self.budget.steps),
                false => vec![part.cell],
            };
            for cell in cells {
                self.changed.add(accepts, stand.way.direction, cell, before.clone(), own.clone());
            }
        }
    }
}

/// The packets of a cell that surely get through the rest of the way.
fn through(way: &Way, cell: &Cell, from: usize, budget: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    let done = fates(&way.after, std::slice::from_ref(cell), from, budget, &mut |part| {
        if part.passes {
            cells.push(part.cell);
        }
        ControlFlow::Continue(())
    });
    if done.is_ok() { cells } else { Vec::new() }
}

/// Whether packets that go through are what the rule is for: those that begin connections, where it matches any.
fn opens(stand: &Stand, cell: &Cell) -> bool {
    let new = |cell: &Cell| cell.narrow(Narrow::State).contains(0);
    new(cell) || !stand.open.iter().any(new)
}

fn only_invalid(cell: &Cell) -> bool {
    cell.narrow(Narrow::State) == Bits::single(3)
}

/// Whether no unread condition beyond those of the rule itself tells these packets apart.
fn known(stand: &Stand, cell: &Cell) -> bool {
    let own = stand.way.after.steps[stand.step].cell.atoms();
    cell.atoms().iter().all(|atom| own.contains(atom))
}

fn first_example(way: &Way, cells: &[Cell]) -> Option<String> {
    cells.iter().flat_map(Cell::by_family).find_map(|cell| example(way.direction, &cell))
}

/// Whether an earlier step does the opposite of an action.
fn is_opposite(action: Action, act: Act) -> bool {
    match act {
        Act::Deny => !action.denies(),
        Act::Accept(_) | Act::Leave(_) => action.denies(),
        Act::Pass => false,
    }
}
