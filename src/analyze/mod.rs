//! Packet-set algebra at work: which rules are dead and why, what a proposed rule changes, what stands against it.
//!
//! Pure: a ruleset and rules in, answers out. Exact for what was read; what was not read makes an answer unknown, never fine. Every
//! search has a budget of steps, so that no ruleset makes it hang: beyond it the answer is "undecided".

mod audit;
mod cells;
mod effect;
mod fate;
mod index;
mod loss;
mod lower;
mod near;
mod placing;
mod program;
mod proposal;
mod reason;
mod search;
mod spans;
#[cfg(test)]
mod tests;
mod trace;
mod view;
mod words;

pub use audit::{Budget, audit};
pub use loss::{Loss, losses};
pub use proposal::{Against, Judgement, conflicts, stops};
pub use trace::{Detail, trace};
