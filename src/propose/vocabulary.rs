//! The words of the grammar by what they mean. One word stands in as many lists as it has meanings; the grammar tries each.

use super::statement::{Act, Way};
use crate::rule::ConnectionState;

/// Phrases of one meaning.
pub(super) type Phrases = &'static [&'static str];

/// Words before a request that change nothing.
pub(super) const OPENERS: Phrases = &[
    "please", "hi", "hello", "hey", "ok", "okay", "kindly", "now", "then", "also", "can you", "could you",
    "would you", "will you", "i want to", "i want you to", "i need to", "i need you to", "i would like to",
    "i would like you to", "i'd like to", "i'd like you to", "we want to", "we need to", "we would like to",
    "we'd like to", "we should", "you should", "make sure", "make sure that", "ensure", "ensure that", "be sure to",
    "make sure to", "see to it that", "let's", "add a rule to", "add a rule that", "create a rule to",
    "create a rule that", "set up a rule to", "go ahead and", "write a rule to", "write a rule that", "a rule that",
    "add a firewall rule to", "create a firewall rule to", "write an iptables rule to", "write an iptable rule to",
    "write an nftables rule to", "firewall rule to", "a firewall rule to", "rule to", "a rule to",
    "add a new rule to", "create a new rule to", "we must", "i must", "add rule to", "i want that", "from now on",
];

/// Words anywhere that change nothing.
pub(super) const FILLERS: Phrases = &[
    "please", "now", "immediately", "right now", "right away", "at once", "for me", "thanks", "thank you", "too",
    "as well", "completely", "entirely", "altogether", "straight away", "asap", "on this firewall",
    "in the firewall", "at the firewall", "inclusive",
];

/// Verbs of an order, with what they ask for. The longest that fits is taken.
pub(super) const VERBS: &[(Act, Phrases)] = &[
    (
        Act::Drop,
        &[
            "block", "deny", "drop", "ban", "stop", "forbid", "prohibit", "prevent", "disallow", "blacklist",
            "black-list", "blocklist", "block-list", "denylist", "discard", "close", "bar", "shut out", "lock out",
            "keep out", "cut off", "filter out", "block off", "block out", "block all access for",
        ],
    ),
    (Act::Reject, &["reject", "refuse", "turn away", "turn down"]),
    (
        Act::Allow,
        &[
            "allow", "permit", "accept", "open", "open up", "enable", "grant", "admit", "authorize", "authorise",
            "whitelist", "white-list", "allowlist", "allow-list", "let in", "let through", "pass", "let", "give",
        ],
    ),
    (Act::Limit, &["limit", "rate limit", "rate-limit", "ratelimit", "throttle", "restrict", "cap"]),
    (Act::Log, &["log", "record"]),
];

/// Orders that turn the verb after them round.
pub(super) const DO_NOT: Phrases = &[
    "do not", "don't", "dont", "never", "must not", "should not", "shouldn't", "mustn't", "stop", "no longer",
    "cease to", "do n't",
];

/// After [`DO_NOT`]: verbs whose opposite is a denial.
pub(super) const NEGATABLE: Phrases = &[
    "allow", "permit", "accept", "let", "let in", "let through", "admit", "open", "grant", "give", "pass", "enable",
    "allowing", "permitting", "accepting",
];

/// Verbs between a subject and what may be done with it, allowed …
pub(super) const MAY: Phrases = &[
    "may", "can", "should", "must", "shall", "is allowed to", "are allowed to", "is permitted to",
    "are permitted to", "be allowed to", "should be able to", "must be able to", "is able to", "are able to",
    "should be allowed to", "must be allowed to", "will be allowed to", "needs to", "need to", "has to", "have to",
    "may still", "can still", "gets to", "get to",
];

/// … and denied.
pub(super) const MAY_NOT: Phrases = &[
    "may not", "must not", "mustn't", "can not", "cannot", "can't", "cant", "should not", "shouldn't", "shall not",
    "may never", "must never", "should never", "can never", "shall never", "is not allowed to", "are not allowed to",
    "isn't allowed to", "aren't allowed to", "is not permitted to", "are not permitted to", "is forbidden to",
    "are forbidden to", "is prohibited from", "are prohibited from", "is forbidden from", "are forbidden from",
    "should not be able to", "shouldn't be able to", "must not be able to", "should not be allowed to",
    "must not be allowed to", "mustn't be able to", "may no longer", "can no longer", "should no longer",
    "must no longer", "is blocked from", "are blocked from", "is banned from", "are banned from",
    "should be blocked from", "must be blocked from", "should be prevented from", "must be prevented from",
    "do not get to", "never", "must be kept from", "should be kept from",
];

/// What a subject does to a destination. The same words serve after "to" and as gerunds.
pub(super) const REACH: Phrases = &[
    "reach", "access", "connect to", "connect with", "talk to", "talk with", "contact", "get to", "visit",
    "communicate with", "speak to", "speak with", "open connections to", "make connections to",
    "initiate connections to", "send traffic to", "send packets to", "send anything to", "establish connections to",
    "start connections to", "have access to", "get access to", "see", "go to", "browse to", "get through to",
    "get into", "enter", "reaching", "accessing", "connecting to", "connecting with", "talking to", "contacting",
    "getting to", "visiting", "communicating with", "speaking to", "opening connections to", "making connections to",
    "sending traffic to", "sending packets to", "entering", "having access to", "getting into",
    "make new connections to", "open new connections to", "connect",
];

/// What a subject does with a service.
pub(super) const USE: Phrases = &[
    "use", "using", "speak", "do", "make", "run", "send", "have", "access", "accessing", "reach", "reaching",
    "sending", "get", "initiate", "open",
];

/// "is allowed" and the like at the end of a sentence about traffic.
pub(super) const IS: Phrases = &[
    "is", "are", "be", "should be", "must be", "shall be", "is to be", "are to be", "will be", "gets", "get",
    "has to be", "have to be", "needs to be", "need to be", "can be", "may be",
];
pub(super) const IS_ONLY: Phrases = &[
    "should only be", "must only be", "may only be", "can only be", "shall only be", "is only to be",
    "are only to be",
];
pub(super) const IS_NOT: Phrases = &[
    "is not", "are not", "isn't", "aren't", "should not be", "must not be", "shall not be", "is not to be",
    "are not to be", "shouldn't be", "mustn't be", "may not be", "cannot be", "can not be", "can't be",
    "must never be", "should never be", "is never", "are never", "is no longer", "are no longer", "not",
];

/// Participles of [`VERBS`].
pub(super) const DONE: &[(Act, Phrases)] = &[
    (
        Act::Drop,
        &[
            "blocked", "denied", "dropped", "banned", "stopped", "forbidden", "prohibited", "disallowed",
            "blacklisted", "discarded", "closed", "barred", "shut out", "locked out", "kept out", "cut off",
            "filtered out", "prevented",
        ],
    ),
    (Act::Reject, &["rejected", "refused"]),
    (
        Act::Allow,
        &[
            "allowed", "permitted", "accepted", "open", "opened", "whitelisted", "let in", "let through", "admitted",
            "authorized", "authorised", "enabled", "allowed in", "allowed through",
        ],
    ),
    (Act::Limit, &["limited", "rate limited", "rate-limited", "throttled", "restricted", "capped"]),
    (Act::Log, &["logged", "recorded"]),
];

/// "the web server must be reachable from the lan".
pub(super) const REACHABLE: Phrases =
    &["reachable", "accessible", "available", "visible", "reached", "accessed", "contacted"];

pub(super) const FROM: Phrases = &[
    "from", "coming from", "that come from", "that comes from", "originating from", "originating in",
    "that originate from", "that originates from", "sent by", "sent from", "initiated by", "initiated from", "by",
    "made by", "arriving from", "which comes from", "which come from", "whose source is", "with source",
    "with source address", "with the source address", "with a source address of", "that is from", "that are from",
    "issued by", "source", "source address", "src", "in from", "entering from", "starting from", "started by",
    "opened by",
];
pub(super) const TO: Phrases = &[
    "to", "towards", "toward", "into", "going to", "destined for", "destined to", "bound for", "heading to",
    "headed to", "directed to", "directed at", "sent to", "addressed to", "that go to", "that goes to",
    "whose destination is", "with destination", "with destination address", "with the destination address",
    "aimed at", "with a destination address of", "destination", "destination address", "dst", "dest", "out to",
    "that is for", "targeting", "reaching", "going into", "for the destination", "on its way to", "coming to",
    "arriving at",
];
/// A source, or with a named host also a destination.
pub(super) const FOR: Phrases = &["for"];
pub(super) const ON: Phrases = &["on", "at", "through interface", "on interface", "on the interface", "on device"];
/// Comes in by.
pub(super) const ENTERING: Phrases = &[
    "in on", "in at", "in via", "in through", "entering", "entering on", "entering via", "entering through",
    "arriving on", "arriving at", "arriving via", "coming in on", "coming in via", "coming in through",
    "coming in at", "that comes in on", "that come in on", "received on", "incoming on", "inbound on",
    "that arrives on", "that arrive on", "that enters on", "via", "via interface", "iif", "iifname", "incoming via", "inbound via",
    "coming into",
];
/// Goes out by.
pub(super) const LEAVING: Phrases = &[
    "out on", "out of", "out via", "out through", "leaving", "leaving on", "leaving via", "leaving through",
    "leaving by", "going out on", "going out via", "going out through", "going out of", "exiting", "exiting via",
    "exiting through", "outgoing on", "outbound on", "that leaves", "that leave", "that leaves via",
    "that leave via", "sent out on", "via", "via interface", "oif", "oifname", "outgoing via", "outbound via", "out",
];
/// A service, a port or a protocol follows.
pub(super) const WITH: Phrases = &[
    "on", "over", "via", "using", "with", "through", "by", "at", "for", "proto", "protocol", "to", "that uses",
    "that use", "of",
];
pub(super) const BETWEEN: Phrases = &["between"];

pub(super) const WAYS: &[(Way, Phrases)] = &[
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

pub(super) const STATES: &[(ConnectionState, Phrases)] = &[
    (ConnectionState::New, &["new", "newly opened", "fresh"]),
    (ConnectionState::Established, &["established", "existing"]),
    (ConnectionState::Related, &["related"]),
    (ConnectionState::Invalid, &["invalid"]),
    (ConnectionState::Untracked, &["untracked"]),
];

/// Nouns for traffic of which no service is said.
pub(super) const TRAFFIC_NOUNS: Phrases = &[
    "traffic", "access", "connection", "connections", "packet", "packets", "request", "requests", "communication",
    "network traffic", "ip traffic", "session", "sessions", "attempts", "connection attempts", "logins",
    "login attempts", "datagrams", "messages", "queries", "flows", "data", "internet traffic", "ip packets",
    "network access", "network connections", "ip connections",
];
/// Nouns that may follow a service.
pub(super) const SERVICE_NOUNS: Phrases = &[
    "traffic", "access", "connection", "connections", "packet", "packets", "request", "requests", "service",
    "services", "session", "sessions", "attempts", "connection attempts", "login attempts", "logins", "port",
    "ports", "protocol", "queries", "communication", "messages", "datagrams", "lookups", "protocols", "flows",
    "scans",
];
/// Nouns that count connections, and those that count packets.
pub(super) const COUNTED: Phrases = &[
    "connection", "connections", "request", "requests", "attempts", "connection attempts", "session", "sessions",
    "logins", "login attempts", "new connections", "hits", "new connection attempts", "queries", "times", "flows",
    "new sessions", "tries", "login", "attempt",
];
pub(super) const PACKETS: Phrases = &["packet", "packets", "datagrams"];

/// All traffic.
pub(super) const EVERYTHING: Phrases = &[
    "everything", "anything", "everything else", "all", "any", "all services", "any service", "any traffic",
    "all ports", "any port", "all protocols", "any protocol",
];
pub(super) const ALL: Phrases = &[
    "all", "any", "every", "all the", "any kind of", "all kinds of", "all of the", "each", "any and all", "any more",
    "further",
];
pub(super) const ARTICLES: Phrases =
    &["the", "a", "an", "my", "our", "this", "that", "these", "those", "its", "their", "your"];

/// Anywhere, as a source or a destination.
pub(super) const ANYWHERE: Phrases = &[
    "anywhere", "anyone", "everyone", "everybody", "anybody", "any", "anything", "everything", "all", "everywhere",
    "any host", "all hosts", "any address", "all addresses", "any source", "any ip", "any ip address", "all sources",
    "any destination", "the world", "the whole world", "the entire world", "any network", "all networks",
    "any machine", "everywhere else", "anyone else", "everyone else", "any one", "any source address",
    "all ip addresses", "all ips", "any client", "all clients", "everybody else", "any computer",
];
/// This host itself.
pub(super) const HERE: Phrases = &[
    "here", "this host", "this machine", "this server", "this computer", "this box", "this system", "me", "myself",
    "us", "the firewall", "the firewall itself", "this firewall", "this router", "the router itself",
    "the gateway itself", "this gateway", "the host", "the host itself", "this host itself", "itself",
    "the local host", "the local machine", "our host", "my machine", "my host", "my server", "my computer",
    "this device", "this node",
];
/// The zone that is the internet, where the context has one.
pub(super) const INTERNET: Phrases = &[
    "internet", "the internet", "outside", "the outside", "outside world", "the outside world",
    "the public internet", "public internet", "the wan side",
];
/// The zone that is the inner network, where the context has one.
pub(super) const INSIDE: Phrases = &[
    "local network", "the local network", "internal network", "the internal network", "local lan", "the local lan",
    "local area network", "the local area network",
];

/// Nouns before an address.
pub(super) const ADDRESS_NOUNS: Phrases = &[
    "ip", "ips", "ip address", "ip addresses", "address", "addresses", "host", "hosts", "network", "networks",
    "subnet", "subnets", "net", "range", "ranges", "ip range", "address range", "cidr", "machine", "machines",
    "server", "client", "clients", "block", "prefix", "source ip", "ipv4 address", "ipv6 address", "network range",
    "source", "sources", "computer", "ipv6 network", "ipv4 network", "source address", "source addresses",
    "attacker", "destination", "device", "ip block", "ipv4", "ipv6",
];
/// "hosts in", "users on", before a place.
pub(super) const MEMBERS: Phrases = &[
    "hosts in", "hosts on", "machines in", "machines on", "clients in", "clients on", "clients of", "users in",
    "users on", "users of", "devices in", "devices on", "computers in", "computers on", "people on", "people in",
    "anyone in", "anyone on", "anybody on", "everyone on", "everyone in", "everything in", "everything on",
    "addresses in", "addresses of", "systems in", "systems on", "servers in", "anything in", "anything on",
    "somebody on", "all of", "interface", "interfaces", "zone", "the zone", "the interface", "device",
];

pub(super) const EXCEPT: Phrases = &[
    "except", "except for", "excepting", "but not", "excluding", "other than", "apart from", "aside from", "besides",
    "unless", "with the exception of", "save for", "not including", "but", "except to", "unless to", "unless it is",
    "unless it's", "unless they are",
];
/// "… unless it comes from the office".
pub(super) const EXCEPT_FROM: Phrases = &[
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
pub(super) const EXCEPT_TO: Phrases = &[
    "except to", "unless to", "but not to", "that does not go to", "that do not go to", "not going to", "not to",
    "except traffic to", "other than to", "unless it goes to", "except for traffic to",
];
pub(super) const ONLY: Phrases = &["only", "solely", "exclusively", "just", "nothing but"];
pub(super) const NOBODY: Phrases =
    &["nobody", "no one", "no-one", "noone", "none", "no host", "no hosts", "nothing", "no machine"];

pub(super) const AND: Phrases =
    &["and", "or", "as well as", "and also", "plus", "nor", "and/or", "and the", "along with"];
pub(super) const THEN: Phrases =
    &["and", "but", "and then", "then", "and also", "while", "whereas", "also", "but also", "yet", "and please"];
pub(super) const RANGE: Phrases = &["to", "-", "through", "thru", "until", "up to"];

pub(super) const AT_MOST: Phrases = &[
    "at most", "no more than", "not more than", "up to", "a maximum of", "maximum", "max", "a max of", "maximum of",
    "at", "to", "to at most", "to a maximum of", "to no more than", "to max", "to maximum", "at a maximum of",
    "with a limit of", "with a maximum of", "with at most", "limited to", "only", "to only", "at a rate of",
    "at a rate of up to", "with a rate of", "to a rate of", "to up to", "rate limited to", "with a rate limit of",
    "a limit of", "not exceeding", "max of", "as long as there are at most",
];
pub(super) const PER: Phrases = &["per", "a", "an", "each", "every", "in a", "within a", "in one", "per one"];
pub(super) const EACH_SOURCE: Phrases = &[
    "per source", "per source address", "per source ip", "per address", "per ip", "per ip address", "per client",
    "per host", "per remote address", "per source host", "per remote host", "per sender", "from each address",
    "from each source", "from each source address", "from each ip", "from each ip address", "from each client",
    "from each host", "for each source", "for each address", "for each ip", "for each client",
    "for each source address", "from any one address", "from any single address", "from a single address",
    "from one address", "from a single source", "from any single source", "by source", "by source address", "each",
    "from the same address", "from the same source", "from the same ip", "from any one source", "from a single ip",
    "from one ip", "from every address", "from every source", "for every source", "for every address",
    "from each remote address", "per remote ip", "per visitor", "per user", "from any given address",
    "for each host", "from each sender", "per source network", "from any one host", "from one source",
];
pub(super) const SOURCES_OBJECT: Phrases = &[
    "each source", "each address", "each ip", "each ip address", "each client", "each source address",
    "every source", "every client", "every address", "any single address", "each host", "each remote address",
    "any one source", "every ip", "every host",
];
pub(super) const IN_ALL: Phrases =
    &["in total", "in all", "overall", "altogether", "total", "together", "globally", "for all sources together"];
pub(super) const BURST: Phrases = &[
    "burst", "with burst", "with a burst of", "and a burst of", "with bursts of", "with a burst of up to",
    "bursts of", "burst of", "and a maximum burst of", "with a maximum burst of", "with bursts up to",
    "allowing bursts of",
];

pub(super) const DURATION: Phrases = &[
    "for", "for the next", "during the next", "over the next", "for at least", "for a period of", "for another",
    "lasting", "within the next", "for about",
];
pub(super) const TEMPORARILY: Phrases =
    &["temporarily", "for a while", "for a limited time", "for now", "for some time", "briefly"];
pub(super) const FOREVER: Phrases =
    &["permanently", "for ever", "forever", "indefinitely", "always", "at all times", "for good"];
pub(super) const LOG_TOO: Phrases = &[
    "and log", "and log it", "and log them", "with logging", "and log the packets", "and log everything",
    "with a log entry", "with log", "and log this", "and log that", "and log the attempts", "log", "log it",
    "log them", "and record it", "and write it to the log", "and log each packet", "and log all of it",
    "and log matches", "and log every attempt", "and log each attempt", "and log what is dropped",
    "and log attempts", "with logs",
];
pub(super) const V4: Phrases = &["ipv4", "ip4", "v4", "ipv4 only"];
pub(super) const V6: Phrases = &["ipv6", "ip6", "v6", "ipv6 only"];

/// First words of questions and of talk that is no request.
pub(super) const QUESTIONS: Phrases = &[
    "what", "which", "who", "whom", "whose", "why", "where", "when", "how", "is", "are", "does", "do i", "do we",
    "did", "has", "have i", "show", "list", "display", "explain", "tell me", "describe", "can i", "may i",
    "should i", "should we", "am i", "was", "were", "count", "print", "what's", "who's", "how's", "help",
    "summarize", "summarise",
];
pub(super) const REMOVE: Phrases = &[
    "unblock", "unban", "un-ban", "un-block", "lift the block on", "lift the ban on", "stop blocking",
    "no longer block", "pardon", "remove the block on", "remove the ban on", "remove the block of", "release",
    "lift the block of",
];

pub(super) const NUMBERS: &[(&str, u64)] = &[
    ("a", 1),
    ("an", 1),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("fifteen", 15),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("forty-five", 45),
    ("fifty", 50),
    ("sixty", 60),
    ("ninety", 90),
    ("hundred", 100),
    ("once", 1),
    ("twice", 2),
    ("thrice", 3),
];
/// Durations that are no number and unit.
pub(super) const SPANS: &[(&str, u64)] = &[
    ("half an hour", 1800),
    ("an hour and a half", 5400),
    ("half a day", 43_200),
    ("hour", 3600),
    ("minute", 60),
    ("day", 86_400),
    ("week", 604_800),
];

/// ICMP types and codes of IPv4, and of IPv6, by what people call them (RFC 792, RFC 4443, RFC 4861).
pub(super) const ICMP_KINDS: &[(Phrases, &str, &str)] = &[
    (
        &[
            "ping", "pings", "ping request", "ping requests", "icmp echo", "icmp echo request", "icmp echo requests",
            "echo request", "echo requests", "echo-request", "icmp ping", "icmp pings", "icmp echo-request",
            "icmp echo-requests", "pinging", "ping packets", "ping traffic",
        ],
        "8", "128",
    ),
    (
        &[
            "ping reply", "ping replies", "icmp echo reply", "icmp echo replies", "echo reply", "echo replies",
            "echo-reply", "icmp echo-reply", "pong", "ping responses",
        ],
        "0", "129",
    ),
    (
        &[
            "icmp destination unreachable", "destination unreachable", "destination-unreachable", "icmp unreachable",
            "icmp unreachables",
        ],
        "3", "1",
    ),
    (&["icmp redirect", "icmp redirects"], "5", "137"),
    (&["icmp time exceeded", "time exceeded", "icmp ttl exceeded", "time-exceeded"], "11", "3"),
    (&["icmp parameter problem", "parameter problem"], "12", "4"),
    (&["icmp timestamp request", "icmp timestamp requests", "timestamp requests"], "13", ""),
    (&["icmp timestamp reply", "icmp timestamp replies"], "14", ""),
    (&["icmp address mask request", "icmp address mask requests"], "17", ""),
    (&["packet too big", "icmp packet too big", "icmpv6 packet too big"], "", "2"),
    (&["router advertisement", "router advertisements", "icmpv6 router advertisements"], "", "134"),
    (&["router solicitation", "router solicitations"], "", "133"),
    (
        &["neighbour solicitation", "neighbour solicitations", "neighbor solicitation", "neighbor solicitations"],
        "", "135",
    ),
    (
        &["neighbour advertisement", "neighbour advertisements", "neighbor advertisement", "neighbor advertisements"],
        "", "136",
    ),
];

/// Words that ask for what no filter rule does, with the next step.
pub(super) const BEYOND: &[(&str, &str)] = &[
    ("mbps", "a filter rule counts packets or connections; bandwidth is the traffic shaper's (tc)"),
    ("gbps", "a filter rule counts packets or connections; bandwidth is the traffic shaper's (tc)"),
    ("kbps", "a filter rule counts packets or connections; bandwidth is the traffic shaper's (tc)"),
    ("bandwidth", "a filter rule counts packets or connections; bandwidth is the traffic shaper's (tc)"),
    ("quota", "a filter rule counts packets or connections, not volume over weeks"),
    ("prioritize", "priorities are the traffic shaper's (tc)"),
    ("prioritise", "priorities are the traffic shaper's (tc)"),
    ("until", "say for how long instead: `for 2 hours`"),
    ("weekdays", "times of day and weekdays cannot be said yet; say for how long instead: `for 2 hours`"),
    ("weekends", "times of day and weekdays cannot be said yet; say for how long instead: `for 2 hours`"),
    ("forward", "address translation cannot be said in words yet"),
    ("redirect", "address translation cannot be said in words yet"),
    ("masquerade", "address translation cannot be said in words yet"),
    ("nat", "address translation cannot be said in words yet"),
    ("remove", "name the address whose block shall end: `unblock 192.0.2.1`; rules go with afo-deploy rollback"),
    ("delete", "name the address whose block shall end: `unblock 192.0.2.1`; rules go with afo-deploy rollback"),
    ("flush", "the panic button is `afo-deploy flush-afo`"),
    ("country", "rules know addresses; give the networks"),
    ("url", "rules know addresses and ports, not addresses of web pages"),
    ("website", "rules know addresses and ports; give the addresses"),
];

/// Whether the grammar knows the word at all.
pub(super) fn known(word: &str) -> bool {
    lists().any(|list| list.iter().any(|phrase| phrase.split(' ').any(|w| w == word)))
        || NUMBERS.iter().any(|(w, _)| *w == word)
        || super::lexer::seconds_of(word).is_some()
}

/// The lists without tags.
const LISTS: &[Phrases] = &[
    REMOVE, IS_ONLY, OPENERS, FILLERS, DO_NOT, NEGATABLE, MAY, MAY_NOT, REACH, USE, IS, IS_NOT, REACHABLE, FROM, TO,
    FOR, ON, ENTERING, LEAVING, WITH, BETWEEN, TRAFFIC_NOUNS, SERVICE_NOUNS, COUNTED, PACKETS, EVERYTHING, ALL,
    ARTICLES, ANYWHERE, HERE, INTERNET, INSIDE, ADDRESS_NOUNS, MEMBERS, EXCEPT, EXCEPT_FROM, EXCEPT_TO, ONLY,
    NOBODY, AND, THEN, RANGE, AT_MOST, PER, EACH_SOURCE, SOURCES_OBJECT, IN_ALL, BURST, DURATION, TEMPORARILY,
    FOREVER, LOG_TOO, V4, V6,
];

/// Every list of words.
pub(super) fn lists() -> impl Iterator<Item = Phrases> {
    let tagged = VERBS.iter().chain(DONE).map(|(_, list)| *list);
    let ways = WAYS.iter().map(|(_, list)| *list).chain(STATES.iter().map(|(_, list)| *list));
    LISTS.iter().copied().chain(tagged).chain(ways).chain(ICMP_KINDS.iter().map(|(list, _, _)| *list))
}
