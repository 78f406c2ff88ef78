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

/// All files below `directory` with this extension, sorted.
pub fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|e| panic!("{}: {e}", next.display())) {
            let path = entry.expect("directory entry").path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|x| x == extension) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// Reads a file of the tree as text.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
