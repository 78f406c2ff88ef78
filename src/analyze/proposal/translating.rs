//! A proposed rule that translates: which packets come to it as they are sent, and what becomes of them behind it.
//!
//! A translation that leads packets to where they are dropped is worth nothing, so whether they go through is part of the answer. Only
//! packets that begin a connection are translated; the others follow.

use super::judge::{Judge, closed_words, item, not_laid};
use crate::analyze::program::{End, Unlaid};
use crate::analyze::ways::{Fated, Laid, Meter, Terms};
use crate::analyze::words::{decider, example};
use crate::packet::{Bits, Cell, Narrow};
use crate::record::{Conflict, ConflictType};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Ruleset};
use crate::rule::{Action, Direction, Rule};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// More deciding rules than this are not named.
const NAMED: usize = 8;

/// Packets of one way.
type Packets = (Direction, Cell);

/// What became of the packets that a rule asks for.
#[derive(Default)]
struct Outcomes {
    /// Whether it asks for packets that there can be.
    asks: bool,
    /// What it translates, and where it stands.
    translated: Vec<(Packets, By)>,
    /// Of those, what surely passes, what surely is dropped, and what depends on what was not understood.
    through: bool,
    stopped: Vec<(Packets, By)>,
    unknown: Option<(Packets, By)>,
    /// What comes to another end: by another translation, the same or not, or by what drops it before.
    taken: Vec<(Packets, By, bool)>,
    dropped: Vec<(Packets, By)>,
}

/// The ways of the packets that a rule is for: what is led to an address is forwarded, what is led to this host comes in.
fn ways(rule: &Rule) -> Vec<Direction> {
    let address = rule.nat.as_ref().is_some_and(|nat| nat.address.is_some());
    match (rule.action, rule.direction) {
        (Action::Dnat | Action::Redirect, Direction::Output) => vec![Direction::Output],
        (Action::Dnat, _) if address => vec![Direction::Forward],
        (Action::Redirect, _) => vec![Direction::Input],
        (Action::Dnat, own) => vec![own],
        _ => vec![Direction::Forward, Direction::Output],
    }
}

impl Judge<'_> {
    /// Judges a rule that translates in the ruleset that it is put into.
    pub(super) fn translating(&mut self, rule: &Rule, after: &Ruleset, terms: &mut Terms) {
        let mut found = Outcomes::default();
        for direction in ways(rule) {
            match self.outcomes(rule, after, direction, (terms, &mut found)) {
                Ok(true) => {}
                Ok(false) => return self.undecided(rule),
                Err(why) => return self.found.items.push(not_laid(rule, &why)),
            }
        }
        for ((direction, cell), by) in &found.translated {
            let mut cell = cell.clone();
            cell.drop_atoms_of(|atom| terms.is_doubt(atom));
            self.found.changed.translated(*direction, cell, decider(after, *by));
        }
        let conflict = conflict(rule, after, &found);
        if let Some(conflict) = conflict.filter(|_| !self.is_dead(rule)) {
            self.found.items.push(conflict);
        }
        self.advise_forward(rule, after, &found);
        self.advise_hairpin(rule, &found);
    }

    fn is_dead(&self, rule: &Rule) -> bool {
        self.found.items.iter().any(|item| item.dead && item.rule.as_ref() == Some(&rule.id))
    }

    /// Follows the packets of a way; whether that came to an end.
    fn outcomes(
        &self,
        rule: &Rule,
        after: &Ruleset,
        direction: Direction,
        (terms, found): (&mut Terms, &mut Outcomes),
    ) -> Result<bool, Unlaid> {
        let laid = Laid::new(after, direction, terms)?;
        let own = |at: &At| after.line(*at).is_some_and(|line| line.comment.as_deref() == Some(rule.id.as_str()));
        let places: BTreeSet<At> = after.lines().map(|(at, _)| at).filter(own).collect();
        let steps: Vec<usize> = places.iter().filter_map(|at| laid.program.places.get(at)).flatten().copied().collect();
        let mut meter = Meter::new(self.budget.steps);
        for step in steps {
            let mut cell = laid.program.steps[step].cell.clone();
            cell.drop_atoms();
            cell.keep_narrow(Narrow::State, Bits::single(0));
            if cell.is_empty() {
                continue;
            }
            found.asks = true;
            let sorter = Sorter { laid: &laid, places: &places, leads: rule.action.leads(), terms };
            let done = laid.follow(&[cell], &mut meter, &mut |fated, _| {
                sorter.sort(fated, found);
                Ok(ControlFlow::Continue(()))
            });
            if done.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What lets packets through that are led to where they are dropped.
    fn advise_forward(&mut self, rule: &Rule, after: &Ruleset, found: &Outcomes) {
        let Some((_, by)) = found.stopped.first().filter(|_| rule.action.leads()) else { return };
        let (id, to) = (&rule.id, landing(rule));
        let direction = ways(rule).first().copied().unwrap_or(rule.direction);
        let own = match by {
            By::Line(At { table, .. }) | By::Policy(table, _) => *table == self.after.own_table(),
            By::Nothing => false,
        };
        let how = match own {
            true => "with a rule of",
            false => "before it in that chain, because an accept of AFO's own ends only AFO's chain:",
        };
        self.found.advice.insert(format!(
            "rule {id} leads packets to where `{}` drops them: accept them there too, {how} direction {direction}{to}",
            decider(after, *by)
        ));
    }

    /// Asks what nobody can see in a ruleset: whether hosts beside the one that packets are led to use the same way.
    fn advise_hairpin(&mut self, rule: &Rule, found: &Outcomes) {
        let address = rule.nat.as_ref().and_then(|nat| nat.address).filter(|_| rule.action == Action::Dnat);
        let Some(address) = address.filter(|_| rule.direction != Direction::Output && !found.translated.is_empty())
        else {
            return;
        };
        let id = &rule.id;
        let words = match rule.interface_in.is_any() {
            true => format!(
                "rule {id}: do hosts of the network of {address} come by this way too (hairpin)? their answers then go past this host \
                 unless a masquerade of direction forward from their network to {address} stands beside it"
            ),
            false => format!(
                "rule {id}: do hosts of the network of {address} come by this way too (hairpin)? only what comes in by {} is led there; \
                 they need the same rule for their interface, and a masquerade of direction forward from their network to {address}",
                rule.interface_in
            ),
        };
        self.found.advice.insert(words);
    }
}

/// The fields of a rule that accepts what is led elsewhere.
fn landing(rule: &Rule) -> String {
    let nat = rule.nat.clone().unwrap_or_default();
    let address = nat.address.map(|address| format!(", destination_address {address}")).unwrap_or_default();
    let protocol = if rule.protocol.is_any() { String::new() } else { format!(", protocol {}", rule.protocol) };
    let port = match nat.port {
        Some(port) => format!(", destination_port {port}"),
        None if rule.destination_port.is_any() => String::new(),
        None => format!(", destination_port {}", rule.destination_port),
    };
    format!("{address}{protocol}{port}")
}

/// Sorts packets by what becomes of them.
struct Sorter<'s> {
    laid: &'s Laid,
    places: &'s BTreeSet<At>,
    leads: bool,
    terms: &'s Terms,
}

impl Sorter<'_> {
    fn sort(&self, fated: Fated, found: &mut Outcomes) {
        let turned = fated.turned[if self.leads { End::Destination as usize } else { End::Source as usize }];
        let (by, decided) = (self.laid.by(turned), self.laid.by(fated.by));
        let packets = (self.laid.direction, fated.cell);
        let own = matches!(by, By::Line(at) if self.places.contains(&at));
        let unread = packets.1.atoms().iter().any(|(atom, _)| self.terms.is_unread(*atom));
        match (turned, fated.fate.passes()) {
            (Some(_), passes) if own => {
                found.translated.push((packets.clone(), by));
                match passes {
                    _ if unread => drop(found.unknown.get_or_insert((packets, decided))),
                    true => found.through = true,
                    false => found.stopped.push((packets, decided)),
                }
            }
            (Some(step), _) => {
                let same = self.laid.translation(Some(step)) == self.own_translation();
                found.taken.push((packets, by, same));
            }
            (None, false) => found.dropped.push((packets, decided)),
            (None, true) => {}
        }
    }

    fn own_translation(&self) -> Option<&crate::rule::Translation> {
        let first = self.places.iter().filter_map(|at| self.laid.program.places.get(at)).flatten().next();
        self.laid.translation(first.copied())
    }
}

/// What stands against a rule that translates.
fn conflict(rule: &Rule, after: &Ruleset, found: &Outcomes) -> Option<Conflict> {
    let named = |by: &mut dyn Iterator<Item = By>| {
        let all: BTreeSet<By> = by.collect();
        all.into_iter().take(NAMED).map(|by| decider(after, by)).collect::<Vec<_>>()
    };
    let shown = |(direction, cell): &Packets| {
        let cells = cell.clone().by_family();
        cells.iter().find_map(|cell| example(*direction, cell))
    };
    if !found.asks {
        let words = "no packet that begins a connection can match this rule";
        return Some(Conflict { dead: true, ..item(rule, ConflictType::Unmatchable, words.to_owned()) });
    }
    if found.translated.is_empty() {
        let others = found.taken.iter().any(|(_, _, same)| !same) || found.taken.is_empty();
        let (kind, words) = match found.taken.is_empty() {
            true => (ConflictType::Ineffective, "nothing that it asks for comes to where addresses are translated"),
            false => closed_words(others, false),
        };
        let first = found.taken.first().map(|(packets, ..)| packets).or(found.dropped.first().map(|(p, _)| p));
        let by = found.taken.iter().map(|(_, by, _)| *by).chain(found.dropped.iter().map(|(_, by)| *by));
        let (with, example) = (named(&mut { by }), first.and_then(shown));
        return Some(Conflict { with, example, dead: true, ..item(rule, kind, words.to_owned()) });
    }
    if let Some((packets, by)) = &found.unknown {
        let with = vec![decider(after, *by)];
        let words = "whether what it translates goes through depends on what is not understood".to_owned();
        return Some(Conflict { with, example: shown(packets), ..item(rule, ConflictType::Unknown, words) });
    }
    if let Some((packets, _)) = found.stopped.first() {
        let (with, whole) = (named(&mut found.stopped.iter().map(|(_, by)| *by)), !found.through);
        let part = if whole { "everything" } else { "a part of what" };
        let verb = if rule.action.leads() { "leads elsewhere" } else { "translates" };
        let first = with.first().cloned().unwrap_or_default();
        let words = format!("{part} this rule {verb} is dropped behind it (`{first}`)");
        return Some(Conflict {
            with,
            example: shown(packets),
            dead: whole,
            ..item(rule, ConflictType::Ineffective, words)
        });
    }
    let (packets, _, same) = found.taken.first()?;
    let (kind, words) = match same {
        false => (ConflictType::Overlap, "earlier rules translate some of its packets otherwise"),
        true => (ConflictType::Partial, "earlier rules already translate some of its packets so"),
    };
    let with = named(&mut found.taken.iter().map(|(_, by, _)| *by));
    Some(Conflict { with, example: shown(packets), ..item(rule, kind, words.to_owned()) })
}
