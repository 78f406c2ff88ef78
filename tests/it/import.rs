//! Imported rules judge packets as the chains that they come from: both rulesets are evaluated on corner packets.

use crate::tree::root;
use afo::backend::iptables::{self, Iptables};
use afo::backend::nftables::{Imported, Policy, import, import_ruleset, read_value, whole};
use afo::backend::{Backend, Extent};
use afo::packet::{MacAddress, Protocol};
use afo::rule::evaluate::{By, evaluate};
use afo::rule::ruleset::{Ruleset, Verdict};
use afo::rule::{ConnectionState, Direction, Packet, Turned};
use serde_json::Value;
use std::net::IpAddr;

const V4: [&str; 6] = ["10.0.0.1", "192.0.2.9", "192.168.1.3", "198.51.100.7", "203.0.113.9", "255.255.255.255"];
const V6: [&str; 4] = ["2001:db8::1", "2001:db8:bad::9", "fe80::1", "::1"];
const FACES: [&str; 5] = ["lo", "eth0", "guest1", "lan0", "br7"];
const PORTS: [u16; 10] = [0, 22, 23, 53, 80, 81, 443, 1024, 8080, 65535];
const PROTOCOLS: [u8; 6] = [6, 17, 1, 58, 132, 47];
const ICMP: [(u8, u8); 8] = [(0, 0), (3, 1), (3, 4), (8, 0), (8, 1), (128, 0), (135, 0), (1, 0)];
const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const FLAGS: [u8; 5] = [0, 2, 16, 18, 255];

/// Numbers that are the same in each run.
pub struct Draw(pub u64);

impl Draw {
    pub fn of<T: Copy>(&mut self, from: &[T]) -> T {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        from[usize::try_from((self.0 >> 33) % from.len() as u64).expect("small")]
    }

    pub fn packet(&mut self) -> Packet {
        let direction = self.of(&[Direction::Input, Direction::Forward, Direction::Output]);
        let pool: &[&str] = if self.of(&[true, true, false]) { &V4 } else { &V6 };
        let protocol = Protocol(self.of(&PROTOCOLS));
        let foreign = if pool == V4 { Protocol::ICMPV6 } else { Protocol::ICMP };
        let mut end = || (self.of(pool).parse::<IpAddr>().expect("an address"), self.of(&PORTS)).into();
        let (source, destination) = (end(), end());
        let carried = if protocol == foreign { Protocol::TCP } else { protocol };
        let incoming = direction != Direction::Output;
        Packet {
            interface_in: Some(self.of(&FACES).to_owned()).filter(|_| incoming),
            interface_out: Some(self.of(&FACES).to_owned()).filter(|_| direction != Direction::Input),
            icmp: self.of(&ICMP),
            tcp_flags: self.of(&FLAGS),
            state: self.of(ConnectionState::ALL),
            mark: self.of(&[0, 1, 7]),
            fragment: self.of(&[false, false, false, true]),
            reply: self.of(&[false, true]),
            status: self.of(&[0, 10, 14, 32]),
            connection_mark: self.of(&[0, 1]),
            source_mac: self.of(&[None, Some(MAC)]).filter(|_| incoming),
            ..Packet::between(direction, source, destination, carried)
        }
    }
}

/// The ruleset without AFO's own table.
pub fn others(mut ruleset: Ruleset) -> Ruleset {
    ruleset.tables.retain(|table| table.name != "afo");
    ruleset
}

/// Whether a line of AFO's table decided about the packet, rather than left it alone.
fn is_decided(own: &Ruleset, by: By) -> bool {
    let By::Line(at) = by else { return false };
    let line = own.line(at).expect("a line");
    matches!(&line.outcome, afo::rule::ruleset::Outcome::Verdict(v) if *v == Verdict::Accept || v.denies())
}

/// Compares the judgements: of all packets where everything was said, else of those that the imported rules decide.
/// How many packets the imported rules decided.
pub fn judged_alike(original: &Ruleset, own: &Ruleset, whole: bool, name: &str) -> usize {
    judged_alike_of(original, own, whole, name, |_| true)
}

fn judged_alike_of(
    original: &Ruleset,
    own: &Ruleset,
    whole: bool,
    name: &str,
    counts: impl Fn(&Packet) -> bool,
) -> usize {
    let (mut draw, mut decided) = (Draw(7), 0);
    for n in 0..6_000 {
        let packet = draw.packet();
        if !counts(&packet) {
            continue;
        }
        let luck = n % 2 == 0;
        // AFO's sets of blocks are empty.
        let fate = |ruleset: &Ruleset| {
            let trace = evaluate(ruleset, &packet, &mut |_, text| luck && !text.contains("@block")).expect("no circle");
            ((trace.fate, trace.turned), trace.by)
        };
        let ((then, _), (now, by)) = (fate(original), fate(own));
        let (named, led) = (is_decided(own, by) || !now.0.passes(), now.1 != Turned::default());
        decided += usize::from(named || led);
        // Of later fragments AFO's rules ask nothing. What is only led is left to rules of the filter, of which some may be missing.
        if whole && !packet.fragment || named && led {
            assert_eq!(now, then, "{name}: {packet}, luck {luck}");
        } else if named {
            // What is translated by a rule that could not be said may be denied by one that could.
            assert_eq!(now.0, then.0, "{name}: {packet}, luck {luck}");
        } else if led {
            assert_eq!(now.1, then.1, "{name}: {packet}, luck {luck}");
        }
    }
    decided
}

/// AFO's table of the imported rules, as AFO's own JSON says it.
fn written(imported: &Imported) -> Ruleset {
    let policy = Policy::of(&imported.rules).expect("each was lowered before");
    let json = whole(&policy, &policy.blocks()).json().expect("no window");
    read_value(&json).expect("a listing")
}

fn sample(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join(format!("tests/rulesets/{name}.json"))).expect("a sample");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_is_imported_of_the_samples_judges_as_before() {
    for name in ["closed", "every-form", "office"] {
        let listing = sample(name);
        let imported = import(&listing).expect("a listing");
        assert_eq!(imported, import(&listing).expect("again"), "{name}");
        let original = others(read_value(&listing).expect("a listing"));
        let decided = judged_alike(&original, &written(&imported), imported.not_said.is_empty(), name);
        assert!(imported.rules.is_empty() || decided > 20, "{name}: {decided} packets were decided");
    }
}

/// A dump of chains that jump, go and return, drawn from a seed.
fn drawn(draw: &mut Draw) -> String {
    const ASKS: [&str; 12] = [
        "! -i lo -p tcp -m tcp --dport 22",
        "! -i lo -p tcp -m multiport --dports 22,80:90",
        "-i eth0 -p tcp ! -s 192.0.2.0/24",
        "-i eth0 -s 10.0.0.0/8 -p udp",
        "-i guest1 -p udp -m udp --dport 53",
        "-i eth0 -p tcp -m conntrack --ctstate RELATED,ESTABLISHED",
        "-i eth0 -p icmp -m icmp --icmp-type 8",
        "-i lan0",
        "-p tcp -m tcp --dport 80",
        "-p icmp",
        "-m conntrack --ctstate INVALID",
        "-i lo",
    ];
    let policies = [draw.of(&["ACCEPT", "ACCEPT", "DROP"]), draw.of(&["ACCEPT", "DROP"])];
    let mut text = format!("*filter\n:INPUT {}\n:FORWARD {}\n:a -\n:b -\n", policies[0], policies[1]);
    for (chain, lines) in [("INPUT", 5), ("FORWARD", 5), ("a", 4), ("b", 3)] {
        for _ in 0..lines {
            let ends = ["-j ACCEPT", "-j DROP", "-j RETURN", "-j REJECT --reject-with icmp-port-unreachable"];
            let end = match chain {
                "b" => draw.of(&ends),
                "a" => draw.of(&[ends[0], ends[1], ends[2], "-j b", "-g b"]),
                _ => draw.of(&[ends[0], ends[1], ends[2], "-j a", "-g a", "-j b", "-g b"]),
            };
            let ask = draw.of(&ASKS);
            let within = format!("-A {chain} {ask} -m limit --limit 3/sec -j ACCEPT\n");
            let limited = matches!(end, "-j DROP") && draw.of(&[true, false, false]);
            text.push_str(if limited { &within } else { "" });
            text.push_str(&format!("-A {chain} {ask} {end}\n"));
        }
    }
    text + "COMMIT\n"
}

#[test]
fn what_is_imported_of_dumps_judges_as_before_in_either_language() {
    let (mut draw, mut complete, mut decided) = (Draw(11), 0, 0);
    for _ in 0..40 {
        let dump = drawn(&mut draw);
        let original = iptables::read(&dump).unwrap_or_else(|e| panic!("{e}\n{dump}"));
        let imported = import_ruleset(&original, &iptables::statements(&original));
        let all = imported.not_said.is_empty();
        complete += usize::from(all);
        // Where connections are tracked, fragments are put together before any rule sees them.
        let counts = |packet: &Packet| !packet.fragment && packet.source.is_ipv4();
        decided += judged_alike_of(&original, &written(&imported), all, &dump, counts);
        if let Ok(native) = Iptables::V4.render(&imported.rules, Extent::Host) {
            let own = Iptables::V4.model(&native).expect("it is read back");
            decided += judged_alike_of(&original, &own, all, &dump, counts);
        }
    }
    assert!(complete > 3 && decided > 10_000, "{complete} were said whole, {decided} packets were decided");
}

/// Dumps of the kinds that people have, all of which can be said.
const KINDS: [(&str, &str); 5] = [
    (
        "a host as distributions leave it",
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n\
         -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p icmp -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n\
         -A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT\n\
         -A INPUT -j REJECT --reject-with icmp-host-prohibited\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n",
    ),
    (
        "a closed host",
        "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\n:tcp -\n:f2b-sshd -\n\
         -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A INPUT -m conntrack --ctstate INVALID -j DROP\n\
         -A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 2/sec --limit-burst 4 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j tcp\n-A tcp -p tcp -m multiport --dports 22,80,443 -j ACCEPT\n\
         -A tcp -j REJECT --reject-with tcp-reset\n\
         -A f2b-sshd -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable\n-A f2b-sshd -j RETURN\n\
         -A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -d 192.0.2.0/24 -j ACCEPT\n-A OUTPUT -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n",
    ),
    (
        "chains by jump and goto",
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:INPUT_ZONES -\n:IN_public -\n:IN_public_allow -\n:IN_public_deny -\n\
         -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j INPUT_ZONES\n\
         -A INPUT -p icmp -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\n\
         -A INPUT_ZONES -i eth0 -g IN_public\n-A INPUT_ZONES -g IN_public\n\
         -A IN_public -j IN_public_deny\n-A IN_public -j IN_public_allow\n\
         -A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT\nCOMMIT\n",
    ),
    (
        "a flood let in by rate",
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:syn_flood -\n-A INPUT -i lo -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j syn_flood\n-A INPUT -i eth0 -j DROP\n\
         -A syn_flood -i eth0 -m limit --limit 25/sec --limit-burst 50 -j ACCEPT\n-A syn_flood -j DROP\nCOMMIT\n",
    ),
    (
        "a gateway",
        "*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:forwards -\n-A PREROUTING -i eth0 -j forwards\n\
         -A forwards -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.1.3:80\n\
         -A forwards -p udp -m udp --dport 53 -j DNAT --to-destination 192.168.1.3\n\
         -A PREROUTING -i lan0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 1024\n\
         -A POSTROUTING -s 192.168.0.0/16 -d 10.0.0.0/8 -j ACCEPT\n-A POSTROUTING -s 192.168.0.0/16 -o eth0 -j MASQUERADE\nCOMMIT\n\
         *filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FORWARD -i lan0 -o eth0 -j ACCEPT\n-A FORWARD -d 192.168.1.3/32 -p tcp -m tcp --dport 80 -j ACCEPT\n\
         -A FORWARD -d 192.168.1.3/32 -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n",
    ),
];

#[test]
fn dumps_of_the_usual_kinds_are_said_whole_in_either_language() {
    for (name, dump) in KINDS {
        let original = iptables::read(dump).unwrap_or_else(|e| panic!("{name}: {e}"));
        let imported = import_ruleset(&original, &iptables::statements(&original));
        assert_eq!(imported.not_said, [], "{name}");
        let counts = |packet: &Packet| !packet.fragment && packet.source.is_ipv4();
        let decided = judged_alike_of(&original, &written(&imported), true, name, counts);
        let native = Iptables::V4.render(&imported.rules, Extent::Host).expect(name);
        let own = Iptables::V4.model(&native).expect("it is read back");
        let again = judged_alike_of(&original, &own, true, name, counts);
        assert!(decided > 100 && again > 100, "{name}: {decided} and {again} packets were decided");
    }
}

#[test]
fn all_of_a_plain_office_firewall_is_said() {
    let imported = import(&sample("office")).expect("a listing");
    assert_eq!(imported.not_said, []);
    assert_eq!((imported.of, imported.rules.len()), (11, 12));
}

#[test]
fn the_table_of_afo_is_left_out() {
    let imported = import(&sample("generation")).expect("a listing");
    assert_eq!(imported, Imported::default());
}
