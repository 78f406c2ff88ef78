//! A sentence, or an assessment, to rules.
//!
//! The grammar understands the whole of a sentence or refuses it: every token is consumed once, every name is the context's, every
//! reading is tried, and where two readings mean different packets the person is asked. Nothing of the sentence's text reaches a
//! rule: only addresses, ports, counts and names that the context has.

mod addresses;
mod compile;
mod direction;
mod explain;
mod grammar;
mod hint;
mod lexer;
mod matching;
mod names;
mod question;
mod refusal;
mod response;
mod services;
mod side;
mod statement;
#[rustfmt::skip] // a list is read as lines of words, not as a word a line
mod vocabulary;
mod world;

#[cfg(test)]
mod tests;

pub use explain::{explain, explain_rule};
pub use refusal::{Code, Fault};
pub use response::{Reaction, react};
pub use services::service_ports;

use compile::{Halt, Meaning, compile};
use lexer::{Kind, Token};
use names::Names;
use question::Ask;
use statement::Statement;
use std::collections::BTreeMap;
use world::World;

use crate::record::{Assumption, Change, ChangeOp, Choosable, Context, Id, Question, Timestamp, content_id};
use crate::rule::Rule;

/// What a sentence came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Understood(Understood),
    /// Two meanings, or something that has no default. Without time and run.
    Asked(Question),
    Refused(Fault),
}

/// What shall be done. The rules all have the id `new`: the caller names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Understood {
    pub rules: Vec<Rule>,
    pub changes: Vec<Change>,
    pub assumed: Vec<Assumption>,
    /// The rules and changes in English.
    pub explanation: String,
}

/// Answers by the question's id: the chosen option's.
pub type Answers = BTreeMap<Id, Id>;

/// A reader of sentences about one host. Making one costs as much as the context has names; reading costs microseconds.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    names: Names,
    world: World,
}

impl Reader {
    /// A reader for the host that `context` describes.
    pub fn new(context: &Context) -> Self {
        Self { names: Names::of(context), world: World::of(context) }
    }

    /// What `sentence` comes to, with the answers to what was asked of it before.
    pub fn read(&self, sentence: &str, answers: &Answers) -> Outcome {
        let tokens = match lexer::tokens(sentence) {
            Ok(tokens) => tokens,
            Err(fault) => return Outcome::Refused(fault),
        };
        if is_question(&tokens) {
            let fault =
                Fault::new(Code::NoRequest, 0..0, "this asks about the firewall, and rules are made from wishes");
            return Outcome::Refused(
                fault.hint("`afo-deploy list` shows AFO's rules and blocks; a wish is `block ssh from 192.0.2.0/24`"),
            );
        }
        if !has_verb(&tokens) {
            let fault = Fault::new(Code::NoRequest, 0..0, "this is not a request for a rule");
            return Outcome::Refused(
                fault.hint("say what to do, with which traffic, from where: `block ssh from 192.0.2.0/24`"),
            );
        }
        match grammar::readings(&tokens, &self.names) {
            Ok(readings) => Inquiry { reader: self, sentence, answers }.settle(readings),
            Err(fault) => Outcome::Refused(fault),
        }
    }
}

/// One sentence on its way from readings to a meaning.
struct Inquiry<'a> {
    reader: &'a Reader,
    sentence: &'a str,
    answers: &'a Answers,
}

/// What an inquiry came to, or the readings that an answer leaves.
enum Next {
    Done(Outcome),
    Again(Vec<Vec<Statement>>, Assumption),
}

/// Questions that one sentence can lead to, one after the other.
const MOST_QUESTIONS: usize = 8;

impl Inquiry<'_> {
    fn settle(&self, mut readings: Vec<Vec<Statement>>) -> Outcome {
        let mut told = Vec::new();
        for _ in 0..MOST_QUESTIONS {
            match self.once(&readings) {
                Next::Done(Outcome::Understood(mut understood)) => {
                    understood.assumed.splice(0..0, told);
                    return Outcome::Understood(understood);
                }
                Next::Done(outcome) => return outcome,
                Next::Again(left, answer) => {
                    readings = left;
                    told.push(answer);
                }
            }
        }
        Outcome::Refused(
            Fault::new(Code::Ambiguous, 0..0, "too much of this must be asked about")
                .hint("say it in shorter sentences"),
        )
    }

    fn once(&self, readings: &[Vec<Statement>]) -> Next {
        if let Some((name, span)) = readings.iter().find_map(|reading| question::unknown(reading)) {
            return self.unknown_name(readings, &name, span);
        }
        let mut meanings: Vec<(Meaning, Vec<Statement>)> = Vec::new();
        let mut asked: Option<(Vec<Statement>, usize, Ask)> = None;
        let mut fault: Option<Fault> = None;
        for reading in readings {
            match compile(reading, &self.reader.world) {
                Ok(meaning) if meanings.iter().any(|(known, _)| same(known, &meaning)) => {}
                Ok(meaning) => meanings.push((meaning, reading.clone())),
                Err((at, Halt::Ask(ask))) => drop(asked.get_or_insert((reading.clone(), at, ask))),
                Err((_, Halt::Fault(found))) => drop(fault.get_or_insert(found)),
            }
        }
        match (meanings.as_slice(), asked, fault) {
            (_, Some((reading, at, ask)), _) => self.ask(&reading, at, ask),
            ([(meaning, _)], None, _) => Next::Done(Outcome::Understood(understood(meaning.clone()))),
            ([], None, Some(fault)) => Next::Done(Outcome::Refused(fault)),
            ([], None, None) => {
                Next::Done(Outcome::Refused(Fault::new(Code::NoRequest, 0..0, "this is not a request for a rule")))
            }
            _ => self.two_meanings(&meanings),
        }
    }

    fn unknown_name(&self, readings: &[Vec<Statement>], name: &str, span: std::ops::Range<usize>) -> Next {
        let places = self.reader.names.places();
        if places.is_empty() {
            let fault = Fault::new(Code::UnknownName, span, format!("`{name}` is not a name that is known here"));
            return Next::Done(Outcome::Refused(
                fault.hint("give the address, or name it in the configuration: `afo config set hosts.NAME ADDRESS`"),
            ));
        }
        let near =
            hint::near(name, &self.reader.names).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        let fault =
            Fault::new(Code::UnknownName, span.clone(), format!("`{name}` is not a name that is known here{near}"));
        let options: Vec<String> = places.iter().map(|(_, end)| question::told(end)).collect();
        let text = fault.refusal(self.sentence).message;
        match self.answer(&text, &options) {
            Ok(None) => Next::Done(self.asked(&text, &options)),
            Err(fault) => Next::Done(Outcome::Refused(fault)),
            Ok(Some(at)) => {
                let mine = |reading: &&Vec<Statement>| question::unknown(reading).is_some_and(|(_, s)| s == span);
                let left = readings.iter().filter(mine).map(|reading| question::named(reading, &span, &places[at].1));
                Next::Again(left.collect(), answered("name", &options[at], name))
            }
        }
    }

    fn ask(&self, reading: &[Statement], at: usize, ask: Ask) -> Next {
        let options: Vec<String> = ask.options.iter().map(|(text, _)| text.clone()).collect();
        match self.answer(&ask.text, &options) {
            Ok(None) => Next::Done(self.asked(&ask.text, &options)),
            Err(fault) => Next::Done(Outcome::Refused(fault)),
            Ok(Some(chosen)) => {
                let mut left = reading.to_vec();
                left[at] = ask.options[chosen].1.clone();
                Next::Again(vec![left], answered("answer", &options[chosen], &ask.text))
            }
        }
    }

    fn two_meanings(&self, meanings: &[(Meaning, Vec<Statement>)]) -> Next {
        let options: Vec<String> =
            meanings.iter().map(|(m, _)| understood(m.clone()).explanation.replace('\n', " ")).collect();
        let text = "this can be understood in several ways; which is meant?";
        match self.answer(text, &options) {
            Ok(None) => Next::Done(self.asked(text, &options)),
            Err(fault) => Next::Done(Outcome::Refused(fault)),
            Ok(Some(chosen)) => {
                let mut made = understood(meanings[chosen].0.clone());
                made.assumed.push(answered("answer", &options[chosen], text));
                Next::Done(Outcome::Understood(made))
            }
        }
    }

    /// The option that was chosen for a question, by its place.
    fn answer(&self, text: &str, options: &[String]) -> Result<Option<usize>, Fault> {
        let Some(chosen) = self.answers.get(&self.id(text, options)) else { return Ok(None) };
        let place = chosen.as_str().parse::<usize>().ok().filter(|n| (1..=options.len()).contains(n));
        place.map(|n| Some(n - 1)).ok_or_else(|| {
            Fault::new(Code::BadValue, 0..0, format!("option `{chosen}` is none of 1 to {}", options.len()))
        })
    }

    fn asked(&self, text: &str, options: &[String]) -> Outcome {
        let choosable =
            |(n, text): (usize, &String)| Choosable { id: number(n + 1), text: text.clone(), example: None };
        Outcome::Asked(Question {
            id: self.id(text, options),
            ts: None,
            run: None,
            text: text.to_owned(),
            options: options.iter().enumerate().map(choosable).collect(),
            request: self.sentence.to_owned(),
        })
    }

    /// The same question about the same sentence has the same id, whenever it is asked.
    fn id(&self, text: &str, options: &[String]) -> Id {
        let mut parts: Vec<&[u8]> = vec![b"question", self.sentence.as_bytes(), text.as_bytes()];
        parts.extend(options.iter().map(|option| option.as_bytes()));
        content_id(Timestamp::UNIX_EPOCH, &parts)
    }
}

fn number(n: usize) -> Id {
    n.to_string().parse().expect("digits are an id")
}

fn answered(slot: &str, value: &str, why: &str) -> Assumption {
    let why = why.lines().next().unwrap_or_default();
    Assumption { slot: slot.into(), value: value.into(), why: format!("chosen when asked: {why}") }
}

/// Whether two readings ask for the same rules.
fn same(a: &Meaning, b: &Meaning) -> bool {
    let covers = |a: &[Rule], b: &[Rule]| a.iter().all(|rule| b.contains(rule));
    a.unblock == b.unblock && covers(&a.rules, &b.rules) && covers(&b.rules, &a.rules)
}

fn understood(meaning: Meaning) -> Understood {
    let change = |target: String| Change { op: ChangeOp::Remove, target, rule: None };
    let changes: Vec<Change> = meaning.unblock.into_iter().map(change).collect();
    let explanation = explain(&meaning.rules, &changes);
    Understood { rules: meaning.rules, changes, assumed: meaning.assumed, explanation }
}

/// Whether the tokens ask something. "can you block …?" is a wish.
fn is_question(tokens: &[Token]) -> bool {
    let texts: Vec<&str> = tokens.iter().map(|t| t.text.as_str()).collect();
    let mut start = 0;
    while ["please", "hi", "hello", "hey", "and", "so", "ok", ","].contains(texts.get(start).unwrap_or(&"")) {
        start += 1;
    }
    let begins = |phrase: &str| phrase.split(' ').enumerate().all(|(n, word)| texts.get(start + n) == Some(&word));
    let polite = ["can you", "could you", "would you", "will you"].into_iter().any(begins);
    let marked = tokens.iter().any(|t| t.kind == Kind::Question);
    !polite && (marked || vocabulary::QUESTIONS.iter().any(|phrase| begins(phrase)))
}

/// Whether some word asks for something to be done or left.
fn has_verb(tokens: &[Token]) -> bool {
    let verbs = vocabulary::VERBS.iter().chain(vocabulary::DONE).flat_map(|(_, list)| *list).copied();
    let modals = [
        vocabulary::MAY,
        vocabulary::MAY_NOT,
        vocabulary::NOBODY,
        vocabulary::REACHABLE,
        vocabulary::REMOVE,
        vocabulary::DO_NOT,
    ]
    .into_iter()
    .flatten()
    .copied();
    let all: Vec<&str> = verbs.chain(modals).chain(["no"]).filter_map(|phrase| phrase.split(' ').next()).collect();
    let beyond = |word: &str| vocabulary::BEYOND.iter().any(|(known, _)| *known == word);
    let known = |t: &Token| {
        all.contains(&t.text.as_str()) || beyond(&t.text) || matches!(t.kind, Kind::Bad(_) | Kind::Address(_))
    };
    let meant = |t: &Token| !matches!(t.kind, Kind::Stop) && hint::near(&t.text, &Names::default()).is_some();
    tokens.iter().any(known) || tokens.first().is_some_and(meant)
}
