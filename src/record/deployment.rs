use super::{Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change of the firewall and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    pub id: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
    /// Ids.
    #[serde(default)]
    pub proposals: Vec<Id>,
    pub backend: String,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Timestamp>,
    /// When it is taken back unless it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_by: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    /// Where the text to be put back is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heartbeat: Vec<HeartbeatCheck>,
    /// Ids; found in the kernel by their comment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Id>,
    /// Addresses put into the block sets, with what became of them where it is not plain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Applied,
    Confirmed,
    RolledBack,
    Failed,
    Refused,
}

impl Status {
    /// The word that stands for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// Whether a deployment may go from this status to `next`: pending → applied → confirmed | rolled_back | failed. Blocks for a time are
    /// confirmed without a window. What is confirmed or has failed may still be put back; what was put back or refused is over.
    pub fn may_become(self, next: Self) -> bool {
        use Status::{Applied, Confirmed, Failed, Pending, Refused, RolledBack};
        matches!(
            (self, next),
            (Pending, Applied | Confirmed | RolledBack | Failed | Refused)
                | (Applied, Confirmed | RolledBack | Failed)
                | (Confirmed | Failed, RolledBack)
        )
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One check that must hold through the changed path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatCheck {
    pub check: String,
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
