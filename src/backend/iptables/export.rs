//! A ruleset that was read from dumps as text for iptables-restore and ip6tables-restore.
//!
//! Each rule is written as it was read, word for word, in the quotes that it needs; counters are not kept.

use super::read::hooks;
use crate::rule::ruleset::{Ruleset, Table, TableFamily};

/// The tables of one family; nothing where there are none, or where the ruleset is of another backend.
pub fn export(ruleset: &Ruleset, family: TableFamily) -> Option<String> {
    let program = match family {
        TableFamily::Ip => "iptables",
        TableFamily::Ip6 => "ip6tables",
        _ => return None,
    };
    let tables: Vec<_> = ruleset.tables.iter().filter(|table| table.family == family).collect();
    if tables.is_empty() || ruleset.backend != "iptables" {
        return None;
    }
    let mut text = format!("# for {program}-restore\n");
    tables.iter().for_each(|table| write(table, &mut text));
    Some(text)
}

fn write(table: &Table, into: &mut String) {
    into.push_str(&format!("*{}\n", table.name));
    for chain in &table.chains {
        let policy = match &chain.base {
            Some(base) if base.drops => "DROP",
            Some(_) => "ACCEPT",
            None => "-",
        };
        into.push_str(&format!(":{} {policy} [0:0]\n", chain.name));
    }
    for chain in &table.chains {
        for line in &chain.lines {
            let blank = if line.text.is_empty() { "" } else { " " };
            into.push_str(&format!("-A {}{blank}{}\n", chain.name, line.text));
        }
    }
    into.push_str("COMMIT\n");
    debug_assert!(table.chains.iter().all(|c| c.base.is_some() == hooks(&table.name, &c.name, false).is_some()));
}
