//! Sets of ipset: what `ipset save` says of them, and the match that looks into them.
//!
//! A set that no dump tells of is an unread condition; one whose elements come and go by themselves is a chance. What the kernel
//! compares is in net/netfilter/ipset/ip_set_*.c.

use super::condition::{Place, never, unread};
use super::element::{Member, member};
use super::parse::{Extension, Opt};
use super::words::{Word, joined};
use crate::packet::{Cell, Ranges, Wide, merged, outside};
use crate::rule::ruleset::{Condition, NamedSet, TableFamily};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// More products than this out of one set are kept as unread.
const MOST: usize = 131_072;
/// More products than this are put together to fewer.
const FEW: usize = 64;
/// More elements than this with holes among them are kept as unread.
const MOST_HOLED: usize = 4096;
/// More products than this are not turned round.
const MOST_OUTSIDE: usize = 16_384;

/// One set, as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Set<'a> {
    pub(super) kind: String,
    /// `family`, `netmask`, `markmask` and the like with their values, `timeout` among them.
    pub(super) options: Vec<(String, String)>,
    pub(super) elements: Vec<Vec<Word<'a>>>,
}

impl Set<'_> {
    /// The value of an option of the set.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn family(&self) -> TableFamily {
        if self.option("family") == Some("inet6") { TableFamily::Ip6 } else { TableFamily::Ip }
    }
}

/// Every set that a dump tells of.
#[derive(Debug, Default)]
pub(super) struct Sets<'a> {
    known: HashMap<String, Set<'a>>,
    /// Those that rules add to or delete from.
    touched: BTreeSet<String>,
    /// A set of a million elements is read once, however many rules look into it.
    read: RefCell<HashMap<(String, String, TableFamily), Option<Found>>>,
    /// Those that rules of a table name.
    named: RefCell<BTreeSet<String>>,
}

/// Options of sets that have no value.
const FLAGS: [&str; 4] = ["counters", "comment", "skbinfo", "forceadd"];

impl<'a> Sets<'a> {
    /// Takes a line of `ipset save`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn take(&mut self, words: &[Word<'a>]) -> Result<(), String> {
        let word = |at: usize| words.get(at).map(|word| word.text.as_ref());
        match (word(0), word(1), word(2)) {
            (Some("create"), Some(name), Some(kind)) => {
                let mut options = Vec::new();
                let mut rest = words[3..].iter();
                while let Some(option) = rest.next() {
                    let value = if FLAGS.contains(&option.text.as_ref()) { None } else { rest.next() };
                    options.push((option.text.to_string(), value.map(|v| v.text.to_string()).unwrap_or_default()));
                }
                let set = Set { kind: kind.to_owned(), options, elements: Vec::new() };
                match self.known.insert(name.to_owned(), set) {
                    None => Ok(()),
                    Some(_) => Err(format!("the set `{name}` is created twice")),
                }
            }
            (Some("add"), Some(name), Some(_)) => {
                let set = self.known.get_mut(name).ok_or_else(|| format!("no set `{name}` is created before"))?;
                set.elements.push(words[2..].to_vec());
                Ok(())
            }
            _ => Err(format!("`{}` is no line of `ipset save`", joined(words))),
        }
    }

    /// Notes that a rule changes a set.
    pub(super) fn touch(&mut self, name: &str) {
        self.touched.insert(name.to_owned());
    }

    /// The sets that were looked into since this was asked last.
    pub(super) fn take_named(&self) -> Vec<NamedSet> {
        let names = std::mem::take(&mut *self.named.borrow_mut());
        let known = names.into_iter().filter_map(|name| {
            let set = self.known.get(&name)?;
            let (key, changing, elements) = (set.kind.clone(), self.changes(&name), set.elements.len());
            Some(NamedSet { name, handle: None, key, is_map: false, changing, elements })
        });
        known.collect()
    }

    /// Whether what is in a set comes and goes by itself or from packets.
    fn changes(&self, name: &str) -> bool {
        let timed = |set: &Set| set.option("timeout").is_some();
        let of_list = |set: &Set| {
            set.kind == "list:set" && set.elements.iter().filter_map(|e| e.first()).any(|m| self.changes_alone(&m.text))
        };
        self.changes_alone(name) || self.known.get(name).is_some_and(|set| timed(set) || of_list(set))
    }

    fn changes_alone(&self, name: &str) -> bool {
        self.touched.contains(name) || self.known.get(name).is_some_and(|set| set.option("timeout").is_some())
    }

    /// The packets that a set holds, where it is known and can be worked with.
    fn find(&self, name: &str, directions: &str, family: TableFamily) -> Option<Found> {
        let key = (name.to_owned(), directions.to_owned(), family);
        if let Some(found) = self.read.borrow().get(&key) {
            return found.clone();
        }
        let directions: Vec<_> = directions.split(',').map(|d| d.trim() == "src").collect();
        let found = self.known.get(name).and_then(|set| self.packets(set, &directions, family));
        self.read.borrow_mut().insert(key, found.clone());
        found
    }

    fn packets(&self, set: &Set, directions: &[bool], family: TableFamily) -> Option<Found> {
        if set.kind == "list:set" {
            let parts = set.elements.iter().map(|element| {
                let of = self.known.get(element.first()?.text.as_ref()).filter(|of| of.kind != "list:set")?;
                self.packets(of, directions, family)
            });
            return parts.collect::<Option<Vec<_>>>().and_then(union);
        }
        // Addresses of one family never match packets of the other.
        let addressed = set.kind != "bitmap:port" && set.kind != "hash:mac";
        if addressed && set.family() != family {
            return Some(Found::Cells(Vec::new()));
        }
        let members = set.elements.iter().map(|element| member(set, element, directions, family));
        gathered(members.collect::<Option<Vec<_>>>()?)
    }
}

/// The packets that a set holds.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    /// By one field.
    Wide(Wide, Ranges),
    Cells(Vec<Cell>),
}

impl Found {
    fn into_cells(self) -> Vec<Cell> {
        match self {
            Self::Wide(field, values) => vec![Cell::all().with_wide(field, values)],
            Self::Cells(cells) => cells,
        }
    }
}

fn union(mut parts: Vec<Found>) -> Option<Found> {
    if parts.len() == 1 {
        return parts.pop();
    }
    let cells: Vec<_> = parts.into_iter().flat_map(Found::into_cells).collect();
    (cells.len() <= MOST).then(|| few(cells))
}

fn few(cells: Vec<Cell>) -> Found {
    Found::Cells(if cells.len() > FEW { merged(cells) } else { cells })
}

/// Elements put together. A network with `nomatch` is a hole in the larger ones around it, not in the smaller ones inside.
fn gathered(members: Vec<Member>) -> Option<Found> {
    let single = members.iter().all(|m| m.cell.is_none() && m.field == members[0].field);
    let Some(field) = members.first().map(|m| m.field).filter(|_| single) else {
        let holes = members.iter().any(|m| m.hole);
        let cells: Vec<_> = members.into_iter().map(Member::into_cell).collect();
        return (cells.len() <= MOST && !holes).then(|| few(cells));
    };
    if members.iter().all(|m| !m.hole) {
        return Some(Found::Wide(field, Ranges::of(members.iter().flat_map(|m| m.values.as_slice().iter().copied()))));
    }
    if members.len() > MOST_HOLED {
        return None;
    }
    let mut members = members;
    members.sort_by_key(|m| std::cmp::Reverse(m.values.magnitude()));
    let lay = |under: Ranges, m: &Member| if m.hole { under.minus(&m.values) } else { under.or(&m.values) };
    Some(Found::Wide(field, members.iter().fold(Ranges::none(), lay)))
}

/// What the match asks.
pub(super) fn matched(extension: &Extension, place: Place, into: &mut Vec<Condition>) {
    let given = extension.options.iter().find(|option| matches!(&*option.name, "match-set" | "set"));
    let Some((option, [name, directions])) = given.and_then(|option| Some((option, option.values.first_chunk()?)))
    else {
        into.push(unread(extension.text("-m"), None));
        return;
    };
    let sets = place.sets;
    sets.named.borrow_mut().insert(name.text.to_string());
    let counts = |option: &Opt| option.name.starts_with("packets-") || option.name.starts_with("bytes-");
    if sets.changes(&name.text) || extension.options.iter().any(counts) {
        into.push(Condition::Chance(extension.text("-m")));
        return;
    }
    let whole = extension.option("return-nomatch").is_none();
    let found = sets.find(&name.text, &directions.text, place.family).filter(|_| whole);
    let text = || extension.text("-m");
    into.push(match found.and_then(|found| condition(found, option.inverted, place.family)) {
        Some(condition) => condition,
        None => unread(text(), Some(&format!("set {}", name.text))),
    });
}

fn condition(found: Found, inverted: bool, family: TableFamily) -> Option<Condition> {
    Some(match (found, inverted) {
        (Found::Wide(field, values), false) => Condition::Wide(field, values),
        (Found::Wide(field @ (Wide::Source | Wide::Destination), values), true) => {
            Condition::Wide(field, Ranges::one(0, super::address::last(family)).minus(&values))
        }
        (Found::Wide(field, values), true) => Condition::Wide(field, field.all().minus(&values)),
        (Found::Cells(cells), false) if cells.is_empty() => never(),
        (Found::Cells(cells), false) => Condition::AnyOf(cells),
        (Found::Cells(cells), true) => Condition::AnyOf(outside(&cells, MOST_OUTSIDE)?),
    })
}
