//! Questions: what they mean, what is refused, and that no text makes the reader panic.

use super::*;
use crate::rule::Packet;
use proptest::prelude::*;

fn names() -> Names {
    let context: Context = serde_json::from_value(serde_json::json!({
        "interfaces": [
            {"name": "wan0", "addresses": ["198.51.100.10/24"]}, {"name": "lan0", "addresses": ["10.10.0.1/24", "2001:db8::1/64"]},
            {"name": "guest1", "addresses": []},
        ],
        "zones": {"guest": ["guest*"], "lan": ["lan0"], "both": ["lan0", "guest1"]},
        "hosts": {"db": ["10.10.0.5"], "twice": ["10.0.0.1"], "lan0": ["10.0.0.2"]},
        "services": {"ledger": ["tcp/5432", "udp/5432"]},
    }))
    .expect("a context");
    Names::of(&context)
}

fn query(text: &str) -> Query {
    Query::parse(text, &names()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn holds(query: &Query, packet: &str) -> usize {
    let mut packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    // What has no flags is asked about by no rule of flags.
    if packet.protocol != Protocol::TCP {
        packet.tcp_flags = SYN;
    }
    query.cells.iter().filter(|(direction, cell)| *direction == packet.direction && packet.is_in(cell)).count()
}

#[test]
fn a_question_holds_the_packets_that_it_says() {
    for (text, inside, outside) in [
        (
            "what from guest may reach 10.10.0.0/24?",
            &["forward guest1 lan0 10.9.0.1:1 > 10.10.0.5:22 tcp syn", "input guest9 10.9.0.1:1 > 10.10.0.1:53 udp"][..],
            &[
                "forward lan0 lan0 10.9.0.1:1 > 10.10.0.5:22 tcp syn",
                "forward guest1 lan0 10.9.0.1:1 > 10.11.0.5:22 tcp syn",
                "forward guest1 lan0 10.9.0.1:1 > 10.10.0.5:22 tcp syn established",
                "forward guest1 lan0 10.9.0.1:1 > 10.10.0.5:22 tcp ack",
                // What is addressed to this host is not forwarded, what is not does not come in.
                "forward guest1 lan0 10.9.0.1:1 > 10.10.0.1:22 tcp syn",
                "input guest1 10.9.0.1:1 > 10.10.0.5:22 tcp syn",
            ][..],
        ),
        (
            "from any to this-host proto tcp port 22,80-90 state any flags any",
            &[
                "input wan0 203.0.113.9:1 > 198.51.100.10:22 tcp ack established",
                "input wan0 203.0.113.9:1 > 198.51.100.10:85 tcp none",
            ],
            &[
                "input lo 203.0.113.9:1 > 198.51.100.10:22 tcp ack",
                "forward wan0 lan0 203.0.113.9:1 > 198.51.100.10:22 tcp syn",
            ],
        ),
        (
            "output from this-host to db service ledger",
            &["output lan0 10.10.0.1:1 > 10.10.0.5:5432 udp"],
            &["output lan0 10.10.0.1:1 > 10.10.0.5:5433 udp"],
        ),
        ("on lo", &["input lo 127.0.0.1:1 > 127.0.0.1:2 udp"], &["input wan0 127.0.0.1:1 > 127.0.0.1:2 udp"]),
        (
            "from both to lan icmp 8",
            &["forward lan0 lan0 10.0.0.1 > 10.0.0.2 icmp 8"],
            &["forward lan0 lan0 10.0.0.1 > 10.0.0.2 icmp 0"],
        ),
        (
            "from 2001:db8::/32,db sport 53",
            &["input wan0 [2001:db8::7]:53 > [2001:db8::1]:9 udp", "forward lan0 wan0 10.10.0.5:53 > 192.0.2.1:9 udp"],
            &["input wan0 10.10.0.6:53 > 192.0.2.1:9 udp"],
        ),
    ] {
        let query = query(text);
        inside.iter().for_each(|packet| assert_eq!(holds(&query, packet), 1, "{text}: {packet}"));
        outside.iter().for_each(|packet| assert_eq!(holds(&query, packet), 0, "{text}: {packet}"));
    }
}

#[test]
fn what_goes_without_saying_is_said() {
    let said = query("from guest").assumed;
    assert_eq!(
        said,
        ["asked of packets that begin a connection (state new, tcp flags syn); `state any flags any` asks of all"]
    );
    assert_eq!(query("from 10.0.0.1 state any").assumed, ["loopback is left out, as its interface is not named"]);
}

#[test]
fn what_is_not_understood_is_named() {
    for (text, words) in [
        (
            "from gest",
            "`gest` is no address and no name of a zone, an interface or a host; known are both, db, guest, guest1, lan, lan0, twice, wan0",
        ),
        ("from lan0", "`lan0` is an interface or zone and a host"),
        (
            "from guest via lan",
            "`via` is not understood; from, to, on, proto, port, sport, service, state, flags, icmp, input, forward and output are",
        ),
        ("from guest from lan", "`from` stands twice"),
        ("input forward", "`forward` stands twice"),
        ("proto tcp port", "`port` lacks what it is about"),
        ("proto tpc", "`tpc` is not a protocol; a name such as tcp or a number up to 255 is"),
        ("port 70000", "port 70000 is above 65535"),
        ("service gopher", "`gopher` is no service that is known here; `proto tcp port 22` is one"),
        ("state fresh", "`fresh` is none of new, established, related, invalid, untracked"),
        ("proto icmp port 22", "`proto icmp port 22`: no packet can be so"),
        ("input to guest", "`input to guest`: no packet can be so"),
    ] {
        assert_eq!(Query::parse(text, &names()).expect_err(text).to_string(), words);
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,40}|((from|to|on|port|proto|state|flags|icmp|service) [a-z0-9.,:/-]{0,12} ?){0,5}") {
        if let Ok(query) = Query::parse(&text, &names()) {
            prop_assert!(!query.cells.is_empty() && query.cells.iter().all(|(_, cell)| !cell.is_empty()));
            for (n, (direction, cell)) in query.cells.iter().enumerate() {
                let others = query.cells[..n].iter().filter(|(d, _)| d == direction);
                prop_assert!(others.clone().all(|(_, other)| other.is_disjoint(cell)), "no packet is in two");
            }
        }
    }
}
