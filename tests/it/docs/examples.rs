//! Every `$ ` example of README.md and afo.7 is run, in order, on a terminal in a network namespace, and prints what is claimed.
//!
//! In what is claimed `…` and `[..]` stand for anything within a line; a line of `…` alone for any lines. A host of the examples has the
//! interface eth0 (198.51.100.10/24), behind which 203.0.113.0/24 lies. `UPDATE=1` writes what was printed, ids and times as `…`.

use crate::kernel::{Host, Peer, in_namespace};
use crate::shell::on_terminal;
use crate::tree::{read, root};
use std::path::Path;

/// How a document marks examples.
struct Markup {
    begin: &'static str,
    end: &'static str,
    decode: fn(&str) -> String,
    encode: fn(&str) -> String,
}

const MARKDOWN: Markup = Markup { begin: "```console", end: "```", decode: str::to_owned, encode: str::to_owned };

const ROFF: Markup = Markup {
    begin: ".EX",
    end: ".EE",
    decode: |line| line.trim_start_matches("\\&").replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\"),
    encode: |line| {
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        format!("{guard}{}", line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"))
    },
};

/// A command and what it is claimed to print, by lines of the document.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    command: String,
    claimed: Vec<String>,
    /// The lines of what is claimed, from 0.
    from: usize,
    to: usize,
}

fn examples(text: &str, markup: &Markup) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for (n, line) in text.lines().enumerate() {
        if line == markup.begin || line == markup.end {
            inside = line == markup.begin;
            open = false;
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            open = true;
            found.push(Example { command: (markup.decode)(command), claimed: Vec::new(), from: n + 1, to: n + 1 });
        } else if let (true, Some(last)) = (open, found.last_mut()) {
            match last.claimed.is_empty() && last.command.ends_with('\\') {
                true => {
                    last.command.truncate(last.command.len() - 1);
                    last.command.push_str((markup.decode)(line).trim_start_matches("> ").trim_start());
                    last.from = n + 1;
                }
                false => last.claimed.push((markup.decode)(line)),
            }
            last.to = n + 1;
        }
    }
    found
}

/// Whether a line is as claimed, `…` and `[..]` standing for anything.
fn line_fits(claimed: &str, line: &str) -> bool {
    let pattern = claimed.replace("[..]", "…");
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether lines are as claimed, a line of `…` alone standing for any.
fn fits(claimed: &[String], lines: &[&str]) -> bool {
    match claimed.split_first() {
        None => lines.is_empty(),
        Some((any, more)) if any.trim() == "…" => (0..=lines.len()).any(|skip| fits(more, &lines[skip..])),
        Some((first, more)) => {
            lines.split_first().is_some_and(|(line, others)| line_fits(first, line) && fits(more, others))
        }
    }
}

/// What was printed, fit to be claimed: ids and times of today as `…`.
fn claimable(line: &str) -> String {
    let mut text = crate::cases::marked(line).replace("[time]", "…").replace("[version]", "…");
    while let Some(at) = text.find("[id-") {
        let end = text[at..].find(']').map_or(text.len(), |n| at + n + 1);
        text.replace_range(at..end, "…");
    }
    let words: Vec<&str> = text.split(' ').collect();
    let left = |at: usize| words.get(at + 1) == Some(&"s") && words.get(at + 2).is_some_and(|w| w.starts_with("left"));
    let shown = |(at, word): (usize, &&str)| if left(at) { "…".to_owned() } else { (*word).to_owned() };
    let text = words.iter().enumerate().map(shown).collect::<Vec<_>>().join(" ");
    // how long a block still lasts depends on how fast the machine is
    match text.split_once(" left)").and_then(|(head, rest)| Some((head.rsplit_once('(')?.0, rest))) {
        Some((head, rest)) => format!("{head}(… left){rest}"),
        None => text,
    }
}

/// A host with one interface and a client behind it; the client stays as long as the value.
fn surroundings(host: &Host, scratch: &Path) -> Peer {
    let peer = host.peer("eth0", [198, 51, 100, 10].into(), [198, 51, 100, 1].into(), 24);
    peer.sh("ip addr add 203.0.113.9/24 dev eth0");
    host.sh(
        "ip link set eth0 addrgenmode none; ip -6 addr flush dev eth0; ip route add default via 198.51.100.1 dev eth0",
    );
    std::fs::create_dir_all(scratch.join("tests")).expect("scratch");
    for shared in ["scripts", "tests/rulesets", "contrib"] {
        let (from, to) = (root().join(shared), scratch.join(shared));
        if from.exists() {
            std::os::unix::fs::symlink(from, to).expect("link");
        }
    }
    peer
}

/// What a terminal was sent, without colours and carriage returns.
fn bare(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
    rest.fold(first, |text, part| text + part).replace('\r', "")
}

/// Runs the examples of one document; what does not print what is claimed.
fn faults(file: &str, markup: &Markup, host: &Host) -> Vec<String> {
    let path = root().join(file);
    let text = read(&path);
    let scratch = tempfile::tempdir().expect("scratch");
    let _client = surroundings(host, scratch.path());
    let state = scratch.path().join("state.db");
    let home = scratch.path().join("home");
    let environment = [("AFO_STATE", state.to_str().expect("UTF-8")), ("HOME", home.to_str().expect("UTF-8"))];
    let (mut found, mut lines) = (Vec::new(), text.lines().map(str::to_owned).collect::<Vec<_>>());
    let all = examples(&text, markup);
    assert!(!all.is_empty(), "{file} has no example");
    let mut printed = Vec::new();
    for example in &all {
        let out = bare(&on_terminal(&example.command, scratch.path(), &environment));
        let shown: Vec<&str> = out.trim_end_matches('\n').lines().collect();
        if !fits(&example.claimed, &shown) {
            found.push(format!(
                "{file}:{}: $ {}\nclaimed:\n{}\nprinted:\n{out}",
                example.from,
                example.command,
                example.claimed.join("\n")
            ));
        }
        printed.push(shown.iter().map(|line| (markup.encode)(&claimable(line))).collect::<Vec<_>>());
    }
    if std::env::var_os("UPDATE").is_some_and(|v| v == "1") && !found.is_empty() {
        for (example, new) in all
            .iter()
            .zip(printed)
            .rev()
            .filter(|(e, new)| !fits(&e.claimed, &new.iter().map(String::as_str).collect::<Vec<_>>()))
        {
            lines.splice(example.from..example.to, new);
        }
        std::fs::write(path, lines.join("\n") + "\n").expect("written");
        return Vec::new();
    }
    found
}

#[test]
fn examples_of_the_readme_print_what_they_claim() {
    in_namespace(|host| assert_eq!(faults("README.md", &MARKDOWN, host).join("\n\n"), ""));
}

#[test]
fn examples_of_afo_7_print_what_they_claim() {
    in_namespace(|host| assert_eq!(faults("man/afo.7", &ROFF, host).join("\n\n"), ""));
}

#[test]
fn a_claim_is_held_to_what_is_printed() {
    for (claimed, line) in
        [("a", "a"), ("a…", "abc"), ("…c", "abc"), ("a…c…e", "abcde"), ("[..]b[..]", "abc"), ("…", "")]
    {
        assert!(line_fits(claimed, line), "{claimed} {line}");
    }
    for (claimed, line) in [("a", "ab"), ("a…d", "abc"), ("…b", "abc"), ("", "x"), ("ab…b", "ab")] {
        assert!(!line_fits(claimed, line), "{claimed} {line}");
    }
    let some = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    assert!(fits(&some(&["a", "…", "d"]), &["a", "b", "c", "d"]) && !fits(&some(&["a", "…", "d"]), &["a", "d", "e"]));
}

#[test]
fn what_depends_on_the_speed_of_the_machine_is_not_claimed() {
    assert_eq!(claimable("blocks 192.0.2.1 (59 min 58 s left): x"), "blocks 192.0.2.1 (… left): x");
    assert_eq!(claimable("block from 192.0.2.1 3599 s left: x"), "block from 192.0.2.1 … s left: x");
}

#[test]
fn examples_are_found_with_their_lines() {
    let text = "x\n```console\n$ a \\\n>   b\nout\n$ c\n```\n$ no\n";
    let example = |command: &str, claimed: &[&str], from, to| Example {
        command: command.into(),
        claimed: claimed.iter().map(|l| (*l).into()).collect(),
        from,
        to,
    };
    assert_eq!(examples(text, &MARKDOWN), [example("a b", &["out"], 4, 5), example("c", &[], 6, 6)]);
    let roff = ".EX\n$ afo\\-gen \\(aqx\\(aq\n\\&.a\n.EE\n";
    assert_eq!(examples(roff, &ROFF), [example("afo-gen 'x'", &[".a"], 2, 3)]);
}
