//! What a crash left behind, and what is to be done about it: the journal says what was meant, the kernel says what is.

use crate::record::Status;

/// What the kernel shows of AFO's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kernel {
    /// Whether all of AFO is there that is always there and that ties the rest together: what somebody flushed or deleted is not.
    pub whole: bool,
    /// The generation that holds without a window.
    pub settled: Option<u64>,
    /// The generation behind the switch, while one is armed or was left there.
    pub window: Option<u64>,
    /// Whether the switch is still on: the time is not over.
    pub armed: bool,
}

/// What is to be done about a deployment that is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// The window runs and somebody may still confirm.
    Wait,
    /// The kernel never took it.
    Fail,
    /// The kernel confirmed it: the journal is completed.
    Complete,
    /// The window is over, or was never journalled as applied: the kernel is cleaned up and the journal says so.
    TakeBack,
    /// The table was wiped by somebody inside the window: what is confirmed is put back, the window is not confirmed.
    Wiped,
}

/// What is to be done about a deployment that the journal left at `status`, whose window brings generation `new` and is `over` or not.
pub fn recovery(status: Status, new: u64, over: bool, kernel: &Kernel) -> Recovery {
    match (status, kernel) {
        (_, Kernel { settled: Some(settled), .. }) if *settled >= new => Recovery::Complete,
        (Status::Pending, Kernel { window, .. }) if *window != Some(new) => Recovery::Fail,
        (_, Kernel { whole: false, .. }) => Recovery::Wiped,
        (Status::Applied, Kernel { window: None, .. }) => Recovery::Wiped,
        (Status::Applied, Kernel { armed: true, .. }) if !over => Recovery::Wait,
        _ => Recovery::TakeBack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(settled: Option<u64>, window: Option<u64>, armed: bool) -> Kernel {
        Kernel { whole: true, settled, window, armed }
    }

    #[test]
    fn each_place_of_a_crash_has_its_way_out() {
        let cases = [
            ("before nft", Status::Pending, kernel(Some(1), None, false), 5, Recovery::Fail),
            ("after nft, before the journal", Status::Pending, kernel(Some(1), Some(2), true), 5, Recovery::TakeBack),
            ("the same on an empty host", Status::Pending, kernel(None, Some(2), true), 5, Recovery::TakeBack),
            ("inside the window", Status::Applied, kernel(Some(1), Some(2), true), 5, Recovery::Wait),
            ("after the window", Status::Applied, kernel(Some(1), Some(2), false), 11, Recovery::TakeBack),
            (
                "the kernel's time is over before the clock's",
                Status::Applied,
                kernel(Some(1), Some(2), false),
                5,
                Recovery::TakeBack,
            ),
            (
                "suspended: the clock's is over before the kernel's",
                Status::Applied,
                kernel(Some(1), Some(2), true),
                11,
                Recovery::TakeBack,
            ),
            (
                "confirmed in the kernel, not in the journal",
                Status::Applied,
                kernel(Some(2), None, false),
                5,
                Recovery::Complete,
            ),
            ("somebody flushed the ruleset", Status::Applied, Kernel::default(), 5, Recovery::Wiped),
            ("never reached the kernel of a fresh boot", Status::Pending, Kernel::default(), 5, Recovery::Fail),
        ];
        for (place, status, kernel, second, want) in cases {
            assert_eq!(recovery(status, 2, second >= 10, &kernel), want, "{place}");
        }
    }
}
