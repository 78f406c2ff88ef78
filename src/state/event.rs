use super::row::{instant, micros};
use super::{Change, Result, State};
use crate::record::{Id, Timestamp};
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

/// An event to be stored: its line as it went out, and what it is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLine<'l> {
    /// From its content, so that the same event is recognised.
    pub id: &'l str,
    pub ts: Timestamp,
    pub run: Option<&'l str>,
    /// The record, without the end of the line.
    pub line: &'l str,
}

/// A stored event: the line that went out, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub id: String,
    pub ts: Timestamp,
    pub line: String,
}

/// How much is remembered of what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Nothing that was stored before this.
    pub since: Timestamp,
    /// As many events as this at most.
    pub most: u32,
}

/// As many events as this are forgotten at once, so that nobody waits long for the lock.
const FORGOTTEN: u32 = 10_000;

impl Change<'_> {
    /// Stores events; one that is there already is not stored again. Answers how many were new.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn events<'e>(&self, events: impl IntoIterator<Item = EventLine<'e>>) -> Result<usize> {
        let sql = "INSERT OR IGNORE INTO events (id, ts, run, json, stored) VALUES (?, ?, ?, ?, ?)";
        let stored = self.micros();
        let mut new = 0;
        for event in events {
            new += self.run(sql, params![event.id, micros(event.ts), event.run, event.line, stored])?;
        }
        Ok(new)
    }

    /// Forgets what `keep` does not ask for, what was stored first before all, at most 10,000 at a time. Answers how many there were.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn forget_events(&self, keep: Keep) -> Result<usize> {
        // Rows are numbered in the order in which they were stored, and only the oldest are ever taken out: their numbers count them.
        let ends = "SELECT min(rowid) AS first, max(rowid) AS last FROM events";
        let ends = self.row(ends, [], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
        let Some((Some(first), Some(last))) = ends else { return Ok(0) };
        let surplus = last - i64::from(keep.most);
        let oldest = self.row("SELECT stored FROM events WHERE rowid = ?", [first], |row| row.get::<_, i64>(0))?;
        if first > surplus && oldest.is_none_or(|stored| stored >= micros(keep.since)) {
            return Ok(0);
        }
        let end = first + i64::from(FORGOTTEN);
        let sql = "DELETE FROM events WHERE rowid < ? AND (rowid <= ? OR stored < ?)";
        self.run(sql, [end, surplus, micros(keep.since)])
    }
}

impl State {
    /// At most a thousand stored events inside `span` after `last`, oldest first; from the oldest on where there is no last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn event_page(&self, span: &Span, last: Option<&StoredEvent>) -> Result<Vec<StoredEvent>> {
        let (ts, id) = last.map_or((i64::MIN, String::new()), |event| (micros(event.ts), event.id.clone()));
        let sql = span.page("events", "(ts, id) > (?, ?)", "ts, id");
        self.rows(&sql, span.page_params([ts.into(), id.into()]), |row| {
            Ok(StoredEvent { id: row.get("id")?, ts: instant(row, "ts")?, line: row.get("json")? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, id};

    fn event(id: &str, second: i64) -> EventLine<'_> {
        EventLine { id, ts: at(second), run: None, line: "{}" }
    }

    fn names(state: &State, span: &Span, last: Option<&StoredEvent>) -> Vec<String> {
        state.event_page(span, last).expect("events").into_iter().map(|event| event.id).collect()
    }

    #[test]
    fn events_are_stored_once_and_found_by_time_and_run() {
        let mut state = State::memory().expect("memory");
        let change = state.begin(at(0), &anna()).expect("begin");
        let all = [EventLine { run: Some("run-1"), ..event("e2", 20) }, event("e1", 10), event("e3", 30)];
        assert_eq!(change.events(all), Ok(3));
        assert_eq!(change.events(all), Ok(0));
        assert_eq!(names(&change, &Span::default(), None), ["e1", "e2", "e3"]);
        assert_eq!(names(&change, &Span { since: Some(at(20)), run: None }, None), ["e2", "e3"]);
        assert_eq!(names(&change, &Span { since: Some(at(20)), run: Some(id("run-1")) }, None), ["e2"]);
        let first = change.event_page(&Span::default(), None).expect("events").remove(0);
        assert_eq!(first, StoredEvent { id: "e1".into(), ts: at(10), line: "{}".into() });
        assert_eq!(names(&change, &Span::default(), Some(&first)), ["e2", "e3"]);
    }

    /// By when they were stored: an old log that is read today is remembered as long as today's.
    #[test]
    fn old_events_and_surplus_are_forgotten() {
        let mut state = State::memory().expect("memory");
        for (day, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let change = state.begin(at(day as i64 * 100), &anna()).expect("begin");
            change.events([event(name, 400 - day as i64)]).expect("stored");
            change.commit().expect("commit");
        }
        let forget = |state: &mut State, since: i64, most| {
            let change = state.begin(at(500), &anna()).expect("begin");
            let gone = change.forget_events(Keep { since: at(since), most }).expect("forgotten");
            change.commit().expect("commit");
            (gone, names(state, &Span::default(), None).join(""))
        };
        assert_eq!(forget(&mut state, 0, 4), (0, "dcba".into()));
        assert_eq!(forget(&mut state, 100, 4), (1, "dcb".into()));
        assert_eq!(forget(&mut state, 0, 2), (1, "dc".into()));
        assert_eq!(forget(&mut state, 301, 2), (2, "".into()));
        assert_eq!(forget(&mut state, 301, 2), (0, "".into()));
    }

    #[test]
    fn no_more_than_so_many_are_forgotten_at_once() {
        let mut state = State::memory().expect("memory");
        let change = state.begin(at(0), &anna()).expect("begin");
        let ids: Vec<String> = (0..10_500).map(|n| format!("e{n}")).collect();
        change.events(ids.iter().map(|id| event(id, 1))).expect("stored");
        let keep = Keep { since: at(10), most: 100 };
        assert_eq!([change.forget_events(keep), change.forget_events(keep)], [Ok(10_000), Ok(500)]);
        assert_eq!(change.forget_events(keep), Ok(0));
    }
}
