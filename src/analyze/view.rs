//! A ruleset as it would be with a change: rules put in or taken out, chains added, without a copy of what is there.
//!
//! The rules that are there keep their places; those put in have numbers of their own from [`NEW`] on. Only chains that change are kept
//! here, as the order of their rules.

use super::near::{Near, Sieve};
use super::words;
use crate::record::Place;
use crate::rule::door::{doors, is_through, taken, unmarked};
use crate::rule::evaluate::By;
use crate::rule::ruleset::{At, Base, Chain, Hook, Line, Ruleset, Table, TableFamily};
use crate::rule::way::Changes;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// The table that AFO keeps for itself.
pub(super) const OWN: &str = "afo";
/// The number of the first rule that is put into a chain.
const NEW: usize = usize::MAX / 2;
/// Looking through all rules this often costs less than to put them in order.
const SOON: usize = 12;

/// For chains by table and number how their rules are told apart, where that was worth it.
type Nears = HashMap<(usize, usize), Option<Rc<Near>>>;

/// Where a rule is: before a change and after, or only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    Before,
    After,
}

impl Side {
    /// Whether what is here is there too.
    pub(super) fn is_on(self, side: Self) -> bool {
        self == Self::Both || self == side
    }
}

/// For chains by table and number the numbers of rules, ascending.
pub(super) type Hand = BTreeMap<(usize, usize), Vec<usize>>;

/// What is found out about a ruleset once, for all changes that are judged against it.
#[derive(Debug, Default)]
pub(super) struct Known {
    changes: Changes,
    /// For each table the numbers of its chains by their names; of two of one name the first counts, as for the evaluator.
    names: Vec<HashMap<String, usize>>,
    near: RefCell<Nears>,
    /// How often rules were looked for.
    asked: Cell<usize>,
    /// For the packets at hand the rules of each chain that may match some: all that are told apart are looked for among these.
    hand: RefCell<Option<Hand>>,
}

impl Known {
    pub(super) fn of(ruleset: &Ruleset) -> Self {
        let named = |table: &Table| table.chains.iter().enumerate().rev().map(|(n, c)| (c.name.clone(), n)).collect();
        let names = ruleset.tables.iter().map(named).collect();
        Self {
            changes: Changes::of(ruleset),
            names,
            near: RefCell::default(),
            asked: Cell::new(0),
            hand: RefCell::default(),
        }
    }

    /// The same for frames that pass a bridge.
    pub(super) fn of_frames(ruleset: &Ruleset) -> Self {
        let known = Self::of(ruleset);
        Self { changes: known.changes.of_frames(), ..known }
    }

    /// How the rules of a chain are told apart, from when it was worth it: the first few questions are answered sooner without.
    fn near_later(&self, place: (usize, usize), lines: &[Line]) -> Option<Rc<Near>> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > SOON { self.near(place, lines) } else { None }
    }

    fn near(&self, place: (usize, usize), lines: &[Line]) -> Option<Rc<Near>> {
        let mut known = self.near.borrow_mut();
        known.entry(place).or_insert_with(|| Near::of(lines.iter()).map(Rc::new)).clone()
    }
}

/// A chain that changes.
#[derive(Debug, Clone)]
struct Patch {
    /// Set where it is not there yet; without rules.
    head: Option<Chain>,
    new: Vec<Line>,
    /// Numbers of rules: those there, and from [`NEW`] on those put in.
    order: Vec<usize>,
    ranks: OnceCell<Ranks>,
}

/// The way back from the number of a rule to its rank.
#[derive(Debug, Clone)]
struct Ranks {
    there: Vec<Option<usize>>,
    new: Vec<Option<usize>>,
    near: Option<Rc<Near>>,
}

impl Patch {
    fn ranks(&self, there: usize) -> &Ranks {
        self.ranks.get_or_init(|| {
            let mut ranks = Ranks {
                there: vec![None; there],
                new: vec![None; self.new.len()],
                near: Near::of(self.new.iter()).map(Rc::new),
            };
            for (rank, number) in self.order.iter().enumerate() {
                match number.checked_sub(NEW) {
                    Some(new) => ranks.new[new] = Some(rank),
                    None => ranks.there[*number] = Some(rank),
                }
            }
            ranks
        })
    }
}

/// A ruleset, changed or not.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    there: &'a Ruleset,
    known: &'a Known,
    changes: Changes,
    patches: BTreeMap<(usize, usize), Patch>,
}

impl<'a> View<'a> {
    /// A ruleset as it is.
    pub(super) fn of(there: &'a Ruleset, known: &'a Known) -> Self {
        Self { there, known, changes: known.changes.clone(), patches: BTreeMap::new() }
    }

    /// What rules of it change about packets.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What keeps AFO from marking what it accepts, in the ruleset as it is.
    pub(super) fn bit_is_taken(&self) -> Option<String> {
        taken(self.there)
    }

    /// The doors through which AFO's accepts go, each with its hook; none where their bit is taken.
    pub(super) fn doors(&self) -> Vec<(At, Hook)> {
        let found = doors(self.there);
        if found.is_empty() || self.bit_is_taken().is_some() { Vec::new() } else { found }
    }

    /// The packets out of some that a rule is meant for (see [`unmarked`]).
    pub(super) fn unmarked(&self, cells: &[crate::packet::Cell]) -> Vec<crate::packet::Cell> {
        if doors(self.there).is_empty() { cells.to_vec() } else { unmarked(cells) }
    }

    /// Whether a door lets something of a rule through.
    pub(super) fn lets_through(&self, id: &str) -> bool {
        let chains = self.doors().into_iter().map(|(door, _)| (door.table, door.chain));
        let own = |line: &Line| is_through(line) && line.comment.as_deref() == Some(id);
        chains.into_iter().any(|(table, chain)| {
            self.order(table, chain).into_iter().any(|line| self.line(At { table, chain, line }).is_some_and(own))
        })
    }

    /// The number of AFO's table, there or not.
    pub(super) fn own_table(&self) -> usize {
        let tables = &self.there.tables;
        let own = tables.iter().position(|table| table.family == TableFamily::Inet && table.name == OWN);
        own.unwrap_or(tables.len())
    }

    /// The family of a table.
    pub(super) fn family(&self, table: usize) -> TableFamily {
        self.there.tables.get(table).map_or(TableFamily::Inet, |table| table.family)
    }

    /// A chain, its rules apart: those may be others.
    pub(super) fn head(&self, table: usize, chain: usize) -> Option<&Chain> {
        let there = self.there.tables.get(table).and_then(|table| table.chains.get(chain));
        there.or_else(|| self.patches.get(&(table, chain))?.head.as_ref())
    }

    /// The number of the chain with this name.
    pub(super) fn named(&self, table: usize, name: &str) -> Option<usize> {
        let there = self.known.names.get(table).and_then(|names| names.get(name)).copied();
        let is_it = |patch: &Patch| patch.head.as_ref().is_some_and(|head| head.name == name);
        there.or_else(|| {
            self.patches.iter().find(|((t, _), patch)| *t == table && is_it(patch)).map(|((_, chain), _)| *chain)
        })
    }

    /// A rule by its place.
    pub(super) fn line(&self, at: At) -> Option<&Line> {
        match at.line.checked_sub(NEW) {
            None => self.there.line(at),
            Some(new) => self.patches.get(&(at.table, at.chain))?.new.get(new),
        }
    }

    fn there(&self, table: usize, chain: usize) -> &'a [Line] {
        let chain = self.there.tables.get(table).and_then(|table| table.chains.get(chain));
        chain.map_or(&[], |chain| &chain.lines)
    }

    /// The numbers of a chain's rules, in order.
    pub(super) fn order(&self, table: usize, chain: usize) -> Vec<usize> {
        match self.patches.get(&(table, chain)) {
            Some(patch) => patch.order.clone(),
            None => (0..self.there(table, chain).len()).collect(),
        }
    }

    /// The numbers of those rules of a chain that some packets may match, in order.
    pub(super) fn order_near(&self, table: usize, chain: usize, sieve: &Sieve) -> Vec<usize> {
        let lines = self.there(table, chain);
        let there = match &*self.known.hand.borrow() {
            Some(hand) => {
                let own = hand.get(&(table, chain)).into_iter().flatten().copied();
                own.filter(|n| sieve.lets(&lines[*n])).collect()
            }
            None => chosen(self.known.near((table, chain), lines).as_deref(), lines, sieve),
        };
        let Some(patch) = self.patches.get(&(table, chain)) else { return there };
        let ranks = patch.ranks(lines.len());
        let new = chosen(ranks.near.as_deref(), &patch.new, sieve);
        let mut all: Vec<_> = there.into_iter().filter_map(|n| ranks.there[n]).collect();
        all.extend(new.into_iter().filter_map(|n| ranks.new[n]));
        all.sort_unstable();
        all.into_iter().map(|rank| patch.order[rank]).collect()
    }

    /// Looks for rules only among these until told otherwise.
    pub(super) fn look_among(&self, by: Option<&mut dyn Iterator<Item = By>>) {
        let hand = by.map(|by| {
            let mut hand = Hand::new();
            for by in by {
                if let By::Line(At { table, chain, line }) = by
                    && line < NEW
                {
                    hand.entry((table, chain)).or_default().push(line);
                }
            }
            hand.values_mut().for_each(|lines| {
                lines.sort_unstable();
                lines.dedup();
            });
            hand
        });
        self.known.hand.replace(hand);
    }

    /// The numbers of a chain's rules as they are here and as they were, in an order that holds for both; of those that are not put in,
    /// as far as it is easily told, only what some packets may match.
    pub(super) fn order_of_both(&self, table: usize, chain: usize, sieve: &Sieve) -> Vec<(usize, Side)> {
        let lines = self.there(table, chain);
        let Some(patch) = self.patches.get(&(table, chain)) else {
            let near = self.known.near_later((table, chain), lines);
            return match near.and_then(|near| near.find(sieve)) {
                Some(found) => found.into_iter().map(|n| (n, Side::Both)).collect(),
                None => (0..lines.len()).map(|n| (n, Side::Both)).collect(),
            };
        };
        let (mut all, mut next) = (Vec::with_capacity(lines.len() + patch.new.len()), 0);
        for number in &patch.order {
            if *number >= NEW {
                all.push((*number, Side::After));
                continue;
            }
            all.extend((next..*number).map(|gone| (gone, Side::Before)));
            all.push((*number, Side::Both));
            next = number + 1;
        }
        all.extend((next..lines.len()).map(|gone| (gone, Side::Before)));
        all
    }

    /// The base chains at a hook that IP packets pass, in order.
    pub(super) fn at_hook(&self, hook: Hook) -> Vec<(usize, usize)> {
        let mut found = self.there.at_hook(hook);
        let base = |patch: &Patch| patch.head.as_ref()?.base.clone().filter(|base| base.hook == hook);
        let added: Vec<_> = self.patches.iter().filter(|(_, patch)| base(patch).is_some()).map(|(at, _)| *at).collect();
        if !added.is_empty() {
            found.extend(added);
            let priority = |at: &(usize, usize)| self.base(at.0, at.1).map_or(0, |base| base.priority);
            found.sort_by_key(|at| (priority(at), std::cmp::Reverse(*at)));
        }
        found
    }

    /// The whole of it, copied.
    pub(super) fn ruleset(&self) -> Ruleset {
        let mut whole = self.there.clone();
        let own = self.own_table();
        if own == whole.tables.len() && !self.patches.is_empty() {
            let (family, name) = (TableFamily::Inet, OWN.to_owned());
            whole.tables.push(Table { family, name, dormant: false, chains: Vec::new(), sets: Vec::new() });
        }
        for ((table, chain), patch) in &self.patches {
            let line = |number: &usize| self.line(At { table: *table, chain: *chain, line: *number }).cloned();
            let lines = patch.order.iter().filter_map(line).collect();
            let chains = &mut whole.tables[*table].chains;
            match &patch.head {
                Some(head) => chains.push(Chain { lines, ..head.clone() }),
                None => chains[*chain].lines = lines,
            }
        }
        whole
    }

    /// A rule of a table that changes packets before others look at them.
    pub(super) fn altering(&self, table: usize) -> Option<At> {
        let chains = (0..).map_while(|chain| self.head(table, chain).map(|_| chain));
        let places = chains.flat_map(|chain| {
            let order = self.order(table, chain).into_iter();
            order.map(move |line| At { table, chain, line })
        });
        places.into_iter().find(|at| self.line(*at).is_some_and(|line| !line.alters.is_empty()))
    }

    /// How a chain is bound to the way of packets.
    pub(super) fn base(&self, table: usize, chain: usize) -> Option<&Base> {
        self.head(table, chain)?.base.as_ref()
    }

    /// A chain that is not there yet; its number.
    pub(super) fn add_chain(&mut self, table: usize, head: Chain) -> usize {
        let there = self.there.tables.get(table).map_or(0, |table| table.chains.len());
        let added = self.patches.iter().filter(|((t, _), patch)| *t == table && patch.head.is_some()).count();
        let patch = Patch { head: Some(head), new: Vec::new(), order: Vec::new(), ranks: OnceCell::new() };
        self.patches.insert((table, there + added), patch);
        there + added
    }

    fn patch(&mut self, table: usize, chain: usize) -> &mut Patch {
        let order = || (0..self.there.tables[table].chains[chain].lines.len()).collect();
        let patch = self.patches.entry((table, chain));
        let patch =
            patch.or_insert_with(|| Patch { head: None, new: Vec::new(), order: order(), ranks: OnceCell::new() });
        patch.ranks.take();
        patch
    }

    /// Puts a rule into a chain so that it has this rank; its place.
    pub(super) fn put(&mut self, table: usize, chain: usize, rank: usize, line: Line) -> At {
        self.changes.note(&line);
        let patch = self.patch(table, chain);
        let number = NEW + patch.new.len();
        patch.new.push(line);
        patch.order.insert(rank.min(patch.order.len()), number);
        At { table, chain, line: number }
    }

    /// Takes a rule out; its rank.
    pub(super) fn take(&mut self, at: At) -> Option<usize> {
        let order = &mut self.patch(at.table, at.chain).order;
        let rank = order.iter().position(|number| *number == at.line)?;
        order.remove(rank);
        Some(rank)
    }

    /// The rank of a rule in its chain.
    pub(super) fn rank(&self, at: At) -> Option<usize> {
        self.order(at.table, at.chain).iter().position(|number| *number == at.line)
    }

    /// Whether a line of AFO's table is no rule of a person's but of the scheme: loopback, the choice of a generation.
    pub(super) fn is_frame(&self, at: At) -> bool {
        let comment = || self.line(at).map(|line| line.comment.as_deref());
        at.table == self.own_table() && matches!(comment(), Some(None | Some(OWN)))
    }

    /// What decided, in one line.
    pub(super) fn decider(&self, by: By) -> String {
        let (at, text) = match by {
            By::Line(at) => (at, self.line(at).map(|line| line.text.clone())),
            By::Policy(table, chain) => (At { table, chain, line: usize::MAX }, Some("policy accept".to_owned())),
            By::Nothing => return words::decider(self.there, by),
        };
        let added = self.patches.get(&(at.table, at.chain)).is_some_and(|patch| patch.head.is_some());
        let new = by != By::Policy(at.table, at.chain) && at.line >= NEW;
        match text.filter(|_| added || new) {
            Some(text) => words::line(&self.place(at, text)),
            None => words::decider(self.there, by),
        }
    }

    fn place(&self, at: At, text: String) -> Place {
        let table = self.there.tables.get(at.table);
        let ranks = self.patches.get(&(at.table, at.chain)).map(|p| p.ranks(self.there(at.table, at.chain).len()));
        Place {
            backend: self.there.backend.clone(),
            family: Some(self.family(at.table).to_string()),
            table: Some(table.map_or(OWN.to_owned(), |table| table.name.clone())),
            chain: self.head(at.table, at.chain).map(|chain| chain.name.clone()),
            index: at.line.checked_sub(NEW).and_then(|new| *ranks?.new.get(new)?),
            handle: None,
            text,
        }
    }
}

/// The rules that some packets may match, ascending.
fn chosen(near: Option<&Near>, lines: &[Line], sieve: &Sieve) -> Vec<usize> {
    match near.and_then(|near| near.find(sieve)) {
        Some(found) => found.into_iter().filter(|n| sieve.lets(&lines[*n])).collect(),
        None => (0..lines.len()).filter(|n| sieve.lets(&lines[*n])).collect(),
    }
}
