//! Where rules of iptables lead packets and what they let them come from, in the form in which nft lists it.
//!
//! A translation with an option that nft's plain one has not is nothing here; its name and that option are told.

use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// A translation by the name of its target and its options.
///
/// # Errors
/// Its name, with what of it AFO's rules do not say.
pub(super) fn translation(target: &str, options: &[(String, String)]) -> Result<Value, String> {
    let unsaid = |what: &str| format!("{target} --{what}");
    let (statement, to) = match target {
        "DNAT" => ("dnat", "to-destination"),
        "SNAT" => ("snat", "to-source"),
        "REDIRECT" => ("redirect", "to-ports"),
        _ => ("masquerade", "to-ports"),
    };
    if let Some((name, _)) = options.iter().find(|(name, _)| name != to) {
        return Err(unsaid(name));
    }
    let fields = match options {
        [] => Some(Map::new()),
        [(_, ports)] if to == "to-ports" => port(ports).map(|port| Map::from_iter([("port".to_owned(), port)])),
        [(_, place)] => landing(place),
        // Of several places the kernel of today takes none but the first.
        _ => None,
    };
    let fields = fields.ok_or_else(|| unsaid(to))?;
    let body = if fields.is_empty() { Value::Null } else { Value::Object(fields) };
    Ok(json!({ statement: body }))
}

/// `192.0.2.1`, `192.0.2.1-192.0.2.9:8080-8089`, `[2001:db8::1]:80`, `:80`.
fn landing(text: &str) -> Option<Map<String, Value>> {
    let (host, ports) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        None => match text.rsplit_once(':') {
            Some((host, ports)) if !host.contains(':') => (host, Some(ports)),
            _ => (text, None),
        },
    };
    let mut fields = Map::new();
    if !host.is_empty() {
        fields.insert("addr".to_owned(), address(host)?);
    }
    if let Some(ports) = ports {
        fields.insert("port".to_owned(), port(ports)?);
    }
    Some(fields)
}

fn address(text: &str) -> Option<Value> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let of = |text: &str| text.parse::<IpAddr>().ok();
    let (first, last) = (of(first)?, of(last)?);
    (first.is_ipv4() == last.is_ipv4()).then(|| span(json!(first), json!(last)))
}

/// One port or a range; a range that is moved as a whole (`8080-8089/80`) is none.
fn port(text: &str) -> Option<Value> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let of = |text: &str| text.parse::<u16>().ok();
    Some(span(json!(of(first)?), json!(of(last)?)))
}

fn span(first: Value, last: Value) -> Value {
    if first == last { first } else { json!({ "range": [first, last] }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(target: &str, options: &[(&str, &str)]) -> Result<String, String> {
        let options: Vec<_> = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        translation(target, &options).map(|value| value.to_string())
    }

    #[test]
    fn one_place_is_said() {
        for (target, options, words) in [
            ("MASQUERADE", vec![], r#"{"masquerade":null}"#),
            ("MASQUERADE", vec![("to-ports", "1024-2047")], r#"{"masquerade":{"port":{"range":[1024,2047]}}}"#),
            ("REDIRECT", vec![("to-ports", "3128")], r#"{"redirect":{"port":3128}}"#),
            ("DNAT", vec![("to-destination", "10.0.0.5:80")], r#"{"dnat":{"addr":"10.0.0.5","port":80}}"#),
            ("DNAT", vec![("to-destination", ":80")], r#"{"dnat":{"port":80}}"#),
            ("DNAT", vec![("to-destination", "[2001:db8::5]:80")], r#"{"dnat":{"addr":"2001:db8::5","port":80}}"#),
            ("DNAT", vec![("to-destination", "2001:db8::5")], r#"{"dnat":{"addr":"2001:db8::5"}}"#),
            (
                "SNAT",
                vec![("to-source", "192.0.2.1-192.0.2.9")],
                r#"{"snat":{"addr":{"range":["192.0.2.1","192.0.2.9"]}}}"#,
            ),
        ] {
            assert_eq!(said(target, &options).as_deref(), Ok(words));
        }
    }

    #[test]
    fn what_is_more_than_one_place_is_told() {
        for (target, options, words) in [
            ("MASQUERADE", vec![("random", "")], "MASQUERADE --random"),
            ("DNAT", vec![("to-destination", "10.0.0.5"), ("persistent", "")], "DNAT --persistent"),
            ("DNAT", vec![("to-destination", "10.0.0.5"), ("to-destination", "10.0.0.6")], "DNAT --to-destination"),
            ("DNAT", vec![("to-destination", "10.0.0.5:80-89/80")], "DNAT --to-destination"),
            ("DNAT", vec![("to-destination", "10.0.0.5-2001:db8::5")], "DNAT --to-destination"),
            ("REDIRECT", vec![("to-ports", "http")], "REDIRECT --to-ports"),
        ] {
            assert_eq!(said(target, &options).as_ref().map_err(String::as_str), Err(words));
        }
    }

    proptest! {
            #[test]
            fn no_text_makes_it_panic(text in "\\PC{0,40}", near in "[0-9a-f:.\\[\\]/-]{0,30}") {
                for to in [text, near] {
                    for (target, name) in [("DNAT", "to-destination"), ("SNAT", "to-source"), ("REDIRECT", "to-ports")] {
    let told = said(target, &[(name, &to)]).unwrap_or_else(|why| why);
                        let unsaid = format!("{target} --{name}");
                    prop_assert!(told == unsaid || told.contains(&target.to_lowercase()));
                    }
                }
            }
        }
}
