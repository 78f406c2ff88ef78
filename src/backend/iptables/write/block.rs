//! Blocks that end by themselves: elements of ipsets with timeouts, looked up in the mangle table, where destinations are not translated
//! yet. No change of policy touches them.
//!
//! Networks of every length are elements of one set and none of them swallows another (ipset(8), hash:net). ipset takes a text line by
//! line, so each line may be repeated: what is there gets its time, what is not there need not go.

use super::Iptables;
use super::lay::MINE;
use super::restore::Restore;
use crate::backend::Backend;
use crate::backend::meaning::{address, bits, merged};
use crate::backend::nftables::{Ban, Block};
use crate::packet::{AddressSpec, Family, Protocol};
use crate::rule::ruleset::{Outcome, Verdict};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::net::IpAddr;

/// The longest time of an element in seconds (IPSET_MAX_TIMEOUT, linux/netfilter/ipset/ip_set_timeout.h).
pub const LONGEST: u64 = 2_147_483;
/// Elements of a set at most.
const MOST: usize = 1_048_576;

/// What a set of AFO's holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Never,
    Source,
    Destination,
    Port,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Never, Self::Source, Self::Destination, Self::Port];

    fn name(self, program: Iptables) -> String {
        let word = match self {
            Self::Never => "never",
            Self::Source => "block",
            Self::Destination => "out",
            Self::Port => "port",
        };
        format!("afo-{word}{}", if program == Iptables::V4 { 4 } else { 6 })
    }

    fn created(self, program: Iptables) -> String {
        let family = if program == Iptables::V4 { "inet" } else { "inet6" };
        let (name, kind) = (self.name(program), if self == Self::Port { "hash:ip,port" } else { "hash:net" });
        let timeout = if self == Self::Never { "" } else { " timeout 0" };
        format!("create {name} {kind} family {family} maxelem {MOST}{timeout}\n")
    }
}

/// The chains of blocks, each with the built-in ones that lead to it.
const CHAINS: [(&str, &[&str]); 2] = [("AFO-BLOCKS", &["PREROUTING"]), ("AFO-BLOCKS-OUT", &["OUTPUT", "FORWARD"])];

/// Why a ban cannot be had in ipset; nothing where it can.
pub fn unsayable(block: &Block) -> Option<String> {
    match block.ban {
        _ if block.seconds.is_some_and(|seconds| seconds > LONGEST) => {
            Some(format!("ipset keeps an element for at most {LONGEST} seconds"))
        }
        Ban::Port(_, protocol, _)
            if ![Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol::UDPLITE].contains(&protocol) =>
        {
            Some(format!("ipset knows no ports of {protocol}"))
        }
        _ => None,
    }
}

fn of(ban: &Ban) -> (Iptables, Kind, String) {
    let (program, kind) = match ban {
        Ban::Source(net) => (net.addr(), Kind::Source),
        Ban::Destination(net) => (net.addr(), Kind::Destination),
        Ban::Port(address, ..) => (*address, Kind::Port),
    };
    let program = if program.is_ipv4() { Iptables::V4 } else { Iptables::V6 };
    let element = match ban {
        Ban::Source(net) | Ban::Destination(net) => net.to_string(),
        Ban::Port(address, protocol, port) => format!("{address},{protocol}:{port}"),
    };
    (program, kind, element)
}

/// What of AFO's blocks is in a family's mangle table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveBlocks {
    chains: Vec<String>,
    /// Built-in chains that lead to AFO's.
    jumps: Vec<(String, String)>,
}

impl LiveBlocks {
    /// Reads what `iptables-save` or `ip6tables-save` prints of the mangle table.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(dump: &str) -> Result<Self, String> {
        let ruleset = super::scheme::dumped(dump, "mangle")?;
        let mut live = Self::default();
        for chain in ruleset.tables.iter().filter(|table| table.name == "mangle").flat_map(|table| &table.chains) {
            if chain.name.starts_with("AFO-") {
                live.chains.push(chain.name.clone());
                continue;
            }
            let leads = chain.lines.iter().filter_map(|line| match &line.outcome {
                Outcome::Verdict(Verdict::Jump(to)) if to.starts_with("AFO-") => Some((chain.name.clone(), to.clone())),
                _ => None,
            });
            live.jumps.extend(leads);
        }
        Ok(live)
    }

    /// Whether anything of them is there.
    pub fn is_there(&self) -> bool {
        !self.chains.is_empty() || !self.jumps.is_empty()
    }

    /// Whether all of them is there.
    pub fn is_whole(&self) -> bool {
        CHAINS.iter().all(|(name, from)| {
            let leads = |built_in: &&str| self.jumps.iter().any(|(at, to)| at == built_in && to == name);
            self.chains.iter().any(|chain| chain == name) && from.iter().all(leads)
        })
    }

    /// The text that looks the sets up. Safe to repeat.
    fn lookups(&self, program: Iptables) -> String {
        let set = |kind: Kind, sides: &str| format!("-m set --match-set {} {sides}", kind.name(program));
        let mut restore = Restore::of("mangle", program);
        CHAINS.iter().for_each(|(name, _)| restore.declare(name));
        for (chain, lines) in [
            (
                "AFO-BLOCKS",
                vec![
                    "-i lo -j RETURN".to_owned(),
                    format!("{} -j RETURN", set(Kind::Never, "src")),
                    format!("{} -j DROP", set(Kind::Source, "src")),
                    format!("{} -j DROP", set(Kind::Port, "src,dst")),
                ],
            ),
            (
                "AFO-BLOCKS-OUT",
                vec![
                    "-o lo -j RETURN".to_owned(),
                    format!("{} -j RETURN", set(Kind::Never, "dst")),
                    format!("{} -j DROP", set(Kind::Destination, "dst")),
                ],
            ),
        ] {
            for line in lines {
                restore.line(format!("-A {chain} {MINE} {line}"));
            }
        }
        for (chain, built_in) in CHAINS.iter().flat_map(|(name, from)| from.iter().map(move |from| (*name, *from))) {
            if !self.jumps.iter().any(|(at, to)| at == built_in && to == chain) {
                restore.line(format!("-I {built_in} {MINE} -j {chain}"));
            }
        }
        restore.text()
    }

    /// The text that takes the lookups out.
    pub fn remove(&self, program: Iptables) -> String {
        let mut restore = Restore::of("mangle", program);
        for (built_in, chain) in &self.jumps {
            restore.line(format!("-D {built_in} {MINE} -j {chain}"));
        }
        restore.delete(&self.chains.iter().map(String::as_str).collect::<Vec<_>>());
        restore.text()
    }
}

/// The first line of a text for ipset.
pub const SETS: &str = "# for ipset restore";

/// The text that gives blocks their time, there already or not, with all that they need.
pub fn block(blocks: &[Block], protected: &[AddressSpec], live: &[(Iptables, LiveBlocks)]) -> String {
    let mut sets = format!("{SETS}\n");
    for (program, _) in live {
        Kind::ALL.iter().for_each(|kind| sets.push_str(&kind.created(*program)));
        sets.push_str(&never(*program, protected));
    }
    for block in blocks {
        let (program, kind, element) = of(&block.ban);
        sets.push_str(&format!("add {} {element} timeout {}\n", kind.name(program), block.seconds.unwrap_or(0)));
    }
    sets + &live.iter().map(|(program, live)| live.lookups(*program)).collect::<String>()
}

/// The never-block list in place of the old one, which serves until then.
fn never(program: Iptables, protected: &[AddressSpec]) -> String {
    let (name, family) = (Kind::Never.name(program), if program == Iptables::V4 { Family::Ipv4 } else { Family::Ipv6 });
    let (new, kind) = (format!("{name}-new"), Kind::Never.created(program));
    let mut text = format!("{}flush {new}\n", kind.replace(&name, &new));
    let own = protected.iter().filter(|spec| spec.family() == family);
    for (first, last) in merged(own.map(|spec| (bits(spec.first()), bits(spec.last())))) {
        for net in nets(address(first, family), address(last, family)) {
            text.push_str(&halves(net).iter().map(|net| format!("add {new} {net}\n")).collect::<String>());
        }
    }
    text + &format!("swap {new} {name}\ndestroy {new}\n")
}

fn nets(first: IpAddr, last: IpAddr) -> Vec<IpNet> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0).map(IpNet::from).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0).map(IpNet::from).collect(),
        _ => Vec::new(),
    }
}

/// ipset has no network of the length 0.
fn halves(net: IpNet) -> Vec<IpNet> {
    match net.prefix_len() {
        0 => net.subnets(1).map(Iterator::collect).unwrap_or_default(),
        _ => vec![net],
    }
}

/// The text that ends bans, there or not; nothing where `sets` are not there.
pub fn unblock(bans: &[Ban], sets: &[String]) -> String {
    let mut text = String::new();
    for ban in bans {
        let (program, kind, element) = of(ban);
        let name = kind.name(program);
        if sets.contains(&name) {
            text.push_str(&format!("del {name} {element}\n"));
        }
    }
    if text.is_empty() { text } else { format!("{SETS}\n{text}") }
}

/// The text that deletes AFO's sets among those that are there.
pub fn destroy(sets: &[String]) -> String {
    let own = [Iptables::V4, Iptables::V6].into_iter().flat_map(|program| {
        Kind::ALL.into_iter().flat_map(move |kind| [kind.name(program), format!("{}-new", kind.name(program))])
    });
    let lines: String = own.filter(|name| sets.contains(name)).map(|name| format!("destroy {name}\n")).collect();
    if lines.is_empty() { lines } else { format!("{SETS}\n{lines}") }
}

/// For whom a part of a text is: what its first line says.
pub fn program_of(head: &str) -> Option<Iptables> {
    let named = |program: &Iptables| head.contains(&format!("for {}-restore", program.name()));
    [Iptables::V4, Iptables::V6].into_iter().find(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(net: &str, seconds: Option<u64>) -> Block {
        Block { ban: Ban::Source(net.parse().expect("net")), seconds }
    }

    #[test]
    fn blocks_are_elements_with_their_time() {
        let port = Ban::Port("192.0.2.9".parse().expect("address"), Protocol::TCP, 22);
        let blocks =
            [source("192.0.2.0/24", Some(60)), source("2001:db8::1/128", None), Block { ban: port, seconds: Some(5) }];
        let live = [(Iptables::V4, LiveBlocks::default())];
        let text = block(&blocks, &["10.0.0.1-10.0.0.2".parse().expect("range")], &live);
        for line in [
            "# for ipset restore",
            "create afo-block4 hash:net family inet maxelem 1048576 timeout 0",
            "create afo-never4-new hash:net family inet maxelem 1048576",
            "add afo-never4-new 10.0.0.1/32",
            "swap afo-never4-new afo-never4",
            "add afo-block4 192.0.2.0/24 timeout 60",
            "add afo-block6 2001:db8::1/128 timeout 0",
            "add afo-port4 192.0.2.9,tcp:22 timeout 5",
            "# for iptables-restore --noflush",
            "*mangle",
            "-A AFO-BLOCKS -m comment --comment afo -m set --match-set afo-port4 src,dst -j DROP",
            "-I PREROUTING -m comment --comment afo -j AFO-BLOCKS",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        let (_, rules) = text.split_once("# for iptables").expect("lookups");
        let live = LiveBlocks::read(&format!("# iptables{rules}")).expect("read");
        assert!(live.is_there() && live.is_whole() && !LiveBlocks::default().is_whole());
        assert!(!live.lookups(Iptables::V4).contains("-I "), "the jumps are there");
        assert_eq!(live.remove(Iptables::V4).matches("-D ").count(), 3);
    }

    #[test]
    fn what_is_not_there_need_not_go() {
        let ban = Ban::Destination("198.51.100.0/24".parse().expect("net"));
        assert_eq!(unblock(&[ban], &["afo-out4".to_owned()]), "# for ipset restore\ndel afo-out4 198.51.100.0/24\n");
        assert_eq!((unblock(&[ban], &[]), destroy(&["other".to_owned()])), (String::new(), String::new()));
        assert_eq!(destroy(&["afo-never6".to_owned(), "x".to_owned()]), "# for ipset restore\ndestroy afo-never6\n");
    }

    #[test]
    fn what_ipset_cannot_is_said() {
        assert_eq!(unsayable(&source("192.0.2.0/24", Some(60))), None);
        let words = unsayable(&source("192.0.2.0/24", Some(LONGEST + 1))).expect("too long");
        assert_eq!(words, "ipset keeps an element for at most 2147483 seconds");
        let port = Ban::Port("192.0.2.9".parse().expect("address"), Protocol::DCCP, 22);
        assert_eq!(unsayable(&Block { ban: port, seconds: None }), Some("ipset knows no ports of dccp".to_owned()));
        let all = never(Iptables::V4, &["0.0.0.0/0".parse().expect("net")]);
        assert!(all.contains("add afo-never4-new 0.0.0.0/1\nadd afo-never4-new 128.0.0.0/1\n"), "{all}");
    }
}
