//! Routes of the main table, out of rtnetlink's messages (linux/rtnetlink.h).

use super::links::address;
use crate::record::Route;
use crate::sys::netlink::{attributes, u16_at, u32_at};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

const MAIN: u32 = 254; // RT_TABLE_MAIN
const UNICAST: u8 = 1; // RTN_UNICAST
const CLONED: u32 = 0x200; // RTM_F_CLONED: an entry of a cache, no route

/// A route as the kernel lists it: interfaces are numbers still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Nothing is the default.
    pub destination: Option<IpNet>,
    pub hops: Vec<Hop>,
}

/// One way of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hop {
    pub gateway: Option<IpAddr>,
    pub index: Option<u32>,
}

/// What a routing message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Route(Entry),
    /// A route of another table: policy routing or a VRF.
    OtherTable,
    /// No way for packets to another host: local, broadcast, blackhole, cached.
    NoWay,
}

/// Reads the body of an RTM_NEWROUTE message (struct rtmsg, then attributes).
pub(super) fn route(body: &[u8]) -> Option<Seen> {
    let (family, length) = (*body.first()?, *body.get(1)?);
    let (mut table, kind, flags) = (u32::from(*body.get(4)?), *body.get(7)?, u32_at(body, 8)?);
    let (mut destination, mut single, mut several) = (None, Hop::default(), Vec::new());
    for (kind, value) in attributes(body.get(12..)?) {
        match kind {
            1 => destination = address(family, value),
            9 => several = hops(family, value),
            15 => table = u32_at(value, 0)?,
            _ => hop(family, kind, value, &mut single),
        }
    }
    if kind != UNICAST || flags & CLONED != 0 {
        return Some(Seen::NoWay);
    }
    if table != MAIN {
        return Some(Seen::OtherTable);
    }
    let destination = match (destination, length) {
        (_, 0) => None,
        (base, _) => Some(IpNet::new(base?, length).ok()?.trunc()),
    };
    let hops = if several.is_empty() { vec![single] } else { several };
    Some(Seen::Route(Entry { destination, hops }))
}

fn hop(family: u8, kind: u16, value: &[u8], hop: &mut Hop) {
    match kind {
        4 => hop.index = u32_at(value, 0),
        5 => hop.gateway = address(family, value),
        // RTA_VIA: a gateway of another family, which it names first.
        18 => hop.gateway = u16_at(value, 0).and_then(|f| address(u8::try_from(f).ok()?, value.get(2..)?)),
        _ => {}
    }
}

/// RTA_MULTIPATH: several struct rtnexthop, each with attributes.
fn hops(family: u8, mut bytes: &[u8]) -> Vec<Hop> {
    let mut found = Vec::new();
    while let Some(length) = u16_at(bytes, 0).map(usize::from).filter(|length| (8..=bytes.len()).contains(length)) {
        let mut next = Hop { index: u32_at(bytes, 4), gateway: None };
        attributes(&bytes[8..length]).for_each(|(kind, value)| hop(family, kind, value, &mut next));
        found.push(next);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The routes with the names of their interfaces, one for each way.
pub(super) fn routes(entries: &[Entry], names: &BTreeMap<u32, String>) -> Vec<Route> {
    let of = |entry: &Entry| -> Vec<Route> {
        let destination = entry.destination.map_or_else(|| "default".to_owned(), |net| net.to_string());
        let way = |hop: &Hop| Route {
            destination: destination.clone(),
            gateway: hop.gateway,
            interface: hop.index.and_then(|index| names.get(&index)).cloned(),
        };
        entry.hops.iter().map(way).collect()
    };
    entries.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::attribute;
    use proptest::prelude::*;

    fn message(length: u8, table: u8, kind: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        [&[2, length, 0, 0, table, 3, 0, kind, 0, 0, 0, 0][..], &parts.concat()].concat()
    }

    fn entry(body: &[u8]) -> Entry {
        match route(body) {
            Some(Seen::Route(entry)) => entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_default_route_has_gateway_and_interface() {
        let parts = [attribute(4, &2u32.to_ne_bytes()), attribute(5, &[198, 51, 100, 1])];
        let found = routes(&[entry(&message(0, 254, 1, &parts))], &BTreeMap::from([(2, "eth0".to_owned())]));
        assert_eq!((found[0].destination.as_str(), found[0].interface.as_deref()), ("default", Some("eth0")));
        assert_eq!(found[0].gateway, Some([198, 51, 100, 1].into()));
    }

    #[test]
    fn each_way_of_a_route_is_told() {
        let one = |last: u8, index: u32| {
            let gateway = attribute(5, &[192, 0, 2, last]);
            let length = u16::try_from(8 + gateway.len()).expect("short");
            [&length.to_ne_bytes()[..], &[0, 0], &index.to_ne_bytes(), &gateway].concat()
        };
        let found = entry(&message(0, 254, 1, &[attribute(9, &[one(1, 2), one(9, 3)].concat())]));
        assert_eq!(found.hops[1], Hop { gateway: Some([192, 0, 2, 9].into()), index: Some(3) });
        let via = [&10u16.to_ne_bytes()[..], &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]].concat();
        let found = entry(&message(0, 254, 1, &[attribute(18, &via)]));
        assert_eq!(found.hops[0].gateway, "fe80::1".parse().ok());
    }

    #[test]
    fn other_tables_and_no_ways_are_told_apart() {
        assert_eq!(route(&message(0, 100, 1, &[])), Some(Seen::OtherTable));
        assert_eq!(route(&message(0, 0, 1, &[attribute(15, &51820u32.to_ne_bytes())])), Some(Seen::OtherTable));
        assert_eq!(route(&message(0, 254, 6, &[])), Some(Seen::NoWay));
        assert_eq!(route(&message(33, 254, 1, &[attribute(1, &[192, 0, 2, 0])])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), inner in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = route(&bytes);
            let body = message(0, 254, 1, &[attribute(9, &inner)]);
            prop_assert!(matches!(route(&body), Some(Seen::Route(_))));
        }
    }
}
