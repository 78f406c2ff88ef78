//! `afo-sim replay`: the packets of findings through the real kernel, in a network namespace that is gone afterwards.

use super::Args;
use crate::backend::nftables::read;
use crate::cli::{Exit, Failure, Out, Shell};
use crate::packet::{Narrow, Ranges, Wide};
use crate::record::{Answer, Finding, Place, parse, peek};
use crate::rule::Packet;
use crate::rule::ruleset::{Condition, Ruleset, number_name};
use crate::rule::way::Changes;
use crate::sys::lab::{Event, Lab, LabError, Seen, Step};
use crate::sys::nft;
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

/// Interfaces that a lab has, at most.
const MOST: usize = 64;

/// A packet with what is said to become of it.
struct Claim {
    packet: Packet,
    /// `accept`, `drop` or `reject`; nothing where the packet came alone.
    verdict: Option<String>,
}

/// Sends the packets of a file of findings and compares.
pub(super) fn run(args: &Args, findings: &Path, shell: &Shell) -> Result<Exit, Failure> {
    let claims = claims(findings)?;
    let ruleset = args.ruleset()?;
    if ruleset.backend != "nftables" {
        return Err(Failure::undecided("only rules of nftables can be loaded for a replay".to_owned())
            .hint("name a file that nft made: nft list ruleset > rules.nft"));
    }
    let interfaces = interfaces(&ruleset, &claims);
    let names: Vec<&str> = interfaces.iter().map(String::as_str).collect();
    let mut lab = Lab::open(&names).map_err(failed)?;
    let listing = lab.load(&native(&args.ruleset)?).map_err(failed)?;
    let loaded = read(&listing).map_err(|e| Failure::refused(format!("what was loaded cannot be read: {e}")))?;
    lab.set_alone(Changes::of(&loaded).translates());
    let packets: Vec<_> = claims.iter().map(|claim| claim.packet.clone()).collect();
    let seen = lab.send(&packets, loaded.tracks()).map_err(failed)?;
    let mut out = shell.out();
    for (claim, seen) in claims.iter().zip(seen) {
        told(&loaded, claim, seen.filter(|seen| is_what_was_meant(&claim.packet, &seen.sent)), &mut out);
    }
    shell.close(&mut out)
}

fn failed(error: LabError) -> Failure {
    let hint = match &error {
        LabError::NoSpace(_) | LabError::Setup(_) => Some("run it as root: sudo !!"),
        LabError::Nft(e) => e.hint(),
        _ => None,
    };
    let failure = Failure::refused(format!("the packets cannot be replayed: {error}"));
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The rules in a form that nft loads.
fn native(place: &Path) -> Result<String, Failure> {
    match place == Path::new("live") {
        true => nft::list(&["-s", "list", "ruleset"]).map_err(|e| failed(e.into())),
        false => fs::read_to_string(place).map_err(|e| Failure::undecided(format!("{}: {e}", place.display()))),
    }
}

/// The packets of a file: findings with a witness, and packets by themselves, one a line.
fn claims(file: &Path) -> Result<Vec<Claim>, Failure> {
    let name = if file == Path::new("-") { "-".to_owned() } else { file.display().to_string() };
    let text = match file == Path::new("-") {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(file),
    };
    let text = text.map_err(|e| Failure::undecided(format!("{name}: the findings cannot be read: {e}")))?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let found = claim(line.trim());
        all.extend(found.map_err(|words| Failure::undecided(format!("{name}:{}: {words}", number + 1)))?);
    }
    Ok(all)
}

/// Nothing for a record that is no finding, and a finding without a witness.
fn claim(line: &str) -> Result<Option<Claim>, String> {
    let packet = |text: &str| text.parse::<Packet>().map_err(|e| e.to_string());
    if !line.starts_with('{') {
        return Ok(Some(Claim { packet: packet(line)?, verdict: None }));
    }
    if peek(line).map_err(|e| e.to_string())?.kind != "finding" {
        return Ok(None);
    }
    let finding: Finding = parse(line).map_err(|e| e.to_string())?;
    let Some(witness) = finding.witness else { return Ok(None) };
    let verdict = witness.verdict.split_whitespace().next().map(str::to_owned);
    Ok(Some(Claim { packet: packet(&witness.packet)?, verdict }))
}

/// The interfaces that packets or rules name.
fn interfaces(ruleset: &Ruleset, claims: &[Claim]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = claims
        .iter()
        .flat_map(|claim| [&claim.packet.interface_in, &claim.packet.interface_out])
        .flatten()
        .cloned()
        .collect();
    let single = |values: &Ranges| -> Vec<String> {
        values.as_slice().iter().filter(|(first, last)| first == last).filter_map(|(n, _)| number_name(*n)).collect()
    };
    let named = ruleset.lines().flat_map(|(_, line)| &line.conditions).flat_map(|condition| match condition {
        Condition::Wide(Wide::InInterface | Wide::OutInterface, values) => single(values),
        _ => Vec::new(),
    });
    let devices =
        ruleset.chains().filter_map(|(_, _, chain)| chain.base.as_ref()).flat_map(|base| base.devices.clone());
    for name in named.chain(devices).filter(|name| name.len() < 16 && !name.contains(['/', '%', '\''])) {
        if all.len() < MOST {
            all.insert(name);
        }
    }
    all
}

/// Whether what was sent is what was asked for, in what the sender cannot choose freely.
fn is_what_was_meant(wanted: &Packet, sent: &Packet) -> bool {
    let connection = |p: &Packet| (p.reply, p.connection_mark);
    connection(wanted) == connection(sent)
        && (wanted.status == 0 || wanted.status == sent.status)
        && (wanted.source_mac.is_none() || wanted.source_mac == sent.source_mac)
        && (wanted.destination_mac.is_none() || wanted.destination_mac == sent.destination_mac)
        && wanted.vlan == sent.vlan
        && wanted.source_type.is_none_or(|kind| kind == sent.narrow(Narrow::SourceType))
        && wanted.destination_type.is_none_or(|kind| kind == sent.narrow(Narrow::DestinationType))
}

fn told(ruleset: &Ruleset, claim: &Claim, seen: Option<Seen>, out: &mut Out) {
    let packet = Some(claim.packet.to_string());
    let Some(seen) = seen else {
        let text = "not replayed: such a packet cannot be brought about here".to_owned();
        out.ends(Exit::No);
        return out.record(&Answer { text, packet, verdict: Some("unknown".to_owned()), ..Answer::default() });
    };
    let verdict = if seen.passed { "accept" } else { "drop" };
    let agrees = claim.verdict.as_deref().is_none_or(|said| (said == "accept") == seen.passed);
    let text = match (&claim.verdict, agrees) {
        (None, _) => format!("the kernel says {verdict}"),
        (Some(_), true) => format!("the kernel agrees: {verdict}"),
        (Some(said), false) => format!("the kernel says {verdict}, the finding says {said}"),
    };
    if !agrees {
        out.ends(Exit::No);
    }
    let evidence = seen.events.iter().map(|event| words(ruleset, event)).collect();
    let by = seen.events.last().map(|event| place(ruleset, event));
    out.record(&Answer { text, packet, verdict: Some(verdict.to_owned()), by, evidence, ..Answer::default() });
}

/// The rule of an event; its chain's policy where it is of none.
fn place(ruleset: &Ruleset, event: &Event) -> Place {
    let table = ruleset.tables.iter().find(|table| {
        let chain = table.chains.iter().find(|chain| chain.name == event.chain);
        let has = chain.is_some_and(|c| event.handle.is_none() || c.lines.iter().any(|l| l.handle == event.handle));
        table.name == event.table && has
    });
    let chain = table.and_then(|table| table.chains.iter().find(|chain| chain.name == event.chain));
    let index = chain.and_then(|c| c.lines.iter().position(|l| event.handle.is_some() && l.handle == event.handle));
    let policy = || format!("policy {}", if event.step == Step::Drop { "drop" } else { "accept" });
    Place {
        backend: ruleset.backend.clone(),
        family: table.map(|table| table.family.to_string()),
        table: Some(event.table.clone()),
        chain: Some(event.chain.clone()),
        index,
        handle: event.handle,
        text: chain.zip(index).map_or_else(policy, |(chain, index)| chain.lines[index].text.clone()),
    }
}

fn words(ruleset: &Ruleset, event: &Event) -> String {
    let place = place(ruleset, event);
    let family = place.family.map(|family| format!("{family} ")).unwrap_or_default();
    let handle = event.handle.map(|handle| format!(" handle {handle}")).unwrap_or_default();
    format!("{family}{} {}{handle}: {}", event.table, event.chain, place.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_findings_or_packets() {
        let packet = claim("input eth0 192.0.2.1:1 > 192.0.2.2:22 tcp syn").expect("a packet").expect("a claim");
        assert_eq!((packet.verdict, packet.packet.destination_port), (None, 22));
        let finding = r#"{"kind":"finding","v":1,"type":"shadow","explanation":"e","severity":"low","witness":{"packet":"input eth0 192.0.2.1:1 > 192.0.2.2:22 tcp syn","verdict":"drop by inet t c handle 7: drop"}}"#;
        assert_eq!(claim(finding).expect("a finding").expect("a claim").verdict.as_deref(), Some("drop"));
        assert!(claim(r#"{"kind":"event","v":1}"#).expect("another kind").is_none());
        assert_eq!(
            claim("hello").err().as_deref(),
            Some("`hello` is not a packet like `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`")
        );
    }

    #[test]
    fn what_the_sender_cannot_choose_is_compared() {
        let packet = |text: &str| text.parse::<Packet>().expect(text);
        let plain = packet("input eth0 192.0.2.1:1 > 192.0.2.2:22 tcp ack established");
        let sent =
            packet("input eth0 192.0.2.1:1 > 192.0.2.2:22 tcp ack established status assured smac 02:00:00:00:00:01");
        assert!(is_what_was_meant(&plain, &sent));
        let other = packet("input eth0 192.0.2.1:1 > 192.0.2.2:22 tcp ack established smac 02:00:00:00:00:02");
        assert!(!is_what_was_meant(&other, &sent));
    }
}
