//! Documents are outputs: manual pages and completions come from the code, examples print what they claim.

mod examples;

use crate::shell::commands;
use crate::tree::{must_equal, must_hold, read, root};
use afo::cmd::COMMANDS;
use clap_complete::Shell;

/// The manual page of a command as roff.
fn page(row: &afo::cmd::Row) -> String {
    let source = format!("afo {}", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new((row.clap)().name(row.name)).manual("AFO").source(source).date("");
    let mut roff = Vec::new();
    man.render(&mut roff).expect("written to memory");
    String::from_utf8(roff).expect("UTF-8")
}

#[test]
fn manual_pages_equal_the_code() {
    let directory = root().join("man");
    for row in COMMANDS {
        must_equal(&directory.join(format!("{}.1", row.name)), &page(row));
    }
    must_hold(&directory, "1", &commands().iter().map(|name| format!("{name}.1")).collect::<Vec<_>>());
}

#[test]
fn completions_equal_the_code() {
    let directory = root().join("completions");
    for row in COMMANDS {
        for (shell, file) in [
            (Shell::Bash, format!("{}.bash", row.name)),
            (Shell::Zsh, format!("_{}", row.name)),
            (Shell::Fish, format!("{}.fish", row.name)),
        ] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut (row.clap)(), row.name, &mut text);
            must_equal(&directory.join(file), &String::from_utf8(text).expect("UTF-8"));
        }
    }
    must_hold(&directory, "fish", &commands().iter().map(|name| format!("{name}.fish")).collect::<Vec<_>>());
}

#[test]
fn the_readme_names_every_command() {
    let readme = read(&root().join("README.md"));
    for name in commands() {
        assert!(readme.contains(&format!("`{name}`")), "README.md has no line about `{name}`");
    }
}
