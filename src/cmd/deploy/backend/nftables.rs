//! nftables: AFO's table in the kernel, looked at afresh each time, changed only by whole transactions.

use super::super::elements::TABLE;
use super::{Arming, Backend, Elements, Install, Wanted, nft_base, occupied};
use crate::backend::nftables::{
    Ban, BanSet, Block, Content, Door, Live, Policy, Refused, Window, arm, armed, boot, confirm, declare, extend,
    forget, hang, hung, install, keeper, lower, never, remove, revert, take_down, tidy, unblock, with_policy,
};
use crate::cli::{Exit, Failure};
use crate::cmd::hours::in_utc;
use crate::cmd::ruleset::live_ruleset;
use crate::deploy::Kernel;
use crate::packet::AddressSpec;
use crate::record::Rule;
use crate::rule::door::{DOOR, taken};
use crate::rule::doorway::{Doorway, with_doors};
use crate::rule::ruleset::Ruleset;
use crate::sys::changes::count;
use crate::sys::elements::{Batch, BatchError, Channel};
use crate::sys::nft::{self, NftError};
use crate::sys::process::{installed, run};
use crate::sys::tables;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// The list of routing rules is short.
const LIMIT: Duration = Duration::from_secs(10);

/// How often blocks are tried by the short way.
const TRIES: usize = 3;

/// AFO's own table, `inet afo`.
#[derive(Debug)]
pub struct Nftables;

/// Why the kernel did not do it: nothing was changed (exit 3).
fn failure(error: &NftError) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string());
    error.hint().into_iter().fold(failure, Failure::hint)
}

/// A listing; nothing where what is asked for is not there.
fn listed(arguments: &[&str]) -> Result<Option<String>, Failure> {
    match nft::list(arguments) {
        Ok(text) => Ok(Some(text)),
        Err(NftError::Said(words)) if words.contains("No such file or directory") => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

fn look() -> Result<Live, Failure> {
    let Some(json) = listed(&["-j", "-t", "list", "table", "inet", "afo"])? else { return Ok(Live::default()) };
    Live::read(&json).map_err(|e| Failure::refused(e.to_string()))
}

fn no_window() -> Result<Live, Failure> {
    let live = look()?;
    if live.pending.is_some() { Err(occupied()) } else { Ok(live) }
}

/// Whether a set of AFO's holds something.
fn has_elements(set: &str) -> Result<bool, Failure> {
    let listing = listed(&["-j", "list", "set", "inet", "afo", set])?;
    let value: Value = serde_json::from_str(&listing.unwrap_or_default()).unwrap_or_default();
    let objects = value["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(objects.iter().any(|object| object["set"]["elem"].as_array().is_some_and(|elements| !elements.is_empty())))
}

/// Whether the window of an armed change is still open.
fn window_open(live: &Live) -> Result<bool, Failure> {
    if !live.armed {
        return Ok(false);
    }
    Ok(listed(&["-j", "list", "set", "inet", "afo", "armed"])?.is_some_and(|json| Live::window_open(&json)))
}

fn words(refused: &[Refused]) -> Vec<String> {
    refused.iter().map(ToString::to_string).collect()
}

fn ordered(rules: &[Rule]) -> Result<Policy, String> {
    in_utc(rules).and_then(|rules| Policy::of(&rules)).map_err(|refused| words(&refused).join("; "))
}

/// What the state holds was lowered before, so a refusal of it means that the state is of another program version.
fn plain(rules: &[Rule]) -> Result<Policy, Failure> {
    ordered(rules).map_err(|words| Failure::new(Exit::No, words))
}

/// What goes in before a text, as comments.
fn told(contents: &[Content]) -> String {
    contents.iter().map(|content| format!("{content}\n")).collect()
}

/// A policy for the kernel as it is. What stands there marked stays so, and so does what comes back to an empty table: without its mark it
/// would be closed, and doors would let through what others mark. Nothing begins to be marked where somebody else uses the mark.
fn lowered(rules: &[Rule], live: &Live) -> Result<Policy, Failure> {
    let (policy, taken) = marked(rules, &[])?;
    let begins = !live.marks && live.generation.is_some();
    Ok(if taken.is_some() && begins { policy.unmarked() } else { policy })
}

/// A policy that marks what it accepts where there are doors, or are to be, and who else uses the mark.
fn marked(rules: &[Rule], ways: &[Doorway]) -> Result<(Policy, Option<String>), Failure> {
    let policy = plain(rules)?;
    // Only another program's table has a door.
    if is_alone() || !policy.accepts() {
        return Ok((policy, None));
    }
    let live = with_doors(&live_ruleset()?, ways);
    let policy = policy.marking(&live);
    let by = |rule: String| format!("`{rule}` uses it");
    let who = if policy.marks() { taken(&live).map(by).or_else(router) } else { None };
    Ok((policy, who))
}

fn is_own(table: &tables::Table) -> bool {
    table.family == "inet" && table.name == "afo"
}

/// Whether the kernel has no table but AFO's.
fn is_alone() -> bool {
    tables::all().is_ok_and(|all| all.iter().all(is_own))
}

/// Loads a text together with the taking out of doors, which somebody else may take out in the same moment.
fn load_without(which: impl Fn(&Door) -> bool, text: &str) -> Result<(), Failure> {
    for _ in 0..TRIES {
        let doors: Vec<Door> = Nftables.doors()?.into_iter().filter(&which).collect();
        let done = Nftables.load(&format!("{}{text}", take_down(&doors)));
        if done.is_ok() || doors.is_empty() {
            return done;
        }
    }
    // A door that cannot be taken out is closed without the policy that marks; recovery tries again.
    Nftables.load(text)
}

/// The routing that uses the mark of what AFO accepts, in words.
fn router() -> Option<String> {
    routed_by(DOOR).map(|rule| format!("the routing rule `{rule}` looks at it"))
}

fn unmarkable(who: &str) -> String {
    format!("what AFO accepts cannot be marked with {DOOR:#x}: {who}")
}

/// The routing rule that looks at a bit of the mark, where there is one (ip-rule(8)).
fn routed_by(bit: u32) -> Option<String> {
    let list = |family: &str| run("ip", &[family, "rule", "show"], b"", LIMIT).ok();
    let all: Vec<String> = ["-4", "-6"]
        .iter()
        .filter_map(|family| list(family))
        .map(|done| String::from_utf8_lossy(&done.stdout).into_owned())
        .collect();
    all.iter().flat_map(|text| text.lines()).find(|line| looks_at(line, bit)).map(in_line)
}

fn in_line(rule: &str) -> String {
    rule.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a routing rule asks for a bit of the mark: `fwmark 0x1` for all bits, `fwmark 0x1/0xff` for some.
fn looks_at(rule: &str, bit: u32) -> bool {
    let mut words = rule.split_whitespace().skip_while(|word| *word != "fwmark");
    let Some(asked) = words.nth(1) else { return false };
    let mask = asked.split_once('/').map(|(_, mask)| mask.trim_start_matches("0x"));
    mask.is_none_or(|mask| u32::from_str_radix(mask, 16).is_ok_and(|mask| mask & bit != 0))
}

impl Backend for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn cuts_flows(&self) -> bool {
        true
    }

    fn observe(&self) -> Result<Kernel, Failure> {
        let live = look()?;
        let armed = window_open(&live)?;
        Ok(Kernel { whole: live.whole, settled: live.generation, window: live.pending, armed })
    }

    fn base(&self) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        nft_base(&mut hash)?.map_err(|e| failure(&e))?;
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn changes(&self) -> Result<Option<u64>, Failure> {
        let count = count().map_err(|e| Failure::refused(format!("cannot ask the kernel for its generation: {e}")))?;
        Ok(Some(count.into()))
    }

    fn backup(&self) -> Result<String, Failure> {
        Ok(listed(&["-t", "list", "table", "inet", "afo"])?.unwrap_or_default())
    }

    fn bans(&self, rule: &Rule) -> Result<Vec<Block>, Vec<String>> {
        let rules = in_utc(std::slice::from_ref(rule)).map_err(|refused| words(&refused))?;
        let mut blocks = Vec::new();
        for rule in rules.iter() {
            blocks.extend(lower(rule).map_err(|refused| words(&refused))?.blocks);
        }
        Ok(blocks)
    }

    fn order<'a>(&self, policy: &'a [Rule]) -> Result<Vec<&'a Rule>, String> {
        Policy::order(policy).map_err(|refused| words(&refused).join("; "))
    }

    fn model(&self, live: &Ruleset, policy: &[Rule]) -> Result<Ruleset, String> {
        with_policy(live, &ordered(policy)?.for_doors(live))
            .ok_or_else(|| "the policy cannot be judged: a rule of it cannot be read back".to_owned())
    }

    fn bars(&self, live: &Ruleset, way: &Doorway, rules: &[Rule]) -> Option<String> {
        router().map(|who| unmarkable(&who)).or_else(|| keeper(live, way, rules))
    }

    fn doors(&self) -> Result<Vec<Door>, Failure> {
        if is_alone() || installed("nft").is_none() {
            return Ok(Vec::new());
        }
        let listing = nft::list_ruleset_json_terse().map_err(|e| failure(&e))?;
        hung(&listing).map_err(|e| Failure::refused(e.to_string()))
    }

    fn move_doors(&self, back: &[Doorway], gone: &[Door]) -> Result<(), Failure> {
        let generation = look()?.generation.unwrap_or(0);
        load_without(|door| gone.contains(door), &hang(back, generation).to_string())
    }

    fn arm(&self, wanted: &Wanted) -> Result<Arming, Failure> {
        let (live, (policy, taken)) = (no_window()?, marked(wanted.policy, wanted.doors)?);
        if let Some(who) = taken {
            return Err(Failure::new(Exit::No, unmarkable(&who))
                .hint("take the rule out that uses this mark, or the one that accepts it"));
        }
        let window = Window { seconds: wanted.window, remember: wanted.remember };
        let doors = hang(wanted.doors, live.next());
        let contents = policy.contents();
        let apply = format!("{}{}{}{doors}", told(&contents), never(wanted.protected), arm(&policy, &live, window));
        let mut revert = revert(&armed(&policy, &live, window), None).to_string();
        for way in wanted.doors {
            revert.push_str(&format!("# and out of `{way}` the rule that is put there, by its handle\n"));
        }
        Ok(Arming { old: live.generation, new: live.next(), contents, apply, revert })
    }

    fn contested(&self, policy: &[Rule]) -> Result<Option<String>, Failure> {
        if !look()?.marks {
            return Ok(None);
        }
        let who = marked(policy, &[])?.1;
        Ok(who.map(|who| format!("another program uses the mark {DOOR:#x} of what AFO accepts: {who}")))
    }

    fn install(&self, policy: &[Rule], protected: &[AddressSpec]) -> Result<Install, Failure> {
        let live = no_window()?;
        let policy = lowered(policy, &live)?;
        let contents = policy.contents();
        let apply = format!("{}{}{}", told(&contents), never(protected), install(&policy, &live));
        Ok(Install { generation: live.next(), contents, apply })
    }

    fn fill(&self, contents: &[Content]) -> Result<(), Failure> {
        if contents.is_empty() {
            return Ok(());
        }
        self.load(&declare(contents).to_string())?;
        let mut channel =
            Channel::open().map_err(|e| Failure::refused(format!("cannot reach the kernel's sets: {e}")))?;
        for content in contents {
            let mut batch = Batch::new(TABLE);
            batch.fill(content.name(), content.keys());
            // What other programs do meanwhile is nothing to a set that no rule looks up.
            channel.load(batch, None).map_err(|e| Failure::refused(format!("the kernel: {e}")))?;
        }
        Ok(())
    }

    fn tidy(&self, policy: &[Rule]) -> Result<(), Failure> {
        let live = look()?;
        if live.pending.is_some() || live.content_sets.is_empty() {
            return Ok(());
        }
        self.load(&tidy(&live, &plain(policy)?).to_string())
    }

    fn load(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        nft::load(text).map_err(|error| match &error {
            // The set that keeps a window open is created, never added: of two windows the kernel refuses the second.
            NftError::Said(words) if words.contains("File exists") && text.contains("create set inet afo armed") => {
                occupied()
            }
            _ => failure(&error),
        })
    }

    fn confirm(&self, after: &[Rule]) -> Result<(), Failure> {
        let live = look()?;
        self.load(&confirm(&lowered(after, &live)?, &live).to_string())
    }

    fn take_back(&self, before: Option<&[Rule]>) -> Result<(), Failure> {
        let live = look()?;
        let Some(window) = live.pending else { return Ok(()) };
        let before = before.map(plain).transpose()?;
        load_without(|door| door.generation == window, &revert(&live, before.as_ref()).to_string())?;
        // Nothing is recorded any more: a window that let nothing in leaves nothing.
        match live.flows.contains(&window) && !has_elements(&format!("w{window}"))? {
            true => self.load(&forget(&look()?, window).to_string()),
            false => Ok(()),
        }
    }

    fn remove(&self) -> Result<(), Failure> {
        let live = look()?;
        let used = live.generation.is_some() || live.pending.is_some() || !live.flows.is_empty();
        if used || !live.table { Ok(()) } else { self.load(&remove().to_string()) }
    }

    fn boot(&self, policy: &[Rule], generation: u64) -> Result<Vec<(&'static str, String)>, Failure> {
        Ok(vec![("nft", boot(&lowered(policy, &look()?)?, generation).to_string())])
    }

    fn block(&self, blocks: &[Block], protected: &[AddressSpec]) -> Result<String, Failure> {
        Ok(format!("{}{}", never(protected), extend(blocks, &look()?)))
    }

    fn ban(&self, elements: &mut Elements, blocks: &[Block], protected: &[AddressSpec]) -> Result<(), Failure> {
        for _ in 0..TRIES {
            if !elements.takes(blocks, protected) {
                break;
            }
            match elements.put(blocks) {
                Ok(()) => return Ok(()),
                Err(BatchError::Overtaken) => {}
                // The same batch again does no harm, whatever became of the first.
                Err(BatchError::Lost(error)) => elements.lost(&error),
                Err(BatchError::Refused(words)) => return Err(Failure::refused(format!("the kernel: {words}"))),
            }
        }
        let (before, live) = (elements.generation().ok(), look()?);
        self.load(&format!("{}{}", never(protected), extend(blocks, &live)))?;
        let sets = BanSet::standing().into_iter().chain(live.ban_sets.iter().copied());
        elements.learn(before, sets.chain(blocks.iter().map(|block| block.ban.set())).collect(), protected);
        Ok(())
    }

    fn unblock(&self, bans: &[Ban]) -> Result<String, Failure> {
        let live = look()?;
        let nothing = bans.is_empty() || !live.table;
        Ok(if nothing { String::new() } else { unblock(bans, &live).to_string() })
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let listing = listed(&["-j", "-t", "list", "table", "inet", "afo"])?;
        Ok(listing
            .map_or_else(BTreeMap::new, |json| packets_by_comment(&serde_json::from_str(&json).unwrap_or_default())))
    }

    fn flush(&self) -> Result<(), Failure> {
        // A host without nft may have nothing of AFO there either.
        let nothing = tables::all().is_ok_and(|all| !all.iter().any(is_own));
        let text = if nothing { String::new() } else { remove().to_string() };
        // Doors that cannot be listed keep nothing else from going.
        load_without(|_| true, &text).or_else(|failed| self.load(&text).and(Err(failed)))
    }
}

/// The counters of AFO's rules, which carry their id in the comment. Several rules of the kernel may be one of AFO's.
fn packets_by_comment(listing: &Value) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    let objects = listing["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    for rule in objects.iter().filter_map(|object| object.get("rule")) {
        let packets = rule["expr"].as_array().into_iter().flatten().find_map(|e| e["counter"]["packets"].as_u64());
        if let (Some(comment), Some(packets)) = (rule["comment"].as_str(), packets) {
            *counters.entry(comment.to_owned()).or_insert(0) += packets;
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn routing_rules_that_look_at_a_bit() {
        let looks = |rule: &str| looks_at(rule, DOOR);
        assert!(looks("100: from all fwmark 0x1 lookup 7") && looks("100: from all fwmark 0x1/0xff000000 lookup 7"));
        assert!(!looks("100: from all fwmark 0x1/0xff lookup 7") && !looks("0: from all lookup local"));
    }

    #[test]
    fn counters_of_one_rule_are_added_up() {
        let listing = json!({ "nftables": [
            { "metainfo": {} },
            { "rule": { "comment": "r1", "expr": [{ "counter": { "packets": 2, "bytes": 1 } }, { "drop": null }] } },
            { "rule": { "comment": "r1", "expr": [{ "counter": { "packets": 3, "bytes": 1 } }] } },
            { "rule": { "expr": [{ "counter": { "packets": 9 } }] } },
        ] });
        assert_eq!(packets_by_comment(&listing), BTreeMap::from([("r1".to_owned(), 5)]));
    }
}
