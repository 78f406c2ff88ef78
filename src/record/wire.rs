//! Reading and writing one line.

use super::Record;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The version of the wire that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Why a line is no record that can be worked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The line does not begin like a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// JSON that ends early or breaks its grammar; the words are the parser's.
    #[error("broken JSON: {0}")]
    Broken(String),
    #[error("the record has no `kind`")]
    NoKind,
    /// A later version: what its fields mean is not known.
    #[error("version {0} of the {1} record is newer than {VERSION}, the newest that this program reads")]
    TooNew(u32, String),
    /// A field holds what it cannot hold: where it is, and why.
    #[error("{path}: {cause}")]
    Field { path: String, cause: String },
}

/// What a line says of itself before the rest of it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek<'a> {
    pub kind: Cow<'a, str>,
    /// Nothing where `v` is no version number.
    pub version: Option<u32>,
    pub run: Option<Cow<'a, str>>,
}

/// A value of which only a text or a whole number is of interest; all else is read over, whatever it is.
#[derive(Default)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    #[default]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ScalarVisitor(PhantomData))
    }
}

struct ScalarVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for ScalarVisitor<'a> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Number(number))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Other)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Other)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Other)
    }
    fn visit_unit<E>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar<'a>, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Scalar::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'a>, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Scalar::Other)
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    kind: Scalar<'a>,
    #[serde(borrow)]
    v: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    run: Scalar<'a>,
}

/// Reads `kind`, `v` and `run` of a line and checks that the whole of it is JSON.
///
/// # Errors
/// When the line is no JSON object or has no `kind` that is a text.
pub fn peek(line: &str) -> Result<Peek<'_>, Unreadable> {
    if !line.trim_start().starts_with('{') {
        return Err(Unreadable::NotAnObject);
    }
    let head: Head = serde_json::from_str(line).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => Unreadable::Field { path: "record".into(), cause: e.to_string() },
        _ => Unreadable::Broken(e.to_string()),
    })?;
    let Scalar::Text(kind) = head.kind else {
        return Err(Unreadable::NoKind);
    };
    let version = match head.v {
        None => Some(VERSION),
        Some(Scalar::Number(number)) => u32::try_from(number).ok(),
        Some(_) => None,
    };
    let run = match head.run {
        Scalar::Text(run) => Some(run),
        _ => None,
    };
    Ok(Peek { kind, version, run })
}

impl Peek<'_> {
    /// Whether the record is of a version that is read here.
    ///
    /// # Errors
    /// When it is a later one, or `v` is no number.
    pub fn check_version(&self) -> Result<(), Unreadable> {
        match self.version {
            Some(version) if version <= VERSION => Ok(()),
            Some(version) => Err(Unreadable::TooNew(version, self.kind.clone().into_owned())),
            None => Err(Unreadable::Field { path: "v".into(), cause: format!("not a version number; {VERSION} is") }),
        }
    }
}

/// Reads a record of one kind. A field that is `null` is read as absent.
///
/// # Errors
/// When the line is no JSON, of a later version, or a field holds what it cannot hold; the error names the field.
pub fn parse<R: Record>(line: &str) -> Result<R, Unreadable> {
    peek(line)?.check_version()?;
    if memchr::memmem::find(line.as_bytes(), b"null").is_some() {
        let mut value: Value = serde_json::from_str(line).map_err(|e| Unreadable::Broken(e.to_string()))?;
        drop_nulls(&mut value);
        return serde_path_to_error::deserialize(value).map_err(field);
    }
    serde_json::from_str(line).or_else(|_| {
        let mut reader = serde_json::Deserializer::from_str(line);
        serde_path_to_error::deserialize(&mut reader).map_err(field)
    })
}

fn field(error: serde_path_to_error::Error<serde_json::Error>) -> Unreadable {
    let path = match error.path().to_string() {
        path if path == "." => "record".to_owned(),
        path => path,
    };
    let words = error.into_inner().to_string();
    let cause = words.rsplit_once(" at line ").map_or(words.as_str(), |(cause, _)| cause).to_owned();
    Unreadable::Field { path, cause }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Writes a record as one line without its newline: `kind` and `v` first, then the fields in the order of the type.
pub fn to_line<R: Record>(record: &R) -> String {
    let body = serde_json::to_string(record).expect("a record has string keys and no non-finite number");
    let comma = if body == "{}" { "" } else { "," };
    format!(r#"{{"kind":"{}","v":{VERSION}{comma}{}"#, R::KIND, &body[1..])
}

/// Sets fields of a record that was read, keeping all others and their order; a `null` value takes the field out.
///
/// # Errors
/// When the line is no JSON object.
pub fn enrich(line: &str, fields: &[(&str, Value)]) -> Result<String, Unreadable> {
    let mut map: Map<String, Value> = serde_json::from_str(line).map_err(|e| Unreadable::Broken(e.to_string()))?;
    for (name, value) in fields {
        match value {
            Value::Null => drop(map.shift_remove(*name)),
            _ => drop(map.insert((*name).to_owned(), value.clone())),
        }
    }
    Ok(Value::Object(map).to_string())
}

/// The schema of a type with `kind` and `v` added.
pub(super) fn schema_of<R: Record>() -> schemars::Schema {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<R>();
    let object = schema.ensure_object();
    object.insert("title".into(), json!(R::KIND));
    let mut properties = Map::new();
    properties.insert("kind".into(), json!({ "const": R::KIND }));
    properties.insert("v".into(), json!({ "const": VERSION, "description": "version of the wire; 1 when absent" }));
    if let Some(Value::Object(own)) = object.remove("properties") {
        properties.extend(own);
    }
    object.insert("properties".into(), Value::Object(properties));
    let mut required = vec![json!("kind")];
    if let Some(Value::Array(own)) = object.remove("required") {
        required.extend(own);
    }
    object.insert("required".into(), Value::Array(required));
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Alert, Event, Request};

    #[test]
    fn null_is_absent() {
        let with: Event = parse(r#"{"kind":"event","v":1,"id":"e1","ts":"2026-01-02T03:04:05Z","source":"x","event_type":"flow","severity":"low","user":null,"attributes":null}"#).expect("event");
        assert_eq!(with.user, None);
        assert!(!to_line(&with).contains("null"));
    }

    #[test]
    fn errors_name_the_field() {
        let cause = |line: &str| parse::<Event>(line).expect_err(line).to_string();
        assert_eq!(
            cause(r#"{"kind":"event","v":2}"#),
            "version 2 of the event record is newer than 1, the newest that this program reads"
        );
        assert_eq!(cause(r#"{"kind":"event","id":7}"#), "id: invalid type: integer `7`, expected a string");
        assert_eq!(peek("hello").expect_err("text"), Unreadable::NotAnObject);
        assert_eq!(peek(r#"{"a":1}"#).expect_err("no kind"), Unreadable::NoKind);
        assert_eq!(peek(r#"{"kind":7}"#).expect_err("kind"), Unreadable::NoKind);
        assert_eq!(cause(r#"{"kind":"event","v":"1"}"#), "v: not a version number; 1 is");
        let odd = peek(r#"{"run":[1],"v":{"a":-1},"kind":"x"}"#).expect("others' records are theirs");
        assert_eq!((odd.version, odd.run), (None, None));
        assert!(matches!(peek(r#"{"kind":"event""#), Err(Unreadable::Broken(_))));
        assert!(matches!(peek(&"{\"a\":".repeat(9999)), Err(Unreadable::Broken(_))));
    }

    #[test]
    fn enrich_keeps_what_it_does_not_know() {
        let line = r#"{"z":1,"kind":"proposal","a":{"b":[1e2]},"ok":false}"#;
        let out = enrich(line, &[("ok", json!(true)), ("new", json!([]))]).expect("object");
        assert_eq!(out, r#"{"z":1,"kind":"proposal","a":{"b":[100.0]},"ok":true,"new":[]}"#);
    }

    #[test]
    fn kind_and_version_come_first() {
        let request = Request { text: "block ssh".into(), run: None };
        assert_eq!(to_line(&request), r#"{"kind":"request","v":1,"text":"block ssh"}"#);
        let alert: Alert = parse(r#"{"kind":"alert","level":"high","message":"m"}"#).expect("alert");
        assert!(to_line(&alert).starts_with(r#"{"kind":"alert","v":1,"#));
    }
}
