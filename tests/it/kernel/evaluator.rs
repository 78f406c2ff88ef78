//! The plain evaluator against the kernel: datagrams over loopback, through rulesets of every kind of verdict and condition.

use super::{Host, feed, in_namespace};
use afo::backend::nftables::read;
use afo::rule::evaluate::{Fate, Lost, evaluate};
use afo::rule::ruleset::{Hook, Outcome, Ruleset, Verdict};
use afo::rule::{Direction, Packet};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

const SOURCES: [&str; 6] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "fd00::3"];
const DESTINATIONS: [&str; 4] = ["10.0.1.1", "10.0.1.2", "fd00:1::1", "fd00:1::2"];
const SOURCE_PORTS: [u16; 2] = [5000, 5001];
const PORTS: [u16; 4] = [53, 54, 80, 81];

/// Rulesets by hand, each for one corner of the kernel's semantics.
const BY_HAND: [&str; 14] = [
    // Only drop is final; an accept ends its own base chain.
    "table inet a { chain c { type filter hook input priority -10; udp dport 53 accept; udp dport 54 drop; }; }
     table ip b { chain c { type filter hook input priority 0; udp dport 53 ip saddr 10.0.0.1 drop; }; }
     table ip6 b { chain c { type filter hook input priority 0; policy drop; ip6 saddr fd00::1 accept; }; }",
    // Jumps come back, goto does not, return in a base chain is the policy.
    "table inet a {
       chain leaf { ip saddr 10.0.0.1 return; ip saddr 10.0.0.2 drop; }
       chain sub { udp dport 80 goto leaf; udp dport 81 jump leaf; udp sport 5001 drop; }
       chain c { type filter hook input priority 0; policy drop; udp dport 53 return; jump sub; udp dport { 54, 80, 81 } accept; }
     }",
    // Verdict maps, with and without names, intervals and concatenations.
    "table inet a {
       map m { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.1 : drop, 10.0.0.2-10.0.0.9 : jump s }; }
       chain s { udp dport 81 drop; }
       chain c { type filter hook input priority 0; ip saddr vmap @m; udp dport vmap { 53 : accept, 54 : drop }
         ip6 saddr . udp dport vmap { fd00::1 . 80 : drop, fd00::2 . 81 : drop }; }
     }",
    // Sets, negations, ranges, prefixes, masks.
    "table inet a {
       set s { type ipv4_addr; flags interval; elements = { 10.0.0.2/31 }; }
       set t { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 53, 10.0.0.2 . 80 }; }
       chain c { type filter hook input priority 0; ip saddr . udp dport @t drop; ip saddr != @s udp dport != 53 drop
         ip saddr & 255.255.255.254 == 10.0.0.2 udp dport >= 81 drop; ip6 saddr fd00::2/127 udp sport != 5000-5000 drop; }
     }",
    // What a packet of one hook has no interface for.
    "table inet a {
       chain o { type filter hook output priority 0; iifname != \"eth0\" udp dport 53 drop; oifname \"lo\" udp dport 54 drop; iifname \"lo\" drop; }
       chain i { type filter hook input priority 0; oifname \"lo\" drop; iifname \"l*\" udp dport 80 ip saddr 10.0.0.1 drop; iif lo udp dport 81 drop; }
     }",
    // Prerouting and postrouting; reject; states.
    "table inet a {
       chain p { type filter hook prerouting priority mangle - 1; udp dport 53 ip saddr 10.0.0.3 drop; }
       chain q { type filter hook postrouting priority 0; udp dport 54 ip6 daddr fd00:1::2 drop; }
       chain c { type filter hook input priority 0; ct state invalid drop; ct state new udp dport 80 reject; ct state != new udp dport 81 drop; }
     }",
    // A mark set by one rule is seen by the next.
    "table inet a { chain c { type filter hook input priority 0; udp dport 53 meta mark set 7; ip saddr 10.0.0.1 meta mark set 8; meta mark 7 drop; meta mark != 0 udp dport 80 drop; }; }",
    // Families, protocols, the transport header whatever it is.
    "table inet a { chain c { type filter hook input priority 0; meta nfproto ipv6 udp dport 53 drop; meta l4proto udp th dport 54 drop; meta l4proto != udp drop; meta protocol ip udp dport 80 drop; tcp dport 81 drop; }; }",
    // Statements that decide nothing.
    "table inet a { chain c { type filter hook input priority 0; udp dport 53 counter; udp dport 53 log; udp dport 53 continue; notrack; meta nftrace set 0
       udp dport 53 ip saddr 10.0.0.2 drop; udp dport 54 counter drop; }; }",
    // What is known of a connection, and what packets of loopback do not have: hardware addresses and tags.
    "table inet a { chain c { type filter hook input priority 0; ether saddr != 52:54:00:12:34:56 udp dport 53 drop; ether daddr 00:00:00:00:00:00 udp dport 80 drop
       vlan id != 5 udp dport 54 drop; ct direction reply drop; ct mark != 0 drop; ct status seen-reply drop
       ct mark 0 ct direction original udp dport 81 ip saddr 10.0.0.1 drop; }; }",
    // Marks under masks.
    "table inet m { chain c { type filter hook input priority 1; udp dport 53 meta mark set 0x1000007; meta mark & 0xff000000 == 0x1000000 ip saddr 10.0.0.1 drop
       meta mark & 0xff000000 == 0 udp dport 80 drop; meta mark & 0xffffff00 != 0 ip6 saddr fd00::1 drop; }; }",
    // A device's own chain comes first; its accept is not final either, nor is that of one of two chains of equal priority.
    "table netdev n { chain c { type filter hook ingress device \"lo\" priority 0; udp dport 53 ip saddr 10.0.0.1 drop; ip6 saddr fd00::2 accept; udp dport 80 drop; }; }
     table inet a { chain c { type filter hook input priority 0; ip6 saddr fd00::2 udp dport 80 drop; };
       chain d { type filter hook input priority 0; udp dport 81 accept; ip saddr 10.0.0.2 drop; }; chain e { type filter hook input priority 0; udp dport 81 ip saddr 10.0.0.3 drop; }; }",
    // Two tables at one priority, of one family and of both: what either drops is dropped, whichever comes first.
    "table inet a { chain c { type filter hook input priority 0; policy drop; udp dport { 53, 80 } accept; udp dport 54 ip saddr 10.0.0.1 accept; }; }
     table inet b { chain c { type filter hook input priority 0; udp dport 80 drop; udp dport 81 accept; }; }
     table ip a { chain c { type filter hook input priority 0; udp dport 53 ip saddr 10.0.0.2 drop; udp dport 54 accept; }; }
     table ip6 a { chain c { type filter hook input priority 0; policy drop; ip6 saddr != fd00::3 accept; }; }",
    // Tables of one family beside one of both, each with a policy.
    "table ip a { chain c { type filter hook input priority 0; policy drop; ip saddr != 10.0.0.3 accept; }; }
     table ip6 a { chain c { type filter hook prerouting priority 10; policy accept; ip6 daddr fd00:1::2 drop; }; }
     table inet a { chain c { type filter hook input priority -1; policy drop; udp dport { 53, 54 } accept; udp dport 80 meta nfproto ipv6 accept; }; }",
];

/// Numbers that are the same in each run.
struct Draw(u64);

impl Draw {
    fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        from[usize::try_from((self.0 >> 33) % from.len() as u64).expect("small")]
    }
}

/// Of these one may stand before one of the others: nft refuses what contradicts itself.
const NETWORK: [&str; 7] = [
    "ip saddr 10.0.0.1",
    "ip saddr != 10.0.0.2",
    "ip6 saddr { fd00::1, fd00::3 }",
    "ip6 daddr fd00:1::1",
    "ip daddr 10.0.1.0/31",
    "meta nfproto ipv4",
    "",
];

const OTHERS: [&str; 7] = [
    "udp dport 53",
    "udp dport { 54, 80-81 }",
    "udp dport != 80",
    "udp sport > 5000",
    "ct state new",
    "iifname \"lo\"",
    "",
];

fn rules(draw: &mut Draw, verdicts: &[&str]) -> String {
    let rule = |draw: &mut Draw| format!("{} {} {}", draw.of(&NETWORK), draw.of(&OTHERS), draw.of(verdicts));
    (0..5).map(|_| rule(draw)).collect::<Vec<_>>().join("\n")
}

fn random(draw: &mut Draw) -> String {
    let policy = |draw: &mut Draw| draw.of(&["accept", "drop"]).to_owned();
    let far = ["accept", "drop", "return", "reject", "jump s1", "goto s1", "jump s2", "counter"];
    let mid = ["accept", "drop", "return", "jump s2", "goto s2", "counter"];
    let near = ["accept", "drop", "return", "counter"];
    let (s2, s1) = (rules(draw, &near), rules(draw, &mid));
    let (early, late) = (rules(draw, &far), rules(draw, &far));
    let (a, b) = (policy(draw), policy(draw));
    format!(
        "table inet r {{ chain s2 {{\n{s2}\n}}\nchain s1 {{\n{s1}\n}}
         chain early {{ type filter hook input priority -5; policy {a};\n{early}\n}}
         chain late {{ type filter hook input priority 5; policy {b};\n{late}\n}}\n}}"
    )
}

fn packet(direction: Direction, from: SocketAddr, to: SocketAddr) -> Packet {
    let lo = Some("lo".to_owned());
    Packet {
        interface_in: lo.clone().filter(|_| direction == Direction::Input),
        interface_out: lo.filter(|_| direction == Direction::Output),
        ..Packet::between(direction, from, to, afo::packet::Protocol::UDP)
    }
}

fn passes(ruleset: &Ruleset, from: SocketAddr, to: SocketAddr) -> bool {
    [Direction::Output, Direction::Input].into_iter().all(|direction| {
        let mut no_luck = |_, text: &str| -> bool { panic!("`{text}` is left to luck") };
        evaluate(ruleset, &packet(direction, from, to), &mut no_luck).expect("the kernel took it").fate.passes()
    })
}

fn ways() -> Vec<(SocketAddr, SocketAddr)> {
    let address = |text: &&str| text.parse::<IpAddr>().expect("an address");
    let mut all = Vec::new();
    for source in SOURCES.iter().map(address) {
        for destination in DESTINATIONS.iter().map(address).filter(|d| d.is_ipv4() == source.is_ipv4()) {
            for from in SOURCE_PORTS {
                all.extend(PORTS.map(|port| ((source, from).into(), (destination, port).into())));
            }
        }
    }
    all
}

/// Sends a datagram each way; the numbers of those that came, those that are awaited however late.
fn sent(ways: &[(SocketAddr, SocketAddr)], awaited: &BTreeSet<u16>) -> BTreeSet<u16> {
    let targets: BTreeSet<_> = ways.iter().map(|(_, to)| *to).collect();
    let doors: Vec<_> = targets.iter().map(|to| UdpSocket::bind(to).unwrap_or_else(|e| panic!("{to}: {e}"))).collect();
    for (n, (from, to)) in ways.iter().enumerate() {
        let socket = UdpSocket::bind(from).unwrap_or_else(|e| panic!("{from}: {e}"));
        // A drop on the way out is an error of the sender's.
        let _ = socket.send_to(&u16::try_from(n).expect("few").to_be_bytes(), to);
    }
    let deadline = Instant::now() + super::PATIENCE;
    let mut came = heard(&doors);
    while !awaited.is_subset(&came) && Instant::now() < deadline {
        came.extend(heard(&doors));
    }
    came
}

/// The numbers of the datagrams that are there.
fn heard(doors: &[UdpSocket]) -> BTreeSet<u16> {
    let mut came = BTreeSet::new();
    for door in doors {
        door.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let mut number = [0; 2];
        while door.recv_from(&mut number).is_ok() {
            came.insert(u16::from_be_bytes(number));
        }
    }
    came
}

fn compare(host: &Host, text: &str) -> usize {
    host.nft(&format!("flush ruleset\n{text}"));
    let mut ruleset = read(&host.sh("nft -j list ruleset")).expect("a listing");
    // nft 1.0.6 does not say whose packets a chain of a device sees.
    let bases = ruleset.tables.iter_mut().flat_map(|table| &mut table.chains).filter_map(|chain| chain.base.as_mut());
    bases.filter(|base| base.hook == Hook::Ingress).for_each(|base| base.devices = vec!["lo".to_owned()]);
    let ways = ways();
    let number = |n: usize| u16::try_from(n).expect("few");
    let awaited = (0..ways.len()).filter(|n| passes(&ruleset, ways[*n].0, ways[*n].1)).map(number).collect();
    let came = sent(&ways, &awaited);
    for (n, (from, to)) in ways.iter().enumerate() {
        let (decided, kernel) = (awaited.contains(&number(n)), came.contains(&number(n)));
        assert_eq!(decided, kernel, "{from} > {to} through\n{text}");
    }
    ways.len()
}

#[test]
fn the_evaluator_decides_as_the_kernel_does() {
    in_namespace(|host| {
        for address in SOURCES.iter().chain(&DESTINATIONS) {
            let (length, nodad) = if address.contains(':') { (128, "nodad") } else { (32, "") };
            host.sh(&format!("ip addr add {address}/{length} dev lo {nodad}"));
        }
        let mut draw = Draw(2026);
        let random: Vec<_> = (0..8).map(|_| random(&mut draw)).collect();
        let texts = BY_HAND.iter().map(|text| (*text).to_owned()).chain(random);
        let count: usize = texts.map(|text| compare(host, &text)).sum();
        assert!(count > 1000, "{count} packets were compared");
    });
}

/// Chains that jump one into the other, `depth` of them below a base chain.
fn nested(depth: usize) -> String {
    let chain = |n: usize| {
        let next = if n < depth { format!("jump c{}", n + 1) } else { "drop".to_owned() };
        format!("chain c{n} {{ {next}; }}\n")
    };
    let chains: String = (1..=depth).rev().map(chain).collect();
    format!("table inet t {{\n{chains}chain b {{ type filter hook input priority 0; jump c1; }}\n}}")
}

#[test]
fn jumps_go_as_deep_as_the_kernel_lets_them() {
    in_namespace(|host| {
        for depth in [1, 14, 15] {
            host.nft(&format!("flush ruleset\n{}", nested(depth)));
            let ruleset = read(&host.sh("nft -j list ruleset")).expect("a listing");
            let packet =
                packet(Direction::Input, "10.0.0.1:1".parse().expect("an end"), "10.0.0.2:2".parse().expect("an end"));
            let fate = evaluate(&ruleset, &packet, &mut |_, _| false).map(|trace| trace.fate);
            assert_eq!(fate, Ok(Fate::Dropped), "{depth}");
        }
        let mut deeper = read(&host.sh("nft -j list ruleset")).expect("a listing");
        assert!(!host.try_nft(&format!("flush ruleset\n{}", nested(16))).status.success());
        // The same, one jump deeper than the kernel has it.
        let chains = &mut deeper.tables[0].chains;
        let mut first = chains.iter().find(|chain| chain.name == "c1").expect("a chain").clone();
        let base = chains.iter_mut().find(|chain| chain.name == "b").expect("the base chain");
        base.lines[0].outcome = Outcome::Verdict(Verdict::Jump("c0".to_owned()));
        first.name = "c0".to_owned();
        first.lines[0].outcome = Outcome::Verdict(Verdict::Jump("c1".to_owned()));
        chains.push(first);
        let packet =
            packet(Direction::Input, "10.0.0.1:1".parse().expect("an end"), "10.0.0.2:2".parse().expect("an end"));
        assert_eq!(
            evaluate(&deeper, &packet, &mut |_, _| false).map(|trace| trace.fate),
            Err(Lost::TooDeep("c15".to_owned()))
        );
    });
}

/// A queue ends its base chain by whatever the program says that listens; where none does, by a drop, or with `bypass` by an accept. The
/// rules behind it are never asked, and a later base chain still is.
#[test]
fn a_queue_ends_its_chain_one_way_or_the_other() {
    in_namespace(|host| {
        host.sh("ip addr add 10.0.0.1/32 dev lo; ip addr add 10.0.1.1/32 dev lo");
        let end = |text: &str| text.parse::<SocketAddr>().expect("an end");
        let way = |port: u16| (end("10.0.0.1:5000"), SocketAddr::new(end("10.0.1.1:1").ip(), port));
        for (bypass, passes) in [("", false), (" --queue-bypass", true)] {
            // This kernel may lack the queue of nft's language; that of iptables is the same to a packet (nf_queue).
            let dump = format!(
                "# for iptables-restore\n*filter\n:INPUT ACCEPT\n-A INPUT -p udp -m multiport --dports 53,54 -j NFQUEUE --queue-num 3{bypass}\n\
                 -A INPUT -p udp -m multiport --dports 53 -j DROP\nCOMMIT\n\
                 *security\n:INPUT ACCEPT\n-A INPUT -p udp -m multiport --dports 54 -j DROP\nCOMMIT\n"
            );
            host.nft("flush ruleset");
            let out = feed(&mut Command::new("iptables-nft-restore"), dump.as_bytes());
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let ruleset = afo::backend::iptables::read(&dump).expect("a dump");
            let fate = |port: u16, luck: bool| {
                let packet = packet(Direction::Input, way(port).0, way(port).1);
                evaluate(&ruleset, &packet, &mut |_, _| luck).expect("no circle").fate.passes()
            };
            // Of a queue both are possible; which of them, the kernel says.
            assert_eq!([fate(53, true), fate(53, false), fate(54, true), fate(54, false)], [true, false, false, false]);
            let wanted = if passes { BTreeSet::from([0]) } else { BTreeSet::new() };
            assert_eq!(sent(&[way(53), way(54)], &wanted), wanted, "{dump}");
        }
    });
}

/// Destinations are translated before any filter sees the packet: a packet is described as the filter has it.
#[test]
fn translation_comes_before_filters() {
    in_namespace(|host| {
        let end = |text: &str| text.parse::<SocketAddr>().expect("an end");
        let (from, first, second) = (end("127.0.0.1:5000"), end("127.0.0.1:53"), end("127.0.0.1:54"));
        for (dropped, comes) in [(53, true), (54, false)] {
            host.nft(&format!(
                "flush ruleset
                 table ip n {{ chain o {{ type nat hook output priority -100; udp dport 53 dnat to 127.0.0.1:54; }}; }}
                 table ip f {{ chain i {{ type filter hook input priority 0; udp dport {dropped} drop; }}; }}"
            ));
            let ruleset = read(&host.sh("nft -j list ruleset")).expect("a listing");
            assert_eq!(passes_in(&ruleset, from, second), comes, "{dropped}");
            let door = UdpSocket::bind(second).expect("a door");
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.send_to(b"x", first).expect("sent");
            door.set_read_timeout(Some(if comes { super::PATIENCE } else { Duration::from_secs(1) }))
                .expect("a timeout");
            assert_eq!(door.recv_from(&mut [0; 2]).is_ok(), comes, "{dropped}");
        }
    });
}

/// What a destination is translated to before routing is what the chains of the hook forward see, and so is a packet described. Whether
/// the rule that translates matched is not asked of the packet as it is then.
#[test]
fn what_is_translated_on_its_way_in_is_forwarded_as_what_it_is_then() {
    in_namespace(|host| {
        let end = |text: &str| text.parse::<SocketAddr>().expect("an end");
        let near = host.peer("veth0", end("10.9.0.1:0").ip(), end("10.9.0.2:0").ip(), 24);
        let far = host.peer("veth1", end("10.8.0.1:0").ip(), end("10.8.0.2:0").ip(), 24);
        host.sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
        let door = far.inside(move || TcpListener::bind(end("10.8.0.2:54")).expect("a door"));
        for (dropped, comes) in [(53, true), (54, false)] {
            host.nft(&format!(
                "flush ruleset
                 table ip n {{ chain p {{ type nat hook prerouting priority -100; tcp dport 53 dnat to 10.8.0.2:54; }}; }}
                 table ip f {{ chain f {{ type filter hook forward priority 0; iifname veth0 tcp dport {dropped} drop; }}; }}"
            ));
            let ruleset = read(&host.sh("nft -j list ruleset")).expect("a listing");
            let packet: Packet = "forward veth0 veth1 10.9.0.2:5000 > 10.8.0.2:54 tcp syn".parse().expect("a packet");
            for luck in [false, true] {
                let fate = evaluate(&ruleset, &packet, &mut |_, _| luck).expect("no circle").fate;
                assert_eq!(fate.passes(), comes, "{dropped} {luck}");
            }
            assert_eq!(near.connects(end("10.9.0.1:53")), comes, "{dropped}");
        }
        drop(door);
    });
}

/// Whether a packet comes in; what translates it on its way out is passed over.
fn passes_in(ruleset: &Ruleset, from: SocketAddr, to: SocketAddr) -> bool {
    let mut no_luck = |_, text: &str| -> bool { panic!("`{text}` is left to luck") };
    evaluate(ruleset, &packet(Direction::Input, from, to), &mut no_luck).expect("the kernel took it").fate.passes()
}
