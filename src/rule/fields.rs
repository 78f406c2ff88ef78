use crate::packet::{AddressSpec, Malformed, PortRange, as_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An enum that is one of a few words, on the wire and on the screen alike.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| {
                    let known = [$($word),+].join(", ");
                    Malformed(format!("`{}` is none of {known}", text.escape_debug()))
                })
            }
        }
    };
}

words! {
    /// What a rule does with a packet that matches.
    Action {
        Accept = "accept", Drop = "drop", Reject = "reject", Log = "log",
        Dnat = "dnat", Snat = "snat", Masquerade = "masquerade", Redirect = "redirect",
    }
}

impl Action {
    /// Whether the packet is kept from its way: drop and reject.
    pub fn denies(self) -> bool {
        matches!(self, Self::Drop | Self::Reject)
    }

    /// Whether addresses or ports of the packet are translated.
    pub fn translates(self) -> bool {
        self.leads() || matches!(self, Self::Snat | Self::Masquerade)
    }

    /// Whether the packet is led elsewhere than it was sent to: dnat and redirect.
    pub fn leads(self) -> bool {
        matches!(self, Self::Dnat | Self::Redirect)
    }
}

words! {
    /// The way of a packet: to this host, from this host, or through it.
    Direction { Input = "input", Output = "output", Forward = "forward" }
}

words! {
    /// Which address family a rule is for.
    #[derive(Default)]
    FamilyMatch { #[default] Any = "any", Ipv4 = "ipv4", Ipv6 = "ipv6" }
}

impl FamilyMatch {
    /// Whether both families match.
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

words! {
    /// The state of a packet's connection as connection tracking sees it (nft(8), CONNTRACK EXPRESSIONS).
    ConnectionState {
        New = "new", Established = "established", Related = "related", Invalid = "invalid", Untracked = "untracked",
    }
}

words! {
    /// A control bit of the TCP header (RFC 9293, 3.1).
    TcpFlag { Fin = "fin", Syn = "syn", Rst = "rst", Psh = "psh", Ack = "ack", Urg = "urg", Ece = "ece", Cwr = "cwr" }
}

/// Of the TCP flags in `mask`, exactly those in `set` are on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpFlags {
    pub mask: Vec<TcpFlag>,
    #[serde(default)]
    pub set: Vec<TcpFlag>,
}

words! {
    /// What a sender is told when a packet is rejected (nft(8), REJECT STATEMENT). `tcp-reset` is for TCP alone, `host-prohibited`,
    /// `net-prohibited` and `proto-unreachable` are for IPv4 alone.
    RejectWith {
        TcpReset = "tcp-reset", PortUnreachable = "port-unreachable", HostUnreachable = "host-unreachable",
        NetUnreachable = "net-unreachable", AdminProhibited = "admin-prohibited", HostProhibited = "host-prohibited",
        NetProhibited = "net-prohibited", ProtoUnreachable = "proto-unreachable",
    }
}

impl RejectWith {
    /// Whether only IPv4 has the answer.
    pub fn is_of_ipv4(self) -> bool {
        matches!(self, Self::HostProhibited | Self::NetProhibited | Self::ProtoUnreachable)
    }
}

words! {
    /// How urgent a log line is (syslog(3)).
    LogLevel {
        Emerg = "emerg", Alert = "alert", Crit = "crit", Err = "err", Warn = "warn", Notice = "notice", Info = "info", Debug = "debug",
    }
}

/// A line in the kernel's log for each packet that matches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Log {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<LogPrefix>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// What a log line begins with: 1 to 64 printable ASCII characters without quotes, backslash, semicolon, `$` and braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPrefix(String);

impl LogPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LogPrefix {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let plain = text.bytes().all(|b| (b == b' ' || b.is_ascii_graphic()) && !br#""'`\;{}$"#.contains(&b));
        if !plain || !(1..=64).contains(&text.len()) {
            let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(Malformed(format!(
                "`{shown}` is not a log prefix; 1 to 64 printable ASCII characters without quotes, backslash, semicolon, $ and braces are"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

as_text!(LogPrefix, "1 to 64 printable ASCII characters without quotes, backslash, semicolon, $ and braces");

/// A packet mark: the bits in `mask` have the values of `value`. `0x1`, or `0x1/0xff` with a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub value: u32,
    pub mask: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mask {
            u32::MAX => write!(f, "{:#x}", self.value),
            mask => write!(f, "{:#x}/{mask:#x}", self.value),
        }
    }
}

impl FromStr for Mark {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let number = |part: &str| {
            let (digits, radix) = part.strip_prefix("0x").map_or((part, 10), |hex| (hex, 16));
            u32::from_str_radix(digits, radix).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
        let parsed = number(value).zip(mask.map_or(Some(u32::MAX), number));
        match parsed {
            Some((value, mask)) if value & !mask == 0 => Ok(Self { value, mask }),
            Some(_) => Err(Malformed(format!("mark {text} has bits outside its mask and can never match"))),
            None => Err(Malformed(format!("`{}` is not a mark like 0x1 or 0x1/0xff", text.escape_debug()))),
        }
    }
}

as_text!(Mark, "a packet mark, `0x1`, or with a mask, `0x1/0xff`");

/// Where network address translation sends a packet, or what it lets it come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Nat {
    /// One address, or a range of which any is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRange>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        let words = "`allow` is none of accept, drop, reject, log, dnat, snat, masquerade, redirect";
        assert_eq!("allow".parse::<Action>().expect_err("unknown").to_string(), words);
    }

    #[test]
    fn marks_and_prefixes() {
        assert_eq!("0x10/0xff".parse::<Mark>().expect("mark").to_string(), "0x10/0xff");
        assert_eq!("16".parse::<Mark>().expect("mark").to_string(), "0x10");
        assert!("0x100/0xff".parse::<Mark>().is_err() && "+1".parse::<Mark>().is_err());
        assert!("ssh try: ".parse::<LogPrefix>().is_ok());
        for text in ["", "a\"b", "a\\", "a\n", "x;y", "{"] {
            assert!(text.parse::<LogPrefix>().is_err(), "{text:?}");
        }
    }
}
