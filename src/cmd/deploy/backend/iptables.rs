//! iptables and ip6tables together: AFO's chains in the filter and nat tables of both, looked at afresh each time.
//!
//! Each program takes each table of its text as a whole or not at all; where one refuses, what was done before it is put back. The window is
//! the kernel's own: the line that leads to the new generation asks what time it is. Blocks for a time are elements of ipsets.
//! What the two have no means for (cutting flows that began in a window) is said in afo-deploy(1), never promised.

use super::judge::judged;
use super::{Arming, Backend, Install, Wanted, nft_base, occupied};
use crate::backend::iptables::block::{self, LiveBlocks};
use crate::backend::iptables::{Iptables as Program, Live, POLICY, Policy, Window, decides, with_policy};
use crate::backend::nftables::{Ban, Block, lower};
use crate::backend::{Backend as _, Refused};
use crate::cli::{Exit, Failure};
use crate::cmd::hours::in_utc;
use crate::cmd::raw;
use crate::deploy::Kernel;
use crate::packet::AddressSpec;
use crate::record::Rule;
use crate::rule::ruleset::Ruleset;
use crate::sys::clock;
use crate::sys::iptables::{self as programs, RestoreError, SaveError, Variant};
use crate::sys::process::NotRun;
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The tables of both families.
#[derive(Debug)]
pub struct Iptables;

fn unsaid(error: &SaveError) -> Failure {
    Failure::refused(error.to_string()).hint("run it as root; to install it: sudo apt-get install iptables")
}

fn is_v6(program: Program) -> bool {
    program == Program::V6
}

/// The programs that are there; without the one for IPv4 nothing is done.
fn present() -> Vec<Program> {
    let v6 = (programs::is_there(true) && programs::has_family(true)).then_some(Program::V6);
    [Program::V4].into_iter().chain(v6).collect()
}

fn look(program: Program) -> Result<Live, Failure> {
    let dump = programs::tables(&POLICY, is_v6(program), false).map_err(|e| unsaid(&e))?;
    Live::read(&dump).map_err(Failure::refused)
}

fn look_at_blocks() -> Result<Vec<(Program, LiveBlocks)>, Failure> {
    let look = |program: Program| {
        let dump = programs::tables(&["mangle"], is_v6(program), false).map_err(|e| unsaid(&e))?;
        Ok((program, LiveBlocks::read(&dump).map_err(Failure::refused)?))
    };
    present().into_iter().map(look).collect()
}

fn sets() -> Result<Vec<String>, Failure> {
    let names = match programs::set_names() {
        // The kernel has no sets at all.
        Err(SaveError::Said(_, words)) if words.contains("Cannot open session") => Vec::new(),
        names => names.map_err(|e| unsaid(&e))?,
    };
    Ok(names.into_iter().filter(|name| name.starts_with("afo-")).collect())
}

/// Whether the blocks that the kernel has are looked up; nothing where it has none.
fn blocks_hold() -> Result<Option<bool>, Failure> {
    match sets()?.is_empty() {
        true => Ok(None),
        false => Ok(Some(look_at_blocks()?.iter().all(|(_, live)| live.is_whole()))),
    }
}

fn look_at_all() -> Result<Vec<(Program, Live)>, Failure> {
    present().into_iter().map(|program| Ok((program, look(program)?))).collect()
}

fn no_window() -> Result<Vec<(Program, Live)>, Failure> {
    let all = look_at_all()?;
    if all.iter().any(|(_, live)| live.pending.is_some()) { Err(occupied()) } else { Ok(all) }
}

fn joined(refused: &[Refused]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn policy(rules: &[Rule], generation: u64, there: &[(Program, Live)]) -> Result<Policy, Failure> {
    let policy = in_utc(rules).and_then(|rules| Policy::of(&rules, generation));
    let policy = policy.map_err(|refused| Failure::new(Exit::No, joined(&refused)))?;
    let wanted = |program: &Program| programs::has_family(is_v6(*program)) && !policy.is_empty_for(*program);
    let missing = |program: &Program| wanted(program) && !there.iter().any(|(own, _)| own == program);
    match [Program::V4, Program::V6].into_iter().find(missing) {
        None => Ok(policy),
        Some(program) => {
            let words = format!("{} is not installed, and the rules say something of its family", program.name());
            Err(Failure::refused(words).hint("install it: sudo apt-get install iptables"))
        }
    }
}

fn next(all: &[(Program, Live)]) -> u64 {
    all.iter().map(|(_, live)| live.highest()).max().unwrap_or(0) + 1
}

/// Where the two disagree because a change was cut short between them, the older one holds.
fn settled(all: &[(Program, Live)]) -> Option<u64> {
    all.iter().map(|(_, live)| live.settled).min().flatten()
}

/// The parts of a text in the order in which they stand: for which program, ipset where it is none of the two, and whether what it does may
/// be left undone.
fn parts(text: &str) -> Vec<(Option<Program>, bool, String)> {
    let mut parts: Vec<(Option<Program>, bool, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with("# ") {
            parts.push((block::program_of(line), line.starts_with("# afterwards"), String::new()));
        }
        if let Some((_, _, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

fn load_part(program: Option<Program>, part: &str) -> Result<(), Failure> {
    let Some(program) = program else {
        // ipset takes no comments.
        let lines = part.split_once('\n').map_or("", |(_, lines)| lines);
        return programs::load_sets(lines).map_err(|error| match error {
            RestoreError::NotRun(_) => no_ipset(),
            RestoreError::Said(words) => raw::refused(&RestoreError::Said(with_element(words, lines))),
            error => raw::refused(&error),
        });
    };
    programs::load(is_v6(program), part).map_err(|error| raw::refused(&error))
}

/// ipset's words with the line that they are about: it counts lines, and people know elements.
fn with_element(words: String, lines: &str) -> String {
    let number = words.split_once("Error in line ").and_then(|(_, rest)| rest.split(':').next()?.parse::<usize>().ok());
    match number.and_then(|number| lines.lines().nth(number.checked_sub(1)?)) {
        Some(line) => format!("{words}: `{line}`"),
        None => words,
    }
}

fn no_ipset() -> Failure {
    Failure::refused("iptables keeps blocks for a time in ipset, which is not installed")
        .hint("install it: sudo apt-get install ipset")
}

/// Puts AFO's chains back as they were; whether that was possible.
fn put_back(before: &[(Program, Live)]) -> Result<(), Failure> {
    for (program, then) in before {
        let now = look(*program)?;
        let text = then.back_from(*program, &now);
        if now != *then && !text.is_empty() {
            programs::load(is_v6(*program), &text).map_err(|e| raw::refused(&e))?;
        }
    }
    Ok(())
}

fn load(text: &str) -> Result<(), Failure> {
    let (after, now): (Vec<_>, Vec<_>) = parts(text).into_iter().partition(|(_, afterwards, _)| *afterwards);
    let mut done = Vec::new();
    for (program, _, part) in now {
        // What looks sets up may stay: it decides nothing by itself.
        let policy = program.filter(|_| POLICY.iter().any(|table| part.contains(&format!("\n*{table}\n"))));
        done.extend(policy.map(|program| Ok((program, look(program)?))).transpose()?);
        if let Err(failed) = load_part(program, &part) {
            return Err(match put_back(&done) {
                Ok(()) => failed,
                Err(why) => {
                    Failure::new(Exit::Unknown, format!("{failed}; what was done before is not put back: {why}"))
                        .hint("afo-deploy flush-afo takes all of AFO out")
                }
            });
        }
    }
    for (program, _, part) in after {
        // Chains that nothing leads to any more: the next change takes them away.
        if let Err(error) = load_part(program, &part) {
            tracing::warn!(%error, "chains that are not used any more are still there");
        }
    }
    Ok(())
}

fn is_open(window: Window) -> bool {
    let now = clock::now();
    // The kernel compares whole seconds.
    window.from <= now && now.as_second() <= window.to.as_second()
}

impl Backend for Iptables {
    fn name(&self) -> &'static str {
        "iptables"
    }

    fn observe(&self) -> Result<Kernel, Failure> {
        let all = look_at_all()?;
        let pending = all.iter().filter_map(|(_, live)| live.pending).max_by_key(|(number, _)| *number);
        let armed = pending.is_some_and(|(_, window)| is_open(window));
        let there = all.iter().any(|(_, live)| live.is_there());
        let whole = match blocks_hold()? {
            Some(false) => false,
            _ if there => all.iter().all(|(_, live)| live.is_whole()),
            blocks => blocks.is_some(),
        };
        Ok(Kernel { whole, settled: settled(&all), window: pending.map(|(number, _)| number), armed })
    }

    fn looks_up_blocks(&self) -> Result<bool, Failure> {
        Ok(blocks_hold()? == Some(true))
    }

    fn base(&self) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        for v6 in present().into_iter().map(is_v6) {
            let (_, kind) = programs::kind(v6).map_err(|e| raw::refused(&e.into()))?;
            let other =
                if programs::legacy_tables(v6).is_ok_and(|tables| tables.is_empty()) { kind } else { Variant::Legacy };
            for variant in [Some(kind), Some(other).filter(|other| *other != kind)].into_iter().flatten() {
                let dump = programs::save(variant, v6).map_err(|e| unsaid(&e))?;
                hash.update(plain(&dump).as_bytes());
            }
        }
        // Without nft there are no rules but these.
        let _ = nft_base(&mut hash)?;
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn changes(&self) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    fn backup(&self) -> Result<String, Failure> {
        Ok(look_at_all()?.iter().map(|(program, live)| live.backup(*program)).collect())
    }

    fn bans(&self, rule: &Rule) -> Result<Vec<Block>, Vec<String>> {
        let words = |refused: Vec<Refused>| refused.iter().map(ToString::to_string).collect::<Vec<_>>();
        let blocks = if rule.ttl_seconds.is_some() { lower(rule).map_err(words)?.blocks } else { Vec::new() };
        if !blocks.is_empty() {
            let unsayable = blocks.iter().find_map(block::unsayable);
            let why = unsayable.or_else(|| (!programs::ipset_is_there()).then(|| no_ipset().message));
            return why.map_or(Ok(blocks), |why| Err(vec![format!("rule {}: {why}", rule.id)]));
        }
        let alone = Rule { position: crate::rule::Position::Auto, ..rule.clone() };
        in_utc(&[alone]).and_then(|rules| Policy::of(&rules, 1)).map_err(words)?;
        Ok(Vec::new())
    }

    fn order<'a>(&self, rules: &'a [Rule]) -> Result<Vec<&'a Rule>, String> {
        let there = in_utc(rules).map_err(|refused| joined(&refused))?;
        let order = Policy::order(&there).map_err(|refused| joined(&refused))?;
        let own: BTreeMap<_, _> = rules.iter().filter(|rule| rule.enabled).map(|rule| (&rule.id, rule)).collect();
        Ok(order.into_iter().filter_map(|rule| own.get(&rule.id).copied()).collect())
    }

    fn model(&self, live: &Ruleset, rules: &[Rule]) -> Result<Ruleset, String> {
        let legacy = programs::kind(false).is_ok_and(|(_, kind)| kind == Variant::Legacy);
        in_utc(rules).and_then(|rules| with_policy(live, &rules, legacy)).map_err(|refused| joined(&refused))
    }

    fn judged(&self, live: &Ruleset, after: &[Rule], added: &[Rule]) -> Option<Option<String>> {
        Some(match self.model(live, after) {
            Ok(model) => judged(&model, added, |_, chain, line| decides(chain, line)),
            Err(why) => Some(why),
        })
    }

    fn arm(&self, wanted: &Wanted) -> Result<Arming, Failure> {
        let all = no_window()?;
        let new = next(&all);
        let policy = policy(wanted.policy, new, &all)?;
        let from = clock::now();
        let seconds = i64::try_from(wanted.window).unwrap_or(i64::MAX);
        let to = from.checked_add(SignedDuration::from_secs(seconds));
        let to = to.map_err(|_| Failure::undecided("the window ends beyond the calendar"))?;
        let window = Window { from, to };
        let apply = all.iter().map(|(program, live)| policy.arm(*program, live, window)).collect();
        let gone = all.iter().map(|(program, live)| policy.taken_back(*program, live));
        Ok(Arming { old: settled(&all), new, contents: Vec::new(), apply, revert: gone.collect() })
    }

    fn install(&self, rules: &[Rule], _: &[AddressSpec]) -> Result<Install, Failure> {
        let all = no_window()?;
        let generation = next(&all);
        let policy = policy(rules, generation, &all)?;
        Ok(Install {
            generation,
            contents: Vec::new(),
            apply: all.iter().map(|(program, live)| policy.install(*program, live)).collect(),
        })
    }

    fn load(&self, text: &str) -> Result<(), Failure> {
        load(text)
    }

    fn confirm(&self, _: &[Rule]) -> Result<(), Failure> {
        let all = look_at_all()?;
        let open = |live: &Live| live.pending.is_none_or(|(_, window)| is_open(window));
        if !all.iter().all(|(_, live)| open(live)) {
            return Err(Failure::new(Exit::PutBack, "the window is over"));
        }
        load(&all.iter().map(|(program, live)| live.confirm(*program)).collect::<String>())
    }

    fn take_back(&self, _: Option<&[Rule]>) -> Result<(), Failure> {
        let all = look_at_all()?;
        let Some(gone) = all.iter().filter_map(|(_, live)| Some(live.pending?.0)).max() else { return Ok(()) };
        load(&all.iter().map(|(program, live)| live.revert(*program, gone)).collect::<String>())
    }

    fn remove(&self) -> Result<(), Failure> {
        let used = |live: &Live| live.settled.is_some() || live.pending.is_some();
        if look_at_all()?.iter().any(|(_, live)| used(live)) { Ok(()) } else { self.flush() }
    }

    fn boot(&self, rules: &[Rule], generation: u64) -> Result<Vec<(&'static str, String)>, Failure> {
        let policy = policy(rules, generation, &look_at_all()?)?;
        Ok(present().into_iter().map(|program| (program.name(), policy.boot(program))).collect())
    }

    fn block(&self, blocks: &[Block], protected: &[AddressSpec]) -> Result<String, Failure> {
        match () {
            () if blocks.is_empty() => Ok(String::new()),
            () if !programs::ipset_is_there() => Err(no_ipset()),
            () => Ok(block::block(blocks, protected, &look_at_blocks()?)),
        }
    }

    fn unblock(&self, bans: &[Ban]) -> Result<String, Failure> {
        if bans.is_empty() { Ok(String::new()) } else { Ok(block::unblock(bans, &sets()?)) }
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let mut counters = BTreeMap::new();
        for program in present() {
            count(&programs::tables(&POLICY, is_v6(program), true).map_err(|e| unsaid(&e))?, &mut counters);
        }
        Ok(counters)
    }

    fn flush(&self) -> Result<(), Failure> {
        // Where AFO never was, what iptables cannot say does not stand in the way; but who gave no answer in time did not say so.
        let there = |names: &[&str], program| match programs::tables(names, is_v6(program), false) {
            Ok(dump) => Ok(dump.contains("AFO-")),
            Err(error @ SaveError::NotRun(NotRun::TimedOut(..))) => Err(unsaid(&error)),
            Err(_) => Ok(false),
        };
        for program in present() {
            if there(&["mangle"], program)? {
                let dump = programs::tables(&["mangle"], is_v6(program), false).map_err(|e| unsaid(&e))?;
                load(&LiveBlocks::read(&dump).map_err(Failure::refused)?.remove(program))?;
            }
            if there(&POLICY, program)? {
                load(&look(program)?.remove(program))?;
            }
        }
        load(&block::destroy(&sets()?))
    }
}

/// A dump without comments, which have the time, and without counters.
fn plain(dump: &str) -> String {
    let kept = dump.lines().filter(|line| !line.starts_with('#'));
    kept.map(|line| {
        if line.starts_with(':') { line.split(" [").next().unwrap_or(line) } else { line }.to_owned() + "\n"
    })
    .collect()
}

/// Adds the packets of each rule of AFO's in a dump with counters. Lines that lead on or back say nothing of their own; a rule that logs and
/// decides is counted where it decides.
fn count(dump: &str, into: &mut BTreeMap<String, u64>) {
    let mut logged: BTreeMap<String, u64> = BTreeMap::new();
    let mut decided: BTreeMap<String, u64> = BTreeMap::new();
    for line in dump.lines().filter_map(|line| line.strip_prefix('[')).filter(|line| line.contains("] -A AFO-g")) {
        let after = |option: &str| line.split_whitespace().skip_while(|word| *word != option).nth(1);
        let (Some(id), Some(target)) = (after("--comment"), after("-j")) else { continue };
        let packets = line.split(':').next().and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0);
        let counters = match target.trim_matches('"') {
            "LOG" => &mut logged,
            "ACCEPT" | "DROP" | "REJECT" | "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" => &mut decided,
            _ => continue,
        };
        *counters.entry(id.trim_matches('"').to_owned()).or_default() += packets;
    }
    logged.retain(|id, _| !decided.contains_key(id));
    for (id, packets) in decided.into_iter().chain(logged) {
        *into.entry(id).or_default() += packets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Proposal, parse};
    use proptest::prelude::*;

    fn rules(rules: &str) -> Vec<Rule> {
        let line = format!(r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}]}}"#);
        parse::<Proposal>(&line).expect(rules).rules
    }

    #[test]
    fn a_text_is_taken_apart_by_program() {
        let text = "# for iptables-restore --noflush\n*filter\nCOMMIT\n# for ip6tables-restore --noflush\n*filter\nCOMMIT\n# afterwards, for iptables-restore --noflush\n*filter\nCOMMIT\n";
        let found: Vec<_> = parts(text)
            .into_iter()
            .map(|(program, afterwards, part)| (program, afterwards, part.lines().count()))
            .collect();
        assert_eq!(found, [(Some(Program::V4), false, 3), (Some(Program::V6), false, 3), (Some(Program::V4), true, 3)]);
        assert_eq!(parts("# for ipset restore\nadd x 192.0.2.1\n").first().map(|part| part.0), Some(None));
        assert!(parts("").is_empty());
    }

    #[test]
    fn an_element_that_ipset_refuses_is_named() {
        let lines = "create afo-block4 hash:net\nadd afo-block4 192.0.2.7 timeout 60\n";
        let full = "ipset v7.17: Error in line 2: Hash is full, cannot add more elements";
        let named = "ipset v7.17: Error in line 2: Hash is full, cannot add more elements: `add afo-block4 192.0.2.7 timeout 60`";
        assert_eq!(with_element(full.to_owned(), lines), named);
        for other in ["ipset v7.17: Error in line 9: x", "ipset v7.17: Error in line 0: x", "no line"] {
            assert_eq!(with_element(other.to_owned(), lines), other);
        }
    }

    #[test]
    fn packets_are_counted_where_they_are_decided() {
        let dump = "[9:1] -A AFO-g1-INPUT -p tcp -m comment --comment r1 -j AFO-g1-r1-1\n[4:1] -A AFO-g1-r1-1 -m comment --comment r1 -j LOG\n[4:1] -A AFO-g1-r1-1 -m comment --comment r1 -j DROP\n[3:1] -A AFO-g1-INPUT -p udp -m comment --comment \"r:2\" -j LOG\n[5:5] -A INPUT -m comment --comment r1 -j DROP\n";
        let mut counters = BTreeMap::new();
        count(dump, &mut counters);
        count("[1:1] -A AFO-g1-INPUT -m comment --comment r1 -j ACCEPT\n", &mut counters);
        assert_eq!(counters, BTreeMap::from([("r1".to_owned(), 5), ("r:2".to_owned(), 3)]));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", mixed in "[\\[\\]:0-9 #*A-Zafor.é-]{0,60}") {
            for text in [text.clone(), mixed.clone(), format!("[{text}] -A AFO-g1 {mixed}"), format!("# {mixed}\n{text}")] {
                let mut counters = BTreeMap::new();
                count(&text, &mut counters);
                prop_assert!(counters.len() <= 1);
                prop_assert!(parts(&text).iter().all(|(_, _, part)| part.starts_with("# ")));
                let _ = (plain(&text), Live::read(&text));
            }
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        let timed = r#"{"id":"a","action":"accept","direction":"input","protocol":["tcp"],"ttl_seconds":60}"#;
        let refused = Iptables.bans(&rules(timed)[0]).expect_err("a time");
        assert!(
            refused[0].starts_with("rule a: ttl_seconds `60`: iptables has no rules that end by themselves"),
            "{refused:?}"
        );
        let long =
            r#"{"id":"a","action":"drop","direction":"input","source_address":["192.0.2.7"],"ttl_seconds":3000000}"#;
        let refused = Iptables.bans(&rules(long)[0]).expect_err("too long");
        assert_eq!(refused, ["rule a: ipset keeps an element for at most 2147483 seconds"]);
        assert_eq!(Iptables.block(&[], &[]).expect("nothing"), "");
    }
}
