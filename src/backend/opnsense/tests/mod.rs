//! The whole of it: rules as documents, replies as they come, and windows that open and close.

mod own;
mod reading;
mod writing;

use super::Known;
use crate::rule::Rule;
use std::collections::BTreeMap;

fn rules(rules: &str) -> Vec<Rule> {
    serde_json::from_str(&format!("[{rules}]")).expect(rules)
}

fn rule(fields: &str) -> Rule {
    rules(&format!(r#"{{"id":"r1",{fields}}}"#)).remove(0)
}

fn known() -> Known {
    Known {
        addresses: vec!["192.0.2.1".parse().expect("address")],
        interfaces: BTreeMap::from([("igb1".to_owned(), "lan".to_owned())]),
    }
}
