//! Where this host writes what can be watched.

use std::path::Path;

/// The usual places of logs, as sources of afo-watch.
const USUAL: &[(&str, &str)] = &[
    ("auth", "/var/log/auth.log"), // Debian, Ubuntu, Alpine
    ("auth", "/var/log/secure"),   // Fedora, RHEL
    ("fw", "/var/log/kern.log"),   // Debian with rsyslog
    ("fw", "/var/log/ufw.log"),
];

/// The sources that are there now.
pub fn found() -> Vec<String> {
    let there = USUAL.iter().filter(|(_, path)| Path::new(path).is_file());
    there.map(|(kind, path)| format!("{kind}:{path}")).collect()
}

/// Whether systemd's journal is kept here; afo-daemon reads it through journalctl where no log file is.
pub fn has_journal() -> bool {
    ["/run/log/journal", "/var/log/journal"].iter().any(|place| Path::new(place).is_dir())
}

/// The file that a source reads, where it reads one: `auth:/var/log/auth.log`, `filter:sshd:/var/log/auth.log`.
pub fn file_of(source: &str) -> Option<&Path> {
    let place = source.find(":/").map(|at| &source[at + 1..])?;
    (!place.starts_with("//")).then(|| Path::new(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_sources() {
        for (source, file) in [
            ("auth:/var/log/auth.log", Some("/var/log/auth.log")),
            ("filter:sshd[mode=normal]:/var/log/a:b", Some("/var/log/a:b")),
            ("feed:https://example.org/list", None),
            ("netflow:192.0.2.1:2055", None),
            ("journal:", None),
        ] {
            assert_eq!(file_of(source), file.map(Path::new), "{source}");
        }
    }

    #[test]
    fn what_is_found_is_there() {
        assert!(found().iter().all(|source| file_of(source).is_some_and(Path::exists)));
    }
}
