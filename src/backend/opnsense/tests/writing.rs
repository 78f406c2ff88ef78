//! Rules as documents, and why others are none.

use super::super::*;
use super::{known, rule, rules};
use crate::rule::Rule;
use std::collections::BTreeMap;

fn documents(rules: &[Rule]) -> Vec<BTreeMap<String, String>> {
    let policy = Policy::of(rules, &known()).expect("it can be had");
    let numbered = policy.numbered(7, &Listing::default());
    numbered.into_iter().map(|d| d.fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).collect()
}

/// The fields of a rule's documents that are not as they are where a rule says nothing.
fn said(fields: &str) -> Vec<String> {
    let blank = Document::new(&"r1".parse().expect("id"));
    let differs = |(name, value): &(&String, &String)| {
        blank.get(name) != value.as_str() && !["description", "sequence"].contains(&name.as_str())
    };
    let words = |document: BTreeMap<String, String>| {
        document.iter().filter(differs).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    documents(&[rule(fields)]).into_iter().map(words).collect()
}

fn refused(fields: &str) -> String {
    let refused = Policy::of(&[rule(fields)], &known()).expect_err(fields);
    refused[0].to_string()
}

#[test]
fn a_rule_becomes_documents() {
    let ssh = r#""action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]"#;
    assert_eq!(said(ssh), ["action=block destination_net=(self) destination_port=22 protocol=TCP"]);
    assert_eq!(
        said(&format!(r#"{ssh},"source_address":["203.0.113.0/24","2001:db8::/32"]"#)),
        [
            "action=block destination_net=(self) destination_port=22 ipprotocol=inet protocol=TCP source_net=203.0.113.0/24",
            "action=block destination_net=(self) destination_port=22 ipprotocol=inet6 protocol=TCP source_net=2001:db8::/32",
        ]
    );
    let web = r#""action":"accept","direction":"forward","interface_in":["igb1"],"destination_address":["198.51.100.10"],"destination_port":["80","443"],"log":{}"#;
    let to = |port: u16| {
        format!(
            "destination_net=198.51.100.10 destination_port={port} interface=lan ipprotocol=inet log=1 protocol=TCP/UDP tcpflags_any=1"
        )
    };
    assert_eq!(said(web), [to(80), to(443)]);
    let ping = r#""action":"reject","direction":"input","family":"ipv4","protocol":["icmp"],"icmp_type":["8"],"connection_state":["new"]"#;
    assert_eq!(said(ping), ["action=reject destination_net=(self) icmptype=echoreq ipprotocol=inet protocol=ICMP"]);
    let not = r#""action":"accept","direction":"input","protocol":["tcp"],"source_address":["!10.0.0.0/8"],"connection_state":["new"],"interface_in":["!opt1"]"#;
    assert_eq!(
        said(not),
        [
            "destination_net=(self) interface=opt1 interfacenot=1 ipprotocol=inet protocol=TCP source_net=10.0.0.0/8 source_not=1",
            "destination_net=(self) interface=opt1 interfacenot=1 ipprotocol=inet6 protocol=TCP",
        ]
    );
    let any = r#""action":"accept","direction":"input","interface_in":["lan","opt1"]"#;
    assert_eq!(
        said(any),
        [
            "destination_net=(self) interface=lan,opt1 protocol=TCP tcpflags_any=1",
            "destination_net=(self) interface=lan,opt1"
        ]
    );
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let base = |fields: &str| format!(r#""action":"drop","direction":"input","protocol":["tcp"]{fields}"#);
    let cases = [
        (
            base(r#","connection_state":["established"]"#),
            "rule r1: connection_state `established`: pf asks its rules about the first packet of a connection alone, the rest passes by its state; `new` or nothing can be had",
        ),
        (
            base(r#","interface_in":["eth*"]"#),
            "rule r1: interface_in `eth*`: OPNsense knows interfaces by the identifiers of its assignments: wan, lan, opt1",
        ),
        (
            base(r#","rate_limit":{"count":5,"per":"minute"}"#),
            "rule r1: rate_limit `5/minute`: pf counts connections, not packets, and bars who has too many for good; leave rate_limit out",
        ),
        (base(r#","mark":"0x1""#), "rule r1: mark `0x1`: pf has no packet marks; leave `mark` out"),
        (
            base(r#","vlan":["20"]"#),
            "rule r1: vlan `20`: OPNsense filters on the interface of a VLAN; name it in interface_in (opt1)",
        ),
        (
            base(r#","source_port":["!22"]"#),
            "rule r1: source_port `!22`: OPNsense takes ports from 1 on and cannot leave any out; list those that are meant",
        ),
        (
            base(r#","destination_address":["198.51.100.1"]"#),
            "rule r1: destination_address `198.51.100.1`: input is for the firewall's own addresses (opnsense.addresses); use direction forward for others",
        ),
        (
            base(r#","ttl_seconds":60"#),
            "rule r1: ttl_seconds `60`: OPNsense has no rules that end by themselves; leave `ttl_seconds` out, or drop addresses and nothing else: blocks end",
        ),
        (
            base(r#","log":{"prefix":"x"}"#),
            "rule r1: log `x`: OPNsense logs under the rule's own name; leave prefix and level out of `log`",
        ),
        (
            base(r#","schedule":{"days":["monday"]}"#),
            "rule r1: schedule `local time`: schedules of OPNsense cannot be made over its API; leave `schedule` out",
        ),
        (base(r#","extra":{"a":1}"#), "rule r1: extra `a`: OPNsense has no such match here; `extra` must be empty"),
    ];
    for (fields, words) in cases {
        assert_eq!(refused(&fields), words, "{fields}");
    }
}

#[test]
fn what_pf_does_not_see_is_refused_with_the_reason() {
    let begins = [
        (
            r#""action":"accept","direction":"output""#,
            "rule r1: direction `output`: pf sees what leaves the firewall with its source translated already",
        ),
        (
            r#""action":"accept","direction":"forward","interface_out":["wan"]"#,
            "rule r1: interface_out `wan`: AFO's rules are asked when a packet comes in",
        ),
        (
            r#""action":"masquerade","direction":"forward""#,
            "rule r1: action `masquerade`: address translation is not written for OPNsense",
        ),
        (
            r#""action":"drop","direction":"input""#,
            "rule r1: protocol `any`: a denial of everything would take the ICMPv6",
        ),
        (
            r#""action":"drop","direction":"forward","protocol":["udp"]"#,
            "rule r1: destination_address `any`: what passes through has for pf every destination",
        ),
        (
            r#""action":"accept","direction":"forward","destination_address":["192.0.2.0/24"]"#,
            "rule r1: destination_address `192.0.2.1`: it is the firewall's own address",
        ),
        (
            r#""action":"drop","direction":"input","protocol":["dccp"]"#,
            "rule r1: protocol `dccp`: OPNsense has no name for it",
        ),
        (
            r#""action":"reject","direction":"input","protocol":["tcp"],"reject_with":"port-unreachable""#,
            "rule r1: reject_with `port-unreachable`: OPNsense answers TCP with tcp-reset",
        ),
    ];
    for (fields, words) in begins {
        let said = refused(fields);
        assert!(said.starts_with(words), "{fields}: {said}");
    }
    let unknown =
        rule(r#""action":"drop","direction":"forward","protocol":["tcp"],"destination_address":["198.51.100.1"]"#);
    let said = Policy::of(&[unknown], &Known::NOTHING).expect_err("not known")[0].to_string();
    assert!(said.ends_with("set opnsense.addresses"), "{said}");
}

#[test]
fn a_rule_for_one_interface_comes_after_the_others_or_not_at_all() {
    let single = r#"{"id":"a","action":"accept","direction":"input","protocol":["tcp"],"destination_port":["22"],"interface_in":["lan"]}"#;
    let wide = r#"{"id":"b","action":"drop","direction":"input","protocol":["tcp"],"destination_port":["22"]}"#;
    let said = Policy::of(&rules(&format!("{single},{wide}")), &known()).expect_err("it would decide first");
    assert_eq!(
        said[0].to_string(),
        "rule a: interface_in `lan`: OPNsense asks a rule for one interface after all that are for none or several, and rule b would decide first; name the interface there too, or two interfaces here"
    );
    let elsewhere = |rule: &str, net: &str| rule.replace("\"id\"", &format!("\"source_address\":[\"{net}\"],\"id\""));
    let apart = format!("{},{}", elsewhere(single, "10.0.0.0/8"), elsewhere(wide, "203.0.113.0/24"));
    assert!(Policy::of(&rules(&apart), &known()).is_ok(), "no packet comes from both");
    let other = wide.replace("\"22\"", "\"80\"");
    let order: Vec<String> =
        documents(&rules(&format!("{single},{other}"))).into_iter().map(|d| d["description"].clone()).collect();
    assert_eq!(order, ["afo 7 b", "afo 7 a"], "what does not meet may change places");
    assert!(Policy::of(&rules(&format!("{wide},{single}")), &known()).is_ok());
}
