//! `afo-sim replay`: findings of an audit through the kernel, and a finding that the kernel contradicts.

use super::{feed, in_namespace};
use std::process::Output;

const RULES: &str = "table inet t {
  chain services { tcp dport 22 accept; tcp dport 25 drop; tcp dport 25 accept; }
  chain i { type filter hook input priority 0; policy drop; ct state established,related accept; iifname \"lan0\" jump services; tcp dport 22 drop; iifname \"lan0\" tcp dport 22 drop; }
  chain f { type filter hook forward priority 0; policy accept; ip saddr 192.0.2.0/24 oifname \"wan0\" accept; ip saddr 192.0.2.1 oifname \"wan0\" drop; }
}";

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn findings_are_replayed() {
    in_namespace(|host| {
        let dir = tempfile::tempdir().expect("a directory");
        let rules = dir.path().join("rules.nft");
        std::fs::write(&rules, RULES).expect("written");
        let audit = host.afo("afo-conflicts").args(["--audit", "--ruleset"]).arg(&rules).output().expect("an audit");
        let findings = String::from_utf8_lossy(&audit.stdout).into_owned();
        let count = findings.matches("\"witness\"").count();
        assert!(count >= 3, "{}", text(&audit));
        let replay = |input: &str| {
            let mut command = host.afo("afo-sim");
            feed(command.args(["replay", "-", "--ruleset"]).arg(&rules), input.as_bytes())
        };
        let out = replay(&findings);
        assert_eq!(text(&out).matches("the kernel agrees: ").count(), count, "{findings}{}", text(&out));
        assert_eq!(out.status.code(), Some(0));

        let wrong = findings.lines().find(|line| line.contains("lan0") && line.contains("\"witness\"")).expect("one");
        let wrong = wrong
            .replace("\"verdict\":\"drop", "\"verdict\":\"ACCEPT")
            .replace("\"verdict\":\"accept", "\"verdict\":\"drop");
        let out = replay(&wrong.replace("ACCEPT", "accept"));
        assert!(text(&out).contains("the kernel says "), "{}", text(&out));
        assert_eq!(out.status.code(), Some(1));
    });
}

#[test]
fn packets_alone_are_answered_with_the_rule() {
    in_namespace(|host| {
        let dir = tempfile::tempdir().expect("a directory");
        let rules = dir.path().join("rules.nft");
        std::fs::write(&rules, RULES).expect("written");
        let mut command = host.afo("afo-sim");
        let packets = "input lan0 [2001:db8::1]:40000 > [2001:db8::2]:25 tcp syn\n\
            forward eth0 wan0 198.51.100.1 > 203.0.113.9 icmp 8\n\
            input eth0 198.51.100.1:1 > 203.0.113.9:2 tcp syn untracked vlan 7\n";
        let out = feed(command.args(["replay", "-", "--ruleset"]).arg(&rules), packets.as_bytes());
        let lines: Vec<_> = String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect();
        assert!(lines[0].contains("the kernel says drop") && lines[0].contains("tcp dport 25 drop"), "{lines:?}");
        assert!(lines[1].contains("the kernel says accept") && lines[1].contains("policy accept"), "{lines:?}");
        assert!(lines[2].contains("not replayed: "), "{lines:?}");
        assert_eq!(out.status.code(), Some(1));
    });
}
