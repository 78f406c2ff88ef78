//! Arrows point only down: which layer may name which, read from the source.

use crate::tree::{files, read, root};
use std::path::Path;

const WORDS: &[&str] = &["packet", "rule", "record"];
const MIDDLE: &[&str] = &["backend", "analyze", "propose", "detect", "respond", "deploy"];

/// What a layer may import besides itself; nothing where there is no such layer.
fn below(layer: &str) -> Option<Vec<&'static str>> {
    Some(match layer {
        "packet" => vec![],
        "rule" => vec!["packet"],
        "record" => vec!["packet", "rule"],
        "sys" | "state" | "cli" => WORDS.to_vec(),
        "cmd" => [WORDS, MIDDLE, &["sys", "state", "cli"]].concat(),
        _ if MIDDLE.contains(&layer) => WORDS.to_vec(),
        _ => return None,
    })
}

/// The text with comments and string literals blanked out, lines kept.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if c == '"' {
            string_end(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else {
            0
        };
        let (eaten, kept) = if skip > 0 { (skip, None) } else { (c.len_utf8(), Some(c)) };
        out.extend(kept);
        out.extend(rest[..eaten].chars().filter(|c| *c == '\n' && kept.is_none()));
        rest = &rest[eaten..];
    }
    out
}

/// The length of the string literal that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The first names behind a path: one, or those of a group in braces.
fn heads(after: &str) -> Vec<&str> {
    fn head(text: &str) -> &str {
        let text = text.trim_start();
        &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
    }
    let Some(group) = after.strip_prefix('{') else {
        return vec![head(after)];
    };
    let (mut depth, mut begin, mut out) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                out.push(head(&group[begin..at]));
                break;
            }
            ',' if depth == 0 => {
                out.push(head(&group[begin..at]));
                begin = at + 1;
            }
            _ => {}
        }
    }
    out.retain(|name| !name.is_empty());
    out
}

/// Paths from the crate's root in `text`, as line number and first name. `depth` is how many `super::` lead to the root.
fn imports(text: &str, depth: usize) -> Vec<(usize, String)> {
    let text = code(text);
    let tests = text.find("mod tests").unwrap_or(text.len());
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut after = &text[at..];
            let mut ups = 0;
            while let Some(shorter) = after.strip_prefix("super::") {
                (after, ups) = (shorter, ups + 1);
            }
            let after = after.strip_prefix("crate::").unwrap_or(after);
            if start == "super::" && ups < depth + usize::from(at > tests) {
                continue;
            }
            let line = text[..at].matches('\n').count() + 1;
            found.extend(heads(after).into_iter().map(|name| (line, name.to_owned())));
        }
    }
    found
}

/// The layer of a file under src/ and how deep in the module tree it lies; nothing for lib.rs and the mains.
fn place(relative: &Path) -> Option<(String, usize)> {
    let parts: Vec<_> = relative.iter().map(|p| p.to_string_lossy().replace(".rs", "")).collect();
    let depth = if parts.last().is_some_and(|p| p == "mod") { parts.len() - 1 } else { parts.len() };
    (parts[0] != "lib" && parts[0] != "bin").then(|| (parts[0].clone(), depth))
}

/// What is wrong with the imports of one file, each as `file:line: words`.
fn faults(relative: &Path, text: &str) -> Vec<String> {
    let Some((layer, depth)) = place(relative) else {
        return Vec::new();
    };
    let file = format!("src/{}", relative.display());
    let Some(allowed) = below(&layer) else {
        return vec![format!("{file}:1: `{layer}` is no layer of architecture.md")];
    };
    let wrong = |name: &String| *name != layer && !allowed.contains(&name.as_str());
    let words = |(line, name)| format!("{file}:{line}: `{layer}` must not know `{name}`");
    imports(text, depth).into_iter().filter(|(_, name)| wrong(name)).map(words).collect()
}

fn sources() -> Vec<(std::path::PathBuf, String)> {
    let src = root().join("src");
    let relative = |p: &Path| p.strip_prefix(&src).expect("below src").to_owned();
    files(&src, "rs").iter().map(|p| (relative(p), read(p))).collect()
}

#[test]
fn arrows_point_only_down() {
    let found: Vec<_> = sources().iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(found.is_empty(), "arrows that point up or sideways:\n{}", found.join("\n"));
}

#[test]
fn an_arrow_that_points_up_is_seen() {
    let seen = |file: &str, text: &str| faults(Path::new(file), text);
    assert_eq!(
        seen("rule/mod.rs", "use std::fmt;\nuse crate::{packet::{A, B}, record::Id};"),
        ["src/rule/mod.rs:2: `rule` must not know `record`"]
    );
    assert_eq!(
        seen("detect/auth.rs", "let x = crate::state::open();"),
        ["src/detect/auth.rs:1: `detect` must not know `state`"]
    );
    assert_eq!(
        seen("analyze/set.rs", "use super::super::deploy::X;"),
        ["src/analyze/set.rs:1: `analyze` must not know `deploy`"]
    );
    assert_eq!(seen("helpers/x.rs", "")[0], "src/helpers/x.rs:1: `helpers` is no layer of architecture.md");
    for fine in ["// crate::state", "\"crate::state\"", "mod tests { use super::super::x; }", "use crate::detect::y;"] {
        assert_eq!(seen("detect/auth.rs", fine), [""; 0], "{fine}");
    }
    assert_eq!(seen("cmd/render.rs", "use crate::{backend, cli, state, sys};"), [""; 0]);
}

#[test]
fn mains_are_five_lines() {
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with("bin")) {
        let lines = code(text).lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= 5, "src/{}: {lines} lines of code; a main has five, the rest belongs in cmd", path.display());
    }
}

#[test]
fn nothing_is_left_undone_or_unsafe() {
    for (path, text) in sources() {
        let (code, shown) = (code(&text), path.display());
        for word in ["todo!", "unimplemented!", "dbg!", "unreachable_unchecked"] {
            assert!(!code.contains(word), "src/{shown}: {word}");
        }
        for (n, line) in text.lines().enumerate() {
            let note = ["TODO", "FIXME"].iter().any(|w| line.split(|c: char| !c.is_alphanumeric()).any(|x| x == *w));
            assert!(!note, "src/{shown}:{}: a note of something undone", n + 1);
        }
        let helper = path.starts_with("sys") && text.contains("allow(unsafe_code)");
        let is_unsafe = code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
        assert!(!is_unsafe || helper, "src/{shown}: unsafe outside the one place in sys");
    }
}

#[test]
fn clocks_processes_and_printing_stay_at_the_edge() {
    for (path, text) in sources() {
        let edge = ["sys", "cmd", "cli"].iter().any(|layer| path.starts_with(layer));
        let allowed = text.contains("clippy::disallowed_");
        assert!(
            edge || !allowed,
            "src/{}: what clippy.toml forbids is allowed outside sys, cmd and cli",
            path.display()
        );
    }
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let is_fn = ["fn ", "const fn ", "async fn ", "pub(super) fn "].iter().any(|w| words.starts_with(w));
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[n..].iter().position(|l| *l == close).map_or(0, |end| end + 1);
            if is_fn && !line.ends_with('}') && !line.ends_with(';') && length > 60 {
                long.push(format!("src/{}:{}: {length} lines", path.display(), n + 1));
            }
        }
    }
    assert!(long.is_empty(), "functions of more than 60 lines:\n{}", long.join("\n"));
}
