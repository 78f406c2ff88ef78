//! Commands in the language of a shell: words that are quoted so that none becomes another, and plain commands read back.
//!
//! What a shell would replace by something else (variables, files, other commands' output) is refused: nothing is run here, so nobody knows
//! what would stand there.

use super::ReadError;
use std::iter::Peekable;
use std::str::Chars;

/// A command, and the line on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend) struct Command {
    pub(in crate::backend) line: usize,
    pub(in crate::backend) words: Vec<String>,
}

impl Command {
    /// An error at the line of this command.
    pub(in crate::backend) fn error(&self, cause: impl Into<String>) -> ReadError {
        at(self.line, cause)
    }
}

fn at(line: usize, cause: impl Into<String>) -> ReadError {
    ReadError { place: format!("line {line}"), cause: cause.into() }
}

/// A word as a shell (POSIX, 2.2 Quoting) reads it back, whatever is in it; no word of a process holds a NUL.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    // Some shells take a word that begins with `=` for a command.
    match !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The program that the first command of a text runs.
pub(in crate::backend) fn program(text: &str) -> Option<&str> {
    let lines = text.lines().map(str::trim_start);
    let mut commands = lines.filter(|line| !line.is_empty() && !line.starts_with('#') && !is_setting(line));
    commands.next()?.split_whitespace().next()
}

/// What a script says of how it is run.
fn is_setting(line: &str) -> bool {
    line.split_whitespace().next() == Some("set")
}

/// The commands of a script, each a list of words.
///
/// # Errors
/// Where there is anything but plain commands, with the line.
pub(in crate::backend) fn commands(text: &str) -> Result<Vec<Command>, ReadError> {
    let mut script = Script { rest: text.chars().peekable(), line: 1 };
    let mut all = Vec::new();
    while script.rest.peek().is_some() {
        let line = script.line;
        let words = script.words()?;
        if !words.is_empty() && words[0] != "set" {
            all.push(Command { line, words });
        }
    }
    Ok(all)
}

struct Script<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Script<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    /// The words up to the end of a command, which is the end of its line.
    fn words(&mut self) -> Result<Vec<String>, ReadError> {
        let mut words = Vec::new();
        loop {
            match self.rest.peek() {
                None => return Ok(words),
                Some('\n') => {
                    self.next();
                    return Ok(words);
                }
                Some(' ' | '\t') => drop(self.next()),
                Some('#') => while self.rest.next_if(|c| *c != '\n').is_some() {},
                Some(_) => words.extend(self.word()?),
            }
        }
    }

    /// A word; nothing where it is only the end of a line that goes on.
    fn word(&mut self) -> Result<Option<String>, ReadError> {
        let mut word: Option<String> = None;
        while let Some(c) = self.rest.next_if(|c| !" \t\n".contains(*c)) {
            match c {
                '\\' => match self.next() {
                    None => return Err(at(self.line, "`\\` stands at the end, before nothing")),
                    Some('\n') => {}
                    Some(c) => word.get_or_insert_default().push(c),
                },
                '\'' => self.literal(word.get_or_insert_default())?,
                '"' => self.text(word.get_or_insert_default())?,
                c if "$`;|&<>(){}[]*?~".contains(c) || c.is_control() => return Err(self.special(c)),
                c => word.get_or_insert_default().push(c),
            }
        }
        Ok(word)
    }

    fn special(&self, c: char) -> ReadError {
        let shown = c.escape_debug();
        let cause = format!("`{shown}` is more than a plain command: the shell makes something else of it");
        at(self.line, format!("{cause}; quote it with '…' where it is meant, and write one command to a line"))
    }

    /// Up to the next `'`.
    fn literal(&mut self, word: &mut String) -> Result<(), ReadError> {
        let line = self.line;
        loop {
            match self.next() {
                None => return Err(at(line, "a quotation begins with ' and does not end")),
                Some('\'') => return Ok(()),
                Some(c) => word.push(c),
            }
        }
    }

    /// Up to the next `"`; in between a backslash stands before few characters, and `$` and a backquote are replaced.
    fn text(&mut self, word: &mut String) -> Result<(), ReadError> {
        let line = self.line;
        loop {
            match self.next() {
                None => return Err(at(line, "a quotation begins with \" and does not end")),
                Some('"') => return Ok(()),
                Some(c @ ('$' | '`')) => return Err(self.special(c)),
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                    other => word.extend(std::iter::once('\\').chain(other)),
                },
                Some(c) => word.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        commands(text).expect(text).into_iter().map(|command| command.words).collect()
    }

    #[test]
    fn words_are_what_a_shell_makes_of_them() {
        let script =
            "#!/bin/sh\nset -e\n\n# a comment\naz x --a='b c' \\\n   --d \"e \\\"f\\\" \\g\" '' h\\ i j#k # rest\ngo\n";
        let first = ["az", "x", "--a=b c", "--d", "e \"f\" \\g", "", "h i", "j#k"];
        assert_eq!(words(script), [first.to_vec(), vec!["go"]]);
        let lines: Vec<usize> = commands(script).expect("read").iter().map(|command| command.line).collect();
        assert_eq!((lines, program(script)), (vec![5, 7], Some("az")));
    }

    #[test]
    fn what_a_shell_would_replace_is_refused() {
        for (text, words) in [
            ("a\nb $x", "line 2: `$` is more than a plain command"),
            ("a \"`x`\"", "line 1: ``` is more than a plain command"),
            ("a *", "line 1: `*` is more than a plain command"),
            ("a; b", "line 1: `;` is more than a plain command"),
            ("a\r\n", "line 1: `\\r` is more than a plain command"),
            ("a\n'b\n\n", "line 2: a quotation begins with ' and does not end"),
            ("\"", "line 1: a quotation begins with \" and does not end"),
            ("a \\", "line 1: `\\` stands at the end, before nothing"),
        ] {
            let said = commands(text).expect_err(text).to_string();
            assert!(said.starts_with(words), "{said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(all in prop::collection::vec("(?s)[^\\x00]{0,12}", 1..6)) {
            let all: Vec<String> = std::iter::once("run".to_owned()).chain(all).collect();
            let line = all.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line), vec![all]);
        }

        #[test]
        fn no_script_makes_it_panic(text in "(?s).{0,80}") {
            for command in commands(&text).unwrap_or_default() {
                prop_assert!(!command.words.is_empty() && command.line <= text.lines().count());
            }
        }
    }
}
