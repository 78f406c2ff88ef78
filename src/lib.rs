//! AFO turns plain English and threat evidence into firewall rules that are proven before they are applied and can always be taken back.
//!
//! The commands are thin mains over [`cmd`]; what they exchange is in [`record`]; a rule is [`rule::Rule`].
//! Imports point only downwards: `cmd`, then `cli`, `backend`, `analyze`, `propose`, `detect`, `respond`, `deploy`, `sys` and `state`, then
//! `record`, `rule` and `packet`. A test holds to that.

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
