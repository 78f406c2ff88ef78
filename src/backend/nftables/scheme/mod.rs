//! The scheme of AFO in the kernel as transactions: pure text, nothing is run here.
//!
//! Policy lives in generations behind base chains that only choose; bans live in sets that no change of policy touches. The table is
//! never deleted and never flushed. Each function gives one transaction that holds as a whole or not at all.

pub(super) mod block;
mod doors;
mod keeper;
mod live;
mod model;
pub(super) mod policy;

pub use block::{Ban, BanSet, Block, block, by_set, extend, longer, never, unblock};
pub(super) use doors::comment;
pub use doors::{Door, hang, hung, take_down};
pub use keeper::keeper;
pub use live::Live;
pub use model::with_policy;
pub use policy::Policy;

use self::block::chains;
use crate::backend::nftables::content::Apart;
use crate::backend::nftables::native::{Command, Element, Hook, Key, Right, Script, Set, SetKind, Statement, Value};
use crate::rule::Id;
use nftables::expr::MetaKey;
use std::collections::BTreeSet;

/// The set whose elements keep a change open; it is created, never added, so a second window fails in the kernel.
pub(super) const ARMED: &str = "armed";
/// A chain without rules that says that what is there came from the boot file: bans are still to come.
pub(super) const BOOTED: &str = "booted";
/// Lapsed windows whose flows stay cut; the oldest are let go.
const KEPT: usize = 4;
/// Flows of a window that are remembered, and for how long after their last packet.
const FLOWS: (u32, u32) = (65535, 86400);

/// A window in which a change holds until it is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub seconds: u64,
    /// Whether flows that begin inside the window are cut when it lapses. Needed where the change lets something through: the
    /// host's own `established accept` would keep such flows alive. Flows that the old policy allowed as well are cut too.
    pub remember: bool,
}

/// A rule of the scheme itself; its comment says so.
pub(super) fn mine(chain: &str, statements: Vec<Statement>) -> Command {
    let comment: Id = "afo".parse().expect("three letters are an id");
    Command::Rule { chain: chain.to_owned(), statements, comment }
}

/// The table, the never-block list, the chains and sets of bans. Safe to repeat: live sets keep what they hold.
pub fn base(sets: &BTreeSet<BanSet>) -> Script {
    let mut script = Script { commands: vec![Command::Table] };
    script.append(chains(sets));
    script
}

/// Loads a policy at once, without a window, in place of what is live; fails with "File exists" where a window is open.
/// Elements of bans are not part of it ([`super::block`]); what is [filled apart](Policy::contents) is there before.
pub fn install(policy: &Policy, live: &Live) -> Script {
    let new = live.next();
    let mut script = ground(live);
    script.push(Command::CreateSet(Set::timed(ARMED, SetKind::NfProto)));
    script.append(policy.objects(Apart::Gone));
    script.append(generation(policy, new, false, live));
    for hook in hooks(policy, live) {
        script.append(choose(hook, &revoked(live), Some(new), None));
    }
    script.append(sweep(live, Some(new), Some(policy)));
    script.push(Command::DeleteSet(ARMED.to_owned()));
    script
}

/// Arms a policy: it holds for the window, then the kernel goes back to what is live by itself, whoever has died meanwhile.
/// Fails with "File exists" where a window is open. What is [filled apart](Policy::contents) is there before.
pub fn arm(policy: &Policy, live: &Live, window: Window) -> Script {
    let new = live.next();
    let mut script = ground(live);
    script.push(Command::CreateSet(Set::timed(ARMED, SetKind::NfProto)));
    script.append(policy.objects(Apart::Gone));
    script.append(generation(policy, new, true, live));
    if window.remember {
        script.push(Command::Set(Set::filled(flows(new), SetKind::CtId, FLOWS.0, FLOWS.1)));
    }
    for hook in hooks(policy, live) {
        let armed = Armed { generation: new, remember: window.remember && !hook.is_nat() };
        script.append(choose(hook, &revoked(live), live.settled(hook), Some(armed)));
    }
    let element = |word| Element { value: Value::Word(word), seconds: Some(window.seconds) };
    script.push(Command::Add { set: ARMED.to_owned(), elements: vec![element("ipv4"), element("ipv6")] });
    script
}

/// What the kernel will hold once [`arm`] was loaded on what it holds now.
pub fn armed(policy: &Policy, live: &Live, window: Window) -> Live {
    let (new, hooks) = (live.next(), hooks(policy, live));
    let mut there = Live { table: true, whole: true, armed: true, pending: Some(new), ..live.clone() };
    there.generations.extend(hooks.iter().map(|hook| (new, *hook)));
    there.chains.extend(hooks.iter().map(|hook| hook.name().to_owned()));
    there.flows.extend(window.remember.then_some(new));
    there
}

/// Makes an armed policy the live one. Its first command fails when the window is over, so that a late confirmation changes nothing.
pub fn confirm(policy: &Policy, live: &Live) -> Script {
    let new = live.pending;
    let values = vec![Value::Word("ipv4"), Value::Word("ipv6")];
    let mut script = Script { commands: vec![Command::Delete { set: ARMED.to_owned(), values }] };
    let Some(new) = new else {
        return script;
    };
    for hook in hooks(policy, live) {
        if policy.resets(hook) {
            let chain = hook.generation(new);
            script.push(Command::FlushChain(chain.clone()));
            policy.lines(hook, &chain, false).into_iter().for_each(|line| script.push(line));
        }
        script.append(choose(hook, &revoked(live), Some(new), None));
    }
    script.append(sweep(live, Some(new), Some(policy)));
    script.push(Command::DeleteSet(ARMED.to_owned()));
    if live.flows.contains(&new) {
        script.push(Command::DeleteSet(flows(new)));
    }
    script
}

/// Takes an armed policy out, whether its window is open or over, and leaves what was live before. `confirmed` is the policy that
/// stays, where it is known: sets that it does not need go too.
pub fn revert(live: &Live, confirmed: Option<&Policy>) -> Script {
    let mut script = Script::default();
    let cut: Vec<u64> = revoked(live).into_iter().chain(live.pending.filter(|n| live.flows.contains(n))).collect();
    for hook in Hook::POLICY.into_iter().filter(|hook| live.chains.contains(hook.name())) {
        script.append(choose(hook, &cut, live.settled(hook), None));
    }
    script.append(sweep(live, live.generation, confirmed));
    if live.armed {
        script.push(Command::DeleteSet(ARMED.to_owned()));
    }
    for hook in Hook::POLICY.into_iter().filter(|hook| live.chains.contains(hook.name())) {
        let needed = live.settled(hook).is_some() && confirmed.is_none_or(|policy| policy.uses(hook));
        let unused = hook.is_nat() && !needed;
        // Without a policy from before there were no base chains; those that cut flows stay.
        if unused || (live.generation.is_none() && (cut.is_empty() || hook.is_nat())) {
            script.push(Command::DeleteChain(hook.name().to_owned()));
        }
    }
    script
}

/// Takes out what a change left that never came to be: nothing looks it up. `confirmed` is the policy that stands.
pub fn tidy(live: &Live, confirmed: &Policy) -> Script {
    if live.pending.is_some() { Script::default() } else { sweep(live, live.generation, Some(confirmed)) }
}

/// Forgets the flows of a lapsed window, which must be none.
pub fn forget(live: &Live, window: u64) -> Script {
    let rest = Live { flows: live.flows.iter().copied().filter(|n| *n != window).collect(), ..live.clone() };
    let mut script = Script::default();
    for hook in Hook::POLICY.into_iter().filter(|hook| live.chains.contains(hook.name())) {
        script.append(choose(hook, &revoked(&rest), live.settled(hook), None));
        if rest.generation.is_none() && rest.flows.is_empty() {
            script.push(Command::DeleteChain(hook.name().to_owned()));
        }
    }
    script.push(Command::DeleteSet(flows(window)));
    script
}

/// Takes AFO's table away, where nothing of it was there before and nothing of it is wanted any more.
pub fn remove() -> Script {
    Script { commands: vec![Command::Table, Command::DeleteTable] }
}

/// One self-contained text for an empty host: policy and bans. Safe to repeat.
pub fn whole(policy: &Policy, blocks: &[crate::backend::nftables::Block]) -> Script {
    let mut sets = BanSet::standing();
    sets.extend(blocks.iter().map(|block| block.ban.set()));
    let mut script = base(&sets);
    script.append(standing(policy, 1, Apart::Inside, |hook| !hook.is_nat() || policy.uses(hook)));
    script.append(self::block::elements(blocks));
    script
}

/// A policy, which is the generation of that number, for the boot file: safe to repeat, no bans, which come back with the state, and a mark that says so ([`Live::whole`]).
pub fn boot(policy: &Policy, generation: u64) -> Script {
    let mut script = base(&BanSet::standing());
    script.append(standing(policy, generation, Apart::Inside, |hook| !hook.is_nat() || policy.uses(hook)));
    script.push(Command::Chain(BOOTED.to_owned()));
    script
}

/// As [`whole`], but only what the rules need: for people who read it.
pub fn alone(policy: &Policy, blocks: &[crate::backend::nftables::Block]) -> Script {
    alone_with(policy, blocks, Apart::Inside)
}

fn alone_with(policy: &Policy, blocks: &[crate::backend::nftables::Block], apart: Apart) -> Script {
    let sets: BTreeSet<BanSet> = blocks.iter().map(|block| block.ban.set()).collect();
    let mut script = if sets.is_empty() { Script { commands: vec![Command::Table] } } else { base(&sets) };
    script.append(standing(policy, 1, apart, |hook| policy.uses(hook)));
    script.append(self::block::elements(blocks));
    script
}

/// A policy as the generation of that number, in the hooks that are wanted.
fn standing(policy: &Policy, number: u64, apart: Apart, wanted: impl Fn(Hook) -> bool) -> Script {
    let mut script = policy.objects(apart);
    for hook in Hook::POLICY.into_iter().filter(|hook| wanted(*hook)) {
        let chain = hook.generation(number);
        script.push(Command::Chain(chain.clone()));
        script.push(Command::FlushChain(chain.clone()));
        policy.lines(hook, &chain, false).into_iter().for_each(|line| script.push(line));
        script.append(choose(hook, &[], Some(number), None));
    }
    script
}

/// The table with what it always holds, where something of it is missing; and away with what a window left that somebody flushed.
fn ground(live: &Live) -> Script {
    let mut script = if live.whole { Script::default() } else { base(&live.all_ban_sets()) };
    if live.chains.contains(BOOTED) {
        script.push(Command::DeleteChain(BOOTED.to_owned()));
    }
    if live.armed && live.pending.is_none() {
        for hook in Hook::POLICY.into_iter().filter(|hook| live.chains.contains(hook.name())) {
            script.push(Command::FlushChain(hook.name().to_owned()));
        }
        script.push(Command::DeleteSet(ARMED.to_owned()));
    }
    script
}

/// The base chains of a policy: the filter hooks always, those of address translation where they are used.
fn hooks(policy: &Policy, live: &Live) -> Vec<Hook> {
    let wanted = |hook: &Hook| !hook.is_nat() || policy.uses(*hook) || live.chains.contains(hook.name());
    Hook::POLICY.into_iter().filter(wanted).collect()
}

fn generation(policy: &Policy, number: u64, armed: bool, live: &Live) -> Script {
    let mut script = Script::default();
    for hook in hooks(policy, live) {
        let chain = hook.generation(number);
        script.push(Command::CreateChain(chain.clone()));
        policy.lines(hook, &chain, armed).into_iter().for_each(|line| script.push(line));
    }
    script
}

struct Armed {
    generation: u64,
    remember: bool,
}

fn flows(generation: u64) -> String {
    format!("w{generation}")
}

fn in_set(key: Key, set: &str) -> Statement {
    Statement::Match { key, negated: false, right: Right::Set(set.to_owned()) }
}

/// A base chain: cut what lapsed windows let in; the armed generation while its window is open; the live one.
fn choose(hook: Hook, revoked: &[u64], live: Option<u64>, armed: Option<Armed>) -> Script {
    let name = hook.name();
    let mut script = Script { commands: vec![Command::Base(hook), Command::FlushChain(name.to_owned())] };
    let id = || Key::Ct("id");
    let cut = |generation: u64| {
        let set = flows(generation);
        let refresh = Statement::Update { set: set.clone(), key: id(), rate: None };
        mine(name, vec![in_set(id(), &set), refresh, Statement::Counter, Statement::Drop])
    };
    if !hook.is_nat() {
        revoked.iter().for_each(|generation| script.push(cut(*generation)));
    }
    let open = || in_set(Key::Meta(MetaKey::Nfproto), ARMED);
    if let Some(Armed { generation, remember }) = armed {
        if remember {
            let new = Statement::Match { key: Key::Ct("state"), negated: false, right: Right::One(Value::Word("new")) };
            let record = Statement::Record { set: flows(generation), key: id() };
            script.push(mine(name, vec![open(), new, record]));
        }
        script.push(mine(name, vec![open(), Statement::Goto(hook.generation(generation))]));
        if remember {
            script.push(cut(generation));
        }
    }
    live.iter().for_each(|generation| script.push(mine(name, vec![Statement::Goto(hook.generation(*generation))])));
    script
}

/// Lapsed windows whose flows stay cut, newest last.
fn revoked(live: &Live) -> Vec<u64> {
    let lapsed: Vec<u64> = live.flows.iter().copied().filter(|n| Some(*n) != live.pending).collect();
    lapsed[lapsed.len().saturating_sub(KEPT)..].to_vec()
}

/// Deletes generations other than `kept`; where the policy that stays is known, also what only others needed.
fn sweep(live: &Live, kept: Option<u64>, policy: Option<&Policy>) -> Script {
    let mut script = Script::default();
    let stale = live.generations.iter().filter(|(number, _)| Some(*number) != kept);
    stale.for_each(|(number, hook)| script.push(Command::DeleteChain(hook.generation(*number))));
    let Some(policy) = policy else {
        return script;
    };
    let needed = policy.object_names();
    let unneeded = |names: &BTreeSet<String>| -> Vec<String> {
        names.iter().filter(|name| !needed.contains(name.as_str())).cloned().collect()
    };
    unneeded(&live.content_sets).into_iter().for_each(|name| script.push(Command::DeleteSet(name)));
    unneeded(&live.limits).into_iter().for_each(|name| script.push(Command::DeleteLimit(name)));
    let keep = revoked(live);
    let forgotten = live.flows.iter().filter(|n| Some(**n) != live.pending && !keep.contains(n));
    forgotten.for_each(|n| script.push(Command::DeleteSet(flows(*n))));
    script
}
