//! Changing one value of a file while its comments, order and other keys stay.

use super::read::{ConfigError, cause_of, parse};
use super::{Config, Name};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, Value};

/// What a file held and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    pub before: String,
    pub after: String,
}

/// Sets `key` of `file` to `value` (a word, a number or a TOML value) and replaces the file in one step. The result is
/// checked first; a file that does not exist is made.
///
/// # Errors
/// When the key is none, the result is no configuration, or the file cannot be read or written. Then nothing was changed.
pub fn edit(file: &Path, key: &str, value: &str) -> Result<Edited, ConfigError> {
    let name = file.display().to_string();
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(ConfigError::Unreadable { file: name, cause: cause_of(&e) }),
    };
    parse(&name, &before)?;
    let after = with_value(&name, &before, key, value)?;
    if after != before {
        replace(file, &after).map_err(|e| ConfigError::Unwritable { file: name, cause: cause_of(&e) })?;
    }
    Ok(Edited { before, after })
}

/// The text with `key` set. A value that is refused as TOML is taken as a word: `auto` is `"auto"`.
fn with_value(file: &str, text: &str, key: &str, value: &str) -> Result<String, ConfigError> {
    let typed: Option<Value> = value.trim().parse().ok();
    let word = Value::from(value);
    let first = typed.unwrap_or_else(|| word.clone());
    let attempt = |value: Value| set(text, key, value).map_err(|cause| wrong_key(file, key, cause));
    let done = attempt(first)?;
    match parse("", &done) {
        Ok(_) => Ok(done),
        // A word that reads as another type (`true`, `1`) where text is asked for.
        Err(first) => {
            let quoted = attempt(word)?;
            parse("", &quoted).map(|_| quoted).map_err(|_| refused(first))
        }
    }
}

fn wrong_key(file: &str, key: &str, cause: String) -> ConfigError {
    ConfigError::Wrong { file: file.to_owned(), line: 1, column: 1, key: key.to_owned(), cause, hint: None }
}

/// The refusal of a value that was typed, which has no place in the file.
fn refused(error: ConfigError) -> ConfigError {
    match error {
        ConfigError::Wrong { key, cause, hint, .. } => ConfigError::Value { key, cause, hint },
        other => other,
    }
}

/// Puts a value at a dotted key, making the tables on the way.
fn set(text: &str, key: &str, value: Value) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.message().to_owned())?;
    let (section, last) = split(key)?;
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for part in section {
        let below = table.entry(&part).or_insert_with(|| Item::Table(implicit()));
        table = below.as_table_like_mut().ok_or_else(|| format!("`{part}` is no section in the file"))?;
    }
    match table.get_mut(&last) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        _ => drop(table.insert(&last, Item::Value(value))),
    }
    Ok(document.to_string())
}

fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// The sections of a dotted key and its last part; a name under `names` may hold dots.
fn split(key: &str) -> Result<(Vec<String>, String), String> {
    let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
    let parts: Vec<&str> = key.splitn(3, '.').collect();
    match parts.as_slice() {
        ["names", kind, name] => {
            let name: Name = name.parse().map_err(|e: crate::packet::Malformed| e.to_string())?;
            Ok((owned(&["names", kind]), name.to_string()))
        }
        [section, last] => Ok((owned(&[section]), (*last).to_owned())),
        _ => Err(format!("there is no such key; keys are {}", Config::keys().join(", "))),
    }
}

/// Writes beside the file, syncs and renames, so that no moment sees half a file; permissions are kept.
///
/// # Errors
/// When the file, or its directory, cannot be written.
pub fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).map_or(PathBuf::from("."), Path::to_path_buf);
    fs::create_dir_all(&parent)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent.join(format!(".{name}.{}.new", std::process::id()));
    let mode = fs::metadata(&target).map_or(0o644, |meta| meta.permissions().mode());
    let written = write_synced(&beside, text, mode).and_then(|()| fs::rename(&beside, &target));
    if written.is_err() {
        // What is left beside the file is of no use; that it cannot be removed changes nothing of the answer.
        let _ = fs::remove_file(&beside);
    }
    written?;
    fs::File::open(&parent)?.sync_all()
}

fn write_synced(file: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# mine\n[respond] # how far\nautonomy = \"alert\" # for now\n\n[names.zones]\nlan = [\"eth1\"]\n";

    #[test]
    fn comments_and_other_keys_stay() {
        let out = with_value("f", FILE, "respond.autonomy", "auto").expect("set");
        assert_eq!(out, FILE.replace("\"alert\"", "\"auto\""));
        let out = with_value("f", FILE, "respond.never_block", "[\"192.0.2.0/24\"]").expect("list");
        assert!(out.contains("# for now\nnever_block = [\"192.0.2.0/24\"]\n"), "{out}");
        let out = with_value("f", FILE, "names.hosts.db server", "[\"192.0.2.1\"]").expect("name");
        assert!(out.contains("[names.hosts]\n\"db server\" = [\"192.0.2.1\"]"), "{out}");
        assert_eq!(
            with_value("f", "", "deploy.confirm_seconds", "60").expect("new"),
            "[deploy]\nconfirm_seconds = 60\n"
        );
        assert_eq!(with_value("f", "", "state.path", "7").expect("word"), "[state]\npath = \"7\"\n");
    }

    #[test]
    fn what_is_wrong_is_refused_and_named() {
        let said = |key, value| with_value("f", FILE, key, value).expect_err(key).to_string();
        assert_eq!(
            said("respond.autonomy", "full"),
            "respond.autonomy: `full` is not allowed; one of alert, propose, auto is"
        );
        assert_eq!(said("deploy.confirm_seconds", "0"), "deploy.confirm_seconds: 0 is not between 1 and 31536000");
        assert!(said("respond.autonomi", "auto").starts_with("respond.autonomi: there is no such key; allowed here: "));
        assert!(said("autonomy", "auto").contains("there is no such key; keys are assess.detections, "));
        assert!(said("respond.autonomy.x", "1").contains("there is no such key"));
    }

    #[test]
    fn the_file_is_replaced_in_one_step_or_not_at_all() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("sub/afo.toml");
        edit(&file, "log.level", "debug").expect("made");
        assert_eq!(fs::read_to_string(&file).expect("file"), "[log]\nlevel = \"debug\"\n");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("mode");
        edit(&file, "log.level", "loud").expect_err("refused");
        let edited = edit(&file, "log.level", "info").expect("changed");
        assert_eq!(edited.after, fs::read_to_string(&file).expect("file"));
        assert_eq!(fs::metadata(&file).expect("meta").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("sub")).expect("list").count(), 1);
    }
}
