//! Which documents of firewalls elsewhere can be read, and which one a text is.

use super::document::{Document, program};
use super::{aws, azure, gcp, pfsense};
use crate::backend::Backend;
use serde_json::Value;

/// Every kind.
pub static DOCUMENTS: [&Document; 4] = [&aws::AWS, &azure::AZURE, &gcp::GCP, &pfsense::PFSENSE];

impl Document {
    /// The kind of a backend's name.
    pub fn named(name: &str) -> Option<&'static Self> {
        DOCUMENTS.into_iter().find(|document| document.name() == name)
    }

    /// The kind that a text is, with its JSON; what is none, as commands are, is a text in that.
    pub fn of(text: &str) -> Option<(&'static Self, Value)> {
        let told = |document: &'static Self| (document, Value::String(text.to_owned()));
        if pfsense::is_document(text) {
            return Self::named("pfsense").map(told);
        }
        // A listing of nft is tens of megabytes long and says at its beginning what it is.
        let head: String = text.trim_start().chars().take(200).collect();
        if !head.starts_with(['{', '[']) {
            let program = program(text)?;
            return DOCUMENTS.into_iter().find(|document| document.is_commanded(program)).map(told);
        }
        if head.contains("\"nftables\"") {
            return None;
        }
        let value: Value = serde_json::from_str(text).ok()?;
        DOCUMENTS.into_iter().find(|document| (document.is)(&value)).map(|document| (document, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_told_by_what_it_holds() {
        let kind = |text: &str| Document::of(text).map(|(document, _)| document.name());
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
            ("#!/bin/sh\nset -e\n\n# rules\naws ec2 authorize-security-group-ingress", Some("aws")),
            ("az network nsg rule create", Some("azure")),
            ("  gcloud compute firewall-rules create a", Some("gcp")),
            ("echo aws", None),
            ("*filter", None),
        ] {
            assert_eq!(kind(text), name, "{text}");
        }
        assert!(
            DOCUMENTS.iter().all(|own| Document::named(own.name()).is_some_and(|found| found.name() == own.name()))
        );
    }
}
