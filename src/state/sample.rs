//! What the tests of this module work on.

use super::{Access, Actor, DeploymentRow, State};
use crate::record::{Id, Origin, Proposal, Timestamp};

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
}

pub fn id(text: &str) -> Id {
    text.parse().expect("an id")
}

pub fn anna() -> Actor {
    Actor::user("anna", 1000)
}

pub fn proposal(name: &str) -> Proposal {
    let json = serde_json::json!({ "id": name, "ts": at(0), "ok": true, "run": "run-1", "explanation": "drops ssh" });
    let proposal: Proposal = serde_json::from_value(json).expect("a proposal");
    Proposal { origin: Origin { request: Some("block ssh".into()), ..Origin::default() }, ..proposal }
}

/// A state on disk, and the directory that it ends with.
pub fn on_disk() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(&dir.path().join("state.db"), Access::Write).expect("a new state");
    (dir, state)
}

/// A state in memory that holds the pending deployment `d1` of the proposal `p1`.
pub fn with_deployment() -> State {
    let mut state = State::memory().expect("memory");
    let change = state.begin(at(0), &anna()).expect("begin");
    change.proposal(&proposal("p1")).expect("proposal");
    let mut row = DeploymentRow::new(id("d1"), "nftables", at(0), &anna());
    row.proposals = vec![id("p1")];
    row.window_seconds = Some(30);
    row.generation_new = Some(1);
    change.deployment(&row).expect("deployment");
    change.commit().expect("commit");
    state
}
