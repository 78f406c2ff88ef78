//! A listing as a ruleset: pf's order said as one where the first rule that matches decides.
//!
//! pf walks all rules; a quick one that matches decides at once, of the others the last one does (pf.conf(5)). So the quick ones come first in
//! their order, then the others backwards. Packets of known connections pass before any rule. A packet that passes through is asked about
//! twice, when it comes in and when it leaves.

use super::contract::Known;
use super::document::Document;
use super::line::{Names, Place, line_of, steady};
use super::listing::{Entry, Listing, is_on};
use super::nat::Translations;
use super::policy::Policy;
use crate::backend::Refused;
use crate::packet::{Bits, Narrow};
use crate::rule::Rule;
use crate::rule::ruleset::{
    Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Table, TableFamily, Unread, Verdict,
};
use std::collections::BTreeMap;

/// The chains that stand for the places where pf asks.
const CHAINS: [(&str, Hook, i64, Place); 4] = [
    ("in to the firewall", Hook::Input, 0, Place::Input),
    ("in on the way through", Hook::Forward, 0, Place::Through),
    ("out on the way through", Hook::Forward, 1, Place::Leaving),
    ("out from the firewall", Hook::Output, 0, Place::Output),
];

/// What the text of a line of AFO's begins with.
const MINE: &str = "afo: ";

/// The ruleset of a listing.
pub fn read(listing: &Listing) -> Ruleset {
    let names = Names { aliases: listing.aliases.clone(), interfaces: interfaces(listing) };
    let live: Vec<&Entry> = listing.entries.iter().filter(|entry| entry.is_on("enabled")).collect();
    laid(&live, &names, &listing.nat)
}

fn laid(live: &[&Entry], names: &Names, nat: &[Entry]) -> Ruleset {
    let (quick, late): (Vec<&Entry>, Vec<&Entry>) = live.iter().partition(|entry| is_quick(entry));
    let order: Vec<&Entry> = quick.into_iter().chain(late.into_iter().rev()).collect();
    let chain = |(name, hook, priority, place): (&str, Hook, i64, Place)| {
        let base = Base { kind: ChainKind::Filter, hook, priority, drops: false, devices: Vec::new() };
        let translations = Translations::of(nat, names, place);
        let of = |entry: &&Entry| {
            let line = line(entry, names, place)?;
            Some(match place.comes_in() {
                true => translations.coming(entry, line),
                false => vec![translations.leaving(entry, line)],
            })
        };
        let mut lines: Vec<Line> = order.iter().filter_map(of).flatten().collect();
        // Where nothing is denied the exception says nothing.
        if lines.iter().any(|line| line.outcome != Outcome::Verdict(Verdict::Accept)) {
            lines.insert(0, known());
        }
        Chain { name: name.to_owned(), handle: None, base: Some(base), lines }
    };
    let chains = CHAINS.into_iter().map(chain).collect();
    let table = Table { family: TableFamily::Inet, name: "pf".to_owned(), dormant: false, chains, sets: Vec::new() };
    Ruleset { backend: "opnsense".to_owned(), tables: vec![table], unread: Vec::new() }
}

/// `live` with a policy in place of AFO's.
///
/// # Errors
/// Every reason why OPNsense cannot have the policy exactly.
pub fn with_policy(listing: &Listing, rules: &[Rule], known: &Known) -> Result<Ruleset, Vec<Refused>> {
    let documents = Policy::of(rules, known)?.numbered(0, listing);
    let made = documents.iter().map(|document| {
        let fields: BTreeMap<String, String> =
            document.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let group = group(document, listing);
        let mut entry = Entry { fields, order: (group, document.get("sequence").parse().unwrap_or(0)) };
        entry.fields.insert("uuid".to_owned(), "new".to_owned());
        entry
    });
    let mut entries: Vec<Entry> = listing.entries.iter().filter(|entry| entry.tag().is_none()).cloned().collect();
    entries.extend(made);
    entries.sort_by_key(|entry| entry.order);
    Ok(read(&Listing { entries, ..listing.clone() }))
}

/// The group that a document will stand in: one for a group of interfaces stands where others for it stand.
fn group(document: &Document, listing: &Listing) -> u64 {
    if document.interfaces() != 1 {
        return 200_000;
    }
    let same =
        listing.entries.iter().find(|entry| !entry.is_legacy() && entry.get("interface") == document.get("interface"));
    same.map_or(400_000, |entry| entry.order.0)
}

/// Whether a line is AFO's.
pub fn decides(_: &Chain, line: &Line) -> bool {
    line.text.starts_with(MINE)
}

/// Rules are quick unless they are floating and do not say so (FilterRule.php).
fn is_quick(entry: &Entry) -> bool {
    entry.fields.get("quick").map_or_else(|| !entry.is_on("floating"), |quick| is_on(quick))
}

/// What belongs to a connection that is known passes.
fn known() -> Line {
    Line {
        handle: None,
        comment: None,
        text: "pass what belongs to a known connection".to_owned(),
        conditions: vec![Condition::Narrow(Narrow::State, Bits::single(1).with(2))],
        alters: Vec::new(),
        outcome: Outcome::Verdict(Verdict::Accept),
    }
}

fn line(entry: &Entry, names: &Names, place: Place) -> Option<Line> {
    let get = |field: &str| entry.get(field).to_owned();
    let mut line = line_of(&get, names, place)?;
    line.conditions.extend(unknown(entry));
    let own = entry.tag();
    let name = match (&own, entry.get("description"), entry.uuid()) {
        (Some(tag), ..) => tag.rule.to_string(),
        (None, "", Some(uuid)) => uuid.to_owned(),
        (None, "", None) => "a rule of the firewall's own".to_owned(),
        (None, words, _) => words.to_owned(),
    };
    let said = [
        "action",
        "direction",
        "interface",
        "ipprotocol",
        "protocol",
        "source_net",
        "source_port",
        "destination_net",
        "destination_port",
    ];
    let said: Vec<&str> = said.into_iter().map(|field| entry.get(field)).filter(|value| !value.is_empty()).collect();
    let text = format!("{}{} ({name})", if own.is_some() { MINE } else { "" }, said.join(" "));
    Some(Line { comment: Some(name), text, ..line })
}

/// The identifiers of interfaces by what is shown for them: of the firewall's own rules the API tells only that.
fn interfaces(listing: &Listing) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for entry in &listing.entries {
        let (names, shown) = (entry.get("interface"), entry.get("%interface"));
        if !entry.is_legacy() && !shown.is_empty() && names.split(',').count() == shown.split(',').count() {
            known.extend(shown.split(',').map(str::to_owned).zip(names.split(',').map(str::to_owned)));
        }
    }
    known
}

/// Fields that change nothing about whether a packet passes, and those that are read elsewhere.
const READ: [&str; 62] = [
    "action",
    "enabled",
    "disabled",
    "description",
    "descr",
    "uuid",
    "sequence",
    "sort_order",
    "prio_group",
    "quick",
    "log",
    "direction",
    "interface",
    "interfacenot",
    "ipprotocol",
    "protocol",
    "source_net",
    "source_not",
    "source_port",
    "destination_net",
    "destination_not",
    "destination_port",
    "icmptype",
    "icmp6type",
    "icmp-type",
    "icmp6-type",
    "tcpflags1",
    "tcpflags2",
    "tcpflags_any",
    "flags",
    "statetype",
    "state-policy",
    "statetimeout",
    "udp-first",
    "udp-multiple",
    "udp-single",
    "adaptivestart",
    "adaptiveend",
    "gateway",
    "replyto",
    "reply-to",
    "reply",
    "disablereplyto",
    "allowopts",
    "nosync",
    "nopfsync",
    "set-prio",
    "set-prio-low",
    "tag",
    "categories",
    "category",
    "shaper1",
    "shaper2",
    "legacy",
    "is_automatic",
    "ref",
    "floating",
    "label",
    "divert-to",
    "created",
    "updated",
    "associated-rule-id",
];

/// Fields whose answer is not the packet's alone.
const CHANCES: [&str; 9] = [
    "max",
    "max-src-nodes",
    "max-src-states",
    "max-src-conn",
    "max-src-conn-rate",
    "max-src-conn-rates",
    "overload",
    "sched",
    "probability",
];

/// Fields that a rule may have and that are looked at one by one.
const FURTHER: [&str; 6] = ["tagged", "prio", "tos", "os", "user", "received-on"];

/// The conditions that are not understood, by their fields.
pub(super) fn others(get: &dyn Fn(&str) -> String) -> Vec<Condition> {
    let said =
        |names: &'static [&'static str]| names.iter().map(|name| (*name, get(name))).filter(|(_, value)| is_on(value));
    let chance = |(name, value)| Condition::Chance(format!("{name} {value}"));
    let unread = |(name, value): (&str, String)| match name {
        // A tag is what an earlier rule put there.
        "tagged" => Condition::Unread(Unread { text: format!("tagged {value}"), field: None }),
        _ => steady(name, format!("{name} {value}")),
    };
    said(&CHANCES).map(chance).chain(said(&FURTHER).map(unread)).collect()
}

/// Fields of an entry that nothing here knows: a rule with one of them is not understood.
pub(super) fn unknown(entry: &Entry) -> Vec<Condition> {
    let known = |name: &str| READ.contains(&name) || CHANCES.contains(&name) || FURTHER.contains(&name);
    let told = |name: &str| name.starts_with('%') || name.starts_with("alias_meta_");
    let stats = ["evaluations", "packets", "bytes", "states", "pf_rules"];
    let strange = entry
        .fields
        .iter()
        .filter(|(name, value)| is_on(value) && !known(name) && !told(name) && !stats.contains(&name.as_str()));
    strange.map(|(name, value)| Condition::Unread(Unread { text: format!("{name} {value}"), field: None })).collect()
}
