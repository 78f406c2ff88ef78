//! Words of pf's rules that firewalls on FreeBSD share: the names of ICMP types (icmp(4), icmp6(4), sbin/pfctl/pfctl_parser.c).

use crate::packet::Family;

/// The types of ICMP that have a name.
const V4: [(u8, &str); 25] = [
    (0, "echorep"),
    (3, "unreach"),
    (4, "squench"),
    (5, "redir"),
    (6, "althost"),
    (8, "echoreq"),
    (9, "routeradv"),
    (10, "routersol"),
    (11, "timex"),
    (12, "paramprob"),
    (13, "timereq"),
    (14, "timerep"),
    (15, "inforeq"),
    (16, "inforep"),
    (17, "maskreq"),
    (18, "maskrep"),
    (30, "trace"),
    (31, "dataconv"),
    (32, "mobredir"),
    (33, "ipv6-where"),
    (34, "ipv6-here"),
    (35, "mobregreq"),
    (36, "mobregrep"),
    (39, "skip"),
    (40, "photuris"),
];

/// The types of ICMPv6 that have a name; the first of several is the one that is written.
const V6: [(u8, &str); 24] = [
    (1, "unreach"),
    (2, "toobig"),
    (3, "timex"),
    (4, "paramprob"),
    (128, "echoreq"),
    (129, "echorep"),
    (130, "groupqry"),
    (130, "listqry"),
    (131, "grouprep"),
    (131, "listenrep"),
    (132, "groupterm"),
    (132, "listendone"),
    (133, "routersol"),
    (134, "routeradv"),
    (135, "neighbrsol"),
    (136, "neighbradv"),
    (137, "redir"),
    (138, "routrrenum"),
    (139, "niqry"),
    (139, "wrureq"),
    (140, "niqrep"),
    (140, "wrurep"),
    (200, "mtraceresp"),
    (201, "mtrace"),
];

fn of(family: Family) -> &'static [(u8, &'static str)] {
    match family {
        Family::Ipv4 => &V4,
        Family::Ipv6 => &V6,
    }
}

/// The name of a type, where it has one.
pub fn icmp_word(kind: u8, family: Family) -> Option<&'static str> {
    of(family).iter().find(|(number, _)| *number == kind).map(|(_, word)| *word)
}

/// The type of a name.
pub fn icmp_type(word: &str, family: Family) -> Option<u8> {
    of(family).iter().find(|(_, name)| *name == word).map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (family, known) in [(Family::Ipv4, 25), (Family::Ipv6, 19)] {
            let named: Vec<u8> = (0..=u8::MAX).filter(|kind| icmp_word(*kind, family).is_some()).collect();
            assert_eq!(named.len(), known);
            assert!(
                named
                    .iter()
                    .all(|kind| icmp_word(*kind, family).and_then(|word| icmp_type(word, family)) == Some(*kind))
            );
        }
        assert_eq!((icmp_type("echoreq", Family::Ipv4), icmp_type("echoreq", Family::Ipv6)), (Some(8), Some(128)));
        assert_eq!((icmp_type("toobig", Family::Ipv4), icmp_word(1, Family::Ipv4)), (None, None));
    }
}
