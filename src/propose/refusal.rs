use crate::record::Refusal;
use std::ops::Range;

/// Why there is no rule, as a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    Empty,
    TooLong,
    Characters,
    BadValue,
    UnknownWord,
    UnknownName,
    Missing,
    Unsupported,
    Contradiction,
    TooWide,
    NoRequest,
    NotForwarding,
    Ambiguous,
}

impl Code {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Characters => "characters",
            Self::BadValue => "bad_value",
            Self::UnknownWord => "unknown_word",
            Self::UnknownName => "unknown_name",
            Self::Missing => "missing",
            Self::Unsupported => "unsupported",
            Self::Contradiction => "contradiction",
            Self::TooWide => "too_wide",
            Self::NoRequest => "no_request",
            Self::NotForwarding => "not_forwarding",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// A refusal that still knows which bytes of the sentence it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    /// Bytes of the sentence; empty where it is about the whole.
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    /// A refusal about the bytes `span`.
    pub fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), hint: None }
    }

    /// The same with a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The record's form of it; below the message stands the sentence with carets under the part that it is about.
    pub fn refusal(&self, sentence: &str) -> Refusal {
        let message = match self.caret(sentence) {
            Some(caret) => format!("{}\n{caret}", self.message),
            None => self.message.clone(),
        };
        Refusal { code: self.code.as_str().into(), message, hint: self.hint.clone() }
    }

    /// The sentence, every character that is not plain shown as `.`, and carets under the part; long sentences are cut around it.
    fn caret(&self, sentence: &str) -> Option<String> {
        if self.span.is_empty() || sentence.get(self.span.clone()).is_none() {
            return None;
        }
        let column = sentence[..self.span.start].chars().count();
        let width = sentence[self.span.clone()].chars().count();
        let skip = column.saturating_sub(60);
        let shown =
            |c: char| if c.is_ascii_graphic() || c == ' ' || c.is_alphabetic() && c < '\u{250}' { c } else { '.' };
        let line: String = sentence.chars().skip(skip).take(100).map(shown).collect();
        Some(format!("  {line}\n  {}{}", " ".repeat(column - skip), "^".repeat(width.clamp(1, 100 - 60))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_part() {
        let fault = Fault::new(Code::UnknownWord, 6..9, "what?").hint("do");
        assert_eq!(fault.refusal("block xyz\u{1b} now").message, "what?\n  block xyz. now\n        ^^^");
        assert_eq!(Fault::new(Code::Empty, 0..0, "what?").refusal("").message, "what?");
        let far = Fault::new(Code::UnknownWord, 400..403, "what?").refusal(&"a".repeat(500)).message;
        assert!(far.lines().all(|line| line.len() <= 103), "{far}");
    }
}
