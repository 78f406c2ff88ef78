//! A backend that is a program of its own (afo-backend(7)), looked at afresh each time.
//!
//! The program keeps AFO's mark beside the rules: which generation they are, the policy itself and, while a window is open, what is to be put
//! back. It has no switch of its own; the watchdog sees to the end of a window. What it says that it did is looked at: where it lied, hung or died, what was
//! there before is put back, and it is told whether that was possible.

mod blocks;

use super::{Arming, Backend, Install, OTHERS, Wanted, occupied};
use crate::backend::external::{Mark, Opened, bars, content, held, without_end};
use crate::backend::nftables::{Ban, Block, Policy, with_policy};
use crate::backend::{Backend as _, Document, Refused};
use crate::cli::{Exit, Failure};
use crate::cmd::external::{External as Program, Listed, open, refusal};
use crate::deploy::Kernel;
use crate::packet::AddressSpec;
use crate::record::{BackendRequest, Rule, Verb, parse, to_line};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Action, Direction};
use crate::sys::clock;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A program `afo-backend-NAME`.
#[derive(Debug)]
struct External(&'static Program);

/// Those that were named, each once for this process.
static NAMED: Mutex<BTreeMap<&'static str, &'static External>> = Mutex::new(BTreeMap::new());

/// The backend whose program is `afo-backend-NAME`.
///
/// # Errors
/// When there is none in PATH, or it is not safe to run or does not say what it is (exit 3).
pub(super) fn named(name: &str) -> Result<&'static dyn Backend, Failure> {
    let Some(program) = open(name)? else {
        let none = format!("there is no program afo-backend-{name} in PATH");
        let words = match Document::named(name) {
            Some(_) => format!("AFO writes and reads the documents of {name}; only a program deploys them, and {none}"),
            None => format!("nothing deploys to {name}: AFO does not, and {none}"),
        };
        return Err(Failure::refused(words).hint("what there is: afo backends; how to write one: man 7 afo-backend"));
    };
    let Ok(mut named) = NAMED.lock() else { return Err(Failure::refused("a thread has died in naming a backend")) };
    Ok(*named.entry(program.name()).or_insert_with(|| Box::leak(Box::new(External(program)))))
}

fn joined(refused: &[Refused]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The mark that a listing has; nothing where AFO has nothing there.
fn mark_of(listed: &Listed) -> Result<Option<Mark>, Failure> {
    let Some(text) = &listed.mark else { return Ok(None) };
    let words = "the mark beside its rules is none of AFO's";
    Mark::read(text).map(Some).ok_or_else(|| Failure::refused(words).hint("afo-deploy flush-afo takes all of AFO out"))
}

fn is_open(window: &Opened) -> bool {
    window.is_open(&clock::boot_id(), clock::since_boot().as_millis())
}

impl External {
    fn look(&self) -> Result<(Listed, Option<Mark>), Failure> {
        let listed = self.0.session()?.list()?;
        let mark = mark_of(&listed)?;
        Ok((listed, mark))
    }

    /// What is there where no window is open, `policy` in its order beside the blocks that are rules, and the text of both, which it would take.
    fn prepared(&self, policy: &[Rule]) -> Result<Prepared, Failure> {
        let listed = self.0.session()?.list()?;
        let mark = mark_of(&listed)?.unwrap_or_default();
        if mark.window.is_some() {
            return Err(occupied());
        }
        let rules = self.0.ordered(policy).map_err(|refused| Failure::new(Exit::No, joined(&refused)))?;
        let mark = Mark { rules, ..mark };
        let native = self.text(&mark)?;
        Ok(Prepared { listed, mark: Mark { content: content(&native), ..mark }, native })
    }

    /// The text of the policy of a mark behind the rules of its blocks, which the program would take.
    fn text(&self, mark: &Mark) -> Result<String, Failure> {
        let bans = mark.blocks.iter().filter_map(held).flat_map(|block| bars(&block.ban, self.0.capabilities()));
        let rules: Vec<Rule> = bans.chain(mark.rules.iter().cloned()).collect();
        let mut session = self.0.session()?;
        let written = self.0.written(&mut session, &rules)?;
        let native = written.map_err(|refused| Failure::new(Exit::No, joined(&refused)))?;
        match session.check(&native)? {
            None => Ok(native),
            Some(errors) => {
                let words: Vec<String> = errors.into_iter().map(|error| error.message).collect();
                let words = format!("{} would not take it: {}", self.0.name(), words.join("; "));
                Err(Failure::new(Exit::No, words))
            }
        }
    }

    /// Sends a change and looks at what came of it; what is neither as it was nor as it should be is put back.
    fn change(&self, request: BackendRequest) -> Result<(), Failure> {
        let mut session = self.0.session()?;
        let before = session.list()?;
        let wanted = (request.native.clone(), request.mark.clone());
        let verb = request.request;
        let failed = match session.ask(request) {
            Ok(reply) if reply.ok => None,
            Ok(reply) => Some(session.failed(&refusal(verb.as_str(), &reply))),
            Err(failure) => Some(failure),
        };
        drop(session);
        let after = self.0.session().and_then(|mut session| session.list());
        match (failed, &after) {
            (None, Ok(after)) if (Some(&after.native), &after.mark) == (wanted.0.as_ref(), &wanted.1) => Ok(()),
            (Some(failure), Ok(after)) if after.state == before.state => {
                Err(Failure { message: format!("{}; nothing was changed", failure.message), ..failure })
            }
            (None, Ok(after)) if after.state == before.state => {
                let words = "it said that it did it, and nothing is there; nothing was changed";
                Err(Failure::refused(format!("afo-backend-{}: {words}", self.0.name())))
            }
            (failed, _) => Err(self.put_back(&before, failed)),
        }
    }

    /// Puts back what was there before a change of which nobody knows what it did.
    fn put_back(&self, before: &Listed, failed: Option<Failure>) -> Failure {
        let lie = format!("afo-backend-{}: it said that it did it, and lists something else", self.0.name());
        let (why, hint) = failed.map_or((lie, None), |failure| (failure.message, failure.hint));
        let (exit, end) = match self.restored(&before.state, &before.blocks) {
            Ok(()) => (Exit::PutBack, "what was there before is put back".to_owned()),
            Err(failure) => (Exit::Unknown, format!("what was there before is not put back: {}", failure.message)),
        };
        let failure = Failure::new(exit, format!("{why}; {end}"));
        hint.into_iter().fold(failure, Failure::hint)
    }

    /// The model of a policy with more rules behind it.
    fn model_with(&self, live: &Ruleset, policy: &[Rule], more: Vec<Rule>) -> Result<Ruleset, String> {
        let rules = self.0.ordered(policy).map_err(|refused| joined(&refused))?;
        let rules: Vec<Rule> = rules.iter().map(|rule| without_end(rule, &[])).chain(more).collect();
        let policy = Policy::of(&rules).map_err(|refused| joined(&refused))?;
        with_policy(live, &policy).ok_or_else(|| "the policy cannot be judged: a rule of it has no model".to_owned())
    }

    /// Puts a state back beside blocks that are no part of it, and looks whether both are there.
    fn restored(&self, state: &str, blocks: &[Block]) -> Result<(), Failure> {
        let mut session = self.0.session()?;
        session.restore(state)?;
        let listed = session.list()?;
        let there =
            if state.is_empty() { listed.native.is_empty() && listed.mark.is_none() } else { listed.state == state };
        if !there {
            return Err(session.failed("it said that it put it back, and lists something else"));
        }
        let held = |block: &&Block| listed.blocks.iter().any(|own| own.ban == block.ban);
        match blocks.is_empty() {
            true if !state.is_empty() || listed.is_empty() => Ok(()),
            true => Err(session.failed("it said that it put it back, and lists blocks")),
            false => self.load(&blocks::text(Verb::Block, blocks.iter().filter(|block| !held(block)).copied())),
        }
    }
}

/// A change of policy that the program would take.
struct Prepared {
    /// What is there.
    listed: Listed,
    /// Of the new text; its generations are those that are there.
    mark: Mark,
    native: String,
}

/// Rules that deny everything, by ids that say whose they are.
fn denials() -> Vec<Rule> {
    let denial = |direction: Direction| {
        let id = format!("{OTHERS}{direction}").parse().expect("letters and a hyphen");
        Rule::new(id, Action::Drop, direction)
    };
    [Direction::Input, Direction::Forward, Direction::Output].map(denial).into()
}

fn request(native: String, mark: &Mark, revision: String) -> BackendRequest {
    let (native, mark, revision) = (Some(native), Some(mark.text()), Some(revision));
    BackendRequest { native, mark, revision, ..BackendRequest::of(Verb::Apply) }
}

impl Backend for External {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn place(&self) -> String {
        format!("the firewall of afo-backend-{}", self.0.name())
    }

    fn is_of_this_kernel(&self) -> bool {
        false
    }

    fn closes_windows(&self) -> bool {
        false
    }

    fn observe(&self) -> Result<Kernel, Failure> {
        let (listed, mark) = self.look()?;
        let Some(mark) = mark else { return Ok(Kernel { whole: !listed.blocks.is_empty(), ..Kernel::default() }) };
        let window = mark.window.as_ref();
        Ok(Kernel {
            whole: mark.content == content(&listed.native),
            settled: mark.settled,
            window: window.map(|window| window.generation),
            armed: window.is_some_and(is_open),
        })
    }

    fn base(&self) -> Result<String, Failure> {
        Ok(content(&self.look()?.0.revision))
    }

    fn changes(&self) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    fn backup(&self) -> Result<String, Failure> {
        Ok(self.look()?.0.state)
    }

    fn bans(&self, rule: &Rule) -> Result<Vec<Block>, Vec<String>> {
        let alone = Rule { position: crate::rule::Position::Auto, ..rule.clone() };
        match self.0.ordered(std::slice::from_ref(&alone)) {
            Ok(_) => Ok(self.barred(rule)),
            Err(refused) => Err(refused.iter().map(ToString::to_string).collect()),
        }
    }

    fn banned(&self) -> Result<Option<Vec<Ban>>, Failure> {
        let (listed, mark) = self.look()?;
        Ok(Some(blocks::bans(&listed, &mark.unwrap_or_default())))
    }

    fn order<'a>(&self, policy: &'a [Rule]) -> Result<Vec<&'a Rule>, String> {
        let order = self.0.ordered(policy).map_err(|refused| joined(&refused))?;
        Ok(order.iter().filter_map(|rule| policy.iter().find(|own| own.id == rule.id)).collect())
    }

    fn live(&self) -> Result<Ruleset, Failure> {
        // What else the program filters by nobody but it can read: a policy is judged by itself.
        Ok(Ruleset::default())
    }

    fn model(&self, live: &Ruleset, policy: &[Rule]) -> Result<Ruleset, String> {
        self.model_with(live, policy, Vec::new())
    }

    fn closed(&self, policy: &[Rule]) -> Option<Result<Ruleset, String>> {
        Some(self.model_with(&Ruleset::default(), policy, denials()))
    }

    fn arm(&self, wanted: &Wanted) -> Result<Arming, Failure> {
        let Prepared { listed, mark, native } = self.prepared(wanted.policy)?;
        let (old, generation) = (mark.settled, mark.highest() + 1);
        let until = clock::since_boot().as_millis() + u128::from(wanted.window) * 1000;
        let until = u64::try_from(until).map_err(|_| Failure::undecided("the window ends beyond all time"))?;
        let window = Opened { generation, boot: clock::boot_id(), until, before: listed.state.clone() };
        let mark = Mark { window: Some(window), ..mark };
        let revert = BackendRequest { state: Some(listed.state), ..BackendRequest::of(Verb::Restore) };
        let apply = to_line(&request(native, &mark, listed.revision));
        Ok(Arming { old, new: generation, contents: Vec::new(), apply, revert: to_line(&revert) })
    }

    fn install(&self, policy: &[Rule], _: &[AddressSpec]) -> Result<Install, Failure> {
        let Prepared { listed, mark, native } = self.prepared(policy)?;
        let generation = mark.highest() + 1;
        let mark = Mark { settled: Some(generation), ..mark };
        Ok(Install { generation, contents: Vec::new(), apply: to_line(&request(native, &mark, listed.revision)) })
    }

    fn load(&self, text: &str) -> Result<(), Failure> {
        for line in text.lines() {
            let request: BackendRequest =
                parse(line).map_err(|e| Failure::refused(format!("this is no request to a backend: {e}")))?;
            match request.request {
                Verb::Block | Verb::Unblock => self.bar(request)?,
                _ => self.change(request)?,
            }
        }
        Ok(())
    }

    fn confirm(&self, _: &[Rule]) -> Result<(), Failure> {
        let (listed, mark) = self.look()?;
        let open = mark.as_ref().filter(|mark| mark.window.as_ref().is_some_and(is_open));
        let Some(confirmed) = open.and_then(Mark::confirmed) else {
            return Err(Failure::new(Exit::PutBack, "the window is over"));
        };
        self.change(request(listed.native, &confirmed, listed.revision))
    }

    fn take_back(&self, _: Option<&[Rule]>) -> Result<(), Failure> {
        let (listed, mark) = self.look()?;
        let Some(Mark { window: Some(window), blocks, .. }) = mark else { return Ok(()) };
        // Blocks are no part of the change: those that stand stay.
        self.restored(&window.before, &listed.blocks)?;
        self.rewrite(blocks)
    }

    fn remove(&self) -> Result<(), Failure> {
        let (listed, mark) = self.look()?;
        let used = mark.is_some_and(|mark| mark.settled.is_some() || mark.window.is_some());
        if used || listed.is_empty() { Ok(()) } else { self.flush() }
    }

    fn boot(&self, _: &[Rule], _: u64) -> Result<Vec<(&'static str, String)>, Failure> {
        Ok(Vec::new())
    }

    fn block(&self, blocks: &[Block], _: &[AddressSpec]) -> Result<String, Failure> {
        Ok(blocks::text(Verb::Block, blocks.iter().copied()))
    }

    fn unblock(&self, bans: &[Ban]) -> Result<String, Failure> {
        Ok(blocks::text(Verb::Unblock, bans.iter().map(|ban| Block { ban: *ban, seconds: None })))
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, Failure> {
        Ok(BTreeMap::new())
    }

    fn flush(&self) -> Result<(), Failure> {
        self.restored("", &[])
    }
}
