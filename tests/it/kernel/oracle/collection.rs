//! Packets through whole collections of rulesets: kernel, evaluator and algebra of each.
//!
//! `scripts/oracle DIRECTORY` runs it over one; by itself it takes the samples of the source tree. What does not load here (sets and
//! interfaces that are not there) is counted and left out.

use super::super::corpus::UNLOADABLE;
use super::super::corpus::gather::{Written, apart, gather};
use super::super::in_namespace;
use super::aim::Aims;
use super::algebra::{Algebra, is_of};
use super::draw::Draw;
use super::judge::{judge, judge_fate};
use super::{loaded, number};
use crate::tree::root;
use afo::analyze::Portion;
use afo::backend::iptables;
use afo::packet::{Cell, Wide};
use afo::rule::ruleset::number_name;
use afo::rule::ruleset::{Condition, Outcome, Ruleset};
use afo::rule::way::Changes;
use afo::sys::lab::{Lab, LabError, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// No rule in any table.
const EMPTY: &str = "*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n*mangle\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:FORWARD ACCEPT
:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT
*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n";
/// Interfaces that rules name and that the kernel wants to be there when a chain is bound to one.
const LINKS: [&str; 8] = ["eth0", "eth1", "eth2", "wan", "lan", "br0", "lo", "wlan0"];
/// Interfaces of a lab for the names of one ruleset, at most.
const MOST: usize = 8;
/// Disagreements of one ruleset that are told.
const TOLD: usize = 3;

/// What became of the rulesets of one collection.
#[derive(Debug, Default)]
struct Count {
    there: usize,
    absent: usize,
    translating: usize,
    packets: usize,
    chance: usize,
    unsent: usize,
    wrong: usize,
}

/// A ruleset as it is loaded, and whether the kernel's traces name its rules.
struct Loaded {
    ruleset: Ruleset,
    traced: bool,
}

/// Loads what is written; nothing where the kernel does not take it.
///
/// # Errors
/// When the kernel takes it and it is not read.
fn load(lab: &mut Lab, written: &Written) -> Result<Option<Loaded>, String> {
    match written {
        Written::Nft(text) | Written::Json(text) => match loaded(lab, text) {
            Ok(ruleset) => {
                // Of chains without a name a listing does not show the rules, and the kernel's trace does.
                let nameless = |text: &str| ["\"jump {", "\"goto {"].iter().any(|word| text.contains(word));
                let traced = !ruleset.lines().any(|(_, line)| nameless(&line.text));
                Ok(Some(Loaded { ruleset, traced }))
            }
            Err(LabError::Nft(_)) => Ok(None),
            Err(e) => Err(e.to_string()),
        },
        Written::Tables { program, text } => tables(lab, program, text),
    }
}

fn tables(lab: &mut Lab, program: &str, text: &str) -> Result<Option<Loaded>, String> {
    lab.load("").map_err(|e| e.to_string())?;
    let (sets, dump) = apart(text);
    let v6 = ["ip6tables", "icmpv6", "ipv6-icmp"].iter().any(|word| dump.contains(word));
    let [own, words] = if v6 { ["6", "ip6tables-restore"] } else { ["", "iptables-restore"] };
    let restore = |family: &str| format!("ip{family}tables-{program}-restore");
    for (command, arguments, input) in [
        (restore(""), None, EMPTY),
        (restore("6"), None, EMPTY),
        ("ipset".to_owned(), Some("destroy"), ""),
        ("ipset".to_owned(), Some("restore"), &sets),
        (restore(own), None, &dump),
    ] {
        let arguments: Vec<_> = arguments.into_iter().collect();
        if !lab.run(&command, &arguments, input.as_bytes()).map_err(|e| e.to_string())?.status.success() {
            return Ok(None);
        }
    }
    let kind = if program == "nft" { "nf_tables" } else { "legacy" };
    let ruleset = iptables::read(&format!("{sets}# for {words} v1.8.9 ({kind})\n{dump}"));
    ruleset.map(|ruleset| Some(Loaded { ruleset, traced: false })).map_err(|e| format!("it is not read: {e}"))
}

/// The interfaces that a ruleset names.
fn names(ruleset: &Ruleset) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut add = |ranges: &afo::packet::Ranges| {
        let single = ranges.as_slice().iter().filter(|(first, last)| first == last && *first != 0);
        all.extend(single.filter_map(|(name, _)| number_name(*name)));
    };
    let of_cell = |cell: &Cell| [Wide::InInterface, Wide::OutInterface].map(|field| cell.wide(field).clone());
    for (_, line) in ruleset.lines() {
        for condition in &line.conditions {
            match condition {
                Condition::Wide(Wide::InInterface | Wide::OutInterface, ranges) => add(ranges),
                Condition::AnyOf(cells) => cells.iter().flat_map(of_cell).for_each(|ranges| add(&ranges)),
                _ => {}
            }
        }
        if let Outcome::ByKey(keys) = &line.outcome {
            keys.iter().flat_map(|(cell, _)| of_cell(cell)).for_each(|ranges| add(&ranges));
        }
    }
    all
}

fn compare(loaded: &Loaded, algebra: &Algebra, portion: Option<&Portion>, seen: &Seen) -> Result<bool, String> {
    let ruleset = &loaded.ruleset;
    let how = if loaded.traced { judge(ruleset, seen) } else { judge_fate(ruleset, seen) }?;
    algebra.judge(ruleset, seen)?;
    portion.map_or(Ok(()), |portion| is_of(ruleset, portion, seen))?;
    Ok(how == super::judge::Compared::Exactly)
}

/// Sends packets through a ruleset that is loaded; what is not agreed about.
fn packets(lab: &mut Lab, loaded: &Loaded, links: &[&str], draw: &mut Draw, count: &mut Count) -> Vec<String> {
    let ruleset = &loaded.ruleset;
    let (aims, algebra) = (Aims::through(ruleset, links), Algebra::of(ruleset));
    let probes: Vec<_> = algebra.probes(&aims, draw).into_iter().filter(|(p, _)| is_there(p, links)).collect();
    let each = usize::try_from(number("AFO_ORACLE_EACH", 200)).expect("a count");
    let aimed = (0..each).map(|_| aims.packet(draw));
    let all: Vec<_> = probes.iter().map(|(packet, _)| packet.clone()).chain(aimed).collect();
    let mut wrong = Vec::new();
    lab.set_alone(Changes::of(ruleset).translates());
    for (n, seen) in lab.send(&all, ruleset.tracks()).expect("packets are sent").into_iter().enumerate() {
        // Not every state that a packet is described with can be brought about.
        let seen = seen.filter(|s| !ruleset.tracks() || s.state.is_none_or(|state| state == s.sent.state));
        let Some(seen) = seen else {
            count.unsent += 1;
            continue;
        };
        count.packets += 1;
        match compare(loaded, &algebra, probes.get(n).map(|(_, portion)| portion), &seen) {
            Ok(exactly) => count.chance += usize::from(!exactly),
            Err(words) => wrong.push(format!("{}: {words}", seen.sent)),
        }
    }
    count.wrong += wrong.len();
    wrong
}

fn is_there(packet: &afo::rule::Packet, links: &[&str]) -> bool {
    let there = |name: &Option<String>| name.as_ref().is_none_or(|name| links.contains(&name.as_str()));
    there(&packet.interface_in) && there(&packet.interface_out)
}

/// Two labs: rules of iptables-legacy are in the way of nft's, which loads and empties only its own.
fn one(labs: &mut [Lab; 2], written: &Written, draw: &mut Draw, count: &mut Count) -> Vec<String> {
    count.there += 1;
    let common = &mut labs[usize::from(matches!(written, Written::Tables { program: "legacy", .. }))];
    let loaded = match load(common, written) {
        Ok(Some(loaded)) => loaded,
        Ok(None) => {
            count.absent += 1;
            return Vec::new();
        }
        Err(words) => {
            count.wrong += 1;
            return vec![words];
        }
    };
    count.translating += usize::from(Changes::of(&loaded.ruleset).translates());
    let named = names(&loaded.ruleset);
    let known: Vec<_> =
        named.iter().map(String::as_str).filter(|name| name.len() < 16 && !name.contains('/')).collect();
    if known.iter().all(|name| LINKS.contains(name)) {
        return packets(common, &loaded, &LINKS, draw, count);
    }
    let mut links: Vec<_> = known.into_iter().take(MOST - 2).collect();
    links.extend(LINKS.iter().filter(|name| !named.contains(**name)).take(2));
    let mut own = Lab::open(&links).expect("a lab");
    match load(&mut own, written) {
        Ok(Some(loaded)) => packets(&mut own, &loaded, &links, draw, count),
        // What is bound to an interface wants that to be there.
        _ => packets(common, &loaded, &LINKS, draw, count),
    }
}

#[test]
fn agreed_about_packets_through_collections() {
    in_namespace(|_| {
        let given = std::env::var_os("AFO_CORPUS").map(PathBuf::from);
        let directory = given.clone().unwrap_or_else(|| root().join("tests/rulesets"));
        let mut labs = [(); 2].map(|()| Lab::open(&LINKS).expect("a lab"));
        let mut counts = BTreeMap::<String, Count>::new();
        let mut draw = Draw::new(number("AFO_ORACLE_SEED", 2026));
        for (path, written) in gather(&directory) {
            let inner = path.strip_prefix(&directory).unwrap_or(&path);
            let count = counts.entry(collection(inner)).or_default();
            for words in one(&mut labs, &written, &mut draw, count).iter().take(TOLD) {
                println!("WRONG {}: {words}", inner.display());
            }
        }
        for (name, count) in &counts {
            println!("{name}: {count:?}");
        }
        assert!(counts.values().any(|count| count.packets > 0), "nothing in {} loads", directory.display());
        assert!(counts.values().all(|count| count.wrong == 0), "not agreed");
        let absent: usize = counts.values().map(|count| count.absent).sum();
        assert!(given.is_some() || absent <= UNLOADABLE, "samples that do not load: {counts:?}");
    });
}

/// The first directory of a path.
fn collection(path: &Path) -> String {
    let first = path.parent().and_then(|p| p.components().next());
    first.map_or_else(|| ".".to_owned(), |part| part.as_os_str().to_string_lossy().into_owned())
}
