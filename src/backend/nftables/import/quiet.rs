//! What of a ruleset can decide nothing, whatever is known of its conditions: chains that no packet comes to, chains that only log and
//! count and lead back. Losing such a line changes the fate of no packet; it is told apart from what is missing.

use crate::rule::ruleset::{At, Chain, Line, Outcome, Ruleset, Verdict};
use std::collections::BTreeSet;

/// Why a line is not missed, where no packet comes to it.
pub(super) const UNREACHED: &str = "no packet comes to its chain: nothing leads there";
/// The same where packets come.
pub(super) const IDLE: &str = "nothing in its chain denies, translates or changes packets";

/// Why a jump is not missed.
pub(super) const NOWHERE: &str = "it leads to nothing that denies, translates or changes packets";

/// Chains by table and number.
type Place = (usize, usize);

/// Looks at what lines can do.
pub(super) struct Quiet<'a> {
    ruleset: &'a Ruleset,
    /// Chains to which a base chain leads.
    reached: BTreeSet<Place>,
    /// Chains to which a base chain leads that can deny, translate or change something.
    live: BTreeSet<Place>,
}

impl<'a> Quiet<'a> {
    pub(super) fn of(ruleset: &'a Ruleset) -> Self {
        let mut quiet = Self { ruleset, reached: BTreeSet::new(), live: BTreeSet::new() };
        let bases: Vec<Place> =
            ruleset.chains().filter(|(_, _, chain)| chain.base.is_some()).map(|(t, c, _)| (t, c)).collect();
        for base in bases {
            let all = quiet.led_to(base);
            if !quiet.is_idle(base) {
                quiet.live.extend(&all);
            }
            quiet.reached.extend(all);
        }
        quiet
    }

    fn chain(&self, (table, chain): Place) -> &'a Chain {
        &self.ruleset.tables[table].chains[chain]
    }

    /// A chain and those that it leads to.
    fn led_to(&self, from: Place) -> BTreeSet<Place> {
        let (mut found, mut open) = (BTreeSet::from([from]), vec![from]);
        while let Some((table, chain)) = open.pop() {
            let chains = &self.ruleset.tables[table].chains;
            let names: BTreeSet<&str> = chains[chain].lines.iter().flat_map(|line| line.outcome.chains()).collect();
            let places = chains.iter().enumerate().filter(|(_, chain)| names.contains(chain.name.as_str()));
            open.extend(places.map(|(n, _)| (table, n)).filter(|place| found.insert(*place)));
        }
        found
    }

    /// Whether a line is there on the way through a chain.
    fn has(&self, from: Place, of: impl Fn(&Line) -> bool) -> bool {
        self.led_to(from).into_iter().any(|place| self.chain(place).lines.iter().any(&of))
    }

    /// Whether a base chain changes the fate of no packet: it accepts in the end what comes, as it is.
    pub(super) fn is_idle(&self, base: Place) -> bool {
        let drops = self.chain(base).base.as_ref().is_some_and(|base| base.drops);
        let acts = |line: &Line| denies(&line.outcome) || line.outcome.translates() || !line.alters.is_empty();
        !drops && !self.has(base, acts)
    }

    /// Whether a base chain can keep a packet from its way.
    pub(super) fn may_deny(&self, base: Place) -> bool {
        let drops = self.chain(base).base.as_ref().is_some_and(|base| base.drops);
        drops || self.has(base, |line| denies(&line.outcome))
    }

    /// Whether a line decides about no packet and changes none, wherever it leads.
    pub(super) fn passes(&self, at: At, line: &Line) -> bool {
        let here = self.chain((at.table, at.chain));
        if acts(line) {
            return false;
        }
        if matches!(line.outcome, Outcome::Verdict(Verdict::Return | Verdict::Goto(_))) {
            return here.base.is_none() && !self.has((at.table, at.chain), acts);
        }
        let chains = &self.ruleset.tables[at.table].chains;
        let place = |to: &str| chains.iter().position(|chain| chain.name == to);
        line.outcome.chains().all(|to| place(to).is_some_and(|n| !self.has((at.table, n), acts)))
    }

    /// Why a line to which no way led decides nothing, where that is so.
    pub(super) fn why(&self, at: At, line: &Line) -> Option<&'static str> {
        let place = (at.table, at.chain);
        match () {
            () if !self.reached.contains(&place) => Some(UNREACHED),
            () if !self.live.contains(&place) => Some(IDLE),
            () if self.passes(at, line) => Some(IDLE),
            () => None,
        }
    }
}

/// Whether a line by itself decides about packets or changes them.
fn acts(line: &Line) -> bool {
    let accepts = match &line.outcome {
        Outcome::Verdict(verdict) => *verdict == Verdict::Accept,
        Outcome::ByKey(keys) => keys.iter().any(|(_, verdict)| *verdict == Verdict::Accept),
        Outcome::Next | Outcome::Unread(_) => false,
    };
    accepts || denies(&line.outcome) || line.outcome.translates() || !line.alters.is_empty()
}

/// Whether an outcome can end the way of a packet.
fn denies(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Next => false,
        Outcome::Verdict(verdict) => verdict.denies(),
        Outcome::ByKey(keys) => keys.iter().any(|(_, verdict)| verdict.denies()),
        Outcome::Unread(_) => true,
    }
}
