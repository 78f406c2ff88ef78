//! What a machine may not do, however much it asks: too many blocks, too much of all addresses, anything while it only learns.

use super::deploy::{Site, proposal, words};
use super::in_namespace;
use std::process::Output;

/// afo-deploy at the level `auto`, with `config`.
fn machine(site: &Site, config: &str, input: &str) -> Output {
    let file = site.dir.path().join("afo.toml");
    std::fs::write(&file, config).expect("written");
    site.deploy(&["--autonomy", "auto", "--config", file.to_str().expect("UTF-8")], input)
}

/// What a daemon proposes on evidence.
fn block(id: &str, address: &str, seconds: u32) -> String {
    let rule = format!(
        r#"{{"id":"r-{id}","action":"drop","direction":"input","source_address":["{address}"],"ttl_seconds":{seconds}}}"#
    );
    proposal(id, &rule).replace(r#""ok":true"#, r#""origin":{"by":"daemon","assessment":"a1"},"ok":true"#)
}

#[test]
fn more_blocks_than_the_cap_allows_are_told_and_not_made() {
    in_namespace(|host| {
        let site = Site::new(host);
        let config = "[respond]\ncap_per_minute = 2\n";
        let input: String = (1..=4).map(|n| block(&format!("p{n}"), &format!("198.51.100.{n}"), 600)).collect();
        let out = machine(&site, config, &input);
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        let set = host.sh("nft list set inet afo block4");
        assert!(set.contains("198.51.100.1 ") && set.contains("198.51.100.2 "), "{set}");
        assert!(!set.contains("198.51.100.3 ") && !set.contains("198.51.100.4 "), "{set}");
        assert_eq!(words(&out).matches("\"kind\":\"alert\"").count(), 2, "{}", words(&out));
        let later = machine(&site, config, &block("p5", "198.51.100.5", 600));
        assert_eq!(later.status.code(), Some(1), "the pause outlives the process: {}", words(&later));
        site.is_settled();
    });
}

#[test]
fn what_is_blocked_already_is_neither_an_addition_nor_an_offence() {
    in_namespace(|host| {
        let site = Site::new(host);
        let config = "[respond]\ncap_per_minute = 2\n";
        let input: String = (1..=5).map(|n| block(&format!("p{n}"), "198.51.100.1", 600 + n)).collect();
        let out = machine(&site, config, &(input + &block("p9", "198.51.100.2", 600)));
        assert_eq!(out.status.code(), Some(0), "{}", words(&out));
        let set = host.sh("nft list set inet afo block4");
        assert!(set.contains("198.51.100.1 timeout 10m") && set.contains("198.51.100.2 "), "no time grew: {set}");
        let refused = machine(&site, config, &block("p10", "198.51.100.3", 600));
        assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
        site.is_settled();
    });
}

#[test]
fn no_more_of_all_addresses_than_the_share_is_blocked() {
    in_namespace(|host| {
        let site = Site::new(host);
        let config = "[respond]\ncap_share_ppm = 1\nmax_prefix_v4 = 20\n";
        let out = machine(&site, config, &block("p1", "198.18.0.0/20", 600));
        assert_eq!(out.status.code(), Some(0), "4096 of 4294: {}", words(&out));
        let out = machine(&site, config, &block("p2", "198.51.100.0/24", 600));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        let told = "4352 IPv4 addresses would be blocked at once, more than 1 millionths of all; nothing is blocked";
        assert!(words(&out).contains(told), "{}", words(&out));
        assert!(!host.sh("nft list table inet afo").contains("198.51.100.0"));
        site.is_settled();
    });
}

#[test]
fn while_it_learns_it_says_what_it_would_do() {
    in_namespace(|host| {
        let site = Site::new(host);
        let learns = "[respond]\npreset = \"aggressive\"\nlearn_hours = 2\n";
        let out = machine(&site, learns, &block("p1", "198.51.100.1", 600));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        assert!(words(&out).contains("a test: not done (it only learns until "), "{}", words(&out));
        let table = host.sh("nft list table inet afo 2>/dev/null || true");
        assert!(!table.contains("198.51.100.1"), "{table}");
        let learned = "[respond]\npreset = \"aggressive\"\n";
        let out = machine(&site, learned, &block("p2", "198.51.100.1", 600));
        assert_eq!(out.status.code(), Some(0), "{}", words(&out));
        site.is_settled();
    });
}

#[test]
fn the_preset_monitor_does_nothing() {
    in_namespace(|host| {
        let site = Site::new(host);
        let file = site.dir.path().join("afo.toml");
        std::fs::write(&file, "[respond]\npreset = \"monitor\"\n").expect("written");
        let out = site.deploy(&["--config", file.to_str().expect("UTF-8")], &block("p1", "198.51.100.1", 600));
        assert_eq!(out.status.code(), Some(1), "{}", words(&out));
        assert!(words(&out).contains("the autonomy level is alert"), "{}", words(&out));
    });
}
