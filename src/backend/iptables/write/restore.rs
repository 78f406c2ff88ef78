//! A text for iptables-restore: each of its tables is taken as a whole or not at all.

use super::Iptables;
use crate::backend::Backend;

/// A text of one program: of each table the chains first, then commands.
#[derive(Debug)]
pub(super) struct Restore {
    head: String,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    table: &'static str,
    declared: Vec<String>,
    lines: Vec<String>,
}

impl Restore {
    pub(super) fn new(program: Iptables) -> Self {
        let head = format!("# for {}-restore --noflush", program.name());
        Self { head, sections: Vec::new() }
    }

    /// One that begins with a table.
    pub(super) fn of(table: &'static str, program: Iptables) -> Self {
        let mut restore = Self::new(program);
        restore.table(table);
        restore
    }

    /// One that may be left undone: what it takes away is not used any more.
    pub(super) fn afterwards(program: Iptables) -> Self {
        Self { head: format!("# afterwards, for {}-restore --noflush", program.name()), sections: Vec::new() }
    }

    /// Begins a table. What comes next is about it.
    pub(super) fn table(&mut self, table: &'static str) {
        self.sections.push(Section { table, declared: Vec::new(), lines: Vec::new() });
    }

    /// A chain that is there and empty when the commands come. All chains of a table are declared before its first command.
    pub(super) fn declare(&mut self, chain: &str) {
        if let Some(section) = self.sections.last_mut() {
            section.declared.push(format!(":{chain} - [0:0]"));
        }
    }

    /// Appends a command; the number of its line, from 1, where no table before is left empty.
    pub(super) fn line(&mut self, line: String) -> usize {
        if let Some(section) = self.sections.last_mut() {
            section.lines.push(line);
        }
        // Behind the comment; each table has a line at its beginning and one at its end.
        let own = |section: &Section| 2 + section.declared.len() + section.lines.len();
        self.sections.iter().map(own).sum()
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
        let something = |section: &&Section| !section.declared.is_empty() || !section.lines.is_empty();
        let all: String = self.sections.iter().filter(something).map(Section::text).collect();
        if all.is_empty() { all } else { format!("{}\n{all}", self.head) }
    }
}

impl Section {
    fn text(&self) -> String {
        let body: String = self.declared.iter().chain(&self.lines).map(|line| format!("{line}\n")).collect();
        format!("*{}\n{body}COMMIT\n", self.table)
    }
}
