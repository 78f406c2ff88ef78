use super::row::{json, micros};
use super::{Change, Result, State};
use crate::record::{Event, Id, Timestamp};
use rusqlite::params;
use rusqlite::types::Value;

/// Which rows are asked for: all that fit both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Of this run.
    pub run: Option<Id>,
}

impl Span {
    pub(super) fn sql(&self, table: &str, order: &str) -> String {
        format!("SELECT * FROM {table}{} ORDER BY {order}", self.filter(None))
    }

    /// As [`sql`](Self::sql), at most a thousand rows that also fit `after`.
    pub(super) fn page(&self, table: &str, after: &str, order: &str) -> String {
        format!("SELECT * FROM {table}{} ORDER BY {order} LIMIT 1000", self.filter(Some(after)))
    }

    fn filter(&self, after: Option<&str>) -> String {
        let since = self.since.map(|_| "ts >= ?");
        let run = self.run.as_ref().map(|_| "run = ?");
        let wanted: Vec<&str> = since.into_iter().chain(run).chain(after).collect();
        if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) }
    }

    pub(super) fn params(&self) -> impl rusqlite::Params {
        self.page_params([])
    }

    pub(super) fn page_params<const N: usize>(&self, after: [Value; N]) -> impl rusqlite::Params + use<N> {
        let since = self.since.map(|ts| Value::Integer(micros(ts)));
        let run = self.run.as_ref().map(|id| Value::Text(id.to_string()));
        rusqlite::params_from_iter(since.into_iter().chain(run).chain(after))
    }
}

impl Change<'_> {
    /// Stores events; one that is there already is not stored again. Answers how many were new.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn events<'e>(&self, events: impl IntoIterator<Item = &'e Event>) -> Result<usize> {
        let mut new = 0;
        for event in events {
            let body = serde_json::to_string(event).expect("a record has string keys and no non-finite number");
            let values = params![event.id.as_str(), micros(event.ts), event.run.as_ref().map(Id::as_str), body];
            new += self.run("INSERT OR IGNORE INTO events (id, ts, run, json) VALUES (?, ?, ?, ?)", values)?;
        }
        Ok(new)
    }

    /// Forgets the events older than `before`, at most 10,000 at a time. Answers how many there were.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn forget_events(&self, before: Timestamp) -> Result<usize> {
        let sql = "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE ts < ? ORDER BY ts LIMIT 10000)";
        self.run(sql, [micros(before)])
    }
}

impl State {
    /// The stored events of one run or one span of time, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn stored_events(&self, span: &Span) -> Result<Vec<Event>> {
        self.rows(&span.sql("events", "ts, id"), span.params(), |row| json(row, "json"))
    }

    /// At most a thousand stored events inside `span` after `last`, oldest first; from the oldest on where there is no last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn event_page(&self, span: &Span, last: Option<&Event>) -> Result<Vec<Event>> {
        let (ts, id) = last.map_or((i64::MIN, String::new()), |event| (micros(event.ts), event.id.to_string()));
        let sql = span.page("events", "(ts, id) > (?, ?)", "ts, id");
        self.rows(&sql, span.page_params([ts.into(), id.into()]), |row| json(row, "json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, id};

    fn event(name: &str, second: i64, run: Option<&str>) -> Event {
        let json = serde_json::json!({
            "id": name, "ts": at(second), "source": "auth:x", "event_type": "auth_failure", "severity": "low", "run": run
        });
        serde_json::from_value(json).expect("an event")
    }

    #[test]
    fn events_are_stored_once_and_found_by_time_and_run() {
        let mut state = State::memory().expect("memory");
        let change = state.begin(at(0), &anna()).expect("begin");
        let all = [event("e2", 20, Some("run-1")), event("e1", 10, None), event("e3", 30, None)];
        assert_eq!(change.events(&all), Ok(3));
        assert_eq!(change.events(&all), Ok(0));
        let names = |span: &Span| -> Vec<String> {
            change.stored_events(span).expect("events").into_iter().map(|e| e.id.to_string()).collect()
        };
        assert_eq!(names(&Span::default()), ["e1", "e2", "e3"]);
        assert_eq!(names(&Span { since: Some(at(20)), run: None }), ["e2", "e3"]);
        assert_eq!(names(&Span { since: Some(at(20)), run: Some(id("run-1")) }), ["e2"]);
        let after = change.event_page(&Span::default(), Some(&all[1])).expect("events");
        assert_eq!(after, [all[0].clone(), all[2].clone()]);
        assert_eq!(change.event_page(&Span::default(), None).expect("events").len(), 3);
        assert_eq!(change.forget_events(at(30)), Ok(2));
    }
}
