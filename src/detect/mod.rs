//! Evidence: lines of a source become sightings (one file per format), events become assessments (`assess`).
//!
//! Everything here reads text that attackers wrote. It leaves as typed values or as escaped data, an address is blamed only
//! from the place where the right program writes it, and no parser allocates, copies or backtracks. No clock, no file.

pub mod assess;
pub mod auth;
mod bytes;
pub mod detections;
pub mod feed;
pub mod json;
pub mod kernel;
mod pam;
pub mod sighting;
mod sshd;
pub mod stamp;
mod sudo;
mod syslog;
