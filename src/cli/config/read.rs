//! Reading configuration files: which, in what order, and what is said of a mistake.
//!
//! Every file is checked by itself, so that a mistake is named with its file and line; then the later file's keys replace
//! the earlier's, key by key (lists as a whole, the entries of `names` one by one).

use super::{Config, Respond};
use crate::cli::nearest;
use serde_path_to_error::{Path as KeyPath, Segment};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Where configuration files are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// The file that was asked for: it must be there and no other is read.
    pub explicit: Option<PathBuf>,
    /// Files that are read where they are there, the later over the earlier.
    pub usual: Vec<PathBuf>,
}

/// A configuration and the files it was made from, in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    pub config: Config,
    pub files: Vec<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}: the configuration cannot be read: {cause}")]
    Unreadable { file: String, cause: String },
    #[error("{file}:{line}:{column}: {cause}")]
    Syntax { file: String, line: usize, column: usize, cause: String },
    #[error("{file}:{line}:{column}: {key}: {cause}")]
    Wrong { file: String, line: usize, column: usize, key: String, cause: String, hint: Option<String> },
    /// A value that was typed and is in no file.
    #[error("{key}: {cause}")]
    Value { key: String, cause: String, hint: Option<String> },
    #[error("{file}: the configuration cannot be written: {cause}")]
    Unwritable { file: String, cause: String },
}

impl ConfigError {
    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Wrong { hint, .. } | Self::Value { hint, .. } => hint.clone(),
            Self::Unreadable { .. } | Self::Unwritable { .. } => None,
            Self::Syntax { .. } => Some("`afo config show` prints the whole configuration in its right form".into()),
        }
    }
}

impl Places {
    /// Reads the configuration: the file that was asked for, else the usual ones where they are there.
    ///
    /// # Errors
    /// When a file cannot be read or holds what a configuration cannot hold; the error names file, line and key.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut merged = Table::new();
        let mut files = Vec::new();
        for (file, text) in self.texts()? {
            let name = file.display().to_string();
            read_one(&name, &text)?;
            let table: Table = text.parse().map_err(|e| describe(&name, &text, None, &e))?;
            overlay(&mut merged, table);
            files.push(file);
        }
        let whole = toml::to_string(&merged).expect("a table that was read can be written");
        let together: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        Ok(Loaded { config: parse(&together.join(" and "), &whole)?, files })
    }

    fn texts(&self) -> Result<Vec<(PathBuf, String)>, ConfigError> {
        if let Some(file) = &self.explicit {
            return Ok(vec![(file.clone(), read(file)?)]);
        }
        let there = self.usual.iter().filter(|file| !is_absent(file));
        there.map(|file| Ok((file.clone(), read(file)?))).collect()
    }
}

fn is_absent(file: &Path) -> bool {
    matches!(fs::metadata(file), Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let name = || file.display().to_string();
    let bytes = fs::read(file).map_err(|e| ConfigError::Unreadable { file: name(), cause: cause_of(&e) })?;
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let (line, column) = position(e.as_bytes(), valid);
        ConfigError::Syntax { file: name(), line, column, cause: "this byte is not UTF-8".into() }
    })
}

/// The words of an I/O error without Rust's number.
pub(super) fn cause_of(error: &std::io::Error) -> String {
    let words = error.to_string().to_lowercase();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// Reads the text of one file that is called `file` in errors.
///
/// # Errors
/// When the text holds what a configuration cannot hold; the error names file, line and key.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    let config = with_preset(read_one(file, text)?, text);
    agree(&config).map_err(|(key, cause)| ConfigError::Wrong {
        file: file.to_owned(),
        line: line_of(text, key),
        column: 1,
        key: key.to_owned(),
        cause,
        hint: None,
    })?;
    Ok(config)
}

/// Reads each value by itself: what it says of others may be in another file.
fn read_one(file: &str, text: &str) -> Result<Config, ConfigError> {
    let reader = toml::Deserializer::parse(text).map_err(|e| describe(file, text, None, &e))?;
    serde_path_to_error::deserialize(reader).map_err(|e| {
        let path = e.path().clone();
        describe(file, text, Some(&path), e.inner())
    })
}

/// The same with what its preset stands for in place of the defaults, where it names one.
fn with_preset(config: Config, text: &str) -> Config {
    let preset = Respond::of(config.respond.preset);
    if preset == Respond::default() {
        return config;
    }
    let mut whole =
        Table::try_from(Config { respond: preset, ..Config::default() }).expect("a configuration is a table");
    overlay(&mut whole, text.parse().expect("it was read before"));
    Value::Table(whole).try_into().expect("each value was read before")
}

/// Checks what one value says of another.
fn agree(config: &Config) -> Result<(), (&'static str, String)> {
    let respond = &config.respond;
    if respond.cap_per_minute > respond.cap_per_hour {
        let (minute, hour) = (respond.cap_per_minute, respond.cap_per_hour);
        return Err(("respond.cap_per_minute", format!("{minute} is above respond.cap_per_hour, which is {hour}")));
    }
    Ok(())
}

/// The line that sets the last part of a dotted key, or the first line.
fn line_of(text: &str, key: &str) -> usize {
    let last = key.rsplit('.').next().unwrap_or(key);
    text.lines().position(|line| line.trim_start().starts_with(last)).map_or(1, |at| at + 1)
}

/// Line and column, from 1, of a byte's place.
fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let begin = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    (line, String::from_utf8_lossy(&before[begin..]).chars().count() + 1)
}

/// Where the value at `path` begins: the reader names the place of a list, not that of its element.
fn place_of(text: &str, path: &KeyPath) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut begin = None;
    let mut here: &DeValue<'_> = &DeValue::Table(root.into_inner());
    for segment in path.iter() {
        let next = match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => here.as_table().and_then(|t| t.get(key.as_str())),
            Segment::Seq { index } => here.as_array().and_then(|list| list.get(*index)),
            Segment::Unknown => None,
        };
        let Some(next) = next else { break };
        begin = Some(next.span().start);
        here = next.get_ref();
    }
    begin
}

fn describe(file: &str, text: &str, path: Option<&KeyPath>, error: &toml::de::Error) -> ConfigError {
    let begin = error.span().map_or(0, |span| span.start);
    let file = file.to_owned();
    let cause = error.message().replace('\n', "; ");
    let unknown = Unknown::read(&cause);
    let deeper = path.filter(|_| unknown.as_ref().is_none_or(|u| !u.is_key)).and_then(|path| place_of(text, path));
    let (line, column) = position(text.as_bytes(), begin.max(deeper.unwrap_or(0)));
    let Some(path) = path.map(ToString::to_string).filter(|path| path != "." || unknown.is_some()) else {
        return ConfigError::Syntax { file, line, column, cause };
    };
    let Some(unknown) = unknown else {
        return ConfigError::Wrong { file, line, column, key: path, cause, hint: None };
    };
    ConfigError::Wrong {
        file,
        line,
        column,
        key: unknown.key(&path),
        cause: unknown.cause(),
        hint: unknown.nearest().map(|near| format!("did you mean `{near}`?")),
    }
}

/// An unknown key or word, out of serde's words ("unknown field `a`, expected one of `b`, `c`").
struct Unknown<'a> {
    is_key: bool,
    found: &'a str,
    allowed: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    fn read(words: &'a str) -> Option<Self> {
        let is_key = words.starts_with("unknown field `");
        if !is_key && !words.starts_with("unknown variant `") {
            return None;
        }
        let (found, expected) = words.split_once('`')?.1.rsplit_once("`, expected ")?;
        Some(Self { is_key, found, allowed: expected.split('`').skip(1).step_by(2).collect() })
    }

    fn key(&self, path: &str) -> String {
        let section = path.trim_end_matches(self.found).trim_end_matches(['.', '?']);
        match (self.is_key, section) {
            (false, _) => path.trim_end_matches(['.', '?']).to_owned(),
            (true, "") => self.found.to_owned(),
            (true, section) => format!("{section}.{}", self.found),
        }
    }

    fn cause(&self) -> String {
        let allowed = self.allowed.join(", ");
        match (self.is_key, self.allowed.len()) {
            (true, _) => format!("there is no such key; allowed here: {allowed}"),
            (false, 1) => format!("`{}` is not allowed; only {allowed} is", self.found),
            (false, _) => format!("`{}` is not allowed; one of {allowed} is", self.found),
        }
    }

    fn nearest(&self) -> Option<&'a str> {
        nearest(self.found, self.allowed.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> (String, Option<String>) {
        let error = parse("/etc/afo/afo.toml", text).expect_err(text);
        (error.to_string(), error.hint())
    }

    #[test]
    fn a_mistake_is_named_with_line_key_and_what_is_allowed() {
        let cases = [
            (
                "[respond]\nautonomi = \"auto\"",
                "2:1: respond.autonomi: there is no such key; allowed here: preset, autonomy, never_block, cap_per_minute, cap_per_hour, cap_share_ppm, learn_hours, pause_seconds, max_prefix_v4, max_prefix_v6, ttl_growth, queue_seconds, approval_seconds, ttl_max_seconds",
                Some("did you mean `autonomy`?"),
            ),
            (
                "[respnd]\n",
                "1:2: respnd: there is no such key; allowed here: names, watch, assess, respond, deploy, opnsense, management, state, log",
                Some("did you mean `respond`?"),
            ),
            (
                "[respond]\nautonomy = \"autos\"",
                "2:12: respond.autonomy: `autos` is not allowed; one of alert, propose, auto is",
                Some("did you mean `auto`?"),
            ),
            (
                "[deploy]\nbackend = \"ipfw\"",
                "2:11: deploy.backend: `ipfw` is not allowed; one of nftables, iptables, opnsense is",
                None,
            ),
            ("[respond]\ncap_per_hour = 0", "2:16: respond.cap_per_hour: 0 is not between 1 and 1000000", None),
            (
                "\n[respond]\ncap_per_hour = 5",
                "1:1: respond.cap_per_minute: 30 is above respond.cap_per_hour, which is 5",
                None,
            ),
            (
                "[respond]\nnever_block = [\n \"192.0.2.1\",\n \"192.0.2.9/24\"]",
                "4:2: respond.never_block[1]: 192.0.2.9/24 has host bits set; write 192.0.2.0/24 or 192.0.2.9",
                None,
            ),
            ("[management]\nports = [22, 0]", "2:9: management.ports: port 0 is not between 1 and 65535", None),
            (
                "[names.services]\nledger = [\"5432\"]",
                "2:11: names.services.ledger[0]: `5432` is not a service; `tcp/5432` or `udp/6000-6100` is",
                None,
            ),
            ("[names]\nzones = 7", "2:9: names.zones: invalid type: integer `7`, expected a map", None),
        ];
        for (text, expected, hint) in cases {
            let (said, next) = words(text);
            assert_eq!(said, format!("/etc/afo/afo.toml:{expected}"), "{text}");
            assert_eq!(next.as_deref(), hint, "{text}");
        }
    }

    #[test]
    fn a_check_that_is_not_known_is_told_with_the_nearest() {
        let (said, hint) = words("[deploy]\nheartbeat = [{ pingg = \"192.0.2.1\" }]");
        let allowed =
            "there is no such key; allowed here: tcp, ping, http, status, from, port, command, timeout, count";
        assert!(said.ends_with(&format!("deploy.heartbeat[0].pingg: {allowed}")), "{said}");
        assert_eq!(hint.as_deref(), Some("did you mean `ping`?"));
        assert!(words("[deploy]\nheartbeat = [{ tcp = \"example\" }]").0.contains("socket address"));
    }

    #[test]
    fn broken_toml_says_where() {
        let (said, hint) = words("[respond]\nautonomy = \n");
        assert!(said.starts_with("/etc/afo/afo.toml:2:"), "{said}");
        assert!(hint.is_some());
    }

    #[test]
    fn the_later_file_wins_key_by_key() {
        let dir = tempfile::tempdir().expect("directory");
        let (first, second) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&first, "[respond]\ncap_per_hour = 50\nautonomy = \"auto\"\n[names.zones]\nlan = [\"eth1\"]")
            .expect("a");
        fs::write(&second, "[respond]\ncap_per_hour = 60\n[names.zones]\nguest = [\"eth2\"]").expect("b");
        let usual = vec![first.clone(), dir.path().join("absent"), second.clone()];
        let loaded = Places { explicit: None, usual: usual.clone() }.load().expect("both");
        assert_eq!(loaded.files, [first, second.clone()]);
        assert_eq!((loaded.config.respond.cap_per_hour, loaded.config.names.zones.len()), (60, 2));
        assert_eq!(loaded.config.respond.autonomy, super::super::Autonomy::Auto);
        let alone = Places { explicit: Some(second), usual }.load().expect("one");
        assert_eq!(alone.config.names.zones.len(), 1);
        assert_eq!(Places::default().load().expect("none"), Loaded::default());
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there_and_be_text() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("afo.toml");
        let load = || Places { explicit: Some(file.clone()), usual: vec![] }.load().expect_err("refused").to_string();
        let name = file.display();
        assert_eq!(load(), format!("{name}: the configuration cannot be read: no such file or directory"));
        fs::write(&file, b"[log]\n#\xff").expect("bytes");
        assert_eq!(load(), format!("{name}:2:2: this byte is not UTF-8"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\[(names|respond|deploy)(\\.zones)?\\]\n)?([a-z_.]{1,9} ?= ?[\\[\\]{}0-9\"a-z,]{0,12}\n){0,4}\\PC{0,20}") {
            if let Ok(config) = parse("x", &text) {
                prop_assert_eq!(parse("x", &config.to_toml()), Ok(config));
            }
        }
    }
}
