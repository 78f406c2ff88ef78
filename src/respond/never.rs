use crate::packet::AddressSpec;
use crate::record::Context;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// What is protected on every host, and why.
const ALWAYS: &[(&str, &str)] = &[
    ("127.0.0.0/8", "loopback"),
    ("::1/128", "loopback"),
    ("0.0.0.0/8", "\"this host\" (RFC 1122): what has no address yet asks for one from there"),
    ("::/128", "the unspecified address: duplicate address detection comes from there (RFC 4862)"),
    ("224.0.0.0/4", "multicast"),
    ("ff00::/8", "multicast"),
    ("255.255.255.255/32", "the broadcast address"),
    ("fe80::/10", "link-local: IPv6 routers and neighbour discovery live there (RFC 4861)"),
    ("169.254.169.254/32", "the metadata service of cloud machines"),
    ("::ffff:0:0/96", "IPv4 in IPv6 clothes, never seen in a packet"),
];

/// Addresses that no block may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverBlock {
    entries: Vec<(AddressSpec, String)>,
}

/// Why a block is refused: what it was to block, what is protected, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    pub wanted: AddressSpec,
    pub protected: AddressSpec,
    pub why: String,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, protected, why } = self;
        let inside = protected.contains(wanted.first()) && protected.contains(wanted.last());
        match (wanted == protected, inside, wanted.contains(protected.first()) && wanted.contains(protected.last())) {
            (true, ..) => write!(f, "{wanted} is never blocked: {why}"),
            (_, true, _) => write!(f, "{wanted} is in {protected}, which is never blocked: {why}"),
            (_, _, true) => write!(f, "{wanted} contains {protected}, which is never blocked: {why}"),
            _ => write!(f, "{wanted} overlaps {protected}, which is never blocked: {why}"),
        }
    }
}

impl Default for NeverBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl NeverBlock {
    /// What is protected on every host.
    pub fn new() -> Self {
        let entries = ALWAYS.iter().map(|(net, why)| {
            let net: IpNet = net.parse().expect("the table holds networks: a test reads it");
            (AddressSpec::from(net), (*why).to_owned())
        });
        Self { entries: entries.collect() }
    }

    /// What is protected on the host that `context` describes: its own addresses and broadcast addresses, its gateways and resolvers, and
    /// where its administrators are.
    pub fn of(context: &Context) -> Self {
        let mut list = Self::new();
        for face in &context.interfaces {
            face.addresses.iter().for_each(|net| list.own(*net, &face.name));
        }
        for route in &context.routes {
            route.gateway.iter().for_each(|gateway| list.single(*gateway, "a gateway of this host"));
        }
        context.resolvers.iter().for_each(|resolver| list.single(*resolver, "a resolver of this host"));
        for session in &context.management {
            list.single(session.source, "an administrator is connected from there");
        }
        list
    }

    fn own(&mut self, net: IpNet, interface: &str) {
        let shown: String = interface.escape_debug().collect();
        self.single(net.addr(), &format!("this host's own address on {shown}"));
        if let IpNet::V4(v4) = net
            && v4.prefix_len() < 31
        {
            self.single(IpAddr::V4(v4.broadcast()), &format!("the broadcast address on {shown}"));
        }
    }

    fn single(&mut self, address: IpAddr, why: &str) {
        // The kernel may show an IPv4 address of a dual-stack socket in IPv6 clothes; packets carry the plain one.
        self.protect(AddressSpec::single(address.to_canonical()), why);
    }

    /// Protects more, and says why: "configured in respond.never_block".
    pub fn protect(&mut self, addresses: AddressSpec, why: &str) {
        if !self.entries.iter().any(|(known, _)| *known == addresses) {
            self.entries.push((addresses, why.to_owned()));
        }
    }

    /// Why `wanted` may not be blocked: some address of it is protected.
    pub fn forbids(&self, wanted: &AddressSpec) -> Option<Forbidden> {
        let hit = self.entries.iter().find(|(protected, _)| protected.overlaps(wanted));
        hit.map(|(protected, why)| Forbidden { wanted: *wanted, protected: *protected, why: why.clone() })
    }

    /// Everything that is protected, sorted, each with its reason: what the kernel's `never4` and `never6` hold.
    pub fn entries(&self) -> Vec<(AddressSpec, &str)> {
        let mut sorted: Vec<_> = self.entries.iter().map(|(spec, why)| (*spec, why.as_str())).collect();
        sorted.sort_unstable();
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Protocol;
    use crate::record::{Interface, Route, Session};
    use proptest::prelude::*;

    fn spec(text: &str) -> AddressSpec {
        text.parse().expect(text)
    }

    fn host() -> NeverBlock {
        let context = Context {
            interfaces: vec![Interface {
                name: "eth0".into(),
                addresses: vec!["198.51.100.10/24".parse().expect("net"), "2001:db8:1::10/64".parse().expect("net")],
                ..Interface::default()
            }],
            routes: vec![Route {
                destination: "default".into(),
                gateway: Some([198, 51, 100, 1].into()),
                interface: None,
            }],
            resolvers: vec![[192, 0, 2, 53].into()],
            management: vec![Session {
                source: "::ffff:203.0.113.7".parse().expect("address"),
                destination: None,
                protocol: Protocol::TCP,
                port: 22,
            }],
            ..Context::default()
        };
        let mut list = NeverBlock::of(&context);
        list.protect(spec("203.0.113.64-203.0.113.70"), "configured in respond.never_block");
        list
    }

    #[test]
    fn each_refusal_names_what_is_protected_and_why() {
        let list = host();
        for (wanted, words) in [
            ("127.0.0.1", "127.0.0.1 is in 127.0.0.0/8, which is never blocked: loopback"),
            ("198.51.100.10", "198.51.100.10 is never blocked: this host's own address on eth0"),
            ("198.51.100.255", "198.51.100.255 is never blocked: the broadcast address on eth0"),
            (
                "198.51.100.0/30",
                "198.51.100.0/30 contains 198.51.100.1, which is never blocked: a gateway of this host",
            ),
            ("192.0.2.53", "192.0.2.53 is never blocked: a resolver of this host"),
            ("203.0.113.7", "203.0.113.7 is never blocked: an administrator is connected from there"),
            (
                "203.0.113.69-203.0.113.90",
                "203.0.113.69-203.0.113.90 overlaps 203.0.113.64-203.0.113.70, which is never blocked: configured in respond.never_block",
            ),
            (
                "2001:db8:1::/48",
                "2001:db8:1::/48 contains 2001:db8:1::10, which is never blocked: this host's own address on eth0",
            ),
            (
                "fe80::1",
                "fe80::1 is in fe80::/10, which is never blocked: link-local: IPv6 routers and neighbour discovery live there (RFC 4861)",
            ),
            ("0.0.0.0/0", "0.0.0.0/0 contains 127.0.0.0/8, which is never blocked: loopback"),
            ("::/0", "::/0 contains ::1, which is never blocked: loopback"),
        ] {
            assert_eq!(list.forbids(&spec(wanted)).expect(wanted).to_string(), words);
        }
    }

    #[test]
    fn the_neighbour_of_a_protected_address_may_be_blocked() {
        for free in
            ["198.51.100.11", "203.0.113.71", "203.0.113.8/29", "2001:db8:1::11", "2001:db8:2::/48", "192.0.2.0/27"]
        {
            assert_eq!(host().forbids(&spec(free)), None, "{free}");
        }
    }

    #[test]
    fn what_is_protected_twice_is_listed_once_and_sorted() {
        let mut list = NeverBlock::new();
        let before = list.entries().len();
        list.protect(spec("224.0.0.0/4"), "again");
        assert_eq!(list.entries().len(), before);
        assert!(list.entries().is_sorted());
    }

    fn any_spec() -> impl Strategy<Value = AddressSpec> {
        let net = |bits: u8, raw: u128, length: u8| -> AddressSpec {
            let address: IpAddr = if bits == 32 {
                #[allow(clippy::cast_possible_truncation)]
                IpAddr::from((raw as u32).to_be_bytes())
            } else {
                IpAddr::from(raw.to_be_bytes())
            };
            IpNet::new(address, length.min(bits)).expect("length").into()
        };
        prop_oneof![
            (any::<u128>(), 0u8..=32).prop_map(move |(raw, length)| net(32, raw, length)),
            (any::<u128>(), 0u8..=128).prop_map(move |(raw, length)| net(128, raw, length)),
        ]
    }

    proptest! {
        /// What is allowed has no protected end, and a block of one protected address is always refused.
        #[test]
        fn forbids_is_exact_overlap(wanted in any_spec(), protected in any_spec()) {
            let mut list = host();
            list.protect(protected, "tested");
            let overlap = list.entries().iter().any(|(spec, _)| spec.overlaps(&wanted));
            prop_assert_eq!(list.forbids(&wanted).is_some(), overlap);
            prop_assert!(list.forbids(&protected).is_some());
            prop_assert!(list.forbids(&AddressSpec::single(protected.last())).is_some());
        }
    }
}
