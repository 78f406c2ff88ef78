//! A throw-away firewall in a network namespace: a ruleset is loaded into it, packets are sent through it, and the kernel says what
//! became of each and by which rules.
//!
//! Each interface is one end of a cable; the other end lies in a namespace of its own, a *street*, that holds nothing else, so that
//! what is sent from there comes in by that interface. Nothing of this host's network is touched. Needs root.

mod arms;
mod space;
mod stage;
mod street;
mod trace;
mod track;

use super::nft::{self, NftError};
use super::process::{Finished, run};
use crate::packet::Protocol;
use crate::rule::wire::{Form, bytes};
use crate::rule::{ConnectionState, Direction, Packet};
use arms::{Arms, Rack};
use space::Space;
pub use stage::natural;
use stage::{Stage, settled, stage};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;
use street::{Bounce, Street};
pub use trace::{Event, Step};

/// Packets between two looks at what came of them: below the length of the kernel's queue (net.core.netdev_max_backlog, 1000), and a
/// byte of a label tells them apart.
const VOLLEY: usize = 250;
/// A program that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// The table of the lab itself.
const OWN: &str = "afo_lab";
/// What loopback is called here, so that `lo` can be a cable as well.
const LOOPBACK: &str = "afo_loopback";

/// Why a lab could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("no network namespace can be made: {0}")]
    NoSpace(String),
    #[error(transparent)]
    Nft(#[from] NftError),
    #[error("`{0}` cannot be the name of an interface")]
    Name(String),
    #[error("the lab's network could not be set up: {0}")]
    Setup(String),
    #[error("the kernel left out a part of what it was asked to tell")]
    Lost,
    #[error("the kernel refused: {0}")]
    Refused(#[from] io::Error),
}

impl From<rustix::io::Errno> for LabError {
    fn from(e: rustix::io::Errno) -> Self {
        Self::Refused(e.into())
    }
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The packet as its bytes described it.
    pub sent: Packet,
    /// Whether it came to the end of the input hook, or out of an interface.
    pub passed: bool,
    /// The rules that it matched and the policies that it fell to, in order.
    pub events: Vec<Event>,
    /// The state of its connection, where a chain that has one saw it and the kernel tells it (from Linux 6.14 on).
    pub state: Option<ConnectionState>,
}

/// The firewall, its interfaces and what lies behind them.
#[derive(Debug)]
pub struct Lab {
    streets: BTreeMap<String, Street>,
    bounce: Bounce,
    inside: Space,
    own: [OwnedFd; 2],
    trace: OwnedFd,
    track: OwnedFd,
    /// Where packets that come in are led, as last set.
    way: Option<Way>,
    /// Whether a ruleset has asked for connection tracking: from then on the kernel puts fragments together.
    tracks: bool,
    /// Whether every packet goes alone.
    alone: bool,
    /// What the lab's own tables do, where they are there.
    rack: Option<Rack>,
    buffer: Vec<u8>,
}

/// Where the packets of a volley go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Here,
    OutBy(String),
}

impl Lab {
    /// A firewall with these interfaces and no rule.
    ///
    /// # Errors
    /// When no namespaces can be had, or a name is none.
    pub fn open(interfaces: &[&str]) -> Result<Self, LabError> {
        let plain = |c: char| c.is_ascii_graphic() && c != '/' && c != '%';
        if let Some(bad) = interfaces.iter().find(|n| n.is_empty() || n.len() > 15 || !n.chars().all(plain)) {
            return Err(LabError::Name((*bad).to_owned()));
        }
        let inside = Space::open()?;
        inside.inside(street::prepare)??;
        let mut streets = BTreeMap::new();
        for name in interfaces {
            streets.insert((*name).to_owned(), Street::open(name, &inside)?);
        }
        let (own, trace, track) =
            inside.inside(|| Ok::<_, LabError>((street::raw()?, trace::listen()?, track::open()?)))??;
        let bounce = Bounce::open()?;
        Ok(Self {
            streets,
            bounce,
            inside,
            own,
            trace,
            track,
            way: None,
            tracks: false,
            alone: false,
            rack: None,
            buffer: vec![0; 1 << 18],
        })
    }

    /// Replaces the ruleset by what `text` says, in nft's language or its JSON; the listing of what the kernel made of it, as JSON.
    ///
    /// # Errors
    /// When nft refuses it, with its words.
    pub fn load(&mut self, text: &str) -> Result<String, LabError> {
        let json = text.trim_start().starts_with('{');
        let listing = self.inside.inside(|| {
            match json {
                true => nft::load("flush ruleset").and_then(|()| nft::load_json(text)),
                false => nft::load(&format!("flush ruleset\n{text}")),
            }?;
            nft::list_ruleset_json()
        })??;
        track::forget(&self.track)?;
        self.rack = None;
        Ok(listing)
    }

    /// Lets every packet go alone from now on: where rules translate, two may become packets of one connection, of which the kernel drops
    /// the second.
    pub fn set_alone(&mut self, alone: bool) {
        self.alone = alone;
    }

    /// Runs a program in the firewall: for rules that nft does not load.
    ///
    /// # Errors
    /// When it is missing or does not end.
    pub fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Result<Finished, LabError> {
        Ok(self.inside.inside(|| run(program, arguments, input, PATIENCE))?.map_err(NftError::NotRun)?)
    }

    /// Sends packets, each as if none had come before it; nothing where one cannot be sent, or not in the state that it is described with.
    ///
    /// `tracks` says whether the ruleset has the kernel track connections; where it does not, no rule asks for their state.
    ///
    /// # Errors
    /// When the kernel refuses or loses something.
    pub fn send(&mut self, packets: &[Packet], tracks: bool) -> Result<Vec<Option<Seen>>, LabError> {
        self.send_all(packets, tracks, false)
    }

    /// As [`Lab::send`], each as the first fragment of a larger packet; none once a ruleset has had connections tracked.
    ///
    /// # Errors
    /// As [`Lab::send`].
    pub fn send_first_fragments(&mut self, packets: &[Packet]) -> Result<Vec<Option<Seen>>, LabError> {
        self.send_all(packets, false, true)
    }

    fn send_all(&mut self, packets: &[Packet], tracks: bool, first: bool) -> Result<Vec<Option<Seen>>, LabError> {
        self.tracks |= tracks;
        let mut seen = vec![None; packets.len()];
        let _one = street::OneProcessor::take()?;
        for (rack, ways) in self.sorted(packets, tracks, first) {
            self.arm(rack)?;
            for (way, mut group) in ways {
                self.lead(&way)?;
                while !group.is_empty() {
                    let volley = match self.alone {
                        true => group.pop().into_iter().collect(),
                        false => apart(packets, &mut group, tracks),
                    };
                    self.volley(packets, &volley, &mut seen)?;
                    if tracks {
                        track::forget(&self.track)?;
                    }
                }
            }
        }
        Ok(seen)
    }

    /// The packets that can be sent, by what must be set up for them.
    fn sorted(&self, packets: &[Packet], tracks: bool, first: bool) -> Vec<Load> {
        let mut sorted: Vec<Load> = Vec::new();
        for (n, packet) in packets.iter().enumerate() {
            if let (Some(way), Some(mut stage)) = (self.way_of(packet, first), stage(packet, tracks)) {
                let arms = Arms { mark: packet.mark, untracked: stage.untracked };
                if sorted.last().is_none_or(|(rack, _)| rack.is_full()) {
                    sorted.push((Rack::default(), BTreeMap::new()));
                }
                let Some((rack, ways)) = sorted.last_mut() else { continue };
                (stage.form.label, stage.form.first) = (rack.place(arms), first);
                ways.entry(way).or_default().push((n, stage));
            }
        }
        sorted
    }

    /// Nothing where no cable leads to where it comes from or goes to.
    fn way_of(&self, packet: &Packet, first: bool) -> Option<Way> {
        // What of IPv4 is for this host is put together before the input hook sees it (ip_local_deliver).
        let delivered = packet.direction == Direction::Input && packet.source.is_ipv4();
        if (packet.fragment || first) && (self.tracks || delivered) || packet.fragment && first {
            return None;
        }
        // Loopback is another interface here, and nothing else takes its addresses in (ip6_rcv_core).
        let of_loopback = [packet.source, packet.destination].iter().any(|end| end.is_ipv6() && end.is_loopback());
        if of_loopback && packet.interface_in.as_deref() == Some("lo") {
            return None;
        }
        let known = |name: &Option<String>| name.clone().filter(|name| self.streets.contains_key(name));
        match packet.direction {
            Direction::Input => known(&packet.interface_in).map(|_| Way::Here),
            Direction::Forward => known(&packet.interface_in).and(known(&packet.interface_out)).map(Way::OutBy),
            Direction::Output => known(&packet.interface_out).map(Way::OutBy),
        }
    }

    fn lead(&mut self, way: &Way) -> Result<(), LabError> {
        if self.way.as_ref() != Some(way) {
            self.inside.inside(|| match way {
                Way::Here => street::route(LOOPBACK, true),
                Way::OutBy(name) => street::route(name, false),
            })??;
            self.way = Some(way.clone());
        }
        Ok(())
    }

    /// What the lab's own rules do to the packets of the next volleys.
    fn arm(&mut self, rack: Rack) -> Result<(), LabError> {
        if self.rack.as_ref() != Some(&rack) {
            let text = rack.text(self.streets.keys());
            self.inside.inside(|| nft::load(&text))??;
            self.rack = Some(rack);
        }
        Ok(())
    }

    fn volley(
        &mut self,
        packets: &[Packet],
        volley: &[(usize, Stage)],
        seen: &mut [Option<Seen>],
    ) -> Result<(), LabError> {
        let mut labels = HashMap::new();
        for (number, (n, stage)) in (1..).zip(volley) {
            let label = stage.form.label | number;
            let (packet, form) = (&packets[*n], Form { label, ..stage.form.clone() });
            if let Some(connection) = &stage.connection
                && !track::establish(&self.track, connection)?
            {
                continue;
            }
            let raw =
                packet.interface_in.as_ref().and_then(|name| self.streets.get(name)).map_or(&self.own, Street::raw);
            if street::launch(raw, &bytes(packet, &form), packet.destination)? {
                labels.insert(
                    label,
                    Sent { ends: (packet.source, packet.destination), protocol: packet.protocol, number: *n },
                );
                let sent = settled(packet, &Stage { form, ..stage.clone() });
                seen[*n] = Some(Seen { sent, passed: false, events: Vec::new(), state: None });
            }
        }
        self.bounce.wait()?;
        self.hear(&labels, seen)?;
        self.follow(&labels, seen)
    }

    /// What has come out by the interfaces.
    fn hear(&mut self, labels: &Labels, seen: &mut [Option<Seen>]) -> Result<(), LabError> {
        let alone = self.alone;
        for (name, street) in &self.streets {
            let out = self.way == Some(Way::OutBy(name.clone()));
            street.heard(&mut self.buffer, |bytes| {
                if let Some(seen) = whose(bytes, labels, alone).and_then(|n| seen[n].as_mut()) {
                    seen.passed |= out;
                }
            })?;
        }
        Ok(())
    }

    /// What the rules were that they met.
    fn follow(&mut self, labels: &Labels, seen: &mut [Option<Seen>]) -> Result<(), LabError> {
        let mut by_trace = HashMap::new();
        for raw in trace::drain(&self.trace, &mut self.buffer)? {
            // Only the first event of each base chain says whose it is; a rejection is traced between two events of what it rejects.
            if let Some(header) = &raw.header {
                by_trace.insert(raw.id, whose(header, labels, self.alone));
            }
            let known = by_trace.get(&raw.id).copied().flatten();
            let Some(seen) = known.and_then(|n| seen[n].as_mut()) else { continue };
            if raw.event.table != OWN {
                // The end of a chain that is no verdict is told as well.
                if raw.event.handle.is_some() || raw.event.step != Step::Continue {
                    seen.events.push(raw.event);
                }
            } else if raw.event.chain == "arrive" {
                seen.passed |= self.way == Some(Way::Here);
            }
            seen.state = raw.state.or(seen.state);
        }
        Ok(())
    }
}

/// Packets that one load of the lab's own tables is for, by where they go.
type Load = (Rack, BTreeMap<Way, Vec<(usize, Stage)>>);

/// What was sent under a label.
#[derive(Debug, Clone, Copy)]
struct Sent {
    ends: (IpAddr, IpAddr),
    protocol: Protocol,
    /// Whose packet it is.
    number: usize,
}

type Labels = HashMap<u16, Sent>;

/// Whose packet begins with these bytes: its label, its protocol and one of its addresses, as the other may have been translated; both
/// may have been of a packet that goes `alone`. What this host sends of itself, an ICMP error about another packet, may have the same label
/// by chance. Of a later fragment of IPv6 20 bytes are told, which end within its source.
fn whose(bytes: &[u8], labels: &Labels, alone: bool) -> Option<usize> {
    let pair = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let four = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    let sixteen = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?));
    let of = |label: u16| labels.get(&label).copied();
    let either = |from: IpAddr, to: IpAddr| move |sent: &Sent| alone || sent.ends.0 == from || sent.ends.1 == to;
    let begins = |sent: &Sent| matches!(sent.ends.0, IpAddr::V6(v6) if v6.octets().starts_with(&bytes[8..]));
    let (found, protocol) = match bytes.first()? >> 4 {
        4 => (of(pair(4)?).filter(either(four(12)?, four(16)?)), *bytes.get(9)?),
        6 if bytes.len() == 20 => (of(pair(2)?).filter(begins), FRAGMENT),
        6 => (of(pair(2)?).filter(either(sixteen(8)?, sixteen(24)?)), *bytes.get(6)?),
        _ => return None,
    };
    found.filter(|sent| protocol == sent.protocol.0 || protocol == FRAGMENT).map(|sent| sent.number)
}

/// The header of a fragment, behind which the protocol stands (RFC 8200, 4.5).
const FRAGMENT: u8 = 44;

/// Takes from a group as many as can go together: of one connection one packet, where connections are tracked.
fn apart(packets: &[Packet], group: &mut Vec<(usize, Stage)>, tracks: bool) -> Vec<(usize, Stage)> {
    let mut there = HashSet::new();
    let (mut together, mut later) = (Vec::new(), Vec::new());
    for (n, stage) in group.drain(..) {
        let key = ends(&packets[n]);
        let about = stage.form.about.as_ref().map(|about| ends(about));
        let free = !tracks || !there.contains(&key) && about.as_ref().is_none_or(|key| !there.contains(key));
        match free && together.len() < VOLLEY {
            true => {
                there.insert(key);
                there.extend(about);
                together.push((n, stage));
            }
            false => later.push((n, stage)),
        }
    }
    *group = later;
    together
}

/// The same for all packets of one connection, whichever way they go.
fn ends(packet: &Packet) -> (u8, [(IpAddr, u16); 2]) {
    let port = |port: u16| if packet.protocol.has_ports() { port } else { 0 };
    let mut both = [(packet.source, port(packet.source_port)), (packet.destination, port(packet.destination_port))];
    both.sort_unstable();
    (packet.protocol.0, both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_known_by_their_bytes() {
        for text in ["input a 192.0.2.1:1 > 192.0.2.2:2 tcp syn", "input a 2001:db8::1 > 2001:db8::2 icmpv6 128"] {
            let packet: Packet = text.parse().expect(text);
            let sent = bytes(&packet, &Form { label: 258, ..Form::default() });
            let under = |label, ends, protocol| Labels::from([(label, Sent { ends, protocol, number: 7 })]);
            let known = |label, from, to| whose(&sent, &under(label, (from, to), packet.protocol), false);
            let other = "203.0.113.9".parse().expect("an address");
            assert_eq!(known(258, packet.source, packet.destination), Some(7), "{text}");
            assert_eq!(known(258, packet.source, other), Some(7), "a translated destination: {text}");
            assert_eq!(known(258, packet.destination, packet.source), None, "an answer: {text}");
            assert_eq!(known(259, packet.source, packet.destination), None, "{text}");
            assert_eq!(
                whose(&sent, &under(258, (other, other), packet.protocol), true),
                Some(7),
                "both translated: {text}"
            );
            let foreign = under(258, (packet.source, packet.destination), Protocol::UDP);
            assert_eq!(whose(&sent, &foreign, true), None, "of another protocol: {text}");
        }
        let later: Packet = "forward a b 2001:db8::1 > 2001:db8::2 udp fragment".parse().expect("a packet");
        let sent = bytes(&later, &Form { label: 258, ..Form::default() });
        let ends = (later.source, later.destination);
        let labels = Labels::from([(258, Sent { ends, protocol: later.protocol, number: 7 })]);
        assert_eq!([whose(&sent[..20], &labels, false), whose(&sent[..12], &labels, false)], [Some(7), None]);
        assert_eq!([b"".as_slice(), &[0x45; 12], &[0x10; 60]].map(|bytes| whose(bytes, &labels, false)), [None; 3]);
    }

    #[test]
    fn one_packet_of_a_connection_at_a_time() {
        let packet = |text: &str| text.parse::<Packet>().expect(text);
        let packets = [
            packet("forward a b 192.0.2.1:1 > 192.0.2.2:2 tcp syn"),
            packet("forward a b 192.0.2.2:2 > 192.0.2.1:1 tcp ack"),
            packet("forward a b 192.0.2.1:1 > 192.0.2.2:3 tcp syn"),
        ];
        let mut group: Vec<_> = (0..3).map(|n| (n, Stage::default())).collect();
        let first = apart(&packets, &mut group, true);
        assert_eq!((first.iter().map(|(n, _)| *n).collect::<Vec<_>>(), group[0].0), (vec![0, 2], 1));
        assert!(matches!(Lab::open(&["no name"]), Err(LabError::Name(_))));
    }
}
