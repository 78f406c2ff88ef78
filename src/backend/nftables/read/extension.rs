//! Which rules of a listing hold matches or targets of iptables: their meaning is only in what iptables-save prints.

use super::rule_objects;
use crate::rule::ruleset::TableFamily;
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules with an `xt` statement: family, table and handle.
pub fn extensions(listing: &Value) -> BTreeSet<(TableFamily, String, u64)> {
    let mut found = BTreeSet::new();
    for (family, table, _, body) in rule_objects(listing) {
        let statements = body.get("expr").and_then(Value::as_array);
        let extended =
            statements.into_iter().flatten().any(|s| s.as_object().is_some_and(|map| map.contains_key("xt")));
        let handle = body.get("handle").and_then(Value::as_u64);
        found.extend(handle.filter(|_| extended).map(|handle| (family, table.to_owned(), handle)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_with_extensions_are_found() {
        let rule = |handle: u64, statements: Value| serde_json::json!({ "rule": { "family": "ip", "table": "filter", "chain": "INPUT", "handle": handle, "expr": statements } });
        let listing = serde_json::json!({ "nftables": [
            rule(1, serde_json::json!([{ "drop": null }])),
            rule(2, serde_json::json!([{ "xt": { "type": "match", "name": "comment" } }, { "drop": null }])),
            rule(3, serde_json::json!([{ "log": { "prefix": "xt match" } }])),
        ] });
        let found: Vec<_> = extensions(&listing).into_iter().collect();
        assert_eq!(found, [(TableFamily::Ip, "filter".to_owned(), 2)]);
    }
}
