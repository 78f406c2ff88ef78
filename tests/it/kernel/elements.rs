//! Blocks by the short way: the channel to the kernel's sets that a running afo-deploy keeps open, and what other programs do meanwhile.

use super::deploy::{Site, proposal, words};
use super::{Host, in_namespace};
use afo::sys::changes::count;
use afo::sys::elements::{Batch, BatchError, Channel, Held};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// A running afo-deploy of a daemon: its input and its records.
struct Stream {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Stream {
    fn new(site: &Site) -> Self {
        let config = site.dir.path().join("afo.toml");
        std::fs::write(&config, "[respond]\ncap_per_minute = 10000\ncap_per_hour = 10000\n").expect("written");
        let arguments = ["--autonomy", "auto", "--config", config.to_str().expect("UTF-8")];
        let mut command = site.afo("afo-deploy", &arguments);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = pipes.spawn().expect("afo-deploy");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { input: child.stdin.take(), child, lines }
    }

    fn send(&mut self, input: &str) {
        self.input.as_mut().expect("open").write_all(input.as_bytes()).expect("written");
    }

    /// Records up to the next of a kind; the last is that one.
    fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for line in self.lines.by_ref() {
            let record: Value = serde_json::from_str(&line.expect("a line")).expect("a record");
            assert_ne!(record["kind"], "error", "{record}");
            let last = record["kind"] == kind;
            found.push(record);
            if last {
                return found;
            }
        }
        panic!("it ended before a {kind}: {found:?}");
    }

    /// Blocks and waits until they stand.
    fn block(&mut self, id: &str, rules: &str) -> Vec<Value> {
        self.send(&machine(id, rules));
        let found = self.until("deployment");
        assert_eq!(found.last().expect("one")["status"], "confirmed", "{found:?}");
        found
    }

    fn end(mut self) -> Option<i32> {
        drop(self.input.take());
        self.lines.by_ref().for_each(drop);
        self.child.wait().expect("its end").code()
    }
}

fn machine(id: &str, rules: &str) -> String {
    proposal(id, rules).replace(r#""ok":true"#, r#""origin":{"by":"daemon","assessment":"a1"},"ok":true"#)
}

fn ban(address: &str) -> String {
    let id = format!("b-{}", address.replace(['/', '.'], "-"));
    format!(r#"{{"id":"{id}","action":"drop","direction":"input","source_address":["{address}"],"ttl_seconds":600}}"#)
}

fn set(host: &Host, name: &str) -> String {
    host.sh(&format!("nft list set inet afo {name}"))
}

#[test]
fn a_stream_of_blocks_reaches_every_set() {
    in_namespace(|host| {
        let site = Site::new(host);
        let mut stream = Stream::new(&site);
        let port = |id: &str, port: u16| {
            format!(
                r#"{{"id":"{id}","action":"drop","direction":"input","source_address":["198.51.100.9"],"protocol":["tcp"],"destination_port":["{port}"],"ttl_seconds":600}}"#
            )
        };
        let rounds = [
            [
                ("block4", "198.51.100.7"),
                ("block4_24", "192.0.2.0/24"),
                ("block6", "2001:db8::7"),
                ("block6_64", "2001:db8:1::/64"),
            ],
            [
                ("block4", "198.51.100.8"),
                ("block4_24", "198.18.5.0/24"),
                ("block6", "2001:db8::8"),
                ("block6_64", "2001:db8:2::/64"),
            ],
        ];
        for (round, number) in rounds.into_iter().zip([22, 25]) {
            for (set_of, address) in round {
                stream.block(&format!("{set_of}-{number}"), &ban(address));
                let network = address.split('/').next().expect("one");
                assert!(set(host, set_of).contains(&format!("{network} timeout ")), "{}", set(host, set_of));
            }
            stream.block(&format!("port-{number}"), &port(&format!("p{number}"), number));
            assert!(set(host, "block4_port").contains(&format!("198.51.100.9 . tcp . {number} timeout")));
        }
        assert_eq!(stream.end(), Some(0));
        site.is_settled();
    });
}

#[test]
fn extending_never_shortens_what_the_kernel_holds() {
    in_namespace(|host| {
        let site = Site::new(host);
        let mut stream = Stream::new(&site);
        stream.block("p1", &ban("198.51.100.1"));
        host.nft("add element inet afo block4 { 198.51.100.2 timeout 2h, 198.51.100.3 timeout 10s, 198.51.100.4 }");
        // The first look after another program's change is a whole one; from the second block on it is the short way.
        stream.block("p2", &ban("198.51.100.5"));
        for n in [2, 3, 4] {
            stream.block(&format!("q{n}"), &ban(&format!("198.51.100.{n}")));
        }
        let listing = set(host, "block4");
        let of = |address: &str| {
            let words = listing.split(['{', '}', ',']).map(str::trim);
            words.clone().find(|words| words.split(' ').next() == Some(address)).unwrap_or_default().to_owned()
        };
        assert!(of("198.51.100.2").contains("timeout 1h59m"), "{listing}");
        assert!(
            of("198.51.100.3").contains("timeout 10m") || of("198.51.100.3").contains("timeout 9m59s"),
            "{listing}"
        );
        assert_eq!(of("198.51.100.4"), "198.51.100.4", "it has no end: {listing}");
        assert_eq!(stream.end(), Some(0));
        site.is_settled();
    });
}

#[test]
fn a_foreign_change_and_a_foreign_flush_are_noticed_while_the_channel_is_open() {
    in_namespace(|host| {
        let site = Site::new(host);
        let mut stream = Stream::new(&site);
        stream.block("p1", &ban("198.51.100.1"));
        stream.block("p2", &ban("198.51.100.2"));
        host.nft("table inet another { chain c { type filter hook input priority 10; policy accept; }; }");
        let found = stream.block("p3", &ban("198.51.100.3"));
        assert_eq!(found.len(), 1, "a change of others is nobody's loss: {found:?}");
        host.nft("flush ruleset");
        let found = stream.block("p4", &ban("198.51.100.4"));
        assert!(
            found[0]["message"].as_str().is_some_and(|words| words.contains("another program removed")),
            "{found:?}"
        );
        let listing = set(host, "block4");
        for n in 1..=4 {
            assert!(listing.contains(&format!("198.51.100.{n} timeout")), "{listing}");
        }
        host.nft("flush chain inet afo blocks");
        stream.block("p5", &ban("203.0.113.2"));
        assert!(!site.reached(), "the chain of blocks is whole again");
        assert_eq!(stream.end(), Some(0));
        site.is_settled();
    });
}

#[test]
fn many_proposals_are_one_batch_and_a_bad_one_takes_none_along() {
    in_namespace(|host| {
        let site = Site::new(host);
        let mut stream = Stream::new(&site);
        stream.block("first", &ban("192.0.2.1"));
        let thousand: Vec<String> = (0..1000).map(|n| ban(&format!("10.1.{}.{}", n / 250, n % 250))).collect();
        stream.block("thousand", &thousand.join(","));
        let before = count().expect("a generation");
        let many: String = (0..100).map(|n| machine(&format!("m{n}"), &ban(&format!("10.2.0.{n}")))).collect();
        stream.send(&many);
        (0..100).for_each(|_| drop(stream.until("deployment")));
        let batches = count().expect("a generation") - before;
        assert!((1..=50).contains(&batches), "{batches} transactions for 100 proposals");
        // The same id with other content is refused by the journal; the one before and the one after it are not.
        let three = [machine("n1", &ban("10.3.0.1")), machine("m1", &ban("10.3.0.2")), machine("n3", &ban("10.3.0.3"))];
        stream.send(&three.concat());
        assert_ne!(stream.end(), Some(0));
        let listing = set(host, "block4");
        assert_eq!(listing.matches(" timeout ").count(), 1 + 1000 + 100 + 2, "none is lost, none is too many");
        assert!(listing.contains("10.3.0.1 ") && listing.contains("10.3.0.3 ") && !listing.contains("10.3.0.2 "));
        site.is_settled();
    });
}

#[test]
fn what_another_process_did_is_seen_by_the_next() {
    in_namespace(|host| {
        let site = Site::new(host);
        for n in 1..=3 {
            let out = site.deploy(&[], &proposal(&format!("p{n}"), &ban(&format!("198.51.100.{n}"))));
            assert!(out.status.success(), "{}", words(&out));
        }
        host.nft("flush ruleset");
        let out = site.deploy(&[], &proposal("p4", &ban("198.51.100.4")));
        assert!(words(&out).contains("another program removed"), "{}", words(&out));
        assert_eq!(set(host, "block4").matches(" timeout ").count(), 4);
        site.is_settled();
    });
}

const KEYS: [[u8; 4]; 3] = [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]];

fn adding(set: &str, keys: &[&[u8]]) -> Batch {
    let mut batch = Batch::new("t");
    batch.add(set, keys.iter().map(|key| (*key, Some(Duration::from_secs(60)))));
    batch
}

#[test]
fn a_batch_holds_as_a_whole_and_says_which_element_does_not() {
    in_namespace(|host| {
        host.nft("table inet t { set s { type ipv4_addr; flags timeout; size 2; }; set w { type ipv4_addr; flags timeout; }; }");
        let mut channel = Channel::open().expect("a channel");
        let now = channel.generation().expect("a generation");
        let all: Vec<&[u8]> = KEYS.iter().map(|key| &key[..]).collect();
        let refused = |result: Result<(), BatchError>| match result {
            Err(BatchError::Refused(words)) => words,
            other => panic!("{other:?}"),
        };
        let full = refused(channel.load(adding("s", &all), Some(now)));
        assert!(full.starts_with("cannot add to the set s: element 3: "), "{full}");
        let wrong = refused(channel.load(adding("w", &[all[0], &[1, 2], all[1]]), Some(now)));
        assert!(wrong.starts_with("cannot add to the set w: element 2: "), "{wrong}");
        let mut missing = Batch::new("t");
        missing.delete("w", [all[0]]);
        let said = refused(channel.load(missing, Some(now)));
        assert!(said.starts_with("cannot take out of the set w") && said.contains("No such file"), "{said}");
        let said = refused(channel.load(adding("nowhere", &all[..1]), Some(now)));
        assert!(said.contains("nowhere"), "{said}");
        assert_eq!(channel.generation().expect("the same"), now, "nothing was changed");

        channel.load(adding("w", &all), Some(now)).expect("all of them");
        let held = channel.element("t", "w", all[1]).expect("asked").and_then(|held| held.left).expect("a time");
        assert!((50_000..=60_000).contains(&held), "{held} ms");
        assert_eq!(channel.element("t", "w", &[192, 0, 2, 9]).expect("asked"), None);
        let stale = channel.load(adding("w", &all), Some(now));
        assert!(matches!(stale, Err(BatchError::Overtaken)), "{stale:?}");
        host.nft("add element inet t w { 192.0.2.77 }");
        assert_eq!(channel.element("t", "w", &[192, 0, 2, 77]).expect("asked"), Some(Held { left: None }));
        assert!(channel.load(adding("w", &all), Some(now + 1)).is_err(), "another program was faster");
        channel.load(adding("w", &all), Some(now + 2)).expect("the generation of now");
    });
}
