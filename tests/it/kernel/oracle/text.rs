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

/// The same words with one element less in their set or map, where they have several.
fn fewer(words: &str) -> Vec<String> {
    let open = words.rfind("{ ").map(|at| at + 2);
    let Some((open, close)) = open.and_then(|at| Some((at, at + words[at..].find(" }")?))) else { return Vec::new() };
    let elements: Vec<_> = words[open..close].split(", ").collect();
    let without = |n: usize| {
        let left: Vec<_> = elements.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, element)| *element).collect();
        format!("{}{}{}", &words[..open], left.join(", "), &words[close..])
    };
    (0..elements.len()).filter(|_| elements.len() > 1).map(without).collect()
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
            for (s, set) in table.sets.iter().enumerate() {
                without(&|x| drop(x.tables[t].sets.remove(s)));
                for fewer in fewer(set) {
                    without(&|x| x.tables[t].sets[s].clone_from(&fewer));
                }
            }
        }
        for (t, c, chain) in self.chains() {
            for (r, rule) in chain.rules.iter().enumerate() {
                for (w, words) in rule.iter().enumerate() {
                    without(&|x| drop(x.tables[t].chains[c].rules[r].remove(w)));
                    for fewer in fewer(words) {
                        without(&|x| x.tables[t].chains[c].rules[r][w].clone_from(&fewer));
                    }
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
