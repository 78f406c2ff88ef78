//! Whole collections of rulesets through the kernel and back: what loads is imported, rendered, loaded again and listed alike.
//!
//! `scripts/corpus DIR` runs it over a directory; by itself it takes the samples of the source tree. What is not understood must be
//! named; a difference that nothing names is wrong, and one is too many.

pub mod gather;
mod round;

use super::in_namespace;
use crate::tree::root;
use gather::{Written, gather};
use round::{End, round};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of the rulesets that load, how many per hundred must come back equal.
const BAR: usize = 95;

/// Samples of the source tree that need not load: nft 1.0.6 takes no devices in JSON.
pub const UNLOADABLE: usize = 1;

/// What became of the rulesets of one collection.
#[derive(Debug, Default)]
struct Count {
    there: usize,
    loaded: usize,
    equal: usize,
    lost: usize,
    wrong: usize,
}

impl Count {
    fn add(&mut self, end: &End) {
        self.there += 1;
        self.loaded += usize::from(!matches!(end, End::NotLoaded(_)));
        match end {
            End::Equal => self.equal += 1,
            End::Lost(_) => self.lost += 1,
            End::Wrong(_) => self.wrong += 1,
            End::NotLoaded(_) => {}
        }
    }
}

/// Links that rules name and that the kernel wants to be there when a chain is bound to one.
const LINKS: [&str; 8] = ["eth0", "eth1", "eth2", "wan", "lan", "br0", "d0", "wlan0"];

#[test]
fn rulesets_come_back_equal() {
    in_namespace(|host| {
        let given = std::env::var_os("AFO_CORPUS").map(PathBuf::from);
        let directory = given.clone().unwrap_or_else(|| root().join("tests/rulesets"));
        for pair in LINKS.chunks(2) {
            host.sh(&format!("ip link add name {} type veth peer name {}", pair[0], pair[1]));
        }
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        for (path, written) in gather(&directory) {
            let inner = path.strip_prefix(&directory).unwrap_or(&path);
            let end = round(host, &written);
            let kind = match &written {
                Written::Tables { program, .. } => program,
                _ => "nft",
            };
            match &end {
                End::Lost(words) => println!("lost   {kind} {}: {words}", inner.display()),
                End::Wrong(words) => println!("WRONG  {kind} {}: {words}", inner.display()),
                End::NotLoaded(words) if std::env::var_os("AFO_CORPUS_ALL").is_some() => {
                    println!("absent {kind} {}: {words}", inner.display());
                }
                _ => {}
            }
            counts.entry(collection(inner, kind)).or_default().add(&end);
            counts.entry("all".to_owned()).or_default().add(&end);
        }
        for (name, count) in &counts {
            let Count { there, loaded, equal, lost, wrong } = count;
            println!("{name}: {there} rulesets, {loaded} load, {equal} equal, {lost} lost by name, {wrong} wrong");
        }
        let all = &counts["all"];
        assert!(all.loaded > 0, "nothing in {} loads", directory.display());
        assert!(given.is_some() || all.there - all.loaded <= UNLOADABLE, "samples that do not load: {counts:?}");
        assert_eq!(all.wrong, 0, "differences that nothing names");
        assert!(all.equal * 100 >= all.loaded * BAR, "fewer than {BAR} of 100 come back equal: {all:?}");
    });
}

/// The first directory of a path, and the language.
fn collection(path: &Path, kind: &str) -> String {
    let first = path.parent().and_then(|p| p.components().next());
    let name = first.map_or_else(|| ".".to_owned(), |part| part.as_os_str().to_string_lossy().into_owned());
    format!("{name} ({kind})")
}
