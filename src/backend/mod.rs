//! Packet filters: their text or listing to a ruleset and back. No processes, no network, no files.

pub mod iptables;
pub mod nftables;
