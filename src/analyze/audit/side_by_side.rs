//! Independent parts of one question, answered on all processors.
//!
//! What is answered must not depend on how many there are: parts are cut by what is asked, and their answers come in the order of the parts.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism, scope};

/// What is about fewer rules is not worth a thread.
pub(super) const FEW: usize = 500;

/// The answer to each part of a question about so many rules. Where threads cannot be had, this one does all of them.
pub(super) fn each<T: Sync, R: Send>(parts: &[T], rules: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let hands = match rules {
        0..FEW => 1,
        _ => available_parallelism().map_or(1, NonZero::get).min(parts.len()),
    };
    let next = AtomicUsize::new(0);
    let own = || {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            match parts.get(n) {
                Some(part) => done.push((n, work(part))),
                None => return done,
            }
        }
    };
    let mut all = scope(|scope| {
        let others: Vec<_> = (1..hands).filter_map(|_| Builder::new().spawn_scoped(scope, own).ok()).collect();
        let mut all = own();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(n, _)| *n);
    all.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_parts() {
        let parts: Vec<u64> = (0..100).collect();
        assert_eq!(each(&parts, FEW, |n| n * n), (0..100).map(|n| n * n).collect::<Vec<u64>>());
        assert!(each(&[] as &[u64], FEW, |n| *n).is_empty());
    }

    #[test]
    #[should_panic(expected = "part 7")]
    fn what_goes_wrong_in_a_part_goes_wrong() {
        each(&(0..50u64).collect::<Vec<_>>(), FEW, |n| assert!(*n != 7, "part {n}"));
    }
}
