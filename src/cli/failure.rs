use super::Exit;
use crate::record::Unreadable;

/// Why a command ends: cause, next step and exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
    /// The run of the record that was worked on, where it has one.
    pub run: Option<String>,
}

impl Failure {
    /// Ends with `exit` because of `message`: lower case, without a period.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, run: None }
    }

    /// Nothing was decided (exit 2).
    pub fn undecided(message: impl Into<String>) -> Self {
        Self::new(Exit::Undecided, message)
    }

    /// The world refused, nothing changed (exit 3).
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Adds the next step, best as something to be pasted.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, where something was changed before: an exit that says "nothing changed" would be a lie.
    #[must_use]
    pub fn after_change(self) -> Self {
        match self.exit {
            Exit::No | Exit::Undecided | Exit::Refused => {
                Self { exit: Exit::Unknown, hint: Some("afo-deploy recover".to_owned()), ..self }
            }
            _ => self,
        }
    }

    /// Says of which run it is, unless that is said already.
    #[must_use]
    pub fn of_run(mut self, run: Option<String>) -> Self {
        self.run = self.run.or(run);
        self
    }
}

/// Why a record was not processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The record is bad: it is reported, put out as an `error` record, and the run goes on.
    Bad { message: String, hint: Option<String> },
    /// The run cannot go on.
    Stop(Failure),
}

impl Trouble {
    /// A bad record because of `message`.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Bad { message: message.into(), hint: None }
    }

    /// A bad record because of `message`, and what to do about it.
    pub fn bad_with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Bad { message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Stop(failure)
    }
}

impl From<Unreadable> for Trouble {
    fn from(cause: Unreadable) -> Self {
        Self::bad(cause.to_string())
    }
}
