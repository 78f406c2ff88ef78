//! The plain evaluator: one packet, one ruleset, which verdict, by which rule. Slow and obvious; the oracle of the algebra.
//!
//! It follows the kernel (nft_do_chain, net/netfilter/nf_tables_core.c): rules in order, jumps on a stack, goto without coming
//! back, return in a base chain is the policy, accept ends one base chain, drop ends the way.

use super::ruleset::{
    Alteration, At, Base, Chain, ChainKind, Condition, Hook, Line, Outcome, Ruleset, Unread, Verdict,
};
use super::translation::DNAT_STATUS;
use super::way::{Changes, begins_with_frame, is_transport, is_transport_narrow};
use super::{ConnectionState, Landing, Packet, Translation, Turned};
use crate::packet::{Bits, Cell, NO_MAC, Narrow, Wide};

/// One less than NFT_JUMP_STACK_SIZE (net/netfilter/nf_tables.h): the kernel refuses to load what jumps deeper.
const DEPTH: usize = 15;

/// The interface over which a host talks to itself.
pub const LOOPBACK: &str = "lo";

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    Accepted,
    Dropped,
    /// Dropped, and the sender is told.
    Rejected,
}

impl Fate {
    /// Whether the packet went through.
    pub fn passes(self) -> bool {
        self == Self::Accepted
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accept",
            Self::Dropped => "drop",
            Self::Rejected => "reject",
        }
    }
}

/// What decided last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    Line(At),
    /// The policy of a base chain, by the numbers of its table and of itself.
    Policy(usize, usize),
    /// No chain was there.
    Nothing,
}

/// The way of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub fate: Fate,
    pub by: By,
    /// The rules that matched, in order.
    pub passed: Vec<At>,
    /// What became of the packet's destination.
    pub turned: Turned,
}

/// What is seen of a packet's way while it is followed, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A base chain, by the numbers of its table and of itself, that the packet does not enter, and why.
    Spared(usize, usize, &'static str),
    /// A chain is entered: a base chain, or one that is jumped to.
    Enters(usize, usize),
    /// A rule of which the conditions of these numbers do not hold.
    Misses(At, &'a [usize]),
    /// A rule whose conditions all hold, before it is asked what it does.
    Holds(At),
    /// What it does.
    Does(At, &'a Verdict),
    /// The end of a chain is reached without a decision, or left by a return.
    Leaves(usize, usize),
}

/// Why no way can be told: chains that jump in a circle, or to a chain that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("chain `{0}` is entered over more than {DEPTH} jumps")]
    TooDeep(String),
    #[error("there is no chain `{0}` to jump to")]
    NoChain(String),
}

enum End {
    Accepted(By),
    Denied(Fate, By),
    /// To the rule after the jump; in a base chain the policy.
    Back,
}

/// Follows a packet. `luck` says whether something holds that the packet alone does not decide: the place and the text of it.
///
/// # Errors
/// When chains jump in a circle or to a chain that is not there; the kernel loads neither.
pub fn evaluate(ruleset: &Ruleset, packet: &Packet, luck: &mut dyn FnMut(At, &str) -> bool) -> Result<Trace, Lost> {
    follow(ruleset, packet, luck, None)
}

/// As [`evaluate`], telling `see` of each step. All conditions of a rule are asked then, also after one that does not hold.
///
/// # Errors
/// As [`evaluate`].
pub fn watch(
    ruleset: &Ruleset,
    packet: &Packet,
    luck: &mut dyn FnMut(At, &str) -> bool,
    see: &mut dyn FnMut(Seen<'_>),
) -> Result<Trace, Lost> {
    follow(ruleset, packet, luck, Some(see))
}

fn follow<'a>(
    ruleset: &'a Ruleset,
    packet: &'a Packet,
    luck: &'a mut dyn FnMut(At, &str) -> bool,
    see: Option<&'a mut dyn FnMut(Seen<'_>)>,
) -> Result<Trace, Lost> {
    let mut walk = Walk {
        ruleset,
        packet,
        luck,
        see,
        changes: Changes::of(ruleset),
        mark: Some(packet.mark),
        turned: Turned::default(),
        translated: None,
        passed: Vec::new(),
        by: By::Nothing,
    };
    for hook in packet.direction.hooks() {
        for (table, chain) in ruleset.at_hook(*hook) {
            if let Some((fate, by)) = walk.base(table, chain)? {
                return Ok(Trace { fate, by, passed: walk.passed, turned: walk.turned });
            }
        }
    }
    Ok(Trace { fate: Fate::Accepted, by: walk.by, passed: walk.passed, turned: walk.turned })
}

struct Walk<'a> {
    ruleset: &'a Ruleset,
    packet: &'a Packet,
    luck: &'a mut dyn FnMut(At, &str) -> bool,
    see: Option<&'a mut dyn FnMut(Seen<'_>)>,
    changes: Changes,
    /// Nothing once a rule has set it to what is not known.
    mark: Option<u32>,
    turned: Turned,
    /// The hook at which it was translated last.
    translated: Option<Hook>,
    passed: Vec<At>,
    by: By,
}

impl Walk<'_> {
    /// The fate of the packet where a base chain ends its way.
    fn base(&mut self, table: usize, chain: usize) -> Result<Option<(Fate, By)>, Lost> {
        let here = &self.ruleset.tables[table].chains[chain];
        let Some(base) = &here.base else { return Ok(None) };
        if !self.enters(base, table, chain) {
            return Ok(None);
        }
        Ok(match self.chain(table, chain, base, 0)? {
            End::Denied(fate, by) => Some((fate, by)),
            End::Accepted(by) => {
                self.by = by;
                None
            }
            End::Back if base.drops => Some((Fate::Dropped, By::Policy(table, chain))),
            End::Back => {
                self.by = By::Policy(table, chain);
                None
            }
        })
    }

    fn enters(&mut self, base: &Base, table: usize, chain: usize) -> bool {
        let start = At { table, chain, line: usize::MAX };
        let family = self.ruleset.tables[table].family;
        if !family.packets().contains(self.packet.narrow(Narrow::Family)) {
            self.tell(Seen::Spared(table, chain, "the table does not see packets of this family"));
            return false;
        }
        if self.packet.fragment && self.changes.comes_whole(base, self.packet.narrow(Narrow::Family)) {
            self.tell(Seen::Spared(table, chain, "fragments are put together before it"));
            return false;
        }
        if base.spares_loopback() && self.packet.interface_in.as_deref() == Some(LOOPBACK) {
            self.tell(Seen::Spared(table, chain, "what this host says to itself was translated when it was sent"));
            return false;
        }
        let first = match self.packet.state {
            _ if base.kind != ChainKind::Nat => true,
            ConnectionState::New if self.changes.tracks(self.packet.narrow(Narrow::Family)) => true,
            ConnectionState::New | ConnectionState::Related => (self.luck)(start, "the first packet of its connection"),
            _ => false,
        };
        if !first {
            self.tell(Seen::Spared(table, chain, "a nat chain sees only the first packet of a connection"));
            return false;
        }
        if base.kind == ChainKind::Nat && self.translated == Some(base.hook) {
            self.tell(Seen::Spared(table, chain, "another nat chain translates the packet"));
            return false;
        }
        let there = self.is_on_device(base, start);
        if !there {
            self.tell(Seen::Spared(table, chain, "the chain is bound to another device"));
        }
        there
    }

    fn tell(&mut self, seen: Seen<'_>) {
        if let Some(see) = &mut self.see {
            see(seen);
        }
    }

    fn is_on_device(&mut self, base: &Base, start: At) -> bool {
        let name = match base.hook {
            Hook::Ingress => &self.packet.interface_in,
            Hook::Egress => &self.packet.interface_out,
            _ => return true,
        };
        if base.devices.is_empty() {
            return (self.luck)(start, "the device of the chain");
        }
        name.as_ref().is_some_and(|name| base.devices.contains(name))
    }

    fn chain(&mut self, table: usize, chain: usize, base: &Base, depth: usize) -> Result<End, Lost> {
        let here: &Chain = &self.ruleset.tables[table].chains[chain];
        if depth > DEPTH {
            return Err(Lost::TooDeep(here.name.clone()));
        }
        self.tell(Seen::Enters(table, chain));
        for (line, rule) in here.lines.iter().enumerate() {
            let at = At { table, chain, line };
            if !self.holds(at, rule, base) {
                continue;
            }
            rule.alters.iter().for_each(|change| self.alter(change));
            let verdict = self.verdict(at, rule, base);
            self.tell(Seen::Does(at, verdict.as_ref().unwrap_or(&Verdict::Continue)));
            // A map that has no such key ends the rule.
            let Some(verdict) = verdict else { continue };
            self.passed.push(at);
            match verdict {
                Verdict::Continue => {}
                Verdict::Accept => return Ok(End::Accepted(By::Line(at))),
                Verdict::Translate(translation) => {
                    self.translate(base, &translation);
                    return Ok(End::Accepted(By::Line(at)));
                }
                Verdict::Drop => return Ok(End::Denied(Fate::Dropped, By::Line(at))),
                Verdict::Reject => return Ok(End::Denied(Fate::Rejected, By::Line(at))),
                Verdict::Return => break,
                Verdict::Jump(name) => match self.chain(table, self.named(table, &name)?, base, depth + 1)? {
                    End::Back => {}
                    end => return Ok(end),
                },
                Verdict::Goto(name) => return self.chain(table, self.named(table, &name)?, base, depth + 1),
            }
        }
        self.tell(Seen::Leaves(table, chain));
        Ok(End::Back)
    }

    fn translate(&mut self, base: &Base, translation: &Translation) {
        self.translated = Some(base.hook);
        // A packet of what is there already is described as the filter sees it.
        if matches!(base.hook, Hook::Prerouting | Hook::Output) && self.packet.state == ConnectionState::New {
            self.turned = translation.landing();
        }
    }

    fn named(&self, table: usize, name: &str) -> Result<usize, Lost> {
        let found = self.ruleset.tables[table].chains.iter().position(|chain| chain.name == name);
        found.ok_or_else(|| Lost::NoChain(name.to_owned()))
    }

    fn alter(&mut self, change: &Alteration) {
        match change {
            Alteration::Mark(mark) => self.mark = Some(*mark),
            Alteration::MarkBits { kept, set } => self.mark = self.mark.map(|mark| mark & kept | set),
            Alteration::EarlyMark => self.mark = None,
            Alteration::Field(name) if name == "meta mark" => self.mark = None,
            Alteration::Field(_) | Alteration::Untracked | Alteration::Effect(_) => {}
        }
    }

    fn holds(&mut self, at: At, rule: &Line, base: &Base) -> bool {
        if rule.alters.contains(&Alteration::EarlyMark) {
            self.mark = None;
        }
        if self.see.is_none() {
            return rule.conditions.iter().all(|condition| self.condition(at, condition, base));
        }
        let fails = |n: &usize| !self.condition(at, &rule.conditions[*n], base);
        let failed: Vec<usize> = (0..rule.conditions.len()).filter(fails).collect();
        self.tell(if failed.is_empty() { Seen::Holds(at) } else { Seen::Misses(at, &failed) });
        failed.is_empty()
    }

    fn condition(&mut self, at: At, condition: &Condition, base: &Base) -> bool {
        match condition {
            Condition::Wide(field, values) => match self.is_blurred(base, *field) {
                true => (self.luck)(at, "a field that a rule alters"),
                false => values.contains(self.wide(base, *field)),
            },
            Condition::Narrow(field, values) => self.narrow(at, base, *field, *values),
            Condition::AnyOf(cells) => cells.iter().any(|cell| self.is_in(at, cell, base)),
            Condition::Chance(text) => (self.luck)(at, text),
            Condition::Unread(unread) => {
                let (text, holds) = unread.asked();
                self.told(base, text).unwrap_or_else(|| (self.luck)(at, text)) == holds
            }
        }
    }

    /// What the packet itself says to a condition that stands by its text.
    fn told(&self, base: &Base, text: &str) -> Option<bool> {
        if Unread::is_no_extension(text) {
            // A packet is described with all that it has: of IPv6 a fragment has one.
            return Some(!self.packet.fragment);
        }
        let (field, mask) = Unread::bit(text).filter(|(field, _)| !self.is_blurred(base, *field))?;
        Some(self.wide(base, field) & u128::from(mask) != 0)
    }

    fn narrow(&mut self, at: At, base: &Base, field: Narrow, values: Bits) -> bool {
        let blurred = match field {
            Narrow::SourceType => self.is_blurred(base, Wide::Source),
            Narrow::ConnectionStatus => self.turned.is_open() || self.changes.blurs_narrow(base, field),
            Narrow::DestinationType => self.turned.address != Landing::Kept || self.is_blurred(base, Wide::Destination),
            _ if is_transport_narrow(field) && self.reads_frame(base) => true,
            _ => self.changes.blurs_narrow(base, field),
        };
        match blurred {
            true => (self.luck)(at, "a field that a rule alters"),
            false if field == Narrow::ConnectionStatus && self.turned.moves(self.packet) => {
                values.contains(self.packet.narrow(field) | DNAT_STATUS)
            }
            false => values.contains(self.packet.narrow(field)),
        }
    }

    fn is_in(&mut self, at: At, cell: &Cell, base: &Base) -> bool {
        Narrow::ALL.iter().all(|f| cell.narrow(*f) == f.all() || self.narrow(at, base, *f, cell.narrow(*f)))
            && Wide::ALL.iter().all(|f| {
                *cell.wide(*f) == f.all() || self.condition(at, &Condition::Wide(*f, cell.wide(*f).clone()), base)
            })
    }

    /// Whether what is read as a transport header of the packet is the header of its frame, which nobody knows.
    fn reads_frame(&self, base: &Base) -> bool {
        self.packet.fragment && self.packet.source.is_ipv6() && begins_with_frame(base)
    }

    /// A mark that rules set to numbers is followed; what else is altered is not.
    fn is_blurred(&self, base: &Base, field: Wide) -> bool {
        match field {
            Wide::Mark => self.mark.is_none(),
            _ if is_transport(field) && self.reads_frame(base) => true,
            _ => self.turned.of(field) == Landing::Open || self.changes.blurs_for(base, field, self.packet.state),
        }
    }

    fn wide(&self, base: &Base, field: Wide) -> u128 {
        match field {
            Wide::InInterface if !base.hook.has_in() => 0,
            Wide::OutInterface if !base.hook.has_out() => 0,
            Wide::SourceMac | Wide::DestinationMac if !base.hook.has_in() => NO_MAC,
            Wide::Mark => self.mark.unwrap_or(0).into(),
            _ => match self.turned.of(field) {
                Landing::To(number) => number,
                Landing::Kept | Landing::Open => self.packet.wide(field),
            },
        }
    }

    fn verdict(&mut self, at: At, rule: &Line, base: &Base) -> Option<Verdict> {
        Some(match &rule.outcome {
            Outcome::Next => Verdict::Continue,
            Outcome::Verdict(verdict) => verdict.clone(),
            Outcome::ByKey(keys) => {
                let found = keys.iter().find(|(cell, _)| self.is_in(at, cell, base));
                return found.map(|(_, verdict)| verdict.clone());
            }
            // What neither begins nor answers a connection it leaves to the rules behind it (nft_synproxy_do_eval).
            Outcome::Unread(text) if text.starts_with("synproxy") && (self.luck)(at, "synproxy leaves it") => {
                Verdict::Continue
            }
            Outcome::Unread(text) => {
                let accept = (self.luck)(at, text);
                if accept { Verdict::Accept } else { Verdict::Drop }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Ranges;
    use crate::rule::ruleset::{Table, TableFamily};

    fn line(port: Option<u16>, outcome: Verdict) -> Line {
        let conditions = port.map(|p| Condition::Wide(Wide::DestinationPort, Ranges::single(p.into())));
        Line {
            handle: None,
            comment: None,
            text: String::new(),
            conditions: conditions.into_iter().collect(),
            alters: Vec::new(),
            outcome: Outcome::Verdict(outcome),
        }
    }

    fn chain(name: &str, hook: Option<(Hook, i64, bool)>, lines: Vec<Line>) -> Chain {
        let base = hook.map(|(hook, priority, drops)| Base {
            kind: ChainKind::Filter,
            hook,
            priority,
            drops,
            devices: Vec::new(),
        });
        Chain { name: name.to_owned(), handle: None, base, lines }
    }

    fn fate(chains: Vec<Chain>) -> Result<(Fate, By), Lost> {
        let table = Table { family: TableFamily::Inet, name: "t".to_owned(), dormant: false, chains, sets: Vec::new() };
        let ruleset = Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() };
        let packet = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn".parse().expect("a packet");
        evaluate(&ruleset, &packet, &mut |_, _| false).map(|trace| (trace.fate, trace.by))
    }

    fn at(chain: usize, line: usize) -> By {
        By::Line(At { table: 0, chain, line })
    }

    const INPUT: Option<(Hook, i64, bool)> = Some((Hook::Input, 0, false));
    const CLOSED: Option<(Hook, i64, bool)> = Some((Hook::Input, 0, true));

    #[test]
    fn only_drop_is_final_across_base_chains() {
        let early = chain("early", Some((Hook::Input, -100, false)), vec![line(Some(22), Verdict::Accept)]);
        let late = chain("late", INPUT, vec![line(Some(22), Verdict::Drop)]);
        assert_eq!(fate(vec![late.clone(), early.clone()]), Ok((Fate::Dropped, at(0, 0))));
        let early = chain("early", Some((Hook::Prerouting, 0, false)), vec![line(None, Verdict::Reject)]);
        assert_eq!(fate(vec![late, early]), Ok((Fate::Rejected, at(1, 0))));
    }

    #[test]
    fn goto_does_not_come_back_and_jump_does() {
        let sub = chain("sub", None, vec![line(Some(80), Verdict::Drop)]);
        let by = |verdict| chain("c", CLOSED, vec![line(None, verdict), line(None, Verdict::Accept)]);
        assert_eq!(fate(vec![by(Verdict::Jump("sub".into())), sub.clone()]), Ok((Fate::Accepted, at(0, 1))));
        assert_eq!(fate(vec![by(Verdict::Goto("sub".into())), sub]), Ok((Fate::Dropped, By::Policy(0, 0))));
    }

    #[test]
    fn goto_in_a_called_chain_comes_back_to_the_caller() {
        let leaf = chain("leaf", None, vec![]);
        let sub = chain("sub", None, vec![line(None, Verdict::Goto("leaf".into())), line(None, Verdict::Drop)]);
        let base = chain("c", CLOSED, vec![line(None, Verdict::Jump("sub".into())), line(None, Verdict::Accept)]);
        assert_eq!(fate(vec![base, sub, leaf]), Ok((Fate::Accepted, at(0, 1))));
    }

    #[test]
    fn return_in_a_base_chain_is_the_policy() {
        let base = chain("c", CLOSED, vec![line(None, Verdict::Return), line(None, Verdict::Accept)]);
        assert_eq!(fate(vec![base]), Ok((Fate::Dropped, By::Policy(0, 0))));
    }

    #[test]
    fn circles_and_missing_chains_are_told() {
        let loops = chain("c", INPUT, vec![line(None, Verdict::Jump("c".into()))]);
        assert_eq!(
            fate(vec![loops]).expect_err("a circle").to_string(),
            "chain `c` is entered over more than 15 jumps"
        );
        let missing = chain("c", INPUT, vec![line(None, Verdict::Goto("x".into()))]);
        assert_eq!(fate(vec![missing]).expect_err("no chain").to_string(), "there is no chain `x` to jump to");
    }
}
