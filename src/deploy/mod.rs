//! The commit-confirmed change of a firewall, as logic: what a batch is, what the policy becomes,
//! which flows must survive, what a crash left behind. It is told the time and the outcomes; it never looks and never acts.

mod batch;
mod guard;
mod policy;
mod recovery;

pub use batch::{Batch, Principal, principal};
pub use guard::{Flow, Hit, first_hit};
pub use policy::{Index, PolicyError, added, changed};
pub use recovery::{Kernel, Recovery, recovery};
