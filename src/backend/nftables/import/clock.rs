//! Hours and days of an imported rule, as a schedule.
//!
//! nft shows hours as the clocks of the host show them that lists, and days as the kernel counts them, in UTC: so the two together are of no
//! one zone.

use crate::rule::{ClockTime, Schedule, Weekday};
use serde_json::Value;

/// Whether a match asks for the clock.
pub(super) fn is_clock(body: &Value) -> bool {
    matches!(body["left"]["meta"]["key"].as_str(), Some("hour" | "day"))
}

/// Adds what a match asks of the clock to a schedule.
///
/// # Errors
/// Why no schedule asks so.
pub(super) fn asked(body: &Value, before: Option<Schedule>) -> Result<Schedule, String> {
    let none = || "its hours are none that AFO's rules have: one range of whole minutes, and days".to_owned();
    if before.is_some() {
        return Err("its days are counted in UTC and its hours in this host's zone; AFO's have one zone".to_owned());
    }
    if !matches!(body["op"].as_str(), Some("==" | "in")) {
        return Err(none());
    }
    let right = &body["right"];
    if body["left"]["meta"]["key"] == "day" {
        let days = right["set"].as_array().map_or_else(|| vec![right], |set| set.iter().collect());
        let days: Option<Vec<Weekday>> = days.into_iter().map(day).collect();
        let mut days = days.filter(|days| !days.is_empty()).ok_or_else(none)?;
        days.sort_unstable();
        return Ok(Schedule { days, from: None, to: None, zone: Some("UTC".to_owned()) });
    }
    let [first, last] = right["range"].as_array().map(Vec::as_slice).unwrap_or_default() else { return Err(none()) };
    let (first, last) = second(first).zip(second(last)).filter(|(a, b)| a <= b).ok_or_else(none)?;
    let bound = |second: u32| second.is_multiple_of(60).then(|| time(second / 60 % 1440)).flatten();
    let (from, to) = bound(first).zip(bound(last + 1)).ok_or_else(none)?;
    Ok(Schedule { days: Vec::new(), from: Some(from), to: Some(to), zone: None })
}

fn day(value: &Value) -> Option<Weekday> {
    let word = value.as_str()?;
    Weekday::ALL.into_iter().find(|day| day.name() == word)
}

/// The second of the day that `08:00` or `16:59:59` is.
fn second(value: &Value) -> Option<u32> {
    let mut parts = value.as_str()?.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    (hour < 24 && minute < 60 && second < 60 && parts.next().is_none()).then_some(hour * 3600 + minute * 60 + second)
}

fn time(minutes: u32) -> Option<ClockTime> {
    format!("{:02}:{:02}", minutes / 60, minutes % 60).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(key: &str, right: Value) -> Result<String, String> {
        let body = json!({ "op": "==", "left": { "meta": { "key": key } }, "right": right });
        assert!(is_clock(&body));
        asked(&body, None).map(|schedule| serde_json::to_string(&schedule).expect("JSON"))
    }

    #[test]
    fn hours_are_of_this_host_and_days_of_utc() {
        let whole = said("hour", json!({ "range": ["08:00", "16:59:59"] }));
        assert_eq!(whole.as_deref(), Ok(r#"{"from":"08:00","to":"17:00"}"#));
        let end = said("hour", json!({ "range": ["22:30", "23:59:59"] }));
        assert_eq!(end.as_deref(), Ok(r#"{"from":"22:30","to":"00:00"}"#));
        let days = said("day", json!({ "set": ["Sunday", "Monday"] }));
        assert_eq!(days.as_deref(), Ok(r#"{"days":["monday","sunday"],"zone":"UTC"}"#));
        for right in [json!({ "range": ["08:00", "17:00"] }), json!("08:00"), json!({ "range": ["25:00", "26:00"] })] {
            assert!(said("hour", right.clone()).is_err(), "{right}");
        }
        assert!(said("day", json!("Noday")).is_err());
        let both = json!({ "op": "==", "left": { "meta": { "key": "day" } }, "right": "Monday" });
        assert!(asked(&both, asked(&both, None).ok()).is_err_and(|why| why.contains("one zone")));
    }
}
