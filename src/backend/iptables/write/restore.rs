//! A text for iptables-restore: one table, taken as a whole or not at all.

use super::Iptables;
use crate::backend::Backend;

/// The part of a text that is one table's: chains first, then commands.
#[derive(Debug)]
pub(super) struct Restore {
    head: String,
    table: &'static str,
    declared: Vec<String>,
    lines: Vec<String>,
}

impl Restore {
    /// One of the filter table.
    pub(super) fn new(program: Iptables) -> Self {
        Self::of("filter", program)
    }

    pub(super) fn of(table: &'static str, program: Iptables) -> Self {
        let head = format!("# for {}-restore --noflush", program.name());
        Self { head, table, declared: Vec::new(), lines: Vec::new() }
    }

    /// One that may be left undone: what it takes away is not used any more.
    pub(super) fn afterwards(program: Iptables) -> Self {
        Self { head: format!("# afterwards, for {}-restore --noflush", program.name()), ..Self::new(program) }
    }

    /// A chain that is there and empty when the commands come. All chains are declared before the first command.
    pub(super) fn declare(&mut self, chain: &str) {
        self.declared.push(format!(":{chain} - [0:0]"));
    }

    /// Appends a command; the number of its line, from 1.
    pub(super) fn line(&mut self, line: String) -> usize {
        self.lines.push(line);
        // Behind the comment, the table and the chains.
        2 + self.declared.len() + self.lines.len()
    }

    /// Empties and deletes chains that nothing leads to any more.
    pub(super) fn delete(&mut self, chains: &[&str]) {
        for command in ["-F", "-X"] {
            for name in chains {
                self.line(format!("{command} {name}"));
            }
        }
    }

    /// The text; empty where there is nothing to do.
    pub(super) fn text(&self) -> String {
        if self.declared.is_empty() && self.lines.is_empty() {
            return String::new();
        }
        let body: String = self.declared.iter().chain(&self.lines).map(|line| format!("{line}\n")).collect();
        format!("{}\n*{}\n{body}COMMIT\n", self.head, self.table)
    }
}
