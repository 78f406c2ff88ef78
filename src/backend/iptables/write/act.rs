//! What happens to the packets of a rule: rate, log, verdict.
//!
//! A rate per source lives in a table of at most [`SOURCES`] sources, IPv6 counted by /64. When it is full, packets of further sources
//! that come so far are dropped until a place is free (`hashlimit_mt_common`, net/netfilter/xt_hashlimit.c).

use super::ask::{Ask, Bucket, What, unit};
use super::check::seconds;
use super::split::ported;
use crate::backend::meaning::To;
use crate::packet::{Family, Protocol};
use crate::rule::{Action, Log, LogLevel, LogPrefix, Over, RateLimit, RejectWith, Rule, Scope};
use sha2::{Digest, Sha256};
use std::fmt::{self, Display, Formatter};

/// Sources that a rate per source keeps at once.
pub(super) const SOURCES: u32 = 65535;
/// The burst where a rule gives none: nftables' own, and hashlimit's (iptables-extensions(8)).
pub(super) const BURST: u32 = 5;

/// Where a line sends its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Accept,
    Drop,
    Return,
    Reject(RejectWith, Family),
    Log { prefix: Option<LogPrefix>, level: Option<LogLevel> },
    Chain(String),
    Translate(Turn),
}

/// A translation of addresses and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// The target's name, and its option for an address.
    target: (&'static str, &'static str),
    to: To,
    family: Family,
    /// The protocols whose ports are translated.
    ported: Vec<Protocol>,
}

impl Target {
    /// What the target wants its line to ask beside what it asks already: one of these, each in a line of its own.
    pub(super) fn wants(&self, asked: &[Ask]) -> Vec<Ask> {
        let (protocols, family): (&[Protocol], _) = match self {
            Self::Reject(RejectWith::TcpReset, family) => (&[Protocol::TCP], *family),
            Self::Translate(turn) => (&turn.ported, turn.family),
            _ => return Vec::new(),
        };
        let all: Vec<Ask> = protocols.iter().map(|protocol| Ask::that(What::Protocol(*protocol, family))).collect();
        if all.iter().any(|ask| asked.contains(ask)) { Vec::new() } else { all }
    }
}

impl Turn {
    fn of(rule: &Rule, family: Family) -> Option<Self> {
        let target = match rule.action {
            Action::Dnat => ("DNAT", "--to-destination"),
            Action::Snat => ("SNAT", "--to-source"),
            Action::Masquerade => ("MASQUERADE", ""),
            Action::Redirect => ("REDIRECT", ""),
            Action::Accept | Action::Drop | Action::Reject | Action::Log => return None,
        };
        let to = To::of(rule);
        let ported = if to.ports.is_some() { ported(rule).into_iter().collect() } else { Vec::new() };
        Some(Self { target, to, family, ported })
    }
}

/// What a rule does, in the order in which it does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) rate: Option<Bucket>,
    pub(super) log: Option<Target>,
    pub(super) verdict: Option<Target>,
    /// What becomes of packets over the rate.
    pub(super) over: Option<Target>,
}

impl Act {
    pub(super) fn of(rule: &Rule, family: Family) -> Self {
        let default = (rule.action == Action::Log).then(Log::default);
        let log = rule.log.clone().or(default).map(|Log { prefix, level }| Target::Log { prefix, level });
        let reject = || Target::Reject(rule.reject_with.unwrap_or(RejectWith::PortUnreachable), family);
        let verdict = match rule.action {
            Action::Accept => Some(Target::Accept),
            Action::Drop => Some(Target::Drop),
            Action::Reject => Some(reject()),
            _ => Turn::of(rule, family).map(Target::Translate),
        };
        let over = rule.rate_limit.filter(|_| rule.action == Action::Accept).map(|limit| match limit.over {
            Over::Drop => Target::Drop,
            Over::Reject => reject(),
        });
        Self { rate: rule.rate_limit.map(|limit| bucket(rule, &limit, family)), log, verdict, over }
    }

    /// Whether it is one line, so that it may stand behind each alternative by itself.
    pub(super) fn is_single(&self) -> bool {
        self.rate.is_none() && (self.log.is_none() || self.verdict.is_none())
    }
}

/// The kernel finds a bucket by its name alone, so the name tells whose it is and all that it keeps.
fn bucket(rule: &Rule, limit: &RateLimit, family: Family) -> Bucket {
    let (count, burst, per) = (limit.count.get(), limit.burst.unwrap_or(BURST), unit(limit.per));
    let over = rule.action.denies();
    let source = (limit.scope == Scope::Source).then_some(if family == Family::Ipv4 { 32 } else { 64 });
    let unit = seconds(limit.per);
    let refill = (unit * u64::from(burst)).div_ceil(u64::from(count)).max(unit).max(60);
    let content = format!("{} {count} {per} {burst} {over} {source:?}", rule.id);
    let digest = Sha256::digest(content.as_bytes());
    let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    Bucket { name: format!("afo{hex}"), count, per, burst, over, source, refill }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("ACCEPT"),
            Self::Drop => f.write_str("DROP"),
            Self::Return => f.write_str("RETURN"),
            Self::Reject(with, family) => write!(f, "REJECT --reject-with {}", answer(*with, *family)),
            Self::Log { prefix, level } => {
                f.write_str("LOG")?;
                if let Some(prefix) = prefix {
                    write!(f, " --log-prefix \"{prefix}\"")?;
                }
                level.map_or(Ok(()), |level| write!(f, " --log-level {}", level as u8))
            }
            Self::Chain(name) => f.write_str(name),
            Self::Translate(turn) => write!(f, "{turn}"),
        }
    }
}

impl Display for Turn {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, option) = self.target;
        let span = |first: String, last: String| if first == last { first } else { format!("{first}-{last}") };
        let addresses = self.to.addresses.map(|(first, last)| span(first.to_string(), last.to_string()));
        let ports = self.to.ports.map(|(first, last)| span(first.to_string(), last.to_string()));
        match (option, addresses, ports) {
            ("", _, None) => f.write_str(name),
            ("", _, Some(ports)) => write!(f, "{name} --to-ports {ports}"),
            (_, addresses, None) => write!(f, "{name} {option} {}", addresses.unwrap_or_default()),
            (_, Some(addresses), Some(ports)) if self.family == Family::Ipv6 => {
                write!(f, "{name} {option} [{addresses}]:{ports}")
            }
            (_, addresses, Some(ports)) => write!(f, "{name} {option} {}:{ports}", addresses.unwrap_or_default()),
        }
    }
}

/// The same answers as nft's `icmpx` (`nft_icmp_code`, net/netfilter/nft_reject.c).
fn answer(with: RejectWith, family: Family) -> &'static str {
    let v4 = family == Family::Ipv4;
    match with {
        RejectWith::TcpReset => "tcp-reset",
        RejectWith::PortUnreachable if v4 => "icmp-port-unreachable",
        RejectWith::PortUnreachable => "icmp6-port-unreachable",
        RejectWith::HostUnreachable if v4 => "icmp-host-unreachable",
        RejectWith::HostUnreachable => "icmp6-addr-unreachable",
        RejectWith::NetUnreachable if v4 => "icmp-net-unreachable",
        RejectWith::NetUnreachable => "icmp6-no-route",
        RejectWith::AdminProhibited if v4 => "icmp-admin-prohibited",
        RejectWith::AdminProhibited => "icmp6-adm-prohibited",
        RejectWith::HostProhibited => "icmp-host-prohibited",
        RejectWith::NetProhibited => "icmp-net-prohibited",
        RejectWith::ProtoUnreachable => "icmp-proto-unreachable",
    }
}
