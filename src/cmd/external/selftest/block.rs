//! The lines of the contract about blocks that end by themselves, for a backend with the capability `timeout`.

use super::change::{Ground, apply};
use super::sample::base;
use super::{Held, Trial, listed, session};
use crate::backend::external::element;
use crate::backend::nftables::{Ban, Block};
use crate::cmd::external::{External, Listed};
use crate::packet::AddressSpec;
use crate::record::{BackendBlock, BackendRequest, Verb};
use crate::sys::clock;
use std::time::Duration;

/// A block that stands through the test, in seconds.
const LONG: u64 = 600;
/// How long after its end a block may still be listed.
const LATE: Duration = Duration::from_secs(30);
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Holds them against a backend; the block that it leaves there goes with the last `restore`.
pub(super) fn tried(trial: &mut Trial, external: &External, ground: &Ground) {
    let [one, other] = bans(external);
    let line = "a block is listed with what is left of its time, to every process; asked again it is there once and has its new time";
    if !trial.note("block", line, stands(external, one)) {
        return;
    }
    let line = "`apply` and `restore` of a state leave blocks alone, and the revision does not tell of them";
    trial.note("block-beside", line, beside(external, one, ground));
    let line = "`unblock` ends a block, there or not, and leaves the others";
    trial.note("unblock", line, ends(external, one, other));
    trial.note("block-ends", "it ends a block by itself when its time is over", over(external, other));
}

/// Two, of the family and in the direction that the backend has.
fn bans(external: &External) -> [Ban; 2] {
    let rule = base(&external.told().capabilities, "base");
    let towards = rule.source_address.is_any();
    let far = if towards { &rule.destination_address } else { &rule.source_address };
    let ban = if towards { Ban::Destination } else { Ban::Source };
    let four = matches!(far.items().first(), Some(AddressSpec::Net(ipnet::IpNet::V4(_))));
    let texts = if four { ["203.0.113.7/32", "203.0.113.8/32"] } else { ["2001:db8::7/128", "2001:db8::8/128"] };
    texts.map(|text| ban(text.parse().expect("an address of documentation")))
}

fn ask(external: &External, verb: Verb, ban: Ban, seconds: Option<u64>) -> Held {
    let blocks: Vec<BackendBlock> = vec![element(&Block { ban, seconds })];
    let request = BackendRequest { blocks, ..BackendRequest::of(verb) };
    session(external)?.done(request).map(drop).map_err(|failure| failure.message)
}

/// The blocks of a ban in a listing.
fn of(listed: &Listed, ban: Ban) -> Vec<Block> {
    listed.blocks.iter().copied().filter(|block| block.ban == ban).collect()
}

fn stands(external: &External, ban: Ban) -> Held {
    for seconds in [LONG / 2, LONG] {
        ask(external, Verb::Block, ban, Some(seconds))?;
        let found = of(&listed(external)?, ban);
        let [Block { seconds: left, .. }] = found[..] else {
            return Err(format!("`list` tells of it {} times", found.len()));
        };
        match left {
            None => return Err("`list` does not tell what is left of its time".to_owned()),
            Some(left) if left <= seconds.saturating_sub(LONG / 4) || left > seconds + 1 => {
                return Err(format!("`list` tells of {left} seconds, and it was asked for {seconds}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn beside(external: &External, ban: Ban, ground: &Ground) -> Held {
    let restored = || session(external)?.restore(&ground.first.state).map_err(|failure| failure.message);
    restored()?;
    let before = listed(external)?;
    ask(external, Verb::Block, ban, Some(LONG))?;
    if listed(external)?.revision != before.revision {
        return Err("a block changes the revision".to_owned());
    }
    apply(external, &ground.texts[1], "beside")?;
    let applied = of(&listed(external)?, ban).len();
    restored()?;
    match (applied, of(&listed(external)?, ban).len()) {
        (1, 1) => Ok(()),
        (1, _) => Err("after `restore` the block is gone".to_owned()),
        _ => Err("after `apply` the block is gone".to_owned()),
    }
}

fn ends(external: &External, one: Ban, other: Ban) -> Held {
    ask(external, Verb::Unblock, other, None)?;
    ask(external, Verb::Block, other, Some(LONG))?;
    ask(external, Verb::Unblock, other, None)?;
    let after = listed(external)?;
    match (of(&after, one).len(), of(&after, other).len()) {
        (1, 0) => Ok(()),
        (_, 0) => Err("`unblock` of one ends another".to_owned()),
        _ => Err("`list` still tells of it".to_owned()),
    }
}

fn over(external: &External, ban: Ban) -> Held {
    ask(external, Verb::Block, ban, Some(1))?;
    let begun = clock::since_boot();
    while !of(&listed(external)?, ban).is_empty() {
        if clock::since_boot().saturating_sub(begun) > LATE {
            return Err(format!("{} s after its end `list` still tells of it", LATE.as_secs()));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
