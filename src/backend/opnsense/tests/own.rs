//! What of a configuration is AFO's, through the life of a window.

use super::super::*;
use super::{known, rules};
use serde_json::json;
use std::collections::BTreeMap;

/// A firewall's configuration that does what steps say, as the API's controllers do.
#[derive(Debug, Clone, Default)]
struct Config {
    rows: Vec<BTreeMap<String, String>>,
    made: usize,
}

impl Config {
    fn listing(&self) -> Listing {
        Listing::read(&json!({ "rows": self.rows }).to_string(), None).expect("a listing")
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            let Step::Post { path, body } = step else { continue };
            let words: Vec<&str> = path.split('/').collect();
            let uuid = words.get(3).copied().unwrap_or_default();
            let at = self.rows.iter().position(|row| row["uuid"] == uuid);
            let mut fields: BTreeMap<String, String> = serde_json::from_value(body["rule"].clone()).unwrap_or_default();
            match words[2] {
                "add_rule" => {
                    self.made += 1;
                    fields.insert("uuid".to_owned(), format!("u{}", self.made));
                    self.rows.push(fields);
                }
                "set_rule" => self.rows[at.expect("it is there")].extend(fields),
                "del_rule" => drop(self.rows.remove(at.expect("it is there"))),
                "toggle_rule" => {
                    drop(self.rows[at.expect("it is there")].insert("enabled".to_owned(), words[4].to_owned()))
                }
                _ => {}
            }
        }
    }
}

fn second(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).expect("time")
}

pub fn policy(port: u16) -> Policy {
    let rules = rules(&format!(
        r#"{{"id":"r{port}","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["{port}"]}}"#
    ));
    Policy::of(&rules, &known()).expect("a policy")
}

fn holding(config: &Config) -> Vec<String> {
    let live = config.listing();
    let on = live.own().filter(|entry| entry.is_on("enabled"));
    on.map(|entry| entry.get("description").to_owned()).collect()
}

#[test]
fn a_window_opens_and_is_confirmed_or_taken_back() {
    let mut config = Config::default();
    let live = config.listing();
    let own = Own::read(&live).expect("nothing");
    assert_eq!(
        (own.settled(), own.window(), own.is_there(), own.is_whole(), own.next()),
        (None, None, false, false, 1)
    );
    config.run(&own.install(&policy(22).numbered(1, &live), 1));
    let live = config.listing();
    let own = Own::read(&live).expect("one");
    assert_eq!((own.settled(), own.is_whole(), own.next()), (Some(1), true, 2));
    let before = config.rows.clone();
    config.run(&own.arm(&policy(80).numbered(2, &live), 2, second(1000), false));
    assert_eq!(holding(&config), ["afo 2 r80"]);
    let live = config.listing();
    let armed = Own::read(&live).expect("two");
    let window = armed.window().expect("a window");
    assert_eq!((armed.settled(), window.generation, window.until, armed.is_whole()), (Some(1), 2, second(1000), true));
    let mut back = config.clone();
    back.run(&armed.take_back(None));
    assert_eq!(back.rows, before, "as if it had never been");
    config.run(&armed.confirm());
    assert_eq!(holding(&config), ["afo 2 r80"]);
    let live = config.listing();
    let own = Own::read(&live).expect("one");
    assert_eq!((own.settled(), own.window(), own.is_whole(), live.own().count()), (Some(2), None, true, 2));
    config.run(&remove(&live));
    assert!(config.rows.is_empty());
}

#[test]
fn what_somebody_changed_inside_the_window_is_put_back_from_the_journal() {
    let mut config = Config::default();
    let live = config.listing();
    config.run(&Own::read(&live).expect("nothing").install(&policy(22).numbered(1, &live), 1));
    let live = config.listing();
    config.run(&Own::read(&live).expect("one").arm(&policy(80).numbered(2, &live), 2, second(1000), false));
    config
        .rows
        .iter_mut()
        .filter(|row| row["description"] == "afo 1 r22")
        .for_each(|row| drop(row.insert("destination_port".to_owned(), "23".to_owned())));
    let live = config.listing();
    config.run(&Own::read(&live).expect("two").take_back(Some(&policy(22).numbered(1, &live))));
    let live = config.listing();
    let own = Own::read(&live).expect("one");
    assert_eq!((own.settled(), own.window(), own.is_whole()), (Some(1), None, true));
    assert_eq!(holding(&config), ["afo 1 r22"]);
    assert!(live.own().any(|entry| entry.get("destination_port") == "22"));
}

#[test]
fn what_was_edited_is_not_whole_and_an_edited_mark_is_refused() {
    let mut config = Config::default();
    let live = config.listing();
    config.run(&Own::read(&live).expect("nothing").install(&policy(22).numbered(1, &live), 1));
    for (field, value) in [("destination_port", "23"), ("enabled", "0"), ("action", "block"), ("tcpflags_any", "0")] {
        let mut edited = config.clone();
        edited
            .rows
            .iter_mut()
            .filter(|row| row["description"] == "afo 1 r22")
            .for_each(|row| drop(row.insert(field.to_owned(), value.to_owned())));
        let live = edited.listing();
        assert!(!Own::read(&live).expect("one").is_whole(), "{field}");
    }
    let marks = |row: &BTreeMap<String, String>| row["description"].starts_with("afo state");
    config
        .rows
        .iter_mut()
        .filter(|row| marks(row))
        .for_each(|row| drop(row.insert("description".to_owned(), "afo state settled=x".to_owned())));
    let live = config.listing();
    assert_eq!(Own::read(&live).expect_err("edited"), "the rule `afo state settled=x` of AFO's was edited");
}

#[test]
fn a_change_that_was_cut_short_is_undone() {
    let mut config = Config::default();
    let live = config.listing();
    config.run(&Own::read(&live).expect("nothing").install(&policy(22).numbered(1, &live), 1));
    let before = config.listing();
    let steps = Own::read(&before).expect("one").arm(&policy(80).numbered(2, &before), 2, second(1000), false);
    for cut in 0..steps.len() {
        let mut cut_short = config.clone();
        cut_short.run(&steps[..cut]);
        let now = cut_short.listing();
        cut_short.run(&undo(&before, &now));
        assert_eq!(cut_short.rows, config.rows, "after {cut} steps");
    }
}
