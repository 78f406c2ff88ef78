//! Where things lie: the source tree and the built commands.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of Cargo.toml.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The built command `name`: beside the tests' own directory.
pub fn bin(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this program");
    tests.ancestors().nth(2).expect("target/PROFILE/deps/it-HASH").join(name)
}

/// All files below `directory`, sorted.
pub fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|e| panic!("{}: {e}", next.display())) {
            let path = entry.expect("directory entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// All files below `directory` with this extension, sorted.
pub fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    walk(directory).into_iter().filter(|path| path.extension().is_some_and(|x| x == extension)).collect()
}

/// Reads a file of the tree as text.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Holds a committed file to what it must contain; `UPDATE=1` writes it instead.
pub fn must_equal(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE").is_some_and(|v| v == "1") {
        fs::create_dir_all(path.parent().expect("a directory")).expect("its directory");
        return fs::write(path, wanted).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count()));
    assert!(
        found == wanted,
        "{} is not what the code says, first in line {}:\n  file: {:?}\n  code: {:?}\nUPDATE=1 cargo test --test it rewrites it",
        path.display(),
        line + 1,
        found.lines().nth(line),
        wanted.lines().nth(line),
    );
}

/// Holds a directory to the files that belong there, by name.
pub fn must_hold(directory: &Path, extension: &str, wanted: &[String]) {
    let found = files(directory, extension).iter().map(|p| name(p)).collect::<Vec<_>>();
    let mut wanted = wanted.to_vec();
    wanted.sort();
    assert_eq!(found, wanted, "{}", directory.display());
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}
