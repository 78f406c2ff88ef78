//! The second guard of older versions: used where it is, missed by nobody where it is not, and ended when AFO's own has done its part.

use super::server::{Fault, Server};
use super::{Place, opens};
use crate::kernel::{eventually, in_namespace};

fn with(controller: &'static str) -> (Server, Place) {
    let server = Server::start();
    server.lock().savepoints = Some(controller);
    let place = Place::of(&server);
    (server, place)
}

/// Begins a change and waits until it is applied.
fn begun(place: &Place, seconds: &str) -> std::process::Child {
    let child = place.start(&[&format!("--confirm={seconds}")], &opens(22));
    eventually("it is applied", || place.newest() == "applied");
    child
}

#[test]
fn it_stands_beside_a_window_and_ends_with_its_confirmation() {
    in_namespace(|_| {
        for controller in ["filter", "filter_base"] {
            let (server, place) = with(controller);
            let mut child = begun(&place, "50");
            assert!(server.lock().is_guarded(), "{controller}");
            let ended = place.deploy(&["confirm"], "");
            assert_eq!((ended.code, child.wait().expect("it ends").code()), (Some(0), Some(0)), "{}", ended.err);
            server.lock().roll_back();
            let own = server.lock().own();
            assert!(own.iter().any(|words| words.ends_with(" r22 1")), "{controller}: {own:?}");
            assert!(!own.iter().any(|words| words.contains("savepoint")), "{own:?}");
        }
    });
}

#[test]
fn it_ends_with_what_is_taken_back() {
    in_namespace(|_| {
        let (server, place) = with("filter");
        assert_eq!(place.deploy(&["--confirm=2"], &opens(22)).code, Some(4));
        let firewall = server.lock();
        assert!(firewall.own().is_empty() && !firewall.is_guarded(), "{:?}", firewall.own());
    });
}

#[test]
fn a_long_window_and_a_version_without_it_have_the_watchdog_alone() {
    in_namespace(|_| {
        let (server, place) = with("filter");
        let mut child = begun(&place, "51");
        assert!(!server.lock().is_guarded());
        assert_eq!(place.deploy(&["confirm"], "").code, Some(0));
        assert!(child.wait().is_ok());
        let (server, place) = with("nowhere");
        let mut child = begun(&place, "30");
        let seen = server.lock().seen.clone();
        assert!(seen.iter().any(|request| request.ends_with("/savepoint")), "{seen:?}");
        assert!(!seen.iter().any(|request| request.contains("apply/") || request.contains("cancel")), "{seen:?}");
        assert_eq!(place.deploy(&["confirm"], "").code, Some(0));
        assert!(child.wait().is_ok());
    });
}

#[test]
fn an_odd_answer_is_told_and_the_watchdog_stays() {
    in_namespace(|_| {
        for fault in [Fault::Status(500, "busy"), Fault::Half, Fault::Page, Fault::Lost, Fault::Slow] {
            let (server, _) = with("filter");
            let place = Place::beside(&server, &fault);
            server.fail("savepoint", 1, fault.clone());
            let ended = place.deploy(&["--confirm=2"], &opens(22));
            let words = "the watchdog alone takes the change back";
            assert!(ended.code == Some(4) && ended.err.contains(words), "{fault:?}: {}", ended.err);
            assert!(server.lock().own().is_empty() && !server.lock().is_guarded(), "{fault:?}");
        }
    });
}

#[test]
fn where_it_cannot_be_ended_nothing_is_confirmed() {
    in_namespace(|_| {
        let (server, place) = with("filter");
        let mut child = begun(&place, "15");
        server.fail_for_good("cancelRollback", 1, Fault::Status(500, "busy"));
        let ended = place.deploy(&["confirm"], "");
        assert!(ended.code == Some(1) && ended.err.contains("says 500: busy"), "{:?} {}", ended.code, ended.err);
        assert_eq!(child.wait().expect("it ends").code(), Some(4));
        assert!(server.lock().own().is_empty());
    });
}

#[test]
fn what_the_firewall_took_back_by_itself_is_over() {
    in_namespace(|_| {
        let (server, place) = with("filter");
        let mut child = begun(&place, "50");
        server.lock().roll_back();
        let ended = place.deploy(&["confirm"], "");
        assert!(matches!(ended.code, Some(1 | 3 | 4)), "{:?} {}", ended.code, ended.err);
        assert!(server.lock().own().is_empty());
        assert!(child.wait().is_ok_and(|status| status.code() != Some(0)));
    });
}
