//! Programs of third parties: where they are, and whether it is safe to run them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where programs of the administrator are, behind the search path.
const PLACES: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// The directories of a search path, each once. One that is not absolute leads anywhere and is left out.
fn directories(path: &OsStr) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in std::env::split_paths(path).chain(PLACES.map(PathBuf::from)) {
        if directory.is_absolute() && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The first program of this file name in a search path.
pub fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    directories(path).into_iter().map(|directory| directory.join(name)).find(|file| is_executable(file))
}

/// Every program whose file name begins so, by the rest of the name, in the order of the names; of two of one name the first.
pub fn all(prefix: &str, path: &OsStr) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for entry in directories(path).iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
        if is_executable(&entry.path()) && !found.iter().any(|(known, _)| known == rest) {
            found.push((rest.to_owned(), entry.path()));
        }
    }
    found.sort_unstable();
    found
}

/// Whether nobody but root and the own user can put another program in the place of this one.
///
/// # Errors
/// What of it others can change, in words.
pub fn is_safe(program: &Path) -> Result<(), String> {
    let real = fs::canonicalize(program).map_err(|e| format!("{} cannot be looked at: {e}", program.display()))?;
    let own = rustix::process::geteuid().as_raw();
    for (depth, place) in real.ancestors().enumerate() {
        let found = fs::metadata(place).map_err(|e| format!("{} cannot be looked at: {e}", place.display()))?;
        let (mode, owner) = (found.mode(), found.uid());
        // In a directory with the sticky bit only the owner of a file can replace it.
        let sticky = depth > 0 && mode & 0o1000 != 0;
        match () {
            () if owner != 0 && owner != own => {
                return Err(format!("{} belongs to the user {owner}, who could change what is run", place.display()));
            }
            () if mode & 0o022 != 0 && !sticky => {
                let mode = mode & 0o7777;
                return Err(format!("{} can be written by others (mode {mode:04o})", place.display()));
            }
            () => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(directory: &Path, name: &str, mode: u32) -> PathBuf {
        let file = directory.join(name);
        fs::write(&file, "#!/bin/sh\n").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        file
    }

    #[test]
    fn the_first_of_a_name_is_found() {
        let (one, two) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
        let path = std::env::join_paths([Path::new("relative"), one.path(), two.path()]).expect("a path");
        put(one.path(), "afo-test-a", 0o644);
        let second = put(two.path(), "afo-test-a", 0o755);
        assert_eq!(find("afo-test-a", &path), Some(second.clone()), "the first is none that can be run");
        let first = put(one.path(), "afo-test-b", 0o755);
        put(two.path(), "afo-test-b", 0o755);
        assert_eq!(all("afo-test-", &path), [("a".to_owned(), second), ("b".to_owned(), first)]);
        assert_eq!(find("afo-test-c", &path), None);
    }

    #[test]
    fn what_others_can_write_is_not_safe() {
        let directory = tempfile::tempdir().expect("a directory");
        let safe = put(directory.path(), "safe", 0o755);
        assert_eq!(is_safe(&safe), Ok(()));
        let open = put(directory.path(), "open", 0o757);
        assert_eq!(is_safe(&open), Err(format!("{} can be written by others (mode 0757)", open.display())));
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
        let words = is_safe(&safe).expect_err("its directory");
        assert_eq!(words, format!("{} can be written by others (mode 0777)", directory.path().display()));
        assert!(is_safe(Path::new("/no/such")).is_err());
    }
}
