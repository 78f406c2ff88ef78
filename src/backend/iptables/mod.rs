//! iptables: what iptables-save, ip6tables-save and `ipset save` say, as a ruleset, and back as text for iptables-restore.
//!
//! Text in, text out; nothing here runs a program.

mod export;
mod lead;
mod merge;
mod model;
mod read;
mod statement;
mod when;
mod write;

pub use export::export;
pub use merge::{add_legacy, add_unknown, explain};
pub use model::{decides, with_policy, without_own};
pub use read::{ReadError, is_dump, lines_of, read};
pub use statement::{Statements, statements};
pub use write::block;
pub use write::{Iptables, Live, POLICY, Policy, Window};
