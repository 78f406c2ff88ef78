//! Documents are outputs: manual pages and completions come from the code, examples print what they claim.

mod examples;
mod fields;

use crate::shell::commands;
use crate::tree::{files, must_equal, must_hold, read, root};
use afo::cmd::COMMANDS;
use clap_complete::Shell;

/// The manual pages of a command and of its sub-commands, each with its file's name.
fn pages(command: &clap::Command) -> Vec<(String, String)> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let source = format!("afo {}", env!("CARGO_PKG_VERSION"));
    let spoken = command.clone().mut_args(|arg| match (arg.get_help().cloned(), arg.get_long_help()) {
        (Some(help), None) => arg.long_help(help),
        _ => arg,
    });
    let man = clap_mangen::Man::new(spoken.version(env!("CARGO_PKG_VERSION")))
        .title(&name)
        .manual("AFO")
        .source(source)
        .date("");
    let mut roff = Vec::new();
    man.render(&mut roff).expect("written to memory");
    let page = (format!("{name}.1"), String::from_utf8(roff).expect("UTF-8"));
    let below = command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set());
    std::iter::once(page).chain(below.flat_map(pages)).collect()
}

#[test]
fn manual_pages_equal_the_code() {
    let directory = root().join("man");
    let mut names = Vec::new();
    for row in COMMANDS {
        let mut command = (row.clap)();
        command.build();
        for (name, text) in pages(&command) {
            must_equal(&directory.join(&name), &text);
            names.push(name);
        }
    }
    must_hold(&directory, "1", &names);
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

/// The page about all kinds of record.
fn record_page() -> String {
    let mut parts = fields::Parts::new();
    let mut page = include_str!("docs/afo-record.roff").to_owned() + ".SH KINDS\n";
    for kind in afo::record::KINDS {
        let schema = serde_json::to_value(afo::record::schema(kind).expect("a schema")).expect("JSON");
        page.push_str(&fields::section(kind, &schema, &mut parts));
    }
    page + &fields::parts_section(&parts) + include_str!("docs/conflicts.roff")
}

/// The page about the configuration: a section per table.
fn config_page() -> String {
    let schema = serde_json::to_value(afo::cli::config::Config::schema()).expect("JSON");
    let mut parts = fields::Parts::new();
    let mut page = include_str!("docs/afo.toml.roff").to_owned();
    fields::section("", &schema, &mut parts);
    for (table, field) in schema["properties"].as_object().expect("tables") {
        let part = field["$ref"].as_str().and_then(|r| r.rsplit('/').next()).expect("a table is a part");
        let schema = parts.remove(part).expect("a part that is referred to");
        page.push_str(&fields::section(&format!("[{table}]"), &schema, &mut fields::Parts::new()));
    }
    page + &fields::parts_section(&parts) + ".SH SEE ALSO\n.BR afo (7)\n"
}

#[test]
fn pages_of_formats_equal_the_types() {
    must_equal(&root().join("man/afo-record.5"), &record_page());
    must_equal(&root().join("man/afo.toml.5"), &config_page());
}

#[test]
fn every_page_is_sound_roff() {
    let pages = ["1", "5", "7"].iter().flat_map(|section| files(&root().join("man"), section));
    for page in pages {
        let text = read(&page);
        assert!(text.contains(".TH ") && text.contains(".SH NAME"), "{}", page.display());
        let requests = text.lines().filter(|l| l.starts_with('.')).map(|l| l.split(' ').next().expect("a request"));
        for request in requests {
            let known = [
                ".TH", ".SH", ".SS", ".TP", ".PP", ".br", ".B", ".BR", ".RB", ".I", ".IR", ".EX", ".EE", ".RS", ".RE",
                ".ie", ".el", ".nf", ".fi", ".in", ".sp", ".IP", ".\\\"",
            ];
            assert!(known.contains(&request), "{}: request {request}", page.display());
        }
        let (open, close) = (text.matches("\n.EX\n").count(), text.matches("\n.EE\n").count());
        assert_eq!(open, close, "{}: .EX and .EE", page.display());
    }
}
