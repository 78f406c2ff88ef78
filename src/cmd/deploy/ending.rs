//! The connections that are open now and that a change would end: the two directions of each are followed through the rules before and after.

use super::backend::Backend;
use super::site::{Site, failure};
use super::split::split;
use crate::analyze::{Budget, losses};
use crate::backend::nftables::{Ban, Block};
use crate::cli::Failure;
use crate::deploy::{Flow, changed};
use crate::packet::{AddressSpec, Bits, Cell, Narrow, PortRange, Protocol};
use crate::record::{Ending, Proposal, Rule};
use crate::rule::ruleset::Ruleset;
use crate::rule::{ConnectionState, Direction};
use crate::sys::connections::{self, Connection};
use crate::sys::context::own_addresses;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// More connections than this are not followed.
const MOST: usize = 16_384;

/// So many of those that end are named.
const NAMED: usize = 20;

/// The open connections that `proposal` would end beside the `live` rules; nothing where nobody knows: the rules are not this kernel's, it
/// forwards and tracks no connections, it has too many of them, or the change cannot be computed.
///
/// # Errors
/// When the state cannot be read.
pub fn ending(site: &Site, proposal: &Proposal, live: &Ruleset) -> Result<Option<Ending>, Failure> {
    if !site.backend.is_of_this_kernel() {
        return Ok(None);
    }
    let Ok(open) = connections::open() else { return Ok(None) };
    let unseen = !open.tracked && site.context.forwarding != Some(false);
    let open: Vec<Connection> = open.connections.into_iter().filter(|connection| connection.stands).collect();
    if unseen || open.len() > MOST {
        return Ok(None);
    }
    let Ok(split) = split(site.backend, std::slice::from_ref(proposal)) else { return Ok(None) };
    let rules: Vec<Rule> = site.state.policy_rules().map_err(failure)?.into_iter().map(|p| p.rule).collect();
    let Ok(after) = changed(&rules, &split.policy, &split.changes) else { return Ok(None) };
    let Ok(after) = site.backend.model(live, &after) else { return Ok(None) };
    let own = own_addresses(&site.context.interfaces);
    let Ok(mut ended) = cut(live, &after, &open, &own) else { return Ok(None) };
    ended.extend((0..open.len()).filter(|at| split.bans.iter().any(|block| is_banned(&open[*at], block))));
    Ok(Some(Ending {
        count: ended.len() as u64,
        examples: ended.iter().take(NAMED).map(|at| words(&open[*at])).collect(),
    }))
}

/// The numbers of those that go through `before` and not through `after`.
fn cut(before: &Ruleset, after: &Ruleset, open: &[Connection], own: &[IpAddr]) -> Result<BTreeSet<usize>, String> {
    let ways: Vec<(usize, Direction, Cell)> = open
        .iter()
        .enumerate()
        .flat_map(|(at, connection)| {
            ways(connection, own, ConnectionState::Established).into_iter().map(move |(way, cell)| (at, way, cell))
        })
        .collect();
    let bare: Vec<(Direction, Cell)> = ways.iter().map(|(_, direction, cell)| (*direction, cell.clone())).collect();
    let found = losses(before, after, &bare, Budget::default())?;
    Ok(found.iter().filter_map(|loss| ways.get(loss.way)).map(|(at, _, _)| *at).collect())
}

/// The connections of a moment, by their ends.
pub struct Known(BTreeSet<(Protocol, SocketAddr, SocketAddr)>);

impl Known {
    /// Those that are there now; nothing where they cannot be listed, or not all of them.
    pub fn now() -> Option<Self> {
        let open = connections::open().ok().filter(|open| open.whole)?;
        Some(Self(open.connections.iter().map(Connection::ends).collect()))
    }

    /// Has the kernel forget every connection that is not among these and that the rules of `backend` would not let begin: the window in which
    /// they began is over, and an older accept of what is established would keep them. How many those were.
    ///
    /// # Errors
    /// When the rules cannot be listed or followed.
    pub fn end_others(&self, site: &Site, backend: &dyn Backend) -> Result<usize, Failure> {
        let open =
            connections::open().map_err(|e| Failure::refused(format!("the connections cannot be listed: {e}")))?;
        let own = own_addresses(&site.context.interfaces);
        let others = open.connections.into_iter().filter(|c| !self.0.contains(&c.ends()));
        let first = |c: Connection| ways(&c, &own, ConnectionState::New).into_iter().next().map(|way| (c, way));
        let (others, ways): (Vec<Connection>, Vec<(Direction, Cell)>) = others.filter_map(first).unzip();
        let denied =
            losses(&Ruleset::default(), &backend.live()?, &ways, Budget::default()).map_err(Failure::refused)?;
        let denied: BTreeSet<usize> = denied.iter().map(|loss| loss.way).collect();
        let forgotten = |at: &&usize| others.get(**at).is_some_and(|c| connections::forget(c).unwrap_or(false));
        Ok(denied.iter().filter(forgotten).count())
    }
}

/// The packets of an open connection, each direction. What a host says to itself goes by loopback, which no change touches.
fn ways(connection: &Connection, own: &[IpAddr], state: ConnectionState) -> Vec<(Direction, Cell)> {
    let is_own = |address: IpAddr| address.is_loopback() || own.contains(&address);
    let (source, destination) = (connection.source.ip(), connection.destination.ip());
    let (there, back) = match (is_own(source), is_own(destination)) {
        (true, true) => return Vec::new(),
        (true, false) => (Direction::Output, Direction::Input),
        (false, true) => (Direction::Input, Direction::Output),
        (false, false) => (Direction::Forward, Direction::Forward),
    };
    let port = |port: u16| connection.protocol.has_ports().then(|| PortRange::single(port));
    let flow = |direction, from: SocketAddr, to: SocketAddr| Flow {
        what: String::new(),
        direction,
        source: Some(AddressSpec::single(from.ip())),
        destination: Some(AddressSpec::single(to.ip())),
        protocol: connection.protocol,
        source_port: port(from.port()),
        destination_port: port(to.port()),
        icmp: &[],
    };
    let state = Bits::single(state as u8);
    let packets = |flow: Flow| (flow.direction, flow.packets().with_narrow(Narrow::State, state));
    vec![
        packets(flow(there, connection.source, connection.destination)),
        packets(flow(back, connection.destination, connection.source)),
    ]
}

/// Whether a block drops what one of the two sends to the other.
fn is_banned(connection: &Connection, block: &Block) -> bool {
    let (source, destination) = (connection.source.ip(), connection.destination.ip());
    match &block.ban {
        Ban::Source(net) | Ban::Destination(net) => net.contains(&source) || net.contains(&destination),
        Ban::Port(address, protocol, port) => {
            *address == source
                && *protocol == connection.protocol
                && (connection.asked.port() == *port || connection.destination.port() == *port)
        }
    }
}

/// `tcp 192.0.2.7:40000 > 198.51.100.10:22`.
fn words(connection: &Connection) -> String {
    format!("{} {} > {}", connection.protocol, connection.source, connection.destination)
}
