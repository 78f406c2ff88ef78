//! What a request is about: where traffic comes from and goes to, and what it is.

use super::Phrases;
use crate::propose::statement::Way;
use crate::rule::ConnectionState;

pub(in crate::propose) const FROM: Phrases = &[
    "from", "coming from", "that come from", "that comes from", "originating from", "originating in",
    "that originate from", "that originates from", "sent by", "sent from", "initiated by", "initiated from", "by",
    "made by", "arriving from", "which comes from", "which come from", "whose source is", "with source",
    "with source address", "with the source address", "with a source address of", "that is from", "that are from",
    "issued by", "source", "source address", "src", "in from", "entering from", "starting from", "started by",
    "opened by",
];
pub(in crate::propose) const TO: Phrases = &[
    "to", "towards", "toward", "into", "going to", "destined for", "destined to", "bound for", "heading to",
    "headed to", "directed to", "directed at", "sent to", "addressed to", "that go to", "that goes to",
    "whose destination is", "with destination", "with destination address", "with the destination address",
    "aimed at", "with a destination address of", "destination", "destination address", "dst", "dest", "out to",
    "that is for", "targeting", "reaching", "going into", "for the destination", "on its way to", "coming to",
    "arriving at",
];
/// A source, or with a named host also a destination.
pub(in crate::propose) const FOR: Phrases = &["for"];
pub(in crate::propose) const ON: Phrases = &["on", "at", "through interface", "on interface", "on the interface", "on device"];
/// Comes in by.
pub(in crate::propose) const ENTERING: Phrases = &[
    "in on", "in at", "in via", "in through", "entering", "entering on", "entering via", "entering through",
    "arriving on", "arriving at", "arriving via", "coming in on", "coming in via", "coming in through",
    "coming in at", "that comes in on", "that come in on", "received on", "incoming on", "inbound on",
    "that arrives on", "that arrive on", "that enters on", "via", "via interface", "iif", "iifname", "incoming via", "inbound via",
    "coming into",
];
/// Goes out by.
pub(in crate::propose) const LEAVING: Phrases = &[
    "out on", "out of", "out via", "out through", "leaving", "leaving on", "leaving via", "leaving through",
    "leaving by", "going out on", "going out via", "going out through", "going out of", "exiting", "exiting via",
    "exiting through", "outgoing on", "outbound on", "that leaves", "that leave", "that leaves via",
    "that leave via", "sent out on", "via", "via interface", "oif", "oifname", "outgoing via", "outbound via", "out",
];
/// A service, a port or a protocol follows.
pub(in crate::propose) const WITH: Phrases = &[
    "on", "over", "via", "using", "with", "through", "by", "at", "for", "proto", "protocol", "to", "that uses",
    "that use", "of",
];
pub(in crate::propose) const BETWEEN: Phrases = &["between"];

pub(in crate::propose) const WAYS: &[(Way, Phrases)] = &[
    (
        Way::In,
        &["incoming", "inbound", "ingress", "in", "inwards", "coming in", "that come in", "that comes in", "input"],
    ),
    (
        Way::Out,
        &[
            "outgoing", "outbound", "egress", "out", "outwards", "outward", "going out", "that go out",
            "that goes out", "leaving", "output",
        ],
    ),
];

pub(in crate::propose) const STATES: &[(ConnectionState, Phrases)] = &[
    (ConnectionState::New, &["new", "newly opened", "fresh"]),
    (ConnectionState::Established, &["established", "existing"]),
    (ConnectionState::Related, &["related"]),
    (ConnectionState::Invalid, &["invalid"]),
    (ConnectionState::Untracked, &["untracked"]),
];

/// Nouns for traffic of which no service is said.
pub(in crate::propose) const TRAFFIC_NOUNS: Phrases = &[
    "traffic", "access", "connection", "connections", "packet", "packets", "request", "requests", "communication",
    "network traffic", "ip traffic", "session", "sessions", "attempts", "connection attempts", "logins",
    "login attempts", "datagrams", "messages", "queries", "flows", "data", "internet traffic", "ip packets",
    "network access", "network connections", "ip connections",
];
/// Nouns that may follow a service.
pub(in crate::propose) const SERVICE_NOUNS: Phrases = &[
    "traffic", "access", "connection", "connections", "packet", "packets", "request", "requests", "service",
    "services", "session", "sessions", "attempts", "connection attempts", "login attempts", "logins", "port",
    "ports", "protocol", "queries", "communication", "messages", "datagrams", "lookups", "protocols", "flows",
    "scans",
];
/// Nouns that count connections, and those that count packets.
pub(in crate::propose) const COUNTED: Phrases = &[
    "connection", "connections", "request", "requests", "attempts", "connection attempts", "session", "sessions",
    "logins", "login attempts", "new connections", "hits", "new connection attempts", "queries", "times", "flows",
    "new sessions", "tries", "login", "attempt",
];
pub(in crate::propose) const PACKETS: Phrases = &["packet", "packets", "datagrams"];

/// All traffic.
pub(in crate::propose) const EVERYTHING: Phrases = &[
    "everything", "anything", "everything else", "all", "any", "all services", "any service", "any traffic",
    "all ports", "any port", "all protocols", "any protocol",
];
pub(in crate::propose) const ALL: Phrases = &[
    "all", "any", "every", "all the", "any kind of", "all kinds of", "all of the", "each", "any and all", "any more",
    "further",
];
pub(in crate::propose) const ARTICLES: Phrases =
    &["the", "a", "an", "my", "our", "this", "that", "these", "those", "its", "their", "your"];

/// Anywhere, as a source or a destination.
pub(in crate::propose) const ANYWHERE: Phrases = &[
    "anywhere", "anyone", "everyone", "everybody", "anybody", "any", "anything", "everything", "all", "everywhere",
    "any host", "all hosts", "any address", "all addresses", "any source", "any ip", "any ip address", "all sources",
    "any destination", "the world", "the whole world", "the entire world", "any network", "all networks",
    "any machine", "everywhere else", "anyone else", "everyone else", "any one", "any source address",
    "all ip addresses", "all ips", "any client", "all clients", "everybody else", "any computer",
];
/// This host itself.
pub(in crate::propose) const HERE: Phrases = &[
    "here", "this host", "this machine", "this server", "this computer", "this box", "this system", "me", "myself",
    "us", "the firewall", "the firewall itself", "this firewall", "this router", "the router itself",
    "the gateway itself", "this gateway", "the host", "the host itself", "this host itself", "itself",
    "the local host", "the local machine", "our host", "my machine", "my host", "my server", "my computer",
    "this device", "this node",
];
/// The zone that is the internet, where the context has one.
pub(in crate::propose) const INTERNET: Phrases = &[
    "internet", "the internet", "outside", "the outside", "outside world", "the outside world",
    "the public internet", "public internet", "the wan side",
];
/// The zone that is the inner network, where the context has one.
pub(in crate::propose) const INSIDE: Phrases = &[
    "local network", "the local network", "internal network", "the internal network", "local lan", "the local lan",
    "local area network", "the local area network",
];

/// Nouns before an address.
pub(in crate::propose) const ADDRESS_NOUNS: Phrases = &[
    "ip", "ips", "ip address", "ip addresses", "address", "addresses", "host", "hosts", "network", "networks",
    "subnet", "subnets", "net", "range", "ranges", "ip range", "address range", "cidr", "machine", "machines",
    "server", "client", "clients", "block", "prefix", "source ip", "ipv4 address", "ipv6 address", "network range",
    "source", "sources", "computer", "ipv6 network", "ipv4 network", "source address", "source addresses",
    "attacker", "destination", "device", "ip block", "ipv4", "ipv6",
];
/// "hosts in", "users on", before a place.
pub(in crate::propose) const MEMBERS: Phrases = &[
    "hosts in", "hosts on", "machines in", "machines on", "clients in", "clients on", "clients of", "users in",
    "users on", "users of", "devices in", "devices on", "computers in", "computers on", "people on", "people in",
    "anyone in", "anyone on", "anybody on", "everyone on", "everyone in", "everything in", "everything on",
    "addresses in", "addresses of", "systems in", "systems on", "servers in", "anything in", "anything on",
    "somebody on", "all of", "interface", "interfaces", "zone", "the zone", "the interface", "device",
];

pub(in crate::propose) const EXCEPT: Phrases = &[
    "except", "except for", "excepting", "but not", "excluding", "other than", "apart from", "aside from", "besides",
    "unless", "with the exception of", "save for", "not including", "but", "except to", "unless to", "unless it is",
    "unless it's", "unless they are",
];
/// "… unless it comes from the office".
pub(in crate::propose) const EXCEPT_FROM: Phrases = &[
    "except from", "except when coming from", "except if it comes from", "but not from", "unless from",
    "unless it comes from", "unless they come from", "unless it is from", "unless they are from",
    "that does not come from", "that do not come from", "that doesn't come from", "that don't come from",
    "which does not come from", "not coming from", "not from", "not originating from", "that is not from",
    "that are not from", "except those from", "except that from", "unless coming from", "unless it originates from",
    "other than from", "that isn't from", "that aren't from", "excluding from", "except for those from", "except by",
    "except for traffic from", "except traffic from", "except connections from", "which do not come from",
    "not originating in", "that does not originate from", "that do not originate from", "from anywhere but",
    "from everywhere but", "from anyone but", "from everyone but", "from outside", "from outside of",
    "that comes from outside", "coming from outside", "that come from outside", "from anywhere outside",
    "from anything but", "from all but", "from addresses other than", "from hosts other than",
    "from sources other than", "from networks other than", "for everyone but", "for all but", "for everyone except",
    "for anyone but",
];
pub(in crate::propose) const EXCEPT_TO: Phrases = &[
    "except to", "unless to", "but not to", "that does not go to", "that do not go to", "not going to", "not to",
    "except traffic to", "other than to", "unless it goes to", "except for traffic to",
];
pub(in crate::propose) const ONLY: Phrases = &["only", "solely", "exclusively", "just", "nothing but"];
pub(in crate::propose) const NOBODY: Phrases =
    &["nobody", "no one", "no-one", "noone", "none", "no host", "no hosts", "nothing", "no machine"];

pub(in crate::propose) const AND: Phrases =
    &["and", "or", "as well as", "and also", "plus", "nor", "and/or", "and the", "along with"];
pub(in crate::propose) const THEN: Phrases =
    &["and", "but", "and then", "then", "and also", "while", "whereas", "also", "but also", "yet", "and please"];
