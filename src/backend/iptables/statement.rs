//! What rules of iptables do, in the form in which nft lists it: so the import that proves rules of nft proves these too.
//!
//! Only the order and kind of what a rule does is said so; which packets it takes is in its conditions. What AFO's own rules cannot do
//! keeps its name, and is refused by it.

use super::read::{Action, actions};
use super::{lead, when};
use crate::rule::ruleset::{Ruleset, TableFamily};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A rule's family, table and chain, and its statements under `expr`; the rules of a chain in their order.
pub type Statements = (TableFamily, String, String, Value);

/// What the rules of a ruleset do that was read from dumps.
pub fn statements(ruleset: &Ruleset) -> Vec<Statements> {
    let shared = shared(ruleset);
    let lines = ruleset.lines().filter_map(|(at, line)| {
        let table = ruleset.tables.get(at.table)?;
        let all: Vec<Value> = match actions(&line.text) {
            Ok(actions) => actions.into_iter().map(|action| statement(action, table.family, &shared)).collect(),
            Err(_) => vec![Value::Null],
        };
        Some((table.family, table.name.clone(), table.chains[at.chain].name.clone(), json!({ "expr": all })))
    });
    lines.collect()
}

/// The buckets of hashlimit that several rules count in, by family and name.
type Shared = BTreeSet<(TableFamily, String)>;

fn shared(ruleset: &Ruleset) -> Shared {
    let (mut once, mut twice) = (Shared::new(), Shared::new());
    for (at, line) in ruleset.lines().filter(|(_, line)| line.text.contains("hashlimit")) {
        for action in actions(&line.text).unwrap_or_default() {
            let Action::Hashlimit { options, .. } = action else { continue };
            let name = (ruleset.tables[at.table].family, when::bucket(&options).to_owned());
            if !once.insert(name.clone()) {
                twice.insert(name);
            }
        }
    }
    twice
}

fn named(name: &str) -> Value {
    json!({ name: null })
}

fn statement(action: Action, family: TableFamily, shared: &Shared) -> Value {
    match action {
        Action::Match => named("match"),
        Action::Limit { rate, burst } => limit(&rate, burst.as_deref()).unwrap_or_else(|| named("limit")),
        Action::Hashlimit { options, .. } if shared.contains(&(family, when::bucket(&options).to_owned())) => {
            named("hashlimit with a bucket that other rules count in")
        }
        Action::Hashlimit { over, options } => {
            when::hashlimit(over, &options, family).unwrap_or_else(|| named("hashlimit"))
        }
        Action::Hours(options) => when::hours(&options).unwrap_or_else(|| named("time")),
        Action::Goto(to) => json!({ "goto": { "target": to } }),
        Action::Log { prefix, level } => log(prefix, level.as_deref()).unwrap_or_else(|| named("LOG")),
        Action::Reject(with) => json!({ "reject": reject(with.as_deref(), family) }),
        Action::Nat(name, options) => lead::translation(&name, &options).unwrap_or_else(|why| named(&why)),
        Action::Jump(to) => json!({ "jump": { "target": to } }),
        Action::Other(name) => match name.as_str() {
            "ACCEPT" => named("accept"),
            "DROP" => named("drop"),
            "RETURN" => named("return"),
            other => named(other),
        },
    }
}

/// `3/sec`, and the burst, which iptables-save leaves out where it is 5.
fn limit(rate: &str, burst: Option<&str>) -> Option<Value> {
    let (count, per) = when::rate(rate)?;
    let burst: u64 = burst.map_or(Some(5), |burst| burst.parse().ok())?;
    Some(json!({ "limit": { "rate": count, "per": per, "burst": burst } }))
}

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

fn log(prefix: Option<String>, level: Option<&str>) -> Option<Value> {
    let mut fields = serde_json::Map::new();
    if let Some(prefix) = prefix {
        fields.insert("prefix".to_owned(), prefix.into());
    }
    // Level 4 is that of a rule that gives none.
    if let Some(level) = level.filter(|level| *level != "4") {
        fields.insert("level".to_owned(), (*LEVELS.get(level.parse::<usize>().ok()?)?).into());
    }
    Some(match fields.is_empty() {
        true => named("log"),
        false => json!({ "log": fields }),
    })
}

/// The answer in nft's words; what nft has no words for keeps iptables'.
fn reject(with: Option<&str>, family: TableFamily) -> Value {
    let (usual, kind) = if family == TableFamily::Ip6 {
        ("icmp6-port-unreachable", "icmpv6")
    } else {
        ("icmp-port-unreachable", "icmp")
    };
    let with = with.unwrap_or(usual);
    let answer = match with {
        "tcp-reset" => return json!({ "type": "tcp reset" }),
        "icmp6-adm-prohibited" | "adm-prohibited" => "admin-prohibited",
        "icmp-proto-unreachable" => "prot-unreachable",
        other => other.strip_prefix("icmp6-").or_else(|| other.strip_prefix("icmp-")).unwrap_or(other),
    };
    json!({ "type": kind, "expr": answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::iptables::read;
    use crate::backend::nftables::{NotSaid, import_ruleset};

    /// The lines of what is said, why of what is not, and why of what decides nothing.
    fn taken(dump: &str) -> [Vec<String>; 3] {
        let ruleset = read(dump).expect(dump);
        let all = import_ruleset(&ruleset, &statements(&ruleset));
        let line = |rule: &crate::rule::Rule| rule.to_line().split_once(' ').expect("an id").1.to_owned();
        let why = |told: &[NotSaid]| told.iter().map(|n| format!("{}: {}", n.place, n.why)).collect();
        [all.rules.iter().map(line).collect(), why(&all.not_said), why(&all.idle)]
    }

    fn imported(rules: &str) -> (Vec<String>, Vec<String>) {
        let [said, not, idle] = taken(&format!("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:sub -\n{rules}\nCOMMIT\n"));
        (said, [not, idle].concat())
    }

    #[test]
    fn translations_are_taken_over() {
        let dump = |rules: &str| {
            format!("*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:sub -\n{rules}\nCOMMIT\n")
        };
        for (rules, said) in [
            (
                "-A PREROUTING -i wan0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.1.5:80",
                "dnat forward family=ipv4 interface_in=wan0 protocol=tcp destination_port=8080 nat.address=192.168.1.5 nat.port=80",
            ),
            (
                "-A PREROUTING -i lan0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128",
                "redirect input family=ipv4 interface_in=lan0 protocol=tcp destination_port=80 nat.port=3128",
            ),
            (
                "-A POSTROUTING -s 192.168.1.0/24 -o wan0 -j MASQUERADE",
                "masquerade forward family=ipv4 interface_out=wan0 source_address=192.168.1.0/24",
            ),
            (
                "-A POSTROUTING -j sub\n-A sub -o wan0 -j SNAT --to-source 192.0.2.1",
                "snat forward family=ipv4 interface_out=wan0 nat.address=192.0.2.1",
            ),
            // What is accepted before is not translated.
            (
                "-A POSTROUTING -d 192.168.0.0/16 -j ACCEPT\n-A POSTROUTING -o wan0 -j MASQUERADE",
                "masquerade forward family=ipv4 interface_out=wan0 destination_address=!192.168.0.0/16",
            ),
            (
                "-A POSTROUTING -d 192.168.0.0/16 -j RETURN\n-A POSTROUTING -o wan0 -j MASQUERADE",
                "masquerade forward family=ipv4 interface_out=wan0 destination_address=!192.168.0.0/16",
            ),
            (
                "-A PREROUTING -j sub\n-A sub -i br0 -j RETURN\n-A sub -p udp -m udp --dport 53 -j REDIRECT",
                "redirect input family=ipv4 interface_in=!br0 protocol=udp destination_port=53",
            ),
        ] {
            let [found, why, idle] = taken(&dump(rules));
            assert_eq!((why, idle), (vec![], vec![]), "{rules}");
            assert!(found[0].starts_with(said) && found.len() <= 2, "{rules}: {found:?}");
        }
        let [_, why, _] = taken(&dump("-A POSTROUTING -o wan0 -j MASQUERADE --random"));
        assert_eq!(why, ["ip nat POSTROUTING, rule 1: `MASQUERADE --random` is nothing that AFO's rules do"]);
    }

    /// Of a rule with several parts those that earlier rules decide are left out, and no more.
    #[test]
    fn what_is_decided_before_is_no_part_of_a_rule() {
        let first = "-A FORWARD -p tcp -m tcp --dport 23 -j DROP";
        let (said, why) = imported(&format!("{first}\n-A FORWARD -p tcp -m multiport --ports 23 -j DROP"));
        assert_eq!(
            (said.as_slice(), why.len()),
            (
                &[
                    "drop forward family=ipv4 protocol=tcp destination_port=23".to_owned(),
                    "drop forward family=ipv4 protocol=tcp source_port=23".to_owned()
                ][..],
                0
            ),
            "{why:?}"
        );
        let (said, why) = imported(&format!("{first}\n{first}"));
        assert_eq!(
            (said.len(), why.as_slice()),
            (1, &["ip filter FORWARD, rule 2: earlier rules decide all its packets".to_owned()][..])
        );
    }

    #[test]
    fn what_decides_nothing_is_told_as_that() {
        let dump = "*raw\n:PREROUTING ACCEPT\n:none -\n-A PREROUTING -i eth0 -j none\nCOMMIT\n\
            *mangle\n:POSTROUTING ACCEPT\n-A POSTROUTING -j ACCEPT\nCOMMIT\n\
            *security\n:INPUT ACCEPT\n:direct -\n-A INPUT -j direct\nCOMMIT\n\
            *filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:logged -\n:old -\n\
            -A INPUT -s 192.0.2.1/32\n\
            -A INPUT -m limit --limit 3/min -j logged\n\
            -A INPUT -i eth0 -p tcp -m tcp --dport 23 -j DROP\n\
            -A INPUT -i eth0 -p tcp -m tcp --dport 23 -j DROP\n\
            -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
            -A logged -m conntrack --ctstate INVALID -m limit --limit 3/min -j RETURN\n-A logged -j NFLOG --nflog-group 3\n\
            -A old -j DROP\nCOMMIT\n";
        let [found, why, idle] = taken(dump);
        assert_eq!((found.len(), why), (2, vec![]), "{found:?}");
        let quiet = "nothing in its chain denies, translates or changes packets";
        assert_eq!(
            idle,
            [
                format!("ip raw PREROUTING, rule 1: {quiet}"),
                format!("ip mangle POSTROUTING, rule 1: {quiet}"),
                "ip filter INPUT, rule 1: it only counts".to_owned(),
                "ip filter INPUT, rule 2: it leads to nothing that denies, translates or changes packets".to_owned(),
                "ip filter INPUT, rule 4: earlier rules decide all its packets".to_owned(),
                format!("ip filter logged, rule 1: {quiet}"),
                format!("ip filter logged, rule 2: {quiet}"),
                "ip filter old, rule 1: no packet comes to its chain: nothing leads there".to_owned(),
            ]
        );
    }

    #[test]
    fn rules_are_taken_over_where_they_are_proven() {
        for (rules, said) in [
            (
                "-A INPUT -s 192.0.2.0/24 -p tcp -m multiport --dports 22,80:90 -j ACCEPT",
                "accept input family=ipv4 source_address=192.0.2.0/24 protocol=tcp destination_port=22,80-90",
            ),
            (
                "-A FORWARD -i eth+ -p udp -m udp --dport 53 -m conntrack --ctstate NEW -j DROP",
                "drop forward family=ipv4 interface_in=eth* protocol=udp destination_port=53 connection_state=new",
            ),
            (
                "-A FORWARD -p tcp -m tcp --dport 23 -j REJECT --reject-with tcp-reset",
                "reject forward family=ipv4 protocol=tcp destination_port=23 reject_with=tcp-reset",
            ),
            (
                "-A FORWARD -j sub\n-A sub -p tcp -m tcp --dport 25 -m limit --limit 10/min -j LOG --log-prefix \"mail \"",
                "log forward family=ipv4 protocol=tcp destination_port=25",
            ),
            (
                "-A FORWARD -p tcp -m tcp --dport 22 -m hashlimit --hashlimit-above 3/min --hashlimit-burst 4 --hashlimit-mode srcip --hashlimit-name ssh --hashlimit-htable-expire 80000 -j DROP",
                "drop forward family=ipv4 protocol=tcp destination_port=22 rate_limit.count=3 rate_limit.per=minute rate_limit.burst=4 rate_limit.scope=source",
            ),
            (
                "-A FORWARD -p tcp -m time --timestart 09:00:00 --timestop 16:59:59 --weekdays Mon,Sat --datestop 2038-01-19T03:14:07 -j DROP",
                "drop forward family=ipv4 protocol=tcp schedule.days=monday,saturday schedule.from=09:00 schedule.to=17:00 schedule.zone=UTC",
            ),
            (
                "-A FORWARD -j sub\n-A sub ! -s 192.0.2.0/24 -j RETURN\n-A sub -p tcp -j DROP",
                "drop forward family=ipv4 source_address=192.0.2.0/24 protocol=tcp",
            ),
        ] {
            let (found, why) = imported(rules);
            assert_eq!((found.len(), why.len()), (1, 0), "{rules}: {found:?} {why:?}");
            assert!(found[0].starts_with(said), "{rules}: {}", found[0]);
        }
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        for (rule, why) in [
            ("-p tcp -j MARK --set-mark 1", "`MARK` is nothing that AFO's rules do"),
            ("-p tcp -j LOG --log-uid", "`LOG` is nothing that AFO's rules do"),
            ("-p tcp -m recent --set --name a --rsource -j DROP", "`recent` is nothing that AFO's rules do"),
            ("-p tcp -m owner --uid-owner 0 -j ACCEPT", "`-m owner --uid-owner 0` is nothing that AFO's rules ask"),
            ("-p tcp -j NFLOG --nflog-group 2", "`NFLOG` is nothing that AFO's rules do"),
            ("-p tcp -m time --monthdays 1 -j DROP", "`time` is nothing that AFO's rules do"),
            (
                "-p tcp -m time --timestart 22:00 --timestop 05:59:59 --weekdays Sat -j DROP",
                "`time` is nothing that AFO's rules do",
            ),
            (
                "-p tcp -m hashlimit --hashlimit-above 3/min --hashlimit-mode srcip --hashlimit-name a -j DROP",
                "`hashlimit` is nothing that AFO's rules do",
            ),
            (
                "-p tcp -m hashlimit --hashlimit-above 3/sec --hashlimit-mode dstip --hashlimit-name a -j DROP",
                "`hashlimit` is nothing that AFO's rules do",
            ),
            (
                "-p tcp -m hashlimit --hashlimit-upto 3/sec --hashlimit-mode srcip --hashlimit-name a -j ACCEPT",
                "what is over its rate goes on to later rules; AFO's would end there",
            ),
            ("-p tcp -m limit --limit 3/sec -j RETURN", "`return` is no verdict of AFO's rules"),
            ("-m ttl --ttl-lt 5 -j DROP", "`-m ttl --ttl-lt 5` is nothing that AFO's rules ask"),
            (
                "-p tcp -m limit --limit 3/sec -m tcp --dport 22 -j DROP",
                "`match` stands where AFO's rules cannot have it",
            ),
        ] {
            let (found, reasons) = imported(&format!("-A FORWARD {rule}"));
            assert_eq!(found.len(), 0, "{rule}: {found:?}");
            assert_eq!(reasons, [format!("ip filter FORWARD, rule 1: {why}")], "{rule}");
        }
    }
}
