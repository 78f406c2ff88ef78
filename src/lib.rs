//! AFO turns plain English and threat evidence into firewall rules that are proven before they are applied and can always be taken back.
//!
//! The commands are thin mains over [`cmd`]; what they exchange is in [`record`]; a rule is [`rule::Rule`].
//! Imports point only downwards: `cmd`, then `cli`, `backend`, `analyze`, `propose`, `detect`, `respond`, `deploy`, `sys` and `state`, then
//! `record`, `rule` and `packet`. A test holds to that.
//!
//! # To embed it
//! The analysis is pure: text in, answers out, no process, no file, no clock. A ruleset is read by a [`backend`], and everything that is
//! asked of it is in [`analyze`]:
//!
//! ```
//! use afo::analyze::{Budget, Detail, audit, conflicts, trace};
//! use afo::backend::nftables::read;
//! use afo::rule::{Packet, Rule};
//!
//! // What `nft -j list ruleset` prints.
//! let ruleset = read(r#"{"nftables": [
//!     {"table": {"family": "inet", "name": "filter"}},
//!     {"chain": {"family": "inet", "table": "filter", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
//!     {"rule": {"family": "inet", "table": "filter", "chain": "input", "expr": [
//!         {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [22, 443]}}},
//!         {"accept": null}]}}
//! ]}"#)?;
//!
//! // Whether every rule of it does something.
//! assert!(audit(&ruleset, Budget::default()).is_empty());
//!
//! // What a proposed rule would change, as sets of packets with an example of each.
//! let rule: Rule = serde_json::from_str(r#"{"id": "r1", "action": "drop", "direction": "input",
//!     "source_address": ["203.0.113.0/24"], "protocol": ["tcp"], "destination_port": ["22"]}"#)?;
//! let judged = conflicts(&ruleset, &[rule], Budget::default());
//! assert_eq!(judged.effect.newly_dropped.len(), 1);
//! assert!(judged.effect.newly_accepted.is_empty());
//!
//! // What becomes of one packet, and by which rule.
//! let packet: Packet = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn".parse()?;
//! let told = trace(&ruleset, &packet, Detail::Short, Budget::default())?;
//! assert_eq!(told.verdict.as_deref(), Some("accept"));
//! assert_eq!(told.by.map(|rule| rule.text).as_deref(), Some("tcp dport { 22, 443 } accept"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

pub mod analyze;
pub mod backend;
pub mod cli;
pub mod cmd;
pub mod deploy;
pub mod detect;
pub mod packet;
pub mod propose;
pub mod record;
pub mod respond;
pub mod rule;
pub mod state;
pub mod sys;
