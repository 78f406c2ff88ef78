//! What sets and maps of nftables hold for good, by raw netlink: what a listing without elements leaves out of what is decided.
//!
//! Sets whose elements come and go by themselves (with a timeout, or filled by rules) are passed over, and so are anonymous ones, which every
//! listing shows. Nothing here says what an element means. The numbers are those of linux/netfilter/nf_tables.h.

use super::netlink::{self, Message, attribute, attributes, text};
use rustix::net::netlink::NETFILTER;
use sha2::{Digest, Sha256};
use std::io;

const GET_SET: u16 = 10 << 8 | 10; // NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSET
const GET_ELEMENT: u16 = 10 << 8 | 13;

const TABLE: u16 = 1; // NFTA_SET_TABLE, and of elements NFTA_SET_ELEM_LIST_TABLE
const NAME: u16 = 2; // NFTA_SET_NAME, and of elements NFTA_SET_ELEM_LIST_SET
const FLAGS: u16 = 3; // NFTA_SET_FLAGS
const ELEMENTS: u16 = 3; // NFTA_SET_ELEM_LIST_ELEMENTS

/// NFT_SET_ANONYMOUS, NFT_SET_TIMEOUT, NFT_SET_EVAL.
const PASSED_OVER: u32 = 0x01 | 0x10 | 0x20;

/// What an element decides: NFTA_SET_ELEM_KEY, DATA, FLAGS, OBJREF, KEY_END; not its time, counters and comments.
const DECIDES: [u16; 5] = [1, 2, 3, 9, 10];

/// How often a set is listed again that changes meanwhile.
const TRIES: usize = 5;

/// A set or map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Set {
    /// NFPROTO_*, linux/netfilter.h.
    family: u8,
    table: String,
    name: String,
    flags: u32,
}

/// A hash of the elements of every set and map that holds them for good, in whichever order the kernel lists them, but for those in the table
/// `spared` of the family inet.
///
/// # Errors
/// When the kernel does not say, which needs CAP_NET_ADMIN, or somebody keeps changing a set.
pub fn hash(spared: &str) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    for set in sets()?.iter().filter(|set| set.flags & PASSED_OVER == 0 && !set.is_in(spared)) {
        hash.update(format!("{} {} {}\n", set.family, set.table, set.name));
        elements(set)?.iter().for_each(|element| hash.update(element));
    }
    Ok(hash.finalize().into())
}

impl Set {
    fn is_in(&self, table: &str) -> bool {
        self.family == 1 && self.table == table
    }
}

fn sets() -> io::Result<Vec<Set>> {
    let mut all = listed(GET_SET, &[0; 4], |message| set(message.body).into_iter().collect())?;
    all.sort_unstable();
    Ok(all)
}

/// Reads the body of an NFT_MSG_NEWSET message (struct nfgenmsg, then attributes).
fn set(body: &[u8]) -> Option<Set> {
    let find = |wanted| attributes(body.get(4..)?).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let flags = find(FLAGS).and_then(|value| Some(u32::from_be_bytes(value.get(..4)?.try_into().ok()?)));
    Some(Set {
        family: *body.first()?,
        table: text(find(TABLE)?),
        name: text(find(NAME)?),
        flags: flags.unwrap_or_default(),
    })
}

/// The hashes of a set's elements, sorted.
fn elements(set: &Set) -> io::Result<Vec<[u8; 32]>> {
    let name = |kind, name: &str| attribute(kind, format!("{name}\0").as_bytes());
    let body = [vec![set.family, 0, 0, 0], name(TABLE, &set.table), name(NAME, &set.name)].concat();
    let mut all = listed(GET_ELEMENT, &body, |message| hashes(message.body))?;
    all.sort_unstable();
    Ok(all)
}

/// The hashes of the elements in the body of an NFT_MSG_NEWSETELEM message.
fn hashes(body: &[u8]) -> Vec<[u8; 32]> {
    let lists = attributes(body.get(4..).unwrap_or_default()).filter(|(kind, _)| *kind == ELEMENTS);
    lists.flat_map(|(_, list)| attributes(list)).map(|(_, element)| element_hash(element)).collect()
}

fn element_hash(element: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (kind, value) in attributes(element).filter(|(kind, _)| DECIDES.contains(kind)) {
        hash.update(kind.to_be_bytes());
        hash.update((value.len() as u64).to_be_bytes());
        hash.update(value);
    }
    hash.finalize().into()
}

/// All that the messages of an answer hold, listed again as long as it changes meanwhile.
fn listed<T>(kind: u16, body: &[u8], read: impl Fn(Message<'_>) -> Vec<T>) -> io::Result<Vec<T>> {
    for _ in 0..TRIES {
        let mut all = Vec::new();
        let changed = netlink::dump(Some(NETFILTER), kind, body, |message| {
            all.extend(read(message));
            true
        });
        match changed {
            Ok(false) => return Ok(all),
            Ok(true) => {}
            // EINTR: the kernel itself asks to begin again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("somebody keeps changing it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(elements: &[&[(u16, &[u8])]]) -> Vec<u8> {
        let one = |element: &&[(u16, &[u8])]| {
            attribute(1, &element.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect::<Vec<u8>>())
        };
        [vec![1, 0, 0, 0], attribute(ELEMENTS, &elements.iter().flat_map(one).collect::<Vec<u8>>())].concat()
    }

    #[test]
    fn an_element_is_what_it_decides() {
        let of = |element: &[(u16, &[u8])]| hashes(&message(&[element]));
        let key = (1, &b"22"[..]);
        assert_eq!(of(&[key]), of(&[key, (5, b"expires"), (7, b"counter"), (6, b"comment")]));
        for other in [&[(1, &b"23"[..])][..], &[key, (2, b"drop")], &[key, (3, b"end")], &[key, (10, b"44")]] {
            assert_ne!(of(&[key]), of(other));
        }
        assert_eq!(hashes(&message(&[&[key], &[(1, b"23")]])).len(), 2);
    }

    #[test]
    fn a_set_has_family_table_name_and_flags() {
        let body =
            [vec![2, 0, 0, 0], attribute(TABLE, b"t\0"), attribute(NAME, b"s\0"), attribute(FLAGS, &[0, 0, 0, 4])];
        let found = set(&body.concat()).expect("a set");
        assert_eq!(found, Set { family: 2, table: "t".to_owned(), name: "s".to_owned(), flags: 4 });
        assert!(!found.is_in("t") && Set { family: 1, ..found }.is_in("t"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (set(&bytes), hashes(&bytes));
        }
    }
}
