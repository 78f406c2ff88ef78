//! Translations through iptables, both kinds: what they do to connections inside the window and after it, and that nothing is left behind.

use super::deploy_iptables::{Site, words};
use super::{Host, Peer, eventually, in_namespace};
use afo::backend::iptables::Iptables;
use afo::backend::{Backend, Extent};
use afo::rule::Rule;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const FORWARDED: &str = r#"{"id":"n1","action":"dnat","direction":"forward","interface_in":["wan0"],"protocol":["tcp"],"destination_port":["80"],"nat":{"address":"10.0.0.5","port":"8080"}},
{"id":"n2","action":"accept","direction":"forward","destination_address":["10.0.0.5"],"protocol":["tcp"],"destination_port":["8080"]},
{"id":"n3","action":"masquerade","direction":"forward","interface_out":["lan0"],"protocol":["tcp"],"nat":{"port":"2000-2999"}}"#;

/// Somebody else's rules: nothing is forwarded but what is established.
const FOREIGN: &str = "iptables -P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
for p in iptables ip6tables; do $p -t nat -N theirs; $p -t nat -A POSTROUTING -p udp -j theirs; done";

fn forwarded() -> String {
    FORWARDED.replace('\n', "")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Two networks with this host between them.
struct Street<'a> {
    site: Site<'a>,
    outside: Peer,
    _inside: Peer,
    sources: Receiver<SocketAddr>,
}

impl<'a> Street<'a> {
    fn new(host: &'a Host, kind: &str) -> Self {
        let outside = host.peer("wan0", address("198.51.100.1"), address("198.51.100.9"), 24);
        let inside = host.peer("lan0", address("10.0.0.1"), address("10.0.0.5"), 24);
        let site = Site::new(host, kind);
        host.sh("sysctl -qw net.ipv4.ip_forward=1");
        host.sh(FOREIGN);
        let listener = inside.inside(|| TcpListener::bind("10.0.0.5:8080").expect("a listener"));
        let (sender, sources) = channel();
        std::thread::spawn(move || {
            while let Some(from) = super::nat::seen_from(&listener) {
                sender.send(from).expect("somebody waits")
            }
        });
        Self { site, outside, _inside: inside, sources }
    }

    fn reaches(&self) -> bool {
        let to = SocketAddr::new(address("198.51.100.1"), 80);
        self.outside.inside(move || super::nat::answered(to))
    }
}

fn the_whole_way(host: &Host, kind: &str) {
    let street = Street::new(host, kind);
    let site = &street.site;
    let before = site.saved();
    assert!(!street.reaches(), "nothing is led there yet");
    let mut lapsing = site.start(5, &forwarded());
    assert!(street.reaches(), "inside the window: {}", site.saved());
    let from = street.sources.recv_timeout(Duration::from_secs(5)).expect("it was seen");
    assert_eq!(from.ip(), address("10.0.0.1"), "masqueraded");
    assert!((2000..3000).contains(&from.port()), "{from}");
    assert_eq!(lapsing.wait().expect("ended").code(), Some(4));
    assert!(!street.reaches(), "{}", site.saved());
    assert_eq!(site.saved(), before, "exactly what was there");

    // The process dies inside the window: the kernel alone goes back.
    let mut killed = site.start(4, &forwarded());
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    assert!(street.reaches());
    eventually("the kernel's own way back", || !street.reaches());
    site.recovers();
    assert_eq!(site.saved(), before);

    site.confirm(site.start(300, &forwarded()));
    assert!(street.reaches());
    let confirmed = site.saved();
    assert!(
        !confirmed.contains("datestart") && confirmed.contains("--comment n1 -j DNAT --to-destination 10.0.0.5:8080"),
        "{confirmed}"
    );
    let list = site.deploy(&["list", "--json"], "");
    assert!(words(&list).contains(r#""packets":"#), "{}", words(&list));
    wiped(&street, &confirmed);

    // A window without them ends as it began; confirmed, nothing of AFO is in the nat table any more.
    let gone = r#"{"kind":"proposal","v":1,"id":"gone","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[],"changes":[{"op":"remove","target":"n1"},{"op":"remove","target":"n3"}],"explanation":"a test"}"#;
    let out = site.deploy(&["--backend", "iptables", "--confirm=2"], gone);
    assert_eq!(out.status.code(), Some(4), "{}", words(&out));
    assert_eq!((numbered(&site.saved()), street.reaches()), (numbered(&confirmed), true));
    site.confirm(site.begin(300, &gone.replace("\"gone\"", "\"again\"")));
    assert!(!street.reaches() && !host.sh("iptables -t nat -S").contains("AFO"), "{}", site.saved());
    let out = site.deploy(&["flush-afo"], "");
    assert!(out.status.success(), "{}", words(&out));
    assert_eq!(site.saved(), before);
}

/// The lines of dumps in any order, without the numbers of generations.
pub(super) fn numbered(saved: &str) -> Vec<String> {
    let number = |line: &str| -> Option<String> {
        let (before, rest) = line.split_once("AFO-g")?;
        Some(format!("{before}AFO-g{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())))
    };
    let line = |line: &str| {
        let words: Vec<String> = line.split(' ').map(|word| number(word).unwrap_or(word.to_owned())).collect();
        words.join(" ")
    };
    let mut lines: Vec<String> = saved.lines().map(line).collect();
    lines.sort();
    lines
}

/// What another program takes away comes back, word by word.
fn wiped(street: &Street, confirmed: &str) {
    let site = &street.site;
    for wipe in [
        "iptables -t nat -F AFO-PREROUTING",
        "iptables -t nat -F \"$(iptables -t nat -S | sed -n 's/^-N \\(AFO-g[0-9]*-PREROUTING\\)$/\\1/p')\"",
        "iptables -t nat -D PREROUTING -m comment --comment afo -j AFO-PREROUTING",
        "iptables -F \"$(iptables -S | sed -n 's/^-N \\(AFO-g[0-9]*-FORWARD\\)$/\\1/p')\"",
    ] {
        site.host.sh(wipe);
        assert!(!street.reaches(), "{wipe}");
        site.recovers();
        assert!(street.reaches(), "{wipe}: {}", site.saved());
        assert_eq!(numbered(&site.saved()), numbered(confirmed), "{wipe}");
    }
}

#[test]
fn a_port_is_forwarded_through_iptables_nft() {
    in_namespace(|host| the_whole_way(host, "nft"));
}

#[test]
fn a_port_is_forwarded_through_iptables_legacy() {
    in_namespace(|host| the_whole_way(host, "legacy"));
}

/// The packets of each translation and where it leads them.
fn understood(dump: &str) -> Vec<(String, String)> {
    super::nat::translating(&afo::backend::iptables::read(dump).unwrap_or_else(|e| panic!("{e}\n{dump}")))
}

#[test]
fn every_form_is_taken_and_saved_as_it_was_meant() {
    in_namespace(|host| {
        let mut taken = 0;
        for mut form in super::nat::forms() {
            // iptables-save of the nft kind adds to hours the last day that it knows.
            form.as_object_mut()
                .expect("fields")
                .retain(|name, _| !["ttl_seconds", "schedule"].contains(&name.as_str()));
            let rule: Rule = serde_json::from_value(form.clone()).unwrap_or_else(|e| panic!("{form}: {e}"));
            for (program, own) in [(Iptables::V4, "iptables"), (Iptables::V6, "ip6tables")] {
                let Ok(native) = program.render(std::slice::from_ref(&rule), Extent::Host) else { continue };
                let meant = understood(&native.text);
                assert!(!meant.is_empty(), "{form}: {}", native.text);
                for kind in ["nft", "legacy"] {
                    let restore = |options: &[&str], text: &str| {
                        let mut command = std::process::Command::new(format!("{own}-{kind}-restore"));
                        let out = super::feed(command.args(options), text.as_bytes());
                        assert!(out.status.success(), "{own} {kind}: {}\n{text}", words(&out));
                    };
                    restore(&["--test", "--noflush"], &native.text);
                    restore(&["--noflush"], &native.text);
                    assert_eq!(understood(&host.sh(&format!("{own}-{kind}-save"))), meant, "{kind}: {}", native.text);
                    restore(&[], "*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n");
                    taken += 1;
                }
            }
        }
        assert!(taken > 100, "{taken}");
    });
}
