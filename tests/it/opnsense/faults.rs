//! A firewall that fails in the middle: what was begun is put back, or it is said that nobody knows. No error shows the key.

use super::server::{Fault, Server};
use super::{Place, opens};
use crate::kernel::{eventually, in_namespace};

fn secretive(words: &str) {
    assert!(!words.contains("test-secret") && !words.contains("test-key") && !words.contains("dGVzd"), "{words}");
}

/// Deploys with a fault; how it ended, the words, and whether the firewall is as it was.
fn with(path: &'static str, nth: usize, fault: Fault) -> (Option<i32>, String, bool) {
    let server = Server::start();
    let place = Place::beside(&server, &fault);
    server.fail(path, nth, fault);
    let ended = place.deploy(&["--confirm=300"], &opens(80));
    secretive(&ended.err);
    secretive(&ended.text());
    let firewall = server.lock();
    let others = firewall.rules.iter().filter(|rule| rule["description"] == "people's own").count();
    (
        ended.code,
        ended.err,
        firewall.own().is_empty() && others == 1 && !firewall.loaded.iter().any(|words| words.ends_with("r80")),
    )
}

#[test]
fn what_fails_before_anything_is_begun_changes_nothing() {
    in_namespace(|_| {
        let cases = [
            ("search_rule", Fault::Status(403, "Forbidden"), "says 403: Forbidden"),
            (
                "search_rule",
                Fault::Status(500, "Unexpected error, check log for details"),
                "says 500: Unexpected error, check log for details",
            ),
            ("search_item", Fault::Half, "the reply breaks off"),
            (
                "search_rule",
                Fault::Redirect,
                "leads elsewhere (302, https://elsewhere.example/), which is not followed",
            ),
            ("search_rule", Fault::Page, "replies with text/html, not with JSON"),
            ("search_rule", Fault::Slow, "did not reply in time"),
            (
                "add_rule",
                Fault::Status(403, "no matching csrf found for request"),
                "firewall/filter/add_rule: says 403: no matching csrf found",
            ),
        ];
        for (path, fault, words) in cases {
            let (code, err, same) = with(path, 1, fault);
            assert!(err.contains(words), "{path}: {err}");
            assert_eq!((code, same), (Some(3), true), "{path}: {err}");
        }
    });
}

#[test]
fn what_fails_in_the_middle_is_put_back() {
    in_namespace(|_| {
        let cases = [
            ("add_rule", 2, Fault::Status(500, "busy")),
            ("add_rule", 2, Fault::Invalid),
            ("add_rule", 1, Fault::Lost),
            ("add_rule", 2, Fault::Half),
            ("add_rule", 2, Fault::Slow),
            ("filter/apply", 1, Fault::Status(500, "busy")),
            ("filter/apply", 1, Fault::Lost),
        ];
        for (path, nth, fault) in cases {
            let shown = format!("{path} {nth} {fault:?}");
            let (code, err, same) = with(path, nth, fault);
            assert_eq!((code, same), (Some(4), true), "{shown}: {err}");
            assert!(err.contains("what was begun is put back"), "{shown}: {err}");
        }
    });
}

#[test]
fn what_cannot_be_put_back_is_said_and_done_when_the_firewall_answers() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        server.fail("add_rule", 2, Fault::Down);
        let ended = place.deploy(&["--confirm=300"], &opens(80));
        assert_eq!(ended.code, Some(5), "{}", ended.err);
        assert!(ended.err.contains("is not known") && ended.err.contains("afo-deploy recover"), "{}", ended.err);
        secretive(&ended.err);
        server.mend();
        eventually("it is as it was", || {
            let _ = place.deploy(&["recover"], "");
            server.lock().own().is_empty()
        });
    });
}

#[test]
fn a_change_under_our_feet_is_never_written_over() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        // While the rules are added, another administrator adds one of theirs.
        server.fail("add_rule", 2, Fault::Meddled);
        let ended = place.deploy(&["--confirm=300"], &opens(80));
        assert_eq!(ended.code, Some(4), "{}", ended.err);
        assert!(
            ended.err.contains("somebody else changed its rules or aliases since they were looked at"),
            "{}",
            ended.err
        );
        let firewall = server.lock();
        assert!(firewall.own().is_empty() && firewall.rules.len() == 2, "{:?}", firewall.rules);
        assert!(firewall.loaded.is_empty(), "nothing was applied: {:?}", firewall.loaded);
    });
}

#[test]
fn a_command_that_dies_between_two_requests_is_cleaned_up_after() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        server.fail("add_rule", 2, Fault::Slow);
        let mut child = place.start(&["--confirm=300"], &opens(80));
        eventually("the second addition", || server.lock().own().len() == 2);
        child.kill().expect("it lives");
        child.wait().expect("it ends");
        server.mend();
        eventually("its watchdog has cleaned up", || server.lock().own().is_empty() && place.newest() != "pending");
        assert!(["failed", "rolled_back"].contains(&place.newest().as_str()), "{}", place.newest());
    });
}

#[test]
fn a_wrong_key_and_a_key_that_others_can_read_are_told() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let check = |place: &Place| place.run("afo-check", &["--backend", "opnsense"], &opens(80));
        let good = check(&place);
        assert_eq!(good.code, Some(0), "{}", good.err);
        let checked = good.of_kind("proposal")[0]["validation"]["checked_by"].to_string();
        assert!(checked.contains(&format!("OPNsense at {}", server.address)), "{checked}");
        place.write("key.txt", "key=test-key\nsecret=another\n");
        let wrong = check(&place);
        assert_eq!(wrong.code, Some(3));
        assert!(
            wrong.err.contains("says 401: Authentication Failed") && wrong.err.contains("opnsense.credentials"),
            "{}",
            wrong.err
        );
        assert!(!wrong.err.contains("another"), "{}", wrong.err);
        std::fs::set_permissions(place.path("key.txt"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("its mode");
        let open = check(&place);
        assert_eq!(open.code, Some(2));
        assert!(open.err.contains("others can read the key of the OPNsense firewall (mode 644)"), "{}", open.err);
        let none = Place::new("", "");
        let said = check(&none);
        assert_eq!(said.code, Some(2));
        assert!(said.err.contains("no OPNsense firewall is configured"), "{}", said.err);
        assert_eq!(none.run("afo-check", &["--backend", "opnsense", "--against", "none"], &opens(80)).code, Some(0));
    });
}

#[test]
fn backends_show_the_firewall_where_it_is_configured() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let shown = place.run("afo", &["backends", "--json"], "");
        let found = shown.records()[0]["backends"].as_array().cloned().unwrap_or_default();
        let own = found.iter().find(|backend| backend["name"] == "opnsense").cloned().unwrap_or_default();
        assert_eq!(own["active"], true, "{}", shown.text());
        assert!(
            own["capabilities"]
                .as_array()
                .is_some_and(|all| all.contains(&"filter".into()) && !all.contains(&"switch".into())),
            "{own}"
        );
        server.fail_for_good("/api/", 1, Fault::Status(500, "busy"));
        let shown = place.run("afo", &["backends", "--json"], "");
        assert!(shown.records()[0]["missing"].to_string().contains("says 500: busy"), "{}", shown.text());
    });
}
