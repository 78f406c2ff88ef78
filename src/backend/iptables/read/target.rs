//! Where a rule sends its packets, and what it changes about them on the way.
//!
//! A target that is not known may do anything: its outcome is unread. One that lets the packet go on to the next rule
//! (XT_CONTINUE in net/netfilter/xt_*.c) is no verdict.

use super::condition::{PACKET_BYTES, unread, value_and_mask};
use super::grammar::{Kind, arity, is_known};
use super::parse::{Extension, Target};
use crate::rule::ruleset::{Alteration, Line, Outcome, TableFamily, Verdict};
use crate::rule::{Landing, Translation};
use std::collections::HashSet;
use std::net::IpAddr;

/// What a target becomes. `chains` are those of the table that can be jumped to.
pub(super) fn take(target: &Target, chains: &HashSet<&str>, family: TableFamily, line: &mut Line) {
    let to = &target.to;
    if chains.contains(to.name.as_ref()) && to.options.is_empty() {
        let name = to.name.to_string();
        line.outcome = Outcome::Verdict(if target.goto { Verdict::Goto(name) } else { Verdict::Jump(name) });
        return;
    }
    if target.goto || !understood(to) {
        line.outcome = Outcome::Unread(to.text(if target.goto { "-g" } else { "-j" }));
        return;
    }
    line.outcome = match outcome(to) {
        Some(outcome) => outcome,
        None => {
            line.alters.extend(alterations(to, family));
            Outcome::Next
        }
    };
    // What it sets aside for the program that takes the packet can be seen by later rules.
    if to.name == "TPROXY" {
        line.alters.push(field("meta mark"));
    }
    if to.name == "SET" && to.options.iter().any(|option| option.name.starts_with("map-")) {
        line.conditions.push(unread(to.text("-j"), None));
    }
}

/// Whether every option of a target is one that it is known to have.
fn understood(to: &Extension) -> bool {
    let known = |name: &str| arity(Kind::Target, &to.name, name).is_some();
    is_known(Kind::Target, &to.name) && to.options.iter().all(|option| known(&option.name))
}

/// The outcome of a target that ends the way through the chain.
fn outcome(to: &Extension) -> Option<Outcome> {
    let text = || to.text("-j");
    Some(match &*to.name {
        "ACCEPT" => Outcome::Verdict(Verdict::Accept),
        "DROP" => Outcome::Verdict(Verdict::Drop),
        "REJECT" => Outcome::Verdict(Verdict::Reject),
        "RETURN" => Outcome::Verdict(Verdict::Return),
        "SNAT" | "MASQUERADE" => Outcome::Verdict(Verdict::Translate(Translation::of_source(text()))),
        "NETMAP" => Outcome::Verdict(Verdict::Translate(Translation::open(text()))),
        "DNAT" | "REDIRECT" => Outcome::Verdict(Verdict::Translate(destination(to))),
        "QUEUE" | "NFQUEUE" | "SYNPROXY" | "TPROXY" | "CLUSTERIP" => Outcome::Unread(text()),
        _ => return None,
    })
}

/// `--to-destination 192.0.2.1:80` and `--to-ports 80`: what is no single address and port is open.
fn destination(to: &Extension) -> Translation {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => Landing::To(v4.to_bits().into()),
        IpAddr::V6(v6) => Landing::To(v6.to_bits()),
    };
    let port = |text: &str| text.parse::<u16>().map_or(Landing::Open, |port| Landing::To(port.into()));
    let (mut address, mut to_port) = (Landing::Open, Landing::Kept);
    match (to.option("to-ports"), to.option("to-destination")) {
        (Some(ports), _) => to_port = port(ports.value()),
        (None, Some(option)) => {
            let once = to.options.iter().filter(|other| other.name == "to-destination").count() == 1;
            let (host, port_text) = ends(option.value());
            address = match host {
                "" => Landing::Kept,
                _ => host.parse().ok().filter(|_| once).map_or(Landing::Open, number),
            };
            to_port = if once { port_text.map_or(Landing::Kept, port) } else { Landing::Open };
        }
        // Without a port it stays.
        (None, None) => {}
    }
    Translation { text: to.text("-j"), address, port: to_port }
}

/// The address and the port of `192.0.2.1:80`, `[2001:db8::1]:80`, `:80`.
fn ends(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn field(name: &str) -> Alteration {
    Alteration::Field(name.to_owned())
}

/// What a target that goes on to the next rule changes.
fn alterations(to: &Extension, family: TableFamily) -> Vec<Alteration> {
    let v6 = family == TableFamily::Ip6;
    let names: &[&str] = match &*to.name {
        "MARK" => return vec![mark(to)],
        "CONNMARK" if to.option("restore-mark").is_some() => &["meta mark"],
        "CONNMARK" => &["ct mark"],
        "HMARK" => &["meta mark"],
        "SET" | "TEE" => return vec![Alteration::Effect(to.text("-j"))],
        "CT" | "NOTRACK" if to.name == "NOTRACK" || to.option("notrack").is_some() => {
            return vec![Alteration::Untracked];
        }
        "CT" => &["ct helper", "ct zone"],
        "CLASSIFY" => &["meta priority"],
        "TOS" | "DSCP" | "ECN" if v6 => &["ip6 dscp", PACKET_BYTES],
        "TOS" | "DSCP" | "ECN" => &["ip dscp", "ip ecn", PACKET_BYTES],
        "TTL" => &["ip ttl", PACKET_BYTES],
        "HL" => &["ip6 hoplimit", PACKET_BYTES],
        "TCPMSS" => &["tcp option maxseg", "tcp option", "meta length", PACKET_BYTES],
        "TCPOPTSTRIP" => &["tcp option maxseg", "tcp option", PACKET_BYTES],
        "SNPT" => &["ip6 saddr", PACKET_BYTES],
        "DNPT" => &["ip6 daddr", PACKET_BYTES],
        // Logs, counts and copies; sets are looked at where they are asked.
        _ => &[],
    };
    names.iter().map(|name| field(name)).collect()
}

/// A mark that is set whole is known afterwards (`mark_tg`, net/netfilter/xt_mark.c).
fn mark(to: &Extension) -> Alteration {
    let set = to.options.iter().find(|option| matches!(&*option.name, "set-mark" | "set-xmark"));
    match set.and_then(|option| value_and_mask(option.value())) {
        Some((value, u32::MAX)) => Alteration::Mark(value),
        _ => field("meta mark"),
    }
}
