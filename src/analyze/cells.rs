//! A rule as packet sets, where it stands.

use crate::packet::{Bits, Cell, NO_MAC, Narrow, Ranges, Wide};
use crate::rule::ruleset::{Base, ChainKind, Condition, Hook, Line, Outcome, TableFamily, Verdict, name_number};
use crate::rule::way::Changes;
use std::collections::HashMap;

/// More products than this out of one rule are not multiplied out.
const MOST: usize = 8192;

/// Why a rule that matches on paper may not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Doubt {
    /// Understood: a limit, a set that changes, a field that is another one there.
    Chance,
    /// Not understood.
    Unread,
}

/// The packets of a rule at a place: at most these, and surely these unless there is a doubt.
#[derive(Debug, Clone, Default)]
pub(super) struct Match {
    pub(super) cells: Vec<Cell>,
    pub(super) doubt: Option<Doubt>,
}

/// Numbers for unread conditions, the same for the same text.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Atoms {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The condition that a number stands for.
    pub(super) fn text(&self, atom: u32) -> &str {
        self.texts.get(atom as usize).map_or("", String::as_str)
    }
}

/// The packets that enter a base chain by themselves, and those of them of which it is not sure.
pub(super) fn entering(family: TableFamily, base: &Base) -> (Cell, Option<(Cell, Doubt)>) {
    let mut cell = Cell::all().with_narrow(Narrow::Family, family.packets());
    let mut unsure = None;
    if base.kind == ChainKind::Nat {
        // The first packet of a connection is new, or related to another one, as not every related packet is the first.
        cell.keep_narrow(Narrow::State, Bits::single(0).with(2));
        unsure = Some((cell.clone().with_narrow(Narrow::State, Bits::single(2)), Doubt::Chance));
    }
    let device = match base.hook {
        Hook::Ingress => Some(Wide::InInterface),
        Hook::Egress => Some(Wide::OutInterface),
        _ => None,
    };
    match device {
        Some(_) if base.devices.is_empty() => unsure = Some((cell.clone(), Doubt::Unread)),
        Some(field) => {
            let names = base.devices.iter().map(|name| name_number(name));
            cell.keep_wide(field, &Ranges::of(names.map(|n| (n, n))));
        }
        None => {}
    }
    (cell, unsure)
}

/// Reads rules as packet sets at one place.
pub(super) struct Reader<'a> {
    pub(super) base: &'a Base,
    pub(super) changes: &'a Changes,
    pub(super) atoms: &'a mut Atoms,
}

impl Reader<'_> {
    /// The packets that a rule matches, out of `path`; nothing where there would be too many products.
    pub(super) fn matched(&mut self, path: &Match, line: &Line) -> Option<Match> {
        let mut found = path.clone();
        for condition in &line.conditions {
            self.narrow(&mut found, condition)?;
        }
        Some(found)
    }

    /// The packets of each verdict of a rule. A verdict map gives several, whose packets are disjoint.
    pub(super) fn verdicts(&mut self, matched: &Match, line: &Line) -> Option<Vec<(Match, Verdict)>> {
        match &line.outcome {
            Outcome::Verdict(verdict) => Some(vec![(matched.clone(), verdict.clone())]),
            Outcome::ByKey(keys) => keys
                .iter()
                .map(|(cell, verdict)| {
                    let mut one = matched.clone();
                    self.narrow(&mut one, &Condition::AnyOf(vec![cell.clone()]))?;
                    Some((one, verdict.clone()))
                })
                .collect(),
            Outcome::Next | Outcome::Unread(_) => Some(Vec::new()),
        }
    }

    fn narrow(&mut self, found: &mut Match, condition: &Condition) -> Option<()> {
        match condition {
            Condition::Chance(_) => doubt(found, Doubt::Chance),
            Condition::Unread(unread) => {
                let steady = unread.field.as_ref().is_some_and(|f| !self.changes.alters(f))
                    && !self.changes.blurs_unread(self.base);
                match steady {
                    true => {
                        let atom = self.atoms.number(&unread.text);
                        found.cells.retain_mut(|cell| cell.keep_atom(atom, true));
                    }
                    false => doubt(found, Doubt::Unread),
                }
            }
            Condition::Wide(field, values) => {
                let cell = Cell::all().with_wide(*field, values.clone());
                self.product(found, std::slice::from_ref(&cell))?;
            }
            Condition::Narrow(field, values) => {
                let cell = Cell::all().with_narrow(*field, *values);
                self.product(found, std::slice::from_ref(&cell))?;
            }
            Condition::AnyOf(cells) => self.product(found, cells)?,
        }
        Some(())
    }

    fn product(&mut self, found: &mut Match, cells: &[Cell]) -> Option<()> {
        if cells.iter().any(|cell| self.changes.blurs(self.base, cell)) {
            doubt(found, Doubt::Chance);
        }
        let here: Vec<_> = cells.iter().filter_map(|cell| self.at_hook(cell)).collect();
        if found.cells.len().saturating_mul(here.len()) > MOST {
            return None;
        }
        found.cells = found.cells.iter().flat_map(|own| here.iter().filter_map(|cell| own.and(cell))).collect();
        Some(())
    }

    /// A condition as it is at this hook: a packet that has no interface there has one without a name and no hardware addresses,
    /// and fields that are other ones there say nothing.
    fn at_hook(&self, cell: &Cell) -> Option<Cell> {
        let mut here = cell.clone();
        let (comes, leaves) = (self.base.hook.has_in(), self.base.hook.has_out());
        for (field, there, none) in [
            (Wide::InInterface, comes, 0),
            (Wide::OutInterface, leaves, 0),
            (Wide::SourceMac, comes, NO_MAC),
            (Wide::DestinationMac, comes, NO_MAC),
        ] {
            if !there {
                if !cell.wide(field).contains(none) {
                    return None;
                }
                here = here.with_wide(field, field.all());
            }
        }
        for field in Wide::ALL.into_iter().filter(|f| self.changes.blurs_wide(self.base, *f)) {
            here = here.with_wide(field, field.all());
        }
        for field in Narrow::ALL.into_iter().filter(|f| self.changes.blurs_narrow(self.base, *f)) {
            here = here.with_narrow(field, field.all());
        }
        (!here.is_empty()).then_some(here)
    }
}

fn doubt(found: &mut Match, doubt: Doubt) {
    found.doubt = found.doubt.max(Some(doubt));
}
