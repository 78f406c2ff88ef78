//! Later fragments against the kernel: what nft reads of them, and where connection tracking puts them together before.

use super::in_namespace;
use super::oracle::{algebra::judge_all, loaded};
use afo::backend::nftables::{Heads, read};
use afo::rule::Packet;
use afo::rule::evaluate::evaluate;
use afo::sys::lab::Lab;
use std::net::UdpSocket;
use std::time::Duration;

const V4: &str = "forward eth0 eth1 10.0.0.1:43981 > 192.0.2.2:4660 tcp fragment syn";
const SHORT: &str = "forward eth0 eth1 10.0.0.1 > 192.0.2.2 tcp fragment short";
const WHOLE: &str = "forward eth0 eth1 10.0.0.1:43981 > 192.0.2.2:4660 tcp syn";
const ICMP: &str = "forward eth0 eth1 10.0.0.1 > 192.0.2.2 icmp fragment 171/205";
const V6: &str = "forward eth0 eth1 [2001:db8::1]:24577 > [2001:db8::2]:0 tcp fragment";
const ICMP6: &str = "forward eth0 eth1 2001:db8::1 > 2001:db8::2 icmpv6 fragment";

/// A rule that drops what it matches, a packet, and whether it passes.
const CASES: [(&str, &str, bool); 30] = [
    ("tcp dport 4660", V4, false),
    ("tcp dport 22", V4, true),
    ("tcp dport != 22", V4, false),
    ("tcp dport != 22", SHORT, true),
    ("tcp dport { 22, 4660 }", V4, false),
    ("tcp sport 43981", V4, false),
    ("th dport 4660", V4, false),
    ("tcp flags syn", V4, false),
    ("tcp flags & (syn | ack) == syn", V4, false),
    ("tcp flags != syn", SHORT, true),
    ("tcp dport . ip saddr { 4660 . 10.0.0.1 }", V4, false),
    ("udp dport 4660", V4, true),
    ("meta l4proto tcp", SHORT, false),
    ("icmp type 171", ICMP, false),
    ("icmp type != 1", ICMP, false),
    ("icmp code 205", ICMP, false),
    ("icmp code 204", ICMP, true),
    ("ip frag-off & 0x1fff != 0", V4, false),
    ("ip frag-off & 0x1fff != 0", SHORT, false),
    ("ip frag-off & 0x1fff != 0", WHOLE, true),
    ("ip frag-off & 0x1fff == 0", V4, true),
    // In IPv6 the beginning of the packet is read: version, class, label of the flow, and a byte of the source.
    ("tcp sport 24577", V6, false),
    ("tcp sport < 24576", V6, true),
    ("tcp dport != 22", V6, false),
    ("tcp flags syn", V6, true),
    ("tcp flags != syn", V6, false),
    ("meta l4proto tcp", V6, false),
    ("icmpv6 type 96", ICMP6, false),
    ("icmpv6 type != 1", ICMP6, false),
    ("icmpv6 type echo-request", ICMP6, true),
];

/// The same on the way out, where a packet begins with its frame: twice the hardware address of a cable, 02:00:00:00:00:01, and 86dd.
const LEAVING: [(&str, &str, bool); 14] = [
    ("tcp sport 512", V6, false),
    ("tcp dport 0", V6, false),
    ("tcp dport 1-65535", V6, true),
    ("tcp sport 24577", V6, true),
    ("tcp flags & 0xff == 0xdd", V6, false),
    ("tcp flags syn", V6, true),
    ("icmpv6 type 2", ICMP6, false),
    ("icmpv6 code 0", ICMP6, false),
    ("icmpv6 type 96", ICMP6, true),
    ("meta l4proto tcp", V6, false),
    ("meta l4proto udp", V6, true),
    ("ip6 saddr 2001:db8::1", V6, false),
    ("tcp dport 4660", V4, false),
    ("tcp dport 4661", V4, true),
];
/// Those of them that a model decides without the frame.
const KNOWN: [&str; 4] = ["meta l4proto", "ip6 saddr", "tcp dport 4660", "tcp dport 4661"];

fn sent(lab: &mut Lab, packet: &str, tracks: bool) -> afo::sys::lab::Seen {
    let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    lab.send(&[packet], tracks).expect("it is sent").pop().flatten().expect("it can be sent")
}

#[test]
fn nft_reads_what_a_later_fragment_carries() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (rule, packet, passes) in CASES {
            let text = format!("table inet t {{ chain f {{ type filter hook forward priority 0; {rule} drop; }}; }}");
            let ruleset = loaded(&mut lab, &text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let seen = sent(&mut lab, packet, false);
            let luck = &mut |_, text: &str| -> bool { panic!("{rule}: luck: {text}") };
            let trace = evaluate(&ruleset, &seen.sent, luck).expect("no circle");
            assert_eq!(
                (seen.passed, trace.fate.passes()),
                (passes, passes),
                "{rule}: {}: {:?}",
                seen.sent,
                seen.events
            );
        }
    });
}

#[test]
fn nft_reads_the_frame_of_a_later_fragment_that_leaves() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (rule, packet, passes) in LEAVING {
            let text = format!(
                "table netdev t {{ chain e {{ type filter hook egress device eth1 priority 0; {rule} drop; }}; }}"
            );
            let ruleset = loaded(&mut lab, &text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let seen = sent(&mut lab, packet, false);
            assert_eq!(seen.passed, passes, "{rule}: {}: {:?}", seen.sent, seen.events);
            let fate = |lucky| evaluate(&ruleset, &seen.sent, &mut |_, _| lucky).expect("no circle").fate.passes();
            let told = if KNOWN.iter().any(|known| rule.starts_with(known)) { [passes; 2] } else { [false, true] };
            assert_eq!([fate(true), fate(false)], told, "{rule}: {}", seen.sent);
            assert_eq!(judge_all(&ruleset, &seen), Ok(()), "{rule}");
        }
    });
}

/// The first fragment has its transport header, and is a fragment all the same to what looks for its header of IPv6.
#[test]
fn a_first_fragment_is_read_like_a_whole_packet() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let v6 = "forward eth0 eth1 [2001:db8::1]:43981 > [2001:db8::2]:4660 tcp syn";
        for (rule, packet, passes) in [
            ("tcp dport 4660", WHOLE, false),
            ("tcp dport 4661", WHOLE, true),
            ("tcp flags syn", WHOLE, false),
            ("ip frag-off & 0x1fff == 0", WHOLE, false),
            ("ip frag-off & 0x1fff != 0", WHOLE, true),
            ("ip frag-off & 0x2000 != 0", WHOLE, false),
            ("ip frag-off 0", WHOLE, true),
            ("tcp dport 4660", v6, false),
            ("tcp sport 22", v6, true),
            ("meta l4proto tcp", v6, false),
            ("exthdr frag exists", v6, false),
            ("ip6 nexthdr tcp", v6, true),
        ] {
            let text = format!("table inet t {{ chain f {{ type filter hook forward priority 0; {rule} drop; }}; }}");
            let ruleset = loaded(&mut lab, &text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
            let seen =
                lab.send_first_fragments(&[packet]).expect("it is sent").pop().flatten().expect("it can be sent");
            assert_eq!(seen.passed, passes, "{rule}: {:?}", seen.events);
            if rule != "ip6 nexthdr tcp" {
                assert_eq!(judge_all(&ruleset, &seen), Ok(()), "{rule}");
            }
        }
    });
}

/// Chain by chain: those before nf_defrag see later fragments of what is tracked, those behind it do not.
#[test]
fn early_chains_see_fragments_of_what_is_tracked() {
    let chain = |name: &str, hook: &str| {
        format!("chain {name} {{ type filter hook {hook}; ip frag-off & 0x1fff != 0 counter comment \"{name}\"; }}\n")
    };
    let (link, early) = (chain("link", "ingress device veth0 priority 0"), chain("early", "prerouting priority -401"));
    let (behind, late) = (chain("behind", "prerouting priority -399"), chain("late", "input priority 0"));
    let text = format!(
        "table netdev n {{ {link} }}\ntable inet t {{ {early} {behind} {late} chain asks {{ ct state new; }}; }}"
    );
    in_namespace(|host| {
        let us =
            host.peer("veth0", "10.9.0.1".parse().expect("an address"), "10.9.0.2".parse().expect("an address"), 24);
        host.nft(&text);
        us.inside(|| large("10.9.0.1:9"));
        let listing = host.sh("nft list ruleset");
        let counts = |line: &&str| line.contains("counter packets") && !line.contains("packets 0 ");
        let comment = |line: &str| line.split('"').nth(1).expect("a comment").to_owned();
        let counted: Vec<_> = listing.lines().filter(counts).map(comment).collect();
        assert_eq!(counted, ["link", "early"], "{listing}");
        let mut ruleset = read(&host.sh("nft -j list ruleset")).expect("a listing");
        Heads::of(&host.sh("nft -s -t list ruleset")).amend(&mut ruleset);
        let packet: Packet = "input veth0 10.9.0.2 > 10.9.0.1 udp fragment".parse().expect("a packet");
        let trace = evaluate(&ruleset, &packet, &mut |_, text| panic!("luck: {text}")).expect("no circle");
        let passed: Vec<_> = trace.passed.iter().filter_map(|at| ruleset.line(*at)?.comment.clone()).collect();
        assert_eq!(passed, counted);
    });
}

/// Sends a datagram that takes three frames.
fn large(to: &str) {
    let from = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(from).expect("a socket");
    let (datagram, mut tries) = (vec![0; 4000], 0);
    // The first one waits for the neighbour's hardware address, and its fragments may not all fit into the queue.
    while tries < 3 {
        drop(socket.send_to(&datagram, to));
        std::thread::sleep(Duration::from_millis(100));
        tries += 1;
    }
}

/// What is for this host is put together before its input hook, though nothing tracks connections: of IPv4, and not of IPv6.
#[test]
fn what_is_for_this_host_comes_whole() {
    in_namespace(|host| {
        let us =
            host.peer("veth0", "10.9.0.1".parse().expect("an address"), "10.9.0.2".parse().expect("an address"), 24);
        host.sh("ip addr add fd09::1/64 dev veth0 nodad");
        us.sh("ip addr add fd09::2/64 dev eth0 nodad");
        let counting = "ip frag-off & 0x1fff != 0 counter; exthdr frag exists counter; udp dport 9 counter drop;";
        host.nft(&format!("table inet t {{ chain i {{ type filter hook input priority 0; {counting} }}; }}"));
        us.inside(|| ["10.9.0.1:9", "[fd09::1]:9"].into_iter().for_each(large));
        let listing = host.sh("nft list chain inet t i");
        let zero: Vec<_> =
            listing.lines().filter(|l| l.contains("counter")).map(|l| l.contains("packets 0 ")).collect();
        assert_eq!(zero, [true, false, false], "{listing}");
    });
    let ruleset = read(
        r#"{"nftables":[{"chain":{"family":"inet","table":"t","name":"i","type":"filter","hook":"input","prio":0,"policy":"drop"}}]}"#,
    );
    let ruleset = ruleset.expect("a listing");
    for (packet, passes) in
        [("input eth0 10.0.0.1 > 10.0.0.2 udp fragment", true), ("input eth0 ::1 > ::2 udp fragment", false)]
    {
        let fate = evaluate(&ruleset, &packet.parse().expect(packet), &mut |_, _| false).expect("no circle").fate;
        assert_eq!(fate.passes(), passes, "{packet}");
    }
}

/// Chains behind the priority of nf_defrag never see a part of a packet once a rule asks for its connection; each family for itself.
#[test]
fn connection_tracking_puts_fragments_together() {
    let rules =
        "ip frag-off & 0x1fff != 0 counter name \"v4\"; meta l4proto tcp exthdr frag exists counter name \"v6\";";
    in_namespace(|host| {
        let us =
            host.peer("veth0", "10.9.0.1".parse().expect("an address"), "10.9.0.2".parse().expect("an address"), 24);
        host.sh("ip addr add fd09::1/64 dev veth0 nodad");
        us.sh("ip addr add fd09::2/64 dev eth0 nodad");
        for (asks, gathered) in [("", [false; 2]), ("table ip u { chain c { ct state new; }; }", [true, false])] {
            host.nft(&format!(
                "flush ruleset\n{asks}\ntable inet t {{ counter v4 {{ }}\n counter v6 {{ }}\n counter early {{ }}
                   chain e {{ type filter hook prerouting priority -450; ip frag-off & 0x1fff != 0 counter name early; }}
                   chain p {{ type filter hook prerouting priority 0; {} }}; }}",
                rules.replace("meta l4proto tcp ", "")
            ));
            us.inside(|| ["10.9.0.1:9", "[fd09::1]:9"].into_iter().for_each(large));
            let listing = host.sh("nft -j list ruleset");
            let count = |name: &str| {
                let all: serde_json::Value = serde_json::from_str(&listing).expect("JSON");
                let of =
                    |o: &serde_json::Value| o["counter"]["packets"].as_u64().filter(|_| o["counter"]["name"] == name);
                all["nftables"].as_array().expect("a list").iter().find_map(of).expect("a counter")
            };
            assert_eq!([count("v4") == 0, count("v6") == 0], gathered, "{asks}: {listing}");
            assert!(count("early") > 0, "{asks}: {listing}");
            assert_eq!(read(&listing).expect("a listing").tracked(), gathered, "{asks}");
        }
    });
}
