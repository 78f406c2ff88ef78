//! What of a firewall's configuration is AFO's: a mark that says which generation holds, and the rules of the generations.
//!
//! The mark is the description of one disabled rule, so that one request changes what it says. Nothing of the configuration decides about a
//! packet before `apply`: a window is opened by one `apply` and taken back by another, and who takes it back is the watchdog of the journal.

use super::document::{ANY_FLAGS, Document};
use super::listing::{Entry, Listing};
use super::savepoint::{UNKNOWN, is_revision};
use super::step::{APPLY, Step};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub generation: u64,
    sum: String,
    /// When it is over, by the clock of who opened it; whole seconds.
    pub until: Timestamp,
    /// The savepoint whose timer runs on the firewall beside it.
    pub savepoint: Option<String>,
}

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Mark {
    /// The generation that holds, and the sum of its rules.
    settled: Option<(u64, String)>,
    window: Option<Window>,
}

const MARK: &str = "afo state";

impl Mark {
    fn words(&self) -> String {
        let settled = self.settled.as_ref().map(|(generation, sum)| format!(" settled={generation}:{sum}"));
        let window = self.window.as_ref().map(|w| {
            let guard = w.savepoint.as_ref().map(|revision| format!(" savepoint={revision}")).unwrap_or_default();
            format!(" window={}:{} until={}{guard}", w.generation, w.sum, w.until.as_second())
        });
        format!("{MARK}{}{}", settled.unwrap_or_default(), window.unwrap_or_default())
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = BTreeMap::new();
        for word in text.strip_prefix(MARK)?.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            words.insert(name, value);
        }
        let generation = |name: &str| match words.get(name) {
            None => Some(None),
            Some(text) => {
                let (number, sum) = text.split_once(':')?;
                Some(Some((number.parse::<u64>().ok()?, sum.to_owned())))
            }
        };
        let window = match generation("window")? {
            None => None,
            Some((generation, sum)) => {
                let until = Timestamp::from_second(words.get("until")?.parse().ok()?).ok()?;
                let savepoint = words.get("savepoint").filter(|text| is_revision(text)).map(|text| (*text).to_owned());
                Some(Window { generation, sum, until, savepoint })
            }
        };
        Some(Self { settled: generation("settled")?, window })
    }

    fn document(&self) -> Document {
        let id = "state".parse().expect("the id is written here");
        Document::new(&id).with("action", "block").with("enabled", "0").with("description", self.words())
    }
}

/// The sum by which a generation is known again: what its rules say, without their numbers in the configuration.
fn sum<'a>(rules: impl Iterator<Item = BTreeMap<&'a str, String>>) -> String {
    let mut hash = Sha256::new();
    let mut all: Vec<String> = rules.map(|fields| format!("{fields:?}")).collect();
    all.sort_unstable();
    all.iter().for_each(|words| hash.update(words.as_bytes()));
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What a rule says, in one spelling: by the fields of a document, whatever a version tells beside them.
fn said(get: impl Fn(&'static str) -> Option<String>) -> BTreeMap<&'static str, String> {
    let blank = Document::new(&"blank".parse().expect("the id is written here"));
    let names = blank.fields.keys().copied().filter(|name| *name != "enabled").chain([ANY_FLAGS]);
    let value = |name: &'static str| {
        let mut items: Vec<String> =
            get(name).unwrap_or_else(|| blank.get(name).to_owned()).split(',').map(str::to_owned).collect();
        items.sort_unstable();
        let text = items.join(",");
        if text == "0" { String::new() } else { text }
    };
    names.map(|name| (name, value(name))).collect()
}

fn sum_of(documents: &[Document]) -> String {
    sum(documents.iter().map(|document| said(|name| document.fields.get(name).cloned())))
}

fn sum_of_entries(entries: &[&Entry]) -> String {
    sum(entries.iter().map(|entry| said(|name| entry.fields.get(name).cloned())))
}

/// AFO's part of a listing.
#[derive(Debug, Clone)]
pub struct Own<'a> {
    live: &'a Listing,
    mark: Option<(&'a Entry, Mark)>,
    rules: BTreeMap<u64, Vec<&'a Entry>>,
}

impl<'a> Own<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// When there are two marks, or one that does not say what holds: nothing is guessed.
    pub fn read(live: &'a Listing) -> Result<Self, String> {
        let marks: Vec<&Entry> = live.own().filter(|entry| entry.get("description").starts_with(MARK)).collect();
        let mark = match marks[..] {
            [] => None,
            [entry] => {
                let words = entry.get("description");
                let mark = Mark::read(words)
                    .ok_or_else(|| format!("the rule `{}` of AFO's was edited", words.escape_debug()))?;
                Some((entry, mark))
            }
            _ => {
                return Err(
                    "two rules of the firewall begin with `afo state`, and which one holds is not known".to_owned()
                );
            }
        };
        let mut rules: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
        for (entry, tag) in live.own().filter_map(|entry| Some((entry, entry.tag()?))) {
            rules.entry(tag.generation).or_default().push(entry);
        }
        Ok(Self { live, mark, rules })
    }

    fn mark(&self) -> Mark {
        self.mark.as_ref().map(|(_, mark)| mark.clone()).unwrap_or_default()
    }

    /// The generation that holds without a window.
    pub fn settled(&self) -> Option<u64> {
        self.mark().settled.map(|(generation, _)| generation)
    }

    /// The change that waits.
    pub fn window(&self) -> Option<Window> {
        self.mark().window
    }

    /// Whether AFO has any rule of a policy there, or a mark.
    pub fn is_there(&self) -> bool {
        self.mark.is_some() || !self.rules.is_empty()
    }

    /// A number that no generation has.
    pub fn next(&self) -> u64 {
        let mark = self.mark();
        let known = mark.settled.map(|(n, _)| n).into_iter().chain(mark.window.map(|w| w.generation));
        known.chain(self.rules.keys().copied()).max().unwrap_or(0) + 1
    }

    fn entries(&self, generation: u64) -> &[&'a Entry] {
        self.rules.get(&generation).map_or(&[], Vec::as_slice)
    }

    /// Whether the generation that is to hold is there, on, and as it was written.
    pub fn is_whole(&self) -> bool {
        let mark = self.mark();
        let wanted = mark.window.map(|w| (w.generation, w.sum)).or(mark.settled);
        wanted.is_some_and(|(generation, sum)| {
            let entries = self.entries(generation);
            sum_of_entries(entries) == sum && entries.iter().all(|entry| entry.is_on("enabled"))
        })
    }

    /// The rules of AFO's policies and the mark, as text.
    pub fn backup(&self) -> String {
        let marked = self.mark.iter().map(|(entry, _)| *entry);
        let all = marked.chain(self.rules.values().flatten().copied());
        all.map(|entry| serde_json::to_string(&entry.fields).unwrap_or_default() + "\n").collect()
    }

    /// Opens a window: `documents` hold from `apply` on, `guarded` by a savepoint where the firewall has any.
    pub fn arm(&self, documents: &[Document], generation: u64, until: Timestamp, guarded: bool) -> Vec<Step> {
        let savepoint = guarded.then(|| UNKNOWN.to_owned());
        let window = Window { generation, sum: sum_of(documents), until, savepoint };
        let mut steps = vec![Step::Others(self.live.others())];
        steps.extend(guarded.then_some(Step::Savepoint));
        steps.push(self.marked(&Mark { window: Some(window), ..self.mark() }));
        steps.extend(self.switched(documents));
        steps.extend([Step::Others(self.live.others()), Step::plain(APPLY)]);
        steps
    }

    /// Puts `documents` in the place of what holds, at once.
    pub fn install(&self, documents: &[Document], generation: u64) -> Vec<Step> {
        let mut steps: Vec<Step> = self.switched(documents).collect();
        steps.push(Step::plain(APPLY));
        steps.push(self.marked(&Mark { settled: Some((generation, sum_of(documents))), window: None }));
        steps.extend(self.rules.values().flatten().filter_map(|entry| delete(entry)));
        steps
    }

    fn switched<'s>(&'s self, documents: &'s [Document]) -> impl Iterator<Item = Step> + 's {
        let added = documents.iter().map(|document| Step::post("firewall/filter/add_rule", document.body()));
        let on = self.rules.values().flatten().filter(|entry| entry.is_on("enabled"));
        added.chain(on.filter_map(|entry| toggle(entry, false)))
    }

    /// Makes the generation of the window the one that holds. What it replaced is off already.
    pub fn confirm(&self) -> Vec<Step> {
        let Some(window) = self.window() else { return Vec::new() };
        let mut steps = vec![self.marked(&Mark { settled: Some((window.generation, window.sum)), window: None })];
        let old = self.rules.iter().filter(|(generation, _)| **generation != window.generation);
        steps.extend(old.flat_map(|(_, entries)| entries).filter_map(|entry| delete(entry)));
        steps
    }

    /// Takes the window back: what held before it holds again, from the configuration itself, or where somebody has changed it there from
    /// `before`, the documents of the policy that held.
    pub fn take_back(&self, before: Option<&[Document]>) -> Vec<Step> {
        let Mark { settled, window } = self.mark();
        if window.is_none() {
            return Vec::new();
        }
        let old = settled.as_ref().map(|(generation, _)| *generation);
        let there = old.map_or(&[][..], |generation| self.entries(generation));
        let same = settled.as_ref().is_none_or(|(_, sum)| sum_of_entries(there) == *sum);
        let mut steps = Vec::new();
        let mut holds = settled;
        match before.filter(|_| !same) {
            None => {
                let off = there.iter().filter(|entry| !entry.is_on("enabled"));
                steps.extend(off.filter_map(|entry| toggle(entry, true)));
            }
            Some(documents) => {
                steps.extend(documents.iter().map(|document| Step::post("firewall/filter/add_rule", document.body())));
                steps.extend(there.iter().filter_map(|entry| delete(entry)));
                holds = old.map(|generation| (generation, sum_of(documents)));
            }
        }
        let gone = self.rules.iter().filter(|(generation, _)| Some(**generation) != old);
        steps.extend(gone.flat_map(|(_, entries)| entries).filter_map(|entry| delete(entry)));
        steps.push(Step::plain(APPLY));
        match (&holds, &self.mark) {
            (None, Some((entry, _))) => steps.extend(delete(entry)),
            _ => steps.push(self.marked(&Mark { settled: holds, window: None })),
        }
        steps
    }

    fn marked(&self, mark: &Mark) -> Step {
        let path = match self.mark.as_ref().and_then(|(entry, _)| entry.uuid()) {
            Some(uuid) => format!("firewall/filter/set_rule/{uuid}"),
            None => "firewall/filter/add_rule".to_owned(),
        };
        Step::post(path, mark.document().body())
    }
}

fn delete(entry: &Entry) -> Option<Step> {
    Some(Step::plain(format!("firewall/filter/del_rule/{}", entry.uuid()?)))
}

fn toggle(entry: &Entry, on: bool) -> Option<Step> {
    Some(Step::plain(format!("firewall/filter/toggle_rule/{}/{}", entry.uuid()?, u8::from(on))))
}

/// Takes all of AFO's rules and aliases out, whatever they say.
pub fn remove(live: &Listing) -> Vec<Step> {
    let mut steps: Vec<Step> = live.own().filter_map(delete).collect();
    if !steps.is_empty() {
        steps.push(Step::plain(APPLY));
    }
    for name in [super::alias::BLOCKED_FROM, super::alias::BLOCKED_TO] {
        let uuid = live.aliases.get(name).map(|alias| &alias.uuid);
        steps.extend(uuid.map(|uuid| Step::plain(format!("firewall/alias/del_item/{uuid}"))));
    }
    if steps.iter().any(|step| matches!(step, Step::Post { path, .. } if path.contains("/alias/"))) {
        steps.push(Step::plain("firewall/alias/reconfigure"));
    }
    steps
}

/// What makes AFO's rules in `now` those of `before` again, whatever was cut short between the two.
pub fn undo(before: &Listing, now: &Listing) -> Vec<Step> {
    let same = |a: &Entry, b: &Entry| said(|n| a.fields.get(n).cloned()) == said(|n| b.fields.get(n).cloned());
    let find = |list: &Listing, uuid: &str| list.own().find(|entry| entry.uuid() == Some(uuid)).cloned();
    let mut steps = Vec::new();
    for old in before.own() {
        let uuid = old.uuid().unwrap_or_default();
        let body = Document { rule: "undo".parse().expect("the id is written here"), fields: kept(old) }.body();
        match find(now, uuid) {
            None => steps.push(Step::post("firewall/filter/add_rule", body)),
            Some(entry) if !same(old, &entry) => {
                steps.push(Step::post(format!("firewall/filter/set_rule/{uuid}"), body))
            }
            Some(entry) if old.is_on("enabled") != entry.is_on("enabled") => {
                steps.extend(toggle(&entry, old.is_on("enabled")))
            }
            Some(_) => {}
        }
    }
    let new = now.own().filter(|entry| find(before, entry.uuid().unwrap_or_default()).is_none());
    steps.extend(new.filter_map(delete));
    steps
}

/// The fields of a document, as a rule of AFO's has them.
fn kept(entry: &Entry) -> BTreeMap<&'static str, String> {
    let blank = Document::new(&"blank".parse().expect("the id is written here"));
    let mut fields = blank.fields;
    fields.iter_mut().for_each(|(name, value)| {
        if let Some(told) = entry.fields.get(*name) {
            value.clone_from(told);
        }
    });
    if entry.is_on(ANY_FLAGS) {
        fields.insert(ANY_FLAGS, "1".to_owned());
    }
    fields
}
