//! The grammar: tokens to statements, all readings at once.
//!
//! Every production takes a place among the tokens and gives each way in which it can go on from there. A reading counts only when
//! it has consumed every token exactly once; a sentence without such a reading is refused with the furthest token that was
//! reached. Nothing is skipped, and no production guesses at a word that it does not know.

mod clause;
mod form;
mod phrase;
mod place;
mod rate;
mod traffic;

use super::lexer::{Kind, Token};
use super::names::Names;
use super::refusal::{Code, Fault};
use super::statement::Statement;
use super::vocabulary::{self, Phrases};
use std::cell::{Cell, RefCell};

/// Readings with the place after each.
type Found<T> = Vec<(T, usize)>;

/// Productions tried for one sentence before it is given up as too tangled.
const MOST_STEPS: u32 = 20_000;

/// One sentence being read.
pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    names: &'a Names,
    /// Whether a name that the context does not have may stand as [`End::Unknown`](super::statement::End::Unknown).
    guess: bool,
    far: Cell<usize>,
    bad: RefCell<Option<Fault>>,
    steps: Cell<u32>,
}

/// Every reading of the tokens, without repeats.
///
/// # Errors
/// The token that no reading gets past.
pub(super) fn readings(tokens: &[Token], names: &Names) -> Result<Vec<Vec<Statement>>, Fault> {
    let sure = Parser::new(tokens, names, false);
    let mut found = sure.sentence();
    let mut tangled = sure.tangled();
    if found.is_empty() && !tangled {
        let guessing = Parser::new(tokens, names, true);
        found = guessing.sentence();
        tangled = guessing.tangled();
    }
    match (found.is_empty(), tangled) {
        (_, true) => {
            Err(Fault::new(Code::TooLong, 0..0, "the request has too many readings")
                .hint("say it in shorter sentences"))
        }
        (true, _) => Err(sure.fault()),
        _ => Ok(found),
    }
}

impl<'a> Parser<'a> {
    fn new(tokens: &'a [Token], names: &'a Names, guess: bool) -> Self {
        let far = Cell::new(0);
        Self { tokens, names, guess, far, bad: RefCell::new(None), steps: Cell::new(0) }
    }

    fn tangled(&self) -> bool {
        self.steps.get() >= MOST_STEPS
    }

    /// Counts a production; whether there is room for more.
    fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        !self.tangled()
    }

    fn token(&self, at: usize) -> Option<&'a Token> {
        self.tokens.get(at)
    }

    fn text(&self, at: usize) -> &'a str {
        self.token(at).map_or("", |t| &t.text)
    }

    fn is(&self, at: usize, kind: &Kind) -> bool {
        self.token(at).is_some_and(|t| t.kind == *kind)
    }

    /// Notes that the tokens before `at` were understood.
    fn reached(&self, at: usize) -> usize {
        self.far.set(self.far.get().max(at));
        at
    }

    /// Notes a value that cannot be, for the case that there is no reading.
    fn bad(&self, at: usize, code: Code, message: impl Into<String>) {
        if let Some(token) = self.token(at) {
            let fault = Fault::new(code, token.span.clone(), message);
            let fault = match code {
                Code::Ambiguous => fault.hint("say it in sentences of their own"),
                Code::UnknownName => {
                    fault.hint("name them in the configuration: `afo config set zones.NAME INTERFACE`")
                }
                _ => fault,
            };
            self.bad.borrow_mut().get_or_insert(fault);
        }
    }

    /// The place after `phrase`, where it stands at `at`.
    fn one(&self, at: usize, phrase: &str) -> Option<usize> {
        let mut next = at;
        for word in phrase.split(' ') {
            let token = self.token(next)?;
            if token.text != word || matches!(token.kind, Kind::Bad(_)) {
                return None;
            }
            next += 1;
        }
        Some(next)
    }

    /// The place after the longest of `phrases` that stands at `at`.
    fn any(&self, at: usize, phrases: Phrases) -> Option<usize> {
        let next = phrases.iter().filter_map(|phrase| self.one(at, phrase)).max()?;
        Some(self.reached(next))
    }

    /// The places after each of `phrases` that stands at `at`, the longest first.
    fn each(&self, at: usize, phrases: Phrases) -> Vec<usize> {
        let mut ends: Vec<usize> = phrases.iter().filter_map(|phrase| self.one(at, phrase)).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        ends.dedup();
        ends.first().map(|end| self.reached(*end));
        ends
    }

    /// The tagged lists of which a phrase stands at `at`, the longest phrase of each.
    fn tagged<T: Copy>(&self, at: usize, lists: &[(T, Phrases)]) -> Found<T> {
        lists.iter().filter_map(|(tag, list)| Some((*tag, self.any(at, list)?))).collect()
    }

    /// Past an article, where one stands.
    fn past(&self, at: usize, phrases: Phrases) -> usize {
        self.any(at, phrases).unwrap_or(at)
    }

    /// Past a comma, where one stands.
    fn past_comma(&self, at: usize) -> usize {
        if self.is(at, &Kind::Comma) { at + 1 } else { at }
    }

    /// Why no reading consumed everything.
    fn fault(&self) -> Fault {
        let lexical = self.tokens.iter().find_map(|t| match &t.kind {
            Kind::Bad(reason) => Some(Fault::new(Code::BadValue, t.span.clone(), reason.clone())),
            _ => None,
        });
        lexical.or_else(|| self.bad.borrow().clone()).or_else(|| self.beyond()).unwrap_or_else(|| self.stuck())
    }

    /// A word that asks for what no filter rule does.
    fn beyond(&self) -> Option<Fault> {
        self.tokens.iter().find_map(|t| {
            let (_, why) = vocabulary::BEYOND.iter().find(|(word, _)| *word == t.text)?;
            Some(Fault::new(Code::Unsupported, t.span.clone(), format!("`{}` is not understood", t.text)).hint(*why))
        })
    }

    fn stuck(&self) -> Fault {
        let unknown = |t: &&Token| t.kind == Kind::Word && !vocabulary::known(&t.text) && !self.is_name(&t.text);
        let far = self.far.get();
        let token =
            self.tokens[far.min(self.tokens.len())..].iter().find(unknown).or_else(|| self.tokens.iter().find(unknown));
        if let Some(token) = token {
            let fault = Fault::new(
                Code::UnknownWord,
                token.span.clone(),
                format!("`{}` is not a word that is understood here", token.text),
            );
            return match super::hint::near(&token.text, self.names) {
                Some(word) => fault.hint(format!("did you mean `{word}`?")),
                None => fault.hint("say what to do, with which traffic, from where: `block ssh from 192.0.2.0/24`"),
            };
        }
        match self.token(far) {
            Some(token) => {
                Fault::new(Code::UnknownWord, token.span.clone(), format!("`{}` does not fit here", token.text))
                    .hint("say it in a shorter sentence: `block ssh from 192.0.2.0/24`")
            }
            None => Fault::new(Code::Missing, 0..0, "the sentence ends too early, or its parts do not fit together")
                .hint("say what to do, with which traffic, from where: `block ssh from 192.0.2.0/24`"),
        }
    }

    fn is_name(&self, word: &str) -> bool {
        word.parse::<crate::packet::Protocol>().is_ok()
            || super::services::service(word).is_some()
            || !self.names.at(&[word]).is_empty()
    }
}
