//! Hours of the week. The kernel compares its clock in UTC, by seconds of the day and by the day; numbers are taken as they are, and
//! words would be shifted by the zone of whoever runs nft.

use super::line::any_of;
use crate::backend::nftables::native::{Clock, Statement, Value};
use crate::rule::{Hours, Rule};

/// The alternatives that together are the hours of a rule: one that asks nothing where it has none.
pub(super) fn hours(rule: &Rule) -> Vec<Vec<Statement>> {
    let Some(schedule) = &rule.schedule else { return vec![Vec::new()] };
    let parts = schedule.hours();
    match parts.as_slice() {
        [first, second] if first.days == second.days => vec![asked(first, &parts)],
        _ => parts.iter().map(|part| asked(part, std::slice::from_ref(part))).collect(),
    }
}

/// The days of one part, and the times of all, which are of these days.
fn asked(part: &Hours, all: &[Hours]) -> Vec<Statement> {
    let days: Vec<Value> = part.days.iter().map(|day| Value::Word(day.name())).collect();
    let seconds = |minutes: u16| u32::from(minutes) * 60;
    let range = |(first, last): (u16, u16)| {
        Value::Range(Box::new(Value::Number(seconds(first))), Box::new(Value::Number(seconds(last) - 1)))
    };
    let times: Vec<Value> = all.iter().filter_map(|part| part.minutes).map(range).collect();
    let both = [(Clock::Day, days), (Clock::Hour, times)];
    both.into_iter().filter(|(_, v)| !v.is_empty()).map(|(clock, v)| Statement::When(clock, any_of(v))).collect()
}
