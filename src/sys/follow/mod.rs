//! Following log files: lines as they are written, once each, through rotation by rename and by copying, truncation, deletion,
//! a file that is not there yet, a swapped symlink, and lines still written to the old file after a rename.
//!
//! It waits for the kernel to say that a directory changed (inotify) and then looks; it never decides what a line means.

mod alarm;
mod file;
mod log;

pub use alarm::Alarm;
pub use file::{LONGEST, Piece, Position};
pub use log::{Log, Start};
