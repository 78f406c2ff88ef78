//! Rulesets laid out for questions about what becomes of whole sets of packets.
//!
//! Whatever a packet does not decide alone (a limit, a set that changes, a condition that was not read) is a condition with a
//! number here, true or false of a packet, nobody knows of which: two rulesets that are compared have the same number for what
//! reads the same, and no question takes one of the two answers for granted.

use super::cells::{Atoms, Doubt};
use super::fate::fates;
use super::program::{Act, Program, Step, Turn, TurnedBy, Unlaid, lay_out_sent};
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use crate::rule::evaluate::{By, Fate};
use crate::rule::ruleset::{Alteration, ChainKind, Condition, Line, Outcome, Ruleset, TableFamily, Verdict};
use crate::rule::way::Changes;
use crate::rule::{Direction, Translation};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

/// Numbers of doubts begin here; below are those of unread tests of the packet.
const DOUBTS: u32 = 1 << 31;

/// The conditions with numbers, in words.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) atoms: Atoms,
    /// Words, and whether it was not understood.
    doubts: Vec<(String, bool)>,
    numbers: HashMap<(String, usize, u8), u32>,
}

impl Terms {
    /// The text of a condition.
    pub(super) fn words(&self, atom: u32) -> &str {
        match atom.checked_sub(DOUBTS) {
            Some(doubt) => self.doubts.get(doubt as usize).map_or("", |(words, _)| words),
            None => self.atoms.text(atom),
        }
    }

    /// Whether a condition was not understood: then nobody knows whether any packet fulfils it.
    pub(super) fn is_unread(&self, atom: u32) -> bool {
        atom.checked_sub(DOUBTS).is_none_or(|doubt| self.doubts.get(doubt as usize).is_none_or(|(_, unread)| *unread))
    }

    /// Whether a condition is one that the packet does not decide.
    pub(super) fn is_doubt(&self, atom: u32) -> bool {
        atom >= DOUBTS
    }

    fn doubt(&mut self, key: (String, usize, u8), words: impl FnOnce() -> String, unread: bool) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = DOUBTS + u32::try_from(self.doubts.len()).unwrap_or(0);
        self.doubts.push((words(), unread));
        self.numbers.insert(key, number);
        number
    }
}

/// The way of one direction; no step of it has a doubt left.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) direction: Direction,
    pub(super) program: Program,
    /// Which steps that deny tell the sender.
    rejects: Vec<bool>,
    /// What steps change about packets that others ask for.
    altering: BTreeMap<usize, Altered>,
}

/// What a rule changes; of one that does so before it has asked for everything, all that it says.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Altered {
    alters: Vec<Alteration>,
    pub(super) early: Option<String>,
}

/// Whether what is left to chance has the numbers of a ruleset laid out before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Luck {
    Shared,
    /// Rules of the other change other packets: nobody knows what this one makes of the same packet.
    Own,
}

/// Packets that have the same way, as far as conditions with numbers hold as said.
#[derive(Debug, Clone)]
pub(super) struct Fated {
    pub(super) cell: Cell,
    pub(super) fate: Fate,
    /// The step that decided last.
    pub(super) by: Option<usize>,
    pub(super) turned: TurnedBy,
}

/// What is left of a budget, over several searches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    steps: usize,
    left: usize,
}

/// The budget ended before the answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Whether a search goes on.
pub(super) type Flow = Result<ControlFlow<()>, Exhausted>;

/// Parts of packets that are looked at for each step of the budget of one search.
const PARTS_PER_STEP: usize = 20;

impl Meter {
    pub(super) fn new(steps: usize) -> Self {
        Self { steps, left: steps.saturating_mul(PARTS_PER_STEP) }
    }

    /// Counts one part.
    pub(super) fn spend(&mut self) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }
}

impl Laid {
    /// Lays a direction out. What reads the same, for the same time, has the same number as in a ruleset laid out before.
    pub(super) fn new(ruleset: &Ruleset, direction: Direction, terms: &mut Terms) -> Result<Self, Unlaid> {
        Self::with_luck(ruleset, direction, terms, Luck::Shared)
    }

    /// The same with numbers of its own for what is left to chance, or not.
    pub(super) fn with_luck(
        ruleset: &Ruleset,
        direction: Direction,
        terms: &mut Terms,
        luck: Luck,
    ) -> Result<Self, Unlaid> {
        let mut program = lay_out_sent(ruleset, direction, &mut terms.atoms)?;
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut last = None;
        let mut visit = 0;
        for step in &mut program.steps {
            let Some(doubt) = step.doubt.take() else {
                last = None;
                continue;
            };
            if let Some(hook) = passed_by(ruleset, step.by, doubt) {
                let words = || "it is not the first packet of its connection".to_owned();
                let number = terms.doubt((format!("\0not the first at {hook}"), 0, 0), words, false);
                step.cell.keep_atom(number, true);
                last = None;
                continue;
            }
            let text = text_of(ruleset, step.by);
            if last != Some(step.by) {
                let count = seen.entry(text.clone()).or_default();
                visit = *count;
                *count += 1;
                last = Some(step.by);
            }
            let act = match step.act {
                Act::Deny => 0,
                Act::Leave(_) => 1,
                _ => 2,
            };
            let words = || doubt_words(ruleset, step.by, doubt);
            let (apart, unread) = match luck {
                Luck::Shared => (text, doubt == Doubt::Unread || is_blurred(ruleset, step.by)),
                Luck::Own => (format!("\0own {text}"), true),
            };
            let number = terms.doubt((apart, visit, act), words, unread);
            step.cell.keep_atom(number, true);
        }
        let rejects = program.steps.iter().map(|step| rejects(ruleset, step)).collect();
        let altering = program.steps.iter().enumerate();
        let altering = altering.filter_map(|(n, step)| Some((n, alteration(ruleset, step.by)?))).collect();
        Ok(Self { direction, program, rejects, altering })
    }

    /// What a step changes about packets.
    pub(super) fn alters(&self, step: usize) -> Option<&Altered> {
        self.altering.get(&step)
    }

    /// Whether a step leads packets past one that changes them.
    pub(super) fn leads_past(&self, step: usize) -> bool {
        let to = self.program.steps.get(step).and_then(|own| own.act.target());
        to.is_some_and(|to| self.altering.range(step + 1..to.max(step + 1)).next().is_some())
    }

    /// What a step makes of the packets that it translates.
    pub(super) fn turn(&self, step: usize) -> Option<&Turn> {
        self.program.turn(step)
    }

    /// The translation of a step, if there is one.
    pub(super) fn translation(&self, step: Option<usize>) -> Option<&Translation> {
        Some(&self.turn(step?)?.to)
    }

    /// The fate that a step gives.
    pub(super) fn fate(&self, step: usize) -> Fate {
        match self.rejects.get(step) {
            Some(true) => Fate::Rejected,
            _ => Fate::Dropped,
        }
    }

    /// What decided, as far as a step did; the policy of the last chain otherwise has no step.
    pub(super) fn by(&self, step: Option<usize>) -> By {
        step.and_then(|n| self.program.steps.get(n)).map_or(By::Nothing, |step| step.by)
    }

    /// Follows packets to their ends, part by part.
    pub(super) fn follow(
        &self,
        cells: &[Cell],
        meter: &mut Meter,
        visit: &mut dyn FnMut(Fated, &mut Meter) -> Flow,
    ) -> Result<(), Exhausted> {
        let mut stopped = Ok(());
        let budget = meter.steps.min(meter.left);
        let done = fates(&self.program, cells, 0, budget, &mut |part| {
            let fate = match part.by {
                Some(step) if !part.passes => self.fate(step),
                _ => Fate::Accepted,
            };
            let told = meter
                .spend()
                .and_then(|()| visit(Fated { cell: part.cell, fate, by: part.by, turned: part.turned }, meter));
            match told {
                Ok(flow) => flow,
                Err(spent) => {
                    stopped = Err(spent);
                    ControlFlow::Break(())
                }
            }
        });
        stopped.and(done.map_err(|_| Exhausted))
    }
}

fn alteration(ruleset: &Ruleset, by: By) -> Option<Altered> {
    let By::Line(at) = by else { return None };
    let line = ruleset.line(at).filter(|line| !line.alters.is_empty())?;
    let early = line.alters.contains(&Alteration::EarlyMark).then(|| line.text.clone());
    Some(Altered { alters: line.alters.clone(), early })
}

/// The hook of a nat chain that packets of a connection which is tracked may pass by, because they are not its first. Whether they are is a
/// matter of the packet and of what came before it, whatever the rules are.
fn passed_by(ruleset: &Ruleset, by: By, doubt: Doubt) -> Option<&'static str> {
    let By::Policy(table, chain) = by else { return None };
    let (table, changes) = (&ruleset.tables[table], Changes::of(ruleset));
    let base = table.chains[chain].base.as_ref().filter(|base| base.kind == ChainKind::Nat)?;
    let tracked = table.family.packets().and(Bits::below(2)).iter().all(|family| changes.tracks(family));
    (doubt == Doubt::Chance && tracked).then(|| base.hook.as_str())
}

/// Whether a rule is left to chance only because others change what it asks for: then not both can be for the same packet.
fn is_blurred(ruleset: &Ruleset, by: By) -> bool {
    let By::Line(at) = by else { return false };
    let chance = |line: &Line| line.conditions.iter().any(|condition| matches!(condition, Condition::Chance(_)));
    ruleset.line(at).is_some_and(|line| !chance(line))
}

fn text_of(ruleset: &Ruleset, by: By) -> String {
    match by {
        By::Line(at) => ruleset.line(at).map(|line| line.text.clone()).unwrap_or_default(),
        By::Policy(table, chain) => {
            let table = &ruleset.tables[table];
            format!("chain {} {} {}", table.family, table.name, table.chains[chain].name)
        }
        By::Nothing => String::new(),
    }
}

/// What must hold for a doubtful step to happen.
fn doubt_words(ruleset: &Ruleset, by: By, doubt: Doubt) -> String {
    let line = match by {
        By::Line(at) => ruleset.line(at),
        _ => None,
    };
    let Some(line) = line else { return "its chain is entered".to_owned() };
    let mut words: Vec<String> = Vec::new();
    for condition in &line.conditions {
        match condition {
            Condition::Chance(text) => words.push(text.clone()),
            Condition::Unread(unread) if doubt == Doubt::Unread => words.push(unread.text.clone()),
            _ => {}
        }
    }
    match &line.outcome {
        Outcome::Unread(text) => words.push(text.clone()),
        _ if words.is_empty() => words.push(line.text.clone()),
        _ => {}
    }
    words.join(" and ")
}

/// Whether a step that denies tells the sender.
fn rejects(ruleset: &Ruleset, step: &Step) -> bool {
    let By::Line(at) = step.by else { return false };
    match ruleset.line(at).map(|line| &line.outcome) {
        _ if step.act != Act::Deny => false,
        Some(Outcome::Verdict(verdict)) => *verdict == Verdict::Reject,
        Some(Outcome::ByKey(keys)) => {
            let denying = keys.iter().filter(|(_, verdict)| verdict.denies());
            let own = denying.clone().find(|(cell, _)| !cell.is_disjoint(&step.cell)).or(denying.clone().next());
            own.is_some_and(|(_, verdict)| *verdict == Verdict::Reject)
        }
        _ => false,
    }
}

/// The packets that can be in a direction at all, for these rulesets.
pub(super) fn possible(direction: Direction, rulesets: &[&Ruleset]) -> Cell {
    let mut cell = Cell::all().with_narrow(Narrow::Family, Bits::below(2));
    let named = Ranges::one(1, u128::MAX);
    if direction != Direction::Output {
        cell.keep_wide(Wide::InInterface, &named);
    }
    if direction != Direction::Input {
        cell.keep_wide(Wide::OutInterface, &named);
    }
    // Connection tracking puts fragments together before most chains see them.
    if rulesets.iter().all(|ruleset| gathered(ruleset, direction) == Bits::below(2)) {
        cell.keep_narrow(Narrow::Fragment, Bits::single(0));
    }
    cell
}

/// The packets that come to a base chain of a direction, out of a cell: without fragments that are put together before.
pub(super) fn coming(ruleset: &Ruleset, direction: Direction, cell: &Cell) -> Vec<Cell> {
    let (gathered, all) = (gathered(ruleset, direction), Bits::below(2));
    if !cell.narrow(Narrow::Fragment).contains(1) || gathered.is_empty() {
        return vec![cell.clone()];
    }
    let (mut whole, mut open) = (cell.clone(), cell.clone());
    whole.keep_narrow(Narrow::Family, gathered);
    whole.keep_narrow(Narrow::Fragment, Bits::single(0));
    open.keep_narrow(Narrow::Family, all.minus(gathered));
    [whole, open].into_iter().filter(|part| !part.is_empty()).collect()
}

/// The families (0 IPv4, 1 IPv6) of which no base chain of a direction sees later fragments.
fn gathered(ruleset: &Ruleset, direction: Direction) -> Bits {
    let changes = Changes::of(ruleset);
    let chains: Vec<_> = direction.hooks().iter().flat_map(|hook| ruleset.at_hook(*hook)).collect();
    let sees = |family: u8| {
        chains.iter().any(|(table, chain)| {
            let table = &ruleset.tables[*table];
            let base = table.chains[*chain].base.as_ref();
            table.family.packets().contains(family) && base.is_some_and(|base| !changes.gathers(base, family))
        })
    };
    let tracked = ruleset.tracked();
    (0..2).filter(|family| tracked[usize::from(*family)] && !sees(*family)).collect()
}

/// What of a ruleset no answer about IP packets takes into account, in words.
pub(super) fn left_out(ruleset: &Ruleset) -> Vec<String> {
    let other = |family| matches!(family, TableFamily::Arp | TableFamily::Bridge);
    let tables = ruleset.tables.iter().filter(|table| other(table.family) && !table.dormant);
    tables.map(|table| format!("table {} {}: no IP packet of this host passes it", table.family, table.name)).collect()
}
