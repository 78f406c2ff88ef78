//! A talk with one backend: typed requests, typed answers, each fault in words that name the program.

use crate::backend::Refused;
use crate::backend::external::{LONGEST, PREFIX, field_of, held, reply};
use crate::backend::nftables::Block;
use crate::cli::{Failure, for_terminal};
use crate::record::{BackendReply, BackendRequest, Unsayable, ValidationError, Verb, to_line};
use crate::rule::Rule;
use crate::sys::talk::Talk;
use std::path::Path;
use std::time::Duration;

/// What `list` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub native: String,
    pub state: String,
    pub revision: String,
    pub mark: Option<String>,
    /// Those that end by themselves, in their order.
    pub blocks: Vec<Block>,
}

/// A talk with a backend.
#[derive(Debug)]
pub struct Session {
    name: String,
    talk: Talk,
    asked: u64,
    limit: Duration,
}

impl Session {
    /// Starts the program of the backend `name`.
    ///
    /// # Errors
    /// When it cannot be started (exit 3).
    pub fn start(name: &str, program: &Path, limit: Duration) -> Result<Self, Failure> {
        let talk = Talk::start(program, LONGEST).map_err(|e| Failure::refused(format!("{PREFIX}{name}: {e}")))?;
        Ok(Self { name: name.to_owned(), talk, asked: 0, limit })
    }

    /// The failure of this backend: what it said to standard error stands behind it.
    pub fn failed(&self, words: &str) -> Failure {
        let said = self.talk.words();
        let last = said.lines().last().map(|line| format!("; it said: {}", for_terminal(line))).unwrap_or_default();
        Failure::refused(format!("{PREFIX}{}: {words}{last}", self.name))
            .hint(format!("what is wrong with it: afo backends --selftest {}", self.name))
    }

    /// The line of a request, with the next number.
    pub fn line(&mut self, request: BackendRequest) -> String {
        self.asked += 1;
        to_line(&BackendRequest { id: self.asked, ..request })
    }

    /// Asks, and reads what comes back as the answer.
    ///
    /// # Errors
    /// When none comes, or one that the contract does not have (exit 3).
    pub fn ask(&mut self, request: BackendRequest) -> Result<BackendReply, Failure> {
        let verb = request.request;
        let line = self.line(request);
        self.ask_line(&line, verb)
    }

    /// As [`ask`](Self::ask) with a line of [`line`](Self::line).
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn ask_line(&mut self, line: &str, verb: Verb) -> Result<BackendReply, Failure> {
        let answer = self.talk.ask(line.as_bytes(), self.limit);
        let answer = answer.map_err(|e| self.failed(&format!("{}: {e}", verb.as_str())))?;
        reply(&answer, verb, self.asked).map_err(|fault| self.failed(&fault.to_string()))
    }

    /// As [`ask`](Self::ask) for what must be done.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), and when it is refused.
    pub fn done(&mut self, request: BackendRequest) -> Result<BackendReply, Failure> {
        let verb = request.request.as_str();
        let reply = self.ask(request)?;
        match reply.ok {
            true => Ok(reply),
            false => Err(self.failed(&refusal(verb, &reply))),
        }
    }

    /// What AFO has there.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub fn list(&mut self) -> Result<Listed, Failure> {
        let BackendReply { native, state, revision, mark, blocks, .. } = self.done(BackendRequest::of(Verb::List))?;
        let there = |field: Option<String>| field.unwrap_or_default();
        let none = || self.failed("its answer to list has a block that is none");
        let mut blocks: Vec<Block> = blocks.iter().map(held).collect::<Option<_>>().ok_or_else(none)?;
        blocks.sort_unstable();
        Ok(Listed { native: there(native), state: there(state), revision: there(revision), mark, blocks })
    }

    /// Rules in the backend's language, or what it refuses.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub fn render(&mut self, rules: Vec<Rule>) -> Result<Result<String, Vec<Refused>>, Failure> {
        let reply = self.done(BackendRequest { rules, ..BackendRequest::of(Verb::Render) })?;
        match reply.refused.is_empty() {
            true => Ok(Ok(reply.native.unwrap_or_default())),
            false => Ok(Err(reply.refused.into_iter().map(refused).collect())),
        }
    }

    /// What it says against a text; nothing where it would take it.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub fn check(&mut self, native: &str) -> Result<Option<Vec<ValidationError>>, Failure> {
        let request = BackendRequest { native: Some(native.to_owned()), ..BackendRequest::of(Verb::Check) };
        let reply = self.done(request)?;
        Ok((reply.valid == Some(false)).then_some(reply.errors))
    }

    /// Puts back what [`list`](Self::list) told as `state`; an empty one takes all of AFO out.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub fn restore(&mut self, state: &str) -> Result<(), Failure> {
        let request = BackendRequest { state: Some(state.to_owned()), ..BackendRequest::of(Verb::Restore) };
        self.done(request).map(drop)
    }

    /// The talk itself.
    pub fn into_talk(self) -> Talk {
        self.talk
    }
}

/// The words of an answer that is no.
pub fn refusal(verb: &str, reply: &BackendReply) -> String {
    let words: String = reply.error.as_deref().unwrap_or_default().chars().take(400).collect();
    format!("it refused to {verb}: {}", for_terminal(words.trim()))
}

/// A refusal of the backend's as one of AFO's: its words are text from outside.
fn refused(unsayable: Unsayable) -> Refused {
    let plain = |text: &str, most| for_terminal(&text.chars().take(most).collect::<String>()).into_owned();
    Refused {
        rule: unsayable.rule,
        field: field_of(&unsayable.field),
        value: plain(&unsayable.value, 80),
        cause: plain(&unsayable.cause, 400),
    }
}

impl Listed {
    /// Whether nothing of AFO is there.
    pub fn is_empty(&self) -> bool {
        self.native.is_empty() && self.mark.is_none() && self.blocks.is_empty()
    }
}
