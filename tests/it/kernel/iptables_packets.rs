//! What iptables' rules do to packets: the kernel, by both kinds of iptables, against evaluator and algebra on what was read of the dump.
//!
//! `AFO_ORACLE_SEED` says from which seed the random rules are drawn. Of legacy tables the kernel tells no more than whether a packet
//! came through, so only that is compared.

use super::in_namespace;
use super::oracle::aim::Aims;
use super::oracle::algebra::Algebra;
use super::oracle::draw::Draw;
use super::oracle::values::INTERFACES;
use afo::backend::iptables::read;
use afo::rule::evaluate::evaluate;
use afo::rule::ruleset::Ruleset;
use afo::rule::{Direction, Packet};
use afo::sys::lab::Lab;

/// The programs of each kind for IPv4 and IPv6.
pub const KINDS: [[&str; 2]; 2] =
    [["iptables-nft-restore", "ip6tables-nft-restore"], ["iptables-legacy-restore", "ip6tables-legacy-restore"]];

const SETS: &str = "create s hash:net family inet
add s 10.0.0.0/29
add s 10.0.0.2/31 nomatch
create p hash:ip,port family inet
add p 10.0.0.1,tcp:22
add p 10.0.0.9,udp:53
add p 10.0.0.3,icmp:8/0
create b bitmap:port range 0-1023
add b 22
add b 53-80
create f hash:net,iface family inet
add f 10.0.0.0/28,eth0
create l list:set size 4
add l b
add l s
";

/// A lab of one kind of iptables.
pub struct Tables {
    lab: Lab,
    programs: [&'static str; 2],
}

impl Tables {
    pub fn open(programs: [&'static str; 2]) -> Self {
        let lab = Lab::open(&INTERFACES).expect("a lab");
        let out = lab.run("ipset", &["restore"], SETS.as_bytes()).expect("ipset");
        assert!(out.status.success(), "{}", out.stderr);
        Self { lab, programs }
    }

    /// Whether ports and flags are tested by expressions of nftables, which read what a later fragment carries.
    fn is_native(&self) -> bool {
        self.programs == KINDS[0]
    }

    /// Loads the rules of one family and takes away all others.
    pub fn load(&mut self, v6: bool, dump: &str) -> Ruleset {
        self.lab.load("").expect("an empty ruleset");
        for (program, own) in self.programs.into_iter().zip([!v6, v6]) {
            let empty = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n";
            let text = if own { dump } else { empty };
            let out = self.lab.run(program, &[], text.as_bytes()).expect(program);
            assert!(out.status.success(), "{program}: {}\n{dump}", out.stderr);
        }
        let family = if v6 { "ip6tables-restore" } else { "iptables-restore" };
        let header =
            format!("# for {family} {}", if self.is_native() { "v1.8.9 (nf_tables)" } else { "v1.8.9 (legacy)" });
        read(&format!("{SETS}{header}\n{dump}")).unwrap_or_else(|e| panic!("{e}\n{dump}"))
    }

    /// Sends packets through what is loaded; how many were compared.
    pub fn compare(&mut self, ruleset: &Ruleset, packets: &[Packet], dump: &str) -> usize {
        let seen = self.lab.send(packets, ruleset.tracks()).expect("packets are sent");
        let algebra = Algebra::of(ruleset);
        let mut compared = 0;
        for seen in seen.iter().flatten() {
            let (sent, mut asked) = (&seen.sent, Vec::new());
            // Not every state that a packet is described with can be brought about.
            if ruleset.tracks() && seen.state.is_some_and(|state| state != sent.state) {
                continue;
            }
            compared += 1;
            let mut luck = |_, text: &str| {
                asked.push(text.to_owned());
                false
            };
            let trace = evaluate(ruleset, sent, &mut luck).expect("the kernel took it");
            assert!(asked.is_empty(), "{sent}: left to luck: {asked:?}\n{dump}");
            let words =
                || format!("{}: {sent}\n{dump}\nevaluator: {trace:?}\nkernel: {:?}", self.programs[0], seen.events);
            assert_eq!(trace.fate.passes(), seen.passed, "{}", words());
            let judged = algebra.judge(ruleset, seen);
            assert!(judged.is_ok(), "{judged:?}: {}", words());
        }
        compared
    }
}

/// What it is about, the rules of chain FORWARD with what they need, packets that pass and packets that do not.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const SSH: &str = "forward eth0 eth1 10.0.0.1:40000 > 192.0.2.2:22 tcp syn";
const WEB: &str = "forward eth0 eth1 10.0.0.2:40000 > 192.0.2.2:80 tcp syn";
const DNS: &str = "forward eth1 wan0 10.0.0.9:53 > 192.0.2.2:53 udp";
const PING: &str = "forward eth0 wan0 10.0.0.3 > 192.0.2.2 icmp 8";
const LATER: &str = "forward eth0 eth1 10.0.0.1 > 192.0.2.2 tcp fragment";

const CASES: &[Case] = &[
    (
        "a jump comes back",
        ":s -\n-A FORWARD -j s\n-A FORWARD -p tcp -j DROP\n-A s -p udp -j DROP",
        &[PING],
        &[SSH, DNS],
    ),
    ("a goto does not", ":s -\n-A FORWARD -g s\n-A FORWARD -p tcp -j DROP\n-A s -p udp -j DROP", &[PING, SSH], &[DNS]),
    (
        "a goto in a called chain comes back to the caller",
        ":s -\n:t -\n-A FORWARD -j s\n-A FORWARD -p udp -j DROP\n-A s -g t\n-A s -j DROP\n-A t -p tcp -j DROP",
        &[PING],
        &[SSH, DNS],
    ),
    (
        "return in a called chain",
        ":s -\n-A FORWARD -j s\n-A FORWARD -p udp -j DROP\n-A s -p udp -j RETURN\n-A s -j DROP",
        &[],
        &[SSH, DNS],
    ),
    (
        "return in a base chain is the policy",
        ":FORWARD DROP\n-A FORWARD -p tcp -j RETURN\n-A FORWARD -j ACCEPT",
        &[DNS, PING],
        &[SSH],
    ),
    ("what reaches the end gets the policy", ":FORWARD DROP\n-A FORWARD -p tcp -j ACCEPT", &[SSH, LATER], &[DNS]),
    ("negations", "-A FORWARD ! -s 10.0.0.1 ! -i eth1 -j DROP", &[SSH, DNS], &[WEB, PING]),
    ("names that begin so", "-A FORWARD -i eth+ ! -o eth+ -j DROP", &[SSH, WEB], &[DNS, PING]),
    ("any name", "-A FORWARD ! -i + -j DROP\n-A FORWARD -o + -p udp -j DROP", &[SSH, PING], &[DNS]),
    ("a mask with holes", "-A FORWARD -s 10.0.0.1/255.0.255.253 -j DROP", &[WEB, DNS], &[SSH, PING, LATER]),
    ("several ports", "-A FORWARD -p tcp -m multiport --dports 21:23,443 -j DROP", &[WEB, LATER], &[SSH]),
    ("all but several ports", "-A FORWARD -p tcp -m multiport ! --dports 21:23,443 -j DROP", &[SSH, LATER], &[WEB]),
    ("one of both ports", "-A FORWARD -p udp -m multiport --ports 53 -j DROP", &[SSH], &[DNS]),
    ("neither of both ports", "-A FORWARD -p tcp -m multiport ! --ports 22,80:90 -j DROP", &[SSH, WEB, LATER], &[]),
    ("ports of one protocol", "-A FORWARD -p tcp -m tcp ! --dport 22 -j DROP", &[SSH, DNS], &[WEB]),
    ("a match without ports", "-A FORWARD -p tcp -m tcp -j DROP", &[LATER, DNS], &[SSH, WEB]),
    ("the protocol is of all fragments", "-A FORWARD -p tcp -j DROP", &[DNS], &[SSH, LATER]),
    ("later fragments", "-A FORWARD -f -j DROP", &[SSH, DNS], &[LATER]),
    ("first fragments", "-A FORWARD ! -f -j DROP", &[LATER], &[SSH, DNS]),
    (
        "flags",
        "-A FORWARD -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
        &[SSH, DNS],
        &["forward eth0 eth1 10.0.0.1:1 > 192.0.2.2:22 tcp ack"],
    ),
    (
        "types",
        "-A FORWARD -p icmp -m icmp ! --icmp-type 8/0 -j DROP",
        &[PING, SSH],
        &["forward eth0 wan0 10.0.0.3 > 192.0.2.2 icmp 8/1"],
    ),
    ("any type", "-A FORWARD -p icmp -m icmp --icmp-type any -j DROP", &[SSH], &[PING]),
    ("a set with holes", "-A FORWARD -m set --match-set s src -j DROP", &[WEB, PING, DNS], &[SSH, LATER]),
    ("a set of pairs", "-A FORWARD -m set --match-set p src,dst -j DROP", &[WEB, LATER], &[SSH, DNS, PING]),
    ("not in a set of pairs", "-A FORWARD -m set ! --match-set p src,dst -j DROP", &[SSH, DNS, PING], &[WEB, LATER]),
    ("a set of ports", "-A FORWARD -m set --match-set b dst -j DROP", &[PING, LATER], &[SSH, WEB, DNS]),
    ("a set of interfaces", "-A FORWARD -m set --match-set f src,src -j DROP", &[DNS], &[SSH, WEB, PING, LATER]),
    ("a list of sets", "-A FORWARD -m set --match-set l src -j DROP", &[WEB, PING], &[SSH, DNS]),
    ("a range", "-A FORWARD -m iprange ! --src-range 10.0.0.2-10.0.0.8 -j DROP", &[WEB, PING], &[SSH, DNS]),
    (
        "a mark that was set",
        "-A FORWARD -p tcp -j MARK --set-mark 7\n-A FORWARD -m mark --mark 0x7 -j DROP",
        &[DNS],
        &[SSH],
    ),
    ("what is written down matches", "-A FORWARD -p udp -m recent --set --name r --rsource -j DROP", &[SSH], &[DNS]),
    ("a rejection", "-A FORWARD -p udp -j REJECT --reject-with icmp-port-unreachable", &[SSH], &[DNS]),
    ("a log is no verdict", "-A FORWARD -p udp -j NFLOG --nflog-group 3\n-A FORWARD -p udp -j DROP", &[SSH], &[DNS]),
];

/// A dump of one table with the lines of a case.
fn dump(rules: &str) -> String {
    let policy = if rules.contains(":FORWARD DROP") { "" } else { ":FORWARD ACCEPT\n" };
    let (chains, rules): (Vec<_>, Vec<_>) = rules.lines().partition(|line| line.starts_with(':'));
    format!("*filter\n:INPUT ACCEPT\n{policy}:OUTPUT ACCEPT\n{}\n{}\nCOMMIT\n", chains.join("\n"), rules.join("\n"))
}

#[test]
fn each_by_name() {
    in_namespace(|_| {
        for programs in KINDS {
            let mut tables = Tables::open(programs);
            for (name, rules, pass, drop) in CASES {
                let dump = dump(rules);
                let ruleset = tables.load(false, &dump);
                for (texts, wanted) in [(pass, true), (drop, false)] {
                    let packets: Vec<_> = texts.iter().map(|text| text.parse::<Packet>().expect(text)).collect();
                    for packet in &packets {
                        let trace =
                            evaluate(&ruleset, packet, &mut |_, text| panic!("{name}: luck: {text}")).expect(name);
                        assert_eq!(trace.fate.passes(), wanted, "{name}: {packet}\n{dump}");
                    }
                    let compared = tables.compare(&ruleset, &packets, &dump);
                    assert_eq!(compared, packets.len(), "{name}: not all could be sent");
                }
            }
        }
    });
}

/// Of iptables-legacy no test of a port holds of a later fragment; nftables reads what it carries, where it carries anything.
#[test]
fn later_fragments_have_ports_to_nftables_alone() {
    let bytes = |port: u16| format!("forward eth0 eth1 10.0.0.1:5 > 192.0.2.2:{port} tcp fragment");
    let short = "forward eth0 eth1 10.0.0.1 > 192.0.2.2 tcp fragment short".to_owned();
    in_namespace(|_| {
        for programs in KINDS {
            let mut tables = Tables::open(programs);
            let native = tables.is_native();
            for (rule, packet, passes) in [
                ("--dport 22", bytes(22), !native),
                ("--dport 22", bytes(23), true),
                ("! --dport 22", bytes(23), !native),
                ("! --dport 22", short.clone(), true),
                ("! --tcp-flags SYN,ACK SYN", bytes(22), !native),
                ("--dport 22 --tcp-option 3", bytes(22), true),
            ] {
                let dump = dump(&format!("-A FORWARD -p tcp -m tcp {rule} -j DROP"));
                let ruleset = tables.load(false, &dump);
                let packet: Packet = packet.parse().expect(&packet);
                if rule.contains("option") {
                    // What is asked besides is not understood; the fragment decides.
                    let trace = evaluate(&ruleset, &packet, &mut |_, _| true).expect("no circle");
                    assert!(trace.fate.passes(), "{packet}: {dump}");
                    continue;
                }
                let trace = evaluate(&ruleset, &packet, &mut |_, text| panic!("luck: {text}")).expect("no circle");
                assert_eq!(trace.fate.passes(), passes, "{packet}\n{dump}");
                assert_eq!(tables.compare(&ruleset, &[packet], &dump), 1, "it could not be sent");
            }
        }
    });
}

const ADDRESSES: [&str; 10] = [
    "-s 10.0.0.1/32",
    "! -s 10.0.0.0/30",
    "-d 192.0.2.0/24",
    "! -d 192.0.2.2/32",
    "-s 10.0.0.0/255.255.0.254",
    "-m iprange --src-range 10.0.0.2-10.0.0.9",
    "-m set --match-set s src",
    "-m set ! --match-set s dst",
    "-m set --match-set f src,src",
    "",
];
const ADDRESSES6: [&str; 6] = [
    "-s 2001:db8::/64",
    "! -s 2001:db8::1/128",
    "-d 2001:db8::/126",
    "! -d fd00::/8",
    "-m iprange ! --dst-range 2001:db8::2-2001:db8::9",
    "",
];
const TRANSPORTS: [&str; 18] = [
    "-p tcp",
    "! -p tcp",
    "-p udp -m udp --dport 53",
    "-p tcp -m tcp --dport 22:80",
    "-p tcp -m tcp ! --sport 1024:65535",
    "-p udp -m udp ! --dport 53",
    "-p tcp -m tcp --tcp-flags SYN,ACK SYN",
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN",
    "-p tcp -m multiport --dports 22,80:443",
    "-p udp -m multiport ! --sports 53,1024:8080",
    "-p tcp -m multiport --ports 22,80",
    "-p udp -m multiport ! --ports 53",
    "-p sctp -m sctp --dport 80",
    "! -p udp",
    "-p 47",
    "-m set --match-set b dst",
    "",
    "",
];
const ICMP: [&str; 3] = ["-p icmp -m icmp --icmp-type 8", "-p icmp -m icmp ! --icmp-type 3/1", "-p icmp"];
const ICMP6: [&str; 3] =
    ["-p ipv6-icmp -m icmp6 --icmpv6-type 128", "-p ipv6-icmp -m icmp6 ! --icmpv6-type 1/4", "-p ipv6-icmp"];
const OTHERS: [&str; 9] = [
    "-m mark --mark 0x7",
    "-m mark ! --mark 0x1",
    "-m mark --mark 0x10/0xfffffff0",
    "-i eth0",
    "! -i eth+",
    "-i wan+",
    "",
    "",
    "",
];
const STATES: [&str; 8] = [
    "-m conntrack --ctstate NEW",
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack ! --ctstate INVALID",
    "-m state --state INVALID,UNTRACKED",
    "-m conntrack ! --ctstate NEW,DNAT",
    "-m conntrack --ctdir ORIGINAL",
    "-m conntrack --ctdir REPLY",
    "-m conntrack --ctstate NEW --ctproto 6",
];

/// One random rule without its verdict.
fn conditions(draw: &mut Draw, v6: bool, tracks: bool) -> String {
    let address = if v6 { draw.pick(&ADDRESSES6) } else { draw.pick(&ADDRESSES) };
    let transport = match draw.below(5) {
        0 => draw.pick(if v6 { &ICMP6 } else { &ICMP }),
        _ => draw.pick(&TRANSPORTS),
    };
    let transport = if v6 && transport.contains("--match-set") { "" } else { transport };
    let state = if tracks && draw.chance(35) { draw.pick(&STATES) } else { "" };
    format!("{address} {} {transport} {state}", draw.pick(&OTHERS))
}

/// Makes a packet a later fragment.
fn cut(packet: &mut Packet) {
    packet.fragment = packet.direction != Direction::Input;
}

fn random(draw: &mut Draw, v6: bool, tracks: bool) -> String {
    let mut text = String::from("*filter\n");
    for chain in ["INPUT", "FORWARD", "OUTPUT"] {
        text += &format!(":{chain} {}\n", draw.pick(&["ACCEPT", "DROP"]));
    }
    text += ":one -\n:two -\n";
    let calls: [(&str, &[&str]); 5] = [
        ("INPUT", &["-j one", "-g two", "-j ACCEPT", "-j DROP", "-j RETURN"]),
        ("FORWARD", &["-j one", "-g one", "-j two", "-j ACCEPT", "-j DROP"]),
        ("OUTPUT", &["-g one", "-j two", "-j ACCEPT", "-j REJECT", "-j DROP"]),
        ("one", &["-j two", "-g two", "-j RETURN", "-j ACCEPT", "-j DROP", "-j MARK --set-mark 0x7", "-j REJECT"]),
        ("two", &["-j RETURN", "-j ACCEPT", "-j DROP", "-j NFLOG", ""]),
    ];
    for (chain, targets) in calls {
        for _ in 0..draw.between(1, 4) {
            // Where a packet has no interface to come in by, iptables does not take one.
            let conditions = match (chain, conditions(draw, v6, tracks)) {
                ("OUTPUT", text) if text.contains("-i ") => String::new(),
                (_, text) => text,
            };
            text += &format!("-A {chain} {conditions} {}\n", draw.pick(targets));
        }
    }
    text + "COMMIT\n"
}

/// Rulesets of each kind of tables, and packets for each.
const ROUNDS: usize = 12;
const PACKETS: usize = 300;

#[test]
fn random_rules_decide_as_in_the_kernel() {
    in_namespace(|_| {
        let seed = std::env::var("AFO_ORACLE_SEED").map_or(2026, |text| text.parse().expect("a number"));
        let mut compared = 0;
        for programs in KINDS {
            // Once one ruleset of a namespace tracks connections, the kernel puts fragments together there.
            for tracks in [false, true] {
                let (mut tables, mut draw) = (Tables::open(programs), Draw::new(seed));
                for round in 0..ROUNDS {
                    let dump = random(&mut draw, round % 3 == 2, tracks);
                    let ruleset = tables.load(round % 3 == 2, &dump);
                    let aims = Aims::of(&ruleset);
                    let mut packets: Vec<_> = (0..PACKETS).map(|_| aims.packet(&mut draw)).collect();
                    packets.iter_mut().filter(|_| !tracks).step_by(9).for_each(cut);
                    compared += tables.compare(&ruleset, &packets, &dump);
                }
            }
        }
        println!("seed {seed}: {compared} packets");
        assert!(compared > 4 * ROUNDS * PACKETS / 2, "too few could be sent: {compared}");
    });
}
