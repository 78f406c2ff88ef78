//! A ruleset as text for nft, in parts that can be left out one by one.

use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    pub tables: Vec<Table>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub family: &'static str,
    pub name: String,
    /// Whole declarations of sets and maps.
    pub sets: Vec<String>,
    pub chains: Vec<Chain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    /// `type filter hook input priority 0; policy accept;`, or nothing for a regular chain.
    pub base: String,
    pub rules: Vec<Rule>,
}

/// Conditions, statements and a verdict, in order.
pub type Rule = Vec<String>;

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "table {} {} {{", table.family, table.name)?;
            table.sets.iter().try_for_each(|set| writeln!(f, "  {set}"))?;
            for chain in &table.chains {
                writeln!(f, "  chain {} {{", chain.name)?;
                if !chain.base.is_empty() {
                    writeln!(f, "    {}", chain.base)?;
                }
                chain
                    .rules
                    .iter()
                    .filter(|r| !r.is_empty())
                    .try_for_each(|rule| writeln!(f, "    {}", rule.join(" ")))?;
                writeln!(f, "  }}")?;
            }
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

impl Text {
    /// The same without one part, large parts first. Not all of them load.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut without = |change: &dyn Fn(&mut Self)| {
            let mut less = self.clone();
            change(&mut less);
            if less != *self {
                all.push(less);
            }
        };
        for (t, table) in self.tables.iter().enumerate() {
            without(&|x| drop(x.tables.remove(t)));
            for c in 0..table.chains.len() {
                without(&|x| drop(x.tables[t].chains.remove(c)));
            }
        }
        for (t, c, chain) in self.chains() {
            let half = chain.rules.len() / 2;
            if half > 1 {
                without(&|x| drop(x.tables[t].chains[c].rules.drain(..half)));
                without(&|x| drop(x.tables[t].chains[c].rules.drain(half..)));
            }
        }
        for (t, c, chain) in self.chains() {
            for r in 0..chain.rules.len() {
                without(&|x| drop(x.tables[t].chains[c].rules.remove(r)));
            }
            without(&|x| x.tables[t].chains[c].base = chain.base.replace("policy drop", "policy accept"));
        }
        for (t, table) in self.tables.iter().enumerate() {
            for s in 0..table.sets.len() {
                without(&|x| drop(x.tables[t].sets.remove(s)));
            }
        }
        for (t, c, chain) in self.chains() {
            for (r, rule) in chain.rules.iter().enumerate() {
                for w in 0..rule.len() {
                    without(&|x| drop(x.tables[t].chains[c].rules[r].remove(w)));
                }
            }
        }
        all
    }

    fn chains(&self) -> impl Iterator<Item = (usize, usize, &Chain)> {
        self.tables
            .iter()
            .enumerate()
            .flat_map(|(t, table)| table.chains.iter().enumerate().map(move |(c, x)| (t, c, x)))
    }
}
