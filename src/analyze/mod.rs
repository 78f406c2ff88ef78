//! Packet-set algebra at work: which rules are dead and why, what a proposed rule changes, what stands against it.
//!
//! Pure: a ruleset and rules in, answers out. Exact for what was read; what was not read makes an answer unknown, never fine. Every
//! search has a budget of steps, so that no ruleset makes it hang: beyond it the answer is "undecided".
//!
//! Four searches answer, each where it is the cheapest:
//!
//! - about every rule of a ruleset (`audit`): the whole way as one list of steps (`program`), its packets as boxes of small numbers
//!   (`audit/grid`, `audit/tree`); one packet is tried, the box that takes it is cut away (`audit/probe`). Where unread conditions
//!   that several steps share matter, `search` splits sets of packets instead, which knows what holds of each.
//! - about one proposed rule (`proposal`): only what its packets can meet is laid out (`near`, `program`) and what becomes of each part of
//!   them is told (`fate`). Where they meet very many rules nothing is laid out: `sift` lists the rules with what tells the packets
//!   apart, `travel` looks for single packets along them (`proposal/{post,wide,newly}`).
//! - about whole sets of packets (`reach`, `diff`, `equal`, invariants): `ways` lays out with a number for each condition that packets do not
//!   decide alone, `fate` splits the set, `certain` says what holds whatever they are. A wide question to a large ruleset goes
//!   rule by rule (`passing`), by the search for proposals.
//! - about one packet (`trace`): the plain evaluator of [`crate::rule::evaluate`], to which all of these answer in tests.
//!
//! ```
//! use afo::analyze::{Budget, audit};
//! use afo::backend::nftables::read;
//! use afo::record::FindingType;
//!
//! let ruleset = read(r#"{"nftables": [
//!     {"table": {"family": "inet", "name": "t"}},
//!     {"chain": {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
//!     {"rule": {"family": "inet", "table": "t", "chain": "c", "expr": [
//!         {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"range": [1, 1023]}}},
//!         {"accept": null}]}},
//!     {"rule": {"family": "inet", "table": "t", "chain": "c", "expr": [
//!         {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 23}},
//!         {"drop": null}]}}
//! ]}"#)?;
//! let found = audit(&ruleset, Budget::default());
//! // No packet reaches the second rule, and what it was to drop is accepted.
//! assert!(found[0].dead && found[0].kind == FindingType::Shadow);
//! assert_eq!(found[0].by[0].text, "tcp dport 1-1023 accept");
//! let witness = found[0].witness.as_ref().expect("a packet to replay");
//! assert_eq!(witness.packet, "input eth0 203.0.113.9:40000 > 198.51.100.10:23 tcp syn");
//! assert_eq!(witness.expected.as_deref(), Some("drop"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod adversary;
mod audit;
mod ban;
mod cells;
mod certain;
mod classes;
mod coarse;
mod diff;
mod effect;
mod fate;
mod finality;
mod index;
mod invariant;
mod loss;
mod lower;
mod matrix;
mod near;
mod passing;
mod placing;
mod portions;
mod program;
mod proposal;
mod query;
mod reach;
mod reason;
mod search;
mod sent;
mod sift;
mod spans;
#[cfg(test)]
mod tests;
mod trace;
mod travel;
mod view;
mod ways;
mod witness;
mod words;

pub use audit::{Audited, Budget, audit, audited};
pub use ban::is_ban;
pub use diff::{Wanted, diff};
pub use finality::accepts_are_final;
pub use invariant::{Demand, Invariant, invariants, violations};
pub use loss::{Loss, losses};
pub use matrix::passages;
pub use placing::{with_changes, with_rules, without_bans};
pub use portions::{Portion, Portions};
pub use proposal::{Against, Judgement, conflicts, stops};
pub use query::{Names, Query};
pub use reach::reach;
pub use trace::{Detail, trace};
pub use witness::let_through;
