//! A text of dumps as its tables: whose lines are whose, and of which family each table is.

use super::ReadError;
use super::address;
use super::parse::{Rule, rule};
use super::sets::Sets;
use super::words::{Word, joined, split};
use crate::rule::ruleset::{Base, ChainKind, Hook, TableFamily};
use std::collections::HashSet;

/// A chain as it is announced.
#[derive(Debug)]
pub(super) struct Announced<'a> {
    pub(super) name: &'a str,
    pub(super) drops: bool,
}

/// A rule at its place.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) line: usize,
    pub(super) chain: &'a str,
    /// For `-I`: before which rule, from 0.
    pub(super) at: Option<usize>,
    /// All but `-A CHAIN` and counters, as it is written.
    pub(super) text: String,
    pub(super) rule: Rule<'a>,
}

/// One table of a dump.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Where `*table` stands.
    pub(super) line: usize,
    pub(super) table: &'a str,
    /// What the first line of the dump says.
    family: Option<TableFamily>,
    /// Whether its plain tests of ports and flags are nftables' own ones.
    pub(super) native: bool,
    pub(super) chains: Vec<Announced<'a>>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// Priorities of tables (linux/netfilter_ipv4.h).
const TABLES: [(&str, i64); 5] = [("raw", -300), ("mangle", -150), ("nat", -100), ("filter", 0), ("security", 50)];

/// The binding of a chain that packets enter by themselves; nothing for a chain of the user's.
pub(in super::super) fn hooks(table: &str, chain: &str, drops: bool) -> Option<Base> {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    let (_, priority) = TABLES.iter().find(|(name, _)| *name == table)?;
    let hooks: &[Hook] = match table {
        "raw" => &[Prerouting, Output],
        "mangle" => &[Prerouting, Input, Forward, Output, Postrouting],
        "nat" => &[Prerouting, Input, Output, Postrouting],
        _ => &[Input, Forward, Output],
    };
    let upper = !chain.bytes().any(|b| b.is_ascii_lowercase());
    let hook = *hooks.iter().find(|hook| upper && hook.as_str().eq_ignore_ascii_case(chain))?;
    let (kind, priority) = match (table, hook) {
        // Sources are translated on the way to the end of the path (NF_IP_PRI_NAT_SRC).
        ("nat", Input | Postrouting) => (ChainKind::Nat, 100),
        ("nat", _) => (ChainKind::Nat, *priority),
        ("mangle", Output) => (ChainKind::Route, *priority),
        _ => (ChainKind::Filter, *priority),
    };
    Some(Base { kind, hook, priority, drops, devices: Vec::new() })
}

/// Takes a text apart.
///
/// # Errors
/// The first line that has no place.
pub(super) fn taken_apart(text: &str) -> Result<Parts<'_>, ReadError> {
    let mut reading =
        Reading { parts: Parts::default(), family: None, native: false, open: false, chains: HashSet::new() };
    for (n, line) in text.lines().enumerate() {
        reading.line(n + 1, line.trim()).map_err(|cause| ReadError::at(n + 1, cause))?;
    }
    Ok(reading.parts)
}

/// Whether the program that begins a dump, `iptables-save v1.8.9 (nf_tables)`, keeps ports and flags as expressions of nftables: from
/// 1.8.8 on.
fn is_native(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip_while(|word| !word.starts_with('v'));
    let version =
        words.next().and_then(|word| word[1..].split('.').map(|n| n.parse().ok()).collect::<Option<Vec<u32>>>());
    words.next() == Some("(nf_tables)") && version.is_some_and(|version| version >= vec![1, 8, 8])
}

/// What a text of dumps consists of.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) sections: Vec<Section<'a>>,
    pub(super) sets: Sets<'a>,
    /// What a dump says that it leaves out.
    pub(super) unread: Vec<String>,
}

struct Reading<'a> {
    parts: Parts<'a>,
    family: Option<TableFamily>,
    native: bool,
    /// Whether the last table is not committed yet.
    open: bool,
    /// The chains of the last table.
    chains: HashSet<&'a str>,
}

impl<'a> Reading<'a> {
    fn line(&mut self, number: usize, line: &'a str) -> Result<(), String> {
        match line.as_bytes().first() {
            None => {}
            Some(b'#') => {
                self.remark(line)?;
                // iptables-nft-save says so of a table that holds more than it can say.
                if line.starts_with("# Table `") {
                    self.parts.unread.push(line.trim_start_matches("# ").to_owned());
                }
            }
            Some(b'*') => return self.table(number, line[1..].trim()),
            Some(b':') => return self.chain(&line[1..]),
            Some(b'c' | b'a') if line.starts_with("create ") || line.starts_with("add ") => {
                return self.parts.sets.take(&split(line)?);
            }
            _ if line == "COMMIT" && self.open => self.open = false,
            Some(b'-' | b'[') => return self.command(number, line),
            _ => {
                let shown: String = line.chars().take(60).flat_map(char::escape_debug).collect();
                return Err(format!("`{shown}` is no line of iptables-save"));
            }
        }
        Ok(())
    }

    /// `# Generated by ip6tables-save v1.8.9 on …`: whose dump begins.
    fn remark(&mut self, line: &str) -> Result<(), String> {
        let mut told = None;
        for word in line.split_ascii_whitespace() {
            told = match word {
                "iptables-save" | "iptables-restore" => Some(TableFamily::Ip),
                "ip6tables-save" | "ip6tables-restore" => Some(TableFamily::Ip6),
                "ebtables-save" | "arptables-save" if line.contains("Generated by") => {
                    return Err(format!("a dump of {word} is not read; iptables-save's and ip6tables-save's are"));
                }
                _ => told,
            };
        }
        // A table that has begun stays what it was.
        if !self.open && told.is_some() {
            self.family = told;
            self.native = is_native(line);
        }
        Ok(())
    }

    fn table(&mut self, line: usize, table: &'a str) -> Result<(), String> {
        if !TABLES.iter().any(|(name, _)| *name == table) {
            let known = TABLES.map(|(name, _)| name).join(", ");
            return Err(format!("the table `{}` is none of {known}", table.escape_debug()));
        }
        let (family, native) = (self.family, self.native);
        self.chains.clear();
        self.parts.sections.push(Section { line, table, family, native, chains: Vec::new(), entries: Vec::new() });
        self.open = true;
        Ok(())
    }

    fn section(&mut self) -> Result<&mut Section<'a>, String> {
        let open = self.open;
        let last = self.parts.sections.last_mut().filter(|_| open);
        last.ok_or_else(|| "it stands in no table; `*filter` must come first".to_owned())
    }

    /// `:INPUT DROP [0:0]`, `:mine - [0:0]`.
    fn chain(&mut self, text: &'a str) -> Result<(), String> {
        let mut words = text.split_ascii_whitespace();
        let (name, policy) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.announce(name, policy)
    }

    fn announce(&mut self, name: &'a str, policy: &str) -> Result<(), String> {
        let section = self.section()?;
        let base = hooks(section.table, name, false).is_some();
        let drops = match (base, policy) {
            (_, "-") | (true, "ACCEPT") => false,
            (true, "DROP") => true,
            (true, _) => return Err(format!("`{policy}` is no policy of chain `{name}`; ACCEPT or DROP is")),
            (false, _) => {
                return Err(format!("chain `{name}` of table `{}` can have no policy", section.table));
            }
        };
        section.chains.push(Announced { name, drops });
        if self.chains.insert(name) {
            return Ok(());
        }
        Err(format!("chain `{name}` is announced twice"))
    }

    /// A rule, or another command as people write it into files for iptables-restore.
    fn command(&mut self, number: usize, line: &'a str) -> Result<(), String> {
        let line = uncounted(line)?;
        let words = split(line)?;
        let word = |at: usize| words.get(at).filter(|word| !word.quoted).map(|word| word.text.as_ref());
        let (command, chain) = (word(0).unwrap_or_default(), words.get(1).map(|word| &word.text));
        let Some(std::borrow::Cow::Borrowed(chain)) = chain.cloned() else {
            return Err(format!("`{command}` names no chain"));
        };
        match command {
            "-A" | "--append" => self.rule(number, chain, None, words.into_iter().skip(2).collect()),
            "-I" | "--insert" => {
                let at = word(2).and_then(|at| at.parse::<usize>().ok()).filter(|at| *at > 0);
                let skip = if at.is_some() { 3 } else { 2 };
                self.rule(number, chain, Some(at.unwrap_or(1) - 1), words.into_iter().skip(skip).collect())
            }
            "-N" | "--new-chain" => self.announce(chain, "-"),
            _ => Err(format!("`{}` is no command that a dump has; -A is", command.escape_debug())),
        }
    }

    fn rule(&mut self, line: usize, chain: &'a str, at: Option<usize>, words: Vec<Word<'a>>) -> Result<(), String> {
        let rule = rule(&words)?;
        if let Some(name) = changed_set(&rule) {
            self.parts.sets.touch(&name);
        }
        let text = joined(&without_counters(words));
        let announced = self.chains.contains(chain);
        let section = self.section()?;
        if !announced && hooks(section.table, chain, false).is_some() {
            self.announce(chain, "ACCEPT")?;
        }
        self.section()?.entries.push(Entry { line, chain, at, text, rule });
        Ok(())
    }
}

/// The set that a rule adds its packets to or deletes them from.
fn changed_set(rule: &Rule) -> Option<String> {
    let target = rule.target.as_ref().filter(|target| target.to.name == "SET")?;
    let option = target.to.options.iter().find(|option| matches!(&*option.name, "add-set" | "del-set"))?;
    Some(option.value().to_owned())
}

/// A line without the counters of `iptables-save -c`: `[12:345] -A …`.
fn uncounted(line: &str) -> Result<&str, String> {
    let Some(rest) = line.strip_prefix('[') else { return Ok(line) };
    let (counters, rest) = rest.split_once(']').ok_or("the counters lack their closing bracket")?;
    let numbers = counters.split_once(':').filter(|(packets, bytes)| {
        [packets, bytes].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    numbers.map(|_| rest.trim_start()).ok_or_else(|| format!("`[{}]` are no counters", counters.escape_debug()))
}

/// Counters that stand inside the rule: `-c 12 345`.
fn without_counters(mut words: Vec<Word>) -> Vec<Word> {
    let counters = |w: &[Word]| !w[0].quoted && matches!(w[0].text.as_ref(), "-c" | "--set-counters");
    let number = |word: &Word| word.text.bytes().all(|b| b.is_ascii_digit());
    if let Some(at) = words.windows(3).position(|w| counters(w) && number(&w[1]) && number(&w[2])) {
        words.drain(at..at + 3);
    }
    words
}

/// The family of a table: what its dump says of itself, else what its rules can only be of, else what the other tables are.
///
/// # Errors
/// When a rule is of another family than its dump, or when tables are of both and nothing says of which this one is.
pub(super) fn family(section: &Section, all: &[Section]) -> Result<TableFamily, ReadError> {
    let mut found = section.family;
    for entry in &section.entries {
        let Some((told, text)) = hint(&entry.rule) else { continue };
        match found {
            None => found = Some(told),
            Some(known) if known != told => {
                let words = format!("`{text}` stands in a table of {}", program(known));
                return Err(ReadError::at(entry.line, words));
            }
            Some(_) => {}
        }
    }
    if let Some(found) = found {
        return Ok(found);
    }
    let others = |family| {
        let told = |s: &Section| {
            s.family == Some(family) || s.entries.iter().any(|e| hint(&e.rule).is_some_and(|h| h.0 == family))
        };
        all.iter().any(told)
    };
    match (others(TableFamily::Ip), others(TableFamily::Ip6)) {
        (_, false) => Ok(TableFamily::Ip),
        (false, true) => Ok(TableFamily::Ip6),
        (true, true) => {
            let words = format!(
                "nothing says whether the table `{}` is of iptables or of ip6tables; put the first line of ip6tables-save before it",
                section.table
            );
            Err(ReadError::at(section.line, words))
        }
    }
}

fn program(family: TableFamily) -> &'static str {
    if family == TableFamily::Ip6 { "ip6tables" } else { "iptables" }
}

/// The family that a rule can only be of, and what shows it.
fn hint(rule: &Rule) -> Option<(TableFamily, String)> {
    let own = rule.own.iter().find_map(|option| {
        let family = match (&*option.name, option.value()) {
            ("s" | "d", value) => address::family_of(value)?,
            ("f", _) | ("p", "icmp") => TableFamily::Ip,
            ("p", "icmpv6" | "ipv6-icmp") => TableFamily::Ip6,
            _ => return None,
        };
        Some((family, option.text()))
    });
    let of_match = || {
        rule.matches.iter().find_map(|m| {
            let family = match &*m.name {
                "icmp" | "ttl" | "realm" => TableFamily::Ip,
                "icmp6" | "icmpv6" | "hl" | "rt" | "frag" | "hbh" | "dst" | "eui64" | "ipv6header" | "mh" | "srh" => {
                    TableFamily::Ip6
                }
                "iprange" => address::family_of(m.options.first()?.value())?,
                _ => return None,
            };
            Some((family, m.text("-m")))
        })
    };
    let of_target = || {
        let to = &rule.target.as_ref()?.to;
        let family = match to.option("reject-with").map(|option| option.value()) {
            Some(word) if word.starts_with("icmp6") || word.starts_with("adm-prohibited") => TableFamily::Ip6,
            Some(word) if word.starts_with("icmp-") => TableFamily::Ip,
            _ => return None,
        };
        Some((family, to.text("-j")))
    };
    own.or_else(of_match).or_else(of_target)
}

/// The lines of a text that are of one family, at their places; all others are empty.
///
/// # Errors
/// As for reading it.
pub fn lines_of(text: &str, wanted: TableFamily) -> Result<Option<String>, ReadError> {
    let sections = taken_apart(text)?.sections;
    let mut kept: Vec<&str> = vec![""; text.lines().count()];
    let mut any = false;
    for (n, section) in sections.iter().enumerate() {
        if family(section, &sections)? != wanted {
            continue;
        }
        any = true;
        let end = sections.get(n + 1).map_or(kept.len(), |next| next.line - 1);
        for (at, line) in text.lines().enumerate().take(end).skip(section.line - 1) {
            let set = line.trim_start().starts_with("create ") || line.trim_start().starts_with("add ");
            kept[at] = if set { "" } else { line.trim_end_matches('\r') };
        }
    }
    Ok(any.then(|| kept.join("\n") + "\n"))
}
