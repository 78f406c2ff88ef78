//! The tables of nftables by name, over netlink: also on a host without nft. What is in them only nft lists.

use super::netlink::{self, attributes, text};
use std::io;

const GET_TABLE: u16 = 0x0a01; // NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, linux/netfilter/nf_tables.h

/// A table of nftables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`; empty for one that is not known.
    pub family: &'static str,
    pub name: String,
}

impl Table {
    /// Whether iptables-nft (or ip6tables-nft) keeps its rules in a table of this name.
    pub fn is_of_iptables(&self) -> bool {
        let kept = ["filter", "nat", "mangle", "raw", "security"].contains(&self.name.as_str());
        kept && matches!(self.family, "ip" | "ip6")
    }
}

/// All of them.
///
/// # Errors
/// When the kernel does not say; it needs CAP_NET_ADMIN.
pub fn all() -> io::Result<Vec<Table>> {
    let mut found = Vec::new();
    netlink::dump(Some(rustix::net::netlink::NETFILTER), GET_TABLE, &[0, 0, 0, 0], |message| {
        found.extend(table(message.body));
        true
    })?;
    Ok(found)
}

/// Reads the body of an NFT_MSG_NEWTABLE message (struct nfgenmsg, then attributes).
fn table(body: &[u8]) -> Option<Table> {
    let (_, name) = attributes(body.get(4..)?).find(|(kind, _)| *kind == 1)?;
    // NFPROTO_*, linux/netfilter.h
    let family = match *body.first()? {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "",
    };
    Some(Table { family, name: text(name) })
}

#[cfg(test)]
mod tests {
    use super::super::netlink::attribute;
    use super::*;
    use proptest::prelude::*;

    fn read(family: u8, name: &[u8]) -> Table {
        table(&[&[family, 0, 0, 0][..], &attribute(1, name)].concat()).expect("a table")
    }

    #[test]
    fn a_table_has_its_family() {
        assert_eq!(read(2, b"filter\0"), Table { family: "ip", name: "filter".into() });
        for (family, name, expected) in
            [(2, "nat\0", true), (10, "raw\0", true), (1, "filter\0", false), (2, "mine\0", false)]
        {
            assert_eq!(read(family, name.as_bytes()).is_of_iptables(), expected, "{family} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = table(&bytes);
        }
    }
}
