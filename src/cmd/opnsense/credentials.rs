//! The key and the secret of an API: out of a file for its owner alone, or a systemd credential. They are shown nowhere.

use crate::cli::{Failure, Shell};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of the systemd credential.
const CREDENTIAL: &str = "opnsense";
/// A file of two lines is never longer.
const LONGEST: u64 = 4096;

/// A key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub key: String,
    pub secret: String,
}

/// The place of the credentials: the configured file, else the systemd credential.
fn place(shell: &Shell, configured: &Path) -> Result<(PathBuf, bool), Failure> {
    if !configured.as_os_str().is_empty() {
        return Ok((configured.to_owned(), true));
    }
    let directory = shell.environment.credentials.as_deref();
    let Some(directory) = directory else {
        let hint = "set opnsense.credentials to a file with the lines key= and secret=, or give the service LoadCredential=opnsense:FILE";
        return Err(Failure::undecided("there is no key for the OPNsense firewall").hint(hint));
    };
    Ok((directory.join(CREDENTIAL), false))
}

/// Reads the credentials.
///
/// # Errors
/// When there are none, others may read them, or a line is missing; the words name the file and never what is in it.
pub fn read(shell: &Shell, configured: &Path) -> Result<Credentials, Failure> {
    let (path, by_file) = place(shell, configured)?;
    let shown = path.display();
    let unreadable = |e: std::io::Error| {
        Failure::undecided(format!("{shown}: the key of the OPNsense firewall cannot be read: {e}"))
    };
    let about = std::fs::metadata(&path).map_err(unreadable)?;
    if by_file && about.mode() & 0o077 != 0 {
        let words =
            format!("{shown}: others can read the key of the OPNsense firewall (mode {:o})", about.mode() & 0o777);
        return Err(
            Failure::undecided(words).hint(format!("chmod 600 {shown}; and make a new key if others may have read it"))
        );
    }
    if about.len() > LONGEST {
        return Err(Failure::undecided(format!("{shown}: longer than a key and a secret are")));
    }
    parsed(&std::fs::read_to_string(&path).map_err(unreadable)?).map_err(|missing| {
        Failure::undecided(format!("{shown}: there is no line `{missing}=`"))
            .hint("it is the file that OPNsense hands out with a key: key=… and secret=…, a line each")
    })
}

/// The key and the secret of a text, or which of the two is missing.
fn parsed(text: &str) -> Result<Credentials, &'static str> {
    let value = |name: &'static str| {
        let lines = text.lines().filter_map(|line| line.trim().split_once('='));
        let found =
            lines.map(|(own, value)| (own.trim(), value.trim())).find(|(own, value)| *own == name && !value.is_empty());
        found.map(|(_, value)| value.to_owned()).ok_or(name)
    };
    Ok(Credentials { key: value("key")?, secret: value("secret")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opnsense_hands_out_is_read() {
        let Ok(read) = parsed("key=w86/abc==\r\nsecret=XeD26+def=\r\n") else { panic!("both are there") };
        assert_eq!((read.key.as_str(), read.secret.as_str()), ("w86/abc==", "XeD26+def="));
        assert_eq!(parsed("key=a\n").err(), Some("secret"));
        assert_eq!(parsed("secret=a\nkey=\n").err(), Some("key"));
    }
}
