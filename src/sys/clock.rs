//! Time and randomness.

use crate::record::{Id, Timestamp, time_id};
use jiff::tz::TimeZone;
use std::time::Duration;

/// What the clock on the wall says, in microseconds, as the state keeps times.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// How many minutes a time zone is ahead of UTC at a time; the zone of this host where none is named.
///
/// # Errors
/// When this host knows no zone of the name, or its hours do not begin with whole minutes.
pub fn ahead_of_utc(zone: Option<&str>, at: Timestamp) -> Result<i32, String> {
    let known = match zone {
        Some("UTC") => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| {
            "no time zone of this name is known here; one like Europe/Berlin is meant (from the package tzdata), or UTC"
                .to_owned()
        })?,
        None => TimeZone::system(),
    };
    match known.to_offset(at).seconds() {
        seconds if seconds % 60 == 0 => Ok(seconds / 60),
        seconds => Err(format!("the zone is {seconds} seconds ahead of UTC, which are no whole minutes")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_ahead_of_utc_as_the_season_says() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let berlin = |text: &str| ahead_of_utc(Some("Europe/Berlin"), at(text));
        assert_eq!((berlin("2026-01-10T12:00:00Z"), berlin("2026-07-10T12:00:00Z")), (Ok(60), Ok(120)));
        assert_eq!(ahead_of_utc(Some("Asia/Kathmandu"), at("2026-01-10T12:00:00Z")), Ok(345));
        assert_eq!(ahead_of_utc(Some("UTC"), at("2026-01-10T12:00:00Z")), Ok(0));
        let words = "no time zone of this name is known here; one like Europe/Berlin is meant (from the package tzdata), or UTC";
        assert_eq!(ahead_of_utc(Some("../../etc/shadow"), at("2026-01-10T12:00:00Z")), Err(words.to_owned()));
    }
}
