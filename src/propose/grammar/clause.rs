//! Whole sentences: openers, clauses, what joins them, the end.

use super::super::lexer::Kind;
use super::super::refusal::Code;
use super::super::statement::Statement;
use super::super::vocabulary;
use super::Parser;

impl Parser<'_> {
    /// Every reading of the whole sentence.
    pub(super) fn sentence(&self) -> Vec<Vec<Statement>> {
        let mut out: Vec<Vec<Statement>> = Vec::new();
        for reading in self.clauses(0) {
            if !out.contains(&reading) {
                out.push(reading);
            }
        }
        out
    }

    fn clauses(&self, at: usize) -> Vec<Vec<Statement>> {
        let mut out = Vec::new();
        let mut clauses: Vec<(Statement, usize)> = Vec::new();
        for start in self.openings(at) {
            for found in self.clause(start) {
                if !clauses.contains(&found) {
                    clauses.push(found);
                }
            }
        }
        for (first, next) in clauses {
            let stop = self.stops(next);
            if stop == self.tokens.len() {
                out.push(vec![first]);
                continue;
            }
            if !self.step() {
                return out;
            }
            out.extend(self.followed(&first, next, stop));
        }
        out
    }

    /// The readings with another clause after this one.
    fn followed(&self, first: &Statement, next: usize, stop: usize) -> Vec<Vec<Statement>> {
        let mut joints: Vec<usize> = if stop > next { vec![stop] } else { Vec::new() };
        let comma = self.past_comma(next);
        joints.extend(self.each(comma, vocabulary::THEN));
        if comma > next {
            joints.push(comma);
        }
        let mut out = Vec::new();
        for joint in joints {
            for rest in self.clauses(joint) {
                let shared = stop == next && rest.first().is_some_and(|second| shares(first, second));
                if shared {
                    self.bad(next, Code::Ambiguous, "whether what follows is said of both parts is not clear");
                    continue;
                }
                out.push([vec![first.clone()], rest].concat());
            }
        }
        out
    }

    /// The places after any number of openers.
    fn openings(&self, at: usize) -> Vec<usize> {
        let mut out = vec![at];
        let mut next = at;
        while let Some(after) = self.any(self.past_comma(next), vocabulary::OPENERS) {
            next = after;
            out.push(self.past_comma(next));
            out.push(next);
        }
        out.dedup();
        out
    }

    /// Past full stops and question marks.
    fn stops(&self, at: usize) -> usize {
        let mut next = at;
        while self.is(next, &Kind::Stop) || self.is(next, &Kind::Question) {
            next += 1;
        }
        next
    }
}

/// Whether the second clause says something that may be meant of the first as well: "block ssh and allow http from the lan".
fn shares(first: &Statement, second: &Statement) -> bool {
    let from = first.from.is_unsaid() && !second.from.is_unsaid();
    let to = first.to.is_unsaid() && !second.to.is_unsaid();
    let time = first.seconds.is_none() && second.seconds.is_some();
    let rate = first.rate.is_none() && second.rate.is_some() && second.act != super::super::statement::Act::Limit;
    let faces = |s: &Statement| !s.on.is_empty() || !s.entering.is_empty() || !s.leaving.is_empty();
    from || to || time || rate || !faces(first) && faces(second)
}
