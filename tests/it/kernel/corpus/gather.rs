//! The rulesets in the files of a directory, whatever the files are: nft's text or JSON, dumps of iptables, and tests that hold such.

use crate::tree::walk;
use afo::backend::iptables::is_dump;
use std::path::{Path, PathBuf};

/// A ruleset as a program loads it.
#[derive(Debug)]
pub enum Written {
    Nft(String),
    Json(String),
    /// For `iptables-nft-restore` or `iptables-legacy-restore`.
    Tables {
        program: &'static str,
        text: String,
    },
}

/// Every ruleset below a directory, in the order of the paths.
pub fn gather(directory: &Path) -> Vec<(PathBuf, Written)> {
    let mut all = Vec::new();
    for path in walk(directory) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        all.extend(of(&path, text).into_iter().map(|written| (path.clone(), written)));
    }
    all
}

fn of(path: &Path, text: String) -> Vec<Written> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if extension == "txlate" {
        return vec![Written::Nft(translated(&text))];
    }
    if extension == "t" {
        return if name.starts_with("lib") { options(&text) } else { Vec::new() };
    }
    if text.contains("-- Expect stdout --") {
        return expected(&text).into_iter().map(Written::Nft).collect();
    }
    if text.trim_start().starts_with('{') {
        return if text.contains("\"nftables\"") { vec![Written::Json(text)] } else { Vec::new() };
    }
    if is_dump(&text) {
        return dumps(&text);
    }
    let begins =
        |line: &str| ["table ", "add table ", "create table "].iter().any(|word| line.trim_start().starts_with(word));
    if text.lines().any(begins) { vec![Written::Nft(plain(&text))] } else { Vec::new() }
}

/// Without what other files would have to be there for.
fn plain(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("include "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn dumps(text: &str) -> Vec<Written> {
    ["nft", "legacy"].into_iter().map(|program| Written::Tables { program, text: text.to_owned() }).collect()
}

/// What a test of fw4 wants to be printed.
fn expected(text: &str) -> Option<String> {
    let after = text.split_once("-- Expect stdout --")?.1;
    let body = after.split_once("-- End --")?.0;
    body.contains("table ").then(|| plain(body))
}

/// The commands `nft 'add rule …'` of a test of iptables-translate, with the tables and chains that they go to.
fn translated(text: &str) -> String {
    let mut made = String::new();
    let commands = text.split("nft '").skip(1).filter_map(|rest| rest.split_once('\'')).map(|(command, _)| command);
    for command in commands {
        let words: Vec<_> = command.split_whitespace().collect();
        if let [_, "rule", family, table, chain, ..] = words.as_slice() {
            made += &format!("add table {family} {table}\nadd chain {family} {table} {chain}\n");
        }
        made += &format!("{}\n", command.replace('\n', " "));
    }
    made
}

/// The lines of options that iptables takes, each as a dump of its own.
fn options(text: &str) -> Vec<Written> {
    let (mut table, mut chain, mut all) = ("filter", "INPUT", Vec::new());
    for line in text.lines() {
        if let Some(chains) = line.strip_prefix(':') {
            chain = chains.split(',').next().unwrap_or("INPUT");
        } else if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let [given, _, "OK"] = line.split(';').collect::<Vec<_>>().as_slice() {
            let chains = if chain.chars().all(|c| c.is_ascii_uppercase()) { "ACCEPT" } else { "-" };
            all.extend(dumps(&format!("*{table}\n:{chain} {chains}\n-A {chain} {given}\nCOMMIT\n")));
        }
    }
    all
}
