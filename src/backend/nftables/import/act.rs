//! What an imported rule does besides matching: log, rate, the answer of a rejection. Read from its statements one by one, in
//! their order, because a limit before a match counts other packets than one behind it.

use super::clock::{asked, is_clock};
use crate::packet::{AddressSpec, Cell, Narrow, PortRange};
use crate::rule::ruleset::{Outcome, Verdict};
use crate::rule::{
    Action, FamilyMatch, Landing, Log, Nat, Over, Per, RateLimit, RejectWith, Rule, Schedule, Scope, address_of,
};
use serde_json::Value;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// nftables' own burst where a rule gives none (nft(8), LIMIT STATEMENT).
const BURST: u64 = 5;

/// What a rule does to the packets that it matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) log: Option<Log>,
    /// The rate, and whether what is over it matches rather than what is within.
    pub(super) rate: Option<(RateLimit, bool)>,
    /// What becomes behind it of what does not match for its rate.
    rest: Option<End>,
    reject: Option<Answer>,
    /// What it translates, and to what.
    nat: Option<(Action, Nat)>,
    /// What it translates, where a map says to what.
    map: Option<Action>,
    /// When it matches.
    schedule: Option<Schedule>,
}

/// An answer, and the family that it is for.
type Answer = (FamilyMatch, RejectWith);

/// How the way of packets ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Drop,
    Reject(Answer),
}

/// The order in which the statements of a rule must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Match,
    Limit,
    Log,
    Verdict,
}

/// Reads the statements of a rule.
///
/// # Errors
/// The statement that AFO's rules cannot say, or cannot say at its place.
pub(super) fn act(body: &Value) -> Result<Act, String> {
    let mut act = Act::default();
    let mut before = Step::Match;
    for statement in body.get("expr").and_then(Value::as_array).into_iter().flatten() {
        let single = statement.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
        let (kind, inner) = single.ok_or("a statement of it is not understood")?;
        let step = match kind.as_str() {
            "counter" => continue,
            "match" | "hours" => Step::Match,
            "limit" => Step::Limit,
            "log" => Step::Log,
            "accept" | "drop" | "reject" | "jump" | "goto" | "return" | "vmap" => Step::Verdict,
            "dnat" | "snat" | "masquerade" | "redirect" => Step::Verdict,
            other => return Err(format!("`{other}` is nothing that AFO's rules do")),
        };
        if step < before || step == before && step != Step::Match {
            return Err(format!("`{kind}` stands where AFO's rules cannot have it"));
        }
        before = step;
        act.take(kind, inner)?;
    }
    Ok(act)
}

/// What an outcome is as the action of a rule.
///
/// # Errors
/// That it is none.
pub(super) fn action(outcome: &Outcome) -> Result<Action, String> {
    match outcome {
        Outcome::Next | Outcome::Verdict(Verdict::Continue) => Ok(Action::Log),
        Outcome::Verdict(Verdict::Accept) => Ok(Action::Accept),
        Outcome::Verdict(Verdict::Drop) => Ok(Action::Drop),
        Outcome::Verdict(Verdict::Reject) => Ok(Action::Reject),
        Outcome::Verdict(Verdict::Return) => Err("`return` is no verdict of AFO's rules".to_owned()),
        Outcome::Verdict(Verdict::Jump(_) | Verdict::Goto(_)) => Err("its jump cannot be followed".to_owned()),
        Outcome::Verdict(Verdict::Translate(_)) => Err("it translates in a way that AFO's rules do not".to_owned()),
        Outcome::ByKey(_) => Err("its map has statements beside it".to_owned()),
        Outcome::Unread(text) => Err(format!("`{text}` is not understood")),
    }
}

impl Act {
    /// Whether there is nothing but matches and a verdict.
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it has a rate within which it matches, and nothing else.
    pub(super) fn lets_within(&self) -> bool {
        self.rate.is_some_and(|(_, over)| !over) && Self { rate: None, ..self.clone() }.is_plain()
    }

    /// The same where what does not match ends so behind it.
    pub(super) fn ending(&self, end: End) -> Self {
        let reject = if let End::Reject(answer) = end { Some(answer) } else { None };
        Self { rest: Some(end), reject, ..self.clone() }
    }

    /// The same for what is over its rate, which ends so.
    pub(super) fn turned(&self, end: End) -> Self {
        let rate = self.rate.map(|(rate, over)| (rate, !over));
        Self { rate, rest: None, ..self.ending(end) }
    }

    /// The answer of a rejection that does nothing else.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.reject.filter(|_| Self { reject: None, ..self.clone() }.is_plain())
    }

    /// How many of its conditions are no sets of packets and are said otherwise: its rate, its hours.
    pub(super) fn chances(&self) -> usize {
        usize::from(self.rate.is_some()) + usize::from(self.schedule.is_some())
    }

    /// What it translates and to what, where it does.
    pub(super) fn nat(&self) -> Option<&(Action, Nat)> {
        self.nat.as_ref()
    }

    /// What it translates, where a map says to what.
    pub(super) fn map(&self) -> Option<Action> {
        self.map
    }

    fn take(&mut self, kind: &str, body: &Value) -> Result<(), String> {
        match kind {
            "match" if is_clock(body) => self.schedule = Some(asked(body, self.schedule.take())?),
            "dnat" if looks_up(body) => self.map = Some(plain(body).map(|()| Action::Dnat)?),
            "redirect" if looks_up(body) => self.map = Some(plain(body).map(|()| Action::Redirect)?),
            "dnat" => self.nat = Some((Action::Dnat, dnat(body)?)),
            "snat" => self.nat = Some((Action::Snat, nat(body)?)),
            "masquerade" => self.nat = Some((Action::Masquerade, nat(body)?)),
            "redirect" => self.nat = Some((Action::Redirect, nat(body)?)),
            "log" => self.log = Some(log(body)?),
            "limit" => self.rate = Some(rate(body).ok_or("its limit is none that AFO's rules have")?),
            "hours" if self.schedule.is_some() => return Err("it asks for hours twice".to_owned()),
            "hours" => {
                let hours = serde_json::from_value(body.clone());
                self.schedule = Some(hours.map_err(|_| "its hours are none that AFO's rules have")?);
            }
            "reject" => self.reject = Some(reject(body).ok_or("its answer is none that AFO's rules give")?),
            _ => {}
        }
        Ok(())
    }

    /// Gives a rule what is done to its packets.
    ///
    /// # Errors
    /// When a rule of its action cannot do it.
    pub(super) fn put_into(&self, rule: &mut Rule) -> Result<(), String> {
        match (&self.rate, rule.action) {
            (None, _) => {}
            (Some((_, true)), Action::Drop | Action::Reject) | (Some((_, false)), Action::Log) => {}
            (Some((_, false)), Action::Accept) if self.rest.is_some() => {}
            (Some((_, false)), Action::Accept) => {
                return Err("what is over its rate goes on to later rules; AFO's would end there".to_owned());
            }
            _ => return Err("its rate counts the other way round than AFO's".to_owned()),
        }
        if rule.action == Action::Log && self.log.is_none() {
            return Err(super::COUNTS.to_owned());
        }
        if let Some((_, nat)) = &self.nat {
            rule.nat = (*nat != Nat::default()).then(|| nat.clone());
        }
        let over = if matches!(self.rest, Some(End::Reject(_))) { Over::Reject } else { Over::Drop };
        rule.rate_limit = self.rate.map(|(rate, _)| RateLimit { over, ..rate });
        rule.log.clone_from(&self.log);
        rule.schedule.clone_from(&self.schedule);
        if let Some((family, with)) = self.reject {
            if family != FamilyMatch::Any && family != rule.family {
                return Err("its answer is for one address family".to_owned());
            }
            rule.reject_with = (with != RejectWith::PortUnreachable).then_some(with);
        }
        Ok(())
    }
}

fn log(body: &Value) -> Result<Log, String> {
    let Some(fields) = body.as_object() else { return Ok(Log::default()) };
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    if let Some(other) = fields.keys().find(|key| *key != "prefix" && *key != "level") {
        return Err(format!("the `{other}` of its log is nothing that AFO's rules say"));
    }
    let prefix = word("prefix").map(str::parse).transpose().map_err(|e| format!("its log: {e}"))?;
    let level = word("level").map(str::parse).transpose().map_err(|e| format!("its log: {e}"))?;
    Ok(Log { prefix, level })
}

/// Whether a map says where a statement leads.
fn looks_up(body: &Value) -> bool {
    ["addr", "port"].iter().any(|part| body.get(part).is_some_and(|part| part.get("map").is_some()))
}

/// Where a key of a map leads packets of a product: to one address, one port, or both.
pub(super) fn landed(verdict: &Verdict, action: Action, cell: &Cell) -> Option<Nat> {
    let Verdict::Translate(to) = verdict else { return None };
    let families = cell.narrow(Narrow::Family);
    let address = match to.address {
        Landing::Kept => None,
        Landing::Open if action == Action::Redirect => None,
        Landing::To(number) if families.len() == 1 => Some(address_of(families.iter().next()?, number)),
        _ => return None,
    };
    let port = match to.port {
        Landing::Kept => None,
        Landing::To(port) => Some(PortRange::single(u16::try_from(port).ok()?)),
        Landing::Open => return None,
    };
    let nat = Nat { address: address.map(AddressSpec::single), port };
    Some(nat).filter(|nat| action == Action::Redirect || *nat != Nat::default())
}

/// Refuses what AFO's rules cannot say of a translation.
fn plain(body: &Value) -> Result<(), String> {
    let named = ["addr", "port", "family"];
    let other = body.as_object().and_then(|fields| fields.keys().find(|key| !named.contains(&key.as_str())));
    other.map_or(Ok(()), |other| Err(format!("the `{other}` of its translation is nothing that AFO's rules say")))
}

/// As [`nat`]: where a destination is one address and one port at most, there is nothing to be chosen at random or to be kept
/// (`get_unique_tuple`, net/netfilter/nf_nat_core.c).
fn dnat(body: &Value) -> Result<Nat, String> {
    let mut fixed = body.clone();
    let flags = fixed.as_object_mut().and_then(|fields| fields.remove("flags"));
    let choice =
        |part: &str| body.get(part).is_some_and(|part| part.get("range").is_some() || part.get("prefix").is_some());
    let chosen = |flag: &Value| ["random", "fully-random", "persistent"].iter().any(|known| flag == known);
    let idle = match &flags {
        Some(Value::Array(all)) => all.iter().all(chosen),
        Some(one) => chosen(one),
        None => true,
    };
    if idle && !choice("addr") && !choice("port") { nat(&fixed) } else { nat(body) }
}

/// Where a statement leads: one address or a range, one port or a range (nft(8), NAT STATEMENTS).
fn nat(body: &Value) -> Result<Nat, String> {
    plain(body)?;
    let Some(fields) = body.as_object() else { return Ok(Nat::default()) };
    let unsaid = |what: &str| format!("the {what} that it translates to is no single one and no range of them");
    let address = fields.get("addr").map(|value| address(value).ok_or_else(|| unsaid("address"))).transpose()?;
    let port = fields.get("port").map(|value| port(value).ok_or_else(|| unsaid("port"))).transpose()?;
    Ok(Nat { address, port })
}

/// Both ends of a value.
fn ends(value: &Value) -> Option<(&Value, &Value)> {
    match value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        Some([first, last]) => Some((first, last)),
        Some(_) => None,
        None => Some((value, value)),
    }
}

fn address(value: &Value) -> Option<AddressSpec> {
    let (first, last) = ends(value)?;
    let ip = |value: &Value| value.as_str()?.parse::<IpAddr>().ok();
    let (first, last) = (ip(first)?, ip(last)?);
    if first == last { first.to_string().parse().ok() } else { AddressSpec::range(first, last).ok() }
}

fn port(value: &Value) -> Option<PortRange> {
    let (first, last) = ends(value)?;
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    PortRange::new(number(first)?, number(last)?).ok()
}

fn rate(body: &Value) -> Option<(RateLimit, bool)> {
    let word = |name: &str| body.get(name).map_or(Some("packets"), Value::as_str);
    if word("rate_unit") != Some("packets") || word("burst_unit") != Some("packets") {
        return None;
    }
    let count = u32::try_from(body.get("rate")?.as_u64()?).ok().and_then(NonZeroU32::new)?;
    let per = match body.get("per")?.as_str()? {
        "second" => Per::Second,
        "minute" => Per::Minute,
        "hour" => Per::Hour,
        "day" => Per::Day,
        _ => return None,
    };
    let burst = body.get("burst").map_or(Some(BURST), Value::as_u64)?;
    let over = body.get("inv").is_some_and(|inv| inv.as_bool() == Some(true));
    let burst = Some(u32::try_from(burst).ok()?);
    // Readers of other languages say so of a rate that each source has.
    let scope = if body.get("source").is_some() { Scope::Source } else { Scope::Total };
    Some((RateLimit { count, per, burst, scope, over: Over::Drop }, over))
}

/// The answer, and the family that it is for (nft(8), REJECT STATEMENT); `icmpx` is the same in both.
fn reject(body: &Value) -> Option<(FamilyMatch, RejectWith)> {
    use RejectWith as R;
    if body.is_null() {
        return Some((FamilyMatch::Any, R::PortUnreachable));
    }
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    Some(match (word("type")?, word("expr").unwrap_or("port-unreachable")) {
        ("tcp reset", _) => (FamilyMatch::Any, R::TcpReset),
        ("icmpx", "port-unreachable") => (FamilyMatch::Any, R::PortUnreachable),
        ("icmpx", "host-unreachable") => (FamilyMatch::Any, R::HostUnreachable),
        ("icmpx", "no-route") => (FamilyMatch::Any, R::NetUnreachable),
        ("icmpx", "admin-prohibited") => (FamilyMatch::Any, R::AdminProhibited),
        ("icmp", "port-unreachable") => (FamilyMatch::Ipv4, R::PortUnreachable),
        ("icmp", "host-unreachable") => (FamilyMatch::Ipv4, R::HostUnreachable),
        ("icmp", "net-unreachable") => (FamilyMatch::Ipv4, R::NetUnreachable),
        ("icmp", "admin-prohibited") => (FamilyMatch::Ipv4, R::AdminProhibited),
        ("icmp", "host-prohibited") => (FamilyMatch::Ipv4, R::HostProhibited),
        ("icmp", "net-prohibited") => (FamilyMatch::Ipv4, R::NetProhibited),
        ("icmp", "prot-unreachable") => (FamilyMatch::Ipv4, R::ProtoUnreachable),
        ("icmpv6", "port-unreachable") => (FamilyMatch::Ipv6, R::PortUnreachable),
        ("icmpv6", "addr-unreachable") => (FamilyMatch::Ipv6, R::HostUnreachable),
        ("icmpv6", "no-route") => (FamilyMatch::Ipv6, R::NetUnreachable),
        ("icmpv6", "admin-prohibited") => (FamilyMatch::Ipv6, R::AdminProhibited),
        _ => return None,
    })
}
