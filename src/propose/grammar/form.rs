//! Clauses: orders ("block ssh"), permissions ("guests may not reach the printer"), descriptions ("ssh is not allowed").

use super::super::lexer::Kind;
use super::super::refusal::Code;
use super::super::statement::{Act, End, Ends, Only, Statement};
use super::super::vocabulary;
use super::{Found, Parser};
use crate::packet::AddressSpec;

/// Between a named source and what it shall not do.
const KEEP_FROM: super::Phrases = &["from"];

impl Parser<'_> {
    /// Every reading of one clause from `at`.
    pub(super) fn clause(&self, at: usize) -> Found<Statement> {
        let mut out = self.order(at);
        out.extend(self.permission(at));
        out.extend(self.description(at));
        out.extend(self.refusal_of(at));
        out.extend(self.pardon(at));
        out.extend(self.limit_each(at));
        out.retain(|(s, _)| !s.temporary || s.seconds.is_some() || self.no_time(at));
        out
    }

    fn no_time(&self, at: usize) -> bool {
        self.bad(at, Code::Missing, "for how long is not said; write `for 2 hours`");
        false
    }

    /// "block …", "do not allow …", "only allow …", "for 2 hours, block …".
    fn order(&self, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (before, start) in self.before_verb(at) {
            let (only, start) = match self.any(start, vocabulary::ONLY) {
                Some(next) => (true, next),
                None => (false, start),
            };
            for (verb, next) in self.verbs(start) {
                let said = Statement { seconds: before.seconds, temporary: before.temporary, ..verb };
                for (s, end) in self.ordered(&said, next) {
                    out.extend(if only { narrowed(s, end) } else { vec![(s, end)] });
                }
            }
        }
        out
    }

    /// What may stand before the verb: a time, "temporarily", "permanently".
    fn before_verb(&self, at: usize) -> Found<Statement> {
        let empty = Statement::new(Act::Drop);
        let mut out = vec![(empty.clone(), at)];
        out.extend(self.any(at, vocabulary::TEMPORARILY).map(|n| (Statement { temporary: true, ..empty.clone() }, n)));
        out.extend(self.any(at, vocabulary::FOREVER).map(|n| (empty.clone(), n)));
        out.extend(self.any(at, vocabulary::FILLERS).map(|n| (empty.clone(), n)));
        for (seconds, next) in self.duration(at) {
            out.push((Statement { seconds: Some(seconds), ..empty.clone() }, self.past_comma(next)));
        }
        out
    }

    /// A verb with its "do not" and its "and log".
    fn verbs(&self, at: usize) -> Found<Statement> {
        let mut out: Found<Statement> =
            self.tagged(at, vocabulary::VERBS).into_iter().map(|(act, n)| (Statement::new(act), n)).collect();
        for not in self.each(at, vocabulary::DO_NOT) {
            let next = self.past(not, vocabulary::OPENERS);
            out.extend(self.any(next, vocabulary::NEGATABLE).map(|n| (Statement::new(Act::Drop), n)));
            if vocabulary::DO_NOT.contains(&self.text(at))
                || self.any(next, &["block", "deny", "drop", "ban", "reject"]).is_some()
            {
                self.bad(next, Code::Ambiguous, "what shall not be denied: say what shall be allowed, or which block shall end (`unblock 192.0.2.1`)");
            }
        }
        let mut logged = Vec::new();
        for (verb, next) in &out {
            // "log and drop", "drop and log"
            if verb.act == Act::Log {
                let second = self
                    .any(next.to_owned(), &["and", "and then", "then"])
                    .map(|n| self.tagged(n, vocabulary::VERBS))
                    .unwrap_or_default();
                logged.extend(
                    second
                        .into_iter()
                        .filter(|(act, _)| *act != Act::Log)
                        .map(|(act, n)| (Statement { log: true, ..Statement::new(act) }, n)),
                );
            } else if let Some(n) = self.any(*next, &["and log", "and record", "and also log"]) {
                logged.push((Statement { log: true, ..verb.clone() }, n));
            }
        }
        out.extend(logged);
        out
    }

    /// What an order is about.
    fn ordered(&self, verb: &Statement, at: usize) -> Found<Statement> {
        let mut out = self.rest(verb, at);
        if let Some(next) = self.any(at, &["no"]).filter(|_| verb.act == Act::Allow) {
            return self.rest(&Statement { act: Act::Drop, ..verb.clone() }, next);
        }
        if let Some(next) = self.any(at, vocabulary::ONLY) {
            for (s, end) in self.rest(verb, next) {
                let only = Some(Only::Rest).filter(|_| verb.act == Act::Allow);
                out.push((Statement { only: s.only.or(only), ..s }, end));
            }
            for (s, end) in self.object(verb, next) {
                let only = Some(Only::Source).filter(|_| verb.act == Act::Allow && s.object_as_source);
                out.push((Statement { only, ..s }, end));
            }
        }
        out.extend(self.object(verb, at));
        out
    }

    /// "ban 192.0.2.1", "let the vpn reach …", "block guests from the printer", "block the printer from guests".
    fn object(&self, verb: &Statement, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (ends, next) in self.ends(at) {
            let source = Statement { from: ends.clone(), object_as_source: true, ..verb.clone() };
            if let Some((range, after)) = self.span_of(&ends, next) {
                out.extend(self.rest(&Statement { from: range, ..source.clone() }, after));
            }
            for start in self.each(next, &["to"]).into_iter().chain([next]) {
                out.extend(self.predicate(&source, start));
            }
            let person = (!ends.is_anywhere() || self.people(at)) && !is_both_sides(&ends);
            if verb.act.denies() {
                out.extend(self.kept_from(&source, next, person));
            }
            if person {
                out.extend(self.rest(&source, next));
                out.extend(self.as_destination(verb, &ends, next));
            }
        }
        out
    }

    /// "block 192.0.2.1 to 192.0.2.9" may name a range as well as a way.
    fn span_of(&self, ends: &Ends, at: usize) -> Option<(Ends, usize)> {
        let next = self.any(at, &["to"])?;
        let ([End::Address(first)], true) = (ends.of.as_slice(), ends.but.is_empty()) else { return None };
        let Some(Kind::Address(last)) = self.token(next).map(|t| &t.kind) else { return None };
        let range = AddressSpec::range(first.as_single()?, last.as_single()?).ok()?;
        Some((Ends { of: vec![End::Address(range)], but: Vec::new() }, self.reached(next + 1)))
    }

    /// "… from the printer", "… from reaching the printer", "… from using ssh".
    fn kept_from(&self, source: &Statement, at: usize, person: bool) -> Found<Statement> {
        let mut out = Vec::new();
        for next in self.each(at, KEEP_FROM) {
            out.extend(self.predicate(source, next));
            if !person {
                continue;
            }
            for (to, after) in self.ends(next) {
                out.extend(self.rest(&Statement { to, ..source.clone() }, after));
            }
            for (traffic, after) in self.traffic_list(next) {
                out.extend(self.rest(&Statement { traffic, ..source.clone() }, after));
            }
        }
        out
    }

    /// "block the printer from guests": the object is the destination. A named host may be either.
    fn as_destination(&self, verb: &Statement, ends: &Ends, at: usize) -> Found<Statement> {
        let host = ends.of.iter().any(|end| matches!(end, End::Host(..)));
        let said = Statement { to: ends.clone(), ..verb.clone() };
        let found = self.rest(&said, at);
        found.into_iter().filter(|(s, _)| host && !s.all || !s.from.of.is_empty()).collect()
    }

    /// What a subject does: reach a place, use a service, "ssh to" a place.
    fn predicate(&self, s: &Statement, at: usize) -> Found<Statement> {
        let (only, start) = self.only_rest(s, at);
        let mut out = Vec::new();
        for next in self.each(start, vocabulary::REACH) {
            let (only, next) = if only.is_some() { (only, next) } else { self.only_rest(s, next) };
            let said = Statement { only: only.or(s.only), ..s.clone() };
            for (to, after) in self.ends(next) {
                out.extend(self.rest(&Statement { to, ..said.clone() }, after));
            }
            for (traffic, after) in self.traffic_list(next) {
                out.extend(self.rest(&Statement { traffic, ..said.clone() }, after));
            }
            out.extend(self.rest(&said, next).into_iter().filter(|(s, _)| !s.to.is_unsaid() || !s.traffic.is_empty()));
        }
        let said = Statement { only: only.or(s.only), ..s.clone() };
        for next in self.each(start, vocabulary::USE) {
            for (traffic, after) in self.traffic_list(next) {
                out.extend(self.rest(&Statement { traffic, ..said.clone() }, after));
            }
        }
        for (traffic, next) in self.traffic_list(start) {
            let verb = Statement { traffic, ..said.clone() };
            let to = self.past(next, &["to", "into"]);
            for (to, after) in self.ends(to) {
                out.extend(self.rest(&Statement { to, ..verb.clone() }, after));
            }
        }
        out
    }

    fn only_rest(&self, s: &Statement, at: usize) -> (Option<Only>, usize) {
        match self.any(at, vocabulary::ONLY).filter(|_| s.act == Act::Allow) {
            Some(next) => (Some(Only::Rest), next),
            None => (None, at),
        }
    }

    /// "guests must not reach the printer", "only the office may use ssh", "nobody but the lan may …".
    fn permission(&self, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (subject, next) in self.subjects(at) {
            for (allow, verb) in [(true, vocabulary::MAY), (false, vocabulary::MAY_NOT)] {
                for start in self.each(next, verb) {
                    let Some(said) = modal(&subject, allow) else { continue };
                    out.extend(self.predicate(&said, start));
                }
            }
        }
        out
    }

    /// Who may or may not: the act tells "nobody" (drop) from everybody else (allow).
    fn subjects(&self, at: usize) -> Found<Statement> {
        let allow = Statement { object_as_source: true, ..Statement::new(Act::Allow) };
        let mut out = Vec::new();
        let only = self.any(at, vocabulary::ONLY);
        for (from, next) in self.ends(only.unwrap_or(at)) {
            let only = only.map(|_| Only::Source);
            out.push((Statement { from, only, ..allow.clone() }, next));
        }
        for next in self.each(at, vocabulary::NOBODY) {
            out.push((Statement { act: Act::Drop, object_as_source: false, ..allow.clone() }, next));
            for except in self.each(next, vocabulary::EXCEPT) {
                for (of, after) in self.end_list(except) {
                    let from = Ends { of, but: Vec::new() };
                    out.push((Statement { from, only: Some(Only::Source), ..allow.clone() }, after));
                }
            }
        }
        out
    }

    /// "ssh from the guest vlan is not allowed", "192.0.2.1 must be blocked", "the web server must be reachable from the lan".
    fn description(&self, at: usize) -> Found<Statement> {
        let only = self.any(at, vocabulary::ONLY);
        let start = only.unwrap_or(at);
        let mut out = Vec::new();
        for (subject, next) in self.topics(start) {
            for (said, after) in self.verdict(&subject, next) {
                for (s, end) in self.rest(&said, after) {
                    let rest = Some(Only::Rest).filter(|_| only.is_some() && s.act == Act::Allow);
                    let only = s.only.or(rest);
                    out.push((Statement { only, ..s }, end));
                }
            }
        }
        out
    }

    /// Traffic or places that something is said of.
    fn topics(&self, at: usize) -> Found<Statement> {
        let open = Statement::new(Act::Allow);
        let mut out: Found<Statement> = self.rest(&open, at).into_iter().filter(|(_, next)| *next > at).collect();
        for (ends, next) in self.ends(at).into_iter().filter(|(e, _)| !e.is_anywhere()) {
            out.push((Statement { from: ends.clone(), object_as_source: true, ..open.clone() }, next));
            out.push((Statement { to: ends, ..open.clone() }, next));
        }
        out
    }

    /// "is [not] [only] allowed", "must [not] be reachable".
    fn verdict(&self, subject: &Statement, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (positive, list) in [(true, vocabulary::IS), (false, vocabulary::IS_NOT), (true, vocabulary::IS_ONLY)] {
            for next in self.each(at, list) {
                let only = self.any(next, vocabulary::ONLY).filter(|_| positive);
                let narrow = only.map(|_| Only::Source).or(Some(Only::Source).filter(|_| list == vocabulary::IS_ONLY));
                let next = only.unwrap_or(next);
                let destination = !subject.to.is_unsaid() && subject.from.is_unsaid();
                let dones = self.tagged(next, vocabulary::DONE).into_iter().chain(
                    self.any(next, vocabulary::REACHABLE)
                        .filter(|_| !subject.object_as_source)
                        .map(|n| (Act::Allow, n)),
                );
                for (act, after) in dones {
                    let reach = self.any(next, vocabulary::REACHABLE).is_some();
                    let fits =
                        reach || !destination || subject.all || !subject.traffic.is_empty() || self.is_host(subject);
                    if let Some(act) = turned(act, positive).filter(|_| fits) {
                        out.push((Statement { act, only: subject.only.or(narrow), ..subject.clone() }, after));
                    }
                }
            }
        }
        out
    }

    fn is_host(&self, s: &Statement) -> bool {
        s.to.of.iter().any(|end| matches!(end, End::Host(..)))
    }

    /// "no ssh from the guest vlan", "no traffic from 192.0.2.1 is allowed".
    fn refusal_of(&self, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for next in self.each(at, &["no", "no more", "not any"]) {
            for (said, after) in self.rest(&Statement::new(Act::Drop), next).into_iter().filter(|(_, n)| *n > next) {
                for is in self.each(after, vocabulary::IS) {
                    let done = self.tagged(is, vocabulary::DONE).into_iter().filter(|(act, _)| *act == Act::Allow);
                    out.extend(done.flat_map(|(_, end)| self.rest(&said, end)));
                    let modal = self.any(is, vocabulary::REACHABLE);
                    out.extend(modal.into_iter().flat_map(|end| self.rest(&said, end)));
                }
                out.push((said, after));
            }
        }
        out
    }

    /// "unblock 192.0.2.1".
    fn pardon(&self, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for next in self.each(at, vocabulary::REMOVE) {
            for (from, after) in self.ends(next) {
                let addresses = from.but.is_empty() && from.of.iter().all(|end| matches!(end, End::Address(_)));
                if addresses {
                    out.push((
                        Statement { from, unblock: true, ..Statement::new(Act::Allow) },
                        self.past(after, vocabulary::FILLERS),
                    ));
                }
            }
        }
        out
    }

    /// "limit each source to 10 ssh connections per minute".
    fn limit_each(&self, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (act, next) in
            self.tagged(at, vocabulary::VERBS).into_iter().filter(|(act, _)| matches!(act, Act::Limit | Act::Allow))
        {
            let Some(source) = self.any(next, vocabulary::SOURCES_OBJECT) else { continue };
            let from = Ends { of: vec![End::Anywhere], but: Vec::new() };
            for (s, after) in self.rest(&Statement { from, ..Statement::new(act) }, source) {
                if let Some(rate) = s.rate {
                    let rate = Some(super::super::statement::Rate { scope: crate::rule::Scope::Source, ..rate });
                    out.push((Statement { rate, ..s }, after));
                }
            }
        }
        out
    }
}

/// Whether a place alone does not say on which side of the packets it is: "open the firewall", "block the internet".
fn is_both_sides(ends: &Ends) -> bool {
    ends.of.iter().any(|end| *end == End::Here || matches!(end, End::Zone(name, _) if name == "wan"))
}

/// What a participle says with or without its "not". What is not denied is not thereby allowed.
fn turned(act: Act, positive: bool) -> Option<Act> {
    match (act, positive) {
        (act, true) => Some(act),
        (Act::Allow, false) => Some(Act::Drop),
        _ => None,
    }
}

/// A subject with "may" or "may not": "nobody may" denies, "only X may not" has no plain meaning.
fn modal(subject: &Statement, allow: bool) -> Option<Statement> {
    match (subject.act, allow, subject.only) {
        (_, true, _) => Some(subject.clone()),
        (Act::Allow, false, None) => Some(Statement { act: Act::Drop, ..subject.clone() }),
        _ => None,
    }
}

/// "only allow ssh from the lan": ssh from nowhere else, or nothing else from the lan; both are given.
fn narrowed(s: Statement, end: usize) -> Found<Statement> {
    match (s.act, s.from.is_open()) {
        (Act::Allow, false) if s.only.is_none() => {
            let with = |only| (Statement { only: Some(only), ..s.clone() }, end);
            let nothing_else = (!s.traffic.is_empty()).then(|| with(Only::Rest));
            [with(Only::Source)].into_iter().chain(nothing_else).collect()
        }
        (Act::Allow, true) if s.only.is_none() => vec![(Statement { only: Some(Only::Rest), ..s }, end)],
        (Act::Allow, _) => vec![(s, end)],
        _ => Vec::new(),
    }
}
