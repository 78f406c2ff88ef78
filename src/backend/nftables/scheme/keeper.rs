//! Chains that only their own program may write to: who keeps them, and what a person can do there for an allow of AFO's.
//!
//! What a program writes anew from its own configuration would lose a door with its next reload, and may refuse a rule that it did not make.

use crate::packet::{AddressSpec, PortRange};
use crate::rule::door::DOOR;
use crate::rule::doorway::Doorway;
use crate::rule::ruleset::{Hook, Ruleset, Table, TableFamily};
use crate::rule::{Action, Direction, FamilyMatch, Rule};

/// What is behind the name of a table of iptables-legacy in a ruleset.
const LEGACY: &str = " (legacy)";

/// Why AFO puts no door into a chain, and what a person can do there for `rules`; nothing where it may.
pub fn keeper(ruleset: &Ruleset, way: &Doorway, rules: &[Rule]) -> Option<String> {
    let (table, chain, direction) = way.find(ruleset)?;
    let base = ruleset.tables[table].chains[chain].base.as_ref()?;
    let table = &ruleset.tables[table];
    let stays = |who: &str, command: &str| {
        Some(format!("chain `{way}` belongs to {who}, and AFO does not write to it; {command}"))
    };
    match () {
        () if is_of_iptables(table) => stays("iptables", &iptables(table, base.hook, &way.chain)),
        () if way.table == "firewalld" => stays("firewalld", &firewalld(rules, direction)),
        () if way.table == "docker-bridges" => stays("Docker", &docker()),
        () if !way.is_plain() => stays("another program", "its name cannot be written in nft's language"),
        () => None,
    }
}

/// Whether iptables keeps a table: by the names that it gives to its tables and chains.
fn is_of_iptables(table: &Table) -> bool {
    let name = table.name.trim_end_matches(LEGACY);
    let kept = ["filter", "nat", "mangle", "raw", "security"].contains(&name);
    let built_in = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"];
    let family = matches!(table.family, TableFamily::Ip | TableFamily::Ip6);
    family && kept && table.chains.iter().any(|chain| chain.base.is_some() && built_in.contains(&chain.name.as_str()))
}

/// The command that puts a door where iptables rules are: where Docker and ufw leave room for others, else first in the built-in chain.
fn iptables(table: &Table, hook: Hook, chain: &str) -> String {
    let legacy = if table.name.ends_with(LEGACY) { "-legacy" } else { "" };
    let (program, six) = if table.family == TableFamily::Ip6 { ("ip6tables", "6") } else { ("iptables", "") };
    let has = |name: &str| table.chains.iter().any(|chain| chain.name == name);
    let matches = format!("-m mark --mark {DOOR:#x}/{DOOR:#x} -j ACCEPT");
    let ufw = format!("ufw{six}-before-{}", hook.as_str());
    if has(&ufw) {
        return format!(
            "add `-A {ufw} {matches}` to /etc/ufw/before{six}.rules before its other rules, then: sudo ufw reload"
        );
    }
    let room = if hook == Hook::Forward && has("DOCKER-USER") { "DOCKER-USER" } else { chain };
    let name = table.name.trim_end_matches(LEGACY);
    let of = if name == "filter" { String::new() } else { format!(" -t {name}") };
    format!("once: sudo {program}{legacy}{of} -I {room} {matches}")
}

/// Docker's own way to let marked packets pass (dockerd(8), since 29).
fn docker() -> String {
    format!(
        "once in /etc/docker/daemon.json: \"bridge-accept-fwmark\": \"{DOOR:#x}/{DOOR:#x}\", then: sudo systemctl restart docker"
    )
}

/// firewalld has no match of a mark, so that each allow is said in its own words.
fn firewalld(rules: &[Rule], direction: Direction) -> String {
    let allowed =
        rules.iter().filter(|rule| rule.enabled && rule.action == Action::Accept && rule.direction == direction);
    let said: Option<Vec<Vec<String>>> = allowed.map(rich).collect();
    match said.as_deref().map(<[Vec<String>]>::concat) {
        Some(all) if direction == Direction::Input => format!("let firewalld accept it too: {}", commands(&all)),
        _ => "let firewalld accept it too, by a policy of its own: man firewall-cmd, --new-policy".to_owned(),
    }
}

fn commands(rich: &[String]) -> String {
    let one = |rule: &String| format!("sudo firewall-cmd --permanent --add-rich-rule='{rule}'");
    let all: Vec<String> = rich.iter().map(one).collect();
    format!("{}; sudo firewall-cmd --reload", all.join("; "))
}

/// A rule as rich rules of firewalld (firewalld.richlanguage(5)), in the zone that its packets come to by default; nothing where those say less than it asks.
fn rich(rule: &Rule) -> Option<Vec<String>> {
    let simple = Rule {
        id: rule.id.clone(),
        family: rule.family,
        source_address: rule.source_address.clone(),
        protocol: rule.protocol.clone(),
        destination_port: rule.destination_port.clone(),
        comment: rule.comment.clone(),
        position: rule.position.clone(),
        priority: rule.priority,
        ..Rule::new(rule.id.clone(), rule.action, rule.direction)
    };
    let lists = [rule.source_address.is_negated(), rule.protocol.is_negated(), rule.destination_port.is_negated()];
    if simple != *rule || lists.contains(&true) {
        return None;
    }
    let sources: Vec<Option<&AddressSpec>> = or_any(rule.source_address.items());
    let ports: Vec<Option<&PortRange>> = or_any(rule.destination_port.items());
    let mut found = Vec::new();
    for source in sources {
        let from = source_words(source, rule.family)?;
        for port in &ports {
            let services = services(rule, *port)?;
            found.extend(services.into_iter().map(|service| format!("rule{from}{service} accept")));
        }
    }
    Some(found)
}

fn or_any<T>(items: &[T]) -> Vec<Option<&T>> {
    if items.is_empty() { vec![None] } else { items.iter().map(Some).collect() }
}

fn source_words(source: Option<&AddressSpec>, family: FamilyMatch) -> Option<String> {
    let of = |word: &str| format!(" family=\"{word}\"");
    let own = match family {
        FamilyMatch::Any => String::new(),
        FamilyMatch::Ipv4 => of("ipv4"),
        FamilyMatch::Ipv6 => of("ipv6"),
    };
    match source.map(ToString::to_string) {
        None => Some(own),
        Some(text) if text.contains(['-', '\'', '"']) => None,
        Some(text) => {
            let word = if text.contains(':') { "ipv6" } else { "ipv4" };
            Some(format!("{} source address=\"{text}\"", of(word)))
        }
    }
}

fn services(rule: &Rule, port: Option<&PortRange>) -> Option<Vec<String>> {
    let names: Vec<String> = rule.protocol.items().iter().map(ToString::to_string).collect();
    match port {
        Some(port) => {
            let both = vec!["tcp".to_owned(), "udp".to_owned()];
            let names = if names.is_empty() { both } else { names };
            let ported = names.iter().all(|name| ["tcp", "udp", "sctp", "dccp"].contains(&name.as_str()));
            ported.then(|| names.iter().map(|name| format!(" port port=\"{port}\" protocol=\"{name}\"")).collect())
        }
        None if names.is_empty() => Some(vec![String::new()]),
        None => Some(names.iter().map(|name| format!(" protocol value=\"{name}\"")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{iptables, nftables};

    fn said(ruleset: &Ruleset, way: (TableFamily, &str, &str), rules: serde_json::Value) -> Option<String> {
        let way = Doorway { family: way.0, table: way.1.to_owned(), chain: way.2.to_owned() };
        keeper(ruleset, &way, &serde_json::from_value::<Vec<Rule>>(rules).expect("rules"))
    }

    fn listing(family: &str, table: &str, chain: &str, hook: &str) -> Ruleset {
        let json = format!(
            r#"{{"nftables": [{{"table": {{"family": "{family}", "name": "{table}"}}}}, {{"chain": {{"family": "{family}", "table": "{table}",
            "name": "{chain}", "type": "filter", "hook": "{hook}", "prio": 0, "policy": "drop"}}}}]}}"#
        );
        nftables::read(&json).expect("a listing")
    }

    #[test]
    fn iptables_chains_are_left_to_iptables() {
        let dump = |more: &str| {
            iptables::read(&format!("*filter\n:INPUT DROP\n:FORWARD DROP\n{more}COMMIT\n")).expect("a dump")
        };
        let none = || serde_json::json!([]);
        let command =
            |ruleset: &Ruleset, chain| said(ruleset, (TableFamily::Ip, "filter", chain), none()).expect("iptables'");
        assert_eq!(
            command(&dump(""), "INPUT"),
            "chain `ip filter INPUT` belongs to iptables, and AFO does not write to it; once: sudo iptables -I INPUT -m mark --mark 0x10000000/0x10000000 -j ACCEPT"
        );
        assert!(command(&dump(":DOCKER-USER -\n"), "FORWARD").contains("-I DOCKER-USER -m mark"));
        let ufw = command(&dump(":ufw-before-input -\n"), "INPUT");
        assert!(ufw.contains("-A ufw-before-input -m mark") && ufw.contains("/etc/ufw/before.rules"), "{ufw}");
        let mut legacy = Ruleset::default();
        iptables::add_legacy(&mut legacy, dump(""));
        let words = said(&legacy, (TableFamily::Ip, &legacy.tables[0].name, "INPUT"), none()).expect("iptables'");
        assert!(words.contains("sudo iptables-legacy -I INPUT"), "{words}");
        // A table of nft's own that has such a name.
        assert_eq!(
            said(&listing("ip", "filter", "input", "input"), (TableFamily::Ip, "filter", "input"), none()),
            None
        );
    }

    #[test]
    fn firewalld_is_told_in_its_own_words() {
        let ruleset = listing("inet", "firewalld", "filter_INPUT", "input");
        let way = (TableFamily::Inet, "firewalld", "filter_INPUT");
        let ssh = serde_json::json!([{ "id": "r1", "action": "accept", "direction": "input", "protocol": ["tcp"],
            "destination_port": ["22", "8000-8010"], "source_address": ["192.0.2.0/24"] }]);
        assert_eq!(
            said(&ruleset, way, ssh).expect("firewalld's"),
            "chain `inet firewalld filter_INPUT` belongs to firewalld, and AFO does not write to it; let firewalld accept it too: \
             sudo firewall-cmd --permanent --add-rich-rule='rule family=\"ipv4\" source address=\"192.0.2.0/24\" port port=\"22\" protocol=\"tcp\" accept'; \
             sudo firewall-cmd --permanent --add-rich-rule='rule family=\"ipv4\" source address=\"192.0.2.0/24\" port port=\"8000-8010\" protocol=\"tcp\" accept'; \
             sudo firewall-cmd --reload"
        );
        let new =
            serde_json::json!([{ "id": "r1", "action": "accept", "direction": "input", "connection_state": ["new"] }]);
        assert!(said(&ruleset, way, new).expect("firewalld's").ends_with("man firewall-cmd, --new-policy"));
        let docker = listing("ip", "docker-bridges", "filter-FORWARD", "forward");
        let words = said(&docker, (TableFamily::Ip, "docker-bridges", "filter-FORWARD"), serde_json::json!([]))
            .expect("Docker's");
        assert!(words.contains("\"bridge-accept-fwmark\": \"0x10000000/0x10000000\""), "{words}");
    }
}
