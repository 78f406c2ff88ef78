//! What is worked on: while a record is in hand, every word on stderr carries its `run`.
//!
//! Log lines get it from a span of `tracing`; what is said to people as JSON gets it from here. It is the thread's, as spans are.

use std::cell::RefCell;
use tracing::span::EnteredSpan;

thread_local! {
    static RUN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Work on one record; it ends with this value.
#[derive(Debug)]
#[must_use]
pub struct Work {
    before: Option<String>,
    _span: EnteredSpan,
}

impl Work {
    /// Work of `stage` on a record of `kind` and of `run`, where it has one.
    pub fn on(stage: &str, kind: &str, run: Option<&str>) -> Self {
        let span = tracing::info_span!("record", stage, kind, run).entered();
        let before = RUN.replace(run.map(str::to_owned));
        Self { before, _span: span }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        RUN.set(self.before.take());
    }
}

/// The run of what is in hand.
pub fn run_in_hand() -> Option<String> {
    RUN.with_borrow(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_within_work() {
        assert_eq!(run_in_hand(), None);
        let outer = Work::on("afo-gen", "request", None);
        {
            let _inner = Work::on("afo-gen", "request", Some("r1"));
            assert_eq!(run_in_hand().as_deref(), Some("r1"));
        }
        assert_eq!(run_in_hand(), None);
        drop(outer);
    }
}
