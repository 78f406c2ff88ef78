//! What of AFO's policy is in one table: its chains, the jumps to them, and the generations that they lead to.

use super::hook::{Hook, Table};
use super::lay::MINE;
use super::restore::Restore;
use super::scheme::Window;
use crate::record::Timestamp;
use crate::rule::ruleset::{self, Line, Outcome, Verdict};
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// How xt_time and iptables-save write a time.
const TIME: &str = "%Y-%m-%dT%H:%M:%S";

/// How many lines a generation has in each table. The lines that lead to it carry the numbers, so that one which somebody emptied is told
/// from one that has no lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) filter: usize,
    pub(super) nat: usize,
}

/// A generation that a line leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Led {
    pub(super) number: u64,
    /// Nothing where the line says nothing of it.
    pub(super) count: Option<Count>,
}

/// What of AFO is in a table of one family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// AFO's chains with their lines, in the order of the dump.
    pub(super) chains: Vec<(String, Vec<String>)>,
    /// Built-in chains that lead to AFO's.
    pub(super) jumps: Vec<Hook>,
    /// The generation that holds without a window.
    pub(super) settled: Option<Led>,
    /// The hooks whose chain of AFO's leads to it.
    pub(super) leading: Vec<Hook>,
    /// The one that is armed, its window open or over.
    pub(super) pending: Option<(Led, Window)>,
}

impl Held {
    /// Reads one table of a dump.
    ///
    /// # Errors
    /// When the heads lead to different generations.
    pub(super) fn read(table: Table, dumped: &ruleset::Table) -> Result<Self, String> {
        let mut held = Self::default();
        for found in &dumped.chains {
            let hook = table.hooks().iter().find(|hook| found.name == hook.chain().1);
            held.jumps.extend(hook.filter(|hook| found.lines.iter().any(|line| is_jump(line, **hook))));
            if found.name.starts_with("AFO-") {
                let lines = found.lines.iter().map(|line| line.text.clone()).collect();
                held.chains.push((found.name.clone(), lines));
            }
            if let Some(hook) = table.hooks().iter().find(|hook| found.name == hook.chain().0) {
                found.lines.iter().try_for_each(|line| held.choice(*hook, line))?;
            }
        }
        Ok(held)
    }

    /// A line of a hook's head that leads to a generation.
    fn choice(&mut self, hook: Hook, line: &Line) -> Result<(), String> {
        let Outcome::Verdict(Verdict::Jump(to) | Verdict::Goto(to)) = &line.outcome else { return Ok(()) };
        let Some(number) = number(to) else { return Ok(()) };
        let led = Led { number, count: line.comment.as_deref().and_then(Count::of) };
        let other = match Window::of(&line.text) {
            Some(window) => self.pending.replace((led, window)).map(|(other, _)| other),
            None => {
                self.leading.push(hook);
                self.settled.replace(led)
            }
        };
        match other.map(|other| other.number).filter(|other| *other != number) {
            Some(other) => Err(format!(
                "AFO's chains lead to generation {number} and to {other}; `afo-deploy flush-afo` begins anew"
            )),
            None => Ok(()),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !self.chains.is_empty() || !self.jumps.is_empty()
    }

    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.chains.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(super) fn has(&self, chain: &str) -> bool {
        self.chains.iter().any(|(name, _)| name == chain)
    }

    /// The generations that have chains.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.chains.iter().filter_map(|(name, _)| number(name))
    }

    /// How many lines a generation has.
    pub(super) fn lines_of(&self, generation: u64) -> usize {
        let own = self.chains.iter().filter(|(name, _)| number(name) == Some(generation));
        own.map(|(_, lines)| lines.len()).sum()
    }

    /// Whether a generation has no line at a hook.
    pub(super) fn is_empty_at(&self, hook: Hook, generation: u64) -> bool {
        let chain = hook.generation(generation);
        self.chains.iter().all(|(name, lines)| *name != chain || lines.is_empty())
    }

    /// Whether packets of a hook come to a generation's lines, where it has any.
    pub(super) fn leads(&self, hook: Hook, generation: u64) -> bool {
        self.is_empty_at(hook, generation)
            || (self.jumps.contains(&hook)
                && self.leading.contains(&hook)
                && self.settled.is_some_and(|led| led.number == generation))
    }

    /// Takes all of AFO out of the table.
    pub(super) fn remove(&self, restore: &mut Restore) {
        self.jumps.iter().for_each(|hook| restore.part(*hook));
        restore.delete(&self.names().into_iter().collect::<Vec<_>>());
    }

    /// Puts AFO's own chains back as they are here, where `now` is what is there.
    pub(super) fn back_from(&self, table: Table, now: &Self, restore: &mut Restore) {
        self.chains.iter().for_each(|(name, _)| restore.declare(name));
        for (name, line) in self.chains.iter().flat_map(|(name, lines)| lines.iter().map(move |line| (name, line))) {
            restore.line(format!("-A {name} {line}"));
        }
        for hook in table.hooks() {
            match (self.jumps.contains(hook), now.jumps.contains(hook)) {
                (true, false) => restore.join(*hook),
                (false, true) => restore.part(*hook),
                _ => {}
            }
        }
        restore.delete(&now.names().into_iter().filter(|name| !self.has(name)).collect::<Vec<_>>());
    }

    /// Generations other than `kept`.
    pub(super) fn stale(&self, kept: Option<u64>) -> Vec<&str> {
        let stale = |name: &&str| number(name).is_some_and(|number| Some(number) != kept);
        self.names().into_iter().filter(stale).collect()
    }
}

impl Restore {
    /// Has a built-in chain lead to AFO's.
    pub(super) fn join(&mut self, hook: Hook) {
        let (head, built_in) = hook.chain();
        self.line(format!("-I {built_in} {MINE} -j {head}"));
    }

    /// Has it lead there no more.
    pub(super) fn part(&mut self, hook: Hook) {
        let (head, built_in) = hook.chain();
        self.line(format!("-D {built_in} {MINE} -j {head}"));
    }

    /// Has AFO's chain of a hook lead to a generation, inside the window or for good.
    pub(super) fn lead(&mut self, hook: Hook, to: Led, window: Option<Window>) {
        let open = window.map(|window| format!("{window} ")).unwrap_or_default();
        let option = if window.is_some() { "-g" } else { "-j" };
        let count = to.count.map(|count| count.to_string()).unwrap_or_default();
        self.line(format!("-A {} {open}{MINE}{count} {option} {}", hook.chain().0, hook.generation(to.number)));
    }
}

impl Count {
    /// Out of the comment of a line.
    fn of(comment: &str) -> Option<Self> {
        let (filter, nat) = comment.strip_prefix("afo-")?.split_once('-')?;
        Some(Self { filter: filter.parse().ok()?, nat: nat.parse().ok()? })
    }
}

/// Behind the comment of the scheme's own lines.
impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "-{}-{}", self.filter, self.nat)
    }
}

impl Window {
    fn of(text: &str) -> Option<Self> {
        let after = |option: &str| {
            let mut words = text.split_whitespace().skip_while(|word| *word != option);
            format!("{}Z", words.nth(1)?).parse::<Timestamp>().ok()
        };
        Some(Self { from: after("--datestart")?, to: after("--datestop")? })
    }
}

/// What asks whether it is open.
impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "-m time --datestart {} --datestop {}", self.from.strftime(TIME), self.to.strftime(TIME))
    }
}

fn is_jump(line: &Line, hook: Hook) -> bool {
    matches!(&line.outcome, Outcome::Verdict(Verdict::Jump(to)) if to == hook.chain().0)
}

/// The generation that a chain belongs to.
pub(super) fn number(name: &str) -> Option<u64> {
    let (digits, _) = name.strip_prefix("AFO-g")?.split_once('-')?;
    digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
}
