//! Lines that are no rules: what is missing with them, and what they may do to packets before others see these.

use super::cell::widest;
use super::{ELSEWHERE, Imported, NotSaid, Spot, Walk};
use crate::packet::Cell;
use crate::rule::Action;
use crate::rule::ruleset::{Alteration, At, Line, Outcome, Verdict};

/// A rule that was not taken over and may decide about packets before others do.
pub(super) struct Doubt {
    pub(super) cells: Vec<Cell>,
    /// What it does, where that is all that it can do: a rejection may answer in several ways.
    pub(super) ends: Option<Action>,
    /// It only leads back to the rule behind the jump to its chain.
    pub(super) returns: bool,
}

impl Walk<'_> {
    /// Keeps a line as not said, and what it may do to packets on their way to later ones.
    pub(super) fn leave(&mut self, at: At, line: &Line, entering: &[Cell], why: &str) {
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

    pub(super) fn doubt(&mut self, cells: Vec<Cell>, ends: Option<Action>, returns: bool) {
        self.here.doubts.push(Doubt { cells, ends, returns });
    }

    fn refuse(&mut self, at: At, line: &Line, why: &str) {
        let told = self.told(at, line, why);
        self.not_said.entry((at.table, at.chain, at.line)).or_insert(told);
    }

    /// Keeps a line as one that decides nothing.
    pub(super) fn pass(&mut self, at: At, line: &Line, why: &str) {
        let told = self.told(at, line, why);
        self.idle.entry((at.table, at.chain, at.line)).or_insert(told);
    }

    fn told(&self, at: At, line: &Line, why: &str) -> NotSaid {
        let place = format!("{}, rule {}", self.place(at.table, at.chain), at.line + 1);
        NotSaid { place, text: line.text.clone(), why: why.to_owned() }
    }

    pub(super) fn place(&self, table: usize, chain: usize) -> String {
        let (table, chain) = (&self.ruleset.tables[table], self.chain(table, chain));
        format!("{} {} {}", table.family, table.name, chain.name)
    }

    /// Counts what no way led to, and ends.
    pub(super) fn ended(mut self) -> Imported {
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
