//! A window over the API: opened, confirmed, taken back, by whom and after whose death.

use super::server::{Fault, Server};
use super::{Place, opens, proposal};
use crate::kernel::{WINDOW, eventually, in_namespace};
use serde_json::json;

/// The rules as they were before AFO came.
fn untouched(server: &Server) -> bool {
    let firewall = server.lock();
    firewall.own().is_empty() && firewall.rules.len() == 1
}

/// Opens port 22 for good.
fn confirmed(place: &Place, server: &Server) {
    kept(place, server, 22);
}

/// Opens a port for good.
pub(super) fn kept(place: &Place, server: &Server, port: u16) {
    let mut child = place.start(&["--confirm=300"], &opens(port));
    eventually("it is applied", || {
        server.lock().loaded.iter().any(|words| words.ends_with(&format!(" r{port}"))) && place.newest() == "applied"
    });
    let ended = place.deploy(&["confirm"], "");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_change_is_confirmed_and_is_all_that_is_there() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        confirmed(&place, &server);
        assert_eq!(place.newest(), "confirmed");
        let own = server.lock().own();
        assert_eq!(own.len(), 2, "{own:?}");
        assert!(
            own[0].starts_with("afo state settled=1:") && own[0].ends_with(" 0") && !own[0].contains("window"),
            "{own:?}"
        );
        assert_eq!(own[1], "afo 1 r22 1");
        let listed = place.deploy(&["list", "--json"], "");
        assert_eq!(listed.records()[0]["packets"], 3, "{}", listed.text());
        let shown = place.deploy(&["status", "--format", "text"], "");
        let words = format!("AFO's part is in OPNsense at {}, generation 1", server.address);
        assert!(shown.text().contains(&words), "{}{}", shown.text(), shown.err);
        let status = place.deploy(&["status", "--json"], "");
        assert_eq!(status.of_kind("status")[0]["generation"], json!({"live": 1, "armed": null}));
        assert_eq!(place.deploy(&["recover"], "").code, Some(0));
        assert_eq!(server.lock().own(), own, "recovery finds nothing to do");
    });
}

#[test]
fn a_window_that_nobody_confirms_leaves_what_was_there() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let ended = place.deploy(&["--confirm=2"], &opens(80));
        assert_eq!(ended.code, Some(4), "{}", ended.err);
        assert!(untouched(&server), "{:?}", server.lock().own());
        assert_eq!(server.lock().loaded, ["people's own"]);
        confirmed(&place, &server);
        let own = server.lock().own();
        assert_eq!(place.deploy(&["--confirm=2"], &opens(80)).code, Some(4));
        let after = server.lock().own();
        assert_eq!(after[1..], own[1..], "the rule of before is on again");
        assert_eq!(after[0].split(' ').nth(2), own[0].split(' ').nth(2));
        let taken = place.deploy(&["rollback"], "");
        assert_eq!(taken.code, Some(0), "{}", taken.err);
        assert!(!server.lock().loaded.iter().any(|words| words.ends_with("r22")), "{:?}", server.lock().loaded);
    });
}

#[test]
fn the_watchdog_takes_back_what_a_killed_command_left() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let mut child = place.start(&[&format!("--confirm={WINDOW}")], &opens(80));
        eventually("it is loaded", || server.lock().loaded.iter().any(|words| words.ends_with(" r80")));
        child.kill().expect("it lives");
        child.wait().expect("it ends");
        eventually("it is taken back", || untouched(&server) && place.newest() == "rolled_back");
    });
}

#[test]
fn the_watchdog_tries_until_the_firewall_answers() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        // It loads the rules, and from then on nothing answers.
        server.fail("filter/apply", 1, Fault::Down);
        let mut child = place.start(&["--confirm=60"], &opens(80));
        assert_eq!(child.wait().expect("it ends").code(), Some(5));
        let failed = server.lock().failed;
        eventually("its watchdog asks again and again", || server.lock().failed > failed + 5);
        assert!(!untouched(&server), "{:?}", server.lock().own());
        server.mend();
        eventually("it is taken back", || untouched(&server) && place.newest() == "rolled_back");
    });
}

#[test]
fn what_somebody_removed_is_put_back_and_told() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        confirmed(&place, &server);
        server.lock().rules.retain(|rule| rule["description"] != "afo 1 r22");
        let ended = place.deploy(&["recover"], "");
        let words =
            format!("another program removed AFO's rules from OPNsense at {}; they are put back", server.address);
        assert!(ended.text().contains(&words), "{}{}", ended.text(), ended.err);
        let words = format!("put 1 rule back into OPNsense at {}", server.address);
        assert!(ended.err.contains(&words), "{}", ended.err);
        let own = server.lock().own();
        assert!(own.iter().any(|words| words.ends_with(" r22 1")), "{own:?}");
        assert!(server.lock().loaded.iter().any(|words| words.ends_with(" r22")));
    });
}

#[test]
fn what_is_not_proven_is_refused() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let both = json!([
            {"id": "a", "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"]},
            {"id": "b", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"]},
        ]);
        let ended = place.deploy(&["--confirm=2"], &proposal(&both));
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains("rule b: contradiction"), "{}", ended.err);
        assert!(untouched(&server));
        let out = json!([{"id": "c", "action": "drop", "direction": "output", "protocol": ["tcp"], "destination_port": ["25"]}]);
        let ended = place.deploy(&["--confirm=2"], &proposal(&out));
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.err.contains("pf sees what leaves the firewall with its source translated already"),
            "{}",
            ended.err
        );
        let dry = place.deploy(&["-n"], &opens(80));
        assert_eq!(dry.code, Some(0), "{}", dry.err);
        assert!(dry.text().contains(r#""post":"firewall/filter/apply""#) && untouched(&server), "{}", dry.text());
    });
}
