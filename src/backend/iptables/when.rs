//! How often and at which hours rules of iptables match, in the form in which the import of rules reads it.
//!
//! What AFO's rules would do otherwise is nothing here: a bucket that is forgotten before it is full again, hours in another zone than UTC.

use crate::rule::ruleset::TableFamily;
use crate::rule::{ClockTime, Schedule, Weekday};
use serde_json::{Value, json};

/// Milliseconds after which hashlimit forgets a source, where a rule does not say (iptables-extensions(8)).
const EXPIRE: u64 = 10_000;
/// The last day of 32 bits, which iptables-save of the nft kind prints of rules without one.
const LAST_DAY: &str = "2038-01-19T03:14:07";

fn value<'a>(options: &'a [(String, String)], name: &str) -> Option<&'a str> {
    options.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// `3/min`: the count, and the unit's whole name.
pub(super) fn rate(text: &str) -> Option<(u64, &'static str)> {
    let (count, unit) = text.split_once('/')?;
    let per = ["second", "minute", "hour", "day"].into_iter().find(|per| !unit.is_empty() && per.starts_with(unit))?;
    Some((count.parse().ok()?, per))
}

/// The name by which the kernel finds the bucket of a hashlimit.
pub(super) fn bucket(options: &[(String, String)]) -> &str {
    value(options, "name").unwrap_or_default()
}

/// A hashlimit, of all packets together or of each source; nothing where it is more or less than AFO's rate.
pub(super) fn hashlimit(over: bool, options: &[(String, String)], family: TableFamily) -> Option<Value> {
    const KNOWN: [&str; 9] =
        ["rate", "burst", "mode", "srcmask", "name", "htable-size", "htable-max", "htable-expire", "htable-gcinterval"];
    if options.iter().any(|(name, _)| !KNOWN.contains(&name.as_str())) {
        return None;
    }
    let (count, per) = rate(value(options, "rate")?)?;
    let burst: u64 = value(options, "burst").map_or(Some(5), |burst| burst.parse().ok())?;
    let expire = value(options, "htable-expire").map_or(Some(EXPIRE), |text| text.parse().ok())?;
    let unit: u64 = match per {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        _ => 86_400,
    };
    let refill = unit.checked_mul(burst)?.checked_mul(1000)?.div_ceil(count.max(1));
    let v6 = family == TableFamily::Ip6;
    let mut limit = json!({ "rate": count, "per": per, "burst": burst, "inv": over });
    match (value(options, "mode"), value(options, "srcmask")) {
        (None, None) => {}
        // AFO counts sources of IPv6 by /64.
        (Some("srcip"), Some("64")) if v6 => limit["source"] = true.into(),
        (Some("srcip"), None | Some("32")) if !v6 => limit["source"] = true.into(),
        _ => return None,
    }
    (refill <= expire).then(|| json!({ "limit": limit }))
}

/// The hours of `-m time` as those of a rule.
pub(super) fn hours(options: &[(String, String)]) -> Option<Value> {
    const KNOWN: [&str; 6] = ["timestart", "timestop", "weekdays", "datestop", "contiguous", "utc"];
    let known = options.iter().all(|(name, _)| KNOWN.contains(&name.as_str()));
    if !known || value(options, "datestop").is_some_and(|day| day != LAST_DAY) {
        return None;
    }
    let (first, after) = (
        second(value(options, "timestart").unwrap_or("00:00"))?,
        second(value(options, "timestop").unwrap_or("23:59:59"))? + 1,
    );
    let days = value(options, "weekdays").map_or(Some(Vec::new()), |list| list.split(',').map(weekday).collect())?;
    // Across midnight the kernel asks for the day on both sides, unless the hours are one piece (`xt_time`).
    if first >= after && !days.is_empty() && value(options, "contiguous").is_none() {
        return None;
    }
    let clock = |seconds: u32| {
        let minutes = u16::try_from(seconds / 60 % 1440).ok().filter(|_| seconds.is_multiple_of(60))?;
        ClockTime::new(minutes / 60, minutes % 60)
    };
    let (from, to) = (clock(first)?, clock(after)?);
    let whole = first == 0 && after == 86_400;
    let times = if whole { (None, None) } else { (Some(from), Some(to)) };
    let schedule = Schedule { days, from: times.0, to: times.1, zone: Some("UTC".to_owned()) };
    (!schedule.is_always()).then(|| json!({ "hours": schedule }))
}

/// The second of the day of `09:00` or `09:00:00`.
fn second(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    (hour < 24 && minute < 60 && second < 60 && parts.next().is_none()).then_some(hour * 3600 + minute * 60 + second)
}

/// By the first letters of its name, or its number from Monday on.
fn weekday(text: &str) -> Option<Weekday> {
    let numbered = text.parse::<usize>().ok().and_then(|number| Weekday::ALL.get(number.checked_sub(1)?).copied());
    numbered.or_else(|| {
        let begins = |day: &&Weekday| day.name().get(..text.len()).is_some_and(|own| own.eq_ignore_ascii_case(text));
        Weekday::ALL.iter().find(begins).copied().filter(|_| text.len() >= 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let pair = |word: &str| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.split(' ').filter_map(pair).collect()
    }

    #[test]
    fn hours_are_said_by_the_minute_alone() {
        for (options, said) in [
            ("timestart=22:00 timestop=05:59:59", true),
            ("timestart=22:00 timestop=05:59:59 weekdays=6 contiguous=", true),
            ("timestart=22:00 timestop=05:59:59 weekdays=6", false),
            ("weekdays=Mo,Tu", true),
            ("weekdays=Xx", false),
            ("timestart=09:00 timestop=17:00", false),
            ("timestart=09:00:30", false),
            ("kerneltz= weekdays=Mon", false),
            ("datestop=2026-01-02T03:04:05 weekdays=Mon", false),
            ("datestop=2038-01-19T03:14:07", false),
        ] {
            assert_eq!(hours(&pairs(options)).is_some(), said, "{options}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9:/,= -]{0,40}", other in "\\PC{0,12}") {
            let options = [("timestart", text.as_str()), ("timestop", &other), ("weekdays", &text), ("rate", &other)];
            let owned: Vec<_> = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            for all in [owned, pairs(&text), pairs(&format!("rate=1/s burst={text} mode={other}"))] {
                prop_assert!(hours(&all).is_none_or(|hours| hours["hours"]["zone"] == "UTC"));
                prop_assert!(hashlimit(true, &all, TableFamily::Ip).is_none_or(|limit| limit["limit"]["inv"] == true));
            }
        }
    }
}
