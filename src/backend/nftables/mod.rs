//! nftables: what `nft -j list ruleset` says, and AFO's rules as nft's language, by the scheme that AFO keeps in the kernel.
//!
//! Text out, text in; nothing here runs nft. Nothing textual of a record but its typed values reaches the text.

mod content;
mod contract;
mod import;
mod lower;
mod native;
mod read;
mod scheme;
mod write;

pub use content::{Content, declare};
pub use contract::Nftables;
pub use import::{Imported, NotSaid, import, import_ruleset};
pub use lower::{Lowered, Refused, lower};
pub use native::{Clock, Command, Element, Hook, Key, Right, Script, Set, SetKind, Statement, Value};
pub use read::{Exported, Heads, ReadError, export, export_with, extensions, listing, read, read_value};
pub use scheme::Live;
pub use scheme::{Ban, BanSet, Block, block, by_set, extend, longer, never, unblock};
pub use scheme::{Door, hang, hung, keeper, take_down};
pub use scheme::{Policy, with_policy};
pub use scheme::{Window, alone, arm, armed, base, boot, confirm, forget, install, remove, revert, tidy, whole};
