//! What a change does to packets as they are sent, where rules lead packets elsewhere before the filter sees them.
//!
//! A rule of the filter is judged for what it sees. What becomes of packets is told as they are sent, so that each example is a packet to
//! try: then both rulesets are laid out as a whole and compared.

use super::judge::{Judge, item, not_laid};
use crate::analyze::diff::{Compared, Wanted, compare};
use crate::analyze::effect::Changed;
use crate::analyze::placing::{Made, Stood};
use crate::analyze::program::{End, Unlaid};
use crate::analyze::search::{Limits, Reach, reach};
use crate::analyze::sent::Leads;
use crate::analyze::ways::{Laid, Terms};
use crate::analyze::words::decider;
use crate::packet::{Bits, Narrow};
use crate::record::{Change, Conflict, ConflictType};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Base, Hook, Ruleset};
use crate::rule::{Direction, Rule};
use std::collections::BTreeSet;

/// Rules that are put in, with their places, and changes to what is there.
pub(super) struct Put<'p> {
    pub(super) rules: Vec<(&'p Rule, &'p [Stood])>,
    pub(super) changes: &'p [Change],
    pub(super) made: &'p [Made],
}

impl<'p> Put<'p> {
    /// The rules, those in the place of others too.
    fn rules(&self) -> impl Iterator<Item = (&'p Rule, &'p [Stood])> {
        let changed = self.changes.iter().zip(self.made).filter(|(_, made)| !made.new.is_empty());
        let changed = changed.filter_map(|(change, made)| Some((change.rule.as_ref()?, made.new.as_slice())));
        self.rules.iter().copied().chain(changed.filter(|(rule, _)| rule.action.translates()))
    }
}

impl Judge<'_> {
    /// Tells what a change does to packets as they are sent, where that is something else than what the filter sees of them.
    pub(super) fn sent(&mut self, live: &Ruleset, put: &Put) {
        if !self.after.changes().translates() {
            return;
        }
        let (translating, put_in): (Vec<_>, Vec<_>) = put.rules().partition(|(rule, _)| rule.action.translates());
        let translating: Vec<&Rule> = translating.into_iter().map(|(rule, _)| rule).collect();
        let after = self.after.ruleset();
        let whose = if translating.is_empty() { live } else { &after };
        let leads = Direction::ALL.iter().map(|direction| Ok((*direction, Leads::of(whose, *direction)?)));
        let leads = match leads.collect::<Result<Vec<_>, Unlaid>>() {
            Ok(leads) => leads,
            // Of the others what cannot be laid out is said of each.
            Err(why) => return translating.into_iter().for_each(|rule| self.found.items.push(not_laid(rule, &why))),
        };
        let met: Vec<&Rule> =
            put_in.into_iter().filter(|(_, at)| self.meets(&leads, at)).map(|(rule, _)| rule).collect();
        let others = put.made.iter().any(|made| !made.gone.is_empty() || !made.new.is_empty());
        let led = others && leads.iter().any(|(_, leads)| !leads.is_empty());
        if translating.is_empty() && met.is_empty() && !led && !asks_early(live) {
            return;
        }
        if put.made.iter().any(|made| made.freed.is_some()) {
            return self.with_freed(&translating);
        }
        let mut terms = Terms::default();
        self.compare(live, &after, &mut terms);
        translating.into_iter().for_each(|rule| self.translating(rule, &after, &mut terms));
        self.found.atoms = terms.atoms;
        met.into_iter().for_each(|rule| self.led(rule, live, &after));
    }

    /// What a set of blocks holds is not in a ruleset, so that two cannot be compared.
    fn with_freed(&mut self, translating: &[&Rule]) {
        let words = "what is said of packets that rules lead elsewhere is said of them as the filter sees them";
        self.found.advice.insert(words.to_owned());
        for rule in translating {
            let words =
                "what it translates is not judged beside a block that ends; propose the two one after the other";
            self.found.items.push(item(rule, ConflictType::Unknown, words.to_owned()));
        }
    }

    /// Whether rules lead packets of a rule elsewhere, or others to where it asks for.
    fn meets(&mut self, leads: &[(Direction, Leads)], places: &[Stood]) -> bool {
        let Ok(ways) = self.packets_by_way(places) else { return true };
        ways.iter().any(|(direction, packets)| {
            let own = leads.iter().filter(|(own, _)| own == direction);
            own.into_iter().any(|(_, leads)| !leads.apart(packets).0.is_empty() || !leads.arriving(packets).is_empty())
        })
    }

    /// Replaces what is said of packets by what both rulesets do with them as they are sent.
    fn compare(&mut self, live: &Ruleset, after: &Ruleset, terms: &mut Terms) {
        let Compared { pieces, open, .. } = compare(live, after, Wanted::Classes, self.budget, terms);
        let mut changed = Changed::default();
        for piece in pieces.sure(terms) {
            let was = piece.before.unwrap_or(By::Nothing);
            let accepts = match piece.verdict {
                "newly_accepted" => true,
                "newly_dropped" | "newly_rejected" => false,
                _ => continue,
            };
            let mut cell = piece.cell.clone();
            cell.drop_atoms_of(|atom| terms.is_doubt(atom));
            changed.add(accepts, piece.direction, cell, decider(live, was), decider(after, piece.by));
        }
        let (classes, more) = pieces.classes(terms, (Some(live), after), &|_| None);
        for class in classes.iter().filter(|class| class.verdict == "unknown") {
            match class.text.ends_with("translated otherwise") {
                true => changed.perhaps_translated(class.text.clone()),
                false => changed.undecided(class.text.ends_with("accepted"), class.text.clone()),
            }
        }
        let more = (more > 0).then(|| format!("{more} smaller classes are not listed"));
        open.into_iter().chain(more).for_each(|words| changed.undecided(false, words));
        self.found.changed = changed;
    }

    /// Says that a rule sees other packets than those that are sent to where it asks for; and where it therefore does nothing.
    fn led(&mut self, rule: &Rule, live: &Ruleset, after: &Ruleset) {
        let nat: BTreeSet<By> = match self.never_begun(rule, after) {
            Some(by) => by,
            None => {
                let words = format!(
                    "rule {} sees packets behind what translates their destination: `effect` tells them as they are sent",
                    rule.id
                );
                self.found.advice.insert(words);
                return;
            }
        };
        let with: Vec<_> = nat.iter().map(|by| decider(live, *by)).collect();
        let words = "no packet that begins a connection comes to this rule: those that are sent to where it asks for are led elsewhere \
                     before; ask for where they are led to";
        let dead = self.found.items.iter().any(|item| item.dead && item.rule.as_ref() == Some(&rule.id));
        if !dead {
            let found = Conflict { with, dead: true, ..item(rule, ConflictType::Ineffective, words.to_owned()) };
            self.found.items.push(found);
        }
    }

    /// What translates all packets that begin a connection before a rule sees them; nothing where some come to it, it asks for none, or
    /// nobody knows.
    fn never_begun(&self, rule: &Rule, after: &Ruleset) -> Option<BTreeSet<By>> {
        let own = |at: &At| after.line(*at).is_some_and(|line| line.comment.as_deref() == Some(rule.id.as_str()));
        let places: Vec<At> = after.lines().map(|(at, _)| at).filter(own).collect();
        let (mut begun, mut by) = (false, BTreeSet::new());
        for direction in Direction::ALL {
            let laid = Laid::new(after, *direction, &mut Terms::default()).ok()?;
            for step in places.iter().filter_map(|at| laid.program.places.get(at)).flatten() {
                let mut cell = laid.program.steps[*step].cell.clone();
                cell.keep_narrow(Narrow::State, Bits::single(0));
                if cell.is_empty() {
                    continue;
                }
                begun = true;
                let limits = Limits { budget: self.budget.steps, pieces: 1 };
                let Reach::Closed(cover) = reach(&laid.program, &[cell], *step, limits) else { return None };
                let leads = laid.program.turns(End::Destination).filter(|turn| turn.to.turns());
                let leads: BTreeSet<By> = leads.map(|turn| laid.program.steps[turn.steps.start].by).collect();
                by.extend(cover.iter().map(|step| laid.program.steps[*step].by).filter(|by| leads.contains(by)));
            }
        }
        (begun && !by.is_empty()).then_some(by)
    }
}

/// Whether rules ask for something before destinations are translated, or deny something where they are: what a packet is there is known of
/// it only as it is sent.
fn asks_early(ruleset: &Ruleset) -> bool {
    let early = |base: &Base| base.is_before_turning() && base.hook != Hook::Ingress;
    ruleset.tables.iter().any(|table| {
        let turns = table.chains.iter().any(|chain| chain.base.as_ref().is_some_and(Base::turns));
        table.chains.iter().any(|chain| match &chain.base {
            Some(base) if early(base) => !chain.lines.is_empty(),
            Some(base) if base.turns() => base.drops || chain.lines.iter().any(|line| line.outcome.denies()),
            Some(_) => false,
            None => turns && chain.lines.iter().any(|line| line.outcome.denies()),
        })
    })
}
