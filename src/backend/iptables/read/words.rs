//! The words of one line, as iptables-restore takes a line apart, and back.
//!
//! A double quote opens a word in which blanks count; a backslash in it takes the next character as it is; the closing quote ends
//! the word (`add_param_to_argv`, iptables/xshared.c).

use std::borrow::Cow;

/// One word, and whether it was in quotes: then it is a value, whatever it looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) quoted: bool,
}

impl Word<'_> {
    /// Whether it is the sign that turns the next condition round.
    pub(super) fn is_not(&self) -> bool {
        !self.quoted && self.text == "!"
    }

    /// Whether it can be an option: it begins with a hyphen.
    pub(super) fn is_option(&self) -> bool {
        !self.quoted && self.text.len() > 1 && self.text.starts_with('-')
    }
}

/// The words of a line.
///
/// # Errors
/// When a quotation is not closed, or a control character stands outside of one.
pub(super) fn split(line: &str) -> Result<Vec<Word<'_>>, String> {
    let blank = |c: char| c == ' ' || c == '\t';
    let (mut words, mut rest) = (Vec::new(), line.trim_start_matches(blank));
    while !rest.is_empty() {
        let end = rest.find(|c| blank(c) || c == '"').unwrap_or(rest.len());
        if rest[end..].starts_with('"') {
            let (text, after) = quotation(&rest[end + 1..], &rest[..end]).ok_or("a quotation is not closed")?;
            words.push(Word { text: text.into(), quoted: true });
            rest = after;
        } else {
            if rest[..end].contains(char::is_control) {
                return Err("a control character stands outside of quotes".to_owned());
            }
            words.push(Word { text: rest[..end].into(), quoted: false });
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches(blank);
    }
    Ok(words)
}

/// The text up to the closing quote after what stood before the opening one, and what follows.
fn quotation<'a>(inner: &'a str, before: &str) -> Option<(String, &'a str)> {
    let mut text = before.to_owned();
    let mut characters = inner.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((text, &inner[at + 1..])),
            '\\' => text.push(characters.next()?.1),
            _ => text.push(c),
        }
    }
    None
}

/// A word as it is written: in quotes where it would be taken apart otherwise, or taken for an option.
pub(super) fn write(word: &Word, into: &mut String) {
    // Outside of double quotes no other character means anything.
    if !word.quoted && !word.text.is_empty() && !word.text.contains([' ', '\t', '"']) {
        into.push_str(&word.text);
        return;
    }
    into.push('"');
    for c in word.text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            into.push('\\');
        }
        into.push(c);
    }
    into.push('"');
}

/// Words as one line.
pub(super) fn joined<'a, 'w: 'a>(words: impl IntoIterator<Item = &'a Word<'w>>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        write(word, &mut line);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).expect("words").into_iter().map(|word| word.text.into_owned()).collect()
    }

    #[test]
    fn lines_are_taken_apart() {
        for (line, words) in [
            ("-A INPUT  -j\tDROP ", &["-A", "INPUT", "-j", "DROP"][..]),
            (r#"--comment "a \"b\" \\ c" -j X"#, &["--comment", r#"a "b" \ c"#, "-j", "X"]),
            (r#"--log-prefix """#, &["--log-prefix", ""]),
            (r#"a"b c"d"#, &["ab c", "d"]),
            (r"x\y 'a b'", &[r"x\y", "'a", "b'"]),
            ("", &[]),
        ] {
            assert_eq!(texts(line), words, "{line}");
        }
        for line in ["\"", "a \"b", "\"a\\"] {
            assert_eq!(split(line).expect_err(line), "a quotation is not closed");
        }
        assert_eq!(split("-m\u{c}").expect_err("a form feed"), "a control character stands outside of quotes");
        let odd = r"-m' a\b";
        assert_eq!(joined(&split(odd).expect("words")), odd);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in proptest::collection::vec("[ -~\t]{0,6}", 0..6)) {
            let words: Vec<_> = texts.iter().map(|t| Word { text: t.as_str().into(), quoted: true }).collect();
            let line = joined(&words);
            prop_assert_eq!(split(&line), Ok(words));
        }

        #[test]
        fn any_line_is_read_or_refused(line in "\\PC{0,40}") {
            if let Ok(words) = split(&line) {
                let text = joined(&words);
                let again = split(&text).expect("written well");
                prop_assert_eq!(joined(&again), text);
            }
        }
    }
}
