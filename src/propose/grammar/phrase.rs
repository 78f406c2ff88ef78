//! What may follow a verb or a subject, in any order, each at most once.

use super::super::lexer::Kind;
use super::super::refusal::Code;
use super::super::statement::{Act, End, Ends, Only, Statement, Traffic};
use super::super::vocabulary;
use super::{Found, Parser};
use crate::packet::{InterfacePattern, PortRange};
use crate::rule::FamilyMatch;

const MORE_THAN: super::Phrases = &[
    "more than",
    "over",
    "above",
    "in excess of",
    "exceeding",
    "beyond",
    "faster than",
    "that exceed",
    "that exceeds",
    "anything over",
    "if there are more than",
    "after",
];
const STATE_WORDS: super::Phrases = &[
    "in state",
    "with state",
    "whose state is",
    "in the state",
    "with connection state",
    "state",
    "ctstate",
    "that are",
    "which are",
    "belonging to",
    "with the state",
    "in states",
    "with the states",
];

impl Parser<'_> {
    /// Every way to go on with phrases after `at`, none of them included.
    pub(super) fn rest(&self, statement: &Statement, at: usize) -> Found<Statement> {
        let mut out: Found<Statement> = Vec::new();
        let mut open = vec![(statement.clone(), at)];
        while let Some((said, next)) = open.pop() {
            if !self.step() {
                return out;
            }
            if out.iter().any(|(known, end)| *end == next && *known == said) {
                continue;
            }
            open.extend(self.phrase(&said, next));
            out.push((said, next));
        }
        out
    }

    fn phrase(&self, s: &Statement, at: usize) -> Found<Statement> {
        let at = self.past_comma(at);
        if self.token(at).is_none() {
            return Vec::new();
        }
        let mut out: Found<Statement> = self.any(at, vocabulary::FILLERS).map(|n| (s.clone(), n)).into_iter().collect();
        self.qualities(s, at, &mut out);
        self.objects(s, at, &mut out);
        self.sources(s, at, &mut out);
        self.destinations(s, at, &mut out);
        self.interfaces(s, at, &mut out);
        self.exceptions(s, at, &mut out);
        self.terms(s, at, &mut out);
        out
    }

    /// Direction, connection state and family.
    fn qualities(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        if s.way.is_none() {
            for (way, next) in self.tagged(at, vocabulary::WAYS) {
                out.push((Statement { way: Some(way), ..s.clone() }, next));
            }
        }
        if s.states.is_empty() {
            for start in self.each(at, STATE_WORDS).into_iter().chain([at]) {
                out.extend(self.states(s, start));
            }
        }
        if s.family == FamilyMatch::Any {
            let start = self.past(at, &["over", "on", "via", "using"]);
            for (family, list) in [(FamilyMatch::Ipv4, vocabulary::V4), (FamilyMatch::Ipv6, vocabulary::V6)] {
                out.extend(self.any(start, list).map(|n| (Statement { family, ..s.clone() }, n)));
            }
        }
    }

    fn states(&self, s: &Statement, at: usize) -> Found<Statement> {
        let mut out: Found<Statement> = Vec::new();
        let mut start = at;
        let mut states = Vec::new();
        while let Some((state, next)) = self.tagged(start, vocabulary::STATES).into_iter().next() {
            states.push(state);
            out.push((Statement { states: states.clone(), ..s.clone() }, next));
            let Some(joined) = self.joined(next).first().copied() else { break };
            start = joined;
        }
        out
    }

    /// The traffic that is spoken of.
    fn objects(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        let noun = self.past(self.past(at, vocabulary::ALL), vocabulary::ARTICLES);
        let noun = self.past(noun, &["other"]);
        if s.traffic.is_empty() && !s.all {
            let bare =
                self.each(noun, vocabulary::TRAFFIC_NOUNS).into_iter().chain(self.each(at, vocabulary::EVERYTHING));
            out.extend(bare.map(|n| (Statement { all: true, ..s.clone() }, n)));
            out.extend(self.zone_traffic(s, noun));
        } else if s.all || s.object_as_source {
            out.extend(self.each(noun, vocabulary::TRAFFIC_NOUNS).into_iter().map(|n| (s.clone(), n)));
        }
        if s.traffic.is_empty() {
            for (traffic, next) in self.traffic_list(at) {
                out.push((Statement { traffic, ..s.clone() }, next));
            }
        }
        for start in self.each(at, vocabulary::WITH) {
            for (traffic, next) in self.traffic_list(start) {
                out.extend(self.combined(s, traffic, start).map(|said| (said, next)));
            }
        }
        for (traffic, next) in self.traffic_list(at).into_iter().filter(|_| !s.traffic.is_empty()) {
            let narrower = traffic
                .iter()
                .all(|t| matches!(t, Traffic::Flow { source_ports, .. } if !source_ports.is_empty()) || is_portless(t));
            let said = if narrower || s.traffic.iter().all(is_portless) { self.combined(s, traffic, at) } else { None };
            out.extend(said.map(|said| (said, next)));
        }
    }

    /// "guest traffic": the zone is the source.
    fn zone_traffic(&self, s: &Statement, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (of, next) in self.end_list(at) {
            let zones = of.len() == 1 && of.iter().all(|end| matches!(end, End::Zone(..)));
            if let Some(after) = self.any(next, &["traffic", "packets"]).filter(|_| zones && s.from.is_unsaid()) {
                let from = Ends { of, but: Vec::new() };
                out.push((Statement { from, all: true, ..s.clone() }, after));
            }
        }
        out
    }

    /// The statement with more said of its traffic, where both fit together.
    fn combined(&self, s: &Statement, more: Vec<Traffic>, at: usize) -> Option<Statement> {
        if s.traffic.is_empty() {
            return Some(Statement { traffic: more, ..s.clone() });
        }
        let both = s
            .traffic
            .iter()
            .map(|a| more.iter().map(|b| meet(a, b)).collect::<Option<Vec<_>>>())
            .collect::<Option<Vec<_>>>();
        match both {
            Some(traffic) => Some(Statement { traffic: traffic.concat(), ..s.clone() }),
            None => {
                self.bad(
                    at,
                    Code::Contradiction,
                    "this does not go together with the service that was named; say protocol and port alone",
                );
                None
            }
        }
    }

    fn sources(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        let (only, start) = match self.any(at, vocabulary::ONLY) {
            Some(next) => (s.only.or(Some(Only::Source).filter(|_| s.act == Act::Allow)), next),
            None => (s.only, at),
        };
        if s.from.of.is_empty() {
            for next in self.each(start, vocabulary::FROM) {
                for (from, after) in self.ends(next) {
                    out.extend(self.with_sources(Statement { only, ..s.clone() }, from, after));
                }
            }
            for next in self.each(start, vocabulary::FOR) {
                for (from, after) in self.ends(next).into_iter().filter(|(e, _)| !e.is_anywhere() || self.people(next))
                {
                    self.for_ends(&Statement { only, ..s.clone() }, from, after, out);
                }
            }
        }
        for next in self.each(start, vocabulary::FROM).into_iter().filter(|_| start == at) {
            if let Some(after) = self.any(next, &["port", "ports"]) {
                out.extend(
                    self.port_list(after, true)
                        .into_iter()
                        .filter_map(|(ports, end)| Some((with_source_ports(s, &ports)?, end))),
                );
            }
        }
        if s.from.is_unsaid() && s.to.is_unsaid() {
            for next in self.each(start, vocabulary::BETWEEN) {
                out.extend(self.between(s, next));
            }
        }
    }

    /// The statement with its sources; an "only" after them narrows them.
    fn with_sources(&self, s: Statement, from: Ends, at: usize) -> Found<Statement> {
        let but = if from.but.is_empty() { s.from.but.clone() } else { from.but };
        let said = Statement { from: Ends { of: from.of, but }, ..s };
        let mut out = vec![(said.clone(), at)];
        // "from 192.0.2.1 port 53": the port of the source as well as one that it wants to reach
        if let Some(next) = self.any(at, &["port", "ports"]) {
            let ports = self.port_list(next, true);
            out.extend(ports.into_iter().filter_map(|(ports, end)| Some((with_source_ports(&said, &ports)?, end))));
        }
        if let Some(next) =
            self.any(at, &["only", "alone", "exclusively"]).filter(|_| said.act == Act::Allow && said.only.is_none())
        {
            out.push((Statement { only: Some(Only::Source), ..said }, next));
        }
        out
    }

    /// "for the office" is a source; "for the web server" may also be the destination.
    fn for_ends(&self, s: &Statement, ends: Ends, at: usize, out: &mut Found<Statement>) {
        let host = ends.of.iter().any(|end| matches!(end, End::Host(..)));
        if host && s.to.is_unsaid() && s.only.is_none() {
            out.push((Statement { to: ends.clone(), ..s.clone() }, at));
        }
        out.push((Statement { from: ends, ..s.clone() }, at));
    }

    /// Whether the word at `at` speaks of people or machines rather than of traffic.
    pub(super) fn people(&self, at: usize) -> bool {
        let words = ["anyone", "everyone", "everybody", "anybody", "anywhere"];
        words.contains(&self.text(at)) || ["hosts", "clients", "addresses", "sources"].contains(&self.text(at + 1))
    }

    /// `between A and B`: both ways.
    fn between(&self, s: &Statement, at: usize) -> Found<Statement> {
        let mut out = Vec::new();
        for (a, next) in self.end_list(at).into_iter().filter(|(a, _)| a.len() == 1) {
            let Some(joined) = self.any(next, &["and"]) else { continue };
            for (b, after) in self.end_list(joined).into_iter().filter(|(b, _)| b.len() == 1) {
                let (from, to) = (Ends { of: a.clone(), but: Vec::new() }, Ends { of: b, but: Vec::new() });
                out.push((Statement { from, to, both_ways: true, ..s.clone() }, after));
            }
        }
        out
    }

    fn destinations(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        for next in self.each(at, vocabulary::TO) {
            if s.to.of.is_empty() {
                out.extend(self.ends(next).into_iter().map(|(to, after)| (Statement { to, ..s.clone() }, after)));
            }
            // "to any port 22" says no destination
            if let Some(after) = self.any(next, &["any port", "any ports"]) {
                for (ports, end) in self.port_list(after, true) {
                    let ports = vec![Traffic::Flow { protocols: Vec::new(), ports, source_ports: Vec::new() }];
                    out.extend(self.combined(s, ports, after).map(|said| (said, end)));
                }
            }
            if s.all && s.traffic.is_empty() && s.rate.is_none() && s.act != Act::Limit {
                out.extend(self.bare_port(s, next));
            }
        }
        if s.to.of.is_empty() {
            for next in self.each(at, vocabulary::ON).into_iter().chain(self.each(at, &["of", "in", "inside"])) {
                let hosts = self
                    .ends(next)
                    .into_iter()
                    .filter(|(e, _)| e.of.iter().all(|end| matches!(end, End::Here | End::Host(..) | End::Address(_))));
                out.extend(hosts.map(|(to, after)| (Statement { to, ..s.clone() }, after)));
            }
        }
    }

    /// "connections to 3389": a number that follows connections is a port.
    fn bare_port(&self, s: &Statement, at: usize) -> Found<Statement> {
        let counted = matches!(self.token(at + 1).map(|t| &t.kind), Some(Kind::Word))
            && self.any(at + 1, vocabulary::PER).is_some();
        if counted || !matches!(self.token(at).map(|t| &t.kind), Some(Kind::Number(_) | Kind::Ports(_))) {
            return Vec::new();
        }
        let flow =
            |ports: Vec<PortRange>| vec![Traffic::Flow { protocols: Vec::new(), ports, source_ports: Vec::new() }];
        self.port_list(at, false)
            .into_iter()
            .map(|(ports, after)| (Statement { traffic: flow(ports), ..s.clone() }, after))
            .collect()
    }

    fn interfaces(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        if !s.on.is_empty() || !s.entering.is_empty() && !s.leaving.is_empty() {
            return;
        }
        let (only, start) = match self.any(at, vocabulary::ONLY) {
            Some(next) => (s.only.or(Some(Only::Source).filter(|_| s.act == Act::Allow)), next),
            None => (s.only, at),
        };
        let s = &Statement { only, ..s.clone() };
        for next in self.each(start, vocabulary::ON) {
            for (on, after) in self.zones(next) {
                let said = Statement { on, ..s.clone() };
                let only = self.any(after, &["only", "alone"]).filter(|_| s.act == Act::Allow && s.only.is_none());
                out.extend(only.map(|end| (Statement { only: Some(Only::Source), ..said.clone() }, end)));
                out.push((said, after));
            }
        }
        if s.entering.is_empty() {
            for next in self.each(start, vocabulary::ENTERING) {
                out.extend(
                    self.zones(next).into_iter().map(|(entering, after)| (Statement { entering, ..s.clone() }, after)),
                );
            }
        }
        if s.leaving.is_empty() {
            for next in self.each(start, vocabulary::LEAVING) {
                out.extend(
                    self.zones(next).into_iter().map(|(leaving, after)| (Statement { leaving, ..s.clone() }, after)),
                );
            }
        }
    }

    /// Interfaces, by their names or their zones'.
    fn zones(&self, at: usize) -> Found<Vec<InterfacePattern>> {
        let mut out = Vec::new();
        for (ends, next) in self.end_list(at) {
            let interfaces = ends.iter().map(|end| match end {
                End::Zone(_, interfaces) => Some(interfaces.clone()),
                _ => None,
            });
            if let Some(list) = interfaces.collect::<Option<Vec<_>>>() {
                out.push((list.concat(), next));
            }
        }
        out
    }

    fn exceptions(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        if s.from.but.is_empty() {
            let direct =
                self.each(at, vocabulary::EXCEPT).into_iter().filter(|_| s.to.is_unsaid() || !s.object_as_source);
            for next in self.each(at, vocabulary::EXCEPT_FROM).into_iter().chain(direct) {
                for (but, after) in self.end_list(next).into_iter().filter(|(but, _)| !but.contains(&End::Anywhere)) {
                    let from = Ends { of: s.from.of.clone(), but };
                    out.push((Statement { from, ..s.clone() }, after));
                }
            }
        }
        if s.to.but.is_empty() {
            for next in self.each(at, vocabulary::EXCEPT_TO) {
                for (but, after) in self.end_list(next).into_iter().filter(|(but, _)| !but.contains(&End::Anywhere)) {
                    let to = Ends { of: s.to.of.clone(), but };
                    out.push((Statement { to, ..s.clone() }, after));
                }
            }
        }
        if s.not_traffic.is_empty() {
            for next in self.each(at, vocabulary::EXCEPT) {
                out.extend(
                    self.traffic_list(next)
                        .into_iter()
                        .map(|(not_traffic, after)| (Statement { not_traffic, ..s.clone() }, after)),
                );
                out.extend(self.bare_exception(s, next));
            }
        }
    }

    /// "all ports except 22 and 443".
    fn bare_exception(&self, s: &Statement, at: usize) -> Found<Statement> {
        let ports = s.traffic.iter().any(|t| matches!(t, Traffic::Flow { ports, .. } if !ports.is_empty()));
        let all_ports = (0..at).any(|n| ["ports", "port"].contains(&self.text(n)));
        if !ports && !all_ports {
            return Vec::new();
        }
        let flow = |ports| vec![Traffic::Flow { protocols: Vec::new(), ports, source_ports: Vec::new() }];
        self.port_list(at, false)
            .into_iter()
            .map(|(ports, after)| (Statement { not_traffic: flow(ports), ..s.clone() }, after))
            .collect()
    }

    /// How often, for how long, with a line in the log.
    fn terms(&self, s: &Statement, at: usize, out: &mut Found<Statement>) {
        if s.rate.is_none() {
            let over = s.act.denies();
            let starts = if over { self.each(at, MORE_THAN) } else { vec![at] };
            for start in starts {
                for (rated, next) in self.rated(start) {
                    let said = Statement { rate: Some(rated.rate), ..s.clone() };
                    out.extend(
                        self.with_rated(said, rated.traffic, rated.new, rated.anyone, start).map(|said| (said, next)),
                    );
                }
            }
        }
        if s.seconds.is_none() {
            out.extend(
                self.duration(at)
                    .into_iter()
                    .map(|(seconds, next)| (Statement { seconds: Some(seconds), ..s.clone() }, next)),
            );
            out.extend(
                self.any(at, vocabulary::TEMPORARILY).map(|next| (Statement { temporary: true, ..s.clone() }, next)),
            );
            out.extend(self.any(at, vocabulary::FOREVER).map(|next| (s.clone(), next)));
        }
        if !s.log {
            out.extend(
                self.each(at, vocabulary::LOG_TOO).into_iter().map(|next| (Statement { log: true, ..s.clone() }, next)),
            );
        }
    }

    fn with_rated(&self, s: Statement, traffic: Vec<Traffic>, new: bool, anyone: bool, at: usize) -> Option<Statement> {
        let mut said = if traffic.is_empty() { s } else { self.combined(&s, traffic, at)? };
        if new && said.states.is_empty() {
            said.states.push(crate::rule::ConnectionState::New);
        }
        if anyone && said.from.is_unsaid() {
            said.from.of.push(End::Anywhere);
        }
        Some(said)
    }
}

impl Act {
    /// Whether it keeps packets from their way.
    pub(in crate::propose) fn denies(self) -> bool {
        matches!(self, Self::Drop | Self::Reject)
    }
}

fn is_portless(traffic: &Traffic) -> bool {
    matches!(traffic, Traffic::Flow { ports, .. } if ports.is_empty())
}

fn with_source_ports(s: &Statement, ports: &[PortRange]) -> Option<Statement> {
    let source = Traffic::Flow { protocols: Vec::new(), ports: Vec::new(), source_ports: ports.to_vec() };
    let traffic = match s.traffic.is_empty() {
        true => vec![source],
        false => s.traffic.iter().map(|t| meet(t, &source)).collect::<Option<_>>()?,
    };
    Some(Statement { traffic, ..s.clone() })
}

/// What is both; nothing where the two contradict each other.
fn meet(a: &Traffic, b: &Traffic) -> Option<Traffic> {
    let (
        Traffic::Flow { protocols: p, ports: q, source_ports: r },
        Traffic::Flow { protocols: p2, ports: q2, source_ports: r2 },
    ) = (a, b)
    else {
        return (a == b).then(|| a.clone());
    };
    let protocols = match (p.is_empty(), p2.is_empty()) {
        (true, _) => p2.clone(),
        (_, true) => p.clone(),
        _ => p.iter().filter(|x| p2.contains(x)).copied().collect(),
    };
    if protocols.is_empty() && !(p.is_empty() && p2.is_empty()) {
        return None;
    }
    Some(Traffic::Flow { protocols, ports: either(q, q2)?, source_ports: either(r, r2)? })
}

/// The one that is said, or what both say alike.
fn either(a: &[PortRange], b: &[PortRange]) -> Option<Vec<PortRange>> {
    match () {
        () if a.is_empty() || a == b => Some(b.to_vec()),
        () if b.is_empty() => Some(a.to_vec()),
        () => None,
    }
}
