//! What AFO is held to from outside: the built commands, the committed files, the kernel.
//!
//! One binary, so that it links once. `UPDATE=1` rewrites what is generated or recorded (schemas, manual pages, completions,
//! golden runs); without it a difference is a failure.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // tests start processes, read clocks and print

mod analysis;
mod backends;
mod cases;
mod configuration;
mod daemon;
mod detect;
mod docs;
mod documents;
mod external;
mod import;
mod incidents;
mod kernel;
mod layers;
mod log;
mod manners;
mod opnsense;
mod placing;
mod quickstart;
mod records;
mod rule_spelling;
mod run_ids;
mod shell;
mod state;
mod strategies;
mod tree;
mod truth_table;
