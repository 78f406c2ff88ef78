//! How much and how long, and what is understood and not done.

use super::Phrases;

pub(in crate::propose) const RANGE: Phrases = &["to", "-", "through", "thru", "until", "up to"];

pub(in crate::propose) const AT_MOST: Phrases = &[
    "at most", "no more than", "not more than", "up to", "a maximum of", "maximum", "max", "a max of", "maximum of",
    "at", "to", "to at most", "to a maximum of", "to no more than", "to max", "to maximum", "at a maximum of",
    "with a limit of", "with a maximum of", "with at most", "limited to", "only", "to only", "at a rate of",
    "at a rate of up to", "with a rate of", "to a rate of", "to up to", "rate limited to", "with a rate limit of",
    "a limit of", "not exceeding", "max of", "as long as there are at most",
];
pub(in crate::propose) const PER: Phrases = &["per", "a", "an", "each", "every", "in a", "within a", "in one", "per one"];
pub(in crate::propose) const EACH_SOURCE: Phrases = &[
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
pub(in crate::propose) const SOURCES_OBJECT: Phrases = &[
    "each source", "each address", "each ip", "each ip address", "each client", "each source address",
    "every source", "every client", "every address", "any single address", "each host", "each remote address",
    "any one source", "every ip", "every host",
];
pub(in crate::propose) const IN_ALL: Phrases =
    &["in total", "in all", "overall", "altogether", "total", "together", "globally", "for all sources together"];
pub(in crate::propose) const BURST: Phrases = &[
    "burst", "with burst", "with a burst of", "and a burst of", "with bursts of", "with a burst of up to",
    "bursts of", "burst of", "and a maximum burst of", "with a maximum burst of", "with bursts up to",
    "allowing bursts of",
];

pub(in crate::propose) const DURATION: Phrases = &[
    "for", "for the next", "during the next", "over the next", "for at least", "for a period of", "for another",
    "lasting", "within the next", "for about",
];
pub(in crate::propose) const TEMPORARILY: Phrases =
    &["temporarily", "for a while", "for a limited time", "for now", "for some time", "briefly"];
pub(in crate::propose) const FOREVER: Phrases =
    &["permanently", "for ever", "forever", "indefinitely", "always", "at all times", "for good"];
pub(in crate::propose) const LOG_TOO: Phrases = &[
    "and log", "and log it", "and log them", "with logging", "and log the packets", "and log everything",
    "with a log entry", "with log", "and log this", "and log that", "and log the attempts", "log", "log it",
    "log them", "and record it", "and write it to the log", "and log each packet", "and log all of it",
    "and log matches", "and log every attempt", "and log each attempt", "and log what is dropped",
    "and log attempts", "with logs",
];
pub(in crate::propose) const V4: Phrases = &["ipv4", "ip4", "v4", "ipv4 only"];
pub(in crate::propose) const V6: Phrases = &["ipv6", "ip6", "v6", "ipv6 only"];

/// First words of questions and of talk that is no request.
pub(in crate::propose) const QUESTIONS: Phrases = &[
    "what", "which", "who", "whom", "whose", "why", "where", "when", "how", "is", "are", "does", "do i", "do we",
    "did", "has", "have i", "show", "list", "display", "explain", "tell me", "describe", "can i", "may i",
    "should i", "should we", "am i", "was", "were", "count", "print", "what's", "who's", "how's", "help",
    "summarize", "summarise",
];
pub(in crate::propose) const REMOVE: Phrases = &[
    "unblock", "unban", "un-ban", "un-block", "lift the block on", "lift the ban on", "stop blocking",
    "no longer block", "pardon", "remove the block on", "remove the ban on", "remove the block of", "release",
    "lift the block of",
];

pub(in crate::propose) const NUMBERS: &[(&str, u64)] = &[
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
pub(in crate::propose) const SPANS: &[(&str, u64)] = &[
    ("half an hour", 1800),
    ("an hour and a half", 5400),
    ("half a day", 43_200),
    ("hour", 3600),
    ("minute", 60),
    ("day", 86_400),
    ("week", 604_800),
];

/// ICMP types and codes of IPv4, and of IPv6, by what people call them (RFC 792, RFC 4443, RFC 4861).
pub(in crate::propose) const ICMP_KINDS: &[(Phrases, &str, &str)] = &[
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
pub(in crate::propose) const BEYOND: &[(&str, &str)] = &[
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
