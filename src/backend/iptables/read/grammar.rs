//! Which options the extensions of iptables have, and how many words follow each: a comment may look like an option.
//!
//! After iptables-extensions(8) and extensions/libxt_*.c of iptables 1.8.9. What is not here takes words up to the next option.

/// An extension and its options by the number of words that follow.
struct Known {
    name: &'static str,
    none: &'static [&'static str],
    one: &'static [&'static str],
    two: &'static [&'static str],
}

const fn of(
    name: &'static str,
    none: &'static [&'static str],
    one: &'static [&'static str],
    two: &'static [&'static str],
) -> Known {
    Known { name, none, one, two }
}

/// Matches, sorted by name.
#[rustfmt::skip]
const MATCHES: &[Known] = &[
    of("addrtype", &["limit-iface-in", "limit-iface-out"], &["src-type", "dst-type"], &[]),
    of("ah", &["ahres"], &["ahspi", "ahlen"], &[]),
    of("bpf", &[], &["bytecode", "object-pinned"], &[]),
    of("cgroup", &[], &["cgroup", "path"], &[]),
    of("cluster", &[], &["cluster-total-nodes", "cluster-local-node", "cluster-local-nodemask", "cluster-hash-seed"], &[]),
    of("comment", &[], &["comment"], &[]),
    of("connbytes", &[], &["connbytes", "connbytes-dir", "connbytes-mode"], &[]),
    of("connlabel", &["set"], &["label"], &[]),
    of("connlimit", &["connlimit-saddr", "connlimit-daddr"], &["connlimit-above", "connlimit-upto", "connlimit-mask"], &[]),
    of("connmark", &[], &["mark"], &[]),
    of("conntrack", &[], &["ctstate", "ctproto", "ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst", "ctorigsrcport", "ctorigdstport",
        "ctreplsrcport", "ctrepldstport", "ctstatus", "ctexpire", "ctdir"], &[]),
    of("cpu", &[], &["cpu"], &[]),
    of("dccp", &[], &["sport", "source-port", "dport", "destination-port", "dccp-types", "dccp-option"], &[]),
    of("devgroup", &[], &["src-group", "dst-group"], &[]),
    of("dscp", &[], &["dscp", "dscp-class"], &[]),
    of("dst", &[], &["dst-len", "dst-opts"], &[]),
    of("ecn", &["ecn-tcp-cwr", "ecn-tcp-ece"], &["ecn-ip-ect"], &[]),
    of("esp", &[], &["espspi"], &[]),
    of("eui64", &[], &[], &[]),
    of("frag", &["fragres", "fragfirst", "fragmore", "fraglast"], &["fragid", "fraglen"], &[]),
    of("geoip", &[], &["src-cc", "source-country", "dst-cc", "destination-country"], &[]),
    of("hashlimit", &["hashlimit-rate-match"], &["hashlimit", "hashlimit-upto", "hashlimit-above", "hashlimit-burst", "hashlimit-mode",
        "hashlimit-srcmask", "hashlimit-dstmask", "hashlimit-name", "hashlimit-htable-size", "hashlimit-htable-max",
        "hashlimit-htable-expire", "hashlimit-htable-gcinterval", "hashlimit-rate-interval"], &[]),
    of("hbh", &[], &["hbh-len", "hbh-opts"], &[]),
    of("helper", &[], &["helper"], &[]),
    of("hl", &[], &["hl-eq", "hl-lt", "hl-gt"], &[]),
    of("icmp", &[], &["icmp-type"], &[]),
    of("icmp6", &[], &["icmpv6-type"], &[]),
    of("icmpv6", &[], &["icmpv6-type"], &[]),
    of("ipcomp", &["compres"], &["ipcompspi"], &[]),
    of("iprange", &[], &["src-range", "dst-range"], &[]),
    of("ipv4options", &["any"], &["flags"], &[]),
    of("ipv6header", &["soft"], &["header"], &[]),
    of("ipvs", &["ipvs"], &["vproto", "vaddr", "vport", "vdir", "vmethod", "vportctl"], &[]),
    of("length", &[], &["length"], &[]),
    of("limit", &[], &["limit", "limit-burst"], &[]),
    of("mac", &[], &["mac-source"], &[]),
    of("mark", &[], &["mark"], &[]),
    of("mh", &[], &["mh-type"], &[]),
    of("multiport", &[], &["sports", "source-ports", "dports", "destination-ports", "ports"], &[]),
    of("nfacct", &[], &["nfacct-name"], &[]),
    of("osf", &[], &["genre", "ttl", "log"], &[]),
    of("owner", &["socket-exists", "suppl-groups"], &["uid-owner", "gid-owner", "pid-owner", "sid-owner", "cmd-owner"], &[]),
    of("physdev", &["physdev-is-in", "physdev-is-out", "physdev-is-bridged"], &["physdev-in", "physdev-out"], &[]),
    of("pkttype", &[], &["pkt-type"], &[]),
    of("policy", &["strict", "next"], &["dir", "pol", "reqid", "spi", "proto", "mode", "tunnel-src", "tunnel-dst"], &[]),
    of("quota", &[], &["quota"], &[]),
    of("quota2", &["grow", "no-change", "packets"], &["name", "quota"], &[]),
    of("rateest", &["rateest-delta"], &["rateest", "rateest1", "rateest2", "rateest-bps", "rateest-pps", "rateest-bps1", "rateest-bps2",
        "rateest-pps1", "rateest-pps2", "rateest-lt", "rateest-gt", "rateest-eq"], &[]),
    of("realm", &[], &["realm"], &[]),
    of("recent", &["set", "rcheck", "update", "remove", "reap", "rttl", "rsource", "rdest"], &["seconds", "hitcount", "name", "mask"], &[]),
    of("rpfilter", &["loose", "validmark", "accept-local", "invert"], &[], &[]),
    of("rt", &["rt-0-res", "rt-0-not-strict"], &["rt-type", "rt-segsleft", "rt-len", "rt-0-addrs"], &[]),
    of("sctp", &[], &["sport", "source-port", "dport", "destination-port"], &["chunk-types"]),
    of("set", &["return-nomatch", "update-counters", "update-subcounters"],
        &["packets-eq", "packets-lt", "packets-gt", "bytes-eq", "bytes-lt", "bytes-gt"], &["match-set", "set"]),
    of("socket", &["transparent", "nowildcard", "restore-skmark"], &[], &[]),
    of("srh", &[], &["srh-next-hdr", "srh-hdr-len-eq", "srh-segs-left-eq", "srh-last-entry-eq", "srh-tag", "srh-psid", "srh-nsid",
        "srh-lsid"], &[]),
    of("state", &[], &["state"], &[]),
    of("statistic", &[], &["mode", "probability", "every", "packet"], &[]),
    of("string", &["icase"], &["from", "to", "algo", "string", "hex-string"], &[]),
    of("tcp", &["syn"], &["sport", "source-port", "dport", "destination-port", "tcp-option"], &["tcp-flags"]),
    of("tcpmss", &[], &["mss"], &[]),
    of("time", &["utc", "localtz", "kerneltz", "contiguous"],
        &["timestart", "timestop", "datestart", "datestop", "days", "monthdays", "weekdays"], &[]),
    of("tos", &[], &["tos"], &[]),
    of("ttl", &[], &["ttl", "ttl-eq", "ttl-lt", "ttl-gt"], &[]),
    of("u32", &[], &["u32"], &[]),
    of("udp", &[], &["sport", "source-port", "dport", "destination-port"], &[]),
    of("udplite", &[], &["sport", "source-port", "dport", "destination-port"], &[]),
    of("unclean", &[], &[], &[]),
];

/// Targets, sorted by name.
#[rustfmt::skip]
const TARGETS: &[Known] = &[
    of("ACCEPT", &[], &[], &[]),
    of("AUDIT", &[], &["type"], &[]),
    of("CHECKSUM", &["checksum-fill"], &[], &[]),
    of("CLASSIFY", &[], &["set-class"], &[]),
    of("CLUSTERIP", &["new"], &["hashmode", "clustermac", "total-nodes", "local-node", "hash-init"], &[]),
    of("CONNMARK", &["save-mark", "restore-mark"], &["set-mark", "set-xmark", "and-mark", "or-mark", "xor-mark", "nfmask", "ctmask",
        "mask", "left-shift-mark", "right-shift-mark"], &[]),
    of("CONNSECMARK", &["save", "restore"], &[], &[]),
    of("CT", &["notrack"], &["helper", "ctevents", "expevents", "zone", "zone-orig", "zone-reply", "timeout"], &[]),
    of("DNAT", &["random", "persistent"], &["to-destination"], &[]),
    of("DNPT", &[], &["src-pfx", "dst-pfx"], &[]),
    of("DROP", &[], &[], &[]),
    of("DSCP", &[], &["set-dscp", "set-dscp-class"], &[]),
    of("ECN", &["ecn-tcp-remove"], &["ecn-tcp-cwr", "ecn-tcp-ece", "ecn-ip-ect"], &[]),
    of("HL", &[], &["hl-set", "hl-dec", "hl-inc"], &[]),
    of("HMARK", &[], &["hmark-tuple", "hmark-mod", "hmark-offset", "hmark-src-prefix", "hmark-dst-prefix", "hmark-sport-mask",
        "hmark-dport-mask", "hmark-spi-mask", "hmark-proto-mask", "hmark-rnd"], &[]),
    of("IDLETIMER", &["alarm"], &["timeout", "label"], &[]),
    of("LED", &["led-always-blink"], &["led-trigger-id", "led-delay"], &[]),
    of("LOG", &["log-tcp-sequence", "log-tcp-options", "log-ip-options", "log-uid", "log-macdecode"], &["log-level", "log-prefix"], &[]),
    of("MARK", &[], &["set-mark", "set-xmark", "and-mark", "or-mark", "xor-mark"], &[]),
    of("MASQUERADE", &["random", "random-fully"], &["to-ports"], &[]),
    of("NETMAP", &[], &["to"], &[]),
    of("NFLOG", &[], &["nflog-group", "nflog-prefix", "nflog-range", "nflog-size", "nflog-threshold"], &[]),
    of("NFQUEUE", &["queue-bypass", "queue-cpu-fanout"], &["queue-num", "queue-balance"], &[]),
    of("NOTRACK", &[], &[], &[]),
    of("QUEUE", &[], &[], &[]),
    of("RATEEST", &[], &["rateest-name", "rateest-interval", "rateest-ewmalog"], &[]),
    of("REDIRECT", &["random"], &["to-ports"], &[]),
    of("REJECT", &[], &["reject-with"], &[]),
    of("RETURN", &[], &[], &[]),
    of("SECMARK", &[], &["selctx"], &[]),
    of("SET", &["exist", "map-mark", "map-prio", "map-queue"], &["timeout"], &["add-set", "del-set", "map-set"]),
    of("SNAT", &["random", "random-fully", "persistent"], &["to-source"], &[]),
    of("SNPT", &[], &["src-pfx", "dst-pfx"], &[]),
    of("SYNPROXY", &["sack-perm", "timestamp", "ecn"], &["mss", "wscale"], &[]),
    of("TCPMSS", &["clamp-mss-to-pmtu"], &["set-mss"], &[]),
    of("TCPOPTSTRIP", &[], &["strip-options"], &[]),
    of("TEE", &[], &["gateway", "oif"], &[]),
    of("TOS", &[], &["set-tos", "and-tos", "or-tos", "xor-tos"], &[]),
    of("TPROXY", &[], &["on-port", "on-ip", "tproxy-mark"], &[]),
    of("TRACE", &[], &[], &[]),
    of("TTL", &[], &["ttl-set", "ttl-dec", "ttl-inc"], &[]),
    of("ULOG", &[], &["ulog-nlgroup", "ulog-prefix", "ulog-cprange", "ulog-qthreshold"], &[]),
];

/// What an extension is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Match,
    Target,
}

fn known(kind: Kind, name: &str) -> Option<&'static Known> {
    let all = if kind == Kind::Match { MATCHES } else { TARGETS };
    all.binary_search_by_key(&name, |known| known.name).ok().map(|at| &all[at])
}

/// Whether an extension of this name is known.
pub(super) fn is_known(kind: Kind, name: &str) -> bool {
    known(kind, name).is_some()
}

/// How many words follow an option (without its hyphens) of an extension; nothing where it is not known to have it.
pub(super) fn arity(kind: Kind, name: &str, option: &str) -> Option<usize> {
    let known = known(kind, name)?;
    [known.none, known.one, known.two].iter().position(|options| options.contains(&option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_and_name_nothing_twice() {
        for list in [MATCHES, TARGETS] {
            assert!(list.is_sorted_by(|a, b| a.name < b.name));
            for known in list {
                let mut all: Vec<_> = [known.none, known.one, known.two].concat();
                all.sort_unstable();
                assert!(all.is_sorted_by(|a, b| a < b), "{}: {all:?}", known.name);
            }
        }
    }

    #[test]
    fn options_take_words() {
        assert_eq!(arity(Kind::Match, "tcp", "tcp-flags"), Some(2));
        assert_eq!(arity(Kind::Match, "comment", "comment"), Some(1));
        assert_eq!(arity(Kind::Match, "recent", "set"), Some(0));
        assert_eq!(arity(Kind::Match, "set", "set"), Some(2));
        assert_eq!(arity(Kind::Target, "LOG", "dport"), None);
        assert_eq!(arity(Kind::Match, "martian", "x"), None);
    }
}
