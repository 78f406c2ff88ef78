/// How a command ended, by the number that a shell sees. A later one is worse: of several the worst is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, clean.
    Clean = 0,
    /// Done, and the answer is no: invalid, conflicts, refused, must ask.
    No = 1,
    /// Nothing decided: usage, a bad record, output that could not be written.
    Undecided = 2,
    /// The world refused: no permission, no nft, the kernel; nothing changed.
    Refused = 3,
    /// Changed and put back.
    PutBack = 4,
    /// Changed and not put back, or unknown.
    Unknown = 5,
    /// The reader of the output went away (128 + SIGPIPE).
    ClosedPipe = 141,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
