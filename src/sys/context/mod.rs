//! What is known of the host: by netlink and /proc, without a privilege, and without a process unless asked.
//!
//! What cannot be found out is said in `missing` and leaves the rest useful; a part of it that could not be listed at all, or only
//! torn, is named by its type besides, for those who must not go on without it. Nothing here reads rules: who wants the live ruleset
//! asks [`super::nft`].

mod backends;
mod host;
mod links;
mod owners;
mod routes;
pub(super) mod sockets;
mod zones;

use super::{clock, netlink};
use crate::packet::{AddressSpec, InterfacePattern, Protocol};
use crate::record::{Context, Interface, Listener, Route, Session};
use links::Link;
use routes::Seen;
use sockets::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

/// How often the kernel is asked for what changes while it is listed.
const TRIES: usize = 5;

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

/// A part of the host that it must be possible to see before its firewall is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Interfaces,
    Addresses,
    Routes4,
    Routes6,
    Sockets,
    Resolvers,
}

impl Part {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interfaces => "interfaces",
            Self::Addresses => "addresses",
            Self::Routes4 => "IPv4 routes",
            Self::Routes6 => "IPv6 routes",
            Self::Sockets => "sockets",
            Self::Resolvers => "resolvers",
        }
    }
}

/// A part that could not be listed, or not as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    pub part: Part,
    pub why: String,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part.as_str(), self.why)
    }
}

/// A look at the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sight {
    pub context: Context,
    /// Also said in the context's `missing`, among what is only left out.
    pub unseen: Vec<Unseen>,
}

/// What a look did not find.
#[derive(Debug, Default)]
struct Gaps {
    missing: Vec<String>,
    unseen: Vec<Unseen>,
}

impl Gaps {
    fn unseen(&mut self, part: Part, why: String) {
        let unseen = Unseen { part, why };
        self.missing.push(unseen.to_string());
        self.unseen.push(unseen);
    }
}

/// Looks at the host.
pub fn context(known: &Known, depth: Depth) -> Context {
    look(known, depth).context
}

/// Looks at the host, for those who must know what could not be seen.
pub fn look(known: &Known, depth: Depth) -> Sight {
    let mut gaps = Gaps::default();
    let links = told(Part::Interfaces, links(), &mut gaps);
    let addresses = told(Part::Addresses, addresses(), &mut gaps);
    let interfaces = links::interfaces(&links, &addresses);
    let routes = found_routes(&links, &mut gaps);
    let sockets = told(Part::Sockets, sockets::all().map(Listed::whole), &mut gaps);
    let full = depth == Depth::Full;
    let wanted = |name: &str| full || owners::is_login_server(name);
    let owners = if full || are_connected(&sockets) { owners::owners(wanted) } else { BTreeMap::new() };
    let management = management(known, &sockets, &owners, &mut gaps.missing);
    let resolvers = told(Part::Resolvers, host::resolvers().map(Listed::whole), &mut gaps);
    let backends = backends::backends(full, &mut gaps.missing);
    let context = Context {
        host: Some(host::host()),
        zones: zones::zones(known, &links, &interfaces, &routes),
        hosts: known.hosts.clone(),
        services: known.services.clone(),
        listening: listening(&sockets, &owners),
        management,
        resolvers,
        backends,
        forwarding: host::forwarding(interfaces.iter().map(|face| face.name.as_str())),
        ts: Some(clock::now()),
        ruleset: None,
        interfaces,
        routes,
        missing: gaps.missing,
    };
    Sight { context, unseen: gaps.unseen }
}

/// What the kernel listed, and whether it changed meanwhile every time.
#[derive(Debug, PartialEq, Eq)]
struct Listed<T> {
    found: Vec<T>,
    torn: bool,
}

impl<T> Listed<T> {
    fn whole(found: Vec<T>) -> Self {
        Self { found, torn: false }
    }
}

fn told<T>(part: Part, answer: io::Result<Listed<T>>, gaps: &mut Gaps) -> Vec<T> {
    match answer {
        Ok(Listed { found, torn }) => {
            if torn {
                gaps.unseen(part, format!("they changed while they were listed, {TRIES} times"));
            }
            found
        }
        Err(e) => {
            gaps.unseen(part, backends::words(&e));
            Vec::new()
        }
    }
}

/// Asks until nothing changed while the kernel answered, a few times at most.
fn settled<T>(mut ask: impl FnMut() -> io::Result<Listed<T>>) -> io::Result<Listed<T>> {
    let mut last = ask()?;
    for _ in 1..TRIES {
        if !last.torn {
            break;
        }
        last = ask()?;
    }
    Ok(last)
}

fn listed<T>(kind: u16, body: &[u8], read: impl Fn(&[u8]) -> Option<T>, limit: usize) -> io::Result<Listed<T>> {
    settled(|| {
        let mut found = Vec::new();
        let torn = netlink::dump(None, kind, body, |message| {
            found.extend(read(message.body));
            found.len() < limit
        })?;
        Ok(Listed { found, torn })
    })
}

fn links() -> io::Result<Listed<Link>> {
    listed(18, &[0; 16], links::link, usize::MAX) // RTM_GETLINK
}

fn addresses() -> io::Result<Listed<links::Assigned>> {
    listed(22, &[0; 8], links::assigned, usize::MAX) // RTM_GETADDR
}

fn found_routes(links: &[Link], gaps: &mut Gaps) -> Vec<Route> {
    let mut seen = Vec::new();
    for (family, part) in [(2, Part::Routes4), (10, Part::Routes6)] {
        let mut body = [0; 12];
        body[0] = family;
        let answer = told(part, listed(26, &body, routes::route, ROUTES), gaps); // RTM_GETROUTE
        if answer.len() >= ROUTES {
            let name = part.as_str();
            gaps.missing.push(format!("{name}: there are more than {ROUTES}; the rest is left out"));
        }
        seen.extend(answer);
    }
    if seen.contains(&Seen::OtherTable) {
        gaps.missing.push("routes: those of other tables than main (policy routing, VRF) are left out".into());
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

/// Whether another host is connected: else there is no session whose program is to be found.
fn are_connected(sockets: &[Socket]) -> bool {
    sockets.iter().any(|socket| socket.is_established() && !socket.remote.ip().to_canonical().is_loopback())
}

/// The administrators' connections: the one that sshd told of, all to a management port or to a port of a login server, and those of a
/// login server to a port that another program listens on for it (systemd.socket(5)). What is forwarded through a session is none.
fn management(
    known: &Known,
    sockets: &[Socket],
    owners: &BTreeMap<u64, String>,
    missing: &mut Vec<String>,
) -> Vec<Session> {
    let is_login = |socket: &&Socket| owners.get(&socket.inode).is_some_and(|name| owners::is_login_server(name));
    let port = |socket: &Socket| socket.local.port();
    let listening = || sockets.iter().filter(|s| s.listens() && s.protocol == Protocol::TCP);
    let mut ports: BTreeSet<u16> = known.management_ports.iter().copied().collect();
    ports.extend(listening().filter(is_login).map(port));
    let others: BTreeSet<u16> = listening().map(port).collect();
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
    let is_session =
        |s: &&Socket| s.is_established() && (ports.contains(&port(s)) || (is_login(s) && others.contains(&port(s))));
    for socket in sockets.iter().filter(is_session) {
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

    #[test]
    fn a_session_is_known_by_its_program_where_another_one_listens() {
        let at = |address: &str| address.parse::<std::net::SocketAddr>().expect("address");
        let own = Socket::of("127.0.0.1:22", "127.0.0.1:50122", 1);
        let session = Socket::of("198.51.100.10:2222", "192.0.2.7:50122", 2);
        let forwarded = Socket::of("198.51.100.10:40404", "192.0.2.9:443", 2);
        let systemd = Socket::of("0.0.0.0:2222", "0.0.0.0:0", 3);
        assert!(are_connected(&[own, session]) && !are_connected(&[own, systemd]));
        let owners = BTreeMap::from([(2, "sshd-session".to_owned()), (3, "systemd".to_owned())]);
        let found = management(&Known::default(), &[own, session, forwarded, systemd], &owners, &mut Vec::new());
        let found: Vec<_> = found.iter().map(|s| (s.source, s.port)).collect();
        assert_eq!(found, [(at("192.0.2.7:0").ip(), 2222)]);
    }

    #[test]
    fn what_could_not_be_listed_is_named_and_what_was_torn_is_kept() {
        let mut gaps = Gaps::default();
        let refused = io::Error::from_raw_os_error(1); // EPERM
        assert!(told::<u8>(Part::Sockets, Err(refused), &mut gaps).is_empty());
        assert_eq!(told(Part::Routes4, Ok(Listed { found: vec![1], torn: true }), &mut gaps), [1]);
        assert_eq!(told(Part::Interfaces, Ok(Listed::whole(vec![1])), &mut gaps), [1]);
        let words = ["sockets: operation not permitted", "IPv4 routes: they changed while they were listed, 5 times"];
        assert_eq!(gaps.missing, words);
        assert_eq!(gaps.unseen.iter().map(ToString::to_string).collect::<Vec<_>>(), words);
    }

    #[test]
    fn a_torn_list_is_asked_for_again_and_not_for_ever() {
        let mut asked = 0;
        let mut until = |whole: usize| {
            asked = 0;
            let last = settled(|| {
                asked += 1;
                Ok(Listed { found: vec![asked], torn: asked < whole })
            });
            last.expect("no error")
        };
        assert_eq!(until(3), Listed::whole(vec![3]));
        assert_eq!(until(99), Listed { found: vec![TRIES], torn: true });
    }

    proptest! {
        #[test]
        fn no_words_of_sshd_make_it_panic(text in "([0-9a-f.:%]{1,12} ?){0,6}") {
            prop_assert!(session(&text).is_none_or(|s| s.protocol == Protocol::TCP));
        }
    }
}
