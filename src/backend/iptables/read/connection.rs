//! Matches of connection tracking: `state` and `conntrack` (`conntrack_mt`, net/netfilter/xt_conntrack.c).

use super::condition::{narrow, never, unread};
use super::names::protocol;
use super::parse::{Extension, Opt};
use crate::packet::{Bits, Cell, Narrow};
use crate::rule::ConnectionState;
use crate::rule::ruleset::Condition;

/// The bits of [`Narrow::ConnectionStatus`] that are states to iptables.
const SNAT: u8 = 16;
const DNAT: u8 = 32;

/// The states of packets that have a connection.
fn with_connection() -> Bits {
    Bits::below(3)
}

/// A connection is there: all but the state is asked in vain of a packet without one, whether turned round or not.
pub(super) fn tracked() -> Condition {
    Condition::Narrow(Narrow::State, with_connection())
}

/// What the match asks.
pub(super) fn conditions(extension: &Extension, into: &mut Vec<Condition>) {
    let is_state = |option: &&Opt| matches!(&*option.name, "state" | "ctstate");
    let state = extension.options.iter().find(is_state);
    let others: Vec<_> = extension.options.iter().filter(|option| !is_state(option)).collect();
    let Some(read) = state.map(states).unwrap_or(Some(States { plain: with_connection(), ..States::default() })) else {
        into.push(unread(extension.text("-m"), steady(extension)));
        return;
    };
    // A packet without a connection that is in the right state matches, whatever else is asked: no product of conditions.
    let lone = read.condition();
    if !others.is_empty() && state.is_some() && may_lack_connection(&lone) {
        into.push(unread(extension.text("-m"), steady(extension)));
        return;
    }
    into.push(lone);
    into.extend(others.into_iter().flat_map(|option| other(option, read)));
}

/// States of `--ctstate`: real ones, and those that are bits of the status.
#[derive(Debug, Clone, Copy, Default)]
struct States {
    plain: Bits,
    status: u8,
    inverted: bool,
}

fn states(option: &Opt) -> Option<States> {
    let mut all = States { inverted: option.inverted, ..States::default() };
    for word in option.value().split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SNAT" => all.status |= SNAT,
            "DNAT" => all.status |= DNAT,
            word => all.plain = all.plain.with(word.to_ascii_lowercase().parse::<ConnectionState>().ok()? as u8),
        }
    }
    Some(all)
}

impl States {
    fn condition(self) -> Condition {
        let plain = if self.inverted { Narrow::State.all().minus(self.plain) } else { self.plain };
        if self.status == 0 {
            return Condition::Narrow(Narrow::State, plain);
        }
        let with = status(self.status);
        if !self.inverted {
            let by_status = Cell::all().with_narrow(Narrow::State, with_connection());
            return Condition::AnyOf(vec![
                Cell::all().with_narrow(Narrow::State, plain),
                by_status.with_narrow(Narrow::ConnectionStatus, with),
            ]);
        }
        let without = Narrow::ConnectionStatus.all().minus(with);
        let connected = Cell::all().with_narrow(Narrow::State, plain.and(with_connection()));
        Condition::AnyOf(vec![
            connected.with_narrow(Narrow::ConnectionStatus, without),
            Cell::all().with_narrow(Narrow::State, plain.minus(with_connection())),
        ])
    }

    /// Whether only packets that belong to their own connection are in these states, as no error message does.
    fn own_connection(self) -> bool {
        let related = Bits::single(ConnectionState::Related as u8);
        match self.condition() {
            Condition::Narrow(_, states) => states.is_disjoint(related),
            _ => false,
        }
    }
}

fn may_lack_connection(condition: &Condition) -> bool {
    let lacks = |states: Bits| !states.is_subset(with_connection());
    match condition {
        Condition::Narrow(_, states) => lacks(*states),
        Condition::AnyOf(cells) => cells.iter().any(|cell| lacks(cell.narrow(Narrow::State))),
        _ => true,
    }
}

/// The statuses that have one of the bits.
fn status(bits: u8) -> Bits {
    Narrow::ConnectionStatus.all().iter().filter(|status| status & bits != 0).collect()
}

/// What an option other than the state asks of a packet that has a connection.
fn other(option: &Opt, states: States) -> Vec<Condition> {
    let text = || format!("-m conntrack {}", option.text());
    let kept = |field: &str| vec![unread(text(), Some(field))];
    match &*option.name {
        "ctproto" => match protocol(option.value()) {
            // An error message is of another protocol than the connection that it is about.
            Some(number) if states.own_connection() => {
                vec![narrow(Narrow::Protocol, Bits::single(number), option.inverted)]
            }
            Some(number) => vec![may_be_of(number, option.inverted), unread(text(), Some("ct protocol"))],
            None => kept("ct protocol"),
        },
        "ctstatus" => match statuses(option.value()) {
            Some(0) if option.inverted => Vec::new(),
            Some(0) => vec![never()],
            Some(bits) => vec![narrow(Narrow::ConnectionStatus, status(bits), option.inverted)],
            None => kept("ct status"),
        },
        "ctdir" => match option.value().to_ascii_uppercase().as_str() {
            "ORIGINAL" => vec![narrow(Narrow::ConnectionDirection, Bits::single(0), option.inverted)],
            "REPLY" => vec![narrow(Narrow::ConnectionDirection, Bits::single(1), option.inverted)],
            _ => kept("ct direction"),
        },
        "ctexpire" => vec![Condition::Chance(text())],
        "ctorigsrc" | "ctorigsrcport" => kept("ct original saddr"),
        "ctorigdst" | "ctorigdstport" => kept("ct original daddr"),
        "ctreplsrc" | "ctreplsrcport" => kept("ct reply saddr"),
        "ctrepldst" | "ctrepldstport" => kept("ct reply daddr"),
        _ => vec![unread(text(), None)],
    }
}

/// The protocol of the connection is the packet's, but for error messages of ICMP about it.
fn may_be_of(number: u8, inverted: bool) -> Condition {
    let same = Bits::single(number);
    let protocols = if inverted { Bits::ALL.minus(same) } else { same };
    let related = Bits::single(ConnectionState::Related as u8);
    let error = Cell::all().with_narrow(Narrow::State, related);
    Condition::AnyOf(vec![
        Cell::all().with_narrow(Narrow::Protocol, protocols),
        error.with_narrow(Narrow::Protocol, Bits::single(1).with(58)),
    ])
}

fn statuses(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |bits, word| {
        let bit = match word.to_ascii_uppercase().as_str() {
            "NONE" => 0,
            "EXPECTED" => 1,
            "SEEN_REPLY" => 2,
            "ASSURED" => 4,
            "CONFIRMED" => 8,
            _ => return None,
        };
        Some(bits | bit)
    })
}

/// The field of the whole match where its answer is always the same for a packet.
fn steady(extension: &Extension) -> Option<&'static str> {
    extension.option("ctexpire").is_none().then_some("ct state")
}
