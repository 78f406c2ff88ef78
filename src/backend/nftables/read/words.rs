//! The text of rules as people know it from `nft list ruleset`, made from the JSON; for reading, never for loading.

use super::single;
use serde_json::Value;

/// JSON cut at a length that still fits a line or two.
pub(super) fn clip(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The statements of a rule, in order.
pub(super) fn rule(statements: &[Value]) -> String {
    let words: Vec<_> = statements
        .iter()
        .map(|statement| match single(statement) {
            Some((kind, body)) => self::statement(kind, body),
            None => clip(statement),
        })
        .filter(|text| !text.is_empty())
        .collect();
    words.join(" ")
}

/// One statement.
pub(super) fn statement(kind: &str, body: &Value) -> String {
    let inner = |key: &str| body.get(key).map(expression).unwrap_or_default();
    match (kind, body) {
        ("match", _) => comparison(body),
        ("vmap", _) => format!("{} vmap {}", inner("key"), inner("data")),
        ("mangle", _) => format!("{} set {}", inner("key"), inner("value")),
        ("jump" | "goto", _) => format!("{kind} {}", inner("target")),
        ("counter", _) => "counter".to_owned(),
        ("log", _) => match body.get("prefix") {
            Some(prefix) => format!("log prefix {prefix}"),
            None => "log".to_owned(),
        },
        ("limit", Value::Object(_)) => limit(body),
        ("quota", Value::Object(_)) => format!("quota{} {} {}", over(body), inner("val"), inner("val_unit")),
        ("ct count", _) => format!("ct count{} {}", over(body), inner("val")),
        ("set", Value::Object(_)) => format!("{} {} {{ {} }}", inner("op"), inner("set"), inner("elem")),
        ("reject", Value::Object(_)) => {
            format!("reject with {} {}", inner("type"), inner("expr")).trim_end().to_owned()
        }
        ("dnat" | "snat" | "redirect" | "masquerade", Value::Object(_)) => translation(kind, body),
        ("xt", Value::Object(_)) => format!("xt {} {}", inner("type"), inner("name")),
        (_, Value::Null) => kind.to_owned(),
        (_, Value::String(name)) => format!("{kind} {name}"),
        _ => format!("{kind} {}", clip(body)),
    }
}

fn over(body: &Value) -> &'static str {
    if body.get("inv").and_then(Value::as_bool) == Some(true) { " over" } else { "" }
}

fn limit(body: &Value) -> String {
    let part = |key: &str| body.get(key).map(expression).unwrap_or_default();
    let unit = match part("rate_unit").as_str() {
        "" | "packets" => String::new(),
        unit => format!(" {unit}"),
    };
    format!("limit rate{} {}{unit}/{}", over(body), part("rate"), part("per"))
}

fn translation(kind: &str, body: &Value) -> String {
    let part = |key: &str| body.get(key).map(expression);
    match (part("addr"), part("port")) {
        (None, None) => kind.to_owned(),
        (Some(addr), None) => format!("{kind} to {addr}"),
        (None, Some(port)) => format!("{kind} to :{port}"),
        (Some(addr), Some(port)) => format!("{kind} to {addr}:{port}"),
    }
}

/// `ip saddr != 10.0.0.0/8`.
pub(super) fn comparison(body: &Value) -> String {
    let part = |key: &str| body.get(key).map(expression).unwrap_or_default();
    let op = body.get("op").and_then(Value::as_str).unwrap_or("==");
    let masked = body.get("left").and_then(single).is_some_and(|(kind, _)| kind == "&");
    match op {
        "==" if !masked => format!("{} {}", part("left"), part("right")),
        "in" => format!("{} {}", part("left"), part("right")),
        _ => format!("{} {op} {}", part("left"), part("right")),
    }
}

fn list(values: &[Value], between: &str) -> String {
    let shown: Vec<_> = values.iter().take(12).map(expression).collect();
    let more = if values.len() > 12 { format!("{between}… {} more", values.len() - 12) } else { String::new() };
    format!("{}{more}", shown.join(between))
}

/// An expression.
pub(super) fn expression(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => match values.as_slice() {
            [from, to] if single(to).is_some_and(|(kind, body)| super::line::verdict(kind, body).is_some()) => {
                format!("{} : {}", expression(from), rule(std::slice::from_ref(to)))
            }
            _ => list(values, ","),
        },
        Value::Object(_) => single(value).map_or_else(|| clip(value), |(kind, body)| known(kind, body)),
        _ => value.to_string(),
    }
}

fn known(kind: &str, body: &Value) -> String {
    let part = |key: &str| body.get(key).map(expression).unwrap_or_default();
    let sides = |op: &str| body.as_array().map_or_else(|| clip(body), |both| list(both, op));
    match kind {
        "payload" if body.get("protocol").is_some() => format!("{} {}", part("protocol"), part("field")),
        "payload" => format!("@{},{},{}", part("base"), part("offset"), part("len")),
        "meta" => match part("key").as_str() {
            key @ ("iif" | "oif" | "iifname" | "oifname") => key.to_owned(),
            key => format!("meta {key}"),
        },
        "ct" | "rt" | "socket" => {
            format!("{kind} {} {}", part("dir"), part("key")).replace("  ", " ").trim_end().to_owned()
        }
        "tcp option" | "ip option" | "exthdr" => {
            format!("{kind} {} {}", part("name"), part("field")).trim_end().to_owned()
        }
        "fib" => format!("fib {} {}", part("flags"), part("result")),
        "prefix" => format!("{}/{}", part("addr"), part("len")),
        "range" => sides("-"),
        "concat" => sides(" . "),
        "set" => format!("{{ {} }}", body.as_array().map_or_else(|| expression(body), |all| list(all, ", "))),
        "elem" => part("val"),
        "map" => format!("{} map {}", part("key"), part("data")),
        "&" | "|" | "^" | "<<" | ">>" => sides(&format!(" {kind} ")),
        _ => format!("{kind} {}", clip(body)),
    }
}
