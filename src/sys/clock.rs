//! Time and randomness.

use crate::record::{Id, Timestamp, time_id};
use std::time::Duration;

/// What the clock on the wall says.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Time since the machine started, suspend included (CLOCK_BOOTTIME): it never jumps.
pub fn since_boot() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// The boot of this machine, as the kernel names it: another one after each start (random(4), boot_id).
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// A new id that sorts by time (RFC 9562, version 7).
pub fn new_id() -> Id {
    let bytes = *uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext)).as_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&bytes[6..]);
    time_id(now(), random)
}
