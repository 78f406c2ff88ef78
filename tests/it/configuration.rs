//! The example configuration and the front door that shows, checks and changes it.

use crate::shell::{Ended, run};
use crate::tree::{read, root};
use afo::cli::config::{Config, parse};

/// The text with every default as a line of its own.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned() + "\n",
        _ => line.to_owned() + "\n",
    };
    text.lines().map(line).collect()
}

#[test]
fn the_example_is_the_defaults_and_has_every_key() {
    let text = read(&root().join("contrib/afo.toml"));
    assert_eq!(parse("contrib/afo.toml", &text), Ok(Config::default()));
    let whole = uncommented(&text);
    assert_eq!(parse("contrib/afo.toml", &whole), Ok(Config::default()));
    let table: toml::Table = whole.parse().expect("TOML");
    for key in Config::keys() {
        let (section, name) = key.split_once('.').expect("a dotted key");
        assert!(table[section].get(name).is_some(), "contrib/afo.toml has no {key}");
    }
}

fn afo(config: &std::path::Path, args: &[&str]) -> Ended {
    run("afo", &[&["--config", config.to_str().expect("UTF-8")], args].concat(), b"")
}

#[test]
fn a_value_is_set_shown_and_checked() {
    let dir = tempfile::tempdir().expect("scratch");
    let file = dir.path().join("afo.toml");
    std::fs::copy(root().join("contrib/afo.toml"), &file).expect("copied");
    let set = afo(&file, &["config", "set", "respond.autonomy", "auto"]);
    assert_eq!((set.text().as_str(), set.err.as_str(), set.code), ("", "", Some(0)));
    assert!(read(&file).contains("# What is done against a threat") && read(&file).contains("autonomy = \"auto\""));
    assert_eq!(afo(&file, &["config", "show", "respond.autonomy"]).text(), "auto\n");
    assert_eq!(afo(&file, &["config", "check"]).code, Some(0));
    let refused = afo(&file, &["config", "set", "respond.cap_per_hour", "5"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("respond.cap_per_minute: 30 is above respond.cap_per_hour, which is 5"),
        "{}",
        refused.err
    );
    let json = afo(&file, &["config", "show", "--json"]);
    assert_eq!(json.records()[0]["respond"]["autonomy"], "auto");
    let shown = afo(&file, &["config", "show"]);
    assert!(parse("shown", &shown.text()).is_ok_and(|c| c.respond.autonomy.as_str() == "auto"), "{}", shown.text());
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_key() {
    let dir = tempfile::tempdir().expect("scratch");
    let file = dir.path().join("afo.toml");
    std::fs::write(&file, "[respond]\n\nautonmy = \"auto\"\n").expect("written");
    let checked = afo(&file, &["config", "check"]);
    assert_eq!(checked.code, Some(1));
    let place = format!("afo: error: {}:3:1: respond.autonmy: there is no such key; allowed here: ", file.display());
    assert!(checked.err.starts_with(&place), "{}", checked.err);
    assert!(checked.err.ends_with("afo: hint: did you mean `autonomy`?\n"), "{}", checked.err);
    assert_eq!(afo(&file, &["config", "show"]).code, Some(2));
    assert_eq!(afo(&file, &["ctx", "--no-ruleset"]).code, Some(2), "a command does not guess past a mistake");
    let doctor = afo(&file, &["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(doctor.text().contains("the configuration is wrong: "), "{}", doctor.text());
}

#[test]
fn the_front_door_runs_the_commands_and_guesses_their_names() {
    let context = run("afo", &["--json", "ctx", "--no-ruleset"], b"");
    assert_eq!((context.records()[0]["kind"].as_str(), context.code), (Some("context"), Some(0)), "{}", context.err);
    let unknown = run("afo", &["cxt"], b"");
    assert_eq!(unknown.code, Some(2));
    assert_eq!(unknown.err, "afo: error: there is no command `cxt`\nafo: hint: did you mean `afo ctx`?\n");
    assert!(run("afo", &["help", "ctx"], b"").text().contains("Usage: afo-ctx"));
    assert!(run("afo", &[], b"").text().contains("Usage: afo"));
    let kinds = run("afo", &["schema", "--list"], b"").text();
    for kind in kinds.lines() {
        let committed = read(&root().join(format!("schemas/{kind}.schema.json")));
        assert_eq!(run("afo", &["schema", kind], b"").text(), committed, "{kind}");
    }
    assert_eq!(run("afo", &["config", "schema"], b"").text(), read(&root().join("schemas/config.schema.json")));
}

#[test]
fn the_form_of_what_is_said_on_stderr_is_the_configurations_unless_a_flag_says_otherwise() {
    let dir = tempfile::tempdir().expect("scratch");
    let file = dir.path().join("afo.toml");
    std::fs::write(&file, "[log]\nformat = \"json\"\n").expect("written");
    let said = |more: &[&str]| {
        let flags = ["--config", file.to_str().expect("UTF-8"), "--ruleset", "/nowhere/rules"];
        run("afo-ctx", &[&flags[..], more].concat(), b"").err
    };
    assert!(
        said(&[]).starts_with("{\"hint\":null,\"level\":\"ERROR\"") || said(&[]).starts_with("{\"level\":\"ERROR\"")
    );
    assert!(said(&["--log-format", "text"]).starts_with("afo-ctx: error: /nowhere/rules: cannot be read: "));
}
