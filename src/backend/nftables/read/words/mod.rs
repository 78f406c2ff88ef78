//! The text of rules in nft's language, made from the JSON of a listing: short for people, or complete, to be loaded again.
//!
//! What is written to be loaded says the same as the JSON or is named as lost; it is never a guess.

mod expression;
mod statement;

use super::node::{Items, Node};
pub(super) use statement::strings;

/// JSON cut at a length that still fits a line or two.
pub(super) fn clip(value: Node<'_>) -> String {
    let text = value.to_string();
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A statement on a map that nft 1.0.6 has no JSON for and shows as its own text: `update @m { ip saddr : tcp dport }`.
pub(super) fn update(statement: Node<'_>) -> Option<&str> {
    let text = statement.as_str()?;
    let known = ["add @", "update @", "delete @"].iter().any(|start| text.starts_with(start));
    let one = text.ends_with(" }") && text.matches(['{', '}']).count() == 2 && !text.contains([';', '\n', '"', '#']);
    (known && one).then_some(text)
}

/// The statements of a rule, in order, for people.
pub(super) fn rule(statements: Items<'_>) -> String {
    shown(|words| words.statements(statements))
}

/// One statement, for people.
pub(super) fn statement(kind: &str, body: Node<'_>) -> String {
    shown(|words| words.statement(kind, body))
}

/// `ip saddr != 10.0.0.0/8`.
pub(super) fn comparison(body: Node<'_>) -> String {
    shown(|words| words.comparison(body))
}

/// An expression, for people.
pub(super) fn expression(value: Node<'_>) -> String {
    shown(|words| words.expression(value))
}

fn shown(write: impl FnOnce(&mut Words)) -> String {
    let mut words = Words { out: String::with_capacity(64), ..Words::default() };
    write(&mut words);
    words.out
}

/// Text that is being written.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) out: String,
    /// To be loaded, rather than for people.
    load: bool,
    /// Numbers are seconds of a day.
    clock: bool,
    /// What could not be written so that it says the same.
    pub(super) lost: Vec<String>,
}

impl Words {
    /// Text that is to be loaded.
    pub(super) fn to_load() -> Self {
        Self { load: true, ..Self::default() }
    }

    pub(super) fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A word behind a space.
    pub(super) fn then(&mut self, text: &str) {
        self.out.push(' ');
        self.out.push_str(text);
    }

    /// A value under a key, behind a word: ` timeout 30`.
    pub(super) fn option(&mut self, word: &str, body: Node<'_>, key: &str) {
        if let Some(value) = body.get(key).filter(|value| !value.is_null()) {
            self.then(word);
            self.out.push(' ');
            self.expression(value);
        }
    }

    /// What has no text of the same meaning.
    pub(super) fn lose(&mut self, what: String) {
        self.out.push_str(&what);
        self.lost.push(what);
    }

    /// Text in quotes: a name or comment. nft has no way to write a quote or the end of a line inside.
    pub(super) fn quote(&mut self, text: &str) {
        if self.load && text.contains(['"', '\n', '\r', '\0']) {
            self.lost.push(format!("the text {text:?}"));
        }
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
    }

    /// A list with something between its values; for people only the first dozen.
    fn list<'t>(
        &mut self,
        values: impl Iterator<Item = Node<'t>> + Clone,
        between: &str,
        write: fn(&mut Self, Node<'t>),
    ) {
        const SHOWN: usize = 12;
        let most = if self.load { usize::MAX } else { SHOWN };
        for (n, value) in values.clone().take(most).enumerate() {
            if n > 0 {
                self.put(between);
            }
            write(self, value);
        }
        if !self.load {
            let more = values.skip(SHOWN).count();
            if more > 0 {
                self.put(&format!("{between}… {more} more"));
            }
        }
    }
}
