//! Rules of very many addresses: what goes into the kernel apart is what nft itself would put there, and nothing of it is left of a change
//! that never came to be.

use super::deploy::{Site, program, proposal, words};
use super::{Host, feed, in_namespace};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// More elements than go in with the rules.
const MANY: u32 = 4300;

/// A rule that drops what comes from many addresses.
pub(super) fn many(id: &str, address: impl Fn(u32) -> String) -> String {
    let addresses: Vec<String> = (0..MANY).map(address).collect();
    json!({ "id": id, "action": "drop", "direction": "input", "source_address": addresses }).to_string()
}

/// Single addresses.
pub(super) fn single(n: u32) -> String {
    format!("198.18.{}.{}", n / 128, n % 128 * 2)
}

fn pair(n: u32) -> String {
    format!("10.{}.{}.{}/31", n / 16_384, n / 64 % 256, n % 64 * 4)
}

fn odd(n: u32) -> String {
    format!("2001:db8::{n:x}:0-2001:db8::{n:x}:7")
}

/// From the first address of all on.
fn lowest(n: u32) -> String {
    format!("0.{}.{}.{}-0.{}.{}.{}", n / 8192, n / 32 % 256, n % 32 * 8, n / 8192, n / 32 % 256, n % 32 * 8 + 2)
}

/// Up to the last address of all.
fn highest(n: u32) -> String {
    if n == 0 { "255.255.255.254-255.255.255.255".to_owned() } else { format!("240.0.{}.{}/31", n / 64, n % 64 * 4) }
}

/// What the sets of AFO hold whose names tell it, as nft lists it.
fn contents(host: &Host) -> BTreeMap<String, Value> {
    let listing: Value = serde_json::from_str(&host.sh("nft -j list table inet afo")).expect("JSON");
    let objects = listing["nftables"].as_array().expect("a list");
    let sets = objects.iter().filter_map(|object| object.get("set"));
    let named = sets.map(|set| (set["name"].as_str().expect("a name").to_owned(), set["elem"].clone()));
    named.filter(|(name, _)| name.starts_with("a_")).collect()
}

#[test]
fn sets_that_are_filled_apart_hold_what_nft_would_put_there() {
    in_namespace(|host| {
        let site = Site::new(host);
        let rules = [
            many("f1", single),
            many("f2", pair),
            many("f3", |n| format!("2001:db8:1::{:x}", n * 2)),
            many("f4", odd),
            many("f5", lowest),
            many("f6", highest),
        ];
        let input = proposal("p1", &rules.join(","));
        let out = site.deploy(&["--confirm=60", "--dry-run"], &input);
        assert!(out.status.success() && words(&out).contains("# first, by netlink: 4300 elements into set a_"));
        let before = host.ruleset();
        let mut running = site.start(&["--confirm=60"], &input);
        let found = contents(host);
        assert_eq!(found.len(), rules.len());
        running.signal("TERM");
        assert_eq!(running.exit(), Some(4));
        assert_eq!(host.ruleset(), before, "taken back");

        let rendered = feed(site.afo("afo-render", &["--native"]).env("AFO_STATE", "none"), input.as_bytes());
        host.nft(&String::from_utf8(rendered.stdout).expect("UTF-8"));
        assert!(found == contents(host), "nft puts other elements there");
    });
}

#[test]
fn a_change_that_is_refused_leaves_no_set() {
    in_namespace(|host| {
        let site = Site::new(host);
        let before = host.ruleset();
        let real = host.sh("command -v nft").trim().to_owned();
        let broken = format!(
            "#!/bin/bash\n[ \"$1\" = -f ] || exec {real} \"$@\"\ntext=$(cat)\n\
             case $text in *'create set inet afo armed'*) echo 'Error: No buffer space available' >&2; exit 1;; esac\n\
             printf '%s\\n' \"$text\" | exec {real} \"$@\"\n"
        );
        let path = format!("{}:{}", program(site.dir.path(), "nft", &broken), std::env::var("PATH").expect("PATH"));
        let mut deploy = site.afo("afo-deploy", &["--confirm=60"]);
        let out = feed(deploy.env("PATH", path), proposal("p1", &many("f1", single)).as_bytes());
        assert_eq!(out.status.code(), Some(3), "{}", words(&out));
        assert!(words(&out).contains("No buffer space available"), "{}", words(&out));
        assert_eq!(site.statuses(), ["failed"]);
        assert_eq!(host.ruleset(), before, "a set is left");
    });
}

#[test]
fn rules_are_never_armed_without_their_elements() {
    in_namespace(|host| {
        let site = Site::new(host);
        let real = host.sh("command -v nft").trim().to_owned();
        // Between the elements and the rules somebody flushes everything.
        let flushes = format!(
            "#!/bin/bash\n[ \"$1\" = -f ] || exec {real} \"$@\"\ntext=$(cat)\n\
             case $text in *'create set inet afo armed'*) {real} flush ruleset;; esac\n\
             printf '%s\\n' \"$text\" | exec {real} \"$@\"\n"
        );
        let path = format!("{}:{}", program(site.dir.path(), "nft", &flushes), std::env::var("PATH").expect("PATH"));
        let mut deploy = site.afo("afo-deploy", &["--confirm=60"]);
        let out = feed(deploy.env("PATH", path), proposal("p1", &many("f1", single)).as_bytes());
        assert_eq!(out.status.code(), Some(3), "{}", words(&out));
        assert_eq!(site.statuses(), ["failed"]);
        assert_eq!(host.ruleset(), "", "nothing of the change is there");
    });
}
