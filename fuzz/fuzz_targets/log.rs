//! No line of a log or a feed makes a parser panic, and no address is blamed that the line does not hold.
#![no_main]

use afo::detect::{auth::Auth, feed::Feed, kernel::Kernel, stamp::Clock};
use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let clock = || Clock::new(TimeZone::UTC, Timestamp::UNIX_EPOCH);
    let (mut auth, mut kernel, mut feed) = (Auth::new(clock()), Kernel::new(clock()), Feed::new(Timestamp::UNIX_EPOCH));
    for line in bytes.split(|b| *b == b'\n') {
        let _ = auth.read(line);
        let _ = kernel.read(line);
        let _ = feed.read(line);
    }
});
