//! What else decides about packets beside the kind of iptables that is used: rules of its other kind, and nftables' own.
//!
//! All of them are asked about each packet, and each program shows only its own.

use crate::sys::iptables::{self as programs, Variant};
use crate::sys::tables::{self, Table};

/// What is live beside the rules that the program of a family shows; also what could not be asked.
pub(super) fn beside(v6: bool) -> Vec<String> {
    let name = if v6 { "ip6tables" } else { "iptables" };
    let Ok((_, kind)) = programs::kind(v6) else { return Vec::new() };
    let mut words = Vec::new();
    let mut live = |variant| match holds_rules(variant, v6) {
        Ok(live) => live,
        Err(why) => {
            words.push(format!("whether {name} ({}) holds rules could not be asked: {why}", variant.as_str()));
            false
        }
    };
    let both = [(Variant::Nft, live(Variant::Nft)), (Variant::Legacy, live(Variant::Legacy))];
    let native = native(&mut words, v6);
    words.extend(told(name, kind, both, &native));
    words
}

/// Whether a kind of iptables decides anything: a rule, or a policy that drops.
fn holds_rules(variant: Variant, v6: bool) -> Result<bool, String> {
    if variant == Variant::Legacy && programs::legacy_tables(v6).map_err(|e| e.to_string())?.is_empty() {
        return Ok(false);
    }
    match programs::save(variant, v6) {
        Ok(dump) => Ok(decides(&dump)),
        // What is not installed keeps no rules but those that another program put there, which nft lists.
        Err(programs::SaveError::NotRun(_) | programs::SaveError::OtherKind(..)) if variant == Variant::Nft => {
            Ok(false)
        }
        Err(e) => Err(e.to_string()),
    }
}

fn decides(dump: &str) -> bool {
    dump.lines().any(|line| {
        line.starts_with("-A ") || (line.starts_with(':') && line.split_whitespace().nth(1) == Some("DROP"))
    })
}

/// The tables of nftables that packets of the family pass and that iptables does not keep its rules in.
fn native(words: &mut Vec<String>, v6: bool) -> Vec<String> {
    let all = tables::all().unwrap_or_else(|e| {
        words.push(format!("whether nftables holds rules could not be asked: {e}"));
        Vec::new()
    });
    own_tables(&all, v6)
}

/// Those of `all` that are nobody's of iptables, for a family: `inet fw`.
pub(super) fn own_tables(all: &[Table], v6: bool) -> Vec<String> {
    let family = if v6 { "ip6" } else { "ip" };
    let passed = |table: &&Table| match table.family {
        "inet" | "netdev" | "bridge" | "" => true,
        own => own == family && !table.is_of_iptables(),
    };
    all.iter().filter(passed).map(|table| format!("{} {}", table.family, table.name)).collect()
}

fn told(name: &str, kind: Variant, live: [(Variant, bool); 2], native: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    let other = live.iter().find(|(variant, is_live)| *is_live && *variant != kind);
    if let Some((other, _)) = other {
        let both = live.iter().all(|(_, is_live)| *is_live);
        let also =
            if both { "rules of both kinds of iptables are live" } else { "the live rules are of the other kind" };
        words.push(format!(
            "{also}: `{name}` is of the kind {} and neither shows nor changes those of {}; a packet must pass them too",
            kind.as_str(),
            other.as_str()
        ));
    }
    if !native.is_empty() {
        let list = native.join(", ");
        words.push(format!("nftables holds rules beside iptables (table {list}): a packet must pass them too"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const NFT: Variant = Variant::Nft;
    const LEGACY: Variant = Variant::Legacy;

    #[test]
    fn what_stands_beside_is_told() {
        assert!(told("iptables", NFT, [(NFT, true), (LEGACY, false)], &[]).is_empty());
        assert_eq!(
            told("iptables", NFT, [(NFT, true), (LEGACY, true)], &["inet fw".to_owned()]),
            [
                "rules of both kinds of iptables are live: `iptables` is of the kind nf_tables and neither shows nor changes those of legacy; a packet must pass them too",
                "nftables holds rules beside iptables (table inet fw): a packet must pass them too"
            ]
        );
        let words = told("ip6tables", LEGACY, [(NFT, true), (LEGACY, false)], &[]);
        assert!(words[0].starts_with("the live rules are of the other kind: `ip6tables` is of the kind legacy"));
    }

    #[test]
    fn tables_and_dumps_are_told_apart() {
        let all = [("ip", "filter"), ("ip6", "mine"), ("inet", "fw"), ("arp", "x"), ("ip", "nat"), ("ip", "other")];
        let all = all.map(|(family, name)| Table { family, name: name.to_owned() });
        assert_eq!(own_tables(&all, false), ["inet fw", "ip other"]);
        assert_eq!(own_tables(&all, true), ["ip6 mine", "inet fw"]);
        assert!(!decides("*filter\n:INPUT ACCEPT [0:0]\n:sub - [0:0]\nCOMMIT\n"));
        assert!(decides("*filter\n:INPUT DROP [0:0]\nCOMMIT\n") && decides("*nat\n-A POSTROUTING -j MASQUERADE\n"));
    }
}
