//! The times that logs write: RFC 3164 (no year, no zone), ISO 8601 and RFC 3339.
//!
//! The clock is never read: the reference that a missing year is chosen by, and the zone, are arguments. A time that does not
//! exist gives nothing.

use crate::record::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

/// How far a log's clock may be ahead of ours before its month is taken for last year's.
const AHEAD: i64 = 86_400;

/// Turns the times of one log into instants.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    reference: Timestamp,
    /// The first twelve bytes (`Nov 20 10:15`) of the last line's time, and the instant at which that minute began.
    minute: [u8; 12],
    began: Option<i64>,
}

impl Clock {
    /// A clock for a log that is written in `zone`; a time without a year lies at most a day after `reference`.
    pub fn new(zone: TimeZone, reference: Timestamp) -> Self {
        Self { zone, reference, minute: [0; 12], began: None }
    }

    /// Moves the reference: a log that is followed grows older.
    pub fn set_reference(&mut self, reference: Timestamp) {
        if self.reference != reference {
            self.reference = reference;
            self.began = None;
        }
    }

    /// What times without a year are chosen by.
    pub fn reference(&self) -> Timestamp {
        self.reference
    }

    /// Reads the time that `line` begins with, of either form, and gives what follows it.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Option<(Timestamp, &'a [u8])> {
        if line.first()?.is_ascii_digit() { self.iso(line) } else { self.rfc3164(line) }
    }

    /// `Nov 20 10:15:32`, with a fraction or without.
    fn rfc3164<'a>(&mut self, line: &'a [u8]) -> Option<(Timestamp, &'a [u8])> {
        if line.len() < 15 {
            return None;
        }
        let mut unpadded = 0;
        let minute = match line[..12] == self.minute && line[12] == b':' {
            true => self.began?,
            false => {
                let (at, month, day) = month_and_day(line)?;
                let (hour, minute) = (two(line, at)?, two(line, at + 3)?);
                let colons = line.get(at + 2) == Some(&b':') && line.get(at + 5) == Some(&b':');
                let began = colons.then(|| self.in_year(month, day, hour, minute)).flatten()?;
                if at == 7 {
                    self.minute.copy_from_slice(&line[..12]);
                    self.began = Some(began);
                } else {
                    unpadded = 1; // a day of one digit
                }
                began
            }
        };
        let second = second(two(line, 13 - unpadded)?)?;
        let (nanos, rest) = fraction(&line[15 - unpadded..])?;
        Some((Timestamp::new(minute + second, nanos).ok()?, rest))
    }

    /// The newest year in which this is no later than a day after the reference.
    fn in_year(&self, month: i8, day: i8, hour: i8, minute: i8) -> Option<i64> {
        let year = self.reference.to_zoned(self.zone.clone()).year();
        (year - 8..=year + 1).rev().find_map(|year| {
            let civil = civil::DateTime::new(year, month, day, hour, minute, 0, 0).ok()?;
            let instant = self.zone.to_timestamp(civil).ok()?.as_second();
            (instant <= self.reference.as_second() + AHEAD).then_some(instant)
        })
    }

    /// `2025-11-20T10:15:32.003Z`, `2025-11-20 10:15:32+02:00`; without an offset in the log's zone.
    fn iso<'a>(&self, line: &'a [u8]) -> Option<(Timestamp, &'a [u8])> {
        let marks = |at: usize, mark: u8| line.get(at) == Some(&mark);
        let shaped = marks(4, b'-') && marks(7, b'-') && marks(13, b':') && marks(16, b':');
        if !shaped || !(marks(10, b'T') || marks(10, b' ')) {
            return None;
        }
        let year = i16::from(two(line, 0)?) * 100 + i16::from(two(line, 2)?);
        let date = civil::Date::new(year, two(line, 5)?, two(line, 8)?).ok()?;
        let seconds = i8::try_from(second(two(line, 17)?)?).ok()?;
        let (nanos, rest) = fraction(&line[19..])?;
        let civil = date.at(two(line, 11).filter(|h| *h < 24)?, two(line, 14).filter(|m| *m < 60)?, seconds, nanos);
        let (offset, rest) = offset(rest)?;
        let instant = match offset {
            Some(offset) => jiff::tz::Offset::from_seconds(offset).ok()?.to_timestamp(civil).ok()?,
            None => self.zone.to_timestamp(civil).ok()?,
        };
        Some((instant, rest))
    }
}

/// Where the hour begins, the month and the day of `Nov 20 `, `Nov  7 ` or `Nov 7 `.
fn month_and_day(line: &[u8]) -> Option<(usize, i8, i8)> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = MONTHS.iter().zip(1..).find(|(name, _)| line[..3] == name[..])?.1;
    let digit = |at: usize| line.get(at).filter(|b| b.is_ascii_digit()).map(|b| (b - b'0') as i8);
    if line[3] != b' ' {
        return None;
    }
    match (line[4], digit(4), digit(5)) {
        (b' ', _, Some(day)) => (line[6] == b' ').then_some((7, month, day)),
        (_, Some(tens), Some(ones)) => (line[6] == b' ').then_some((7, month, tens * 10 + ones)),
        (_, Some(day), None) => (line[5] == b' ').then_some((6, month, day)),
        _ => None,
    }
}

/// A second; the leap second 60 is taken for 59, as jiff does.
fn second(second: i8) -> Option<i64> {
    (second <= 60).then(|| i64::from(second.min(59)))
}

/// The number of two digits at `at`.
fn two(line: &[u8], at: usize) -> Option<i8> {
    match line.get(at..at + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(((tens - b'0') * 10 + ones - b'0') as i8),
        _ => None,
    }
}

/// Nanoseconds of a fraction (`.003`), and what follows it; zero where there is none.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return Some((0, text));
    };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let read = digits[..length].iter().take(9).fold(0, |sum, b| sum * 10 + i32::from(b - b'0'));
    let nanos = read * 10_i32.pow(9_u32.saturating_sub(length as u32));
    (length > 0).then(|| (nanos, &digits[length..]))
}

/// Seconds east of Greenwich of `Z`, `+02:00`, `+0200`, and what follows; nothing where no offset is written.
fn offset(text: &[u8]) -> Option<(Option<i32>, &[u8])> {
    let sign = match text.first() {
        Some(b'Z' | b'z') => return Some((Some(0), &text[1..])),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some((None, text)),
    };
    let at = if text.get(3) == Some(&b':') { 4 } else { 3 };
    let (hours, minutes) = (i32::from(two(text, 1)?), i32::from(two(text, at)?));
    Some((Some(sign * (hours * 3600 + minutes * 60)), &text[at + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(reference: &str) -> Clock {
        Clock::new(TimeZone::get("Europe/Berlin").expect("zone"), reference.parse().expect("time"))
    }

    fn read(clock: &mut Clock, text: &str) -> Option<String> {
        clock.read(text.as_bytes()).map(|(ts, rest)| format!("{ts}|{}", String::from_utf8_lossy(rest)))
    }

    #[test]
    fn each_form() {
        let mut clock = clock("2026-06-01T00:00:00Z");
        for (text, expected) in [
            ("Jan  2 03:04:05 gw", "2026-01-02T02:04:05Z| gw"),
            ("Jan 2 03:04:05 gw", "2026-01-02T02:04:05Z| gw"),
            ("May 12 03:04:05.25 gw", "2026-05-12T01:04:05.25Z| gw"),
            ("Jul 12 03:04:05 gw", "2025-07-12T01:04:05Z| gw"),
            ("2025-11-20T10:15:32.003Z gw", "2025-11-20T10:15:32.003Z| gw"),
            ("2025-11-20T10:15:32+02:00 gw", "2025-11-20T08:15:32Z| gw"),
            ("2025-11-20T10:15:32-0130 gw", "2025-11-20T11:45:32Z| gw"),
            ("2025-11-20 10:15:32 gw", "2025-11-20T09:15:32Z| gw"),
        ] {
            assert_eq!(read(&mut clock, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_year_is_the_newest_that_is_not_ahead() {
        let mut january = clock("2026-01-01T00:30:00Z");
        assert_eq!(read(&mut january, "Dec 31 23:59:59 x").as_deref(), Some("2025-12-31T22:59:59Z| x"));
        assert_eq!(read(&mut january, "Jan  1 00:00:01 x").as_deref(), Some("2025-12-31T23:00:01Z| x"));
        assert_eq!(read(&mut january, "Jan  2 00:00:01 x").as_deref(), Some("2026-01-01T23:00:01Z| x"));
        assert_eq!(read(&mut january, "Feb 29 12:00:00 x").as_deref(), Some("2024-02-29T11:00:00Z| x"));
        january.set_reference("2027-01-02T00:00:00Z".parse().expect("time"));
        assert_eq!(read(&mut january, "Feb  3 12:00:00 x").as_deref(), Some("2026-02-03T11:00:00Z| x"));
    }

    #[test]
    fn what_is_no_time() {
        let mut clock = clock("2026-06-01T00:00:00Z");
        for text in
            ["", "Jan", "Jan 32 00:00:00", "Jux 12 00:00:00", "Feb 30 00:00:00", "Jan 12 24:00:00", "Jan 12 00-00:00"]
        {
            assert_eq!(read(&mut clock, text), None, "{text}");
        }
        for text in ["2025-13-20T10:15:32Z", "2025-11-20T25:15:32Z", "2025-11-20T10:61:32Z", "2025-11-20T10:15:32.Z"] {
            assert_eq!(read(&mut clock, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_never_panic(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = clock("2026-06-01T00:00:00Z").read(&line);
        }

        #[test]
        fn an_rfc3339_time_is_read_as_jiff_reads_it(seconds in 0..4_000_000_000i64, nanos in 0..1_000_000_000i32) {
            let ts = Timestamp::new(seconds, nanos).expect("in range");
            let text = format!("{ts} x");
            let mut clock = clock("2026-06-01T00:00:00Z");
            prop_assert_eq!(clock.read(text.as_bytes()), Some((ts, &b" x"[..])));
        }

        #[test]
        fn remembering_the_minute_changes_nothing(times in proptest::collection::vec((1..13u8, 1..29u8, 0..24u8, 0..60u8, 0..60u8), 1..20)) {
            let mut kept = clock("2026-06-01T00:00:00Z");
            for (month, day, hour, minute, second) in times {
                let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][usize::from(month) - 1];
                let text = format!("{name} {day:2} {hour:02}:{minute:02}:{second:02} x");
                let fresh = read(&mut clock("2026-06-01T00:00:00Z"), &text);
                prop_assert_eq!(read(&mut kept, &text), fresh);
                prop_assert_eq!(read(&mut kept, &text), read(&mut clock("2026-06-01T00:00:00Z"), &text));
            }
        }
    }
}
