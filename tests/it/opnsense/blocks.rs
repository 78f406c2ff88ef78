//! Blocks for a time on a firewall whose aliases know no time: the journal ends them.

use super::server::{Fault, Server};
use super::{Place, bars};
use crate::kernel::{eventually, in_namespace};

fn members(server: &Server) -> Vec<String> {
    server.lock().tables.get("afo_from").map(|table| table.iter().cloned().collect()).unwrap_or_default()
}

#[test]
fn a_block_is_a_member_until_its_time_is_over() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        let ended = place.deploy(&["--confirm"], &bars("203.0.113.9", 600));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(members(&server), ["203.0.113.9"]);
        assert_eq!(server.lock().ended, ["203.0.113.9"], "open connections end");
        let own = server.lock().own();
        assert_eq!(own, ["afo blocks from 1", "afo blocks to 1"]);
        assert!(server.lock().loaded.contains(&"afo blocks from".to_owned()));
        assert_eq!(place.deploy(&["expire"], "").code, Some(0));
        let listed = place.deploy(&["list", "--json"], "");
        assert_eq!(listed.records()[0]["address"], "203.0.113.9", "{}", listed.text());
        assert_eq!(place.deploy(&["--confirm"], &bars("203.0.113.10", 1)).code, Some(0));
        assert_eq!(members(&server), ["203.0.113.10", "203.0.113.9"]);
        eventually("its time is over", || {
            let ended = place.deploy(&["expire"], "");
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            members(&server) == ["203.0.113.9"]
        });
        assert_eq!(place.deploy(&["list", "--json"], "").records().len(), 1);
    });
}

#[test]
fn what_a_reboot_emptied_is_filled_again_and_what_was_missed_is_caught_up() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        assert_eq!(place.deploy(&["--confirm"], &bars("203.0.113.9", 600)).code, Some(0));
        assert_eq!(place.deploy(&["--confirm"], &bars("203.0.113.0/24", 1)).code, Some(0));
        // The firewall starts anew with empty tables, and somebody puts a member in by hand.
        server.lock().tables.insert("afo_from".to_owned(), ["198.51.100.7".to_owned()].into());
        std::thread::sleep(std::time::Duration::from_secs(2));
        let ended = place.deploy(&["recover"], "");
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(members(&server), ["203.0.113.9"]);
    });
}

#[test]
fn a_block_is_lifted_by_hand() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        assert_eq!(place.deploy(&["--confirm"], &bars("203.0.113.9", 600)).code, Some(0));
        let lifted = place.deploy(&["unblock", "203.0.113.9"], "");
        assert_eq!(lifted.code, Some(0), "{}", lifted.err);
        assert!(members(&server).is_empty());
        assert_eq!(place.deploy(&["unblock", "203.0.113.9"], "").code, Some(1));
    });
}

#[test]
fn a_block_that_the_firewall_refuses_is_none() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        server.fail("alias_util/add", 1, Fault::Status(500, "busy"));
        let ended = place.deploy(&["--confirm"], &bars("203.0.113.9", 600));
        assert!(matches!(ended.code, Some(3 | 4)), "{:?} {}", ended.code, ended.err);
        assert!(members(&server).is_empty());
        assert!(place.deploy(&["list", "--json"], "").records().is_empty());
        assert_eq!(place.deploy(&["recover"], "").code, Some(0));
        assert!(members(&server).is_empty());
    });
}

#[test]
fn a_key_that_may_not_end_connections_still_bars() {
    in_namespace(|_| {
        let server = Server::start();
        let place = Place::of(&server);
        server.fail("kill_states", 1, Fault::Status(403, "Forbidden"));
        let ended = place.deploy(&["--confirm"], &bars("203.0.113.9", 600));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(
            ended.err.contains("connections that are open may go on") && ended.err.contains("403"),
            "{}",
            ended.err
        );
        assert_eq!(members(&server), ["203.0.113.9"]);
    });
}
