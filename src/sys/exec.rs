//! Becoming another program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program called `name` beside this one, where it is there.
pub fn beside(name: &str) -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    Some(here.parent()?.join(name)).filter(|path| path.is_file())
}

/// Replaces this program by `program`, which is looked for in PATH when it is a plain name. Returns only to say why it could not.
pub fn become_program(program: &Path, arguments: &[OsString]) -> io::Error {
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told() {
        let error = become_program(Path::new("afo-no-such-program"), &[]);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(beside("afo-no-such-program"), None);
    }
}
