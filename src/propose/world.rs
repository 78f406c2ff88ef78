//! What the context says of the host that decides which way packets go.

use super::statement::End;
use crate::packet::{AddressSpec, InterfacePattern};
use crate::record::Context;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The host, seen as a place in a network.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    own: Vec<IpNet>,
    wan: Vec<InterfacePattern>,
    wan_nets: Vec<IpNet>,
    zones: Vec<End>,
    nets: Vec<(String, Vec<IpNet>)>,
    /// Whether packets are forwarded; nothing where it is not known.
    pub forwards: Option<bool>,
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Other,
    /// A network that holds addresses of this host and others, or a host whose addresses are not known.
    Either,
}

impl World {
    /// What `context` says.
    pub fn of(context: &Context) -> Self {
        let own: Vec<IpNet> = context.interfaces.iter().flat_map(|i| i.addresses.iter().copied()).collect();
        let outer = context.zones.get("wan").cloned().unwrap_or_default();
        let wan_nets =
            context.interfaces.iter().filter(|i| outer.contains(&i.name)).flat_map(|i| i.addresses.iter().copied());
        Self {
            wan_nets: wan_nets.collect(),
            wan: outer.iter().filter_map(|name| name.parse().ok()).collect(),
            forwards: context.forwarding.or_else(|| several_zones(context)),
            zones: context.zones.iter().filter_map(|(name, list)| zone(name, list)).collect(),
            nets: context.interfaces.iter().map(|i| (i.name.clone(), i.addresses.clone())).collect(),
            own,
        }
    }

    /// Whether it is known that packets are forwarded.
    pub fn forwards(&self) -> bool {
        self.forwards == Some(true)
    }

    /// Whether `spec` can be behind an interface: in one of its networks, or in none that is known to be elsewhere.
    pub fn may_be_behind(&self, interface: &InterfacePattern, spec: &AddressSpec) -> bool {
        let near = |nets: &Vec<IpNet>| nets.iter().any(|net| AddressSpec::from(*net).overlaps(spec));
        let mine: Vec<_> = self.nets.iter().filter(|(name, _)| interface.matches(name)).collect();
        let bare = mine.iter().all(|(_, nets)| nets.is_empty());
        bare || mine.iter().any(|(_, nets)| near(nets))
            || self.wan.contains(interface) && !self.nets.iter().any(|(_, nets)| near(nets))
    }

    /// Whether any address of this host is known.
    pub fn knows_itself(&self) -> bool {
        !self.own.is_empty()
    }

    /// The interfaces towards the internet.
    pub fn wan(&self) -> &[InterfacePattern] {
        &self.wan
    }

    /// The zones of the context, for questions.
    pub fn zones(&self) -> &[End] {
        &self.zones
    }

    /// Whose the addresses are, as a destination (`to`) or as a source.
    pub fn whose(&self, spec: &AddressSpec, to: bool) -> Whose {
        let everyones = |a: IpAddr| to && (a.is_multicast() || a == IpAddr::from([255; 4]));
        let mine = |a: IpAddr| {
            a.is_loopback() || everyones(a) || self.own.iter().any(|net| net.addr() == a || to && is_broadcast(net, a))
        };
        match spec.as_single() {
            Some(address) if mine(address) => Whose::Own,
            Some(_) if self.own.is_empty() => Whose::Either,
            Some(_) => Whose::Other,
            None if spec.first().is_loopback() || to && spec.first().is_multicast() => Whose::Own,
            None if to && (self.own.is_empty() || self.own.iter().any(|net| spec.contains(net.addr()))) => {
                Whose::Either
            }
            None => Whose::Other,
        }
    }

    /// Whether a destination lies behind an inner interface, not towards the internet.
    pub fn is_inside(&self, end: &End) -> bool {
        match end {
            End::Zone(_, interfaces) => !interfaces.iter().any(|i| self.wan.contains(i)),
            End::Address(spec) => self.inner(spec),
            End::Host(_, addresses) => addresses.iter().all(|spec| self.inner(spec)),
            _ => false,
        }
    }

    /// Whether an end is the internet.
    pub fn is_wan(&self, end: &End) -> bool {
        matches!(end, End::Zone(_, interfaces) if interfaces.iter().any(|i| self.wan.contains(i)))
    }

    fn inner(&self, spec: &AddressSpec) -> bool {
        let near = |net: &IpNet| {
            net.prefix_len() > 0
                && AddressSpec::from(*net).contains(spec.first())
                && AddressSpec::from(*net).contains(spec.last())
        };
        self.own.iter().any(near) && !self.wan_nets.iter().any(near)
    }
}

fn zone(name: &str, interfaces: &[String]) -> Option<End> {
    let patterns: Vec<InterfacePattern> = interfaces.iter().map(|i| i.parse().ok()).collect::<Option<_>>()?;
    (!patterns.is_empty()).then(|| End::Zone(name.to_owned(), patterns))
}

fn is_broadcast(net: &IpNet, address: IpAddr) -> bool {
    net.addr().is_ipv4() && net.prefix_len() < 31 && net.broadcast() == address
}

/// Zones on several interfaces are there to be forwarded between; one zone says nothing.
fn several_zones(context: &Context) -> Option<bool> {
    let faces: BTreeSet<&String> = context.zones.values().flatten().filter(|name| *name != "lo").collect();
    (faces.len() > 1).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::of(
            &serde_json::from_str(
                r#"{"interfaces":[{"name":"eth0","addresses":["198.51.100.10/24"]},{"name":"eth1","addresses":["192.168.1.1/24"]}],
                    "zones":{"wan":["eth0"],"lan":["eth1"]}}"#,
            )
            .expect("context"),
        )
    }

    #[test]
    fn whose_an_address_is() {
        for (text, to, whose) in [
            ("198.51.100.10", true, Whose::Own),
            ("192.168.1.9", true, Whose::Other),
            ("192.168.1.255", true, Whose::Own),
            ("192.168.1.255", false, Whose::Other),
            ("224.0.0.1", true, Whose::Own),
            ("127.0.0.1", true, Whose::Own),
            ("192.168.1.0/24", true, Whose::Either),
            ("10.0.0.0/8", true, Whose::Other),
        ] {
            assert_eq!(world().whose(&text.parse().expect(text), to), whose, "{text}");
        }
        assert_eq!(World::default().whose(&"10.0.0.1".parse().expect("address"), true), Whose::Either);
    }

    #[test]
    fn inside_is_behind_an_inner_interface() {
        let end = |text: &str| End::Address(text.parse().expect(text));
        assert!(world().is_inside(&end("192.168.1.40")) && !world().is_inside(&end("192.0.2.7")));
        assert!(!world().is_inside(&end("198.51.100.77")));
        assert!(world().forwards() && !World::default().forwards());
    }
}
