use super::{Id, Rule, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A change of the firewall that somebody wants, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    pub id: Id,
    pub ts: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
    #[serde(default)]
    pub origin: Origin,
    /// Whether there are rules or changes to be made; otherwise `error` says why not.
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// To be added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// To what exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Plain English of what the rules do, made from the rules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub explanation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<Assumption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Rendered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Conflicts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk_reasons: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

impl Proposal {
    /// One that proposes nothing yet.
    pub fn empty(id: Id, ts: Timestamp, origin: Origin, generator: Generator) -> Self {
        Self {
            id,
            ts,
            run: None,
            origin,
            ok: false,
            error: None,
            rules: Vec::new(),
            changes: Vec::new(),
            explanation: String::new(),
            generator: Some(generator),
            assumed: Vec::new(),
            rendered: None,
            validation: None,
            conflicts: None,
            effect: None,
            advice: Vec::new(),
            risk: None,
            risk_reasons: Vec::new(),
            approval: None,
        }
    }
}

/// Where a proposal comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    #[serde(default)]
    pub by: By,
    /// The sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The id of the assessment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessment: Option<Id>,
}

/// Who brought a proposal in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    #[default]
    User,
    Daemon,
    Mcp,
    Tui,
    Web,
}

impl By {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Daemon => "daemon",
            Self::Mcp => "mcp",
            Self::Tui => "tui",
            Self::Web => "web",
        }
    }
}

/// Why there is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// A stable word for programs.
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A change to a rule or policy that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub op: ChangeOp,
    /// The id of a rule, an address whose block ends, or a direction for `policy`.
    pub target: String,
    /// What takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// What is done to the target of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeOp {
    Remove,
    Replace,
    Disable,
    Enable,
    Policy,
}

/// What made the rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// `grammar`, `template`, or a model's provider.
    pub provider: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// Something the request did not say and AFO filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assumption {
    pub slot: String,
    pub value: String,
    pub why: String,
}

/// The rules in a backend's language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rendered {
    pub backend: String,
    /// The backend's text.
    pub native: String,
    /// The same as the backend's JSON, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<Placement>,
}

/// Where a rule goes, and why there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    pub rule: Id,
    /// Chain or set.
    pub place: String,
    pub why: String,
}

/// Whether the rules are well formed and the backend takes them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Validation {
    pub valid: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ValidationError>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ValidationError>,
    /// What looked: `structure`, `nft 1.0.6`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checked_by: Vec<String>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ValidationError {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Id>,
    /// The field of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// In the rendered text, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

/// How the proposed rules stand to those that are there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Conflicts {
    pub has_conflicts: bool,
    #[serde(default)]
    pub items: Vec<Conflict>,
}

/// One conflict of one proposed rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    #[serde(rename = "type")]
    pub kind: ConflictType,
    /// The proposed rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Id>,
    /// The rules that it conflicts with, as text with their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    pub explanation: String,
    /// A packet that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// No packet can reach the rule, or its verdict never holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
}

/// The names of conflicts: the first that holds names it (afo-record(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConflictType {
    Unmatchable,
    Contradiction,
    Shadow,
    Redundant,
    Ineffective,
    Generalization,
    Overlap,
    Partial,
    Unknown,
}

impl ConflictType {
    /// The word that stands for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmatchable => "unmatchable",
            Self::Contradiction => "contradiction",
            Self::Shadow => "shadow",
            Self::Redundant => "redundant",
            Self::Ineffective => "ineffective",
            Self::Generalization => "generalization",
            Self::Overlap => "overlap",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        }
    }
}

/// The packets whose fate changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    #[serde(default)]
    pub newly_dropped: Vec<PacketClass>,
    #[serde(default)]
    pub newly_accepted: Vec<PacketClass>,
    /// Of what is newly dropped the packets of connections that are established: those that are open now end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<PacketClass>,
    /// Packets that begin a connection and go elsewhere or come from elsewhere than before: what proposed rules translate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub translated: Vec<PacketClass>,
    /// The connections that are open on this host now and would end; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// Open connections that end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// How many.
    pub count: u64,
    /// The first of them: protocol, who began it, who answers.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// A set of packets in words, with one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PacketClass {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// The rule that decided before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The rule that decides after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How much a change may break: nothing, a timed denial on evidence, or a thing for a person to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    Green,
    Blue,
    Red,
}

/// Whether somebody else agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    pub status: ApprovalStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalStatus {
    Pending,
    Approved,
    Rejected,
    Expired,
}
