//! What must hold through the changed path before a change is kept, and what came in by it.

use super::deploy::{DROP_7777, Site, proposal, words};
use super::{eventually, in_namespace};

/// A configuration with one heartbeat, and the peer knocking at the server all the while.
fn ended_with(site: &Site, heartbeat: &str, seconds: u32, (id, rules): (&str, &str)) -> (Option<i32>, String) {
    let config = site.dir.path().join("afo.toml");
    std::fs::write(&config, format!("[deploy]\nheartbeat = [{heartbeat}]\n")).expect("written");
    let window = format!("--confirm={seconds}");
    let arguments = [&window, "--config", config.to_str().expect("UTF-8"), "--json"];
    let mut running = site.start(&arguments, &proposal(id, rules));
    eventually("the window ends", || {
        site.reached();
        running.child.try_wait().expect("a child").is_some()
    });
    let rest = running.rest();
    (running.exit(), rest)
}

const HARMLESS: &str =
    r#"{"id":"r1","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["23"]}"#;
const FROM: &str = r#"{ from = "203.0.113.0/24", port = 7777, count = 2 }"#;

/// A check that goes out from this host would not notice.
#[test]
fn a_change_that_nobody_can_come_in_through_is_taken_back() {
    in_namespace(|host| {
        let site = Site::new(host);
        let (exit, said) = ended_with(&site, FROM, 4, ("p1", DROP_7777));
        assert_eq!(exit, Some(4), "{said}");
        assert!(site.reached());
        let (exit, said) = ended_with(&site, FROM, 60, ("p2", HARMLESS));
        assert_eq!(exit, Some(0), "{said}");
        assert!(said.contains(r#""check":"from 203.0.113.0/24 to port 7777","ok":true"#), "{said}");
        assert_eq!(site.statuses(), ["rolled_back", "confirmed"]);
        site.is_settled();
    });
}

#[test]
fn a_web_server_must_give_the_status_that_is_configured() {
    in_namespace(|host| {
        let site = Site::new(host);
        // The server takes connections and says nothing.
        let (exit, said) =
            ended_with(&site, r#"{ http = "http://203.0.113.1:7777/", status = 204 }"#, 4, ("p1", HARMLESS));
        assert_eq!(exit, Some(4), "{said}");
        let command = site.deploy(&["status"], "");
        assert!(command.status.success(), "{}", words(&command));
    });
}

/// A check that runs on would hold whatever it has inherited.
#[test]
fn what_a_check_started_ends_with_the_window() {
    in_namespace(|host| {
        let site = Site::new(host);
        let (config, told) = (site.dir.path().join("afo.toml"), site.dir.path().join("pid"));
        let check = format!(r#"["/bin/sh", "-c", "sleep 3600 & echo $! > {}; wait"]"#, told.display());
        std::fs::write(&config, format!("[deploy]\nheartbeat = [{{ command = {check}, timeout = 50 }}]\n"))
            .expect("written");
        let arguments = ["--confirm=60", "--config", config.to_str().expect("UTF-8")];
        let running = site.start(&arguments, &proposal("p1", HARMLESS));
        let pid = || std::fs::read_to_string(&told).unwrap_or_default().trim().to_owned();
        eventually("the check runs", || !pid().is_empty());
        assert!(site.deploy(&["confirm"], "").status.success());
        assert_eq!(running.exit(), Some(0));
        eventually("nobody is left of it", || !std::path::Path::new(&format!("/proc/{}", pid())).exists());
    });
}
