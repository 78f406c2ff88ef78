use super::{Id, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a question about the firewall gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
    /// The packet that was asked about: `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet: Option<String>,
    /// `accept`, `drop` or `reject`; `equal` or `different`; `unknown` where what was not read decides, or the search was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The rule or policy that decides about the packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Place>,
    /// The packet's way, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Station>,
    /// What may become of the packet, where it alone does not decide that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
    /// Packets that are answered alike, the largest class first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<FateClass>,
}

/// A rule or a chain on the way of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Station {
    /// A chain where it has no `text`.
    pub place: Place,
    /// Whether the rule matches, the chain is entered.
    pub matched: bool,
    /// What it does: `accept`, `drop`, `jump services`, `continue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub does: Option<String>,
    pub why: String,
}

/// What may become of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// `accept`, `drop` or `reject`.
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Place>,
    /// What must hold for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<String>,
}

/// A set of packets in words, with one of them and what becomes of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FateClass {
    pub text: String,
    /// `accept`, `drop`, `reject`, `unknown`, or `part` where some are accepted; between two rulesets `newly_accepted`, `newly_dropped`, `newly_rejected`,
    /// `rejected_instead_of_dropped`, `dropped_instead_of_rejected`, `translated_otherwise` or `unknown`.
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// The rule that decides; of two rulesets that of the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Place>,
    /// The rule that decides in the first of two rulesets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Place>,
}
