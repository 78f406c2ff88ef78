//! A kind of document as a backend: what it can say, how it is read and written, and the commands of its program that say the same.

use super::shell::{self, Command};
use super::{Limits, ReadError};
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::rule::Rule;
use crate::rule::ruleset::Ruleset;
use serde_json::Value;

/// A kind of document in which a firewall elsewhere keeps its rules.
#[derive(Debug)]
pub struct Document {
    pub(in crate::backend) limits: Limits,
    /// Whether a JSON value is one; what is no JSON comes as a text in it.
    pub(in crate::backend) is: fn(&Value) -> bool,
    pub(in crate::backend) read: fn(&str) -> Result<Ruleset, ReadError>,
    pub(in crate::backend) write: fn(&[Rule]) -> Result<Native, Vec<Refused>>,
    pub(in crate::backend) commands: Option<Commands>,
}

/// The words of a command.
pub(in crate::backend) type Words = Vec<String>;

/// The commands of a program that make the rules of a document.
#[derive(Debug)]
pub(in crate::backend) struct Commands {
    pub(in crate::backend) program: &'static str,
    /// The commands that a document stands for, at the firewall of a name; where none is given, the document's own.
    pub(in crate::backend) write: fn(&Value, Option<&str>) -> Result<Vec<Words>, String>,
    pub(in crate::backend) read: fn(&[Command]) -> Result<Made, ReadError>,
}

/// What commands make.
#[derive(Debug)]
pub(in crate::backend) struct Made {
    pub(in crate::backend) document: Value,
    /// The places in the document that lines of the commands are for.
    pub(in crate::backend) lines: Vec<(String, usize)>,
}

impl Document {
    /// Reads a document of this kind, or commands that make one: the rules that they make, and no others.
    ///
    /// # Errors
    /// When it is none, with the place of what is wrong.
    pub fn read(&self, text: &str) -> Result<Ruleset, ReadError> {
        let commands = self.commands.as_ref().filter(|own| shell::program(text) == Some(own.program));
        let Some(commands) = commands else { return (self.read)(text) };
        let made = (commands.read)(&shell::commands(text)?)?;
        (self.read)(&made.document.to_string()).map_err(|e| made.located(e))
    }

    /// As [`read`](Self::read) for what [`of`](Self::of) gave.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_value(&self, value: &Value) -> Result<Ruleset, ReadError> {
        value.as_str().map_or_else(|| self.read(&value.to_string()), |text| self.read(text))
    }

    /// Whether there are commands that make the rules of this kind.
    pub fn has_commands(&self) -> bool {
        self.commands.is_some()
    }

    /// Whether a text is commands of this kind's program.
    pub(in crate::backend) fn is_commanded(&self, program: &str) -> bool {
        self.commands.as_ref().is_some_and(|own| own.program == program)
    }

    /// A text of this kind as the commands that make its rules at the firewall of a name, one command to a line, for a shell.
    ///
    /// # Errors
    /// When the kind has no commands, or none can have such a name.
    pub fn commands(&self, native: &Native, target: Option<&str>) -> Result<String, String> {
        let name = self.limits.name;
        let commands = self.commands.as_ref().ok_or_else(|| format!("{name} has no commands that make rules"))?;
        let document = native.json.as_ref().ok_or_else(|| format!("the text of {name} has no JSON"))?;
        let lines = (commands.write)(document, target)?;
        // Half of the commands would be another policy: the first that fails is the last.
        let mut text = "#!/bin/sh\nset -e\n".to_owned();
        for words in lines {
            text.push_str(&words.iter().map(|word| shell::quoted(word)).collect::<Vec<_>>().join(" "));
            text.push('\n');
        }
        Ok(text)
    }
}

impl Made {
    /// An error with the line of the command that made what it is about.
    fn located(&self, error: ReadError) -> ReadError {
        let of = |(place, line): &(String, usize)| {
            let rest = error.place.strip_prefix(place.as_str())?;
            let field = rest.strip_prefix('.').unwrap_or_default();
            let inside = rest.is_empty() || rest.starts_with(['.', '[']);
            inside.then(|| if field.is_empty() { format!("line {line}") } else { format!("line {line}: {field}") })
        };
        let place = self.lines.iter().find_map(of);
        ReadError { place: place.unwrap_or(error.place), cause: error.cause }
    }
}

impl Backend for Document {
    fn name(&self) -> &'static str {
        self.limits.name
    }

    fn capabilities(&self) -> &'static [Capability] {
        self.limits.capabilities
    }

    fn render(&self, rules: &[Rule], _: Extent) -> Result<Native, Vec<Refused>> {
        (self.write)(rules)
    }

    fn model(&self, native: &Native) -> Result<Ruleset, String> {
        self.read(&native.text).map_err(|e| e.to_string())
    }
}
