//! What is said of a change before it is made: by the firewall's own rules, and by the ways to it.

use super::server::Server;
use super::{Place, bars, opens, proposal};
use crate::kernel::in_namespace;
use serde_json::{Value, json};

/// What afo-queue shows of a proposal that waits.
fn card(place: &Place, input: &str) -> Value {
    let queued = place.deploy(&["--autonomy", "propose", "--confirm"], input);
    assert!(queued.code.is_some_and(|code| code < 2), "{}", queued.err);
    let shown = place.run("afo-queue", &["show", "--json"], "");
    assert!(shown.code.is_some_and(|code| code < 2), "{}", shown.err);
    shown.of_kind("proposal").pop().unwrap_or_else(|| panic!("{}{}", shown.text(), shown.err))
}

#[test]
fn a_card_tells_what_the_firewall_would_do_otherwise() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let shown = card(&place, &opens(80));
        let accepted = shown["effect"]["newly_accepted"].as_array().cloned().unwrap_or_default();
        assert!(!accepted.is_empty() && shown["effect"]["newly_dropped"] == json!([]), "{shown}");
        let by =
            |class: &Value, field: &str, words: &str| class[field].as_str().is_some_and(|text| text.contains(words));
        assert!(
            accepted.iter().all(|class| by(class, "before", "Default deny") && by(class, "after", "afo: pass")),
            "{shown}"
        );
        // People's own rule lets port 443 in from the inside: that is nothing new.
        assert!(accepted.iter().all(|class| !by(class, "text", "443")), "{shown}");
        assert!(shown.get("conflicts").is_none(), "{shown}");
    });
}

#[test]
fn a_card_of_a_block_names_the_connections_that_end() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let shown = card(&place, &bars("203.0.113.9", 60));
        assert!(shown["effect"]["newly_dropped"].to_string().contains("203.0.113.9"), "{shown}");
        assert_eq!(shown["effect"]["cut"][0]["text"], "the open connections of 203.0.113.9");
    });
}

#[test]
fn a_name_without_an_address_changes_nothing() {
    in_namespace(|_| {
        let place = Place::new("https://firewall.invalid", "");
        let ended = place.deploy(&["--confirm=2"], &opens(80));
        assert_eq!(ended.code, Some(3), "{}", ended.err);
        let words = "look at opnsense.url, and whether this host may reach it";
        assert!(ended.err.contains("firewall.invalid") && ended.err.contains(words), "{}", ended.err);
    });
}

#[test]
fn what_cannot_be_blocked_for_a_time_is_refused_when_it_is_checked() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let rule = json!([{"id": "b", "action": "drop", "direction": "input", "source_address": ["203.0.113.9"], "protocol": ["tcp"], "destination_port": ["22"], "ttl_seconds": 60}]);
        let checked = place.run("afo-check", &["--backend", "opnsense"], &proposal(&rule));
        let words = "blocks of OPNsense are of addresses, not of ports";
        assert_eq!(checked.code, Some(1), "{}", checked.err);
        assert!(
            checked.of_kind("proposal")[0]["validation"]["errors"].to_string().contains(words),
            "{}",
            checked.text()
        );
    });
}

#[test]
fn its_rules_are_imported() {
    in_namespace(|_| {
        let place = Place::new("", "");
        let rows = json!({"rows": [
            {"uuid": "u1", "enabled": "1", "action": "block", "quick": "1", "direction": "in", "ipprotocol": "inet", "protocol": "TCP",
             "source_net": "203.0.113.0/24", "destination_net": "any", "destination_port": "25", "sequence": "1", "description": "no mail"},
            {"uuid": "u2", "enabled": "1", "action": "pass", "quick": "1", "direction": "in", "ipprotocol": "inet", "protocol": "any",
             "source_net": "any", "destination_net": "any", "sequence": "2", "description": "afo 1 r22"},
        ]});
        place.write("rules.json", &rows.to_string());
        let file = place.path("rules.json");
        let ended = place.run("afo-ctx", &["--rules", "--ruleset", &file.display().to_string()], "");
        let rules = ended.of_kind("proposal").first().map(|proposal| proposal["rules"].clone()).unwrap_or_default();
        let found = rules.as_array().cloned().unwrap_or_default();
        let mail = |rule: &Value| rule["action"] == "drop" && rule["source_address"] == json!(["203.0.113.0/24"]);
        assert!(found.iter().any(mail), "{} {}", ended.text(), ended.err);
        assert!(!ended.text().contains("r22"), "{}", ended.text());
    });
}

#[test]
fn nothing_is_judged_past_a_port_forward() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        server.lock().forwards = vec![
            json!({"uuid": "n1", "disabled": "0", "nordr": "0", "interface": "wan", "ipprotocol": "inet", "protocol": "tcp",
            "source.network": "any", "destination.network": "198.51.100.1", "destination.port": "80", "target": "192.168.1.10", "local-port": "80"}),
        ];
        let refused = place.deploy(&["--confirm=2"], &opens(80));
        assert!(refused.code == Some(1) && refused.err.contains("rule r80: unknown: "), "{}", refused.err);
        // Port 22 is neither forwarded nor where a forward leads.
        let dry = place.deploy(&["-n"], &opens(22));
        assert_eq!(dry.code, Some(0), "{}", dry.err);
    });
}
