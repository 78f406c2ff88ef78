//! Blocks for a time: elements where the program ends them by itself, else rules before the policy, which the journal ends.
//!
//! All of a request holds or nothing of it, as of every change; what the program says that it did is looked at.

use super::{External, mark_of, request};
use crate::backend::Backend as _;
use crate::backend::external::{Mark, bars, blocks, content, element, held};
use crate::backend::nftables::{Ban, Block};
use crate::cli::{Exit, Failure};
use crate::cmd::external::{Listed, refusal};
use crate::record::{BackendBlock, BackendRequest, Rule, Verb, to_line};
use std::collections::BTreeSet;

/// A request about blocks, as a line; nothing where there are none.
pub(super) fn text(verb: Verb, blocks: impl Iterator<Item = Block>) -> String {
    let blocks: Vec<BackendBlock> = blocks.map(|block| element(&block)).collect();
    match blocks.is_empty() {
        true => String::new(),
        false => to_line(&BackendRequest { blocks, ..BackendRequest::of(verb) }) + "\n",
    }
}

/// The bans that hold, of either kind.
pub(super) fn bans(listed: &Listed, mark: &Mark) -> Vec<Ban> {
    let rules = mark.blocks.iter().filter_map(held);
    let all: BTreeSet<Ban> = listed.blocks.iter().copied().chain(rules).map(|block| block.ban).collect();
    all.into_iter().collect()
}

impl External {
    /// The blocks that a rule comes to, where the program can have them.
    pub(super) fn barred(&self, rule: &Rule) -> Vec<Block> {
        let blocks = blocks(rule);
        let had = |block: &Block| self.0.ends_blocks() || !bars(&block.ban, self.0.capabilities()).is_empty();
        if blocks.iter().all(had) { blocks } else { Vec::new() }
    }

    /// Does what a request says about blocks.
    pub(super) fn bar(&self, request: BackendRequest) -> Result<(), Failure> {
        if self.0.ends_blocks() {
            return self.told(request);
        }
        let (listed, mark) = self.look()?;
        let mut bans: BTreeSet<Ban> = bans(&listed, &mark.unwrap_or_default()).into_iter().collect();
        for block in request.blocks.iter().filter_map(held) {
            match request.request {
                Verb::Unblock => bans.remove(&block.ban),
                _ => bans.insert(block.ban),
            };
        }
        self.rewrite(bans.into_iter().map(|ban| element(&Block { ban, seconds: None })).collect())
    }

    /// Makes these the blocks whose rules stand before the policy that is there.
    pub(super) fn rewrite(&self, blocks: Vec<BackendBlock>) -> Result<(), Failure> {
        let (listed, mark) = self.look()?;
        let mark = mark.unwrap_or_default();
        if mark.blocks == blocks {
            return Ok(());
        }
        let mark = Mark { blocks, ..mark };
        if mark.blocks.is_empty() && mark.settled.is_none() && mark.window.is_none() {
            return self.restored("", &[]);
        }
        let native = self.text(&mark)?;
        let mark = Mark { content: content(&native), ..mark };
        self.change(request(native, &mark, listed.revision))
    }

    /// Has the program do it, and looks whether it did.
    fn told(&self, request: BackendRequest) -> Result<(), Failure> {
        let mut session = self.0.session()?;
        let before = session.list()?;
        let verb = request.request;
        let wanted: BTreeSet<Ban> = request.blocks.iter().filter_map(held).map(|block| block.ban).collect();
        let failed = match session.ask(request) {
            Ok(reply) if reply.ok => None,
            Ok(reply) => Some(session.failed(&refusal(verb.as_str(), &reply))),
            Err(failure) => Some(failure),
        };
        drop(session);
        let after = self.0.session()?.list()?;
        mark_of(&after)?;
        let there = |listed: &Listed| listed.blocks.iter().map(|block| block.ban).collect::<BTreeSet<Ban>>();
        let (old, new) = (there(&before), there(&after));
        let done = if verb == Verb::Block { wanted.is_subset(&new) } else { wanted.is_disjoint(&new) };
        if done && failed.is_none() {
            return Ok(());
        }
        let lie = || {
            let words = format!("afo-backend-{}: it said that it did it, and lists other blocks", self.0.name());
            Failure::refused(words)
        };
        let failure = failed.unwrap_or_else(lie);
        match old == new {
            true => Err(Failure { message: format!("{}; nothing was changed", failure.message), ..failure }),
            false => Err(self.undone(failure, &before, &new)),
        }
    }

    /// Gives the blocks of before their time again and ends those that came.
    fn undone(&self, failure: Failure, before: &Listed, new: &BTreeSet<Ban>) -> Failure {
        let old: BTreeSet<Ban> = before.blocks.iter().map(|block| block.ban).collect();
        let gone = new.difference(&old).map(|ban| Block { ban: *ban, seconds: None });
        let asked = [text(Verb::Unblock, gone), text(Verb::Block, before.blocks.iter().copied())];
        let put_back = || {
            let mut session = self.0.session()?;
            for request in asked.iter().filter_map(|line| crate::record::parse(line.trim_end()).ok()) {
                session.done(request)?;
            }
            let listed = session.list()?;
            let back = listed.blocks.iter().map(|block| block.ban).eq(old.iter().copied());
            if back { Ok(()) } else { Err(session.failed("it lists other blocks")) }
        };
        let (exit, end) = match put_back() {
            Ok(()) => (Exit::PutBack, "the blocks of before are put back".to_owned()),
            Err(why) => (Exit::Unknown, format!("the blocks of before are not put back: {}", why.message)),
        };
        Failure { exit, message: format!("{}; {end}", failure.message), ..failure }
    }
}
