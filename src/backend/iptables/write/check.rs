//! What iptables cannot do exactly, by rule, field and value.

use crate::backend::Refused;
use crate::backend::meaning::{contradictions, refuse};
use crate::packet::{Family, InterfacePattern, Protocol};
use crate::rule::{Per, Rule, TcpFlag};

/// What a log prefix may have (`struct ipt_log_info`, linux/netfilter/xt_LOG.h).
const PREFIX: usize = 29;
/// hashlimit counts in millionths of a second: up to this many a second its rate is the asked one within a hundredth.
const FASTEST: u64 = 10_000;
/// hashlimit's `XT_HASHLIMIT_BURST_MAX_v1`, which every version takes.
const DEEPEST: u32 = 10_000;
/// hashlimit keeps a bucket of a day in 64 bits; a deeper one runs over.
const DAY: u64 = 86_400;
/// Rules are compared one after the other; a list longer than this would make every packet wait.
const LONGEST: usize = 4096;

/// Every refusal that shows in the rule itself.
pub(super) fn check(rule: &Rule, family: Family) -> Vec<Refused> {
    let own = [unknown, vlan, translation, lifetime, id, names, flags, prefix, rate, lists];
    let found = own.iter().filter_map(|look| look(rule)).chain(protocols(rule, family));
    found.chain(contradictions(rule)).collect()
}

fn unknown(rule: &Rule) -> Option<Refused> {
    let (name, _) = rule.extra.iter().next()?;
    Some(refuse(rule, "extra", name, "iptables has no such match here; `extra` must be empty"))
}

fn vlan(rule: &Rule) -> Option<Refused> {
    let why = "iptables sees packets after the tag was taken off; name the VLAN's interface (eth1.20) in interface_in or interface_out";
    (!rule.vlan.is_any()).then(|| refuse(rule, "vlan", &rule.vlan, why))
}

/// xtables' NAT targets know these (`portok`, extensions/libxt_NAT.c).
fn translation(rule: &Rule) -> Option<Refused> {
    let port = rule.nat.as_ref()?.port?;
    let strange = rule.protocol.items().contains(&Protocol::UDPLITE);
    let why = "iptables translates ports of tcp, udp, sctp and dccp; leave udplite out, or use --backend nftables";
    strange.then(|| refuse(rule, "nat", port, why))
}

fn lifetime(rule: &Rule) -> Option<Refused> {
    let why = "iptables has no rules that end by themselves; leave `ttl_seconds` out, or use --backend nftables, whose sets have timeouts";
    rule.ttl_seconds.map(|seconds| refuse(rule, "ttl_seconds", seconds, why))
}

fn id(rule: &Rule) -> Option<Refused> {
    let why = "iptables-restore takes a comment that begins with a hyphen for an option; give the rule another id";
    rule.id.as_str().starts_with('-').then(|| refuse(rule, "id", &rule.id, why))
}

/// A plus sign at the end of a name is iptables' star; a hyphen at its beginning is an option's.
fn names(rule: &Rule) -> Option<Refused> {
    let lists = [("interface_in", &rule.interface_in), ("interface_out", &rule.interface_out)];
    let unsayable =
        |name: &&InterfacePattern| name.stem().starts_with('-') || (name.stem().ends_with('+') && !name.is_pattern());
    let why = "iptables cannot name an interface that ends in a plus sign or begins with a hyphen";
    lists.into_iter().find_map(|(field, list)| {
        let name = list.items().iter().find(unsayable)?;
        Some(refuse(rule, field, name, why))
    })
}

fn flags(rule: &Rule) -> Option<Refused> {
    let flags = rule.tcp_flags.as_ref()?;
    let strange = flags.mask.iter().find(|flag| matches!(flag, TcpFlag::Ece | TcpFlag::Cwr))?;
    let why =
        "iptables looks at fin, syn, rst, psh, ack and urg alone; leave it out of the mask, or use --backend nftables";
    Some(refuse(rule, "tcp_flags", strange, why))
}

fn prefix(rule: &Rule) -> Option<Refused> {
    let prefix = rule.log.as_ref()?.prefix.as_ref()?;
    let why = format!("iptables' LOG takes a prefix of at most {PREFIX} characters");
    (prefix.as_str().len() > PREFIX).then(|| refuse(rule, "log", prefix, why))
}

/// Seconds of a unit.
pub(super) fn seconds(per: Per) -> u64 {
    match per {
        Per::Second => 1,
        Per::Minute => 60,
        Per::Hour => 3600,
        Per::Day => DAY,
    }
}

fn rate(rule: &Rule) -> Option<Refused> {
    let limit = rule.rate_limit?;
    let burst = limit.burst.unwrap_or(super::act::BURST);
    let (count, unit) = (u64::from(limit.count.get()), seconds(limit.per));
    let field = "rate_limit";
    match () {
        () if count > FASTEST * unit => {
            let why = format!("iptables keeps a rate of at most {FASTEST} a second within a hundredth");
            Some(refuse(rule, field, limit.count, why))
        }
        () if burst == 0 || burst > DEEPEST => {
            let why = format!("a burst is 1 to {DEEPEST} packets in iptables");
            Some(refuse(rule, field, format!("burst {burst}"), why))
        }
        () if unit * u64::from(burst) > DAY * count => {
            let why = "iptables keeps a burst that is there again within a day; give a smaller `burst`";
            Some(refuse(rule, field, format!("{count}/{} burst {burst}", limit.per), why))
        }
        () => None,
    }
}

fn lists(rule: &Rule) -> Option<Refused> {
    let lengths = [
        ("source_address", rule.source_address.items().len()),
        ("destination_address", rule.destination_address.items().len()),
        ("source_port", rule.source_port.items().len()),
        ("destination_port", rule.destination_port.items().len()),
        ("source_mac", rule.source_mac.items().len()),
    ];
    let (field, length) = lengths.into_iter().find(|(_, length)| *length > LONGEST)?;
    let why = format!(
        "iptables compares a list item by item, so one of more than {LONGEST} is not written; use --backend nftables, whose sets cost nothing"
    );
    Some(refuse(rule, field, format!("{length} items"), why))
}

/// Numbers that mean something else to iptables: protocol 0 is any, and of IPv4 type 255 of ICMP.
fn protocols(rule: &Rule, family: Family) -> Option<Refused> {
    if let Some(zero) = rule.protocol.items().iter().find(|protocol| protocol.0 == 0) {
        return Some(refuse(rule, "protocol", zero, "iptables takes protocol 0 for any protocol"));
    }
    let listed = |list: &[Protocol]| list.contains(&Protocol::ICMP);
    let any = rule.icmp_type.items().iter().find(|icmp| icmp.kind == 255)?;
    (family == Family::Ipv4 && listed(rule.protocol.items()))
        .then(|| refuse(rule, "icmp_type", any, "iptables takes type 255 for any type"))
}
