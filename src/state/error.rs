use super::holder::Holder;
use super::row::Step;
use crate::record::{Id, Status};
use std::path::{Path, PathBuf};

/// Why the state could not be read or written. Nothing of the change in hand was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("cannot open the state {}: no such file", .path.display())]
    Missing { path: PathBuf },
    #[error("cannot {verb} the state {}: permission denied", .path.display())]
    Denied { path: PathBuf, verb: &'static str },
    /// The words of the operating system or of SQLite are the cause.
    #[error("cannot open the state {}: {cause}", .path.display())]
    Open { path: PathBuf, cause: String },
    #[error("cannot write the state {}: it was opened for reading, or its file system is read-only", .path.display())]
    ReadOnly { path: PathBuf },
    #[error("cannot write the state {}: no space is left on its file system", .path.display())]
    Full { path: PathBuf },
    #[error("the state {} is locked by {} for more than {seconds} s", .path.display(), holder.as_ref().map_or("another process".to_owned(), Holder::to_string))]
    Locked { path: PathBuf, seconds: u64, holder: Option<Holder> },
    #[error("the state {} has schema {found}, newer than {known}, the newest that this program knows", .path.display())]
    TooNew { path: PathBuf, found: usize, known: usize },
    #[error("the state {} has schema {found}, older than {known}, and is open for reading only", .path.display())]
    TooOld { path: PathBuf, found: usize, known: usize },
    #[error("{} is no state of AFO: {what}", .path.display())]
    Foreign { path: PathBuf, what: &'static str },
    #[error("the state {} is damaged: {cause}", .path.display())]
    Corrupt { path: PathBuf, cause: String },
    #[error("the state {} was deleted or replaced while it was in use", .path.display())]
    Gone { path: PathBuf },
    #[error("deployment {id} cannot go from {from} to {to}")]
    Illegal { id: Id, from: Status, to: Status },
    #[error("deployment {id} is {found}, not {expected}: another process was faster")]
    Changed { id: Id, expected: Status, found: Status },
    #[error("deployment {id} is already {step} by {actor} since {since}")]
    UnderWay { id: Id, step: Step, actor: String, since: String },
    #[error("no {what} {id} in the state")]
    Unknown { what: &'static str, id: String },
    /// What has become of it, in words.
    #[error("proposal {id} {what}")]
    NotWaiting { id: String, what: String },
    #[error("{what} {id} is already recorded with other content")]
    Differs { what: &'static str, id: String },
    #[error("the setting {key} is the audit trail's own and is not set by hand")]
    Reserved { key: String },
    /// What SQLite says and nothing above covers.
    #[error("the state {}: {cause}", .path.display())]
    Failed { path: PathBuf, cause: String },
}

impl StateError {
    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        let elsewhere = "name another file with --state FILE";
        Some(match self {
            Self::Missing { .. } => {
                format!("nothing was recorded there yet: the first afo-watch or afo-deploy makes it; or {elsewhere}")
            }
            Self::Denied { path, .. } => format!(
                "see `ls -l {}`; the system's state belongs to root and the group afo: use sudo or become a member of that group",
                path.display()
            ),
            Self::Open { .. } => format!("check the directory and its permissions, or {elsewhere}"),
            Self::ReadOnly { .. } => format!("nothing was changed; make it writable or {elsewhere}"),
            Self::Full { path } => {
                format!("nothing was changed; free some space (df {}) and try again", parent(path).display())
            }
            Self::Locked { .. } => "nothing was changed; wait for that process or end it, then try again".into(),
            Self::TooNew { .. } => format!("a newer AFO wrote it: use that one, or {elsewhere}"),
            Self::TooOld { .. } => {
                "run `afo-deploy expire` with this program once: it brings the schema up to date".into()
            }
            Self::Foreign { .. } => elsewhere.into(),
            Self::Corrupt { .. } => {
                format!("move it away, keep it for inspection, and put back a copy; or {elsewhere}")
            }
            Self::Gone { .. } => "nothing was changed; run the command again".into(),
            Self::UnderWay { .. } => "run `afo-deploy recover` if that process is dead".into(),
            Self::Changed { .. } | Self::Unknown { .. } => "see `afo-log deployments`".into(),
            Self::NotWaiting { .. } => "see `afo-queue list --all`".into(),
            Self::Illegal { .. } | Self::Differs { .. } | Self::Reserved { .. } | Self::Failed { .. } => return None,
        })
    }

    /// Whether the answer is no (exit status 1) rather than that the state could not be used (exit status 3).
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Illegal { .. }
                | Self::Changed { .. }
                | Self::UnderWay { .. }
                | Self::Unknown { .. }
                | Self::Differs { .. }
                | Self::NotWaiting { .. }
                | Self::Reserved { .. }
        )
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
