//! nftables: what `nft -j list ruleset` says, and AFO's rules as nft's language, by the scheme that AFO keeps in the kernel.
//!
//! Text out, text in; nothing here runs nft. Nothing textual of a record but its typed values reaches the text.

mod import;
mod import_act;
mod import_cell;
mod import_rule;
#[cfg(test)]
mod import_tests;
mod lower;
mod lower_address;
mod lower_block;
mod lower_check;
#[cfg(test)]
mod lower_golden;
mod lower_line;
mod lower_verdict;
mod native;
mod read;
mod scheme;
mod scheme_block;
mod scheme_live;
mod scheme_policy;
mod write_json;
mod write_text;

pub use import::{Imported, NotSaid, import};
pub use lower::{Lowered, Refused, lower};
pub use native::{Command, Element, Hook, Key, Right, Script, Set, SetKind, Statement, Value};
pub use read::{ReadError, read, read_value};
pub use scheme::{Window, alone, arm, armed, base, confirm, install, revert, whole};
pub use scheme_block::{Ban, BanSet, Block, block, extend, longer, never, unblock};
pub use scheme_live::Live;
pub use scheme_policy::Policy;
