//! One ruleset through the kernel and back.

use super::super::{Host, feed};
use super::gather::{Written, apart};
use afo::backend::nftables::Heads;
use afo::backend::{iptables, nftables};
use afo::rule::ruleset::{Ruleset, TableFamily};
use serde_json::Value;
use std::process::Command;

/// What became of a ruleset.
#[derive(Debug)]
pub enum End {
    /// The kernel does not take it, or nft cannot list it.
    NotLoaded(String),
    Equal,
    /// It comes back otherwise, and it is said why.
    Lost(String),
    /// It comes back otherwise and nobody says so.
    Wrong(String),
}

/// Loads, imports, renders, loads again and compares.
pub fn round(host: &Host, written: &Written) -> End {
    let ended = match written {
        Written::Nft(text) => nft(host, text, &["-f", "-"]),
        Written::Json(text) => nft(host, text, &["-j", "-f", "-"]),
        Written::Tables { program, text } => tables(program, text),
    };
    host.nft("flush ruleset");
    ended.unwrap_or_else(|end| end)
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let out = feed(Command::new(program).args(arguments), input.as_bytes());
    let words = String::from_utf8_lossy(&out.stderr);
    let first = words.lines().find(|line| !line.starts_with('#')).unwrap_or("no words").to_owned();
    if out.status.success() { Ok(String::from_utf8_lossy(&out.stdout).into_owned()) } else { Err(first) }
}

/// What the kernel has, as JSON and as text.
fn listed() -> Result<(String, String), String> {
    Ok((run("nft", &["-j", "list", "ruleset"], "")?, run("nft", &["-s", "list", "ruleset"], "")?))
}

fn read(json: &str, shown: &str) -> Result<Ruleset, String> {
    let mut ruleset = nftables::read(json).map_err(|e| e.to_string())?;
    Heads::of(shown).amend(&mut ruleset);
    Ok(ruleset)
}

fn nft(host: &Host, text: &str, arguments: &[&str]) -> Result<End, End> {
    run("nft", arguments, text).map_err(End::NotLoaded)?;
    let (json, shown) = listed().map_err(End::NotLoaded)?;
    let before = read(&json, &shown).map_err(|e| End::Wrong(format!("it cannot be read: {e}")))?;
    let made = nftables::export_with(&json, &Heads::of(&shown))
        .map_err(|e| End::Wrong(format!("it cannot be rendered: {e}")))?;
    host.nft("flush ruleset");
    let otherwise = |words: String| match made.lost.is_empty() {
        true => End::Wrong(words),
        false => End::Lost(made.lost.join("; ")),
    };
    run("nft", &["-f", "-"], &made.text).map_err(|words| otherwise(format!("the text does not load: {words}")))?;
    let (again, shown_again) = listed().map_err(|words| otherwise(format!("it cannot be listed: {words}")))?;
    let after = read(&again, &shown_again).map_err(|e| End::Wrong(format!("it cannot be read again: {e}")))?;
    let same = first_difference(&lines_of(&shown), &lines_of(&shown_again))
        .or_else(|| (settled(&json) != settled(&again)).then(|| "the JSON differs".to_owned()))
        .or_else(|| (plain(before) != plain(after)).then(|| "it is read otherwise".to_owned()));
    Ok(same.map_or(End::Equal, otherwise))
}

/// The lines of a listing, the elements of sets in one order.
fn lines_of(text: &str) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), String::new());
    for line in text.lines().map(str::trim) {
        match (open.is_empty(), line.contains("= {") && !line.contains('}')) {
            (true, false) => lines.push(sorted(line)),
            (true, true) => open = line.to_owned(),
            (false, _) => {
                open = format!("{open} {line}");
                if line.ends_with('}') {
                    lines.push(sorted(&std::mem::take(&mut open)));
                }
            }
        }
    }
    lines
}

/// A line with the elements of its sets in one order, and a set of one element, which nft takes apart, as that element.
fn sorted(line: &str) -> String {
    let mut made = String::new();
    let mut rest = line;
    while let Some((before, inner, after)) = rest
        .split_once("{ ")
        .and_then(|(before, rest)| rest.split_once(" }").map(|(inner, after)| (before, inner, after)))
    {
        let mut parts: Vec<_> = inner.split(',').map(str::trim).collect();
        parts.sort_unstable();
        made += before;
        made += &if parts.len() > 1 { format!("{{ {} }}", parts.join(", ")) } else { parts[0].to_owned() };
        rest = after;
    }
    made + rest
}

fn first_difference(then: &[String], now: &[String]) -> Option<String> {
    let pairs = then.iter().zip(now).find(|(a, b)| a != b);
    pairs
        .map(|(a, b)| format!("`{a}` came back as `{b}`"))
        .or_else(|| (then.len() != now.len()).then(|| format!("{} lines came back as {}", then.len(), now.len())))
}

/// Without what the kernel counts or numbers: handles, counters, what is left of a time; sets in one order.
fn settled(json: &str) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(walk),
            Value::Object(map) => {
                for name in ["handle", "packets", "bytes", "used", "expires"] {
                    map.remove(name);
                }
                map.values_mut().for_each(walk);
                if let Some(Value::Array(elements)) =
                    map.get("set").filter(|set| set.as_array().is_some_and(|e| e.len() == 1))
                {
                    let one = elements[0].clone();
                    return *value = one;
                }
                for name in ["set", "elem"] {
                    if let Some(Value::Array(elements)) = map.get_mut(name) {
                        elements.sort_by_key(Value::to_string);
                    }
                }
            }
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).expect("JSON");
    walk(&mut value);
    value
}

/// Without handles, and without the text, whose sets nft lists in any order.
fn plain(mut ruleset: Ruleset) -> Ruleset {
    for table in &mut ruleset.tables {
        table.sets.iter_mut().for_each(|set| set.handle = None);
        for chain in &mut table.chains {
            chain.handle = None;
            chain.lines.iter_mut().for_each(|line| (line.handle, line.text) = (None, String::new()));
        }
    }
    ruleset
}

fn tables(program: &str, text: &str) -> Result<End, End> {
    let read = |text: &str| iptables::read(text).map_err(|e| e.to_string());
    let family = read(text).ok().and_then(|ruleset| ruleset.tables.first().map(|table| table.family));
    let name = if family == Some(TableFamily::Ip6) { "ip6tables" } else { "iptables" };
    let (restore, save) = (format!("{name}-{program}-restore"), format!("{name}-{program}-save"));
    let (sets, dump) = apart(text);
    empty(&restore, program);
    let ended = run("ipset", &["restore"], &sets)
        .map_err(End::NotLoaded)
        .and_then(|_| there_and_back(&restore, &save, program, &dump));
    empty(&restore, program);
    run("ipset", &["destroy"], "").expect("no rule holds a set");
    ended
}

fn there_and_back(restore: &str, save: &str, program: &str, text: &str) -> Result<End, End> {
    run(restore, &[], text).map_err(End::NotLoaded)?;
    let saved = run(save, &[], "").map_err(End::NotLoaded)?;
    let ruleset = iptables::read(&saved).map_err(|e| End::Wrong(format!("it cannot be read: {e}")))?;
    let family = ruleset.tables.first().map_or(TableFamily::Ip, |table| table.family);
    let made = iptables::export(&ruleset, family).ok_or_else(|| End::Wrong("it cannot be rendered".to_owned()))?;
    empty(restore, program);
    run(restore, &[], &made).map_err(|words| End::Wrong(format!("the text does not load: {words}")))?;
    let again = run(save, &[], "").map_err(End::Wrong)?;
    let difference = first_difference(&bare(&saved), &bare(&again));
    Ok(match difference {
        None => End::Equal,
        Some(words) if bare(&saved) == bare(&made) => {
            End::Lost(format!("{save} does not print what it loads: {words}"))
        }
        Some(words) if ruleset.unread.is_empty() => End::Wrong(words),
        Some(_) => End::Lost(ruleset.unread.join("; ")),
    })
}

/// The lines of a dump without remarks and counters.
fn bare(dump: &str) -> Vec<String> {
    let lines = dump.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap_or(line).to_owned()).collect()
}

/// Takes the rules of iptables away.
fn empty(restore: &str, program: &str) {
    run("nft", &["flush", "ruleset"], "").expect("an empty ruleset");
    if program == "legacy" {
        for table in ["filter", "nat", "mangle", "raw", "security"] {
            let hooks: &[&str] = match table {
                "raw" => &["PREROUTING", "OUTPUT"],
                "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
                "nat" => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
                _ => &["INPUT", "FORWARD", "OUTPUT"],
            };
            let chains: String = hooks.iter().map(|hook| format!(":{hook} ACCEPT\n")).collect();
            // A table whose module is missing has no rules.
            drop(run(restore, &[], &format!("*{table}\n{chains}COMMIT\n")));
        }
    }
}
