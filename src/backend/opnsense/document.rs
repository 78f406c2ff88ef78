//! One filter rule as the API takes it, and the mark by which AFO knows its own.

use crate::rule::Id;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A rule of OPNsense: its fields by the names of the API, each as the text that the API stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The rule of AFO's that it is a part of.
    pub rule: Id,
    pub fields: BTreeMap<&'static str, String>,
}

/// The fields that every document has, with what they are where a rule says nothing.
const DEFAULTS: [(&str, &str); 22] = [
    ("action", "pass"),
    ("description", ""),
    ("destination_net", "any"),
    ("destination_not", "0"),
    ("destination_port", ""),
    ("direction", "in"),
    ("enabled", "1"),
    ("icmp6type", ""),
    ("icmptype", ""),
    ("interface", ""),
    ("interfacenot", "0"),
    ("ipprotocol", "inet46"),
    ("log", "0"),
    ("protocol", "any"),
    ("quick", "1"),
    ("sequence", "1"),
    ("source_net", "any"),
    ("source_not", "0"),
    ("source_port", ""),
    ("statetype", "keep"),
    ("tcpflags1", ""),
    ("tcpflags2", ""),
];

/// Whether every TCP packet begins a connection, not only what has SYN and no ACK. Sent where it is on: older versions do not know it.
pub const ANY_FLAGS: &str = "tcpflags_any";

impl Document {
    /// A part of a rule that matches every packet that comes in.
    pub fn new(rule: &Id) -> Self {
        let fields = DEFAULTS.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Self { rule: rule.clone(), fields }
    }

    /// Gives a field a value.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.fields.insert(field, value.into());
        self
    }

    /// The value of a field; empty where it is not sent.
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// How many interfaces it is for: a rule for exactly one stands behind all others (`getPriority`, FilterRuleField.php).
    pub fn interfaces(&self) -> usize {
        self.get("interface").split(',').filter(|name| !name.is_empty()).count()
    }

    /// The body of `add_rule`.
    pub fn body(&self) -> Value {
        json!({ "rule": self.fields })
    }
}

/// What AFO writes into the description of its own: the generation, and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub generation: u64,
    pub rule: Id,
}

impl Tag {
    /// The description.
    pub fn words(&self) -> String {
        format!("afo {} {}", self.generation, self.rule)
    }

    /// The tag in a description, where there is one.
    pub fn read(description: &str) -> Option<Self> {
        let (generation, rule) = description.strip_prefix("afo ")?.split_once(' ')?;
        let tag = Self { generation: generation.parse().ok()?, rule: rule.parse().ok()? };
        (tag.words() == description).then_some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back_and_nothing_else_is_one() {
        let tag = Tag { generation: 7, rule: "r-1".parse().expect("id") };
        assert_eq!(Tag::read(&tag.words()), Some(tag));
        for text in ["", "afo", "afo 7", "afo x r1", "afo 07 r1", "afo 7 r 1", " afo 7 r1", "AFO 7 r1"] {
            assert_eq!(Tag::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn interfaces_are_counted() {
        let document = Document::new(&"r1".parse().expect("id"));
        assert_eq!(document.interfaces(), 0);
        assert_eq!(document.clone().with("interface", "lan").interfaces(), 1);
        assert_eq!(document.with("interface", "lan,opt1").interfaces(), 2);
    }
}
