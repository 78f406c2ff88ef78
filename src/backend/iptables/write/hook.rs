//! The places where AFO's rules stand: built-in chains of the filter and nat tables, each with a chain of AFO's that it leads to.

use super::ask::{Ask, What};
use crate::packet::InterfacePattern;
use crate::rule::{Action, Direction, Rule};

/// A table that holds policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Filter,
    Nat,
}

/// A built-in chain that leads to AFO's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hook {
    Input,
    Forward,
    Output,
    /// Where destinations of what comes in are translated.
    Dstnat,
    /// Where destinations of what this host sends are translated.
    DstnatOutput,
    /// Where sources of what leaves are translated.
    Srcnat,
}

impl Table {
    /// In the order in which they are written.
    pub(super) const ALL: [Self; 2] = [Self::Filter, Self::Nat];

    pub(super) fn name(self) -> &'static str {
        if self == Self::Filter { "filter" } else { "nat" }
    }

    pub(super) fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Filter => &[Hook::Input, Hook::Output, Hook::Forward],
            Self::Nat => &[Hook::Dstnat, Hook::DstnatOutput, Hook::Srcnat],
        }
    }
}

impl Hook {
    /// Where a rule stands.
    pub(super) fn of(rule: &Rule) -> Self {
        match (rule.action, rule.direction) {
            (Action::Dnat | Action::Redirect, Direction::Output) => Self::DstnatOutput,
            (Action::Dnat | Action::Redirect, _) => Self::Dstnat,
            (Action::Snat | Action::Masquerade, _) => Self::Srcnat,
            (_, Direction::Input) => Self::Input,
            (_, Direction::Output) => Self::Output,
            (_, Direction::Forward) => Self::Forward,
        }
    }

    pub(super) fn table(self) -> Table {
        match self {
            Self::Input | Self::Forward | Self::Output => Table::Filter,
            Self::Dstnat | Self::DstnatOutput | Self::Srcnat => Table::Nat,
        }
    }

    /// AFO's chain, and the built-in one that leads to it.
    pub(super) fn chain(self) -> (&'static str, &'static str) {
        match self {
            Self::Input => ("AFO-INPUT", "INPUT"),
            Self::Forward => ("AFO-FORWARD", "FORWARD"),
            Self::Output | Self::DstnatOutput => ("AFO-OUTPUT", "OUTPUT"),
            Self::Dstnat => ("AFO-PREROUTING", "PREROUTING"),
            Self::Srcnat => ("AFO-POSTROUTING", "POSTROUTING"),
        }
    }

    /// The chain of a generation.
    pub(super) fn generation(self, number: u64) -> String {
        format!("AFO-g{number}-{}", self.chain().1)
    }

    /// The match of loopback where packets of it come by and AFO leaves them alone.
    pub(super) fn loopback(self) -> Option<Ask> {
        let lo: InterfacePattern = "lo".parse().ok()?;
        match self {
            Self::Input => Some(Ask::that(What::In(lo))),
            Self::Output | Self::DstnatOutput | Self::Srcnat => Some(Ask::that(What::Out(lo))),
            Self::Forward | Self::Dstnat => None,
        }
    }
}
