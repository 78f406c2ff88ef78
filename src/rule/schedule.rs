use crate::packet::{Malformed, as_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The hours of the week in which a rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// Empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ClockTime>,
    /// Not after `from` it is the next day's, so the same time is a whole day later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ClockTime>,
    /// An IANA time zone; the host's where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Minutes of a day.
const DAY: i32 = 1440;

/// The zone whose clock the kernel compares with.
const UTC: &str = "UTC";

/// A part of the week: some days, and of each the minutes from the first up to the last, which is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Sorted; empty: every day.
    pub days: Vec<Weekday>,
    /// At most 1440; `None`: the whole day.
    pub minutes: Option<(u16, u16)>,
}

impl Schedule {
    /// Whether the hours are said in UTC, as the kernel compares them.
    pub fn is_in_utc(&self) -> bool {
        self.zone.as_deref() == Some(UTC)
    }

    /// The same hours in UTC, of a zone that is so many minutes ahead of it.
    #[must_use]
    pub fn in_utc(&self, ahead: i32) -> Self {
        let (begin, length) = self.begin_and_length();
        let begin = begin - ahead;
        let time = |minutes: i32| u16::try_from(minutes.rem_euclid(DAY)).ok().map(|minutes| ClockTime { minutes });
        let whole = begin.rem_euclid(DAY) == 0 && length == DAY;
        let bounds = if whole { (None, None) } else { (time(begin), time(begin + length)) };
        let mut days: Vec<Weekday> = self.days.iter().map(|day| day.later(begin.div_euclid(DAY))).collect();
        days.sort_unstable();
        Self { days, from: bounds.0, to: bounds.1, zone: Some(UTC.to_owned()) }
    }

    /// The parts of the week that it is, none across midnight, none in two.
    pub fn hours(&self) -> Vec<Hours> {
        let (begin, length) = self.begin_and_length();
        let part = |later: i32, first: i32, last: i32| {
            let mut days: Vec<Weekday> = self.days.iter().map(|day| day.later(later)).collect();
            days.sort_unstable();
            days.dedup();
            let bounds = u16::try_from(first).ok().zip(u16::try_from(last).ok());
            Hours {
                days: if days.len() == Weekday::ALL.len() { Vec::new() } else { days },
                minutes: bounds.filter(|_| last - first < DAY),
            }
        };
        let end = begin + length;
        match end > DAY {
            true => vec![part(0, begin, DAY), part(1, 0, end - DAY)],
            false => vec![part(0, begin, end)],
        }
    }

    /// Whether no hour of the week is left out.
    pub fn is_always(&self) -> bool {
        let every = self.days.is_empty() || Weekday::ALL.iter().all(|day| self.days.contains(day));
        every && self.begin_and_length().1 == DAY
    }

    fn begin_and_length(&self) -> (i32, i32) {
        let minutes = |time: Option<ClockTime>| time.map_or(0, |time| i32::from(time.minutes));
        let begin = minutes(self.from);
        let length = (minutes(self.to) - begin).rem_euclid(DAY);
        (begin, if length == 0 { DAY } else { length })
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// Every day, in the order of the week.
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// The name in English, as nft and iptables begin it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Tuesday => "Tuesday",
            Self::Wednesday => "Wednesday",
            Self::Thursday => "Thursday",
            Self::Friday => "Friday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }

    /// The day so many days later.
    fn later(self, days: i32) -> Self {
        let place = (self as i32 + days).rem_euclid(7);
        Self::ALL[usize::try_from(place).unwrap_or(0)]
    }
}

/// A time of day, `00:00` to `23:59`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime {
    minutes: u16,
}

impl ClockTime {
    /// The time `hour:minute`, where there is such a time.
    pub fn new(hour: u16, minute: u16) -> Option<Self> {
        (hour < 24 && minute < 60).then_some(Self { minutes: hour * 60 + minute })
    }

    /// Minutes since midnight.
    pub fn minutes(self) -> u16 {
        self.minutes
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl FromStr for ClockTime {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let two =
            |part: &str| part.parse().ok().filter(|_| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
        text.split_once(':')
            .and_then(|(hour, minute)| Self::new(two(hour)?, two(minute)?))
            .ok_or_else(|| Malformed(format!("`{}` is not a time of day from 00:00 to 23:59", text.escape_debug())))
    }
}

as_text!(ClockTime, "a time of day, HH:MM");

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(days: &[Weekday], from: &str, to: &str) -> Schedule {
        let time = |text: &str| text.parse().ok();
        Schedule { days: days.to_vec(), from: time(from), to: time(to), zone: None }
    }

    /// Whether a minute of the week, from the midnight that begins Monday, is in the hours.
    fn holds(hours: &[Hours], minute: i32) -> bool {
        let (day, at) = (Weekday::Monday.later(minute.div_euclid(DAY)), minute.rem_euclid(DAY));
        hours.iter().any(|part| {
            let of_day = part.days.is_empty() || part.days.contains(&day);
            of_day && part.minutes.is_none_or(|(first, last)| (i32::from(first)..i32::from(last)).contains(&at))
        })
    }

    #[test]
    fn hours_are_the_same_in_utc_whatever_the_zone() {
        use Weekday::{Friday, Monday, Sunday};
        for days in [vec![], vec![Monday], vec![Sunday, Friday], Weekday::ALL.to_vec()] {
            for (from, to) in
                [("", ""), ("09:00", "17:30"), ("22:00", "06:00"), ("", "06:00"), ("22:00", ""), ("07:07", "07:07")]
            {
                let here = schedule(&days, from, to);
                for ahead in [-720, -570, -1, 0, 60, 345, 840] {
                    let there = here.in_utc(ahead);
                    assert!(there.is_in_utc());
                    let (own, utc) = (here.hours(), there.hours());
                    for minute in (0..7 * DAY).step_by(7) {
                        assert_eq!(holds(&own, minute), holds(&utc, minute - ahead), "{here:?} {ahead} {minute}");
                    }
                }
            }
        }
    }

    #[test]
    fn hours_across_midnight_belong_to_the_day_that_they_begin_on() {
        let night = schedule(&[Weekday::Sunday], "22:00", "06:00").hours();
        let part = |day: Weekday, first, last| Hours { days: vec![day], minutes: Some((first, last)) };
        assert_eq!(night, [part(Weekday::Sunday, 1320, 1440), part(Weekday::Monday, 0, 360)]);
        assert_eq!(schedule(&[], "", "").hours(), [Hours { days: vec![], minutes: None }]);
        assert!(schedule(&Weekday::ALL, "09:00", "09:00").is_always() && schedule(&[], "", "00:00").is_always());
        assert!(!schedule(&[], "00:01", "").is_always() && !schedule(&[Weekday::Friday], "", "").is_always());
    }

    #[test]
    fn times_of_day() {
        assert_eq!("18:05".parse::<ClockTime>().expect("time").to_string(), "18:05");
        for text in ["24:00", "9:00", "12:60", "12", "+1:00"] {
            assert!(text.parse::<ClockTime>().is_err(), "{text}");
        }
    }
}
