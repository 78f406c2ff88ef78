use super::{Id, Severity, Timestamp};
use crate::packet::{AddressSpec, PortRange, Protocol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What events together mean (ThreatAssessment).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assessment {
    /// From `ts` and a hash of what was assessed.
    pub id: Id,
    pub ts: Timestamp,
    /// Shared by everything that this attack causes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
    /// `brute_force`, `credential_stuffing`, `port_scan`, `flood`, `known_bad`, `multi_source`, `exfiltration`, …
    pub threat: String,
    pub threat_level: Severity,
    /// 0 to 1.
    pub confidence: f64,
    /// Addresses or networks.
    #[serde(default)]
    pub subjects: Vec<AddressSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Ids of the newest events, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Id>,
    /// Sentences with figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What a response acts on; nothing where none is proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// The response in English, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_prompt: Option<String>,
    /// Whether the evidence is good enough to act without a person.
    #[serde(default)]
    pub auto_actionable: bool,
}

/// The span of event time that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What to do about it: a typed template, never text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Response {
    pub action: ResponseAction,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Empty: all ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
}

/// What a response does to its subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseAction {
    /// Deny the subjects for the time given.
    Block,
    /// Tell people, change nothing.
    Alert,
}
