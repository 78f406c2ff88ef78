//! Statements to rules: what was said, made exact on this host. What has no default is asked about.

use super::direction::{Leg, Reach, legs};
use super::matching::{Match, matches, without};
use super::question::Ask;
use super::refusal::{Code, Fault};
use super::services;
use super::side::{Place, Side, sides};
use super::statement::{Act, End, Ends, Only, Statement, Traffic, Way};
use super::world::World;
use crate::packet::{AddressSpec, Family, InterfacePattern, Protocol};
use crate::record::Assumption;
use crate::rule::{Action, ConnectionState, Direction, FamilyMatch, Id, Log, OneOf, Over, RateLimit, Rule};

/// Why a statement is no rule yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Halt {
    Fault(Fault),
    Ask(Ask),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What statements mean on this host.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Meaning {
    /// All with the same id, which the caller replaces.
    pub rules: Vec<Rule>,
    /// Addresses whose block ends.
    pub unblock: Vec<String>,
    pub assumed: Vec<Assumption>,
}

impl Meaning {
    /// Notes something that was not said, once.
    fn assume(&mut self, slot: &str, value: impl Into<String>, why: &str) {
        let assumption = Assumption { slot: slot.into(), value: value.into(), why: why.into() };
        if !self.assumed.contains(&assumption) {
            self.assumed.push(assumption);
        }
    }
}

/// The meaning of all statements of a sentence.
///
/// # Errors
/// What must be asked of which statement, or why there is no rule.
pub(super) fn compile(statements: &[Statement], world: &World) -> Result<Meaning, (usize, Halt)> {
    let mut meaning = Meaning::default();
    for (at, statement) in statements.iter().enumerate() {
        one(statement, world, &mut meaning).map_err(|halt| (at, halt))?;
    }
    Ok(meaning)
}

fn one(s: &Statement, world: &World, meaning: &mut Meaning) -> Result<(), Halt> {
    if s.unblock {
        meaning.unblock.extend(s.from.of.iter().filter_map(|end| match end {
            End::Address(spec) => Some(spec.to_string()),
            _ => None,
        }));
        return Ok(());
    }
    complete(s, world)?;
    super::question::ask(s, world).map_or(Ok(()), |ask| Err(Halt::Ask(ask)))?;
    let reach = if s.only == Some(Only::Rest) { Reach::HostAndBeyond } else { Reach::of(s) };
    let main = rules_of(s, reach, world)?;
    assume(s, reach, &main, world, meaning);
    let others = match s.only.filter(|_| s.act == Act::Allow) {
        Some(Only::Source) => rest_denied(s, &main),
        Some(Only::Rest) => rules_of(&nothing_else(s), Reach::HostAndBeyond, world)?,
        None => Vec::new(),
    };
    if !others.is_empty() {
        meaning.assume("only", "the rest is dropped", "\"only\" denies what it does not name");
    }
    meaning.rules.extend(main.into_iter().chain(others));
    Ok(())
}

/// Refuses what says too little, or so much that nobody means it.
fn complete(s: &Statement, world: &World) -> Result<(), Fault> {
    let nothing = s.traffic.is_empty() && !s.all && s.states.is_empty() && s.not_traffic.is_empty();
    let interfaces = !s.on.is_empty() || !s.entering.is_empty() || !s.leaving.is_empty();
    let open = wide(&s.from, world, s.act) && !interfaces;
    if nothing && s.from.is_unsaid() && s.to.is_unsaid() && !interfaces {
        return Err(Fault::new(Code::Missing, 0..0, "what the rule is about is not said")
            .hint("name a service, a port or a source: `block ssh from 192.0.2.0/24`"));
    }
    if s.act == Act::Limit && s.rate.is_none() {
        return Err(Fault::new(Code::Missing, 0..0, "how often is not said")
            .hint("write a rate: `limit ssh to 6 connections per minute per source`"));
    }
    if s.act == Act::Allow && s.to.is_anywhere() && from_unsaid(s) && s.way != Some(Way::Out) {
        return Err(Fault::new(Code::Ambiguous, 0..0, "whether anyone may come in or reach anywhere is not clear")
            .hint("say `from` and a source"));
    }
    let all = s.traffic.is_empty() && !narrow_states(s) && (s.rate.is_none() || s.act == Act::Allow);
    if all && s.act.denies() && s.to.is_open() && place(&s.from, world) == Some(Place::Here) {
        return Err(Fault::new(Code::TooWide, 0..0, "this would cut this host off from everything")
            .hint("name a service or a destination"));
    }
    let to_open = s.to.is_open() || s.act == Act::Allow;
    if all && (open && to_open || s.only == Some(Only::Rest) && s.from.is_open() && !interfaces) || only_of_all(s) {
        let message =
            if s.act.denies() { "this would cut off everything" } else { "this would be for everything from anywhere" };
        return Err(Fault::new(Code::TooWide, 0..0, message).hint("name a service, a source or a destination"));
    }
    Ok(())
}

/// Whether the connection states alone make a wish that people have: answers are let in, what fits no connection is kept out.
fn narrow_states(s: &Statement) -> bool {
    use ConnectionState::{Established, Invalid, Related, Untracked};
    let harmless = if s.act == Act::Allow { [Established, Related] } else { [Invalid, Untracked] };
    !s.states.is_empty() && s.states.iter().all(|state| harmless.contains(state))
}

/// "allow only 192.0.2.1": all other traffic of everybody would be cut off.
fn only_of_all(s: &Statement) -> bool {
    s.only == Some(Only::Source) && s.traffic.is_empty() && !s.to.of.iter().any(|end| *end != End::Anywhere)
        || s.only == Some(Only::Rest) && s.from.is_open() && s.on.is_empty() && s.entering.is_empty()
}

/// Whether the ends are as good as anywhere; for an allowance the internet is, too.
fn wide(ends: &Ends, world: &World, act: Act) -> bool {
    let huge = |end: &End| matches!(end, End::Address(spec) if is_huge(spec)) || act == Act::Allow && world.is_wan(end);
    ends.is_open() || ends.of.iter().any(huge) || ends.of.is_empty() && act == Act::Allow
}

/// A network so large that it names nobody.
fn is_huge(spec: &AddressSpec) -> bool {
    match spec {
        AddressSpec::Net(net) => net.prefix_len() < if net.addr().is_ipv4() { 8 } else { 16 },
        AddressSpec::Range(..) => false,
    }
}

/// The denial of everything that an "only" does not name: the same sources, everything else.
fn nothing_else(s: &Statement) -> Statement {
    Statement {
        act: Act::Drop,
        traffic: Vec::new(),
        not_traffic: Vec::new(),
        all: true,
        to: Ends::default(),
        states: Vec::new(),
        rate: None,
        only: None,
        ..s.clone()
    }
}

/// The denial of what was allowed to some sources, for all other sources.
fn rest_denied(s: &Statement, allowed: &[Rule]) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    for rule in allowed {
        let mut other = Rule { action: Action::Drop, rate_limit: None, log: s.log.then(Log::default), ..rule.clone() };
        other.source_address = OneOf::any();
        other.source_mac = OneOf::any();
        other.interface_in = OneOf::any();
        if other.destination_address.is_any() {
            other.family = s.family;
        }
        if s.rate.is_some() {
            other.connection_state = OneOf::any();
        }
        spare_loopback(&mut other);
        if !out.contains(&other) {
            out.push(other);
        }
    }
    out
}

/// The rules of one statement, without what "only" adds.
fn rules_of(s: &Statement, reach: Reach, world: &World) -> Result<Vec<Rule>, Fault> {
    let mut out = pairs(s, reach, world)?;
    if s.both_ways {
        let back = Statement { from: s.to.clone(), to: s.from.clone(), ..s.clone() };
        out.extend(pairs(&back, reach, world)?);
    }
    match out.is_empty() {
        true => Err(Fault::new(
            Code::Contradiction,
            0..0,
            "no packet fits all that was said: an IPv4 address never meets an IPv6 address",
        )),
        false => Ok(out),
    }
}

fn pairs(s: &Statement, reach: Reach, world: &World) -> Result<Vec<Rule>, Fault> {
    let matches = traffic_matches(s)?;
    let mut out: Vec<Rule> = Vec::new();
    for from in sides(&s.from, world, false)? {
        for to in sides(&s.to, world, true)? {
            for leg in legs(s, &from, &to, reach, world)? {
                for one in &matches {
                    for rule in finished(s, &leg, &from, &to, one) {
                        if !out.contains(&rule) {
                            out.push(rule);
                        }
                    }
                }
            }
        }
    }
    Ok(out)
}

fn traffic_matches(s: &Statement) -> Result<Vec<Match>, Fault> {
    let mut traffic = s.traffic.clone();
    if traffic.is_empty()
        && s.not_traffic
            .iter()
            .all(|t| matches!(t, Traffic::Flow { protocols, ports, .. } if protocols.is_empty() && !ports.is_empty()))
        && !s.not_traffic.is_empty()
    {
        // "all ports except 22" is about ports
        traffic.push(Traffic::Flow {
            protocols: vec![Protocol::TCP, Protocol::UDP],
            ports: Vec::new(),
            source_ports: Vec::new(),
        });
    }
    if s.not_traffic.is_empty() {
        return Ok(matches(&traffic, s.act.denies() || s.act == Act::Limit));
    }
    without(&traffic, &s.not_traffic).ok_or_else(|| {
        Fault::new(Code::Contradiction, 0..0, "the exception leaves nothing of the traffic, or is not part of it")
    })
}

/// The rules of one way, source, destination and match: split by family and by what a rate needs.
fn finished(s: &Statement, leg: &Leg, from: &Side, to: &Side, one: &Match) -> Vec<Rule> {
    let placeholder: Id = "new".parse().expect("three letters are an id");
    let mut rule = Rule::new(placeholder, action(s.act), leg.direction);
    rule.interface_in = leg.interface_in.clone();
    rule.interface_out = leg.interface_out.clone();
    rule.source_address = from.addresses.clone();
    rule.destination_address = to.addresses.clone();
    rule.source_mac = from.macs.clone();
    rule.family = s.family;
    one.apply(&mut rule);
    let every = s.states.len() == ConnectionState::ALL.len();
    rule.connection_state = if every { OneOf::any() } else { OneOf::of(s.states.clone()) };
    rule.ttl_seconds = s.seconds;
    rule.log = (s.log || s.act == Act::Log).then(Log::default);
    if s.act.denies() || s.act == Act::Limit {
        spare_loopback(&mut rule);
    }
    rated(s, rule).into_iter().flat_map(|rule| by_family(&rule)).collect()
}

fn action(act: Act) -> Action {
    match act {
        Act::Allow => Action::Accept,
        Act::Drop | Act::Limit => Action::Drop,
        Act::Reject => Action::Reject,
        Act::Log => Action::Log,
    }
}

/// A host talks to itself over loopback; a denial without a source does not mean that.
fn spare_loopback(rule: &mut Rule) {
    let lo: InterfacePattern = "lo".parse().expect("lo is an interface name");
    let spare = |list: &OneOf<InterfacePattern>| match (list.is_any(), list.is_negated()) {
        (true, _) => OneOf::none_of(vec![lo.clone()]),
        (_, true) if !list.items().contains(&lo) => {
            OneOf::none_of(list.items().iter().cloned().chain([lo.clone()]).collect())
        }
        _ => list.clone(),
    };
    let positive = |list: &OneOf<AddressSpec>| !list.is_any() && !list.is_negated();
    match rule.direction {
        Direction::Input if !positive(&rule.source_address) && rule.source_mac.is_any() => {
            rule.interface_in = spare(&rule.interface_in)
        }
        Direction::Output if !positive(&rule.destination_address) => rule.interface_out = spare(&rule.interface_out),
        _ => {}
    }
}

/// The rule with its rate. An allowance counts new connections and lets what belongs to them through.
fn rated(s: &Statement, rule: Rule) -> Vec<Rule> {
    let Some(rate) = s.rate else { return vec![rule] };
    let over = if s.act == Act::Reject { Over::Reject } else { Over::Drop };
    let limit = RateLimit { count: rate.count, per: rate.per, burst: rate.burst, scope: rate.scope, over };
    let mut counted = Rule { rate_limit: Some(limit), ..rule.clone() };
    let icmp = [Protocol::ICMP, Protocol::ICMPV6];
    if !rule.protocol.is_any() && rule.protocol.items().iter().all(|p| icmp.contains(p)) {
        // every ping after the first of a flow is established: only packets can be counted
        counted.connection_state = OneOf::any();
        return vec![counted];
    }
    if rate.packets {
        return vec![counted];
    }
    if counted.connection_state.is_any() {
        counted.connection_state = OneOf::of(vec![ConnectionState::New]);
    }
    let going =
        Rule { connection_state: OneOf::of(vec![ConnectionState::Established, ConnectionState::Related]), ..rule };
    if s.act == Act::Allow { vec![going, counted] } else { vec![counted] }
}

/// The rule for each family that its addresses allow, so that no list mixes families and a negated list leaves the other family out of it.
fn by_family(rule: &Rule) -> Vec<Rule> {
    if rule.source_address.is_any() && rule.destination_address.is_any() && rule.family.is_any() {
        return vec![rule.clone()];
    }
    [Family::Ipv4, Family::Ipv6].into_iter().filter_map(|family| of_family(rule, family)).collect()
}

fn of_family(rule: &Rule, family: Family) -> Option<Rule> {
    let (this, alien) = match family {
        Family::Ipv4 => (FamilyMatch::Ipv4, Protocol::ICMPV6),
        Family::Ipv6 => (FamilyMatch::Ipv6, Protocol::ICMP),
    };
    let foreign = !rule.protocol.is_negated() && rule.protocol.items() == [alien];
    if foreign || !rule.family.is_any() && rule.family != this {
        return None;
    }
    let source = narrow(&rule.source_address, family)?;
    let destination = narrow(&rule.destination_address, family)?;
    let told = [&source, &destination].iter().any(|list| !list.is_any() && !list.is_negated());
    let family = if told { rule.family } else { this };
    Some(Rule { source_address: source, destination_address: destination, family, ..rule.clone() })
}

/// The part of a list that is of one family; nothing where no address of the family matches.
fn narrow(list: &OneOf<AddressSpec>, family: Family) -> Option<OneOf<AddressSpec>> {
    let items: Vec<_> = list.items().iter().filter(|spec| spec.family() == family).copied().collect();
    match (list.is_any(), list.is_negated()) {
        (true, _) => Some(OneOf::any()),
        (_, true) => Some(OneOf::none_of(items)),
        _ if items.is_empty() => None,
        _ => Some(OneOf::of(items)),
    }
}

/// Says what was not said and is now so.
fn assume(s: &Statement, reach: Reach, rules: &[Rule], world: &World, meaning: &mut Meaning) {
    let mut ways: Vec<&str> = rules.iter().map(|rule| rule.direction.as_str()).collect();
    ways.sort_unstable();
    ways.dedup();
    let why = match (s.to.is_unsaid(), reach) {
        (true, Reach::HostAndBeyond) if world.forwards() => {
            "without a destination it is for this host and for what it forwards"
        }
        (true, _) if s.way.is_none() => "without a destination it is for this host only",
        _ => "it follows from the source and the destination",
    };
    meaning.assume("direction", ways.join(", "), why);
    if s.from.is_unsaid() && s.on.is_empty() && s.entering.is_empty() && !ways.iter().all(|way| *way == "output") {
        meaning.assume("source", "anywhere", "no source was named");
    }
    if s.object_as_source && s.act.denies() && s.to.is_unsaid() && s.traffic.is_empty() {
        meaning.assume("source", "what was named", "to deny an address is to deny what comes from it");
    }
    let bare = s.traffic.iter().any(|t| matches!(t, Traffic::Flow { protocols, .. } if protocols.is_empty()));
    if bare {
        meaning.assume("protocol", "tcp, udp", "a port was named without a protocol");
    }
    if rules
        .iter()
        .any(|rule| rule.interface_in.is_negated() && rule.interface_in.items().iter().any(|i| i.stem() == "lo"))
    {
        meaning.assume("loopback", "spared", "a host needs to talk to itself");
    }
    if s.rate.is_some_and(|rate| !rate.packets) && s.states.is_empty() {
        meaning.assume("counted", "new connections", "neither connections nor packets were named");
    }
    if !s.on.is_empty() && s.way.is_none() && ways != ["output"] {
        meaning.assume("interface", "where packets come in", "which way was not said");
    }
    if s.act.denies()
        && s.traffic
            .iter()
            .any(|t| *t == Traffic::protocol(Protocol::ICMP) || *t == Traffic::protocol(Protocol::ICMPV6))
    {
        meaning.assume(
            "icmp",
            "error messages and neighbour discovery are spared",
            "the network does not work without them",
        );
    }
}

/// Whether the statement lets someone reach a port through which hosts are administered.
pub(super) fn administers(s: &Statement) -> bool {
    s.traffic.iter().any(services::administers)
}

/// Whether nobody said from where, and packets of it come to or through this host.
pub(super) fn from_unsaid(s: &Statement) -> bool {
    s.from.is_unsaid() && s.on.is_empty() && s.entering.is_empty()
}

/// The place of the only side of `ends`, where there is one.
pub(super) fn place(ends: &Ends, world: &World) -> Option<Place> {
    match sides(ends, world, true).ok()?.as_slice() {
        [side] => Some(side.place),
        _ => None,
    }
}
