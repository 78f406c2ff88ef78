//! What the analysis costs: reading a listing beside serde_json, a whole audit, one proposed rule against what is there, memory.
//!
//! CPU time of the process (user and system), so that a busy machine tells the same; of the audit, which uses all processors, the time
//! from start to end too, which a busy machine makes longer. Each ruleset in a process of its own, so that its peak of memory is its own.
//! Ends with an error where a goal is missed.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // a bench starts itself again, reads clocks and prints

mod classbench;
mod listing;
mod naive;

use afo::analyze::{Against, Budget, audit, conflicts};
use afo::backend::nftables;
use afo::record::{Finding, FindingType};
use afo::rule::evaluate::evaluate;
use afo::rule::ruleset::Ruleset;
use classbench::{Five, SEEDS, drawn};
use rustix::time::{ClockId, clock_gettime};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Rules that are proposed, one by one.
const PROPOSED: usize = 40;
/// Sets above this are not given to the peer, which takes time in the square of their rules.
const PEER: usize = 20_000;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// Seconds of CPU that this process has used.
fn used() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// The result of the soonest of some runs, its milliseconds from start to end and of CPU.
fn soonest<T>(runs: usize, mut work: impl FnMut() -> T) -> (T, f64, f64) {
    let mut run = || {
        let began = seconds(ClockId::Monotonic);
        let (result, cost) = timed(&mut work);
        (result, (seconds(ClockId::Monotonic) - began) * 1e3, cost)
    };
    let mut best = run();
    for _ in 1..runs {
        let again = run();
        if again.1 < best.1 {
            best = again;
        }
    }
    best
}

/// The result and its cost in milliseconds of CPU.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let began = used();
    let result = work();
    (result, (used() - began) * 1e3)
}

/// The least of a few runs, for what is short.
fn least<T>(runs: usize, mut work: impl FnMut() -> T) -> (T, f64) {
    let (mut result, mut best) = timed(&mut work);
    for _ in 1..runs {
        let (again, cost) = timed(&mut work);
        if cost < best {
            (result, best) = (again, cost);
        }
    }
    (result, best)
}

/// The most memory that this process ever had, in MB (proc(5), VmHWM).
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|words| words.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// One ruleset, measured.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Row {
    name: String,
    rules: usize,
    /// Milliseconds of CPU.
    value: f64,
    import: f64,
    /// From start to end, and of CPU.
    audit: f64,
    audit_cpu: f64,
    /// One proposed rule, everything found out for it alone: the middle one and the worst.
    one: f64,
    worst: f64,
    /// The mean where many are proposed one after the other.
    next: f64,
    dead: usize,
    undecided: usize,
    /// Milliseconds of the plain search for dead rules, what it finds dead and what it leaves open; nothing of large sets.
    peer: Option<(f64, usize, usize)>,
    /// Rules that only that search finds dead, and of how many of these no packet is known that comes to them.
    more: (usize, usize),
    peak: f64,
}

/// How many of the rules that the peer finds dead the audit does not, and of how many of these no packet is known that comes to them.
fn alive(ruleset: &Ruleset, rules: &[Five], findings: &[Finding], peer: &[usize]) -> (usize, usize) {
    let dead: BTreeSet<_> = findings.iter().filter(|f| f.dead).filter_map(|f| f.rule.as_ref()?.index).collect();
    let more: Vec<_> = peer.iter().filter(|rule| !dead.contains(rule)).collect();
    let comes = |rule: usize| {
        let packet = naive::survivor(rules, rule)?;
        let trace = evaluate(ruleset, &packet, &mut |_, _| false).ok()?;
        Some(trace.passed.iter().any(|at| at.line == rule))
    };
    (more.len(), more.iter().filter(|rule| comes(***rule) != Some(true)).count())
}

fn measure(name: &str, rules: &[Five]) -> Row {
    let text = listing::listing(rules);
    let runs = if rules.len() > 20_000 { 1 } else { 5 };
    let (ruleset, import) = least(runs, || nftables::read(&text).expect("a listing"));
    let (findings, audit, audit_cpu) = soonest(runs, || audit(&ruleset, Budget::default()));
    let undecided =
        findings.iter().filter(|f| f.kind == FindingType::Unknown && f.explanation.starts_with("undecided"));
    let peak = peak();
    // The peer comes behind, for its tree takes more memory than all of the analysis.
    let (_, value) = least(runs, || serde_json::from_str::<serde_json::Value>(&text).expect("JSON").is_object());
    drop(text);
    let peer = (rules.len() <= PEER).then(|| timed(|| naive::dead(rules)));
    let more = peer.as_ref().map(|((dead, _), _)| alive(&ruleset, rules, &findings, dead)).unwrap_or_default();
    let peer = peer.map(|((dead, open), cost)| (cost, dead.len(), open));
    let others = drawn(&format!("{name}+"), PROPOSED);
    let proposed = others.iter().enumerate().map(|(n, rule)| [listing::proposed(rule, n)]);
    let proposed: Vec<_> = proposed.collect();
    let cost = |rule: &[afo::rule::Rule; 1]| least(3, || conflicts(&ruleset, rule, Budget::default())).1;
    let mut ones: Vec<_> = proposed.iter().map(cost).collect();
    ones.sort_by(f64::total_cmp);
    let against = Against::new(Cow::Borrowed(&ruleset));
    let (_, many) = timed(|| proposed.iter().for_each(|rule| drop(against.judge(rule, &[], Budget::default()))));
    Row {
        name: name.to_owned(),
        rules: rules.len(),
        value,
        import,
        audit,
        audit_cpu,
        one: ones[PROPOSED / 2],
        worst: ones[PROPOSED - 1],
        next: many / PROPOSED as f64,
        dead: findings.iter().filter(|finding| finding.dead).count(),
        undecided: undecided.count(),
        peer,
        more,
        peak,
    }
}

/// Measures in a process of its own.
fn apart(what: &[&str]) -> Result<Row, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find this program again: {e}"))?;
    let out = Command::new(own).arg("one").args(what).output().map_err(|e| format!("{}: {e}", what.join(" ")))?;
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(&text)
        .map_err(|_| format!("{}: {}", what.join(" "), String::from_utf8_lossy(&out.stderr).trim()))
}

fn head() {
    println!(
        "{:<14}{:>8}{:>11}{:>8}{:>11}{:>8}{:>9}{:>7}{:>7}{:>7}{:>9}{:>9}{:>9}{:>9}",
        "set",
        "rules",
        "import ms",
        "x Value",
        "audit ms",
        "cpu ms",
        "x peer",
        "dead",
        "alive",
        "undec.",
        "one ms",
        "worst",
        "each of",
        "peak MB"
    );
}

fn show(row: &Row) {
    println!(
        "{:<14}{:>8}{:>11.1}{:>8.2}{:>11.1}{:>8.1}{:>9}{:>7}{:>7}{:>7}{:>9.2}{:>9.2}{:>9.2}{:>9.0}",
        row.name,
        row.rules,
        row.import,
        row.import / row.value,
        row.audit,
        row.audit_cpu,
        row.peer.map_or("-".to_owned(), |(cost, _, _)| format!("{:.3}", row.audit / cost)),
        row.dead,
        row.more.0,
        row.undecided,
        row.one,
        row.worst,
        row.next,
        row.peak
    );
}

/// How the cost of an audit grows from one size to the next: 1 is in proportion. Files of one seed are named `SEED_RULES`.
fn growth(rows: &[Row]) {
    let mut seeds: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        seeds.entry(row.name.split('_').next().unwrap_or_default()).or_default().push(row);
    }
    for (seed, mut of) in seeds {
        of.sort_by_key(|row| row.rules);
        let steps: Vec<_> = of
            .windows(2)
            .map(|pair| (pair[1].audit / pair[0].audit).ln() / (pair[1].rules as f64 / pair[0].rules as f64).ln())
            .map(|exponent| format!("{exponent:.2}"))
            .collect();
        if !steps.is_empty() {
            println!("growth of the audit, {seed}: {}", steps.join(", "));
        }
    }
}

/// The goals that a row misses.
fn missed(row: &Row) -> Vec<String> {
    let mut all = Vec::new();
    let mut bar = |what: &str, is: f64, goal: f64| {
        if is >= goal {
            all.push(format!("{} {}: {what} {is:.2}, the goal is below {goal}", row.name, row.rules));
        }
    };
    bar("rules undecided", row.undecided as f64, 1.0);
    if let Some((_, dead, open)) = row.peer {
        bar("rules that the peer finds dead and no packet comes to", row.more.1 as f64, 1.0);
        // What it leaves open may be either.
        bar("rules dead that the peer has a packet for", row.dead.saturating_sub(dead + open) as f64, 1.0);
    }
    match row.rules {
        5_000..=20_000 => {
            bar("ms of audit", row.audit, 50.0);
            bar("ms for one proposed rule", row.worst, 5.0);
        }
        50_000..=200_000 => {
            bar("ms of audit", row.audit, 2_000.0);
            bar("MB of memory", row.peak, 1_000.0);
            bar("times serde_json for the import", row.import / row.value, 2.0);
        }
        _ => {}
    }
    all
}

/// Every `*.filters` of a directory.
fn sets(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut found: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "filters"));
    found.sort();
    match found.is_empty() {
        true => Err(format!("{}: no file NAME.filters is there", directory.display())),
        false => Ok(found),
    }
}

fn one(what: &[String]) -> Result<(), String> {
    let row = match what {
        [path] => {
            let path = Path::new(path);
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            measure(&name, &classbench::read(path)?)
        }
        [seed, size] => measure(seed, &drawn(seed, size.parse().map_err(|e| format!("{size}: {e}"))?)),
        _ => return Err("a set is a seed and a size, or a file".to_owned()),
    };
    println!("{}", serde_json::to_string(&row).map_err(|e| e.to_string())?);
    Ok(())
}

fn all(arguments: &[String]) -> Result<bool, String> {
    let mut sizes: Vec<_> = arguments.iter().filter_map(|word| word.parse::<usize>().ok()).collect();
    let directories: Vec<_> = arguments.iter().filter(|word| word.parse::<usize>().is_err()).collect();
    if sizes.is_empty() && directories.is_empty() {
        sizes = SIZES.to_vec();
    }
    let mut rows = Vec::new();
    head();
    let mut take = |what: &[&str]| -> Result<(), String> {
        let row = apart(what)?;
        show(&row);
        rows.push(row);
        Ok(())
    };
    for size in sizes {
        SEEDS.iter().try_for_each(|seed| take(&[seed, &size.to_string()]))?;
    }
    for directory in directories {
        sets(Path::new(directory))?.iter().try_for_each(|path| take(&[&path.to_string_lossy()]))?;
    }
    growth(&rows);
    let missed: Vec<_> = rows.iter().flat_map(missed).collect();
    missed.iter().for_each(|words| println!("missed: {words}"));
    Ok(missed.is_empty())
}

fn main() -> ExitCode {
    // `cargo bench` adds a word of its own.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let done = match arguments.split_first() {
        Some((first, what)) if first == "one" => one(what).map(|()| true),
        _ => all(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("bench: error: {why}");
            ExitCode::FAILURE
        }
    }
}
