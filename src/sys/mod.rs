//! The world: programs, files, sockets, the clock. It does what it is told and says what it saw; it never decides.
#![allow(clippy::disallowed_methods)] // processes are started and the clock is read here

pub mod changes;
pub mod clock;
pub mod connections;
pub mod contents;
pub mod context;
pub mod detach;
pub mod elements;
pub mod exec;
pub mod follow;
pub mod http;
pub mod iptables;
pub mod lab;
pub mod logs;
pub mod lookup;
mod netlink;
pub mod nft;
pub mod probe;
pub mod process;
pub mod tables;
pub mod talk;
pub mod user;
