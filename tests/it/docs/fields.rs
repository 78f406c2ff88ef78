//! Pages about fields, written from JSON Schemas: afo-record(5) and afo.toml(5).

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Text as roff takes it literally.
pub fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    let plain = text.split('`').enumerate().map(|(n, part)| match n % 2 {
        0 => part.to_owned(),
        _ => format!("\\fB{part}\\fR"),
    });
    let text = plain.collect::<String>();
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// The parts of schemas, by name, that have fields or words of their own.
pub type Parts = BTreeMap<String, Value>;

/// What a value of this schema is, in words.
fn what(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().expect("a reference has a name");
        return name.strip_prefix("OneOf").map_or(name.to_owned(), |item| format!("list of {item}"));
    }
    let of_any = schema["anyOf"].as_array().and_then(|any| any.iter().find(|s| s["type"] != "null"));
    if let Some(one) = of_any {
        return what(one);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|k| *k != "null").and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match (kind, schema["format"].as_str()) {
        (_, Some("date-time")) => "time".to_owned(),
        (_, Some("ip")) => "address".to_owned(),
        (Some("array"), _) => format!("list of {}", what(&schema["items"])),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("map of {}", what(&schema["additionalProperties"]))
        }
        (Some("object"), _) => "object".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "any JSON".to_owned(),
    }
}

/// The fields of an object: name, what it is, whether it must be there, what it means.
fn fields(schema: &Value) -> String {
    let none = Map::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut page = String::new();
    for (name, field) in schema["properties"].as_object().unwrap_or(&none) {
        if ["kind", "v"].contains(&name.as_str()) && field["const"] != Value::Null {
            continue;
        }
        let must = if required.iter().any(|r| r == name) { ", always there" } else { "" };
        let default = field.get("default").filter(|d| !d.is_object() && **d != Value::Array(vec![]) && !d.is_null());
        let default = default.map(|d| format!(", {d} by default")).unwrap_or_default();
        let _ = writeln!(page, ".TP\n\\fB{}\\fR ({}{must}{})", roff(name), roff(&what(field)), roff(&default));
        let _ = writeln!(page, "{}", roff(&meaning(field)));
    }
    page
}

fn meaning(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or("").replace('\n', " ");
    let range = match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(min), Some(max)) if max <= 31_536_000 && (min, max) != (0, 65535) => format!(" From {min} to {max}."),
        _ => String::new(),
    };
    // A field without words of its own is its name and type.
    format!("{text}{range}").trim().to_owned()
}

/// One section: what it is about, and its fields. The parts that it names are added to `parts`.
pub fn section(name: &str, schema: &Value, parts: &mut Parts) -> String {
    if let Some(definitions) = schema["$defs"].as_object() {
        parts.extend(definitions.iter().filter(|(n, _)| !n.starts_with("OneOf")).map(|(n, d)| (n.clone(), d.clone())));
    }
    format!(".SS {}\n{}\n{}", roff(name), roff(&meaning(schema)), fields(schema))
}

/// The parts: objects with their fields, words with what may stand there.
pub fn parts_section(parts: &Parts) -> String {
    let mut page = ".SH PARTS\n".to_owned();
    for (name, schema) in parts {
        let _ = writeln!(page, ".SS {}\n{}", roff(name), roff(&meaning(schema)));
        if let Some(words) = words(schema) {
            let _ = writeln!(page, ".br\nOne of {}.", roff(&words));
        }
        page.push_str(&fields(schema));
    }
    page
}

/// The words that an enum may be.
fn words(schema: &Value) -> Option<String> {
    let listed = schema["enum"].as_array().cloned();
    let described = || schema["oneOf"].as_array().map(|all| all.iter().flat_map(constants).collect::<Vec<_>>());
    let words = listed.or_else(described)?;
    Some(words.iter().filter_map(Value::as_str).map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "))
}

fn constants(one: &Value) -> Vec<Value> {
    match one["enum"].as_array() {
        Some(listed) => listed.clone(),
        None => vec![one["const"].clone()],
    }
}
