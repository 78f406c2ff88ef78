//! Hours of rules in the kernel's time. A kernel compares its clock in UTC and knows no change of clocks: so rules are written with the
//! hours that their zone has now, and again when that changes.

use crate::backend::Refused;
use crate::rule::{Rule, Schedule};
use crate::sys::clock;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The rules with their hours in UTC, as they are now.
///
/// # Errors
/// When a zone is not known on this host.
pub fn in_utc(rules: &[Rule]) -> Result<Cow<'_, [Rule]>, Vec<Refused>> {
    if rules.iter().all(|rule| zoned(rule).is_none()) {
        return Ok(Cow::Borrowed(rules));
    }
    let now = clock::now();
    let (mut out, mut refused) = (rules.to_vec(), Vec::new());
    for rule in &mut out {
        let Some(schedule) = zoned(rule) else { continue };
        match clock::ahead_of_utc(schedule.zone.as_deref(), now) {
            Ok(ahead) => rule.schedule = Some(schedule.in_utc(ahead)),
            Err(why) => {
                let zone = schedule.zone.clone().unwrap_or_else(|| "local time".to_owned());
                refused.push(Refused::new(rule, "schedule", zone, why));
            }
        }
    }
    if refused.is_empty() { Ok(Cow::Owned(out)) } else { Err(refused) }
}

/// The hours of a rule, where they are in a zone of their own.
fn zoned(rule: &Rule) -> Option<&Schedule> {
    rule.schedule.as_ref().filter(|schedule| !schedule.is_in_utc())
}

/// How far the zones of these rules are ahead of UTC now, as text: another one when the clocks of one of them have changed. Empty where no
/// rule has hours of a zone.
pub fn ahead<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
    let now = clock::now();
    let known: BTreeMap<&str, i32> = rules
        .filter_map(zoned)
        .filter_map(|schedule| {
            let ahead = clock::ahead_of_utc(schedule.zone.as_deref(), now).ok()?;
            Some((schedule.zone.as_deref().unwrap_or("local"), ahead))
        })
        .collect();
    known.iter().map(|(zone, ahead)| format!("{zone} {ahead}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(zone: &str) -> Rule {
        let hours = json!({ "days": ["monday"], "from": "09:00", "to": "17:00", "zone": zone });
        let fields = json!({ "id": "r", "action": "drop", "direction": "input", "schedule": hours });
        serde_json::from_value(fields).expect("a rule")
    }

    #[test]
    fn hours_are_brought_to_utc_and_their_zones_watched() {
        // Of India the clocks do not change.
        let here = [rule("Asia/Kolkata")];
        let there = in_utc(&here).expect("a zone");
        let hours = there[0].schedule.as_ref().expect("hours");
        assert_eq!((hours.from, hours.to), ("03:30".parse().ok(), "11:30".parse().ok()));
        assert_eq!(in_utc(&there).expect("UTC"), there, "what is in UTC stays");
        assert_eq!(ahead([rule("Asia/Kolkata"), rule("UTC"), rule("Asia/Kolkata")].iter()), "Asia/Kolkata 330");
        let refused = in_utc(&[rule("Middle/Earth")]).expect_err("no such zone");
        assert!(refused[0].to_string().starts_with("rule r: schedule `Middle/Earth`: no time zone"), "{}", refused[0]);
    }
}
