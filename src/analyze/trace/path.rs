//! A way as stations that can be read: the chains, the rules that match, and why the others do not.

use super::{Detail, Item, Way};
use crate::analyze::reason::{Here, chain_words, fits, verdict_words};
use crate::analyze::words::place;
use crate::record::{Place, Station};
use crate::rule::Packet;
use crate::rule::ruleset::{At, Base, Outcome as Does, Ruleset, Verdict};
use std::net::SocketAddr;

/// Rules of a chain that nearly match are told one by one up to this number.
const NEAR: usize = 3;

/// The stations of a way.
pub(super) fn path(ruleset: &Ruleset, packet: &Packet, way: &Way, detail: Detail) -> Vec<Station> {
    let mut telling = Telling {
        ruleset,
        packet: packet.clone(),
        way,
        detail,
        here: Here::at_the_start(packet),
        path: Vec::new(),
        missed: Vec::new(),
    };
    way.items.iter().for_each(|item| telling.item(item));
    telling.gather();
    telling.path
}

struct Telling<'a> {
    ruleset: &'a Ruleset,
    /// As it is here: behind a translation with another destination.
    packet: Packet,
    way: &'a Way,
    detail: Detail,
    here: Here,
    path: Vec<Station>,
    /// Rules of the present chain that did not match, with what failed, not told yet.
    missed: Vec<(At, Vec<usize>)>,
}

impl Telling<'_> {
    fn item(&mut self, item: &Item) {
        match item {
            Item::Misses(at, failed) => return self.missed.push((*at, failed.clone())),
            _ => self.gather(),
        }
        match item {
            Item::Spared(table, chain, why) => {
                self.chain(*table, *chain, false, None, (*why).to_owned());
            }
            Item::Enters(table, chain) => {
                let base = self.ruleset.tables[*table].chains[*chain].base.clone();
                let why = base.as_ref().map_or_else(|| "entered by the jump".to_owned(), chain_words);
                self.here.base = base.or(self.here.base.take());
                self.chain(*table, *chain, true, None, why);
            }
            Item::Does(at, verdict) => self.does(*at, verdict),
            Item::Leaves(table, chain) => {
                let base = &self.ruleset.tables[*table].chains[*chain].base;
                let (does, why) = match base {
                    Some(base) if base.drops => ("drop", "no rule of it decides: its policy"),
                    Some(_) => ("accept", "no rule of it decides: its policy"),
                    None => ("return", "back to where it was entered from"),
                };
                self.chain(*table, *chain, true, Some(does.to_owned()), why.to_owned());
            }
            Item::Misses(..) => {}
        }
    }

    fn chain(&mut self, table: usize, chain: usize, matched: bool, does: Option<String>, why: String) {
        let place = place(self.ruleset, At { table, chain, line: usize::MAX });
        let place = Place { text: String::new(), ..place };
        self.path.push(Station { place, matched, does, why });
    }

    fn does(&mut self, at: At, verdict: &Verdict) {
        let Some(line) = self.ruleset.line(at) else { return };
        let assumed = self.assumed(at);
        let why = match (&line.outcome, verdict) {
            (Does::ByKey(keys), Verdict::Continue) if keys.iter().all(|(_, v)| *v != Verdict::Continue) => {
                self.here.misses_keys(&self.packet, keys)
            }
            _ => fits(&self.here, &self.packet, line, &assumed),
        };
        let why = self.turned(verdict).map_or(why.clone(), |to| format!("{why}; it goes on to {to}"));
        self.path.push(Station {
            place: place(self.ruleset, at),
            matched: true,
            does: Some(verdict_words(verdict)),
            why,
        });
        self.here.alter(&line.alters);
    }

    /// Where a translation leads the packet, which goes on with that destination.
    fn turned(&mut self, verdict: &Verdict) -> Option<String> {
        let Verdict::Translate(translation) = verdict else { return None };
        let turns = translation.turns() && self.here.base.as_ref().is_some_and(Base::turns);
        self.packet = turns.then(|| translation.landing().packet(&self.packet))??;
        Some(match self.packet.protocol.has_ports() {
            true => SocketAddr::new(self.packet.destination, self.packet.destination_port).to_string(),
            false => self.packet.destination.to_string(),
        })
    }

    /// What was supposed about a rule.
    fn assumed(&self, at: At) -> Vec<String> {
        let own = self.way.questions.iter().filter(|q| q.matters && q.at == at && q.answer);
        own.flat_map(|q| q.texts.iter().cloned()).collect()
    }

    /// Tells of the rules that did not match: all, or those that nearly did and the number of the others.
    fn gather(&mut self) {
        let missed = std::mem::take(&mut self.missed);
        let Some(first) = missed.first().map(|(at, _)| *at) else { return };
        let mut near: Vec<usize> = (0..missed.len()).collect();
        if self.detail == Detail::Short {
            near.retain(|n| missed[*n].1.len() == 1 && self.asked(missed[*n].0) > 1);
            near.sort_by_key(|n| std::cmp::Reverse(self.asked(missed[*n].0)));
            near.truncate(NEAR);
            near.sort_unstable();
        }
        for n in &near {
            let (at, failed) = &missed[*n];
            let Some(line) = self.ruleset.line(*at) else { continue };
            let why = self.here.misses(&self.packet, line, failed);
            self.path.push(Station { place: place(self.ruleset, *at), matched: false, does: None, why });
        }
        let rest = missed.len() - near.len();
        if rest > 0 {
            let others = if near.is_empty() { "" } else { "other " };
            let why = match rest {
                1 => format!("1 {others}rule does not match"),
                _ => format!("{rest} {others}rules do not match"),
            };
            self.chain(first.table, first.chain, false, None, why);
        }
    }

    fn asked(&self, at: At) -> usize {
        self.ruleset.line(at).map_or(0, |line| line.conditions.len())
    }
}
