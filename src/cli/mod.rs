//! The manners that all commands share: arguments, the loop over records, exit codes, errors with place and next step,
//! readable output, sanitising. A command says what it does with one record; everything else is here, once.
//! Nothing here decides anything about a firewall.

mod card;
mod common;
pub mod config;
mod exit;
mod failure;
mod filter;
mod help;
mod input;
mod near;
mod out;
mod sanitize;
mod shell;
mod signals;
mod style;
mod work;

pub use common::{Common, Format, LogFormat};
pub use exit::Exit;
pub use failure::{Failure, Trouble};
pub use filter::{Stage, filter};
pub(crate) use help::flowing;
pub use input::{Chunk, Input, LONGEST_LINE};
pub use near::nearest;
pub use out::Out;
pub use sanitize::{for_json, for_terminal};
pub use shell::{Command, Environment, Shell, main};
pub use signals::{Signal, Signals, Woken};
pub use style::Style;
pub use work::{Work, run_in_hand};
