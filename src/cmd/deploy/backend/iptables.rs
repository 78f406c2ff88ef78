//! iptables and ip6tables together: AFO's chains in the filter tables of both, looked at afresh each time.
//!
//! Each program takes its text as a whole or not at all; where the second one refuses, what the first one did is put back. The window is
//! the kernel's own: the line that leads to the new generation asks what time it is. Blocks for a time are elements of ipsets.
//! What the two have no means for (cutting flows that began in a window) is said in afo-deploy(1), never promised.

use super::{Arming, Backend, Install, Wanted, occupied};
use crate::analyze::{Budget, audit};
use crate::backend::iptables::block::{self, LiveBlocks};
use crate::backend::iptables::{Iptables as Program, Live, Policy, Window, decides, with_policy};
use crate::backend::nftables::{Ban, Block, lower};
use crate::backend::{Backend as _, Refused};
use crate::cli::{Exit, Failure};
use crate::cmd::raw;
use crate::deploy::Kernel;
use crate::packet::AddressSpec;
use crate::record::{Finding, FindingType, Rule};
use crate::rule::ruleset::{Line, Ruleset};
use crate::sys::iptables::{self as programs, RestoreError, SaveError, Variant};
use crate::sys::{clock, nft};
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The filter tables of both families.
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
    let v6 = programs::is_there(true).then_some(Program::V6);
    [Program::V4].into_iter().chain(v6).collect()
}

fn look(program: Program) -> Result<Live, Failure> {
    let dump = programs::table("filter", is_v6(program), false).map_err(|e| unsaid(&e))?;
    Live::read(&dump).map_err(Failure::refused)
}

fn look_at_blocks() -> Result<Vec<(Program, LiveBlocks)>, Failure> {
    let look = |program: Program| {
        let dump = programs::table("mangle", is_v6(program), false).map_err(|e| unsaid(&e))?;
        Ok((program, LiveBlocks::read(&dump).map_err(Failure::refused)?))
    };
    present().into_iter().map(look).collect()
}

fn sets() -> Result<Vec<String>, Failure> {
    let names = programs::set_names().map_err(|e| unsaid(&e))?;
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
    let policy = Policy::of(rules, generation).map_err(|refused| Failure::new(Exit::No, joined(&refused)))?;
    let missing = |program: &Program| !there.iter().any(|(own, _)| own == program) && !policy.is_empty_for(*program);
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
    let loaded = match program {
        Some(program) => programs::load(is_v6(program), part),
        // ipset takes no comments.
        None => programs::load_sets(part.split_once('\n').map_or("", |(_, lines)| lines)),
    };
    loaded.map_err(|error| match (program, &error) {
        (None, RestoreError::NotRun(_)) => no_ipset(),
        _ => raw::refused(&error),
    })
}

fn no_ipset() -> Failure {
    Failure::refused("iptables keeps blocks for a time in ipset, which is not installed")
        .hint("install it: sudo apt-get install ipset")
}

/// Puts AFO's chains back as they were; whether that was possible.
fn put_back(before: &[(Program, Live)]) -> Result<(), Failure> {
    for (program, then) in before {
        let text = then.back_from(*program, &look(*program)?);
        if !text.is_empty() {
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
        let policy = program.filter(|_| part.contains("\n*filter\n"));
        let before = policy.map(look).transpose()?;
        if let Err(failed) = load_part(program, &part) {
            return Err(match put_back(&done) {
                Ok(()) => failed,
                Err(why) => {
                    Failure::new(Exit::Unknown, format!("{failed}; what was done before is not put back: {why}"))
                        .hint("afo-deploy flush-afo takes all of AFO out")
                }
            });
        }
        done.extend(policy.zip(before));
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

    fn base(&self) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        for v6 in [false, true].into_iter().filter(|v6| programs::is_there(*v6)) {
            let (_, kind) = programs::kind(v6).map_err(|e| raw::refused(&e.into()))?;
            let other =
                if programs::legacy_tables(v6).is_ok_and(|tables| tables.is_empty()) { kind } else { Variant::Legacy };
            for variant in [Some(kind), Some(other).filter(|other| *other != kind)].into_iter().flatten() {
                let dump = programs::save(variant, v6).map_err(|e| unsaid(&e))?;
                hash.update(plain(&dump).as_bytes());
            }
        }
        // Without nft there are no rules but these.
        if let Ok(listing) = nft::list(&["-s", "-t", "-j", "list", "ruleset"]) {
            hash.update(listing.as_bytes());
        }
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
        Policy::of(std::slice::from_ref(&Rule { position: crate::rule::Position::Auto, ..rule.clone() }), 1)
            .map_err(words)?;
        Ok(Vec::new())
    }

    fn order<'a>(&self, rules: &'a [Rule]) -> Result<Vec<&'a Rule>, String> {
        let order = Policy::order(rules).map_err(|refused| joined(&refused))?;
        Ok(order.into_iter().filter(|rule| rule.enabled).collect())
    }

    fn model(&self, live: &Ruleset, rules: &[Rule]) -> Result<Ruleset, String> {
        let legacy = programs::kind(false).is_ok_and(|(_, kind)| kind == Variant::Legacy);
        with_policy(live, rules, legacy).map_err(|refused| joined(&refused))
    }

    fn judged(&self, live: &Ruleset, after: &[Rule], added: &[Rule]) -> Option<Option<String>> {
        Some(match self.model(live, after) {
            Ok(model) => judged(&model, added),
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
        Ok(Arming { old: settled(&all), new, apply, revert: gone.collect() })
    }

    fn install(&self, rules: &[Rule], _: &[AddressSpec]) -> Result<Install, Failure> {
        let all = no_window()?;
        let generation = next(&all);
        let policy = policy(rules, generation, &all)?;
        Ok(Install { generation, apply: all.iter().map(|(program, live)| policy.install(*program, live)).collect() })
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

    fn boot(&self, _: &[Rule], _: u64) -> Result<Option<String>, Failure> {
        Ok(None)
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
            count(&programs::table("filter", is_v6(program), true).map_err(|e| unsaid(&e))?, &mut counters);
        }
        Ok(counters)
    }

    fn flush(&self) -> Result<(), Failure> {
        let sets = sets()?;
        if !sets.is_empty() {
            let looked_up = look_at_blocks()?;
            let removed: String = looked_up.iter().map(|(program, live)| live.remove(*program)).collect();
            load(&(removed + &block::destroy(&sets)))?;
        }
        for v6 in [false, true].into_iter().filter(|v6| programs::is_there(*v6)) {
            let program = if v6 { Program::V6 } else { Program::V4 };
            let live = look(program)?;
            if live.is_there() {
                programs::load(v6, &live.remove(program)).map_err(|e| raw::refused(&e))?;
            }
        }
        Ok(())
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
            "ACCEPT" | "DROP" | "REJECT" => &mut decided,
            _ => continue,
        };
        *counters.entry(id.trim_matches('"').to_owned()).or_default() += packets;
    }
    logged.retain(|id, _| !decided.contains_key(id));
    for (id, packets) in decided.into_iter().chain(logged) {
        *into.entry(id).or_default() += packets;
    }
}

/// The first of `added` that decides about no packet, or about which nobody knows, with the reason.
fn judged(model: &Ruleset, added: &[Rule]) -> Option<String> {
    let findings = audit(model, Budget::default());
    let of = |table: &str, family: &str, chain: &str, index: usize| -> Option<&Finding> {
        findings.iter().filter(|finding| stops(finding)).find(|finding| {
            finding.rule.as_ref().is_some_and(|rule| {
                let place = (rule.table.as_deref(), rule.family.as_deref(), rule.chain.as_deref());
                let from = rule.index.unwrap_or(usize::MAX);
                let lines = from..from.saturating_add(finding.count.unwrap_or(1));
                place == (Some(table), Some(family), Some(chain)) && lines.contains(&index)
            })
        })
    };
    added.iter().filter(|rule| rule.enabled).find_map(|rule| {
        let own = |line: &Line| line.comment.as_deref() == Some(rule.id.as_str());
        let mut found = Vec::new();
        for (table, _, chain) in model.chains() {
            let table = &model.tables[table];
            let lines = chain.lines.iter().enumerate().filter(|(_, line)| own(line) && decides(chain, line));
            found.extend(lines.map(|(n, _)| of(&table.name, table.family.as_str(), &chain.name, n)));
        }
        let unknown = found.iter().flatten().find(|finding| finding.kind == FindingType::Unknown);
        let first = found.first().copied().flatten().filter(|_| found.iter().all(Option::is_some));
        let stop = unknown.copied().or(first)?;
        Some(format!("rule {}: {}: {}", rule.id, word(stop.kind), stop.explanation))
    })
}

/// The word for a kind of finding, as records have it.
fn word(kind: FindingType) -> String {
    serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Whether a finding says that a line never does what it says, or that nobody knows.
fn stops(finding: &Finding) -> bool {
    use FindingType as T;
    match finding.kind {
        T::Unknown => true,
        T::Unmatchable | T::Contradiction | T::Shadow | T::Ineffective => finding.dead,
        _ => false,
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

    fn live(dump: &str) -> Ruleset {
        crate::backend::iptables::read(dump).expect(dump)
    }

    #[test]
    fn a_rule_is_judged_where_it_stands() {
        let accept = r#"{"id":"a","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#;
        let drop = r#"{"id":"b","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"],"source_address":["192.0.2.0/24"]}"#;
        let closed = live("*filter\n:INPUT DROP\n-A INPUT -p tcp -j DROP\nCOMMIT\n");
        let judge = |text: &str, id: &str| {
            let all = rules(text);
            let added: Vec<Rule> = all.iter().filter(|rule| rule.id.as_str() == id).cloned().collect();
            judged(&with_policy(&closed, &all, false).expect("a policy"), &added)
        };
        assert_eq!(judge(accept, "a"), None, "an accept of AFO's is before what the host drops");
        assert_eq!(judge(&format!("{drop},{accept}"), "a"), None);
        let said = judge(&format!("{accept},{drop}"), "b").expect("nothing reaches it");
        assert!(said.starts_with("rule b: shadow: "), "{said}");
        let mangled = live("*mangle\n:INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n");
        let said = judged(&with_policy(&mangled, &rules(accept), false).expect("a policy"), &rules(accept));
        assert!(said.is_none() || said.as_ref().is_some_and(|words| words.starts_with("rule a: ")), "{said:?}");
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
