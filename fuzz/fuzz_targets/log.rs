//! No line of a log or a feed makes a parser panic, and no address is blamed that the line does not hold.
#![no_main]

use afo::detect::{auth::Auth, feed::Feed, kernel::Kernel, stamp::Clock};
use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|bytes: &[u8]| {
    let clock = || Clock::new(TimeZone::UTC, Timestamp::UNIX_EPOCH);
    let (mut auth, mut kernel, mut feed) = (Auth::new(clock()), Kernel::new(clock()), Feed::new(Timestamp::UNIX_EPOCH));
    for line in bytes.split(|b| *b == b'\n') {
        let blamed = [
            auth.read(line).and_then(|s| s.source_ip),
            kernel.read(line).and_then(|s| s.source_ip),
            feed.read(line).and_then(|s| s.source_ip),
        ];
        for address in blamed.into_iter().flatten() {
            assert!(holds(line, address), "{address} is blamed by {:?}", String::from_utf8_lossy(line));
        }
    }
});

/// Whether some part of the line spells the address.
fn holds(line: &[u8], address: IpAddr) -> bool {
    let spells = |word: &str| word.parse::<IpAddr>().is_ok_and(|a| a.to_canonical() == address.to_canonical());
    let of_address = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
    String::from_utf8_lossy(line).split(|c: char| !of_address(c)).any(|word| {
        let bounds = || (0..=word.len()).filter(|at| word.is_char_boundary(*at));
        bounds().any(|from| bounds().filter(|to| *to > from && *to <= from + 45).any(|to| spells(&word[from..to])))
    })
}
