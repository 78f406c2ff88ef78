//! Rules laid out as chains and lines.
//!
//! What one line can ask stands in one line. Alternatives of several parts, exceptions, and acts of several steps get a chain of
//! their own, so that lists cost the sum of their lengths and not the product, and each packet is counted once.

use super::act::{Act, Target};
use super::ask::{Ask, What};
use super::hook::{Hook, Table};
use super::split::{All, Dim, parts};
use crate::backend::Refused;
use crate::packet::Family;
use crate::rule::{Id, Rule};

/// A line of a chain.
#[derive(Debug)]
struct Line {
    table: Table,
    chain: String,
    asks: All,
    target: Target,
    rule: Id,
}

/// The chains and lines of a generation.
#[derive(Debug)]
pub(super) struct Sheet {
    generation: u64,
    chains: Vec<(Table, String)>,
    lines: Vec<Line>,
    used: Vec<Hook>,
    /// The table of the last rule that has lines.
    table: Table,
    /// How many rules have lines, and how many chains the last of them has.
    rules: usize,
    own: usize,
}

impl Sheet {
    pub(super) fn new(generation: u64) -> Self {
        let (chains, lines, used) = (Vec::new(), Vec::new(), Vec::new());
        Self { generation, chains, lines, used, table: Table::Filter, rules: 0, own: 0 }
    }

    /// Whether no rule has a line.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Lays a rule out; whether it has packets in the family. `named`: a rule of its chain names loopback, so each that does not
    /// leaves it alone by itself.
    ///
    /// # Errors
    /// When the rule asks for ICMP that must not be taken.
    pub(super) fn rule(&mut self, rule: &Rule, family: Family, named: bool) -> Result<bool, Vec<Refused>> {
        let guarded = named && !crate::backend::meaning::names_loopback(rule);
        let Some(parts) = parts(rule, family, guarded).map_err(|why| vec![why])? else {
            return Ok(false);
        };
        self.rules += 1;
        self.own = 0;
        let hook = Hook::of(rule);
        if !self.used.contains(&hook) {
            self.used.push(hook);
        }
        self.table = hook.table();
        self.place(&rule.id, &hook.generation(self.generation), parts, &Act::of(rule, family));
        Ok(true)
    }

    fn place(&mut self, rule: &Id, chain: &str, parts: Vec<Dim>, act: &Act) {
        let (mut fixed, mut lists, mut exceptions) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            match part {
                Dim::Any(mut list) if list.len() == 1 => fixed.extend(list.remove(0)),
                Dim::Any(list) => lists.push(list),
                Dim::None(list) => exceptions.extend(list),
            }
        }
        if exceptions.is_empty() {
            return self.spread(rule, chain, fixed, &lists, act);
        }
        let own = self.chain();
        self.line(rule, chain, fixed, Target::Chain(own.clone()));
        for asks in exceptions {
            self.line(rule, &own, asks, Target::Return);
        }
        self.spread(rule, &own, Vec::new(), &lists, act);
    }

    fn spread(&mut self, rule: &Id, chain: &str, fixed: All, lists: &[Vec<All>], act: &Act) {
        let with = |asks: &All| [fixed.clone(), asks.clone()].concat();
        match lists {
            [] => self.end(rule, chain, &fixed, act),
            [last] if act.is_single() => last.iter().for_each(|asks| self.end(rule, chain, &with(asks), act)),
            [list, rest @ ..] => {
                let next = self.chain();
                list.iter().for_each(|asks| self.line(rule, chain, with(asks), Target::Chain(next.clone())));
                self.spread(rule, &next, Vec::new(), rest, act);
            }
        }
    }

    /// The act itself. A rate is asked once for each packet.
    fn end(&mut self, rule: &Id, chain: &str, asks: &All, act: &Act) {
        let mut counted = asks.clone();
        counted.extend(act.rate.clone().map(|bucket| Ask::that(What::Rate(bucket))));
        match (&act.rate, &act.log, &act.verdict) {
            (Some(_), Some(log), Some(verdict)) => {
                let own = self.chain();
                self.line(rule, chain, counted, Target::Chain(own.clone()));
                self.line(rule, &own, Vec::new(), log.clone());
                self.line(rule, &own, Vec::new(), verdict.clone());
            }
            (_, log, verdict) => {
                for target in log.iter().chain(verdict) {
                    self.line(rule, chain, counted.clone(), target.clone());
                }
            }
        }
        if let Some(over) = &act.over {
            self.line(rule, chain, asks.clone(), over.clone());
        }
    }

    fn chain(&mut self) -> String {
        self.own += 1;
        let name = format!("AFO-g{}-r{}-{}", self.generation, self.rules, self.own);
        self.chains.push((self.table, name.clone()));
        name
    }

    fn line(&mut self, rule: &Id, chain: &str, asks: All, target: Target) {
        let wanted = target.wants(&asks);
        let ways = if wanted.is_empty() { vec![None] } else { wanted.into_iter().map(Some).collect() };
        for also in ways {
            let mut asks: All = asks.iter().cloned().chain(also).collect();
            asks.sort();
            let (table, chain, target) = (self.table, chain.to_owned(), target.clone());
            self.lines.push(Line { table, chain, asks, target, rule: rule.clone() });
        }
    }

    /// The hooks of a table that rules are for, in their order.
    pub(super) fn used(&self, table: Table) -> Vec<Hook> {
        table.hooks().iter().copied().filter(|hook| self.used.contains(hook)).collect()
    }

    /// The chains of the generation in a table.
    pub(super) fn declared(&self, table: Table, hooks: &[Hook]) -> Vec<String> {
        let generations = hooks.iter().map(|hook| hook.generation(self.generation));
        let own = self.chains.iter().filter(|(at, _)| *at == table);
        generations.chain(own.map(|(_, name)| name.clone())).collect()
    }

    /// The lines of the generation in a table, and whose rule's each is. `named` are the hooks whose rules leave loopback alone by themselves.
    pub(super) fn lines(&self, table: Table, hooks: &[Hook], named: &[Hook]) -> Vec<(Option<Id>, String)> {
        let spared = hooks.iter().filter(|hook| !named.contains(hook)).filter_map(|hook| {
            let own = hook.generation(self.generation);
            Some((None, format!("-A {own} {} {MINE} -j RETURN", hook.loopback()?)))
        });
        let own = self.lines.iter().filter(|line| line.table == table);
        spared.chain(own.map(|line| (Some(line.rule.clone()), line.to_text()))).collect()
    }
}

/// The comment of a line of the scheme itself.
pub(super) const MINE: &str = "-m comment --comment afo";

impl Line {
    fn to_text(&self) -> String {
        let asks: String = self.asks.iter().map(|ask| format!("{ask} ")).collect();
        format!("-A {} {asks}-m comment --comment {} -j {}", self.chain, self.rule, self.target)
    }
}
