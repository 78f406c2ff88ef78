//! Interfaces and their addresses, out of rtnetlink's messages (linux/if_link.h, linux/if_addr.h).

use crate::packet::MacAddress;
use crate::record::{Interface, InterfaceState};
use crate::sys::netlink::{attributes, text, u16_at, u32_at, u64_at};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const UP: u32 = 1; // IFF_UP, linux/if.h
const RUNNING: u32 = 0x40; // IFF_RUNNING

/// An interface as the kernel lists it: parents and masters are numbers still.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Link {
    pub index: u32,
    pub face: Interface,
    /// What an administrator called it (`ip link set … alias`).
    pub alias: Option<String>,
    pub parent: Option<u32>,
}

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assigned {
    pub index: u32,
    pub address: IpNet,
}

/// Reads the body of an RTM_NEWLINK message (struct ifinfomsg, then attributes).
pub(super) fn link(body: &[u8]) -> Option<Link> {
    let device = u16_at(body, 2)?;
    let mut link = Link { index: u32_at(body, 4)?, ..Link::default() };
    let mut elsewhere = false;
    link.face.kind = device_kind(device).map(str::to_owned);
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            1 => link.face.mac = mac(value).filter(|_| device == 1),
            3 => link.face.name = text(value),
            4 => link.face.mtu = u32_at(value, 0),
            5 => link.parent = u32_at(value, 0),
            16 => link.face.state = state(value),
            18 => info(value, &mut link.face),
            20 => link.alias = Some(text(value)).filter(|alias| !alias.is_empty()),
            23 => (link.face.rx_bytes, link.face.tx_bytes) = (u64_at(value, 16), u64_at(value, 24)),
            37 => elsewhere = true, // IFLA_LINK_NETNSID: the parent is in another network namespace
            _ => {}
        }
    }
    let flags = u32_at(body, 8)?;
    link.face.state = match link.face.state {
        // Loopback and tunnels have no state of their own: what the administrator and the driver say counts.
        InterfaceState::Unknown if flags & UP == 0 => InterfaceState::Down,
        InterfaceState::Unknown if flags & RUNNING != 0 => InterfaceState::Up,
        known => known,
    };
    link.parent = link.parent.filter(|parent| !elsewhere && *parent != link.index && *parent != 0);
    (!link.face.name.is_empty()).then_some(link)
}

/// What a device is when no driver says more (ARPHRD_*, linux/if_arp.h).
fn device_kind(device: u16) -> Option<&'static str> {
    match device {
        1 => Some("ethernet"),
        512 => Some("ppp"),
        772 => Some("loopback"),
        776 => Some("sit"),
        778 => Some("gre"),
        801..=803 => Some("wifi"),
        _ => None,
    }
}

fn mac(value: &[u8]) -> Option<MacAddress> {
    value.try_into().ok().map(MacAddress)
}

/// RFC 2863: 2 down, 3 testing, 5 dormant, 6 up; 7 and 2 of a lower layer count as down.
fn state(value: &[u8]) -> InterfaceState {
    match value.first() {
        Some(6) => InterfaceState::Up,
        Some(1 | 2 | 3 | 5) => InterfaceState::Down,
        _ => InterfaceState::Unknown,
    }
}

/// IFLA_LINKINFO: the driver's kind, and of a VLAN its number.
fn info(value: &[u8], face: &mut Interface) {
    let mut inner = None;
    for (kind, value) in attributes(value) {
        match kind {
            1 => face.kind = Some(text(value)),
            2 => inner = Some(value),
            _ => {}
        }
    }
    if face.kind.as_deref() == Some("vlan") {
        face.vlan_id =
            inner.and_then(|data| attributes(data).find(|(kind, _)| *kind == 1)).and_then(|a| u16_at(a.1, 0));
    }
}

/// Reads the body of an RTM_NEWADDR message (struct ifaddrmsg, then attributes).
pub(super) fn assigned(body: &[u8]) -> Option<Assigned> {
    let (family, length) = (*body.first()?, *body.get(1)?);
    let (mut peer, mut local) = (None, None);
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            1 => peer = address(family, value),
            2 => local = address(family, value),
            _ => {}
        }
    }
    // With a peer the length is that of the peer's network, not of the own address.
    let own = local.or(peer)?;
    let alone = peer.is_some_and(|peer| peer != own);
    let address = if alone { IpNet::from(own) } else { IpNet::new(own, length).ok()? };
    Some(Assigned { index: u32_at(body, 4)?, address })
}

/// An address of a family by its number in the kernel (AF_INET 2, AF_INET6 10).
pub(super) fn address(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        2 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        10 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The interfaces in the kernel's order, with their addresses and the names of their parents.
pub(super) fn interfaces(links: &[Link], addresses: &[Assigned]) -> Vec<Interface> {
    let names: BTreeMap<u32, &str> = links.iter().map(|link| (link.index, link.face.name.as_str())).collect();
    let mut by_index: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
    for assigned in addresses {
        by_index.entry(assigned.index).or_default().insert(assigned.address);
    }
    let complete = |link: &Link| Interface {
        addresses: by_index.remove(&link.index).into_iter().flatten().collect(),
        parent: link.parent.and_then(|index| names.get(&index)).map(|name| (*name).to_owned()),
        ..link.face.clone()
    };
    links.iter().map(complete).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::attribute;
    use proptest::prelude::*;

    fn message(device: u16, index: u32, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0; 16];
        body[2..4].copy_from_slice(&device.to_ne_bytes());
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body.extend(parts.concat());
        body
    }

    fn vlan() -> Vec<u8> {
        let data = attribute(2, &attribute(1, &20u16.to_ne_bytes()));
        let inner = [attribute(1, b"vlan\0"), data].concat();
        message(1, 7, &[attribute(3, b"eth1.20\0"), attribute(5, &3u32.to_ne_bytes()), attribute(18, &inner)])
    }

    #[test]
    fn a_vlan_names_its_number_and_its_parent() {
        let parent =
            link(&message(1, 3, &[attribute(3, b"eth1\0"), attribute(1, &[2, 0, 0, 0, 0, 1])])).expect("parent");
        let child = link(&vlan()).expect("child");
        let found = interfaces(&[parent, child], &[]);
        assert_eq!(found[0].mac.map(|m| m.to_string()).as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!((found[1].kind.as_deref(), found[1].vlan_id), (Some("vlan"), Some(20)));
        assert_eq!(found[1].parent.as_deref(), Some("eth1"));
    }

    #[test]
    fn a_parent_in_another_namespace_is_no_parent_here() {
        let body = [vlan(), attribute(37, &0u32.to_ne_bytes())].concat();
        assert_eq!(link(&body).expect("link").parent, None);
    }

    #[test]
    fn addresses_come_with_their_network_unless_that_is_the_peers() {
        let body = |parts: &[Vec<u8>]| [&[2, 24, 0, 0, 7, 0, 0, 0][..], &parts.concat()].concat();
        let plain = assigned(&body(&[attribute(1, &[192, 0, 2, 1]), attribute(2, &[192, 0, 2, 1])])).expect("plain");
        assert_eq!(plain.address.to_string(), "192.0.2.1/24");
        let peer = assigned(&body(&[attribute(1, &[192, 0, 2, 9]), attribute(2, &[192, 0, 2, 1])])).expect("peer");
        assert_eq!(peer.address.to_string(), "192.0.2.1/32");
        assert_eq!(assigned(&body(&[attribute(1, &[192, 0])])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..120, at in 0usize..120, byte: u8) {
            let _ = (link(&bytes), assigned(&bytes));
            let mut bent = vlan();
            if let Some(place) = bent.get_mut(at) {
                *place = byte;
            }
            bent.truncate(cut);
            if let Some(found) = link(&bent) {
                prop_assert!(!found.face.name.is_empty());
            }
        }
    }
}
