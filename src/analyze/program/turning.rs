//! The way of packets whose destination rules translate.
//!
//! Behind the nat chains of a way each base chain is laid out for what no rule translates, and then once for every translation, with the
//! destination that packets have behind it. Which packets these are the nat chains say: their rules stand before it again, and lead.

use super::layout::{Here, Layout};
use super::{Act, Unlaid};
use crate::analyze::cells::{Match, Sight};
use crate::packet::{Bits, Cell, Narrow};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Base, Line, Outcome, Ruleset, Verdict};
use crate::rule::way::Changes;
use crate::rule::{ConnectionState, Landing, Translation, Turned};
use std::ops::Range;

/// Where the rules behind are laid out more often than this in all, the destination of what is translated is not followed.
const MOST: usize = 100_000;

/// What is known of the translations of a way.
#[derive(Debug, Default)]
pub(super) struct Turning {
    /// The nat chains that were passed, in order.
    passed: Vec<(usize, usize)>,
    /// Whether some translate destinations, and whether each of these translations is followed.
    turns: bool,
    follows: bool,
    /// Steps that lead packets past the rest of the nat chain that is gone through again, or of all of them.
    pub(super) kept: Vec<usize>,
    unturned: Vec<usize>,
    leads: Vec<Lead>,
}

/// Packets that one rule leads elsewhere.
#[derive(Debug)]
struct Lead {
    steps: Range<usize>,
    cells: Vec<Cell>,
    to: Turned,
}

impl Turning {
    /// Nothing where no rule translates.
    pub(super) fn of(ruleset: &Ruleset, chains: &[(usize, usize)], changes: &Changes) -> Option<Self> {
        let tables = || {
            let nat = |(table, chain): &&(usize, usize)| {
                ruleset.tables[*table].chains[*chain].base.as_ref().is_some_and(Base::turns)
            };
            let mut tables: Vec<_> = chains.iter().filter(nat).map(|(table, _)| *table).collect();
            tables.dedup();
            tables
        };
        let lines = |tables: Vec<usize>| -> usize {
            tables.into_iter().flat_map(|t| &ruleset.tables[t].chains).flat_map(|c| &c.lines).map(turns).sum()
        };
        let (count, all) = (lines(tables()), ruleset.lines().count());
        let turning = Self { turns: count > 0, follows: count.saturating_mul(all) <= MOST, ..Self::default() };
        changes.translates().then_some(turning)
    }

    /// The translations that lead to one place each; the last first, so that no way to one crosses another.
    fn leads(&mut self) -> Vec<Vec<Lead>> {
        let mut leads = std::mem::take(&mut self.leads);
        if self.follows {
            return leads.into_iter().rev().map(|lead| vec![lead]).collect();
        }
        leads.iter_mut().for_each(|lead| lead.to = Turned { address: Landing::Open, port: Landing::Open });
        vec![leads]
    }
}

/// How many translations of a destination a rule knows.
fn turns(line: &Line) -> usize {
    let turns = |verdict: &Verdict| matches!(verdict, Verdict::Translate(translation) if translation.turns());
    match &line.outcome {
        Outcome::Verdict(verdict) => usize::from(turns(verdict)),
        Outcome::ByKey(keys) => keys.iter().filter(|(_, verdict)| turns(verdict)).count(),
        Outcome::Next | Outcome::Unread(_) => 0,
    }
}

impl<'a> Layout<'a> {
    /// A base chain, for packets that are described as they come.
    pub(super) fn base_of_coming(&mut self, table: usize, chain: usize, base: &'a Base) -> Result<(), Unlaid> {
        let changes = self.view.changes();
        let start = self.start.clone();
        let fresh = || Here::new(base, Sight::of_coming(base, changes));
        let other = || Here::new(base, Sight::of(base, changes));
        if base.turns() {
            self.again(std::slice::from_ref(&start))?;
            if let Some(turning) = self.turning.as_mut().filter(|turning| turning.turns) {
                // What another nat chain has translated does not come to this one (`nf_nat_inet_fn`).
                let leads = std::mem::take(&mut turning.leads).into_iter().flat_map(|lead| lead.steps);
                self.past.extend(leads.chain(std::mem::take(&mut turning.unturned)));
                turning.passed.push((table, chain));
            }
            return self.stretch(table, chain, &fresh(), &[start]);
        }
        if !base.is_before_turning() {
            return self.behind(table, chain, base);
        }
        // What belongs to a connection that is there is described as behind its translation.
        let there = Bits::single(ConnectionState::Established as u8).with(ConnectionState::Related as u8);
        let of = |states| start.and(&Cell::all().with_narrow(Narrow::State, states)).into_iter().collect::<Vec<_>>();
        self.stretch(table, chain, &fresh(), &of(Narrow::State.all().minus(there)))?;
        self.stretch(table, chain, &other(), &of(there))
    }

    /// A base chain behind the nat chains: the rules that lead, what they leave, and what they lead to.
    fn behind(&mut self, table: usize, chain: usize, base: &'a Base) -> Result<(), Unlaid> {
        let (view, start) = (self.view, [self.start.clone()]);
        let plain = Here::new(base, Sight::of(base, view.changes()));
        if self.turning.as_ref().is_none_or(|turning| turning.passed.is_empty()) {
            return self.stretch(table, chain, &plain, &start);
        }
        self.again(&start)?;
        self.end(|turning| &mut turning.unturned);
        let by = By::Policy(table, chain);
        let all = Match { cells: start.to_vec(), doubt: None, too_wide: false };
        let leads = self.turning.as_mut().map(|turning| turning.leads()).unwrap_or_default();
        self.stretch(table, chain, &plain, &start)?;
        for lead in leads {
            self.past.push(self.steps.len());
            self.push(by, all.clone(), Act::Leave(usize::MAX))?;
            let first = self.steps.len();
            lead.iter().flat_map(|lead| lead.steps.clone()).for_each(|step| self.steps[step].act = Act::Leave(first));
            let Some(to) = lead.first().map(|lead| lead.to) else { continue };
            let cells: Vec<_> = lead.into_iter().flat_map(|lead| lead.cells).collect();
            let sight = Sight::of(base, view.changes()).turned(to, &cells);
            self.stretch(table, chain, &Here::new(base, sight), &cells)?;
        }
        Ok(())
    }

    /// Goes through the nat chains once more that packets have passed, so that what they translate is led on.
    fn again(&mut self, start: &[Cell]) -> Result<(), Unlaid> {
        let (view, passed) = (self.view, self.turning.as_ref().map(|turning| turning.passed.clone()));
        for (table, chain) in passed.unwrap_or_default() {
            let Some(base) = view.base(table, chain) else { continue };
            let here = Here { base, sight: Sight::of_coming(base, view.changes()), leads: true };
            self.stretch(table, chain, &here, start)?;
            self.end(|turning| &mut turning.kept);
        }
        Ok(())
    }

    /// Lets steps that were noted lead to the present end.
    fn end(&mut self, which: impl Fn(&mut Turning) -> &mut Vec<usize>) {
        let end = self.steps.len();
        let noted = self.turning.as_mut().map(|turning| std::mem::take(which(turning)));
        for step in noted.into_iter().flatten() {
            self.steps[step].act = Act::Leave(end);
        }
    }

    /// A translation of a nat chain that is gone through again.
    pub(super) fn lead(&mut self, at: At, matched: &Match, translation: &Translation) -> Result<(), Unlaid> {
        let first = self.steps.len();
        self.push(By::Line(at), matched.clone(), Act::Leave(usize::MAX))?;
        let steps = first..self.steps.len();
        if let Some(turning) = &mut self.turning {
            match translation.turns() {
                true => turning.leads.push(Lead { steps, cells: matched.cells.clone(), to: translation.landing() }),
                false => turning.unturned.extend(steps),
            }
        }
        Ok(())
    }
}
