use super::{Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
}

/// Asked instead of proposing: two meanings differ, or something is not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    pub id: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Id>,
    pub text: String,
    #[serde(default)]
    pub options: Vec<Choosable>,
    /// The sentence that is asked about.
    pub request: String,
}

/// One possible answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choosable {
    pub id: Id,
    pub text: String,
    /// A packet that this answer treats otherwise than the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// A person's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The question's id.
    pub question: Id,
    /// The chosen option's id.
    pub option: Id,
}
