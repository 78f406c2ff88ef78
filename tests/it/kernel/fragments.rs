//! Later fragments against the kernel: what nft reads of them, and where connection tracking puts them together before.

use super::in_namespace;
use afo::backend::nftables::read;
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
            let ruleset = read(&lab.load(&text).unwrap_or_else(|e| panic!("{text}: {e}"))).expect("a listing");
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
