//! What is known of the host: by netlink and /proc, without a privilege, and without a process unless asked.
//!
//! What cannot be found out is said in `missing` and leaves the rest useful. Nothing here reads rules: who wants the live
//! ruleset asks [`super::nft`].

mod backends;
mod host;
mod links;
mod owners;
mod routes;
mod sockets;
mod zones;

pub use backends::program;

use super::{clock, netlink};
use crate::packet::{AddressSpec, InterfacePattern, Protocol};
use crate::record::{Context, Interface, Listener, Route, Session};
use links::Link;
use routes::Seen;
use sockets::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// A host with a full table of the internet has a million routes; the default is among the first.
const ROUTES: usize = 10_000;

/// What is told to the context, because no kernel knows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    pub zones: BTreeMap<String, Vec<InterfacePattern>>,
    pub hosts: BTreeMap<String, Vec<AddressSpec>>,
    /// Each port as `protocol/port`.
    pub services: BTreeMap<String, Vec<String>>,
    /// TCP ports on which this host is administered.
    pub management_ports: Vec<u16>,
    /// SSH_CONNECTION: source address and port, own address and port.
    pub ssh_connection: Option<String>,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What a sentence or a deployment needs: a few milliseconds, no process started.
    Fast,
    /// Also the program behind each listening socket and the versions of the packet filters.
    Full,
}

/// Looks at the host.
pub fn context(known: &Known, depth: Depth) -> Context {
    let mut missing = Vec::new();
    let links = told("interfaces", links(), &mut missing);
    let addresses = told("addresses", addresses(), &mut missing);
    let interfaces = links::interfaces(&links, &addresses);
    let routes = found_routes(&links, &mut missing);
    let sockets = told("sockets", sockets::all(), &mut missing);
    let owners = owners::owners(|name| depth == Depth::Full || owners::is_login_server(name));
    Context {
        host: Some(host::host()),
        zones: zones::zones(known, &links, &interfaces, &routes),
        hosts: known.hosts.clone(),
        services: known.services.clone(),
        listening: listening(&sockets, &owners),
        management: management(known, &sockets, &owners, &mut missing),
        resolvers: host::resolvers().map_err(|words| missing.push(words)).unwrap_or_default(),
        backends: backends::backends(depth == Depth::Full, &mut missing),
        forwarding: host::forwarding(interfaces.iter().map(|face| face.name.as_str())),
        ts: Some(clock::now()),
        ruleset: None,
        interfaces,
        routes,
        missing,
    }
}

fn told<T>(what: &str, answer: io::Result<Vec<T>>, missing: &mut Vec<String>) -> Vec<T> {
    answer.unwrap_or_else(|e| {
        missing.push(format!("{what}: {}", backends::words(&e)));
        Vec::new()
    })
}

/// Asks until nothing changed while the kernel answered, at most three times.
fn listed<T>(kind: u16, body: &[u8], read: impl Fn(&[u8]) -> Option<T>, limit: usize) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for _ in 0..3 {
        found.clear();
        let changed = netlink::dump(None, kind, body, |message| {
            found.extend(read(message.body));
            found.len() < limit
        })?;
        if !changed {
            break;
        }
    }
    Ok(found)
}

fn links() -> io::Result<Vec<Link>> {
    listed(18, &[0; 16], links::link, usize::MAX) // RTM_GETLINK
}

fn addresses() -> io::Result<Vec<links::Assigned>> {
    listed(22, &[0; 8], links::assigned, usize::MAX) // RTM_GETADDR
}

fn found_routes(links: &[Link], missing: &mut Vec<String>) -> Vec<Route> {
    let mut seen = Vec::new();
    for (family, name) in [(2, "IPv4 routes"), (10, "IPv6 routes")] {
        let mut body = [0; 12];
        body[0] = family;
        let answer = told(name, listed(26, &body, routes::route, ROUTES), missing); // RTM_GETROUTE
        if answer.len() >= ROUTES {
            missing.push(format!("{name}: there are more than {ROUTES}; the rest is left out"));
        }
        seen.extend(answer);
    }
    if seen.contains(&Seen::OtherTable) {
        missing.push("routes: those of other tables than main (policy routing, VRF) are left out".into());
    }
    let entries: Vec<_> =
        seen.into_iter().filter_map(|s| if let Seen::Route(entry) = s { Some(entry) } else { None }).collect();
    let names = links.iter().map(|link| (link.index, link.face.name.clone())).collect();
    routes::routes(&entries, &names)
}

fn listening(sockets: &[Socket], owners: &BTreeMap<u64, String>) -> Vec<Listener> {
    let of = |socket: &Socket| Listener {
        protocol: socket.protocol,
        address: socket.local.ip(),
        port: socket.local.port(),
        process: owners.get(&socket.inode).cloned(),
    };
    let mut found: Vec<Listener> = sockets.iter().filter(|socket| socket.listens()).map(of).collect();
    found.dedup();
    found
}

/// The administrators' connections: the one that sshd told of, and all to a management port or to a port of a login server.
fn management(
    known: &Known,
    sockets: &[Socket],
    owners: &BTreeMap<u64, String>,
    missing: &mut Vec<String>,
) -> Vec<Session> {
    let is_login = |socket: &&Socket| owners.get(&socket.inode).is_some_and(|name| owners::is_login_server(name));
    let mut ports: BTreeSet<u16> = known.management_ports.iter().copied().collect();
    ports.extend(
        sockets.iter().filter(|s| s.listens() && s.protocol == Protocol::TCP).filter(is_login).map(|s| s.local.port()),
    );
    let told = known.ssh_connection.as_deref().map(|text| {
        session(text).ok_or_else(|| format!("management: SSH_CONNECTION `{}` is not understood", text.escape_debug()))
    });
    let mut found: Vec<Session> = match told.transpose() {
        Ok(session) => session.into_iter().collect(),
        Err(words) => {
            missing.push(words);
            Vec::new()
        }
    };
    for socket in sockets.iter().filter(|s| s.is_established() && ports.contains(&s.local.port())) {
        let session = Session {
            source: socket.remote.ip(),
            destination: Some(socket.local.ip()),
            protocol: Protocol::TCP,
            port: socket.local.port(),
        };
        if !found.contains(&session) {
            found.push(session);
        }
    }
    found
}

/// `192.0.2.7 50122 198.51.100.10 22` (sshd(8)).
fn session(text: &str) -> Option<Session> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [source, _, destination, port] = words.as_slice() else { return None };
    let address = |word: &str| word.split('%').next()?.parse::<std::net::IpAddr>().ok().map(|a| a.to_canonical());
    Some(Session {
        source: address(source)?,
        destination: Some(address(destination)?),
        protocol: Protocol::TCP,
        port: port.parse().ok()?,
    })
}

/// The addresses of a host's own interfaces.
pub fn own_addresses(interfaces: &[Interface]) -> Vec<std::net::IpAddr> {
    interfaces.iter().flat_map(|face| face.addresses.iter().map(ipnet::IpNet::addr)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_host_has_a_loopback_and_its_configured_names() {
        let hosts = BTreeMap::from([("printer".to_owned(), vec!["192.0.2.9".parse().expect("address")])]);
        let known = Known { hosts: hosts.clone(), ..Known::default() };
        let found = context(&known, Depth::Fast);
        let lo = found.interfaces.iter().find(|face| face.name == "lo").expect("lo");
        assert_eq!(lo.kind.as_deref(), Some("loopback"));
        assert_eq!(found.hosts, hosts);
        assert!(found.ruleset.is_none() && found.ts.is_some());
    }

    #[test]
    fn the_administrators_connection_is_known() {
        let mut missing = Vec::new();
        let known = |text: &str| Known { ssh_connection: Some(text.to_owned()), ..Known::default() };
        let told = known("192.0.2.7 50122 ::ffff:198.51.100.10 2222");
        let found = management(&told, &[], &BTreeMap::new(), &mut missing);
        assert_eq!((found[0].source.to_string(), found[0].port), ("192.0.2.7".to_owned(), 2222));
        assert_eq!(found[0].destination, Some([198, 51, 100, 10].into()));
        assert!(missing.is_empty());
        assert!(management(&known("x\u{1b} 1 y 2"), &[], &BTreeMap::new(), &mut missing).is_empty());
        assert_eq!(missing, ["management: SSH_CONNECTION `x\\u{1b} 1 y 2` is not understood"]);
    }

    proptest! {
        #[test]
        fn no_words_of_sshd_make_it_panic(text in "([0-9a-f.:%]{1,12} ?){0,6}") {
            prop_assert!(session(&text).is_none_or(|s| s.protocol == Protocol::TCP));
        }
    }
}
