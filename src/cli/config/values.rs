//! The types of single values, each of which says what it allows.

use crate::packet::{Malformed, PortRange, Protocol, as_text};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What is done against a threat without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Autonomy {
    Alert,
    #[default]
    Propose,
    Auto,
}

/// Values that go together, for what is done against a threat; each may be set by itself too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Nothing is done: people are told.
    Monitor,
    /// What would be done is queued for a person.
    #[default]
    Cautious,
    /// Addresses are blocked, more of them and for longer.
    Aggressive,
}

/// Where the reading of a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    #[default]
    Cursor,
    Start,
    End,
}

/// A packet filter that rules can be written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    #[default]
    Nftables,
    Iptables,
    Opnsense,
}

/// In whose chains allows are made true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// In AFO's alone.
    #[default]
    Own,
    /// In other programs' too, by one rule that accepts what AFO has marked.
    Foreign,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// From which severity on log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    #[default]
    Warn,
    Info,
    Debug,
    Trace,
}

/// The lower-case word by which the file names a value.
macro_rules! as_word {
    ($($type:ident { $($variant:ident = $word:literal),+ })+) => {
        $(impl $type {
            /// The word in the file and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        })+
    };
}

as_word! {
    Autonomy { Alert = "alert", Propose = "propose", Auto = "auto" }
    Preset { Monitor = "monitor", Cautious = "cautious", Aggressive = "aggressive" }
    StartAt { Cursor = "cursor", Start = "start", End = "end" }
    BackendName { Nftables = "nftables", Iptables = "iptables", Opnsense = "opnsense" }
    Placement { Own = "own", Foreign = "foreign" }
    LogFormat { Text = "text", Json = "json" }
    Level { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
}

/// A name that a person uses: 1 to 64 characters, none of them a control character, no blank at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=64).contains(&text.chars().count());
        if fits && text.trim() == text && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(Malformed::new(format!(
            "`{}` is not a name; 1 to 64 characters without control characters and without blanks at the ends are",
            text.escape_debug()
        )))
    }
}

as_text!(Name, "a name, 1 to 64 characters");

/// Where an API is: `https://HOST[:PORT]`, or `http://` on loopback; empty where there is none. No path, no user, no password.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Endpoint(String);

impl Endpoint {
    /// The address as it is written, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The host and, where it is written, the port.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let plain =
            |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
        let loopback = |host: &str| {
            let name = host.rsplit_once(':').filter(|(name, _)| !name.ends_with(':')).map_or(host, |(name, _)| name);
            name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        match text.split_once("://") {
            None if text.is_empty() => Ok(Self::default()),
            Some(("https", host)) if plain(host) => Ok(Self(text.to_owned())),
            Some(("http", host)) if plain(host) && loopback(host) => Ok(Self(text.to_owned())),
            Some(("http", _)) => Err(Malformed::new("without TLS an API is asked on loopback alone; write https://")),
            // What was written may hold a password.
            _ => Err(Malformed::new(
                "this is not the address of an API; `https://192.0.2.1` or `https://fw.example:8443` is",
            )),
        }
    }
}

as_text!(Endpoint, "`https://HOST[:PORT]`, or `http://` on loopback; empty: none");

/// A port, or ports, of a protocol: `tcp/5432`, `udp/6000-6100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    pub protocol: Protocol,
    pub ports: PortRange,
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.ports)
    }
}

impl FromStr for ServicePort {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let Some((protocol, ports)) = text.split_once('/') else {
            return Err(Malformed::new(format!("`{text}` is not a service; `tcp/5432` or `udp/6000-6100` is")));
        };
        let protocol: Protocol = protocol.parse()?;
        if !protocol.has_ports() {
            return Err(Malformed::new(format!("{protocol} has no ports; tcp, udp, sctp, dccp and udplite have")));
        }
        Ok(Self { protocol, ports: ports.parse()? })
    }
}

as_text!(ServicePort, "ports of a protocol: `tcp/5432`, `udp/6000-6100`");

/// A source as `afo-watch --source` takes it: what it is, a colon, where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceSpec(String);

impl SourceSpec {
    /// The source as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceSpec {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let kind = text.split_once(':').map_or("", |(kind, _)| kind);
        let plain = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase());
        if plain && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        let shown = text.escape_debug();
        Err(Malformed::new(format!("`{shown}` is not a source; `auth:/var/log/auth.log` or `journal:` is")))
    }
}

as_text!(SourceSpec, "a source as afo-watch takes it: `auth:/var/log/auth.log`");

/// Reads a number and checks that it lies in its range.
fn between<'de, D, T>(d: D, low: T, high: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Copy + TryFrom<i64> + PartialOrd + fmt::Display,
{
    let number = i64::deserialize(d)?;
    let fits = T::try_from(number).ok().filter(|n| low <= *n && *n <= high);
    fits.ok_or_else(|| de::Error::custom(format!("{number} is not between {low} and {high}")))
}

pub(super) fn minutes_cap<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 1_000_000)
}

pub(super) fn share<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 1_000_000)
}

pub(super) fn hours<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 0, 8_760)
}

pub(super) fn network_v4<'de, D: Deserializer<'de>>(d: D) -> Result<u8, D::Error> {
    between(d, 8, 32)
}

pub(super) fn network_v6<'de, D: Deserializer<'de>>(d: D) -> Result<u8, D::Error> {
    between(d, 16, 128)
}

pub(super) fn growth<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 100)
}

pub(super) fn window<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 31_536_000)
}

pub(super) fn patience<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 300)
}

pub(super) fn days<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 36_500)
}

pub(super) fn events<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    between(d, 1, 1_000_000_000)
}

pub(super) fn ports<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u16>, D::Error> {
    let numbers: Vec<i64> = Vec::deserialize(d)?;
    let port = |n: &i64| u16::try_from(*n).ok().filter(|p| *p != 0).ok_or(*n);
    let read: Result<_, i64> = numbers.iter().map(port).collect();
    read.map_err(|n| de::Error::custom(format!("port {n} is not between 1 and 65535")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_back() {
        for text in ["tcp/5432", "udp/6000-6100", "sctp/1"] {
            assert_eq!(text.parse::<ServicePort>().expect(text).to_string(), text);
        }
        for text in ["auth:/var/log/auth.log", "journal:", "netflow:192.0.2.1:2055"] {
            assert_eq!(text.parse::<SourceSpec>().expect(text).to_string(), text);
        }
        assert_eq!("db server".parse::<Name>().expect("name").as_str(), "db server");
    }

    #[test]
    fn each_refusal_names_its_cause() {
        let service = |text: &str| text.parse::<ServicePort>().expect_err(text).to_string();
        assert_eq!(service("5432"), "`5432` is not a service; `tcp/5432` or `udp/6000-6100` is");
        assert_eq!(service("icmp/8"), "icmp has no ports; tcp, udp, sctp, dccp and udplite have");
        assert_eq!(service("tcp/70000"), "port 70000 is above 65535");
        let source = |text: &str| text.parse::<SourceSpec>().expect_err(text).to_string();
        assert_eq!(source("/var/log/x"), "`/var/log/x` is not a source; `auth:/var/log/auth.log` or `journal:` is");
        for text in ["", " a", "a\u{1b}[2J", &"x".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_endpoint_has_tls_or_is_on_loopback() {
        for text in ["https://192.0.2.1", "https://fw.example:8443", "http://127.0.0.1:8080", "http://[::1]:80", ""] {
            assert_eq!(text.parse::<Endpoint>().expect(text).as_str(), text);
        }
        assert_eq!("https://fw.example/".parse::<Endpoint>().expect("slash").authority(), "fw.example");
        let said = |text: &str| text.parse::<Endpoint>().expect_err(text).to_string();
        assert_eq!(said("http://192.0.2.1"), "without TLS an API is asked on loopback alone; write https://");
        let words = "this is not the address of an API; `https://192.0.2.1` or `https://fw.example:8443` is";
        for text in
            ["https://key:pass@fw.example", "fw.example", "https://", "https://a/b", "ftp://127.0.0.1", "https://a?b"]
        {
            assert_eq!(said(text), words, "{text}");
        }
    }

    #[test]
    fn words_are_what_the_file_says() {
        let written = toml::Value::try_from(Autonomy::Auto).expect("word");
        assert_eq!(written.as_str(), Some(Autonomy::Auto.as_str()));
        let level = toml::Value::try_from(Level::default()).expect("word");
        assert_eq!(level.as_str(), Some(Level::default().as_str()));
    }
}
