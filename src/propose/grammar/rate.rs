//! Rates, bursts and durations.

use super::super::lexer::{self, Kind};
use super::super::statement::{Rate, Traffic};
use super::super::vocabulary;
use super::{Found, Parser};
use crate::rule::{Per, Scope};
use std::num::NonZeroU32;

/// A rate with the traffic that may stand inside it: "at most 6 ssh connections per minute".
pub(super) struct Rated {
    pub rate: Rate,
    pub traffic: Vec<Traffic>,
    pub new: bool,
    /// "from each address": the source is said to be anyone.
    pub anyone: bool,
}

impl Parser<'_> {
    /// `at most 6 ssh connections per minute from each address with a burst of 3`.
    pub(super) fn rated(&self, at: usize) -> Found<Rated> {
        let mut out = Vec::new();
        for start in self.each(at, vocabulary::AT_MOST).into_iter().chain([at]) {
            for (count, next) in self.count(start) {
                for (traffic, noun) in self.counted_traffic(next) {
                    out.extend(self.per_unit(count, traffic, noun));
                }
            }
            if let Some(Kind::Rate(count, per)) = self.token(start).map(|t| &t.kind)
                && let Some(count) = NonZeroU32::new(*count)
            {
                let rate = Rate { count, per: *per, scope: Scope::Total, burst: None, packets: false };
                out.extend(self.scoped(rate, Vec::new(), self.reached(start + 1)));
            }
        }
        out
    }

    /// A number in digits or letters.
    fn count(&self, at: usize) -> Found<NonZeroU32> {
        let number = match self.token(at).map(|t| &t.kind) {
            Some(Kind::Number(number)) => Some(*number),
            _ => vocabulary::NUMBERS.iter().find(|(word, _)| *word == self.text(at)).map(|(_, n)| *n),
        };
        let count = number.and_then(|n| u32::try_from(n).ok()).and_then(NonZeroU32::new);
        count.into_iter().map(|n| (n, self.reached(at + 1))).collect()
    }

    /// Nothing, or what is counted.
    fn counted_traffic(&self, at: usize) -> Found<Vec<Traffic>> {
        let start = self.past(at, &["new"]);
        let mut out = vec![(Vec::new(), start)];
        out.extend(self.traffic_list(start));
        out
    }

    fn per_unit(&self, count: NonZeroU32, traffic: Vec<Traffic>, at: usize) -> Found<Rated> {
        let before = at.checked_sub(1).map_or("", |n| self.text(n));
        let packets_before = vocabulary::PACKETS.contains(&before);
        let packets = self.any(at, vocabulary::PACKETS);
        let nouns = packets.or_else(|| self.any(at, vocabulary::COUNTED)).unwrap_or(at);
        let unit = |at: usize| lexer::per(self.text(at)).map(|per| (per, self.reached(at + 1)));
        let Some((per, next)) = self.any(nouns, vocabulary::PER).and_then(unit).or_else(|| self.rate_word(nouns))
        else {
            return Vec::new();
        };
        let rate = Rate { count, per, scope: Scope::Total, burst: None, packets: packets.is_some() || packets_before };
        self.scoped(rate, traffic, next)
    }

    fn rate_word(&self, at: usize) -> Option<(Per, usize)> {
        let per = match self.text(at) {
            "hourly" => Per::Hour,
            "daily" => Per::Day,
            _ => return None,
        };
        Some((per, self.reached(at + 1)))
    }

    /// The rate with what is counted together and the burst, in either order.
    fn scoped(&self, rate: Rate, traffic: Vec<Traffic>, at: usize) -> Found<Rated> {
        let rated = |rate: Rate, anyone| Rated { rate, traffic: traffic.clone(), new: !rate.packets, anyone };
        let mut out = Vec::new();
        for (rate, next) in self.with_burst(rate, at) {
            out.push((rated(rate, false), next));
            for (scope, anyone, after) in self.scope(next) {
                for (rate, end) in self.with_burst(Rate { scope, ..rate }, after) {
                    out.push((rated(rate, anyone), end));
                }
            }
        }
        out
    }

    fn scope(&self, at: usize) -> Vec<(Scope, bool, usize)> {
        let start = self.past_comma(at);
        let source = self.any(start, vocabulary::EACH_SOURCE).map(|next| (Scope::Source, true, next));
        let total = self.any(start, vocabulary::IN_ALL).map(|next| (Scope::Total, false, next));
        source.into_iter().chain(total).collect()
    }

    fn with_burst(&self, rate: Rate, at: usize) -> Found<Rate> {
        let mut out = vec![(rate, at)];
        let start = self.past_comma(at);
        if rate.burst.is_none()
            && let Some(next) = self.any(start, vocabulary::BURST)
        {
            for (burst, after) in self.count(next) {
                let after = self
                    .any(after, vocabulary::PACKETS)
                    .or_else(|| self.any(after, vocabulary::COUNTED))
                    .unwrap_or(after);
                out.push((Rate { burst: Some(burst.get()), ..rate }, after));
            }
        }
        out
    }

    /// `for 2 hours`, `for the next 10 minutes`, `for an hour`, in seconds.
    pub(super) fn duration(&self, at: usize) -> Found<u64> {
        let mut out = Vec::new();
        for start in self.each(at, vocabulary::DURATION) {
            out.extend(self.span(start));
        }
        out.into_iter().filter(|(seconds, _)| *seconds > 0).collect()
    }

    fn span(&self, at: usize) -> Found<u64> {
        if let Some((text, seconds)) = vocabulary::SPANS.iter().find(|(text, _)| self.one(at, text).is_some()) {
            return vec![(*seconds, self.reached(at + text.split(' ').count()))];
        }
        let Some((first, next)) = self.amount(at) else { return Vec::new() };
        let mut out = vec![(first, next)];
        let more = self.past(next, &["and"]);
        if let Some((second, after)) = self.amount(more).filter(|(second, _)| *second < first) {
            out = vec![(first.saturating_add(second), after)];
        }
        out
    }

    /// A number and a unit: `2 hours`, `45min`, `an hour`.
    fn amount(&self, at: usize) -> Option<(u64, usize)> {
        match self.token(at).map(|t| &t.kind) {
            Some(Kind::Duration(seconds)) => Some((*seconds, self.reached(at + 1))),
            Some(Kind::Number(number)) => self.unit(*number, at + 1),
            _ => {
                let (_, number) = vocabulary::NUMBERS.iter().find(|(word, _)| *word == self.text(at))?;
                self.unit(*number, at + 1)
            }
        }
    }

    fn unit(&self, number: u64, at: usize) -> Option<(u64, usize)> {
        let seconds = lexer::seconds_of(self.text(at))?.checked_mul(number)?;
        Some((seconds, self.reached(at + 1)))
    }
}
