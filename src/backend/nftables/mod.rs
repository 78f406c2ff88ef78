//! nftables: what `nft -j list ruleset` says, and what AFO gives nft to load.

mod read;

pub use read::{ReadError, read};
