//! OPNsense: rules as the documents that its REST API takes (`/api/firewall/filter`), and what the API says of its rules as a ruleset.
//!
//! pf decides about the first packet of a connection; what belongs to a connection that it knows passes by its state before any rule is
//! asked. What cannot be said exactly in that order is refused. Nothing here sends anything: the steps are text, and replies are text.

mod address;
mod alias;
mod check;
mod contract;
mod document;
mod icmp;
mod line;
mod listing;
mod model;
mod nat;
mod order;
mod own;
mod policy;
mod savepoint;
mod step;
#[cfg(test)]
mod tests;
mod write;

pub use alias::{Aliases, BLOCKED_FROM, BLOCKED_TO, block_steps, looked_up, member, unblock_steps};
pub use contract::{Known, Opnsense};
pub use document::Document;
pub use listing::{Entry, Listing, ReplyError, is_listing};
pub use model::{decides, read, with_policy};
pub use nat::READS as NAT_READS;
pub use own::{Own, Window, remove, undo};
pub use policy::Policy;
pub use savepoint::{LONGEST, Savepoint, cancels, filled, savepoints};
pub use step::{APPLY, Step, reads, steps, text};
