use super::{Id, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that people must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    pub level: Severity,
    pub message: String,
    /// The id of the assessment that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessment: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
}

/// What a stage could not process, so that nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorRecord {
    /// The command that says so.
    pub stage: String,
    /// The number of the input line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line itself; bytes that are no UTF-8 as `\xNN`, cut at 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
}
