//! May this be done, and by whom: the autonomy level, the never-block list, the rate cap and its breaker, the risk class.
//!
//! Pure: it is told the facts and the time, answers with a verdict and its reason, and never acts. Nothing that a proposal says about
//! itself is believed here; what is judged is what its rules do.

mod autonomy;
mod breaker;
mod limit;
mod never;
mod risk;
mod share;
mod timed;

pub use autonomy::{Autonomy, Decision, Verdict, decide};
pub use breaker::{Additions, Admission, Breaker, Cap};
pub use limit::Growth;
pub use never::{Forbidden, NeverBlock};
pub use risk::{Facts, Judged, judge};
pub use share::Share;
pub use timed::{NotTimed, TimedBlock, timed_blocks};
