//! pending → applied → confirmed | rolled_back | failed; refused is the end of what was never begun.

use crate::record::Status;

/// What happened to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The kernel took the change; its window runs.
    Apply,
    /// The kernel took the change for good, without a window (timed blocks end by themselves).
    ApplyForGood,
    /// The window was closed in time.
    Confirm,
    /// The window lapsed, or somebody took the change back.
    TakeBack,
    /// The kernel did not take the change; nothing is different.
    Fail,
}

/// A step that cannot follow: a window that has lapsed is not confirmed, what is confirmed does not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment that is {from} cannot {}", verb(*.step))]
pub struct Illegal {
    pub from: Status,
    pub step: Step,
}

fn verb(step: Step) -> &'static str {
    match step {
        Step::Apply | Step::ApplyForGood => "be applied",
        Step::Confirm => "be confirmed",
        Step::TakeBack => "be taken back",
        Step::Fail => "fail",
    }
}

/// The status after `step`.
///
/// A confirmed deployment can be taken back later, by a new change that undoes it.
///
/// # Errors
/// When the step cannot follow the status.
pub fn next(from: Status, step: Step) -> Result<Status, Illegal> {
    match (from, step) {
        (Status::Pending, Step::Apply) => Ok(Status::Applied),
        (Status::Pending, Step::ApplyForGood) | (Status::Applied, Step::Confirm) => Ok(Status::Confirmed),
        (Status::Pending | Status::Applied | Status::Confirmed, Step::TakeBack) => Ok(Status::RolledBack),
        (Status::Pending | Status::Applied, Step::Fail) => Ok(Status::Failed),
        _ => Err(Illegal { from, step }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [Status; 6] =
        [Status::Pending, Status::Applied, Status::Confirmed, Status::RolledBack, Status::Failed, Status::Refused];
    const STEPS: [Step; 5] = [Step::Apply, Step::ApplyForGood, Step::Confirm, Step::TakeBack, Step::Fail];

    #[test]
    fn what_is_over_stays_over() {
        for from in [Status::RolledBack, Status::Failed, Status::Refused] {
            for step in STEPS {
                assert!(next(from, step).is_err(), "{from} {step:?}");
            }
        }
    }

    #[test]
    fn only_an_applied_change_is_confirmed() {
        let confirmed: Vec<_> = STATUSES.into_iter().filter(|s| next(*s, Step::Confirm).is_ok()).collect();
        assert_eq!(confirmed, [Status::Applied]);
        let words = next(Status::RolledBack, Step::Confirm).expect_err("late").to_string();
        assert_eq!(words, "a deployment that is rolled_back cannot be confirmed");
    }
}
