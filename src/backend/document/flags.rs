//! The flags of a command, as the programs of clouds take them: `--flag value`, `--flag=value`, several values behind one.

use super::ReadError;
use super::shell::Command;
use std::collections::BTreeMap;

/// How many values a flag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Takes {
    Nothing,
    One,
    /// Words up to the next flag, at least one.
    Many,
}

/// A flag by its names, the first of which is what it is asked for by.
pub(in crate::backend) type Flag = (&'static [&'static str], Takes);

/// A command taken apart.
#[derive(Debug)]
pub(in crate::backend) struct Said<'a> {
    command: &'a Command,
    /// The words that belong to no flag.
    pub(in crate::backend) words: Vec<&'a str>,
    flags: BTreeMap<&'static str, Vec<String>>,
}

impl<'a> Said<'a> {
    /// Takes a command apart.
    ///
    /// # Errors
    /// With the line: a flag that is not among these, one that stands there twice, or one without its value.
    pub(in crate::backend) fn of(command: &'a Command, known: &[Flag]) -> Result<Self, ReadError> {
        let mut said = Self { command, words: Vec::new(), flags: BTreeMap::new() };
        let mut rest = command.words.iter().map(String::as_str).peekable();
        while let Some(word) = rest.next() {
            if !is_flag(word) {
                said.words.push(word);
                continue;
            }
            let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let flag = known.iter().find(|(names, _)| names.contains(&name));
            let (names, takes) = flag.ok_or_else(|| said.error(format!("the flag `{}` is not known", shown(name))))?;
            let mut values: Vec<String> = value.map(str::to_owned).into_iter().collect();
            let most = match takes {
                Takes::Nothing if value.is_some() => return Err(said.error(format!("`{name}` has no value"))),
                Takes::Nothing => 0,
                Takes::One => 1,
                Takes::Many => usize::MAX,
            };
            while values.len() < most && value.is_none() {
                let Some(next) = rest.next_if(|next| !is_flag(next)) else { break };
                values.push(next.to_owned());
            }
            if values.is_empty() && *takes != Takes::Nothing {
                return Err(said.error(format!("`{name}` has no value behind it")));
            }
            if said.flags.insert(names[0], values).is_some() {
                return Err(said.error(format!("`{}` stands there twice", names[0])));
            }
        }
        Ok(said)
    }

    /// The line of the command.
    pub(in crate::backend) fn line(&self) -> usize {
        self.command.line
    }

    /// Whether a flag is there.
    pub(in crate::backend) fn has(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// The values of a flag; none where it is not there.
    pub(in crate::backend) fn list(&self, name: &str) -> &[String] {
        self.flags.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The value of a flag.
    pub(in crate::backend) fn one(&self, name: &str) -> Option<&str> {
        self.list(name).first().map(String::as_str)
    }

    /// The value of a flag that must be there.
    pub(in crate::backend) fn wanted(&self, name: &str) -> Result<&str, ReadError> {
        self.one(name).ok_or_else(|| self.error(format!("`{name}` is missing")))
    }

    /// An error at the line of the command.
    pub(in crate::backend) fn error(&self, cause: impl Into<String>) -> ReadError {
        self.command.error(cause)
    }

    /// The words that belong to no flag, for messages.
    pub(in crate::backend) fn called(&self) -> String {
        shown(&self.words.join(" "))
    }
}

/// Whether a word begins a flag; `-1` is a number.
fn is_flag(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic()))
}

fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Flag; 3] =
        [(&["--one", "-o"], Takes::One), (&["--many"], Takes::Many), (&["--none"], Takes::Nothing)];

    #[test]
    fn flags_are_found_in_any_form() {
        let words = |text: &str| Command { line: 7, words: text.split(' ').map(str::to_owned).collect() };
        let command = words("go there --many a b --one=-x=y --none z");
        let said = Said::of(&command, &KNOWN).expect("taken apart");
        assert_eq!(
            (said.words.join(" "), said.one("--one"), said.list("--many").join(" ")),
            ("go there z".to_owned(), Some("-x=y"), "a b".to_owned())
        );
        assert!(said.has("--none") && said.wanted("--one").is_ok());
        assert_eq!(Said::of(&words("go -o -1"), &KNOWN).expect("a number").one("--one"), Some("-1"));
        for (text, cause) in [
            ("go --other x", "the flag `--other` is not known"),
            ("go --one --none", "`--one` has no value behind it"),
            ("go --many", "`--many` has no value behind it"),
            ("go --none=x", "`--none` has no value"),
            ("go --one a -o b", "`--one` stands there twice"),
        ] {
            assert_eq!(Said::of(&words(text), &KNOWN).expect_err(text).to_string(), format!("line 7: {cause}"));
        }
        assert_eq!(said.wanted("--absent").expect_err("absent").to_string(), "line 7: `--absent` is missing");
    }
}
