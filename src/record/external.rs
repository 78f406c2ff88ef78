use super::{Id, Rule, ValidationError};
use crate::packet::{AddressSpec, Protocol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What AFO asks a backend that is a program of its own: one line on its standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendRequest {
    /// Counts the requests of one process from 1; the reply has the same.
    pub id: u64,
    pub request: Verb,
    /// For `render`: in the order in which they are to stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// For `check` and `apply`: what `render` gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<String>,
    /// For `apply`: kept beside the rules and given back by `list` as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// For `apply`: the revision that `list` told. Of another one nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// For `restore`: what `list` gave; empty where nothing of AFO is to be left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// For `block` and `unblock`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BackendBlock>,
}

impl BackendRequest {
    /// A request without fields; its number comes with the talk.
    pub fn of(request: Verb) -> Self {
        Self {
            id: 0,
            request,
            rules: Vec::new(),
            native: None,
            mark: None,
            revision: None,
            state: None,
            blocks: Vec::new(),
        }
    }
}

/// What a backend is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// What it is and what it can; the first request of a process.
    Capabilities,
    /// Rules in its own language. Changes nothing.
    Render,
    /// Whether it would take a text. Changes nothing.
    Check,
    /// A text in place of all that AFO has there: all of it or nothing.
    Apply,
    /// What AFO has there. Changes nothing.
    List,
    /// What AFO had there when `list` told of it: all of it or nothing.
    Restore,
    /// Blocks that end by themselves: each has its time from now on, there already or not. All of them or none.
    Block,
    /// Ends blocks, there or not. All of them or none.
    Unblock,
}

impl Verb {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capabilities => "capabilities",
            Self::Render => "render",
            Self::Check => "check",
            Self::Apply => "apply",
            Self::List => "list",
            Self::Restore => "restore",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }
}

/// What a backend that is a program of its own answers: one line on its standard output for each request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendReply {
    /// The request's; 0 where that could not be read.
    pub id: u64,
    /// Whether what was asked for was done. Where it was not, nothing was changed.
    pub ok: bool,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// To `capabilities`: the NAME of `afo-backend-NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// To `capabilities`: its own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// To `capabilities`: words of afo-backend(7).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// To `capabilities`: how many seconds each later answer may take, 1 to 600; 30 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// To `render`: the rules in its own language. To `list`: the text that was applied last, empty where AFO has nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<String>,
    /// To `render`: what it cannot have exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Unsayable>,
    /// To `check`: whether it would take the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// To `check`: why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ValidationError>,
    /// To `list`: what AFO has there, for `restore`; the same bytes for the same rules and mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// To `list`: changes with every change of what decides about packets, whoever makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// To `list`: what came with the text that was applied last; absent where AFO has nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// To `list`, of a backend with the capability `timeout`: the blocks that stand, each with what is left of its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BackendBlock>,
    /// To `apply`, with `ok` false: the filter's rules are of another revision.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stale: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A block for a time: of all that comes from a network or address, or of what comes from an address to one port, or of all that goes to a
/// network or address; to and from the host that is protected, and through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendBlock {
    /// This or `destination`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AddressSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<AddressSpec>,
    /// With `port`, of a `source` that is one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What is left of its time; absent where it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// What a backend cannot have exactly: which field of which rule, its value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unsayable {
    pub rule: Id,
    pub field: String,
    #[serde(default)]
    pub value: String,
    pub cause: String,
}

/// One line of the contract, held against a backend that is a program of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendCheck {
    pub backend: String,
    /// The name of the line.
    pub check: String,
    /// What the contract says.
    pub line: String,
    pub ok: bool,
    /// Why it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
