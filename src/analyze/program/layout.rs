//! The layout of a program: base chains one after the other, the chains that they jump to in place.

use super::turning::Turning;
use super::{Act, Call, DEPTH, End, MOST, Places, Program, Step, Turn, Unlaid};
use crate::analyze::cells::{self, Atoms, Doubt, Match, Reader, Sight, entering, framed, spared};
use crate::analyze::index::Index;
use crate::analyze::near::Sieve;
use crate::analyze::view::View;
use crate::packet::Cell;
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Base, Line, Outcome, Verdict};
use std::collections::BTreeMap;

/// Which packets are of interest, and whether chance is decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    All,
    Near(&'a [Cell]),
    Lucky(&'a [Cell]),
}

/// Lays out base chains for packets of a cell, as far as they are of interest.
pub(super) fn lay_out_view(
    view: &View,
    chains: &[(usize, usize)],
    start: &Cell,
    of: Of,
    turning: Option<Turning>,
    atoms: &mut Atoms,
) -> Result<Program, Unlaid> {
    let mut layout = Layout {
        view,
        start,
        of,
        atoms,
        steps: Vec::new(),
        passed: Vec::new(),
        too_wide: Vec::new(),
        altering: Vec::new(),
        turns: Vec::new(),
        calls: BTreeMap::new(),
        accepts: Vec::new(),
        past: Vec::new(),
        turning,
    };
    for (table, chain) in chains {
        layout.base(*table, *chain)?;
    }
    let Layout { steps, passed, too_wide, altering, turns, calls, .. } = layout;
    let places = Places::new(passed, &steps);
    Ok(Program { steps, places, index: Index::default(), too_wide, altering, turns, calls })
}

/// A base chain while it is laid out.
pub(super) struct Here<'a> {
    pub(super) base: &'a Base,
    pub(super) sight: Sight,
    /// Whether it is a nat chain that is gone through again, to lead packets to what is behind their translation.
    pub(super) leads: bool,
}

impl<'a> Here<'a> {
    pub(super) fn new(base: &'a Base, sight: Sight) -> Self {
        Self { base, sight, leads: false }
    }
}

pub(super) struct Layout<'a> {
    pub(super) view: &'a View<'a>,
    /// The packets that come this way at all.
    pub(super) start: &'a Cell,
    of: Of<'a>,
    atoms: &'a mut Atoms,
    pub(super) steps: Vec<Step>,
    passed: Vec<At>,
    too_wide: Vec<At>,
    altering: Vec<usize>,
    pub(super) turns: Vec<Turn>,
    calls: BTreeMap<At, Vec<Call>>,
    /// Steps of the present base chain whose skip ends where it ends: accepts, and others.
    accepts: Vec<usize>,
    pub(super) past: Vec<usize>,
    /// Set where packets are described as they come.
    pub(super) turning: Option<Turning>,
}

impl<'a> Layout<'a> {
    fn base(&mut self, table: usize, chain: usize) -> Result<(), Unlaid> {
        let view = self.view;
        let Some(base) = view.base(table, chain) else { return Ok(()) };
        let start = std::slice::from_ref(self.start);
        match self.turning {
            Some(_) => self.base_of_coming(table, chain, base)?,
            None => self.stretch(table, chain, &Here::new(base, Sight::of(base, view.changes())), start)?,
        }
        let end = self.steps.len();
        for step in self.accepts.drain(..) {
            self.steps[step].act = Act::Accept(end);
        }
        for step in self.past.drain(..) {
            self.steps[step].act = Act::Leave(end);
        }
        Ok(())
    }

    /// A base chain with its policy, for some of the packets that come to it.
    pub(super) fn stretch(&mut self, table: usize, chain: usize, here: &Here, packets: &[Cell]) -> Result<(), Unlaid> {
        let by = By::Policy(table, chain);
        let entering = self.entering(table, here, by, packets)?;
        for (cells, sight) in framed(&entering.cells, here.base, here.sight.clone()) {
            let (here, part) = (Here { sight, ..*here }, Match { cells, ..Match::default() });
            self.chain(table, chain, &here, &part, 0)?;
            if here.base.drops && !here.leads {
                self.push(by, part, Act::Deny)?;
            }
        }
        Ok(())
    }

    /// Those of some packets that enter a base chain, with steps for those that do not or may not.
    fn entering(&mut self, table: usize, here: &Here, by: By, packets: &[Cell]) -> Result<Match, Unlaid> {
        let (family, changes) = (self.view.family(table), self.view.changes());
        let (cell, unsure) = entering(family, here.base, changes);
        let coming = |cell: Cell| packets.iter().filter_map(|own| own.and(&cell)).collect();
        let entering = Match { cells: coming(cell), doubt: None, too_wide: false };
        let past = spared(family, here.base, changes).map(|cell| (coming(cell), None));
        let unsure = unsure.map(|(cell, doubt)| (coming(cell), Some(doubt)));
        for (cells, doubt) in past.into_iter().chain(unsure) {
            let first = self.steps.len();
            self.push(by, Match { cells, doubt, too_wide: false }, Act::Accept(usize::MAX))?;
            self.accepted(here, first);
        }
        Ok(entering)
    }

    /// How many products of one rule are told: some room is left for others.
    fn room(&self) -> usize {
        cells::MOST.min(MOST.saturating_sub(self.steps.len()) / 2)
    }

    /// The numbers of a chain's rules, as far as they are of interest.
    fn order(&self, table: usize, chain: usize, base: &Base, path: &Match) -> Vec<usize> {
        let (Of::Near(packets) | Of::Lucky(packets)) = self.of else { return self.view.order(table, chain) };
        let here: Vec<_> = path.cells.iter().flat_map(|cell| packets.iter().filter_map(|own| cell.and(own))).collect();
        match here.is_empty() {
            true => Vec::new(),
            false => self.view.order_near(table, chain, &Sieve::new(&here, base, self.view.changes())),
        }
    }

    fn chain(&mut self, table: usize, chain: usize, here: &Here, path: &Match, depth: usize) -> Result<(), Unlaid> {
        let view = self.view;
        if depth > DEPTH {
            let name = view.head(table, chain).map(|chain| chain.name.clone()).unwrap_or_default();
            return Err(Unlaid::TooDeep(name));
        }
        let mut leaving = Vec::new();
        let order = self.order(table, chain, here.base, path);
        // Most rules are one step.
        self.steps.reserve(order.len().min(MOST));
        for line in order {
            let at = At { table, chain, line };
            let Some(rule) = view.line(at) else { continue };
            self.passed.push(at);
            let room = self.room();
            let mut reader = Reader { sight: &here.sight, changes: view.changes(), atoms: &mut *self.atoms, room };
            let matched = reader.matched(path, rule);
            if matched.too_wide {
                self.too_wide.push(at);
            }
            let first = self.steps.len();
            self.outcome(at, rule, matched, here, depth, &mut leaving)?;
            if !rule.alters.is_empty() || rule.outcome.translates() {
                let own = (first..self.steps.len()).filter(|step| self.steps[*step].by == By::Line(at));
                self.altering.extend(own);
            }
        }
        let end = self.steps.len();
        for step in leaving {
            self.steps[step].act = Act::Leave(end);
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        at: At,
        rule: &'a Line,
        matched: Match,
        here: &Here,
        depth: usize,
        leaving: &mut Vec<usize>,
    ) -> Result<(), Unlaid> {
        match &rule.outcome {
            Outcome::Next if here.leads => Ok(()),
            Outcome::Next => self.push(By::Line(at), matched, Act::Pass),
            Outcome::Unread(_) => {
                let may = Match { doubt: Some(Doubt::Unread), ..matched };
                self.accept(at, here, may.clone())?;
                self.deny(at, here, may)
            }
            Outcome::Verdict(verdict) => self.verdict(at, matched, verdict, here, depth, leaving),
            Outcome::ByKey(keys) => keys.iter().try_for_each(|(cell, verdict)| {
                let (room, changes) = (self.room(), self.view.changes());
                let mut reader = Reader { sight: &here.sight, changes, atoms: &mut *self.atoms, room };
                let one = reader.by_key(&matched, cell);
                if one.too_wide && !matched.too_wide {
                    self.too_wide.push(at);
                }
                self.verdict(at, one, verdict, here, depth, leaving)
            }),
        }
    }

    fn verdict(
        &mut self,
        at: At,
        matched: Match,
        verdict: &'a Verdict,
        here: &Here,
        depth: usize,
        leaving: &mut Vec<usize>,
    ) -> Result<(), Unlaid> {
        let by = By::Line(at);
        match verdict {
            Verdict::Continue => self.push(by, matched, Act::Pass),
            Verdict::Translate(translation) if here.leads => self.lead(at, &matched, translation),
            Verdict::Translate(translation) => {
                let (first, end) = (self.steps.len(), if here.base.turns() { End::Destination } else { End::Source });
                self.accept(at, here, matched)?;
                self.turns.push(Turn { steps: first..self.steps.len(), to: translation.clone(), end });
                Ok(())
            }
            Verdict::Accept => self.accept(at, here, matched),
            Verdict::Drop | Verdict::Reject => self.deny(at, here, matched),
            Verdict::Return => self.leave(at, matched, leaving),
            Verdict::Jump(name) => self.called(at, name, here, &matched, depth, None),
            Verdict::Goto(name) => self.called(at, name, here, &matched, depth, Some(leaving)),
        }
    }

    /// A chain that is jumped to, in place; for a goto with where it leaves to. Where it is not sure that it is entered, that is one
    /// chance for the whole of it: a skip over it that may happen.
    fn called(
        &mut self,
        at: At,
        name: &str,
        here: &Here,
        matched: &Match,
        depth: usize,
        leaving: Option<&mut Vec<usize>>,
    ) -> Result<(), Unlaid> {
        self.push(By::Line(at), matched.clone(), Act::Pass)?;
        let first = self.steps.len();
        if matched.doubt.is_some() {
            self.push_if(By::Line(at), matched.clone(), Act::Leave(usize::MAX), false)?;
        }
        let skips = first..self.steps.len();
        let inside = Match { cells: matched.cells.clone(), doubt: None, too_wide: false };
        let start = self.steps.len();
        self.enter(at, name, here, &inside, depth)?;
        let inner = self.steps.len();
        if let Some(leaving) = leaving {
            self.leave(at, inside, leaving)?;
        }
        let end = self.steps.len();
        for step in skips {
            self.steps[step].act = Act::Leave(end);
        }
        self.calls.entry(at).or_default().push(Call { first: start, end, inner });
        Ok(())
    }

    fn enter(&mut self, at: At, name: &str, here: &Here, matched: &Match, depth: usize) -> Result<(), Unlaid> {
        // Rules that nothing can come to over this jump need no steps.
        if matched.cells.is_empty() {
            return Ok(());
        }
        let target = self.view.named(at.table, name).ok_or_else(|| Unlaid::NoChain(name.to_owned()))?;
        self.chain(at.table, target, here, matched, depth + 1)
    }

    fn accept(&mut self, at: At, here: &Here, matched: Match) -> Result<(), Unlaid> {
        let first = self.steps.len();
        self.push(By::Line(at), matched, Act::Accept(usize::MAX))?;
        self.accepted(here, first);
        Ok(())
    }

    /// What a nat chain denied is gone when that is gone through again.
    fn deny(&mut self, at: At, here: &Here, matched: Match) -> Result<(), Unlaid> {
        if here.leads { Ok(()) } else { self.push(By::Line(at), matched, Act::Deny) }
    }

    /// Notes the steps from `first` on as accepts of the present base chain.
    fn accepted(&mut self, here: &Here, first: usize) {
        let steps = first..self.steps.len();
        match (here.leads, &mut self.turning) {
            (true, Some(turning)) => turning.kept.extend(steps),
            _ => self.accepts.extend(steps),
        }
    }

    fn leave(&mut self, at: At, matched: Match, leaving: &mut Vec<usize>) -> Result<(), Unlaid> {
        let first = self.steps.len();
        self.push(By::Line(at), matched, Act::Leave(usize::MAX))?;
        leaving.extend(first..self.steps.len());
        Ok(())
    }

    pub(super) fn push(&mut self, by: By, matched: Match, act: Act) -> Result<(), Unlaid> {
        self.push_if(by, matched, act, true)
    }

    /// Adds steps; where chance is decided, for those whose luck is so.
    fn push_if(&mut self, by: By, matched: Match, act: Act, lucky: bool) -> Result<(), Unlaid> {
        if let (Of::Lucky(_), Some(_)) = (self.of, matched.doubt) {
            let luck = self.atoms.luck(by, act == Act::Deny);
            let mut sure = Match { doubt: None, ..matched };
            sure.cells.retain_mut(|cell| cell.keep_atom(luck, lucky));
            return self.push_all(by, sure, act);
        }
        self.push_all(by, matched, act)
    }

    fn push_all(&mut self, by: By, matched: Match, act: Act) -> Result<(), Unlaid> {
        if self.steps.len() + matched.cells.len() > MOST {
            return Err(Unlaid::TooMany);
        }
        let doubt = matched.doubt;
        self.steps.extend(matched.cells.into_iter().map(|cell| Step { by, cell, act, doubt }));
        Ok(())
    }
}
