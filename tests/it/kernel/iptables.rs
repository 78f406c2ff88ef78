//! iptables against the kernel: what is read is written back and loaded the same, and the live rules are read whole, wherever
//! iptables keeps them.

use super::{Host, feed, in_namespace};
use crate::tree::root;
use afo::backend::iptables::{export, read};
use afo::cmd::live_ruleset;
use afo::packet::{Ranges, Wide};
use afo::rule::evaluate::{Fate, evaluate};
use afo::rule::ruleset::{Condition, Outcome, Ruleset, TableFamily, Verdict};
use std::process::Command;

/// Rules in the words of both families: of each the words that iptables-save has for it come back.
const RULES: [&str; 42] = [
    "-i lo -j ACCEPT",
    "! -i eth+ -o wg1 -j DROP",
    "-p tcp -m tcp --dport 22 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
    "-p tcp -m tcp ! --sport 1024:65535 -j DROP",
    "-p udp -m udp --dport 67:68",
    "! -p udp -g sub",
    "-p sctp -m sctp --dport 5060 --chunk-types any INIT -j DROP",
    "-p dccp -m dccp --dport 5060 -j DROP",
    "-p tcp -m multiport --ports 20:21,80 -j sub",
    "-p tcp -m multiport ! --dports 20:21,80 -j sub",
    "-m conntrack --ctstate NEW,DNAT --ctproto 6 -j ACCEPT",
    "-m conntrack ! --ctstate INVALID --ctdir REPLY -j ACCEPT",
    "-m state --state RELATED,ESTABLISHED -j ACCEPT",
    "-m mark --mark 0x1/0xff -m connmark ! --mark 0x2 -j DROP",
    "-m mac --mac-source 52:54:00:12:34:56 -j ACCEPT",
    "-m addrtype --dst-type LOCAL ! --src-type MULTICAST -j ACCEPT",
    "-m limit --limit 10/min --limit-burst 7 -j LOG --log-prefix \"a \\\"b\\\" -j\" --log-level 4",
    "-m comment --comment \"it's -j DROP \\\\ all\" -j DROP",
    "-m comment --comment -j -j DROP",
    "-m hashlimit --hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name h -j ACCEPT",
    "-m recent --set --name r --rsource -j DROP",
    "-m statistic --mode random --probability 0.5 -j DROP",
    "-m connlimit --connlimit-above 3 -j DROP",
    "-m length --length 0:100 -j DROP",
    "-m pkttype --pkt-type broadcast -j DROP",
    "-m string --string \"a b\" --algo bm --to 65535 -j DROP",
    "-m time --timestart 08:00:00 --timestop 17:00:00 --weekdays Mon,Tue -j ACCEPT",
    "-m tos --tos 0x10/0x3f -j DROP",
    "-m dscp --dscp 0x2e -j DROP",
    "-m tcpmss --mss 500 -p tcp -j DROP",
    "-m physdev --physdev-in eth0 -j ACCEPT",
    "-m set --match-set s src -j DROP",
    "-m set ! --match-set p src,dst -j DROP",
    "-m u32 --u32 \"0x0&0xffff=0x1:0x10\" -j DROP",
    "-m quota --quota 1000 -j ACCEPT",
    "-m socket --transparent -j ACCEPT",
    "-j NFQUEUE --queue-num 3 --queue-bypass",
    "-j NFLOG --nflog-prefix \"x y\" --nflog-group 3",
    "-j TRACE",
    "-p tcp -j REJECT --reject-with tcp-reset",
    "-j RETURN",
    "-j CLASSIFY --set-class 1:2",
];

/// A rule that the kernel of a test has no module for is left out, and said so.
fn known_rules(host: &Host, program: &str) -> Vec<&'static str> {
    let table = if program.contains("legacy") { "mangle" } else { "filter" };
    let _ = host.sh(&format!("{program} -w -t {table} -N sub"));
    let takes = |rule: &&&str| {
        let table = if rule.contains("CLASSIFY") || rule.contains("TRACE") { "mangle" } else { table };
        let test = format!("{program} -w -t {table} -A FORWARD {rule} && {program} -w -t {table} -F FORWARD");
        Command::new("bash").args(["-c", &test]).output().expect("bash").status.success()
    };
    RULES.iter().filter(takes).copied().collect()
}

fn save(host: &Host, program: &str) -> String {
    let text = host.sh(&format!("{program}-save"));
    let kept = text.lines().filter(|line| !line.starts_with('#'));
    kept.map(|line| line.split(" [").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn restore(program: &str, text: &str) {
    let out = feed(&mut Command::new(format!("{program}-restore")), text.as_bytes());
    assert!(out.status.success(), "{program}-restore: {}\n{text}", String::from_utf8_lossy(&out.stderr));
}

/// What was read from a dump, written and loaded again, is the same dump.
fn comes_back(host: &Host, program: &str, family: TableFamily) {
    let first = host.sh(&format!("{program}-save"));
    let ruleset = read(&first).unwrap_or_else(|e| panic!("{e}\n{first}"));
    let before = save(host, program);
    restore(program, &export(&ruleset, family).expect("tables"));
    assert_eq!(save(host, program), before);
}

const SETS: &str =
    "ipset create s hash:net; ipset add s 192.0.2.0/24; ipset create p hash:ip,port; ipset add p 192.0.2.1,tcp:80";

#[test]
fn every_rule_comes_back() {
    in_namespace(|host| {
        host.sh(SETS);
        for variant in ["iptables-nft", "iptables-legacy"] {
            let known = known_rules(host, variant);
            println!("{variant}: {} of {} rules", known.len(), RULES.len());
            assert!(known.len() >= 30, "{variant} takes too few: {known:?}");
            let of = |table: &str| {
                let fits = |rule: &&&str| (rule.contains("CLASSIFY") || rule.contains("TRACE")) == (table == "mangle");
                let rejects = |rule: &&&str| table == "filter" || !rule.contains("REJECT");
                let rules = known.iter().filter(fits).filter(rejects).map(|rule| format!("-A FORWARD {rule}\n"));
                format!("*{table}\n:FORWARD DROP [0:0]\n:sub - [0:0]\n{}COMMIT\n", rules.collect::<String>())
            };
            restore(variant, &(of("filter") + &of("mangle")));
            comes_back(host, variant, TableFamily::Ip);
        }
    });
}

#[test]
fn the_sample_comes_back_in_both_families() {
    in_namespace(|host| {
        let text = std::fs::read_to_string(root().join("tests/rulesets/office.iptables")).expect("the sample");
        let sets: String = text
            .lines()
            .filter(|l| l.starts_with("create ") || l.starts_with("add "))
            .map(|l| format!("ipset {l}\n"))
            .collect();
        host.sh(&sets);
        let ruleset = read(&text).expect("the sample");
        for variant in ["nft", "legacy"] {
            for (program, family) in [("iptables", TableFamily::Ip), ("ip6tables", TableFamily::Ip6)] {
                let program = format!("{program}-{variant}");
                restore(&program, &export(&ruleset, family).expect("tables"));
                comes_back(host, &program, family);
            }
        }
    });
}

fn fate(ruleset: &Ruleset, packet: &str) -> Fate {
    let packet = packet.parse().expect("a packet");
    let mut luck = |_, text: &str| -> bool { panic!("`{text}` is left to luck") };
    evaluate(ruleset, &packet, &mut luck).expect("a way").fate
}

const SSH: &str = "input eth0 192.0.2.1:40000 > 198.51.100.10:22 tcp syn";
const WEB: &str = "input eth0 192.0.2.1:40000 > 198.51.100.10:80 tcp syn";

#[test]
fn live_rules_are_read_wherever_iptables_keeps_them() {
    in_namespace(|host| {
        host.sh(SETS);
        restore(
            "iptables-nft",
            "*filter\n:INPUT ACCEPT\n:sub -\n-A INPUT -p tcp -m multiport --dports 22,443 -m comment --comment c -j sub\n-A sub -m set --match-set s src -j DROP\nCOMMIT\n",
        );
        // Of this rule iptables-save shows `-p tcp -j DROP`, which it is not.
        host.nft("add rule ip filter INPUT tcp dport { 23, 25 } drop");
        let ruleset = live_ruleset().expect("the live rules");
        assert_eq!([fate(&ruleset, SSH), fate(&ruleset, WEB)], [Fate::Dropped, Fate::Accepted]);
        assert!(ruleset.lines().all(|(_, line)| line.handle.is_some()), "the handles are nft's");
        assert!(ruleset.lines().any(|(_, line)| line.comment.as_deref() == Some("c")));

        restore("iptables-legacy", "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 80 -j REJECT\nCOMMIT\n");
        let ruleset = live_ruleset().expect("the live rules");
        assert_eq!([fate(&ruleset, SSH), fate(&ruleset, WEB)], [Fate::Dropped, Fate::Rejected]);
        assert!(ruleset.table(TableFamily::Ip, "filter (legacy)").is_some() && ruleset.unread.is_empty());
    });
}

#[test]
fn what_cannot_be_asked_is_unknown() {
    in_namespace(|host| {
        host.sh("iptables-legacy -A INPUT -p tcp --dport 80 -j DROP; iptables-nft -A INPUT -p udp -m multiport --dports 53 -j DROP");
        // A program that is not there.
        host.sh("for p in iptables-legacy-save iptables-nft-save iptables-save; do mount --bind /dev/null $(command -v $p); done");
        let ruleset = live_ruleset().expect("the live rules");
        let told = "ip rules of iptables-nft: iptables-nft-save is not installed";
        assert_eq!(ruleset.unread, [told, "ip filter (legacy): iptables-legacy-save is not installed"]);
        let mut asked = Vec::new();
        let mut luck = |_, text: &str| {
            asked.push(text.to_owned());
            true
        };
        evaluate(&ruleset, &WEB.parse().expect("a packet"), &mut luck).expect("a way");
        assert_eq!(asked, ["rules of iptables-legacy: iptables-legacy-save is not installed"]);
    });
}

#[test]
fn a_live_set_is_looked_into() {
    in_namespace(|host| {
        host.sh(SETS);
        host.sh("iptables-nft -A INPUT -m set ! --match-set s src -j DROP");
        let ruleset = live_ruleset().expect("the live rules");
        let (_, line) = ruleset.lines().next().expect("a rule");
        let outside = Ranges::one(0, u128::from(u32::MAX)).minus(&Ranges::one(0xc000_0200, 0xc000_02ff));
        assert_eq!(line.conditions, [Condition::Wide(Wide::Source, outside)]);
        assert_eq!(line.outcome, Outcome::Verdict(Verdict::Drop));
        assert_eq!(ruleset.tables[0].sets[0].name, "s");
    });
}
