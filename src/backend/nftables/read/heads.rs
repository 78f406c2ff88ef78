//! What nft's text says of tables, chains, sets and objects before their rules and elements (`nft -s -t list ruleset`).
//!
//! nft's JSON leaves a part of it out: the devices of a chain (nft 1.0.6), the flags of a table, `typeof`, `auto-merge`, comments of chains.
//! It is taken line by line as nft writes it and never interpreted further than is said here.

use crate::rule::ruleset::{Hook, Ruleset};
use std::collections::HashMap;

/// The heads of a ruleset.
#[derive(Debug, Default)]
pub struct Heads {
    /// By `inet filter` or `inet filter set names`: the lines, without what stands around them.
    all: HashMap<String, Vec<String>>,
}

impl Heads {
    /// Those of a listing in nft's own text; what is no such text says nothing.
    pub fn of(text: &str) -> Self {
        let (mut heads, mut table, mut open, mut elements) = (Self::default(), String::new(), String::new(), false);
        for line in text.lines() {
            let depth = line.bytes().take_while(|byte| *byte == b'\t').count();
            let words = line[depth..].split("} # handle").next().unwrap_or_default();
            let opens = words.split_once(" {").filter(|(_, rest)| rest.is_empty() || rest.starts_with(" # "));
            match (depth, opens) {
                (0, Some((name, _))) if name.starts_with("table ") => {
                    table = name["table ".len()..].to_owned();
                    heads.all.entry(table.clone()).or_default();
                }
                (1, Some((name, _))) if !table.is_empty() => {
                    open = format!("{table} {name}");
                    heads.all.entry(open.clone()).or_default();
                }
                (1, _) if words == "}" => open.clear(),
                (1, _) if !words.is_empty() => heads.add(&table, words),
                (2.., _) if elements || words.starts_with("elements = {") => elements = !words.ends_with('}'),
                (2.., _) if !open.is_empty() && !words.is_empty() => heads.add(&open, words),
                _ => {}
            }
        }
        heads
    }

    fn add(&mut self, place: &str, words: &str) {
        if let Some(lines) = self.all.get_mut(place) {
            lines.push(words.to_owned());
        }
    }

    /// The lines of a table, or of what stands in one: `inet filter`, `inet filter set names`. Of a chain those before its rules.
    pub(super) fn of_place(&self, place: &str) -> Option<impl Iterator<Item = &str>> {
        let is_chain = place.split(' ').nth(2) == Some("chain");
        let head = move |line: &&String| !is_chain || line.starts_with("type ") || line.starts_with("comment \"");
        self.all.get(place).map(|lines| lines.iter().take_while(head).map(String::as_str))
    }

    /// Puts into a ruleset what its listing left out: whose packets a chain of a device sees, which tables do nothing.
    pub fn amend(&self, ruleset: &mut Ruleset) {
        let mut known = true;
        for table in &mut ruleset.tables {
            let place = format!("{} {}", table.family, table.name);
            match self.of_place(&place) {
                Some(mut lines) => table.dormant |= lines.any(is_dormant),
                None => known = false,
            }
            for chain in &mut table.chains {
                let Some(base) = chain.base.as_mut().filter(|base| base.devices.is_empty()) else { continue };
                if matches!(base.hook, Hook::Ingress | Hook::Egress) {
                    let head = self
                        .of_place(&format!("{place} chain {}", chain.name))
                        .and_then(|mut lines| lines.find(|line| line.starts_with("type ")));
                    base.devices = head.map(devices).unwrap_or_default();
                }
            }
        }
        if known {
            // What was not known of them were their flags.
            ruleset.unread.retain(|text| !text.starts_with("table {"));
        }
    }

    /// Whether a ruleset is one of whose listing a part is missing that these say.
    pub fn are_missing(ruleset: &Ruleset) -> bool {
        let of_device = |base: &crate::rule::ruleset::Base| {
            matches!(base.hook, Hook::Ingress | Hook::Egress) && base.devices.is_empty()
        };
        ruleset.chains().any(|(_, _, chain)| chain.base.as_ref().is_some_and(of_device))
            || ruleset.unread.iter().any(|text| text.starts_with("table {"))
    }
}

fn is_dormant(line: &str) -> bool {
    line.strip_prefix("flags ").is_some_and(|flags| flags.split(',').any(|flag| flag.trim() == "dormant"))
}

/// The names in `type filter hook ingress device "lo" priority 0; …`, or `devices = { "lo", eth0 } priority …`.
fn devices(line: &str) -> Vec<String> {
    let list = match (line.split_once(" devices = { "), line.split_once(" device ")) {
        (Some((_, rest)), _) => rest.split_once(" }").map_or("", |(names, _)| names),
        (None, Some((_, rest))) => rest.split_once(" priority").map_or("", |(name, _)| name),
        _ => "",
    };
    let names = list.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nftables::read;
    use proptest::prelude::*;

    const TEXT: &str = "table netdev n {\n\tflags dormant\n\tchain a {\n\t\tcomment \"x\"\n\t\ttype filter hook ingress device \"lo\" priority filter; policy accept;\n\t\tjump {\n\t\t\taccept\n\t\t}\n\t\tcomment \"no head\"\n\t}\n\n\tchain b {\n\t\ttype filter hook egress devices = { \"eth0\", eth1 } priority 5; policy drop;\n\t}\n}\ntable ip t { # handle 4\n\tset s { # handle 2\n\t\ttypeof ip saddr\n\t\tflags interval\n\t\telements = { 10.0.0.0/8,\n\t\t\t     10.0.0.1 }\n\t\tauto-merge\n\t}\n}\n";

    #[test]
    fn heads_are_found() {
        let heads = Heads::of(TEXT);
        let of = |place: &str| heads.of_place(place).map(|lines| lines.map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(
            of("ip t set s"),
            Some(vec!["typeof ip saddr".into(), "flags interval".into(), "auto-merge".into()])
        );
        assert_eq!(of("netdev n chain a").map(|lines| lines.len()), Some(2));
        assert_eq!((of("ip t"), of("ip u")), (Some(Vec::new()), None));
    }

    #[test]
    fn a_ruleset_gets_what_its_listing_left_out() {
        let chain = |name: &str, hook: &str| {
            format!(
                r#"{{"chain":{{"family":"netdev","table":"n","name":"{name}","type":"filter","hook":"{hook}","prio":0}}}}"#
            )
        };
        let table = r#"{"table":{"family":"netdev","name":"n","flags":"\u0001"}}"#;
        let json = format!("{{\"nftables\":[{table},{},{}]}}", chain("a", "ingress"), chain("b", "egress"));
        let mut ruleset = read(&json).expect("a listing");
        assert!(Heads::are_missing(&ruleset) && !ruleset.unread.is_empty());
        Heads::of(TEXT).amend(&mut ruleset);
        let devices: Vec<_> = ruleset.chains().filter_map(|(_, _, c)| Some(c.base.as_ref()?.devices.clone())).collect();
        assert_eq!(devices, [vec!["lo"], vec!["eth0", "eth1"]]);
        assert!(ruleset.tables[0].dormant && ruleset.unread.is_empty() && !Heads::are_missing(&ruleset));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(lines in proptest::collection::vec("\t{0,3}[a-z{}#=\" ,]{0,30}", 0..12)) {
            let heads = Heads::of(&lines.join("\n"));
            let mut ruleset = Ruleset::default();
            heads.amend(&mut ruleset);
            prop_assert_eq!(ruleset, Ruleset::default());
        }
    }
}
