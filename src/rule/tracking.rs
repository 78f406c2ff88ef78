//! Whether the rules of a ruleset have the kernel track connections. Where it does, it puts fragments together before most chains
//! see them.
//!
//! What a rule asks for is enough: the kernel registers tracking, and with it nf_defrag, when such a rule is loaded, whether a packet
//! comes to it or not (nf_ct_netns_get, net/netfilter/nf_conntrack_proto.c).

use super::ruleset::{Alteration, Condition, Line, Outcome, Ruleset, TableFamily, Unread, Verdict};
use crate::packet::{Cell, Narrow, Wide};

/// Words of rules that use connection tracking, in the languages of nft and iptables.
const WORDS: [&str; 13] = [
    "ct",
    "synproxy",
    "tproxy",
    "conntrack",
    "connmark",
    "connbytes",
    "connlimit",
    "connlabel",
    "helper",
    "socket",
    "TPROXY",
    "CT",
    "SYNPROXY",
];
const FIELDS: [Narrow; 3] = [Narrow::State, Narrow::ConnectionDirection, Narrow::ConnectionStatus];

impl Ruleset {
    /// Whether connections of either family are tracked.
    pub fn tracks(&self) -> bool {
        self.tracked().contains(&true)
    }

    /// Whether connections of IPv4, and of IPv6, are tracked.
    pub fn tracked(&self) -> [bool; 2] {
        let mut tracked = [false; 2];
        for table in self.tables.iter().filter(|table| table.family != TableFamily::Netdev) {
            let own = [0, 1].map(|family| table.family.packets().contains(family));
            // Most tables have many rules, and one look at each tells both families.
            let tells = (0..2).any(|family| own[family] && !tracked[family]);
            if tells && table.chains.iter().any(|chain| chain.lines.iter().any(asks)) {
                tracked = [tracked[0] || own[0], tracked[1] || own[1]];
            }
        }
        tracked
    }
}

/// Whether a rule asks for or uses connection tracking.
pub(super) fn asks(line: &Line) -> bool {
    line.conditions.iter().any(|condition| match condition {
        Condition::Narrow(field, _) => FIELDS.contains(field),
        Condition::Wide(field, _) => *field == Wide::ConnectionMark,
        Condition::AnyOf(cells) => cells.iter().any(is_of_connection),
        Condition::Chance(text) | Condition::Unread(Unread { text, .. }) => names_it(text),
    }) || line
        .alters
        .iter()
        .any(|change| matches!(change, Alteration::Field(name) | Alteration::Effect(name) if names_it(name)))
        || match &line.outcome {
            // A nat chain alone does not, and sees no packet then (nf_nat_inet_fn).
            Outcome::Verdict(verdict) => matches!(verdict, Verdict::Translate(_)),
            Outcome::ByKey(keys) => {
                keys.iter().any(|(cell, verdict)| is_of_connection(cell) || matches!(verdict, Verdict::Translate(_)))
            }
            Outcome::Unread(text) => names_it(text),
            Outcome::Next => false,
        }
}

fn is_of_connection(cell: &Cell) -> bool {
    cell.asks_wide(Wide::ConnectionMark) || FIELDS.into_iter().any(|field| cell.asks_narrow(field))
}

fn names_it(text: &str) -> bool {
    text.split_whitespace().any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Bits;
    use crate::rule::ruleset::{Chain, Table};

    fn tracked(family: TableFamily, condition: Condition) -> [bool; 2] {
        let line = Line {
            handle: None,
            comment: Some("ct".to_owned()),
            text: String::new(),
            conditions: vec![condition],
            alters: Vec::new(),
            outcome: Outcome::Next,
        };
        let chain = Chain { name: "c".to_owned(), handle: None, base: None, lines: vec![line] };
        let table = Table { family, name: "t".to_owned(), dormant: false, chains: vec![chain], sets: Vec::new() };
        Ruleset { backend: "nftables".to_owned(), tables: vec![table], unread: Vec::new() }.tracked()
    }

    #[test]
    fn each_family_is_tracked_by_itself() {
        let state = || Condition::Narrow(Narrow::State, Bits::single(1));
        assert_eq!(tracked(TableFamily::Ip, state()), [true, false]);
        assert_eq!(
            tracked(TableFamily::Ip6, Condition::Chance("-m connlimit --connlimit-above 3".to_owned())),
            [false, true]
        );
        assert_eq!(tracked(TableFamily::Inet, state()), [true, true]);
        let port = Condition::Narrow(Narrow::Protocol, Bits::single(6));
        assert_eq!(tracked(TableFamily::Inet, port), [false, false]);
        assert_eq!(tracked(TableFamily::Inet, Condition::Chance("direct".to_owned())), [false, false]);
    }
}
