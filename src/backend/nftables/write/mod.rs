//! The native script as nft's text and as its JSON. Both say the same; nothing else writes either.

mod json;
mod text;

pub(super) use text::{TABLE, interface_text};
