//! Placements that would work where a rule's own does not: each is tried before it is named.

use super::judge::{Judge, Stand, follow, only_invalid};
use crate::analyze::cells::Doubt;
use crate::analyze::lower::lines;
use crate::analyze::program::{Act, lay_out_near};
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::view::View;
use crate::packet::Cell;
use crate::record::{Conflict, ConflictType};
use crate::rule::door::{self, DOOR};
use crate::rule::evaluate::By;
use crate::rule::ruleset::At;
use crate::rule::{Action, Rule};

/// Chains that a rule would have to stand in besides its own; more are not tried.
const MOST: usize = 4;

impl Judge<'_> {
    /// Where the same accept would have to stand besides, so that everything goes through.
    pub(super) fn advise_opening(&mut self, rule: &Rule, stands: &[Stand]) {
        let mut view = self.after.clone();
        let mut tried: Vec<String> = Vec::new();
        let id = &rule.id;
        while let Some(by) = self.stopped_by(&view, stands) {
            let words = self.after.decider(by);
            let done = tried.len() < MOST && !tried.contains(&words) && stand_before(&mut view, by, rule);
            if !done {
                let first = tried.first().cloned().unwrap_or(words);
                self.found.advice.insert(format!(
                    "rule {id} opens nothing by itself: the packets must also be accepted before `{first}`, in that chain"
                ));
                return;
            }
            tried.push(words);
        }
        let places = tried.join("` and before `");
        self.found.advice.insert(format!(
            "rule {id} opens nothing by itself; tried: with the same accept before `{places}` everything that reaches it goes through"
        ));
    }

    /// The one rule that would make all of AFO's accepts true where another program's chain drops what one accepts.
    pub(super) fn advise_door(&mut self, rule: &Rule) {
        let drops = |item: &Conflict| item.kind == ConflictType::Ineffective && item.rule.as_ref() == Some(&rule.id);
        if rule.action != Action::Accept || !self.found.items.iter().any(drops) {
            return;
        }
        let words = match self.after.bit_is_taken() {
            None => format!(
                "put once before what drops, `{}` lets through what AFO accepts, and nothing else (afo-deploy --placement foreign puts it there)",
                door::text()
            ),
            Some(by) => format!("the mark {DOOR:#x} cannot let through what AFO accepts: `{by}` uses it"),
        };
        self.found.advice.insert(words);
    }

    /// What surely drops some of what a rule accepts.
    fn stopped_by(&mut self, view: &View, stands: &[Stand]) -> Option<By> {
        for stand in stands {
            let packets: &[Cell] = &stand.open;
            let at = match stand.way.after.steps[stand.step].by {
                By::Line(at) => at,
                _ => continue,
            };
            let program = lay_out_near(view, stand.way.direction, packets, &mut self.found.atoms).ok()?;
            for step in program.places.get(&at)? {
                let Act::Accept(end) = program.steps[*step].act else { continue };
                let parts = follow(&program, packets, end, self.most())?;
                let stops = |part: &&crate::analyze::fate::Part| {
                    !part.passes && part.doubt != Some(Doubt::Chance) && !only_invalid(&part.cell)
                };
                let worst = parts.iter().filter(stops).max_by_key(|part| part.cell.magnitude());
                if let Some(by) = worst.and_then(|part| part.by) {
                    return Some(program.steps[by].by);
                }
            }
        }
        None
    }

    /// Where a rule that nothing reaches would be reached, if its own place before one of AFO's rules is enough.
    pub(super) fn advise_moving(&mut self, rule: &Rule, stands: &[Stand]) {
        let cover = || stands.iter().flat_map(|stand| stand.cover.iter().map(|n| stand.way.after.steps[*n].by));
        let own = |by: By| match by {
            By::Line(at) => self.own_rule(rule, stands, at).map(|id| (at, id)),
            _ => None,
        };
        let first = cover().filter_map(own).min_by_key(|(at, _)| self.after.rank(*at));
        let Some((at, id)) = first else { return };
        if !self.is_reached(rule, stands, at) {
            return;
        }
        self.found.advice.insert(format!(
            "rule {} is never reached where it stands; tried: with `position` before:{id} packets reach it",
            rule.id
        ));
    }

    /// The id of another of AFO's rules in the chain that a rule stands in.
    fn own_rule(&self, rule: &Rule, stands: &[Stand], at: At) -> Option<String> {
        let here = stands.iter().any(|stand| {
            matches!(stand.way.after.steps[stand.step].by, By::Line(own) if (own.table, own.chain) == (at.table, at.chain))
        });
        let id = self.after.line(at)?.comment.clone()?;
        (here && at.table == self.after.own_table() && id != rule.id.as_str()).then_some(id)
    }

    /// Whether packets would come to a rule that stands before another.
    fn is_reached(&mut self, rule: &Rule, stands: &[Stand], before: At) -> bool {
        let mut view = self.after.clone();
        for stand in stands {
            if let By::Line(own) = stand.way.after.steps[stand.step].by {
                view.take(own);
            }
        }
        let Some(stood) = put_before(&mut view, before, rule) else { return false };
        stands.iter().any(|stand| {
            let Ok(program) = lay_out_near(&view, stand.way.direction, &stand.way.packets, &mut self.found.atoms)
            else {
                return false;
            };
            let limits = Limits { budget: self.budget.steps, pieces: 1 };
            let steps = program.places.get(&stood).into_iter().flatten();
            steps.copied().any(|step| {
                let cells = std::slice::from_ref(&program.steps[step].cell);
                matches!(reach(&program, cells, step, limits), Reach::Open(_))
            })
        })
    }
}

/// Puts a rule before what drops; a policy stands at the end of its chain.
fn stand_before(view: &mut View, by: By, rule: &Rule) -> bool {
    if rule.action != Action::Accept {
        return false;
    }
    let at = match by {
        By::Line(at) => at,
        By::Policy(table, chain) => At { table, chain, line: usize::MAX },
        By::Nothing => return false,
    };
    put_before(view, at, rule).is_some()
}

/// Puts the lines of a rule before a line, or at the end of the chain where there is no such line; the place of the last.
fn put_before(view: &mut View, before: At, rule: &Rule) -> Option<At> {
    let rank = view.rank(before).unwrap_or(usize::MAX);
    let lines = lines(rule).into_iter().enumerate();
    lines.map(|(n, line)| view.put(before.table, before.chain, rank.saturating_add(n), line)).last()
}
