use super::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something wrong with a rule of a whole ruleset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    #[serde(rename = "type")]
    pub kind: FindingType,
    /// No packet can reach the rule.
    #[serde(default)]
    pub dead: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Place>,
    /// The rules that take its packets: a minimal cover.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    pub explanation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    pub severity: Severity,
    /// Whether the rule can be removed together with all others of the audit that say so, and no packet has another fate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub together: bool,
    /// How many rules of the chain this is said of; the rule is the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// The packets that still reach the rule, where they are few classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// The name of what is wrong (Al-Shaer and Hamed 2003, and what they do not cover).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FindingType {
    Shadow,
    Redundant,
    Contradiction,
    Unmatchable,
    Partial,
    Generalization,
    Correlation,
    Ineffective,
    Invariant,
    Unknown,
}

/// Where a rule stands, and its text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    pub backend: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Counts the chain's rules from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A packet that can be replayed: what becomes of it, and what was meant to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Witness {
    pub packet: String,
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}
