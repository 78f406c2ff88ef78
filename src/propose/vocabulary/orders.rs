//! What a request asks for: its verbs, and the words around them.

use super::Phrases;
use crate::propose::statement::Act;

/// Words before a request that change nothing.
pub(in crate::propose) const OPENERS: Phrases = &[
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
pub(in crate::propose) const FILLERS: Phrases = &[
    "please", "now", "immediately", "right now", "right away", "at once", "for me", "thanks", "thank you", "too",
    "as well", "completely", "entirely", "altogether", "straight away", "asap", "on this firewall",
    "in the firewall", "at the firewall", "inclusive",
];

/// Verbs of an order, with what they ask for. The longest that fits is taken.
pub(in crate::propose) const VERBS: &[(Act, Phrases)] = &[
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
pub(in crate::propose) const DO_NOT: Phrases = &[
    "do not", "don't", "dont", "never", "must not", "should not", "shouldn't", "mustn't", "stop", "no longer",
    "cease to", "do n't",
];

/// After [`DO_NOT`]: verbs whose opposite is a denial.
pub(in crate::propose) const NEGATABLE: Phrases = &[
    "allow", "permit", "accept", "let", "let in", "let through", "admit", "open", "grant", "give", "pass", "enable",
    "allowing", "permitting", "accepting",
];

/// Verbs between a subject and what may be done with it, allowed …
pub(in crate::propose) const MAY: Phrases = &[
    "may", "can", "should", "must", "shall", "is allowed to", "are allowed to", "is permitted to",
    "are permitted to", "be allowed to", "should be able to", "must be able to", "is able to", "are able to",
    "should be allowed to", "must be allowed to", "will be allowed to", "needs to", "need to", "has to", "have to",
    "may still", "can still", "gets to", "get to",
];

/// … and denied.
pub(in crate::propose) const MAY_NOT: Phrases = &[
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
pub(in crate::propose) const REACH: Phrases = &[
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
pub(in crate::propose) const USE: Phrases = &[
    "use", "using", "speak", "do", "make", "run", "send", "have", "access", "accessing", "reach", "reaching",
    "sending", "get", "initiate", "open",
];

/// "is allowed" and the like at the end of a sentence about traffic.
pub(in crate::propose) const IS: Phrases = &[
    "is", "are", "be", "should be", "must be", "shall be", "is to be", "are to be", "will be", "gets", "get",
    "has to be", "have to be", "needs to be", "need to be", "can be", "may be",
];
pub(in crate::propose) const IS_ONLY: Phrases = &[
    "should only be", "must only be", "may only be", "can only be", "shall only be", "is only to be",
    "are only to be",
];
pub(in crate::propose) const IS_NOT: Phrases = &[
    "is not", "are not", "isn't", "aren't", "should not be", "must not be", "shall not be", "is not to be",
    "are not to be", "shouldn't be", "mustn't be", "may not be", "cannot be", "can not be", "can't be",
    "must never be", "should never be", "is never", "are never", "is no longer", "are no longer", "not",
];

/// Participles of [`VERBS`].
pub(in crate::propose) const DONE: &[(Act, Phrases)] = &[
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
pub(in crate::propose) const REACHABLE: Phrases =
    &["reachable", "accessible", "available", "visible", "reached", "accessed", "contacted"];
