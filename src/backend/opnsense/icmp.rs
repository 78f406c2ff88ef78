//! The words of the API for ICMP types: of IPv4 names, of IPv6 numbers, and only those that it lists.

/// The types of ICMP that a rule can name (Filter.xml; the numbers are pf's, icmp(4) and sbin/pfctl/pfctl_parser.c).
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

/// The types of ICMPv6 that a rule can name, by their numbers.
const V6: [u8; 19] = [1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 200, 201];

/// The word for a type, where there is one.
pub fn word(kind: u8, v6: bool) -> Option<String> {
    match v6 {
        true => V6.contains(&kind).then(|| kind.to_string()),
        false => V4.iter().find(|(number, _)| *number == kind).map(|(_, word)| (*word).to_owned()),
    }
}

/// The type of a word, or of a number, which the firewall's own rules have.
pub fn kind(word: &str) -> Option<u8> {
    word.parse().ok().or_else(|| V4.iter().find(|(_, name)| *name == word).map(|(number, _)| *number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for number in 0..=255 {
            for v6 in [false, true] {
                assert!(word(number, v6).is_none_or(|word| kind(&word) == Some(number)), "{number}");
            }
        }
        assert_eq!((word(8, false).as_deref(), word(128, true).as_deref()), (Some("echoreq"), Some("128")));
        assert_eq!((word(1, false), word(8, true), kind("echo")), (None, None, None));
    }
}
