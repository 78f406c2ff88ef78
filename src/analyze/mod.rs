//! Packet-set algebra at work: which rules are dead and why, what a proposed rule changes, what stands against it.
//!
//! Pure: a ruleset and rules in, answers out. Exact for what was read; what was not read makes an answer unknown, never fine. Every
//! search has a budget of steps, so that no ruleset makes it hang: beyond it the answer is "undecided".

mod audit;
mod ban;
mod cells;
mod certain;
mod classes;
mod course;
mod dead;
mod diff;
mod effect;
mod fate;
mod grid;
mod index;
mod invariant;
mod loss;
mod lower;
mod matrix;
mod near;
mod placing;
mod portions;
mod probe;
mod program;
mod proposal;
mod query;
mod reach;
mod reason;
mod search;
mod spans;
mod spare;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod view;
mod ways;
mod words;

pub use audit::{Budget, audit};
pub use ban::is_ban;
pub use diff::{Wanted, diff};
pub use invariant::{Demand, Invariant, invariants, violations};
pub use loss::{Loss, losses};
pub use matrix::passages;
pub use placing::{with_rules, without_bans};
pub use portions::{Portion, Portions};
pub use proposal::{Against, Judgement, conflicts, stops};
pub use query::{Names, Query};
pub use reach::reach;
pub use trace::{Detail, trace};
