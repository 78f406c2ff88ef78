//! One rule of a proposal: where it stands, what reaches it, what becomes of what it decides.

use super::difference::Told;
use super::{Fine, Found};
use crate::analyze::Budget;
use crate::analyze::cells::{self, Doubt, Match, Reader, Sight, entering};
use crate::analyze::fate::{Part, fates, settled};
use crate::analyze::placing::Stood;
use crate::analyze::program::{Act, Program, Unlaid, lay_out_near};
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::sift::Route;
use crate::analyze::view::View;
use crate::analyze::words::example;
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use crate::record::{Conflict, ConflictType};
use crate::rule::evaluate::By;
use crate::rule::{Action, Direction, Rule};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// More rules than this are counted, not named.
const NAMED: usize = 8;

pub(super) fn not_laid(rule: &Rule, why: &Unlaid) -> Conflict {
    item(rule, ConflictType::Unknown, format!("the way of its packets was not judged: {why}"))
}

/// That a rule may keep packets from one that changes them.
pub(super) fn past_changes(by: &str) -> String {
    format!("what later rules make of its packets is not known: `{by}`, in the same table, changes what they ask for")
}

pub(super) fn item(rule: &Rule, kind: ConflictType, explanation: String) -> Conflict {
    Conflict { kind, rule: Some(rule.id.clone()), with: Vec::new(), explanation, example: None, dead: false }
}

/// The way of a rule's packets in one direction, before the change and after.
pub(super) struct Way {
    pub(super) direction: Direction,
    /// The packets that it is laid out for.
    pub(super) packets: Vec<Cell>,
    pub(super) before: Program,
    pub(super) after: Program,
}

pub(super) struct Judge<'a> {
    pub(super) before: &'a View<'a>,
    pub(super) after: &'a View<'a>,
    pub(super) budget: Budget,
    pub(super) found: Found,
    /// Packets whose fates were compared, for rules that are gone.
    pub(super) seen: Vec<(Direction, Cell)>,
    /// Whether what is judged lets through rather than denies.
    pub(super) accepts: bool,
    /// How far a rule is judged part by part.
    pub(super) fine: Fine,
    /// Whether that was too much for the present rule.
    too_much: bool,
}

/// One step of a rule, and what is known of it.
pub(super) struct Stand<'w> {
    pub(super) way: &'w Way,
    pub(super) step: usize,
    /// What still reaches it; empty when nothing does.
    pub(super) open: Vec<Cell>,
    pub(super) cover: BTreeSet<usize>,
}

/// What becomes of packets from a step on; nothing when that was too much to follow.
pub(super) fn follow(
    program: &Program,
    cells: &[Cell],
    from: usize,
    (steps, most): (usize, usize),
) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let done = fates(program, cells, from, steps, &mut |part| {
        parts.push(part);
        if parts.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    done.ok().filter(|()| parts.len() < most)?;
    Some(settled(parts))
}

impl<'a> Judge<'a> {
    pub(super) fn new(before: &'a View<'a>, after: &'a View<'a>, budget: Budget, fine: Fine) -> Self {
        let found = Found::default();
        Self { before, after, budget, found, seen: Vec::new(), accepts: false, fine, too_much: false }
    }

    /// Judges a rule where it is put: part by part where few others are on its way, else as a whole.
    pub(super) fn placed(&mut self, rule: &Rule, places: &[Stood]) {
        if rule.action.translates() {
            // What becomes of its packets is found out of them as they are sent.
            return self.not_understood(rule);
        }
        if let Err(why) = self.on_routes(rule, places) {
            self.found.items.push(not_laid(rule, &why));
        }
        self.advise_door(rule);
        let changed = places.iter().find_map(|stood| self.after.altering(stood.at.table));
        if let (Action::Accept, Some(by)) = (rule.action, changed) {
            let found = item(rule, ConflictType::Unknown, past_changes(&self.after.decider(By::Line(by))));
            self.found.items.push(found);
        }
    }

    fn on_routes(&mut self, rule: &Rule, places: &[Stood]) -> Result<(), Unlaid> {
        let (before, after) = (self.before, self.after);
        let mut routes = Vec::new();
        for (direction, packets) in self.packets_by_way(places)? {
            routes.push(Route::new(before, after, direction, &packets, &mut self.found.atoms)?);
        }
        if routes.iter().all(|route| route.weight() <= self.fine.weight) {
            let found = self.found.clone();
            self.too_much = false;
            before.look_among(Some(&mut routes.iter().flat_map(Route::rules)));
            let judged = self.ways(places).map(|ways| self.rule(rule, &ways, places));
            before.look_among(None);
            judged?;
            if !self.too_much {
                return Ok(());
            }
            self.found = found;
        }
        self.wide(rule, &routes, places);
        Ok(())
    }

    /// The packets of a rule in each direction that it stands in.
    pub(super) fn packets_by_way(&mut self, places: &[Stood]) -> Result<Vec<(Direction, Vec<Cell>)>, Unlaid> {
        let mut found = Vec::new();
        for direction in Direction::ALL.iter().copied() {
            let on_way = |stood: &&Stood| self.directions(self.after, stood).contains(&direction);
            let stood: Vec<_> = places.iter().filter(on_way).collect();
            let mut packets = Vec::new();
            for one in &stood {
                packets.extend(self.packets(self.after, one)?.into_iter().filter_map(|cell| there(direction, cell)));
            }
            if !stood.is_empty() {
                found.push((direction, packets));
            }
        }
        Ok(found)
    }

    /// Steps of a search, and parts of packets that it may come to.
    pub(super) fn most(&self) -> (usize, usize) {
        (self.budget.steps, 2 * self.fine.parts)
    }

    /// The directions whose packets pass a line.
    pub(super) fn directions(&self, view: &View, stood: &Stood) -> Vec<Direction> {
        let hook = view.base(stood.at.table, stood.base).map(|base| base.hook);
        let passes = |direction: &Direction| hook.is_some_and(|hook| direction.hooks().contains(&hook));
        Direction::ALL.iter().copied().filter(passes).collect()
    }

    /// The ways that a rule stands on, as far as its packets go them.
    pub(super) fn ways(&mut self, places: &[Stood]) -> Result<Vec<Way>, Unlaid> {
        let packets = self.packets_by_way(places)?;
        packets.into_iter().map(|(direction, packets)| self.way(direction, &packets)).collect()
    }

    /// The way of some packets before and after the change.
    pub(super) fn way(&mut self, direction: Direction, packets: &[Cell]) -> Result<Way, Unlaid> {
        let before = lay_out_near(self.before, direction, packets, &mut self.found.atoms)?;
        let after = lay_out_near(self.after, direction, packets, &mut self.found.atoms)?;
        Ok(Way { direction, packets: packets.to_vec(), before, after })
    }

    /// The packets that a line asks for where it stands.
    pub(super) fn packets(&mut self, view: &View, stood: &Stood) -> Result<Vec<Cell>, Unlaid> {
        let table = stood.at.table;
        let (Some(base), Some(line)) = (view.base(table, stood.base), view.line(stood.at)) else {
            return Ok(Vec::new());
        };
        let entering = entering(view.family(table), base, view.changes()).0;
        let path = Match { cells: vec![entering], doubt: None, too_wide: false };
        let sight = Sight::of(base, view.changes());
        let (changes, atoms) = (view.changes(), &mut self.found.atoms);
        let mut reader = Reader { sight: &sight, changes, atoms, room: cells::MOST };
        let matched = reader.matched(&path, line);
        if matched.too_wide {
            return Err(Unlaid::TooWide(line.text.clone()));
        }
        Ok(matched.cells)
    }

    /// Judges a rule where it stands.
    pub(super) fn rule(&mut self, rule: &Rule, ways: &[Way], places: &[Stood]) {
        self.accepts = rule.action == Action::Accept;
        self.not_understood(rule);
        let Some(stands) = self.stands(ways, places) else { return };
        if stands.is_empty() {
            let words = "no packet can match this rule".to_owned();
            self.found.items.push(Conflict { dead: true, ..item(rule, ConflictType::Unmatchable, words) });
            return;
        }
        if stands.iter().all(|stand| stand.open.is_empty()) {
            self.closed(rule, &stands);
            self.advise_moving(rule, &stands);
            return;
        }
        let stands: Vec<_> = stands.into_iter().filter(|stand| !stand.open.is_empty()).collect();
        let named = match rule.action {
            Action::Accept => self.accept(rule, &stands),
            Action::Drop | Action::Reject => self.deny(rule, &stands),
            Action::Log | Action::Dnat | Action::Snat | Action::Masquerade | Action::Redirect => None,
        };
        let kept = named.or_else(|| self.earlier(rule, &stands));
        self.found.items.extend(kept);
    }

    pub(super) fn not_understood(&mut self, rule: &Rule) {
        let unread: Vec<_> = rule.extra.keys().cloned().collect();
        if !unread.is_empty() {
            let words = format!("what the rule asks by `{}` is not understood", unread.join("`, `"));
            self.found.items.push(item(rule, ConflictType::Unknown, words));
        }
    }

    /// The steps of a rule; nothing where a search came to its end, which is then said.
    fn stands<'w>(&mut self, ways: &'w [Way], places: &[Stood]) -> Option<Vec<Stand<'w>>> {
        let limits = Limits { budget: self.budget.steps, pieces: self.fine.parts };
        let mut all = Vec::new();
        for way in ways {
            for step in places.iter().filter_map(|stood| way.after.places.get(&stood.at)).flatten().copied() {
                let cells = std::slice::from_ref(&way.after.steps[step].cell);
                let (open, cover) = match reach(&way.after, cells, step, limits) {
                    Reach::Open(open) if open.len() < self.fine.parts => (open, BTreeSet::new()),
                    Reach::Closed(cover) => (Vec::new(), cover),
                    Reach::Open(_) | Reach::Undecided(_) => {
                        self.too_much = true;
                        return None;
                    }
                };
                all.push(Stand { way, step, open, cover });
            }
        }
        Some(all)
    }

    pub(super) fn undecided(&mut self, rule: &Rule) {
        let words = self.budget.undecided("which of its packets reach this rule");
        self.found.items.push(item(rule, ConflictType::Unknown, words));
    }

    /// Steps as text, the first few of them.
    fn named(&self, program: &Program, steps: impl IntoIterator<Item = usize>) -> Vec<String> {
        self.named_by(steps.into_iter().map(|n| program.steps[n].by))
    }

    /// What decides as text, the first few.
    pub(super) fn named_by(&self, by: impl IntoIterator<Item = By>) -> Vec<String> {
        let by: BTreeSet<By> = by.into_iter().collect();
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
        let (kind, words) = closed_words(against, same);
        let mut found = item(rule, kind, words.to_owned());
        for stand in stands {
            found.with.extend(self.named(&stand.way.after, stand.cover.iter().copied()));
        }
        found.with.dedup();
        found.example = stands
            .first()
            .and_then(|stand| first_example(stand.way, &[stand.way.after.steps[stand.step].cell.clone()]));
        found.dead = true;
        self.found.items.push(found);
    }

    /// Follows what reaches a stand through the rest of the way; nothing when that was too much.
    fn follow(&self, stand: &Stand, from: usize) -> Option<Vec<Part>> {
        follow(&stand.way.after, &stand.open, from, self.most())
    }

    fn accept(&mut self, rule: &Rule, stands: &[Stand]) -> Option<Conflict> {
        let (mut through, mut stopped, mut maybe, mut same) = (false, Vec::new(), Vec::new(), true);
        // What the rule is for: packets that begin connections, where any of those come to it.
        let begin = |cell: &Cell| cell.narrow(Narrow::State).contains(0);
        let any_begins = stands.iter().any(|stand| stand.open.iter().any(begin));
        let wanted: Vec<Vec<Cell>> = stands.iter().map(|stand| self.after.unmarked(&stand.open)).collect();
        let is_wanted = |cell: &Cell| wanted.iter().flatten().any(|own| !own.is_disjoint(cell));
        for stand in stands {
            let Act::Accept(end) = stand.way.after.steps[stand.step].act else { continue };
            let Some(parts) = self.follow(stand, end) else {
                self.too_much = true;
                return None;
            };
            for part in parts {
                let unread = part.doubt == Some(Doubt::Unread) || !known(stand, &part.cell);
                match part.passes {
                    true if !unread => through |= (begin(&part.cell) || !any_begins) && is_wanted(&part.cell),
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
            self.too_much |= without.is_none();
            same &= without.as_ref().is_some_and(|parts| {
                parts.iter().all(|p| only_invalid(&p.cell) || p.passes && p.doubt.is_none() && known(stand, &p.cell))
            });
            self.newly(stand);
        }
        if let Some((way, part)) = maybe.first() {
            let found = self.unknown(rule, way, part);
            self.found.items.push(found);
        }
        if !stopped.is_empty() {
            self.advise_opening(rule, stands);
            return Some(self.ineffective(rule, stopped, !through && maybe.is_empty()));
        }
        let words = "nothing drops these packets: they are accepted without this rule too".to_owned();
        // What a door lets through is let through for the rule.
        let same = same && through && !self.after.lets_through(rule.id.as_str());
        same.then(|| item(rule, ConflictType::Redundant, words))
    }

    fn unknown(&self, rule: &Rule, way: &Way, part: &Part) -> Conflict {
        let by = part.by.map(|n| self.after.decider(way.after.steps[n].by)).unwrap_or_default();
        maybe_dropped(rule, by, example(way.direction, &part.cell))
    }

    fn ineffective(&self, rule: &Rule, mut stopped: Vec<(&Way, Part)>, whole: bool) -> Conflict {
        // What drops most is named first.
        stopped.sort_by_key(|(_, part)| std::cmp::Reverse(part.cell.magnitude()));
        let mut with: Vec<String> = Vec::new();
        for by in stopped.iter().filter_map(|(way, p)| p.by.map(|n| way.after.steps[n].by)) {
            let words = self.after.decider(by);
            if with.len() < NAMED && !with.contains(&words) {
                with.push(words);
            }
        }
        let familiar = stopped.iter().find(|(_, p)| p.cell.narrow(Narrow::Family).contains(0)).or(stopped.first());
        let example = familiar.and_then(|(way, p)| example(way.direction, &p.cell));
        ineffective(rule, with, example, whole)
    }

    fn deny(&mut self, rule: &Rule, stands: &[Stand]) -> Option<Conflict> {
        let mut same = true;
        let mut instead = BTreeSet::new();
        for stand in stands {
            self.newly(stand);
            let Some(parts) = self.follow(stand, stand.step + 1) else {
                self.too_much = true;
                return None;
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
                let frame = match step.by {
                    By::Line(at) => self.after.is_frame(at),
                    _ => step.act != Act::Deny,
                };
                if frame {
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
        let (kind, found, words) = gravest(inside, across, taken)?;
        let (way, _, example) = found.first()?;
        let here = found.iter().filter(|(w, _, _)| w.direction == way.direction).map(|(_, n, _)| *n);
        let with = self.named(&way.after, here);
        Some(Conflict { with, example: example.clone(), ..item(rule, kind, words.to_owned()) })
    }

    /// Notes the packets whose fate a stand changes.
    fn newly(&mut self, stand: &Stand) {
        let own = self.after.decider(stand.way.after.steps[stand.step].by);
        let told = Told { before: None, after: Some(own) };
        self.too_much |= self.difference(self.after, stand.way, &stand.open, &told).is_none();
    }
}

/// What is said of earlier rules: of those inside a rule with the opposite verdict, of those across it, of those that decide the same.
pub(super) fn gravest<T>(
    inside: Vec<T>,
    across: Vec<T>,
    taken: Vec<T>,
) -> Option<(ConflictType, Vec<T>, &'static str)> {
    [
        (
            ConflictType::Generalization,
            inside,
            "earlier rules with the opposite verdict are exceptions inside this rule",
        ),
        (ConflictType::Overlap, across, "earlier rules with the opposite verdict share some of its packets"),
        (ConflictType::Partial, taken, "earlier rules already decide some of its packets"),
    ]
    .into_iter()
    .find(|(_, found, _)| !found.is_empty())
}

/// A rule that accepts what later chains drop.
pub(super) fn ineffective(rule: &Rule, with: Vec<String>, example: Option<String>, whole: bool) -> Conflict {
    let first = with.first().cloned().unwrap_or_default();
    let part = if whole { "everything" } else { "a part of what" };
    let words =
        format!("a later base chain drops {part} this rule accepts: an accept ends only its own chain (`{first}`)");
    Conflict { with, example, dead: whole, ..item(rule, ConflictType::Ineffective, words) }
}

/// A rule that accepts what may be dropped, depending on what is not understood.
pub(super) fn maybe_dropped(rule: &Rule, by: String, example: Option<String>) -> Conflict {
    let words = format!(
        "whether what this rule accepts goes through is not known: `{by}` may drop it, depending on what is not understood"
    );
    Conflict { with: vec![by], example, ..item(rule, ConflictType::Unknown, words) }
}

/// The packets of a cell that there are in a direction: what this host sends came in by no interface, at postrouting too.
pub(super) fn there(direction: Direction, mut cell: Cell) -> Option<Cell> {
    if direction == Direction::Output {
        cell.keep_wide(Wide::InInterface, &Ranges::single(0));
    }
    (!cell.is_empty()).then_some(cell)
}

/// What a rule is that nothing reaches; whether some of its packets get another verdict, and whether by a rule of the same packets.
pub(super) fn closed_words(against: bool, same: bool) -> (ConflictType, &'static str) {
    match (against, same) {
        (true, true) => (
            ConflictType::Contradiction,
            "an earlier rule matches the same packets and decides otherwise, so this rule never does anything",
        ),
        (true, false) => {
            (ConflictType::Shadow, "earlier rules take all its packets, and not all get what this rule says")
        }
        (false, _) => (ConflictType::Redundant, "earlier rules already decide the same for all its packets"),
    }
}

pub(super) fn only_invalid(cell: &Cell) -> bool {
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
