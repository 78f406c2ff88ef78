//! Which documents of firewalls elsewhere can be read, and which one a text is.

use super::document::ReadError;
use super::{aws, azure, gcp, pfsense};
use crate::rule::ruleset::Ruleset;
use serde_json::Value;

/// A kind of document in which a firewall elsewhere keeps its rules.
#[derive(Debug)]
pub struct Document {
    /// The name of its backend.
    pub name: &'static str,
    is: fn(&Value) -> bool,
    read: fn(&str) -> Result<Ruleset, ReadError>,
}

/// Every kind.
pub static DOCUMENTS: [Document; 4] = [
    Document { name: "aws", is: aws::is_document, read: aws::read },
    Document { name: "azure", is: azure::is_document, read: azure::read },
    Document { name: "gcp", is: gcp::is_document, read: gcp::read },
    Document { name: "pfsense", is: |value| value.as_str().is_some_and(pfsense::is_document), read: pfsense::read },
];

impl Document {
    /// The kind of a backend's name.
    pub fn named(name: &str) -> Option<&'static Self> {
        DOCUMENTS.iter().find(|document| document.name == name)
    }

    /// The kind that a text is, with its JSON; what is none is a text in that.
    pub fn of(text: &str) -> Option<(&'static Self, Value)> {
        if pfsense::is_document(text) {
            return Self::named("pfsense").map(|document| (document, Value::String(text.to_owned())));
        }
        // A listing of nft is tens of megabytes long and says at its beginning what it is.
        let head: String = text.trim_start().chars().take(200).collect();
        if !head.starts_with(['{', '[']) || head.contains("\"nftables\"") {
            return None;
        }
        let value: Value = serde_json::from_str(text).ok()?;
        DOCUMENTS.iter().find(|document| (document.is)(&value)).map(|document| (document, value))
    }

    /// As [`read`](Self::read) for what [`of`](Self::of) gave.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_value(&self, value: &Value) -> Result<Ruleset, ReadError> {
        value.as_str().map_or_else(|| self.read(&value.to_string()), |text| self.read(text))
    }

    /// Reads a document of this kind.
    ///
    /// # Errors
    /// When it is none, with the place of what is wrong.
    pub fn read(&self, text: &str) -> Result<Ruleset, ReadError> {
        (self.read)(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_told_by_what_it_holds() {
        let kind = |text: &str| Document::of(text).map(|(document, _)| document.name);
        for (text, name) in [
            (r#"{"SecurityGroups":[]}"#, Some("aws")),
            (r#"{"name":"n","securityRules":[]}"#, Some("azure")),
            (r#"[{"name":"n","properties":{"defaultSecurityRules":[]}}]"#, Some("azure")),
            (r#"[{"kind":"compute#firewall","direction":"INGRESS"}]"#, Some("gcp")),
            (r#"{"kind":"compute#firewallList"}"#, Some("gcp")),
            (r#"{"nftables":[]}"#, None),
            (r#"{"a":1}"#, None),
            ("[]", None),
            ("<?xml version=\"1.0\"?>\n<pfsense><filter/></pfsense>", Some("pfsense")),
            ("<opnsense/>", None),
            ("*filter", None),
        ] {
            assert_eq!(kind(text), name, "{text}");
        }
        assert!(DOCUMENTS.iter().all(|own| Document::named(own.name).is_some_and(|found| found.name == own.name)));
    }
}
