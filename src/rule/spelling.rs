//! The canonical one-line form of a rule: `ID ACTION DIRECTION field=value …`, ASCII, fields in the order of the type.
//!
//! Fields have their names on the wire, nested ones behind a dot. Lists are joined by commas; a value that is more than a
//! word is written as JSON. What is printed parses back to the same rule; what is not understood is refused with its word.

use super::Rule;
use crate::packet::Malformed;
use serde_json::{Map, Value};

const LISTS: &[&str] = &[
    "interface_in",
    "interface_out",
    "source_address",
    "destination_address",
    "protocol",
    "source_port",
    "destination_port",
    "icmp_type",
    "connection_state",
    "tcp_flags.mask",
    "tcp_flags.set",
    "source_mac",
    "vlan",
    "schedule.days",
];
const NUMBERS: &[&str] = &["rate_limit.count", "rate_limit.burst", "ttl_seconds", "priority"];
const WORDS: &[&str] = &[
    "family",
    "mark",
    "rate_limit.per",
    "rate_limit.scope",
    "rate_limit.over",
    "log.prefix",
    "log.level",
    "reject_with",
    "nat.address",
    "nat.port",
    "schedule.from",
    "schedule.to",
    "schedule.zone",
    "position",
    "comment",
];
const SWITCHES: &[&str] = &["strict", "enabled"];
/// Objects that mean something even when empty, and those that are kept as they are.
const OBJECTS: &[&str] = &["tcp_flags", "log", "nat", "schedule", "extra"];

impl Rule {
    /// The rule as its canonical line.
    pub fn to_line(&self) -> String {
        let mut fields = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        for head in ["id", "action", "direction"] {
            fields.shift_remove(head);
        }
        let mut line = format!("{} {} {}", self.id, self.action, self.direction);
        fields.iter().for_each(|(name, value)| write_field(&mut line, name, value));
        line
    }

    /// Reads the canonical line of a rule.
    ///
    /// # Errors
    /// When a word is no field, comes twice, or holds what the field cannot hold; the error names it.
    pub fn from_line(line: &str) -> Result<Self, Malformed> {
        let words = words(line)?;
        let [id, action, direction, fields @ ..] = words.as_slice() else {
            return Err(Malformed::new("a rule's line begins with ID ACTION DIRECTION"));
        };
        let mut object = Map::new();
        for (name, word) in [("id", id), ("action", action), ("direction", direction)] {
            object.insert(name.to_owned(), Value::String((*word).to_owned()));
        }
        for word in fields {
            let (name, text) = word.split_once('=').ok_or_else(|| {
                Malformed(format!("`{}` is not a field of a rule; fields are written name=value", shown(word)))
            })?;
            put(&mut object, name, read_value(name, text)?)?;
        }
        serde_path_to_error::deserialize(Value::Object(object)).map_err(|e| {
            let path = e.path().to_string();
            Malformed(format!("{path}: {}", e.into_inner()))
        })
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

fn write_field(line: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(inner) if name != "extra" && !inner.is_empty() => {
            inner.iter().for_each(|(key, value)| write_field(line, &format!("{name}.{key}"), value));
        }
        Value::Array(items) if items.is_empty() => {
            line.push_str(&format!(" {name}=[]"));
        }
        Value::Array(items) => {
            let plain: Option<Vec<&str>> =
                items.iter().map(|item| item.as_str().filter(|s| is_plain(s, true))).collect();
            let text = plain.map_or_else(|| ascii(value), |items| items.join(","));
            line.push_str(&format!(" {name}={text}"));
        }
        Value::String(text) if is_plain(text, false) => line.push_str(&format!(" {name}={text}")),
        other => line.push_str(&format!(" {name}={}", ascii(other))),
    }
}

/// Whether a text may stand as it is: a word that does not begin like JSON.
fn is_plain(text: &str, in_list: bool) -> bool {
    let inner = text.bytes().all(|b| b.is_ascii_graphic() && !(in_list && b == b','));
    inner && !text.is_empty() && !text.starts_with(['"', '[', '{'])
}

/// JSON in ASCII, so that nothing invisible stands in a line.
fn ascii(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c.is_ascii() && !c.is_ascii_control() {
            true => out.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

/// The words of a line: blanks separate them, except inside a JSON value.
fn words(line: &str) -> Result<Vec<&str>, Malformed> {
    let mut out = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let blank = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let json = rest[..blank].find('=').map(|at| at + 1).filter(|at| rest[*at..].starts_with(['"', '[', '{']));
        let end = match json {
            Some(at) => at + json_length(&rest[at..])?,
            None => blank,
        };
        let (word, after) = rest.split_at(end);
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(Malformed(format!("`{}` goes on behind the end of its value", shown(rest))));
        }
        out.push(word);
        rest = after.trim_start();
    }
    Ok(out)
}

fn json_length(text: &str) -> Result<usize, Malformed> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(_)) => Ok(values.byte_offset()),
        _ => Err(Malformed(format!("`{}` is no complete JSON value", shown(text)))),
    }
}

fn read_value(name: &str, text: &str) -> Result<Value, Malformed> {
    let known = LISTS.contains(&name) || NUMBERS.contains(&name) || WORDS.contains(&name) || OBJECTS.contains(&name);
    if !known && !SWITCHES.contains(&name) {
        let close = LISTS.iter().chain(NUMBERS).chain(WORDS).chain(OBJECTS).copied().collect::<Vec<_>>().join(", ");
        return Err(Malformed(format!("`{}` is not a field of a rule; {close}, strict and enabled are", shown(name))));
    }
    let number = NUMBERS.contains(&name) || SWITCHES.contains(&name);
    if number || text.starts_with(['"', '[', '{']) {
        return serde_json::from_str(text).map_err(|_| Malformed(format!("{name}: `{}` is not a value", shown(text))));
    }
    match LISTS.contains(&name) {
        true => Ok(text.split(',').map(|item| Value::String(item.to_owned())).collect()),
        false => Ok(Value::String(text.to_owned())),
    }
}

fn put(object: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Malformed> {
    let twice = || Malformed(format!("`{name}` is there twice"));
    let Some((outer, inner)) = name.split_once('.') else {
        return object.insert(name.to_owned(), value).map_or(Ok(()), |_| Err(twice()));
    };
    let nested = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    let nested = nested.as_object_mut().ok_or_else(twice)?;
    nested.insert(inner.to_owned(), value).map_or(Ok(()), |_| Err(twice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_read_as_what_they_are() {
        let rule: Rule = serde_json::from_value(json!({
            "id": "r1", "action": "drop", "direction": "input", "source_address": ["!192.0.2.0/24", "2001:db8::1"],
            "protocol": ["tcp"], "destination_port": ["22", "8000-8100"], "log": {}, "comment": "o\u{202e} \"k\"",
            "rate_limit": {"count": 6, "per": "minute"}, "strict": true, "ttl_seconds": 60, "enabled": false, "extra": {"a b": [1, "x y"]}
        }))
        .expect("rule");
        let line = rule.to_line();
        assert_eq!(
            line,
            r#"r1 drop input source_address=!192.0.2.0/24,2001:db8::1 protocol=tcp destination_port=22,8000-8100 rate_limit.count=6 rate_limit.per=minute rate_limit.scope=total rate_limit.over=drop log={} strict=true ttl_seconds=60 comment="o\u202e \"k\"" enabled=false extra={"a b":[1,"x y"]}"#
        );
        assert_eq!(Rule::from_line(&line), Ok(rule));
    }

    #[test]
    fn each_refusal_names_its_word() {
        for (line, words) in [
            ("", "a rule's line begins with ID ACTION DIRECTION"),
            ("r1 drop input tcp", "`tcp` is not a field of a rule; fields are written name=value"),
            ("r1 drop input protocol=tcp protocol=udp", "`protocol` is there twice"),
            (
                "r1 drop input protocol=tpc",
                "protocol: `tpc` is not a protocol; a name such as tcp or a number up to 255 is",
            ),
            ("r1 drop input ttl_seconds=soon", "ttl_seconds: `soon` is not a value"),
            ("r1 drop input comment=\"open", "`\\\"open` is no complete JSON value"),
            ("r1 drop input log={}x", "`log={}x` goes on behind the end of its value"),
            (
                "r1 allow input",
                "action: unknown variant `allow`, expected one of `accept`, `drop`, `reject`, `log`, `dnat`, `snat`, `masquerade`, `redirect`",
            ),
        ] {
            assert_eq!(Rule::from_line(line).expect_err(line).to_string(), words);
        }
        assert!(
            Rule::from_line("r1 drop input port=22")
                .expect_err("unknown")
                .to_string()
                .starts_with("`port` is not a field of a rule; interface_in, ")
        );
    }
}
