//! The words on the wire: one JSON object per line, each with `kind` and `v`.
//!
//! These types are the source of truth; `schemas/` is generated from them. Within a version fields are only ever added, and
//! all additions are optional. Absent and `null` mean the same. What enriches a record keeps the fields that it does not know.

mod answer;
mod assessment;
mod context;
mod deployment;
mod event;
mod external;
mod finding;
mod id;
mod notice;
mod proposal;
mod question;
mod wire;

pub use answer::{Answer, FateClass, Outcome, Station};
pub use assessment::{Assessment, Response, ResponseAction, Window};
pub use context::{Backend, Context, Host, Interface, InterfaceState, Listener, LiveRuleset, Route, Session};
pub use deployment::{Deployment, HeartbeatCheck, Status};
pub use event::{Event, Severity};
pub use external::{BackendBlock, BackendCheck, BackendReply, BackendRequest, Unsayable, Verb};
pub use finding::{Finding, FindingType, Place, Witness};
pub use id::{content_id, time_id};
pub use notice::{Alert, ErrorRecord};
pub use proposal::{
    Approval, ApprovalStatus, Assumption, By, Change, ChangeOp, Conflict, ConflictType, Conflicts, Effect, Ending,
    Generator, Origin, PacketClass, Placement, Proposal, Refusal, Rendered, Risk, Validation, ValidationError,
};
pub use question::{Choice, Choosable, Question, Request};
pub use wire::{Peek, Unreadable, VERSION, enrich, parse, peek, to_line};

pub use crate::rule::{Id, Rule};
pub use jiff::Timestamp;

/// A record: what `kind` says it is, and how it is read and written.
pub trait Record: serde::Serialize + serde::de::DeserializeOwned + schemars::JsonSchema {
    /// The value of `kind` on the wire.
    const KIND: &'static str;
}

/// Names every kind once: the trait, the list of kinds and the schemas follow from it.
macro_rules! records {
    ($($type:ty = $kind:literal),+ $(,)?) => {
        $(impl Record for $type { const KIND: &'static str = $kind; })+

        /// Every kind of record, in alphabetical order.
        pub const KINDS: &[&str] = &[$($kind),+];

        /// The JSON Schema (draft 2020-12) of records of `kind`, or nothing where there is no such kind.
        pub fn schema(kind: &str) -> Option<schemars::Schema> {
            match kind {
                $($kind => Some(wire::schema_of::<$type>()),)+
                _ => None,
            }
        }
    };
}

records! {
    Alert = "alert",
    Answer = "answer",
    Assessment = "assessment",
    BackendCheck = "backend_check",
    BackendReply = "backend_reply",
    BackendRequest = "backend_request",
    Choice = "choice",
    Context = "context",
    Deployment = "deployment",
    ErrorRecord = "error",
    Event = "event",
    Finding = "finding",
    Proposal = "proposal",
    Question = "question",
    Request = "request",
}
