use super::row::{json, micros};
use super::{Actor, Change, Result, State, StateError};
use crate::record::Timestamp;
use rusqlite::params;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Change<'_> {
    /// Sets a value such as `daemon_state`. Keys that begin with `audit_` are the trail's own.
    ///
    /// # Errors
    /// When the key is the trail's, or the state cannot be written.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        if key.starts_with("audit_") {
            return Err(StateError::Reserved { key: key.to_owned() });
        }
        let sql =
            "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.run(sql, [key, value]).map(drop)
    }

    /// Sets how far `source` was read; what a position is, is the reader's affair.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn cursor<P: Serialize>(&self, source: &str, position: &P) -> Result<()> {
        let position = serde_json::to_string(position).expect("a position has string keys and no non-finite number");
        let sql = "INSERT INTO cursors (source, position, ts) VALUES (?, ?, ?)
            ON CONFLICT (source) DO UPDATE SET position = excluded.position, ts = excluded.ts";
        self.run(sql, params![source, position, micros(self.now())]).map(drop)
    }
}

impl State {
    /// The value of a setting.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        self.row("SELECT value FROM settings WHERE key = ?", [key], |row| row.get(0))
    }

    /// How far `source` was read.
    ///
    /// # Errors
    /// When the state cannot be read, or holds a position of another type.
    pub fn cursor_of<P: DeserializeOwned>(&self, source: &str) -> Result<Option<P>> {
        self.row("SELECT position FROM cursors WHERE source = ?", [source], |row| json(row, "position"))
    }

    /// Sets how far several sources were read, in one transaction: after a crash either all of it is known or none.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn set_cursors<P: Serialize>(&mut self, now: Timestamp, positions: &[(String, P)]) -> Result<()> {
        let change = self.begin(now, &Actor::program("watch"))?;
        for (source, position) in positions {
            change.cursor(source, position)?;
        }
        change.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at};

    #[test]
    fn settings_and_cursors_come_back() {
        let mut state = State::memory().expect("memory");
        let position = (1_u64, u64::MAX, "ab".to_owned());
        state.set_cursors(at(0), &[("auth:/var/log/auth.log".into(), position.clone())]).expect("set");
        assert_eq!(state.cursor_of("auth:/var/log/auth.log"), Ok(Some(position)));
        assert_eq!(state.cursor_of::<(u64, u64, String)>("auth:/other"), Ok(None));
        assert!(matches!(state.cursor_of::<u8>("auth:/var/log/auth.log"), Err(StateError::Corrupt { .. })));
        let change = state.begin(at(1), &anna()).expect("begin");
        change.set("daemon_state", "running").expect("set");
        change.set("daemon_state", "stopped").expect("set again");
        let reserved = change.set("audit_head", "0:0").expect_err("the trail's own");
        assert_eq!(reserved.to_string(), "the setting audit_head is the audit trail's own and is not set by hand");
        change.commit().expect("commit");
        assert_eq!(state.setting("daemon_state"), Ok(Some("stopped".into())));
        assert_eq!(state.setting("none"), Ok(None));
    }
}
