//! What the API answers to a request that changes something, and to one that lists the members of an alias.

use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The answers that say that it was done; to a deletion also that there was nothing to delete.
const DONE: [&str; 8] = ["saved", "deleted", "not found", "enabled", "disabled", "ok", "done", "not_found"];

/// Looks whether a request was done.
///
/// # Errors
/// Why not, in the words of the reply.
pub fn accepted(path: &str, reply: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(reply).map_err(|e| format!("the reply is not JSON: {e}"))?;
    if let Some(told) = value.get("validations").and_then(Value::as_object).filter(|told| !told.is_empty()) {
        let words: Vec<String> =
            told.iter().map(|(field, why)| format!("{field}: {}", why.as_str().unwrap_or("not valid"))).collect();
        return Err(format!("it is refused: {}", words.join("; ")));
    }
    let said = ["result", "status"].into_iter().find_map(|name| value.get(name)?.as_str());
    let said = said.map(|word| word.trim().to_lowercase()).unwrap_or_default();
    let gone = said.starts_with("not") && !path.contains("/del_") && !path.contains("/delete/");
    let switched = path.rsplit_once('/').map(|(head, on)| (head.contains("toggle_"), on));
    let other_way = matches!(switched, Some((true, "1")) if said == "disabled")
        || matches!(switched, Some((true, "0")) if said == "enabled");
    match DONE.contains(&said.as_str()) && !gone && !other_way {
        true => Ok(()),
        false if said.is_empty() => Err("the reply does not say whether it was done".to_owned()),
        false => Err(format!("it was not done: {said}")),
    }
}

/// How many rows are asked for at once. Some versions take -1 for all of them, others leave the last one out then.
const PAGE: usize = 5000;
/// A list of more pages than this is none that people keep.
const PAGES: usize = 400;

/// The reply that holds all rows of a list, asked for page by page; one that is no list is left to its reader.
///
/// # Errors
/// As `ask`.
pub fn all_of<E>(path: &str, mut ask: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let (mut rows, mut total) = (Vec::new(), 0);
    for page in 1..=PAGES {
        let between = if path.ends_with('?') { "" } else { "&" };
        let reply = ask(&format!("{path}{between}current={page}&rowCount={PAGE}"))?;
        let value: Value = serde_json::from_str(&reply).unwrap_or_default();
        let Some(more) = value.get("rows").and_then(Value::as_array) else { return Ok(reply) };
        rows.extend(more.iter().cloned());
        total = value.get("total").and_then(Value::as_u64).unwrap_or(rows.len() as u64);
        if more.is_empty() || rows.len() as u64 >= total {
            break;
        }
    }
    Ok(json!({ "rows": rows, "total": total }).to_string())
}

/// The members of an alias.
///
/// # Errors
/// When the reply is no list of addresses, or not the whole of it.
pub fn members(reply: &str) -> Result<BTreeSet<IpNet>, String> {
    let value: Value = serde_json::from_str(reply).map_err(|e| format!("the reply is not JSON: {e}"))?;
    let rows = value.get("rows").unwrap_or(&value).as_array().ok_or("the reply is no list")?;
    if value.get("total").and_then(Value::as_u64).is_some_and(|total| total > rows.len() as u64) {
        return Err("the rest of the list is missing".to_owned());
    }
    let net = |row: &Value| {
        let text = row.get("ip").unwrap_or(row).as_str()?;
        text.parse::<IpNet>().ok().map(|net| net.trunc()).or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    rows.iter().map(|row| net(row).ok_or_else(|| format!("{row} is no address"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies_of_the_controllers() {
        let done = [
            ("firewall/filter/add_rule", r#"{"result":"saved","uuid":"u"}"#),
            ("firewall/filter/del_rule/u", r#"{"result":"deleted"}"#),
            ("firewall/filter/del_rule/u", r#"{"result":"not found"}"#),
            ("firewall/filter/toggle_rule/u/0", r#"{"result":"Disabled","changed":true}"#),
            ("firewall/filter/apply", r#"{"status":"OK\n\n"}"#),
            ("firewall/alias_util/add/afo_from", r#"{"status":"done"}"#),
        ];
        for (path, reply) in done {
            assert_eq!(accepted(path, reply), Ok(()), "{path} {reply}");
        }
        let not = [
            (
                "firewall/filter/add_rule",
                r#"{"result":"failed","validations":{"rule.source_net":"not an address"}}"#,
                "it is refused: rule.source_net: not an address",
            ),
            ("firewall/filter/set_rule/u", r#"{"result":"not found"}"#, "it was not done: not found"),
            ("firewall/filter/toggle_rule/u/0", r#"{"result":"Enabled"}"#, "it was not done: enabled"),
            ("firewall/filter/apply", r#"{"status":"Execute error"}"#, "it was not done: execute error"),
            ("firewall/alias_util/add/x", r#"{"status":"failed"}"#, "it was not done: failed"),
            ("firewall/filter/add_rule", "[]", "the reply does not say whether it was done"),
        ];
        for (path, reply, words) in not {
            assert_eq!(accepted(path, reply), Err(words.to_owned()), "{path} {reply}");
        }
        assert!(accepted("x", "{").expect_err("half").starts_with("the reply is not JSON: "));
    }

    #[test]
    fn a_list_is_asked_for_page_by_page() {
        let mut asked = Vec::new();
        let whole = all_of("a/b?x=1", |page| {
            asked.push(page.to_owned());
            let rows = if asked.len() < 3 { r#"["192.0.2.1"]"# } else { "[]" };
            Ok::<_, ()>(format!(r#"{{"rows":{rows},"total":3}}"#))
        });
        assert_eq!(asked, [1, 2, 3].map(|n| format!("a/b?x=1&current={n}&rowCount=5000")));
        assert_eq!(members(&whole.expect("a reply")), Err("the rest of the list is missing".to_owned()));
        assert_eq!(all_of("a?", |_| Ok::<_, ()>("<html>".to_owned())), Ok("<html>".to_owned()));
        assert_eq!(all_of("a?", |_| Err::<String, _>(7)), Err(7));
    }

    #[test]
    fn members_of_old_and_new_versions() {
        let new = r#"{"total":2,"rowCount":-1,"rows":[{"ip":"203.0.113.9"},{"ip":"2001:db8::/64"}]}"#;
        assert_eq!(members(new).expect("two").len(), 2);
        assert_eq!(members(r#"["203.0.113.9"]"#).expect("one").len(), 1);
        assert_eq!(members(r#"{"total":3,"rows":[]}"#), Err("the rest of the list is missing".to_owned()));
        assert_eq!(members(r#"{"rows":[{"ip":"x"}]}"#), Err(r#"{"ip":"x"} is no address"#.to_owned()));
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic(text in "\\{?\"?(result|status|rows|validations)?\\PC{0,30}") {
            let _ = (accepted("firewall/filter/toggle_rule/u/1", &text), members(&text));
        }
    }
}
