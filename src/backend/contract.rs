//! What every backend is asked for. No lowest common denominator: each says what it can, and refuses the rest with the reason.

use super::meaning::Refused;
use crate::record::Placement;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Id, Rule};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A packet filter that AFO writes for. It thinks and never acts: programs of the host are run elsewhere.
pub trait Backend: fmt::Debug + Sync {
    /// As people and records name it.
    fn name(&self) -> &'static str;

    /// What it can express, in the order of [`Capability::ALL`].
    fn capabilities(&self) -> &'static [Capability];

    /// Rules in its own language, together and in their order. Disabled rules stay out.
    ///
    /// # Errors
    /// Every reason why it cannot have them exactly; then there is no text at all, because half a policy is another policy.
    fn render(&self, rules: &[Rule], extent: Extent) -> Result<Native, Vec<Refused>>;

    /// What a host without other rules has when it has loaded a text of [`render`](Self::render): the text as the backend's own
    /// reader understands it.
    ///
    /// # Errors
    /// When something of it has no form that can be read.
    fn model(&self, native: &Native) -> Result<Ruleset, String>;
}

/// How much a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What the rules need, for people who read it.
    Rules,
    /// All that an empty host needs.
    Host,
}

/// Rules in a backend's own language.
#[derive(Debug, Clone, PartialEq)]
pub struct Native {
    /// What the backend's program takes.
    pub text: String,
    /// The same as the backend's JSON, where it has one.
    pub json: Option<Value>,
    /// Where each rule stands, and why there.
    pub placement: Vec<Placement>,
    /// The rules that lines of the text are for; lines are counted from 1.
    pub lines: BTreeMap<usize, Id>,
    /// What of the rules this backend does not see and another one has, in words.
    pub elsewhere: Vec<String>,
}

macro_rules! capabilities {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// Something that backends can do or not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Capability { $($(#[$doc])* $variant),+ }

        impl Capability {
            /// Every capability.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The capability of a word.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|capability| capability.as_str() == word)
            }
        }
    };
}

capabilities! {
    /// Packets of IPv4.
    Ipv4 = "ipv4",
    /// Packets of IPv6.
    Ipv6 = "ipv6",
    /// Verdicts: accept and drop.
    Filter = "filter",
    /// Of the verdicts accept alone.
    Allow = "allow",
    /// The order of rules decides; without it accept and drop of the same packets are two rules that nobody can tell apart.
    Order = "order",
    /// Packets to what it protects.
    Input = "input",
    /// Packets from what it protects.
    Output = "output",
    /// Packets that it lets through to others.
    Forward = "forward",
    /// Matches by interfaces.
    Interface = "interface",
    /// Matches by source ports.
    SourcePort = "source-port",
    /// Matches by types and codes of ICMP.
    IcmpType = "icmp-type",
    /// Matches by TCP flags.
    TcpFlag = "tcp-flag",
    /// Matches by hardware addresses.
    Mac = "mac",
    /// Matches by marks.
    Mark = "mark",
    /// A denial that the sender is told of.
    Reject = "reject",
    /// Matches by the state of the connection.
    State = "state",
    /// A line in the log for each packet.
    Log = "log",
    /// A rate for all packets of a rule together.
    Rate = "rate",
    /// A rate for each source.
    RatePerSource = "rate-per-source",
    /// All eight TCP flags; without it the six of RFC 793.
    EveryTcpFlag = "every-tcp-flag",
    /// Lists of any length at no cost.
    Sets = "sets",
    /// Rules that hold at some hours of the week.
    Hours = "hours",
    /// Translation of addresses and ports.
    Nat = "nat",
    /// Rules and blocks that the kernel ends by itself.
    Timed = "timed",
    /// Blocks as elements beside the rules, which it ends by itself.
    Timeout = "timeout",
    /// A window that the kernel itself closes, whichever process has died.
    Switch = "switch",
}
